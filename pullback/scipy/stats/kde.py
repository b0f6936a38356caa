"""A density estimated from a sample, by a normal distribution around each of its points."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import numpy as jnp
from ... import random
from ...core import dtypes
from ...core.array import Array
from ...core.errors import error
from ...core.trace import type_of
from ...numpy.promotion import as_array, promote_inexact
from ...tree_util import register_pytree_node_class
from .. import linalg
from ..special import logsumexp, ndtr

_FIELDS = ("neff", "dataset", "weights", "covariance", "inv_cov")


@register_pytree_node_class
class gaussian_kde:
    """The density of a sample, smoothed by normal distributions.

    Args:
      dataset: the sample, of shape ``(d, n)``, or ``(n,)`` of numbers.
      bw_method: how wide the normal distributions are, beside the sample's own covariance:
        "scott" (the default), "silverman", a factor, or a function of this object that gives one.
      weights: a vector of `n` weights, all alike if None.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.scipy.stats import gaussian_kde
      >>> density = gaussian_kde(jnp.array([0., 1., 2.]))
      >>> print(density(1.0))
      [0.3181562]
    """

    __slots__ = _FIELDS
    neff: Any
    dataset: Any
    weights: Any
    covariance: Any
    inv_cov: Any

    def __init__(
        self,
        dataset: Any,
        bw_method: str | float | Array | Callable[[Any], Any] | None = None,
        weights: Any = None,
    ) -> None:
        sample = jnp.atleast_2d(_real("gaussian_kde", as_array(dataset, "gaussian_kde")))
        if sample.size <= 1:
            raise error(
                ValueError,
                "`dataset` input should have multiple elements.",
                got=type_of(sample).str_short(),
                fix="give at least two numbers.",
            )
        d, n = sample.shape
        if weights is None:
            (sample,) = promote_inexact("gaussian_kde", sample)
            shares = jnp.full(n, 1.0 / n, dtype=sample.dtype)
        else:
            sample, shares = promote_inexact("gaussian_kde", sample, weights)
            shares = jnp.atleast_1d(shares)
            if shares.shape != (n,):
                raise error(
                    ValueError,
                    "`weights` input should be one-dimensional."
                    if shares.ndim != 1
                    else "`weights` input should be of length n.",
                    got=f"weights.shape={shares.shape}, n={n}",
                    fix="give one weight for each point of the sample.",
                )
            shares = shares / jnp.sum(shares)
        self._set(neff=1 / jnp.sum(shares * shares), dataset=sample, weights=shares)
        factor = self._factor(bw_method, d)
        covariance = jnp.atleast_2d(jnp.cov(sample, rowvar=True, bias=False, aweights=shares))
        inverse = jnp.linalg.inv(covariance)
        self._set(covariance=covariance * factor**2, inv_cov=inverse / factor**2)

    def _factor(self, method: Any, d: int) -> Any:
        if method is None or (isinstance(method, str) and method == "scott"):
            return self.neff ** (-1.0 / (d + 4))
        if isinstance(method, str) and method == "silverman":
            return (self.neff * (d + 2) / 4.0) ** (-1.0 / (d + 4))
        if callable(method):
            return method(self)
        if not isinstance(method, str) and np.ndim(method) == 0:
            return method
        raise error(
            ValueError,
            "`bw_method` should be 'scott', 'silverman', a scalar, or a callable.",
            got=f"bw_method={method!r}",
            fix="use one of these.",
        )

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise error(
            AttributeError,
            f"cannot assign to field {name!r}: a gaussian_kde does not change.",
            got=f"kde.{name} = ...",
            fix="make a new one.",
        )

    def tree_flatten(self) -> tuple[tuple[Any, ...], None]:
        """The arrays that it holds."""
        return tuple(getattr(self, name) for name in _FIELDS), None

    @classmethod
    def tree_unflatten(cls, aux_data: None, children: Any) -> gaussian_kde:
        """One that holds these arrays."""
        made = cls.__new__(cls)
        made._set(**dict(zip(_FIELDS, children)))
        return made

    @property
    def d(self) -> int:
        """How many numbers a point has."""
        return int(self.dataset.shape[0])

    @property
    def n(self) -> int:
        """How many points the sample has."""
        return int(self.dataset.shape[1])

    def evaluate(self, points: Any) -> Array:
        """The density at `points`, of shape ``(d, m)``, or ``(m,)`` if d is 1: `m` numbers."""
        logs, shares = self._logs(points)
        return jnp.sum(shares * jnp.exp(logs), axis=-1)

    def __call__(self, points: Any) -> Array:
        return self.evaluate(points)

    def pdf(self, x: Any) -> Array:
        """The density: see `evaluate`."""
        return self.evaluate(x)

    def logpdf(self, x: Any) -> Array:
        """The logarithm of the density, right also where that is 0."""
        logs, shares = self._logs(x)
        return logsumexp(logs, axis=-1, b=shares)

    def _logs(self, points: Any) -> tuple[Any, Any]:
        """The logarithm of the density around each of the sample, at each point, and the shares."""
        x = self._points(points)
        sample, shares, x, precision = promote_inexact(
            "gaussian_kde", self.dataset, self.weights, x, self.inv_cov
        )
        root = linalg.cholesky(precision, lower=True)
        off = jnp.dot(x.T, root)[:, None, :] - jnp.dot(sample.T, root)[None]
        constant = jnp.sum(jnp.log(jnp.diag(root))) - 0.5 * self.d * math.log(2 * math.pi)
        return constant - 0.5 * jnp.sum(off * off, axis=-1), shares

    def _points(self, points: Any) -> Any:
        x = jnp.atleast_2d(_real("points", as_array(points, "gaussian_kde")))
        d, m = x.shape
        if d == self.d:
            return x
        if d == 1 and m == self.d:
            return x.reshape(self.d, 1)
        raise error(
            ValueError,
            f"points have dimension {d}, dataset has dimension {self.d}.",
            got=type_of(x).str_short(),
            fix=f"give an array of shape ({self.d}, m).",
        )

    def integrate_gaussian(self, mean: Any, cov: Any) -> Array:
        """The integral of the density times that of a normal distribution."""
        center = jnp.atleast_1d(jnp.squeeze(as_array(mean, "integrate_gaussian")))
        spread = jnp.atleast_2d(as_array(cov, "integrate_gaussian"))
        if center.shape != (self.d,) or spread.shape != (self.d, self.d):
            which = "mean" if center.shape != (self.d,) else "covariance"
            raise error(
                ValueError,
                f"{which} does not have dimension {self.d}.",
                got=f"mean.shape={center.shape}, cov.shape={spread.shape}",
                fix="give those of as many numbers as a point has.",
            )
        return jnp.sum(self._overlaps(self.covariance + spread, center[:, None])[0] * self.weights)

    def integrate_kde(self, other: gaussian_kde) -> Array:
        """The integral of the product of both densities."""
        if other.d != self.d:
            raise error(
                ValueError,
                "KDEs are not the same dimensionality.",
                got=f"{self.d} and {other.d}",
                fix="both must be of points of as many numbers.",
            )
        overlaps = self._overlaps(self.covariance + other.covariance, other.dataset)
        return jnp.sum(other.weights[:, None] * overlaps * self.weights)

    def _overlaps(self, covariance: Any, centers: Any) -> Any:
        """The normal density of `covariance` around each column of `centers`, at each point."""
        root = linalg.cholesky(covariance, lower=True)
        off = self.dataset[:, None, :] - centers[:, :, None]
        y = linalg.solve_triangular(root, off.reshape(self.d, -1), lower=True)
        squares = jnp.sum(y * y, axis=0).reshape(off.shape[1:])
        constant = (2 * math.pi) ** (-self.d / 2) / jnp.prod(jnp.diag(root))
        return constant * jnp.exp(-0.5 * squares)

    def integrate_box_1d(self, low: Any, high: Any) -> Array:
        """The probability between two numbers, if points are numbers."""
        if self.d != 1 or np.ndim(low) != 0 or np.ndim(high) != 0:
            raise error(
                ValueError,
                "integrate_box_1d() only handles 1D pdfs."
                if self.d != 1
                else "the limits of integration in integrate_box_1d must be scalars.",
                got=f"d={self.d}, limits of shape {np.shape(low)} and {np.shape(high)}",
                fix="integrate over one number, between two numbers.",
            )
        sigma = jnp.sqrt(self.covariance[0, 0])
        ends = [(limit - self.dataset[0]) / sigma for limit in (low, high)]
        return jnp.sum(self.weights * (ndtr(ends[1]) - ndtr(ends[0])))

    def resample(self, key: Any, shape: tuple[int, ...] = ()) -> Array:
        """Random points of the density: an array of shape ``(d, *shape)``."""
        point_key, noise_key = random.split(key)
        chosen = random.choice(point_key, self.n, shape=shape, p=self.weights)
        middle = jnp.zeros(self.d, self.covariance.dtype)
        noise = random.multivariate_normal(
            noise_key, middle, self.covariance, shape=shape, dtype=self.dataset.dtype
        )
        return self.dataset[:, chosen] + noise.T

    def integrate_box(self, low_bounds: Any, high_bounds: Any, maxpts: Any = None) -> Array:
        """Not implemented, as in JAX."""
        raise error(
            NotImplementedError,
            "only 1D box integrations are supported.",
            fix="use `integrate_box_1d`.",
        )

    def set_bandwidth(self, bw_method: Any = None) -> None:
        """Not implemented, as in JAX."""
        raise error(
            NotImplementedError,
            "dynamically changing the bandwidth method is not supported.",
            fix="make a new gaussian_kde with another bw_method.",
        )


def _real(name: str, x: Any) -> Any:
    if dtypes.kind(x.dtype) != "c":
        return x
    raise error(
        NotImplementedError,
        f"gaussian_kde does not support complex {'data' if name != 'points' else 'coordinates'}.",
        got=type_of(x).str_short(),
        fix="take the real part first.",
    )
