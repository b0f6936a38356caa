"""GMM: the log posterior of a mixture of Gaussians with a Wishart prior, and its gradient.

With weights softmax(alpha), means mu, and inverse covariances Q'Q where Q is lower triangular
with diagonal exp(q) and the entries l below it, column by column:

    sum_i logsumexp_k(alpha_k + sum(q_k) - |Q_k (x_i - mu_k)|^2 / 2) - n logsumexp(alpha)
        - n d log(2 pi) / 2 + log prior(Q)

`icf` (k, d + d(d-1)/2) holds q and l. The gradient's layout is alphas, means, icf.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .work import Work, jitted

SIZES = {
    f"d{d}_K{k}{'' if n == 1000 else '_10k'}": (d, k, n)
    for n in (1000, 10_000)
    for d in (2, 10, 20, 32, 64, 128)
    for k in (5, 10, 25, 50, 100, 200)
}
DEFAULT = ("d2_K5", "d10_K10", "d10_K25", "d20_K25")


@dataclass(frozen=True)
class Data:
    """alphas (k,), means (k, d), icf (k, d + d(d-1)/2), x (n, d), and the prior's parameters."""

    alphas: np.ndarray
    means: np.ndarray
    icf: np.ndarray
    x: np.ndarray
    gamma: float = 1.0
    m: int = 0

    @property
    def parameters(self) -> tuple[np.ndarray, ...]:
        """What is differentiated."""
        return self.alphas, self.means, self.icf


