"""Special functions: our own where the maths library has them, else SciPy's, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

from ....ops import incomplete, special, special_integrals
from ..kinds import FLOAT64, Word
from ..maths import FUNCTIONS
from ..site import Operation, Operations, Site
from . import scipy_loops
from .calls import called
from .conversion import converted
from .functions import function


def _in_float64(emit: Callable[..., Word], cost: int) -> Operation:
    """An operation on float64, whose result is rounded once to the dtype that came in."""

    def run(site: Site, *words: Word) -> Word:
        inside = Site(site.code, (FLOAT64,) * len(words), FLOAT64, site.width)
        wide = [
            converted(site, word, kind, FLOAT64)
            for word, kind in zip(words, site.inputs, strict=True)
        ]
        return converted(site, emit(inside, *wide), FLOAT64, site.out)

    return Operation(run, cost)


def _scipy(name: str, cost: int) -> Operation:
    def emit(site: Site, *words: str) -> Word:
        return scipy_loops.called(site, name, *words)

    return _in_float64(emit, cost)


def _ours_or(name: str, cost: int, otherwise: Operation) -> Operation:
    return function(name, cost) if name in FUNCTIONS else otherwise


def _lgamma(site: Site, x: str) -> Word:
    v = site.floats
    endless = v.compare("oeq", v.intrinsic("fabs", x), v.const(math.inf))
    return v.select(endless, v.const(math.inf), scipy_loops.called(site, "gammaln", x))


def _polygamma(site: Site, n: str, x: str) -> Word:
    """(-1)^(n+1) Gamma(n + 1) zeta(n + 1, x); digamma for n = 0; defined for whole n only."""
    v = site.floats
    zero, one = v.const(0.0), v.const(1.0)
    after = v.add(n, one)
    # n is even if its half is whole; infinity counts as odd.
    half = v.mul(n, v.const(0.5))
    even = v.compare("oeq", v.intrinsic("floor", half), half)
    even = v.both(even, v.compare("olt", n, v.const(math.inf)))
    sign = v.select(even, v.const(-1.0), one)
    size = scipy_loops.called(site, "gamma", after)
    higher = v.mul(v.mul(sign, size), scipy_loops.called(site, "zeta", after, x))
    whole = v.compare("oeq", v.intrinsic("floor", n), n)
    whole = v.both(whole, v.compare("oge", n, zero))
    found = v.select(whole, higher, v.const(math.nan))
    return v.select(v.compare("oeq", n, zero), scipy_loops.called(site, "psi", x), found)


def _digamma_difference(site: Site, x: str, y: str) -> Word:
    """digamma(x + y) - digamma(x). At two poles, of the mirror images 1 - z.

    digamma(1 - z) is digamma(z) + pi / tan(pi z), of which the last is the same for both.
    """
    v = site.floats
    one, zero = v.const(1.0), v.const(0.0)
    ends = [v.add(x, y), x]
    poles = [
        v.both(v.compare("ole", z, zero), v.compare("oeq", v.intrinsic("floor", z), z))
        for z in ends
    ]
    mirrored = v.both(*poles)
    values = [called(site, "digamma", FLOAT64, v.select(mirrored, v.sub(one, z), z)) for z in ends]
    return v.sub(*values)


OPERATIONS: Operations = {
    incomplete.igamma: _scipy("gammainc", 200),
    incomplete.igammac: _scipy("gammaincc", 200),
    incomplete.regularized_incomplete_beta: _scipy("betainc", 300),
    incomplete.regularized_incomplete_beta_complement: _scipy("betaincc", 300),
    special.bessel_i0e: _scipy("i0e", 40),
    special.bessel_i1e: _scipy("i1e", 40),
    special.beta_function: _scipy("beta", 60),
    special.digamma: _ours_or("digamma", 40, _scipy("psi", 60)),
    special_integrals.digamma_difference: _in_float64(_digamma_difference, 100),
    special.erf: _ours_or("erf", 15, _scipy("erf", 30)),
    special.erfc: _ours_or("erfc", 20, _scipy("erfc", 30)),
    special.erf_inv: _ours_or("erf_inv", 30, _scipy("erfinv", 60)),
    special.gamma_function: _scipy("gamma", 60),
    special.lgamma: _ours_or("lgamma", 40, _in_float64(_lgamma, 60)),
    special.polygamma: _in_float64(_polygamma, 200),
    special.zeta: _scipy("zeta", 100),
}
