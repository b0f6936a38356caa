"""lineax: linear systems by every solver, their derivatives, and operators without a matrix."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np

jax.config.update("jax_enable_x64", True)
rng = np.random.default_rng(0)
square = jnp.asarray(rng.normal(size=(4, 4))) + 4 * jnp.eye(4)
definite = square @ square.T
tall = jnp.asarray(rng.normal(size=(6, 4)))
b4, b6 = jnp.asarray(rng.normal(size=4)), jnp.asarray(rng.normal(size=6))


def show(name, x):
    print(f"{name}:", np.asarray(x).round(6) + 0.0)


def matrix(a):
    return lx.MatrixLinearOperator(a)


def psd(a):
    return lx.MatrixLinearOperator(a, lx.positive_semidefinite_tag)


def lower(a):
    return lx.MatrixLinearOperator(jnp.tril(a), lx.lower_triangular_tag)


def bands(a):
    return lx.TridiagonalLinearOperator(jnp.diag(a), jnp.diag(a, -1), jnp.diag(a, 1))


exact = dict(rtol=1e-10, atol=1e-10)
CASES = {
    "auto": (matrix, square, b4, lx.AutoLinearSolver(well_posed=True)),
    "lu": (matrix, square, b4, lx.LU()),
    "qr": (matrix, tall, b6, lx.QR()),
    "svd": (matrix, tall, b6, lx.SVD()),
    "cholesky": (psd, definite, b4, lx.Cholesky()),
    "cg": (psd, definite, b4, lx.CG(**exact)),
    "bicgstab": (matrix, square, b4, lx.BiCGStab(**exact)),
    "gmres": (matrix, square, b4, lx.GMRES(**exact)),
    "triangular": (lower, square, b4, lx.Triangular()),
    "tridiagonal": (bands, square, b4, lx.Tridiagonal()),
}
for name, (operator, a, b, solver) in CASES.items():

    def solve(a, b, operator=operator, solver=solver):
        return lx.linear_solve(operator(a), b, solver).value

    def energy(a, b, solve=solve):
        return jnp.sum(solve(a, b) ** 2)

    many = jnp.stack([b, 2 * b])
    show(name, jax.jit(solve)(a, b))
    show(f"{name}, jvp", jax.jvp(solve, (a, b), (0.1 * jnp.ones_like(a), jnp.ones_like(b)))[1])
    show(f"{name}, grad", jax.jit(jax.grad(energy))(a, b)[0])
    show(f"{name}, vmap of grad", jax.vmap(jax.grad(energy, 1), (None, 0))(a, many)[1])
    hessian = jax.jvp(jax.grad(lambda v, e=energy, m=a: e(m, v)), (b,), (jnp.ones_like(b),))[1]
    show(f"{name}, hessian-vector product", hessian)

structure = jax.eval_shape(lambda: b4)
function = lx.FunctionLinearOperator(lambda v: square @ v, structure)
show("function", lx.linear_solve(function, b4).value)
show("function, transposed", function.T.mv(b4))
jacobian = lx.JacobianLinearOperator(lambda v, args: jnp.sin(square @ v), b4)
show("jacobian", jacobian.as_matrix())
show("jacobian, solved", lx.linear_solve(jacobian, b4).value)
mixed = 2 * function + lx.DiagonalLinearOperator(jnp.arange(4.0)) @ function.T
show("sum and product", mixed.as_matrix())
singular = lx.linear_solve(matrix(jnp.zeros((2, 2))), jnp.ones(2), throw=False)
print("singular:", bool(singular.result == lx.RESULTS.singular))
