"""Compares what was printed with what a document shows.

Text has to agree exactly, and so do integers, shapes, nan and the sign of a zero. Other numbers may
differ by 2e-5 of their size, as they are sums in 32 bits taken in another order. Blanks do not
count between brackets, where NumPy pads numbers to columns and wraps lines.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

RELATIVE = 2e-5

# Where the numbers of an array do not all end earlier, NumPy rounds to 8 decimals: two numbers that
# are as good as equal can be printed this far apart.
PRINTED = 1e-8

_TOKEN = re.compile(
    r"(?P<blank>[ \n]+)"
    r"|(?P<number>[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|(?:nan|inf)(?!\w))j?(?!\w))"
    r"|(?P<word>\w+)"
    r"|(?P<mark>.)"
)

# What differs in each run, and how it is written for the comparison.
_PASSING = [
    (r"^\S+ [mμn]?s ± \S+ [mμn]?s per loop \(mean ± std\. dev\. of .*\)$", "<timed>"),
    (r"\b0x[0-9a-f]+", "<address>"),
    (r"<cell \d+>", "<cell>"),
    (r"^> <cell>\(\d+\)", "> <cell>"),  # pdb: Python 3.13 stops on set_trace's own line
    (r"^-> .*$", "-> ..."),  # and shows it
    (r"\bDeviceArray\(", "Array("),
    (r"[ \t]+$", ""),
]


@dataclass(frozen=True)
class Token:
    """A number, word, mark or blank, and the line it stands on."""

    kind: str
    text: str
    line: str


def difference(expected: str, actual: str, wider: Mapping[str, float] | None = None) -> str | None:
    """None if the texts agree, else a description of the place where they first do not.

    Args:
      wider: absolute tolerances for the numbers on lines that begin with the given words.
    """
    for want, got in itertools.zip_longest(_tokens(expected), _tokens(actual)):
        if want is None or got is None or not _agree(want, got, wider or {}):
            return f"expected {_place(want)}\nbut got  {_place(got)}"
    return None


def _tokens(text: str) -> Iterator[Token]:
    """Numbers, words and marks; blanks too, but not those between brackets."""
    for pattern, word in _PASSING:
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    text = text.strip("\n")
    lines = text.split("\n")
    depth = line = 0
    for match in _TOKEN.finditer(text):
        kind, token = str(match.lastgroup), match.group()
        depth = max(0, depth + (token in ("[", "(")) - (token in ("]", ")")))
        if kind != "blank" or not depth:
            yield Token(kind, token, lines[line])
        line += token.count("\n")


def _agree(want: Token, got: Token, wider: Mapping[str, float]) -> bool:
    if want.text == got.text:
        return True
    if not want.kind == got.kind == "number" or _form(want.text) != _form(got.text):
        return False
    x, y = (float(token.text.rstrip("j")) for token in (want, got))
    if x == y == 0.0:
        return math.copysign(1.0, x) == math.copysign(1.0, y)
    return math.isfinite(x) and abs(x - y) <= _allowed(want, wider)


def _form(text: str) -> tuple[str, bool]:
    """Equal for numbers that need not have the same digits: an integer agrees with itself only."""
    return text if text.lstrip("+-").isdigit() else "", text.endswith("j")


def _allowed(want: Token, wider: Mapping[str, float]) -> float:
    for start, tolerance in wider.items():
        if want.line.startswith(start):
            return tolerance
    number = want.text.rstrip("j")
    rounded = PRINTED if re.fullmatch(r"[+-]?\d+\.\d{8}", number) else 0.0
    return RELATIVE * abs(float(number)) + rounded


def _place(token: Token | None) -> str:
    return f"{token.text!r} in: {token.line}" if token else "nothing: the text ends"
