"""Second derivatives as products with vectors, and estimates of traces and diagonals from them.

`hvp`, `gnvp` and `fisher_vp` linearize once and give an `Operator`: a matrix known by its products.
`trace` and `diagonal` take operators, or any function that multiplies by a square matrix.
"""

from .diagonals import hessian_diagonal as hessian_diagonal
from .estimators import Estimate as Estimate
from .estimators import diagonal as diagonal
from .estimators import trace as trace
from .products import Operator as Operator
from .products import fisher_vp as fisher_vp
from .products import gnvp as gnvp
from .products import hvp as hvp

__all__ = [
    "Estimate",
    "Operator",
    "diagonal",
    "fisher_vp",
    "gnvp",
    "hessian_diagonal",
    "hvp",
    "trace",
]
