"""A step along a direction that satisfies the strong Wolfe conditions.

Algorithms 3.5 and 3.6 of Nocedal and Wright, Numerical Optimization (1999).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ... import api, lax
from ... import numpy as jnp
from ...tree_util import tree_map

C1, C2 = 1e-4, 0.9
"""The step must lower the function by C1 of what its slope promises, and the slope to C2 of it."""

MOST_ZOOMS = 30


class Point(NamedTuple):
    """A step, the function there, its slope along the direction, its gradient."""

    step: Any
    value: Any
    slope: Any
    gradient: Any


class Step(NamedTuple):
    """What a line search has found."""

    failed: Any
    evaluations: Any
    step: Any
    value: Any
    gradient: Any
    status: Any
    """0, or 1 if the search in the interval failed, or 3 if no interval was found."""


class _Bracket(NamedTuple):
    """The search for an interval: the steps grow until it is found."""

    i: Any
    before: Point
    here: Point
    best: Point
    done: Any
    zoom: Any
    low: Point
    high: Point


class _Zoom(NamedTuple):
    """The search in an interval, of which `low` is the better end; `other` is an earlier point."""

    j: Any
    low: Point
    high: Point
    other: Point
    best: Point
    done: Any
    failed: Any


def line_search(
    fun: Callable[[Any], Any],
    x: Any,
    direction: Any,
    value: Any,
    gradient: Any,
    value_before: Any = None,
    maxiter: int = 20,
) -> Step:
    """A step from `x` in `direction`.

    Args:
      fun: the function.
      x, direction: flat arrays of one dtype.
      value, gradient: the function and its gradient at `x`.
      value_before: its value one step earlier, which says how long the first step may be.
      maxiter: the most steps that are tried before an interval is found.
    """

    def at(step: Any) -> Point:
        f, g = api.value_and_grad(fun)(x + step.astype(x.dtype) * direction)
        slope = jnp.real(jnp.vdot(jnp.conj(g), direction))
        return _like(Point(step, f, slope, g), start)

    slope = jnp.real(jnp.vdot(jnp.conj(gradient), direction))
    start = Point(jnp.zeros((), slope.dtype), value, slope, gradient)
    first = jnp.ones((), slope.dtype)
    if value_before is not None:
        guess = 1.01 * 2 * (value - value_before) / slope
        first = jnp.where(guess > 1, first, guess.astype(first.dtype))

    bracket = _bracket(at, start, first, maxiter)
    zoom = _zoom(at, start, bracket)
    best = _chosen(bracket.zoom, zoom.best, bracket.best)
    failed = bracket.zoom & zoom.failed
    done = bracket.done | (bracket.zoom & zoom.done)
    status = jnp.where(failed, 1, jnp.where(bracket.i > maxiter, 3, 0))
    step = best.step
    if jnp.finfo(step.dtype).bits < 64:  # a step that rounds to nothing would be no step at all
        step = jnp.where(abs(step) < 1e-8, jnp.sign(step) * 1e-8, step)
    evaluations = bracket.i - 1 + zoom.j
    return Step(failed | ~done, evaluations, step, best.value, best.gradient, status)


def _like(point: Point, other: Point) -> Point:
    return Point(*(jnp.asarray(a).astype(b.dtype) for a, b in zip(point, other, strict=True)))


def _chosen(condition: Any, new: Any, old: Any) -> Any:
    return tree_map(lambda a, b: jnp.where(condition, a, b), new, old)


def _too_high(start: Point, point: Point) -> Any:
    return point.value > start.value + C1 * point.step * start.slope


def _flat_enough(start: Point, point: Point) -> Any:
    return abs(point.slope) <= -C2 * start.slope


def _bracket(at: Any, start: Point, first: Any, maxiter: int) -> _Bracket:
    def go_on(s: _Bracket) -> Any:
        return ~s.done & ~s.zoom & (s.i <= maxiter)

    def step(s: _Bracket) -> _Bracket:
        a = jnp.where(s.i == 1, first, 2 * s.here.step)
        before, here = s.here, at(a)
        passed = _too_high(start, here) | ((here.value >= before.value) & (s.i > 1))
        done = _flat_enough(start, here) & ~passed
        rising = (here.slope >= 0) & ~passed & ~done
        low, high = _chosen(passed, before, here), _chosen(passed, here, before)
        best = _chosen(done, here, s.best)
        return _Bracket(s.i + 1, before, here, best, done, passed | rising, low, high)

    no = jnp.array(False)
    return lax.while_loop(
        go_on, step, _Bracket(jnp.array(1), start, start, start, no, no, start, start)
    )


def _zoom(at: Any, start: Point, bracket: _Bracket) -> _Zoom:
    low, high = bracket.low, bracket.high
    smallest = 1e-5 if jnp.finfo(start.step.dtype).bits < 64 else 1e-10

    def go_on(s: _Zoom) -> Any:
        return bracket.zoom & ~s.done & ~s.failed

    def step(s: _Zoom) -> _Zoom:
        failed = abs(s.high.step - s.low.step) <= smallest
        here = at(_inside(s))
        above = _too_high(start, here) | (here.value >= s.low.value)
        done = _flat_enough(start, here) & ~above
        turns = (here.slope * (s.high.step - s.low.step) >= 0) & ~above & ~done
        below = ~above & ~done
        other = _chosen(above | turns, s.high, _chosen(below, s.low, s.other))
        new_high = _chosen(above, here, _chosen(turns, s.low, s.high))
        new_low = _chosen(below, here, s.low)
        j = s.j + 1
        failed = (failed | (j >= MOST_ZOOMS)) & ~done
        return _Zoom(j, new_low, new_high, other, _chosen(done, here, s.best), done, failed)

    # Where the search fails, the better end is at least no worse than the start.
    no = jnp.array(False)
    out = lax.while_loop(go_on, step, _Zoom(jnp.array(0), low, high, high, low, no, no))
    return out._replace(best=_chosen(out.done, out.best, out.low))


def _inside(s: _Zoom) -> Any:
    """The next step to try: of a cubic, of a parabola, or halfway, the first that lies inside."""
    low, high = s.low, s.high
    width = abs(high.step - low.step)
    left, right = jnp.minimum(low.step, high.step), jnp.maximum(low.step, high.step)
    cubic = _cubic(low, high, s.other)
    parabola = _parabola(low, high)
    use_cubic = (s.j > 0) & (cubic > left + 0.2 * width) & (cubic < right - 0.2 * width)
    use_parabola = (parabola > left + 0.1 * width) & (parabola < right - 0.1 * width)
    half = (low.step + high.step) / 2
    # Both are NaN where there is no such minimum; comparisons are then false.
    return jnp.where(use_cubic, cubic, jnp.where(use_parabola, parabola, half))


def _cubic(a: Point, b: Point, c: Point) -> Any:
    """The minimum of the cubic through three points with the slope at the first."""
    db, dc = b.step - a.step, c.step - a.step
    fb = b.value - a.value - a.slope * db
    fc = c.value - a.value - a.slope * dc
    scale = (db * dc) ** 2 * (db - dc)
    third = (dc**2 * fb - db**2 * fc) / scale
    second = (db**3 * fc - dc**3 * fb) / scale
    return a.step + (-second + jnp.sqrt(second**2 - 3 * third * a.slope)) / (3 * third)


def _parabola(a: Point, b: Point) -> Any:
    """The minimum of the parabola through two points with the slope at the first."""
    d = b.step - a.step
    return a.step - a.slope * d**2 / (2 * (b.value - a.value - a.slope * d))
