"""einsum, dot, matmul and their kin, against NumPy and JAX: values, dtypes, derivatives, errors."""

import itertools
import re
from functools import cache

import numpy as np
import pytest

from pullback.api import grad
from pullback.core.settings import enable_x64
from pullback.mapping import vmap
from pullback.numpy import contraction
from pullback.numpy.arithmetic import multiply
from pullback.numpy.contraction import cross, dot, matmul, outer, tensordot, trace, vecdot
from pullback.numpy.einsum import einsum, einsum_path
from pullback.numpy.reductions import sum as sum_

jnp = pytest.importorskip("jax.numpy")
jax = pytest.importorskip("jax")


def numbers(*shape, dtype="float32", seed=0):
    values = np.random.default_rng(seed + sum(shape)).normal(size=shape) * 2
    if np.dtype(dtype).kind == "c":
        values = values + 1j * np.random.default_rng(seed + 1).normal(size=shape)
    return values.astype(dtype)


def operands(shapes, dtype="float32"):
    return [numbers(*s, dtype=dtype, seed=i) for i, s in enumerate(shapes)]


def same(got, want, tolerance=1e-5):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * 10)


CASES = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ba,cb", (2, 3), (4, 2)),
    ("ij->ji", (2, 3)),
    ("ij", (2, 3)),
    ("ji", (2, 3)),
    ("ij->", (2, 3)),
    ("ij->j", (2, 3)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("iij->j", (2, 2, 3)),
    ("iji->j", (2, 3, 2)),
    ("iii->i", (3, 3, 3)),
    ("iijj->ij", (2, 2, 3, 3)),
    ("ijij->", (2, 3, 2, 3)),
    ("i,i->", (3,), (3,)),
    ("i,i->i", (3,), (3,)),
    ("i,j->ij", (3,), (2,)),
    ("i,j->ji", (3,), (2,)),
    ("ij,ij->ij", (2, 3), (2, 3)),
    ("ij,ij->", (2, 3), (2, 3)),
    ("ij,ii->j", (3, 2), (3, 3)),
    ("ij,kj->ki", (2, 3), (4, 3)),
    ("ijk,ijk->k", (2, 3, 4), (2, 3, 4)),
    ("ij,k->i", (2, 3), (4,)),
    ("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5)),
    ("...i->...", (2, 3, 4)),
    ("i...->...", (2, 3)),
    ("b...i,b...j->b...ij", (2, 3, 4), (2, 3, 5)),
    ("...ij,...jk->...ik", (5, 1, 2, 3), (4, 3, 2)),
    ("...,...", (2, 3), (3,)),
    ("...ij", (2, 3, 4)),
    ("ij...,jk...->ik...", (2, 3, 4), (3, 5, 4)),
    ("->", ()),
    (",->", (), ()),
    ("i,->i", (3,), ()),
    (" ij , jk -> ik ", (2, 3), (3, 4)),
    ("aB,Bc", (2, 3), (3, 4)),
    ("ij,ij->ij", (1, 3), (2, 3)),
    ("ij,ij->", (2, 1), (2, 3)),
    ("ij,ij->j", (2, 1), (2, 3)),
    ("ij,jk->ik", (0, 3), (3, 4)),
    ("ij,jk->ik", (2, 0), (0, 4)),
    ("a,a,a->a", (3,), (3,), (3,)),
    ("a,b,c->cab", (3,), (2,), (4,)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)),
    ("ij,j,k->", (2, 3), (3,), (4,)),
    ("ab,bc,cd,de->ae", (2, 3), (3, 2), (2, 4), (4, 2)),
    ("ii,jj,ij->i", (3, 3), (2, 2), (3, 2)),
]


@pytest.mark.parametrize("dtype", ["float32", "complex64", "int32"])
@pytest.mark.parametrize(("subscripts", "shapes"), [(c[0], c[1:]) for c in CASES])
def test_einsum_agrees_with_numpy_and_jax(subscripts, shapes, dtype):
    xs = operands(shapes, dtype)
    got = einsum(subscripts, *xs)
    same(got, np.einsum(subscripts, *xs).astype(dtype))
    assert got.dtype == jax.eval_shape(lambda *xs: jnp.einsum(subscripts, *xs), *xs).dtype


