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
    others = ["JAX", "JAX, its cache"]
    cold = Section("First call in a new process, no cache on disk", ["JAX"], text=text)
    again = Section("First call in a second process, with the cache on disk", others, text=text)
    text = "Seconds of the imports of the system and its `numpy` and of the first call."
    whole = Section("Imports and first call in a second process", others, text=text)
    for method, name in PROGRAMS.items():
        with tempfile.TemporaryDirectory() as folder:
            first, second = _processes(method, Path(folder))
        cold.rows.append(Row(name, _least(first, "first")))
        again.rows.append(Row(name, _least(second, "first"), 20))
        whole.rows.append(Row(name, _least(second, "import", "first")))
    return [cold, again, whole]


Times = dict[str, list[dict[str, float]]]
"""What new processes say, by contender."""


def _least(times: Times, *parts: str) -> dict[str, float]:
    return {who: min(sum(t[p] for p in parts) for t in found) for who, found in times.items()}


def _processes(method: str, folder: Path) -> tuple[Times, Times]:
    """Processes without a cache on disk, and with one; JAX's without its own stand in both."""
    ours = {"PULLBACK_CACHE_DIR": str(folder / "pullback")}
    theirs = {
        "JAX_COMPILATION_CACHE_DIR": str(folder / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    first: Times = {"Pullback": [], "JAX": []}
    for i in range(PROCESS_REPEATS):
        empty = {"PULLBACK_CACHE_DIR": str(folder / f"empty{i}")}
        first["Pullback"].append(_child("pullback", method, empty))
        first["JAX"].append(_child("jax", method, {}))
    _child("pullback", method, ours)
    _child("jax", method, theirs)
    second: Times = {"Pullback": [], "JAX": first["JAX"], "JAX, its cache": []}
    for _ in range(PROCESS_REPEATS):
        second["Pullback"].append(_child("pullback", method, ours))
        second["JAX, its cache"].append(_child("jax", method, theirs))
    return first, second


def _child(system: str, method: str, variables: dict[str, str]) -> dict[str, float]:
    environment = {**os.environ, **variables}
    # The byte code of what is imported is kept, as it is for users; JAX comes with its own.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.native_first", system, method],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise RuntimeError(f"{system} {method} ended with {run.returncode}:\n{run.stderr}")
    found: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return found


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
