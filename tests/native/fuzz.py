"""The native engine against NumPy's on random programs.

    python tests/native/fuzz.py --count 100000 --jobs 2   many programs, in processes of their own
    python tests/native/fuzz.py --seed 1234               one program: shown, checked, made small

Arrays lie at the end of memory, with a page that nobody may touch behind them, and at addresses
that are aligned to one element only: code that reads past an end ends the process, which its
parent reports with the seed.
"""

from __future__ import annotations

import argparse
import collections
import ctypes
import json
import mmap
import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_errors import Value, difference, run
from fuzz_makers import random_program

from pullback.core.program import ClosedProgram, Literal, Program, Var
from pullback.core.settings import enable_x64
from pullback.engines.native.program import Unsupported, compile_program

PAGE = mmap.PAGESIZE
POISON = 0xA5
SLACK = 64
"""Bytes behind arrays that OpenBLAS may read: its zhetrd reads past a vector of one number."""
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class Region:
    """Memory that ends where nobody may read or write. It is used again for each program."""

    def __init__(self, size: int) -> None:
        self.size = -(-size // PAGE) * PAGE
        self.memory = mmap.mmap(-1, self.size + PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.end = start + self.size
        if _libc.mprotect(self.end, PAGE, 0):
            raise OSError(ctypes.get_errno(), "mprotect")
        self.bytes = np.frombuffer(self.memory, np.uint8, self.size)

    def array(self, shape: tuple[int, ...], dtype: np.dtype, slack: int = 0) -> np.ndarray:
        """An array that ends `slack` bytes before the region does."""
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        self.bytes[max(0, self.size - size - slack - 64) :] = POISON
        end = self.size - slack
        return self.bytes[end - size : end].view(dtype).reshape(shape)


class Regions:
    """Regions for the arrays of one call."""

    def __init__(self) -> None:
        self.free: list[Region] = []
        self.used: list[Region] = []

    def take(self, size: int) -> Region:
        """One of at least this size."""
        at = next((i for i, r in enumerate(self.free) if r.size >= size), None)
        region = Region(max(size, 1 << 16)) if at is None else self.free.pop(at)
        self.used.append(region)
        return region

    def give_back(self) -> None:
        """All are free again."""
        self.free += self.used
        self.used = []


REGIONS = Regions()


def run_kernel(kernel: Any, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The results of a kernel for these arrays, checked for writes beside them and to inputs."""
    try:
        return _run_guarded(kernel, arrays)
    finally:
        REGIONS.give_back()


def _run_guarded(kernel: Any, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    ins, outs = [], []
    slack = SLACK if _calls_libraries(kernel) else 0
    for x in arrays:
        held = REGIONS.take(x.nbytes + slack).array(x.shape, x.dtype, slack)
        held[...] = x
        ins.append(held)
    regions = []
    for t in kernel.out_types:
        regions.append(REGIONS.take(t.size * t.dtype.itemsize + slack))
        outs.append(regions[-1].array(t.shape, t.dtype, slack))
    size = -(-max(kernel.arena, 1) // 64) * 64
    arena = REGIONS.take(size)
    arena.bytes[-size:] = POISON
    call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    code = call(kernel.address)(_addresses(ins), _addresses(outs), arena.end - size)
    assert code == 0, f"the kernel returns {code}"
    for i, (x, held) in enumerate(zip(arrays, ins, strict=True)):
        assert x.tobytes() == held.tobytes(), f"input {i} is changed"
    for i, (y, region) in enumerate(zip(outs, regions, strict=True)):
        end = region.size - slack
        before = region.bytes[max(0, end - y.nbytes - 64) : end - y.nbytes]
        assert np.all(before == POISON), f"memory in front of output {i} is changed"
        assert np.all(region.bytes[end:] == POISON), f"memory behind output {i} is changed"
    return [y.copy() for y in outs]


def _calls_libraries(kernel: Any) -> bool:
    lines = kernel.text.splitlines()
    ours = "@llvm.", "@pullback_"
    return any(line.startswith("declare") and not any(o in line for o in ours) for line in lines)


def _addresses(arrays: Sequence[np.ndarray]) -> Any:
    return (ctypes.c_void_p * max(1, len(arrays)))(*[x.ctypes.data for x in arrays])


# ---- one program


def check(closed: ClosedProgram, args: Sequence[np.ndarray]) -> str:
    """What is wrong with the native engine's results; empty if nothing is.

    An output that is right is what later values are compared from, so that errors do not pile up.

    Raises:
      Unsupported: the engine does not take the program.
    """
    kernel = compile_program(closed)
    found = dict(zip(closed.program.outvars, run_kernel(kernel, args), strict=True))
    wrong: list[str] = []

    def settle(var: Var, value: Value) -> Value:
        if var not in found:
            return value
        problem = difference(found[var], value)
        if problem:
            wrong.append(problem)
        return Value(found[var])

    values = [Value(x) for x in args]
    results = run(closed, values, settle)
    for atom, want in zip(closed.program.outvars, results, strict=True):
        if isinstance(atom, Literal) or atom in closed.program.invars:
            problem = difference(found[atom], want)
            if problem:
                wrong.append(problem)
    return wrong[0] if wrong else ""


def apart(closed: ClosedProgram, args: Sequence[np.ndarray]) -> tuple[str, str]:
    """The verdict, found in a process of its own: "crash" if that ends."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.write(writing, json.dumps(verdict(closed, args)).encode()[:4000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    if status:
        return "crash", f"exit {os.waitstatus_to_exitcode(status)}"
    found, reason = json.loads(text)
    return found, reason


def verdict(closed: ClosedProgram, args: Sequence[np.ndarray]) -> tuple[str, str]:
    """("ok" | "unsupported" | "wrong" | "error", the reason)."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            problem = check(closed, args)
        except Unsupported as reason:
            return "unsupported", str(reason)
        except Exception as problem:
            last = traceback.extract_tb(problem.__traceback__)[-1]
            where = f"{Path(last.filename).name}:{last.lineno}"
            return "error", f"{type(problem).__name__} at {where}: {problem}"
    return ("wrong", problem) if problem else ("ok", "")


def check_seed(seed: int) -> tuple[str, str]:
    """The verdict for the program of a seed."""
    with enable_x64():
        return verdict(*random_program(seed))


# ---- smaller programs that fail as well


def minimised(closed: ClosedProgram, args: Sequence[np.ndarray]) -> tuple[Any, Any, str]:
    """A part of the program that still fails: fewer outputs, and values as inputs."""
    status, problem = apart(closed, args)
    changed = True
    while changed:
        changed = False
        for smaller in _smaller(closed, args):
            found, reason = apart(*smaller)
            if found == status:
                (closed, args), problem, changed = smaller, reason, True
                break
    return closed, args, problem


def _smaller(closed: ClosedProgram, args: Sequence[np.ndarray]) -> Any:
    """One output alone; without the last equations; values of equations as inputs."""
    program = closed.program
    if len(program.outvars) > 1:
        for out in program.outvars:
            yield _cut(closed, args, [out], set())
    try:
        values = _all_values(closed, args)
    except Exception:  # NumPy's engine is what fails
        return
    used = {a for eq in program.eqns for a in eq.invars}
    ends = {v for v in program.outvars if v not in used}
    for eq in program.eqns[::-1]:
        if ends & set(eq.outvars) and len(program.eqns) > 1:
            rest = [v for v in program.outvars if v not in eq.outvars]
            more = [a for a in eq.invars if isinstance(a, Var) and a not in program.invars]
            more = [a for a in more if a not in program.constvars]
            if rest or more:
                yield _cut(closed, args, rest or more, set())
    for eq in program.eqns:
        new = set(eq.outvars)
        if not new & set(program.outvars):
            yield _cut(closed, args, program.outvars, new, values)
    if program.constvars:
        yield _cut(closed, args, program.outvars, set(program.constvars), values)


def _all_values(closed: ClosedProgram, args: Sequence[np.ndarray]) -> dict[Var, np.ndarray]:
    values: dict[Var, np.ndarray] = dict(
        zip(closed.program.constvars, [np.asarray(c._value) for c in closed.consts])
    )

    def settle(var: Var, value: Value) -> Value:
        values[var] = value.x
        return Value(value.x)

    run(closed, [Value(x) for x in args], settle)
    return values


def _cut(
    closed: ClosedProgram,
    args: Sequence[np.ndarray],
    outs: Sequence[Any],
    given: set[Var],
    values: dict[Var, np.ndarray] | None = None,
) -> tuple[ClosedProgram, list[np.ndarray]]:
    """The equations that `outs` need; those of `given` are inputs."""
    program = closed.program
    needed = {a for a in outs if isinstance(a, Var)}
    kept = []
    for eq in program.eqns[::-1]:
        wanted = [v for v in eq.outvars if v in needed]
        if wanted and not all(v in given for v in wanted):
            kept.append(eq)
            needed |= {a for a in eq.invars if isinstance(a, Var)}
    made = {v for eq in kept for v in eq.outvars}
    inputs = [(v, x) for v, x in zip(program.invars, args, strict=True) if v in needed]
    inputs += [(v, (values or {})[v]) for v in given if v in needed and v not in made]
    consts = [
        (v, c)
        for v, c in zip(program.constvars, closed.consts, strict=True)
        if v in needed and v not in given
    ]
    new = Program([v for v, _ in consts], [v for v, _ in inputs], outs, kept[::-1])
    return ClosedProgram(new, [c for _, c in consts]), [x for _, x in inputs]


def report(seed: int) -> str:
    """The failing program of a seed, made small, with its arguments."""
    with enable_x64():
        closed, args = random_program(seed)
        small, given, problem = minimised(closed, args)
        shown = [f"  {np.array2string(np.asarray(x), threshold=40)} {x.dtype}" for x in given]
        return "\n".join([f"seed {seed}: {problem}", str(small), *shown])


# ---- many programs


def work(first: int, count: int, log: str) -> None:
    """What a process of its own does: each seed is written before it is tried."""
    with Path(log).open("a") as file:
        for seed in range(first, first + count):
            file.write(f"{seed}\n")
            file.flush()
            status, reason = check_seed(seed)
            file.write(json.dumps([status, reason]) + "\n")


def hunt(first: int, count: int, jobs: int, batch: int = 500) -> collections.Counter[Any]:
    """Try `count` seeds in `jobs` processes; what fails is printed."""
    tally: collections.Counter[Any] = collections.Counter()
    todo = collections.deque(
        (s, min(batch, first + count - s)) for s in range(first, first + count, batch)
    )
    running: list[tuple[Any, Path, int, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        while todo or running:
            while todo and len(running) < jobs:
                start, n = todo.popleft()
                log = Path(folder, f"{start}-{n}")
                command = [sys.executable, __file__, "--work", str(start), str(n), str(log)]
                quiet = subprocess.Popen(command, stderr=subprocess.DEVNULL)
                running.append((quiet, log, start, n))
            time.sleep(0.05)
            for entry in [r for r in running if r[0].poll() is not None]:
                running.remove(entry)
                process, log, start, n = entry
                last = _read_log(log, tally)
                if process.returncode and last is not None:
                    tally["crash", f"exit {process.returncode}"] += 1
                    print(f"CRASH seed {last}: exit {process.returncode}", flush=True)
                    if last + 1 < start + n:
                        todo.append((last + 1, start + n - last - 1))
    return tally


def _read_log(log: Path, tally: collections.Counter[Any]) -> int | None:
    """Count the verdicts; the seed that has none, if the process ended there."""
    seed = None
    for line in log.read_text().splitlines() if log.exists() else ():
        if not line.startswith("["):
            seed = int(line)
            continue
        status, reason = json.loads(line)
        key = reason if status in ("unsupported", "error") else ""
        tally[status, key] += 1
        if status in ("wrong", "error") and (not key or tally[status, key] <= 2):
            print(f"{status.upper()} seed {seed}: {reason[:300]}", flush=True)
        seed = None
    return seed


def summary(tally: collections.Counter[Any]) -> str:
    """How many programs ended how."""
    total = collections.Counter()
    for (status, _), n in tally.items():
        total[status] += n
    lines = [", ".join(f"{n} {status}" for status, n in total.most_common())]
    reasons = [(n, status, reason) for (status, reason), n in tally.items() if reason]
    lines += [f"  {n} {status}: {reason[:200]}" for n, status, reason in sorted(reasons)[::-1]]
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--work", nargs=3)
    given = parser.parse_args()
    if given.work:
        work(int(given.work[0]), int(given.work[1]), given.work[2])
    elif given.seed is not None:
        with enable_x64():
            closed, args = random_program(given.seed)
            print(closed)
            found = apart(closed, args)
        print(found)
        if found[0] in ("wrong", "error", "crash"):
            print(report(given.seed))
    else:
        tally = hunt(given.first, given.count, given.jobs)
        print(summary(tally))


if __name__ == "__main__":
    main()
