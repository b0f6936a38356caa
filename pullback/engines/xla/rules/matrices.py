"""What the rules of linear algebra share: matrices without elements, floats of 16 bits, loops.

Operations are written by tracing functions of primitives: see `Lowering.traced`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ....core import dtypes
from ....core.array import HostArray
from ....core.program import Equation
from ....core.trace import quiet
from ....core.types import array_type
from ....ops.comparison import eq, is_finite
from ....ops.elementwise import convert_element_type, imag, like, real, select_n
from ....ops.reduction import reduce_and
from ....ops.structural import broadcast_in_dim, iota
from ..lowering import Lowering, Rule, plain
from ..text import Word
from .elementwise import compare
from .elementwise import like as filled_like
from .structural import broadcast

LETTER = {"float32": "s", "float64": "d", "complex64": "c", "complex128": "z"}
"""Of the elements that LAPACK knows."""

PLATFORMS = ("cpu", "cuda")
"""Those for which LAPACK, or cuSOLVER, is called. On others XLA's own functions are too few."""


# ---- before any rule


def guarded(rules: Mapping[Any, Rule]) -> dict[Any, Rule]:
    """The rules, which then see only elements that LAPACK knows, and results that have some.

    Floats of 16 bits are computed in float32, as NumPy's engine does it.
    """
    return {primitive: _guarded(rule) for primitive, rule in rules.items()}


