"""Pullback's programs, primitives and traces as code written for JAX's inner modules meets them.

The modules in compat/jax give these their names; what is registered here stays when the alias goes.
"""
