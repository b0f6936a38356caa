"""Dtypes: names, 32-bit canonical forms, weak Python scalars and the promotion lattice.

The lattice is JAX's: weak Python types (`i*`, `f*`, `c*`) are nodes of it, and the promotion of two
types is their least upper bound.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import ml_dtypes
import numpy as np

from .errors import error
from .settings import values

_limits: Any = ml_dtypes  # finfo and iinfo come without types
bfloat16 = np.dtype(ml_dtypes.bfloat16)
_SMALL_FLOATS = tuple(
    np.dtype(getattr(ml_dtypes, name))
    for name in (
        "float4_e2m1fn",
        "float6_e2m3fn",
        "float6_e3m2fn",
        "float8_e3m4",
        "float8_e4m3",
        "float8_e4m3b11fnuz",
        "float8_e4m3fn",
        "float8_e4m3fnuz",
        "float8_e5m2",
        "float8_e5m2fnuz",
        "float8_e8m0fnu",
    )
)
_SMALL_INTS = tuple(np.dtype(getattr(ml_dtypes, name)) for name in ("int1", "int2", "int4"))
_SMALL_UINTS = tuple(np.dtype(getattr(ml_dtypes, name)) for name in ("uint1", "uint2", "uint4"))

bool_ = np.dtype(np.bool_)
int32 = np.dtype(np.int32)
int64 = np.dtype(np.int64)
uint32 = np.dtype(np.uint32)
float32 = np.dtype(np.float32)
float64 = np.dtype(np.float64)
complex64 = np.dtype(np.complex64)
complex128 = np.dtype(np.complex128)

float0 = np.dtype([("float0", np.void, 0)])
"""The type of tangents of integers and booleans: it holds nothing."""

_SHORT = {
    "bool": "bool",
    "bfloat16": "bf16",
    **{f"int{n}": f"i{n}" for n in (1, 2, 4, 8, 16, 32, 64)},
    **{f"uint{n}": f"u{n}" for n in (1, 2, 4, 8, 16, 32, 64)},
    **{f"float{n}": f"f{n}" for n in (16, 32, 64)},
    **{f"complex{n}": f"c{n}" for n in (64, 128)},
    **{d.name: d.name.replace("float", "f") for d in _SMALL_FLOATS},
}

_KINDS: dict[np.dtype, str] = {bfloat16: "f", float0: "V"}
_KINDS.update(dict.fromkeys(_SMALL_FLOATS, "f"))
_KINDS.update(dict.fromkeys(_SMALL_INTS, "i"))
_KINDS.update(dict.fromkeys(_SMALL_UINTS, "u"))

_TO_32 = {
    int64: int32,
    np.dtype(np.uint64): uint32,
    float64: float32,
    complex128: complex64,
}


# ---- random keys: an array of keys is a NumPy array of records, so that moving keys is moving data


class extended(np.generic):
    """The abstract dtype of all types that NumPy does not know, for `issubdtype`."""


class prng_key(np.void, extended):  # type: ignore[misc]
    """The abstract dtype of random key arrays, for `issubdtype`; `keys.dtype.type`."""


KEY_WORDS = {"fry": 2, "rbg": 4, "urbg": 4}
KEY_TYPES = {
    tag: np.dtype((prng_key, [(f"key<{tag}>", np.uint32, (words,))]))
    for tag, words in KEY_WORDS.items()
}


def is_key(dtype: np.dtype) -> bool:
    """Whether arrays of this dtype hold random keys."""
    return dtype.names is not None and dtype.names[0].startswith("key<")


def short_name(dtype: np.dtype) -> str:
    """`f32`, `c64`, `bool`, `key<fry>`: the name in printed programs."""
    if dtype.names is not None:
        return str(dtype.names[0])
    return str(_SHORT.get(dtype.name, dtype.name))


def long_name(dtype: np.dtype) -> str:
    """`float32`, `key<fry>`: the name in messages and reprs."""
    return dtype.names[0] if dtype.names is not None else dtype.name


@cache
def kind(dtype: np.dtype) -> str:
    """`b` bool, `i`, `u` integers, `f` floats (also bfloat16, float8), `c` complex, `V` others."""
    known = _KINDS.get(dtype)
    return known if known is not None else dtype.kind


def is_inexact(dtype: np.dtype) -> bool:
    """Whether the dtype is a float or complex one: those that have derivatives."""
    return kind(dtype) in "fc"


def real_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype of the real part."""
    return np.zeros((), dtype).real.dtype if dtype.kind == "c" else dtype


