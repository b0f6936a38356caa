"""The processes that work together, and which of them are still there.

`distributed.initialize` puts a group here; the engine asks it before and after each program in
which other processes take part.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from .errors import ProcessLostError, error


class Group:
    """A number of processes, of which this one is number `index`."""

    def __init__(self, index: int = 0, count: int = 1, patience: float = 100.0) -> None:
        self.index, self.count, self.patience = index, count, patience
        self.lost: dict[int, str] = {}
        """Why each process that is gone without a word is gone."""
        self.ended: set[int] = set()
        """Those that have called `shutdown`."""
        self.connect: Callable[[int], Any] | None = None
        """Gives the engine its client, for so many devices of this process."""
        self._changed = threading.Condition()
        self._inside: float | None = None

    # ---- what the connection to the others reports

    def lose(self, index: int, why: str) -> None:
        """A process is gone. The first reason is kept."""
        with self._changed:
            self.lost.setdefault(index, why)
            self._changed.notify_all()

    def end(self, index: int) -> None:
        """A process takes part in nothing more."""
        with self._changed:
            self.ended.add(index)
            self._changed.notify_all()

    def stuck(self, seconds: float) -> bool:
        """Whether this process has been in one program with others for so long."""
        since = self._inside
        return since is not None and time.monotonic() - since > seconds

    # ---- what programs ask

    def check(self, members: Collection[int], what: str = "this program") -> None:
        """Raise if one of the processes that take part is gone.

        Raises:
          ProcessLostError: with the reason.
        """
        gone = self._gone(members)
        if gone:
            raise self.problem(gone[0], what)

    def _gone(self, members: Collection[int]) -> list[int]:
        """Who of them is gone: who was lost first comes first, for it may be why others are."""
        ended = [i for i in self.ended if i in members and i != self.index]
        return [i for i in list(self.lost) if i in members] + ended

    @contextmanager
    def together(self, members: Collection[int], what: str = "a program") -> Iterator[None]:
        """Around what needs all these processes: what fails there is blamed on who is gone."""
        self.check(members, what)
        self._inside = time.monotonic()
        try:
            yield
        except Exception as problem:
            self._inside = None
            self._await_verdict(members)
            gone = self._gone(members)
            if not gone:
                raise
            raise self.problem(gone[0], what) from problem
        finally:
            self._inside = None

    def _await_verdict(self, members: Collection[int]) -> None:
        """A closed connection is seen at once, who closed it a moment later."""
        with self._changed:
            self._changed.wait_for(
                lambda: bool(self._gone(members)),
                timeout=min(self.patience, 10.0),
            )

    def problem(self, index: int, what: str) -> ProcessLostError:
        """The error to raise where that process is needed."""
        if index == self.index:
            return error(
                ProcessLostError,
                f"the others of the {self.count} processes have given this one up.",
                got=f"process {index}: {self.lost.get(index)}",
                fix="start all processes again from the last checkpoint; a larger "
                "heartbeat_timeout_seconds of distributed.initialize is more patient.",
            )
        if index in self.lost:
            return error(
                ProcessLostError,
                f"process {index} of {self.count} is lost, and {what} needs it.",
                got=self.lost[index],
                fix=f"look at what process {index} printed last; start all processes again from "
                "the last checkpoint.",
            )
        return error(
            ProcessLostError,
            f"process {index} of {self.count} has ended, and {what} needs it.",
            got=f"process {index} has called distributed.shutdown, or its program is over",
            fix="have all processes run the same programs in the same order.",
        )


group = [Group()]
"""The one that this process belongs to: a list, so that it can be put in place."""


def current() -> Group:
    """The group of this process: of one, unless `distributed.initialize` was called."""
    return group[0]


__all__ = ["Group", "current", "group"]
