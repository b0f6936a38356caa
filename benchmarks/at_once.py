"""`python -m benchmarks.at_once`: operations outside jit that are many steps, beside JAX.

Pullback is measured as it is, and with all left to NumPy (pullback_engine="numpy"), in one run. The
table is written to benchmarks/at_once.md.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import pullback
import pullback.numpy as pnp

from .native_timing import Contender, Row, Section, check_equal, race

Call = Callable[[], Any]


class Library:
    """The operations in one system that speaks the API: Pullback or JAX itself."""

    def __init__(self, module: Any, numpy: Any) -> None:
        self.jax, self.jnp, self.random = module, numpy, module.random
        rng = np.random.default_rng(0)

        def array(x: Any) -> Any:
            return numpy.asarray(np.asarray(x, np.float32))

        self.key = module.random.key(0)
        self.rows = array(rng.normal(size=(100, 37)))
        self.fractions = array(rng.uniform(-0.99, 0.99, 10_000))
        self.matrices = {n: array(rng.normal(size=(n, n)) + n * np.eye(n)) for n in (3, 16)}
        self.sides = {n: array(np.ones(n)) for n in (3, 16)}
        self.body, self.goes_on, self.round = _loops(numpy)
        self.slope = module.grad(lambda p: self.orbit(p).sum())
        self.start, self.rates = array([10, 10]), array([1.1, 0.4, 0.4, 0.1])

    def orbit(self, p: Any) -> Any:
        """1000 steps."""
        return self.jax.lax.scan(self.body, (self.start, p), None, length=1000)[0][0]

    def counted(self) -> Any:
        """A loop of which only the carry says when it ends."""
        return self.jax.lax.while_loop(self.goes_on, self.round, (0, self.jnp.float32(0.3)))

    def calls(self) -> dict[str, Call]:
        """By name, what is measured."""
        random, key, nn, linalg = self.random, self.key, self.jax.nn, self.jnp.linalg
        lse = self.jax.scipy.special.logsumexp
        found: dict[str, Call] = {
            "`random.normal`, 30x40": lambda: random.normal(key, (30, 40)),
            "`random.normal`, 3": lambda: random.normal(key, (3,)),
            "`random.normal`, 1000x1000": lambda: random.normal(key, (1000, 1000)),
            "`random.uniform`, 30x40": lambda: random.uniform(key, (30, 40)),
            "`random.uniform`, 1000x1000": lambda: random.uniform(key, (1000, 1000)),
            "`random.bits`, 30x40": lambda: random.bits(key, (30, 40)),
            "`random.split`": lambda: random.key_data(random.split(key)),
            "`random.split`, 1000": lambda: random.key_data(random.split(key, 1000)),
            "`random.bernoulli`, 30x40": lambda: random.bernoulli(key, 0.5, (30, 40)),
            "`softmax`, 100x37": lambda: nn.softmax(self.rows),
            "`softmax`, 100x37, axis 0": lambda: nn.softmax(self.rows, axis=0),
            "`softmax`, 16": lambda: nn.softmax(self.sides[16]),
            "`log_softmax`, 100x37": lambda: nn.log_softmax(self.rows),
            "`logsumexp`, 100x37": lambda: lse(self.rows, axis=-1),
            "`erf_inv`, 10,000": lambda: self.jax.lax.erf_inv(self.fractions),
        }
        for n, a in self.matrices.items():
            b, positive = self.sides[n], a @ a.T
            found |= {
                f"`solve`, {n}x{n}": lambda a=a, b=b: linalg.solve(a, b),
                f"`inv`, {n}x{n}": lambda a=a: linalg.inv(a),
                f"`det`, {n}x{n}": lambda a=a: linalg.det(a),
                f"`cholesky`, {n}x{n}": lambda positive=positive: linalg.cholesky(positive),
            }
        return found | {
            "`scan`, 1000 steps of Runge-Kutta": lambda: self.orbit(self.rates),
            "its gradient": lambda: self.slope(self.rates),
            "`while_loop`, 5000 rounds": self.counted,
        }


def _loops(jnp: Any) -> tuple[Any, Any, Any]:
    """The body of a scan; condition and body of a while_loop. They close over nothing that changes,
    so that both systems trace them once."""

    def slopes(y: Any, p: Any) -> Any:
        """The equations of Lotka and Volterra."""
        return jnp.stack([p[0] * y[0] - p[1] * y[0] * y[1], p[3] * y[0] * y[1] - p[2] * y[1]])

    def step(carry: Any, _: Any) -> Any:
        """One step of Runge and Kutta's method."""
        y, p = carry
        h = 0.01
        k1 = slopes(y, p)
        k2 = slopes(y + h / 2 * k1, p)
        k3 = slopes(y + h / 2 * k2, p)
        k4 = slopes(y + h * k3, p)
        return (y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), p), None

    def goes_on(c: Any) -> Any:
        return c[0] < 5000

    def another(c: Any) -> Any:
        return c[0] + 1, jnp.sin(c[1]) + 0.1 * c[1]

    return step, goes_on, another


def rows() -> list[Row]:
    """All rows, results compared first."""
    ours, theirs = Library(pullback, pnp).calls(), Library(jax, jnp).calls()
    found = []
    for name, call in ours.items():
        pairs = (pullback.tree.leaves(call()), jax.tree.leaves(theirs[name]()))
        check_equal(name, *pairs, 1e-3)
        seconds = race(
            {
                "Pullback": Contender(call, ()),
                "JAX": Contender(theirs[name], (), jax.block_until_ready),
            }
        )
        before = pullback.config.pullback_engine
        pullback.config.update("pullback_engine", "numpy")
        seconds |= {"NumPy": race({"NumPy": Contender(call, ())})["NumPy"]}
        pullback.config.update("pullback_engine", before)
        found.append(Row(name, seconds))
        print(name, {who: f"{1e6 * s:.2f} us" for who, s in seconds.items()}, flush=True)
    return found


def main() -> None:
    """Measure all rows."""
    text = (
        "The least of several rounds, contenders taking turns, one run on one machine "
        f"({platform.machine()}, Python {platform.python_version()}, JAX {jax.__version__}). "
        'Ratios are peer / Pullback. "NumPy" is Pullback with pullback_engine="numpy".'
    )
    section = Section("Outside jit", ["JAX", "NumPy"], rows(), text=text)
    Path(__file__).with_name("at_once.md").write_text(section.markdown())


if __name__ == "__main__":
    main()
