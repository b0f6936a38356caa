"""The rules that a scan has, whoever says how many of its steps are done."""

from __future__ import annotations

from typing import Any, ClassVar

from ..core.primitive import Linear
from ..core.program import run_closed
from ..core.trace import inside, type_of
from ..core.types import ArrayType
from ..ops.structural import move_axis, to_front, zeros
from .call import ProgramPrimitive, present, spread
from .loop_split import split_loop
from .scan_bodies import backward_body, batched_body, in_parts, jvp_body, sorted_out


class ScanLike(ProgramPrimitive, family=True):
    """The rules of scan. Arguments: `leading` integers that say how far to go, constants, first
    carry, the arrays to run over. Results: last carry, then ys.
    """

    leading: ClassVar[int] = 0

    def forward(self, trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
        head, primals = primals[: self.leading], primals[self.leading :]
        tangents = tangents[self.leading :]
        nc, nk = params["num_consts"], params["num_carry"]
        active = in_parts(tuple(t is not None for t in tangents), nc, nk)
        body = jvp_body(params["jaxpr"], *active)
        consts, carry, xs = in_parts(primals, nc, nk)
        d_consts, d_carry, d_xs = in_parts(tangents, nc, nk)
        d_carry = [
            zeros(type_of(x)) if t is None and a else t
            for x, t, a in zip(carry, d_carry, body.carry, strict=True)
        ]
        dots = [present(d) for d in (d_consts, d_carry, d_xs)]
        new = {
            **params,
            "jaxpr": body.closed,
            "num_consts": nc + len(dots[0]),
            "num_carry": nk + len(dots[1]),
        }
        with inside(trace.tangents):
            outs = self(*head, *consts, *dots[0], *carry, *dots[1], *xs, *dots[2], **new)
        n, n_ys = new["num_carry"], len(body.outs) - nk
        carry_out, ys_out = outs[:n], outs[n:]
        primal_outs = [*carry_out[:nk], *ys_out[:n_ys]]
        return primal_outs, spread([*carry_out[nk:], *ys_out[n_ys:]], body.outs)

    def record(self, tape: Any, args: Any, params: Any) -> Any:
        head, args = args[: self.leading], args[self.leading :]
        nc, nk = params["num_consts"], params["num_carry"]
        unknown = in_parts(tuple(type(a) is Linear for a in args), nc, nk)
        parts = split_loop(params["jaxpr"], *unknown)
        consts, carry, xs = in_parts(args, nc, nk)
        k_consts, u_consts = sorted_out(consts, unknown[0])
        k_carry, u_carry = sorted_out(carry, parts.unknown_carry)
        k_xs, u_xs = sorted_out(xs, unknown[2])
        new = {**params, "num_consts": len(k_consts), "num_carry": len(k_carry)}
        with inside(tape.parent):
            repeated = run_closed(parts.before, k_consts)
            found = self(*head, *k_consts, *k_carry, *k_xs, **{**new, "jaxpr": parts.known})
        n_known = len(found) - parts.stacked_count
        stacked = parts.sequences(k_xs, found[len(k_carry) : n_known], found[n_known:])
        linear_args = [*head, *repeated, *u_consts, *u_carry, *stacked, *u_xs]
        new = {
            **params,
            "jaxpr": parts.linear,
            "num_consts": len(repeated) + len(u_consts),
            "num_carry": len(u_carry),
        }
        unknown_outs = iter(tape.enter(self, linear_args, new))
        known_outs = iter(found[:n_known])
        return [next(unknown_outs) if u else next(known_outs) for u in parts.unknown_out]

    def transpose(self, cts: Any, *args: Any, jaxpr: Any, **params: Any) -> list[Any]:
        head, args = args[: self.leading], args[self.leading :]
        nc, nk = params["num_consts"], params["num_carry"]
        consts, _, xs = in_parts(args, nc, nk)
        l_consts = tuple(type(a) is Linear for a in consts)
        l_xs = tuple(type(a) is Linear for a in xs)
        ct_carry = [
            zeros(t) if ct is None else ct
            for ct, t in zip(cts[:nk], jaxpr.out_avals[:nk], strict=True)
        ]
        given = tuple(ct is not None for ct in cts[nk:])
        k_consts, u_consts = sorted_out(consts, l_consts)
        k_xs, _ = sorted_out(xs, l_xs)
        sums = [zeros(a.aval) for a in u_consts]
        new = {
            **params,
            "jaxpr": backward_body(jaxpr, nk, l_consts, l_xs, given),
            "num_consts": len(k_consts),
            "num_carry": len(sums) + nk,
            "reverse": not params["reverse"],
        }
        outs = self(*head, *k_consts, *sums, *ct_carry, *present(cts[nk:]), *k_xs, **new)
        from_consts, from_carry, from_xs = in_parts(outs, len(sums), nk)
        found = [*spread(from_consts, l_consts), *from_carry, *spread(from_xs, l_xs)]
        return [*[None] * len(head), *found]

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        head, values, axes = values[: self.leading], values[self.leading :], axes[self.leading :]
        nc, nk, size = params["num_consts"], params["num_carry"], trace.size
        at = in_parts(tuple(axes), nc, nk)
        body = batched_body(params["jaxpr"], size, *at, trace.axis_name)
        consts, carry, xs = in_parts(values, nc, nk)
        with inside(trace.parent):
            carry = [
                to_front(x, a, size) if m else x
                for x, a, m in zip(carry, at[1], body.carry, strict=True)
            ]
            # The mapped axis stands behind the axis that is run over.
            xs = [x if a is None else move_axis(x, a, 1) for x, a in zip(xs, at[2], strict=True)]
            outs = self(*head, *consts, *carry, *xs, **{**params, "jaxpr": body.closed})
        return outs, [
            *(0 if m else None for m in body.carry),
            *(1 if m else None for m in body.outs[nk:]),
        ]

    def row_types(self, types: Any, jaxpr: Any, length: int, nc: int, nk: int) -> list[ArrayType]:
        """The types of the results, from those of the arguments after the leading ones."""
        consts, carry, xs = in_parts(types, nc, nk)
        self.check_inputs([*consts, *carry, *(t.without_axis(0) for t in xs)], jaxpr.in_avals)
        assert all(t.shape[0] == length for t in xs), (length, xs)
        outs, ys = jaxpr.out_avals[:nk], jaxpr.out_avals[nk:]
        return [
            *(
                t.update(weak_type=t.weak_type and x.weak_type)
                for t, x in zip(outs, carry, strict=True)
            ),
            *(t.with_axis(0, length) for t in ys),
        ]


__all__ = ["ScanLike"]
