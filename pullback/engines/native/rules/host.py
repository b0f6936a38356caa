"""Host calls: operations that have no code here are done by NumPy and SciPy, from inside a kernel.

A call takes the interpreter's lock and costs some microseconds, so it is worth while only in
programs that have enough other work, or in loops, which would all run in Python otherwise.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from ....core.program import Equation
from ....core.trace import quiet
from ....core.types import ArrayType
from ..buffers import Buffer
from ..kinds import INT64, Unsupported
from ..lowering import Lowering, Value, empty_value

WORTH = 4
"""Equations with code for each host call outside of loops."""

_WITHOUT = (".collective", ".tokens")
"""Modules of operations whose meaning is not in their arrays alone."""

_Function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


class HostCall:
    """One equation, as a function of C: of the addresses of operands and results.

    It gives 0, or 1 after an exception, which is then described in `errors` under `code`.
    """

    def __init__(self, eq: Equation, code: int, errors: dict[int, str]) -> None:
        self.primitive, self.params = eq.primitive, eq.params
        self.in_types = [a.aval for a in eq.invars]
        self.out_types = [v.aval for v in eq.outvars]
        self.code, self.errors = code, errors
        self.function = _Function(self.run)
        address = ctypes.cast(self.function, ctypes.c_void_p).value
        assert address is not None
        self.address: int = address

    def run(self, ins: int, outs: int) -> int:
        """Do the operation on what stands at the addresses."""
        try:
            arrays = [x if x.ndim else x[()] for x in _arrays(ins, self.in_types)]
            with quiet():
                found = self.primitive.eval(*arrays, **self.params)  # type: ignore[attr-defined]
            results = found if self.primitive.multiple_results else [found]
            for target, result in zip(_arrays(outs, self.out_types), results, strict=True):
                target[...] = result
        except BaseException as problem:  # C cannot pass it on: the kernel's caller raises
            told = f"{self.primitive.name} raised {type(problem).__name__}: {problem}"
            self.errors[self.code] = told
            return 1
        return 0


def _arrays(pointers: int, types: Sequence[ArrayType]) -> list[np.ndarray]:
    """Arrays over memory that is not theirs."""
    addresses = (ctypes.c_void_p * len(types)).from_address(pointers) if types else ()
    return [_array(at, t) for at, t in zip(addresses, types, strict=True)]


def _array(address: int | None, t: ArrayType) -> np.ndarray:
    size = t.size * t.dtype.itemsize
    if not size or address is None:
        return np.empty(t.shape, t.dtype)
    memory: Any = (ctypes.c_char * size).from_address(address)
    return np.frombuffer(memory, t.dtype).reshape(t.shape)


def host_call(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    """Have an operation done by its own `eval`.

    Raises:
      Unsupported: it has effects, is about several devices, or has arrays of an unknown dtype.
    """
    primitive = eq.primitive
    family = type(primitive).__module__
    ours = family.startswith("pullback.ops.") and not family.endswith(_WITHOUT)
    if not ours or getattr(primitive, "effects", False):
        raise Unsupported(f"the operation {primitive.name}")
    for atom in (*eq.invars, *eq.outvars):
        low.kind_of(atom.aval)  # which refuses dtypes
    number = len(low.host_calls) + 1
    call = HostCall(eq, number, low.errors)
    if not low.scopes:
        low.calls_outside_loops += 1
    low.host_calls.append(call)
    ins = [low.contiguous(a) for a in args]
    outs = [low.result_buffer(eq, k) if v.aval.size else None for k, v in enumerate(eq.outvars)]
    name = f"host_call_{number}"
    function = low.module.symbol(name, call.address, "i32 (ptr, ptr)")
    tables = [_table(low, ins), _table(low, outs)]
    low.report.spend(f"host call of {eq.primitive.name}", 20_000.0)
    pointers = [f"ptr {t.pointer}" for t in tables]
    code = low.code
    failed = code.op(f"icmp ne i32 {code.call('i32', function, *pointers)}, 0")
    stem = code.name("")
    code.branch(failed, f"failed{stem}", f"called{stem}")
    code.start(f"failed{stem}")
    code.line(f"ret i32 {number}")
    code.start(f"called{stem}")
    return [
        empty_value(v.aval) if b is None else low.memory_value(b)
        for v, b in zip(eq.outvars, outs, strict=True)
    ]


def _table(low: Lowering, buffers: Sequence[Buffer | None]) -> Buffer:
    """The addresses of arrays, in memory."""
    table = low.new_buffer(INT64, (max(len(buffers), 1),))
    for i, b in enumerate(buffers):
        if b is not None:
            low.code.line(f"store ptr {b.pointer}, ptr {low.code.at(table.pointer, i, 'ptr')}")
    return table


def check_worth(low: Lowering, equations: int) -> None:
    """Refuse a program of so many equations that is mostly host calls.

    Raises:
      Unsupported: the NumPy engine does it as well.
    """
    calls = low.calls_outside_loops
    if calls and equations - calls < WORTH * calls:
        names = sorted({c.primitive.name for c in low.host_calls})
        raise Unsupported(f"{', '.join(names)}, and too little else to be worth calling them")
