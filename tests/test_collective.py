"""Collective operations: every property of other primitives, seen from around the vmap; and JAX."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import peer
import properties
import pytest
from examples.base import Example, F, distinct

import pullback
import pullback.lax
from pullback.core.settings import enable_x64
from pullback.ops import collective as c
from pullback.ops.structural import to_front
from pullback.transforms import batch


@pytest.fixture(autouse=True)
def x64():
    with enable_x64():
        yield


class Around:
    """`operation` under a vmap with the axis "i" over the first axis of its argument."""

    multiple_results = False

    def __init__(self, operation):
        self.operation, self.name = operation, operation.name

    def __call__(self, x, **params):
        def one(y):
            return [self.operation(y, axis_names=("i",), **params)]

        outs, axes = batch.vmap(one, x.shape[0], [x], [0], "i")
        return to_front(outs[0], axes[0], x.shape[0])


def _around(operation, spec, params=None, **options):
    given = {"axis_size": 3, **params} if params and "tiled" in params else params
    return Example(Around(operation), [spec], given, dtypes=("float64", "complex128"), **options)


REAL = ("float64",)
LINEAR = [
    _around(c.psum, F(3, 2), linear_in=(0,)),
    _around(c.ppermute, F(3, 2), {"perm": ((0, 1), (1, 2), (2, 0))}, linear_in=(0,), id="ring"),
    _around(c.ppermute, F(3), {"perm": ((0, 2), (2, 1))}, linear_in=(0,), id="some"),
    _around(c.all_gather, F(3, 2), {"axis": 1, "tiled": False}, linear_in=(0,)),
    _around(c.all_gather, F(3, 2), {"axis": 0, "tiled": True}, linear_in=(0,), id="tiled"),
    _around(c.psum_scatter, F(3, 2, 3), {"axis": 1, "tiled": False}, linear_in=(0,)),
    _around(c.psum_scatter, F(3, 6), {"axis": 0, "tiled": True}, linear_in=(0,), id="tiled"),
]
EXCHANGES = [
    _around(
        c.all_to_all,
        F(3, *shape),
        {"split_axis": split, "concat_axis": concat, "tiled": tiled},
        linear_in=(0,),
        id=f"{split}-{concat}{'-tiled' if tiled else ''}",
    )
    for shape, split, concat, tiled in [
        ((3, 2), 0, 0, False),
        ((3, 2), 0, 1, False),
        ((2, 3), 1, 0, False),
        ((6, 2), 0, 1, True),
        ((2, 6), 1, 0, True),
    ]
]
GROUPS = ((0, 2), (3, 1))
UNEVEN = ((2,), (3, 0, 1))
EXCHANGES += [
    _around(c.group_exchange, F(4, 2, 3), {"groups": GROUPS}, linear_in=(0,), id="even"),
    _around(c.group_exchange, F(4, 3, 2), {"groups": UNEVEN}, linear_in=(0,), id="uneven"),
]
EXTREMA = [_around(op, distinct(3, 2)) for op in (c.pmax, c.pmin)]
for _example in EXTREMA:
    _example.dtypes = tuple(map(np.dtype, REAL))

NAMES = [n for n in properties.PROPERTIES if n not in ("typing", "lower", "peer")]
CASES = [
    pytest.param(e, d, id=properties.label(e, d))
    for e in LINEAR + EXCHANGES + EXTREMA
    for d in e.dtypes
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("example", "dtype"), CASES)
def test_property(example, dtype, name):
    properties.PROPERTIES[name](example, dtype)


@pytest.mark.parametrize(("example", "dtype"), CASES)
def test_typing_says_what_the_vmap_gives(example, dtype):
    x = properties.arrays(example.args(dtype))[0]
    params = {**example.params(dtype), "axis_names": ("i",)}
    out = example.primitive(x, **example.params(dtype))
    said = example.primitive.operation.typing(x.aval.without_axis(0), **params)
    assert said == out.aval.without_axis(0)


# ---- against JAX, through the public functions


def _functions(lax, numpy):
    """Functions of one element: losses that mix collectives with other operations."""
    return {
        "psum": lambda x: lax.psum(x, "i"),
        "pmean-squared": lambda x: lax.pmean(x, "i") ** 2,
        "share": lambda x: numpy.sum(x / lax.psum(x, "i")),
        "pmax": lambda x: numpy.sum(x * lax.pmax(x, "i")),
        "index": lambda x: numpy.sum(x * x) * lax.axis_index("i"),
        "ring": lambda x: numpy.sum(x * lax.ppermute(x, "i", [(0, 1), (1, 2), (2, 0)])),
        "gather": lambda x: numpy.sum(lax.all_gather(x, "i") ** 2) * x[0],
        "scatter": lambda x: numpy.sum(lax.psum_scatter(x, "i") * x),
        "exchange": lambda x: numpy.sum(lax.all_to_all(x, "i", 0, 0) * x),
        "size": lambda x: numpy.sum(x) * lax.psum(1, "i"),
    }


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
@pytest.mark.parametrize("name", _functions(None, None))
def test_against_jax(name):
    import jax

    x = np.random.default_rng(4).uniform(0.5, 2, (3, 3))
    ours = _functions(pullback.lax, pullback.numpy)[name]
    with jax.enable_x64(True), warnings.catch_warnings(action="ignore"):
        theirs = _functions(jax.lax, jax.numpy)[name]
        # JAX has no derivative of pmax.
        for transformed in TRANSFORMED[:2] if name == "pmax" else TRANSFORMED:
            want = np.asarray(transformed(jax, theirs)(x))
            got = np.asarray(transformed(pullback, ours)(x))
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def _value(api, f):
    return api.vmap(f, axis_name="i")


def _sum_inside(api, f):
    return api.vmap(api.grad(lambda x: api.numpy.sum(f(x))), axis_name="i")


def _sum_outside(api, f):
    return api.grad(lambda x: api.numpy.sum(api.vmap(f, axis_name="i")(x)))


def _compiled(api, f):
    return api.jit(_sum_inside(api, f))


def _twice(api, f):
    nested = functools.partial(_value, api, f)
    return lambda x: api.vmap(nested())(x[None] * api.numpy.array([1.0, 2.0])[:, None, None])


TRANSFORMED = (_value, _twice, _sum_inside, _sum_outside, _compiled)


# ---- in groups


def _in_groups(lax, numpy, groups):
    """Functions of one element of shape (2, 4)."""
    g = {"axis_index_groups": groups}
    return {
        "psum": lambda x: lax.psum(x**2, "i", **g) * x,
        "pmean": lambda x: lax.pmean(x, "i", **g) * x,
        "pmax": lambda x: lax.pmax(x, "i", **g),
        "pmin": lambda x: lax.pmin(x, "i", **g),
        "count": lambda x: x * lax.psum(1, "i", **g),
        "gather": lambda x: lax.all_gather(x * x, "i", axis=1, **g),
        "gather tiled": lambda x: lax.all_gather(x * x, "i", axis=1, tiled=True, **g),
        "scatter": lambda x: lax.psum_scatter(x * x, "i", **g),
        "scatter tiled": lambda x: lax.psum_scatter(x, "i", scatter_dimension=1, tiled=True, **g),
        "exchange": lambda x: lax.all_to_all(x * x, "i", 0, 1, **g),
        "exchange tiled": lambda x: lax.all_to_all(x, "i", 1, 0, tiled=True, **g),
        "swap": lambda x: lax.pswapaxes(x, "i", 0, **g),
    }


def _by_hand(name, xs, groups):
    """The same by loops over NumPy arrays."""
    out = [None] * len(xs)
    for group in groups:
        for k, i in enumerate(group):
            out[i] = _of_member(name, xs[list(group)], k)
    return np.stack(out)


def _of_member(name, xs, k):
    """What the k-th of a group gets."""
    x, n, squares = xs[k], len(xs), xs * xs
    return {
        "psum": lambda: squares.sum(0) * x,
        "pmean": lambda: xs.mean(0) * x,
        "pmax": lambda: xs.max(0),
        "pmin": lambda: xs.min(0),
        "count": lambda: x * n,
        "gather": lambda: np.stack(squares, 1),
        "gather tiled": lambda: np.concatenate(squares, 1),
        "scatter": lambda: sum(y[k] for y in squares),
        "scatter tiled": lambda: sum(np.split(y, n, 1)[k] for y in xs),
        "exchange": lambda: np.stack([y[k] for y in squares], 1),
        "exchange tiled": lambda: np.concatenate([np.split(y, n, 1)[k] for y in xs], 0),
        "swap": lambda: np.stack([y[k] for y in xs], 0),
    }[name]()


@pytest.mark.parametrize("groups", [GROUPS, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize("name", _in_groups(None, None, None))
def test_groups(name, groups):
    xs = np.random.default_rng(5).uniform(-2, 2, (4, 2, 4))
    f = _in_groups(pullback.lax, pullback.numpy, groups)[name]
    if groups is UNEVEN and ("ga" in name or "sca" in name or "ex" in name or name == "swap"):
        with pytest.raises(ValueError, match="needs axis_index_groups of one size"):
            pullback.vmap(f, axis_name="i")(xs)
        return
    mapped = pullback.vmap(f, axis_name="i")
    np.testing.assert_allclose(mapped(xs), _by_hand(name, xs, groups), rtol=1e-12)
    np.testing.assert_allclose(pullback.jit(mapped)(xs), _by_hand(name, xs, groups), rtol=1e-12)
    both = pullback.vmap(mapped)(np.stack([xs, xs + 1]))
    np.testing.assert_allclose(both[1], _by_hand(name, xs + 1, groups), rtol=1e-12)
    pullback.test_util.check_grads(mapped, (xs,), order=1)


def test_groups_that_are_wrong():
    def summed(groups):
        return pullback.vmap(
            lambda x: pullback.lax.psum(x, "i", axis_index_groups=groups), axis_name="i"
        )(np.arange(4.0))

    for groups in ([[0, 1]], [[0, 1], [1, 2, 3]], [[0, 1, 2, 4]], [[0, 1, 2, 3], []]):
        with pytest.raises(ValueError, match=r"^axis_index_groups must cover all indices exactly"):
            summed(groups)
