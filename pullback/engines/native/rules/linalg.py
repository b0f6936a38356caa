"""Systems of equations: tiny matrices in registers (`small_linalg`), others by BLAS and LAPACK."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from ....core.program import Equation, trace_program
from ....core.trace import EVAL, inside
from ....core.types import ArrayType, array_type
from ....ops.contraction import matmul
from ....ops.determinants import cofactors, det, slogdet
from ....ops.elementwise import add, conj, convert_element_type, like, mul
from ....ops.functions import exp
from ....ops.hermitian import hermitian_part
from ....ops.linalg import (
    adjoint,
    cholesky,
    conjugated,
    flip,
    for_columns,
    lu,
    lu_factors,
    lu_pivots_to_permutation,
    lu_solve,
    triangular_solve,
)
from ....ops.reduction import reduce_prod
from ....ops.slicing import concatenate, slice_along
from ....ops.spectral import svd
from ....ops.stacking import stack
from ....ops.structural import broadcast_in_dim
from ....ops.updates import symmetric_product
from ....transforms.simplify import simplify
from ..buffers import Buffer, address
from ..kinds import FLOAT32, INT32, Unsupported, load, store
from ..lowering import Lowering, Rule, Value, empty_value
from ..operations import OPERATIONS
from ..text import Index
from . import small_linalg
from .lapack import (
    Info,
    call,
    columns_of,
    copied,
    each,
    filled,
    moved,
    part,
    when,
    zeroed,
)

NAN = float("nan")


def rewritten(
    low: Lowering, eq: Equation, args: list[Value], function: Callable[..., Sequence[Any]]
) -> list[Value]:
    """The values of `function`, which does the same as an equation by other operations."""
    with inside(EVAL):
        types = [a.aval for a in eq.invars]
        closed = simplify(trace_program(lambda *xs: list(function(*xs)), types))
    return low.closed(closed, args)


def wide(rule: Rule) -> Rule:
    """Floats of half width, which LAPACK does not know, are computed as float32."""

    def either(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
        if not any(a.kind.narrow for a in args):
            return rule(low, eq, args)

        def function(*xs: Any) -> list[Any]:
            narrow = args[0].kind.dtype
            outs = eq.primitive(
                *(cast(x, FLOAT32.dtype) if x.dtype == narrow else x for x in xs), **eq.params
            )
            outs = outs if eq.primitive.multiple_results else [outs]
            return [cast(y, v.aval.dtype) for y, v in zip(outs, eq.outvars, strict=True)]

        return rewritten(low, eq, args, function)

    return either


def cast(x: Any, dtype: Any) -> Any:
    """`x` in another dtype."""
    return x if x.dtype == dtype else convert_element_type(x, new_dtype=dtype, weak_type=False)


def type_of(x: Value) -> ArrayType:
    """The type of a value."""
    return array_type(x.shape, x.kind.dtype)


# ---- Cholesky


def _cholesky(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    *stack, n, _ = args[0].shape
    if n <= small_linalg.MOST:
        return small_linalg.mapped(low, eq, args, small_linalg.cholesky)
    kind = args[0].kind
    out, info = low.result_buffer(eq), Info(low)
    copied(low, args[0], out)
    code = low.code

    def factor(i: Index) -> None:
        pointer = part(low, out, i, n * n)
        # Rows are LAPACK's columns: U^H U of the transposed matrix, so that L = U^T.
        call(low, "potrf", kind, "U", n, pointer, n, info.pointer)
        when(low, info.failed(), lambda: filled(low, kind, pointer, n * n, NAN))

        def above(row: str, _: Any) -> None:
            start = code.op(f"add i64 {code.times(row, n + 1)}, 1")
            size = code.op(f"sub i64 {n - 1}, {row}")
            zeroed(code, kind, address(code, kind, pointer, start), size)

        code.loop(n - 1, above)

    each(low, stack, factor)
    return [low.memory_value(out)]


# ---- triangular systems


def _triangular_solve(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    a, b = args
    p = eq.params
    if a.shape[-1] <= small_linalg.MOST and b.shape[-1] * b.shape[-2] <= small_linalg.SIDES:

        def solve(f: small_linalg.Field, a: Any, b: Any) -> list[Any]:
            return [small_linalg.triangular_solve(f, a, b, **p)]

        return small_linalg.mapped(low, eq, args, solve)
    conjugate = p["conjugate_a"] and a.kind.family == "c"
    if conjugate and not p["transpose_a"]:
        a = low.elementwise(OPERATIONS[conj], [a], {"input_dtype": a.kind.dtype}, type_of(a))
    out = low.result_buffer(eq)
    copied(low, b, out)
    turned = 0 if not p["transpose_a"] else 2 if conjugate else 1
    unit = p["unit_diagonal"]
    solve_in_place(low, a, out, left=p["left_side"], lower=p["lower"], turned=turned, unit=unit)
    return [low.memory_value(out)]


def solve_in_place(
    low: Lowering, a: Value, b: Buffer, *, left: bool, lower: bool, turned: int, unit: bool
) -> None:
    """Replace `b`, in C order, by the solution x of op(a) x = b, or x op(a) = b unless `left`.

    `turned`: op transposes (1), and conjugates too (2).
    """
    *stack, rows, columns = b.shape
    if b.size == 0:
        return
    memory = low.buffer(a)
    n = a.shape[-1]
    by_rows = stored(memory, (n, 1))
    if not by_rows and not (turned < 2 and stored(memory, (1, n))):
        memory, by_rows = low.contiguous(a), True
    # The transposed equation is solved: b in C order is the transposed b in BLAS's order.
    trans = "NTC"[turned] if by_rows else "TN"[turned]
    options = ("R" if left else "L", "U" if lower == by_rows else "L", trans, "NU"[unit])

    def solve(i: Index) -> None:
        matrix, sides = part(low, memory, i, n * n), part(low, b, i, rows * columns)
        call(low, "trsm", b.kind, *options, columns, rows, 1.0, matrix, n, sides, columns)

    each(low, stack, solve)


def stored(buffer: Buffer, strides: tuple[int, int]) -> bool:
    """Whether the matrices have these strides and stand one after the other."""
    *stack, m, n = buffer.shape
    expected = [prod([*stack[d + 1 :], m, n]) for d in range(len(stack))]
    pairs = zip(buffer.strides, [*expected, *strides], buffer.shape, strict=True)
    return all(a == b or length == 1 for a, b, length in pairs)


# ---- LU


def _lu(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    stack, (m, n) = args[0].shape[:-2], args[0].shape[-2:]
    k, kind = min(m, n), args[0].kind
    if args[0].size and max(m, n) <= small_linalg.MOST:
        return small_linalg.mapped(low, eq, args, small_linalg.lu)
    permutation = low.result_buffer(eq, 2)
    if args[0].size == 0:
        each(low, stack, lambda i: _counted(low, part(low, permutation, i, m), m))
        outs = [empty_value(v.aval) for v in eq.outvars[:2]]
        return [*outs, low.memory_value(permutation)]
    factors, pivots = columns_of(low, args[0]), low.result_buffer(eq, 1)
    info = Info(low)

    def factor(i: Index) -> None:
        places, order = part(low, pivots, i, k), part(low, permutation, i, m)
        call(low, "getrf", kind, m, n, part(low, factors, i, m * n), m, places, info.pointer)
        low.code.loop(k, lambda j, _: _decreased(low, address(low.code, INT32, places, j)))
        _permuted(low, places, order, k, m)

    each(low, stack, factor)
    return [low.memory_value(b) for b in (factors, pivots, permutation)]


def _decreased(low: Lowering, pointer: str) -> None:
    code = low.code
    store(code, INT32, code.op(f"sub i32 {load(code, INT32, pointer, 0)}, 1"), pointer, 0)


def _counted(low: Lowering, pointer: str, size: int) -> None:
    """Write 0, 1, 2, ..."""
    code = low.code

    def body(i: str, _: Any) -> None:
        store(code, INT32, code.op(f"trunc i64 {i} to i32"), address(code, INT32, pointer, i), 0)

    if size:
        code.loop(size, body)


def _permuted(low: Lowering, pivots: str, order: str, count: int, size: int) -> None:
    """Write 0, 1, 2, ..., and swap place i with place `pivots[i]` for each i in turn."""
    code = low.code
    _counted(low, order, size)

    def swap(i: str, _: Any) -> None:
        at = _bounded(low, address(code, INT32, pivots, i), size)
        here, there = address(code, INT32, order, i), address(code, INT32, order, at)
        first, second = load(code, INT32, here, 0), load(code, INT32, there, 0)
        store(code, INT32, second, here, 0)
        store(code, INT32, first, there, 0)

    if count:
        code.loop(count, swap)


def _bounded(low: Lowering, pointer: str, size: int) -> str:
    """A position in memory as an i64; the last one for those outside, which are mistakes."""
    code = low.code
    wide = code.op(f"zext i32 {load(code, INT32, pointer, 0)} to i64")
    return code.call("i64", "@llvm.umin.i64", f"i64 {wide}", f"i64 {size - 1}")


def _pivots_to_permutation(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    size = eq.params["permutation_size"]
    *stack, k = args[0].shape
    if args[0].kind is not INT32:
        raise Unsupported(f"pivots of dtype {args[0].kind.dtype.name}")
    pivots, out = low.contiguous(args[0]), low.result_buffer(eq)

    def permute(i: Index) -> None:
        _permuted(low, part(low, pivots, i, k), part(low, out, i, size), k, size)

    each(low, stack, permute)
    return [low.memory_value(out)]


def _lu_solve(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    _, factors, permutation, b = args
    trans = eq.params["trans"]
    if b.shape[-2] <= small_linalg.MOST and b.shape[-1] * b.shape[-2] <= small_linalg.SIDES:

        def solve(f: small_linalg.Field, factors: Any, order: Any, b: Any) -> list[Any]:
            return [small_linalg.lu_solve(f, factors, order, b, trans)]

        return small_linalg.mapped(low, eq, args[1:], solve)
    out = low.result_buffer(eq)
    orders = low.contiguous(permutation)
    first = {"lower": True, "unit": True}
    second = {"lower": False, "unit": False}
    if trans == 0:
        _rows_moved(low, orders, low.contiguous(b), out, gather=True)
        for how in (first, second):
            solve_in_place(low, factors, out, left=True, turned=0, **how)
        return [low.memory_value(out)]
    inner = low.new_buffer(b.kind, b.shape)
    copied(low, b, inner)
    for how in (second, first):
        solve_in_place(low, factors, inner, left=True, turned=1, **how)
    _rows_moved(low, orders, inner, out, gather=False)
    return [low.memory_value(out)]


def _rows_moved(
    low: Lowering, orders: Buffer, source: Buffer, target: Buffer, gather: bool
) -> None:
    """Row i of the target is row `orders[i]` of the source; or the other way round."""
    *stack, n, k = source.shape
    code, kind = low.code, source.kind

    def matrix(i: Index) -> None:
        order, old, new = (
            part(low, buffer, i, size)
            for buffer, size in ((orders, n), (source, n * k), (target, n * k))
        )

        def row(r: str, _: Any) -> None:
            at = _bounded(low, address(code, INT32, order, r), n)
            start, end = (at, r) if gather else (r, at)
            there = address(code, kind, old, code.times(start, k))
            here = address(code, kind, new, code.times(end, k))
            if k == 1:
                store(code, kind, load(code, kind, there, 0), here, 0)
            else:
                moved(code, kind, there, here, k)

        code.loop(n, row)

    each(low, stack, matrix)


# ---- determinants


def _det(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    n = args[0].shape[-1]
    if n == 0:
        aval = eq.outvars[0].aval
        return [low.constant_value(1, args[0].kind, aval.shape)]
    if n <= small_linalg.MOST:
        return small_linalg.mapped(low, eq, args, small_linalg.determinant)
    return rewritten(low, eq, args, lambda x: [determinant(x)])


def determinant(x: Any) -> Any:
    """The determinant from the factors; the product itself could overflow where it does not."""
    factors, pivots, order = lu_factors(x)
    sign, size = slogdet(x, factors, pivots, order)
    return mul(sign, cast(exp(size), sign.dtype))


def _cofactors(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    if args[0].shape[-1] <= small_linalg.MOST:
        return small_linalg.mapped(low, eq, args, small_linalg.cofactors)
    return rewritten(low, eq, args, _cofactors_of_large)


def _cofactors_of_large(x: Any) -> list[Any]:
    # cof(U S V) = cof(U) cof(S) cof(V), and cof(U) = det(U) conj(U) for a unitary U.
    s, u, v = svd(x, full_matrices=False, compute_uv=True)
    n, last = x.shape[-1], len(s.shape) - 1
    others = [
        reduce_prod(concatenate(*_without(s, i), dimension=last), axes=(last,)) for i in range(n)
    ]
    scaled = mul(conjugated(u), for_columns(stack(*others, axis=last), u))
    factor = mul(determinant(u), determinant(v))
    spread = broadcast_in_dim(factor, shape=x.shape, broadcast_dimensions=tuple(range(last)))
    return [mul(spread, matmul(scaled, conjugated(v)))]


def _without(s: Any, i: int) -> list[Any]:
    """The parts before and after place `i` of the last axis."""
    last, n = len(s.shape) - 1, s.shape[-1]
    return [slice_along(s, last, a, b) for a, b in ((0, i), (i + 1, n)) if a < b]


# ---- Hermitian matrices


def _hermitian_part(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    def function(x: Any) -> list[Any]:
        return [mul(add(x, adjoint(x)), like(x, 0.5))]

    return rewritten(low, eq, args, function)


def _symmetric_product(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    def function(a: Any, c: Any) -> list[Any]:
        scale, other = (like(c, eq.params[name]) for name in ("alpha", "beta"))
        return [add(mul(scale, matmul(a, flip(a))), mul(other, c))]

    return rewritten(low, eq, args, function)


def empty_stack(rule: Rule) -> Rule:
    """Results without elements have no code."""

    def either(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
        if all(v.aval.size == 0 for v in eq.outvars):
            return [empty_value(v.aval) for v in eq.outvars]
        return rule(low, eq, args)

    return either


RULES: dict[Any, Rule] = {
    primitive: wide(empty_stack(rule))
    for primitive, rule in {
        cholesky: _cholesky,
        triangular_solve: _triangular_solve,
        lu: _lu,
        lu_factors: _lu,
        lu_solve: _lu_solve,
        lu_pivots_to_permutation: _pivots_to_permutation,
        det: _det,
        cofactors: _cofactors,
        hermitian_part: _hermitian_part,
        symmetric_product: _symmetric_product,
    }.items()
}

__all__ = ["NAN", "RULES", "cast", "rewritten", "wide"]
