"""Reductions over axes: products, extrema and their places, logical ones, and any function's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import ml_dtypes
import numpy as np

from ..core import dtypes
from ..core.array import HostArray
from ..core.errors import error
from ..core.primitive import CORE, NOT_LINEAR, Primitive
from ..core.program import Program
from ..core.types import ArrayType, array_type
from .comparison import eq
from .cumulative import cumprod
from .elementwise import (
    BITS,
    INEXACT,
    NUMBER,
    REAL,
    add,
    complex_,
    conj,
    convert_element_type,
    div,
    imag,
    like,
    mul,
    real,
    select_n,
)
from .functions import sqrt, square
from .slicing import concatenate, slice_along
from .structural import broadcast_in_dim, reduce_sum, reshape, transpose, zeros_of
from .summing import add_up


class Reduction(Primitive, family=True):
    """One result for each place along the axes that are not in `axes`."""

    takes: ClassVar[str] = NUMBER

    def typing(self, x: Any, *, axes: Any) -> ArrayType:
        return array_type(reduced_shape(self, x, axes), x.dtype, x.weak_type)

    def vmap(self, size: int, args: Any, mapped: Any, *, axes: Any, **params: Any) -> Any:
        (at,) = mapped
        shifted = tuple(i + (i >= at) for i in axes)
        out = at - sum(i < at for i in shifted)
        return self(args[0], axes=shifted, **params), out

    transpose: Any = NOT_LINEAR
    lower: Any = CORE


def reduced_shape(op: Any, x: Any, axes: Any) -> tuple[int, ...]:
    """The shape of `x` without `axes`, which are checked, as is its dtype."""
    if dtypes.kind(x.dtype) not in op.takes:
        raise error(
            TypeError,
            f"{op.name} does not take {dtypes.long_name(x.dtype)} arrays.",
            got=x.str_short(),
            fix="convert with .astype(...).",
        )
    rank = len(x.shape)
    if len(set(axes)) != len(axes) or not all(0 <= i < rank for i in axes):
        raise error(
            ValueError,
            f"{op.name} needs axes that exist, each at most once.",
            got=f"axes {tuple(axes)} of {x.str_short()}",
            fix=f"give axes from 0 to {rank - 1}." if rank else "a scalar has no axes: give ().",
        )
    return tuple(n for i, n in enumerate(x.shape) if i not in axes)


def _kept(rank: int, axes: Any) -> tuple[int, ...]:
    return tuple(i for i in range(rank) if i not in axes)


def _reduced_size(x: Any, axes: Any) -> int:
    return math.prod([x.shape[i] for i in axes])


class ReduceProd(Reduction):
    """The product over `axes`."""

    identity = True

    def eval(self, x: Any, *, axes: Any) -> Any:
        dtype = x.dtype
        if not axes:  # NumPy's product begins with 1, which times 0 + inf i is nan + inf i
            return x
        if dtype.char in "fdFDilqILQ":
            return np.multiply.reduce(x, axes, dtype)
        # Half-width floats are multiplied in float32, as XLA does; small integers wrap around.
        inner = np.float32 if dtypes.kind(dtype) == "f" else np.int64
        return np.multiply.reduce(x, axes, inner).astype(dtype)

    def jvp(self, primals: Any, tangents: Any, out: Any, *, axes: Any) -> Any:
        # d prod(x) = sum_i dx_i prod_{j != i} x_j. The products of all others are those before i
        # times those after i: nothing is divided by, so zeros need no care.
        x, dx = _in_one_axis(primals[0], axes), _in_one_axis(tangents[0], axes)
        last, n = x.ndim - 1, x.shape[-1]
        if n == 0:
            return None
        if n > 1:
            one = HostArray(x.dtype.type(1), x.weak_type)
            ones = broadcast_in_dim(one, shape=(*x.shape[:-1], 1), broadcast_dimensions=())
            before = concatenate(ones, slice_along(x, last, 0, n - 1), dimension=last)
            after = concatenate(slice_along(x, last, 1, n), ones, dimension=last)
            others = mul(
                cumprod(before, axis=last, reverse=False), cumprod(after, axis=last, reverse=True)
            )
            dx = mul(dx, others)
        return reduce_sum(dx, axes=(last,))


reduce_prod = ReduceProd()


def _in_one_axis(x: Any, axes: Any) -> Any:
    """`x` with `axes` merged into one, the last."""
    kept = _kept(len(x.shape), axes)
    order = (*kept, *axes)
    shape = (*(x.shape[i] for i in kept), math.prod([x.shape[i] for i in axes]))
    if order != tuple(range(len(order))):
        x = transpose(x, permutation=order)
    return x if x.shape == shape else reshape(x, new_sizes=shape)


class Extremum(Reduction, family=True):
    """The largest or smallest: NaN where there is one. Those that tie share the derivative."""

    identity = True

    takes = NUMBER + "b"
    ufunc: ClassVar[Any]
    limit: ClassVar[str]
    """Which limit of the dtype is the result over no elements."""

    def eval(self, x: Any, *, axes: Any) -> Any:
        if x.size == 0 and _reduced_size(x, axes) == 0:
            return np.full(
                [n for i, n in enumerate(x.shape) if i not in axes],
                extreme_value(x.dtype, self.limit),
                x.dtype,
            )
        out = self.ufunc.reduce(x, axes)
        return out if out.dtype == x.dtype else out.astype(x.dtype)

    def jvp(self, primals: Any, tangents: Any, out: Any, *, axes: Any) -> Any:
        (x,), (dx,) = primals, tangents
        if _reduced_size(x, axes) == 0:
            return None
        kept = _kept(len(x.shape), axes)
        wide = broadcast_in_dim(out, shape=x.shape, broadcast_dimensions=kept)
        chosen = convert_element_type(eq(x, wide), new_dtype=x.dtype, weak_type=True)
        count = reduce_sum(chosen, axes=axes)
        # A result of NaN equals no element: 0/0 makes its tangent NaN.
        share = div(chosen, broadcast_in_dim(count, shape=x.shape, broadcast_dimensions=kept))
        return reduce_sum(mul(dx, share), axes=axes)


def extreme_value(dtype: np.dtype, limit: str) -> Any:
    """The smallest (`limit="min"`) or largest ("max") value of a dtype; infinite for floats."""
    kind = dtypes.kind(dtype)
    if kind == "b":
        return np.bool_(limit == "max")
    if kind in "iu":
        return dtype.type(getattr(ml_dtypes.iinfo(dtype), limit))
    infinite = -np.inf if limit == "min" else np.inf
    if kind == "c":
        return dtype.type(complex(infinite, infinite))
    value = dtype.type(infinite)
    return value if np.isinf(value) else dtype.type(getattr(ml_dtypes.finfo(dtype), limit))


class ReduceMax(Extremum):
    """The largest over `axes`; of complex numbers, by real part and then imaginary part"""

    ufunc, limit = np.maximum, "min"


reduce_max = ReduceMax()


class ReduceMin(Extremum):
    """The smallest over `axes`; of complex numbers, by real part and then imaginary part"""

    ufunc, limit = np.minimum, "max"


reduce_min = ReduceMin()


class EuclideanNorm(Reduction):
    """sqrt(sum(|x|^2)) over `axes`, with no overflow inside; its derivative is 0 where it is 0."""

    takes = INEXACT

    def typing(self, x: Any, *, axes: Any) -> ArrayType:
        return array_type(reduced_shape(self, x, axes), dtypes.real_dtype(x.dtype), x.weak_type)

    def eval(self, x: Any, *, axes: Any) -> Any:
        dtype = dtypes.real_dtype(x.dtype)
        if x.dtype.kind == "c":
            x = np.hypot(x.real, x.imag)
        if dtype.char != "d":  # no square of a shorter float overflows in float64
            return _root_of_squares(x.astype(np.float64), axes).astype(dtype)
        out = _root_of_squares(x, axes)
        if np.all((out > 1e-140) & (out < 1e140)):
            return out
        largest = np.max(np.abs(x), axis=axes, keepdims=True, initial=0.0)
        scale = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
        return _root_of_squares(x / scale, axes) * scale.reshape(out.shape)

    def jvp(self, primals: Any, tangents: Any, out: Any, *, axes: Any) -> Any:
        # d|x| = Re(conj(x) dx) / |x|, and 0 where |x| = 0: the middle of all subgradients.
        (x,), (dx,) = primals, tangents
        kept = _kept(len(x.shape), axes)
        zero = eq(out, like(out, 0))
        one = broadcast_in_dim(like(out, 1), shape=out.shape, broadcast_dimensions=())
        length = broadcast_in_dim(
            select_n(zero, out, one), shape=x.shape, broadcast_dimensions=kept
        )
        if x.dtype.kind == "c":
            direction = conj(div(x, complex_(length, zeros_of(length))), input_dtype=x.dtype)
            change = real(mul(direction, dx))
        else:
            change = mul(div(x, length), dx)
        change = reduce_sum(change, axes=axes)
        return select_n(zero, change, zeros_of(change))

    def lower(self, x: Any, *, axes: Any) -> Any:
        if x.dtype.kind == "c":
            squares = add(square(real(x)), square(imag(x)))
        else:
            squares = square(x)
        return sqrt(reduce_sum(squares, axes=axes))


euclidean_norm = EuclideanNorm()


def _root_of_squares(x: Any, axes: Any) -> Any:
    if len(axes) == x.ndim and x.flags.c_contiguous:
        flat = x.reshape(-1)
        return np.sqrt(flat.dot(flat))
    return np.sqrt(add_up(np.square(x), axes))


# ---- reductions without derivatives


class Place(Reduction, family=True):
    """The index of the first largest or smallest along the one axis in `axes`; NaN before all."""

    takes = REAL
    weak_from = ()
    find: ClassVar[Any]

    def typing(  # type: ignore[override]
        self, x: Any, *, axes: Any, index_dtype: Any
    ) -> ArrayType:
        shape = reduced_shape(self, x, axes)
        if len(axes) != 1 or x.shape[axes[0]] == 0:
            raise error(
                ValueError,
                f"attempt to get {self.name} of an empty sequence."
                if len(axes) == 1
                else f"{self.name} looks along one axis.",
                got=f"{x.str_short()} and axes {tuple(axes)}",
                fix="give one axis that has elements.",
            )
        if dtypes.kind(index_dtype) not in "iu":
            raise error(
                TypeError,
                f"{self.name} gives integers, so its index_dtype must be one of theirs.",
                got=f"index_dtype={dtypes.long_name(index_dtype)}",
                fix="use jnp.int32.",
            )
        return array_type(shape, index_dtype, False)

    def eval(self, x: Any, *, axes: Any, index_dtype: Any) -> Any:
        return type(self).find(x, axes[0]).astype(index_dtype)

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> None:
        return None


class Argmax(Place):
    """The index of the first largest"""

    find = staticmethod(np.argmax)


argmax = Argmax()


class Argmin(Place):
    """The index of the first smallest"""

    find = staticmethod(np.argmin)


argmin = Argmin()


class Logical(Reduction, family=True):
    """Of bools, or of the bits of integers."""

    identity = True

    takes = BITS
    weak_from = ()
    ufunc: ClassVar[Any]

    def typing(self, x: Any, *, axes: Any) -> ArrayType:
        return array_type(reduced_shape(self, x, axes), x.dtype, False)

    def eval(self, x: Any, *, axes: Any) -> Any:
        return self.ufunc.reduce(x, axes, x.dtype)

    def jvp(self, primals: Any, tangents: Any, out: Any, *, axes: Any) -> None:
        return None


class ReduceAnd(Logical):
    """Whether all are true; all bits that are set everywhere"""

    ufunc = np.bitwise_and


reduce_and = ReduceAnd()


class ReduceOr(Logical):
    """Whether any is true; all bits that are set somewhere"""

    ufunc = np.bitwise_or


reduce_or = ReduceOr()


class ReduceXor(Logical):
    """Whether an odd number is true; all bits that are set an odd number of times"""

    ufunc = np.bitwise_xor


reduce_xor = ReduceXor()


# ---- reduction by any function of two elements

MONOIDS: dict[str, Any] = {
    "add": reduce_sum,
    "mul": reduce_prod,
    "max": reduce_max,
    "min": reduce_min,
    "and": reduce_and,
    "or": reduce_or,
    "xor": reduce_xor,
}
"""The reduction that an operation on two elements makes, by the operation's name."""


