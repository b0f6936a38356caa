"""Calls of functions with rules of the user's own: what custom_jvp and custom_vjp do when called.

The functions that these primitives carry are flat: lists of arrays in and out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..core import dtypes
from ..core.errors import noted_error
from ..core.primitive import Absent, Linear
from ..core.program import ClosedProgram, run_closed
from ..core.trace import EVAL, inside, type_of
from ..core.types import ArrayType
from ..engines import numpy as numpy_engine
from ..ops.structural import broadcast_in_dim, move_axis, reduce_sum, zeros
from ..transforms import batch
from ..transforms.stage import trace_body
from .call import ProgramPrimitive

Flat = Callable[..., list[Any]]
Run = tuple[int, Any, Any]
"""Size, name and tag of the vmap that a function is a part of."""


class CustomCall(ProgramPrimitive, family=True):
    """A call of `call`, a flat function or (in a program) a ClosedProgram."""

    def typing(self, *types: Any, call: Any, **rules: Any) -> list[ArrayType]:
        self.check_inputs(types, call.in_avals)
        return call.out_avals  # type: ignore[no-any-return]

    def eval(self, *xs: Any, call: Any, **rules: Any) -> Any:
        return numpy_engine.compiled(call)(*xs)

    def evaluate(self, args: Sequence[Any], params: Any) -> Any:
        with inside(EVAL):
            return self.run(args, params)

    def run(self, args: Sequence[Any], params: Any) -> list[Any]:
        """The function itself, in the current trace."""
        call = params["call"]
        return run_closed(call, args) if isinstance(call, ClosedProgram) else call(*args)

    def called_program(self, params: Any) -> Any:
        return params["call"]

    def get_bind_params(self, params: Any) -> Any:
        return {**params, "subfuns": (Called(self, params),)}

    def bind(self, *args: Any, **params: Any) -> Any:
        params.pop("subfuns", None)
        return super().bind(*args, **params)

    def enter_program(self, record: Any, args: Any, params: Any) -> tuple[Any, Any]:
        if isinstance(params["call"], ClosedProgram):
            return args, params
        types = [type_of(a) for a in args]
        with inside(record):
            closed, consts = trace_body(params["call"], types, params["call"], "jit")
        return self.with_constants(len(consts), [*consts, *args], {**params, "call": closed})

    def with_constants(self, n: int, args: Any, params: Any) -> tuple[Any, Any]:
        """`params` for a call whose first `n` arguments are closed over, unknown to the rules."""
        raise NotImplementedError

    def record(self, tape: Any, args: Any, params: Any) -> Any:
        tracers = [tape.tracer(a) if type(a) is Linear else a for a in args]
        with inside(tape):
            return self.run(tracers, params)

    transpose: Any = Absent("on a tape the function itself is run, operation by operation")


class Called:
    """The function of such a call, for interpreters of programs that drop its rules."""

    def __init__(self, primitive: CustomCall, params: Any) -> None:
        self.primitive, self.params = primitive, params

    def call_wrapped(self, *args: Any) -> list[Any]:
        """Call it in the current trace."""
        return self.primitive.run(args, self.params)


class CustomJvpCall(CustomCall):
    """`jvp(*primals, *tangents)` gives outputs, then their tangents (None: zero)."""

    def forward(self, trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
        with inside(trace.tangents):
            outs = params["jvp"](*primals, *tangents)
        n = len(outs) // 2
        return outs[:n], outs[n:]

    def with_constants(self, n: int, args: Any, params: Any) -> tuple[Any, Any]:
        jvp = params["jvp"]

        def without_constants(*xs: Any) -> list[Any]:
            half = len(xs) // 2
            return jvp(*xs[n:half], *xs[half + n :])  # type: ignore[no-any-return]

        return args, {**params, "jvp": without_constants if n else jvp}

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        run = (trace.size, trace.axis_name, trace.tag)
        jvp = params["jvp"]

        def call(*xs: Any) -> list[Any]:
            return _mapped(lambda *ys: self.run(ys, params), run, xs, axes)

        def batched_jvp(*xs: Any) -> list[Any]:
            return _mapped_jvp(jvp, run, xs, axes)

        with inside(trace.parent):
            outs = custom_jvp_call(*values, call=call, jvp=batched_jvp, name=params["name"])
        return outs, [0] * len(outs)


custom_jvp_call = CustomJvpCall()


class CustomVjpCall(CustomCall):
    """`fwd(active, *primals)` gives outputs and residuals; `bwd(active, residuals, cts)` gives the
    cotangents of the inputs.

    `fwd` is called with a mask of the inputs that have tangents, and returns (outs, residuals).
    """

    def forward(self, trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
        active = tuple(t is not None for t in tangents)
        with inside(trace.parent):
            outs, residuals = params["fwd"](active, *primals)
        types = [type_of(y) for y in outs]
        dots = [
            zeros(type_of(x)) if t is None else t
            for x, t in zip(primals, tangents, strict=True)
            if dtypes.is_inexact(type_of(x).dtype)
        ]
        float_in = tuple(dtypes.is_inexact(type_of(x).dtype) for x in primals)
        float_out = [dtypes.is_inexact(t.dtype) for t in types]
        with inside(trace.tangents):
            found = iter(
                custom_lin(
                    *residuals,
                    *dots,
                    bwd=partial(params["bwd"], active),
                    count=len(residuals),
                    float_in=float_in,
                    out_avals=tuple(types),
                )
            )
        return outs, [next(found) if f else None for f in float_out]

    def with_constants(self, n: int, args: Any, params: Any) -> tuple[Any, Any]:
        fwd, bwd = params["fwd"], params["bwd"]
        if not n:
            return args, params

        def new_fwd(active: Any, *xs: Any) -> Any:
            return fwd(active[n:], *xs[n:])

        def new_bwd(active: Any, residuals: Any, cts: Any) -> list[Any]:
            return [None] * n + bwd(active[n:], residuals, cts)  # type: ignore[no-any-return]

        return args, {**params, "fwd": new_fwd, "bwd": new_bwd}

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        run = (trace.size, trace.axis_name, trace.tag)
        fwd, bwd = params["fwd"], params["bwd"]

        def call(*xs: Any) -> list[Any]:
            return _mapped(lambda *ys: self.run(ys, params), run, xs, axes)

        def batched_fwd(active: Any, *xs: Any) -> Any:
            counts: list[int] = []

            def flat(*ys: Any) -> list[Any]:
                outs, residuals = fwd(active, *ys)
                counts.append(len(outs))
                return [*outs, *residuals]

            found = _mapped(flat, run, xs, axes)
            return found[: counts[0]], found[counts[0] :]

        def batched_bwd(active: Any, residuals: Any, cts: Any) -> list[Any]:
            return mapped_transpose(partial(bwd, active), run, residuals, cts, axes)

        with inside(trace.parent):
            outs = custom_vjp_call(
                *values, call=call, fwd=batched_fwd, bwd=batched_bwd, name=params["name"]
            )
        return outs, [0] * len(outs)


custom_vjp_call = CustomVjpCall()


class CustomLin(ProgramPrimitive):
    """The derivative of a custom_vjp call: known only by its transpose, the user's bwd."""

    def typing(
        self, *types: Any, bwd: Any, count: int, float_in: Any, out_avals: Any
    ) -> list[ArrayType]:
        return [t for t in out_avals if dtypes.is_inexact(t.dtype)]

    def eval(self, *xs: Any, **params: Any) -> Any:
        raise no_forward_mode()

    def evaluate(self, args: Sequence[Any], params: Any) -> Any:
        raise no_forward_mode()

    def forward(self, trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
        raise no_forward_mode()

    def transpose(
        self, cts: Any, *args: Any, bwd: Any, count: int, float_in: Any, out_avals: Any
    ) -> list[Any]:
        rest = iter(cts)
        all_cts = [
            (ct, t) if dtypes.is_inexact(t.dtype) else (None, t)
            for t in out_avals
            for ct in ([next(rest)] if dtypes.is_inexact(t.dtype) else [None])
        ]
        found = bwd(list(args[:count]), all_cts)
        floats = [c for c, f in zip(found, float_in, strict=True) if f]
        return [*(None,) * count, *floats]

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        run, count = (trace.size, trace.axis_name, trace.tag), params["count"]
        bwd, float_in = params["bwd"], params["float_in"]
        dots = iter(axes[count:])
        in_axes = [next(dots) if f else None for f in float_in]
        res_axes = axes[:count]

        def batched_bwd(residuals: Any, cts: Any) -> list[Any]:
            return mapped_transpose(bwd, run, residuals, cts, in_axes, res_axes)

        out_avals = tuple(t.with_axis(0, trace.size) for t in params["out_avals"])
        with inside(trace.parent):
            new = {**params, "bwd": batched_bwd, "out_avals": out_avals}
            outs = custom_lin(*values, **new)
        return outs, [0] * len(outs)


custom_lin = CustomLin()


def no_forward_mode() -> TypeError:
    """The documented error for forward mode on a custom_vjp function."""
    return noted_error(
        TypeError,
        "can't apply forward-mode autodiff (jvp) to a custom_vjp function.",
        got="jvp, jacfwd, linearize's function or hessian on a function that has only a vjp rule",
        fix="define the rule with custom_jvp, which serves both modes, or use reverse mode "
        "(vjp, grad).",
    )


# ---- flat functions, mapped


def _mapped(function: Flat, run: Run, xs: Any, axes: Any) -> list[Any]:
    """`function` over the mapped axes; every result is mapped on axis 0."""
    size, name, tag = run
    outs, have = batch.vmap(function, size, xs, axes, name, tag=tag)
    return [_in_front(y, a, size) for y, a in zip(outs, have, strict=True)]


def _in_front(y: Any, axis: int | None, size: int) -> Any:
    if axis is not None:
        return move_axis(y, axis, 0)
    shape = type_of(y).shape
    dims = tuple(range(1, len(shape) + 1))
    return broadcast_in_dim(y, shape=(size, *shape), broadcast_dimensions=dims)


def _mapped_jvp(jvp: Flat, run: Run, xs: Any, axes: Any) -> list[Any]:
    n = len(axes)
    primals, tangents = xs[:n], xs[n:]
    given = [t for t in tangents if t is not None]
    given_axes = [a for t, a in zip(tangents, axes, strict=True) if t is not None]
    missing: list[list[bool]] = []

    def flat(*args: Any) -> list[Any]:
        rest = iter(args[n:])
        dots = [None if t is None else next(rest) for t in tangents]
        outs = jvp(*args[:n], *dots)
        missing.append([y is None for y in outs])
        return [y for y in outs if y is not None]

    found = iter(_mapped(flat, run, [*primals, *given], [*axes, *given_axes]))
    return [None if m else next(found) for m in missing[0]]


def mapped_transpose(
    bwd: Any, run: Run, residuals: Any, cts: Any, in_axes: Any, res_axes: Any = None
) -> list[Any]:
    """`bwd` for each element; cotangents of inputs that are not mapped are summed over all."""
    res_axes = [0] * len(residuals) if res_axes is None else res_axes
    given = [ct for ct, _ in cts if ct is not None]
    missing: list[list[bool]] = []

    def flat(*args: Any) -> list[Any]:
        rest = iter(args[len(residuals) :])
        element_cts = [(None if ct is None else next(rest), t.without_axis(0)) for ct, t in cts]
        found = bwd(list(args[: len(residuals)]), element_cts)
        missing.append([c is None for c in found])
        return [c for c in found if c is not None]

    axes = [*res_axes, *[0] * len(given)]
    found = iter(_mapped(flat, run, [*residuals, *given], axes))
    result: list[Any] = []
    for m, axis in zip(missing[0], in_axes, strict=True):
        if m:
            result.append(None)
        elif axis is None:
            result.append(reduce_sum(next(found), axes=(0,)))
        else:
            result.append(move_axis(next(found), 0, axis))
    return result


__all__ = [
    "custom_jvp_call",
    "custom_vjp_call",
    "mapped_transpose",
    "no_forward_mode",
]
