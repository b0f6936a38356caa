"""Gamma variates: a loop over elements, in which proposals are drawn until one is accepted.

Marsaglia and Tsang, "A simple method for generating gamma variables" (2000), with the streams of
keys that `random_gamma` has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ....control.scan import scan_p
from ....control.while_loop import while_p
from ....core.program import ClosedProgram, Equation, trace_program
from ....core.trace import type_of
from ....ops.comparison import and_, eq, ge, le, or_
from ....ops.elementwise import add, div, like, mul, neg, select_n, sub
from ....ops.functions import log, log1p, pow_, sqrt
from ....ops.random_bits import random_bits, random_split
from ....ops.random_values import bit_width_for, random_gamma, uniform_from_bits
from ....ops.special import erf_inv
from ....ops.stacking import unstack
from ....ops.structural import reshape
from ..kinds import Unsupported
from ..lowering import Lowering, Rule, Value
from .linalg import rewritten

SQUEEZE = 0.0331
"""Of the cheap test, which accepts most proposals without a logarithm."""


def _loop(
    going: Callable[..., Any], step: Callable[..., Sequence[Any]], carry: Sequence[Any]
) -> list[Any]:
    types = [type_of(x).strong() for x in carry]

    def program(function: Callable[..., Any], many: bool) -> ClosedProgram:
        return trace_program(lambda *xs: list(function(*xs)) if many else [function(*xs)], types)

    condition, body = program(going, False), program(step, True)
    counts = {"cond_nconsts": 0, "body_nconsts": 0}
    return list(while_p(*carry, cond_jaxpr=condition, body_jaxpr=body, **counts))


class Streams:
    """Random numbers of one dtype from keys."""

    def __init__(self, dtype: np.dtype, partitionable: bool) -> None:
        self.dtype, self.partitionable = dtype, partitionable

    def split(self, key: Any, count: int) -> list[Any]:
        """New keys."""
        keys = random_split(key, shape=(count,), partitionable=self.partitionable)
        return list(unstack(keys, axis=0))

    def between(self, key: Any, low: Any, high: Any) -> Any:
        """A uniform number."""
        width = bit_width_for(self.dtype)
        bits = random_bits(key, bit_width=width, shape=(), partitionable=self.partitionable)
        return uniform_from_bits(bits, self.dtype.type(low), self.dtype.type(high))

    def uniform(self, key: Any) -> Any:
        """A uniform number from 0 to 1."""
        return self.between(key, 0, 1)

    def normal(self, key: Any) -> Any:
        """A normal number."""
        least = np.nextafter(self.dtype.type(-1), self.dtype.type(0))
        return mul(self.dtype.type(np.sqrt(2)), erf_inv(self.between(key, least, 1)))


def _proposal(streams: Streams, key: Any, c: Any) -> list[Any]:
    """A normal number x, drawn again until v = 1 + c x is positive; x and v."""

    def step(key: Any, c: Any, x: Any, v: Any) -> list[Any]:
        key, own = streams.split(key, 2)
        x = streams.normal(own)
        return [key, c, x, add(like(x, 1.0), mul(x, c))]

    def going(key: Any, c: Any, x: Any, v: Any) -> Any:
        return le(v, like(v, 0.0))

    minus = streams.dtype.type(-1)
    return _loop(going, step, [key, c, streams.dtype.type(0), minus])[2:]


def _accepted(streams: Streams, key: Any, d: Any, c: Any) -> Any:
    """The first v^3 that the test accepts."""

    def step(key: Any, d: Any, c: Any, x: Any, v: Any, u: Any) -> list[Any]:
        key, first, second = streams.split(key, 3)
        x, v = _proposal(streams, first, c)
        return [key, d, c, mul(x, x), mul(mul(v, v), v), streams.uniform(second)]

    def going(key: Any, d: Any, c: Any, x: Any, v: Any, u: Any) -> Any:
        one = like(x, 1.0)
        outside = ge(u, sub(one, mul(like(x, SQUEEZE), mul(x, x))))
        limit = add(mul(x, like(x, 0.5)), mul(d, add(sub(one, v), log(v))))
        return and_(outside, ge(log(u), limit))

    start = [streams.dtype.type(n) for n in (0, 1, 2)]
    return _loop(going, step, [key, d, c, *start])[4]


def sample(streams: Streams, key: Any, alpha: Any, log_space: bool) -> Any:
    """A gamma variate of this shape parameter, or its logarithm."""
    one = like(alpha, 1.0)
    third = streams.dtype.type(1 / 3)
    direct = ge(alpha, one)
    # Below 1 the method is used at alpha + 1, and the sample scaled by u ** (1 / alpha).
    d = sub(select_n(direct, add(alpha, one), alpha), third)
    c = div(third, sqrt(d))
    key, last = streams.split(key, 2)
    v, u = _accepted(streams, key, d, c), streams.uniform(last)
    over = div(one, alpha)
    if not log_space:
        boost = pow_(sub(one, u), over)
        return mul(mul(d, v), select_n(direct, boost, one))
    logs = log1p(neg(u))
    zero = like(alpha, 0.0)
    small = select_n(or_(direct, eq(logs, zero)), mul(logs, over), zero)
    return add(add(log(d), log(v)), small)


def _gamma(low: Lowering, equation: Equation, args: list[Value]) -> list[Value]:
    p, a = equation.params, args[1]
    if a.kind.narrow:
        raise Unsupported(f"random_gamma of {a.kind.dtype.name}")
    streams = Streams(a.kind.dtype, p["partitionable"])

    def function(keys: Any, a: Any) -> list[Any]:
        each = prod(a.shape) // prod(keys.shape)
        own = random_split(keys, shape=(each,), partitionable=p["partitionable"])
        count = prod(a.shape)
        own, alphas = reshape(own, new_sizes=(count,)), reshape(a, new_sizes=(count,))
        types = [type_of(x).without_axis(0).strong() for x in (own, alphas)]
        body = trace_program(lambda k, x: [sample(streams, k, x, p["log_space"])], types)
        counts = {"num_carry": 0, "num_consts": 0, "reverse": False, "unroll": 1}
        (samples,) = scan_p(own, alphas, jaxpr=body, length=count, **counts)
        return [reshape(samples, new_sizes=a.shape)]

    return rewritten(low, equation, args, function)


RULES: dict[Any, Rule] = {random_gamma: _gamma}
