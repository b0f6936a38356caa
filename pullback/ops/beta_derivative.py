"""The incomplete beta function in NumPy and float64: its density, and its derivatives in a and b.

With p the density of the beta distribution and

    A = log(t) - digamma(a) + digamma(a + b),   B = log(1 - t) - digamma(b) + digamma(a + b),

the derivatives of I(a, b, x) in a and b are integrals of p from 0 to x, with a factor: A and B for
the first ones, A^2 - trigamma(a) + trigamma(a + b), A B + trigamma(a + b) and so on for the second.
Over all of [0, 1] each of them is 0, so the side with less of the mass is integrated. By
t = x exp(-v) its end at 0 goes to infinity, and v = s exp(pi/2 sinh(u)) makes of it a sum over
equal steps of u:
H. Takahasi and M. Mori, "Double exponential formulas for numerical integration" (1974).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ..core.lazy import lazy
from ..core.trace import quiet
from .gamma_derivative import log_ratio_minus, stirling_rest
from .rounds import counted

scipy = lazy("scipy.special")

_LARGE = 10.0
_NODES, _BLOCK = 240, 8192
Orders = tuple[int, int]


def beta_log_density_values(a: Any, b: Any, x: Any) -> Any:
    """(a - 1) log x + (b - 1) log(1 - x) - betaln(a, b); arrays or numbers of float64.

    For large a and b the terms cancel, so there it goes through a log(a / m) + m - a of the means
    m: C. Loader, "Fast and accurate computation of binomial probabilities" (2000).
    """
    with quiet():
        direct = scipy.xlogy(a - 1, x) + scipy.xlog1py(b - 1, -x) - _betaln(a, b)
        inside = (x >= 0) & (x <= 1) & (a > 0) & (b > 0)
        large = (np.minimum(a, b) >= _LARGE) & (x > 0) & (x < 1)
        if np.any(large):
            p, q = np.where(large, a, _LARGE), np.where(large, b, _LARGE)
            far = _large_log_density(p, q, np.where(large, x, 0.5))
            direct = np.where(large, far, direct)
        return np.where(inside, direct, np.nan)


def _large_log_density(p: Any, q: Any, y: Any) -> Any:
    n = p + q
    drift = n * y - p  # of the mean n y from p, and the other way of n (1 - y) from q
    rest = np.where(np.absolute(drift) < 0.4 * q, q - drift, n * (1 - y))
    far = p * log_ratio_minus(n * y, p) + q * log_ratio_minus(rest, q)
    far += 0.5 * (np.log(p / n) + np.log(q / (2 * np.pi))) - np.log(y) - np.log1p(-y)
    return far + stirling_rest(n) - stirling_rest(p) - stirling_rest(q)


def _betaln(a: Any, b: Any) -> Any:
    """log B(a, b); with one large argument by Stirling's series, as the logarithms would cancel."""
    small, large = np.minimum(a, b), np.maximum(a, b)
    if not np.any(large >= _LARGE):
        return scipy.betaln(a, b)
    y = np.where(large >= _LARGE, large, _LARGE)
    far = stirling_rest(y) - stirling_rest(small + y) + scipy.gammaln(small)
    far -= (y + small - 0.5) * np.log1p(small / y) + small * (np.log(y) - 1)
    return np.where((large >= _LARGE) & (large < np.inf), far, scipy.betaln(a, b))


def beta_density_slope_values(a: Any, b: Any, x: Any) -> Any:
    """The derivative of the density in x, at 0 and 1 that from within."""
    with quiet():
        slope = np.exp(beta_log_density_values(a, b, x)) * ((a - 1) / x - (b - 1) / (1 - x))
        left, right = _slope_at_0(a, b), -_slope_at_0(b, a)
        found = np.where(x == 0, left, np.where(x == 1, right, slope))
        return np.where((a > 0) & (b > 0), found, np.nan)


