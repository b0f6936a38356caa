"""Calls of jax.random and the numbers that JAX gives for them."""
