"""The vector maths of the native engine: errors, special values, and one result at every width.

Errors are in units in the last place of the right result, which has more digits: float64 for
float32; long double where it is longer than double, and mpmath, for float64.
"""

import ctypes
import threading
import warnings

import mpmath
import numpy as np
import pytest
from scipy import special

from pullback.engines.native import machine
from pullback.engines.native.lanes import FloatLanes
from pullback.engines.native.maths import FUNCTIONS, library, reduction
from pullback.engines.native.text import Code, Module

DTYPES = {32: np.dtype(np.float32), 64: np.dtype(np.float64)}
WIDTHS = {32: (0, 2, 4, 8, 16, 32), 64: (0, 2, 4, 8, 16)}
BEST = {32: 16, 64: 8}

# The largest errors allowed, in float32 and float64: what was measured, rounded up. 2 is the limit
# of elementary functions.
LIMITS = {
    "exp": (0.85, 0.85),
    "exp2": (1.0, 1.0),
    "expm1": (1.2, 1.25),
    "log": (0.9, 0.9),
    "log1p": (0.9, 0.9),
    "logistic": (1.0, 1.0),
    "tanh": (1.2, 1.25),
    "sinh": (0.95, 0.95),
    "cosh": (0.9, 0.9),
    "asinh": (1.3, 1.3),
    "acosh": (1.0, 1.0),
    "atanh": (1.0, 1.0),
    "sin": (0.95, 0.95),
    "cos": (0.95, 0.95),
    "tan": (1.35, 1.35),
    "asin": (1.35, 1.35),
    "acos": (1.3, 1.3),
    "atan": (1.4, 1.6),
    "atan2": (1.6, 1.6),
    "pow": (0.55, 1.05),
    "cbrt": (0.51, 0.51),
    "rsqrt": (1.51, 1.51),
    "hypot": (1.0, 1.0),
    "erf": (1.5, 1.5),
    "erfc": (1.75, 1.9),
    "erf_inv": (66, 4.5),  # in float32 as XLA has it, which rounds x**2: 64.7 units at 0.9998276
    "lgamma": (0.51, 5.0),
    "digamma": (0.51, 4.0),
}
UNARY = [name for name in FUNCTIONS if FUNCTIONS[name].operands == 1]
BINARY = [name for name in FUNCTIONS if FUNCTIONS[name].operands == 2]
RECURSIVE = ("lgamma", "digamma")  # only left of the origin, errors are relative to 1 or more
LONG = np.finfo(np.longdouble).nmant > 60


