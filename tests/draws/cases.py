"""CASES: calls of random functions, in both layouts of counters and with and without x64."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np

BF16 = np.dtype(ml_dtypes.bfloat16)
MEAN, COV = np.float32([1, 2]), np.float32([[2, 0.5], [0.5, 1]])
P4 = np.float32([0.1, 0.2, 0.3, 0.4])
LOGITS = np.log(np.float32([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1], [0.25] * 4]))
GRID = np.arange(12.0, dtype=np.float32).reshape(3, 4)


@dataclass
class Case:
    """`random.name(key, *args, **params)`."""

    name: str
    args: tuple[Any, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)
    exact: bool = False
    """Whether every bit must agree; else what rounding of logarithms and powers leaves."""
    layouts: tuple[tuple[bool, bool], ...] = ((True, False), (False, False), (True, True))
    """Pairs of jax_threefry_partitionable and jax_enable_x64."""

    def __str__(self) -> str:
        shown = [*map(_short, self.args), *(f"{k}={_short(v)}" for k, v in self.params.items())]
        return f"{self.name}({', '.join(shown)})"


def _short(x: Any) -> str:
    return f"{x.dtype}{list(x.shape)}" if isinstance(x, np.ndarray) else str(x)


def _exact(name: str, *args: Any, **params: Any) -> Case:
    return Case(name, args, params, exact=True)


def _near(name: str, *args: Any, **params: Any) -> Case:
    return Case(name, args, params)


CASES = [
    *(_exact("bits", shape, dtype) for shape in ((), (5,)) for dtype in (None, "uint8", "uint16")),
    _exact("bits", (0, 3)),
    *(_exact("uniform", (5,), dtype) for dtype in (None, "float16", BF16)),
    _exact("uniform", ()),
    _exact("uniform", 3),
    _exact("uniform", (300,), None, 0.1, 0.7),
    _exact("uniform", (3, 4), None, np.float32([-3, 0, 1, 2]), np.float32([[3], [2.5], [9]])),
    _near("normal", (5,)),
    _near("normal", (2, 3), "float16"),
    _near("normal", (5,), BF16),
    _near("normal", (4,), "complex64"),
    _near("truncated_normal", -1.0, 2.0, (5,)),
    _near("truncated_normal", np.float32([0, 1, -9]), np.float32([0.5, 1.5, 9])),
    *(
        _exact("randint", (6,), low, high, dtype)
        for low, high, dtype in (
            (0, 10, None),
            (5, 5, None),
            (7, 3, None),
            (-(2**31), 2**31 - 1, None),
            (-128, 128, "int8"),
            (-500, 1000, "uint8"),
            (3, 40000, "uint16"),
            (0, 2**31 - 1, "uint32"),
            (1.5, 7.9, None),
        )
    ),
    _exact("randint", (2, 3), np.int32([0, 5, 9]), np.int32([[10], [100]])),
    _exact("randint", (2, 3), np.uint8([0, 5, 9]), np.int16([[10], [300]]), "uint8"),
    _exact("bernoulli", 0.3, (6,)),
    _exact("bernoulli", P4),
    _exact("bernoulli", P4, (2, 4), "high"),
    _exact("rademacher", (6,)),
    _exact("rademacher", (6,), "float16"),
    _near("exponential", (5,)),
    _near("gumbel", (5,)),
    _near("gumbel", (5,), None, "high"),
    _near("gumbel", (5,), "float32", "highest"),
    _near("laplace", (5,)),
    _near("logistic", (5,)),
    _near("cauchy", (5,)),
    _exact("permutation", 7),
    _exact("permutation", GRID),
    _exact("permutation", GRID, 1),
    _exact("permutation", GRID, -1, True),
    _exact("choice", 5),
    _exact("choice", GRID, (2, 2), axis=1),
    _exact("choice", GRID, (3,), False, axis=1),
    _exact("choice", 4, (6,), True, P4),
    _exact("choice", GRID, (3,), False, P4, axis=1),
    _exact("choice", GRID, (0,)),
    _exact("categorical", LOGITS),
    _exact("categorical", LOGITS, 0),
    _exact("categorical", LOGITS, shape=(2, 3)),
    _exact("categorical", LOGITS, shape=(2, 3), replace=False),
    _exact("categorical", LOGITS, mode="high"),
    _near("gamma", 2.5, (6,)),
    _near("gamma", np.float32([0.1, 1, 30])),
    _near("loggamma", np.float32([0.001, 1, 30])),
    _near("beta", 0.5, 2.0, (5,)),
    _near("dirichlet", np.float32([0.1, 2, 3]), (2,)),
    _near("chisquare", 3.0, (5,)),
    _near("f", 5.0, 3.0, (5,)),
    _near("t", 3.0, (5,)),
    _near("generalized_normal", 1.5, (5,)),
    _near("ball", 3, 2, (2,)),
    _near("pareto", 2.5, (5,)),
    _near("rayleigh", np.float32(2.5), (5,)),
    _near("weibull_min", 2.5, 1.5, (5,)),
    _near("maxwell", (5,)),
    _near("double_sided_maxwell", 1.0, 2.0, (5,)),
    _near("wald", np.float32(1.5), (5,)),
    _near("triangular", -1.0, 0.5, 2.0, (5,)),
    _near("lognormal", 0.5, (5,)),
    _exact("geometric", 0.3, (6,)),
    _near("multivariate_normal", MEAN, COV),
    _near("multivariate_normal", MEAN, COV, (3,)),
    _exact("poisson", 3.0, (6,)),
    _exact("poisson", np.float32([0, 9, 10, 50, 10000, np.nan])),
    _exact("binomial", 10.0, 0.3, (6,)),
    _exact("binomial", np.float32([5, 100, 1000, np.nan, np.inf]), 0.6),
    _exact("multinomial", np.float32([10, 100]), P4, shape=(2, 4)),
]
