"""Libraries written for JAX run on Pullback, unmodified, and give what they give on JAX.

`make clients` installs them and runs these tests; each script in examples/clients/ runs twice.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import peer
import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted((ROOT / "examples" / "clients").glob("*.py"))

LIBRARY = re.compile(r'^"""([\w.-]+)')
MODULE = {"e3nn-jax": "e3nn_jax", "dm-haiku": "haiku"}
"""Where the name of the module is not the name of the distribution."""

NUMBER = re.compile(r"([+-]?(?:\d+\.\d*|\.\d+|\d+)(?:e[+-]?\d+)?)(?!\w)")
DIGITS = 2e-4
"""The scripts print numbers of about 1 to four decimals or more, and round them."""


def library(script: Path) -> str:
    """The library that a script is about: the first word of its docstring."""
    return LIBRARY.match(script.read_text(encoding="utf-8")).group(1)


def output(script: Path, *run: str) -> str:
    """What the script prints, started as `python run... script`."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-W", "ignore", *run, str(script)]
    done = subprocess.run(
        command, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def parts(text: str) -> list[str]:
    """Words and numbers by turns. NumPy's blanks in arrays depend on the digits; they go."""
    text = re.sub(r"\[\s+", "[", re.sub(r"\s+", " ", text))
    return NUMBER.split(re.sub(r"\s+\]", "]", text))


def difference(want: str, got: str) -> str | None:
    """None if the texts agree but for the last digits of numbers; else where they do not."""
    for i, (x, y) in enumerate(itertools.zip_longest(parts(want), parts(got), fillvalue="")):
        close = (
            i % 2 and x and y and math.isclose(float(x), float(y), rel_tol=DIGITS, abs_tol=DIGITS)
        )
        if x != y and not close:
            before = "".join(parts(want)[max(0, i - 8) : i])
            return f"after ...{before}\nJAX      has {x!r}\nPullback has {y!r}"
    return None


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_library_gives_on_pullback_what_it_gives_on_jax(script):
    name = library(script)
    if not importlib.util.find_spec(MODULE.get(name, name)):
        pytest.skip(f"{name} is not installed: `make clients` installs it")
    ours = output(script, "-m", "pullback", "run")
    assert ours.strip()
    if not peer.INSTALLED:
        pytest.skip("jax is not installed: the script ran, its numbers are not compared")
    assert difference(output(script), ours) is None


def test_difference_sees_words_and_digits():
    assert difference("a 1.0000\n[ 2.  3.]", "a 1.0001 [2. 3.]") is None
    assert "'1.0'" in difference("a 1.0", "a 1.1")
    assert "JAX" in difference("True", "False")
    assert difference("a", "a 1") is not None


def test_every_library_of_the_list_has_a_script():
    named = {library(script) for script in SCRIPTS}
    listed = (ROOT / "requirements" / "clients.txt").read_text(encoding="utf-8")
    assert named == set(re.findall(r"^([\w-]+)==", listed, re.MULTILINE))
