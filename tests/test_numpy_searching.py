"""Sorting, searching, taking, choosing, sets, positions, signals and polynomials."""

from __future__ import annotations

import numpy as np
import peer
import pytest
from calls import Call, check, check_types_of_jax, check_values_of_jax, message

import pullback
import pullback.numpy as jnp

rng = np.random.default_rng(0)
F = rng.normal(size=(3, 4)).astype("f4")
V = rng.normal(size=7).astype("f4")
T3 = rng.normal(size=(2, 3, 4)).astype("f4")
I = rng.integers(-3, 4, (3, 4)).astype("i4")  # noqa: E741
U8 = np.abs(I).astype("u1")
B = rng.random((3, 4)) < 0.5
C = (I + 1j * rng.integers(-1, 2, I.shape)).astype("c8")
NANS = F.copy()
NANS[0, 1] = NANS[2, 3] = np.nan
CALLS: list[Call] = []


def add(*args, **options):
    CALLS.append(Call(*args, **options))


def only_numpy(*args, **options):
    """A call whose result's shape depends on values: neither traced nor mapped."""
    CALLS.append(Call(*args, _jax=False, _vmap=False, **options))


# ---- in order


def stable(x, **options):
    return np.argsort(x, kind="stable", **options)


def backwards(x, axis=-1, **_):
    return np.flip(np.sort(x, axis), axis)


for x in (F, I, U8, B, NANS, T3):
    add("sort", x)
    add("sort", x, axis=0)
    add("sort", x, axis=None)
    add("sort", x, descending=True, _numpy=backwards)
    add("argsort", x, _numpy=stable)
    add("argsort", x, axis=0, _numpy=stable)
    add("argsort", x, axis=None, descending=True, _numpy=False)
    add("partition", x, 1, _numpy=lambda x, k: np.sort(x))
    add("argpartition", x, 1, _numpy=lambda x, k: stable(x))
CALLS = [c for c in CALLS if "partition" not in c.name or c.leaves()[0].dtype != bool]  # as in JAX
add("argsort", F, descending=True, stable=False, _numpy=lambda x, **_: np.argsort(-x))
add("sort", C)
add("sort_complex", F)
add("sort_complex", C)
add("sort_complex", I, _numpy=lambda x: np.sort_complex(x.astype("f4")))
add("lexsort", (I, U8))
add("lexsort", (I, U8), axis=0)
add("lexsort", (I[0], F[0]))
add("lexsort", I)

SORTED = np.sort(V)
WANTED = np.array([-5, 0, 0.3, 9, SORTED[2], np.nan], "f4")
for side in ("left", "right"):
    add("searchsorted", SORTED, WANTED, side=side)
    add("searchsorted", SORTED, F, side)
    add("searchsorted", np.array([1, 2, 2, 3]), np.array([2, 0, 4]), side)
    add("searchsorted", SORTED, 0.5, side)
    add("searchsorted", V, WANTED[:5], side, sorter=np.argsort(V), _jax=False)
    add("searchsorted", np.array([1.0, 2.0, np.nan, np.nan], "f4"), WANTED, side)
add("searchsorted", np.zeros(0, "f4"), WANTED)
for right in (False, True):
    add("digitize", F, np.array([-1.0, 0.0, 0.5]), right=right, _vmap=False)
    add("digitize", F, np.array([0.5, 0.0, -1.0]), right=right, _vmap=False)
    add("digitize", I, np.array([-1, 0, 2]), right=right, _vmap=False)
    add("digitize", F, np.zeros(0), right)

XP, FP = np.array([0.0, 1.0, 2.5, 4.0], "f4"), np.array([1.0, -1.0, 3.0, 2.0], "f4")
AT = np.array([-1.0, 0.0, 0.5, 2.5, 3.9, 4.0, 7.0], "f4")
for options in ({}, {"left": -9.0}, {"right": 5}, {"period": 3.0}):
    add("interp", AT, XP, FP, _vmap=False, **options)
