"""Taylor mode: carry the coefficients of a power series beside each value.

A value x stands for x(t) = x + x_1 t + x_2 t^2 + ... + x_n t^n. An operation on such a value gives
the series of its result up to the same order. One pass costs about n^2 times the function; n nested
runs of forward mode, which find the same numbers, cost 2^n times.

A primitive's rule is found in RULES: a function of the coefficients of its arguments. Without one,
`by_derivative` finds the series from the primitive's forward rule.

Griewank and Walther, Evaluating Derivatives (2008), chapter 13.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..core import dtypes
from ..core.array import HostArray, Tracer
from ..core.trace import Trace, inside, running, state, type_of
from ..core.types import ArrayType
from ..ops.elementwise import Linearwise, div, like, mul
from ..ops.structural import LinearPrimitive, zeros_of
from . import forward

Series = list[Any]
"""The coefficients of one array: its value, then those of t, t^2, ...; None stands for zero."""
Rule = Callable[..., Any]
"""`rule(primitive, args, order, params)`, `args` the series of each argument: the result's."""

RULES: dict[Any, Rule] = {}


def expand(
    function: Callable[..., Sequence[Any]], args: Sequence[Series], order: int, of: Any = None
) -> list[Series]:
    """The series of each output of `function`, which takes and gives flat lists."""
    trace = TaylorTrace(state.trace, order, of)
    with running(trace):
        outs = function(*[trace.tracer(s) for s in args])
        return [trace.series(y) for y in outs]


class TaylorTracer(Tracer):
    """A value with the coefficients of its series."""

    __slots__ = ("_terms", "dtype", "primal")
    dtype: Any

    def __init__(self, trace: TaylorTrace, primal: Any, terms: Any) -> None:
        self.owner, self.primal, self._terms = trace, primal, terms
        self.dtype = primal.dtype

    @property
    def terms(self) -> Series:
        """The coefficients of t, t^2, ...; computed when they are first asked for."""
        if callable(self._terms):
            with inside(self.owner.parent):
                self._terms = self._terms()
        return self._terms  # type: ignore[no-any-return]

    @property
    def aval(self) -> ArrayType:
        """Shape, dtype and weakness of the value."""
        return type_of(self.primal)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.primal.shape  # type: ignore[no-any-return]

    def known(self) -> Any:
        """The value where it is known."""
        return forward.known_value(self.primal)


class TaylorTrace(Trace):
    """An operation on values with series gives a value with a series, up to t^order."""

    __slots__ = ("order",)
    verb = "jet"

    def __init__(self, parent: Trace, order: int, of: Any = None) -> None:
        super().__init__(parent, of)
        self.order = order

    def process(self, primitive: Any, args: Any, params: Any) -> Any:
        """The primitive's rule where a series comes in, else the primitive itself."""
        if not any([type(a) is TaylorTracer and a.owner is self for a in args]):
            return self.parent.process(primitive, args, params)
        series = [self.series(a) for a in args]
        with inside(self.parent):
            found = series_of(primitive, series, self.order, params)
        if primitive.multiple_results:
            return [self.tracer(s) for s in found]
        return self.tracer(found)

    def tracer(self, series: Series) -> Any:
        """A value with its series; the value alone if it is constant."""
        if all([c is None for c in series[1:]]):
            return series[0]
        return TaylorTracer(self, series[0], series[1:])

    def series(self, x: Any) -> Series:
        """The coefficients of any value."""
        if type(x) is TaylorTracer and x.owner is self:
            return [x.primal, *x.terms]
        return [x, *[None] * self.order]


def series_of(primitive: Any, args: Sequence[Series], order: int, params: Any) -> Any:
    """The series of the result of a primitive, or of each of its results."""
    if _found.table is None or not primitive.foldable:
        return _series_of(primitive, args, order, params)
    try:
        key = (state.trace, primitive, _key_of(args), _key_of_params(params))
        known = _found.table.get(key)
    except TypeError:  # a parameter cannot be hashed
        return _series_of(primitive, args, order, params)
    if known is None:
        # The arguments are kept too: their ids stand in the key.
        known = _found.table[key] = (_series_of(primitive, args, order, params), args)
    found = known[0]
    return [list(s) for s in found] if primitive.multiple_results else list(found)


class _Found(threading.local):
    """What has been expanded already, while forward rules are: the rule of bessel_i0e asks for
    bessel_i1e, and that one's for both, so that without it n coefficients would cost 2^n."""

    table: dict[Any, Any] | None = None


_found = _Found()


@contextmanager
def _remembering() -> Iterator[None]:
    if _found.table is not None:
        yield
        return
    _found.table = {}
    try:
        yield
    finally:
        _found.table = None


def _key_of(args: Sequence[Series]) -> tuple[Any, ...]:
    return tuple([None if c is None else _identity(c) for s in args for c in s])


