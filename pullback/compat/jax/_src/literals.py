"""`jax._src.literals`: arrays and numbers with a type of JAX's own."""

import numpy as np

from pullback.core.literals import TypedComplex as TypedComplex
from pullback.core.literals import TypedFloat as TypedFloat
from pullback.core.literals import TypedInt as TypedInt


class TypedNdArray:
    """In JAX an array that a program keeps as a constant; here those are Arrays."""

    def __init__(self, value: np.ndarray, weak_type: bool = False) -> None:
        self.val, self.weak_type = value, weak_type
