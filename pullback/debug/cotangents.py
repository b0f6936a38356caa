"""Looking at derivatives on their way back: a function, or the debugger, meets the cotangent."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .. import checks
from ..core import dtypes
from ..core.array import HostArray
from ..core.errors import error
from ..core.primitive import CORE, Linear, Method, Primitive
from ..core.program import ClosedProgram, Program, Var
from ..core.pytree import PyTreeDef, flatten
from ..core.trace import inside, type_of
from ..core.types import ArrayType
from ..mapping import vmap
from ..ops.structural import to_front, zeros
from .breakpoints import has_escaped, stop_at
from .callbacks import Arguments, ForEach, debug_callback


class OnCotangent(Primitive):
    """The first `count` arguments as they are. Going back, `meet(cts, known)` gives the cotangents.

    The other arguments are values that `meet` is to have: they have no derivative.
    """

    multiple_results = True
    calls_user = True

    def typing(self, *types: Any, meet: Any, count: int) -> list[ArrayType]:
        return list(types[:count])

    def eval(self, *xs: Any, meet: Any, count: int) -> list[Any]:
        return list(xs[:count])

    def lowered_program(self, types: Sequence[ArrayType], params: Any) -> ClosedProgram:
        invars = [Var(t) for t in types]
        return ClosedProgram(Program([], invars, invars[: params["count"]], []), [])

    def jvp(self, primals: Any, tangents: Any, out: Any, *, meet: Any, count: int) -> list[Any]:
        if all(t is None for t in tangents[:count]):
            return [None] * count
        dots = [_tangent(x, t) for x, t in zip(primals[:count], tangents)]
        found = on_cotangent_p(*dots, *primals[count:], meet=meet, count=count)
        return [t if _is_inexact(x) else None for t, x in zip(found, primals)]

    def transpose(self, cts: Any, *args: Any, meet: Any, count: int) -> list[Any]:
        filled = [
            zeros(type_of_argument(a)) if ct is None and _is_inexact(a) else ct
            for ct, a in zip(cts, args)
        ]
        known = [None if type(a) is Linear else a for a in args[count:]]
        found = meet(filled, known)
        back = [ct if type(a) is Linear else None for ct, a in zip(found, args)]
        return [*back, *(None for _ in known)]

    vmap: Any = Method("batch", "the function meets each element's cotangent by itself")

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        count, size = params["count"], trace.size
        meet = params["meet"].for_each(size, trace.axis_name)
        with inside(trace.parent):
            values = [to_front(x, a, size) for x, a in zip(values, axes, strict=True)]
            outs = on_cotangent_p(*values, meet=meet, count=count)
        return outs, [0] * count

    lower: Any = CORE


on_cotangent_p = OnCotangent()


def type_of_argument(x: Any) -> ArrayType:
    """The type of an argument of a tape's entry."""
    return x.aval if type(x) is Linear else type_of(x)


def _is_inexact(x: Any) -> bool:
    return dtypes.is_inexact(x.dtype)


def _tangent(x: Any, t: Any) -> Any:
    """The tangent; zeros where it is zero, the value itself where there can be none."""
    if t is not None:
        return t
    return zeros(type_of(x)) if _is_inexact(x) else x


class Observe:
    """Call `function` with the values of the cotangents, which go on as they are."""

    def __init__(self, function: Callable[..., None], each: tuple[int, ...] = ()) -> None:
        self.function, self.each = function, each
        """`each`: the sizes of the mapped axes in front, the innermost vmap's last."""

    def for_each(self, size: int, axis_name: Any) -> Observe:
        """The same for a vmap around it."""
        return Observe(self.function, (size, *self.each))

    def __call__(self, cts: list[Any], known: list[Any]) -> list[Any]:
        given = [x is not None for x in (*cts, *known)]
        count = len(cts)

        def host(*present: HostArray) -> None:
            rest = iter(present)
            xs = [next(rest) if g else None for g in given]
            self.function(xs[:count], xs[count:])

        function: Any = host
        arrays = [x for x in (*cts, *known) if x is not None]
        for size in reversed(self.each):
            function = ForEach(function, size, (0,) * len(arrays))
        debug_callback(*arrays, callback=function, ordered=False)
        return cts


class Replace:
    """Put what `function` makes of the cotangents in their place. It is traced like others."""

    def __init__(self, function: Callable[..., list[Any]]) -> None:
        self.function = function

    def for_each(self, size: int, axis_name: Any) -> Replace:
        """The same for a vmap around it."""
        return Replace(partial(_mapped, self.function, axis_name))

    def __call__(self, cts: list[Any], known: list[Any]) -> list[Any]:
        return self.function(cts)


def _mapped(function: Callable[..., list[Any]], axis_name: Any, cts: list[Any]) -> list[Any]:
    present = [ct for ct in cts if ct is not None]

    def each(*xs: Any) -> list[Any]:
        rest = iter(xs)
        found = function([None if ct is None else next(rest) for ct in cts])
        return [ct for ct in found if ct is not None]

    rest = iter(vmap(each, axis_name=axis_name)(*present))
    return [None if ct is None else next(rest) for ct in cts]