@cache
def gradients_of_jax():
    """Of all cases, compiled together: one by one takes a minute."""

    def gradient(subscripts, xs):
        def f(*xs):
            return jnp.sum(jnp.einsum(subscripts, *xs) ** 2)

        return jax.grad(f, tuple(range(len(xs))))(*xs)

    def together(all_operands):
        return [gradient(c[0], xs) for c, xs in zip(CASES, all_operands, strict=True)]

    options = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
    return jax.jit(together, compiler_options=options)([operands(c[1:]) for c in CASES])


@pytest.mark.parametrize("i", range(len(CASES)), ids=[c[0] for c in CASES])
def test_gradients_of_einsum_agree_with_jax(i):
    subscripts, *shapes = CASES[i]
    xs = operands(shapes)

    def ours(*xs):
        y = einsum(subscripts, *xs)
        return sum_(multiply(y, y))

    got = grad(ours, tuple(range(len(xs))))(*xs)
    for g, want in zip(got, gradients_of_jax()[i], strict=True):
        same(g, want, 1e-4)


@pytest.mark.parametrize(
    "optimize", [True, False, "auto", "greedy", "optimal", "dp", [(0, 1), (0, 1)], [(0, 1, 2)]]
)
def test_every_order_gives_the_same(optimize):
    xs = operands([(2, 3), (3, 4), (4, 5)])
    same(einsum("ij,jk,kl->il", *xs, optimize=optimize), np.einsum("ij,jk,kl->il", *xs))


def test_a_path_of_einsum_path_is_accepted():
    xs = operands([(2, 3), (3, 4), (4, 5)])
    path, info = einsum_path("ij,jk,kl->il", *xs)
    assert path == jnp.einsum_path("ij,jk,kl->il", *xs)[0]
    assert "Complete contraction:  ij,jk,kl->il" in str(info)
    same(einsum("ij,jk,kl->il", *xs, optimize=path), np.einsum("ij,jk,kl->il", *xs))
    numpy_path = ["einsum_path", *path]
    same(einsum("ij,jk,kl->il", *xs, optimize=numpy_path), np.einsum("ij,jk,kl->il", *xs))


@pytest.mark.parametrize(
    ("lists", "result"),
    [
        ([[0, 1], [1, 2]], None),
        ([[5, 1], [1, 0]], None),
        ([[0, 1], [1, 2]], [2, 0]),
        ([[Ellipsis, 0], [0, Ellipsis]], [Ellipsis]),
    ],
)
def test_axes_may_be_named_by_numbers(lists, result):
    xs = operands([(2, 3), (3, 2)])
    args = [*itertools.chain(*zip(xs, lists, strict=True)), *([] if result is None else [result])]
    same(einsum(*args), np.einsum(*args))


def test_preferred_element_type():
    x = numbers(2, 3, dtype="float16")
    assert einsum("ij->i", x, preferred_element_type="float32").dtype == np.float32
    assert einsum("ij,ij->i", x, x, preferred_element_type=np.float32).dtype == np.float32
    ints = np.full((300,), 100, np.int8)
    assert einsum("i,i->", ints, ints, preferred_element_type="int32") == 3_000_000
    assert dot(ints, ints, preferred_element_type="int32") == 3_000_000
    assert dot(ints, ints).dtype == np.int8


def test_bools_and_mixed_dtypes():
    x = np.array([[True, False], [False, False]])
    same(einsum("ij->i", x), [True, False])
    same(einsum("ij,jk->ik", x, x), x)
    mixed = einsum("i,i->", np.arange(3, dtype=np.int32), numbers(3))
    assert mixed.dtype == np.float32
    assert einsum("i->i", 2.0 * np.ones(2, np.float32)).dtype == np.float32


def test_weak_types_stay_weak():
    assert dot(2.0, 3.0).weak_type == jnp.dot(2.0, 3.0).weak_type
    assert einsum(",->", 2.0, 3.0).weak_type == jnp.einsum(",->", 2.0, 3.0).weak_type


