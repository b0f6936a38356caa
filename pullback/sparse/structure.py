"""A function of trees as one of flat arrays, and the patterns of its derivatives.

Rows of a pattern are the elements of the results, columns those of the arguments: the leaves of
the tree one after the other, each in C order. The pattern of a Jacobian is that of the program of
its tangent, whose rules say what has a derivative; where a function has no forward rule, it is that
of its cotangent, transposed. The pattern of a Hessian is that of the tangent of the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import checks
from ..api import grad
from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..core.program import trace_program
from ..core.pytree import flatten
from ..core.trace import type_of
from ..core.types import ArrayType
from ..ops.structural import zeros
from ..transforms import forward, reverse
from .index_sets import empty, joined, singletons
from .propagation import propagate
from .values import Value


class FlatFunction:
    """A call of a function: the leaves to differentiate, the other arrays, and what is static.

    Args:
      fun: the user's function.
      args, kwargs: its arguments.
      argnums, has_aux: as for `jacobian`.
      verb: the name of the transformation, for messages.
    """

    def __init__(
        self, fun: Any, args: Any, kwargs: Any, argnums: Any, has_aux: bool, verb: str
    ) -> None:
        self.fun, self.argnums, self.has_aux, self.verb = fun, argnums, has_aux, verb
        self.positions = checks.positions(argnums)
        chosen = checks.chosen_arguments(args, self.positions, argnums, verb)
        leaves, self.chosen_tree = flatten(chosen)
        self.chosen = [checks.input_array(x, verb) for x in leaves]
        hole = checks.replaced_arguments(
            args,
            self.positions,
            argnums,
            None if isinstance(argnums, int) else chosen_holes(chosen),
        )
        rest, self.rest_tree = flatten((tuple(hole), kwargs))
        self.others = [x for x in rest if _is_array(x)]
        self.fixed = tuple(None if _is_array(x) else Fixed(x) for x in rest)

    @property
    def key(self) -> Any:
        """What the program of the call depends on besides the function."""
        chosen = tuple(type_of(x) for x in self.chosen)
        others = tuple(type_of(x) for x in self.others)
        return (self.chosen_tree, chosen, self.rest_tree, others, self.fixed)

    def value(self, chosen: Sequence[Any], others: Sequence[Any]) -> Any:
        """The function's result, as it is, for these arrays."""
        given = iter(others)
        rest = [next(given) if f is None else f.value for f in self.fixed]
        args, kwargs = self.rest_tree.unflatten(rest)
        tree = self.chosen_tree.unflatten(chosen)
        return self.fun(
            *checks.replaced_arguments(args, self.positions, self.argnums, tree), **kwargs
        )

    def results(self, chosen: Sequence[Any], others: Sequence[Any]) -> tuple[list[Any], Any]:
        """The leaves of the result, and the auxiliary data (None without)."""
        out = self.value(chosen, others)
        aux = None
        if self.has_aux:
            out, aux = checks.pair(out, self.verb)
        return [checks.output_array(y, self.verb) for y in flatten(out)[0]], aux


