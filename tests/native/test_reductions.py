"""Reductions of the native engine at the edges: no elements, one, NaN, zeros of both signs."""

import numpy as np
import pytest
from kernels import compare

from pullback.core.settings import enable_x64
from pullback.ops.reduction import reduce_max, reduce_min, reduce_prod
from pullback.ops.structural import reduce_sum

EXTREMA = [reduce_max, reduce_min]
# Few elements are combined in registers, many in loops.
SHAPES = [((3,), ()), ((3, 1), (1,)), ((3, 5), (1,)), ((64,), ()), ((64, 1), (1,)), ((4, 64), (0,))]
SHAPES += [((1, 64), (0,)), ((2, 40), (0, 1)), ((9, 33), (1,))]


@pytest.fixture(autouse=True)
def x64():
    with enable_x64():
        yield


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
