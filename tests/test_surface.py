"""docs/coverage.md says what there is of JAX's names, and enough of them is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "surface"

USED = """
import json
from page import compat, demand
compat.install(jaxlib=True)
print(json.dumps([demand(2), demand(1)]))
"""


def python(*arguments: str) -> subprocess.CompletedProcess:
    paths = os.pathsep.join([str(FOLDER), str(ROOT)])
    command = [sys.executable, *arguments]
    environment = os.environ | {"PYTHONPATH": paths}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_page_is_what_its_program_writes():
    run = python(str(FOLDER / "page.py"), "--check")
    assert run.returncode == 0, f"`python tests/surface/page.py` writes it anew\n{run.stderr}"


@pytest.fixture(scope="module")
def used():
    run = python("-c", USED)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_names_used_by_two_libraries_are_here(used):
    names, missing = used[0]
    assert len(names) > 400
    assert not missing


def test_almost_all_names_used_by_a_library_are_here(used):
    names, missing = used[1]
    assert len(names) > 700
    assert len(missing) <= 0.03 * len(names), missing
