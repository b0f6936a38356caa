"""Staged work: tracing, the first call of a jitted function, and later calls."""

from __future__ import annotations

from typing import Any

from .eager import Library
from .timing import Row


def rows(libraries: dict[str, Library]) -> list[Row]:
    """The rows for the systems that are installed."""

    def row(name: str, make: Any) -> Row:
        return Row(name, {who: make(library) for who, library in libraries.items()})

    return [
        row("make_jaxpr of the gradient of sum(tanh(x)**2)", _trace),
        row("first call of a jitted gradient (trace, compile, run)", _first_call),
        row("call of a jitted gradient, 30x40", _later_call),
        row("call of a jitted identity", _identity),
        row("scan of 1000 steps of Lotka-Volterra (RK4), jitted", _scan),
    ]


def _trace(library: Library) -> Any:
    return lambda: library.jax.make_jaxpr(lambda x: library.jax.grad(library.f)(x))(library.X)


def _first_call(library: Library) -> Any:
    def call() -> Any:
        gradient = library.jax.grad(lambda x: library.f(x))
        return library.jax.jit(gradient)(library.X).block_until_ready()

    return call


def _later_call(library: Library) -> Any:
    gradient = library.jax.jit(library.jax.grad(library.f))
    return lambda: gradient(library.X).block_until_ready()


def _identity(library: Library) -> Any:
    identity = library.jax.jit(lambda x: x)
    return lambda: identity(library.X)


def _scan(library: Library) -> Any:
    jnp, lax = library.jnp, library.jax.lax

    def slope(u: Any) -> Any:
        x, y = u[0], u[1]
        return jnp.stack([1.1 * x - 0.4 * x * y, 0.1 * x * y - 0.4 * y])

    def step(u: Any, _: Any) -> Any:
        h = 0.01
        k1 = slope(u)
        k2 = slope(u + h / 2 * k1)
        k3 = slope(u + h / 2 * k2)
        k4 = slope(u + h * k3)
        u = u + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return u, u

    solve = library.jax.jit(lambda u: lax.scan(step, u, None, length=1000)[1])
    start = jnp.ones(2)
    return lambda: solve(start).block_until_ready()
