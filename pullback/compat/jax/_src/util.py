"""`jax._src.util`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps as wraps
from typing import Any

from pullback.compat.views.flat import safe_map as safe_map
from pullback.compat.views.flat import safe_zip as safe_zip


def split_list(args: Sequence[Any], ns: Sequence[int]) -> list[list[Any]]:
    """Parts of the lengths `ns`, and the rest."""
    rest, parts = list(args), []
    for n in ns:
        parts.append(rest[:n])
        rest = rest[n:]
    return [*parts, rest]


def unzip2(pairs: Iterable[tuple[Any, Any]]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The first and the second parts of pairs."""
    listed = list(pairs)
    return tuple(a for a, _ in listed), tuple(b for _, b in listed)


def unzip3(triples: Iterable[tuple[Any, Any, Any]]) -> tuple[tuple[Any, ...], ...]:
    """The first, second and third parts of triples."""
    listed = list(triples)
    return tuple(tuple(t[i] for t in listed) for i in range(3))


def partition_list(which: Sequence[bool], values: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The values for which `which` does not hold, and those for which it does."""
    pairs = list(zip(which, values, strict=True))
    return [v for w, v in pairs if not w], [v for w, v in pairs if w]


def merge_lists(which: Sequence[bool], first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
    """Undo `partition_list`."""
    no, yes = iter(first), iter(second)
    return [next(yes) if w else next(no) for w in which]


def concatenate(parts: Iterable[Sequence[Any]]) -> list[Any]:
    """All elements of all parts."""
    return [x for part in parts for x in part]


def canonicalize_axis(axis: int, num_dims: int) -> int:
    """An axis counted from 0."""
    if not -num_dims <= axis < num_dims:
        raise ValueError(f"axis {axis} is out of bounds for array of dimension {num_dims}")
    return axis % num_dims


def curry(f: Callable[..., Any]) -> Callable[..., Any]:
    """`curry(f)(x)(y) == f(x, y)`"""
    return lambda *first, **options: lambda *rest, **more: f(*first, *rest, **options, **more)
