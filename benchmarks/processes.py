"""What an exchange between processes of one machine costs: `python -m benchmarks.processes`.

Each number of processes adds up arrays of three sizes by `psum` in `shard_map`, over TCP on the
loopback interface. Figures are medians of the calls; the slowest process counts. The mean is some
times that: where two processes share two processors, some calls in a hundred wait for a time slice
or two of 4 ms, under JAX as well, for Gloo's thread polls when data come before they are asked for.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SIZES = {"1 kB": 1 << 8, "1 MB": 1 << 18, "16 MB": 1 << 22}
"""Names, and numbers of float32 that each process has."""

PROGRAM = """
import sys, time
import numpy as np, jax
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
jax.distributed.initialize()
mesh = Mesh(jax.devices(), "x")
add = jax.jit(jax.shard_map(lambda x: lax.psum(x, "x"), mesh=mesh, in_specs=P("x"), out_specs=P()))
for size, rounds in SIZES.items():
    count = jax.process_count() * size
    x = jax.device_put(np.ones(count, np.float32), NamedSharding(mesh, P("x")))
    add(x).block_until_ready()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        add(x).block_until_ready()
        times.append(time.perf_counter() - start)
    print("took", size, sorted(times)[rounds // 2], flush=True)
"""


def measured(count: int) -> dict[int, float]:
    """Seconds of a sum over so many processes, for each size."""
    rounds = {n: max(30, (1 << 20) // n) for n in SIZES.values()}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "exchange.py"
        file.write_text(PROGRAM.replace("SIZES", repr(rounds)), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pullback", "launch", "-n", str(count), str(file)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
            timeout=180,
        )
    found: dict[int, float] = {}
    for size, seconds in re.findall(r"took (\d+) (\S+)", done.stdout):
        found[int(size)] = max(found.get(int(size), 0.0), float(seconds))
    return found


def section() -> str:
    """The figures as Markdown."""
    lines = [
        "| array of each process | 2 processes | 4 processes | rate, 2 | rate, 4 |",
        "|---|---|---|---|---|",
    ]
    two, four = measured(2), measured(4)
    for name, n in SIZES.items():
        times = [f"{found[n] * 1e3:.2f} ms" for found in (two, four)]
        # What each process sends in a ring: 2 (p - 1) / p of its array.
        rates = [
            f"{4 * n * 2 * (p - 1) / p / found[n] / 1e9:.2f} GB/s"
            for p, found in ((2, two), (4, four))
        ]
        lines.append(f"| {name} | {' | '.join(times)} | {' | '.join(rates)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(section())
