"""Sparse arrays against the dense arrays that they stand for, and against JAX's buffers."""

from __future__ import annotations

import itertools

import numpy as np
import peer
import pytest
import scipy.sparse

import pullback as pb
import pullback.numpy as jnp
from pullback import lax
from pullback.core.errors import ConcretizationTypeError
from pullback.core.settings import enable_x64
from pullback.experimental import sparse
from pullback.experimental.sparse import BCOO, BCSR, COO, CSC, CSR
from pullback.test_util import check_grads

if peer.INSTALLED:
    import jax
    from jax.experimental import sparse as theirs

RNG = np.random.default_rng(0)

pytestmark = pytest.mark.usefixtures("x64")


def numbers(*shape, density=0.5):
    """Random floats, most of them zero."""
    return np.where(RNG.random(shape) < density, RNG.normal(size=shape), 0.0)


def stored(shape, n_batch=0, n_dense=0, nse=6, shared=()):
    """A BCOO with equal places, places outside, and batch axes `shared` of length 1."""
    n_sparse = len(shape) - n_batch - n_dense
    batch = tuple(1 if i in shared else d for i, d in enumerate(shape[:n_batch]))
    high = np.array(shape[n_batch : n_batch + n_sparse]) + 1
    indices = (
        RNG.integers(0, high, (*batch, nse, n_sparse))
        if n_sparse
        else np.zeros((*batch, nse, 0), int)
    )
    data = RNG.normal(size=(*shape[:n_batch], nse, *shape[len(shape) - n_dense :]))
    return BCOO((data, indices.astype(np.int32)), shape=shape)


def dense(x):
    return np.asarray(x.todense() if isinstance(x, sparse.JAXSparse) else x)


def by_hand(mat):
    """The dense array, element by element."""
    out = np.zeros(mat.shape)
    n_batch, n_sparse = mat.n_batch, mat.n_sparse
    batch = mat.shape[:n_batch]
    data = np.broadcast_to(mat.data, (*batch, *mat.data.shape[n_batch:]))
    indices = np.broadcast_to(mat.indices, (*batch, *mat.indices.shape[n_batch:]))
    for b in np.ndindex(batch):
        for row, value in zip(indices[b], data[b], strict=True):
            if all(i < d for i, d in zip(row, mat.shape[n_batch : n_batch + n_sparse])):
                out[(*b, *row)] += value
    return out


with enable_x64():
    LAYOUTS = [
        stored((4, 5)),
        stored((4, 5), nse=0),
        stored((4, 5, 3), nse=12),
        stored((3, 4, 5), n_batch=1),
        stored((4, 5, 2), n_dense=1),
        stored((2, 4, 3, 2), n_batch=1, n_dense=1),
        stored((2, 3, 4), n_batch=1, shared=(0,)),
        stored((5,)),
        stored((3, 4), n_batch=1, n_dense=1),
        stored((0, 3), nse=2),
    ]
MATRICES = [m for m in LAYOUTS if m.n_sparse == 2 and m.n_dense == 0]


def label(m):
    return repr(m).replace("float64", "")


layouts = pytest.mark.parametrize("mat", LAYOUTS, ids=label)


def close(found, wanted):
    np.testing.assert_allclose(dense(found), wanted, 1e-12, 1e-12)


@layouts
def test_todense(mat):
    close(mat, by_hand(mat))
    close(pb.jit(BCOO.todense)(mat), by_hand(mat))
    check_grads(lambda d: BCOO((d, mat.indices), shape=mat.shape).todense(), (mat.data,), order=2)


@pytest.mark.parametrize("shape", [(), (4,), (3, 4), (2, 3, 4), (0, 3), (2, 0)])
def test_fromdense(shape):
    x = numbers(*shape)
    for n_batch, n_dense in itertools.product(range(len(shape) + 1), repeat=2):
        if n_batch + n_dense > len(shape):
            continue
        m = BCOO.fromdense(x, n_batch=n_batch, n_dense=n_dense)
        assert (m.n_batch, m.n_dense, m.shape) == (n_batch, n_dense, shape)
        close(m, x)
        padded = BCOO.fromdense(x, nse=m.nse + 2, n_batch=n_batch, n_dense=n_dense)
        assert padded.nse == m.nse + 2
        close(padded, x)


