"""Tokens: values that only say what comes before what, and messages between elements of a `vmap`.

Programs here are always done in the order in which they are written, so a token has nothing to do.
It is an empty container for transformations: it goes in and out of `jit`, `scan` and `vmap`.
"""

from __future__ import annotations

from typing import Any

from .. import checks
from ..core.array import Array
from ..core.errors import error
from ..core.pytree import flatten, register
from ..core.trace import type_of
from ..ops import tokens
from .collectives import ppermute


class Token:
    """What comes before; after `psend`, also what was sent."""

    def __init__(self, *sent: Any) -> None:
        self.sent = sent

    def __repr__(self) -> str:
        return "Token()"


register(Token, lambda token: (token.sent, None), lambda _, sent: Token(*sent))


def create_token(_: Any = None) -> Token:
    """A token that nothing comes before. It does nothing: programs keep their order without it."""
    tokens.create_token()
    return Token()


def after_all(*operands: Any) -> Token:
    """A token that comes after others. It does nothing: programs keep their order without it.

    Raises:
      TypeError: an operand is no token.

    Example:
      >>> from pullback import lax
      >>> lax.after_all(lax.create_token(), lax.create_token())
      Token()
    """
    for operand in operands:
        if not isinstance(operand, Token):
            raise error(
                TypeError,
                "arguments of after_all must be tokens.",
                got=f"{operand!r:.80}",
                fix="make one with lax.create_token().",
            )
    tokens.after_all()
    return Token()


def dce_sink(val: Any, *, prevent_mlir_dce: bool = False) -> None:
    """Use `val`, a pytree of arrays, so that what computes it stays in the program.

    Example:
      >>> import pullback
      >>> from pullback import lax
      >>> print(pullback.make_jaxpr(lambda x: lax.dce_sink(x + 1))(1.0))
      { lambda ; a:f32[]. let
          b:f32[] = add a 1.0
          dce_sink[prevent_mlir_dce=False] b
        in () }
    """
    leaves = [checks.input_array(x, "dce_sink") for x in flatten(val)[0]]
    if leaves:
        tokens.dce_sink(*leaves, prevent_mlir_dce=bool(prevent_mlir_dce))


def psend(x: Any, axis_name: Any, perm: Any) -> Token:
    """Send `x` to other elements along a named axis; `precv` receives it.

    Args:
      x: an array.
      axis_name: the name given to `vmap`.
      perm: pairs (from, to) of places along the axis.

    Returns:
      The token to give to `precv`.
    """
    value = checks.input_array(x, "psend")
    return Token(ppermute(value, axis_name, perm))


def precv(token: Token, out_shape: Any, axis_name: Any, perm: Any) -> Array:
    """What was sent to this element by the `psend` whose token this is; zeros if nothing was.

    Args:
      token: the token that `psend` gave.
      out_shape: the shape and dtype that are expected (an array, or a ShapeDtypeStruct).
      axis_name, perm: those of the `psend`.

    Raises:
      TypeError: nothing was sent, or something else.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback import lax
      >>> def shift(x):
      ...     token = lax.psend(x, "i", [(0, 1), (1, 2)])
      ...     return lax.precv(token, x, "i", [(0, 1), (1, 2)])
      >>> print(pullback.vmap(shift, axis_name="i")(jnp.array([1.0, 2.0, 3.0])))
      [0. 1. 2.]
    """
    if not isinstance(token, Token) or not token.sent:
        raise error(
            TypeError,
            "precv needs the token of a psend.",
            got=f"{token!r:.80}",
            fix="send first: both run in one program here, on one device.",
        )
    (value,) = token.sent
    have = type_of(value)
    if have.shape != tuple(out_shape.shape) or have.dtype != out_shape.dtype:
        raise error(
            TypeError,
            "precv expects something else than was sent.",
            got=f"{have.str_short()} for {out_shape!r:.80}",
            fix="give the shape and dtype of what psend sends.",
        )
    return value  # type: ignore[no-any-return]
