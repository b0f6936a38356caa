"""The pseudo-inverse and least squares, written with singular values and eigenvalues."""

from __future__ import annotations

from typing import Any

from ....core.program import Equation
from ....ops.comparison import and_, ge, gt
from ....ops.contraction import matmul
from ....ops.eigen import eigh
from ....ops.elementwise import convert_element_type, div, like, mul, select_n
from ....ops.hermitian import hermitian_part
from ....ops.linalg import adjoint, for_columns, for_rows
from ....ops.reduction import reduce_max
from ....ops.rounding import abs_
from ....ops.slicing import slice_along
from ....ops.spectral import lstsq, pinv, svd
from ....ops.structural import broadcast_in_dim, reduce_sum
from ..kinds import Unsupported
from ..lowering import Lowering, Rule, Value
from .linalg import empty_stack, rewritten, wide


def _everywhere(number: float, x: Any) -> Any:
    return broadcast_in_dim(like(x, number), shape=x.shape, broadcast_dimensions=())


def _inverse(s: Any, kept: Any) -> Any:
    """1 / s where it counts, else 0."""
    one = _everywhere(1.0, s)
    return select_n(kept, _everywhere(0.0, s), div(one, select_n(kept, one, s)))


def _times(limits: Any, largest: Any, s: Any) -> Any:
    """A limit for each matrix times its largest value, for all values."""
    product = mul(convert_element_type(limits, new_dtype=s.dtype, weak_type=False), largest)
    dims = tuple(range(len(s.shape) - 1))
    return broadcast_in_dim(product, shape=s.shape, broadcast_dimensions=dims)


def _largest(s: Any) -> Any:
    return reduce_max(s, axes=(len(s.shape) - 1,))


def _first(s: Any) -> Any:
    last = len(s.shape) - 1
    return reduce_sum(slice_along(s, last, 0, 1), axes=(last,))


def _pinv(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    def function(x: Any, rtol: Any) -> list[Any]:
        if eq.params["hermitian"]:
            whole = hermitian_part(x)
            u, s = eigh(whole, lower=True, sort_eigenvalues=True, subset_by_index=None)
            vh, size = adjoint(u), abs_(s)
            kept = gt(size, _times(rtol, _largest(size), size))
        else:
            s, u, vh = svd(x, full_matrices=False, compute_uv=True)
            kept = gt(s, _times(rtol, _first(s), s))
        v = adjoint(vh)
        return [matmul(mul(v, for_columns(_inverse(s, kept), v)), adjoint(u))]

    return rewritten(low, eq, args, function)


def _lstsq(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    if args[0].size == 0:
        raise Unsupported("least squares of matrices without elements")

    def function(a: Any, b: Any, rcond: Any) -> list[Any]:
        s, u, vh = svd(a, full_matrices=False, compute_uv=True)
        kept = and_(gt(s, _everywhere(0.0, s)), ge(s, _times(rcond, _first(s), s)))
        inner = matmul(adjoint(u), b)
        inner = mul(inner, for_rows(_inverse(s, kept), inner))
        whole = eq.outvars[1].aval.dtype
        ones = convert_element_type(kept, new_dtype=whole, weak_type=False)
        return [matmul(adjoint(vh), inner), reduce_sum(ones, axes=(len(s.shape) - 1,)), s]

    return rewritten(low, eq, args, function)


RULES: dict[Any, Rule] = {
    pinv: wide(empty_stack(_pinv)),
    lstsq: wide(empty_stack(_lstsq)),
}
