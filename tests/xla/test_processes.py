"""Programs of several processes of this machine: what they compute together, who is lost, and what
becomes of the others. Each test starts its processes and leaves none behind.
"""

from __future__ import annotations

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

pytest.importorskip("jaxlib", reason="several processes need jaxlib")

from pullback.core import processes as core_processes
from pullback.core.errors import ProcessLostError
from pullback.core.processes import Group
from pullback.processes import channel, cluster
from pullback.processes.coordinator import Coordinator
from pullback.processes.launch import reserved_port
from pullback.processes.member import Member

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples" / "digits_parallel.py"
PATIENCE = 900
"""Seconds for one program: much more than it takes, for the machine may be busy."""
pytestmark = pytest.mark.timeout(PATIENCE + 100)
SILENCE = 15
"""Seconds after which a process that says nothing is lost, where a test waits for it. Elsewhere a
minute: on a busy machine a process may be silent for some seconds."""
QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"

BEGIN = """
import os, signal, sys, time
import numpy as np, jax, jax.numpy as jnp
from jax import lax
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
jax.distributed.initialize(initialization_timeout=300, heartbeat_timeout_seconds=WAIT)
me, count = jax.process_index(), jax.process_count()
mesh = Mesh(jax.devices(), "x")
split, whole = NamedSharding(mesh, P("x")), NamedSharding(mesh, P())
"""

SAY = """
file = open(os.environ["SAID"], "a", encoding="utf-8", buffering=1)
def print(*what, say=print): say(*what, file=file)
"""
"""Gloo writes to the standard output, and does so in the midst of other lines."""


def surroundings(index, count, port, devices=1):
    own = {
        "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
        "JAX_NUM_PROCESSES": str(count),
        "JAX_PROCESS_ID": str(index),
        "JAX_NUM_CPU_DEVICES": str(devices),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "XLA_FLAGS": QUICK,
    }
    return {k: v for k, v in os.environ.items() if not k.startswith("JAX_")} | own


@contextmanager
def started(command, count, devices=1, environments=None):
    """The processes of a program, ended at the end."""
    processes = []
    with TemporaryDirectory() as folder, reserved_port() as port:
        try:
            for i in range(count):
                environment = surroundings(i, count, port, devices) | {"SAID": f"{folder}/{i}"}
                processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "pullback", "run", *map(str, command)],
                        env=environment | (environments or {}).get(i, {}),
                        stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE,
                        encoding="utf-8",
                    )
                )
                processes[i].said = Path(folder, str(i))
            yield processes
        finally:
            for process in processes:
                if process.poll() is None:
                    os.kill(process.pid, signal.SIGCONT)
                    process.kill()
                process.wait()
                for stream in (process.stdout, process.stderr):
                    stream.close()


def outcomes(processes, timeout=PATIENCE):
    """For each process its exit code, what it said, and its complaints."""
    ends = time.monotonic() + timeout
    found = []
    for process in processes:
        try:
            _, err = process.communicate(timeout=max(1.0, ends - time.monotonic()))
        except subprocess.TimeoutExpired:
            pytest.fail(where_they_are(processes))
        said = process.said.read_text(encoding="utf-8") if process.said.exists() else ""
        found.append((process.returncode, said, err))
    return found


def where_they_are(processes):
    """What processes are doing that do not end; they end by it."""
    running = [p for p in processes if p.poll() is None]
    for p in running:
        os.kill(p.pid, signal.SIGCONT)
        os.kill(p.pid, signal.SIGABRT)  # Python writes where its threads are
    return "\n".join(f"process {processes.index(p)}:\n{p.communicate()[1]}" for p in running)


def program(tmp_path, body, wait=60, say=SAY):
    file = tmp_path / "program.py"
    text = BEGIN.replace("WAIT", str(wait)) + say + textwrap.dedent(body)
    file.write_text(text, encoding="utf-8")
    return file


def printed(tmp_path, body, count=2, devices=1):
    """What each process prints; none fails."""
    with started([program(tmp_path, body)], count, devices) as processes:
        found = outcomes(processes)
    for code, _, complaints in found:
        assert code == 0, complaints
    return [out.split("\n")[:-1] for _, out, _ in found]


