"""Programs as portable StableHLO, and what is run of it.

`main` of an exported module is called as JAX's calling convention says (versions 9 and 10): first,
where the program is for several platforms, the number of the one it runs on; then the arrays,
without those that are not used. A random key is its words of 32 bits, an array of float0 one of
bool. The lengths of axes may be left open: they are then filled in for every call.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...core import dtypes
from ...core.errors import error
from ...core.program import ClosedProgram
from ...core.types import ArrayType
from . import adapter, adapter_export
from .program import (
    Compiled,
    Module,
    as_typed,
    held_types,
    module_of,
    readable,
    words,
    write,
)
from .text import Code, Word
from .types import PACKED, Unsupported, stored, tensor

_INDEX = np.dtype(np.int32)


class Convention(NamedTuple):
    """How `main` of a module is called.

    Attributes:
      ins, outs: the types of all arguments and results.
      kept: the arguments that it takes.
      platforms: what it is for.
    """

    ins: tuple[ArrayType, ...]
    outs: tuple[ArrayType, ...]
    kept: tuple[int, ...]
    platforms: tuple[str, ...]

    @property
    def indexed(self) -> bool:
        """Whether the number of the platform is an argument."""
        return len(self.platforms) > 1

    def is_callable(self) -> bool:
        """Whether this engine's own programs are called like that, but for open lengths."""
        keys = any(dtypes.is_key(t.dtype) for t in (*self.ins, *self.outs))
        return not self.indexed and len(self.kept) == len(self.ins) and not keys

    def is_plain(self) -> bool:
        """Whether this engine's own programs are called like that."""
        return self.is_callable() and all(map(_fixed, (*self.ins, *self.outs)))


def _fixed(t: ArrayType) -> bool:
    return all(type(n) is int for n in t.shape)


def _wire(t: ArrayType) -> tuple[tuple[Any, ...], np.dtype]:
    """Shape and dtype of an array as an exported program takes it."""
    shape = tuple([n if type(n) is int else "?" for n in t.shape])
    if not dtypes.is_key(t.dtype):
        return shape, stored(t)[1]
    key = t.dtype[0].shape
    if key != (2,):
        raise Unsupported("random keys of other than two words")
    return (*shape, *key), np.dtype(np.uint32)


# ---- from programs


def exported(
    closed: ClosedProgram, platforms: tuple[str, ...], conditions: Sequence[Any] = ()
) -> bytes:
    """The program, with all its constants; `conditions` are what is known of open lengths.

    Raises:
      NotImplementedError: it calls Python, or has something that StableHLO has not.
    """
    ins, outs = tuple(closed.in_avals), tuple(closed.out_avals)
    convention = Convention(ins, outs, tuple(range(len(ins))), platforms)
    try:
        texts = [_whole(closed, p, conditions) for p in platforms]
        if not convention.is_callable():
            texts = [_for_others(texts, convention)]
    except Unsupported as why:
        raise _refused(f"there is no StableHLO for {why}") from None
    return adapter_export.artifact(texts[0])


def _whole(closed: ClosedProgram, platform: str, conditions: Sequence[Any]) -> str:
    module = write(closed, platform, whole=True, conditions=conditions)
    if module.callbacks:
        raise _refused(
            f"Python would have to be called for {', '.join(sorted(set(module.called)))}, and the "
            "functions of this process are not in the bytes"
        )
    return module.text


def _for_others(texts: Sequence[str], convention: Convention) -> str:
    """A module with one for each platform, whose `main` is called as JAX's are."""
    code = Code()
    index = [Word("%p", (), _INDEX)] if convention.indexed else []
    args = [Word(f"%a{i}", *_wire(t)) for i, t in enumerate(convention.ins)]
    own = [_own(code, w, t) for w, t in zip(args, convention.ins, strict=True)]
    results = [stored(t) for t in convention.outs]
    names = [f"platform_{i}_" for i in range(len(texts))]

    def called(name: str) -> list[Word]:
        return code.ops("call", own, results, f"callee = @{name}main", dialect="func")

    if convention.indexed:
        regions = []
        for name in names:
            with code.region(()) as region:
                code.give(called(name))
            regions.append(region.text)
        outs = code.ops("case", index, results, regions=", ".join(regions))
    else:
        outs = called(names[0])
    outs = [_others(code, w, t) for w, t in zip(outs, convention.outs, strict=True)]
    inner = [adapter_export.functions(t, n) for t, n in zip(texts, names, strict=True)]
    return module_of(code, [*index, *args], outs, "\n".join(inner))


def _own(code: Code, word: Word, t: ArrayType) -> Word:
    """An array as this engine has it, of one as JAX has it: they differ for random keys."""
    if not dtypes.is_key(t.dtype):
        return word
    return code.op("bitcast_convert", [word], word.shape[:-1], np.uint64)


def _others(code: Code, word: Word, t: ArrayType) -> Word:
    return word if not dtypes.is_key(t.dtype) else code.op("bitcast_convert", [word], *_wire(t))


