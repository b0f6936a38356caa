"""Examples of pullback/ops/functions.py."""

from __future__ import annotations

import numpy as np

from pullback.ops import functions as f

from .base import (
    COMPLEX,
    FLOATS,
    INEXACT,
    INTS,
    NUMBERS,
    Example,
    F,
    I,
    between,
    positive,
    unit,
)

INF, NAN = np.inf, np.nan
EDGES = np.array([0.0, -0.0, 1.0, -1.0, 100.0, -100.0, INF, -INF, NAN])


def _everywhere(op, **options):
    """Real and complex numbers around 0, and the edges."""
    jax = {"jax": "XLA computes exp(x log 2)"} if op is f.exp2 else None
    return [
        Example(op, [F(2, 3)], dtypes=INEXACT, **options),
        Example(op, [F()], id="scalar", **options),
        Example(op, [EDGES], order=0, skip=jax, id="edges"),
    ]


def _on(op, spec, dtypes=FLOATS, **options):
    """Numbers in the domain of real ones, and the edges, where there is none."""
    return [
        Example(op, [spec], dtypes=dtypes, **options),
        Example(op, [F(2, 3)], dtypes=COMPLEX, id="complex", **options),
        Example(op, [EDGES], order=0, id="edges"),
    ]


def _integer_pow(spec, y, **options):
    return Example(f.integer_pow, [spec], {"y": y}, id=f"to-{y}", **options)


EXAMPLES = [
    Example(f.square, [F(3)], dtypes=NUMBERS),
    *(_integer_pow(F(3), y, dtypes=NUMBERS) for y in (0, 1, 2, 3, 4, 5)),
    _integer_pow(unit(3), 7, dtypes=INEXACT),
    _integer_pow(positive(3), 17, dtypes=("float64", "float32"), scale=1e9),
    *(_integer_pow(positive(3), y, dtypes=INEXACT, scale=1e3) for y in (-1, -2, -5)),
    Example(f.integer_pow, [EDGES], {"y": 0}, order=0, id="edges-to-0"),
    Example(f.integer_pow, [EDGES], {"y": -1}, order=0, id="edges-to-1-less"),
    Example(f.pow_, [positive(2, 3), F(2, 3)], dtypes=INEXACT, scale=1e3),
    Example(f.pow_, [positive(), F(3)], scale=10, id="scalar-base"),
    Example(f.pow_, [positive(3), F()], scale=10, id="scalar-exponent"),
    Example(f.pow_, [F(3), I(3, below=4)], dtypes=INEXACT, scale=10, id="integer-exponent"),
    Example(f.pow_, [positive(3), I(3, start=-3, below=0)], scale=1e4, id="negative-integer"),
    Example(
        f.pow_,
        [F(4), F(4)],
        dtypes=INTS,
        skip={"jax": "JAX has no powers of integers but by integer_pow"},
        id="integers",
    ),
    Example(f.pow_, [F(3), I(below=3)], dtypes=FLOATS, id="scalar-integer-exponent"),
    Example(
        f.pow_,
        [np.array([0.0, 0, 0, 2, 0]), np.array([1.0, 2, 3, 0, 0])],
        order=1,
        smooth=False,
        id="at-0",
    ),
    Example(
        f.pow_,
        [np.repeat(EDGES, 9), np.tile(EDGES, 9)],
        order=0,
        dtypes=("float32", "float64"),
        id="edges",
    ),
    *_on(f.sqrt, positive(2, 3)),
    *_on(f.rsqrt, positive(2, 3), scale=100),
    Example(f.cbrt, [positive(3)], scale=10),
    Example(f.cbrt, [between(-3, -0.5, 3)], scale=10, id="negative"),
    Example(f.cbrt, [EDGES], order=0, id="edges"),
    Example(f.tanh_slope, [unit(3)], dtypes=INEXACT),
    Example(f.rem, [between(2.1, 2.9, 3), positive(3)], dtypes=("float64",), smooth=False),
    Example(f.rem, [F(3), np.array([3.5, -4.0, 5.0])], dtypes=FLOATS, order=1),
    Example(f.rem, [between(8.1, 8.9, 3), np.array([3.0, -3.0, 2.8])], order=1, id="several"),
    Example(
        f.rem, [I(5, start=-7, below=8), np.array([3, -3, 0, 2, -1], "int32")], dtypes=("int32",)
    ),
    Example(f.rem, [F(5), F(5)], dtypes=INTS, id="integers"),
    Example(f.rem, [np.repeat(EDGES, 9), np.tile(EDGES, 9)], order=0, id="edges"),
    *_everywhere(f.exp),
    *_everywhere(f.exp2),
    *_everywhere(f.expm1),
    *_on(f.log, positive(2, 3), scale=100),
    *_on(f.log1p, unit(2, 3), scale=1e4),
    Example(f.log1p, [np.array([1e-12, -1e-15, 1e-7j])], dtypes=COMPLEX, id="near-0"),
    *_everywhere(f.logistic, scale=100),
    *_everywhere(f.sin),
    *_everywhere(f.cos),
    *_on(f.tan, unit(2, 3), scale=100),
    *_on(f.asin, unit(2, 3), scale=1e4),
    *_on(f.acos, unit(2, 3), scale=1e4),
    *_on(f.atan, F(2, 3), scale=1e4),
    Example(f.atan2, [positive(3), F(3)], scale=100),
    Example(f.atan2, [between(-3, -0.5, 3), F(3)], scale=100, id="below"),
    Example(f.atan2, [F(3), positive()], scale=100, id="scalar"),
    Example(f.atan2, [positive(3), positive(3)], dtypes=COMPLEX, scale=100, id="complex"),
    Example(f.atan2, [np.repeat(EDGES, 9), np.tile(EDGES, 9)], order=0, id="edges"),
    *_everywhere(f.sinh),
    *_everywhere(f.cosh),
    *_everywhere(f.tanh, scale=100),
    *_everywhere(f.asinh, scale=1e3),
    *_on(f.acosh, between(1.5, 4, 2, 3), scale=1e4),
    *_on(f.atanh, unit(2, 3), scale=1e6),
]
