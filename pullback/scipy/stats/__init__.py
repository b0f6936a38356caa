"""Probability distributions: `jax.scipy.stats`."""

from . import norm as norm
