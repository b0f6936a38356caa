"""Implicit differentiation: memory and time beside unrolled solvers; accuracy of adjoints.

A deep-equilibrium layer (Bai, Kolter & Koltun 2019) is a fixed point of a layer of a network; its
gradient is compared with that of the iteration itself, unrolled. The adjoints of odeint are
compared on equations that forget their beginning, which backwards explode, and on a pendulum.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

import pullback as pb
import pullback.numpy as pnp
from pullback import implicit

from ..timing import Row, measure

WIDTH, BATCH = 128, 32
TIMES = np.array([0.0, 2.0])
TOLERANCE = 1e-8


def section() -> str:
    """The tables, as Markdown."""
    parts = [
        "## Implicit differentiation",
        f"A deep-equilibrium layer, `z = tanh(z W + x U + b)`, {WIDTH} units for {BATCH} inputs, "
        "and the gradient of a loss with respect to W, U, b under `jit` (float32; ms are minima of "
        "several rounds). Residuals are what is kept between the forward and the backward pass.",
        equilibrium_table(),
        "Gradients of solutions of ordinary differential equations (float64, `rtol = atol = "
        f"{TOLERANCE:g}`): relative errors beside a tolerance of 1e-13, and times under `jit`. The "
        "first three equations forget their beginning, so that backwards they explode.",
        adjoint_table(),
    ]
    return "\n\n".join(parts)


# ---- deep equilibrium


def layer_data(scale: float) -> tuple[Any, Any]:
    """Weights of this norm, and inputs; tanh makes the layer contract by less than that."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=(WIDTH, WIDTH))
    w *= scale / np.linalg.norm(w, 2)
    u = rng.normal(size=(WIDTH, WIDTH)) / np.sqrt(WIDTH)
    b = 0.1 * rng.normal(size=WIDTH)
    x = rng.normal(size=(BATCH, WIDTH))
    weights = tuple(a.astype(np.float32) for a in (w, u, b))
    return weights, x.astype(np.float32)


def losses(lib: Any, np_: Any, rounds: int, x: Any) -> Callable[..., Any]:
    """The loss by an unrolled iteration, in Pullback or JAX."""

    def loss(weights: Any) -> Any:
        w, u, b = weights
        start = np_.zeros_like(x)
        z = lib.lax.fori_loop(0, rounds, lambda _, z: np_.tanh(z @ w + x @ u + b), start)
        return np_.sum(z**2)

    return loss


def implicit_loss(x: Any, solver: str, linear_solve: str) -> Callable[..., Any]:
    """The same loss by a fixed point."""

    def layer(z: Any, w: Any, u: Any, b: Any) -> Any:
        return pnp.tanh(z @ w + x @ u + b)

    def loss(weights: Any) -> Any:
        start = pnp.zeros_like(x)
        z = implicit.fixed_point(
            layer, start, *weights, solver=solver, linear_solve=linear_solve, tol=1e-5
        )
        return pnp.sum(z**2)

    return loss


def kept(lib: Any, loss: Any, weights: Any) -> float:
    """Megabytes between forward and backward pass."""
    _, pull = lib.vjp(loss, weights)
    distinct = {id(r): np.asarray(r) for r in lib.tree_util.tree_leaves(pull)}
    return float(sum(r.nbytes for r in distinct.values())) / 1e6


def rounds_needed(x: Any, weights: Any) -> int:
    """As many as the plain iteration takes."""
    w, u, b = weights
    found = implicit.fixed_point(
        lambda z: pnp.tanh(z @ w + x @ u + b), pnp.zeros_like(x), tol=1e-5, has_info=True
    )
    return int(found[1].iterations)