@contextmanager
def coordinated(count):
    """A coordinator in this process, and what makes processes that know it: in a list, all."""
    listener = socket.create_server(("127.0.0.1", 0))
    coordinator, members = Coordinator(listener, count, PATIENCE), []

    def member(index, of=count):
        members.append(Member(listener.getsockname(), Group(index, of, PATIENCE)))
        return members[-1]

    try:
        yield coordinator, member
    finally:
        for m in members:
            m.close()
        coordinator.close()


def together(*works):
    """Do all of this at the same time."""
    with ThreadPoolExecutor(len(works)) as pool:
        return [done.result(PATIENCE) for done in [pool.submit(work) for work in works]]


# ---- what they know and compute


@pytest.mark.parametrize(("count", "devices"), [(2, 1), (2, 2), (3, 1)])
def test_processes_know_each_other(tmp_path, count, devices):
    body = """
    print(me, count, jax.device_count(), jax.local_device_count(), jax.process_indices())
    print([d.process_index for d in jax.devices()])
    print(jax.local_devices() == [d for d in jax.devices() if d.process_index == me])
    print(jax.local_devices(process_index=0) == jax.devices()[: jax.local_device_count()])
    print(jnp.arange(3.0).devices() == {jax.local_devices()[0]}, jax.distributed.is_initialized())
    print(mesh.is_multi_process, mesh.local_mesh.shape["x"])
    """
    of_all = [i for i in range(count) for _ in range(devices)]
    for i, lines in enumerate(printed(tmp_path, body, count, devices)):
        assert lines == [
            f"{i} {count} {count * devices} {devices} {list(range(count))}",
            f"{of_all}",
            "True",
            "True",
            "True True",
            f"True {devices}",
        ]


def test_arrays_of_all_processes(tmp_path):
    body = """
    mine = np.arange(4.0, dtype=np.float32) + 10 * me
    x = jax.make_array_from_process_local_data(split, mine)
    print(x.shape, x.is_fully_addressable, x.is_fully_replicated, repr(x))
    print([(s.index[0].start, np.asarray(s.data).tolist()) for s in x.addressable_shards])
    every = np.arange(8.0, dtype=np.float32)
    by_callback = jax.make_array_from_callback((8,), split, lambda index: every[index])
    all_here = jax.make_array_from_process_local_data(split, every, (8,))
    put = jax.device_put(every, split)
    parts = [jax.device_put(every[2 * (2 * me + i) :][:2], d)
             for i, d in enumerate(jax.local_devices())]
    of_parts = jax.make_array_from_single_device_arrays((8,), split, parts)
    for y in (by_callback, all_here, put, of_parts):
        same = [np.array_equal(s.data, every[s.index]) for s in y.addressable_shards]
        print(same, y.sharding == split)
    print(np.asarray(jax.device_put(every, whole)).tolist() == every.tolist())
    try:
        jax.make_array_from_process_local_data(split, every[:3], (8,))
    except ValueError as problem:
        print(str(problem).split("\\n")[0])
    """
    for i, lines in enumerate(printed(tmp_path, body, devices=2)):
        low = 10.0 * i
        first = 4 * i
        parts = [(first, [low, low + 1]), (first + 2, [low + 2, low + 3])]
        assert lines == [
            "(8,) False False Array((8,), dtype=float32)",
            f"{parts}",
            *["[True, True] True"] * 4,
            "True",
            "local_data has not the shape of what this process has of the array.",
        ]


