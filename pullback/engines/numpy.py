"""The NumPy engine: a program becomes one flat Python function of NumPy calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.program import Atom, ClosedProgram, Literal, Program, Var
from ..core.trace import quiet
from ..transforms.simplify import simplify
from .prepared import prepared

_FORGET_ABOVE = 1 << 12
"""Bytes above which a value is forgotten after its last use; below, the statement costs more."""


def supports(program: Program) -> bool:
    """Every program: each primitive has an `eval`."""
    return True


def compiled(closed: ClosedProgram) -> Callable[..., tuple[Any, ...]]:
    """`compile`, once for each program."""
    run = closed.cache.get("numpy")
    if run is None:
        run = closed.cache["numpy"] = compile_program(closed)
    return run  # type: ignore[no-any-return]


def compile_program(closed: ClosedProgram) -> Callable[..., tuple[Any, ...]]:
    """A function from the values of the inputs to those of the outputs, all NumPy arrays."""
    source, scope = write_source(simplify(closed))
    exec(compile(source, f"<pullback program {closed.program.name}>", "exec"), scope)
    return scope["run"]  # type: ignore[no-any-return]


def write_source(closed: ClosedProgram) -> tuple[str, dict[str, Any]]:
    """The text of the function, and the values its names stand for."""
    program = closed.program
    names: dict[Var, str] = {}
    scope: dict[str, Any] = {"quiet": quiet}

    def constant(value: Any) -> str:
        name = f"k{len(scope)}"
        scope[name] = value
        return name

    def read(atom: Atom) -> str:
        return constant(atom.val) if type(atom) is Literal else names[atom]  # type: ignore[index]

    def bind(var: Var) -> str:
        names[var] = f"v{len(names)}"
        return names[var]

    for var, value in zip(program.constvars, closed.consts, strict=True):
        names[var] = constant(value._value)
    inputs = ", ".join(bind(v) for v in program.invars)
    last = _last_uses(program)
    lines = []
    for i, eq in enumerate(program.eqns):
        args = [read(a) for a in eq.invars]
        run = prepared(eq.primitive, [a.aval for a in eq.invars], eq.params)
        if run is None:
            run = eq.primitive.eval  # type: ignore[attr-defined]
            args += [f"{key}={constant(value)}" for key, value in eq.params.items()]
        outs = [bind(v) for v in eq.outvars]
        targets = ", ".join(outs) + ("," if eq.primitive.multiple_results else "")
        call = f"{constant(run)}({', '.join(args)})"
        lines.append(f"{targets} = {call}" if outs else call)
        forgotten = [names[v] for v in last.get(i, ()) if v in names]
        if forgotten:
            lines.append(" = ".join(forgotten) + " = None")
    outputs = ", ".join(read(a) for a in program.outvars)
    lines.append(f"return ({outputs}{',' if len(program.outvars) == 1 else ''})")
    body = "\n".join("        " + line for line in lines)
    return f"def run({inputs}):\n    with quiet():\n{body}\n", scope


def _last_uses(program: Program) -> dict[int, list[Var]]:
    """For each equation the large values that are not needed after it."""
    kept = {a for a in program.outvars if type(a) is Var} | set(program.constvars)
    last: dict[Var, int] = {}
    for i, eq in enumerate(program.eqns):
        for atom in (*eq.invars, *eq.outvars):
            if type(atom) is Var and atom not in kept:
                last[atom] = i
    found: dict[int, list[Var]] = {}
    for var, i in last.items():
        if var.aval.size * var.aval.dtype.itemsize > _FORGET_ABOVE:
            found.setdefault(i, []).append(var)
    return found
