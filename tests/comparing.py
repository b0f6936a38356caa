"""How tests compare trees of arrays."""

from __future__ import annotations

import numpy as np

import pullback as pb


def close(found, wanted, tolerance):
    """The same arrays up to an error of `tolerance`, relative and absolute."""
    for x, y in zip(pb.tree.leaves(found), pb.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), tolerance, tolerance)


def same(found, wanted):
    """Equal structures, dtypes and shapes; numbers of float32 up to an error of some steps."""
    assert pb.tree.structure(found) == pb.tree.structure(wanted)
    for x, y in zip(pb.tree.leaves(found), pb.tree.leaves(wanted), strict=True):
        assert (x.dtype, x.shape) == (y.dtype, y.shape)
        np.testing.assert_allclose(x, y, rtol=2e-5, atol=2e-5)
