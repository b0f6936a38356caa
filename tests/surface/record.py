"""Writes names.json: the public names of the installed JAX. `python tests/surface/record.py`"""

from __future__ import annotations

import importlib
import json
import pkgutil
import types
import warnings
from pathlib import Path

import jax
import jax.scipy

FILE = Path(__file__).with_name("names.json")
MODULES = [
    "jax",
    "jax.numpy",
    "jax.numpy.linalg",
    "jax.numpy.fft",
    "jax.lax",
    "jax.lax.linalg",
    "jax.random",
    "jax.nn",
    "jax.nn.initializers",
    "jax.tree_util",
    "jax.tree",
    "jax.image",
    "jax.flatten_util",
    "jax.custom_batching",
    "jax.custom_derivatives",
    "jax.debug",
    "jax.dtypes",
    "jax.errors",
    "jax.ops",
    "jax.profiler",
    "jax.sharding",
    "jax.stages",
    "jax.api_util",
    "jax.typing",
    "jax.test_util",
    "jax.ad_checkpoint",
    "jax.dlpack",
    "jax.core",
    "jax.extend.core",
    "jax.extend.linear_util",
    "jax.interpreters.ad",
    "jax.interpreters.batching",
    "jax.experimental",
    "jax.experimental.checkify",
    "jax.experimental.jet",
    "jax.experimental.ode",
    "jax.experimental.sparse",
    "jax.experimental.compilation_cache.compilation_cache",
    "jax.experimental.layout",
    "jax.experimental.mesh_utils",
    "jax.experimental.multihost_utils",
    "jax.ffi",
    "jax.export",
    "jax.distributed",
    "jax.monitoring",
    "jax.example_libraries.optimizers",
    "jax.example_libraries.stax",
]

# Files without `__all__` that are mostly their own working parts.
MEANT = {
    "jax.experimental.jet": ["jet"],
    "jax.experimental.ode": ["odeint"],
    "jax.experimental.multihost_utils": [
        "assert_equal",
        "broadcast_one_to_all",
        "global_array_to_host_local_array",
        "host_local_array_to_global_array",
        "live_devices",
        "process_allgather",
        "reached_preemption_sync_point",
        "sync_global_devices",
    ],
}


def modules() -> list[str]:
    """MODULES and all below jax.scipy."""
    below = pkgutil.walk_packages(jax.scipy.__path__, "jax.scipy.")
    return [*MODULES, "jax.scipy", *(found.name for found in below)]


def names(module: types.ModuleType) -> list[str]:
    """What the module means to give: `__all__`, or names without those it imported for itself."""
    listed = MEANT.get(module.__name__) or getattr(module, "__all__", None)
    if listed is not None:
        return sorted(listed)
    return sorted(name for name in dir(module) if _is_given(module, name))


def _is_given(module: types.ModuleType, name: str) -> bool:
    if name.startswith("_") or name == "annotations":
        return False
    value = getattr(module, name, None)
    if isinstance(value, types.ModuleType):
        return value.__name__ == f"{module.__name__}.{name}"
    origin = getattr(value, "__module__", "jax")
    if "example_libraries" in module.__name__:
        return origin == module.__name__ or isinstance(value, tuple)
    return not origin.startswith(("typing", "collections", "functools"))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    found = {name: names(importlib.import_module(name)) for name in modules()}
    lines = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in found.items() if v)
    FILE.write_text(f'{{\n"version": "{jax.__version__}",\n"modules": {{\n{lines}\n}}}}\n')
