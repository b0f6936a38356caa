"""Reverse mode through while_loop, beside that of a scan of the same length."""

from __future__ import annotations

from typing import Any

import pullback as pb
import pullback.numpy as jnp
from benchmarks.timing import Row, measure
from pullback import lax

CASES = [((), 100), ((), 4000), ((), 10_000), ((100,), 1000), ((10_000,), 1000), ((300_000,), 100)]


def body(x: Any, w: Any) -> Any:
    """One round."""
    return jnp.sin(x * w) + x * 0.9


def by_while(x: Any, w: Any, n: Any) -> Any:
    """Rounds that are counted when they run."""
    step = lax.while_loop(lambda c: c[1] < n, lambda c: (body(c[0], w), c[1] + 1), (x, 0))
    return jnp.sum(step[0] ** 2)


def row(shape: tuple[int, ...], n: int) -> str:
    """One line of the table."""
    x, w = jnp.full(shape, 0.5), jnp.full(shape, 1.1)

    def by_scan(x: Any, w: Any) -> Any:
        return jnp.sum(lax.scan(lambda c, _: (body(c, w), None), x, None, length=n)[0] ** 2)

    g, s = pb.jit(pb.grad(by_while, (0, 1))), pb.jit(pb.grad(by_scan, (0, 1)))
    rounds = jnp.int32(n)
    found = measure(Row("", {"while": lambda: g(x, w, rounds), "scan": lambda: s(x, w)})).seconds
    ratio = found["while"] / found["scan"]
    return (
        f"| {shape} | {n} | {found['while'] * 1e6:.1f} us | {found['scan'] * 1e6:.1f} us | "
        f"{ratio:.2f} | refuses |"
    )


def section() -> str:
    """The gradient of a loop whose length is not known, and that of a scan of this length."""
    lines = [
        "## Reverse mode through `while_loop`",
        "",
        "| carry | rounds | gradient of while_loop | of scan | ratio | JAX |",
        "|---|---|---|---|---|---|",
        *(row(*case) for case in CASES),
    ]
    return "\n".join(lines)
