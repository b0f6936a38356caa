"""The exponential of matrices, and its derivative: scaling and squaring with Padé's approximants.

Al-Mohy and Higham, "A new scaling and squaring algorithm for the matrix exponential" (2009), with
norms of those powers that are computed anyway. The derivative is that of the approximant, as in
their "Computing the Fréchet derivative of the matrix exponential" (2009), where the norm of the
matrix alone decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial, log2
from typing import Any, NamedTuple

import numpy as np

from ....core.array import HostArray
from ....core.program import Equation
from ....ops.comparison import (
    and_,
    bitcast_convert_type,
    eq,
    gt,
    le,
    lt,
    max_,
    min_,
    or_,
    shift_left,
)
from ....ops.contraction import matmul
from ....ops.elementwise import add, div, like, mul, select_n, sub
from ....ops.functions import cbrt, exp, log, sqrt
from ....ops.linalg import diagonal, for_rows, lu_factors, lu_solve, tril, triu
from ....ops.matrix_functions import expm, expm_frechet
from ....ops.reduction import reduce_and, reduce_max, reduce_or
from ....ops.rounding import abs_, ceil
from ....ops.slicing import slice_along
from ....ops.structural import broadcast_in_dim, reduce_sum
from ....transforms.forward import jvp
from ..lowering import Lowering, Rule
from ..text import Word
from .matrices import (
    PLATFORMS,
    are_finite,
    as_dtype,
    counted,
    diagonal_matrix,
    everywhere,
    for_matrices,
    is_zero,
    on_diagonal,
    place,
    where,
    where_matrices,
    written,
)


class Precision(NamedTuple):
    """How exponentials are computed to the accuracy of a dtype.

    Attributes:
      orders: those of the approximants.
      sizes: up to which size of a matrix each is accurate (Higham, 2005; that of 13: 2009).
      bits: of a significand.
      range: the exponent of 2 up to which the sixth power of a matrix surely is a number.
      integer, bias, place: how the exponent of a number is stored.
      limit: the norm from which a matrix is halved (Higham, 2005).
    """

    orders: tuple[int, ...]
    sizes: tuple[float, ...]
    bits: int
    range: int
    integer: Any
    bias: int
    place: int
    limit: float


_SINGLE = Precision(
    orders=(3, 5, 7),
    sizes=(4.258730016922831e-1, 1.880152677804762, 3.925724783138660),
    bits=24,
    range=18,
    integer=np.int32,
    bias=127,
    place=23,
    limit=3.925724783138660,
)
_DOUBLE = Precision(
    orders=(3, 5, 7, 9, 13),
    sizes=(
        1.495585217958292e-2,
        2.539398330063230e-1,
        9.504178996162932e-1,
        2.097847961257068,
        4.25,
    ),
    bits=53,
    range=140,
    integer=np.int64,
    bias=1023,
    place=52,
    limit=5.371920351148152,
)
_FOR_DERIVATIVES = 0.7
"""By this much the sizes are smaller up to which derivatives are accurate too."""


def _precision(x: Any) -> Precision:
    return _DOUBLE if x.dtype in (np.float64, np.complex128) else _SINGLE


# ---- numbers


def _norm(x: Any) -> Any:
    """The largest sum of a column."""
    rank = len(x.shape)
    return reduce_max(reduce_sum(abs_(x), axes=(rank - 2,)), axes=(rank - 2,))


def _two_to_minus(n: Any, how: Precision) -> Any:
    """2^-n for integers n, exactly."""
    wide = as_dtype(n, how.integer)
    stored = shift_left(sub(everywhere(wide, how.bias), wide), everywhere(wide, how.place))
    return bitcast_convert_type(stored, new_dtype=np.dtype(f"f{np.dtype(how.integer).itemsize}"))


def _log2(x: Any) -> Any:
    """That of a number, or of the smallest one instead of 0."""
    least = everywhere(x, np.finfo(x.dtype).tiny)
    return mul(log(max_(x, least)), everywhere(x, 1 / np.log(2)))


def _halvings(x: Any) -> Any:
    """ceil(x) as an integer, or 0 if x is negative."""
    return as_dtype(ceil(max_(x, everywhere(x, 0))), np.int32)


def _scaled(x: Any, factor: Any, times: int = 1) -> Any:
    wide = as_dtype(for_matrices(factor, x.shape), x.dtype)
    for _ in range(times):
        x = mul(x, wide)
    return x


# ---- the approximants


def _powers(a: Any) -> list[Any]:
    second = matmul(a, a)
    fourth = matmul(second, second)
    return [second, fourth, matmul(second, fourth)]


def _coefficients(m: int) -> list[float]:
    """Those of the numerator, the last of them 1."""
    return [factorial(2 * m - j) / (factorial(m - j) * factorial(j)) for j in range(m + 1)]


def _combined(numbers: Sequence[float], powers: Sequence[Any]) -> Any:
    """The sum of products with I, a^2, a^4, a^6."""
    total = diagonal_matrix(powers[0], numbers[0])
    for b, power in zip(numbers[1:], powers, strict=False):
        total = add(total, mul(power, everywhere(power, b)))
    return total


def _half(numbers: Sequence[float], powers: Sequence[Any]) -> Any:
    """A polynomial of a^2; from a^8 on it is a^6 times another."""
    low = _combined(numbers[:4], powers)
    if len(numbers) <= 4:
        return low
    high = [mul(p, everywhere(p, b)) for b, p in zip(numbers[4:], powers, strict=False)]
    total = high[0]
    for term in high[1:]:
        total = add(total, term)
    return add(low, matmul(powers[2], total))


def _approximant(m: int) -> Any:
    """A function of a, a^2, a^4 and a^6."""
    numbers = _coefficients(m)

    def function(a: Any, *powers: Any) -> list[Any]:
        odd = matmul(a, _half(numbers[1::2], powers))
        even = _half(numbers[::2], powers)
        bottom = sub(even, odd)
        factors, _, order = lu_factors(bottom)
        return [lu_solve(bottom, factors, order, add(even, odd), trans=0)]

    return function


# ---- how often a matrix is halved


_STEPS = 9
"""Powers of |a| whose norms are found; those of higher ones are at most products of these."""


def _logs_of_powers(low: Lowering, a: Word, norm: Word, how: Precision) -> Word:
    """log2 of the norms of |a|, |a|^2, ..., |a|^9; infinite if all norms are small."""
    numbers = np.arange(1, _STEPS + 1, dtype=np.int32)

    def begin(a: Any, norm: Any) -> list[Any]:
        ones = broadcast_in_dim(
            like(norm, 1), shape=(*a.shape[:-2], 1, a.shape[-1]), broadcast_dimensions=()
        )
        unknown = broadcast_in_dim(
            like(norm, np.inf), shape=(*norm.shape, _STEPS), broadcast_dimensions=()
        )
        large = gt(norm, everywhere(norm, how.sizes[-1]))
        needed = reduce_or(large, axes=tuple(range(len(norm.shape))))
        steps = select_n(needed, place(0), place(_STEPS))
        return [steps, abs_(a), ones, everywhere(norm, 0), unknown]

    def step(i: Any, sums: Any, total: Any, found: Any, size: Any) -> list[Any]:
        # Rows of sums of columns; scaled, for the powers may be no numbers.
        sums = matmul(sums, size)
        top = reduce_max(sums, axes=(len(sums.shape) - 2, len(sums.shape) - 1))
        top = max_(top, everywhere(top, np.finfo(top.dtype).tiny))
        total = add(total, _log2(top))
        sums = div(sums, for_matrices(top, sums.shape))
        dims = tuple(range(len(total.shape)))
        spread = broadcast_in_dim(total, shape=found.shape, broadcast_dimensions=dims)
        here = broadcast_in_dim(
            HostArray(numbers), shape=found.shape, broadcast_dimensions=(len(dims),)
        )
        count = broadcast_in_dim(add(i, place(1)), shape=found.shape, broadcast_dimensions=())
        return [sums, total, select_n(eq(here, count), found, spread)]

    steps, size, *state = written(low, begin, a, norm)
    return counted(low, steps, step, state, [size])[2]


def _log_of_power(logs: Any, n: int) -> Any:
    """What log2 of the norm of |a|^n is at most."""
    last = len(logs.shape) - 1

    def known(k: int) -> Any:
        return reduce_sum(slice_along(logs, last, k - 1, k), axes=(last,))

    times, rest = divmod(n, _STEPS)
    total = known(rest) if rest else None
    if times:
        whole = known(_STEPS)
        whole = mul(whole, everywhere(whole, times))
        total = whole if total is None else add(total, whole)
    return total


def _too_far(k: int, logs: Any, norm: Any, halved: Any, how: Precision) -> Any:
    """The times that a matrix must be halved more, so that rounding does no harm: their `ell`.

    `halved` is log2 of what the matrix was divided by.
    """
    m = how.orders[k]
    first = 2 * log2(factorial(m)) - log2(factorial(2 * m)) - log2(factorial(2 * m + 1))
    own = _log_of_power(logs, 2 * m + 1)
    left = sub(sub(own, _log2(norm)), mul(halved, everywhere(halved, 2.0 * m)))
    left = add(left, everywhere(left, first + how.bits))
    return _halvings(mul(left, everywhere(left, 1 / (2 * m))))


class Plan(NamedTuple):
    """What is known of matrices before they are approximated.

    Attributes:
      sound: which of them have an exponential.
      early: how often they were halved before their powers were computed.
      norm, size: the norm, and what takes its place: at most that.
      arrays: a, a^2, a^4, a^6; then their tangents, if there are any.
    """

    sound: Word
    early: Word
    norm: Word
    size: Word
    arrays: list[Word]


def _planned(low: Lowering, words: Sequence[Word], limit: float) -> Plan:
    """`words` are a matrix and, for the derivative, a direction."""
    how = _precision(words[0])

    def function(a: Any, *directions: Any) -> list[Any]:
        norm = _norm(a)
        sound = lt(norm, everywhere(norm, limit))  # false for NaN
        for e in directions:
            sound = and_(sound, are_finite(e))
        norm = where(sound, norm, 0)
        log = _log2(norm)
        early = _halvings(sub(log, everywhere(log, how.range)))
        factor = _two_to_minus(early, how)
        a = _scaled(where_matrices(sound, a, 0), factor)
        norm = mul(norm, factor)
        if directions:
            e = _scaled(where_matrices(sound, directions[0], 0), factor)
            powers, changes = jvp(_powers, [a], [e])
            return [sound, early, norm, norm, a, *powers, e, *changes]
        powers = _powers(a)
        size = max_(sqrt(sqrt(_norm(powers[1]))), cbrt(sqrt(_norm(powers[2]))))
        return [sound, early, norm, min_(norm, size), a, *powers]

    sound, early, norm, size, *arrays = written(low, function, *words)
    return Plan(sound, early, norm, size, arrays)


def _chosen(low: Lowering, plan: Plan, sizes: Sequence[float], how: Precision) -> list[Word]:
    """The number of the approximant for all matrices, and how often each is halved."""
    derivative = len(plan.arrays) > 4
    logs = [] if derivative else [_logs_of_powers(low, plan.arrays[0], plan.norm, how)]

    def function(norm: Any, size: Any, *logs: Any) -> list[Any]:
        zero, last = everywhere(norm, 0), len(sizes) - 1
        number = broadcast_in_dim(place(last), shape=norm.shape, broadcast_dimensions=())
        for k in reversed(range(last)):
            fits = le(norm, everywhere(norm, sizes[k]))
            for found in logs:
                few = eq(_too_far(k, found, norm, zero, how), everywhere(number, 0))
                fits = or_(fits, and_(le(size, everywhere(size, sizes[k])), few))
            number = select_n(fits, number, everywhere(number, k))
        number = reduce_max(number, axes=tuple(range(len(norm.shape))))
        times = _halvings(_log2(mul(size, everywhere(size, 1 / sizes[-1]))))
        for found in logs:
            halved = as_dtype(times, norm.dtype)
            left = mul(norm, _two_to_minus(times, how))
            more = _too_far(last, found, norm, halved, how)
            more = select_n(gt(left, everywhere(left, sizes[-1])), everywhere(more, 0), more)
            times = add(times, more)
        whole = eq(
            broadcast_in_dim(number, shape=times.shape, broadcast_dimensions=()),
            everywhere(times, last),
        )
        return [number, select_n(whole, everywhere(times, 0), times)]

    return written(low, function, plan.norm, plan.size, *logs)


def exponential(low: Lowering, words: Sequence[Word], limit: float) -> Word:
    """The exponentials of matrices, or their derivatives in the second word's directions.

    Matrices whose norm is `limit` or more, or that hold NaN, give NaN.
    """
    how, code = _precision(words[0]), low.code
    derivative = len(words) > 1
    sizes = [s * (_FOR_DERIVATIVES if derivative else 1) for s in how.sizes]
    plan = _planned(low, words, limit)
    number, times = _chosen(low, plan, sizes, how)
    arrays = written(low, _halved(how), times, *plan.arrays)
    x = words[0]
    types = [(x.shape, x.dtype)] * len(words)

    def approximated(m: int) -> Any:
        function = _approximant(m)

        def whole(*xs: Any) -> list[Any]:
            if not derivative:
                return function(*xs)
            values, changes = jvp(function, xs[:4], xs[4:])
            return [*values, *changes]

        return lambda: written(low, whole, *arrays)

    regions = ", ".join(low.region([], approximated(m)).text for m in how.orders)
    found = code.ops("case", [number], types, "", regions)
    square = _squared_derivatives if derivative else _squared
    found = square(low, arrays[0], plan.early, times, found)

    def finished(sound: Any, x: Any) -> list[Any]:
        return [where_matrices(sound, x, np.nan)]

    return written(low, finished, plan.sound, found[-1])[0]


def _halved(how: Precision) -> Any:
    """A function of the numbers of halvings, the powers, and their tangents."""

    def function(times: Any, *arrays: Any) -> list[Any]:
        factor = _two_to_minus(times, how)
        return [_scaled(x, factor, n) for x, n in zip(arrays, (1, 2, 4, 6) * 2, strict=False)]

    return function


def _most(early: Any, times: Any) -> list[Any]:
    total = add(early, times)
    return [total, reduce_max(total, axes=tuple(range(len(total.shape))))]


def _squared(low: Lowering, a: Word, early: Word, times: Word, found: list[Word]) -> list[Word]:
    """The squares of squares, and so on; of triangular matrices the diagonals are made anew
    (Al-Mohy and Higham, 2009, code fragment 2.1), for squaring loses digits of the small ones."""

    def begin(early: Any, times: Any, a: Any, x: Any) -> list[Any]:
        upper, lower = _are_zero(tril(a, -1)), _are_zero(triu(a, 1))
        x = where_matrices(upper, triu(x), where_matrices(lower, tril(x), x))
        d = diagonal(a)
        return [*_most(early, times), or_(upper, lower), d, renewed(or_(upper, lower), d, x)]

    def renewed(triangular: Any, d: Any, x: Any) -> Any:
        mask = and_(on_diagonal(x), for_matrices(triangular, x.shape))
        return select_n(mask, x, for_rows(exp(d), x))

    def step(i: Any, d: Any, x: Any, total: Any, triangular: Any) -> list[Any]:
        goes_on = lt(broadcast_in_dim(i, shape=total.shape, broadcast_dimensions=()), total)
        d = add(d, d)
        return [d, where_matrices(goes_on, renewed(triangular, d, matmul(x, x)), x)]

    total, most, triangular, d, x = written(low, begin, early, times, a, *found)
    return counted(low, most, step, [d, x], [total, triangular])


def _squared_derivatives(
    low: Lowering, a: Word, early: Word, times: Word, found: list[Word]
) -> list[Word]:
    def step(i: Any, x: Any, dx: Any, total: Any) -> list[Any]:
        goes_on = lt(broadcast_in_dim(i, shape=total.shape, broadcast_dimensions=()), total)
        change = add(matmul(x, dx), matmul(dx, x))
        return [where_matrices(goes_on, y, z) for y, z in ((matmul(x, x), x), (change, dx))]

    total, most = written(low, _most, early, times)
    return counted(low, most, step, found, [total])


def _are_zero(x: Any) -> Any:
    """Which matrices hold nothing but 0."""
    return reduce_and(is_zero(x), axes=(len(x.shape) - 2, len(x.shape) - 1))


def _expm(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    if low.platform not in PLATFORMS:
        return low.by_definition(eq, args)
    limit = _precision(args[0]).limit * 2.0 ** (eq.params["max_squarings"] + 1)
    return [exponential(low, args, limit)]


def _expm_frechet(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    if low.platform not in PLATFORMS:
        return low.by_definition(eq, args)
    return [exponential(low, args, np.inf)]


RULES: dict[Any, Rule] = {expm: _expm, expm_frechet: _expm_frechet}

__all__ = ["RULES"]
