"""Calls of functions with a vmap rule of the user's own, and of linear ones with a transpose.

The functions that these primitives carry are flat: lists of arrays in and out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.errors import error
from ..core.primitive import Linear
from ..core.program import ClosedProgram, run_closed
from ..core.trace import inside, type_of
from ..ops.elementwise import add_any
from ..ops.structural import to_front, zeros
from ..transforms import forward
from ..transforms.stage import batch_program, trace_body
from .call import present
from .custom import CustomCall, Run, mapped_transpose


class CustomVmapCall(CustomCall):
    """`rule(size, mapped, *xs)` gives the results for all elements, and which of them are mapped.

    Mapped values have the mapped axis in front. Forward mode maps the derivative of the rule;
    reverse mode differentiates the function itself, operation by operation.
    """

    def forward(self, trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
        given = [t is not None for t in tangents]
        n = len(primals)
        found: list[list[bool]] = []

        def call(*xs: Any) -> list[Any]:
            dots = _spread(xs[n:], given)
            _, dys = forward.jvp(lambda *ys: self.run(ys, params), xs[:n], dots)
            found.append([t is not None for t in dys])
            return present(dys)

        def rule(size: int, mapped: Sequence[bool], *xs: Any) -> Any:
            # A tangent can be mapped where its primal is not, and the other way: then both are.
            dotted = _spread(mapped[n:], given)
            either = [m or bool(d) for m, d in zip(mapped[:n], dotted, strict=True)]
            wanted = [*either, *(e for e, g in zip(either, given, strict=True) if g)]
            xs = tuple(
                to_front(x, None, size) if w and not m else x
                for x, m, w in zip(xs, mapped, wanted, strict=True)
            )
            outs: list[list[bool]] = []

            def all_elements(*ys: Any) -> list[Any]:
                values, out_mapped = params["rule"](size, either, *ys)
                outs.append(out_mapped)
                return values  # type: ignore[no-any-return]

            _, dys = forward.jvp(all_elements, xs[:n], _spread(xs[n:], given))
            kept = [(t, m) for t, m in zip(dys, outs[0], strict=True) if t is not None]
            found.append([t is not None for t in dys])
            return [t for t, _ in kept], [m for _, m in kept]

        with inside(trace.parent):
            outs = self(*primals, **params)
        new = {"call": call, "rule": rule, "name": params["name"]}
        with inside(trace.tangents):
            dys = self(*primals, *present(tangents), **new)
        return outs, _spread(dys, found[-1])

    def with_constants(self, n: int, args: Any, params: Any) -> tuple[Any, Any]:
        rule = params["rule"]

        def without_constants(size: int, mapped: Any, *xs: Any) -> Any:
            return rule(size, mapped[n:], *xs[n:])

        return args, {**params, "rule": without_constants if n else rule}

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        with inside(trace.parent):
            mapped = [a is not None for a in axes]
            xs = [x if a is None else to_front(x, a, trace.size) for x, a in zip(values, axes)]
            outs, out_mapped = params["rule"](trace.size, mapped, *xs)
        return outs, [0 if m else None for m in out_mapped]


custom_vmap_call = CustomVmapCall()


def _spread(xs: Sequence[Any], mask: Sequence[bool]) -> list[Any]:
    rest = iter(xs)
    return [next(rest) if m else None for m in mask]


class LinearCall(CustomCall):
    """The program `call` of residuals, then linear arguments; `transposed` is its transpose.

    `transposed(residuals, cotangents)` gets pairs of a cotangent, or None, and its type, and gives
    a cotangent, or None, for each linear argument. The first `closed` of the `count` residuals are
    closed over: it does not get them.
    """

    def forward(self, trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
        n = params["count"]
        with inside(trace.parent):
            outs = self(*primals, **params)
        dys: list[Any] = [None] * len(outs)
        with inside(trace.tangents):
            if present(tangents[n:]):
                dots = [
                    zeros(type_of(x)) if t is None else t
                    for x, t in zip(primals[n:], tangents[n:], strict=True)
                ]
                dys = self(*primals[:n], *dots, **params)
            if present(tangents[:n]):
                # The function is linear in the other arguments only: through these, the
                # derivative is that of its operations.
                none = [None] * len(primals[n:])
                _, more = forward.jvp(
                    lambda *xs: self.run(xs, params), primals, [*tangents[:n], *none]
                )
                dys = [
                    b if a is None else a if b is None else add_any(a, b)
                    for a, b in zip(dys, more, strict=True)
                ]
        return outs, dys

    def record(self, tape: Any, args: Any, params: Any) -> Any:
        if any(type(a) is Linear for a in args[: params["count"]]):
            return super().record(tape, args, params)
        return tape.enter(self, args, params)

    def transpose(
        self, cts: Any, *args: Any, call: Any, transposed: Any, count: int, closed: int, name: str
    ) -> list[Any]:
        types, linear = [type_of(a) for a in args[:count]], args[count:]

        # The transpose is linear too, and its transpose is the program.
        def back(*xs: Any) -> list[Any]:
            pairs = list(zip(xs[count:], call.out_avals, strict=True))
            found = transposed(list(xs[closed:count]), pairs)
            return [zeros(a.aval) if c is None else c for c, a in zip(found, linear, strict=True)]

        def forth(residuals: list[Any], cts: Any) -> list[Any]:
            filled = [zeros(t) if ct is None else ct for ct, t in cts]
            return run_closed(call, [*residuals, *filled])

        program, consts = trace_body(back, [*types, *call.out_avals], back, "linear_call")
        given = [zeros(t) if c is None else c for c, t in zip(cts, call.out_avals, strict=True)]
        outs = self(
            *consts,
            *args[:count],
            *given,
            call=program,
            transposed=forth,
            count=len(consts) + count,
            closed=len(consts),
            name=name,
        )
        return [*(None,) * count, *outs]

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        run: Run = (trace.size, trace.axis_name, trace.tag)
        count, closed, transposed = params["count"], params["closed"], params["transposed"]
        call: ClosedProgram = params["call"]
        n_out = len(call.out_avals)
        batched, _ = batch_program(call, trace.size, tuple(axes), (True,) * n_out, trace.axis_name)
        in_axes, res_axes = axes[count:], axes[closed:count]

        def for_each(residuals: Any, cts: Any) -> list[Any]:
            return mapped_transpose(transposed, run, residuals, cts, in_axes, res_axes)

        with inside(trace.parent):
            outs = self(*values, **{**params, "call": batched, "transposed": for_each})
        return outs, [0] * n_out


linear_call_p = LinearCall()


def not_linear_transpose(found: Any, wanted: Any) -> TypeError:
    """The error for a transpose whose result is not like the linear arguments."""
    return error(
        TypeError,
        "transpose output pytree structure must match that of linear inputs, got output structure "
        f"{found} and input structure {wanted}.",
        fix="return one cotangent for each linear argument, in the same containers.",
    )


__all__ = ["custom_vmap_call", "linear_call_p", "not_linear_transpose"]
