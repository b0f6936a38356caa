"""Primitives that compute on each element alone: y[i] = f(x0[i], x1[i], ...).

Operands have one shape; an operand of rank 0 stands for any shape. A member gives `eval`, the kinds
of dtype it takes, and for each operand how its tangent enters: `jvp_x`, `jvp_y`, `jvp_z`. A
function of one operand may give its derivative instead, `slope(out, x)`: its tangent is then
`mul(t, slope)`.
"""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error
from ..core.primitive import CORE, NOT_LINEAR, Linear, Primitive
from ..core.trace import type_of
from ..core.types import ArrayType, array_type
from .structural import broadcast_in_dim, move_axis, reduce_sum, to_front

FLOAT, INEXACT, REAL, NUMBER = "f", "fc", "biuf", "iufc"
INTEGER, BITS, ANY = "iu", "biu", "biufcV"


class Elementwise(Primitive, family=True):
    """The rules that all members share."""

    takes: ClassVar[str] = NUMBER
    gives: ClassVar[str] = "same"
    """The dtype that comes out: "same", "bool", "real" or "complex"."""
    jvp_x: Any = None
    jvp_y: Any = None
    jvp_z: Any = None
    jvp_rules: ClassVar[tuple[Any, ...]] = ()
    """The three above, gathered once."""

    def __init_subclass__(cls, family: bool = False, name: str | None = None) -> None:
        super().__init_subclass__(family, name)
        cls.jvp_rules = (cls.jvp_x, cls.jvp_y, cls.jvp_z)

    def typing(self, *types: Any, **params: Any) -> ArrayType:
        first = types[0]
        for t in types:
            if t is not first:
                return self._typing_mixed(types)
        if dtypes.kind(first.dtype) not in self.takes:
            raise self._wrong_kind(first)
        if self.gives == "same":
            return first  # type: ignore[no-any-return]
        return array_type(first.shape, self._out_dtype(first.dtype), first.weak_type)

    def _typing_mixed(self, types: Any) -> ArrayType:
        shape: tuple[int, ...] = ()
        first, weak = types[0], True
        for t in types:
            if t.shape != shape and t.shape:
                if shape:
                    raise self._different("shapes", types, "broadcast them to one shape first.")
                shape = t.shape
            if t.dtype != first.dtype:
                raise self._different(
                    "dtypes", types, "convert them to one dtype, e.g. with .astype(...)."
                )
            weak = weak and t.weak_type
        if dtypes.kind(first.dtype) not in self.takes:
            raise self._wrong_kind(first)
        return array_type(shape, self._out_dtype(first.dtype), weak)

    def _out_dtype(self, dtype: np.dtype) -> np.dtype:
        if self.gives == "same":
            return dtype
        if self.gives == "bool":
            return dtypes.bool_
        return dtypes.real_dtype(dtype) if self.gives == "real" else dtypes.complex_dtype(dtype)

    def _different(self, what: str, types: Any, fix: str) -> Exception:
        return error(
            TypeError,
            f"{self.name} got arrays of different {what}.",
            got=", ".join(t.str_short() for t in types),
            fix=f"{fix} The function of the same meaning in pullback.numpy does so by itself.",
        )

    def _wrong_kind(self, t: Any) -> Exception:
        names = {
            "b": "bool",
            "i": "integer",
            "u": "unsigned",
            "f": "float",
            "c": "complex",
            "V": "key",
        }
        return error(
            TypeError,
            f"{self.name} does not take {dtypes.long_name(t.dtype)} arrays.",
            got=t.str_short(),
            fix=f"it takes {', '.join(names[k] for k in self.takes)}: convert with .astype(...).",
        )

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
        if len(primals) == 1:
            if self.slope is None:
                return self.jvp_x(tangents[0], out, *primals, **params) if self.jvp_x else None
            slope = self.slope(out, *primals, **params)
            return None if slope is None else mul(tangents[0], slope)
        if len(primals) == 2 and None in tangents:  # one tangent: most binary calls
            at = 1 if tangents[0] is None else 0
            if self.jvp_rules[at] is None:
                return None
            if primals[at].shape or not out.shape:
                return self.jvp_rules[at](self, tangents[at], out, *primals, **params)
        total = None
        for t, x, rule in zip(tangents, primals, self.jvp_rules):
            if t is None or rule is None:
                continue
            if not x.shape and out.shape:
                t = broadcast_in_dim(t, shape=out.shape, broadcast_dimensions=())
            term = rule(self, t, out, *primals, **params)
            if term is not None:
                total = term if total is None else add_any(total, term)
        return total

    def vmap(self, size: int, args: Any, axes: Any, **params: Any) -> Any:
        if len(args) == 1:
            return self(args[0], **params), axes[0]
        if len(args) == 2:
            (x, y), (at_x, at_y) = args, axes
            if at_x == at_y and x.shape == y.shape:
                return self(x, y, **params), at_x
            if at_y is None and not y.shape:
                return self(x, y, **params), at_x
        return vmap_together(self, size, args, axes, params)

    transpose: Any = NOT_LINEAR
    lower: Any = CORE