def test_fromdense_keeps_the_first_elements_and_needs_nse_when_traced():
    x = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 4.0]])
    m = BCOO.fromdense(x, nse=3)
    np.testing.assert_array_equal(m.data, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(m.indices, [[0, 0], [0, 2], [1, 1]])
    assert m.indices.dtype == np.int32 and m.indices_sorted and m.unique_indices
    assert BCOO.fromdense(x, index_dtype=np.int16).indices.dtype == np.int16
    close(pb.jit(lambda x: BCOO.fromdense(x, nse=4))(x), x)
    check_grads(lambda x: BCOO.fromdense(x, nse=6).todense() * x, (x + 1,), order=2)
    with pytest.raises(ConcretizationTypeError, match=r"how many elements to store \(nse\)"):
        pb.jit(BCOO.fromdense)(x)


@layouts
def test_duplicates_and_order(mat):
    want = by_hand(mat)
    for m in (
        mat.sort_indices(),
        mat.sum_duplicates(),
        mat.sum_duplicates(remove_zeros=False),
        mat.sum_duplicates(nse=mat.nse + 1),
        pb.jit(lambda m: m.sum_duplicates(nse=m.nse))(mat),
    ):
        close(m, want)
    m = mat.sum_duplicates(remove_zeros=False)
    assert m.indices_sorted and m.unique_indices
    for b in np.ndindex(m.indices.shape[: m.n_batch]):
        rows = [tuple(r) for r in np.asarray(m.indices)[b]]
        inside = [r for r in rows if all(i < d for i, d in zip(r, m.shape[m.n_batch :]))]
        assert rows == sorted(rows) and len(set(inside)) == len(inside)

    def summed(d):
        return BCOO((d, mat.indices), shape=mat.shape).sum_duplicates(mat.nse, False).data

    check_grads(summed, (mat.data,), order=2)


@layouts
def test_shapes(mat):
    want = by_hand(mat)
    a, b = mat.n_batch, mat.n_batch + mat.n_sparse
    order = (*range(a)[::-1], *range(a, b)[::-1], *range(b, mat.ndim)[::-1])
    close(mat.transpose(order), want.transpose(order))
    close(sparse.bcoo_rev(mat, range(mat.ndim)), want[(slice(None, None, -1),) * mat.ndim])
    close(sparse.bcoo_update_layout(mat, n_batch=0, n_dense=0), want)
    for n_batch, n_dense in itertools.product(range(mat.ndim + 1), repeat=2):
        if n_batch + n_dense <= mat.ndim:
            m = mat.update_layout(n_batch=n_batch, n_dense=n_dense, on_inefficient=None)
            assert (m.n_batch, m.n_dense) == (n_batch, n_dense)
            close(m, want)
    shape = (1, *want.shape)
    dims = range(1, len(shape))
    close(sparse.bcoo_broadcast_in_dim(mat, shape=shape, broadcast_dimensions=dims), want[None])
    close(sparse.bcoo_squeeze(mat[None], dimensions=[0]), want)
    close(mat.reshape(*want.shape, 1), want[..., None])
    for axis in range(b):
        close(sparse.bcoo_concatenate([mat, mat], dimension=axis), np.concatenate([want] * 2, axis))


@layouts
def test_reshape(mat):
    want = by_hand(mat)
    batch, tail = mat.shape[: mat.n_batch], mat.shape[mat.n_batch + mat.n_sparse :]
    flat = int(np.prod(mat.shape[mat.n_batch : mat.n_batch + mat.n_sparse]))
    shape = (*batch, flat, *tail)
    close(sparse.bcoo_reshape(mat, new_sizes=shape), want.reshape(shape))
    close(mat.reshape(shape), want.reshape(shape))


def test_reshape_does_not_mix_kinds_of_axes():
    with pytest.raises(ValueError, match="cannot mix batch, sparse and dense dimensions"):
        LAYOUTS[3].reshape(12, 5)
    with pytest.raises(ValueError, match="another number of elements"):
        sparse.bcoo_reshape(LAYOUTS[0], new_sizes=(3, 3))


@layouts
def test_slices(mat):
    want = by_hand(mat)
    cuts = [slice(min(1, d), d, 2) for d in mat.shape]
    starts, limits, steps = zip(*((c.start, c.stop, c.step) for c in cuts), strict=True)
    m = sparse.bcoo_slice(mat, start_indices=starts, limit_indices=limits, strides=steps)
    close(m, want[tuple(cuts)])
    sizes = [max(d - 1, 0) for d in mat.shape]
    for at in (0, 1, 7):
        m = pb.jit(lambda m, i: sparse.bcoo_dynamic_slice(m, [i] * m.ndim, sizes))(mat, at)
        close(m, lax.dynamic_slice(want, [at] * mat.ndim, sizes))


INDICES = [
    1,
    -1,
    np.int64(2),
    (1, 2),
    slice(1, 3),
    slice(None, None, -1),
    slice(3, None, -2),
    (slice(1, 3), slice(None, None, 2)),
    (Ellipsis, 1),
    (None, 1),
    (slice(None), None, 2),
    None,
    np.array([2, 0, -1]),
    (slice(None), [1, 1]),
    (1, [0, 3]),
    slice(5, 2),
]


@pytest.mark.parametrize("index", INDICES, ids=repr)
@pytest.mark.parametrize("nse", [6, 30])
def test_getitem(nse, index):
    mat = stored((4, 5), nse=nse)
    close(mat[index], by_hand(mat)[index])
    close(pb.jit(lambda m: m[index])(mat), by_hand(mat)[index])
    with_batch = stored((4, 5, 3), n_batch=1)
    if index is not INDICES[12] and not isinstance(index, tuple):
        close(with_batch[index], by_hand(with_batch)[index])


def test_getitem_at_a_traced_place_and_what_it_refuses():
    mat = LAYOUTS[0]
    for i in (0, 3, -1):
        close(pb.jit(lambda m, i: m[i, 1:])(mat, i), by_hand(mat)[i, 1:])
    assert [x.shape for x in mat] == [(5,)] * 4
    for index in (4, (0, 0, 0), "a", ([0], [1]), 1.5, True):
        with pytest.raises(IndexError, match="a sparse array cannot be indexed so"):
            mat[index]


# ---- products and sums


DIMENSIONS = [
    (LAYOUTS[0], (5,), (([1], [0]), ([], []))),
    (LAYOUTS[0], (4, 3), (([0], [0]), ([], []))),
    (LAYOUTS[0], (5, 4), (([1, 0], [0, 1]), ([], []))),
    (LAYOUTS[0], (2,), (([], []), ([], []))),
    (LAYOUTS[2], (3, 4, 2), (([0, 2], [1, 0]), ([], []))),
    (LAYOUTS[3], (3, 5), (([2], [1]), ([0], [0]))),
    (LAYOUTS[3], (5, 3), (([2, 0], [0, 1]), ([], []))),
    (LAYOUTS[3], (5, 2), (([2], [0]), ([], []))),
    (LAYOUTS[4], (4, 3), (([0], [0]), ([], []))),
    (LAYOUTS[5], (4, 2, 3), (([1], [0]), ([0], [1]))),
    (LAYOUTS[6], (2, 4), (([2], [1]), ([0], [0]))),
    (LAYOUTS[6], (4,), (([2], [0]), ([], []))),
    (LAYOUTS[8], (3,), (([0], [0]), ([], []))),
    (LAYOUTS[9], (3, 2), (([1], [0]), ([], []))),
]


@pytest.mark.parametrize(("mat", "shape", "dims"), DIMENSIONS, ids=str)
def test_dot_general(mat, shape, dims):
    y = RNG.normal(size=shape)
    (lc, rc), (lb, rb) = dims

    def product(m, y):
        return sparse.bcoo_dot_general(m, y, dimension_numbers=dims)

    want = np.asarray(lax.dot_general(by_hand(mat), y, dims))
    close(product(mat, y), want)
    close(pb.jit(product)(mat, y), want)
    turned = ((rc, lc), (rb, lb))
    want = lax.dot_general(y, by_hand(mat), turned)
    close(sparse.bcoo_dot_general(y, mat, dimension_numbers=turned), want)
    check_grads(
        lambda d, y: product(BCOO((d, mat.indices), shape=mat.shape), y), (mat.data, y), order=2
    )


def test_dot_general_of_two_sparse_arrays():
    a, b = stored((4, 5)), stored((5, 3))
    c, d = stored((2, 4, 5), n_batch=1), stored((2, 5, 3), n_batch=1)
    for x, y, dims in (
        (a, b, (([1], [0]), ([], []))),
        (a, a, (([0, 1], [0, 1]), ([], []))),
        (a, b, (([], []), ([], []))),
        (c, d, (([2], [1]), ([0], [0]))),
        (c, b, (([2], [0]), ([], []))),
    ):
        out = sparse.bcoo_dot_general(x, y, dimension_numbers=dims)
        assert isinstance(out, BCOO)
        close(out, lax.dot_general(by_hand(x), by_hand(y), dims))
    close(a @ b, by_hand(a) @ by_hand(b))

    def product(d):
        return (BCOO((d, a.indices), shape=a.shape) @ b).todense()

    check_grads(product, (a.data,), order=2)


def test_dot_general_sampled():
    x, y = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 5))
    dims = (([1], [0]), ([], []))
    at = stored((4, 5)).indices

    def sampled(x, y):
        return sparse.bcoo_dot_general_sampled(x, y, at, dimension_numbers=dims)

    full = np.pad(x @ y, ((0, 1), (0, 1)))
    close(sampled(x, y), full[tuple(np.asarray(at).T)])
    check_grads(sampled, (x, y), order=2)
    x, y = RNG.normal(size=(2, 4, 3)), RNG.normal(size=(2, 3))
    at = stored((2, 4), n_batch=1).indices
    found = sparse.bcoo_dot_general_sampled(x, y, at, dimension_numbers=(([2], [1]), ([0], [0])))
    full = np.pad(np.einsum("bij,bj->bi", x, y), ((0, 0), (0, 1)))
    close(found, np.take_along_axis(full, np.asarray(at)[..., 0], 1))