add("interp", AT, XP, FP, left="extrapolate", right="extrapolate", _numpy=False, _vmap=False)
add("interp", 0.5, XP, FP, _vmap=False)
add("interp", AT, XP, FP + 1j, _vmap=False)
add("interp", AT, np.array([0.0, 1.0, 1.0, 2.0], "f4"), FP, _vmap=False)
add("interp", np.array([1, 2]), np.array([0, 1, 3]), np.array([0, 10, 40]), _vmap=False)

# ---- taken and put

AT2 = np.array([[0, 2], [-1, 1]])
for mode in (None, "fill", "clip", "wrap"):
    options = {} if mode is None else {"mode": mode}
    inside = True if mode == "clip" else lambda x, at, axis=None, **_: np.take(x, at, axis)
    add("take", V, AT2, _numpy=inside, **options)
    add("take", T3, AT2, axis=1, _numpy=inside, **options)
    add("take", F, 1, axis=0, _numpy=inside, **options)
    add("take", V, np.array([9, -9, 3]), _numpy=mode in ("wrap", "clip"), **options)
add(
    "take",
    F,
    np.array([5, 30]),
    fill_value=7.0,
    _numpy=lambda x, *_, **__: np.array([x.flat[5], 7]),
)
add("take", I, np.array([5, 30]), _numpy=lambda x, *_: np.array([x.flat[5], -(2**31)]))
add("take", F, np.zeros(0, "i4"), axis=1)
add("take", I, np.array(3, "u1"))

ORDER = np.argsort(F, 1)
add("take_along_axis", F, ORDER, 1)
add("take_along_axis", F, np.argsort(F, 0), axis=0)
add("take_along_axis", F, ORDER[:, :1], axis=1)
add("take_along_axis", F, ORDER[:1], axis=1)
add("take_along_axis", F[:1], ORDER, axis=1)
add("take_along_axis", F, ORDER - 4, -1)
add("take_along_axis", F, ORDER + 2, -1, _numpy=False)
add("take_along_axis", F, ORDER + 2, -1, mode="clip", _numpy=False)
add("take_along_axis", V, np.array([3, -1]), axis=None)
add("take_along_axis", T3, np.zeros((2, 3, 2), "i4"), axis=2)
add("take_along_axis", T3, np.zeros((2, 1, 4), "i4"), axis=1)


def in_place(function):
    """NumPy's function that changes its argument, as one that returns the changed copy."""

    def changed(x, *args, inplace, **options):
        x = x.copy()
        function(x, *args, **options)
        return x

    return changed


NEW = np.array([9.0, 8.0], "f4")
put, along = in_place(np.put), in_place(np.put_along_axis)
add("put", F, np.array([1, -1]), NEW, inplace=False, _numpy=put)
add("put", F, np.array([1, 20]), 9.0, mode="clip", inplace=False, _numpy=put)
add("put", F, np.array([1, 20, 3]), NEW, mode="wrap", inplace=False, _numpy=put)
add(
    "put",
    F,
    np.array([1, 50]),
    9.0,
    inplace=False,
    _numpy=lambda x, at, v, inplace: put(x, at, v, mode="clip", inplace=False),
)
add(
    "put_along_axis",
    F,
    np.array([[0, 2], [1, -1], [3, 1]]),
    NEW[None],
    1,
    inplace=False,
    _numpy=along,
)
add("put_along_axis", V, np.array([1, 3]), 9.0, None, inplace=False, _numpy=along)
add("put_along_axis", F, np.array([[0, 2, 1, 0]]), 7.0, 0, inplace=False, _numpy=along)
diagonal = in_place(np.fill_diagonal)
add("fill_diagonal", F, 0.0, inplace=False, _numpy=diagonal)
add("fill_diagonal", F.T.copy(), NEW, inplace=False, _numpy=diagonal)
add("fill_diagonal", np.ones((2, 2, 2), "f4"), 5, inplace=False, _numpy=diagonal)
add("place", F, B, NEW, inplace=False, _numpy=in_place(np.place))
add("place", F, B, 3.0, inplace=False, _numpy=in_place(np.place))

# ---- chosen

for args in ((F, NANS), (F, 0), (1.0, I), (1.0, 2.0), (1, True)):
    add("where", B, *args)
