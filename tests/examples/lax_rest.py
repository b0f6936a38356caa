"""Examples of pullback/ops/integers.py, bit_generator.py, tokens.py and control/composite.py."""

from __future__ import annotations

import numpy as np

from pullback.control.composite import composite_p
from pullback.ops.bit_generator import rng_bit_generator
from pullback.ops.elementwise import add, mul
from pullback.ops.functions import sin
from pullback.ops.integers import mulhi

from .base import INTS, Example, F, I
from .control import DOUBLE, OTHER_PROGRAMS, program


def _bits(algorithm, dtype, *shape):
    return Example(
        rng_bit_generator,
        [I(4, below=2**31, dtype="uint32")],
        {"shape": shape, "dtype": np.dtype(dtype), "algorithm": algorithm},
        dtypes=("float32",),
        order=0,
        skip={"jax": "its algorithm is an enumeration: compared in test_lax_rest.py"},
        id=f"{algorithm}-{dtype}",
    )


def _two_results(x, y):
    return mul(sin(x), y), add(x, y)


_composite = program(_two_results, (3,), (3,))

EXAMPLES = [
    Example(mulhi, [F(3), F(3)], dtypes=INTS, order=0),
    *(
        _bits(algorithm, dtype, *shape)
        for algorithm in ("philox", "threefry")
        for dtype, shape in (("uint32", (3, 2)), ("uint64", (3,)), ("uint8", ()))
    ),
    Example(
        composite_p,
        [F(3), F(3)],
        lambda d: {
            "jaxpr": _composite(d),
            "name": "two",
            "version": 0,
            "attributes": (("by", 2.0),),
        },
        dtypes=DOUBLE,
        skip=OTHER_PROGRAMS,
    ),
]
