"""`python -m benchmarks.numpy_calls`: what a call of `pullback.numpy` costs beyond NumPy's own.

The 100 functions of the namespace that 21 public libraries use most, on small arrays. Asked is a
median of at most 3 us over NumPy's own call.
"""

from __future__ import annotations

import statistics
import timeit
from pathlib import Path
from typing import Any

import numpy as np

import pullback.numpy as jnp

CALLS = """
asarray(x)  where(b, x, y)  zeros((3,))  array([1.0, 2.0])  arange(5)  concatenate([x, y])
ones((3,))  sum(m)  sqrt(x)  zeros_like(x)  stack([x, y])  broadcast_to(x, (2, 3))  maximum(x, y)
square(x)  abs(x)  expand_dims(x, 0)  mean(m)  eye(3)  ones_like(x)  max(m)  exp(x)  dot(x, y)
clip(x, 0.0, 1.0)  reshape(m, (9,))  einsum('ij,j->i', m, x)  minimum(x, y)  logical_and(b, b)
repeat(x, 2)  shape(x)  full((3,), 2.0)  diag(x)  issubdtype(x.dtype, xp.floating)  isfinite(x)
cos(x)  all(b)  log(x)  sign(x)  squeeze(m)  any(b)  matmul(m, x)  power(x, 2)  sin(x)
moveaxis(m, 0, 1)  pad(x, 1)  split(x, 3)  transpose(m)  result_type(x, y)  isnan(x)  argmax(x)
ndim(x)  swapaxes(m, 0, 1)  tanh(x)  cumsum(x)  min(m)  outer(x, y)  take(x, i)
tensordot(m, x, 1)  tile(x, 2)  argsort(x)  size(x)  roll(x, 1)  argmin(x)  isinf(x)  conj(x)
round(x)  sort(x)  floor(x)  linspace(0.0, 1.0, 5)  append(x, y)  astype(x, xp.int32)  add(x, y)
allclose(x, y)  flip(x)  tril(m)  multiply(x, y)  logical_or(b, b)  logical_not(b)  diff(x)
iscomplexobj(x)  var(m)  take_along_axis(x, i, 0)  equal(x, y)  prod(x)  meshgrid(x, y)  log1p(x)
invert(b)  vstack([x, y])  atleast_1d(x)  logaddexp(x, y)  std(m)  full_like(x, 2.0)
block([x, y])  empty((3,))  arccos(x)  ravel(m)  ceil(x)  isclose(x, y)  diagonal(m)
broadcast_shapes((3,), (2, 3))  identity(3)  reciprocal(x)  expm1(x)  broadcast_arrays(x, m)
count_nonzero(b)
"""


def arguments(namespace: Any) -> dict[str, Any]:
    """The same small arrays for both namespaces."""
    values = {
        "x": np.array([0.5, 0.25, 0.75], np.float32),
        "y": np.array([0.1, 0.9, 0.4], np.float32),
        "m": np.arange(9, dtype=np.float32).reshape(3, 3),
        "b": np.array([True, False, True]),
        "i": np.array([0, 2, 1]),
    }
    made = {n: v if namespace is np else namespace.asarray(v) for n, v in values.items()}
    return {"xp": namespace, **made}


def microseconds(call: str, namespace: Any) -> float:
    """The least time of one call, in microseconds."""
    timer = timeit.Timer(f"f({call.partition('(')[2]}", "f = " + "xp." + call.partition("(")[0],
                         globals=arguments(namespace))  # fmt: skip
    count, _ = timer.autorange()
    count = max(1, count // 10)
    return min(timer.repeat(9, count)) / count * 1e6


def main() -> None:
    """Measure all calls; write benchmarks/numpy_calls.md, and show it."""
    calls = [c for line in CALLS.split("\n") for c in line.split("  ") if c]
    rows = [(microseconds(c, jnp), microseconds(c, np), c) for c in calls]
    rows.sort(key=lambda row: row[1] - row[0])
    more = [ours - numpys for ours, numpys, _ in rows]
    lines = [
        "# Small calls\n\nThe least time of several rounds, in one run, beside NumPy "
        f"{np.__version__}: a median of "
        f"{statistics.median(more):+.2f} us more than NumPy's own over {len(more)} calls; "
        f"{sum(m > 3 for m in more)} cost over 3 us more.\n",
        "| call | Pullback, us | NumPy, us | more |\n|---|---:|---:|---:|",
        *(f"| `{call}` | {x:.2f} | {y:.2f} | {x - y:+.2f} |" for x, y, call in rows),
    ]
    text = "\n".join(lines) + "\n"
    Path(__file__).with_name("numpy_calls.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
