"""`jax._src.interpreters`: the same modules as `jax.interpreters`."""

from pullback.core.lazy import submodules as _submodules

__getattr__, __dir__ = _submodules(
    __name__, ("ad", "batching", "mlir", "partial_eval", "pxla", "xla")
)