add("where", I, F, F)
add("where", B[0], F, F[:, :1])
add("where", True, F, I)
add("where", np.bool_(False).reshape(()), F, 2.0)
add("select", [B, F > 0], [F, I], default=9)
add("select", [B], [F])
add("select", [B, ~B[0]], [1.0, F[:, :1]], 2)
only_numpy("choose", I % 3, [F, F + 1, F[0]])
add("choose", I, [F, F + 1], mode="wrap")
add("choose", I, (F, F + 1, 0.0), mode="clip")


def filled(find, default=0):
    """NumPy's `find`, its result cut or filled to `size` along the first axis."""

    def found(*args, size, fill_value=None, **options):
        parts = find(*args, **options)
        parts = parts if isinstance(parts, tuple) else (parts,)
        fills = fill_value if isinstance(fill_value, tuple) else (fill_value,) * len(parts)
        out = []
        for part, fill in zip(parts, fills, strict=True):
            rest = max(0, size - len(part))
            fill = default(part) if fill is None and callable(default) else fill or default
            out.append(np.append(part[:size], np.full((rest, *part.shape[1:]), fill), axis=0))
        return tuple(out) if len(out) > 1 else out[0]

    return found


def first(part):
    return part[0] if len(part) else 0


only_numpy("nonzero", I)
only_numpy("flatnonzero", I)
only_numpy("argwhere", I)
only_numpy("argwhere", 2.0)
only_numpy("where", I)
for x, size in ((B, 5), (B, 20), (B, 0), (np.zeros((0, 3)), 2)):
    add("nonzero", x, size=size, _numpy=filled(np.nonzero))
add("nonzero", B, size=20, fill_value=-1, _numpy=filled(np.nonzero))
add("nonzero", B, size=20, fill_value=(7, 8), _numpy=filled(np.nonzero))
add("nonzero", V * 0, size=3, fill_value=9, _numpy=filled(np.nonzero))
add("where", B, size=4, _numpy=filled(np.nonzero))
add("flatnonzero", I, size=4, _numpy=filled(np.flatnonzero))
add("argwhere", I, size=14, fill_value=-1, _numpy=filled(np.argwhere))
K = np.array([True, False, True])
only_numpy("compress", K, F, axis=0)
only_numpy("compress", K, F)
only_numpy("compress", K[:2], F, axis=1)
add("compress", K, F, axis=0, size=2, _numpy=filled(np.compress))
add("compress", K, F, axis=0, size=3, fill_value=7, _numpy=filled(np.compress))
add("compress", K, F, axis=0, size=1, _numpy=filled(np.compress))
only_numpy("extract", B, F)
add("extract", B, F, size=8, fill_value=-1.0, _numpy=filled(np.extract))

# ---- sets

D, ROWS = np.array([3, 1, 2, 3, 1, 7]), np.array([[1, 2], [0, 5], [1, 2]])
G = np.array([2.0, np.nan, 1.0, np.nan, 2.0], "f4")
ALL = {"return_index": True, "return_inverse": True, "return_counts": True}
for x in (D, G, ROWS, B, np.array([0.0, -0.0, 1.0], "f4")):
    only_numpy("unique", x)
    only_numpy("unique", x, **ALL)
    add("unique", x, size=4, _numpy=filled(np.unique, first))
    add("unique", x, size=8, fill_value=1, **ALL, _numpy=False)
only_numpy("unique", G, equal_nan=False)
only_numpy("unique", ROWS, axis=0)
only_numpy("unique", ROWS, axis=1, **ALL)
add("unique", ROWS, axis=0, size=2, return_inverse=True, _numpy=False)
add("unique", ROWS, axis=0, size=4, fill_value=9, return_counts=True, _numpy=False)
only_numpy("unique", np.zeros(0))
add("unique", np.zeros(0), size=2, fill_value=3, _numpy=filled(np.unique))
for name in ("unique_all", "unique_counts", "unique_inverse"):
    only_numpy(name, D)
    only_numpy(name, G)
    add(name, D, size=5, _numpy=False)
only_numpy("unique_values", D, _numpy=np.unique)
add("unique_values", D, size=5, _numpy=filled(np.unique, first))

