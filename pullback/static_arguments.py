"""Which arguments of a jitted function are Python values, and which are donated."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from .core.array import Tracer
from .core.errors import error


class Static:
    """Which arguments are Python values that the program is made for.

    Also, with another `verb`, which are meant by other options of the form `verb_argnums`.
    """

    def __init__(self, fun: Any, numbers: Any, names: Any, verb: str = "static") -> None:
        self.verb, self.fun = verb, fun
        self.numbers: set[int] = set()
        self.names: set[str] = set()
        given = (numbers,) if isinstance(numbers, int) else tuple(numbers or ())
        by_name = (names,) if isinstance(names, str) else tuple(names or ())
        if not (given or by_name):
            return
        positional = self.positional
        for n in given:
            if not isinstance(n, int) or (positional and not self._has(n)):
                raise error(
                    ValueError,
                    f"jit: {verb}_argnums names an argument that the function does not have.",
                    got=f"{verb}_argnums={numbers} for {getattr(fun, '__name__', fun)}"
                    f"({', '.join(positional)})",
                    fix="count positional parameters from 0.",
                )
        self._check_names(by_name, fun)
        self.numbers = set(given) | {positional.index(n) for n in by_name if n in positional}
        self.names = set(by_name) | {
            positional[n] for n in given if -len(positional) <= n < len(positional)
        }

    @cached_property
    def parameters(self) -> list[inspect.Parameter]:
        """Those of the function. Asking for them takes 6 us, so nothing does before it must."""
        return _parameters(self.fun)

    @cached_property
    def positional(self) -> list[str]:
        """The names of those that can be given by position."""
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return [p.name for p in self.parameters if p.kind in kinds]

    def _has(self, n: int) -> bool:
        variadic = any(p.kind is p.VAR_POSITIONAL for p in self.parameters)
        return variadic or -len(self.positional) <= n < len(self.positional)

    def _check_names(self, names: Sequence[str], fun: Any) -> None:
        known = {p.name for p in self.parameters}
        open_ended = any(p.kind is p.VAR_KEYWORD for p in self.parameters) or not known
        for name in names:
            if name not in known and not open_ended:
                raise error(
                    ValueError,
                    f"jit: {self.verb}_argnames names {name!r}, which the function does not have.",
                    got=f"{getattr(fun, '__name__', fun)}({', '.join(sorted(known))})",
                    fix="use the name of a parameter.",
                )

    def __bool__(self) -> bool:
        return bool(self.numbers or self.names)

    @property
    def key(self) -> tuple[frozenset[int], frozenset[str]]:
        """The numbers and the names."""
        return frozenset(self.numbers), frozenset(self.names)

    def has(self, i: int, count: int) -> bool:
        """Whether positional argument `i` of so many is one of these."""
        return i in self.numbers or i - count in self.numbers

    def split(self, args: Any, kwargs: Any, hashable: bool = True) -> tuple[Any, Any, Any]:
        """The static values (hashable, if programs are kept by them), and the other arguments."""
        boxed = _hashable if hashable else _boxed
        if not self:
            return ((), ()), args, kwargs
        numbers = {n % len(args) if n < 0 else n for n in self.numbers}
        static = tuple((i, boxed(x, f"argument {i}")) for i, x in enumerate(args) if i in numbers)
        named = tuple(
            (k, boxed(v, f"argument {k!r}")) for k, v in sorted(kwargs.items()) if k in self.names
        )
        dynamic = tuple(x for i, x in enumerate(args) if i not in numbers)
        return (
            (static, named),
            dynamic,
            {k: v for k, v in kwargs.items() if k not in self.names},
        )

    def join(self, static: Any, args: Any, kwargs: Any) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of the function from static and other ones."""
        if not static:
            return list(args), kwargs
        positions, named = static
        joined = list(args)
        for i, x in positions:
            joined.insert(i, x.value)
        return joined, {**kwargs, **{k: v.value for k, v in named}}

    def argument_names(self, paths: Sequence[str]) -> list[str]:
        """`x['w']` for `args[0]['w']`: paths in the words of the function's parameters."""
        dynamic = [p for i, p in enumerate(self.positional) if i not in self.numbers]
        named = []
        for path in paths:
            head, _, rest = path.partition("[")
            first, _, tail = rest.partition("]")
            if head == "args" and int(first) < len(dynamic):
                path = dynamic[int(first)] + tail
            elif head == "kwargs":
                path = first.strip("'") + tail
            named.append(path)
        return named


NONE = Static(None, None, None)


class _Value:
    """A static value: equal by type and value, so that 1 and 1.0 and True are three programs."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Value)
            and type(self.value) is type(other.value)
            and bool(self.value == other.value)
        )

    def __hash__(self) -> int:
        return hash(self.value)


def _boxed(x: Any, name: str) -> _Value:
    return _Value(x)


def _hashable(x: Any, name: str) -> _Value:
    if isinstance(x, Tracer):
        raise error(
            ValueError,
            f"jit: static {name} is a traced value.",
            got=x.describe(),
            fix="static arguments must be Python values; pass arrays as ordinary arguments.",
        )
    try:
        hash(x)
    except TypeError as cause:
        raise error(
            ValueError,
            f"jit: non-hashable static arguments are not allowed; {name} is one.",
            got=f"{x!r:.80} of type {type(x).__name__}",
            fix="use a tuple instead of a list, or a frozen dataclass; arrays must not be static.",
        ) from cause
    return _Value(x)


def _parameters(fun: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(fun).parameters.values())
    except (TypeError, ValueError):  # builtins have no signature
        return []


__all__ = ["NONE", "Static"]
