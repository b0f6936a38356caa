"""`jax.extend.linear_util`: functions with transformations to come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback.compat.views import functions as _functions
from pullback.compat.views.functions import StoreException as StoreException
from pullback.compat.views.functions import WrappedFun as WrappedFun
from pullback.compat.views.functions import cache as cache
from pullback.compat.views.functions import merge_linear_aux as merge_linear_aux
from pullback.compat.views.functions import transformation as transformation
from pullback.compat.views.functions import transformation2 as transformation2
from pullback.compat.views.functions import transformation_with_aux as transformation_with_aux
from pullback.compat.views.functions import transformation_with_aux2 as transformation_with_aux2


def wrap_init(
    f: Callable[..., Any], params: dict[str, Any] | None = None, *, debug_info: Any = None
) -> WrappedFun:
    """`f`, with `params` as keyword arguments, as a WrappedFun without transformations."""
    info = debug_info or _functions.missing_debug_info("linear_util.wrap_init")
    return _functions.wrap_init(f, params, debug_info=info)
