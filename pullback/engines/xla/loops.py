"""SciPy's functions of single elements as machine code that XLA calls.

The memory of the arrays is given to the inner loop of SciPy's ufunc, a piece to each thread of the
native engine's pool. No Python runs, and the results are those of the NumPy engine.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ..native import threads
from ..native.kinds import Unsupported
from ..native.operations.scipy_loops import loop_of
from .handlers import AGAIN, DECLARED, DIMS, RANK, USUAL, handler, register, stored

PIECE = 512
"""Elements that a thread takes at once."""


@cache
def target(name: str, signature: str) -> str | None:
    """The name by which XLA calls the loop of `scipy.special.<name>` for these types, such as
    "dd->d"; None where there is no such loop, or nothing that makes machine code.

    The operands have one shape, or no axes.
    """
    known = f"pullback_scipy_{name}_{signature.replace('->', '_')}"
    try:
        loop = loop_of(name, signature)
        symbols = {"loop": loop.function, "data": loop.data}
        symbols[threads.SHARE] = threads.address(threads.SHARE)
        register(known, _text(signature), symbols, by_element=True)
    except (Unsupported, ImportError, AttributeError):
        return None
    return known


_ELEMENTS = f"""
define internal i64 @elements(ptr %buffer) nounwind {{
entry:
  %rank_at = getelementptr i8, ptr %buffer, i64 {RANK}
  %rank = load i64, ptr %rank_at, align 8
  %dims_at = getelementptr i8, ptr %buffer, i64 {DIMS}
  %dims = load ptr, ptr %dims_at, align 8
  br label %check
check:
  %i = phi i64 [ 0, %entry ], [ %next, %axis ]
  %count = phi i64 [ 1, %entry ], [ %more, %axis ]
  %some = icmp slt i64 %i, %rank
  br i1 %some, label %axis, label %done
axis:
  %at = getelementptr i64, ptr %dims, i64 %i
  %length = load i64, ptr %at, align 8
  %more = mul i64 %count, %length
  %next = add i64 %i, 1
  br label %check
done:
  ret i64 %count
}}
"""
"""How many elements a buffer has."""


def _text(signature: str) -> str:
    """The handler in LLVM IR."""
    ins, outs = signature.split("->")
    sizes = [np.dtype(c).itemsize for c in ins + outs]
    count = len(sizes)
    # What the pieces share: the number of elements, the addresses, the strides.
    described = "\n".join(_described(i, size, count) for i, size in enumerate(sizes))
    body = f"""{described}
  %elements = call i64 @elements(ptr %buffer{len(ins)})
  store i64 %elements, ptr %room0, align 8
  %padded = add i64 %elements, {PIECE - 1}
  %pieces = udiv i64 %padded, {PIECE}
  call void @{threads.SHARE}(ptr @piece, ptr %room0, i64 %pieces)"""
    return f"""{DECLARED}
declare void @loop(ptr, ptr, ptr, ptr)
declare void @{threads.SHARE}(ptr, ptr, i64)
@data = external global i8
{_piece(count)}
{_ELEMENTS}
{handler(len(ins), len(outs), [1 + 2 * count], body)}"""


def _piece(count: int) -> str:
    advanced = "\n".join(_advanced(i, count) for i in range(count))
    return f"""
define internal void @piece(ptr %context, i64 %piece) nounwind {{
  %pointers = alloca [{count} x ptr], align 8
  %length = alloca i64, align 8
{USUAL}
  %all = load i64, ptr %context, align 8
  %first = mul i64 %piece, {PIECE}
  %left = sub i64 %all, %first
  %few = icmp slt i64 %left, {PIECE}
  %own = select i1 %few, i64 %left, i64 {PIECE}
  store i64 %own, ptr %length, align 8
  %strides = getelementptr i64, ptr %context, i64 {1 + count}
{advanced}
  call void @loop(ptr %pointers, ptr %length, ptr %strides, ptr @data)
{AGAIN}
  ret void
}}"""


def _described(i: int, size: int, count: int) -> str:
    """Address and stride of operand `i`. A scalar is the same for all."""
    return f"""  %rank_at{i} = getelementptr i8, ptr %buffer{i}, i64 {RANK}
  %rank{i} = load i64, ptr %rank_at{i}, align 8
  %scalar{i} = icmp eq i64 %rank{i}, 0
  %stride{i} = select i1 %scalar{i}, i64 0, i64 {size}
{stored(f"%data{i}", "ptr", "%room0", 1 + i, f"pointer_to{i}")}
{stored(f"%stride{i}", "i64", "%room0", 1 + count + i, f"stride_to{i}")}"""


def _advanced(i: int, count: int) -> str:
    """The address of operand `i` where the piece begins."""
    return f"""  %from{i} = getelementptr ptr, ptr %context, i64 {1 + i}
  %base{i} = load ptr, ptr %from{i}, align 8
  %step_at{i} = getelementptr i64, ptr %context, i64 {1 + count + i}
  %step{i} = load i64, ptr %step_at{i}, align 8
  %offset{i} = mul i64 %first, %step{i}
  %start{i} = getelementptr i8, ptr %base{i}, i64 %offset{i}
  %to{i} = getelementptr ptr, ptr %pointers, i64 {i}
  store ptr %start{i}, ptr %to{i}, align 8"""


__all__ = ["target"]
