"""chex: assertions on shapes, types, trees and values, dataclasses, variants of a test."""

import unittest

import chex
import jax
import jax.numpy as jnp
from absl.testing import parameterized


def first_line(check):
    """What the check says, or that it passed."""
    try:
        check()
    except (AssertionError, ValueError) as error:
        return (
            f"{type(error).__name__}: {str(error).strip().splitlines()[0].split(' [failed at')[0]}"
        )
    return "passed"


x = jnp.arange(6.0).reshape(2, 3)
print(first_line(lambda: chex.assert_shape(x, (2, 3))))
print(first_line(lambda: chex.assert_shape([x, x.T], (2, 3))))
print(first_line(lambda: chex.assert_rank(x, {1, 3})))
print(first_line(lambda: chex.assert_type(x, int)))
print(first_line(lambda: chex.assert_equal_shape([x, x.T])))
print(first_line(lambda: chex.assert_axis_dimension(x, 1, 4)))
print(first_line(lambda: chex.assert_trees_all_close({"a": x}, {"a": x + 1e-8})))
print(first_line(lambda: chex.assert_trees_all_equal_shapes({"a": x}, {"a": x.T})))
print(first_line(lambda: chex.assert_tree_all_finite({"a": x / 0})))
print(first_line(lambda: chex.assert_scalar_positive(-1.0)))
print(first_line(lambda: chex.assert_max_traces(lambda v: v, n=1)(x)))


@chex.dataclass
class Parameters:
    weights: chex.Array
    bias: chex.Array


parameters = Parameters(weights=x, bias=jnp.ones(2))
doubled = jax.tree_util.tree_map(lambda v: 2 * v, parameters)
print(doubled.weights.sum(), doubled.bias)
print(jax.tree_util.tree_leaves_with_path(parameters)[0][0])
gradient = jax.jit(jax.grad(lambda p: jnp.sum(p.weights**2 @ jnp.ones(3) * p.bias)))(parameters)
print(gradient.weights, gradient.bias)


@chex.chexify
@jax.jit
def logarithm(v):
    chex.assert_tree_all_finite(jnp.log(v))
    return jnp.log(v)


print(logarithm(x + 1)[0])
print(first_line(lambda: (logarithm(x), logarithm.wait_checks())))


class VariantsTest(chex.TestCase, parameterized.TestCase):
    @chex.variants(with_jit=True, without_jit=True, with_device=True, without_device=True)
    def test_twice(self):
        chex.assert_trees_all_close(self.variant(lambda v: 2 * v)(x), 2 * x)


result = unittest.TestResult()
unittest.defaultTestLoader.loadTestsFromTestCase(VariantsTest).run(result)
print("variants run:", result.testsRun, "wrong:", len(result.failures) + len(result.errors))

with chex.fake_jit():
    print(jax.jit(lambda v: float(v) * 2)(3.0))
chex.block_until_chexify_assertions_complete()
