"""What a function depends on besides its arguments, so that its program can be kept between calls.

`fingerprint` walks what a function closes over and the globals that it names. Two functions (or one
function at two times) with equal fingerprints do the same, but for the traced values among these,
of which only the types count. Where that cannot be known, because an object could be changed from
outside, there is no fingerprint, and the program is not kept.
"""

from __future__ import annotations

import dis
import sys
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
        self.seen: dict[Any, int] = {}

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


class _Again:
    """Stands before the number of an object that was met before."""


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
    found = into.found
    if len(found) > _MOST:
        raise _Unknown
    kind = type(x)
    if kind is FunctionType:
        _walk_function(x, into)
    elif kind in _BY_VALUE or isinstance(x, _BY_IDENTITY):
        found.append(x)
    elif isinstance(x, type):
        _walk_class(x, into)
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
    elif _is_ours(kind.__module__) and hasattr(x, "__wrapped__"):
        if not _is_met_again(x, into):  # a jitted function, or one with rules of its own
            found.append(x)
            for part in vars(x).values():
                if callable(part):
                    _walk(part, into)
    else:
        raise _Unknown


def _is_met_again(x: Any, into: Fingerprint) -> bool:
    """Whether `x` was met before. Then it is noted which object it is, and what it depends on is
    not walked again."""
    key = x if type(x) is tuple else id(x)
    number = into.seen.get(key)
    if number is None:
        into.seen[key] = len(into.seen)
        return False
    into.found += [_Again, number]
    return True


def _walk_class(x: type, into: Fingerprint) -> None:
    """A class is the same as long as its attributes are."""
    if _is_ours(x.__module__) or x.__module__.partition(".")[0] in sys.stdlib_module_names:
        into.found.append(x)
        return
    if _is_met_again(x, into):
        return
    into.found.append(x)
    for base in x.__bases__:
        _walk_class(base, into)
    for name, value in vars(x).items():
        part = getattr(value, "__func__", getattr(value, "fget", value))
        if isinstance(part, (FunctionType, type, list, dict, tuple, np.ndarray, *_BY_VALUE)):
            if type(part) is FunctionType or not name.startswith("__"):
                _walk(part, into)
        elif not name.startswith("__"):
            into.found.append(part)


def _walk_function(f: FunctionType, into: Fingerprint) -> None:
    if _is_met_again(f, into):
        return
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
        if name in f.__globals__:  # otherwise a builtin
            value = f.__globals__[name]
            _walk(value, into)
            if type(value) is ModuleType:
                _walk_module(value, attributes, into)


def _walk_module(x: ModuleType, attributes: tuple[str, ...], into: Fingerprint) -> None:
    """What a function with these attributes in its code may read of a module."""
    if _is_ours(x.__name__):
        return
    for name in attributes:
        if name in vars(x):
            value = vars(x)[name]
            if type(value) is not ModuleType:
                _walk(value, into)
            elif not _is_met_again((value.__name__, attributes), into):
                into.found.append(value)
                _walk_module(value, attributes, into)


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