def logistic(x):
    """Without the cancellation and the overflow of the plain formula."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


NUMPY = {
    **{name: getattr(np, name) for name in ("exp", "exp2", "expm1", "log", "log1p", "tanh")},
    **{name: getattr(np, name) for name in ("sinh", "cosh", "sin", "cos", "tan", "cbrt", "hypot")},
    **{name: getattr(np, name) for name in ("asinh", "acosh", "atanh", "asin", "acos", "atan")},
    "atan2": np.atan2,
    "pow": np.power,
    "logistic": logistic,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "erf": special.erf,
    "erfc": special.erfc,
    "erf_inv": special.erfinv,
    "lgamma": special.gammaln,
    "digamma": special.digamma,
}
OF_LONG_DOUBLES = set(NUMPY) - {"erf", "erfc", "erf_inv", "lgamma", "digamma"}


def exact_erf_inv(x):
    """The root of log erfc(y) = log(1 - |x|), which keeps its digits near 1."""
    if abs(x) < 0.5:
        return mpmath.erfinv(x)
    rest = mpmath.log(1 - abs(x))
    root = mpmath.findroot(lambda y: mpmath.log(mpmath.erfc(y)) - rest, mpmath.sqrt(-rest))
    return mpmath.sign(x) * root


EXACT = {
    **{name: getattr(mpmath, name) for name in ("exp", "expm1", "log", "log1p", "tanh", "sinh")},
    **{name: getattr(mpmath, name) for name in ("cosh", "sin", "cos", "tan", "asinh", "acosh")},
    **{name: getattr(mpmath, name) for name in ("atanh", "asin", "acos", "atan", "atan2", "hypot")},
    **{name: getattr(mpmath, name) for name in ("erf", "erfc", "digamma")},
    "exp2": lambda x: mpmath.mpf(2) ** x,
    "pow": lambda x, y: x**y,
    "logistic": lambda x: 1 / (1 + mpmath.exp(-x)),
    "rsqrt": lambda x: 1 / mpmath.sqrt(x),
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "erf_inv": exact_erf_inv,
    "lgamma": lambda x: mpmath.loggamma(x).real,
}

_kernels = {}


def kernel(name, bits, width, inline):
    """The function over whole arrays, whose size is a multiple of the width."""
    key = name, bits, width, inline
    if key not in _kernels:
        code = Code(Module())
        lanes = FloatLanes(code, bits, width)
        count = FUNCTIONS[name].operands

        def body(i, _):
            places = [code.at(f"%x{k}", i, lanes.scalar) for k in range(count)]
            loads = [f"load {lanes.kind}, ptr {p}, align {bits // 8}" for p in places]
            result = applied(lanes, name, inline, [code.op(load) for load in loads])
            place = code.at("%out", i, lanes.scalar)
            code.line(f"store {lanes.kind} {result}, ptr {place}, align {bits // 8}")

        code.loop("%n", body, step=width or 1)
        inputs = "".join(f"ptr %x{k}, " for k in range(count))
        head = f"define void @kernel({inputs}ptr %out, i64 %n) {{"
        lines = [head, "entry:", *code.whole.flat(), "  ret void", "}"]
        code.module.functions.append("\n".join(lines))
        assembled = machine.assemble(code.module.text())
        loaded = machine.load(assembled, code.module.symbols, ["kernel"])
        kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (count + 1), ctypes.c_int64)
        _kernels[key] = kind(loaded.addresses["kernel"]), loaded
    return _kernels[key][0]


def applied(lanes, name, inline, operands):
    """The function's own instructions, or a call of it."""
    if inline:
        return FUNCTIONS[name].emit(lanes, *operands)
    symbol, address = library.function(name, lanes.bits, lanes.width)
    signature = library.signature(name, lanes.bits, lanes.width)
    function = lanes.code.module.symbol(symbol, address, signature)
    return lanes.code.call(lanes.kind, function, *[f"{lanes.kind} {x}" for x in operands])


def run(name, *operands, width=None, inline=False):
    """The function of arrays of one size, by lanes; the best width, if none is given."""
    bits = operands[0].dtype.itemsize * 8
    width = BEST[bits] if width is None else width
    size = operands[0].size
    spare = -size % (width or 1)
    operands = [np.concatenate([x, np.ones(spare, x.dtype)]) for x in operands]
    out = np.empty(size + spare, operands[0].dtype)
    addresses = [x.ctypes.data for x in (*operands, out)]
    kernel(name, bits, width, inline)(*addresses, size + spare)
    return out[:size]


