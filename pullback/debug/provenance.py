"""Programs run again, operation by operation, to find where a NaN or infinity in a result began.

A compiled program is checked by its results only. If one of them offends, the program is run once
more and all values are kept; from the result the way goes back through operands that offend, to an
operation none of whose operands does. What is masked on the way to the result is not blamed. What
consists of programs is searched inside: the first bad round of a loop, the branch that was taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..core.array import HostArray
from ..core.checking import (
    here,
    inside_of,
    offence,
    offending,
    search_inside,
    searches,
    standing_at,
)
from ..core.program import Atom, ClosedProgram, Equation, Literal, Var
from ..core.trace import EVAL, host_array, inside, state
from ..engines import numpy as numpy_engine
from ..ops.elementwise import select_n


@contextmanager
def _searching() -> Iterator[None]:
    before, state.searching = state.searching, True
    try:
        with inside(EVAL):
            yield
    finally:
        state.searching = before


def _search(closed: ClosedProgram, args: Sequence[Any]) -> None:
    """Raise the error for the operation that spoils a result of the program; none: return."""
    program = closed.program
    env: dict[Var, Any] = dict(zip(program.constvars, closed.consts, strict=True))
    env.update(zip(program.invars, map(host_array, args), strict=True))
    makers: dict[Var, Equation] = {}
    with _searching():
        for eq in program.eqns:
            with standing_at(eq.source_info.line):
                out = eq.primitive(*[_read(a, env) for a in eq.invars], **eq.params)
            outs = out if eq.primitive.multiple_results else [out]
            env.update(zip(eq.outvars, outs, strict=True))
            makers.update(dict.fromkeys(eq.outvars, eq))
    for atom in program.outvars:
        if type(atom) is Var and atom in makers and offence(env[atom]) is not None:
            _blame(_origin_of(atom, env, makers), env, makers)


def _read(atom: Atom, env: dict[Var, Any]) -> Any:
    return atom.array if type(atom) is Literal else env[atom]  # type: ignore[index]


def _origin_of(var: Var, env: dict[Var, Any], makers: dict[Var, Equation]) -> Var:
    """The value at which what is wrong with `var` began."""
    while True:
        found = offence(env[var])
        assert found is not None
        eq = makers[var]
        earlier = next(
            (
                a
                for a in eq.invars
                if type(a) is Var and a in makers and _passes_on(eq, env[a], *found)
            ),
            None,
        )
        if earlier is None:
            return var
        var = earlier


def _passes_on(eq: Equation, operand: Any, name: str, bad: Any) -> bool:
    """Whether an operand offends in the same way, where the operation is one of elements in the
    same place."""
    found = offence(operand)
    if found is None or found[0] != name:
        return False
    if eq.primitive is select_n or hasattr(eq.primitive, "jvp_rules"):
        return bool(np.any(found[1] & bad))
    return True


def _blame(var: Var, env: dict[Var, Any], makers: dict[Var, Equation]) -> None:
    eq, y = makers[var], env[var]
    args = [_read(a, env) for a in eq.invars]
    with standing_at(eq.source_info.line):
        if eq.primitive.multiple_results:
            search_inside(eq.primitive, args, eq.params)
        raise offending(eq.primitive, args, y, offence(y))


def _values(closed: ClosedProgram, args: Sequence[Any]) -> tuple[list[HostArray], bool]:
    """The results of a program, and whether one offends."""
    found = numpy_engine.compiled(closed)(*[host_array(x)._value for x in args])
    outs = [HostArray(y) for y in found]
    return outs, any(offence(y) is not None for y in outs)


# ---- what consists of programs


def _program(args: Sequence[Any], params: dict[str, Any]) -> None:
    called = params.pop("primitive").called_program(params)
    if isinstance(called, ClosedProgram):
        _search(called, args)


def _checkpoint(args: Sequence[Any], params: dict[str, Any]) -> None:
    _search(params["jaxpr"], args)


def _cond(args: Sequence[Any], params: dict[str, Any]) -> None:
    index, *operands = args
    branches = params["branches"]
    i = min(max(int(host_array(index)._value), 0), len(branches) - 1)
    with inside_of(f"branch {i} of the cond{_at()}"):
        _search(branches[i], operands)


def _scan(args: Sequence[Any], params: dict[str, Any]) -> None:
    nc, nk, length = params["num_consts"], params["num_carry"], params["length"]
    consts, carry = args[:nc], args[nc : nc + nk]
    xs = [host_array(x)._value for x in args[nc + nk :]]
    turned = ", which runs from the last to the first," if params["reverse"] else ""
    for i in range(length - 1, -1, -1) if params["reverse"] else range(length):
        given = [*consts, *carry, *(HostArray(x[i]) for x in xs)]
        outs, bad = _values(params["jaxpr"], given)
        if bad:
            with inside_of(f"round {i} of {length} of the scan{turned}{_at()}"):
                _search(params["jaxpr"], given)
        carry = outs[:nk]


def _while(args: Sequence[Any], params: dict[str, Any]) -> None:
    nc, nb = params["cond_nconsts"], params["body_nconsts"]
    cond_consts, body_consts, carry = args[:nc], args[nc : nc + nb], args[nc + nb :]
    i = 0
    while _values(params["cond_jaxpr"], [*cond_consts, *carry])[0][0]._value:
        given = [*body_consts, *carry]
        outs, bad = _values(params["body_jaxpr"], given)
        if bad:
            with inside_of(f"round {i} of the while_loop{_at()}"):
                _search(params["body_jaxpr"], given)
        carry, i = outs, i + 1


def _at() -> str:
    """` at file:line (function)` of the loop or branch."""
    origin = here()
    return f" at {origin.line}" + (", in its backward pass" if origin.backward else "")


searches.update(
    {"": _program, "checkpoint": _checkpoint, "cond": _cond, "scan": _scan, "while": _while}
)
