"""`python -m benchmarks.native [section ...]`: compiled programs beside JAX's jit, and the limit.

Sections: calls, first, processes, loops, sizes, limit. Without a name all are measured, and the
tables are written to benchmarks/native.md.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import pullback
import pullback.numpy as pnp

from . import native_first, native_limit
from .native_programs import Program, Programs
from .native_timing import Contender, Row, Section, check_equal, race

Make = Callable[[Programs], Program]


def engine(jitted: Any, args: tuple[Any, ...]) -> str:
    """Which engine runs this function of Pullback's for these arguments."""
    if not hasattr(jitted, "explain"):
        return "numpy"
    report = jitted.explain(*args)
    return str(getattr(report, "engine", None) or str(report).splitlines()[0])


def systems() -> dict[str, Programs]:
    """Pullback and JAX, with the same arrays."""
    return {"Pullback": Programs(pullback, pnp), "JAX": Programs(jax, jnp)}


def row(name: str, make: Make, asked: float | None, tolerance: float = 1e-4) -> Row:
    """One compiled program in both systems, results compared first.

    A result of Pullback is there when the call returns. Of JAX one array is waited for: those of
    one program are ready together, so that this is the least that a user of the result can do.
    """
    contenders, leaves, ran = {}, {}, ""
    for who, programs in systems().items():
        function, args = make(programs)
        jitted = programs.jax.jit(function)
        leaves[who] = programs.jax.tree.leaves(jitted(*args))
        contenders[who] = Contender(jitted, args, _wait(jitted(*args)) if who == "JAX" else None)
        if who == "Pullback":
            ran = engine(jitted, args)
    check_equal(name, leaves["Pullback"], leaves["JAX"], tolerance)
    return Row(name, race(contenders), asked, ran)


def _wait(out: Any) -> Callable[[Any], Any]:
    """A function that waits for one array of a result like this one."""
    if isinstance(out, dict):
        key = next(iter(out))
        inner = _wait(out[key])
        return lambda out: inner(out[key])
    if isinstance(out, (list, tuple)):
        inner = _wait(out[-1])
        return lambda out: inner(out[-1])
    return type(out).block_until_ready


def calls() -> list[Section]:
    """Calls of small compiled functions."""
    section = Section("Calls", ["JAX"], asked_mean=10)
    section.rows = [
        row("per-example gradients", lambda p: p.per_example(), 6),
        row("adding to a scalar", lambda p: p.add_scalar(), 6),
        row("RK4 step of Lotka-Volterra", lambda p: p.rk4_step(), 6),
        row("gradient of an MLP 16-32-8, batch 8", lambda p: p.mlp_small(), 6),
        row("momentum update of 20 leaves", lambda p: p.momentum(), 6),
        row("logistic Hessian, 3x3", lambda p: p.logistic_hessian(), 6),
    ]
    least = Section("A call of two arrays", ["JAX"], text="Asked: under 1 us.")
    pair = row("`x * y + x`, 8 numbers", lambda p: p.two_arrays(), None)
    met = "met" if pair.seconds["Pullback"] < 1e-6 else "not met"
    pair.note = f" (under 1 us: {met})"
    least.rows = [pair]
    return [section, least]


def loops() -> list[Section]:
    """Loops of 1000 steps."""
    section = Section("Loops of 1000 steps", ["JAX"], asked_mean=3)
    section.rows = [
        row("scan of RK4 steps", lambda p: p.rk4_scan(), 2, 1e-3),
        row("its gradient", lambda p: p.rk4_gradient(), 2, 1e-3),
        row("scan of an RNN 16x16", lambda p: p.rnn_scan(), 2, 1e-3),
        row("its gradient", lambda p: p.rnn_gradient(), 2, 1e-3),
        row("vmapped Newton `while_loop`, 64 roots", lambda p: p.newton(), 2, 1e-3),
    ]
    return [section]


def sizes() -> list[Section]:
    """Middle and large arrays."""
    middle = Section("Middle size", ["JAX"])
    middle.rows = [
        row("sigmoid of a*b + c, 1e4", lambda p: p.sigmoid_chain(10_000), 3),
        row("exp, log1p, sqrt, sin, 1e4", lambda p: p.exp_chain(10_000), 3),
        row("20 additions and multiplications, 1e4", lambda p: p.arithmetic_chain(10_000), 3, 1e-3),
        row("softmax, 100x37", lambda p: p.softmax(), 3),
        row("logistic gradient, 256x32", lambda p: p.logistic_gradient(), 3),
        row("gradient of an MLP 64-128-16, batch 64", lambda p: p.mlp_middle(), 3),
    ]
    large = Section("Large", ["JAX"])
    worst = 1 / 1.3
    large.rows = [
        row("sigmoid of a*b + c, 1e6", lambda p: p.sigmoid_chain(1_000_000), worst),
        row("sigmoid of a*b + c, 1e7", lambda p: p.sigmoid_chain(10_000_000), worst),
        row("exp, log1p, sqrt, sin, 1e6", lambda p: p.exp_chain(1_000_000), worst),
        row(
            "20 additions and multiplications, 1e6",
            lambda p: p.arithmetic_chain(1_000_000),
            worst,
            1e-3,
        ),
        row("matmul, 512", lambda p: p.matmul(512), worst),
        row("matmul, 1024", lambda p: p.matmul(1024), worst),
        row("step of an MLP 784-512-512-10, batch 256", lambda p: p.mlp_large(), worst),
    ]
    return [middle, large]


SECTIONS: dict[str, Callable[[], list[Section]]] = {
    "calls": calls,
    "first": lambda: [native_first.warm(systems(), engine)],
    "processes": native_first.processes,
    "loops": loops,
    "sizes": sizes,
    "limit": lambda: native_limit.sections(engine),
}


def main(names: list[str]) -> None:
    """Measure the sections of these names, or all."""
    if unknown := set(names) - set(SECTIONS):
        raise SystemExit(
            f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}"
        )
    head = (
        "# Times of compiled programs\n\nMinimum of several rounds, contenders taking turns, one "
        f"run on one machine ({platform.machine()}, {os.cpu_count()} processors, Python "
        f"{platform.python_version()}; pullback {pullback.__version__}, jax {jax.__version__}, "
        f"numpy {np.__version__}). The numbers are float32. Ratios are other / Pullback: above 1, "
        "Pullback is faster.\n"
    )
    print(head, flush=True)
    texts = [head]
    for name in names or SECTIONS:
        for section in SECTIONS[name]():
            texts.append(section.markdown())
            print(texts[-1], flush=True)
    if not names:
        Path(__file__).with_name("native.md").write_text("\n".join(texts))


if __name__ == "__main__":
    main(sys.argv[1:])
