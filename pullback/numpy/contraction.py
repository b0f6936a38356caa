"""Products of arrays that sum over axes: dot, matmul, tensordot and their kin."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..core.trace import type_of
from ..core.types import Shape
from ..ops.contraction import dot_general
from ..ops.precision import canonical_precision
from ..ops.reduction import reduce_or
from ..ops.stacking import stack, unstack
from ..ops.structural import broadcast_in_dim, move_axis, reduce_sum, reshape, zeros_of
from ..ops.structural import transpose as permute
from .arguments import no_out, strong
from .arithmetic import conjugate, multiply, subtract
from .diagonals import diagonal
from .promotion import (
    as_array,
    axis_number,
    broadcast_together,
    promote_dtypes,
    requested_dtype,
)
from .reductions import sum as sum_

_NUMBERS = {
    (1, 1): (((0,), (0,)), ((), ())),
    (2, 1): (((1,), (0,)), ((), ())),
    (1, 2): (((0,), (0,)), ((), ())),
    (2, 2): (((1,), (0,)), ((), ())),
}
"""The dimension numbers of products of vectors and matrices, by their ranks."""


def dot(
    a: Any,
    b: Any,
    *,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: None = None,
) -> Array:
    """The product that sums over the last axis of `a` and the last but one (or only) axis of `b`.

    Args:
      a: an array of shape ``(..., n)``, or a scalar.
      b: an array of shape ``(n,)`` or ``(..., n, m)``, or a scalar.
      precision: how exactly a device may multiply: None, a name such as ``"highest"``, a
        ``lax.Precision``, or a pair of these. This engine always uses all digits.
      preferred_element_type: the dtype to add up in and to return.
      out_sharding: accepted for compatibility; must be None.

    Raises:
      TypeError: the lengths of the two axes differ.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.dot(jnp.array([[1., 2.], [3., 4.]]), jnp.array([1., 10.])))
      [21. 43.]
    """
    a, b, dtype = _operands("dot", a, b, preferred_element_type)
    ranks = (len(a.shape), len(b.shape))
    numbers: Any = _NUMBERS.get(ranks)
    if numbers is None:
        if 0 in ranks:
            numbers = (((), ()), ((), ()))
        else:
            numbers = (((ranks[0] - 1,), (max(ranks[1] - 2, 0),)), ((), ()))
    return _product(a, b, numbers, precision, dtype, preferred_element_type)


def matmul(
    a: Any,
    b: Any,
    *,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: None = None,
) -> Array:
    """The matrix product, ``a @ b``, of vectors, matrices and stacks of matrices.

    Args:
      a: an array of shape ``(n,)`` or ``(..., m, n)``.
      b: an array of shape ``(n,)`` or ``(..., n, k)``; the axes before broadcast with those of `a`.
      precision: as for `dot`.
      preferred_element_type: the dtype to add up in and to return.
      out_sharding: accepted for compatibility; must be None.

    Raises:
      ValueError: an operand is a scalar, or the stacks have incompatible shapes.
      TypeError: the lengths of the summed axes differ.
    """
    a, b, dtype = _operands("matmul", a, b, preferred_element_type)
    ranks = (len(a.shape), len(b.shape))
    numbers = _NUMBERS.get(ranks)
    if numbers is not None:
        return _product(a, b, numbers, precision, dtype, preferred_element_type)
    if 0 in ranks:
        raise error(
            ValueError,
            f"matmul input operand {ranks.index(0)} must have ndim at least 1, but it has ndim 0.",
            got=f"{type_of(a).str_short()} and {type_of(b).str_short()}",
            fix="multiply by a scalar with `*`.",
        )
    _check_summed("matmul", a, b, ranks[0] - 1, max(ranks[1] - 2, 0))
    if a.shape[:-2] == b.shape[:-2] and ranks[0] == ranks[1]:
        numbers = _stacked_numbers(ranks[0])
        return _product(a, b, numbers, precision, dtype, preferred_element_type)
    cores = ("mk" if ranks[0] > 1 else "k", "kn" if ranks[1] > 1 else "k")
    out = cores[0][:-1] + cores[1][1:]
    options = (precision, dtype, preferred_element_type)
    return _stacked_product("matmul", a, b, (*cores, out), *options)


@lru_cache(maxsize=64)
def _stacked_numbers(rank: int) -> Any:
    batch = tuple(range(rank - 2))
    return ((rank - 1,), (rank - 2,)), (batch, batch)


def vdot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """The sum of ``conj(a) * b`` over all elements, both flattened."""
    a, b = as_array(a, "vdot"), as_array(b, "vdot")
    if a.shape == b.shape and len(a.shape) > 1:
        # All pairs of axes at once: no reshapes, nor their transposes in a derivative.
        every = tuple(range(len(a.shape)))
        a, b, dtype = _operands("vdot", conjugate(a), b, preferred_element_type)
        numbers = ((every, every), ((), ()))
        return _product(a, b, numbers, precision, dtype, preferred_element_type)
    return dot(
        conjugate(_flat(a)),
        _flat(b),
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


def vecdot(
    x1: Any,
    x2: Any,
    /,
    *,
    axis: int = -1,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Array:
    """The sum of ``conj(x1) * x2`` along `axis`; the other axes broadcast.

    Raises:
      ValueError: the lengths along `axis` differ.
    """
    a, b, dtype = _operands("vecdot", x1, x2, preferred_element_type)
    i, j = axis_number(axis, len(a.shape)), axis_number(axis, len(b.shape))
    if a.shape[i] != b.shape[j]:
        raise error(
            ValueError,
            f"vecdot needs operands of the same length along axis {axis}.",
            got=f"{type_of(a).str_short()} and {type_of(b).str_short()}",
            fix="reshape one, or choose another axis.",
        )
    a = conjugate(move_axis(a, i, len(a.shape) - 1))
    b = move_axis(b, j, len(b.shape) - 1)
    options = (precision, dtype, preferred_element_type)
    return _stacked_product("vecdot", a, b, ("k", "k", ""), *options)


def matvec(x1: Any, x2: Any, /) -> Array:
    """Matrices times vectors: ``(..., m, n)`` and ``(..., n)`` give ``(..., m)``."""
    a, b, dtype = _operands("matvec", x1, x2, None)
    _at_least("matvec", (a, b), (2, 1))
    _check_summed("matvec", a, b, len(a.shape) - 1, len(b.shape) - 1)
    return _stacked_product("matvec", a, b, ("mk", "k", "m"), None, dtype, None)


def vecmat(x1: Any, x2: Any, /) -> Array:
    """Conjugated vectors times matrices: ``(..., n)`` and ``(..., n, m)`` give ``(..., m)``."""
    a, b, dtype = _operands("vecmat", x1, x2, None)
    _at_least("vecmat", (a, b), (1, 2))
    _check_summed("vecmat", a, b, len(a.shape) - 1, len(b.shape) - 2)
    return _stacked_product("vecmat", conjugate(a), b, ("k", "kn", "n"), None, dtype, None)


def inner(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """The product that sums over the last axis of both operands; nothing is conjugated."""
    a, b, dtype = _operands("inner", a, b, preferred_element_type)
    x, y = len(a.shape), len(b.shape)
    numbers = (((x - 1,), (y - 1,)) if x and y else ((), ()), ((), ()))
    return _product(a, b, numbers, precision, dtype, preferred_element_type)


def outer(a: Any, b: Any, out: None = None) -> Array:
    """All products of an element of `a` and one of `b`, both flattened: ``(a.size, b.size)``."""
    no_out("outer", out)
    x, y = promote_dtypes("outer", a, b)
    x, y = _flat(x), _flat(y)
    shape = (x.shape[0], y.shape[0])
    return multiply(
        broadcast_in_dim(x, shape=shape, broadcast_dimensions=(0,)),
        broadcast_in_dim(y, shape=shape, broadcast_dimensions=(1,)),
    )


def tensordot(
    a: Any,
    b: Any,
    axes: int | Sequence[int] | Sequence[Sequence[int]] = 2,
    *,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: None = None,
) -> Array:
    """The product that sums over pairs of axes.

    Args:
      a: an array.
      b: an array.
      axes: how many of the last axes of `a` to sum with as many of the first of `b`, or a pair: the
        axis, or the axes, of `a`, and those of `b`.
      precision: as for `dot`.
      preferred_element_type: the dtype to add up in and to return.
      out_sharding: accepted for compatibility; must be None.

    Raises:
      TypeError: `axes` is neither, or the lengths of two axes differ.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.tensordot(jnp.ones((2, 3, 4)), jnp.ones((4, 3)), axes=([1, 2], [1, 0])))
      [12. 12.]
    """
    a, b, dtype = _operands("tensordot", a, b, preferred_element_type)
    numbers = (_tensordot_axes(a, b, axes), ((), ()))
    return _product(a, b, numbers, precision, dtype, preferred_element_type)


def _tensordot_axes(a: Any, b: Any, axes: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    ranks = len(a.shape), len(b.shape)
    if isinstance(axes, (int, np.integer)):
        n = operator.index(axes)
        if not 0 <= n <= min(ranks):
            raise error(
                TypeError,
                f"tensordot cannot sum over {n} axes of these arrays.",
                got=f"axes={n}, shapes {a.shape} and {b.shape}",
                fix=f"use 0 to {min(ranks)}, or name the axes.",
            )
        return tuple(range(ranks[0] - n, ranks[0])), tuple(range(n))
    lists = [
        [x] if isinstance(x, (int, np.integer)) else x
        for x in (axes if isinstance(axes, (tuple, list)) else ())
    ]
    if len(lists) != 2 or not all(isinstance(x, (tuple, list)) for x in lists):
        raise error(
            TypeError,
            "tensordot axes must be an integer, a pair of integers or a pair of lists of integers.",
            got=f"axes={axes!r}",
            fix="for example axes=1, axes=(0, 1) or axes=([1, 2], [0, 1]).",
        )
    if len(lists[0]) != len(lists[1]):
        raise error(
            TypeError,
            "tensordot needs as many axes of the first array as of the second.",
            got=f"axes={axes!r}",
            fix="give the axes in pairs.",
        )
    found = [tuple(axis_number(i, n) for i in x) for x, n in zip(lists, ranks, strict=True)]
    return found[0], found[1]


def trace(
    a: Any,
    offset: int = 0,
    axis1: int = 0,
    axis2: int = 1,
    dtype: Any = None,
    out: None = None,
) -> Array:
    """The sum of diagonal `offset` of the matrices in axes `axis1` and `axis2`."""
    no_out("trace", out)
    return sum_(diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


def kron(a: Any, b: Any) -> Array:
    """The Kronecker product: `b` once for each element of `a`, multiplied by it, side by side."""
    x, y = promote_dtypes("kron", a, b)
    rank = max(len(x.shape), len(y.shape))
    x = reshape(x, new_sizes=(1,) * (rank - len(x.shape)) + x.shape)
    y = reshape(y, new_sizes=(1,) * (rank - len(y.shape)) + y.shape)
    shape = tuple(n for pair in zip(x.shape, y.shape, strict=True) for n in pair)
    product = multiply(
        broadcast_in_dim(x, shape=shape, broadcast_dimensions=tuple(range(0, 2 * rank, 2))),
        broadcast_in_dim(y, shape=shape, broadcast_dimensions=tuple(range(1, 2 * rank, 2))),
    )
    out = tuple(m * n for m, n in zip(x.shape, y.shape, strict=True))
    return reshape(product, new_sizes=out)


def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Array:
    """The cross product of vectors of 2 or 3 numbers; of two vectors of 2 numbers, its last part.

    Args:
      a: an array with vectors along `axisa`.
      b: an array with vectors along `axisb`; the other axes broadcast.
      axisa: the axis of `a`.
      axisb: the axis of `b`.
      axisc: the axis of the result.
      axis: all three of these, if given.

    Raises:
      ValueError: the vectors have another length.
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = promote_dtypes("cross", a, b)
    x, y = _components(x, axisa), _components(y, axisb)
    if len(x) == len(y) == 2:
        return _minor(x, y, 0, 1)
    x, y = (v if len(v) == 3 else [*v, zeros_of(v[0])] for v in (x, y))
    parts = broadcast_together("cross", _minor(x, y, 1, 2), _minor(x, y, 2, 0), _minor(x, y, 0, 1))
    return stack(*parts, axis=axis_number(axisc, len(parts[0].shape) + 1))


