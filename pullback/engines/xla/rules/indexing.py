"""Windows at given indices: gather and the scatters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....core.program import Equation
from ....ops import indexing as i
from ....ops.indexing import CLIP, FILL_OR_DROP, default_fill
from ....ops.scattering import scatter_max, scatter_min, scatter_mul
from ....ops.windows import window_sizes
from ..lowering import Lowering, Rule
from ..text import Code, Word
from ..types import ints
from .elementwise import compare, convert, extremum, filled
from .reductions import op, reduced
from .structural import broadcast


def _wide(code: Code, indices: Word) -> Word:
    """Indices as int64; those of uint64 that this does not hold become its largest number."""
    if indices.dtype == np.uint64:
        most = code.constant(np.uint64(np.iinfo(np.int64).max))
        indices = extremum(code, "minimum", indices, filled(code, most, indices.shape))
    return convert(code, indices, np.int64)


def _listed(axes: Any) -> str:
    return f"[{', '.join(map(str, axes))}]"


def _vector(code: Code, numbers: Any, shape: tuple[int, ...]) -> Word:
    """One number for each place in the index vectors."""
    line = code.constant(np.asarray(numbers, np.int64))
    return broadcast(code, line, shape, [len(shape) - 1])


def _within(low: Lowering, x: Word, indices: Word, starts: Any, sizes: Any) -> Word:
    """Which windows lie inside the array: bool, of the shape of the indices but the last axis."""
    code = low.code
    last = _vector(code, [x.shape[d] - sizes[d] for d in starts], indices.shape)
    zero = _vector(code, [0] * len(starts), indices.shape)
    sides = [compare(code, "GE", indices, zero), compare(code, "LE", indices, last)]
    both = code.op("and", sides, indices.shape, bool)
    return reduced(low, both, [indices.rank - 1], True, op("and"))


def _gather(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    code, (x, indices), p = low.code, args, eq.params
    n, sizes, mode = p["dimension_numbers"], p["slice_sizes"], p["mode"]
    shape, dtype = low.result(eq)
    if not np.prod(shape):  # windows may be wider than an axis that nothing is taken of
        return [code.constant(np.zeros(shape, dtype))]
    if any(size > n for size, n in zip(sizes, x.shape, strict=True)):
        return low.by_definition(eq, args)
    indices = _wide(code, indices)
    numbers = (
        f"#stablehlo.gather<offset_dims = {_listed(n.offset_dims)}, "
        f"collapsed_slice_dims = {_listed(n.collapsed_slice_dims)}, "
        f"operand_batching_dims = {_listed(n.operand_batching_dims)}, "
        f"start_indices_batching_dims = {_listed(n.start_indices_batching_dims)}, "
        f"start_index_map = {_listed(n.start_index_map)}, "
        f"index_vector_dim = {indices.rank - 1}>"
    )
    flag = "true" if p["indices_are_sorted"] else "false"
    attributes = (
        f"dimension_numbers = {numbers}, slice_sizes = {ints(sizes)}, indices_are_sorted = {flag}"
    )
    found = code.op("gather", [x, indices], shape, dtype, attributes)
    if mode is not FILL_OR_DROP or not len(n.start_index_map):
        return [found]
    inside = _within(low, x, indices, n.start_index_map, sizes)
    batch = [d for d in range(len(shape)) if d not in n.offset_dims]
    inside = broadcast(code, inside, shape, batch)
    return [code.op("select", [inside, found, _fill(low, eq, shape, dtype)], shape, dtype)]


def _fill(low: Lowering, eq: Equation, shape: Any, dtype: np.dtype) -> Word:
    value, given = eq.params["fill_value"], eq.outvars[0].aval.dtype
    if value is None:
        value = default_fill(given)
    if given.names is not None and given.itemsize:  # random keys: the same in both words
        word = int(np.uint32(value))
        value = np.uint64(word << 32 | word)
    number = np.asarray(value).astype(dtype)
    return filled(low.code, low.code.constant(number), tuple(shape))


def _scatter(combine: str | None) -> Rule:
    def rule(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
        code, (x, indices, updates), p = low.code, args, eq.params
        n, mode = p["dimension_numbers"], p["mode"]
        if not updates.size:
            return [x]
        if not n.scatter_dims_to_operand_dims:  # which XLA cannot do
            return low.by_definition(eq, args)
        sizes = window_sizes(x.shape, updates.shape, n)
        indices = _wide(code, indices)
        if mode is CLIP:
            starts = n.scatter_dims_to_operand_dims
            last = _vector(code, [x.shape[d] - sizes[d] for d in starts], indices.shape)
            indices = extremum(code, "minimum", indices, last)
            zero = _vector(code, [0] * len(starts), indices.shape)
            indices = extremum(code, "maximum", indices, zero)

        def body(a: Word, b: Word) -> Sequence[Word]:
            return [b if combine is None else op(combine)(low, a, b)]

        numbers = (
            f"#stablehlo.scatter<update_window_dims = {_listed(n.update_window_dims)}, "
            f"inserted_window_dims = {_listed(n.inserted_window_dims)}, "
            f"input_batching_dims = {_listed(n.operand_batching_dims)}, "
            f"scatter_indices_batching_dims = {_listed(n.scatter_indices_batching_dims)}, "
            f"scatter_dims_to_operand_dims = {_listed(n.scatter_dims_to_operand_dims)}, "
            f"index_vector_dim = {indices.rank - 1}>"
        )
        flags = [
            f"{name} = {'true' if p[name] else 'false'}"
            for name in ("indices_are_sorted", "unique_indices")
        ]
        attributes = f"scatter_dimension_numbers = {numbers}, {', '.join(flags)}"
        one = ((), x.dtype)
        region = low.region([one, one], body).text
        operands = [x, indices, updates]
        return code.ops("scatter", operands, [(x.shape, x.dtype)], attributes, region)

    return rule


RULES: dict[Any, Rule] = {
    i.gather: _gather,
    i.scatter: _scatter(None),
    i.scatter_add: _scatter("add"),
    scatter_mul: _scatter("multiply"),
    scatter_min: _scatter("minimum"),
    scatter_max: _scatter("maximum"),
}

__all__ = ["RULES"]
