"""Padding of what is computed from positions, which is chosen and not stored."""

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import lax
from pullback.core.settings import enable_x64

DTYPES = ["f4", "f8", "f2", "i1", "i4", "u8", "c8", "?"]
PADDINGS = [
    ((1, 1), (0, 0)), ((0, 0), (3, 2)), ((2, 0), (0, 5)), ((-1, 1), (2, -3)), ((-2, -1), (-4, 0)),
    ((5, 7), (40, 1)), ((0, 0), (0, 0)), ((-9, 9), (17, -17)), ((-11, 60), (0, 0)),
]  # fmt: skip


@pytest.fixture(autouse=True)
def wide():
    before = pullback.config.pullback_threads
    with enable_x64(True):
        yield
    pullback.config.update("pullback_threads", before)


def agree(function, *args, ulps=0):
    """Native, watched and with 1 and 2 threads, gives what the NumPy engine gives."""
    wanted = pullback.tree.leaves(pullback.jit(function, engine="numpy")(*args))
    found = []
    for threads in (1, 2):
        pullback.config.update("pullback_threads", threads)
        found.append(pullback.tree.leaves(pullback.jit(function, engine="native")(*args)))
    found.append(pullback.tree.leaves(pullback.jit(function, engine="checked")(*args)))
    for leaves in found:
        for mine, theirs in zip(leaves, wanted, strict=True):
            mine, theirs = np.asarray(mine), np.asarray(theirs)
            assert mine.dtype == theirs.dtype
            if ulps:
                np.testing.assert_array_max_ulp(mine, theirs, ulps)
            else:
                np.testing.assert_array_equal(mine, theirs)


def loops(function, *args):
    """What the kernel does, one line for each loop."""
    return str(pullback.jit(function, engine="native").explain(*args)).splitlines()[1:-1]


def eye(k, n, m, dtype):
    """Ones on a diagonal. (Positions of few elements are constants of the program.)"""
    rows, columns = (lax.broadcasted_iota(np.int32, (n, m), d) for d in (0, 1))
    return (rows + k == columns).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("padding", PADDINGS)
def test_positions(padding, dtype):
    config = [(*p, 0) for p in padding]

    def function(filler, k):
        x = eye(k, 11, 400, dtype)
        y = lax.broadcasted_iota(np.int32, (11, 400), 1) + k
        return lax.pad(x, filler, config), lax.pad(y.astype(dtype), filler, config)

    given = jnp.asarray(np.array(7).astype(dtype)), np.int32(2)
    agree(function, *given)
    assert len(loops(function, *given)) <= 2


@pytest.mark.parametrize("n", [70, 300])
@pytest.mark.parametrize("padding", [(1, 1), (0, 3), (-1, 2), (-2, -2)])
def test_what_is_small_beside_the_result_is_padded_itself(padding, n):
    """Infinities and NaN of the array are where they belong, and nowhere else."""

    def function(x):
        scaled = jnp.eye(n, dtype=x.dtype) * x[None, :] + jnp.exp(x)[:, None]
        return lax.pad(scaled, jnp.float32(jnp.nan), ((0, 0, 0), (*padding, 0)))

    x = np.random.default_rng(0).random(n).astype("f4")
    x[[3, 5, n - 1]] = np.inf, np.nan, -np.inf
    agree(function, jnp.asarray(x), ulps=2)


def test_of_padding_of_padding_each_part_has_its_filler():
    def function(k):
        x = lax.pad(eye(k, 300, 300, "f4"), jnp.float32(2), ((1, 0, 0), (0, 3, 0)))
        x = lax.pad(x, jnp.float32(3), ((-1, 4, 0), (2, -1, 0)))
        return lax.pad(x, jnp.float32(5), ((3, 0, 0), (1, 1, 0)))[1:, 2:].T

    agree(function, np.int32(1))
    assert len(loops(function, np.int32(1))) == 1


def test_gaps_are_written():
    def function(k):
        return lax.pad(eye(k, 40, 140, "f8"), 2.0, ((1, 0, 1), (0, 3, 2)))

    agree(function, np.int32(-1))


def stencil(x):
    y = jnp.pad(jnp.sin(x), (1, 1))
    return y[:-2] - 2 * x + y[2:] * x + x**3


def neighbours(x):
    return x[1:-1] ** 2 - jnp.sin(x[:-2]) * x[2:]


@pytest.mark.parametrize("transform", [pullback.jacfwd, pullback.jacrev])
@pytest.mark.parametrize("function", [stencil, neighbours])
@pytest.mark.parametrize("n", [35, 70, 300])
def test_jacobians(n, function, transform):
    x = np.random.default_rng(1).standard_normal(n)
    agree(transform(function), jnp.asarray(x), ulps=4)


@pytest.mark.parametrize("transform", [pullback.jacfwd, pullback.jacrev])
@pytest.mark.parametrize("function", [stencil, neighbours])
def test_large_jacobians_are_one_loop(function, transform):
    n = 1000
    found = loops(transform(function), jnp.zeros(n))
    assert sum(f"{n}x{n}" in line or f"{n - 2}x{n}" in line for line in found) == 1


