"""Solvers for large linear systems: `jax.scipy.sparse`. Sparse arrays: pullback.experimental."""

from . import linalg as linalg
