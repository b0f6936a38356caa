"""`jax.interpreters`: the rules of the transformations, and the programs they make."""

from pullback.core.lazy import submodules as _submodules

__getattr__, __dir__ = _submodules(
    __name__, ("ad", "batching", "mlir", "partial_eval", "pxla", "xla")
)
