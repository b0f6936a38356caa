"""The processes that work together, and which of them are still there.

`distributed.initialize` puts a group here; the engine asks it before and after each program in
which other processes take part.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
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
        self._left: list[int] = []
        """Both kinds, in the order in which the news came."""
        self.connect: Callable[[int], Any] | None = None
        """Gives the engine its client, for so many devices of this process."""
        self.runtime: Any = None
        """XLA's connection to its service, by which devices of plugins find each other."""
        self.local_devices: tuple[int, ...] | None = None
        """The numbers of those devices of plugins that this process uses; None: all."""
        self._changed = threading.Condition()
        self.inside: float | None = None
        """Since when it has been in a program with others."""

    # ---- what the connection to the others reports

    def lose(self, index: int, why: str) -> None:
        """A process is gone. The first reason is kept."""
        with self._changed:
            self.lost.setdefault(index, why)
            self._left.append(index)
            self._changed.notify_all()

    def end(self, index: int) -> None:
        """A process takes part in nothing more."""
        with self._changed:
            self.ended.add(index)
            self._left.append(index)
            self._changed.notify_all()

    def stuck(self, seconds: float) -> bool:
        """Whether this process has been in one program with others for so long."""
        since = self.inside
        return since is not None and time.monotonic() - since > seconds

    # ---- what programs ask

    def check(self, members: Collection[int], what: str = "this program") -> None:
        """Raise if one of the processes that take part is gone.

        Raises:
          ProcessLostError: with the reason.
        """
        gone = self.gone(members)
        if gone:
            raise self.problem(gone[0], what)

    def gone(self, members: Collection[int]) -> list[int]:
        """Who of them is gone: who went first comes first, for it may be why others went."""
        others = [i for i in list(self._left) if i != self.index or i in self.lost]
        return [i for i in others if i in members]

    def together(self, members: Collection[int], what: str = "this program") -> Together:
        """For `with`, around what needs all these processes: what fails is blamed on who is gone.

        Raises:
          ProcessLostError: one of them is gone, before or meanwhile.
        """
        return Together(self, members, what)

    def await_verdict(self, members: Collection[int]) -> None:
        """Wait a little for the news who is gone: they come after a connection has been closed."""
        with self._changed:
            self._changed.wait_for(
                lambda: bool(self.gone(members)),
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


_BROKEN = ("Gloo", "NCCL", "UNAVAILABLE", "DEADLINE_EXCEEDED")
"""What XLA's errors say where a connection to another process is to blame."""


class Together:
    """See `Group.together`. Not a generator: errors name the line of the user's that led here."""

    __slots__ = ("group", "members", "what")

    def __init__(self, group: Group, members: Collection[int], what: str) -> None:
        self.group, self.members, self.what = group, members, what

    def __enter__(self) -> None:
        self.group.check(self.members, self.what)
        self.group.inside = time.monotonic()

    def __exit__(self, kind: Any, problem: BaseException | None, traceback: Any) -> None:
        group = self.group
        group.inside = None
        if isinstance(problem, Exception):
            if any(word in str(problem) for word in _BROKEN):
                group.await_verdict(self.members)
            gone = group.gone(self.members)
            if gone:
                raise group.problem(gone[0], self.what) from problem


group = [Group()]
"""The one that this process belongs to: a list, so that it can be put in place."""


def current() -> Group:
    """The group of this process: of one, unless `distributed.initialize` was called."""
    return group[0]


__all__ = ["Group", "Together", "current", "group"]
