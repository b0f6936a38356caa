"""Exported programs go from Pullback to JAX and back: jax.export reads and runs the same bytes."""

from __future__ import annotations

from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import pullback
from pullback import export

pytest.importorskip("jaxlib", reason="exporting needs jaxlib")
pytest.importorskip("flatbuffers", reason="exporting needs flatbuffers")
jax = pytest.importorskip("jax", reason="the peer")
peer = pytest.importorskip("jax.export", reason="the peer")

X = np.linspace(0.1, 1.0, 9, dtype=np.float32).reshape(3, 3)
ONE = {"s": np.float32(2)}


def function(library):
    """The same function of Pullback or JAX."""
    jnp = library.numpy

    def f(x, o):
        square = jnp.linalg.cholesky(x @ x.T + 3 * jnp.eye(3, dtype=x.dtype))
        return {"a": jnp.sin(x @ x) * o["s"], "b": [square, None, (x.sum(),)]}

    return f


def loss(call):
    def of(x):
        out = call(x, ONE)
        return out["a"].sum() + out["b"][0].sum()

    return of


def second(library, call):
    slope = library.grad(loss(call))
    return library.grad(lambda x: (slope(x) ** 2).sum())(X)


def close(found, wanted):
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=1e-5, atol=2e-6)


def same(found, wanted):
    assert (
        sorted(found) == ["a", "b"] and found["b"][1] is None and isinstance(found["b"][2], tuple)
    )
    close(found["a"], wanted["a"])
    close(found["b"][0], wanted["b"][0])
    close(found["b"][2][0], wanted["b"][2][0])


def check(library, call):
    theirs = function(jax)
    same(call(X, ONE), theirs(X, ONE))
    close(library.grad(loss(call))(X), jax.grad(loss(theirs))(X))
    close(second(library, call), second(jax, theirs))


def test_jax_reads_ours_and_we_read_what_it_writes_again():
    made = export.export(pullback.jit(function(pullback)))(X, ONE)
    there = peer.deserialize(made.serialize(vjp_order=2))
    assert str(there.in_avals) == "(ShapedArray(float32[3,3]), ShapedArray(float32[]))"
    assert (there.fun_name, there.platforms, there.nr_devices) == ("f", ("cpu",), 1)
    check(jax, there.call)
    check(jax, jax.jit(there.call))
    check(pullback, export.deserialize(there.serialize(vjp_order=2)).call)


@pytest.mark.parametrize("version", [9, 10])
def test_we_read_those_of_jax(version):
    before = jax.config.jax_export_calling_convention_version
    jax.config.update("jax_export_calling_convention_version", version)
    try:
        blob = peer.export(jax.jit(function(jax)))(X, ONE).serialize(vjp_order=2)
    finally:
        jax.config.update("jax_export_calling_convention_version", before)
    e = export.deserialize(blob)
    assert e.calling_convention_version == version
    check(pullback, e.call)
    check(pullback, pullback.jit(e.call, engine="xla"))
    again = export.deserialize(e.serialize(vjp_order=1))
    close(pullback.grad(loss(again.call))(X), jax.grad(loss(function(jax)))(X))


def between(ours, theirs, args, kwargs=()):
    """What JAX computes of our bytes, and we of those of JAX."""
    kwargs = dict(kwargs)
    made = export.export(pullback.jit(ours))(*args, **kwargs).serialize(vjp_order=1)
    yield peer.deserialize(made).call(*args, **kwargs)
    made = peer.export(jax.jit(theirs))(*args, **kwargs).serialize(vjp_order=1)
    yield export.deserialize(made).call(*args, **kwargs)


def test_random_keys():
    def uses(library):
        random = library.random
        return lambda k: (random.split(k), random.normal(k, (3,)), random.key_data(k))

    ours, theirs = pullback.random.key(3), jax.random.key(3)
    there = peer.deserialize(export.export(pullback.jit(uses(pullback)))(ours).serialize())
    here = export.deserialize(peer.export(jax.jit(uses(jax)))(theirs).serialize())
    wanted = uses(jax)(theirs)
    for found, library in (
        (there.call(theirs), jax),
        (here.call(ours), pullback),
        (pullback.jit(here.call, engine="xla")(ours), pullback),
    ):
        close(library.random.key_data(found[0]), jax.random.key_data(wanted[0]))
        close(found[1], wanted[1])
        close(found[2], wanted[2])


