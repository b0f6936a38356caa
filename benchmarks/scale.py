"""How the cost of a step grows with devices: work and traffic counted, collectives measured.

    JAX_NUM_CPU_DEVICES=8 python -m benchmarks.scale

What is counted comes from XLA: its cost analysis of the program of one device, and the results of
the collective operations in that program. What is measured is measured on simulated devices that
share the cores and the memory of one machine: it shows what a call costs, not what a network does.
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

import pullback as pb
from pullback import compat, lax
from pullback.engines.xla import spread
from pullback.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

P = PartitionSpec
EXAMPLES = Path(__file__).parents[1] / "examples"
BYTES = {"f32": 4, "s32": 4, "u32": 4, "pred": 1, "f64": 8, "s64": 8, "u8": 1}
LINE = re.compile(
    r"= (.*?) (all-reduce|all-gather|reduce-scatter|collective-permute|all-to-all)(?:-start)?\("
)
ARRAY = re.compile(r"(\w+)\[([\d,]*)\]")


def traffic(hlo: str) -> tuple[Counter[str], Counter[str]]:
    """For each collective operation how often it stands there, and the bytes of its results."""
    count: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for line in hlo.splitlines():
        found = LINE.search(line)
        if found:
            types, name = found.groups()
            count[name] += 1
            for kind, dims in ARRAY.findall(types):
                size[name] += BYTES.get(kind, 4) * prod(int(d) for d in dims.split(",") if d)
    return count, size


def compiled(f: Callable[..., Any], *args: Any) -> Any:
    """The program of `f` for arrays where they are."""
    closed = pb.jit(f).trace(*args).jaxpr
    leaves = pb.tree.leaves(args)
    spread.run(closed, leaves)
    return next(v for k, v in closed.cache.items() if k[0] == "spread").executable


def fastest(f: Callable[[], Any], repeats: int = 30) -> float:
    """Microseconds of a call."""
    f()
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        f()
        best = min(best, time.perf_counter() - start)
    return best * 1e6


def transformer() -> str:
    """The step of examples/transformer_parallel.py on meshes of several shapes."""
    compat.install()
    sys.path.insert(0, str(EXAMPLES))
    import transformer_parallel as example

    rows = [
        "| data x model | flops per device | bytes touched per device | collectives | "
        "their bytes | step, ms |",
        "|---|---|---|---|---|---|",
    ]
    base = None
    (text,) = example.texts(1)
    for data, model in ((1, 1), (2, 1), (4, 1), (8, 1), (1, 2), (1, 4), (1, 8), (2, 4)):
        grid = np.array(pb.devices()[: data * model]).reshape(data, model)
        mesh = Mesh(grid, ("data", "model"), (AxisType.Auto,) * 2)
        alone = example.init(pb.random.key(0))
        if data * model > 1:
            params = example.spread(alone, mesh)
            words = pb.device_put(text, NamedSharding(mesh, P("data")))
        else:
            params = pb.device_put(alone, pb.devices()[1])
            words = pb.device_put(text, pb.devices()[1])
        made = compiled(example.step, params, words)
        costs = made.costs()
        count, size = traffic(made.hlo())
        took = fastest(lambda p=params, w=words: example.step(p, w)[0], 10) / 1e3
        flops = costs["flops"]
        base = base or flops
        shown = ", ".join(f"{n} {k}" for k, n in sorted(count.items())) or "none"
        rows.append(
            f"| {data} x {model} | {flops / 1e6:.1f} M ({flops / base:.2f}) | "
            f"{costs['bytes accessed'] / 1e6:.1f} M | {shown} | "
            f"{sum(size.values()) / 1e6:.2f} M | {took:.1f} |"
        )
    return "\n".join(rows)


def collectives() -> str:
    """Each collective operation on 1 MB per device."""
    n = 1 << 18
    kinds = {
        "psum": lambda x: lax.psum(x, "x"),
        "all_gather": lambda x: lax.all_gather(x, "x", tiled=True)[: len(x)],
        "psum_scatter": lambda x: lax.psum_scatter(x, "x", tiled=True),
        "ppermute": lambda x: lax.ppermute(x, "x", [(i, (i + 1) % k) for i in range(k)]),
        "nothing (x + 1)": lambda x: x + 1,
    }
    found: dict[str, list[str]] = {name: [] for name in kinds}
    for k in (1, 2, 4, 8):
        mesh = Mesh(np.array(pb.devices()[:k]), ("x",), (AxisType.Auto,))
        for name, f in kinds.items():
            for size in (n, 16):
                data = np.ones(k * size, np.float32)
                x = pb.device_put(data, NamedSharding(mesh, P("x")))
                g = pb.jit(
                    pb.shard_map(f, mesh=mesh, in_specs=P("x"), out_specs=P("x"), check_vma=False)
                )
                found[name].append(f"{fastest(lambda g=g, x=x: g(x).block_until_ready()):.0f}")
    heads = " | ".join(f"{k}: 1 MB | {k}: 64 B" for k in (1, 2, 4, 8))
    rows = [f"| us, devices: | {heads} |", "|---" * 9 + "|"]
    rows += [f"| {name} | {' | '.join(numbers)} |" for name, numbers in found.items()]
    return "\n".join(rows)


def main() -> None:
    """Print both tables."""
    print(transformer())
    print()
    print(collectives())


if __name__ == "__main__":
    main()
