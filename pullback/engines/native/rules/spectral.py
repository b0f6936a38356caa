"""Factorisations with orthogonal matrices, eigenvalues and singular values, by LAPACK.

The routines and their options are those of the primitives' own `eval`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ....core.program import Equation, trace_program
from ....core.trace import EVAL, inside
from ....ops.eigen import eig, eigh, eigh_tridiagonal
from ....ops.elementwise import div
from ....ops.factorizations import geqrf, householder_product, ormqr, qr
from ....ops.linalg import for_rows, triu
from ....ops.spectral import svd
from ....ops.tridiagonal import tridiagonal, tridiagonal_solve
from ....transforms.simplify import simplify
from ..buffers import Buffer, address
from ..kinds import INT32, Kind, Unsupported, load, store
from ..lowering import Lowering, Rule, Value
from ..text import Index
from .lapack import (
    Argument,
    Info,
    by_columns,
    call,
    columns_of,
    copy_of,
    each,
    filled,
    moved,
    not_finite,
    part,
    scratch,
    when,
    zeroed,
)
from .linalg import NAN, empty_stack, type_of, wide

BLOCK = 64
"""Columns that LAPACK's routines work on at once, if the workspace is large enough."""


def applied(low: Lowering, function: Callable[..., Any], *values: Value) -> Value:
    """`function` of values, by other operations."""
    with inside(EVAL):
        types = [type_of(v) for v in values]
        closed = simplify(trace_program(lambda *xs: [function(*xs)], types))
    return low.closed(closed, values)[0]


def _identity(low: Lowering, shape: Sequence[int], dtype: Any) -> Value:
    return low.constant_array(np.broadcast_to(np.eye(*shape[-2:], dtype=dtype), shape))


# ---- QR


