"""Scaled dot-product attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import lax
from .. import numpy as jnp
from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from .functions import logsumexp, softmax

# Letters of axes: B batch, T queries, S keys, N heads, K heads of keys, G = N / K, H features.


def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    *,
    scale: float | None = None,
    is_causal: bool = False,
    query_seq_lengths: Any = None,
    key_value_seq_lengths: Any = None,
    local_window_size: int | tuple[int, int] | None = None,
    implementation: str | None = None,
    return_residual: bool = False,
) -> Any:
    """softmax(scale * query . key + bias) . value, for each head.

    Args:
      query: shape (batch, queries, heads, features); the first axis may be left away.
      key: shape (batch, keys, heads, features). It may have fewer heads than `query`: each then
        serves as many consecutive heads of it as there are for one.
      value: of the shape of `key`.
      bias: added to the products; broadcasts to (batch, heads, queries, keys).
      mask: bools, False where a key is not seen; broadcasts as `bias`.
      scale: 1 / sqrt(features) by default.
      is_causal: whether a query sees only keys up to its own place.
      query_seq_lengths: how many queries of each batch element count; the others give 0.
      key_value_seq_lengths: how many keys of each batch element are seen.
      local_window_size: how many keys before and after its own place a query sees.
      implementation: None or "xla"; accepted for compatibility.
      return_residual: whether to return the logsumexp of the products too, shape (batch, queries,
        heads).

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import dot_product_attention
      >>> x = jnp.ones((1, 4, 2, 8))  # batch, length, heads, features
      >>> print(dot_product_attention(x, x, x, is_causal=True).shape)
      (1, 4, 2, 8)
    """
    if implementation not in (None, "xla"):
        raise error(
            ValueError,
            f"Unsupported implementation option: {implementation}",
            got=f"implementation={implementation!r}",
            fix="leave it away.",
        )
    shape = jnp.shape(query)
    query, key, value = (_four_axes(x) for x in (query, key, value))
    _check(query, key, value)
    b, t, n, h = query.shape
    k = key.shape[2]
    grouped = jnp.reshape(query, (b, t, k, n // k, h))
    wide = np.dtype("float64") if query.dtype == np.float64 else dtypes.float32
    logits = jnp.einsum("btkgh,bskh->bkgts", grouped, key, preferred_element_type=wide)
    logits = logits * jnp.array(1 / math.sqrt(h) if scale is None else scale, wide)
    if bias is not None:
        logits = (logits + _by_heads(bias, k)).astype(wide)
    if mask is not None and jnp.asarray(mask).dtype != np.bool_:
        raise error(
            ValueError,
            f"mask dtype should be bool, but got {jnp.asarray(mask).dtype}.",
            got=f"mask: {jnp.asarray(mask).aval.str_short()}",
            fix="compare to get bools, such as mask != 0, or add it as bias.",
        )
    masks = [] if mask is None else [_by_heads(mask, k)]
    masks += _seen(t, key.shape[1], is_causal, local_window_size)
    masks += _in_length(query_seq_lengths, key_value_seq_lengths, t, key.shape[1])
    for part in masks:
        logits = jnp.where(part, logits, jnp.array(-0.7 * np.finfo(np.float32).max, wide))
    shares = softmax(logits, axis=-1).astype(key.dtype)
    out = jnp.reshape(jnp.einsum("bkgts,bskh->btkgh", shares, value), (b, t, n, value.shape[-1]))
    if query_seq_lengths is not None:
        counted = jnp.arange(t)[None, :] < jnp.asarray(query_seq_lengths)[:, None]
        out = out * counted[:, :, None, None].astype(out.dtype)
    out = jnp.reshape(out, shape)
    if not return_residual:
        return out
    totals = jnp.reshape(logsumexp(logits, axis=-1).astype(key.dtype), (b, n, t))
    return out, lax.stop_gradient(jnp.reshape(jnp.moveaxis(totals, 1, 2), shape[:-1]))


def _four_axes(x: Any) -> Array:
    x = jnp.asarray(x)
    return jnp.reshape(x, (1,) * (4 - x.ndim) + x.shape)


def _by_heads(x: Any, k: int) -> Array:
    """Bias or mask with its axis of heads split as those of the logits are: B K G T S."""
    x = _four_axes(x)
    b, n, t, s = x.shape
    return jnp.reshape(x, (b, 1, 1, t, s) if n == 1 else (b, k, n // k, t, s))


def _check(query: Any, key: Any, value: Any) -> None:
    fits = (
        query.ndim == key.ndim == value.ndim == 4
        and value.shape == key.shape
        and (query.shape[0], query.shape[3]) == (key.shape[0], key.shape[3])
        and query.shape[2] % key.shape[2] == 0
        and query.dtype == key.dtype == value.dtype
    )
    if not fits:
        raise error(
            ValueError,
            "dot_product_attention got arrays that do not fit.",
            got=", ".join(
                f"{name} {x.aval.str_short()}"
                for name, x in (("query", query), ("key", key), ("value", value))
            ),
            fix="give one dtype and (batch, length, heads, features); key and value of one shape, "
            "whose number of heads divides that of the query.",
        )


def _seen(t: int, s: int, is_causal: bool, window: Any) -> list[Any]:
    """Masks by place, T S."""
    queries, keys = jnp.arange(t)[:, None], jnp.arange(s)[None, :]
    found = [keys <= queries] if is_causal else []
    if window is not None:
        before, after = (window, window) if isinstance(window, int) else window
        found.append((keys >= queries - before) & (keys <= queries + after))
    return found


def _in_length(queries: Any, keys: Any, t: int, s: int) -> list[Any]:
    """Masks by length, B 1 1 T S."""
    found = []
    if queries is not None:
        inside = jnp.arange(t)[None, :] < jnp.asarray(queries)[:, None]
        found.append(inside[:, None, None, :, None])
    if keys is not None:
        inside = jnp.arange(s)[None, :] < jnp.asarray(keys)[:, None]
        found.append(inside[:, None, None, None, :])
    return found
