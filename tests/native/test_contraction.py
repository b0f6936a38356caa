"""dot_general of the native engine against what it means: shapes, layouts, dtypes, edge values."""

import ctypes

import ml_dtypes
import numpy as np
import pytest
from fuzz import run_kernel
from kernels import kernel_of, meaning, random_array

from pullback.core import dtypes
from pullback.core.settings import enable_x64
from pullback.engines.native import symbols
from pullback.engines.native.rules import blas
from pullback.lax import scan
from pullback.ops.contraction import dot_general
from pullback.ops.elementwise import mul
from pullback.ops.structural import broadcast_in_dim, rev, transpose

FLOATS = [np.dtype(c) for c in "fd"] + [np.dtype(ml_dtypes.bfloat16), np.dtype(np.float16)]
COMPLEX = [np.dtype("c8"), np.dtype("c16")]
OTHERS = [np.dtype(c) for c in ("i1", "u1", "i2", "u4", "i4", "i8", "u8", "?")]
LENGTHS = [1, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33, 40, 64, 70]


@pytest.fixture(autouse=True)
def wide():
    with enable_x64(True):
        yield


def check(function, arrays, params, few=False):
    """The kernel of `function`, which ends in dot_general, against eval."""
    kernel = kernel_of(lambda *xs: [function(dot_general, *xs, **params)], arrays)
    (got,) = run_kernel(kernel, arrays)

    def by_eval(*xs, **params):
        (found,) = meaning(dot_general, [np.asarray(x) for x in xs], params)
        return found

    with np.errstate(all="ignore"):
        wanted = function(by_eval, *arrays, **params)
        sizes = function(by_eval, *[magnitude(a) for a in arrays], **with_floats(params))
    assert got.dtype == wanted.dtype and got.shape == wanted.shape
    (axes, _), _ = params["dimension_numbers"]
    terms = int(np.prod([arrays[0].shape[i] for i in axes], dtype=int))
    assert_close(got, wanted, sizes, terms, [a.dtype for a in arrays])


def magnitude(a):
    return np.abs(a.astype(np.complex128 if a.dtype.kind == "c" else np.float64))


def with_floats(params):
    return {**params, "preferred_element_type": None}


def assert_close(got, wanted, sizes, terms, given):
    """Integers are equal; a float is off by no more than roundings of so many terms can make."""
    kind = dtypes.kind(wanted.dtype)
    if kind in "iub":
        np.testing.assert_array_equal(got, wanted)
        return
    parts = [(got, wanted)] if kind == "f" else [(got.real, wanted.real), (got.imag, wanted.imag)]
    result = dtypes.finfo(dtypes.real_dtype(wanted.dtype)).eps
    used = [dtypes.real_dtype(d) for d in (*given, wanted.dtype) if dtypes.kind(d) in "fc"]
    inner = np.finfo("d" if any(d.itemsize == 8 for d in used) else "f").eps
    bound = 4 * (terms + 1) * float(inner) * sizes + 1e-300
    if kind == "c":
        # BLAS multiplies complex sums by 1 + 0i, which spreads NaNs from one part to the other.
        known = np.isfinite(sizes)
        assert not np.isfinite(got[~known]).any()
        parts = [(mine[known], theirs[known]) for mine, theirs in parts]
        bound = bound[known]
    for mine, theirs in parts:
        a, b = mine.astype(np.float64), theirs.astype(np.float64)
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        plain = np.isfinite(b)
        np.testing.assert_array_equal(a[~plain & ~np.isnan(b)], b[~plain & ~np.isnan(b)])
        off = np.abs(a[plain] - b[plain])
        allowed = bound[plain] + 2 * float(result) * np.abs(b[plain])
        assert (off <= allowed).all(), (off - allowed).max()


def random_numbers(rng):
    """Dimension numbers and shapes of two operands, axes in any order."""
    groups = [rng.choice([0, 1, 2], p=p) for p in ([0.6, 0.3, 0.1], *[[0.2, 0.6, 0.2]] * 3)]
    lengths = [[int(rng.choice(LENGTHS)) for _ in range(n)] for n in groups]
    while np.prod([n for g in lengths for n in g], dtype=float) > 60000:
        at = max(((i, j) for i, g in enumerate(lengths) for j in range(len(g))),
                 key=lambda p: lengths[p[0]][p[1]])  # fmt: skip
        lengths[at[0]][at[1]] //= 2
    batch, rows, columns, sums = lengths
    x_order = rng.permutation(len(batch) + len(rows) + len(sums))
    y_order = rng.permutation(len(batch) + len(columns) + len(sums))
    x_lengths, y_lengths = [*batch, *sums, *rows], [*batch, *sums, *columns]
    places = []
    for order in (x_order, y_order):
        at = [int(np.flatnonzero(order == i)[0]) for i in range(len(batch) + len(sums))]
        places.append((tuple(at[: len(batch)]), tuple(at[len(batch) :])))
    shapes = (tuple(x_lengths[i] for i in x_order), tuple(y_lengths[i] for i in y_order))
    numbers = ((places[0][1], places[1][1]), (places[0][0], places[1][0]))
    return shapes, numbers


