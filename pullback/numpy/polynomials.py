"""Polynomials as arrays of coefficients, the highest power first: polyval, polymul, polyder ..."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtypes
from ..core.array import Array, HostArray
from ..core.errors import error
from ..ops.elementwise import add, div, like, mul, neg, sub
from ..ops.slicing import concatenate, pad, slice_along
from ..ops.stacking import unstack
from ..ops.structural import reshape
from .arguments import concrete, integer, strong
from .arithmetic import add as plus
from .arithmetic import multiply
from .decompositions import eigvals
from .editing import trim_zeros
from .promotion import broadcast_shapes, broadcast_to, promote_dtypes, promote_inexact
from .reductions import filled_like
from .signals import convolve


def polyval(p: Any, x: Any, *, unroll: int = 16) -> Array:
    """The polynomial with coefficients `p` at `x`.

    Args:
      p: the coefficients along the first axis, that of the highest power first.
      x: where to evaluate.
      unroll: accepted for compatibility.

    Example:
      >>> import pullback.numpy as jnp
      >>> print(jnp.polyval(jnp.array([1.0, 0.0, -2.0]), 3.0))
      7.0
    """
    p, x = promote_dtypes("polyval", p, x)
    if not p.ndim:
        raise _not_a_polynomial("polyval", p)
    shape = broadcast_shapes("polyval", p.shape[1:], x.shape)
    x = broadcast_to(x, shape)
    coefficients = unstack(p, axis=0) if p.shape[0] else []
    total = filled_like(shape, HostArray(x.dtype.type(0)))
    for i, c in enumerate(coefficients):
        c = broadcast_to(c, shape)
        total = c if i == 0 else plus(multiply(total, x), c)
    return strong(total)


def _not_a_polynomial(name: str, p: Any) -> ValueError:
    return error(
        ValueError,
        f"{name} takes an array of coefficients.",
        got=p.aval.str_short(),
        fix="give at least one axis, the highest power first.",
    )


def polyadd(a1: Any, a2: Any) -> Array:
    """The coefficients of the sum of two polynomials."""
    x, y = promote_dtypes("polyadd", a1, a2)
    n = max(x.shape[0], y.shape[0])
    return add(_longer(x, n), _longer(y, n))


def polysub(a1: Any, a2: Any) -> Array:
    """The coefficients of the difference of two polynomials."""
    x, y = promote_dtypes("polysub", a1, a2)
    n = max(x.shape[0], y.shape[0])
    return sub(_longer(x, n), _longer(y, n))


def _longer(p: Any, n: int) -> Any:
    missing = n - p.shape[0]
    if not missing:
        return p
    return pad(p, HostArray(p.dtype.type(0)), padding_config=((missing, 0, 0),))


def polymul(a1: Any, a2: Any, *, trim_leading_zeros: bool = False) -> Array:
    """The coefficients of the product of two polynomials.

    Args:
      a1: coefficients.
      a2: coefficients.
      trim_leading_zeros: whether to leave out leading zeros, as NumPy does (not under jit).
    """
    x, y = promote_inexact("polymul", a1, a2)
    if trim_leading_zeros and (x.size > 1 or y.size > 1):
        x, y = trim_zeros(x, "f"), trim_zeros(y, "f")
    zero = HostArray(np.zeros(1, x.dtype))
    return convolve(x if x.size else zero, y if y.size else zero, mode="full")


def polydiv(u: Any, v: Any, *, trim_leading_zeros: bool = False) -> tuple[Array, Array]:
    """The coefficients of the quotient of two polynomials, and of the rest."""
    u, v = promote_inexact("polydiv", u, v)
    m, n = u.shape[0] - 1, v.shape[0] - 1
    scale = div(like(v, 1), reshape(slice_along(v, 0, 0, 1), new_sizes=()))
    quotient = []
    rest = u
    for k in range(m - n + 1):
        factor = mul(scale, reshape(slice_along(rest, 0, k, k + 1), new_sizes=()))
        quotient.append(reshape(factor, new_sizes=(1,)))
        taken_off = pad(
            mul(factor, v), HostArray(v.dtype.type(0)), padding_config=((k, m - n - k, 0),)
        )
        rest = sub(rest, taken_off)
    if not quotient:
        quotient.append(HostArray(np.zeros(1, u.dtype)))
    if trim_leading_zeros:
        rest = _trimmed(rest)
    return (concatenate(*quotient, dimension=0) if len(quotient) > 1 else quotient[0]), rest


def _trimmed(p: Any) -> Any:
    """`p` without leading coefficients that are zero but for rounding."""
    value = np.abs(concrete(p, "the rest of jnp.polydiv", "pass trim_leading_zeros=False."))
    large = np.flatnonzero(value >= np.sqrt(dtypes.finfo(p.dtype).eps))
    return slice_along(p, 0, int(large[0]) if len(large) else p.shape[0], p.shape[0])


def polyder(p: Any, m: int = 1) -> Array:
    """The coefficients of the `m`-th derivative of a polynomial."""
    (p,) = promote_inexact("polyder", p)
    m = _order("polyder", m)
    n = p.shape[0]
    if not m:
        return p
    factors = np.ones(max(0, n - m))
    for k in range(m):
        factors = factors * np.arange(n - 1 - k, m - 1 - k, -1)[: len(factors)]
    return mul(slice_along(p, 0, 0, max(0, n - m)), HostArray(factors.astype(p.dtype)))


def polyint(p: Any, m: int = 1, k: Any = None) -> Array:
    """The coefficients of the `m`-th integral of a polynomial.

    Args:
      p: the coefficients.
      m: how many times to integrate.
      k: the constants of integration: a number for all, or one for each time.
    """
    p, k = promote_inexact("polyint", p, 0 if k is None else k)
    m = _order("polyint", m)
    if k.size == 1:
        k = broadcast_to(reshape(k, new_sizes=(1,)), (m,))
    if k.shape != (m,):
        raise error(
            ValueError,
            "k must be a scalar or a rank-1 array of length 1 or m.",
            got=f"k of shape {k.shape}, m={m}",
            fix="give one constant for each integration.",
        )
    if not m:
        return p
    n = p.shape[0]
    powers = np.arange(n + m)[None] - np.arange(m)[:, None]
    divisors = np.maximum(1, powers).astype(np.float64).prod(0)[::-1]
    return div(concatenate(p, k, dimension=0), HostArray(divisors.astype(p.dtype)))


def _order(name: str, m: Any) -> int:
    m = integer(m, f"`m` of jnp.{name}")
    if m < 0:
        raise error(
            ValueError,
            f"Order of {'derivative' if name == 'polyder' else 'integral'} must be positive"
            + (" (see polyder)." if name == "polyint" else "."),
            got=f"m={m}",
            fix="give 0 or more.",
        )
    return m


def poly(seq_of_zeros: Any) -> Array:
    """The coefficients of the polynomial with the given zeros, or of that of a square matrix.

    A matrix' polynomial has its eigenvalues as zeros, and complex coefficients.
    """
    (zeros,) = promote_inexact("poly", seq_of_zeros)
    if zeros.ndim == 2 and zeros.shape[0] == zeros.shape[1] != 0:
        zeros = eigvals(zeros)
    zeros = reshape(zeros, new_sizes=(1,)) if not zeros.ndim else zeros
    if zeros.ndim != 1:
        raise error(
            ValueError,
            "jnp.poly takes a 1-d array of zeros.",
            got=zeros.aval.str_short(),
            fix="give the zeros along one axis; of a matrix, its eigenvalues.",
        )
    one = HostArray(np.ones(1, zeros.dtype))
    found: Any = one
    for k in range(zeros.shape[0]):
        factor = concatenate(one, neg(slice_along(zeros, 0, k, k + 1)), dimension=0)
        found = convolve(found, factor, mode="full")
    return found if zeros.shape[0] else reshape(one, new_sizes=())
