"""Names, profiles, events, and the settings that watch the tracing."""

import collections
import dataclasses
import gzip
import json
import logging

import numpy as np
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import ad_checkpoint, debug, errors, monitoring, profiler, tree_util

# ---- names and profiles


def spans(folder):
    (path,) = folder.rglob("*.trace.json.gz")
    return {e["name"]: e for e in json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]}


def test_a_profile_has_the_named_parts(tmp_path):
    @profiler.annotate_function
    def annotated(x):
        return x

    @pb.named_scope("decorated")
    def scoped(x):
        return jnp.sin(x)

    def fails():
        with pb.named_scope("failing"):
            raise KeyError

    with profiler.trace(tmp_path):
        with profiler.TraceAnnotation("outer", size=3), pb.named_scope("inner"):
            annotated(1)
        with profiler.StepTraceAnnotation("step", step_num=7):
            pb.jit(scoped)(1.0)
            pb.named_call(scoped, name="called")(1.0)
        with pytest.raises(KeyError):
            fails()
    with pb.named_scope("after"):
        pass
    found = spans(tmp_path)
    names = {"outer", "inner", "step", "decorated", "called", "failing"}
    assert names < set(found)
    assert any("annotated" in name for name in found)
    assert "after" not in found
    assert found["outer"]["args"] == {"size": "3"}
    assert found["outer"]["ts"] <= found["inner"]["ts"]
    assert found["inner"]["dur"] <= found["outer"]["dur"]


def test_one_profile_at_a_time(tmp_path):
    with pytest.raises(RuntimeError, match="No profile started"):
        profiler.stop_trace()
    profiler.start_trace(tmp_path, profiler_options=profiler.ProfileOptions())
    with pytest.raises(RuntimeError, match="Profile has already been started"):
        profiler.start_trace(tmp_path)
    profiler.stop_trace()
    assert spans(tmp_path) == {}


@pytest.mark.parametrize(
    "call",
    [
        lambda: profiler.start_server(1),
        profiler.stop_server,
        lambda: profiler.register_subprocess(1, 2),
        profiler.device_memory_profile,
        lambda: profiler.save_device_memory_profile("x"),
        lambda: profiler.start_trace("x", create_perfetto_link=True),
    ],
)
def test_what_profiles_are_not(call):
    with pytest.raises(NotImplementedError, match="Fix: use"):
        call()


def test_names_keep_the_function():
    def f(x, *, y=1):
        """Doc."""
        return x * y

    named = pb.named_call(f)
    assert named(2, y=3) == 6
    assert (named.__name__, named.__doc__) == ("f", "Doc.")
    assert float(pb.grad(pb.named_call(jnp.sin))(0.0)) == 1
    with pytest.raises(TypeError, match="named_scope name argument must be a string"):
        pb.named_scope(3)


# ---- events


def test_listeners_hear_what_is_recorded():
    heard = []

    def listen(*args, **kwargs):
        heard.append((*args, kwargs))

    kinds = [
        (monitoring.register_event_listener, monitoring.unregister_event_listener),
        (
            monitoring.register_event_duration_secs_listener,
            monitoring.unregister_event_duration_listener,
        ),
        (
            monitoring.register_event_time_span_listener,
            monitoring.unregister_event_time_span_listener,
        ),
        (monitoring.register_scalar_listener, monitoring.unregister_scalar_listener),
    ]

    def record():
        monitoring.record_event("/a", x=1)
        monitoring.record_event_duration_secs("/b", 1.5)
        monitoring.record_event_time_span("/c", 1.0, 2.0)
        monitoring.record_scalar("/d", 3, y="z")

    expected = [("/a", {"x": 1}), ("/b", 1.5, {}), ("/c", 1.0, 2.0, {}), ("/d", 3, {"y": "z"})]
    for register, _ in kinds:
        register(listen)
    record()
    assert heard == expected
    for _, unregister in kinds:
        unregister(listen)
        with pytest.raises(AssertionError, match="does not listen"):
            unregister(listen)
    record()
    assert heard == expected
    for register, _ in kinds:
        register(listen)
    monitoring.clear_event_listeners()
    record()
    assert heard == expected


def test_jit_tells_how_long_it_took():
    heard = []

    def listen(event, duration, **details):
        heard.append((event.rsplit("/", 1)[1], duration > 0, details["fun_name"]))

    monitoring.register_event_duration_secs_listener(listen)
    try:
        f = pb.jit(lambda x: x + 1)
        f(1.0)
        f(2.0)
    finally:
        monitoring.unregister_event_duration_listener(listen)
    assert heard == [
        ("jaxpr_trace_duration", True, "<lambda>"),
        ("backend_compile_duration", True, "<lambda>"),
    ]


