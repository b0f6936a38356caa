"""Each system works in a process of its own, so that none disturbs another's threads or settings.

The parent sends a question down a pipe and waits; the processes take turns, so at any time one of
them works and the others sleep. All are bound to the same processors.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from . import ba, gmm, hand, lstm
from .work import build

PROBLEMS = {"gmm": gmm, "ba": ba, "hand": hand, "lstm": lstm}
ROUND_SECONDS = 0.1
BATCHES = 50
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
"""Read by NumPy's and PyTorch's libraries, and by XLA (NPROC), when they start."""


class Failed(Exception):
    """A system did not answer: the message says why."""


class Process:
    """One system's process, started when it is first asked, and again after it has died."""

    def __init__(self, system: str, cores: int, limit: float) -> None:
        self.system, self.cores, self.limit = system, cores, limit
        self._pipe: Connection | None = None
        self._process: Any = None

    def ask(self, question: str, *arguments: Any) -> Any:
        """The answer of a function of `_Worker`.

        Raises:
            Failed: the system raised an error, died, or took longer than the limit.
        """
        pipe = self._pipe or self._start()
        try:
            pipe.send((question, arguments))
            if not pipe.poll(self.limit):
                self.stop()
                raise Failed(f"over {self.limit:g} s")
            fine, answer = pipe.recv()
        except (EOFError, OSError):
            self._process.join(1)
            code = self._process.exitcode
            self.stop()
            raise Failed(f"died (exit code {code})") from None
        if not fine:
            raise Failed(answer)
        return answer

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self.system, self.cores))
        self._process.start()
        theirs.close()  # so that its end is seen here
        return self._pipe

    def stop(self) -> None:
        """End the process, if there is one."""
        if self._pipe is not None:
            self._pipe.close()
            self._process.kill()
            self._process.join()
            self._pipe = None


def serve(pipe: Connection, system: str, cores: int) -> None:
    """Answer questions until the pipe is closed: what a process runs."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    os.environ.update(dict.fromkeys(THREADS, str(cores)))
    worker = _Worker(system)
    while True:
        try:
            question, arguments = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((True, getattr(worker, question)(*arguments)))
        except Exception as error:
            pipe.send((False, f"{type(error).__name__}: {error}"))


class _Worker:
    """What a process can be asked."""

    def __init__(self, system: str) -> None:
        self.system = system
        self.calls: dict[str, Callable[[], Any]] = {}
        self.repeats: dict[str, int] = {}

    def version(self) -> str:
        """The system's name and version."""
        module = importlib.import_module(self.system)
        # Autograd does not say its version, and Pullback may run from its folder, not installed.
        found = getattr(module, "__version__", "") or importlib.metadata.version(self.system)
        return f"{self.system} {found}"

    def prepare(self, problem: str, size: str) -> dict[str, float]:
        """Seconds of the first call of the objective and of the Jacobian, compilation included."""
        module = PROBLEMS[problem]
        work = build(module, module.make(*module.SIZES[size]), self.system)
        self.calls = {"objective": work.objective, "jacobian": work.jacobian}
        first = {}
        for what, call in self.calls.items():
            first[what] = _seconds(call, 1)
            self.repeats[what] = max(1, min(2000, int(ROUND_SECONDS / _seconds(call, 1))))
        self.results = work.results
        return first

    def values(self) -> Any:
        """The objective and the Jacobian, as NumPy arrays."""
        return self.results()

    def once(self, what: str) -> float:
        """Seconds for one call, the least mean of the batches of one short round.

        On a machine that others use too, a batch is more often left alone than a whole round.
        """
        batches = min(BATCHES, self.repeats[what])
        calls = self.repeats[what] // batches
        return min(_seconds(self.calls[what], calls) for _ in range(batches))


def _seconds(function: Callable[[], Any], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls
