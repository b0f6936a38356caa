"""Random programs of loops and branches around arrays that change, with results that are exact.

    python tests/native/fuzz_control.py --count 5000     many programs, in processes of their own
    python tests/native/fuzz_control.py --seed 1234      one program: shown, and made small

All numbers stay small integers, whatever their dtype, so that the native engine's results are
NumPy's to the last bit.
"""

from __future__ import annotations

import argparse
import collections
import random
import subprocess
import sys
import traceback
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from fuzz import minimised, run_kernel

import pullback
import pullback.numpy as jnp
from pullback import lax
from pullback import random as keys
from pullback.core.settings import enable_x64
from pullback.engines import numpy as numpy_engine
from pullback.engines.native.program import Unsupported, compile_program

DTYPES = ["f4", "f4", "f8", "i4", "i4", "i8", "u1", "c8", "f2", "bfloat16", "?"]
SHAPES = [(), (1,), (3,), (5,), (32,), (33,), (37,), (40,), (64,), (7, 7), (6, 6), (1, 33)]
SHAPES += [(33, 1), (3, 11), (4, 9), (2, 3, 7), (0,), (4, 0), (1, 1), (5, 8), (70,), (10, 13)]
DEEPEST = 3
"""Loops and branches within each other."""


class Writer:
    """Writes a random function: what it picks depends on the seed and on types alone."""

    def __init__(self, seed: int) -> None:
        self.dice, self.rng = random.Random(seed), np.random.default_rng(seed)
        name = self.dice.choice(DTYPES)
        self.dtype = jnp.bfloat16 if name == "bfloat16" else np.dtype(name)
        self.kind = "f" if name == "bfloat16" else np.dtype(name).kind
        self.narrow = name in ("f2", "bfloat16")
        self.shapes = self.dice.sample(SHAPES, self.dice.choice((1, 2, 2, 3)))

    # ---- values

    def array(self, shape: tuple[int, ...]) -> np.ndarray:
        """Small integers."""
        found = self.rng.integers(0, 2 if self.kind == "b" else 8, shape)
        return np.asarray(found).astype(self.dtype)

    def wrapped(self, x: Any) -> Any:
        """`x` modulo 8."""
        if self.kind == "b":
            return x
        if self.kind in "iu":
            return x & 7
        if self.kind == "c":
            parts = [y - 8 * jnp.floor(y * 0.125) for y in (x.real, x.imag)]
            return lax.complex(*parts)
        return (x - 8 * jnp.floor(x * 0.125)).astype(self.dtype)

    def index(self, values: list[Any]) -> Any:
        """A whole number, known now or when the program runs."""
        if self.dice.random() < 0.3 or not values:
            return self.dice.randint(0, 5)
        x = self.dice.choice(values)
        if x.size == 0:
            return 0
        one = x.reshape(-1)[self.dice.randrange(x.size)]
        one = one.real if self.kind == "c" else one
        return one.astype(np.int32) + self.dice.randint(-1, 3)

    def like(self, shape: tuple[int, ...], values: list[Any]) -> Any:
        """A value of this shape: there already, a constant, or made of another one."""
        fits = [v for v in values if v.shape == shape]
        if fits and self.dice.random() < 0.8:
            return self.dice.choice(fits[-3:] if self.dice.random() < 0.5 else fits)
        what = self.dice.random()
        if what < 0.3:
            return jnp.asarray(self.array(shape))
        if what < 0.5 or not values:
            return jnp.full(shape, self.array(())[()], self.dtype)
        return self.fitted(self.dice.choice(values), shape)

    def fitted(self, x: Any, shape: tuple[int, ...]) -> Any:
        """The first elements of `x`, as often as needed, in another shape."""
        n, flat = prod(shape), x.reshape(-1)
        if x.size == 0:
            return jnp.zeros(shape, self.dtype)
        if x.size == n:
            return flat.reshape(shape)
        if x.size > n:
            start = self.dice.choice((0, x.size - n))
            return flat[start : start + n].reshape(shape)
        return jnp.broadcast_to(flat[self.dice.randrange(x.size)], shape)

    # ---- steps

    def step(self, values: list[Any], depth: int) -> Any:
        """A new value, or several."""
        x = self.dice.choice(values)
        what = self.dice.random()
        if depth < DEEPEST and what < 0.3:
            return self.dice.choice([self.scan, self.scan, self.loop, self.branch, self.fori])(
                values, depth
            )
        if what < 0.55:
            return self.changed(x, values)
        if what < 0.8:
            return self.moved(x, values)
        return self.computed(x, values)

    def computed(self, x: Any, values: list[Any]) -> Any:
        """Elementwise operations, sums and products."""
        y = self.like(x.shape, values)
        what = self.dice.randrange(8)
        if self.kind == "b":
            return x ^ y if what % 2 else x & ~y
        if what == 0:
            return self.wrapped(x * y)
        if what == 1 and not self.narrow:
            return self.wrapped(jnp.cumsum(x.reshape(-1)).astype(self.dtype)).reshape(x.shape)
        if what == 2 and not self.narrow:
            return self.wrapped(jnp.sum(x, dtype=self.dtype))
        if what == 3 and not self.narrow and x.ndim == 2:
            return self.wrapped(x @ y.T)
        if what == 4 and not self.narrow and x.ndim:
            axis = self.dice.randrange(x.ndim)
            total = jnp.sum(x, axis, dtype=self.dtype, keepdims=True)
            return self.wrapped(x + total)
        if what == 5 and self.kind != "c" and x.ndim:
            return jnp.sort(x, axis=self.dice.randrange(x.ndim))
        if what == 6:
            return jnp.where(x == y, x, self.like(x.shape, values))
        return self.wrapped(x + y)

    def moved(self, x: Any, values: list[Any]) -> Any:
        """The same elements elsewhere."""
        what = self.dice.randrange(10)
        if what == 0:
            return lax.optimization_barrier(x)
        if what == 1:
            return lax.stop_gradient(x)
        if not x.ndim or x.size == 0:
            return jnp.broadcast_to(x, (3, *x.shape)) if x.size else x
        axis = self.dice.randrange(x.ndim)
        if what == 2:
            return lax.rev(x, (axis,))
        if what in (3, 4):
            order = list(range(x.ndim))
            self.dice.shuffle(order)
            return jnp.transpose(x, order)
        if what == 5:
            return x.reshape(-1)
        if what == 6:
            n = self.dice.randint(1, x.shape[axis])
            return lax.dynamic_slice_in_dim(x, self.index(values), n, axis)
        if what == 7:
            at = self.dice.randrange(x.shape[axis])
            return lax.slice_in_dim(x, at, x.shape[axis], self.dice.choice((1, 2)), axis)
        if what == 8:
            return jnp.concatenate([x, lax.rev(x, (axis,))], axis)
        return x[self.index(values)]

    def changed(self, x: Any, values: list[Any]) -> Any:
        """`x` with other elements somewhere."""
        if not x.ndim or x.size == 0:
            return self.computed(x, values)
        what, at = self.dice.randrange(7), self.index(values)
        if what == 0:
            return x.at[at].set(self.like(x.shape[1:], values))
        if what == 1 and self.kind != "b":
            return self.wrapped(x.at[at].add(self.like(x.shape[1:], values)))
        if what == 2:
            sizes = tuple(self.dice.randint(0, n) for n in x.shape)
            starts = [self.index(values) for _ in sizes]
            return lax.dynamic_update_slice(x, self.like(sizes, values), starts)
        if what == 3:
            return x.at[at].set(x[self.index(values)])
        if what == 4:
            places = jnp.stack([jnp.asarray(self.index(values), np.int32) for _ in range(3)])
            new = self.like((3, *x.shape[1:]), values)
            if self.kind == "b" or self.dice.random() < 0.3:
                return x.at[places].set(new)
            return self.wrapped(x.at[places].add(new))
        if what == 5:
            n = self.dice.randint(1, x.shape[0])
            return x.at[:n].set(x[::-1][:n])
        return x.at[..., self.dice.randrange(x.shape[-1])].set(self.like(x.shape[:-1], values))

    # ---- loops and branches

    def block(self, values: list[Any], depth: int, most: int = 4) -> list[Any]:
        """`values`, and what some steps make of them."""
        found = list(values)
        for _ in range(self.dice.randint(1, most)):
            new = self.step(found, depth)
            many = new if isinstance(new, (list, tuple)) else [new]
            found += [v for v in many if v.size <= 300]
        return found

    def views(self, carry: list[Any]) -> list[Any]:
        """What is in the memory of carried arrays, and may be read after they change."""
        found = []
        for x in carry:
            what = self.dice.random()
            if what < 0.3:
                found.append(self.moved(x, carry))
            elif what < 0.4 and x.ndim == 2:
                found.append(x.T)
            elif what < 0.5:
                found.append(lax.optimization_barrier(x))
            elif what < 0.6:
                found.append(lax.while_loop(lambda c: jnp.any(c != c), lambda c: c + c, x))
            elif what < 0.7 and x.ndim == 2 and not self.narrow and self.kind != "b":
                found.append(self.wrapped(x @ x.T))
        return found

    def carries(self, values: list[Any]) -> list[Any]:
        """What goes into a loop: some arrays twice, some constants."""
        count = self.dice.choice((1, 1, 2, 2, 3, 4))
        found = [self.dice.choice(values) for _ in range(count)]
        if self.dice.random() < 0.3:
            found.append(self.like(self.dice.choice(self.shapes), values))
        return found

    def next(self, old: list[Any], inner: list[Any]) -> list[Any]:
        """The next carry: changed, as it was, another one, a constant, something computed."""
        found = []
        for x in old:
            same = [v for v in old if v.shape == x.shape]
            made = [v for v in inner[len(old) :] if v.shape == x.shape]
            what = self.dice.random()
            if what < 0.1:
                found.append(x)
            elif what < 0.25:
                found.append(self.dice.choice(same))
            elif what < 0.3:
                found.append(jnp.asarray(self.array(x.shape)))
            elif what < 0.65:
                new = self.changed(self.changed(x, inner) if what < 0.4 else x, inner)
                found.append(new if new.shape == x.shape else self.fitted(new, x.shape))
            else:
                found.append(self.dice.choice(made or same))
        return [self.wrapped(v) if self.dice.random() < 0.2 else v for v in found]

    def scan(self, values: list[Any], depth: int) -> list[Any]:
        """A scan over rows, or over a count."""
        carry, length = self.carries(values), self.dice.choice((0, 1, 2, 3, 5))
        rows = [jnp.asarray(self.array((length, *self.dice.choice(self.shapes))))]
        rows += [v for v in values if v.ndim and v.shape[0] == length and length]
        rows = rows[: self.dice.randrange(3)]
        counted = np.arange(length, dtype=np.int32)
        seed = self.dice.randrange(1 << 30)

        def body(c: list[Any], given: Any) -> tuple[list[Any], list[Any]]:
            self.dice.seed(seed)
            i, xs = given
            known = [*c, *xs, *values[-2:]] if self.dice.random() < 0.6 else [*c, *xs]
            known.append(i.astype(self.dtype))
            inner = self.block(known, depth + 1) if self.dice.random() < 0.8 else known
            views = self.views([*c])
            inner = [*inner, *views]
            new = self.next([*c], [*c, *inner])
            ys = [self.dice.choice(inner) for _ in range(self.dice.randrange(3))]
            inner += self.views(new) if self.dice.random() < 0.2 else []
            return new, [*ys, *(v for v in views if self.dice.random() < 0.7), *inner[-1:]]

        reverse, unroll = self.dice.random() < 0.3, self.dice.choice((1, 1, 1, 2))
        last, ys = lax.scan(
            body, carry, (counted, rows), length=length, reverse=reverse, unroll=unroll
        )
        self.dice.seed(seed + 1)
        return [*last, *(y for y in ys if y.size <= 300)]

    def fori(self, values: list[Any], depth: int) -> list[Any]:
        """A counted loop, the count known or not."""
        carry = self.carries(values)
        many: Any = self.dice.randint(0, 4)
        if self.dice.random() < 0.5:
            many = jnp.minimum(jnp.asarray(self.index(values), np.int32), 4)
        seed = self.dice.randrange(1 << 30)

        def body(i: Any, c: list[Any]) -> list[Any]:
            self.dice.seed(seed)
            known = [*c, *values[-2:], jnp.asarray(i).astype(self.dtype)]
            inner = self.block(known, depth + 1, 3) + self.views([*c])
            return self.next([*c], [*c, *inner])

        found = lax.fori_loop(0, many, body, carry)
        self.dice.seed(seed + 1)
        return list(found)

    def loop(self, values: list[Any], depth: int) -> list[Any]:
        """A while loop whose condition computes with what it carries."""
        carry = self.carries(values)
        seed, most = self.dice.randrange(1 << 30), self.dice.randint(0, 4)

        def goes_on(state: Any) -> Any:
            i, c = state
            self.dice.seed(seed)
            inner = self.block([*c], DEEPEST, 2)
            x = inner[-1]
            odd = jnp.any(x.reshape(-1) != 3) if x.size else True
            return (i < most) & odd

        def body(state: Any) -> Any:
            i, c = state
            self.dice.seed(seed + 7)
            inner = self.block([*c, *values[-2:]], depth + 1, 3) + self.views([*c])
            return i + 1, self.next([*c], [*c, *inner])

        _, found = lax.while_loop(goes_on, body, (jnp.int32(0), carry))
        self.dice.seed(seed + 1)
        return list(found)

    def branch(self, values: list[Any], depth: int) -> list[Any]:
        """One of several programs, by a number that may be outside."""
        seed, count = self.dice.randrange(1 << 30), self.dice.choice((1, 2, 2, 3))
        operands = self.carries(values)
        wanted = [self.dice.choice([v.shape for v in operands]) for _ in range(3)]
        which = jnp.asarray(self.index(values), np.int32)

        def one(k: int) -> Callable[..., list[Any]]:
            def program(*xs: Any) -> list[Any]:
                self.dice.seed(seed + k)
                inner = [*xs, *values[-1:]]
                if self.dice.random() < 0.8:
                    inner = self.block(inner, depth + 1, 3)
                return [self.like(s, inner) for s in wanted]

            return program

        found = lax.switch(which, [one(k) for k in range(count)], *operands)
        self.dice.seed(seed + 11)
        return list(found)

    # ---- whole programs

    def function(self) -> tuple[Callable[..., Any], list[np.ndarray]]:
        """A function, and arguments for it."""
        args = [self.array(s) for s in self.shapes]
        args += [self.array(self.dice.choice(self.shapes)) for _ in range(self.dice.randrange(2))]
        seed = self.dice.randrange(1 << 30)

        def f(*xs: Any) -> list[Any]:
            self.dice.seed(seed)
            found = self.block([jnp.asarray(x) for x in xs], 0, 6)
            outs = found[-self.dice.randint(1, 6) :]
            if self.dice.random() < 0.2:
                outs += [outs[0], xs[0], jnp.asarray(self.array((40,)))]
            if self.dice.random() < 0.1:
                outs.append(self.of_keys())
            return outs

        return f, args

    def of_keys(self) -> Any:
        """Random bits of keys that a loop carries, large arrays of them as well."""
        n = self.dice.choice((1, 5, 40))
        first = keys.split(keys.key(self.dice.randrange(100)), n)

        def body(k: Any, i: Any) -> Any:
            new = k.at[i].set(keys.fold_in(k[i + 1], i))
            return new, keys.bits(k[0], (3,))

        last, ys = lax.scan(body, first, np.arange(3))
        return keys.key_data(last).sum() + ys.sum()