def on_cotangent(x: Any, f: Callable[[Any], Any], *, replace: bool = False) -> Any:
    """`x` itself; in the backward pass, `f` is called with the cotangent of `x`.

    Args:
      x: an array, or a pytree of arrays.
      f: a function of one argument with the structure, shapes and dtypes of `x` (``float0`` for
        integers): the derivative of the final result by `x`, summed over all that uses the result
        of this call. It sees arrays with values: under `jit` it is called back from the compiled
        program, under `vmap` once for each element, in a loop once for each round. It returns None.
      replace: what `f` returns goes back in place of the cotangent: to clip, scale or stop it. `f`
        is then a function like any other that is transformed: it is traced under `jit`, mapped
        under `vmap`, and differentiated for second derivatives, which are those of the replaced
        first ones.

    Returns:
      `x`, in the same structure. In forward mode its tangent is that of `x`, and `f` is not called.
      It is not called either where no derivative comes back to this call.

    Raises:
      TypeError: `x` is no tree of arrays, `f` is not a function or returns something without
        `replace`; with `replace`, what it returns has not the structure, shapes and dtypes of `x`.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback import debug
      >>> def f(x):
      ...     y = debug.on_cotangent(x * x, lambda ct: print("d/dy =", ct))
      ...     return 3.0 * jnp.sum(y)
      >>> print(pullback.grad(f)(2.0))
      d/dy = 3.0
      12.0
    """
    _check_function(f)
    leaves, tree = flatten(x)
    leaves = [checks.input_array(leaf, "debug.on_cotangent") for leaf in leaves]
    types = [type_of(leaf) for leaf in leaves]
    meet: Any
    if replace:
        meet = Replace(partial(_replaced, f, tree, types))
    else:
        meet = Observe(partial(_observed, f, tree, types))
    return tree.unflatten(on_cotangent_p(*leaves, meet=meet, count=len(leaves)))


def breakpoint_backward(x: Any) -> Any:
    """`x` itself; in the backward pass Python's debugger stops, with the cotangent of `x` at hand.

    The debugger shows the line of this call and its local variables with the values of this run,
    and one more, `cotangent`: the derivative of the final result by `x`, in the structure of `x`.
    It stops under `jit` too, under `vmap` once for each element, in a loop once for each round.
    Variables can be looked at; changes have no effect. It is the debugger that `breakpoint()`
    starts: `sys.breakpointhook` and PYTHONBREAKPOINT choose it.

    Args:
      x: an array, or a pytree of arrays.

    Returns:
      `x`, in the same structure.

    Example:
      >>> import sys
      >>> import pullback
      >>> def show():
      ...     found = sys._getframe(1).f_locals
      ...     print("stopped: y =", found["y"], "and cotangent =", found["cotangent"])
      >>> hook, sys.breakpointhook = sys.breakpointhook, show
      >>> def f(x):
      ...     y = x * x
      ...     return 3.0 * pullback.debug.breakpoint_backward(y)
      >>> print(pullback.grad(f)(2.0))
      stopped: y = 4.0 and cotangent = 3.0
      12.0
      >>> sys.breakpointhook = hook
    """
    frame = sys._getframe(1)
    variables = {name: v for name, v in frame.f_locals.items() if not has_escaped(v)}
    arguments = Arguments((), variables)
    leaves, tree = flatten(x)
    leaves = [checks.input_array(leaf, "debug.breakpoint_backward") for leaf in leaves]
    types = [type_of(leaf) for leaf in leaves]
    stop, arrays = stop_at(frame), arguments.arrays
    arguments.arrays = []  # the program must not keep what it was traced with

    def meet(cts: list[Any], known: list[Any]) -> None:
        _, named = arguments.joined(known)
        stop(**{**named, "cotangent": _in_tree(cts, tree, types)})

    found = on_cotangent_p(*leaves, *arrays, meet=Observe(meet), count=len(leaves))
    return tree.unflatten(found)


# ---- what the user's function gets, and gives


def _in_tree(cts: Sequence[Any], tree: PyTreeDef, types: Sequence[ArrayType]) -> Any:
    filled = [
        np.zeros(t.shape, dtypes.float0) if ct is None else ct
        for ct, t in zip(cts, types, strict=True)
    ]
    return tree.unflatten(filled)


def _observed(f: Any, tree: PyTreeDef, types: Any, cts: list[Any], known: list[Any]) -> None:
    found = f(_in_tree(cts, tree, types))
    if found is not None:
        raise error(
            TypeError,
            "debug.on_cotangent: the function returned something, but it only observes.",
            got=f"a value of type {type(found).__name__}",
            fix="return None, or pass replace=True to have it in place of the cotangent.",
        )


def _replaced(f: Any, tree: PyTreeDef, types: Any, cts: list[Any]) -> list[Any]:
    found, have = flatten(f(_in_tree(cts, tree, types)))
    checks.structure("the new cotangent of debug.on_cotangent", have, tree, "the value")
    return [
        checks.tangent_array(t, y, "new cotangent", "value") if dtypes.is_inexact(t.dtype) else None
        for t, y in zip(types, found, strict=True)
    ]


def _check_function(f: Any) -> None:
    if not callable(f):
        raise error(
            TypeError,
            "debug.on_cotangent takes a function as its second argument.",
            got=f"a value of type {type(f).__name__}",
            fix="write debug.on_cotangent(x, f), not debug.on_cotangent(x, f(x)).",
        )


__all__ = ["breakpoint_backward", "on_cotangent"]
