"""Every operation of the native engine on edge values, against the meaning of its primitive."""

import math

import numpy as np
import pytest
import scipy.special
from elementwise_kernels import WIDTHS, build, edges, operands, out_type
from kernels import kernel_of, results

from pullback.core import dtypes
from pullback.core.settings import enable_x64
from pullback.core.trace import quiet
from pullback.engines.native.kinds import _KINDS
from pullback.engines.native.operations.table import OPERATIONS
from pullback.ops import comparison, elementwise, functions, rounding
from pullback.ops.rounding import RoundingMethod

DTYPES = list(_KINDS)
BINARY = {
    *("add", "add_any", "sub", "mul", "div", "rem", "complex", "pow", "atan2", "nextafter"),
    *("eq", "ne", "lt", "le", "gt", "ge", "eq_to", "lt_to", "le_to", "max", "min"),
    *("and", "or", "xor", "shift_left", "shift_right_arithmetic", "shift_right_logical"),
    *("mulhi", "gcd", "hypot", "logaddexp", "logaddexp2", "zero_times", "zero_over"),
    *("igamma", "igammac", "beta_function", "polygamma", "zeta", "digamma_difference"),
}
PARAMS = {
    functions.integer_pow: [{"y": y} for y in (-20, -3, -1, 0, 1, 2, 3, 5, 16, 17)],
    rounding.round_: [{"rounding_method": method} for method in RoundingMethod],
    rounding.reduce_precision: [
        {"exponent_bits": e, "mantissa_bits": m} for e, m in ((5, 10), (8, 7), (4, 3), (11, 52))
    ],
}
EVERY = "biufc"
TAKES = dict.fromkeys(("copy", "stop_gradient", "stage", "sharding_constraint", "select_n"), EVERY)


def cases_of(primitive):
    """(dtypes of the operands, parameters), each pair that the primitive takes."""
    if primitive is elementwise.convert_element_type:
        for old in DTYPES:
            for new in DTYPES:
                yield [old], {"new_dtype": new, "weak_type": False}
        return
    if primitive is comparison.bitcast_convert_type:
        for old in DTYPES:
            for new in DTYPES:
                plain = {dtypes.kind(old), dtypes.kind(new)} <= set("iuf")
                if old == new or (plain and old.itemsize == new.itemsize):
                    yield [old], {"new_dtype": new}
        return
    takes = getattr(primitive, "takes", None) or TAKES[primitive.name]
    for dtype in DTYPES:
        if dtypes.kind(dtype) not in takes:
            continue
        for params in _params(primitive, dtype):
            if primitive is elementwise.select_n:
                yield [np.dtype(bool), dtype, dtype], params
                yield [np.dtype(np.int32), dtype, dtype], params
                yield [np.dtype(np.int32), dtype, dtype, dtype], params
                continue
            yield [dtype] * operand_count(primitive), params


def operand_count(primitive):
    if primitive is comparison.clamp or primitive.name.startswith("regularized_incomplete_beta"):
        return 3
    return 2 if primitive.name in BINARY else 1


def _params(primitive, dtype):
    if primitive is elementwise.conj:
        return [{"input_dtype": dtype}]
    found = PARAMS.get(primitive, [{}])
    if primitive is functions.integer_pow and dtypes.kind(dtype) in "iu":
        return [p for p in found if p["y"] >= 0]
    return found


CASES = [
    pytest.param(p, ds, params, id="-".join([p.name, *map(str, ds), *map(str, params.values())]))
    for p in OPERATIONS
    for ds, params in cases_of(p)
]

