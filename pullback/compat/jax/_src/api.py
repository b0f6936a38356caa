"""`jax._src.api`: the transformations."""

from pullback.api import grad as grad
from pullback.api import jvp as jvp
from pullback.api import linearize as linearize
from pullback.api import value_and_grad as value_and_grad
from pullback.api import vjp as vjp
from pullback.jacobians import hessian as hessian
from pullback.jacobians import jacfwd as jacfwd
from pullback.jacobians import jacrev as jacrev
from pullback.jit import ShapeDtypeStruct as ShapeDtypeStruct
from pullback.jit import eval_shape as eval_shape
from pullback.jit import jit as jit
from pullback.jit import make_jaxpr as make_jaxpr
from pullback.linear import linear_transpose as linear_transpose
from pullback.mapping import vmap as vmap
from pullback.parallel_mapping import pmap as pmap
from pullback.placement import block_until_ready as block_until_ready
from pullback.placement import device_get as device_get
from pullback.placement import device_put as device_put
