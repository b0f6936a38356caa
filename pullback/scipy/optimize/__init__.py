"""Minimisation: `jax.scipy.optimize`."""

from .methods import OptimizeResults as OptimizeResults
from .methods import minimize as minimize
