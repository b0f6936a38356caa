"""tinygp: fit a Gaussian process, predict from it, and the same with a kernel of linear cost."""

import jax
import jax.numpy as jnp
import numpy as np
from tinygp import GaussianProcess, kernels, transforms

jax.config.update("jax_enable_x64", True)
rng = np.random.default_rng(42)
x = jnp.sort(jnp.asarray(rng.uniform(0, 10, 30)))
y = jnp.sin(x) + 0.1 * jnp.asarray(rng.normal(size=30))
grid = jnp.linspace(0, 10, 5)


def process(log_parameters, make=kernels.ExpSquared):
    amplitude, scale, noise = jnp.exp(log_parameters)
    return GaussianProcess(amplitude**2 * make(scale), x, diag=noise**2)


@jax.jit
def loss(log_parameters):
    return -process(log_parameters).log_probability(y)


log_parameters = jnp.array([0.0, 0.0, -1.0])
print(
    "loss, gradient:",
    np.round(loss(log_parameters), 6),
    np.round(jax.grad(loss)(log_parameters), 6),
)
descend = jax.jit(lambda p: p - 0.005 * jax.grad(loss)(p))
for _ in range(60):
    log_parameters = descend(log_parameters)
print("fitted:", np.round(jnp.exp(log_parameters), 5), np.round(loss(log_parameters), 5))
conditioned = process(log_parameters).condition(y, grid)
print("mean:", np.round(conditioned.gp.mean, 5))
print("variance:", np.round(conditioned.gp.variance, 5))

for make in (kernels.Matern32, kernels.Matern52, kernels.RationalQuadratic, kernels.Exp):
    kernel = make(1.5) if make is not kernels.RationalQuadratic else make(scale=1.5, alpha=1.0)
    gp = GaussianProcess(kernel + kernels.Cosine(3.0) * 0.1, x, diag=0.01)
    print(make.__name__, np.round(gp.log_probability(y), 6))

quasi = kernels.quasisep.Matern32(1.5) + kernels.quasisep.Celerite(0.5, 0.1, 0.3, 0.2)
gp = GaussianProcess(quasi, x, diag=0.01)
print("quasisep:", np.round(gp.log_probability(y), 6))
gradient = jax.grad(
    lambda scale: GaussianProcess(kernels.quasisep.Matern32(scale), x, diag=0.01).log_probability(y)
)(1.5)
print("its gradient:", np.round(gradient, 6))
print("sample:", np.round(gp.sample(jax.random.PRNGKey(0), shape=(2,))[:, :3], 5))

plane = jnp.asarray(rng.normal(size=(8, 2)))
gp = GaussianProcess(
    transforms.Linear(jnp.array([1.0, 0.5]), kernels.ExpSquared()), plane, diag=0.1
)
print("two dimensions:", np.round(gp.log_probability(jnp.sum(plane, 1)), 6))