def _guarded(rule: Rule) -> Rule:
    def first(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
        sizes = [low.result(eq, k)[0] for k in range(len(eq.outvars))]
        if all(0 in shape for shape in sizes):
            return [low.code.constant(np.zeros(*low.result(eq, k))) for k in range(len(sizes))]
        if not any(w.size for w in args):
            return _of_nothing(low, eq)
        if any(map(_is_narrow, args)):
            return _in_float32(low, eq, args)
        return rule(low, eq, args)

    return first


def _of_nothing(low: Lowering, eq: Equation) -> list[Word]:
    """The results of arguments without elements: these are constants."""
    primitive: Any = eq.primitive
    with quiet():
        found = primitive.eval(
            *[np.zeros(a.aval.shape, a.aval.dtype) for a in eq.invars], **eq.params
        )
    outs = found if primitive.multiple_results else [found]
    return [low.constant_array(np.ascontiguousarray(plain(y)).reshape(np.shape(y))) for y in outs]


def _is_narrow(x: Any) -> bool:
    return dtypes.kind(x.dtype) == "f" and x.dtype.name not in LETTER


def _in_float32(low: Lowering, eq: Equation, args: list[Word]) -> list[Word]:
    results = [v.aval.dtype for v in eq.outvars]

    def function(*xs: Any) -> list[Any]:
        wide = [as_dtype(x, np.float32) if _is_narrow(x) else x for x in xs]
        found = eq.primitive(*wide, **eq.params)
        outs = found if eq.primitive.multiple_results else [found]
        return [as_dtype(y, dtype) for y, dtype in zip(outs, results, strict=True)]

    return low.traced(function, [a.aval for a in eq.invars], args)


# ---- rules


def made(function: Callable[..., Any], platforms: Sequence[str] = PLATFORMS) -> Rule:
    """A rule from what an operation is in terms of others."""

    def rule(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
        if low.platform not in platforms:
            return low.by_definition(eq, args)

        def whole(*xs: Any) -> list[Any]:
            found = function(*xs, **eq.params)
            return list(found) if eq.primitive.multiple_results else [found]

        return low.traced(whole, [a.aval for a in eq.invars], args)

    return rule


def written(low: Lowering, function: Callable[..., Sequence[Any]], *words: Word) -> list[Word]:
    """What a function of arrays does."""
    return low.traced(function, [array_type(w.shape, w.dtype) for w in words], words)


def counted(
    low: Lowering,
    steps: Word,
    function: Callable[..., Sequence[Any]],
    state: Sequence[Word],
    constants: Sequence[Word] = (),
) -> list[Word]:
    """The state after `function(i, *state, *constants)` for i = 0, 1, ... up to `steps`, an int32.

    It is a function of arrays that gives the next state.
    """
    code, n = low.code, len(state)
    types = [((), np.dtype(np.int32)), *[(w.shape, w.dtype) for w in state]]

    def goes_on(i: Word, *rest: Word) -> Sequence[Word]:
        return [compare(code, "LT", i, steps)]

    def step(i: Word, *rest: Word) -> Sequence[Word]:
        found = written(low, function, i, *rest, *constants)
        assert len(found) == n
        return [code.op("add", [i, filled_like(code, i, 1)], (), np.int32), *found]

    regions = f"{low.region(types, goes_on).text}, {low.region(types, step).text}"
    start = code.constant(np.int32(0))
    return code.ops("while", [start, *state], types, "", regions)[1:]


def sound(low: Lowering, x: Word) -> tuple[Word, Word]:
    """The matrices, with zeros instead of one that holds NaN or infinity; and which hold none.

    LAPACK may look for the eigenvalues of others for ever, and makes numbers of infinities.
    """

    def function(x: Any) -> list[Any]:
        finite = are_finite(x)
        return [where_matrices(finite, x, 0), finite]

    safe, finite = written(low, function, x)
    return safe, finite


def where_done(low: Lowering, info: Word, x: Word, finite: Word | None = None) -> Word:
    """x, or NaN in the matrices where a function failed, or that were not finite."""
    code = low.code
    done = compare(code, "EQ", info, filled_like(code, info, 0))
    if finite is not None:
        done = code.op("and", [done, finite], done.shape, bool)
    done = broadcast(code, done, x.shape, range(info.rank))
    return code.op("select", [done, x, filled_like(code, x, np.nan)], x.shape, x.dtype)


# ---- functions of arrays


def as_dtype(x: Any, dtype: Any) -> Any:
    """x in another dtype."""
    if x.dtype == dtype:
        return x
    return convert_element_type(x, new_dtype=np.dtype(dtype), weak_type=False)


def everywhere(x: Any, value: Any) -> Any:
    """A number in an array of the type of x."""
    return broadcast_in_dim(like(x, value), shape=x.shape, broadcast_dimensions=())


def for_matrices(x: Any, shape: tuple[int, ...]) -> Any:
    """A number for each matrix, for all of its elements."""
    return broadcast_in_dim(x, shape=shape, broadcast_dimensions=tuple(range(len(shape) - 2)))


def are_finite(x: Any) -> Any:
    """Which matrices hold neither NaN nor infinity."""
    rank = len(x.shape)
    parts = [real(x), imag(x)] if x.dtype.kind == "c" else [x]
    first, *rest = [reduce_and(is_finite(p), axes=(rank - 2, rank - 1)) for p in parts]
    return select_n(first, first, rest[0]) if rest else first


def where(mask: Any, x: Any, other: Any) -> Any:
    """The elements of x where a mask is true, else a number, or those of another array."""
    return select_n(mask, everywhere(x, other) if isinstance(other, int | float) else other, x)


def where_matrices(mask: Any, x: Any, other: Any) -> Any:
    """The matrices of x where a mask is true, else a number, or the matrices of another stack."""
    return where(for_matrices(mask, x.shape), x, other)


def is_zero(x: Any) -> Any:
    """Which elements are 0."""
    return eq(x, everywhere(x, 0))


def on_diagonal(x: Any) -> Any:
    """Where the diagonals of matrices are: counted, so that it needs no memory."""
    rank = len(x.shape)
    rows, columns = (
        iota(dtype=np.dtype(np.int32), shape=x.shape, dimension=rank - k) for k in (2, 1)
    )
    return eq(rows, columns)


def diagonal_matrix(x: Any, numbers: Any) -> Any:
    """Diagonal matrices in the shape of x; `numbers` are a constant, or an array of that shape."""
    if isinstance(numbers, int | float):
        numbers = everywhere(x, numbers)
    return select_n(on_diagonal(x), everywhere(x, 0), numbers)


def place(i: int) -> HostArray:
    """A constant index."""
    return HostArray(np.asarray(i, np.int32))


__all__ = [
    "LETTER",
    "PLATFORMS",
    "are_finite",
    "as_dtype",
    "counted",
    "diagonal_matrix",
    "everywhere",
    "for_matrices",
    "guarded",
    "is_zero",
    "made",
    "on_diagonal",
    "place",
    "sound",
    "where",
    "where_done",
    "where_matrices",
    "written",
]
