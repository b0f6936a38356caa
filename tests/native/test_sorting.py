"""Sorting, the largest, prefix sums and places of extrema of the native engine, against the meaning
of the primitives."""

import numpy as np
import pytest
from kernels import compare, random_array

from pullback.core import dtypes
from pullback.core.settings import enable_x64
from pullback.engines.native.kinds import _KINDS
from pullback.engines.native.rules.ordering import LONGEST
from pullback.ops.approximate import approx_top_k
from pullback.ops.cumulative import cumlogsumexp, cummax, cummin, cumprod, cumsum
from pullback.ops.reduction import argmax, argmin
from pullback.ops.sorting import sort, top_k

DTYPES = list(_KINDS)
REAL = [d for d in DTYPES if d.kind != "c"]
EDGES = sorted({n + k for n in (512, *LONGEST.values()) for k in (0, 1)})
LENGTHS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 200, *EDGES]
"""Around those at which another algorithm, or a larger network, begins."""


def some(pairs, step):
    """Every `step`th of some cases; the others only with --fuzz."""
    return [
        pytest.param(*p, marks=() if i % step == 0 else pytest.mark.fuzz)
        for i, p in enumerate(pairs)
    ]


@pytest.fixture(autouse=True)
def wide():
    with enable_x64(True):
        yield


def shape_with(rng, n):
    """(shape, axis): n along the axis."""
    rank = int(rng.integers(1, 4))
    axis = int(rng.integers(rank))
    others = rng.integers(1, 4, rank)
    return tuple(n if d == axis else int(m) for d, m in enumerate(others)), axis


@pytest.mark.parametrize(("dtype", "n"), some([(d, n) for d in DTYPES for n in LENGTHS], 4))
def test_one_array_sorted(n, dtype):
    rng = np.random.default_rng(n)
    shape, axis = shape_with(rng, n)
    x, y = (random_array(rng, shape, dtype, few) for few in (False, True))
    params = {"dimension": axis, "is_stable": True, "num_keys": 1}
    # `eval` of one array of 16-bit floats does not keep the order of -0 and 0.
    compare(sort, [x], params, signs=dtype.itemsize != 2, more=[[y]])


def several(seed):
    """(arrays, parameters): some keys and some that go with them."""
    rng = np.random.default_rng(seed)
    n = LENGTHS[seed % len(LENGTHS)]
    shape, axis = shape_with(rng, n)
    count = int(rng.integers(2, 5))
    arrays = []
    for _ in range(count):
        dtype = DTYPES[int(rng.integers(len(DTYPES)))]
        arrays.append(random_array(rng, shape, dtype, few=rng.random() < 0.7))
    keys = int(rng.integers(1, count + 1))
    return arrays, {"dimension": axis, "is_stable": True, "num_keys": keys}


@pytest.mark.parametrize("seed", range(46))
def test_several_arrays_sorted_together(seed):
    compare(sort, *several(seed))


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(46, 1500))
def test_several_arrays_sorted_together_fuzz(seed):
    compare(sort, *several(seed))


@pytest.mark.parametrize(("dtype", "n"), some([(d, n) for d in REAL for n in LENGTHS], 8))
def test_top_k(n, dtype):
    rng = np.random.default_rng(n)
    shape, axis = shape_with(rng, n)
    for k in {0, 1, n // 2, n, min(n, 5)}:
        x = random_array(rng, shape, dtype, few=bool(k % 2))
        compare(top_k, [x], {"k": k, "axis": axis})


@pytest.mark.parametrize("k", [1, 7, 128])
@pytest.mark.parametrize("n", [2048, 2049, 5000, 6144 + 17])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int8, dtypes.bfloat16], ids=str)
def test_the_top_of_many(dtype, n, k):
    rng = np.random.default_rng(n)
    x = random_array(rng, (2, n), dtype)
    orders = [np.sort(x), np.sort(x)[:, ::-1].copy(), np.full_like(x, x[0, 0])]
    compare(top_k, [x], {"k": k, "axis": 1}, more=[[y] for y in orders])


@pytest.mark.parametrize("dtype", [d for d in REAL if dtypes.kind(d) == "f"], ids=str)
@pytest.mark.parametrize("largest", [True, False])
def test_approx_top_k(largest, dtype):
    rng = np.random.default_rng(0)
    for n in (1, 5, 40, 700):
        shape, axis = shape_with(rng, n)
        params = {
            "k": max(1, n // 3),
            "reduction_dimension": axis,
            "recall_target": 0.9,
            "is_max_k": largest,
            "reduction_input_size_override": -1,
            "aggregate_to_topk": True,
        }
        compare(approx_top_k, [random_array(rng, shape, dtype, few=True)], params)


# ---- cumulative, places

SCANS = [cumsum, cumprod, cummax, cummin, cumlogsumexp]
SCAN_LENGTHS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 40, 100, 129]


def scan_cases():
    for primitive in SCANS:
        for dtype in DTYPES:
            if dtypes.kind(dtype) in primitive.takes:
                for n in SCAN_LENGTHS:
                    yield primitive, dtype, n


@pytest.mark.parametrize(("primitive", "dtype", "n"), some(list(scan_cases()), 5))
def test_cumulative(primitive, dtype, n):
    rng = np.random.default_rng(n)
    shape, axis = shape_with(rng, n)
    params = {"axis": axis, "reverse": bool(rng.random() < 0.5)}
    x = random_array(rng, shape, dtype)
    y = rng.normal(size=shape).astype(dtype)
    # Sums and products of an axis are computed in 64 bits in another order; sums of numbers that
    # nearly cancel differ by more units of their own, so those are compared with the largest.
    with np.errstate(all="ignore"):
        if primitive in (cummax, cummin) or dtypes.kind(dtype) in "iu":
            compare(primitive, [x], params, more=[[y]], signs=False)
        elif primitive is cumsum:
            compare(primitive, [x], params, scale=float(np.sum(np.abs(x[np.isfinite(x)]))))
            compare(primitive, [y], params, scale=float(np.sum(np.abs(y))))
        else:
            compare(primitive, [x], params, more=[[y]], ulps=n + 4)


@pytest.mark.parametrize("dtype", REAL, ids=str)
@pytest.mark.parametrize("primitive", [argmax, argmin], ids=str)
def test_places(primitive, dtype):
    rng = np.random.default_rng(1)
    for n in (1, 2, 3, 5, 8, 17, 33, 70, 300):
        shape, axis = shape_with(rng, n)
        plain = rng.permutation(np.prod(shape)).reshape(shape).astype(dtype)
        arrays = [random_array(rng, shape, dtype, few=True), random_array(rng, shape, dtype), plain]
        params = {"axes": (axis,), "index_dtype": INDEX[n % 4]}
        compare(primitive, arrays[:1], params, more=[[x] for x in arrays[1:]])


INDEX = [np.dtype(d) for d in (np.int32, np.int64, np.uint32, np.uint64)]
