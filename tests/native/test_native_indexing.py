"""Gather, scatter and dynamic slices of the native engine against the meaning of the primitives."""

import numpy as np
import pytest
from kernels import compare, kernel_of, random_array, results

import pullback.numpy as jnp
from pullback import lax
from pullback.core import dtypes
from pullback.core.settings import enable_x64
from pullback.engines.native.kinds import _KINDS
from pullback.ops.dynamic import dynamic_slice, dynamic_update_slice
from pullback.ops.indexing import gather, scatter, scatter_add, scatter_sub
from pullback.ops.scattering import scatter_max, scatter_min, scatter_mul
from pullback.ops.windows import (
    GatherDimensionNumbers,
    GatherScatterMode,
    as_scatter,
    windows,
)

DTYPES = list(_KINDS)
INDEX_DTYPES = [np.dtype(c) for c in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")]
MODES = [
    GatherScatterMode.CLIP,
    GatherScatterMode.FILL_OR_DROP,
    GatherScatterMode.PROMISE_IN_BOUNDS,
]


@pytest.fixture(autouse=True)
def wide():
    with enable_x64(True):
        yield


def random_windows(rng):
    """(shape, shape of the indices, dimension numbers, sizes) of windows that fit."""
    rank = int(rng.integers(1, 4))
    big = rng.random() < 0.4
    shape = tuple(int(n) for n in rng.integers(1, 12 if big else 5, rank))
    batch_rank = int(rng.integers(0, 3))
    batch = [int(n) for n in rng.integers(1, 9 if big else 4, batch_rank)]
    axes = list(rng.permutation(rank))
    shared = int(rng.integers(0, min(rank, batch_rank) + 1)) if rng.random() < 0.4 else 0
    batching = sorted(int(d) for d in axes[:shared])
    indices_batching = [int(d) for d in rng.permutation(batch_rank)[:shared]]
    for d, e in zip(batching, indices_batching, strict=True):
        batch[e] = shape[d]
    rest = axes[shared:]
    starts = tuple(int(d) for d in rest[: int(rng.integers(0, len(rest) + 1))])
    collapsed = tuple(sorted(int(d) for d in rest if rng.random() < 0.5))
    sizes = []
    for d, n in enumerate(shape):
        single = d in collapsed or d in batching
        whole = rng.random() < 0.4
        sizes.append(1 if single else n if whole else int(rng.integers(1, n + 1)))
    visible = rank - len(collapsed) - len(batching)
    out_rank = batch_rank + visible
    offset = tuple(sorted(int(d) for d in rng.permutation(out_rank)[:visible]))
    numbers = GatherDimensionNumbers(
        offset, collapsed, starts, tuple(batching), tuple(indices_batching)
    )
    return shape, (*batch, len(starts)), numbers, tuple(sizes)


def random_indices(rng, shape, dtype):
    """Mostly inside, some before and after; some as far away as the dtype has them."""
    dtype = np.dtype(dtype)
    limits = np.iinfo(dtype)
    near = rng.integers(max(limits.min, -2), 12, shape).astype(dtype)
    far = np.array([limits.min, limits.max], dtype)[rng.integers(0, 2, shape)]
    return np.where(rng.random(shape) < 0.1, far, near)


def gather_case(seed):
    """(operand, indices, parameters) of a random gather."""
    rng = np.random.default_rng(seed)
    shape, indices_shape, numbers, sizes = random_windows(rng)
    dtype = DTYPES[seed % len(DTYPES)]
    fill = None if rng.random() < 0.6 or dtype.kind == "b" else int(rng.integers(0, 3))
    params = {
        "dimension_numbers": numbers,
        "slice_sizes": sizes,
        "mode": MODES[int(rng.integers(3))],
        "fill_value": fill,
        "unique_indices": False,
        "indices_are_sorted": False,
    }
    x = random_array(rng, shape, dtype)
    indices = random_indices(rng, indices_shape, INDEX_DTYPES[int(rng.integers(8))])
    return rng, x, indices, params


@pytest.mark.parametrize("seed", range(120))
def test_gather(seed):
    _, x, indices, params = gather_case(seed)
    compare(gather, [x, indices], params)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(120, 3000))
def test_gather_fuzz(seed):
    _, x, indices, params = gather_case(seed)
    compare(gather, [x, indices], params)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32], ids=str)
def test_negative_numbers_of_few_bits_are_not_inside(dtype):
    x = np.arange(300.0)
    indices = np.array([[-1], [100], [-100]], dtype)
    params = {
        "dimension_numbers": GatherDimensionNumbers((), (0,), (0,)),
        "slice_sizes": (1,),
        "mode": GatherScatterMode.FILL_OR_DROP,
        "fill_value": -5,
        "unique_indices": False,
        "indices_are_sorted": False,
    }
    np.testing.assert_array_equal(gather.eval(x, indices, **params), [-5, 100, -5])
    compare(gather, [x, indices], params)


