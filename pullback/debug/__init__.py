"""Looking into functions while they are transformed: print, callback and breakpoint at run time."""

from .breakpoints import breakpoint_ as breakpoint  # noqa: A004
from .callbacks import callback as callback
from .printing import print_ as print  # noqa: A004

__all__ = ["breakpoint", "callback", "print"]
