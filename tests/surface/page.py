"""Writes docs/coverage.md, on what there is of JAX's names. `python tests/surface/page.py`"""

from __future__ import annotations

import csv
import functools
import importlib
import json
import sys
from pathlib import Path

from notes import ABSENT, DIFFERENT

from pullback import compat

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "coverage.md"
RECORD = json.loads((HERE / "names.json").read_text())

INTRODUCTION = """\
# What Pullback has of JAX's public names

Made by `python tests/surface/page.py`; a test holds that it is up to date. The names are those of
JAX {version}. A name is *here* if `import jax` under `python -m pullback run` finds it and it does
what it says, *different* if it is here but does less than JAX's, for the reason given, and *absent*
otherwise. Behaviour is tested elsewhere: values, derivatives and errors by the tests of each part,
signatures by `tests/test_signatures.py`, whole libraries by `examples/clients/`.
"""

DEMAND = """\
## What libraries use

Of the names in the code of 21 libraries (optax, equinox, diffrax, numpyro, flax, ...), as far as
JAX {version} has them:

| | names | here | % |
|---|--:|--:|--:|
"""


@functools.cache
def is_here(name: str) -> bool:
    """Does the dotted name exist where `import jax` gives Pullback?"""
    parts = name.split(".")
    found = importlib.import_module(parts[0])
    for i, part in enumerate(parts[1:], 2):
        try:
            found = getattr(found, part)
        except AttributeError:
            try:
                found = importlib.import_module(".".join(parts[:i]))
            except ImportError:
                return False
    return True


def state(name: str) -> str:
    """ "here", or why not, or what is different."""
    if not is_here(name):
        return f"absent: {_noted(ABSENT, name) or 'not written yet'}"
    different = _noted(DIFFERENT, name)
    return f"different: {different}" if different else "here"


def _noted(notes: dict[str, str], name: str) -> str | None:
    """The note on a name, or on a module that it is in."""
    while name:
        if name in notes:
            return notes[name]
        name = name.rpartition(".")[0]
    return None


def demand(least: int) -> tuple[list[str], list[str]]:
    """The names that `least` or more libraries use, and those of them that are not here."""
    with (HERE / "demand.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["in_jax"] == "1"]
    used = [row["name"] for row in rows if int(row["libraries"]) >= least]
    return used, [name for name in used if not is_here(name)]


def page() -> str:
    parts = [INTRODUCTION.format(version=RECORD["version"]), _demanded(), "## Module by module\n"]
    table, lists = ["| module | names | here | different | absent |", "|---|--:|--:|--:|--:|"], []
    for module, names in RECORD["modules"].items():
        states = {name: state(f"{module}.{name}") for name in names}
        kinds = [s.partition(":")[0] for s in states.values()]
        counts = [kinds.count(kind) for kind in ("here", "different", "absent")]
        table.append(f"| `{module}` | {len(names)} | " + " | ".join(map(str, counts)) + " |")
        lists.append(_listed(module, states))
    return "\n".join([*parts, *table, "", *lists]).rstrip() + "\n"


def _demanded() -> str:
    lines = [DEMAND.format(version=RECORD["version"]).rstrip()]
    missing: list[str] = []
    for text, least in (("used by two or more", 2), ("used by any", 1)):
        used, missing = demand(least)
        here = len(used) - len(missing)
        lines.append(f"| {text} | {len(used)} | {here} | {100 * here / len(used):.1f} |")
    if missing:
        lines += ["", "Not here:", ""]
        lines += [f"- `{name}`: {state(name).partition(': ')[2]}" for name in missing]
    return "\n".join([*lines, ""])


def _listed(module: str, states: dict[str, str]) -> str:
    here = [f"`{name}`" for name, s in states.items() if s == "here"]
    lines = [f"### {module}", ""]
    lines += ["Here: " + " ".join(here) + ".", ""] if here else []
    others = [f"- `{name}`: {s}" for name, s in states.items() if s != "here"]
    return "\n".join([*lines, *others, ""] if others else lines)


if __name__ == "__main__":
    compat.install(jaxlib=True)
    text = page()
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text() != text)
    PAGE.write_text(text)
    for least in (2, 1):
        used, missing = demand(least)
        print(f"used by {least} or more: {len(used) - len(missing)} of {len(used)} here")
