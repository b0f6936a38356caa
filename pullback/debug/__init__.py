"""Looking into functions while they are transformed: print, callback and breakpoint at run time."""

from .breakpoints import breakpoint_ as breakpoint
from .callbacks import callback as callback
from .printing import print_ as print

__all__ = ["breakpoint", "callback", "print"]
