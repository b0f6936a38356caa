"""All operations, by primitive."""

from __future__ import annotations

from ..site import Operations
from . import arithmetic, comparison, complex_numbers, conversion, powers, rounding

OPERATIONS: Operations = {
    **arithmetic.OPERATIONS,
    **comparison.OPERATIONS,
    **complex_numbers.OPERATIONS,
    **conversion.OPERATIONS,
    **powers.OPERATIONS,
    **rounding.OPERATIONS,
}
