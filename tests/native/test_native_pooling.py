"""Reductions over windows in the native engine against what they mean."""

import numpy as np
import pytest
from fuzz import run_kernel
from kernels import assert_same, kernel_of, meaning, random_array

from pullback.core import dtypes
from pullback.core.settings import enable_x64
from pullback.engines.native.kinds import _KINDS
from pullback.ops.pooling import (
    reduce_window_max,
    reduce_window_min,
    reduce_window_sum,
    select_and_gather_add,
    select_and_scatter_add,
    window_shape,
)

FLOATS = [d for d in _KINDS if dtypes.kind(d) == "f"]


@pytest.fixture(autouse=True)
def wide():
    with enable_x64(True):
        yield


def random_windows(rng):
    """The shape of an array, the parameters of windows in it, how many there are."""
    while True:
        rank = int(rng.integers(0, 5))

        def some(low, high, rank=rank):
            return tuple(int(n) for n in rng.integers(low, high, rank))

        shape = some(1, (40, 40, 14, 8, 5)[rank])
        plain = rng.random() < 0.4
        ones = (1,) * rank
        windows = {
            "window_dimensions": some(1, 30 if rank == 1 else 4),
            "window_strides": ones if plain else some(1, 4),
            "padding": tuple(zip(some(-1, 4), some(-1, 4), strict=True)),
            "base_dilation": ones if plain else some(1, 3),
            "window_dilation": ones if plain else some(1, 3),
        }
        bases = zip(shape, windows["base_dilation"], windows["padding"], strict=True)
        if any((n - 1) * b + 1 + sum(p) < 0 for n, b, p in bases):
            continue
        places = window_shape("test", shape, **windows)
        if np.prod(places):
            return shape, windows, places


def check(primitive, arrays, params, ulps):
    kernel = kernel_of(lambda *xs: [primitive(*xs, **params)], arrays)
    (got,) = run_kernel(kernel, arrays)
    with np.errstate(all="ignore"):
        (wanted,) = meaning(primitive, arrays, params)
    assert got.dtype == wanted.dtype and got.shape == wanted.shape
    assert_same(got, wanted, ulps)


def reduction_case(seed):
    rng = np.random.default_rng(seed)
    shape, windows, _ = random_windows(rng)
    primitive = [reduce_window_sum, reduce_window_max, reduce_window_min][seed % 3]
    allowed = [d for d in _KINDS if dtypes.kind(d) in primitive.takes]
    x = random_array(rng, shape, allowed[int(rng.integers(len(allowed)))])
    return primitive, [x], windows


@pytest.mark.parametrize("seed", range(90))
def test_reductions(seed):
    check(*reduction_case(seed), ulps=0)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(1000, 3000))
def test_reductions_fuzz(seed):
    check(*reduction_case(seed), ulps=0)


def selection_case(seed):
    rng = np.random.default_rng(seed)
    shape, windows, places = random_windows(rng)
    dtype = FLOATS[int(rng.integers(len(FLOATS)))]
    x = random_array(rng, shape, dtype, few=rng.random() < 0.5)
    params = {"select_prim": ["ge", "le"][seed % 2], **windows}
    if seed % 4 < 2:
        return select_and_gather_add, [random_array(rng, shape, dtype), x], params
    # Whole numbers: sums of any order are equal.
    source = rng.integers(-8, 9, places).astype(dtype)
    return select_and_scatter_add, [source, x], params


@pytest.mark.parametrize("seed", range(80))
def test_selections(seed):
    check(*selection_case(seed), ulps=1 if seed % 4 >= 2 else 0)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(1000, 3000))
def test_selections_fuzz(seed):
    check(*selection_case(seed), ulps=1 if seed % 4 >= 2 else 0)