def case(seed):
    rng = np.random.default_rng(seed)
    (x_shape, y_shape), numbers = random_numbers(rng)
    family = seed % 8
    chosen = FLOATS[:2] if family < 4 else [FLOATS, COMPLEX, OTHERS, FLOATS + COMPLEX][family - 4]
    dtype = chosen[int(rng.integers(len(chosen)))]
    other = dtype
    if family == 7 and rng.random() < 0.5:
        other = np.dtype("f") if dtype == np.dtype("d") else dtype
    arrays = [random_array(rng, s, d) if rng.random() < 0.3 else plain_array(rng, s, d)
              for s, d in ((x_shape, dtype), (y_shape, other))]  # fmt: skip
    preferred = None
    if rng.random() < 0.2:
        preferred = {"f": np.dtype("d"), "i": np.dtype("i8"), "c": np.dtype("c16")}.get(dtype.kind)
    params = {
        "dimension_numbers": numbers, "precision": None, "preferred_element_type": preferred,
    }  # fmt: skip
    return rng, arrays, params


def plain_array(rng, shape, dtype):
    if dtypes.kind(dtype) == "c":
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
    if dtypes.kind(dtype) == "f":
        return rng.normal(size=shape).astype(dtype)
    return random_array(rng, shape, dtype)


def plainly(dot, x, y, **params):
    return dot(x, y, **params)


@pytest.mark.parametrize("seed", range(160))
def test_dot_general(seed):
    _, arrays, params = case(seed)
    check(plainly, arrays, params)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(1000, 6000))
def test_dot_general_fuzz(seed):
    _, arrays, params = case(seed)
    check(plainly, arrays, params)


# ---- layouts of matrices


def matrices(rng, m, k, n, dtype):
    return plain_array(rng, (m, k), dtype), plain_array(rng, (k, n), dtype)


PLAIN = {
    "dimension_numbers": (((1,), (0,)), ((), ())),
    "precision": None,
    "preferred_element_type": None,
}


def _turned(a):
    return np.ascontiguousarray(a.T)


@pytest.mark.parametrize("flip_y", [False, True])
@pytest.mark.parametrize("flip_x", [False, True])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "i4"])
@pytest.mark.parametrize("size", [(1, 37, 100), (37, 100, 1), (100, 1, 37), (9, 5, 7), (65, 33, 19),
                                  (40, 40, 3), (130, 12, 34)])  # fmt: skip
def test_layouts(size, dtype, flip_x, flip_y):
    x, y = matrices(np.random.default_rng(0), *size, np.dtype(dtype))
    numbers = (((0 if flip_x else 1,), (1 if flip_y else 0,)), ((), ()))
    given = [_turned(x) if flip_x else x, _turned(y) if flip_y else y]
    check(plainly, given, {**PLAIN, "dimension_numbers": numbers})


@pytest.mark.parametrize("flip_x", [False, True])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c16", "i4", "i1"])
@pytest.mark.parametrize("size", [(120, 200, 300), (784, 20, 10), (300, 70, 2), (3, 3, 500)])
def test_larger(size, dtype, flip_x):
    """Columns that are copied together first; few columns, with vectors along the rows."""
    x, y = matrices(np.random.default_rng(0), *size, np.dtype(dtype))
    numbers = (((0 if flip_x else 1,), (0,)), ((), ()))
    check(plainly, [_turned(x) if flip_x else x, y], {**PLAIN, "dimension_numbers": numbers})