@layouts
def test_multiply_dense(mat):
    for shape in {mat.shape, mat.shape[1:], (), (1,) * mat.ndim, (*mat.shape[:-1], 1)}:
        v = RNG.normal(size=shape)
        close(mat * v, by_hand(mat) * v)
        close(v * mat, by_hand(mat) * v)
        close(mat / v, by_hand(mat) / v)
    check_grads(
        lambda d, v: (BCOO((d, mat.indices), shape=mat.shape) * v).todense(),
        (mat.data, RNG.normal(size=mat.shape)),
        order=2,
    )


@pytest.mark.parametrize("padding", [[(0, 0)], [(2, 1)], "SAME", "VALID"])
def test_convolution(padding):
    x, y = stored((1, 1, 7), n_batch=2), stored((1, 1, 3), n_batch=2, nse=4)

    def convolved(x, y):
        return lax.conv_general_dilated(x, y, (1,), padding)

    want = convolved(jnp.asarray(by_hand(x)), jnp.asarray(by_hand(y)))
    for a, b in ((x, y), (x, by_hand(y)), (by_hand(x), y), (x.update_layout(n_batch=0), y)):
        close(sparse.bcoo_conv_general_dilated(a, b, window_strides=(1,), padding=padding), want)
        close(sparse.sparsify(convolved)(a, b), want)
    with pytest.raises(NotImplementedError, match="without strides"):
        sparse.bcoo_conv_general_dilated(x, y, window_strides=(2,), padding=padding)


