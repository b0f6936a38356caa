"""The hypergeometric functions 1F1 and 2F1, differentiated in all of their arguments.

SciPy computes the values. In a parameter, the derivative is the sum of the derivatives of the
terms. Each term is made from the one before it, T(k + 1) = T(k) (a + k) / (b + k) z / (k + 1), with
everything a Taylor series in the changes of the parameters: a factor (a + k + da) adds to each
coefficient the one of an order less. So there are derivatives of all orders, without digammas,
which have poles where the function has none. A derivative in z is the function with larger
parameters.

For z < 0, where terms would cancel, by the transformations of Kummer and Pfaff:

    1F1(a; b; z) = exp(z) 1F1(b - a; b; -z)
    2F1(a, b; c; z) = (1 - z)^-a 2F1(a, c - b; c; z / (z - 1))
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ..core.lazy import lazy
from ..core.trace import quiet
from .elementwise import add_any, mul
from .special import SCIPY_ONLY, Special, in_float64
from .structural import broadcast_in_dim

scipy = lazy("scipy.special")

Orders = tuple[int, ...]
Jet = dict[Orders, Any]
"""Coefficients of a Taylor series in the changes of the parameters."""
Factor = tuple[Any, dict[int, float]]
"""A parameter, and the coefficient of each change in its own: (c - b, {1: -1, 2: 1})."""
_MOST_TERMS = 20000


class Hypergeometric(Special, family=True):
    """Parameters and the argument, in this order."""

    def next(self, args: Any, at: int, orders: Orders) -> Any:
        """The derivative of which the argument `at` has one order more than `orders` says."""
        raise NotImplementedError

    def jvp(self, primals: Any, tangents: Any, out: Any, orders: Orders | None = None) -> Any:
        before = orders or (0,) * len(primals)
        total = None
        for at, t in enumerate(tangents):
            if t is None:
                continue
            if not t.shape and out.shape:
                t = broadcast_in_dim(t, shape=out.shape, broadcast_dimensions=())
            raised = tuple(n + (i == at) for i, n in enumerate(before))
            term = mul(t, self.next(primals, at, raised))
            total = term if total is None else add_any(total, term)
        return total

    lower = SCIPY_ONLY


class Hyp1f1(Hypergeometric):
    """Kummer's function 1F1(a; b; z)"""

    @in_float64
    def eval(self, a: Any, b: Any, z: Any) -> Any:
        return scipy.hyp1f1(a, b, z)

    def next(self, args: Any, at: int, orders: Orders) -> Any:
        return hyp1f1_derivative(*args, orders=orders)


hyp1f1 = Hyp1f1()


class Hyp1f1Derivative(Hypergeometric):
    """the derivative of hyp1f1 in a, b and z, as often as `orders` says"""

    @in_float64
    def eval(self, a: Any, b: Any, z: Any, *, orders: Orders) -> Any:
        return kummer_derivative(a, b, z, orders)

    def next(self, args: Any, at: int, orders: Orders) -> Any:
        return hyp1f1_derivative(*args, orders=orders)


hyp1f1_derivative = Hyp1f1Derivative()


class Hyp2f1(Hypergeometric):
    """Gauss's function 2F1(a, b; c; z)"""

    @in_float64
    def eval(self, a: Any, b: Any, c: Any, z: Any) -> Any:
        return scipy.hyp2f1(a, b, c, z)

    def next(self, args: Any, at: int, orders: Orders) -> Any:
        return hyp2f1_derivative(*args, orders=orders)


hyp2f1 = Hyp2f1()


class Hyp2f1Derivative(Hypergeometric):
    """the derivative of hyp2f1 in a, b, c and z, as often as `orders` says, for z < 1"""

    @in_float64
    def eval(self, a: Any, b: Any, c: Any, z: Any, *, orders: Orders) -> Any:
        return gauss_derivative(a, b, c, z, orders)

    def next(self, args: Any, at: int, orders: Orders) -> Any:
        return hyp2f1_derivative(*args, orders=orders)


hyp2f1_derivative = Hyp2f1Derivative()


# ---- in NumPy and float64


def kummer_derivative(a: Any, b: Any, z: Any, orders: Orders) -> Any:
    """The derivative of 1F1(a; b; z)."""
    a, b, z = np.broadcast_arrays(a, b, z)
    *within, k = orders
    with quiet():
        if not any(within):
            scale = scipy.poch(a, k) / scipy.poch(b, k)
            return scale * scipy.hyp1f1(a + k, b + k, z)
        left = z < 0
        # The change of the upper parameter is da, or db - da.
        ahead = _sum([(a + k, {0: 1.0})], [(b + k, {1: 1.0})], np.where(left, 0, z), within)
        back = _sum(
            [(b - a, {0: -1.0, 1: 1.0})], [(b + k, {1: 1.0})], np.where(left, -z, 0), within
        )
        chosen = {i: np.where(left, np.exp(z) * back[i], ahead[i]) for i in ahead}
        return _raised(chosen, [(a, {0: 1.0})], [(b, {1: 1.0})], k, tuple(within))


