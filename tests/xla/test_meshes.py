"""Everything in tests/xla/meshes, in a process of its own whose CPU is eight devices."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jaxlib", reason="several devices need jaxlib")
HERE = Path(__file__).parent / "meshes"
FILES = sorted(p.name for p in HERE.glob("check_*.py"))


@pytest.mark.parametrize("file", FILES)
def test_on_eight_devices(file):
    quick = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    env = {**os.environ, "JAX_NUM_CPU_DEVICES": "8", "XLA_FLAGS": quick}
    env.pop("PYTEST_XDIST_WORKER", None)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, str(HERE / file)], env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
