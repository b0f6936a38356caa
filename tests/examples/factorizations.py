"""Examples of pullback/ops/factorizations.py."""

from __future__ import annotations

import numpy as np

from pullback.ops import factorizations as f

from .base import COMPLEX, WIDE, Example, F, well_conditioned

DTYPES = (*WIDE, *COMPLEX)
SKIP = {"jax": "jax's own primitive asks for more parameters; test_decompositions compares"}


def _qr(*shape, full=False, pivoting=False, **options):
    return Example(
        f.qr,
        [well_conditioned(*shape)],
        {"pivoting": pivoting, "full_matrices": full},
        dtypes=DTYPES,
        scale=100,
        skip=SKIP,
        id="x".join(map(str, shape)) + "full" * full + "pivoting" * pivoting,
        **options,
    )


def _householder_product(a, k):
    stack = a[:-2]
    return Example(
        f.householder_product,
        [F(*a), F(*stack, k)],
        dtypes=DTYPES,
        scale=100,
        id="x".join(map(str, a)) + f",{k}",
        skip={"jax": "jax asks for a compiled call; test_decompositions compares"},
    )


def _ormqr(a, k, c, left, transpose):
    return Example(
        f.ormqr,
        [F(*a), F(*a[:-2], k), F(*c)],
        {"left": left, "transpose": transpose},
        dtypes=DTYPES,
        linear_in=(2,),
        scale=1000,
        id="x".join(map(str, a)) + f",{k}" + "left" * left + "transpose" * transpose,
        skip={"jax": "jax asks for a compiled call; test_decompositions compares"},
    )


EXAMPLES = [
    _qr(3, 3),
    _qr(4, 2),
    _qr(2, 4),
    _qr(4, 2, full=True),
    _qr(2, 3, full=True),
    _qr(2, 3, 2),
    _qr(1, 1),
    _qr(0, 2),
    _qr(2, 0, full=True),
    _qr(0, 3, 2),
    _qr(4, 3, pivoting=True),
    _qr(2, 3, full=True, pivoting=True),
    *(
        Example(
            f.geqrf,
            [well_conditioned(*shape)],
            dtypes=DTYPES,
            scale=100,
            skip=SKIP,
            id="x".join(map(str, shape)),
        )
        for shape in ((4, 2), (2, 3), (2, 2, 2), (0, 2), (0, 3, 2))
    ),
    Example(
        f.geqrf,
        [np.eye(3) * 2 + 0.5],
        dtypes=("float64",),
        scale=100,
        skip=SKIP,
        id="square",
    ),
    _householder_product((4, 2), 2),
    _householder_product((4, 3), 1),
    _householder_product((2, 3, 3), 3),
    _householder_product((2, 0), 0),
    _householder_product((0, 3, 2), 2),
    *(
        _ormqr((4, 2), 2, (4, 3) if left else (3, 4), left, transpose)
        for left in (False, True)
        for transpose in (False, True)
    ),
    _ormqr((2, 3, 3), 3, (2, 3, 1), True, False),
    _ormqr((2, 4), 2, (2, 2), True, True),
    _ormqr((0, 3, 2), 2, (0, 3, 1), True, True),
]