def test_several_platforms_and_an_argument_that_is_not_used():
    def theirs(x, unused):
        return jax.numpy.linalg.cholesky(x) + jax.lax.platform_dependent(
            x, cpu=lambda x: x, default=lambda x: x + 1
        )

    x = 2 * np.eye(3, dtype=np.float32)
    wanted = np.linalg.cholesky(x) + x
    blob = peer.export(jax.jit(theirs), platforms=("cuda", "cpu"))(x, 1.0).serialize()
    e = export.deserialize(blob)
    assert e.module_kept_var_idx == (0,) and e.uses_global_constants
    for run in (e.call, pullback.jit(e.call, engine="xla")):
        close(run(x, 1.0), wanted)
    made = export.export(pullback.jit(pullback.numpy.linalg.cholesky), platforms=("cuda", "cpu"))(x)
    there = peer.deserialize(made.serialize(vjp_order=1))
    close(there.call(x), np.linalg.cholesky(x))
    slope = jax.grad(lambda x: jax.numpy.linalg.cholesky(x).sum())(x)
    close(jax.grad(lambda x: there.call(x).sum())(x), slope)


Two = namedtuple("Two", "u v")


class Named:
    def __init__(self, x, name):
        self.x, self.name = x, name


for _library, _export in ((jax, peer), (pullback, export)):
    _export.register_namedtuple_serialization(Two, serialized_name="peer.Two")
    _library.tree_util.register_pytree_node(
        Named, lambda n: ((n.x,), n.name), lambda name, parts: Named(*parts, name)
    )
    _export.register_pytree_node_serialization(
        Named,
        serialized_name="peer.Named",
        serialize_auxdata=str.encode,
        deserialize_auxdata=bytes.decode,
    )


def test_containers():
    def f(p, o, *, k):
        return Two(p.v, p.u), Named(o["x"], "hey"), OrderedDict(z=o["y"], a=k), {"q": [], "e": None}

    args = Two(X, 2 * X), OrderedDict(y=np.float32(1), x=np.int32(3))
    for found in between(f, f, args, {"k": np.float32(2)}):
        pair, named, ordered, rest = found
        assert isinstance(pair, Two) and (named.name, list(ordered)) == ("hey", ["z", "a"])
        assert rest == {"q": [], "e": None} and int(named.x) == 3 and float(ordered["a"]) == 2
        close(pair.u, 2 * X)


@pytest.mark.parametrize(
    "dtype",
    [
        "bool",
        "uint8",
        "int16",
        "int4",
        "uint4",
        "float16",
        "bfloat16",
        "complex64",
        "float8_e4m3fn",
        "float8_e5m2",
        "float8_e4m3b11fnuz",
        "float4_e2m1fn",
    ],
)
def test_dtypes(dtype):
    def f(x):
        return x, (x + x).real.astype("float32")

    x = np.array([1, 0, 1], np.float32).astype(dtype)
    for found in between(f, f, (x,)):
        assert found[0].dtype == x.dtype and (np.asarray(found[0]) == x).all()
        close(found[1], [1, 0, 1] if dtype == "bool" else [2, 0, 2])


def test_integers_have_derivatives_of_float0():
    def f(x, n):
        return x * n

    n = np.int32(3)
    for library, other, a, b in ((pullback, jax, export, peer), (jax, pullback, peer, export)):
        call = b.deserialize(a.export(library.jit(f))(X, n).serialize(vjp_order=1)).call
        close(other.grad(lambda x, call=call: call(x, n).sum())(X), np.full((3, 3), 3))


# ---- lengths that are expressions


def symbolic(x, y):
    jnp = jax.numpy
    scanned = jax.lax.scan(lambda c, a: (c + a, c), x[0], x)[1]
    made = jnp.arange(x.shape[0]), jnp.ones((2 * x.shape[0], 3)), jnp.pad(x, ((0, 1), (0, 0)))
    return jnp.sin(x) @ y, x.reshape(-1), jax.nn.softmax(x).mean(), jnp.sort(x, 0), *made, scanned


@pytest.fixture(scope="module")
def with_symbols():
    (b,) = peer.symbolic_shape("b")
    types = [jax.ShapeDtypeStruct(s, "float32") for s in ((b, 4), (4, b))]
    return export.deserialize(peer.export(jax.jit(symbolic))(*types).serialize(vjp_order=2))