def of_numpy(name, operands, kind):
    """NumPy's or SciPy's answer, computed in `kind`."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return NUMPY[name](*(x.astype(kind) for x in operands))


def errors(got, right):
    """Errors in units in the last place; inf where one is NaN, or zeros differ in sign."""
    kind = got.dtype
    wide = right.dtype.type
    with np.errstate(all="ignore"):
        rounded = right.astype(kind)
        # Next to overflow, an infinite result counts as the first power of two that is too large.
        end = wide(2.0) ** np.finfo(kind).maxexp
        value = np.clip(got.astype(wide), -end, end)
        unit = np.spacing(np.minimum(np.abs(rounded), np.finfo(kind).max)).astype(wide)
        error = np.abs(value - np.clip(right, -end, end)) / unit
        wrong = np.isnan(got) != np.isnan(right)
        zeros = (got == 0) & (right == 0) & (np.signbit(got) != np.signbit(right))
    return np.where(np.isnan(got) & np.isnan(right), 0, np.where(wrong | zeros, np.inf, error))


def worst(name, operands, got, right, limit):
    """Fail with the worst case if its error is above the limit."""
    error = errors(got, right)
    i = int(np.argmax(error))
    at = [x[i] for x in operands]
    assert error[i] <= limit, f"{name}{at!r}: {got[i]!r}, not {right[i]!r}: {error[i]:.2f} units"


def patterns(dtype, size, rng):
    """Random bits: every exponent, subnormal numbers, infinities and NaNs."""
    words = rng.integers(0, 2 ** (dtype.itemsize * 8), size, dtype=np.uint64)
    return words.astype(f"u{dtype.itemsize}").view(dtype)


def points(name, dtype, size, rng):
    """Where the function has something to do: sizes near 1 too, and near the function's zeros."""
    scale = rng.standard_normal(size) * np.exp(rng.uniform(-6, 5, size))
    near = 1 + rng.standard_normal(size) * np.exp(rng.uniform(-20, 0, size))
    wide = rng.uniform(-1, 1, size) * (105 if dtype.itemsize == 4 else 750)
    turns = np.arange(size // 2) * (np.pi / 4)
    x = np.concatenate([scale, near, wide, turns, rng.uniform(-1.2, 1.2, size)]).astype(dtype)
    x = np.concatenate([x, patterns(dtype, size, rng), np.nextafter(x[-size:], dtype.type(2))])
    return np.abs(x) if name in RECURSIVE else x


def pairs(name, dtype, size, rng):
    """Two operands; for pow, exponents that give every size of result."""
    x, y = patterns(dtype, size, rng), patterns(dtype, size, rng)
    a, b = rng.standard_normal((2, size)) * np.exp(rng.uniform(-3, 3, (2, size)))
    x, y = [x, a], [y, b]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if name == "pow":
            base = np.abs(patterns(dtype, size, rng))
            near = 1 + np.abs(rng.standard_normal(size)) * np.exp(rng.uniform(-30, -1, size))
            base = np.concatenate([base, near.astype(dtype)])
            base = base[np.isfinite(base) & (base > 0) & (base != 1)]
            end = 104 if dtype.itemsize == 4 else 745
            x += [base, rng.standard_normal(size) * 2]
            y += [rng.uniform(-end, end, base.size) / np.log(base.astype(float))]
            y += [rng.integers(-40, 40, size)]
        else:  # two of about one size, from the least to the greatest
            x += [x[0]]
            y += [x[0] * np.exp(rng.uniform(-14, 14, size))]
        return [np.concatenate([z.astype(dtype) for z in part]) for part in (x, y)]


def operands_of(name, dtype, size):
    rng = np.random.default_rng(len(name))
    if FUNCTIONS[name].operands == 2:
        return pairs(name, dtype, size, rng)
    return [points(name, dtype, size, rng)]


def test_every_function_has_a_limit_and_references():
    assert set(FUNCTIONS) == set(LIMITS) == set(NUMPY) == set(EXACT)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_errors_in_float32(name):
    operands = operands_of(name, DTYPES[32], 150_000)
    right = of_numpy(name, operands, np.float64)
    worst(name, operands, run(name, *operands), right, LIMITS[name][0])


@pytest.mark.skipif(not LONG, reason="long double is no longer than double here")
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name in OF_LONG_DOUBLES])
def test_errors_in_float64(name):
    operands = operands_of(name, DTYPES[64], 12_000)
    right = of_numpy(name, operands, np.longdouble)
    worst(name, operands, run(name, *operands), right, LIMITS[name][1])


def exact(name, *operands):
    """The right results, in long doubles if these are longer; NaN where they are not real."""

    def one(*values):
        try:
            result = EXACT[name](*(mpmath.mpf(float(value)) for value in values))
        except (ValueError, ZeroDivisionError):
            return np.longdouble("nan")
        if isinstance(result, mpmath.mpc):
            return np.longdouble("nan")
        # As far as float64 goes; a long double on another machine may go no further.
        end = mpmath.mpf(2) ** 1024
        result = min(max(result, -end), end) if abs(result) > 1 / end**2 else 0
        return np.longdouble(mpmath.nstr(mpmath.mpf(result), 25))

    with mpmath.workdps(40), np.errstate(all="ignore"):
        return np.array([one(*values) for values in zip(*operands, strict=True)])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_errors_in_float64_against_many_digits(name):
    rng = np.random.default_rng(3)
    size = 250
    operands = operands_of(name, DTYPES[64], 4000)
    sane = np.all([np.isfinite(x) & (np.abs(x) < 1e6) & (x != 0) for x in operands], axis=0)
    if name in ("erf_inv", "atanh", "asin", "acos"):
        sane &= np.abs(operands[0]) < 1
    if name == "acosh":
        sane &= operands[0] > 1
    if name == "log1p":
        sane &= operands[0] > -1
    if name in ("log", "rsqrt", "pow"):
        sane &= operands[0] > 0
    chosen = rng.choice(np.flatnonzero(sane), 4 * size)
    operands = [x[chosen] for x in operands]
    right = exact(name, *operands)
    worst(name, operands, run(name, *operands), right, LIMITS[name][1])


