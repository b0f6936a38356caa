"""The picture of "Sparse Jacobians and Hessians": three patterns, found and coloured.

python docs/pictures/sparse.py     writes docs/pictures/sparse.svg
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pullback.numpy as jnp
from pullback import sparse

K = 6


def diffusion(u: Any) -> Any:
    """-div((1 + u^2) grad u) + exp(u) on K by K points."""
    u = jnp.pad(u.reshape(K, K), 1)
    flux_x = (1 + ((u[1:] + u[:-1]) / 2) ** 2) * (u[1:] - u[:-1])
    flux_y = (1 + ((u[:, 1:] + u[:, :-1]) / 2) ** 2) * (u[:, 1:] - u[:, :-1])
    change = (flux_x[1:] - flux_x[:-1])[:, 1:-1] + (flux_y[:, 1:] - flux_y[:, :-1])[1:-1]
    return (jnp.exp(u[1:-1, 1:-1]) - change).reshape(-1)


def energy(x: Any) -> Any:
    """Neighbours in a chain, and one that all are coupled to."""
    return jnp.sum((x[2:] - x[1:-1] ** 2) ** 2) + jnp.sum(jnp.sin(x[0] * x[1:]))


def arrow(x: Any) -> Any:
    """A full row and a full column."""
    return jnp.append(jnp.sum(x**2), x[1:] * x[0])


def main() -> None:
    """Draw the three side by side."""
    x = jnp.ones(K * K)
    drawings = [
        sparse.spy(diffusion)(x),
        sparse.spy(sparse.hessian(energy))(x),
        sparse.spy(arrow)(x),
    ]
    parts, left = [], 0
    for drawing in drawings:
        parts.append(drawing.svg.replace("<svg ", f'<svg x="{left}" y="0" ', 1))
        left += 455
    whole = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left}" height="470" '
        f'viewBox="0 0 {left} 470">\n<rect width="100%" height="100%" fill="#fff"/>\n'
    )
    Path(__file__).with_suffix(".svg").write_text(whole + "".join(parts) + "</svg>\n")


if __name__ == "__main__":
    main()
