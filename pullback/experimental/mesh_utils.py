"""Meshes of devices, in the order of their numbers unless their kind has an order of its own."""

from __future__ import annotations

import math
import operator
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.errors import error
from ..devices import devices as all_devices

device_kind_handler_dict: dict[str, Any] = {}
"""Functions that order the devices of a kind: ``f(mesh_shape, devices, contiguous_submeshes=)``."""


def create_device_mesh(
    mesh_shape: Sequence[int],
    devices: Sequence[Any] | None = None,
    *,
    contiguous_submeshes: bool = False,
    allow_split_physical_axes: bool = False,
) -> np.ndarray:
    """An array of devices of the shape `mesh_shape`, for `sharding.Mesh`.

    Args:
      mesh_shape: the lengths of the mesh's axes.
      devices: the devices, all by default.
      contiguous_submeshes, allow_split_physical_axes: accepted for compatibility: CPUs have no
        physical mesh.

    Raises:
      ValueError: the shape does not have as many places as there are devices.

    Example:
      >>> from pullback.experimental import mesh_utils
      >>> mesh_utils.create_device_mesh((1, 1)).shape
      (1, 1)
    """
    found = list(all_devices() if devices is None else devices)
    try:
        shape = tuple(map(operator.index, mesh_shape))
    except TypeError as cause:
        raise error(
            ValueError,
            "`mesh_shape` passed to `create_device_mesh` should be a sequence of ints.",
            got=f"mesh_shape={mesh_shape!r:.80}",
            fix="write (1,) for one axis.",
        ) from cause
    if math.prod(shape) != len(found):
        raise error(
            ValueError,
            f"Number of devices {len(found)} must equal the product of mesh_shape {shape}.",
            got=f"{len(found)} devices",
            fix="choose axes whose lengths multiply to the number of devices.",
        )
    handler = device_kind_handler_dict.get(found[-1].device_kind) if found else None
    if handler is not None:
        ordered = handler(shape, found, contiguous_submeshes=contiguous_submeshes)
        if ordered is not None:
            return ordered  # type: ignore[no-any-return]
    mesh = np.empty(len(found), object)
    mesh[:] = found
    return mesh.reshape(shape)


def create_hybrid_device_mesh(
    mesh_shape: Sequence[int],
    dcn_mesh_shape: Sequence[int],
    devices: Sequence[Any] | None = None,
    *,
    process_is_granule: bool = False,
    should_sort_granules_by_key: bool = True,
    allow_split_physical_axes: bool = False,
) -> np.ndarray:
    """A mesh of meshes: `dcn_mesh_shape` of slices (or processes), each `mesh_shape` of devices.

    Args:
      mesh_shape: the mesh of each slice.
      dcn_mesh_shape: the mesh of slices; the result's axes are the products of both.
      devices: the devices, all by default.
      process_is_granule: whether processes, and not slices, are meshed.
      should_sort_granules_by_key: whether they are taken in the order of their numbers.
      allow_split_physical_axes: accepted for compatibility.

    Raises:
      ValueError: the numbers of slices or devices do not fit, or the devices have no slices.
    """
    found = list(all_devices() if devices is None else devices)
    name = "process_index" if process_is_granule else "slice_index"
    if not all(hasattr(d, name) for d in found):
        raise error(
            ValueError,
            f"Device {found[0]} does not have attribute {name}. See `process_is_granule` option.",
            got=f"process_is_granule={process_is_granule}",
            fix="pass process_is_granule=True: devices of this engine know their process.",
        )
    groups: dict[Any, list[Any]] = defaultdict(list)
    for d in found:
        groups[getattr(d, name)].append(d)
    keys = sorted(groups) if should_sort_granules_by_key else list(groups)
    if math.prod(dcn_mesh_shape) != len(keys):
        raise error(
            ValueError,
            f"Number of slices {len(keys)} must equal the product of dcn_mesh_shape "
            f"{tuple(dcn_mesh_shape)}.",
            got=f"{len(keys)} slices",
            fix="choose axes whose lengths multiply to the number of slices.",
        )
    blocks = np.empty(len(keys), object)
    blocks[:] = [create_device_mesh(mesh_shape, groups[key]) for key in keys]
    nested: np.ndarray = np.block(blocks.reshape(tuple(dcn_mesh_shape)).tolist())
    return nested


__all__ = ["create_device_mesh", "create_hybrid_device_mesh", "device_kind_handler_dict"]
