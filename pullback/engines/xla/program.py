"""A program becomes an executable of XLA."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...core.device import deleted
from ...core.errors import JaxRuntimeError, error
from ...core.program import ClosedProgram
from ...core.types import ArrayType
from ...transforms.simplify import simplify
from . import adapter, donation
from .arrays import XlaArray, as_held, buffer_of, held, value_of
from .donation import NONE, Donation
from .lowering import Caller, Lowering, types_of
from .open_lengths import OpenCode, is_open
from .rules import RULES, host
from .text import Code, Result, Word
from .types import PACKED, Unsupported


@dataclass
class Module:
    """A program as text, and what belongs to it."""

    text: str
    constants: list[np.ndarray]
    callbacks: list[Any]
    caller: Caller | None
    """What callbacks must know of who runs it; None if it has none."""
    out_types: list[tuple[tuple[int, ...], Any]] = field(default_factory=list)
    called: list[str] = field(default_factory=list)
    """The operations that callbacks do."""
    donation: Donation = NONE


def write(
    closed: ClosedProgram,
    platform: str = "cpu",
    whole: bool = False,
    donated: Sequence[bool] = (),
    conditions: Sequence[Any] = (),
) -> Module:
    """The text of a program; with `whole`, all its constants are in it, and results of less than a
    byte stay as they are.

    `donated` are the arguments whose memory may be used for results; `conditions` are what is known
    of lengths that are expressions.

    Raises:
      Unsupported: the program has something that this engine has no code for.
    """
    simple = simplify(closed)
    low = Lowering(RULES, host.by_definition, platform)
    if whole:
        low.inline = math.inf
    if any(map(is_open, (n for t in simple.in_avals for n in t.shape))):
        low.code = OpenCode()
    dtypes, args = words("a", simple.in_avals, types_of if whole else held_types)
    if isinstance(low.code, OpenCode):
        low.code.find_lengths(args, conditions)
    outs = low.closed(simple, as_typed(low.code, args, dtypes))
    if not whole:
        outs = [readable(low.code, w) for w in outs]
    given = [Word(f"%c{i}", c.shape, c.dtype) for i, c in enumerate(low.constants)]
    plan = donation.planned_alone(donated, args, outs)
    marks = [*[""] * len(given), *(f" {{{m}}}" if m else "" for m in plan.marks)]
    text = module_of(low.code, [*given, *args], outs, low.function_texts(), marks)
    caller = low.caller if low.callbacks else None
    types = [(w.shape, w.dtype) for w in outs]
    return Module(text, low.constants, low.callbacks, caller, types, low.called, plan)


def module_of(
    code: Code,
    args: Sequence[Word],
    outs: Sequence[Word],
    functions: str,
    marks: Sequence[str] = (),
) -> str:
    """A module whose `main` is what was written, beside other functions; `marks`: what is said of
    each argument.
    """
    code.give(outs, "func.return")
    marks = marks or [""] * len(args)
    head = ", ".join(f"{w.name}: {w.type}{m}" for w, m in zip(args, marks, strict=True))
    results = ", ".join(w.type for w in outs)
    body = "\n".join(code.lines)
    return (
        "module @program attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32}"
        f" {{\nfunc.func public @main({head}) -> ({results}) {{\n{body}\n}}\n{functions}}}\n"
    )


def words(
    letter: str, types: Sequence[ArrayType], forms: Callable[..., Sequence[Result]]
) -> tuple[list[np.dtype], list[Word]]:
    """The dtypes of arguments, and the arguments in these forms."""
    pairs = enumerate(forms(types))
    made = [Word(f"%{letter}{i}", shape, np.dtype(dtype)) for i, (shape, dtype) in pairs]
    return [np.dtype(dtype) for _, dtype in types_of(types)], made


def held_types(types: Sequence[ArrayType]) -> list[Result]:
    """The forms of their buffers."""
    return list(map(held, types))


def as_typed(code: Code, args: Sequence[Word], dtypes: Sequence[np.dtype]) -> list[Word]:
    """Arguments of less than a byte, which come as whole ones, as what they are."""
    return [
        w if w.dtype == t else code.op("convert", [w], w.shape, t)
        for w, t in zip(args, dtypes, strict=True)
    ]


def readable(code: Code, word: Word) -> Word:
    """Results of less than a byte go out as bytes."""
    if word.dtype.name not in PACKED:
        return word
    wide = np.float32 if word.dtype.name.startswith("float") else np.int8
    return code.op("convert", [word], word.shape, wide)


def compile_program(
    closed: ClosedProgram,
    options: Mapping[str, Any] | None = None,
    donated: Sequence[bool] = (),
) -> Compiled:
    """The program, compiled for the CPU with these options of XLA.

    `donated` are the arguments whose memory may be used for results; a UserWarning names those
    that fit none.

    Raises:
      Unsupported: the program has something that this engine has no code for.
      ValueError: XLA has no such option.
      RuntimeError: this process was forked from one that has used XLA.
    """
    module = write(closed, donated=donated)
    adapter.check_process()
    client = adapter.cpu()
    try:
        executable = client.compile(module.text, module.out_types, module.callbacks, chosen=options)
    except RuntimeError as mistake:
        if not options:
            raise refused(adapter.first_line(mistake)) from None
        raise wrong_options(options, mistake) from None
    module.donation.warn(closed.in_avals)
    constants = [client.put(np.ascontiguousarray(c)) for c in module.constants]
    return Compiled(module, executable, constants, closed.in_avals, closed.out_avals)


def wrong_options(options: Mapping[str, Any], mistake: RuntimeError) -> ValueError:
    """What is raised where XLA did not compile a program with options."""
    text = adapter.first_line(mistake)
    return error(
        ValueError,
        "XLA did not take these compiler options.",
        got=f"compiler_options={dict(options)!r}: {text}",
        fix="give the names of XLA's flags without --, and values of their types.",
    )


class Compiled:
    """A program that XLA runs."""

    def __init__(
        self,
        module: Module,
        executable: adapter.Executable,
        constants: list[Any],
        in_types: Sequence[ArrayType],
        out_types: Sequence[ArrayType],
    ) -> None:
        self.module, self.executable, self.constants = module, executable, constants
        self.in_types, self.out_types = list(in_types), list(out_types)
        self.given = module.donation.given
        """The numbers of the arguments that are gone after a call."""

    @property
    def text(self) -> str:
        """The StableHLO."""
        return self.module.text

    def on_buffers(self, *buffers: Any) -> tuple[Any, ...]:
        """From the buffers of the inputs to those of the outputs."""
        found = tuple(self._run(buffers))
        for i in self.given:  # where NumPy has a view of one, XLA left it alone
            buffers[i].delete()
        return found

    def _run(self, buffers: Sequence[Any]) -> Sequence[Any]:
        adapter.check_process()
        caller = self.module.caller
        try:
            with nullcontext() if caller is None else caller.running():
                return self.executable([*self.constants, *buffers])
        except RuntimeError as mistake:
            cause = failure(mistake)
        raise cause

    def arrays(self) -> tuple[Any, ...]:
        """How the entry does calls: the class of the results, its slots for the buffer and for
        what NumPy sees, results without a buffer, what may be called in the place of
        `on_buffers`, and the arguments that are gone after a call."""
        templates = [XlaArray(None, t) for t in self.out_types]
        for array in templates:
            del array.buffer
        direct = None
        if self.executable.parts is not None:
            execute, handlers = self.executable.parts
            direct = execute, tuple(self.constants), "consume_with_handlers", handlers
        return XlaArray, "buffer", "_host", templates, direct, self.given

    def on_arrays(self, *arrays: Any) -> list[Any]:
        """From arrays of the program's types to arrays."""
        check_alive(arrays)
        buffers = list(map(buffer_of, arrays))
        if self.given:
            donation.check_once(buffers, self.given, arrays)
            donation.let_go(arrays, self.given)
        found = list(map(XlaArray, self._run(buffers), self.out_types))
        donation.delete(arrays, self.given)
        return found

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        """From the values of the inputs to those of the outputs, as NumPy holds them."""
        put = adapter.cpu().put
        given = [put(_ready(x, t)) for x, t in zip(values, self.in_types, strict=True)]
        found = self._run(given)
        outs = zip(found, self.out_types, strict=True)
        return tuple([value_of(adapter.get(y), t) for y, t in outs])


