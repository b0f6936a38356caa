"""Single elements at many indices, and windows that threads share."""

import numpy as np
import pytest
from kernels import assert_same, compare, kernel_of, random_array, results

import pullback
import pullback.numpy as jnp
from pullback.core.settings import enable_x64
from pullback.engines.native import parts, threads
from pullback.engines.native.kinds import _KINDS
from pullback.engines.native.rules import picking
from pullback.ops.indexing import gather
from pullback.ops.windows import GatherDimensionNumbers, GatherScatterMode

DTYPES = list(_KINDS)
INDEX_DTYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]
MODES = [
    GatherScatterMode.CLIP,
    GatherScatterMode.FILL_OR_DROP,
    GatherScatterMode.PROMISE_IN_BOUNDS,
]


@pytest.fixture(autouse=True)
def wide():
    before = pullback.config.pullback_threads
    with enable_x64(True):
        yield
    pullback.config.update("pullback_threads", before)


@pytest.fixture(params=[False, True])
def cut(request, monkeypatch):
    """Whether loops are cut into pieces."""
    if request.param:
        monkeypatch.setattr(parts, "LARGE", 0)
        monkeypatch.setattr(parts, "PIECE", 1)
        pullback.config.update("pullback_threads", 2)
    return request.param


def elements(axes):
    """The dimension numbers of single elements, with index vectors for `axes` of the array."""
    return GatherDimensionNumbers((), tuple(sorted(axes)), tuple(axes))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("index", INDEX_DTYPES)
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "i4", "f2", "c16"])
def test_elements_of_a_vector(dtype, index, mode, cut):
    """Also of more elements than the indices can say, and of fewer."""
    rng = np.random.default_rng(0)
    info = np.iinfo(index)
    for n in (1, 50, 128, 300, 70_000):
        most = n if mode is GatherScatterMode.PROMISE_IN_BOUNDS else 2 * n
        given = rng.integers(max(-most, info.min), min(most, info.max), 83, endpoint=True)
        if mode is GatherScatterMode.PROMISE_IN_BOUNDS:
            given = np.clip(given, 0, n - 1)
        else:
            given[:3] = info.min, min(info.max, 2**63 - 1), 0
        indices = given.astype(index)[:, None]
        params = {
            "dimension_numbers": elements((0,)),
            "slice_sizes": (1,),
            "indices_are_sorted": False,
            "unique_indices": False,
            "mode": mode,
            "fill_value": None,
        }
        compare(gather, [random_array(rng, (n,), np.dtype(dtype)), indices], params)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("axes", [(0, 1), (1, 0), (0, 1, 2), (2, 0, 1)])
@pytest.mark.parametrize("shape", [(7, 90), (16,), (33,), (3, 4, 17)])
def test_index_vectors(shape, axes, mode, cut):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((5, 6, 7)[: len(axes)])
    low, high = (0, 5) if mode is GatherScatterMode.PROMISE_IN_BOUNDS else (-9, 9)
    indices = rng.integers(low, high, (*shape, len(axes)), dtype=np.int32)
    params = {
        "dimension_numbers": elements(axes),
        "slice_sizes": (1,) * len(axes),
        "indices_are_sorted": False,
        "unique_indices": False,
        "mode": mode,
        "fill_value": 3.0,
    }
    compare(gather, [x, indices], params)


FUNCTIONS = {
    "along rows": lambda x, i: jnp.take_along_axis(x, i, axis=1),
    "along columns": lambda x, i: jnp.take_along_axis(x[:, :35], i, axis=0),
    "turned indices": lambda x, i: x.ravel()[i.T],
    "a turned array": lambda x, i: x.T[i, i[::-1]],
    "every other index": lambda x, i: x[i[:, ::2], 1],
    "a reversed array": lambda x, i: x[::-1, ::-1][i, 2],
    "rows": lambda x, i: x[i[0]],
    "columns": lambda x, i: x[:, i[0]],
    "rows of rows": lambda x, i: x[i],
    "filled rows": lambda x, i: x.at[i[0] * 3].get(mode="fill", fill_value=-1),
    "filled columns": lambda x, i: x.at[:, i[0] * 3].get(mode="fill", fill_value=-1),
}


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "c8", "?"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_through_views(name, dtype, cut):
    rng = np.random.default_rng(2)
    x = random_array(rng, (40, 40), np.dtype(dtype))
    i = rng.integers(-40, 40, (40, 35))
    wanted = np.asarray(pullback.jit(FUNCTIONS[name], engine="numpy")(x, i))
    kernel = kernel_of(lambda x, i: [FUNCTIONS[name](x, i)], [x, i])
    assert_same(results(kernel, [x, i])[0], wanted)


def test_large_ones_are_shared_by_threads():
    x, i = np.arange(3e5), np.arange(300_000)[::-1].copy()
    kernel = kernel_of(lambda x, i: [x[i]], [x, i])
    assert threads.SHARE in kernel.text
    for count in (1, 2, 5):
        pullback.config.update("pullback_threads", count)
        np.testing.assert_array_equal(results(kernel, [x, i])[0], x[i])
    rows, k = x.reshape(3000, 100), i[:40_000] % 3000
    kernel = kernel_of(lambda x, i: [x[i]], [rows, k])
    assert threads.SHARE in kernel.text
    np.testing.assert_array_equal(results(kernel, [rows, k])[0], rows[k])


def test_places_in_64_bits(monkeypatch):
    """Which arrays of more than 2 GB need."""
    monkeypatch.setattr(picking, "INT32", picking.INT64)
    x, i = np.arange(99.0), np.random.default_rng(3).integers(-200, 200, 70, dtype=np.int32)
    (got,) = results(kernel_of(lambda x, i: [x.at[i].get(mode="clip")], [x, i]), [x, i])
    np.testing.assert_array_equal(got, np.clip(np.where(i < 0, i + 99, i), 0, 98))
