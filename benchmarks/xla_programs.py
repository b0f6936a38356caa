"""The large programs that the XLA engine is measured on, written once for both systems."""

from __future__ import annotations

from typing import Any

from .native_programs import Program, Programs


class LargePrograms(Programs):
    """The programs in one system: Pullback's modules or JAX's."""

    def mlp_step(self) -> Program:
        """A training step of a 784-512-512-10 network, 256 examples."""
        return self.mlp_large()

    def convolution_gradient(self) -> Program:
        """The gradient of two convolutions with pooling, 32 images of 28 by 28."""
        jax, jnp = self.jax, self.jnp

        def loss(kernels: Any, images: Any) -> Any:
            x = images
            for k in kernels:
                x = jax.lax.conv_general_dilated(x, k, (1, 1), "SAME")
                x = jnp.maximum(x, 0)
                x = jax.lax.reduce_window(
                    x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID"
                )
            return jnp.mean(x * x)

        kernels = (self.array(16, 1, 5, 5, scale=0.2), self.array(32, 16, 5, 5, scale=0.05))
        return jax.grad(loss), (kernels, self.array(32, 1, 28, 28))

    def _attention(self, q: Any, k: Any, v: Any) -> Any:
        jax, jnp = self.jax, self.jnp
        scores = jnp.einsum("bhqd,bhkd->bhqk", q, k) / q.shape[-1] ** 0.5
        return jnp.einsum("bhqk,bhkd->bhqd", jax.nn.softmax(scores, axis=-1), v)

    def attention_gradient(self) -> Program:
        """The gradient of attention: 8 sequences of 128, 8 heads of 32."""
        jnp = self.jnp
        parts = tuple(self.array(8, 8, 128, 32) for _ in range(3))
        gradient = self.jax.grad(lambda *p: jnp.mean(self._attention(*p) ** 2), argnums=(0, 1, 2))
        return gradient, parts

    def softmax_large(self) -> Program:
        """Softmax of 1024 rows of 1024."""
        return self.jax.nn.softmax, (self.array(1024, 1024),)

    def cholesky_gradient(self) -> Program:
        """The gradient of a log determinant and a solve by Cholesky's factor of 256 by 256."""
        jax, jnp = self.jax, self.jnp

        def loss(a: Any, b: Any) -> Any:
            factor = jnp.linalg.cholesky(a)
            x = jax.lax.linalg.triangular_solve(factor, b, left_side=True, lower=True)
            return jnp.sum(x * x) + jnp.sum(jnp.log(jnp.diagonal(factor)))

        m = self.array(256, 256)
        return jax.grad(loss), (m @ m.T + 256 * jnp.eye(256), self.array(256, 8))

    def transformer_step(self) -> Program:
        """A training step of 6 layers of a transformer: 4 sequences of 64, width 128."""
        jax, jnp = self.jax, self.jnp
        width, heads, rows = 128, 4, 6

        def layer() -> Any:
            return {
                "qkv": self.array(width, 3 * width, scale=width**-0.5),
                "out": self.array(width, width, scale=width**-0.5),
                "up": self.array(width, 4 * width, scale=width**-0.5),
                "down": self.array(4 * width, width, scale=(4 * width) ** -0.5),
            }

        def normal(x: Any) -> Any:
            x = x - x.mean(-1, keepdims=True)
            return x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)

        def block(x: Any, p: Any) -> Any:
            n, t, _ = x.shape
            parts = (normal(x) @ p["qkv"]).reshape(n, t, 3, heads, width // heads)
            q, k, v = (parts[:, :, i].transpose(0, 2, 1, 3) for i in range(3))
            y = self._attention(q, k, v).transpose(0, 2, 1, 3).reshape(n, t, width)
            x = x + y @ p["out"]
            return x + jax.nn.gelu(normal(x) @ p["up"]) @ p["down"]

        def loss(layers: Any, x: Any) -> Any:
            for p in layers:
                x = block(x, p)
            return jnp.mean(normal(x)[:, 1:, 0] ** 2) + 0.01 * jnp.mean(x * x)

        def step(layers: Any, x: Any) -> Any:
            gradient = jax.grad(loss)(layers, x)
            return jax.tree.map(lambda p, g: p - 0.01 * g, layers, gradient)

        return step, ([layer() for _ in range(rows)], self.array(4, 64, width))


__all__ = ["LargePrograms"]
