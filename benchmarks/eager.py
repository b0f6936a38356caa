"""Eager work, without jit: the programs of the documents, and the hot paths of the library."""

from __future__ import annotations

from typing import Any

import numpy as np

from .timing import Row


class Library:
    """The functions of one system that speaks the API: Pullback or JAX itself."""

    def __init__(self, module: Any, numpy: Any) -> None:
        self.jax, self.jnp = module, numpy
        rng = np.random.default_rng(0)
        array = lambda *shape: numpy.asarray(rng.standard_normal(shape).astype(np.float32))  # noqa: E731
        self.X, self.V = array(30, 40), array(30, 40)
        self.W, self.b = array(3), array()
        self.M, self.N = array(128, 4), array(128, 3)
        self.inputs = numpy.asarray(
            np.array(
                [[0.52, 1.12, 0.77], [0.88, -1.08, 0.15], [0.52, 0.06, -1.30], [0.74, -2.49, 1.39]],
                np.float32,
            )
        )
        self.theta = numpy.asarray(np.array([0.1, -0.1, 0.0], np.float32))
        self.s_tm1, self.r_t, self.s_t = array(2, 3), array(2), array(2, 3)

    def f(self, x: Any) -> Any:
        """sum(tanh(x)**2)"""
        return self.jnp.sum(self.jnp.tanh(x) ** 2)

    def predict(self, w: Any) -> Any:
        """The logistic model of the documents, as a function of its weights."""
        z = self.jnp.dot(self.inputs, w) + self.b
        return 0.5 * (self.jnp.tanh(z / 2) + 1)

    def hvp(self) -> Any:
        """Forward over reverse."""
        return self.jax.jvp(self.jax.grad(self.f), (self.X,), (self.V,))[1]

    def hvp_revrev(self) -> Any:
        """Reverse over reverse."""
        grad, vdot, v = self.jax.grad, self.jnp.vdot, self.V
        return grad(lambda x: vdot(grad(self.f)(x), v))(self.X)

    def loop_mjp(self) -> Any:
        """One product with a row at a time."""
        _, pull = self.jax.vjp(self.predict, self.W)
        return self.jnp.stack([pull(m)[0] for m in self.M])

    def vmap_mjp(self) -> Any:
        """All rows at once."""
        _, pull = self.jax.vjp(self.predict, self.W)
        (outs,) = self.jax.vmap(pull)(self.M)
        return outs

    def loop_jmp(self) -> Any:
        """One product with a column at a time."""
        jvp, stack = self.jax.jvp, self.jnp.stack
        return stack([jvp(self.predict, (self.W,), (m,))[1] for m in self.N])

    def vmap_jmp(self) -> Any:
        """All columns at once."""
        return self.jax.vmap(lambda s: self.jax.jvp(self.predict, (self.W,), (s,))[1])(self.N)

    def td_loss(self, theta: Any, s_tm1: Any, r_t: Any, s_t: Any) -> Any:
        """The loss whose per-example gradients the documents take."""
        dot = self.jnp.dot
        target = r_t + dot(theta, s_t)
        return -0.5 * (self.jax.lax.stop_gradient(target) - dot(theta, s_tm1)) ** 2

    def per_example(self) -> Any:
        """Per-example gradients, not jitted."""
        mapped = self.jax.vmap(self.jax.grad(self.td_loss), in_axes=(None, 0, 0, 0))
        return mapped(self.theta, self.s_tm1, self.r_t, self.s_t)

    def third(self) -> Any:
        """The third derivative of tanh."""
        grad = self.jax.grad
        return grad(grad(grad(self.jnp.tanh)))(2.0)

    def add(self) -> Any:
        """X + V"""
        return self.X + self.V

    def gradient(self) -> Any:
        """The gradient of sum(tanh(x)**2)."""
        return self.jax.grad(self.f)(self.X)

    def hessian(self) -> Any:
        """The dense Hessian, 1200 x 1200."""
        return self.jax.jacfwd(self.jax.jacrev(self.f))(self.X)


def rows(libraries: dict[str, Library], others: dict[str, Any]) -> list[Row]:
    """The rows for the systems that are installed."""

    def both(name: str, method: str, asked: float | None, wait: bool = True) -> Row:
        contenders = {
            who: _waiting(getattr(library, method)) if wait else getattr(library, method)
            for who, library in libraries.items()
        }
        return Row(name, contenders, {} if asked is None else {"jax": asked})

    found = [
        both("Hessian-vector product, forward over reverse, 30x40", "hvp", 20),
        both("Hessian-vector product, reverse over reverse, 30x40", "hvp_revrev", 40),
        both("`loop_mjp`, 128 rows", "loop_mjp", 20),
        both("`vmap_mjp`, 128 rows", "vmap_mjp", 20),
        both("`loop_jmp`, 128 columns", "loop_jmp", 20),
        both("`vmap_jmp`, 128 columns", "vmap_jmp", 20),
        both("per-example gradients", "per_example", 25),
        both("third derivative of tanh", "third", 30),
        both("`X + V`, 30x40", "add", None),
        both("dense Hessian, 1200x1200", "hessian", 2),
    ]
    gradient = both("gradient of sum(tanh(x)**2), 30x40", "gradient", None)
    gradient.contenders.update(_other_gradients(others))
    gradient.asked.update({"autograd": 1.5, "torch": 3})
    return [*found, gradient]


def _waiting(function: Any) -> Any:
    return lambda: function().block_until_ready()


def _other_gradients(others: dict[str, Any]) -> dict[str, Any]:
    x = np.random.default_rng(0).standard_normal((30, 40)).astype(np.float32)
    found: dict[str, Any] = {}
    if "autograd" in others:
        autograd, anp = others["autograd"]
        found["autograd"] = lambda: autograd.grad(lambda x: anp.sum(anp.tanh(x) ** 2))(x)
    if "torch" in others:
        torch = others["torch"]
        tensor = torch.tensor(x)
        found["torch"] = lambda: torch.func.grad(lambda x: (torch.tanh(x) ** 2).sum())(tensor)
    return found
