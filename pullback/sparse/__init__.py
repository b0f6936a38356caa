"""Sparse Jacobians and Hessians: pattern from the program, colours, one product for each colour.

The matrices are those of scipy.sparse, or BCOO of `pullback.experimental.sparse`, which is about
sparse arrays themselves.
"""

from .colouring import Colouring as Colouring
from .colouring import colour_columns as colour_columns
from .colouring import coloured as coloured
from .derivatives import Plan as Plan
from .derivatives import hessian as hessian
from .derivatives import jacobian as jacobian
from .derivatives import pattern as pattern
from .drawing import Drawing as Drawing
from .drawing import spy as spy
from .symmetric import coloured_symmetric as coloured_symmetric
