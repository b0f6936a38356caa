"""sparsejac: a sparse Jacobian from a known pattern, in both modes, equal to the dense one."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
import sparsejac
from jax.experimental import sparse

n = 60


def heat(u):
    """One explicit step of a nonlinear heat equation on a line."""
    flux = (1 + u[1:] ** 2 + u[:-1] ** 2) * (u[1:] - u[:-1])
    return u.at[1:-1].add(0.1 * (flux[1:] - flux[:-1]))


pattern = scipy.sparse.diags([np.ones(n)] * 3, [-1, 0, 1], shape=(n, n))
pattern = sparse.BCOO.from_scipy_sparse(pattern)
u = jnp.sin(jnp.linspace(0, 3, n))
for make in (sparsejac.jacfwd, sparsejac.jacrev):
    jacobian = jax.jit(make(heat, sparsity=pattern))(u)
    dense = jax.jacfwd(heat)(u)
    print(make.__name__, jacobian.nse, bool(jnp.allclose(jacobian.todense(), dense, atol=1e-6)))
    print(jacobian.todense()[30, 28:33])
