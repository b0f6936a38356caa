"""Examples of pullback/ops/rounding.py."""

from __future__ import annotations

import numpy as np

from pullback.ops import rounding as r

from .base import COMPLEX, INEXACT, NUMBERS, SIGNED, Example, F, off_integers, positive

INF, NAN = np.inf, np.nan
EDGES = np.array([0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, INF, -INF, NAN])
AROUND_0 = np.array([0.5, -0.25, 1.0, 2.0, -4.0])
CORNERS = np.array([0, INF, -2, complex(3, 4)])
AWAY, EVEN = r.RoundingMethod


def _round(spec, method, **options):
    return Example(r.round_, [spec], {"rounding_method": method}, **options)


def _reduce(spec, exponent_bits, mantissa_bits, **options):
    params = {"exponent_bits": exponent_bits, "mantissa_bits": mantissa_bits}
    name = f"{exponent_bits}-{mantissa_bits}"
    return Example(r.reduce_precision, [spec], params, id=name, **options)


EXAMPLES = [
    Example(r.abs_, [off_integers(4)], dtypes=INEXACT + SIGNED),
    Example(r.abs_, [F(2, 3)], dtypes=COMPLEX, scale=100),
    Example(r.abs_, [EDGES], order=1, smooth=False, id="edges"),
    Example(r.abs_, [CORNERS], dtypes=COMPLEX, order=1, smooth=False, id="corners"),
    Example(r.sign, [off_integers(4)], dtypes=NUMBERS),
    Example(r.sign, [F(2, 3)], dtypes=COMPLEX, scale=1e3),
    Example(r.sign, [EDGES], order=1, smooth=False, id="edges"),
    Example(r.floor, [off_integers(4)]),
    Example(r.floor, [EDGES], order=1, smooth=False, id="edges"),
    Example(r.ceil, [off_integers(4)]),
    Example(r.ceil, [EDGES], order=1, smooth=False, id="edges"),
    _round(off_integers(4), AWAY, id="away"),
    _round(off_integers(4), EVEN, id="even"),
    _round(EDGES, AWAY, order=1, smooth=False, id="away-edges"),
    _round(EDGES, EVEN, order=1, smooth=False, id="even-edges"),
    _round(np.nextafter(0.5, 0) * np.ones(1), AWAY, order=0, dtypes=("float64",), id="below-half"),
    Example(r.nextafter, [positive(3), F(3)], smooth=False),
    Example(r.nextafter, [EDGES, EDGES[::-1].copy()], order=0, id="edges"),
    _reduce(AROUND_0, 11, 52, linear_in=(0,)),
    _reduce(F(5), 8, 7, smooth=False, skip={"vjp": "transposing rounds other numbers"}),
    _reduce(F(5), 5, 10, order=0),
    _reduce(EDGES * 1e-6, 4, 3, order=0),
    _reduce(EDGES * 1e3, 4, 3, order=0, dtypes=("float32", "float64", "bfloat16")),
]
