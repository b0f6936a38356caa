"""jit step by step: trace, lower, compile; what each knows; the options of jit."""

import numpy as np
import pytest
from forced import not_on_xla

import pullback as pb
import pullback.numpy as jnp
from pullback import lax, stages

X = jnp.arange(3.0)


def f(x, other, *, n, k=2):
    return {"a": jnp.dot(x, x) * n, "b": [jnp.sin(x) + other["w"] * k]}


JITTED = pb.jit(f, static_argnames="k", donate_argnames=("n", "other"), engine="native")
ARGS, NAMED = (X, {"w": jnp.ones(3)}), {"n": 2.0, "k": 3}


def steps():
    traced = JITTED.trace(*ARGS, **NAMED)
    return [traced, traced.lower(), traced.lower().compile()]


@pytest.mark.parametrize("i", range(3))
def test_what_each_step_knows(i):
    step = steps()[i]
    assert type(step) is (stages.Traced, stages.Lowered, stages.Compiled)[i]
    (x, other), named = step.args_info
    assert (x.shape, x.dtype, x.donated) == ((3,), np.float32, False)
    assert other["w"].donated
    assert named["n"].donated
    assert "k" not in named
    assert step.donate_argnums == (1, 2)
    assert step.in_tree == pb.tree.structure(((X, {"w": X}), {"n": X}))
    assert step.out_tree == pb.tree.structure({"a": X, "b": [X]})
    struct = pb.ShapeDtypeStruct
    assert step.out_info == {"a": struct((), jnp.float32), "b": [struct((3,), jnp.float32)]}
    assert step.out_avals["b"][0].shape == (3,)
    assert step.in_avals[1]["n"].weak_type


def test_structs_do_for_arrays_and_nothing_runs():
    ran = []
    g = pb.jit(lambda x: (pb.debug.callback(ran.append, 1), x * 2)[1])
    lowered = g.lower(pb.ShapeDtypeStruct((2, 3), jnp.float32))
    assert lowered.out_info.shape == (2, 3)
    assert g.eval_shape(jnp.ones(2)).shape == (2,)
    compiled = lowered.compile()
    assert not ran
    np.testing.assert_array_equal(compiled(np.ones((2, 3), np.float32)), np.full((2, 3), 2))
    assert ran == [1]


def test_texts():
    traced, lowered, compiled = steps()
    assert traced.fun_name == "f"
    assert str(traced.jaxpr) == lowered.as_text() == lowered.as_text("jaxpr")
    assert "dot_general" in lowered.as_text()
    assert lowered.compiler_ir() is traced.jaxpr
    assert compiled.as_text()
    by_numpy = pb.jit(jnp.sin, engine="numpy").lower(X).compile()
    assert by_numpy.as_text().startswith("def run(")
    with pytest.raises(ValueError, match=r"unknown dialect: tosa\."):
        lowered.as_text("tosa")
    with pytest.raises(ValueError, match="does not compile for the platform 'tpu'"):
        traced.lower(lowering_platforms=("tpu",))


def costs(g, *args):
    return pb.jit(g).lower(*args).cost_analysis()


def test_cost_analysis_counts_operations():
    a, b = jnp.ones((4, 5)), jnp.ones((5, 6))
    assert costs(jnp.dot, a, b) == {
        "flops": 2.0 * 4 * 5 * 6,
        "transcendentals": 0.0,
        "bytes accessed": 4.0 * (20 + 30 + 24),
    }
    assert costs(lambda x: jnp.sin(x) * 2 + x, a)["transcendentals"] == 20
    assert costs(lambda x: jnp.sin(x) * 2 + x, a)["flops"] == 40
    assert costs(lambda x: jnp.sum(x), a)["flops"] == 20
    assert costs(lambda x: x.T.reshape(-1), a)["flops"] == 0
    ten = costs(lambda x: lax.scan(lambda c, _: (c * 2, None), x, None, 10)[0], a)
    assert ten["flops"] == 200
    either = costs(lambda x: lax.cond(x[0, 0] > 0, lambda x: x * x + x, lambda x: x * 2, x), a)
    assert 40 <= either["flops"] < 45
    inner = pb.jit(lambda x: x * 3)
    assert costs(lambda x: inner(inner(x)), a)["flops"] == 40


def test_compiled_programs_cost_less_where_work_is_shared():
    lowered = pb.jit(lambda x: jnp.exp(x) + jnp.exp(x)).lower(X)
    assert lowered.cost_analysis()["transcendentals"] == 6
    assert lowered.compile().cost_analysis()["transcendentals"] == 3


@not_on_xla("its compiler plans the memory otherwise: xla/test_lowered.py")
def test_memory_analysis():
    x = jnp.ones(100)
    memory = pb.jit(lambda x: jnp.sum(jnp.sin(x) * jnp.cos(x))).lower(x).compile().memory_analysis()
    assert memory.argument_size_in_bytes == 400
    assert memory.output_size_in_bytes == 4
    assert memory.temp_size_in_bytes == 1200  # two factors and their product
    one = pb.jit(lambda x: jnp.sin(jnp.sin(x))).lower(x).compile().memory_analysis()
    assert one.temp_size_in_bytes == 400


