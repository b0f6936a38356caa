"""A program becomes StableHLO: one rule for each primitive writes its operations."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from ...core.program import (
    Atom,
    ClosedProgram,
    Equation,
    Literal,
    Program,
    Var,
    sub_programs,
    trace_program,
)
from ...core.settings import values
from ...core.types import ArrayType
from ...transforms.simplify import simplify
from .text import Code, Region, Result, Word
from .types import Unsupported, stored

Rule = Callable[["Lowering", Equation, list[Word]], Sequence[Word]]

_INLINE = 1024
"""Bytes of a constant above which the program takes it as an argument: text is slow to read."""


class _Inside(threading.local):
    callback = False
    """Whether this thread is in a callback."""


_inside = _Inside()


def in_callback() -> bool:
    """Whether this thread runs a callback of a program."""
    return _inside.callback


_alone = threading.RLock()


class Caller:
    """The settings of the thread that runs a program: callbacks may run on another one."""

    def __init__(self) -> None:
        self.thread, self.settings = 0, {}  # type: ignore[var-annotated]
        self.raised: list[BaseException] = []
        """What callbacks raised in a program on several devices, which has gone on."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """It is this thread that runs the program meanwhile.

        One thread at a time: callbacks that run programs on all of XLA's threads would leave none
        for these programs, and all would wait for ever.
        """
        with nullcontext() if _inside.callback else _alone:
            self.thread, self.settings = threading.get_ident(), dict(vars(values))
            yield

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Its settings hold meanwhile."""
        own, outer = vars(values), _inside.callback
        before = dict(own)
        _inside.callback = True
        if threading.get_ident() != self.thread:
            own.clear()
            own.update(self.settings)
        try:
            yield
        finally:
            _inside.callback = outer
            if own != before:
                own.clear()
                own.update(before)


