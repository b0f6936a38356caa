"""Functions of compiled libraries in programs: `jax.ffi`. XLA calls them, so it needs jaxlib."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from importlib import util
from typing import Any, NoReturn

import numpy as np

from . import checks
from .control.callbacks import check_vmap_method, flat_types
from .control.foreign import ffi_call_p, ffi_call_with_effects_p
from .core import dtypes
from .core.capsules import capsule
from .core.errors import error
from .core.lazy import lazy
from .core.trace import type_of
from .core.types import ArrayType, array_type
from .engines.choice import jaxlib_is_installed

foreign = lazy("pullback.engines.xla.foreign")

_FUNCTION: Any = ctypes.CFUNCTYPE(None).__mro__[1]
"""The class of all functions of ctypes."""

_TYPED = 4
"""The version of XLA's interface from which on attributes have names and types."""


def ffi_call(
    target_name: str,
    result_shape_dtypes: Any,
    *,
    has_side_effect: bool = False,
    vmap_method: str | None = None,
    input_layouts: Sequence[Any] | None = None,
    output_layouts: Any = None,
    input_output_aliases: dict[int, int] | None = None,
    custom_call_api_version: int = _TYPED,
    legacy_backend_config: str | None = None,
) -> Callable[..., Any]:
    """The function of a compiled library that is registered as `target_name`.

    Args:
      target_name: what `register_ffi_target` was given.
      result_shape_dtypes: shape and dtype of the result (a `ShapeDtypeStruct` or an array), or a
        sequence of them.
      has_side_effect: every call is done, whether or not its result is used.
      vmap_method: what `vmap` does, as for `pure_callback`.
      input_layouts: for each argument the order in which its axes lie in memory, the slowest first;
        None: as NumPy's.
      output_layouts: the same for the results: one, or a sequence of them if there are several.
      input_output_aliases: for arguments, by number, the result that takes their memory.
      custom_call_api_version: which of XLA's interfaces the function has: 4, the typed one, or an
        older one.
      legacy_backend_config: the string that functions of older interfaces are given.

    Returns:
      A function of arrays, and of attributes by name: numbers of NumPy and of Python (int64,
      float64), bools, strings, NumPy arrays, and dicts and lists of them. It gives an Array, or a
      list of them (a tuple if `result_shape_dtypes` is one). Eager calls, and programs of the other
      engines, have XLA run a program of this call alone.

    Raises:
      ValueError: layouts or aliases do not fit, or the call is differentiated.
      TypeError: an attribute of another type.
      JaxRuntimeError: when it is called: XLA does not know the name, or the function has failed.
      NotImplementedError: jaxlib is not installed; or `vmap` without `vmap_method`.

    Example:
      >>> import numpy as np
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> a = jnp.array([[4.0, 2.0], [2.0, 5.0]])  # LAPACK's functions are registered already
      >>> results = a, pullback.ShapeDtypeStruct((), np.int32)
      >>> potrf = pullback.ffi.ffi_call("lapack_spotrf_ffi", results,
      ...     input_layouts=[(1, 0)], output_layouts=[(1, 0), ()])
      >>> print(jnp.tril(potrf(a, uplo=np.uint8(ord("L")))[0]))
      [[2. 0.]
       [1. 2.]]
    """
    _check_jaxlib("ffi_call", target_name)
    _check_options(vmap_method, custom_call_api_version, legacy_backend_config)
    several = isinstance(result_shape_dtypes, list | tuple)
    specs = list(result_shape_dtypes) if several else [result_shape_dtypes]
    types = flat_types([_result_type(s, i) for i, s in enumerate(specs)])
    outs = output_layouts if several or output_layouts is None else [output_layouts]
    out_orders = _orders("output_layouts", outs, types)
    primitive = ffi_call_with_effects_p if has_side_effect else ffi_call_p

    def call(*args: Any, **attributes: Any) -> Any:
        arrays = [checks.input_array(x, "ffi_call") for x in args]
        in_types = [type_of(x) for x in arrays]
        in_orders = _orders("input_layouts", input_layouts, in_types)
        pairs = sorted((input_output_aliases or {}).items())
        _check_aliases(pairs, in_types, types, in_orders, out_orders)
        found = primitive(
            *arrays,
            target_name=target_name,
            result_avals=types,
            vmap_method=vmap_method,
            input_layouts=in_orders,
            output_layouts=out_orders,
            input_output_aliases=tuple(pairs),
            custom_call_api_version=custom_call_api_version,
            attributes=_told(attributes, custom_call_api_version, legacy_backend_config),
        )
        if not several:
            return found[0]
        return tuple(found) if isinstance(result_shape_dtypes, tuple) else list(found)

    return call


