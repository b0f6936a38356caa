"""Examples of pullback/ops/special_integrals.py."""

from __future__ import annotations

import numpy as np

from pullback.ops import special_integrals as s

from .base import Example, F, between, positive

WHOLE = np.array([0.0, 1.0, 2.0, 3.0])

EXAMPLES = [
    Example(s.erfcx, [between(-1.5, 3, 5)], scale=1e4),
    Example(s.erfcx, [np.array([7.5, 8.5, 30.0])], id="far"),
    Example(s.dawsn, [F(2, 3)], scale=1e3),
    Example(s.dawsn, [np.array([-20.0, -7.5, 8.5])], id="far"),
    Example(s.wofz, [F(4)], dtypes=("complex64", "complex128"), scale=1e5),
    Example(s.owens_t, [F(4), F(4)], scale=1e3),
    Example(s.expi, [positive(4)], scale=1e4),
    Example(s.expi, [between(-3, -0.5, 3)], id="negative", scale=1e4),
    Example(s.expn, [WHOLE, positive(4)], order=0),
    Example(s.sine_integral, [between(-4, 4, 5)]),
    Example(s.cosine_integral, [positive(4)], scale=1e3),
    Example(s.fresnel_s, [between(-2, 2, 4)], scale=1e5),
    Example(s.fresnel_c, [between(-2, 2, 4)], scale=1e5),
    Example(s.spence, [between(0.4, 3, 5)], scale=1e5),
    Example(s.binomial, [between(4, 6, 4), between(1, 3, 4)], scale=1e5),
    Example(s.poch, [positive(4), positive(4)], scale=1e7),
    Example(s.digamma_difference, [positive(4), positive(4)], scale=1e5),
    Example(s.digamma_difference, [np.array([-3.0, -3.0]), np.array([2.0, 0.0])], order=0,
            id="poles", skip={"lower": "the difference of two poles is nan"}),
]  # fmt: skip
