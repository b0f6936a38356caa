"""numpyro: NUTS on the eight schools, variational inference, prior and posterior predictions."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO, log_likelihood
from numpyro.infer.autoguide import AutoNormal

jax.config.update("jax_enable_x64", True)
treatment = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
error = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


def eight_schools(error, treatment=None):
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    with numpyro.plate("schools", 8):
        with numpyro.handlers.reparam(config={"theta": numpyro.infer.reparam.TransformReparam()}):
            theta = numpyro.sample(
                "theta",
                dist.TransformedDistribution(
                    dist.Normal(0.0, 1.0), dist.transforms.AffineTransform(mu, tau)
                ),
            )
        numpyro.sample("obs", dist.Normal(theta, error), obs=treatment)


mcmc = MCMC(NUTS(eight_schools), num_warmup=100, num_samples=100, progress_bar=False)
mcmc.run(jax.random.PRNGKey(0), error, treatment=treatment)
samples = mcmc.get_samples()
print({name: values.shape for name, values in sorted(samples.items())})
print("mu between 0 and 9:", bool(0 < samples["mu"].mean() < 9))
predicted = Predictive(eight_schools, samples)(jax.random.PRNGKey(1), error)["obs"]
print(predicted.shape, log_likelihood(eight_schools, samples, error, treatment)["obs"].shape)

prior = Predictive(eight_schools, num_samples=3)(jax.random.PRNGKey(2), error)
print("prior:", np.round(prior["mu"], 5), np.round(prior["obs"][0, :3], 4))

guide = AutoNormal(eight_schools)
svi = SVI(eight_schools, guide, numpyro.optim.Adam(0.05), Trace_ELBO())
state = svi.init(jax.random.PRNGKey(3), error, treatment=treatment)
update = jax.jit(lambda s: svi.update(s, error, treatment=treatment))
for _ in range(50):
    state, loss = update(state)
print("svi loss:", np.round(loss, 4))

for make, value in {
    dist.Gamma(2.0, 3.0): 0.7,
    dist.Beta(2.0, 3.0): 0.3,
    dist.StudentT(4.0, 0.0, 1.0): 0.5,
    dist.Poisson(3.0): 2,
    dist.NegativeBinomial2(3.0, 2.0): 2,
    dist.Dirichlet(jnp.array([1.0, 2.0, 3.0])): jnp.array([0.2, 0.3, 0.5]),
    dist.MultivariateNormal(jnp.zeros(2), jnp.array([[2.0, 0.5], [0.5, 1.0]])): jnp.ones(2),
    dist.LKJCholesky(3, 2.0): jnp.eye(3),
    dist.VonMises(0.0, 2.0): 0.4,
    dist.TruncatedNormal(0.0, 1.0, low=-1.0, high=2.0): 0.4,
    dist.Categorical(logits=jnp.array([0.1, 0.5, -1.0])): 1,
}.items():
    draw = make.sample(jax.random.PRNGKey(4), (2,))
    print(type(make).__name__, np.round(make.log_prob(value), 6), np.round(jnp.ravel(draw)[:3], 5))
