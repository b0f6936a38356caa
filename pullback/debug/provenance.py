"""Programs run again, operation by operation, to find the first NaN or infinity.

A compiled program is checked by its results only. If one of them offends, the program is done once
more in the checking trace; what consists of programs is searched inside: each round of a loop, the
branch that was taken.
"""

from __future__ import annotations

from typing import Any

from ..core.array import HostArray
from ..core.checking import here, inside_of, searches
from ..core.program import ClosedProgram, run_closed
from ..core.trace import EVAL, host_array, inside


def _program(args: Any, params: dict[str, Any]) -> None:
    """A primitive that stands for one program: a call of it."""
    called = params.pop("primitive").called_program(params)
    if isinstance(called, ClosedProgram):
        with inside(EVAL):
            run_closed(called, args)


def _checkpoint(args: Any, params: dict[str, Any]) -> None:
    with inside(EVAL):
        run_closed(params["jaxpr"], args)


def _cond(args: Any, params: dict[str, Any]) -> None:
    index, *operands = args
    branches = params["branches"]
    i = min(max(int(host_array(index)._value), 0), len(branches) - 1)
    with inside(EVAL), inside_of(f"branch {i} of the cond{_at()}"):
        run_closed(branches[i], operands)


def _scan(args: Any, params: dict[str, Any]) -> None:
    nc, nk, length = params["num_consts"], params["num_carry"], params["length"]
    consts, carry = args[:nc], args[nc : nc + nk]
    xs = [host_array(x)._value for x in args[nc + nk :]]
    rounds = range(length - 1, -1, -1) if params["reverse"] else range(length)
    turned = ", which runs from the last to the first," if params["reverse"] else ""
    place = _at()
    for i in rounds:
        with inside(EVAL), inside_of(f"round {i} of {length} of the scan{turned}{place}"):
            outs = run_closed(params["jaxpr"], [*consts, *carry, *(HostArray(x[i]) for x in xs)])
        carry = outs[:nk]


def _while(args: Any, params: dict[str, Any]) -> None:
    nc, nb = params["cond_nconsts"], params["body_nconsts"]
    cond_consts, body_consts, carry = args[:nc], args[nc : nc + nb], args[nc + nb :]
    place, i = _at(), 0
    while True:
        with inside(EVAL), inside_of(f"round {i} of the while_loop{place}"):
            (going,) = run_closed(params["cond_jaxpr"], [*cond_consts, *carry])
            if not host_array(going)._value:
                return
            carry = run_closed(params["body_jaxpr"], [*body_consts, *carry])
        i += 1


def _at() -> str:
    """` at file:line (function)` of the loop or branch."""
    origin = here()
    return f" at {origin.line}" + (", in its backward pass" if origin.backward else "")


searches.update(
    {"": _program, "checkpoint": _checkpoint, "cond": _cond, "scan": _scan, "while": _while}
)
