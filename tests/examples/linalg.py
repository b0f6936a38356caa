"""Examples of pullback/ops/linalg.py."""

from __future__ import annotations

import itertools

import numpy as np

from pullback.ops import determinants as det
from pullback.ops import linalg as la

from .base import (
    COMPLEX,
    WIDE,
    Example,
    F,
    I,
    Spec,
    positive_definite,
    symmetric,
    well_conditioned,
)

DTYPES = (*WIDE, *COMPLEX)
HALF = ("float16", "bfloat16")
NOT_IN_JAX = {"jax": "jax has no factorisations of half-width floats"}


def _cholesky(*shape):
    return Example(
        la.cholesky,
        [positive_definite(*shape)],
        dtypes=DTYPES,
        directions=[symmetric(*shape)],
        scale=10,
        skip={"jax": "jax leaves numbers above the diagonal; test_linalg compares"},
    )


def _dominant(*shape):
    """Full matrices, either triangle of which is well conditioned."""

    def make(rng, shape, dtype):
        noise = 0.4 * rng.normal(size=shape)
        if dtype.kind == "c":
            noise = noise + 0.4j * rng.normal(size=shape)
        return noise + np.eye(shape[-1]) * rng.uniform(1.5, 2.0, (*shape[:-2], 1, shape[-1]))

    return Spec(shape, make)


def _triangular_solve(a, b, left=True, lower=True, turn=False, conjugate=False, unit=False):
    params = {
        "left_side": left,
        "lower": lower,
        "transpose_a": turn,
        "conjugate_a": conjugate,
        "unit_diagonal": unit,
    }
    flags = "".join(
        name if value else ""
        for name, value in zip(("L", "l", "t", "c", "u"), params.values(), strict=True)
    )
    name = "x".join(map(str, a)) + "," + "x".join(map(str, b)) + "-" + flags
    # The other triangle holds numbers too: it must not be read.
    return Example(
        la.triangular_solve,
        [_dominant(*a), F(*b)],
        params,
        dtypes=DTYPES,
        linear_in=(1,),
        id=name,
        scale=10,
    )


def _lu_solve(n, k, trans):
    a = np.random.default_rng(n).normal(size=(n, n)) + 2 * np.eye(n)
    factors, _, permutation = la.lu.eval(a)
    return Example(
        la.lu_solve,
        [a, factors, permutation, F(n, k)],
        {"trans": trans},
        dtypes=("float64", "complex128"),
        linear_in=(3,),
        order=0,
        id=f"{n}x{k}trans{trans}",
    )


def _slogdet(*shape):
    a = np.random.default_rng(5).normal(size=shape) - 2 * np.eye(shape[-1])
    return Example(
        det.slogdet,
        [a, *la.lu.eval(a)],
        dtypes=("float64", "complex128"),
        order=0,
        id="x".join(map(str, shape)),
    )


EXAMPLES = [
    _cholesky(3, 3),
    _cholesky(2, 2, 2),
    _cholesky(1, 1),
    _cholesky(0, 0),
    _cholesky(0, 2, 2),
    Example(la.cholesky, [positive_definite(3, 3)], dtypes=HALF, skip=NOT_IN_JAX, id="half"),
    Example(la.lu, [well_conditioned(3, 3)], dtypes=HALF, skip=NOT_IN_JAX, id="half"),
    *(
        _triangular_solve((3, 3), (3, 2) if flags[0] else (2, 3), *flags)
        for flags in itertools.product((False, True), repeat=5)
    ),
    _triangular_solve((2, 3, 3), (2, 3, 1)),
    _triangular_solve((2, 3, 3), (2, 1, 3), left=False),
    _triangular_solve((2, 0, 0), (2, 0, 1)),
    _triangular_solve((2, 2), (2, 0)),
    *(
        Example(la.lu, [well_conditioned(*shape)], dtypes=DTYPES, scale=10)
        for shape in ((3, 3), (2, 3), (3, 2), (2, 3, 3), (0, 3), (0, 2, 2))
    ),
    Example(
        la.lu_pivots_to_permutation,
        [np.array([[2, 1, 2], [0, 2, 2]], np.int32)],
        {"permutation_size": 4},
        dtypes=("float32",),
    ),
    Example(
        la.lu_pivots_to_permutation,
        [I(3, below=3)],
        {"permutation_size": 3},
        dtypes=("float32",),
    ),
    *(_lu_solve(3, 2, trans) for trans in (0, 1)),
    _slogdet(3, 3),
    _slogdet(2, 2, 2),
    Example(la.lu_factors, [well_conditioned(3, 3)], dtypes=DTYPES, order=0),
    *(
        Example(op, [well_conditioned(*shape)], dtypes=DTYPES, scale=10)
        for op in (det.det, det.cofactors)
        for shape in (
            (1, 1),
            (2, 2),
            (3, 3),
            (4, 4),
            (5, 5),
            (2, 3, 3),
            (2, 4, 4),
            (0, 0),
            (0, 2, 2),
        )
    ),
    *(
        Example(op, [matrix], dtypes=("float64", "complex128"), id=name, order=order)
        for op in (det.det, det.cofactors)
        for name, matrix, order in (
            ("singular-2", np.array([[1.0, 2.0], [2.0, 4.0]]), 2),
            ("singular-3", np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.5, -1.0]]), 2),
            ("zero-3", np.zeros((3, 3)), 2),
            ("singular-4", np.diag([1.0, 2.0, 3.0, 0.0]), 1 if op is det.det else 0),
        )
    ),
]
