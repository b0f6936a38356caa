"""What every sampler checks first: its key, shape, dtype and the shapes of its parameters."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.dtypes import KEY_TYPES, is_key, uint32
from ..core.errors import error
from ..core.settings import values
from ..core.trace import type_of
from ..core.types import Shape
from ..numpy.arguments import integers
from ..numpy.promotion import as_array, astype, broadcast_to, requested_dtype
from ..ops.random_bits import random_bits, random_split, random_wrap

KEY = KEY_TYPES["fry"]


# ---- keys


def typed_key(name: str, key: Any) -> tuple[Any, bool]:
    """`key` as an array of typed keys, and whether it was one of raw words, as PRNGKey gives."""
    if isinstance(key, Array) and is_key(key.dtype):
        return key, False
    words = isinstance(key, (Array, np.ndarray)) and key.dtype == uint32
    if not words or key.shape[-1:] != (2,):
        raise error(
            TypeError,
            f"random.{name} needs a random key.",
            got=_describe(key),
            fix="make one with random.key(seed), and get more with random.split(key).",
        )
    _legacy(name)
    return random_wrap(key, impl="fry"), True


def single_key(name: str, key: Any) -> Any:
    """`key` as one typed key."""
    typed = key
    if not (isinstance(key, Array) and key.dtype is KEY):
        typed, _ = typed_key(name, key)
    if typed.shape:
        raise error(
            ValueError,
            f"random.{name} accepts a single key, but was given a key array of shape "
            f"{typed.shape}.",
            got=_describe(key),
            fix="use vmap to map over keys, or index one of them: keys[0].",
        )
    return typed


def _describe(x: Any) -> str:
    try:
        return type_of(x).str_short()
    except TypeError:
        return f"{x!r} of type {type(x).__name__}"


def _legacy(name: str) -> None:
    setting = values.jax_legacy_prng_key
    if setting == "allow" and not values.jax_enable_custom_prng:
        return
    what = f"random.{name} was given a raw uint32 key array."
    if setting == "error":
        raise error(
            ValueError,
            what,
            got='a key of dtype uint32 while jax_legacy_prng_key="error"',
            fix='make keys with random.key(seed), or set jax_legacy_prng_key="allow".',
        )
    kind = UserWarning if setting == "warn" else FutureWarning
    warnings.warn(f"{what} Make keys with random.key(seed).", kind, stacklevel=4)


def split_keys(key: Any, n: int = 2) -> list[Any]:
    """`n` new keys of one typed key."""
    keys = random_split(key, shape=(n,), partitionable=partitionable())
    return [*keys]


def partitionable() -> bool:
    """The layout of counters that is set now."""
    return bool(values.jax_threefry_partitionable)


def bits_of(key: Any, bit_width: int, shape: Shape) -> Any:
    """Random unsigned integers."""
    return random_bits(key, bit_width=bit_width, shape=shape, partitionable=partitionable())


# ---- shapes


def sample_shape(name: str, shape: Any) -> Shape:
    """The argument `shape`: an integer or a sequence of integers that are not negative."""
    found = integers(shape, f"`shape` of random.{name}")
    if any(d < 0 for d in found):
        raise error(
            ValueError,
            f"random.{name}: a shape has no negative lengths.",
            got=f"shape={found}",
            fix="give lengths of 0 or more.",
        )
    return found


def parameter_shape(name: str, shape: Any, *parameters: Any) -> Shape:
    """`shape`, to which the parameters must fit; where it is None, their common shape."""
    shapes = [np.shape(p) if not isinstance(p, Array) else p.shape for p in parameters]
    try:
        common = np.broadcast_shapes(*shapes)
        wanted = common if shape is None else sample_shape(name, shape)
        fits = np.broadcast_shapes(wanted, common) == wanted
    except ValueError:
        fits = False
    if not fits:
        raise error(
            ValueError,
            f"random.{name}: the shapes of the parameters do not fit the shape of the result.",
            got=f"parameters of shapes {', '.join(map(str, shapes))} and shape={shape}",
            fix="the parameters must broadcast to shape; leave shape away to take theirs.",
        )
    return wanted


# ---- dtypes


def float_dtype(name: str, dtype: Any, also_complex: bool = False) -> np.dtype:
    """The dtype of a result: floats by default."""
    if dtype is None:
        return dtypes.default_float()
    found = requested_dtype(dtype, f"random.{name}")
    if dtypes.kind(found) != "f" and not (also_complex and found.kind == "c"):
        kinds = "float or complex" if also_complex else "float"
        raise error(
            ValueError,
            f"dtype argument to `{name}` must be a {kinds} dtype, got {found}.",
            got=f"dtype={dtypes.long_name(found)}",
            fix="use jnp.float32, or leave dtype away.",
        )
    return found


def integer_dtype(name: str, dtype: Any, refusal: type[Exception] = TypeError) -> np.dtype:
    """The dtype of a result: integers by default. Others raise `refusal`."""
    if dtype is None:
        return dtypes.default_int()
    found = requested_dtype(dtype, f"random.{name}")
    if dtypes.kind(found) not in "iu":
        raise error(
            refusal,
            f"{name} only accepts integer dtypes, got {found}.",
            got=f"dtype={dtypes.long_name(found)}",
            fix="use jnp.int32, or leave dtype away.",
        )
    return found


# ---- parameters


def parameter(name: str, x: Any, dtype: np.dtype) -> Any:
    """The parameter `x` in the dtype of the result."""
    x = as_array(x, f"random.{name}")
    if is_key(x.dtype) or (x.dtype.kind == "c" and dtype.kind != "c"):
        raise error(
            TypeError,
            f"random.{name} takes real parameters.",
            got=type_of(x).str_short(),
            fix="give a float, or take the real part of it.",
        )
    return astype(x, dtype)


def parameters(name: str, dtype: np.dtype, shape: Shape, *xs: Any) -> list[Any]:
    """The parameters in the dtype and shape of the result."""
    return [broadcast_to(parameter(name, x, dtype), shape) for x in xs]


_SCALARS: dict[tuple[np.dtype, Any], HostArray] = {}


def scalar(dtype: np.dtype, value: Any) -> HostArray:
    """A number in this dtype."""
    key = (dtype, value)
    known = _SCALARS.get(key)
    if known is None:
        known = _SCALARS[key] = HostArray(np.array(value).astype(dtype)[()])
    return known
