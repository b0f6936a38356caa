"""scan: a program on a carry, once for each element along the first axis of its inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.primitive import Linear
from ..core.program import ClosedProgram, run_closed
from ..core.trace import inside
from ..core.types import ArrayType
from ..engines import numpy as numpy_engine
from ..engines import whole
from ..ops.structural import zeros
from ..transforms.stage import Mask, derived, kept
from .call import jit_p, present, spread
from .counted import integer
from .loop_split import split_loop
from .reversal import Given, Reversal, Rows
from .scan_bodies import in_parts, sorted_out
from .scan_rules import ScanLike
from .while_loop import while_p


class Scan(ScanLike):
    """Arguments: constants, first carry, the arrays to run over. Results: last carry, then ys."""

    def typing(
        self,
        *types: Any,
        jaxpr: Any,
        length: int,
        num_carry: int,
        num_consts: int,
        reverse: bool,
        unroll: int,
        checkpoints: int | None = None,
    ) -> list[ArrayType]:
        return self.row_types(types, jaxpr, length, num_consts, num_carry)

    def eval(
        self,
        *args: Any,
        jaxpr: Any,
        length: int,
        num_carry: int,
        num_consts: int,
        reverse: bool,
        unroll: int,
        checkpoints: int | None = None,
    ) -> Any:
        body = numpy_engine.compiled(jaxpr)
        consts, carry, xs = in_parts(args, num_consts, num_carry)
        ys = [np.empty((length, *t.shape), t.dtype) for t in jaxpr.out_avals[num_carry:]]
        for i in range(length - 1, -1, -1) if reverse else range(length):
            outs = body(*consts, *carry, *[x[i] for x in xs])
            carry = outs[:num_carry]
            for y, out in zip(ys, outs[num_carry:], strict=True):
                y[i] = out
        return [*carry, *ys]

    def at_once(self, *args: Any, **params: Any) -> Any:
        """The whole loop as one compiled program, if that pays."""
        body, run = params["jaxpr"], None
        if params["length"] >= whole.rounds_that_pay(body):
            run = whole.compiled(self, params, body, args)
        return self.eval(*args, **params) if run is None else run(*args)

    def record(self, tape: Any, args: Any, params: Any) -> Any:
        """With checkpoints the loop is one entry, of which the inputs are kept."""
        if "checkpoints" not in params:
            return super().record(tape, args, params)
        nc, nk = params["num_consts"], params["num_carry"]
        unknown = in_parts(tuple(type(a) is Linear for a in args), nc, nk)
        parts = split_loop(params["jaxpr"], *unknown)
        groups = in_parts(args, nc, nk)
        masks = (unknown[0], parts.unknown_carry, unknown[2])
        k_consts, k_carry, k_xs = (
            sorted_out(xs, m)[0] for xs, m in zip(groups, masks, strict=True)
        )
        new = {k: v for k, v in params.items() if k != "checkpoints"}
        new |= {"num_consts": len(k_consts), "num_carry": len(k_carry)}
        with inside(tape.parent):
            found = self(*k_consts, *k_carry, *k_xs, **{**new, "jaxpr": parts.without_residuals})
        outs, known_outs = tape.enter(self, args, params), iter(found)
        return [y if u else next(known_outs) for y, u in zip(outs, parts.unknown_out, strict=True)]

    def transpose(self, cts: Any, *args: Any, jaxpr: Any, **params: Any) -> list[Any]:
        if "checkpoints" not in params:
            return super().transpose(cts, *args, jaxpr=jaxpr, **params)
        nc, nk = params["num_consts"], params["num_carry"]
        unknown = in_parts(tuple(type(a) is Linear for a in args), nc, nk)
        parts = split_loop(jaxpr, *unknown)
        masks = (unknown[0], parts.unknown_carry, unknown[2])
        groups = in_parts(args, nc, nk)
        known = [x for xs, m in zip(groups, masks, strict=True) for x in sorted_out(xs, m)[0]]
        cts = [ct for ct, u in zip(cts, parts.unknown_out, strict=True) if u]
        n = sum(parts.unknown_carry)
        types = parts.linear.out_avals[:n]
        ct_carry = [zeros(t) if ct is None else ct for ct, t in zip(cts[:n], types, strict=True)]
        given = tuple(ct is not None for ct in cts[n:])
        rows = (params["length"], params["reverse"], given)
        program = _backward(jaxpr, *unknown, *rows, params["checkpoints"])
        outs = jit_p(*known, *ct_carry, *present(cts[n:]), jaxpr=program, name="backward")
        found = in_parts(outs, sum(masks[0]), n)
        return [x for xs, m in zip(found, masks, strict=True) for x in spread(xs, m)]


scan_p = Scan()


@kept
def _backward(
    jaxpr: ClosedProgram,
    l_consts: Mask,
    l_carry: Mask,
    l_xs: Mask,
    length: int,
    reverse: bool,
    given: Mask,
    checkpoints: int,
) -> ClosedProgram:
    """From what is known, and the cotangents of the unknown carry and of the unknown ys that have
    one, to those of the unknown constants, carry and xs.
    """
    parts = split_loop(jaxpr, l_consts, l_carry, l_xs)
    each = (False,) * len(parts.sources) + (True,) * sum(l_xs)
    types = in_parts(jaxpr.in_avals, len(l_consts), len(l_carry))
    sums = sorted_out(types[0], l_consts)[1]
    rows = Rows(length, reverse, each, given)
    reversal = Reversal(while_p, parts, tuple(sums), checkpoints, 1, rows)
    n, n_state, n_cts = reversal.n_consts, reversal.n_state, reversal.n_cts
    n_xs = len(l_xs) - sum(l_xs)

    def function(*args: Any) -> list[Any]:
        consts, state, rest = in_parts(args, n, n_state)
        xs, cts, ct_ys = in_parts(rest, n_xs, n_cts)
        fixed = Given(consts, run_closed(parts.before, consts), xs, ct_ys)
        return reversal.backward(integer(length), fixed, state, cts)

    known = parts.known.in_avals
    ys = [t for t, g in zip(parts.linear.out_avals[n_cts:], given, strict=True) if g]
    rows_of = [t.with_axis(0, length) for t in known[n + n_state :]]
    stacked = [t.with_axis(0, length) for t in ys]
    return derived(
        function, [*known[: n + n_state], *rows_of, *reversal.cts, *stacked], "transpose"
    )


__all__ = ["scan_p"]
