"""Order: sort, top_k, and what accumulates along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....core import dtypes
from ....core.program import Equation
from ....ops.approximate import approx_top_k
from ....ops.comparison import max_, min_
from ....ops.compound import logaddexp
from ....ops.cumulative import cumlogsumexp, cummax, cummin, cumprod, cumsum, prefix_scan
from ....ops.elementwise import add, convert_element_type, mul
from ....ops.sorting import sort, top_k
from ..lowering import Lowering, Rule
from ..text import Code, Word
from ..types import NARROW
from .elementwise import compare, convert, like, readable
from .structural import counting, cut


def _sort(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    code, p = low.code, eq.params
    keys, words = p["num_keys"], [readable(code, x) for x in args]

    def body(*two: Word) -> Sequence[Word]:
        pairs = [(two[2 * k], two[2 * k + 1]) for k in range(keys)]
        return [_before(code, [q for x, y in pairs for q in _comparable(code, x, y)])]

    parameters = [((), w.dtype) for w in words for _ in range(2)]
    region = low.region(parameters, body).text
    stable = "true" if p["is_stable"] else "false"
    attributes = f"dimension = {p['dimension']} : i64, is_stable = {stable}"
    found = code.ops("sort", words, [(w.shape, w.dtype) for w in words], attributes, region)
    return [convert(code, w, x.dtype) for w, x in zip(found, args, strict=True)]


def _comparable(code: Code, x: Word, y: Word) -> list[tuple[Word, Word]]:
    """Pairs in whose total order these two are: one zero, NaN last, complex numbers by parts."""
    if x.dtype.kind == "c":
        part = np.dtype(f"f{x.dtype.itemsize // 2}")
        pairs = [
            (code.op(name, [x], (), part), code.op(name, [y], (), part))
            for name in ("real", "imag")
        ]
        return [q for a, b in pairs for q in _comparable(code, a, b)]
    if dtypes.kind(x.dtype) != "f":
        return [(x, y)]
    return [(_plain(code, x), _plain(code, y))]


def _plain(code: Code, x: Word) -> Word:
    zero = code.op(
        "select", [compare(code, "EQ", x, like(code, x, 0)), like(code, x, 0), x], (), x.dtype
    )
    unknown = compare(code, "NE", x, x)
    return code.op("select", [unknown, like(code, x, np.nan), zero], (), x.dtype)


def _before(code: Code, pairs: list[tuple[Word, Word]]) -> Word:
    """Whether the first of each pair come before the second, in the order of a dictionary."""
    found = None
    for x, y in reversed(pairs):
        total = dtypes.kind(x.dtype) == "f"
        less = compare(code, "LT", x, y, total=total)
        if found is not None:
            even = compare(code, "EQ", x, y, total=total)
            found = code.op("or", [less, code.op("and", [even, found], (), bool)], (), bool)
        else:
            found = less
    assert found is not None
    return found


def _top_k(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    return _first_k(low, args, eq.params["k"], eq.params["axis"])


def _approx_top_k(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    p = eq.params
    axis = p["reduction_dimension"] % args[0].rank
    return _first_k(low, args, p["k"], axis, largest=p["is_max_k"])


def _first_k(
    low: Lowering, args: list[Word], k: int, axis: int, largest: bool = True
) -> list[Word]:
    """The k largest along an axis, or the k smallest, of which NaN are the last; their places."""
    code, x = low.code, readable(low.code, args[0])
    place = counting(code, x.shape, np.int32, axis)

    def body(a: Word, b: Word, i: Word, j: Word) -> Sequence[Word]:
        if not largest:
            return [_before(code, _comparable(code, a, b))]
        return [compare(code, "GT", a, b, total=dtypes.kind(a.dtype) == "f")]

    region = low.region([((), x.dtype)] * 2 + [((), place.dtype)] * 2, body).text
    results = [(x.shape, x.dtype), (x.shape, place.dtype)]
    attributes = f"dimension = {axis} : i64, is_stable = true"
    found = code.ops("sort", [x, place], results, attributes, region)
    limits = [k if d == axis else n for d, n in enumerate(x.shape)]
    values, places = (cut(code, w, [0] * x.rank, limits) for w in found)
    return [convert(code, values, args[0].dtype), places]


def _cumulative(combine: Any) -> Rule:
    """In a logarithm of steps; sums of 16-bit floats are added up in float32."""

    def rule(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
        (x,), p = args, eq.params
        t = eq.invars[0].aval
        narrow = t.dtype.name in NARROW

        def function(v: Any) -> Any:
            if narrow:
                v = convert_element_type(v, new_dtype=dtypes.float32, weak_type=False)
            return prefix_scan(lambda a, b: [combine(a[0], b[0])], [v], p["axis"], p["reverse"])

        (found,) = low.traced(function, [t], [x])
        return [convert(low.code, found, x.dtype)]

    return rule


RULES: dict[Any, Rule] = {
    sort: _sort,
    top_k: _top_k,
    approx_top_k: _approx_top_k,
    cumsum: _cumulative(add),
    cumprod: _cumulative(mul),
    cummax: _cumulative(max_),
    cummin: _cumulative(min_),
    cumlogsumexp: _cumulative(logaddexp),
}

__all__ = ["RULES"]
