"""JAX's inner modules on Pullback: the cases of tests/interop.py, and what they show on JAX."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import peer
import pytest

import pullback
import pullback.numpy as jnp
from pullback import compat, lax
from pullback.compat.views import rules
from pullback.compat.views.primitives import Primitive
from pullback.core.primitive import all_primitives
from pullback.transforms.simplify import simplify

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "tests" / "interop.py"
CASES = re.findall(r"@case\ndef (\w+)", PROGRAM.read_text(encoding="utf-8"))


@functools.cache
def results(*run: str) -> dict[str, str]:
    """What each case shows when the file is started as `python run... interop.py`."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-W", "ignore", *run, str(PROGRAM)]
    done = subprocess.run(
        command, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_there_are_cases():
    assert set(results("-m", "pullback", "run")) == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_on_pullback(case):
    found = results("-m", "pullback", "run")[case]
    assert not found.startswith("failed"), found


@pytest.mark.skipif(not peer.INSTALLED, reason="the real JAX is not installed")
@pytest.mark.parametrize("case", CASES)
def test_as_on_jax(case):
    theirs = results()[case]
    assert not theirs.startswith("failed"), theirs
    assert results("-m", "pullback", "run")[case] == theirs


# ---- in this process


def test_primitives_of_libraries_are_not_among_ours():
    made = Primitive("made")
    assert made not in all_primitives()
    assert isinstance(lax.add_p, Primitive) and type(lax.add_p) is not Primitive
    assert not rules.made_by_library(lax.add_p) and rules.made_by_library(made)


def test_a_changed_rule_is_taken_back():
    before = vars(lax.exp_p).copy()
    rules.primitive_jvps[lax.exp_p] = lambda p, t: (lax.exp_p.bind(*p), t[0])
    rules.primitive_transposes[lax.neg_p] = lambda ct, x: [ct]
    try:
        assert float(pullback.grad(jnp.exp)(3.0)) == 1.0
        assert float(pullback.grad(lambda x: -x)(3.0)) == 1.0
    finally:
        del rules.primitive_jvps[lax.exp_p]
        del rules.primitive_transposes[lax.neg_p]
    assert vars(lax.exp_p) == before
    assert float(pullback.grad(jnp.exp)(0.0)) == 1.0
    assert float(pullback.grad(lambda x: -x)(3.0)) == -1.0


def test_a_table_lists_what_it_has():
    assert lax.sin_p in set(rules.primitive_jvps)
    assert lax.sin_p not in set(rules.primitive_transposes)
    assert len(rules.primitive_batchers) == len(all_primitives())
    with pytest.raises(KeyError):
        rules.primitive_jvps[Primitive("none")]
    with pytest.raises(NotImplementedError, match="Transpose rule"):
        rules.get_primitive_transpose(Primitive("none"))


def test_a_missing_rule_says_which():
    with pytest.raises(NotImplementedError) as caught:
        Primitive("nothing").bind(1.0)
    what, got, _, fix = str(caught.value).split("\n")
    assert what == "Evaluation rule for 'nothing' not implemented."
    assert got == "  Got: primitive nothing with rules for: nothing"
    assert fix == "  Fix: register the rule before the primitive is used in this way."


def test_programs_for_engines_have_the_lowered_operations():
    from pullback.compat.views.lowering import lower_fun, register_lowering

    square = Primitive("square_sum")
    square.def_abstract_eval(lambda x: pullback.typeof(jnp.sum(jnp.zeros(x.shape, x.dtype))))
    register_lowering(square, lower_fun(lambda x: jnp.sum(x * x), multiple_results=False))
    program = pullback.make_jaxpr(lambda x: 2 * square.bind(x))(jnp.ones(3))
    assert [eq.primitive.name for eq in program.eqns] == ["square_sum", "mul"]
    lowered = [eq.primitive.name for eq in simplify(program).eqns]
    assert lowered[-1] == "mul" and "reduce_sum" in lowered and "square_sum" not in lowered
    # It has no impl: what runs is the lowering.
    assert float(pullback.jit(lambda x: 2 * square.bind(x))(jnp.arange(3.0))) == 10.0


def test_a_compilers_lowering_is_refused_where_it_is_called():
    from pullback.compat.views.lowering import emit_python_callback, lower_fun

    with pytest.raises(NotImplementedError, match="no MLIR"):
        lower_fun(jnp.sin)(None, 1.0)
    with pytest.raises(NotImplementedError, match="no MLIR"):
        emit_python_callback()


def test_user_lines_pass_over_libraries():
    from pullback.compat.views.places import include_filename, register_exclusion
    from pullback.core.errors import hidden_paths, user_line

    assert "test_interop.py" in user_line()
    register_exclusion(__file__)
    try:
        assert not include_filename(__file__)
        assert "test_interop.py" not in user_line()
    finally:
        hidden_paths.remove(__file__)


def test_the_alias_has_the_inner_modules():
    if "jax" in sys.modules and not compat.alias._ALIAS.made(sys.modules["jax"]):
        pytest.skip("the real jax is imported in this process")
    with compat.aliased():
        import jax
        import jax.extend.core
        import jax.interpreters.ad

        assert jax.core.ShapedArray((2,), "float32") is pullback.typeof(jnp.zeros(2))
        assert jax.extend.core.primitives.jit_p.name == "jit"
        with pytest.raises(AttributeError, match=r"removed in JAX v0\.10\.0; use jax\.typeof"):
            jax.core.get_aval  # noqa: B018
        with pytest.warns(DeprecationWarning, match=r"Use jax\.extend\.core\.Effect"):
            jax.core.Effect  # noqa: B018
