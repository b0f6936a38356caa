"""Programs whose axes have lengths that a call fills in: operations that take a shape as an array.

The lengths are computed in the program from the arguments, whose axes are compared with what was
promised of them. XLA compiles such a program when all is filled in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...core.errors import InconclusiveDimensionOperation
from .text import Code, Word
from .types import Unsupported

_I32 = np.dtype(np.int32)
_SHAPED = ("broadcast_in_dim", "reshape", "iota")
"""Operations that have a relative which takes the shape of the result: `dynamic_...`."""
_OPERATIONS = {
    "floordiv": "divide",
    "mod": "remainder",
    "max": "maximum",
    "min": "minimum",
    "non_negative": "maximum",  # of it and 0
}
_SIGNS = {">=": "GE", "<=": "LE", "==": "EQ"}


def is_open(n: Any) -> bool:
    """Whether the length of an axis is an expression."""
    return not isinstance(n, int | np.integer)


class OpenCode(Code):
    """Operations of a function, whose `lengths` are numbers of the program, by their names."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths: dict[str, Word] = {}

    def op(
        self,
        name: str,
        operands: Sequence[Word],
        shape: Sequence[Any],
        dtype: Any,
        attributes: str = "",
        regions: str = "",
        dialect: str = "stablehlo",
    ) -> Word:
        """An operation with one result."""
        if name in _SHAPED and any(map(is_open, shape)):
            name, operands = f"dynamic_{name}", [*operands, self.sizes(shape)]
        return super().op(name, operands, shape, dtype, attributes, regions, dialect)

    def cut(self, x: Word, starts: Any, limits: Any, steps: Any, shape: Sequence[Any]) -> Word:
        """A regular part of this shape."""
        places = [self.sizes(v) for v in (starts, limits, steps)]
        return super().op("real_dynamic_slice", [x, *places], shape, x.dtype)

    def sizes(self, shape: Sequence[Any]) -> Word:
        """The lengths as an array."""
        parts = [super(OpenCode, self).op("reshape", [self.number(n)], (1,), _I32) for n in shape]
        if len(parts) == 1:
            return parts[0]
        return super().op("concatenate", parts, (len(parts),), _I32, "dimension = 0 : i64")

    def number(self, n: Any) -> Word:
        """A length as a number of the program."""
        if not is_open(n):
            return self.constant(np.int32(n))
        total: Word | None = None
        for product, factor in n.terms():
            term = self.constant(np.int32(factor))
            for atom, power in product:
                for _ in range(power):
                    term = super().op("multiply", [term, self._atom(atom)], (), _I32)
            total = term if total is None else super().op("add", [total, term], (), _I32)
        assert total is not None
        return total

    def _atom(self, atom: Any) -> Word:
        if isinstance(atom, str):
            return self.lengths[atom]
        operands = list(atom.operands)
        if atom.name == "non_negative":
            operands.append(0)
        elif atom.name in ("floordiv", "mod") and not all(_at_least(x, 0) for x in operands):
            raise Unsupported(f"{atom}, which may be of negative numbers")
        return super().op(_OPERATIONS[atom.name], [self.number(x) for x in operands], (), _I32)

    # ---- where the lengths come from

    def find_lengths(self, args: Sequence[Word], conditions: Sequence[Any]) -> None:
        """Compute all lengths from the arguments, and have them compared with what is promised.

        Raises:
          Unsupported: there is none to compute a length from.
        """
        axes: list[tuple[Word, int, Any]] = [
            (w, i, n) for w in args for i, n in enumerate(w.shape) if is_open(n)
        ]
        names = sorted({name for *_, n in axes for name in n.names()})
        for name in names:
            self.lengths[name] = self._solved(name, axes)
        for name in names:
            self._assert(f"{name} is {{0}}, and has to be 1 or more", self.lengths[name], ">=", 1)
        for word, axis, n in axes:
            text = f"an axis is of length {{0}}, and has to be of length {n} = {{1}}"
            self._assert(text, self._size(word, axis), "==", n)
        for text, left, sign, right in conditions:
            told = f"the condition {text} is not met: {{0}} and {{1}}"
            self._assert(told, self.number(left), sign, right)

    def _size(self, word: Word, axis: int) -> Word:
        return super().op("get_dimension_size", [word], (), _I32, f"dimension = {axis} : i64")

    def _solved(self, name: str, axes: Sequence[tuple[Word, int, Any]]) -> Word:
        """The length from an axis that is a multiple of it and a number."""
        for word, axis, n in axes:
            terms: Mapping[Any, int] = dict(n.terms())
            product = ((name, 1),)
            if set(terms) <= {product, ()} and product in terms:
                size, rest, factor = self._size(word, axis), terms.get((), 0), terms[product]
                if rest:
                    size = super().op("subtract", [size, self.number(rest)], (), _I32)
                if factor != 1:
                    size = super().op("divide", [size, self.number(factor)], (), _I32)
                return size
        raise Unsupported(f"the length {name}, which is not that of an axis of an argument")

    def _assert(self, text: str, left: Word, sign: str, right: Any) -> None:
        other = self.number(right)
        how = (
            f"comparison_direction = #stablehlo<comparison_direction {_SIGNS[sign]}>, "
            "compare_type = #stablehlo<comparison_type SIGNED>"
        )
        fits = super().op("compare", [left, other], (), np.dtype(bool), how)
        self.lines.append(
            f"stablehlo.custom_call @shape_assertion({fits.name}, {left.name}, {other.name}) "
            f'{{api_version = 2 : i32, error_message = "Input shapes do not match: {text}.", '
            "has_side_effect = true} : (tensor<i1>, tensor<i32>, tensor<i32>) -> ()"
        )


def _at_least(x: Any, n: int) -> bool:
    try:
        return bool(x >= n)
    except InconclusiveDimensionOperation:
        return False


__all__ = ["OpenCode", "is_open"]
