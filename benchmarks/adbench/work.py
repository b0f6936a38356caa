"""What a problem offers to the benchmark, and how the systems are called.

A problem is a module with

- `SIZES`: name -> the arguments of `make`; `DEFAULT`: the names that are measured unasked;
- `make(...)`: the data as NumPy arrays of float64, from a seed;
- `start(data)`: what is differentiated, as one vector;
- `reference(data, vector)`: the outputs as one vector, by loops; it takes complex numbers too;
- `product(data, jacobian, direction)`: Jacobian times direction, for the Jacobian's layout;
- `in_jax`, `in_torch`, `in_autograd`: the `Work` of one system.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

SYSTEMS = ("pullback", "jax", "torch", "autograd")

TOLERANCE = 1e-9
"""The largest allowed error, relative to the largest output."""


@dataclass
class Work:
    """What is timed: two calls without arguments, each done when it returns."""

    objective: Callable[[], Any]
    jacobian: Callable[[], Any]
    function: Callable[..., Any] | None = None
    """The objective, not compiled, where the system has the API of JAX: for other derivatives."""
    arguments: tuple[Any, ...] = ()
    """What the function is called with."""

    def results(self) -> tuple[np.ndarray, np.ndarray]:
        """The objective as one vector, and the Jacobian in the problem's layout."""
        return flat(self.objective()), packed(self.jacobian())


def flat(results: Any) -> np.ndarray:
    """One array, or a tuple of arrays, as one vector."""
    if isinstance(results, tuple | list):
        return np.concatenate([flat(each) for each in results])
    return np.asarray(results, np.float64).ravel()


def packed(jacobian: Any) -> np.ndarray:
    """A gradient in parts as one vector; a single array as it is."""
    if isinstance(jacobian, tuple | list):
        return flat(jacobian)
    return np.asarray(jacobian, np.float64)


def build(problem: Any, data: Any, system: str) -> Work:
    """The work of one system; it imports the system, and turns on float64 where that is asked.

    Raises:
        ImportError: the system is not installed.
    """
    if system == "pullback":
        import pullback
        import pullback.numpy as pnp

        pullback.config.update("jax_enable_x64", True)
        return problem.in_jax(data, pullback, pnp)
    if system == "jax":
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_enable_x64", True)
        return problem.in_jax(data, jax, jnp)
    if system == "torch":
        import torch

        torch.set_num_threads(len(os.sched_getaffinity(0)))
        return problem.in_torch(data, torch)
    import autograd
    import autograd.numpy as anp

    return problem.in_autograd(data, autograd, anp)


def jitted(jax: Any, objective: Any, jacobian: Any, arguments: tuple[Any, ...]) -> Work:
    """Both functions compiled, and waited for; for a system with JAX's API."""
    compiled = jax.jit(objective), jax.jit(jacobian)
    calls = ((lambda f=f: jax.block_until_ready(f(*arguments))) for f in compiled)
    return Work(*calls, objective, arguments)


def slope(problem: Any, data: Any, direction: np.ndarray) -> np.ndarray:
    """The derivative of the reference along a direction, to rounding.

    By the complex step: f(x + ih) = f(x) + ih f'(x) + O(h^2), and nothing is subtracted (W. Squire
    and G. Trapp, "Using complex variables to estimate derivatives of real functions", 1998).
    """
    step = 1e-30
    return problem.reference(data, problem.start(data) + 1j * step * direction).imag / step


def error(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference, relative to the largest value wanted."""
    if found.shape != wanted.shape or not np.isfinite(found).all():
        return float("inf")
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


@dataclass
class Expected:
    """What the reference says of one problem at one size."""

    objective: np.ndarray
    directions: list[np.ndarray]
    slopes: list[np.ndarray]

    @classmethod
    def of(cls, problem: Any, data: Any, directions: int = 3) -> Expected:
        """The objective, and its slopes along random directions.

        A Jacobian with a wrong entry has, with probability 1, wrong products with these.
        """
        rng = np.random.default_rng(1)
        along = [rng.standard_normal(problem.start(data).shape) for _ in range(directions)]
        values = problem.reference(data, problem.start(data))
        return cls(values, along, [slope(problem, data, each) for each in along])

    def error(self, problem: Any, data: Any, results: tuple[np.ndarray, np.ndarray]) -> float:
        """The largest error of a system's results."""
        objective, jacobian = results
        products = [problem.product(data, jacobian, each) for each in self.directions]
        errors = [error(found, wanted) for found, wanted in zip(products, self.slopes)]
        return max([error(objective, self.objective), *errors])
