"""The Hermitian part of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.types import ArrayType
from .linalg import OfMatrices, check_inexact, check_square


class HermitianPart(OfMatrices):
    """(x + x^H) / 2: one operation, for it stands before every Cholesky factor and eigenvalue."""

    def typing(self, x: Any) -> ArrayType:
        check_square(self, x)
        check_inexact(self, x)
        return x

    def eval(self, x: Any) -> Any:
        turned = x.swapaxes(-1, -2)
        out = x + (turned.conj() if x.dtype.kind == "c" else turned)
        out *= 0.5 if out.dtype.kind in "fc" else np.asarray(0.5, out.dtype)
        return out

    def jvp(self, primals: Any, tangents: Any, out: Any) -> Any:
        return hermitian_part(tangents[0])

    def transpose(self, ct: Any, x: Any) -> list[Any]:
        return [hermitian_part(ct)]


hermitian_part = HermitianPart()