@pytest.mark.parametrize("name", RECURSIVE)
def test_errors_left_of_the_origin(name):
    x = np.random.default_rng(0).uniform(-30, 0, 1000)
    right = exact(name, x)
    error = np.abs(run(name, x) - right) / np.maximum(np.abs(right), 1) / np.finfo(float).eps
    assert error.max() <= 8
    narrow = x.astype(np.float32)
    right = exact(name, narrow)
    error = np.abs(run(name, narrow) - right) / np.maximum(np.abs(right), 1)
    assert error.max() <= 0.51 * np.finfo(np.float32).eps


@pytest.mark.parametrize("bits", DTYPES)
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_large_angles(name, bits):
    dtype = DTYPES[bits]
    rng = np.random.default_rng(1)
    x = np.exp(rng.uniform(5, np.log(np.finfo(dtype).max) - 1, 400)).astype(dtype)
    # Near multiples of pi/2 that are known to be the closest: Kahan; Muller, table 11.1.
    close = [6381956970095103.0 * 2.0**797, 5.319372648326541e255] if bits == 64 else [16367173e15]
    x = np.concatenate([x, -x, np.array(close, dtype)])
    with mpmath.workdps(400):
        right = np.array(
            [np.longdouble(mpmath.nstr(EXACT[name](mpmath.mpf(float(v))), 25)) for v in x]
        )
    worst(name, [x], run(name, x), right, LIMITS[name][bits == 64])


def test_a_lane_does_not_depend_on_its_neighbours():
    x = np.random.default_rng(0).uniform(-4, 4, 64)
    alone = run("sin", x)
    mixed = np.where(np.arange(64) % 8 == 3, 1e20, x)
    same = np.arange(64) % 8 != 3
    np.testing.assert_array_equal(run("sin", mixed)[same], alone[same])


@pytest.mark.parametrize("bits", DTYPES)
def test_lgamma_of_large_negative_numbers(bits):
    """They are all whole, and so poles."""
    limits = np.finfo(DTYPES[bits])
    x = np.array([limits.min, limits.min / 2, -(2.0**60), -np.inf], DTYPES[bits])
    assert np.all(run("lgamma", x) == np.inf)


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 1.5, -2.5, 1e30, -1e30]
SPECIAL += [np.inf, -np.inf, np.nan, 1e-40, -1e-40, 1e-30, 300.0, -300.0, 2.0**24 + 1, -(2.0**31)]


def extremes(dtype):
    limits = np.finfo(dtype)
    few = [limits.max, limits.tiny, limits.smallest_subnormal, 2.0**53 - 1, 1e300, 1e-300]
    with np.errstate(over="ignore", under="ignore"):
        return np.array([*SPECIAL, *few, *(-np.array(few))]).astype(dtype)


def kinds(x):
    """NaN, inf, -inf, 0, -0.0, and 1 of finite positive numbers, -1 of negative ones."""
    plain = np.where(np.isfinite(x) & (x != 0), np.sign(x), x)
    return [repr(float(value)) for value in plain]


