"""Mutable arrays: `jax.ref`. A Ref holds an array, which reads and writes by index replace.

A Ref is used in the transformation that it was made in: outside all, or in one jitted function.
There it stands for the value that it has at that place of the program. In a transformation inside
(the body of a loop, a jitted function that closes over it) it is refused: a program would keep the
value that it had when it was traced.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import numpy as np

from .core.array import Array
from .core.errors import error
from .core.trace import state, type_of
from .core.types import ArrayType
from .numpy.conversion import array, asarray
from .numpy.creation import arange, zeros


class AbstractRef:
    """The type of a Ref."""

    def __init__(self, inner_aval: ArrayType, memory_space: Any = None, kind: Any = None) -> None:
        self.inner_aval, self.memory_space, self.kind = inner_aval, memory_space, kind

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.inner_aval.shape

    @property
    def dtype(self) -> np.dtype:
        """The type of the elements."""
        return self.inner_aval.dtype

    def __repr__(self) -> str:
        return f"Ref{{{self.inner_aval.str_short()}}}"


class Ref:
    """A mutable array: `ref[i]` reads, `ref[i] = x` and `ref[i] += x` write.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> ref = pullback.new_ref(jnp.zeros(3))
      >>> ref[1] = 2.0
      >>> ref[...] += 1.0
      >>> print(ref[...])
      [1. 3. 1.]
    """

    __slots__ = ("_trace", "_value")
    __hash__ = object.__hash__

    def __init__(self, value: Array) -> None:
        self._value: Any = value
        self._trace = state.trace

    @property
    def aval(self) -> AbstractRef:
        """The type."""
        return AbstractRef(type_of(self._held()))

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.aval.shape

    @property
    def dtype(self) -> np.dtype:
        """The type of the elements."""
        return self.aval.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.aval.inner_aval.size

    def __len__(self) -> int:
        return len(self._held())

    def __getitem__(self, idx: Any) -> Any:
        return get(self, idx)

    def __setitem__(self, idx: Any, value: Any) -> None:
        swap(self, idx, value)

    def get(self) -> Any:
        """The array as it is now."""
        return get(self)

    def set(self, value: Any) -> None:
        """Replace all elements."""
        swap(self, None, value)

    def __repr__(self) -> str:
        if self._value is None:
            return "Ref(freed)"
        return f"Ref({self._value!r})"

    def _held(self) -> Any:
        """The value, if it may be used here."""
        if self._value is None:
            raise error(
                ValueError,
                "a Ref was used after it was frozen or freed.",
                got="a Ref without a value",
                fix="use the array that freeze returned.",
            )
        if state.trace is not self._trace:
            raise error(
                NotImplementedError,
                "a Ref was used in another transformation than the one it was made in.",
                got=f"Ref of {type_of(self._value).str_short()}, made in "
                f"{self._trace.describe()}, used in {state.trace.describe()}",
                fix="make the Ref inside, or pass its array in and out.",
            )
        return self._value


def new_ref(init_val: Any, *, memory_space: Any = None, kind: str | None = None) -> Ref:
    """A Ref that holds a copy of an array.

    Args:
      init_val: an array or a number.
      memory_space, kind: accepted for compatibility.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> counter = pullback.new_ref(jnp.zeros(2))
      >>> counter[0] = 5.0
      >>> print(counter[...])
      [5. 0.]
    """
    return Ref(array(init_val))


def empty_ref(ty: Any, memory_space: Any = None) -> Ref:
    """A Ref that holds zeros of the shape and the dtype of `ty`."""
    return Ref(zeros(ty.shape, ty.dtype))


def freeze(ref: Ref) -> Array:
    """The array that the Ref holds; the Ref can no longer be used."""
    value = ref._held()
    ref._value = None
    return value  # type: ignore[no-any-return]


def free_ref(ref: Ref) -> None:
    """Give up the Ref."""
    freeze(ref)


def get(ref: Ref, idx: Any = None) -> Any:
    """`ref[idx]`; all of it, if `idx` is None."""
    return ref._held()[_index(idx)]


def set(ref: Ref, idx: Any, value: Any) -> None:
    """`ref[idx] = value`"""
    swap(ref, idx, value)


def swap(ref: Ref, idx: Any, value: Any) -> Any:
    """Write `value` at `idx`, and return what was there.

    Raises:
      ValueError: `value` has another dtype, or does not fit.
    """
    held, index = ref._held(), _index(idx)
    new = asarray(value)
    if new.dtype != held.dtype and not new.weak_type:
        raise error(
            ValueError,
            "a value written to a Ref must have its dtype.",
            got=f"{type_of(new).str_short()} for a Ref of {type_of(held).str_short()}",
            fix="convert it with .astype(...).",
        )
    before = held[index]
    ref._value = held.at[index].set(new.astype(held.dtype))
    return before


def addupdate(ref: Ref, idx: Any, x: Any) -> None:
    """`ref[idx] += x`; an element that is named several times gets all."""
    ref._value = ref._held().at[_index(idx)].add(x)


@dataclass(frozen=True)
class Slice:
    """Part of an axis in the index of a Ref: `size` elements from `start` on. See `ds`."""

    start: Any
    size: Any
    stride: int = 1


def ds(start: Any, size: Any = None, stride: int | None = None) -> Slice | slice:
    """`size` elements from `start` on, which may be traced, in the index of a Ref.

    `ds(size)` is from 0 on, `ds(None)` a whole axis.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> ref = pullback.new_ref(jnp.arange(5))
      >>> print(ref[pullback.ds(jnp.array(1), 3)])
      [1 2 3]
    """
    if start is None:
        if size is not None or stride is not None:
            raise error(
                ValueError,
                "ds(None) stands for a whole axis.",
                got=f"size={size!r}, stride={stride!r}",
                fix="give a start too.",
            )
        return slice(None)
    return Slice(0, start, 1) if size is None else Slice(start, size, stride or 1)


def _index(idx: Any) -> Any:
    """An index of a Ref as one of an array."""
    whole: EllipsisType = ...
    if idx is None:
        return whole
    if not isinstance(idx, tuple):
        return _part(idx)
    parts = tuple(_part(i) for i in idx)
    if sum(isinstance(p, Array) for p in parts) > 1 and any(isinstance(i, Slice) for i in idx):
        raise error(
            NotImplementedError,
            "an index of a Ref with ds(...) of a traced start has at most one array.",
            got=f"{idx!r:.80}",
            fix="index one axis after the other.",
        )
    return parts


def _part(i: Any) -> Any:
    if not isinstance(i, Slice):
        return i
    if isinstance(i.start, int):
        return slice(i.start, i.start + i.size * i.stride, i.stride)
    return asarray(i.start) + i.stride * arange(i.size)


__all__ = [
    "AbstractRef",
    "Ref",
    "addupdate",
    "empty_ref",
    "free_ref",
    "freeze",
    "get",
    "new_ref",
    "set",
    "swap",
]
