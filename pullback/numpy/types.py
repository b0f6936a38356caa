"""Dtypes as objects that can be called, questions about dtypes and arrays, and constants."""

from __future__ import annotations

import builtins
import math
from typing import Any

import ml_dtypes
import numpy as np

from ..core import dtypes
from ..core.array import Array
from ..core.errors import error, warn
from ..core.settings import values
from ..core.trace import host_array
from .conversion import asarray
from .promotion import axis_numbers, requested_dtype

ndarray = Array

# ---- scalar types


class ScalarType(type):
    """The type of `jnp.float32`: it stands for a dtype, and makes arrays of it when called."""

    dtype: np.dtype

    def __call__(cls, x: Any) -> Any:
        return asarray(x, dtype=cls.dtype)

    @property
    def __numpy_dtype__(cls) -> np.dtype:
        return cls.dtype

    def __eq__(cls, other: object) -> builtins.bool:
        return cls is other or cls.dtype.type == other

    def __ne__(cls, other: object) -> builtins.bool:
        return not cls == other

    def __hash__(cls) -> int:
        return hash(cls.dtype.type)

    def __instancecheck__(cls, instance: Any) -> builtins.bool:
        return isinstance(instance, cls.dtype.type)


def _scalar_type(kind: Any) -> Any:
    made = ScalarType(kind.__name__, (object,), {"dtype": np.dtype(kind)})
    made.__module__ = "pullback.numpy"
    made.__doc__ = f"The dtype {np.dtype(kind).name}. Called, it makes an array of it."
    return made


bool_ = bool = _scalar_type(np.bool_)
uint1 = _scalar_type(ml_dtypes.uint1)
uint2 = _scalar_type(ml_dtypes.uint2)
uint4 = _scalar_type(ml_dtypes.uint4)
uint8 = _scalar_type(np.uint8)
uint16 = _scalar_type(np.uint16)
uint32 = _scalar_type(np.uint32)
uint64 = uint = _scalar_type(np.uint64)
int1 = _scalar_type(ml_dtypes.int1)
int2 = _scalar_type(ml_dtypes.int2)
int4 = _scalar_type(ml_dtypes.int4)
int8 = _scalar_type(np.int8)
int16 = _scalar_type(np.int16)
int32 = _scalar_type(np.int32)
int64 = int_ = _scalar_type(np.int64)
float4_e2m1fn = _scalar_type(ml_dtypes.float4_e2m1fn)
float6_e2m3fn = _scalar_type(ml_dtypes.float6_e2m3fn)
float6_e3m2fn = _scalar_type(ml_dtypes.float6_e3m2fn)
float8_e3m4 = _scalar_type(ml_dtypes.float8_e3m4)
float8_e4m3 = _scalar_type(ml_dtypes.float8_e4m3)
float8_e4m3fn = _scalar_type(ml_dtypes.float8_e4m3fn)
float8_e4m3fnuz = _scalar_type(ml_dtypes.float8_e4m3fnuz)
float8_e4m3b11fnuz = _scalar_type(ml_dtypes.float8_e4m3b11fnuz)
float8_e5m2 = _scalar_type(ml_dtypes.float8_e5m2)
float8_e5m2fnuz = _scalar_type(ml_dtypes.float8_e5m2fnuz)
float8_e8m0fnu = _scalar_type(ml_dtypes.float8_e8m0fnu)
bfloat16 = _scalar_type(ml_dtypes.bfloat16)
float16 = _scalar_type(np.float16)
float32 = single = _scalar_type(np.float32)
float64 = double = float_ = _scalar_type(np.float64)
complex64 = csingle = _scalar_type(np.complex64)
complex128 = cdouble = complex_ = _scalar_type(np.complex128)

# ---- NumPy's names for kinds of dtypes

dtype = np.dtype
generic = np.generic
number = np.number
integer = np.integer
signedinteger = np.signedinteger
unsignedinteger = np.unsignedinteger
inexact = np.inexact
floating = np.floating
complexfloating = np.complexfloating
flexible = np.flexible
character = np.character
object_ = np.object_

finfo = ml_dtypes.finfo
iinfo = ml_dtypes.iinfo

can_cast = np.can_cast
printoptions = np.printoptions
get_printoptions = np.get_printoptions
set_printoptions = np.set_printoptions

# ---- constants

e = math.e
pi = math.pi
euler_gamma = np.euler_gamma
inf = math.inf
nan = math.nan
newaxis = None

# ---- questions about dtypes


def result_type(*args: Any) -> np.dtype:
    """The dtype to which arrays, numbers and dtypes promote together.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.result_type(jnp.int8, 1.0), jnp.result_type("int8", "uint8"))
      float32 int16
    """
    return promoted_type(args)[0]


def promoted_type(args: tuple[Any, ...]) -> tuple[np.dtype, builtins.bool]:
    """The dtype to which arrays, numbers and dtypes promote together, and whether it is weak."""
    if not args:
        raise error(
            ValueError,
            "at least one array or dtype is required.",
            got="result_type()",
            fix="give arrays, numbers or dtypes.",
        )
    found, weak = dtypes.promoted(tuple(map(_type_and_weakness, args)), "result_type")
    return (_default_width(found) if weak else found), weak


