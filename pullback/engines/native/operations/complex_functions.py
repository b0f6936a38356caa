"""Functions of complex numbers, in float64; complex64 is widened, and rounded at the end.

Values at infinities, NaN and signed zeros are those of annex G of the C standard, which NumPy keeps
to. Where a formula gives NaN there (0 times infinity, infinity over infinity), the value is chosen
after it. The code of each function stands once in a program (`outlined`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .. import kinds
from ..kinds import FLOAT64, Unsupported, Word
from ..lanes import FloatLanes
from ..site import Site
from . import complex_numbers as complexes
from . import inverse_functions, moduli
from .calls import called
from .complex_numbers import COMPLEX128
from .outlined import outlined
from .words import cast


def function(site: Site, name: str, *words: Word) -> Word:
    """The function `name` of complex words.

    Raises:
      Unsupported: there is no code for it.
    """
    emit = FUNCTIONS.get(name)
    if emit is None:
        raise Unsupported(f"{name} of complex numbers")
    wide = Site(site.code, (COMPLEX128,) * len(words), COMPLEX128, site.width)
    narrow = site.out.bits == 32
    if narrow:
        words = tuple(
            tuple(cast(site, "fpext", part, site.out.real, FLOAT64) for part in word)
            for word in words
        )
    out = outlined(wide, f"complex_{name}", emit, *words)
    if not narrow:
        return out
    return tuple(cast(site, "fptrunc", part, FLOAT64, site.out.real) for part in out)


# ---- exponentials


def _exp(site: Site, z: Word) -> Word:
    turned = [called(site, name, FLOAT64, z[1]) for name in ("cos", "sin")]
    return _exponential(site, "exp", z, turned)


def _exponential(site: Site, power: str, z: Word, turned: Sequence[str]) -> Word:
    """b^x (cos + i sin). Where b^x does not fit, b^(x/2) is multiplied by twice."""
    v = site.floats
    x, y = z
    far = v.compare("ogt", v.intrinsic("fabs", x), v.const(700.0))
    size = called(site, power, FLOAT64, v.select(far, v.mul(x, v.const(0.5)), x))
    again = v.select(far, size, v.const(1.0))
    re, im = (v.mul(v.mul(size, part), again) for part in turned)
    im = v.select(v.compare("oeq", y, v.const(0.0)), y, im)
    # e^-inf is 0 whatever the angle is; of e^inf with no angle only the size is known.
    endless = v.both(_infinite(v, x), v.opposite(_finite(v, y)))
    left = v.compare("olt", x, v.const(0.0))
    re = v.select(endless, v.select(left, v.const(0.0), v.const(math.inf)), re)
    im = v.select(endless, v.select(left, v.const(0.0), v.const(math.nan)), im)
    return re, im


_LOG_2, _LOG_2_REST = math.log(2), 2.3190468138462996e-17
"""log(2) to 106 bits."""


def _exp2(site: Site, z: Word) -> Word:
    """The angle y log(2) is rounded; the turn by what that cut off is added."""
    v = site.floats
    angle = v.mul(z[1], v.const(_LOG_2))
    rest = v.fma(z[1], v.const(_LOG_2), v.neg(angle))
    rest = v.fma(z[1], v.const(_LOG_2_REST), rest)
    # Beyond, the angle itself has no digit that is true.
    small = v.compare("olt", v.intrinsic("fabs", rest), v.const(2.0**-10))
    rest = v.select(small, rest, v.const(0.0))
    cos, sin = (called(site, name, FLOAT64, angle) for name in ("cos", "sin"))
    turned = v.fma(v.neg(rest), sin, cos), v.fma(rest, cos, sin)
    return _exponential(site, "exp2", z, turned)


def _expm1(site: Site, z: Word) -> Word:
    """expm1(x) cos(y) - 2 sin(y/2)^2 + i e^x sin(y), as NumPy has it."""
    v = site.floats
    x, y = z
    half = called(site, "sin", FLOAT64, v.mul(y, v.const(0.5)))
    grown = called(site, "expm1", FLOAT64, x)
    turned = [called(site, name, FLOAT64, y) for name in ("cos", "sin")]
    near = v.sub(v.mul(grown, turned[0]), v.mul(v.add(half, half), half))
    far, im = _exponential(site, "exp", z, turned)
    re = v.select(v.compare("ogt", x, v.const(50.0)), far, near)
    re, im = (v.select(_finite(v, y), part, v.const(math.nan)) for part in (re, im))
    return v.select(v.compare("oeq", y, v.const(0.0)), grown, re), im


def _logistic(site: Site, z: Word) -> Word:
    """1 / (1 + e^-z), or e^z / (1 + e^z) where that is the smaller power."""
    v = site.floats
    left = v.compare("olt", z[0], v.const(0.0))
    small = _exp(site, tuple(v.select(left, part, v.neg(part)) for part in z))
    above = v.select(left, small[0], v.const(1.0)), v.select(left, small[1], v.const(0.0))
    return complexes.divided(site, COMPLEX128, above, (v.add(small[0], v.const(1.0)), small[1]))


# ---- logarithms


def _log(site: Site, z: Word) -> Word:
    return _log_size(site, z), called(site, "atan2", FLOAT64, z[1], z[0])


def _log_size(site: Site, z: Word) -> str:
    """log |z|, also where |z| is near 1 or does not fit."""
    v = site.floats
    a, b = (v.intrinsic("fabs", part) for part in z)
    above = v.compare("ogt", a, b)
    a, b = v.select(above, a, b), v.select(above, b, a)
    square, error = _squared(v, a)
    less = v.sub(square, v.const(1.0))  # exact where |z| is near 1
    excess = v.add(_sum(v, less, *_squared(v, b)), error)
    near = v.both(v.compare("ogt", excess, v.const(-0.5)), v.compare("olt", excess, v.const(2.0)))
    near = v.both(near, v.compare("oge", square, v.const(0.25)))
    close = v.mul(
        called(site, "log1p", FLOAT64, v.select(near, excess, v.const(0.0))), v.const(0.5)
    )
    scaled_a, scaled_b, _, power = moduli.scaled(site, a, b)
    moved = called(site, "log", FLOAT64, moduli.plain_length(site, scaled_a, scaled_b))
    shift = called(site, "log", FLOAT64, power)
    found = v.select(near, close, v.add(moved, shift))
    endless = v.either(_infinite(v, z[0]), _infinite(v, z[1]))
    return v.select(endless, v.const(math.inf), found)


def _squared(v: FloatLanes, a: str) -> tuple[str, str]:
    """a * a rounded, and the error of that."""
    square = v.mul(a, a)
    return square, v.fma(a, a, v.neg(square))


def _sum(v: FloatLanes, a: str, b: str, *rest: str) -> str:
    """a + b + rest, the error of a + b among the rest: D. E. Knuth's TwoSum."""
    total = v.add(a, b)
    part = v.sub(total, a)
    error = v.add(v.sub(a, v.sub(total, part)), v.sub(b, part))
    for term in rest:
        error = v.add(error, term)
    return v.add(total, error)