X1, X2, NONE = np.array([1, 2, 2, 5, 7, 3]), np.array([2, 3, 3, 9, 1]), np.zeros(0, int)
for name in ("union1d", "setdiff1d", "intersect1d", "setxor1d"):
    for pair in ((X1, X2), (X1, X1), (X1, NONE), (NONE, X1)):
        only_numpy(name, *pair)
    find, default = getattr(np, name), 0 if name == "setdiff1d" else first
    for size in (3, 6):
        add(name, X1, X2, size=size, _numpy=filled(find, default))
    add(name, X1, X2, size=6, fill_value=-7, _numpy=filled(find))
    add(name, X1, X1, size=2, _numpy=filled(find, default))
only_numpy("intersect1d", X1, X2, return_indices=True)
add("intersect1d", X1, X2, return_indices=True, size=5, _numpy=False)
only_numpy("intersect1d", np.array([1, 5, 3]), np.array([3, 1]), True)
only_numpy("setxor1d", np.array([1, 5, 3]), np.array([3, 7]), True)
only_numpy("setdiff1d", np.array([5, 1, 3]), np.array([3, 7]), True)
add("setdiff1d", np.array([5, 1, 3]), np.array([3, 7]), True, size=3, _numpy=filled(np.setdiff1d))
add("isin", I, np.array([1, -2]))
add("isin", I, np.array([1, -2]), invert=True)
add("isin", I, np.array([1.5, 2.0]))
add("isin", I, NONE)
add("isin", F, F[:1])

# ---- positions

for name in ("tril_indices", "triu_indices"):
    for args in ((3,), (3, 1), (3, -1, 5), (4, 2, 2)):
        add(name, *args)
    add(name + "_from", F)
    add(name + "_from", F, 1)
add("diag_indices", 3)
add("diag_indices", 3, 3)
add("diag_indices_from", np.ones((2, 2, 2)))
add("ix_", np.array([1, 0]), np.array([2, 3, 1]))
add("unravel_index", np.array([5, 0, 11]), (3, 4))
add("unravel_index", np.array([-1, -12, 12, -13]), (3, 4), _numpy=False)
add("unravel_index", np.array([3, 9], "u4"), (2, 3), _numpy=False)
add("unravel_index", 7, (2, 2, 3))
add("unravel_index", 3, 8)
MANY = (np.array([1, 5]), np.array([-3, 0]))
only_numpy("ravel_multi_index", (np.array([1, 2]), np.array([3, 0])), (3, 4))
only_numpy("ravel_multi_index", (1, 2), (3, 4))
add("ravel_multi_index", MANY, (3, 4), mode="clip")
add("ravel_multi_index", MANY, (3, 4), mode="wrap")
add("ravel_multi_index", (np.array([1, 2]), 2), (3, 4), mode="wrap", order="F")

# ---- signals and polynomials

PAIRS = (
    (V, F[0]),
    (F[0], V),
    (C[0], C[1]),
    (V, V),
    (C[0], V),
    (V, C[0]),
    (F[0, :1], V),
    (I[0], I[1]),
)
for mode in ("full", "same", "valid"):
    for pair in PAIRS:
        add("convolve", *pair, mode=mode)
        add("correlate", *pair, mode=mode)
for name in ("bartlett", "blackman", "hamming", "hanning"):
    for n in (0, 1, 5, 8):
        add(name, n)
add("kaiser", 8, 2.5)
add("kaiser", 1, 2.0)
add("kaiser", 7, np.float32(14.0).reshape(()))
P, P2 = np.array([1.0, -2.0, 0.0, 3.0], "f4"), np.array([2.0, 1.0], "f4")
add("polyval", P, 2.0)
add("polyval", P, F)
add("polyval", np.array([1, 2]), I)
add("polyval", np.array([1, 2]), F)
add("polyval", F, 2.0)
for name in ("polyadd", "polysub", "polymul"):
    add(name, P, P2)
    add(name, P2, P)
for m in (0, 1, 2):
    add("polyder", P, m)
    add("polyint", P, m)
