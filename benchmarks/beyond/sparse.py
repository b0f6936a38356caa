"""Sparse Jacobians and Hessians: set-up, and the time of a result, beside dense ones and sparsejac.

sparsejac (with networkx) is measured if it can be imported, in processes of its own: on JAX, and on
Pullback, where `import jax` means Pullback. It is given the pattern, which it cannot find.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import pullback
import pullback.numpy as jnp
from pullback import sparse

from ..timing import Row, measure

LARGE, BANDED = 100_000, 2_000


def broyden(x: Any, np_: Any = jnp) -> Any:
    """Broyden's tridiagonal function."""
    left, right = np_.append(0.0, x[:-1]), np_.append(x[1:], 0.0)
    return (3 - 2 * x) * x - left - 2 * right + 1


def banded(x: Any, np_: Any = jnp) -> Any:
    """A function whose Jacobian has eleven diagonals, as Broyden's banded one (problem 31)."""
    padded, n = np_.pad(x * (1 + x), 5), x.size
    total = sum(padded[5 + k : 5 + k + n] for k in range(-5, 6) if k)
    return x * (2 + 5 * x**2) + 1 - total


def rosenbrock(x: Any) -> Any:
    """Its Hessian is tridiagonal."""
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def point(n: int) -> Any:
    """A point of n float32 numbers."""
    return np.random.default_rng(0).normal(size=n).astype(np.float32)


def section() -> str:
    """The measured figures, as Markdown."""
    lines = [
        "## Sparse Jacobians and Hessians",
        "",
        *_large(),
        "",
        f"Under `jit`, float32, minima; n = {BANDED:,}. The asked ratio is 50 for a banded matrix;",
        "it was 190 and more before dense Jacobians of stencils stored no tangents.",
        "",
        "| matrix | Pullback, CSR | Pullback, BCOO under jit | dense `jacfwd` under jit | ratios |"
        " JAX, dense under jit |",
        "|---|---|---|---|---|---|",
        _against_dense("3 diagonals", broyden),
        _against_dense("11 diagonals", banded),
        _hessian_against_dense(),
        "",
        *_against_sparsejac(),
    ]
    return "\n".join(lines)


