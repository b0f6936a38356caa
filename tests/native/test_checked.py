"""Checked mode finds kernels that misbehave, and lets good ones be."""

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import lax
from pullback.core.errors import JaxRuntimeError
from pullback.core.types import array_type
from pullback.engines.native import machine, program
from pullback.engines.native.checked import checked
from pullback.engines.native.kernel import Kernel

F32 = array_type((4,), np.dtype(np.float32), False)
HEAD = "define i32 @kernel(ptr %in, ptr %out, ptr %arena) {\n"
LOADS = """
  %x = load ptr, ptr %in
  %y = load ptr, ptr %out
"""


def kernel(body):
    loaded = machine.load(
        machine.assemble(HEAD + LOADS + body + "\n  ret i32 0\n}\n"), {}, ["kernel"]
    )
    return Kernel(loaded.addresses["kernel"], 64, [F32], [F32], keeps=(loaded,))


COPY = "  %v = load <4 x float>, ptr %x, align 4\n  store <4 x float> %v, ptr %y, align 4\n"
WRONG = {
    "memory beside result 0 was written": COPY
    + "  %p = getelementptr float, ptr %y, i64 4\n  store float 1.0, ptr %p, align 4",
    "memory beside the scratch memory was written": COPY
    + "  %p = getelementptr i8, ptr %arena, i64 -4\n  store float 1.0, ptr %p, align 4",
    "input 0 was changed": COPY + "  store float 7.0, ptr %x, align 4",
    "result 0 depends on memory that was never written": (
        "  %v = load <4 x float>, ptr %arena, align 4\n  store <4 x float> %v, ptr %y, align 4"
    ),
}


def test_a_good_kernel_passes():
    x = np.arange(4, dtype=np.float32)
    np.testing.assert_array_equal(checked(kernel(COPY))(x)[0], x)


@pytest.mark.parametrize("what", WRONG)
def test_a_bad_kernel_is_found(what):
    with pytest.raises(JaxRuntimeError, match=what):
        checked(kernel(WRONG[what]))(np.ones(4, np.float32))


def test_nans_out_of_nothing_are_found():
    closed = pullback.make_jaxpr(jnp.log)(jnp.ones(4))
    run = checked(program.compile_program(closed), finite=True)
    run(np.full(4, np.nan, np.float32))
    with pytest.raises(JaxRuntimeError, match="result 0 has a NaN, and no input has one"):
        run(-np.ones(4, np.float32))


def mlp(w, x):
    return jnp.sum(jnp.tanh(x @ w) ** 2)


PROGRAMS = {
    "gradient": (pullback.grad(mlp), (jnp.ones((7, 33)), jnp.ones((5, 7)))),
    "softmax": (pullback.nn.softmax, (jnp.arange(37.0 * 5).reshape(5, 37),)),
    "scan": (
        lambda x: lax.scan(lambda c, r: (c * 0.5 + r, c.sum()), x[0], x),
        (jnp.ones((9, 50)),),
    ),
    "updates": (
        lambda x: lax.fori_loop(1, 40, lambda i, x: x.at[i].set(x[i - 1] + 1), x),
        (jnp.zeros(40),),
    ),
    "moves": (
        lambda x: jnp.concatenate([x.T[::-1], jnp.pad(x.T, ((1, 2), (0, 0)))], 0) * 2,
        (jnp.ones((11, 13)),),
    ),
    "sorted": (lambda x: (jnp.sort(x, 0), jnp.argmax(x, 1), jnp.cumsum(x, 0)), (jnp.ones((9, 7)),)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_pass(name):
    function, args = PROGRAMS[name]
    closed = pullback.make_jaxpr(function)(*args)
    leaves = [np.asarray(x) for x in pullback.tree.leaves(args)]
    found = checked(program.compile_program(closed))(*leaves)
    expected = pullback.jit(function, engine="numpy")(*args)
    for a, b in zip(found, pullback.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, np.asarray(b), rtol=1e-5, atol=1e-6)


def test_the_setting_has_jitted_functions_checked():
    f = pullback.jit(lambda x: jnp.log(x) + x)
    pullback.config.update("pullback_engine", "checked")
    try:
        np.testing.assert_allclose(f(jnp.ones(40)), np.ones(40))
        assert "its calls are checked" in f.explain(jnp.ones(40)).reason
    finally:
        pullback.config.update("pullback_engine", "auto")
    assert "checked" not in f.explain(jnp.ones(40)).reason
