"""einsum: any sum of products of arrays, whose axes are named by letters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..core.lazy import lazy
from ..core.types import Shape
from ..ops.linalg import diagonal
from ..ops.precision import canonical_precision
from ..ops.structural import transpose as permute
from .arguments import no_out, strong
from .contraction import named_product, summed
from .promotion import as_array, astype, requested_dtype

opt_einsum = lazy("opt_einsum")


def einsum(
    subscripts: Any,
    /,
    *operands: Any,
    out: None = None,
    optimize: str | bool | Sequence[Any] = "auto",
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: None = None,
) -> Array:
    """The sum of products that `subscripts` describe.

    Args:
      subscripts: a letter for each axis of each operand, the operands separated by commas, then
        ``->`` and the letters of the result: ``"ij,jk->ik"``. Letters not in the result are
        summed over. ``...`` stands for any further axes, which broadcast. Without ``->`` the result
        has the letters that appear once, in the alphabet's order. A letter twice in one operand
        takes its diagonal. Instead of a string, each operand may be followed by a list of numbers:
        ``einsum(x, [0, 1], y, [1, 2], [0, 2])``.
      *operands: the arrays.
      out: not supported.
      optimize: how to choose the order of products of three or more operands: a name or a path that
        opt_einsum knows; False takes them from left to right.
      precision: as for `dot`.
      preferred_element_type: the dtype to add up in and to return.
      out_sharding: accepted for compatibility; must be None.

    Raises:
      ValueError: the subscripts do not describe the operands, or axes of one name differ in length.

    Example:
      >>> import pullback.numpy as jnp
      >>> x = jnp.arange(6.).reshape(2, 3)
      >>> print(jnp.einsum("ij,kj->ik", x, x))
      [[ 5. 14.]
       [14. 50.]]
    """
    no_out("einsum", out)
    subscripts, operands = _written(subscripts, operands)
    arrays = [x if isinstance(x, Array) else as_array(x, "einsum") for x in operands]
    if preferred_element_type is not None:
        dtype = requested_dtype(preferred_element_type, "einsum")
    else:
        kinds = tuple((x.dtype, x.weak_type) for x in arrays)
        dtype = dtypes.promoted(kinds, "einsum")[0] if arrays else dtypes.default_float()
    if precision is not None:
        precision = canonical_precision(precision)
    shapes = tuple(x.shape for x in arrays)
    for step in _plan(subscripts, shapes, _hashable(optimize)):
        parts = [
            _reduced(arrays[i], ops, dtype)
            for i, ops in zip(step.places, step.prepare, strict=True)
        ]
        if len(parts) == 2:
            x, y = parts
            result = named_product(x, y, step.names, precision, dtype)
        else:
            (result,) = parts
            if step.order is not None:
                result = permute(result, permutation=step.order)
        for i in sorted(step.places, reverse=True):
            del arrays[i]
        arrays.append(result)
    result = astype(arrays[0], dtype, arrays[0].weak_type)
    return result if preferred_element_type is None else strong(result)


def einsum_path(
    subscripts: Any, /, *operands: Any, optimize: str | bool | Sequence[Any] = "auto"
) -> tuple[list[tuple[int, ...]], Any]:
    """The order in which `einsum` would multiply, and a printable account of its cost.

    Returns:
      ``(path, info)``; the path may be passed to `einsum` as `optimize`.
    """
    subscripts, operands = _written(subscripts, operands)
    shapes = tuple(np.shape(x) for x in operands)
    terms, result = _parse(subscripts, shapes)
    spec = ",".join(terms) + "->" + result
    if isinstance(optimize, bool):
        optimize = "optimal" if optimize else _left_to_right(len(shapes))
    return opt_einsum.contract_path(spec, *shapes, shapes=True, optimize=optimize)


# ---- reading the subscripts


def _written(subscripts: Any, operands: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """The subscripts as one string without spaces, and the operands."""
    if isinstance(subscripts, str):
        return subscripts.replace(" ", ""), operands
    given = (subscripts, *operands)
    arrays, lists = given[0 : len(given) // 2 * 2 : 2], list(given[1::2])
    if not lists or not all(isinstance(x, (list, tuple)) for x in lists):
        raise error(
            ValueError,
            "einsum takes a string and arrays, or arrays each followed by a list of axis numbers.",
            got=", ".join(type(x).__name__ for x in given),
            fix='for example einsum("ij,jk->ik", x, y) or einsum(x, [0, 1], y, [1, 2], [0, 2]).',
        )
    result = [given[-1]] if len(given) % 2 else []
    labels = {label for axes in (*lists, *result) for label in axes if label is not Ellipsis}
    try:
        order = sorted(labels)
    except TypeError:
        order = sorted(labels, key=repr)
    letters = {label: _letter(i) for i, label in enumerate(order)}
    terms = ["".join("..." if a is Ellipsis else letters[a] for a in axes) for axes in lists]
    ends = ["".join("..." if a is Ellipsis else letters[a] for a in axes) for axes in result]
    return ",".join(terms) + "".join("->" + end for end in ends), arrays


def _letter(i: int) -> str:
    """The i-th of many letters in the alphabet's order."""
    return chr(ord("a") + i) if i < 26 else chr(0xC0 + i)


