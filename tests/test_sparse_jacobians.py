"""Sparse Jacobians and Hessians against dense ones, of known functions, on every engine."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
import scipy.sparse
from hypothesis import HealthCheck, given
from programs import STAGED, programs
from test_random_programs import function_of as run_of

import pullback
import pullback.numpy as jnp
from pullback import lax, sparse
from pullback.experimental.sparse import BCOO
from pullback.sparse import derivatives

ROUNDING = 1e-12
COUNT = hypothesis.settings.default.max_examples // 8

pytestmark = pytest.mark.usefixtures("x64")


@pytest.fixture(autouse=True, params=["numpy", "native"])
def engine(request):
    before = pullback.config.pullback_engine
    pullback.config.update("pullback_engine", request.param)
    yield request.param
    pullback.config.update("pullback_engine", before)


def points(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def close(got, want, tolerance=ROUNDING):
    got = got.toarray() if scipy.sparse.issparse(got) else got
    want = np.asarray(want)
    np.testing.assert_allclose(
        got, want, rtol=0, atol=tolerance * max(1, np.abs(want).max(initial=0))
    )


# ---- functions from the literature


def broyden(x):
    """Broyden's tridiagonal function (Moré, Garbow & Hillstrom 1981, problem 30)."""
    left, right = jnp.append(0.0, x[:-1]), jnp.append(x[1:], 0.0)
    return (3 - 2 * x) * x - left - 2 * right + 1


def brown(x):
    """Brown's almost linear function, problem 27: rows that are full, and a product."""
    return jnp.append(x[:-1] + jnp.sum(x) - (x.size + 1), jnp.prod(x) - 1)


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrock_hessian(x):
    x = np.asarray(x)
    a = np.zeros((x.size, x.size))
    for i in range(x.size - 1):
        a[i, i] += 1200 * x[i] ** 2 - 400 * x[i + 1] + 2
        a[i + 1, i + 1] += 200
        a[i, i + 1] = a[i + 1, i] = -400 * x[i]
    return a


def brown_almost(x):
    """The Brown function of CUTE: sums of (x_i^2)^(x_j^2+1) of neighbours."""
    a, b = x[:-1] ** 2, x[1:] ** 2
    return jnp.sum(a ** (b + 1) + b ** (a + 1))


def diffusion(u, k=6):
    """-div((1 + u^2) grad u) + exp(u) on k by k points: the residual of a PDE."""
    u = jnp.pad(u.reshape(k, k), 1)
    flux_x = (1 + ((u[1:] + u[:-1]) / 2) ** 2) * (u[1:] - u[:-1])
    flux_y = (1 + ((u[:, 1:] + u[:, :-1]) / 2) ** 2) * (u[:, 1:] - u[:, :-1])
    inside = u[1:-1, 1:-1]
    change = (flux_x[1:] - flux_x[:-1])[:, 1:-1] + (flux_y[:, 1:] - flux_y[:, :-1])[1:-1]
    return (jnp.exp(inside) - change).reshape(-1)


def control_of_pde(z, k=4):
    """State and control of a PDE in one vector: a Lagrangian with fixed multipliers."""
    u, m = z[: k * k], z[k * k :]
    weights = jnp.arange(1.0, k * k + 1)
    return jnp.sum((u - 1) ** 2 + 0.1 * m**2) + jnp.dot(weights, diffusion(u, k) - m * u)


def stepped(x):
    """A scan over time of a ring of cells."""

    def step(c, _):
        c = c + 0.1 * (jnp.roll(c, 1) * c - jnp.sin(jnp.roll(c, -1)))
        return c, c

    return lax.scan(step, x, None, length=2)[1]


JACOBIANS = [(broyden, 12), (brown, 8), (diffusion, 36), (stepped, 11), (jnp.cumsum, 7)]
MODES = ["auto", "fwd", "rev", "both"]
FORMATS = ["csr", "csc", "coo", "bcoo"]
HESSIANS = [
    (rosenbrock, 9),
    (brown_almost, 8),
    (control_of_pde, 32),
    (lambda x: jnp.sum(x) ** 2, 5),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("f", "n"), JACOBIANS)
def test_jacobians_are_the_dense_ones(f, n, mode):
    x = points(n)
    want = np.asarray(pullback.jacfwd(f)(x)).reshape(-1, n)
    found = sparse.jacobian(f, mode=mode)(x)
    assert found.format == "csr" and found.dtype == np.float64 and found.has_sorted_indices
    close(found, want)


