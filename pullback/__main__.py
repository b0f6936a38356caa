"""The command `python -m pullback`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pullback
from pullback.compat.run import run_module, run_script
from pullback.compat.versions import JAX_VERSION

USAGE = """\
usage: python -m pullback run script.py [arguments ...]
       python -m pullback run -m module [arguments ...]
       python -m pullback --version

run         runs a program written for JAX, unchanged: inside it `import jax` gives Pullback
--version   prints Pullback's version, and the version of JAX whose API it follows
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, do what it says, return the exit code."""
    match list(sys.argv[1:] if arguments is None else arguments):
        case ["--version" | "-V"]:
            print(f"pullback {pullback.__version__} (the API of jax {JAX_VERSION})")
            return 0
        case ["--help" | "-h", *_] | ["run", "--help" | "-h", *_]:
            print(USAGE, end="")
            return 0
        case ["run", "-m", name, *rest]:
            return run_module(name, rest)
        case ["run", "-m"]:
            return _wrong("run -m needs the name of a module")
        case ["run"]:
            return _wrong("run needs a script, or -m and the name of a module")
        case ["run", option, *_] if option.startswith("-"):
            return _wrong(f"run has no option {option}")
        case ["run", script, *rest]:
            return run_script(script, rest)
        case []:
            return _wrong("say what to do")
        case [script, *_] if script.endswith(".py"):
            return _wrong(f"to run a script, write: python -m pullback run {script}")
        case [command, *_]:
            return _wrong(f"there is no command {command}")
    raise AssertionError("the cases above are all there are")


def _wrong(problem: str) -> int:
    print(f"pullback: {problem}\n\n{USAGE}", end="", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
