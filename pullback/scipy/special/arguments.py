"""What special functions take: arrays of one float dtype and one shape."""

from __future__ import annotations

from typing import Any

from ...core import dtypes
from ...core.array import Array
from ...core.errors import error
from ...core.trace import type_of
from ...numpy.promotion import broadcast_together, promote_inexact, weak_scalar


def arrays(name: str, *xs: Any) -> list[Any]:
    """Arrays of one float or complex dtype and one shape; scalars are left."""
    first = xs[0]
    if isinstance(first, Array) and first.dtype.kind in "fc":
        plain = _plain(first, xs)
        if plain is not None:
            return plain
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


def _plain(first: Any, xs: Any) -> list[Any] | None:
    """`xs`, if they are arrays like the first one and Python numbers: what most calls have.

    The general way costs 15 us more for three arguments.
    """
    dtype, shape = first.dtype, first.shape
    out = []
    for x in xs:
        if type(x) is int or type(x) is float:
            x = weak_scalar(dtype, x)
        elif not isinstance(x, Array) or x.dtype != dtype or (x.shape != shape and x.shape):
            return None
        out.append(x)
    return out


def real(name: str, x: Any) -> Any:
    """As `reals`, of one array."""
    return reals(name, x)[0]
