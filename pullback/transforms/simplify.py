"""Simpler programs of the same meaning: calls opened, equal equations shared, constants computed,
dead equations gone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import HostArray
from ..core.program import (
    Atom,
    ClosedProgram,
    Equation,
    Literal,
    Program,
    Var,
    has_effects,
    sub_programs,
)
from ..core.trace import quiet


def simplify(closed: ClosedProgram) -> ClosedProgram:
    """`closed` for an engine: calls inlined, equal equations computed once, constant ones now,
    unused ones dropped."""
    program = reduced(inline_calls(closed))
    return ClosedProgram(dead_code(program.program), program.consts)


def inline_calls(closed: ClosedProgram) -> ClosedProgram:
    """Write the equations of nested `jit` calls in their place."""
    if all(_inner(eq) is None for eq in closed.eqns):
        return closed
    constvars, consts = list(closed.program.constvars), list(closed.consts)
    equations: list[Equation] = []

    def write(eqns: list[Equation], env: dict[Var, Atom]) -> None:
        def read(atom: Atom) -> Atom:
            return env.get(atom, atom) if type(atom) is Var else atom

        for eq in eqns:
            args = [read(a) for a in eq.invars]
            inner = _inner(eq)
            if inner is None:
                outs = [Var(v.aval) for v in eq.outvars]
                env.update(zip(eq.outvars, outs, strict=True))
                equations.append(
                    Equation(args, outs, eq.primitive, eq.params, None, eq.source_info)
                )
                continue
            inner_env: dict[Var, Atom] = dict(zip(inner.program.invars, args, strict=True))
            for var, const in zip(inner.program.constvars, inner.consts, strict=True):
                fresh = Var(var.aval)
                constvars.append(fresh)
                consts.append(const)
                inner_env[var] = fresh
            write(inner.program.eqns, inner_env)
            for var, atom in zip(eq.outvars, inner.program.outvars, strict=True):
                env[var] = inner_env.get(atom, atom) if type(atom) is Var else atom

    env: dict[Var, Atom] = {}
    write(closed.eqns, env)
    p = closed.program
    outvars = [env.get(a, a) if type(a) is Var else a for a in p.outvars]
    return ClosedProgram(Program(constvars, p.invars, outvars, equations, name=p.name), consts)


def _inner(eq: Equation) -> Any:
    return eq.primitive.lowered_program([a.aval for a in eq.invars], eq.params)


def reduced(closed: ClosedProgram) -> ClosedProgram:
    """Equal equations once, those of constants computed now, those that change nothing gone.

    Two equations are equal if primitive, inputs and parameters are.
    """
    program = closed.program
    seen: dict[Any, list[Var]] = {}
    env: dict[Var, Atom] = {}
    constants = _Constants(closed)
    equations = []
    for eq in program.eqns:
        args = [env.get(a, a) if type(a) is Var else a for a in eq.invars]
        if eq.primitive.keeps(args, eq.outvars):
            env[eq.outvars[0]] = args[0]
            continue
        known = constants.results(eq, args)
        if known is not None:
            env.update(zip(eq.outvars, known, strict=True))
            continue
        key = _equation_key(eq, args)
        if key is not None and key in seen:
            env.update(zip(eq.outvars, seen[key], strict=True))
            continue
        if key is not None:
            seen[key] = eq.outvars
        equations.append(Equation(args, eq.outvars, eq.primitive, eq.params))
    outvars = [env.get(a, a) if type(a) is Var else a for a in program.outvars]
    constvars = [*program.constvars, *constants.added]
    consts = [*closed.consts, *constants.added.values()]
    return ClosedProgram(
        Program(constvars, program.invars, outvars, equations, name=program.name), consts
    )


_MOST_FOLDED = 1 << 12
"""Elements above which the result of an equation of constants is not kept in the program."""


class _Constants:
    """What is known of a program's values before it runs."""

    def __init__(self, closed: ClosedProgram) -> None:
        pairs = zip(closed.program.constvars, closed.consts, strict=True)
        self.known = {v: x for v, x in pairs if type(x) is HostArray}
        self.added: dict[Var, HostArray] = {}

    def results(self, eq: Equation, args: list[Atom]) -> list[Atom] | None:
        """The results of an equation of constants, if it is to be computed now."""
        if any(type(a) is Var and a not in self.known for a in args):
            return None
        size = sum(v.aval.size for v in eq.outvars)
        if not isinstance(size, int) or size > _MOST_FOLDED or not eq.primitive.foldable:
            return None  # a length may be an expression, for `export`
        if has_effects(eq) or sub_programs(eq.params):
            return None
        values = [a.val if type(a) is Literal else self.known[a]._value for a in args]  # type: ignore[index]
        try:
            with quiet():
                outs = eq.primitive.eval(*values, **eq.params)  # type: ignore[attr-defined]
        except Exception:  # it is for the program to fail, when it runs
            return None
        outs = outs if eq.primitive.multiple_results else [outs]
        return [self._atom(y, v) for y, v in zip(outs, eq.outvars, strict=True)]

    def _atom(self, value: Any, var: Var) -> Atom:
        array = HostArray(value, var.aval.weak_type)
        if not var.aval.shape and not dtypes.is_key(value.dtype):
            return Literal(array)
        new = Var(var.aval)
        self.known[new] = self.added[new] = array
        return new


def _equation_key(eq: Equation, args: list[Atom]) -> Any:
    if has_effects(eq):
        return None
    try:
        params = tuple(sorted(eq.params.items()))
        key = (eq.primitive, tuple(map(_atom_key, args)), params)
        hash(key)
    except TypeError:  # a parameter that cannot be hashed or ordered
        return None
    return key


def _atom_key(atom: Atom) -> Any:
    if type(atom) is Literal:
        return (atom.aval, np.asarray(atom.val).tobytes())
    return atom


def dead_code(program: Program) -> Program:
    """Without the equations whose results nobody uses, unless they have an effect."""
    live = {a for a in program.outvars if type(a) is Var}
    kept = []
    for eq in reversed(program.eqns):
        if any(v in live for v in eq.outvars) or has_effects(eq):
            live.update(a for a in eq.invars if type(a) is Var)
            kept.append(eq)
    return Program(
        program.constvars, program.invars, program.outvars, kept[::-1], name=program.name
    )
