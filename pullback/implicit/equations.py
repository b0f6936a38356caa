"""An equation in a flat vector of unknowns: what all implicit derivatives are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import checks, lax
from .. import numpy as jnp
from ..control.traced import Body, trace_function
from ..core import dtypes
from ..core.array import Tracer
from ..core.errors import error
from ..core.program import run_closed
from ..core.pytree import flatten
from ..core.trace import type_of
from ..flatten_util import ravel_pytree
from .linear_systems import flat_solve


class Unknowns:
    """Where a search begins: a pytree of floats, as one flat vector."""

    def __init__(self, x0: Any, name: str) -> None:
        leaves, self.tree = flatten(x0)
        leaves = [checks.input_array(x, name) for x in leaves]
        for x in leaves:
            if dtypes.is_key(x.dtype) or dtypes.kind(x.dtype) not in "fciu":
                raise error(
                    TypeError,
                    f"{name} searches numbers: x0 must be of floats.",
                    got=type_of(x).str_short(),
                    fix="give x0 as floats, and what is no unknown as an argument.",
                )
        floats = [x if dtypes.is_inexact(x.dtype) else x.astype(float) for x in leaves]
        # Not weak: what the search gives must have one type in all iterations.
        floats = [lax.convert_element_type(lax.stop_gradient(x), x.dtype) for x in floats]
        self.types = [type_of(x) for x in floats]
        self.start, self.unravel = ravel_pytree(self.tree.unflatten(floats))

    def raveled(self, x: Any, name: str) -> Any:
        """A pytree like x0 as a flat vector."""
        leaves, tree = flatten(x)
        checks.structure(f"{name}: the argument of the function", tree, self.tree, "x0")
        return ravel_pytree(tree.unflatten(leaves))[0].astype(self.start.dtype)


class Closed:
    """A function of unknowns and arguments, as a program of all that it depends on.

    ``fixed(x)`` is its value, without derivatives, for flat unknowns; ``moving(x)`` depends on
    arguments and on traced values that the function closes over.
    """

    def __init__(self, function: Callable[..., Any], unknowns: Unknowns, args: Any, name: str):
        given, _ = flatten(args)
        leaves = [checks.input_array(a, name) for a in given]
        in_tree = flatten((unknowns.tree.unflatten(unknowns.types), *args))[1]
        types = [*unknowns.types, *map(type_of, leaves)]
        self.body: Body = trace_function(function, in_tree, types, name)
        self.unknowns, self.leaves = unknowns, leaves
        # Here and not in `fixed`, which loops call: derivatives must not get into a loop at all.
        self.still = lax.stop_gradient((self.body.consts, leaves))
        self.depends = any(isinstance(x, Tracer) for x in (*self.body.consts, *leaves))

    @property
    def out_types(self) -> Any:
        """Of the leaves of the result."""
        return self.body.closed.out_avals

    def moving(self, x: Any) -> Any:
        """The leaves of the result, in one flat vector."""
        return self._run(x, self.body.consts, self.leaves)

    def fixed(self, x: Any) -> Any:
        """The same, where nothing but `x` counts as variable."""
        return self._run(x, *self.still)

    def result(self, flat: Any) -> Any:
        """A flat result in the containers that the function gives."""
        parts, start = [], 0
        for t in self.out_types:
            parts.append(flat[start : start + t.size].reshape(t.shape).astype(t.dtype))
            start += t.size
        return self.body.out_tree.unflatten(parts)

    def _run(self, x: Any, consts: Any, leaves: Any) -> Any:
        xs = flatten(self.unknowns.unravel(x))[0]
        outs = run_closed(self.body.closed, [*consts, *xs, *leaves])
        return ravel_pytree(outs)[0].astype(x.dtype)


def check_like_unknowns(f: Closed, name: str, what: str) -> None:
    """The result of a map must be what it is applied to."""
    u = f.unknowns
    shapes = [t.shape for t in f.out_types]
    if f.body.out_tree != u.tree or shapes != [t.shape for t in u.types]:
        raise error(
            TypeError,
            f"{name}: {what} must give what x0 is: the same containers and shapes.",
            got=f"{_shown(f.out_types)} in {f.body.out_tree}, for {_shown(u.types)} in {u.tree}",
            fix=f"let {what} return the next x.",
        )
    _check_dtypes(f, name, what)


def check_square(f: Closed, name: str, what: str) -> None:
    """There must be as many equations as unknowns."""
    have, wanted = sum(t.size for t in f.out_types), f.unknowns.start.size
    if have != wanted:
        raise error(
            ValueError,
            f"{name}: the system is not square: there must be as many equations as unknowns.",
            got=f"{what} gives {have} numbers ({_shown(f.out_types)}) for {wanted} unknowns "
            f"({_shown(f.unknowns.types)})",
            fix="give one equation for each unknown; for more equations than unknowns minimise "
            "the sum of their squares with implicit.argmin.",
        )
    _check_dtypes(f, name, what)


def _check_dtypes(f: Closed, name: str, what: str) -> None:
    have = jnp.result_type(*(t.dtype for t in f.out_types)) if f.out_types else None
    x = f.unknowns.start.dtype
    if have is not None and jnp.promote_types(have, x) != x:
        raise error(
            TypeError,
            f"{name}: {what} gives numbers that do not fit into x0.",
            got=f"{dtypes.long_name(have)} for an x0 of {dtypes.long_name(x)}",
            fix=f"begin with x0.astype({dtypes.long_name(have)!r}).",
        )


def _shown(types: Any) -> str:
    return ", ".join(t.str_short() for t in types) or "nothing"


def with_derivatives(moving: Callable[[Any], Any], x: Any, depends: bool, linear: Any) -> Any:
    """`x`, which solves ``moving(x) = 0``, with the derivatives that this equation gives it."""
    if not depends:
        return x

    def found(_: Any, x: Any) -> Any:
        return x

    def tangent_solve(product: Any, right: Any) -> Any:
        return flat_solve(product, right, linear)

    return lax.custom_root(moving, lax.stop_gradient(x), found, tangent_solve)


def solution_of(solver: Callable[..., Any], unknowns: Unknowns, name: str, *given: Any) -> Any:
    """What a user's solver gives for ``solver(*given, x0)``, flat and checked."""
    x = solver(*given, unknowns.unravel(unknowns.start))
    leaves, tree = flatten(x)
    leaves = [checks.output_array(y, name) for y in leaves]
    shapes = [y.shape for y in leaves]
    if tree != unknowns.tree or shapes != [t.shape for t in unknowns.types]:
        raise error(
            TypeError,
            f"{name}: the solver must return what x0 is: the same containers and shapes.",
            got=f"{_shown(map(type_of, leaves))} in {tree}, for "
            f"{_shown(unknowns.types)} in {unknowns.tree}",
            fix="return the solution only, in the structure of x0.",
        )
    flat = ravel_pytree(tree.unflatten(leaves))[0]
    return lax.stop_gradient(flat.astype(unknowns.start.dtype))


def one_of(solver: Any, known: Any, name: str) -> Any:
    """The solver of this name."""
    if isinstance(solver, str) and solver in known:
        return known[solver]
    raise error(
        ValueError,
        f"{name} has no solver {solver!r:.80}.",
        got=f"solver={solver!r:.80}",
        fix=f"use one of {', '.join(map(repr, known))}, or a function.",
    )


__all__ = [
    "Closed",
    "Unknowns",
    "check_like_unknowns",
    "check_square",
    "one_of",
    "solution_of",
    "with_derivatives",
]
