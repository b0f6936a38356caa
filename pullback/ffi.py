"""Functions of compiled libraries in programs: `jax.ffi`. No engine here can call them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from .core.errors import error


def ffi_call(
    target_name: str,
    result_shape_dtypes: Any,
    *,
    has_side_effect: bool = False,
    vmap_method: str | None = None,
    input_layouts: Any = None,
    output_layouts: Any = None,
    input_output_aliases: dict[int, int] | None = None,
    custom_call_api_version: int = 4,
    legacy_backend_config: str | None = None,
) -> Callable[..., Any]:
    """Absent: raises NotImplementedError."""
    raise _absent("ffi_call", target_name)


def register_ffi_target(
    name: str, fn: Any, platform: str = "cpu", api_version: int = 1, **kwargs: Any
) -> NoReturn:
    """Absent: raises NotImplementedError."""
    raise _absent("register_ffi_target", name)


def register_ffi_type(name: str, type_registration: Any, platform: str = "cpu") -> NoReturn:
    """Absent: raises NotImplementedError."""
    raise _absent("register_ffi_type", name)


def register_ffi_type_id(name: str, obj: Any, platform: str = "cpu") -> NoReturn:
    """Absent: raises NotImplementedError."""
    raise _absent("register_ffi_type_id", name)


def register_ffi_target_as_batch_partitionable(name: str) -> NoReturn:
    """Absent: raises NotImplementedError."""
    raise _absent("register_ffi_target_as_batch_partitionable", name)


def ffi_lowering(
    call_target_name: str,
    *,
    operand_layouts: Any = None,
    result_layouts: Any = None,
    backend_config: Any = None,
    skip_ffi_layout_processing: bool = False,
    **lowering_args: Any,
) -> NoReturn:
    """Absent: raises NotImplementedError."""
    raise _absent("ffi_lowering", call_target_name)


def build_ffi_lowering_function(
    call_target_name: str,
    *,
    operand_layouts: Any = None,
    result_layouts: Any = None,
    backend_config: Any = None,
    skip_ffi_layout_processing: bool = False,
    **lowering_args: Any,
) -> NoReturn:
    """Absent: raises NotImplementedError."""
    raise _absent("build_ffi_lowering_function", call_target_name)


def pycapsule(funcptr: Any) -> NoReturn:
    """Absent: raises NotImplementedError."""
    raise _absent("pycapsule", funcptr)


def include_dir() -> NoReturn:
    """Absent: raises NotImplementedError."""
    raise _absent("include_dir", "the headers of XLA")


def _absent(name: str, what: Any) -> NotImplementedError:
    return error(
        NotImplementedError,
        f"ffi.{name}: no engine of Pullback calls functions of XLA's foreign interface.",
        got=f"{what!r:.80}",
        fix="call the library in a function of jax.pure_callback, or write a primitive "
        "(pullback.extend) whose eval calls it.",
    )
