"""Programs of several processes: `jax.distributed`."""

from __future__ import annotations

import atexit
import socket
import sys
from collections.abc import Sequence
from importlib import util
from typing import Any

from .core import device, processes
from .core.errors import error
from .core.lazy import lazy
from .core.processes import Group
from .processes import cluster
from .processes.coordinator import Coordinator
from .processes.member import Member
from .processes.tunnel import listen_here

adapter = lazy("pullback.engines.xla.adapter")
joining = lazy("pullback.engines.xla.adapter_distributed")


class _Running:
    """What `initialize` started, and `shutdown` ends."""

    yes = False
    member: Member | None = None
    connection: Any = None
    service: Any = None
    coordinator: Coordinator | None = None
    patience = 300.0


def initialize(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    local_device_ids: int | Sequence[int] | None = None,
    cluster_detection_method: str | None = None,
    initialization_timeout: int = 300,
    heartbeat_timeout_seconds: int = 100,
    shutdown_timeout_seconds: int = 300,
    coordinator_bind_address: str | None = None,
    slice_index: int | None = None,
    partition_index: int | None = None,
) -> None:
    """Work together with other processes, on this machine or others, that call this, too.

    Afterwards `devices()` are those of all processes, `local_devices()` those of this one, and
    arrays can be spread over all of them. All processes must then run the same programs with them,
    in the same order. The devices of CPUs exchange data by TCP (Gloo), GPUs of NVIDIA by NCCL.

    If one of the processes is killed, crashes or hangs, the others get a ProcessLostError where
    they need it. They can go on with devices of processes that are left, unless it was number 0.

    Args:
      coordinator_address: "host:port" of process 0. By default what JAX_COORDINATOR_ADDRESS says,
        or Slurm or Open MPI if they have started this process.
      num_processes: how many there are; by default JAX_NUM_PROCESSES, or as above.
      process_id: the number of this one, from 0; by default JAX_PROCESS_ID, or as above.
      local_device_ids: which GPUs of this machine this process uses; by default
        JAX_LOCAL_DEVICE_IDS; under Slurm and Open MPI each process of a machine takes one, in
        their order; else all.
      cluster_detection_method: "slurm" or "ompi" to ask only these, "deactivate" for none.
      initialization_timeout: for how many seconds to wait for the others.
      heartbeat_timeout_seconds: a process that says nothing for so long is lost. One that is killed
        is noticed at once.
      shutdown_timeout_seconds: for how long `shutdown` waits for the others.
      coordinator_bind_address: where process 0 listens; by default on the port of
        `coordinator_address`, on all interfaces unless it is an address of this machine only.
      slice_index, partition_index: accepted for compatibility.

    Raises:
      ValueError, TypeError: an argument is missing, or is none.
      RuntimeError: it was called before; the devices are in use already; the others do not come in
        time; or they contradict this process.

    Example:
      >>> from pullback import distributed
      >>> distributed.initialize(num_processes=1, process_id=0)
      >>> distributed.is_initialized()
      True
      >>> distributed.shutdown()
    """
    if _Running.yes:
        raise error(
            RuntimeError,
            "distributed.initialize should only be called once.",
            got="a second call",
            fix="ask distributed.is_initialized() first.",
        )
    said = cluster.Setup(
        coordinator_address, num_processes, process_id, cluster.device_ids(local_device_ids)
    ).filled(cluster.of_variables())
    if cluster_detection_method != "deactivate" and said.missing:
        said = said.filled(cluster.of_cluster(method=cluster_detection_method))
    if said.count == 1 and said.index in (0, None) and said.address is None:
        _Running.yes = True  # nothing is connected
        processes.current().local_devices = said.local_devices
        return
    address, count, index = cluster.checked(said)
    _check_engine()
    group = Group(index, count, float(heartbeat_timeout_seconds))
    group.local_devices = said.local_devices
    _Running.patience = float(shutdown_timeout_seconds)
    bind = coordinator_bind_address or cluster.bind_variable()
    try:
        _start(address, group, float(initialization_timeout), bind)
    except BaseException:
        _stop()
        raise
    _Running.yes = True
    atexit.register(_at_exit)


def _check_engine() -> None:
    if util.find_spec("jaxlib") is None:
        raise error(
            RuntimeError,
            "several processes need the package jaxlib, which is not installed.",
            got="distributed.initialize",
            fix="install it: pip install 'pullback[xla]'.",
        )
    if any(made.cache_info().currsize for made in _clients()):
        raise error(
            RuntimeError,
            "distributed.initialize must be called before the devices are used.",
            got="a program that was compiled by XLA, an array on a device, or a list of devices",
            fix="call it first in the program.",
        )


