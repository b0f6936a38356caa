"""Traces as `jax.core` shows them: looking at the current one, changing it, writing one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ...core import array, trace
from ...core.program import RecordTrace
from ...core.trace import EVAL, inside, state
from ...core.types import ArrayType
from ...ops.structural import copy
from ...transforms.batch import BatchTrace
from .functions import WrappedFun, debug_info, wrap_init


class _AnyOf(type):
    """A class whose subclasses are written by users, and of which all of `of` are instances."""

    of: type

    def __instancecheck__(cls, instance: Any) -> bool:
        if "of" in vars(cls):
            return isinstance(instance, cls.of)
        return type.__instancecheck__(cls, instance)


class Tracer(array.Tracer, metaclass=_AnyOf):
    """What a user's own trace hands to the function: a value with the type `aval`.

    Every traced value of Pullback is an instance.
    """

    of = array.Tracer

    def __init__(self, owner: Any, aval: ArrayType | None = None) -> None:
        self.owner = owner
        if aval is not None:
            self._aval = aval

    @property
    def aval(self) -> ArrayType:
        """Shape, dtype and weakness."""
        return self._aval

    @aval.setter
    def aval(self, aval: ArrayType) -> None:
        self._aval = aval


class Trace(trace.Trace, metaclass=_AnyOf):
    """A user's own trace: `process_primitive(primitive, tracers, params)` meets each operation.

    Every trace of Pullback is an instance.
    """

    of = trace.Trace
    requires_low = True
    parent_trace: Any = None

    def __init__(self) -> None:
        self.parent, self.of_function, self.alive = None, None, True

    def process(self, primitive: Any, args: Any, params: Any) -> Any:
        """Hand the operation to the method that a subclass has for it."""
        with inside(EVAL):
            if "call" in params and ("jvp" in params or "fwd" in params):
                return self._process_custom(primitive, args, params)
            return self.process_primitive(primitive, args, params)

    def _process_custom(self, primitive: Any, args: Any, params: Any) -> Any:
        call = _wrapped(lambda *xs: primitive.run(xs, params))
        if "jvp" in params:
            rule = _wrapped(params["jvp"])
            return self.process_custom_jvp_call(primitive, call, rule, args, symbolic_zeros=False)
        fwd, bwd = _wrapped(params["fwd"]), _wrapped(params["bwd"])
        return self.process_custom_vjp_call(
            primitive, call, fwd, bwd, args, out_trees=None, symbolic_zeros=False
        )

    def process_primitive(self, primitive: Any, tracers: Any, params: Any) -> Any:
        """Do `primitive`; subclasses say how."""
        raise NotImplementedError("must override")

    def process_custom_jvp_call(
        self, primitive: Any, fun: Any, jvp: Any, tracers: Any, *, symbolic_zeros: Any
    ) -> Any:
        """Call a custom_jvp function; subclasses say how."""
        raise NotImplementedError(f"{type(self)} must override process_custom_jvp_call")

    def process_custom_vjp_call(
        self,
        primitive: Any,
        fun: Any,
        fwd: Any,
        bwd: Any,
        tracers: Any,
        *,
        out_trees: Any,
        symbolic_zeros: Any,
    ) -> Any:
        """Call a custom_vjp function; subclasses say how."""
        raise NotImplementedError(f"{type(self)} must override process_custom_vjp_call")

    def stage_value(self, val: Any) -> Any:
        """A value from outside as this trace has it; subclasses say how."""
        raise NotImplementedError("must override")

    def stage(self, x: Any) -> Any:
        """A value that is made while this trace is current."""
        return self.stage_value(x)

    def invalidate(self) -> None:
        """The run is over: what it traced must not be used any more."""
        self.alive = False

    def is_valid(self) -> bool:
        """Whether the run goes on."""
        return self.alive

    @property
    def main(self) -> Any:
        """What two traces of one run have in common: the attribute `tag`."""
        return getattr(self, "tag", None)

    def describe(self) -> str:
        """The name of the class, for messages."""
        return type(self).__name__


def _wrapped(function: Callable[..., Any]) -> WrappedFun:
    return wrap_init(function, debug_info=debug_info("custom rule", function, (), {}))


class TraceTag:
    """Tells one run of a user's transformation from another; all of them are equal."""

    def __hash__(self) -> int:
        return hash(TraceTag)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TraceTag)


# ---- the current trace


@contextmanager
def take_current_trace() -> Iterator[Any]:
    """Give the current trace; none is current while the `with` lasts."""
    before = state.trace
    with inside(EVAL):
        yield before


@contextmanager
def set_current_trace(new: Any, check_leaks: bool = False) -> Iterator[None]:
    """`new` is the current trace while the `with` lasts."""
    with inside(EVAL if new is None else new):
        yield


@contextmanager
def eval_context() -> Iterator[None]:
    """No trace is current while the `with` lasts."""
    with inside(EVAL):
        yield


def find_top_trace(_: Any) -> Any:
    """The current trace."""
    return state.trace


class OpaqueTraceState:
    """Equal to another one that was taken under the same trace."""

    def __init__(self, current: Any) -> None:
        self._trace = current

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OpaqueTraceState) and self._trace is other._trace

    def __hash__(self) -> int:
        return id(self._trace)


def get_opaque_trace_state(convention: Any = None) -> OpaqueTraceState:
    """The state of tracing, to be compared with a later one."""
    return OpaqueTraceState(state.trace)


def trace_state_clean() -> bool:
    """Whether no transformation is going on."""
    return state.trace is EVAL and not state.axes


def surrounding() -> Iterator[Any]:
    """The current trace and those around it, from the inside out."""
    current = state.trace
    while current is not None:
        yield current
        current = current.parent_trace


def under_jit() -> bool:
    """Whether a program is being recorded."""
    return any(isinstance(t, RecordTrace) for t in surrounding())


def under_vmap() -> bool:
    """Whether a vmap is going on."""
    return any(isinstance(t, BatchTrace) for t in surrounding())


def axis_names() -> list[Any]:
    """The named axes in scope."""
    return list(state.axes)


def nonempty_axes() -> bool:
    """Whether a named axis is in scope."""
    return bool(state.axes)


def full_lower(x: Any) -> Any:
    """`x`: values here are never lifted without need."""
    return x


def staged(x: Any) -> Any:
    """`x` as the current trace has it: under jit a traced value."""
    return copy(x)


def is_concrete(x: Any) -> bool:
    """Whether the value of `x` is known."""
    return not isinstance(x, array.Tracer) or x.known() is not None


def to_concrete_value(x: Any) -> Any:
    """The value of `x` where it is known, else None."""
    return x.known() if isinstance(x, array.Tracer) else x
