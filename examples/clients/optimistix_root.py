"""optimistix: roots, least squares, minima and fixed points, and their implicit derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optimistix as ox

jax.config.update("jax_enable_x64", True)
exact = dict(rtol=1e-8, atol=1e-8)


def show(name, tree):
    print(f"{name}:", jax.tree.map(lambda x: np.asarray(x).round(4) + 0.0, tree))


def system(y, a):
    return jnp.array([y[0] ** 2 + y[1] - a, y[1] ** 2 - y[0] - 1.0])


for solver in (
    ox.Newton(**exact),
    ox.Chord(**exact),
    ox.LevenbergMarquardt(**exact),
    ox.Dogleg(**exact),
):

    def root(a, solver=solver):
        return ox.root_find(system, solver, jnp.ones(2), a).value

    name = type(solver).__name__
    show(f"root, {name}", root(3.0))
    show(f"root, {name}, reverse", jax.jit(jax.jacrev(root))(3.0))
    show(f"root, {name}, forward", jax.jacfwd(root)(3.0))
    show(f"root, {name}, vmap", jax.vmap(root)(jnp.array([3.0, 4.0])))
between = dict(lower=0.0, upper=2.0)
cube_root = ox.root_find(lambda x, c: x**3 - c, ox.Bisection(**exact), 1.0, 2.0, options=between)
show("bisection", cube_root.value)

times = jnp.linspace(0, 1, 12)
decay = 2 * jnp.exp(-1.3 * times) + 0.1


def residuals(p, data):
    times, values = data
    return p["a"] * jnp.exp(-p["k"] * times) - values


for solver in (ox.LevenbergMarquardt(**exact), ox.GaussNewton(**exact), ox.Dogleg(**exact)):

    def fit(values, solver=solver):
        start = dict(a=jnp.array(1.0), k=jnp.array(1.0))
        return ox.least_squares(residuals, solver, start, (times, values)).value

    name = type(solver).__name__
    show(f"least squares, {name}", fit(decay))
    show(f"least squares, {name}, grad", jax.jit(jax.grad(lambda v, f=fit: f(v)["k"]))(decay))


def valley(y, a):
    return (a - y[0]) ** 2 + 10 * (y[1] - y[0] ** 2) ** 2


def minimum(a, solver):
    start = jnp.array([-0.5, 1.0])
    return ox.minimise(valley, solver, start, a, max_steps=3000, throw=False).value


for solver in (
    ox.BFGS(**exact),
    ox.LBFGS(**exact),
    ox.DFP(**exact),
    ox.NelderMead(**exact),
    ox.OptaxMinimiser(optax.adam(5e-2), **exact),
):
    show(f"minimum, {type(solver).__name__}", minimum(1.0, solver))
show("minimum, grad", jax.jacrev(minimum)(1.0, ox.BFGS(rtol=1e-10, atol=1e-10)))


def fixed(a, adjoint):
    solver = ox.FixedPointIteration(rtol=1e-10, atol=1e-10)
    return ox.fixed_point(
        lambda y, a: jnp.tanh(a * y + 0.5), solver, jnp.array(0.1), a, adjoint=adjoint
    ).value


for adjoint in (ox.ImplicitAdjoint(), ox.RecursiveCheckpointAdjoint()):
    name = type(adjoint).__name__
    show(f"fixed point, {name}", fixed(0.5, adjoint))
    show(f"fixed point, {name}, grad", jax.vmap(jax.grad(fixed), (0, None))(times[1:4], adjoint))
