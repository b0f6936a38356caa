"""Arrays joined, taken apart and repeated: concatenate, stack, block, split, tile, repeat."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error, warn
from ..ops import cumulative, slicing, stacking
from ..ops.indexing import CLIP
from ..ops.searching import searchsorted
from ..ops.structural import broadcast_in_dim, iota, reshape
from .arguments import concrete, expand, integer, integers, known, no_out
from .promotion import as_array, astype, axis_number, broadcast_to, promote_dtypes, requested_dtype
from .shaping import TO_1D, TO_2D, TO_3D, ravel, transpose, with_axes
from .taking import taken


def concatenate(arrays: Any, axis: int | None = 0, dtype: Any = None) -> Array:
    """The arrays one after the other along `axis`; flattened first if it is None.

    Args:
      arrays: a sequence of arrays that agree in all other axes.
      axis: the axis.
      dtype: the dtype of the result; by default the arrays' common one.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.concatenate([jnp.array([1, 2]), jnp.array([3])]))
      [1 2 3]
    """
    return _joined("concatenate", array_sequence("concatenate", arrays), axis, dtype)


def concat(arrays: Any, /, *, axis: int | None = 0) -> Array:
    """The arrays one after the other along `axis`; flattened first if it is None."""
    return _joined("concat", array_sequence("concat", arrays), axis, None)


def _joined(name: str, arrays: list[Any], axis: int | None, dtype: Any) -> Any:
    if not arrays:
        raise _nothing(name)
    if axis is None:
        arrays, i = [ravel(x) for x in arrays], 0
    else:
        rank = len(arrays[0].shape)
        if rank == 0:
            raise error(
                ValueError,
                "Zero-dimensional arrays cannot be concatenated.",
                got=", ".join(x.aval.str_short() for x in arrays),
                fix="use jnp.stack, which joins along a new axis.",
            )
        i = axis_number(axis, rank)
    arrays = _one_dtype(name, arrays, dtype)
    _check_joint(name, arrays, i)
    return slicing.concatenate(*arrays, dimension=i)


def _check_joint(name: str, arrays: list[Any], axis: int) -> None:
    first = arrays[0].shape
    for x in arrays:
        shape = x.shape
        if shape == first:
            continue
        if (
            len(shape) != len(first)
            or shape[:axis] != first[:axis]
            or shape[axis + 1 :] != first[axis + 1 :]
        ):
            raise error(
                TypeError,
                f"{name} needs arrays of shapes that agree on all axes but axis {axis}.",
                got=", ".join(x.aval.str_short() for x in arrays),
                fix="reshape or broadcast the arrays first.",
            )


def _one_dtype(name: str, arrays: list[Any], dtype: Any) -> list[Any]:
    if dtype is None:
        first = arrays[0].dtype
        for x in arrays:
            if x.dtype is not first:
                return promote_dtypes(name, *arrays)
        return arrays
    dtype = requested_dtype(dtype, f"jnp.{name}")
    return [astype(x, dtype) for x in arrays]


def _nothing(name: str) -> ValueError:
    return error(
        ValueError,
        f"Need at least one array to {name}.",
        got="an empty sequence",
        fix="use jnp.zeros for an array without elements.",
    )


def stack(arrays: Any, axis: int = 0, out: None = None, dtype: Any = None) -> Array:
    """The arrays, of one shape, along a new axis.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.stack([jnp.array([1, 2]), jnp.array([3, 4])], axis=1))
      [[1 3]
       [2 4]]
    """
    no_out("stack", out)
    return _stacked("stack", array_sequence("stack", arrays), axis, dtype)


def _stacked(name: str, arrays: list[Any], axis: int, dtype: Any) -> Any:
    if not arrays:
        raise _nothing(name)
    arrays = _one_dtype(name, arrays, dtype)
    shape = arrays[0].shape
    for x in arrays:
        if x.shape != shape:
            raise error(
                ValueError,
                f"All input arrays of {name} must have the same shape.",
                got=", ".join(x.aval.str_short() for x in arrays),
                fix="broadcast the arrays first, or join them along an axis they have with "
                "jnp.concatenate.",
            )
    return stacking.stack(*arrays, axis=axis_number(axis, len(shape) + 1))


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The parts of `x` along `axis`, which they lack."""
    x = as_array(x, "unstack")
    if x.ndim == 0:
        raise error(
            ValueError,
            "unstack needs an array with an axis.",
            got=x.aval.str_short(),
            fix="give an array that is not a scalar.",
        )
    i = axis_number(axis, x.ndim)
    return tuple(stacking.unstack(x, axis=i)) if x.shape[i] else ()