# ---- settings that watch


def test_leaks_are_found():
    kept = []

    def leaky(x):
        kept.append(x * 2)
        return x

    leak = pytest.raises(errors.UnexpectedTracerError, match="Leaked trace")
    with leak as caught, pb.checking_leaks():
        pb.jit(leaky)(1.0)
    assert "held by a list" in str(caught.value)
    kept.clear()
    with pb.check_tracer_leaks(True):
        assert float(pb.jit(pb.grad(lambda x: jnp.sin(x) * x))(0.0)) == 0
        assert pb.jit(pb.vmap(lambda x: x + 1))(jnp.ones(2)).tolist() == [2, 2]
    assert not pb.check_tracer_leaks.value


def test_no_tracing():
    f = pb.jit(lambda x: x + 1)
    f(1.0)
    with pb.no_tracing():
        assert float(f(2.0)) == 3
        with pytest.raises(RuntimeError, match=r"re-tracing function <lambda> .*'no_tracing'"):
            f(jnp.ones(2))
    assert f(jnp.ones(2)).tolist() == [2, 2]


def test_logs(caplog):
    f = pb.jit(lambda x: x + 1)
    with caplog.at_level(logging.WARNING, "pullback"):
        f(1.0)
        assert not caplog.text
        with pb.log_compiles():
            f(jnp.ones(2))
            f(jnp.ones(2))
        assert caplog.text.count("Finished tracing <lambda> for (f32[2])") == 1
        assert caplog.text.count("Finished compilation of <lambda>") == 1
        caplog.clear()
        with pb.explain_cache_misses():
            f(jnp.ones(3))
            pb.jit(lambda x: x - 1)(1.0)
    first, second = caplog.messages
    assert "test_watching.py" in first
    assert "traced for other types, static arguments or settings only: f32[]; f32[2]" in first
    assert "not called before" in second


def test_checks_of_programs():
    with pb.enable_checks():
        assert float(pb.jit(jnp.sin)(0.0)) == 0


def test_switches_read_and_change_settings():
    for name in (
        "debug_key_reuse",
        "thread_guard",
        "softmax_custom_jvp",
        "jax2tf_associative_scan_reductions",
        "allow_f16_reductions",
        "enable_custom_prng",
    ):
        switch = getattr(pb, name)
        assert switch.value is False
        with switch(True):
            assert switch.value is True
            assert getattr(pb.config, switch.name) is True
        assert not switch
    with pb.transfer_guard("log"):
        assert pb.transfer_guard_device_to_host.value == "log"
        with pb.transfer_guard_host_to_device("disallow"):
            assert jnp.ones(2).sum() == 2
            assert pb.config.jax_transfer_guard == "log"
    assert pb.transfer_guard_device_to_host.value is None
    with pytest.raises(ValueError, match="has no value 'never'"), pb.transfer_guard("never"):
        pass
    assert pb.default_prng_impl.value == "threefry2x32"
    with pb.legacy_prng_key("error"), pytest.raises(ValueError):
        pb.random.normal(pb.random.PRNGKey(0))


# ---- what is there


def test_live_arrays():
    x = jnp.ones(3)
    assert any(y is x for y in pb.live_arrays())
    before = len(pb.live_arrays("cpu"))
    more = [jnp.ones(3) for _ in range(5)]
    assert len(pb.live_arrays()) >= before + len(more)
    with pytest.raises(RuntimeError, match="Unknown backend tpu"):
        pb.live_arrays("tpu")


def test_environment(capsys):
    text = pb.print_environment_info(return_string=True)
    assert f"numpy:    {np.__version__}" in text
    assert pb.print_environment_info() is None
    assert capsys.readouterr().out == text + "\n"


# ---- debug


def test_debug_log(caplog):
    with caplog.at_level(logging.INFO, "pullback.debug"):
        pb.jit(lambda x: debug.log("x is {x}", x=x))(2.0)
    assert caplog.messages == ["x is 2.0"]
    with pytest.raises(TypeError, match=r"debug\.log takes a format string first"):
        debug.log(3)


def test_print_and_log_with_options_first(capsys, caplog):
    pb.jit(lambda x: debug.print(ordered=True)("x is {x}", x=x))(2.0)
    assert capsys.readouterr().out == "x is 2.0\n"
    with caplog.at_level(logging.INFO, "pullback.debug"):
        debug.log(ordered=True)("one {}", 1)
    assert caplog.messages == ["one 1"]