def _components(x: Any, axis: int) -> list[Any]:
    i = axis_number(axis, len(x.shape))
    if x.shape[i] not in (2, 3):
        raise error(
            ValueError,
            "cross takes vectors of 2 or 3 numbers.",
            got=f"{type_of(x).str_short()} along axis {axis}",
            fix="choose another axis.",
        )
    return list(unstack(x, axis=i))


def _minor(x: list[Any], y: list[Any], i: int, j: int) -> Any:
    return subtract(multiply(x[i], y[j]), multiply(x[j], y[i]))


# ---- what the products share


def _operands(name: str, a: Any, b: Any, preferred: Any) -> tuple[Any, Any, np.dtype]:
    """Both as arrays, and the dtype of the result."""
    if not isinstance(a, Array):
        a = as_array(a, name)
    if not isinstance(b, Array):
        b = as_array(b, name)
    if preferred is not None:
        return a, b, requested_dtype(preferred, name)
    dtype = a.dtype
    if b.dtype != dtype:
        pair = ((a.dtype, a.weak_type), (b.dtype, b.weak_type))
        dtype, weak = dtypes.promoted(pair, name)
        if weak or a.weak_type or b.weak_type:
            a, b = promote_dtypes(name, a, b)
    return a, b, dtype


def _product(a: Any, b: Any, numbers: Any, precision: Any, dtype: Any, preferred: Any) -> Any:
    if precision is not None:
        precision = canonical_precision(precision)
    out = dot_general(
        a, b, dimension_numbers=numbers, precision=precision, preferred_element_type=dtype
    )
    return out if preferred is None else strong(out)


