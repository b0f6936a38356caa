"""The derivatives of the Hurwitz zeta function in its exponent, in NumPy and float64.

By the sum of Euler and Maclaurin, N terms and J corrections, each a Taylor series in the exponent:

    zeta(s, q) = sum of (q + n)^-s for n < N  +  (q + N)^(1-s) / (s - 1)  +  (q + N)^-s / 2
                 + sum of B_2j / (2j)! s (s + 1) ... (s + 2j - 2) (q + N)^(1-s-2j) for j <= J
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.trace import quiet

_N = 14
# B_2j / (2j)! for j = 1 to 10.
_COEFFICIENTS = (
    *(1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000),
    *(1 / 74724249600, -3617 / 10670622842880000, 43867 / 5109094217170944000),
    -174611 / 802857662698291200000,
)


def zeta_derivative_values(s: Any, q: Any, order: int) -> Any:
    """The derivative of zeta(s, q) in s, `order` times, for s > 1 and q > 0; else nan."""
    s, q = np.broadcast_arrays(s, q)
    inside = (s > 1) & (q > 0) & np.isfinite(s)
    s, q = np.where(inside, s, 2.0), np.where(inside, q, 1.0)
    with quiet():
        total = np.zeros_like(s)
        for n in range(_N):
            total += _power(s, q + n, order)
        end = q + _N
        total += 0.5 * _power(s, end, order)
        inverse = [(-1.0) ** k / (s - 1) ** (k + 1) for k in range(order + 1)]
        total += _times(inverse, s - 1, end, order)
        rising = [s, np.ones_like(s), *[np.zeros_like(s)] * (order - 1)]
        for j, c in enumerate(_COEFFICIENTS, 1):
            total += c * _times(rising, s + (2 * j - 1), end, order)
            for i in (2 * j - 1, 2 * j):
                rising = [f * (s + i) + (rising[k - 1] if k else 0.0) for k, f in enumerate(rising)]
    return np.where(inside, math.factorial(order) * total, np.nan)


def _power(s: Any, base: Any, k: int) -> Any:
    """The coefficient k of the series of base^-(s + d) in d."""
    return np.power(base, -s) * (-np.log(base)) ** k / math.factorial(k)


def _times(series: list[Any], s: Any, base: Any, order: int) -> Any:
    """The coefficient `order` of the product of `series` and that of base^-(s + d)."""
    return sum(f * _power(s, base, order - k) for k, f in enumerate(series))