def make(d: int, k: int, n: int, seed: int = 0) -> Data:
    """Standard normal alphas, icf and points, uniform means: as ADBench's own data are drawn."""
    rng = np.random.default_rng(seed)
    return Data(
        alphas=rng.standard_normal(k),
        means=rng.uniform(size=(k, d)),
        icf=rng.standard_normal((k, d * (d + 1) // 2)),
        x=rng.standard_normal((n, d)),
    )


def start(data: Data) -> np.ndarray:
    """alphas, means and icf in one vector."""
    return np.concatenate([each.ravel() for each in data.parameters])


def product(data: Data, jacobian: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The gradient's product with a direction, as a vector of one."""
    return np.atleast_1d(jacobian @ direction)


def constant(data: Data) -> float:
    """The terms that depend on no parameter: of the likelihood, and of the prior."""
    (n, d), k = data.x.shape, len(data.alphas)
    freedom = d + data.m + 1
    log_gamma = 0.25 * d * (d - 1) * math.log(math.pi) + sum(
        math.lgamma(0.5 * freedom - 0.5 * j) for j in range(d)
    )
    prior = freedom * d * (math.log(data.gamma) - 0.5 * math.log(2)) - log_gamma
    return -0.5 * n * d * math.log(2 * math.pi) + k * prior


# --- the reference: loops over points and components ---


def reference(data: Data, vector: np.ndarray) -> np.ndarray:
    """The objective by its definition, as a vector of one."""
    (n, d), k = data.x.shape, len(data.alphas)
    alphas, means, icf = np.split(vector, [k, k + k * d])
    means, icf = means.reshape(k, d), icf.reshape(k, -1)
    factors = [_factor(icf[j], d) for j in range(k)]
    total = constant(data)
    for i in range(n):
        terms = np.empty(k, vector.dtype)
        for j in range(k):
            y = factors[j] @ (data.x[i] - means[j])
            terms[j] = alphas[j] + icf[j, :d].sum() - 0.5 * (y * y).sum()
        total = total + _logsumexp(terms)
    total = total - n * _logsumexp(alphas)
    for j in range(k):
        squares = (factors[j] * factors[j]).sum()
        total = total - 0.5 * data.gamma**2 * squares + data.m * icf[j, :d].sum()
    return np.atleast_1d(total)


def _factor(row: np.ndarray, d: int) -> np.ndarray:
    factor = np.diag(np.exp(row[:d]))
    at = d
    for column in range(d):
        for line in range(column + 1, d):
            factor[line, column] = row[at]
            at += 1
    return factor


def _logsumexp(terms: np.ndarray) -> Any:
    top = terms.real.max()
    return np.log(np.exp(terms - top).sum()) + top


# --- the systems: one formula, all points and components at once ---


def places(d: int) -> np.ndarray:
    """(d, d): where an entry of the strict lower triangle stands in (0, l), and 0 elsewhere."""
    found = np.zeros((d, d), np.int64)
    columns, lines = np.triu_indices(d, 1)  # row by row, so of the lower one column by column
    found[lines, columns] = 1 + np.arange(len(lines))
    return found


def in_jax(data: Data, jax: Any, jnp: Any) -> Work:
    """For a system with JAX's API."""
    n, d = data.x.shape
    x, at, eye, rest = jnp.asarray(data.x), places(d), np.eye(d), constant(data)
    logsumexp = jax.nn.logsumexp

    def objective(alphas: Any, means: Any, icf: Any) -> Any:
        q, lower = icf[:, :d], icf[:, d:]
        zero = jnp.zeros((len(lower), 1), icf.dtype)
        factors = jnp.concatenate([zero, lower], 1)[:, at] + jnp.exp(q)[:, :, None] * eye
        y = jnp.einsum("kij,nkj->nki", factors, x[:, None, :] - means)
        terms = alphas + q.sum(1) - 0.5 * (y**2).sum(2)
        likelihood = logsumexp(terms, axis=1).sum() - n * logsumexp(alphas)
        prior = 0.5 * data.gamma**2 * (factors**2).sum() - data.m * q.sum()
        return likelihood - prior + rest

    parameters = tuple(map(jnp.asarray, data.parameters))
    return jitted(jax, objective, jax.grad(objective, argnums=(0, 1, 2)), parameters)


def in_torch(data: Data, torch: Any) -> Work:
    """PyTorch, eager, with its reverse mode."""
    n, d = data.x.shape
    x, at = torch.tensor(data.x), torch.tensor(places(d))
    eye, rest = torch.eye(d, dtype=x.dtype), constant(data)

    def objective(alphas: Any, means: Any, icf: Any) -> Any:
        q, lower = icf[:, :d], icf[:, d:]
        zero = torch.zeros((len(lower), 1), dtype=icf.dtype)
        factors = torch.cat([zero, lower], 1)[:, at] + torch.exp(q)[:, :, None] * eye
        y = torch.einsum("kij,nkj->nki", factors, x[:, None, :] - means)
        terms = alphas + q.sum(1) - 0.5 * (y**2).sum(2)
        likelihood = torch.logsumexp(terms, 1).sum() - n * torch.logsumexp(alphas, 0)
        prior = 0.5 * data.gamma**2 * (factors**2).sum() - data.m * q.sum()
        return likelihood - prior + rest

    parameters = tuple(map(torch.tensor, data.parameters))
    leaves = tuple(each.clone().requires_grad_() for each in parameters)
    return Work(
        lambda: objective(*parameters), lambda: torch.autograd.grad(objective(*leaves), leaves)
    )


def in_autograd(data: Data, autograd: Any, anp: Any) -> Work:
    """HIPS autograd."""
    from autograd.scipy.special import logsumexp

    (n, d), x = data.x.shape, data.x
    at, eye, rest = places(d), np.eye(d), constant(data)

    def objective(parameters: Any) -> Any:
        alphas, means, icf = parameters
        q, lower = icf[:, :d], icf[:, d:]
        zero = np.zeros((len(lower), 1))
        factors = anp.concatenate([zero, lower], 1)[:, at] + anp.exp(q)[:, :, None] * eye
        y = anp.einsum("kij,nkj->nki", factors, x[:, None, :] - means)
        terms = alphas + anp.sum(q, 1) - 0.5 * anp.sum(y**2, 2)
        likelihood = anp.sum(logsumexp(terms, 1)) - n * logsumexp(alphas)
        prior = 0.5 * data.gamma**2 * anp.sum(factors**2) - data.m * anp.sum(q)
        return likelihood - prior + rest

    gradient = autograd.grad(objective)
    return Work(lambda: objective(data.parameters), lambda: gradient(data.parameters))
