"""What the environment says about the processes: JAX's variables, Slurm's and Open MPI's."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..core.errors import error
from .channel import split_address

PORTS = 4096
"""The port of a job is one of the last 4096: the number of the job decides which."""


@dataclass(frozen=True)
class Setup:
    """What `distributed.initialize` has to know."""

    address: str | None = None
    count: int | None = None
    index: int | None = None
    local_devices: tuple[int, ...] | None = None

    def filled(self, other: Setup) -> Setup:
        """This, and what it does not say from the other."""
        pairs = zip(self._fields(), other._fields(), strict=True)
        return Setup(*[b if a is None else a for a, b in pairs])  # type: ignore[arg-type]

    def _fields(self) -> tuple[object, ...]:
        return (self.address, self.count, self.index, self.local_devices)

    @property
    def missing(self) -> list[str]:
        """The arguments of `initialize` that nobody has said."""
        names = ("coordinator_address", "num_processes", "process_id")
        return [n for n, field in zip(names, self._fields()) if field is None]


def of_variables(environment: Mapping[str, str] = os.environ) -> Setup:
    """What JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID say."""
    ids = environment.get("JAX_LOCAL_DEVICE_IDS")
    return Setup(
        environment.get("JAX_COORDINATOR_ADDRESS") or None,
        _number(environment, "JAX_NUM_PROCESSES"),
        _number(environment, "JAX_PROCESS_ID"),
        tuple(map(int, ids.split(","))) if ids else None,
    )


def of_cluster(environment: Mapping[str, str] = os.environ, method: str | None = None) -> Setup:
    """What the program that started this process says: Slurm or Open MPI."""
    for name, needed, found in (
        ("slurm", ("SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_STEP_NODELIST"), _slurm),
        ("ompi", ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"), _open_mpi),
    ):
        if method in (None, name) and all(v in environment for v in needed):
            return found(environment)
    return Setup()


def _slurm(environment: Mapping[str, str]) -> Setup:
    host = first_host(environment["SLURM_STEP_NODELIST"])
    port = 65536 - PORTS + int(environment["SLURM_JOB_ID"]) % PORTS
    tasks, index = int(environment["SLURM_NTASKS"]), int(environment["SLURM_PROCID"])
    return Setup(f"{host}:{port}", tasks, index, _own(environment, "SLURM_LOCALID"))


def _own(environment: Mapping[str, str], name: str) -> tuple[int, ...] | None:
    """The device of the process with this number on its machine."""
    number = environment.get(name)
    return None if number is None else (int(number),)


def _open_mpi(environment: Mapping[str, str]) -> Setup:
    count, index = (int(environment[f"OMPI_COMM_WORLD_{n}"]) for n in ("SIZE", "RANK"))
    own = _own(environment, "OMPI_COMM_WORLD_LOCAL_RANK")
    contact = environment.get("OMPI_MCA_orte_hnp_uri", "")
    where = re.search(r"tcp6?://\[?([^],\]]+)[^;]*?", contact)
    job = contact.partition(".")[0]
    if where is None or not job.isdigit():
        return Setup(None, count, index, own)
    host = where.group(1)
    host = host.rpartition(":")[0] if host.count(":") == 1 else host
    port = 65536 - PORTS + int(job) // PORTS % PORTS
    return Setup(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", count, index, own)


def first_host(nodes: str) -> str:
    """The first of the hosts in Slurm's list.

    Example:
      >>> from pullback.processes.cluster import first_host
      >>> first_host("node[007-012,030],login1")
      'node007'
      >>> first_host("alpha,beta")
      'alpha'
    """
    found = re.match(r"([^,\[]+)(?:\[([^],-]+))?", nodes)
    return "".join(part or "" for part in found.groups()) if found else nodes


def bind_variable(environment: Mapping[str, str] = os.environ) -> str | None:
    """What JAX_COORDINATOR_BIND_ADDRESS says."""
    return environment.get("JAX_COORDINATOR_BIND_ADDRESS") or None


def _number(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name)
    if not text:
        return None
    if not text.isdecimal():
        raise error(
            ValueError,
            f"the environment variable {name} is no number.",
            got=repr(text),
            fix="set it to 0, 1, 2, ...",
        )
    return int(text)


def checked(setup: Setup) -> tuple[tuple[str, int], int, int]:
    """Address of the coordinator, number of processes and number of this one.

    Raises:
      ValueError: nobody has said one of them, or they do not fit.
      TypeError: a number is none.
    """
    if setup.missing:
        raise error(
            ValueError,
            f"distributed.initialize does not know {' and '.join(setup.missing)}.",
            got="no such argument, no JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and "
            "JAX_PROCESS_ID, and no Slurm or Open MPI that says it",
            fix="give them, or start the program with: python -m pullback launch -n 2 script.py",
        )
    for name, value in (("num_processes", setup.count), ("process_id", setup.index)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise error(
                TypeError,
                f"{name} must be an integer.",
                got=f"{name}={value!r} of type {type(value).__name__}",
                fix="give a number such as 0, 1, 2, ...",
            )
    assert setup.index is not None and setup.count is not None and setup.address is not None
    if not 0 <= setup.index < setup.count:
        raise error(
            ValueError,
            "process_id must be one of 0, 1, ..., num_processes - 1.",
            got=f"process_id={setup.index}, num_processes={setup.count}",
            fix="number the processes from 0.",
        )
    return address_of(setup.address, "coordinator_address"), setup.count, setup.index


def address_of(text: str, name: str) -> tuple[str, int]:
    """Host and port.

    Raises:
      ValueError: it has another form.
    """
    try:
        return split_address(text)
    except (ValueError, AttributeError):
        raise error(
            ValueError,
            f"{name} has not the form host:port.",
            got=f"{text!r:.80}",
            fix='write for example "10.0.0.1:1234", with a port that is free on that host.',
        ) from None


def device_ids(ids: int | Sequence[int] | None) -> tuple[int, ...] | None:
    """The argument `local_device_ids` as a tuple."""
    return (ids,) if isinstance(ids, int) else None if ids is None else tuple(ids)


__all__ = [
    "Setup",
    "address_of",
    "bind_variable",
    "checked",
    "device_ids",
    "first_host",
    "of_cluster",
    "of_variables",
]