def _clients() -> list[Any]:
    """What makes the clients of jaxlib, of those platforms that have been asked for."""
    names = (("adapter", "cpu"), ("adapter_cuda", "client"), ("adapter_tpu", "client"))
    found = ((sys.modules.get(f"pullback.engines.xla.{n}"), what) for n, what in names)
    return [getattr(module, what) for module, what in found if module is not None]


def _start(address: tuple[str, int], group: Group, timeout: float, bind: str | None) -> None:
    target = address
    joining.FOREVER  # noqa: B018  # jaxlib is loaded before others wait for this process
    if group.index == 0:
        _Running.service = service = joining.Service(group.count, timeout)
        listener = _listener(address, bind)
        _Running.coordinator = Coordinator(listener, group.count, group.patience)
        _Running.coordinator.inner = service.connection
        target = _reachable(listener)
    _Running.member = member = Member(target, group)
    member.connect(timeout)
    if not member.started.is_set():
        raise _late(group, timeout)
    port = _Running.service.port if group.index == 0 else listen_here(member.tunnel)
    _Running.connection = connection = joining.Connection(port, group.index, group.count, timeout)
    group.connect = lambda devices: _client(connection, member, devices)
    group.runtime = connection.client
    processes.group[0] = group
    client = adapter.cpu().client  # now, while all are here: each waits for the others
    device.joined(group.index, [(d.id, d.process_index) for d in client.devices()])


def _client(connection: Any, member: Member, devices: int) -> Any:
    """XLA's client for the CPUs of all processes."""
    here = member.channel.connection.getsockname()[0]
    made = connection.cpu(here, devices)
    for port in connection.gloo.ports:
        member.tell("gloo", [here, port])

    def unstick() -> None:
        connection.gloo.cut([tuple(place) for place in member.told.get("gloo", {}).values()])

    member.unstick = unstick
    return made


def _listener(address: tuple[str, int], bind: str | None) -> socket.socket:
    host, port = address if bind is None else cluster.address_of(bind, "coordinator_bind_address")
    near = host in ("localhost", "::1") or host.startswith("127.")
    if bind is None and not near:
        host = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"
    v6 = ":" in host
    try:
        return socket.create_server(
            (host, port),
            family=socket.AF_INET6 if v6 else socket.AF_INET,
            dualstack_ipv6=host == "::",
        )
    except OSError as problem:
        raise error(
            RuntimeError,
            "distributed.initialize: process 0 cannot listen at the coordinator's address.",
            got=f"{host}:{port}: {problem}",
            fix="give the address of a port that is free on the machine of process 0.",
        ) from None


def _reachable(listener: socket.socket) -> tuple[str, int]:
    """Where process 0 finds its own coordinator."""
    host, port = listener.getsockname()[:2]
    return {"::": "127.0.0.1", "0.0.0.0": "127.0.0.1"}.get(host, host), port


def _late(group: Group, timeout: float) -> RuntimeError:
    coordinator = _Running.coordinator
    who = "some did not"
    if coordinator is not None:
        who = "missing: " + ", ".join(f"process {i}" for i in coordinator.missing())
    return error(
        RuntimeError,
        f"distributed.initialize: not all {group.count} processes have come within {timeout:g} s.",
        got=who,
        fix="start all of them, with the same coordinator_address and num_processes.",
    )


def is_initialized() -> bool:
    """Whether `initialize` was called."""
    return _Running.yes


def shutdown() -> None:
    """Undo `initialize`: wait until the other processes call this or end, then part from them.

    Devices of other processes, and arrays on them, cannot be used any more.
    """
    if not _Running.yes:
        return
    if _Running.member is not None:
        atexit.unregister(_at_exit)
        _Running.member.leave(_Running.patience)
    _stop()


def _stop() -> None:
    running = _Running
    if running.connection is not None and not processes.current().lost:
        running.connection.shutdown()
    if running.member is not None:
        running.member.close()
    running.yes, running.member, running.connection = False, None, None
    if running.coordinator is not None:
        running.coordinator.close()
    running.coordinator = None
    running.service = None  # its destructor ends it
    if processes.current().count > 1:
        processes.group[0] = Group()
        device.joined(0, [])
        for made in _clients():
            made.cache_clear()


def _at_exit() -> None:
    """The end of a process that has not called `shutdown`: an error, or just the end."""
    member, problem = _Running.member, getattr(sys, "last_value", None)
    if member is None:
        return
    if problem is None:
        shutdown()
    else:
        member.fail(f"{type(problem).__name__}: {problem}".splitlines()[0][:300])


__all__ = ["initialize", "is_initialized", "shutdown"]
