"""Everything in tests/xla/meshes, in a process of its own whose CPU is eight devices."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jaxlib", reason="several devices need jaxlib")
pytestmark = pytest.mark.timeout(1000)
HERE = Path(__file__).parent / "meshes"
PATIENCE = 900
"""Seconds for a file: much more than it takes, for the machine may be busy."""
FILES = sorted(p.name for p in HERE.glob("check_*.py"))


def test_a_transformer_on_a_grid_is_that_of_one_device():
    env = {**os.environ, "JAX_NUM_CPU_DEVICES": "8"}
    script = Path(__file__).parents[2] / "examples" / "transformer_parallel.py"
    command = [sys.executable, "-m", "pullback", "run", str(script)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "each device has (64, 64) of a matrix of (64, 256)" in done.stdout
    (line,) = [s for s in done.stdout.splitlines() if "largest difference" in s]
    assert float(line.split()[-1]) < 1e-5


@pytest.mark.parametrize("file", FILES)
def test_on_eight_devices(file):
    quick = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    env = {**os.environ, "JAX_NUM_CPU_DEVICES": "8", "XLA_FLAGS": quick}
    env.pop("PYTEST_XDIST_WORKER", None)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"]
    command += ["-o", f"timeout={PATIENCE}"]
    done = subprocess.run(
        [*command, str(HERE / file)], env=env, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
