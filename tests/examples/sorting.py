"""Examples of pullback/ops/sorting.py."""

from __future__ import annotations

import numpy as np

from pullback.ops import sorting as s

from .base import ALL, REAL, Example, F, I, distinct


def _sort(*specs, dimension=0, is_stable=True, num_keys=1, id=None, **options):
    params = {"dimension": dimension, "is_stable": is_stable, "num_keys": num_keys}
    return Example(s.sort, specs, params, id=id, **options)


def _top_k(spec, k, axis=0, id=None, **options):
    return Example(s.top_k, [spec], {"k": k, "axis": axis}, id=id, **options)


SPECIAL = np.array([0.0, np.nan, -np.inf, 1.0, -0.0, np.inf, -1.0, np.nan, 0.0])

EXAMPLES = [
    _sort(distinct(5), dtypes=ALL),
    _sort(distinct(5), is_stable=False, dtypes=ALL, id="unstable"),
    _sort(distinct(3, 4), dimension=1),
    _sort(distinct(4, 3), dimension=0, id="columns"),
    _sort(distinct(2, 3, 2), dimension=1),
    _sort(distinct(5), F(5), dtypes=ALL, id="by-first"),
    _sort(distinct(2, 4), F(2, 4), I(2, 4), dimension=1, id="by-first"),
    _sort(I(6, below=2), distinct(6), F(6), num_keys=2, dtypes=ALL, id="by-two"),
    _sort(I(6, below=2), F(6), id="stable-at-ties"),
    _sort(distinct(6), distinct(6), num_keys=2, id="all-keys"),
    _sort(distinct(600), F(600), dtypes=("float32", "float64", "int16", "uint32"), id="long"),
    _sort(SPECIAL, F(9), smooth=False, dtypes=("float32", "float64"), id="special"),
    _sort(SPECIAL, smooth=False, dtypes=("float32", "float64"), id="special-alone"),
    _sort(distinct(1), id="one"),
    _sort(distinct(0), id="none"),
    _sort(distinct(0, 3), dimension=1, id="none"),
    _top_k(distinct(6), 3, dtypes=(*REAL, "bool")),
    _top_k(distinct(2, 5), 2, 1),
    _top_k(distinct(5, 2), 5, id="all"),
    _top_k(distinct(5), 0, id="none"),
    _top_k(distinct(600), 3, dtypes=(*REAL, "bool"), id="few-of-many"),
    _top_k(SPECIAL, 9, smooth=False, dtypes=("float32", "float64"), id="special"),
]
