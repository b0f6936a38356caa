"""The XLA engine against NumPy's on random programs.

    python tests/xla/fuzz_xla.py --first 0 --count 1000   many programs; what fails is printed
    python tests/xla/fuzz_xla.py --seed 1234              one program: shown, checked, made small
    python tests/xla/fuzz_xla.py --nested --count 1000    programs of loops in loops, all exact

The programs and the bounds of their errors are those of the native engine's fuzzing
(`tests/native/fuzz.py`). XLA does not optimise here, which makes compiling three times as quick,
unless `--optimised` says so.
"""

from __future__ import annotations

import argparse
import collections
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parent.parent / "native"))

import fuzz_errors
from fuzz import _smaller, summary
from fuzz_control import random_function
from fuzz_errors import Value, difference, run
from fuzz_makers import random_program

from pullback.core.program import ClosedProgram, Literal, Var
from pullback.core.settings import enable_x64
from pullback.engines import numpy as numpy_engine
from pullback.engines.xla.program import Unsupported, compile_program

# In units of the last place, measured on 160,000 numbers of many sizes, and a little more.
XLA_ULPS = {
    "acosh": 4.5, "asinh": 4.5, "atan": 6.5, "cbrt": 4.5, "cosh": 5.5, "div": 1.5, "erf": 6.5,
    "erfc": 80.0, "erf_inv": 400.0, "exp": 5.5, "expm1": 6.5, "sinh": 7.5, "tanh": 8.5,
}  # fmt: skip
XLA_ABSOLUTE = {"lgamma": 48.0, "digamma": 32.0}
QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


@contextmanager
def bounds_of_xla() -> Iterator[None]:
    """The comparison allows for XLA's errors meanwhile, and for subnormal numbers that are 0."""
    ulps, absolute = dict(fuzz_errors.ULPS), dict(fuzz_errors.ABSOLUTE)
    fuzz_errors.FLUSHING = True
    fuzz_errors.ULPS.update(XLA_ULPS)
    fuzz_errors.ABSOLUTE.update(XLA_ABSOLUTE)
    try:
        yield
    finally:
        fuzz_errors.FLUSHING = False
        for table, before in ((fuzz_errors.ULPS, ulps), (fuzz_errors.ABSOLUTE, absolute)):
            table.clear()
            table.update(before)


def check(closed: ClosedProgram, args: Sequence[np.ndarray]) -> str:
    """What is wrong with the engine's results; empty if nothing is.

    An output that is right is what later values are compared from, so that errors do not pile up.

    Raises:
      Unsupported: the engine does not take the program.
    """
    outs = map(np.asarray, compile_program(closed)(*args))
    found = dict(zip(closed.program.outvars, outs, strict=True))
    undone = _undone(closed)
    wrong: list[str] = []

    def settle(var: Var, value: Value) -> Value:
        if var not in found:
            return value
        if problem := difference(found[var], value):
            wrong.append(problem)
        if var in undone:
            return Value(found[var], value.e)
        return fuzz_errors._flushed(Value(found[var]))

    results = run(closed, [Value(x) for x in args], settle)
    for atom, want in zip(closed.program.outvars, results, strict=True):
        plain = isinstance(atom, Literal) or atom in closed.program.invars
        if plain and (problem := difference(found[atom], want)):
            wrong.append(problem)
    return wrong[0] if wrong else ""


def _undone(closed: ClosedProgram) -> set[Var]:
    """Results of `exp` whose logarithm is taken, which for XLA is the argument of `exp`."""
    eqns = closed.program.eqns
    powers = {v for eq in eqns if eq.primitive.name == "exp" for v in eq.outvars}
    logs = [eq.invars[0] for eq in eqns if eq.primitive.name == "log"]
    return {a for a in logs if isinstance(a, Var) and a in powers}


def check_exactly(closed: ClosedProgram, args: Sequence[np.ndarray]) -> str:
    """The same for programs whose numbers have no roundings."""
    wanted = numpy_engine.compiled(closed)(*args)
    found = compile_program(closed)(*args)
    for k, (got, want) in enumerate(zip(found, wanted, strict=True)):
        if not np.array_equal(np.asarray(got), np.asarray(want)):
            return f"output {k}"
    return ""


def verdict(closed: ClosedProgram, args: Sequence[np.ndarray], how: Any = check) -> tuple[str, str]:
    """("ok" | "unsupported" | "wrong" | "error", the reason)."""
    with warnings.catch_warnings(), np.errstate(all="ignore"), bounds_of_xla():
        warnings.simplefilter("ignore")
        try:
            problem = how(closed, args)
        except Unsupported as reason:
            return "unsupported", str(reason)
        except Exception as problem:
            last = traceback.extract_tb(problem.__traceback__)[-1]
            where = f"{Path(last.filename).name}:{last.lineno}"
            return "error", f"{type(problem).__name__} at {where}: {problem}"
    return ("wrong", problem) if problem else ("ok", "")


def check_seed(seed: int, nested: bool = False) -> tuple[str, str]:
    """The verdict for the program of a seed."""
    with enable_x64():
        if nested:
            with np.errstate(all="ignore"):
                return verdict(*random_function(seed), check_exactly)
        return verdict(*random_program(seed))


def hunt(first: int, count: int, nested: bool = False) -> collections.Counter[Any]:
    """Try `count` seeds; what fails is printed."""
    tally: collections.Counter[Any] = collections.Counter()
    for seed in range(first, first + count):
        status, reason = check_seed(seed, nested)
        tally[status, reason[:60] if status in ("unsupported", "error") else ""] += 1
        if status in ("wrong", "error"):
            print(f"{status.upper()} seed {seed}: {' '.join(reason.split())[:300]}", flush=True)
    return tally


def minimised(
    closed: ClosedProgram, args: Sequence[np.ndarray], how: Any = check
) -> tuple[ClosedProgram, Sequence[np.ndarray], str]:
    """A part of the program that still fails: fewer outputs, and values as inputs."""
    status, problem = verdict(closed, args, how)
    changed = status in ("wrong", "error")
    while changed:
        changed = False
        for smaller in _smaller(closed, args):
            found, reason = verdict(*smaller, how)
            if found == status:
                (closed, args), problem, changed = smaller, reason, True
                break
    return closed, args, problem


def report(seed: int, nested: bool = False) -> str:
    """The failing program of a seed, made small, with its arguments."""
    with enable_x64():
        program = random_function(seed) if nested else random_program(seed)
        small, given, problem = minimised(*program, check_exactly if nested else check)
        shown = [
            f"  {np.array2string(np.asarray(x), threshold=12, edgeitems=2)} {x.dtype}"
            for x in given
        ]
        return "\n".join([f"seed {seed}: {problem}", str(small), *shown])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, nargs="*")
    parser.add_argument("--nested", action="store_true")
    parser.add_argument("--optimised", action="store_true")
    given = parser.parse_args()
    if not given.optimised:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {QUICK}"
    if given.seed is not None:
        for seed in given.seed:
            print(report(seed, given.nested), flush=True)
    else:
        print(summary(hunt(given.first, given.count, given.nested)))


if __name__ == "__main__":
    main()