def _identity(x: Any) -> Any:
    """Constants are the same if their values are: rules make them anew."""
    if type(x) is HostArray and not x.shape:
        return x.dtype, x.weak_type, x._value.tobytes()
    return id(x)


def _key_of_params(params: Any) -> tuple[Any, ...]:
    return tuple([(name, type(value), value) for name, value in params.items()])


def _series_of(primitive: Any, args: Sequence[Series], order: int, params: Any) -> Any:
    rule = RULES.get(primitive)
    if rule is None:
        is_linear = isinstance(primitive, (LinearPrimitive, Linearwise))
        rule = by_coefficient if is_linear else by_derivative
    found = rule(primitive, args, order, params)
    if primitive.multiple_results:
        return [_of_floats(s) for s in found]
    return _of_floats(found)


def _of_floats(series: Series) -> Series:
    """Without what a rule may give as the derivative of integers."""
    if dtypes.is_inexact(series[0].dtype):
        return series
    return [series[0], *[None] * (len(series) - 1)]


# ---- rules for any primitive


def by_coefficient(primitive: Any, args: Sequence[Series], order: int, params: Any) -> Any:
    """For what is linear, at least near these values: the derivative at each coefficient."""
    primals = [s[0] for s in args]
    out = primitive(*primals, **params)
    columns = []
    for k in range(1, order + 1):
        tangents = [s[k] for s in args]
        given = any(t is not None for t in tangents)
        columns.append(primitive.jvp(primals, tangents, out, **params) if given else None)
    if not primitive.multiple_results:
        return [out, *columns]
    return [[y, *(None if c is None else c[i] for c in columns)] for i, y in enumerate(out)]


def by_derivative(primitive: Any, args: Sequence[Series], order: int, params: Any) -> Any:
    """For any other: the series of the forward rule, integrated.

    Of y(t) = f(x(t)) that rule gives y'(t) from x(t), x'(t) and y(t), if these are known to t^(n-1)
    then to t^(n-1); and so y to t^n. The series of y is found in the same way, if the rule asks.
    """
    if primitive.own_forward or primitive.multiple_results:
        return _by_forward_mode(primitive, args, order, params)
    out = primitive(*[s[0] for s in args], **params)
    if order == 0 or not dtypes.is_inexact(out.dtype):
        return [out, *[None] * order]
    before = [s[:-1] for s in args]
    trace = TaylorTrace(state.trace, order - 1)
    y = TaylorTracer(trace, out, lambda: series_of(primitive, before, order - 1, params)[1:])
    with _remembering(), running(trace):
        xs = [trace.tracer(s) for s in before]
        dxs = [_derivative(trace, s) for s in args]
        dy = primitive.jvp(xs, dxs, y, **params)
        return _integral(trace, out, dy)


def _by_forward_mode(primitive: Any, args: Sequence[Series], order: int, params: Any) -> Any:
    outs = primitive(*[s[0] for s in args], **params)
    many = primitive.multiple_results
    floats = [dtypes.is_inexact(y.dtype) for y in (outs if many else [outs])]
    if order == 0 or not any(floats):
        found = [[y, *[None] * order] for y in (outs if many else [outs])]
        return found if many else found[0]
    trace = TaylorTrace(state.trace, order - 1)

    def call(*xs: Any) -> Any:
        found = primitive(*xs, **params)
        return found if many else [found]

    with _remembering(), running(trace):
        xs = [trace.tracer(s[:-1]) for s in args]
        dxs = [_derivative(trace, s) for s in args]
        _, dys = forward.jvp(call, xs, dxs)
        found = [
            _integral(trace, y, dy if is_float else None)
            for y, dy, is_float in zip(outs if many else [outs], dys, floats, strict=True)
        ]
    return found if many else found[0]


def _derivative(trace: TaylorTrace, series: Series) -> Any:
    """x'(t) with its series; None if it is zero."""
    terms = [scaled(c, k) for k, c in enumerate(series[1:], 1)]
    if all(c is None for c in terms):
        return None
    with inside(trace.parent):
        first = zeros_of(series[0]) if terms[0] is None else terms[0]
    return trace.tracer([first, *terms[1:]])


def _integral(trace: TaylorTrace, first: Any, derivative: Any) -> Series:
    """The series whose value is `first` and whose derivative is given."""
    if derivative is None:
        return [first, *[None] * (trace.order + 1)]
    terms = trace.series(derivative)
    with inside(trace.parent):
        return [first, *(divided(c, k) for k, c in enumerate(terms, 1))]


def scaled(x: Any, factor: float) -> Any:
    """`x` times a number; None is zero."""
    return x if x is None or factor == 1 else mul(x, like(x, factor))


def divided(x: Any, number: float) -> Any:
    """`x` over a number; None is zero."""
    return x if x is None or number == 1 else div(x, like(x, number))
