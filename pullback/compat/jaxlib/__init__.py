"""A stand-in for `jaxlib` where it is not installed: libraries compare its version with jax's."""

from .version import __version__ as __version__
