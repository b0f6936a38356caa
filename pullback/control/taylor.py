"""Taylor mode of primitives over programs: each program becomes one of values and their series.

A program with coefficients takes the primals, then those of t ... t^order of each input that has a
series; it gives its outputs in the same order. A mask says which inputs and outputs have one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..core.program import ClosedProgram, run_closed
from ..core.types import ArrayType
from ..ops.elementwise import neg, sub
from ..ops.structural import zeros_of
from ..transforms import taylor
from ..transforms.stage import Mask, derived, kept
from ..transforms.taylor import RULES, Series
from .branches import cond_p
from .call import jit_p
from .checkpoint import checkpoint_p, name_p
from .custom import custom_vjp_call
from .linear_solve import custom_linear_solve
from .scan import scan_p
from .while_loop import while_p

RULES[name_p] = taylor.by_coefficient


@kept
def taylor_program(
    closed: ClosedProgram, active: Mask, order: int, wanted: Mask
) -> tuple[ClosedProgram, Mask]:
    """The program with coefficients; outputs in `wanted` have some in any case."""
    found: list[Mask] = []
    n = len(active)

    def function(*args: Any) -> list[Any]:
        series = _joined(args[:n], args[n:], active, order)
        outs = taylor.expand(lambda *xs: run_closed(closed, xs), series, order)
        has = [w or _moves(s) for s, w in zip(outs, wanted, strict=True)]
        found.append(tuple(has))
        return _flat(outs, has)

    types = [*closed.in_avals, *_of_active(closed.in_avals, active, order)]
    return derived(function, types, "jet"), found[0]


def _moves(series: Series) -> bool:
    return any(c is not None for c in series[1:])


def _of_active(types: Sequence[ArrayType], active: Iterable[bool], order: int) -> list[ArrayType]:
    return [t for t, a in zip(types, active, strict=True) if a for _ in range(order)]


def _terms(series: Iterable[Series], mask: Iterable[bool]) -> list[Any]:
    """The coefficients behind the first of those where the mask holds: arrays, one by one."""
    return [
        zeros_of(s[0]) if c is None else c
        for s, m in zip(series, mask, strict=True)
        if m
        for c in s[1:]
    ]


def _flat(series: Sequence[Series], mask: Iterable[bool]) -> list[Any]:
    return [*(s[0] for s in series), *_terms(series, mask)]


def _joined(
    primals: Sequence[Any], terms: Sequence[Any], mask: Iterable[bool], order: int
) -> list[Series]:
    """The series of values of which those where the mask holds have coefficients."""
    rest = iter(terms)
    return [
        [x, *((next(rest) if m else None) for _ in range(order))]
        for x, m in zip(primals, mask, strict=True)
    ]


def _mask(args: Iterable[Series]) -> Mask:
    return tuple(_moves(s) for s in args)


# ---- calls


def _call(primitive: Any, args: Any, order: int, params: Any) -> list[Series]:
    active, jaxpr = _mask(args), params["jaxpr"]
    n = len(jaxpr.out_avals)
    program, has = taylor_program(jaxpr, active, order, (False,) * n)
    outs = primitive(*_flat(args, active), **{**params, "jaxpr": program})
    return _joined(outs[:n], outs[n:], has, order)


RULES[jit_p] = RULES[checkpoint_p] = _call


def _custom_vjp(primitive: Any, args: Any, order: int, params: Any) -> list[Series]:
    # The rule is one for reverse mode; the function itself is expanded, as JAX does.
    return taylor.expand(lambda *xs: primitive.run(xs, params), args, order)


RULES[custom_vjp_call] = _custom_vjp


def _cond(primitive: Any, args: Any, order: int, params: Any) -> list[Series]:
    (index, *_), *operands = args
    branches = params["branches"]
    active, n = _mask(operands), len(branches[0].out_avals)
    masks = [taylor_program(b, active, order, (False,) * n)[1] for b in branches]
    wanted = tuple(any(column) for column in zip(*masks, strict=True))
    programs = tuple(taylor_program(b, active, order, wanted)[0] for b in branches)
    outs = cond_p(index, *_flat(operands, active), branches=programs)
    return _joined(outs[:n], outs[n:], wanted, order)


RULES[cond_p] = _cond


# ---- loops


@kept
def _loop_body(
    body: ClosedProgram, a_consts: Mask, a_carry: Mask, a_xs: Mask, order: int
) -> tuple[ClosedProgram, Mask, Mask]:
    """A body whose inputs are constants, carry and xs, each with its coefficients behind it.

    Also which parts of the carry, and which outputs behind it, have some.
    """
    nc, nk = len(a_consts), len(a_carry)
    rest = len(body.out_avals) - nk
    while True:  # a carry that gets a series in one step has one in the next
        active = (*a_consts, *a_carry, *a_xs)
        program, has = taylor_program(body, active, order, (*a_carry, *(False,) * rest))
        if has[:nk] == a_carry:
            break
        a_carry = has[:nk]
    masks = [a_consts, a_carry, a_xs]
    counts = [c for m in masks for c in (len(m), order * sum(m))]
    k = order * sum(a_carry)

    def function(*args: Any) -> list[Any]:
        groups = _groups(args, counts[:-1])
        outs = run_closed(program, [x for g in (*groups[::2], *groups[1::2]) for x in g])
        carry, ys, d_carry, d_ys = _groups(outs, [nk, rest, k])
        return [*carry, *d_carry, *ys, *d_ys]

    parts = _groups(body.in_avals, [nc, nk])
    types = [t for p, m in zip(parts, masks, strict=True) for t in (*p, *_of_active(p, m, order))]
    return derived(function, types, "jet"), a_carry, has[nk:]


def _groups(xs: Sequence[Any], counts: Sequence[int]) -> list[Any]:
    """Groups of these lengths, and one of the rest."""
    groups, start = [], 0
    for n in counts:
        groups.append(xs[start : start + n])
        start += n
    return [*groups, xs[start:]]


def _scan(primitive: Any, args: Any, order: int, params: Any) -> list[Series]:
    nc, nk = params["num_consts"], params["num_carry"]
    consts, carry, xs = _groups(args, [nc, nk])
    masks = (_mask(consts), _mask(carry), _mask(xs))
    body, has_carry, has_ys = _loop_body(params["jaxpr"], *masks, order)
    groups = [_flat(consts, masks[0]), _flat(carry, has_carry), _flat(xs, masks[2])]
    new = {
        **params,
        "jaxpr": body,
        "num_consts": len(groups[0]),
        "num_carry": len(groups[1]),
    }
    outs = scan_p(*(x for g in groups for x in g), **new)
    k, rest = len(groups[1]) - nk, len(has_ys)
    last, d_last, ys, d_ys = _groups(outs, [nk, k, rest])
    return [*_joined(last, d_last, has_carry, order), *_joined(ys, d_ys, has_ys, order)]


RULES[scan_p] = _scan


def _while(primitive: Any, args: Any, order: int, params: Any) -> list[Series]:
    nc, nb = params["cond_nconsts"], params["body_nconsts"]
    cond_consts, body_consts, carry = _groups(args, [nc, nb])
    masks = (_mask(body_consts), _mask(carry), ())
    body, has, _ = _loop_body(params["body_jaxpr"], *masks, order)
    groups = [_flat(body_consts, masks[0]), _flat(carry, has)]
    new = {
        "cond_jaxpr": _wider(params["cond_jaxpr"], nc, has, order),
        "body_jaxpr": body,
        "cond_nconsts": nc,
        "body_nconsts": len(groups[0]),
    }
    outs = while_p(*(s[0] for s in cond_consts), *(x for g in groups for x in g), **new)
    return _joined(outs[: len(carry)], outs[len(carry) :], has, order)


@kept
def _wider(cond: ClosedProgram, nc: int, has: Mask, order: int) -> ClosedProgram:
    """The condition on a carry with coefficients, at which it does not look."""
    n = nc + len(has)
    types = [*cond.in_avals, *_of_active(cond.in_avals[nc:], has, order)]
    return derived(lambda *xs: run_closed(cond, xs[:n]), types, "jet")


RULES[while_p] = _while


# ---- linear systems


def _linear_solve(primitive: Any, args: Any, order: int, params: Any) -> list[Series]:
    # A x = b: A_0 x_k is b_k less coefficient k of A x, of which x_k is not known yet.
    counts, matvec = params["const_lengths"], params["jaxprs"].matvec
    of_matvec, consts, b = args[: counts.matvec], args[: counts.total], args[counts.total :]
    fixed = [s[0] for s in consts]
    outs = primitive(*fixed, *(s[0] for s in b), **params)
    x = [[y] for y in outs[: len(b)]]
    for k in range(1, order + 1):
        right = [s[k] for s in b]
        if any(_moves(s) for s in of_matvec):
            known = [*(s[: k + 1] for s in of_matvec), *([*s, None] for s in x)]
            found = taylor.series_of(jit_p, known, k, {"jaxpr": matvec, "name": "matvec"})
            right = [_difference(r, s[k]) for r, s in zip(right, found, strict=True)]
        if all(r is None for r in right):
            new: list[Any] = [None] * len(b)
        else:
            filled = [zeros_of(s[0]) if r is None else r for s, r in zip(b, right, strict=True)]
            new = primitive(*fixed, *filled, **params)[: len(b)]
        for s, c in zip(x, new, strict=True):
            s.append(c)
    return [*x, *([y, *[None] * order] for y in outs[len(b) :])]


def _difference(x: Any, y: Any) -> Any:
    if y is None:
        return x
    return neg(y) if x is None else sub(x, y)


RULES[custom_linear_solve] = _linear_solve
