"""odeint: ordinary differential equations, with derivatives by the adjoint equation.

The method is that of Dormand and Prince (1980), of order 5 with an error estimate of order 4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import lax
from .. import numpy as jnp
from ..api import vjp
from ..checks import callable_, input_array
from ..core import dtypes
from ..core.errors import error
from ..core.pytree import flatten
from ..custom import closure_convert, custom_vjp
from ..flatten_util import ravel_pytree
from ..mapping import vmap
from ..numpy import linalg
from ..tree_util import tree_map

NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
"""When the stages after the first are evaluated, in parts of a step."""

STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
"""What each stage takes of the slopes before it; the last one is the step itself."""

ERROR = (
    35 / 384 - 1951 / 21600,
    0.0,
    500 / 1113 - 22642 / 50085,
    125 / 192 - 451 / 720,
    -2187 / 6784 + 12231 / 42400,
    11 / 84 - 649 / 6300,
    -1 / 60,
)
"""The step less the one of order 4."""

MIDDLE = (
    6025192743 / 30085553152 / 2,
    0.0,
    51252292925 / 65400821598 / 2,
    -2691868925 / 45128329728 / 2,
    187940372067 / 1594534317056 / 2,
    -1776094331 / 19743644256 / 2,
    11237099 / 235043384 / 2,
)
"""Half a step (Shampine 1986)."""


def odeint(
    func: Callable[..., Any],
    y0: Any,
    t: Any,
    *args: Any,
    rtol: float = 1.4e-8,
    atol: float = 1.4e-8,
    mxstep: float = np.inf,
    hmax: float = np.inf,
) -> Any:
    """The solution of ``dy/dt = func(y, t, *args)`` with ``y(t[0]) = y0``, at the times `t`.

    Args:
      func: gives the slope of `y`, of the structure of `y0`. It may close over traced values, with
        respect to which the solution can be differentiated.
      y0: the state at the first time: a pytree of arrays.
      t: a flat array of increasing float times.
      *args: pytrees of arrays that `func` takes.
      rtol, atol: how exact each step is, relative to `y` and absolutely.
      mxstep: the most steps between two times.
      hmax: the longest step.

    Returns:
      A pytree like `y0`, with an axis of all times in front.

    Raises:
      TypeError: `t` is not of floats, or `args` holds something that is no array.

    Reverse mode solves the adjoint equation backwards in time, so that nothing but the solution at
    `t` is kept. Forward mode raises a TypeError.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental.ode import odeint
      >>> def end(rate):
      ...     return odeint(lambda y, t: rate * y, 1.0, jnp.array([0.0, 1.0]))[-1]
      >>> print(end(1.0), pullback.grad(end)(1.0))  # both e
      2.718282 2.7182824
    """
    callable_(func, "odeint")
    _check_numbers(rtol=rtol, atol=atol, mxstep=mxstep, hmax=hmax)
    flat, start, times, given, unravel = prepared(func, y0, t, args)
    return vmap(unravel)(_solution(flat, rtol, atol, mxstep, hmax, start, times, given))


def _check_numbers(**options: Any) -> None:
    for name, value in options.items():
        if np.ndim(value) or isinstance(value, str):
            raise error(
                TypeError,
                f"the option {name} of odeint must be one number.",
                got=f"{name}={value!r:.80}",
                fix="scale the components of the state if they need other tolerances.",
            )


def prepared(func: Callable[..., Any], y0: Any, t: Any, args: Any) -> Any:
    """The arguments of odeint, checked and flat.

    Returns:
      The slope as a function ``flat(y, t, *given)`` of flat states, the flat first state, the
      times, `given` (the arguments and what `func` closes over), and the way back from flat states.
    """
    callable_(func, "odeint")
    for leaf in flatten(args)[0]:
        input_array(leaf, "odeint")
    times = input_array(t, "odeint")
    if dtypes.kind(times.dtype) != "f" or times.ndim != 1 or not times.size:
        raise error(
            TypeError,
            f"t must be an array of floats, but got {t!r:.80}.",
            got=times.aval.str_short(),
            fix="give increasing times, such as jnp.linspace(0.0, 1.0, 11).",
        )
    converted, consts = closure_convert(func, y0, times[0], *args)
    start, unravel = ravel_pytree(y0)
    structure = flatten(y0)[1]
    if not dtypes.is_inexact(start.dtype):
        raise error(
            TypeError,
            "odeint needs a state of floats or complex numbers.",
            got=start.aval.str_short(),
            fix="begin with floats: y0=1.0.",
        )

    def flat(y: Any, t: Any, *args: Any) -> Any:
        found = converted(unravel(y), t, *args)
        slope = ravel_pytree(found)[0]
        if slope.shape != y.shape or flatten(found)[1] != structure:
            raise error(
                TypeError,
                "func of odeint must give a slope like the state: one number for each.",
                got=f"{slope.size} numbers in {flatten(found)[1]} for {y.size} in {structure}",
                fix="return dy/dt in the containers and shapes of y0.",
            )
        return slope.astype(y.dtype)

    return flat, start, times, (*args, *consts), unravel


# ---- one step


def runge_kutta_step(
    func: Callable[[Any, Any], Any], y0: Any, f0: Any, t0: Any, dt: Any
) -> tuple[Any, Any, Any, Any]:
    """One step of length `dt` from ``y0`` with slope `f0`, for flat states.

    Returns:
      The new state, its slope, the estimated error, and the slopes of all seven stages.
    """
    h = jnp.asarray(dt).astype(f0.dtype)
    slopes = [f0]
    y = y0
    for node, weights in zip(NODES, STAGES, strict=True):
        y = y0 + h * _weighted(weights, slopes)
        slopes.append(func(y, t0 + dt * node))
    return y, slopes[-1], h * _weighted(ERROR, slopes), jnp.stack(slopes)


def _weighted(weights: Any, slopes: Any) -> Any:
    return sum(w * k for w, k in zip(weights, slopes, strict=True) if w)


def interp_fit_dopri(y0: Any, y1: Any, k: Any, dt: Any) -> Any:
    """The polynomial of degree 4 through a step with the slopes `k`.

    Coefficients for [0, 1], highest first.
    """
    middle = y0 + jnp.asarray(dt).astype(y0.dtype) * _weighted(MIDDLE, list(k))
    return jnp.stack(fit_4th_order_polynomial(y0, y1, middle, k[0], k[-1], dt))


def fit_4th_order_polynomial(
    y0: Any, y1: Any, y_mid: Any, dy0: Any, dy1: Any, dt: Any
) -> tuple[Any, ...]:
    """Coefficients, highest first, of the polynomial of degree 4 on [0, 1] with these values and
    slopes (in time, of which [0, 1] is `dt`) at the ends, and this value in the middle.
    """
    h = jnp.asarray(dt).astype(y0.dtype)
    s0, s1 = h * dy0, h * dy1
    return (
        2 * (s1 - s0) - 8 * (y0 + y1) + 16 * y_mid,
        5 * s0 - 3 * s1 + 18 * y0 + 14 * y1 - 32 * y_mid,
        s1 - 4 * s0 - 11 * y0 - 5 * y1 + 16 * y_mid,
        s0,
        y0,
    )


def abs2(x: Any) -> Any:
    """The square of the absolute value."""
    return x.real**2 + x.imag**2 if jnp.iscomplexobj(x) else x**2


def mean_error_ratio(error_estimate: Any, rtol: Any, atol: Any, y0: Any, y1: Any) -> Any:
    """The root mean square of the error in units of what is allowed: a step is good up to 1."""
    allowed = atol + rtol * jnp.maximum(jnp.abs(y0), jnp.abs(y1))
    return jnp.sqrt(jnp.mean(abs2(error_estimate / allowed.astype(error_estimate.dtype))))


def optimal_step_size(
    last_step: Any,
    mean_error_ratio: Any,
    safety: float = 0.9,
    ifactor: float = 10.0,
    dfactor: float = 0.2,
    order: float = 5.0,
) -> Any:
    """The length of the next step, from the error of the last one."""
    smallest = jnp.where(mean_error_ratio < 1, 1.0, dfactor)
    none = mean_error_ratio == 0
    power = jnp.where(none, 1.0, mean_error_ratio) ** (-1.0 / order)
    factor = jnp.minimum(ifactor, jnp.maximum(power * safety, smallest))
    return last_step * jnp.where(none, ifactor, factor)


def initial_step_size(
    fun: Callable[[Any, Any], Any], t0: Any, y0: Any, order: int, rtol: Any, atol: Any, f0: Any
) -> Any:
    """The length of the first step: Hairer, Norsett, Wanner, Solving ODEs I, section II.4."""
    scale = atol + jnp.abs(y0) * rtol

    def size(x: Any) -> Any:
        return linalg.norm(x / scale.astype(x.dtype))

    d0, d1 = size(y0), size(f0)
    small = (d0 < 1e-5) | (d1 < 1e-5)
    h0 = jnp.where(small, 1e-6, 0.01 * d0 / jnp.where(small, 1, d1))
    f1 = fun(y0 + h0.astype(y0.dtype) * f0, t0 + h0)
    d2 = size(f1 - f0) / h0
    flat = (d1 <= 1e-15) & (d2 <= 1e-15)
    largest = jnp.where(flat, 1, jnp.maximum(d1, d2))
    h1 = jnp.where(flat, jnp.maximum(1e-6, h0 * 1e-3), (0.01 / largest) ** (1.0 / (order + 1.0)))
    return jnp.minimum(100.0 * h0, h1)


# ---- the solution, and its derivative


class Recorder:
    """What is kept of each step: here nothing."""

    def start(self, t: Any, y: Any) -> Any:
        """A pytree of arrays, before the first step."""
        return ()

    def has_room(self, kept: Any) -> Any:
        """Whether there may be another step."""
        return True

    def write(self, kept: Any, good: Any, t: Any, dt: Any, polynomial: Any) -> Any:
        """`kept` after a step from `t`, which counts if it is `good`."""
        return kept


def _integrated(
    func: Any, rtol: Any, atol: Any, mxstep: Any, hmax: Any, y0: Any, ts: Any, args: Any
) -> Any:
    """The flat states at `ts`."""
    return integrated(func, rtol, atol, mxstep, hmax, y0, ts, args, Recorder())[0]


def integrated(
    func: Any,
    rtol: Any,
    atol: Any,
    mxstep: Any,
    hmax: Any,
    y0: Any,
    ts: Any,
    args: Any,
    recorder: Recorder,
) -> Any:
    """The flat states at `ts`, whether the last time was reached, and what was recorded."""

    def slope(y: Any, t: Any) -> Any:
        return func(y, t, *args)

    def to_next(carry: Any, target: Any) -> tuple[Any, Any]:
        def go_on(state: Any) -> Any:
            i, _, _, t, dt, _, _, kept = state
            going, room = (t < target) & (i < mxstep) & (dt > 0), recorder.has_room(kept)
            return going if room is True else going & room

        def step(state: Any) -> Any:
            i, y, f, t, dt, before, polynomial, record = state
            new_y, new_f, off, slopes = runge_kutta_step(slope, y, f, t, dt)
            ratio = mean_error_ratio(off, rtol, atol, y, new_y)
            new_dt = _bounded(optimal_step_size(dt, ratio), hmax, t)
            fitted = interp_fit_dopri(y, new_y, slopes, dt)
            new = (new_y, new_f, t + dt, new_dt, t, fitted)
            old = (y, f, t, new_dt, before, polynomial)
            good = ratio <= 1.0
            kept = [jnp.where(good, a, b) for a, b in zip(new, old, strict=True)]
            return (i + 1, *kept, recorder.write(record, good, t, dt, fitted))

        _, *carry = lax.while_loop(go_on, step, (0, *carry))
        _, _, t, _, before, polynomial, _ = carry
        still_at_start = (t == before) & (target == before)
        at = (target - before) / jnp.where(still_at_start, 1.0, t - before)
        at = at.astype(polynomial.dtype)
        return tuple(carry), jnp.polyval(polynomial, at)

    t0 = ts[0]
    f0 = slope(y0, t0)
    dt = _bounded(initial_step_size(slope, t0, y0, 4, rtol, atol, f0), hmax, t0)
    carry = (y0, f0, t0, dt, t0, jnp.stack([y0] * 5), recorder.start(t0, y0))
    carry, ys = lax.scan(to_next, carry, ts[1:])
    return jnp.concatenate([y0[None], ys]), carry[2] >= ts[-1], carry[-1]


def _bounded(dt: Any, hmax: Any, t: Any) -> Any:
    return jnp.clip(dt, 0.0, hmax).astype(t.dtype)


_solution = custom_vjp(_integrated, nondiff_argnums=(0, 1, 2, 3, 4))


def _forward(func: Any, rtol: Any, atol: Any, mxstep: Any, hmax: Any, *rest: Any) -> Any:
    ys = _solution(func, rtol, atol, mxstep, hmax, *rest)
    return ys, (ys, *rest[1:])


def _backward(
    func: Any, rtol: Any, atol: Any, mxstep: Any, hmax: Any, kept: Any, cts: Any
) -> tuple[Any, ...]:
    ys, ts, args = kept
    leaves, tree = flatten(args)
    floats = [dtypes.is_inexact(x.dtype) for x in leaves]
    moved = [x for x, f in zip(leaves, floats, strict=True) if f]

    def slope(y: Any, t: Any, *given: Any) -> Any:
        rest = iter(given)
        filled = [next(rest) if f else x for x, f in zip(leaves, floats, strict=True)]
        return func(y, t, *tree.unflatten(filled))

    def augmented(state: Any, s: Any, *given: Any) -> Any:
        # Time runs backwards: s = -t. The cotangents grow by what the slope does to them.
        y, ct, _, _ = state
        f, pull = vjp(slope, y, -s, *given)
        of_y, of_t, *of_given = pull(ct)
        return -f, of_y, of_t, of_given

    def to_previous(carry: Any, i: Any) -> tuple[Any, Any]:
        ct, ct_start, ct_given = carry
        # What it does to end a little later: the slope there.
        ct_time = jnp.real(jnp.sum(slope(ys[i], ts[i], *moved) * cts[i])).astype(ts.dtype)
        back = jnp.stack([-ts[i], -ts[i - 1]])
        options = {"rtol": rtol, "atol": atol, "mxstep": mxstep, "hmax": hmax}
        state = (ys[i], ct, ct_start - ct_time, ct_given)
        _, *found = odeint(augmented, state, back, *moved, **options)
        ct, ct_start, ct_given = tree_map(lambda x: x[1], tuple(found))
        return (ct + cts[i - 1], ct_start, ct_given), ct_time

    start = (cts[-1], jnp.zeros((), ts.dtype), [jnp.zeros_like(x) for x in moved])
    order = np.arange(ts.shape[0] - 1, 0, -1, dtype=np.int32)
    (ct, ct_start, ct_given), ct_times = lax.scan(to_previous, start, order)
    of_ts = jnp.concatenate([ct_start[None], ct_times[::-1]])
    found = iter(ct_given)
    of_args = [next(found) if f else None for f in floats]
    filled = [
        np.zeros(x.shape, dtypes.float0) if c is None else c
        for c, x in zip(of_args, leaves, strict=True)
    ]
    return ct, of_ts, tree.unflatten(filled)


_solution.defvjp(_forward, _backward)