def vstack(tup: Any, dtype: Any = None) -> Array:
    """The arrays as rows, one below the other: 1-d arrays are rows, others joined on axis 0."""
    rows = [with_axes(x, TO_2D) for x in array_sequence("vstack", tup)]
    return _joined("vstack", rows, 0, dtype)


def hstack(tup: Any, dtype: Any = None) -> Array:
    """The arrays side by side: 1-d arrays joined on axis 0, others on axis 1."""
    parts = [with_axes(x, TO_1D) for x in array_sequence("hstack", tup)]
    return _joined("hstack", parts, 0 if parts and parts[0].ndim == 1 else 1, dtype)


def dstack(tup: Any, dtype: Any = None) -> Array:
    """The arrays one behind the other, on axis 2."""
    layers = [with_axes(x, TO_3D) for x in array_sequence("dstack", tup)]
    return _joined("dstack", layers, 2, dtype)


def column_stack(tup: Any) -> Array:
    """The arrays as columns: 1-d arrays are columns, others joined on axis 1."""
    arrays = array_sequence("column_stack", tup)
    columns = [x if x.ndim > 1 else transpose(with_axes(x, TO_2D)) for x in arrays]
    return _joined("column_stack", columns, 1, None)


def append(arr: Any, values: Any, axis: int | None = None) -> Array:
    """`arr` and then `values` along `axis`; both flattened if it is None."""
    return _joined("append", [as_array(arr, "append"), as_array(values, "append")], axis, None)


# ---- sequences of arrays


def array_sequence(name: str, arrays: Any) -> list[Any]:
    """What a function that joins is given, as a list of Arrays.

    Tuples and lists of numbers in it are taken with a warning: published programs stack lists of
    1-tuples, which JAX once accepted so.
    """
    if isinstance(arrays, (Array, np.ndarray)):
        array = as_array(arrays, name)
        if array.ndim == 0:
            raise _no_sequence(name, arrays)
        return list(stacking.unstack(array, axis=0)) if array.shape[0] else []
    if not isinstance(arrays, (tuple, list)):
        raise _no_sequence(name, arrays)
    found = list(arrays)
    warned = False
    for i, x in enumerate(found):
        if isinstance(x, Array):
            continue
        if isinstance(x, (list, tuple)):
            if not warned:
                warned = True
                warn(
                    f"{name} requires ndarray or scalar arguments, got {type(x)} at position {i}. "
                    "In a future JAX release this will be an error.",
                    DeprecationWarning,
                )
            x = array_of(name, x)
        found[i] = as_array(x, name)
    return found


def array_of(name: str, nested: Any) -> Any:
    """A nested list or tuple of numbers and arrays as one Array."""
    if not isinstance(nested, (list, tuple)):
        return as_array(nested, name)
    if not nested:
        return HostArray(np.zeros((0,), dtypes.default_float()))
    return _stacked(name, [array_of(name, part) for part in nested], 0, None)


def _no_sequence(name: str, arrays: Any) -> TypeError:
    return error(
        TypeError,
        f"{name} takes a sequence of arrays.",
        got=f"{arrays!r:.80} of type {type(arrays).__name__}",
        fix=f"write jnp.{name}([x, y]).",
    )


def block(arrays: Any) -> Array:
    """An array of blocks, from nested lists: the innermost are joined on the last axis.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.block([[jnp.eye(2), jnp.zeros((2, 1))], [jnp.ones((1, 3))]]))
      [[1. 0. 0.]
       [0. 1. 0.]
       [1. 1. 1.]]
    """
    return _block(arrays)[0]


