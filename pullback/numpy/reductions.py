"""Sums, products, extrema, logical reductions, means and variances; places of extrema."""

from __future__ import annotations

import builtins
from typing import Any, NamedTuple

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error
from ..core.types import Shape
from ..ops import reduction
from ..ops.comparison import max_, min_, ne
from ..ops.elementwise import (
    add,
    mul,
    sub,
)
from ..ops.reduction import (
    extreme_value,
    reduce_and,
    reduce_max,
    reduce_min,
    reduce_or,
    reduce_prod,
)
from ..ops.structural import broadcast_in_dim, reduce_sum, reshape
from .arguments import (
    are_values,
    expand,
    half_to_single,
    integer,
    masked,
    no_out,
    strong,
    where_mask,
)
from .promotion import (
    as_array,
    astype,
    axis_number,
    axis_numbers,
    broadcast_shapes,
    not_numeric,
    requested_dtype,
)

Axis = Any
"""An integer, a tuple of integers, or None for all axes."""


class Kind(NamedTuple):
    """What tells one reduction from another."""

    name: str
    op: Any
    op_of_bools: Any
    combine: Any
    """The operation on two elements, which joins the result with `initial`."""
    identity: Any
    """The result over no elements: a number, "min" or "max"."""

    @property
    def has_identity(self) -> bool:
        """Whether a reduction over no elements is allowed."""
        return not isinstance(self.identity, str)

    def identity_in(self, dtype: np.dtype) -> HostArray:
        """The identity as an Array."""
        if isinstance(self.identity, str):
            return HostArray(extreme_value(dtype, self.identity))
        return HostArray(dtype.type(self.identity))


SUM = Kind("sum", reduce_sum, reduce_or, add, 0)
PROD = Kind("prod", reduce_prod, reduce_and, mul, 1)
MAX = Kind("max", reduce_max, reduce_or, max_, "min")
MIN = Kind("min", reduce_min, reduce_and, min_, "max")
ALL = Kind("all", reduce_and, reduce_and, mul, True)
ANY = Kind("any", reduce_or, reduce_or, add, False)


def sum(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
    promote_integers: bool = True,
) -> Array:
    """The sum over `axis`, all axes if None.

    Args:
      a: an array.
      axis: an integer, a tuple of integers or None.
      dtype: the dtype to sum in. By default integers and bools are summed in int32 (int64 with
        x64), unsigned ones in uint32; half floats in float32, then converted back.
      out: must be None.
      keepdims: keep the summed axes, with length 1.
      initial: a number that is added.
      where: bools that broadcast with `a`; elements where it is False are left out.
      promote_integers: False to sum integers in their own dtype.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.sum(jnp.array([[1, 2], [3, 4]]), axis=0))
      [4 6]
    """
    options = initial is not None or where is not None or dtype is not None or out is not None
    if isinstance(a, Array) and not options and _sums_in_own_dtype(a.dtype):
        return plain(reduce_sum, a, axis, keepdims)
    return reduce(SUM, a, axis, dtype, out, keepdims, initial, where, promote_integers)


def prod(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
    promote_integers: bool = True,
) -> Array:
    """The product over `axis`, all axes if None. Arguments as those of `sum`."""
    return reduce(PROD, a, axis, dtype, out, keepdims, initial, where, promote_integers)


