"""map_coordinates and RegularGridInterpolator against SciPy and JAX."""

import functools

import numpy as np
import peer
import pytest
import scipy.interpolate
import scipy.ndimage

from pullback import numpy as jnp
from pullback import tree_util
from pullback.api import grad
from pullback.jit import jit
from pullback.mapping import vmap
from pullback.scipy.interpolate import RegularGridInterpolator
from pullback.scipy.ndimage import map_coordinates
from pullback.test_util import check_grads

MODES = ("constant", "nearest", "wrap", "mirror", "reflect")
SCIPY_MODE = {"constant": "grid-constant", "wrap": "grid-wrap"}
"""What "constant" and "wrap" mean here, SciPy does under other names."""


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# ---- map_coordinates


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", [0, 1])
def test_map_coordinates(mode, order, x64):
    rng = np.random.default_rng(1)
    for shape in ((7,), (4, 5), (3, 1, 4)):
        x = values(*shape)
        places = rng.uniform(-9, 12, (len(shape), 3, 11))
        want = scipy.ndimage.map_coordinates(
            x, places, order=order, mode=SCIPY_MODE.get(mode, mode), cval=2.5
        )
        for function in (map_coordinates, jit(map_coordinates, static_argnums=(2, 3))):
            got = function(x, list(places), order, mode, 2.5)
            np.testing.assert_allclose(got, want, atol=1e-13)
            assert got.shape == (3, 11)


def test_map_coordinates_of_integers():
    x = np.array([0, 10, 15, 2], np.int32)
    got = map_coordinates(x, [np.array([0.5, 1.5, 2.25, 9.0])], 1, cval=7.9)
    assert got.dtype == jnp.int32
    np.testing.assert_array_equal(got, [5, 13, 12, 7])
    np.testing.assert_array_equal(map_coordinates(x, np.array([[1, 3, 4]]), 1), [10, 2, 0])
    large = np.array([2**30 + 1], np.int32)
    assert map_coordinates(large, [np.array([0.2])], 0)[0] == 2**30 + 1
    half = map_coordinates(jnp.array([1, 2], jnp.bfloat16), [np.array([0.5])], 1)
    assert half.dtype == jnp.bfloat16
    assert half[0] == 1.5
    assert map_coordinates(jnp.array([1j, 3.0]), [np.array([0.5])], 1)[0] == 1.5 + 0.5j


def test_derivatives_of_map_coordinates(x64):
    x, places = values(4, 5), [values(6, seed=1) + 2, values(6, seed=2) + 2]
    for mode in MODES:
        f = functools.partial(map_coordinates, order=1, mode=mode)
        check_grads(lambda x, *c, f=f: f(x, c) ** 2, (x, *places), 2, rtol=1e-5, atol=1e-5)
    flat = grad(lambda c: jnp.sum(map_coordinates(x, [c, c], 0)))(places[0])
    np.testing.assert_array_equal(flat, 0)


def test_vmap_of_map_coordinates(x64):
    x, places = values(3, 4, 5), values(3, 2, 6, seed=1) + 2
    got = vmap(lambda a, c: map_coordinates(a, c, 1, "nearest"))(x, places)
    want = [
        scipy.ndimage.map_coordinates(a, c, order=1, mode="nearest")
        for a, c in zip(x, places, strict=True)
    ]
    np.testing.assert_allclose(got, want, atol=1e-13)


# ---- RegularGridInterpolator


GRID = (np.array([0.0, 1.0, 1.5, 4.0]), np.array([-2.0, 0.0, 3.0]))


@pytest.mark.parametrize("method", ["linear", "nearest"])
@pytest.mark.parametrize("fill", [None, np.nan, 5.0])
@pytest.mark.parametrize("more", [(), (2,), (2, 3)])
def test_interpolator(method, fill, more, x64):
    v = values(4, 3, *more)
    places = np.random.default_rng(1).uniform([-1, -3], [5, 4], (6, 5, 2))
    theirs = scipy.interpolate.RegularGridInterpolator(GRID, v, method, False, fill)
    ours = RegularGridInterpolator(GRID, v, method, fill_value=fill)
    for function in (ours, jit(ours)):
        np.testing.assert_allclose(function(places), theirs(places), atol=1e-12)
    pair = (places[..., 0], places[:, :1, 1])
    np.testing.assert_allclose(ours(pair), theirs(pair), atol=1e-12)
    np.testing.assert_allclose(ours(places[0, 0]), theirs(places[0, 0]), atol=1e-12)
    other = "linear" if method == "nearest" else "nearest"
    np.testing.assert_allclose(ours(places, other), theirs(places, other), atol=1e-12)