def test_calls_of_a_compiled_function():
    compiled = steps()[2]
    for call in compiled, compiled.call:
        out = call(*ARGS, n=2.0)
        np.testing.assert_allclose(out["a"], 2 * np.dot(X, X))
        np.testing.assert_allclose(out["b"][0], np.sin(X) + 3, rtol=1e-6)
    assert float(compiled(*ARGS, n=jnp.float32(1.0))["a"]) == 5
    assert np.allclose(compiled.runtime_executable()(X._value, X._value, np.float32(1))[0], 5)
    assert len(pb.tree.leaves(compiled.input_shardings)) == 3
    assert len(compiled.output_shardings["b"]) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: c(*ARGS, n=2.0, k=3), "does not match the input pytree it was called with."),
        (lambda c: c(X, n=2.0), "does not match the input pytree"),
        (lambda c: c(jnp.ones(4), ARGS[1], n=2.0), "compiled with float32[3] and called with"),
        (lambda c: c(X, {"w": jnp.arange(3)}, n=2.0), "Argument \"other['w']\" compiled with"),
        (lambda c: c(X, {"w": "text"}, n=2.0), "not a valid array"),
        (lambda c: pb.grad(lambda n: c(*ARGS, n=n)["a"])(2.0), "Cannot apply JAX transf"),
        (lambda c: pb.jit(lambda n: c(*ARGS, n=n)["a"])(2.0), "Cannot apply JAX transf"),
    ],
)
def test_wrong_calls_of_a_compiled_function(call, message):
    with pytest.raises(TypeError) as caught:
        call(steps()[2])
    assert message in str(caught.value)


# ---- jit


def test_jit_as_a_decorator_with_options():
    @pb.jit(static_argnums=1, donate_argnums=0, inline=True, keep_unused=True, engine="native")
    def g(x, n):
        return x * n

    assert isinstance(g, stages.Wrapped)
    assert not isinstance(lambda x: x, stages.Wrapped)
    assert g.__wrapped__(2, 3) == 6
    x = jnp.ones(2)
    assert g(x, 3).tolist() == [3, 3]
    assert g.lower(x, 3).donate_argnums == (0,)
    assert x.tolist() == [1, 1]  # this engine takes nothing away
    assert repr(g).startswith("<PjitFunction of <function test_jit")
    assert g._cache_size() == 1
    g.clear_cache()
    assert g._cache_size() == 0


def test_donated_positions_count_static_ones():
    def g(a, b, c, d):
        return a + c + d

    lowered = pb.jit(g, static_argnums=(1, -1), donate_argnums=(2,)).lower(X, "s", X, 1)
    assert lowered.donate_argnums == (1,)
    assert pb.jit(g, donate_argnums=-1).lower(X, X, X, X).donate_argnums == (3,)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"donate_argnums": 3}, ValueError, "donate_argnums names an argument"),
        ({"donate_argnames": "q"}, ValueError, "donate_argnames names 'q'"),
        ({"static_argnums": 0, "donate_argnums": 0}, ValueError, "both static and donated"),
        ({"backend": "metal"}, RuntimeError, "Unknown backend 'metal'."),
        ({"backend": "cpu", "device": pb.devices()[0]}, ValueError, "can't specify both"),
    ],
)
def test_options_that_cannot_be(options, kind, message):
    with pytest.raises(kind) as caught:
        pb.jit(lambda x: x, **options)
    assert message in str(caught.value)


# ---- fwd_and_bwd


@pytest.mark.parametrize("jitted", [True, False])
def test_fwd_and_bwd(jitted):
    def g(x, y):
        return jnp.sum(jnp.sin(x) * y["w"]), x

    args = X, {"w": X + 1}
    fwd, bwd = pb.fwd_and_bwd(g, (0, 1), has_aux=True, jitted=jitted)
    value, residuals, aux = fwd(*args)
    found = bwd(residuals, 2.0)
    expected = pb.grad(g, (0, 1), has_aux=True)(*args)[0]
    np.testing.assert_allclose(value, np.sum(np.sin(X) * (X + 1)), rtol=1e-6)
    np.testing.assert_array_equal(aux, X)
    np.testing.assert_allclose(found[0], 2 * expected[0], rtol=1e-6)
    np.testing.assert_allclose(found[1]["w"], 2 * expected[1]["w"], rtol=1e-6)
    fwd, bwd = pb.fwd_and_bwd(jnp.multiply, 1, jitted=jitted)
    assert float(bwd(fwd(2.0, 3.0)[1], 1.0)) == 2
    with pytest.raises(TypeError, match="argnums names an argument that was not passed"):
        pb.fwd_and_bwd(jnp.sin, 1, jitted=False)[0](1.0)
