"""`jit(f).lower(...)` on the XLA engine: texts, options, costs, memory."""

from __future__ import annotations

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp

pytest.importorskip("jaxlib", reason="the XLA engine needs jaxlib")

X, Y = jnp.ones((16, 32)), jnp.ones((32, 8))


def f(x, y):
    return {"z": jnp.sin(x @ y).sum(0)}


def lowered(engine="xla"):
    return pullback.jit(f, engine=engine).lower(X, Y)


def test_texts():
    text = lowered().as_text()
    assert text == lowered().as_text("stablehlo") == lowered("native").as_text("stablehlo")
    assert "func.func public @main(%a0: tensor<16x32xf32>, %a1: tensor<32x8xf32>)" in text
    for name in ("stablehlo.dot_general", "stablehlo.sine", "stablehlo.reduce"):
        assert name in text
    assert lowered().as_text("jaxpr") == lowered("native").as_text() != text
    hlo = lowered().as_text("hlo")
    assert hlo.startswith("HloModule") and "f32[16,8]" in hlo and "sine" in hlo
    with pytest.raises(ValueError, match=r"unknown dialect: tosa\."):
        lowered().as_text("tosa")


def test_the_compiled_program():
    compiled = lowered().compile()
    assert compiled.as_text().startswith("HloModule")
    assert "is_scheduled=true" in compiled.as_text()
    np.testing.assert_allclose(compiled(X, Y)["z"], f(X, Y)["z"], rtol=1e-6)
    assert compiled.cost_analysis()["flops"] >= 2 * 16 * 32 * 8
    memory = compiled.memory_analysis()
    assert memory.argument_size_in_bytes == 4 * (16 * 32 + 32 * 8)
    assert memory.output_size_in_bytes == 4 * 8


def test_options_of_the_compiler():
    options = {"xla_cpu_enable_fast_math": True, "xla_backend_optimization_level": 0}
    compiled = lowered().compile(options)
    np.testing.assert_allclose(compiled(X, Y)["z"], f(X, Y)["z"], rtol=1e-6)
    with pytest.raises(ValueError, match="XLA did not take these compiler options") as caught:
        lowered().compile({"xla_no_such_option": True})
    assert "xla_no_such_option" in str(caught.value)


def test_what_is_explained():
    said = pullback.jit(f, engine="xla").explain(X, Y)
    assert (said.engine, said.reason) == ("xla", "it was asked for")
    assert "stablehlo.dot_general" in said.ir
    assert said.hlo.startswith("HloModule")
    assert pullback.jit(f, engine="numpy").explain(X, Y).hlo == ""


def test_checkpoint_computes_again():
    """In XLA, not by a call of Python, and behind a barrier."""

    def layers(w, x):
        for _ in range(3):
            x = jnp.tanh(x @ w)
        return x.sum()

    def text(f):
        return pullback.jit(pullback.value_and_grad(f), engine="xla").lower(Y.T @ Y, Y).as_text()

    kept, again = text(layers), text(pullback.checkpoint(layers))
    assert kept.count('"stablehlo.dot_general"') == 8
    assert again.count('"stablehlo.dot_general"') == 8 + 3
    assert again.count('"stablehlo.optimization_barrier"') == 1 and "custom_call" not in again
