"""Rotations as unit quaternions: tangents are vectors of so(3), and rotations stay rotations.

A quaternion has four numbers, a rotation three degrees of freedom. With a tangent type of its own
`grad` gives a vector of angular velocities, and a step turns the rotation about that axis.

The task: find the rotation that takes one cloud of points onto another (Wahba's problem, 1965).
Its solution is known in closed form by a singular value decomposition, with which this one is
compared. Run it: python examples/quaternions.py
"""

from __future__ import annotations

from dataclasses import dataclass

import pullback as pb
import pullback.numpy as jnp
from pullback import custom_types


@pb.tree_util.register_dataclass
@dataclass(frozen=True)
class Turn:
    """An element of so(3): a rotation vector, in the frame of what is turned."""

    vector: pb.Array  # float[3]


@custom_types.differentiable
@pb.tree_util.register_dataclass
@dataclass(frozen=True)
class Quaternion:
    """A rotation: w + xi + yj + zk of length one."""

    numbers: pb.Array  # float[4]

    def __matmul__(self, other: Quaternion) -> Quaternion:
        """First `other`, then `self`."""
        w, v = self.numbers[0], self.numbers[1:]
        a, u = other.numbers[0], other.numbers[1:]
        return Quaternion(jnp.concatenate([(w * a - v @ u)[None], w * u + a * v + jnp.cross(v, u)]))

    def inverse(self) -> Quaternion:
        """The rotation back."""
        return Quaternion(self.numbers * jnp.array([1.0, -1.0, -1.0, -1.0], self.numbers.dtype))

    def rotate(self, x: pb.Array) -> pb.Array:
        """The points `x`, float[..., 3], turned."""
        w, v = self.numbers[0], self.numbers[1:]
        t = 2 * jnp.cross(v, x)
        return x + w * t + jnp.cross(v, t)

    # What makes it a type with tangents of its own.

    def zero_tangent(self) -> Turn:
        """No turn."""
        return Turn(jnp.zeros(3, self.numbers.dtype))

    def retract(self, turn: Turn) -> Quaternion:
        """Turned by the rotation exp(turn), which is applied first."""
        return self @ exp(turn)

    def local(self, other: Quaternion) -> Turn:
        """The turn from here to there."""
        return log(self.inverse() @ other)


def exp(turn: Turn) -> Quaternion:
    """The rotation about the axis `turn.vector` by its length, in radians."""
    half = turn.vector / 2
    square = half @ half
    small = square < 1e-8
    length = jnp.sqrt(jnp.where(small, 1.0, square))
    # sin(a)/a and cos(a): by their series near 0, where the square root has no derivative.
    ratio = jnp.where(small, 1 - square / 6, jnp.sin(length) / length)
    cosine = jnp.where(small, 1 - square / 2, jnp.cos(length))
    return Quaternion(jnp.concatenate([cosine[None], ratio * half]))


def log(q: Quaternion) -> Turn:
    """The shortest turn that gives this rotation: the inverse of `exp`."""
    numbers = q.numbers * jnp.where(q.numbers[0] < 0, -1.0, 1.0)  # q and -q are one rotation
    w, v = numbers[0], numbers[1:]
    square = v @ v
    small = square < 1e-8
    length = jnp.sqrt(jnp.where(small, 1.0, square))
    ratio = jnp.where(small, 2 / w - 2 * square / (3 * w**3), 2 * jnp.arctan2(length, w) / length)
    return Turn(ratio * v)


def mismatch(q: Quaternion, points: pb.Array, seen: pb.Array) -> pb.Array:
    """Half the sum of squared distances of the turned points from those seen."""
    return 0.5 * jnp.sum((q.rotate(points) - seen) ** 2)


def fit(q: Quaternion, points: pb.Array, seen: pb.Array, steps: int = 50) -> Quaternion:
    """Gradient descent with momentum. The momentum is a turn too: it lives in the tangent space."""
    size = jnp.sum(points**2)

    def step(_: int, state: tuple[Quaternion, Turn]) -> tuple[Quaternion, Turn]:
        q, momentum = state
        g = pb.grad(mismatch)(q, points, seen)
        momentum = pb.tree.map(lambda m, g: 0.5 * m - g / size, momentum, g)
        return custom_types.apply_updates(q, momentum), momentum

    return pb.lax.fori_loop(0, steps, step, (q, custom_types.zero_tangents(q)))[0]


def best_rotation(points: pb.Array, seen: pb.Array) -> pb.Array:
    """The rotation matrix in closed form (Kabsch 1976): the peer of `fit`."""
    u, _, vt = jnp.linalg.svd(seen.T @ points)
    sign = jnp.sign(jnp.linalg.det(u @ vt))
    return u @ jnp.diag(jnp.stack([jnp.ones_like(sign), jnp.ones_like(sign), sign])) @ vt


def main() -> None:
    """Fit a rotation, alone and as a batch, and compare."""
    keys = pb.random.split(pb.random.key(0), 3)
    points = pb.random.normal(keys[0], (20, 3))
    truth = exp(Turn(jnp.array([1.0, -0.5, 0.7])))
    seen = truth.rotate(points) + 0.01 * pb.random.normal(keys[1], points.shape)

    start = Quaternion(jnp.array([1.0, 0.0, 0.0, 0.0]))
    print("gradient:", pb.grad(mismatch)(start, points, seen))
    found = pb.jit(fit)(start, points, seen)
    print("length:", jnp.linalg.norm(found.numbers))
    off = found.rotate(points) - points @ best_rotation(points, seen).T
    print("largest distance from the closed form:", jnp.max(jnp.abs(off)))

    # From several starts at once.
    turns = Turn(0.5 * pb.random.normal(keys[2], (8, 3)))
    starts = pb.vmap(lambda turn: start.retract(turn))(turns)
    many = pb.jit(pb.vmap(fit, in_axes=(0, None, None)))(starts, points, seen)
    misses = pb.vmap(lambda q: mismatch(q, points, seen))(many)
    print("mismatch from 8 starts:", jnp.min(misses), "to", jnp.max(misses))


if __name__ == "__main__":
    main()
