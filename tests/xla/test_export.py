"""pullback.export: functions as bytes and back; what is refused."""

from __future__ import annotations

import subprocess
import sys
from collections import namedtuple

import numpy as np
import pytest
from comparing import same

import pullback
import pullback.numpy as jnp
from pullback import export, exported_files, exported_tables

pytest.importorskip("jaxlib", reason="exporting needs jaxlib")
pytest.importorskip("flatbuffers", reason="exporting needs flatbuffers")

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
        timeout=550,
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
    assert not any(t.weak_type for t in e.in_avals)  # the form has no word for it
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
    with pytest.raises(ValueError, match="the class is not a named tuple"):
        export.register_namedtuple_serialization(Named, serialized_name="test.Other")
    with pytest.raises(ValueError, match="the class is not a registered container"):
        export.register_pytree_node_serialization(
            int, serialized_name="int", serialize_auxdata=bytes, deserialize_auxdata=bytes
        )
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

FOREIGN = "these bytes are not an exported program"
SUM = len(exported_files.MARK) + 32


def without_sum(blob):
    """As JAX would have written it."""
    assert blob[-SUM:].startswith(exported_files.MARK)
    return bytes(blob[:-SUM])


def test_every_cut_and_change_is_found():
    whole = exported(1)
    blob = whole.serialize(vjp_order=1)
    random = np.random.default_rng(0)
    for n in [*range(60), *random.integers(60, len(blob) - SUM, 60)]:
        changed = bytearray(blob)
        changed[n] ^= 1 << int(random.integers(8))
        with pytest.raises(
            ValueError, match=FOREIGN + r"\.\n  Got: \d+ bytes, whose checksum is wr"
        ):
            export.deserialize(changed)
    for n in [0, 3, 4, 40, *random.integers(60, len(blob) - SUM - 4, 3)]:
        with pytest.raises(ValueError, match=FOREIGN):
            export.deserialize(blob[:n])


@pytest.mark.parametrize("blob", [b"", b"hello", b"PK\x03\x04" * 9, "text", None, 3], ids=repr)
def test_foreign_bytes(blob):
    with pytest.raises(ValueError, match=FOREIGN):
        export.deserialize(blob)


def damaged(blob, random):
    """The bytes cut, or with a few bits or bytes changed, or a stretch of them."""
    blob, kind = bytearray(blob), random.integers(4)
    at = int(random.integers(len(blob)))
    if kind == 0:
        return blob[:at]
    if kind == 1:
        blob[at] ^= 1 << int(random.integers(8))
    if kind == 2:
        blob[at] = int(random.integers(256))
    if kind == 3:
        n = len(blob[at : at + 50])
        blob[at : at + n] = random.bytes(n)
    return blob


def test_no_damage_to_the_description_is_a_crash():
    blob = without_sum(exported(1).serialize(vjp_order=1))
    random = np.random.default_rng(1)
    kinds = set()
    for _ in range(2000):
        try:
            exported_files.unpacked(damaged(blob, random))
            kinds.add("read")
        except ValueError as mistake:
            assert FOREIGN in str(mistake) or "not registered here" in str(mistake)
            kinds.add("refused")
    assert kinds == {"read", "refused"}


def test_parts_that_are_used_again_and_again_are_refused():
    tree = exported_files._TREE
    few = exported_tables.to_bytes(tree, {"kind": 2, "children": [{"kind": 0}] * 2})
    assert len(exported_tables.from_bytes(tree, few)["children"]) == 2
    builder = exported_tables.flatbuffers.Builder(64)
    builder.StartObject(1)
    node = builder.EndObject()
    for _ in range(60):  # each has the one below it twice: 2**60 leaves
        builder.StartVector(4, 2, 4)
        builder.PrependUOffsetTRelative(node)
        builder.PrependUOffsetTRelative(node)
        children = builder.EndVector()
        builder.StartObject(2)
        builder.PrependInt8Slot(0, 2, 0)
        builder.PrependUOffsetTRelativeSlot(1, children, 0)
        node = builder.EndObject()
    builder.Finish(node)
    with pytest.raises(exported_tables.Malformed, match="used several times"):
        exported_tables.from_bytes(tree, bytes(builder.Output()))


