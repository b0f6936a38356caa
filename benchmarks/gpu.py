"""Matrix products, attention and elementwise programs on a GPU, against JAX and PyTorch.

    python -m benchmarks.gpu [--write benchmarks/gpu.md]

Each library runs in a process of its own, with the GPU's memory for itself, one after the other.
A figure is the least of several repeats, each of enough calls to last a tenth of a second and ended
by waiting for the device. Peers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np

SIDE = 4096
HEADS, LENGTH, WIDTH = 16, 2048, 64
ELEMENTS = 1 << 26
REPEATS = 7

WORK = {
    "matmul, float32": (2 * SIDE**3, "TFLOP/s"),
    "matmul, bfloat16": (2 * SIDE**3, "TFLOP/s"),
    "attention, bfloat16": (4 * HEADS * LENGTH**2 * WIDTH, "TFLOP/s"),
    "elementwise, float32": (2 * 4 * ELEMENTS, "TB/s"),
}
"""For each program what it does: operations, or bytes read and written."""
LIBRARIES = {"pullback": "pullback", "jax": "jax", "torch": "torch"}


def programs_like_jax(jax: Any, jnp: Any, put: Callable[[Any], Any]) -> dict[str, Any]:
    """The programs as functions of nothing, in JAX's API."""
    random = np.random.default_rng(0)
    square = put(random.normal(size=(SIDE, SIDE)).astype(np.float32))
    heads = put(random.normal(size=(3, HEADS, LENGTH, WIDTH)).astype(np.float32))
    line = put(random.normal(size=ELEMENTS).astype(np.float32))
    small_square, small_heads = (
        jax.jit(lambda x: x.astype(jnp.bfloat16))(x) for x in (square, heads)
    )

    def attention(qkv: Any) -> Any:
        q, k, v = qkv
        scores = jnp.einsum("hqd,hkd->hqk", q, k) / np.sqrt(WIDTH)
        return jnp.einsum("hqk,hkd->hqd", jax.nn.softmax(scores, axis=-1), v)

    product, attend = jax.jit(lambda x: x @ x), jax.jit(attention)
    chain = jax.jit(lambda x: jnp.tanh(x * 2 + 1) * jnp.exp(-x * x))
    return {
        "matmul, float32": lambda: product(square),
        "matmul, bfloat16": lambda: product(small_square),
        "attention, bfloat16": lambda: attend(small_heads),
        "elementwise, float32": lambda: chain(line),
    }


def programs_of_torch() -> dict[str, Any]:
    """The programs in PyTorch."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = True  # as XLA does by default
    square = torch.randn(SIDE, SIDE, device="cuda")
    q, k, v = torch.randn(3, HEADS, LENGTH, WIDTH, device="cuda", dtype=torch.bfloat16)
    line = torch.randn(ELEMENTS, device="cuda")
    small = square.to(torch.bfloat16)

    def attention() -> Any:
        scores = q @ k.transpose(-1, -2) / WIDTH**0.5
        return torch.softmax(scores, -1) @ v

    chain = torch.compile(lambda x: torch.tanh(x * 2 + 1) * torch.exp(-x * x))
    return {
        "matmul, float32": lambda: square @ square,
        "matmul, bfloat16": lambda: small @ small,
        "attention, bfloat16": torch.compile(attention),
        "elementwise, float32": lambda: chain(line),
    }


def measured(library: str) -> dict[str, float]:
    """Seconds of a call of each program, in this process."""
    if library == "torch":
        import torch

        programs = programs_of_torch()

        def wait(_: Any) -> None:
            torch.cuda.synchronize()
    else:
        if library == "jax":
            import jax
            import jax.numpy as jnp
        else:
            import pullback as jax
            import pullback.numpy as jnp
        device = jax.devices("gpu")[0]
        programs = programs_like_jax(jax, jnp, lambda x: jax.device_put(x, device))

        def wait(x: Any) -> None:
            x.block_until_ready()

    return {name: seconds(call, wait) for name, call in programs.items()}


def seconds(call: Callable[[], Any], wait: Callable[[Any], None]) -> float:
    """The least time of a call."""

    def lasts(n: int) -> float:
        start = time.perf_counter()
        for _ in range(n):
            out = call()
        wait(out)
        return time.perf_counter() - start

    lasts(3)
    n = max(3, int(0.1 / (lasts(3) / 3)))
    return min(lasts(n) for _ in range(REPEATS)) / n


def section(found: dict[str, dict[str, float]]) -> str:
    """The figures as a table: throughput, and our time beside that of the best peer."""
    names = list(found)
    lines = [f"| program | {' | '.join(names)} | ours / best peer's time |"]
    lines.append("|---" * (len(names) + 2) + "|")
    for program, (work, unit) in WORK.items():
        times = {n: found[n][program] for n in names}
        cells = [f"{work / t / 1e12:.2f} {unit}" for t in times.values()]
        peers = [t for n, t in times.items() if n != "pullback"]
        ratio = f"{times['pullback'] / min(peers):.2f}" if peers else "no peer"
        lines.append(f"| {program} | {' | '.join(cells)} | {ratio} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure all, or one library for the process that measures all."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--library", choices=LIBRARIES)
    options.add_argument("--write", type=Path)
    chosen = options.parse_args()
    if chosen.library:
        print(json.dumps(measured(chosen.library)))
        return 0
    from pullback.core import platforms

    missing = platforms.lack()
    if missing is not None:
        print(f"benchmarks.gpu needs a GPU: {missing.what} {missing.fix}", file=sys.stderr)
        return 1
    found = {}
    for library, package in LIBRARIES.items():
        if util.find_spec(package) is None:
            print(f"{library} is not installed: left out", file=sys.stderr)
            continue
        command = [sys.executable, "-m", "benchmarks.gpu", "--library", library]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            print(f"{library} failed: left out", file=sys.stderr)
            continue
        found[library] = json.loads(done.stdout.splitlines()[-1])
    if "pullback" not in found:
        return 1
    text = section(found)
    print(text)
    if chosen.write:
        chosen.write.write_text(f"# On a GPU\n\n{text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
