"""Examples of pullback/ops/incomplete.py; ends and digits are in test_incomplete.py."""

from __future__ import annotations

import numpy as np

from pullback.ops import incomplete as inc

from .base import Example, between, positive

AT_LARGE = {"lower": "its formula cancels; test_incomplete tests the digits"}
AB = (positive(4), positive(4))
LARGE = (np.array([30.0, 60.0, 90.0]), between(40, 70, 3))
LARGE_BETA = (np.array([30.0, 60.0, 90.0]), between(40, 70, 3), between(0.3, 0.5, 3))
NONZERO = np.array([0.5, -2.0, 3.0])

EXAMPLES = [
    Example(inc.zero_times, [NONZERO, between(1, 2, 3)]),
    Example(inc.zero_times, [np.zeros(2), np.array([np.inf, 1.0])], order=0, id="zero"),
    Example(inc.zero_over, [NONZERO, between(1, 2, 3)]),
    Example(inc.zero_over, [np.zeros(2), np.array([0.0, 1.0])], order=0, id="zero"),
    Example(inc.igamma, [positive(6), positive(6)], scale=1e3),
    Example(inc.igamma, [positive(), positive(3)], scale=1e3, id="scalar"),
    Example(inc.igamma, [np.array([30.0, 60.0, 150.0]), between(40, 100, 3)], id="large"),
    Example(inc.igammac, [positive(6), positive(6)], scale=1e3),
    Example(inc.gamma_density, [positive(6), positive(6)], scale=1e4),
    Example(inc.gamma_density, LARGE, id="large", skip=AT_LARGE),
    Example(inc.gamma_density_slope, [positive(6), positive(6)], scale=1e4),
    Example(inc.gamma_log_density, [positive(6), positive(6)], scale=1e4),
    Example(inc.gamma_log_density, LARGE, id="large", skip=AT_LARGE),
    Example(inc.igamma_grad_a, [positive(6), positive(6)], order=1, scale=1e3),
    Example(inc.random_gamma_grad, [positive(6), positive(6)], order=1, scale=1e3),
    Example(inc.log_igamma, [positive(6), positive(6)], scale=1e4),
    Example(inc.log_igammac, [positive(6), positive(6)], scale=1e4),
    Example(inc.gamma_curvature, [positive(6), positive(6)], order=0),
    Example(inc.regularized_incomplete_beta, [*AB, between(0.1, 0.9, 4)], scale=1e4),
    Example(inc.regularized_incomplete_beta_complement, [*AB, between(0.1, 0.9, 4)], scale=1e4),
    Example(inc.betainc_derivative, [*AB, between(0.1, 0.9, 4)], {"orders": (1, 0)}, order=1),
    Example(inc.betainc_derivative, [*AB, between(0.1, 0.9, 4)], {"orders": (0, 1)}, order=1),
    Example(inc.betainc_derivative, [*AB, between(0.1, 0.9, 4)], {"orders": (1, 1)}, order=0),
    Example(inc.beta_density, [*AB, between(0.2, 0.8, 4)], scale=1e4),
    Example(inc.beta_density, LARGE_BETA, id="large", scale=1e4, skip=AT_LARGE),
    Example(inc.beta_density_slope, [*AB, between(0.2, 0.8, 4)], scale=1e5),
    Example(inc.beta_log_density, [*AB, between(0.2, 0.8, 4)], scale=1e4),
]
