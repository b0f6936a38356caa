"""Copies of strided matrices in loops over blocks that registers hold."""

from __future__ import annotations

from ..buffers import address
from ..kinds import Kind, Word, kind_of, load, store
from ..text import Code, Index
from .matrix_kernels import Share, covered, lanes_of, shuffled

Steps = tuple[int, int]

WIDEST_SQUARE = 4
"""Lanes of the blocks that are transposed. Those of 8 take LLVM 10 ms more to compile, and save
less than a tenth of the time of a product."""


LARGE = 1 << 14
"""Elements of a matrix that is transposed tile by tile: more than the cache of level 1 holds."""
TILE = 16
"""Rows and columns, at most, of the square of a large matrix that registers hold: a line of the
cache of each, of 4 bytes an element."""
RUN = 256
"""Bytes that are written one after the other."""


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
    shares: tuple[Share, Share] = (None, None),
) -> None:
    """Append the loops over tiles of a matrix of at least `TILE` rows and columns.

    `source`: its address, and the step along its columns; that along its rows is 1. `to`: the same
    of the copy, with the steps the other way round. `shares`: of the tiles of rows and of the runs
    of columns (`run_of`), if not all. Lines of memory are read and written once each, as wholes,
    and several that lie one after the other are written: where rows are apart by a power of 2, the
    cache has room for few of them.
    """
    kind, size = _moved(kind)
    rows, columns = shape
    run = run_of(kind, columns)

    def tile(i: Index, j: Index) -> None:
        code.loop(
            run // size,
            lambda q, _: _block(
                code, kind, size, source, to, (i, code.add(j, code.times(q, size)))
            ),
        )

    def along(j: Index) -> None:
        covered(code, rows, size, lambda i: tile(i, j), shares[0])

    covered(code, columns, run, along, shares[1])


def tile_of(kind: Kind) -> int:
    """Rows of the tiles."""
    return _moved(kind)[1]


def run_of(kind: Kind, columns: int) -> int:
    """Columns that are written one after the other."""
    kind, size = _moved(kind)
    return max(size, min(RUN // kind.size, columns) // size * size)


def _moved(kind: Kind) -> tuple[Kind, int]:
    """What elements are moved as, whatever they mean, and how many of them at once."""
    if kind.size > 8:
        return kind, min(lanes_of(kind), 2)
    kind = kind_of(f"u{kind.size}")
    return kind, min(lanes_of(kind), TILE)


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
    """The transpose of a square of lanes: of each two words, 1, 2, 4, ... apart, the lanes that
    belong into the other one are exchanged."""
    size, apart = len(words), 1
    while apart < size:
        if size > WIDEST_SQUARE:  # all steps in one basic block take LLVM 20 ms more
            code.go_on()
        low = [k if not k & apart else size + (k ^ apart) for k in range(size)]
        high = [k | apart if not k & apart else size + k for k in range(size)]
        found = list(words)
        for i in range(size):
            if not i & apart:
                x, y = words[i], words[i | apart]
                found[i] = shuffled(code, kind, size, x, y, low)
                found[i | apart] = shuffled(code, kind, size, x, y, high)
        words, apart = found, 2 * apart
    return words
