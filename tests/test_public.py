"""The public names: each has a docstring, and is known as public or as inner."""

from __future__ import annotations

import inspect
import types

import pytest

import pullback as pb
from pullback.compat.alias import SHARED

PUBLIC = [n for n in dir(pb) if not n.startswith("_")]
MODULES = [n for n in PUBLIC if isinstance(getattr(pb, n), types.ModuleType)]
OPEN = (
    "ad_checkpoint debug dtypes errors extend flatten_util lax nn numpy random sharding test_util "
)
OPEN += "tree tree_util callbacks custom_batching custom_derivatives debug experimental.checkify "
OPEN += "curvature implicit monitoring naming profiler stages switches "
OPEN += "experimental.sparse experimental.ode experimental.jet image dlpack ffi export ref "
OPEN += "scipy.linalg scipy.signal scipy.optimize scipy.ndimage scipy.fft scipy.special scipy.stats"


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_has_a_docstring(name):
    value = getattr(pb, name)
    if callable(value) or isinstance(value, types.ModuleType):
        assert inspect.getdoc(value), f"pullback.{name} has no docstring"


@pytest.mark.parametrize("module", OPEN.split())
def test_names_in_public_modules_have_docstrings(module):
    namespace = __import__(f"pullback.{module}", fromlist=["_"])
    names = getattr(namespace, "__all__", None) or [
        n for n in dir(namespace) if not n.startswith("_")
    ]
    without = []
    for name in names:
        value = getattr(namespace, name)
        if inspect.isfunction(value) or inspect.isclass(value):
            ours = getattr(value, "__module__", "").startswith("pullback")
            if ours and not (value.__doc__ or "").strip():
                without.append(name)
    assert not without, f"no docstring: {', '.join(without)}"


def test_what_is_public_and_a_module():
    inner = {"api", "checkpointing", "checks", "control", "core", "custom", "devices", "engines",
             "extend", "symbolic_zeros",
             "jacobians", "linear", "mapping", "ops", "placement", "segments", "shard_mapping",
             "transforms", "callbacks", "compat", "environment", "halves", "naming", "switches",
             "watching", "static_arguments", "dispatch", "accumulation",
             "parallel_mapping", "device_calls", "sharded_calls", "exported_files",
             "exported_programs", "exported_shapes", "exported_tables",
             "custom_types", "edges", "taylor_mode",
             "mode_switching", "implicit", "sparse", "curvature", "processes"}  # fmt: skip
    assert set(MODULES) - inner <= SHARED
