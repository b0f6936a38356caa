"""Elementwise primitives that compare and choose (eq, lt, max, clamp ...) and work on bits.

None but `max`, `min` and `clamp` has a derivative: their tangents are None.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.errors import error
from ..core.primitive import CORE, NOT_LINEAR, Primitive
from ..core.types import ArrayType, array_type
from .elementwise import (
    ANY,
    BITS,
    FLOAT,
    INTEGER,
    REAL,
    Elementwise,
    add,
    convert_element_type,
    in_own_dtype,
    like,
    mul,
    select_n,
    sub,
)
from .structural import move_axis, zeros

_VALUES = "biufc"


class Comparison(Elementwise, family=True):
    """Two operands, a bool, no derivative."""

    takes, gives = REAL, "bool"


class Eq(Comparison):
    """x == y; of random keys: whether all of their words are equal"""

    takes = ANY
    # np.equal has no loop for the records that keys are; the operator has, and costs the same.
    eval = staticmethod(operator.eq)


eq = Eq()


class Ne(Comparison):
    """x != y"""

    takes = ANY
    eval = staticmethod(operator.ne)


ne = Ne()


class Lt(Comparison):
    """x < y"""

    eval = staticmethod(np.less)


lt = Lt()


class Le(Comparison):
    """x <= y"""

    eval = staticmethod(np.less_equal)


le = Le()


class Gt(Comparison):
    """x > y"""

    eval = staticmethod(np.greater)


gt = Gt()


class Ge(Comparison):
    """x >= y"""

    eval = staticmethod(np.greater_equal)


ge = Ge()


class EqTo(Comparison):
    """x == y in the total order -nan < -inf < ... < -0 < 0 < ... < inf < nan"""

    takes = _VALUES

    def eval(self, x: Any, y: Any) -> Any:
        if x.dtype.kind == "c":
            real = _rank(x.real) == _rank(y.real)
            return real & (_rank(x.imag) == _rank(y.imag))
        return _rank(x) == _rank(y)


eq_to = EqTo()


class LtTo(Comparison):
    """x < y in the total order"""

    def eval(self, x: Any, y: Any) -> Any:
        return _rank(x) < _rank(y)


lt_to = LtTo()


class LeTo(Comparison):
    """x <= y in the total order"""

    def eval(self, x: Any, y: Any) -> Any:
        return _rank(x) <= _rank(y)


le_to = LeTo()


def _rank(x: Any) -> Any:
    # The bits of a positive float, read as an integer, are in order; those of a negative one, which
    # has the sign bit, are in the opposite order until the other bits are flipped.
    if dtypes.kind(x.dtype) != "f":
        return x
    bits = np.asarray(x).view(f"i{x.dtype.itemsize}")
    return np.where(bits < 0, bits ^ np.iinfo(bits.dtype).max, bits)


class IsFinite(Elementwise):
    """whether x is neither infinite nor nan"""

    takes, gives = FLOAT, "bool"
    eval = staticmethod(np.isfinite)


is_finite = IsFinite()


# ---- choosing


class Extremum(Elementwise, family=True):
    """max and min. Of equal operands each is half of the result; nan depends on none."""

    takes = _VALUES
    wins: Any
    ties: Any

    def jvp_x(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return mul(t, self._share(out, x, y))

    def jvp_y(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return mul(t, self._share(out, y, x))

    def _share(self, out: Any, x: Any, y: Any) -> Any:
        # 1 where x is the result, 1/2 where y is too, 0 elsewhere.
        if out.dtype.kind == "c":
            tied = mul(like(out, 0.5), _as_number(eq(x, y), out))
            return mul(_as_number(eq(x, out), out), sub(like(out, 1), tied))
        twice = add(_as_number(self.wins(x, y), out), _as_number(self.ties(x, y), out))
        return mul(like(out, 0.5), twice)


class Max(Extremum):
    """the larger of x and y; nan if one is nan; complex numbers by real, then imaginary part"""

    eval = staticmethod(in_own_dtype(np.maximum))
    wins, ties = gt, ge


max_ = Max()


class Min(Extremum):
    """the smaller of x and y; nan if one is nan"""

    eval = staticmethod(in_own_dtype(np.minimum))
    wins, ties = lt, le


min_ = Min()


def _as_number(x: Any, out: Any) -> Any:
    return convert_element_type(x, new_dtype=out.dtype, weak_type=out.weak_type)


class Clamp(Elementwise):
    """min(max(x, low), high); its arguments are low, x, high. At a limit it depends on none"""

    takes = _VALUES

    def eval(self, low: Any, x: Any, high: Any) -> Any:
        return np.minimum(np.maximum(low, x), high).astype(x.dtype, copy=False)

    def jvp_x(self, t: Any, out: Any, low: Any, x: Any, high: Any) -> Any:
        return _where(and_(gt(low, x), lt(low, high)), t)

    def jvp_y(self, t: Any, out: Any, low: Any, x: Any, high: Any) -> Any:
        return _where(and_(gt(x, low), lt(x, high)), t)

    def jvp_z(self, t: Any, out: Any, low: Any, x: Any, high: Any) -> Any:
        return _where(gt(x, high), t)


clamp = Clamp()


def _where(mask: Any, t: Any) -> Any:
    return select_n(mask, zeros(t.aval), t)


# ---- bits


class And(Elementwise):
    """the bits that x and y both have; of bools, whether both hold"""

    takes = BITS
    eval = staticmethod(in_own_dtype(np.bitwise_and))


and_ = And()


class Or(Elementwise):
    """the bits that x or y has"""

    takes = BITS
    eval = staticmethod(in_own_dtype(np.bitwise_or))


or_ = Or()


class Xor(Elementwise):
    """the bits in which x and y differ"""

    takes = BITS
    eval = staticmethod(in_own_dtype(np.bitwise_xor))


xor = Xor()


class Not(Elementwise):
    """the bits that x has not"""

    takes = BITS
    eval = staticmethod(in_own_dtype(np.invert))


not_ = Not()


# A shift by a negative number, or by as many bits as there are, leaves zeros or copies of the sign:
# so XLA documents, and so NumPy does.


class ShiftLeft(Elementwise):
    """x moved up by y bits"""

    takes = INTEGER
    eval = staticmethod(in_own_dtype(np.left_shift))


shift_left = ShiftLeft()


class ShiftRightArithmetic(Elementwise):
    """x moved down by y bits; copies of the sign bit come in"""

    takes = INTEGER

    def eval(self, x: Any, y: Any) -> Any:
        if x.dtype.kind == "i":
            return np.right_shift(x, y)
        if x.dtype.kind == "V":
            bits = dtypes.iinfo(x.dtype).bits
            signed = x.astype(np.int8) << (8 - bits) >> (8 - bits)
            return np.right_shift(signed, y.astype(np.int8)).astype(x.dtype)
        signed = f"i{x.dtype.itemsize}"
        return np.right_shift(x.view(signed), y.view(signed)).view(x.dtype)


shift_right_arithmetic = ShiftRightArithmetic()


class ShiftRightLogical(Elementwise):
    """x moved down by y bits; zeros come in"""

    takes = INTEGER

    def eval(self, x: Any, y: Any) -> Any:
        if x.dtype.kind == "u":
            return np.right_shift(x, y)
        if x.dtype.kind == "V":
            unsigned = x.astype(np.uint8) & (2 ** dtypes.iinfo(x.dtype).bits - 1)
            return np.right_shift(unsigned, y.astype(np.uint8)).astype(x.dtype)
        unsigned = f"u{x.dtype.itemsize}"
        return np.right_shift(x.view(unsigned), y.view(unsigned)).view(x.dtype)


shift_right_logical = ShiftRightLogical()


class PopulationCount(Elementwise):
    """how many bits of x are set"""

    takes = INTEGER

    def eval(self, x: Any) -> Any:
        # np.bitwise_count counts the bits of the absolute value.
        return np.bitwise_count(x.view(f"u{x.dtype.itemsize}")).astype(x.dtype)


population_count = PopulationCount()


class Clz(Elementwise):
    """how many leading bits of x are not set"""

    takes = INTEGER

    def eval(self, x: Any) -> Any:
        bits = 8 * x.dtype.itemsize
        word = x.view(f"u{x.dtype.itemsize}")
        if bits < 64:
            return (bits - _bit_length(word)).astype(x.dtype)
        high = _bit_length(word >> np.uint64(32))
        low = _bit_length(word & np.uint64(0xFFFFFFFF))
        return (64 - np.where(high > 0, high + 32, low)).astype(x.dtype)


clz = Clz()


def _bit_length(word: Any) -> Any:
    # The exponent of a float64: exact, for it has room for 53 bits.
    return np.frexp(word.astype(np.float64))[1]


class BitcastConvertType(Primitive):
    """The bits of `x` read as `new_dtype`; between widths, a last axis holds the parts of one."""

    weak_from = ()

    def typing(self, x: Any, *, new_dtype: Any) -> ArrayType:
        kinds = dtypes.kind(x.dtype) + dtypes.kind(new_dtype)
        if x.dtype != new_dtype and not set(kinds) <= set("iuf"):
            raise error(
                TypeError,
                "the bits of bools, complex numbers and keys cannot be read as another dtype.",
                got=f"{x.str_short()} as {dtypes.long_name(new_dtype)}",
                fix="convert with .astype(...), or take the real and imaginary parts first.",
            )
        old, new = x.dtype.itemsize, new_dtype.itemsize
        if old == new:
            return array_type(x.shape, new_dtype)
        if old > new:
            return array_type((*x.shape, old // new), new_dtype)
        if not x.shape or x.shape[-1] * old != new:
            raise error(
                ValueError,
                f"the last axis must hold the {new // old} parts of one {new_dtype.name}.",
                got=x.str_short(),
                fix=f"reshape so that the last axis has length {new // old}.",
            )
        return array_type(x.shape[:-1], new_dtype)

    def eval(self, x: Any, *, new_dtype: Any) -> Any:
        old, new = x.dtype.itemsize, new_dtype.itemsize
        if old == new:
            return x.view(new_dtype)
        whole = np.array(x, order="C", copy=None)
        if old > new:
            return whole.reshape(*x.shape, 1).view(new_dtype)
        return whole.view(new_dtype).reshape(x.shape[:-1])

    def jvp(self, primals: Any, tangents: Any, out: Any, *, new_dtype: Any) -> None:
        return None

    def vmap(self, size: int, args: Any, axes: Any, *, new_dtype: Any) -> Any:
        x = move_axis(args[0], axes[0], 0)
        return bitcast_convert_type(x, new_dtype=new_dtype), 0

    transpose = NOT_LINEAR
    lower = CORE


bitcast_convert_type = BitcastConvertType()
