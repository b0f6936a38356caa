"""Messages between processes: one JSON text a line, over a TCP connection."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress
from typing import Any

Message = dict[str, Any]
LONGEST = 1 << 20


class Channel:
    """One end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(10.0)
        self.connection = connection
        self.heard = time.monotonic()
        """When the other end last said something."""
        self._rest = b""
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """For `select`."""
        return self.connection.fileno()

    def send(self, kind: str, **fields: Any) -> bool:
        """Send a message; False if the other end is gone."""
        text = json.dumps({"kind": kind, **fields}).encode() + b"\n"
        try:
            with self._lock:
                self.connection.sendall(text)
        except OSError:
            return False
        return True

    def receive(self) -> list[Message] | None:
        """The messages that have come; None if the other end is gone."""
        try:
            data = self.connection.recv(65536)
        except TimeoutError:
            return []
        except OSError:
            return None
        if not data:
            return None
        self.heard = time.monotonic()
        *lines, self._rest = (self._rest + data).split(b"\n")
        try:
            found = [json.loads(line) for line in lines]
        except ValueError:
            return None  # not one of ours
        good = len(self._rest) <= LONGEST and all(isinstance(m, dict) for m in found)
        return found if good else None

    def silent(self) -> float:
        """For how many seconds the other end has said nothing."""
        return time.monotonic() - self.heard

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()


class Clock:
    """Rings every `step` seconds, and knows for how long its process itself stood still."""

    def __init__(self, step: float) -> None:
        self.step = step
        self._seen = self._next = time.monotonic()

    def left(self) -> float:
        """The seconds until it rings."""
        return max(0.0, self._next - time.monotonic())

    def overslept(self) -> float:
        """By how many seconds the time since the last call is longer than two steps: nobody waits
        that long on purpose, so the process was stopped, or its machine slept.
        """
        before, self._seen = self._seen, time.monotonic()
        late = self._seen - before - self.step
        return late if late > self.step else 0.0

    def rings(self) -> bool:
        """Whether it is time; the next time is a step later."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self.step
        return True


def split_address(address: str) -> tuple[str, int]:
    """Host and port of "host:port" or "[host]:port"; a ValueError if it has not this form."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(address)
    return host.removeprefix("[").removesuffix("]"), int(port)


__all__ = ["Channel", "Clock", "Message", "split_address"]