class Lowering:
    """Writes one module.

    Attributes:
      rules: for each primitive its rule.
      fallback: the rule of primitives that have none.
      code: where operations are written.
      constants: large constants, which the program takes before its inputs.
      callbacks: Python functions that the program calls, by their numbers in the text.
      caller: what callbacks must know of who runs the program.
      order: what the last call of Python with effects gave, which the next one takes: so they are
        done in the order of the program. None before the first.
      platform: "cpu", "cuda", ...: some operations have other names there.
    """

    def __init__(
        self, rules: Mapping[Any, Rule], fallback: Rule | None = None, platform: str = "cpu"
    ) -> None:
        self.rules, self.fallback, self.platform = rules, fallback, platform
        self.code = Code()
        self.constants: list[Any] = []
        self.callbacks: list[Callable[..., Any]] = []
        self.called: list[str] = []
        """The operations that they do."""
        self.functions: dict[int, tuple[Any, str, str]] = {}
        """Exported programs that are called, by identity: the name and the text of each."""
        self.inline: float = _INLINE
        """Bytes of a constant above which it is an argument."""
        self.meshes: Any = None
        """How the meshes are called in the module, if it is one for several devices."""
        self.caller = Caller()
        self.order: Word | None = None
        self._hoisted: dict[int, Word] = {}
        self._simple: dict[int, tuple[ClosedProgram, ClosedProgram]] = {}

    @property
    def portable(self) -> bool:
        """Whether the module shall mean the same in another process."""
        return self.inline == math.inf

    # ---- programs

    def program(self, program: Program, consts: Sequence[Word], args: Sequence[Word]) -> list[Word]:
        """Write the equations here; the words of the outputs."""
        env: dict[Var, Word] = dict(zip(program.constvars, consts, strict=True))
        env.update(zip(program.invars, args, strict=True))
        for eq in program.eqns:
            words = [self._read(env, a) for a in eq.invars]
            env.update(zip(eq.outvars, self.equation(eq, words), strict=True))
        return [self._read(env, a) for a in program.outvars]

    def _read(self, env: Mapping[Var, Word], atom: Atom) -> Word:
        return self.literal(atom.val) if type(atom) is Literal else env[atom]  # type: ignore[index]

    def equation(self, eq: Equation, words: list[Word]) -> Sequence[Word]:
        """The results of one equation, which have the types that it says.

        Raises:
          Unsupported: there is no rule.
        """
        rule = self.rules.get(eq.primitive)
        return self.by_definition(eq, words) if rule is None else rule(self, eq, words)

    def by_definition(self, eq: Equation, words: Sequence[Word]) -> Sequence[Word]:
        """The results of an equation for which a rule has no code."""
        if self.fallback is None:
            raise Unsupported(f"the operation {eq.primitive.name}")
        return self.fallback(self, eq, list(words))

    def traced(
        self, function: Callable[..., Any], types: Sequence[ArrayType], words: Sequence[Word]
    ) -> list[Word]:
        """Write what `function`, of arrays of these types to a list of arrays, does."""
        return self.closed(trace_program(function, types), words)

    def closed(self, closed: ClosedProgram, args: Sequence[Word]) -> list[Word]:
        """Write a sub-program here."""
        simple = self._simplified(closed)
        consts = [self.constant_array(c._value) for c in simple.consts]
        return self.program(simple.program, consts, args)

    def _simplified(self, closed: ClosedProgram) -> ClosedProgram:
        found = self._simple.get(id(closed))
        if found is None:
            found = self._simple[id(closed)] = (closed, simplify(closed))
        return found[1]

    def region(self, parameters: Sequence[Result], body: Callable[..., Sequence[Word]]) -> Region:
        """A region that gives what `body` of its parameters writes."""
        with self.code.region(parameters) as found:
            self.code.give(body(*found.parameters))
        return found

    # ---- the order of effects

    def is_ordered(self, closed: ClosedProgram) -> bool:
        """Whether calls of Python with effects are in a program."""
        return any(self._is_ordered(eq) for eq in closed.program.eqns)

    def _is_ordered(self, eq: Equation) -> bool:
        if getattr(eq.primitive, "effects", False) and eq.primitive not in self.rules:
            return True
        inner = sub_programs(eq.params)
        return any(self._is_ordered(e) for program in inner for e in program.eqns)

    def current_order(self) -> Word:
        """That after the calls that were written so far."""
        return self.code.constant(np.int32(0)) if self.order is None else self.order

    def in_order(self, order: Word | None, body: Callable[[], Sequence[Word]]) -> list[Word]:
        """What `body` writes in a region that begins with this order, which it gives as well."""
        outer, self.order = self.order, order
        try:
            outs = list(body())
            return outs if order is None else [*outs, self.current_order()]
        finally:
            self.order = outer

    # ---- values

    def literal(self, value: Any) -> Word:
        """A constant number."""
        return self.code.constant(plain(value))

    def constant_array(self, value: Any) -> Word:
        """A constant of any size."""
        array = plain(value)
        if array.nbytes <= self.inline:
            return self.code.constant(array)
        word = self._hoisted.get(id(value))
        if word is None:
            word = Word(f"%c{len(self.constants)}", array.shape, array.dtype)
            self._hoisted[id(value)] = word
            self.constants.append(array)
        return word

    def function_texts(self) -> str:
        """The functions of exported programs that are called."""
        return "".join(f"{text}\n" for _, _, text in self.functions.values())

    def result(self, eq: Equation, k: int = 0) -> Result:
        """Shape and dtype of result `k`."""
        return stored(eq.outvars[k].aval)


def types_of(avals: Sequence[ArrayType]) -> list[Result]:
    """Shapes and dtypes in this engine."""
    return [stored(t) for t in avals]


def plain(value: Any) -> np.ndarray:
    """The elements as this engine holds them."""
    array = np.asarray(value)
    if array.dtype.names is None:
        return array
    if not array.dtype.itemsize:  # float0
        return np.zeros(array.shape, bool)
    return np.ascontiguousarray(array).view(np.uint64).reshape(array.shape)  # random keys


__all__ = ["Caller", "Lowering", "Rule", "plain", "types_of"]
