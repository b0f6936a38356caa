"""draw: the program of a function, or of its gradient, as a picture."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from .. import checks
from ..api import vjp
from ..control.traced import argument_names
from ..core import dtypes
from ..core.errors import error
from ..core.lazy import lazy
from ..core.program import ClosedProgram, trace_program
from ..core.pytree import flatten, leaf_paths
from ..core.settings import override
from ..core.trace import type_of
from ..transforms.simplify import dead_code

compose = lazy("pullback.debug.drawing.compose")
graph = lazy("pullback.debug.drawing.graph")


class Drawing:
    """A picture of a program. Notebooks show it; `save` writes it.

    Attributes:
      svg: the picture, an SVG document that needs nothing else.
      operations: how many operations the programs have.
      hidden: how many of them are not drawn, because they are too many.
      residuals: with `grad`, how many values are kept for the backward pass.
      residual_bytes: and their size.
    """

    def __init__(self, figure: Any, title: str) -> None:
        self.svg: str = figure.svg
        self.title = title
        self.operations: int = figure.operations
        self.hidden: int = figure.hidden
        self.residuals: int = figure.residuals
        self.residual_bytes: int = figure.residual_bytes

    @property
    def html(self) -> str:
        """The picture as a page for a browser."""
        return (
            "<!doctype html>\n<html>\n<head><meta charset='utf-8'>"
            f"<title>{escape(self.title)}</title></head>\n<body>\n{self.svg}\n</body>\n</html>\n"
        )

    def save(self, path: str | Path) -> None:
        """Write the picture to a file whose name ends with .svg or .html.

        Raises:
          ValueError: the name ends otherwise.
        """
        path = Path(path)
        if path.suffix not in (".svg", ".html"):
            raise error(
                ValueError,
                "a drawing is saved as .svg or .html.",
                got=repr(str(path)),
                fix="choose a name with one of these endings.",
            )
        text = self.html if path.suffix == ".html" else self.svg + "\n"
        path.write_text(text, encoding="utf-8")

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        return f"<div style='overflow:auto'>{self.svg}</div>"

    def __repr__(self) -> str:
        kept = f", {self.residuals} residuals" if self.residuals else ""
        return f"<drawing of {self.title}: {self.operations} operations{kept}>"


def draw(
    f: Callable[..., Any], *, grad: bool = False, collapse: bool = True, max_nodes: int = 200
) -> Callable[..., Drawing]:
    """The function that draws the program of `f` for the types of its arguments.

    Boxes are operations with the types of their results, from inputs at the top to outputs at the
    bottom. A pointer that rests on a box shows the whole equation and the user's line.

    Args:
      f: a function of pytrees of arrays.
      grad: draw the forward and the backward pass by all arguments of a float or complex dtype,
        side by side: the backward pass upward, and between them, dashed, each residual: a value
        that the forward pass keeps.
      collapse: whether a call of a jitted function is one box. If not, calls are opened, and the
        bodies of loops and the branches of conditions are drawn below, each in a frame.
      max_nodes: of a program with more operations than this only the first and the last are drawn,
        and a note says how many are not. There may be a few more boxes: inputs, outputs, constants.

    Returns:
      A function of the arguments of `f`, or of ``ShapeDtypeStruct``s in place of arrays, that gives
      a `Drawing`.

    Raises:
      TypeError: `f` is not a function, or its arguments or results are no arrays.
      ValueError: `max_nodes` is less than 2.

    Layers and their order follow Sugiyama, Tagawa & Toda (1981). The time grows with the number of
    boxes drawn, not with the size of the program.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> picture = pullback.draw(lambda x: jnp.sum(jnp.sin(x) ** 2), grad=True)(jnp.ones(3))
      >>> print(picture.operations, picture.residuals, picture.residual_bytes)
      7 2 24
      >>> picture.svg[:4]
      '<svg'
    """
    checks.callable_(f, "draw")
    if max_nodes < 2:
        raise error(
            ValueError,
            "draw: max_nodes must be at least 2.",
            got=f"max_nodes={max_nodes}",
            fix="leave it out, or give a larger number.",
        )
    name = getattr(f, "__name__", type(f).__name__)

    def picture_of(*args: Any, **kwargs: Any) -> Drawing:
        title = f"{name}, forward and backward" if grad else name
        with override("pullback_source_lines", True):
            make = _gradient if grad else _program
            return Drawing(make(f, args, kwargs, title, max_nodes, not collapse), title)

    return checks.named_like(picture_of, f, "draw")  # type: ignore[no-any-return]


class _Call:
    """A call of `f` as a function of flat lists."""

    def __init__(self, f: Any, args: Any, kwargs: Any) -> None:
        self.f = f
        leaves, self.tree = flatten((args, kwargs))
        self.types = [checks.shaped(x, "draw") for x in leaves]
        named = argument_names(f, flatten(args)[1])
        self.names = [*named, *leaf_paths(kwargs, "")]
        self.names = [n.lstrip(".") or f"in {i}" for i, n in enumerate(self.names)]
        self.outputs: list[str] = []

    def outs(self, leaves: Any) -> list[Any]:
        """The results for these leaves."""
        args, kwargs = self.tree.unflatten(leaves)
        out = self.f(*args, **kwargs)
        self.outputs = leaf_paths(out, "out")
        return [checks.output_array(y, "draw") for y in flatten(out)[0]]


def _program(f: Any, args: Any, kwargs: Any, title: str, most: int, open_: bool) -> Any:
    call = _Call(f, args, kwargs)
    closed = trace_program(lambda *xs: call.outs(xs), call.types, f, "draw", call.names)
    names = graph.Names(call.names, call.outputs)
    return compose.program_figure(closed, names, title, most, open_)


def _gradient(f: Any, args: Any, kwargs: Any, title: str, most: int, open_: bool) -> Any:
    call = _Call(f, args, kwargs)
    active = [dtypes.is_inexact(t.dtype) for t in call.types]
    kept: list[Any] = []

    def forward(*leaves: Any) -> list[Any]:
        def of_floats(*xs: Any) -> list[Any]:
            rest = iter(xs)
            return call.outs([next(rest) if a else x for x, a in zip(leaves, active, strict=True)])

        outs, pulled = vjp(of_floats, *[x for x, a in zip(leaves, active, strict=True) if a])
        residuals, structure = flatten(pulled)
        kept.append((structure, [type_of(x) for x in residuals], [type_of(y) for y in outs]))
        return [*outs, *residuals]

    there = trace_program(forward, call.types, f, "draw", call.names)
    structure, residuals, outs = kept[0]
    n = len(residuals)
    given = [dtypes.is_inexact(t.dtype) for t in outs]

    def backward(*xs: Any) -> list[Any]:
        cts = iter(xs[n:])
        pulled = structure.unflatten(xs[:n])
        full = [
            next(cts) if g else checks.zero_filled(None, t)
            for g, t in zip(given, outs, strict=True)
        ]
        return list(pulled(full))

    ct_types = [t for t, g in zip(outs, given, strict=True) if g]
    back = _without_dead(trace_program(backward, [*residuals, *ct_types], f, "draw"))
    names = graph.Names(call.names, [*call.outputs, *[""] * n])
    cts = [f"ct {y}" for y, g in zip(call.outputs, given, strict=True) if g]
    grads = [f"d {x}" for x, a in zip(call.names, active, strict=True) if a]
    names_back = graph.Names([*[""] * n, *cts], grads, "backward")
    return compose.gradient_figure(there, back, (names, names_back), title, most, open_)


def _without_dead(closed: ClosedProgram) -> ClosedProgram:
    return ClosedProgram(dead_code(closed.program), closed.consts)


__all__ = ["Drawing", "draw"]
