"""What it costs to look for NaNs, on and off, beside JAX; what strong zeros cost; and a find."""

from __future__ import annotations

import contextlib
import importlib.util
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import pullback as pb
import pullback.numpy as pnp

from ..timing import Row, measure

Work = tuple[str, Callable[..., Any], tuple[Any, ...]]


def _network(np_: Any) -> Callable[..., Any]:
    def loss(w1: Any, w2: Any, x: Any) -> Any:
        return np_.mean((np_.tanh(x @ w1) @ w2) ** 2)

    return loss


def _elements(np_: Any) -> Callable[..., Any]:
    def f(x: Any) -> Any:
        return np_.sum(np_.where(x > 0, np_.sqrt(x) * np_.exp(-x), 0.0))

    return f


def _guarded(np_: Any) -> Callable[..., Any]:
    """The same with safe inputs for what is not taken: the fix by hand."""

    def f(x: Any) -> Any:
        safe = np_.where(x > 0, x, 1.0)
        return np_.sum(np_.where(x > 0, np_.sqrt(safe) * np_.exp(-safe), 0.0))

    return f


def _arrays() -> dict[str, tuple[Any, ...]]:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> Any:
        return rng.normal(size=shape).astype(np.float32)

    network = draw(64, 128), draw(128, 10), draw(32, 64)
    return {
        "network": network,
        "large": (np.abs(draw(1_000_000)),),
        "small": (np.abs(draw(16)),),
    }


def _gradients(package: Any, np_: Any) -> list[Work]:
    a = _arrays()
    given = {name: tuple(map(np_.asarray, xs)) for name, xs in a.items()}
    grad, jit = package.grad, package.jit
    return [
        ("jit(grad), network of 2 layers", jit(grad(_network(np_))), given["network"]),
        ("jit(grad), 1,000,000 elements", jit(grad(_elements(np_))), given["large"]),
        ("jit(grad), 16 elements", jit(grad(_elements(np_))), given["small"]),
        ("grad, 16 elements, not compiled", grad(_elements(np_)), given["small"]),
    ]


def _timed(
    works: dict[str, list[Work]], modes: Sequence[Callable[[], Any]] = ()
) -> list[dict[str, float]]:
    """Seconds for each piece of work by contender, while all `modes` are on."""
    found = []
    with contextlib.ExitStack() as stack:
        for mode in modes:
            stack.enter_context(mode())
        for row in zip(*works.values(), strict=True):
            contenders = {name: _call(f, xs) for name, (_, f, xs) in zip(works, row, strict=True)}
            found.append(measure(Row(row[0][0], contenders)).seconds)
    return found


def _call(f: Callable[..., Any], xs: Any) -> Callable[[], Any]:
    def call() -> Any:
        out = f(*xs)
        return out.block_until_ready() if hasattr(out, "block_until_ready") else out

    return call


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f} us" if seconds < 1e-3 else f"{seconds * 1e3:,.2f} ms"


def _nan_table(packages: dict[str, tuple[Any, Any]]) -> list[str]:
    # One package after the other: the threads of one disturb the other's short calls.
    works = {name: _gradients(*package) for name, package in packages.items()}
    times = []
    for name, work in works.items():
        times.append(_timed({name: work}))
        times.append(_timed({name: work}, [packages[name][0].debug_nans]))
        if name == "pullback":
            times.append(_timed({name: work}))
    lines = [
        "| work | off | on | off, after it was on | JAX off | JAX on |",
        "|---|---|---|---|---|---|",
    ]
    for i, (name, _, _) in enumerate(works["pullback"]):
        cells = [_us(next(iter(found[i].values()))) for found in times]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _strong_table() -> list[str]:
    arrays = _arrays()
    rows = {
        "jit(grad), network of 2 layers": (_network, _network, arrays["network"], pb.jit),
        "jit(grad), 1,000,000 elements": (_elements, _guarded, arrays["large"], pb.jit),
        "jit(grad), 16 elements": (_elements, _guarded, arrays["small"], pb.jit),
        "grad, 16 elements, not compiled": (_elements, _guarded, arrays["small"], lambda f: f),
    }
    plain, strong = [], []
    for name, (f, guarded, xs, jit) in rows.items():
        given = tuple(map(pnp.asarray, xs))
        plain.append((name, jit(pb.grad(f(pnp))), given))
        strong.append((name, jit(pb.grad(guarded(pnp))), given))
    off = _timed({"off": plain, "guarded": strong})
    on = _timed({"on": plain}, [pb.strong_zero])
    lines = ["| work | off | strong_zero | off, with a second `where` |", "|---|---|---|---|"]
    for name, a, b in zip(rows, off, on, strict=True):
        second = "" if "network" in name else _us(a["guarded"])
        lines.append(f"| {name} | {_us(a['off'])} | {_us(b['on'])} | {second} |")
    return lines


def _find_table(packages: dict[str, tuple[Any, Any]]) -> list[str]:
    """The time from the call of a compiled program to the error, and what the error tells."""
    lines = [
        "| | time to the error | line | operation | values | round |",
        "|---|---|---|---|---|---|",
    ]
    for name, (package, np_) in packages.items():

        def step(c: Any, x: Any, np_: Any = np_) -> Any:
            return c + x, np_.log(c)

        def scan(x: Any, package: Any = package, np_: Any = np_, step: Any = step) -> Any:
            return package.lax.scan(step, np_.float32(900.5), x)[1]

        run = package.jit(scan)
        best, text = float("inf"), ""
        xs = np_.asarray(-np.ones(1000, np.float32))
        for _ in range(5):
            with package.debug_nans(True):
                start = time.perf_counter()
                try:
                    np.asarray(run(xs))
                except FloatingPointError as found:
                    best, text = min(best, time.perf_counter() - start), str(found)
        told = [
            "debugging.py" in text,
            "encountered in log" in text,
            "-0.5" in text,
            "round 901" in text,
        ]
        words = " | ".join("yes" if t else "no" for t in told)
        lines.append(f"| {name} | {_us(best)} | {words} |")
    return lines


def section() -> str:
    """The tables as Markdown."""
    packages: dict[str, tuple[Any, Any]] = {"pullback": (pb, pnp)}
    with contextlib.suppress(ImportError):
        if importlib.util.find_spec("jax") is not None:
            jax = importlib.import_module("jax")
            packages["jax"] = jax, jax.numpy
    return "\n".join(
        [
            "## Debugging derivatives",
            "",
            "`debug_nans` on and off. Compiled programs are checked by their results in both "
            "packages, other operations each by itself.",
            "",
            *_nan_table(packages),
            "",
            "`strong_zero` on and off, beside the fix by hand. Matrix products with strong zeros "
            "have no machine code: NumPy does them.",
            "",
            *_strong_table(),
            "",
            "A NaN in round 901 of a scan of 1000, in a compiled program that was compiled before "
            "`debug_nans`: how long it takes to find, the least of 5, and what the message tells.",
            "",
            *_find_table(packages),
        ]
    )


if __name__ == "__main__":
    print(section())
