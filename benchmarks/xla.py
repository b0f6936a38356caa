"""`python -m benchmarks.xla [section ...]`: the XLA engine beside JAX's jit.

Sections: large, calls, compile. Without a name all are measured, and the tables are written to
benchmarks/xla.md.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["PULLBACK_CACHE_DIR"] = ""  # neither system reads executables from disk

import jax
import jax.numpy as jnp

import pullback
import pullback.numpy as pnp

from .native_programs import Program
from .native_timing import Contender, Row, Section, check_equal, race
from .xla_programs import LargePrograms

Make = Callable[[LargePrograms], Program]

LARGE: dict[str, Make] = {
    "step of an MLP 784-512-512-10, batch 256": lambda p: p.mlp_step(),
    "gradient of convolutions, 32 images": lambda p: p.convolution_gradient(),
    "gradient of attention, 8 x 8 x 128 x 32": lambda p: p.attention_gradient(),
    "matmul, 1024": lambda p: p.matmul(1024),
    "softmax, 1024 x 1024": lambda p: p.softmax_large(),
    "gradient through Cholesky, 256": lambda p: p.cholesky_gradient(),
    "step of a transformer, 6 layers": lambda p: p.transformer_step(),
}
SMALL: dict[str, Make] = {
    "`x * y + x`, 8 numbers": lambda p: p.two_arrays(),
    "adding to a scalar": lambda p: p.add_scalar(),
    "gradient of an MLP 16-32-8, batch 8": lambda p: p.mlp_small(),
    "momentum update of 20 leaves": lambda p: p.momentum(),
}


def pair(make: Make) -> dict[str, tuple[Any, tuple[Any, ...], Any]]:
    """For each system the jitted function, its arguments, and the system."""
    found = {}
    for who, programs in {
        "Pullback": LargePrograms(pullback, pnp),
        "JAX": LargePrograms(jax, jnp),
    }.items():
        function, args = make(programs)
        options = {"engine": "xla"} if who == "Pullback" else {}
        # A function of its own, so that nothing was compiled for it before.
        jitted = programs.jax.jit(lambda *xs, f=function: f(*xs), **options)
        found[who] = (jitted, args, programs.jax)
    return found


def row(name: str, make: Make, asked: float) -> Row:
    """One program, compiled, results compared first; all of a result is waited for."""
    contenders, leaves = {}, {}
    for who, (jitted, args, system) in pair(make).items():
        args = system.tree.map(lambda x, s=system: s.block_until_ready(x * 1), args)
        if who == "Pullback":  # in XLA's buffers, as results of other calls are
            args = pullback.jit(lambda *a: a, engine="xla")(*args)
        leaves[who] = system.tree.leaves(jitted(*args))
        contenders[who] = Contender(jitted, tuple(args), system.block_until_ready)
    check_equal(name, leaves["Pullback"], leaves["JAX"], 1e-3)
    return Row(name, race(contenders), asked, "xla")


def large() -> list[Section]:
    """Large programs."""
    section = Section("Large programs", ["JAX"])
    section.rows = [row(name, make, 1 / 1.05) for name, make in LARGE.items()]
    return [section]


def calls() -> list[Section]:
    """What a call costs."""
    section = Section("Calls of small programs", ["JAX"])
    section.rows = [row(name, make, 1.0) for name, make in SMALL.items()]
    return [section]


def compile_() -> list[Section]:
    """The first call, from the function to the result, in turn; the least of three."""
    section = Section("First calls: tracing, lowering, compiling and running", ["JAX"])
    for name, make in LARGE.items():
        best: dict[str, float] = {}
        for _ in range(3):
            for who, (jitted, args, system) in pair(make).items():
                start = time.perf_counter()
                system.block_until_ready(jitted(*args))
                seconds = time.perf_counter() - start
                best[who] = min(best.get(who, seconds), seconds)
        section.rows.append(Row(name, best, 1.0, "xla"))
    return [section]


SECTIONS = {"large": large, "calls": calls, "compile": compile_}


def main(wanted: list[str]) -> None:
    """The sections named, or all."""
    unknown = sorted(set(wanted) - set(SECTIONS))
    if unknown:
        sys.exit(f"no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    texts = []
    for name in wanted or SECTIONS:
        for section in SECTIONS[name]():
            texts.append(section.markdown())
            print(texts[-1], flush=True)
    if not wanted:
        head = "# The XLA engine beside JAX 0.10's jit: seconds of a call, minima, one run"
        Path(__file__).with_name("xla.md").write_text("\n\n".join([head, *texts]))


if __name__ == "__main__":
    main(sys.argv[1:])
