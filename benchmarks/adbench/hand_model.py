"""Hand tracking, the model and its data: distances between measured points and a skinned hand.

22 bones (wrist, five fingers of four, forearm) and 26 parameters theta: global rotation (3) and
translation (3), and for each finger a bend and a spread of its second bone and bends of its third
and fourth. A vertex is the weighted sum, over bones, of where each bone takes it:

    vertex_v = R(theta[:3]) sum_b weights[v, b] (A_b B_b base_v) + theta[3:6],
    A_b = A_parent(b) relative_b rotation_b(theta),  B_b = inverse of A_b at rest

Simple: errors are points - vertices[correspondences]; the Jacobian is dense, 26 columns.
Complicated: a correspondence is a triangle, a point's place in it is (u1, u2), and 2 parameters a
point are added. An error depends on its own u only, so the Jacobian is compressed as ADBench's: the
columns of all u1 share one, those of all u2 another, then come theta's 26.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

BONES = 22
VERTICES, TRIANGLES = 544, 1084
THETA = 26

_COUNTS = (100, 192, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 100_000)

SIZES = {
    f"{kind}_c{count}": (count, kind == "complicated")
    for kind in ("simple", "complicated")
    for count in _COUNTS
}
DEFAULT = ("simple_c100", "simple_c800", "complicated_c100", "complicated_c800")


@dataclass(frozen=True)
class Data:
    """The model and the measurements; `us` (c, 2) is empty in the simple problem.

    parents (22,), relatives (22, 4, 4), inverses (22, 4, 4), base (v, 4), weights (v, 22),
    triangles (t, 3), correspondences (c,), points (c, 3), theta (26,).
    """

    parents: np.ndarray
    relatives: np.ndarray
    inverses: np.ndarray
    base: np.ndarray
    weights: np.ndarray
    triangles: np.ndarray
    correspondences: np.ndarray
    points: np.ndarray
    theta: np.ndarray
    us: np.ndarray

    @property
    def corners(self) -> np.ndarray:
        """(c, 1) or (c, 3): the vertices that a measured point is compared with."""
        at = self.correspondences
        return self.triangles[at] if len(self.us) else at[:, None]


def make(
    count: int,
    complicated: bool,
    vertices: int = VERTICES,
    triangles: int = TRIANGLES,
    seed: int = 0,
) -> Data:
    """A random skeleton with the hand's tree, random vertices near it, and random measurements."""
    rng = np.random.default_rng(seed)
    parents = np.array([-1, *(0 if i % 4 == 0 else i for i in range(20)), 0])
    relatives = np.tile(np.eye(4), (BONES, 1, 1))
    relatives[:, :3, :3] = [_euler(*angles) for angles in rng.uniform(-0.5, 0.5, (BONES, 3))]
    relatives[:, :3, 3] = rng.uniform(-0.5, 1, (BONES, 3))
    rest = _absolutes(parents, relatives)
    weights = np.where(rng.uniform(size=(vertices, BONES)) < 0.15, rng.uniform(size=BONES), 0)
    weights[np.arange(vertices), rng.integers(BONES, size=vertices)] += 1
    nearest = np.array([rest[bone][:3, 3] for bone in weights.argmax(1)])
    return Data(
        parents=parents,
        relatives=relatives,
        inverses=np.linalg.inv(rest),
        base=np.c_[nearest + rng.normal(scale=0.2, size=(vertices, 3)), np.ones(vertices)],
        weights=weights / weights.sum(1, keepdims=True),
        triangles=rng.integers(vertices, size=(triangles, 3)),
        correspondences=rng.integers(triangles if complicated else vertices, size=count),
        points=rng.normal(size=(count, 3)),
        theta=rng.uniform(-0.8, 0.8, THETA),
        us=rng.dirichlet(np.ones(3), count)[:, :2] if complicated else np.empty((0, 2)),
    )


def start(data: Data) -> np.ndarray:
    """us and theta in one vector."""
    return np.concatenate([data.us.ravel(), data.theta])


def product(data: Data, jacobian: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The Jacobian times a direction, as a vector (3c,); it undoes the compression of us."""
    jacobian = jacobian.reshape(len(data.points), 3, -1)
    along = jacobian[:, :, -THETA:] @ direction[-THETA:]
    if len(data.us):
        us = direction[:-THETA].reshape(-1, 2)
        along = along + np.einsum("cij,cj->ci", jacobian[:, :, :2], us)
    return along.ravel()


def bends() -> np.ndarray:
    """(22, 3): which parameter is a bone's angle about x, z and y, counted from 1; 0 for none."""
    found = np.zeros((BONES, 3), np.int64)
    for finger in range(5):
        bone, parameter = 2 + 4 * finger, 7 + 4 * finger
        found[bone, :2] = parameter, parameter + 1
        found[bone + 1, 0] = parameter + 2
        found[bone + 2, 0] = parameter + 3
    return found


# --- the reference: loops over bones and measurements ---


def reference(data: Data, vector: np.ndarray) -> np.ndarray:
    """The errors (3c,) by their definition."""
    us, theta = vector[:-THETA].reshape(-1, 2), vector[-THETA:]
    posed = []
    at = 6
    angles = np.zeros((BONES, 3), vector.dtype)
    for finger in range(5):
        for joint in (2, 3, 4):
            bone = 4 * finger + joint
            angles[bone, 0] = theta[at]
            at += 1
            if joint == 2:
                angles[bone, 1] = theta[at]
                at += 1
    for bone in range(BONES):
        turn = np.eye(4, dtype=vector.dtype)
        turn[:3, :3] = _euler(*angles[bone])
        posed.append(data.relatives[bone] @ turn)
    absolutes = _absolutes(data.parents, posed)
    vertices = np.zeros((len(data.base), 3), vector.dtype)
    for bone in range(BONES):
        moved = data.base @ (absolutes[bone] @ data.inverses[bone]).T
        vertices = vertices + moved[:, :3] * data.weights[:, bone, None]
    vertices = vertices @ _rotation(theta[:3]).T + theta[3:6]
    errors = []
    for i, corners in enumerate(data.corners):
        place = vertices[corners[0]]
        if len(us):
            u, v = us[i]
            a, b, c = vertices[corners]
            place = u * a + v * b + (1 - u - v) * c
        errors.append(data.points[i] - place)
    return np.concatenate(errors)


def _absolutes(parents: Any, relatives: Any) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    for parent, relative in zip(parents, relatives):
        found.append(relative if parent < 0 else found[parent] @ relative)
    return found


def _euler(x: Any, z: Any, y: Any) -> np.ndarray:
    about_x = [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]
    about_y = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    about_z = [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]
    return np.array(about_z) @ np.array(about_y) @ np.array(about_x)


def _rotation(axis: np.ndarray) -> np.ndarray:
    angle = np.sqrt((axis * axis).sum())
    if angle.real < 1e-4:  # ADBench's own threshold
        return np.eye(3, dtype=axis.dtype)
    x, y, z = axis / angle
    s, c = np.sin(angle), np.cos(angle)
    return np.array(
        [
            [x * x + (1 - x * x) * c, x * y * (1 - c) - z * s, x * z * (1 - c) + y * s],
            [x * y * (1 - c) + z * s, y * y + (1 - y * y) * c, y * z * (1 - c) - x * s],
            [x * z * (1 - c) - y * s, y * z * (1 - c) + x * s, z * z + (1 - z * z) * c],
        ]
    )
