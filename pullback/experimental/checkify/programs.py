"""The transformation: a program is run, or written anew, with an error value beside its results.

Calls of programs get programs that give an error value too; loops carry it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...control.branches import cond_p
from ...control.call import jit_p
from ...control.checkpoint import checkpoint_p
from ...control.custom import custom_jvp_call, custom_vjp_call
from ...control.scan import scan_p
from ...control.while_loop import ENDS_APART, while_p
from ...core.array import HostArray
from ...core.errors import noted_error
from ...core.program import (
    ClosedProgram,
    Equation,
    Literal,
    Program,
    run_closed,
    sub_programs,
    trace_program,
)
from ...ops.structural import zeros
from ...transforms.stage import derived, kept
from .automatic import Errors, checks_of
from .check import check_p
from .found import CODE, Ledger, by_key
from .sites import FailedCheckError, Key, Sites


def run_checked(
    program: Program, consts: Sequence[Any], args: Sequence[Any], errors: Errors, ledger: Ledger
) -> list[Any]:
    """Do the equations in the current trace; what is found goes into the ledger."""
    env: dict[Any, Any] = dict(zip(program.constvars, consts, strict=True))
    env.update(zip(program.invars, args, strict=True))

    def read(atom: Any) -> Any:
        return atom.array if type(atom) is Literal else env[atom]

    for eq in program.eqns:
        outs = _do(eq, [read(a) for a in eq.invars], errors, ledger)
        env.update(zip(eq.outvars, outs, strict=True))
    return [read(a) for a in program.outvars]


def _do(eq: Equation, args: list[Any], errors: Errors, ledger: Ledger) -> list[Any]:
    """One equation: its results."""
    primitive, params = eq.primitive, eq.params
    if primitive is check_p:
        if FailedCheckError in errors:
            code, *values = args
            ledger.merge(code, by_key(params["keys"], values), params["sites"])
        return []
    inside = any(_has_checks(p, errors) for p in sub_programs(params))
    if inside and primitive in _RULES:
        return _RULES[primitive](eq, args, errors, ledger)
    called = primitive.called_program(params) if inside else None
    if called is not None:
        return run_checked(called.program, called.consts, args, errors, ledger)
    found = primitive(*args, **params)
    outs = list(found) if primitive.multiple_results else [found]
    local = Ledger()
    for check in checks_of(eq, errors):
        check(local, eq, args, outs)
    if local.code is not None:
        ledger.merge(local.code, local.payloads, local.sites, _line(eq))
    return outs


def _line(eq: Equation) -> str:
    """The user's line, where the recording kept it."""
    found = eq.source_info.traceback
    return found if isinstance(found, str) else ""


def _has_checks(program: Program, errors: Errors) -> bool:
    """Whether something in it is to be checked, or is a check."""
    return any(
        eq.primitive is check_p  # also if it is not asked for: then it must go
        or checks_of(eq, errors)
        or any(_has_checks(p, errors) for p in sub_programs(eq.params))
        for eq in program.eqns
    )


@dataclass
class Checked:
    """A program whose first results are an error: the code, then the payloads of all `keys`."""

    closed: ClosedProgram
    keys: tuple[Key, ...]
    sites: Sites

    @property
    def count(self) -> int:
        """How many of the results are the error."""
        return 1 + sum(map(len, self.keys))

    def enter(self, ledger: Ledger, outs: Sequence[Any], eq: Equation) -> list[Any]:
        """Put the error among the results into the ledger; the others."""
        n = self.count
        line = _line(eq)
        ledger.merge(outs[0], by_key(self.keys, outs[1:n]), self.sites, line)
        return list(outs[n:])


@kept
def checked_program(closed: ClosedProgram, errors: Errors, wanted: tuple[Key, ...]) -> Checked:
    """The program with an error before its results, which has payloads of the `wanted` keys."""
    ledgers: list[tuple[Any, Any]] = []

    def function(*xs: Any) -> list[Any]:
        ledger = Ledger()
        outs = run_checked(closed.program, closed.consts, xs, errors, ledger)
        keys, leaves = ledger.leaves(wanted)
        ledgers.append((keys, ledger.sites))
        return [*leaves, *outs]

    program = derived(function, closed.in_avals, "checkify")
    return Checked(program, *ledgers[0])