def test_multiply_sparse():
    for x, y in (
        (stored((4, 5)), stored((4, 5))),
        (stored((4, 1)), stored((4, 5))),
        (stored((2, 4), n_batch=1), stored((2, 4), n_batch=1)),
        (stored((2, 4), n_batch=1), stored((2, 4))),
        (stored((4, 5, 2), n_dense=1), stored((4, 5, 2), n_dense=1)),
    ):
        close(x * y, by_hand(x) * by_hand(y))
    m = BCOO.fromdense(numbers(3, 4))
    assert (m * m).nse == m.nse  # the same places
    with pytest.raises(TypeError, match="must have same number of dimensions"):
        stored((4, 5)) * stored((5,))


@layouts
def test_sums(mat):
    want = by_hand(mat)
    for n in range(mat.ndim + 1):
        for axes in itertools.combinations(range(mat.ndim), n):
            close(sparse.bcoo_reduce_sum(mat, axes=axes), want.sum(axes))
    close(mat.sum(), want.sum())
    close(mat.sum(axis=-1), want.sum(-1))
    assert not isinstance(mat.sum(), BCOO)
    with pytest.raises(ValueError, match="an axis is out of bounds"):
        sparse.bcoo_reduce_sum(mat, axes=[mat.ndim])


@layouts
def test_operators(mat):
    want = by_hand(mat)
    other = stored(mat.shape, mat.n_batch, mat.n_dense, 4)
    close(mat + other, want + by_hand(other))
    close(mat - other, want - by_hand(other))
    close(mat + mat, 2 * want)
    assert (mat + mat).nse == mat.nse
    x = RNG.normal(size=mat.shape)
    for found, wanted in (
        (mat + x, want + x),
        (x + mat, want + x),
        (mat - x, want - x),
        (x - mat, x - want),
        (-mat, -want),
        (+mat, want),
        (abs(mat), abs(want)),
        (mat**3, want**3),
        (2 * mat, 2 * want),
        (mat / 3, want / 3),
    ):
        close(found, wanted)
    assert mat.astype(np.float32).dtype == np.float32
    assert (mat * np.float32(2)).dtype == np.float64
    for bad in (lambda: mat + 1, lambda: mat == 0, lambda: 1 / mat, lambda: mat**0):
        with pytest.raises(NotImplementedError):
            bad()


