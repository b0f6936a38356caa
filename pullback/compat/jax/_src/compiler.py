"""`jax._src.compiler`: the function that compiles every program, for libraries that replace it.

chex.restrict_backends does, to forbid compilations. From the import of this module on, Pullback's
programs are compiled through it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pullback.core.program import ClosedProgram as _ClosedProgram
from pullback.engines import numpy as _engine

_compile = _engine.compile_program


@dataclass(frozen=True)
class Backend:
    """What programs are compiled for."""

    platform: str


_CPU = Backend("cpu")


def backend_compile_and_load(
    backend: Backend, program: _ClosedProgram
) -> Callable[..., tuple[Any, ...]]:
    """The function that runs a program."""
    return _compile(program)


def _through_this_module(closed: _ClosedProgram) -> Callable[..., tuple[Any, ...]]:
    return backend_compile_and_load(_CPU, closed)  # by its name now, which may be replaced


_engine.compile_program = _through_this_module
