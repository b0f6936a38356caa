"""Reductions by any associative function of two elements: over axes, and over windows.

What is done with the arrays is made of slices and the function on all their elements at once; under
a transformation the primitive becomes a call of the program of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.array import HostArray
from ..core.errors import error
from ..core.primitive import Linear, Method
from ..core.program import ClosedProgram, run_closed, trace_program
from ..core.trace import EVAL, host_array, inside, type_of
from ..core.types import ArrayType, array_type
from ..engines import numpy as numpy_engine
from ..ops import pooling
from ..ops.reduction import reduce_by_tree
from ..ops.slicing import pad, slice_along
from ..ops.structural import broadcast_in_dim, check_axes, reshape, to_front
from ..transforms import batch
from .call import ProgramPrimitive, jit_p


class Folding(ProgramPrimitive, family=True):
    """Arguments: the operands, then as many scalars to begin with. `jaxpr` combines two elements,
    given as all of the first, then all of the second.
    """

    transpose: Any = Method("record", "under a tape it is a call of the lowered program")

    def shape_of(self, x: ArrayType, params: Any) -> tuple[int, ...]:
        """The shape of the results."""
        raise NotImplementedError

    def composed(self, xs: list[Any], starts: list[Any], params: Any) -> list[Any]:
        """The same by other primitives."""
        raise NotImplementedError

    def typing(self, *types: Any, jaxpr: ClosedProgram, **params: Any) -> list[ArrayType]:
        xs, starts = types[: len(types) // 2], types[len(types) // 2 :]
        if not xs or len({t.shape for t in xs}) > 1 or any(t.shape for t in starts):
            raise error(
                TypeError,
                f"{self.name} needs operands of one shape, and a scalar for each.",
                got=", ".join(t.str_short() for t in types) or "nothing",
                fix="broadcast the operands; the initial values are scalars.",
            )
        self.check_inputs([t.update(shape=()) for t in xs] * 2, jaxpr.in_avals)
        shape = self.shape_of(xs[0], params)
        return [array_type(shape, t.dtype, t.weak_type) for t in xs]

    def eval(self, *xs: Any, **params: Any) -> Any:
        cache = params["jaxpr"].cache
        if (self, "evaluated") in cache:  # the second time: worth a program
            types = [array_type(x.shape, x.dtype, False) for x in xs]
            return numpy_engine.compiled(self.lowered_program(types, params))(*xs)
        cache[self, "evaluated"] = True
        n = len(xs) // 2
        arrays = [HostArray(x) for x in xs]
        with inside(EVAL):
            outs = self.composed(arrays[:n], arrays[n:], params)
        return [host_array(y)._value for y in outs]

    def lowered_program(self, types: Sequence[ArrayType], params: Any) -> ClosedProgram:
        jaxpr: ClosedProgram = params["jaxpr"]
        rest = tuple((k, v) for k, v in sorted(params.items()) if k != "jaxpr")
        key = (self, tuple(types), rest)
        if key not in jaxpr.cache:
            n = len(types) // 2

            def function(*xs: Any) -> list[Any]:
                return self.composed(list(xs[:n]), list(xs[n:]), params)

            jaxpr.cache[key] = trace_program(function, list(types))
        return jaxpr.cache[key]  # type: ignore[no-any-return]

    def call(self, args: Sequence[Any], params: Any) -> dict[str, Any]:
        """The parameters of a `jit` that does the same for these arguments."""
        types = [a.aval if type(a) is Linear else type_of(a) for a in args]
        return {"jaxpr": self.lowered_program(types, params), "name": self.name}

    def forward(self, trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
        return jit_p.forward(trace, primals, tangents, self.call(primals, params))

    def record(self, tape: Any, args: Any, params: Any) -> Any:
        return jit_p.record(tape, args, self.call(args, params))

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        types = [
            type_of(v) if at is None else type_of(v).without_axis(at)
            for v, at in zip(values, axes, strict=True)
        ]
        call = {"jaxpr": self.lowered_program(types, params), "name": self.name}
        return jit_p.batch(trace, values, axes, call)


class Reduce(Folding):
    """One result for each place along the axes that are not in `dimensions`."""

    def shape_of(self, x: ArrayType, params: Any) -> tuple[int, ...]:
        axes = params["dimensions"]
        check_axes(self.name, x, axes)
        return tuple(n for i, n in enumerate(x.shape) if i not in axes)

    def composed(self, xs: list[Any], starts: list[Any], params: Any) -> list[Any]:
        combine = on_all(lambda *pair: run_closed(params["jaxpr"], pair))
        return reduce_by_tree(combine, xs, starts, params["dimensions"])


reduce_p = Reduce()


class ReduceWindow(Folding):
    """One result for each window, into which padding puts the initial values."""

    def shape_of(self, x: ArrayType, params: Any) -> tuple[int, ...]:
        windows = {k: v for k, v in params.items() if k != "jaxpr"}
        return pooling.window_shape(self.name, x.shape, **windows)

    def composed(self, xs: list[Any], starts: list[Any], params: Any) -> list[Any]:
        combine = on_all(lambda *pair: run_closed(params["jaxpr"], pair))
        windows = {k: v for k, v in params.items() if k != "jaxpr"}
        return reduce_windows_by(combine, xs, starts, windows)


reduce_window_p = ReduceWindow()


def reduce_windows_by(
    combine: Any, xs: list[Any], starts: list[Any], windows: dict[str, Any]
) -> list[Any]:
    """Windows of `xs` combined, and the initial values before them."""
    outs = pooling.reduce_windows(xs, starts, combine, **windows, cut=slice_along, padded=pad)
    shape = tuple(outs[0].shape)
    wide = [broadcast_in_dim(v, shape=shape, broadcast_dimensions=()) for v in starts]
    return combine(wide, outs)  # type: ignore[no-any-return]


def on_all(scalar: Any) -> Any:
    """A function of two elements, on all elements of arrays of one shape."""

    def combine(left: list[Any], right: list[Any]) -> list[Any]:
        args = [*left, *right]
        shape = args[0].shape
        flat = [reshape(x, new_sizes=(x.size,)) for x in args]
        outs, axes = batch.vmap(scalar, flat[0].shape[0], flat, [0] * len(flat))
        return [
            reshape(to_front(y, a, flat[0].shape[0]), new_sizes=shape)
            for y, a in zip(outs, axes, strict=True)
        ]

    return combine
