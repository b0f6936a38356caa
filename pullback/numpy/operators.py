"""The operators of arrays, and their methods: installed on Array, which knows no operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..core.trace import type_of
from ..ops.elementwise import convert_element_type
from ..ops.stacking import unstack
from .arithmetic import (
    absolute,
    add,
    divmod,
    floor_divide,
    multiply,
    negative,
    power,
    remainder,
    subtract,
    true_divide,
)
from .contraction import matmul
from .floats import round
from .indexing import getitem
from .logic import (
    bitwise_and,
    bitwise_or,
    bitwise_xor,
    equal,
    greater,
    greater_equal,
    invert,
    left_shift,
    less,
    less_equal,
    not_equal,
    right_shift,
)
from .methods import Methods
from .promotion import as_array
from .reductions import any as any_

_OPERANDS = (Array, int, float, complex, np.ndarray, np.generic)
_CONTAINERS = (list, tuple, dict, set)


class Operators:
    """The operators. What is no operand gives NotImplemented, so that its own operator is asked."""

    def __add__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return add(self, other)
        return _foreign(add, "+", self, other)

    def __radd__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return add(other, self)
        return _foreign_left(add, "+", other, self)

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return subtract(self, other)
        return _foreign(subtract, "", self, other)

    def __rsub__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return subtract(other, self)
        return _foreign_left(subtract, "", other, self)

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return multiply(self, other)
        return _foreign(multiply, "*", self, other)

    def __rmul__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return multiply(other, self)
        return _foreign_left(multiply, "*", other, self)

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return true_divide(self, other)
        return _foreign(true_divide, "", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return true_divide(other, self)
        return _foreign_left(true_divide, "", other, self)

    def __floordiv__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return floor_divide(self, other)
        return _foreign(floor_divide, "", self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return floor_divide(other, self)
        return _foreign_left(floor_divide, "", other, self)

    def __mod__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return remainder(self, other)
        return _foreign(remainder, "", self, other)

    def __rmod__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return remainder(other, self)
        return _foreign_left(remainder, "", other, self)

    def __divmod__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return divmod(self, other)
        return _foreign(divmod, "", self, other)

    def __rdivmod__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return divmod(other, self)
        return _foreign_left(divmod, "", other, self)

    def __pow__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return power(self, other)
        return _foreign(power, "", self, other)

    def __rpow__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return power(other, self)
        return _foreign_left(power, "", other, self)

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return matmul(self, other)
        return _foreign(matmul, "", self, other)

    def __rmatmul__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return matmul(other, self)
        return _foreign_left(matmul, "", other, self)

    # ---- bits

    def __and__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return bitwise_and(self, other)
        return _foreign(bitwise_and, "", self, other)

    def __rand__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return bitwise_and(other, self)
        return _foreign_left(bitwise_and, "", other, self)

    def __or__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return bitwise_or(self, other)
        return _foreign(bitwise_or, "", self, other)

    def __ror__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return bitwise_or(other, self)
        return _foreign_left(bitwise_or, "", other, self)

    def __xor__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return bitwise_xor(self, other)
        return _foreign(bitwise_xor, "", self, other)

    def __rxor__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return bitwise_xor(other, self)
        return _foreign_left(bitwise_xor, "", other, self)

    def __lshift__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return left_shift(self, other)
        return _foreign(left_shift, "", self, other)

    def __rlshift__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return left_shift(other, self)
        return _foreign_left(left_shift, "", other, self)

    def __rshift__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return right_shift(self, other)
        return _foreign(right_shift, "", self, other)

    def __rrshift__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return right_shift(other, self)
        return _foreign_left(right_shift, "", other, self)

    # ---- comparisons

    def __eq__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return equal(self, other)
        return _foreign(equal, "==", self, other)

    def __ne__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return not_equal(self, other)
        return _foreign(not_equal, "!=", self, other)

    def __lt__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return less(self, other)
        return _foreign(less, "", self, other)

    def __le__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return less_equal(self, other)
        return _foreign(less_equal, "", self, other)

    def __gt__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return greater(self, other)
        return _foreign(greater, "", self, other)

    def __ge__(self, other: Any) -> Any:
        if isinstance(other, _OPERANDS):
            return greater_equal(self, other)
        return _foreign(greater_equal, "", self, other)

    # ---- one operand

    def __neg__(self) -> Any:
        return negative(self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return absolute(self)

    def __invert__(self) -> Any:
        return invert(self)

    def __round__(self, ndigits: int | None = None) -> Any:
        out = round(self, ndigits or 0)
        if ndigits is not None:
            return out
        return convert_element_type(out, new_dtype=dtypes.default_int(), weak_type=False)

    # ---- elements

    def __getitem__(self, index: Any, /) -> Any:
        return getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise error(
            TypeError,
            "JAX arrays are immutable and do not support in-place item assignment.",
            got=f"x[idx] = y for {type_of(self).str_short()}",
            fix="instead of x[idx] = y, use x = x.at[idx].set(y) or another .at[] method.",
        )

    def __delitem__(self, index: Any) -> NoReturn:
        raise error(
            TypeError,
            "JAX arrays are immutable and do not support the deletion of items.",
            got=f"del x[idx] for {type_of(self).str_short()}",
            fix="use x = jnp.delete(x, idx).",
        )

    def __iter__(self) -> Iterator[Any]:
        shape = type_of(self).shape
        if not shape:
            raise TypeError("iteration over a 0-d array")
        return iter(unstack(self, axis=0) if shape[0] else ())

    def __contains__(self, other: Any) -> bool:
        if other is None or isinstance(other, (str, *_CONTAINERS)):
            raise error(
                TypeError,
                f"Array.__contains__: unsupported operand type {type(other)}.",
                got=f"{other!r:.80} in an array",
                fix="search for a number.",
            )
        query, own = type_of(as_array(other, "in")), type_of(self)
        if own.ndim != 1 or query.ndim:
            raise error(
                ValueError,
                "Array.__contains__: a number is searched for in a one-dimensional array.",
                got=f"{query.str_short()} in {own.str_short()}",
                fix="use (x == value).any().",
            )
        return bool(any_(equal(self, other)))


def _foreign(function: Callable[..., Any], symbol: str, x: Any, other: Any) -> Any:
    """`x <symbol> other`, where `other` is no operand."""
    if hasattr(other, "__jax_array__"):
        return function(x, other.__jax_array__())
    if symbol and isinstance(other, _CONTAINERS):
        raise _no_operator(symbol, x, other)
    return NotImplemented


def _foreign_left(function: Callable[..., Any], symbol: str, other: Any, x: Any) -> Any:
    """`other <symbol> x`, where `other` is no operand."""
    if hasattr(other, "__jax_array__"):
        return function(other.__jax_array__(), x)
    if symbol and isinstance(other, _CONTAINERS):
        raise _no_operator(symbol, other, x)
    return NotImplemented


def _no_operator(symbol: str, x: Any, y: Any) -> TypeError:
    names = [repr("Array" if isinstance(v, Array) else type(v).__name__) for v in (x, y)]
    return error(
        TypeError,
        f"unsupported operand type(s) for {symbol}: {names[0]} and {names[1]}.",
        got=" and ".join(
            type_of(v).str_short() if isinstance(v, Array) else f"{v!r:.80}" for v in (x, y)
        ),
        fix="convert lists with jnp.array(...).",
    )


def install(source: type) -> None:
    """Make all that the class `source` defines an attribute of Array."""
    for name, member in vars(source).items():
        if name not in ("__module__", "__dict__", "__weakref__", "__doc__", "__hash__"):
            setattr(Array, name, member)


install(Operators)
install(Methods)
