"""Convolutions of the native engine against what they mean: all parameters, dtypes, layouts."""

import numpy as np
import pytest
from fuzz import run_kernel
from kernels import kernel_of, meaning, random_array

from pullback.core import dtypes
from pullback.core.settings import enable_x64
from pullback.engines.native.kinds import _KINDS
from pullback.engines.native.rules import convolution
from pullback.ops.convolution import ConvDimensionNumbers, conv_general_dilated, make_plan

DTYPES = [np.dtype("f"), np.dtype("d"), np.dtype("f"), *_KINDS]


@pytest.fixture(autouse=True)
def wide():
    with enable_x64(True):
        yield


def parameters(rng, rank, layout):
    """Parameters, and the shapes of input and kernel as (batch, feature, ...), (out, in, ...)."""

    def some(low, high):
        return tuple(int(n) for n in rng.integers(low, high, rank))

    plain = rng.random() < 0.4
    ones = (1,) * rank
    taps = some(1, 5)
    places = some(1, (40, 14, 7)[rank - 1]) if rank else ()
    groups = int(rng.choice([1, 1, 1, 2, 3, 5]))
    by_batch = groups > 1 and rng.random() < 0.3
    inside, outside = int(rng.choice([1, 1, 2, 3, 8, 17])), int(rng.choice([1, 2, 3, 16, 19]))
    batch = int(rng.integers(1, 4))
    x = (batch * (groups if by_batch else 1), inside * (1 if by_batch else groups), *places)
    w = (outside * groups, inside, *taps)
    params = {
        "window_strides": ones if plain else some(1, 4),
        "padding": tuple((int(a), int(b)) for a, b in rng.integers(-1 if not plain else 0, 4,
                                                                   (rank, 2))),
        "lhs_dilation": ones if plain else some(1, 3),
        "rhs_dilation": ones if plain else some(1, 3),
        "feature_group_count": 1 if by_batch else groups,
        "batch_group_count": groups if by_batch else 1,
        "precision": None,
        "preferred_element_type": None,
    }  # fmt: skip
    axes = range(rank + 2)
    if layout == "any":
        orders = [tuple(int(i) for i in rng.permutation(rank + 2)) for _ in range(3)]
    elif layout == "last":
        last = (0, rank + 1, *range(1, rank + 1))
        orders = [last, (rank + 1, rank, *range(rank)), last]
    else:
        orders = [tuple(axes)] * 3
    params["dimension_numbers"] = ConvDimensionNumbers(*orders)
    shapes = []
    for shape, order in ((x, orders[0]), (w, orders[1])):
        turned = [0] * (rank + 2)
        for n, at in zip(shape, order, strict=True):
            turned[at] = n
        shapes.append(tuple(turned))
    return shapes, params


def case(seed):
    """Arrays and parameters that conv_general_dilated takes."""
    rng = np.random.default_rng(seed)
    while True:
        rank = int(rng.choice([0, 1, 1, 2, 2, 2, 3]))
        shapes, params = parameters(rng, rank, ["any", "last", "first"][seed % 3])
        p = {k: v for k, v in params.items() if k not in ("precision", "preferred_element_type")}
        try:
            plan = make_plan(*shapes, *(p[k] for k in (
                "window_strides", "padding", "lhs_dilation", "rhs_dilation", "dimension_numbers",
                "feature_group_count", "batch_group_count")))  # fmt: skip
        except ValueError:  # negative padding of more than there is
            continue
        if 0 < np.prod(plan.out_shape) < 40_000:
            break
    dtype = DTYPES[int(rng.integers(len(DTYPES)))]
    arrays = [numbers(rng, s, dtype) for s in shapes]
    if rng.random() < 0.1 and dtype.kind in "fic":
        params["preferred_element_type"] = np.dtype({"f": "d", "i": "i8", "c": "c16"}[dtype.kind])
    return arrays, params


def numbers(rng, shape, dtype):
    if dtypes.kind(dtype) == "c":
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
    if dtypes.kind(dtype) == "f":
        return rng.normal(size=shape).astype(dtype)
    return random_array(rng, shape, dtype)


def check(arrays, params):
    kernel = kernel_of(lambda x, w: [conv_general_dilated(x, w, **params)], arrays)
    (got,) = run_kernel(kernel, arrays)
    (wanted,) = meaning(conv_general_dilated, arrays, params)
    assert got.dtype == wanted.dtype and got.shape == wanted.shape
    if dtypes.kind(got.dtype) in "iub":
        np.testing.assert_array_equal(got, wanted)
        return
    sizes = [np.abs(a.astype(np.complex128 if a.dtype.kind == "c" else np.float64)) for a in arrays]
    (bound,) = meaning(conv_general_dilated, sizes, {**params, "preferred_element_type": None})
    part = dtypes.real_dtype(got.dtype)
    inner = np.finfo("d" if "d" in (part.char, dtypes.real_dtype(arrays[0].dtype).char) else "f")
    terms = arrays[1].size // arrays[1].shape[params["dimension_numbers"].rhs_spec[0]]
    kind = np.complex128 if got.dtype.kind == "c" else np.float64
    off = np.abs(got.astype(kind) - wanted.astype(kind))
    allowed = 4 * (terms + 1) * float(inner.eps) * bound
    allowed += 2 * float(dtypes.finfo(part).eps) * np.abs(wanted.astype(kind))
    assert (off <= allowed).all(), (off - allowed).max()
    return kernel


@pytest.mark.parametrize("seed", range(150))
def test_convolution(seed):
    check(*case(seed))


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(1000, 5000))
def test_convolution_fuzz(seed):
    check(*case(seed))


@pytest.mark.parametrize("seed", range(1, 241, 3))
def test_in_parts(seed, monkeypatch):
    """Dilated inputs as several convolutions."""
    monkeypatch.setattr(convolution, "WORTH_PARTS", 0)
    arrays, params = case(seed)
    params["window_strides"] = (1,) * len(params["window_strides"])
    check(arrays, params)


def plain_params(rank, **changes):
    axes = tuple(range(rank + 2))
    return {
        "window_strides": (1,) * rank,
        "padding": ((1, 1),) * rank,
        "lhs_dilation": (1,) * rank,
        "rhs_dilation": (1,) * rank,
        "dimension_numbers": ConvDimensionNumbers(axes, axes, axes),
        "feature_group_count": 1,
        "batch_group_count": 1,
        "precision": None,
        "preferred_element_type": None,
        **changes,
    }


@pytest.mark.parametrize("shapes", [((2, 0, 5, 5), (4, 0, 3, 3)), ((2, 3, 0, 5), (4, 3, 1, 3)),
                                    ((1, 1, 1, 1), (1, 1, 1, 1))])  # fmt: skip
def test_empty_and_single(shapes):
    rng = np.random.default_rng(0)
    check([numbers(rng, s, np.dtype("f")) for s in shapes], plain_params(2))


def test_values_that_are_not_finite():
    """A NaN reaches the windows it is in, and no other."""
    x = np.ones((1, 2, 8, 9), np.float32)
    x[0, 1, 3, 4] = np.nan
    w = np.ones((3, 2, 3, 3), np.float32)
    params = plain_params(2)
    kernel = kernel_of(lambda x, w: [conv_general_dilated(x, w, **params)], [x, w])
    (got,), (wanted,) = run_kernel(kernel, [x, w]), meaning(conv_general_dilated, [x, w], params)
    np.testing.assert_array_equal(got, wanted)
    assert np.isnan(got).sum() == 3 * 9
