"""Carried arrays of which a round changes a part: `x.at[i].set(v)` need not copy the rest."""

from __future__ import annotations

from ....core.program import Equation, Program, Var
from ....ops.dynamic import dynamic_update_slice
from ....ops.indexing import scatter, scatter_add

UPDATES = {dynamic_update_slice, scatter, scatter_add}


def updated_in_place(program: Program, skip: int, count: int) -> dict[int, int]:
    """Equations (by id) that may overwrite a carried array, and which of the `count` it is.

    The inputs of the program are `skip` constants, the carry, and more; its first outputs are the
    next carry. An array may be overwritten if nothing reads it once it has been.
    """
    found: dict[int, int] = {}
    for k in range(count):
        var, out = program.invars[skip + k], program.outvars[k]
        if var.aval.size <= 32 or type(out) is not Var:
            continue
        chain = _chain(program, var, out)
        found.update((id(eq), k) for eq in chain)
    return found


def _chain(program: Program, var: Var, out: Var) -> list[Equation]:
    """The updates that lead from `var` to `out`, if each array between them is read before only."""
    chain: list[Equation] = []
    place = {v: i for i, eq in enumerate(program.eqns) for v in eq.outvars}
    current = out
    while current is not var:
        i = place.get(current)
        if i is None or program.eqns[i].primitive not in UPDATES:
            return []
        eq = program.eqns[i]
        if type(eq.invars[0]) is not Var or eq.invars[0] in eq.invars[1:]:
            return []
        chain.append(eq)
        current = eq.invars[0]
        later = program.eqns[i + 1 :]
        if current in program.outvars or any(current in e.invars for e in later):
            return []
    return chain
