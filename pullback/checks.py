"""What users pass to transformations, checked at the edge where their words are known."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from types import FunctionType
from typing import Any

import numpy as np

from .core import dtypes
from .core.array import Array, HostArray
from .core.errors import InconclusiveDimensionOperation, error, noted_error
from .core.pytree import PyTreeDef
from .core.trace import host_array, type_of
from .core.types import ArrayType, array_type
from .ops.elementwise import convert_element_type
from .ops.structural import zeros


def callable_(fun: Any, name: str) -> None:
    """`fun` must be callable."""
    if not callable(fun):
        raise error(
            TypeError,
            f"{name} takes a function as its first argument.",
            got=f"a value of type {type(fun).__name__}",
            fix=f"write {name}(f, ...), not {name}(f(x), ...)."
            if name in _TOGETHER
            else f"write {name}(f)(x), not {name}(f(x)).",
        )


_TOGETHER = {
    *("jvp", "vjp", "linearize", "eval_shape", "jet", "odeint", "linear_call", "def_vmap"),
    *("pure_callback", "io_callback", "saved_residuals"),
}
"""Functions that take the arguments of a function together with it."""


def positions(argnums: int | Sequence[int]) -> tuple[int, ...]:
    """`argnums` as a tuple."""
    if isinstance(argnums, int):
        return (argnums,)
    if isinstance(argnums, (tuple, list)) and all(isinstance(i, int) for i in argnums):
        return tuple(argnums)
    raise error(
        TypeError,
        "argnums must be an integer or a sequence of integers.",
        got=f"argnums={argnums!r}",
        fix="name positional arguments by their number, counted from 0.",
    )


def chosen_arguments(args: Any, numbers: tuple[int, ...], argnums: Any, name: str) -> Any:
    """The arguments that `argnums` names: one, or a tuple of them."""
    for i in numbers:
        if not -len(args) <= i < len(args):
            raise error(
                TypeError,
                f"{name}: argnums names an argument that was not passed.",
                got=f"argnums={argnums} with {len(args)} positional arguments",
                fix="count positional arguments from 0; arguments passed by keyword cannot be "
                "named.",
            )
    if len({i % len(args) for i in numbers}) < len(numbers):
        raise error(
            ValueError,
            f"{name}: argnums names an argument twice.",
            got=f"argnums={argnums} with {len(args)} positional arguments",
            fix="name each argument once.",
        )
    return args[argnums] if isinstance(argnums, int) else tuple(args[i] for i in numbers)


def replaced_arguments(args: Any, numbers: tuple[int, ...], argnums: Any, value: Any) -> list[Any]:
    """`args` with the arguments that `argnums` names replaced by `value`."""
    new = list(args)
    if isinstance(argnums, int):
        new[argnums] = value
    else:
        for i, x in zip(numbers, value, strict=True):
            new[i] = x
    return new


def input_array(x: Any, name: str) -> Any:
    """An argument of a transformed function as an Array."""
    if isinstance(x, Array):
        return x
    try:
        return host_array(x)
    except TypeError as cause:
        raise error(
            TypeError,
            f"{name}: an argument is not a valid array.",
            got=f"{x!r:.80} of type {type(x).__name__}",
            fix="arguments must be arrays, numbers or containers of them; pass others by closure "
            "or functools.partial.",
        ) from cause


def shaped(x: Any, name: str) -> ArrayType:
    """The type of an array, or of anything with a shape and a dtype, such as a ShapeDtypeStruct."""
    if not isinstance(x, Array) and hasattr(x, "shape") and hasattr(x, "dtype"):
        weak = bool(getattr(x, "weak_type", False))
        return array_type(tuple(x.shape), dtypes.canonical(x.dtype), weak)
    return type_of(input_array(x, name))


def array_type_of(shape: Any, dtype: Any) -> ArrayType:
    """The type of this shape and dtype, checked."""
    if dtype is None:
        raise error(
            ValueError,
            "a ShapeDtypeStruct needs a dtype.",
            got=f"shape {shape}, dtype None",
            fix="give e.g. jnp.float32.",
        )
    return array_type(tuple(map(_length, shape)), dtypes.canonical(dtype))


def _length(n: Any) -> Any:
    try:
        return int(n)
    except InconclusiveDimensionOperation:  # an expression, for `export`
        return n


def dtype_name(dtype: Any) -> str:
    """The name of a dtype, as messages and reprs have it."""
    return dtypes.long_name(dtype)


def output_array(y: Any, name: str) -> Any:
    """A result of a transformed function as an Array."""
    if isinstance(y, Array):
        return y
    try:
        return host_array(y)
    except TypeError as cause:
        raise error(
            TypeError,
            f"{name}: a result of the function is not a valid array.",
            got=f"{y!r:.80} of type {type(y).__name__}",
            fix="return arrays, numbers or containers of them; return others with has_aux=True.",
        ) from cause


def pair(out: Any, name: str) -> Any:
    """The two parts of a result with auxiliary data."""
    if isinstance(out, (tuple, list)) and len(out) == 2:
        return out
    raise error(
        TypeError,
        f"{name} with has_aux=True needs a function that returns a pair (value, auxiliary data).",
        got=f"a result of type {type(out).__name__}"
        + (f" of length {len(out)}" if isinstance(out, (tuple, list)) else ""),
        fix="return (value, aux), or leave has_aux out.",
    )


# ---- grad


def grad_input(x: Any, holomorphic: bool, allow_int: bool) -> None:
    """An input of grad must be real, or complex, or with `allow_int` an integer."""
    k = dtypes.kind(x.dtype)
    if k == "f" and not holomorphic:
        return
    name = dtypes.long_name(x.dtype)
    if holomorphic and k != "c":
        raise error(
            TypeError,
            f"grad with holomorphic=True requires inputs with complex dtype, but got {name}.",
            got=type_of(x).str_short(),
            fix="convert the input, e.g. x.astype(jnp.complex64), or leave holomorphic out.",
        )
    if k not in "fc" and not (allow_int and k in "biu"):
        raise error(
            TypeError,
            f"grad requires real- or complex-valued inputs (input dtype that is a sub-dtype of "
            f"np.inexact), but got {name}.",
            got=type_of(x).str_short(),
            fix="use a float (2.0 instead of 2); for integer inputs use vjp or set allow_int=True.",
        )


def scalar_output(y: Any) -> Any:
    """What the function under grad returned, which must be one array."""
    try:
        if not isinstance(y, (tuple, list, dict)) and y is not None:
            return host_array(y)
    except TypeError:
        pass
    raise noted_error(
        TypeError,
        f"Gradient only defined for scalar-output functions. Output was: {y!r:.80}.",
        got=f"a result of type {type(y).__name__}",
        fix="return one number; return other results with has_aux=True.",
    )


def grad_output(y: Any, holomorphic: bool) -> None:
    """The output of the function under grad must be a scalar, real or (holomorphic) complex."""
    if y.shape != ():
        raise noted_error(
            TypeError,
            f"Gradient only defined for scalar-output functions. Output had shape: {y.shape}.",
            got=type_of(y).str_short(),
            fix="sum the output, or use jacrev for all derivatives, or vjp to weigh the outputs.",
        )
    k = dtypes.kind(y.dtype)
    if k == "f" and not holomorphic:
        return
    name = dtypes.long_name(y.dtype)
    if holomorphic and k != "c":
        raise error(
            TypeError,
            f"grad with holomorphic=True requires outputs with complex dtype, but got {name}.",
            got=type_of(y).str_short(),
            fix="leave holomorphic out for a real-valued function.",
        )
    if k == "c" and not holomorphic:
        raise error(
            TypeError,
            f"grad requires real-valued outputs (output dtype that is a sub-dtype of np.floating), "
            f"but got {name}.",
            got=type_of(y).str_short(),
            fix="set holomorphic=True if the function is, or take its real part or absolute value.",
        )
    if k not in "fc":
        raise error(
            TypeError,
            f"grad requires real-valued outputs (output dtype that is a sub-dtype of np.floating), "
            f"but got {name}.",
            got=type_of(y).str_short(),
            fix="convert the output to a float; integers have no derivative.",
        )


# ---- tangents and cotangents


def sequence(given: Any, name: str) -> None:
    """Primals and tangents come as a tuple or list."""
    if not isinstance(given, (tuple, list)):
        raise error(
            TypeError,
            f"jvp takes its {name} as a tuple or list.",
            got=f"{name} of type {type(given).__name__}",
            fix="write jvp(f, (x,), (t,)) for a function of one argument.",
        )


def checkpoints(given: Any, name: str) -> int:
    """How many states may be kept: a positive integer."""
    try:
        count = operator.index(given)
    except TypeError:
        count = 0
    if count < 1 or isinstance(given, bool):
        raise error(
            ValueError,
            f"{name} needs a positive integer as `checkpoints`, how many states may be kept.",
            got=f"checkpoints={given!r}",
            fix="give 1 or more: the first state always counts; or leave it out.",
        )
    return count


def structure(
    what: str, tree: PyTreeDef, expected: PyTreeDef, of: str, kind: type[Exception] = TypeError
) -> None:
    """`tree` must be `expected`."""
    if tree is not expected and tree != expected:
        raise error(
            kind,
            f"{what} must have the structure of {of}.",
            got=f"{tree} instead of {expected}",
            fix="give one for each array, in the same containers.",
        )


def same_type(x: Any, t: Any) -> bool:
    """Whether `t` needs no further check to be a tangent of `x`: both are plain float arrays."""
    if type(x) is not HostArray or type(t) is not HostArray:
        return False
    a, b = x._value, t._value
    return a.dtype is b.dtype and a.shape == b.shape and a.dtype.kind in "fc"


def tangent_array(
    t: ArrayType,
    x: Any,
    what: str = "tangent",
    of: str = "primal",
    kind: type[Exception] = TypeError,
) -> Any:
    """`x` as a tangent (None: zero) of an array of type `t`; `kind`: the error for other dtypes."""
    if type(x) is HostArray and x.dtype == t.dtype and x.shape == t.shape and x.dtype.kind in "fc":
        return x
    if not dtypes.is_inexact(t.dtype):
        if getattr(x, "dtype", None) == dtypes.float0:
            return None
        raise error(
            kind,
            f"the {what} of a {dtypes.long_name(t.dtype)} {of} must have dtype float0.",
            got=f"{of} {t.str_short()}, {what} {type_of(x).str_short()}",
            fix="pass np.zeros(shape, dtype=jax.dtypes.float0), or make the value a float.",
        )
    given: Any = x if isinstance(x, Array) else host_array(x)
    have = type_of(given)
    if have.shape != t.shape:
        raise error(
            ValueError,
            f"{what} and {of} must have one shape.",
            got=f"{of} {t.str_short()}, {what} {have.str_short()}",
            fix=f"give a {what} of shape {t.shape}.",
        )
    if have.dtype != t.dtype:
        if have.weak_type and not isinstance(x, Array) and _promotes(have, t):
            return convert_element_type(given, new_dtype=t.dtype, weak_type=t.weak_type)
        raise error(
            kind,
            f"{what} and {of} must have one dtype.",
            got=f"{of} {t.str_short()}, {what} {have.str_short()}",
            fix=f"convert the {what} with .astype({dtypes.long_name(t.dtype)!r}).",
        )
    return given if given is x else HostArray(given._value, t.weak_type)


def _promotes(have: ArrayType, t: ArrayType) -> bool:
    return "biufc".index(dtypes.kind(have.dtype)) <= "biufc".index(dtypes.kind(t.dtype))


def cotangent_array(t: ArrayType, x: Any) -> Any:
    """`x` as a cotangent (None: zero) of an array of type `t`."""
    return tangent_array(t, x, "cotangent", "output", ValueError)


def zero_filled(t: Any, aval: ArrayType) -> Any:
    """A user gets an array where Pullback has None: zeros, of dtype float0 for integers.

    The derivative at a weak float is weak. At a weak complex number it is as the rules made it:
    the documents show `Array(6.-8.j, dtype=complex64)` as a gradient at 3.+4j (tests/seeds).
    """
    if t is not None:
        if aval.weak_type and type(t) is HostArray and not t._weak and t.dtype.kind == "f":
            return HostArray(t._value, True)
        return t
    if not dtypes.is_inexact(aval.dtype):
        return np.zeros(aval.shape, dtypes.float0)
    return zeros(aval)


def named_like(function: Any, fun: Any, verb: str) -> Any:
    """`function` with the name, docstring and attributes of `fun`.

    functools.wraps does the same in 0.7 us more.
    """
    name = getattr(fun, "__name__", verb)
    function.__name__ = name if isinstance(name, str) else verb  # an object may have any
    function.__doc__ = getattr(fun, "__doc__", None)
    if type(fun) is FunctionType and fun.__dict__:  # only attributes that users gave
        for attribute, value in fun.__dict__.items():
            function.__dict__.setdefault(attribute, value)
    function.__wrapped__ = fun
    return function
