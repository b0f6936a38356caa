"""Copies of strided matrices in loops over blocks that registers hold."""

from __future__ import annotations

from ..buffers import address
from ..kinds import Kind, Word, load, store
from ..text import Code, Index
from .matrix_kernels import Share, covered, lanes_of, shuffled

Steps = tuple[int, int]

WIDEST_SQUARE = 4
"""Lanes of the blocks that are transposed. Those of 8 take LLVM 10 ms more to compile, and save
less than a tenth of the time of a product."""


LARGE = 1 << 14
"""Elements of a matrix that is transposed tile by tile: more than the cache of level 1 holds."""
TILE = 16
"""Rows and columns of the part of a large matrix that is transposed at once: a line of the cache of
each, of 4 bytes an element."""


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
    if min(shape) >= 2 * TILE and shape[0] * shape[1] >= LARGE:
        transposed(code, kind, shape, (source, step), (to, to_step))
        return
    rows, columns = shape
    size = min(lanes_of(kind), WIDEST_SQUARE, *(1 << (n.bit_length() - 1) for n in shape))

    def block(i: Index, j: Index) -> None:
        _block(code, kind, size, (source, step), (to, to_step), (i, j))

    covered(code, rows, size, lambda i: covered(code, columns, size, lambda j: block(i, j)))


def transposed(
    code: Code,
    kind: Kind,
    shape: Steps,
    source: tuple[str, int],
    to: tuple[str, int],
    share: Share = None,
) -> None:
    """Append the loops over tiles of a matrix of at least `TILE` rows and columns.

    `source`: its address, and the step along its columns; that along its rows is 1. `to`: the same
    of the copy, with the steps the other way round. `share`: of the rows of tiles, if not all.
    """
    rows, columns = shape
    size = min(lanes_of(kind), WIDEST_SQUARE)

    def tile(i: Index, j: Index) -> None:
        def column(q: str, _: list[str]) -> None:
            def row(r: str, _: list[str]) -> None:
                at = code.add(code.times(r, size), i), code.add(code.times(q, size), j)
                _block(code, kind, size, source, to, at)

            code.loop(TILE // size, row)

        code.loop(TILE // size, column)

    def along(i: Index) -> None:
        covered(code, columns, TILE, lambda j: tile(i, j))

    covered(code, rows, TILE, along, share)


def _block(
    code: Code,
    kind: Kind,
    size: int,
    source: tuple[str, int],
    to: tuple[str, int],
    at: tuple[Index, Index],
) -> None:
    """Transpose a square that registers hold."""
    (base, step), (end, to_step), (i, j) = source, to, at
    start = address(code, kind, base, code.add(i, code.times(j, step)))
    end = address(code, kind, end, code.add(code.times(i, to_step), j))
    words = [load(code, kind, address(code, kind, start, q * step), size) for q in range(size)]
    for r, word in enumerate(_square(code, kind, words)):
        store(code, kind, word, address(code, kind, end, r * to_step), size)


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
