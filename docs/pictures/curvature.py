"""The picture of "Curvature": the error of three estimates of a trace, and what they say it is.

python docs/pictures/curvature.py     writes docs/pictures/curvature.svg
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

import pullback as pb
import pullback.numpy as jnp
from pullback import curvature

HERE = Path(__file__).resolve()
COLOURS = {"hutchinson": "#4477aa", "hutch++": "#ee9944", "xtrace": "#228833"}
PRODUCTS = (12, 18, 30, 48, 72, 108)
N, SEEDS = 200, 200


def matrix() -> Any:
    """The Gauss-Newton matrix of a fit of waves: its eigenvalues fall off."""
    x = jnp.linspace(0.0, 1.0, N)
    model = lambda w: jnp.cumsum(jnp.cumsum(w * jnp.sin(5 * x))) / N**2  # noqa: E731
    return curvature.gnvp(model, lambda y: 0.5 * jnp.sum(y**2))(jnp.ones(N))


def errors(operator: Any, exact: float) -> dict[str, list[tuple[float, float]]]:
    """For each method and number of products: the true relative error, and the one that it says."""
    keys = pb.random.split(pb.random.key(0), SEEDS)
    found: dict[str, list[tuple[float, float]]] = {m: [] for m in COLOURS}
    for method in COLOURS:
        for count in PRODUCTS:
            one = lambda k, m=method, c=count: curvature.trace(operator, k, c, method=m)  # noqa: E731
            estimate = pb.jit(pb.vmap(one))(keys)
            off = np.asarray(estimate.value) - exact
            true, said = (np.sqrt(np.mean(v**2)) for v in (off, np.asarray(estimate.error)))
            found[method].append((true / exact, said / exact))
    return found


def main() -> None:
    """Draw it on logarithmic axes."""
    with pb.enable_x64(True):
        operator = matrix()
        found = errors(operator, float(jnp.trace(operator.dense())))
    low = math.floor(math.log10(min(min(p) for v in found.values() for p in v)))

    def at(count: float, value: float) -> tuple[float, float]:
        x = 70 + 500 * math.log(count / PRODUCTS[0]) / math.log(PRODUCTS[-1] / PRODUCTS[0])
        return x, 30 + 300 * math.log10(value) / low

    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="760" height="390" viewBox="0 0 760 390" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        '<text x="320" y="378" text-anchor="middle">products with the matrix</text>',
        '<text x="70" y="18">relative error of the trace: true (line), as estimated (dots)</text>',
    ]
    for power in range(low, 1):
        y = at(1, 10.0**power)[1]
        parts.append(f'<path d="M70 {y:.0f}H570" stroke="#ddd"/>')
        parts.append(f'<text x="62" y="{y + 4:.0f}" text-anchor="end">1e{power}</text>')
    for count in PRODUCTS:
        x = at(count, 1)[0]
        parts.append(f'<text x="{x:.0f}" y="355" text-anchor="middle">{count}</text>')
    for method, values in found.items():
        colour = COLOURS[method]
        line = [at(c, true) for c, (true, _) in zip(PRODUCTS, values, strict=True)]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in line)
        parts.append(f'<path d="M{path}" stroke="{colour}" fill="none" stroke-width="2"/>')
        for c, (_, said) in zip(PRODUCTS, values, strict=True):
            x, y = at(c, said)
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>')
        x, y = line[-1]
        parts.append(f'<text x="{x + 10:.0f}" y="{y + 4:.0f}" fill="{colour}">{method}</text>')
    HERE.with_suffix(".svg").write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
