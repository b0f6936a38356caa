"""Kinds of memory: `jax.memory`."""

from .core.placing import Space as Space
