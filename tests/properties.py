"""What must hold of every primitive, each property against a meaning that is not its own rule.

A property is a function `check_*(example, dtype)` that raises AssertionError, naming example and
property. `test_rules` tries all of them on all examples, `test_checker` on wrong rules.

How exact: differences of float64 numbers are taken at 4 points, (8 (f(h) - f(-h)) - (f(2h) -
f(-2h))) / 12h. The formula leaves out h^4 f'''''/30, and rounding adds about 1.5 eps |f| / h. At
h = 1e-3 that is 3e-14 |f'''''| + 3e-13 |f|, so DIFFERENCES = 1e-9 allows for a fifth derivative of
30,000 and still sees an error in the ninth digit. Where two rules are compared with each other
there is only rounding: ROUNDING = 1e-12 is 5,000 eps. A compiled program rounds a * b + c once, so
that its results in narrower floats may differ by 4 eps of theirs from those of single operations.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import peer

import pullback
from pullback.core import dtypes
from pullback.core.array import HostArray
from pullback.core.primitive import CORE, Absent
from pullback.core.program import check_program, run_closed, trace_program
from pullback.core.trace import type_of
from pullback.ops.structural import move_axis, zeros
from pullback.transforms import batch, forward, reverse

H = 1e-3
DIFFERENCES = 1e-9
ROUNDING = 1e-12


# ---- the call of an example, as a function of flat lists


def function_of(example: Any, dtype: Any) -> Callable[..., list[Any]]:
    """The primitive at the example's parameters: arrays to a list of arrays."""
    primitive, params = example.primitive, example.params(dtype)

    def call(*args: Any) -> list[Any]:
        out = primitive(*args, **params)
        return list(out) if primitive.multiple_results else [out]

    return call


def arrays(values: Sequence[Any]) -> list[Any]:
    """NumPy values as Arrays that refuse to be written to."""
    made = []
    for v in values:
        if isinstance(v, np.ndarray):
            v = v.copy()
            v.flags.writeable = False
        made.append(None if v is None else HostArray(v))
    return made


def values(outputs: Sequence[Any]) -> list[np.ndarray]:
    """Arrays as NumPy values."""
    return [np.asarray(y._value) for y in outputs]


def label(example: Any, dtype: Any) -> str:
    """`sin-f64[3]`: an example at a dtype, in the names of tests and in messages."""
    types = [array_name(x) for x in example.args(dtype)] or [dtypes.short_name(np.dtype(dtype))]
    return "-".join([example.primitive.name, *types, *([example.id] if example.id else [])])


def array_name(x: np.ndarray) -> str:
    """`f64[2,3]`"""
    return type_of(HostArray(x)).str_short()


# ---- comparing


def same(where: str, what: str, got: Sequence[Any], want: Sequence[Any], tolerance: float) -> None:
    """Each of `got` has the shape and dtype of `want` and its values, relative to its largest."""
    assert len(got) == len(want), f"{where}: {what}: {len(got)} results instead of {len(want)}"
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        g, w = np.asarray(g), np.asarray(w)
        result = f"{where}: {what}" + (f", result {i}" if len(got) > 1 else "")
        assert g.shape == w.shape, f"{result}: shape {g.shape} instead of {w.shape}"
        assert g.dtype == w.dtype, f"{result}: dtype {g.dtype} instead of {w.dtype}"
        assert agree(g, w, tolerance), f"{result}:\ngot  {g}\nwant {w}"


def same_compiled(where: str, what: str, got: Sequence[Any], want: Sequence[Any]) -> None:
    """`same`, up to the rounding of the narrowest results."""
    eps = [float(dtypes.finfo(np.asarray(w).dtype).eps) for w in want if dtypes.is_inexact(w.dtype)]
    same(where, what, got, want, max([ROUNDING, *(4 * e for e in eps)]))


