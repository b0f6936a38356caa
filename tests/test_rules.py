"""Every rule of every primitive, on every example: see properties.py for what is compared."""

from __future__ import annotations

import importlib
import pkgutil

import numpy as np
import peer
import pytest
from examples.base import Example
from properties import (
    check_derivative_types,
    check_jit,
    check_jvp,
    check_lower,
    check_partial_jvps,
    check_peer,
    check_push,
    check_recording,
    check_second_order,
    check_transpose_twice,
    check_typing,
    check_vjp,
    check_vmap,
    label,
)

import pullback.control
import pullback.ops
from examples import EXAMPLES
from pullback.core import dtypes
from pullback.core.primitive import CORE, Absent, all_primitives
from pullback.core.settings import enable_x64
from pullback.ops.elementwise import Elementwise

NO_EXAMPLE = {
    "custom_vjp_call": "it has no forward rule to compare with: test_api.py",
    "custom_linear_solve": "its programs must belong together: test_solving.py",
    **{
        name: "it needs an axis with a name: test_collective.py"
        for name in (
            "all_gather",
            "all_to_all",
            "axis_index",
            "group_exchange",
            "pmax",
            "pmin",
            "ppermute",
            "psum",
            "reduce_scatter",
        )
    },
    "custom_lin": "it is the derivative of custom_vjp_call: test_api.py",
    "check": "it has no result to compare: test_checkify.py",
    "custom_vmap_call": "its vmap is the user's, with any meaning: test_custom_rules.py",
    "io_callback": "it has no derivative: test_callbacks.py",
    "linear_call": "its program and its transpose must belong together: test_custom_rules.py",
    "on_cotangent": "its backward rule is the user's, with any meaning: test_cotangents.py",
    "pure_callback": "it has no derivative: test_callbacks.py",
    "ffi_call": "its function is a compiled library's: xla/test_ffi.py",
    "call_exported": "its program is in bytes: xla/test_export.py",
    "debug_callback": "it has no result to compare: test_debug.py",
    **dict.fromkeys(
        ("after_all", "create_token", "dce_sink"), "it has no result: test_lax_rest.py"
    ),
    "rng_uniform": "it gives other numbers each time: test_lax_rest.py",
}
"""Primitives without an example, and where they are tested instead."""


pytestmark = pytest.mark.usefixtures("x64")


def unique(pairs):
    """pytest parameters (example, dtype) with names such as `sin-f64[3]`, each only once."""
    seen, found = {}, []
    for example, dtype in pairs:
        name = label(example, dtype)
        seen[name] = seen.get(name, 0) + 1
        number = f"-{seen[name]}" if seen[name] > 1 else ""
        found.append(pytest.param(example, dtype, id=name + number))
    return found


def widest(example: Example) -> np.dtype:
    """One dtype of the example: float64 where it is claimed."""
    for name in ("float64", "complex128", "int32"):
        if name in example.dtypes:
            return np.dtype(name)
    return example.dtypes[0]


def has_derivative(example: Example, dtype: np.dtype) -> bool:
    return example.order > 0 and any(dtypes.is_inexact(x.dtype) for x in example.args(dtype))


with enable_x64():
    WIDEST = unique((e, widest(e)) for e in EXAMPLES)
    ALL_DTYPES = unique((e, d) for e in EXAMPLES for d in e.dtypes)
    DERIVATIVES = unique(
        (e, d) for e in EXAMPLES for d in e.derivative_dtypes if has_derivative(e, d)
    )


def examples(cases, skip=""):
    """Parametrise a test; an example that gives a reason to skip the property is marked so."""
    marked = []
    for case in cases:
        reason = case.values[0].skip.get(skip)
        mark = [pytest.mark.skip(reason=reason)] if reason else []
        marked.append(pytest.param(*case.values, id=case.id, marks=mark))
    return pytest.mark.parametrize(("example", "dtype"), marked)


def test_every_primitive_has_an_example():
    for package in pullback.ops, pullback.control:
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
    ours = {p for p in all_primitives() if type(p).__module__.startswith("pullback.")}
    missing = ours - {e.primitive for e in EXAMPLES}
    missing = {p.name for p in missing} - set(NO_EXAMPLE)
    assert not missing, f"no example in tests/examples for: {', '.join(sorted(missing))}"