@pytest.mark.parametrize("bits", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(name, bits):
    operands = [extremes(DTYPES[bits])]
    if FUNCTIONS[name].operands == 2:
        operands = [x.ravel() for x in np.meshgrid(*operands * 2)]
    got = run(name, *operands)
    expected = of_numpy(name, operands, DTYPES[bits])
    if name == "lgamma":  # SciPy gives -inf at -inf; the primitive's meaning, as C's, is inf
        expected = np.where(np.isinf(operands[0]), np.inf, expected)
    if name in ("erf_inv", "lgamma", "digamma"):  # SciPy loses signs of zero, and tiny results
        small = np.abs(operands[0]) < 1e-20
        got, expected = got[~small], expected[~small]
    cases = list(zip(*operands, strict=True))
    wrong = [
        (case, a, b)
        for case, a, b in zip(cases, kinds(got), kinds(expected), strict=False)
        if a != b
    ]
    assert not wrong


@pytest.mark.parametrize("bits", DTYPES)
def test_small_values_of_special_functions(bits):
    dtype = DTYPES[bits]
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([0.0, -0.0, tiny, -tiny], dtype)
    assert kinds(run("erf_inv", x)) == ["0.0", "-0.0", "1.0", "-1.0"]
    assert kinds(run("lgamma", x)) == ["inf", "inf", "1.0", "1.0"]
    assert kinds(run("digamma", x)) == ["-inf", "inf", "-inf", "inf"]


@pytest.mark.parametrize("bits", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_width_gives_the_same_bits(name, bits):
    operands = operands_of(name, DTYPES[bits], 400)
    words = f"u{bits // 8}"
    first = run(name, *operands, width=0)
    for width in WIDTHS[bits]:
        for inline in (False, True):
            if inline and width not in (0, BEST[bits]):
                continue
            other = run(name, *operands, width=width, inline=inline)
            same = (first.view(words) == other.view(words)) | (np.isnan(first) & np.isnan(other))
            assert same.all(), (width, inline, [x[~same][:3] for x in operands])


def test_a_function_is_compiled_once_for_all_threads():
    found = []
    start = threading.Barrier(4)

    def ask():
        start.wait()
        found.append(library.function("cosh", 32, 2))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert found[0][0] == "pb_cosh_f32x2"


def test_several_functions_are_compiled_at_once():
    keys = [("tan", 32, 2), ("tan", 32, 4), ("pow", 64, 2), ("tan", 32, 2)]
    library.prepare(keys)
    addresses = {library.function(*key) for key in keys}
    assert len({address for _, address in addresses}) == 3
    x = np.linspace(-9, 9, 64, dtype=np.float32)
    np.testing.assert_array_equal(run("tan", x, width=2), run("tan", x, width=0))


def test_the_reduction_of_large_angles_is_found_by_name():
    """As a kernel that was stored with the sine's own instructions in it asks for it."""
    symbol, address = library.function("reduced", 64, 0)
    assert (symbol, address) == (reduction.SYMBOL, reduction.address())
    code = Code(Module())
    FUNCTIONS["sin"].emit(FloatLanes(code, 32, 8), "%x")
    assert code.module.symbols == {symbol: address}


def test_exact_results():
    """What is exact must come out so: a power that is off by one place breaks `x**2 == x * x`."""
    for dtype in DTYPES.values():
        base, power = np.meshgrid(np.arange(1.0, 100), np.arange(0.0, 9))
        base, power = base.ravel().astype(dtype), power.ravel().astype(dtype)
        right = base.astype(np.float64) ** power
        exact = right < 2.0 ** (np.finfo(dtype).nmant + 1)
        np.testing.assert_array_equal(run("pow", base, power)[exact], right[exact])
        np.testing.assert_array_equal(run("pow", base**2, np.full_like(base, 0.5)), base)
        np.testing.assert_array_equal(run("cbrt", base**3), base)
        whole = np.arange(-140, 128).astype(dtype)
        np.testing.assert_array_equal(run("exp2", whole), np.ldexp(dtype.type(1), np.int32(whole)))


def test_unknown_functions_are_refused():
    with pytest.raises(KeyError):
        library.function("sinc", 32, 8)


@pytest.mark.fuzz
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", UNARY)
def test_all_float32(name):
    """Every bit pattern: 2**32 of them, half of those for functions of 0 and more.

    Of erf_inv, 0 to 1: SciPy takes a microsecond for each NaN.
    """
    part = 1 << 22
    last = {"erf_inv": 0x3F800000, **dict.fromkeys(RECURSIVE, 1 << 31)}.get(name, 1 << 32)
    for start in range(0, last, part):
        x = np.arange(start, start + part, dtype=np.uint32).view(np.float32)
        right = of_numpy(name, [x], np.float64)
        worst(name, [x], run(name, x), right, LIMITS[name][0])


@pytest.mark.fuzz
@pytest.mark.skipif(not LONG, reason="long double is no longer than double here")
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name in OF_LONG_DOUBLES])
def test_many_float64(name):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        make = pairs if name in BINARY else points
        operands = make(name, DTYPES[64], 400_000, rng)
        operands = operands if name in BINARY else [operands]
        right = of_numpy(name, operands, np.longdouble)
        worst(name, operands, run(name, *operands), right, LIMITS[name][1])