add("polyder", P, 5, _jax=False)
add("polyint", P, 3)
add("polyint", P, 2, k=P2)
add("polyint", P, 2, k=3)
add("polydiv", P, P2, _numpy=False)
add("polydiv", P2, P, _numpy=lambda u, v: (np.zeros(1), u))
add("poly", P)


@pytest.mark.parametrize("call", CALLS, ids=repr)
def test_call(call):
    check(call)


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
def test_types_are_those_of_jax():
    check_types_of_jax([call for call in CALLS if call.jax])


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
def test_values_are_those_of_jax():
    check_values_of_jax([call for call in CALLS if call.jax and call.numpy is False])


# ---- functions of functions


def test_apply_along_axis():
    for axis in range(3):
        got = jnp.apply_along_axis(lambda row: row[:2] * 2, axis, T3)
        assert np.array_equal(got, np.apply_along_axis(lambda row: row[:2] * 2, axis, T3))
    assert np.allclose(jnp.apply_along_axis(jnp.sum, 1, F), F.sum(1))


def test_apply_over_axes():
    got = jnp.apply_over_axes(jnp.sum, T3, [0, 2])
    assert np.allclose(got, np.apply_over_axes(np.sum, T3, [0, 2]))


def test_piecewise():
    x = np.array([-2.0, -0.5, 0.5, 2.0], "f4")
    conditions, pieces = [x < 0, x > 1], [-1.0, lambda x, k=3: x * k, 7.0]
    assert np.array_equal(jnp.piecewise(x, conditions, pieces), np.piecewise(x, conditions, pieces))
    assert jnp.piecewise(x, conditions, [1, 2]).tolist() == [1, 1, 0, 2]


def test_vectorize():
    dot = jnp.vectorize(jnp.dot, signature="(n),(n)->()")
    got = dot(jnp.asarray(T3), jnp.asarray(F[0]))
    assert np.allclose(got, T3 @ F[0], atol=1e-6)
    assert dot(T3[:, :, None], F).shape == (2, 3, 3)  # from (2, 3, 1) and (3,)
    halves = jnp.vectorize(lambda x: (x[:2], x[2:].sum()), signature="(n)->(m),()")
    first, rest = halves(T3)
    assert first.shape == (2, 3, 2) and rest.shape == (2, 3)
    scaled = jnp.vectorize(lambda x, *, by, how: x * by if how == "times" else x, excluded=("how",))
    assert scaled(F, by=F[0], how="times").shape == (3, 4)
    kept = jnp.vectorize(lambda name, x: x + len(name), excluded=(0,))
    assert kept("abc", jnp.ones(2)).tolist() == [4.0, 4.0]


def test_vectorize_is_differentiable_and_maps():
    f = jnp.vectorize(lambda x, y: x * jnp.sin(y))
    g = pullback.grad(lambda x: f(x, V).sum())(jnp.zeros(()))
    assert np.allclose(g, np.sin(V).sum(), atol=1e-6)


# ---- edges


def test_searchsorted_in_many_rows():
    rows = np.sort(T3, axis=-1)
    got = pullback.vmap(pullback.vmap(jnp.searchsorted))(rows, T3)
    for i in range(2):
        for j in range(3):
            assert np.array_equal(got[i, j], np.searchsorted(rows[i, j], T3[i, j]))


def test_the_order_of_complex_numbers_with_nan():
    z = np.array([1 + 2j, complex(1, np.nan), 2 + 0j, complex(np.nan, 0)], "c8")
    assert jnp.searchsorted(z, z).tolist() == [0, 1, 2, 3]
    assert jnp.searchsorted(z, z, side="right").tolist() == [1, 2, 3, 4]


def test_derivative_of_where_chooses_a_side():
    g = pullback.grad(lambda x: jnp.where(x > 0, x * x, -x).sum())(jnp.array([3.0, -1.0]))
    assert g.tolist() == [6.0, -1.0]


def test_values_known_under_grad_may_decide_shapes():
    def f(x):
        return x[jnp.nonzero(x > 0)[0]].sum() + jnp.unique(x).sum()

    assert pullback.grad(f)(jnp.array([3.0, -1.0])).tolist() == [2.0, 1.0]