def complex_dtype(dtype: np.dtype) -> np.dtype:
    """The complex dtype whose parts are of the float dtype `dtype`."""
    return complex128 if dtype in (float64, complex128) else complex64


def as_dtype(dtype: Any) -> np.dtype:
    """`dtype` as a NumPy dtype, not yet in canonical form: Python's `float`, `int` are 64-bit."""
    found: Any = dtype if isinstance(dtype, np.dtype) else getattr(dtype, "dtype", None)
    if isinstance(found, np.dtype):
        own: np.dtype = found
        return own
    try:
        name: Any = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
        named: np.dtype = np.dtype(name)
        return named
    except (TypeError, AttributeError) as cause:
        raise error(
            TypeError,
            f"{dtype!r} does not name a dtype.",
            got=type(dtype).__name__,
            fix='give a dtype such as jnp.float32, "int32" or float.',
        ) from cause


def canonical(dtype: Any) -> np.dtype:
    """`dtype` as it will be stored: 64-bit types become 32-bit ones unless x64 is enabled."""
    found = as_dtype(dtype)
    return found if values.jax_enable_x64 else _TO_32.get(found, found)


def default_int() -> np.dtype:
    """int64 with x64, else int32."""
    return int64 if values.jax_enable_x64 else int32


def default_float() -> np.dtype:
    """float64 with x64, else float32."""
    return float64 if values.jax_enable_x64 else float32


def scalar_dtype(x: Any) -> np.dtype:
    """The dtype that a Python scalar takes when nothing else decides."""
    return _PYTHON_DTYPES[type(x)][values.jax_enable_x64]


_PYTHON_DTYPES = {
    bool: (bool_, bool_),
    int: (int32, int64),
    float: (float32, float64),
    complex: (complex64, complex128),
}


# ---- promotion

_WEAK_INT, _WEAK_FLOAT, _WEAK_COMPLEX = "i*", "f*", "c*"
_ABOVE: dict[Any, tuple[Any, ...]] = {
    bool_: (_WEAK_INT,),
    _WEAK_INT: (*_SMALL_UINTS, *_SMALL_INTS, np.dtype("u1"), np.dtype("i1")),
    **dict.fromkeys(_SMALL_UINTS, ()),
    **dict.fromkeys(_SMALL_INTS, ()),
    np.dtype("u1"): (np.dtype("i2"), np.dtype("u2")),
    np.dtype("u2"): (int32, uint32),
    uint32: (int64, np.dtype("u8")),
    np.dtype("u8"): (_WEAK_FLOAT,),
    np.dtype("i1"): (np.dtype("i2"),),
    np.dtype("i2"): (int32,),
    int32: (int64,),
    int64: (_WEAK_FLOAT,),
    _WEAK_FLOAT: (bfloat16, np.dtype("f2"), _WEAK_COMPLEX, *_SMALL_FLOATS),
    **dict.fromkeys(_SMALL_FLOATS, ()),
    bfloat16: (float32,),
    np.dtype("f2"): (float32,),
    float32: (float64, complex64),
    float64: (complex128,),
    _WEAK_COMPLEX: (complex64,),
    complex64: (complex128,),
    complex128: (),
}
_WEAK_NODE = {"b": bool_, "i": _WEAK_INT, "u": _WEAK_INT, "f": _WEAK_FLOAT, "c": _WEAK_COMPLEX}


# In strict mode Python scalars adapt to one strong type, and strong types do not mix.
_ABOVE_STRICT: dict[Any, tuple[Any, ...]] = {
    **dict.fromkeys(_ABOVE, ()),
    _WEAK_INT: (_WEAK_FLOAT, *(d for d in _ABOVE if not isinstance(d, str) and kind(d) in "iu")),
    _WEAK_FLOAT: (_WEAK_COMPLEX, *(d for d in _ABOVE if not isinstance(d, str) and kind(d) == "f")),
    _WEAK_COMPLEX: (complex64, complex128),
}
_WEAK_DTYPES = {
    _WEAK_INT: (int32, int64),
    _WEAK_FLOAT: (float32, float64),
    _WEAK_COMPLEX: (complex64, complex128),
}


def _uppers(lattice: dict[Any, tuple[Any, ...]]) -> dict[Any, frozenset[Any]]:
    above: dict[Any, frozenset[Any]] = {}

    def visit(node: Any) -> frozenset[Any]:
        if node not in above:
            above[node] = frozenset([node]).union(*(visit(n) for n in lattice[node]))
        return above[node]

    for node in lattice:
        visit(node)
    return above


_UPPERS = {False: _uppers(_ABOVE), True: _uppers(_ABOVE_STRICT)}