class Fixed:
    """An argument that is no array, such as a string: part of the program."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Fixed):
            return False
        same = self.value is other.value
        return same or (type(self.value) is type(other.value) and self.value == other.value)

    def __hash__(self) -> int:
        try:
            return hash(self.value)
        except TypeError:
            return id(self.value)


def chosen_holes(chosen: tuple[Any, ...]) -> tuple[None, ...]:
    """None in place of each chosen argument."""
    return (None,) * len(chosen)


def _is_array(x: Any) -> bool:
    return isinstance(x, (Array, bool, int, float, complex)) or hasattr(x, "dtype")


def check_kind(x: Any, holomorphic: bool, verb: str, what: str) -> None:
    """Inputs are real, and outputs are, or complex; with `holomorphic` all are complex."""
    kind = dtypes.kind(x.dtype)
    fits = kind == "c" if holomorphic else kind == "f" or (kind == "c" and what == "output")
    if fits:
        return
    kinds = "complex" if holomorphic else "real (float)"
    raise error(
        TypeError,
        f"{verb} requires {kinds} {what}s, but got {dtypes.long_name(x.dtype)}.",
        got=(x if isinstance(x, ArrayType) else type_of(x)).str_short(),
        fix="give complex inputs, or leave holomorphic out."
        if holomorphic
        else "convert to float, or set holomorphic=True for a holomorphic function of complex "
        "inputs.",
    )


# ---- patterns


def jacobian_pattern(call: FlatFunction) -> tuple[Any, list[ArrayType], bool]:
    """The pattern, the types of the results, and whether there are forward rules."""
    try:
        return *_pushed(
            call, lambda *xs: call.results(xs[: len(call.chosen)], _rest(call, xs))[0]
        ), True
    except TypeError:
        pattern, types = _pulled(call)  # if it was the user's mistake, this raises it again
        return pattern, types, False


def hessian_pattern(call: FlatFunction) -> tuple[Any, list[ArrayType]]:
    """The pattern, and the types of the gradient. It is symmetric: what is zero on one side of
    the diagonal is zero on the other."""
    n = len(call.chosen)
    gradient = gradient_of(call, holomorphic=_any_complex(call.chosen))

    def function(*xs: Any) -> list[Any]:
        found = gradient(xs[:n], _rest(call, xs))
        return list(found[0] if call.has_aux else found)

    pattern, types = _pushed(call, function)
    both = pattern.multiply(pattern.T).tocsr()
    both.sort_indices()
    return both, types


def gradient_of(call: FlatFunction, holomorphic: bool) -> Callable[..., Any]:
    """From the chosen leaves, and the other arrays, to the gradient with respect to the former."""

    def gradient(chosen: Sequence[Any], others: Sequence[Any]) -> Any:
        def scalar(*xs: Any) -> Any:
            return call.value(xs, others)

        numbers = tuple(range(len(chosen)))
        return grad(scalar, numbers, has_aux=call.has_aux, holomorphic=holomorphic)(*chosen)

    return gradient


def _any_complex(xs: Sequence[Any]) -> bool:
    return any(dtypes.kind(x.dtype) == "c" for x in xs)


def _rest(call: FlatFunction, xs: Sequence[Any]) -> Sequence[Any]:
    n = len(call.chosen)
    return xs[n : n + len(call.others)]


def _types(call: FlatFunction) -> list[ArrayType]:
    return [type_of(x) for x in (*call.chosen, *call.others)]


def _pushed(call: FlatFunction, function: Callable[..., Any]) -> tuple[Any, list[ArrayType]]:
    """The pattern of a function of all arrays with respect to the chosen ones."""
    matrix, out_types = tangent_pattern(function, _types(call), len(call.chosen), call.fun)
    for t in out_types:
        check_kind(t, _any_complex(call.chosen), call.verb, "output")
    return matrix, out_types


def tangent_pattern(
    function: Callable[..., Any], types: Sequence[ArrayType], count: int, of: Any = None
) -> tuple[Any, list[ArrayType]]:
    """The pattern of a flat function with respect to its first `count` arguments, and its types.

    Results that are integers have rows without nonzeros.
    """
    found: list[list[ArrayType]] = []

    def tangents(*args: Any) -> list[Any]:
        xs, ts = args[: len(types)], args[len(types) :]
        outs, dots = forward.jvp(function, xs, [*ts, *[None] * (len(types) - count)])
        found.append([type_of(y) for y in outs])
        return [
            zeros(type_of(y)) if t is None or not dtypes.is_inexact(y.dtype) else t
            for y, t in zip(outs, dots, strict=True)
        ]

    program = trace_program(tangents, [*types, *[t.tangent() for t in types[:count]]], of)
    return _matrix(program, types, types[:count], found[0]), found[0]


def _pulled(call: FlatFunction) -> tuple[Any, list[ArrayType]]:
    types, n = _types(call), len(call.chosen)

    def flat(*xs: Any) -> list[Any]:
        return call.results(xs[:n], _rest(call, xs))[0]

    out_types = trace_program(flat, types, call.fun).out_avals
    for t in out_types:
        check_kind(t, _any_complex(call.chosen), call.verb, "output")

    def cotangents(*args: Any) -> list[Any]:
        xs, cts = args[: len(types)], args[len(types) :]
        wrt = [i < n for i in range(len(types))]
        _, tape, places = reverse.linearize(flat, xs, wrt)
        back = tape.pull(places, list(cts))
        return [
            zeros(t.tangent()) if ct is None else ct for ct, t in zip(back, types[:n], strict=True)
        ]

    program = trace_program(cotangents, types + [t.tangent() for t in out_types], call.fun)
    pattern = _matrix(program, types, out_types, types[:n]).T.tocsr()
    pattern.sort_indices()
    return pattern, out_types


def _matrix(program: Any, plain: Any, seeded: Any, outs: Any) -> Any:
    """The pattern of a program whose last inputs are those that count."""
    total, start = sum(t.size for t in seeded), 0
    inputs = [Value(t) for t in plain]
    for t in seeded:
        inputs.append(Value(t, singletons(t.shape, start, total)))
        start += t.size
    found = propagate(program, inputs)
    sizes = [t.size for t in outs]
    sets = joined([v.sets for v in found], sizes)
    if sets is None:
        sets = empty((sum(sizes),), singletons((0,), 0, total))
    return sets.matrix()


__all__ = ["FlatFunction", "check_kind", "gradient_of", "hessian_pattern", "jacobian_pattern"]