def test_programs_over_all_processes(tmp_path):
    body = """
    x = jax.device_put(np.arange(8.0, dtype=np.float32), split)
    gathered = lambda y: multihost_utils.process_allgather(y, tiled=True).tolist()
    y, total = jax.jit(lambda x: (2 * x, x.sum()))(x)
    print(gathered(y), float(total), y.sharding.spec)
    print(gathered(jax.grad(lambda x: (x**3).sum())(x)))
    print(float(jnp.sum(x + 1)))
    shared = jax.jit(lambda x: x[::-1], out_shardings=whole)(x)
    print(shared.is_fully_replicated, np.asarray(shared).tolist())

    def parts(x):
        i = lax.axis_index("x")
        ring = lax.ppermute(x, "x", [(i, (i + 1) % 4) for i in range(4)])
        every = lax.all_gather(x, "x", tiled=True)
        return lax.psum(x, "x"), lax.pmax(x, "x"), ring, every * (i + 1)

    outs = jax.shard_map(
        parts, mesh=mesh, in_specs=P("x"), out_specs=(P(), P(), P("x"), P("x")), check_vma=False
    )
    for out in jax.jit(outs)(x):
        print(gathered(out))
    sums = jax.shard_map(lambda x: lax.psum((x**2).sum(), "x"), mesh=mesh, in_specs=P("x"),
                         out_specs=P())
    print(gathered(jax.grad(sums)(x)))
    """
    x = np.arange(8.0)
    want = [
        f"{(2 * x).tolist()} 28.0 P('x',)",
        f"{(3 * x**2).tolist()}",
        "36.0",
        f"True {x[::-1].tolist()}",
        "[12.0, 16.0]",
        "[6.0, 7.0]",
        f"{np.roll(x, 2).tolist()}",
        f"{np.concatenate([x * k for k in (1, 2, 3, 4)]).tolist()}",
        f"{(2 * x).tolist()}",
    ]
    assert printed(tmp_path, body, devices=2) == [want, want]


def test_values_that_go_around(tmp_path):
    body = """
    u = multihost_utils
    found = u.process_allgather({"a": np.array([me, 7], np.int64), "b": me == 1, "c": np.zeros(0)})
    print(found["a"].tolist(), found["a"].dtype, found["b"].tolist(), found["c"].shape)
    print(u.process_allgather(np.float64(me) / 3, tiled=True).tolist())
    print(u.process_allgather(np.array([[me]]), tiled=True).tolist())
    print(u.broadcast_one_to_all((np.arange(2) + 5 * me, 2.5 * me)))
    print(u.broadcast_one_to_all(np.array(me), is_source=me == 2))
    u.sync_global_devices("a place")
    u.assert_equal({"same": 3})
    for try_it in (lambda: u.assert_equal(np.array(me), "not the same"),
                   lambda: u.sync_global_devices(f"place {me}"),
                   lambda: u.broadcast_one_to_all(me, is_source=True),
                   lambda: u.process_allgather(jax.device_put(np.arange(3.0), split))):
        try:
            try_it()
        except (AssertionError, ValueError) as problem:
            print(str(problem).split("\\n")[0][:40])
    part = u.host_local_array_to_global_array(np.arange(2.0) + me, mesh, P("x"))
    print(part.shape, u.process_allgather(part, tiled=True).tolist())
    print(np.asarray(u.global_array_to_host_local_array(part, mesh, P("x"))).tolist())
    """
    for i, lines in enumerate(printed(tmp_path, body, count=3)):
        thirds = [0.0, 1 / 3, 2 / 3]
        assert lines[:5] == [
            "[[0, 7], [1, 7], [2, 7]] int64 [False, True, False] (3, 0)",
            f"{thirds}",
            "[[0], [1], [2]]",
            "(array([0, 1]), array(0.))",
            "2",
        ]
        assert [line[:24] for line in lines[5:9]] == [
            "not the same. Expected: ",
            "sync_global_devices name",
            "broadcast_one_to_all nee",
            "an array that is spread ",
        ]
        assert lines[9:] == ["(6,) [0.0, 1.0, 1.0, 2.0, 2.0, 3.0]", f"[{i}.0, {i + 1}.0]"]


def test_the_value_of_an_array_that_others_have_parts_of(tmp_path):
    body = """
    x = jax.device_put(np.arange(4.0, dtype=np.float32), split)
    for ask in (np.asarray, str, lambda x: x.tolist()):
        try:
            ask(x)
            print("a value")
        except RuntimeError as problem:
            print(str(problem).replace("\\n", " "))
    """
    for lines in printed(tmp_path, body):
        assert re.fullmatch(
            r"Fetching value for `jax.Array` that spans non-addressable \(non process local\) "
            r"devices is not possible\.  +Got: f32\[4\], of which this process has the parts on "
            r"1 of 2 devices: NamedSharding\(.*\)  +Where: .*program.py:\d+ \(<module>\)  +Fix: "
            r"look at x\.addressable_shards, or have all processes call "
            r"multihost_utils\.process_allgather\(x, tiled=True\)\.",
            lines[0],
        )
        assert [line[:14] for line in lines] == ["Fetching value"] * 3


