"""The incomplete gamma function in NumPy and float64: its density, and how a sample moves with a.

With P(a, x) = igamma(a, x) and p = dP/dx its density, a sample x whose probability P(a, x) is held
moves with a at the rate

    dx/da = -(dP/da) / p = x * integral from 0 to infinity of exp(-g(v)) (d + v) dv,

    d =  log(x) - digamma(a),   g(v) = (x - a) v + x (exp(v) - 1 - v)     from the right, or
    d = -(log(x) - digamma(a)), g(v) = (a - x) v + x (exp(-v) - 1 + v)    from the left,

by t = x exp(v) or t = x exp(-v) in the integral of the density. On the side where d is positive
nothing cancels. For small a the left side is a series with positive terms. The second derivative
d2P/da2 is the same integral with (log(t) - digamma(a))^2 - trigamma(a) in place of the factor.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ..core.lazy import lazy
from ..core.trace import quiet
from .rounds import counted

scipy = lazy("scipy.special")

_LARGE = 20.0
"""From this a on, Stirling's series with 8 terms is exact in float64."""
_DEPTH = 42.0
"""exp(-42) is a hundredth of the rounding error."""
_NODES, _TERMS, _BLOCK = 64, 80, 4096


def gamma_sample_slope(a: Any, x: Any) -> Any:
    """dx/da of samples x of the gamma distribution with parameter a; arrays of float64."""
    return _in_blocks(1, a, x)


def gamma_curvature_values(a: Any, x: Any) -> Any:
    """(d2P/da2) / p, for arrays of float64."""
    return _in_blocks(2, a, x)


def _in_blocks(order: int, a: Any, x: Any) -> Any:
    shape = np.broadcast_shapes(np.shape(a), np.shape(x))
    a, x = (np.broadcast_to(v, shape).reshape(-1) for v in (a, x))
    out = np.full(a.shape, np.nan)
    out[(x == 0) & (a > 0)] = 0.0
    inside = (x > 0) & (a > 0) & np.isfinite(x) & np.isfinite(a)
    with quiet():
        for start in range(0, a.size, _BLOCK):
            at = start + np.flatnonzero(inside[start : start + _BLOCK])
            out[at] = _ratios(order, a[at], x[at])
    return out.reshape(shape)


