"""ufuncs: their methods against NumPy's, derivatives, messages; and signatures beside JAX's."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import peer
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback.test_util import check_grads

BINARY = ["add", "subtract", "multiply", "maximum", "minimum", "logaddexp", "logaddexp2",
          "logical_and", "logical_or", "logical_xor", "bitwise_and", "bitwise_or",
          "bitwise_xor"]  # fmt: skip


def draw(name, shape):
    rng = np.random.default_rng(sum(map(ord, name)))
    if name.startswith("bit"):
        return rng.integers(0, 16, shape).astype(np.int32)
    if name.startswith("logical"):
        return rng.integers(0, 2, shape).astype(bool)
    return rng.uniform(0.5, 1.5, shape).astype(np.float32)


def compare(ours, numpys, *args):
    for function in (ours, pb.jit(ours)):
        got, want = function(*args), numpys(*args)
        np.testing.assert_allclose(got, want, rtol=1e-5)
        assert got.shape == np.shape(want)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("axis", [0, 1, -1, None])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reduce(name, axis, keepdims):
    x, own, numpys = draw(name, (3, 4)), getattr(jnp, name), getattr(np, name)
    if axis is None and name == "subtract":  # NumPy refuses: it takes axes in any order
        want = np.subtract.reduce(x.ravel(), keepdims=False)
        np.testing.assert_allclose(own.reduce(x, axis=None), want, rtol=1e-5)
        return
    compare(
        lambda x: own.reduce(x, axis, keepdims=keepdims),
        lambda x: numpys.reduce(x, axis, keepdims=keepdims),
        x,
    )


@pytest.mark.parametrize("name", BINARY)
def test_reduce_with_a_mask_and_a_start(name):
    x, own, numpys = draw(name, (3, 4)), getattr(jnp, name), getattr(np, name)
    mask, start = np.arange(12).reshape(3, 4) % 3 > 0, x.dtype.type(1)
    compare(
        lambda x: own.reduce(x, 1, where=mask, initial=start),
        lambda x: numpys.reduce(x, 1, where=mask, initial=start),
        x,
    )
    if own.identity is None:
        with pytest.raises(ValueError):
            own.reduce(x, where=mask)
        with pytest.raises(ValueError, match="no identity"):
            own.reduce(x[:0])
    else:
        compare(
            lambda x: own.reduce(x, 0, where=mask), lambda x: numpys.reduce(x, 0, where=mask), x
        )
        assert own.reduce(x[:0]).tolist() == numpys.reduce(x[:0]).tolist()


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("axis", [0, 1])
def test_accumulate(name, axis):
    x, own, numpys = draw(name, (3, 4)), getattr(jnp, name), getattr(np, name)
    compare(lambda x: own.accumulate(x, axis), lambda x: numpys.accumulate(x, axis), x)
    assert own.accumulate(x[:, :0], 1).shape == (3, 0)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("places", [[0, 2, 1], [3, 3, 0], [1], [0, 1, 2, 3]])
def test_reduceat(name, places):
    x, own, numpys = draw(name, (2, 4)), getattr(jnp, name), getattr(np, name)
    compare(
        lambda x, i: own.reduceat(x, i, axis=1), lambda x, i: numpys.reduceat(x, i, axis=1),
        x, np.array(places),
    )  # fmt: skip


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("index", [0, (1, 2), "array", "pairs", slice(1, None)])
def test_at(name, index):
    x, own, numpys = draw(name, (3, 4)), getattr(jnp, name), getattr(np, name)
    if index == "array":
        index = np.array([2, 0, 2])
    elif index == "pairs":
        index = (np.array([0, 1, 0]), np.array([1, 1, 1]))
    b, want = draw(name + "b", x[index].shape).astype(x.dtype), x.copy()
    numpys.at(want, index, b)
    np.testing.assert_allclose(own.at(jnp.asarray(x), index, b, inplace=False), want, rtol=1e-5)


@pytest.mark.parametrize("name", BINARY)
def test_outer(name):
    x, y = draw(name, (2, 3)), draw(name, (4,))
    own, numpys = getattr(jnp, name), getattr(np, name)
    compare(own.outer, numpys.outer, x, y)
    with pb.numpy_rank_promotion("raise"):
        assert own.outer(x, y).shape == (2, 3, 4)


@pytest.mark.parametrize("name", [*BINARY, "negative"])
def test_attributes(name):
    own, numpys = getattr(jnp, name), getattr(np, name)
    assert isinstance(own, jnp.ufunc) and own.nin == numpys.nin and own.nout == numpys.nout
    identity = None if numpys.identity == np.inf else numpys.identity
    assert own.identity == identity or (identity is None and own.identity is None)
    assert pickle.loads(pickle.dumps(own)) is own and own.__name__ == name
    if peer.INSTALLED:
        import jax.numpy

        theirs = getattr(jax.numpy, name)
        assert (own.identity, own.nargs) == (theirs.identity, theirs.nargs)


def test_others_are_no_ufuncs():
    assert not isinstance(jnp.sum, jnp.ufunc) and not isinstance(1, jnp.ufunc)
    assert not isinstance(jnp.divide, jnp.ufunc)  # as in JAX


def test_the_dtypes_of_reductions():
    x = jnp.arange(6, dtype=jnp.int8).reshape(2, 3)
    assert jnp.add.reduce(x).dtype == jnp.int32 and jnp.subtract.reduce(x).dtype == jnp.int8
    assert jnp.add.accumulate(x).dtype == jnp.int8
    assert jnp.multiply.reduce(x, dtype="float32").dtype == jnp.float32
    assert jnp.maximum.reduce(x, dtype="int32").dtype == jnp.int32
    assert jnp.logical_and.reduce(x, initial=False).tolist() == [False] * 3
    assert jnp.add.reduce(x, axis=(0, 1)) == 15


TWICE = jnp.frompyfunc(lambda a, b: 2 * a + b, 2, 1)


def test_frompyfunc():
    x = np.arange(1.0, 5.0, dtype=np.float32)
    assert isinstance(TWICE, jnp.ufunc) and repr(TWICE) == "<jnp.ufunc '<lambda>'>"
    assert TWICE(x, 1.0).tolist() == [3, 5, 7, 9]
    assert TWICE.reduce(x) == ((1 * 2 + 2) * 2 + 3) * 2 + 4
    assert TWICE.accumulate(x).tolist() == [1, 4, 11, 26]
    assert TWICE.reduceat(x, np.array([0, 2])).tolist() == [4, 10]
    assert TWICE.at(x, np.array([0, 0]), 1.0, inplace=False).tolist() == [7, 2, 3, 4]
    assert TWICE.outer(x, x).shape == (4, 4)
    both = jnp.frompyfunc(lambda a: (a, a + 1), 1, 2)
    assert [y.tolist() for y in both(x[:2])] == [[1, 2], [2, 3]]
    assert jnp.frompyfunc(jnp.add, 2, 1, identity=0).reduce(x[:0]) == 0
    assert jnp.frompyfunc(abs, 1, 1) == jnp.frompyfunc(abs, 1, 1)
    assert len({jnp.frompyfunc(abs, 1, 1), jnp.frompyfunc(abs, 1, 1)}) == 1


METHODS = {
    "reduce": lambda f, x: f.reduce(x, 1),
    "accumulate": lambda f, x: f.accumulate(x, 1),
    "reduceat": lambda f, x: f.reduceat(x, np.array([0, 2]), axis=1),
    "at": lambda f, x: f.at(x, np.array([0, 0]), x[1], inplace=False),
    "outer": lambda f, x: f.outer(x[0], x[1]),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["add", "subtract", "logaddexp", "own"])
def test_derivatives_and_vmap(method, name):
    f = TWICE if name == "own" else getattr(jnp, name)
    x = np.random.default_rng(0).uniform(0.5, 1.5, (2, 4))
    with pb.enable_x64():
        check_grads(lambda x: METHODS[method](f, jnp.asarray(x)), (x,), order=2)
        batch = np.stack([x, 2 * x, x + 1])
        got = pb.vmap(lambda x: METHODS[method](f, x))(batch)
        np.testing.assert_allclose(got, [METHODS[method](f, jnp.asarray(x)) for x in batch])


X = jnp.ones((2, 3))

WRONG = [
    (lambda: jnp.negative.reduce(X), ValueError, "reduce only supported for binary ufuncs"),
    (lambda: jnp.subtract.reduce(X, axis=(0, 1)), NotImplementedError, "works along one axis"),
    (lambda: jnp.subtract.reduce(X, axis=2), ValueError, "out of bounds"),
    (lambda: jnp.subtract.reduce(X, out=X), NotImplementedError, "'out' argument"),
    (lambda: jnp.add.at(X, 0, 1.0), NotImplementedError, "cannot operate inplace"),
    (lambda: jnp.add.reduceat(X, 1), ValueError, "must be one-dimensional"),
    (lambda: jnp.add.reduceat(X, jnp.array([0.0])), ValueError, "integers"),
    (lambda: jnp.add.reduceat(X, jnp.array([0]), None), NotImplementedError, "one axis"),
    (lambda: TWICE(X), TypeError, "takes 2 positional arguments but 1 were given"),
    (lambda: TWICE(X, X, where=X > 0), NotImplementedError, "where argument of <jnp.ufunc"),
    (lambda: jnp.frompyfunc(1, 2, 1), TypeError, "takes a function"),
]


@pytest.mark.parametrize(("call", "kind", "text"), WRONG)
def test_messages(call, kind, text):
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value) and "  Fix: " in str(caught.value)


# ---- signatures

DIFFERENT = {
    **dict.fromkeys(BINARY, "functions, which take no out= and where=: JAX refuses these"),
    "negative": "a function, which takes no out= and where=",
    "array": "copy, order and ndmin by position are deprecated in JAX",
    "einsum": "_dot_general is JAX's own",
    "pad": "the name of what is left over",
    "savez": "NumPy's",
    "set_printoptions": "NumPy's",
}


def parameters(function):
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    by_place = inspect.Parameter.POSITIONAL_ONLY
    return [("" if p.kind is by_place else p.name, p.kind.name, str(p.default)) for p in found]


@pytest.mark.skipif(not peer.INSTALLED, reason="the real JAX is not installed")
@pytest.mark.parametrize("module", ["numpy", "numpy.linalg", "numpy.fft"])
def test_signatures_are_those_of_jax(module):
    import jax.numpy

    ours, theirs = pb, jax
    for part in module.split("."):
        ours, theirs = getattr(ours, part), getattr(theirs, part)
    different = {}
    for name in dir(theirs):
        function = getattr(theirs, name)
        if name[0] == "_" or inspect.isclass(function) or not callable(function):
            continue
        if name in DIFFERENT and module == "numpy":
            continue
        have, want = parameters(getattr(ours, name)), parameters(function)
        if None not in (have, want) and have != want:
            different[name] = (want, have)
    assert not different
