"""cond and switch: one of several programs, chosen by an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error
from ..core.primitive import Linear
from ..core.program import ClosedProgram, Program, Var, run_closed, trace_program
from ..core.trace import host_array, inside, type_of
from ..core.types import ArrayType, array_type
from ..engines import numpy as numpy_engine
from ..ops.comparison import clamp, ne
from ..ops.elementwise import convert_element_type, select_n
from ..ops.structural import broadcast_in_dim, move_axis, zeros
from ..transforms.stage import (
    Mask,
    Split,
    batch_program,
    jvp_program,
    split_program,
    transpose_program,
)
from .call import ProgramPrimitive, present, spread


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
        n = len(branches[0].out_avals)
        wanted = _union(split_program(b, unknown, (False,) * n).unknown_out for b in branches)
        splits = [split_program(b, unknown, wanted) for b in branches]
        known, linear, count = _with_all_residuals(splits)
        with inside(tape.parent):
            known_args = [a for a in operands if type(a) is not Linear]
            found = cond_p(index, *known_args, branches=known)
        n_known = len(found) - count
        linear_args = [index, *found[n_known:], *(a for a in operands if type(a) is Linear)]
        unknown_outs = iter(tape.enter(cond_p, linear_args, {"branches": linear}))
        known_outs = iter(found[:n_known])
        return [next(unknown_outs) if u else next(known_outs) for u in wanted]

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
        args = (trace.size, tuple(axes))
        if index_axis is not None:
            wanted: Mask = (True,) * n
        else:
            none = (False,) * n
            wanted = _union(
                tuple(a is not None for a in batch_program(b, *args, none, trace.axis_name)[1])
                for b in branches
            )
        batched = tuple(batch_program(b, *args, wanted, trace.axis_name)[0] for b in branches)
        with inside(trace.parent):
            if index_axis is None:
                outs = cond_p(index, *operands, branches=batched)
            else:
                outs = _all_branches(move_axis(index, index_axis, 0), operands, batched)
        return outs, [0 if w else None for w in wanted]


cond_p = Cond()


def _all_branches(index: Any, operands: Any, branches: Any) -> list[Any]:
    """Each element has its own branch: run all of them on all elements and choose."""
    from_each = [cond_p(_index(0), *operands, branches=(b,)) for b in branches]
    chosen = []
    for cases in zip(*from_each, strict=True):
        if len(cases) == 1:
            chosen.append(cases[0])
            continue
        shape = type_of(cases[0]).shape
        which = _clamped(index, len(cases))
        if len(shape) > 1:
            which = broadcast_in_dim(which, shape=shape, broadcast_dimensions=(0,))
        chosen.append(select_n(which, *cases))
    return chosen


def _clamped(index: Any, n: int) -> Any:
    low, high = _index(0), _index(n - 1)
    return clamp(low, index, high)


def _index(i: int) -> HostArray:
    return HostArray(np.int32(i))


def _union(masks: Any) -> Mask:
    return tuple(any(column) for column in zip(*masks, strict=True))


def _with_all_residuals(
    splits: Sequence[Split],
) -> tuple[tuple[ClosedProgram, ...], tuple[ClosedProgram, ...], int]:
    """Branches must agree in their types: each gives zeros for the residuals of the others."""
    types = [
        s.known.out_avals[len(s.known.out_avals) - s.residual_count :] for s in splits
    ]
    total = sum(map(len, types))
    known, linear = [], []
    for i, s in enumerate(splits):
        n = len(s.known.out_avals) - s.residual_count
        before, after = sum(map(len, types[:i])), sum(map(len, types[i + 1 :]))

        def known_branch(*xs: Any, s: Split = s, i: int = i, n: int = n) -> list[Any]:
            outs = run_closed(s.known, xs)
            others = [[zeros(t) for t in ts] for ts in types]
            others[i] = outs[n:]
            return [*outs[:n], *(x for group in others for x in group)]

        def linear_branch(*xs: Any, s: Split = s, before: int = before, after: int = after) -> Any:
            own = xs[before : before + s.residual_count]
            return run_closed(s.linear, [*own, *xs[before + s.residual_count + after :]])

        known.append(trace_program(known_branch, s.known.in_avals))
        in_types = [t for ts in types for t in ts] + s.linear.in_avals[s.residual_count :]
        linear.append(trace_program(linear_branch, in_types))
    return tuple(known), tuple(linear), total



# ---- what a user calls, on flat lists: trees are handled in lax/


def joined_branches(
    branches: Sequence[tuple[ClosedProgram, list[Any]]],
) -> tuple[tuple[ClosedProgram, ...], list[Any]]:
    """Programs that take the closed-over traced values of all branches, then the operands."""
    consts = [c for _, cs in branches for c in cs]
    programs, before = [], 0
    for closed, own in branches:
        p = closed.program
        first = [Var(type_of(c)) for c in consts[:before]]
        last = [Var(type_of(c)) for c in consts[before + len(own) :]]
        invars = [*first, *p.invars[: len(own)], *last, *p.invars[len(own) :]]
        program = Program(p.constvars, invars, p.outvars, p.eqns, p.name)
        programs.append(ClosedProgram(program, closed.consts))
        before += len(own)
    return tuple(programs), consts


def branch_index(pred: Any) -> Any:
    """The predicate of `cond`, a scalar bool or number, as the index of a branch."""
    pred = pred if isinstance(pred, Array) else host_array(pred)
    if type_of(pred).shape:
        raise error(
            TypeError,
            "Pred must be a scalar.",
            got=f"a predicate of type {type_of(pred).str_short()}",
            fix="reduce it with jnp.all or jnp.any, or use jnp.where for a choice per element.",
        )
    if pred.dtype != dtypes.bool_:
        pred = ne(pred, zeros(array_type((), pred.dtype, True)))
    return convert_element_type(pred, new_dtype=dtypes.int32, weak_type=False)


__all__ = ["branch_index", "cond_p", "joined_branches"]
