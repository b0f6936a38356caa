"""blackjax: NUTS with window adaptation, HMC and a random walk on a regression's posterior."""

import blackjax
import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
rng = np.random.default_rng(0)
x = jnp.asarray(rng.normal(size=(20, 2)))
y = x @ jnp.array([1.0, -2.0]) + 0.3 * jnp.asarray(rng.normal(size=20))


def logdensity(position):
    w, log_scale = position["w"], position["log_scale"]
    fit = jax.scipy.stats.norm.logpdf(y, x @ w, jnp.exp(log_scale)).sum()
    return fit - 0.5 * jnp.sum(w**2) / 25 - 0.5 * log_scale**2


def chain(kernel, state, key, steps):
    """The positions of a chain, and what the kernel says about each step."""

    def one(state, key):
        state, info = kernel(key, state)
        return state, (state.position, info.acceptance_rate)

    return jax.lax.scan(one, state, jax.random.split(key, steps))[1]


start = {"w": jnp.zeros(2), "log_scale": jnp.zeros(())}
key = jax.random.key(0)
warmup = blackjax.window_adaptation(blackjax.nuts, logdensity)
(state, parameters), _ = warmup.run(key, start, num_steps=60)
nuts = blackjax.nuts(logdensity, **parameters)
positions, rates = jax.jit(chain, static_argnums=(0, 3))(nuts.step, state, jax.random.key(1), 100)
print(
    "nuts: weights near the truth:",
    bool(jnp.all(abs(positions["w"].mean(0) - jnp.array([1, -2])) < 0.2)),
)
print("nuts: acceptance between 0.5 and 1:", bool(0.5 < rates.mean() < 1))

hmc = blackjax.hmc(logdensity, 0.05, jnp.ones(3), 5)
positions, rates = jax.jit(chain, static_argnums=(0, 3))(hmc.step, hmc.init(start), key, 10)
print("hmc:", np.round(positions["w"][-1], 6), np.round(rates.mean(), 6))

walk = blackjax.additive_step_random_walk(
    logdensity, blackjax.mcmc.random_walk.normal(0.1 * jnp.eye(3))
)
state = walk.init(start)
for k in jax.random.split(key, 5):
    state, info = walk.step(k, state)
print("random walk:", np.round(state.position["w"], 6), np.round(state.logdensity, 6))

mala = blackjax.mala(logdensity, 0.002)
positions, rates = chain(mala.step, mala.init(start), key, 10)
print("mala:", np.round(positions["w"][-1], 6), np.round(rates.mean(), 6))