def vmap_together(op: Primitive, size: int, args: Any, axes: Any, params: Any) -> Any:
    """vmap of an elementwise operation: bring all operands to the shape of one that is mapped."""
    shapes = [x.shape if isinstance(x, Array) else type_of(x).shape for x in args]
    rank, at = -1, 0
    wide: tuple[int, ...] = ()
    for s, a in zip(shapes, axes):
        if a is not None and len(s) > rank:
            rank, at, wide = len(s), a, s
    element = max((s for s, a in zip(shapes, axes) if a is None), key=len, default=())
    if len(element) >= rank:  # only scalars are mapped
        rank, at, wide = len(element) + 1, 0, (size, *element)
    unmapped = tuple(i for i in range(rank) if i != at)
    aligned = []
    for x, s, a in zip(args, shapes, axes):
        if a is None and s:
            x = broadcast_in_dim(x, shape=wide, broadcast_dimensions=unmapped)
        elif a is not None and len(s) < rank:
            x = broadcast_in_dim(x, shape=wide, broadcast_dimensions=(at,))
        elif a is not None:
            x = move_axis(x, a, at)
        aligned.append(x)
    return op(*aligned, **params), at


def to_shape_of(ct: Any, x: Any) -> Any:
    """`ct` summed to a scalar if the operand `x` is one: the transpose of its repetition."""
    if ct.shape and not x.shape:
        return reduce_sum(ct, axes=tuple(range(len(ct.shape))))
    return ct


_CONSTANTS: dict[tuple[Any, Any], HostArray] = {}


def like(x: Any, value: Any) -> HostArray:
    """The scalar `value` in the dtype of `x`, weak so that it does not make a weak `x` strong.

    0.0 and -0.0 are one key of the cache: for -0.0 negate `like(x, 0)`.
    """
    key = (x.dtype, value)
    known = _CONSTANTS.get(key)
    if known is None:
        known = _CONSTANTS[key] = HostArray(x.dtype.type(value), True)
    return known


# ---- linear in every operand


class Linearwise(Elementwise, family=True):
    """One operand, linear: its tangent is the operation on the tangent."""

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
        return self(*tangents, **params)


def in_own_dtype(function: Any) -> Any:
    """A ufunc of one or two operands whose result has their dtype, narrow integers' too.

    Of int4 and its like NumPy makes int8; what overflows loses its upper bits.
    """

    def of_one(x: Any) -> Any:
        out = function(x)
        return out if out.dtype is x.dtype else out.astype(x.dtype)

    def of_two(x: Any, y: Any) -> Any:
        out = function(x, y)
        return out if out.dtype is x.dtype else out.astype(x.dtype)

    return of_one if function.nin == 1 else of_two


class Neg(Linearwise):
    """-x"""

    eval = staticmethod(in_own_dtype(np.negative))

    def transpose(self, ct: Any, x: Any) -> list[Any]:
        return [neg(ct)]


neg = Neg()


