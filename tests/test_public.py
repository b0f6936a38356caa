"""The public names: each has a docstring; the main functions take the parameters of JAX's."""

from __future__ import annotations

import inspect
import types

import peer
import pytest

import pullback as pb
from pullback.compat.alias import SHARED

PUBLIC = [n for n in dir(pb) if not n.startswith("_")]
MODULES = [n for n in PUBLIC if isinstance(getattr(pb, n), types.ModuleType)]
OPEN = "ad_checkpoint debug dtypes errors extend flatten_util lax nn numpy random sharding test_util "
OPEN += "tree tree_util callbacks custom_batching custom_derivatives debug experimental.checkify "
OPEN += "monitoring naming profiler stages switches"


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
             "watching"}  # fmt: skip
    assert set(MODULES) - inner <= SHARED


SIGNATURES = [
    "grad",
    "value_and_grad",
    "jvp",
    "vjp",
    "linearize",
    "linear_transpose",
    "jacfwd",
    "jacrev",
    "jacobian",
    "hessian",
    "vmap",
    "jit",
    "make_jaxpr",
    "eval_shape",
    "closure_convert",
    "checkpoint",
    "device_put",
    "device_get",
    "block_until_ready",
    "devices",
    "custom_jvp",
    "custom_jvp.defjvp",
    "custom_jvp.defjvps",
    "custom_vjp",
    "custom_vjp.defvjp",
    "tree.map",
    "tree.flatten",
    "tree.unflatten",
    "tree.leaves",
    "tree.structure",
    "tree.reduce",
    "tree.transpose",
    "tree.all",
    "tree.map_with_path",
    "tree.leaves_with_path",
    "tree.flatten_with_path",
    "tree.broadcast",
    "tree_util.register_pytree_node",
    "tree_util.register_pytree_with_keys",
    "tree_util.register_dataclass",
    "tree_util.register_static",
    "tree_util.register_pytree_node_class",
    "tree_util.keystr",
    "test_util.check_grads",
    "test_util.check_jvp",
    "test_util.check_vjp",
    "flatten_util.ravel_pytree",
    "debug.print",
    "debug.callback",
    "debug.breakpoint",
    "ad_checkpoint.checkpoint_name",
    "ad_checkpoint.print_saved_residuals",
]

DIFFERENT = {
    "vmap": "sum_match is about meshes of devices",
    "test_util.check_jvp": "ours takes no separate jvp function",
    "test_util.check_vjp": "ours takes no separate vjp function",
}


@pytest.mark.skipif(not peer.INSTALLED, reason="the real JAX is not installed")
@pytest.mark.parametrize("path", SIGNATURES)
def test_parameters_are_those_of_jax(path):
    import jax
    import jax.ad_checkpoint
    import jax.flatten_util
    import jax.test_util

    for module in ("ad_checkpoint", "debug", "flatten_util", "test_util"):
        __import__(f"pullback.{module}")
    ours, theirs = pb, jax
    for part in path.split("."):
        ours, theirs = getattr(ours, part), getattr(theirs, part)
    have, want = (list(inspect.signature(f).parameters.values()) for f in (ours, theirs))
    names = {p.name for p in have}
    missing = [p.name for p in want if p.name not in names and p.name[0] != "_"]
    assert not missing or path in DIFFERENT, f"{path} lacks {missing}"
    if path not in DIFFERENT:
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        order = [p.name for p in want if p.kind in positional]
        assert [p.name for p in have if p.kind in positional][: len(order)] == order