def _slope_at_0(a: Any, b: Any) -> Any:
    # p = (1 - (b - 1) x + ...) x^(a-1) / B(a, b): B(2, b) = 1 / (b (b + 1)), B(1, b) = 1 / b.
    values = [0.0 * b, b * (b + 1), 0.0 * b + np.inf, -b * (b - 1)]
    return np.select([a > 2, a == 2, a > 1, a == 1], values, -np.inf)


def incomplete_beta_derivative(a: Any, b: Any, x: Any, orders: Orders) -> Any:
    """The derivative of I(a, b, x), `orders[0]` times in a and `orders[1]` times in b."""
    shape = np.broadcast_shapes(np.shape(a), np.shape(b), np.shape(x))
    a, b, x = (np.broadcast_to(v, shape).reshape(-1) for v in (a, b, x))
    out = np.full(a.shape, np.nan)
    positive = (a > 0) & (b > 0) & np.isfinite(a + b)
    out[positive & ((x == 0) | (x == 1))] = 0.0
    with quiet():
        inside = positive & (x > 0) & (x < 1)
        left = inside & (x * (a + b) <= a)
        right = inside & ~left
        _fill(out, left, (a, b, x), orders, 1.0)
        _fill(out, right, (b, a, 1 - x), orders[::-1], -1.0)
    return out.reshape(shape)


def _fill(out: np.ndarray, which: np.ndarray, args: Any, orders: Orders, sign: float) -> None:
    where = np.flatnonzero(which)
    for start in range(0, where.size, _BLOCK):
        at = where[start : start + _BLOCK]
        a, b, x = (v[at] for v in args)
        out[at] = sign * integral(a, b, x, orders)


def integral(a: Any, b: Any, x: Any, orders: Orders, own: Any = True) -> Any:
    """The integral of p times the factor of `orders`, or of these the other way round where `own`
    is false, from 0 to x."""
    odds = x / (1 - x)
    fall = np.absolute(a - (b - 1) * odds) + np.sqrt(np.absolute(b - 1) * odds / (1 - x))
    whole = scipy.psi(a + b)
    from_a, from_b = np.log(x) - scipy.psi(a) + whole, np.log1p(-x) - scipy.psi(b) + whole
    factor = _factor(a, b, orders)
    swapped = None if own is True or orders[0] == orders[1] else _factor(a, b, orders[::-1])

    def step(k: Any, total: Any, node: Any, weight: Any) -> list[Any]:
        v = node / fall
        # p(t) t relative to p(x) x: as 1 - x exp(-v) = (1 - x) (1 + odds (1 - exp(-v))).
        rise = np.log1p(-odds * np.expm1(-v))
        height = np.exp((b - 1) * rise - a * v) * v
        found = factor(from_a - v, from_b + rise)
        if swapped is not None:
            found = np.where(own, found, swapped(from_a - v, from_b + rise))
        return [total + height * found * weight]

    (total,) = counted(step, _NODES, np.zeros_like(fall), tables=_quadrature())
    return total * x * np.exp(beta_log_density_values(a, b, x))


def _factor(a: Any, b: Any, orders: Orders) -> Callable[[Any, Any], Any]:
    """The factor of p, from A and B."""
    if sum(orders) == 1:
        return lambda in_a, in_b: in_a if orders[0] else in_b
    whole = scipy.zeta(2.0, a + b)
    if orders == (1, 1):
        return lambda in_a, in_b: in_a * in_b + whole
    rest = scipy.zeta(2.0, a if orders[0] else b) - whole
    return lambda in_a, in_b: (in_a * in_a if orders[0] else in_b * in_b) - rest


@cache
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    """v / s at equal steps of u, and the weights of dv / v."""
    u = np.linspace(-3.9, 3.3, _NODES)
    step = u[1] - u[0]
    return np.exp(np.pi / 2 * np.sinh(u)), step * np.pi / 2 * np.cosh(u)
