"""Taylor mode: one pass for eight derivatives of a network, against eight nested `jvp`."""

from __future__ import annotations

import importlib.util
import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import pullback as pb
import pullback.numpy as pnp

ORDER = 8
WIDTHS = (8, 64, 64, 1)
ASKED = 10


def network(np_: Any) -> tuple[Callable[[Any], Any], Any, Any]:
    """A perceptron with two hidden layers, a point and a direction, all float32."""
    rng = np.random.default_rng(0)
    shapes = list(itertools.pairwise(WIDTHS))
    weights = [np_.asarray((rng.normal(size=s) / s[0] ** 0.5).astype(np.float32)) for s in shapes]
    x, v = (np_.asarray(rng.normal(size=WIDTHS[0]).astype(np.float32)) for _ in range(2))

    def mlp(x: Any) -> Any:
        for w in weights[:-1]:
            x = np_.tanh(x @ w)
        return (x @ weights[-1])[0]

    return mlp, x, v


def nested(jvp: Any, function: Any, order: int) -> Callable[[Any, Any], Any]:
    """The derivative of this order along a line, by forward mode in forward mode."""

    def derivative(f: Any) -> Any:
        return lambda t: jvp(f, (t,), (1.0,))[1]

    def along(x: Any, v: Any) -> Any:
        f = lambda t: function(x + t * v)  # noqa: E731
        for _ in range(order):
            f = derivative(f)
        return f(0.0)

    return along


def in_one_pass(jet: Any, np_: Any, function: Any, order: int) -> Callable[[Any, Any], Any]:
    """The same derivative, the last of a series."""

    def along(x: Any, v: Any) -> Any:
        zero = np_.zeros_like(v)
        return jet(function, (x,), ([v, *[zero] * (order - 1)],))[1][-1]

    return along


def contenders(order: int) -> dict[str, dict[str, Callable[[], Any]]]:
    """For each way of running, what is timed: both methods here and, if it is there, in JAX."""
    mlp, x, v = network(pnp)
    here = {
        "jet": in_one_pass(pb.jet, pnp, mlp, order),
        "nested": nested(pb.jvp, mlp, order),
    }
    found: dict[str, dict[str, Callable[[], Any]]] = {"jit": {}, "eager": {}}
    for name, f in here.items():
        g = pb.jit(f)
        found["jit"][name] = lambda g=g: g(x, v)
        found["eager"][name] = lambda f=f: f(x, v)
    if importlib.util.find_spec("jax") is None:
        return found
    import jax
    import jax.experimental.jet

    theirs, jx, jv = network(jax.numpy)
    there = {
        "JAX's jet": in_one_pass(jax.experimental.jet.jet, jax.numpy, theirs, order),
        "JAX nested": nested(jax.jvp, theirs, order),
    }
    for name, f in there.items():
        h = jax.jit(f)
        found["jit"][name] = lambda h=h: h(jx, jv).block_until_ready()
        found["eager"][name] = lambda f=f: f(jx, jv).block_until_ready()
    return found


def best(function: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of the first call, and the least of the later ones: within about half a second."""
    start = time.perf_counter()
    function()
    first = time.perf_counter() - start
    least, until = float("inf"), time.perf_counter() + 0.5
    while least == float("inf") or time.perf_counter() < until:
        start = time.perf_counter()
        function()
        least = min(least, time.perf_counter() - start)
    return first, least


def _shown(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:.1f} us"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _rows(order: int) -> list[str]:
    lines = []
    for way, functions in contenders(order).items():
        times = {name: best(f) for name, f in functions.items()}
        jet = times["jet"][1]
        for name, (first, later) in times.items():
            ratio = later / jet
            text = "" if name == "jet" else f"{ratio:.1f}x"
            if name == "nested" and order == ORDER:
                met = "met" if ratio >= ASKED else "not met"
                text = f"**{text}** (asked {ASKED}x: {met})"
            lines.append(
                f"| {order} | {way} | {name} | {_shown(later)} | {text} | {_shown(first)} |"
            )
    return lines


def _growth() -> str:
    mlp, x, v = network(pnp)
    cells = []
    for order in (4, 8, 16, 32):
        g = pb.jit(in_one_pass(pb.jet, pnp, mlp, order))
        cells.append(f"order {order}: {_shown(best(lambda g=g: g(x, v))[1])}")
    return "`jet` under `jit`, " + "; ".join(cells) + "."


def section() -> str:
    """The section of benchmarks/beyond.md."""
    widths = " - ".join(map(str, WIDTHS))
    lines = [
        "## Taylor mode",
        "",
        f"A derivative along a line through a tanh network ({widths}, float32): the time of a "
        "call, how many times that of `jet` it is, and that of the first call, which traces and "
        "compiles.",
        "",
        "| order | run | method | a call | over `jet` | first call |",
        "|---|---|---|---|---|---|",
        *_rows(4),
        *_rows(ORDER),
        "",
        _growth(),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(section())