@pytest.mark.parametrize("mat", MATRICES, ids=label)
def test_matmul(mat):
    want = by_hand(mat)
    for y in (RNG.normal(size=mat.shape[-1]), RNG.normal(size=(mat.shape[-1], 2))):
        close(mat @ y, want @ y)
    v = RNG.normal(size=mat.shape[-2])
    close(v @ mat, v @ want)
    close(jnp.asarray(v) @ mat, v @ want)
    integers = np.arange(mat.shape[-1])
    assert (mat @ integers).dtype == np.float64
    close(mat @ integers, want @ integers)


# ---- transformations


def test_vmap_over_batches():
    mats = stored((3, 4, 5), n_batch=1)
    x = RNG.normal(size=(3, 5))
    want = by_hand(mats)
    close(pb.vmap(lambda m, x: m @ x)(mats, x), np.einsum("bij,bj->bi", want, x))
    inner = []

    def doubled(m):
        inner.append(m.shape)
        return 2 * m

    out = pb.vmap(doubled)(mats)
    assert inner == [(4, 5)] and out.shape == (3, 4, 5)
    close(out, 2 * want)
    close(pb.jit(pb.vmap(doubled))(mats), 2 * want)
    one = stored((4, 5))
    with pytest.raises(ValueError, match="over its batch axes only"):
        pb.vmap(lambda m: m)(one)
    spread = pb.vmap(lambda v: one * v)(np.arange(3.0))
    assert spread.shape == (3, 4, 5)
    close(spread, np.arange(3.0)[:, None, None] * by_hand(one))


def test_derivatives_with_respect_to_sparse_arrays():
    m, v = BCOO.fromdense(numbers(4, 5)), RNG.normal(size=5)

    def loss(m, v):
        return jnp.sum(jnp.sin(m @ v))

    g = sparse.grad(loss)(m, v)
    want = pb.grad(loss)(m.todense(), v)
    assert g.indices is m.indices
    close(g.data, np.asarray(want)[tuple(np.asarray(m.indices).T)])
    value, (gm, gv) = sparse.value_and_grad(loss, (0, 1))(m, v)
    close(value, loss(m, v))
    close(gm.data, g.data)
    close(gv, pb.grad(loss, 1)(m.todense(), v))
    (value, aux), g = sparse.value_and_grad(lambda m: (m.sum(), m.shape), has_aux=True)(m)
    close(g.data, np.ones(m.nse))
    assert aux == (4, 5)
    for jacobian in (sparse.jacfwd, sparse.jacrev):
        j = jacobian(lambda m: m @ v)(m)
        assert j.shape == (4, 4, 5) and j.n_batch == 1
        row = np.asarray(m.indices)[:, 0]
        close(j.data, np.where(row == np.arange(4)[:, None], v[np.asarray(m.indices)[:, 1]], 0))
    tree = sparse.grad(lambda t: loss(t["m"], t["v"]))({"m": m, "v": v})
    close(tree["m"].data, gm.data)


def test_loops_and_branches_carry_sparse_arrays():
    m = stored((4, 4))

    def step(c, _):
        return c * 0.5, c @ np.ones(4)

    last, rows = lax.scan(step, m, None, length=3)
    close(last, by_hand(m) / 8)
    close(rows, [by_hand(m).sum(1) / 2**i for i in range(3)])
    close(lax.cond(True, lambda m: 2 * m, lambda m: m, m), 2 * by_hand(m))


# ---- sparsify


