"""pullback.export: functions as bytes and back; what is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys
from collections import namedtuple

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import export, exported_files

pytest.importorskip("jaxlib", reason="exporting needs jaxlib")

TABLE = np.arange(1000, dtype=np.float32)
"""A constant of more than 1 kB, which the XLA engine takes as an argument otherwise."""


def f(x, options):
    y = jnp.sin(x @ x).sum() * options["scale"] + jnp.asarray(TABLE)[3]
    return {"y": y, "rest": (x[0], options["scale"])}


X = jnp.linspace(0.0, 1.0, 9).reshape(3, 3)
OPTIONS = {"scale": jnp.int32(3)}


def exported(order=2):
    made = export.export(pullback.jit(f))(pullback.ShapeDtypeStruct((3, 3), "float32"), OPTIONS)
    return export.deserialize(made.serialize(vjp_order=order))


def value(function):
    return lambda x: function(x, OPTIONS)["y"]


def same(found, wanted):
    a, b = pullback.tree.leaves(found), pullback.tree.leaves(wanted)
    assert pullback.tree.structure(found) == pullback.tree.structure(wanted)
    for x, y in zip(a, b, strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_allclose(x, y, rtol=2e-5, atol=2e-5)


def test_what_is_known_of_it():
    for e in (export.export(pullback.jit(f))(X, OPTIONS), exported()):
        assert str(e) == "Exported(fun_name=f, ...)" and e.fun_name == "f"
        assert str(e.in_avals) == "(ShapedArray(float32[3,3]), ShapedArray(int32[]))"
        assert [t.str_short() for t in e.out_avals] == ["f32[3]", "i32[]", "f32[]"]
        assert e.in_tree == pullback.tree.structure(((X, OPTIONS), {}))
        assert e.out_tree == pullback.tree.structure(f(X, OPTIONS))
        assert (e.platforms, e.nr_devices, e.module_kept_var_idx) == (("cpu",), 1, (0, 1))
        assert e.mlir_module_serialized.startswith(b"ML\xefR") and e.has_vjp()
        assert "func.func public @main" in e.mlir_module()
        assert "stablehlo.sine" in e.mlir_module()
    assert export.default_export_platform() == "cpu"


@pytest.mark.parametrize("engine", ["numpy", "native", "xla", None])
def test_it_computes_what_the_function_computes(engine):
    call = exported().call
    if engine == "native":
        with pytest.raises(NotImplementedError, match="no code for"):
            pullback.jit(call, engine=engine)(X, OPTIONS)
        return
    same(pullback.jit(call, engine=engine)(X, OPTIONS), f(X, OPTIONS))
    found = pullback.jit(pullback.grad(value(call)), engine=engine)(X)
    same(found, pullback.grad(value(f))(X))


def test_transformations():
    call = exported().call
    same(call(X, OPTIONS), f(X, OPTIONS))
    scales = jnp.arange(4.0)

    def many(function):
        return pullback.vmap(lambda s: value(function)(X * s))(scales)

    same(many(call), many(f))

    def second(function):
        return pullback.grad(lambda x: (pullback.grad(value(function))(x) ** 2).sum())(X)

    same(second(call), second(f))

    def slope(function):
        return pullback.vmap(pullback.grad(lambda s: value(function)(X * s)))(scales)

    same(slope(call), slope(f))


def test_derivatives_end_at_their_order():
    e = exported(order=1)
    assert e.has_vjp() and not e.vjp().has_vjp() and e.vjp().fun_name == "f_vjp"
    assert [t.str_short() for t in e.vjp().out_avals] == ["f32[3,3]", "float0[]"]
    g = pullback.grad(value(e.call))
    same(g(X), pullback.grad(value(f))(X))
    with pytest.raises(ValueError, match=r"^No VJP is available"):
        pullback.grad(lambda x: g(x).sum())(X)
    with pytest.raises(ValueError, match=r"^No VJP is available"):
        exported(order=0).serialize(vjp_order=1)
    with pytest.raises(ValueError, match="vjp_order is not the order"):
        e.serialize(vjp_order=-1)
    with pytest.raises(TypeError, match="forward-mode"):
        pullback.jvp(value(e.call), (X,), (X,))


def test_an_exported_program_in_an_exported_program():
    inner = exported(order=1)

    def g(x):
        return value(inner.call)(x) + value(inner.call)(2 * x)

    outer = export.deserialize(export.export(pullback.jit(g))(X).serialize(vjp_order=1))
    same(outer.call(X), value(f)(X) + value(f)(2 * X))
    wanted = pullback.grad(lambda x: value(f)(x) + value(f)(2 * x))(X)
    same(pullback.grad(outer.call)(X), wanted)


OTHER = """
import sys, numpy as np
from pullback import export
import pullback
e = export.deserialize(open(sys.argv[1], "rb").read())
x = pullback.numpy.linspace(0.0, 1.0, 9).reshape(3, 3)
n = pullback.numpy.int32(3)
g = pullback.grad(lambda x: e.call(x, {"scale": n})["y"])(x)
np.save(sys.argv[2], np.asarray(g))
print("jax" in sys.modules)
"""


def test_another_process_needs_no_function(tmp_path):
    blob, result = tmp_path / "f.bin", tmp_path / "g.npy"
    blob.write_bytes(export.export(pullback.jit(f))(X, OPTIONS).serialize(vjp_order=1))
    done = subprocess.run(
        [sys.executable, "-c", OTHER, str(blob), str(result)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "False\n")
    np.testing.assert_allclose(np.load(result), pullback.grad(value(f))(X), rtol=2e-5, atol=2e-5)


# ---- types


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "int4", "uint64", "float16", "bfloat16", "complex64"]
)
def test_dtypes(dtype):
    with pullback.enable_x64():
        x = jnp.asarray([1, 0, 1]).astype(dtype)
        e = export.export(pullback.jit(lambda x: (x, x.astype("float32") + 1)))(x)
        e = export.deserialize(e.serialize())
        for call in (e.call, pullback.jit(e.call, engine="xla")):
            found = call(x)
            assert found[0].dtype == x.dtype and (found[0] == x).all()
            np.testing.assert_array_equal(found[1], [2, 1, 2])


def test_float64_random_keys_and_linear_algebra():
    def g(key, x):
        noise = pullback.random.normal(key, x.shape, x.dtype)
        return pullback.random.split(key)[0], jnp.linalg.solve(x + noise, x), jnp.fft.fft(x)

    with pullback.enable_x64():
        key, x = pullback.random.key(3), 10 * jnp.eye(4) + jnp.arange(16.0).reshape(4, 4)
        e = export.deserialize(export.export(pullback.jit(g))(key, x).serialize())
        assert x.dtype == "float64"
        found, wanted = e.call(key, x), g(key, x)
        assert (pullback.random.key_data(found[0]) == pullback.random.key_data(wanted[0])).all()
        np.testing.assert_allclose(found[1], wanted[1], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(found[2], wanted[2], rtol=1e-12, atol=1e-12)


def test_static_arguments_keywords_control_flow_and_nothing():
    def g(x, n, *, y):
        return pullback.lax.fori_loop(0, n, lambda i, x: x * y, x), None, ()

    e = export.export(pullback.jit(g, static_argnums=1))(2.0, 3, y=jnp.float32(2))
    e = export.deserialize(e.serialize(vjp_order=1))
    assert e.in_avals[0].weak_type and not e.in_avals[1].weak_type
    assert e.call(2.0, y=2.0) == (16.0, None, ())
    empty = export.deserialize(export.export(pullback.jit(lambda: ()))().serialize())
    assert empty.call() == ()


def test_arguments_of_other_types():
    call = exported(0).call
    cases = [
        ((1.0, OPTIONS), r"^Rank mismatch for args\[0\]: expected \(3, 3\) and called with \(\)"),
        (
            (jnp.ones((3, 4)), OPTIONS),
            r"^Shape mismatch for args\[0\]\.shape\[1\] \(expected same constant\): expected "
            r"\(3, 3\) and called with \(3, 4\)",
        ),
        (
            (X, {"scale": jnp.float32(3)}),
            r"^Dtype mismatch for args\[1\]\['scale'\]: expected int32 and called with float32",
        ),
        ((X,), "must have the same pytree structure as when the function 'f' was exported"),
        ((X, {"other": 1}), "must have the same pytree structure"),
    ]
    for args, text in cases:
        for run in (call, pullback.jit(call)):
            with pytest.raises(ValueError, match=text):
                run(*args)
    with pytest.raises(TypeError, match="not a valid array"):
        call("x", OPTIONS)


# ---- containers

Pair = namedtuple("Pair", "left right")


class Named:
    def __init__(self, name, x):
        self.name, self.x = name, x


pullback.tree_util.register_pytree_node(
    Named, lambda n: ((n.x,), n.name), lambda name, parts: Named(name, *parts)
)


def test_containers_are_registered():
    def g(p):
        return Named("out", p.left + p.right.x)

    args = Pair(jnp.ones(2), Named("in", jnp.ones(2)))
    made = export.export(pullback.jit(g))(args)
    with pytest.raises(ValueError, match="a container that cannot be written to a file"):
        made.serialize()
    export.register_namedtuple_serialization(Pair, serialized_name="test.Pair")
    export.register_pytree_node_serialization(
        Named,
        serialized_name="test.Named",
        serialize_auxdata=str.encode,
        deserialize_auxdata=bytes.decode,
    )
    with pytest.raises(ValueError, match="can be registered once"):
        export.register_namedtuple_serialization(Pair, serialized_name="test.Other")
    found = export.deserialize(made.serialize()).call(args)
    assert found.name == "out"
    np.testing.assert_array_equal(found.x, [2, 2])
    blob = made.serialize()
    known = exported_files._by_name.pop("test.Pair")
    try:
        with pytest.raises(ValueError, match="a container that is not registered here") as caught:
            export.deserialize(blob)
        assert "'test.Pair'" in str(caught.value)
    finally:
        exported_files._by_name["test.Pair"] = known


# ---- bytes that are no program

FOREIGN = "these bytes are not a program that Pullback exported"


def test_every_cut_and_change_is_found():
    blob = exported(1).serialize(vjp_order=1)
    random = np.random.default_rng(0)
    for n in [*range(60), *random.integers(60, len(blob), 60)]:
        with pytest.raises(ValueError, match=FOREIGN):
            export.deserialize(blob[:n])
        changed = bytearray(blob)
        changed[n] ^= 1 << int(random.integers(8))
        with pytest.raises(ValueError, match=FOREIGN):
            export.deserialize(changed)
    with pytest.raises(ValueError, match=FOREIGN):
        export.deserialize(blob + b"\0")


@pytest.mark.parametrize("blob", [b"", b"hello", b"PK\x03\x04" * 9, "text", None, 3], ids=repr)
def test_foreign_bytes(blob):
    with pytest.raises(ValueError, match=FOREIGN):
        export.deserialize(blob)


def forged(rest):
    return exported_files.MAGIC + hashlib.sha256(rest).digest() + rest


def test_bytes_with_a_fitting_checksum_are_checked_too(capfd):
    blob = bytes(exported(0).serialize())
    rest = blob[len(exported_files.MAGIC) + 32 :]
    assert export.deserialize(forged(rest)).fun_name == "f"
    module = rest.index(b"ML\xef")
    wrong = [
        rest[:-20],
        rest[: module + 100] + b"\xff" * 40 + rest[module + 140 :],
        rest.replace(b"[[3, 3], ", b"[[3, 4], "),
        rest.replace(b'"int32"', b'"uint8"'),
        rest.replace(b'"int32"', b'"nonse"'),
        rest.replace(b'"dict"', b'"dice"'),
        rest.replace(b'"size"', b'"sise"'),
        (2**63).to_bytes(8, "big") + rest[8:],
        (4).to_bytes(8, "big") + b"[[[[",
        (2).to_bytes(8, "big") + b"[]",
        (2).to_bytes(8, "big") + b"{}",
        (20000).to_bytes(8, "big") + b"[" * 10000 + b"]" * 10000,
        b"",
    ]
    for other in wrong:
        assert other != rest
        with pytest.raises(ValueError, match=FOREIGN):
            export.deserialize(forged(other))
    assert capfd.readouterr().err == ""


# ---- what is refused


def test_programs_that_call_python_are_refused():
    def prints(x):
        pullback.debug.print("{}", x)
        return x

    def calls(x):
        return pullback.pure_callback(np.sin, x, x)

    cases = [(prints, "debug_callback"), (calls, "pure_callback")]
    cases.append((lambda x: pullback.scipy.special.gammainc(x, x), "igamma"))
    for function, name in cases:
        with pytest.raises(NotImplementedError, match="cannot be written as portable") as caught:
            export.export(pullback.jit(function))(jnp.ones(3))
        assert f"Python would have to be called for {name}" in str(caught.value)


def test_other_things_that_are_refused():
    with pytest.raises(ValueError, match="Function to be exported must be the result of `jit`"):
        export.export(lambda x: x)
    with pytest.raises(ValueError, match="unknown platforms"):
        export.export(pullback.jit(f), platforms=["abacus"])
    with pytest.raises(NotImplementedError, match="a program is for one platform"):
        export.export(pullback.jit(f), platforms=["cpu", "cuda"])
    with pytest.raises(NotImplementedError, match="axes of symbolic length are not there"):
        export.symbolic_shape("a, b")
    device = pullback.sharding.SingleDeviceSharding(pullback.devices()[0])
    with pytest.raises(NotImplementedError, match="for several devices, or for one of them"):
        export.export(pullback.jit(jnp.sin, in_shardings=device))(X)


def test_a_program_for_another_platform_is_written_and_not_run():
    e = export.export(pullback.jit(f), platforms=["cuda"])(X, OPTIONS)
    e = export.deserialize(e.serialize())
    assert e.platforms == ("cuda",)
    text = r"^Function 'f' was exported for platforms '\('cuda',\)' but it is used on '\('cpu',\)'"
    for run in (e.call, pullback.jit(e.call), pullback.jit(e.call, engine="xla")):
        with pytest.raises(ValueError, match=text):
            run(X, OPTIONS)


# ---- the peer


def test_jax_runs_our_stablehlo_and_we_run_that_of_jax():
    jax = pytest.importorskip("jax", reason="the peer")
    peer = pytest.importorskip("jax.export", reason="the peer")
    x = np.arange(9, dtype=np.float32).reshape(3, 3)

    def ours(x):
        return jnp.linalg.cholesky(x @ x.T + 3 * jnp.eye(3)), pullback.nn.softmax(x)

    def theirs(x):
        product = x @ x.T + 3 * jax.numpy.eye(3, dtype=x.dtype)
        return jax.numpy.linalg.cholesky(product), jax.nn.softmax(x)

    wanted = theirs(x)
    a = export.export(pullback.jit(ours))(x)
    b = peer.export(jax.jit(theirs))(x)
    there = dataclasses.replace(b, mlir_module_serialized=a.mlir_module_serialized)
    here = dataclasses.replace(a, mlir_module_serialized=bytes(b.mlir_module_serialized))
    for call in (there.call, here.call, pullback.jit(here.call, engine="xla")):
        for found, value in zip(call(x), wanted, strict=True):
            np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-5)
