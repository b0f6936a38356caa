"""What a kernel does, for people, and about how much work it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Report:
    """The loops and calls of a kernel.

    Attributes:
      work: in additions of single elements, roughly.
      arena: bytes of scratch memory.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.work = 0.0
        self.arena = 0
        self._repeats, self._depth = 1.0, 0

    def spend(self, what: str, work: float) -> None:
        """Note something that the kernel does at this place."""
        self.lines.append("  " * self._depth + what)
        self.count(work)

    def count(self, work: float) -> None:
        """Work that is not worth a line."""
        self.work += work * self._repeats

    @contextmanager
    def repeated(self, what: str, times: float) -> Iterator[None]:
        """What is noted meanwhile is done so often."""
        self.spend(what, times)
        self._repeats, self._depth = self._repeats * times, self._depth + 1
        try:
            yield
        finally:
            self._repeats, self._depth = self._repeats / times, self._depth - 1

    def finished(self, arena: int) -> Report:
        """The same, with the size of the scratch memory."""
        self.arena = arena
        return self

    def __str__(self) -> str:
        loops = self.lines or ["all in registers"]
        return "\n".join([*loops, f"scratch memory: {self.arena} bytes"])
