"""All operations, by primitive."""

from __future__ import annotations

from ..site import Operations
from . import (
    arithmetic,
    bits,
    comparison,
    complex_numbers,
    conversion,
    functions,
    powers,
    rounding,
    special,
)

OPERATIONS: Operations = {
    **arithmetic.OPERATIONS,
    **bits.OPERATIONS,
    **comparison.OPERATIONS,
    **complex_numbers.OPERATIONS,
    **conversion.OPERATIONS,
    **functions.OPERATIONS,
    **powers.OPERATIONS,
    **rounding.OPERATIONS,
    **special.OPERATIONS,
}