def gauss_derivative(a: Any, b: Any, c: Any, z: Any, orders: Orders) -> Any:
    """The derivative of 2F1(a, b; c; z) for z < 1; nan beyond."""
    a, b, c, z = np.broadcast_arrays(a, b, c, z)
    *within, k = orders
    tops, bottom = [(a, {0: 1.0}), (b, {1: 1.0})], (c, {2: 1.0})
    with quiet():
        if not any(within):
            scale = scipy.poch(a, k) * scipy.poch(b, k) / scipy.poch(c, k)
            return scale * scipy.hyp2f1(a + k, b + k, c + k, z)
        left, inside = z < 0, z < 1
        upper = [(a + k, {0: 1.0}), (b + k, {1: 1.0})]
        ahead = _sum(upper, [(c + k, {2: 1.0})], np.where(left | ~inside, 0, z), within)
        mirrored = [(a + k, {0: 1.0}), (c - b, {1: -1.0, 2: 1.0})]
        w = np.where(left, z / (z - 1), 0.0)
        back = _sum(mirrored, [(c + k, {2: 1.0})], w, within)
        log = np.where(left, -np.log1p(-z), 0.0)
        power = {
            i: np.exp((a + k) * log) * log ** i[0] / math.factorial(i[0])
            for i in back
            if not any(i[1:])
        }
        back = _product(back, power)
        chosen = {i: np.where(left, back[i], ahead[i]) for i in ahead}
        found = _raised(chosen, tops, [bottom], k, tuple(within))
        return np.where(inside, found, np.nan)


def _sum(tops: list[Factor], bottoms: list[Factor], z: Any, orders: Any) -> Jet:
    """The series of which each term has the factors tops + k, over bottoms + k and k + 1."""
    indices = list(itertools.product(*(range(n + 1) for n in orders)))
    term: Jet = {i: np.zeros(z.shape) for i in indices}
    term[indices[0]] = np.ones(z.shape)
    total = {i: t.copy() for i, t in term.items()}
    done = np.zeros(z.shape, bool)
    largest = max(float(np.max(np.absolute(p), initial=0)) for p, _ in tops + bottoms)
    for k in range(_MOST_TERMS):
        term = _next(term, tops, bottoms, k)
        factor = z / (k + 1)
        term = {i: t * factor for i, t in term.items()}
        for i, t in term.items():
            total[i] += t
        if k > 8 and k % 8 == 0:
            small = [np.absolute(term[i]) <= 1e-17 * np.absolute(total[i]) for i in indices]
            lost = ~np.isfinite(total[indices[-1]])
            done = np.all(small, axis=0) | lost
            if k > min(largest, 500) and np.all(done):
                break
    return {i: np.where(done, t, np.nan) for i, t in total.items()}


def _next(term: Jet, tops: list[Factor], bottoms: list[Factor], k: int) -> Jet:
    for parameter, changes in tops:
        term = {
            i: (parameter + k) * t
            + sum(c * term[_less(i, at)] for at, c in changes.items() if i[at])
            for i, t in term.items()
        }
    for parameter, changes in bottoms:
        out: Jet = {}
        for i, t in term.items():
            rest = sum(c * out[_less(i, at)] for at, c in changes.items() if i[at])
            out[i] = (t - rest) / (parameter + k)
        term = out
    return term


def _less(index: Orders, at: int) -> Orders:
    return tuple(n - (i == at) for i, n in enumerate(index))


def _product(f: Jet, g: Jet) -> Jet:
    out: Jet = {}
    for i in f:
        parts = [
            f[tuple(a - b for a, b in zip(i, j))] * y
            for j, y in g.items()
            if all(a >= b for a, b in zip(i, j))
        ]
        out[i] = sum(parts[1:], parts[0])
    return out


def _raised(jet: Jet, tops: list[Factor], bottoms: list[Factor], k: int, orders: Orders) -> Any:
    """The derivative `orders`, of `jet` times the factors of the first `k` terms."""
    for m in range(k):
        jet = _next(jet, tops, bottoms, m)
    return jet[orders] * math.prod(map(math.factorial, orders))