SPARSIFIED = {
    "product": lambda m, v: 2 * m.T @ v[:4],
    "left": lambda m, v: v[:4] @ m,
    "einsum": lambda m, v: jnp.einsum("ij,j->i", m, v),
    "functions": lambda m, v: jnp.sin(m) + jnp.sqrt(jnp.abs(m)),
    "reshaped": lambda m, v: m.reshape(2, 10).sum(1) * 3,
    "stacked": lambda m, v: jnp.concatenate([m, m]) - jnp.concatenate([m, 2 * m]),
    "stack": lambda m, v: jnp.stack([m, m * m]),
    "index": lambda m, v: m[1:, ::-1][0] * v,
    "gather": lambda m, v: m[jnp.array([1, 0, 3])],
    "mean": lambda m, v: m.mean(),
    "square": lambda m, v: m**2 / v,
    "jit": lambda m, v: pb.jit(jnp.sin)(m) @ v,
    "checkpoint": lambda m, v: pb.checkpoint(jnp.sin)(m) @ v,
    "loop": lambda m, v: lax.fori_loop(0, 3, lambda i, c: c + (m @ v).sum(), 1.0),
    "while": lambda m, v: lax.while_loop(
        lambda s: s[1] < 3, lambda s: (s[0] * 2, s[1] + 1), (m, 0)
    )[0],
    "cond": lambda m, v: lax.cond(v[0] > 0, lambda m: m * 2, lambda m: m * 3, m),
    "todense": lambda m, v: jnp.cos(sparse.todense(m)) @ v,
    "dense": lambda m, v: jnp.cos(v),
}


@pytest.mark.parametrize("name", SPARSIFIED)
def test_sparsify(name):
    mat, v = stored((4, 5)), RNG.normal(size=5)
    f = SPARSIFIED[name]
    want = dense(f(jnp.asarray(by_hand(mat)), jnp.asarray(v)))
    close(sparse.sparsify(f)(mat, v), want)
    close(pb.jit(sparse.sparsify(f))(mat, v), want)


def test_sparsify_of_trees_and_what_it_refuses():
    m = stored((4, 5))
    out = sparse.sparsify(lambda t, *, k: {"a": (t["m"] * k, 1.0)})({"m": m}, k=3)
    close(out["a"][0], 3 * by_hand(m))
    with pytest.raises(NotImplementedError, match="sparse rule for cos is not implemented"):
        sparse.sparsify(jnp.cos)(m)
    with pytest.raises(NotImplementedError, match="non-positive exponent -1"):
        sparse.sparsify(lambda x: x**-1)(m)
    b = BCSR.fromdense(by_hand(m))
    close(sparse.sparsify(lambda m, v: jnp.sin(m) @ v)(b, np.ones(5)), np.sin(by_hand(m)).sum(1))


# ---- linear algebra


def test_spsolve():
    a = numbers(6, 6) + 4 * np.eye(6)
    m, b = BCSR.fromdense(a, nse=np.count_nonzero(a) + 2), RNG.normal(size=6)

    def solution(data, b):
        return sparse.linalg.spsolve(data, m.indices, m.indptr, b)

    close(solution(m.data, b), np.linalg.solve(a, b))
    close(pb.jit(solution)(m.data, b), np.linalg.solve(a, b))
    rows = RNG.normal(size=(3, 6))
    close(pb.vmap(solution, (None, 0))(m.data, rows), np.linalg.solve(a, rows.T).T)
    scaled = pb.vmap(solution, (0, None))(np.arange(1.0, 4)[:, None] * np.asarray(m.data), b)
    close(scaled, np.linalg.solve(a, b) / np.arange(1.0, 4)[:, None])
    check_grads(solution, (m.data, b), order=2)
    assert np.isnan(
        sparse.linalg.spsolve(np.ones(1), np.array([0]), np.array([0, 1, 1]), np.ones(2))
    ).all()
    with pytest.raises(ValueError, match="spsolve needs flat CSR buffers"):
        sparse.linalg.spsolve(m.data, m.indices, m.indptr, np.ones(5))


