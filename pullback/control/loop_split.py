"""The body of a scan in two, for reverse mode: a loop over what is known, then one that is linear.

The residuals, which the known loop hands to the linear one, are most of the memory of reverse mode.
Only those are stacked that differ from step to step and are not at hand as a stacked array already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..core.program import ClosedProgram, Equation, Program, Var, has_effects, run_closed
from ..transforms.simplify import dead_code
from ..transforms.stage import Mask, Split, derived, kept, split_program


@dataclass
class LoopParts:
    """Programs and bookkeeping. The order of the linear body's inputs: residuals that are the same
    in all steps, unknown constants, unknown carry, residuals of each step, unknown xs.
    """

    unknown_carry: Mask
    unknown_out: Mask
    before: ClosedProgram
    """From the known constants to the residuals that are the same in all steps."""
    known: ClosedProgram
    """The body on what is known. Outputs: known carry, known ys, residuals to be stacked."""
    linear: ClosedProgram
    sources: list[tuple[str, int]]
    """Where each residual of a step comes from: "xs", "ys" or "stacked", and which of these."""

    @property
    def stacked_count(self) -> int:
        """How many residuals the known loop stacks."""
        return sum(name == "stacked" for name, _ in self.sources)

    @property
    def without_residuals(self) -> ClosedProgram:
        """The body on what is known, which gives known carry and known ys only."""
        p, consts = self.known.program, self.known.consts
        outs = p.outvars[: len(p.outvars) - self.stacked_count]
        return ClosedProgram(
            dead_code(Program(p.constvars, p.invars, outs, p.eqns, name=p.name)), consts
        )

    def sequences(self, xs: Sequence[Any], ys: Sequence[Any], stacked: Sequence[Any]) -> list[Any]:
        """The residuals of the steps as arrays to run over."""
        at_hand = {"xs": xs, "ys": ys, "stacked": stacked}
        return [at_hand[name][i] for name, i in self.sources]


@kept
def split_loop(jaxpr: ClosedProgram, u_consts: Mask, u_carry: Mask, u_xs: Mask) -> LoopParts:
    """Split a body whose inputs are constants, carry and xs; those marked are unknown."""
    nk = len(u_carry)
    n_ys = len(jaxpr.out_avals) - nk
    while True:  # a carry that is unknown after one step is unknown before the next
        unknown = (*u_consts, *u_carry, *u_xs)
        split = split_program(jaxpr, unknown, (*u_carry, *(False,) * n_ys))
        if split.unknown_out[:nk] == u_carry:
            break
        u_carry = split.unknown_out[:nk]
    n_consts = len(u_consts) - sum(u_consts)
    p, consts = split.known.program, split.known.consts
    same, sources = _sort_residuals(split, n_consts, nk - sum(u_carry))
    first = len(p.outvars) - split.residual_count
    stacked = [p.outvars[first + r] for r, (name, _) in sources.items() if name == "stacked"]
    known = Program(p.constvars, p.invars, [*p.outvars[:first], *stacked], p.eqns, name=p.name)
    before = Program(
        p.constvars,
        p.invars[:n_consts],
        [p.outvars[first + r] for r in same],
        _invariant(p, n_consts)[0],
        name=p.name,
    )
    return LoopParts(
        u_carry,
        split.unknown_out,
        ClosedProgram(before, consts),
        ClosedProgram(known, consts),
        _linear_body(split, same, list(sources), sum(u_consts) + sum(u_carry)),
        list(sources.values()),
    )


def _sort_residuals(
    split: Split, n_consts: int, n_carry: int
) -> tuple[list[int], dict[int, tuple[str, int]]]:
    """The residuals, by number, that are the same in all steps, and the sources of the others."""
    p = split.known.program
    first = len(p.outvars) - split.residual_count
    invariant = _invariant(p, n_consts)[1]
    xs = {var: i for i, var in enumerate(p.invars[n_consts + n_carry :])}
    ys = {atom: i for i, atom in enumerate(p.outvars[n_carry:first])}
    same: list[int] = []
    sources: dict[int, tuple[str, int]] = {}
    stacked = 0
    for r, atom in enumerate(p.outvars[first:]):
        if type(atom) is not Var or atom in invariant:
            same.append(r)
        elif atom in xs:
            sources[r] = ("xs", xs[atom])
        elif atom in ys:
            sources[r] = ("ys", ys[atom])
        else:
            sources[r] = ("stacked", stacked)
            stacked += 1
    return same, sources


def _invariant(p: Program, n_consts: int) -> tuple[list[Equation], set[Var]]:
    """The equations that depend on constants of the loop only, and all variables that do."""
    known = {*p.constvars, *p.invars[:n_consts]}
    equations = []
    for eq in p.eqns:
        if all(type(a) is not Var or a in known for a in eq.invars) and not has_effects(eq):
            equations.append(eq)
            known.update(eq.outvars)
    return equations, known


def _linear_body(split: Split, same: list[int], each: list[int], n_middle: int) -> ClosedProgram:
    """`split.linear` with the residuals of each step behind the `n_middle` constants and carry."""
    n_same, n_front = len(same), len(same) + n_middle

    def function(*args: Any) -> list[Any]:
        residuals: list[Any] = [None] * split.residual_count
        rest = args[n_front + len(each) :]
        for r, x in zip(same, args, strict=False):
            residuals[r] = x
        for r, x in zip(each, args[n_front:], strict=False):
            residuals[r] = x
        return run_closed(split.linear, [*residuals, *args[n_same:n_front], *rest])

    types = split.linear.in_avals
    middle = types[split.residual_count : split.residual_count + n_middle]
    rest = types[split.residual_count + n_middle :]
    ordered = [*(types[r] for r in same), *middle, *(types[r] for r in each), *rest]
    return derived(function, ordered, "scan")


__all__ = ["LoopParts", "split_loop"]
