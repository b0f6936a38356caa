"""Calls of the functions of the maths library, on words of any width."""

from __future__ import annotations

from collections.abc import Sequence

from .. import kinds
from ..kinds import Kind, Unsupported
from ..maths import FUNCTIONS, library
from ..site import Site

_WIDTHS = (2, 4, 8, 16, 32)
"""Of the vectors that the library has functions for; the widest first cuts what is wider."""


def called(site: Site, name: str, kind: Kind, *words: str) -> str:
    """The function `name` of the maths library on words of float32 or float64.

    Raises:
      Unsupported: the library has no function of that name.
    """
    if name not in FUNCTIONS:
        raise Unsupported(f"{name} of {kind.dtype.name}")
    width = site.width
    if width in (0, *_WIDTHS):
        return _call(site, name, kind, width, *words)
    most = _WIDTHS[-1]
    if width < most:
        fits = next(w for w in _WIDTHS if w >= width)
        # Lane 0 again fills what is too much: the function sees no number that is not the user's.
        order = [i if i < width else 0 for i in range(fits)]
        padded = [_lanes(site, kind, word, width, order) for word in words]
        out = _call(site, name, kind, fits, *padded)
        return _lanes(site, kind, out, fits, range(width))
    pieces = []
    for start in range(0, width, most):
        order = [i if i < width else 0 for i in range(start, start + most)]
        cut = [_lanes(site, kind, word, width, order) for word in words]
        pieces.append(_call(site, name, kind, most, *cut))
    return _joined(site, kind, pieces, most, width)


def _lanes(site: Site, kind: Kind, word: str, width: int, order: Sequence[int]) -> str:
    return kinds.shuffle(site.code, kind.typed(width), word, "poison", order)


def _joined(site: Site, kind: Kind, pieces: Sequence[str], size: int, width: int) -> str:
    """One word of pieces one after the other."""
    whole = pieces[0]
    for n, piece in enumerate(pieces[1:], 1):
        done = n * size
        # Both operands of a shuffle have one type: the new piece is spread over as many lanes.
        order = [i if i < size else -1 for i in range(done)]
        wide = _lanes(site, kind, piece, size, order)
        whole = kinds.shuffle(site.code, kind.typed(done), whole, wide, range(done + size))
    return _lanes(site, kind, whole, size * len(pieces), range(width))


def _call(site: Site, name: str, kind: Kind, width: int, *words: str) -> str:
    symbol, address = library.function(name, kind.bits, width)
    signature = library.signature(name, kind.bits, width)
    function = site.code.module.symbol(symbol, address, signature)
    typed = kind.typed(width)
    return site.code.call(typed, function, *[f"{typed} {word}" for word in words])
