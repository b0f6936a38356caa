"""The one contraction, dot_general: multiply two arrays and sum over pairs of their axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import ml_dtypes
import numpy as np

from ..core import dtypes
from ..core.errors import error
from ..core.primitive import CORE, NOT_LINEAR, Linear, Primitive
from ..core.types import ArrayType, array_type
from .elementwise import add_any, convert_element_type
from .structural import transpose as permute


class DotGeneral(Primitive):
    """`dimension_numbers` is ((x_contract, y_contract), (x_batch, y_batch)), each a tuple of axes.

    The result's axes are those of the batch, then the free ones of `x`, then the free ones of `y`.
    """

    def typing(
        self,
        x: Any,
        y: Any,
        *,
        dimension_numbers: Any,
        precision: Any = None,
        preferred_element_type: Any = None,
    ) -> ArrayType:
        (x_sum, y_sum), (x_batch, y_batch) = dimension_numbers
        _check_axes("lhs", x, x_sum, x_batch)
        _check_axes("rhs", y, y_sum, y_batch)
        _check_lengths("contracted", x, x_sum, y, y_sum)
        _check_lengths("batch", x, x_batch, y, y_batch)
        shape = (
            *(x.shape[i] for i in x_batch),
            *(x.shape[i] for i in free_axes(len(x.shape), x_sum, x_batch)),
            *(y.shape[i] for i in free_axes(len(y.shape), y_sum, y_batch)),
        )
        dtype = _result_dtype(x.dtype, y.dtype, preferred_element_type)
        return array_type(shape, dtype, x.weak_type and y.weak_type)

    def eval(
        self,
        x: Any,
        y: Any,
        *,
        dimension_numbers: Any,
        precision: Any = None,
        preferred_element_type: Any = None,
    ) -> Any:
        key = (dimension_numbers, x.ndim, y.ndim)
        plan = _PLANS.get(key)
        if plan is None:
            plan = _PLANS[key] = _make_plan(*key)
        dtype = x.dtype
        if (
            dtype.char in "fdFD"
            and y.dtype == dtype
            and (preferred_element_type is None or preferred_element_type == dtype)
        ):
            return plan(x, y)
        return _in_other_dtype(plan, x, y, preferred_element_type)

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
        (x, y), (dx, dy) = primals, tangents
        if dy is None:
            return dot_general(dx, y, **params)
        if dx is None:
            return dot_general(x, dy, **params)
        return add_any(dot_general(dx, y, **params), dot_general(x, dy, **params))

    def transpose(
        self,
        ct: Any,
        x: Any,
        y: Any,
        *,
        dimension_numbers: Any,
        precision: Any = None,
        preferred_element_type: Any = None,
    ) -> list[Any]:
        if type(x) is Linear:
            if type(y) is Linear:
                return NOT_LINEAR(ct, x, y)  # type: ignore[no-any-return]
            return [_transposed(ct, x, y, dimension_numbers, False, precision), None]
        return [None, _transposed(ct, y, x, dimension_numbers, True, precision)]

    def vmap(
        self, size: int, args: Any, axes: Any, *, dimension_numbers: Any, **params: Any
    ) -> Any:
        (x, y), (x_at, y_at) = args, axes
        numbers, out = _batched_numbers(dimension_numbers, len(x.shape), len(y.shape), x_at, y_at)
        return dot_general(x, y, dimension_numbers=numbers, **params), out

    lower = CORE

    def shown(self, params: dict[str, Any]) -> dict[str, Any]:
        """The parameters as programs print them: axes as lists, nothing that is not set."""
        shown = {name: value for name, value in params.items() if value is not None}
        shown["dimension_numbers"] = tuple(
            tuple(list(axes) for axes in pair) for pair in params["dimension_numbers"]
        )
        return shown


dot_general = DotGeneral()


@lru_cache(maxsize=4096)
def _batched_numbers(
    dimension_numbers: Any, x_rank: int, y_rank: int, x_at: int | None, y_at: int | None
) -> tuple[Any, int]:
    """The dimension numbers of a product with mapped axes, and the mapped axis of its result."""
    (x_sum, y_sum), (x_batch, y_batch) = dimension_numbers
    # An axis mapped in one operand only is a free axis of it: one larger product, no copies.
    x_sum, x_batch = _shift(x_sum, x_at), _shift(x_batch, x_at)
    y_sum, y_batch = _shift(y_sum, y_at), _shift(y_batch, y_at)
    out = len(x_batch)
    if x_at is not None and y_at is not None:
        x_batch, y_batch, out = (x_at, *x_batch), (y_at, *y_batch), 0
    elif x_at is not None:
        out += free_axes(x_rank, x_sum, x_batch).index(x_at)
    else:
        out += x_rank - len(x_sum) - len(x_batch)
        out += free_axes(y_rank, y_sum, y_batch).index(y_at)
    return ((x_sum, y_sum), (x_batch, y_batch)), out


def _shift(axes: Any, at: int | None) -> Any:
    return axes if at is None else tuple(i + (i >= at) for i in axes)


def free_axes(rank: int, contract: Any, batch: Any) -> tuple[int, ...]:
    """The axes that are neither contracted nor batch axes."""
    return tuple(i for i in range(rank) if i not in contract and i not in batch)


def matmul(x: Any, y: Any) -> Any:
    """The product of matrices in the last two axes; the axes before are equal in both."""
    rank = len(x.shape)
    batch = tuple(range(rank - 2))
    numbers = (((rank - 1,), (rank - 2,)), (batch, batch))
    return dot_general(x, y, dimension_numbers=numbers, precision=None, preferred_element_type=None)


# ---- typing


def _check_axes(side: str, t: Any, contract: Any, batch: Any) -> None:
    axes = (*contract, *batch)
    if all(0 <= i < len(t.shape) for i in axes) and len(set(axes)) == len(axes):
        return
    raise error(
        TypeError,
        f"dot_general: each axis of {side} may be named once, as contracted or as batch, and must "
        "exist.",
        got=f"contracted axes {tuple(contract)} and batch axes {tuple(batch)} of {t.str_short()}",
        fix=f"give different axes from 0 to {len(t.shape) - 1}.",
    )


def _check_lengths(role: str, x: Any, x_axes: Any, y: Any, y_axes: Any) -> None:
    if len(x_axes) != len(y_axes):
        raise error(
            TypeError,
            f"dot_general needs as many {role} axes of lhs as of rhs.",
            got=f"axes {tuple(x_axes)} of {x.str_short()} and {tuple(y_axes)} of {y.str_short()}",
            fix="give the axes in pairs.",
        )
    for i, j in zip(x_axes, y_axes, strict=True):
        if x.shape[i] != y.shape[j]:
            raise error(
                TypeError,
                f"a product needs {role} axes of the same length: axis {i} of the first array has "
                f"length {x.shape[i]}, axis {j} of the second has {y.shape[j]}.",
                got=f"{x.str_short()} and {y.str_short()}",
                fix="transpose or reshape one of the arrays.",
            )


@lru_cache(maxsize=1024)
def _result_dtype(x: np.dtype, y: np.dtype, preferred: np.dtype | None) -> np.dtype:
    for dtype in (x, y):
        if dtypes.kind(dtype) not in "biufc":
            raise error(
                TypeError,
                f"dot_general does not take {dtypes.long_name(dtype)} arrays.",
                got=f"{dtypes.long_name(x)} and {dtypes.long_name(y)}",
                fix="it takes numbers and booleans.",
            )
    rank_x, rank_y = _rank(x), _rank(y)
    if rank_x == rank_y and x != y:
        raise error(
            TypeError,
            "these two dtypes cannot be multiplied with each other.",
            got=f"{x.name} and {y.name}",
            fix="convert one of them with .astype(...).",
        )
    wider = y if rank_y > rank_x else x
    if preferred is None or preferred == wider:
        return wider
    narrower = dtypes.kind(wider) != "f" and _bits(preferred) < _bits(wider)
    if narrower or (dtypes.kind(wider) == "c" and dtypes.kind(preferred) != "c"):
        raise error(
            TypeError,
            f"preferred_element_type cannot hold the products: {preferred.name} for {wider.name}.",
            got=f"{x.name} and {y.name}, preferred_element_type={preferred.name}",
            fix="give a type of the same kind that is as wide, or leave it out.",
        )
    return preferred


def _rank(dtype: np.dtype) -> tuple[Any, ...]:
    """The order of dtypes by which the wider operand decides, as XLA has it."""
    part = dtypes.real_dtype(dtype)
    is_float = dtypes.kind(part) == "f"
    limits = ml_dtypes.finfo(part) if is_float else None
    return (
        dtypes.kind(dtype) == "c",
        int(limits.maxexp) if limits else -1,
        int(limits.nmant) if limits else -1,
        _bits(part),
        dtypes.kind(part) != "u",
    )


def _bits(dtype: np.dtype) -> int:
    kind = dtypes.kind(dtype)
    if kind == "b":
        return 1
    if kind in "iu":
        return int(ml_dtypes.iinfo(dtype).bits)
    return int(ml_dtypes.finfo(dtypes.real_dtype(dtype)).bits)


# ---- transpose


def _transposed(ct: Any, x: Any, y: Any, numbers: Any, second: bool, precision: Any) -> Any:
    """The cotangent of the linear operand `x`, which is the `second` or the first; y is known."""
    ct_first, numbers, permutation = _transposed_numbers(
        numbers, len(x.shape), len(y.shape), second
    )
    operands = (ct, y) if ct_first else (y, ct)
    out = dot_general(
        *operands, dimension_numbers=numbers, precision=precision, preferred_element_type=ct.dtype
    )
    if permutation is not None:
        out = permute(out, permutation=permutation)
    if out.dtype != x.dtype:
        out = convert_element_type(out, new_dtype=x.dtype, weak_type=x.aval.weak_type)
    return out


@lru_cache(maxsize=4096)
def _transposed_numbers(
    dimension_numbers: Any, x_rank: int, y_rank: int, second: bool
) -> tuple[bool, Any, tuple[int, ...] | None]:
    """Whether ct comes first in the transposed product; its dimension numbers; a permutation."""
    # The product of ct with the known operand y, contracted over y's free axes (in ct: `summed`),
    # has the batch axes, then, in the order of the operands, x's free axes (from ct) and x's
    # contracted ones (from y). That order is chosen which needs no permutation afterwards.
    (x_sum, y_sum), (x_batch, y_batch) = dimension_numbers
    if second:
        x_sum, y_sum, x_batch, y_batch = y_sum, x_sum, y_batch, x_batch
    n = len(x_batch)
    batch = tuple(range(n))
    x_free, y_free = free_axes(x_rank, x_sum, x_batch), free_axes(y_rank, y_sum, y_batch)
    first = n if second else n + len(x_free)
    summed = tuple(range(first, first + len(y_free)))
    x_sum_in_order_of_y = tuple(i for _, i in sorted(zip(y_sum, x_sum, strict=True)))
    ct_last = (*x_batch, *x_sum_in_order_of_y, *x_free)
    if ct_last == tuple(range(x_rank)) and x_free:
        return False, ((y_free, summed), (y_batch, batch)), None
    order = (*x_batch, *x_free, *x_sum_in_order_of_y)
    permutation = None
    if order != tuple(range(x_rank)):
        permutation = tuple(order.index(i) for i in range(x_rank))
    return True, ((summed, y_free), (batch, y_batch)), permutation


# ---- eval: a plan for each pattern of axes, made once

Plan = Callable[[Any, Any], Any]
_PLANS: dict[Any, Plan] = {}


def _make_plan(dimension_numbers: Any, x_rank: int, y_rank: int) -> Plan:
    (x_sum, y_sum), (x_batch, y_batch) = dimension_numbers
    if len(x_sum) == 1 and not x_batch and x_rank <= 2 and y_rank <= 2:
        return _small_plan(x_rank == 2 and x_sum[0] == 0, y_rank == 2 and y_sum[0] == 1)
    if x_sum == y_sum and len(x_sum) == x_rank == y_rank and x_rank:
        return lambda x, y: x.ravel().dot(y.ravel())  # every axis with its own counterpart
    if not x_sum and 0 in (x_rank, y_rank):
        return lambda x, y: x * y
    if not x_sum:
        return _outer_plan(x_batch, y_batch, x_rank, y_rank)
    if x_batch:
        return _stacked_plan(dimension_numbers, x_rank, y_rank)
    return _merged_plan(x_sum, y_sum, x_rank, y_rank)


def _small_plan(flip_x: bool, flip_y: bool) -> Plan:
    # BLAS reads a transposed matrix in place. The method costs 0.25 us, np.dot 0.45, @ 0.7. With
    # one number it multiplies as a scalar, and then takes 0 times inf to be 0.
    if flip_x and flip_y:
        return lambda x, y: x.T.dot(y.T) if x.size != 1 != y.size else np.matmul(x.T, y.T)
    if flip_x:
        return lambda x, y: x.T.dot(y) if x.size != 1 != y.size else np.matmul(x.T, y)
    if flip_y:
        return lambda x, y: x.dot(y.T) if x.size != 1 != y.size else np.matmul(x, y.T)
    return lambda x, y: x.dot(y) if x.size != 1 != y.size else np.matmul(x, y)


def _outer_plan(x_batch: Any, y_batch: Any, x_rank: int, y_rank: int) -> Plan:
    x_order = (*x_batch, *free_axes(x_rank, (), x_batch))
    y_order = (*y_batch, *free_axes(y_rank, (), y_batch))
    n = len(x_batch)
    ones_x, ones_y = (1,) * (y_rank - n), (1,) * (x_rank - n)

    def plan(x: Any, y: Any) -> Any:
        x, y = _permuted(x, x_order), _permuted(y, y_order)
        wide = y.shape
        return x.reshape(x.shape + ones_x) * y.reshape(wide[:n] + ones_y + wide[n:])

    return plan


def _merged_plan(x_sum: Any, y_sum: Any, x_rank: int, y_rank: int) -> Plan:
    # As two matrices. The pairs of contracted axes may come in any order: that is taken in which
    # more of the operands are a matrix, or a transposed one, as they lie in memory.
    options = []
    for pairs in (sorted(zip(x_sum, y_sum)), sorted(zip(x_sum, y_sum), key=lambda p: p[1])):
        x_axes, y_axes = zip(*pairs)
        x_way, y_way = _as_matrix(x_rank, x_axes), _as_matrix(y_rank, y_axes)
        options.append(((x_way[0] is not None) + (y_way[0] is not None), x_way, y_way))
    _, (x_order, x_flip), (y_order, y_flip) = min(options, key=lambda o: o[0])
    x_free, y_free = free_axes(x_rank, x_sum, ()), free_axes(y_rank, y_sum, ())

    def plan(x: Any, y: Any) -> Any:
        x_sizes, y_sizes = [x.shape[i] for i in x_free], [y.shape[i] for i in y_free]
        k = math.prod([x.shape[i] for i in x_sum])
        m, n = math.prod(x_sizes), math.prod(y_sizes)
        a, b = _as_rows(x, x_order, x_flip, m, k), _as_rows(y, y_order, y_flip, n, k)
        # A side without free axes is a vector, not a matrix of one row: BLAS is faster with it.
        a, b = a if x_free else a.reshape(k), b.T if y_free else b.reshape(k)
        return a.dot(b).reshape((*x_sizes, *y_sizes))

    return plan


def _as_matrix(rank: int, contract: tuple[int, ...]) -> tuple[tuple[int, ...] | None, bool]:
    """The permutation to (free, contracted) axes, None if none is needed; whether to flip it."""
    free = free_axes(rank, contract, ())
    in_place = tuple(range(rank))
    if (*free, *contract) == in_place:
        return None, False
    if (*contract, *free) == in_place:
        return None, True
    return (*free, *contract), False


def _as_rows(x: Any, order: Any, flip: bool, free: int, contracted: int) -> Any:
    if order is not None:
        x = x.transpose(order)
    return x.reshape(contracted, free).T if flip else x.reshape(free, contracted)


def _stacked_plan(dimension_numbers: Any, x_rank: int, y_rank: int) -> Plan:
    (x_sum, y_sum), (x_batch, y_batch) = dimension_numbers
    n = len(x_batch)
    x_free = free_axes(x_rank, x_sum, x_batch)
    y_free = free_axes(y_rank, y_sum, y_batch)
    x_order, y_order = (*x_batch, *x_free, *x_sum), (*y_batch, *y_sum, *y_free)
    many_x, many_y = len(x_free), len(y_free)
    plain = len(x_sum) == many_x == many_y == 1

    def plan(x: Any, y: Any) -> Any:
        x, y = _permuted(x, x_order), _permuted(y, y_order)
        if plain:
            return np.matmul(x, y)
        batch = x.shape[:n]
        k = math.prod(x.shape[n + many_x :])
        if not many_x and not many_y:
            # vecdot conjugates its first operand.
            x, y = x.reshape(*batch, k), y.reshape(*batch, k)
            return np.vecdot(np.conjugate(x) if x.dtype.kind == "c" else x, y)
        x_shape, y_shape = x.shape[n : n + many_x], y.shape[y.ndim - many_y :] if many_y else ()
        x = x.reshape(*batch, math.prod(x_shape), k)
        y = y.reshape(*batch, k, math.prod(y_shape))
        return np.matmul(x, y).reshape(*batch, *x_shape, *y_shape)

    return plan


def _permuted(x: Any, order: tuple[int, ...]) -> Any:
    return x if order == tuple(range(len(order))) else x.transpose(order)


# ---- eval in the dtypes that BLAS does not know

_EXACT_IN_DOUBLE = 2**53
_WORTH_A_SCAN = 20_000
"""From this `x.size * y.size` on, BLAS in float64 beats NumPy's loop, scans for maxima included."""


