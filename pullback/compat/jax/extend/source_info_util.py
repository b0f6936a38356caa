"""`jax.extend.source_info_util`: where an operation stands in the user's program.

Equations know the scopes around them; their `source_info` has no traceback.
"""

from pullback.compat.views.places import NameStack as NameStack
from pullback.compat.views.places import SourceInfo as SourceInfo
from pullback.compat.views.places import current as current
from pullback.compat.views.places import current_name_stack as current_name_stack
from pullback.compat.views.places import extend_name_stack as extend_name_stack
from pullback.compat.views.places import new_name_stack as new_name_stack
from pullback.compat.views.places import new_source_info as new_source_info
from pullback.compat.views.places import register_exclusion as register_exclusion
from pullback.compat.views.places import reset_name_stack as reset_name_stack
from pullback.compat.views.places import set_name_stack as set_name_stack
from pullback.compat.views.places import summarize as summarize
from pullback.compat.views.places import transform_name_stack as transform_name_stack
from pullback.compat.views.places import user_context as user_context
