"""What special functions take: arrays of one float dtype and one shape."""

from __future__ import annotations

from typing import Any

from ...core import dtypes
from ...core.errors import error
from ...core.trace import type_of
from ...numpy.promotion import broadcast_together, promote_inexact


def arrays(name: str, *xs: Any) -> list[Any]:
    """Arrays of one float or complex dtype and one shape; scalars are left."""
    return broadcast_together(name, *promote_inexact(name, *xs))


def reals(name: str, *xs: Any) -> list[Any]:
    """As `arrays`, and not complex."""
    found = arrays(name, *xs)
    if dtypes.kind(found[0].dtype) == "c":
        raise error(
            ValueError,
            f"{name} does not support complex-valued inputs.",
            got=", ".join(type_of(x).str_short() for x in found),
            fix="take the real part first.",
        )
    return found


def real(name: str, x: Any) -> Any:
    return reals(name, x)[0]