def test_interpolator_of_one_number(x64):
    v = values(4)
    f = RegularGridInterpolator(GRID[:1], v)
    at = np.array([0.0, 0.3, 4.0, 2.0])
    np.testing.assert_allclose(f(at), np.interp(at, GRID[0], v), atol=1e-14)
    np.testing.assert_allclose(f((at,)), np.interp(at, GRID[0], v), atol=1e-14)
    assert np.isnan(f(np.array([np.nan]))[0])


def test_interpolator_is_a_pytree(x64):
    v, at = values(4, 3), np.array([[0.7, 1.0], [3.0, -1.5]])
    f = RegularGridInterpolator(GRID, v)
    assert len(tree_util.tree_leaves(f)) == 4
    np.testing.assert_allclose(jit(lambda f, x: f(x))(f, at), f(at), rtol=1e-14)
    check_grads(
        lambda g, v, at: RegularGridInterpolator(g, v)(at) ** 2, (GRID, v, at), 2, atol=1e-5
    )
    got = vmap(lambda v: RegularGridInterpolator(GRID, v)(at))(np.stack([v, 2 * v]))
    np.testing.assert_allclose(got, [f(at), 2 * f(at)], atol=1e-13)


# ---- mistakes, and JAX


MISTAKES = {
    "coordinates": (lambda: map_coordinates(np.ones(3), np.ones((2, 4)), 1), "input.ndim"),
    "method": (lambda: RegularGridInterpolator(GRID, np.ones((4, 3)), "cubic"), "is not defined"),
    "points": (lambda: RegularGridInterpolator(GRID, np.ones(4)), "there are 2 point arrays"),
    "fill": (
        lambda: RegularGridInterpolator(GRID, np.ones((4, 3)), fill_value=1j),
        "fill_value must be",
    ),
    "places": (
        lambda: RegularGridInterpolator(GRID, np.ones((4, 3)))(np.ones((2, 3))),
        "xi have dimension 3",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name):
    call, text = MISTAKES[name]
    with pytest.raises(ValueError, match=text) as caught:
        call()
    assert "Fix:" in str(caught.value)


def test_what_is_not_there():
    for call in (
        lambda: map_coordinates(np.ones(3), [np.ones(2)], 3),
        lambda: map_coordinates(np.ones(3), [np.ones(2)], 1, "grid-wrap"),
        lambda: RegularGridInterpolator(GRID, np.ones((4, 3)), bounds_error=True),
    ):
        with pytest.raises(NotImplementedError, match="Fix:"):
            call()


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
def test_agrees_with_jax():
    import jax
    import jax.scipy.interpolate

    x = values(4, 5).astype(np.float32)
    places = [np.float32(8 * values(20, seed=s)) for s in (1, 2)]
    v, at = values(4, 3).astype(np.float32), values(9, 2, seed=3).astype(np.float32)
    grid = tuple(g.astype(np.float32) for g in GRID)

    def calls(mapped, interpolator):
        found = [mapped(x, places, order, mode, 0.5) for order in (0, 1) for mode in MODES]
        found += [mapped((10 * x).astype(np.int16), places, 1, mode) for mode in MODES]
        return [*found, interpolator(grid, v)(at), interpolator(grid, v, "nearest")(at)]

    theirs = jax.jit(
        lambda: calls(
            jax.scipy.ndimage.map_coordinates, jax.scipy.interpolate.RegularGridInterpolator
        )
    )()
    for got, want in zip(calls(map_coordinates, RegularGridInterpolator), theirs, strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, atol=1e-5)
