"""The hash Threefry-2x32 as machine code on vectors of counters, compiled once in a process.

Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011).
"""

from __future__ import annotations

import threading

from ...ops.threefry import PARITY, ROTATIONS
from . import machine, objects
from .text import Code, Module

WIDTHS = (0, 4, 8, 16, 32)
"""Of the vectors that there are functions for; 0: scalars."""

_LOCK = threading.Lock()
_functions: dict[int, tuple[int, machine.Loaded]] = {}


def symbol_of(width: int) -> str:
    """`pb_threefry_8`: the function on 8 counters; 0: on one, in scalars."""
    return f"pb_threefry_{width}"


def signature(width: int) -> str:
    """As `Module.symbol` takes it: both words, of the keys and the counters as words."""
    words = typed(width)
    return f"{result(width)} ({', '.join([words] * 4)})"


def typed(width: int) -> str:
    """The LLVM type of a word of each counter."""
    return f"<{width} x i32>" if width else "i32"


def result(width: int) -> str:
    """The LLVM type of what the function gives."""
    return f"{{{typed(width)}, {typed(width)}}}"


def function(width: int) -> tuple[str, int]:
    """The symbol and the address. The code stays for the life of the process; safe in threads."""
    found = _functions.get(width)
    if found is None:
        with _LOCK:
            found = _functions.get(width)
            if found is None:
                symbol = symbol_of(width)
                loaded = objects.loaded(_text(width), {}, [symbol])
                found = _functions[width] = loaded.addresses[symbol], loaded
    return symbol_of(width), found[0]


def _text(width: int) -> str:
    code = Code(Module())
    words = typed(width)
    x0, x1 = hash_words(code, width, "%k0", "%k1", "%x0", "%x1")
    packed = code.op(f"insertvalue {result(width)} poison, {words} {x0}, 0")
    packed = code.op(f"insertvalue {result(width)} {packed}, {words} {x1}, 1")
    arguments = ", ".join(f"{words} %{x}" for x in ("k0", "k1", "x0", "x1"))
    lines = [
        f"define {result(width)} @{symbol_of(width)}({arguments}) nounwind {{",
        "entry:",
        *code.whole.flat(),
        f"  ret {result(width)} {packed}",
        "}",
    ]
    code.module.functions.append("\n".join(lines))
    return code.module.text()


def hash_words(code: Code, width: int, k0: str, k1: str, x0: str, x1: str) -> tuple[str, str]:
    """Write the hash of both words of each counter under the words of its key."""
    words = typed(width)
    name = f"@llvm.fshl.{f'v{width}' if width else ''}i32"

    def number(n: int) -> str:
        return f"splat (i32 {n})" if width else str(n)

    def add(a: str, b: str) -> str:
        return code.op(f"add {words} {a}, {b}")

    both = code.op(f"xor {words} {k0}, {k1}")
    keys = (k0, k1, code.op(f"xor {words} {both}, {number(PARITY)}"))
    x0, x1 = add(x0, k0), add(x1, k1)
    for i in range(5):
        for turn in ROTATIONS[i % 2]:
            x0 = add(x0, x1)
            pair = f"{words} {x1}"
            x1 = code.call(words, name, pair, pair, f"{words} {number(turn)}")
            x1 = code.op(f"xor {words} {x1}, {x0}")
        x0 = add(x0, keys[(i + 1) % 3])
        x1 = add(x1, add(keys[(i + 2) % 3], number(i + 1)))
    return x0, x1
