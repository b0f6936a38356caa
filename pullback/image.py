"""Images in other sizes and places: `jax.image`.

Each axis is resampled by one matrix: element (i, j) is the weight of input pixel i in output pixel
j, from a kernel around the place where the centre of j lies. Pixel i covers [i, i + 1).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from . import lax
from . import numpy as jnp
from .core.array import Array, HostArray, Tracer
from .core.errors import error
from .core.trace import type_of
from .numpy.arguments import integer
from .numpy.promotion import as_array, astype, axis_number, inexact, promote_inexact
from .numpy.taking import taken
from .ops.contraction import dot_general
from .ops.precision import canonical_precision
from .ops.structural import move_axis

__all__ = ["ResizeMethod", "resize", "scale_and_translate"]


class ResizeMethod(enum.Enum):
    """How `resize` finds the pixels between pixels.

    | member | names | kernel |
    |---|---|---|
    | `NEAREST` | nearest | the nearest pixel |
    | `LINEAR` | linear, bilinear, trilinear, triangle | a triangle of radius 1 |
    | `LANCZOS3`, `LANCZOS5` | lanczos3, lanczos5 | a windowed sinc of radius 3 or 5 |
    | `CUBIC` | cubic, bicubic, tricubic | Keys' cubic with a = -0.5 |
    | `CUBIC_PYTORCH` | cubic-pytorch, bicubic-pytorch | the cubic with a = -0.75, of which what
      falls outside is given to the pixels at the edge; with antialias the same as `CUBIC` |
    | `AREA` | area | the mean of what a pixel covers |
    """

    NEAREST = 0
    LINEAR = 1
    LANCZOS3 = 2
    LANCZOS5 = 3
    CUBIC = 4
    CUBIC_PYTORCH = 5
    AREA = 6

    @staticmethod
    def from_string(s: str) -> ResizeMethod:
        """The method of this name."""
        if s not in _NAMES:
            raise error(
                ValueError,
                f'Unknown resize method "{s}".',
                got=repr(s),
                fix=f"use one of {', '.join(_NAMES)}.",
            )
        return _NAMES[s]


_NAMES = {
    "nearest": ResizeMethod.NEAREST,
    **dict.fromkeys(("linear", "bilinear", "trilinear", "triangle"), ResizeMethod.LINEAR),
    "lanczos3": ResizeMethod.LANCZOS3,
    "lanczos5": ResizeMethod.LANCZOS5,
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), ResizeMethod.CUBIC),
    **dict.fromkeys(("cubic-pytorch", "bicubic-pytorch"), ResizeMethod.CUBIC_PYTORCH),
    "area": ResizeMethod.AREA,
}


def resize(
    image: Any,
    shape: Sequence[int],
    method: str | ResizeMethod,
    antialias: bool = True,
    precision: Any = lax.Precision.HIGHEST,
) -> Array:
    """`image` in another size, of any number of axes.

    Args:
      image: an array. Integers become floats, but with "nearest" they stay.
      shape: the new lengths, one for each axis; axes whose length stays are left alone.
      method: a name or a member of `ResizeMethod`.
      antialias: make the kernel wider where the image shrinks, so that all pixels count.
      precision: how exactly a device may multiply.

    Raises:
      ValueError: `shape` has another length than that of `image`, or there is no such method.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback import image
      >>> print(image.resize(jnp.array([[0., 4.]]), (1, 4), "linear"))
      [[0. 1. 3. 4.]]
    """
    x, sizes, kind = _arguments("resize", image, shape, method)
    axes = [d for d, (m, n) in enumerate(zip(x.shape, sizes, strict=True)) if m != n]
    if kind is ResizeMethod.NEAREST:
        for d in axes:
            x = taken(x, HostArray(_nearest(x.shape[d], sizes[d])), d)
        return x
    x = inexact("image.resize", x)
    scales = [sizes[d] / x.shape[d] if sizes[d] and x.shape[d] else 1.0 for d in axes]
    return _resampled(x, sizes, axes, scales, [0.0] * len(axes), kind, antialias, precision)


def scale_and_translate(
    image: Any,
    shape: Sequence[int],
    spatial_dims: Sequence[int],
    scale: Any,
    translation: Any,
    method: str | ResizeMethod,
    antialias: bool = True,
    precision: Any = lax.Precision.HIGHEST,
) -> Array:
    """`image`, scaled and then moved, as it shows in a window of shape `shape` at the origin.

    What was at x along an axis is at ``x * scale + translation``; pixels that are outside of the
    image are 0. Both may be traced, and have derivatives.

    Args:
      image: an array.
      shape: the lengths of the result, one for each axis.
      spatial_dims: the axes that are scaled and moved; the others keep their length.
      scale: one positive number for each of these, an array.
      translation: likewise.
      method: a name or a member of `ResizeMethod`, but "nearest".
      antialias: make the kernel wider where the image shrinks.
      precision: how exactly a device may multiply.

    Raises:
      ValueError: the method is "nearest", or lengths do not fit.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.image import scale_and_translate
      >>> x = jnp.arange(4.0).reshape(1, 4)
      >>> print(scale_and_translate(x, (1, 4), (1,), jnp.ones(1), jnp.ones(1), 'linear'))
      [[0. 0. 1. 2.]]
    """
    x, sizes, kind = _arguments("scale_and_translate", image, shape, method)
    if kind is ResizeMethod.NEAREST:
        raise error(
            ValueError,
            "Nearest neighbor resampling is not currently supported for scale_and_translate.",
            got=f"method={method!r}",
            fix='use "linear", or image.resize.',
        )
    x = inexact("image.scale_and_translate", x)
    scale, translation = promote_inexact("image.scale_and_translate", scale, translation)
    axes = [axis_number(d, len(x.shape), "spatial_dims") for d in spatial_dims]
    if scale.shape != (len(axes),) or translation.shape != (len(axes),):
        raise error(
            ValueError,
            "scale and translation need one number for each of spatial_dims.",
            got=f"scale: {type_of(scale).str_short()}, translation: "
            f"{type_of(translation).str_short()}, spatial_dims={tuple(spatial_dims)}",
            fix=f"give arrays of shape ({len(axes)},).",
        )
    scales, moves = _numbers(scale), _numbers(translation)
    return _resampled(x, sizes, axes, scales, moves, kind, antialias, precision)


def _numbers(x: Any) -> list[Any]:
    """Python numbers where they are known: then the matrices are made once, in float64."""
    # Not what a traced number is known to be: it may have a tangent.
    return list(x) if isinstance(x, Tracer) else list(np.asarray(x, np.float64))


def _arguments(name: str, image: Any, shape: Any, method: Any) -> Any:
    x = as_array(image, f"image.{name}")
    sizes = tuple(integer(n, f"`shape` of image.{name}") for n in shape)
    if len(sizes) != len(x.shape):
        raise error(
            ValueError,
            f"shape must have length equal to the number of dimensions of x; {sizes} vs {x.shape}.",
            got=f"{type_of(x).str_short()} in image.{name}",
            fix="give the lengths of all axes, also of those that stay.",
        )
    if any(n < 0 for n in sizes):
        raise error(
            ValueError,
            "shape must not have negative lengths.",
            got=f"{sizes} in image.{name}",
            fix="give the length of each axis.",
        )
    kind = method if isinstance(method, ResizeMethod) else ResizeMethod.from_string(method)
    return x, sizes, kind


@lru_cache(maxsize=256)
def _nearest(m: int, n: int) -> np.ndarray:
    # In float32, as JAX computes it: where a centre lies between two pixels, rounding decides.
    centres = (np.arange(n, dtype=np.float32) + np.float32(0.5)) * np.float32(m) / np.float32(n)
    return np.floor(centres).astype(np.int32)


# ---- one matrix for each axis


def _resampled(
    x: Any,
    sizes: tuple[int, ...],
    axes: Sequence[int],
    scales: Sequence[Any],
    moves: Sequence[Any],
    method: ResizeMethod,
    antialias: bool,
    precision: Any,
) -> Any:
    if method is ResizeMethod.CUBIC_PYTORCH and antialias:
        method = ResizeMethod.CUBIC
    precision = canonical_precision(precision)
    steps = sorted(zip(axes, scales, moves, strict=True), key=lambda s: sizes[s[0]] / _one(x, s[0]))
    for d, scale, move in steps:  # first those that leave least to do
        call = (x.shape[d], sizes[d], scale, move, method, bool(antialias))
        fixed = isinstance(scale, float) and isinstance(move, float)
        weights = HostArray(_known_weights(*call)) if fixed else _weights(jnp, *call)
        y = dot_general(
            x,
            astype(weights, x.dtype),
            dimension_numbers=(((d,), (0,)), ((), ())),
            precision=precision,
            preferred_element_type=None,
        )
        x = move_axis(y, len(x.shape) - 1, d)
    for d, n in enumerate(sizes):
        if x.shape[d] != n:
            raise error(
                ValueError,
                "only the axes in spatial_dims can change their length.",
                got=f"axis {d} of length {x.shape[d]}, and shape {sizes}",
                fix="name the axis in spatial_dims, or keep its length in shape.",
            )
    return x


def _one(x: Any, axis: int) -> int:
    return max(x.shape[axis], 1)


@lru_cache(maxsize=256)
def _known_weights(*call: Any) -> np.ndarray:
    with np.errstate(all="ignore"):
        return _weights(np, *call)  # type: ignore[no-any-return]


class _Kernel(NamedTuple):
    """A function of the distance in pixels, 0 from `radius` on."""

    radius: int
    values: Callable[[Any, Any], Any]


def _weights(
    xp: Any, m: int, n: int, scale: Any, move: Any, method: ResizeMethod, antialias: bool
) -> Any:
    """The matrix from `m` pixels to `n`, by NumPy or, for traced numbers, by pullback.numpy."""
    inverse = 1.0 / scale
    if method is ResizeMethod.AREA:
        start = xp.arange(n) * inverse - move * inverse
        pixel = xp.arange(m)[:, None]
        covered = xp.minimum(start + inverse, pixel + 1.0) - xp.maximum(start, pixel)
        return _inside(xp, xp.maximum(covered, 0.0), _centres(xp, n, inverse, move), m)
    kernel = _KERNELS[method]
    centres = _centres(xp, n, inverse, move)
    if method is ResizeMethod.CUBIC_PYTORCH:
        # What a kernel finds outside of the image counts for the pixel at the edge.
        k = kernel.radius
        distance = abs(centres - xp.arange(-k, m + k)[:, None])
        rows = kernel.values(xp, distance)
        edges = [rows[: k + 1], rows[k + 1 : m + k - 1], rows[m + k - 1 :]]
        if m == 1:
            return _normalised(xp, rows.sum(0, keepdims=True))
        first, last = (e.sum(0, keepdims=True) for e in (edges[0], edges[2]))
        return _normalised(xp, xp.concatenate([first, edges[1], last]))
    width = xp.maximum(inverse, 1.0) if antialias else 1.0
    distance = abs(centres - xp.arange(m)[:, None]) / width
    return _inside(xp, kernel.values(xp, distance), centres, m)


def _centres(xp: Any, n: int, inverse: Any, move: Any) -> Any:
    """Where the centres of the output's pixels lie in the input, less half a pixel."""
    return (xp.arange(n) + 0.5) * inverse - move * inverse - 0.5


