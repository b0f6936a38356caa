"""while_loop: repeat a program on a carry for as long as another one says so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.array import Tracer
from ..core.errors import MissingRule, error
from ..core.primitive import Linear
from ..core.program import ClosedProgram, Program, run_closed
from ..core.trace import host_array, inside, type_of
from ..core.types import ArrayType
from ..engines import numpy as numpy_engine
from ..engines import whole
from ..ops.reduction import reduce_or
from ..ops.structural import move_axis, to_front, zeros
from ..transforms.batch import BatchTracer
from ..transforms.reverse import TapeTracer
from ..transforms.stage import Mask, batch_program, derived, jvp_program, kept, split_program
from .call import ProgramPrimitive, jit_p, present, spread
from .counted import COUNTED, NUMBER, counted_loop, integer, one_more
from .lanes import AT_REST, at_rest, chosen_rows
from .loop_split import split_loop
from .reversal import Given, Reversal, default_sizes

Axes = tuple[int | None, ...]

ENDS_APART = "elements end apart"
"""In the cache of a condition: it is that of many elements, and in a round some may be done."""


_TAPED = 4
"""A round that is put on a tape takes so many times as long as one that NumPy just does."""


class While(ProgramPrimitive):
    """Arguments: the constants of the condition, those of the body, then the carry."""

    def typing(
        self,
        *types: Any,
        cond_jaxpr: Any,
        body_jaxpr: Any,
        cond_nconsts: int,
        body_nconsts: int,
        checkpoints: int | None = None,
    ) -> list[ArrayType]:
        self.check_inputs(types[cond_nconsts:], body_jaxpr.in_avals)
        carry = types[cond_nconsts + body_nconsts :]
        return [
            t.update(weak_type=t.weak_type and x.weak_type)
            for t, x in zip(body_jaxpr.out_avals, carry, strict=True)
        ]

    def eval(self, *xs: Any, **params: Any) -> Any:
        return self._rounds(xs, params)[0]

    def at_once(self, *xs: Any, **params: Any) -> Any:
        """Round by round; those that are left after many rounds as one compiled program."""
        cond, body = params["cond_jaxpr"], params["body_jaxpr"]
        carry, goes_on = self._rounds(xs, params, whole.rounds_that_pay(cond, body))
        if not goes_on:
            return carry
        args = [*xs[: len(xs) - len(carry)], *carry]
        run = whole.compiled(self, params, body, args)
        return self.eval(*args, **params) if run is None else run(*args)

    def _rounds(self, xs: Any, params: Any, most: float = math.inf) -> tuple[Any, bool]:
        """The carry when the loop is over, or after the rounds there may be; if it would go on."""
        condition = numpy_engine.compiled(params["cond_jaxpr"])
        body = numpy_engine.compiled(params["body_jaxpr"])
        nc, nb = params["cond_nconsts"], params["body_nconsts"]
        cond_consts, body_consts, carry = _parts(xs, nc, nb)
        count = 0
        while condition(*cond_consts, *carry)[0]:
            if count >= most:
                return carry, True
            carry = body(*body_consts, *carry)
            count += 1
        return carry, False

    def forward(self, trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
        nc, nb = params["cond_nconsts"], params["body_nconsts"]
        cond_consts, body_consts, carry = _parts(primals, nc, nb)
        _, const_dots, carry_dots = _parts(tangents, nc, nb)
        masks = (_given(const_dots), _given(carry_dots))
        cond = params["cond_jaxpr"]
        body = cond.cache.get(AT_REST, params["body_jaxpr"])
        loop = _jvp_loop(body, cond, nc, *masks)
        dots = [
            zeros(type_of(x)) if t is None else t
            for x, t, a in zip(carry, carry_dots, loop.marked, strict=True)
            if a
        ]
        with inside(trace.tangents):
            new = {**loop.params, **_wish(params)}
            outs = while_p(*cond_consts, *body_consts, *present(const_dots), *carry, *dots, **new)
        return outs[: len(carry)], spread(outs[len(carry) :], loop.marked)

    def record(self, tape: Any, args: Any, params: Any) -> Any:
        """Where values are known, each round is a call on the tape, which grows.

        Elsewhere the loop is one entry; so are the rounds that are left after many, and, under
        vmap, those in which some elements are done.
        """
        nc, nb = params["cond_nconsts"], params["body_nconsts"]
        cond_unknown, *unknown = _parts(tuple(type(a) is Linear for a in args), nc, nb)
        if any(cond_unknown):
            raise _not_linear()
        loop = _known_loop(params["body_jaxpr"], params["cond_jaxpr"], nc, *unknown)
        if "checkpoints" in params:
            return _record_whole(tape, args, params, loop)
        places = [tape.tracer(a) if type(a) is Linear else a for a in args]
        cond_consts, body_consts, carry = _parts(places, nc, nb)
        condition, body = loop.params["cond_jaxpr"], params["body_jaxpr"]
        rounds_left = whole.rounds_that_pay(condition, body) / _TAPED
        while True:
            with inside(tape.parent):
                decides = [x for x, u in zip(carry, loop.marked, strict=True) if not u]
                (going,) = jit_p(*cond_consts, *decides, jaxpr=condition, name="cond")
            known = _known_bools(going)
            if known is not None and not np.any(known):
                return carry
            if known is None or rounds_left < 1 or not np.all(known):
                now = [x.linear if _is_on(tape, x) else x for x in carry]
                return _record_whole(tape, [*args[: nc + nb], *now], params, loop)
            with inside(tape):
                carry = jit_p(*body_consts, *carry, jaxpr=body, name="body")
            rounds_left -= 1

    def transpose(self, cts: Any, *args: Any, **params: Any) -> list[Any]:
        """The rounds from the last to the first, of a loop of which its inputs are all that is kept
        (`reversal.py`).
        """
        nc, nb = params["cond_nconsts"], params["body_nconsts"]
        cond_consts, body_consts, carry = _parts(args, nc, nb)
        unknown = [tuple(type(a) is Linear for a in group) for group in (body_consts, carry)]
        cond, body = params["cond_jaxpr"], params["body_jaxpr"]
        loop = _known_loop(body, cond, nc, *unknown)
        k_consts = [a for a in body_consts if type(a) is not Linear]
        k_carry = [a for a, u in zip(carry, loop.marked, strict=True) if not u]
        if COUNTED in cond.cache:
            rounds = cond_consts[0]
        else:
            counting = _counting(loop.params["body_jaxpr"], loop.params["cond_jaxpr"], nc)
            rounds = while_p(*cond_consts, *k_consts, integer(0), *k_carry, **counting)[0]
        ct_carry = [
            zeros(t) if ct is None else ct
            for ct, t, u in zip(cts, body.out_avals, loop.marked, strict=True)
            if u
        ]
        program = _backward(body, *unknown, params.get("checkpoints"))
        outs = jit_p(rounds, *k_consts, *k_carry, *ct_carry, jaxpr=program, name="backward")
        n = sum(unknown[0])
        return [*[None] * nc, *spread(outs[:n], unknown[0]), *spread(outs[n:], loop.marked)]

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        nc, nb = params["cond_nconsts"], params["body_nconsts"]
        cond_axes, body_axes, carry_axes = _parts(tuple(axes), nc, nb)
        cond_consts, body_consts, carry = _parts(values, nc, nb)
        loop = _batched_loop(
            params["body_jaxpr"],
            params["cond_jaxpr"],
            trace.size,
            (cond_axes, tuple(None if a is None else 0 for a in body_axes)),
            tuple(a is not None for a in carry_axes),
            trace.axis_name,
        )
        with inside(trace.parent):
            body_consts = [
                x if a is None else move_axis(x, a, 0)
                for x, a in zip(body_consts, body_axes, strict=True)
            ]
            carry = [
                to_front(x, a, trace.size) if m else x
                for x, a, m in zip(carry, carry_axes, loop.marked, strict=True)
            ]
            if loop.params["body_nconsts"] != nb:
                body_consts = [*cond_consts, *body_consts]
            new = {**loop.params, **_wish(params)}
            outs = while_p(*cond_consts, *body_consts, *carry, **new)
        return outs, [0 if m else None for m in loop.marked]


while_p = While()


def _parts(xs: Sequence[Any], nc: int, nb: int) -> tuple[Any, Any, Any]:
    return xs[:nc], xs[nc : nc + nb], xs[nc + nb :]


def _given(xs: Sequence[Any]) -> Mask:
    return tuple(x is not None for x in xs)


@dataclass
class Loop:
    """The parameters of a derived loop, and which parts of the carry have a tangent, or an axis."""

    params: dict[str, Any]
    marked: Mask


@kept
def _jvp_loop(
    body: ClosedProgram, cond: ClosedProgram, nc: int, active_consts: Mask, active: Mask
) -> Loop:
    """Condition and body on a carry of primals, then tangents."""
    while True:  # a carry that gets a tangent in one round has one in the next
        body_jvp, found = jvp_program(body, active_consts + active, active)
        if found == active:
            break
        active = found
    n, nb, n_const_dots = len(active), len(active_consts), sum(active_consts)

    def new_cond(*xs: Any) -> list[Any]:
        return run_closed(cond, xs[: nc + n])

    def new_body(*xs: Any) -> list[Any]:
        consts, const_dots = xs[:nb], xs[nb : nb + n_const_dots]
        rest = xs[nb + n_const_dots :]
        return run_closed(body_jvp, [*consts, *rest[:n], *const_dots, *rest[n:]])

    consts, carry = body.in_avals[:nb], body.in_avals[nb:]
    const_dots = [t for t, a in zip(consts, active_consts, strict=True) if a]
    dots = [t for t, a in zip(carry, active, strict=True) if a]
    params = {
        "cond_jaxpr": _alike(cond, derived(new_cond, cond.in_avals + dots, "jvp")),
        "body_jaxpr": derived(new_body, consts + const_dots + carry + dots, "jvp"),
        "cond_nconsts": nc,
        "body_nconsts": nb + n_const_dots,
    }
    return Loop(params, active)


# ---- vmap


@kept
def _batched_loop(
    body: ClosedProgram,
    cond: ClosedProgram,
    size: int,
    const_axes: tuple[Axes, Axes],
    mapped: Mask,
    name: Any,
) -> Loop:
    cond_axes, body_axes = const_axes
    while True:  # a carry that is mapped after one round is mapped before the next
        at = tuple(0 if m else None for m in mapped)
        batched_cond, pred_at = batch_program(cond, size, (*cond_axes, *at), (False,), name)
        if pred_at[0] is not None and not all(mapped):
            mapped = (True,) * len(mapped)
            continue
        batched_body, found = batch_program(body, size, (*body_axes, *at), mapped, name)
        new = tuple(a is not None for a in found)
        if new == mapped:
            break
        mapped = new
    nc, nb = len(cond_axes), len(body_axes)
    at_rest_body = batched_body
    if AT_REST in cond.cache:  # a loop of many elements already
        at_rest_body, _ = batch_program(cond.cache[AT_REST], size, (*body_axes, *at), mapped, name)
    if pred_at[0] is not None:
        at_consts = tuple(a is not None for a in (*cond_axes, *body_axes))
        bodies = batched_body, at_rest_body
        return Loop(_until_all_are_done(batched_cond, *bodies, nc, nb, at_consts), mapped)
    new_cond = _alike(cond, batched_cond)
    if AT_REST in cond.cache:
        new_cond.cache[AT_REST] = at_rest_body
    params = {
        "cond_jaxpr": new_cond,
        "body_jaxpr": batched_body,
        "cond_nconsts": nc,
        "body_nconsts": nb,
    }
    return Loop(params, mapped)


def _until_all_are_done(
    cond: ClosedProgram,
    body: ClosedProgram,
    at_rest_body: ClosedProgram,
    nc: int,
    nb: int,
    mapped_consts: Mask,
) -> Any:
    """The loop for elements that end at different times: who is done keeps its carry.

    The body needs the constants of the condition too. `at_rest_body` is the body of which
    derivatives are taken.
    """

    def any_goes_on(*xs: Any) -> list[Any]:
        (going,) = run_closed(cond, xs)
        return [reduce_or(going, axes=(0,))]

    def step(*xs: Any) -> list[Any]:
        cond_consts, body_consts, carry = _parts(xs, nc, nb)
        (going,) = run_closed(cond, [*cond_consts, *carry])
        new = run_closed(body, [*body_consts, *carry])
        return [chosen_rows(going, y, x) for x, y in zip(carry, new, strict=True)]

    def step_at_rest(*xs: Any) -> list[Any]:
        cond_consts, _, carry = _parts(xs, nc, nb)
        (going,) = run_closed(cond, [*cond_consts, *carry])
        on_axis = (*mapped_consts[nc:], *(True for _ in carry))
        new = run_closed(at_rest_body, at_rest(going, xs[nc:], on_axis))
        return [chosen_rows(going, y, x) for x, y in zip(carry, new, strict=True)]

    types = cond.in_avals[:nc] + body.in_avals
    any_cond = derived(any_goes_on, cond.in_avals, "vmap")
    any_cond.cache[ENDS_APART] = True
    if cond.out_avals[0].size:
        any_cond.cache[AT_REST] = derived(step_at_rest, types, "vmap")
    return {
        "cond_jaxpr": any_cond,
        "body_jaxpr": derived(step, types, "vmap"),
        "cond_nconsts": nc,
        "body_nconsts": nc + nb,
    }


def _alike(cond: ClosedProgram, new: ClosedProgram) -> ClosedProgram:
    """`new`, which says of its elements what `cond`, that it was made from, says of its own."""
    if ENDS_APART in cond.cache:
        new.cache[ENDS_APART] = True
    return new


# ---- reverse mode


def _known_bools(going: Any) -> Any:
    """The value of the condition where it is known: under vmap one for each element."""
    while isinstance(going, BatchTracer):
        going = going.value
    known = going.known() if isinstance(going, Tracer) else host_array(going)
    return None if known is None else known._value


def _is_on(tape: Any, x: Any) -> bool:
    return type(x) is TapeTracer and x.owner is tape


def _record_whole(tape: Any, args: Any, params: Any, loop: Loop) -> list[Any]:
    """The loop as one entry, a loop of so many rounds; its known part is computed now."""
    nc, nb = params["cond_nconsts"], params["body_nconsts"]
    cond_consts, body_consts, carry = _parts(args, nc, nb)
    with inside(tape.parent):
        k_consts = [a for a in body_consts if type(a) is not Linear]
        k_carry = [a for a, u in zip(carry, loop.marked, strict=True) if not u]
        counting = _counting(loop.params["body_jaxpr"], loop.params["cond_jaxpr"], nc)
        rounds, *known = while_p(*cond_consts, *k_consts, integer(0), *k_carry, **counting)
    counted = {**counted_loop(params["body_jaxpr"], nb), **_wish(params)}
    outs = tape.enter(while_p, [rounds, *body_consts, integer(0), *carry], counted)[1:]
    rest = iter(known)
    return [y if u else next(rest) for y, u in zip(outs, loop.marked, strict=True)]


def _wish(params: Any) -> dict[str, Any]:
    """What the user said of the backward pass."""
    return {k: params[k] for k in ("checkpoints",) if k in params}


@kept
def _counting(body: ClosedProgram, cond: ClosedProgram, nc: int) -> dict[str, Any]:
    """A loop that also counts its rounds, in what it carries first."""
    nb = len(body.in_avals) - len(body.out_avals)

    def goes_on(*xs: Any) -> list[Any]:
        return run_closed(cond, [*xs[:nc], *xs[nc + 1 :]])

    types = [*cond.in_avals[:nc], NUMBER, *cond.in_avals[nc:]]
    return {
        "cond_jaxpr": _alike(cond, derived(goes_on, types, "grad")),
        "body_jaxpr": one_more(body, nb),
        "cond_nconsts": nc,
        "body_nconsts": nb,
    }


@kept
def _backward(
    body: ClosedProgram, unknown_consts: Mask, unknown: Mask, checkpoints: int | None
) -> ClosedProgram:
    """From the number of rounds, what is known and the cotangents of the unknown carry to those of
    the unknown constants and of the carry at the start.
    """
    parts = split_loop(body, unknown_consts, unknown, ())
    nb = len(unknown_consts)
    sums = tuple(t for t, u in zip(body.in_avals[:nb], unknown_consts, strict=True) if u)
    slots, unit = default_sizes(parts) if checkpoints is None else (checkpoints, 1)
    reversal = Reversal(while_p, parts, sums, slots, unit)
    n, n_state = reversal.n_consts, reversal.n_state

    def function(rounds: Any, *args: Any) -> list[Any]:
        consts, state, cts = args[:n], args[n : n + n_state], args[n + n_state :]
        given = Given(consts, run_closed(parts.before, consts))
        return reversal.backward(rounds, given, state, cts)

    known = parts.known.in_avals
    return derived(function, [NUMBER, *known, *reversal.cts], "transpose")


@kept
def _known_loop(
    body: ClosedProgram, cond: ClosedProgram, nc: int, unknown_consts: Mask, unknown: Mask
) -> Loop:
    """The loop on those parts of the carry that do not depend on what is unknown."""
    while True:
        split = split_program(body, unknown_consts + unknown, unknown)
        if split.unknown_out == unknown:
            break
        unknown = split.unknown_out
    c = cond.program
    used = {a for eq in c.eqns for a in eq.invars} | set(c.outvars)
    if any(u and v in used for u, v in zip(unknown, c.invars[nc:], strict=True)):
        raise _not_linear()
    p, n_known = split.known.program, len(unknown) - sum(unknown)
    known_body = ClosedProgram(
        Program(p.constvars, p.invars, p.outvars[:n_known], p.eqns, name=p.name), split.known.consts
    )
    invars = [*c.invars[:nc], *(v for v, u in zip(c.invars[nc:], unknown, strict=True) if not u)]
    known_cond = ClosedProgram(
        Program(c.constvars, invars, c.outvars, c.eqns, name=c.name), cond.consts
    )
    params = {
        "cond_jaxpr": _alike(cond, known_cond),
        "body_jaxpr": known_body,
        "cond_nconsts": nc,
        "body_nconsts": len(unknown_consts) - sum(unknown_consts),
    }
    return Loop(params, unknown)


def _not_linear() -> Exception:
    return error(
        MissingRule,
        "a while_loop whose condition depends on the linear inputs is not linear in them.",
        got="a transposition, or a linear_transpose, of such a loop",
        fix="let the condition depend on other values only.",
    )


__all__ = ["ENDS_APART", "while_p"]
