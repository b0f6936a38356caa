"""`python -m benchmarks.adbench`: the table of times, written to results.md and shown.

python -m benchmarks.adbench                          # all problems, some minutes
python -m benchmarks.adbench --systems pullback,jax --problems gmm,lstm
python -m benchmarks.adbench --problems gmm --sizes d10_K50,d32_K25 --output /dev/null
python -m benchmarks.adbench --sizes all --limit 600  # all of ADBench's sizes, hours
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

from .processes import PROBLEMS, Failed, Process
from .report import WHATS, Case, Cell, text
from .work import SYSTEMS, Expected


def main() -> None:
    """Measure what is asked for."""
    options = _options()
    systems = [each for each in options.systems if importlib.util.find_spec(each)]
    processes = {each: Process(each, options.cores, options.limit) for each in systems}
    try:
        versions = [process.ask("version") for process in processes.values()]
        cases = [
            _case(problem, size, processes, options.rounds)
            for problem in options.problems
            for size in _sizes(problem, options.sizes)
        ]
    finally:
        for process in processes.values():
            process.stop()
    page = text(cases, systems, versions, options.cores, options.rounds)
    options.output.write_text(page)
    print(page)


def _options() -> argparse.Namespace:
    def names(known):
        def parse(given: str) -> list[str]:
            unknown = set(given.split(",")) - set(known)
            if unknown:
                raise argparse.ArgumentTypeError(f"not of {', '.join(known)}: {unknown}")
            return given.split(",")

        return parse

    parser = argparse.ArgumentParser(prog="python -m benchmarks.adbench")
    parser.add_argument("--systems", type=names(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument("--problems", type=names(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--sizes", default="default", help="default, all, or names of sizes")
    parser.add_argument("--rounds", type=int, default=7, help="a time is the minimum of so many")
    parser.add_argument("--cores", type=int, default=1, help="processors that each system gets")
    parser.add_argument("--limit", type=float, default=120, help="seconds for one answer")
    results = Path(__file__).with_name("results.md")
    parser.add_argument("--output", type=Path, default=results)
    return parser.parse_args()


def _sizes(problem: str, asked: str) -> list[str]:
    module = PROBLEMS[problem]
    if asked == "default":
        return list(module.DEFAULT)
    if asked == "all":
        return list(module.SIZES)
    return [size for size in asked.split(",") if size in module.SIZES]


def _case(problem: str, size: str, processes: dict[str, Process], rounds: int) -> Case:
    module = PROBLEMS[problem]
    data = module.make(*module.SIZES[size])
    expected = Expected.of(module, data)
    cells = {system: Cell() for system in processes}
    for system, process in processes.items():
        cell = cells[system]
        try:
            cell.first = process.ask("prepare", problem, size)
            cell.error = expected.error(module, data, process.ask("values"))
        except Failed as failure:
            cell.failure = str(failure)
    for what in WHATS:
        for _ in range(rounds):
            for system, process in processes.items():
                _round(cells[system], process, what)
    print(f"{problem} {size}: measured", flush=True)
    inputs, outputs = len(module.start(data)), len(expected.objective)
    return Case(f"{problem} {size}", inputs, outputs, cells)


def _round(cell: Cell, process: Process, what: str) -> None:
    if not cell.right:
        return
    try:
        seconds = process.ask("once", what)
    except Failed as failure:
        cell.failure = str(failure)
    else:
        cell.seconds[what] = min(seconds, cell.seconds.get(what, seconds))


if __name__ == "__main__":
    main()