def _inside(xp: Any, weights: Any, centres: Any, m: int) -> Any:
    """The weights with sum 1, and 0 where the centre lies outside of the image."""
    inside = (centres >= -0.5) & (centres <= m - 0.5)
    return xp.where(inside, _normalised(xp, weights), 0.0)


def _normalised(xp: Any, weights: Any) -> Any:
    total = weights.sum(0, keepdims=True)
    safe = xp.where(total != 0, total, 1.0)
    return xp.where(abs(total) > 1000 * np.finfo(np.float32).eps.item(), weights / safe, 0.0)


def _triangle(xp: Any, x: Any) -> Any:
    return xp.maximum(0.0, 1.0 - x)


def _lanczos(radius: int) -> Callable[[Any, Any], Any]:
    def values(xp: Any, x: Any) -> Any:
        y = radius * xp.sin(math.pi * x) * xp.sin(math.pi * x / radius)
        out = xp.where(x > 1e-3, y / xp.where(x != 0, math.pi**2 * x * x, 1.0), 1.0)
        return xp.where(x > radius, 0.0, out)

    return values


def _cubic(a: float) -> Callable[[Any, Any], Any]:
    # Keys, Cubic convolution interpolation for digital image processing (1981), eq. 4.
    def values(xp: Any, x: Any) -> Any:
        near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
        far = ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
        return xp.where(x >= 2.0, 0.0, xp.where(x >= 1.0, far, near))

    return values


_KERNELS = {
    ResizeMethod.LINEAR: _Kernel(1, _triangle),
    ResizeMethod.LANCZOS3: _Kernel(3, _lanczos(3)),
    ResizeMethod.LANCZOS5: _Kernel(5, _lanczos(5)),
    ResizeMethod.CUBIC: _Kernel(2, _cubic(-0.5)),
    ResizeMethod.CUBIC_PYTORCH: _Kernel(2, _cubic(-0.75)),
}
