"""`make test-jaxlib`: what calls jaxlib, tested with each version of it that is supported.

Each version gets an environment of its own in .venv-jaxlib; what needs a Python that is not on this
machine is left out, and said so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

VERSIONS = [
    ("3.11", "0.10.0"),
    ("3.11", "0.10.2"),
    ("3.12", "0.11.0"),
    ("3.12", "0.11.2"),
    ("3.12", "0.12.0.1"),
]
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".venv-jaxlib"
TESTS = [
    *("tests/xla/test_adapter.py", "tests/xla/test_cuda.py", "tests/xla/test_export.py"),
    "tests/xla/test_export_lengths.py",
    *("tests/xla/test_meshes.py", "tests/xla/test_processes.py"),
]
ALSO = ["pytest", "pytest-timeout", "pytest-xdist", "hypothesis", "flatbuffers", "scikit-learn"]


def interpreter(version: str) -> str | None:
    """A Python of this version."""
    installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for found in (shutil.which(f"python{version}"), *map(str, installed), sys.executable):
        if found is None:
            continue
        said = subprocess.run([found, "-V"], capture_output=True, text=True, check=False)
        if said.stdout.startswith(f"Python {version}."):
            return found
    return None


def environment(python: str, jaxlib: str) -> Path:
    """The Python of an environment with this jaxlib."""
    folder = FOLDER / jaxlib
    inside = folder / "bin" / "python"
    done = folder / "made.stamp"
    if not done.exists():
        subprocess.run([python, "-I", "-m", "venv", "--clear", folder], check=True)
        needs = ["-r", ROOT / "requirements" / "run.txt", f"jaxlib=={jaxlib}", *ALSO]
        pip = [inside, "-I", "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
        subprocess.run([*pip, *needs], check=True)
        done.touch()
    return inside


def main() -> int:
    """Run all; how many failed."""
    rows, failed = [], 0
    for version, jaxlib in VERSIONS:
        python = interpreter(version)
        if python is None:
            rows.append(f"jaxlib {jaxlib}: not run, no Python {version} is here")
            continue
        command = [environment(python, jaxlib), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        variables = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [*command, *TESTS], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
        )
        last = done.stdout.strip().splitlines()[-1:] or [done.stderr]
        rows.append(f"jaxlib {jaxlib}, Python {version}: {last[0]}")
        if done.returncode:
            failed += 1
            print(done.stdout, done.stderr)
    print("\n".join(rows))
    return failed


if __name__ == "__main__":
    sys.exit(main())
