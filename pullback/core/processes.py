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

APART = 30.0
"""Seconds for which two processes that wait for each other at different programs are let wait."""


class Group:
    """A number of processes, of which this one is number `index`."""

    def __init__(self, index: int = 0, count: int = 1, patience: float = 100.0) -> None:
        self.index, self.count, self.patience = index, count, patience
        self.lost: dict[int, str] = {}
        """Why each process that is gone without a word is gone."""
        self.ended: dict[int, dict[str, int]] = {}
        """Those that have called `shutdown`, and what they had done until then: see `done`."""
        self._left: list[int] = []
        """Both kinds, in the order in which the news came."""
        self.connect: Callable[[int], Any] | None = None
        """Gives the engine its client, for so many devices of this process."""
        self.runtime: Any = None
        """XLA's connection to its service, by which devices of plugins find each other."""
        self.local_devices: tuple[int, ...] | None = None
        """The numbers of those devices of plugins that this process uses; None: all."""
        self._changed = threading.Condition()
        self.announce: Callable[[str, list[int]], Any] | None = None
        """Tells the others that this process is about to run a program with them."""
        self._met: set[str] = set()
        self._apart: dict[str, int] = {}
        """For programs that this process waits for the others of: who waits for others at another
        one."""
        self._begun: dict[str, int] = {}
        self.done: dict[str, int] = {}
        """How many programs it has run to their end with which others, by their numbers: of those
        in which they exchange data. All run the same ones in the same order, so that who has ended
        has either taken part in one or never will.
        """
        self.inside: tuple[float, Together] | None = None
        """The program with others that it is in, and since when."""

    # ---- what the connection to the others reports

    def lose(self, index: int, why: str) -> None:
        """A process is gone. The first reason is kept."""
        with self._changed:
            self.lost.setdefault(index, why)
            self._left.append(index)
            self._changed.notify_all()

    def end(self, index: int, done: dict[str, int] | None = None) -> None:
        """A process takes part in nothing more than what it has `done`."""
        with self._changed:
            self.ended[index] = done or {}
            self._left.append(index)
            self._changed.notify_all()

    def all_there(self, name: str) -> None:
        """All who run programs of this name have come to the first one: see `meet`."""
        with self._changed:
            self._met.add(name)
            self._changed.notify_all()

    def apart(self, name: str, other: int) -> None:
        """While this process waits for that one, that one waits for this one at another program."""
        with self._changed:
            self._apart[name] = other
            self._changed.notify_all()

    def stuck(self, seconds: float) -> bool:
        """Whether this process has been in one program for so long, and one that it needs for that
        program will not come.
        """
        inside = self.inside
        if inside is None or time.monotonic() - inside[0] < seconds:
            return False
        return bool(self.gone(inside[1].members, inside[1].turn))

    # ---- what programs ask

    def check(
        self, members: Collection[int], what: str = "this program", turn: int | None = None
    ) -> None:
        """Raise if one of the processes that take part is gone: see `gone`.

        Raises:
          ProcessLostError: with the reason.
        """
        gone = self.gone(members, turn)
        if gone:
            raise self.problem(gone[0], what)

    def gone(self, members: Collection[int], turn: int | None = None) -> list[int]:
        """Who of them is gone: who went first comes first, for it may be why others went.

        Who has ended is not gone for the program of this number if it has taken part in it.
        """
        name = named(members)

        def missing(i: int) -> bool:
            done = self.ended.get(i, {}).get(name, 0)
            return i in self.lost or (i != self.index and (turn is None or done < turn))

        return [i for i in list(self._left) if i in members and missing(i)]

    def together(
        self, members: Collection[int], what: str = "this program", talk: str | None = None
    ) -> Together:
        """For `with`, around what needs all these processes: what fails is blamed on who is gone.

        `talk` is a name for how data are exchanged, "" for not at all, None where nobody knows.

        Raises:
          ProcessLostError: one of them is gone, before or meanwhile.
        """
        return Together(self, members, what, talk)

    def meet(self, members: Collection[int], what: str, talk: str) -> None:
        """Wait for all who are about to exchange data in this way, if it is for the first time.

        The library that connects them for it waits for half a minute, and one may compile for
        longer than another.

        Raises:
          ProcessLostError: one of them is gone.
          RuntimeError: one of them waits for this process at another program.
        """
        if talk in self._met or self.announce is None:
            return

        def settled() -> bool:
            # Process 0 passes the news on.
            return talk in self._met or bool(self.gone(members)) or 0 in self.lost

        self.announce(talk, sorted(members))
        with self._changed:
            self._changed.wait_for(lambda: settled() or talk in self._apart)
            # Another of its threads may yet come to this program.
            self._changed.wait_for(settled, timeout=APART)
        if talk in self._met:
            return
        if settled():
            raise self.problem((self.gone(members) or [0])[0], what)
        raise error(
            RuntimeError,
            "the processes run different programs.",
            got=f"process {self.index} waits for process {self._apart.pop(talk)} in {what}, which "
            "waits in another one",
            fix="have all processes run the same programs in the same order.",
        )

    def await_verdict(self, members: Collection[int], turn: int | None = None) -> None:
        """Wait a little for the news who is gone: they come after a connection has been closed."""
        with self._changed:
            self._changed.wait_for(
                lambda: bool(self.gone(members, turn)), timeout=min(self.patience, 60.0)
            )

    def begin(self, members: Collection[int]) -> int:
        """The number of the next program with these others."""
        name = named(members)
        self._begun[name] = turn = self._begun.get(name, 0) + 1
        return turn

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

    __slots__ = ("group", "members", "talk", "turn", "what")

    def __init__(
        self, group: Group, members: Collection[int], what: str, talk: str | None = None
    ) -> None:
        self.group, self.members, self.what, self.talk = group, members, what, talk
        self.turn: int | None = None

    def __enter__(self) -> None:
        group = self.group
        if self.talk is not None:
            self.turn = group.begin(self.members) if self.talk else 0
        group.check(self.members, self.what, self.turn)
        if self.talk:
            group.meet(self.members, self.what, self.talk)
        group.inside = time.monotonic(), self

    def __exit__(self, kind: Any, problem: BaseException | None, traceback: Any) -> None:
        group = self.group
        group.inside = None
        if problem is None and self.turn:
            group.done[named(self.members)] = self.turn
        if isinstance(problem, Exception):
            if any(word in str(problem) for word in _BROKEN):
                group.await_verdict(self.members, self.turn)
            gone = group.gone(self.members, self.turn)
            if gone:
                raise group.problem(gone[0], self.what) from problem


def named(members: Collection[int]) -> str:
    """A name for these processes."""
    return ",".join(map(str, sorted(members)))


group = [Group()]
"""The one that this process belongs to: a list, so that it can be put in place."""


def current() -> Group:
    """The group of this process: of one, unless `distributed.initialize` was called."""
    return group[0]


__all__ = ["Group", "Together", "current", "group"]
