"""Programs as portable StableHLO, and what is run of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core.errors import error
from ...core.program import ClosedProgram
from ...core.types import ArrayType
from . import adapter, adapter_export
from .program import Compiled, Module, write
from .types import Unsupported, stored, tensor, typed


def exported(closed: ClosedProgram, platform: str) -> bytes:
    """The program, with all its constants.

    Raises:
      NotImplementedError: it calls Python, or has something that StableHLO has not.
    """
    try:
        module = write(closed, platform, whole=True)
    except Unsupported as why:
        raise _refused(f"there is no StableHLO for {why}") from None
    if module.callbacks:
        raise _refused(
            f"Python would have to be called for {', '.join(sorted(set(module.called)))}, and the "
            "functions of this process are not in the bytes"
        )
    return adapter_export.artifact(module.text)


def _refused(why: str) -> NotImplementedError:
    return error(
        NotImplementedError,
        "export: this function cannot be written as portable StableHLO.",
        got=why,
        fix="leave these operations, callbacks and prints out of what is exported; docs/xla.md "
        "lists the operations that Python does.",
    )


def checked_text(data: bytes, ins: Sequence[ArrayType], outs: Sequence[ArrayType]) -> str:
    """The text of a module, which takes and gives arrays of these types.

    Raises:
      ValueError: it does not, or is no module.
    """
    try:
        text = adapter_export.text_of(data)
        main = adapter_export.main_of(text)
        wanted = adapter_export.Main([*map(typed, ins)], [*map(_given, outs)])
    except (RuntimeError, Unsupported) as mistake:
        raise ValueError(str(mistake).strip().split("\n", 1)[0]) from None
    if main != wanted:
        raise ValueError(f"its program has the types {main}, and not {wanted}")
    return text


def _given(t: ArrayType) -> str:
    return tensor(*_result(t))


def _result(t: ArrayType) -> tuple[tuple[int, ...], np.dtype]:
    """Numbers of less than a byte come out as bytes: see `program.write`."""
    shape, dtype = stored(t)
    if dtype.name not in adapter.PACKED:
        return shape, dtype
    return shape, np.dtype(np.float32 if dtype.name.startswith("float") else np.int8)


def compiled(text: str, ins: Sequence[ArrayType], outs: Sequence[ArrayType]) -> Any:
    """The module of `checked_text`, compiled for the CPU: a function of NumPy arrays."""
    types = [_result(t) for t in outs]
    executable = adapter.cpu().compile(text, types)
    return Compiled(Module(text, [], [], None, types), executable, [], ins, outs)


__all__ = ["checked_text", "compiled", "exported"]
