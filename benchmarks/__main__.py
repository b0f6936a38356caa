"""`python -m benchmarks`: the table of times, written to benchmarks/results.md and shown."""

from __future__ import annotations

import importlib.util
import platform
from pathlib import Path
from typing import Any

import pullback
import pullback.numpy as pnp

from . import eager, staged
from .timing import measure, table


def main() -> None:
    """Measure all rows."""
    libraries = {"pullback": eager.Library(pullback, pnp)}
    others: dict[str, Any] = {}
    versions = [f"pullback {pullback.__version__}"]
    if importlib.util.find_spec("jax"):
        import jax
        import jax.numpy as jnp

        libraries["jax"] = eager.Library(jax, jnp)
        versions.append(f"jax {jax.__version__}")
    if importlib.util.find_spec("autograd"):
        import autograd
        import autograd.numpy as anp

        others["autograd"] = (autograd, anp)
        versions.append("autograd")
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(1)
        others["torch"] = torch
        versions.append(f"torch {torch.__version__}")
    results = [measure(row) for row in eager.rows(libraries, others) + staged.rows(libraries)]
    text = (
        "# Times\n\nMinimum of several rounds, contenders taking turns, one run on one machine "
        f"({platform.machine()}, Python {platform.python_version()}; {', '.join(versions)}). "
        "Ratios are peer / Pullback: above 1, Pullback is faster.\n\n" + table(results) + "\n"
    )
    Path(__file__).with_name("results.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