def _check_summed(name: str, a: Any, b: Any, i: int, j: int) -> None:
    if a.shape[i] != b.shape[j]:
        raise error(
            TypeError,
            f"{name} sums over axis {i} of the first array and axis {j} of the second, which must "
            "have the same length.",
            got=f"{type_of(a).str_short()} and {type_of(b).str_short()}",
            fix="transpose or reshape one of the arrays.",
        )


def _flat(x: Any) -> Any:
    return x if len(x.shape) == 1 else reshape(x, new_sizes=(math.prod(x.shape),))


def _at_least(name: str, operands: tuple[Any, Any], ranks: tuple[int, int]) -> None:
    for x, rank in zip(operands, ranks, strict=True):
        if len(x.shape) < rank:
            raise error(
                ValueError,
                f"{name} needs arrays of at least {ranks[0]} and {ranks[1]} axes.",
                got=" and ".join(type_of(x).str_short() for x in operands),
                fix="reshape the operands, or use matmul.",
            )


# ---- products of arrays whose axes have names


def named_product(
    a: Any, b: Any, names: tuple[str, str, str], precision: Any, dtype: np.dtype
) -> Any:
    """The product of `a` and `b`, whose axes are named by letters, summed to the axes of a third.

    Names are unique in each array. An axis of length 1 stands for any length, so that nothing is
    repeated in memory.
    """
    plan = _pair(a.shape, b.shape, *names)
    a, b = _prepared(a, plan.a_sizes, plan.a_sums), _prepared(b, plan.b_sizes, plan.b_sums)
    if plan.swap:
        a, b = b, a
    out = dot_general(
        a, b, dimension_numbers=plan.numbers, precision=precision, preferred_element_type=dtype
    )
    return out if plan.order is None else permute(out, permutation=plan.order)


