"""What an engine gets: programs without what changes nothing, and with constants computed."""

from __future__ import annotations

import numpy as np
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import lax
from pullback.core.primitive import Primitive, all_primitives
from pullback.transforms.simplify import simplify

X = jnp.arange(3.0)


def left(f, *args):
    """The names of the equations that are left of `f`."""
    return [eq.primitive.name for eq in simplify(pb.make_jaxpr(f)(*args)).eqns]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: jnp.sin(jnp.array(x)),
        lambda x: jnp.sin(jnp.array(jnp.copy(x))),
        lambda x: jnp.sin(lax.reshape(x, (3,))),
        lambda x: jnp.sin(lax.stop_gradient(x)),
        lambda x: jnp.sin(lax.convert_element_type(x, jnp.float32)),
        lambda x: (jnp.sin(x), jnp.sin(jnp.copy(x))),
    ],
)
def test_what_changes_nothing_is_left_out(f):
    assert left(f, X) == ["sin"]
    for got in np.atleast_2d(pb.jit(f)(X)):
        np.testing.assert_allclose(got, np.sin(np.arange(3.0)), rtol=1e-6)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: lax.reshape(x, (3, 1)),
        lambda x: x.astype(jnp.int32),
        lambda x: x.astype(jnp.bfloat16),
    ],
)
def test_what_changes_something_stays(f):
    assert len(left(f, X)) == 1
    assert pb.jit(f)(X).aval == f(X).aval


def test_a_copy_that_is_returned_has_the_same_values():
    out = pb.jit(lambda x: (jnp.copy(x), x))(X)
    assert [y.tolist() for y in out] == [[0, 1, 2]] * 2


def test_constants_are_computed_once():
    def f(x):
        return x * (jnp.arange(3.0) + jnp.ones(3)) + jnp.sum(jnp.eye(3))

    assert left(f, X) == ["mul", "add"]
    np.testing.assert_allclose(pb.jit(f)(X), np.arange(3) * (np.arange(3) + 1) + 3, rtol=1e-6)
    np.testing.assert_allclose(pb.jit(pb.grad(lambda x: f(x).sum()))(X), [1, 2, 3], rtol=1e-6)
    assert pb.jit(lambda x: jnp.arange(2))(1.0).tolist() == [0, 1]


def test_weakness_of_a_constant_result_is_kept():
    for f in (lambda x: jnp.array(1) + 1, lambda x: jnp.array([1, 2]) + 1):
        assert pb.jit(f)(1.0).aval == f(1.0).aval


def test_large_constants_are_made_when_they_are_needed():
    assert "iota" in left(lambda x: x + jnp.arange(5000.0), jnp.zeros(5000))


def test_equations_with_effects_and_loops_stay():
    seen = []

    def f(x):
        pb.debug.callback(lambda y: seen.append(float(y)), jnp.array(2.0))
        return x + lax.fori_loop(0, 3, lambda i, c: c + 1.0, 0.0)

    run = pb.jit(f)
    assert [float(run(1.0)) for _ in range(2)] == [4.0, 4.0]
    assert seen == [2.0, 2.0]
    assert "debug_callback" in left(f, 1.0)


def test_what_cannot_be_computed_fails_when_it_runs():
    class Refuses(Primitive):
        """raises"""

        def typing(self, x):
            return x

        def eval(self, x):
            raise ZeroDivisionError("now")

        jvp = transpose = vmap = lower = pb.extend.Absent("a test")

    refuses = Refuses()
    run = pb.jit(lambda x: x + refuses(jnp.array(1.0)))
    with pytest.raises(ZeroDivisionError, match="now"):
        run(1.0)


SAME = {
    "copy": {},
    "stop_gradient": {},
    "reshape": {"new_sizes": (3,)},
    "convert_element_type": {"new_dtype": np.dtype("float32"), "weak_type": False},
}


