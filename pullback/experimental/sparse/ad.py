"""Derivatives with respect to sparse arrays: those of their stored elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ... import api, checks, jacobians
from ...core.pytree import flatten
from ...mapping import vmap
from .base import JAXSparse


def _is_sparse(x: Any) -> bool:
    return isinstance(x, JAXSparse)


class _Flat:
    """A function of the stored elements and dense arrays in the chosen arguments."""

    def __init__(self, fun: Any, argnums: Any, args: Any, kwargs: Any) -> None:
        self.numbers = checks.positions(argnums)
        name = getattr(fun, "__name__", "the function")
        chosen = checks.chosen_arguments(args, self.numbers, argnums, name)
        self.leaves, self.tree = flatten(chosen, _is_sparse)
        self.values = [x.data if _is_sparse(x) else x for x in self.leaves]
        self.fun, self.argnums, self.args, self.kwargs = fun, argnums, args, kwargs

    def __call__(self, values: Any) -> Any:
        leaves = [_with(x, v) for x, v in zip(self.leaves, values, strict=True)]
        chosen = self.tree.unflatten(leaves)
        args = checks.replaced_arguments(self.args, self.numbers, self.argnums, chosen)
        return self.fun(*args, **self.kwargs)

    def derivative(self, found: Any) -> Any:
        """Derivatives of the values, in the structure of the arguments."""
        leaves = [_spread(x, d) for x, d in zip(self.leaves, found, strict=True)]
        return self.tree.unflatten(leaves)


def _with(x: Any, data: Any) -> Any:
    """`x` with other stored elements."""
    if not _is_sparse(x):
        return data
    (_, *places), rest = x.tree_flatten()
    return type(x).tree_unflatten(rest, (data, *places))


def _spread(x: Any, data: Any) -> Any:
    """`x` with other stored elements, which may have axes of a Jacobian in front."""
    if not _is_sparse(x):
        return data
    function: Callable[[Any], Any] = lambda d: _with(x, d)  # noqa: E731
    for _ in range(data.ndim - x.data.ndim):
        function = vmap(function)
    return function(data)


def value_and_grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    **kwargs: Any,
) -> Callable[..., Any]:
    """`pullback.value_and_grad`, where arguments may be sparse arrays.

    The gradient with respect to a sparse array is a sparse array of the same places.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental import sparse
      >>> m = sparse.BCOO.fromdense(jnp.array([0.0, 1.0, 2.0]))
      >>> value, gradient = sparse.value_and_grad(lambda m, v: m @ v)(m, jnp.arange(3.0))
      >>> print(value, gradient, gradient.data)
      5.0 BCOO(float32[3], nse=2) [1. 2.]
    """

    def value_and_grad_fun(*args: Any, **named: Any) -> Any:
        flat = _Flat(fun, argnums, args, named)
        value, found = api.value_and_grad(flat, has_aux=has_aux, **kwargs)(flat.values)
        return value, flat.derivative(found)

    return checks.named_like(value_and_grad_fun, fun, "value_and_grad")  # type: ignore[no-any-return]


def grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    **kwargs: Any,
) -> Callable[..., Any]:
    """`pullback.grad`, where arguments may be sparse arrays: see `value_and_grad`."""

    def grad_fun(*args: Any, **named: Any) -> Any:
        value, found = value_and_grad(fun, argnums, has_aux, **kwargs)(*args, **named)
        return (found, value[1]) if has_aux else found

    return checks.named_like(grad_fun, fun, "grad")  # type: ignore[no-any-return]


def _jacobian(of: Any, fun: Any, argnums: Any, has_aux: bool, kwargs: Any) -> Any:
    def jacobian_fun(*args: Any, **named: Any) -> Any:
        flat = _Flat(fun, argnums, args, named)
        out = of(flat, has_aux=has_aux, **kwargs)(flat.values)
        found, aux = out if has_aux else (out, None)
        found = flat.derivative(found)
        return (found, aux) if has_aux else found

    return checks.named_like(jacobian_fun, fun, "jacobian")


def jacfwd(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    **kwargs: Any,
) -> Callable[..., Any]:
    """`pullback.jacfwd` of one dense result, where arguments may be sparse arrays.

    The Jacobian is a sparse array with the axes of the result as batches in front.
    """
    return _jacobian(jacobians.jacfwd, fun, argnums, has_aux, kwargs)  # type: ignore[no-any-return]


def jacrev(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    **kwargs: Any,
) -> Callable[..., Any]:
    """`pullback.jacrev` of one dense result, where arguments may be sparse arrays: see `jacfwd`."""
    return _jacobian(jacobians.jacrev, fun, argnums, has_aux, kwargs)  # type: ignore[no-any-return]


jacobian = jacrev
