"""Examples of pullback/ops/special.py; derivatives in one argument only are in test_special.py."""

from __future__ import annotations

import numpy as np

from pullback.ops import special as s

from .base import Example, F, between, positive, unit

INF, NAN = np.inf, np.nan
EDGES = np.array([0.0, -0.0, 1.0, -1.0, INF, -INF, NAN])
NEAR_0 = np.array([0.0, 1e-20, 1e-300, 30.0])
POLES = {"jax": "JAX has nan at poles, SciPy and we infinity"}
LAST_ONLY = {"order": 0}


def _each(op, spec, *, scale=1.0, edges=None):
    return [
        Example(op, [spec], scale=scale),
        Example(op, [EDGES], order=0, skip=edges, id="edges"),
    ]


EXAMPLES = [
    *_each(s.erf, F(2, 3)),
    *_each(s.erfc, F(2, 3)),
    *_each(s.erf_inv, unit(2, 3), scale=1e5),
    Example(s.erf_inv, [between(0.995, 0.9999, 40)], dtypes=("float32",), order=0, id="tail"),
    Example(s.erf_inv, [unit(20000)], dtypes=("float32",), order=0, id="blocks"),
    *_each(s.lgamma, positive(2, 3), scale=1e3, edges={"jax": "at 1 JAX has 5e-7, not 0"}),
    Example(s.lgamma, [between(-2.7, -2.3, 3)], scale=1e4, id="negative"),
    *_each(s.digamma, positive(2, 3), scale=1e4, edges=POLES),
    Example(s.digamma, [between(-2.7, -2.3, 3)], scale=1e5, id="negative"),
    Example(s.polygamma, [np.array([0.0, 1, 2, 5]), positive(4)], **LAST_ONLY),
    Example(s.polygamma, [np.array(1.0), positive(2, 3)], id="scalar", **LAST_ONLY),
    Example(s.gamma_function, [positive(2, 3)], scale=1e5),
    Example(s.gamma_function, [between(-2.7, -2.3, 3)], scale=1e5, id="negative"),
    Example(s.beta_function, [positive(4), positive(4)], scale=1e5),
    Example(s.zeta, [between(1.5, 4, 4), positive(4)], scale=1e5),
    Example(s.zeta_derivative, [between(1.5, 4, 4), positive(4)], {"order": 1}, scale=1e6),
    Example(s.zeta_derivative, [between(1.5, 4, 4), positive(4)], {"order": 2}, order=1, scale=1e6),
    *_each(s.bessel_i0e, F(2, 3)),
    *_each(s.bessel_i1e, F(2, 3)),
    Example(s.bessel_i1e, [NEAR_0], order=1, smooth=False, id="near-0"),
]
