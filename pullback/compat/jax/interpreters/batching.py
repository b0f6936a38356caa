"""`jax.interpreters.batching`: rules for vmap."""

from pullback.compat.moved import moved as _moved
from pullback.compat.views.batching import bdim_at_front as bdim_at_front
from pullback.compat.views.batching import broadcast as broadcast
from pullback.compat.views.batching import defbroadcasting as defbroadcasting
from pullback.compat.views.batching import defreducer as defreducer
from pullback.compat.views.batching import defvectorized as defvectorized
from pullback.compat.views.rules import axis_primitive_batchers as axis_primitive_batchers
from pullback.compat.views.rules import fancy_primitive_batchers as fancy_primitive_batchers
from pullback.compat.views.rules import primitive_batchers as primitive_batchers

__getattr__ = _moved(__name__, {}, {"NotMapped": "None", "not_mapped": "None"})
