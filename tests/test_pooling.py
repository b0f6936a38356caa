"""Reductions over windows and by any function, against loops, SciPy and JAX."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import peer
import pytest
import scipy.ndimage

import pullback as pb
import pullback.numpy as jnp
from pullback import lax
from pullback.ops import pooling
from pullback.test_util import check_grads
from pullback.tree import flatten

if peer.INSTALLED:
    import jax

rng = np.random.default_rng(5)


# ---- every parameter, by a loop


def random_windows(seed):
    """An array and the parameters of windows in it."""
    draw = np.random.default_rng(seed)

    def ints(low, high, count):
        return tuple(int(v) for v in draw.integers(low, high, count))

    n = int(draw.integers(0, 4))
    length = ints(1, 9 if n == 1 else 5, n)
    many = n == 1 and seed % 2
    size = ints(1, 14 if many else 4, n)
    strides, base, apart = (ints(1, 3, n) if draw.random() < 0.5 else (1,) * n for _ in range(3))
    padding = tuple(zip(ints(-2, 9 if many else 4, n), ints(-2, 9 if many else 4, n)))
    padding = tuple(
        p if (m - 1) * b + 1 + sum(p) >= 0 else (0, 0) for p, m, b in zip(padding, length, base)
    )
    return draw.normal(size=length), {
        "window_dimensions": size,
        "window_strides": strides,
        "padding": padding,
        "base_dilation": base,
        "window_dilation": apart,
    }


def loop(x, function, start, windows):
    """`function` of the list of places and of the elements of each window."""
    spread = [(m - 1) * b + 1 for m, b in zip(x.shape, windows["base_dilation"])]
    out = []
    for n, k, s, (low, high), d in zip(
        spread,
        *(
            windows[w]
            for w in ("window_dimensions", "window_strides", "padding", "window_dilation")
        ),
    ):
        out.append(max(0, (n + low + high - (k - 1) * d - 1) // s + 1))
    found = np.full(out, start)
    for at in np.ndindex(*out):
        places = []
        for tap in np.ndindex(*windows["window_dimensions"]):
            place = [
                y * s + t * d - low
                for y, t, s, d, (low, _) in zip(
                    at,
                    tap,
                    windows["window_strides"],
                    windows["window_dilation"],
                    windows["padding"],
                )
            ]
            base = windows["base_dilation"]
            if all(p % b == 0 and 0 <= p < m for p, b, m in zip(place, base, spread)):
                places.append(tuple(p // b for p, b in zip(place, base)))
        if places:
            found[at] = function(places, [x[p] for p in places])
    return found


@pytest.mark.parametrize("few", [32, 0])
def test_windows_are_those_of_a_loop(few, monkeypatch):
    monkeypatch.setattr(pooling, "_FEW", few)
    for seed in range(200):
        x, windows = random_windows(seed)
        say = f"seed {seed}"
        got = pooling.reduce_window_sum.eval(x, **windows)
        np.testing.assert_allclose(
            got, loop(x, lambda _, v: sum(v), 0.0, windows), 1e-12, 1e-12, err_msg=say
        )
        for op, function, start, largest in (
            (pooling.reduce_window_max, max, -np.inf, True),
            (pooling.reduce_window_min, min, np.inf, False),
        ):
            want = loop(x, lambda _, v, f=function: f(v), start, windows)
            np.testing.assert_array_equal(op.eval(x, **windows), want, err_msg=say)

            def first(places, values, shape=x.shape, f=function):
                return np.ravel_multi_index(places[values.index(f(values))], shape) if shape else 0

            best = loop(x, first, -1, windows)
            np.testing.assert_array_equal(pooling.chosen(x, largest, **windows), best, err_msg=say)


def test_general_windows_are_those_of_a_loop():
    """A function that is associative but not commutative: the order of elements is kept."""
    for seed in range(30):
        x, windows = random_windows(seed)
        windows = {**windows, "base_dilation": (1,) * x.ndim}
        pair = (jnp.asarray(x), jnp.zeros(x.shape))

        def affine(f, g):  # first f, then g, as (a, b): t -> a t + b
            return f[0] * g[0], f[1] * g[0] + g[1]

        got = lax.reduce_window((pair[0], pair[0] + 1), (1.0, 0.0), affine, **windows)

        def fold(_, values):
            a, b = functools.reduce(affine, [(v, v + 1) for v in values])
            return a + 1j * b

        want = loop(np.float32(x), fold, 1 + 0j, windows)
        np.testing.assert_allclose(np.asarray(got[0]), want.real, 1e-3, 1e-3)
        np.testing.assert_allclose(np.asarray(got[1]), want.imag, 1e-3, 1e-3)


def test_maxima_are_those_of_scipy():
    x = rng.normal(size=(40, 30)).astype(np.float32)
    got = lax.reduce_window(x, -np.inf, lax.max, (9, 8), None, [(4, 4), (4, 3)])
    want = scipy.ndimage.maximum_filter(x, (9, 8), mode="constant", cval=-np.inf)
    np.testing.assert_array_equal(np.asarray(got), want)


def test_sums_of_half_width_floats_are_in_float32():
    ones = np.ones(4096, np.float16)
    assert lax.reduce_window(ones, 0.0, lax.add, (4096,))[0] == 4096


# ---- derivatives

WINDOWS = [
    ((1, 2, 2, 1), (1, 2, 2, 1), "SAME"),
    ((1, 3, 2, 1), (1, 1, 2, 1), "SAME_LOWER"),
    ((1, 2, 2, 1), (1, 1, 1, 1), "VALID"),
    ((1, 4, 3, 1), (1, 3, 2, 1), [(0, 0), (1, 2), (2, 0), (0, 0)]),
]


@pytest.mark.parametrize("windows", WINDOWS, ids=str)
@pytest.mark.parametrize(
    ("start", "function"), [(0.0, "add"), (-np.inf, "max"), (np.inf, "min"), (1.0, "mul")]
)
def test_derivatives(start, function, windows):
    x = rng.permutation(2 * 4 * 3 * 1).reshape(2, 4, 3, 1) / 7.0
    with pb.enable_x64():

        def pooled(x):
            return lax.reduce_window(x**2, start, getattr(lax, function), *windows)

        check_grads(pooled, (x,), 2)
        each = jnp.stack([pooled(x[i : i + 1]) for i in range(2)])
        np.testing.assert_allclose(pb.vmap(lambda y: pooled(y[None]))(jnp.asarray(x)), each)
        np.testing.assert_allclose(pb.jit(pooled)(x), pooled(x))


def test_derivatives_of_general_windows():
    x = rng.uniform(0.5, 2.0, (5,))
    with pb.enable_x64():
        smooth = lambda x: lax.reduce_window(  # noqa: E731
            x, -jnp.inf, lambda a, b: jnp.logaddexp(a, b), (3,), (1,), "SAME"
        )
        check_grads(smooth, (x,), 2)
        want = np.log([sum(np.exp(x[max(0, i - 1) : i + 2])) for i in range(5)])
        np.testing.assert_allclose(smooth(x), want)

        def scaled(scale, x):  # closes over a traced value
            return lax.reduce_window(x, 1.0, lambda a, b: a * b * scale / scale, (2,)).sum()

        check_grads(scaled, (2.0, x), 2)
        check_grads(pb.jit(scaled), (2.0, x), 1)


def test_ties_and_nan():
    """The first of those that tie has the derivative; padding never has it."""

    def f(x):
        return lax.reduce_window(x, -jnp.inf, lax.max, (2,), (1,), [(1, 1)])

    x = jnp.array([1.0, 1.0, jnp.nan, 2.0, -jnp.inf, -jnp.inf])
    want = np.zeros((7, 6))
    want[range(7), [0, 0, 2, 2, 3, 4, 5]] = 1
    np.testing.assert_array_equal(pb.jacrev(f)(x), want)
    np.testing.assert_array_equal(pb.jacfwd(f)(x), want)


def test_programs_have_the_names_of_jax():
    x = jnp.ones((4, 4))

    def text(f):
        return str(pb.make_jaxpr(f)(x))

    sums = text(lambda x: lax.reduce_window(x, 0.0, lax.add, (2, 2), (2, 2), "VALID"))
    assert "reduce_window_sum[" in sums and "window_strides=(2, 2)" in sums
    maxima = lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (2, 2)).sum()  # noqa: E731
    assert "reduce_window_max[" in text(maxima)
    back = text(pb.grad(maxima))
    assert "select_and_scatter_add[" in back and "dilation" not in back.split("select_and")[1]
    assert "reduce_window[" in text(lambda x: lax.reduce_window(x, 1.0, lax.mul, (2, 2)))
    assert "reduce[" in text(lambda x: lax.reduce(x, 1.0, lambda a, b: a * b + a * 0, (0,)))


def test_reduce_by_any_function():
    x = rng.uniform(0.5, 2.0, (3, 4, 2))
    with pb.enable_x64():

        def f(x, y):
            def step(a, b):
                return a[0] * b[0], a[1] * b[0] + b[1]

            return lax.reduce((x, y), (1.0, 0.0), step, (1,))

        check_grads(f, (x, x[::-1].copy()), 2)
        got = f(x, x)
        want = functools.reduce(
            lambda a, b: (a[0] * b[0], a[1] * b[0] + b[1]),
            [(x[:, i], x[:, i]) for i in range(4)],
            (np.ones((3, 2)), np.zeros((3, 2))),
        )
        for _ in range(3):  # the third time by a compiled program
            np.testing.assert_allclose(got[0], want[0])
            np.testing.assert_allclose(got[1], want[1])
            got = pb.jit(f)(x, x)
        mapped = pb.vmap(lambda a: lax.reduce(a, 1.0, lambda p, q: p * q + 0 * p, (0,)))(
            jnp.asarray(x)
        )
        np.testing.assert_allclose(mapped, x.prod(1))


# ---- what JAX gives

VALUES = {
    "x": rng.normal(size=(4, 6)).astype(np.float32),
    "i": rng.integers(-5, 6, (4, 6)).astype(np.int32),
    "h": rng.normal(size=(4, 6)).astype(np.float16),
    "c": (rng.normal(size=(4, 6)) + 1j * rng.normal(size=(4, 6))).astype(np.complex64),
    "b": rng.random((4, 6)) < 0.3,
    "line": np.float32([1, 1, np.nan, 2, 3]),
}

EXPRESSIONS = """
lax.reduce_window(x, 0.0, lax.add, (2, 3))
lax.reduce_window(x, 0.0, lax.add, (2, 3), (2, 1), "SAME")
lax.reduce_window(x, 0.0, lax.add, (2, 3), (2, 1), "SAME_LOWER", None, (2, 1))
lax.reduce_window(x, 0.0, lax.add, (2, 3), (1, 2), [(1, 0), (-1, 2)], (2, 1), (1, 2))
lax.reduce_window(x, 0.0, lax.add, (9, 2))
lax.reduce_window(x, 0, lax.add, (2, 2))
lax.reduce_window(x, 1.0, lax.mul, (2, 2), (2, 2))
lax.reduce_window(x, -jnp.inf, lax.max, (2, 2), (2, 2), "SAME")
lax.reduce_window(x, 0.5, lax.max, (2, 2), (2, 2), [(1, 1), (1, 1)])
lax.reduce_window(x, jnp.inf, lax.min, (2, 2), (1, 3), [(2, 0), (0, 0)])
lax.reduce_window(x, 0.0, lambda a, b: a + b, (2, 2))
lax.reduce_window(i, 0, lax.add, (2, 2))
lax.reduce_window(i, 0.0, lax.add, (2, 2))
lax.reduce_window(i, 1.0, lax.add, (2, 2))
lax.reduce_window(i, -(2**31), lax.max, (2, 2))
lax.reduce_window(i, 0, lax.bitwise_or, (2, 2))
lax.reduce_window(b, False, lax.bitwise_or, (2, 2))
lax.reduce_window(b, False, lax.max, (2, 2))
lax.reduce_window(b, False, lax.add, (2, 2))
lax.reduce_window(h, 0.0, lax.add, (2, 2))
lax.reduce_window(h, -jnp.inf, lax.max, (2, 2))
lax.reduce_window(c, 0.0, lax.add, (2, 2))
lax.reduce_window(line, -jnp.inf, lax.max, (2,), (1,), "SAME")
lax.reduce_window(x, 0.0, lax.add, (2,))
lax.reduce_window(x, 0.0, lax.add, (2, 2), (1,))
lax.reduce_window(x, 0.0, lax.add, (2, 2), (0, 1))
lax.reduce_window(x, 0.0, lax.add, (0, 2), (1, 1))
lax.reduce_window(x, 0.0, lax.add, (2, 2), (1, 1), [(0, 0)])
lax.reduce_window(x, 0.0, lax.add, (2, 2), (1, 1), "FULL")
lax.reduce_window((x, x), (0.0, 1.0), lambda a, b: (a[0] + b[0], a[1] * b[1]), (2, 2))
lax.reduce_window((x, x), 0.0, lambda a, b: (a[0] + b[0], a[1] * b[1]), (2, 2))
lax.reduce_window((x, x), (0.0, 0.0), lambda a, b: a[0], (2, 2))
lax.reduce_window((), (), lambda a, b: a, (2, 2))
lax.reduce_window(x, jnp.zeros(2), lambda a, b: a + b, (2, 2))
lax.reduce_window_shape_tuple((4, 6), (2, 2), (1, 2), [(0, 0), (1, 1)], (2, 1), None)
jax.grad(lambda x: (lax.reduce_window(x, -jnp.inf, lax.max, (2, 2), (1, 2), "SAME") ** 2).sum())(x)
jax.grad(lambda x: (lax.reduce_window(x, jnp.inf, lax.min, (2, 3), (2, 1), "VALID") ** 2).sum())(x)
jax.grad(lambda x: (lax.reduce_window(x, 0.0, lax.add, (2, 3), (2, 1), "SAME") ** 2).sum())(x)
lax.reduce(x, 1.0, lambda a, b: lax.mul(a, b) + 0 * a, (0, 1))
lax.reduce((x, i), (0.0, 1), lambda a, b: (a[0] + b[0], a[1] * b[1]), (1,))
""".strip().splitlines()


def outcome(text, module, lax):
    values = {k: module.numpy.asarray(v) for k, v in VALUES.items()}
    try:
        with warnings.catch_warnings(action="ignore"):
            return eval(text, {"lax": lax, "jnp": module.numpy, "jax": module, **values})
    except (TypeError, ValueError, RuntimeError) as problem:
        return problem


@pytest.mark.skipif(not peer.INSTALLED, reason="JAX is not installed")
@pytest.mark.parametrize("text", EXPRESSIONS)
def test_expression_gives_what_jax_gives(text):
    ours, theirs = outcome(text, pb, lax), outcome(text, jax, jax.lax)
    if isinstance(theirs, Exception):
        assert isinstance(ours, type(theirs)), ours
        assert "\n  Got: " in str(ours) and "\n  Fix: " in str(ours)
        return
    assert not isinstance(ours, Exception), ours
    mine, yours = flatten(ours)[0], jax.tree.leaves(theirs)
    assert len(mine) == len(yours)
    for a, b in zip(mine, yours, strict=True):
        if isinstance(b, int):
            assert a == b
            continue
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        tolerance = 2e-3 if a.dtype == np.float16 else 1e-5
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), tolerance, tolerance)


def test_messages():
    with pytest.raises(TypeError) as raised:
        lax.reduce_window(jnp.ones((4, 4)), 0.0, lax.add, (2,))
    assert str(raised.value).startswith(
        "reduce_window_sum needs one positive integer for each axis as window_dimensions.\n"
        "  Got: window_dimensions=(2,) for shape (4, 4)\n"
    )
