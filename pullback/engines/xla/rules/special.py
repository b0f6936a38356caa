"""Special functions, by their formulas in NumPy and SciPy: see `symbolic`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ....core.program import Equation
from ....core.trace import quiet
from ....ops import beta_derivative as beta
from ....ops import gamma_derivative as gamma
from ....ops import harmonics, hypergeometric, incomplete, special, special_integrals
from ....ops.special import in_float64
from ..lowering import Lowering, Rule
from ..text import Word
from ..types import Unsupported
from .symbolic import Symbolic


def _by_formula(formula: Callable[..., Any]) -> Rule:
    """A rule from a function of the primitive, of its arguments and of its parameters."""

    def rule(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
        if any(0 in w.shape for w in args):
            shape, dtype = low.result(eq)
            return [low.code.constant(np.zeros(shape, dtype))]
        try:
            with quiet():
                found = formula(eq.primitive, *[Symbolic(low, w) for w in args], **eq.params)
        except Unsupported:
            return low.by_definition(eq, args)
        return [found.word]

    return rule


_own = _by_formula(lambda primitive, *args, **params: primitive.eval(*args, **params))
"""The formula is the operation's `eval`."""


# ---- formulas that choose elements: here all are computed, and chosen from


def _gamma_ratio(order: int, a: Any, x: Any) -> Any:
    """`gamma_derivative.ratios` where a and x are positive, 0 at x = 0, else nan."""
    inside = (x > 0) & (a > 0) & np.isfinite(x) & np.isfinite(a)
    b, y = np.where(inside, a, 1.0), np.where(inside, x, 1.0)
    near = gamma.has_series(b, y)
    series = gamma.series(order, np.where(near, b, 1.0), np.where(near, y, 0.5))
    far = gamma.integral(order, np.where(near, 1.0, b), np.where(near, 2.0, y))
    found = np.where(near, series, far)
    return np.where(inside, found, np.where((x == 0) & (a > 0), 0.0, np.nan))


@in_float64
def _random_gamma_grad(_: Any, a: Any, x: Any) -> Any:
    return _gamma_ratio(1, a, x)


@in_float64
def _gamma_curvature(_: Any, a: Any, x: Any) -> Any:
    return _gamma_ratio(2, a, x)


@in_float64
def _igamma_grad_a(_: Any, a: Any, x: Any) -> Any:
    bounds = (x == 0) | np.isinf(x)
    inside = np.where(bounds, 1.0, x)
    slope = -_gamma_ratio(1, a, inside) * gamma.gamma_density_values(a, inside)
    return np.where(bounds & (a > 0), 0.0, slope)


@in_float64
def _betainc_derivative(_: Any, a: Any, b: Any, x: Any, *, orders: tuple[int, int]) -> Any:
    positive = (a > 0) & (b > 0) & np.isfinite(a + b)
    inside = positive & (x > 0) & (x < 1)
    p, q, y = (np.where(inside, v, c) for v, c in ((a, 1.0), (b, 1.0), (x, 0.5)))
    left = y * (p + q) <= p
    # That of the side with less of the mass.
    own, other = np.where(left, p, q), np.where(left, q, p)
    found = beta.integral(own, other, np.where(left, y, 1 - y), orders, own=left)
    found = np.where(left, found, -found)
    ends = positive & ((x == 0) | (x == 1))
    return np.where(inside, found, np.where(ends, 0.0, np.nan))


_OWN = (
    special.bessel_i0e,
    special.beta_function,
    special.gamma_function,
    special.zeta_derivative,
    special_integrals.binomial,
    special_integrals.cosine_integral,
    special_integrals.dawsn,
    special_integrals.digamma_difference,
    special_integrals.erfcx,
    special_integrals.expi,
    special_integrals.expn,
    special_integrals.fresnel_c,
    special_integrals.fresnel_s,
    special_integrals.owens_t,
    special_integrals.poch,
    special_integrals.sine_integral,
    special_integrals.spence,
    special_integrals.wofz,
    incomplete.beta_density,
    incomplete.beta_density_slope,
    incomplete.beta_log_density,
    incomplete.gamma_density,
    incomplete.gamma_density_slope,
    incomplete.gamma_log_density,
    incomplete.igamma,
    incomplete.igammac,
    incomplete.log_igamma,
    incomplete.log_igammac,
    incomplete.regularized_incomplete_beta,
    incomplete.regularized_incomplete_beta_complement,
    incomplete.zero_over,
    incomplete.zero_times,
    harmonics.bessel_j,
    harmonics.complex_loggamma,
    harmonics.complex_polygamma,
    harmonics.spherical_legendre,
    hypergeometric.hyp1f1,
    hypergeometric.hyp2f1,
)

RULES: dict[Any, Rule] = {
    **{primitive: _own for primitive in _OWN},
    incomplete.betainc_derivative: _by_formula(_betainc_derivative),
    incomplete.gamma_curvature: _by_formula(_gamma_curvature),
    incomplete.igamma_grad_a: _by_formula(_igamma_grad_a),
    incomplete.random_gamma_grad: _by_formula(_random_gamma_grad),
}

__all__ = ["RULES"]
