"""Python functions called from inside a program for their results: pure_callback, io_callback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import checks
from .control.callbacks import check_vmap_method, flat_types, io_callback_p, pure_callback_p
from .core import dtypes
from .core.array import HostArray
from .core.errors import error, noted_error
from .core.pytree import PyTreeDef, flatten, flatten_call, leaf_paths
from .core.settings import values
from .core.types import ArrayType, array_type


def pure_callback(
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    sharding: Any = None,
    vmap_method: str | None = None,
    **kwargs: Any,
) -> Any:
    """`callback(*args, **kwargs)`, a Python function without side effects, in a program.

    Args:
      callback: a function of arrays; it gets the values as Arrays, which NumPy takes as they are.
      result_shape_dtypes: the structure of its result, with a shape and a dtype (a
        `ShapeDtypeStruct` or an array) for each array.
      *args, **kwargs: pytrees of arrays.
      sharding: accepted for compatibility: there is one device.
      vmap_method: what `vmap` does. "sequential" or "sequential_unrolled": one call for each
        element. One call for all, whose result has the mapped axis in front: "broadcast_all" where
        all arguments have it too; "expand_dims" where those not mapped have an axis of length 1
        instead; "legacy_vectorized" where those not mapped are as they are. None: an error.

    Returns:
      The result, with Arrays in place of its arrays.

    Raises:
      JaxRuntimeError: the function raised something, or its result is not as promised.
      ValueError: the call is differentiated: wrap it with `custom_jvp`.

    The program may leave a call out whose result is not used, and do one for two equal ones.

    Example:
      >>> import numpy as np
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> @pullback.jit
      ... def f(x):
      ...     return pullback.pure_callback(np.sort, x, x) + 1
      >>> print(f(jnp.array([3.0, 1.0, 2.0])))
      [2. 3. 4.]
    """
    check_vmap_method(vmap_method)
    flat, leaves, types, out_tree = _prepared(
        "pure_callback", callback, result_shape_dtypes, args, kwargs
    )
    outs = pure_callback_p(
        *leaves, callback=flat, result_avals=types, sharding=sharding, vmap_method=vmap_method
    )
    return out_tree.unflatten(outs)


def io_callback(
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    sharding: Any = None,
    ordered: bool = False,
    **kwargs: Any,
) -> Any:
    """`callback(*args, **kwargs)`, a Python function with side effects, in a program.

    Args:
      callback, result_shape_dtypes, *args, sharding, **kwargs: as for `pure_callback`.
      ordered: keep the order of these calls. On this engine all calls keep it; but an ordered call
        cannot be mapped.

    Every call is done, each time that the program gets to it, whether or not its result is used.
    Where `checkpoint` computes a second time, it calls a second time.

    Raises:
      JaxRuntimeError: the function raised something, or its result is not as promised.
      ValueError: the call is differentiated, or an ordered one is mapped.

    Example:
      >>> import pullback
      >>> from pullback.experimental import io_callback
      >>> numbers = iter([3.0, 5.0])
      >>> @pullback.jit
      ... def f(x):
      ...     return x + io_callback(lambda: next(numbers), pullback.ShapeDtypeStruct((), float))
      >>> print(f(1.0), f(1.0))
      4.0 6.0
    """
    flat, leaves, types, out_tree = _prepared(
        "io_callback", callback, result_shape_dtypes, args, kwargs
    )
    outs = io_callback_p(
        *leaves, callback=flat, result_avals=types, sharding=sharding, ordered=bool(ordered)
    )
    return out_tree.unflatten(outs)


def _prepared(
    name: str, callback: Any, results: Any, args: Any, kwargs: Any
) -> tuple[Any, list[Any], tuple[ArrayType, ...], PyTreeDef]:
    """The flat function, the arrays it gets, and the types and the structure of its results."""
    checks.callable_(callback, name)
    leaves, in_tree = flatten_call(args, kwargs)
    leaves = [checks.input_array(x, name) for x in leaves]
    specs, out_tree = flatten(results)
    paths = leaf_paths(results, "result_shape_dtypes")
    types = flat_types([_result_type(s, p, name) for s, p in zip(specs, paths, strict=True)])
    return _Flat(callback, in_tree, out_tree), leaves, types, out_tree


def _result_type(spec: Any, path: str, name: str) -> ArrayType:
    if not (hasattr(spec, "shape") and hasattr(spec, "dtype")):
        raise error(
            TypeError,
            f"{name}: {path} has no shape and dtype.",
            got=f"{spec!r:.80} of type {type(spec).__name__}",
            fix="give a jax.ShapeDtypeStruct(shape, dtype) for each array of the result.",
        )
    dtype = spec.dtype if dtypes.is_key(spec.dtype) else np.dtype(spec.dtype)
    if dtype != dtypes.canonical(dtype) and not values.jax_enable_x64:
        raise noted_error(
            ValueError,
            "result_shape_dtypes cannot specify 64-bit types when `jax_enable_x64` is disabled",
            got=f"{path} of dtype {dtype}",
            fix="use the 32-bit type, or config.update('jax_enable_x64', True).",
        )
    return array_type(tuple(spec.shape), dtype)


class _Flat:
    """A function of trees as one of lists. Equal ones call the same function in the same way."""

    __slots__ = ("function", "in_tree", "out_tree")

    def __init__(self, function: Any, in_tree: PyTreeDef, out_tree: PyTreeDef) -> None:
        self.function, self.in_tree, self.out_tree = function, in_tree, out_tree

    def __call__(self, *xs: HostArray) -> list[Any]:
        call: Any = self.in_tree.unflatten(xs)
        args, kwargs = call
        found, tree = flatten(self.function(*args, **kwargs))
        checks.structure("the result of a callback", tree, self.out_tree, "result_shape_dtypes")
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Flat) and (
            self.function is other.function
            and self.in_tree == other.in_tree
            and self.out_tree == other.out_tree
        )

    def __hash__(self) -> int:
        return hash((_Flat, id(self.function)))

    def __repr__(self) -> str:
        return getattr(self.function, "__qualname__", None) or repr(self.function)


__all__ = ["io_callback", "pure_callback"]