def crash_test(count, seed):
    """Modules that were changed: jaxlib's reader may crash, and this process does not."""
    blob = without_sum(export.export(pullback.jit(jnp.sin))(X).serialize())
    start = blob.index(b"ML\xef")
    random = np.random.default_rng(seed)
    for _ in range(count):
        module = damaged(blob[start:], random)
        try:
            export.deserialize(blob[:start] + bytes(module))
        except ValueError as mistake:
            assert FOREIGN in str(mistake)


def test_a_damaged_module_without_checksum():
    crash_test(8, 0)


@pytest.mark.fuzz
def test_damaged_modules_without_checksum():
    crash_test(300, 1)


def test_descriptions_are_checked():
    values = exported_files._described(exported(0)._part())
    data = exported_tables.to_bytes(exported_files._PROGRAM, values)
    assert export.deserialize(data).fun_name == "f"
    t = values["types"][0]
    wrong = [
        {"fun_name": None},
        {"platforms": []},
        {"in_numbers": [0]},
        {"in_numbers": [0, 9]},
        {"types": [{**t, "shape": ["3", "4"]}, *values["types"][1:]]},
        {"types": [{**t, "shape": ["3", "4 +"]}, *values["types"][1:]]},
        {"types": [{**t, "shape": ["3", "1 // 0"]}, *values["types"][1:]]},
        {"types": [{**t, "dtype": 99}, *values["types"][1:]]},
        {"types": [{**t, "kind": 1}, *values["types"][1:]]},
        {"kept": [0, 0]},
        {"kept": [0, 2]},
        {"kept": [0]},
        {"in_tree": {"kind": 9}},
        {"in_tree": None},
        {"out_tree": {"kind": 4, "children": [{"kind": 0}], "names": ["a", "b"]}},
        {"convention": 8},
        {"artifact": b""},
    ]
    for change in wrong:
        data = exported_tables.to_bytes(exported_files._PROGRAM, values | change)
        with pytest.raises(ValueError, match=FOREIGN):
            export.deserialize(data)
    effect = {"ordered_effects": [{"name": "<class 'Printing'>"}]}
    data = exported_tables.to_bytes(exported_files._PROGRAM, values | effect)
    with pytest.raises(NotImplementedError, match="the program has effects") as caught:
        export.deserialize(data)
    assert "'f' with <class 'Printing'>" in str(caught.value)


def test_programs_for_several_devices_are_read_and_not_run():
    values = exported_files._described(exported(0)._part())
    data = exported_tables.to_bytes(exported_files._PROGRAM, values | {"devices": 8})
    e = export.deserialize(data)
    assert e.nr_devices == 8
    for use in (lambda: e.call(X, OPTIONS), e.serialize):
        with pytest.raises(NotImplementedError, match="a program for several devices is not run"):
            use()


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
    with pytest.raises(ValueError, match="unknown platforms"):
        export.export(pullback.jit(f), platforms=["cpu", "cpu"])
    with pytest.raises(TypeError, match="disabled_checks has something else than checks"):
        export.export(pullback.jit(f), disabled_checks=["platform"])
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

    excused = [export.DisabledSafetyCheck.platform()]
    e = export.export(pullback.jit(jnp.sin), platforms=["cuda"], disabled_checks=excused)(X)
    e = export.deserialize(e.serialize())
    assert (str(e.disabled_safety_checks), e.platforms) == ("(platform,)", ("cuda",))
    for run in (e.call, pullback.jit(e.call, engine="xla")):
        np.testing.assert_allclose(run(X), np.sin(X), rtol=1e-6)
    custom = export.DisabledSafetyCheck.custom_call("name")
    assert custom.is_custom_call() == "name" and excused[0].is_custom_call() is None
    assert custom == export.DisabledSafetyCheck.custom_call("name") != excused[0]


def test_a_program_for_several_platforms():
    def g(x, key):
        return jnp.linalg.cholesky(x @ x.T + jnp.eye(3)), pullback.random.split(key)[1]

    key = pullback.random.key(0)
    made = export.export(pullback.jit(g), platforms=["cuda", "cpu"])(X, key)
    e = export.deserialize(made.serialize())
    assert e.platforms == ("cuda", "cpu") and e.uses_global_constants
    for run in (made.call, e.call, pullback.jit(e.call, engine="xla")):
        found, wanted = run(X, key), g(X, key)
        np.testing.assert_allclose(found[0], wanted[0], rtol=1e-5, atol=1e-6)
        assert (pullback.random.key_data(found[1]) == pullback.random.key_data(wanted[1])).all()
