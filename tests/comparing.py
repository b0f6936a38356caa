"""How tests compare trees of arrays."""

from __future__ import annotations

import numpy as np

import pullback as pb


def close(found, wanted, tolerance):
    """The same arrays up to an error of `tolerance`, relative and absolute."""
    for x, y in zip(pb.tree.leaves(found), pb.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), tolerance, tolerance)
