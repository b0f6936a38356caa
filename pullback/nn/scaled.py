"""Products of numbers in short floats with a scale for each block (MXFP8, NVFP4).

Rouhani et al., "Microscaling data formats for deep learning" (2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, Literal

import ml_dtypes
import numpy as np

from .. import numpy as jnp
from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..core.trace import type_of
from ..custom import custom_vjp
from ..lax.contraction import dot_general
from ..lax.scaled import repeated
from ..numpy.promotion import requested_dtype


@dataclass(frozen=True, eq=False)
class BlockScaleConfig:
    """How an array is cut into blocks, each with a scale: see `get_scaled_dot_general_config`."""

    mode: str
    block_size: int
    data_type: Any
    scale_type: Any
    global_scale: Any
    infer_only: bool


def get_scaled_dot_general_config(
    mode: Literal["nvfp4", "mxfp8"], global_scale: Any = None
) -> BlockScaleConfig:
    """How `scaled_dot_general` shortens numbers.

    Args:
      mode: "mxfp8": float8_e4m3fn in blocks of 32 with a power of two as scale; "nvfp4":
        float4_e2m1fn in blocks of 16 with a float8_e4m3fn as scale, and one scale for all.
      global_scale: that scale for all, of shape (1,); None: 1.

    Raises:
      ValueError: there is no such mode.
    """
    if mode == "mxfp8":
        return BlockScaleConfig(
            mode, 32, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e8m0fnu, None, False
        )
    if mode == "nvfp4":
        whole = jnp.ones((1,), np.float32) if global_scale is None else global_scale
        return BlockScaleConfig(
            mode, 16, ml_dtypes.float4_e2m1fn, ml_dtypes.float8_e4m3fn, whole, False
        )
    raise error(
        ValueError,
        f"unsupported mode: {mode}.",
        got=f"mode={mode!r}",
        fix="use 'mxfp8' or 'nvfp4'.",
    )


def scaled_matmul(
    lhs: Any,
    rhs: Any,
    lhs_scales: Any,
    rhs_scales: Any,
    preferred_element_type: Any = np.float32,
) -> Array:
    """Products of stacks of matrices with a scale for each block of a row; computed in float32.

    Args:
      lhs: an array of shape (B, M, K).
      rhs: an array of shape (B, N, K).
      lhs_scales: an array of shape (B, M, k), where k divides K.
      rhs_scales: an array of shape (B, N, k).
      preferred_element_type: the dtype to give.

    Returns:
      An array of shape (B, M, N).

    Raises:
      ValueError: the shapes do not fit together.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback import nn
      >>> x, half = jnp.array([[[1.0, 2.0]]]), jnp.array([[[0.5]]])
      >>> print(nn.scaled_matmul(x, x, half, half))
      [[[1.25]]]
    """
    a, b, a_scales, b_scales = map(jnp.asarray, (lhs, rhs, lhs_scales, rhs_scales))
    arrays = (a, b, a_scales, b_scales)
    flaw = None
    if any(len(x.shape) != 3 for x in arrays):
        flaw = "all arrays must have three axes"
    elif a.shape[0] != b.shape[0] or a.shape[2] != b.shape[2]:
        flaw = "lhs and rhs must have the same batch (B) and contracted (K) axes"
    elif a_scales.shape[0] != b_scales.shape[0] or a_scales.shape[2] != b_scales.shape[2]:
        flaw = "the scales must have the same batch (B) and contracted (K) axes"
    elif a_scales.shape[:2] != a.shape[:2] or b_scales.shape[:2] != b.shape[:2]:
        flaw = "each row must have its scales"
    elif not a_scales.shape[2] or a.shape[2] % a_scales.shape[2]:
        flaw = "the number of scales of a row must divide its length"
    if flaw is not None:
        raise error(
            ValueError,
            f"scaled_matmul: {flaw}.",
            got=", ".join(type_of(x).str_short() for x in arrays),
            fix="give (B, M, K), (B, N, K), (B, M, k) and (B, N, k), where k divides K.",
        )
    dtype = requested_dtype(preferred_element_type, "scaled_matmul")
    x, y = (
        v.astype(dtypes.float32) * repeated(s.astype(dtypes.float32), v.shape)
        for v, s in ((a, a_scales), (b, b_scales))
    )
    return dot_general(x, y, (((2,), (2,)), ((0,), (0,)))).astype(dtype)


def scaled_dot_general(
    lhs: Any,
    rhs: Any,
    dimension_numbers: Any,
    preferred_element_type: Any = np.float32,
    configs: list[BlockScaleConfig] | None = None,
    implementation: Literal["cudnn"] | None = None,
) -> Array:
    """`lax.dot_general` of arrays that are shortened to blocks of small floats with a scale.

    Args:
      lhs, rhs: arrays of floats; the product of the lengths of their contracted axes must be a
        multiple of the block size.
      dimension_numbers: as for `lax.dot_general`.
      preferred_element_type: float32, bfloat16 or float16: the dtype to give.
      configs: how to shorten lhs, rhs, and cotangents: see `get_scaled_dot_general_config`. None:
        "mxfp8" for all of them.
      implementation: accepted for compatibility.

    Returns:
      The product. Derivatives are products of shortened arrays too, by the configuration of
      cotangents; with "nvfp4", of arrays as they are.

    Raises:
      TypeError, ValueError: the dtype is another one; blocks do not fit.
    """
    x, y = jnp.asarray(lhs), jnp.asarray(rhs)
    dtype = requested_dtype(preferred_element_type, "scaled_dot_general")
    if dtype not in (dtypes.float32, dtypes.bfloat16, np.dtype(np.float16)):
        raise error(
            TypeError,
            "scaled_dot_general gives float32, bfloat16 or float16.",
            got=f"preferred_element_type={dtypes.long_name(dtype)}",
            fix="convert the result with .astype(...).",
        )
    if configs is None:
        configs = [get_scaled_dot_general_config("mxfp8")] * 3
    (x_sum, y_sum), (x_batch, y_batch) = dimension_numbers
    x_sum, y_sum, x_batch, y_batch = map(tuple, (x_sum, y_sum, x_batch, y_batch))
    x_free, y_free = _others(x, x_sum, x_batch), _others(y, y_sum, y_batch)
    rows, columns = x.transpose(*x_batch, *x_free, *x_sum), y.transpose(*y_batch, *y_free, *y_sum)
    batch = [x.shape[i] for i in x_batch]
    free = [x.shape[i] for i in x_free], [y.shape[i] for i in y_free]
    k = prod([x.shape[i] for i in x_sum])
    rows = rows.reshape(prod(batch), prod(free[0]), k)
    columns = columns.reshape(prod(batch), prod(free[1]), k)
    out = _product(rows, columns, tuple(configs), dtype)
    return out.reshape((*batch, *free[0], *free[1]))  # type: ignore[no-any-return]


def _others(x: Any, *axes: Any) -> tuple[int, ...]:
    named = {i for group in axes for i in group}
    return tuple(i for i in range(len(x.shape)) if i not in named)


@partial(custom_vjp, nondiff_argnums=(2, 3))
def _product(x: Any, y: Any, configs: Any, dtype: Any) -> Any:
    """(B, M, K) and (B, N, K) to (B, M, N), shortened by the first two of `configs`."""
    return _shortened_product(x, y, configs[0], configs[1], dtype)


def _product_forward(x: Any, y: Any, configs: Any, dtype: Any) -> Any:
    return _product(x, y, configs, dtype), (x, y)


def _product_backward(configs: Any, dtype: Any, saved: Any, ct: Any) -> Any:
    x, y = saved
    turned = ct.swapaxes(1, 2)
    if configs[2].mode == "nvfp4":
        # As if nothing had been rounded; but what was cut off at the largest number has none.
        of_x, of_y = jnp.matmul(ct, y), jnp.matmul(turned, x)
        of_x = jnp.where(jnp.abs(x) <= _largest(configs[0], x.dtype), of_x, 0)
        of_y = jnp.where(jnp.abs(y) <= _largest(configs[1], y.dtype), of_y, 0)
    else:
        of_x = _shortened_product(ct, y.swapaxes(1, 2), configs[2], configs[1], dtype)
        of_y = _shortened_product(turned, x.swapaxes(1, 2), configs[2], configs[0], dtype)
    return of_x.astype(x.dtype), of_y.astype(y.dtype)


_product.defvjp(_product_forward, _product_backward)


def _largest(config: BlockScaleConfig, dtype: Any) -> Any:
    """The largest number that the configuration can hold."""
    if config.global_scale is None:
        return np.inf
    data = float(ml_dtypes.finfo(config.data_type).max)
    scale = float(ml_dtypes.finfo(config.scale_type).max)
    return (config.global_scale * data * scale).astype(dtype)


def _shortened_product(x: Any, y: Any, of_x: Any, of_y: Any, dtype: Any) -> Any:
    short_x, scales_x = _shortened(x, of_x)
    short_y, scales_y = _shortened(y, of_y)
    if of_x.mode != "nvfp4":
        return scaled_matmul(short_x, short_y, scales_x, scales_y, dtype)
    out = scaled_matmul(short_x, short_y, scales_x, scales_y)
    return (out * (of_x.global_scale * of_y.global_scale)).astype(dtype)


def _shortened(x: Any, config: BlockScaleConfig) -> tuple[Any, Any]:
    """`x` in the short dtype, and the scales of its blocks along the last axis."""
    *front, k = x.shape
    size = config.block_size
    if k == 0 or k % size:
        raise error(
            ValueError,
            f"{config.mode} has blocks of {size} numbers, which must fit into the contracted axes.",
            got=f"{k} contracted numbers of an array of shape {tuple(x.shape)}",
            fix=f"pad with zeros to a multiple of {size}.",
        )
    blocks = x.astype(dtypes.float32).reshape((*front, k // size, size))
    most = float(ml_dtypes.finfo(config.data_type).max)
    if config.mode == "mxfp8":
        scales = _power_of_two(jnp.abs(blocks).max(-1) / most)
    else:
        blocks = blocks / config.global_scale
        limit = float(ml_dtypes.finfo(config.scale_type).max)
        scales = jnp.clip(jnp.abs(blocks).max(-1) / most, 0, limit)
    scales = scales.astype(config.scale_type)
    wide = scales.astype(dtypes.float32)[..., None]
    # A block of zeros has a scale of 0 where the dtype has one.
    scaled = blocks / jnp.where(wide == 0, 1, wide)
    short = jnp.clip(scaled, -most, most).astype(config.data_type)
    return short.reshape(x.shape), scales


def _power_of_two(x: Any) -> Any:
    """The smallest power of two that is not below `x`, from 2**-127 to 2**127."""
    mantissa, exponent = jnp.frexp(x)
    exponent = jnp.where(mantissa == 0.5, exponent - 1, exponent)
    exponent = jnp.where(x == 0, -127, jnp.clip(exponent, -127, 127))
    return jnp.exp2(exponent.astype(dtypes.float32))
