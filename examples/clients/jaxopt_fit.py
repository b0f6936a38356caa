"""jaxopt: solvers, and derivatives of their solutions by the implicit function theorem."""

import jax
import jax.numpy as jnp
import jaxopt
import numpy as np

jax.config.update("jax_enable_x64", True)
rng = np.random.default_rng(0)
x = jnp.asarray(rng.normal(size=(40, 5)))
y = x @ jnp.arange(1.0, 6.0) + 0.1 * jnp.asarray(rng.normal(size=40))


def ridge(w, strength, data):
    x, y = data
    return jnp.mean((x @ w - y) ** 2) + strength * jnp.sum(w**2)


start = jnp.zeros(5)
for solver in (
    jaxopt.GradientDescent(ridge, maxiter=500, tol=1e-8),
    jaxopt.LBFGS(ridge, maxiter=100, tol=1e-8),
    jaxopt.BFGS(ridge, maxiter=100, tol=1e-8),
    jaxopt.NonlinearCG(ridge, maxiter=100, tol=1e-8),
    jaxopt.ScipyMinimize(fun=ridge, method="L-BFGS-B", tol=1e-10),
):
    w, _ = solver.run(start, 0.1, (x, y))
    print(type(solver).__name__, np.round(w, 5))


def solution(strength):
    return jaxopt.LBFGS(ridge, maxiter=100, tol=1e-10, implicit_diff=True).run(
        start, strength, (x, y)
    )[0]


print("d solution / d strength:", np.round(jax.jacobian(solution)(0.1), 5))

lasso = jaxopt.ProximalGradient(
    fun=lambda w, data: jnp.mean((data[0] @ w - data[1]) ** 2),
    prox=jaxopt.prox.prox_lasso,
    maxiter=500,
)
print("lasso:", np.round(lasso.run(start, hyperparams_prox=1.0, data=(x, y)).params, 4))

box = jaxopt.ProjectedGradient(
    fun=lambda w, data: jnp.mean((data[0] @ w - data[1]) ** 2),
    projection=jaxopt.projection.projection_box,
)
print("box:", np.round(box.run(start, hyperparams_proj=(0.0, 2.5), data=(x, y)).params, 4))

root = jaxopt.Bisection(lambda v, c: v**3 - v - c, lower=1.0, upper=2.0)
print(
    "root:",
    np.round(root.run(None, 1.0).params, 6),
    np.round(jax.grad(lambda c: root.run(None, c).params)(1.0), 6),
)

fixed = jaxopt.AndersonAcceleration(
    lambda v, c: jnp.cos(v) * c, history_size=3, maxiter=100, tol=1e-12
)
print("fixed point:", np.round(fixed.run(jnp.ones(2), 1.0).params, 8))
print("gauss-newton:", np.round(jaxopt.GaussNewton(lambda w: x @ w - y).run(start).params, 5))
print(
    "simplex:", np.round(jaxopt.projection.projection_simplex(jnp.array([0.3, 2.0, -1.0, 0.4])), 6)
)
