"""scan: a program on a carry, once for each element along the first axis of its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.primitive import Linear
from ..core.program import ClosedProgram, Var, run_closed
from ..core.trace import inside, type_of
from ..core.types import ArrayType
from ..engines import numpy as numpy_engine
from ..ops.elementwise import add_any
from ..ops.structural import move_axis, to_front, zeros
from ..transforms.stage import (
    Mask,
    Split,
    batch_program,
    jvp_program,
    split_program,
    trace_body,
    transpose_program,
)
from .call import ProgramPrimitive, present, spread


class Scan(ProgramPrimitive):
    """Arguments: constants, the first carry, then the arrays to run over. Results: carry, then ys."""

    def typing(
        self, *types: Any, jaxpr: Any, length: int, num_carry: int, num_consts: int, reverse: bool,
        unroll: int,
    ) -> list[ArrayType]:
        n = num_consts + num_carry
        elements = [t.without_axis(0) for t in types[n:]]
        self.check_inputs([*types[:n], *elements], jaxpr.in_avals)
        outs = jaxpr.out_avals
        return [*outs[:num_carry], *(t.with_axis(0, length) for t in outs[num_carry:])]

    def eval(
        self, *args: Any, jaxpr: Any, length: int, num_carry: int, num_consts: int, reverse: bool,
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

    def forward(self, trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
        jaxpr, nc, nk = params["jaxpr"], params["num_consts"], params["num_carry"]
        consts, carry, xs = _parts(primals, nc, nk)
        active = tuple(t is not None for t in tangents)
        a_consts, a_carry, a_xs = _parts(active, nc, nk)
        n_ys = len(jaxpr.out_avals) - nk
        while True:  # a carry that gets a tangent in one step has one in the next
            mask = (*a_consts, *a_carry, *a_xs)
            program, found = jvp_program(jaxpr, mask, (*a_carry, *(False,) * n_ys))
            if found[:nk] == a_carry:
                break
            a_carry = found[:nk]
        d_consts, d_carry, d_xs = _parts(tangents, nc, nk)
        d_carry = [
            zeros(type_of(x)) if t is None and a else t
            for x, t, a in zip(carry, d_carry, a_carry, strict=True)
        ]
        body = _interleaved(program, (nc, nk, len(xs)), (a_consts, a_carry, a_xs), (nk, n_ys), found)
        with inside(trace.tangents):
            outs = scan_p(
                *consts, *present(d_consts), *carry, *present(d_carry), *xs, *present(d_xs),
                **{
                    **params,
                    "jaxpr": body,
                    "num_consts": nc + sum(a_consts),
                    "num_carry": nk + sum(a_carry),
                },
            )
        n = nk + sum(a_carry)
        carry_out, ys_out = outs[:n], outs[n:]
        primal_outs = [*carry_out[:nk], *ys_out[:n_ys]]
        return primal_outs, spread([*carry_out[nk:], *ys_out[n_ys:]], found)

    def record(self, tape: Any, args: Any, params: Any) -> Any:
        jaxpr, nc, nk = params["jaxpr"], params["num_consts"], params["num_carry"]
        u_consts, u_carry, u_xs = _parts(tuple(type(a) is Linear for a in args), nc, nk)
        n_ys = len(jaxpr.out_avals) - nk
        while True:  # a carry that is unknown after one step is unknown before the next
            mask = (*u_consts, *u_carry, *u_xs)
            split = split_program(jaxpr, mask, (*u_carry, *(False,) * n_ys))
            if split.unknown_out[:nk] == u_carry:
                break
            u_carry = split.unknown_out[:nk]
        fixed = _fixed_residuals(split, [i for i in range(nc) if not u_consts[i]])
        consts, carry, xs = _parts(args, nc, nk)
        k_consts = [x for x, u in zip(consts, u_consts, strict=True) if not u]
        k_carry = [x for x, u in zip(carry, u_carry, strict=True) if not u]
        known_params = {
            **params,
            "jaxpr": _without_fixed(split, fixed),
            "num_consts": len(k_consts),
            "num_carry": len(k_carry),
        }
        with inside(tape.parent):
            k_xs = [x for x, u in zip(xs, u_xs, strict=True) if not u]
            found = scan_p(*k_consts, *k_carry, *k_xs, **known_params)
        n_stacked = split.residual_count - len(fixed)
        n_known = len(found) - n_stacked
        stacked = found[n_known:]
        repeated = [k_consts[i] for i in fixed.values()]
        u_init = [x for x, u in zip(carry, u_carry, strict=True) if u]
        linear_args = [
            *repeated, *(x for x, u in zip(consts, u_consts, strict=True) if u),
            *u_init, *stacked, *(x for x, u in zip(xs, u_xs, strict=True) if u),
        ]
        linear_params = {
            **params,
            "jaxpr": _linear_body(split, fixed, sum(u_consts), len(u_init)),
            "num_consts": len(repeated) + sum(u_consts),
            "num_carry": len(u_init),
        }
        unknown_outs = iter(tape.enter(scan_p, linear_args, linear_params))
        known_outs = iter(found[:n_known])
        return [next(unknown_outs) if u else next(known_outs) for u in split.unknown_out]

    def transpose(self, cts: Any, *args: Any, jaxpr: Any, **params: Any) -> list[Any]:
        nc, nk, length = params["num_consts"], params["num_carry"], params["length"]
        consts, carry, xs = _parts(args, nc, nk)
        l_consts = tuple(type(a) is Linear for a in consts)
        l_xs = tuple(type(a) is Linear for a in xs)
        types = jaxpr.out_avals
        ct_carry = [zeros(t) if c is None else c for c, t in zip(cts[:nk], types[:nk], strict=True)]
        ct_ys = [
            zeros(t.with_axis(0, length)) if c is None else c
            for c, t in zip(cts[nk:], types[nk:], strict=True)
        ]
        k_consts = [a for a, lin in zip(consts, l_consts, strict=True) if not lin]
        k_xs = [a for a, lin in zip(xs, l_xs, strict=True) if not lin]
        ct_consts = [zeros(a.aval) for a, lin in zip(consts, l_consts, strict=True) if lin]
        body = _backward_body(jaxpr, nk, l_consts, l_xs)
        outs = scan_p(
            *k_consts, *ct_consts, *ct_carry, *ct_ys, *k_xs,
            **{
                **params,
                "jaxpr": body,
                "num_consts": len(k_consts),
                "num_carry": len(ct_consts) + nk,
                "reverse": not params["reverse"],
            },
        )
        n = len(ct_consts)
        from_consts, from_carry, from_xs = iter(outs[:n]), outs[n : n + nk], iter(outs[n + nk :])
        return [
            *(next(from_consts) if lin else None for lin in l_consts),
            *from_carry,
            *(next(from_xs) if lin else None for lin in l_xs),
        ]

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        jaxpr, nc, nk = params["jaxpr"], params["num_consts"], params["num_carry"]
        size, name = trace.size, trace.axis_name
        at_consts, at_carry, at_xs = _parts(tuple(axes), nc, nk)
        n_ys = len(jaxpr.out_avals) - nk
        mapped: Mask = tuple(a is not None for a in at_carry)
        at_element = tuple(None if a is None else 0 for a in at_xs)
        while True:
            at = (*at_consts, *(0 if m else None for m in mapped), *at_element)
            body, found = batch_program(jaxpr, size, at, (*mapped, *(False,) * n_ys), name)
            new = tuple(a is not None for a in found[:nk])
            if new == mapped:
                break
            mapped = new
        consts, carry, xs = _parts(values, nc, nk)
        with inside(trace.parent):
            carry = [
                to_front(x, a, size) if m else x
                for x, a, m in zip(carry, at_carry, mapped, strict=True)
            ]
            xs = [x if a is None else move_axis(x, a, 1) for x, a in zip(xs, at_xs, strict=True)]
            outs = scan_p(*consts, *carry, *xs, **{**params, "jaxpr": body})
        return outs, [
            *(0 if m else None for m in mapped),
            *(None if a is None else 1 for a in found[nk:]),
        ]


scan_p = Scan()


def _parts(xs: Sequence[Any], nc: int, nk: int) -> tuple[Any, Any, Any]:
    return xs[:nc], xs[nc : nc + nk], xs[nc + nk :]


def _interleaved(
    program: ClosedProgram, sizes: Any, active: Any, outs: tuple[int, int], found: Mask
) -> ClosedProgram:
    """The jvp of a body with inputs consts, dconsts, carry, dcarry, xs, dxs, and outputs likewise."""
    counts = [n for size, a in zip(sizes, active, strict=True) for n in (size, sum(a))]
    nk, n_ys = outs

    def function(*args: Any) -> list[Any]:
        rest, groups = list(args), []
        for n in counts:
            groups.append(rest[:n])
            rest = rest[n:]
        consts, d_consts, carry, d_carry, xs, d_xs = groups
        ys = run_closed(program, [*consts, *carry, *xs, *d_consts, *d_carry, *d_xs])
        primals, dots = ys[: nk + n_ys], ys[nk + n_ys :]
        k = sum(found[:nk])
        return [*primals[:nk], *dots[:k], *primals[nk:], *dots[k:]]

    n_primals = sum(sizes)
    primal_types, dot_types = program.in_avals[:n_primals], program.in_avals[n_primals:]
    types, p, d = [], 0, 0
    for size, a in zip(sizes, active, strict=True):
        types += [*primal_types[p : p + size], *dot_types[d : d + sum(a)]]
        p, d = p + size, d + sum(a)
    return trace_body(function, types, None, "jvp")[0]


# ---- the known and the linear part of a body


def _fixed_residuals(split: Split, known_consts: list[int]) -> dict[int, int]:
    """Residuals that are constants of the loop, by number: they need not be stacked."""
    invars: list[Var] = split.known.program.invars[: len(known_consts)]
    outvars = split.known.program.outvars
    first = len(outvars) - split.residual_count
    return {
        r: invars.index(atom)
        for r, atom in enumerate(outvars[first:])
        if type(atom) is Var and atom in invars
    }


def _without_fixed(split: Split, fixed: dict[int, int]) -> ClosedProgram:
    first = len(split.known.out_avals) - split.residual_count

    def function(*args: Any) -> list[Any]:
        outs = run_closed(split.known, args)
        return [y for i, y in enumerate(outs) if i - first not in fixed]

    return trace_body(function, split.known.in_avals, None, "scan")[0]


def _linear_body(split: Split, fixed: dict[int, int], n_consts: int, n_carry: int) -> ClosedProgram:
    """Inputs: fixed residuals, unknown consts, unknown carry, stacked residuals, unknown xs."""
    n_res, n_fixed = split.residual_count, len(fixed)
    n_front = n_fixed + n_consts + n_carry
    n_stacked = n_res - n_fixed

    def function(*args: Any) -> list[Any]:
        repeated, middle = iter(args[:n_fixed]), args[n_fixed:n_front]
        stacked, xs = iter(args[n_front : n_front + n_stacked]), args[n_front + n_stacked :]
        residuals = [next(repeated) if r in fixed else next(stacked) for r in range(n_res)]
        return run_closed(split.linear, [*residuals, *middle, *xs])

    types = split.linear.in_avals
    res, rest = types[:n_res], types[n_res:]
    ordered = [
        *(t for r, t in enumerate(res) if r in fixed),
        *rest[: n_consts + n_carry],
        *(t for r, t in enumerate(res) if r not in fixed),
        *rest[n_consts + n_carry :],
    ]
    return trace_body(function, ordered, None, "scan")[0]


def _backward_body(
    jaxpr: ClosedProgram, nk: int, l_consts: Mask, l_xs: Mask
) -> ClosedProgram:
    """One step back. Inputs: known consts; cotangents of consts (a sum) and carry; those of ys, known xs."""
    key = ("backward", nk, l_consts, l_xs)
    if key in jaxpr.cache:
        return jaxpr.cache[key]  # type: ignore[no-any-return]
    n_out = len(jaxpr.out_avals)
    linear = (*l_consts, *(True,) * nk, *l_xs)
    program, _ = transpose_program(jaxpr, linear, (True,) * n_out, (True,) * sum(linear))
    n_known, n_sums, n_ys = len(l_consts) - sum(l_consts), sum(l_consts), n_out - nk

    def function(*args: Any) -> list[Any]:
        known, sums = args[:n_known], args[n_known : n_known + n_sums]
        rest = args[n_known + n_sums :]
        ct_carry, ct_ys, known_xs = rest[:nk], rest[nk : nk + n_ys], rest[nk + n_ys :]
        cts = run_closed(program, [*known, *known_xs, *ct_carry, *ct_ys])
        new_sums = [add_any(s, c) for s, c in zip(sums, cts[:n_sums], strict=True)]
        return [*new_sums, *cts[n_sums:]]

    types = jaxpr.in_avals
    consts, carry, xs = _parts(types, len(l_consts), nk)
    ordered = [
        *(t for t, lin in zip(consts, l_consts, strict=True) if not lin),
        *(t for t, lin in zip(consts, l_consts, strict=True) if lin),
        *jaxpr.out_avals[:nk],
        *jaxpr.out_avals[nk:],
        *(t for t, lin in zip(xs, l_xs, strict=True) if not lin),
    ]
    assert len(carry) == nk
    jaxpr.cache[key] = trace_body(function, ordered, None, "transpose")[0]
    return jaxpr.cache[key]  # type: ignore[no-any-return]