def stablehlo(closed: ClosedProgram, donated: Sequence[bool] = ()) -> str:
    """The text of a program, without what stands in large constants: they are arguments."""
    return write(closed, donated=donated).text


def hlo(text: str) -> str:
    """StableHLO as HLO, before any pass of the compiler."""
    return adapter.hlo(text)


def check_alive(arrays: Sequence[Any]) -> None:
    """Raise RuntimeError if an array was deleted, or donated."""
    for x in arrays:
        gone = x.buffer.is_deleted() if type(x) is XlaArray else x.is_deleted()
        if gone:
            raise deleted(x.aval.str_short())


def failure(mistake: RuntimeError) -> BaseException:
    """What is raised in the place of an error of jaxlib."""
    cause = host.original(str(mistake))
    if cause is not None:
        return cause
    text = adapter.first_line(mistake)
    fix = "run it with engine='numpy' to see the operation that fails."
    if text.startswith("RESOURCE_EXHAUSTED"):
        fix = (
            "use smaller arrays, donate arguments, or spread them over more devices; "
            "jit(f).lower(...).compile().memory_analysis() tells what a program needs."
        )
    if "[execute]" in text:  # what XLA says of calls of compiled libraries
        fix = (
            "give the function that ffi_call calls the arguments, results and attributes that it "
            "was written for, of their number and types."
        )
    return error(JaxRuntimeError, "a program that XLA compiled failed.", got=text, fix=fix)


def refused(text: str) -> JaxRuntimeError:
    """The error to raise where XLA does not compile a program."""
    if "No FFI handler" in text or "custom call" in text.lower():
        fix = "register the function first: ffi.register_ffi_target(name, ffi.pycapsule(function))."
    else:
        fix = "run it with engine='numpy', and report this: the program should have been compiled."
    return error(JaxRuntimeError, "XLA did not compile a program.", got=text, fix=fix)


def _ready(x: Any, t: ArrayType) -> np.ndarray:
    array = np.asarray(x)
    if array.dtype != t.dtype or array.shape != t.shape:
        raise TypeError(f"a compiled program for {t} was given {array.dtype}{list(array.shape)}.")
    return as_held(array)


__all__ = [
    "Compiled",
    "Module",
    "Unsupported",
    "as_typed",
    "compile_program",
    "held_types",
    "hlo",
    "refused",
    "stablehlo",
    "words",
    "write",
]
