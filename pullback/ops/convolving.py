"""Convolution of NumPy arrays: one matrix product of windows, or one pass for each tap.

`Plan` brings the arrays into one form, whatever their dimension numbers: `x[g, b, c, *places]`,
`w[g, o, c, *taps]` and `out[g, b, o, *places]`, with a group axis g in front, as views. Then one of
four ways computes it:

- `_by_windows`: the windows of `x` as a matrix, times `w` as a matrix (BLAS);
- `_by_spreading`: where `x` is dilated, the product of its elements with `w`, added where they
  belong (no product with the zeros between);
- `_by_taps`: where each group has one channel (depthwise), one multiplication for each tap;
- `_by_places`: where groups have one output at few places (the derivative of depthwise kernels).

The order of axes in the matrices follows the memory of `x`, so that copies run along it.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

CHUNK = 1 << 22
"""Bytes of windows made at a time: they stay in the cache, and memory stays bounded."""
_TAPS_CHUNK = 1 << 18
"""Bytes of input for all taps at a time."""


class Spatial(NamedTuple):
    """One spatial axis: lengths of input, kernel and output, and how the windows lie."""

    n: int
    k: int
    out: int
    stride: int
    low: int
    high: int
    x_dilation: int
    w_dilation: int


class Plan(NamedTuple):
    """What shapes and parameters say."""

    x_order: tuple[int, ...]
    w_order: tuple[int, ...]
    out_order: tuple[int, ...]
    """The axes of the result as (batch, feature, *spatial)."""
    out_shape: tuple[int, ...]
    feature_groups: int
    batch_groups: int
    axes: tuple[Spatial, ...]


def convolve(x: Any, w: Any, plan: Plan) -> Any:
    """The convolution of arrays of one dtype that NumPy multiplies and adds in."""
    if 0 in plan.out_shape or not w.size or not x.size:
        return np.zeros(plan.out_shape, x.dtype)
    if 0 in x.strides:  # what follows goes by the order in memory: an array broadcast has none
        x = np.ascontiguousarray(x)
    fg, bg = plan.feature_groups, plan.batch_groups
    groups = fg * bg
    x, w = x.transpose(plan.x_order), w.transpose(plan.w_order)
    b, c, *places = x.shape
    if bg > 1:
        x = x.reshape((bg, b // bg, c, *places))
    else:
        x = x.reshape((b, fg, c // fg, *places)).swapaxes(0, 1)
    w = w.reshape((groups, w.shape[0] // groups, *w.shape[1:]))
    out = _way(x, w, plan.axes)(x, w, plan.axes)
    g, b, o, *places = out.shape
    if g == 1:
        out = out[0]
    else:
        out = out.swapaxes(0, 1).reshape((b, g * o, *places))
    return out.transpose(_inverse(plan.out_order))


@lru_cache(maxsize=1024)
def _inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(order.index(i) for i in range(len(order)))


def _way(x: Any, w: Any, axes: tuple[Spatial, ...]) -> Any:
    g, b, c = x.shape[:3]
    if all(a.stride == 1 for a in axes) and any(a.x_dilation > 1 for a in axes):
        return _by_spreading
    if g > 1 and c == 1:
        return _by_taps
    places = math.prod([a.out for a in axes])
    if g > 1 and b == w.shape[1] == 1 and places <= 64:
        return _by_places
    return _by_windows


# ---- windows as a matrix


def _by_windows(x: Any, w: Any, axes: tuple[Spatial, ...]) -> Any:
    x = _padded(x, axes)
    count = x.itemsize * x.shape[0] * x.shape[1] * x.shape[2]
    count *= math.prod([a.out * a.k for a in axes])
    if count <= CHUNK:
        return _times_windows(x, w, axes)
    _, b, c = x.shape[:3]
    chunks = -(-count // CHUNK)
    strides = x.strides
    if b > 1 and (c == 1 or strides[1] >= strides[2]):
        out = None
        for part in _parts(b, chunks):
            made = _times_windows(x[:, part], w, axes)
            out = _allocated(made, 1, b) if out is None else out
            out[:, part] = made
        return out
    if c > 1 and strides[2] > max(strides[3:], default=0):
        out = None
        for part in _parts(c, chunks):
            made = _times_windows(x[:, :, part], w[:, :, part], axes)
            out = made if out is None else np.add(out, made, out)
        return out
    if not axes or axes[0].out == 1:
        return _times_windows(x, w, axes)
    out, first = None, axes[0]
    for part in _parts(first.out, chunks):
        n = part.stop - part.start
        made = _times_windows(
            x[:, :, :, part.start * first.stride :], w, (first._replace(out=n), *axes[1:])
        )
        out = _allocated(made, 3, first.out) if out is None else out
        out[:, :, :, part] = made
    return out


def _parts(n: int, chunks: int) -> list[slice]:
    step = max(1, n // chunks)
    return [slice(i, min(i + step, n)) for i in range(0, n, step)]


def _allocated(like: Any, axis: int, length: int) -> Any:
    """An array with the order of axes of `like`, and another length of one axis."""
    shape = list(like.shape)
    shape[axis] = length
    order = sorted(range(like.ndim), key=lambda i: -like.strides[i])
    made = np.empty([shape[i] for i in order], like.dtype)
    return made.transpose([order.index(i) for i in range(like.ndim)])


def _times_windows(x: Any, w: Any, axes: tuple[Spatial, ...]) -> Any:
    n = len(axes)
    s = x.strides
    places, taps = tuple(a.out for a in axes), tuple(a.k for a in axes)
    # axes: 0 group, 1 batch, 2.. places, then channel, then taps
    view = as_strided(
        x,
        (x.shape[0], x.shape[1], *places, x.shape[2], *taps),
        (
            s[0],
            s[1],
            *(t * a.stride for t, a in zip(s[3:], axes)),
            s[2],
            *(t * a.w_dilation for t, a in zip(s[3:], axes)),
        ),
    )
    rows = _along_memory(view, range(1, 2 + n))
    columns = _along_memory(view, range(2 + n, 3 + 2 * n))
    # w's axes are group, out, channel, taps: column i of the view is its axis i - n.
    w_order = [i - n for i in columns]
    g, o = w.shape[:2]
    m, k = math.prod([view.shape[i] for i in rows]), math.prod([view.shape[i] for i in columns])
    if _innermost(view, columns) < _innermost(view, rows):
        matrix = view.transpose((0, *rows, *columns)).reshape(g, m, k)
        out = _product(matrix, _kernel_matrix(w, w_order)).reshape(
            (g, *(view.shape[i] for i in rows), o)
        )
        made = [0, *rows, -1]
    else:
        matrix = view.transpose((0, *columns, *rows)).reshape(g, k, m)
        out = _product(_kernel_matrix(w, w_order).swapaxes(1, 2), matrix).reshape(
            (g, o, *(view.shape[i] for i in rows))
        )
        made = [0, -1, *rows]
    wanted = [0, 1, -1, *range(2, 2 + n)]
    return out.transpose([made.index(i) for i in wanted])


def _kernel_matrix(w: Any, order: list[int]) -> Any:
    """`w` as matrices of (channel and tap, out), which lie in memory as `w` does."""
    g, o = w.shape[:2]
    if w.strides[1] <= min(w.strides[2:]):
        return w.transpose((0, *order, 1)).reshape(g, -1, o)
    return w.transpose((0, 1, *order)).reshape(g, o, -1).swapaxes(1, 2)


def _product(a: Any, b: Any) -> Any:
    if a.shape[0] == 1:
        return a[0].dot(b[0])  # np.matmul has more overhead
    return np.matmul(a, b)


def _along_memory(view: Any, axes: Any) -> list[int]:
    """Axes from the one with the largest steps in memory to that with the smallest."""
    return sorted(axes, key=lambda i: (view.shape[i] != 1, -view.strides[i], i))


def _innermost(view: Any, axes: list[int]) -> tuple[float, int]:
    """The step of the last axis, and, for ties, minus its length."""
    at = axes[-1]
    if view.shape[at] == 1:
        return math.inf, 0
    return float(view.strides[at]), -view.shape[at]


def _padded(x: Any, axes: tuple[Spatial, ...]) -> Any:
    """`x` with its dilation and padding, cut to what windows reach; a view where it can be."""
    cut, fill = [], False
    into, shape = [], list(x.shape[:3])
    for a in axes:
        d = a.x_dilation
        reached = (a.out - 1) * a.stride + (a.k - 1) * a.w_dilation + 1
        shape.append(reached)
        # Element i of x lies at low + i d: those from `first` to `last` are inside.
        first = -(a.low // d) if a.low < 0 else 0
        last = min(a.n, (reached - 1 - a.low) // d + 1)
        count = max(0, last - first)
        start = a.low + first * d
        cut.append(slice(first, first + count))
        into.append(slice(start, start + (count - 1) * d + 1, d) if count else slice(0, 0))
        fill = fill or d > 1 or start != 0 or count != reached
    whole = (slice(None),) * 3
    x = x[(*whole, *cut)]
    if not fill:
        return x
    order = sorted(range(x.ndim), key=lambda i: -x.strides[i])
    made = np.zeros([shape[i] for i in order], x.dtype)
    made = made.transpose([order.index(i) for i in range(x.ndim)])
    made[(*whole, *into)] = x
    return made


# ---- a dilated input: each element of x times all taps, added where they belong


def _by_spreading(x: Any, w: Any, axes: tuple[Spatial, ...]) -> Any:
    g, b, c = x.shape[:3]
    o, n = w.shape[1], len(axes)
    taps = tuple(a.k for a in axes)
    channels_last = c == 1 or x.strides[2] <= min(x.strides[3:], default=0)
    places = [a.out for a in axes]
    if channels_last:
        out = np.zeros((g, b, *places, o), x.dtype).transpose((0, 1, n + 2, *range(2, n + 2)))
        x = x.transpose((0, 1, *range(3, n + 3), 2))  # g b places c
        kernel = w.transpose((0, 2, *range(3, n + 3), 1)).reshape(g, c, -1)
    else:
        out = np.zeros((g, b, o, *places), x.dtype)
        kernel = w.transpose((0, *range(3, n + 3), 1, 2)).reshape(g, -1, c)
    each = x.itemsize * g * kernel.size // (g * c) * math.prod([a.n for a in axes])
    for part in _parts(b, -(-each * b // CHUNK)):
        xs, target = x[:, part], out[:, part]
        m = part.stop - part.start
        if channels_last:
            made = np.matmul(xs.reshape(g, -1, c), kernel)
            made = made.reshape((g, m, *(a.n for a in axes), *taps, o))
            made = made.transpose((*range(n + 2, 2 * n + 2), 0, 1, -1, *range(2, n + 2)))
        else:
            made = np.matmul(kernel[:, None], xs.reshape(g, m, c, -1))
            made = made.reshape((g, m, *taps, o, *(a.n for a in axes)))
            made = made.transpose((*range(2, n + 2), 0, 1, *range(n + 2, 2 * n + 3)))
        for tap in np.ndindex(*taps):
            where = [_landing(a, i) for a, i in zip(axes, tap)]
            take: Any = (..., *(t for t, _ in where))
            put: Any = (..., *(p for _, p in where))
            target[put] += made[tap][take]
    return out


def _landing(a: Spatial, tap: int) -> tuple[slice, slice]:
    """Which elements of x meet the tap inside the output (of stride 1), and where."""
    at, d = a.low - tap * a.w_dilation, a.x_dilation
    first = -(at // d) if at < 0 else 0
    count = max(0, min(a.n, (a.out - 1 - at) // d + 1) - first)
    start = at + first * d
    if not count:
        return slice(0, 0), slice(0, 0)
    return slice(first, first + count), slice(start, start + (count - 1) * d + 1, d)


# ---- depthwise


def _by_taps(x: Any, w: Any, axes: tuple[Spatial, ...]) -> Any:
    x = _padded(x, axes)
    g, b = x.shape[:2]
    o, n = w.shape[1], len(axes)
    groups_last = x.strides[0] <= min(x.strides[3:], default=0)
    places = tuple(a.out for a in axes)
    if groups_last:  # b places g o
        x = x[:, :, 0].transpose((1, *range(2, n + 2), 0))[..., None]
        w = w[:, :, 0].transpose((*range(2, n + 2), 0, 1))
        out = np.empty((b, *places, g, o), x.dtype)
        spatial, order = 1, (n + 1, 0, n + 2, *range(1, n + 1))
    else:  # b g o places
        x = x[:, :, 0].swapaxes(0, 1)[:, :, None]
        w = w[:, :, 0].transpose((*range(2, n + 2), 0, 1)).reshape((*w.shape[3:], g, o, *(1,) * n))
        out = np.empty((b, g, o, *places), x.dtype)
        spatial, order = 3, (1, 0, 2, *range(3, n + 3))
    before = (slice(None),) * (spatial - 1)
    each = max(1, x.nbytes // b)
    for part in _parts(b, -(-b * each // _TAPS_CHUNK)):
        xs, ys = x[part], out[part]
        product = np.empty_like(ys)
        for i, tap in enumerate(itertools.product(*(range(a.k) for a in axes))):
            window = (
                slice(None),
                *before,
                *(
                    slice(t * a.w_dilation, t * a.w_dilation + (a.out - 1) * a.stride + 1, a.stride)
                    for a, t in zip(axes, tap)
                ),
            )
            if i == 0:
                np.multiply(xs[window], w[tap], ys)
            else:
                np.multiply(xs[window], w[tap], product)
                ys += product
    return out.transpose(order)


def _by_places(x: Any, w: Any, axes: tuple[Spatial, ...]) -> Any:
    x = _padded(x, axes)[:, 0]  # g c places
    w = w[:, 0]
    g, n = x.shape[0], len(axes)
    places = tuple(a.out for a in axes)
    groups_last = x.strides[0] <= min(x.strides[2:], default=0)
    # The sum over channels and taps, as a product with ones: BLAS adds in blocks.
    order = (*range(1, n + 2), 0) if groups_last else tuple(range(n + 2))
    x, w = x.transpose(order), np.ascontiguousarray(w.transpose(order))
    ones = np.ones(w.size // g, w.dtype)
    out = np.empty((*places, g), w.dtype)
    lead = 1 if groups_last else 2
    for place in np.ndindex(*places):
        window = (slice(None),) * lead + tuple(
            slice(p * a.stride, p * a.stride + (a.k - 1) * a.w_dilation + 1, a.w_dilation)
            for a, p in zip(axes, place)
        )
        product = x[window] * w
        if groups_last:
            out[place] = ones.dot(product.reshape(-1, g))
        else:
            out[place] = product.reshape(g, -1).dot(ones)
    return out.transpose((n, *range(n)))[:, None, None]
