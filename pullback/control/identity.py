"""What a function depends on besides its arguments, so that its program can be kept between calls.

`fingerprint` walks what a function closes over and the globals that it names. Two functions (or one
function at two times) with equal fingerprints do the same, but for the traced values among these,
of which only the types count. Where that cannot be known, because an object could be changed from
outside, there is no fingerprint, and the program is not kept.
"""

from __future__ import annotations

import dis
from functools import lru_cache, partial
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from ..core.array import HostArray, Tracer
from ..core.primitive import Primitive

_PACKAGE = __name__.partition(".")[0]
_BY_VALUE = (int, float, complex, bool, str, bytes)
_BY_IDENTITY = (
    HostArray,
    type(None),
    type(...),
    type,
    np.dtype,
    np.generic,
    np.ufunc,
    BuiltinFunctionType,
    Primitive,
)
_MOST = 300
"""Objects looked at; a function that reaches more is traced anew, which costs no more than this."""


class _Unknown(Exception):
    """An object that could change without being another object."""


class Fingerprint:
    """All that a function depends on, as a flat list of objects, and the traced values in it."""

    __slots__ = ("found", "seen", "traced")

    def __init__(self) -> None:
        self.found: list[Any] = []
        self.traced: list[Any] = []
        self.seen: set[int] = set()

    def codes(self) -> tuple[int, ...]:
        """The identities of the code of the function and of those that it calls."""
        return tuple([id(x) for x in self.found if type(x) is CodeType])

    def has_containers(self) -> bool:
        """Whether there are lists or dicts in it, of which only the contents are known."""
        return any(x is list or x is dict for x in self.found)


def fingerprint(function: Any) -> Fingerprint | None:
    """All that `function` depends on; None if that cannot be known."""
    found = Fingerprint()
    try:
        _walk(function, found)
    except _Unknown:
        return None
    return found


class _Traced:
    """Stands for a traced value: the same one at each place has the same number."""

    __slots__ = ("aval", "number")

    def __init__(self, number: int, aval: Any) -> None:
        self.number, self.aval = number, aval


def same(a: Fingerprint, b: Fingerprint) -> bool:
    """Whether two fingerprints are of functions that do the same."""
    pairs = zip(a.found, b.found)
    return len(a.found) == len(b.found) and all([x is y or _equal(x, y) for x, y in pairs])


def _equal(x: Any, y: Any) -> bool:
    if type(x) is not type(y):
        return False
    if type(x) is _Traced:
        return x.number == y.number and x.aval is y.aval  # type: ignore[no-any-return]
    # repr tells 0.0 from -0.0, and says that nan is nan.
    return type(x) in _BY_VALUE and repr(x) == repr(y)


def _walk(x: Any, into: Fingerprint) -> None:
    found, seen = into.found, into.seen
    if len(found) > _MOST:
        raise _Unknown
    kind = type(x)
    if kind is FunctionType:
        _walk_function(x, into)
    elif kind in _BY_VALUE or isinstance(x, _BY_IDENTITY):
        found.append(x)
    elif isinstance(x, Tracer):
        number = next((i for i, t in enumerate(into.traced) if t is x), len(into.traced))
        if number == len(into.traced):
            into.traced.append(x)
        found.append(_Traced(number, x.aval))
    elif isinstance(x, (tuple, list)):
        found += [kind, len(x)]
        for part in x:
            _walk(part, into)
    elif kind is dict:
        found += [kind, len(x)]
        for key, part in x.items():
            _walk(key, into)
            _walk(part, into)
    elif kind is partial:
        _walk((x.func, x.args, x.keywords), into)
    elif kind is ModuleType:
        found.append(x)
    elif kind.__module__.startswith(_PACKAGE) and id(x) not in seen and hasattr(x, "__wrapped__"):
        seen.add(id(x))  # a jitted function, or one with rules of its own
        found.append(x)
        for part in vars(x).values():
            if callable(part):
                _walk(part, into)
    elif id(x) not in seen:
        raise _Unknown


def _walk_function(f: FunctionType, into: Fingerprint) -> None:
    if id(f) in into.seen:
        return
    into.seen.add(id(f))
    if f.__closure__ is None and _is_ours(f.__module__):
        into.found.append(f)
        return
    into.found.append(f.__code__)
    if f.__defaults__ or f.__kwdefaults__:
        _walk((f.__defaults__, f.__kwdefaults__), into)
    for cell in f.__closure__ or ():
        try:
            content = cell.cell_contents
        except ValueError:  # not assigned yet
            raise _Unknown from None
        _walk(content, into)
    names, attributes = _global_names(f.__code__)
    for name in names:
        if name not in f.__globals__:  # a builtin
            continue
        value = f.__globals__[name]
        _walk(value, into)
        if type(value) is ModuleType and not _is_ours(value.__name__):
            for attribute in attributes:
                if attribute in vars(value):
                    _walk(vars(value)[attribute], into)


def _is_ours(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] in (_PACKAGE, "numpy", "math")


@lru_cache(maxsize=4096)
def _global_names(code: CodeType) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The globals that `code` reads or sets, with the functions inside it, and the attributes."""
    names, attributes = set(), set()
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL"):
            names.add(step.argval)
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            attributes.add(step.argval)
    for const in code.co_consts:
        if isinstance(const, CodeType):
            inner_names, inner_attributes = _global_names(const)
            names.update(inner_names)
            attributes.update(inner_attributes)
    return tuple(sorted(names)), tuple(sorted(attributes))