def _log1p(site: Site, z: Word) -> Word:
    """|1 + z|^2 - 1 = x (2 + x) + y^2 has all digits of z near 0."""
    v = site.floats
    x, y = z
    one = v.add(x, v.const(1.0))
    (square_x, error_x), (square_y, error_y) = _squared(v, x), _squared(v, y)
    double = v.add(x, x)
    inner = v.add(double, square_x)
    part = v.sub(inner, double)
    lost = v.add(v.sub(double, v.sub(inner, part)), v.sub(square_x, part))
    excess = _sum(v, inner, square_y, lost, error_x, error_y)
    near = v.compare("olt", v.intrinsic("fabs", excess), v.const(0.5))
    close = called(site, "log1p", FLOAT64, v.select(near, excess, v.const(0.0)))
    far = _log_size(site, (one, y))
    size = v.select(near, v.mul(close, v.const(0.5)), far)
    return size, called(site, "atan2", FLOAT64, y, one)


# ---- hyperbolic functions and, turned by i, trigonometric ones


def _finite(v: FloatLanes, x: str) -> str:
    return v.compare("olt", v.intrinsic("fabs", x), v.const(math.inf))


def _infinite(v: FloatLanes, x: str) -> str:
    return v.compare("oeq", v.intrinsic("fabs", x), v.const(math.inf))


