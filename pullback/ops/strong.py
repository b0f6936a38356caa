"""Products in which a zero is strong: 0 * inf = 0 and 0 * nan = 0. What strong_zero mode computes.

`StrongTrace` follows tangents and cotangents through the rules of other primitives: what it marks
multiplies strongly. The four primitives here are the products that differ. Each has its rules from
the ordinary one, run under such a trace, so that a derivative of a strong product is strong again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from ..core.array import HostArray, Tracer
from ..core.primitive import CORE, Linear, Primitive
from ..core.program import ClosedProgram, run_closed
from ..core.trace import Trace, inside, state, type_of
from ..core.types import ArrayType
from .comparison import eq
from .contraction import dot_general
from .convolution import conv_general_dilated
from .elementwise import Elementwise, div, like, mul, select_n
from .structural import broadcast_in_dim

Mask = tuple[bool, ...]


class StrongTracer(Tracer):
    """A tangent or cotangent: where it is zero, its products are."""

    __slots__ = ("value",)

    def __init__(self, trace: StrongTrace, value: Any) -> None:
        self.owner, self.value = trace, value

    @property
    def aval(self) -> ArrayType:
        """Shape, dtype and weakness."""
        return type_of(self.value)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.value.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> Any:
        """The type of the elements."""
        return self.value.dtype

    def known(self) -> Any:
        """The value, where it is known."""
        return self.value.known() if isinstance(self.value, Tracer) else self.value


class StrongTrace(Trace):
    """What comes of a marked value is marked; its products are strong. The parent does it all."""

    __slots__ = ()
    verb = "a derivative in strong_zero mode"

    def process(self, primitive: Any, args: Any, params: Any) -> Any:
        """The operation, or its strong form, in the parent."""
        own = tuple(type(a) is StrongTracer and a.owner is self for a in args)
        if True not in own:
            return self.parent.process(primitive, args, params)
        if primitive.multiple_results:
            called = primitive.called_program(params)
            if isinstance(called, ClosedProgram):
                with inside(self):
                    return run_closed(called, args)
            outs = self.parent.process(primitive, self.opened(args), params)
            return [self.marked(y) for y in outs]
        primitive, params = strong_form(primitive, own, params)
        return self.marked(self.parent.process(primitive, self.opened(args), params))

    def marked(self, x: Any) -> Any:
        """`x` as a value whose zeros are strong; None stays None."""
        if x is None or (type(x) is StrongTracer and x.owner is self):
            return x
        return StrongTracer(self, x)

    def open(self, x: Any) -> Any:
        """The value itself."""
        return x.value if type(x) is StrongTracer and x.owner is self else x

    def opened(self, xs: Sequence[Any]) -> list[Any]:
        """The values themselves."""
        return [self.open(x) for x in xs]


def strong_form(primitive: Any, own: Mask, params: Any) -> tuple[Any, Any]:
    """The primitive and parameters of an operation some of whose operands have strong zeros."""
    strong = STRONG.get(primitive)
    if strong is not None:
        if primitive is div:  # a zero in the denominator is no zero of the quotient
            return (strong, {"strong": (True, False)}) if own[0] else (primitive, params)
        return strong, {**params, "strong": own}
    if isinstance(primitive, Strong) and primitive is not strong_div:
        have = params["strong"]
        return primitive, {**params, "strong": tuple(a or b for a, b in zip(have, own))}
    return primitive, params


class Strong(Primitive, family=True):
    """The rules of `base` with strong zeros in the operands that the parameter `strong` names."""

    base: ClassVar[Any]

    def typing(self, *types: Any, strong: Mask, **params: Any) -> ArrayType:
        return self.base.typing(*types, **params)  # type: ignore[no-any-return]

    def jvp(self, primals: Any, tangents: Any, out: Any, *, strong: Mask, **params: Any) -> Any:
        trace = StrongTrace(state.trace)
        with inside(trace):
            xs = [trace.marked(x) if s else x for x, s in zip(primals, strong, strict=True)]
            dots = [trace.marked(t) for t in tangents]
            return trace.open(self.base.jvp(xs, dots, trace.marked(out), **params))

    def transpose(self, ct: Any, *args: Any, strong: Mask, **params: Any) -> list[Any]:
        trace = StrongTrace(state.trace)
        with inside(trace):
            xs = [
                trace.marked(x) if s and type(x) is not Linear else x
                for x, s in zip(args, strong, strict=True)
            ]
            return trace.opened(self.base.transpose(trace.marked(ct), *xs, **params))

    def vmap(self, size: int, args: Any, axes: Any, *, strong: Mask, **params: Any) -> Any:
        trace = StrongTrace(state.trace)
        with inside(trace):
            xs = [trace.marked(x) if s else x for x, s in zip(args, strong, strict=True)]
            out, axis = self.base.vmap(size, xs, axes, **params)
        return trace.open(out), axis

    lower: Any = CORE

    def shown(self, params: dict[str, Any]) -> dict[str, Any]:
        """As the ordinary product, and which zeros are strong."""
        rest = {k: v for k, v in params.items() if k != "strong"}
        return {**self.base.shown(rest), "strong": params["strong"]}


# ---- of elements


class StrongElementwise(Strong, family=True):
    """A product or quotient of elements; zero where a strong operand is zero."""

    takes = Elementwise.takes

    def eval(self, x: Any, y: Any, *, strong: Mask) -> Any:
        out = self.base.eval(x, y)
        for operand, s in zip((x, y), strong, strict=True):
            if s:
                zero = operand == 0
                if zero.any():
                    out = np.where(zero, out.dtype.type(0), out)
        return out

    def lower(self, x: Any, y: Any, *, strong: Mask) -> Any:
        out = self.base(x, y)
        zero = broadcast_in_dim(like(out, 0), shape=out.shape, broadcast_dimensions=())
        for operand, s in zip((x, y), strong, strict=True):
            if s:
                out = select_n(eq(operand, like(operand, 0)), out, zero)
        return out


class StrongMul(StrongElementwise):
    """x * y; 0 where a strong operand is 0"""

    base = mul


strong_mul = StrongMul()


class StrongDiv(StrongElementwise):
    """x / y; 0 where x is 0"""

    base = div


strong_div = StrongDiv()


# ---- sums of products

Bilinear = Callable[[Any, Any], Any]


class StrongBilinear(Strong, family=True):
    """A sum of products; the terms in which a strong operand is zero do not count."""

    def eval(self, x: Any, y: Any, *, strong: Mask, **params: Any) -> Any:
        product = partial(self.base.eval, **params)
        if not any(not _finite(v) and s for v, s in zip((y, x), strong, strict=True)):
            return product(x, y)
        if x.dtype.kind == "c" or y.dtype.kind == "c":
            return _of_complex(self, x, y, strong, params)
        return _counted(product, x, y, strong)


class StrongDotGeneral(StrongBilinear):
    """dot_general without the terms in which an element of a strong operand is 0"""

    base = dot_general


strong_dot_general = StrongDotGeneral()


class StrongConvGeneralDilated(StrongBilinear):
    """conv_general_dilated without the terms in which an element of a strong operand is 0"""

    base = conv_general_dilated


strong_conv_general_dilated = StrongConvGeneralDilated()


def _finite(x: Any) -> bool:
    return bool(np.isfinite(x).all())


def _of_complex(primitive: Any, x: Any, y: Any, strong: Mask, params: Any) -> Any:
    """(a + ib)(c + id) = ac - bd + i(ad + bc), each product by itself."""
    real = {**params, "preferred_element_type": None}

    def product(a: Any, b: Any) -> Any:
        return primitive.eval(np.array(a), np.array(b), strong=strong, **real)

    re = product(x.real, y.real) - product(x.imag, y.imag)
    im = product(x.real, y.imag) + product(x.imag, y.real)
    types = [HostArray(v).aval for v in (x, y)]
    out = np.empty(re.shape, primitive.typing(*types, strong=strong, **params).dtype)
    out.real, out.imag = re, im
    return out


def _counted(product: Bilinear, x: Any, y: Any, strong: Mask) -> Any:
    """The sum of the finite terms, with infinity or NaN where there is such a term that counts.

    Terms are counted by the same product of zeros and ones, so that all shapes are right.
    """

    def count(a: Any, b: Any) -> Any:
        return product(a.astype(x.dtype), b.astype(y.dtype)) if a.any() and b.any() else 0

    # Infinite: one factor is, and the other is not zero. The sign is that of both.
    up = (x > 0, x < 0), (y > 0, y < 0)
    far = (np.isposinf(x), np.isneginf(x)), (np.isposinf(y), np.isneginf(y))
    plus, minus = (
        count(far[0][0], up[1][i])
        + count(far[0][1], up[1][1 - i])
        + count(up[0][0], far[1][i])
        + count(up[0][1], far[1][1 - i])
        for i in (0, 1)
    )
    # NaN: one factor is, or an infinity meets a zero; unless a zero is strong.
    one, nan, zero = (
        (np.ones_like(x), np.ones_like(y)),
        (np.isnan(x), np.isnan(y)),
        (x == 0, y == 0),
    )
    broken = (
        count(nan[0], ~zero[1] if strong[1] else one[1])
        + count(~zero[0] if strong[0] else one[0], nan[1])
        + (0 if strong[1] else count(far[0][0] | far[0][1], zero[1]))
        + (0 if strong[0] else count(zero[0], far[1][0] | far[1][1]))
    )
    out = np.array(product(np.where(np.isfinite(x), x, 0), np.where(np.isfinite(y), y, 0)))
    up_, down = np.broadcast_to(plus, out.shape) > 0, np.broadcast_to(minus, out.shape) > 0
    out[up_], out[down] = np.inf, -np.inf
    out[(up_ & down) | (np.broadcast_to(broken, out.shape) > 0)] = np.nan
    return out


STRONG: dict[Any, Any] = {
    mul: strong_mul,
    div: strong_div,
    dot_general: strong_dot_general,
    conv_general_dilated: strong_conv_general_dilated,
}
"""The strong form of each product."""

__all__ = ["STRONG", "StrongTrace", "StrongTracer", "strong_form"]
