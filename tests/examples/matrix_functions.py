"""Examples of pullback/ops/matrix_functions.py, tridiagonal.py, schur.py and updates.py."""

from __future__ import annotations

import numpy as np

from pullback.ops import matrix_functions as m
from pullback.ops import schur, tridiagonal, updates

from .base import (
    COMPLEX,
    WIDE,
    Example,
    F,
    Spec,
    positive_definite,
    symmetric,
    triangular,
    well_conditioned,
)

DTYPES = (*WIDE, *COMPLEX)
SKIP = {"jax": "jax asks for more parameters or a compiled call; test_decompositions compares"}


def _named(*shapes):
    return ",".join("x".join(map(str, s)) for s in shapes)


def _dominant(*shape):
    """Diagonals that outweigh the numbers beside them."""

    def make(rng, shape, dtype):
        a = 3 + rng.normal(size=shape) / 4
        return a + 0.3j * rng.normal(size=shape) if dtype.kind == "c" else a

    return Spec(shape, make)


def _far_from_zero(*shape):
    """Matrices with eigenvalues around 2, none near the negative numbers."""

    def make(rng, shape, dtype):
        a = 0.3 * rng.normal(size=shape) + 2 * np.eye(shape[-1])
        return a + 0.3j * rng.normal(size=shape) if dtype.kind == "c" else a

    return Spec(shape, make)


def _upper(*shape):
    """Upper triangular matrices with diagonals well apart."""

    def make(rng, shape, dtype):
        a = np.triu(rng.normal(size=shape), 1) + np.diag(np.arange(shape[-1]) * 1.5)
        return a + 0.3j * np.triu(rng.normal(size=shape)) if dtype.kind == "c" else a

    return Spec(shape, make)


def _real_eigenvalues(*shape):
    """Matrices with eigenvalues well apart; of real matrices, they are real."""

    def make(rng, shape, dtype):
        a = np.diag(np.arange(shape[-1]) * 2.0) + 0.2 * rng.normal(size=shape)
        return a + 0.2j * rng.normal(size=shape) if dtype.kind == "c" else a

    return Spec(shape, make)


def _tridiagonal_solve(shape, columns, **options):
    return Example(
        tridiagonal.tridiagonal_solve,
        [F(*shape), _dominant(*shape), F(*shape), F(*shape, columns)],
        {"perturb_singular": False},
        dtypes=DTYPES,
        linear_in=(3,),
        scale=100,
        id=_named((*shape, columns)),
        **({"skip": SKIP} | options),
    )


EXAMPLES = [
    *(
        Example(
            m.expm,
            [F(*shape)],
            {"max_squarings": 16},
            dtypes=DTYPES,
            scale=1000,
            id=_named(shape),
        )
        for shape in ((3, 3), (2, 2, 2), (1, 1), (0, 2, 2), (0, 0))
    ),
    *(
        Example(
            m.expm_frechet,
            [F(*shape), F(*shape)],
            dtypes=DTYPES,
            linear_in=(1,),
            scale=1000,
            id=_named(shape),
        )
        for shape in ((2, 2), (2, 3, 3), (0, 2, 2), (0, 0))
    ),
    *(
        Example(
            m.sylvester,
            [_far_from_zero(*stack, p, p), _far_from_zero(*stack, q, q), F(*stack, p, q)],
            {"tol": 1e-8},
            dtypes=DTYPES,
            linear_in=(2,),
            scale=100,
            id=_named((*stack, p, q)),
        )
        for stack, p, q in (((), 3, 2), ((2,), 2, 2), ((0,), 2, 1), ((), 0, 2))
    ),
    *(
        Example(m.sqrtm, [_far_from_zero(*shape)], dtypes=DTYPES, scale=100, id=_named(shape))
        for shape in ((3, 3), (2, 2, 2), (0, 2, 2), (0, 0))
    ),
    *(
        Example(m.rsf2csf, [np.broadcast_to(t, shape), np.broadcast_to(t, shape)], **options)
        for t in [np.array([[1.0, 2.0], [-1.0, 1.0]])]
        for shape, options in (
            ((2, 2), {"dtypes": WIDE, "order": 0}),
            ((3, 2, 2), {"dtypes": WIDE, "order": 0}),
        )
    ),
    *(
        Example(m.polar, [well_conditioned(*shape)], dtypes=DTYPES, scale=100, id=_named(shape))
        for shape in ((3, 3), (4, 2), (2, 2, 2), (0, 3, 2), (2, 0))
    ),
    Example(m.polar, [2 * np.eye(3)], dtypes=("float64", "complex128"), scale=100, id="equal"),
    _tridiagonal_solve((4,), 2),
    _tridiagonal_solve((2, 3), 1),
    _tridiagonal_solve((1,), 2),
    _tridiagonal_solve((0, 3), 1),
    _tridiagonal_solve((0,), 1),
    _tridiagonal_solve((3,), 0),
    Example(
        tridiagonal.tridiagonal_solve,
        [F(4), _dominant(4), F(4), F(4, 2)],
        {"perturb_singular": True},
        dtypes=DTYPES,
        scale=100,
        id="perturbed",
        skip=SKIP,
    ),
    *(
        Example(
            tridiagonal.tridiagonal,
            [symmetric(*shape)],
            {"lower": lower},
            dtypes=DTYPES,
            order=0,
            id=_named(shape) + "lower" * lower,
            skip=SKIP,
        )
        for shape in ((3, 3), (2, 2, 2), (1, 1), (0, 2, 2))
        for lower in (True, False)
    ),
    *(
        Example(schur.hessenberg, [F(*shape)], dtypes=DTYPES, order=0, id=_named(shape), skip=SKIP)
        for shape in ((3, 3), (2, 2, 2), (1, 1), (0, 2, 2), (0, 0))
    ),
    *(
        Example(
            schur.schur,
            [_real_eigenvalues(*shape)],
            {"compute_schur_vectors": True, "sort_eig_vals": False, "select_callable": None},
            dtypes=DTYPES,
            smooth=False,  # phases and signs are any: test_scipy_decompositions
            id=_named(shape),
            skip=SKIP,
        )
        for shape in ((3, 3), (2, 2, 2), (1, 1), (0, 2, 2), (0, 0))
    ),
    *(
        Example(
            schur.commutator_solve,
            [_upper(*shape), F(*shape)],
            {"transposed": transposed},
            directions=[triangular(*shape, lower=False), F(*shape)],
            dtypes=DTYPES,
            scale=1000,
            id=_named(shape) + "transposed" * transposed,
        )
        for shape in ((3, 3), (2, 4, 4), (1, 1), (0, 2, 2), (0, 0))
        for transposed in (False, True)
    ),
    *(
        Example(
            updates.cholesky_update,
            [triangular(*shape, lower=False), F(*shape[:-1])],
            dtypes=WIDE,
            scale=100,
            id=_named(shape),
            skip=SKIP,
        )
        for shape in ((3, 3), (2, 2, 2), (1, 1), (0, 2, 2), (0, 0))
    ),
    *(
        Example(
            updates.symmetric_product,
            [F(*a), positive_definite(*a[:-1], a[-2])],
            {"alpha": 1.5, "beta": 0.5},
            dtypes=("float16", "bfloat16", *WIDE),
            id=_named(a),
            skip=SKIP,
        )
        for a in ((3, 2), (2, 2, 3), (0, 2, 2), (2, 0))
    ),
]
