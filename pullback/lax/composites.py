"""Functions with a name that engines may know."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from .. import checks
from ..control.composite import composite_p
from ..core.errors import error
from ..core.pytree import flatten
from ..core.trace import type_of
from ..transforms.stage import trace_body
from .arguments import as_array


def composite(decomposition: Callable[..., Any], name: str, version: int = 0) -> Callable[..., Any]:
    """`decomposition` as one operation, which programs show by `name`.

    Args:
      decomposition: a function of pytrees of arrays; keyword arguments are attributes, constants
        that are shown with the name.
      name: the name, such as "my.softmax".
      version: a number that changes when the meaning does.

    Returns:
      A function that does the same. It has the derivatives of `decomposition`, and can be mapped.

    Example:
      >>> import pullback
      >>> from pullback import lax
      >>> def double(x, *, by=2.0):
      ...     return x * by
      >>> lax.composite(double, "my.double", version=1)(3.0)
      Array(6., dtype=float32, weak_type=True)
    """

    @wraps(decomposition)
    def function(*args: Any, **attributes: Any) -> Any:
        leaves, tree = flatten(args)
        arrays = [checks.input_array(x, "composite") for x in leaves]
        found: list[Any] = []

        def flat(*xs: Any) -> list[Any]:
            outs, out_tree = flatten(decomposition(*tree.unflatten(xs), **attributes))
            found.append(out_tree)
            return [as_array(y, "composite") for y in outs]

        program, traced = trace_body(flat, [type_of(x) for x in arrays], decomposition, "composite")
        if traced:
            raise error(
                TypeError,
                "a composite closes over a traced value.",
                got=", ".join(x.describe() for x in traced),
                fix="pass the value as an argument.",
            )
        outs = composite_p(
            *arrays,
            jaxpr=program,
            name=name,
            version=version,
            attributes=tuple((k, _shown(v)) for k, v in sorted(attributes.items())),
        )
        return found[0].unflatten(outs)

    return function


def _shown(value: Any) -> Any:
    """The value of an attribute, as a parameter of a program."""
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)
