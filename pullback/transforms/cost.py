"""What a program costs, read off its text: operations, bytes that go through it, memory at once.

These are estimates: a compiler that fuses loops moves fewer bytes, and a branch may not be taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..core.program import ClosedProgram, Equation, Program, Var
from ..core.types import ArrayType

_FREE = {
    "bitcast_convert_type",
    "broadcast_in_dim",
    "concatenate",
    "convert_element_type",
    "copy",
    "dynamic_slice",
    "dynamic_update_slice",
    "expand_dims",
    "gather",
    "imag",
    "iota",
    "name",
    "pad",
    "real",
    "reshape",
    "rev",
    "scatter",
    "select_n",
    "slice",
    "split",
    "squeeze",
    "stop_gradient",
    "transpose",
}
"""They move numbers and compute none."""

_TRANSCENDENTAL = {
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bessel_i0e",
    "bessel_i1e",
    "cbrt",
    "cos",
    "cosh",
    "digamma",
    "erf",
    "erf_inv",
    "erfc",
    "exp",
    "exp2",
    "expm1",
    "lgamma",
    "log",
    "log1p",
    "logistic",
    "pow",
    "rsqrt",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
}


@dataclass
class Cost:
    """Arithmetic operations, calls of transcendental functions, bytes read and written."""

    flops: float = 0.0
    transcendentals: float = 0.0
    moved: float = 0.0

    def add(self, other: Cost, times: float = 1.0) -> None:
        """Count `other`, so many times."""
        self.flops += times * other.flops
        self.transcendentals += times * other.transcendentals
        self.moved += times * other.moved


def cost_of(program: Program) -> Cost:
    """The cost of one run: each loop of unknown length once, of branches the dearest."""
    total = Cost()
    for eq in program.eqns:
        total.add(_cost_of_equation(eq))
    return total


def _cost_of_equation(eq: Equation) -> Cost:
    inner = eq.primitive.called_program(eq.params) or eq.params.get("jaxpr")
    if isinstance(inner, ClosedProgram):
        cost = Cost()
        cost.add(cost_of(inner.program), eq.params.get("length", 1))
        return cost
    if "branches" in eq.params:
        costs = [cost_of(b.program) for b in eq.params["branches"]]
        return max(costs, key=lambda c: c.flops + c.transcendentals)
    if "body_jaxpr" in eq.params:
        cost = cost_of(eq.params["body_jaxpr"].program)
        cost.add(cost_of(eq.params["cond_jaxpr"].program))
        return cost
    moved = float(sum(_bytes(a.aval) for a in (*eq.invars, *eq.outvars)))
    name = eq.primitive.name
    size = float(sum(v.aval.size for v in eq.outvars))
    if name in _FREE:
        return Cost(moved=moved)
    if name in _TRANSCENDENTAL:
        return Cost(transcendentals=size, moved=moved)
    return Cost(flops=_flops(eq, size), moved=moved)


def _flops(eq: Equation, size: float) -> float:
    """Arithmetic operations of an equation with `size` elements in its results."""
    name = eq.primitive.name
    if name == "dot_general":
        (contracted, _), _ = eq.params["dimension_numbers"]
        return 2.0 * size * math.prod(eq.invars[0].aval.shape[d] for d in contracted)
    if name == "conv_general_dilated":
        kernel, out = eq.invars[1].aval, eq.params["dimension_numbers"]
        features = kernel.shape[out.rhs_spec[0]] if hasattr(out, "rhs_spec") else 1
        return 2.0 * size * kernel.size / max(features, 1)
    if name.startswith(("reduce_", "cum", "arg", "scatter")):
        return float(sum(a.aval.size for a in eq.invars))
    return size


def _bytes(t: ArrayType) -> int:
    return t.size * int(t.dtype.itemsize)


@dataclass
class Memory:
    """Bytes: of the arguments, the results, and what else is alive at once at most."""

    argument_size_in_bytes: int
    output_size_in_bytes: int
    temp_size_in_bytes: int
    alias_size_in_bytes: int = 0
    generated_code_size_in_bytes: int = 0
    host_argument_size_in_bytes: int = 0
    host_output_size_in_bytes: int = 0
    host_temp_size_in_bytes: int = 0
    host_alias_size_in_bytes: int = 0
    host_generated_code_size_in_bytes: int = 0


def memory_of(program: Program) -> Memory:
    """The memory of one run in which each value is freed after its last use."""
    given = {*program.constvars, *program.invars}
    outputs = {a for a in program.outvars if type(a) is Var and a not in given}
    last: dict[Any, int] = {}
    for i, eq in enumerate(program.eqns):
        last.update((a, i) for a in (*eq.invars, *eq.outvars) if type(a) is Var)
    alive, most = 0, 0
    for i, eq in enumerate(program.eqns):
        own = [v for v in eq.outvars if v not in outputs]
        alive += sum(_bytes(v.aval) for v in own)
        most = max(most, alive)
        used = {a for a in (*eq.invars, *eq.outvars) if type(a) is Var}
        done = [v for v in used if last[v] == i and v not in given and v not in outputs]
        alive -= sum(_bytes(v.aval) for v in done)
    return Memory(
        argument_size_in_bytes=sum(_bytes(v.aval) for v in program.invars),
        output_size_in_bytes=sum(_bytes(a.aval) for a in program.outvars),
        temp_size_in_bytes=most,
    )


__all__ = ["Cost", "Memory", "cost_of", "memory_of"]