def test_identities_are_identities():
    """Each primitive that says so gives back an argument of the same type."""
    said = [p for p in all_primitives() if p.identity]
    assert {p.name for p in said if not p.name.startswith("reduce_")} == set(SAME)
    for primitive in said:
        bits = primitive.name in ("reduce_and", "reduce_or", "reduce_xor")
        x = np.array([1.5, np.nan, -0.0], np.float32)
        x = x.view(np.int32) if bits else x
        got = primitive.eval(x, **SAME.get(primitive.name, {"axes": ()}))
        assert got.dtype == x.dtype
        np.testing.assert_array_equal(got, x)


PREPARED = {
    "reshape": (lambda x: lax.reshape(x, (3, 2)), (2, 3)),
    "squeeze": (lambda x: lax.squeeze(x, (1,)), (2, 1, 3)),
    "transpose": (lambda x: lax.transpose(x, (1, 0)), (2, 3)),
    "slice": (lambda x: lax.slice(x, (0, 1), (2, 3)), (2, 3)),
    "slice with strides": (lambda x: lax.slice(x, (0, 0), (2, 3), (1, 2)), (2, 3)),
    "fill": (lambda x: lax.broadcast_in_dim(x, (2, 3), ()), ()),
    "repeat rows": (lambda x: lax.broadcast_in_dim(x, (2, 3), (1,)), (3,)),
    "repeat columns": (lambda x: lax.broadcast_in_dim(x, (2, 3), (0,)), (2,)),
    "stretch": (lambda x: lax.broadcast_in_dim(x, (4, 2, 3), (1, 2)), (1, 3)),
    "new axis": (lambda x: lax.broadcast_in_dim(x, (2, 1, 3), (0, 2)), (2, 3)),
    "large": (lambda x: lax.broadcast_in_dim(x, (50, 50), (0,)), (50,)),
    "neg": (lax.neg, (2, 3)),
    "square": (lax.square, (2, 3)),
    "sign": (lax.sign, ()),
    "max": (lambda x: lax.max(x, x[::-1]), (3,)),
    "min": (lambda x: lax.min(x, x[::-1]), (3,)),
    "and": (lambda x: x.astype(int) & 3, (3,)),
    "or": (lambda x: x.astype(int) | 3, (3,)),
    "xor": (lambda x: x.astype(int) ^ 3, (3,)),
    "not": (lambda x: ~x.astype(int), (3,)),
    "empty": (lambda x: lax.broadcast_in_dim(x, (0, 3), (1,)), (3,)),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8", "complex64"])
@pytest.mark.parametrize("name", PREPARED)
def test_what_is_prepared_gives_the_same(name, dtype):
    f, shape = PREPARED[name]
    if dtype == "complex64" and name in ("max", "min", "and", "or", "xor", "not"):
        pytest.skip("complex numbers have no such order and no bits")
    x = jnp.asarray(np.arange(np.prod(shape)).reshape(shape) - 1.5).astype(dtype)
    want, got = f(x), pb.jit(f)(x)
    assert got.aval == want.aval
    np.testing.assert_array_equal(np.asarray(got), np.asarray(want))


@pytest.mark.parametrize("dtype", ["int4", "uint2"])
def test_narrow_integers_overflow_the_same_way(dtype):
    x = jnp.arange(-3, 4).astype(dtype)
    for f in (lax.neg, lax.square, lambda x: lax.max(x, x), lambda x: x & x):
        assert pb.jit(f)(x).aval == f(x).aval
        assert pb.jit(f)(x).tolist() == f(x).tolist()


@pytest.mark.parametrize("shape", [(), (3,), (0, 2)])
def test_select_by_a_scalar(shape):
    a, b = np.full(shape, 1.0, np.float32), np.full(shape, 2.0, np.float32)
    for which in (False, True):
        for f in (lax.select_n, pb.jit(lax.select_n)):
            got = f(jnp.array(which), a, b)
            np.testing.assert_array_equal(got, b if which else a)
            assert got.dtype == np.float32
