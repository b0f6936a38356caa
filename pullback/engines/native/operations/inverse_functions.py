"""Inverse sine, cosine and tangent of complex numbers, in float64.

W. Kahan, "Branch cuts for complex elementary functions, or much ado about nothing's sign bit"
(1987): products of square roots, none of whose sums cancels.
"""

from __future__ import annotations

import math

from ..kinds import FLOAT64, Word
from ..lanes import FloatLanes
from ..site import Site
from . import moduli
from .calls import called
from .complex_numbers import COMPLEX128

_LARGE, _SHIFT = 2.0**1000, 16.0
"""Larger numbers are divided by the second, so that products of their roots fit."""


def _roots(site: Site, z: Word) -> tuple[Word, Word, str]:
    """sqrt(1 - z) and sqrt(1 + z), with z made smaller where the mask holds."""
    v = site.floats
    x, y = z
    large = v.compare("ogt", v.intrinsic("fabs", x), v.const(_LARGE))
    large = v.either(large, v.compare("ogt", v.intrinsic("fabs", y), v.const(_LARGE)))
    x, y = (v.select(large, v.div(part, v.const(_SHIFT)), part) for part in (x, y))
    one = v.const(1.0)
    less = moduli.root(site, COMPLEX128, (v.sub(one, x), v.neg(y)))
    more = moduli.root(site, COMPLEX128, (v.add(one, x), y))
    return less, more, large


def _height(site: Site, x: str, large: str) -> str:
    """asinh(x), for x that was divided where the mask holds."""
    v = site.floats
    found = called(site, "asinh", FLOAT64, x)
    missing = v.intrinsic("copysign", v.const(math.log(_SHIFT)), x)
    return v.select(large, v.add(found, missing), found)


def _imag_of_product(v: FloatLanes, a: Word, b: Word) -> str:
    """The imaginary part of conj(a) b."""
    return v.sub(v.mul(a[0], b[1]), v.mul(a[1], b[0]))


def asin(site: Site, z: Word) -> Word:
    """The inverse sine."""
    v = site.floats
    x, y = z
    less, more, large = _roots(site, z)
    real = v.sub(v.mul(less[0], more[0]), v.mul(less[1], more[1]))
    re = called(site, "atan2", FLOAT64, v.select(large, v.div(x, v.const(_SHIFT)), x), real)
    im = _height(site, _imag_of_product(v, less, more), large)
    endless, boxed = _boxed(v, z)
    angle = called(site, "atan2", FLOAT64, boxed[0], v.intrinsic("fabs", boxed[1]))
    re = v.select(endless, angle, re)
    im = v.select(endless, v.intrinsic("copysign", v.const(math.inf), y), im)
    # On the imaginary axis the real part is 0, also where the other is NaN.
    return v.select(v.compare("oeq", x, v.const(0.0)), x, re), im


def acos(site: Site, z: Word) -> Word:
    """The inverse cosine."""
    v = site.floats
    less, more, large = _roots(site, z)
    re = called(site, "atan2", FLOAT64, less[0], more[0])
    re = v.add(re, re)
    im = _height(site, _imag_of_product(v, more, less), large)
    endless, boxed = _boxed(v, z)
    angle = called(site, "atan2", FLOAT64, v.intrinsic("fabs", boxed[1]), boxed[0])
    re = v.select(endless, angle, re)
    im = v.select(endless, v.intrinsic("copysign", v.const(math.inf), v.neg(z[1])), im)
    zero = v.compare("oeq", z[0], v.const(0.0))
    return v.select(zero, v.const(math.pi / 2), re), im


def acosh(site: Site, z: Word) -> Word:
    """The inverse hyperbolic cosine: that of the cosine, turned by i or -i."""
    v = site.floats
    re, im = acos(site, z)
    return v.intrinsic("fabs", im), v.intrinsic("copysign", re, z[1])


def _boxed(v: FloatLanes, z: Word) -> tuple[str, Word]:
    """Where a part is infinite, and there the corner or the side of a square that z is at.

    A part that is NaN stays NaN.
    """
    sizes = [v.intrinsic("fabs", part) for part in z]
    ends = [v.compare("oeq", size, v.const(math.inf)) for size in sizes]
    found = []
    for part, size, end in zip(z, sizes, ends, strict=True):
        inside = v.select(v.compare("olt", size, v.const(math.inf)), v.const(0.0), part)
        at = v.select(end, v.const(1.0), inside)
        found.append(v.intrinsic("copysign", at, part))
    return v.either(*ends), (found[0], found[1])


def atanh(site: Site, z: Word) -> Word:
    """The inverse hyperbolic tangent: log1p(4x / ((1 - x)^2 + y^2)) / 4 and half an angle.

    Where the fraction is large, half the logarithm of |1 + z| / |1 - z|; where z is, 1 / z.
    """
    v = site.floats
    x, y = z
    a, b = v.intrinsic("fabs", x), v.intrinsic("fabs", y)
    one = v.const(1.0)
    less, more = v.sub(one, a), v.add(one, a)
    below = v.fma(less, less, v.mul(b, b))
    fraction = v.div(v.mul(a, v.const(4.0)), below)
    steep = v.opposite(v.compare("ole", fraction, one))
    near = called(site, "log1p", FLOAT64, v.select(steep, v.const(0.0), fraction))
    near = v.mul(near, v.const(0.25))
    lengths = [moduli.length(site, FLOAT64, part, b) for part in (more, less)]
    logs = [called(site, "log", FLOAT64, length) for length in lengths]
    re = v.select(steep, v.mul(v.sub(*logs), v.const(0.5)), near)
    angle = called(site, "atan2", FLOAT64, v.add(b, b), v.sub(v.mul(less, more), v.mul(b, b)))
    im = v.mul(angle, v.const(0.5))
    size = moduli.length(site, FLOAT64, a, b)
    far = v.compare("ogt", size, v.const(2.0**60))
    outside = v.div(v.div(a, size), size)
    endless = v.compare("oeq", size, v.const(math.inf))
    outside = v.select(endless, v.const(0.0), outside)
    re = v.select(far, outside, re)
    no_angle = v.compare("uno", y, y)
    im = v.select(far, v.select(no_angle, y, v.const(math.pi / 2)), im)
    re = v.select(v.compare("oeq", a, v.const(0.0)), a, re)
    return v.intrinsic("copysign", re, x), v.intrinsic("copysign", im, y)
