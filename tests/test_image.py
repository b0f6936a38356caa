"""jax.image against its definition, written as loops, and against JAX where it is installed."""

import itertools
import math

import numpy as np
import peer
import pytest

from pullback import image, lax
from pullback import numpy as jnp
from pullback.api import grad
from pullback.jit import jit
from pullback.mapping import vmap
from pullback.test_util import check_grads

METHODS = ("linear", "lanczos3", "lanczos5", "cubic", "cubic-pytorch", "area")


def pixels(*shape, kind="float64", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(kind)


def sinc(x):
    return math.sin(math.pi * x) / (math.pi * x) if x else 1.0


def cubic(x, a):
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


KERNELS = {
    "linear": lambda x: max(0.0, 1 - x),
    "lanczos3": lambda x: sinc(x) * sinc(x / 3) if x <= 3 else 0.0,
    "lanczos5": lambda x: sinc(x) * sinc(x / 5) if x <= 5 else 0.0,
    "cubic": lambda x: cubic(x, -0.5),
    "cubic-pytorch": lambda x: cubic(x, -0.75),
}


def line(x, n, scale, move, method, antialias):
    """One axis of the resampled image, pixel by pixel."""
    m, out = len(x), []
    if method == "cubic-pytorch" and antialias:
        method = "cubic"
    for j in range(n):
        centre = (j + 0.5 - move) / scale - 0.5
        weights = np.zeros(m)
        if method == "area":
            low, high = (j - move) / scale, (j + 1 - move) / scale
            for i in range(m):
                weights[i] = max(0.0, min(high, i + 1) - max(low, i))
        elif method == "cubic-pytorch":
            for i in range(-2, m + 2):
                weights[min(max(i, 0), m - 1)] += cubic(abs(centre - i), -0.75)
        else:
            width = max(1.0, 1 / scale) if antialias else 1.0
            for i in range(m):
                weights[i] = KERNELS[method](abs(centre - i) / width)
        inside = -0.5 <= centre <= m - 0.5 or method == "cubic-pytorch"
        out.append(weights @ x / weights.sum() if inside and abs(weights.sum()) > 1e-4 else 0.0)
    return np.array(out)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("antialias", [True, False])
def test_resize_by_definition(method, antialias, x64):
    for m, n in ((5, 9), (9, 4), (1, 3), (4, 1), (3, 3), (7, 8)):
        x = pixels(m)
        want = x if m == n else line(x, n, n / m, 0.0, method, antialias)
        got = image.resize(x, (n,), method, antialias)
        np.testing.assert_allclose(got, want, atol=1e-5 if "lanczos" in method else 1e-12)
    x = pixels(6, 2, 5)
    one_by_one = np.apply_along_axis(line, 0, x, 4, 4 / 6, 0.0, method, antialias)
    want = np.apply_along_axis(line, 2, one_by_one, 7, 7 / 5, 0.0, method, antialias)
    got = image.resize(x, (4, 2, 7), method, antialias)
    np.testing.assert_allclose(got, want, atol=1e-5 if "lanczos" in method else 1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("antialias", [True, False])
def test_scale_and_translate_by_definition(method, antialias, x64):
    x = pixels(3, 6)
    for scale, move in ((1.0, 0.25), (1.7, -1.3), (0.4, 0.6)):
        want = np.apply_along_axis(line, 1, x, 5, scale, move, method, antialias)
        args = (np.array([scale]), np.array([move]))
        tolerance = 1e-5 if "lanczos" in method else 1e-12

        def moved(x, s, t):
            return image.scale_and_translate(x, (3, 5), (-1,), s, t, method, antialias)

        for function in (moved, jit(moved)):  # with known and with traced numbers
            np.testing.assert_allclose(function(x, *args), want, atol=tolerance)


def test_nearest_keeps_the_dtype():
    for kind in (np.uint8, np.float16, bool, np.int32):
        x = (100 * pixels(5, 4)).astype(kind)
        got = image.resize(x, (3, 9), "nearest")
        rows = [int((i + 0.5) * 5 / 3) for i in range(3)]
        columns = [int((j + 0.5) * 4 / 9) for j in range(9)]
        np.testing.assert_array_equal(got, x[rows][:, columns])
        assert got.dtype == kind


def test_dtypes_and_names():
    x = pixels(4, 4)
    assert image.resize(x.astype(np.int8), (2, 2), "linear").dtype == jnp.float32
    assert image.resize(x.astype(np.int8), (4, 4), "linear").dtype == jnp.float32
    assert image.resize(jnp.ones((4, 4), jnp.bfloat16), (2, 2), "cubic").dtype == jnp.bfloat16
    np.testing.assert_allclose(
        image.resize(x * (1 + 2j), (2, 5), "linear"),
        image.resize(x, (2, 5), "linear") * (1 + 2j),
        rtol=1e-5,
    )
    for name, member in (("bicubic", "CUBIC"), ("triangle", "LINEAR"), ("area", "AREA")):
        assert image.ResizeMethod.from_string(name) is image.ResizeMethod[member]
    got = image.resize(x, (3, 3), image.ResizeMethod.LANCZOS5, precision=lax.Precision.DEFAULT)
    np.testing.assert_array_equal(got, image.resize(x, [3, 3], method="lanczos5"))


def test_empty_images():
    assert image.resize(np.zeros((0, 3)), (0, 5), "linear").shape == (0, 5)
    assert image.resize(np.zeros((4, 3)), (0, 3), "cubic").shape == (0, 3)


@pytest.mark.parametrize("method", METHODS)
def test_derivatives(method, x64):
    x = pixels(5, 4)
    check_grads(lambda x: image.resize(x, (3, 6), method) ** 2, (x,), 2, rtol=1e-6, atol=1e-6)
    if method == "area":  # it has kinks
        return
    scale, move = np.array([1.3, 0.6]), np.array([0.21, -0.43])

    def moved(scale, move):
        return image.scale_and_translate(x, (3, 4), (0, 1), scale, move, method)

    check_grads(moved, (scale, move), 1, rtol=1e-5, atol=1e-5)


def test_vmap(x64):
    x, moves = pixels(3, 4, 5), pixels(3, 2, seed=1)
    one = np.ones(2)

    def moved(x, t):
        return image.scale_and_translate(x, (4, 4), (0, 1), one, t, "cubic")

    got = vmap(moved)(x, moves)
    want = np.stack([moved(a, t) for a, t in zip(x, moves, strict=True)])
    np.testing.assert_allclose(got, want, atol=1e-13)
    got = vmap(lambda a: image.resize(a, (2, 3), "linear"), 2)(x)
    want = np.stack([image.resize(x[:, :, i], (2, 3), "linear") for i in range(5)])
    np.testing.assert_allclose(got, want, atol=1e-13)


def test_gradient_with_known_numbers_traced():
    # grad knows the values of scale and move; their tangents must not be lost by that.
    def total(scale):
        x = pixels(5, kind="float32")
        out = image.scale_and_translate(x, (5,), (0,), scale, jnp.zeros(1), "linear")
        return jnp.sum(out * jnp.arange(5))

    assert float(jnp.abs(grad(total)(jnp.array([0.7]))[0])) > 0.1


MISTAKES = {
    "method": (lambda x: image.resize(x, (2, 2), "best"), 'Unknown resize method "best"'),
    "shape": (lambda x: image.resize(x, (2,), "linear"), "shape must have length equal"),
    "negative": (lambda x: image.resize(x, (2, -1), "linear"), "negative lengths"),
    "nearest": (
        lambda x: image.scale_and_translate(x, (2, 2), (0,), np.ones(1), np.ones(1), "nearest"),
        "Nearest neighbor resampling",
    ),
    "lengths": (
        lambda x: image.scale_and_translate(x, (2, 2), (0, 1), np.ones(1), np.ones(2), "linear"),
        "one number for each of spatial_dims",
    ),
    "other axis": (
        lambda x: image.scale_and_translate(x, (2, 2), (0,), np.ones(1), np.ones(1), "linear"),
        "only the axes in spatial_dims",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name):
    call, text = MISTAKES[name]
    with pytest.raises(ValueError, match=text) as caught:
        call(pixels(3, 3))
    assert "Fix:" in str(caught.value)


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
def test_agrees_with_jax():
    import jax

    x = pixels(7, 6, kind="float32")
    scale, move = np.array([1.3, 0.6], np.float32), np.array([0.4, -1.2], np.float32)

    def calls(of):
        for method, antialias in itertools.product(METHODS, (True, False)):
            yield of.resize(x, (3, 11), method, antialias)
            yield of.scale_and_translate(x, (5, 9), (0, 1), scale, move, method, antialias)
        yield of.resize(x, (4, 13), "nearest")

    theirs = jax.jit(lambda: list(calls(jax.image)))()
    for got, want in zip(calls(image), theirs, strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, atol=1e-5)
