"""The XLA engine agrees with NumPy's on random programs."""

from __future__ import annotations

import pytest

pytest.importorskip("jaxlib", reason="the XLA engine needs jaxlib")

import fuzz_xla
import numpy as np
from fuzz_xla import check_seed, hunt, summary, verdict

from pullback.core.program import trace_program
from pullback.core.settings import enable_x64
from pullback.core.types import array_type
from pullback.ops.functions import exp

FAILURES = ("wrong", "error")


def failures(tally):
    return [key for key in tally if key[0] in FAILURES]


def test_random_programs():
    tally = hunt(0, 60)
    assert not failures(tally), summary(tally)
    assert tally["ok", ""] > 50


def test_programs_of_loops():
    tally = hunt(0, 10, nested=True)
    assert not failures(tally), summary(tally)
    assert tally["ok", ""] > 5


@pytest.mark.fuzz
@pytest.mark.timeout(4 * 3600)
def test_many_random_programs():
    tally = hunt(10_000, 20_000)
    tally += hunt(10_000, 2000, nested=True)
    print(summary(tally))
    assert not failures(tally), summary(tally)


def test_a_wrong_result_is_found(monkeypatch):
    """Results that are off by ten units are wrong, and by one unit are not."""
    compiled = fuzz_xla.compile_program
    x = np.linspace(-3, 3, 40, dtype=np.float32)
    with enable_x64():
        closed = trace_program(lambda x: [exp(x)], [array_type((40,), x.dtype)])
        for units, status in ((1, "ok"), (10, "wrong")):

            def off(program, units=units):
                return lambda *xs: [y + units * np.spacing(y) for y in compiled(program)(*xs)]

            monkeypatch.setattr(fuzz_xla, "compile_program", off)
            assert verdict(closed, [x])[0] == status


def test_a_seed_gives_the_same_verdict():
    assert check_seed(3) == check_seed(3) == ("ok", "")
