"""Functions of lax: each expression gives what JAX gives, in value, dtype and weakness."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import peer
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import lax
from pullback.core.trace import type_of
from pullback.tree import flatten

if peer.INSTALLED:
    import jax

TOLERANCE = 3e-6

VALUES = {
    "x": np.float32([1.5, -2.25, 3.0]),
    "y": np.float32([0.5, 2.0, -1.0]),
    "p": np.float32([0.25, 0.5, 0.75]),
    "m": np.arange(6, dtype=np.float32).reshape(2, 3) / 4,
    "t": np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 8,
    "h": np.float16([1.5, -2.25, 3.0]),
    "i": np.int32([7, -3, 2]),
    "j": np.int32([2, 5, -2]),
    "u": np.uint32([7, 3, 2]),
    "s": np.int8([7, -3, 2]),
    "b": np.array([True, False, True]),
    "c": np.complex64([1 + 2j, -0.5j, 3]),
    "nan": np.float32([np.nan, np.inf, -0.0]),
}

# What must agree with JAX. Where JAX raises, an exception of the same class must be raised here.
EXPRESSIONS = """
lax.add(x, y)
lax.add(x, 1.0)
lax.add(2.0, x)
lax.add(i, 1)
lax.add(x, 1)
lax.add(h, 1.0)
lax.add(x, 1j)
lax.add(1, 1.0)
lax.add(x, i)
lax.add(x, m)
lax.add(m, lax.slice(m, (0, 0), (1, 3)))
lax.add(x, np.float32(1))
lax.add(b, b)
lax.sub(x, y)
lax.mul(x, y)
lax.mul(c, c)
lax.mul(x, 2.0)
lax.div(x, y)
lax.div(i, j)
lax.div(7, -2)
lax.div(x, 0.0)
lax.rem(x, y)
lax.rem(i, j)
lax.neg(x)
lax.neg(u)
lax.neg(b)
lax.max(x, 0.0)
lax.min(x, y)
lax.max(nan, x)
lax.max(b, False)
lax.abs(x)
lax.abs(c)
lax.abs(i)
lax.sign(x)
lax.sign(c)
lax.sign(u)
lax.floor(x)
lax.ceil(x)
lax.round(lax.mul(x, 2.0))
lax.round(lax.add(x, 0.5), lax.RoundingMethod.TO_NEAREST_EVEN)
lax.round(i)
lax.is_finite(nan)
lax.nextafter(x, y)
lax.nextafter(1.0, 2.0)
lax.reduce_precision(x, 5, 2)
lax.square(i)
lax.reciprocal(x)
lax.integer_pow(x, 3)
lax.integer_pow(x, -2)
lax.integer_pow(i, 2)
lax.pow(x, 2)
lax.pow(p, y)
lax.pow(h, 2)
lax.pow(x, i)
lax.pow(2.0, 3)
lax.pow(i, j)
lax.pow(2, x)
lax.sqrt(p)
lax.sqrt(x)
lax.rsqrt(p)
lax.cbrt(x)
lax.sqrt(i)
lax.real(c)
lax.imag(c)
lax.real(x)
lax.complex(x, y)
lax.complex(1.0, 2.0)
lax.complex(x, 2.0)
lax.conj(c)
lax.conj(x)
lax.exp(x)
lax.exp2(x)
lax.expm1(p)
lax.log(p)
lax.log(c)
lax.log1p(p)
lax.logistic(x)
lax.sin(x)
lax.sin(1)
lax.sin(1.0)
lax.cos(c)
lax.tan(x)
lax.asin(p)
lax.acos(p)
lax.atan(x)
lax.atan2(x, y)
lax.atan2(1.0, 2.0)
lax.sinh(x)
lax.cosh(x)
lax.tanh(x)
lax.asinh(x)
lax.acosh(lax.add(p, 1.0))
lax.atanh(p)
lax.erf(x)
lax.erfc(x)
lax.erf_inv(p)
lax.lgamma(p)
lax.digamma(p)
lax.polygamma(1.0, p)
lax.igamma(p, 1.0)
lax.igammac(p, 1.0)
lax.zeta(2.0, p)
lax.betainc(0.5, 2.0, p)
lax.bessel_i0e(x)
lax.bessel_i1e(x)
lax.eq(x, y)
lax.eq(x, 1.5)
lax.eq(c, c)
lax.ne(b, True)
lax.lt(i, 3)
lax.le(x, y)
lax.gt(x, y)
lax.ge(nan, x)
lax.lt(c, c)
lax.clamp(0.0, x, 1.0)
lax.clamp(0, i, 3)
lax.clamp(0, x, 1)
lax.clamp(p, x, lax.add(p, 1.0))
lax.select(b, x, y)
lax.select(True, x, y)
lax.select(1, x, y)
lax.select(b, x, 1.0)
lax.select(b, x, i)
lax.select_n(lax.clamp(0, i, 2), x, y, p)
lax.select_n(b, x, y)
lax.select_n(b, x, y, p)
lax.bitwise_and(i, j)
lax.bitwise_or(i, 1)
lax.bitwise_xor(b, True)
lax.bitwise_not(i)
lax.bitwise_not(b)
lax.bitwise_and(x, y)
lax.shift_left(i, 1)
lax.shift_right_arithmetic(i, 1)
lax.shift_right_logical(i, 1)
lax.population_count(i)
lax.clz(i)
lax.convert_element_type(x, jnp.int32)
lax.convert_element_type(1, float)
lax.convert_element_type(True, jnp.float32)
lax.convert_element_type(x, None)
lax.bitcast_convert_type(x, jnp.int32)
lax.bitcast_convert_type(x, jnp.uint8)
lax.bitcast_convert_type(c, jnp.int32)
lax.full((2,), 1.5)
lax.full((2,), 1)
lax.full((2,), True)
lax.full((2,), 1, jnp.float16)
lax.full(2, 1.0)
lax.full((), 1.0)
lax.full((2,), x)
lax.full_like(x, 2)
lax.full_like(1.0, 3)
lax.full_like(h, 2.5)
lax.full_like(x, 2, jnp.int32)
lax.full_like(x, 2, shape=(4,))
lax.iota(float, 3)
lax.iota(jnp.int32, 3)
lax.iota(bool, 3)
lax.broadcasted_iota(jnp.int32, (2, 3), 1)
lax.broadcasted_iota(jnp.float32, (2, 3), 0)
lax.broadcasted_iota(jnp.float32, (2, 3), 2)
lax.dtype(1.0)
lax.dtype(x)
lax.broadcast(x, (2,))
lax.broadcast(1.0, (2, 1))
lax.broadcast_in_dim(x, (3, 2), (0,))
lax.broadcast_in_dim(x, (2, 3), (1,))
lax.broadcast_in_dim(x, (2, 4), (1,))
lax.broadcast_shapes((2, 1), (3,))
lax.broadcast_shapes((2, 1), (3, 3))
lax.broadcast_to_rank(x, 3)
lax.broadcast_like(1.0, x)
lax.reshape(m, (3, 2))
lax.reshape(m, (6,), dimensions=(1, 0))
lax.reshape(m, (-1,))
lax.reshape(m, (5,))
lax.collapse(t, 1)
lax.collapse(t, 0, 2)
lax.expand_dims(x, (-1,))
lax.expand_dims(x, (0, 2))
lax.expand_dims(x, (5,))
lax.squeeze(lax.expand_dims(x, (0, 2)), (0, -1))
lax.squeeze(x, (0,))
lax.transpose(t, (2, 0, 1))
lax.transpose(t, (0, 0, 1))
lax.rev(t, (0, 2))
lax.rev(x, (1,))
lax.pad(x, 0.0, [(1, 2, 1)])
lax.pad(x, 0.0, [(-1, 0, 0)])
lax.pad(x, 0, [(1, 2, 1)])
lax.concatenate([x, y], 0)
lax.concatenate([m, m], 1)
lax.concatenate([x, h], 0)
lax.concatenate([], 0)
lax.concatenate([x, m], 0)
lax.stack([x, y])
lax.stack([x, y], -1)
lax.unstack(m)
lax.unstack(m, 1)
lax.tile(x, (2,))
lax.split(x, [1, 2])
lax.split(m, [1, 2], 1)
lax.split(x, [1, 1])
lax.slice(t, (0, 1, 0), (2, 3, 4), (1, 1, 2))
lax.slice(x, (1,), (5,))
lax.slice_in_dim(t, 1, 3, 1, 1)
lax.slice_in_dim(x, None, -1)
lax.slice_in_dim(x, -2, None)
lax.index_in_dim(t, -1, 2)
lax.index_in_dim(t, 1, 1, keepdims=False)
lax.index_in_dim(x, 3)
lax.dynamic_slice(x, (1,), (2,))
lax.dynamic_slice(x, (-2,), (1,))
lax.dynamic_slice(x, (9,), (2,))
lax.dynamic_slice(t, (0, i[2], jnp.int8(1)), (1, 1, 2))
lax.dynamic_slice(t, jnp.array([0, 1, 2]), (1, 1, 2))
lax.dynamic_slice(x, (1.0,), (2,))
lax.dynamic_slice(x, (1, 1), (2,))
lax.dynamic_slice(x, (1,), (4,))
lax.dynamic_slice(x, (-1,), (2,), allow_negative_indices=False)
lax.dynamic_slice_in_dim(t, -1, 2, 1)
lax.dynamic_index_in_dim(t, 1, 1)
lax.dynamic_index_in_dim(t, -1, 2, keepdims=False)
lax.dynamic_update_slice(x, y[:2], (1,))
lax.dynamic_update_slice(x, i, (1,))
lax.dynamic_update_slice(x, y[:2], (-1,))
lax.dynamic_update_slice_in_dim(t, t[:, :1], 2, 1)
lax.dynamic_update_index_in_dim(x, 7.0, 1, 0)
lax.dynamic_update_index_in_dim(m, x, 1, 0)
lax.gather(x, jnp.array([[1], [9]]), G, (1,))
lax.gather(x, jnp.array([[1], [9]]), G, (1,), mode="fill")
lax.gather(i, jnp.array([[9]]), G, (1,), mode="fill")
lax.gather(m, jnp.array([[1], [0]]), G1, (1, 3), mode="clip")
lax.scatter(x, jnp.array([[1]]), p[:1], S)
lax.scatter_add(x, jnp.array([[1], [1]]), p[:2], S)
lax.scatter_sub(x, jnp.array([[1], [9]]), p[:2], S)
lax.scatter_mul(x, jnp.array([[1]]), p[:1], S)
lax.scatter_min(x, jnp.array([[2]]), p[:1], S)
lax.scatter_max(x, jnp.array([[9]]), p[:1], S, mode="clip")
lax.scatter_apply(x, jnp.array([[1]]), jnp.sin, S, update_shape=(1,))
lax.index_take(x, (jnp.array([1, 2]),), (0,))
lax.reduce(x, 0.0, lax.add, (0,))
lax.reduce(x, 2.0, lax.mul, (0,))
lax.reduce(m, -jnp.inf, lax.max, (0,))
lax.reduce(x, 0.0, lambda a, b: a + 2 * b, ())
lax.reduce(m, 0.0, lambda a, b: lax.max(lax.abs(a), lax.abs(b)), (0, 1))
lax.reduce((x, i), (0.0, 1), lambda a, b: (a[0] + b[0], a[1] * b[1]), (0,))
lax.reduce(x, 0, lax.add, (0,))
lax.reduce_sum(t, (0, 2))
lax.reduce_prod(x, (0,))
lax.reduce_max(t, axes=(1,))
lax.reduce_min(t, (1,))
lax.reduce_and(b, (0,))
lax.reduce_or(i, (0,))
lax.reduce_xor(i, (0,))
lax.reduce_sum(x, (1,))
lax.argmax(x, 0, jnp.int32)
lax.argmin(m, 1, jnp.int32)
lax.argmax(x, 1, jnp.int32)
lax.cumsum(m)
lax.cumsum(m, 1, reverse=True)
lax.cumprod(x)
lax.cummax(x)
lax.cummin(x)
lax.cumlogsumexp(x)
lax.cumsum(x, axis=-1)
lax.sort(x)
lax.sort((i, x))
lax.sort((i, x), num_keys=2)
lax.sort_key_val(i, x)
lax.top_k(x, 2)
lax.top_k(m, 2, axis=0)
lax.top_k(x, 4)
lax.approx_max_k(x, 2)
lax.approx_min_k(x, 2)
lax.dot(x, y)
lax.dot(m, x)
lax.dot(m, lax.transpose(m, (1, 0)))
lax.dot(m, m)
lax.dot(t, x)
lax.dot(x, h)
lax.dot(m, x, precision=lax.Precision.HIGHEST)
lax.dot(h, h, preferred_element_type=jnp.float32)
lax.dot_general(m, m, (((1,), (1,)), ((), ())))
lax.dot_general(t, t, (([2], [2]), ([0], [0])))
lax.dot_general(m, x, (((0,), (0,)), ((), ())))
lax.batch_matmul(t, lax.transpose(t, (0, 2, 1)))
lax.batch_matmul(x, x)
lax.stop_gradient((x, i))
lax.optimization_barrier((x, {"a": i}))
lax.linalg.cholesky(jnp.eye(2) * 4)
lax.linalg.triangular_solve(jnp.tri(3) + jnp.eye(3), jnp.ones((3, 2)), left_side=True, lower=True)
lax.linalg.triangular_solve(jnp.tri(3) + jnp.eye(3), jnp.ones((2, 3)), lower=True, transpose_a=True)
lax.linalg.lu(jnp.tri(3) + jnp.eye(3))
lax.linalg.lu_pivots_to_permutation(jnp.array([1, 2, 2]), 3)
lax.associative_scan(lax.add, x)
lax.associative_scan(lambda a, b: a * b, m, axis=1)
lax.associative_scan(lambda a, b: a + b, m, reverse=True, axis=1)
lax.associative_scan(lambda a, b: a + b, m, axis=-1)
lax.associative_scan(jnp.logical_or, b)
lax.associative_scan(lambda a, b: (a[0] * b[0], a[1] * b[0] + b[1]), (x, y))
lax.associative_scan(3, x)
lax.associative_scan(lax.add, (x, m))
lax.platform_dependent(x, cpu=lambda x: x, default=lambda x: -x)
lax.psum(x, 0)
lax.psum(x, "i")
lax.axis_size("i")
""".strip().splitlines()

# These are done under vmap with the name "i" over the first axis of the last argument.
COLLECTIVE = """
lax.psum(x, "i")
lax.psum(1, "i")
lax.psum(2.5, "i")
lax.psum(x > 1, "i")
lax.psum({"a": x, "b": 2}, ("i",))
lax.psum(x, ())
lax.pmean(x, "i")
lax.pmean(lax.convert_element_type(x, int), "i")
lax.pmax(x, "i")
lax.pmin(x, "i")
lax.axis_size("i")
lax.axis_index("i")
lax.axis_index("i") * x
lax.ppermute(x, "i", [(0, 1), (1, 2), (2, 0)])
lax.ppermute(x, "i", [(2, 1), (1, 2), (0, 0)])
lax.pshuffle(x, "i", [2, 0, 1])
lax.all_gather(x, "i")
lax.all_gather(x, "i", tiled=True)
lax.all_gather(x, "i", axis=1)
lax.all_gather(x, "i", axis=-1)
lax.psum_scatter(x, "i")
lax.psum_scatter(x, "i", tiled=True)
lax.all_to_all(x, "i", 0, 0)
lax.all_to_all(x, "i", 0, 0, tiled=True)
lax.pswapaxes(x, "i", 0)
jax.grad(lambda x: lax.psum(x, "i").sum())(x)
jax.grad(lambda x: (lax.psum(x**2, "i") * x).sum())(x)
jax.grad(lambda x: (lax.pmean(x**2, "i") * x).sum())(x)
jax.grad(lambda x: (lax.all_gather(x, "i") * x).sum())(x)
jax.grad(lambda x: (lax.psum_scatter(x**2, "i") * x[0]).sum())(x)
jax.grad(lambda x: (lax.all_to_all(x**2, "i", 0, 0) * x).sum())(x)
jax.grad(lambda x: (lax.ppermute(x**2, "i", [(0, 1), (1, 2), (2, 0)]) * x).sum())(x)
jax.jvp(lambda x: lax.psum(x**2, "i"), (x,), (x,))[1]
jax.vmap(lambda y: lax.psum(x * y, "i"))(jnp.arange(2.0))
jax.vmap(lambda y: lax.all_gather(x * y, "i"))(jnp.arange(2.0))
jax.vmap(lambda y: lax.all_to_all(x * y, "i", 0, 0))(jnp.arange(2.0))
jax.vmap(lambda y: lax.psum_scatter(x * y, "i"))(jnp.arange(2.0))
jax.vmap(lambda y: lax.ppermute(x * y, "i", [(0, 1), (1, 2), (2, 0)]))(jnp.arange(2.0))
jax.vmap(lambda y: lax.psum(x * y, ("i", "j")), axis_name="j")(jnp.arange(2.0))
jax.vmap(lambda y: lax.axis_index(("i", "j")), axis_name="j")(jnp.arange(2.0))
jax.jit(lambda x: lax.psum(x, "i"))(x)
lax.scan(lambda c, _: (c + lax.axis_index("i"), lax.psum(c, "i")), jnp.int32(0), None, length=3)
lax.scan(lambda c, y: (c + lax.psum(y, "i"), None), 0.0, x)[0]
lax.cond(True, lambda: lax.axis_index("i"), lambda: 0 * lax.axis_index("i"))
""".strip().splitlines()


def evaluated(text, module, numpy, lax, x=None):
    values = {name: numpy.asarray(v) for name, v in VALUES.items()}
    if x is not None:
        values = {"x": x}
    numbers = {
        "G": lax.GatherDimensionNumbers((), (0,), (0,)),
        "G1": lax.GatherDimensionNumbers((1,), (0,), (0,)),
        "S": lax.ScatterDimensionNumbers((), (0,), (0,)),
    }
    return eval(text, {"lax": lax, "jnp": numpy, "np": np, "jax": module, **numbers, **values})


def outcome(text, module, numpy, lax, function=evaluated):
    """The result of an expression, or the exception that it raises."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return function(text, module, numpy, lax)
    except (TypeError, ValueError, IndexError, NameError) as problem:
        return problem


