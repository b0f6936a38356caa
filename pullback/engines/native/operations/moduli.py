"""The length and the square root of complex numbers, where squares need not fit."""

from __future__ import annotations

from ..kinds import FLOAT64, Kind, Word
from ..site import Site
from .words import binary, cast, chosen, compared, either, intrinsic, number

_LARGE, _SMALL, _SHIFT = 2.0**500, 2.0**-500, 600
"""Numbers beyond these are moved by so many powers of two, which is exact."""
_INFINITY = float("inf")


def length(site: Site, kind: Kind, a: str, b: str) -> str:
    """sqrt(a^2 + b^2); infinite if one of them is, also if the other is NaN."""
    kind = kind.real
    a, b = (intrinsic(site, kind, "fabs", part) for part in (a, b))
    infinite = either(site, *(_is_infinite(site, kind, part) for part in (a, b)))
    if kind.bits == 32:  # in float64 the squares fit and lose nothing
        wide = [cast(site, "fpext", part, kind, FLOAT64) for part in (a, b)]
        squares = [binary(site, FLOAT64, "fmul", part, part) for part in wide]
        root = intrinsic(site, FLOAT64, "sqrt", binary(site, FLOAT64, "fadd", *squares))
        out = cast(site, "fptrunc", root, FLOAT64, kind)
    else:
        a, b, _, back = scaled(site, a, b)
        out = binary(site, kind, "fmul", plain_length(site, a, b), back)
    return chosen(site, kind, infinite, number(site, _INFINITY, kind), out)


def _is_infinite(site: Site, kind: Kind, size: str) -> str:
    return compared(site, kind, "eq", size, number(site, _INFINITY, kind))


def scaled(site: Site, a: str, b: str) -> tuple[str, str, str, str]:
    """Doubles times a power of two so that their squares fit; its exponent's half; its inverse.

    a and b are not negative. The third is 2^(k/2) where the fourth is 2^k.
    """
    above = compared(site, FLOAT64, "gt", a, b)
    top = chosen(site, FLOAT64, above, a, b)
    large = compared(site, FLOAT64, "gt", top, number(site, _LARGE, FLOAT64))
    small = compared(site, FLOAT64, "lt", top, number(site, _SMALL, FLOAT64))

    def power(k: int) -> str:
        lifted = chosen(
            site, FLOAT64, small, number(site, 2.0**-k, FLOAT64), number(site, 1.0, FLOAT64)
        )
        return str(chosen(site, FLOAT64, large, number(site, 2.0**k, FLOAT64), lifted))

    factor = power(-_SHIFT)
    a, b = (binary(site, FLOAT64, "fmul", part, factor) for part in (a, b))
    return a, b, power(_SHIFT // 2), power(_SHIFT)


def plain_length(site: Site, a: str, b: str) -> str:
    """sqrt(a^2 + b^2) of doubles whose squares fit, to less than an ulp.

    The root, and one step of Newton's method with the exact errors of the three squares:
    C. F. Borges, "An improved algorithm for hypot(a,b)" (2019).
    """
    kind = FLOAT64
    above = compared(site, kind, "gt", a, b)
    x, y = chosen(site, kind, above, a, b), chosen(site, kind, above, b, a)

    def op(how: str, p: str, q: str) -> str:
        return binary(site, kind, how, p, q)

    def fma(p: str, q: str, r: str) -> str:
        return intrinsic(site, kind, "fma", p, q, r)

    def minus(p: str) -> str:
        return site.code.op(f"fneg {kind.typed(site.width)} {p}")

    square_x = op("fmul", x, x)
    h = intrinsic(site, kind, "sqrt", fma(y, y, square_x))
    square_h = op("fmul", h, h)
    error = fma(minus(y), y, op("fsub", square_h, square_x))
    rest = op("fsub", fma(h, h, minus(square_h)), fma(x, x, minus(square_x)))
    step = op("fdiv", op("fadd", error, rest), op("fmul", number(site, 2.0, kind), h))
    zero = compared(site, kind, "eq", h, number(site, 0.0, kind))
    return str(chosen(site, kind, zero, h, op("fsub", h, step)))


def root(site: Site, kind: Kind, z: Word) -> Word:
    """The square root with a real part that is not negative, cut below the negative axis."""
    if kind.bits == 32:
        re, im = (cast(site, "fpext", part, kind, FLOAT64) for part in z)
        return tuple(
            cast(site, "fptrunc", part, FLOAT64, kind) for part in _root(site, re, im, scale=False)
        )
    return _root(site, z[0], z[1], scale=True)


def _root(site: Site, re: str, im: str, scale: bool) -> Word:
    kind = FLOAT64
    zero = number(site, 0.0, kind)
    a, b = (intrinsic(site, kind, "fabs", part) for part in (re, im))
    infinite_re, infinite_im = (_is_infinite(site, kind, part) for part in (a, b))
    back = number(site, 1.0, kind)
    if scale:
        a, b, back, _ = scaled(site, a, b)
        size = plain_length(site, a, b)
    else:
        squares = [binary(site, kind, "fmul", part, part) for part in (a, b)]
        size = intrinsic(site, kind, "sqrt", binary(site, kind, "fadd", *squares))
    half = binary(site, kind, "fmul", binary(site, kind, "fadd", a, size), number(site, 0.5, kind))
    t = intrinsic(site, kind, "sqrt", half)
    double = binary(site, kind, "fadd", t, t)
    other = binary(site, kind, "fdiv", b, double)
    nothing = compared(site, kind, "eq", t, zero)
    other = chosen(site, kind, nothing, zero, other)
    t, other = (binary(site, kind, "fmul", part, back) for part in (t, other))
    # Of re = +-inf: inf + 0i or 0 + inf i, unless the other part is NaN.
    nan = site.code.op(f"fcmp uno {kind.typed(site.width)} {im}, {im}")
    rest = chosen(site, kind, nan, im, zero)
    t = chosen(site, kind, infinite_re, number(site, _INFINITY, kind), t)
    other = chosen(site, kind, infinite_re, rest, other)
    positive = compared(site, kind, "ge", re, zero)
    real = chosen(site, kind, positive, t, other)
    imag = chosen(site, kind, positive, other, t)
    infinity = number(site, _INFINITY, kind)
    real = chosen(site, kind, infinite_im, infinity, real)
    imag = chosen(site, kind, infinite_im, infinity, imag)
    return real, intrinsic(site, kind, "copysign", imag, im)


def direction(site: Site, kind: Kind, z: Word) -> Word:
    """z / |z|; 0 of 0; of an infinite part and a finite one 1, -1, i or -i; else NaN."""
    kind = kind.real
    size = length(site, kind, *z)
    zero = number(site, 0.0, kind)
    nothing = compared(site, kind, "eq", size, zero)
    endless = _is_infinite(site, kind, size)
    found = []
    for part in z:
        quotient = binary(site, kind, "fdiv", part, size)
        one = intrinsic(site, kind, "copysign", number(site, 1.0, kind), part)
        own = _is_infinite(site, kind, intrinsic(site, kind, "fabs", part))
        limit = chosen(site, kind, own, one, zero)
        at_end = chosen(site, kind, endless, limit, quotient)
        found.append(chosen(site, kind, nothing, zero, at_end))
    sizes = [intrinsic(site, kind, "fabs", part) for part in z]
    corner = site.code.op(
        f"and {site.mask} {_is_infinite(site, kind, sizes[0])}, "
        f"{_is_infinite(site, kind, sizes[1])}"
    )
    nan = number(site, float("nan"), kind)
    return tuple(chosen(site, kind, corner, nan, part) for part in found)
