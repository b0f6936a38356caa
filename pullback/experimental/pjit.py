"""pjit, which is `jit`: its old name from when the two were different."""

from ..jit import jit as pjit

__all__ = ["pjit"]
