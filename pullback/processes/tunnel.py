"""A way for XLA's connection to the coordinator that stays open when the coordinator dies.

XLA's runtime ends its process, by a signal and without a word, when it loses that connection. So
it is given one to this process itself, which is passed on from here; if the far end goes away, the
near end hears nothing of it.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

GREETING = b"pullback tunnel\n"


def listen_here(reach: Callable[[], socket.socket]) -> int:
    """Pass on what connects to this port, through connections that `reach` makes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            near, _ = listener.accept()
            try:
                far = reach()
            except OSError:
                _kept.append(near)  # open, and silent
                continue
            join(near, far, keep=near)

    threading.Thread(target=accept, name="pullback-tunnel", daemon=True).start()
    return int(listener.getsockname()[1])


def join(one: socket.socket, other: socket.socket, keep: socket.socket | None = None) -> None:
    """Pass bytes between two connections, both ways. `keep` stays open when the other is closed."""
    for source, sink in ((one, other), (other, one)):
        source.settimeout(None)
        source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = threading.Thread(target=_pass, args=(source, sink, keep), daemon=True)
        pair.start()


def _pass(source: socket.socket, sink: socket.socket, keep: socket.socket | None) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    if sink is keep:
        _kept.append(sink)
        return
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


_kept: list[socket.socket] = []
"""Connections that nobody uses and that must not be closed."""

__all__ = ["GREETING", "join", "listen_here"]