# ---- who is lost

TRAIN = """
step = jax.jit(lambda x: (0.5 * x, x.sum()))
x = jax.device_put(np.ones(4 * count, np.float32), split)
try:
    for number in range(100_000):
        if number == 20 and me == WHO:
            lost()
        x, total = step(x)
except jax.errors.ProcessLostError as problem:
    print(str(problem).replace("\\n", " "))
    sys.exit(3)
"""
KILL = "def lost(): os.kill(os.getpid(), signal.SIGKILL)\n"
RAISE = "def lost(): raise ValueError('bad luck')\n"
STOP = "def lost(): os.kill(os.getpid(), signal.SIGSTOP)\n"
LEAVE = "def lost(): sys.exit(0)\n"

CASES = {
    "killed": (KILL, "is lost", "its connection was closed: it was killed, or it crashed"),
    "failed": (RAISE, "is lost", "it ended with ValueError: bad luck"),
    "silent": (STOP, "is lost", f"it has said nothing for {SILENCE} s"),
    "ended": (LEAVE, "has ended", "process {who} has called distributed.shutdown, or its"),
}


@pytest.mark.parametrize("who", [0, 1], ids=["coordinator", "another"])
@pytest.mark.parametrize("case", CASES)
def test_the_others_get_an_error(tmp_path, case, who):
    how, what, why = CASES[case]
    wait = SILENCE if case == "silent" else 60
    file = program(tmp_path, how + TRAIN.replace("WHO", str(who)), wait)
    with started([file], 3) as processes:
        others = [p for i, p in enumerate(processes) if i != who]
        found = outcomes(others)
    for code, out, complaints in found:
        assert code == 3, complaints
        assert f"process {who} of 3 {what}, and this program needs it." in out
        assert why.format(who=who) in out


def test_a_process_that_was_stopped_learns_that_it_is_given_up(tmp_path):
    file = program(tmp_path, STOP + TRAIN.replace("WHO", "1"), SILENCE)
    with started([file], 2) as processes:
        ((code, out, complaints),) = outcomes(processes[:1])
        assert code == 3, complaints
        ends = time.monotonic() + PATIENCE
        while processes[1].poll() is None and time.monotonic() < ends:
            os.kill(processes[1].pid, signal.SIGCONT)
            time.sleep(0.1)
        ((code, out, complaints),) = outcomes(processes[1:], timeout=1)
    assert code == 3, complaints
    assert f"process 1: it has said nothing for {SILENCE} s" in out


def test_who_is_left_can_go_on(tmp_path):
    body = """
    if me == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    x = jax.device_put(np.ones(3, np.float32), split)
    try:
        jax.jit(jnp.sum)(x)
    except jax.errors.ProcessLostError:
        print("lost")
    rest = Mesh([d for d in jax.devices() if d.process_index != 2], "x")
    y = jax.device_put(np.arange(2.0, dtype=np.float32), NamedSharding(rest, P("x")))
    print(float(jax.jit(jnp.sum)(y)))
    """
    with started([program(tmp_path, body)], 3) as processes:
        found = outcomes(processes)
    assert [code for code, _, _ in found] == [0, 0, -9], found
    assert [out for _, out, _ in found] == ["lost\n1.0\n", "lost\n1.0\n", ""]


def test_texts_of_lost_processes():
    group = Group(0, 3, 5.0)
    group.check([0, 1, 2])
    group.end(2)
    with pytest.raises(ProcessLostError, match=r"^process 2 of 3 has ended, and this program"):
        group.check([0, 2])
    group.lose(1, "it was struck by lightning")
    group.lose(1, "a later reason")
    with pytest.raises(ProcessLostError, match=r"^process 2 of 3 has ended, and a sum"):
        group.check([0, 1, 2], "a sum")
    with pytest.raises(ProcessLostError) as found:
        group.check([0, 1], "a sum")
    assert re.fullmatch(
        r"process 1 of 3 is lost, and a sum needs it\.\n"
        r"  Got: it was struck by lightning\n"
        r"  Where: .*\n"
        r"  Fix: look at what process 1 printed last; start all processes again from the last "
        r"checkpoint\.",
        str(found.value),
    )
    group.check([0])
    group.lose(0, "it has said nothing for 5 s")
    with pytest.raises(ProcessLostError, match="the others of the 3 processes have given this one"):
        group.check([0])


