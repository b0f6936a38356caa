"""Random bits of XLA's own generators, and gamma variates."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ....core.program import Equation, trace_program
from ....ops.bit_generator import rng_bit_generator
from ....ops.random_bits import random_split
from ....ops.random_values import random_gamma
from ....ops.structural import reshape
from ....transforms.batch import vmap
from ...native.rules.rejection import Streams, sample
from .. import kernels
from ..lowering import Lowering, Rule
from ..text import Word
from .elementwise import convert
from .host import call_code


def _bits(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    code, (state,) = low.code, args
    shape, dtype = low.result(eq, 1)
    if not prod(shape):
        return [state, code.constant(np.zeros(shape, dtype))]
    name = "PHILOX" if eq.params["algorithm"] == "philox" else "THREE_FRY"
    wide = np.dtype(np.uint32) if dtype.itemsize < 4 else dtype
    # The state of XLA's is the same bits as two numbers.
    pairs = code.op("reshape", [state], (2, 2), state.dtype)
    numbers = code.op("bitcast_convert", [pairs], (2,), np.uint64)
    results = [((2,), np.dtype(np.uint64)), (shape, wide)]
    attributes = f"rng_algorithm = #stablehlo<rng_algorithm {name}>"
    after, bits = code.ops("rng_bit_generator", [numbers], results, attributes)
    pairs = code.op("bitcast_convert", [after], (2, 2), state.dtype)
    return [code.op("reshape", [pairs], (4,), state.dtype), convert(code, bits, dtype)]


def _gamma(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    p, a = eq.params, args[1]
    if a.dtype.itemsize == 2:
        return low.by_definition(eq, args)  # its steps are rounded to 16 bits, one by one
    if 0 in a.shape:
        return [low.code.constant(np.zeros(a.shape, a.dtype))]
    types = [v.aval for v in eq.invars]
    if low.platform == "cpu" and not low.portable:
        target = kernels.target(trace_program(lambda *xs: [random_gamma(*xs, **p)], types))
        if target is not None:
            results = [low.result(eq), ((target[1],), np.dtype(np.uint8))]
            where = "" if low.meshes is None else low.meshes.on_first(len(results))
            return call_code(low, target[0], args, results, where)[:1]
    return low.traced(lambda keys, a: [_variates(keys, a, **p)], types, args)


def _variates(keys: Any, a: Any, log_space: bool, partitionable: bool) -> Any:
    """All elements at once, each as long as its proposals are refused."""
    streams = Streams(a.dtype, partitionable)

    def one(key: Any, alpha: Any) -> list[Any]:
        return [sample(streams, key, alpha, log_space)]

    count = prod(a.shape)
    own = random_split(keys, shape=(count // prod(keys.shape),), partitionable=partitionable)
    flat = [reshape(x, new_sizes=(count,)) for x in (own, a)]
    (samples,), _ = vmap(one, count, flat, [0, 0])
    return reshape(samples, new_sizes=a.shape)


RULES: dict[Any, Rule] = {rng_bit_generator: _bits, random_gamma: _gamma}

__all__ = ["RULES"]
