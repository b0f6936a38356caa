"""Array, what a user holds: HostArray has its value in memory, a Tracer stands for a value.

Both are immutable and both are `Array`. Operators and NumPy-style methods are the same for both;
`numpy/operators.py` installs them, so that this file knows no operation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from . import dtypes
from .errors import (
    ConcretizationTypeError,
    TracerArrayConversionError,
    TracerBoolConversionError,
    TracerIntegerConversionError,
    error,
)
from .types import ArrayType, Shape, array_type, known_types

if TYPE_CHECKING:
    from .array_methods import ArrayMethods
else:
    ArrayMethods = object


class Array(ArrayMethods):
    """An immutable n-dimensional array: `jax.Array`.

    `isinstance(x, Array)` holds for values and for the stand-ins seen under a transformation.
    """

    __slots__ = ("__weakref__",)
    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]
    elsewhere: ClassVar[bool] = False
    """Whether operations must be done where it is: in another memory, or on several devices."""

    @property
    def aval(self) -> ArrayType:
        """Shape, dtype and weakness."""
        raise NotImplementedError

    @property
    def shape(self) -> Shape:
        """The length of each axis."""
        return self.aval.shape

    @property
    def dtype(self) -> np.dtype:
        """The type of the elements."""
        return self.aval.dtype

    @property
    def weak_type(self) -> bool:
        """Whether the dtype yields to others, as that of a Python scalar does."""
        return self.aval.weak_type

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.aval.size

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return int(self.dtype.itemsize)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self.itemsize

    def __len__(self) -> int:
        shape = self.shape
        if not shape:
            raise error(
                TypeError,
                "len() of unsized object",
                got=self.aval.str_short(),
                fix="a scalar has no length; its number of elements is x.size.",
            )
        return shape[0]

    def block_until_ready(self) -> Array:
        """This array: here every result is ready when it is returned."""
        return self


class HostArray(Array):
    """An array whose elements are in the memory of this process, as a NumPy array."""

    __slots__ = ("_aval", "_buffer", "_sharding", "_value", "_weak")
    _sharding: Any
    """Where `device_put` was told to put it; not there if it was not."""
    loose: ClassVar[bool] = False
    """Whether it is elsewhere only because it was made there, and goes along with others."""
    _buffer: Any
    """The XLA engine's copy of the elements, or its view of them; not there until it has one."""

    def __init__(self, value: Any, weak_type: bool = False) -> None:
        self._value, self._weak = value, weak_type
        self._aval: ArrayType | None = None

    @property
    def aval(self) -> ArrayType:
        """Shape, dtype and weakness."""
        if self._aval is None:
            value, weak = self._value, self._weak
            # The lookup that array_type does, without the call: 0.12 us, not 0.2.
            found = known_types.get((value.shape, value.dtype, weak))
            self._aval = found or array_type(value.shape, value.dtype, weak)
        return self._aval

    @property
    def shape(self) -> Shape:
        """The length of each axis."""
        return self._value.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> np.dtype:
        """The type of the elements."""
        return self._value.dtype  # type: ignore[no-any-return]

    @property
    def weak_type(self) -> bool:
        """Whether the dtype yields to others, as that of a Python scalar does."""
        return self._weak

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._value.ndim  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(self._value.size)

    # ---- to NumPy and to Python

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if dtypes.is_key(self._value.dtype):
            raise error(
                TypeError,
                "random keys have no NumPy form.",
                got=self.aval.str_short(),
                fix="use random.key_data(keys) for their bits.",
            )
        view = np.asarray(self._value).view()
        if dtype is not None and dtype != view.dtype:
            return view.astype(dtype)
        if copy:
            return view.copy()
        view.flags.writeable = False
        return view

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: Any = None,
        copy: bool | None = None,
    ) -> Any:
        """The elements by the DLPack protocol: in place where it knows of read-only arrays."""
        options: dict[str, Any] = {
            "stream": stream,
            "max_version": max_version,
            "dl_device": dl_device,
        }
        in_place = max_version is not None and max_version >= (1, 0) and not copy
        if copy is False and not in_place:
            raise BufferError("arrays are immutable, and before DLPack 1.0 only a copy can be so.")
        value = np.array(self, copy=True) if not in_place else self.__array__()
        return value.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def item(self, *index: Any) -> Any:
        """The one element, or that at `index`, as a Python number."""
        try:
            return np.asarray(self._value).item(*index)
        except (ValueError, IndexError) as cause:
            raise error(
                type(cause),
                str(cause),
                got=f"{self.aval.str_short()}.item({', '.join(map(repr, index))})",
                fix="index the array first; all elements as numbers are x.tolist().",
            ) from None

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return self._value.tolist()

    def tobytes(self, order: str = "C") -> bytes:
        """The elements as bytes."""
        return bytes(np.asarray(self._value).tobytes(order))  # type: ignore[arg-type]

    def _scalar(self) -> Any:
        value = self._value
        if value.ndim:
            raise error(
                TypeError,
                "Only scalar arrays can be converted to Python scalars; "
                f"got arr.ndim={value.ndim}.",
                got=self.aval.str_short(),
                fix="index the array, or use .item() if it has one element.",
            )
        return value

    def _real_scalar(self) -> Any:
        value = self._scalar()
        if value.dtype.kind == "c":
            raise error(
                TypeError,
                "a complex number cannot be converted to an int or a float.",
                got=self.aval.str_short(),
                fix="take .real or .imag of it, or abs(x).",
            )
        return value

    def __bool__(self) -> bool:
        if self._value.size == 1:
            if dtypes.is_key(self._value.dtype):
                raise TypeError("a random key cannot be converted to a bool.")
            return bool(self._value)
        raise error(
            ValueError,
            "the truth value of an array with more than one element is ambiguous."
            if self._value.size
            else "the truth value of an empty array is ambiguous.",
            got=self.aval.str_short(),
            fix="use .any() or .all().",
        )

    def __int__(self) -> int:
        return int(self._real_scalar())

    def __float__(self) -> float:
        return float(self._real_scalar())

    def __complex__(self) -> complex:
        return complex(self._scalar())

    def __index__(self) -> int:
        if dtypes.kind(self._value.dtype) not in "iu" or self._value.ndim:
            raise error(
                TypeError,
                "Only integer scalar arrays can be converted to a scalar index.",
                got=self.aval.str_short(),
                fix="convert a scalar with int(x), or index the array.",
            )
        return int(self._value)

    def __iter__(self) -> Iterator[Any]:
        value = self._value
        if value.ndim == 0:
            raise error(
                TypeError,
                "iteration over a 0-d array",
                got=self.aval.str_short(),
                fix="a scalar has no elements to go through; jnp.atleast_1d(x) has one.",
            )
        weak = self._weak
        rows = [HostArray(row, weak) for row in value]
        devices = self.devices() if self.elsewhere and not self.loose else ()
        return iter([row.to_device(*devices) for row in rows] if len(devices) == 1 else rows)

    # ---- printing, copying, devices

    def __repr__(self) -> str:
        value = self._value
        if dtypes.is_key(value.dtype):
            head = f"Array({value.shape}, dtype={dtypes.long_name(value.dtype)})"
            return f"{head} overlaying:\n{_key_bits(value)}"
        kind = f"dtype={dtypes.long_name(value.dtype)}" + (
            ", weak_type=True)" if self._weak else ")"
        )
        width = np.get_printoptions()["linewidth"]
        if value.size == 0:
            text = f"[], shape={value.shape}"
        else:
            text = np.array2string(
                np.asarray(value), prefix="Array(", suffix=",", separator=", ", max_line_width=width
            )
        last = len(text) - text.rfind("\n") + 1
        # JAX breaks no line before a dtype that does not fit; published output shows it so.
        gap = " " if last + len(kind) + 1 <= width else " " * len("Array(")
        return f"Array({text},{gap}{kind}"

    def __str__(self) -> str:
        if dtypes.is_key(self._value.dtype):
            return repr(self)
        return str(self._value)

    def __format__(self, spec: str) -> str:
        if dtypes.is_key(self._value.dtype):
            return format(repr(self), spec)
        return format(self._value[()] if self._value.ndim == 0 else self._value, spec)

    def __reduce__(self) -> Any:
        return _rebuild, (np.asarray(self._value), self._weak)

    def __copy__(self) -> HostArray:
        return self

    def __deepcopy__(self, memo: Any) -> HostArray:
        if self.elsewhere:
            return self.copy()
        return HostArray(self._value.copy(), self._weak)


