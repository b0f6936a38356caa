"""What NumPy's ufuncs have beside their call: reduce, accumulate, at, outer, reduceat."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from ..control.scan import scan_p
from ..control.traced import trace_function
from ..core import dtypes
from ..core.array import Array
from ..core.errors import error
from ..core.pytree import flatten
from ..core.trace import type_of
from ..ops.structural import move_axis
from . import arithmetic, conversion, creation, cumulative, functions, joining, logic, reductions
from .arguments import expand, no_out
from .functional import vectorize
from .indexing import read
from .promotion import as_array, astype, axis_number, broadcast_to, requested_dtype
from .selecting import where as where_


class _Kind(type):
    """Functions that have got the methods of a ufunc are instances of it."""

    def __instancecheck__(cls, x: Any) -> bool:
        own = type.__instancecheck__(cls, x)
        return own or (type(x) is FunctionType and hasattr(x, "reduceat"))


class ufunc(metaclass=_Kind):
    """A function of single elements, with NumPy's methods.

    `jnp.add` and its like are plain functions, as a call of an object would take longer; they have
    these methods too, and are instances of this class. Others are made by `frompyfunc`.
    """

    def __init__(
        self, func: Callable[..., Any], /, nin: int, nout: int, *, identity: Any = None,
        call: Callable[..., Any] | None = None,
    ) -> None:  # fmt: skip
        self.func, self.nin, self.nout, self.identity = func, nin, nout, identity
        self.nargs = nin
        self.__name__ = getattr(func, "__name__", type(func).__name__)
        self.__doc__ = getattr(func, "__doc__", None)
        self._call = call or vectorize(func)

    def __call__(self, *args: Any, out: None = None, where: None = None) -> Any:
        for name, given in (("out", out), ("where", where)):
            if given is not None:
                raise error(
                    NotImplementedError,
                    f"{name} argument of {self!r}.",
                    got=f"{name}={type(given).__name__}",
                    fix="use the result, with jnp.where for `where`.",
                )
        if len(args) != self.nin:
            raise error(
                TypeError,
                f"{self.__name__}() takes {self.nin} positional arguments but {len(args)} were "
                "given.",
                got=f"{len(args)} arguments",
                fix=f"give {self.nin} arrays.",
            )
        return self._call(*args)

    def __repr__(self) -> str:
        return f"<jnp.ufunc '{self.__name__}'>"

    def __eq__(self, other: object) -> bool:
        return type(other) is ufunc and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return self.func, self.nin, self.nout, self.identity

    # ---- reductions

    def reduce(
        self,
        a: Any,
        axis: Any = 0,
        dtype: Any = None,
        out: None = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = None,
    ) -> Array:
        """The elements along `axis` combined one after the other; of all, if it is None.

        Args:
          a: an array.
          axis: an integer, or None.
          dtype: the dtype to which `a` is converted first.
          out: must be None.
          keepdims: keep the axis, with length 1.
          initial: what the first element is combined with; by default the identity, if any.
          where: bools that broadcast with `a`; elements where it is False are left out.

        Raises:
          ValueError: the function has not two operands; there are no elements and no identity.

        Example:
          >>> import pullback.numpy as jnp
          >>> print(jnp.add.reduce(jnp.array([[1, 2], [3, 4]])))
          [4 6]
        """
        self._needs("reduce")
        special = _REDUCTIONS.get(self.func)
        if special is not None:
            return special(a, axis, dtype, out, keepdims, initial, where)
        no_out(f"{self.__name__}.reduce", out)
        if where is not None and initial is None and self.identity is None:
            raise error(
                ValueError,
                f"reduction operation {self.__name__!r} does not have an identity, so to use a "
                "where mask one has to specify 'initial'.",
                got="where= without initial=",
                fix="give initial=.",
            )
        x = self._array(a, dtype)
        ndim = x.ndim
        mask = None if where is None else broadcast_to(as_array(where), x.shape)
        (x, mask), at = self._rows("reduce", axis, x, mask)
        result = self._result(x)
        first = self.identity if initial is None else initial
        if first is None:
            if not x.shape[0]:
                raise error(
                    ValueError,
                    f"zero-size array to reduction operation {self.__name__} which has no "
                    "identity.",
                    got=type_of(as_array(a)).str_short(),
                    fix="give initial=.",
                )
            start, x = x[0], x[1:]
        else:
            start = broadcast_to(as_array(first), x.shape[1:])

        def step(carry: Any, row: Any) -> Any:
            new = astype(self._call(carry, row[0]), result)
            return (new if mask is None else where_(row[1], new, carry)), None

        total, _ = _scan(step, astype(start, result), (x, mask))
        if not keepdims:
            return total  # type: ignore[no-any-return]
        return expand(total, range(ndim) if axis is None else (at,))  # type: ignore[no-any-return]

    def accumulate(self, a: Any, axis: Any = 0, dtype: Any = None, out: None = None) -> Array:
        """The results so far of combining the elements along `axis`; of all, if it is None.

        Example:
          >>> import pullback.numpy as jnp
          >>> print(jnp.subtract.accumulate(jnp.array([10, 1, 2])))
          [10  9  7]
        """
        self._needs("accumulate")
        special = _ACCUMULATIONS.get(self.func)
        if special is not None:
            return special(a, axis, dtype, out)
        no_out(f"{self.__name__}.accumulate", out)
        (x, _), at = self._rows("accumulate", axis, self._array(a, dtype), None)
        result = self._result(x)
        if not x.shape[0]:
            return astype(move_axis(x, 0, at), result)

        def step(carry: Any, row: Any) -> Any:
            new = astype(self._call(carry, row), result)
            return new, new

        first = astype(x[0], result)
        _, rest = _scan(step, first, x[1:])
        return move_axis(joining.concatenate([first[None], rest]), 0, at)

    def reduceat(
        self, a: Any, indices: Any, axis: int = 0, dtype: Any = None, out: None = None
    ) -> Array:
        """The reductions over pieces of `axis`: from each of `indices` to the next one.

        The last piece goes to the end; where an index is not below the next one, the piece is the
        one element at it.

        Example:
          >>> import pullback.numpy as jnp
          >>> print(jnp.add.reduceat(jnp.arange(8), jnp.array([0, 4, 1, 5])))
          [ 6  4 10 18]
        """
        self._needs("reduceat")
        no_out(f"{self.__name__}.reduceat", out)
        if axis is None or isinstance(axis, (tuple, list)):
            raise error(
                NotImplementedError,
                "reduceat works along one axis.",
                got=f"axis={axis!r}",
                fix="give an integer.",
            )
        places = as_array(indices, "reduceat")
        if places.ndim != 1 or dtypes.kind(places.dtype) not in "iu":
            raise error(
                ValueError,
                "reduceat: indices must be one-dimensional and integers.",
                got=type_of(places).str_short(),
                fix="give an array such as jnp.array([0, 4]).",
            )
        (x, _), at = self._rows("reduceat", axis, self._array(a, dtype), None)
        result, n = self._result(x), x.shape[0]
        ends = joining.concatenate([places[1:], conversion.array([n], dtype=places.dtype)])
        shape = (places.shape[0], *(1,) * (x.ndim - 1))
        places_of_rows, ends = places.reshape(shape), ends.reshape(shape)

        def step(carry: Any, row: Any) -> Any:
            i, element = row
            inside = (places_of_rows < i) & (i < ends)
            new = astype(self._call(carry, broadcast_to(element, carry.shape)), result)
            return where_(inside, new, carry), None

        numbers = creation.arange(n, dtype=places.dtype)
        total, _ = _scan(step, astype(read(x, places), result), (numbers, x))
        return move_axis(total, 0, at)

    # ---- others

    def at(self, a: Any, indices: Any, b: Any = None, /, *, inplace: bool = True) -> Array:
        """A copy of `a` with the function applied to the elements at `indices`, and to `b`.

        An element that is named several times is changed as often. Arrays cannot be changed, so
        `inplace=False` must be given, and the result used.

        Example:
          >>> import pullback.numpy as jnp
          >>> print(jnp.add.at(jnp.zeros(3), jnp.array([0, 0, 2]), 1.0, inplace=False))
          [2. 0. 1.]
        """
        if inplace:
            raise error(
                NotImplementedError,
                "arrays are immutable, so jnp.ufunc.at() cannot operate inplace like "
                "np.ufunc.at().",
                got="inplace=True",
                fix="pass inplace=False and capture the result: "
                "result = jnp.add.at(arr, ind, val, inplace=False).",
            )
        x = as_array(a, f"{self.__name__}.at")
        special = _UPDATES.get(self.func)
        if special is not None:
            return getattr(x.at[indices], special)(b)  # type: ignore[no-any-return]
        shape = x.shape
        places = read(creation.arange(x.size).reshape(shape), indices)
        operand = None if b is None else broadcast_to(as_array(b), places.shape).reshape(-1)

        def step(carry: Any, row: Any) -> Any:
            i, value = row
            old = read(carry, i)
            new = self._call(old) if value is None else self._call(old, value)
            return carry.at[i].set(astype(new, carry.dtype)), None

        out, _ = _scan(step, x.reshape(-1), (places.reshape(-1), operand))
        return out.reshape(shape)  # type: ignore[no-any-return]

    def outer(self, A: Any, B: Any, /) -> Array:
        """The function of each element of `A` with each of `B`.

        Example:
          >>> import pullback.numpy as jnp
          >>> print(jnp.multiply.outer(jnp.array([1, 2]), jnp.array([3, 4, 5])))
          [[ 3  4  5]
           [ 6  8 10]]
        """
        self._needs("outer")
        x, y = as_array(A, "outer"), as_array(B, "outer")
        left = x.reshape(x.shape + (1,) * y.ndim)
        right = y.reshape((1,) * x.ndim + y.shape)
        return self._call(left, right)  # type: ignore[no-any-return]

    # ---- arguments

    def _needs(self, method: str) -> None:
        if self.nin != 2 or self.nout != 1:
            raise error(
                ValueError,
                f"{method} only supported for binary ufuncs with one result.",
                got=f"{self!r} of {self.nin} operands and {self.nout} results",
                fix="use a function of two arguments.",
            )

    def _array(self, a: Any, dtype: Any) -> Any:
        x = as_array(a, self.__name__)
        return x if dtype is None else astype(x, requested_dtype(dtype, self.__name__))

    def _rows(self, method: str, axis: Any, x: Any, mask: Any) -> tuple[tuple[Any, Any], int]:
        """`x` and `mask` with the axis in front, and where it was."""
        if isinstance(axis, (tuple, list)):
            raise error(
                NotImplementedError,
                f"{self.__name__}.{method} works along one axis.",
                got=f"axis={axis!r}",
                fix="give an integer, or None.",
            )
        if axis is None:
            return (x.reshape(-1), None if mask is None else mask.reshape(-1)), 0
        at = axis_number(axis, x.ndim)
        return (move_axis(x, at, 0), None if mask is None else move_axis(mask, at, 0)), at

    def _result(self, x: Any) -> np.dtype:
        """The dtype of results; with another one the function may give yet another."""
        one = creation.ones((), x.dtype)
        return type_of(self._call(one, one)).dtype


def _scan(step: Callable[..., Any], carry: Any, xs: Any) -> tuple[Any, Any]:
    """`step(carry, row) -> (carry, result)` for each row of the arrays `xs`."""
    leaves, in_tree = flatten((carry, xs))
    rows = [type_of(x).without_axis(0) for x in leaves[1:]]
    body = trace_function(step, in_tree, [type_of(carry), *rows], "scan")
    outs = scan_p(
        *body.consts,
        *leaves,
        jaxpr=body.closed,
        length=leaves[1].shape[0],
        num_carry=1,
        num_consts=len(body.consts),
        reverse=False,
        unroll=1,
    )
    return outs[0], (outs[1] if len(outs) > 1 else None)


def frompyfunc(func: Callable[..., Any], /, nin: int, nout: int, *, identity: Any = None) -> ufunc:
    """A ufunc of a function of single elements.

    Args:
      func: a function of `nin` numbers that gives `nout` results, made of functions of arrays.
      nin, nout: the number of operands and of results.
      identity: the result of a reduction over no elements.

    Example:
      >>> import pullback.numpy as jnp
      >>> twice_and = jnp.frompyfunc(lambda x, y: 2 * x + y, 2, 1)
      >>> print(twice_and.reduce(jnp.array([1, 0, 1])))
      5
    """
    if not callable(func):
        raise error(
            TypeError,
            "frompyfunc takes a function.",
            got=f"{func!r:.80}",
            fix="give a function of numbers.",
        )
    return ufunc(func, nin, nout, identity=identity)


# ---- the functions of this namespace that are ufuncs


def _reduction(function: Any) -> Any:
    """`all` and `any` as reductions of a ufunc."""

    def reduce(
        a: Any, axis: Any, dtype: Any, out: None, keepdims: bool, initial: Any, where: Any
    ) -> Any:
        found = function(a, axis, out, keepdims, where=where)
        if initial is not None:
            join = logic.logical_and if function is reductions.all else logic.logical_or
            found = join(found, initial)
        return found if dtype is None else astype(found, requested_dtype(dtype, "reduce"))

    return reduce


def _extremum(function: Any) -> Any:
    """`max` and `min` as reductions of a ufunc."""

    def reduce(
        a: Any, axis: Any, dtype: Any, out: None, keepdims: bool, initial: Any, where: Any
    ) -> Any:
        x = as_array(a, "reduce")
        x = x if dtype is None else astype(x, requested_dtype(dtype, "reduce"))
        return function(x, axis, out, keepdims, initial, where)

    return reduce


_REDUCTIONS: dict[Any, Any] = {
    arithmetic.add: reductions.sum,
    arithmetic.multiply: reductions.prod,
    arithmetic.maximum: _extremum(reductions.max),
    arithmetic.minimum: _extremum(reductions.min),
    logic.logical_and: _reduction(reductions.all),
    logic.logical_or: _reduction(reductions.any),
}
_ACCUMULATIONS: dict[Any, Any] = {
    arithmetic.add: cumulative.cumsum,
    arithmetic.multiply: cumulative.cumprod,
}
_UPDATES: dict[Any, str] = {
    arithmetic.add: "add",
    arithmetic.subtract: "subtract",
    arithmetic.multiply: "multiply",
    arithmetic.maximum: "max",
    arithmetic.minimum: "min",
}
_IDENTITIES: dict[Any, Any] = {
    arithmetic.add: 0,
    arithmetic.multiply: 1,
    arithmetic.subtract: None,
    arithmetic.maximum: None,
    arithmetic.minimum: None,
    functions.logaddexp: float("-inf"),
    functions.logaddexp2: float("-inf"),
    logic.bitwise_and: -1,
    logic.bitwise_or: 0,
    logic.bitwise_xor: 0,
    logic.logical_and: True,
    logic.logical_or: False,
    logic.logical_xor: False,
}
_MEMBERS = ("nin", "nout", "nargs", "identity", "reduce", "accumulate", "reduceat", "at", "outer")


def _give_methods(function: Any, nin: int, identity: Any) -> None:
    """Make a function of this namespace a ufunc."""
    made = ufunc(function, nin, 1, identity=identity, call=function)
    for name in _MEMBERS:
        setattr(function, name, getattr(made, name))


for _function, _identity in _IDENTITIES.items():
    _give_methods(_function, 2, _identity)
_give_methods(arithmetic.negative, 1, None)
