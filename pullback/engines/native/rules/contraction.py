"""dot_general: small operands in registers, others in loops over matrices, large ones by BLAS."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ....core import dtypes
from ....core.program import Equation
from ....core.types import array_type
from ....ops.comparison import ne
from ....ops.contraction import dot_general, free_axes
from ....ops.elementwise import convert_element_type, mul
from ..buffers import Buffer, strides_of
from ..kinds import Kind, Unsupported, kind_of
from ..lowering import Lowering, Rule, Value
from ..registers import Lanes
from ..text import Code
from . import matrix_kernels as kernels
from .matrices import Axis, merged, written
from .views import viewed


def _dot_general(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    aval = eq.outvars[0].aval
    if not args[0].size:  # sums of no terms
        return [low.constant_value(0, kind_of(aval.dtype), aval.shape)]
    inner = inner_dtype(args[0].kind.dtype, args[1].kind.dtype, aval.dtype)
    x, y = (converted(low, a, inner) for a in args)
    made = _product(low, eq, x, y, inner)
    if dtypes.kind(aval.dtype) == "b":
        zero = low.constant_value(0, made.kind)
        return [low.elementwise(low.operations[ne], [made, zero], {}, aval)]
    return [converted(low, made, aval.dtype)]


def inner_dtype(x: np.dtype, y: np.dtype, out: np.dtype) -> np.dtype:
    """The dtype to multiply and add in: at least float32 for floats."""
    kind = dtypes.kind(out)
    if kind in "iu":
        if "f" in dtypes.kind(x) + dtypes.kind(y):
            raise Unsupported("a product of floats as integers")
        return out
    if kind == "b":
        return np.dtype(np.int32)
    wide = any(dtypes.kind(d) in "fc" and dtypes.real_dtype(d).itemsize == 8 for d in (x, y, out))
    return np.dtype(("f8" if wide else "f4") if kind == "f" else ("c16" if wide else "c8"))


def converted(low: Lowering, value: Value, dtype: np.dtype) -> Value:
    """The value in another dtype."""
    if value.kind.dtype == dtype:
        return value
    operation = low.operations[convert_element_type]
    params = {"new_dtype": dtype, "weak_type": False}
    return low.elementwise(operation, [value], params, array_type(value.shape, dtype))


def _product(low: Lowering, eq: Equation, x: Value, y: Value, inner: np.dtype) -> Value:
    (x_sum, y_sum), (x_batch, y_batch) = eq.params["dimension_numbers"]
    shape = eq.outvars[0].aval.shape
    kind = kind_of(inner)
    k = prod(x.shape[i] for i in x_sum)
    x_free = free_axes(len(x.shape), x_sum, x_batch)
    y_free = free_axes(len(y.shape), y_sum, y_batch)
    if x.small and y.small and prod(shape) <= 32 and prod(shape) * k <= 256:
        tables = _positions(x.shape, y.shape, (x_batch, x_free, x_sum), (y_batch, y_free, y_sum))
        lanes = in_registers(low, low.lanes(x), low.lanes(y), *tables)
        return low.small_value(Lanes(kind, shape, lanes.parts))
    if k == 1:
        return _outer(low, x, y, (x_batch, x_free, x_sum), (y_batch, y_free, y_sum), shape)
    out = low.result_buffer(eq) if kind == kind_of(eq.outvars[0].aval.dtype) else None
    if out is None:
        out = low.new_buffer(kind, shape)
    in_memory(low, low.buffer(x), low.buffer(y), out, eq.params["dimension_numbers"])
    return low.memory_value(out)


# ---- registers


def _positions(
    x_shape: Sequence[int], y_shape: Sequence[int], x_axes: Any, y_axes: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Which elements are multiplied: flat positions, by element of the result and term."""
    x_at, y_at = (
        np.arange(prod(shape)).reshape(shape).transpose([i for axes in group for i in axes])
        for shape, group in ((x_shape, x_axes), (y_shape, y_axes))
    )
    batch = prod(x_shape[i] for i in x_axes[0])
    k = prod(x_shape[i] for i in x_axes[2])
    x_at, y_at = x_at.reshape(batch, -1, 1, k), y_at.reshape(batch, 1, -1, k)
    x_at, y_at = np.broadcast_arrays(x_at, y_at)
    return x_at.reshape(-1, k), y_at.reshape(-1, k)


def in_registers(low: Lowering, x: Lanes, y: Lanes, x_at: np.ndarray, y_at: np.ndarray) -> Lanes:
    """The sums over terms (the last axis) of products of lanes, flat."""
    size, k = x_at.shape
    kind, code, registers = x.kind, low.code, low.registers
    loose = sum(not source.width for lanes in (x, y) for source, _ in lanes.parts[0])
    if 2 * loose > x.size + y.size and size * k <= 64:
        found = []
        for xs, ys in zip(x_at.tolist(), y_at.tolist(), strict=True):
            total = None
            for i, j in zip(xs, ys, strict=True):
                a, b = registers.scalar(x, i), registers.scalar(y, j)
                total = _accumulated(code, kind, 0, a, b, total)
            found.append(Lanes.of_word(kind, (), total))
        return Lanes.joined(found)
    groups = _terms_at_once(size, k)
    columns = k // groups
    total, width = None, size * groups
    for t in range(columns):
        a, b = (
            registers.word(lanes.taken(at[:, t * groups : (t + 1) * groups]))
            for lanes, at in ((x, x_at), (y, y_at))
        )
        total = _accumulated(code, kind, width if width > 1 else 0, a, b, total)
    return _folded(low, kind, total, size, groups)


