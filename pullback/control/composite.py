"""A program with a name of the user's: engines may know a better way to do what it means."""

from __future__ import annotations

from typing import Any

from ..core.primitive import Method
from ..core.program import ClosedProgram
from ..core.types import ArrayType
from ..engines import numpy as numpy_engine
from .call import ProgramPrimitive, jit_p


class Composite(ProgramPrimitive):
    """Call the program `jaxpr`, which is what `name` means. Its derivatives are the program's."""

    transpose: Any = Method("record", "under a tape it is a call of its program")

    def typing(
        self, *types: Any, jaxpr: ClosedProgram, name: str, version: int, attributes: Any
    ) -> list[ArrayType]:
        self.check_inputs(types, jaxpr.in_avals)
        return jaxpr.out_avals

    def eval(self, *xs: Any, jaxpr: ClosedProgram, name: str, version: int, attributes: Any) -> Any:
        return numpy_engine.compiled(jaxpr)(*xs)

    def called_program(self, params: Any) -> Any:
        return params["jaxpr"]

    def forward(self, trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
        return jit_p.forward(trace, primals, tangents, _call(params))

    def record(self, tape: Any, args: Any, params: Any) -> Any:
        return jit_p.record(tape, args, _call(params))

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        return jit_p.batch(trace, values, axes, _call(params))


composite_p = Composite()


def _call(params: Any) -> dict[str, Any]:
    return {"jaxpr": params["jaxpr"], "name": params["name"]}
