"""`jax.ops`: reductions over segments."""

from pullback.segments import segment_max as segment_max
from pullback.segments import segment_min as segment_min
from pullback.segments import segment_prod as segment_prod
from pullback.segments import segment_sum as segment_sum