def _geqrf(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    packed, taus = _factored(low, args[0], low.result_buffer(eq, 1))
    return [low.memory_value(packed), low.memory_value(taus)]


def _factored(low: Lowering, x: Value, taus: Buffer) -> tuple[Buffer, Buffer]:
    *stack, m, n = x.shape
    packed, info = columns_of(low, x), Info(low)
    size = BLOCK * n
    work = scratch(low, x.kind, size)

    def factor(i: Index) -> None:
        a, tau = part(low, packed, i, m * n), part(low, taus, i, min(m, n))
        call(low, "geqrf", x.kind, m, n, a, m, tau, work.pointer, size, info.pointer)

    each(low, stack, factor)
    return packed, taus


def _qr(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    (x,) = args
    *stack, m, n = x.shape
    kind, least = x.kind, min(m, n)
    k = eq.outvars[0].aval.shape[-1]
    if eq.params["pivoting"]:
        if x.size == 0:
            raise Unsupported("pivoted QR of matrices without elements")
        packed, taus, order = _pivoted(low, eq, x)
    else:
        if x.size == 0:
            whole = _identity(low, eq.outvars[0].aval.shape, kind.dtype)
            return [whole, low.constant_value(0, kind, eq.outvars[1].aval.shape)]
        packed, taus = _factored(low, x, low.new_buffer(kind, (*stack, least)))
        order = []
    q = by_columns(low, kind, (*stack, m, k))
    width = min(k, n)

    def started(i: Index) -> None:
        target = part(low, q, i, m * k)
        moved(low.code, kind, part(low, packed, i, m * n), target, m * width)
        rest = m * (k - width)
        if rest:
            zeroed(low.code, kind, address(low.code, kind, target, m * width), rest)

    each(low, stack, started)
    _product(low, q, taus, least)
    top = Buffer(packed.pointer, kind, (*stack, k, n), packed.strides, packed.storage)
    return [low.memory_value(q), applied(low, triu, low.memory_value(top)), *order]


def _pivoted(low: Lowering, eq: Equation, x: Value) -> tuple[Buffer, Buffer, list[Value]]:
    *stack, m, n = x.shape
    kind = x.kind
    packed, info = columns_of(low, x), Info(low)
    taus = low.new_buffer(kind, (*stack, min(m, n)))
    order = low.result_buffer(eq, 2)
    size = 2 * n + BLOCK * (n + 1)
    work, reals = scratch(low, kind, size), scratch(low, kind.real, 2 * n)
    extra: list[Argument] = [reals.pointer] if kind.family == "c" else []

    def factor(i: Index) -> None:
        places, tau = part(low, order, i, n), part(low, taus, i, min(m, n))
        filled(low, INT32, places, n, 0)
        a = part(low, packed, i, m * n)
        options: list[Argument] = [m, n, a, m, places, tau, work.pointer, size]
        call(low, "geqp3", kind, *options, *extra, info.pointer)
        low.code.loop(n, lambda j, _: _decreased(low, places, j))

    each(low, stack, factor)
    return packed, taus, [low.memory_value(order)]


def _decreased(low: Lowering, pointer: str, at: Index) -> None:
    here = address(low.code, INT32, pointer, at)
    store(low.code, INT32, low.code.op(f"sub i32 {load(low.code, INT32, here, 0)}, 1"), here, 0)


def _product(low: Lowering, q: Buffer, taus: Buffer, count: int) -> None:
    """Replace reflections by the first columns of their product."""
    *stack, m, k = q.shape
    size = BLOCK * k
    work, info = scratch(low, q.kind, size), Info(low)

    def multiply(i: Index) -> None:
        a, tau = part(low, q, i, m * k), part(low, taus, i, count)
        call(low, "orgqr", q.kind, m, k, count, a, m, tau, work.pointer, size, info.pointer)

    each(low, stack, multiply)


def _householder_product(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    a, taus = args
    if taus.shape[-1] == 0:
        return [_identity(low, a.shape, a.kind.dtype)]
    q = columns_of(low, a)
    _product(low, q, low.contiguous(taus), taus.shape[-1])
    return [low.memory_value(q)]


def _ormqr(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    a, taus, c = args
    if taus.shape[-1] == 0:
        return [c]
    *stack, m, n = c.shape
    kind, k, rows = a.kind, taus.shape[-1], a.shape[-2]
    left, transposed = eq.params["left"], eq.params["transpose"]
    trans = ("C" if kind.family == "c" else "T") if transposed else "N"
    packed, out = columns_of(low, a), columns_of(low, c)
    tau = low.contiguous(taus)
    size = BLOCK * max(n if left else m, 1) + 65 * BLOCK
    work, info = scratch(low, kind, size), Info(low)

    def multiply(i: Index) -> None:
        reflections = part(low, packed, i, rows * a.shape[-1])
        matrices: list[Argument] = [
            reflections,
            rows,
            part(low, tau, i, k),
            part(low, out, i, m * n),
            m,
        ]
        options: list[Argument] = ["RL"[left], trans, m, n, k]
        call(low, "ormqr", kind, *options, *matrices, work.pointer, size, info.pointer)

    each(low, stack, multiply)
    return [low.memory_value(out)]


# ---- eigenvalues


def _guarded(
    low: Lowering,
    buffer: Buffer,
    i: Index,
    run: Callable[[str], None],
    info: Info,
    results: Sequence[tuple[Kind, str, int]],
) -> None:
    """Run a routine on matrix `i` if it is finite; NaN for results if not, or if it fails."""
    *_, m, n = buffer.shape
    code, pointer = low.code, part(low, buffer, i, m * n)
    bad = not_finite(low, buffer.kind, pointer, m * n)
    store(code, INT32, "1", info.pointer, 0)
    good = code.op(f"xor i1 {bad}, true")
    when(low, good, lambda: run(pointer))

    def spoiled() -> None:
        for kind, target, size in results:
            filled(low, kind, target, size, complex(NAN, NAN) if kind.family == "c" else NAN)

    when(low, info.failed(), spoiled)


def _eigh(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    (x,) = args
    *stack, n, _ = x.shape
    kind, real = x.kind, x.kind.real
    subset = eq.params["subset_by_index"]
    vectors, info = columns_of(low, x), Info(low)
    values = low.result_buffer(eq, 1) if subset is None else low.new_buffer(real, (*stack, n))
    whole = kind.family == "c"
    size = 2 * n + n * max(n, BLOCK) if whole else max(1 + 6 * n + 2 * n * n, 2 * n + n * BLOCK)
    reals, ints = 1 + 5 * n + 2 * n * n, 3 + 5 * n
    work, places = scratch(low, kind, size), scratch(low, INT32, ints)
    more = scratch(low, real, reals) if whole else None
    extra: list[Argument] = [more.pointer, reals] if more else []
    uplo = "L" if eq.params["lower"] else "U"

    def solve(i: Index) -> None:
        w = part(low, values, i, n)

        def run(a: str) -> None:
            rest: list[Argument] = [work.pointer, size, *extra, places.pointer, ints, info.pointer]
            call(low, "syevd", kind, "V", uplo, n, a, n, w, *rest)

        results = [(kind, part(low, vectors, i, n * n), n * n), (real, w, n)]
        _guarded(low, vectors, i, run, info, results)

    each(low, stack, solve)
    if subset is None:
        return [low.memory_value(vectors), low.memory_value(values)]
    first, last = subset
    parts = [
        b.view(low.code, (*b.shape[:-1], last - first), b.strides, first * b.strides[-1])
        for b in (vectors, values)
    ]
    return [low.memory_value(b) for b in parts]


def _svd(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    (x,) = args
    *stack, m, n = x.shape
    kind, real, k = x.kind, x.kind.real, min(m, n)
    full, with_vectors = eq.params["full_matrices"], eq.params["compute_uv"]
    subset = eq.params.get("subset_by_index")
    if subset is not None and subset != (0, k):
        raise Unsupported("a part of the singular values")
    if x.size == 0:
        avals = [v.aval for v in eq.outvars]
        empty = low.constant_value(0, real, avals[0].shape)
        return [empty, *(_identity(low, t.shape, kind.dtype) for t in avals[1:])]
    a, info, values = columns_of(low, x), Info(low), low.result_buffer(eq, 0)
    left, right = (m, n) if full else (k, k)
    u = by_columns(low, kind, (*stack, m, left)) if with_vectors else a
    vh = by_columns(low, kind, (*stack, right, n)) if with_vectors else a
    largest = max(m, n)
    size = 4 * k * k + 7 * k + largest + BLOCK * (m + n)
    reals = max(5 * k * k + 7 * k, 2 * largest * k + 2 * k * k + k)
    work, places = scratch(low, kind, size), scratch(low, INT32, 8 * k)
    more = scratch(low, real, reals) if kind.family == "c" else None
    extra: list[Argument] = [more.pointer] if more else []
    job = ("A" if full else "S") if with_vectors else "N"

    def solve(i: Index) -> None:
        s = part(low, values, i, k)
        results = [(real, s, k)]
        if with_vectors:
            results.append((kind, part(low, u, i, m * left), m * left))
            results.append((kind, part(low, vh, i, right * n), right * n))

        def run(pointer: str) -> None:
            u_, vh_ = (results[1][1], results[2][1]) if with_vectors else (pointer, pointer)
            rest: list[Argument] = [work.pointer, size, *extra, places.pointer, info.pointer]
            call(low, "gesdd", kind, job, m, n, pointer, m, s, u_, m, vh_, right, *rest)

        _guarded(low, a, i, run, info, results)

    each(low, stack, solve)
    outs = [values, u, vh] if with_vectors else [values]
    return [low.memory_value(b) for b in outs]


def _eig(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    (x,) = args
    *stack, n, _ = x.shape
    wanted = eq.params["compute_left_eigenvectors"], eq.params["compute_right_eigenvectors"]
    kind, real = x.kind, x.kind.real
    is_real = kind.family != "c"
    a, info = columns_of(low, x), Info(low)
    outs = [low.result_buffer(eq, k) for k in range(len(eq.outvars))]
    sides = iter(outs[1:])
    targets = [next(sides) if on else None for on in wanted]
    vectors = [by_columns(low, kind, (*stack, n, n)) if on else None for on in wanted]
    if not is_real:
        outs[1:] = [v for v in vectors if v is not None]
    size = (BLOCK + 2) * n + 2 * n
    work, more = scratch(low, kind, size), scratch(low, real, 2 * n)

    def solve(i: Index) -> None:
        w = part(low, outs[0], i, n)
        found = [None if v is None else part(low, v, i, n * n) for v in vectors]

        def run(pointer: str) -> None:
            jobs = ["NV"[on] for on in wanted]
            given: list[Argument] = [y for v in found for y in (v or pointer, n)]
            halves = [more.pointer, address(low.code, real, more.pointer, n)]
            values = halves if is_real else [w]
            extra: list[Argument] = [] if is_real else [more.pointer]
            rest: list[Argument] = [work.pointer, size, *extra, info.pointer]
            call(low, "geev", kind, *jobs, n, pointer, n, *values, *given, *rest)
            if is_real:
                _joined(low, real, halves, w, n)
                for v, target in zip(found, targets, strict=True):
                    if v is not None and target is not None:
                        _paired(low, real, halves[1], v, part(low, target, i, n * n), n)

        out = eq.outvars[0].aval
        joint = low.kind_of(out)
        spoiled = [(joint, w, n)]
        for v, target in zip(found, targets, strict=True):
            if v is not None:
                place = part(low, target, i, n * n) if is_real and target is not None else v
                spoiled.append((joint, place, n * n))
        _guarded(low, a, i, run, info, spoiled)

    each(low, stack, solve)
    return [low.memory_value(b) for b in outs]


def _joined(low: Lowering, real: Kind, halves: Sequence[str], target: str, n: int) -> None:
    """Complex numbers of their real and imaginary parts."""
    code = low.code

    def body(j: str, _: Any) -> None:
        for k, half in enumerate(halves):
            word = load(code, real, address(code, real, half, j), 0)
            at = code.add(code.times(j, 2), k)
            store(code, real, word, address(code, real, target, at), 0)

    code.loop(n, body)


def _paired(low: Lowering, real: Kind, imaginary: str, v: str, target: str, n: int) -> None:
    """Complex vectors: LAPACK gives those of a pair of values as two real columns."""
    code, typed = low.code, real.register

    def column(j: str, _: Any) -> None:
        part_ = load(code, real, address(code, real, imaginary, j), 0)
        below = code.op(f"fcmp olt {typed} {part_}, 0.0")
        above = code.op(f"fcmp ogt {typed} {part_}, 0.0")
        first = code.op(f"sub i64 {j}, {code.op(f'zext i1 {below} to i64')}")
        second = code.least(code.add(first, 1), n - 1)
        one, zero = "1.0", "0.0"
        sign = code.op(f"select i1 {below}, {typed} -1.0, {typed} {zero}")
        sign = code.op(f"select i1 {above}, {typed} {one}, {typed} {sign}")

        def row(i: str, _: Any) -> None:
            re, im = (
                load(code, real, address(code, real, v, code.add(code.times(c, n), i)), 0)
                for c in (first, second)
            )
            im = code.op(f"fmul {typed} {im}, {sign}")
            at = code.times(code.add(code.times(i, n), j), 2)
            for k, word in enumerate((re, im)):
                store(code, real, word, address(code, real, target, code.add(at, k)), 0)

        code.loop(n, row)

    code.loop(n, column)


# ---- tridiagonal matrices


def _eigh_tridiagonal(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    d, e = args
    *stack, n = d.shape
    kind = d.kind
    if n < 2:
        raise Unsupported("eigenvalues of 1 x 1 tridiagonal matrices")
    values = copy_of(low, d, low.result_buffer(eq, 0))
    beside, info = copy_of(low, e), Info(low)
    vectors = by_columns(low, kind, (*stack, n, n))
    size, ints = 1 + 4 * n + n * n, 3 + 5 * n
    work, places = scratch(low, kind, size), scratch(low, INT32, ints)

    def solve(i: Index) -> None:
        w, off, v = (
            part(low, b, i, k) for b, k in ((values, n), (beside, n - 1), (vectors, n * n))
        )
        code = low.code
        bad = [not_finite(low, kind, p, k) for p, k in ((w, n), (off, n - 1))]
        good = code.op(f"xor i1 {code.op(f'or i1 {bad[0]}, {bad[1]}')}, true")
        store(code, INT32, "1", info.pointer, 0)
        rest: list[Argument] = [work.pointer, size, places.pointer, ints, info.pointer]
        when(low, good, lambda: call(low, "stevd", kind, "V", n, w, off, v, n, *rest))

        def spoiled() -> None:
            filled(low, kind, w, n, NAN)
            filled(low, kind, v, n * n, NAN)

        when(low, info.failed(), spoiled)

    each(low, stack, solve)
    return [low.memory_value(values), low.memory_value(vectors)]


def _tridiagonal_solve(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    if eq.params["perturb_singular"]:
        raise Unsupported("tridiagonal_solve with perturb_singular")
    *diagonals, b = args
    *stack, n, k = b.shape
    kind = b.kind
    if n == 1:
        return [applied(low, lambda b, d: div(b, for_rows(d, b)), b, diagonals[1])]
    below, middle, above = (copy_of(low, x) for x in diagonals)
    out, info = columns_of(low, b), Info(low)

    def solve(i: Index) -> None:
        dl = address(low.code, kind, part(low, below, i, n), 1)
        d, du = part(low, middle, i, n), part(low, above, i, n)
        x = part(low, out, i, n * k)
        call(low, "gtsv", kind, n, k, dl, d, du, x, n, info.pointer)
        when(low, info.failed(), lambda: filled(low, kind, x, n * k, NAN))

    each(low, stack, solve)
    return [low.memory_value(out)]


def _tridiagonal(low: Lowering, eq: Equation, args: list[Value]) -> list[Value]:
    (x,) = args
    *stack, n, _ = x.shape
    kind = x.kind
    if n == 1:
        raise Unsupported("the tridiagonal form of 1 x 1 matrices")
    packed, info = columns_of(low, x), Info(low)
    d, e = (low.result_buffer(eq, k) for k in (1, 2))
    # OpenBLAS's zhemv reads beyond the end of taus (seen with 6 x 6 upper triangles).
    room = scratch(low, kind, prod(stack) * (n - 1) + 4)
    taus = Buffer(room.pointer, kind, (*stack, n - 1), storage=room.storage)
    size = BLOCK * n
    work = scratch(low, kind, size)
    uplo = "L" if eq.params["lower"] else "U"

    def reduce(i: Index) -> None:
        places = [part(low, b, i, k) for b, k in ((d, n), (e, n - 1), (taus, n - 1))]
        a = part(low, packed, i, n * n)
        call(low, "sytrd", kind, uplo, n, a, n, *places, work.pointer, size, info.pointer)

    each(low, stack, reduce)
    return [low.memory_value(b) for b in (packed, d, e, taus)]


RULES: dict[Any, Rule] = {
    primitive: wide(empty_stack(rule))
    for primitive, rule in {
        qr: _qr,
        geqrf: _geqrf,
        householder_product: _householder_product,
        ormqr: _ormqr,
        eigh: _eigh,
        svd: _svd,
        eig: _eig,
        eigh_tridiagonal: _eigh_tridiagonal,
        tridiagonal_solve: _tridiagonal_solve,
        tridiagonal: _tridiagonal,
    }.items()
}