def test_broyden_in_closed_form():
    x = points(10)
    want = np.diag(3 - 4 * np.asarray(x)) - np.eye(10, k=-1) - 2 * np.eye(10, k=1)
    jacobian = sparse.jacobian(broyden)
    close(jacobian(x), want)
    assert jacobian.plan(x).products == 3 and jacobian.plan(x).pattern.nnz == 28
    text = "Jacobian 10 x 10, 28 nonzeros (28 %): 3 products (columns)"
    assert str(jacobian.plan(x)) == text


@pytest.mark.parametrize("colouring", ["star", "acyclic", "columns"])
@pytest.mark.parametrize(("f", "n"), HESSIANS)
def test_hessians_are_the_dense_ones(f, n, colouring):
    x = points(n)
    found = sparse.hessian(f, colouring=colouring)(x)
    close(found, pullback.hessian(f)(x), 20 * ROUNDING if colouring == "acyclic" else ROUNDING)


def test_rosenbrock_in_closed_form():
    x = points(30)
    for colouring, products in ("star", 3), ("acyclic", 2), ("columns", 3):
        hessian = sparse.hessian(rosenbrock, colouring=colouring)
        close(hessian(x), rosenbrock_hessian(x), 20 * ROUNDING)
        assert hessian.plan(x).products == products


@pytest.mark.parametrize("format", FORMATS)
def test_formats(format):
    x = points(6)
    found = sparse.jacobian(broyden, format=format)(x)
    if format == "bcoo":
        assert isinstance(found, BCOO) and found.indices_sorted and found.unique_indices
        assert found.indices.dtype == jnp.int32 and found.nse == 16
        found = found.todense()
    else:
        assert found.format == format and isinstance(found, scipy.sparse.sparray)
    close(found, pullback.jacfwd(broyden)(x))
    found = sparse.hessian(rosenbrock, format=format)(x)
    close(found.todense(), rosenbrock_hessian(x))


def test_a_result_can_be_changed_in_place():
    x, jacobian = points(6), sparse.jacobian(broyden)
    first = jacobian(x)
    want = first.toarray()
    first.data[:] = 0
    first.eliminate_zeros()
    close(jacobian(x), want)


@hypothesis.settings(max_examples=max(60, COUNT), suppress_health_check=list(HealthCheck))
@given(programs(steps=8, also=STAGED))
def test_random_programs(engine, program):
    if engine == "native":  # which has no code for some operations
        pullback.config.update("pullback_engine", "auto")
    hypothesis.assume(all(v.dtype == np.float64 for v in program.inputs))
    args = [jnp.asarray(x) for x in program.arguments(np.random.default_rng(4))]
    run = run_of(program)

    def f(*xs):
        return [jnp.real(y) for y in run(*xs)]

    everything = tuple(range(len(args)))
    sizes = [int(np.prod(v.shape)) for v in program.inputs]
    rows = []
    for y, blocks in zip(f(*args), pullback.jacfwd(f, everything)(*args), strict=True):
        rows.append(np.hstack([np.reshape(b, (y.size, n)) for b, n in zip(blocks, sizes)]))
    # Numbers up to 8 are cancelled in up to 8 steps.
    close(sparse.jacobian(f, everything)(*args), np.vstack(rows), 100 * ROUNDING)


# ---- trees, arguments, types


def test_trees_and_several_arguments():
    def f(p, y, *, power):
        return {"a": p["w"] ** power * y[0], "b": (jnp.sum(y), p["unused"] * 0.0)}

    p, y = {"w": points(2, 2), "unused": points(1)}, points(2, seed=1)
    found = sparse.jacobian(f, argnums=(0, 1))(p, y, power=3).toarray()
    leaves = pullback.tree.leaves(pullback.jacfwd(f, argnums=(0, 1))(p, y, power=3))
    # Of each leaf of the result the leaves of both arguments: unused, w, y.
    sizes, blocks = [1, 4, 2], iter(leaves)
    rows = [np.hstack([np.reshape(next(blocks), (k, n)) for n in sizes]) for k in (4, 1, 1)]
    close(found, np.vstack(rows))
    negative = sparse.jacobian(f, argnums=-1)(p, y, power=3)
    close(negative, found[:, 5:])