@pytest.mark.parametrize("example", EXAMPLES, ids=repr)
def test_claimed_dtypes_are_those_of_the_arguments(example):
    """Arguments of fixed dtypes (`I`, `B`, integer arrays) are no example for other dtypes."""
    calls = [
        ([x.dtype for x in example.args(dtype)], repr(example.params(dtype)))
        for dtype in example.dtypes
    ]
    assert all(call != calls[0] for call in calls[1:]), "the same call for several dtypes"


def test_elementwise_examples_claim_every_kind_that_is_taken():
    claimed = {}
    for e in EXAMPLES:
        if isinstance(e.primitive, Elementwise):
            kinds = {dtypes.kind(x.dtype) for d in e.dtypes for x in e.args(d)}
            claimed.setdefault(e.primitive, set()).update(kinds)
    wrong = {p.name: set(p.takes) - kinds - {"V"} for p, kinds in claimed.items()}
    assert not any(wrong.values()), {name: kinds for name, kinds in wrong.items() if kinds}


@examples(ALL_DTYPES, "typing")
def test_typing_agrees_with_eval(example, dtype):
    check_typing(example, dtype)


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(c.values[0], id=c.id)
        for c in WIDEST
        if isinstance(c.values[0].primitive, Elementwise)
    ],
)
def test_elementwise_on_scalars_and_empty_arrays(example):
    """Typing and vmap where shapes are extreme: no element, one without axes."""
    for name, shape in ("scalar", ()), ("empty", (0,)), ("empty-2d", (2, 0)):
        specs = [with_shape(s, shape) for s in example.specs]
        changed = example.with_args(*specs, id=f"{example.id or ''}{name}")
        check_typing(changed, widest(example))
        if "vmap" not in example.skip:
            check_vmap(changed, widest(example))


def with_shape(spec, shape):
    """The spec with another shape; an array's first number, or none of them."""
    if hasattr(spec, "make"):
        return type(spec)(shape, spec.make, spec.dtype)
    return np.resize(np.asarray(spec), shape)


PEER_DTYPES = ("float64", "complex128", "bfloat16", "int32", "uint8", "bool")
PEER_CASES = {}
for _case in ALL_DTYPES:
    _example, _dtype = _case.values
    if _dtype.name in PEER_DTYPES and "jax" not in _example.skip:
        PEER_CASES.setdefault(_example.primitive, []).append((_example, _dtype))


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
@pytest.mark.parametrize("primitive", PEER_CASES, ids=lambda p: p.name)
def test_eval_agrees_with_jax(primitive):
    if not peer.knows(primitive.name):
        pytest.skip("jax has no primitive of this name")
    check_peer(PEER_CASES[primitive])


def is_lowered(example: Example) -> bool:
    lower = type(example.primitive).lower
    return lower is not CORE and not isinstance(lower, Absent)


@examples([c for c in ALL_DTYPES if is_lowered(c.values[0])], "lower")
def test_lower_means_eval(example, dtype):
    check_lower(example, dtype)


@examples([c for c in ALL_DTYPES if has_derivative(*c.values)], "derivative_types")
def test_derivatives_have_the_types_of_what_they_belong_to(example, dtype):
    check_derivative_types(example, dtype)


@examples([c for c in DERIVATIVES if c.values[0].smooth], "jvp")
def test_jvp_against_finite_differences(example, dtype):
    check_jvp(example, dtype)


@examples(DERIVATIVES, "partial_jvps")
def test_jvps_of_each_argument_add_up(example, dtype):
    check_partial_jvps(example, dtype)


@examples(DERIVATIVES, "vjp")
def test_vjp_against_jvp(example, dtype):
    check_vjp(example, dtype)


@examples(DERIVATIVES, "push")
def test_tape_forward_against_jvp(example, dtype):
    check_push(example, dtype)


@examples([c for c in DERIVATIVES if c.values[0].linear_in], "transpose_twice")
def test_transpose_of_transpose(example, dtype):
    check_transpose_twice(example, dtype)


@examples([c for c in DERIVATIVES if c.values[0].smooth and c.values[0].order > 1], "second_order")
def test_second_order_against_differences_of_first(example, dtype):
    check_second_order(example, dtype)


@examples([c for c in WIDEST if c.values[0].specs], "vmap")
def test_vmap_against_a_loop(example, dtype):
    check_vmap(example, dtype)


@examples(WIDEST, "recording")
def test_recorded_programs_are_typed_and_mean_the_same(example, dtype):
    check_recording(example, dtype)


@examples(WIDEST, "jit")
def test_jit_means_the_same(example, dtype):
    check_jit(example, dtype)
