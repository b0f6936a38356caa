"""`jax._src.traceback_util`: whose frames are a library's."""

from pullback.compat.views.places import SimplifiedTraceback as SimplifiedTraceback
from pullback.compat.views.places import UnfilteredStackTrace as UnfilteredStackTrace
from pullback.compat.views.places import api_boundary as api_boundary
from pullback.compat.views.places import include_filename as include_filename
from pullback.compat.views.places import include_frame as include_frame
from pullback.compat.views.places import register_exclusion as register_exclusion
from pullback.core.errors import hidden_paths as _exclude_paths

__all__ = [
    "SimplifiedTraceback",
    "UnfilteredStackTrace",
    "_exclude_paths",
    "api_boundary",
    "include_filename",
    "include_frame",
    "register_exclusion",
]
