"""Calls of Python functions from inside a program, for their results.

The functions are flat: they take and give lists of arrays, and check their own results.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import HostArray
from ..core.errors import JaxRuntimeError, error, noted_error
from ..core.primitive import CORE, Method, Primitive
from ..core.trace import EVAL, inside, not_an_array, type_of
from ..core.types import ArrayType, array_type
from ..ops.spreading import lies_on
from ..ops.structural import broadcast_in_dim, move_axis
from ..transforms.stage import derived
from .scan import scan_p

VMAP_METHODS = (
    "sequential",
    "sequential_unrolled",
    "expand_dims",
    "broadcast_all",
    "legacy_vectorized",
)


def check_vmap_method(vmap_method: Any) -> None:
    """Raise ValueError unless it is None or one of them."""
    if vmap_method not in (None, *VMAP_METHODS):
        raise noted_error(
            ValueError,
            # "on of" is JAX's wording, which programs may look for.
            f"vmap_method must be on of the allowed methods {[*VMAP_METHODS, None]}, but got: "
            f"{vmap_method}",
            got=f"vmap_method={vmap_method!r}",
            fix='use "sequential" for a function of single elements, "broadcast_all" for one that '
            "takes all at once.",
        )


class Callback(Primitive, family=True):
    """Call `callback` with the values of the arguments; `result_avals` are the results' types."""

    multiple_results = True
    calls_user = True
    no_derivative: str
    no_transpose: str

    def eval(self, *xs: Any, callback: Any, result_avals: Any, **params: Any) -> list[Any]:
        with inside(EVAL):
            try:
                found = callback(*[HostArray(x) for x in xs])
                return [_result(y, t) for y, t in zip(found, result_avals, strict=True)]
            except Exception as cause:
                raise error(
                    JaxRuntimeError,
                    f"the Python function that {self.name} calls raised "
                    f"{type(cause).__name__}: {cause}",
                    got=f"an exception in {callback!r}",
                    fix="see the exception above this one, which is also its __cause__.",
                ) from cause

    jvp: Any = Method("forward", "the error must come before the function is called")
    vmap: Any = Method("batch", "each primitive has its own")

    def forward(self, trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
        raise noted_error(
            ValueError,
            self.no_derivative,
            got=f"a derivative with respect to an argument of {params['callback']!r}",
            fix="give the function around it a derivative with custom_jvp or custom_vjp, or "
            "lax.stop_gradient its arguments.",
        )

    def transpose(self, cts: Any, *args: Any, **params: Any) -> list[Any]:
        raise noted_error(
            ValueError,
            self.no_transpose,
            got=f"a linear argument of {params['callback']!r}",
            fix="a Python function is not linear as far as Pullback can know: give the function "
            "around it a derivative with custom_vjp.",
        )

    lower: Any = CORE

    def one_by_one(self, size: int, values: Any, axes: Any, params: Any) -> tuple[Any, Any]:
        """A loop over the mapped axes, with one call for each element."""
        fixed = [x for x, a in zip(values, axes, strict=True) if a is None]
        mapped = [move_axis(x, a, 0) for x, a in zip(values, axes, strict=True) if a is not None]

        def element(*xs: Any) -> list[Any]:
            rest, ones = iter(xs[: len(fixed)]), iter(xs[len(fixed) :])
            args = [next(rest) if a is None else next(ones) for a in axes]
            return self(*args, **params)  # type: ignore[no-any-return]

        types = [*map(type_of, fixed), *(type_of(x).without_axis(0) for x in mapped)]
        body = derived(element, types, "vmap")
        outs = scan_p(
            *fixed,
            *mapped,
            jaxpr=body,
            length=size,
            num_carry=0,
            num_consts=len(fixed),
            reverse=False,
            unroll=1,
        )
        return outs, [0] * len(outs)

    def batch_as_asked(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        """`vmap` as the parameter `vmap_method` says."""
        method, size = params["vmap_method"], trace.size
        if method is None and lies_on(trace) is not None:
            method = "sequential"  # the devices of a shard_map each call it for their own part
        if method is None:
            raise noted_error(
                NotImplementedError,
                f"vmap is only supported for the {self.name} primitive when vmap_method is one of "
                f"{', '.join(map(repr, VMAP_METHODS[:-1]))}, or {VMAP_METHODS[-1]!r}. "
                "Got vmap_method=None.",
                fix="vmap_method='sequential' calls the function once for each element; "
                "'expand_dims' and 'broadcast_all' call it once with a leading axis on its "
                "arguments.",
            )
        with inside(trace.parent):
            if method.startswith("sequential"):
                return self.one_by_one(size, values, axes, params)
            args = [_placed(x, a, size, method) for x, a in zip(values, axes, strict=True)]
            grown = [a is not None or method != "legacy_vectorized" for a in axes]
            outs = self(*args, **self.params_of_all(params, size, grown))
            return outs, [0] * len(outs)

    def params_of_all(
        self, params: dict[str, Any], size: int, grown: Sequence[bool]
    ) -> dict[str, Any]:
        """The parameters of one call for all elements; `grown`: which arguments have a new axis in
        front."""
        types = tuple(t.with_axis(0, size) for t in params["result_avals"])
        return {**params, "result_avals": types}


class PureCallback(Callback):
    """A function without side effects: calls may be shared, left out or done again."""

    no_derivative = (
        "Pure callbacks do not support JVP. Please use `jax.custom_jvp` to use callbacks while "
        "taking gradients."
    )
    no_transpose = "Pure callbacks do not support transpose."

    def typing(
        self, *types: Any, callback: Any, result_avals: Any, sharding: Any, vmap_method: Any
    ) -> list[ArrayType]:
        return list(result_avals)

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        return self.batch_as_asked(trace, values, axes, params)


def _placed(x: Any, axis: int | None, size: int, method: str) -> Any:
    """An argument of the one call for all elements, with the mapped axis in front."""
    if axis is not None:
        return move_axis(x, axis, 0)
    if method == "legacy_vectorized":
        return x
    shape = type_of(x).shape
    dims = tuple(range(1, len(shape) + 1))
    n = size if method == "broadcast_all" else 1
    return broadcast_in_dim(x, shape=(n, *shape), broadcast_dimensions=dims)


pure_callback_p = PureCallback()


class IoCallback(Callback):
    """A function with side effects: every call is done, in the order of the program."""

    effects = True
    no_derivative = "IO callbacks do not support JVP."
    no_transpose = "IO callbacks do not support transpose."

    def typing(
        self, *types: Any, callback: Any, result_avals: Any, sharding: Any, ordered: bool
    ) -> list[ArrayType]:
        return list(result_avals)

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        if params["ordered"]:
            raise noted_error(
                ValueError,
                "Cannot `vmap` ordered IO callback.",
                fix="leave ordered=True out: the calls for the elements have no order of their "
                "own.",
            )
        with inside(trace.parent):
            return self.one_by_one(trace.size, values, axes, params)


io_callback_p = IoCallback()


def _result(y: Any, t: ArrayType) -> Any:
    """A result as NumPy holds it, which must be of type `t`."""
    # A copy: what the function later does to its array must not be seen.
    value = y._value if isinstance(y, HostArray) else np.array(y)
    if value.dtype.kind not in "biufcV":
        raise not_an_array(y)
    dtype = value.dtype if dtypes.is_key(value.dtype) else dtypes.canonical(value.dtype)
    # 32-bit mode takes a 64-bit result; the dtype of a Python number is that which is asked for.
    if value.shape != t.shape or not (dtype == t.dtype or _takes(y, t)):
        raise error(
            TypeError,
            "the result of a callback is not of the promised type.",
            got=f"{array_type(value.shape, dtype).str_short()} instead of {t.str_short()}",
            fix="convert it in the function, or change result_shape_dtypes.",
        )
    return value if value.dtype == t.dtype else value.astype(t.dtype)


def _takes(y: Any, t: ArrayType) -> bool:
    """Whether `y` is a Python number that can be of type `t`."""
    own = {bool: "b", int: "i", float: "f", complex: "c"}.get(type(y))
    return own is not None and "biufc".index(own) <= "biufc".index(dtypes.kind(t.dtype))


def flat_types(avals: Sequence[ArrayType]) -> tuple[ArrayType, ...]:
    """Types as a parameter of an equation: of strong dtype, hashable."""
    return tuple(t.strong() for t in avals)


class CallExported(Callback):
    """Run `callback`, an exported program, on arrays; `result_avals` are its results' types.

    Its derivative is that of the function around it, which knows the exported derivative.
    """

    calls_user = False
    no_derivative = "Exported programs have reverse derivatives only."
    no_transpose = "Exported programs do not support transpose."
    lower: Any = CORE

    def typing(self, *types: Any, callback: Any, result_avals: Any) -> list[ArrayType]:
        return list(result_avals)

    def eval(self, *xs: Any, callback: Any, result_avals: Any) -> list[Any]:
        return list(callback.run(*xs))

    def vmap(self, size: Any, args: Any, axes: Any, **params: Any) -> Any:
        return self.one_by_one(size, args, axes, params)


call_exported_p = CallExported()

__all__ = [
    "call_exported_p",
    "check_vmap_method",
    "flat_types",
    "io_callback_p",
    "pure_callback_p",
]
