"""The calls of jaxlib that concern several processes: its coordination service, and Gloo.

Three things about it are not obvious. Its client ends the process by SIGABRT when a peer dies,
unless the service calls all processes recoverable; and when the service dies, always, unless it
hears nothing of it: see `processes/tunnel.py`. And Gloo waits without end for a process that hangs,
until its connections are cut (`Gloo.cut`).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Any

from jaxlib import _jax
from jaxlib import xla_client as xc

FOREVER = 10 * 365 * 24 * 3600
"""Seconds: heartbeats are not jaxlib's business here."""


class Service:
    """What jaxlib's clients of all processes connect to, in process 0, on a port of its own."""

    def __init__(self, count: int, timeout: float) -> None:
        self.port = free_port()
        self._service = _jax.get_distributed_runtime_service(
            f"127.0.0.1:{self.port}",
            count,
            heartbeat_timeout=FOREVER,
            cluster_register_timeout=_whole(timeout),
            shutdown_timeout=1,
            recoverable=True,
        )

    def connection(self) -> socket.socket:
        """To this service."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30.0)

    def shutdown(self) -> None:
        """End it, when all clients are gone."""
        self._service.shutdown()


class Connection:
    """This process's connection to the service."""

    def __init__(self, port: int, index: int, count: int, timeout: float) -> None:
        self.index, self.count = index, count
        self.client = _jax.get_distributed_runtime_client(
            f"127.0.0.1:{port}",
            index,
            init_timeout=_whole(timeout),
            shutdown_timeout=1,
            heartbeat_timeout=FOREVER,
            shutdown_on_destruction=False,
            use_compression=True,
        )
        self.client.connect()
        self.gloo: Gloo | None = None

    def cpu(self, hostname: str, devices: int) -> Any:
        """A client of jaxlib for the CPUs of all processes, whose collectives are Gloo's."""
        self.gloo = Gloo(self.client, hostname)
        return xc.make_cpu_client(
            asynchronous=False,
            distributed_client=self.client,
            node_id=self.index,
            num_nodes=self.count,
            collectives=self.gloo.collectives,
            num_devices=devices,
        )

    def shutdown(self) -> None:
        """Leave the service."""
        with suppress(xc.XlaRuntimeError):
            self.client.shutdown()


class Gloo:
    """Collectives over TCP, between CPUs."""

    def __init__(self, client: Any, hostname: str) -> None:
        before = set(_listening())
        self.collectives = _jax.make_gloo_tcp_collectives(
            distributed_client=client, hostname=hostname
        )
        self.ports = sorted(set(_listening()) - before)
        """Where it waits for the others."""

    def cut(self, peers: Collection[tuple[str, int]] = ()) -> int:
        """Close all connections with other processes: what waits for them fails. How many."""
        count = 0
        for connection in _sockets():
            with suppress(OSError):
                here, there = connection.getsockname(), connection.getpeername()
                if here[1] in self.ports or there[1] in {port for _, port in peers}:
                    connection.shutdown(socket.SHUT_RDWR)
                    count += 1
        return count


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody uses."""
    with socket.create_server((host, 0)) as found:
        return int(found.getsockname()[1])


def _whole(seconds: float) -> int:
    return max(1, round(seconds))


def _sockets() -> Iterator[socket.socket]:
    """The process's TCP connections, each closed after use; none where the system has no list."""
    folder = "/proc/self/fd"
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        with suppress(OSError):
            if os.readlink(f"{folder}/{name}").startswith("socket:"):
                with socket.socket(fileno=os.dup(int(name))) as found:
                    if found.family in (socket.AF_INET, socket.AF_INET6):
                        yield found


def _listening() -> list[int]:
    option = socket.SOL_SOCKET, socket.SO_ACCEPTCONN
    return [s.getsockname()[1] for s in _sockets() if s.getsockopt(*option)]


__all__ = ["Connection", "Gloo", "Service", "free_port"]