def _waves(site: Site, z: Word) -> tuple[tuple[str, str], tuple[str, str], str]:
    """sinh and cosh of the real part, cos and sin of the imaginary one, and a factor.

    Where the former do not fit, they are those of the half, and the factor is what is missing.
    """
    v = site.floats
    x, y = z
    far = v.compare("ogt", v.intrinsic("fabs", x), v.const(700.0))
    half = called(site, "exp", FLOAT64, v.mul(v.intrinsic("fabs", x), v.const(0.5)))
    factor = v.select(far, half, v.const(1.0))
    halved = v.mul(half, v.const(0.5))
    flat = v.select(far, v.const(0.0), x)
    sinh = v.select(far, v.intrinsic("copysign", halved, x), called(site, "sinh", FLOAT64, flat))
    cosh = v.select(far, halved, called(site, "cosh", FLOAT64, flat))
    turned = (called(site, "cos", FLOAT64, y), called(site, "sin", FLOAT64, y))
    return (sinh, cosh), turned, factor


def _product(v: FloatLanes, a: str, b: str, factor: str) -> str:
    """a b times the factor, and 0 where a or b is, whatever the other is."""
    zero = v.either(v.compare("oeq", a, v.const(0.0)), v.compare("oeq", b, v.const(0.0)))
    signs = v.mul(*(v.intrinsic("copysign", v.const(0.0), x) for x in (a, b)))
    sizes = v.intrinsic("copysign", v.const(1.0), a), v.intrinsic("copysign", v.const(1.0), b)
    signs = v.intrinsic("copysign", v.const(0.0), v.mul(*sizes))
    return v.select(zero, signs, v.mul(v.mul(a, b), factor))


def _sinh(site: Site, z: Word) -> Word:
    v = site.floats
    (sinh, cosh), (cos, sin), factor = _waves(site, z)
    re = _product(v, sinh, cos, factor)
    endless = v.both(_infinite(v, z[0]), v.opposite(_finite(v, z[1])))
    return v.select(endless, v.const(math.inf), re), _product(v, cosh, sin, factor)


def _cosh(site: Site, z: Word) -> Word:
    v = site.floats
    (sinh, cosh), (cos, sin), factor = _waves(site, z)
    re = _product(v, cosh, cos, factor)
    endless = v.both(_infinite(v, z[0]), v.opposite(_finite(v, z[1])))
    return v.select(endless, v.const(math.inf), re), _product(v, sinh, sin, factor)


def _tanh(site: Site, z: Word) -> Word:
    """W. Kahan, "Branch cuts for complex elementary functions" (1987)."""
    v = site.floats
    x, y = z
    size = v.intrinsic("fabs", x)
    far = v.compare("ogt", size, v.const(22.0))
    tangent = called(site, "tan", FLOAT64, y)
    beta = v.fma(tangent, tangent, v.const(1.0))
    s = called(site, "sinh", FLOAT64, v.select(far, v.const(0.0), x))
    square = v.mul(s, s)
    rho = v.intrinsic("sqrt", v.add(square, v.const(1.0)))
    below = v.fma(beta, square, v.const(1.0))
    re = v.div(v.mul(v.mul(beta, rho), s), below)
    im = v.div(tangent, below)
    # sinh^2 and cosh^2 are then equal: 4 sin(y) cos(y) e^-2|x|
    rest = called(site, "exp", FLOAT64, v.mul(size, v.const(-2.0)))
    wave = v.mul(called(site, "sin", FLOAT64, y), called(site, "cos", FLOAT64, y))
    small = v.mul(v.mul(wave, v.const(4.0)), rest)
    endless = _infinite(v, x)
    small = v.select(_finite(v, y), small, v.intrinsic("copysign", v.const(0.0), y))
    # Without an angle the size is known at infinity only.
    known = v.both(far, v.either(endless, _finite(v, y)))
    re = v.select(known, v.intrinsic("copysign", v.const(1.0), x), re)
    im = v.select(known, small, im)
    re, im = (
        v.select(v.compare("oeq", part, v.const(0.0)), part, found)
        for part, found in zip(z, (re, im), strict=True)
    )
    return re, im


def _turned(hyperbolic: Callable[..., Word]) -> Callable[..., Word]:
    """f of which the hyperbolic function is f(iz) / i: parts change places, both times."""

    def emit(site: Site, z: Word) -> Word:
        re, im = hyperbolic(site, (z[1], z[0]))
        return im, re

    return emit


def _cos(site: Site, z: Word) -> Word:
    re, im = _cosh(site, (z[1], z[0]))
    return re, site.floats.neg(im)


# ---- powers


