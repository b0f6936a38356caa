"""The native engine agrees with NumPy's on random programs; and what finds differences works."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fuzz import hunt, run_kernel, summary
from fuzz_errors import Value, difference, run
from fuzz_makers import random_program

from pullback.core.program import check_program, trace_program
from pullback.core.settings import enable_x64
from pullback.core.types import array_type
from pullback.engines import numpy as numpy_engine
from pullback.engines.native.program import compile_program
from pullback.ops.elementwise import add, convert_element_type
from pullback.ops.functions import exp
from pullback.ops.rounding import floor

CRASHES = ("crash", "wrong", "error")


def failures(tally):
    return {key: n for key, n in tally.items() if key[0] in CRASHES}


def test_random_programs():
    """In processes of their own: a program may end its process."""
    tally = hunt(0, 300, jobs=1, batch=300)
    assert sum(tally.values()) == 300
    assert not failures(tally), summary(tally)


@pytest.mark.fuzz
@pytest.mark.timeout(4 * 3600)
def test_many_random_programs():
    tally = hunt(10_000, 100_000, jobs=2)
    print(summary(tally))
    assert sum(tally.values()) >= 100_000
    assert not failures(tally), summary(tally)


# ---- the generator, and what compares


def test_programs_are_typed_and_run():
    """A seed gives the same program each time; NumPy's engine takes all."""
    with enable_x64():
        for seed in range(60):
            closed, args = random_program(seed)
            again, same_args = random_program(seed)
            assert str(closed) == str(again)
            assert all(x.tobytes() == y.tobytes() for x, y in zip(args, same_args, strict=True))
            check_program(closed)
            outs = numpy_engine.compiled(closed)(*args)
            for y, t in zip(outs, closed.out_avals, strict=True):
                assert (y.shape, y.dtype) == (t.shape, t.dtype)


def one_function():
    f32 = array_type((40,), np.dtype("f4"))
    return trace_program(lambda x: [exp(x), add(x, x)], [f32])


def test_results_of_the_engine_pass_and_wrong_ones_do_not():
    closed = one_function()
    x = np.linspace(-3, 3, 40, dtype=np.float32)
    wanted = run(closed, [Value(x)])
    got = run_kernel(compile_program(closed), [x])
    assert [difference(g, w) for g, w in zip(got, wanted, strict=True)] == ["", ""]
    off = got[0].copy()
    off[7] += 4 * np.spacing(off[7])
    assert "1 of 40 wrong, first at [7]" in difference(off, wanted[0])
    off = got[1].copy()
    off[39] = np.nextafter(off[39], np.float32(0))
    assert "first at [39]" in difference(off, wanted[1])


def test_nan_and_signs_of_zeros_are_compared():
    want = Value(np.array([0.0, np.nan, np.inf, 1.0]))
    assert not difference(np.array([0.0, np.nan, np.inf, 1.0]), want)
    for wrong in ([-0.0, np.nan, np.inf, 1], [0, 0, np.inf, 1], [0, np.nan, -np.inf, 1]):
        assert difference(np.array(wrong), want)
    assert difference(np.array([0.0, np.nan, np.inf, np.nan]), want)


def test_bounds_are_carried_through_discontinuities():
    """The floor of a number that may be 3 or just below is open; that of 2.5 is not."""

    def program(x):
        return [convert_element_type(floor(exp(x)), new_dtype=np.dtype("i4"), weak_type=False)]

    closed = trace_program(program, [array_type((2,), np.dtype("f4"))])
    (found,) = run(closed, [Value(np.log(np.array([3.0, 2.5])).astype(np.float32))])
    assert list(np.isinf(found.bound())) == [True, False]
    assert difference(np.array([2, 2], np.int32), found) == ""
    assert difference(np.array([3, 3], np.int32), found) != ""


READS_PAST_THE_END = """
import ctypes, fuzz
region = fuzz.Region(100)
assert ctypes.string_at(region.end - 1, 1) == bytes(1)
print("before", flush=True)
ctypes.string_at(region.end, 1)
"""


def test_memory_behind_an_array_is_out_of_bounds():
    found = subprocess.run(
        [sys.executable, "-c", READS_PAST_THE_END],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == "before\n"
    assert found.returncode == -signal.SIGSEGV
