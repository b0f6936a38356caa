"""The product of a sparse matrix and a dense one, by SciPy: 6 to 20 times as fast as by gathers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .... import lax
from .... import numpy as jnp
from ....core import dtypes
from ....core.errors import error
from ....core.lazy import lazy
from ....core.primitive import Linear, Primitive
from ....core.types import ArrayType, array_type
from ....ops.structural import to_front
from .array import found, is_stored

scipy_sparse = lazy("scipy.sparse")


def _from_the_front(i: Any, n: int) -> Any:
    return np.where(i < 0, i + n, i) if i.size and i.min() < 0 else i


def _all_inside(i: Any, n: int) -> bool:
    # The extremes are found 20 times as fast as an array of bools.
    return not i.size or bool(i.min() >= 0 and i.max() < n)


class CooMatmul(Primitive):
    """Y[i] = sum of data[k] X[cols[k]] over all k with rows[k] = i, for `size` rows.

    Elements with a row or column outside are left out; negative ones count from the end.
    """

    weak_from = ()

    def typing(self, data: Any, rows: Any, cols: Any, x: Any, *, size: int) -> ArrayType:
        lengths = {data.shape, rows.shape, cols.shape}
        integers = all(dtypes.kind(i.dtype) in "iu" for i in (rows, cols))
        if len(lengths) > 1 or len(data.shape) != 1 or len(x.shape) != 2 or not integers:
            raise error(
                TypeError,
                "coo_matmul needs flat data, rows and columns of one length, and a matrix.",
                got=", ".join(t.str_short() for t in (data, rows, cols, x)),
                fix="give the coordinates as integers, and one element for each.",
            )
        if data.dtype != x.dtype:
            raise error(
                TypeError,
                "coo_matmul needs data and the matrix in one dtype.",
                got=f"{data.str_short()} and {x.str_short()}",
                fix="convert one of them.",
            )
        return array_type((size, x.shape[1]), x.dtype)

    def eval(self, data: Any, rows: Any, cols: Any, x: Any, *, size: int) -> Any:
        rows, cols = _from_the_front(rows, size), _from_the_front(cols, x.shape[0])
        if not (_all_inside(rows, size) and _all_inside(cols, x.shape[0])):
            inside = (rows >= 0) & (rows < size) & (cols >= 0) & (cols < x.shape[0])
            data, rows, cols = data[inside], rows[inside], cols[inside]
        kind = x.dtype
        if dtypes.kind(kind) == "f" and kind not in (np.float32, np.float64):
            data, x = data.astype(np.float32), x.astype(np.float32)  # as SciPy has no smaller ones
        matrix = scipy_sparse.coo_array((data, (rows, cols)), shape=(size, x.shape[0]))
        return np.asarray(matrix @ x, kind)

    def jvp(self, primals: Any, tangents: Any, out: Any, *, size: int) -> Any:
        data, rows, cols, x = primals
        d_data, _, _, dx = tangents
        total = None if dx is None else coo_matmul(data, rows, cols, dx, size=size)
        if d_data is not None:
            part = coo_matmul(d_data, rows, cols, x, size=size)
            total = part if total is None else total + part
        return total

    def transpose(self, ct: Any, data: Any, rows: Any, cols: Any, x: Any, *, size: int) -> Any:
        if type(x) is Linear:
            return [None, None, None, coo_matmul(data, cols, rows, ct, size=x.shape[0])]
        # That of an element is the product of two rows, if it is stored at all.
        of_ct, of_x = found(ct, (rows,)), found(x, (cols,))
        return [jnp.sum(of_ct * of_x, axis=1, dtype=ct.dtype), None, None, None]

    def vmap(self, count: int, args: Any, axes: Any, *, size: int) -> Any:
        data, rows, cols, x = args
        if axes[0] is None and axes[1] is None and axes[2] is None:
            # One matrix for all: their columns stand side by side.
            x = to_front(x, axes[3], count)
            k, m = x.shape[1:]
            wide = lax.reshape(lax.transpose(x, (1, 0, 2)), (k, count * m))
            out = coo_matmul(data, rows, cols, wide, size=size)
            return lax.reshape(out, (size, count, m)), 1
        # One matrix with all of them along its diagonal.
        data, rows, cols, x = (to_front(a, i, count) for a, i in zip(args, axes, strict=True))
        k = x.shape[1]
        if max(size, k) * count > np.iinfo(np.int32).max:
            parts = [coo_matmul(data[i], rows[i], cols[i], x[i], size=size) for i in range(count)]
            return jnp.stack(parts), 0
        rows, cols = rows.astype(np.int32), cols.astype(np.int32)
        rows, cols = jnp.where(rows < 0, rows + size, rows), jnp.where(cols < 0, cols + k, cols)
        places = np.arange(count, dtype=np.int32)[:, None]
        inside = is_stored(jnp.stack([rows, cols], axis=-1), (size, k))
        rows = jnp.where(inside, rows + np.int32(size) * places, size * count)
        cols = cols + np.int32(k) * places
        flat = [lax.reshape(a, (a.size,)) for a in (data, rows, cols)]
        out = coo_matmul(*flat, lax.reshape(x, (count * k, x.shape[2])), size=size * count)
        return lax.reshape(out, (count, size, out.shape[1])), 0

    def lower(self, data: Any, rows: Any, cols: Any, x: Any, *, size: int) -> Any:
        if not (x.shape[0] and size):
            return jnp.zeros((size, x.shape[1]), x.dtype)
        terms = data[:, None] * x.at[cols].get(mode="fill", fill_value=0)
        return jnp.zeros((size, x.shape[1]), x.dtype).at[rows].add(terms, mode="drop")


coo_matmul = CooMatmul()