def _call(eq: Equation, args: Any, errors: Errors, ledger: Ledger) -> list[Any]:
    checked = checked_program(eq.params["jaxpr"], errors, ())
    outs = eq.primitive(*args, **{**eq.params, "jaxpr": checked.closed})
    return checked.enter(ledger, outs, eq)


def _run_unchecked(rule: Callable[[], Sequence[Any]]) -> list[Any]:
    """The results of a rule of the user's, whose checks come too late: the error value is there."""
    missing: list[bool] = []

    def given() -> list[Any]:
        outs = rule()
        missing.extend(y is None for y in outs)
        return [y for y in outs if y is not None]

    closed = trace_program(given, [], rule, "checkify")
    found = iter(run_checked(closed.program, closed.consts, (), frozenset(), Ledger()))
    return [None if m else next(found) for m in missing]


def _custom_jvp(eq: Equation, args: Any, errors: Errors, ledger: Ledger) -> list[Any]:
    checked, jvp = checked_program(eq.params["call"], errors, ()), eq.params["jvp"]
    n = checked.count

    def with_error(*xs: Any) -> list[Any]:
        found = run_closed(checked.closed, xs[: len(xs) // 2])[:n]
        outs = _run_unchecked(lambda: jvp(*xs))
        half = len(outs) // 2
        return [*found, *outs[:half], *(None,) * n, *outs[half:]]

    new = {**eq.params, "call": checked.closed, "jvp": with_error}
    return checked.enter(ledger, eq.primitive(*args, **new), eq)


def _custom_vjp(eq: Equation, args: Any, errors: Errors, ledger: Ledger) -> list[Any]:
    checked = checked_program(eq.params["call"], errors, ())
    fwd, bwd, n = eq.params["fwd"], eq.params["bwd"], checked.count

    def new_fwd(active: Any, *xs: Any) -> Any:
        counts: list[int] = []

        def flat() -> list[Any]:
            outs, residuals = fwd(active, *xs)
            counts.append(len(outs))
            return [*outs, *residuals]

        found = _run_unchecked(flat)
        outs, residuals = found[: counts[0]], found[counts[0] :]
        return [*run_closed(checked.closed, xs)[:n], *outs], residuals

    def new_bwd(*args: Any) -> Any:
        *before, cts = args
        return _run_unchecked(lambda: bwd(*before, cts[n:]))

    new = {**eq.params, "call": checked.closed, "fwd": new_fwd, "bwd": new_bwd}
    return checked.enter(ledger, eq.primitive(*args, **new), eq)


def _cond(eq: Equation, args: Any, errors: Errors, ledger: Ledger) -> list[Any]:
    branches = eq.params["branches"]
    keys: tuple[Key, ...] = ()
    for _ in range(2):  # the second time, all branches know all keys
        checked = [checked_program(b, errors, keys) for b in branches]
        keys = tuple(dict.fromkeys(k for c in checked for k in c.keys))
    sites = {n: s for c in checked for n, s in c.sites.items()}
    outs = cond_p(*args, branches=tuple(c.closed for c in checked))
    return Checked(checked[0].closed, keys, sites).enter(ledger, outs, eq)


# ---- loops


def _no_error_yet(keys: Sequence[Key]) -> list[Any]:
    return [HostArray(np.int32(0)), *(zeros(t.strong()) for k in keys for t in k)]


def _types(keys: Sequence[Key]) -> list[Any]:
    return [CODE, *(t.strong() for k in keys for t in k)]


def _later(keys: Sequence[Key], *errors: tuple[Sequence[Key], Sequence[Any]]) -> list[Any]:
    """Of these errors, in this order, the first one, with payloads of `keys`."""
    ledger = Ledger()
    for own, (code, *values) in errors:
        ledger.merge(code, by_key(own, values), {})
    return ledger.leaves(keys)[1]


@kept
def _scan_body(jaxpr: ClosedProgram, errors: Errors, nc: int) -> Checked:
    """A body whose carry begins with the error."""
    checked = checked_program(jaxpr, errors, ())
    keys, n = checked.keys, checked.count

    def body(*xs: Any) -> list[Any]:
        before = xs[nc : nc + n]
        outs = run_closed(checked.closed, [*xs[:nc], *xs[nc + n :]])
        return [*_later(keys, (keys, before), (keys, outs[:n])), *outs[n:]]

    types = [*jaxpr.in_avals[:nc], *_types(keys), *jaxpr.in_avals[nc:]]
    return Checked(derived(body, types, "checkify"), keys, checked.sites)


def _scan(eq: Equation, args: Any, errors: Errors, ledger: Ledger) -> list[Any]:
    nc, params = eq.params["num_consts"], eq.params
    body = _scan_body(params["jaxpr"], errors, nc)
    new = {**params, "jaxpr": body.closed, "num_carry": params["num_carry"] + body.count}
    outs = scan_p(*args[:nc], *_no_error_yet(body.keys), *args[nc:], **new)
    return body.enter(ledger, outs, eq)


@dataclass
class _Loop:
    keys: tuple[Key, ...]
    sites: Sites
    first: Checked
    """The condition, before the loop."""
    params: dict[str, Any]


@kept
def _while_loop(
    body: ClosedProgram, cond: ClosedProgram, errors: Errors, nc: int, nb: int
) -> _Loop:
    """A loop whose carry begins with the error and whether it goes on: the condition is checked,
    and so asked, in the body.
    """
    first, checked = checked_program(cond, errors, ()), checked_program(body, errors, ())
    keys = tuple(dict.fromkeys((*first.keys, *checked.keys)))
    n = 1 + sum(map(len, keys))

    def new_cond(*xs: Any) -> list[Any]:
        return [xs[n]]

    def new_body(*xs: Any) -> list[Any]:
        consts, before, carry = xs[: nc + nb], xs[nc + nb :][:n], xs[nc + nb + n + 1 :]
        outs = run_closed(checked.closed, [*consts[nc:], *carry])
        own, new = outs[: checked.count], outs[checked.count :]
        *last, going = run_closed(first.closed, [*consts[:nc], *new])
        found = _later(keys, (keys, before), (checked.keys, own), (first.keys, last))
        return [*found, going, *new]

    consts = [*cond.in_avals[:nc], *body.in_avals[:nb]]
    carry = [*_types(keys), cond.out_avals[0], *body.in_avals[nb:]]
    params = {
        "cond_jaxpr": derived(new_cond, carry, "checkify"),
        "body_jaxpr": derived(new_body, [*consts, *carry], "checkify"),
        "cond_nconsts": 0,
        "body_nconsts": nc + nb,
    }
    return _Loop(keys, {**first.sites, **checked.sites}, first, params)


def _while(eq: Equation, args: Any, errors: Errors, ledger: Ledger) -> list[Any]:
    p = eq.params
    if ENDS_APART in p["cond_jaxpr"].cache:
        raise noted_error(
            ValueError,
            "Checkify does not support batched while-loops (checkify-of-vmap-of-while).",
            fix="move the vmap outside: vmap(checkify(f)). An element that is done goes through "
            "further rounds here, whose errors would not be its own.",
        )
    nc, nb = p["cond_nconsts"], p["body_nconsts"]
    loop = _while_loop(p["body_jaxpr"], p["cond_jaxpr"], errors, nc, nb)
    consts, carry = args[: nc + nb], args[nc + nb :]
    *early, going = run_closed(loop.first.closed, [*args[:nc], *carry])
    start = _later(loop.keys, (loop.first.keys, early))
    outs = while_p(*consts, *start, going, *carry, **loop.params)
    n = 1 + sum(map(len, loop.keys))
    line = _line(eq)
    ledger.merge(outs[0], by_key(loop.keys, outs[1:n]), loop.sites, line)
    return list(outs[n + 1 :])


_RULES: dict[Any, Callable[..., list[Any]]] = {
    jit_p: _call,
    checkpoint_p: _call,
    custom_jvp_call: _custom_jvp,
    custom_vjp_call: _custom_vjp,
    cond_p: _cond,
    scan_p: _scan,
    while_p: _while,
}


__all__ = ["run_checked"]