def _type_and_weakness(x: Any) -> tuple[np.dtype, builtins.bool]:
    if x is None:
        return dtypes.default_float(), False
    if isinstance(x, type) and x in (int, float, complex):
        return dtypes.scalar_dtype(x()), True
    if isinstance(x, Array):
        return x.dtype, x.weak_type
    if isinstance(x, (str, np.dtype, type)):
        return requested_dtype(x, "dtype"), False
    if hasattr(x, "dtype"):
        return dtypes.canonical(x.dtype), getattr(x, "weak_type", False)
    array = host_array(x)
    return array.dtype, array.weak_type


def _default_width(found: np.dtype) -> np.dtype:
    kind = dtypes.kind(found)
    if kind == "b":  # `1 == 1` is weak, and a bool
        return found
    if kind in "iu":
        return dtypes.default_int()
    return dtypes.default_float() if kind == "f" else dtypes.complex_dtype(dtypes.default_float())


def promote_types(a: Any, b: Any) -> np.dtype:
    """The dtype to which two dtypes promote: the least that holds both in the promotion lattice.

    Python's `int`, `float` and `complex` give way to the other one.
    """
    strict = values.jax_numpy_dtype_promotion == "strict"
    pairs = tuple(_pair(x) for x in (a, b))
    if all(weak for _, weak in pairs):
        widest = max(pairs, key=lambda pair: "iufc".index(pair[0].kind))
        return widest[0]
    found = dtypes.promote_types(pairs, True, strict)
    if found is None:
        return dtypes.promoted(pairs, "promote_types")[0]
    # Without x64 the lattice has no 64-bit integers above 32-bit ones, but for those asked for.
    return found[0] if _is_64(a) or _is_64(b) or found[1] else dtypes.canonical(found[0])


def _pair(x: Any) -> tuple[np.dtype, builtins.bool]:
    return dtypes.as_dtype(x), isinstance(x, type) and x in (int, float, complex)


def _is_64(x: Any) -> builtins.bool:
    return np.dtype(x).itemsize >= 8 and np.dtype(x) != dtypes.complex64


def issubdtype(arg1: Any, arg2: Any) -> builtins.bool:
    """Whether a dtype is of a kind: `issubdtype(x.dtype, jnp.floating)`; bfloat16 is floating."""
    return dtypes.issubdtype(arg1, arg2)


_KINDS = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "f",
    "complex floating": "c",
    "numeric": "iufc",
}


def isdtype(dtype: Any, kind: Any) -> builtins.bool:
    """Whether a dtype is of a kind, in the words of the array API standard.

    Args:
      dtype: a dtype.
      kind: a dtype, one of "bool", "signed integer", "unsigned integer", "integral", "real
        floating", "complex floating", "numeric"; or a tuple of these.
    """
    own = dtypes.as_dtype(dtype)
    for one in kind if isinstance(kind, tuple) else (kind,):
        if isinstance(one, str) and one in _KINDS:
            if dtypes.kind(own) in _KINDS[one]:
                return True
            continue
        try:
            if own == np.dtype(one):
                return True
        except TypeError as cause:
            raise error(
                ValueError if isinstance(one, str) else TypeError,
                f"Unrecognized kind={one!r}.",
                got=f"isdtype({dtype!r}, {kind!r})",
                fix="use a dtype, or one of " + ", ".join(map(repr, _KINDS)) + ".",
            ) from cause
    return False


# ---- questions about arrays


def iscomplexobj(x: Any) -> builtins.bool:
    """Whether the dtype is complex."""
    if x is None or isinstance(x, str):
        return False
    if hasattr(x, "dtype"):
        return x.dtype.kind == "c"
    return isinstance(x, complex) or (
        not isinstance(x, (int, float)) and asarray(x).dtype.kind == "c"
    )


def isrealobj(x: Any) -> builtins.bool:
    """Whether the dtype is not complex."""
    return not iscomplexobj(x)


def isscalar(element: Any) -> builtins.bool:
    """Whether it is a number, or an array without axes."""
    if isinstance(element, (np.ndarray, Array)):
        return element.ndim == 0
    if hasattr(element, "__jax_array__"):
        return asarray(element).ndim == 0
    return np.isscalar(element)


def shape(a: Any) -> tuple[int, ...]:
    """The length of each axis."""
    return a.shape if hasattr(a, "shape") else _measured("shape", a).shape


def ndim(a: Any) -> int:
    """The number of axes."""
    return a.ndim if hasattr(a, "ndim") else _measured("ndim", a).ndim


def size(a: Any, axis: Any = None) -> int:
    """The number of elements, in all or along some axes."""
    lengths = shape(a)
    return math.prod(lengths[i] for i in axis_numbers(axis, len(lengths)))


def _measured(name: str, a: Any) -> Any:
    if hasattr(a, "__jax_array__"):
        return a.__jax_array__()
    if isinstance(a, (list, tuple)):
        warn(
            f"{name} requires ndarray or scalar arguments, got {type(a)} at position 0. In a "
            "future JAX release this will be an error.",
            DeprecationWarning,
        )
    return np.asarray(a) if not isinstance(a, (list, tuple)) else asarray(a)