CLOSE = dict.fromkeys(
    (
        *("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "cos", "cosh"),
        *("exp", "exp2", "expm1", "log", "log1p", "logistic", "pow", "rsqrt", "sin", "sinh"),
        *("tan", "tanh", "erf", "erfc"),
    ),
    2,
)
CLOSE |= {"hypot": 1, "lgamma": 4, "digamma": 4, "digamma_difference": 4, "erf_inv": 6, "erfc": 7}
"""Ulps, of primitives that are not exact. C's erfc, which is the measure, is off by up to 5."""
CLOSE_COMPLEX = {"mul": 2, "square": 2, "div": 4, "integer_pow": 60, "abs": 1, "sign": 3, "sqrt": 3}
CLOSE_COMPLEX |= {"tanh_slope": 4}
CLOSE_COMPLEX |= dict.fromkeys(
    (
        *("acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "exp", "exp2"),
        *("expm1", "log", "log1p", "logistic", "pow", "rsqrt", "sin", "sinh", "tan", "tanh"),
        "atan2",
    ),
    4,
)


PRODUCTS = {"mul", "div", "square", "integer_pow", "tanh_slope", "pow"}
"""NumPy multiplies and adds with one rounding, so what overflows differs."""
WIDER = {"f": np.float64, "d": np.longdouble, "F": np.complex128, "D": np.clongdouble}
IN_C = {"erf": math.erf, "erfc": math.erfc}
"""SciPy's erfc is off by 346 ulps at 26."""
BY_SCIPY = {"digamma", "digamma_difference", "erf_inv", "lgamma"}
"""Asked in float64: that of erf_inv in float32 is off by up to 48 ulps."""


def meaning(primitive, in_dtypes, arrays, params):
    """What the primitive says, of functions in a wider dtype so that its own errors are none."""
    out = out_type(primitive, in_dtypes, params)
    if primitive.name in IN_C:
        return np.vectorize(IN_C[primitive.name], [np.float64])(arrays[0]).astype(out)
    if primitive.name in BY_SCIPY:
        arrays = [a.astype(np.float64) for a in arrays]
    elif allowed_error(primitive, in_dtypes, params) is not None and not (
        # In products and quotients of complex numbers it shows where the dtype ends.
        dtypes.kind(in_dtypes[0]) == "c" and primitive.name in PRODUCTS
    ):
        arrays = [a.astype(WIDER.get(a.dtype.char, np.float64)) for a in arrays]
    with quiet(), np.errstate(all="ignore"):
        return np.asarray(primitive.eval(*arrays, **params)).astype(out, copy=False)


def allowed_error(primitive, in_dtypes, params):
    """In ulps; None: exact."""
    family = dtypes.kind(in_dtypes[0])
    if family in "biu":
        return None
    if primitive is functions.integer_pow and family == "f":
        return 3 if abs(params["y"]) > 16 else None
    return (CLOSE_COMPLEX if family == "c" else CLOSE).get(primitive.name)


def ulps(got, want, sensitivity=1.0):
    """The largest distance in units of the last place of `want`; NaN must meet NaN."""
    if got.size == 0:
        return 0.0
    nan = np.isnan(want)
    assert np.array_equal(np.isnan(got), nan)
    info = dtypes.finfo(want.dtype)
    w, g = want.astype(np.longdouble), got.astype(np.longdouble)
    same = nan | (g == w)
    exponent = np.frexp(np.where(np.isfinite(w), w, 1))[1] - 1
    unit = np.ldexp(np.longdouble(1), np.maximum(exponent, int(info.minexp)) - int(info.nmant))
    with np.errstate(invalid="ignore"):
        return float(np.max(np.where(same, 0, np.abs(g - w) / unit / sensitivity)))


def complex_ulps(got, want, sensitivity=1.0):
    """The same of complex numbers: of the larger part, where both are finite."""
    sensitivity = np.broadcast_to(sensitivity, want.shape)
    finite = np.isfinite(want.real) & np.isfinite(want.imag)
    with np.errstate(invalid="ignore"):
        assert np.array_equal(np.isfinite(got.real) & np.isfinite(got.imag), finite)
    g, w = got[finite].astype(np.clongdouble), want[finite].astype(np.clongdouble)
    info = dtypes.finfo(want.real.dtype)
    size = np.maximum(np.maximum(abs(w.real), abs(w.imag)), info.tiny)
    error = np.maximum(abs(g.real - w.real), abs(g.imag - w.imag)) / size / info.eps
    return float((error / sensitivity[finite]).max(initial=0.0))


def same_infinities(got, want):
    """Where a part is infinite or NaN, it is, and the other is about as it should."""
    some = ~(np.isfinite(want.real) & np.isfinite(want.imag))
    for ours, theirs in ((got.real, want.real), (got.imag, want.imag)):
        endless = ~np.isfinite(theirs)
        assert same_bits(ours, theirs)[endless].all()
        other = some & ~endless
        np.testing.assert_allclose(ours[other], theirs[other], 1e-5)


def sensitivity_of(primitive, arrays, want):
    """How far the formulas of complex powers and angles magnify rounding, NumPy's as ours.

    That of lgamma and digamma is relative to 1 near their zeros.
    """
    with np.errstate(all="ignore"):
        complex_ = want.dtype.kind == "c"
        if primitive is functions.pow_ and complex_:
            z, w = (a.astype(np.clongdouble) for a in arrays)
            return 1 + np.nan_to_num(abs(w) * abs(np.log(np.where(z == 0, 1, z))))
        if primitive is functions.atan2 and complex_:
            x, y = arrays
            return (1 + 1 / abs(want)) * (abs(x) ** 2 + abs(y) ** 2) / abs(x * x + y * y)
        if primitive is functions.logistic and complex_:
            return np.maximum(1, abs(want))
        if primitive.name == "digamma_difference":  # of two terms that may be nearly equal
            x, y = (a.astype(np.float64) for a in arrays)
            images = [np.where(z <= 0, 1 - z, z) for z in (x, x + y)]
            terms = sum(abs(scipy.special.psi(z)) for z in images)
            terms = np.nan_to_num(terms, nan=1, posinf=1)
            shares = terms * dtypes.finfo(np.float64).eps / dtypes.finfo(want.dtype).eps
            return 1 + np.nan_to_num(shares / abs(want), nan=1, posinf=1)
        if primitive.name in ("lgamma", "digamma"):
            return np.where(np.isfinite(want) & (want != 0), 1 + 1 / abs(want), 1)
    return 1.0


def same_bits(got, want):
    """Equal, zeros of one sign, NaN where NaN is."""
    if dtypes.kind(want.dtype) == "c":
        return same_bits(got.real, want.real) & same_bits(got.imag, want.imag)
    if dtypes.kind(want.dtype) != "f":
        return got == want
    with np.errstate(all="ignore"):  # a NaN of ml_dtypes warns when it is compared
        equal = (got == want) & (np.signbit(got) == np.signbit(want))
        return equal | (np.isnan(got) & np.isnan(want))


def check(primitive, in_dtypes, params, arrays, got, want):
    assert got.dtype == want.dtype
    allowed = allowed_error(primitive, in_dtypes, params)
    if allowed is None:
        wrong = np.flatnonzero(~same_bits(got, want))
        at = [(*(a[i] for a in arrays), got[i], want[i]) for i in wrong[:5]]
        assert not wrong.size, f"{wrong.size} of {got.size} differ: {at}"
    elif dtypes.kind(want.dtype) == "c":
        if primitive.name not in PRODUCTS - {"div"}:
            same_infinities(got, want)
        assert complex_ulps(got, want, sensitivity_of(primitive, arrays, want)) <= allowed
    else:
        assert ulps(got, want, sensitivity_of(primitive, arrays, want)) <= allowed


def _defined(primitive, arrays):
    """The operands at which the meaning can be trusted.

    Near poles SciPy's lgamma and digamma are wrong (of digamma(-1 + 2^-53) it makes -5.5e15; it
    is -2^53), and near 1 too (of lgamma(1 - 2^-53) twice 2^-53; it is 0.577 of that).

    Of complex powers NumPy's are NaN where a part is infinite or large. Its angle of two complex
    numbers is a formula that keeps no digits near 0 and 1, and has a cut through half of the edges.
    """
    if primitive.name in ("lgamma", "digamma") and arrays[0].dtype == np.float64:
        x = arrays[0]
        near_1 = (x != 1) & (abs(x - 1) < 1e-9)
        return [x[~np.isfinite(x) | (x == 0) | (x > 1e-9) & ~near_1]]
    if primitive.name == "digamma_difference":
        x = arrays[0].astype(np.float64)
        with np.errstate(all="ignore"):
            ends = x, x + arrays[1].astype(np.float64)
        poles = [(z <= 0) & (np.floor(z) == z) for z in ends]
        known = (poles[0] & poles[1]) | ((ends[0] > 1e-9) & (ends[1] > 1e-9))
        return [a[known] for a in arrays]
    if primitive is functions.pow_ and arrays[0].dtype == np.float64:
        # powl(-inf, -2^63) of glibc is inf; it is 0, as pow has it.
        known = (arrays[0] != -np.inf) | (abs(arrays[1]) < 2.0**60)
        return [a[known] for a in arrays]
    if arrays[0].dtype.kind != "c":
        return arrays
    if primitive is functions.integer_pow:  # NumPy's overflow of parts of the product is another
        size = abs(arrays[0])
        return [arrays[0][~np.isfinite(size) | (size == 0) | (size > 0.03) & (size < 30)]]
    if primitive is functions.exp2:  # beyond, the angle y log(2) has no true digit
        y = abs(arrays[0].imag)
        return [arrays[0][~((y > 1e13) & np.isfinite(y))]]
    if primitive is functions.pow_:
        small = np.logical_and.reduce([abs(a) < 1e9 for a in arrays])
        return [a[small] for a in arrays]
    return [a[3000:] for a in arrays] if primitive is functions.atan2 else arrays


@pytest.fixture(autouse=True)
def all_dtypes():
    with enable_x64(True):
        yield


@pytest.mark.parametrize(("primitive", "in_dtypes", "params"), CASES)
def test_an_operation_is_what_its_primitive_means(primitive, in_dtypes, params, seed=0, count=300):
    arrays = _defined(primitive, operands(in_dtypes, seed, count))
    want = meaning(primitive, in_dtypes, arrays, params)
    kernels = build(primitive, in_dtypes, params)
    first = kernels[WIDTHS[0]](*arrays)
    check(primitive, in_dtypes, params, arrays, first, want)
    for width in WIDTHS[1:]:
        assert same_bits(kernels[width](*arrays), first).all(), width


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("primitive", "in_dtypes", "params"), CASES)
def test_an_operation_of_many_numbers(primitive, in_dtypes, params, seed):
    test_an_operation_is_what_its_primitive_means(primitive, in_dtypes, params, seed, 20_000)


SOME = [np.dtype(d) for d in ("bool", "int32", "uint8", "float32", "bfloat16", "complex64")]


@pytest.mark.parametrize(
    ("primitive", "in_dtypes", "params"),
    [case for case in CASES if {*case.values[1], out_type(*case.values)} <= {*SOME}],
)
def test_operands_may_be_constants(primitive, in_dtypes, params):
    arrays = [a[:40] for a in _defined(primitive, operands(in_dtypes))]
    value = arrays[-1][33 % len(edges(in_dtypes[-1]))]
    arrays[-1] = np.full_like(arrays[-1], value)
    want = build(primitive, in_dtypes, params, (0,))[0](*arrays)
    kernel = build(primitive, in_dtypes, params, (5,), {len(arrays) - 1: value})[5]
    assert same_bits(kernel(*arrays), want).all(), value


def test_constants_alone_are_operands():
    for primitive, dtype in ((functions.exp, "f4"), (elementwise.add, "c8"), (functions.rem, "i4")):
        dtype, count = np.dtype(dtype), operand_count(primitive)
        arrays = [np.full(8, 2, dtype)] * count
        kernels = build(primitive, [dtype] * count, {}, (0, 8), dict.fromkeys(range(count), 2))
        want = np.asarray(primitive.eval(*arrays))
        for kernel in kernels.values():
            np.testing.assert_allclose(kernel(*arrays), want, rtol=1e-6)


@pytest.mark.parametrize("width", [1, 2, 3, 20, 33, 40, 64])
def test_functions_of_words_that_the_library_has_no_function_for(width):
    for primitive, dtype in ((functions.sin, "f4"), (functions.pow_, "f8"), (functions.log, "c8")):
        dtypes_ = [np.dtype(dtype)] * operand_count(primitive)
        arrays = operands(dtypes_)
        kernels = build(primitive, dtypes_, {}, (0, width))
        assert same_bits(kernels[width](*arrays), kernels[0](*arrays)).all()


# ---- division


@pytest.mark.parametrize("primitive", [elementwise.div, functions.rem])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_all_quotients_of_bytes(primitive, dtype):
    every = np.arange(256).astype(dtype)
    x, y = (g.ravel() for g in np.meshgrid(every, every))
    with quiet():
        want = primitive.eval(x, y)
    for kernel in build(primitive, [dtype, dtype], {}, (0, 16)).values():
        np.testing.assert_array_equal(kernel(x, y), want)


@pytest.mark.parametrize("primitive", [elementwise.div, functions.rem])
@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32, np.uint32])
def test_quotients_near_whole_ones(primitive, dtype):
    # x = q y - 1, q y and q y + 1, where a quotient of floats could be rounded over the edge.
    info = np.iinfo(dtype)
    rng = np.random.default_rng(1)
    y = np.concatenate([rng.integers(1, info.max, 20000), rng.integers(1, 9, 20000)])
    q = rng.integers(0, info.max // y, endpoint=True)
    x = (q * y + rng.integers(-1, 2, y.size)).clip(0, info.max)
    if info.min:
        x, y = x * rng.choice([-1, 1], x.size), y * rng.choice([-1, 1], y.size)
    x, y = x.astype(dtype), y.astype(dtype)
    with quiet():
        want = primitive.eval(x, y)
    for kernel in build(primitive, [dtype, dtype], {}, (0, 16)).values():
        np.testing.assert_array_equal(kernel(x, y), want)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_remainders_of_numbers_near_multiples(dtype):
    rng = np.random.default_rng(2)
    y = (rng.standard_normal(30000) * 10.0 ** rng.integers(-4, 4, 30000)).astype(dtype)
    multiple = y * rng.integers(0, 2 ** rng.integers(1, 40, y.size)).astype(dtype)
    x = np.nextafter(multiple, rng.choice([-1, 1], y.size).astype(dtype) * np.inf).astype(dtype)
    x = np.where(rng.random(y.size) < 0.3, multiple, x)
    for kernel in build(functions.rem, [dtype, dtype], {}, (0, 16)).values():
        assert same_bits(kernel(x, y), np.fmod(x, y)).all()


# ---- conversions


@pytest.mark.parametrize("dtype", [np.float16, "bfloat16", np.float32])
@pytest.mark.parametrize("wide", [np.float32, np.float64])
def test_rounding_of_ties_and_their_neighbours(dtype, wide):
    """Float64 becomes float16 in one rounding, though not in one instruction."""
    dtype = np.dtype(dtype)
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 0x7F00 if dtype.itemsize == 2 else 0x7F000000, 5000)
    low = bits.astype(f"u{dtype.itemsize}").view(dtype).astype(wide)
    high = (bits + 1).astype(f"u{dtype.itemsize}").view(dtype).astype(wide)
    with np.errstate(all="ignore"):
        tie = low + (high - low) / 2
        x = np.concatenate([tie, np.nextafter(tie, 0), np.nextafter(tie, wide(np.inf))])
        x = np.concatenate([x, -x])
    params = {"new_dtype": dtype, "weak_type": False}
    case = elementwise.convert_element_type, [np.dtype(wide)], params
    want = meaning(case[0], case[1], [x], params)
    for kernel in build(*case, (0, 16)).values():
        assert same_bits(kernel(x), want).all()


def test_sides_of_the_cut_of_complex_angles():
    """Parts that are 0 decide between pi and -pi; the kernel follows the formula of `eval`."""
    parts = [0.0, -0.0, 2.0, -2.0]
    points = np.array([complex(a, b) for a in parts for b in parts])
    y, x = (np.ascontiguousarray(z.reshape(-1)) for z in np.meshgrid(points, points))
    with quiet(), np.errstate(all="ignore"):
        regular = np.abs(x * x + y * y) > 0.1
        wanted = functions.atan2.eval(y[regular], x[regular])
    with enable_x64():
        (got,) = results(kernel_of(lambda *a: [functions.atan2(*a)], [y, x]), [y, x])
    np.testing.assert_allclose(got[regular], wanted, rtol=0, atol=1e-14)
