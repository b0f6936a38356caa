"""`jax._src.api_util`."""

from pullback.compat.views.flat import argnums_partial as argnums_partial
from pullback.compat.views.flat import donation_vector as donation_vector
from pullback.compat.views.flat import flatten_axes as flatten_axes
from pullback.compat.views.flat import flatten_fun as flatten_fun
from pullback.compat.views.flat import flatten_fun_nokwargs as flatten_fun_nokwargs
from pullback.compat.views.flat import infer_argnums_and_argnames as infer_argnums_and_argnames
from pullback.compat.views.flat import rebase_donate_argnums as rebase_donate_argnums
from pullback.compat.views.flat import safe_map as safe_map
from pullback.compat.views.functions import debug_info as debug_info
from pullback.compat.views.programs import shaped_abstractify as shaped_abstractify