def max(
    a: Any,
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Array:
    """The largest element over `axis`; NaN where there is one. With `where`, give `initial`."""
    options = initial is not None or where is not None or out is not None
    if isinstance(a, Array) and not options and a.dtype.kind in "fiuc" and 0 not in a.shape:
        return plain(reduce_max, a, axis, keepdims)
    return reduce(MAX, a, axis, None, out, keepdims, initial, where)


def min(
    a: Any,
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Array:
    """The smallest element over `axis`; NaN where there is one. With `where`, give `initial`."""
    options = initial is not None or where is not None or out is not None
    if isinstance(a, Array) and not options and a.dtype.kind in "fiuc" and 0 not in a.shape:
        return plain(reduce_min, a, axis, keepdims)
    return reduce(MIN, a, axis, None, out, keepdims, initial, where)


amax, amin = max, min


def all(
    a: Any, axis: Axis = None, out: None = None, keepdims: bool = False, *, where: Any = None
) -> Array:
    """Whether all elements over `axis` are true (not zero)."""
    if where is None and out is None and isinstance(a, Array) and a.dtype.kind == "b":
        return plain(reduce_and, a, axis, keepdims)
    return reduce(ALL, a, axis, None, out, keepdims, None, where)


def any(
    a: Any, axis: Axis = None, out: None = None, keepdims: bool = False, *, where: Any = None
) -> Array:
    """Whether any element over `axis` is true (not zero)."""
    if where is None and out is None and isinstance(a, Array) and a.dtype.kind == "b":
        return plain(reduce_or, a, axis, keepdims)
    return reduce(ANY, a, axis, None, out, keepdims, None, where)


def count_nonzero(a: Any, axis: Axis = None, keepdims: bool = False) -> Array:
    """How many elements over `axis` are not zero."""
    a = truth(as_array(a, "count_nonzero"))
    if are_values(a) and type(axis) in (int, type(None)):
        found = np.count_nonzero(a._value, axis=axis, keepdims=keepdims)
        return HostArray(dtypes.default_int().type(found))
    return sum(a, axis, dtype=dtypes.default_int(), keepdims=keepdims)


def ptp(a: Any, axis: Axis = None, out: None = None, keepdims: bool = False) -> Array:
    """The largest minus the smallest element over `axis`."""
    no_out("ptp", out)
    a = as_array(a, "ptp")
    return sub(max(a, axis, keepdims=keepdims), min(a, axis, keepdims=keepdims))


# ---- how all of these are done


def plain(op: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """The reduction of floats without options: the common case, so it is kept short."""
    rank = len(x.shape)
    if axis is None:
        axes = _ALL[rank] if rank < 4 else tuple(range(rank))
    elif type(axis) is int:
        axes = (axis,) if 0 <= axis < rank else (axis_number(axis, rank),)
    else:
        axes = reduced_axes(axis, rank)
    result = op(x, axes=axes)
    if x.weak_type:
        result = strong(result)
    return expand(result, axes) if keepdims else result


def _sums_in_own_dtype(dtype: np.dtype) -> bool:
    return dtype.char in "fdFD" or dtype == dtypes.default_int()


_ALL = ((), (0,), (0, 1), (0, 1, 2))


def reduced_axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """The axes that `axis` names, counted from 0."""
    if isinstance(axis, (Array, np.ndarray)):
        axis = tuple(axis) if axis.ndim else integer(axis, "`axis`")
    return axis_numbers(axis, ndim)


def reduce(
    kind: Kind,
    a: Any,
    axis: Axis,
    dtype: Any,
    out: Any,
    keepdims: bool,
    initial: Any,
    where: Any,
    promote_integers: bool = False,
) -> Array:
    """The reduction `kind` with all its options."""
    if out is not None:
        no_out(kind.name, out)
    x = a if isinstance(a, Array) else as_array(a, kind.name)
    if x.dtype.names is not None:
        raise not_numeric(kind.name, x)
    axes = reduced_axes(axis, len(x.shape))
    if kind.op is reduce_and or kind.op is reduce_or:
        x = truth(x)
    if not kind.has_identity and initial is None:
        _needs_elements(kind, x, axes, where)
    result_dtype, inner = _reduction_dtypes(kind, x.dtype, dtype, promote_integers)
    x = astype(x, inner)
    if where is not None:
        where = where_mask(kind.name, where)
        _check_where(kind, x, where)
        x = masked(where, x, kind.identity_in(inner))
    op = kind.op_of_bools if inner == dtypes.bool_ else kind.op
    result = op(x, axes=axes)
    if initial is not None:
        result = _with_initial(kind, result, initial, inner)
    if keepdims:
        result = expand(result, axes)
    return astype(result, result_dtype)


def _reduction_dtypes(
    kind: Kind, dtype: np.dtype, asked: Any, promote_integers: bool
) -> tuple[np.dtype, np.dtype]:
    """The dtype of the result, and that to compute in."""
    if asked is not None:
        result = requested_dtype(asked, f"jnp.{kind.name}")
        return result, result
    result = dtype
    if kind.op is reduce_sum or kind.op is reduce_prod:
        if result == dtypes.bool_:
            result = dtypes.default_int()
        elif promote_integers:
            result = promoted_integer(result)
        return result, half_to_single(result)
    return result, result


def promoted_integer(dtype: np.dtype) -> np.dtype:
    """The default width for integers that are narrower; bools become integers."""
    kind = dtypes.kind(dtype)
    if kind == "b":
        return dtypes.default_int()
    if kind in "iu":
        wide = dtypes.default_int() if kind == "i" else dtypes.canonical(np.dtype(np.uint64))
        return wide if dtype.itemsize < wide.itemsize else dtype
    return dtype


def _needs_elements(kind: Kind, x: Any, axes: tuple[int, ...], where: Any) -> None:
    if where is not None:
        raise error(
            ValueError,
            f"reduction operation {kind.name} does not have an identity, so to use a where mask "
            "one has to specify 'initial'.",
            got="where= without initial=",
            fix=f"give initial=, the result where no element is left, e.g. "
            f"{'-' if kind.identity == 'min' else ''}jnp.inf.",
        )
    if builtins.any(x.shape[i] == 0 for i in axes):
        raise error(
            ValueError,
            f"zero-size array to reduction operation {kind.name} which has no identity.",
            got=f"{x.aval.str_short()} along axes {axes}",
            fix="give initial=, the result over no elements, or treat empty arrays apart.",
        )


def _check_where(kind: Kind, x: Any, where: Any) -> None:
    if broadcast_shapes(kind.name, where.shape, x.shape) != x.shape:
        raise error(
            ValueError,
            f"jnp.{kind.name}: where must broadcast to the shape of the array.",
            got=f"where of shape {where.shape} for an array of shape {x.shape}",
            fix="give a mask of the array's shape, or broadcast the array first.",
        )


def _with_initial(kind: Kind, result: Any, initial: Any, dtype: np.dtype) -> Any:
    initial = as_array(initial, kind.name)
    if initial.shape:
        raise error(
            ValueError,
            f"jnp.{kind.name}: initial value must be a scalar.",
            got=f"initial of shape {initial.shape}",
            fix="combine an array with the result afterwards.",
        )
    combine = kind.combine
    if dtype == dtypes.bool_:
        combine = max_ if kind.op_of_bools is reduce_or else min_
    return combine(astype(initial, dtype), result)


def truth(x: Any) -> Any:
    """Whether each element is not zero."""
    if x.dtype == dtypes.bool_:
        return x
    return ne(x, HostArray(x.dtype.type(0), True))


# ---- places


def argmax(
    a: Any, axis: int | None = None, out: None = None, keepdims: bool | None = None
) -> Array:
    """The index of the first largest element along `axis`; in the flattened array if None.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.argmax(jnp.array([1, 5, 2])))
      1
    """
    return _place("argmax", reduction.argmax, a, axis, out, keepdims)


def argmin(
    a: Any, axis: int | None = None, out: None = None, keepdims: bool | None = None
) -> Array:
    """The index of the first smallest element along `axis`; in the flattened array if None."""
    return _place("argmin", reduction.argmin, a, axis, out, keepdims)


def _place(name: str, op: Any, a: Any, axis: Any, out: Any, keepdims: Any) -> Any:
    no_out(name, out)
    x = a if isinstance(a, Array) else as_array(a, name)
    rank = len(x.shape)
    if x.dtype.kind == "c":
        raise error(
            TypeError,
            f"{name} does not take complex numbers, which have no order.",
            got=x.aval.str_short(),
            fix="take the absolute value or the real part first.",
        )
    if axis is None:
        flat = x if rank == 1 else reshape(x, new_sizes=(x.size,))
        i = 0
    else:
        axis = axis if type(axis) is int else integer(axis, f"`axis` of jnp.{name}")
        flat, i = x, axis_number(axis, rank)
    if flat.shape[i] == 0:
        raise error(
            ValueError,
            f"attempt to get {name} of an empty sequence.",
            got=f"{x.aval.str_short()}, axis={axis}",
            fix="give an array with elements along that axis.",
        )
    found = op(flat, axes=(i,), index_dtype=dtypes.default_int())
    if not keepdims:
        return found
    shape = (1,) * rank if axis is None else (*x.shape[:i], 1, *x.shape[i + 1 :])
    return reshape(found, new_sizes=shape)


def filled_like(shape: Shape, value: Any) -> Any:
    """An array of this shape that holds the scalar Array `value` everywhere."""
    return broadcast_in_dim(value, shape=shape, broadcast_dimensions=()) if shape else value
