"""Rotations of space, as unit quaternions (x, y, z, w).

All forms can be differentiated, also at the rotation by 0, where the length of the rotation vector
cannot: what depends on it is computed from its square.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ... import numpy as jnp
from ... import random
from ...core.array import Array
from ...core.errors import error
from ...numpy.promotion import inexact
from ..normal import horner

__all__ = ["Rotation", "Slerp"]

_EPS = 1e-7


class Rotation(NamedTuple):
    """One rotation, or a stack of them.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.spatial.transform import Rotation
      >>> turn = Rotation.from_euler("z", 90., degrees=True)
      >>> print(turn.apply(jnp.array([1., 0., 0.])).round(3))
      [0. 1. 0.]
    """

    quat: Array
    """Of shape ``(4,)`` or ``(n, 4)``."""

    # ---- made of

    @classmethod
    def from_quat(cls, quat: Any) -> Rotation:
        """Of quaternions (x, y, z, w), which are divided by their length."""
        q = _vectors("Rotation.from_quat", quat, 4)
        return cls(q / jnp.sqrt(jnp.sum(q * q, axis=-1, keepdims=True)))

    @classmethod
    def from_matrix(cls, matrix: Any) -> Rotation:
        """Of orthogonal matrices of determinant 1, of shape ``(..., 3, 3)``."""
        m = _vectors("Rotation.from_matrix", matrix, 3)
        if m.shape[-2:-1] != (3,):
            raise _wrong_shape("Rotation.from_matrix", m, "(..., 3, 3)")
        return cls.from_quat(_of_matrix(m))

    @classmethod
    def from_rotvec(cls, rotvec: Any, degrees: bool = False) -> Rotation:
        """Of vectors along the axis of rotation whose length is the angle."""
        v = _vectors("Rotation.from_rotvec", rotvec, 3)
        return cls(_of_rotvec(jnp.deg2rad(v) if degrees else v))

    @classmethod
    def from_mrp(cls, mrp: Any) -> Rotation:
        """Of modified Rodrigues parameters: along the axis, of the length tan(angle / 4)."""
        p = _vectors("Rotation.from_mrp", mrp, 3)
        square = jnp.sum(p * p, axis=-1, keepdims=True)
        return cls(jnp.concatenate([2 * p, 1 - square], axis=-1) / (1 + square))

    @classmethod
    def from_euler(cls, seq: str, angles: Any, degrees: bool = False) -> Rotation:
        """Of angles of rotation around coordinate axes, one after another.

        Args:
          seq: one to three of "xyz" for axes that stay, or of "XYZ" for axes that turn along.
          angles: of shape ``(..., len(seq))``; a scalar for one axis.
          degrees: whether the angles are in degrees.

        Raises:
          ValueError: `seq` is another, or the shape does not fit.
        """
        axes = _axes(seq)
        angle = jnp.atleast_1d(inexact("Rotation.from_euler", angles))
        if angle.shape[-1] != len(axes):
            raise error(
                ValueError,
                f"Expected {len(axes)} angles for the axes {seq!r}.",
                got=f"angles.shape={angle.shape}",
                fix="let the last axis run over the angles.",
            )
        half = 0.5 * (jnp.deg2rad(angle) if degrees else angle)
        found: Any = None
        for i, axis in enumerate(axes):
            sine, zero = jnp.sin(half[..., i]), jnp.zeros_like(half[..., i])
            parts = [sine if k == axis else zero for k in range(3)]
            one = jnp.stack([*parts, jnp.cos(half[..., i])], axis=-1)
            if found is None:
                found = one
            else:
                found = _product(found, one) if seq[0].isupper() else _product(one, found)
        return cls(found)

    @classmethod
    def identity(cls, num: int | None = None, dtype: Any = float) -> Rotation:
        """The rotation by 0; `num` of them in a stack, unless that is None."""
        one = jnp.array([0.0, 0.0, 0.0, 1.0], dtype=dtype)
        return cls(one if num is None else jnp.broadcast_to(one, (num, 4)))

    @classmethod
    def random(cls, random_key: Any, num: int | None = None) -> Rotation:
        """Rotations that are all equally likely: one, or a stack of `num`."""
        return cls.from_quat(random.normal(random_key, (4,) if num is None else (num, 4)))

    @classmethod
    def concatenate(cls, rotations: Sequence[Rotation]) -> Rotation:
        """The stack of several stacks."""
        return cls(jnp.concatenate([r.quat for r in rotations]))

    # ---- given as

    def as_quat(self, canonical: bool = False, scalar_first: bool = False) -> Array:
        """The quaternions (x, y, z, w), or (w, x, y, z) if `scalar_first`.

        Of q and -q, which are the same rotation, `canonical` takes that with the first of w, x, y,
        z that is not 0 positive.
        """
        quat = _canonical(self.quat) if canonical else self.quat
        return jnp.roll(quat, 1, axis=-1) if scalar_first else quat

    def as_matrix(self) -> Array:
        """The matrices, of shape ``(..., 3, 3)``."""
        x, y, z, w = (self.quat[..., i] for i in range(4))
        rows = [
            [x * x - y * y - z * z + w * w, 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), -x * x + y * y - z * z + w * w, 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), -x * x - y * y + z * z + w * w],
        ]
        return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)

    def as_rotvec(self, degrees: bool = False) -> Array:
        """The vectors along the axis of rotation whose length is the angle, from 0 to pi."""
        quat = jnp.where(self.quat[..., 3:] < 0, -self.quat, self.quat)
        v, w = quat[..., :3], quat[..., 3:]
        square = jnp.sum(v * v, axis=-1, keepdims=True)
        # angle / sin(angle / 2) is 2 atan(r) / r / w, with r = tan(angle / 2).
        near = square < 0.03 * w * w
        r2 = jnp.where(near, square, 0) / jnp.where(near, w * w, 1)
        small = 2 * horner(_ATAN, r2) / jnp.where(near, w, 1)
        size = jnp.sqrt(jnp.where(near, 1, square))
        vector = jnp.where(near, small, 2 * jnp.arctan2(size, w) / size) * v
        return jnp.rad2deg(vector) if degrees else vector

    def as_mrp(self) -> Array:
        """The modified Rodrigues parameters, of lengths up to 1."""
        sign = jnp.where(self.quat[..., 3:] < 0, -1, 1).astype(self.quat.dtype)
        return sign * self.quat[..., :3] / (1 + sign * self.quat[..., 3:])

    def as_euler(self, seq: str, degrees: bool = False) -> Array:
        """The angles around three axes: see `from_euler`.

        Where two of them turn around one axis, the last is 0. The method is that of E. Bernardes
        and S. Viollet, "Quaternion to Euler angles conversion" (2022).

        Raises:
          ValueError: `seq` does not name three axes.
        """
        if len(seq) != 3:
            raise error(
                ValueError, f"Expected 3 axes, got {seq}.", got=f"seq={seq!r}", fix='try "xyz".'
            )
        angles = _euler(self.quat, _axes(seq), seq[0].islower())
        return jnp.rad2deg(angles) if degrees else angles

    # ---- what they do

    def apply(self, vectors: Any, inverse: bool = False) -> Array:
        """The vectors of shape ``(..., 3)``, turned; or turned back if `inverse`."""
        v = _vectors("Rotation.apply", vectors, 3)
        matrix = self.as_matrix()
        if inverse:
            matrix = jnp.swapaxes(matrix, -1, -2)
        return jnp.sum(matrix * v[..., None, :], axis=-1)

    def __mul__(self, other: Any) -> Rotation:  # type: ignore[override]
        """First `other`, then this one."""
        return Rotation.from_quat(_product(self.quat, other.quat))

    def inv(self) -> Rotation:
        """The rotations back."""
        return Rotation(self.quat * np.array([-1, -1, -1, 1], self.quat.dtype))

    def magnitude(self) -> Array:
        """The angles, from 0 to pi."""
        return 2 * jnp.arctan2(_length(self.quat[..., :3]), jnp.abs(self.quat[..., 3]))

    def mean(self, weights: Any = None) -> Rotation:
        """The rotation that is on the average nearest to those of the stack.

        Raises:
          ValueError: there are not as many weights as rotations.
        """
        w = jnp.ones(len(self), self.quat.dtype)
        if weights is not None:
            w = jnp.asarray(weights, self.quat.dtype)
        if w.shape != (len(self),):
            what = (
                f"Expected `weights` to be 1 dimensional, got shape {w.shape}."
                if w.ndim != 1
                else "Expected as many `weights` as rotations."
            )
            raise error(
                ValueError,
                what,
                got=f"weights.shape={w.shape}, {len(self)} rotations",
                fix="give one weight for each rotation.",
            )
        moments = jnp.dot(w * self.quat.T, self.quat)
        return Rotation(jnp.linalg.eigh(moments)[1][:, -1])

    @property
    def single(self) -> bool:
        """Whether it is one rotation, not a stack."""
        return bool(self.quat.ndim == 1)

    def __getitem__(self, indexer: Any) -> Rotation:  # type: ignore[override]
        if self.single:
            raise _single("is not subscriptable")
        return Rotation(self.quat[indexer])

    def __len__(self) -> int:
        if self.single:
            raise _single("has no len()")
        return int(self.quat.shape[0])


class Slerp(NamedTuple):
    """Rotations between rotations at given times, by turning evenly: see `init`."""

    times: Array
    timedelta: Array
    rotations: Rotation
    rotvecs: Array

    @classmethod
    def init(cls, times: Any, rotations: Rotation) -> Slerp:
        """Between `rotations`, a stack of at least two, at the ascending `times`.

        Raises:
          TypeError: `rotations` is no Rotation.
          ValueError: it is no stack of two or more, or there are not as many times.
        """
        if not isinstance(rotations, Rotation):
            raise error(
                TypeError,
                "`rotations` must be a `Rotation` instance.",
                got=type(rotations).__name__,
                fix="use Rotation.from_quat(...) or another of its constructors.",
            )
        if rotations.single or len(rotations) == 1:
            raise error(
                ValueError,
                "`rotations` must be a sequence of at least 2 rotations.",
                got=f"quaternions of shape {rotations.quat.shape}",
                fix="stack them with Rotation.concatenate.",
            )
        at = jnp.asarray(times, rotations.quat.dtype)
        if at.shape != (len(rotations),):
            raise error(
                ValueError,
                "Expected times to be specified in a 1 dimensional array."
                if at.ndim != 1
                else "Expected number of rotations to be equal to number of timestamps given.",
                got=f"times.shape={at.shape}, {len(rotations)} rotations",
                fix="give one time for each rotation.",
            )
        first, last = Rotation(rotations.quat[:-1]), Rotation(rotations.quat[1:])
        return cls(at, jnp.diff(at), first, (first.inv() * last).as_rotvec())

    def __call__(self, times: Any) -> Rotation:
        """The rotations at `times`, a number or a vector; beyond the ends they turn on."""
        at = jnp.asarray(times, self.times.dtype)
        if at.ndim > 1:
            raise error(
                ValueError,
                "`times` must be at most 1-dimensional.",
                got=f"times.shape={at.shape}",
                fix="use .ravel().",
            )
        each = jnp.atleast_1d(at)
        before = jnp.searchsorted(self.times, each) - 1
        place = jnp.clip(before, 0, self.timedelta.shape[0] - 1)
        share = (each - self.times[place]) / self.timedelta[place]
        turn = Rotation.from_rotvec(self.rotvecs[place] * share[:, None])
        found = Rotation(self.rotations.quat[place]) * turn
        return Rotation(found.quat[0]) if at.ndim == 0 else found


# ---- quaternions

# The series of atan(r) / r in r^2, of which 11 terms are enough for r^2 < 0.03.
_ATAN = [(-1) ** k / (2 * k + 1) for k in range(11)][::-1]
# Those of sin(a / 2) / a and cos(a / 2) in a^2, for a^2 < 1.
_SINE = [(-0.25) ** k / (2 * math.factorial(2 * k + 1)) for k in range(8)][::-1]
_COSINE = [(-0.25) ** k / math.factorial(2 * k) for k in range(8)][::-1]


def _of_rotvec(v: Any) -> Any:
    square = jnp.sum(v * v, axis=-1, keepdims=True)
    near = square < 1
    inner, angle = jnp.where(near, square, 0), jnp.sqrt(jnp.where(near, 1, square))
    scale = jnp.where(near, horner(_SINE, inner), jnp.sin(angle / 2) / angle)
    w = jnp.where(near, horner(_COSINE, inner), jnp.cos(angle / 2))
    return jnp.concatenate([scale * v, w], axis=-1)


def _of_matrix(m: Any) -> Any:
    """Quaternions, not of length 1: of four formulas that of the largest component."""
    trace = m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]
    candidates = []
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        parts = {
            i: 1 - trace + 2 * m[..., i, i],
            j: m[..., j, i] + m[..., i, j],
            k: m[..., k, i] + m[..., i, k],
            3: m[..., k, j] - m[..., j, k],
        }
        candidates.append(jnp.stack([parts[n] for n in range(4)], axis=-1))
    last = [m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]]
    candidates.append(jnp.stack([*last, 1 + trace], axis=-1))
    sizes = jnp.stack([m[..., 0, 0], m[..., 1, 1], m[..., 2, 2], trace], axis=-1)
    choice = jnp.argmax(sizes, axis=-1)[..., None, None]
    return jnp.take_along_axis(jnp.stack(candidates, axis=-2), choice, axis=-2)[..., 0, :]


def _product(p: Any, q: Any) -> Any:
    a, b, c, d = (p[..., i] for i in range(4))
    x, y, z, w = (q[..., i] for i in range(4))
    parts = [
        d * x + a * w + b * z - c * y,
        d * y - a * z + b * w + c * x,
        d * z + a * y - b * x + c * w,
        d * w - a * x - b * y - c * z,
    ]
    return jnp.stack(parts, axis=-1)


def _canonical(quat: Any) -> Any:
    x, y, z, w = (quat[..., i] for i in range(4))
    first = jnp.where(w != 0, w, jnp.where(x != 0, x, jnp.where(y != 0, y, z)))
    return jnp.where(first[..., None] < 0, -quat, quat)


def _length(v: Any) -> Any:
    """The length of vectors, with a derivative of 0 where it is 0."""
    square = jnp.sum(v * v, axis=-1)
    zero = square == 0
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, square)))


def _axes(seq: str) -> list[int]:
    what = ""
    if not 1 <= len(seq) <= 3:
        what = (
            f"Expected axis specification to be a non-empty string of upto 3 characters, got {seq}"
        )
    elif not set(seq) <= set("xyz") and not set(seq) <= set("XYZ"):
        what = f"Expected axes from `seq` to be from ['x', 'y', 'z'] or ['X', 'Y', 'Z'], got {seq}"
    elif any(a == b for a, b in pairwise(seq)):
        what = f"Expected consecutive axes to be different, got {seq}"
    if what:
        raise error(ValueError, f"{what}.", got=f"seq={seq!r}", fix='try "xyz" or "ZYX".')
    return ["xyz".index(c) for c in seq.lower()]


def _euler(quat: Any, axes: list[int], extrinsic: bool) -> Any:
    i, j, k = axes if extrinsic else axes[::-1]
    symmetric = i == k
    k = 3 - i - j if symmetric else k
    sign = (i - j) * (j - k) * (k - i) // 2
    qi, qj, qk, w = (quat[..., n] for n in (i, j, k, 3))
    if symmetric:
        a, b, c, d = w, qi, qj, qk * sign
    else:
        a, b, c, d = w - qj, qi + qk * sign, qj + w, qk * sign - qi
    left, right = _length(jnp.stack([c, d], axis=-1)), _length(jnp.stack([a, b], axis=-1))
    middle = 2 * jnp.arctan2(left, right)
    at_0, at_pi = jnp.abs(middle) <= _EPS, jnp.abs(middle - math.pi) <= _EPS
    # The sum or the difference of the two others is then open: 0 / 0.
    total = jnp.arctan2(jnp.where(at_pi, 0, b), jnp.where(at_pi, 1, a))
    spread = jnp.arctan2(jnp.where(at_0, 0, d), jnp.where(at_0, 1, c))
    first, third = total - spread, total + spread
    alone = jnp.where(at_0, 2 * total, 2 * spread * (-1 if extrinsic else 1))
    locked, none = at_0 | at_pi, jnp.zeros_like(middle)
    start, end = (first, third) if extrinsic else (third, first)
    start, end = jnp.where(locked, alone, start), jnp.where(locked, none, end)
    if not symmetric:
        middle = middle - math.pi / 2
        if extrinsic:
            end = end * sign
        else:
            start = start * sign
    angles = jnp.stack([start, middle, end], axis=-1)
    high, low = angles > math.pi, angles < -math.pi
    return jnp.where(high, angles - 2 * math.pi, jnp.where(low, angles + 2 * math.pi, angles))


def _single(what: str) -> Exception:
    return error(
        TypeError,
        f"Single rotation {what}.",
        got="quaternion of shape (4,)",
        fix="make a stack: Rotation(quat[None]).",
    )


def _vectors(name: str, x: Any, n: int) -> Any:
    """Floats whose last axis has `n` elements."""
    x = inexact(name, x)
    if x.shape[-1:] != (n,):
        raise _wrong_shape(name, x, f"(..., {n})")
    return x


def _wrong_shape(name: str, x: Any, shape: str) -> ValueError:
    return error(
        ValueError,
        f"{name} takes arrays of shape {shape}.",
        got=x.aval.str_short(),
        fix="let the last axes run over the components; axes in front are a stack.",
    )