def _once(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _seconds(**contenders: Callable[[], Any]) -> dict[str, float]:
    return measure(Row("", contenders)).seconds


def _show(seconds: float) -> str:
    for unit, size in ("s", 1.0), ("ms", 1e-3):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"


def _large() -> list[str]:
    x = jnp.asarray(point(LARGE))
    jacobian, hessian = sparse.jacobian(broyden), sparse.hessian(rosenbrock)
    acyclic = sparse.hessian(rosenbrock, colouring="acyclic")
    rows = [
        f"n = {LARGE:,}. Set-up (pattern and colours) and compiling happen once.",
        "",
        "| matrix | products | set-up | first call | each result (CSR) | asked |",
        "|---|---|---|---|---|---|",
    ]
    for name, call, asked in (
        ("tridiagonal Jacobian", jacobian, "3 products, under 2 s"),
        ("tridiagonal Hessian, star", hessian, ""),
        ("tridiagonal Hessian, acyclic", acyclic, ""),
    ):
        setup = _once(lambda call=call: call.plan(x))
        first = _once(lambda call=call: call(x))
        each = _seconds(pullback=lambda call=call: call(x))["pullback"]
        products = call.plan(x).products
        cells = [name, str(products), _show(setup), _show(first), f"**{_show(each)}**", asked]
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def _against_dense(name: str, f: Any) -> str:
    x = jnp.asarray(point(BANDED))
    jacobian = sparse.jacobian(f)
    inside = pullback.jit(sparse.jacobian(f, format="bcoo"))
    dense = pullback.jit(pullback.jacfwd(f))
    contenders = {"csr": lambda: jacobian(x), "bcoo": lambda: inside(x), "dense": lambda: dense(x)}
    return _row(name, contenders, _jax_dense(f, "jacfwd"))


def _hessian_against_dense() -> str:
    x = jnp.asarray(point(BANDED))
    hessian = sparse.hessian(rosenbrock)
    inside = pullback.jit(sparse.hessian(rosenbrock, format="bcoo"))
    dense = pullback.jit(pullback.hessian(rosenbrock))
    contenders = {"csr": lambda: hessian(x), "bcoo": lambda: inside(x), "dense": lambda: dense(x)}
    return _row("Hessian, 3 diagonals", contenders, None)


def _row(name: str, contenders: dict[str, Callable[[], Any]], peer: Any) -> str:
    if peer is not None:
        contenders["jax"] = peer
    found = _seconds(**contenders)
    ratios = " and ".join(f"{found['dense'] / found[k]:.0f}x" for k in ("csr", "bcoo"))
    cells = [name, _show(found["csr"]), _show(found["bcoo"]), _show(found["dense"])]
    cells += [f"**{ratios}**", _show(found["jax"]) if peer is not None else ""]
    return "| " + " | ".join(cells) + " |"


def _jax_dense(f: Any, transform: str) -> Callable[[], Any] | None:
    if importlib.util.find_spec("jax") is None:
        return None
    import jax

    x = jax.numpy.asarray(point(BANDED))
    dense = jax.jit(getattr(jax, transform)(lambda x: f(x, jax.numpy)))
    return lambda: dense(x).block_until_ready()


# ---- sparsejac, given the pattern

_SCRIPT = """
import time, numpy as np, jax, jax.numpy as jnp, sparsejac
from jax.experimental import sparse as jsparse
def f(x):
    left, right = jnp.append(0.0, x[:-1]), jnp.append(x[1:], 0.0)
    return (3 - 2 * x) * x - left - 2 * right + 1
n = {n}
i = np.arange(n)
pairs = (i, i), (i[1:], i[:-1]), (i[:-1], i[1:])
at = np.concatenate([np.stack(pair, 1) for pair in pairs])
pattern = jsparse.BCOO((jnp.ones(len(at)), jnp.asarray(at)), shape=(n, n))
x = jnp.asarray(np.random.default_rng(0).normal(size=n).astype(np.float32))
start = time.perf_counter()
call = jax.jit(sparsejac.jacfwd(f, pattern))
setup = time.perf_counter() - start
call(x).data.block_until_ready()
best = 1e9
for _ in range(15):
    start = time.perf_counter()
    for _ in range({calls}):
        call(x).data.block_until_ready()
    best = min(best, (time.perf_counter() - start) / {calls})
print(setup, best)
"""


def _run_script(n: int, calls: int, on_pullback: bool) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "script.py")
        script.write_text(_SCRIPT.format(n=n, calls=calls))
        how = ["-m", "pullback", "run"] if on_pullback else []
        command = [sys.executable, *how, str(script)]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(found[-2]), float(found[-1])


def _against_sparsejac() -> list[str]:
    if importlib.util.find_spec("sparsejac") is None or importlib.util.find_spec("jax") is None:
        return ["sparsejac was not there to be measured."]
    rows = [
        "Against sparsejac 0.2.0, which is given the pattern, all under jit, result as BCOO,"
        " three diagonals. Set-up of Pullback finds the pattern too.",
        "",
        "| n | | set-up | each result |",
        "|---|---|---|---|",
    ]
    for n, calls in (BANDED, 200), (LARGE, 5):
        x = jnp.asarray(point(n))
        jacobian = sparse.jacobian(lambda x: broyden(x), format="bcoo")
        setup = _once(lambda jacobian=jacobian, x=x: jacobian.plan(x))
        inside = pullback.jit(jacobian)
        each = _seconds(pullback=lambda inside=inside, x=x: inside(x))["pullback"]
        rows.append(f"| {n:,} | Pullback | {_show(setup)} | **{_show(each)}** |")
        for name, alias in ("sparsejac on JAX", False), ("sparsejac on Pullback", True):
            setup, each = _run_script(n, calls, alias)
            rows.append(f"| {n:,} | {name} | {_show(setup)} | {_show(each)} |")
    return rows


if __name__ == "__main__":
    print(section())
