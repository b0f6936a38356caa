"""while_loop: repeat a program on a carry for as long as another one says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.array import Tracer
from ..core.errors import error
from ..core.primitive import Absent, Linear
from ..core.program import ClosedProgram, run_closed
from ..core.trace import host_array, inside, type_of
from ..core.types import ArrayType
from ..engines import numpy as numpy_engine
from ..ops.elementwise import select_n
from ..ops.reduction import reduce_or
from ..ops.structural import broadcast_in_dim, to_front, zeros
from ..transforms.stage import Mask, batch_program, jvp_program, trace_body
from .call import ProgramPrimitive, jit_p, present, spread


class While(ProgramPrimitive):
    """Arguments: the constants of the condition, those of the body, then the carry."""

    def typing(
        self, *types: Any, cond_jaxpr: Any, body_jaxpr: Any, cond_nconsts: int, body_nconsts: int
    ) -> list[ArrayType]:
        self.check_inputs(types[cond_nconsts:], body_jaxpr.in_avals)
        return body_jaxpr.out_avals  # type: ignore[no-any-return]

    def eval(
        self, *xs: Any, cond_jaxpr: Any, body_jaxpr: Any, cond_nconsts: int, body_nconsts: int
    ) -> Any:
        condition = numpy_engine.compiled(cond_jaxpr)
        body = numpy_engine.compiled(body_jaxpr)
        cond_consts, body_consts, carry = _parts(xs, cond_nconsts, body_nconsts)
        while condition(*cond_consts, *carry)[0]:
            carry = body(*body_consts, *carry)
        return carry

    def forward(self, trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
        nc, nb = params["cond_nconsts"], params["body_nconsts"]
        body: ClosedProgram = params["body_jaxpr"]
        cond_consts, body_consts, carry = _parts(primals, nc, nb)
        _, const_dots, carry_dots = _parts(tangents, nc, nb)
        active_consts = tuple(t is not None for t in const_dots)
        active = tuple(t is not None for t in carry_dots)
        while True:  # a carry that gets a tangent in one round has one in the next
            _, found = jvp_program(body, active_consts + active, active)
            if found == active:
                break
            active = tuple(a or f for a, f in zip(active, found, strict=True))
        body_jvp, _ = jvp_program(body, active_consts + active, active)
        programs = _jvp_programs(params, body_jvp, active_consts, active)
        dots = [
            zeros(type_of(x)) if t is None else t
            for x, t, a in zip(carry, carry_dots, active, strict=True)
            if a
        ]
        with inside(trace.tangents):
            outs = while_p(
                *cond_consts, *body_consts, *present(const_dots), *carry, *dots, **programs
            )
        return outs[: len(carry)], spread(outs[len(carry) :], active)

    def record(self, tape: Any, args: Any, params: Any) -> Any:
        """Reverse mode where values are known: each round is a call on the tape, which grows."""
        nc, nb = params["cond_nconsts"], params["body_nconsts"]
        cond_consts, body_consts, carry = _parts(
            [_on_tape(tape, a) for a in args], nc, nb
        )
        with inside(tape):
            while True:
                (going,) = jit_p(*cond_consts, *carry, jaxpr=params["cond_jaxpr"], name="cond")
                if not _decided(going):
                    return carry
                carry = jit_p(*body_consts, *carry, jaxpr=params["body_jaxpr"], name="body")

    transpose: Any = Absent("a while_loop is transposed round by round, where it is differentiated")

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        nc, nb = params["cond_nconsts"], params["body_nconsts"]
        size, name = trace.size, trace.axis_name
        cond, body = params["cond_jaxpr"], params["body_jaxpr"]
        cond_axes, body_axes, carry_axes = _parts(axes, nc, nb)
        mapped: Mask = tuple(a is not None for a in carry_axes)
        while True:
            at = _at_front(mapped)
            pred_axis = batch_program(cond, size, (*cond_axes, *at), (False,), name)[1][0]
            if pred_axis is not None:
                mapped = (True,) * len(mapped)
            found = batch_program(body, size, (*body_axes, *_at_front(mapped)), mapped, name)[1]
            new = tuple(a is not None for a in found)
            if new == mapped:
                break
            mapped = new
        at = _at_front(mapped)
        cond_consts, body_consts, carry = _parts(values, nc, nb)
        with inside(trace.parent):
            carry = [
                x if not m else to_front(x, a, size)
                for x, a, m in zip(carry, carry_axes, mapped, strict=True)
            ]
            batched_cond, _ = batch_program(cond, size, (*cond_axes, *at), (False,), name)
            batched_body, _ = batch_program(body, size, (*body_axes, *at), mapped, name)
            if pred_axis is None:
                programs = {**params, "cond_jaxpr": batched_cond, "body_jaxpr": batched_body}
                outs = while_p(*cond_consts, *body_consts, *carry, **programs)
            else:
                programs = _until_all_are_done(batched_cond, batched_body, nc, nb)
                outs = while_p(*cond_consts, *cond_consts, *body_consts, *carry, **programs)
        return outs, [0 if m else None for m in mapped]


while_p = While()


def _parts(xs: Sequence[Any], nc: int, nb: int) -> tuple[Any, Any, Any]:
    return xs[:nc], xs[nc : nc + nb], xs[nc + nb :]


def _at_front(mapped: Mask) -> tuple[int | None, ...]:
    return tuple(0 if m else None for m in mapped)


def _jvp_programs(params: Any, body_jvp: Any, active_consts: Mask, active: Mask) -> Any:
    """Condition and body on a carry of primals, then tangents."""
    cond, body = params["cond_jaxpr"], params["body_jaxpr"]
    nc, nb, n = params["cond_nconsts"], params["body_nconsts"], len(active)
    n_dots, n_const_dots = sum(active), sum(active_consts)

    def new_cond(*xs: Any) -> list[Any]:
        return run_closed(cond, xs[: nc + n])

    def new_body(*xs: Any) -> list[Any]:
        consts, const_dots = xs[:nb], xs[nb : nb + n_const_dots]
        rest = xs[nb + n_const_dots :]
        return run_closed(body_jvp, [*consts, *rest[:n], *const_dots, *rest[n:]])

    carry = body.in_avals[nb:]
    dots = [t for t, a in zip(carry, active, strict=True) if a]
    consts = body.in_avals[:nb]
    const_dots = [t for t, a in zip(consts, active_consts, strict=True) if a]
    assert len(dots) == n_dots
    return {
        "cond_jaxpr": trace_body(new_cond, cond.in_avals + dots, None, "jvp")[0],
        "body_jaxpr": trace_body(new_body, consts + const_dots + carry + dots, None, "jvp")[0],
        "cond_nconsts": nc,
        "body_nconsts": nb + n_const_dots,
    }


def _until_all_are_done(cond: ClosedProgram, body: ClosedProgram, nc: int, nb: int) -> Any:
    """The loop for elements that end at different times: who is done keeps its carry."""

    def any_goes_on(*xs: Any) -> list[Any]:
        (going,) = run_closed(cond, xs)
        return [reduce_or(going, axes=(0,))]

    def step(*xs: Any) -> list[Any]:
        cond_consts, body_consts, carry = _parts(xs, nc, nb)
        (going,) = run_closed(cond, [*cond_consts, *carry])
        new = run_closed(body, [*body_consts, *carry])
        return [_chosen(going, y, x) for x, y in zip(carry, new, strict=True)]

    body_types = cond.in_avals[:nc] + body.in_avals
    return {
        "cond_jaxpr": trace_body(any_goes_on, cond.in_avals, None, "vmap")[0],
        "body_jaxpr": trace_body(step, body_types, None, "vmap")[0],
        "cond_nconsts": nc,
        "body_nconsts": nc + nb,
    }


def _chosen(going: Any, new: Any, old: Any) -> Any:
    shape = type_of(old).shape
    if len(shape) > 1:
        going = broadcast_in_dim(going, shape=shape, broadcast_dimensions=(0,))
    return select_n(going, old, new)


def _on_tape(tape: Any, arg: Any) -> Any:
    return tape.tracer(arg) if type(arg) is Linear else arg


def _decided(going: Any) -> bool:
    known = going.known() if isinstance(going, Tracer) else host_array(going)
    if known is None:
        raise error(
            ValueError,
            "Reverse-mode differentiation does not work for lax.while_loop or lax.fori_loop with "
            "dynamic start/stop values inside jit, vmap or scan.",
            got="a loop whose number of rounds is not known while it is differentiated",
            fix="differentiate outside jit, use lax.scan or a fori_loop with Python integers as "
            "bounds, or use forward mode (jvp, jacfwd).",
        )
    return bool(known)


__all__ = ["while_p"]