def window_case(seed):
    rng = np.random.default_rng(seed)
    rank = int(rng.integers(1, 4))
    shape = tuple(int(n) for n in rng.integers(1, 9, rank))
    sizes = tuple(int(rng.integers(1, n + 1)) for n in shape)
    dtype = INDEX_DTYPES[int(rng.integers(8))]
    starts = list(random_indices(rng, (rank,), dtype))
    x = random_array(rng, shape, DTYPES[seed % len(DTYPES)])
    update = random_array(rng, sizes, x.dtype)
    return x, update, [np.asarray(s) for s in starts]


@pytest.mark.parametrize("seed", range(60))
def test_dynamic_slice(seed):
    x, update, starts = window_case(seed)
    compare(dynamic_slice, [x, *starts], {"slice_sizes": update.shape})


@pytest.mark.parametrize("seed", range(60))
def test_dynamic_update_slice(seed):
    x, update, starts = window_case(seed)
    compare(dynamic_update_slice, [x, update, *starts], {})


SCATTERS = [scatter, scatter_add, scatter_sub, scatter_mul, scatter_min, scatter_max]


def scatter_case(seed):
    """(primitive, its arguments, parameters): windows as those of a gather."""
    rng, x, indices, params = gather_case(seed)
    primitive = SCATTERS[int(rng.integers(len(SCATTERS)))]
    if dtypes.kind(x.dtype) not in primitive.takes:
        primitive = scatter
    sizes, numbers = params.pop("slice_sizes"), params["dimension_numbers"]
    shape = windows(x.shape, indices.shape, numbers, sizes).out_shape
    del params["fill_value"]
    params["dimension_numbers"] = as_scatter(numbers)
    few = dtypes.kind(x.dtype) in "fc"
    x, updates = (random_array(rng, s, x.dtype, few) for s in (x.shape, shape))
    return primitive, [x, indices, updates], params


def check_scatter(seed):
    primitive, arrays, params = scatter_case(seed)
    with np.errstate(all="ignore"):
        # Products of complex numbers are rounded in another order than NumPy's.
        compare(primitive, arrays, params, ulps=8 * (arrays[0].dtype.kind == "c"))


@pytest.mark.parametrize("seed", range(180))
def test_scatter(seed):
    check_scatter(seed)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(180, 4000))
def test_scatter_fuzz(seed):
    check_scatter(seed)


# ---- in loops, where an array is changed where it is


def mixed(i, x):
    return x.at[i].set(x[i - 1] * 2 + x[i])


def shifted(i, x):
    return lax.dynamic_update_slice(x, lax.dynamic_slice(x, (i,), (40,)), (i + 3,))


def doubled(i, x):
    return lax.dynamic_update_slice(x, lax.dynamic_slice(x, (i,), (41,)) * 2, (i,))


def turned(i, x):
    part = lax.dynamic_slice(x, (i,), (50,))
    return lax.dynamic_update_slice(x, part[::-1], (i,))


def added(i, x):
    return x.at[i % 7 + jnp.arange(50)].add(x[:50])


def doubly(i, x):
    y = x.at[i].set(1)
    return y.at[i + 1].add(y[i])


def kept(i, x):
    before = x[5:60]
    return x.at[2:57].set(before + x[i])


def by_itself(i, x):
    return x.at[(x % 90).astype(int)].add(i.astype(x.dtype))


def rows(i, x):
    return x.reshape(9, 10).at[i % 9].multiply(x[:10]).reshape(-1)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int32, np.complex64], ids=str)
@pytest.mark.parametrize(
    "step", [mixed, shifted, doubled, turned, added, doubly, kept, by_itself, rows]
)
def test_changes_in_loops(step, dtype):
    if step is by_itself and dtype is not np.int32:
        pytest.skip("the numbers are places")
    x = np.random.default_rng(0).integers(0, 3, 90).astype(dtype)

    def function(x):
        return [lax.fori_loop(1, 6, lambda i, y: step(i, y).astype(x.dtype), x)]

    wanted = x
    for i in range(1, 6):
        wanted = np.asarray(step(jnp.int32(i), jnp.asarray(wanted)))
    (got,) = results(kernel_of(function, [x]), [x])
    np.testing.assert_array_equal(got, wanted)


def test_large_windows_are_not_copied():
    x = np.zeros((64, 64), np.float32)
    kernel = kernel_of(lambda x, i: [lax.dynamic_slice(x, (i, i), (50, 50)) + 1], [x, np.int32(3)])
    assert kernel.arena == 0


def test_many_numbers_for_few_windows():
    # More numbers in the indices than registers hold, few elements in the result.
    x = np.arange(8, dtype=np.int8).reshape(1, 1, 1, 1, 1, 8)
    indices = np.random.default_rng(0).integers(-3, 10, (7, 5))
    params = {
        "dimension_numbers": GatherDimensionNumbers((0, 1, 2, 3), (0, 4), (0, 4, 2, 5, 3)),
        "slice_sizes": (1, 1, 1, 1, 1, 2),
        "mode": GatherScatterMode.CLIP,
        "fill_value": None,
        "unique_indices": False,
        "indices_are_sorted": False,
    }
    compare(gather, [x, indices], params)