def _block(part: Any) -> tuple[Any, int]:
    """The array, and the depth of the lists it came from, plus 1."""
    if isinstance(part, tuple):
        raise error(
            ValueError,
            "block does not allow tuples.",
            got=f"{part!r:.80}",
            fix="use lists for the nesting.",
        )
    if not isinstance(part, list):
        return as_array(part, "block"), 1
    if not part:
        raise error(
            ValueError,
            "block does not allow empty lists.",
            got="[]",
            fix="leave the list out, or put an array into it.",
        )
    blocks, depths = zip(*[_block(p) for p in part], strict=True)
    if any(d != depths[0] for d in depths):
        raise error(
            ValueError,
            "the lists of block must be nested equally deep.",
            got=f"depths {', '.join(str(d - 1) for d in depths)}",
            fix="wrap single arrays in lists.",
        )
    rank = max(depths[0], *[b.ndim for b in blocks])
    wide = [expand(b, tuple(range(rank - b.ndim))) if b.ndim < rank else b for b in blocks]
    return _joined("block", wide, -depths[0], None), depths[0] + 1


# ---- taken apart


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """`ary` in parts along `axis`: so many equal ones, or cut before each of the given indices.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(*jnp.split(jnp.arange(6), [1, 4]))
      [0] [1 2 3] [4 5]
    """
    return _split("split", ary, indices_or_sections, axis)


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """As `split`, but a number of parts need not divide the length: the first ones are longer."""
    return _split("array_split", ary, indices_or_sections, axis)


def vsplit(ary: Any, indices_or_sections: Any) -> list[Array]:
    """`split` along axis 0."""
    return _split("vsplit", ary, indices_or_sections, 0)


def hsplit(ary: Any, indices_or_sections: Any) -> list[Array]:
    """`split` along axis 1; along axis 0 of a 1-d array."""
    x = as_array(ary, "hsplit")
    return _split("hsplit", x, indices_or_sections, 0 if x.ndim == 1 else 1)


def dsplit(ary: Any, indices_or_sections: Any) -> list[Array]:
    """`split` along axis 2."""
    return _split("dsplit", ary, indices_or_sections, 2)


def _split(name: str, ary: Any, where: Any, axis: int) -> list[Any]:
    x = as_array(ary, name)
    i = axis_number(axis, x.ndim)
    n = x.shape[i]
    what = f"`indices_or_sections` of jnp.{name}"
    if isinstance(where, (tuple, list)) or (isinstance(where, (Array, np.ndarray)) and where.ndim):
        # As in NumPy, cuts count from the end if negative, and lie inside the array.
        cuts = [min(max(c + n if c < 0 else c, 0), n) for c in integers(where, what)]
        bounds = list(zip([0, *cuts], [*cuts, n], strict=True))
        if all(start <= stop for start, stop in bounds):
            sizes = tuple(stop - start for start, stop in bounds)
            return list(slicing.split(x, sizes=sizes, axis=i))
        return [slicing.slice_along(x, i, a, max(a, b)) for a, b in bounds]
    sections = integer(where, what)
    if sections <= 0:
        raise error(
            ValueError,
            f"{name} needs a positive number of parts.",
            got=f"{sections} parts",
            fix="give 1 or more, or a list of the indices to cut at.",
        )
    size, rest = divmod(n, sections)
    if rest and name != "array_split":
        raise error(
            ValueError,
            "array split does not result in an equal division.",
            got=f"{sections} parts of an axis of length {n}",
            fix="use jnp.array_split, which allows parts of different length.",
        )
    sizes = (size + 1,) * rest + (size,) * (sections - rest)
    return list(slicing.split(x, sizes=sizes, axis=i))


# ---- repeated


def tile(A: Any, reps: Any) -> Array:
    """`A` repeated as a whole, `reps[i]` times along axis i (counted from the last axis).

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.tile(jnp.array([1, 2]), 2))
      [1 2 1 2]
    """
    x = as_array(A, "tile")
    times = integers(reps, "`reps` of jnp.tile")
    times = (1,) * (x.ndim - len(times)) + times
    if x.ndim < len(times):
        x = expand(x, tuple(range(len(times) - x.ndim)))
    return stacking.tile(x, reps=times)