def test_debug_effects_stand_in_programs():
    def effects(ordered):
        return pb.make_jaxpr(lambda x: pb.jit(lambda x: debug.print("", ordered=ordered))(x))(
            1.0
        ).effects

    assert effects(False) == {debug.DebugEffect()}
    assert effects(True) == {debug.OrderedDebugEffect()}


def test_shardings_are_shown(capsys):
    seen = []
    pb.jit(lambda x: debug.inspect_array_sharding(x, callback=seen.append))(jnp.ones(3))
    assert seen[0].device_set == set(pb.devices())
    debug.visualize_array_sharding(jnp.ones(3), min_width=11)
    assert capsys.readouterr().out == "+---------+\n|  CPU 0  |\n+---------+\n"
    with pytest.raises(ValueError, match="arrays of one or two axes"):
        debug.visualize_array_sharding(jnp.float32(1))


def test_breakpoints_hand_their_token_on(monkeypatch):
    monkeypatch.setattr("sys.breakpointhook", lambda: None)
    assert float(pb.jit(lambda x: debug.breakpoint(token=x))(2.0)) == 2


# ---- checkpoint's answers


def residuals(policy):
    def f(x):
        y = ad_checkpoint.checkpoint_name(jnp.sin(x), "y")
        return jnp.sin(ad_checkpoint.checkpoint_name(jnp.sin(y), "z"))

    f = pb.checkpoint(f, policy=policy)
    np.testing.assert_allclose(pb.grad(f)(0.5), pb.grad(lambda x: f(x))(0.5))
    return {s for _, s in ad_checkpoint.saved_residuals(f, 0.5) if "named" in s}


def test_policies_may_answer_in_words():
    policies = pb.checkpoint_policies
    assert residuals(lambda p, *_, **__: ad_checkpoint.Recompute) == set()
    both = {"named 'y'", "named 'z'"}

    def named(answer):
        return lambda p, *_, **__: answer if p.name == "name" else ad_checkpoint.Recompute

    assert residuals(named(ad_checkpoint.Saveable)) == both
    assert residuals(named(ad_checkpoint.Offloadable("device", "host"))) == both
    where = {"offload_src": "device", "offload_dst": "pinned_host"}
    chosen = policies.save_and_offload_only_these_names(
        names_which_can_be_saved=["y"], names_which_can_be_offloaded=["z"], **where
    )
    assert residuals(chosen) == both
    assert residuals(policies.offload_dot_with_no_batch_dims("device", "pinned_host")) == set()
    with pytest.raises(ValueError, match="both saved and offloaded"):
        policies.save_and_offload_only_these_names(
            names_which_can_be_saved=["y"], names_which_can_be_offloaded=["y"], **where
        )
    assert bool(ad_checkpoint.Saveable)
    assert not ad_checkpoint.Recompute


# ---- one level of a tree


def test_one_level():
    pair = collections.namedtuple("pair", "x y")
    assert tree_util.flatten_one_level({"b": 1, "a": (2, 3)}) == (((2, 3), 1), ("a", "b"))
    assert list(tree_util.flatten_one_level([1, (2,)])[0]) == [1, (2,)]
    assert tree_util.flatten_one_level(None) == ((), None)
    assert tree_util.flatten_one_level(pair(1, [2])) == ((1, [2]), pair)
    keyed = tree_util.flatten_one_level_with_keys(pair(1, [2]))[0]
    assert [(str(k), v) for k, v in keyed] == [(".x", 1), (".y", [2])]
    with pytest.raises(ValueError, match="can't tree-flatten type: <class 'int'>"):
        tree_util.flatten_one_level(3)
    nodes = [dict, list, tuple, type(None), pair, tree_util.Partial]
    assert all(map(tree_util.is_tree_node, nodes))
    assert not tree_util.is_tree_node(int)
    assert tree_util.default_registry.is_node(dict)
    assert tree_util.default_registry.flatten({"a": 1})[0] == [1]


def test_static_fields():
    @tree_util.register_dataclass
    @dataclasses.dataclass
    class Layer:
        weight: float
        name: str = pb.tree.static(default="a", metadata={"unit": "m"})

    leaves, tree = pb.tree.flatten(Layer(2.0))
    assert leaves == [2.0]
    assert tree.unflatten(leaves).name == "a"
    assert dataclasses.fields(Layer)[1].metadata == {"unit": "m", "static": True}
    parts, data = tree_util.flatten_one_level(Layer(2.0))
    assert tuple(parts) == (2.0,)
    assert "a" in str(data)
