"""Checkpoints of a scan: steps done again, peak memory and time, by how many are kept."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pullback as pb
import pullback.numpy as jnp
from benchmarks.timing import Row, measure
from pullback import lax
from pullback.control.revolve import advanced_steps

SIZE, KEPT, LENGTHS = 10_000, (None, 2, 5, 10, 20), (100, 400)


def gradient(n: int, k: int | None, engine: str | None = None) -> Any:
    """The gradient of a scan of n steps with k checkpoints."""

    def f(x: Any) -> Any:
        out, _ = lax.scan(lambda c, _: (jnp.sin(c) * 1.1, None), x, None, length=n, checkpoints=k)
        return jnp.sum(out)

    return pb.jit(pb.grad(f), engine=engine)


def peak(f: Any, x: Any) -> float:
    """Peak memory of a call, in arrays of the size of the carry; NumPy's engine can be watched."""
    f(x)
    tracemalloc.start()
    f(x)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / (4 * SIZE)


def section() -> str:
    """Steps, memory and time for some numbers of checkpoints."""
    x = jnp.full((SIZE,), 0.5)
    lines = [
        "## Checkpoints",
        "",
        "| steps | checkpoints | steps done again (the formula) | peak, in carries | time |",
        "|---|---|---|---|---|",
    ]
    for n in LENGTHS:
        for k in KEPT:
            f = gradient(n, k)
            seconds = measure(Row("", {"it": lambda f=f: f(x)})).seconds["it"]  # type: ignore[misc]
            again = 0 if k is None else advanced_steps(n, k)
            memory = peak(gradient(n, k, "numpy"), x)
            lines.append(
                f"| {n} | {k or 'all'} | {again} | {memory:.0f} | {seconds * 1e3:.2f} ms |"
            )
    return "\n".join(lines)
