"""What has no rule: taken apart by the primitive's own decomposition, or done by NumPy and SciPy.

A call of Python from inside an executable takes 5 us, and a copy of the arrays. jaxlib makes a text
of an exception, so that is kept here until the error comes out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

import numpy as np

from ....core.primitive import CORE, Absent, Method
from ....core.program import Equation
from ....core.trace import quiet, type_of
from ....ops.elementwise import Elementwise, convert_element_type
from ....ops.tokens import after_all, create_token, dce_sink
from ..lowering import Caller, Lowering, plain
from ..text import Result, Word
from ..types import NARROW, Unsupported

_WITHOUT = (".collective",)
"""Modules of operations whose meaning is not in their arrays alone."""


def by_definition(low: Lowering, eq: Equation, args: Sequence[Word]) -> Sequence[Word]:
    """The operation as other ones, or as a call of its `eval`."""
    settled = getattr(type(eq.primitive), "lower", CORE)
    if settled is CORE or isinstance(settled, Absent | Method):
        return host_call(low, eq, args)
    lower = eq.primitive.lower  # type: ignore[attr-defined]

    types = [a.aval for a in eq.invars]
    out = eq.outvars[0].aval.dtype
    narrow = isinstance(eq.primitive, Elementwise) and out.name in NARROW

    def function(*xs: Any) -> Any:
        if narrow:  # what has several steps is rounded once
            xs = tuple([_wide(x) for x in xs])
        found = lower(*xs, **eq.params)
        if narrow:
            found = convert_element_type(found, new_dtype=out, weak_type=False)
        return found if eq.primitive.multiple_results else [found]

    return low.traced(function, types, args)


def _wide(x: Any) -> Any:
    if type_of(x).dtype.name not in NARROW:
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
    results: list[Result] = [low.result(eq, k) for k in range(len(eq.outvars))]
    if low.platform == "tpu":
        raise Unsupported(f"calls of Python on a TPU, which {primitive.name} needs")
    effects = getattr(primitive, "effects", False)
    call = _called(low.caller, eq, results, effects)
    low.callbacks.append(call if low.meshes is None else _kept(low.caller, call, results, effects))
    low.called.append(primitive.name)
    number = len(low.callbacks) - 1
    attributes = (
        f'call_target_name = "xla_ffi_python_{"cpu" if low.platform == "cpu" else "gpu"}_callback"'
        f", has_side_effect = {'true' if effects else 'false'}, api_version = 4 : i32"
        f", backend_config = {{index = {number} : ui64}}"
    )
    taken, given = list(args), results
    if effects:  # the compiler keeps an order only where one call needs what the other gave
        taken, given = [*args, low.current_order()], [*results, ((), np.dtype(np.int32))]
    attributes += f", {_layouts(taken, given)}"
    # On several devices Python is called once, not by each.
    where = "" if low.meshes is None else low.meshes.on_first(len(given))
    outs = low.code.ops("custom_call", taken, given, attributes, extra=where)
    if effects:
        *outs, low.order = outs
    return outs


def call_code(
    low: Lowering, target: str, words: Sequence[Word], results: Sequence[Result], extra: str = ""
) -> list[Word]:
    """What the machine code that is registered by a name makes of arrays."""
    attributes = (
        f'call_target_name = "{target}", has_side_effect = false, api_version = 4 : i32, '
        f"{_layouts(words, results)}"
    )
    return low.code.ops("custom_call", words, results, attributes, extra=extra)


def _layouts(taken: Sequence[Word], given: Sequence[Result]) -> str:
    """Attributes of a call: its arrays lie as NumPy's do, and not as the compiler may like."""
    ranks = [w.rank for w in taken], [len(shape) for shape, _ in given]
    ins, outs = (", ".join(map(_rows, n)) for n in ranks)
    return f"operand_layouts = [{ins}], result_layouts = [{outs}]"


def _rows(rank: int) -> str:
    """The layout of NumPy's arrays: the last axis is the quickest."""
    axes = list(range(rank - 1, -1, -1))
    return f"dense<{axes if axes else ''}> : tensor<{rank}xindex>"


def _called(
    caller: Caller, eq: Equation, results: Sequence[Result], effects: bool
) -> Callable[..., tuple[Any, ...]]:
    """A function of NumPy arrays that gives exactly the promised shapes and dtypes: jaxlib reads
    whatever it is given as if it had them."""
    primitive: Any = eq.primitive
    params = eq.params
    in_types = [a.aval for a in eq.invars]

    def call(*arrays: Any) -> tuple[Any, ...]:
        with noted(), caller(), quiet():
            arrays, order = (arrays[:-1], arrays[-1:]) if effects else (arrays, ())
            values = [_value(np.asarray(x), t) for x, t in zip(arrays, in_types, strict=True)]
            found = primitive.eval(*values, **params)
            outs = found if primitive.multiple_results else [found]
            exact = [_exactly(y, r) for y, r in zip(outs, results, strict=True)]
            return (*exact, *order)

    return call


def _kept(
    caller: Caller, call: Callable[..., Any], results: Sequence[Result], effects: bool
) -> Callable[..., tuple[Any, ...]]:
    """`call`, whose exception waits until the program is done: where one of several devices fails,
    the others wait for it for ever. What comes after it is not called.
    """

    def run(*arrays: Any) -> tuple[Any, ...]:
        if not caller.raised:
            try:
                return call(*arrays)  # type: ignore[no-any-return]
            except _Noted as problem:
                caller.raised.append(original(str(problem)) or problem)
        nothing = tuple(np.zeros(shape, dtype) for shape, dtype in results)
        return (*nothing, *arrays[-1:]) if effects else nothing

    return run


_raised: dict[int, BaseException] = {}
_number = count()


class _Noted(Exception):
    """Stands for an exception in the text that jaxlib makes of it."""


@contextmanager
def noted() -> Iterator[None]:
    """An exception of what is done here can be had by the text of the error that jaxlib raises."""
    try:
        yield
    except BaseException as cause:
        number = next(_number)
        _raised[number] = cause
        raise _Noted(f"pullback exception {number}.") from None


def original(text: str) -> BaseException | None:
    """The exception that an error of jaxlib is about, if a callback raised it."""
    found = [int(n) for n in re.findall(r"pullback exception (\d+)\.", text)]
    causes = [_raised.pop(n, None) for n in found]
    return next((c for c in causes if c is not None), None)


def _value(array: np.ndarray, t: Any) -> Any:
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


def _nothing(low: Lowering, eq: Equation, args: Sequence[Word]) -> Sequence[Word]:
    return []


RULES: dict[Any, Any] = {
    **{p: _nothing for p in (create_token, after_all, dce_sink)},
}

__all__ = ["RULES", "by_definition", "call_code", "host_call", "original"]
