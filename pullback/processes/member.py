"""A process's connection to the coordinator: it says that it is there, and hears who is not."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from ..core.errors import error
from ..core.processes import Group
from .channel import Channel, Clock, Message
from .tunnel import GREETING

COORDINATOR = 0


class Member:
    """See the module."""

    def __init__(self, address: tuple[str, int], group: Group) -> None:
        self.address, self.group = address, group
        self.started, self.done = threading.Event(), threading.Event()
        self.refused: str | None = None
        self.told: dict[str, dict[int, Any]] = {}
        self.unstick: Callable[[], None] = lambda: None
        """What frees this process from a program that waits for one that is gone."""
        self._leaving = False
        self._given_up = threading.Event()
        self.channel: Channel

    def connect(self, timeout: float) -> None:
        """Find the coordinator, and wait until all processes have.

        Raises:
          RuntimeError: they are not all there in time, or the coordinator refuses this one.
        """
        ends = time.monotonic() + timeout
        self.channel = Channel(self._reach(ends, timeout))
        self.channel.send("hello", index=self.group.index, count=self.group.count)
        self.group.announce = self._announce
        threading.Thread(target=self._listen, name="pullback-member", daemon=True).start()
        self.started.wait(max(0.0, ends - time.monotonic()))
        if self.refused is not None:
            self._leaving = True
            raise error(
                RuntimeError,
                "distributed.initialize: the coordinator refuses this process.",
                got=f"process_id={self.group.index}, num_processes={self.group.count}: "
                f"{self.refused}",
                fix="give all processes the same num_processes, and each its own process_id.",
            )
        if COORDINATOR in self.group.lost:
            self._leaving = True
            raise error(
                RuntimeError,
                "distributed.initialize: process 0 is gone before all processes have come.",
                got=self.group.lost[COORDINATOR],
                fix="look at what process 0 printed last.",
            )

    def _reach(self, ends: float, timeout: float) -> socket.socket:
        while True:
            try:
                return socket.create_connection(self.address, timeout=5.0)
            except OSError as problem:
                if time.monotonic() + 0.1 > ends:
                    raise error(
                        RuntimeError,
                        f"distributed.initialize: no coordinator was found within {timeout:g} s.",
                        got=f"{self.address[0]}:{self.address[1]}: {problem}",
                        fix="start process 0, and give all processes its address and an open port.",
                    ) from None
                time.sleep(0.1)

    def tunnel(self) -> socket.socket:
        """A connection to XLA's service, behind the coordinator."""
        far = socket.create_connection(self.address, timeout=30.0)
        far.sendall(GREETING)
        return far

    def tell(self, what: str, value: Any) -> None:
        """Let all processes know something of this one: see `told`."""
        self.channel.send("tell", what=what, value=value)

    def _announce(self, name: str, members: list[int]) -> None:
        self.channel.send("meet", name=name, members=members)

    # ---- what the coordinator says

    def _listen(self) -> None:
        step = min(1.0, self.group.patience / 5)
        clock = Clock(step)
        while not (self.done.is_set() and self._leaving):
            try:
                ready = select.select([self.channel], [], [], clock.left())[0]
            except (OSError, ValueError):
                return
            # While this process itself stood still it could not hear the others.
            self.channel.heard += clock.overslept()
            messages = self.channel.receive() if ready else []
            if messages is None:
                self._lose_coordinator("its connection was closed: it was killed, or it crashed")
                return
            for message in messages:
                self._hear(message)
            if self.channel.silent() > self.group.patience and self.started.is_set():
                silence = f"it has said nothing for {self.group.patience:g} s"
                self._lose_coordinator(silence)
                return
            if clock.rings():  # not for each message: the coordinator answers
                self.channel.send("beat")
                self._free()

    def _hear(self, message: Message) -> None:
        match message["kind"]:
            case "start":
                self.started.set()
            case "refused":
                self.refused = str(message["why"])
                self.started.set()
            case "met":
                self.group.all_there(message["name"])
            case "apart":
                self.group.apart(message["name"], message["other"])
            case "told":
                self.told.setdefault(message["what"], {})[message["index"]] = message["value"]
            case "lost":
                self.group.lose(message["index"], message["why"])
                if message["index"] == self.group.index:
                    self._given_up.set()
                    self.done.set()  # this is the last word: nobody waits for it, nor tells it more
            case "ended":
                self.group.end(message["index"], message.get("done"))
            case "done":
                self.done.set()

    def _lose_coordinator(self, why: str) -> None:
        if COORDINATOR in self.group.ended:
            why = "it has ended, and the others cannot find each other without it"
        self.group.lose(COORDINATOR, why)
        self.started.set()
        self.done.set()
        self._given_up.set()
        while self.group.index != COORDINATOR and not self._leaving:
            self._free()
            time.sleep(0.5)

    def _free(self) -> None:
        """Free this process from a program that waits for one that will not come."""
        if self.group.stuck(1.0):
            self.unstick()

    # ---- the end

    def leave(self, timeout: float) -> bool:
        """Say that this process is through, and wait for the others; whether they are, too."""
        self.channel.send("bye", done=self.group.done)
        self.done.wait(timeout)
        self._leaving = True
        return self.done.is_set()

    def fail(self, why: str) -> None:
        """Say that this process ends because of an error."""
        self.channel.send("failed", why=why)
        # Who hangs up with something unread takes back what he has said last.
        self._given_up.wait(min(self.group.patience, 60.0))
        self._leaving = True

    def close(self) -> None:
        """Hang up."""
        self._leaving = True
        if hasattr(self, "channel"):
            self.channel.close()


__all__ = ["Member"]
