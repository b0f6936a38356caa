"""Runs libraries' own test suites on JAX and on Pullback: `python tests/surface/suites.py [names]`.

Downloads each library's source distribution, runs its tests twice with pytest, and prints how many
of the tests that pass on JAX pass on Pullback, and which do not. Needs the libraries and jax
installed (`make suites` does all of it); takes a quarter of an hour.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ET
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SUITES = {"sparsejac": "tests", "tinygp": "tests", "chex": "chex", "optax": "optax"}
"""Each library, and the folder of its source distribution that holds its tests."""

ON_PULLBACK = ("-p", "on_pullback")
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


def source(library: str, folder: Path) -> Path:
    """The unpacked source distribution of the installed version."""
    wanted = f"{library}=={metadata.version(library)}"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"]
    command = [*pip, "--no-deps", "--no-binary", library, "-d", str(folder), wanted]
    subprocess.run(command, check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return next(path for path in folder.iterdir() if path.is_dir())


def outcomes(at: Path, tests: str, *also: str, jobs: int) -> dict[str, str]:
    """What became of each test."""
    report = at / "report.xml"
    options = ["-q", "-p", "no:cacheprovider", "-W", "ignore", "--timeout", "600"]
    options += ["--continue-on-collection-errors", f"--junitxml={report}", "-n", str(jobs)]
    command = [sys.executable, "-m", "pytest", *options, *also, tests]
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    environment = os.environ | {"PYTHONPATH": paths, "JAX_PLATFORMS": "cpu"}
    subprocess.run(command, cwd=at, env=environment, check=False, capture_output=True)
    return read(report)


def read(report: Path) -> dict[str, str]:
    """The outcome of each test in a JUnit report."""
    found: dict[str, str] = {}
    for case in ET.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        wrong = case.find("failure") is not None or case.find("error") is not None
        skipped = SKIPPED if case.find("skipped") is not None else PASSED
        state = FAILED if wrong else skipped
        found[name] = FAILED if found.get(name) == FAILED else state  # subtests share their name
    return found


def compare(library: str, on_jax: dict[str, str], on_pullback: dict[str, str]) -> str:
    """The line of the table, and the tests that pass on JAX only."""
    passing = [name for name, state in on_jax.items() if state == PASSED]
    lost = [name for name in passing if on_pullback.get(name) != PASSED]
    kept = len(passing) - len(lost)
    line = f"| {library} | {len(passing)} | {kept} | {100 * kept / max(1, len(passing)):.1f} |"
    return "\n".join([line, *(f"    {name}: {on_pullback.get(name, 'missing')}" for name in lost)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("libraries", nargs="*", default=list(SUITES))
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    print("| library | tests passing on JAX | of them on Pullback | % |\n|---|--:|--:|--:|")
    for library in given.libraries:
        with tempfile.TemporaryDirectory() as folder:
            at = source(library, Path(folder))
            on_jax = outcomes(at, SUITES[library], jobs=given.jobs)
            on_pullback = outcomes(at, SUITES[library], *ON_PULLBACK, jobs=given.jobs)
        print(compare(library, on_jax, on_pullback), flush=True)


if __name__ == "__main__":
    main()