def _rsqrt(site: Site, z: Word) -> Word:
    v = site.floats
    one = kinds.constant(1, COMPLEX128, site.width)
    re, im = complexes.divided(site, COMPLEX128, one, moduli.root(site, COMPLEX128, z))
    endless = v.either(_infinite(v, z[0]), _infinite(v, z[1]))
    re, im = (v.select(endless, v.const(0.0), part) for part in (re, im))
    zero = v.both(*(v.compare("oeq", part, v.const(0.0)) for part in z))
    return v.select(zero, v.const(math.inf), re), v.select(zero, v.const(math.nan), im)


_WHOLE = 100
"""NumPy multiplies for whole powers below this one."""


def _pow(site: Site, z: Word, w: Word) -> Word:
    v = site.floats
    zero, one = v.const(0.0), v.const(1.0)
    product = complexes.multiplied(site, COMPLEX128, w, _log(site, z))
    general = _exp(site, product)
    real = v.compare("oeq", w[1], zero)
    count = v.intrinsic("fabs", w[0])
    whole = v.both(real, v.compare("oeq", v.intrinsic("floor", count), count))
    whole = v.both(whole, v.compare("olt", count, v.const(_WHOLE)))
    repeated = _repeated(site, z, v.select(whole, count, zero))
    inverse = complexes.divided(site, COMPLEX128, (one, zero), repeated)
    negative = v.compare("olt", w[0], zero)
    out = tuple(
        v.select(whole, v.select(negative, a, b), c)
        for a, b, c in zip(inverse, repeated, general, strict=True)
    )
    nothing = v.both(*(v.compare("oeq", part, zero) for part in z))
    vanishing = v.compare("ogt", w[0], zero)
    limit = v.select(vanishing, zero, v.const(math.nan))
    out = tuple(v.select(nothing, limit, part) for part in out)
    constant = v.both(real, v.compare("oeq", w[0], zero))
    return v.select(constant, one, out[0]), v.select(constant, zero, out[1])


def _repeated(site: Site, z: Word, count: str) -> Word:
    """z multiplied with itself `count` times, a whole number below `_WHOLE`."""
    v = site.floats
    out: Word = v.const(1.0), v.const(0.0)
    left = v.to_int(count)
    nothing, one = v.int_const(0), v.int_const(1)
    for _ in range(_WHOLE.bit_length()):
        odd = v.int_compare("ne", v.integer("and", left, one), nothing)
        first = v.both(
            v.compare("oeq", out[0], v.const(1.0)), v.compare("oeq", out[1], v.const(0.0))
        )
        more = complexes.multiplied(site, COMPLEX128, out, z)
        # 1 times infinity would have a NaN part.
        more = tuple(v.select(first, a, b) for a, b in zip(z, more, strict=True))
        out = tuple(v.select(odd, a, b) for a, b in zip(more, out, strict=True))
        left = v.integer("lshr", left, one)
        z = complexes.multiplied(site, COMPLEX128, z, z)
    return out


def _atan2(site: Site, y: Word, x: Word) -> Word:
    """-i log((x + i y) / sqrt(x^2 + y^2))

    The products with i are those of complex numbers: of the signs of their zeros depends on which
    side of the branch cut an imaginary x or y is.
    """
    v = site.floats
    zero, one = v.const(0.0), v.const(1.0)
    squares = [complexes.multiplied(site, COMPLEX128, part, part) for part in (y, x)]
    radius = moduli.root(site, COMPLEX128, complexes.added(site, COMPLEX128, *squares))
    turned = complexes.multiplied(site, COMPLEX128, (zero, one), y)
    point = complexes.added(site, COMPLEX128, x, turned)
    found = _log(site, complexes.divided(site, COMPLEX128, point, radius))
    return complexes.multiplied(site, COMPLEX128, (v.neg(zero), v.neg(one)), found)


FUNCTIONS: dict[str, Callable[..., Word]] = {
    "acos": inverse_functions.acos,
    "acosh": inverse_functions.acosh,
    "asin": inverse_functions.asin,
    "asinh": _turned(inverse_functions.asin),
    "atan": _turned(inverse_functions.atanh),
    "atan2": _atan2,
    "atanh": inverse_functions.atanh,
    "cos": _cos,
    "cosh": _cosh,
    "exp": _exp,
    "exp2": _exp2,
    "expm1": _expm1,
    "log": _log,
    "log1p": _log1p,
    "logistic": _logistic,
    "pow": _pow,
    "rsqrt": _rsqrt,
    "sin": _turned(_sinh),
    "sinh": _sinh,
    "tan": _turned(_tanh),
    "tanh": _tanh,
}