def _in_other_dtype(plan: Plan, x: Any, y: Any, preferred: np.dtype | None) -> Any:
    dtype = _result_dtype(x.dtype, y.dtype, preferred)
    kind = dtypes.kind(dtype)
    if kind in "iu":
        return _of_integers(plan, x, y, dtype)
    if kind == "b":
        # Sums of non-negative floats are never rounded to zero.
        return plan(x.astype(np.float32), y.astype(np.float32)) != 0
    inner = _inner_dtype(x.dtype, y.dtype, dtype)
    out = plan(x.astype(inner, copy=False), y.astype(inner, copy=False))
    return out if out.dtype == dtype else out.astype(dtype)


@lru_cache(maxsize=1024)
def _inner_dtype(x: np.dtype, y: np.dtype, out: np.dtype) -> np.dtype:
    """The BLAS dtype to multiply and add in: float32 for shorter floats, as XLA does."""
    wide = (dtypes.real_dtype(out), *(dtypes.real_dtype(d) for d in (x, y)))
    double = any(dtypes.kind(d) == "f" and d.itemsize == 8 for d in wide)
    if dtypes.kind(out) == "c":
        return dtypes.complex128 if double else dtypes.complex64
    return dtypes.float64 if double else dtypes.float32


def _of_integers(plan: Plan, x: Any, y: Any, dtype: np.dtype) -> Any:
    # Integers wrap around, as in XLA. Where all partial sums are exact in float64, BLAS is used:
    # NumPy's own loop for integers is 20 times slower at 300x300.
    if x.size * y.size > _WORTH_A_SCAN and fits_in_double(x, y, x.size):
        wide = plan(x.astype(np.float64), y.astype(np.float64))
        return wide.astype(np.int64).astype(dtype)
    native = dtype if dtype.kind in "iu" else np.dtype(np.int32)
    out = plan(x.astype(native, copy=False), y.astype(native, copy=False))
    return out if out.dtype == dtype else out.astype(dtype)


def fits_in_double(x: Any, y: Any, terms: int) -> bool:
    """Whether sums of so many products of integers of `x` and `y` are exact in float64."""
    return _bound(x) * _bound(y) * terms < _EXACT_IN_DOUBLE


def _bound(x: Any) -> int:
    if x.size == 0:
        return 0
    return max(abs(int(x.max())), abs(int(x.min())))
