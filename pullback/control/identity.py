"""What a function depends on besides its arguments, so that its program can be kept between calls.

`fingerprint` walks what a function closes over and the globals that it names. Two functions (or one
function at two times) with equal fingerprints do the same. Where that cannot be known, because an
object could be changed from outside, there is no fingerprint, and the program is not kept.
"""

from __future__ import annotations

import dis
from collections.abc import Sequence
from functools import lru_cache, partial
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from ..core.array import HostArray
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


def fingerprint(function: Any) -> list[Any] | None:
    """All that `function` depends on, as a flat list of objects; None if that cannot be known."""
    found: list[Any] = []
    try:
        _walk(function, found, set())
    except _Unknown:
        return None
    return found


def same(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether two fingerprints are of functions that do the same."""
    return len(a) == len(b) and all(x is y or _equal(x, y) for x, y in zip(a, b, strict=True))


def _equal(x: Any, y: Any) -> bool:
    # repr tells 0.0 from -0.0, and says that nan is nan.
    return type(x) is type(y) and type(x) in _BY_VALUE and repr(x) == repr(y)


def _walk(x: Any, found: list[Any], seen: set[int]) -> None:
    if len(found) > _MOST:
        raise _Unknown
    kind = type(x)
    if kind is FunctionType:
        _walk_function(x, found, seen)
    elif kind in _BY_VALUE or isinstance(x, _BY_IDENTITY):
        found.append(x)
    elif isinstance(x, (tuple, list)):
        found += [kind, len(x)]
        for part in x:
            _walk(part, found, seen)
    elif kind is dict:
        found += [kind, len(x)]
        for key, part in x.items():
            _walk(key, found, seen)
            _walk(part, found, seen)
    elif kind is partial:
        _walk((x.func, x.args, x.keywords), found, seen)
    elif kind is ModuleType:
        found.append(x)
    elif kind.__module__.startswith(_PACKAGE) and id(x) not in seen and hasattr(x, "__wrapped__"):
        seen.add(id(x))  # a jitted function, or one with rules of its own
        found.append(x)
        for part in vars(x).values():
            if callable(part):
                _walk(part, found, seen)
    elif id(x) not in seen:
        raise _Unknown


def _walk_function(f: FunctionType, found: list[Any], seen: set[int]) -> None:
    if id(f) in seen:
        return
    seen.add(id(f))
    if f.__closure__ is None and _is_ours(f.__module__):
        found.append(f)
        return
    found.append(f.__code__)
    _walk((f.__defaults__, f.__kwdefaults__), found, seen)
    for cell in f.__closure__ or ():
        try:
            content = cell.cell_contents
        except ValueError:  # not assigned yet
            raise _Unknown from None
        _walk(content, found, seen)
    names, attributes = _global_names(f.__code__)
    for name in names:
        if name not in f.__globals__:  # a builtin
            continue
        value = f.__globals__[name]
        _walk(value, found, seen)
        if type(value) is ModuleType and not _is_ours(value.__name__):
            for attribute in attributes:
                if attribute in vars(value):
                    _walk(vars(value)[attribute], found, seen)


def _is_ours(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] in (_PACKAGE, "numpy", "math")


@lru_cache(maxsize=4096)
def _global_names(code: CodeType) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The globals that `code` reads, with the functions inside it, and the attributes."""
    names, attributes = set(), set()
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            names.add(step.argval)
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            attributes.add(step.argval)
    for const in code.co_consts:
        if isinstance(const, CodeType):
            inner_names, inner_attributes = _global_names(const)
            names.update(inner_names)
            attributes.update(inner_attributes)
    return tuple(sorted(names)), tuple(sorted(attributes))
