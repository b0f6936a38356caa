"""The call of a program: what `jit` records, and does when its function is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core import dtypes
from ..core.errors import error
from ..core.mesh import several
from ..core.primitive import CORE, Linear, Method, Primitive
from ..core.program import ClosedProgram, constraints
from ..core.trace import host_array, inside
from ..core.trace import spread as devices
from ..core.types import ArrayType
from ..engines import numpy as numpy_engine
from ..engines import whole
from ..transforms.stage import batch_program, jvp_program, split_program, transpose_program


class ProgramPrimitive(Primitive, family=True):
    """A primitive with programs among its parameters."""

    multiple_results = True
    jvp: Any = Method("forward", "value and tangent come from one program")
    vmap: Any = Method("batch", "the program is batched, with the name of its axis")
    lower: Any = CORE

    def check_inputs(self, types: Sequence[ArrayType], expected: Sequence[ArrayType]) -> None:
        """The arguments must be of the types of the program's inputs."""
        have = [(t.shape, t.dtype) for t in types]
        want = [(t.shape, t.dtype) for t in expected]
        if have != want:
            raise error(
                TypeError,
                f"{self.name} was called with arguments of other types than its program's.",
                got=f"{[t.str_short() for t in types]} for {[t.str_short() for t in expected]}",
                fix="trace the function again for these types.",
            )


class Jit(ProgramPrimitive):
    """Call the program `jaxpr`."""

    def typing(self, *types: Any, jaxpr: ClosedProgram, name: str) -> list[ArrayType]:
        self.check_inputs(types, jaxpr.in_avals)
        return jaxpr.out_avals

    def eval(self, *xs: Any, jaxpr: ClosedProgram, name: str) -> Any:
        return numpy_engine.compiled(jaxpr)(*xs)

    def at_once(self, *xs: Any, jaxpr: ClosedProgram, name: str) -> Any:
        """By the engine of jit."""
        return whole.called(jaxpr)(*xs)

    def evaluate(self, args: Sequence[Any], params: Any) -> Any:
        if several and constraints(params["jaxpr"]):
            arrays = [host_array(a) for a in args]
            return devices.run(params["jaxpr"], arrays, name=params["name"])
        return super().evaluate(args, params)

    def called_program(self, params: Any) -> Any:
        return params["jaxpr"]

    def forward(self, trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
        jaxpr, name = params["jaxpr"], params["name"]
        active = tuple(t is not None for t in tangents)
        n = len(jaxpr.out_avals)
        program, has_tangent = jvp_program(jaxpr, active, (False,) * n)
        with inside(trace.tangents):
            outs = jit_p(*primals, *present(tangents), jaxpr=program, name=name)
        return outs[:n], spread(outs[n:], has_tangent)

    def record(self, tape: Any, args: Any, params: Any) -> Any:
        jaxpr, name = params["jaxpr"], params["name"]
        unknown = tuple(type(a) is Linear for a in args)
        if jaxpr.cache.get("linear in") == unknown:
            # Made by a split: nothing of it can be known now. To split it again, at each level of
            # nested calls, would take time cubic in their depth.
            return tape.enter(self, args, params)
        split = split_program(jaxpr, unknown, (False,) * len(jaxpr.out_avals))
        known_args = [a for a in args if type(a) is not Linear]
        with inside(tape.parent):
            found = jit_p(*known_args, jaxpr=split.known, name=name)
        n = len(found) - split.residual_count
        known_outs, residuals = iter(found[:n]), found[n:]
        linear_args = [*residuals, *(a for a in args if type(a) is Linear)]
        unknown_outs = iter(
            tape.enter(jit_p, linear_args, {"jaxpr": split.linear, "name": name})
            if any(split.unknown_out)
            else ()
        )
        return [next(unknown_outs) if u else next(known_outs) for u in split.unknown_out]

    def transpose(self, cts: Any, *args: Any, jaxpr: ClosedProgram, name: str) -> list[Any]:
        linear = tuple(type(a) is Linear for a in args)
        given = tuple(ct is not None for ct in cts)
        program, found = transpose_program(jaxpr, linear, given, (False,) * sum(linear))
        known = [a for a in args if type(a) is not Linear]
        outs = jit_p(*known, *present(cts), jaxpr=program, name=name)
        rest = iter(spread(outs, found))
        return [next(rest) if is_linear else None for is_linear in linear]

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        jaxpr, name = params["jaxpr"], params["name"]
        program, out_axes = batch_program(
            jaxpr, trace.size, tuple(axes), (False,) * len(jaxpr.out_avals), trace.axis_name
        )
        with inside(trace.parent):
            return jit_p(*values, jaxpr=program, name=name), out_axes


jit_p = Jit()


def present(values: Sequence[Any]) -> list[Any]:
    """Those of `values` that are not None."""
    return [v for v in values if v is not None]


def spread(values: Sequence[Any], mask: Sequence[bool]) -> list[Any]:
    """`values` in the places where `mask` holds, None in the others."""
    rest = iter(values)
    return [next(rest) if m else None for m in mask]


def is_float(t: ArrayType) -> bool:
    """Whether arrays of this type have tangents."""
    return dtypes.is_inexact(t.dtype)


__all__ = ["ProgramPrimitive", "is_float", "jit_p", "present", "spread"]
