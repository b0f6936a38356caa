"""Calls of BLAS and LAPACK from a kernel: arguments by pointer, one call for each matrix.

LAPACK's matrices are stored by columns. A result stays so: it is an array with other strides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from ..buffers import Buffer, address
from ..kinds import INT32, Kind, Unsupported, Word, constant, load, store
from ..lowering import Lowering, Value
from ..nodes import Applied, Store
from ..symbols import resolve
from ..text import Code, Index, float_text

Argument = str | int | float
"""Of a routine: an address (`%t1`), an option of one letter, a number."""

LETTERS = {"f": "s", "d": "d", "F": "c", "D": "z"}
COMPLEX_NAMES = {
    **{"orgqr": "ungqr", "ormqr": "unmqr", "sytrd": "hetrd", "syevd": "heevd"},
}
"""Routines of orthogonal and symmetric matrices that have other names for complex ones."""


def spelled(routine: str, kind: Kind) -> str:
    """`lapack_dpotrf` or `blas_ztrsm`."""
    library = "blas" if routine in ("trsm",) else "lapack"
    if kind.family == "c":
        routine = COMPLEX_NAMES.get(routine, routine)
    return f"{library}_{LETTERS[kind.dtype.char]}{routine}"


def call(low: Lowering, routine: str, kind: Kind, *arguments: Argument) -> None:
    """Call a routine. Floats are numbers of `kind`."""
    module = low.module
    name = spelled(routine, kind)
    signature = f"void ({', '.join(['ptr'] * len(arguments))})"
    function = module.symbol(name, resolve(name), signature)
    pointers = [f"ptr {_argument(low, kind, a)}" for a in arguments]
    low.code.call("void", function, *pointers)
    largest = max((a for a in arguments if isinstance(a, int)), default=1)
    low.report.spend(f"call of {name}", float(largest) ** 3)


def _argument(low: Lowering, kind: Kind, value: Argument) -> str:
    if isinstance(value, str):
        if value[0] in "%@":
            return value
        name = f"@letter_{value}"
        low.module.declare(f"{name} = private constant i8 {ord(value)}")
        return name
    if isinstance(value, int):
        if value >= 1 << 31:
            raise Unsupported("matrices of more elements than LAPACK can count")
        name = f"@int_{value}" if value >= 0 else f"@int_minus_{-value}"
        low.module.declare(f"{name} = private constant i32 {value}")
        return name
    text = float_text(value, kind.bits)
    name = f"@number_{kind.dtype.name}_{text}"
    parts = ", ".join([f"{kind.memory} {text}", f"{kind.memory} 0.0"][: kind.parts])
    low.module.declare(
        f"{name} = private constant [{kind.parts} x {kind.memory}] [{parts}], align 16"
    )
    return name


# ---- matrices in memory


def copied(low: Lowering, value: Value, into: Buffer) -> None:
    """Write a value to memory that will be overwritten: nobody else is to find it there."""
    node = value.node
    if isinstance(node, Applied) and node.sink is None:
        low.fusion.finish(Store(node, into))
    else:
        low.write(value, into)


def by_columns(low: Lowering, kind: Kind, shape: Sequence[int]) -> Buffer:
    """Scratch memory for a stack of matrices as LAPACK stores them."""
    *stack, m, n = shape
    plain = low.new_buffer(kind, (*stack, n, m))
    strides = (*plain.strides[:-2], 1, m)
    return Buffer(plain.pointer, kind, shape, strides, plain.storage)


def columns_of(low: Lowering, value: Value) -> Buffer:
    """A copy of a stack of matrices as LAPACK stores them, to be overwritten."""
    buffer = by_columns(low, value.kind, value.shape)
    copied(low, value, buffer)
    return buffer


def copy_of(low: Lowering, value: Value, into: Buffer | None = None) -> Buffer:
    """A copy in C order, to be overwritten."""
    buffer = low.new_buffer(value.kind, value.shape) if into is None else into
    copied(low, value, buffer)
    return buffer


def part(low: Lowering, buffer: Buffer, i: Index, size: int) -> str:
    """The address of number `i` of parts that are `size` elements long."""
    return address(low.code, buffer.kind, buffer.pointer, low.code.times(i, size))


def scratch(low: Lowering, kind: Kind, size: int) -> Buffer:
    """Working memory of a routine."""
    return low.new_buffer(kind, (max(size, 1),))


class Info:
    """Where a routine says whether it was successful."""

    def __init__(self, low: Lowering) -> None:
        self.low, self.buffer = low, scratch(low, INT32, 1)
        self.pointer = self.buffer.pointer

    def failed(self) -> str:
        """A bool: the last call was not."""
        code = self.low.code
        return code.op(f"icmp ne i32 {load(code, INT32, self.pointer, 0)}, 0")


# ---- code with branches


def each(low: Lowering, stack: Sequence[int], body: Callable[[Index], None]) -> None:
    """`body(i)` for each matrix of a stack. It puts nothing off."""
    count = prod(stack)
    if count == 1:
        body(0)
    elif count:
        with low.report.repeated(f"{count} matrices", count):
            low.code.loop(count, lambda i, _: body(i))


def when(low: Lowering, condition: str, body: Callable[[], None]) -> None:
    """`body()` if a bool holds. It puts nothing off."""
    code = low.code
    stem = code.name("")
    code.branch(condition, f"when{stem}", f"after{stem}")
    code.start(f"when{stem}")
    body()
    code.jump(f"after{stem}")
    code.start(f"after{stem}")


def filled(low: Lowering, kind: Kind, pointer: str, size: int, number: Any) -> None:
    """Write one number to `size` consecutive elements."""
    code = low.code
    word = constant(number, kind, 0)

    def body(i: Index, _: Any) -> None:
        store(code, kind, word, address(code, kind, pointer, i), 0)

    if size:
        code.loop(size, body)


def zeroed(code: Code, kind: Kind, pointer: str, size: Index) -> None:
    """Write zeros to `size` consecutive elements."""
    count = code.times(size, kind.size)
    code.call("void", "@llvm.memset.p0.i64", f"ptr {pointer}", "i8 0", f"i64 {count}", "i1 false")


def moved(code: Code, kind: Kind, source: str, target: str, size: int) -> None:
    """Copy `size` consecutive elements to memory that does not overlap them."""
    count = size * kind.size
    code.call(
        *("void", "@llvm.memcpy.p0.p0.i64", f"ptr {target}", f"ptr {source}"),
        *(f"i64 {count}", "i1 false"),
    )


def not_finite(low: Lowering, kind: Kind, pointer: str, size: int) -> str:
    """A bool: some of `size` consecutive elements is NaN or infinite."""
    code, real = low.code, kind.real
    typed = real.register

    def body(i: Index, values: list[str]) -> list[str]:
        word: Word = load(code, real, address(code, real, pointer, i), 0)
        rest = code.op(f"fsub {typed} {word}, {word}")
        return [code.op(f"fadd {typed} {values[0]}, {rest}")]

    zero = constant(0, real, 0)
    if not size:
        return "false"
    (total,) = code.loop(size * kind.parts, body, [(typed, zero)])
    return code.op(f"fcmp uno {typed} {total}, {total}")