def agree(got: np.ndarray, want: np.ndarray, tolerance: float) -> bool:
    """Whether the arrays are equal, or closer than `tolerance` times their largest number."""
    if dtypes.kind(got.dtype) not in "fc" or dtypes.is_key(got.dtype):
        return np.array_equal(got, want)
    wide = "c16" if got.dtype.kind == "c" else "f8"
    got, want = got.astype(wide), want.astype(wide)
    finite = np.isfinite(want)
    size = max(1.0, np.abs(want[finite]).max(initial=0.0))
    with np.errstate(all="ignore"):
        near = np.abs(got - want) <= tolerance * size
    equal = (got == want) | (np.isnan(got) & np.isnan(want))
    return bool(np.all(np.where(finite, near, equal)))


# ---- derivatives, with zeros in place of None


def push(function: Any, primals: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
    """Tangents of the inexact outputs, by the forward rules."""
    outs, found = forward.jvp(function, primals, tangents)
    return [
        zeros(type_of(y).strong()) if t is None else t
        for y, t in zip(outs, found, strict=True)
        if dtypes.is_inexact(y.dtype)
    ]


def pull(function: Any, primals: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
    """Cotangents of the inexact inputs, by the reverse rules, for those of the inexact outputs."""
    wrt = [dtypes.is_inexact(x.dtype) for x in primals]
    outs, tape, places = reverse.linearize(function, primals, wrt)
    each = iter(cotangents)
    cts = [next(each) if dtypes.is_inexact(y.dtype) else None for y in outs]
    found = tape.pull(places, cts)
    inputs = [x for x, active in zip(primals, wrt, strict=True) if active]
    return [
        zeros(type_of(x).strong()) if ct is None else ct
        for x, ct in zip(inputs, found, strict=True)
    ]


def difference(function: Any, primals: Sequence[Any], tangents: Sequence[Any]) -> list[np.ndarray]:
    """The derivative of the inexact outputs along `tangents`, from values alone."""

    def at(step: float) -> list[np.ndarray]:
        moved = [
            x if t is None else x + np.asarray(step * t, x.dtype)
            for x, t in zip(primals, tangents, strict=True)
        ]
        outs = values(function(*arrays(moved)))
        return [y for y in outs if dtypes.is_inexact(y.dtype)]

    near, far = zip(at(H), at(-H), strict=True), zip(at(2 * H), at(-2 * H), strict=True)
    return [
        np.asarray((8 * (a - b) - (c - d)) / (12 * H), a.dtype)
        for (a, b), (c, d) in zip(near, far, strict=True)
    ]


def random_like(xs: Sequence[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Random numbers of the shapes and dtypes of the inexact ones of `xs`."""
    found = []
    for x in xs:
        if dtypes.is_inexact(x.dtype):
            y = rng.normal(size=x.shape)
            y = y + 1j * rng.normal(size=x.shape) if x.dtype.kind == "c" else y
            found.append(np.asarray(y).astype(x.dtype))
    return found


def pairing(xs: Sequence[np.ndarray], ys: Sequence[np.ndarray]) -> tuple[float, float]:
    """The real part of the sum of products, and the sum of their sizes."""
    total = size = 0.0
    for x, y in zip(xs, ys, strict=True):
        total += float(np.sum(x * y).real)
        size += float(np.sum(np.abs(x * y)))
    return total, size


def generator() -> np.random.Generator:
    """The same random numbers for each property."""
    return np.random.default_rng(20)


# ---- properties


def check_typing(example: Any, dtype: Any) -> None:
    """`typing` says the shape, dtype and weakness of what `eval` gives; no input is changed."""
    where, call = label(example, dtype), function_of(example, dtype)
    primitive, params = example.primitive, example.params(dtype)
    args = example.args(dtype)
    n = len(args)
    weak_choices = [(False,) * n]
    if "weak" not in example.skip:
        weak_choices += [(True,) * n, *(tuple(i == j for i in range(n)) for j in range(n))]
    for weak in dict.fromkeys(weak_choices):
        given = [HostArray(x, w) for x, w in zip(arrays_only(args), weak, strict=True)]
        types = primitive.typing(*[x.aval for x in given], **params)
        types = types if primitive.multiple_results else [types]
        outs = call(*given)
        assert len(outs) == len(types), (
            f"{where}: typing gives {len(types)} results, eval {len(outs)}"
        )
        for t, y in zip(types, outs, strict=True):
            assert isinstance(y._value, (np.ndarray, np.generic)), (
                f"{where}: eval gives {type(y._value)}"
            )
            got = (y._value.shape, y._value.dtype)
            assert got == (t.shape, t.dtype), f"{where}: typing says {t!r}, eval gives {got}"
            assert y.weak_type == t.weak_type, (
                f"{where}: typing says weak_type={t.weak_type}, eval gives {y.weak_type}, "
                f"for arguments with weak_type={weak}"
            )
            assert all(type(d) is int for d in t.shape), f"{where}: typing gives shape {t.shape!r}"
        for x, y in zip(args, given, strict=True):
            assert x.tobytes() == y._value.tobytes(), f"{where}: eval changes an argument"


def arrays_only(args: Sequence[np.ndarray]) -> list[Any]:
    """Copies that refuse to be written to."""
    return [a._value for a in arrays(args)]


def check_lower(example: Any, dtype: Any) -> None:
    """What `lower` says by other primitives is what `eval` gives."""
    primitive, params = example.primitive, example.params(dtype)
    if isinstance(type(primitive).lower, (type(CORE), Absent)):
        return
    args = arrays(example.args(dtype))
    out = primitive.lower(*args, **params)
    lowered = out if primitive.multiple_results else [out]
    tolerance = 8 * float(dtypes.finfo(dtype).eps) if dtypes.is_inexact(np.dtype(dtype)) else 0
    want = values(function_of(example, dtype)(*args))
    same(label(example, dtype), "lower against eval", values(lowered), want, tolerance)


PEER_TOLERANCE = {"float64": 1e-12, "complex128": 1e-12, "float32": 1e-5, "bfloat16": 2.0**-7}


def check_peer(cases: Sequence[tuple[Any, Any]]) -> None:
    """`eval` against JAX's primitive of the same name, for examples of one primitive."""
    calls = [(example.args(dtype), example.params(dtype)) for example, dtype in cases]
    wrong = []
    for (example, dtype), (args, _), want in zip(
        cases, calls, peer.call(cases[0][0].primitive.name, calls), strict=True
    ):
        got = values(function_of(example, dtype)(*arrays(args)))
        tolerance = PEER_TOLERANCE.get(np.dtype(dtype).name, 0) * example.scale
        try:
            same(label(example, dtype), "eval against JAX", got, want, tolerance)
        except AssertionError as problem:
            wrong.append(str(problem))
    assert not wrong, "\n".join(wrong)


def check_derivative_types(example: Any, dtype: Any) -> None:
    """A tangent has the type of its output, a cotangent that of its input; in every dtype."""
    where, call = label(example, dtype), function_of(example, dtype)
    args, rng = arrays(example.args(dtype)), generator()
    outs, tangents = forward.jvp(call, args, arrays(example.tangents(dtype, rng)))
    for y, t in zip(outs, tangents, strict=True):
        if t is not None:
            got, want = type_of(t).str_short(), type_of(y).tangent().str_short()
            assert got == want, f"{where}: the tangent of an output of type {want} is {got}"
    cts = arrays(random_like(values(outs), rng))
    inputs = [x for x in args if dtypes.is_inexact(x.dtype)]
    for x, ct in zip(inputs, pull(call, args, cts), strict=True):
        got, want = type_of(ct).str_short(), type_of(x).str_short()
        assert got == want, f"{where}: the cotangent of an input of type {want} is {got}"


def check_jvp(example: Any, dtype: Any) -> None:
    """The forward rule against central differences, along a random (complex) direction."""
    args, ts = example.args(dtype), example.tangents(dtype, generator())
    call = function_of(example, dtype)
    got = values(push(call, arrays(args), arrays(ts)))
    want = difference(call, args, ts)
    tolerance = DIFFERENCES * example.scale
    same(label(example, dtype), "jvp against finite differences", got, want, tolerance)


def check_partial_jvps(example: Any, dtype: Any) -> None:
    """The tangents for each argument alone add up to that for all: a None counts as zero."""
    args, ts = arrays(example.args(dtype)), arrays(example.tangents(dtype, generator()))
    call = function_of(example, dtype)
    want = values(push(call, args, ts))
    got = [np.zeros_like(w) for w in want]
    for i, t in enumerate(ts):
        if t is not None:
            alone = [t if i == j else None for j in range(len(ts))]
            got = [g + p for g, p in zip(got, values(push(call, args, alone)), strict=True)]
    if any(t is not None for t in ts):
        same(label(example, dtype), "sum of jvps of each argument", got, want, ROUNDING)


def check_vjp(example: Any, dtype: Any) -> None:
    """<ct, J t> = <J' ct, t>, in the real part and, by turning ct by i, in the imaginary part."""
    args, rng = example.args(dtype), generator()
    compare_vjp_with_jvp(
        label(example, dtype), function_of(example, dtype), args, example.tangents(dtype, rng), rng
    )


def compare_vjp_with_jvp(where: str, call: Any, args: Any, ts: Any, rng: Any) -> None:
    """`check_vjp` of any function. Cotangents are plain transposes, not conjugated."""
    xs = arrays(args)
    jt = values(push(call, xs, arrays(ts)))
    ct = random_like(jt, rng)
    known = [t for t in ts if t is not None]
    for part, turned in ("real", ct), ("imaginary", [_times_i(c) for c in ct]):
        back = values(pull(call, xs, arrays(turned)))
        a, size = pairing(turned, jt)
        b, size_b = pairing(back, known)
        off = abs(a - b)
        assert off <= ROUNDING * max(1.0, size, size_b) or (np.isnan(a) and np.isnan(b)), (
            f"{where}: vjp against jvp, {part} part: <ct, J t> = {a!r}, <J' ct, t> = {b!r}"
        )
        if not any(c.dtype.kind == "c" for c in ct):
            return


def _times_i(ct: np.ndarray) -> np.ndarray:
    return np.asarray(1j * ct) if ct.dtype.kind == "c" else ct


def check_push(example: Any, dtype: Any) -> None:
    """The tape run forward gives what the forward rules give."""
    call, args = function_of(example, dtype), arrays(example.args(dtype))
    ts = arrays(example.tangents(dtype, generator()))
    wrt = [t is not None for t in ts]
    outs, tape, places = reverse.linearize(call, args, wrt)
    found = tape.push(places, [t for t in ts if t is not None])
    got = [
        zeros(type_of(y).strong()) if t is None else t
        for y, t in zip(outs, found, strict=True)
        if dtypes.is_inexact(y.dtype)
    ]
    where = label(example, dtype)
    want = values(push(call, args, ts))
    same(where, "tape forward against jvp", values(got), want, ROUNDING)


def check_transpose_twice(example: Any, dtype: Any) -> None:
    """The transpose of the transpose is the operation itself."""
    call, args = function_of(example, dtype), arrays(example.args(dtype))
    for group in example.linear_in:

        def linear(*xs: Any, group: Any = group) -> list[Any]:
            given = dict(zip(group, xs, strict=True))
            return call(*[given.get(i, a) for i, a in enumerate(args)])

        inputs = [args[i] for i in group]
        want = linear(*inputs)

        def transposed(*cts: Any, linear: Any = linear, inputs: Any = inputs) -> list[Any]:
            return pull(linear, inputs, cts)

        again = pull(transposed, want, inputs)
        where = f"{label(example, dtype)}, arguments {group}"
        same(where, "transpose of transpose", values(again), values(want), ROUNDING)


def check_second_order(example: Any, dtype: Any) -> None:
    """Derivatives of the forward and of the reverse rule against differences of these rules."""
    where, call = label(example, dtype), function_of(example, dtype)
    args, rng = example.args(dtype), generator()
    t0, t1 = example.tangents(dtype, rng), example.tangents(dtype, rng)
    cts = arrays(random_like(values(call(*arrays(args))), rng))

    def forward_once(*xs: Any) -> list[Any]:
        return push(call, xs, arrays(t0))

    def reverse_once(*xs: Any) -> list[Any]:
        return pull(call, xs, cts)

    tolerance = DIFFERENCES * example.scale
    for name, once in ("jvp of jvp", forward_once), ("jvp of vjp", reverse_once):
        got, want = values(push(once, arrays(args), arrays(t1))), difference(once, args, t1)
        same(where, f"{name} against finite differences", got, want, tolerance)
    compare_vjp_with_jvp(f"{where}: vjp of vjp", reverse_once, args, t1, rng)
    compare_vjp_with_jvp(f"{where}: vjp of jvp", forward_once, args, t1, rng)


# ---- vmap


def check_vmap(example: Any, dtype: Any) -> None:
    """vmap against a loop: every axis of every argument, together and alone; 3, 1 and 0 times."""
    where, call = label(example, dtype), function_of(example, dtype)
    first = example.args(dtype)
    for size in (3, 1, 0):
        drawn = batches(example, dtype, max(size, 1))
        for axes in axis_choices([x.ndim for x in first], size):
            stacked = [
                first[i] if axis is None else np.stack([d[i] for d in drawn], axis)
                for i, axis in enumerate(axes)
            ]
            if size == 0:
                stacked = [
                    x if axis is None else np.take(x, [], axis)
                    for x, axis in zip(stacked, axes, strict=True)
                ]
            each = [
                [first[i] if axis is None else d[i] for i, axis in enumerate(axes)] for d in drawn
            ]
            looped = [np.stack(ys)[:size] for ys in zip(*[values(call(*arrays(e))) for e in each])]
            got = map_over(call, size, arrays(stacked), axes)
            what = f"vmap {size} times over axes {axes} against a loop"
            same(where, what, got, looped, ROUNDING)


def map_over(call: Any, size: int, args: Sequence[Any], axes: Any) -> list[np.ndarray]:
    """vmap, the mapped axis of each result in front."""
    outs, out_axes = batch.vmap(call, size, args, axes)
    return [
        np.moveaxis(y, d, 0) if d is not None else np.repeat(y[None], size, 0)
        for y, d in zip(values(outs), out_axes, strict=True)
    ]


def axis_choices(ranks: Sequence[int], size: int) -> list[tuple[int | None, ...]]:
    """Which axis of each argument is mapped (None: not mapped)."""
    n = len(ranks)
    deepest = max(ranks, default=0)
    together = [tuple(min(p, r) for r in ranks) for p in range(deepest + 1)]
    opposed = [tuple(r if i % 2 else 0 for i, r in enumerate(ranks))]
    if size != 3:
        return list(dict.fromkeys(together[:1] + opposed))
    alone = [
        tuple(p if i == j else None for i in range(n))
        for j in range(n)
        for p in range(ranks[j] + 1)
    ]
    but_one = [tuple(None if i == j else 0 for i in range(n)) for j in range(n) if n > 2]
    return list(dict.fromkeys(together + opposed + alone + but_one))


def batches(example: Any, dtype: Any, size: int) -> list[list[np.ndarray]]:
    """Different arguments for each element; explicit arrays of floats are rolled."""
    found = []
    for i in range(size):
        args = example.args(dtype, np.random.default_rng(100 + i))
        for j, spec in enumerate(example.specs):
            if not hasattr(spec, "make") and args[j].dtype.kind in "fc":
                args[j] = np.roll(args[j], i)
        found.append(args)
    return found


# ---- recording


def check_recording(example: Any, dtype: Any) -> None:
    """Programs recorded of the call, its jvp, vjp and vmap are typed, and mean what they did."""
    where, call = label(example, dtype), function_of(example, dtype)
    xs, rng = arrays(example.args(dtype)), generator()
    compare_recorded(where, "the call", call, xs)
    if "vmap" not in example.skip and xs:
        stacked = arrays([np.stack([x._value] * 2) for x in xs])
        compare_recorded(where, "vmap", functools.partial(mapped_in_front, call), stacked)
    if example.order and any(dtypes.is_inexact(x.dtype) for x in xs):
        ts = arrays(example.tangents(dtype, rng))
        cts = arrays(random_like(values(call(*xs)), rng))
        compare_recorded(where, "jvp", lambda *xs: push(call, xs, ts), xs)
        if "staged vjp" not in example.skip:
            compare_recorded(where, "vjp", lambda *xs: pull(call, xs, cts), xs)


def compare_recorded(where: str, what: str, function: Any, args: Sequence[Any]) -> None:
    """Record `function`, check the program's types, run it, compare with `function` itself."""
    closed = trace_program(function, [x.aval for x in args])
    check_program(closed.program)
    got, want = run_closed(closed, args), function(*args)
    for have, t in zip(got, closed.program.out_avals, strict=True):
        said = type_of(have)
        assert said == t, f"{where}: the program of {what} says {t!r}, running it gives {said!r}"
    same(where, f"recorded {what}, run", values(got), values(want), ROUNDING)


# ---- jit


def check_jit(example: Any, dtype: Any) -> None:
    """jit of the call, of its derivatives and its vmap, and these of jit of the call."""
    where, call = label(example, dtype), function_of(example, dtype)
    xs, rng = arrays(example.args(dtype)), generator()
    compare_jitted(where, "the call", call, xs)
    if "vmap" not in example.skip and xs:
        stacked = arrays([np.stack([x._value] * 2) for x in xs])
        compare_transformed(
            where, "vmap", lambda f: functools.partial(mapped_in_front, f), call, stacked
        )
    if example.order and any(dtypes.is_inexact(x.dtype) for x in xs):
        ts = arrays(example.tangents(dtype, rng))
        cts = arrays(random_like(values(call(*xs)), rng))
        compare_transformed(where, "jvp", lambda f: lambda *xs: push(f, xs, ts), call, xs)
        if "staged vjp" not in example.skip:
            compare_transformed(where, "vjp", lambda f: lambda *xs: pull(f, xs, cts), call, xs)


def compare_transformed(where: str, what: str, transform: Any, function: Any, xs: Any) -> None:
    """transform(jit(f)) and jit(transform(f)) against transform(f)."""
    want = transform(function)(*xs)
    for name, made in (
        (f"{what} of jit", transform(pullback.jit(function))),
        (f"jit of {what}", pullback.jit(transform(function))),
    ):
        same_compiled(where, name, values(made(*xs)), values(want))


def compare_jitted(where: str, what: str, function: Any, xs: Sequence[Any]) -> None:
    """The compiled function against the function: values, types and weakness; twice."""
    jitted, want = pullback.jit(function), function(*xs)
    for _ in range(2):
        got = jitted(*xs)
        same_compiled(where, f"jit of {what}", values(got), values(want))
        weak, want_weak = [y.weak_type for y in got], [y.weak_type for y in want]
        assert weak == want_weak, f"{where}: jit of {what}: weak {weak} instead of {want_weak}"


def mapped_in_front(function: Any, *args: Any) -> list[Any]:
    """vmap over the first axes, with the axis of each result that has one in front."""
    outs, axes = batch.vmap(function, args[0].shape[0], args, [0] * len(args))
    return [move_axis(y, d, 0) for y, d in zip(outs, axes, strict=True) if d is not None]


PROPERTIES = {
    "typing": check_typing,
    "lower": check_lower,
    "derivative_types": check_derivative_types,
    "jvp": check_jvp,
    "partial_jvps": check_partial_jvps,
    "vjp": check_vjp,
    "push": check_push,
    "transpose_twice": check_transpose_twice,
    "second_order": check_second_order,
    "vmap": check_vmap,
    "recording": check_recording,
    "jit": check_jit,
}