MISTAKES = [
    (
        ("ij,jk", (2, 3)),
        "einsum: there are 2 groups of letters for 1 operands.",
        "'ij,jk' for operands of shapes (2, 3)",
    ),
    (
        ("ij,jk", (2, 3), (2, 3)),
        "einsum: axis 'j' has lengths 3 and 2.",
        "'ij,jk' for operands of shapes (2, 3), (2, 3)",
    ),
    (
        ("ij->ik", (2, 3)),
        "einsum: 'k' stands in the result, but in no operand.",
        "'ij->ik' for operands of shapes (2, 3)",
    ),
    (
        ("ij->ii", (2, 3)),
        "einsum: 'i' stands twice in the result.",
        "'ij->ii' for operands of shapes (2, 3)",
    ),
    (
        ("i", (2, 3)),
        "einsum: 'i' does not name each axis of an operand of shape (2, 3).",
        "'i' for operands of shapes (2, 3)",
    ),
    (
        ("i1", (2, 3)),
        "einsum: '1' is no letter.",
        "'i1' for operands of shapes (2, 3)",
    ),
    (
        ("ii", (2, 3)),
        "einsum: axis 'i' has lengths 2 and 3.",
        "'ii' for operands of shapes (2, 3)",
    ),
    (
        ("...,...", (2, 3), (4,)),
        "einsum: an axis of ... has lengths 3 and 4.",
        "'...,...' for operands of shapes (2, 3), (4,)",
    ),
]


@pytest.mark.parametrize(("call", "what", "got"), MISTAKES)
def test_mistakes_in_subscripts(call, what, got):
    subscripts, *shapes = call
    with pytest.raises(ValueError) as caught:
        einsum(subscripts, *operands(shapes))
    first, second, where, fix = str(caught.value).split("\n")
    assert first == what
    assert second == f"  Got: {got}"
    assert where.startswith(f"  Where: {__file__}")
    assert fix == (
        "  Fix: give one letter for each axis, and the same letter only to axes of the same length."
    )


# ---- dot and its kin

SHAPES = [(), (3,), (2, 3), (3, 3), (3, 4), (2, 3, 3), (5, 1, 3, 3), (1, 2, 3, 4)]


def _pairs(function):
    """The shapes that NumPy's function takes, and its result."""
    for a, b in itertools.product(SHAPES, SHAPES):
        x, y = numbers(*a), numbers(*b, seed=1)
        try:
            yield x, y, np.asarray(function(x, y))
        except (ValueError, IndexError):
            yield x, y, None


@pytest.mark.parametrize("name", ["dot", "matmul", "inner", "outer", "kron", "vecdot", "tensordot"])
def test_products_of_all_shapes(name):
    ours, theirs = getattr(contraction, name), getattr(np, name)
    count = 0
    for x, y, want in _pairs(theirs):
        if want is None:
            with pytest.raises((TypeError, ValueError), match="Got:"):
                ours(x, y)
        else:
            same(ours(x, y), want)
            count += 1
    assert count > 5


@pytest.mark.parametrize("name", ["matvec", "vecmat"])
def test_products_of_matrices_and_vectors(name):
    ours, theirs = getattr(contraction, name), getattr(jnp, name)
    shapes = [((2, 3), (3,)), ((5, 2, 3), (3,)), ((2, 3), (5, 3)), ((4, 1, 2, 3), (5, 3))]
    for a, b in shapes:
        if name == "vecmat":
            a, b = b, (*a[:-2], a[-1], a[-2])
        x, y = numbers(*a, dtype="complex64"), numbers(*b, dtype="complex64", seed=1)
        same(ours(x, y), theirs(x, y))


@pytest.mark.parametrize("name", ["vdot", "vecdot", "inner", "outer", "dot", "kron"])
def test_what_is_conjugated(name):
    x, y = numbers(3, dtype="complex64"), numbers(3, dtype="complex64", seed=1)
    same(getattr(contraction, name)(x, y), getattr(np, name)(x, y))
    same(getattr(contraction, name)(x.real, y), getattr(jnp, name)(x.real, y))


@pytest.mark.parametrize("axes", [0, 1, 2, (0, 1), ([1, 2], [0, 1]), ((-1,), (-2,)), ([], [])])
def test_tensordot_axes(axes):
    x, y = numbers(2, 3, 2), numbers(3, 2, 3)
    try:
        want = np.tensordot(x, y, axes)
    except ValueError:
        with pytest.raises(TypeError, match="a product needs contracted axes of the same length"):
            tensordot(x, y, axes)
        return
    same(tensordot(x, y, axes), want)


