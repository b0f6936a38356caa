"""Programs as files: `jax.export`. Pullback writes none yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from .core.errors import error


def export(
    fun_jit: Any, *, platforms: Sequence[str] | None = None, disabled_checks: Sequence[Any] = ()
) -> NoReturn:
    """Absent: raises NotImplementedError."""
    raise _absent("export", fun_jit)


def deserialize(blob: Any) -> NoReturn:
    """Absent: raises NotImplementedError."""
    raise _absent("deserialize", type(blob).__name__)


def symbolic_shape(
    shape_spec: str | None, *, constraints: Sequence[str] = (), scope: Any = None, like: Any = None
) -> NoReturn:
    """Absent: raises NotImplementedError."""
    raise _absent("symbolic_shape", shape_spec)


def symbolic_args_specs(
    args: Any, shapes_specs: Any, constraints: Sequence[str] = (), scope: Any = None
) -> NoReturn:
    """Absent: raises NotImplementedError."""
    raise _absent("symbolic_args_specs", shapes_specs)


def is_symbolic_dim(p: Any) -> bool:
    """Whether the length of an axis is an expression: all are numbers here."""
    return False


def default_export_platform() -> str:
    """The platform that programs would be exported for: "cpu"."""
    return "cpu"


def _absent(name: str, what: Any) -> NotImplementedError:
    return error(
        NotImplementedError,
        f"export.{name}: Pullback does not write programs in StableHLO, nor read them.",
        got=f"{what!r:.80}",
        fix="keep the Python function; jax.jit(f).trace(...).jaxpr shows its program.",
    )
