"""odeint with a choice of how its derivatives are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import lax
from .. import numpy as jnp
from ..api import vjp
from ..core import dtypes
from ..core.array import Tracer
from ..core.errors import error
from ..core.pytree import flatten
from ..custom import custom_vjp
from ..experimental import ode
from ..mapping import vmap
from .convergence import ConvergenceError
from .integration import (
    Options,
    Steps,
    done_again,
    found_steps,
    interpolated,
    one_step,
    part_of_step,
)
from .revolve import pulled_through

_ADJOINTS = {"checkpointed": 16384, "interpolated": 1024, "direct": 1024, "backsolve": None}
"""The kinds of derivatives, and how many steps there may be by default."""


def odeint(
    func: Callable[..., Any],
    y0: Any,
    t: Any,
    *args: Any,
    adjoint: str = "checkpointed",
    checkpoints: int = 32,
    rtol: float = 1.4e-8,
    atol: float = 1.4e-8,
    hmax: float = np.inf,
    max_steps: int | None = None,
) -> Any:
    """The solution of ``dy/dt = func(y, t, *args)`` with ``y(t[0]) = y0``, at the times `t`.

    Args:
      func: gives the slope of `y`, of the structure of `y0`. It may close over traced values, with
        respect to which the solution can be differentiated.
      y0: the state at the first time: a pytree of float or complex arrays.
      t: a flat array of float times, none of them before the one in front of it.
      *args: pytrees of arrays that `func` takes.
      adjoint: what reverse mode does.

        - "checkpointed": the steps are done again in reverse order, from `checkpoints` kept states
          (Revolve): the exact derivative of the computed solution, in bounded memory.
        - "interpolated": the solution is kept as the polynomials of all steps, and the adjoint
          equation is solved along it, with steps of its own.
        - "direct": the steps are done again as a scan that reverse mode goes through: exact, with
          memory for all steps. The only one with forward mode; derivatives of any order.
        - "backsolve": the state is solved backwards together with the adjoint equation, which keeps
          nothing, and fails where the equation forgets its beginning (`experimental.ode`).

      checkpoints: how many states "checkpointed" keeps.
      rtol, atol: how exact each step is, relative to `y` and absolutely.
      hmax: the longest step.
      max_steps: how many steps there may be: by default 16384, or 1024 where all are kept: for
        "interpolated" in memory for 5 states each.

    Returns:
      A pytree like `y0`, with an axis of all times in front; NaN where the last time was not
      reached and values are traced.

    Raises:
      ConvergenceError: the last time was not reached, and this is known.
      TypeError: `t` is not of floats, `func` gives something else than `y0` is, or forward mode is
        used with another adjoint than "direct".
      ValueError: there is no such adjoint, less than one checkpoint or step is allowed, or the
        times go back and this is known (else the result is NaN; "backsolve" does not look).

    The lengths of the steps count as given. The method is that of J. Dormand and P. Prince (1980)
    with its polynomial of degree 4 (Shampine 1986); the adjoint equation ``da/dt = -a df/dy`` is
    that of Pontryagin (1962).

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback.implicit import odeint
      >>> def end(rate):
      ...     return odeint(lambda y, t: rate * y, 1.0, jnp.array([0.0, 1.0]), rtol=1e-6)[-1]
      >>> print(end(1.0).round(5), pullback.grad(end)(1.0).round(5))  # both e
      2.71828 2.71828
    """
    if adjoint not in _ADJOINTS:
        raise error(
            ValueError,
            f"odeint has no adjoint {adjoint!r:.80}.",
            got=f"adjoint={adjoint!r:.80}",
            fix=f"use one of {', '.join(map(repr, _ADJOINTS))}.",
        )
    if adjoint == "backsolve":
        return ode.odeint(func, y0, t, *args, rtol=rtol, atol=atol, hmax=hmax)
    most = _ADJOINTS[adjoint] if max_steps is None else max_steps
    slots = _whole(checkpoints, "checkpoints")
    options = Options(rtol, atol, hmax, _whole(most, "max_steps"), slots)
    slope, start, times, given, unravel = ode.prepared(func, y0, t, args)
    ordered = jnp.all(times[1:] >= times[:-1])
    if not isinstance(ordered, Tracer) and not bool(ordered):
        raise _going_back(times)
    if adjoint == "direct":
        ys, good = _direct(slope, options, start, times, given)
    else:
        solution = _checkpointed if adjoint == "checkpointed" else _interpolated
        ys, good = solution(slope, options, start, times, given)
    good = good & ordered
    if isinstance(good, Tracer):
        ys = ys * jnp.where(good, 1, jnp.nan).astype(ys.dtype)
    elif not bool(good):
        raise _not_reached(options)
    return vmap(unravel)(ys)


def _whole(n: Any, name: str) -> int:
    if isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= 1:
        return int(n)
    raise error(
        ValueError,
        f"odeint: {name} must be a whole number, at least 1.",
        got=f"{name}={n!r:.80}",
        fix=f"leave {name} out, or give how many there may be.",
    )


def _not_reached(options: Options) -> ConvergenceError:
    return error(
        ConvergenceError,
        "odeint has not reached the last time.",
        got=f"max_steps={options.most}, rtol={options.rtol:g}, atol={options.atol:g}",
        fix="allow more steps with max_steps=, or larger errors with rtol= and atol=; a solution "
        "that grows without bounds ends where it does.",
    )


def _going_back(times: Any) -> ValueError:
    t = np.asarray(times)
    i = int(np.argmin(t[1:] >= t[:-1]))
    return error(
        ValueError,
        "odeint: the times must not go back.",
        got=f"t[{i}]={t[i]:g} and t[{i + 1}]={t[i + 1]:g}",
        fix="sort them; to solve an equation backwards, solve -func(y, -s) for s = -t.",
    )


# ---- direct


def _direct(slope: Any, options: Options, y0: Any, ts: Any, args: Any) -> tuple[Any, Any]:
    plain = lax.stop_gradient((y0, ts, args))
    ys, good, steps = found_steps(slope, options, *plain)
    differentiated = any(isinstance(x, Tracer) for x in flatten((y0, ts, args))[0])
    if not differentiated:
        return ys, good
    length = options.most
    if not isinstance(steps.count, Tracer):  # a power of two, so that few programs are made
        length = min(length, 2 ** int(max(int(steps.count), 1) - 1).bit_length())
    return done_again(slope, steps, length, y0, ts, args), good


# ---- checkpointed


def _only_values(slope: Any, options: Options, y0: Any, ts: Any, args: Any) -> tuple[Any, Any]:
    return found_steps(slope, options, y0, ts, args)[:2]


_checkpointed = custom_vjp(_only_values, nondiff_argnums=(0, 1))


def _checkpointed_forward(slope: Any, options: Options, y0: Any, ts: Any, args: Any) -> Any:
    ys, good, steps = found_steps(slope, options, y0, ts, args)
    return (ys, good), (y0, ts, args, steps)


def _checkpointed_backward(slope: Any, options: Options, kept: Any, cts: Any) -> Any:
    y0, ts, args, steps = kept
    at_times = cts[0]
    moved, with_moved, all_cotangents = _movable(args)

    def advance(i: Any, y: Any) -> Any:
        return one_step(slope, y, steps.starts[i], steps.lengths[i], args)[0]

    def pull(i: Any, y: Any, cotangents: Any) -> Any:
        ct, ct_start, ct_times, ct_args, output = cotangents
        t, dt = steps.starts[i], steps.lengths[i]

        def step(y: Any, t: Any, moved: Any) -> Any:
            return one_step(slope, y, t, dt, with_moved(moved))

        (_, polynomial), back = vjp(step, y, t, moved)
        start = (jnp.zeros_like(polynomial), ct_start, ct_times, output)
        ct_polynomial, ct_start, ct_times, output = _outputs_of_step(
            polynomial, steps, i, ts, at_times, start
        )
        ct, ct_t, ct_moved = back((ct, ct_polynomial))
        ct_args = [a + b for a, b in zip(ct_args, ct_moved, strict=True)]
        return ct, ct_start + ct_t, ct_times, ct_args, output

    zero = jnp.zeros((), ts.dtype)
    begin = (
        jnp.zeros_like(y0),
        zero,
        jnp.zeros_like(ts),
        [jnp.zeros_like(x) for x in moved],
        jnp.asarray(ts.shape[0] - 1, int),
    )
    counts = (steps.count, options.most, options.checkpoints)
    found, _ = pulled_through(advance, pull, y0, *counts, begin)
    ct, ct_start, ct_times, ct_args, left = found
    # What is left are outputs at the first time itself, which are y0.
    at_start = (jnp.arange(ts.shape[0]) <= left).astype(at_times.dtype)[:, None] * at_times
    rates = jnp.real(jnp.sum(slope(y0, ts[0], *args) * at_start, 1)).astype(ts.dtype)
    rates = rates.at[0].set(0)
    ct_times = (ct_times + rates).at[0].add(ct_start - jnp.sum(rates))
    return ct + jnp.sum(at_start, 0), ct_times, all_cotangents(ct_args)


def _outputs_of_step(
    polynomial: Any, steps: Steps, i: Any, ts: Any, at_times: Any, start: Any
) -> Any:
    """The cotangents of a step's polynomial from those of the outputs in it, the last one first.

    Also those of the times: an output moves with its own time, and against that of the start.
    """
    slopes = polynomial[:-1] * np.arange(4, 0, -1)[:, None].astype(polynomial.dtype)

    def goes_on(state: Any) -> Any:
        output = state[-1]
        return (output > 0) & (ts[output] > steps.starts[i])

    def add(state: Any) -> Any:
        ct_polynomial, ct_start, ct_times, output = state
        ct = at_times[output]
        at = part_of_step(steps, i, ts[output]).astype(polynomial.dtype)
        powers = jnp.stack([at**4, at**3, at**2, at, jnp.ones_like(at)])
        rate = jnp.real(jnp.sum(jnp.polyval(slopes, at) * ct)) / steps.lengths[i]
        rate = rate.astype(ct_times.dtype)
        return (
            ct_polynomial + powers[:, None] * ct,
            ct_start - rate,
            ct_times.at[output].add(rate),
            output - 1,
        )

    return lax.while_loop(goes_on, add, start)


def _movable(args: Any) -> tuple[list[Any], Any, Any]:
    """The float arrays among the arguments, the way back, and that for their cotangents."""
    leaves, tree = flatten(args)
    floats = [dtypes.is_inexact(x.dtype) for x in leaves]
    moved = [x for x, f in zip(leaves, floats, strict=True) if f]

    def with_moved(moved: Any) -> Any:
        rest = iter(moved)
        return tree.unflatten([next(rest) if f else x for x, f in zip(leaves, floats, strict=True)])

    def all_cotangents(found: Any) -> Any:
        rest = iter(found)
        none = [np.zeros(x.shape, dtypes.float0) for x in leaves]
        return tree.unflatten([next(rest) if f else n for f, n in zip(floats, none, strict=True)])

    return moved, with_moved, all_cotangents


_checkpointed.defvjp(_checkpointed_forward, _checkpointed_backward)


# ---- interpolated

_interpolated = custom_vjp(_only_values, nondiff_argnums=(0, 1))


def _interpolated_forward(slope: Any, options: Options, y0: Any, ts: Any, args: Any) -> Any:
    ys, good, steps = found_steps(slope, options, y0, ts, args, polynomials=True)
    return (ys, good), (ys, ts, args, steps)


def _interpolated_backward(slope: Any, options: Options, kept: Any, cts: Any) -> Any:
    ys, ts, args, steps = kept
    at_times = cts[0]
    moved, with_moved, all_cotangents = _movable(args)

    def at(y: Any, t: Any, *moved: Any) -> Any:
        return slope(y, t, *with_moved(moved))

    def backwards(state: Any, s: Any, steps: Any, *moved: Any) -> Any:
        # Time runs backwards: s = -t. The cotangents grow by what the slope does to them.
        y = interpolated(steps.polynomials, steps, -s)
        _, pull = vjp(at, y, -s, *moved)
        of_y, of_t, *of_moved = pull(state[0])
        return of_y, of_t, of_moved

    def to_previous(carry: Any, i: Any) -> tuple[Any, Any]:
        ct, ct_start, ct_moved = carry
        # What it does to end a little later: the slope there.
        ct_time = jnp.real(jnp.sum(at(ys[i], ts[i], *moved) * at_times[i])).astype(ts.dtype)
        back = jnp.stack([-ts[i], -ts[i - 1]])
        bounds = {"rtol": options.rtol, "atol": options.atol, "hmax": options.hmax}
        state = (ct, ct_start - ct_time, ct_moved)
        found = ode.odeint(backwards, state, back, steps, *moved, **bounds)
        ct, ct_start, ct_moved = found[0][1], found[1][1], [x[1] for x in found[2]]
        return (ct + at_times[i - 1], ct_start, ct_moved), ct_time

    start = (at_times[-1], jnp.zeros((), ts.dtype), [jnp.zeros_like(x) for x in moved])
    order = np.arange(ts.shape[0] - 1, 0, -1, dtype=np.int32)
    (ct, ct_start, ct_moved), ct_times = lax.scan(to_previous, start, order)
    of_times = jnp.concatenate([ct_start[None], ct_times[::-1]])
    return ct, of_times, all_cotangents(ct_moved)


_interpolated.defvjp(_interpolated_forward, _interpolated_backward)

__all__ = ["odeint"]