def _check_options(vmap_method: Any, version: int, legacy: str | None) -> None:
    check_vmap_method(vmap_method)
    if version >= _TYPED and legacy is not None:
        raise error(
            ValueError,
            "The use of the legacy_backend_config parameter requires custom_call_api_version < 4.",
            got=f"custom_call_api_version={version}, legacy_backend_config={legacy!r:.60}",
            fix="give the typed interface its attributes by name when the function is called.",
        )


def _result_type(spec: Any, place: int) -> ArrayType:
    if not (hasattr(spec, "shape") and hasattr(spec, "dtype")):
        raise error(
            ValueError,
            "All elements of result_shape_dtypes must have 'shape' and 'dtype' attributes.",
            got=f"{spec!r:.80} at position {place}",
            fix="give a jax.ShapeDtypeStruct(shape, dtype) for each result.",
        )
    dtype = spec.dtype if dtypes.is_key(spec.dtype) else np.dtype(spec.dtype)
    return array_type(tuple(spec.shape), dtype)


def _orders(name: str, layouts: Any, types: Sequence[ArrayType]) -> tuple[tuple[int, ...], ...]:
    """For each array the order of its axes, the quickest first."""
    layouts = [None] * len(types) if layouts is None else list(layouts)
    if len(layouts) != len(types):
        raise error(
            ValueError,
            f"ffi_call: {name} must have one layout for each array.",
            got=f"{len(layouts)} layouts for {len(types)} arrays",
            fix="give None for arrays that lie as NumPy's.",
        )
    return tuple(
        _order(f"{name}[{i}]", x, len(t.shape))
        for i, (x, t) in enumerate(zip(layouts, types, strict=True))
    )


def _order(name: str, layout: Any, rank: int) -> tuple[int, ...]:
    slowest_first = getattr(layout, "major_to_minor", layout)
    axes = tuple(range(rank) if slowest_first is None else map(int, slowest_first))
    if sorted(axes) != list(range(rank)):
        raise error(
            ValueError,
            f"ffi_call: {name} is no order of the axes.",
            got=f"{layout!r:.80} for an array of {rank} axes",
            fix=f"give each of the numbers 0 to {rank - 1} once, that of the slowest axis first.",
        )
    return axes[::-1]


def _check_aliases(
    pairs: Sequence[tuple[int, int]],
    ins: Sequence[ArrayType],
    outs: Sequence[ArrayType],
    in_orders: Sequence[Any],
    out_orders: Sequence[Any],
) -> None:
    for i, k in pairs:
        what = ""
        if not 0 <= i < len(ins):
            what = f"input index {i} outside the range [0, {len(ins)})"
        elif not 0 <= k < len(outs):
            what = f"output index {k} outside the range [0, {len(outs)})"
        elif ins[i].strong() != outs[k]:
            what = f"an input {ins[i].str_short()} and an output {outs[k].str_short()}"
        elif in_orders[i] != out_orders[k]:
            what = f"an input with the layout {in_orders[i][::-1]} and an output with "
            what += f"{out_orders[k][::-1]}"
        if what:
            raise error(
                ValueError,
                f"input_output_aliases contains the mapping '{i}:{k}' with {what}.",
                got=f"input_output_aliases={dict(pairs)}",
                fix="pair arguments and results of one type and one layout by their numbers.",
            )


def _told(attributes: dict[str, Any], version: int, legacy: str | None) -> Any:
    """The attributes as the primitive has them."""
    if version < _TYPED:
        if attributes:
            raise error(
                ValueError,
                "The use of ffi_call attributes requires a custom call API version of at least 4.",
                got=f"custom_call_api_version={version}, attributes {', '.join(attributes)}",
                fix="give functions of older interfaces one string: legacy_backend_config.",
            )
        return legacy or ""
    return tuple([(k, _attribute(k, v)) for k, v in sorted(attributes.items())])


def _attribute(name: str, value: Any) -> str:
    try:
        return foreign.attribute(value)  # type: ignore[no-any-return]
    except (TypeError, KeyError, OverflowError) as cause:
        raise error(
            TypeError,
            f"ffi_call: the attribute {name} is nothing that XLA's interface passes on.",
            got=f"{value!r:.80} of type {type(value).__name__}",
            fix="give numbers, bools, strings, NumPy arrays of real numbers, or dicts and lists of "
            "them; arrays of the program are arguments without a name.",
        ) from cause


# ---- what makes functions known


