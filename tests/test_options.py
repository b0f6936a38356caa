"""Options of transformations, methods that change their argument (update), and settings."""

from __future__ import annotations

from functools import partial

import numpy as np
import peer
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import profiler, sharding
from pullback.core.settings import override
from pullback.core.unheeded import UNHEEDED
from pullback.engines.native import objects
from pullback.experimental.compilation_cache import compilation_cache
from pullback.experimental.layout import Layout
from pullback.test_util import check_jvp, check_vjp

if peer.INSTALLED:
    import jax

X = np.arange(6.0, dtype=np.float32).reshape(3, 2)


def test_vmap_sums_what_has_no_axis():
    def f(x):
        return x * 2, 3.0, x.sum().astype(int)

    doubled, constant, total = pb.vmap(f, out_axes=(None, None, 0), sum_match=True)(X)
    np.testing.assert_array_equal(doubled, (2 * X).sum(0))
    assert constant == 3.0
    np.testing.assert_array_equal(total, X.sum(1))
    moved = pb.vmap(lambda x: x, in_axes=1, out_axes=None, sum_match=True)(X)
    np.testing.assert_array_equal(moved, X.sum(1))
    with pytest.raises(ValueError, match="vmap has mapped output but out_axes is None"):
        pb.vmap(f, out_axes=None)(X)


@pytest.mark.parametrize(
    ("in_axes", "static"), [(0, 1), ((0, None, 0), 1), ((0, None, 0), (1,)), (0, -2)]
)
def test_pmap_takes_static_arguments(in_axes, static):
    def f(x, n, y):
        assert type(n) is int
        return x * n + y

    mapped = pb.pmap(f, in_axes=in_axes, static_broadcasted_argnums=static)
    np.testing.assert_array_equal(mapped(X[:1], 3, X[1:2]), X[:1] * 3 + X[1:2])


def test_pmap_asks_for_devices():
    with pytest.raises(ValueError, match="requires 3 logical devices, but only 1"):
        pb.pmap(jnp.sin)(X)


def test_checks_of_a_rule_of_ones_own():
    x = (np.float32(0.5),)
    check_jvp(jnp.sin, partial(pb.jvp, jnp.sin), x)
    check_jvp(jnp.sin, lambda p, t: (jnp.sin(*p), jnp.cos(*p) * t[0]), x)
    check_vjp(jnp.sin, lambda v: (jnp.sin(v), lambda ct: (ct * jnp.cos(v),)), x)
    with pytest.raises(AssertionError, match=r"^mine: jvp: derivative against central"):
        check_jvp(jnp.sin, lambda p, t: (jnp.sin(*p), 2 * t[0]), x, err_msg="mine: ")
    with pytest.raises(AssertionError, match="value against the function's own"):
        check_vjp(jnp.sin, partial(pb.vjp, jnp.cos), x)
    with pytest.raises(AssertionError, match="against <ct, J t>"):
        check_vjp(jnp.sin, lambda v: (jnp.sin(v), lambda ct: (ct,)), x)


def test_update_changes_what_is_given():
    spec = sharding.PartitionSpec("x", None)
    assert spec.update(partitions=("y",)) == sharding.PartitionSpec("y")
    assert spec.update(unreduced={"z"}).partitions == ("x", None)
    mesh = pb.make_mesh((1,), ("x",))
    assert mesh.update(axis_names=("y",)).axis_names == ("y",)
    assert mesh.abstract_mesh.update((4,)).axis_sizes == (4,)
    placed = sharding.NamedSharding(mesh, sharding.PartitionSpec("x"))
    assert placed.update(spec=sharding.PartitionSpec()).spec == sharding.PartitionSpec()
    struct = pb.ShapeDtypeStruct((3,), jnp.float32, weak_type=True)
    assert struct.update(shape=(2, 2)) == pb.ShapeDtypeStruct((2, 2), jnp.float32, weak_type=True)
    assert pb.ShapeDtypeStruct.like(jnp.ones(3)) == pb.ShapeDtypeStruct((3,), jnp.float32)
    assert Layout((0, 1)).update(major_to_minor=(1, 0)) == Layout((1, 0))


@pytest.mark.parametrize(
    "thing",
    [
        sharding.PartitionSpec("x"),
        pb.make_mesh((1,), ("x",)),
        pb.make_mesh((1,), ("x",)).abstract_mesh,
        sharding.NamedSharding(pb.make_mesh((1,), ("x",)), sharding.PartitionSpec("x")),
        pb.ShapeDtypeStruct((3,), jnp.float32),
        Layout((0,)),
    ],
    ids=lambda x: type(x).__name__,
)
def test_update_of_what_does_not_exist(thing):
    with pytest.raises(TypeError, match="unexpected keyword argument 'mesg'"):
        thing.update(mesg=1)


def test_details_of_a_span():
    span = profiler.TraceAnnotation("step", epoch=1)
    span.set_metadata(loss=0.5)
    assert span.details == {"epoch": 1, "loss": 0.5}
    assert profiler.TraceAnnotation.is_enabled() is False


# ---- settings


def test_settings_of_jax_that_have_no_meaning_here_are_remembered():
    name, before = "jax_persistent_cache_min_compile_time_secs", UNHEEDED.copy()
    try:
        pb.config.update(name, 0)
        assert getattr(pb.config, name) == pb.config.read(name) == 0
        assert pb.config.jax_cpu_collectives_implementation == "gloo"
    finally:
        UNHEEDED.update(before)
    assert not set(UNHEEDED) & set(pb.config.values)


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
def test_they_begin_as_in_jax():
    theirs = {k: getattr(v, "value", v) for k, v in jax.config.values.items()}
    assert {k: theirs[k] for k in UNHEEDED} == UNHEEDED


def test_the_folder_of_compiled_programs(tmp_path):
    before = pb.config.jax_compilation_cache_dir
    try:
        compilation_cache.set_cache_dir(tmp_path)
        assert objects.cache_folder() == tmp_path
        with override("jax_enable_compilation_cache", False):
            assert objects.cache_folder() is None
        pb.config.update("jax_compilation_cache_dir", "gs://bucket/programs")
        own = objects.cache_folder()
        compilation_cache.reset_cache()
        assert objects.cache_folder() == own != tmp_path
    finally:
        pb.config.update("jax_compilation_cache_dir", before)
