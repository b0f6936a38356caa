"""Examples of pullback/ops/elementwise.py."""

from __future__ import annotations

import numpy as np

from pullback.core.dtypes import is_inexact
from pullback.ops import elementwise as e

from .base import (
    ALL,
    BFLOAT16,
    COMPLEX,
    FLOATS,
    INEXACT,
    NUMBERS,
    SIGNED,
    B,
    Example,
    F,
    I,
    between,
    positive,
)

INF, NAN = np.inf, np.nan
EDGES = np.array([0.0, -0.0, 1.0, -1.0, INF, -INF, NAN, 1e308])


def _convert(spec, new, *, dtypes=ALL, weak_type=False, id=None):
    new = BFLOAT16 if new == "bfloat16" else np.dtype(new)
    params = {"new_dtype": new, "weak_type": weak_type}
    linear = (0,) if is_inexact(new) else None
    example = Example(
        e.convert_element_type,
        [spec],
        params,
        dtypes=dtypes,
        linear_in=linear,
        id=f"to-{id or new}",
    )
    # Into fewer digits a small step is lost, and transposing twice rounds: only types are compared.
    example.smooth = new in ("float64", "complex128")
    if new.name not in ("float64", "complex128"):
        example.linear_in = ()
        rounding = f"{new} has too few digits to compare"
        example.skip = dict.fromkeys(("vjp", "second_order", "partial_jvps"), rounding)
    return example


def _conj(spec, dtypes):
    return Example(e.conj, [spec], lambda d: {"input_dtype": d}, dtypes=dtypes, linear_in=(0,))


EXAMPLES = [
    Example(e.neg, [F(3)], dtypes=NUMBERS, linear_in=(0,)),
    Example(e.neg, [EDGES], smooth=False, order=1, id="edges"),
    Example(e.add, [F(2, 3), F(2, 3)], dtypes=NUMBERS, linear_in=(0, 1)),
    Example(e.add, [F(), F(2, 3)], dtypes=NUMBERS, linear_in=(0, 1), id="scalar-left"),
    Example(e.add, [F(2, 3), F()], dtypes=NUMBERS, linear_in=(0, 1), id="scalar-right"),
    Example(e.add_any, [F(2), F(2)], dtypes=NUMBERS, linear_in=(0, 1)),
    Example(e.sub, [F(2, 3), F(2, 3)], dtypes=NUMBERS, linear_in=(0, 1)),
    Example(e.sub, [F(), F(3)], dtypes=NUMBERS, linear_in=(0, 1), id="scalar-left"),
    Example(e.sub, [F(3), F()], dtypes=NUMBERS, linear_in=(0, 1), id="scalar-right"),
    Example(e.mul, [F(2, 3), F(2, 3)], dtypes=NUMBERS, linear_in=((0,), (1,))),
    Example(e.mul, [F(), F(3)], dtypes=NUMBERS, linear_in=((0,), (1,)), id="scalar-left"),
    Example(e.mul, [F(3), F()], dtypes=NUMBERS, linear_in=((0,), (1,)), id="scalar-right"),
    Example(e.div, [F(2, 3), positive(2, 3)], dtypes=NUMBERS, linear_in=((0,),)),
    Example(e.div, [F(), positive(3)], dtypes=NUMBERS, linear_in=((0,),), id="scalar-left"),
    Example(e.div, [F(3), positive()], dtypes=NUMBERS, linear_in=((0,),), id="scalar-right"),
    Example(e.div, [F(3), between(-3, -0.5, 3)], dtypes=FLOATS + SIGNED, id="by-negative"),
    Example(
        e.div,
        [EDGES[:, None] * np.ones(8), np.ones((8, 1)) * EDGES],
        order=0,
        id="edges",
    ),
    Example(
        e.div, [I(4, start=-3), np.array([0, 2, -2, 0], "int32")], dtypes=("int32",), id="by-0"
    ),
    Example(
        e.div,
        [np.array([-(2**31), -(2**31), 7], "int32"), np.array([-1, 1, -2], "int32")],
        dtypes=("int32",),
        id="overflow",
    ),
    Example(e.real, [F(3)], dtypes=COMPLEX, linear_in=(0,)),
    Example(e.imag, [F(3)], dtypes=COMPLEX, linear_in=(0,)),
    Example(e.complex_, [F(3), F(3)], dtypes=("float32", "float64"), linear_in=(0, 1)),
    Example(e.complex_, [F(), F(3)], dtypes=("float32", "float64"), linear_in=(0, 1)),
    _conj(F(3), COMPLEX),
    _conj(F(3), ("float32", "float64")),
    _convert(F(3), "float64"),
    _convert(F(3), "float64", dtypes=("float64",), weak_type=True, id="weak-float64"),
    _convert(F(3), "complex128"),
    _convert(F(3), "float32"),
    _convert(F(3), "bfloat16"),
    _convert(F(3), "complex64"),
    _convert(F(3), "int32"),
    _convert(F(3), "uint8"),
    _convert(F(3), "bool"),
    _convert(EDGES, "bool", dtypes=INEXACT, id="bool-of-edges"),
    _convert(
        np.array([INF, -INF, NAN, 3e9, -3e9, 2.9, -2.9, 2.0**31]),
        "int32",
        dtypes=("float32", "float64"),
        id="int32-of-edges",
    ),
    Example(e.select_n, [B(4), F(4), F(4)], dtypes=ALL, linear_in=(1, 2)),
    Example(e.select_n, [B(), F(2, 3), F(2, 3)], dtypes=ALL, linear_in=(1, 2), id="scalar-which"),
    Example(e.select_n, [I(5, below=3), F(5), F(5), F(5)], dtypes=ALL, linear_in=(1, 2, 3)),
    Example(e.select_n, [I(below=2), F(5), F(5)], dtypes=INEXACT, linear_in=(1, 2)),
    Example(e.select_n, [B(3), F(3)], dtypes=INEXACT, linear_in=(1,), id="one-case"),
    Example(e.select_n, [B(2, 0), F(2, 0), F(2, 0)], linear_in=(1, 2), id="empty"),
]