class Add(Elementwise):
    """x + y"""

    eval = staticmethod(np.add)

    def jvp_x(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return t

    jvp_y = jvp_x

    def transpose(self, ct: Any, x: Any, y: Any) -> list[Any]:
        return [
            to_shape_of(ct, x) if type(x) is Linear else None,
            to_shape_of(ct, y) if type(y) is Linear else None,
        ]


add = Add()


class AddAny(Add):
    """x + y, of tangents and cotangents"""


add_any = AddAny()


class Sub(Elementwise):
    """x - y"""

    eval = staticmethod(np.subtract)

    def jvp_x(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return t

    def jvp_y(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return neg(t)

    def transpose(self, ct: Any, x: Any, y: Any) -> list[Any]:
        return [
            to_shape_of(ct, x) if type(x) is Linear else None,
            to_shape_of(neg(ct), y) if type(y) is Linear else None,
        ]


sub = Sub()


class Mul(Elementwise):
    """x * y"""

    eval = staticmethod(np.multiply)

    def jvp_x(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return mul(t, y)

    def jvp_y(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return mul(x, t)

    def transpose(self, ct: Any, x: Any, y: Any) -> list[Any]:
        if type(x) is Linear:
            if type(y) is Linear:
                return NOT_LINEAR(ct, x, y)  # type: ignore[no-any-return]
            return [to_shape_of(mul(ct, y), x), None]
        return [None, to_shape_of(mul(x, ct), y)]


mul = Mul()


class Div(Elementwise):
    """x / y; integers round toward zero, as in C"""

    def eval(self, x: Any, y: Any) -> Any:
        if x.dtype.kind in "iu":
            return _divide_integers(x, y)
        out = np.divide(x, y)
        return out if out.dtype is x.dtype else _divide_narrow(x, y)

    def jvp_x(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return div(t, y)

    def jvp_y(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return mul(neg(t), div(out, y))

    def transpose(self, ct: Any, x: Any, y: Any) -> list[Any]:
        if type(y) is Linear:
            return NOT_LINEAR(ct, x, y)  # type: ignore[no-any-return]
        return [to_shape_of(div(ct, y), x), None]


div = Div()


def _divide_narrow(x: Any, y: Any) -> Any:
    """The quotient where that of NumPy has another dtype: that of narrow integers, or of a view."""
    if dtypes.kind(x.dtype) not in "iu":
        return np.divide(x, y).astype(x.dtype)
    return _divide_integers(*[v.astype(np.int8) for v in (x, y)]).astype(x.dtype)


def _divide_integers(x: Any, y: Any) -> Any:
    zero = y == 0
    safe = np.where(zero, np.ones_like(y), y)
    quotient = np.floor_divide(x, safe)
    if x.dtype.kind == "i":
        inexact = (quotient * safe != x) & ((x < 0) != (safe < 0))
        quotient = quotient + inexact.astype(x.dtype)
    # Division by zero is not trapped: all bits are set, as XLA documents.
    return np.where(zero, np.array(-1).astype(x.dtype), quotient)


class Real(Linearwise):
    """the real part"""

    takes, gives = "c", "real"

    def eval(self, x: Any) -> Any:
        return np.array(x.real)

    def transpose(self, ct: Any, x: Any) -> list[Any]:
        return [complex_(ct, _strong_zero(ct))]


real = Real()


class Imag(Linearwise):
    """the imaginary part"""

    takes, gives = "c", "real"

    def eval(self, x: Any) -> Any:
        return np.array(x.imag)

    def transpose(self, ct: Any, x: Any) -> list[Any]:
        return [complex_(_strong_zero(ct), neg(ct))]


imag = Imag()


class Complex(Elementwise):
    """x + iy"""

    takes, gives = "f", "complex"

    def eval(self, x: Any, y: Any) -> Any:
        out = np.empty(np.broadcast_shapes(x.shape, y.shape), dtypes.complex_dtype(x.dtype))
        out.real, out.imag = x, y
        return out

    def jvp_x(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return complex_(t, _strong_zero(t))

    def jvp_y(self, t: Any, out: Any, x: Any, y: Any) -> Any:
        return complex_(_strong_zero(t), t)

    def transpose(self, ct: Any, x: Any, y: Any) -> list[Any]:
        return [
            to_shape_of(real(ct), x) if type(x) is Linear else None,
            to_shape_of(neg(imag(ct)), y) if type(y) is Linear else None,
        ]


complex_ = Complex()


class Conj(Linearwise):
    """the complex conjugate; of a float it is the complex number of the same value"""

    takes, gives = "fc", "complex"

    def eval(self, x: Any, *, input_dtype: Any) -> Any:
        return np.conjugate(x).astype(dtypes.complex_dtype(x.dtype), copy=False)

    def transpose(self, ct: Any, x: Any, *, input_dtype: Any) -> list[Any]:
        if dtypes.kind(np.dtype(input_dtype)) == "c":
            return [conj(ct, input_dtype=ct.dtype)]
        return [real(ct)]


conj = Conj()


class ConvertElementType(Elementwise):
    """x in the dtype `new_dtype`"""

    takes = ANY
    weak_from = "weak_type"
    identity = True

    def typing(self, x: Any, *, new_dtype: Any, weak_type: bool) -> ArrayType:
        if x.dtype != new_dtype and "V" in (dtypes.kind(x.dtype), dtypes.kind(new_dtype)):
            raise self._wrong_kind(x if dtypes.kind(x.dtype) == "V" else x.update(dtype=new_dtype))
        return array_type(x.shape, new_dtype, weak_type)

    def eval(self, x: Any, *, new_dtype: Any, weak_type: bool) -> Any:
        return _convert(x, new_dtype)

    def forward(self, trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
        new = params["new_dtype"]
        if not dtypes.is_inexact(new):
            return trace.parent.process(self, primals, params), None
        return super().forward(trace, primals, tangents, params)

    def jvp(self, primals: Any, tangents: Any, out: Any, *, new_dtype: Any, weak_type: bool) -> Any:
        return convert_element_type(tangents[0], new_dtype=new_dtype, weak_type=weak_type)

    def transpose(self, ct: Any, x: Any, *, new_dtype: Any, weak_type: bool) -> list[Any]:
        old = x.aval
        if dtypes.kind(new_dtype) == "c" and dtypes.kind(old.dtype) != "c":
            ct = real(ct)
        return [convert_element_type(ct, new_dtype=old.dtype, weak_type=old.weak_type)]


convert_element_type = ConvertElementType()


def _convert(x: Any, new: np.dtype) -> Any:
    if x.dtype == new:
        return x
    if x.dtype.names is not None or new.names is not None:
        raise TypeError("random keys are no numbers")  # `typing` says it in the user's words
    if x.dtype.kind == "c" and new.kind != "c":
        x = x.real
    if dtypes.kind(x.dtype) == "f" and dtypes.kind(new) in "iu":
        return _float_to_integer(x, new)
    return x.astype(new)


@cache
def _integer_limits(dtype: np.dtype) -> tuple[int, int]:
    limits = dtypes.iinfo(dtype) if dtype.itemsize < 8 else np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def _float_to_integer(x: Any, new: np.dtype) -> Any:
    # C leaves conversion of NaN and of what is out of range open; XLA and LLVM's saturating casts
    # give 0 for NaN and the nearest limit. The limits are compared in float64, where they are exact
    # for 32 bits; for 64 bits the upper limit rounds up, so `>=` is the right test.
    low, high = _integer_limits(new)
    # Two passes that find all inside (a NaN fails both) save the nine below: 9 us of 13 at 30x40.
    # As Python's floats, for bfloat16 cannot be compared with integers of 64 bits.
    if x.size and low < float(x.min()) and float(x.max()) < high:
        return x.astype(new)
    wide = x.astype(np.float64)
    inside = np.where((wide > low) & (wide < high), wide, 0.0).astype(new)
    clipped = np.where(wide >= high, new.type(high), np.where(wide <= low, new.type(low), inside))
    return np.where(np.isnan(wide), new.type(0), clipped).astype(new, copy=False)


class SelectN(Primitive):
    """case `which` of each element: which is bool (case 0 where False) or int32"""

    weak_from = slice(1, None)

    def typing(self, which: Any, *cases: Any) -> ArrayType:
        first = cases[0]
        same = all(c.shape == first.shape and c.dtype == first.dtype for c in cases)
        if not same or which.shape not in ((), first.shape):
            raise error(
                TypeError,
                "select needs cases of one shape and dtype, and a predicate of their shape or a "
                "scalar one.",
                got=", ".join(t.str_short() for t in (which, *cases)),
                fix="broadcast and convert first, or use jnp.where, which does.",
            )
        if which.dtype not in (dtypes.bool_, dtypes.int32) or (
            which.dtype == dtypes.bool_ and len(cases) > 2
        ):
            raise error(
                TypeError,
                "select's predicate must be bool for two cases, or int32.",
                got=which.str_short(),
                fix="compare to get a bool, or convert with .astype(jnp.int32).",
            )
        return first.update(weak_type=all(c.weak_type for c in cases))  # type: ignore[no-any-return]

    def eval(self, which: Any, *cases: Any) -> Any:
        if len(cases) == 1:
            return cases[0]
        if len(cases) == 2:
            if not which.ndim:
                return cases[1] if which else cases[0]
            mask = which if which.dtype.kind == "b" else which.astype(bool)
            return np.where(mask, cases[1], cases[0])
        return np.choose(np.clip(which, 0, len(cases) - 1), cases)

    def jvp(self, primals: Any, tangents: Any, out: Any) -> Any:
        zero = _zeros_in_shape(out)
        return select_n(primals[0], *[zero if t is None else t for t in tangents[1:]])

    def transpose(self, ct: Any, which: Any, *cases: Any) -> list[Any]:
        zero = _zeros_in_shape(ct)
        found = []
        for i, case in enumerate(cases):
            chosen = [ct if i == j else zero for j in range(len(cases))]
            found.append(select_n(which, *chosen) if type(case) is Linear else None)
        return [None, *found]

    def vmap(self, size: int, args: Any, axes: Any) -> Any:
        which, *cases = args
        at, *case_axes = axes
        cases = [to_front(c, a, size) for c, a in zip(cases, case_axes, strict=True)]
        rank = len(cases[0].shape)
        if at is not None:
            which = move_axis(which, at, 0)
            if len(which.shape) == 1 and rank > 1:
                which = broadcast_in_dim(which, shape=cases[0].shape, broadcast_dimensions=(0,))
        elif type_of(which).shape:
            which = to_front(which, None, size)
        return select_n(which, *cases), 0

    lower = CORE


select_n = SelectN()


def _zeros_in_shape(x: Any) -> Any:
    zero = HostArray(np.zeros((), x.dtype)[()], x.weak_type)
    return broadcast_in_dim(zero, shape=x.shape, broadcast_dimensions=()) if x.shape else zero


def _strong_zero(x: Any) -> HostArray:
    return HostArray(x.dtype.type(0))
