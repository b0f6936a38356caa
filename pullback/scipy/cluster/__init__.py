"""Clusters of points: `jax.scipy.cluster`."""

from ...core.lazy import submodules

__getattr__, __dir__ = submodules(__name__, ["vq"])
