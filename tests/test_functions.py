"""Derivatives of elementwise functions: their digits, what they are at edges, and their errors."""

import numpy as np
import pytest

from pullback.core.array import HostArray
from pullback.core.primitive import all_primitives
from pullback.ops import comparison as c
from pullback.ops import functions as f
from pullback.ops import rounding as r
from pullback.ops import special as s
from pullback.ops.elementwise import add
from pullback.transforms import forward, reverse

INF, NAN = np.inf, np.nan
OPS = {op.name: op for op in all_primitives()}

pytestmark = pytest.mark.usefixtures("x64")


def array(x, dtype="float64"):
    return HostArray(np.asarray(x, dtype))


def slope(op, *args, wrt=0, dtype="float64", **params):
    """The derivative in argument `wrt`; None if there is no tangent."""
    arrays = [array(x, dtype) for x in args]
    ones = [None] * len(arrays)
    ones[wrt] = array(np.ones_like(arrays[wrt]._value), dtype)
    _, (t,) = forward.jvp(lambda *xs: [op(*xs, **params)], arrays, ones)
    return None if t is None else t._value


# ---- digits: each derivative in 17 digits was computed by mpmath 1.4 with 50

DERIVATIVES = [
    ("exp", -700.0, 9.85967654375977e-305),
    ("exp2", -300.5, 2.4060894232031633e-91),
    ("expm1", -30.0, 9.357622968840175e-14),
    ("expm1", 1e-20, 1.0),
    ("log1p", -0.9999999, 10000000.005263558),
    ("log1p", 1e300, 1e-300),
    ("logistic", 40.0, 4.248354255291589e-18),
    ("logistic", -40.0, 4.248354255291589e-18),
    ("logistic", 0.3, 0.24445831169074586),
    ("sqrt", 1e-300, 5e149),
    ("rsqrt", 3e-206, -9.622504486493761e307),
    ("cbrt", -1e-30, 3.333333333333333e19),
    ("sin", 1e5, -0.9993608074382124),
    ("cos", 1e5, -0.03574879797201651),
    ("tan", 1.57, 1576948.220797328),
    ("asin", 0.9999999999, 70710.67519510884),
    ("acos", -0.9999999999, -70710.67519510884),
    ("atan", 1e100, 1e-200),
    ("sinh", -0.001, 1.0000005000000416),
    ("cosh", 1e-10, 1e-10),
    ("asinh", 1e200, 1e-200),
    ("asinh", -3e8, 3.3333333333333334e-09),
    ("asinh", 1e-9, 1.0),
    ("acosh", 1.0000000001, 70710.67519157329),
    ("acosh", 1e200, 1e-200),
    ("atanh", -0.99999999, 49999999.99876204),
    ("erf", 3.0, 0.00013925305194674786),
    ("erfc", 5.0, -1.5670866531017336e-11),
    ("digamma", 0.01, 10001.621213528313),
    ("digamma", 1e8, 1.000000005e-08),
]


@pytest.mark.parametrize(("name", "x", "want"), DERIVATIVES)
def test_derivatives_are_exact_to_a_few_units_of_the_last_place(name, x, want):
    got = float(slope(OPS[name], x))
    # exp(-x^2) has the condition 2 x^2: 50 units at 5.
    units = 30 if name.startswith("erf") else 4
    assert abs(got - want) <= units * np.spacing(abs(want)), f"{got!r} instead of {want!r}"


