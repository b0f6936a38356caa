"""docs/pictures/while_loop.svg: rounds of Newton's square root and its derivative by reverse mode.

Python docs/pictures/while_loop.py
"""

from pathlib import Path

import numpy as np

import pullback as pb
import pullback.numpy as jnp
from pullback import lax


def root(a):
    """The square root of `a`, and after how many rounds."""

    def step(c):
        x, n = c
        return 0.5 * (x + a / x), n + 1

    return lax.while_loop(lambda c: jnp.abs(c[0] ** 2 - a) > 1e-9 * a, step, (jnp.ones_like(a), 0))


def picture() -> str:
    """Slope and rounds over `a`, as SVG."""
    with pb.enable_x64():
        xs = np.linspace(0.02, 6, 240)
        slopes, rounds = pb.jit(pb.vmap(pb.grad(root, has_aux=True)))(xs)
    error = float(np.max(np.abs(slopes * 2 * np.sqrt(xs) - 1)))
    assert error < 1e-4
    points = " ".join(
        f"{40 + 90 * x:.1f},{250 - 60 * s:.1f}" for x, s in zip(xs, np.asarray(slopes)) if s < 3.6
    )
    steps = " ".join(
        f"{40 + 90 * x:.1f},{250 - 20 * int(n):.1f}" for x, n in zip(xs, np.asarray(rounds))
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 620 290" font-family="sans-serif" '
        'font-size="12"><rect width="620" height="290" fill="white"/>'
        f'<polyline points="{points}" fill="none" stroke="#c33" stroke-width="2"/>'
        f'<polyline points="{steps}" fill="none" stroke="#226" stroke-width="1.5"/>'
        '<line x1="40" y1="250" x2="590" y2="250" stroke="#999"/>'
        '<text x="240" y="40" fill="#c33">slope of the square root, by jit(vmap(grad)) of the loop'
        '</text><text x="240" y="60" fill="#226">rounds of the loop (20 pixels each)</text>'
        '<text x="40" y="268">0</text><text x="575" y="268">a = 6</text></svg>\n'
    )


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(picture())
