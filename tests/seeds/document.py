"""The documents of this folder: code of JAX's documentation and what it printed, and nothing else.

A document begins with lines `name: value` between two lines `---`:

  source                  where the code and the results come from
  threefry_partitionable  on or off: how random numbers were drawn when the results were printed
  setup                   a statement that a block needs and the document leaves out
  restored                what was put back that the page had lost

Then come fenced blocks, in the document's order. After a `python` block stands what it gave:

  python    a cell, run in the namespace of the document. Its word may be followed by
            `in a copy: why`, for one that runs in a copy of the namespace, or by
            `raises Name: why`, for one that is not a program and has to fail like that.
            `%timeit` lines run their statement once.
  output    what the document shows below the cell: prints, then the value of a last expression
  older     the same, from a JAX whose arrays were called DeviceArray and hid that they are weak
  recorded  the same, where the document shows nothing: printed by JAX 0.10.2
  pdb       a session with the debugger, from an older JAX too; what follows `(Pdb)` is typed
  warning   a warning that the cell gives
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.md"))

_FENCED = re.compile(r"^```(\w+)(?: (.*))?\n((?:.*\n)*?)```$", re.MULTILINE)
_RAISES = re.compile(r"raises (\w+): ")
_COPY = "in a copy: "


@dataclass
class Block:
    """A cell and what it gave. `line` is that of its fence."""

    line: int
    code: str
    raises: str = ""
    in_a_copy: bool = False
    given: dict[str, str] = field(default_factory=dict)

    @property
    def output(self) -> str:
        """What is to be printed."""
        return next((text for kind, text in self.given.items() if kind != "warning"), "")

    @property
    def is_older(self) -> bool:
        """Was the output printed before reprs told that a type is weak?"""
        return "older" in self.given or "pdb" in self.given

    @property
    def typed(self) -> list[str]:
        """The lines typed into the debugger."""
        return re.findall(r"^\(Pdb\) (.*)$", self.given.get("pdb", ""), re.MULTILINE)


@dataclass
class Document:
    settings: dict[str, str]
    blocks: list[Block]


def read(name: str) -> Document:
    """The document `name`; a fence that the format does not know is an error."""
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    _, head, _ = text.split("---\n", 2)
    settings = dict(line.split(": ", 1) for line in head.splitlines())
    blocks: list[Block] = []
    for fence in _FENCED.finditer(text):
        kind, info, body = fence.groups(default="")
        if kind == "python":
            blocks.append(_block(text.count("\n", 0, fence.start()) + 1, info, body))
        elif kind in ("output", "older", "recorded", "pdb", "warning") and not info:
            blocks[-1].given[kind] = body
        else:
            raise ValueError(f"{name}: no such fence: ```{kind} {info}")
    return Document(settings, blocks)


def _block(line: int, info: str, code: str) -> Block:
    raises = _RAISES.match(info)
    if info and not raises and not info.startswith(_COPY):
        raise ValueError(f"line {line}: no such note: {info}")
    return Block(line, code, raises[1] if raises else "", info.startswith(_COPY))
