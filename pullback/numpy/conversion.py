"""What is not yet an Array made one: numbers, nested lists, NumPy arrays, buffers, files."""

from __future__ import annotations

import types
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray, Tracer
from ..core.errors import error
from ..core.trace import host_array, not_an_array, quiet, state, type_of
from ..ops.comparison import ne
from ..ops.elementwise import convert_element_type
from ..ops.spreading import put_where
from ..ops.stacking import stack
from ..ops.structural import copy as copy_
from .arguments import expand
from .promotion import as_array, requested_dtype


def array(
    object: Any,
    dtype: Any = None,
    copy: bool = True,
    order: str | None = "K",
    ndmin: int = 0,
    *,
    device: Any = None,
    out_sharding: Any = None,
) -> Array:
    """An Array with the elements of `object`.

    Args:
      object: a number, an array, or nested lists or tuples of them, also of traced values.
      dtype: the dtype; without it, the one to which all elements promote. Python numbers alone
        make the default integer, float or complex dtype.
      copy: whether an Array is copied. Others are always copied.
      order: must be "K" or None.
      ndmin: the least number of axes; new ones of length 1 stand in front.
      device, out_sharding: a Device or a Sharding: where the array is put.

    Raises:
      TypeError: an element is no number.
      ValueError: the lists are ragged, or an element is None.

    Example:
      >>> import pullback.numpy as jnp
      >>> jnp.array([[1, 2], [3, 4.5]])
      Array([[1. , 2. ],
             [3. , 4.5]], dtype=float32)
    """
    if dtype is not None:
        dtype = requested_dtype(dtype, "array")
    out = _made(object, dtype, copy, order, ndmin)
    return put_where(out, device, out_sharding)


def asarray(
    a: Any,
    dtype: Any = None,
    order: str | None = None,
    *,
    copy: bool | None = None,
    device: Any = None,
    out_sharding: Any = None,
) -> Array:
    """`a` as an Array; an Array of the right dtype is returned as it is. See `array`."""
    if dtype is None:
        if isinstance(a, Array) and not copy and device is out_sharding is None:
            return a
    else:
        dtype = requested_dtype(dtype, "asarray")
    out = _made(a, dtype, bool(copy), order, 0)
    return put_where(out, device, out_sharding)


def copy(a: Any, order: str | None = None) -> Array:
    """The same array, again."""
    return _made(as_array(a, "copy"), None, True, order, 0)


def astype(x: Any, dtype: Any, /, *, copy: bool = False, device: Any = None) -> Array:
    """`x` in another dtype; None is the default float. Complex numbers lose the imaginary part.

    `device`, a Device or a Sharding, says where the result is put.
    """
    if device is not None:
        return put_where(astype(x, dtype, copy=copy), device)
    x = as_array(x, "astype")
    dtype = dtypes.default_float() if dtype is None else requested_dtype(dtype, "astype")
    if x.dtype == dtype and not x.weak_type:
        return copy_(x) if copy else x
    if dtype == dtypes.bool_ and x.dtype.kind == "c":
        return ne(x, HostArray(x.dtype.type(0)))
    return convert_element_type(x, new_dtype=dtype, weak_type=False)


def _made(x: Any, dtype: np.dtype | None, copy: bool, order: str | None, ndmin: int) -> Any:
    if order not in (None, "K"):
        raise error(
            NotImplementedError,
            "Only implemented for order='K'.",
            got=f"order={order!r}",
            fix="leave order= away: arrays here have no order in memory that a program can see.",
        )
    made = _converted(x, dtype, copy)
    if type(made) is HostArray and made is not x:
        made = state.trace.stage(made)
    missing = ndmin - len(made.shape)
    return expand(made, range(missing)) if missing > 0 else made


