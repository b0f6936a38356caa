"""Each program of the seed documents runs, in order, and prints what the document shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from seeds import compare, document

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = {name: document.read(name) for name in document.NAMES}
CELLS = [
    pytest.param(name, index, id=f"{name}-{block.line}")
    for name, read in DOCUMENTS.items()
    for index, block in enumerate(read.blocks)
]

# 000 takes finite differences in float32, of a loss of 3.05 with eps = 1e-4. Floats there lie
# 2**-22 apart, so the quotient can only be a multiple of 2**-22 / 1e-4 = 0.0024. Each of the two
# losses is off by half such a step when rounded, and their difference by one; the document's
# number is off by one too. Two correct programs can thus differ by two steps.
STEP = 2**-22 / 1e-4
FINITE_DIFFERENCES = {"b_grad_numerical": 2 * STEP, "W_dirderiv_numerical": 2 * STEP}


@cache
def replay(name: str) -> list[dict[str, str]]:
    """What each block gives, from a fresh process."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONWARNINGS"}
    environment |= {
        "MPLBACKEND": "Agg",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
    }
    command = [sys.executable, "-m", "seeds.replay", name]
    run = subprocess.run(
        command, env=environment, capture_output=True, encoding="utf-8", timeout=550, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("name, index", CELLS)
def test_cell(name: str, index: int) -> None:
    block, given = DOCUMENTS[name].blocks[index], replay(name)[index]
    assert given["error"] == block.raises, given["error"]
    output = given["output"]
    if block.is_older:
        output = output.replace(", weak_type=True", "")
    difference = compare.difference(block.output, output, FINITE_DIFFERENCES)
    assert difference is None, f"{difference}\n\nThe whole output:\n{output}"
    assert compare.difference(block.given.get("warning", ""), given["warning"]) is None


def test_the_documents_are_whole() -> None:
    """A fence that is not read would be a cell that is not run."""
    found = {name[:3]: read.blocks for name, read in DOCUMENTS.items()}
    cells = {number: len(blocks) for number, blocks in found.items()}
    shown = {number: sum(bool(b.output) for b in blocks) for number, blocks in found.items()}
    assert cells == {"000": 37, "001": 38, "002": 95, "003": 5, "004": 80}
    assert shown == {"000": 20, "001": 31, "002": 76, "003": 5, "004": 51}


SHOWN = """\
Jacobian, shape (4, 3)
[[ 0.05981758  0.12883787]
 [-0.00021085  1.        ]]
Array(1.-0.j, dtype=complex64)
{ lambda ; a:f32[]. let
    b:f32[] = mul 2.0 a
  in (b,) }
nan"""

AGREES = {
    "the same": ("", ""),
    "2e-5 of a number": ("0.05981758", "0.0598186 "),
    "a last decimal that NumPy rounded": ("-0.00021085", "-0.00021084"),
    "padding": ("[ 0.05981758  0", "[0.05981758 0"),
    "wrapping": ("0.12883787]\n", "0.12883787],\n".replace(",", " ")),
    "a blank at a line's end": ("let\n", "let \n"),
}

DIFFERS = {
    "a wrong number": ("0.12883787", "0.12884787"),
    "a wrong sign": ("-0.00021085", "0.00021085"),
    "a wrong sign of zero": ("1.-0.j", "1.+0.j"),
    "a wrong word": ("mul", "add"),
    "a wrong dtype": ("complex64", "complex128"),
    "a wrong integer": ("(4, 3)", "(4, 2)"),
    "an integer for a float": ("2.0", "2"),
    "a number for nan": ("nan", "0.0"),
    "a missing line": ("    b:f32[] = mul 2.0 a\n", ""),
    "one line for two": ("let\n    b", "let b"),
    "an indented line": ("  in", "    in"),
    "a missing end": ("\nnan", ""),
    "a line too many": ("nan", "nan\nnan"),
    "a text for a number": ("0.12883787", "nan"),
}


@pytest.mark.parametrize("old, new", AGREES.values(), ids=AGREES)
def test_compare_accepts(old: str, new: str) -> None:
    assert old in SHOWN
    assert compare.difference(SHOWN, SHOWN.replace(old, new)) is None


@pytest.mark.parametrize("old, new", DIFFERS.values(), ids=DIFFERS)
def test_compare_catches(old: str, new: str) -> None:
    assert old in SHOWN
    assert compare.difference(SHOWN, SHOWN.replace(old, new)) is not None


def test_compare_says_where() -> None:
    assert compare.difference("ok\nloss 1.5", "ok\nloss 1.6") == (
        "expected '1.5' in: loss 1.5\nbut got  '1.6' in: loss 1.6"
    )


def test_wider_tolerances_are_for_their_lines_only() -> None:
    wider = {"numerical": 0.1}
    assert compare.difference("numerical 1.0", "numerical 1.05", wider) is None
    assert compare.difference("numerical 1.0", "numerical 1.2", wider) is not None
    assert compare.difference("exact 1.0", "exact 1.05", wider) is not None


@pytest.mark.parametrize("what", ["<matplotlib.lines.Line2D at 0x7f43dfc210f0>", "<cell 17>:8:"])
def test_what_differs_in_each_run_does_not_count(what: str) -> None:
    assert compare.difference(what, what.replace("17", "34").replace("7f43", "6a00")) is None
