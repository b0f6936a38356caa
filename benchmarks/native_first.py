"""First calls: tracing, compiling and running, in this process and in new ones.

`python -m benchmarks.native_first {pullback,jax} PROGRAM` is what a new process runs: it prints the
seconds of its import and of its first call, as JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .native_programs import Programs
from .native_timing import Row, Section, check_equal

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = {
    "per_example": "per-example gradients",
    "hvp": "Hessian-vector product, 30x40",
    "dense_hessian": "dense Hessian, 1200x1200",
    "mlp_small": "gradient of an MLP 16-32-8, batch 8",
    "chain": "chain of 120 operations",
    "rk4_scan": "scan of 1000 RK4 steps",
}
WARM_REPEATS, PROCESS_REPEATS = 7, 3


def fresh(programs: Programs, function: Any, args: Any, factor: float) -> tuple[float, list[Any]]:
    """Seconds of the first call of a new function, which is `function` times `factor`.

    A new factor makes a new program, which no cache has.
    """
    jax = programs.jax

    def scaled(*args: Any) -> Any:
        return jax.tree.map(lambda y: y * factor, function(*args))

    start = time.perf_counter()
    out = jax.block_until_ready(jax.jit(scaled)(*args))
    return time.perf_counter() - start, jax.tree.leaves(out)


def warm(systems: dict[str, Programs], engine: Callable[..., str]) -> Section:
    """In a process that has compiled other programs before."""
    section = Section("First call (trace, compile, run), in a process that is warm", ["JAX"])
    for method, name in PROGRAMS.items():
        built = {who: (p, *getattr(p, method)()) for who, p in systems.items()}
        best = dict.fromkeys(built, float("inf"))
        for _ in range(WARM_REPEATS):
            factor, found = 1 + random.SystemRandom().random() / 8, {}
            for who, (programs, function, args) in built.items():
                seconds, found[who] = fresh(programs, function, args, factor)
                best[who] = min(best[who], seconds)
            check_equal(name, found["Pullback"], found["JAX"], 1e-3)
        programs, function, args = built["Pullback"]
        ran = engine(programs.jax.jit(function), args)
        section.rows.append(Row(name, best, 5, ran))
    return section


def processes() -> list[Section]:
    """In new processes: without a cache on disk, then with one that an earlier process filled."""
    text = "Seconds of the first call alone; starting Python, imports and data are not in it."
    cold = Section("First call in a new process, no cache on disk", ["JAX"], text=text)
    others = ["JAX", "JAX, its cache"]
    again = Section("First call in a second process, with the cache on disk", others, text=text)
    for method, name in PROGRAMS.items():
        with tempfile.TemporaryDirectory() as folder:
            ours = {"PULLBACK_CACHE_DIR": str(Path(folder, "pullback"))}
            theirs = {
                "JAX_COMPILATION_CACHE_DIR": str(Path(folder, "jax")),
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
            }
            first = {"Pullback": float("inf"), "JAX": float("inf")}
            for i in range(PROCESS_REPEATS):
                empty = {"PULLBACK_CACHE_DIR": str(Path(folder, f"empty{i}"))}
                first["Pullback"] = min(first["Pullback"], _child("pullback", method, empty))
                first["JAX"] = min(first["JAX"], _child("jax", method, {}))
            _child("pullback", method, ours)
            _child("jax", method, theirs)
            second = {"JAX": first["JAX"]}
            for _ in range(PROCESS_REPEATS):
                for who, system, variables in (
                    ("Pullback", "pullback", ours),
                    ("JAX, its cache", "jax", theirs),
                ):
                    seconds = _child(system, method, variables)
                    second[who] = min(second.get(who, seconds), seconds)
        cold.rows.append(Row(name, first))
        again.rows.append(Row(name, second, 20))
    return [cold, again]


def _child(system: str, method: str, variables: dict[str, str]) -> float:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.native_first", system, method],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise RuntimeError(f"{system} {method} ended with {run.returncode}:\n{run.stderr}")
    return float(json.loads(run.stdout.splitlines()[-1])["first"])


def main(system: str, method: str) -> None:
    """What a new process does."""
    start = time.perf_counter()
    module, numpy = (importlib.import_module(n) for n in (system, f"{system}.numpy"))
    imported = time.perf_counter() - start
    programs = Programs(module, numpy)
    function, args = getattr(programs, method)()
    module.block_until_ready(args)
    seconds, _ = fresh(programs, function, args, 1.25)
    print(json.dumps({"import": imported, "first": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