def equilibrium_table() -> str:
    lines = [
        "| norm of W | rounds | unrolled | implicit, plain | implicit, Anderson | JAX unrolled |"
        " residuals unrolled | residuals implicit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for scale in (1.0, 2.0, 2.5):
        weights, x = layer_data(scale)
        rounds = rounds_needed(x, weights)
        unrolled = losses(pb, pnp, rounds, x)
        plain = implicit_loss(x, "iteration", "richardson")
        mixed = implicit_loss(x, "anderson", "auto")
        contenders = {
            "unrolled": _gradient(pb, unrolled, weights),
            "plain": _gradient(pb, plain, weights),
            "anderson": _gradient(pb, mixed, weights),
        }
        if importlib.util.find_spec("jax"):
            import jax

            theirs = losses(jax, jax.numpy, rounds, x)
            contenders["jax"] = _gradient(jax, theirs, weights)
        want = contenders["unrolled"]()
        for name in ("plain", "anderson"):
            _check(contenders[name](), want)
        seconds = measure(Row("", contenders)).seconds
        cells = [f"{scale:g}", str(rounds)]
        cells += [_ms(seconds.get(n)) for n in ("unrolled", "plain", "anderson", "jax")]
        cells += [f"{kept(pb, f, weights):.2f} MB" for f in (unrolled, plain)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _gradient(lib: Any, loss: Any, weights: Any) -> Callable[[], Any]:
    run = lib.jit(lib.grad(loss))

    def call() -> Any:
        return [np.asarray(g) for g in run(weights)]

    return call


def _check(found: Any, want: Any) -> None:
    for a, b in zip(found, want, strict=True):
        off = np.linalg.norm(a - b) / np.linalg.norm(b)
        assert off < 2e-3, f"another gradient: {off:.2g}"


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e3:.2f} ms"


# ---- adjoints


def forgetful(rate: float) -> Callable[[Any], Callable[..., Any]]:
    """y tends to the cube root of c from wherever it begins: backwards, solutions explode."""
    return lambda np_: lambda y, t, c: rate * (c - y**3)


def pendulum(np_: Any) -> Callable[..., Any]:
    """A damped pendulum, driven."""
    return lambda y, t, rate: np_.stack(
        [y[1], -rate * y[1] - 9.8 * np_.sin(y[0]) + 0.1 * np_.cos(t)]
    )


ADJOINTS = ("checkpointed", "interpolated", "direct", "backsolve")


def problem(slope: Any, start: Any, solve: Any, np_: Any) -> Callable[[Any], Any]:
    return lambda rate: np_.sum(solve(slope, start, np_.array(TIMES), rate)[-1])


def adjoint_table() -> str:
    with pb.enable_x64():
        rows = [
            ("y' = c - y^3", forgetful(1), 1.5, 1.0),
            ("y' = 3 (c - y^3)", forgetful(3), 1.5, 1.0),
            ("y' = 10 (c - y^3)", forgetful(10), 1.5, 1.0),
            ("pendulum", pendulum, np.array([3.0, 0.0]), 0.2),
        ]
        lines = [
            "| equation | " + " | ".join(ADJOINTS) + " | JAX |",
            "|---|" + "---|" * (len(ADJOINTS) + 1),
        ]
        for name, slope, start, rate in rows:
            want = _exact(slope(pnp), start, rate)
            runs = {a: _by_adjoint(slope(pnp), start, rate, a) for a in ADJOINTS}
            if importlib.util.find_spec("jax"):
                runs["jax"] = _by_jax(slope, start, rate)
            seconds = measure(Row("", runs)).seconds
            cells = [f"{_off(runs[n](), want)}, {_ms(seconds[n])}" for n in runs]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _off(found: float, want: float) -> str:
    return f"{abs(found - want) / abs(want):.1e}" if np.isfinite(found) else "**fails**"


def _exact(slope: Any, start: Any, rate: float) -> float:
    """By steps so small that rounding is all that is left."""

    def solve(*args: Any) -> Any:
        return implicit.odeint(*args, adjoint="direct", rtol=1e-13, atol=1e-13, max_steps=16384)

    return float(pb.grad(problem(slope, start, solve, pnp))(rate))


def _by_adjoint(slope: Any, start: Any, rate: float, adjoint: str) -> Callable[[], float]:
    def solve(*args: Any) -> Any:
        return implicit.odeint(*args, adjoint=adjoint, rtol=TOLERANCE, atol=TOLERANCE)

    run = pb.jit(pb.grad(problem(slope, start, solve, pnp)))
    return lambda: float(run(rate))


def _by_jax(slope: Any, start: Any, rate: float) -> Callable[[], float]:
    import jax
    import jax.experimental.ode

    def solve(*args: Any) -> Any:
        return jax.experimental.ode.odeint(*args, rtol=TOLERANCE, atol=TOLERANCE)

    run = jax.jit(jax.grad(problem(slope(jax.numpy), start, solve, jax.numpy)))

    def call() -> float:
        with jax.enable_x64(True):
            return float(run(rate))

    return call