def _ratios(order: int, a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """-(dP/da) / p or (d2P/da2) / p."""
    out = np.empty_like(a)
    near = has_series(a, x)
    out[near] = series(order, a[near], x[near])
    rest = ~near
    out[rest] = integral(order, a[rest], x[rest])
    return out


def has_series(a: Any, x: Any) -> Any:
    """Where the series has few enough terms; elsewhere the integral is exact."""
    return (a < _LARGE) & (np.log(x) < scipy.psi(a + 1))


def series(order: int, a: Any, x: Any) -> Any:
    """-(dP/da) / p or (d2P/da2) / p, on the left."""
    return (_series if order == 1 else _second_series)(a, x)


def _series(a: Any, x: Any) -> Any:
    # x/a times the sum of c_k (digamma(a + k + 1) - log x), c_k = x^k / ((a + 1) ... (a + k)).
    def step(k: Any, total: Any, c: Any, difference: Any) -> list[Any]:
        c = c * (x / (a + (k + 1)))
        difference = difference + 1 / (a + (k + 1))
        return [total + c * difference, c, difference]

    first = scipy.psi(a + 1) - np.log(x)
    return counted(step, _TERMS, first, np.ones_like(a), first)[0] * (x / a)


def _second_series(a: Any, x: Any) -> Any:
    # The derivative of the above: c_k ((digamma(a + k + 1) - log x)^2 - trigamma(a + k + 1)).
    def step(k: Any, total: Any, c: Any, difference: Any, trigamma: Any) -> list[Any]:
        b = a + (k + 1)
        c = c * (x / b)
        difference, trigamma = difference + 1 / b, trigamma - 1 / b**2
        return [total + c * (difference * difference - trigamma), c, difference, trigamma]

    first, second = scipy.psi(a + 1) - np.log(x), scipy.zeta(2.0, a + 1)
    start = first * first - second, np.ones_like(a), first, second
    return counted(step, _TERMS, *start)[0] * (x / a)


def integral(order: int, a: Any, x: Any) -> Any:
    """-(dP/da) / p or (d2P/da2) / p, on the other side, or for large a."""
    d = _log_minus_digamma(a, x)
    side = np.where(d < 0, -1.0, 1.0)
    slope = side * (x - a)
    end = _depth(slope, x, side)
    start, curvature = np.absolute(d), scipy.zeta(2.0, a) if order == 2 else None

    def step(k: Any, total: Any, node: Any, weight: Any) -> list[Any]:
        v = end * node
        g = slope * v + x * _exp_minus_1_minus(side * v)
        factor = start + v
        if order == 2:
            factor = -side * (factor * factor - curvature)
        return [total + np.exp(-g) * factor * weight]

    (total,) = counted(step, _NODES, np.zeros_like(end), tables=_quadrature())
    return x * end * total


@cache
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Fejer's rule on [0, 1]: those of Gauss come with errors of 1e-12."""
    angle = (np.arange(_NODES) + 0.5) * (np.pi / _NODES)
    k = np.arange(1, _NODES // 2 + 1)
    waves = np.cos(2 * np.outer(angle, k)) / (4 * k * k - 1)
    return np.cos(angle / 2) ** 2, (1 - 2 * waves.sum(1)) / _NODES


def _depth(slope: np.ndarray, x: np.ndarray, side: np.ndarray) -> np.ndarray:
    """The v at which g(v) = _DEPTH, by Newton's method on a convex function."""
    v = (2 * _DEPTH) / (slope + np.sqrt(slope * slope + 2 * _DEPTH * x))
    for _ in range(8):
        g = slope * v + x * _exp_minus_1_minus(side * v)
        v = v - (g - _DEPTH) / (slope + x * side * np.expm1(side * v))
    return v


def _log_minus_digamma(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """log(x) - digamma(a); for large a without the cancellation of the two."""
    large = a >= _LARGE
    safe = np.where(large, a, _LARGE)
    s = 1 / (safe * safe)
    # Stirling: log(a) - digamma(a) = 1 / 2a + the sum of B_2n / (2n a^2n).
    tail = 1 / 132 - s * (691 / 32760 - s / 12)
    tail = s * (1 / 12 - s * (1 / 120 - s * (1 / 252 - s * (1 / 240 - s * tail))))
    far = _log_ratio(x, safe) + (0.5 / safe + tail)
    return np.where(large, far, np.log(x) - scipy.psi(a))


def _log_ratio(x: Any, a: Any) -> Any:
    """log(x / a), exact where x is near a too."""
    t = (x - a) / a
    return np.where(np.absolute(t) < 0.5, np.log1p(t), np.log(x / a))


def _exp_minus_1_minus(v: np.ndarray) -> np.ndarray:
    """exp(v) - 1 - v, by its series where the terms would cancel."""
    small = np.absolute(v) < 0.5
    u = np.where(small, v, 0.0)
    total = np.ones_like(u)
    for k in range(15, 2, -1):
        total = 1 + total * u / k
    return np.where(small, total * u * u / 2, np.expm1(v) - v)


# ---- the density


def gamma_density_values(a: Any, x: Any) -> Any:
    """x^(a-1) exp(-x) / Gamma(a); arrays or numbers of float64."""
    with quiet():
        large = a >= _LARGE
        density = _density(a, x)
        if np.any(large):
            far = _density_large(np.where(large, a, _LARGE), x)
            density = np.where(large, far, density)
        return np.where((x >= 0) & (a > 0), density, np.nan)


def _density(a: Any, x: Any) -> Any:
    # exp(-750) is 0, and a power of 750 is not infinite.
    near = np.minimum(x, 750.0)
    return np.power(near, a - 1) * np.exp(-near) * scipy.rgamma(a)


def _density_large(a: Any, x: Any) -> Any:
    # sqrt(a / 2 pi) / x * exp(-a (u - 1 - log u) - r(a)), u = x / a, r Stirling's series.
    exponent = a * log_ratio_minus(x, a) - stirling_rest(a)
    density = np.sqrt(a / (2 * np.pi)) / x * np.exp(exponent)
    return np.where(x == 0, 0.0, density)


def gamma_density_slope_values(a: Any, x: Any) -> Any:
    """The derivative of the density in x: at 0 too, where it is that from the right."""
    with quiet():
        at_0 = np.select([a > 2, a == 2, a > 1, a == 1], [0.0, 1.0, np.inf, -1.0], -np.inf)
        at_0 = np.where(a > 0, at_0, np.nan)
        slope = gamma_density_values(a, x) * ((a - 1 - x) / x)
        return np.where(x == 0, at_0, np.where(x == np.inf, 0.0 * a, slope))


def gamma_log_density_values(a: Any, x: Any) -> Any:
    """(a - 1) log x - x - lgamma(a); arrays or numbers of float64.

    For large a the terms cancel: at a = 1e6 they are of size 1e7 and their sum is about -8. So
    there it goes through a log(x / a) - x + a, computed as one.
    """
    with quiet():
        direct = scipy.xlogy(a - 1, x) - x - scipy.gammaln(a)
        large = (a >= _LARGE) & (x > 0) & (x < np.inf)
        found = direct
        if np.any(large):
            b, y = np.where(large, a, _LARGE), np.where(large, x, 1.0)
            far = b * log_ratio_minus(y, b) - stirling_rest(b) - np.log(y) + 0.5 * np.log(b)
            found = np.where(large, far - 0.5 * np.log(2 * np.pi), direct)
        found = np.where((x == np.inf) & (a < np.inf), -np.inf, found)
        return np.where((x >= 0) & (a > 0), found, np.nan)


def log_igamma_values(a: Any, x: Any) -> Any:
    """The logarithm of P(a, x), right where P is near 1 and where it underflows."""
    with quiet():
        left, right = scipy.gammainc(a, x), scipy.gammaincc(a, x)
        found = np.where(left < 0.5, np.log(left), np.log1p(-right))
        tiny = (left < 1e-290) & (x > 0) & (a < np.inf)
        if not np.any(tiny):
            return found
        # P = p x / a times the sum of x^k / ((a + 1) ... (a + k)), with x far below a.
        b, y = np.where(tiny, a, 1.0), np.where(tiny, x, 0.5)

        def step(k: Any, total: Any, term: Any) -> list[Any]:
            term = term * (y / (b + (k + 1)))
            return [total + term, term]

        total, _ = counted(step, 399, np.ones_like(b + y), np.ones_like(b + y))
        far = gamma_log_density_values(b, y) + np.log(y / b) + np.log(total)
        return np.where(tiny, far, found)


def log_igammac_values(a: Any, x: Any) -> Any:
    """The logarithm of 1 - P(a, x), right where that is near 1 and where it underflows."""
    with quiet():
        left, right = scipy.gammainc(a, x), scipy.gammaincc(a, x)
        found = np.where(right < 0.5, np.log(right), np.log1p(-left))
        tiny = (right < 1e-290) & (x < np.inf) & (a > 0)
        if not np.any(tiny):
            return found
        # Legendre's continued fraction of (1 - P) / p, with x far above a.
        b, y = np.where(tiny, a, 1.0), np.where(tiny, x, 800.0)

        def step(i: Any, fraction: Any) -> list[Any]:
            k = 300 - i
            return [y + 2 * k - 1 - b - k * (k - b) / fraction]

        (fraction,) = counted(step, 300, y + 2 * 300 + 1 - b)
        far = gamma_log_density_values(b, y) + np.log(y) - np.log(fraction)
        return np.where(tiny, far, found)


def stirling_rest(a: Any) -> Any:
    """lgamma(a) - ((a - 1/2) log a - a + log(2 pi) / 2), for a >= 10."""
    s = 1 / (a * a)
    rest = 1 / 1188 - s * (691 / 360360 - s * (1 / 156 - s * 3617 / 122400))
    rest = 1 / 1260 - s * (1 / 1680 - s * rest)
    return (1 / 12 - s * (1 / 360 - s * rest)) / a


def log_ratio_minus(x: Any, a: Any) -> Any:
    """log(1 + t) - t for 1 + t = x / a, by the series of atanh where the two would cancel."""
    t = (x - a) / a
    small = np.absolute(t) < 0.4
    u = np.where(small, t, 0.0)
    r = u / (2 + u)
    y = r * r
    total = np.full_like(y, 1 / 41)
    for k in range(39, 2, -2):
        total = total * y + 1 / k
    return np.where(small, r * (2 * y * total - u), _log_ratio(x, a) - t)