def _converted(x: Any, dtype: np.dtype | None, copy: bool) -> Any:
    if isinstance(x, Array):
        if dtype is None or (x.dtype == dtype and not x.weak_type):
            return copy_(x) if copy else x
        return convert_element_type(x, new_dtype=dtype, weak_type=False)
    if isinstance(x, (list, tuple)):
        return _sequence(x, dtype)
    if isinstance(x, (np.ndarray, np.generic)):
        return _from_numpy(x, dtype)
    if isinstance(x, (bool, int, float, complex)):
        return host_array(x) if dtype is None else HostArray(_in_dtype(x, dtype)[()])
    if hasattr(x, "__jax_array__"):
        return _converted(x.__jax_array__(), dtype, False)
    return _from_numpy(_foreign(x), dtype)


def _from_numpy(x: Any, dtype: np.dtype | None) -> HostArray:
    if not dtypes.is_storable(x.dtype):
        raise not_an_array(x)
    made = _in_dtype(x, dtypes.canonical(x.dtype) if dtype is None else dtype)
    return HostArray(made if made.ndim else made[()])


def _in_dtype(x: Any, dtype: np.dtype) -> np.ndarray:
    try:
        with quiet():
            return np.array(x, dtype=dtype)
    except OverflowError as cause:
        raise error(
            OverflowError,
            f"a Python integer does not fit {dtype.name}: {cause}.",
            got=_brief(x),
            fix="use a float, a wider dtype, or x64: config.update('jax_enable_x64', True).",
        ) from cause


def _foreign(x: Any) -> np.ndarray:
    """Buffers, ranges and arrays of other libraries, as NumPy sees them."""
    if x is None:
        raise error(
            ValueError,
            "None is not a valid value for jnp.array.",
            got="None",
            fix="give a number or an array.",
        )
    if isinstance(x, (str, bytes, dict, set, frozenset, types.GeneratorType)):
        raise not_an_array(x)
    found = np.asarray(x)
    if found.dtype.kind == "O":
        raise not_an_array(x)
    return found


# ---- nested lists


def _sequence(x: Any, dtype: np.dtype | None) -> Any:
    found = _Leaves()
    found.visit(x)
    if dtype is None:
        dtype = found.dtype()
    if found.traced:
        return _stacked(x, dtype)
    try:
        return HostArray(_in_dtype(_plain(x) if found.arrays else x, dtype))
    except ValueError as cause:
        raise _ragged(x) from cause


class _Leaves:
    """What is in nested lists: the dtypes, and whether arrays and traced values are among them."""

    def __init__(self) -> None:
        self.types: set[tuple[np.dtype, bool]] = set()
        self.arrays = self.traced = False

    def visit(self, x: Any) -> None:
        for kind in set(map(type, x)):
            if kind in (int, float, complex, bool):
                self.types.add((dtypes.scalar_dtype(kind()), kind is not bool))
                continue
            for item in x:
                if type(item) is kind:
                    self.leaf(item)

    def leaf(self, x: Any) -> None:
        if isinstance(x, (list, tuple)):
            return self.visit(x)
        if isinstance(x, np.ndarray):
            self.types.add((dtypes.canonical(x.dtype), False))
            if not dtypes.is_storable(x.dtype):
                raise not_an_array(x)
            return None
        array = _converted(x, None, False)
        self.arrays = True
        self.traced = self.traced or isinstance(array, Tracer)
        aval = type_of(array)
        self.types.add((aval.dtype, aval.weak_type))
        return None

    def dtype(self) -> np.dtype:
        if not self.types:
            return dtypes.default_float()
        return dtypes.promoted(tuple(self.types), "array")[0]


def _plain(x: Any) -> Any:
    """Nested lists with NumPy arrays in the place of Arrays."""
    if isinstance(x, (list, tuple)):
        return [_plain(item) for item in x]
    if isinstance(x, np.ndarray) or type(x) in (int, float, complex, bool):
        return x
    return np.asarray(_converted(x, None, False)._value)


def _stacked(x: Any, dtype: np.dtype) -> Any:
    if not isinstance(x, (list, tuple)):
        return _converted(x, dtype, False)
    if not x:
        return HostArray(np.zeros((0,), dtype))
    parts = [_stacked(item, dtype) for item in x]
    if any(part.shape != parts[0].shape for part in parts):
        raise _ragged(x)
    return stack(*parts, axis=0)


def _ragged(x: Any) -> ValueError:
    return error(
        ValueError,
        "the elements of a nested list must have one shape.",
        got=_brief(x),
        fix="pad the shorter ones, or keep the list as a list.",
    )


