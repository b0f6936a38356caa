"""The measured times as Markdown."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field

from .work import TOLERANCE

WHATS = {"objective": "Objective", "jacobian": "Jacobian"}


@dataclass
class Cell:
    """What one system did with one problem of one size."""

    first: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    error: float = float("nan")
    failure: str = ""

    @property
    def right(self) -> bool:
        """Whether its values are those of the reference."""
        return not self.failure and self.error <= TOLERANCE


@dataclass
class Case:
    """One problem of one size: the systems' cells."""

    name: str
    inputs: int
    outputs: int
    cells: dict[str, Cell]


def text(
    cases: list[Case], systems: list[str], versions: list[str], cores: int, rounds: int
) -> str:
    """The page."""
    parts = [_HEAD.format(
        cores=cores, rounds=rounds, tolerance=TOLERANCE, machine=platform.machine(),
        python=platform.python_version(), versions=", ".join(versions),
    )]  # fmt: skip
    for what, title in (("jacobian", "Jacobian"), ("objective", "Objective")):
        parts.append(f"## {title}\n\n{_times(cases, systems, what)}")
    parts.append(f"## Jacobian / objective\n\n{_ADVICE}\n\n{_table(cases, systems, _quotient)}")
    parts.append(f"## First call: objective, Jacobian\n\n{_table(cases, systems, _first)}")
    parts.append(f"## Largest relative error\n\n{_table(cases, systems, _error)}")
    return "\n\n".join([*parts, *_failures(cases)]) + "\n"


_HEAD = """# ADBench

The four objectives of ADBench and their Jacobians, on synthetic data of ADBench's sizes, in \
float64. One run on one machine ({machine}, Python {python}; {versions}). Each system has a \
process of its own, all on the same {cores} processor(s); they take turns, and a time is the \
minimum over {rounds} rounds of short batches of calls. Pullback and JAX are jitted, PyTorch and \
Autograd are eager. Ratios are peer / Pullback: above 1, Pullback is faster. Objectives, and the \
products of the Jacobians with three random directions, are those of a reference in NumPy (loops, \
and the complex step) within {tolerance:g} of the largest value; a system that is not is marked \
**wrong** and has no time.

Written by `python -m benchmarks.adbench`."""

_ADVICE = "How many objectives a Jacobian costs, each system against itself: ADBench's own measure."


def _times(cases: list[Case], systems: list[str], what: str) -> str:
    def cell(case: Case, system: str) -> str:
        seconds = case.cells[system].seconds[what]
        ours = case.cells.get("pullback")
        if system == "pullback" or ours is None or not ours.right:
            return time(seconds)
        return f"{time(seconds)}, **{seconds / ours.seconds[what]:.2g}x**"

    return _table(cases, systems, cell)


def _quotient(case: Case, system: str) -> str:
    seconds = case.cells[system].seconds
    return f"{seconds['jacobian'] / seconds['objective']:.1f}"


def _first(case: Case, system: str) -> str:
    return ", ".join(time(case.cells[system].first[what]) for what in WHATS)


def _error(case: Case, system: str) -> str:
    return f"{case.cells[system].error:.1e}"


def _table(cases: list[Case], systems: list[str], cell) -> str:
    lines = [
        "| problem | inputs | outputs | " + " | ".join(systems) + " |",
        "|---|---|---|" + "---|" * len(systems),
    ]
    for case in cases:
        row = [case.name, f"{case.inputs}", f"{case.outputs}"]
        for system in systems:
            found = case.cells[system]
            wrong = "failed" if found.failure else f"**wrong** ({found.error:.1e})"
            row.append(cell(case, system) if found.right else wrong)
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def _failures(cases: list[Case]) -> list[str]:
    lines = [
        f"- {case.name}, {system}: {cell.failure}"
        for case in cases
        for system, cell in case.cells.items()
        if cell.failure
    ]
    return ["## Failures\n\n" + "\n".join(lines)] if lines else []


def time(seconds: float) -> str:
    """A time with three digits and its unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"
