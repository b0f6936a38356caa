"""Products with Hessians, Gauss-Newton and Fisher matrices, and exact diagonals: dense truths."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse as scipy_sparse

import pullback as pb
import pullback.numpy as jnp
from pullback import curvature, lax, nn
from pullback.curvature.diagonals import coloured_apart
from pullback.flatten_util import ravel_pytree

leaves = pb.tree_util.tree_leaves


@pytest.fixture(autouse=True)
def wide():
    with pb.enable_x64(True):
        yield


def close(got, expected, rtol=1e-10):
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=1e-11)


def numbers(*shape):
    return jnp.asarray(np.random.normal(size=shape))


def loss(w, b, scale=1.0):
    return scale * jnp.sum(jnp.tanh(w @ b["p"]) ** 2) + jnp.sum(jnp.sin(w)) * b["q"] ** 3


def arguments():
    return numbers(3, 2), {"p": numbers(2), "q": jnp.asarray(1.7)}


def dense_hessian(f, tree):
    flat, unravel = ravel_pytree(tree)
    return pb.hessian(lambda v: f(unravel(v)))(flat)


# ---- Hessians


def test_the_dense_matrix_is_the_hessian():
    w, b = arguments()
    expected = dense_hessian(lambda t: loss(*t), (w, b))
    close(curvature.hvp(loss, (0, 1))(w, b).dense(), expected)
    close(pb.jit(lambda *a: curvature.hvp(loss, (0, 1))(*a).dense())(w, b), expected)
    close(curvature.hvp(loss)(w, b).dense(), expected[:6, :6])
    close(curvature.hvp(loss, 1)(w, b).dense(), expected[6:, 6:])
    close(curvature.hvp(loss, -1)(w, b).dense(), expected[6:, 6:])


def test_products_have_the_structure_of_the_argument():
    w, b = arguments()
    v = pb.tree_util.tree_map(jnp.cos, b)
    got = curvature.hvp(loss, 1)(w, b)(v)
    assert pb.tree_util.tree_structure(got) == pb.tree_util.tree_structure(b)
    expected = pb.jvp(lambda b: pb.grad(loss, 1)(w, b), (b,), (v,))[1]
    for a, e in zip(leaves(got), leaves(expected), strict=True):
        assert (a.shape, a.dtype) == (e.shape, e.dtype)
        close(a, e)
    close((curvature.hvp(loss, 1)(w, b) @ v)["p"], expected["p"])
    kept = curvature.hvp(loss, 1)(w, b, scale=2.0)(v)
    plain = pb.jvp(lambda b: pb.grad(loss, 1)(w, b, scale=2.0), (b,), (v,))[1]
    close(kept["p"], plain["p"])


def test_a_quadratic_by_hand():
    matrix = np.array([[2.0, 1.0], [1.0, -3.0]])
    H = curvature.hvp(lambda x: 0.5 * x @ jnp.asarray(matrix) @ x)(jnp.array([5.0, 6.0]))
    close(H(jnp.array([1.0, 2.0])), matrix @ [1.0, 2.0])
    assert H.size == 2
    assert H.like == pb.ShapeDtypeStruct((2,), jnp.float64)


def test_has_aux():
    f = lambda x: (jnp.sum(x**3), {"seen": x})  # noqa: E731
    x = numbers(4)
    H, aux = curvature.hvp(f, has_aux=True)(x)
    close(H.dense(), np.diag(6 * np.asarray(x)))
    close(aux["seen"], x)
    d, aux = curvature.hessian_diagonal(f, has_aux=True)(x)
    close(d, 6 * np.asarray(x))
    close(aux["seen"], x)
    model = lambda x: (x**2, "aux")  # noqa: E731
    G, aux = curvature.gnvp(model, lambda y: 0.5 * jnp.sum(y**2), has_aux=True)(x)
    close(G.dense(), np.diag(4 * np.asarray(x) ** 2))
    assert aux == "aux"
    F, aux = curvature.fisher_vp(model, "gaussian", has_aux=True)(x)
    close(F.dense(), np.diag(4 * np.asarray(x) ** 2))
    assert aux == "aux"


def test_operators_go_through_transformations():
    f = lambda x: jnp.sum(jnp.sin(x) ** 2) * jnp.prod(x)  # noqa: E731
    x, v = numbers(4), numbers(4)
    expected = pb.hessian(f)(x)
    H = curvature.hvp(f)(x)
    close(pb.jit(lambda H, v: H(v))(H, v), expected @ v)
    close(pb.jit(lambda x: curvature.hvp(f)(x))(x).dense(), expected)
    close(pb.vmap(H)(jnp.stack([v, 2 * v])), np.stack([expected @ v, 2 * expected @ v]))
    xs = jnp.stack([x, x + 1])
    many = pb.vmap(lambda x: curvature.hvp(f)(x))(xs)
    got = pb.vmap(lambda H, v: H(v), (0, None))(many, v)
    close(got, np.stack([pb.hessian(f)(y) @ v for y in xs]))
    # The product is differentiable by the point: the third derivative.
    third = pb.grad(lambda x: v @ curvature.hvp(f)(x)(v))(x)
    close(third, pb.grad(lambda x: v @ pb.hessian(f)(x) @ v)(x), 1e-9)


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_both_engines(engine):
    f = lambda x: jnp.sum(jnp.tanh(x) ** 2)  # noqa: E731
    x, v = numbers(40), numbers(40)
    before = pb.config.pullback_engine
    pb.config.update("pullback_engine", engine)
    try:
        close(pb.jit(lambda x, v: curvature.hvp(f)(x)(v))(x, v), pb.hessian(f)(x) @ v)
        close(pb.jit(curvature.hessian_diagonal(f))(x), np.diag(pb.hessian(f)(x)))
    finally:
        pb.config.update("pullback_engine", before)


# ---- Gauss-Newton and Fisher matrices


def model(w, x):
    return jnp.tanh(x @ w["a"]) @ w["b"]


def network():
    w = {"a": numbers(3, 4), "b": numbers(4, 5)}
    return w, numbers(6, 3)


def jacobian_of(f, w):
    flat, unravel = ravel_pytree(w)
    return pb.jacrev(lambda v: ravel_pytree(f(unravel(v)))[0])(flat)


LOSSES = {
    "square": lambda y: 0.5 * jnp.sum(y**2),
    "softmax": lambda y: -jnp.sum(nn.log_softmax(y)[:, 0]),
    "not convex": lambda y: jnp.sum(jnp.sin(y)) + y[0, 0] * y[1, 1],
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("jit", [False, True])
def test_gauss_newton(name, jit):
    w, x = network()
    head = LOSSES[name]
    J = jacobian_of(lambda w: model(w, x), w)
    H = dense_hessian(lambda y: head(y.reshape(6, 5)), model(w, x).ravel())
    make = lambda w, x: curvature.gnvp(model, head)(w, x).dense()  # noqa: E731
    close((pb.jit(make) if jit else make)(w, x), J.T @ H @ J)


def test_gauss_newton_of_a_linear_model_is_the_hessian():
    x, head = numbers(6, 3), LOSSES["softmax"]
    f = lambda w: x @ w  # noqa: E731
    w = numbers(3, 5)
    got = curvature.gnvp(f, head)(w).dense()
    close(got, dense_hessian(lambda w: head(f(w)), w))


def test_gauss_newton_takes_trees_of_outputs():
    f = lambda w: {"p": w**2, "q": (jnp.sin(w[0]),)}  # noqa: E731
    head = lambda y: jnp.sum(y["p"] ** 2) * y["q"][0]  # noqa: E731
    w = numbers(3)
    J = jacobian_of(f, w)
    flat, unravel = ravel_pytree(f(w))
    H = pb.hessian(lambda v: head(unravel(v)))(flat)
    close(curvature.gnvp(f, head)(w).dense(), J.T @ H @ J)


LIKELIHOODS = {
    "softmax": lambda y: jnp.sum(nn.logsumexp(y, axis=-1)),
    "bernoulli": lambda y: jnp.sum(nn.softplus(y)),
    "poisson": lambda y: jnp.sum(jnp.exp(y)),
    "gaussian": lambda y: 0.5 * jnp.sum(y**2),
}
"""Log partition functions: their Hessians are the information in natural parameters."""


@pytest.mark.parametrize("head", LIKELIHOODS)
@pytest.mark.parametrize("jit", [False, True])
def test_fisher_matrices_of_named_heads(head, jit):
    w, x = network()
    J = jacobian_of(lambda w: model(w, x), w)
    H = dense_hessian(lambda y: LIKELIHOODS[head](y.reshape(6, 5)), model(w, x).ravel())
    make = lambda w, x: curvature.fisher_vp(model, head)(w, x).dense()  # noqa: E731
    close((pb.jit(make) if jit else make)(w, x), J.T @ H @ J)


def test_the_fisher_matrix_of_samples():
    w, x = network()
    ys = numbers(7, 6, 5)
    log_likelihood = lambda y, s: -0.5 * jnp.sum((y - s) ** 2)  # noqa: E731
    got = curvature.fisher_vp(model, log_likelihood, samples=ys)(w, x).dense()
    flat, unravel = ravel_pytree(w)
    rows = [pb.grad(lambda v, s=s: log_likelihood(model(unravel(v), x), s))(flat) for s in ys]
    close(got, sum(np.outer(g, g) for g in rows) / 7)


def test_samples_of_the_model_estimate_its_fisher_matrix():
    w = numbers(2)
    f = lambda w: jnp.stack([w[0] * w[1], w[0]])  # noqa: E731
    draws = f(w) + pb.random.normal(pb.random.key(0), (40_000, 2))
    log_likelihood = lambda y, s: -0.5 * jnp.sum((y - s) ** 2)  # noqa: E731
    got = curvature.fisher_vp(f, log_likelihood, samples=draws)(w).dense()
    exact = curvature.fisher_vp(f, "gaussian")(w).dense()
    # An element is a mean of products of two normals: its error is below 4 |J|^2 / sqrt(n).
    assert np.max(np.abs(got - exact)) < 4 * np.trace(exact) * np.sqrt(2 / 40_000)


# ---- diagonals

SCALARS = {
    "separable": lambda x: jnp.sum(jnp.exp(x) * jnp.sin(x)),
    "chain": lambda x: jnp.sum(jnp.sin(x[1:] * x[:-1])),
    "dense": lambda x: jnp.prod(jnp.cos(x)) * jnp.sum(x),
    "arrow": lambda x: x[0] * jnp.sum(x**3),
    "loop": lambda x: jnp.sum(lax.fori_loop(0, 3, lambda i, c: jnp.sin(c) * x, x)),
    "linear": lambda x: jnp.sum(3 * x),
}


@pytest.mark.parametrize("name", SCALARS)
@pytest.mark.parametrize("structure", ["auto", "dense"])
@pytest.mark.parametrize("how", ["eager", "jit", "vmap", "batches"])
def test_the_diagonal_is_that_of_the_hessian(name, structure, how):
    f, x = SCALARS[name], numbers(9)
    options = {"batch_size": 2} if how == "batches" else {}
    g = curvature.hessian_diagonal(f, structure=structure, **options)
    expected = np.diag(pb.hessian(f)(x))
    if how == "vmap":
        close(pb.vmap(g)(jnp.stack([x, x]))[1], expected)
    else:
        close((pb.jit(g) if how == "jit" else g)(x), expected)


def test_diagonals_of_trees():
    w, b = arguments()
    got = curvature.hessian_diagonal(loss, (0, 1))(w, b)
    assert pb.tree_util.tree_structure(got) == pb.tree_util.tree_structure((w, b))
    close(ravel_pytree(got)[0], np.diag(dense_hessian(lambda t: loss(*t), (w, b))))


def test_few_products_where_the_pattern_allows():
    # A chain of 3000: two colours. Its closed form: the second derivative of sin(x y) by x.
    x = numbers(3000)
    got = curvature.hessian_diagonal(SCALARS["chain"])(x)
    u = np.asarray(x)
    pair = np.sin(u[1:] * u[:-1])
    expected = np.zeros(3000)
    expected[:-1] -= u[1:] ** 2 * pair
    expected[1:] -= u[:-1] ** 2 * pair
    close(got, expected)
    from_pattern = pb.sparse.pattern(SCALARS["chain"], of="hessian")(x)
    assert coloured_apart(from_pattern).max() == 1


def test_colours_of_neighbours_differ():
    rng = np.random.default_rng(0)
    a = rng.random((40, 40)) < 0.1
    a |= a.T
    colours = coloured_apart(scipy_sparse.csr_array(a))
    for i, j in zip(*np.nonzero(a), strict=True):
        assert i == j or colours[i] != colours[j]


# ---- bad input


def hvp_with(v):
    return curvature.hvp(lambda x: jnp.sum(x**2))(jnp.ones(3))(v)


MISTAKES = [
    (lambda: hvp_with((jnp.ones(3),)), TypeError,
     "the vector must have the structure of the argument."),
    (lambda: hvp_with(jnp.ones(4)), ValueError, "vector and argument must have one shape."),
    (lambda: curvature.hvp(3), TypeError, "hvp takes a function as its first argument."),
    (lambda: curvature.hvp(lambda x: x)(jnp.ones(3)), TypeError,
     "Gradient only defined for scalar-output functions."),
    (lambda: curvature.gnvp(jnp.sin, lambda y: y)(jnp.ones(3)), TypeError,
     "Gradient only defined for scalar-output functions."),
    (lambda: curvature.gnvp(jnp.sin, None), TypeError,
     "gnvp takes a function as its first argument."),
    (lambda: curvature.fisher_vp(jnp.sin, "cauchy"), ValueError,
     "fisher_vp does not know this head."),
    (lambda: curvature.fisher_vp(jnp.sin, "poisson", samples=jnp.ones(3)), ValueError,
     "fisher_vp takes samples only with a function as head."),
    (lambda: curvature.fisher_vp(jnp.sin, lambda y, s: y), ValueError,
     "fisher_vp needs samples where the head is a function"),
    (lambda: curvature.hessian_diagonal(jnp.sum, structure="sparse"), ValueError,
     "hessian_diagonal knows the structures 'auto' and 'dense'."),
    (lambda: curvature.hessian_diagonal(jnp.sum, batch_size=0), ValueError,
     "hessian_diagonal makes at least one product at a time."),
    (lambda: curvature.hvp(jnp.sum, 1)(jnp.ones(3)), TypeError,
     "hvp: argnums names an argument that was not passed."),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "kind", "text"), MISTAKES)
def test_mistakes(mistake, kind, text):
    with pytest.raises(kind) as caught:
        mistake()
    whole = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert text in whole
    assert "Got: " in whole
    assert "Fix: " in whole
