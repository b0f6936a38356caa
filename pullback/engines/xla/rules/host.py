"""What has no rule: taken apart by the primitive's own decomposition, or done by NumPy and SciPy.

A call of Python from inside an executable takes 20 us.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ....core.primitive import CORE, Absent
from ....core.program import Equation
from ....core.trace import quiet, type_of
from ....ops.elementwise import Elementwise, convert_element_type
from ....ops.special_integrals import digamma_difference
from ..lowering import Lowering, plain
from ..text import Word
from ..types import Unsupported

_WITHOUT = (".collective", ".tokens")
"""Modules of operations whose meaning is not in their arrays alone."""


def by_definition(low: Lowering, eq: Equation, args: Sequence[Word]) -> Sequence[Word]:
    """The operation as other ones, or as a call of its `eval`."""
    settled = getattr(type(eq.primitive), "lower", CORE)
    if settled is CORE or isinstance(settled, Absent):
        return host_call(low, eq, args)
    lower = eq.primitive.lower  # type: ignore[attr-defined]

    types = [a.aval for a in eq.invars]
    out = eq.outvars[0].aval.dtype
    narrow = isinstance(eq.primitive, Elementwise) and out.name in ("float16", "bfloat16")

    def function(*xs: Any) -> Any:
        if narrow:  # what has several steps is rounded once
            xs = tuple([_wide(x) for x in xs])
        found = lower(*xs, **eq.params)
        if narrow:
            found = convert_element_type(found, new_dtype=out, weak_type=False)
        return found if eq.primitive.multiple_results else [found]

    return low.traced(function, types, args)


def _wide(x: Any) -> Any:
    if type_of(x).dtype.name not in ("float16", "bfloat16"):
        return x
    return convert_element_type(x, new_dtype=np.dtype(np.float32), weak_type=False)


def host_call(low: Lowering, eq: Equation, args: Sequence[Word]) -> Sequence[Word]:
    """Have an operation done by its own `eval`.

    Raises:
      Unsupported: it is about several devices.
    """
    primitive = eq.primitive
    family = type(primitive).__module__
    if family.endswith(_WITHOUT):
        raise Unsupported(f"the operation {primitive.name}")
    results = [low.result(eq, k) for k in range(len(eq.outvars))]
    effects = getattr(primitive, "effects", False)
    low.callbacks.append(_called(primitive, eq, results))
    number = len(low.callbacks) - 1
    attributes = (
        f'call_target_name = "xla_ffi_python_{"cpu" if low.platform == "cpu" else "gpu"}_callback"'
        f", has_side_effect = {'true' if effects else 'false'}, api_version = 4 : i32"
        f", backend_config = {{index = {number} : ui64}}"
    )
    return low.code.ops("custom_call", list(args), results, attributes)


def _called(primitive: Any, eq: Equation, results: Sequence[Any]) -> Callable[..., tuple[Any, ...]]:
    """A function of NumPy arrays that gives exactly the promised shapes and dtypes: jaxlib reads
    whatever it is given as if it had them."""
    in_types = [a.aval for a in eq.invars]
    params = eq.params

    def call(*arrays: Any) -> tuple[Any, ...]:
        values = [_value(np.asarray(x), t) for x, t in zip(arrays, in_types, strict=True)]
        with quiet():
            found = primitive.eval(*values, **params)
        outs = found if primitive.multiple_results else [found]
        return tuple([_exactly(y, r) for y, r in zip(outs, results, strict=True)])

    return call


def _value(array: np.ndarray, t: Any) -> Any:
    array = array.copy()  # the memory is jaxlib's, and is used again after the call
    if array.dtype != t.dtype and t.dtype.names is not None:
        array = array.view(t.dtype) if t.dtype.itemsize else np.zeros(t.shape, t.dtype)
    array = array.reshape(t.shape)
    return array if array.ndim or array.dtype.names else array[()]


def _exactly(y: Any, result: Any) -> np.ndarray:
    shape, dtype = result
    array = np.ascontiguousarray(plain(y)).reshape(np.shape(y))
    if array.shape != tuple(shape) or array.dtype != dtype:
        array = np.broadcast_to(array.astype(dtype), shape).copy()
    return array


RULES: dict[Any, Any] = {
    digamma_difference: host_call,  # its decomposition has not the limits at poles
}

__all__ = ["RULES", "by_definition", "host_call"]