def under_vmap(text, module, numpy, lax):
    square = numpy.asarray(np.arange(1, 10, dtype=np.float32).reshape(3, 3))
    mapped = module.vmap(lambda x: evaluated(text, module, numpy, lax, x), axis_name="i")
    return mapped(square)


def check(text, function):
    ours = outcome(text, pb, jnp, lax, function)
    theirs = outcome(text, jax, jax.numpy, jax.lax, function)
    if isinstance(theirs, Exception):
        known = (TypeError, ValueError) if type(theirs) in (TypeError, ValueError) else type(theirs)
        assert isinstance(ours, known), ours
        assert "\n  Got: " in str(ours) and "\n  Fix: " in str(ours), ours
        return
    assert not isinstance(ours, Exception), ours
    mine, yours = flatten(ours)[0], jax.tree.leaves(theirs)
    assert len(mine) == len(yours)
    for a, b in zip(mine, yours, strict=True):
        if isinstance(b, (np.dtype, int)) and not hasattr(b, "aval"):
            assert a == b
            continue
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert type_of(a).weak_type == b.aval.weak_type
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), TOLERANCE, TOLERANCE)


@pytest.mark.skipif(not peer.INSTALLED, reason="JAX is not installed")
@pytest.mark.parametrize("text", EXPRESSIONS)
def test_expression_gives_what_jax_gives(text):
    check(text, evaluated)


