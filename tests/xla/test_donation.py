"""Donated arguments and compiler options of `jit` on the XLA engine, on one device."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback.core.errors import JaxRuntimeError

pytest.importorskip("jaxlib", reason="the XLA engine needs jaxlib")
adapter = pytest.importorskip("pullback.engines.xla.adapter")

GONE = r"Array has been deleted with shape=f32\[8\]\."


def jit(f, **options):
    return pullback.jit(f, engine="xla", **options)


def device(x):
    """The same in a buffer that a program of XLA made."""
    return jit(lambda y: y + 0)(x)


def memory(x):
    return x.buffer.unsafe_buffer_pointer()


def calls(f):
    """How many calls of `f` the entry has done."""
    programs = f._calls.programs()
    return 0 if programs is None else sum(plan.calls for plan in programs.plans)


def step(x, y):
    return x * y + 1


X = np.arange(8, dtype=np.float32)


# ---- what becomes of arrays


@pytest.mark.parametrize("by", [{"donate_argnums": 0}, {"donate_argnames": "x"}])
def test_the_result_has_the_memory_of_the_argument(by):
    f, y = jit(step, **by), device(jnp.ones(8))
    x = device(jnp.asarray(X))
    for k in range(6):  # by Python first, by the entry later
        before, place = x, memory(x)
        x = f(x, y)
        assert memory(x) == place and before.is_deleted() and not y.is_deleted()
        np.testing.assert_array_equal(x, X + k + 1)
    assert calls(f) >= 3


def test_arrays_that_are_gone_say_so():
    f = jit(step, donate_argnums=0)
    y = jnp.ones(8)
    for _ in range(4):
        x = device(jnp.asarray(X))
        f(x, y)
        for use in (
            lambda x: x + 1,
            np.asarray,
            lambda x: x.tolist(),
            lambda x: f(x, y),
            lambda x: jit(step)(x, y),
            lambda x: pullback.jit(step, engine="native")(x, y),
            lambda x: pullback.grad(lambda v: v.sum())(x),
        ):
            with pytest.raises(RuntimeError, match=GONE):
                use(x)
        assert (x.shape, x.dtype) == ((8,), np.float32)
        x.delete()


@pytest.mark.parametrize("quick", [False, True])
def test_what_numpy_looks_at_stays_as_it_is(quick):
    f, y = jit(step, donate_argnums=0), device(jnp.ones(8))
    for _ in range(4 * quick):
        f(device(jnp.asarray(X)), y)
    x = device(jnp.asarray(X))
    view = np.asarray(x)
    before = calls(f)
    z = f(x, y)
    assert calls(f) == before + quick
    assert x.is_deleted() and memory(z) != view.ctypes.data
    np.testing.assert_array_equal(view, X)
    np.testing.assert_array_equal(z, X + 1)
    with pytest.raises(RuntimeError, match=GONE):
        x + 1


@pytest.mark.parametrize("quick", [False, True])
def test_an_array_that_was_printed_gives_its_memory_all_the_same(quick):
    f, y = jit(step, donate_argnums=0), device(jnp.ones(8))
    for _ in range(4 * quick):
        f(device(jnp.asarray(X)), y)
    x = device(jnp.asarray(X))
    assert str(x).startswith("[0. 1.")
    place = memory(x)
    assert memory(f(x, y)) == place


def test_memory_of_numpy_is_never_written_to():
    raw = np.zeros(4 * 4096 + 64, np.uint8)
    start = -raw.ctypes.data % 64
    aligned = raw[start : start + 4 * 4096].view(np.float32)  # what XLA shares without a copy
    f = jit(lambda x: x + 1, donate_argnums=0)
    for _ in range(4):
        assert f(aligned)[0] == 1
        assert not aligned.any()
    x = pullback.core.array.HostArray(aligned)
    jit(lambda x: x * 1)(x)  # now it has a buffer, which is this memory
    assert x._buffer.unsafe_buffer_pointer() == aligned.ctypes.data
    assert f(x)[0] == 1 and x.is_deleted()
    assert not aligned.any()


def test_arrays_in_memory_are_gone_as_well():
    f = jit(step, donate_argnums=0)
    for _ in range(4):
        x, y = jnp.asarray(X), jnp.ones(8)
        np.testing.assert_array_equal(f(x, y), X + 1)
        assert x.is_deleted() and not y.is_deleted()
        with pytest.raises(RuntimeError, match=GONE):
            x + 1


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_other_engines_leave_arrays_as_they_are(engine):
    x = jnp.asarray(X)
    f = pullback.jit(step, donate_argnums=0, engine=engine)
    for _ in range(4):
        np.testing.assert_array_equal(f(x, x), X * X + 1)
    assert x.tolist() == X.tolist()


def test_the_setting_does_as_well():
    before = pullback.config.pullback_engine
    pullback.config.update("pullback_engine", "xla")
    try:
        x = device(jnp.asarray(X))
        place, z = memory(x), pullback.jit(step, donate_argnums=0)(x, jnp.ones(8))
        assert memory(z) == place and x.is_deleted()
    finally:
        pullback.config.update("pullback_engine", before)


def test_trees_static_arguments_and_names():
    @jit
    def plain(tree, n, other):
        return {"a": tree["a"] * n, "b": tree["b"] + other["c"]}

    f = jit(plain.__wrapped__, static_argnums=1, donate_argnums=0, donate_argnames="other")
    for _ in range(4):
        tree = {"a": device(jnp.ones(3)), "b": device(jnp.ones((2, 2)))}
        other = {"c": device(jnp.ones((2, 2)))}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = f(tree, 3, other=other)
        assert found["a"].tolist() == [3, 3, 3] and found["b"].tolist() == [[2, 2], [2, 2]]
        assert tree["a"].is_deleted() and tree["b"].is_deleted()
        assert not other["c"].is_deleted()  # no result is left for it


def test_with_and_without_are_two_programs():
    keeps, gives = jit(step), jit(step, donate_argnums=0)
    y = device(jnp.ones(8))
    for _ in range(4):
        x = device(jnp.asarray(X))
        keeps(x, y)
        assert not x.is_deleted()
        gives(x, y)
        assert x.is_deleted()
    assert "tf.aliasing_output" in gives.lower(X, X).as_text()
    assert "tf.aliasing_output" not in keeps.lower(X, X).as_text()


# ---- what the program says


def test_the_text_and_the_memory():
    def f(a, b, c):
        return a.reshape(2, 4), b + c

    made = jit(f, donate_argnums=(0, 1)).lower(X.reshape(4, 2), X, X)
    text = made.as_text()
    assert "%a0: tensor<4x2xf32> {jax.buffer_donor = true}" in text  # as large as a result
    assert "%a1: tensor<8xf32> {tf.aliasing_output = 1 : i32}" in text
    assert "%a2: tensor<8xf32>)" in text
    assert made.donate_argnums == (0, 1)
    big = jnp.ones(1 << 18)
    for donated, size in (((), 0), (0, big.nbytes)):
        compiled = jit(step, donate_argnums=donated).lower(big, big).compile()
        assert compiled.memory_analysis().alias_size_in_bytes == size


def test_a_compiled_object_donates():
    made = jit(step, donate_argnums=0).lower(X, X).compile()
    for _ in range(3):
        x = device(jnp.asarray(X))
        place, z = memory(x), made(x, jnp.ones(8))
        assert memory(z) == place and x.is_deleted()


def test_what_fits_no_result_stays_and_is_named():
    f = jit(lambda x, y: (x * y.sum()).sum(), donate_argnums=(0, 1))
    x, y = device(jnp.ones(8)), device(jnp.ones((2, 3)))
    with pytest.warns(
        UserWarning, match=r"buffers were not usable: f32\[8\], f32\[2,3\]\."
    ) as seen:
        assert f(x, y) == 48
    assert seen[0].filename == __file__
    assert f(x, y) == 48  # it is said once
    assert not x.is_deleted() and not y.is_deleted()


def test_results_that_are_arguments():
    f = jit(lambda x, y: (y, x, x), donate_argnums=(0, 1))
    x, y = device(jnp.asarray(X)), device(jnp.asarray(2 * X))
    a, b, c = f(x, y)
    np.testing.assert_array_equal([a, b, c], [2 * X, X, X])


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize(
    ("donated", "text"),
    [(0, "use a buffer that is donated as well"), ((0, 1), "donate the same buffer twice")],
)
def test_one_array_twice(donated, text, quick):
    f = jit(lambda x, y: (x + y, x - y), donate_argnums=donated)
    for _ in range(4 * quick):
        f(device(jnp.asarray(X)), device(jnp.asarray(X)))
    for x in (jnp.asarray(X), device(jnp.asarray(X))):
        with pytest.raises(JaxRuntimeError, match=f"Attempt to {text} in one call") as caught:
            f(x, x)
        assert "arrays 0 and 1 among the arguments are the same array, f32[8]" in str(caught.value)
        assert not x.is_deleted()
        np.testing.assert_array_equal(x, X)


def test_python_inside_a_program():
    seen = []

    def f(x):
        pullback.debug.callback(lambda v: seen.append(v.tolist()), x)
        return x + 1

    g = jit(f, donate_argnums=0)
    for _ in range(4):
        x = device(jnp.asarray(X))
        np.testing.assert_array_equal(g(x), X + 1)
        assert x.is_deleted()
    assert seen == [X.tolist()] * 4


def test_transformations_leave_arrays_as_they_are():
    f = jit(lambda x: (x * x).sum(), donate_argnums=0)
    x = device(jnp.asarray(X))
    assert pullback.grad(f)(x).tolist() == (2 * X).tolist()
    assert pullback.jit(lambda v: f(v) + v.sum())(x) == (X * X).sum() + X.sum()
    assert pullback.vmap(f)(x[None]).tolist() == [(X * X).sum()]
    assert not x.is_deleted()


def test_debug_nans_need_the_arguments():
    f = jit(lambda x: jnp.log(x), donate_argnums=0)
    x = device(jnp.asarray(-X))
    with pullback.debug_nans(True):
        with pytest.raises(FloatingPointError, match=r"encountered in log\."):
            f(x)
        assert not x.is_deleted()
    f(x)
    assert x.is_deleted()


@pytest.mark.parametrize("dtype", ["bfloat16", "int8", "bool", "complex64", "float8_e4m3fn"])
def test_dtypes(dtype):
    f = jit(lambda x: x[::-1], donate_argnums=0)
    x = device(jnp.asarray(X > 3).astype(dtype))
    want = np.asarray(x)[::-1].copy()
    place, z = memory(x), f(x)
    assert memory(z) == place
    np.testing.assert_array_equal(np.asarray(z), want)


def test_random_keys_and_empty_arrays():
    keys = jit(lambda k: pullback.random.split(k, 3)[:1][0], donate_argnums=0)
    key = pullback.random.key(3)
    want = pullback.random.key_data(jit(lambda k: pullback.random.split(k, 3)[0])(key))
    assert pullback.random.key_data(keys(key)).tolist() == want.tolist()
    assert key.is_deleted()
    assert jit(lambda x: x + 1, donate_argnums=0)(jnp.ones((0, 3))).shape == (0, 3)


# ---- options of the compiler


FAST = {"xla_cpu_enable_fast_math": True, "xla_backend_optimization_level": 1}


def test_options_are_used(monkeypatch):
    asked = []
    real = adapter.xc.CompileOptions

    class Noted(real):
        @property
        def env_option_overrides(self):
            return real.env_option_overrides.fget(self)

        @env_option_overrides.setter
        def env_option_overrides(self, value):
            asked.append(dict(value))
            real.env_option_overrides.fset(self, value)

    monkeypatch.setattr(adapter.xc, "CompileOptions", Noted)
    f = jit(step, compiler_options=FAST)
    np.testing.assert_array_equal(f(X, X), X * X + 1)
    f(X, X)
    assert len(asked) == 1 and FAST.items() <= asked[0].items()
    f.lower(X, X).compile({"xla_backend_optimization_level": 0})
    assert asked[-1]["xla_backend_optimization_level"] == 0
    assert asked[-1]["xla_cpu_enable_fast_math"] is True


def test_options_are_part_of_the_key(tmp_path, monkeypatch):
    monkeypatch.setenv("PULLBACK_CACHE_DIR", str(tmp_path))
    chosen = [None, {}, FAST, {**FAST, "xla_backend_optimization_level": 0}, dict(FAST)]
    files = set()
    counts = []
    for options in chosen:  # another function each time: nothing of it is in memory
        jit(lambda x, y: jnp.tanh(x * y), compiler_options=options)(X, X)
        files = {p.name for p in tmp_path.rglob("*") if p.is_file()}
        counts.append(len(files))
    assert counts[2] > counts[1] == counts[0] and counts[3] > counts[2] and counts[4] == counts[3]


def test_memory_keeps_programs_by_options_too():
    def g(x):
        return jnp.sin(x)

    a, b = jit(g), jit(g, compiler_options=FAST)
    a(X), b(X), a(X), b(X)
    (traced,) = a._calls.cache.values()
    assert len(traced.choices) == 2 and a._calls.cache is b._calls.cache


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"xla_nope": 1}, ValueError, "No such compile option: 'xla_nope'"),
        (
            {"xla_cpu_enable_fast_math": "perhaps"},
            ValueError,
            "'perhaps' is not a valid bool value",
        ),
    ],
)
def test_options_that_xla_refuses(options, kind, text):
    with pytest.raises(kind, match="XLA did not take these compiler options") as caught:
        jit(step, compiler_options=options)(X, X)
    assert text in str(caught.value) and f"compiler_options={options!r}" in str(caught.value)


@pytest.mark.parametrize("options", [3, ["xla_x"], {3: True}, {"xla_x": [1]}, {"xla_x": None}])
def test_options_that_are_none(options):
    with pytest.raises(TypeError, match="compiler_options is a dict of the names of XLA's flags"):
        jit(step, compiler_options=options)


def test_options_do_not_matter_to_other_engines():
    for engine in ("native", "numpy"):
        f = pullback.jit(step, engine=engine, compiler_options={"xla_nope": 1})
        np.testing.assert_array_equal(f(X, X), X * X + 1)
        np.testing.assert_array_equal(f.lower(X, X).compile()(X, X), X * X + 1)