def test_who_went_first_is_blamed():
    """Whoever ends because of that one goes later, and has perhaps a lower number."""
    group = Group(2, 3, 5.0)
    group.end(1)
    group.end(0)
    with pytest.raises(ProcessLostError, match=r"^process 1 of 3 has ended"):
        group.check([0, 1, 2])
    group = Group(2, 3, 5.0)
    group.end(2)
    group.lose(1, "it was killed")
    group.lose(0, "it ended with ProcessLostError")
    with pytest.raises(ProcessLostError, match=r"^process 1 of 3 is lost"):
        group.check([0, 1, 2])


def test_who_has_taken_part_may_end_before_others():
    """What a process computes last does not depend on which of the others is quicker."""
    group = Group(0, 3, 5.0)
    for _ in range(2):
        with group.together([0, 1], talk="a sum"):
            pass
    assert group.done == {"0,1": 2}
    group.end(1, {"0,1": 3, "0,1,2": 0})
    with group.together([0, 1], talk="a sum"):
        assert not group.stuck(0)
    with group.together([0, 1], talk=""):  # nobody waits for anybody
        assert not group.stuck(0)
    for members in ([0, 1], [0, 1, 2]):  # one more than it has run, and the first of others
        with (
            pytest.raises(ProcessLostError, match="process 1 of 3 has ended"),
            group.together(members, talk="a sum"),
        ):
            pytest.fail("it was begun")


def test_a_program_is_freed_only_from_those_that_it_needs():
    """Who is left may compute as long as it wants to."""
    group = Group(0, 3, 5.0)
    group.lose(2, "it was killed")
    with group.together([0, 1], talk="a sum"):
        assert not group.stuck(0)
        group.end(1, {"0,1": 1})
        assert not group.stuck(0)
    group = Group(0, 3, 5.0)
    with (
        pytest.raises(ProcessLostError, match="process 1 of 3 is lost"),
        group.together([0, 1], talk="a sum"),
    ):
        assert not group.stuck(0)
        group.lose(1, "it was killed")
        assert group.stuck(0) and not group.stuck(PATIENCE)
        raise RuntimeError("Gloo: connection closed")
    assert not group.stuck(0)


# ---- how they notice


def connected(member, count):
    """So many members, all connected."""
    members = [member(i) for i in range(count)]
    together(*[partial(m.connect, PATIENCE) for m in members])
    return members


def test_processes_meet_before_they_exchange_data():
    """Gloo waits only half a minute for who compiles for longer."""
    with coordinated(3) as (coordinator, member):
        first, second, third = (m.group for m in connected(member, 3))
        with ThreadPoolExecutor(1) as pool:
            waits = pool.submit(first.meet, [0, 2], "this program", "a sum")
            second.announce("another", [1, 2])
            waiting = coordinator._waiting
            while waiting.get("a sum") != ({0, 2}, {0}) or "another" not in waiting:
                time.sleep(0.01)
            assert not waits.done()
            third.meet([0, 2], "this program", "a sum")
            waits.result(PATIENCE)
        first.meet([0, 2], "this program", "a sum")  # at once: it is not the first time


def test_processes_at_different_programs_do_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(core_processes, "APART", 0.5)
    with coordinated(2) as (_, member):
        first, second = (m.group for m in connected(member, 2))
        with ThreadPoolExecutor(2) as pool:
            waits = pool.submit(first.meet, [0, 1], "the program f", "a sum")
            others = pool.submit(second.meet, [0, 1], "the program g", "a product")
            for i, found in enumerate((waits, others)):
                with pytest.raises(RuntimeError, match="the processes run different programs") as e:
                    found.result(PATIENCE)
                assert f"process {i} waits for process {1 - i} in the program {'fg'[i]}" in str(
                    e.value
                )


def test_threads_may_come_to_programs_in_another_order():
    with coordinated(2) as (_, member):
        first, second = (m.group for m in connected(member, 2))
        with ThreadPoolExecutor(4) as pool:
            one = pool.submit(first.meet, [0, 1], "f", "a sum")
            two = pool.submit(second.meet, [0, 1], "g", "a product")
            while not (first._apart and second._apart):
                time.sleep(0.01)
            rest = [
                pool.submit(first.meet, [0, 1], "g", "a product"),
                pool.submit(second.meet, [0, 1], "f", "a sum"),
            ]
            for each in (one, two, *rest):
                each.result(PATIENCE)


