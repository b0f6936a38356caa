"""What `accuracy` of elementary functions may be: accepted, and without effect on this engine."""

from __future__ import annotations

import enum

from ..core.errors import error


class AccuracyMode(enum.Enum):
    """How exactly an elementary function is computed. This engine always uses NumPy's functions."""

    HIGHEST = 1
    DEFAULT = 2


class Tolerance:
    """The error that an elementary function may have; this engine's is that of NumPy's functions.

    Args:
      atol: absolute.
      rtol: relative.
      ulps: in units of the last place.

    Raises:
      ValueError: one of them is negative.
    """

    def __init__(self, atol: float = 0.0, rtol: float = 0.0, ulps: int = 0) -> None:
        if atol < 0.0 or rtol < 0.0 or ulps < 0:
            raise error(
                ValueError,
                "tolerances must be non-negative.",
                got=f"atol={atol}, rtol={rtol}, ulps={ulps}",
                fix="give numbers of at least 0.",
            )
        self.atol, self.rtol, self.ulps = atol, rtol, ulps

    def __repr__(self) -> str:
        return f"Tolerance(atol={self.atol}, rtol={self.rtol}, ulps={self.ulps})"
