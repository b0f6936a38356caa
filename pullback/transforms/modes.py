"""Modes of differentiation that few use: strong zeros, and tapes that know the user's lines.

They cost nothing until a setting first asks for one. From then on `jvp` and `linearize` make the
traces and tapes here, where the settings of the thread say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..core.checking import Origin, here, lines_wanted, standing_at
from ..core.primitive import Linear
from ..core.settings import values, watchers
from ..core.trace import Trace, state
from ..ops.elementwise import mul
from ..ops.strong import StrongTrace, strong_form, strong_mul
from . import forward, reverse
from .forward import NO_PARAMS, DualTrace, DualTracer, JVPTrace
from .reverse import LinearizeTrace, Tape, TapeTracer

_BY_NAME = ("pullback_strong_zero", "pullback_source_lines", "jax_debug_nans", "jax_debug_infs")
_FIRST_IS_STRONG = {"strong": (True, False)}


def mode() -> Any:
    """What distinguishes the derivatives of a program in this thread: whether zeros are strong."""
    return values.pullback_strong_zero


# ---- strong zeros


class StrongTape(Tape):
    """A tape on which the products of tangents are strong."""

    __slots__ = ()

    def process(self, primitive: Any, args: Any, params: Any) -> Any:
        own = tuple(type(a) is TapeTracer and a.owner is self for a in args)
        if True in own and not primitive.multiple_results:
            primitive, params = strong_form(primitive, own, params)
        return super().process(primitive, args, params)

    def scaled(self, x: TapeTracer, slope: Any) -> TapeTracer:
        place = Linear(
            self.count, 1, strong_mul, (x.linear, slope), _FIRST_IS_STRONG, x.linear._aval
        )
        self.count += 1
        self.entries.append(place)
        return TapeTracer(self, place)


class StrongJVPTrace(JVPTrace):
    """Forward mode in which the tangents are marked, so that their products are strong."""

    __slots__ = ()

    def __init__(self, parent: Trace, of: Any = None) -> None:
        super().__init__(parent, of)
        self.tangents = StrongTrace(parent)

    def process(self, primitive: Any, args: Any, params: Any) -> Any:
        for a in args:
            if type(a) is DualTracer and a.owner is self:
                a.tangent = self.tangents.marked(a.tangent)
        return super().process(primitive, args, params)

    def _forward(self, primitive: Any, primals: Any, tangents: Any, params: Any) -> Any:
        outs = super()._forward(primitive, primals, tangents, params)
        return self._plain(outs) if not primitive.multiple_results else list(map(self._plain, outs))

    def _plain(self, y: Any) -> Any:
        """A rule may compute values together with tangents: a value is not marked."""
        if type(y) is DualTracer and y.owner is self:
            y.primal = self.tangents.open(y.primal)
            return y
        return self.tangents.open(y)

    def product(self, tangent: Any, slope: Any) -> Any:
        return self.tangents.process(mul, (tangent, slope), NO_PARAMS)

    def split(self, outputs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        primals, tangents = super().split(outputs)
        return primals, self.tangents.opened(tangents)  # type: ignore[no-any-return]


# ---- lines


class _Entries(list[Linear]):
    """The entries of a tape, which know where they were made, and say so when they are done."""

    __slots__ = ("origins",)

    def __init__(self, entries: Sequence[Linear] = (), origins: Any = None) -> None:
        super().__init__(entries)
        self.origins: dict[int, Origin] = {} if origins is None else origins

    def append(self, entry: Linear) -> None:
        self.origins[entry.index] = here()
        super().append(entry)

    def copy(self) -> _Entries:
        return _Entries(self, self.origins)

    def pop(self, at: Any = -1) -> Linear:
        entry = super().pop(at)
        origin = self.origins.get(entry.index)
        if origin is not None:
            state.origin = origin._replace(backward=True)
        return entry

    def forward(self) -> Iterator[Linear]:
        """The entries in their order, each saying where it stands."""
        for entry in self:
            state.origin = self.origins.get(entry.index)
            yield entry


class LocatedTape(Tape):
    """A tape that knows the user's line of each entry."""

    __slots__ = ()
    entries: Any

    def __init__(self, parent: Trace, of: Any = None) -> None:
        super().__init__(parent, of)
        self.entries = _Entries()

    def pull(self, outputs: Any, cotangents: Any, consume: bool = False) -> list[Any]:
        with standing_at(state.origin):
            return super().pull(outputs, cotangents, consume)

    def push(self, outputs: Any, tangents: Any) -> list[Any]:
        own = self.entries
        with standing_at(state.origin):
            self.entries = own.forward()
            try:
                return super().push(outputs, tangents)
            finally:
                self.entries = own

    def forget_dead(self, outputs: Any) -> None:
        origins = self.entries.origins
        super().forget_dead(outputs)
        self.entries = _Entries(self.entries, origins)

    def with_known(self, values: Sequence[Any]) -> Tape:
        new = super().with_known(values)
        new.entries = _Entries(new.entries, self.entries.origins)
        return new


class _Located(DualTrace):
    """Operations of a rule stand on the line of the operation whose derivative they are."""

    __slots__ = ()

    def process(self, primitive: Any, args: Any, params: Any) -> Any:
        if primitive.multiple_results:
            return super().process(primitive, args, params)
        with standing_at(here()._replace(of=primitive.name)):
            return super().process(primitive, args, params)


class LocatedLinearizeTrace(_Located, LinearizeTrace):
    """`LinearizeTrace` whose operations know whose derivative they belong to."""

    __slots__ = ()


class LocatedJVPTrace(_Located, JVPTrace):
    """`JVPTrace` likewise."""

    __slots__ = ()


class StrongLocatedJVPTrace(_Located, StrongJVPTrace):
    """Both."""

    __slots__ = ()


class StrongLocatedTape(StrongTape, LocatedTape):
    """Both."""

    __slots__ = ()


# ---- what is made


def _jvp_trace(parent: Trace, of: Any = None) -> DualTrace:
    if values.pullback_strong_zero:
        return (StrongLocatedJVPTrace if lines_wanted() else StrongJVPTrace)(parent, of)
    return (LocatedJVPTrace if lines_wanted() else JVPTrace)(parent, of)


def _linearize_trace(parent: Trace, tape: Tape, of: Any = None) -> LinearizeTrace:
    return (LocatedLinearizeTrace if lines_wanted() else LinearizeTrace)(parent, tape, of)


def _tape(parent: Trace, of: Any = None) -> Tape:
    if values.pullback_strong_zero:
        return (StrongLocatedTape if lines_wanted() else StrongTape)(parent, of)
    return (LocatedTape if lines_wanted() else Tape)(parent, of)


def _begin(name: str, value: Any) -> None:
    if name in _BY_NAME and value:
        forward.make.trace = _jvp_trace
        reverse.make.trace, reverse.make.tape = _linearize_trace, _tape


watchers.append(_begin)
for _setting in _BY_NAME:
    _begin(_setting, getattr(values, _setting))

__all__ = ["mode"]