def test_lobpcg():
    for a in (
        RNG.normal(size=(60, 60)),
        RNG.normal(size=(60, 60)) + 1j * RNG.normal(size=(60, 60)),
    ):
        a = a @ a.conj().T
        start = RNG.normal(size=(60, 3)).astype(a.dtype)
        want = np.linalg.eigvalsh(a)[::-1][:3]
        for operator in (a, lambda v, a=a: a @ v, BCOO.fromdense(a)):
            values, vectors, i = sparse.linalg.lobpcg_standard(operator, start, m=300)
            np.testing.assert_allclose(values, want, 1e-9)
            np.testing.assert_allclose(a @ vectors, vectors * values, 0, 1e-4 * want[0])
            assert 3 < i < 300
    assert sparse.linalg.lobpcg_standard(a, start, m=2)[2] == 2
    with pytest.raises(ValueError, match="0 < 5 k < n"):
        sparse.linalg.lobpcg_standard(np.eye(10), np.eye(10)[:, :2])


# ---- the other formats


@pytest.mark.parametrize("kind", [BCOO, BCSR, COO, CSR, CSC])
def test_formats(kind):
    x = numbers(4, 5)
    m = kind.fromdense(x)
    close(m, x)
    close(kind.fromdense(x, nse=m.nse + 3), x)
    close(m @ np.arange(5.0), x @ np.arange(5.0))
    close(m @ np.ones((5, 2)), x @ np.ones((5, 2)))
    close(pb.jit(lambda m, v: m @ v)(m, np.arange(5)), x @ np.arange(5))
    assert (m.nse, m.shape, m.dtype, m.ndim, m.size, len(m)) == (
        np.count_nonzero(x),
        (4, 5),
        np.float64,
        2,
        20,
        4,
    )
    assert repr(m) == f"{kind.__name__}(float64[4, 5], nse={m.nse})"
    if kind is not BCSR:
        close(m.T, x.T)
        close(m.T @ np.arange(4.0), x.T @ np.arange(4.0))
    g = sparse.grad(lambda m: jnp.sum(m @ np.arange(5.0)))(m)
    assert type(g) is kind
    close(g, np.where(x != 0, np.arange(5.0), 0))
    name = kind.__name__.lower()
    close(sparse.empty((3, 4), sparse_format=name), np.zeros((3, 4)))
    for k in (-5, -1, 0, 2, 5):
        close(sparse.eye(3, 4, k, sparse_format=name), np.eye(3, 4, k))


def test_functions_of_the_other_formats():
    x, v, y = numbers(4, 5), RNG.normal(size=4), RNG.normal(size=(4, 2))
    for kind, vec, mat in (
        (COO, sparse.coo_matvec, sparse.coo_matmat),
        (CSR, sparse.csr_matvec, sparse.csr_matmat),
    ):
        m = kind.fromdense(x)
        close(vec(m, v, transpose=True), x.T @ v)
        close(mat(m, y, transpose=True), x.T @ y)
        close(vec(m, np.ones(5)), x.sum(1))
        with pytest.raises(TypeError, match="matmul with object of shape"):
            vec(m, y)
    batched = numbers(2, 4, 5)
    b = BCSR.fromdense(batched, n_batch=1)
    close(b, batched)
    close(b.to_bcoo(), batched)
    unsorted = stored((2, 4, 5), n_batch=1)
    close(BCSR.from_bcoo(unsorted), by_hand(unsorted))
    close(pb.vmap(lambda m, v: m @ v, (0, None))(b, np.ones(5)), batched.sum(-1))
    close(b[1], batched[1])
    close(sparse.bcsr_extract(b.indices, b.indptr, 2 * batched), 2 * b.data)
    close(sparse.bcsr_concatenate([b, b], dimension=1), np.concatenate([batched] * 2, 1))
    close(v @ BCSR.fromdense(x), v @ x)
    for unit in (COO, BCSR):
        with pytest.raises(NotImplementedError):
            unit.fromdense(x).transpose((1, 0))


def test_scipy():
    x = numbers(4, 5)
    for kind in (BCOO, BCSR):
        m = kind.from_scipy_sparse(scipy.sparse.csr_matrix(x))
        close(m, x)
        assert m.indices.dtype == np.int32


def test_random_bcoo():
    key = pb.random.key(0)
    m = sparse.random_bcoo(key, (10, 10), nse=7, sorted_indices=True)
    assert m.nse == 7 and len({tuple(r) for r in np.asarray(m.indices)}) == 7
    assert m.indices_sorted
    m = sparse.random_bcoo(key, (3, 4, 5), nse=0.3, n_batch=1, n_dense=1, dtype=np.float32)
    assert m.data.shape == (3, 2, 5) and m.dtype == np.float32
    if peer.INSTALLED:
        with jax.enable_x64(True):
            t = theirs.random_bcoo(jax.random.key(0), (6, 7), nse=5)
        m = sparse.random_bcoo(key, (6, 7), nse=5)
        np.testing.assert_array_equal(m.indices, t.indices)
        np.testing.assert_array_equal(m.data, t.data)


