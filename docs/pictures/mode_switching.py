"""The picture of forward mode from reverse mode: derivatives of a function with a backward rule.

Run it from the root of the repository: python docs/pictures/mode_switching.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

import pullback as pb
import pullback.numpy as jnp

matplotlib.use("svg")
matplotlib.rcParams |= {"svg.hashsalt": "pullback", "svg.fonttype": "none"}
import matplotlib.pyplot as plt  # noqa: E402

ORDERS = ("softplus", "1st derivative", "2nd", "3rd")


@pb.custom_vjp
def softplus(x):
    """log(1 + exp(x)), with a rule that does not overflow."""
    return jnp.logaddexp(x, 0.0)


def sigmoid(x):
    return (1 + jnp.tanh(x / 2)) / 2


softplus.defvjp(lambda x: (softplus(x), x), lambda x, ct: (sigmoid(x) * ct,))


def pushed(f):
    """The derivative of a function of a number, by forward mode."""
    return lambda x: pb.jvp(f, (x,), (jnp.ones_like(x),))[1]


def known(x):
    """The same by the formula: polynomials of s = 1 / (1 + exp(-x))."""
    s = 1 / (1 + np.exp(-x))
    return [np.log1p(np.exp(x)), s, s * (1 - s), s * (1 - s) * (1 - 2 * s)]


def main():
    x, few = np.linspace(-6, 6, 121), np.linspace(-5.5, 5.5, 12)
    f = pb.forward_from_reverse(softplus)
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for name, exact in zip(ORDERS, known(few), strict=True):
        (line,) = axes.plot(x, np.asarray(f(x)), label=name)
        axes.plot(few, exact, "o", color=line.get_color(), markersize=4)
        f = pushed(f)
    axes.set(ylim=(-0.3, 1.6), xlabel="x")
    axes.set_title("Nested jvp of a custom_vjp function (lines), and the formulas (dots)")
    axes.legend(frameon=False)
    figure.savefig(Path(__file__).with_suffix(".svg"), metadata={"Date": None})


if __name__ == "__main__":
    with pb.enable_x64():
        main()
