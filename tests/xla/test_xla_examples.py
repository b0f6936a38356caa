"""Every primitive's examples on the XLA engine, compared with `eval`.

What the engine has no code for, it must refuse: `Unsupported`, with a reason.
"""

from __future__ import annotations

import collections

import numpy as np
import pytest
from properties import agree, function_of, label

from examples import EXAMPLES
from pullback.core import dtypes
from pullback.core.array import HostArray
from pullback.core.program import trace_program
from pullback.core.settings import enable_x64

pytest.importorskip("jaxlib", reason="the XLA engine needs jaxlib")
program = pytest.importorskip("pullback.engines.xla.program")

BY_PRIMITIVE: dict[str, list] = collections.defaultdict(list)
with enable_x64():
    for _example in EXAMPLES:
        for _dtype in _example.dtypes:
            BY_PRIMITIVE[_example.primitive.name].append((_example, _dtype))


@pytest.fixture(autouse=True)
def x64():
    with enable_x64():
        yield


def compare(example, dtype):
    """The XLA engine against `eval`, within some roundings."""
    args = example.args(dtype)
    closed = trace_program(function_of(example, dtype), [HostArray(x).aval for x in args])
    got = program.compile_program(closed)(*args)
    wanted = [np.asarray(y._value) for y in function_of(example, dtype)(*map(HostArray, args))]
    where = label(example, dtype)
    for g, w in zip(got, wanted, strict=True):
        g = np.asarray(g)
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
        except program.Unsupported as reason:
            reasons.add(str(reason))
        except AssertionError as problem:
            wrong.append(str(problem))
    assert not wrong, "\n".join(wrong[:5])
    assert all(reasons), "Unsupported without a reason"
