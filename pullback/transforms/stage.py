"""Transformations of programs: each runs the program once, under the trace of that transformation,
inside a recording. What comes out is a program again; it is kept with the one it came from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

from ..core.errors import UnexpectedTracerError, error
from ..core.program import (
    ClosedProgram,
    RecordTrace,
    RecordTracer,
    hoist_tracers,
    run_closed,
    trace_program,
)
from ..core.settings import values
from ..core.trace import inside, running, state, type_of
from ..core.types import ArrayType
from ..ops.structural import broadcast_in_dim, move_axis, zeros
from . import batch, forward
from .modes import mode
from .reverse import Tape, TapeTracer, make

Mask = tuple[bool, ...]


def kept(transform: Callable[..., Any]) -> Callable[..., Any]:
    """Keep the result in the cache of the program, by the other (hashable) arguments."""

    @wraps(transform)
    def cached(closed: ClosedProgram, *key: Any) -> Any:
        whole = (transform, mode(), values.mesh, *key)
        if whole not in closed.cache:
            closed.cache[whole] = transform(closed, *key)
        return closed.cache[whole]

    return cached


def trace_body(
    function: Callable[..., Sequence[Any]],
    types: Sequence[ArrayType],
    of: Any,
    verb: str,
    names: Sequence[str] = (),
) -> tuple[ClosedProgram, list[Any]]:
    """The program of `function` with the traced values that it closes over as first inputs."""
    return hoist_tracers(trace_program(function, types, of, verb, names))


def derived(
    function: Callable[..., Sequence[Any]], types: Sequence[ArrayType], verb: str
) -> ClosedProgram:
    """The program of a function that is made of programs, so that it closes over nothing traced."""
    program, traced = trace_body(function, types, None, verb)
    if traced:
        raise error(
            UnexpectedTracerError,
            "a derivative rule of the user's, called inside jit, scan, while_loop or cond, closes "
            "over a traced value.",
            got=", ".join(x.describe() for x in traced),
            fix="pass the value as an argument of the function that has the rule.",
        )
    return program


@kept
def jvp_program(closed: ClosedProgram, active: Mask, wanted: Mask) -> tuple[ClosedProgram, Mask]:
    """From primals and the tangents of `active` inputs to primals and tangents of the outputs.

    The mask says which outputs have a tangent; those in `wanted` have one in any case.
    """
    found: list[Mask] = []

    def function(*args: Any) -> list[Any]:
        n = len(active)
        tangents = iter(args[n:])
        dxs = [next(tangents) if a else None for a in active]
        outs, dys = forward.jvp(lambda *xs: run_closed(closed, xs), args[:n], dxs)
        dys = [
            zeros(type_of(y)) if dy is None and w else dy
            for y, dy, w in zip(outs, dys, wanted, strict=True)
        ]
        found.append(tuple(dy is not None for dy in dys))
        return [*outs, *(dy for dy in dys if dy is not None)]

    types = closed.in_avals + [t for t, a in zip(closed.in_avals, active, strict=True) if a]
    program = derived(function, types, "jvp")
    return program, found[0]


@kept
def batch_program(
    closed: ClosedProgram, size: int, axes: tuple[int | None, ...], wanted: Mask, axis_name: Any
) -> tuple[ClosedProgram, tuple[int | None, ...]]:
    """The program for all elements at once. Outputs in `wanted` are always mapped, on axis 0."""
    found: list[tuple[int | None, ...]] = []

    def function(*args: Any) -> list[Any]:
        outs, have = batch.vmap(lambda *xs: run_closed(closed, xs), size, args, axes, axis_name)
        placed, at = [], []
        for y, axis, w in zip(outs, have, wanted, strict=True):
            if axis is None and w:
                shape = type_of(y).shape
                dims = tuple(range(1, len(shape) + 1))
                y = broadcast_in_dim(y, shape=(size, *shape), broadcast_dimensions=dims)
            elif axis is not None:
                y = move_axis(y, axis, 0)
            placed.append(y)
            at.append(0 if axis is not None or w else None)
        found.append(tuple(at))
        return placed

    types = [
        t if a is None else t.with_axis(a, size) for t, a in zip(closed.in_avals, axes, strict=True)
    ]
    program = derived(function, types, "vmap")
    return program, found[0]


@dataclass
class Split:
    """A program in two: what depends on known inputs only, and the rest, linear in unknown ones."""

    known: ClosedProgram
    """From known inputs to the known outputs, then the residuals."""
    linear: ClosedProgram
    """From residuals, then unknown inputs, to the unknown outputs."""
    unknown_out: Mask
    residual_count: int


@kept
def split_program(closed: ClosedProgram, unknown: Mask, wanted: Mask) -> Split:
    """Partial evaluation: the program with the operations on unknown inputs put on a tape.

    Outputs in `wanted` count as unknown in any case: what is known of them becomes a residual.
    """
    record = RecordTrace(state.trace, None, "jit")
    with running(record):
        tape = make.tape(record, None)
        args: list[Any] = []
        for t, u in zip(closed.in_avals, unknown, strict=True):
            args.append(tape.new_input(t) if u else record.new_input(t))
        with inside(tape):
            outs = run_closed(closed, args)
        outs = [tape.lift(y) if w else y for y, w in zip(outs, wanted, strict=True)]
        unknown_out = tuple(type(y) is TapeTracer and y.owner is tape for y in outs)
        places = [y.linear for y, u in zip(outs, unknown_out, strict=True) if u]
        tape.forget_dead(places)
        residuals: dict[int, Any] = {}
        for x in tape.known():
            if isinstance(x, RecordTracer):
                residuals.setdefault(id(x.place), x)
        known_outs = [y for y, u in zip(outs, unknown_out, strict=True) if not u]
        known = record.finish([*known_outs, *residuals.values()])
    linear = _tape_program(tape, places, residuals)
    linear.cache["linear in"] = (False,) * len(residuals) + (True,) * sum(unknown)
    known, traced = hoist_tracers(known)
    assert not traced, "a program in an equation holds no traced values"
    return Split(known, linear, unknown_out, len(residuals))


def _tape_program(tape: Tape, places: Any, residuals: dict[int, Any]) -> ClosedProgram:
    """The tape as a program of the residuals and the tape's inputs."""

    def function(*args: Any) -> list[Any]:
        given = dict(zip(residuals, args, strict=False))
        known = [given[id(x.place)] if isinstance(x, RecordTracer) else x for x in tape.known()]
        return tape.with_known(known).push(places, args[len(residuals) :])

    types = [x.aval for x in residuals.values()] + tape.avals
    return trace_program(function, types)


