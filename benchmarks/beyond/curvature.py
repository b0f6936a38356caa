"""Curvature: products from one linearization, exact diagonals, estimates with error bars."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

import pullback as pb
import pullback.numpy as pnp
from pullback import curvature

from ..timing import Row, measure

VECTORS = 32
CHAIN = 2000


def network(np_: Any, tanh: Any) -> tuple[Any, Any, Any, Any]:
    """A small network, the sum of squares at its outputs, its weights, and vectors like them."""
    rng = np.random.default_rng(0)
    x = np_.asarray(rng.normal(size=(64, 20)).astype(np.float32))
    w = {
        "a": np_.asarray((rng.normal(size=(20, 50)) / 5).astype(np.float32)),
        "b": np_.asarray((rng.normal(size=(50, 10)) / 7).astype(np.float32)),
    }
    vs = {
        k: np_.asarray(rng.normal(size=(VECTORS, *np.shape(v))).astype(np.float32))
        for k, v in w.items()
    }

    def model(w: Any) -> Any:
        return tanh(tanh(x @ w["a"]) @ w["b"])

    def head(y: Any) -> Any:
        return 0.5 * np_.sum(y**2)

    return model, head, w, vs


def in_jax() -> dict[str, Callable[[], Any]]:
    """The same products as JAX's users write them: a jvp and a vjp for each vector."""
    if importlib.util.find_spec("jax") is None:
        return {}
    import jax

    model, head, w, vs = network(jax.numpy, jax.numpy.tanh)

    def gn(w: Any, v: Any) -> Any:
        y, dy = jax.jvp(model, (w,), (v,))
        ddy = jax.jvp(jax.grad(head), (y,), (dy,))[1]
        return jax.vjp(model, w)[1](ddy)[0]

    def hessian(w: Any, v: Any) -> Any:
        return jax.jvp(jax.grad(lambda w: head(model(w))), (w,), (v,))[1]

    chain = jax.jit(lambda x: jax.numpy.diagonal(jax.hessian(chain_energy(jax.numpy))(x)))
    x = jax.numpy.linspace(0.0, 1.0, CHAIN)
    found = {}
    for name, product in (("gnvp", gn), ("hvp", hessian)):
        one, many = jax.jit(product), jax.jit(jax.vmap(product, (None, 0)))
        first = jax.tree.map(lambda v: v[0], vs)
        found[name] = _call(jax, one, w, first)
        found[f"{name} many"] = _call(jax, many, w, vs)
    found["diagonal"] = _call(jax, chain, x)
    return found


def chain_energy(np_: Any) -> Callable[[Any], Any]:
    """Neighbours in a chain: two colours."""
    return lambda x: np_.sum(np_.sin(x[1:] * x[:-1])) + np_.sum(x**4)


def in_pullback() -> dict[str, Callable[[], Any]]:
    """Operators: what is known at the point is computed once."""
    model, head, w, vs = network(pnp, pnp.tanh)
    makers = {
        "gnvp": curvature.gnvp(model, head),
        "hvp": curvature.hvp(lambda w: head(model(w))),
    }
    first = pb.tree_util.tree_map(lambda v: v[0], vs)
    found = {}
    for name, make in makers.items():
        one = pb.jit(lambda w, v, make=make: make(w)(v))
        many = pb.jit(lambda w, vs, make=make: pb.vmap(make(w))(vs))
        found[name] = _call(pb, one, w, first)
        found[f"{name} many"] = _call(pb, many, w, vs)
    x = pnp.linspace(0.0, 1.0, CHAIN)
    diagonal = pb.jit(curvature.hessian_diagonal(chain_energy(pnp)))
    found["diagonal"] = _call(pb, diagonal, x)
    return found


def _call(system: Any, function: Any, *args: Any) -> Callable[[], Any]:
    return lambda: system.block_until_ready(function(*args))


WORK = {
    "gnvp": "one Gauss-Newton product (a network of 1,500 weights)",
    "gnvp many": f"{VECTORS} Gauss-Newton products at one point",
    "hvp": "one Hessian product",
    "hvp many": f"{VECTORS} Hessian products at one point",
    "diagonal": f"diagonal of the Hessian of a chain of {CHAIN:,}",
}


def section() -> str:
    """The section of benchmarks/beyond.md."""
    ours, theirs = in_pullback(), in_jax()
    lines = [
        "## Curvature",
        "",
        "Under jit, in milliseconds. JAX has no operators; the right column is the usual way to",
        "write each product, and the diagonal of the dense Hessian.",
        "",
        "| work | Pullback | JAX |",
        "|---|---|---|",
    ]
    for key, name in WORK.items():
        contenders = {"pullback": ours[key]} | ({"jax": theirs[key]} if theirs else {})
        result = measure(Row(name, contenders))
        own = f"{result.seconds['pullback'] * 1e3:.3f}"
        other = ""
        if theirs:
            other = f"{result.seconds['jax'] * 1e3:.3f}, **{result.ratio('jax'):.1f}x**"
        lines.append(f"| {name} | {own} | {other} |")
    return "\n".join([*lines, "", *_estimates()])


def _estimates() -> list[str]:
    """The error of each estimate of a trace, true and as it says itself."""
    n, seeds = 200, 300
    rng = np.random.default_rng(0)
    q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    kinds = {
        "eigenvalues 0.9^k": 0.9 ** np.arange(n),
        "eigenvalues 1/k": 1 / np.arange(1, n + 1),
        "flat": 1 + 0.5 * rng.random(n),
    }
    lines = [
        f"Estimates of a trace ({n} rows, 60 products, {seeds} seeds): the root mean square of the",
        "relative error, in brackets the error bar's share of it, and how often two error bars",
        "cover the truth.",
        "",
        "| matrix | Hutchinson | Hutch++ | XTrace |",
        "|---|---|---|---|",
    ]
    with pb.enable_x64(True):
        keys = pb.random.split(pb.random.key(0), seeds)
        for name, values in kinds.items():
            a = pnp.asarray((q * values) @ q.T)
            cells = [_cell(a, keys, m) for m in ("hutchinson", "hutch++", "xtrace")]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _cell(a: Any, keys: Any, method: str) -> str:
    def one(key: Any) -> Any:
        return curvature.trace(lambda v: a @ v, key, 60, a[0], method=method)

    found = pb.jit(pb.vmap(one))(keys)
    off = np.abs(np.asarray(found.value) - np.trace(a))
    said, true = np.asarray(found.error), np.sqrt(np.mean(off**2))
    share = np.sqrt(np.mean(said**2)) / true
    return f"{true / np.trace(a):.1e} ({share:.2f}; {100 * np.mean(off < 2 * said):.0f} %)"