def _brief(x: Any) -> str:
    text = repr(x)
    return text if len(text) <= 80 else text[:77] + "..."


# ---- memory and files


def frombuffer(buffer: Any, dtype: Any = float, count: int = -1, offset: int = 0) -> Array:
    """The bytes of a buffer as a flat array."""
    return asarray(np.frombuffer(buffer, dtypes.as_dtype(dtype), count, offset))


def fromfile(*args: Any, **kwargs: Any) -> Array:
    """The bytes of a file as a flat array: see `numpy.fromfile`."""
    return asarray(np.fromfile(*args, **kwargs))


def fromiter(*args: Any, **kwargs: Any) -> Array:
    """The elements of an iterator: see `numpy.fromiter`."""
    return asarray(np.fromiter(*args, **kwargs))


def fromstring(string: str, dtype: Any = float, count: int = -1, *, sep: str) -> Array:
    """The numbers in a text, separated by `sep`."""
    return asarray(np.fromstring(string, dtypes.as_dtype(dtype), count, sep=sep))


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Array:
    """A copy of an array of another library, by the DLPack protocol.

    Args:
      x: an object with the methods `__dlpack__` and `__dlpack_device__`.
      device: where the array is put.
      copy: None or True: an array here is immutable, so the elements are always copied.

    Raises:
      TypeError: `x` has not these methods.
      ValueError: `copy` is False.

    Example:
      >>> import numpy as np
      >>> import pullback.numpy as jnp
      >>> jnp.from_dlpack(np.arange(3, dtype=np.float32))
      Array([0., 1., 2.], dtype=float32)
    """
    if not (hasattr(x, "__dlpack__") and hasattr(x, "__dlpack_device__")):
        raise error(
            TypeError,
            "The array passed to from_dlpack must have __dlpack__ and __dlpack_device__ methods.",
            got=f"{type(x).__name__}",
            fix="pass the array itself, and not a capsule.",
        )
    if copy is False and not isinstance(x, Array):
        raise error(
            ValueError,
            "an array of another library cannot be used without a copy: it may be changed there.",
            got="copy=False",
            fix="leave copy= away.",
        )
    out = x if isinstance(x, Array) and not copy else asarray(np.from_dlpack(x))
    return put_where(out, device)


def load(file: Any, *args: Any, **kwargs: Any) -> Any:
    """An array from a file that `save` wrote: see `numpy.load`."""
    out = np.load(file, *args, **kwargs)
    if not isinstance(out, np.ndarray):
        return out
    if out.dtype == np.dtype("V2"):  # bfloat16, which the format does not know
        out = out.view(dtypes.bfloat16)
    return asarray(out) if dtypes.is_storable(out.dtype) else out


def save(file: Any, arr: Any, allow_pickle: bool = True) -> None:
    """Write an array to a file: see `numpy.save`."""
    np.save(file, np.asarray(arr), allow_pickle)


def savez(file: Any, *args: Any, **kwds: Any) -> None:
    """Write several arrays to a file: see `numpy.savez`."""
    arrays: Any = {k: np.asarray(x) for k, x in kwds.items()}
    np.savez(file, *map(np.asarray, args), **arrays)


# ---- printing


def array_repr(
    arr: Any,
    max_line_width: int | None = None,
    precision: int | None = None,
    suppress_small: bool | None = None,
) -> str:
    """`repr(arr)` with other settings for numbers."""
    with np.printoptions(**_print_options(max_line_width, precision, suppress_small)):
        return repr(asarray(arr))


def array_str(
    a: Any,
    max_line_width: int | None = None,
    precision: int | None = None,
    suppress_small: bool | None = None,
) -> str:
    """`str(a)` with other settings for numbers."""
    with np.printoptions(**_print_options(max_line_width, precision, suppress_small)):
        return str(asarray(a))


def _print_options(width: Any, precision: Any, small: Any) -> dict[str, Any]:
    options = {"linewidth": width, "precision": precision, "suppress": small}
    return {name: value for name, value in options.items() if value is not None}