@lru_cache(maxsize=4096)
def _parse(subscripts: str, shapes: tuple[Shape, ...]) -> tuple[tuple[str, ...], str]:
    """A letter for each axis of each operand, and of the result; ``...`` is written out."""
    left, arrow, right = subscripts.partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        what = f"there are {len(terms)} groups of letters for {len(shapes)} operands."
        raise _mistake(what, subscripts, shapes)
    for term in (*terms, right):
        letters = term.replace("...", "", 1)
        wrong = [c for c in letters if not c.isalpha()]
        if wrong:
            raise _mistake(f"{wrong[0]!r} is no letter.", subscripts, shapes)
    hidden = [len(s) - len(t.replace("...", "")) for t, s in zip(terms, shapes, strict=True)]
    for term, shape, n in zip(terms, shapes, hidden, strict=True):
        if n < 0 or (n > 0 and "..." not in term):
            what = f"{term!r} does not name each axis of an operand of shape {shape}."
            raise _mistake(what, subscripts, shapes)
    dots = "".join(chr(0x10000 + i) for i in range(max(hidden, default=0)))
    terms = [t.replace("...", dots[len(dots) - n :]) for t, n in zip(terms, hidden, strict=True)]
    if arrow:
        result = right.replace("...", dots)
    else:
        every = "".join(terms)
        once = [c for c in sorted(set(every)) if every.count(c) == 1 and c not in dots]
        result = dots + "".join(once)
    _check_letters(terms, result, subscripts, shapes)
    return tuple(terms), result


def _check_letters(terms: list[str], result: str, subscripts: str, shapes: Any) -> None:
    for c in result:
        if result.count(c) > 1:
            raise _mistake(f"{c!r} stands twice in the result.", subscripts, shapes)
        if not any(c in t for t in terms):
            raise _mistake(f"{c!r} stands in the result, but in no operand.", subscripts, shapes)
    lengths: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        own: dict[str, int] = {}
        for c, n in zip(term, shape, strict=True):
            known, twice = lengths.get(c, n), own.setdefault(c, n)
            if (n != known and 1 not in (n, known)) or twice != n:
                name = "an axis of ..." if ord(c) >= 0x10000 else f"axis {c!r}"
                other = twice if twice != n else known
                raise _mistake(f"{name} has lengths {other} and {n}.", subscripts, shapes)
            lengths[c] = max(n, known) if 0 not in (n, known) else 0


def _mistake(what: str, subscripts: str, shapes: Any) -> ValueError:
    return error(
        ValueError,
        f"einsum: {what}",
        got=f"{subscripts!r} for operands of shapes {', '.join(map(str, shapes))}",
        fix="give one letter for each axis, and the same letter only to axes of the same length.",
    )