@pytest.mark.parametrize("how", ["killed", "failed", "ended"])
def test_who_does_not_come_is_not_waited_for(how):
    with coordinated(3) as (_, member):
        members = connected(member, 3)
        with ThreadPoolExecutor(2) as pool:
            waits = pool.submit(members[1].group.meet, [1, 2], "this program", "a sum")
            if how == "killed":
                members[2].close()
            elif how == "failed":
                members[2].fail("ValueError: bad luck")
            else:
                pool.submit(members[2].leave, PATIENCE)
            with pytest.raises(ProcessLostError) as found:
                waits.result(PATIENCE)
            for m in members[:2]:
                m.channel.send("bye")
    what, why = {k: v[1:] for k, v in CASES.items()}[how]
    assert str(found.value).startswith(f"process 2 of 3 {what}, and this program needs it.")
    assert why.format(who=2) in str(found.value)


def test_who_is_given_up_does_not_wait_for_the_others():
    with coordinated(2) as (coordinator, member):
        first, second = connected(member, 2)
        coordinator._lose(1, "it has said nothing for 15 s")
        assert second.leave(PATIENCE)
        assert second.group.gone([0, 1]) == [1]
        assert not first.done.is_set()


def test_a_coordinator_that_goes_before_all_have_come():
    with coordinated(2) as (coordinator, member), ThreadPoolExecutor(1) as pool:
        comes = pool.submit(member(1).connect, PATIENCE)
        while coordinator.missing() != [0]:
            time.sleep(0.01)
        coordinator.close()
        with pytest.raises(RuntimeError, match="process 0 is gone before all processes have"):
            comes.result(PATIENCE)


def test_heartbeats_are_not_an_avalanche():
    """The coordinator answers each: an answer must not be answered at once."""
    listener = socket.create_server(("127.0.0.1", 0))
    coordinator = Coordinator(listener, 1, 2.5)
    member = Member(listener.getsockname(), Group(0, 1, 2.5))
    said, begun = queue.Queue(), time.monotonic()
    member.connect(PATIENCE)
    send = member.channel.send
    member.channel.send = lambda kind, **fields: said.put(kind) or send(kind, **fields)
    try:
        assert [said.get(timeout=PATIENCE) for _ in range(4)] == ["beat"] * 4
        assert time.monotonic() - begun >= 1.5  # one every half second, and perhaps one unseen
    finally:
        member.close()
        coordinator.close()


