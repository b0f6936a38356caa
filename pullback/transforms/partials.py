"""From a tape to its graph of scalars: every element a vertex, every local partial an edge.

The values of edges are Python floats where they are known now, a `Gate` where a selection decides,
and else arrays of rank 0 in the current trace: so what comes out is ordinary operations, and
whatever surrounds them (jit, vmap, grad) meets them as such.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import HostArray
from ..core.errors import error
from ..core.primitive import Linear
from ..core.program import RecordTrace, run_closed
from ..core.trace import EVAL, Trace, inside, quiet, state, type_of
from ..ops.elementwise import add, convert_element_type, div, like, mul, neg, select_n
from ..ops.stacking import unstack
from ..ops.structural import move_axis, reshape, zeros
from . import batch
from .elimination import Algebra, Gate, Graph, is_unit
from .reverse import Tape, TapeTracer

Element = tuple[int, float] | None
"""A tangent: 1 or -1 times a vertex; None is zero."""

MOST = 50_000
"""Scalars in a linearization above which taking it apart is refused."""


class Traced:
    """The algebra of values in the current trace."""

    def times(self, outer: Any, inner: Any) -> Any:
        """The product; by a gate it is a selection, so that an infinity behind it stays there."""
        if isinstance(outer, float) and isinstance(inner, float):
            return outer * inner
        for one, other in ((outer, inner), (inner, outer)):
            if isinstance(one, float):
                return self.scaled(other, one)
        for one, other in ((outer, inner), (inner, outer)):
            if type(one) is Gate:
                value = self.number(other) if type(other) is Gate else other
                return one.chosen(value if one.sign == 1.0 else neg(value))
        return mul(*_of_one_dtype(outer, inner))

    def plus(self, one: Any, other: Any) -> Any:
        """The sum."""
        if isinstance(one, float) and isinstance(other, float):
            return one + other
        x, y = self.number(one), self.number(other)
        if isinstance(x, float):
            x = like(y, x)
        elif isinstance(y, float):
            y = like(x, y)
        return add(*_of_one_dtype(x, y))

    def scaled(self, x: Any, factor: float) -> Any:
        """`x` times a constant."""
        if factor == 1.0:
            return x
        if type(x) is Gate:
            if factor == -1.0:
                return Gate(x.chosen, -x.sign)
            x = self.number(x)
        return neg(x) if factor == -1.0 else mul(x, like(x, factor))

    def number(self, x: Any) -> Any:
        """A gate as the number that it is."""
        return x.chosen(None if x.sign == 1.0 else -1.0) if type(x) is Gate else x


def _of_one_dtype(x: Any, y: Any) -> tuple[Any, Any]:
    if x.dtype == y.dtype:
        return x, y
    wide = max(x.dtype, y.dtype, key=lambda d: d.itemsize)
    return _as(x, wide), _as(y, wide)


def _as(x: Any, dtype: Any) -> Any:
    if x.dtype == dtype:
        return x
    return convert_element_type(x, new_dtype=dtype, weak_type=False)


class Builder:
    """Writes tapes into one graph."""

    def __init__(self) -> None:
        self.graph, self.algebra = Graph(), Traced()
        self.recording = _is_recording(state.trace)
        self.blocks = 0
        """Entries whose local Jacobian is taken whole, because nothing is known of its parts."""
        self._parts: dict[int, tuple[Any, list[Any]]] = {}
        self._inverses: dict[int, tuple[Any, Any]] = {}

    # ---- the walk along a tape

    def write(
        self, tape: Tape, places: Sequence[Linear | None], inputs: list[list[Element]]
    ) -> list[list[Element] | None]:
        """The elements of the outputs of `tape`, given those of its inputs."""
        env: dict[int, list[Element]] = dict(enumerate(inputs))
        for entry in tape.entries:
            args = [env[a.index] if type(a) is Linear else a for a in entry.args]
            for i, elements in enumerate(self.entry(entry, args)):
                env[entry.index + i] = elements
            if len(self.graph.preds) > MOST:
                raise too_many(len(self.graph.preds))
        return [None if p is None else env[p.index] for p in places]

    def entry(self, entry: Linear, args: list[Any]) -> list[list[Element]]:
        """The elements of the results of one entry."""
        primitive = entry.primitive
        if primitive.name == "known":
            return [[None] * type_of(args[0]).size]
        if primitive.multiple_results:
            inner = primitive.called_program(entry.params)
            if inner is not None:
                return self.called(inner, entry, args)
        out = None if primitive.multiple_results else entry.aval
        if out is not None:
            _check_real(out)
            if out.size > MOST:
                raise too_many(out.size)
        rule = _RULES.get(primitive.name)
        if rule is not None:
            return [rule(self, entry, args, out)]
        if primitive.name in _MOVES and all(_is_movable(a) for a in args):
            return self.moved(entry, args)
        return self.block(entry, args)

    def called(self, program: Any, entry: Linear, args: list[Any]) -> list[list[Element]]:
        """A call of a program: its own operations."""
        tape = Tape(state.trace, None)
        tracers = [tape.new_input(a.aval) if type(a) is Linear else a for a in entry.args]
        with inside(tape):
            outs = run_closed(program, tracers)
        places = [y.linear if type(y) is TapeTracer and y.owner is tape else None for y in outs]
        found = self.write(tape, places, [a for a in args if type(a) is list])
        return [
            [None] * t.size if e is None else e
            for e, t in zip(found, program.out_avals, strict=True)
        ]

    # ---- vertices

    def combined(self, terms: list[tuple[Element, Any]]) -> Element:
        """The tangent that is the sum of `element * value` over `terms`."""
        edges: dict[int, Any] = {}
        for element, value in terms:
            if element is None or (isinstance(value, float) and value == 0.0):
                continue
            v, sign = element
            value = (
                self.algebra.scaled(value, sign) if not isinstance(value, float) else (value * sign)
            )
            edges[v] = value if v not in edges else self.algebra.plus(edges[v], value)
        edges = {v: x for v, x in edges.items() if not (isinstance(x, float) and x == 0.0)}
        if not edges:
            return None
        if len(edges) == 1:
            ((v, value),) = edges.items()
            if is_unit(value):
                return v, value
        new = self.graph.vertex()
        for v, value in edges.items():
            self.graph.connect(v, new, value, self.algebra)
        return new, 1.0

    def parts(self, x: Any) -> list[Any]:
        """The elements of a known array: floats if it is a constant, else values in the trace."""
        if self.constant(x):
            return [float(v) for v in np.asarray(x._value).ravel()]
        shape = type_of(x).shape
        if shape == ():
            return [x]
        have = self._parts.get(id(x))
        if have is None:
            size = type_of(x).size
            flat = x if len(shape) == 1 else reshape(x, new_sizes=(size,))
            have = self._parts[id(x)] = (x, list(unstack(flat, axis=0)))
        return have[1]

    def inverse(self, x: Any) -> Any:
        """1 / x, once for each x."""
        have = self._inverses.get(id(x))
        if have is None:
            have = self._inverses[id(x)] = (x, div(like(x, 1.0), x))
        return have[1]

    def constant(self, x: Any) -> bool:
        """Whether `x` is the same at each point.

        Outside of recordings every value is known. Then the weak ones, which come from Python's
        numbers, and the integers, which have no derivatives, are taken as constants.
        """
        return _is_host(x) and (self.recording or x.weak_type or x.dtype.kind in "biu")

    # ---- what has no rule of its own

    def moved(self, entry: Linear, args: list[Any]) -> list[list[Element]]:
        """Moves only: do them to numbers of elements, and see which went where."""
        elements: list[Element] = []
        numbers = []
        for a, place in zip(args, entry.args, strict=True):
            if type(a) is list:
                count = np.arange(len(a), dtype=np.int64) + len(elements)
                numbers.append(count.reshape(place.shape))
                elements += a
            elif a.dtype.kind in "biu":
                numbers.append(np.asarray(a._value))
            else:  # a known tangent among unknown ones is zero
                numbers.append(np.full(type_of(a).shape, -1, np.int64))
        with quiet():
            outs = entry.primitive.eval(*numbers, **entry.params)
        n = len(elements)
        return [
            [elements[i] if 0 <= i < n else None for i in np.asarray(y).ravel().tolist()]
            for y in (outs if entry.primitive.multiple_results else [outs])
        ]

    def block(self, entry: Linear, args: list[Any]) -> list[list[Element]]:
        """The local Jacobian whole, from one product with each vector of the basis."""
        known = [a for a in args if type(a) is not list]
        constant = all(self.constant(a) for a in known)
        self.blocks += not constant
        places = [i for i, a in enumerate(args) if type(a) is list]
        for i in places:
            _check_real(entry.args[i].aval)
        with inside(EVAL if constant else state.trace):
            found = [_local(entry, i) for i in places]
        rows: list[list[Element]] = []
        for k in range(entry.count):
            columns = [(args[i], f[k]) for i, f in zip(places, found, strict=True)]
            rows.append(self._rows(columns, constant))
        return rows

    def _rows(self, columns: list[tuple[list[Element], Any]], constant: bool) -> list[Element]:
        """The elements of an output, given the (size, inputs) block of each linear argument."""
        terms: dict[int, list[tuple[Element, Any]]] = {}
        size = 0
        for elements, matrix in columns:
            if matrix is None:
                continue
            size = type_of(matrix).shape[1]
            values = (
                [float(v) for v in np.asarray(matrix._value).ravel()]
                if constant
                else self.parts(matrix)
            )
            for i, e in enumerate(elements):
                for o in range(size):
                    terms.setdefault(o, []).append((e, values[i * size + o]))
        return [self.combined(terms.get(o, [])) for o in range(size)]


def _local(entry: Linear, at: int) -> list[Any]:
    """For each result an array (elements of argument `at`, elements of the result)."""
    if entry.primitive.name == "custom_lin":
        return _pulled(entry, at)
    t = entry.args[at].aval

    def push(tangent: Any) -> list[Any]:
        args = [
            tangent if i == at else zeros(a.aval) if type(a) is Linear else a
            for i, a in enumerate(entry.args)
        ]
        out = entry.primitive(*args, **entry.params)
        return list(out) if entry.primitive.multiple_results else [out]

    outs, axes = batch.vmap(push, t.size, [_basis(t)], [0])
    sizes = [type_of(y).size // t.size if a is not None else 0 for y, a in zip(outs, axes)]
    for y in outs:
        _check_real(type_of(y))
    return [
        None if a is None else reshape(move_axis(y, a, 0), new_sizes=(t.size, n))
        for y, a, n in zip(outs, axes, sizes, strict=True)
    ]


def _pulled(entry: Linear, at: int) -> list[Any]:
    """The same of a derivative that is known by its transpose only."""
    found = []
    for k, t in enumerate(entry._aval):

        def pull(ct: Any, k: int = k) -> list[Any]:
            cts = [ct if i == k else None for i in range(entry.count)]
            got = entry.primitive.transpose(cts, *entry.args, **entry.params)[at]
            return [zeros(entry.args[at].aval) if got is None else got]

        (y,), (axis,) = batch.vmap(pull, t.size, [_basis(t)], [0])
        n = entry.args[at].aval.size
        flat = None if axis is None else reshape(move_axis(y, axis, 0), new_sizes=(t.size, n))
        found.append(None if flat is None else move_axis(flat, 0, 1))
    return found


def _basis(t: Any) -> HostArray:
    eye = np.zeros((t.size, t.size), t.dtype)
    eye[np.arange(t.size), np.arange(t.size)] = 1
    return HostArray(eye.reshape(t.size, *t.shape))


def _is_host(x: Any) -> bool:
    return type(x) is HostArray


def _is_movable(x: Any) -> bool:
    """Whether the place where `x` goes is known: indices must be, and known tangents are zero."""
    return type(x) is list or type(x) is HostArray or dtypes.is_inexact(x.dtype)


def _is_recording(trace: Trace | None) -> bool:
    while trace is not None:
        if isinstance(trace, RecordTrace):
            return True
        trace = trace.parent
    return False


def _check_real(t: Any) -> None:
    if dtypes.kind(t.dtype) == "c":
        raise error(
            TypeError,
            "elimination works on real numbers, and the derivative of this function passes "
            "through complex ones.",
            got=t.str_short(),
            fix="use mode='forward' or mode='reverse', or write real and imaginary parts apart.",
        )


def too_many(count: int) -> Exception:
    """The error for a function whose linearization is too large to take apart."""
    return error(
        ValueError,
        "elimination takes arrays apart into scalars, and this function has too many of them.",
        got=f"{count} scalars; {MOST} are allowed",
        fix="apply it to the function of one point and vmap that, or use mode='forward' or "
        "mode='reverse'.",
    )


# ---- rules: the elements of the result, from those of the linear arguments


def _at(values: list[Any], i: int) -> Any:
    return values[0] if len(values) == 1 else values[i]


def _sum(signs: tuple[float, float]) -> Callable[..., list[Element]]:
    def rule(b: Builder, entry: Linear, args: list[Any], out: Any) -> list[Element]:
        lists = [(a, s) for a, s in zip(args, signs, strict=True) if type(a) is list]
        return [b.combined([(_at(a, i), s) for a, s in lists]) for i in range(out.size)]

    return rule


def _negated(b: Builder, entry: Linear, args: list[Any], out: Any) -> list[Element]:
    return [None if e is None else (e[0], -e[1]) for e in args[0]]


def _same(b: Builder, entry: Linear, args: list[Any], out: Any) -> list[Element]:
    return args[0]  # type: ignore[no-any-return]


def _product(b: Builder, entry: Linear, args: list[Any], out: Any) -> list[Element]:
    elements, known = args if type(args[0]) is list else args[::-1]
    values = b.parts(known)
    return [b.combined([(_at(elements, i), _at(values, i))]) for i in range(out.size)]


def _quotient(b: Builder, entry: Linear, args: list[Any], out: Any) -> list[Element]:
    if b.constant(args[1]):
        values: list[Any] = [1.0 / v if v else float("inf") for v in b.parts(args[1])]
    else:
        values = b.parts(b.inverse(args[1]))
    return [b.combined([(_at(args[0], i), _at(values, i))]) for i in range(out.size)]


def _selected(b: Builder, entry: Linear, args: list[Any], out: Any) -> list[Element]:
    which, *cases = args
    if b.constant(which):
        chosen = np.broadcast_to(np.asarray(which._value).astype(np.int64), out.shape).ravel()
        picked = [cases[min(max(k, 0), len(cases) - 1)] for k in chosen.tolist()]
        return [_at(c, i) if type(c) is list else None for i, c in enumerate(picked)]
    tests = b.parts(which) if type_of(which).shape else [which]
    found = []
    for i in range(out.size):
        gates = [
            (_at(c, i), Gate(_chooser(_at(tests, i), k, len(cases), out.dtype)))
            for k, c in enumerate(cases)
            if type(c) is list
        ]
        same = len(gates) == len(cases) and len({e for e, _ in gates}) == 1
        found.append(gates[0][0] if same else b.combined(gates))
    return found


def _chooser(test: Any, case: int, count: int, dtype: Any) -> Callable[[Any], Any]:
    """What gives a value where `test` chooses `case`, and zero elsewhere; a number is filled in."""

    def chosen(value: Any) -> Any:
        if value is None or isinstance(value, float):
            value = HostArray(dtype.type(1.0 if value is None else value))
        zero = zeros(type_of(value))
        return select_n(test, *[value if i == case else zero for i in range(count)])

    return chosen


def _contracted(b: Builder, entry: Linear, args: list[Any], out: Any) -> list[Element]:
    (con_x, con_y), (bat_x, bat_y) = entry.params["dimension_numbers"]
    axes = [(bat_x, con_x), (bat_y, con_y)]
    sides, numbers = [], []
    for a, place, (bat, con) in zip(args, entry.args, axes, strict=True):
        shape = type_of(place).shape if type(place) is not Linear else place.shape
        free = [d for d in range(len(shape)) if d not in bat and d not in con]
        index = np.arange(int(np.prod(shape))).reshape(shape).transpose(*bat, *free, *con)
        nb, nf = len(bat), len(free)
        sizes = [int(np.prod(index.shape[:nb])), int(np.prod(index.shape[nb : nb + nf]))]
        numbers.append(index.reshape(*sizes, -1))
        sides.append(a if type(a) is list else b.parts(a))
    x_linear = type(args[0]) is list
    found = []
    for rows, columns in zip(*numbers, strict=True):
        for row in rows.tolist():
            for column in columns.tolist():
                pairs = [(sides[0][i], sides[1][j]) for i, j in zip(row, column, strict=True)]
                found.append(b.combined([p if x_linear else p[::-1] for p in pairs]))
    return found


_RULES: dict[str, Callable[..., list[Element]]] = {
    "add": _sum((1.0, 1.0)),
    "add_any": _sum((1.0, 1.0)),
    "sub": _sum((1.0, -1.0)),
    "neg": _negated,
    "convert_element_type": _same,
    "copy": _same,
    "mul": _product,
    "div": _quotient,
    "select_n": _selected,
    "dot_general": _contracted,
}

_MOVES = {
    *("broadcast_in_dim", "concatenate", "expand_dims", "gather", "pad", "reshape", "rev"),
    *("slice", "split", "squeeze", "stack", "tile", "transpose", "unstack"),
    *("dynamic_slice", "dynamic_update_slice"),
}
"""They move elements and change none."""


__all__ = ["MOST", "Algebra", "Builder", "Element", "Traced", "too_many"]
