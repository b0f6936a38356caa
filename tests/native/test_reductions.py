"""Reductions of the native engine at the edges: no elements, one, NaN, zeros of both signs."""

from functools import partial

import numpy as np
import pytest
from kernels import compare

import pullback as pb
from pullback.ops.reduction import reduce_max, reduce_min, reduce_prod
from pullback.ops.structural import reduce_sum

EXTREMA = [reduce_max, reduce_min]
# Few elements are combined in registers, many in loops.
SHAPES = [((3,), ()), ((3, 1), (1,)), ((3, 5), (1,)), ((64,), ()), ((64, 1), (1,)), ((4, 64), (0,))]
SHAPES += [((1, 64), (0,)), ((2, 40), (0, 1)), ((9, 33), (1,))]

pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.parametrize("primitive", EXTREMA)
@pytest.mark.parametrize("dtype", ["c8", "c16", "f4", "f2", "i4", "?"])
@pytest.mark.parametrize("shape", [(2, 0), (50, 0)])
def test_extrema_of_nothing(primitive, dtype, shape):
    compare(primitive, [np.zeros(shape, dtype)], {"axes": (1,)})


@pytest.mark.parametrize("primitive", EXTREMA)
@pytest.mark.parametrize("shape, axes", SHAPES)
def test_extrema_of_complex_numbers_at_the_ends(primitive, shape, axes):
    """The real part is infinite everywhere: the imaginary part decides."""
    rng = np.random.default_rng(3)
    end = -np.inf if primitive is reduce_max else np.inf
    x = np.empty(shape, np.complex128)
    x.real, x.imag = end, rng.normal(size=shape) + np.copysign(20, end)
    compare(primitive, [x], {"axes": axes})


@pytest.mark.parametrize("primitive", EXTREMA)
@pytest.mark.parametrize("part", ["real", "imag"])
@pytest.mark.parametrize("shape, axes", SHAPES)
def test_extrema_of_complex_numbers_with_a_nan(primitive, part, shape, axes):
    """A NaN in either part wins, wherever it stands."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    x.real[rng.random(shape) < 0.1] = np.inf
    places = rng.integers(0, x.size, 12)
    given = []
    for place in places:
        given.append(x.copy())
        getattr(given[-1].reshape(-1), part)[place] = np.nan
    compare(primitive, [x], {"axes": axes}, more=[[g] for g in given])


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "c8"])
@pytest.mark.parametrize("shape, axes", SHAPES)
def test_sums_of_minus_zeros(dtype, shape, axes):
    """They are 0, also of one element: sums begin with 0. Over no axes nothing is added."""
    compare(reduce_sum, [-np.zeros(shape, dtype)], {"axes": axes})


@pytest.mark.parametrize("dtype", ["f4", "c8", "c16"])
@pytest.mark.parametrize("shape, axes", SHAPES)
def test_products_with_infinities(dtype, shape, axes):
    """Products begin with 1, which makes NaN of a part that is 0 beside an infinite one."""
    x = np.full(shape, 1j * np.inf if dtype[0] == "c" else -np.inf).astype(dtype)
    if axes:
        x[0] = 2
    compare(reduce_prod, [x], {"axes": axes})


@pytest.mark.parametrize("shape", [(3,), (64,)])
@pytest.mark.parametrize("engine", [None, "numpy", "native"])
@pytest.mark.parametrize("number", [-0.0, complex(0, np.inf)])
def test_over_no_axes_elements_stay_as_they_are(shape, engine, number):
    x = np.full(shape, number)
    for primitive in (reduce_sum, reduce_prod):
        function = partial(primitive, axes=())
        got = (
            function(pb.numpy.asarray(x)) if engine is None else pb.jit(function, engine=engine)(x)
        )
        assert np.asarray(got).tobytes() == x.tobytes()