class _Pair(NamedTuple):
    a_sizes: tuple[int, ...] | None
    a_sums: tuple[int, ...]
    b_sizes: tuple[int, ...] | None
    b_sums: tuple[int, ...]
    swap: bool
    numbers: Any
    order: tuple[int, ...] | None


@lru_cache(maxsize=4096)
def _pair(a_shape: Shape, b_shape: Shape, a: str, b: str, out: str) -> _Pair:
    sizes = dict(zip(a, a_shape, strict=True)), dict(zip(b, b_shape, strict=True))
    # Axes of length 1 are dropped where the other operand has another length.
    kept_a = "".join(n for n in a if not (sizes[0][n] == 1 != sizes[1].get(n, 1)))
    kept_b = "".join(n for n in b if not (sizes[1][n] == 1 != sizes[0].get(n, 1)))
    sums_a = tuple(i for i, n in enumerate(kept_a) if n not in kept_b and n not in out)
    sums_b = tuple(i for i, n in enumerate(kept_b) if n not in kept_a and n not in out)
    names_a = "".join(n for n in kept_a if n in kept_b or n in out)
    names_b = "".join(n for n in kept_b if n in kept_a or n in out)
    both = [n for n in names_a if n in names_b]
    batch, summed = [n for n in out if n in both], [n for n in both if n not in out]
    free_a = [n for n in names_a if n not in both]
    free_b = [n for n in names_b if n not in both]
    swap = [*batch, *free_b, *free_a] == list(out) != [*batch, *free_a, *free_b]
    first, second = (names_b, names_a) if swap else (names_a, names_b)
    numbers = tuple(
        tuple(tuple(map(side.index, group)) for side in (first, second))
        for group in (summed, batch)
    )
    result = [*batch, *free_b, *free_a] if swap else [*batch, *free_a, *free_b]
    return _Pair(
        tuple(sizes[0][n] for n in kept_a) if kept_a != a else None,
        sums_a,
        tuple(sizes[1][n] for n in kept_b) if kept_b != b else None,
        sums_b,
        swap,
        numbers,
        None if result == list(out) else tuple(result.index(n) for n in out),
    )


