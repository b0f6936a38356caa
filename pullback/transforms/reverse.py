"""Reverse mode: forward mode with the tangents recorded on a tape; then the tape, backward.

`linearize` runs the primals in the surrounding trace and writes what happens to the tangents on a
`Tape`. Every entry is linear in its `Linear` arguments, so the tape can be run forward (`push`) or
transposed (`pull`): the entries in reverse order, each by its primitive's transpose rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..core.array import Array, HostArray, Tracer
from ..core.primitive import Linear
from ..core.trace import Trace, escaped, host_array, running, state, type_of
from ..core.types import ArrayType
from ..ops.elementwise import add_any, mul
from ..ops.structural import reduce_sum
from .forward import NO_PARAMS, DualTrace, DualTracer


def linearize(
    function: Callable[..., Sequence[Any]],
    primals: Sequence[Any],
    wrt: Sequence[bool],
    of: Any = None,
) -> tuple[list[Any], Tape, list[Linear | None]]:
    """Values of `function(*primals)`, the tape of its tangents, and the outputs on that tape.

    Only inputs marked in `wrt`, which are Arrays, have a tangent. `of` is the user's function. An
    output of None does not depend on them.
    """
    surrounding = state.trace
    tape = make.tape(surrounding, of)
    trace = make.trace(surrounding, tape, of)
    state.trace = trace
    try:
        inputs = [
            DualTracer(trace, x, tape.new_input(x.aval)) if active else x
            for x, active in zip(primals, wrt)
        ]
        outs, tangents = trace.split(function(*inputs))
    finally:
        state.trace = surrounding
        trace.alive = tape.alive = False
    return outs, tape, [None if t is None else t.linear for t in tangents]


class LinearizeTrace(DualTrace):
    """Primals go on in the surrounding trace; tangents are written on the tape."""

    __slots__ = ()
    verb = "grad"

    def __init__(self, parent: Trace, tape: Tape, of: Any = None) -> None:
        super().__init__(parent, of)
        self.tangents = tape

    def dual(self, out: Any, tangent: Any) -> DualTracer:
        if type(tangent) is not TapeTracer or tangent.owner is not self.tangents:
            tangent = self.tangents.lift(tangent)
        elif type(out) is HostArray and out.shape:
            # Transpose rules ask for it: cheaper than to work it out.
            tangent.linear._aval = out.aval
        return DualTracer(self, out, tangent)

    def product(self, tangent: Any, slope: Any) -> Any:
        return self.tangents.scaled(tangent, slope)


# ---- the tape


class TapeTracer(Tracer):
    """A tangent that is not known yet: a place on the tape."""

    __slots__ = ("linear",)

    def __init__(self, trace: Tape, linear: Linear) -> None:
        self.owner, self.linear = trace, linear

    @property
    def aval(self) -> ArrayType:
        """Shape, dtype and weakness."""
        return self.linear.aval


class Tape(Trace):
    """Linear operations in the order of their doing. Others go to the surrounding trace."""

    __slots__ = ("avals", "count", "entries")
    verb = "the linear part of grad"

    def __init__(self, parent: Trace, of: Any = None) -> None:
        self.parent, self.of, self.alive = parent, of, True
        self.entries: list[Linear] = []
        self.avals: list[ArrayType] = []
        self.count = 0

    def new_input(self, aval: ArrayType) -> TapeTracer:
        """A new input of the tape. All inputs come before the first entry."""
        place = Linear(self.count, 1, None, (), None, aval)
        self.avals.append(aval)
        self.count += 1
        return TapeTracer(self, place)

    def lift(self, tangent: Any) -> TapeTracer:
        """`tangent`, which may not depend on the inputs, as a place on the tape.

        A rule may return a tangent that is a known number, such as an exact zero.
        """
        if type(tangent) is TapeTracer and tangent.owner is self:
            return tangent
        known = Linear(self.count, 1, _Known(), (), {}, type_of(tangent))
        known.args = (host_array(tangent) if not isinstance(tangent, Tracer) else tangent,)
        self.count += 1
        self.entries.append(known)
        return TapeTracer(self, known)

    def process(self, primitive: Any, args: Any, params: Any) -> Any:
        """Enter the operation if one of `args` is on this tape."""
        for a in args:
            if type(a) is TapeTracer and a.owner is self:
                break
        else:
            return self.parent.process(primitive, args, params)
        places = [
            a.linear
            if type(a) is TapeTracer and a.owner is self
            else (a if isinstance(a, Array) else host_array(a))
            for a in args
        ]
        if not self.alive:
            raise escaped(next(a for a in args if type(a) is TapeTracer))
        if primitive.multiple_results:
            return primitive.record(self, places, params)
        place = Linear(self.count, 1, primitive, places, params, None)
        self.count += 1
        self.entries.append(place)
        return TapeTracer(self, place)

    def scaled(self, x: TapeTracer, slope: Any) -> TapeTracer:
        """A new entry: `mul(x, slope)`."""
        # A tangent has the type of its primal and so of the product: no need to work it out.
        place = Linear(self.count, 1, mul, (x.linear, slope), NO_PARAMS, x.linear._aval)
        self.count += 1
        self.entries.append(place)
        return TapeTracer(self, place)

    def enter(self, primitive: Any, args: list[Any], params: Any) -> list[TapeTracer]:
        """A new entry of a primitive with several results; these as tracers."""
        avals = primitive.typing(*[type_of_place(a) for a in args], **params)
        first = self.count
        self.count += len(avals)
        self.entries.append(Linear(first, len(avals), primitive, args, params, avals))
        return [
            TapeTracer(self, Linear(first + i, 1, None, (), None, t)) for i, t in enumerate(avals)
        ]

    def tracer(self, place: Linear) -> TapeTracer:
        """The tracer of a place on this tape."""
        return TapeTracer(self, place)

    def known(self) -> list[Any]:
        """The values that the entries have kept: the residuals."""
        return [a for entry in self.entries for a in entry.args if type(a) is not Linear]

    def forget_dead(self, outputs: Sequence[Linear | None]) -> None:
        """Drop the entries that no output depends on, and with them their residuals."""
        live = {place.index for place in outputs if place is not None}
        kept = []
        for entry in reversed(self.entries):
            if any(i in live for i in range(entry.index, entry.index + entry.count)):
                live.update(a.index for a in entry.args if type(a) is Linear)
                kept.append(entry)
        self.entries = kept[::-1]

    def with_known(self, values: Sequence[Any]) -> Tape:
        """The same tape with other residuals, in the order of `known`."""
        new, rest = type(self)(state.trace, self.of), iter(values)
        new.avals, new.count = self.avals, self.count
        for e in self.entries:
            args = [a if type(a) is Linear else next(rest) for a in e.args]
            new.entries.append(Linear(e.index, e.count, e.primitive, args, e.params, e._aval))
        return new

    def pull(
        self, outputs: Sequence[Linear | None], cotangents: Sequence[Any], consume: bool = False
    ) -> list[Any]:
        """From cotangents of `outputs` to those of the inputs (None: zero).

        With `consume`, each entry is dropped as soon as it is done, so that memory is freed.
        """
        cts: list[Any] = [None] * self.count
        for place, ct in zip(outputs, cotangents):
            if place is not None and ct is not None:
                have = cts[place.index]
                cts[place.index] = ct if have is None else add_any(have, ct)
        entries = self.entries if consume else self.entries.copy()
        while entries:
            entry = entries.pop()
            i, primitive = entry.index, entry.primitive
            if primitive.multiple_results:
                ct = cts[i : i + entry.count]
                if all(c is None for c in ct):
                    continue
                cts[i : i + entry.count] = [None] * entry.count
            else:
                ct = cts[i]
                if ct is None:
                    continue
                cts[i] = None
            if primitive is reduce_sum and not ct.shape and _is_scaled(entry.args[0]):
                found = [ct]  # it stands for the array filled with it: what follows is a product
            else:
                found = primitive.transpose(ct, *entry.args, **entry.params)
            for arg, c in zip(entry.args, found):
                if c is not None and type(arg) is Linear:
                    have = cts[arg.index]
                    cts[arg.index] = c if have is None else add_any(have, c)
        return cts[: len(self.avals)]

    def push(self, outputs: Sequence[Linear | None], tangents: Sequence[Any]) -> list[Any]:
        """Run the tape forward: from tangents of the inputs to those of `outputs`."""
        env: list[Any] = [*tangents] + [None] * (self.count - len(tangents))
        for entry in self.entries:
            args = [env[a.index] if type(a) is Linear else a for a in entry.args]
            out = entry.primitive(*args, **entry.params)
            if entry.primitive.multiple_results:
                env[entry.index : entry.index + entry.count] = out
            else:
                env[entry.index] = out
        return [None if place is None else env[place.index] for place in outputs]


class Make:
    """What `linearize` makes. Modes that few use put something else in its place: see modes."""

    __slots__ = ("tape", "trace")

    def __init__(self) -> None:
        self.tape: Callable[..., Tape] = Tape
        self.trace: Callable[..., LinearizeTrace] = LinearizeTrace


make = Make()


class _Known:
    """The entry of a tangent that does not depend on the tape's inputs."""

    multiple_results = False
    name = "known"

    def __call__(self, value: Any) -> Any:
        return value

    def transpose(self, ct: Any, value: Any) -> list[Any]:
        return [None]


def _is_scaled(place: Linear) -> bool:
    """Whether a tangent is the product of another one and a known array of the same shape."""
    if place.primitive is not mul:
        return False
    known = place.args[1]
    return type(known) is not Linear and known.shape == place.shape


def type_of_place(x: Any) -> ArrayType:
    """The type of an argument of an entry: a place on the tape, or a known value."""
    return x.aval if type(x) is Linear else type_of(x)


def tape_of(
    function: Callable[..., Sequence[Any]], types: Sequence[ArrayType], parent: Trace
) -> tuple[Tape, list[ArrayType], list[Linear | None]]:
    """A linear function on a tape, the types of its outputs, and their places (None: zero).

    An output that does not depend on the inputs must be zero to be linear; it is taken as zero.
    """
    tape = make.tape(parent, function)
    with running(tape):
        outs = function(*[tape.new_input(t) for t in types])
        own = [type(y) is TapeTracer and y.owner is tape for y in outs]
    return (
        tape,
        [type_of(y) for y in outs],
        [y.linear if mine else None for y, mine in zip(outs, own, strict=True)],
    )