@pytest.mark.parametrize(
    ("axes", "what"),
    [
        (4, "tensordot cannot sum over 4 axes of these arrays."),
        ("ij", "tensordot axes must be an integer, a pair of integers or a pair of lists"),
        (([0], [0, 1]), "tensordot needs as many axes of the first array as of the second."),
    ],
)
def test_mistakes_in_tensordot_axes(axes, what):
    with pytest.raises(TypeError, match=re.escape(what)):
        tensordot(numbers(2, 3), numbers(3, 2), axes)


@pytest.mark.parametrize(
    ("a", "b", "axes"),
    [
        ((3,), (3,), {}),
        ((2, 3), (3,), {}),
        ((2,), (3,), {}),
        ((3,), (2,), {}),
        ((2,), (2,), {}),
        ((4, 2), (4, 2), {}),
        ((3, 4), (4, 3), {"axisa": 0}),
        ((3, 4), (3, 4), {"axis": 0}),
        ((3, 4), (4, 3), {"axisa": 0, "axisc": 0}),
    ],
)
def test_cross(a, b, axes):
    x, y = numbers(*a), numbers(*b, seed=1)
    same(cross(x, y, **axes), jnp.cross(x, y, **axes))


@pytest.mark.parametrize("offset", [0, 1, -1, 5])
def test_trace(offset):
    x = numbers(3, 4, 2)
    same(trace(x, offset), np.trace(x, offset))
    same(trace(x, offset, 2, 1), np.trace(x, offset, 2, 1))


def test_axes_of_different_lengths_are_named():
    with pytest.raises(TypeError) as caught:
        dot(numbers(2, 3), numbers(4))
    first, got, where, fix = str(caught.value).split("\n")
    assert first == (
        "a product needs contracted axes of the same length: axis 1 of the first array has length "
        "3, axis 0 of the second has 4."
    )
    assert got == "  Got: f32[2,3] and f32[4]"
    assert where.startswith(f"  Where: {__file__}")
    assert fix == "  Fix: transpose or reshape one of the arrays."


def test_matmul_refuses_scalars_and_stacks_that_do_not_broadcast():
    with pytest.raises(ValueError, match=r"matmul input operand 1 must have ndim at least 1, but"):
        matmul(numbers(3), 2.0)
    with pytest.raises(ValueError, match=r"matmul got stacks of shapes \(2,\) and \(4,\)"):
        matmul(numbers(2, 3, 3), numbers(4, 3, 3))
    with pytest.raises(ValueError, match="vecdot needs operands of the same length"):
        vecdot(numbers(3), numbers(4))


def test_mapped_products():
    x, y = numbers(5, 2, 3), numbers(3, 4)
    same(vmap(matmul, (0, None))(x, y), x @ y)
    same(vmap(outer)(x[:, 0], x[:, 1]), np.einsum("bi,bj->bij", x[:, 0], x[:, 1]))
    same(vmap(lambda x: einsum("ij,kj->ik", x, x))(x), np.einsum("bij,bkj->bik", x, x))


def test_large_integers_wrap_around_as_in_xla():
    rng = np.random.default_rng(0)
    for dtype in (np.int8, np.int32, np.uint32):
        info = np.iinfo(dtype)
        x = rng.integers(info.min, info.max, (60, 50), dtype, endpoint=True)
        same(matmul(x, x.T), jnp.matmul(x, x.T))
    small = rng.integers(-5, 5, (200, 200), np.int32)
    same(matmul(small, small), small @ small)


def test_long_sums_of_short_floats_are_exact_enough():
    ones = np.ones(5000, np.float16)
    assert float(dot(ones, ones)) == 5000
    import ml_dtypes

    ones = np.ones(5000, ml_dtypes.bfloat16)
    assert float(dot(ones, ones)) == float(ml_dtypes.bfloat16(5000))


def test_x64():
    with enable_x64():
        x = numbers(2, 3, dtype="float64")
        same(einsum("ij,kj->ik", x, x), x @ x.T, 1e-14)


@pytest.mark.parametrize("shapes", [((65, 1), (1, 1)), ((1, 1), (1, 65)), ((1,), (1, 65))])
def test_zero_times_infinity_is_no_number(shapes):
    x, y = (np.zeros(s, np.float32) for s in shapes)
    large = x if x.size > 1 else y
    large.reshape(-1)[[3, 4]] = np.inf, np.nan
    found = np.asarray(matmul(x, y)).reshape(-1)
    assert np.isnan(found[[3, 4]]).all()
    assert not found[:3].any()
