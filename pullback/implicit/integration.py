"""The steps of an ordinary differential equation as values: found once, then done again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import lax
from .. import numpy as jnp
from ..experimental.ode import Recorder, integrated, interp_fit_dopri, runge_kutta_step
from ..mapping import vmap

Slope = Callable[..., Any]


class Options(NamedTuple):
    """What decides on the steps."""

    rtol: float
    atol: float
    hmax: float
    most: int
    checkpoints: int


class Steps(NamedTuple):
    """The accepted steps: arrays with room for the most there may be."""

    count: Any
    starts: Any
    """When each step begins; infinity for steps that there are not."""
    lengths: Any
    polynomials: Any = ()
    """Of each step, coefficients on [0, 1], highest first, if they are kept."""


class StepRecorder(Recorder):
    """Keeps the accepted steps."""

    def __init__(self, most: int, polynomials: bool) -> None:
        self.most, self.polynomials = most, polynomials

    def start(self, t: Any, y: Any) -> Steps:
        """No step."""
        room = (self.most,)
        polynomials: Any = jnp.zeros((*room, 5, y.size), y.dtype) if self.polynomials else ()
        starts = jnp.full(room, jnp.inf, t.dtype)
        return Steps(jnp.zeros((), int), starts, jnp.ones(room, t.dtype), polynomials)

    def has_room(self, kept: Steps) -> Any:
        """Whether there may be another step."""
        return kept.count < self.most

    def write(self, kept: Steps, good: Any, t: Any, dt: Any, polynomial: Any) -> Steps:
        """With one step more."""
        count, starts, lengths, polynomials = kept
        place = jnp.where(good, count, self.most)  # beyond the end: nothing is written
        if self.polynomials:
            polynomials = polynomials.at[place].set(polynomial, mode="drop")
        starts = starts.at[place].set(t, mode="drop")
        lengths = lengths.at[place].set(dt, mode="drop")
        return Steps(count + good, starts, lengths, polynomials)


def found_steps(
    slope: Slope, options: Options, y0: Any, ts: Any, args: Any, polynomials: bool = False
) -> tuple[Any, Any, Steps]:
    """The states at `ts`, whether the last time was reached, and the steps."""
    recorder = StepRecorder(options.most, polynomials)
    bounds = (options.rtol, options.atol, jnp.inf, options.hmax)
    found: tuple[Any, Any, Steps] = integrated(slope, *bounds, y0, ts, args, recorder)
    return found


def one_step(slope: Slope, y: Any, t: Any, dt: Any, args: Any) -> tuple[Any, Any]:
    """The state after a step, and the polynomial in between."""

    def at(y: Any, t: Any) -> Any:
        return slope(y, t, *args)

    new, _, _, slopes = runge_kutta_step(at, y, at(y, t), t, dt)
    return new, interp_fit_dopri(y, new, slopes, dt)


def part_of_step(steps: Steps, i: Any, t: Any) -> Any:
    """Where in step i the time `t` is, in parts of the step."""
    return (t - steps.starts[i]) / steps.lengths[i]


def step_at(steps: Steps, t: Any) -> Any:
    """The number of the step that `t` is in, where a step has its end and not its start."""
    found = jnp.searchsorted(steps.starts, t, side="left") - 1
    return jnp.clip(found, 0, jnp.maximum(steps.count - 1, 0))


def interpolated(polynomials: Any, steps: Steps, t: Any) -> Any:
    """The state at one time."""
    i = step_at(steps, t)
    polynomial = polynomials[i]
    return jnp.polyval(polynomial, part_of_step(steps, i, t).astype(polynomial.dtype))


def done_again(slope: Slope, steps: Steps, length: int, y0: Any, ts: Any, args: Any) -> Any:
    """The states at `ts` by the same steps, as a scan of which `length` rounds are enough.

    The lengths of the steps are given; when they begin moves with the first time.
    """
    any_step = steps.count > 0  # otherwise all times are the first one
    starts = ts[0] + jnp.where(any_step, steps.starts - jnp.where(any_step, steps.starts[0], 0), 0)
    moved = steps._replace(starts=starts)

    def step(y: Any, i: Any) -> tuple[Any, Any]:
        def real(y: Any) -> Any:
            return one_step(slope, y, starts[i], steps.lengths[i], args)

        def none(y: Any) -> Any:
            return y, jnp.zeros((5, y.size), y.dtype)

        return lax.cond(i < steps.count, real, none, y)  # type: ignore[no-any-return]

    def tangent(found: Any) -> Any:
        zeros = jnp.zeros((3, y0.size), y0.dtype)
        line = jnp.stack([slope(y0, ts[0], *args), y0])
        return found.at[0].set(jnp.concatenate([zeros, line]))

    _, polynomials = lax.scan(step, y0, jnp.arange(length))
    polynomials = lax.cond(any_step, lambda found: found, tangent, polynomials)
    ys = [y0[None]]
    if ts.shape[0] > 1:
        ys.append(vmap(lambda t: interpolated(polynomials, moved, t))(ts[1:]))
    return jnp.concatenate(ys)


__all__ = [
    "Options",
    "Steps",
    "done_again",
    "found_steps",
    "interpolated",
    "one_step",
    "part_of_step",
    "step_at",
]
