"""BA: bundle adjustment, the reprojection errors and weight errors, and their sparse Jacobian.

A camera is (r1 r2 r3, C1 C2 C3, f, u0 v0, k1 k2): rotation as an axis times an angle, centre,
focal length, principal point, radial distortion. Observation i sees point X with camera c:

    p = R(r) (X - C),  v = (p1, p2) / p3,  error = w ((1 + k1 |v|^2 + k2 |v|^4) v f + u - feature)

and adds the weight error 1 - w^2. The Jacobian has 2p + p rows and 11n + 3m + p columns
(cameras, points, weights). Here it is the values of a CSR matrix, in the order of ADBench's
`BASparseMat`: 2 rows of 15 values for each observation, then one value for each weight. The
places of the values depend on no parameter, so they are built once (`places`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .work import Work, jitted

CAMERA = 11
ROW = CAMERA + 3 + 1

SIZES = {
    "ba1": (49, 7776, 31843),
    "ba2": (21, 11315, 36455),
    "ba3": (161, 48126, 182072),
    "ba4": (372, 47423, 204472),
    "ba5": (257, 65132, 225911),
}
DEFAULT = ("ba1", "ba2")


@dataclass(frozen=True)
class Data:
    """cameras (n, 11), points (m, 3), weights (p,), features (p, 2), and seen (p, 2): which camera
    sees which point."""

    cameras: np.ndarray
    points: np.ndarray
    weights: np.ndarray
    seen: np.ndarray
    features: np.ndarray

    @property
    def parameters(self) -> tuple[np.ndarray, ...]:
        """What is differentiated."""
        return self.cameras, self.points, self.weights


def make(n: int, m: int, p: int, seed: int = 0) -> Data:
    """Random cameras before random points; observation i is of camera i mod n and point i mod m.

    ADBench's files hold one camera, one point and one feature, and repeat them: here all differ.
    """
    rng = np.random.default_rng(seed)
    cameras = np.concatenate(
        [
            rng.uniform(-0.3, 0.3, (n, 3)),
            rng.uniform(-1, 1, (n, 3)) - [0, 0, 8],
            rng.uniform(500, 1500, (n, 1)),
            rng.uniform(-10, 10, (n, 2)),
            rng.uniform(-0.1, 0.1, (n, 2)),
        ],
        axis=1,
    )
    return Data(
        cameras=cameras,
        points=rng.uniform(-2, 2, (m, 3)),
        weights=rng.uniform(0.5, 1.5, p),
        seen=np.stack([np.arange(p) % n, np.arange(p) % m], 1),
        features=rng.uniform(-500, 500, (p, 2)),
    )


def start(data: Data) -> np.ndarray:
    """Cameras, points and weights in one vector: the columns of the Jacobian."""
    return np.concatenate([each.ravel() for each in data.parameters])


def places(data: Data) -> tuple[np.ndarray, np.ndarray]:
    """The CSR matrix's row starts (3p + 1,) and columns (31p,)."""
    n, m, p = len(data.cameras), len(data.points), len(data.weights)
    camera, point = data.seen.T
    row = np.concatenate(
        [
            CAMERA * camera[:, None] + np.arange(CAMERA),
            CAMERA * n + 3 * point[:, None] + np.arange(3),
            CAMERA * n + 3 * m + np.arange(p)[:, None],
        ],
        axis=1,
    )
    columns = np.concatenate([np.repeat(row, 2, axis=0).ravel(), row[:, -1]])
    lengths = np.concatenate([np.full(2 * p, ROW), np.ones(p, int)])
    return np.concatenate([[0], np.cumsum(lengths)]), columns


