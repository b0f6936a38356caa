"""The picture of "Taylor mode": Taylor polynomials of a network along a line, and what they cost.

python docs/pictures/jet.py     writes docs/pictures/jet.svg
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "jet"
mpl.rcParams["svg.fonttype"] = "none"

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402

import pullback as pb  # noqa: E402
import pullback.numpy as jnp  # noqa: E402
from pullback.core import trace  # noqa: E402

HERE = Path(__file__).resolve()


def network(x: Any) -> Any:
    """A small network with random weights."""
    rng = np.random.default_rng(3)
    for shape in ((2, 16), (16, 16)):
        x = jnp.tanh(x @ (1.3 * rng.normal(size=shape) / shape[0] ** 0.5))
    return jnp.sum(x) / 4


def operations(function: Any) -> int:
    """How many array operations a call does, each counted where it is evaluated."""
    count, process = [0], trace.EvalTrace.process

    def counting(*args: Any) -> Any:
        count[0] += 1
        return process(*args)

    trace.EvalTrace.process = counting  # type: ignore[method-assign, assignment]
    try:
        function()
    finally:
        trace.EvalTrace.process = process  # type: ignore[method-assign]
    return count[0]


def nested(order: int, x: Any, v: Any) -> Any:
    """The derivative of this order by forward mode in forward mode."""
    f: Any = lambda t: network(x + t * v)  # noqa: E731
    for _ in range(order):
        f = (lambda g: lambda t: pb.jvp(g, (t,), (1.0,))[1])(f)
    return f(0.0)


def main() -> None:
    """Draw both."""
    x, v = jnp.array([0.1, -0.3]), jnp.array([1.0, 0.6])
    with pb.enable_x64(True):
        t = np.linspace(-0.6, 0.6, 121)
        exact = np.array([network(np.asarray(x) + s * np.asarray(v)) for s in t])
        terms = [float(c) for c in pb.taylor(network, 32)(x, v)]
        orders = range(1, 11)
        one = [operations(lambda n=n: pb.taylor(network, n)(x, v)) for n in orders]
        many = [operations(lambda n=n: nested(n, x, v)) for n in orders]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    left.plot(t, exact, "k", lw=2.5, label="the network")
    for order in (2, 4, 8, 16, 32):
        y = sum(c * t**k / math.factorial(k) for k, c in enumerate(terms[: order + 1]))
        left.plot(t, y, lw=1, label=f"order {order}")
    margin = 0.4 * np.ptp(exact)
    left.set_ylim(exact.min() - margin, exact.max() + margin)
    left.set(xlabel="t", title="f(x + t v) and its Taylor polynomials at 0")
    left.legend(fontsize=7)
    right.semilogy(orders, many, "o-", label="nested jvp")
    right.semilogy(orders, one, "o-", label="jet")
    right.set(xlabel="order", title="array operations")
    right.legend()
    figure.savefig(HERE.with_suffix(".svg"), metadata={"Date": None})


if __name__ == "__main__":
    main()
