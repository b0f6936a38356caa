"""Forward mode made from reverse mode, and the other way round: what it costs."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

import pullback as pb
import pullback.numpy as pnp

from ..timing import Row, measure

WIDTH, BATCH, LAYERS = 128, 64, 3


def section() -> str:
    """The tables, as Markdown."""
    return "\n\n".join(
        [
            "## Forward mode from reverse mode",
            f"A network of {LAYERS} layers of {WIDTH} units for {BATCH} inputs, whose layers are "
            "`custom_vjp` functions: forward mode refuses them. `forward_from_reverse` of it, and "
            "the forward mode of the same network without rules (under `jit`, float32).",
            forward_table(),
            "The gradient of a function of n numbers that has forward mode only, a `while_loop` "
            "under `jit`, by `reverse_from_forward`, beside the one product of its "
            "forward mode.",
            reverse_table(),
        ]
    )


# ---- forward from reverse


def network(lib: Any, np_: Any, ruled: bool) -> Callable[..., Any]:
    """The network; with rules that forward mode cannot use, if `ruled`."""

    def plain(x: Any, w: Any) -> Any:
        return np_.tanh(x @ w)

    layer: Any = plain
    if ruled:
        layer = lib.custom_vjp(plain)

        def fwd(x: Any, w: Any) -> Any:
            y = plain(x, w)
            return y, (x, w, y)

        def bwd(kept: Any, ct: Any) -> Any:
            x, w, y = kept
            inner = (1 - y * y) * ct
            return inner @ w.T, x.T @ inner

        layer.defvjp(fwd, bwd)

    def run(x: Any, ws: Any) -> Any:
        for w in ws:
            x = layer(x, w)
        return x

    return run


def double_vjp(lib: Any, np_: Any, f: Any) -> Callable[..., Any]:
    """The construction by hand, as it is written in JAX."""

    def pushed(primals: Any, tangents: Any) -> Any:
        y, pull = lib.vjp(f, *primals)
        _, back = lib.vjp(pull, np_.zeros_like(y))
        return y, back(tangents)[0]

    return pushed


def forward_table() -> str:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, WIDTH)).astype(np.float32)
    ws = [
        (rng.normal(size=(WIDTH, WIDTH)) / np.sqrt(WIDTH)).astype(np.float32) for _ in range(LAYERS)
    ]
    primals, tangents = (x, ws), (x[::-1].copy(), [w.T.copy() for w in ws])
    plain = network(pb, pnp, ruled=False)
    made = pb.forward_from_reverse(network(pb, pnp, ruled=True))
    contenders = {
        "forward mode": _called(pb.jit(lambda p, t: pb.jvp(plain, p, t)), primals, tangents),
        "made": _called(pb.jit(lambda p, t: pb.jvp(made, p, t)), primals, tangents),
    }
    if importlib.util.find_spec("jax"):
        import jax

        theirs = double_vjp(jax, jax.numpy, network(jax, jax.numpy, ruled=True))
        contenders["jax"] = _called(jax.jit(theirs), primals, tangents)
    want = contenders["forward mode"]()
    for call in contenders.values():
        for a, b in zip(call(), want, strict=True):
            np.testing.assert_allclose(a, b, 2e-3, 2e-4)
    seconds = measure(Row("", contenders)).seconds
    ratio = seconds["made"] / seconds["forward mode"]
    return "\n".join(
        [
            "| jvp | time |",
            "|---|---|",
            f"| forward mode, no rules | {seconds['forward mode'] * 1e3:.3f} ms |",
            f"| `forward_from_reverse` | {seconds['made'] * 1e3:.3f} ms, {ratio:.2f}x |",
            *(
                [f"| JAX, two `vjp` by hand | {seconds['jax'] * 1e3:.3f} ms |"]
                if "jax" in seconds
                else []
            ),
        ]
    )


def _called(run: Any, *args: Any) -> Callable[[], Any]:
    return lambda: [np.asarray(y) for y in run(*args)]


# ---- reverse from forward


def grown(x: Any) -> Any:
    """A loop that ends when its data say so: JAX has no reverse mode for it."""

    def goes_on(state: Any) -> Any:
        return pnp.sum(state) < 5.0 * x.size

    return pnp.sum(pb.lax.while_loop(goes_on, lambda s: s * (1 + 0.01 * x**2 / x.size), x) ** 2)


def reverse_table() -> str:
    lines = [
        "| n | one product | gradient, all at once | gradient, one by one |",
        "|---|---|---|---|",
    ]
    for n in (1, 8, 32, 128):
        x = (1.0 + np.arange(n) / n).astype(np.float32)
        at_once = pb.jit(pb.grad(pb.reverse_from_forward(grown)))
        slowly = pb.jit(pb.grad(pb.reverse_from_forward(grown, one_by_one=True)))
        one = pb.jit(lambda x: pb.jvp(grown, (x,), (x,)))
        calls = {"one": one, "at once": at_once, "slowly": slowly}
        runs = {name: (lambda f=f, x=x: np.asarray(f(x)[0])) for name, f in calls.items()}
        seconds = measure(Row("", runs)).seconds
        times = " | ".join(f"{seconds[name] * 1e6:.1f} us" for name in calls)
        lines.append(f"| {n} | {times} |")
    return "\n".join(lines)
