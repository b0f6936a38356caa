"""The solution x of a linear system matvec(x) = b, by the user's solver.

Derivatives do not go through the solver: dx solves the same system with another right side, and the
cotangent of b solves the transposed system.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..core.errors import error
from ..core.primitive import Linear
from ..core.program import ClosedProgram, Program, Var
from ..core.trace import inside
from ..core.types import ArrayType
from ..engines import numpy as numpy_engine
from ..ops.elementwise import add_any, neg
from ..ops.structural import to_front, zeros_of
from ..transforms.stage import batch_program, jvp_program
from .call import ProgramPrimitive, jit_p, present, spread


class Solvers(NamedTuple):
    """The programs: each takes constants of its own, then a vector. Those for the transposed system
    are None where there is no solver for it.
    """

    matvec: ClosedProgram
    vecmat: Any
    solve: ClosedProgram
    transpose_solve: Any


@dataclass(frozen=True)
class Counts:
    """How many constants each program has: they stand before b, in this order."""

    matvec: int
    vecmat: int
    solve: int
    transpose_solve: int

    @property
    def total(self) -> int:
        """All constants."""
        return self.matvec + self.vecmat + self.solve + self.transpose_solve

    def split(self, xs: Sequence[Any]) -> list[list[Any]]:
        """The constants of each program, and what comes behind them."""
        groups, rest = [], list(xs)
        for n in (self.matvec, self.vecmat, self.solve, self.transpose_solve):
            groups.append(rest[:n])
            rest = rest[n:]
        return [*groups, rest]


class CustomLinearSolve(ProgramPrimitive):
    """Arguments: the constants of all programs, then b. Results: x, then auxiliary data."""

    def typing(self, *types: Any, const_lengths: Counts, jaxprs: Solvers) -> list[ArrayType]:
        groups = const_lengths.split(types)
        self.check_inputs([*groups[2], *groups[4]], jaxprs.solve.in_avals)
        return jaxprs.solve.out_avals

    def eval(self, *xs: Any, const_lengths: Counts, jaxprs: Solvers) -> Any:
        groups = const_lengths.split(xs)
        return numpy_engine.compiled(jaxprs.solve)(*groups[2], *groups[4])

    def lowered_program(self, types: Sequence[ArrayType], params: Any) -> ClosedProgram:
        """What an engine runs: the solver, which leaves the constants of the others aside."""
        counts, solve = params["const_lengths"], params["jaxprs"].solve
        first = counts.matvec + counts.vecmat
        key = ("lowered", counts, tuple(types))
        if key not in solve.cache:
            before, rest = types[:first], types[first + counts.solve :]
            behind, p = rest[: counts.transpose_solve], solve.program
            own, b = p.invars[: counts.solve], p.invars[counts.solve :]
            invars = [*map(Var, before), *own, *map(Var, behind), *b]
            program = Program(p.constvars, invars, p.outvars, p.eqns, name=p.name)
            solve.cache[key] = ClosedProgram(program, solve.consts)
        found: ClosedProgram = solve.cache[key]
        return found

    def shown(self, params: dict[str, Any]) -> dict[str, Any]:
        programs = tuple(p for p in params["jaxprs"] if p is not None)
        return {**params, "jaxprs": programs}

    def forward(self, trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
        counts: Counts = params["const_lengths"]
        matvec: ClosedProgram = params["jaxprs"].matvec
        with inside(trace.parent):
            outs = custom_linear_solve(*primals, **params)
        consts, b = primals[: counts.total], primals[counts.total :]
        of_matvec, x = primals[: counts.matvec], outs[: len(b)]
        d_matvec, db = tangents[: counts.matvec], tangents[counts.total :]
        with inside(trace.tangents):
            # d(Ax) = dA x + A dx = db, so that A dx = db - dA x.
            right = db
            if any(t is not None for t in d_matvec):
                change = _change_of_matvec(matvec, of_matvec, d_matvec, x)
                right = [_difference(t, c) for t, c in zip(db, change, strict=True)]
            if all(t is None for t in right):
                return outs, [None] * len(outs)
            filled = [zeros_of(x) if t is None else t for x, t in zip(b, right, strict=True)]
            dx = custom_linear_solve(*consts, *filled, **params)[: len(b)]
        return outs, [*dx, *[None] * (len(outs) - len(b))]

    def transpose(self, cts: Any, *args: Any, const_lengths: Counts, jaxprs: Solvers) -> list[Any]:
        if jaxprs.transpose_solve is None:
            raise error(
                TypeError,
                "transpose_solve required for backwards mode automatic differentiation of "
                "custom_linear_solve.",
                got="a solver for matvec(x) = b only",
                fix="give transpose_solve=, or symmetric=True for a symmetric system.",
            )
        n, total = len(jaxprs.matvec.out_avals), const_lengths.total
        matvec, vecmat, solve, transpose_solve, b = const_lengths.split(args)
        cts = [zeros_of(x) if ct is None else ct for x, ct in zip(b, cts[:n], strict=True)]
        turned = Solvers(jaxprs.vecmat, jaxprs.matvec, jaxprs.transpose_solve, jaxprs.solve)
        found = custom_linear_solve(
            *vecmat,
            *matvec,
            *transpose_solve,
            *solve,
            *cts,
            const_lengths=Counts(len(vecmat), len(matvec), len(transpose_solve), len(solve)),
            jaxprs=turned,
        )
        found = [ct if type(x) is Linear else None for x, ct in zip(b, found[:n], strict=True)]
        return [*[None] * total, *found]

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        counts, size, name = params["const_lengths"], trace.size, trace.axis_name
        n = len(values) - counts.total
        at = counts.split(axes)[:4]
        programs: list[Any] = []
        found: Any = ()
        for program, const_axes in zip(params["jaxprs"], at, strict=True):
            if program is None:
                programs.append(None)
                continue
            wanted = (True,) * n + (False,) * (len(program.out_avals) - n)
            batched, out_axes = batch_program(program, size, (*const_axes, *(0,) * n), wanted, name)
            programs.append(batched)
            if program is params["jaxprs"].solve:
                found = out_axes
        consts, b = values[: counts.total], values[counts.total :]
        with inside(trace.parent):
            b = [to_front(x, a, size) for x, a in zip(b, axes[counts.total :], strict=True)]
            outs = custom_linear_solve(*consts, *b, const_lengths=counts, jaxprs=Solvers(*programs))
        return outs, list(found)


custom_linear_solve = CustomLinearSolve()


def _change_of_matvec(matvec: ClosedProgram, consts: Any, tangents: Any, x: Any) -> list[Any]:
    """The tangent of matvec(x) for tangents of its constants, x the same."""
    active = (*(t is not None for t in tangents), *(False,) * len(x))
    n = len(matvec.out_avals)
    program, has_tangent = jvp_program(matvec, active, (False,) * n)
    outs = jit_p(*consts, *x, *present(tangents), jaxpr=program, name="matvec")
    return spread(outs[n:], has_tangent)


def _difference(t: Any, change: Any) -> Any:
    if change is None:
        return t
    return neg(change) if t is None else add_any(t, neg(change))


__all__ = ["Counts", "Solvers", "custom_linear_solve"]