@pytest.mark.parametrize(
    ("x", "y", "dx", "dy"),
    [
        (3e-200, 4e-200, 1.6e199, -1.2e199),
        (3e200, -4e200, -1.6e-201, -1.2e-201),
        (1e-8, 1.0, 0.9999999999999999, -9.999999999999999e-09),
        (1.0, 1e-300, 1e-300, -1.0),
    ],
)
def test_atan2_does_not_square_what_has_no_square(x, y, dx, dy):
    np.testing.assert_allclose(slope(f.atan2, x, y), dx, rtol=1e-15)
    np.testing.assert_allclose(slope(f.atan2, x, y, wrt=1), dy, rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_asinh_and_atan2_where_squares_are_infinite(dtype):
    big = 0.1 * float(np.finfo(dtype).max)
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(slope(f.asinh, big, dtype=dtype), 1 / big, rtol=0.02 + eps)
    np.testing.assert_allclose(slope(f.atan2, big, big, dtype=dtype), 0.5 / big, rtol=0.02 + eps)


def test_acosh_of_complex_numbers_left_of_0_has_the_sign_of_its_branch():
    x, h = -1.4 + 0.24j, 1e-6
    steps = np.arccosh(x + h) - np.arccosh(x - h)
    np.testing.assert_allclose(slope(f.acosh, x, dtype="complex128"), steps / (2 * h), rtol=1e-9)


def test_rem_by_a_divisor_that_the_quotient_rounds_to():
    # 3 - 3 eps over 1 is below 3 by less than a division can tell of.
    x = np.nextafter(3.0, 0)
    assert slope(f.rem, x, 1.0, wrt=1) == -2
    assert slope(f.rem, -x, 1.0, wrt=1) == 2


# ---- edges


@pytest.mark.parametrize(
    ("x", "y", "dx", "dy"),
    [
        (0.0, 0.0, 0.0, 0.0),
        (0.0, 1.0, 1.0, 0.0),
        (0.0, 2.0, 0.0, 0.0),
        (0.0, 0.5, INF, 0.0),
        (0.0, -1.0, -INF, -INF),
        (-2.0, 3.0, 12.0, NAN),
        (-2.0, 0.0, 0.0, NAN),
        (2.0, 0.0, 0.0, np.log(2)),
        (INF, 0.0, 0.0, INF),
    ],
)
def test_pow_at_edges(x, y, dx, dy):
    np.testing.assert_array_equal(slope(f.pow_, x, y), dx)
    np.testing.assert_array_equal(slope(f.pow_, x, y, wrt=1), dy)


def test_second_derivatives_of_pow_at_0_are_not_nan():
    def dy(x, y):
        return forward.jvp(lambda y: [f.pow_(x, y)], [y], [array(1.0)])[1]

    x, y, one = array(0.0), array(2.0), array(1.0)
    _, (second,) = forward.jvp(lambda y: dy(x, y), [y], [one])
    assert second._value == 0


def test_pow_of_integers():
    x = HostArray(np.int32([2, 1, -1, -1, 0, -3, 3, -2]))
    y = HostArray(np.int32([-1, -1, -1, -2, -1, -1, 4, 31]))
    np.testing.assert_array_equal(f.pow_(x, y)._value, [0, 1, -1, 1, 0, 0, 81, -(2**31)])


@pytest.mark.parametrize(
    ("op", "x", "want"),
    [
        (r.abs_, 0.0, 1.0),
        (f.sqrt, 0.0, INF),
        (f.rsqrt, 0.0, -INF),
        (f.rsqrt, INF, 0.0),
        (f.cbrt, 0.0, INF),
        (f.log, 0.0, INF),
        (f.log1p, -1.0, INF),
        (f.logistic, INF, 0.0),
        (f.logistic, -INF, 0.0),
        (f.tanh, INF, 0.0),
        (f.atan, -INF, 0.0),
        (f.asinh, INF, 0.0),
        (f.asin, 1.0, INF),
        (f.acosh, 1.0, INF),
        (f.atanh, 1.0, INF),
        (f.exp, -INF, 0.0),
        (s.erf, INF, 0.0),
        (s.erf_inv, 1.0, INF),
        (s.bessel_i1e, 0.0, 0.5),
        (s.bessel_i0e, 0.0, 0.0),
    ],
)
def test_derivatives_at_edges(op, x, want):
    assert slope(op, x) == want


def test_abs_of_a_complex_number_has_derivative_0_at_0():
    assert slope(r.abs_, 0j, dtype="complex128") == 0


@pytest.mark.parametrize("op", [c.max_, c.min_])
def test_equal_operands_share_the_derivative_and_nan_has_none(op):
    x = [1.0, INF, -INF, 0.0, NAN, 1.0]
    y = [1.0, INF, -INF, -0.0, 1.0, NAN]
    for wrt in (0, 1):
        np.testing.assert_array_equal(slope(op, x, y, wrt=wrt), [0.5, 0.5, 0.5, 0.5, 0, 0])


def test_clamp_is_constant_at_its_limits():
    low, x, high = [0.0] * 5, [-1.0, 0, 0.5, 1, 2], [1.0] * 5
    np.testing.assert_array_equal(slope(c.clamp, low, x, high), [1, 0, 0, 0, 0])
    np.testing.assert_array_equal(slope(c.clamp, low, x, high, wrt=1), [0, 0, 1, 0, 0])
    np.testing.assert_array_equal(slope(c.clamp, low, x, high, wrt=2), [0, 0, 0, 0, 1])


@pytest.mark.parametrize(("y", "want"), [(0, None), (1, 1.0), (2, 0.0), (3, 0.0), (-1, -INF)])
def test_integer_pow_at_0(y, want):
    assert slope(f.integer_pow, 0.0, y=y) == want


def test_what_is_piecewise_constant_has_no_tangent():
    assert slope(r.floor, 1.5) is None
    assert slope(r.ceil, 1.5) is None
    assert slope(r.sign, 1.5) is None
    assert slope(r.round_, 1.5, rounding_method=r.RoundingMethod.AWAY_FROM_ZERO) is None
    assert slope(c.lt, 1.5, 2.0) is None
    assert slope(c.is_finite, 1.5) is None
    assert slope(c.bitcast_convert_type, 1.5, new_dtype=np.dtype("int64")) is None


def test_a_tape_has_one_entry_for_a_function():
    x = array([0.3, 0.4])
    for op in (f.sin, f.cos, f.exp, f.tanh, f.log, f.sqrt, f.logistic, f.asin, f.acos, f.asinh):
        _, tape, _ = reverse.linearize(lambda x, op=op: [op(x)], [x], [True])
        assert len(tape.entries) == 1, op


# ---- values


def test_shifts_by_too_many_bits():
    x = HostArray(np.int32([-5, 5]))
    for n in (32, 100, -1):
        by = HostArray(np.int32(n))
        np.testing.assert_array_equal(c.shift_left(x, by)._value, [0, 0])
        np.testing.assert_array_equal(c.shift_right_logical(x, by)._value, [0, 0])
        np.testing.assert_array_equal(c.shift_right_arithmetic(x, by)._value, [-1, 0])


def test_logistic_of_float16_keeps_small_numbers():
    got = f.logistic(array(-12.0, "float16"))._value
    assert got == np.float16(1 / (1 + np.exp(12.0)))


def test_round_does_not_lift_the_largest_number_below_a_half():
    x = array([np.nextafter(0.5, 0), 0.5, 1.5, -2.5, 4503599627370497.0])
    got = r.round_(x, rounding_method=r.RoundingMethod.AWAY_FROM_ZERO)._value
    np.testing.assert_array_equal(got, [0, 1, 2, -3, 4503599627370497.0])


# ---- errors

INT16, INT8, INT32, FLOAT32 = map(np.dtype, ("int16", "int8", "int32", "float32"))


def typed(shape, dtype):
    return HostArray(np.zeros(shape, dtype)).aval


@pytest.mark.parametrize(
    ("call", "kind", "what", "got", "fix"),
    [
        (
            lambda: f.integer_pow.typing(typed((2,), INT32), y=-1),
            TypeError,
            "integers cannot be raised to negative powers.",
            "i32[2] to the power -1",
            "convert to a float first, with .astype(...).",
        ),
        (
            lambda: f.sin.typing(typed((2,), INT32)),
            TypeError,
            "sin does not take int32 arrays.",
            "i32[2]",
            "it takes float, complex: convert with .astype(...).",
        ),
        (
            lambda: r.reduce_precision.typing(typed((), FLOAT32), exponent_bits=0, mantissa_bits=1),
            ValueError,
            "reduce_precision needs at least 1 bit of exponent and 0 bits of mantissa.",
            "exponent_bits=0, mantissa_bits=1",
            "give the bits of the target, such as 5 and 10 for float16.",
        ),
        (
            lambda: c.bitcast_convert_type.typing(typed((3,), INT8), new_dtype=INT16),
            ValueError,
            "the last axis must hold the 2 parts of one int16.",
            "i8[3]",
            "reshape so that the last axis has length 2.",
        ),
        (
            lambda: c.bitcast_convert_type.typing(typed((3,), "bool"), new_dtype=INT8),
            TypeError,
            "the bits of bools, complex numbers and keys cannot be read as another dtype.",
            "bool[3] as int8",
            "convert with .astype(...), or take the real and imaginary parts first.",
        ),
    ],
)
def test_messages(call, kind, what, got, fix):
    with pytest.raises(kind) as problem:
        call()
    first, second, where, last = str(problem.value).split("\n")
    assert (first, second, last) == (what, f"  Got: {got}", f"  Fix: {fix}")
    assert "test_functions.py" in where


def test_mixed_dtypes_are_refused_but_for_integer_exponents():
    x, n = typed((2,), "float32"), typed((2,), "int32")
    assert f.pow_.typing(x, n) == x
    for op in (f.pow_, add):
        with pytest.raises(TypeError):
            op.typing(n, x)