def repeat(
    a: Any,
    repeats: Any,
    axis: int | None = None,
    *,
    total_repeat_length: int | None = None,
    out_sharding: Any = None,
) -> Array:
    """Each element of `a` repeated along `axis`; of the flattened array if it is None.

    Args:
      a: an array.
      repeats: how often: an integer, or one for each element along the axis.
      axis: the axis.
      total_repeat_length: the length of the result, where `repeats` is traced. What is too much is
        cut off, what is missing is filled with the last element.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.repeat(jnp.array([1, 2]), jnp.array([2, 3])))
      [1 1 2 2 2]
    """
    x = as_array(a, "repeat")
    if axis is None:
        x, axis = ravel(x), 0
    i = axis_number(integer(axis, "`axis` of jnp.repeat"), max(1, x.ndim))
    if x.ndim == 0:
        x = ravel(x)
    if total_repeat_length is None and np.ndim(repeats) == 0:
        return _repeated_evenly(x, _times(repeats), i)
    counts = array_of("repeat", repeats) if isinstance(repeats, (list, tuple)) else repeats
    counts = as_array(counts, "repeat")
    if counts.ndim > 1:
        counts = ravel(counts)
    n = x.shape[i]
    if counts.shape not in ((), (1,), (n,)):
        raise error(
            ValueError,
            "repeat needs one number of repetitions, or one for each element along the axis.",
            got=f"repeats of shape {counts.shape} for an axis of length {n}",
            fix="give as many as the axis is long.",
        )
    return _repeated_each(x, counts, i, total_repeat_length)


def _times(repeats: Any) -> int:
    if isinstance(repeats, Array):
        repeats = concrete(repeats, "`repeats` of jnp.repeat", _GIVE_TOTAL)[()]
    times = integer(repeats, "`repeats` of jnp.repeat")
    if times < 0:
        raise error(
            ValueError,
            "repeats may not contain negative values.",
            got=f"repeats={times}",
            fix="give 0 or more.",
        )
    return times


_GIVE_TOTAL = "pass total_repeat_length=, or make repeats static."


def _repeated_evenly(x: Any, times: int, axis: int) -> Any:
    shape = x.shape
    wide = (*shape[: axis + 1], times, *shape[axis + 1 :])
    dims = tuple(i for i in range(len(wide)) if i != axis + 1)
    x = broadcast_in_dim(x, shape=wide, broadcast_dimensions=dims)
    return reshape(x, new_sizes=(*shape[:axis], shape[axis] * times, *shape[axis + 1 :]))


def _repeated_each(x: Any, counts: Any, axis: int, total: Any) -> Any:
    n, value = x.shape[axis], known(counts)
    if total is None:
        value = concrete(counts, "`repeats` of jnp.repeat", _GIVE_TOTAL)
    length = None if total is None else integer(total, "`total_repeat_length` of jnp.repeat")
    if value is not None:
        return taken(x, HostArray(_places_of_repeats(value, n, length)), axis)
    # Element i of the result is the first of which more than i are there up to it.
    ends = cumulative.cumsum(broadcast_to(counts, (n,)), axis=0, reverse=False)
    wanted = iota(dtype=ends.dtype, shape=(length,), dimension=0)
    places = searchsorted(ends, wanted, side="right")
    return taken(x, places, axis, CLIP)


def _places_of_repeats(counts: np.ndarray, n: int, length: int | None) -> np.ndarray:
    if (counts < 0).any():
        raise error(
            ValueError,
            "repeats may not contain negative values.",
            got=f"repeats={counts!r:.80}",
            fix="give 0 or more for each element.",
        )
    counts = np.broadcast_to(counts.reshape(-1) if counts.size == 1 else counts, (n,))
    places = np.repeat(np.arange(n, dtype=np.int32), counts)
    if length is None or length == len(places):
        return places
    if length < len(places):
        return places[:length]
    return np.append(places, np.full(length - len(places), n - 1, np.int32))