def product(data: Data, jacobian: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The sparse matrix, given by its values, times a direction."""
    starts, columns = places(data)
    return np.add.reduceat(jacobian * direction[columns], starts[:-1])


# --- the reference: a loop over observations ---


def reference(data: Data, vector: np.ndarray) -> np.ndarray:
    """The reprojection errors (2p) and the weight errors (p), by their definition."""
    n, m, p = len(data.cameras), len(data.points), len(data.weights)
    cameras = vector[: CAMERA * n].reshape(n, CAMERA)
    points = vector[CAMERA * n : CAMERA * n + 3 * m].reshape(m, 3)
    weights = vector[CAMERA * n + 3 * m :]
    errors = np.empty((p, 2), vector.dtype)
    for i in range(p):
        camera, point = data.seen[i]
        u, v = _project(*cameras[camera], *points[point])
        errors[i, 0] = weights[i] * (u - data.features[i, 0])
        errors[i, 1] = weights[i] * (v - data.features[i, 1])
    return np.concatenate([errors.ravel(), 1 - weights * weights])


def _project(
    r1: Any, r2: Any, r3: Any, c1: Any, c2: Any, c3: Any, f: Any, u0: Any, v0: Any, k1: Any,
    k2: Any, x1: Any, x2: Any, x3: Any,
) -> tuple[Any, Any]:  # fmt: skip
    y1, y2, y3 = x1 - c1, x2 - c2, x3 - c3
    p1, p2, p3 = _rotate(r1, r2, r3, y1, y2, y3)
    a, b = p1 / p3, p2 / p3
    square = a * a + b * b
    stretch = (1 + k1 * square + k2 * square * square) * f
    return a * stretch + u0, b * stretch + v0


def _rotate(r1: Any, r2: Any, r3: Any, y1: Any, y2: Any, y3: Any) -> tuple[Any, Any, Any]:
    square = r1 * r1 + r2 * r2 + r3 * r3
    # In the limit of no rotation only the cross product is left of the derivative.
    if square == 0:
        return y1 + r2 * y3 - r3 * y2, y2 + r3 * y1 - r1 * y3, y3 + r1 * y2 - r2 * y1
    angle = np.sqrt(square)
    c, s = np.cos(angle), np.sin(angle)
    a1, a2, a3 = r1 / angle, r2 / angle, r3 / angle
    along = (a1 * y1 + a2 * y2 + a3 * y3) * (1 - c)
    return (
        y1 * c + (a2 * y3 - a3 * y2) * s + a1 * along,
        y2 * c + (a3 * y1 - a1 * y3) * s + a2 * along,
        y3 * c + (a1 * y2 - a2 * y1) * s + a3 * along,
    )


# --- the systems ---


def in_jax(data: Data, jax: Any, jnp: Any) -> Work:
    """For a system with JAX's API: one observation's function, mapped over all."""
    camera_of, point_of = jnp.asarray(data.seen[:, 0]), jnp.asarray(data.seen[:, 1])
    features = jnp.asarray(data.features)

    def rotate(r: Any, y: Any) -> Any:
        square = jnp.sum(r**2)
        turned = square != 0
        angle = jnp.sqrt(jnp.where(turned, square, 1.0))
        c, s, axis = jnp.cos(angle), jnp.sin(angle), r / angle
        full = y * c + jnp.cross(axis, y) * s + axis * (jnp.dot(axis, y) * (1 - c))
        return jnp.where(turned, full, y + jnp.cross(r, y))

    def reprojection(row: Any, feature: Any) -> Any:
        camera, point, weight = row[:CAMERA], row[CAMERA : CAMERA + 3], row[-1]
        p = rotate(camera[:3], point - camera[3:6])
        v = p[:2] / p[2]
        square = jnp.sum(v**2)
        stretch = 1 + camera[9] * square + camera[10] * square * square
        return weight * (v * stretch * camera[6] + camera[7:9] - feature)

    def rows(cameras: Any, points: Any, weights: Any) -> Any:
        return jnp.concatenate([cameras[camera_of], points[point_of], weights[:, None]], 1)

    def objective(cameras: Any, points: Any, weights: Any) -> Any:
        errors = jax.vmap(reprojection)(rows(cameras, points, weights), features)
        return errors.ravel(), jax.vmap(weight_error)(weights)

    def jacobian(cameras: Any, points: Any, weights: Any) -> Any:
        blocks = jax.vmap(jax.jacrev(reprojection))(rows(cameras, points, weights), features)
        return jnp.concatenate([blocks.ravel(), jax.vmap(jax.grad(weight_error))(weights)])

    return jitted(jax, objective, jacobian, tuple(map(jnp.asarray, data.parameters)))


def weight_error(weight: Any) -> Any:
    """What keeps a weight at 1."""
    return 1 - weight**2


def in_torch(data: Data, torch: Any) -> Work:
    """PyTorch, eager: all observations at once; see `_by_rows`."""
    camera_of, point_of = torch.tensor(data.seen[:, 0]), torch.tensor(data.seen[:, 1])
    features = torch.tensor(data.features)

    def rows() -> Any:
        return torch.cat([cameras[camera_of], points[point_of], weights[:, None]], 1)

    def reprojection(row: Any) -> Any:
        p = _rotate_rows(row[:, :3], row[:, 11:14] - row[:, 3:6], torch, torch.linalg.cross)
        return _errors_of_rows(row, p, features)

    def jacobian() -> Any:
        row, weight = rows().requires_grad_(), weights.clone().requires_grad_()
        errors = reprojection(row)
        (first,) = torch.autograd.grad(errors[:, 0].sum(), row, retain_graph=True)
        (second,) = torch.autograd.grad(errors[:, 1].sum(), row)
        (slopes,) = torch.autograd.grad(weight_error(weight).sum(), weight)
        return torch.cat([torch.stack([first, second], 1).ravel(), slopes])

    cameras, points, weights = map(torch.tensor, data.parameters)
    return Work(lambda: (reprojection(rows()).ravel(), weight_error(weights)), jacobian)


def in_autograd(data: Data, autograd: Any, anp: Any) -> Work:
    """HIPS autograd: all observations at once; see `_by_rows`."""
    cameras, points, weights = data.parameters

    def rows() -> Any:
        return np.concatenate(
            [cameras[data.seen[:, 0]], points[data.seen[:, 1]], weights[:, None]], 1
        )

    def reprojection(row: Any) -> Any:
        p = _rotate_rows(row[:, :3], row[:, 11:14] - row[:, 3:6], anp, anp.cross)
        return _errors_of_rows(row, p, data.features)

    def jacobian() -> Any:
        pull, errors = autograd.make_vjp(reprojection)(rows())
        first, second = (pull(np.broadcast_to(each, errors.shape)) for each in np.eye(2))
        slopes = autograd.elementwise_grad(weight_error)(weights)
        return np.concatenate([np.stack([first, second], 1).ravel(), slopes])

    return Work(lambda: (reprojection(rows()).ravel(), weight_error(weights)), jacobian)


def _rotate_rows(r: Any, y: Any, xp: Any, cross: Any) -> Any:
    """`_rotate` for arrays (p, 3).

    An observation's errors depend on its own row only, so the sum of all first errors has the
    first rows of all blocks as its gradient: two reverse passes give all, without vmap.
    """
    square = (r * r).sum(1)[:, None]
    turned = square != 0
    angle = xp.sqrt(xp.where(turned, square, 1.0))
    c, s, axis = xp.cos(angle), xp.sin(angle), r / angle
    along = (axis * y).sum(1)[:, None] * (1 - c)
    full = y * c + cross(axis, y) * s + axis * along
    return xp.where(turned, full, y + cross(r, y))


def _errors_of_rows(row: Any, p: Any, features: Any) -> Any:
    """(p, 2): the reprojection errors, from rows (p, 15) and points before the camera (p, 3)."""
    v = p[:, :2] / p[:, 2:]
    square = (v * v).sum(1)[:, None]
    stretch = 1 + row[:, 9:10] * square + row[:, 10:11] * square * square
    return row[:, 14:] * (v * stretch * row[:, 6:7] + row[:, 7:9] - features)
