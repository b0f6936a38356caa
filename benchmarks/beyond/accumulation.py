"""Jacobians between forward and reverse: multiplications and times, for three small functions.

Each function is that of one point; what is measured is its Jacobian at many points, under jit.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from typing import Any

import numpy as np

import pullback as pb
import pullback.numpy as pnp

from ..timing import Result, Row, measure

POINTS = 10_000


def roe_flux(np_: Any) -> Callable[..., Any]:
    """The numerical flux of Roe (1981) between two states of the Euler equations: 10 to 5.

    A state is density, three momenta and energy; the matrix of the jump is applied by its waves.
    """
    gamma = 1.4

    def primitive(u: Any) -> Any:
        rho, mx, my, mz, energy = (u[i] for i in range(5))
        vx, vy, vz = mx / rho, my / rho, mz / rho
        p = (gamma - 1.0) * (energy - 0.5 * (mx * vx + my * vy + mz * vz))
        return rho, vx, vy, vz, p, (energy + p) / rho

    def flux(u: Any) -> Any:
        left, right = primitive(u[:5]), primitive(u[5:])
        (rl, ul, vl, wl, pl, hl), (rr, ur, vr, wr, pr, hr) = left, right
        root = np_.sqrt(rr / rl)
        share = 1.0 / (1.0 + root)

        def mean(a: Any, b: Any) -> Any:
            return (a + root * b) * share

        vx, vy, vz, h = mean(ul, ur), mean(vl, vr), mean(wl, wr), mean(hl, hr)
        half = 0.5 * (vx * vx + vy * vy + vz * vz)
        c2 = (gamma - 1.0) * (h - half)
        c, rho = np_.sqrt(c2), root * rl
        dr, dx, dy, dz, dp = rr - rl, ur - ul, vr - vl, wr - wl, pr - pl
        sound, jump = 0.5 * dp / c2, 0.5 * rho * dx / c
        slow = np_.abs(vx - c) * (sound - jump)
        fast = np_.abs(vx + c) * (sound + jump)
        speed = np_.abs(vx)
        entropy, shear = speed * (dr - dp / c2), speed * rho
        both, apart = slow + fast, fast - slow
        spread = [
            both + entropy,
            both * vx + apart * c + entropy * vx,
            both * vy + entropy * vy + shear * dy,
            both * vz + entropy * vz + shear * dz,
            both * h + apart * c * vx + entropy * half + shear * (vy * dy + vz * dz),
        ]
        ml, mr = rl * ul, rr * ur
        middle = [
            ml + mr,
            ml * ul + pl + mr * ur + pr,
            ml * vl + mr * vr,
            ml * wl + mr * wr,
            ml * hl + mr * hr,
        ]
        return np_.stack([0.5 * (m - s) for m, s in zip(middle, spread, strict=True)])

    return flux


def robot_arm(np_: Any) -> Callable[..., Any]:
    """Forward kinematics of an arm with six joints (Denavit and Hartenberg 1955): 6 to 6.

    The outputs are the pose of the hand: its position, and roll, pitch and yaw. The lengths and
    twists are those of the PUMA 560.
    """
    links = [  # twist, length, offset
        (math.pi / 2, 0.0, 0.0),
        (0.0, 0.4318, 0.0),
        (-math.pi / 2, 0.0203, 0.15005),
        (math.pi / 2, 0.0, 0.4318),
        (-math.pi / 2, 0.0, 0.0),
        (0.0, 0.0, 0.05),
    ]

    def hand(angles: Any) -> Any:
        frame: list[Any] | None = None
        for i, (twist, length, offset) in enumerate(links):
            c, s = np_.cos(angles[i]), np_.sin(angles[i])
            ca, sa = round(math.cos(twist)), round(math.sin(twist))
            frame = _turned(frame, c, s, ca, sa, length, offset)
        assert frame is not None
        x, y, z, origin = frame
        pitch = np_.arctan2(-x[2], np_.sqrt(x[0] * x[0] + x[1] * x[1]))
        angle = [np_.arctan2(y[2], z[2]), pitch, np_.arctan2(x[1], x[0])]
        return np_.stack([*origin, *angle])

    return hand


def _turned(
    frame: list[Any] | None, c: Any, s: Any, ca: int, sa: int, length: float, offset: float
) -> list[Any]:
    """The frame (three axes and a position, each of three numbers) after one more link."""
    if frame is None:
        frame = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
        x, y = [c, s, 0.0 * c], [-s, c, 0.0 * c]
        z, origin = [0.0 * c, 0.0 * c, 1.0 + 0.0 * c], [0.0 * c] * 3
    else:
        fx, fy, z, origin = frame
        x = [a * c + b * s for a, b in zip(fx, fy, strict=True)]
        y = [b * c - a * s for a, b in zip(fx, fy, strict=True)]
    if length:
        origin = [o + length * a for o, a in zip(origin, x, strict=True)]
    if offset:
        origin = [o + offset * a for o, a in zip(origin, z, strict=True)]
    if sa:  # a quarter turn about the new x axis
        y, z = (z, [-a for a in y]) if sa > 0 else ([-a for a in z], y)
    return [x, y, z, origin]


def black_scholes(np_: Any) -> Callable[..., Any]:
    """Prices and sensitivities of a call and a put (Black and Scholes 1973): 5 to 10.

    The inputs are price, strike, rate, volatility and time; the Jacobian of the sensitivities are
    the second and third derivatives that traders also look at.
    """

    def normal(x: Any) -> Any:
        # A logistic form of the cumulative normal (Page 1977), of elementary functions.
        return 0.5 * (1.0 + np_.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)))

    def outputs(v: Any) -> Any:
        price, strike, rate, volatility, time = (v[i] for i in range(5))
        root = np_.sqrt(time)
        spread = volatility * root
        d1 = np_.log(price / strike) + (rate + 0.5 * volatility * volatility) * time
        d1 = d1 / spread
        d2 = d1 - spread
        n1, n2 = normal(d1), normal(d2)
        density = np_.exp(-0.5 * d1 * d1) * (1.0 / math.sqrt(2.0 * math.pi))
        discounted = strike * np_.exp(-rate * time)
        call = price * n1 - discounted * n2
        decay = -0.5 * price * density * volatility / root
        carry = rate * discounted * n2
        return np_.stack(
            [
                call,
                call - price + discounted,
                n1,
                n1 - 1.0,
                density / (price * spread),
                price * density * root,
                decay - carry,
                decay - carry + rate * discounted,
                time * discounted * n2,
                time * discounted * (n2 - 1.0),
            ]
        )

    return outputs


def points(name: str, count: int = POINTS) -> np.ndarray:
    """Inputs at which the functions are smooth."""
    rng = np.random.default_rng(0)
    if name == "Roe flux":
        one = [1.0, 0.3, 0.2, 0.1, 2.5]
        center = np.array([*one, 0.8, 0.2, 0.1, 0.2, 2.0])
        return (center * (1 + 0.1 * rng.random((count, 10)))).astype(np.float32)
    if name == "robot arm":
        return rng.uniform(-1, 1, (count, 6)).astype(np.float32)
    center = np.array([100.0, 105.0, 0.05, 0.2, 1.0])
    return (center * (1 + 0.1 * rng.random((count, 5)))).astype(np.float32)


FUNCTIONS = {"Roe flux": roe_flux, "robot arm": robot_arm, "Black-Scholes": black_scholes}


def contenders(name: str) -> dict[str, Callable[[], Any]]:
    """The Jacobian at all points, by each mode and each system that is there."""
    given = points(name)
    x, f = pnp.asarray(given), FUNCTIONS[name](pnp)
    modes = {
        "pullback": pb.jacobian(f, mode="cross"),
        "forward": pb.jacfwd(f),
        "reverse": pb.jacrev(f),
    }
    found = {key: _call(pb, pb.jit(pb.vmap(j)), x) for key, j in modes.items()}
    if importlib.util.find_spec("jax") is not None:
        import jax

        y, g = jax.numpy.asarray(given), FUNCTIONS[name](jax.numpy)
        found["jax forward"] = _call(jax, jax.jit(jax.vmap(jax.jacfwd(g))), y)
        found["jax reverse"] = _call(jax, jax.jit(jax.vmap(jax.jacrev(g))), y)
    return found


def _call(system: Any, function: Any, x: Any) -> Callable[[], Any]:
    return lambda: system.block_until_ready(function(x))


def section() -> str:
    """The section of benchmarks/beyond.md."""
    lines = [
        "## Between forward and reverse",
        "",
        f"The Jacobian of one function at {POINTS:,} points, under jit, in milliseconds (asked:",
        "fewer multiplications than both pure modes, and faster). Multiplications are those of one",
        "point; for the pure modes with all zeros known, and in brackets without, as `jacfwd` and",
        "`jacrev` go.",
        "",
        "| function | | cross | forward | reverse | JAX forward | JAX reverse |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, make in FUNCTIONS.items():
        cost = pb.accumulation_cost(make(pnp))(pnp.asarray(points(name, 1)[0]))
        lines.append(
            f"| {name}, {cost.inputs} to {cost.outputs} | multiplications | {cost.cross} | "
            f"{cost.forward} ({cost.dense_forward}) | {cost.reverse} ({cost.dense_reverse}) | | |"
        )
        result = measure(Row(name, contenders(name)))
        cells = [_cell(result, k) for k in ("pullback", "forward", "reverse")]
        cells += [_cell(result, k) for k in ("jax forward", "jax reverse")]
        lines.append(f"| | time | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(result: Result, key: str) -> str:
    if key not in result.seconds:
        return ""
    text = f"{result.seconds[key] * 1e3:.2f}"
    return text if key == "pullback" else f"{text}, **{result.ratio(key):.1f}x**"
