"""How many processors this process may use: what threads are there by default."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

_GROUPS = Path("/sys/fs/cgroup")
_MINE = Path("/proc/self/cgroup")


def available() -> int:
    """The processors that this process may run on and has the time of; at least 1.

    A container may see all processors of a machine and be given the time of a few: what Linux's
    control groups grant is counted, rounded down, since who uses more is stopped for the rest of
    each period. OMP_NUM_THREADS, by which pools of processes share a machine, is the most.
    """
    found = max(1, _allowed())
    for bound in (_granted(_MINE, _GROUPS), _asked()):
        if bound is not None:
            found = min(found, max(1, bound))
    return found


def _allowed() -> int:
    if hasattr(os, "process_cpu_count"):  # Python 3.13; it has an option and a variable for this
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _asked() -> int | None:
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) else None


def _granted(mine: Path, groups: Path) -> int | None:
    """Whole processors' time that the groups of this process are given; None: no bound is known.

    `mine`: the file that names the groups; `groups`: where they are mounted.
    """
    bounds = []
    with suppress(OSError, ValueError):
        for line in mine.read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0" and not controllers:
                bounds += list(_quotas(groups, path))
            elif "cpu" in controllers.split(","):
                bounds += list(_old_quotas(groups, controllers, path))
    return min(bounds, default=None)


def _upwards(path: str) -> Iterator[str]:
    # In a container the path may be that outside, of which only the last part, or none, is there.
    inner = PurePosixPath(path.lstrip("/"))
    yield str(inner)
    for parent in inner.parents:
        yield str(parent)


def _quotas(groups: Path, path: str) -> Iterator[int]:
    """Those of cgroup v2: `200000 100000` or `max 100000`."""
    for part in _upwards(path):
        with suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = (groups / part / "cpu.max").read_text().split()
            yield int(quota) // int(period)


def _old_quotas(groups: Path, controllers: str, path: str) -> Iterator[int]:
    """Those of cgroup v1, in microseconds; -1: no bound."""
    for name in dict.fromkeys([controllers, "cpu"]):
        for part in _upwards(path):
            with suppress(OSError, ValueError, ZeroDivisionError):
                folder = groups / name / part
                quota = int((folder / "cpu.cfs_quota_us").read_text())
                if quota > 0:
                    yield quota // int((folder / "cpu.cfs_period_us").read_text())


__all__ = ["available"]
