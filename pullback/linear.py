"""The derivative of a function at a point as a value: what `vjp` and `linearize` return."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import checks
from .core import dtypes
from .core.array import Array
from .core.errors import error
from .core.primitive import Linear
from .core.pytree import PyTreeDef, flatten, register
from .core.trace import state
from .core.types import ArrayType
from .transforms.reverse import Tape, tape_of


class LinearFunction:
    """A derivative kept on a tape. It is a pytree: its leaves are the residuals."""

    def __init__(
        self,
        tape: Tape,
        places: Sequence[Linear | None],
        in_types: Sequence[ArrayType],
        in_tree: PyTreeDef,
        out_types: Sequence[ArrayType],
        out_tree: PyTreeDef,
    ) -> None:
        self.tape, self.places = tape, list(places)
        self.in_types, self.in_tree = list(in_types), in_tree
        self.out_types, self.out_tree = list(out_types), out_tree

    def with_tape(self, tape: Tape) -> Any:
        """The same derivative with other residuals."""
        return type(self)(
            tape, self.places, self.in_types, self.in_tree, self.out_types, self.out_tree
        )


class VJP(LinearFunction):
    """From cotangents of the outputs to those of the inputs: what `vjp` returns."""

    def __call__(self, *cotangents: Any) -> Any:
        """One cotangent for each input, as a tuple."""
        given = self._the_one(cotangents)
        if isinstance(given, Array) and self.out_tree.is_leaf():
            leaves = [given]
        else:
            leaves, tree = flatten(given)
            checks.structure(
                "the cotangent", tree, self.out_tree, "the function's output", ValueError
            )
        cts = [checks.cotangent_array(t, c) for t, c in zip(self.out_types, leaves, strict=True)]
        found = iter(self.tape.pull(self.places, cts))
        return self.in_tree.unflatten(
            [
                checks.zero_filled(next(found) if dtypes.is_inexact(t.dtype) else None, t)
                for t in self.in_types
            ]
        )

    def _the_one(self, cotangents: Any) -> Any:
        if len(cotangents) == 1:
            return cotangents[0]
        raise error(
            TypeError,
            "the function that vjp returns takes one argument: a cotangent of the output.",
            got=f"{len(cotangents)} arguments",
            fix="for an output that is a tuple, give a tuple: f_vjp((ct0, ct1)).",
        )


class JVP(LinearFunction):
    """From tangents of the inputs to those of the outputs: what `linearize` returns."""

    def __call__(self, *tangents: Any) -> Any:
        """The tangents of the outputs, in their structure."""
        leaves, tree = flatten(tangents)
        checks.structure("the tangents", tree, self.in_tree, "the arguments")
        dxs = [checks.tangent_array(t, x) for t, x in zip(self.in_types, leaves, strict=True)]
        active = [x for x, t in zip(dxs, self.in_types, strict=True) if dtypes.is_inexact(t.dtype)]
        dys = self.tape.push(self.places, active)
        return self.out_tree.unflatten(
            [checks.zero_filled(t, y) for t, y in zip(dys, self.out_types, strict=True)]
        )


for _cls in (VJP, JVP):
    register(
        _cls,
        lambda f: (f.tape.known(), f),
        lambda f, known: f.with_tape(f.tape.with_known(known)),
    )


def linear_transpose(fun: Callable[..., Any], *primals: Any, reduce_axes: Any = ()) -> Any:
    """The transpose of a function that is linear in its arguments.

    Args:
      fun: a linear function of positional arguments.
      *primals: arrays or `ShapeDtypeStruct`s that give the arguments' shapes and dtypes.
      reduce_axes: accepted for compatibility; must be empty.

    Returns:
      A function of a cotangent of the output, which gives a tuple with one for each argument.

    Raises:
      MissingRule: `fun` uses an operation that is not linear on its arguments.

    Example:
      >>> import pullback
      >>> f_t = pullback.linear_transpose(lambda x, y: 2.0 * x - y, 1.0, 1.0)
      >>> print(*f_t(1.0))
      2.0 -1.0
    """
    checks.callable_(fun, "linear_transpose")
    leaves, in_tree = flatten(primals)
    types = [checks.shaped(x, "linear_transpose") for x in leaves]
    for t in types:
        if not dtypes.is_inexact(t.dtype):
            raise error(
                TypeError,
                "linear_transpose only takes float and complex arguments.",
                got=t.str_short(),
                fix="close over integer arguments, e.g. with functools.partial.",
            )
    out_trees: list[PyTreeDef] = []

    def flat(*leaves: Any) -> list[Any]:
        outs, tree = flatten(fun(*in_tree.unflatten(leaves)))
        out_trees.append(tree)
        return [checks.output_array(y, "linear_transpose") for y in outs]

    tape, out_types, places = tape_of(flat, types, state.trace)
    return VJP(tape, places, types, in_tree, out_types, out_trees[0])
