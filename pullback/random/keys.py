"""Random keys: made from a seed, split, folded with data, wrapped and unwrapped."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array
from ..core.dtypes import KEY_TYPES, is_key
from ..core.errors import error
from ..core.settings import values
from ..core.trace import type_of
from ..numpy.promotion import as_array
from ..ops.elementwise import convert_element_type
from ..ops.random_bits import (
    check_impl,
    random_clone,
    random_fold_in,
    random_seed,
    random_split,
    random_unwrap,
    random_wrap,
)
from .arguments import partitionable, sample_shape, single_key, typed_key

_TAGS = {"threefry2x32": "fry", "rbg": "rbg", "unsafe_rbg": "urbg"}
_NAMES = {tag: name for name, tag in _TAGS.items()}


def key(seed: Any, *, impl: Any = None, dtype: Any = None) -> Any:
    """A random key made from an integer.

    Args:
      seed: an integer of 32 or 64 bits.
      impl: the name of the generator; only "threefry2x32", the default, exists here.
      dtype: the same, as `key_dtype` gives it.

    Example:
      >>> from pullback import random
      >>> random.normal(random.key(0), (3,))
      Array([ 1.6226422 ,  2.0252647 , -0.43359444], dtype=float32)
    """
    return _seeded("key", seed, _tag("key", impl, dtype))


def PRNGKey(seed: Any, *, impl: Any = None) -> Any:
    """A random key as an array of two uint32 words, the older form of keys."""
    made = _seeded("PRNGKey", seed, _tag("PRNGKey", impl, None))
    return made if values.jax_enable_custom_prng else random_unwrap(made)


def _seeded(name: str, seed: Any, tag: str) -> Any:
    if isinstance(seed, int):
        seed = _python_seed(seed)
    seed = as_array(seed, f"random.{name}")
    if is_key(seed.dtype) or seed.shape:
        raise error(
            TypeError,
            f"random.{name} accepts a scalar seed.",
            got=type_of(seed).str_short(),
            fix="give one integer; use vmap to make many keys, or random.split.",
        )
    random_seed.typing(type_of(seed), impl=tag)  # NumPy would seed with a float, too
    return random_seed(seed, impl=tag)


def _python_seed(seed: int) -> np.integer:
    # 64 bits of a Python integer are accepted also without x64; then the low 32 are used.
    try:
        wide = np.int64(seed)
    except OverflowError as cause:
        raise error(
            OverflowError,
            "the seed of a random key must fit 64 bits.",
            got=str(seed),
            fix="use a smaller integer, e.g. seed % 2**63.",
        ) from cause
    return wide if values.jax_enable_x64 else wide.astype(np.int32)


def _tag(name: str, impl: Any, dtype: Any) -> str:
    """The tag of the generator that `impl` or `dtype` names."""
    if impl is not None and dtype is not None:
        raise error(
            ValueError,
            f"random.{name}: impl and dtype both name the generator.",
            got=f"impl={impl!r} and dtype={dtype!r}",
            fix="give one of them.",
        )
    spec = impl if dtype is None else dtype
    if spec is None:
        spec = values.jax_default_prng_impl
    tag: str | None = None
    if isinstance(spec, np.dtype) and is_key(spec):
        tag = dtypes.short_name(spec)[len("key<") : -1]
    elif isinstance(spec, str):
        tag = _TAGS.get(spec)
    if tag is None:
        raise error(
            ValueError if isinstance(spec, str) else TypeError,
            f"random.{name}: unrecognized PRNG implementation {spec!r}.",
            got=f"impl={spec!r}",
            fix='use impl="threefry2x32", the default.',
        )
    check_impl(tag)
    return tag


def key_dtype(impl_spec: Any = None) -> np.dtype:
    """The dtype of keys of a generator: of the default one, if `impl_spec` is None."""
    return KEY_TYPES[_tag("key_dtype", impl_spec, None)]


def key_impl(keys: Any) -> str:
    """The name of the generator that keys belong to: "threefry2x32"."""
    typed, _ = typed_key("key_impl", keys)
    return _NAMES[dtypes.short_name(typed.dtype)[len("key<") : -1]]


def key_data(keys: Any) -> Any:
    """The words of keys, along a new last axis: an array of uint32.

    Example:
      >>> from pullback import random
      >>> key = random.key(0)
      >>> print(random.key_data(key))
      [0 0]
    """
    typed, _ = typed_key("key_data", keys)
    return random_unwrap(typed)


def wrap_key_data(key_bits_array: Any, *, impl: Any = None, dtype: Any = None) -> Any:
    """Keys from their words, as `key_data` gives them."""
    tag = _tag("wrap_key_data", impl, dtype)
    words = as_array(key_bits_array, "random.wrap_key_data")
    random_wrap.typing(type_of(words), impl=tag)
    return random_wrap(words, impl=tag)


def clone(key: Any) -> Any:
    """The same keys, to be used again on purpose."""
    typed, raw = typed_key("clone", key)
    return key if raw else random_clone(typed)


def split(key: Any, num: Any = 2) -> Any:
    """New keys from one key, which is not to be used again.

    Args:
      key: one key.
      num: how many, or the shape of the array of keys.

    Example:
      >>> from pullback import random
      >>> random.key_data(random.split(random.key(0), 2))
      Array([[1797259609, 2579123966],
             [ 928981903, 3453687069]], dtype=uint32)
    """
    raw = not (isinstance(key, Array) and is_key(key.dtype))
    typed = single_key("split", key)
    shape = (num,) if type(num) is int and num >= 0 else _split_shape(num)
    keys = random_split(typed, shape=shape, partitionable=partitionable())
    return _as_given(keys, raw)


def _split_shape(num: Any) -> tuple[int, ...]:
    return sample_shape("split", num if isinstance(num, (tuple, list)) else (num,))


def fold_in(key: Any, data: Any) -> Any:
    """A new key from one key and an integer of 32 bits.

    Example:
      >>> from pullback import random
      >>> step_key = random.fold_in(random.key(0), 7)
    """
    raw = not (isinstance(key, Array) and is_key(key.dtype))
    typed = single_key("fold_in", key)
    if isinstance(data, int):
        data = _python_word(data)
    data = as_array(data, "random.fold_in")
    if data.shape:
        raise error(
            TypeError,
            "random.fold_in accepts a scalar.",
            got=type_of(data).str_short(),
            fix="use vmap to fold in many integers.",
        )
    if data.dtype != dtypes.uint32:
        data = convert_element_type(data, new_dtype=dtypes.uint32, weak_type=False)
    return _as_given(random_fold_in(typed, data), raw)


def _python_word(data: int) -> np.integer:
    if not 0 <= data < 2**32:
        raise error(
            OverflowError,
            "random.fold_in takes an integer of 32 bits without a sign.",
            got=f"data={data}",
            fix="use data % 2**32.",
        )
    return np.uint32(data)


def _as_given(keys: Any, raw: bool) -> Any:
    return random_unwrap(keys) if raw and not values.jax_enable_custom_prng else keys
