"""Every primitive's examples on the XLA engine, compared with `eval`.

What the engine has no code for, it must refuse: `Unsupported`, with a reason.
"""

from __future__ import annotations

import collections
import itertools

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


pytestmark = pytest.mark.usefixtures("x64")


def compile_all(cases):
    """One program of all: compiling one takes hardly longer than compiling a single example."""
    args = [case.args for case in cases]

    def function(*xs):
        outs, rest = [], list(xs)
        for case in cases:
            given, rest = rest[: len(case.args)], rest[len(case.args) :]
            outs += case.function(*given)
        return outs

    types = [HostArray(x).aval for x in itertools.chain(*args)]
    run = program.compile_program(trace_program(function, types))
    return iter(run(*itertools.chain(*args)))


class Case:
    """An example for one dtype, and what NumPy's engine gives."""

    def __init__(self, example, dtype):
        self.where, self.scale = label(example, dtype), example.scale
        self.args, self.function = example.args(dtype), function_of(example, dtype)
        outs = self.function(*map(HostArray, self.args))
        self.wanted = [np.asarray(y._value) for y in outs]

    def problem(self, got):
        """What is wrong with these results; within some roundings nothing is."""
        for g, w in zip(map(np.asarray, got), self.wanted, strict=True):
            if (g.shape, g.dtype) != (w.shape, w.dtype):
                return f"{self.where}: {g.dtype}{g.shape} instead of {w.dtype}{w.shape}"
            tolerance = 0.0
            if dtypes.is_inexact(w.dtype):
                units = 3 if w.dtype.itemsize == 2 else 100
                tolerance = units * float(dtypes.finfo(w.dtype).eps) * self.scale
            if not agree(g, w, tolerance):
                return f"{self.where}:\ngot  {g}\nwant {w}"
        return ""


def supported(cases):
    """Those that the engine has code for, and the results of each."""
    try:
        results = compile_all(cases)
        return [(case, [next(results) for _ in case.wanted]) for case in cases]
    except program.Unsupported as reason:
        assert str(reason), "Unsupported without a reason"
        if len(cases) == 1:
            return []
        return [found for case in cases for found in supported([case])]


@pytest.mark.parametrize("name", BY_PRIMITIVE)
def test_examples(name):
    cases = [Case(example, dtype) for example, dtype in BY_PRIMITIVE[name]]
    problems = [case.problem(got) for case, got in supported(cases)]
    assert not any(problems), "\n".join([p for p in problems if p][:5])
