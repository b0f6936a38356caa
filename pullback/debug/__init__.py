"""Looking into functions while they are transformed: print, callback and breakpoint at run time."""

from . import provenance as provenance
from .breakpoints import breakpoint_ as breakpoint
from .callbacks import DebugEffect as DebugEffect
from .callbacks import OrderedDebugEffect as OrderedDebugEffect
from .callbacks import callback as callback
from .cotangents import breakpoint_backward as breakpoint_backward
from .cotangents import on_cotangent as on_cotangent
from .pictures import Drawing as Drawing
from .pictures import draw as draw
from .printing import log as log
from .printing import print_ as print
from .shardings import inspect_array_sharding as inspect_array_sharding
from .shardings import visualize_array_sharding as visualize_array_sharding
from .shardings import visualize_sharding as visualize_sharding

__all__ = [
    "DebugEffect",
    "Drawing",
    "OrderedDebugEffect",
    "breakpoint",
    "breakpoint_backward",
    "callback",
    "draw",
    "inspect_array_sharding",
    "log",
    "on_cotangent",
    "print",
    "visualize_array_sharding",
    "visualize_sharding",
]
