"""Points and rotations of space: `jax.scipy.spatial`."""

from ...core.lazy import submodules

__getattr__, __dir__ = submodules(__name__, ["transform"])
