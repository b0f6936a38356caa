"""The command `python -m pullback`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pullback
from pullback.compat.run import run_module, run_script
from pullback.compat.versions import JAX_VERSION
from pullback.processes.launch import launch

USAGE = """\
usage: python -m pullback run script.py [arguments ...]
       python -m pullback run -m module [arguments ...]
       python -m pullback launch -n COUNT [-d DEVICES] script.py [arguments ...]
       python -m pullback --version

run         runs a program written for JAX, unchanged: inside it `import jax` gives Pullback
launch      runs it in COUNT processes of this machine, each with DEVICES CPU devices; inside it
            `jax.distributed.initialize()` connects them. Lines get the number of their process
--version   prints Pullback's version, and the version of JAX whose API it follows
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, do what it says, return the exit code."""
    match list(sys.argv[1:] if arguments is None else arguments):
        case ["--version" | "-V"]:
            print(f"pullback {pullback.__version__} (the API of jax {JAX_VERSION})")
            return 0
        case ["--help" | "-h", *_] | ["run" | "launch", "--help" | "-h", *_]:
            print(USAGE, end="")
            return 0
        case ["run", "-m", name, *rest]:
            return run_module(name, rest)
        case ["run", "-m"]:
            return _wrong("run -m needs the name of a module")
        case ["run"]:
            return _wrong("run needs a script, or -m and the name of a module")
        case ["launch", *rest]:
            return _launch(rest)
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


def _launch(arguments: list[str]) -> int:
    """Read the options of `launch`, and do it."""
    numbers: dict[str, int] = {}
    while arguments and arguments[0] in ("-n", "-d"):
        option, *rest = arguments
        if not rest or not rest[0].isdecimal() or not 0 < int(rest[0]) <= 4096:
            return _wrong(f"launch needs a number after {option}")
        numbers[option], arguments = int(rest[0]), rest[1:]
    if "-n" not in numbers:
        return _wrong("launch needs -n and the number of processes")
    if not arguments or arguments == ["-m"]:
        return _wrong("launch needs a script, or -m and the name of a module")
    if arguments[0].startswith("-") and arguments[0] != "-m":
        return _wrong(f"launch has no option {arguments[0]}")
    return launch(numbers["-n"], arguments, numbers.get("-d"))


def _wrong(problem: str) -> int:
    print(f"pullback: {problem}\n\n{USAGE}", end="", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