def test_who_stood_still_does_not_blame_the_others(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(channel.time, "monotonic", lambda: now[0])
    clock = channel.Clock(0.5)
    assert clock.rings() and not clock.rings() and clock.left() == 0.5
    now[0] += 0.6  # a little late, as always
    assert clock.overslept() == 0 and clock.rings()
    now[0] += 60.0  # the process was stopped, or its machine slept
    assert clock.overslept() == 59.5
    assert clock.overslept() == 0


# ---- beginnings that fail


def begin(environment):
    """What comes of a program that only begins."""
    with started([ROOT / "tests" / "xla" / "begin.py"], 1, 1, {0: environment}) as processes:
        return outcomes(processes)[0]


def test_a_process_that_does_not_come():
    code, _, complaints = begin({"JAX_NUM_PROCESSES": "3"})
    assert code == 1
    assert "initialize: not all 3 processes have come within 10 s." in complaints
    assert "Got: missing: process 1, process 2" in complaints


def test_a_coordinator_that_does_not_come():
    code, _, complaints = begin({"JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "1"})
    assert code == 1
    assert "distributed.initialize: no coordinator was found within 10 s." in complaints


def test_processes_that_contradict_each_other():
    with coordinated(2) as (coordinator, member):
        other = {"JAX_NUM_PROCESSES": "3", "JAX_PROCESS_ID": "1"}
        port = coordinator.listener.getsockname()[1]
        address = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}"}
        code, _, complaints = begin({**other, **address, "LONG": str(PATIENCE)})
        assert code == 1
        assert "the coordinator refuses this process." in complaints
        assert "the coordinator waits for 2 processes" in complaints
        assert coordinator.missing() == [0, 1]
        first, second = member(0), member(1)
        together(lambda: first.connect(PATIENCE), lambda: second.connect(PATIENCE))
        with pytest.raises(RuntimeError, match="there is a process 1 already"):
            member(1).connect(PATIENCE)
        assert coordinator.missing() == []


# ---- what the environment says

SLURM = {
    "SLURM_JOB_ID": "8193",
    "SLURM_NTASKS": "12",
    "SLURM_PROCID": "5",
    "SLURM_STEP_NODELIST": "node[007-009,12],other",
}
MPI = {
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_RANK": "3",
    "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911",
}


def test_clusters_are_found():
    assert cluster.of_cluster(SLURM) == cluster.Setup("node007:61441", 12, 5)
    assert cluster.of_cluster(SLURM, "ompi") == cluster.Setup()
    third = cluster.Setup("node007:61441", 12, 5, (2,))  # of its machine, with the third GPU
    assert cluster.of_cluster(SLURM | {"SLURM_LOCALID": "2"}) == third
    job = 1531576320 // 4096 % 4096 + 61440
    assert cluster.of_cluster(MPI) == cluster.Setup(f"10.96.0.1:{job}", 4, 3)
    second = cluster.of_cluster(MPI | {"OMPI_COMM_WORLD_LOCAL_RANK": "1"})
    assert second.local_devices == (1,)
    six = MPI | {"OMPI_MCA_orte_hnp_uri": "4096.0;tcp6://[fe80::b9b:ac5d,2620::1]:43370"}
    assert cluster.of_cluster(six) == cluster.Setup("[fe80::b9b:ac5d]:61441", 4, 3)
    assert cluster.of_cluster({}) == cluster.Setup()
    variables = {"JAX_COORDINATOR_ADDRESS": "a:1", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "0"}
    variables["JAX_LOCAL_DEVICE_IDS"] = "1,3"
    assert cluster.of_variables(variables) == cluster.Setup("a:1", 2, 0, (1, 3))
    assert cluster.Setup("b:2").filled(cluster.of_variables(variables)).address == "b:2"


@pytest.mark.parametrize(
    ("setup", "kind", "text"),
    [
        (cluster.Setup(), ValueError, "does not know coordinator_address and num_processes and"),
        (cluster.Setup("a:1", 2), ValueError, "does not know process_id."),
        (cluster.Setup("a:1", 2, 2), ValueError, "process_id must be one of 0, 1, ..., num_proc"),
        (cluster.Setup("a:1", 2, "1"), TypeError, "process_id must be an integer."),
        (cluster.Setup("nowhere", 2, 1), ValueError, "coordinator_address has not the form host"),
    ],
    ids=["nothing", "no number", "too large", "a string", "no port"],
)
def test_arguments_that_are_wrong(setup, kind, text):
    with pytest.raises(kind, match=re.escape(text)):
        cluster.checked(setup)


# ---- learning in parallel


def learned(tmp_path, count, way, steps=20, devices=1):
    """The parameters that process 0 has in the end."""
    file = tmp_path / f"{way}{count}.npz"
    command = [DIGITS, "--steps", steps, "--way", way, "--checkpoint", file]
    with started(command, count, devices) as processes:
        found = outcomes(processes)
    for code, _, complaints in found:
        assert code == 0, complaints
    with np.load(file) as saved:
        assert int(saved["number"]) == steps
        return [saved[f"arr_{i}"] for i in range(len(saved.files) - 1)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The parameters that one process learns."""
    pytest.importorskip("sklearn", reason="the images")
    return learned(tmp_path_factory.mktemp("alone"), 1, "jit")


@pytest.mark.parametrize("way", ["jit", "shard_map"])
@pytest.mark.parametrize("count", [2, 4])
def test_digits_are_learned_as_by_one_process(tmp_path, alone, count, way):
    for x, y in zip(alone, learned(tmp_path, count, way), strict=True):
        np.testing.assert_allclose(y, x, rtol=0, atol=2e-6)


KILLED = """
import os, signal, sys
sys.path.insert(0, {folder!r})
import digits_parallel
batch = digits_parallel.batch
def last(mesh, images, labels, number):
    if number == 13 and os.environ["JAX_PROCESS_ID"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    return batch(mesh, images, labels, number)
digits_parallel.batch = last
digits_parallel.main()
"""
"""The example, of which one process is killed between two checkpoints."""


def test_a_killed_job_goes_on_from_its_checkpoint(tmp_path, alone):
    file = tmp_path / "checkpoint.npz"
    options = ["--steps", 20, "--checkpoint", file, "--heartbeat", 60]
    killed = tmp_path / "killed.py"
    killed.write_text(KILLED.format(folder=str(DIGITS.parent)), encoding="utf-8")
    with started([killed, *options], 2) as processes:
        code, _, complaints = outcomes(processes)[0]
    assert code == 1
    assert "ProcessLostError: process 1 of 2 is lost, and this program needs it." in complaints
    with np.load(file) as saved:
        assert int(saved["number"]) == 10
    with started([DIGITS, *options], 2) as processes:
        steps = [line for line in processes[0].stdout if line.startswith("step")]
        found = outcomes(processes)
    assert [code for code, _, _ in found] == [0, 0], found
    assert [line[:7] for line in steps] == ["step 20"]
    with np.load(file) as saved:
        resumed = [saved[f"arr_{i}"] for i in range(len(saved.files) - 1)]
    for x, y in zip(alone, resumed, strict=True):
        np.testing.assert_allclose(y, x, rtol=0, atol=2e-6)


# ---- the launcher


@pytest.mark.skipif(sys.platform != "linux", reason="other systems reserve no ports")
def test_a_reserved_port_is_for_those_that_ask_for_it():
    with reserved_port() as port, socket.socket() as by_chance:
        with pytest.raises(OSError, match="in use"):
            by_chance.bind(("127.0.0.1", port))
        with (
            socket.create_server(("127.0.0.1", port)) as server,
            socket.create_connection(("127.0.0.1", port)) as near,
            server.accept()[0] as far,
        ):
            near.sendall(b"hello")
            assert far.recv(5) == b"hello"


def launch(*arguments, at):
    # The real jax, imported by other tests, has had its warnings shown to all child processes.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "TF_CPP"))}
    return subprocess.run(
        [sys.executable, "-m", "pullback", "launch", *arguments],
        cwd=at,
        env=environment | {"PYTHONPATH": str(ROOT), "XLA_FLAGS": QUICK},
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )


def test_the_launcher_starts_processes_and_numbers_their_lines(tmp_path):
    body = """
    print("hello", me, count, jax.device_count(), sys.argv[1:])
    print("oh", file=sys.stderr)
    """
    program(tmp_path, body, say="")
    run = launch("-n", "2", "-d", "2", "program.py", "a", "-b", at=tmp_path)
    assert (run.returncode, sorted(run.stderr.splitlines())) == (0, ["[0] oh", "[1] oh"])
    assert sorted(run.stdout.splitlines()) == [
        "[0] hello 0 2 4 ['a', '-b']",
        "[1] hello 1 2 4 ['a', '-b']",
    ]


def test_the_launcher_gives_the_code_of_who_failed_first(tmp_path):
    program(tmp_path, KILL + TRAIN.replace("WHO", "1"), say="")
    run = launch("-n", "2", "program.py", at=tmp_path)
    assert run.returncode == 128 + signal.SIGKILL
    assert run.stderr.splitlines()[-1] == "pullback launch: process 1 ended with signal 9 (SIGKILL)"
    (tmp_path / "program.py").write_text("import sys; sys.exit(5)", encoding="utf-8")
    run = launch("-n", "2", "program.py", at=tmp_path)
    assert run.returncode == 5
    assert re.search(r"pullback launch: process [01] ended with exit code 5", run.stderr)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "launch needs -n and the number of processes"),
        (["-n"], "launch needs a number after -n"),
        (["-n", "two", "a.py"], "launch needs a number after -n"),
        (["-n", "2"], "launch needs a script, or -m and the name of a module"),
        (["-n", "2", "-x", "a.py"], "launch has no option -x"),
    ],
)
def test_the_launcher_says_what_is_wrong(tmp_path, arguments, text):
    run = launch(*arguments, at=tmp_path)
    assert (run.returncode, run.stderr.splitlines()[0]) == (2, f"pullback: {text}")