def _rebuild(value: np.ndarray, weak_type: bool) -> HostArray:
    return HostArray(value, weak_type)


def _key_bits(value: Any) -> np.ndarray:
    name = value.dtype.names[0]
    bits: np.ndarray = np.asarray(value)[name]
    return bits


class Tracer(Array):
    """A stand-in for a value, seen by a function while it is transformed."""

    __slots__ = ("owner",)  # not `trace`: that is a method of every Array
    owner: Any
    """The trace that made it."""

    @property
    def _trace(self) -> Any:
        # Libraries written for JAX compare it with the current trace.
        return self.owner

    def known(self) -> Any:
        """The value where it is already known (under `grad` without `jit`), else None."""
        return None

    def __array__(self, *args: Any, **options: Any) -> np.ndarray:
        raise error(
            TracerArrayConversionError,
            "a traced value has no NumPy array: a NumPy function, or np.asarray, was called on it.",
            got=self.describe(),
            fix="use the function of the same name in pullback.numpy (jax.numpy).",
        )

    def _concrete(self, kind: type[TypeError], what: str, fix: str) -> Any:
        value = self.known()
        if value is None:
            raise error(kind, what, got=self.describe(), fix=fix)
        return value

    def __bool__(self) -> bool:
        return bool(
            self._concrete(
                TracerBoolConversionError,
                "a traced value was used as a bool; its value is not known while tracing.",
                "use jnp.where or lax.cond instead of `if`, lax.while_loop instead of `while`, or "
                "make the argument static (static_argnums).",
            )
        )

    def __int__(self) -> int:
        return int(self._concrete(ConcretizationTypeError, *_number("int", ".astype(int)")))

    def __float__(self) -> float:
        return float(self._concrete(ConcretizationTypeError, *_number("float", ".astype(float)")))

    def __complex__(self) -> complex:
        return complex(
            self._concrete(ConcretizationTypeError, *_number("complex", ".astype(complex)"))
        )

    def __index__(self) -> int:
        value = self._concrete(
            TracerIntegerConversionError,
            "a traced value was used as a Python integer: an index, a size or an axis.",
            "make the argument static (static_argnums), or index a pullback array with it.",
        )
        return int(value.__index__())

    def item(self, *index: Any) -> Any:
        """The one element as a Python number, where it is known."""
        return self._concrete(
            ConcretizationTypeError, *_number("Python number", "the array itself")
        ).item(*index)

    def tolist(self) -> Any:
        """Nested lists of Python numbers, where they are known."""
        return self._concrete(
            ConcretizationTypeError, *_number("list of numbers", "the array itself")
        ).tolist()

    def describe(self) -> str:
        """The type of this value and the transformation it belongs to."""
        return f"{self.aval.str_short()} traced by {self.owner.describe()}"

    def __repr__(self) -> str:
        return f"Traced<{self.aval.str_short()}>with<{type(self.owner).__name__}>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __deepcopy__(self, memo: Any) -> Tracer:
        return self

    def __copy__(self) -> Tracer:
        return self


def _number(name: str, instead: str) -> tuple[str, str]:
    return (
        f"a traced value was converted to a {name}; its value is not known while tracing.",
        f"use {instead}, or make the argument static (static_argnums).",
    )
