"""Vectorise: carry, beside each value, which of its axes is the mapped one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

from ..core.array import Tracer
from ..core.program import sub_programs
from ..core.trace import Trace, state, type_of
from ..core.types import ArrayType


def vmap(
    function: Callable[..., Sequence[Any]],
    size: int,
    args: Sequence[Any],
    axes: Sequence[int | None],
    axis_name: Any = None,
    of: Any = None,
    tag: Any = None,
) -> tuple[list[Any], list[int | None]]:
    """`function` over the given axes of `args` at once; results and the axis each is mapped on.

    With the `tag` of another run, this one is a part of it: what is mapped there is mapped here.
    """
    surrounding, named = state.trace, state.axes
    trace = BatchTrace(surrounding, size, axis_name, of, tag)
    if axis_name is not None:
        state.axes = {**named, axis_name: size}
    state.trace = trace
    try:
        inputs = [x if axis is None else BatchTracer(trace, x, axis) for x, axis in zip(args, axes)]
        return trace.split(function(*inputs))
    finally:
        state.trace, state.axes = surrounding, named
        trace.alive = False


class BatchTracer(Tracer):
    """One element, as the function sees it, of a value with a mapped axis."""

    __slots__ = ("axis", "dtype", "value")
    dtype: Any

    def __init__(self, trace: BatchTrace, value: Any, axis: int) -> None:
        self.owner, self.value, self.axis = trace, value, axis
        self.dtype = value.dtype

    @property
    def aval(self) -> ArrayType:
        """Shape, dtype and weakness of one element."""
        return type_of(self.value).without_axis(self.axis)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis of one element."""
        shape, axis = self.value.shape, self.axis
        return shape[:axis] + shape[axis + 1 :]  # type: ignore[no-any-return]


class BatchTrace(Trace):
    """Every operation on a mapped value is done for all elements at once, by its vmap rule."""

    __slots__ = ("axis_name", "size", "tag")
    verb = "vmap"

    def __init__(
        self, parent: Trace, size: int, axis_name: Any = None, of: Any = None, tag: Any = None
    ) -> None:
        super().__init__(parent, of)
        self.size, self.axis_name = size, axis_name
        self.tag = object() if tag is None else tag

    def process(self, primitive: Any, args: Any, params: Any) -> Any:
        """The primitive's vmap rule where a mapped value comes in, else the primitive itself."""
        tag = self.tag
        values: list[Any]
        axes: list[int | None]
        if len(args) == 2:  # written out, as in DualTrace
            x, y = args
            own_x = type(x) is BatchTracer and x.owner.tag is tag
            own_y = type(y) is BatchTracer and y.owner.tag is tag
            mapped = own_x or own_y
            values = [x.value if own_x else x, y.value if own_y else y]
            axes = [x.axis if own_x else None, y.axis if own_y else None]
        else:
            own = [type(a) is BatchTracer and a.owner.tag is tag for a in args]
            mapped = True in own
            values = [a.value if mine else a for a, mine in zip(args, own)]
            axes = [a.axis if mine else None for a, mine in zip(args, own)]
        if not mapped and not (
            # Only these can be collectives, or hold some, or close over mapped values.
            (primitive.multiple_results or self.axis_name is not None)
            and self.owns(primitive, params)
        ):
            return self.parent.process(primitive, args, params)
        if primitive.own_batch or primitive.multiple_results:
            return self._batch(primitive, values, axes, params)
        current = state.trace
        state.trace = self.parent
        try:
            out, axis = primitive.vmap(self.size, values, axes, **params)
        finally:
            state.trace = current
        return out if axis is None else BatchTracer(self, out, axis)

    def _batch(self, primitive: Any, values: Any, axes: Any, params: Any) -> Any:
        out, axis = primitive.batch(self, values, axes, params)
        if primitive.multiple_results:
            return [
                y if d is None else BatchTracer(self, y, d) for y, d in zip(out, axis, strict=True)
            ]
        return out if axis is None else BatchTracer(self, out, axis)

    def owns(self, primitive: Any, params: Any) -> bool:
        """Whether this is a collective operation over the axis of this vmap, or may contain one.

        A function with rules of its own may also close over mapped values.
        """
        name, call = self.axis_name, params.get("call")
        if callable(call):
            return name is not None or _closes_over(call, self.tag)
        return name is not None and _uses_axis(params, name)

    def split(self, outputs: Sequence[Any]) -> tuple[list[Any], list[int | None]]:
        """The values of `outputs`, and the axis each is mapped on."""
        own = [type(y) is BatchTracer and y.owner.tag is self.tag for y in outputs]
        return (
            [y.value if mine else y for y, mine in zip(outputs, own, strict=True)],
            [y.axis if mine else None for y, mine in zip(outputs, own, strict=True)],
        )


def _closes_over(function: Any, tag: Any) -> bool:
    """Whether a mapped value of the run `tag` is found in what `function` closes over."""
    seen: set[int] = set()
    rest: list[Any] = [function]
    while rest and len(seen) < 1000:
        x = rest.pop()
        if id(x) in seen or isinstance(x, (type, ModuleType, str)):
            continue
        seen.add(id(x))
        if type(x) is BatchTracer and x.owner.tag is tag:
            return True
        if isinstance(x, Tracer):
            rest += [getattr(x, name, None) for name in ("primal", "value")]
        elif isinstance(x, FunctionType):
            rest += [c.cell_contents for c in x.__closure__ or () if c != CellType()]
            rest += x.__defaults__ or ()
        elif isinstance(x, (tuple, list)):
            rest += x
        elif isinstance(x, dict):
            rest += x.values()
        elif isinstance(x, (MethodType, partial)):
            rest += x.__reduce__()[1:] if isinstance(x, partial) else [x.__func__, x.__self__]
        elif hasattr(x, "__dict__"):
            rest += vars(x).values()
    return False


def _uses_axis(params: Any, name: Any) -> bool:
    return name in params.get("axis_names", ()) or any(
        _uses_axis(eq.params, name) for program in sub_programs(params) for eq in program.eqns
    )