def test_static_arguments_and_others():
    def f(x, how, scale=1.0, index=None):
        y = {"sin": jnp.sin, "exp": jnp.exp}[how](x) * scale
        return y if index is None else y[index]

    x, jacobian = points(4), sparse.jacobian(f)
    close(jacobian(x, "sin"), np.diag(np.cos(x)))
    close(jacobian(x, "exp", scale=2), np.diag(2 * np.exp(x)))
    close(jacobian(x, "exp", jnp.arange(4.0)), np.diag(np.arange(4) * np.exp(x)))
    index = jnp.array([2, 0])
    close(jacobian(x, "sin", index=index), np.diag(np.cos(x))[[2, 0]])
    assert jacobian.plan(x, "sin", index=index).pattern.nnz == 8  # any may be read
    assert len(jacobian._plans) == 4


def test_auxiliary_data():
    def f(x):
        return broyden(x), {"norm": jnp.sum(x**2), "n": jnp.int32(3)}

    x = points(7)
    for mode in MODES[1:]:
        found, aux = sparse.jacobian(f, mode=mode, has_aux=True)(x)
        close(found, pullback.jacfwd(broyden)(x))
        close(aux["norm"], jnp.sum(x**2))
    found, aux = sparse.hessian(lambda x: (rosenbrock(x), x[0]), has_aux=True)(x)
    close(found, rosenbrock_hessian(x))
    assert aux == x[0]
    found, aux = sparse.jacobian(lambda x: (jnp.ones(2), x[0]), has_aux=True)(x)
    assert found.nnz == 0 and found.shape == (2, 7) and aux == x[0]


@pytest.mark.parametrize("mode", MODES)
def test_complex(mode):
    z = points(5) + 1j * points(5, seed=1)

    def f(z):
        return z[1:] ** 2 * jnp.exp(z[:-1])

    found = sparse.jacobian(f, mode=mode, holomorphic=True)(z)
    assert found.dtype == np.complex128
    close(found, pullback.jacfwd(f, holomorphic=True)(z))
    x = points(5)
    found = sparse.jacobian(lambda x: f(x + 0j), mode=mode)(x)  # of real numbers: forward mode
    close(found, pullback.jacfwd(lambda x: f(x + 0j))(x))


def test_holomorphic_hessian():
    z = points(4) + 1j * points(4, seed=1)

    def f(z):
        return jnp.sum(z[1:] ** 2 * jnp.exp(z[:-1]))

    found = sparse.hessian(f, holomorphic=True)(z)
    close(found, pullback.hessian(f, holomorphic=True)(z))


@pytest.mark.parametrize(
    ("dtype", "kept"), [("float32", "float32"), ("float16", "float32"), ("bfloat16", "float32")]
)
def test_narrow_floats(dtype, kept):
    x = points(6).astype(dtype)
    found = sparse.jacobian(broyden)(x)
    assert found.dtype == kept
    wide = np.asarray(pullback.jacfwd(broyden)(x).astype(jnp.float32))
    close(found, wide, 1e-6 if dtype == "float32" else 2e-2)
    assert sparse.jacobian(broyden, format="bcoo")(x).data.dtype == dtype


