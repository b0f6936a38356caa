"""diffrax: differential equations by many solvers, adjoints, events, noise, a neural one."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import optimistix as ox

jax.config.update("jax_enable_x64", True)
key = jax.random.PRNGKey(3)
start = jnp.array([1.0, 0.5])


def show(name, tree):
    print(f"{name}:", jax.tree.map(lambda x: np.asarray(x).round(5) + 0.0, tree))


def oscillator(t, y, mu):
    return jnp.array([y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]])


def solve(mu=1.0, solver=dfx.Tsit5(), t1=3.0, **options):  # noqa: B008
    options.setdefault("stepsize_controller", dfx.PIDController(rtol=1e-6, atol=1e-6))
    term = dfx.ODETerm(oscillator)
    return dfx.diffeqsolve(term, solver, 0.0, t1, 0.1, start, args=mu, **options)


for solver in (dfx.Tsit5(), dfx.Dopri5(), dfx.Dopri8(), dfx.Heun(), dfx.Kvaerno3(), dfx.Kvaerno5()):
    show(type(solver).__name__, solve(solver=solver).ys)
show("Euler", solve(solver=dfx.Euler(), stepsize_controller=dfx.ConstantStepSize()).ys)
show("at times", solve(saveat=dfx.SaveAt(ts=jnp.linspace(0, 3, 5))).ys)
show("dense", solve(saveat=dfx.SaveAt(dense=True)).evaluate(1.234))
show("steps", solve(saveat=dfx.SaveAt(steps=True), max_steps=64).stats["num_accepted_steps"])
show("vmap", jax.vmap(lambda mu: solve(mu).ys)(jnp.array([0.5, 1.0, 2.0])))


def energy(mu, **options):
    return jnp.sum(solve(mu, max_steps=256, **options).ys ** 2)


for adjoint in (
    dfx.RecursiveCheckpointAdjoint(),
    dfx.DirectAdjoint(),
    dfx.BacksolveAdjoint(),
):
    gradient = jax.jit(jax.grad(lambda mu, a=adjoint: energy(mu, adjoint=a)))
    show(f"grad, {type(adjoint).__name__}", gradient(1.0))
forward = jax.jvp(lambda mu: energy(mu, adjoint=dfx.ForwardMode()), (1.0,), (1.0,))[1]
show("grad, ForwardMode", forward)
show("vmap of grad", jax.jit(jax.vmap(jax.grad(energy)))(jnp.array([0.5, 1.0, 2.0])))


def crossing(mu):
    event = dfx.Event(lambda t, y, args, **_: y[0], ox.Newton(1e-8, 1e-8))
    return solve(mu, t1=20.0, event=event).ts[0]


show("event", crossing(1.0))
show("event, grad", jax.grad(crossing)(1.0))

path = dfx.VirtualBrownianTree(0.0, 1.0, tol=1e-3, shape=(2,), key=key)
show("brownian", path.evaluate(0.0, 0.37))


def noisy(sigma, solver):
    drift = dfx.ODETerm(lambda t, y, args: -y)
    noise = dfx.ControlTerm(lambda t, y, sigma: lx.DiagonalLinearOperator(sigma * y), path)
    terms = dfx.MultiTerm(drift, noise)
    return dfx.diffeqsolve(terms, solver, 0.0, 1.0, 0.05, start, args=sigma).ys[0]


for solver in (dfx.Euler(), dfx.EulerHeun(), dfx.ItoMilstein()):
    show(f"noisy, {type(solver).__name__}", noisy(0.3, solver))
show("noisy, grad", jax.grad(lambda s: jnp.sum(noisy(s, dfx.EulerHeun())))(0.3))


class NeuralODE(eqx.Module):
    field: eqx.nn.MLP

    def __call__(self, times, y):
        return dfx.diffeqsolve(
            dfx.ODETerm(lambda t, y, args: self.field(y)),
            dfx.Tsit5(),
            times[0],
            times[-1],
            0.1,
            y,
            stepsize_controller=dfx.PIDController(rtol=1e-3, atol=1e-6),
            saveat=dfx.SaveAt(ts=times),
        ).ys


model = NeuralODE(eqx.nn.MLP(2, 2, 16, 2, activation=jnp.tanh, key=key))
times, batch = jnp.linspace(0, 1, 6), jnp.stack([start, 2 * start])


@eqx.filter_jit
@eqx.filter_value_and_grad
def loss(model, batch):
    return jnp.mean((jax.vmap(model, in_axes=(None, 0))(times, batch) - 1.0) ** 2)


for _ in range(5):
    value, gradient = loss(model, batch)
    model = jax.tree.map(
        lambda p, g: p if g is None else p - 0.1 * g, model, gradient, is_leaf=lambda x: x is None
    )
    show("neural", value)
