"""`jax.interpreters.pxla`: of JAX's compilation for many devices nothing is left here."""

from pullback.compat.moved import moved as _moved

__getattr__ = _moved(__name__, {}, {})
