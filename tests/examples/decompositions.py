"""Examples of pullback/ops/spectral.py and pullback/ops/eigen.py.

Vectors are not unique, so finite differences of complex ones, and of those that complete a basis,
mean nothing: test_decompositions compares functions that do not depend on the choice.
"""

from __future__ import annotations

import numpy as np

from pullback.ops import eigen, hermitian, spectral

from .base import COMPLEX, INEXACT, WIDE, Example, F, Spec, symmetric, well_conditioned

DTYPES = (*WIDE, *COMPLEX)
SKIP = {"jax": "jax asks for more parameters, and signs of vectors may differ"}
CHOICE = {"smooth": False, "skip": SKIP}


def _svd(*shape, full=False, uv=True, subset=None, dtypes=DTYPES, **options):
    return Example(
        spectral.svd,
        [well_conditioned(*shape)],
        {"full_matrices": full, "compute_uv": uv, "subset_by_index": subset},
        dtypes=dtypes,
        scale=1000,
        id="x".join(map(str, shape)) + "full" * full + "uv" * uv + (str(subset) if subset else ""),
        **({"skip": SKIP} | options),
    )


def _apart(*shape):
    """Hermitian matrices with eigenvalues well apart."""

    def make(rng, shape, dtype):
        a = rng.normal(size=shape)
        a = a + 1j * rng.normal(size=shape) if dtype.kind == "c" else a
        q = np.linalg.qr(a)[0] if a.size else a
        w = np.linspace(-1.5, 2.5, shape[-1])
        return (q * w) @ np.conj(np.swapaxes(q, -1, -2))

    return Spec(shape, make)


def _eigh(*shape, lower=True, subset=None, dtypes=DTYPES, **options):
    return Example(
        eigen.eigh,
        [_apart(*shape)],
        {"lower": lower, "sort_eigenvalues": True, "subset_by_index": subset},
        dtypes=dtypes,
        directions=[symmetric(*shape)],
        scale=1000,
        id="x".join(map(str, shape)) + "upper" * (not lower) + (str(subset) if subset else ""),
        **({"skip": SKIP} | options),
    )


def _general(*shape):
    """Matrices with eigenvalues well apart, of real ones some in pairs."""

    def make(rng, shape, dtype):
        a = 0.3 * rng.normal(size=shape)
        a = a + 0.3j * rng.normal(size=shape) if dtype.kind == "c" else a
        n = shape[-1]
        a = a + np.diag(np.arange(n) * 1.5)
        if n > 1:
            a[..., 0, 1] += 2.0
            a[..., 1, 0] -= 1.0
        return a

    return Spec(shape, make)


def _eig(*shape, left=True, right=True, **options):
    return Example(
        eigen.eig,
        [_general(*shape)],
        {"compute_left_eigenvectors": left, "compute_right_eigenvectors": right},
        dtypes=DTYPES,
        scale=1000,
        id="x".join(map(str, shape)) + "left" * left + "right" * right,
        **({"skip": SKIP} | options),
    )


def _tridiagonal(n, *stack):
    diagonal = Spec(
        (*stack, n), lambda rng, shape, _: np.arange(n) * 1.5 + 0.2 * rng.normal(size=shape)
    )
    return Example(
        eigen.eigh_tridiagonal,
        [diagonal, F(*stack, max(n - 1, 0))],
        dtypes=WIDE,
        scale=1000,
        id="x".join(map(str, (*stack, n))),
    )


EXAMPLES = [
    *(
        Example(hermitian.hermitian_part, [F(*shape)], dtypes=INEXACT, linear_in=(0,))
        for shape in ((3, 3), (2, 2, 2), (0, 0))
    ),
    *(
        _svd(*shape, uv=False)
        for shape in ((3, 3), (2, 3), (3, 2), (2, 2, 2), (0, 2, 2), (1, 1), (0, 2))
    ),
    *(_svd(*shape, dtypes=WIDE) for shape in ((3, 3), (2, 3), (3, 2), (2, 2, 2), (0, 2, 2))),
    _svd(3, 2, dtypes=COMPLEX, **CHOICE),
    _svd(3, 2, full=True, **CHOICE),
    _svd(2, 3, full=True, **CHOICE),
    _svd(0, 2, full=True, **CHOICE),
    _svd(3, 3, full=True, dtypes=WIDE),
    _svd(4, 3, subset=(1, 3), dtypes=WIDE),
    _svd(3, 3, uv=False, subset=(0, 2)),
    *(
        Example(
            spectral.pinv,
            [well_conditioned(*shape), np.full(shape[:-2], 1e-6)],
            {"hermitian": False},
            dtypes=("float64",) if shape[:-2] else WIDE,
            directions=[F(*shape), Spec(shape[:-2], lambda rng, shape, _: np.zeros(shape))],
            scale=100,
            id="x".join(map(str, shape)),
        )
        for shape in ((3, 3), (4, 2), (2, 3), (2, 3, 2), (0, 2, 2), (0, 2))
    ),
    Example(
        spectral.pinv,
        [_apart(3, 3), np.float64(1e-6)],
        {"hermitian": True},
        dtypes=("float64",),
        directions=[F(3, 3), Spec((), lambda rng, shape, _: np.zeros(shape))],
        scale=100,
        id="hermitian",
    ),
    *(
        Example(
            spectral.lstsq,
            [well_conditioned(*shape), F(*shape[:-1], 2), np.full(shape[:-2], 1e-6)],
            dtypes=("float64",),
            directions=[
                F(*shape),
                F(*shape[:-1], 2),
                Spec(shape[:-2], lambda rng, shape, _: np.zeros(shape)),
            ],
            scale=100,
            id="x".join(map(str, shape)),
        )
        for shape in ((3, 3), (4, 2), (2, 3), (2, 3, 2), (0, 2, 2))
    ),
    *(_eigh(*shape, dtypes=WIDE) for shape in ((3, 3), (2, 2, 2), (1, 1), (0, 2, 2), (0, 0))),
    _eigh(3, 3, dtypes=COMPLEX, **CHOICE),
    _eigh(3, 3, lower=False, dtypes=WIDE),
    _eigh(4, 4, subset=(1, 3), dtypes=WIDE),
    _eigh(3, 3, subset=(2, 2), dtypes=WIDE),
    _eig(3, 3),
    _eig(3, 3, left=False, right=False),
    _eig(2, 3, 3, left=False),
    _eig(3, 3, right=False),
    _eig(0, 3, 3),
    _eig(0, 0),
    _tridiagonal(4),
    _tridiagonal(3, 2),
    _tridiagonal(1),
    _tridiagonal(0),
    _tridiagonal(3, 0),
]