def _terms_at_once(size: int, k: int) -> int:
    """How many terms of each sum stand side by side in a vector: a power of 2 that divides k."""
    groups = 1
    while k % (2 * groups) == 0 and size * 2 * groups <= 8:
        groups *= 2
    return groups


def _folded(low: Lowering, kind: Kind, word: Any, size: int, groups: int) -> Lanes:
    lanes = Lanes.of_word(kind, (size * groups,), word)
    while groups > 1:
        at = np.arange(size * groups).reshape(size, groups)
        halves = [
            low.registers.word(lanes.taken(h)) for h in (at[:, : groups // 2], at[:, groups // 2 :])
        ]
        groups //= 2
        width = size * groups
        word = kernels.add(low.code, kind, width if width > 1 else 0, *halves)
        lanes = Lanes.of_word(kind, (width,), word)
    return lanes


def _accumulated(code: Code, kind: Kind, width: int, a: Any, b: Any, total: Any) -> Any:
    if total is None:
        return kernels.multiply(code, kind, width, a, b)
    return kernels.multiply_add(code, kind, width, a, b, total)


# ---- one term: a multiplication


def _outer(
    low: Lowering, x: Value, y: Value, x_axes: Any, y_axes: Any, shape: Sequence[int]
) -> Value:
    batch, many = len(x_axes[0]), len(x_axes[1])
    x_to = [*range(batch + many)]
    y_to = [*range(batch), *range(batch + many, len(shape))]
    spread = [
        _spread(low, value, [*axes[0], *axes[1]], to, shape)
        for value, axes, to in ((x, x_axes, x_to), (y, y_axes, y_to))
    ]
    return low.elementwise(low.operations[mul], spread, {}, array_type(tuple(shape), x.kind.dtype))


def _spread(
    low: Lowering, value: Value, axes: Sequence[int], to: Sequence[int], shape: Sequence[int]
) -> Value:
    """The value's `axes` as axes `to` of an array of `shape`; its other axes have length 1."""
    if value.size == 1:
        lanes = low.lanes(value).taken(np.zeros((), int))
        return (
            low.small_value(lanes)
            if prod(shape) != 1
            else low.small_value(lanes.taken(np.zeros(shape, int)))
        )

    def view(b: Buffer) -> Buffer:
        strides = [0] * len(shape)
        for d, i in zip(to, axes, strict=True):
            strides[d] = b.strides[i]
        return Buffer(b.pointer, b.kind, shape, strides, b.storage)

    if value.size == prod(shape):
        return viewed(low, value, shape, view)
    return low.memory_value(view(low.buffer(value)))


# ---- memory


def in_memory(low: Lowering, x: Buffer, y: Buffer, out: Buffer, numbers: Any) -> None:
    """Write the product of two arrays of one kind, with any strides, to a third."""
    (x_sum, y_sum), (x_batch, y_batch) = numbers
    x_free = free_axes(len(x.shape), x_sum, x_batch)
    y_free = free_axes(len(y.shape), y_sum, y_batch)
    x, y, sums = _summed(low, x, y, (x_batch, x_free, x_sum), (y_batch, y_free, y_sum))
    steps = iter(out.strides)
    batch = [
        Axis(x.shape[i], x.strides[i], y.strides[j], next(steps))
        for i, j in zip(x_batch, y_batch, strict=True)
    ]
    rows = [Axis(x.shape[i], x.strides[i], 0, next(steps)) for i in x_free]
    columns = [Axis(y.shape[j], 0, y.strides[j], next(steps)) for j in y_free]
    loops = merged(batch)
    written(low, (x, y, out), rows, columns, [sums], loops)


def _summed(
    low: Lowering, x: Buffer, y: Buffer, x_axes: Any, y_axes: Any
) -> tuple[Buffer, Buffer, Axis]:
    """The operands, copied if need be, such that their summed axes are one axis of each."""
    pairs = list(zip(x_axes[2], y_axes[2], strict=True))
    orders = [
        sorted(pairs, key=lambda p: -abs(x.strides[p[0]])),
        sorted(pairs, key=lambda p: -abs(y.strides[p[1]])),
    ]
    if y.size > x.size:
        orders.reverse()
    for order in orders:
        axes = [Axis(x.shape[i], x.strides[i], y.strides[j], 0) for i, j in order]
        both = merged(axes)
        if len(both) <= 1:
            return x, y, both[0] if both else Axis(1, 0, 0, 0)
    order = orders[0]
    if len(merged([Axis(x.shape[i], x.strides[i], 0, 0) for i, _ in order])) > 1:
        x = _with_last(low, x, [i for i, _ in order])
    if len(merged([Axis(y.shape[j], 0, y.strides[j], 0) for _, j in order])) > 1:
        y = _with_last(low, y, [j for _, j in order])
    axes = [Axis(x.shape[i], x.strides[i], y.strides[j], 0) for i, j in order]
    (axis,) = merged(axes)
    return x, y, axis


def _with_last(low: Lowering, b: Buffer, last: Sequence[int]) -> Buffer:
    """A copy in which the axes `last` are the innermost, in this order."""
    order = [i for i in range(len(b.shape)) if i not in last] + list(last)
    shape = [b.shape[i] for i in order]

    def make() -> Buffer:
        copy = low.new_buffer(b.kind, shape)
        seen = Buffer(b.pointer, b.kind, shape, [b.strides[i] for i in order], b.storage)
        low.write(low.memory_value(seen), copy)
        return copy

    copy = low.hoisted(b, ("summed last", b.pointer, b.shape, b.strides, tuple(order)), make)
    strides = [0] * len(order)
    for i, step in zip(order, strides_of(shape), strict=True):
        strides[i] = step
    return Buffer(copy.pointer, b.kind, b.shape, strides, copy.storage)


RULES: dict[Any, Rule] = {dot_general: _dot_general}
