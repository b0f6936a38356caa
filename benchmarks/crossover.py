"""`python -m benchmarks.crossover [family ...]`: the native engine beside the XLA engine, by size.

Each program is run on both engines, from NumPy's memory to NumPy's memory: seconds of a call, and
of the first call with nothing kept on disk. Without a name all families are measured, and the
tables are written to benchmarks/crossover.md. `pullback/engines/size.py` has its constants from it.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["PULLBACK_CACHE_DIR"] = ""  # neither engine reads what was compiled before

import numpy as np

import pullback as pb

from .crossover_programs import FAMILIES, Program
from .native_timing import check_equal, duration

ENGINES = ("native", "xla")
ROUNDS, ROUND_SECONDS, SECONDS = 5, 0.02, 0.4
FIRST_CALLS = 2

HEAD = """# The native engine beside the XLA engine, by size

Least seconds of a call, engines taking turns, one run; {processors} processors, numpy {numpy}.
Ratios above 1: XLA is quicker. Its times are those of arguments that are in its memory already. The
last column says where "auto" takes XLA, and its time then, with the copies of all arguments."""


@dataclass
class Row:
    """One program, and seconds on each engine; the first call is None, and the call NumPy's, where
    the native engine has no code for it."""

    family: str
    name: str
    run: dict[str, float]
    first: dict[str, float | None]
    choice: str
    """The engine that "auto" takes, and why."""


def ready(out: Any) -> None:
    """All of a result is in NumPy's memory."""
    for x in pb.tree.leaves(out):
        x._value  # noqa: B018


def measure(family: str, name: str, make: Callable[[], Program]) -> Row:
    """Times of one program, results compared first."""
    function, args = make()
    first, jitted, leaves = {}, {}, {}
    for who in ENGINES:
        f = jitted[who] = pb.jit(lambda *xs: function(*xs), engine=who)
        try:
            leaves[who] = pb.tree.leaves(f(*args))
        except NotImplementedError:
            jitted[who] = pb.jit(function, engine="numpy")
            leaves[who] = pb.tree.leaves(jitted[who](*args))
            first[who] = None
        else:
            first[who] = min(first_call(function, args, who) for _ in range(FIRST_CALLS))
    check_equal(name, real(leaves["xla"]), real(leaves["native"]), 1e-2)
    chosen = pb.jit(lambda *xs: function(*xs))
    found = chosen.explain(*args)
    if found.engine == "xla":
        jitted["auto"] = chosen
    return Row(family, name, race(jitted, args), first, f"{found.engine}: {found.reason}")


def real(arrays: list[Any]) -> list[np.ndarray]:
    """Complex numbers as pairs."""
    values = [np.asarray(x) for x in arrays]
    return [np.stack([x.real, x.imag]) if x.dtype.kind == "c" else x for x in values]


def first_call(function: Any, args: tuple[Any, ...], who: str) -> float:
    """Seconds of the first call of a function that no cache has: another constant is in it."""
    number = random.SystemRandom().randint(2, 1 << 20)

    def changed(*xs: Any) -> Any:
        def change(y: Any) -> Any:
            return y * (1 + number * 2.0**-24) if y.dtype.kind == "f" else y + number

        return pb.tree.map(change, function(*xs))

    begin = time.perf_counter()
    ready(pb.jit(changed, engine=who)(*args))
    return time.perf_counter() - begin


def race(jitted: dict[str, Any], args: tuple[Any, ...]) -> dict[str, float]:
    """The least seconds of a call of each, taking turns."""
    calls, best = {}, dict.fromkeys(jitted, float("inf"))
    longest = ROUND_SECONDS
    for who, f in jitted.items():
        seconds(f, args, 1)
        once = seconds(f, args, 1)
        calls[who] = max(1, int(ROUND_SECONDS / once))
        longest = max(longest, once)
    for _ in range(max(ROUNDS, int(SECONDS / longest / len(jitted)))):
        for who, f in jitted.items():
            best[who] = min(best[who], seconds(f, args, calls[who]))
    return best


def seconds(f: Any, args: tuple[Any, ...], calls: int) -> float:
    """Seconds of a call, of so many."""
    begin = time.perf_counter()
    for _ in range(calls):
        ready(f(*args))
    return (time.perf_counter() - begin) / calls


def table(family: str, rows: list[Row]) -> str:
    """The rows of a family as Markdown."""
    head = ["program", "native", "xla", "native / xla", "first call, native", "xla", '"auto"']
    lines = [f"## {family}", "", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for r in rows:
        ours, xla = r.run["native"], r.run["xla"]
        mark = "" if r.first["native"] else " (NumPy)"
        first = [duration(s) if (s := r.first[e]) else "" for e in ENGINES]
        cells = [r.name, duration(ours) + mark, duration(xla), f"**{ours / xla:.2f}x**", *first]
        auto = r.run.get("auto")
        cells.append("" if auto is None else f"xla, {duration(auto)}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(wanted: list[str]) -> None:
    """The families named (the start of a name will do), or all."""
    texts, kept = [], []
    for family, programs in FAMILIES.items():
        if wanted and not any(family.lower().startswith(w.lower()) for w in wanted):
            continue
        rows = [measure(family, name, make) for name, make in programs.items()]
        texts.append(table(family, rows))
        kept += [vars(r) for r in rows]
        print(texts[-1], flush=True)
    if to := os.environ.get("CROSSOVER_JSON"):
        Path(to).write_text(json.dumps(kept))
    if not wanted:
        threads = len(os.sched_getaffinity(0))
        head = HEAD.format(processors=threads, numpy=np.__version__)
        Path(__file__).with_name("crossover.md").write_text("\n\n".join([head, *texts]))


if __name__ == "__main__":
    main(sys.argv[1:])
