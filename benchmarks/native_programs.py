"""The programs that the native engine is measured on, written once for both systems.

Each is a method of `Programs` that gives a function and its arguments, not yet jitted.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from .eager import Library

STEPS = 1000
Program = tuple[Any, tuple[Any, ...]]


class Programs:
    """The programs in one system: Pullback's modules or JAX's."""

    def __init__(self, module: Any, numpy: Any) -> None:
        self.jax, self.jnp = module, numpy
        self.seeds = Library(module, numpy)
        self._rng = np.random.default_rng(0)

    def array(self, *shape: int, scale: float = 1.0) -> Any:
        """Random numbers of this shape; the same ones for each system."""
        return self.jnp.asarray((scale * self._rng.standard_normal(shape)).astype(np.float32))

    # ---- small calls

    def per_example(self) -> Program:
        """Per-example gradients of the documents."""
        s = self.seeds
        mapped = self.jax.vmap(self.jax.grad(s.td_loss), in_axes=(None, 0, 0, 0))
        return mapped, (s.theta, s.s_tm1, s.r_t, s.s_t)

    def add_scalar(self) -> Program:
        """x + 1 of a number."""
        return lambda x: x + 1.0, (self.array(),)

    def two_arrays(self) -> Program:
        """x * y + x of 8 numbers."""
        return lambda x, y: x * y + x, (self.array(8), self.array(8))

    def rk4_step(self) -> Program:
        """One step of Runge and Kutta for Lotka-Volterra."""
        return self._rk4, (self.jnp.ones(2),)

    def _slope(self, u: Any) -> Any:
        x, y = u[0], u[1]
        return self.jnp.stack([1.1 * x - 0.4 * x * y, 0.1 * x * y - 0.4 * y])

    def _rk4(self, u: Any) -> Any:
        h = 0.01
        k1 = self._slope(u)
        k2 = self._slope(u + h / 2 * k1)
        k3 = self._slope(u + h / 2 * k2)
        k4 = self._slope(u + h * k3)
        return u + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    def _layers(self, *sizes: int) -> list[tuple[Any, Any]]:
        pairs = itertools.pairwise(sizes)
        return [(self.array(n, m, scale=n**-0.5), self.array(m, scale=0.1)) for n, m in pairs]

    def _cross_entropy(self, layers: Any, x: Any, labels: Any) -> Any:
        """The mean over examples; `labels` have a 1 in each row."""
        jnp = self.jnp
        for w, b in layers[:-1]:
            x = jnp.tanh(x @ w + b)
        w, b = layers[-1]
        logits = x @ w + b
        shifted = logits - logits.max(axis=1, keepdims=True)
        logs = shifted - jnp.log(jnp.sum(jnp.exp(shifted), axis=1, keepdims=True))
        return -jnp.mean(jnp.sum(labels * logs, axis=1))

    def _mlp(self, batch: int, *sizes: int) -> tuple[Any, Any, Any]:
        which = self._rng.integers(0, sizes[-1], batch)
        labels = np.eye(sizes[-1], dtype=np.float32)[which]
        return self._layers(*sizes), self.array(batch, sizes[0]), self.jnp.asarray(labels)

    def mlp_small(self) -> Program:
        """The gradient of a 16-32-8 network, 8 examples."""
        return self.jax.grad(self._cross_entropy), self._mlp(8, 16, 32, 8)

    def momentum(self) -> Program:
        """An update with momentum of 20 leaves."""

        def update(params: Any, velocity: Any, grads: Any) -> Any:
            tree_map = self.jax.tree.map
            velocity = tree_map(lambda v, g: 0.9 * v + g, velocity, grads)
            return tree_map(lambda p, v: p - 0.01 * v, params, velocity), velocity

        def tree() -> Any:
            return {f"layer{i}": [self.array(8, 8), self.array(8)] for i in range(10)}

        return update, (tree(), tree(), tree())

    def _logistic_loss(self, w: Any, x: Any, labels: Any) -> Any:
        return self.jnp.mean(self.jnp.log(1 + self.jnp.exp(-labels * (x @ w))))

    def _logistic(self, n: int, features: int) -> tuple[Any, Any, Any]:
        labels = np.sign(self._rng.standard_normal(n)).astype(np.float32)
        return self.array(features), self.array(n, features), self.jnp.asarray(labels)

    def logistic_hessian(self) -> Program:
        """The Hessian of logistic regression with 3 weights, 4 examples."""
        return self.jax.hessian(self._logistic_loss), self._logistic(4, 3)

    # ---- larger ones, for the first call

    def hvp(self) -> Program:
        """A Hessian-vector product, 30x40."""
        s, jax = self.seeds, self.jax
        return lambda x, v: jax.jvp(jax.grad(s.f), (x,), (v,))[1], (s.X, s.V)

    def dense_hessian(self) -> Program:
        """The Hessian of sum(tanh(x)**2), 1200x1200."""
        return self.jax.jacfwd(self.jax.jacrev(self.seeds.f)), (self.seeds.X,)

    def chain(self) -> Program:
        """120 operations, one after the other, on 1000 numbers."""
        jnp = self.jnp

        def run(x: Any) -> Any:
            y = x
            for i in range(24):
                y = jnp.tanh(y * (1.0 + 0.01 * i) + x)
                y = jnp.where(y > 0, y, -0.5 * y)
            return y

        return run, (self.array(1000),)

    def rk4_scan(self) -> Program:
        """1000 steps of Runge and Kutta, each kept."""

        def step(u: Any, _: Any) -> Any:
            u = self._rk4(u)
            return u, u

        return lambda u: self.jax.lax.scan(step, u, None, length=STEPS)[1], (self.jnp.ones(2),)

    # ---- loops

    def rk4_gradient(self) -> Program:
        """The gradient of the sum of all steps."""
        solve, args = self.rk4_scan()
        return self.jax.grad(lambda u: self.jnp.sum(solve(u))), args

    def rnn_scan(self) -> Program:
        """A recurrent network of 16 units, 16 inputs, 1000 steps."""

        def run(w: Any, v: Any, h: Any, xs: Any) -> Any:
            def step(h: Any, x: Any) -> Any:
                h = self.jnp.tanh(w @ h + v @ x)
                return h, h

            return self.jax.lax.scan(step, h, xs)[1]

        w, v = self.array(16, 16, scale=0.2), self.array(16, 16, scale=0.2)
        return run, (w, v, self.array(16), self.array(STEPS, 16))

    def rnn_gradient(self) -> Program:
        """The gradient of the mean of its squares for both matrices."""
        run, args = self.rnn_scan()
        return self.jax.grad(lambda *a: self.jnp.mean(run(*a) ** 2), (0, 1)), args

    def newton(self) -> Program:
        """Cube roots of 64 numbers by damped Newton steps, about 1000, under vmap."""

        def root(a: Any) -> Any:
            def off(x: Any) -> Any:
                return abs(x * x * x - a) > 1e-3 * a

            def step(x: Any) -> Any:
                return x - 0.0075 * (x * x * x - a) / (3 * x * x)

            return self.jax.lax.while_loop(off, step, a)

        numbers = self.jnp.asarray(np.linspace(2, 30, 64, dtype=np.float32))
        return self.jax.vmap(root), (numbers,)

    # ---- middle size

    def sigmoid_chain(self, n: int) -> Program:
        """0.5 (tanh((a b + c) / 2) + 1)"""
        jnp = self.jnp
        args = self.array(n), self.array(n), self.array(n)
        return lambda a, b, c: 0.5 * (jnp.tanh((a * b + c) / 2) + 1), args

    def exp_chain(self, n: int) -> Program:
        """exp, log1p, sin and square root in turn."""
        jnp = self.jnp

        def run(a: Any, b: Any) -> Any:
            y = jnp.log1p(jnp.exp(-abs(a))) + jnp.maximum(a, 0)
            return jnp.sqrt(y * y + b * b + 1) * jnp.sin(y - b)

        return run, (self.array(n), self.array(n))

    def arithmetic_chain(self, n: int) -> Program:
        """20 additions and multiplications, where no function is called."""

        def run(a: Any, b: Any) -> Any:
            y = a
            for i in range(10):
                y = y * b + (0.1 * i + 0.05)
            return y

        return run, (self.array(n), self.array(n, scale=0.5))

    def softmax(self) -> Program:
        """Softmax along the rows of 100x37."""
        return lambda x: self.jax.nn.softmax(x, axis=1), (self.array(100, 37),)

    def logistic_gradient(self) -> Program:
        """The gradient of logistic regression, 256x32."""
        return self.jax.grad(self._logistic_loss), self._logistic(256, 32)

    def mlp_middle(self) -> Program:
        """The gradient of a 64-128-16 network, 64 examples."""
        return self.jax.grad(self._cross_entropy), self._mlp(64, 64, 128, 16)

    def matmul(self, n: int) -> Program:
        """A product of two square matrices."""
        return lambda a, b: a @ b, (self.array(n, n), self.array(n, n))

    def mlp_large(self) -> Program:
        """A step of gradient descent for a 784-512-512-10 network, 256 examples."""

        def step(layers: Any, x: Any, labels: Any) -> Any:
            slopes = self.jax.grad(self._cross_entropy)(layers, x, labels)
            return self.jax.tree.map(lambda p, g: p - 0.1 * g, layers, slopes)

        return step, self._mlp(256, 784, 512, 512, 10)
