"""Primitives run as kernels of the native engine, beside what they mean (their `eval`)."""

import numpy as np
from fuzz import run_kernel

from pullback.core.program import trace_program
from pullback.core.trace import EVAL, inside, quiet
from pullback.core.types import array_type
from pullback.engines.native.program import compile_program


def kernel_of(function, arrays):
    """A function of arrays that gives a list, as a kernel."""
    types = [array_type(a.shape, a.dtype, False) for a in arrays]
    with inside(EVAL):
        return compile_program(trace_program(function, types))


def results(kernel, arrays):
    """What a kernel writes. To read or write beside its arrays would end the process."""
    return run_kernel(kernel, [np.ascontiguousarray(a) for a in arrays])


def meaning(primitive, arrays, params):
    """What the primitive's `eval` gives, as a list."""
    with quiet():
        found = primitive.eval(*arrays, **params)
    found = found if primitive.multiple_results else [found]
    return [np.asarray(x) for x in found]


def compare(primitive, arrays, params, ulps=0, signs=True, more=(), scale=0.0):
    """Run one primitive both ways; equal bits but for NaNs, or apart by some steps of the dtype.

    `more`: other arrays of the same types, for the same kernel. `scale`: the steps are those of a
    number of this size.
    """

    def function(*xs):
        found = primitive(*xs, **params)
        return list(found) if primitive.multiple_results else [found]

    kernel = kernel_of(function, arrays)
    for given in (arrays, *more):
        pairs = zip(results(kernel, given), meaning(primitive, given, params), strict=True)
        for mine, wanted in pairs:
            assert mine.dtype == wanted.dtype
            assert mine.shape == wanted.shape
            assert_same(mine, wanted, ulps, signs, scale)


def assert_same(mine, wanted, ulps=0, signs=True, scale=0.0):
    """Equal, or nearly; zeros have equal `signs` if `ulps` is 0; any NaN is like another."""
    if mine.dtype.kind == "c":
        assert_same(mine.real, wanted.real, ulps, signs, scale)
        assert_same(mine.imag, wanted.imag, ulps, signs, scale)
        return
    if mine.dtype.kind in "iub":
        np.testing.assert_array_equal(mine, wanted)
        return
    step = float(np.finfo(mine.dtype).eps) if mine.dtype.kind == "f" else 2.0**-7
    a, b = (x.astype(np.float64) for x in (mine, wanted))
    if scale:
        # The sums were made in 64 bits: rounded to fewer they may differ by half a step each.
        near = 2.0**-50 * scale
        np.testing.assert_allclose(a, b, rtol=step, atol=near, equal_nan=True)
        return
    if ulps:
        np.testing.assert_allclose(a, b, rtol=ulps * step, atol=0, equal_nan=True)
        return
    np.testing.assert_array_equal(a, b)
    known = ~np.isnan(b) & signs
    np.testing.assert_array_equal(np.signbit(a)[known], np.signbit(b)[known])


def random_array(rng, shape, dtype, few=False):
    """Numbers of any dtype with zeros of both signs, NaNs and infinities among the floats."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        low, high = (max(limits.min, -3), 4) if few else (limits.min, limits.max)
        return rng.integers(low, high, shape, dtype, endpoint=True)
    if dtype.kind == "c":
        real = np.dtype(f"f{dtype.itemsize // 2}")
        parts = [random_array(rng, shape, real, few) for _ in range(2)]
        out = np.empty(shape, dtype)
        out.real, out.imag = parts
        return out
    numbers = rng.normal(size=shape)
    if few:
        numbers = np.round(numbers)
    special = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1.0])
    chosen = special[rng.integers(0, len(special), shape)]
    return np.where(rng.random(shape) < 0.2, chosen, numbers).astype(dtype)
