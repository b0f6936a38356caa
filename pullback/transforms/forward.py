"""Forward mode: carry a tangent beside each value.

`DualTrace` is what forward and reverse mode share: both run a primitive's forward rule. Where its
tangent part runs is the whole difference: here in the surrounding trace, in reverse mode on a tape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..core.array import HostArray, Tracer
from ..core.trace import Trace, state, type_of
from ..core.types import ArrayType
from ..ops.elementwise import mul

NO_PARAMS: dict[str, Any] = {}


def jvp(
    function: Callable[..., Sequence[Any]],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    of: Any = None,
) -> tuple[list[Any], list[Any]]:
    """Values of `function(*primals)` and their tangents (None: zero). Flat lists in and out."""
    surrounding = state.trace
    trace = make.trace(surrounding, of)
    state.trace = trace
    try:
        inputs = [x if t is None else DualTracer(trace, x, t) for x, t in zip(primals, tangents)]
        return trace.split(function(*inputs))
    finally:
        state.trace = surrounding
        trace.alive = False


class DualTracer(Tracer):
    """A value with its tangent."""

    __slots__ = ("dtype", "primal", "tangent")
    # Read several times in each operation: a slot takes 0.02 us, asking the primal 0.06.
    dtype: Any

    def __init__(self, trace: DualTrace, primal: Any, tangent: Any) -> None:
        self.owner, self.primal, self.tangent = trace, primal, tangent
        self.dtype = primal.dtype

    @property
    def aval(self) -> ArrayType:
        """Shape, dtype and weakness of the primal."""
        return type_of(self.primal)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.primal.shape  # type: ignore[no-any-return]

    def known(self) -> Any:
        """The primal's value where it is known."""
        return known_value(self.primal)


class DualTrace(Trace):
    """An operation on a value with a tangent gives a value with a tangent.

    The primal is done in the surrounding trace; the tangent under the trace `tangents`.
    """

    __slots__ = ("tangents",)
    tangents: Any

    def process(self, primitive: Any, args: Any, params: Any) -> Any:
        """The primitive's forward rule where a tangent comes in, else the primitive itself."""
        if primitive.slope is not None:
            return self._scale(primitive, args[0], params)
        parent = self.parent
        if len(args) == 2:  # written out: it is most calls
            x, y = args
            own_x = type(x) is DualTracer and x.owner is self
            own_y = type(y) is DualTracer and y.owner is self
            active = own_x or own_y
            primals = [x.primal if own_x else x, y.primal if own_y else y]
            tangents = [x.tangent if own_x else None, y.tangent if own_y else None]
        else:
            own = [type(a) is DualTracer and a.owner is self for a in args]
            active = True in own
            primals = [a.primal if mine else a for a, mine in zip(args, own)]
            tangents = [a.tangent if mine else None for a, mine in zip(args, own)]
        if not active:
            return parent.process(primitive, args, params)
        if primitive.own_forward or primitive.multiple_results:
            return self._forward(primitive, primals, tangents, params)
        out = parent.process(primitive, primals, params)
        current = state.trace
        state.trace = self.tangents
        try:
            tangent = primitive.jvp(primals, tangents, out, **params)
        finally:
            state.trace = current
        return out if tangent is None else self.dual(out, tangent)

    def _forward(self, primitive: Any, primals: Any, tangents: Any, params: Any) -> Any:
        out, tangent = primitive.forward(self, primals, tangents, params)
        if primitive.multiple_results:
            return [y if t is None else self.dual(y, t) for y, t in zip(out, tangent, strict=True)]
        return out if tangent is None else self.dual(out, tangent)

    def _scale(self, primitive: Any, x: Any, params: Any) -> Any:
        parent = self.parent
        if type(x) is not DualTracer or x.owner is not self:
            return parent.process(primitive, (x,), params)
        out = parent.process(primitive, (x.primal,), params)
        current = state.trace
        state.trace = parent
        try:
            slope = primitive.slope(out, x.primal, **params)
        finally:
            state.trace = current
        return out if slope is None else DualTracer(self, out, self.product(x.tangent, slope))

    def dual(self, out: Any, tangent: Any) -> DualTracer:
        """`out` with what a rule gave as its tangent."""
        raise NotImplementedError

    def product(self, tangent: Any, slope: Any) -> Any:
        """The tangent `mul(tangent, slope)`."""
        raise NotImplementedError

    def split(self, outputs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """The primals of `outputs`, and their tangents (None: zero)."""
        primals, tangents = [], []
        for y in outputs:
            own = type(y) is DualTracer and y.owner is self
            primals.append(y.primal if own else y)
            tangents.append(y.tangent if own else None)
        return primals, tangents


class JVPTrace(DualTrace):
    """Forward mode: tangents are computed at once, in the surrounding trace."""

    __slots__ = ()
    verb = "jvp"

    def __init__(self, parent: Trace, of: Any = None) -> None:
        super().__init__(parent, of)
        self.tangents = parent

    def dual(self, out: Any, tangent: Any) -> DualTracer:
        return DualTracer(self, out, tangent)

    def product(self, tangent: Any, slope: Any) -> Any:
        return self.parent.process(mul, (tangent, slope), NO_PARAMS)


class Make:
    """What `jvp` makes. Modes that few use put something else in its place: see modes."""

    __slots__ = ("trace",)

    def __init__(self) -> None:
        self.trace: Callable[..., DualTrace] = JVPTrace


make = Make()


def known_value(x: Any) -> Any:
    """`x` if it has a value, what a tracer knows of it, or None."""
    if isinstance(x, Tracer):
        return x.known()
    state.looks += 1
    return x if isinstance(x, HostArray) else HostArray(x)