# ---- as JAX does it


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
@pytest.mark.parametrize(
    "f",
    [
        lambda s, m: s.BCOO.fromdense(m.todense(), nse=9),
        lambda s, m: m.sum_duplicates(),
        lambda s, m: m.sum_duplicates(nse=8, remove_zeros=False),
        lambda s, m: m.sort_indices(),
        lambda s, m: m.T,
        lambda s, m: m + m.T.T,
        lambda s, m: m[None],
        lambda s, m: m.reshape(2, 10),
        lambda s, m: s.bcoo_update_layout(m, n_dense=1, on_inefficient=None),
        lambda s, m: s.bcoo_extract(m, 2 * m.todense()),
        lambda s, m: s.bcoo_reduce_sum(m, axes=[0]),
        lambda s, m: s.eye(3, 4, 1),
        lambda s, m: s.empty((3, 4), nse=2),
        lambda s, m: s.BCSR.fromdense(m.todense()),
    ],
)
def test_buffers_are_those_of_jax(f):
    data, indices = RNG.normal(size=6), RNG.integers(0, (4, 5), (6, 2)).astype(np.int32)
    ours = f(sparse, BCOO((data, indices), shape=(4, 5)))
    with jax.enable_x64(True):
        wanted = f(theirs, theirs.BCOO((data, indices), shape=(4, 5)))
        assert repr(ours) == repr(wanted)
        for a, b in zip(ours.tree_flatten()[0], wanted.tree_flatten()[0], strict=True):
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), 1e-14, 1e-14)
            assert a.dtype == b.dtype


# ---- errors and structure


def test_errors():
    m = LAYOUTS[0]
    for args, shape, message in (
        ((np.ones(3), np.zeros((4, 2), int)), (4, 5), "the stored elements do not fit"),
        ((np.ones(3), np.zeros((3, 3), int)), (4, 5), "not compatible"),
        ((np.ones((2, 3)), np.zeros((2, 3, 1), int)), (4, 5), "not compatible"),
    ):
        with pytest.raises(ValueError, match=message):
            BCOO(args, shape=shape)
    with pytest.raises(TypeError, match="indices of a sparse array are integers"):
        BCOO((np.ones(3), np.zeros((3, 2))), shape=(4, 5))
    with pytest.raises(sparse.SparseEfficiencyError, match="increasing n_batch from 0 to 1"):
        m.update_layout(n_batch=1)
    with pytest.warns(sparse.SparseEfficiencyWarning, match="increasing n_dense from 0 to 1"):
        m.update_layout(n_dense=1, on_inefficient="warn")
    with pytest.raises(ValueError, match="nse must be specified when using the function within"):
        pb.jit(lambda m: m.sum_duplicates())(m)
    with pytest.raises(NotImplementedError, match="cannot permute batch axes with non-batch axes"):
        LAYOUTS[3].transpose((1, 0, 2))
    with pytest.raises(NotImplementedError, match="contracting over dense dimensions"):
        sparse.bcoo_dot_general(LAYOUTS[4], np.ones(2), dimension_numbers=(([2], [0]), ([], [])))
    with pytest.raises(NotImplementedError, match="the output shape matches the sparse matrix"):
        m * np.ones((3, 4, 5))
    with pytest.raises(TypeError, match="contracted axes of the same length"):
        m @ np.ones(3)
    with pytest.raises(ValueError, match="sparse_format='x' not recognized"):
        sparse.eye(3, sparse_format="x")


def test_as_a_pytree():
    m = LAYOUTS[0]
    leaves = pb.tree.leaves(m)
    assert leaves[0] is m.data and leaves[1] is m.indices
    doubled = pb.tree.map(lambda x: x * 1, m)
    assert isinstance(doubled, BCOO) and doubled.shape == (4, 5)
    assert repr(pb.tree.map(lambda x: None, m)) == "BCOO(<invalid>)"
    axes = pb.tree.map(lambda x: 0, m)
    assert (axes.data, axes.indices, axes.shape) == (0, 0, (4, 5))
    with pytest.raises(TypeError, match="unhashable"):
        hash(m)