def test_long_signals():
    x, y = rng.normal(size=5000), rng.normal(size=700)
    got = jnp.convolve(x.astype("f4"), y.astype("f4"))
    assert np.abs(np.asarray(got) - np.convolve(x, y)).max() < 1e-3


# ---- mistakes


def test_errors():
    x = jnp.array(F)
    mistakes = {
        "'kind' argument to sort is not supported.": lambda: jnp.sort(x, kind="quicksort"),
        "axis 2 is out of bounds for array of dimension 2.": lambda: jnp.sort(x, axis=2),
        "need sequence of keys with len > 0 in lexsort.": lambda: jnp.lexsort([]),
        "a should be 1-dimensional.": lambda: jnp.searchsorted(x, 1.0),
        "take requires integer indices.": lambda: jnp.take(x, 1.5),
        "The 'raise' mode to jnp.take is not supported.": lambda: jnp.take(x, 1, mode="raise"),
        "invalid mode 'over' for jnp.take.": lambda: jnp.take(x, 1, mode="over"),
        "cannot do a non-empty jnp.take() from an empty axis.": lambda: jnp.take(jnp.zeros(0), 0),
        "take_along_axis: indices and the array must have the same number of dimensions.": lambda: (
            jnp.take_along_axis(x, jnp.array([1]), 0)
        ),
        "jnp.put cannot modify arrays in-place, because arrays are immutable.": lambda: jnp.put(
            x, 1, 2.0
        ),
        "jnp.where takes one array or three; size and fill_value go with one.": lambda: jnp.where(
            B, x
        ),
        "where got incompatible shapes for broadcasting: (3,), (4,).": lambda: jnp.where(
            B, jnp.ones(3), jnp.ones(4)
        ),
        "condlist must be non-empty and have length equal to choicelist.": lambda: jnp.select(
            [], []
        ),
        "invalid entry in choice array.": lambda: jnp.choose(jnp.array([3]), [1, 2]),
        "Calling nonzero on 0d arrays is not allowed.": lambda: jnp.nonzero(1.0),
        "fill_value must be a scalar or a tuple of length 2.": lambda: jnp.nonzero(
            x, size=2, fill_value=(1,)
        ),
        "condition must be a 1D array.": lambda: jnp.compress(B, x),
        "isin has no method 'guess'.": lambda: jnp.isin(x, x, method="guess"),
        "invalid entry in coordinates array.": lambda: jnp.ravel_multi_index((3, 0), (3, 4)),
        "xp and fp must be one-dimensional arrays of equal size.": lambda: jnp.interp(1.0, XP, V),
        "convolve() only support 1-dimensional inputs.": lambda: jnp.convolve(x, V),
        "mode must be one of ['full', 'same', 'valid'].": lambda: jnp.convolve(V, V, "most"),
        "Order of derivative must be positive.": lambda: jnp.polyder(P, -1),
        "not a valid gufunc signature: (n)(m)->()": lambda: jnp.vectorize(
            jnp.dot, signature="(n)(m)->()"
        ),
        "vectorize: inconsistent size for core dimension 'n'.": lambda: jnp.vectorize(
            jnp.dot, signature="(n),(n)->()"
        )(V, F[0]),
        "piecewise: with 1 conditions, either 1 or 2 functions are expected.": lambda: (
            jnp.piecewise(V, [V > 0], [1, 2, 3])
        ),
    }
    for what, mistake in mistakes.items():
        assert message(mistake)[0] == what


@pytest.mark.parametrize(
    "name", ["nonzero", "flatnonzero", "argwhere", "unique", "unique_counts", "where"]
)
def test_under_jit_a_size_is_needed(name):
    function = getattr(jnp, name)
    what, got, where, fix = message(lambda: pullback.jit(lambda x: function(x))(jnp.array(D)))
    assert what.endswith(
        "decides the shape of the result, so its value must be known while tracing."
    )
    assert got.startswith("  Got: bool[6] traced by jit")
    assert "test_numpy_searching.py" in where
    assert fix.startswith("  Fix: give size=, the number of elements of the result")
    pullback.jit(lambda x: function(x, size=3))(jnp.array(D))
