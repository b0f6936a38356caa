"""The series of functions of matrices: each from the equation that defines it. See taylor.py."""

from __future__ import annotations

from typing import Any

from ..ops.contraction import matmul
from ..ops.eigen import eigh
from ..ops.elementwise import convert_element_type, mul, real, sub
from ..ops.linalg import adjoint, cholesky, diagonal, for_columns, for_rows
from ..ops.matrix_functions import expm, expm_frechet, sqrtm, sylvester
from ..ops.schur import commutator_solve
from ..ops.slicing import concatenate, slice_along
from ..ops.spectral import inverse_gaps
from ..ops.structural import zeros_of
from ..ops.tridiagonal import tridiagonal_solve
from .taylor import RULES, Series, by_derivative, divided, scaled
from .taylor_rules import less, product, rule, total


def matrix_equation(primitive: Any, args: Any, order: int, params: Any) -> Series:
    # The result solves a system linear in it, in the last argument, and in all others together. The
    # forward rule solves it with db - dA x on the right, which needs x for the first term only.
    *of_matrix, b = args
    primals = [s[0] for s in args]
    none = [None] * len(of_matrix)
    x = [primitive(*primals, **params)]
    for k in range(1, order + 1):
        terms = [None if b[k] is None else primitive.jvp(primals, [*none, b[k]], x[0], **params)]
        for j in range(1, k + 1):
            changes = [s[j] for s in of_matrix]
            if x[k - j] is not None and any(c is not None for c in changes):
                terms.append(primitive.jvp(primals, [*changes, None], x[k - j], **params))
        x.append(total(terms))
    return x


for _primitive in (
    sylvester,
    commutator_solve,
    tridiagonal_solve,
):
    RULES[_primitive] = matrix_equation


@rule(sqrtm)
def _sqrtm(u: Series, order: int) -> Series:
    # v v = u, so that v0 v_k + v_k v0 is known.
    v: Series = [sqrtm(u[0])]
    u = [
        None if c is None else convert_element_type(c, new_dtype=v[0].dtype, weak_type=False)
        for c in u
    ]
    for k in range(1, order + 1):
        known = total(product(v[j], v[k - j], matmul) for j in range(1, k))
        rest = less(u[k], known)
        v.append(None if rest is None else sylvester(v[0], v[0], rest, tol=0.0))
    return v


@rule(cholesky)
def _cholesky(u: Series, order: int) -> Series:
    # v v^H = u: of v0 v_k^H + v_k v0^H the forward rule finds v_k.
    v: Series = [cholesky(u[0])]
    for k in range(1, order + 1):
        known = total(
            product(v[j], v[k - j], lambda x, y: matmul(x, adjoint(y))) for j in range(1, k)
        )
        rest = less(u[k], known)
        v.append(None if rest is None else cholesky.jvp([u[0]], [rest], v[0]))
    return v


# ---- exponentials


def _block(x: Any, start: int, stop: int, rows: int) -> Any:
    """Columns from `start` to `stop` of the first rows."""
    last = len(x.shape) - 1
    return slice_along(slice_along(x, last, start, stop), last - 1, 0, rows)


def _exponentials(u: Series, order: int, params: Any) -> Series:
    # The block Toeplitz matrix with u_0 on the diagonal and u_k k blocks above it stands for the
    # series: products of such matrices are those of series, and so are power series of them
    # (Mathias, A chain rule for matrix functions and applications, 1996). The first row of its
    # exponential has the coefficients.
    last, n, zero = len(u[0].shape) - 1, u[0].shape[-1], zeros_of(u[0])
    row = [zero if c is None else c for c in u]
    rows = [
        concatenate(*[zero] * i, *row[: order + 1 - i], dimension=last) for i in range(order + 1)
    ]
    whole = expm(concatenate(*rows, dimension=last - 1), **params)
    return [_block(whole, k * n, (k + 1) * n, n) for k in range(order + 1)]


def _expm(primitive: Any, args: Any, order: int, params: Any) -> Series:
    return [expm(args[0][0], **params), *_exponentials(args[0], order, params)[1:]]


RULES[expm] = _expm


def _expm_frechet(primitive: Any, args: Any, order: int, params: Any) -> Series:
    # exp of [[a, e], [0, a]] has it in the upper right corner.
    a, e = args
    last, n = len(a[0].shape) - 1, a[0].shape[-1]
    zero = zeros_of(a[0])

    def both(x: Any, y: Any) -> Any:
        x, y = (zero if c is None else c for c in (x, y))
        upper, lower = concatenate(x, y, dimension=last), concatenate(zero, x, dimension=last)
        return concatenate(upper, lower, dimension=last - 1)

    pairs: Series = [both(x, y) for x, y in zip(a, e, strict=True)]
    found = _exponentials(pairs, order, {"max_squarings": _SQUARINGS})
    return [primitive(a[0], e[0], **params), *(_block(c, n, 2 * n, n) for c in found[1:])]


_SQUARINGS = 64
"""More than doubles can hold."""

RULES[expm_frechet] = _expm_frechet


# ---- eigenvalues


def _eigh(primitive: Any, args: Any, order: int, params: Any) -> list[Series]:
    # With v_k = v_0 c_k, of x v = v w at t^k: s_k = c_k w_0 - w_0 c_k + w_k, where s_k is what the
    # lower coefficients leave. So w_k is its diagonal; beside it c_k is s_k over the gaps of
    # w_0. The diagonal of c_k follows from that of v^H v', which the forward rule makes zero.
    (x,) = args
    v_0, w_0 = primitive(x[0], **params)
    if v_0.shape[-1] != v_0.shape[-2]:  # a part of all
        return by_derivative(primitive, args, order, params)  # type: ignore[no-any-return]
    left = adjoint(v_0)
    inverse = inverse_gaps(sub(for_columns(w_0, v_0), for_rows(w_0, v_0)), 0)
    v, w = [v_0], [w_0]
    for k in range(1, order + 1):
        known = total(product(x[j], v[k - j], matmul) for j in range(1, k + 1))
        moved = total(product(v[j], w[k - j], _by_columns) for j in range(1, k))
        rest = less(known, moved)
        s = None if rest is None else matmul(left, rest)
        w.append(None if s is None else _real(diagonal(s)))
        turn = product(s, inverse)
        inner = total(
            scaled(product(v[j], v[k - j], _columns_products), k - j) for j in range(1, k)
        )
        v_k = total([product(v_0, turn, matmul), product(v_0, divided(inner, -k), _by_columns)])
        v.append(v_k)
    return [v, w]


RULES[eigh] = _eigh


def _by_columns(x: Any, numbers: Any) -> Any:
    """Each column of a matrix times its number, which may be real where the matrix is complex."""
    scale = for_columns(numbers, x)
    if scale.dtype != x.dtype:
        scale = convert_element_type(scale, new_dtype=x.dtype, weak_type=False)
    return mul(x, scale)


def _columns_products(x: Any, y: Any) -> Any:
    """The inner product of each column of `x` with that of `y`."""
    return diagonal(matmul(adjoint(x), y))


def _real(x: Any) -> Any:
    return real(x) if x.dtype.kind == "c" else x
