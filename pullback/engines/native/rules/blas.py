"""Products of large matrices by BLAS: the library that NumPy has loaded, or SciPy's."""

from __future__ import annotations

from ..text import Code
from .matrix_kernels import Product

WORTH_IT = 1 << 22


def pays(p: Product) -> bool:
    return False


def arguments(p: Product) -> None:
    return None


def write(code: Code, p: Product, a: str, b: str, c: str) -> None:
    raise NotImplementedError
