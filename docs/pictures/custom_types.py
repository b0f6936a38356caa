"""The picture of "Types of your own": steps of rotations, and a way between two ellipses.

python docs/pictures/custom_types.py     writes docs/pictures/custom_types.svg
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "types"
mpl.rcParams["svg.fonttype"] = "none"

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402

import pullback as pb  # noqa: E402
import pullback.numpy as jnp  # noqa: E402
from pullback import custom_types  # noqa: E402

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parent.parent.parent / "examples"))

from positive_definite import Covariance  # noqa: E402
from quaternions import Quaternion, Turn, exp, mismatch  # noqa: E402

RATE, STEPS = 0.02, 40


def descents() -> dict[str, list[float]]:
    """How far the length is from one, in each step, with tangents of its own and without."""
    points = pb.random.normal(pb.random.key(0), (20, 3))
    seen = exp(Turn(jnp.array([1.0, -0.5, 0.7]))).rotate(points)
    own = Quaternion(jnp.array([1.0, 0.0, 0.0, 0.0]))
    plain = own.numbers
    found: dict[str, list[float]] = {"own": [], "plain": []}
    for _ in range(STEPS):
        found["own"].append(abs(float(jnp.linalg.norm(own.numbers)) - 1))
        found["plain"].append(abs(float(jnp.linalg.norm(plain)) - 1))
        g = pb.grad(mismatch)(own, points, seen)
        own = custom_types.apply_updates(own, pb.tree.map(lambda g: -RATE * g, g))
        down = pb.grad(lambda n: mismatch(Quaternion(n), points, seen))(plain)
        plain = plain - RATE / 4 * down
    return found


def ellipse(matrix: Any, centre: float) -> Any:
    """The points of unit distance."""
    angle = np.linspace(0, 2 * np.pi, 60)
    return np.linalg.cholesky(np.asarray(matrix)) @ np.array([np.cos(angle), np.sin(angle)]) + [
        [centre],
        [0.0],
    ]


def main() -> None:
    """Draw both."""
    with pb.enable_x64(True):
        lengths = descents()
        a = jnp.array([[1.0, 0.85], [0.85, 0.8]])
        b = jnp.array([[1.0, -0.85], [-0.85, 0.8]])
        p, q = Covariance.of(a), Covariance.of(b)
        way = custom_types.difference(p, q)
        times = np.linspace(0, 1, 7)
        moved = [custom_types.apply_updates(p, t * way).matrix for t in times]
        mixed = [(1 - t) * a + t * b for t in times]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for name, label in (("plain", "as four plain numbers"), ("own", "with tangents of its own")):
        left.semilogy(np.maximum(lengths[name], 1e-17), label=label)
    left.set(xlabel="step", title="how far a quaternion's length is from 1")
    left.legend(fontsize=8)
    for k, (m, s) in enumerate(zip(moved, mixed, strict=True)):
        right.plot(*ellipse(m, 2.4 * k), "C0")
        right.plot(*ellipse(s, 2.4 * k), "C1", lw=1)
    right.plot([], [], "C0", label="retract")
    right.plot([], [], "C1", lw=1, label="plain mean")
    right.set_aspect("equal")
    right.set_axis_off()
    right.set_title("from one covariance to another")
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=8)
    figure.savefig(HERE.with_suffix(".svg"), metadata={"Date": None})


if __name__ == "__main__":
    main()
