"""The child of a fork has not XLA's threads: what needs them is refused, and nothing hangs."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("jaxlib", reason="the XLA engine needs jaxlib")

FORK = """
import os, signal
import numpy as np
import pullback as pb
import pullback.numpy as jnp
pb.config.update("jax_num_cpu_devices", 2)
f = pb.jit(lambda x: jnp.sin(x) @ x, engine="xla")
g = pb.jit(lambda x: x + 3, engine="native")
x = jnp.ones((300, 300))
for _ in range(3):  # now it is called without Python
    y = f(x)
there = pb.device_put(x, pb.devices()[1])
there * 2

def refused(call):
    for _ in range(3):
        try:
            call()
        except RuntimeError as mistake:
            assert "a process that a fork has made" in str(mistake), mistake
            assert "Fix: start it by multiprocessing.get_context('spawn')" in str(mistake), mistake
        else:
            raise AssertionError("it was not refused")

child = os.fork()
if not child:
    signal.alarm(120)  # it would wait for ever
    refused(lambda: f(x))
    refused(lambda: pb.jit(lambda x: x + 3, engine="xla")(x))
    refused(lambda: there * 2)
    refused(lambda: there + 1)
    refused(lambda: f.lower(x).compile())
    assert float(y.sum()) > 0 and float(g(x)[0, 0]) == 4
    assert np.asarray(there)[0, 0] == 1
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), float(f(x)[0, 0]) > 0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_child_of_a_fork():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, timeout=400
    )
    assert done.stdout.strip() == "0 True", done.stderr