def test_symbolic_lengths_of_jax(with_symbols):
    e = with_symbols
    assert str(e.in_avals) == "(ShapedArray(float32[b,4]), ShapedArray(float32[4,b]))"
    assert [t.str_short() for t in e.out_avals[1:5]] == ["f32[4*b]", "f32[]", "f32[b,4]", "i32[b]"]
    random = np.random.default_rng(0)
    for n in (1, 5):
        x, y = random.random((2, n, 4), np.float32)
        args = x, y.T
        wanted = symbolic(*args)
        for call in (e.call, pullback.jit(e.call), pullback.jit(e.call, engine="xla")):
            for a, b in zip(call(*args), wanted, strict=True):
                assert (a.shape, a.dtype) == (b.shape, b.dtype)
                close(a, b)

        slopes = [symbolic_slopes(*p, y.T) for p in ((pullback, e.call), (jax, symbolic))]
        for slope in (0, 1):
            close(slopes[0][slope](x), slopes[1][slope](x))


def symbolic_slopes(library, call, y):
    """The first and the second derivative by x of a number."""

    def value(x):
        out = call(x, y)
        return (out[0] ** 2).sum() + out[2]

    return library.grad(value), library.grad(lambda x: (library.grad(value)(x) ** 2).sum())


def test_symbolic_lengths_in_vmap_and_in_files_again(with_symbols):
    ones = np.ones((2, 3, 4), np.float32), np.ones((2, 4, 3), np.float32)
    assert pullback.vmap(with_symbols.call)(*ones)[0].shape == (2, 3, 3)
    blob = with_symbols.serialize(vjp_order=1)
    for call in (export.deserialize(blob).call, peer.deserialize(blob).call):
        close(call(ones[0][0], ones[1][0])[0], symbolic(ones[0][0], ones[1][0])[0])


def test_symbolic_lengths_that_do_not_fit(with_symbols):
    text = r"^Input shapes do not match the polymorphic shapes specification\. Found inconsistency "
    with pytest.raises(ValueError, match=text) as caught:
        with_symbols.call(np.ones((2, 4), np.float32), np.ones((4, 3), np.float32))
    assert "args[1].shape[1] (= 3) and the specification 'b' (= 2)" in str(caught.value)
    with pytest.raises(ValueError, match=r"^Shape mismatch for args\[0\]\.shape\[1\]"):
        with_symbols.call(np.ones((2, 5), np.float32), np.ones((4, 2), np.float32))
    with pytest.raises(ValueError, match=r"^Rank mismatch for args\[0\]"):
        with_symbols.call(np.ones(2, np.float32), np.ones((4, 2), np.float32))


def test_expressions_and_conditions_of_jax():
    a, c = peer.symbolic_shape("a, 2*c", constraints=["a >= 3", "a >= c"])
    types = [jax.ShapeDtypeStruct(s, "float32") for s in ((a, c), (a * 3 - 1,))]
    e = peer.export(jax.jit(lambda x, y: (x[: x.shape[0] // 2, ::2], y + 1)))(*types)
    e = export.deserialize(e.serialize())
    x, y = np.arange(24, dtype=np.float32).reshape(4, 6), np.ones(11, np.float32)
    found = e.call(x, y)
    close(found[0], x[:2, ::2])
    close(found[1], y + 1)
    wrong = [
        ((np.ones((2, 2), np.float32), np.ones(5, np.float32)), "constraint a >= 3"),
        ((np.ones((3, 8), np.float32), np.ones(8, np.float32)), "constraint a >= c"),
        ((np.ones((4, 3), np.float32), y), "Division had remainder 1"),
        ((x, np.ones(10, np.float32)), "requires the same shape"),
    ]
    for args, text in wrong:
        with pytest.raises(ValueError, match=text):
            e.call(*args)


def test_jax_reads_our_symbolic_lengths():
    (b,) = export.symbolic_shape("b")
    types = [pullback.ShapeDtypeStruct(s, "float32") for s in ((b, 4), (4, b))]

    def f(x, y):
        jnp = pullback.numpy
        return jnp.sin(x) @ y, x.reshape(-1), pullback.nn.softmax(x).mean()

    there = peer.deserialize(export.export(pullback.jit(f))(*types).serialize(vjp_order=2))
    assert str(there.out_avals[1]) == "float32[4*b]"
    for n in (1, 3):
        x, y = np.random.default_rng(n).random((2, n, 4), np.float32)
        for found, wanted in zip(there.call(x, y.T), f(x, y.T), strict=True):
            close(found, wanted)
        slopes = [symbolic_slopes(*p, y.T) for p in ((jax, there.call), (pullback, f))]
        for slope in (0, 1):
            close(slopes[0][slope](x), slopes[1][slope](x))
    with pytest.raises(ValueError, match="do not match"):
        there.call(np.ones((2, 4), np.float32), np.ones((4, 3), np.float32))