@cache
def _join(nodes: frozenset[Any], strict: bool) -> Any:
    uppers = _UPPERS[strict]
    common = frozenset.intersection(*(uppers[n] for n in nodes))
    least = [n for n in common if common <= uppers[n]]
    return least[0] if len(least) == 1 else None


@lru_cache(maxsize=4096)
def promote_types(
    types: tuple[tuple[np.dtype, bool], ...], x64: bool, strict: bool
) -> tuple[np.dtype, bool] | None:
    """The common type of (dtype, weak) pairs, or None where there is none.

    A strong integer with a weak float is a weak float of the default width: their least upper
    bound is the weak node itself.
    """
    first = types[0][0]
    all_weak = all(weak for _, weak in types)
    if all(d == first for d, _ in types):
        return first, all_weak
    if any(kind(d) == "V" for d, _ in types):
        return None
    own = all_weak and not strict
    nodes = frozenset(_WEAK_NODE[kind(d)] if weak and not own else d for d, weak in types)
    top = _join(nodes, strict)
    if top is None:
        return None
    if isinstance(top, str):
        return _WEAK_DTYPES[top][x64], True
    result = top if x64 else _TO_32.get(top, top)
    return result, own and result != bool_


def promoted(types: tuple[tuple[np.dtype, bool], ...], what: str) -> tuple[np.dtype, bool]:
    """The common type of (dtype, weak) pairs; a TypeError in the user's words if there is none."""
    strict = values.jax_numpy_dtype_promotion == "strict"
    result = promote_types(types, bool(values.jax_enable_x64), strict)
    if result is None:
        others = [d for d, _ in types if kind(d) == "V"]
        if others:
            raise error(
                TypeError,
                f"{what} does not take arrays of dtype {long_name(others[0])}.",
                got=" and ".join(long_name(d) for d, _ in types),
                fix="random keys are used with the functions of pullback.random."
                if any(map(is_key, others))
                else "float0 is the dtype of tangents of integers: they are zero.",
            )
        names = " and ".join(long_name(d) + ("*" if weak else "") for d, weak in types)
        raise error(
            TypePromotionError,
            f"{what}: these dtypes have no implicit promotion"
            + (" in strict mode." if strict else "."),
            got=names,
            fix="convert one of them with .astype(...)"
            + (' or use numpy_dtype_promotion("standard").' if strict else "."),
        )
    return result


class TypePromotionError(ValueError):
    """Two dtypes have no common type."""


# ---- questions about dtypes


_ABSTRACT_KINDS: dict[Any, str] = {
    np.generic: "biufcV",
    np.number: "iufc",
    np.integer: "iu",
    np.signedinteger: "i",
    np.unsignedinteger: "u",
    np.inexact: "fc",
    np.floating: "f",
    np.complexfloating: "c",
    np.bool_: "b",
}


def issubdtype(a: Any, b: Any) -> bool:
    """NumPy's `issubdtype` with bfloat16, float8, int4 and random keys in their places."""
    if b in (prng_key, extended):
        return a is prng_key or (a is not extended and _is_key_like(a)) or a is b
    if _is_key_like(a) or a in (prng_key, extended):
        return b is np.generic or (not isinstance(b, type) and _same_dtype(a, b))
    if (
        isinstance(a, type)
        and issubclass(a, np.generic)
        and a in _ABSTRACT_KINDS
        and a is not np.bool_
    ):
        return bool(np.issubdtype(a, b))
    own = as_dtype(a)
    if isinstance(b, type) and b in _ABSTRACT_KINDS:
        return kind(own) in _ABSTRACT_KINDS[b]
    if isinstance(b, type) and issubclass(b, np.generic) and b in (np.flexible, np.character):
        return bool(np.issubdtype(own, b))
    return own == as_dtype(b)


def _is_key_like(a: Any) -> bool:
    return isinstance(a, np.dtype) and is_key(a)


def _same_dtype(a: Any, b: Any) -> bool:
    return as_dtype(a) == as_dtype(b)


def is_storable(dtype: np.dtype) -> bool:
    """Whether arrays of this dtype exist: numbers, bools, random keys and float0."""
    return dtype in _ABOVE or dtype == float0 or is_key(dtype)


def finfo(dtype: Any) -> Any:
    """Machine limits of a float or complex dtype, bfloat16 and float8 included."""
    return _limits.finfo(real_dtype(canonical(dtype)))


def iinfo(dtype: Any) -> Any:
    """Machine limits of an integer dtype, int4 included."""
    return _limits.iinfo(canonical(dtype))
