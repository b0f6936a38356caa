"""New arrays of a given shape: zeros, ones, full; numbers in order: arange, linspace, indices."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray, Tracer
from ..core.errors import ConcretizationTypeError, error
from ..core.trace import host_array, quiet, type_of
from ..core.types import Shape, array_type
from ..ops import slicing
from ..ops.elementwise import add, convert_element_type, like, mul, sub
from ..ops.rounding import floor
from ..ops.spreading import place_of, put_where
from ..ops.stacking import stack
from ..ops.structural import broadcast_in_dim, iota, move_axis
from .arguments import are_values, expand, integer, integers, shape_argument
from .arithmetic import divide, multiply, power, sign
from .functional import mapped
from .functions import log10
from .promotion import (
    as_array,
    as_arrays,
    astype,
    axis_number,
    broadcast_shapes,
    broadcast_to,
    inexact_dtype,
    requested_dtype,
)

# ---- one value everywhere


def zeros(shape: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None) -> Array:
    """Zeros of shape `shape`; float32 unless `dtype` is given.

    Args:
      shape: the length of each axis.
      dtype: the dtype.
      device, out_sharding: a Device, a Sharding, or with a mesh in use a PartitionSpec: where the
        array is put. So in all functions that make arrays.

    Example:
      >>> import pullback.numpy as jnp
      >>> jnp.zeros((2, 2))
      Array([[0., 0.],
             [0., 0.]], dtype=float32)
    """
    return put_where(_constant("zeros", shape, dtype, 0), device, out_sharding)


def ones(shape: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None) -> Array:
    """Ones of shape `shape`; float32 unless `dtype` is given."""
    return put_where(_constant("ones", shape, dtype, 1), device, out_sharding)


def empty(shape: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None) -> Array:
    """Zeros: an array that cannot be written has no use for what is left in memory."""
    return put_where(_constant("empty", shape, dtype, 0), device, out_sharding)


def full(
    shape: Any,
    fill_value: Any,
    dtype: Any = None,
    *,
    device: Any = None,
    out_sharding: Any = None,
) -> Array:
    """`fill_value`, a number or an array that broadcasts, in shape `shape`."""
    lengths = shape_argument("full", shape)
    value = as_array(fill_value, "full")
    if dtype is not None:
        value = astype(value, requested_dtype(dtype, "full"))
    elif value.shape and value.weak_type:
        value = astype(value, value.dtype)
    return put_where(_broadcast("full", value, lengths), device, out_sharding)


def zeros_like(
    a: Any, dtype: Any = None, shape: Any = None, *, device: Any = None, out_sharding: Any = None
) -> Array:
    """Zeros with the shape and the dtype of `a`, unless others are given.

    They are put where `a` was put, if it has this shape, unless `device` or `out_sharding` says
    another place.
    """
    return _full_like("zeros_like", a, 0, dtype, shape, device, out_sharding)


def ones_like(
    a: Any, dtype: Any = None, shape: Any = None, *, device: Any = None, out_sharding: Any = None
) -> Array:
    """Ones with the shape and the dtype of `a`, unless others are given."""
    return _full_like("ones_like", a, 1, dtype, shape, device, out_sharding)


def empty_like(
    prototype: Any, dtype: Any = None, shape: Any = None, *, device: Any = None
) -> Array:
    """Zeros with the shape and the dtype of `prototype`, unless others are given."""
    return _full_like("empty_like", prototype, 0, dtype, shape, device)


def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    shape: Any = None,
    *,
    device: Any = None,
    out_sharding: Any = None,
) -> Array:
    """`fill_value` with the shape and the dtype of `a`, unless others are given."""
    return _full_like("full_like", a, fill_value, dtype, shape, device, out_sharding)


def _constant(name: str, shape: Any, dtype: Any, value: int) -> Any:
    if isinstance(dtype, int) and isinstance(shape, int):
        raise error(
            TypeError,
            f"Cannot interpret '{dtype}' as a data type.",
            got=f"{name}({shape}, {dtype})",
            fix=f"write jnp.{name}(({shape}, {dtype})): the shape is one tuple.",
        )
    lengths = shape if type(shape) is tuple and not shape else shape_argument(name, shape)
    kind = dtypes.default_float() if dtype is None else requested_dtype(dtype, name)
    return _filled(_scalar(value, kind), lengths)


def _scalar(value: int, dtype: np.dtype) -> HostArray:
    known = _SCALARS.get((value, dtype))
    if known is None:
        if value and dtypes.is_key(dtype):
            raise error(
                TypeError,
                "there is no random key that is one.",
                got=f"dtype {dtypes.long_name(dtype)}",
                fix="make keys with random.key or random.split.",
            )
        number = np.zeros((), dtype)[()] if value == 0 else dtype.type(value)
        known = _SCALARS[value, dtype] = HostArray(number)
    return known


_SCALARS: dict[Any, HostArray] = {}


def _filled(value: HostArray, shape: Shape) -> Any:
    if not shape:  # an array of its own: users may delete it
        return HostArray(value._value)
    return broadcast_in_dim(value, shape=shape, broadcast_dimensions=())


def _broadcast(name: str, x: Any, shape: Shape) -> Any:
    if broadcast_shapes(name, x.shape, shape) != shape:
        raise error(
            ValueError,
            f"{name}: the value does not fit the shape.",
            got=f"a value of shape {x.shape} for shape {shape}",
            fix="give a number, or an array that broadcasts to the shape.",
        )
    return broadcast_to(x, shape)


def _full_like(
    name: str, a: Any, value: Any, dtype: Any, shape: Any, device: Any, out_sharding: Any = None
) -> Any:
    out = _like(name, a, value, dtype, shape)
    if device is out_sharding is None:
        if type(a) is HostArray or getattr(value, "shape", None):
            return out
        device = place_of(a, out.shape)
    return put_where(out, device, out_sharding)


def _like(name: str, a: Any, value: Any, dtype: Any, shape: Any) -> Any:
    if isinstance(a, Array):
        model = type_of(a)
    elif hasattr(a, "shape") and hasattr(a, "dtype"):
        weak = bool(getattr(a, "weak_type", False))
        model = array_type(tuple(a.shape), dtypes.canonical(a.dtype), weak)
    else:
        model = type_of(as_array(a, name))
    weak = model.weak_type and dtype is None
    kind = model.dtype if dtype is None else requested_dtype(dtype, name)
    lengths = model.shape if shape is None else shape_argument(name, shape)
    if type(value) is int and value in (0, 1) and not weak:
        return _filled(_scalar(value, kind), lengths)
    if type(value) is float and kind.kind == "f" and not weak:
        return _filled(HostArray(kind.type(value)), lengths)
    value = as_array(value, name)
    if value.dtype != kind or value.weak_type != weak:
        value = convert_element_type(value, new_dtype=kind, weak_type=weak)
    return _broadcast(name, value, lengths)


# ---- numbers in order


def arange(
    start: Any,
    stop: Any = None,
    step: Any = None,
    dtype: Any = None,
    *,
    device: Any = None,
    out_sharding: Any = None,
) -> Array:
    """`start`, `start + step`, ... before `stop`; arange(n) counts from 0 to n - 1.

    Args:
      start: the first number, or with one argument the end. All must be known now: they decide
        the shape of the result.
      stop: the end, which is not reached.
      step: the distance.
      dtype: the dtype; without it, that to which the numbers promote.
      device, out_sharding: where the array is put: see `zeros`.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.arange(1, 2, 0.25))
      [1.   1.25 1.5  1.75]
    """
    return put_where(_numbers(start, stop, step, dtype), device, out_sharding)


def _numbers(start: Any, stop: Any, step: Any, dtype: Any) -> Any:
    kind = None if dtype is None else requested_dtype(dtype, "arange")
    if type(start) is int and stop is step is None and are_values() and start < 2**31:
        return HostArray(np.arange(start, dtype=dtypes.default_int() if kind is None else kind))
    given = {"start" if stop is not None or step is not None else "stop": start}
    given.update({"stop": stop} if stop is not None else {})
    given.update({"step": step} if step is not None else {})
    known = {name: _known_number(name, x) for name, x in given.items()}
    if kind is None:
        types = tuple((x.dtype, x.weak_type) for x in map(host_array, given.values()))
        kind = dtypes.promoted(types, "arange")[0]
    first: Any = 0 if stop is None else known["start"]
    last: Any = known["start" if stop is None and step is not None else "stop"]
    if step is not None:
        return _stepped(first, last, known["step"], kind)
    size = max(0, math.ceil(last - first))
    line = iota(dtype=kind, shape=(size,), dimension=0)
    return line if first == 0 else add(_typed(first, kind), line)


def _stepped(first: Any, last: Any, step: Any, dtype: np.dtype) -> Any:
    if step == 0:
        raise error(
            ValueError,
            "arange cannot count in steps of 0.",
            got=f"start={first}, stop={last}, step=0",
            fix="give a step that leads from start to stop.",
        )
    size = max(0, math.ceil((last - first) / step))
    # Numbers of 16 bits or less are too coarse to be counted with.
    wide = dtypes.float32 if dtypes.kind(dtype) == "f" and dtype.itemsize < 4 else dtype
    line = iota(dtype=wide, shape=(size,), dimension=0)
    return astype(add(_typed(first, wide), mul(_typed(step, wide), line)), dtype)


def _typed(number: Any, dtype: np.dtype) -> Any:
    return convert_element_type(host_array(number), new_dtype=dtype, weak_type=False)


def _known_number(name: str, x: Any) -> Any:
    if isinstance(x, Tracer) and x.known() is None:
        raise error(
            ConcretizationTypeError,
            f"the argument `{name}` of jnp.arange decides the shape of the result, so its value "
            "must be known while tracing.",
            got=x.describe(),
            fix="make it static (static_argnums or static_argnames of jit).",
        )
    array = as_array(x.known() if isinstance(x, Tracer) else x, "arange")
    if array.shape or array.dtype.kind == "c":
        raise error(
            ValueError,
            "jax.numpy.arange: arguments must be scalars, and real.",
            got=f"{name} of type {type_of(array).str_short()}",
            fix="give numbers.",
        )
    return x if isinstance(x, (int, float)) else np.asarray(array._value)[()]


def linspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    """`num` numbers from `start` to `stop` at equal distances, along a new axis.

    Args:
      start: a number or an array; it may be differentiated.
      stop: a number or an array.
      num: how many numbers.
      endpoint: whether `stop` is the last of them.
      retstep: whether to return the pair (numbers, distance).
      dtype: the dtype; integers are rounded down.
      axis: where the new axis stands.
      device: where the array is put: see `zeros`.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.linspace(0, 1, 5))
      [0.   0.25 0.5  0.75 1.  ]
    """
    out = _line_of(start, stop, num, endpoint, retstep, dtype, axis)
    return (put_where(out[0], device), out[1]) if retstep else put_where(out, device)


def _line_of(
    start: Any, stop: Any, num: Any, endpoint: bool, retstep: bool, dtype: Any, axis: int
) -> Any:
    num = integer(num, "`num` of jnp.linspace")
    axis = integer(axis, "`axis` of jnp.linspace")
    if num < 0:
        raise error(
            ValueError,
            f"Number of samples, {num}, must be non-negative.",
            got=f"num={num}",
            fix="give 0 or more.",
        )
    kind, wide = _line_dtypes("linspace", start, stop, dtype)
    start, stop = (astype(x, wide) for x in as_arrays("linspace", start, stop))
    shape = broadcast_shapes("linspace", start.shape, stop.shape)
    start, stop = broadcast_to(start, shape), broadcast_to(stop, shape)
    axis = axis_number(axis, len(shape) + 1)
    div = num - 1 if endpoint else num
    if num > 1 and not retstep and dtypes.kind(kind) == "f" and are_values(start, stop):
        return HostArray(_line_of_values(start._value, stop._value, div, endpoint, axis, kind))
    if num > 1:
        delta = divide(sub(stop, start), _typed(div, wide))
        out = _line(start, stop, div, axis)
        if endpoint:
            out = slicing.concatenate(out, expand(stop, (axis,)), dimension=axis)
    else:
        delta = _typed(np.nan, wide) if num == 0 or endpoint else sub(stop, start)
        out = expand(start, (axis,))
        if num == 0:
            out = zeros((*shape[:axis], 0, *shape[axis:]), wide)
    if dtypes.kind(kind) in "iu":
        out = floor(out)
    return (astype(out, kind), delta) if retstep else astype(out, kind)


def _line(start: Any, stop: Any, div: int, axis: int) -> Any:
    """start (1 - t) + stop t, for t = 0, 1/div, 2/div ... before 1."""
    shape = (*start.shape[:axis], div, *start.shape[axis:])
    part = dtypes.real_dtype(start.dtype)
    t = divide(iota(dtype=part, shape=(div,), dimension=0), _typed(div, part))
    t = astype(t, start.dtype)
    t = broadcast_in_dim(t, shape=shape, broadcast_dimensions=(axis,))
    kept = tuple(i for i in range(len(shape)) if i != axis)
    start, stop = (
        broadcast_in_dim(x, shape=shape, broadcast_dimensions=kept) for x in (start, stop)
    )
    return add(mul(start, sub(like(t, 1), t)), mul(stop, t))


def _line_of_values(
    start: Any, stop: Any, div: int, endpoint: bool, axis: int, kind: np.dtype
) -> np.ndarray:
    """As `_line`, by NumPy at once: 15 operations cost 40 us, this 8 us."""
    wide = start.dtype
    t = (np.arange(div, dtype=wide) / wide.type(div)).reshape(-1, *(1,) * start.ndim)
    with quiet():
        out = start * (wide.type(1) - t) + stop * t
    if endpoint:
        out = np.concatenate([out, stop[None]])
    return np.moveaxis(out, 0, axis).astype(kind, copy=False)


def _line_dtypes(name: str, start: Any, stop: Any, dtype: Any) -> tuple[np.dtype, np.dtype]:
    """The dtype of the result, and that of the computation, which is not an integer one."""
    if dtype is not None:
        kind = requested_dtype(dtype, name)
    else:
        types = tuple((x.dtype, x.weak_type) for x in as_arrays(name, start, stop))
        kind = inexact_dtype(dtypes.promoted(types, name)[0])
    return kind, inexact_dtype(kind)


def logspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Array:
    """`num` numbers from base^start to base^stop at equal ratios, along a new axis."""
    kind, wide = _line_dtypes("logspace", start, stop, dtype)
    exponents = linspace(start, stop, num, endpoint, dtype=wide, axis=axis)
    return astype(power(base, exponents), kind)


def geomspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    dtype: Any = None,
    axis: int = 0,
) -> Array:
    """`num` numbers from `start` to `stop` at equal ratios, along a new axis."""
    kind, wide = _line_dtypes("geomspace", start, stop, dtype)
    start, stop = (astype(x, wide) for x in as_arrays("geomspace", start, stop))
    turn = sign(start)
    first, last = log10(divide(start, turn)), log10(divide(stop, turn))
    powers = logspace(first, last, num, endpoint, dtype=wide)
    out = multiply(broadcast_to(turn, powers.shape), powers)
    axis = axis_number(integer(axis, "`axis` of jnp.geomspace"), len(out.shape))
    return astype(move_axis(out, 0, axis), kind)


# ---- coordinates


def meshgrid(
    *xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> list[Array]:
    """The coordinates of the points of a grid, from those along each of its axes.

    Args:
      *xi: for each axis, a vector of coordinates.
      copy: must be True.
      sparse: whether arrays keep length 1 along the axes on which they do not depend.
      indexing: "xy" (the first vector runs along the columns, axis 1) or "ij" (along axis 0).

    Example:
      >>> import pullback.numpy as jnp
      >>> x, y = jnp.meshgrid(jnp.arange(3), jnp.arange(2))
      >>> print(x)
      [[0 1 2]
       [0 1 2]]
    """
    args = as_arrays("meshgrid", *xi)
    if not copy or indexing not in ("xy", "ij") or any(a.ndim != 1 for a in args):
        raise error(
            ValueError,
            'meshgrid takes vectors, copy=True, and indexing="xy" or "ij".',
            got=f"shapes {[a.shape for a in args]}, copy={copy}, indexing={indexing!r}",
            fix="flatten the arguments with x.ravel().",
        )
    order = list(range(len(args)))
    if indexing == "xy" and len(args) >= 2:
        order[0], order[1] = 1, 0
    # The vector with number i runs along axis order[i].
    lengths = [0] * len(args)
    for a, at in zip(args, order):
        lengths[at] = a.shape[0]
    out = []
    for a, at in zip(args, order):
        ones_but_at = [1] * len(args)
        ones_but_at[at] = a.shape[0]
        shape = tuple(ones_but_at if sparse else lengths)
        out.append(broadcast_in_dim(a, shape=shape, broadcast_dimensions=(at,)))
    return out


def indices(dimensions: Any, dtype: Any = None, sparse: bool = False) -> Any:
    """For each axis of an array of this shape, the index along it of each element."""
    kind = requested_dtype(int if dtype is None else dtype, "indices")
    shape = integers(dimensions, "`dimensions` of jnp.indices")
    found = []
    for i, n in enumerate(shape):
        at = iota(dtype=kind, shape=(n,), dimension=0)
        lengths = shape
        if sparse:
            lengths = (*(1,) * i, n, *(1,) * (len(shape) - i - 1))
        found.append(broadcast_in_dim(at, shape=lengths, broadcast_dimensions=(i,)))
    if sparse:
        return tuple(found)
    return stack(*found, axis=0) if found else HostArray(np.zeros((0,), kind))


def fromfunction(
    function: Callable[..., Any], shape: Any, *, dtype: Any = float, **kwargs: Any
) -> Any:
    """`function(i, j, ...)` for all indices of an array of shape `shape`."""
    lengths = shape_argument("fromfunction", shape)

    def over(*at: Any) -> Any:
        return function(*at, **kwargs)

    for i in reversed(range(len(lengths))):
        axes = [0 if i == j else None for j in range(len(lengths))]
        over = mapped(over, axes)
    return over(*(arange(n, dtype=dtype) for n in lengths))