# ---- the order of work


class _Step(NamedTuple):
    """One or two operands are taken out and their product is put at the end."""

    places: tuple[int, ...]
    prepare: tuple[tuple[Any, ...], ...]
    """What is done first with each: ("diagonal", axis, axis) or ("sum", axes)."""
    names: Any
    """Of two operands: the letters of both, and of the product."""
    order: tuple[int, ...] | None


@lru_cache(maxsize=4096)
def _plan(subscripts: str, shapes: tuple[Shape, ...], optimize: Any) -> tuple[_Step, ...]:
    given, result = _parse(subscripts, shapes)
    terms, steps = list(given), []
    for places in _order(given, result, shapes, optimize):
        chosen = [terms[i] for i in places]
        terms = [t for i, t in enumerate(terms) if i not in places]
        later = set(result).union(*terms)
        if len(chosen) == 1:
            ops, names = _prepare(chosen[0], later)
            out = names if terms else result
            order = None if names == out else tuple(names.index(c) for c in out)
            steps.append(_Step(places, (ops,), None, order))
        else:
            x_ops, x = _prepare(chosen[0], later | set(chosen[1]))
            y_ops, y = _prepare(chosen[1], later | set(x))
            shared = [c for c in x if c in y and c in later]
            kept = [*shared, *(c for c in (*x, *y) if c in later and c not in shared)]
            out = "".join(kept) if terms else result
            steps.append(_Step(places, (x_ops, y_ops), (x, y, out), None))
        terms.append(out)
    return tuple(steps)


def _prepare(term: str, needed: set[str]) -> tuple[tuple[Any, ...], str]:
    """Diagonals where a letter stands twice, then sums over letters not `needed`; what is left."""
    ops: list[Any] = []
    for c in dict.fromkeys(term):
        while term.count(c) > 1:
            i = term.index(c)
            j = term.index(c, i + 1)
            ops.append(("diagonal", i, j))
            term = term[:i] + term[i + 1 : j] + term[j + 1 :] + c
    axes = tuple(i for i, c in enumerate(term) if c not in needed)
    if axes:
        ops.append(("sum", axes))
    return tuple(ops), "".join(c for c in term if c in needed)


def _reduced(x: Any, ops: tuple[Any, ...], dtype: np.dtype) -> Any:
    for name, *axes in ops:
        if name == "sum":
            x = summed(astype(x, dtype, x.weak_type), axes[0])
        else:
            rest = tuple(i for i in range(len(x.shape)) if i not in axes)
            x = diagonal(permute(x, permutation=(*rest, *axes)))
    return x


def _order(given: Any, result: str, shapes: Any, optimize: Any) -> list[tuple[int, ...]]:
    """The places of the operands of each step; results are put at the end."""
    n = len(given)
    if n <= 2:
        return [tuple(range(n))]
    if optimize is False:
        return _left_to_right(n)
    spec = ",".join(given) + "->" + result
    if isinstance(optimize, tuple):
        optimize = [p for p in optimize if p != "einsum_path"]
    path, _ = opt_einsum.contract_path(
        spec, *shapes, shapes=True, optimize="optimal" if optimize is True else optimize
    )
    steps: list[tuple[int, ...]] = []
    for places in path:
        # A product of many is one of two, then of the result, which stands at the end, and a third.
        left = sorted(places)
        while len(left) > 2:
            steps.append((left[0], left[1]))
            n -= 1
            left = [*(p - 2 for p in left[2:]), n - 1]
        steps.append(tuple(left))
        n -= len(left) - 1
    return steps + [(0, 1)] * (n - 1)


def _left_to_right(n: int) -> list[tuple[int, ...]]:
    return [(0, 1), *((0, k) for k in range(n - 2, 0, -1))]


def _hashable(optimize: Any) -> Any:
    if isinstance(optimize, (list, tuple)):
        return tuple(p if isinstance(p, str) else tuple(p) for p in optimize)
    return optimize
