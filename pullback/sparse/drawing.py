"""Drawings of patterns: where the nonzeros are, and which product each is read from."""

from __future__ import annotations

import colorsys
from pathlib import Path
from typing import Any

import numpy as np

from .. import checks
from ..core.errors import error
from ..core.lazy import lazy
from .colouring import Colouring
from .derivatives import Plan, SparseDerivative, as_pattern, jacobian
from .symmetric import recovered_by_star

pyplot = lazy("matplotlib.pyplot")

TEXT, SVG = 40, 160
"""Rows and columns of the largest drawings; several elements of a larger matrix share a cell."""

_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SHADES = "░▒▓█"
_GOLDEN = 137.508
"""Degrees between the hues of one colour and the next, so that neighbours look apart."""


class Drawing:
    """A pattern to look at: `str` is text, notebooks show the SVG, `plot` uses matplotlib.

    Args:
      pattern: a CSR array of bools.
      colouring: what the nonzeros are read from; None draws the pattern alone.
      title: a line above.
    """

    def __init__(self, pattern: Any, colouring: Colouring | None, title: str) -> None:
        self.pattern, self.colouring, self.title = pattern, colouring, title
        n = pattern.shape[0]
        self._rows = np.repeat(np.arange(n), np.diff(pattern.indptr))
        self._groups = _groups(pattern, self._rows, colouring)

    def _cells(self, most: int) -> tuple[Any, Any, tuple[int, int]]:
        """How many nonzeros fall in each cell, as a share; a group that one of them has."""
        n, m = self.pattern.shape
        step = max(1, -(-max(n, m) // most))
        height, width = -(-n // step), -(-m // step)
        place = (self._rows // step) * width + self.pattern.indices // step
        count = np.bincount(place, minlength=height * width)
        group = np.full(height * width, -1)
        group[place[::-1]] = self._groups[::-1]
        shares = count / step**2
        return shares.reshape(height, width), group.reshape(height, width), (height, width)

    def __str__(self) -> str:
        shares, groups, _ = self._cells(TEXT)
        exact = max(self.pattern.shape) <= TEXT
        lines = [self.title]
        for share, group in zip(shares.tolist(), groups.tolist(), strict=True):
            cells = zip(share, group, strict=True)
            lines.append("".join(_character(s, g, exact) for s, g in cells).rstrip())
        return "\n".join(lines)

    __repr__ = __str__

    @property
    def svg(self) -> str:
        """The drawing as an SVG document."""
        shares, groups, (height, width) = self._cells(SVG)
        size = max(2.0, min(12.0, 480 / max(height, width, 1)))
        top = 24
        w, h = width * size + 16, height * size + top + 8
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{w:.0f}" height="{h:.0f}" '
            f'viewBox="0 0 {w:.0f} {h:.0f}" font-family="sans-serif" font-size="11">',
            f'<text x="8" y="15">{_escaped(self.title)}</text>',
            f'<rect x="8" y="{top}" width="{width * size:g}" height="{height * size:g}" '
            'fill="#fff" stroke="#888"/>',
        ]
        for i, j in np.argwhere(shares > 0).tolist():
            strength = 1.0 if shares[i, j] >= 1 else 0.35 + 0.65 * shares[i, j]
            fill = _hue(int(groups[i, j]))
            shade = "" if strength == 1.0 else f' fill-opacity="{strength:.2f}"'
            parts.append(
                f'<rect x="{8 + j * size:g}" y="{top + i * size:g}" width="{size:g}" '
                f'height="{size:g}" fill="{fill}"{shade}/>'
            )
        return "\n".join([*parts, "</svg>"]) + "\n"

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> None:
        """Write the SVG document to a file."""
        Path(path).write_text(self.svg)

    def plot(self, ax: Any = None) -> Any:
        """Draw with matplotlib, on `ax` or on new axes, which are given back."""
        axes = pyplot.subplots()[1] if ax is None else ax
        colours = [_hue(int(g)) for g in self._groups]
        size = 40_000 / max(1, *self.pattern.shape) ** 2
        axes.scatter(self.pattern.indices, self._rows, c=colours, s=max(0.5, size), marker="s")
        n, m = self.pattern.shape
        axes.set(xlim=(-0.5, m - 0.5), ylim=(n - 0.5, -0.5), aspect="equal", title=self.title)
        return axes


def _groups(pattern: Any, rows: Any, colouring: Colouring | None) -> Any:
    """For each nonzero the number of the product that it is read from."""
    if colouring is None:
        return np.full(pattern.nnz, -1)
    if colouring.kind == "star":  # from the transposed place, where another is in the way
        return recovered_by_star(pattern, colouring.columns).places // pattern.shape[0]
    from_columns = from_rows = None
    if colouring.columns is not None:
        from_columns = colouring.columns[pattern.indices]
    if colouring.rows is not None:
        from_rows = colouring.rows[rows] + colouring.column_colours
    if from_columns is None or from_rows is None:
        return from_rows if from_columns is None else from_columns
    return np.where(colouring.by_row, from_rows, from_columns)


def _character(share: float, group: int, exact: bool) -> str:
    if not share:
        return "." if exact else " "
    if not exact:
        return _SHADES[min(3, int(4 * share))]
    return "x" if group < 0 else _LETTERS[group % len(_LETTERS)]


def _hue(group: int) -> str:
    """An unlike colour for each group; dark grey for none."""
    if group < 0:
        return "#444444"
    lightness = 0.45 + 0.12 * (group // 3 % 2)
    parts = colorsys.hls_to_rgb(group * _GOLDEN % 360 / 360, lightness, 0.65)
    return "#" + "".join(f"{round(255 * p):02x}" for p in parts)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def spy(what: Any, colouring: Colouring | None = None) -> Any:
    """A drawing of a pattern, each nonzero with the colour of the product that it is read from.

    Args:
      what: a plan, as `sparse.jacobian(f).plan(x)` gives it; or a matrix, sparse or dense; or a
        function, which is drawn once it has its arguments: `sparse.spy(f)(x)` draws the Jacobian,
        `sparse.spy(sparse.hessian(f))(x)` the Hessian.
      colouring: the colours of a matrix, as `coloured` gives them.

    Returns:
      A `Drawing`, or, of a function, a function that gives one. Its `str` is text (a digit or
      letter for each group, shades where the matrix is larger than the drawing), `svg` an SVG
      document, `save(path)` writes that, `plot()` draws with matplotlib.

    Raises:
      ValueError: `what` is nothing of these, or the colouring is not one of this matrix.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback import sparse
      >>> print(sparse.spy(lambda x: x[1:] - x[:-1])(jnp.ones(5)))
      Jacobian 4 x 5, 8 nonzeros (40 %): 2 products (columns)
      01...
      .10..
      ..01.
      ...10
    """
    if isinstance(what, Plan):
        return Drawing(what.pattern, what.colouring, str(what))
    if isinstance(what, SparseDerivative):
        return lambda *args, **kwargs: spy(what.plan(*args, **kwargs))
    if callable(what):
        checks.callable_(what, "sparse.spy")
        return spy(jacobian(what))
    pattern = as_pattern(what)
    n, m = pattern.shape
    if colouring is not None:
        given = [(colouring.columns, m), (colouring.rows, n)]
        if any(c is not None and len(c) != size for c, size in given):
            raise error(
                ValueError,
                "sparse.spy: the colouring is not one of this matrix.",
                got=f"a matrix of shape {(n, m)} and "
                f"{[len(c) for c, _ in given if c is not None]} colours",
                fix="give what sparse.coloured(matrix) gives.",
            )
    return Drawing(pattern, colouring, f"{n} x {m}, {pattern.nnz} nonzeros")


__all__ = ["Drawing", "spy"]
