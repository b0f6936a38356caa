"""Copies of strided matrices in loops over blocks that registers hold."""

from __future__ import annotations

from ..buffers import address
from ..kinds import Kind, Word, load, store
from ..text import Code, Index
from .matrix_kernels import covered, lanes_of, shuffled

Steps = tuple[int, int]

WIDEST_SQUARE = 4
"""Lanes of the blocks that are transposed. Those of 8 take LLVM 10 ms more to compile, and save
less than a tenth of the time of a product."""


def copied(
    code: Code, kind: Kind, shape: Steps, source: str, steps: Steps, to: str, to_steps: Steps
) -> None:
    """Append the loops that copy a matrix; steps are elements along its two axes."""
    if to_steps[1] != 1 and (to_steps[0] == 1 or steps[1] != 1):
        shape, steps, to_steps = _turned(shape), _turned(steps), _turned(to_steps)
    rows, columns = shape
    if to_steps[1] == steps[0] == 1 != steps[1] and rows > 1 and columns > 1:
        _transposed(code, kind, shape, source, steps[1], to, to_steps[0])
        return
    vectors = steps[1] == to_steps[1] == 1
    width = min(lanes_of(kind), 1 << (columns.bit_length() - 1)) if vectors else 1

    def row(i: Index) -> None:
        start = address(code, kind, source, code.times(i, steps[0]))
        end = address(code, kind, to, code.times(i, to_steps[0]))

        def part(j: Index) -> None:
            wide = width if width > 1 else 0
            word = load(code, kind, address(code, kind, start, code.times(j, steps[1])), wide)
            store(code, kind, word, address(code, kind, end, code.times(j, to_steps[1])), wide)

        covered(code, columns, width, part)

    covered(code, rows, 1, row)


def _turned(pair: Steps) -> Steps:
    return pair[1], pair[0]


def _transposed(
    code: Code, kind: Kind, shape: Steps, source: str, step: int, to: str, to_step: int
) -> None:
    rows, columns = shape
    size = min(lanes_of(kind), WIDEST_SQUARE, *(1 << (n.bit_length() - 1) for n in shape))

    def block(i: Index, j: Index) -> None:
        start = address(code, kind, source, code.add(i, code.times(j, step)))
        end = address(code, kind, to, code.add(code.times(i, to_step), j))
        words = [load(code, kind, address(code, kind, start, q * step), size) for q in range(size)]
        for r, word in enumerate(_square(code, kind, words)):
            store(code, kind, word, address(code, kind, end, r * to_step), size)

    covered(code, rows, size, lambda i: covered(code, columns, size, lambda j: block(i, j)))


def _square(code: Code, kind: Kind, words: list[Word]) -> list[Word]:
    """The transpose of a square of lanes, by merging each word with that half the way on."""
    count = len(words)
    half, size = count // 2, count
    order_low = [n for i in range(half) for n in (i, size + i)]
    order_high = [n for i in range(half, size) for n in (i, size + i)]
    done = 1
    while done < count:
        found = []
        for i in range(half):
            x, y = words[i], words[i + half]
            found += [
                shuffled(code, kind, size, x, y, order_low),
                shuffled(code, kind, size, x, y, order_high),
            ]
        words, done = found, 2 * done
    return words
