"""Steps of `jit`, donation and the search for NaN, for programs on eight CPU devices."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback.core.errors import JaxRuntimeError
from pullback.sharding import NamedSharding, PartitionSpec, SingleDeviceSharding

P = PartitionSpec
D = pb.devices()
MESH = pb.make_mesh((2, 4), ("a", "b"))
X = np.arange(64, dtype=np.float32).reshape(8, 8)
ROWS, GRID = NamedSharding(MESH, P("a")), NamedSharding(MESH, P("a", "b"))
WHOLE = NamedSharding(MESH, P())


def f(v):
    return jnp.tanh(v) @ v.T


def ways():
    """One program, spread by an array, by a ShapeDtypeStruct, and by what `jit` is told."""
    struct = pb.ShapeDtypeStruct((8, 8), jnp.float32, sharding=GRID)
    return {
        "array": (pb.jit(f), pb.device_put(X, GRID)),
        "struct": (pb.jit(f), struct),
        "in_shardings": (pb.jit(f, in_shardings=GRID), jnp.asarray(X)),
        "both": (pb.jit(f, in_shardings=(GRID,)), struct),
    }


@pytest.mark.parametrize("way", list(ways()))
def test_steps_are_of_the_divided_program(way):
    jitted, arg = ways()[way]
    lowered = jitted.lower(arg)
    text = lowered.as_text()
    assert text == lowered.as_text("stablehlo")
    assert "mhlo.num_partitions = 8" in text and 'sdy.mesh @mesh0 = <["a0"=2, "a1"=4]>' in text
    assert '%a0: tensor<8x8xf32> {sdy.sharding = #sdy.sharding<@mesh0, [{"a0"}, {"a1"}]>}' in text
    hlo = lowered.as_text("hlo")
    assert hlo.startswith("HloModule") and "sharding={devices=[2,4]<=[8]}" in hlo
    assert lowered.as_text("jaxpr") == str(pb.make_jaxpr(jitted.__wrapped__)(X)) or way != "array"
    compiled = lowered.compile()
    assert "num_partitions=8" in compiled.as_text() and "f32[4,2]" in compiled.as_text()
    assert re.search("all-(gather|reduce)|collective-permute", compiled.as_text())
    assert compiled.input_shardings == ((GRID,), {})
    where = compiled.output_shardings
    assert isinstance(where, NamedSharding) and where.mesh == MESH
    memory, costs = compiled.memory_analysis(), compiled.cost_analysis()
    assert memory.argument_size_in_bytes == X.nbytes // 8  # on each device
    assert memory.output_size_in_bytes == 4 * np.prod(where.shard_shape((8, 8)))
    alone = pb.jit(f, engine="xla").lower(X).compile()
    assert alone.memory_analysis().argument_size_in_bytes == X.nbytes
    assert 0 < costs["flops"] < alone.cost_analysis()["flops"] / 2
    for given in (X, jnp.asarray(X), pb.device_put(X, GRID)):
        y = compiled(given)
        assert y.sharding == where
        np.testing.assert_allclose(y, np.tanh(X) @ X.T, rtol=1e-5)
    said = jitted.explain(arg)
    assert (said.engine, said.reason) == ("xla", "its arrays are on devices")
    assert said.ir == text and said.hlo == compiled.as_text()


def test_it_is_the_program_that_a_call_runs():
    jitted, x = ways()["array"]
    y = jitted(x)
    compiled = jitted.lower(x).compile()
    assert compiled.output_shardings == y.sharding
    np.testing.assert_array_equal(compiled(x), y)


def test_results_where_they_are_wanted():
    jitted = pb.jit(lambda v, w: {"s": v + w, "t": w.sum()}, out_shardings={"s": ROWS, "t": None})
    lowered = jitted.lower(pb.device_put(X, GRID), np.ones((8, 8), np.float32))
    assert '-> (tensor<8x8xf32> {sdy.sharding = #sdy.sharding<@mesh0, [{"a0"}, {}]>}' in (
        lowered.as_text()
    )
    compiled = lowered.compile()
    assert compiled.output_shardings["s"] == ROWS
    assert compiled.input_shardings == ((GRID, WHOLE), {})
    out = compiled(pb.device_put(X, GRID), np.ones((8, 8), np.float32))
    assert out["s"].sharding == ROWS and out["t"] == 64
    np.testing.assert_array_equal(out["s"], X + 1)


def test_one_device():
    x = pb.device_put(X, D[3])
    for arg in (x, pb.ShapeDtypeStruct((8, 8), jnp.float32, sharding=SingleDeviceSharding(D[3]))):
        compiled = pb.jit(f).lower(arg).compile()
        there = SingleDeviceSharding(D[3])
        assert compiled.input_shardings == ((there,), {}) and compiled.output_shardings == there
        assert compiled(X).devices() == compiled(x).devices() == {D[3]}
        np.testing.assert_allclose(compiled(x), np.tanh(X) @ X.T, rtol=1e-5)
        with pytest.raises(ValueError, match="compiled for input shardings that disagree") as found:
            compiled(pb.device_put(X, D[5]))
        assert "device=CpuDevice(id=5)" in str(found.value) and "id=3" in str(found.value)


def test_the_default_device_and_that_of_jit():
    there = SingleDeviceSharding(D[3])
    with pb.default_device(D[3]):
        compiled = pb.jit(f).lower(X).compile()
        y = compiled(jnp.asarray(X) * 1)
    assert compiled.input_shardings == ((there,), {}) and y.devices() == {D[3]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = pb.jit(f, device=D[3]).lower(X).compile()
    assert compiled.input_shardings == ((there,), {}) and compiled(X).devices() == {D[3]}


def test_arguments_elsewhere_are_refused():
    compiled = pb.jit(f).lower(pb.device_put(X, GRID)).compile()
    with pytest.raises(ValueError, match="compiled for input shardings that disagree") as found:
        compiled(pb.device_put(X, ROWS))
    assert "v, f32[8,8], is NamedSharding" in str(found.value)


def test_structs_that_do_not_fit():
    with pytest.raises(ValueError, match="no multiple of that"):
        pb.jit(f).lower(pb.ShapeDtypeStruct((7, 8), jnp.float32, sharding=GRID))
    with pytest.raises(ValueError, match="does not match the sharding on the respective arg"):
        pb.jit(f, in_shardings=ROWS).lower(pb.ShapeDtypeStruct((8, 8), jnp.float32, sharding=GRID))
    with pb.set_mesh(MESH):
        lowered = pb.jit(f).lower(pb.ShapeDtypeStruct((8, 8), jnp.float32, sharding=P("a", "b")))
    assert lowered.compile().input_shardings == ((GRID,), {})


def test_host_engines_compute_in_memory():
    compiled = pb.jit(f, engine="native").lower(pb.device_put(X, GRID)).compile()
    assert compiled.output_shardings == SingleDeviceSharding(D[0])
    assert "HloModule" not in compiled.as_text()


def test_options():
    x = pb.device_put(X, GRID)
    y = pb.jit(f, compiler_options={"xla_backend_optimization_level": 1})(x)
    np.testing.assert_allclose(y, np.tanh(X) @ X.T, rtol=1e-5)
    for function in (
        lambda: pb.jit(f, compiler_options={"xla_nope": 1})(x),
        lambda: pb.jit(f, compiler_options={"xla_nope": 1})(pb.device_put(X, D[2])),
        lambda: pb.jit(f).lower(x).compile({"xla_nope": 1}),
    ):
        with pytest.raises(ValueError, match="XLA did not take these compiler options"):
            function()


# ---- donation


def parts(x):
    return [b.unsafe_buffer_pointer() for b in x.parts]


@pytest.mark.parametrize("where", [GRID, ROWS, SingleDeviceSharding(D[4])], ids=repr)
@pytest.mark.parametrize("told", [False, True])
def test_results_have_the_memory_of_arguments(where, told):
    options = {"in_shardings": where, "out_shardings": where} if told else {}
    step = pb.jit(lambda v, w: v * 2 + w, donate_argnums=0, **options)
    w, x = pb.device_put(X, where), pb.jit(lambda v: v + 0)(pb.device_put(X, where))
    for _ in range(3):
        before, places = x, parts(x)
        assert str(x)  # what is looked at gives its memory as well
        x = step(x, w)
        assert parts(x) == places and before.is_deleted() and not w.is_deleted()
        with pytest.raises(RuntimeError, match=r"Array has been deleted with shape=f32\[8,8\]\."):
            before + 1
        with pytest.raises(RuntimeError, match="has been deleted"):
            step(before, w)
    np.testing.assert_array_equal(x, X * 15)
    lowered = step.lower(x, w)
    alone = isinstance(where, SingleDeviceSharding)
    mark = "tf.aliasing_output = 0 : i32" if told or alone else "jax.buffer_donor = true"
    assert mark in lowered.as_text()
    size = lowered.compile().memory_analysis().alias_size_in_bytes
    assert size == 4 * np.prod(where.shard_shape((8, 8)))


def test_copies_that_calls_make_are_not_given_away_twice():
    x = jnp.asarray(X)
    step = pb.jit(lambda v: v + 1, donate_argnums=0, in_shardings=GRID)
    for _ in range(3):
        np.testing.assert_array_equal(step(x), X + 1)
        np.testing.assert_array_equal(pb.jit(lambda v: v * 2, in_shardings=GRID)(x), X * 2)
    np.testing.assert_array_equal(x, X)


def test_memory_of_numpy_is_never_written_to():
    raw = np.zeros(4 * 8192 + 64, np.uint8)
    start = -raw.ctypes.data % 64
    host = raw[start : start + 4 * 8192].view(np.float32).reshape(8, 1024)
    for where in (ROWS, WHOLE, GRID, SingleDeviceSharding(D[1])):
        x = pb.device_put(host, where)
        pb.jit(lambda v: v + 1, donate_argnums=0)(x)
        pb.jit(lambda v: v + 1, donate_argnums=0, in_shardings=where)(host)
        assert x.is_deleted() and not host.any()


def test_what_fits_no_result_stays():
    x = pb.device_put(X, GRID)
    f = pb.jit(lambda v: v.sum(0), donate_argnums=0)
    with pytest.warns(UserWarning, match=r"buffers were not usable: f32\[8,8\]\."):
        f(x)
    assert not x.is_deleted()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        f(x)
    with pytest.warns(UserWarning, match="not usable"):  # a part is not as large as the whole
        pb.jit(lambda v: v + 1, donate_argnums=0, out_shardings=WHOLE)(x)


def test_one_array_twice():
    for where in (GRID, SingleDeviceSharding(D[2])):
        x = pb.device_put(X, where)
        with pytest.raises(JaxRuntimeError, match="use a buffer that is donated as well"):
            pb.jit(lambda v, w: v + w, donate_argnums=0)(x, x)
        with pytest.raises(JaxRuntimeError, match="donate an array that the function closes over"):
            pb.jit(lambda v, x=x: v + x, donate_argnums=0)(x)
        np.testing.assert_array_equal(x, X)


# ---- NaN


@pytest.mark.parametrize("where", [GRID, WHOLE, SingleDeviceSharding(D[6])], ids=repr)
def test_the_operation_that_makes_a_nan_is_found(where):
    x = pb.device_put(X - 1, where)

    def g(v):
        w = v * 2
        return jnp.log(w).sum()

    calls = {
        "jit": pb.jit(g),
        "compiled": pb.jit(g).lower(x).compile(),
        "donated": pb.jit(g, donate_argnums=0),
        "grad": pb.grad(g),
        "eager": g,
    }
    for name, call in calls.items():
        with pb.debug_nans(True), pytest.raises(FloatingPointError) as found:
            call(x)
        text = str(found.value)
        assert "invalid value (nan) encountered in log" in text, name
        assert "[0, 0] log(-2.0)" in text and "check_stages.py" in text, name
        assert not x.is_deleted()
    with pb.debug_nans(True):
        assert calls["jit"](pb.device_put(X + 1, where)) > 0


def test_the_default_device():
    f = pb.jit(lambda v: jnp.log(v * 2), donate_argnums=0)
    with pb.default_device(D[3]):
        x = jnp.asarray(X - 1) * 1
        with pb.debug_nans(True), pytest.raises(FloatingPointError, match="encountered in log"):
            f(x)
        assert not x.is_deleted()
        assert f(x).devices() == {D[3]} and x.is_deleted()


def test_a_nan_that_comes_in():
    x = pb.device_put(np.full((8, 8), np.nan, np.float32), GRID)
    with pb.debug_nans(True), pytest.raises(FloatingPointError, match="a value that went in"):
        pb.jit(lambda v: v + 1)(x)


def test_infinities():
    x = pb.device_put(X, GRID)
    with pb.debug_infs(True), pytest.raises(FloatingPointError, match=r"\(inf\) encountered in lo"):
        pb.jit(jnp.log)(x)
