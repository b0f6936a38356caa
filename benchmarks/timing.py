"""How a row is measured: all contenders in turn, several rounds, the minimum of each."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

ROUNDS = 7
ROUND_SECONDS = 0.05


@dataclass
class Row:
    """One piece of work, and who can do it."""

    name: str
    contenders: dict[str, Callable[[], Any]]
    asked: dict[str, float] = field(default_factory=dict)
    """The ratio peer / Pullback that the project asks for, by peer."""


@dataclass
class Result:
    """Seconds for one call, by contender."""

    row: Row
    seconds: dict[str, float]

    def ratio(self, peer: str) -> float:
        """How many times longer the peer takes."""
        return self.seconds[peer] / self.seconds["pullback"]


def measure(row: Row) -> Result:
    """The minimum over rounds, contenders taking turns, so that a busy machine hits all alike."""
    calls = {name: _calls_in_a_round(f) for name, f in row.contenders.items()}
    best = dict.fromkeys(row.contenders, float("inf"))
    for _ in range(ROUNDS):
        for name, function in row.contenders.items():
            best[name] = min(best[name], _seconds(function, calls[name]))
    return Result(row, best)


def _calls_in_a_round(function: Callable[[], Any]) -> int:
    function()  # what is built on the first call is not measured here
    once = _seconds(function, 1)
    return max(1, min(2000, int(ROUND_SECONDS / once)))


def _seconds(function: Callable[[], Any], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def table(results: list[Result]) -> str:
    """The results as Markdown."""
    lines = [
        "| work | Pullback | " + " | ".join(PEERS) + " |",
        "|---|---|" + "---|" * len(PEERS),
    ]
    for result in results:
        cells = [result.row.name, _time(result.seconds["pullback"])]
        cells += [_cell(result, peer) for peer in PEERS]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


PEERS = ("jax", "autograd", "torch")


def _cell(result: Result, peer: str) -> str:
    if peer not in result.seconds:
        return ""
    asked = result.row.asked.get(peer)
    text = f"{_time(result.seconds[peer])}, **{result.ratio(peer):.1f}x**"
    if asked is None:
        return text
    met = "met" if result.ratio(peer) >= asked else "not met"
    return f"{text} (asked {asked:g}x: {met})"


def _time(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:.2f} us"
    return f"{seconds * 1e3:.2f} ms"
