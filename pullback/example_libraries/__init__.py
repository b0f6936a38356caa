"""Small libraries made with Pullback: optimizers, and stax for neural networks."""

from ..core.lazy import submodules

__getattr__, __dir__ = submodules(__name__, ["optimizers", "stax"])
