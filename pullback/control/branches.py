"""cond and switch: one of several programs, chosen by an index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import HostArray
from ..core.errors import error
from ..core.primitive import Linear
from ..core.program import ClosedProgram, Program, Var, run_closed
from ..core.trace import inside, type_of
from ..core.types import ArrayType
from ..engines import numpy as numpy_engine
from ..ops.comparison import clamp
from ..ops.elementwise import select_n
from ..ops.structural import broadcast_in_dim, move_axis, zeros
from ..transforms.stage import (
    Mask,
    Split,
    batch_program,
    derived,
    jvp_program,
    kept,
    split_program,
    transpose_program,
)
from .call import ProgramPrimitive, jit_p, present, spread

Branches = tuple[ClosedProgram, ...]


class Cond(ProgramPrimitive):
    """Call `branches[index]`, the index clamped to those there are."""

    def typing(self, index: Any, *types: Any, branches: Any) -> list[ArrayType]:
        self.check_inputs(types, branches[0].in_avals)
        if index.shape or index.dtype != dtypes.int32:
            raise error(
                TypeError,
                "the index of a branch must be an int32 scalar.",
                got=index.str_short(),
                fix="convert it with .astype(jnp.int32).",
            )
        return [
            t.update(weak_type=all(b.out_avals[i].weak_type for b in branches))
            for i, t in enumerate(branches[0].out_avals)
        ]

    def eval(self, index: Any, *xs: Any, branches: Any) -> Any:
        chosen = branches[min(max(int(index), 0), len(branches) - 1)]
        return numpy_engine.compiled(chosen)(*xs)

    def forward(self, trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
        branches = params["branches"]
        active = tuple(t is not None for t in tangents[1:])
        n = len(branches[0].out_avals)
        wanted = _union(jvp_program(b, active, (False,) * n)[1] for b in branches)
        programs = tuple(jvp_program(b, active, wanted)[0] for b in branches)
        with inside(trace.tangents):
            outs = cond_p(*primals, *present(tangents[1:]), branches=programs)
        return outs[:n], spread(outs[n:], wanted)

    def record(self, tape: Any, args: Any, params: Any) -> Any:
        branches = params["branches"]
        index, *operands = args
        unknown = tuple(type(a) is Linear for a in operands)
        parts = _split_branches(branches[0], branches, unknown)
        with inside(tape.parent):
            known_args = [a for a in operands if type(a) is not Linear]
            found = cond_p(index, *known_args, branches=parts.known)
        n_known = len(found) - parts.residual_count
        known_outs, residuals = iter(found[:n_known]), found[n_known:]
        linear_args = [index, *residuals, *(a for a in operands if type(a) is Linear)]
        unknown_outs = iter(tape.enter(cond_p, linear_args, {"branches": parts.linear}))
        return [next(unknown_outs) if u else next(known_outs) for u in parts.unknown_out]

    def transpose(self, cts: Any, index: Any, *args: Any, branches: Any) -> list[Any]:
        linear = tuple(type(a) is Linear for a in args)
        given = tuple(ct is not None for ct in cts)
        wanted = (True,) * sum(linear)
        programs = tuple(transpose_program(b, linear, given, wanted)[0] for b in branches)
        known = [a for a in args if type(a) is not Linear]
        found = iter(cond_p(index, *known, *present(cts), branches=programs))
        return [None, *(next(found) if is_linear else None for is_linear in linear)]

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        branches = params["branches"]
        (index, *operands), (index_axis, *axes) = values, axes
        n = len(branches[0].out_avals)
        args, name = (trace.size, tuple(axes)), trace.axis_name
        wanted: Mask = (True,) * n
        if index_axis is None:
            found = (batch_program(b, *args, (False,) * n, name)[1] for b in branches)
            wanted = _union(tuple(a is not None for a in at) for at in found)
        batched = tuple(batch_program(b, *args, wanted, name)[0] for b in branches)
        with inside(trace.parent):
            if index_axis is None:
                outs = cond_p(index, *operands, branches=batched)
            else:
                outs = _all_branches(move_axis(index, index_axis, 0), operands, batched)
        return outs, [0 if w else None for w in wanted]


cond_p = Cond()


def _union(masks: Iterable[Mask]) -> Mask:
    return tuple(any(column) for column in zip(*masks, strict=True))


def _all_branches(index: Any, operands: Any, branches: Branches) -> list[Any]:
    """Each element has its own branch: run all of them on all elements and choose."""
    from_each = [jit_p(*operands, jaxpr=b, name="branch") for b in branches]
    if len(branches) == 1:
        return from_each[0]  # type: ignore[no-any-return]
    which = clamp(_index(0), index, _index(len(branches) - 1))
    chosen = []
    for cases in zip(*from_each, strict=True):
        shape = type_of(cases[0]).shape
        each = which
        if len(shape) > 1:
            each = broadcast_in_dim(which, shape=shape, broadcast_dimensions=(0,))
        chosen.append(select_n(each, *cases))
    return chosen


def _index(i: int) -> HostArray:
    return HostArray(np.int32(i))


# ---- branches in two: what is known, and what is linear


@dataclass
class Parts:
    """The known and the linear part of each branch. Residuals have places that branches share."""

    known: Branches
    linear: Branches
    unknown_out: Mask
    residual_count: int


@kept
def _split_branches(first: ClosedProgram, branches: Branches, unknown: Mask) -> Parts:
    """Branches must agree in their types: each gives zeros for the residuals that it has not."""
    nothing = (False,) * len(first.out_avals)
    wanted = _union(split_program(b, unknown, nothing).unknown_out for b in branches)
    splits = [split_program(b, unknown, wanted) for b in branches]
    types: list[ArrayType] = []
    places = [_places(s, types) for s in splits]
    return Parts(
        tuple(_known_branch(s, at, types) for s, at in zip(splits, places, strict=True)),
        tuple(_linear_branch(s, at, types) for s, at in zip(splits, places, strict=True)),
        wanted,
        len(types),
    )


def _places(split: Split, types: list[ArrayType]) -> list[int]:
    """A place among the residuals of all branches for each residual of one; `types` may grow."""
    first = len(split.known.out_avals) - split.residual_count
    places: list[int] = []
    for t in split.known.out_avals[first:]:
        free = (i for i, u in enumerate(types) if u is t and i not in places)
        place = next(free, len(types))
        if place == len(types):
            types.append(t)
        places.append(place)
    return places


def _known_branch(split: Split, places: list[int], types: list[ArrayType]) -> ClosedProgram:
    n = len(split.known.out_avals) - split.residual_count

    def function(*xs: Any) -> list[Any]:
        outs = run_closed(split.known, xs)
        own = dict(zip(places, outs[n:], strict=True))
        return [*outs[:n], *(own[i] if i in own else zeros(t) for i, t in enumerate(types))]

    return derived(function, split.known.in_avals, "cond")


def _linear_branch(split: Split, places: list[int], types: list[ArrayType]) -> ClosedProgram:
    def function(*xs: Any) -> list[Any]:
        return run_closed(split.linear, [*(xs[i] for i in places), *xs[len(types) :]])

    return derived(function, [*types, *split.linear.in_avals[split.residual_count :]], "cond")


def joined_branches(
    branches: Sequence[tuple[ClosedProgram, list[Any]]],
) -> tuple[Branches, list[Any]]:
    """Programs that take the closed-over traced values of all branches, then the operands."""
    consts = [c for _, own in branches for c in own]
    if not consts:
        return tuple(closed for closed, _ in branches), []
    programs, before = [], 0
    for closed, own in branches:
        p = closed.program
        first = [Var(type_of(c)) for c in consts[:before]]
        last = [Var(type_of(c)) for c in consts[before + len(own) :]]
        invars = [*first, *p.invars[: len(own)], *last, *p.invars[len(own) :]]
        program = Program(p.constvars, invars, p.outvars, p.eqns, name=p.name)
        programs.append(ClosedProgram(program, closed.consts))
        before += len(own)
    return tuple(programs), consts


__all__ = ["cond_p", "joined_branches"]
