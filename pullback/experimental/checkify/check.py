"""The operation `check`: what a program says must hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...core.errors import noted_error
from ...core.primitive import CORE, Primitive
from ...core.trace import host_array
from ...core.types import ArrayType
from ...numpy import argmax
from ...ops.structural import to_front
from .found import as_runtime_error
from .sites import Site


class Check(Primitive):
    """Nothing, if `failed` is 0; else the error `sites[failed]` with the payloads behind it.

    The payloads are those of all `keys`, one behind the other. Under `checkify` it becomes a part
    of the error value; outside of all transformations it raises; in a program that runs unchecked
    it may not stand, unless it is for debugging only: then it does nothing.
    """

    multiple_results = True
    effects = True

    def typing(self, failed: Any, *payload: Any, **_: Any) -> list[ArrayType]:
        return []

    def eval(self, failed: Any, *payload: Any, debug: bool, **_: Any) -> list[Any]:
        if not debug:
            raise not_functionalized()
        return []

    def evaluate(self, args: Sequence[Any], params: Any) -> Any:
        code, *payloads = [host_array(a) for a in args]
        if code._value.any() and not params["debug"]:
            site: Site = params["sites"][int(code._value)]
            start = (
                sum(map(len, params["keys"][: params["keys"].index(site.key)])) if site.key else 0
            )
            own = payloads[start : start + len(site.key)]
            found = site.exception(own)
            raise as_runtime_error(found) from found
        return []

    def jvp(self, primals: Any, tangents: Any, out: Any, **_: Any) -> list[Any]:
        return []

    def transpose(self, cts: Any, *args: Any, **_: Any) -> list[Any]:
        return [None] * len(args)

    def vmap(self, size: int, args: Any, axes: Any, **params: Any) -> Any:
        # The first element that failed speaks for all.
        rows = [to_front(x, a, size) for x, a in zip(args, axes, strict=True)]
        if size:
            first = argmax(rows[0] != 0)
            check_p(*[x[first] for x in rows], **params)
        return [], []

    lower: Any = CORE


check_p = Check()


def not_functionalized() -> ValueError:
    """The documented error for a check in a program that is not checked."""
    return noted_error(
        ValueError,
        "Cannot abstractly evaluate a checkify.check which was not functionalized. This probably "
        "means you tried to stage (jit/scan/pmap/...) a `check` without functionalizing it through "
        "`checkify.checkify`.",
        fix="write err, out = jit(checkify.checkify(f))(x), and err.throw() where it may raise; or "
        "use debug_check, which does nothing in such a program.",
    )


__all__ = ["check_p", "not_functionalized"]
