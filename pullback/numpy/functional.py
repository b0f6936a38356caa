"""Functions that apply a user's function: along an axis, element by element, piece by piece."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any

from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..core.pytree import flatten
from ..core.settings import values
from ..core.trace import type_of
from ..core.types import Shape
from ..ops import structural
from ..ops.elementwise import convert_element_type, select_n
from ..ops.structural import broadcast_in_dim, move_axis
from ..transforms import batch
from .arguments import expand
from .promotion import as_array, axis_number, broadcast_shapes, broadcast_to


def mapped(
    function: Callable[..., Any], in_axes: Sequence[int | None], out_axis: int = 0
) -> Callable[..., Any]:
    """`function` of arrays, applied along an axis of those that have one in `in_axes`."""

    def over_all(*arrays: Any) -> Any:
        trees = []

        def flat(*one: Any) -> list[Any]:
            outs, tree = flatten(function(*one))
            trees.append(tree)
            return [as_array(y, "the function") for y in outs]

        size = next(x.shape[i] for x, i in zip(arrays, in_axes) if i is not None)
        outs, axes = batch.vmap(flat, size, arrays, in_axes)
        placed = [_placed(y, axis, size, out_axis) for y, axis in zip(outs, axes)]
        return trees[0].unflatten(placed)

    return over_all


def _placed(y: Any, axis: int | None, size: int, out_axis: int) -> Any:
    if axis is not None:
        return move_axis(y, axis, out_axis % len(y.shape))
    shape = type_of(y).shape
    at = out_axis % (len(shape) + 1)
    dims = tuple(i + (i >= at) for i in range(len(shape)))
    return broadcast_in_dim(y, shape=(*shape[:at], size, *shape[at:]), broadcast_dimensions=dims)


def apply_along_axis(
    func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any
) -> Array:
    """`func1d(row, *args, **kwargs)` of each row of `arr` along `axis`; its results stand there.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.apply_along_axis(jnp.sum, 1, jnp.ones((2, 3))))
      [3. 3.]
    """
    x = as_array(arr, "apply_along_axis")
    i = axis_number(axis, x.ndim)

    def function(row: Any) -> Any:
        return func1d(row, *args, **kwargs)

    for k in range(1, x.ndim - i):
        function = mapped(function, (k,), -1)
    for _ in range(i):
        function = mapped(function, (0,))
    return function(x)


def apply_over_axes(func: Callable[[Any, int], Any], a: Any, axes: Sequence[int]) -> Array:
    """`func(a, axis)` for each axis in turn; an axis that it takes away is put back."""
    x = as_array(a, "apply_over_axes")
    for axis in axes:
        y = func(x, axis)
        if y.ndim == x.ndim - 1:
            y = expand(y, (axis_number(axis, x.ndim),))
        elif y.ndim != x.ndim:
            raise error(
                ValueError,
                "the function of apply_over_axes must keep the number of axes, or take one away.",
                got=f"{y.aval.str_short()} from {x.aval.str_short()}",
                fix="return the reduction over the axis it is given.",
            )
        x = y
    return x


# ---- vectorize

_NAME = r"\w+"
_CORE = rf"\((?:\s*{_NAME}\s*(?:,\s*{_NAME}\s*)*)?\)"
_LIST = rf"\s*{_CORE}\s*(?:,\s*{_CORE}\s*)*"
_SIGNATURE = re.compile(rf"^{_LIST}->{_LIST}$")


def vectorize(
    pyfunc: Callable[..., Any],
    *,
    excluded: Collection[int | str] = frozenset(),
    signature: str | None = None,
) -> Callable[..., Any]:
    """The function that applies `pyfunc` to all elements of its arguments, broadcast together.

    Args:
      pyfunc: a function of arrays.
      excluded: numbers and names of arguments that are passed on as they are.
      signature: which axes `pyfunc` takes and gives, such as ``(n,m),(m)->(n)``; None: scalars.

    Example:
      >>> import pullback.numpy as jnp
      >>> dot = jnp.vectorize(jnp.dot, signature="(n),(n)->()")
      >>> print(dot(jnp.ones((3, 2)), jnp.ones(2)))
      [2. 2. 2.]
    """
    if any(not isinstance(e, (str, int)) for e in excluded):
        raise error(
            TypeError,
            "vectorize can only exclude integer or string arguments.",
            got=f"excluded={excluded!r}",
            fix="name arguments by their number or their keyword.",
        )
    if any(isinstance(e, int) and e < 0 for e in excluded):
        raise error(
            ValueError,
            "vectorize: excluded contains negative numbers.",
            got=f"excluded={excluded!r}",
            fix="count arguments from 0.",
        )
    cores = None if signature is None else _parsed(signature)

    @functools.wraps(pyfunc)
    def vectorized(*args: Any, **kwargs: Any) -> Any:
        dynamic = [i for i, a in enumerate(args) if i not in excluded and a is not None]
        dynamic_names = [k for k in kwargs if k not in excluded]

        def function(*arrays: Any) -> Any:
            given, named = list(args), dict(kwargs)
            for i, x in zip(dynamic, arrays):
                given[i] = x
            named.update(zip(dynamic_names, arrays[len(dynamic) :]))
            return pyfunc(*given, **named)

        arrays = [args[i] for i in dynamic] + [kwargs[k] for k in dynamic_names]
        arrays = [as_array(x, "vectorize") for x in arrays]
        if cores is None:
            return _over_loops(function, arrays, [()] * len(arrays))
        inputs, outputs = cores
        if len(inputs) != len([i for i in range(len(args)) if i not in excluded]):
            raise error(
                TypeError,
                "vectorize got a wrong number of positional arguments.",
                got=f"{len(arrays)} arrays for the signature {signature!r}",
                fix=f"give {len(inputs)} arrays, or exclude those that are not arrays.",
            )
        places = [i for i in range(len(args)) if i not in excluded]
        inputs = [inputs[places.index(i)] for i in dynamic]
        sizes = _core_sizes(arrays, inputs, signature)
        checked = _checked(function, outputs, sizes, signature)
        return _over_loops(checked, arrays, inputs)

    return vectorized


def _parsed(signature: str) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    if not _SIGNATURE.match(signature):
        raise error(
            ValueError,
            f"not a valid gufunc signature: {signature}",
            got=f"signature={signature!r}",
            fix='write e.g. "(n,m),(m)->(n)".',
        )
    sides = signature.split("->")
    left, right = ([tuple(re.findall(_NAME, c)) for c in re.findall(_CORE, s)] for s in sides)
    return left, right


def _core_sizes(arrays: Any, cores: Any, signature: Any) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for x, names in zip(arrays, cores):
        if x.ndim < len(names):
            raise error(
                ValueError,
                "vectorize: an input does not have enough dimensions for its core dimensions.",
                got=f"{x.aval.str_short()} for ({','.join(names)}) in {signature!r}",
                fix=f"give an array with at least {len(names)} axes.",
            )
        _enter_sizes(sizes, x.shape[x.ndim - len(names) :], names, signature)
    return sizes


def _enter_sizes(sizes: dict[str, int], shape: Shape, names: Any, signature: Any) -> None:
    for name, n in zip(names, shape):
        if sizes.setdefault(name, n) != n:
            raise error(
                ValueError,
                f"vectorize: inconsistent size for core dimension {name!r}.",
                got=f"{sizes[name]} and {n} in {signature!r}",
                fix="give arrays whose core dimensions of one name are equally long.",
            )


def _checked(function: Any, outputs: Any, sizes: Any, signature: Any) -> Callable[..., Any]:
    """`function`, its results compared with the signature."""

    def compared(*arrays: Any) -> Any:
        out = function(*arrays)
        results = out if isinstance(out, tuple) else (out,)
        if len(results) != len(outputs) or (len(outputs) > 1 and not isinstance(out, tuple)):
            raise error(
                TypeError,
                "vectorize: the function gave a wrong number of results.",
                got=f"{len(results)} for {signature!r}",
                fix=f"return a tuple of {len(outputs)} arrays."
                if len(outputs) > 1
                else "return one.",
            )
        own = dict(sizes)
        for y, names in zip(results, outputs):
            shape = type_of(y).shape
            if len(shape) != len(names):
                raise error(
                    ValueError,
                    "vectorize: a result does not match its core dimensions.",
                    got=f"shape {shape} for ({','.join(names)}) in {signature!r}",
                    fix="correct the signature or the function.",
                )
            _enter_sizes(own, shape, names, signature)
        return out

    return compared


def _over_loops(function: Any, arrays: list[Any], cores: Any) -> Any:
    """`function` mapped over all axes before the core axes, innermost last."""
    loops = [x.shape[: x.ndim - len(names)] for x, names in zip(arrays, cores)]
    shape = broadcast_shapes("vectorize", *loops)
    _check_ranks({len(s) for s in loops if s}, loops)
    squeezed = [_without_ones(x, len(loop)) for x, loop in zip(arrays, loops)]
    aligned = [(1,) * (len(shape) - len(loop)) + loop for loop in loops]
    missing = []
    for i in reversed(range(len(shape))):
        axes = tuple(None if loop[i] == 1 else 0 for loop in aligned)
        if all(axis is None for axis in axes):
            missing.append(i)
        else:
            function = mapped(function, axes)
    out = function(*squeezed)
    if not missing:
        return out
    if isinstance(out, tuple):
        return tuple(expand(as_array(y), missing) for y in out)
    return expand(as_array(out), missing)


def _without_ones(x: Any, loop_rank: int) -> Any:
    ones = tuple(i for i in range(loop_rank) if x.shape[i] == 1)
    return structural.squeeze(x, dimensions=ones) if ones else x


def _check_ranks(ranks: set[int], loops: list[Shape]) -> None:
    if len(ranks) < 2 or values.jax_numpy_rank_promotion == "allow":
        return
    what = "vectorize would promote the rank of an argument: " + ", ".join(map(str, loops)) + "."
    if values.jax_numpy_rank_promotion == "raise":
        raise error(
            ValueError,
            f"operands could not be broadcast together: {what}",
            got='setting jax_numpy_rank_promotion="raise"',
            fix="reshape the arguments to one rank, or use numpy_rank_promotion('allow').",
        )
    warnings.warn(what, stacklevel=4)


# ---- piece by piece


def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Array:
    """For each element of `x` the function whose condition holds there; the last that does counts.

    Args:
      x: an array.
      condlist: bools of the shape of `x`, one array for each condition.
      funclist: for each condition a number or a function ``f(x, *args, **kw)``; one more for where
        none holds (else 0). All functions are applied to all of `x`.
    """
    x = as_array(x, "piecewise")
    conditions = [as_array(c, "piecewise") for c in _rows(condlist)]
    functions = list(funclist)
    if len(functions) == len(conditions):
        functions.append(0)
    elif len(functions) != len(conditions) + 1:
        raise error(
            ValueError,
            f"piecewise: with {len(conditions)} conditions, either {len(conditions)} or "
            f"{len(conditions) + 1} functions are expected.",
            got=f"{len(functions)} functions",
            fix="give one for each condition, and one more for where none holds.",
        )
    *pieces, out = [_piece(f, x, args, kw) for f in functions]
    for condition, piece in zip(conditions, pieces):
        condition = convert_element_type(condition, new_dtype=dtypes.bool_, weak_type=False)
        out = select_n(broadcast_to(condition, x.shape), out, piece)
    return out


def _rows(condlist: Any) -> list[Any]:
    if isinstance(condlist, (list, tuple)):
        return list(condlist)
    stacked = as_array(condlist, "piecewise")
    return [stacked] if stacked.ndim == 0 else [stacked[i] for i in range(stacked.shape[0])]


def _piece(f: Any, x: Any, args: Any, kw: Any) -> Any:
    y = as_array(f(x, *args, **kw) if callable(f) else f, "piecewise")
    y = convert_element_type(y, new_dtype=x.dtype, weak_type=False)
    return broadcast_to(y, x.shape)