@kept
def transpose_program(
    closed: ClosedProgram, linear: Mask, given: Mask, wanted: Mask
) -> tuple[ClosedProgram, Mask]:
    """From the inputs that are not linear, and the given cotangents, to those of linear inputs.

    The mask says which linear inputs have a cotangent; those in `wanted` have one in any case.
    """
    found: list[Mask] = []
    types = closed.in_avals

    def function(*args: Any) -> list[Any]:
        rest = iter(args)
        tape = make.tape(state.trace, None)
        inputs = [
            tape.new_input(t) if is_lin else next(rest)
            for t, is_lin in zip(types, linear, strict=True)
        ]
        cts = [next(rest) if g else None for g in given]
        with inside(tape):
            outs = run_closed(closed, inputs)
        places = [y.linear if type(y) is TapeTracer and y.owner is tape else None for y in outs]
        back = tape.pull(places, cts, consume=True)
        back = [
            zeros(t) if ct is None and w else ct
            for ct, t, w in zip(back, tape.avals, wanted, strict=True)
        ]
        found.append(tuple(ct is not None for ct in back))
        return [ct for ct in back if ct is not None]

    in_types = [t for t, is_lin in zip(types, linear, strict=True) if not is_lin]
    in_types += [t for t, g in zip(closed.out_avals, given, strict=True) if g]
    program = derived(function, in_types, "transpose")
    return program, found[0]
