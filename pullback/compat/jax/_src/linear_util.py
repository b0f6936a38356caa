"""`jax._src.linear_util`."""

from pullback.compat.views.functions import DebugInfo as DebugInfo
from pullback.compat.views.functions import EqualStore as EqualStore
from pullback.compat.views.functions import Store as Store
from pullback.compat.views.functions import StoreException as StoreException
from pullback.compat.views.functions import WrappedFun as WrappedFun
from pullback.compat.views.functions import cache as cache
from pullback.compat.views.functions import merge_linear_aux as merge_linear_aux
from pullback.compat.views.functions import transformation as transformation
from pullback.compat.views.functions import transformation2 as transformation2
from pullback.compat.views.functions import transformation_with_aux as transformation_with_aux
from pullback.compat.views.functions import transformation_with_aux2 as transformation_with_aux2
from pullback.compat.views.functions import wrap_init as wrap_init
