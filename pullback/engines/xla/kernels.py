"""Programs of the native engine as machine code that XLA calls: for what is slow as StableHLO."""

from __future__ import annotations

import hashlib

from ...core.program import ClosedProgram
from ..native.kernel import Kernel
from ..native.kinds import Unsupported
from ..native.program import compile_program
from .handlers import AGAIN, DECLARED, USUAL, handler, register, stored


def target(closed: ClosedProgram) -> tuple[str, int] | None:
    """The name by which XLA calls the kernel of a program, and how many bytes of scratch memory it
    takes as a last result; None if the native engine has no code for it, or code that may fail."""
    try:
        kernel = compile_program(closed)
    except (Unsupported, ImportError):
        return None
    if kernel.errors or kernel.constants:
        return None
    known = f"pullback_kernel_{hashlib.sha256(kernel.text.encode()).hexdigest()[:32]}"
    symbols = {"kernel": kernel.address}
    register(known, _text(kernel), symbols, by_element=False, keeps=kernel)
    return known, max(kernel.arena, 1)


def _text(kernel: Kernel) -> str:
    ins, outs = len(kernel.in_types), len(kernel.out_types)
    given = [stored(f"%data{i}", "ptr", "%room0", i, f"in{i}") for i in range(ins)]
    taken = [stored(f"%data{ins + k}", "ptr", "%room1", k, f"out{k}") for k in range(outs)]
    body = "\n".join(
        [
            *(given + taken),
            USUAL,
            f"  %done = call i32 @kernel(ptr %room0, ptr %room1, ptr %data{ins + outs})",
            AGAIN,
        ]
    )
    declared = f"{DECLARED}\ndeclare i32 @kernel(ptr, ptr, ptr)\n"
    return declared + handler(ins, outs + 1, [max(ins, 1), outs], body)


__all__ = ["target"]