def monoid_of(program: Program) -> Any:
    """The reduction that repeats `program`, a function of two scalars; None if there is none."""
    if len(program.eqns) != 1 or len(program.invars) != 2 or len(program.outvars) != 1:
        return None
    (equation,) = program.eqns
    if set(equation.invars) != set(program.invars) or equation.outvars != program.outvars:
        return None
    return MONOIDS.get(equation.primitive.name)


def reduce_by_tree(
    combine: Callable[[list[Any], list[Any]], Sequence[Any]],
    operands: Sequence[Any],
    initial: Sequence[Any],
    axes: tuple[int, ...],
) -> list[Any]:
    """Neighbours combined, then neighbours of the results, and so on; the initial values last.

    `combine` takes two lists of arrays and works element by element (a scalar function under
    `vmap`). It must be associative, as in XLA; it need not be commutative.
    """
    xs = [_in_one_axis(x, axes) for x in operands]
    last, n = xs[0].ndim - 1, xs[0].shape[-1]
    shape = xs[0].shape[:-1]
    start = [broadcast_in_dim(v, shape=shape, broadcast_dimensions=()) for v in initial]
    if n == 0:
        return start
    while n > 1:
        even = 2 * (n // 2)
        left = [slice_along(x, last, 0, even, 2) for x in xs]
        right = [slice_along(x, last, 1, even, 2) for x in xs]
        paired = combine(left, right)
        if n % 2:
            rest = [slice_along(x, last, n - 1, n) for x in xs]
            paired = [concatenate(p, r, dimension=last) for p, r in zip(paired, rest, strict=True)]
        xs, n = list(paired), (n + 1) // 2
    return list(combine(start, [reshape(x, new_sizes=shape) for x in xs]))