def _prepared(x: Any, sizes: Shape | None, sums: tuple[int, ...]) -> Any:
    if sizes is not None:
        x = reshape(x, new_sizes=sizes)
    return summed(x, sums) if sums else x


def summed(x: Any, axes: tuple[int, ...]) -> Any:
    """The sum over `axes`; of bools, whether any is True."""
    return reduce_or(x, axes=axes) if x.dtype == dtypes.bool_ else reduce_sum(x, axes=axes)


def _stacked_product(
    name: str,
    a: Any,
    b: Any,
    cores: tuple[str, str, str],
    precision: Any,
    dtype: Any,
    preferred: Any,
) -> Any:
    """The product of the last axes of each operand, named by `cores`; the axes before broadcast."""
    before = a.shape[: len(a.shape) - len(cores[0])], b.shape[: len(b.shape) - len(cores[1])]
    _check_stacks(name, a, b, before)
    rank = max(map(len, before))
    letters = "".join(map(chr, range(rank)))  # no core is named by these
    names = (
        letters[rank - len(before[0]) :] + cores[0],
        letters[rank - len(before[1]) :] + cores[1],
        letters + cores[2],
    )
    if precision is not None:
        precision = canonical_precision(precision)
    out = named_product(a, b, names, precision, dtype)
    return out if preferred is None else strong(out)


def _check_stacks(name: str, a: Any, b: Any, stacks: tuple[Shape, Shape]) -> None:
    for m, n in zip(reversed(stacks[0]), reversed(stacks[1]), strict=False):
        if m != n and 1 not in (m, n):
            raise error(
                ValueError,
                f"{name} got stacks of shapes {stacks[0]} and {stacks[1]}, which do not broadcast.",
                got=f"{type_of(a).str_short()} and {type_of(b).str_short()}",
                fix="make the lengths of these axes equal, or 1.",
            )
