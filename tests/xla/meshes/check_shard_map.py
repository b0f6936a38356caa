"""shard_map, pmap and their collectives on eight CPU devices."""

from __future__ import annotations

import re

import numpy as np
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import lax
from pullback.engines.xla import spread
from pullback.sharding import NamedSharding, PartitionSpec, get_abstract_mesh

P = PartitionSpec
LINE = pb.make_mesh((8,), ("x",))
GRID = pb.make_mesh((2, 4), ("a", "b"))
X = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
RING = [(i, (i + 1) % 8) for i in range(8)]
COLLECTIVE = re.compile(
    r"(all-reduce|all-gather|reduce-scatter|collective-permute|all-to-all)(?:-start)?\("
)


def collectives(f, *args):
    """The names of the collective operations in the compiled program."""
    closed = pb.jit(f).trace(*args).jaxpr
    arrays = [jnp.asarray(a) for a in args]
    spread.run(closed, arrays)
    (made,) = [v for k, v in closed.cache.items() if k[0] == "spread"]
    return set(COLLECTIVE.findall(made.executable.hlo()))


CASES = {
    "psum": (lambda x: lax.psum(x, "x"), P("x"), P(), "all-reduce", lambda x: x.sum(0)[None]),
    "pmean": (lambda x: x - lax.pmean(x, "x"), P("x"), P("x"), "all-reduce",
              lambda x: x - x.mean(0)),
    "pmax": (lambda x: lax.pmax(x, "x"), P("x"), P(), "all-reduce", lambda x: x.max(0)[None]),
    "pmin": (lambda x: lax.pmin(x, "x"), P("x"), P(), "all-reduce", lambda x: x.min(0)[None]),
    "all_gather": (lambda x: lax.all_gather(x, "x", tiled=True) * x, P("x"), P("x"), "all-gather",
                   lambda x: np.concatenate([x * r for r in x])),
    "all_gather new": (lambda x: lax.all_gather(x[0], "x", axis=1) * x.T, P("x"), P("x"),
                       "all-gather", lambda x: np.concatenate([x.T * r[:, None] for r in x])),
    "psum_scatter": (lambda x: lax.psum_scatter(x.T, "x", tiled=True), P("x"), P("x"),
                     "reduce-scatter", lambda x: x.sum(0)[:, None]),
    "psum_scatter new": (lambda x: lax.psum_scatter(x[0], "x")[None], P("x"), P("x"),
                         "reduce-scatter", lambda x: x.sum(0)),
    "ppermute": (lambda x: lax.ppermute(x, "x", RING), P("x"), P("x"), "collective-permute",
                 lambda x: np.roll(x, 1, 0)),
    "ppermute some": (lambda x: lax.ppermute(x, "x", [(0, 5)]), P("x"), P("x"),
                      "collective-permute", lambda x: np.eye(8, dtype=x.dtype)[:, [5]] * x[0]),
    "all_to_all": (lambda x: lax.all_to_all(x, "x", 1, 0, tiled=True), P("x"), P("x"),
                   "all-to-all", lambda x: x.T.reshape(64, 1)),
    "axis_index": (lambda x: x + lax.axis_index("x"), P("x"), P("x"), None,
                   lambda x: x + np.arange(8)[:, None]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_collective(name):
    f, ins, outs, operation, want = CASES[name]
    there = pb.shard_map(f, mesh=LINE, in_specs=ins, out_specs=outs)
    y = there(X)
    np.testing.assert_allclose(y, want(X), rtol=1e-5, atol=1e-6)
    assert y.sharding.is_equivalent_to(NamedSharding(LINE, outs), y.ndim)
    assert collectives(there, X) == ({operation} if operation else set())


@pytest.mark.parametrize("name", CASES)
def test_derivatives_against_differences(name):
    f, ins, outs, _, _ = CASES[name]
    there = pb.shard_map(f, mesh=LINE, in_specs=ins, out_specs=outs)
    with pb.enable_x64():
        rng = np.random.default_rng(1)
        x, v = X.astype(np.float64), rng.normal(size=X.shape)
        w = rng.normal(size=there(x).shape)
        loss = pb.jit(lambda x: (jnp.sin(there(x)) * w).sum())
        h = 1e-5
        want = (float(loss(x + h * v)) - float(loss(x - h * v))) / (2 * h)
        np.testing.assert_allclose(float((pb.grad(loss)(x) * v).sum()), want, rtol=1e-6)
        np.testing.assert_allclose(float(pb.jvp(loss, (x,), (v,))[1]), want, rtol=1e-6)


def test_the_backward_pass_communicates_in_kind():
    def gradient(f, outs):
        there = pb.shard_map(f, mesh=LINE, in_specs=P("x"), out_specs=outs)
        return lambda x: pb.grad(lambda x: (there(x) ** 2).sum())(x)

    assert collectives(gradient(lambda x: lax.ppermute(x, "x", RING), P("x")), X) == {
        "collective-permute"
    }
    scatter = gradient(lambda x: lax.psum_scatter(x.T, "x", tiled=True), P("x"))
    assert "all-gather" in collectives(scatter, X)


def test_two_axes():
    product = pb.shard_map(
        lambda a, b: lax.psum(a @ b, "b"),
        mesh=GRID,
        in_specs=(P("a", "b"), P("b")),
        out_specs=P("a"),
    )
    np.testing.assert_allclose(product(X, X), X @ X, rtol=1e-4, atol=1e-5)
    shift = [(i, (i + 1) % 4) for i in range(4)]
    moved = pb.shard_map(
        lambda a: lax.ppermute(a, "b", shift),
        mesh=GRID,
        in_specs=P("a", "b"),
        out_specs=P("a", "b"),
    )
    np.testing.assert_array_equal(moved(X), np.roll(X, 2, 1))
    both = pb.shard_map(
        lambda a: (lax.psum(a, ("a", "b")), lax.axis_index(("a", "b")) + 0 * a[:, 0]),
        mesh=GRID,
        in_specs=P(("a", "b")),
        out_specs=(P(), P(("a", "b"))),
    )
    total, number = both(X)
    np.testing.assert_allclose(total, X.sum(0)[None], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(number, np.arange(8))


def test_some_axes_manual():
    def f(a):
        assert get_abstract_mesh().manual_axes == ("a",)
        a = lax.with_sharding_constraint(a, P(None, "b"))
        return lax.ppermute(a * 2, "a", [(0, 1), (1, 0)])

    with pb.set_mesh(GRID):
        there = pb.shard_map(f, in_specs=P("a"), out_specs=P("a"), axis_names={"a"})
        np.testing.assert_array_equal(there(X), np.roll(X * 2, 4, 0))


def test_composed():
    def f(x, w):
        y = jnp.tanh(lax.ppermute(x, "x", RING) @ w)
        z = lax.scan(lambda c, r: (c + lax.psum(r, "x"), c.sum()), jnp.zeros(8), x)[1]
        return lax.pmean(pb.jit(jnp.sum)(y**2), "x") + z.sum() * 0.1

    there = pb.shard_map(f, mesh=LINE, in_specs=(P("x"), P()), out_specs=P())

    def plain(x, w):
        rows = x.reshape(8, 1, 8)
        return pb.vmap(f, (0, None), axis_name="x")(rows, w)[0]

    many = np.stack([X, -X])
    for transformed, w in (
        (lambda g: g, X),
        (lambda g: pb.grad(g, (0, 1)), X),
        (lambda g: pb.jit(pb.grad(g, (0, 1))), X),
        (lambda g: pb.vmap(g, (None, 0)), many),
        (lambda g: pb.grad(lambda x, ws: pb.vmap(g, (None, 0))(x, ws).sum(), 1), many),
    ):
        a, b = transformed(there)(X, w), transformed(plain)(jnp.asarray(X), jnp.asarray(w))
        for p, q in zip(pb.tree.leaves(a), pb.tree.leaves(b), strict=True):
            np.testing.assert_allclose(p, q, rtol=2e-4, atol=1e-5)


def test_as_jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_num_cpu_devices", 8)
    mesh = jax.make_mesh((8,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))

    def f(lax, jnp):
        def g(x, w):
            y = lax.ppermute(x @ w, "x", RING)
            s = lax.psum_scatter(x.T @ y, "x", tiled=True)
            return lax.psum(jnp.sin(s).sum() + lax.axis_index("x") * y.sum(), "x")

        return g

    ours = pb.shard_map(f(lax, jnp), mesh=LINE, in_specs=(P("x"), P()), out_specs=P())
    theirs = jax.shard_map(
        f(jax.lax, jax.numpy), mesh=mesh, in_specs=(jax.P("x"), jax.P()), out_specs=jax.P()
    )
    np.testing.assert_allclose(ours(X, X), theirs(X, X), rtol=1e-4)
    for a, b in zip(pb.grad(ours, (0, 1))(X, X), jax.grad(theirs, (0, 1))(X, X), strict=True):
        np.testing.assert_allclose(a, np.asarray(b), rtol=1e-3, atol=1e-4)


def test_results_that_differ():
    f = lambda v: v  # noqa: E731
    with pytest.raises(ValueError, match="requires a result to be the same along 'x'"):
        pb.shard_map(f, mesh=LINE, in_specs=P("x"), out_specs=P())(X)
    first = pb.shard_map(f, mesh=LINE, in_specs=P("x"), out_specs=P(), check_vma=False)
    np.testing.assert_array_equal(first(X), X[:1])
    with pytest.raises(ValueError, match="3 is no multiple of 8"):
        pb.shard_map(f, mesh=LINE, in_specs=P("x"), out_specs=P("x"))(X[:3])


def test_smap():
    with pb.set_mesh(LINE):
        f = pb.smap(lambda v: lax.psum(v, "x"), in_axes=0, out_axes=None, axis_name="x")
        np.testing.assert_allclose(f(X), X.sum(0)[None], rtol=1e-5, atol=1e-6)


def test_pmap():
    f = pb.pmap(lambda v, s: lax.psum(v, "i") * s, "i", in_axes=(0, None))
    y = f(X, 2.0)
    assert y.devices() == set(pb.devices())
    np.testing.assert_allclose(y, np.tile(X.sum(0) * 2, (8, 1)), rtol=1e-5, atol=1e-5)
    g = pb.pmap(lambda n, v: v * n, static_broadcasted_argnums=0, out_axes=1)
    np.testing.assert_array_equal(g(3, X), X.T * 3)
    np.testing.assert_array_equal(g(4, X), X.T * 4)
    two = pb.pmap(lambda v: v + 1, devices=pb.devices()[4:6])(X[:2])
    assert two.devices() == set(pb.devices()[4:6])
    with pytest.raises(ValueError, match="requires 9 logical devices, but only 8"):
        pb.pmap(lambda v: v)(np.ones((9, 2)))
    d = pb.grad(lambda v: pb.pmap(lambda r: (r**2).sum())(v).sum())(X)
    np.testing.assert_allclose(d, 2 * X, rtol=1e-6)


def test_the_same_function_under_vmap_of_that_name():
    inner = pb.jit(lambda v: lax.ppermute(v, "x", RING))
    plain = pb.vmap(inner, axis_name="x")(X)
    there = pb.shard_map(inner, mesh=LINE, in_specs=P("x"), out_specs=P("x"))
    np.testing.assert_array_equal(there(X), plain)
    np.testing.assert_array_equal(pb.vmap(inner, axis_name="x")(X), plain)
    assert collectives(there, X) == {"collective-permute"}


# ---- in groups

GROUPS = [[0, 5], [1, 2], [7, 3], [6, 4]]
G = {"axis_index_groups": GROUPS}
IN_GROUPS = {
    "psum": lambda x: lax.psum(x**2, "x", **G) * x,
    "pmax": lambda x: lax.pmax(x, "x", **G),
    "pmean uneven": lambda x: lax.pmean(x, "x", axis_index_groups=[[0, 5, 1], [2, 7, 3, 6, 4]]),
    "all_gather": lambda x: lax.all_gather(x, "x", tiled=True, **G) * x,
    "psum_scatter": lambda x: lax.psum_scatter(x, "x", scatter_dimension=1, tiled=True, **G),
    "all_to_all": lambda x: lax.all_to_all(x, "x", 1, 0, tiled=True, **G),
}


@pytest.mark.parametrize("name", IN_GROUPS)
def test_groups_are_those_of_vmap(name):
    f = IN_GROUPS[name]
    spread_out = pb.shard_map(f, mesh=LINE, in_specs=P("x"), out_specs=P("x"))
    mapped = pb.vmap(f, axis_name="x")

    def whole(x):
        out = mapped(x[:, None])
        return out.reshape(-1, *out.shape[2:])

    np.testing.assert_allclose(spread_out(X), whole(X), rtol=1e-6)
    np.testing.assert_allclose(pb.pmap(f, "x")(X[:, None]), mapped(X[:, None]), rtol=1e-6)
    gradient = pb.grad(lambda x: (spread_out(x) ** 2).sum())(X)
    np.testing.assert_allclose(gradient, pb.grad(lambda x: (whole(x) ** 2).sum())(X), rtol=1e-5)
    if "uneven" not in name:
        assert "all-to-all" in collectives(spread_out, X)
        assert not collectives(spread_out, X) & {"all-gather", "all-reduce"}


def test_groups_on_one_axis_of_a_grid():
    f = lambda x: lax.psum(x, "b", axis_index_groups=[[0, 3], [1, 2]])  # noqa: E731
    got = pb.shard_map(f, mesh=GRID, in_specs=P("a", "b"), out_specs=P("a", "b"))(X)
    parts = X.reshape(8, 4, 2)
    want = np.stack([parts[:, i] + parts[:, j] for i, j in ((0, 3), (1, 2), (2, 1), (3, 0))], 1)
    np.testing.assert_allclose(got, want.reshape(8, 8), rtol=1e-6)


# ---- Python inside programs


def test_python_is_called_for_each_part_in_order():
    seen = []

    def f(x):
        pb.debug.callback(lambda i, v: seen.append((int(i), float(v))), lax.axis_index("x"), x[0])
        return x + pb.pure_callback(np.sin, pb.ShapeDtypeStruct(x.shape, x.dtype), x)

    x = np.arange(8, dtype=np.float32)
    y = pb.jit(pb.shard_map(f, mesh=LINE, in_specs=P("x"), out_specs=P("x")))(x)
    assert y.sharding.spec == P("x")
    np.testing.assert_allclose(y, x + np.sin(x), rtol=1e-6)
    pb.effects_barrier()
    assert seen == [(i, float(i)) for i in range(8)]


def test_a_function_that_raises_does_not_leave_devices_waiting():
    called = []

    def bad(v):
        called.append(1)
        raise LookupError("nothing there")

    def f(x):
        y = pb.pure_callback(bad, pb.ShapeDtypeStruct(x.shape, x.dtype), x)
        return lax.psum(y, "x")

    spread_out = pb.jit(pb.shard_map(f, mesh=LINE, in_specs=P("x"), out_specs=P()))
    for _ in range(2):
        with pytest.raises(Exception, match="LookupError: nothing there") as found:
            spread_out(np.arange(8.0, dtype=np.float32))
        assert isinstance(found.value.__cause__, LookupError)
    assert len(called) == 2  # those after the first are left out
    with pytest.raises(NotImplementedError, match="vmap is only supported for the pure_callback"):
        pb.vmap(lambda v: pb.pure_callback(bad, pb.ShapeDtypeStruct((), v.dtype), v))(X[0])


@pytest.mark.parametrize("name", ["int4", "uint4", "float4_e2m1fn", "bool", "key"])
def test_collectives_of_other_dtypes(name):
    if name == "key":
        x = pb.random.split(pb.random.key(0), 8)
    else:
        x = jnp.asarray([0, 1, 1, 0, 1, 0, 0, 1]).astype(name)
    s = NamedSharding(LINE, P("x"))
    there = pb.device_put(x, s)
    on = {"mesh": LINE, "in_specs": P("x"), "out_specs": P("x")}
    every = pb.shard_map(lambda v: lax.all_gather(v, "x", tiled=True)[::-1][:1], **on)(there)
    ring = pb.shard_map(lambda v: lax.ppermute(v, "x", RING), **on)(there)
    for y, want in ((every, x[-1:].repeat(8)), (ring, jnp.roll(x, 1)), (there, x)):
        assert y.dtype == x.dtype
        if name == "key":
            y, want = pb.random.key_data(y), pb.random.key_data(want)
        np.testing.assert_array_equal(y, want)


def test_two_bits_are_not_exchanged():
    """XLA would give wrong ones."""
    x = jnp.ones(8).astype("uint2")
    f = pb.shard_map(lambda v: lax.ppermute(v, "x", RING), mesh=LINE, in_specs=P("x"),
                     out_specs=P("x"))  # fmt: skip
    with pytest.raises(NotImplementedError, match="arrays of uint2 cannot be moved between"):
        f(x)
