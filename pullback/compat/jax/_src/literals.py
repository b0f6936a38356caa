"""`jax._src.literals`: arrays with a type of JAX's own; nothing here makes any."""

import numpy as np


class TypedNdArray:
    """In JAX an array that a program keeps as a constant; here those are Arrays."""

    def __init__(self, value: np.ndarray, weak_type: bool = False) -> None:
        self.val, self.weak_type = value, weak_type


class TypedInt(int):
    """In JAX an int with a dtype; nothing here makes any."""


class TypedFloat(float):
    """In JAX a float with a dtype; nothing here makes any."""


class TypedComplex(complex):
    """In JAX a complex number with a dtype; nothing here makes any."""
