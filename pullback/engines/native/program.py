"""A program becomes a kernel: code in memory, and what a caller must know of it."""

from __future__ import annotations

from typing import Any

from ...core.program import ClosedProgram, Literal
from ...transforms.simplify import simplify
from . import objects
from .buffers import ALIGN, Buffer
from .kernel import Kernel
from .kinds import Unsupported, kind_of
from .lowering import Lowering, Value
from .nodes import Sink
from .operations import OPERATIONS
from .rules import (
    contraction,
    control,
    convolution,
    cumulative,
    host,
    indexing,
    least_squares,
    linalg,
    places,
    pooling,
    random_bits,
    reductions,
    rejection,
    scattering,
    sorting,
    spectral,
    structural,
)

RULES = {
    **structural.RULES,
    **reductions.RULES,
    **control.RULES,
    **indexing.RULES,
    **scattering.RULES,
    **sorting.RULES,
    **cumulative.RULES,
    **places.RULES,
    **random_bits.RULES,
    **rejection.RULES,
    **least_squares.RULES,
    **spectral.RULES,
    **linalg.RULES,
    **contraction.RULES,
    **convolution.RULES,
    **pooling.RULES,
}


LONG = 200_000
"""Work (in additions of single elements) from which other threads of Python may run meanwhile: some
10 us, where to give up and take back the interpreter costs 0.05 us and perhaps a wait."""


def compile_program(closed: ClosedProgram) -> Kernel:
    """The kernel of a program.

    Raises:
      Unsupported: the program has something that this engine has no code for; the message says
        what.
    """
    return compile_simplified(simplify(closed), closed)


def compile_simplified(
    simple: ClosedProgram, closed: ClosedProgram, code: list[bytes] | None = None
) -> Kernel:
    """The kernel of `closed`, of which `simple` is the simplified form.

    Args:
      code: gets the object file, which is not kept on disk then.

    Raises:
      Unsupported: there is no code for the program.
    """
    low = write(simple)
    host.check_worth(low, len(simple.program.eqns))
    text = low.module.text()
    loaded = objects.loaded(text, low.module.symbols, ["kernel"], code)
    return Kernel(
        address=loaded.addresses["kernel"],
        arena=low.arena.size,
        in_types=list(closed.in_avals),
        out_types=list(closed.out_avals),
        releases_gil=low.report.work > LONG,
        report=low.report.finished(low.arena.size),
        written=lambda: text,
        keeps=(loaded, low.host_calls),
        constants=low.module.constants,
        errors=low.errors,
    )


def write(closed: ClosedProgram) -> Lowering:
    """The text of the kernel of a simplified program, and what was noted in writing it."""
    program = closed.program
    low = Lowering(OPERATIONS, RULES)
    low.fallback = host.host_call
    code = low.code
    args = [
        low.memory_value(_argument(low, "%in", i, v.aval)) for i, v in enumerate(program.invars)
    ]
    outs = [_argument(low, "%out", i, v.aval) for i, v in enumerate(program.outvars)]
    wanted = [a for a in program.outvars if type(a) is not Literal]
    for atom, out in zip(program.outvars, outs, strict=True):
        if wanted.count(atom) == 1 and atom not in program.invars:
            low.destinations[atom] = out  # type: ignore[index]
    consts = [low.constant_array(c._value) for c in closed.consts]
    values = low.program(program, consts, args)
    sinks = [low.put(v, out) for v, out in zip(values, outs, strict=True)]
    for sink in sinks:
        if isinstance(sink, Sink):
            low.fusion.finish(sink)
    code.line("ret i32 0")
    body = "\n".join(code.whole.flat())
    low.module.functions.append(
        f"define i32 @kernel(ptr %in, ptr %out, ptr %arena) {{\nentry:\n{body}\n}}"
    )
    return low


def _argument(low: Lowering, base: str, i: int, aval: Any) -> Buffer:
    """Input or output `i` of the kernel, whose address is read first of all."""
    kind = kind_of(aval.dtype)
    with low.code.writing_in(low.entry):
        pointer = low.code.op(f"load ptr, ptr {low.code.at(base, i, 'ptr')}, align 8")
    return Buffer(pointer, kind, aval.shape)


__all__ = ["ALIGN", "Unsupported", "Value", "compile_program", "write"]