@pytest.mark.skipif(not peer.INSTALLED, reason="JAX is not installed")
@pytest.mark.parametrize("text", COLLECTIVE)
def test_collective_gives_what_jax_gives(text):
    check(text, under_vmap)


# ---- signatures

MISSING = {
    "composite",
    "create_token",
    "after_all",
    "dce_sink",
    "fft",
    "mulhi",
    "precv",
    "psend",
    "ragged_all_to_all",
    "ragged_dot",
    "ragged_dot_general",
    "rng_bit_generator",
    "rng_uniform",
    "scaled_dot",
}
"""Functions of jax.lax that do not exist here yet."""


@pytest.mark.skipif(not peer.INSTALLED, reason="JAX is not installed")
def test_functions_have_the_parameters_of_jax():
    wrong = []
    for name in dir(jax.lax):
        theirs = getattr(jax.lax, name)
        if name.startswith("_") or name.endswith("_p") or not inspect.isfunction(theirs):
            continue
        if name in MISSING or name in ("cond", "random_gamma_grad"):
            continue
        if not hasattr(lax, name):
            wrong.append(f"{name} is missing")
            continue
        want, have = (list(inspect.signature(f).parameters) for f in (theirs, getattr(lax, name)))
        if have[: len(want)] != want:
            wrong.append(f"{name}: {have} for {want}")
    assert not wrong, "\n".join(wrong)
