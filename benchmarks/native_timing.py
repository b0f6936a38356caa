"""How a row of the native engine's table is measured, and how the table is written.

A call of a small compiled function takes less than a microsecond, so the call stands in the timed
statement itself: a lambda around it would cost a tenth of it.
"""

from __future__ import annotations

import math
import timeit
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MOST_ROUNDS, FEWEST_ROUNDS = 60, 7
ROUND_SECONDS = 0.004
"""Shorter than the turn that a busy machine gives another process: some rounds are whole."""
SECONDS = 1.0


@dataclass
class Contender:
    """A call to be timed: `function(*args)`, then `wait(result)` if the result comes later."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    wait: Callable[[Any], Any] | None = None

    def timer(self) -> timeit.Timer:
        """Its timer, with nothing in the statement but the call."""
        names = [f"a{i}" for i in range(len(self.args))]
        call = f"f({', '.join(names)})"
        scope = {"f": self.function, "wait": self.wait, **dict(zip(names, self.args, strict=True))}
        return timeit.Timer(f"wait({call})" if self.wait else call, globals=scope)

    def result(self) -> Any:
        """What the call gives."""
        out = self.function(*self.args)
        if self.wait:
            self.wait(out)
        return out


@dataclass
class Row:
    """One line of the table: seconds of each contender, Pullback's own first."""

    name: str
    seconds: dict[str, float]
    asked: float | None = None
    """How many times less than the first of the others is asked for."""
    engine: str = ""
    note: str = ""

    def ratio(self, other: str) -> float:
        """How many times longer the other takes."""
        return self.seconds[other] / self.seconds["Pullback"]


@dataclass
class Section:
    """A table, with the geometric mean of the ratios to the first of the others."""

    title: str
    others: Sequence[str]
    rows: list[Row] = field(default_factory=list)
    asked_mean: float | None = None
    text: str = ""

    def markdown(self) -> str:
        """The section as Markdown."""
        head = ["work", "engine", "Pullback", *self.others, "asked"]
        lines = [f"## {self.title}", "", *([self.text, ""] if self.text else [])]
        lines += ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
        lines += [self._line(row) for row in self.rows]
        lines += ["", self._mean()]
        return "\n".join(lines) + "\n"

    def _line(self, row: Row) -> str:
        cells = [row.name + row.note, row.engine, duration(row.seconds["Pullback"])]
        for other in self.others:
            found = row.seconds.get(other)
            cells.append("" if found is None else f"{duration(found)}, **{row.ratio(other):.2f}x**")
        cells.append("" if row.asked is None else _verdict(row.ratio(self.others[0]), row.asked))
        return "| " + " | ".join(cells) + " |"

    def _mean(self) -> str:
        other = self.others[0]
        ratios = [row.ratio(other) for row in self.rows if other in row.seconds]
        if not ratios:
            return ""
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        verdict = "" if self.asked_mean is None else f" ({_verdict(mean, self.asked_mean)})"
        return f"Geometric mean of the ratios to {other}: **{mean:.2f}x**{verdict}."


def _verdict(ratio: float, asked: float) -> str:
    return f"{asked:.3g}x: {'met' if ratio >= asked else 'not met'}"


def duration(seconds: float) -> str:
    """`0.25 us`, `3.1 ms`"""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.2f} us"
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"


def race(contenders: dict[str, Contender]) -> dict[str, float]:
    """The minimum over rounds, contenders taking turns, so that a busy machine hits all alike."""
    timers = {name: c.timer() for name, c in contenders.items()}
    calls, best = {}, dict.fromkeys(timers, float("inf"))
    longest = ROUND_SECONDS
    for name, timer in timers.items():
        timer.timeit(1)  # what is built on the first call is not measured here
        once = max(timer.timeit(3) / 3, 1e-8)
        calls[name] = max(1, int(ROUND_SECONDS / once))
        longest = max(longest, once)
    rounds = max(FEWEST_ROUNDS, min(MOST_ROUNDS, int(SECONDS / longest)))
    for _ in range(rounds):
        for name, timer in timers.items():
            best[name] = min(best[name], timer.timeit(calls[name]) / calls[name])
    return best


def check_equal(where: str, got: Sequence[Any], want: Sequence[Any], tolerance: float) -> None:
    """Each of `got` is `want`, to `tolerance` of its largest number.

    Raises:
      ValueError: two results differ, so that their times say nothing.
    """
    if len(got) != len(want):
        raise ValueError(f"{where}: {len(got)} results, not {len(want)}")
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        g, w = np.asarray(g), np.asarray(w)
        if g.shape != w.shape or g.dtype != w.dtype:
            raise ValueError(
                f"{where}: result {i} is {g.dtype}{g.shape}, and {w.dtype}{w.shape} elsewhere"
            )
        off = np.abs(g.astype(np.float64) - w).max(initial=0.0)
        size = np.abs(w).max(initial=0.0)
        if not off <= tolerance * max(size, 1e-30):
            raise ValueError(f"{where}: result {i} is off by {off:.3g}, of {size:.3g}")