def register_ffi_target(
    name: str, fn: Any, platform: str = "cpu", api_version: int = 1, **kwargs: Any
) -> None:
    """Have `ffi_call` find a function by `name`.

    Args:
      name: a new name.
      fn: a capsule (see `pycapsule`), or for functions with several stages a dict of them by
        "instantiate", "prepare", "initialize" and "execute".
      platform: "cpu" or "CUDA".
      api_version: 1 for the typed interface of XLA's headers (`include_dir`), 0 for the older one,
        which is ``void f(void* out, const void** in)`` on the CPU.
      **kwargs: handed on to jaxlib's `register_custom_call_target`.

    Raises:
      TypeError: `fn` is no capsule.
      NotImplementedError: jaxlib is not installed.

    Example:
      >>> import ctypes
      >>> import numpy as np
      >>> import pullback
      >>> from pullback import ffi
      >>> @ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)  # in the place of a library's
      ... def twice(out, operands):
      ...     (x,) = (ctypes.POINTER(ctypes.c_float) * 1).from_address(operands)
      ...     ctypes.c_float.from_address(out).value = 2 * x[0]
      >>> ffi.register_ffi_target("docs_twice", ffi.pycapsule(twice), api_version=0)
      >>> one = pullback.ShapeDtypeStruct((), np.float32)
      >>> print(ffi.ffi_call("docs_twice", one, custom_call_api_version=1)(np.float32(3)))
      6.0
    """
    _check_jaxlib("register_ffi_target", name)
    parts = fn.values() if isinstance(fn, dict) else [fn]
    for part in parts:
        if type(part).__name__ != "PyCapsule":
            raise error(
                TypeError,
                "register_ffi_target: the function must be a capsule.",
                got=f"{part!r:.80} of type {type(part).__name__}",
                fix="wrap it: ffi.pycapsule(ctypes.CDLL(path).name).",
            )
    foreign.register(name, fn, platform, api_version, **kwargs)


def register_ffi_type(name: str, type_registration: Any, platform: str = "cpu") -> Any:
    """Register the type of a state that functions keep.

    Args:
      name: a name that no other type has.
      type_registration: a dict with the capsules "type_id" and "type_info".
      platform: "cpu" or "CUDA".

    Raises:
      NotImplementedError: jaxlib is not installed.
    """
    _check_jaxlib("register_ffi_type", name)
    return foreign.register_type(name, type_registration, platform)


def register_ffi_type_id(name: str, obj: Any, platform: str = "cpu") -> NoReturn:
    """Absent: raises ValueError, as in JAX."""
    raise error(
        ValueError,
        "register_ffi_type_id is not supported by any jaxlib that Pullback runs with.",
        got=f"name={name!r}",
        fix="use register_ffi_type.",
    )


def register_ffi_target_as_batch_partitionable(name: str) -> None:
    """Have XLA split calls along the leading axes of arrays that are spread over devices.

    Args:
      name: what `register_ffi_target` was given: a function that does the same for each element of
        the leading axes, as `vmap` would add them.

    Raises:
      NotImplementedError: jaxlib is not installed.
    """
    _check_jaxlib("register_ffi_target_as_batch_partitionable", name)
    foreign.register_partitionable(name)


def pycapsule(funcptr: Any) -> Any:
    """A pointer to a function, of `ctypes`, as a capsule. The library must stay loaded.

    Args:
      funcptr: a function of a library that `ctypes` has loaded, or its address.

    Raises:
      TypeError: it is neither.
    """
    if not isinstance(funcptr, int | ctypes.c_void_p | _FUNCTION):
        raise error(
            TypeError,
            "pycapsule: this is no function of a compiled library.",
            got=f"{funcptr!r:.80} of type {type(funcptr).__name__}",
            fix="load the library with ctypes.CDLL(path), and give the function by its name.",
        )
    return capsule(ctypes.cast(funcptr, ctypes.c_void_p))


def include_dir() -> str:
    """The folder of the headers of XLA's interface (`xla/ffi/api/ffi.h`), which jaxlib brings.

    Raises:
      NotImplementedError: jaxlib is not installed.
    """
    _check_jaxlib("include_dir", "the headers of XLA")
    spec = util.find_spec("jaxlib")
    assert spec is not None and spec.submodule_search_locations
    return os.path.join(next(iter(spec.submodule_search_locations)), "include")


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
    raise _no_rules("ffi_lowering", call_target_name)


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
    raise _no_rules("build_ffi_lowering_function", call_target_name)


def _no_rules(name: str, target: Any) -> NotImplementedError:
    return error(
        NotImplementedError,
        f"ffi.{name} makes a rule of JAX's compiler, which Pullback does not have.",
        got=f"{target!r:.80}",
        fix="use ffi_call, in a function with custom_jvp if it is to have a derivative, or in the "
        "`lower` of a primitive of your own (docs/extend.md).",
    )


def _check_jaxlib(name: str, what: Any) -> None:
    if not jaxlib_is_installed():
        raise error(
            NotImplementedError,
            f"ffi.{name} needs the package jaxlib, which is not installed.",
            got=f"{what!r:.80}",
            fix="install it: pip install 'pullback[xla]'.",
        )