def test_an_infinite_derivative_spoils_its_column():
    """As in what the engine is asked to compute: infinity times the zeros of the identity."""
    x = np.linspace(-1, 1, 300)
    x[150] = np.inf
    agree(pullback.jacfwd(lambda x: jnp.pad(x**2, 1)[2:] + x**3), jnp.asarray(x))


def test_counting_from_another_number():
    """Slices of positions are positions; small integers wrap as they do in memory."""

    def function(k):
        x = lax.broadcasted_iota(np.int8, (300, 70), 0) + k.astype(np.int8)
        y = lax.broadcasted_iota(np.float32, (300, 70), 1) + k
        return x[150:, 3:] + x[:150, 3:], y[5:9, 33:] * 2, (y[2:, 1:] != y[2:, :-1])[::3]

    agree(function, np.float32(0))


def test_sorting_positions_that_do_not_begin_with_0():
    x = np.random.default_rng(2).integers(0, 9, 99).astype("i4")

    def function(x):
        return lax.sort([x, jnp.arange(100, dtype="i4")[1:]], num_keys=1)

    agree(function, jnp.asarray(x))


# ---- windows replaced


@pytest.mark.parametrize("at", [(0, 0), (299, 7), (1000, 1000), (3, 293)])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (4, 7), (300, 1)])
def test_windows_of_what_is_computed(size, at):
    def function(k, x):
        values = eye(k, 300, 300, "f4") * 2 + x[:, None]
        filled = lax.dynamic_update_slice(values, jnp.full(size, jnp.nan, "f4"), at)
        window = jnp.exp(x[: size[0], None]) + x[None, : size[1]]
        return filled, lax.dynamic_update_slice(values, window, at).T

    x = np.random.default_rng(3).random(300).astype("f4")
    agree(function, np.int32(-5), jnp.asarray(x), ulps=2)


@pytest.mark.parametrize("transform", [pullback.jacfwd, pullback.jacrev])
def test_jacobians_of_updates(transform):
    def function(x):
        y = (x**2).at[0].set(1.0).at[-1].set(x[1])
        return y.at[5:9].set(jnp.sin(x[:4])).at[7].multiply(x[0])

    x = np.random.default_rng(4).random(400)
    agree(transform(function), jnp.asarray(x), ulps=4)


def test_a_boundary_costs_no_memory():
    def function(x):
        return (x**2).at[0].set(1.0).at[-1].set(0.0)

    assert len(loops(pullback.jacfwd(function), jnp.zeros(1000))) == 1


@pytest.mark.parametrize("shape", [(9, 41), (300, 7), (3, 4, 50)])
def test_repeated_elements_are_written_once(shape):
    x = jnp.asarray(np.random.default_rng(5).random(shape))

    def function(x):
        return jnp.repeat(x, 3, axis=-1), jnp.repeat(x * 2, 4, axis=0)

    agree(function, x)
    assert len(loops(lambda x: jnp.repeat(x, 3, axis=-1), x)) == 1


JOINED = {
    "a number before": lambda e, x: jnp.concatenate([jnp.zeros((70, 3), e.dtype), e], 1),
    "a number after": lambda e, x: jnp.concatenate([e, jnp.ones((2, 50), e.dtype)], 0),
    "both": lambda e, x: jnp.concatenate([x[:1], e * e, x[:1]], 0),
    "a row of the program's": lambda e, x: jnp.concatenate([x[1:2], e, jnp.zeros_like(x[:1])], 0),
    "a column": lambda e, x: jnp.concatenate([jnp.tile(x[0, :1], (70, 1)), e], 1),
    "nothing": lambda e, x: jnp.concatenate([e[:, :0], e, e[:, :0]], 1),
    "two of them": lambda e, x: jnp.concatenate([e, e + 1], 1),
    "much": lambda e, x: jnp.concatenate([e, x], 0),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", JOINED)
def test_joined(name, dtype):
    x = np.arange(100.0).reshape(2, 50).astype(dtype)

    def function(x, k):
        return JOINED[name](eye(k, 70, 50, x.dtype), x)

    agree(function, x, np.int32(2))


def test_a_tridiagonal_jacobian_is_one_loop():
    def f(x):
        left, right = jnp.append(0.0, x[:-1]), jnp.append(x[1:], 0.0)
        return (3 - 2 * x) * x - left - 2 * right

    x = np.linspace(-1, 1, 200)
    (only,) = loops(pullback.jacfwd(f), x)
    assert only.startswith("loop over 200x200") and only.endswith("1 array stored")
    agree(pullback.jacfwd(f), x, ulps=1)
    want = np.diag(3 - 4 * x) - np.eye(200, k=-1) - 2 * np.eye(200, k=1)
    np.testing.assert_allclose(pullback.jit(pullback.jacfwd(f))(x), want, rtol=1e-14)
