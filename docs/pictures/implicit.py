"""The picture of implicit differentiation: memory of a fixed point, and gradients of an equation.

Run it from the root of the repository: python docs/pictures/implicit.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

import pullback as pb
import pullback.numpy as jnp
from pullback import implicit, lax

matplotlib.use("svg")
matplotlib.rcParams |= {"svg.hashsalt": "pullback", "svg.fonttype": "none"}
import matplotlib.pyplot as plt  # noqa: E402

WIDTH, BATCH = 50, 100
TIMES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7)
ADJOINTS = ("checkpointed", "interpolated", "backsolve")


def kept(function, w):
    """Kilobytes that are kept for the backward pass."""
    _, pull = pb.vjp(function, w)
    arrays = {id(x): np.asarray(x) for x in pb.tree.leaves(pull)}  # some are there several times
    return sum(x.nbytes for x in arrays.values()) / 1e3


def memory(axes):
    """Of an unrolled iteration and of the fixed point, by how slowly it converges."""
    rng = np.random.default_rng(0)
    q, inputs = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0], rng.normal(size=(BATCH, WIDTH))
    start = jnp.zeros((BATCH, WIDTH))
    rounds, sizes = [], []
    for rate in (0.3, 0.6, 0.8, 0.9, 1.0, 1.1):

        def layer(x, w):
            return jnp.tanh(x @ w + inputs)

        def solved(w, **options):
            return implicit.fixed_point(layer, start, w, tol=1e-9, **options)

        w = jnp.array(rate * q)
        count = int(solved(w, has_info=True)[1].iterations)

        def unrolled(w, count=count):
            return lax.fori_loop(0, count, lambda _, x: layer(x, w), start)

        rounds.append(count)
        sizes.append((kept(unrolled, w), kept(solved, w)))
    axes.plot(rounds, sizes, "o-", label=["unrolled", "fixed_point"])
    axes.set(xlabel="iterations", ylabel="kept for the backward pass, kB", ylim=(0, None))
    axes.set_title(f"A fixed point of {BATCH * WIDTH} unknowns")
    axes.legend(frameon=False)


def errors(axes):
    """Of the gradient with respect to c of y' = 10 (c - y^3), by the last time."""

    def gradient(adjoint, last, tolerance):
        def end(c):
            times = jnp.array([0.0, last])
            bounds = {"rtol": tolerance, "atol": tolerance}
            return implicit.odeint(
                lambda y, t: 10 * (c - y**3), 1.5, times, adjoint=adjoint, **bounds
            )[-1]

        return float(pb.jit(pb.grad(end))(1.0))

    exact = [gradient("direct", last, 1e-13) for last in TIMES]
    for adjoint in ADJOINTS:
        off = [abs(gradient(adjoint, t, 1e-6) - e) / e for t, e in zip(TIMES, exact, strict=True)]
        axes.semilogy(TIMES, np.where(np.isfinite(off), off, np.nan), "o-", label=adjoint)
    axes.set(xlabel="last time", ylabel="relative error of the gradient")
    axes.set_title("y' = 10 (c - y³), steps to 1e-6")
    axes.legend(frameon=False)


if __name__ == "__main__":
    with pb.enable_x64():
        figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
        memory(left)
        errors(right)
    figure.savefig(Path(__file__).with_suffix(".svg"), metadata={"Date": None})