@pytest.mark.parametrize("size", [(3, 4, 5), (20, 30, 40), (1, 50, 40)])
def test_views(size):
    """Operands that are views: reversed, transposed, broadcast, or not computed yet."""
    x, y = matrices(np.random.default_rng(1), *size, np.dtype("f8"))

    def reversed_(dot, x, y, **params):
        if type(x) is np.ndarray:
            return dot(x[::-1, ::-1], y[:, ::-1], **params)
        return dot(rev(x, dimensions=(0, 1)), rev(y, dimensions=(1,)), **params)

    def spread(dot, x, y, **params):
        row = (size[1], size[2])
        if type(x) is np.ndarray:
            return dot(x * x, np.broadcast_to(y[0], row), **params)
        one = broadcast_in_dim(y[0], shape=row, broadcast_dimensions=(1,))
        return dot(mul(x, x), one, **params)

    def crossed(dot, x, y, **params):
        if type(x) is np.ndarray:
            return dot(dot(x, y, **params), y.T, **params)
        return dot(dot(x, y, **params), transpose(y, permutation=(1, 0)), **params)

    for function in (reversed_, spread):
        check(function, [x, y], PLAIN)
    kernel = kernel_of(lambda a, b: [crossed(dot_general, a, b, **PLAIN)], [x, y])
    np.testing.assert_allclose(run_kernel(kernel, [x, y])[0], x @ y @ y.T, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("shapes", [((0, 3), (3, 4)), ((4, 0), (0, 5)), ((40, 0), (0, 50)),
                                    ((1, 1), (1, 1))])  # fmt: skip
def test_empty(shapes):
    for dtype in (np.dtype("f"), np.dtype("c8"), np.dtype("i4"), np.dtype("?")):
        check(plainly, [np.ones(s, dtype) for s in shapes], PLAIN)


@pytest.mark.parametrize("k", [4097, 100_000])
def test_long_sums(k):
    """Many terms are added in blocks: the error stays near that of one block."""
    x = np.full((3, k), 0.1, np.float32)
    y = np.ones((k, 5), np.float32)
    for given in ([x, y], [x[:1], y], [x[:1], y[:, :1]]):
        (got,) = run_kernel(kernel_of(lambda a, b: [dot_general(a, b, **PLAIN)], given), given)
        wanted = float(np.float32(0.1)) * k
        np.testing.assert_allclose(got, wanted, rtol=2e-5)


@pytest.mark.parametrize("size", [16, 40])
def test_in_loops(size):
    """A matrix that stays as it is in a loop is brought into a better order before it."""
    rng = np.random.default_rng(6)
    w, h = rng.normal(size=(size, size)) / size, rng.normal(size=size)

    def function(w, h):
        def step(h, _):
            y = dot_general(w, h, **PLAIN)
            return y, y

        return scan(step, h, None, length=5)

    kernel = kernel_of(lambda w, h: list(function(w, h)), [w, h])
    last, each = run_kernel(kernel, [w, h])
    wanted = [np.linalg.matrix_power(w, i + 1) @ h for i in range(5)]
    np.testing.assert_allclose(each, wanted, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(last, each[-1])


# ---- BLAS


@pytest.fixture
def always(monkeypatch):
    monkeypatch.setattr(blas, "WORTH_IT", 1)


@pytest.mark.parametrize("flip_y", [False, True])
@pytest.mark.parametrize("flip_x", [False, True])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
def test_blas(always, dtype, flip_x, flip_y):
    x, y = matrices(np.random.default_rng(2), 33, 45, 17, np.dtype(dtype))
    numbers = (((0 if flip_x else 1,), (1 if flip_y else 0,)), ((), ()))
    given = [_turned(x) if flip_x else x, _turned(y) if flip_y else y]
    kernel = kernel_of(lambda a, b: [dot_general(a, b, dimension_numbers=numbers, precision=None,
                                                 preferred_element_type=None)], given)  # fmt: skip
    assert "BLAS" in str(kernel.report)
    check(plainly, given, {**PLAIN, "dimension_numbers": numbers})


def test_batches_of_blas(always):
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(3, 20, 25)), rng.normal(size=(3, 25, 30))
    check(plainly, [x, y], {**PLAIN, "dimension_numbers": (((2,), (1,)), ((0,), (0,)))})


def test_without_blas(always, monkeypatch):
    monkeypatch.setattr(blas, "_symbol", lambda routine: None)
    x, y = matrices(np.random.default_rng(4), 33, 45, 17, np.dtype("f4"))
    kernel = kernel_of(lambda a, b: [dot_general(a, b, **PLAIN)], [x, y])
    assert "BLAS" not in str(kernel.report)
    np.testing.assert_allclose(run_kernel(kernel, [x, y])[0], x @ y, rtol=1e-4, atol=1e-4)


def test_symbols_are_found_again(always):
    """Code from the disk refers to functions by names that any process can look up."""
    x, y = matrices(np.random.default_rng(5), 33, 45, 17, np.dtype("f8"))
    kernel = kernel_of(lambda a, b: [dot_general(a, b, **PLAIN)], [x, y])
    (name,) = [w for w in kernel.text.replace("(", " ").split() if w.startswith("@blas")][:1]
    assert symbols.resolve(name[1:]) == blas.resolve(name[1:])
    assert ctypes.c_void_p(symbols.resolve(name[1:])).value
    for wrong in ("blas64_nothing", "blas16_sgemm", "printf", "pb_nothing_f32", "pb_exp_f32xx"):
        with pytest.raises(LookupError):
            symbols.resolve(wrong)
