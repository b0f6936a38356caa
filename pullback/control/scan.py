"""scan: a program on a carry, once for each element along the first axis of its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.primitive import Linear
from ..core.program import ClosedProgram, run_closed
from ..core.trace import inside, type_of
from ..core.types import ArrayType
from ..engines import numpy as numpy_engine
from ..engines import whole
from ..ops.elementwise import add_any
from ..ops.structural import move_axis, to_front, zeros
from ..transforms.stage import Mask, batch_program, derived, jvp_program, kept, transpose_program
from .call import ProgramPrimitive, present, spread
from .loop_split import split_loop

Axes = tuple[int | None, ...]


class Scan(ProgramPrimitive):
    """Arguments: constants, first carry, the arrays to run over. Results: last carry, then ys."""

    def typing(
        self,
        *types: Any,
        jaxpr: Any,
        length: int,
        num_carry: int,
        num_consts: int,
        reverse: bool,
        unroll: int,
    ) -> list[ArrayType]:
        consts, carry, xs = _parts(types, num_consts, num_carry)
        self.check_inputs([*consts, *carry, *(t.without_axis(0) for t in xs)], jaxpr.in_avals)
        assert all(t.shape[0] == length for t in xs), (length, xs)
        outs, ys = jaxpr.out_avals[:num_carry], jaxpr.out_avals[num_carry:]
        return [
            *(
                t.update(weak_type=t.weak_type and x.weak_type)
                for t, x in zip(outs, carry, strict=True)
            ),
            *(t.with_axis(0, length) for t in ys),
        ]

    def eval(
        self,
        *args: Any,
        jaxpr: Any,
        length: int,
        num_carry: int,
        num_consts: int,
        reverse: bool,
        unroll: int,
    ) -> Any:
        body = numpy_engine.compiled(jaxpr)
        consts, carry, xs = _parts(args, num_consts, num_carry)
        ys = [np.empty((length, *t.shape), t.dtype) for t in jaxpr.out_avals[num_carry:]]
        for i in range(length - 1, -1, -1) if reverse else range(length):
            outs = body(*consts, *carry, *[x[i] for x in xs])
            carry = outs[:num_carry]
            for y, out in zip(ys, outs[num_carry:], strict=True):
                y[i] = out
        return [*carry, *ys]

    def at_once(self, *args: Any, **params: Any) -> Any:
        """The whole loop as one compiled program, if that pays."""
        body, run = params["jaxpr"], None
        if params["length"] >= whole.rounds_that_pay(body):
            run = whole.compiled(self, params, body, args)
        return self.eval(*args, **params) if run is None else run(*args)

    def forward(self, trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
        nc, nk = params["num_consts"], params["num_carry"]
        active = _parts(tuple(t is not None for t in tangents), nc, nk)
        body = _jvp_body(params["jaxpr"], *active)
        consts, carry, xs = _parts(primals, nc, nk)
        d_consts, d_carry, d_xs = _parts(tangents, nc, nk)
        d_carry = [
            zeros(type_of(x)) if t is None and a else t
            for x, t, a in zip(carry, d_carry, body.carry, strict=True)
        ]
        dots = [present(d) for d in (d_consts, d_carry, d_xs)]
        new = {
            **params,
            "jaxpr": body.closed,
            "num_consts": nc + len(dots[0]),
            "num_carry": nk + len(dots[1]),
        }
        with inside(trace.tangents):
            outs = scan_p(*consts, *dots[0], *carry, *dots[1], *xs, *dots[2], **new)
        n, n_ys = new["num_carry"], len(body.outs) - nk
        carry_out, ys_out = outs[:n], outs[n:]
        primal_outs = [*carry_out[:nk], *ys_out[:n_ys]]
        return primal_outs, spread([*carry_out[nk:], *ys_out[n_ys:]], body.outs)

    def record(self, tape: Any, args: Any, params: Any) -> Any:
        nc, nk = params["num_consts"], params["num_carry"]
        unknown = _parts(tuple(type(a) is Linear for a in args), nc, nk)
        parts = split_loop(params["jaxpr"], *unknown)
        consts, carry, xs = _parts(args, nc, nk)
        k_consts, u_consts = _sorted_out(consts, unknown[0])
        k_carry, u_carry = _sorted_out(carry, parts.unknown_carry)
        k_xs, u_xs = _sorted_out(xs, unknown[2])
        new = {**params, "num_consts": len(k_consts), "num_carry": len(k_carry)}
        with inside(tape.parent):
            repeated = run_closed(parts.before, k_consts)
            found = scan_p(*k_consts, *k_carry, *k_xs, **{**new, "jaxpr": parts.known})
        n_known = len(found) - parts.stacked_count
        stacked = parts.sequences(k_xs, found[len(k_carry) : n_known], found[n_known:])
        linear_args = [*repeated, *u_consts, *u_carry, *stacked, *u_xs]
        new = {
            **params,
            "jaxpr": parts.linear,
            "num_consts": len(repeated) + len(u_consts),
            "num_carry": len(u_carry),
        }
        unknown_outs = iter(tape.enter(scan_p, linear_args, new))
        known_outs = iter(found[:n_known])
        return [next(unknown_outs) if u else next(known_outs) for u in parts.unknown_out]

    def transpose(self, cts: Any, *args: Any, jaxpr: Any, **params: Any) -> list[Any]:
        nc, nk = params["num_consts"], params["num_carry"]
        consts, _, xs = _parts(args, nc, nk)
        l_consts = tuple(type(a) is Linear for a in consts)
        l_xs = tuple(type(a) is Linear for a in xs)
        ct_carry = [
            zeros(t) if ct is None else ct
            for ct, t in zip(cts[:nk], jaxpr.out_avals[:nk], strict=True)
        ]
        given = tuple(ct is not None for ct in cts[nk:])
        k_consts, u_consts = _sorted_out(consts, l_consts)
        k_xs, _ = _sorted_out(xs, l_xs)
        sums = [zeros(a.aval) for a in u_consts]
        new = {
            **params,
            "jaxpr": _backward_body(jaxpr, nk, l_consts, l_xs, given),
            "num_consts": len(k_consts),
            "num_carry": len(sums) + nk,
            "reverse": not params["reverse"],
        }
        outs = scan_p(*k_consts, *sums, *ct_carry, *present(cts[nk:]), *k_xs, **new)
        from_consts, from_carry, from_xs = _parts(outs, len(sums), nk)
        return [*spread(from_consts, l_consts), *from_carry, *spread(from_xs, l_xs)]

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        nc, nk, size = params["num_consts"], params["num_carry"], trace.size
        at = _parts(tuple(axes), nc, nk)
        body = _batched_body(params["jaxpr"], size, *at, trace.axis_name)
        consts, carry, xs = _parts(values, nc, nk)
        with inside(trace.parent):
            carry = [
                to_front(x, a, size) if m else x
                for x, a, m in zip(carry, at[1], body.carry, strict=True)
            ]
            # The mapped axis stands behind the axis that is run over.
            xs = [x if a is None else move_axis(x, a, 1) for x, a in zip(xs, at[2], strict=True)]
            outs = scan_p(*consts, *carry, *xs, **{**params, "jaxpr": body.closed})
        return outs, [
            *(0 if m else None for m in body.carry),
            *(1 if m else None for m in body.outs[nk:]),
        ]


scan_p = Scan()


def _parts(xs: Sequence[Any], nc: int, nk: int) -> tuple[Any, Any, Any]:
    return xs[:nc], xs[nc : nc + nk], xs[nc + nk :]


def _sorted_out(xs: Sequence[Any], mask: Mask) -> tuple[list[Any], list[Any]]:
    """Those of `xs` where `mask` does not hold, and those where it does."""
    return (
        [x for x, m in zip(xs, mask, strict=True) if not m],
        [x for x, m in zip(xs, mask, strict=True) if m],
    )


@dataclass
class Body:
    """A derived body; which parts of its carry, and which outputs, have a tangent, or an axis."""

    closed: ClosedProgram
    carry: Mask
    outs: Mask


# ---- forward mode


@kept
def _jvp_body(jaxpr: ClosedProgram, a_consts: Mask, a_carry: Mask, a_xs: Mask) -> Body:
    """Inputs: constants, their tangents, carry, its tangents, xs, theirs. Outputs likewise."""
    nc, nk = len(a_consts), len(a_carry)
    n_ys = len(jaxpr.out_avals) - nk
    while True:  # a carry that gets a tangent in one step has one in the next
        active = (*a_consts, *a_carry, *a_xs)
        program, outs = jvp_program(jaxpr, active, (*a_carry, *(False,) * n_ys))
        if outs[:nk] == a_carry:
            break
        a_carry = outs[:nk]
    counts = [nc, sum(a_consts), nk, sum(a_carry), len(a_xs), sum(a_xs)]
    k = sum(a_carry)

    def function(*args: Any) -> list[Any]:
        consts, d_consts, carry, d_carry, xs, d_xs = _groups(args, counts)
        ys = run_closed(program, [*consts, *carry, *xs, *d_consts, *d_carry, *d_xs])
        primals, dots = ys[: nk + n_ys], ys[nk + n_ys :]
        return [*primals[:nk], *dots[:k], *primals[nk:], *dots[k:]]

    consts, carry, xs, *dots = _groups(
        program.in_avals, [nc, nk, len(a_xs), sum(a_consts), k, sum(a_xs)]
    )
    types = [*consts, *dots[0], *carry, *dots[1], *xs, *dots[2]]
    return Body(derived(function, types, "jvp"), a_carry, outs)


def _groups(xs: Sequence[Any], counts: Sequence[int]) -> list[Sequence[Any]]:
    groups, start = [], 0
    for n in counts:
        groups.append(xs[start : start + n])
        start += n
    return groups


# ---- the transposed body


@kept
def _backward_body(
    jaxpr: ClosedProgram, nk: int, l_consts: Mask, l_xs: Mask, given: Mask
) -> ClosedProgram:
    """One step back. Inputs: known consts, the cotangents of consts so far, those of carry and of
    the ys that have one, known xs.
    """
    linear = (*l_consts, *(True,) * nk, *l_xs)
    wanted = (True,) * sum(linear)
    program, _ = transpose_program(jaxpr, linear, (*(True,) * nk, *given), wanted)
    n_sums = sum(l_consts)
    counts = [len(l_consts) - n_sums, n_sums, nk, sum(given), len(l_xs) - sum(l_xs)]

    def function(*args: Any) -> list[Any]:
        known, sums, ct_carry, ct_ys, known_xs = _groups(args, counts)
        cts = run_closed(program, [*known, *known_xs, *ct_carry, *ct_ys])
        new_sums = [add_any(s, c) for s, c in zip(sums, cts[:n_sums], strict=True)]
        return [*new_sums, *cts[n_sums:]]

    consts, _, xs = _parts(jaxpr.in_avals, len(l_consts), nk)
    k_consts, u_consts = _sorted_out(consts, l_consts)
    k_xs, _ = _sorted_out(xs, l_xs)
    carry, ys = jaxpr.out_avals[:nk], jaxpr.out_avals[nk:]
    ct_ys = [t for t, g in zip(ys, given, strict=True) if g]
    return derived(function, [*k_consts, *u_consts, *carry, *ct_ys, *k_xs], "transpose")


# ---- vmap


@kept
def _batched_body(
    jaxpr: ClosedProgram, size: int, at_consts: Axes, at_carry: Axes, at_xs: Axes, name: Any
) -> Body:
    nk = len(at_carry)
    n_ys = len(jaxpr.out_avals) - nk
    carry: Mask = tuple(a is not None for a in at_carry)
    at_element = tuple(None if a is None else 0 for a in at_xs)
    while True:  # a carry that is mapped after one step is mapped before the next
        at = (*at_consts, *(0 if m else None for m in carry), *at_element)
        body, found = batch_program(jaxpr, size, at, (*carry, *(False,) * n_ys), name)
        outs: Mask = tuple(a is not None for a in found)
        if outs[:nk] == carry:
            return Body(body, carry, outs)
        carry = outs[:nk]


__all__ = ["scan_p"]
