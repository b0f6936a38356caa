"""What several processes do together. There is one process, so all of it is already done."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.errors import error
from ..tree_util import tree_map


class ProcessFailureError(Exception):
    """Another process has failed. Nothing here raises it: there is no other process."""


def broadcast_one_to_all(in_tree: Any, is_source: bool | None = None) -> Any:
    """The values of one process for all: those of this one, as NumPy arrays.

    Example:
      >>> from pullback.experimental import multihost_utils
      >>> multihost_utils.broadcast_one_to_all({"seed": 3})
      {'seed': array(3)}
    """
    return tree_map(np.asarray, in_tree)


def process_allgather(in_tree: Any, tiled: bool = False) -> Any:
    """The arrays of all processes, stacked along a new first axis, as NumPy arrays.

    With `tiled` they are joined along the first axis they have: with one process, as they are.
    """
    return tree_map(lambda x: np.asarray(x) if tiled else np.asarray(x)[None], in_tree)


def sync_global_devices(name: str) -> None:
    """Wait for all processes: there is no other, so nothing is waited for."""


def assert_equal(in_tree: Any, fail_message: str = "") -> None:
    """Raise AssertionError unless all processes have these values: with one process, never.

    As with several, a tree of anything but numbers is a TypeError; NaN is not equal to itself.
    """

    def check(x: Any) -> None:
        array = np.asarray(x)
        if array.dtype == object:
            raise error(
                TypeError,
                "assert_equal compares arrays and numbers.",
                got=f"a value of type {type(x).__name__}",
                fix="compare a number made of it, such as a checksum.",
            )
        if not np.all(array == array):
            raise AssertionError(f"{fail_message}. Expected: {in_tree}; got: {in_tree}.")

    tree_map(check, in_tree)


def reached_preemption_sync_point(step_id: int) -> bool:
    """Whether all processes should now save their work: without a cluster, never."""
    return False


def host_local_array_to_global_array(local_inputs: Any, global_mesh: Any, pspecs: Any) -> Any:
    """The arrays of all processes as one: those of this one."""
    _check_specs(pspecs)
    return local_inputs


def global_array_to_host_local_array(global_inputs: Any, global_mesh: Any, pspecs: Any) -> Any:
    """The part of arrays that this process has: all of it."""
    _check_specs(pspecs)
    return global_inputs


def _check_specs(pspecs: Any) -> None:
    if pspecs is None:
        raise error(
            ValueError,
            "`None` is not a valid input to the pspecs argument.",
            got="pspecs=None",
            fix="use sharding.PartitionSpec() to have the input on all devices.",
        )


__all__ = [
    "ProcessFailureError",
    "assert_equal",
    "broadcast_one_to_all",
    "global_array_to_host_local_array",
    "host_local_array_to_global_array",
    "process_allgather",
    "reached_preemption_sync_point",
    "sync_global_devices",
]