def _refused(why: str) -> NotImplementedError:
    return error(
        NotImplementedError,
        "export: this function cannot be written as portable StableHLO.",
        got=why,
        fix="leave these operations, callbacks and prints out of what is exported; docs/xla.md "
        "lists the operations that Python does.",
    )


# ---- to programs


def text_of(data: bytes) -> str:
    """The text of a module of which it is known that it is whole.

    Raises:
      ValueError: it is none.
    """
    try:
        return adapter_export.text_of(data)
    except RuntimeError as mistake:
        raise ValueError(adapter.first_line(mistake)) from None


def texts_of(modules: Sequence[bytes]) -> list[str]:
    """The texts of modules of which nothing is known: another process reads them.

    Raises:
      ValueError: one is none.
    """
    try:
        return adapter_export.texts_of(modules)
    except RuntimeError as mistake:
        raise ValueError(adapter.first_line(mistake)) from None


def checked_text(text: str, convention: Convention) -> str:
    """The text of a module, which is called like this.

    Raises:
      ValueError: it is called otherwise, or calls Python.
    """
    try:
        main = adapter_export.main_of(text)
        ins = [tensor(*_wire(convention.ins[i])) for i in convention.kept]
        outs = [tensor(*_wire(t)) for t in convention.outs]
    except (RuntimeError, Unsupported) as mistake:
        raise ValueError(adapter.first_line(mistake)) from None
    indices = [["tensor<i32>"], ["tensor<i64>"]] if convention.indexed else [[]]
    wanted = [adapter_export.Main([*index, *ins], outs) for index in indices]
    if main not in wanted:
        raise ValueError(f"its program has the types {main}, and not {wanted[0]}")
    python = re.search(r"custom_call @(\w*(?:python|callback)\w*)", text)
    if python is not None:
        raise ValueError(f"its program calls functions of Python, as {python[1]}")
    return text


def for_types(
    text: str, convention: Convention, ins: Sequence[ArrayType], platform: int
) -> tuple[str, tuple[tuple[int, ...], ...]]:
    """The module of `checked_text` as one of this engine, for arguments of these types, on the
    platform of this number; and the shapes of the results.

    Raises:
      ValueError: the module is not for these lengths of axes.
    """
    if convention.is_plain():
        return text, tuple([t.shape for t in convention.outs])
    code = Code()
    args = [Word(f"%a{i}", *stored(t)) for i, t in enumerate(ins)]
    given = [_given(code, args[i], ins[i], convention.ins[i]) for i in convention.kept]
    main = adapter_export.main_of(text)
    assert main is not None
    if convention.indexed:
        kind = np.int64 if main.arguments[0] == "tensor<i64>" else np.int32
        given.insert(0, code.constant(kind(platform)))
    wires = [_wire(t) for t in convention.outs]
    outs = code.ops("call", given, wires, "callee = @inner_main", dialect="func")
    outs = [_own(code, w, t) for w, t in zip(outs, convention.outs, strict=True)]
    text = module_of(code, args, outs, adapter_export.functions(text, "inner_"))
    if not convention.indexed and all(map(_fixed, (*convention.ins, *convention.outs))):
        return text, tuple([t.shape for t in convention.outs])
    try:
        text = adapter_export.refined(text)
    except RuntimeError as mistake:
        raise ValueError(_why(mistake)) from None
    main = adapter_export.main_of(text)
    assert main is not None
    return text, tuple(map(_shape, main.results))


def _given(code: Code, word: Word, t: ArrayType, wanted: ArrayType) -> Word:
    word, wire = _others(code, word, t), _wire(wanted)
    return word if word.shape == wire[0] else code.op("convert", [word], *wire)


def _why(mistake: RuntimeError) -> str:
    """What XLA says that does not fit, without where in the text it stands."""
    return re.sub(r"^.*? error: ", "", adapter.first_line(mistake)).split(" Please see ", 1)[0]


def _shape(kind: str) -> tuple[int, ...]:
    found = re.match(r"tensor<((?:\d+x)*)", kind)
    assert found is not None
    return tuple(map(int, found[1].split("x")[:-1]))


def compiled(text: str, ins: Sequence[ArrayType], outs: Sequence[ArrayType]) -> Any:
    """The module of `for_types`, compiled for the CPU: a function of NumPy arrays.

    Raises:
      ValueError: XLA has no code for it.
    """
    types = [stored(t) for t in outs]
    if any(dtype.name in PACKED for _, dtype in (*map(stored, ins), *types)):
        code = Code()
        dtypes, args = words("a", ins, held_types)
        given = as_typed(code, args, dtypes)
        found = code.ops("call", given, types, "callee = @narrow_main", dialect="func")
        found = [readable(code, w) for w in found]
        types = [(w.shape, w.dtype) for w in found]
        text = module_of(code, args, found, adapter_export.functions(text, "narrow_"))
    try:
        executable = adapter.cpu().compile(text, types)
    except RuntimeError as mistake:
        raise ValueError(adapter.first_line(mistake)) from None
    return Compiled(Module(text, [], [], None, types), executable, [], ins, outs)


__all__ = ["Convention", "checked_text", "compiled", "exported", "for_types", "text_of", "texts_of"]
