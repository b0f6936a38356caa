"""Hand tracking in the systems: all bones, vertices and measurements at once.

One formula, written against the few functions that the four namespaces share, so that all are
given the same arithmetic. What they do not share stands in `Names`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .hand_model import DEFAULT, SIZES, Data, bends, make, product, reference, start
from .work import Work, jitted

__all__ = [
    "DEFAULT",
    "SIZES",
    "in_autograd",
    "in_jax",
    "in_torch",
    "make",
    "product",
    "reference",
    "start",
]


@dataclass(frozen=True)
class Names:
    """A namespace, and how it makes an array, and an array of indices."""

    xp: Any
    array: Callable[[np.ndarray], Any]
    join: Callable[[list[Any]], Any]
    """Concatenate along the first axis."""


def levels(parents: np.ndarray) -> list[np.ndarray]:
    """The bones by their distance from the root: those of one level are multiplied at once."""
    depth = np.zeros(len(parents), np.int64)
    for bone, parent in enumerate(parents):
        depth[bone] = 0 if parent < 0 else depth[parent] + 1
    return [np.flatnonzero(depth == each) for each in range(depth.max() + 1)]


def objective(data: Data, names: Names) -> Callable[[Any, Any], Any]:
    """The errors (c, 3), a function of us (c, 2) and theta (26,)."""
    array, xp = names.array, names.xp
    base, weights = array(data.base), array(data.weights)
    points, inverses = array(data.points), array(data.inverses)
    corners, complicated = data.corners.T, len(data.us) > 0
    absolutes = _absolutes(data, names)

    def errors(us: Any, theta: Any) -> Any:
        moves = xp.matmul(absolutes(theta), inverses)[:, :3]
        moved = xp.einsum("bij,vj->bvi", moves, base)
        vertices = xp.einsum("bvi,vb->vi", moved, weights)
        vertices = xp.matmul(vertices, _rotation(theta[:3], xp).T) + theta[3:6]
        if not complicated:
            return points - vertices[corners[0]]
        u, v = us[:, :1], us[:, 1:]
        a, b, c = (vertices[each] for each in corners)
        return points - (u * a + v * b + (1 - u - v) * c)

    return errors


def _absolutes(data: Data, names: Names) -> Callable[[Any], Any]:
    """The bones' matrices (22, 4, 4), a function of theta."""
    xp, relatives, at = names.xp, names.array(data.relatives), bends()
    zero, corner = names.array(np.zeros(1)), names.array(np.eye(4))
    tree = levels(data.parents)
    order = np.argsort(np.concatenate(tree))
    # Where a bone's parent stands in the level above its own.
    above = [np.searchsorted(a, data.parents[b]) for a, b in pairwise(tree)]

    def absolutes(theta: Any) -> Any:
        posed = xp.matmul(relatives, _turns(names.join([zero, theta])[at], corner, xp))
        found = [posed[tree[0]]]
        for bones, parents in zip(tree[1:], above):
            found.append(xp.matmul(found[-1][parents], posed[bones]))
        return names.join(found)[order]

    return absolutes


def _turns(angles: Any, corner: Any, xp: Any) -> Any:
    """Rotations about z, y, x as matrices (22, 4, 4), of angles (22, 3) about x, z, y."""
    one, zero = xp.ones_like(angles[:, 0]), xp.zeros_like(angles[:, 0])
    (cx, cz, cy), (sx, sz, sy) = xp.cos(angles).T, xp.sin(angles).T
    x = _matrices([[one, zero, zero], [zero, cx, -sx], [zero, sx, cx]], xp)
    y = _matrices([[cy, zero, sy], [zero, one, zero], [-sy, zero, cy]], xp)
    z = _matrices([[cz, -sz, zero], [sz, cz, zero], [zero, zero, one]], xp)
    turns = xp.matmul(xp.matmul(z, y), x)
    # [[R, 0], [0, 1]] without writing into an array: two products with parts of the identity.
    top = corner[:3]
    return xp.matmul(xp.matmul(top.T, turns), top) + xp.outer(corner[3], corner[3])


def _matrices(entries: list[list[Any]], xp: Any) -> Any:
    """(n, 3, 3) from nine vectors (n,)."""
    return xp.stack([xp.stack(row, 1) for row in entries], 1)


def _rotation(r: Any, xp: Any) -> Any:
    """The rotation about an axis by its length, (3, 3); the identity below ADBench's threshold."""
    square = xp.sum(r * r)
    turned = square >= 1e-8
    angle = xp.sqrt(xp.where(turned, square, 1.0))
    (x, y, z), s, c = r / angle, xp.sin(angle), xp.cos(angle)
    d = 1 - c
    rows = [
        [x * x + (1 - x * x) * c, x * y * d - z * s, x * z * d + y * s],
        [x * y * d + z * s, y * y + (1 - y * y) * c, y * z * d - x * s],
        [x * z * d - y * s, y * z * d + x * s, z * z + (1 - z * z) * c],
    ]
    full = xp.stack([xp.stack(row) for row in rows])
    return xp.where(turned, full, xp.eye(3, dtype=r.dtype))


def packed(errors: Any, data: Data, names: Names, forward: Any) -> Callable[[Any, Any], Any]:
    """The compressed Jacobian (3c, 26 or 2 + 26), a function of us and theta.

    Adding one (u1, u2) to those of all points gives the two columns that stand for all of them.
    """
    extra = 2 if len(data.us) else 0
    still = names.array(np.zeros(extra))

    def jacobian(us: Any, theta: Any) -> Any:
        def moved(vector: Any) -> Any:
            return errors(us + vector[:extra] if extra else us, vector[extra:])

        return forward(moved)(names.join([still, theta])).reshape(data.points.size, -1)

    return jacobian


def in_jax(data: Data, jax: Any, jnp: Any) -> Work:
    """For a system with JAX's API: forward mode, all columns at once."""
    names = Names(jnp, jnp.asarray, jnp.concatenate)
    errors = objective(data, names)
    at = jnp.asarray(data.us), jnp.asarray(data.theta)
    return jitted(jax, errors, packed(errors, data, names, jax.jacfwd), at)


def in_torch(data: Data, torch: Any) -> Work:
    """PyTorch, eager: forward mode of torch.func, all columns at once."""
    names = Names(torch, torch.tensor, torch.cat)
    errors = objective(data, names)
    jacobian = packed(errors, data, names, torch.func.jacfwd)
    us, theta = torch.tensor(data.us), torch.tensor(data.theta)
    return Work(lambda: errors(us, theta), lambda: jacobian(us, theta))


def in_autograd(data: Data, autograd: Any, anp: Any) -> Work:
    """HIPS autograd: forward mode, one column after the other, for it maps nothing."""
    names = Names(anp, np.asarray, anp.concatenate)
    errors = objective(data, names)

    def forward(function: Any) -> Any:
        def jacobian(vector: Any) -> Any:
            push = autograd.make_jvp(function)(vector)
            return np.stack([push(each)[1] for each in np.eye(len(vector))], -1)

        return jacobian

    jacobian = packed(errors, data, names, forward)
    return Work(lambda: errors(data.us, data.theta), lambda: jacobian(data.us, data.theta))
