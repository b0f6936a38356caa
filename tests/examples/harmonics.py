"""Examples of pullback/ops/harmonics.py."""

from __future__ import annotations

import numpy as np

from pullback.ops import harmonics as h

from .base import Example, between

DEGREES, ORDERS = np.array([0.0, 2, 2, 3, 5]), np.array([0.0, 1, -2, 0, 3])
COMPLEX = ("complex64", "complex128")

EXAMPLES = [
    Example(h.bessel_j, [between(-5, 5, 4)], {"order": 0}),
    Example(h.bessel_j, [between(-5, 5, 4)], {"order": 3}),
    Example(h.spherical_legendre, [DEGREES, ORDERS, between(0.2, 3, 5)], order=0),
    Example(h.complex_loggamma, [between(0.5, 3, 4)], dtypes=COMPLEX, scale=1e4),
    Example(h.complex_polygamma, [between(0.5, 3, 4)], {"order": 1}, dtypes=COMPLEX, scale=1e6),
]
