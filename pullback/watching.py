"""What the settings ask to be watched when functions are traced: logs, leaks, forbidden tracing."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from . import monitoring
from .core.array import Tracer
from .core.errors import UnexpectedTracerError, error, user_line
from .core.program import ClosedProgram, check_program
from .core.settings import values
from .core.types import ArrayType

T = TypeVar("T")

logger = logging.getLogger("pullback")


def before_tracing(fun: Any, types: Sequence[ArrayType], known: Sequence[Any]) -> None:
    """Called when `fun` is about to be traced for `types`; `known`: the keys it was traced for."""
    if values.jax_no_tracing:
        raise error(
            RuntimeError,
            f"re-tracing function {_described(fun)} for `jit`, but 'no_tracing' is set.",
            got=", ".join(map(str, types)),
            fix="call it once with arguments of these types before no_tracing is set.",
        )
    if values.jax_explain_cache_misses:
        why = "the function was not called before"
        if known:
            why = "it was traced for other types, static arguments or settings only: " + "; ".join(
                ", ".join(map(str, key[1])) for key in list(known)[:5]
            )
        shown = ", ".join(map(str, types))
        logger.warning(
            "TRACING CACHE MISS at %s: %s for (%s) because %s",
            user_line(),
            _described(fun),
            shown,
            why,
        )


def timed(event: str, name: str, types: Sequence[ArrayType], work: Callable[[], T]) -> T:
    """`work()`, and what is said of its duration."""
    start = time.perf_counter()
    found = work()
    took = time.perf_counter() - start
    if values.jax_log_compiles:
        shown = ", ".join(map(str, types))
        verb = "tracing" if "trace" in event else "compilation of"
        logger.warning("Finished %s %s for (%s) in %.6f sec", verb, name, shown, took)
    monitoring.record_event_duration_secs(event, took, fun_name=name)
    return found


def after_tracing(closed: ClosedProgram, trace: Any, fun: Any) -> None:
    """Called when `trace` has written the program of `fun`."""
    if values.jax_enable_checks:
        check_program(closed.program)
    if not values.jax_check_tracer_leaks:
        return
    gc.collect()
    leaked = [x for x in gc.get_objects() if isinstance(x, Tracer) and x.owner is trace]
    if leaked:
        raise error(
            UnexpectedTracerError,
            f"Leaked trace: after the tracing of {_described(fun)}, something still holds "
            f"{len(leaked)} of its traced values.",
            got="; ".join(f"{x.describe()}, held by {_holders(x, leaked)}" for x in leaked),
            fix="return the value from the function instead of storing it in a global, an "
            "attribute or an outer list.",
        )


def _holders(x: Any, leaked: list[Any]) -> str:
    mine = (leaked, globals())
    held = [h for h in gc.get_referrers(x) if not any(h is m for m in mine)]
    return ", ".join(sorted({f"a {type(h).__name__}" for h in held if _outside(h)})) or "a frame"


def _outside(holder: Any) -> bool:
    return type(holder).__name__ not in ("frame", "list_iterator", "generator", "cell")


def _described(fun: Any) -> str:
    code = getattr(fun, "__code__", None)
    name = getattr(fun, "__name__", repr(fun))
    return name if code is None else f"{name} at {code.co_filename}:{code.co_firstlineno}"


__all__ = ["after_tracing", "before_tracing", "timed"]
