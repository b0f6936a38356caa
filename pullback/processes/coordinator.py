"""The coordinator: in process 0, it knows all processes and tells each what became of the others.

Every process, also number 0, has one connection to it. A process that is killed is noticed when its
connection closes, which the system does at once; one that hangs, or whose machine or network is
gone, when it has been silent for as long as `patience` says.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

from .channel import Channel, Clock, Message
from .tunnel import GREETING, join

FIRST_LINE = 300.0
"""Seconds for the first line of a new connection: its process may be stopped or busy."""


class Coordinator:
    """Serves on `listener` until the process ends."""

    def __init__(self, listener: socket.socket, count: int, patience: float) -> None:
        self.listener, self.count, self.patience = listener, count, patience
        self.inner: Callable[[], socket.socket] | None = None
        """Connects to XLA's own service."""
        self.members: dict[int, Channel] = {}
        self.gone: dict[int, str] = {}
        self.ended: set[int] = set()
        self._refused: list[Channel] = []
        self._over = False
        self._told: list[Message] = []
        self._waiting: dict[str, tuple[set[int], set[int]]] = {}
        """For each program that some wait at, by its name: who takes part, and who is there."""
        self._lock = threading.RLock()
        for work in (self._accept, self._watch):
            threading.Thread(target=work, name="pullback-coordinator", daemon=True).start()

    # ---- who comes

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._greet, args=(connection,), daemon=True).start()

    def _greet(self, connection: socket.socket) -> None:
        connection.settimeout(FIRST_LINE)
        try:
            if connection.recv(len(GREETING), socket.MSG_PEEK) == GREETING:
                connection.recv(len(GREETING))
                if self.inner is None:
                    raise OSError("not ready")
                join(connection, self.inner())
                return
        except OSError:
            connection.close()
            return
        channel = Channel(connection)
        found: list[Message] | None = []
        while found == [] and channel.silent() < FIRST_LINE:
            found = channel.receive()
        if not found or found[0].get("kind") != "hello":
            channel.close()
            return
        self._admit(channel, found[0])

    def _admit(self, channel: Channel, hello: Message) -> None:
        index, count = hello.get("index"), hello.get("count")
        with self._lock:
            if count != self.count:
                self._refuse(channel, f"the coordinator waits for {self.count} processes")
            elif type(index) is not int or not 0 <= index < self.count:
                self._refuse(channel, f"there is no process {index!r:.20} of {self.count}")
            elif index in self.members:
                self._refuse(channel, f"there is a process {index} already")
            else:
                self.members[index] = channel
                for message in self._told:
                    channel.send(**message)
                if len(self.members) == self.count:
                    self._all("start")

    def _refuse(self, channel: Channel, why: str) -> None:
        channel.send("refused", why=why)
        self._refused.append(channel)

    def missing(self) -> list[int]:
        """The numbers of processes that have not come."""
        with self._lock:
            return [i for i in range(self.count) if i not in self.members]

    # ---- who is still there

    def _watch(self) -> None:
        step = min(1.0, self.patience / 5)
        clock = Clock(step)
        while not self._over:
            with self._lock:
                there = {i: c for i, c in self.members.items() if i not in self.gone}
            try:
                ready = select.select(list(there.values()), [], [], step)[0] if there else []
            except (OSError, ValueError):
                ready = list(there.values())
            if not there:
                time.sleep(min(step, 0.05))
            late = clock.overslept()  # while this process itself stood still it heard nobody
            for channel in there.values():
                channel.heard += late
            for index, channel in there.items():
                if channel in ready:
                    self._hear(index, channel)
            for index, channel in there.items():
                if index not in self.gone and channel.silent() > self.patience:
                    self._lose(index, f"it has said nothing for {self.patience:g} s")

    def _hear(self, index: int, channel: Channel) -> None:
        messages = channel.receive()
        if messages is None:
            self._close(index, channel)
            return
        for message in messages:
            match message.get("kind"):
                case "beat":
                    channel.send("beat")
                case "tell":
                    self._tell(index, message.get("what"), message.get("value"))
                case "meet":
                    self._meet(index, str(message.get("name")), set(message.get("members", ())))
                case "bye":
                    self._end(index, message.get("done"))
                case "failed":
                    self._lose(index, f"it ended with {message.get('why')}")

    def _close(self, index: int, channel: Channel) -> None:
        channel.close()
        if index in self.ended:
            with self._lock:
                self.gone.setdefault(index, "it has ended")
        else:
            self._lose(index, "its connection was closed: it was killed, or it crashed")

    def _tell(self, index: int, what: Any, value: Any) -> None:
        with self._lock:
            message = {"kind": "told", "index": index, "what": what, "value": value}
            self._told.append(message)
            self._all("told", index=index, what=what, value=value)

    def _lose(self, index: int, why: str) -> None:
        with self._lock:
            if index in self.gone:
                return
            self._all("lost", index=index, why=why)
            self.gone[index] = why
            self._perhaps_done()

    def _meet(self, index: int, name: str, members: set[int]) -> None:
        """A process waits for the others of a program: see `Group.meet`."""
        with self._lock:
            _, there = self._waiting.setdefault(name, (members, set()))
            there.add(index)
            if there >= members:
                del self._waiting[name]
                self._all("met", members, name=name)
            else:
                self._compare(index, name)

    def _compare(self, index: int, name: str) -> None:
        """Tell processes that wait for each other at different programs."""
        members, there = self._waiting[name]
        for other_name, (others, waiting) in self._waiting.items():
            if index in others and index not in waiting:
                for other in (waiting & members) - there:
                    self._all("apart", {index}, name=name, other=other)
                    self._all("apart", {other}, name=other_name, other=index)

    def _end(self, index: int, done: Any = None) -> None:
        with self._lock:
            self.ended.add(index)
            self._all("ended", index=index, done=done)
            self._perhaps_done()

    def _perhaps_done(self) -> None:
        if len(self.ended | set(self.gone)) == self.count:
            self._all("done")

    def _all(self, kind: str, only: Collection[int] | None = None, /, **fields: Any) -> None:
        for index, channel in list(self.members.items()):
            if index not in self.gone and (only is None or index in only):
                channel.send(kind, **fields)

    def close(self) -> None:
        """Hang up on all. Its threads stay, and have nothing to do."""
        self._over = True
        self.listener.close()
        for channel in [*self.members.values(), *self._refused]:
            channel.close()


__all__ = ["Coordinator"]
