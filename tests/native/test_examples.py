"""Every primitive's examples on the native engine, compared with `eval`.

What the engine has no code for, it must refuse: `Unsupported`, with a reason. How many primitives
it takes is written down, so that none is lost.
"""

from __future__ import annotations

import collections

import numpy as np
import pytest
from fuzz import run_kernel
from fuzz_errors import MOVES, SUMS, Value, difference, run
from properties import agree, function_of, label

from examples import EXAMPLES
from pullback.core import dtypes
from pullback.core.array import HostArray
from pullback.core.primitive import CORE
from pullback.core.program import trace_program
from pullback.core.settings import enable_x64
from pullback.core.trace import quiet
from pullback.engines.native.program import Unsupported, compile_program
from pullback.ops.elementwise import Elementwise

RUNNING = 192
"""Primitives of which every example runs. `python tests/native/test_examples.py` lists the rest."""

NOT_ARRAYS = {"random_wrap", "random_unwrap", "device_put"}
OPEN = {"optimization_barrier", "rng_bit_generator"}
STRICT = {*SUMS, *MOVES, "reduce_max", "reduce_min", "cummax", "cummin", "argmax", "argmin", "sort"}
STRICT |= {"select_n", "gather", "scatter", "dynamic_slice", "dynamic_update_slice", "iota"}
STRICT |= {"top_k", "bitcast_convert_type", "cond", "scan", "while", "jit"}

BY_PRIMITIVE: dict[str, list] = collections.defaultdict(list)
with enable_x64():
    for _example in EXAMPLES:
        for _dtype in _example.dtypes:
            BY_PRIMITIVE[_example.primitive.name].append((_example, _dtype))


pytestmark = pytest.mark.usefixtures("x64")


def program_of(example, dtype):
    """The example as a program of its arguments, and these."""
    args = example.args(dtype)
    types = [HostArray(x).aval for x in args]
    return trace_program(function_of(example, dtype), types), args


def compare(example, dtype):
    """The native engine against `eval`, or where this has no bound, within a few roundings."""
    closed, args = program_of(example, dtype)
    kernel = compile_program(closed)
    got = run_kernel(kernel, args)
    where = label(example, dtype)
    primitive = example.primitive
    own = isinstance(primitive, Elementwise) and type(primitive).lower is CORE
    if own or primitive.name in STRICT:
        with quiet():
            wanted = run(closed, [Value(x) for x in args])
        for g, w in zip(got, wanted, strict=True):
            problem = difference(g, w)
            assert not problem, f"{where}: {problem}"
        return
    wanted = [np.asarray(y._value) for y in function_of(example, dtype)(*map(HostArray, args))]
    for g, w in zip(got, wanted, strict=True):
        assert (g.shape, g.dtype) == (w.shape, w.dtype), where
        tolerance = 0.0
        if dtypes.is_inexact(w.dtype):
            units = 3 if w.dtype.itemsize == 2 else 100
            tolerance = units * float(dtypes.finfo(w.dtype).eps) * example.scale
        assert agree(g, w, tolerance), f"{where}:\ngot  {g}\nwant {w}"


@pytest.mark.parametrize("name", BY_PRIMITIVE)
def test_examples(name):
    reasons, wrong = set(), []
    for example, dtype in BY_PRIMITIVE[name]:
        try:
            compare(example, dtype)
        except Unsupported as reason:
            reasons.add(str(reason))
        except AssertionError as problem:
            wrong.append(str(problem))
    assert not wrong, "\n".join(wrong[:5])
    assert all(reasons), "Unsupported without a reason"


def refusals():
    """For each primitive, why some of its examples do not run: empty if all do."""
    found = {}
    for name, examples in BY_PRIMITIVE.items():
        reasons = found[name] = collections.Counter()
        for example, dtype in examples:
            try:
                compile_program(program_of(example, dtype)[0])
            except Unsupported as reason:
                reasons[str(reason)] += 1
            except RuntimeError as problem:  # LLVM's: `test_examples` shows it
                reasons[f"a mistake: {problem}"] += 1
    return found


def test_no_primitive_is_lost():
    found = refusals()
    whole = {name for name, reasons in found.items() if not reasons}
    shown = {name: dict(reasons) for name, reasons in found.items() if reasons}
    assert len(whole) >= RUNNING, f"{len(whole)} of {len(found)} primitives run; not: {shown}"


if __name__ == "__main__":
    with enable_x64():
        listed = refusals()
    for _name, _reasons in sorted(listed.items()):
        if _reasons:
            print(f"{_name}: {len(BY_PRIMITIVE[_name])} examples, {dict(_reasons)}")
    print(f"{sum(not r for r in listed.values())} of {len(listed)} run with all their examples")
