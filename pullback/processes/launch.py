"""`python -m pullback launch`: one program in several processes of this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

GRACE = 30.0
"""Seconds that the others have to notice that one has failed, and to end by themselves."""
_NOISE = (b"[Gloo] Rank ",)
"""Beginnings of lines that a library prints at the start, whatever it is told."""


def launch(
    count: int,
    program: Sequence[str],
    devices: int | None = None,
    grace: float = GRACE,
    command: Sequence[str] = (sys.executable, "-m", "pullback", "run"),
) -> int:
    """Run a program in `count` processes, and wait for them.

    Each finds in its environment what `distributed.initialize()` needs. Each line that it prints
    gets its number in front. If one fails, the others may end by themselves; then they are ended.

    Args:
      count: the number of processes.
      program: a script, or "-m" and a module, and its arguments.
      devices: the number of CPU devices of each process; by default 1.
      grace: for how many seconds to wait for the others when one has failed.
      command: what the program is given to.

    Returns:
      0 if all ended well; else the exit code of the one that failed first, or 128 and the number of
      the signal that ended it.
    """
    processes: list[subprocess.Popen[bytes]] = []
    readers: list[threading.Thread] = []
    lock = threading.Lock()
    with _terminating(), reserved_port() as port:
        address = f"127.0.0.1:{port}"
        try:
            for index in range(count):
                child = subprocess.Popen(
                    [*command, *program],
                    env=_environment(address, count, index, devices),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                )
                processes.append(child)
                for source, sink in ((child.stdout, sys.stdout), (child.stderr, sys.stderr)):
                    reader = threading.Thread(target=_copy, args=(index, source, sink, lock))
                    reader.start()
                    readers.append(reader)
            ended = _wait(processes, grace)
        finally:
            _end(processes)
            for reader in readers:
                reader.join()
    return _verdict(ended)


def _environment(
    address: str, count: int, index: int, devices: int | None, base: Mapping[str, str] = os.environ
) -> dict[str, str]:
    own = {
        "JAX_COORDINATOR_ADDRESS": address,
        "JAX_NUM_PROCESSES": str(count),
        "JAX_PROCESS_ID": str(index),
        "PYTHONUNBUFFERED": "1",
    }
    if devices is not None:
        own["JAX_NUM_CPU_DEVICES"] = str(devices)
    return {**base, **own}


def _copy(index: int, source: IO[bytes] | None, sink: Any, lock: threading.Lock) -> None:
    assert source is not None
    for line in source:
        if line.startswith(_NOISE):
            continue
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        with lock:
            sink.write(f"[{index}] {text}\n")
            sink.flush()
    source.close()


def _wait(processes: Sequence[subprocess.Popen[bytes]], grace: float) -> list[tuple[int, int]]:
    """The pairs of number and exit code, in the order in which they ended by themselves."""
    ended: list[tuple[int, int]] = []
    deadline = None
    while len(ended) < len(processes):
        done = {index for index, _ in ended}
        for index, child in enumerate(processes):
            code = child.poll() if index not in done else None
            if code is not None:
                ended.append((index, code))
                if code and deadline is None:
                    deadline = time.monotonic() + grace
        if deadline is not None and time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return ended


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End those that still run: politely, then for certain."""
    for child in processes:
        if child.poll() is None:
            child.terminate()
    for child in processes:
        try:
            child.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _verdict(ended: Sequence[tuple[int, int]]) -> int:
    failed = [(index, code) for index, code in ended if code]
    if not failed:
        return 0
    # A process that was ended by a signal is why others failed, even if they were seen first.
    index, code = next(((i, c) for i, c in failed if c < 0), failed[0])
    how = f"exit code {code}" if code > 0 else f"signal {-code} ({signal.Signals(-code).name})"
    print(f"pullback launch: process {index} ended with {how}", file=sys.stderr)
    return code if code > 0 else 128 - code


@contextmanager
def _terminating() -> Iterator[None]:
    """SIGTERM raises SystemExit, so that the processes are ended, too."""

    def leave(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def reserved_port() -> Iterator[int]:
    """A TCP port of this machine that nobody else is given by chance until the end.

    Linux gives away no port that is bound, but lets others that ask for this one listen on it.
    """
    with socket.socket() as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(("127.0.0.1", 0))
        port = int(found.getsockname()[1])
        if sys.platform != "linux":
            found.close()
        yield port


__all__ = ["launch", "reserved_port"]
