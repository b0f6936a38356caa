"""The body of a scan, transformed: with tangents, transposed, and for many elements at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..core.program import ClosedProgram, run_closed
from ..ops.elementwise import add_any
from ..transforms.stage import Mask, batch_program, derived, jvp_program, kept, transpose_program

Axes = tuple[int | None, ...]


def in_parts(xs: Sequence[Any], nc: int, nk: int) -> tuple[Any, Any, Any]:
    return xs[:nc], xs[nc : nc + nk], xs[nc + nk :]


def sorted_out(xs: Sequence[Any], mask: Mask) -> tuple[list[Any], list[Any]]:
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
def jvp_body(jaxpr: ClosedProgram, a_consts: Mask, a_carry: Mask, a_xs: Mask) -> Body:
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
def backward_body(
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

    consts, _, xs = in_parts(jaxpr.in_avals, len(l_consts), nk)
    k_consts, u_consts = sorted_out(consts, l_consts)
    k_xs, _ = sorted_out(xs, l_xs)
    carry, ys = jaxpr.out_avals[:nk], jaxpr.out_avals[nk:]
    ct_ys = [t for t, g in zip(ys, given, strict=True) if g]
    return derived(function, [*k_consts, *u_consts, *carry, *ct_ys, *k_xs], "transpose")


# ---- vmap


@kept
def batched_body(
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


__all__ = ["Axes", "Body", "backward_body", "batched_body", "in_parts", "jvp_body", "sorted_out"]