def random_function(seed: int) -> tuple[Any, list[np.ndarray]]:
    """The program of a seed, and its arguments."""
    f, args = Writer(seed).function()
    return pullback.make_jaxpr(f)(*args), args


def verdict(seed: int) -> tuple[str, str]:
    """("ok" | "unsupported" | "wrong" | "error", the reason)."""
    with enable_x64(), np.errstate(all="ignore"):
        closed, args = random_function(seed)
        wanted = numpy_engine.compiled(closed)(*args)
        try:
            found = run_kernel(compile_program(closed), args)
        except Unsupported as reason:
            return "unsupported", str(reason)
        except Exception as problem:
            last = traceback.extract_tb(problem.__traceback__)[-1]
            return "error", f"{type(problem).__name__} at {last.name}:{last.lineno}: {problem}"
    for k, (got, want) in enumerate(zip(found, wanted, strict=True)):
        if not np.array_equal(got, np.asarray(want)):
            return "wrong", f"output {k}"
    return "ok", ""


def hunt(first: int, count: int, batch: int = 250) -> collections.Counter[str]:
    """The verdicts of `count` seeds, tried in processes of their own; what fails is printed."""
    tally: collections.Counter[str] = collections.Counter()
    start, end = first, first + count
    while start < end:
        n = min(batch, end - start)
        command = [sys.executable, __file__, "--work", str(start), str(n)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = [line.split("\t") for line in done.stdout.splitlines()]
        for seed, status, reason in (line for line in lines if len(line) == 3):
            tally[status] += 1
            if status in ("wrong", "error"):
                print(f"{status.upper()} seed {seed}: {reason[:300]}", flush=True)
        if done.returncode:
            last = int(lines[-1][0]) if lines else start
            tally["crash"] += 1
            print(f"CRASH seed {last}: exit {done.returncode} {done.stderr[-200:]}", flush=True)
            start = last + 1
        else:
            start += n
    return tally


def work(first: int, count: int) -> None:
    """What a process of its own does: each seed is written before it is tried."""
    for seed in range(first, first + count):
        print(seed, end="\t", flush=True)
        status, reason = verdict(seed)
        print(status, " ".join(reason.split()) or "-", sep="\t", flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--work", type=int, nargs=2)
    given = parser.parse_args()
    if given.work:
        work(*given.work)
    elif given.seed is not None:
        with enable_x64():
            closed, args = random_function(given.seed)
            print(closed)
            small, rest, problem = minimised(closed, args)
            print(problem, small, *rest, sep="\n")
    else:
        print(hunt(given.first, given.count))


if __name__ == "__main__":
    main()