def test_mixed_dtypes():
    def f(a, b):
        return a[1:] * b[0].astype(a.dtype), b * b

    a, b = points(3), points(2).astype(jnp.float32)
    found = sparse.jacobian(f, argnums=(0, 1))(a, b)
    assert found.dtype == np.float64 and found.shape == (4, 5)
    close(found.toarray()[2:, 3:], np.diag(2 * np.asarray(b)), 1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_there(mode):
    x = points(3)
    none = sparse.jacobian(lambda x: x[:0] * 2, mode=mode)(x)
    assert none.shape == (0, 3) and none.nnz == 0 and none.dtype == np.float64
    none = sparse.jacobian(lambda x: jnp.ones((2, 2)), mode=mode)(x)
    assert none.shape == (4, 3) and none.nnz == 0
    assert sparse.hessian(jnp.sum)(x).nnz == 0
    none = sparse.jacobian(jnp.sin, mode=mode, format="bcoo")(x[:0])
    assert none.shape == (0, 0) and none.nse == 0


def test_scalars():
    close(sparse.jacobian(jnp.sin)(2.0), [[np.cos(2.0)]])
    close(sparse.hessian(jnp.sin)(2.0), [[-np.sin(2.0)]])


# ---- rules of the user's


def test_custom_rules():
    @pullback.custom_vjp
    def backward_only(x):
        return x[1:] * x[:-1]

    backward_only.defvjp(
        lambda x: (backward_only(x), x),
        lambda x, ct: (jnp.append(0.0, ct * x[:-1]) + jnp.append(ct * x[1:], 0.0),),
    )
    x = points(5)
    jacobian = sparse.jacobian(backward_only)
    close(jacobian(x), pullback.jacrev(backward_only)(x))
    assert jacobian.plan(x).colouring.kind == "rows" and jacobian.plan(x).pattern.nnz == 8
    with pytest.raises(TypeError, match="forward-mode"):
        sparse.jacobian(backward_only, mode="fwd")(x)

    @pullback.custom_jvp
    def rounded(x):
        return jnp.round(x)

    rounded.defjvp(lambda primals, tangents: (rounded(*primals), 2 * tangents[0]))
    close(sparse.jacobian(rounded)(x), 2 * np.eye(5))


def test_solutions_and_control_flow():
    def f(x):
        y = lax.cond(x[0] > 0, lambda a: a**2, lambda a: a[::-1], x)
        z = lax.while_loop(lambda c: c[0] < 10, lambda c: c * 2 + 1, jnp.abs(x))
        w = jnp.linalg.solve(jnp.eye(3) * 4 + 0.1, y[:3])
        return y, z, w, jnp.sort(x), lax.fori_loop(0, 3, lambda i, a: a.at[i].mul(a[i + 1]), x)

    for seed in range(3):
        x = points(5, seed=seed)
        want = np.vstack(pullback.tree.leaves(pullback.jacfwd(f)(x)))
        close(sparse.jacobian(f, mode="fwd")(x), want)


# ---- plans


def test_patterns_are_found_once(monkeypatch):
    derivatives._kept.clear()
    calls = []
    original = derivatives.jacobian_pattern
    monkeypatch.setattr(
        derivatives, "jacobian_pattern", lambda call: calls.append(call) or original(call)
    )
    scale = 3.5

    def make():
        return sparse.jacobian(lambda x: broyden(scale * x))

    jacobian = make()
    for seed in range(3):
        jacobian(points(6, seed=seed))
    assert len(calls) == 1
    jacobian(points(7))
    assert len(calls) == 2  # another shape
    again = make()  # another function object that does the same
    close(again(points(6)), pullback.jacfwd(lambda x: broyden(scale * x))(points(6)))
    assert len(calls) == 2
    scale = 1.0  # now it does something else
    close(make()(points(6)), pullback.jacfwd(broyden)(points(6)))
    assert len(calls) == 3


def test_given_patterns():
    x = points(6)
    want = pullback.jacfwd(broyden)(x)
    known = np.asarray(want) != 0
    wider = known | np.eye(6, k=3, dtype=bool)
    for pattern in (
        known,
        wider,
        scipy.sparse.csc_array(known),
        BCOO.fromdense(jnp.asarray(known * 1.0)),
    ):
        found = sparse.jacobian(broyden, pattern=pattern)(x)
        close(found, want)
    assert found.nnz == known.sum()
    close(sparse.hessian(rosenbrock, pattern=known)(x), rosenbrock_hessian(x))


def test_dense_patterns_are_computed_as_dense_ones():
    x = points(6)
    for mode, f, products in (
        ("auto", lambda x: x / jnp.sum(x), 6),
        ("auto", lambda x: jnp.stack([jnp.sum(x), jnp.prod(x), jnp.sum(x**2)]), 3),
        ("rev", lambda x: jnp.cos(jnp.sum(x) * x), 6),
    ):
        jacobian = sparse.jacobian(f, mode=mode)
        plan = jacobian.plan(x)
        assert (plan.colouring.kind, plan.products) == ("dense", products)
        assert "(100 %)" in str(plan) and str(plan).endswith(f"{products} products (dense)")
        close(jacobian(x), pullback.jacfwd(f)(x))
    hessian = sparse.hessian(lambda x: jnp.prod(x))
    assert hessian.plan(x).colouring.kind == "dense"
    close(hessian(x), pullback.hessian(jnp.prod)(x))


# ---- composition


def test_under_jit():
    x = points(6)
    jacobian = sparse.jacobian(broyden, format="bcoo")
    found = pullback.jit(jacobian)(x)
    assert isinstance(found, BCOO) and found.nse == 16
    close(found.todense(), pullback.jacfwd(broyden)(x))
    newton = pullback.jit(lambda x: x - 0.1 * (jacobian(x) @ broyden(x)))
    close(newton(x), x - 0.1 * pullback.jacfwd(broyden)(x) @ broyden(x))


@pytest.mark.parametrize("colouring", ["star", "acyclic"])
def test_derivatives_of_sparse_derivatives(colouring, engine):
    if colouring == "acyclic" and engine == "native":
        pullback.config.update("pullback_engine", "auto")  # it has no sparse solver of its own
    x, v = points(7), points(7, seed=1)

    def total(x):
        return jnp.sum(
            jnp.sin((sparse.hessian(rosenbrock, colouring=colouring, format="bcoo")(x) @ v) / 100)
        )

    def dense(x):
        return jnp.sum(jnp.sin((pullback.hessian(rosenbrock)(x) @ v) / 100))

    close(pullback.grad(total)(x), pullback.grad(dense)(x), 1e-11)
    close(pullback.jit(pullback.grad(total))(x), pullback.grad(dense)(x), 1e-11)
    close(pullback.hessian(total)(x), pullback.hessian(dense)(x), 1e-10)
    t = points(7, seed=2)
    close(pullback.jvp(total, [x], [t])[1], pullback.jvp(dense, [x], [t])[1], 1e-11)


def test_derivative_by_what_is_closed_over():
    x = points(5)

    def norm(scale):
        found = sparse.jacobian(lambda x: broyden(scale * x), format="bcoo")(x)
        return jnp.sum(found.data**2)

    def dense(scale):
        return jnp.sum(pullback.jacfwd(lambda x: broyden(scale * x))(x) ** 2)

    for scale in 1.5, 2.5:
        close(norm(scale), dense(scale))
        close(pullback.grad(norm)(scale), pullback.grad(dense)(scale))
        close(pullback.jit(pullback.grad(norm))(scale), pullback.grad(dense)(scale))


def test_vmap():
    xs = points(3, 6)
    jacobian = sparse.jacobian(broyden, format="bcoo")
    found = pullback.vmap(jacobian)(xs)
    assert found.shape == (3, 6, 6) and found.n_batch == 1
    want = np.stack([pullback.jacfwd(broyden)(x) for x in xs])
    close(found.todense(), want)
    products = pullback.vmap(lambda x: jacobian(x) @ x)(xs)
    close(products, np.einsum("bij,bj->bi", want, xs))
    close(pullback.jit(pullback.vmap(lambda x: jacobian(x).data))(xs), found.data)
    mapped = sparse.jacobian(pullback.vmap(broyden))(xs)  # blocks along the diagonal
    close(mapped, scipy.sparse.block_diag(list(want)).toarray())
    assert mapped.nnz == 3 * 16


# ---- mistakes


def test_mistakes():
    x = points(3)

    def says(kind, message, call, *args):
        with pytest.raises(kind) as caught:
            call(*args)
        assert message in str(caught.value)

    says(TypeError, "sparse.jacobian takes a function as its first", sparse.jacobian, x)
    says(TypeError, "sparse.hessian takes a function as its first", sparse.hessian, x)
    says(TypeError, "sparse.pattern takes a function as its first", sparse.pattern, x)
    says(ValueError, "there is no mode 'up' of sparse", lambda: sparse.jacobian(jnp.sin, mode="up"))
    says(
        ValueError,
        "there is no format 'dia' of sparse",
        lambda: sparse.jacobian(jnp.sin, format="dia"),
    )
    says(
        ValueError,
        "there is no colouring 'sun' of sparse",
        lambda: sparse.hessian(jnp.sum, colouring="sun"),
    )
    says(
        ValueError,
        "there is no colouring order 'up'.",
        lambda: sparse.jacobian(jnp.sin, order="up"),
    )
    says(ValueError, "there is no of 'grad' of sparse", lambda: sparse.pattern(jnp.sin, of="grad"))
    says(
        TypeError,
        "sparse.jacobian requires real (float) inputs, but got int32.",
        sparse.jacobian(jnp.sin),
        jnp.arange(3, dtype=jnp.int32),
    )
    says(
        TypeError,
        "sparse.jacobian requires real (float) inputs, but got complex128.",
        sparse.jacobian(jnp.sin),
        x + 0j,
    )
    says(
        TypeError,
        "sparse.jacobian requires complex inputs, but got float64.",
        sparse.jacobian(jnp.sin, holomorphic=True),
        x,
    )
    says(
        TypeError,
        "sparse.jacobian requires real (float) outputs, but got int",
        sparse.jacobian(lambda x: jnp.argsort(x)),
        x,
    )
    says(
        TypeError,
        "Gradient only defined for scalar-output functions. Output had shape: (3,).",
        sparse.hessian(jnp.sin),
        x,
    )
    says(
        TypeError,
        "sparse.jacobian with has_aux=True needs a function that returns a pair",
        sparse.jacobian(jnp.sin, has_aux=True),
        x,
    )
    says(
        TypeError,
        "argnums names an argument that was not passed.",
        sparse.jacobian(jnp.sin, argnums=1),
        x,
    )
    says(
        TypeError,
        "sparse.jacobian: a matrix of scipy.sparse cannot hold traced values.",
        pullback.jit(sparse.jacobian(jnp.sin)),
        x,
    )
    says(
        TypeError,
        "sparse.jacobian: a matrix of scipy.sparse cannot hold traced values.",
        pullback.grad(lambda c: sparse.jacobian(lambda x: c * x)(x).sum()),
        1.0,
    )
    says(
        ValueError,
        "sparse.jacobian: the pattern does not have the shape of the matrix.",
        sparse.jacobian(jnp.sin, pattern=np.eye(4)),
        x,
    )
    says(
        ValueError,
        "a pattern is a matrix: of scipy.sparse, a BCOO, or a dense array.",
        lambda: sparse.jacobian(jnp.sin, pattern=np.ones(3)),
    )
    says(
        ValueError,
        "sparse.hessian: the pattern is not symmetric.",
        sparse.hessian(rosenbrock, pattern=np.tri(3)),
        x,
    )


# ---- drawings


def test_spy():
    x = points(5)
    drawing = sparse.spy(sparse.jacobian(broyden))(x)
    assert str(drawing) == (
        "Jacobian 5 x 5, 13 nonzeros (52 %): 5 products (dense)\n01...\n012..\n.123.\n..234\n...34"
    )
    assert str(sparse.spy(np.eye(3))) == "3 x 3, 3 nonzeros\nx..\n.x.\n..x"
    big = sparse.spy(broyden)(points(200))
    assert (
        str(big).splitlines()[0] == "Jacobian 200 x 200, 598 nonzeros (1.5 %): 3 products (columns)"
    )
    assert len(str(big).splitlines()) == 41 and big.svg.count("<rect") > 100
    matrix = scipy.sparse.csr_array(np.eye(40) + np.eye(40)[:1] + np.eye(40)[:, :1])
    both = sparse.spy(matrix, sparse.coloured(matrix))
    assert str(both).splitlines()[1].startswith("2222")
    assert len(set(sparse.spy(sparse.hessian(rosenbrock))(points(9))._groups.tolist())) == 3
    assert both.svg == both._repr_svg_() and both.svg.startswith("<svg") and "#bd2828" in both.svg


def test_spy_on_paper(tmp_path):
    drawing = sparse.spy(broyden)(points(30))
    drawing.save(tmp_path / "pattern.svg")
    assert (tmp_path / "pattern.svg").read_text() == drawing.svg
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    axes = drawing.plot()
    assert axes.get_title().startswith("Jacobian 30 x 30")
    assert drawing.plot(axes) is axes
    pyplot.close("all")
    with pytest.raises(ValueError, match="the colouring is not one of this matrix"):
        sparse.spy(np.eye(3), sparse.coloured(np.eye(4)))


# ---- large ones


def test_a_hundred_thousand_unknowns():
    n = 100_000
    x = points(n)
    jacobian = sparse.jacobian(broyden)
    plan = jacobian.plan(x)
    assert plan.products == 3 and plan.pattern.nnz == 3 * n - 2
    found, v = jacobian(x), points(n, seed=1)
    close(found @ np.asarray(v), pullback.jvp(broyden, [x], [v])[1])
    hessian = sparse.hessian(rosenbrock)
    assert hessian.plan(x).products == 3
    want = pullback.jvp(pullback.grad(rosenbrock), [x], [v])[1]
    close(hessian(x) @ np.asarray(v), want)
