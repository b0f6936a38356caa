"""Calls of Python functions from inside a program, for their side effects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..core.array import HostArray
from ..core.errors import JaxRuntimeError, error
from ..core.primitive import CORE, Method, Primitive
from ..core.program import Effect
from ..core.pytree import PyTreeDef, flatten
from ..core.trace import EVAL, host_array, inside
from ..core.types import ArrayType


class DebugEffect(Effect):
    """What a print or callback is in the `effects` of a program."""


class OrderedDebugEffect(Effect):
    """As `DebugEffect`, of calls with ``ordered=True``."""


class DebugCallback(Primitive):
    """Call `callback` with the values of the arguments. There is no result."""

    multiple_results = True
    effects = True
    calls_user = True

    def effect_of(self, params: Any) -> Effect:
        """What stands in the `effects` of a program with such a call."""
        return OrderedDebugEffect() if params["ordered"] else DebugEffect()

    def typing(self, *types: Any, callback: Any, ordered: bool) -> list[ArrayType]:
        return []

    def evaluate(self, args: Sequence[Any], params: Any) -> list[Any]:
        """Outside of programs an exception is the user's own."""
        with inside(EVAL):
            params["callback"](*[HostArray(host_array(x)._value) for x in args])
        return []

    def eval(self, *xs: Any, callback: Any, ordered: bool) -> list[Any]:
        with inside(EVAL):
            try:
                callback(*[HostArray(x) for x in xs])
            except Exception as cause:
                raise error(
                    JaxRuntimeError,
                    f"a Python function called from inside a program raised "
                    f"{type(cause).__name__}: {cause}",
                    got=f"an exception in {callback!r}",
                    fix="see the exception above this one, which is also its __cause__.",
                ) from cause
        return []

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> list[Any]:
        return []

    def transpose(self, cts: Any, *args: Any, **params: Any) -> list[Any]:
        return [None] * len(args)

    vmap: Any = Method("batch", "without results there is nothing to place")

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        each = ForEach(params["callback"], trace.size, tuple(axes))
        with inside(trace.parent):
            return debug_callback(*values, **{**params, "callback": each}), []

    lower: Any = CORE


debug_callback = DebugCallback()


class ForEach:
    """`callback` for one element after the other along the mapped axes."""

    def __init__(self, callback: Callable[..., Any], size: int, axes: Sequence[int | None]) -> None:
        self.callback, self.size, self.axes = callback, size, axes

    def __call__(self, *xs: HostArray) -> None:
        for i in range(self.size):
            self.callback(
                *[
                    x if axis is None else HostArray(x._value[(slice(None),) * axis + (i,)])
                    for x, axis in zip(xs, self.axes, strict=True)
                ]
            )


class Arguments:
    """Arguments of a callback in two: arrays, which a program can carry, and all else."""

    def __init__(self, args: Any, kwargs: Any) -> None:
        leaves, tree = flatten((args, kwargs))
        self.tree: PyTreeDef = tree
        found = [_array_or_none(x) for x in leaves]
        self.arrays = [x for x in found if x is not None]
        self.others = {
            i: y for i, (x, y) in enumerate(zip(found, leaves, strict=True)) if x is None
        }

    def joined(self, arrays: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments, with `arrays` in the places of the arrays."""
        rest = iter(arrays)
        leaves = [
            self.others[i] if i in self.others else next(rest) for i in range(self.tree.num_leaves)
        ]
        joined: Any = self.tree.unflatten(leaves)
        return joined  # type: ignore[no-any-return]


def _array_or_none(x: Any) -> Any:
    if hasattr(x, "trace"):
        return x
    try:
        return host_array(x)
    except TypeError:
        return None


def callback(
    callback: Callable[..., Any] | None = None,
    *args: Any,
    ordered: bool = False,
    partitioned: bool = False,
    **kwargs: Any,
) -> Any:
    """Call `callback(*args, **kwargs)` with the values, each time that the program gets here.

    Args:
      callback: a Python function; its result is ignored.
      *args: pytrees of arrays, and anything else, which is passed on as it is.
      ordered: accepted for compatibility: on this engine all calls keep their order.
      partitioned: accepted for compatibility.
      **kwargs: as `args`.

    Returns:
      None; without `callback`, a function that takes it and its arguments.

    Under `jit` the call is part of the program, also if no result near it is used. Under `vmap` it
    is done once for each element, under `grad` and `jvp` with the values, not the tangents. Where
    `checkpoint` computes a second time, it calls a second time. A tangent has no value in reverse
    mode: there a call with tangents, in a rule of the user's own, is left out.

    Example:
      >>> import pullback
      >>> seen = []
      >>> @pullback.jit
      ... def f(x):
      ...     pullback.debug.callback(lambda y: seen.append(float(y)), x * 2)
      ...     return x
      >>> _ = f(1.0), f(2.0)
      >>> seen
      [2.0, 4.0]
    """
    if callback is None:
        if args or kwargs:
            raise error(
                TypeError,
                "debug.callback got arguments but no function to call.",
                got=f"{len(args)} positional arguments and keywords {sorted(kwargs)}",
                fix="write debug.callback(f, x), or debug.callback(ordered=True)(f, x).",
            )
        return lambda f, *a, **k: call_back(f, Arguments(a, k), ordered)
    call_back(callback, Arguments(args, kwargs), ordered)
    return None


def call_back(function: Callable[..., Any], arguments: Arguments, ordered: bool) -> None:
    """Do the call now, or put it into the program that is being written."""
    if not callable(function):
        raise error(
            TypeError,
            "debug.callback takes a function as its first argument.",
            got=f"a value of type {type(function).__name__}",
            fix="write debug.callback(f, x), not debug.callback(f(x)).",
        )

    def flat(*arrays: Any) -> None:
        args, kwargs = arguments.joined(arrays)
        function(*args, **kwargs)

    debug_callback(*arguments.arrays, callback=flat, ordered=bool(ordered))
    arguments.arrays = []  # the program must not keep what it was traced with


__all__ = [
    "Arguments",
    "DebugEffect",
    "ForEach",
    "OrderedDebugEffect",
    "call_back",
    "callback",
    "debug_callback",
]
