"""Initializers: functions from a key, a shape and a dtype to the first values of weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from .. import numpy as jnp
from .. import random
from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..numpy.arguments import integers

Axes = int | Sequence[int]


@runtime_checkable
class Initializer(Protocol):
    """What every initializer is: `init(key, shape, dtype)`."""

    def __call__(self, key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Array:
        raise NotImplementedError


def zeros(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Array:
    """Zeros; the key is not used."""
    return jnp.zeros(shape, _dtype(dtype))


def ones(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Array:
    """Ones; the key is not used."""
    return jnp.ones(shape, _dtype(dtype))


def _dtype(dtype: Any) -> np.dtype:
    return dtypes.default_float() if dtype is None else dtypes.canonical(dtype)


def constant(value: Any, dtype: Any = None) -> Initializer:
    """The same value everywhere."""

    def init(key: Any, shape: Any, dtype: Any = dtype, out_sharding: Any = None) -> Array:
        return jnp.full(shape, value, _dtype(dtype))

    return init


def uniform(scale: Any = 1e-2, dtype: Any = None) -> Initializer:
    """Evenly spread over [0, scale)."""

    def init(key: Any, shape: Any, dtype: Any = dtype, out_sharding: Any = None) -> Array:
        kept = _dtype(dtype)
        return random.uniform(key, shape, kept) * jnp.array(scale, kept)

    return init


def normal(stddev: Any = 1e-2, dtype: Any = None) -> Initializer:
    """Normal, with mean 0."""

    def init(key: Any, shape: Any, dtype: Any = dtype, out_sharding: Any = None) -> Array:
        kept = _dtype(dtype)
        return random.normal(key, shape, kept) * jnp.array(stddev, kept)

    return init


def truncated_normal(
    stddev: Any = 1e-2, dtype: Any = None, lower: Any = -2.0, upper: Any = 2.0
) -> Initializer:
    """Normal numbers between `lower` and `upper`, times `stddev`."""

    def init(key: Any, shape: Any, dtype: Any = dtype, out_sharding: Any = None) -> Array:
        kept = _dtype(dtype)
        drawn = random.truncated_normal(key, lower, upper, shape, kept)
        return drawn * jnp.array(stddev, kept)

    return init


# ---- scaled by the number of inputs and outputs


def variance_scaling(
    scale: Any,
    mode: str,
    distribution: str,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: Any = None,
) -> Initializer:
    """Numbers of variance scale / n, where n counts inputs or outputs of a weight array.

    Args:
      scale: the variance times n.
      mode: what n is: "fan_in", "fan_out", "fan_avg" or "fan_geo_avg".
      distribution: "truncated_normal", "normal" or "uniform".
      in_axis: the axis or axes of inputs.
      out_axis: the axis or axes of outputs.
      batch_axis: axes that are neither, and over which nothing is shared. All other axes belong to
        a receptive field, and count for inputs as well as for outputs.
      dtype: the dtype, where the call gives none.
    """

    def init(key: Any, shape: Any, dtype: Any = dtype, out_sharding: Any = None) -> Array:
        kept = _dtype(dtype)
        sizes = integers(shape, "`shape` of an initializer")
        n = _fan(mode, *_fans(sizes, in_axis, out_axis, batch_axis))
        variance = jnp.array(scale / n, kept)
        if distribution == "normal":
            return random.normal(key, sizes, kept) * jnp.sqrt(variance)
        if distribution == "uniform":
            return _uniform(key, sizes, kept, variance)
        if distribution == "truncated_normal":
            return _truncated(key, sizes, kept, variance)
        raise error(
            ValueError,
            f"invalid distribution for variance scaling initializer: {distribution}.",
            got=f"distribution={distribution!r}",
            fix="use 'truncated_normal', 'normal' or 'uniform'.",
        )

    return init


def _fan(mode: str, fan_in: float, fan_out: float) -> float:
    if mode == "fan_in":
        return fan_in
    if mode == "fan_out":
        return fan_out
    if mode == "fan_avg":
        return (fan_in + fan_out) / 2
    if mode == "fan_geo_avg":
        return math.sqrt(fan_in * fan_out)
    raise error(
        ValueError,
        f"invalid mode for variance scaling initializer: {mode}.",
        got=f"mode={mode!r}",
        fix="use 'fan_in', 'fan_out', 'fan_avg' or 'fan_geo_avg'.",
    )


def _fans(
    shape: tuple[int, ...], in_axis: Axes, out_axis: Axes, batch_axis: Axes
) -> tuple[float, float]:
    """How many numbers go into each output, and how many outputs each number goes to."""
    if in_axis == -2 and len(shape) < 2:
        raise error(
            ValueError,
            f"Can't compute input and output sizes of a {len(shape)}-dimensional weights tensor "
            "with default in_axis. Must be at least 2D or specify in_axis explicitly.",
            got=f"shape={shape}",
            fix="give a shape of two or more axes, or in_axis and out_axis.",
        )
    sizes = [
        math.prod(shape[i] for i in ((axis,) if isinstance(axis, int) else axis))
        for axis in (in_axis, out_axis, batch_axis)
    ]
    field = math.prod(shape) / sizes[0] / sizes[1] / sizes[2]
    return sizes[0] * field, sizes[1] * field


def _uniform(key: Any, shape: tuple[int, ...], dtype: np.dtype, variance: Any) -> Any:
    if dtype.kind != "c":
        return random.uniform(key, shape, dtype, -1) * jnp.sqrt(3 * variance)
    # Evenly spread over a disc: the square of the radius is uniform.
    part = dtypes.real_dtype(dtype)
    radius_key, angle_key = random.split(key)
    radius = jnp.sqrt(2 * random.uniform(radius_key, shape, part))
    return _polar(angle_key, radius, dtype) * jnp.sqrt(variance)


def _truncated(key: Any, shape: tuple[int, ...], dtype: np.dtype, variance: Any) -> Any:
    # The divisors are the standard deviations of what is cut off at 2.
    if dtype.kind != "c":
        stddev = jnp.sqrt(variance) / jnp.array(0.87962566103423978, dtype)
        return random.truncated_normal(key, -2, 2, shape, dtype) * stddev
    part = dtypes.real_dtype(dtype)
    radius_key, angle_key = random.split(key)
    below = (1 - jnp.exp(jnp.array(-4, part))) * random.uniform(radius_key, shape, part)
    radius = jnp.sqrt(-jnp.log(1 - below))
    stddev = jnp.sqrt(variance) / jnp.array(0.95311164380491208, dtype)
    return _polar(angle_key, radius, dtype) * stddev


def _polar(key: Any, radius: Any, dtype: np.dtype) -> Any:
    """Complex numbers of these absolute values, in all directions."""
    angle = 2 * math.pi * random.uniform(key, radius.shape, radius.dtype).astype(dtype)
    return radius.astype(dtype) * jnp.exp(1j * angle)


def glorot_uniform(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
) -> Initializer:
    """Evenly spread numbers of variance 2 / (inputs + outputs): Glorot and Bengio (2010)."""
    return variance_scaling(1.0, "fan_avg", "uniform", in_axis, out_axis, batch_axis, dtype)


def glorot_normal(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
) -> Initializer:
    """Truncated normal numbers of variance 2 / (inputs + outputs): Glorot and Bengio (2010)."""
    return variance_scaling(
        1.0, "fan_avg", "truncated_normal", in_axis, out_axis, batch_axis, dtype
    )


def lecun_uniform(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
) -> Initializer:
    """Evenly spread numbers of variance 1 / inputs."""
    return variance_scaling(1.0, "fan_in", "uniform", in_axis, out_axis, batch_axis, dtype)


def lecun_normal(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
) -> Initializer:
    """Truncated normal numbers of variance 1 / inputs."""
    return variance_scaling(1.0, "fan_in", "truncated_normal", in_axis, out_axis, batch_axis, dtype)


def he_uniform(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
) -> Initializer:
    """Evenly spread numbers of variance 2 / inputs, for layers before a relu: He et al. (2015)."""
    return variance_scaling(2.0, "fan_in", "uniform", in_axis, out_axis, batch_axis, dtype)


def he_normal(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
) -> Initializer:
    """Truncated normal numbers of variance 2 / inputs: He et al. (2015)."""
    return variance_scaling(2.0, "fan_in", "truncated_normal", in_axis, out_axis, batch_axis, dtype)


# ---- orthogonal


def orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """Matrices with orthonormal columns, or rows if there are fewer: Saxe et al. (2013).

    Args:
      scale: a factor.
      column_axis: the axis of the columns; all others together are the rows.
      dtype: the dtype, where the call gives none.

    The initializer raises ValueError for a shape with fewer than two axes.

    Example:
      >>> import pullback.nn.initializers as init
      >>> from pullback import random
      >>> w = init.orthogonal()(random.key(0), (2, 3))
      >>> print((w @ w.T).round(4) + 0.0)
      [[1. 0.]
       [0. 1.]]
    """

    def init(key: Any, shape: Any, dtype: Any = dtype, out_sharding: Any = None) -> Array:
        kept, sizes = _dtype(dtype), integers(shape, "`shape` of an initializer")
        _no_sharding(out_sharding)
        if len(sizes) < 2:
            raise error(
                ValueError,
                "orthogonal initializer requires at least a 2D shape.",
                got=f"shape {sizes}",
                fix="use another initializer for biases.",
            )
        if 0 in sizes:
            return jnp.zeros(sizes, kept)
        columns = sizes[column_axis]
        others = list(sizes)
        del others[column_axis]
        drawn = random.orthogonal(key, math.prod(others), (), kept, columns)
        placed = jnp.moveaxis(jnp.reshape(drawn, (*others, columns)), -1, column_axis)
        return jnp.array(scale, kept) * placed

    return init


def delta_orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """Kernels of convolutions that are orthogonal in the middle, and zero elsewhere.

    Xiao et al., Dynamical isometry and a mean field theory of CNNs (2018).

    Args:
      scale: a factor.
      column_axis: the axis of the columns, of the last two.
      dtype: the dtype, where the call gives none.

    The initializer raises ValueError unless the shape has 3, 4 or 5 axes, of which the last is not
    shorter than the one before.
    """

    def init(key: Any, shape: Any, dtype: Any = dtype, out_sharding: Any = None) -> Array:
        kept, sizes = _dtype(dtype), integers(shape, "`shape` of an initializer")
        _no_sharding(out_sharding)
        if len(sizes) not in (3, 4, 5) or sizes[-1] < sizes[-2]:
            raise error(
                ValueError,
                "Delta orthogonal initializer requires a 3D, 4D or 5D shape."
                if len(sizes) not in (3, 4, 5)
                else "`fan_in` must be less or equal than `fan_out`.",
                got=f"shape {sizes}",
                fix="give (*window, inputs, outputs) with inputs <= outputs.",
            )
        matrix = orthogonal(scale, column_axis, kept)(key, sizes[-2:])
        middle = tuple((n - 1) // 2 for n in sizes[:-2])
        return jnp.zeros(sizes, kept).at[middle].set(matrix)

    return init


def _no_sharding(out_sharding: Any) -> None:
    if out_sharding is not None:
        raise error(
            NotImplementedError,
            "this initializer makes its array on one device.",
            got=f"out_sharding={out_sharding!r}",
            fix="leave out_sharding away.",
        )


xavier_uniform, xavier_normal = glorot_uniform, glorot_normal
kaiming_uniform, kaiming_normal = he_uniform, he_normal
