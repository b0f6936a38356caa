"""The programs that both engines are measured on, by family and size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pullback as pb
import pullback.numpy as jnp
from pullback import lax

from .xla_programs import LargePrograms

Program = tuple[Any, tuple[Any, ...]]
Make = Callable[[], Program]


def _programs() -> LargePrograms:
    return LargePrograms(pb, jnp)


def array(*shape: int, scale: float = 1.0) -> Any:
    """Random numbers of this shape."""
    return _programs().array(*shape, scale=scale)


def _places(n: int, among: int) -> Any:
    """So many random indices."""
    return (array(n) * 1e9).astype(int) % among


def elementwise() -> dict[str, Make]:
    """Loops over elements."""
    made: dict[str, Make] = {}
    for n in (10_000, 100_000, 1_000_000, 10_000_000):
        made[f"x * y + x, {n:.0e}"] = lambda n=n: (lambda x, y: x * y + x, (array(n), array(n)))
        made[f"20 + and *, {n:.0e}"] = lambda n=n: _programs().arithmetic_chain(n)
        made[f"exp, log1p, sqrt, sin, {n:.0e}"] = lambda n=n: _programs().exp_chain(n)
    return made


def products() -> dict[str, Make]:
    """Products of matrices."""
    made: dict[str, Make] = {}
    for n in (64, 256, 512, 1024, 2048):
        made[f"matmul {n}"] = lambda n=n: _programs().matmul(n)
    for b, n in ((64, 32), (64, 128), (16, 256)):
        made[f"{b} products {n}"] = lambda b=b, n=n: (jnp.matmul, (array(b, n, n), array(b, n, n)))
    made["matrix times vector 2048"] = lambda: (jnp.matmul, (array(2048, 2048), array(2048)))
    made["matmul 512, float64"] = _wide_product
    return made


def _wide_product() -> Program:
    with pb.enable_x64():
        a = array(512, 512).astype("float64")
    return jnp.matmul, (a, a)


def mlps() -> dict[str, Make]:
    """Steps of gradient descent of networks of full layers."""

    def step(batch: int, *sizes: int) -> Program:
        p = _programs()

        def run(layers: Any, x: Any, labels: Any) -> Any:
            slopes = pb.grad(p._cross_entropy)(layers, x, labels)
            return pb.tree.map(lambda w, g: w - 0.1 * g, layers, slopes)

        return run, p._mlp(batch, *sizes)

    cases = [(32, 64, 128, 10), (256, 784, 512, 512, 10), (1024, 784, 1024, 1024, 10)]
    return {f"MLP step, batch {c[0]}, {c[1:]}": lambda c=c: step(*c) for c in cases}


def rows() -> dict[str, Make]:
    """Sums and softmax along axes."""
    made: dict[str, Make] = {}
    for n in (128, 512, 1024, 2048):
        for axis, word in ((1, "rows"), (0, "columns")):
            made[f"softmax of {word}, {n}"] = lambda n=n, a=axis: (
                lambda x: pb.nn.softmax(x, axis=a),
                (array(n, n),),
            )
    for n in (512, 2048):
        for axis in (0, 1, None):
            made[f"sum {axis}, {n}"] = lambda n=n, a=axis: (
                lambda x: jnp.sum(x, axis=a),
                (array(n, n),),
            )
        made[f"gradient of log_softmax, {n}"] = lambda n=n: (
            pb.grad(lambda x: (pb.nn.log_softmax(x) ** 2).mean()),
            (array(n, n),),
        )
        made[f"variance, {n}"] = lambda n=n: (lambda x: jnp.var(x, axis=-1), (array(n, n),))
    return made


def convolutions() -> dict[str, Make]:
    """Convolutions of images, and their gradients."""
    made: dict[str, Make] = {}
    cases = [
        (1, 3, 32, 16, 3),
        (1, 16, 28, 32, 3),
        (8, 1, 28, 16, 5),
        (8, 8, 14, 8, 3),
        (32, 1, 28, 16, 5),
        (32, 16, 14, 32, 5),
        (8, 64, 28, 64, 3),
        (8, 256, 14, 256, 1),
        (16, 64, 56, 64, 3),
    ]
    for n, c, size, out, k in cases:

        def args(n: int = n, c: int = c, size: int = size, out: int = out, k: int = k) -> Any:
            return array(n, c, size, size), array(out, c, k, k, scale=0.1)

        def forward(x: Any, w: Any) -> Any:
            return lax.conv_general_dilated(x, w, (1, 1), "SAME")

        def loss(x: Any, w: Any) -> Any:
            return (forward(x, w) ** 2).sum()

        word = f"{n} x {c} x {size}² to {out}, {k} x {k}"
        made[f"convolution {word}"] = lambda a=args, f=forward: (f, a())
        made[f"its gradient {word}"] = lambda a=args, f=loss: (pb.grad(f, (0, 1)), a())
    made["by channel, 8 x 64 x 28², 3 x 3"] = lambda: (
        lambda x, w: lax.conv_general_dilated(x, w, (1, 1), "SAME", feature_group_count=64),
        (array(8, 64, 28, 28), array(64, 1, 3, 3)),
    )
    made["1-D, 16 x 32 x 1000, 9"] = lambda: (
        lambda x, w: lax.conv_general_dilated(x, w, (1,), "SAME"),
        (array(16, 32, 1000), array(32, 32, 9)),
    )
    made["NHWC, 8 x 28² x 64, 3 x 3"] = lambda: (
        lambda x, w: lax.conv_general_dilated(
            x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        ),
        (array(8, 28, 28, 64), array(3, 3, 64, 64)),
    )
    made["gradient of 2 convolutions and pooling, 32 x 28²"] = lambda: (
        _programs().convolution_gradient()
    )
    return made


def pooling() -> dict[str, Make]:
    """Maxima and means of windows."""
    made: dict[str, Make] = {}
    for n, c, size in ((8, 16, 28), (32, 32, 28), (32, 64, 56)):

        def most(x: Any) -> Any:
            return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

        def mean(x: Any) -> Any:
            return lax.reduce_window(x, 0.0, lax.add, (1, 1, 3, 3), (1, 1, 1, 1), "SAME") / 9

        for word, f in (("max", most), ("mean", mean)):
            name = f"{word} of windows, {n} x {c} x {size}²"
            made[name] = lambda f=f, s=(n, c, size, size): (f, (array(*s),))
            made[f"gradient of {name}"] = lambda f=f, s=(n, c, size, size): (
                pb.grad(lambda x: (f(x) ** 2).sum()),
                (array(*s),),
            )
    return made


def attention() -> dict[str, Make]:
    """Attention, its gradient, and training steps of transformers."""
    made: dict[str, Make] = {}
    for shape in ((1, 4, 32, 16), (2, 4, 64, 32), (8, 8, 128, 32), (4, 8, 512, 64)):

        def gradient(shape: Any = shape) -> Program:
            p = _programs()
            parts = tuple(p.array(*shape) for _ in range(3))
            f = pb.grad(lambda *q: jnp.mean(p._attention(*q) ** 2), argnums=(0, 1, 2))
            return f, parts

        word = " x ".join(map(str, shape))
        made[f"attention {word}"] = lambda s=shape: (
            _programs()._attention,
            tuple(array(*s) for _ in range(3)),
        )
        made[f"its gradient {word}"] = gradient
    made["step of a transformer, 6 layers"] = lambda: _programs().transformer_step()
    return made


def matrices() -> dict[str, Make]:
    """Linear algebra and its gradients."""
    made: dict[str, Make] = {}

    def definite(n: int) -> Any:
        m = array(n, n)
        return m @ m.T + n * jnp.eye(n)

    def factor(a: Any) -> Any:
        return jnp.sum(jnp.log(jnp.diagonal(jnp.linalg.cholesky(a))))

    for n in (32, 128, 256, 512):
        made[f"cholesky {n}"] = lambda n=n: (jnp.linalg.cholesky, (definite(n),))
        made[f"gradient of cholesky {n}"] = lambda n=n: (pb.grad(factor), (definite(n),))
        made[f"gradient of solve {n}"] = lambda n=n: (
            pb.grad(lambda a, b: jnp.sum(jnp.linalg.solve(a, b) ** 2), (0, 1)),
            (definite(n), array(n, 8)),
        )
        made[f"gradient of eigh {n}"] = lambda n=n: (
            pb.grad(lambda a: jnp.sum(jnp.linalg.eigh(a)[0] ** 2)),
            (definite(n),),
        )
    made["svd 128"] = lambda: (
        lambda a: jnp.linalg.svd(a, full_matrices=False)[1],
        (array(128, 128),),
    )
    made["inverse 256"] = lambda: (jnp.linalg.inv, (definite(256),))
    made["1000 solves of 8"] = lambda: (
        pb.vmap(jnp.linalg.solve),
        (array(1000, 8, 8) + 8 * jnp.eye(8), array(1000, 8)),
    )
    made["1000 factors of 8"] = lambda: (
        pb.vmap(lambda a: jnp.linalg.cholesky(a @ a.T + jnp.eye(8))),
        (array(1000, 8, 8),),
    )
    return made


def moving() -> dict[str, Make]:
    """Gather, scatter, sort, cumulative sums, transposition, random numbers."""
    made: dict[str, Make] = {}
    for n in (10_000, 1_000_000):
        numbers, index = (lambda n=n: array(n)), (lambda n=n: _places(n, n))
        made[f"x[i], {n:.0e}"] = lambda x=numbers, i=index: (lambda a, b: a[b], (x(), i()))
        made[f"x.at[i].add(x), {n:.0e}"] = lambda x=numbers, i=index: (
            lambda a, b: a.at[b].add(a),
            (x(), i()),
        )
        made[f"sort {n:.0e}"] = lambda x=numbers: (jnp.sort, (x(),))
        made[f"argsort {n:.0e}"] = lambda x=numbers: (jnp.argsort, (x(),))
        made[f"cumsum {n:.0e}"] = lambda x=numbers: (jnp.cumsum, (x(),))
        made[f"normal {n:.0e}"] = lambda n=n: (
            lambda k: pb.random.normal(k, (n,)),
            (pb.random.key(0),),
        )
    made["rows of a table, 1e4 of 256"] = lambda: (
        lambda t, i: t[i],
        (array(5000, 256), _places(10_000, 5000)),
    )
    made["its gradient"] = lambda: (
        pb.grad(lambda t, i: (t[i] ** 2).sum()),
        (array(5000, 256), _places(10_000, 5000)),
    )
    made["x[i, j], 1e6"] = lambda: (
        lambda x, i: x[i % 1000, i // 1000],
        (array(1000, 1000), _places(1_000_000, 1_000_000)),
    )
    for n in (512, 2048):
        made[f"a picture of {n} x {n} at other places"] = lambda n=n: (
            lambda x, c: pb.scipy.ndimage.map_coordinates(x, [c[0], c[1]], 1),
            (array(n, n), abs(array(2, n, n)) * n / 4),
        )
    made["sums of 1e6 in 1000 segments"] = lambda: (
        lambda x, i: pb.ops.segment_sum(x, i, 1000),
        (array(1_000_000), _places(1_000_000, 1000)),
    )
    for axis in (0, 1):
        made[f"cumsum along {axis}, 1000 x 1000"] = lambda a=axis: (
            lambda x: jnp.cumsum(x, axis=a),
            (array(1000, 1000),),
        )
        made[f"sort along {axis}, 1000 x 1000"] = lambda a=axis: (
            lambda x: jnp.sort(x, axis=a),
            (array(1000, 1000),),
        )
    made["transposition 2048"] = lambda: (lambda x: x.T + 1, (array(2048, 2048),))
    made["transposition 32 x 64 x 32 x 64"] = lambda: (
        lambda x: x.transpose(0, 2, 1, 3) + 1,
        (array(32, 64, 32, 64),),
    )
    made["concatenation, 8 x 1e6"] = lambda: (
        lambda *x: jnp.concatenate(x),
        tuple(array(1_000_000) for _ in range(8)),
    )
    made["top 10 of 1000 x 1000"] = lambda: (lambda x: lax.top_k(x, 10)[0], (array(1000, 1000),))
    return made


def fourier() -> dict[str, Make]:
    """Fourier transforms."""

    def smoothing(n: int, steps: int) -> Program:
        k = jnp.fft.fftfreq(n)
        factor = jnp.exp(-(k[:, None] ** 2 + k[None] ** 2))
        return lambda x: lax.fori_loop(
            0, steps, lambda i, u: jnp.fft.ifft2(jnp.fft.fft2(u) * factor).real, x
        ), (array(n, n),)

    made: dict[str, Make] = {}
    for n in (10_000, 1_000_000):
        made[f"fft {n:.0e}"] = lambda n=n: (jnp.fft.fft, (array(n) + 0j,))
    for shape in ((100, 128), (1000, 1024)):
        for axis in (0, 1):
            made[f"fft of {shape[0]} x {shape[1]} along {axis}"] = lambda s=shape, a=axis: (
                lambda x: jnp.fft.fft(x, axis=a),
                (array(*s) + 0j,),
            )
    for n in (128, 512, 1024):
        made[f"fft2 of {n} x {n}"] = lambda n=n: (jnp.fft.fft2, (array(n, n) + 0j,))
        made[f"rfft2 of {n} x {n}"] = lambda n=n: (jnp.fft.rfft2, (array(n, n),))
        made[f"filter of {n} x {n}"] = lambda n=n: (
            lambda x, k: jnp.fft.irfft2(jnp.fft.rfft2(x) * jnp.fft.rfft2(k)),
            (array(n, n), array(n, n)),
        )
    made["fftn of 64 x 64 x 64"] = lambda: (jnp.fft.fftn, (array(64, 64, 64) + 0j,))
    made["100 steps of smoothing, 128 x 128"] = lambda: smoothing(128, 100)
    made["20 steps of smoothing, 512 x 512"] = lambda: smoothing(512, 20)
    return made


def functions() -> dict[str, Make]:
    """Special functions."""
    special = pb.scipy.special
    names = ["gammaln", "digamma", "erfc", "i0e", "i1e"]
    given: dict[str, Any] = {n: getattr(special, n) for n in names}
    given["polygamma(1, .)"] = lambda x: special.polygamma(1, x)
    given["zeta(. + 2, 1)"] = lambda x: special.zeta(x + 2, 1.0)
    given["gammainc(2, .)"] = lambda x: special.gammainc(2.0, x)
    given["atan2"] = lambda x: jnp.arctan2(x, x + 1)
    return {
        f"{name}, {n:.0e}": lambda f=f, n=n: (f, (abs(jnp.tanh(array(n))) + 1e-3,))
        for n in (10_000, 1_000_000)
        for name, f in given.items()
    }


def loops() -> dict[str, Make]:
    """Loops with bodies of several sizes."""

    def recurrent(n: int, batch: int, back: bool) -> Program:
        def run(w: Any, xs: Any) -> Any:
            def step(h: Any, x: Any) -> Any:
                h = jnp.tanh(h @ w + x)
                return h, h

            return (lax.scan(step, jnp.zeros((batch, n)), xs)[1] ** 2).mean()

        return (pb.grad(run) if back else run), (array(n, n, scale=n**-0.5), array(100, batch, n))

    made: dict[str, Make] = {
        "scan of 1000 Runge-Kutta steps": lambda: _programs().rk4_scan(),
        "its gradient": lambda: _programs().rk4_gradient(),
        "scan of an RNN of 16": lambda: _programs().rnn_scan(),
        "its gradient, RNN": lambda: _programs().rnn_gradient(),
        "`while_loop`, 64 roots": lambda: _programs().newton(),
    }
    for n, batch in ((64, 16), (256, 64), (512, 128)):
        for back in (False, True):
            word = "gradient of an RNN" if back else "RNN"
            made[f"{word} of {n}, batch {batch}, 100 steps"] = lambda n=n, b=batch, k=back: (
                recurrent(n, b, k)
            )
    made["1000 steps of heat on 256 x 256"] = lambda: (
        lambda x: lax.fori_loop(
            0,
            1000,
            lambda i, u: u + 0.1 * (jnp.roll(u, 1, 0) + jnp.roll(u, -1, 0) - 2 * u),
            x,
        ),
        (array(256, 256),),
    )
    made["vmapped gradients, 1000"] = lambda: (
        pb.vmap(pb.grad(lambda w, x: jnp.tanh(w @ x).sum()), (None, 0)),
        (array(32, 16), array(1000, 16)),
    )
    return made


FAMILIES: dict[str, dict[str, Make]] = {
    "Elementwise": elementwise(),
    "Products": products(),
    "MLP": mlps(),
    "Rows": rows(),
    "Convolutions": convolutions(),
    "Pooling": pooling(),
    "Attention": attention(),
    "Matrices": matrices(),
    "Moving": moving(),
    "Fourier": fourier(),
    "Functions": functions(),
    "Loops": loops(),
}

__all__ = ["FAMILIES", "Program"]
