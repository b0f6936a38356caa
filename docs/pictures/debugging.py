"""The picture of "Debugging derivatives": a small loss, its gradient, and what is kept between.

python docs/pictures/debugging.py     writes docs/pictures/debugging.svg
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pullback as pb
import pullback.numpy as jnp

HERE = Path(__file__).resolve()


def loss(weights: Any, x: Any) -> Any:
    """An entropy: the logarithm of a share counts only where there is a share."""
    share = jnp.maximum(x @ weights, 0.0)
    return jnp.sum(jnp.where(share > 0, share * jnp.log(share), 0.0))


def main() -> None:
    """Draw it with strong zeros."""
    with pb.strong_zero():
        drawing = pb.draw(loss, grad=True)(jnp.ones((4, 3)), jnp.ones((5, 4)))
    # Where a reader has this file is of no interest.
    text = drawing.svg.replace(f"{HERE.parents[2]}/", "")
    HERE.with_suffix(".svg").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
