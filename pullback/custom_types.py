"""Types of your own, with tangents of their own: differentiated, moved and optimised as a whole.

A unit quaternion has four numbers and three degrees of freedom; a positive definite matrix that
takes a plain gradient step need not stay one; a length and the derivative of an energy by it have
different units. A class that is a pytree says here what its tangents are, and `grad`,
`value_and_grad`, `jvp`, `vjp`, `linearize`, `jacfwd` and `jacrev` then take and give them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import optree

from . import edges
from .core.array import Array
from .core.errors import error
from .core.pytree import NAMESPACE, flatten
from .core.trace import type_of
from .edges import Kind
from .ops.elementwise import add, convert_element_type, sub

__all__ = ["apply_updates", "chart", "difference", "differentiable", "register", "zero_tangents"]

C = TypeVar("C", bound=type)


def register(
    cls: C,
    *,
    zero_tangent: Callable[[Any], Any],
    retract: Callable[[Any, Any], Any],
    local: Callable[[Any, Any], Any] | None = None,
    cotangent: Callable[[Any, Any, Any], Any] | None = None,
    pairing: Callable[[Any, Any], Any] | None = None,
) -> C:
    """Say what the tangents of a class are. It must be a registered pytree of arrays.

    With r_x(v) = retract(x, v), the derivative of a function f at x is that of v -> f(r_x(v)) at
    v = 0. A tangent v is carried as D r_x(0) v, one array for each leaf of x; the gradient is the
    transpose of D r_x(0) on that of the leaves. Absil, Mahony and Sepulchre, Optimization
    Algorithms on Matrix Manifolds (2008), chapters 3 and 4.

    Args:
      cls: the class. Its static data stay as they are when it is moved.
      zero_tangent: from an object to its zero tangent: an array or a pytree of float arrays. Its
        structure is that of all tangents there, its shapes may differ from those of the object.
      retract: from an object and a tangent to the object moved, with the same structure, shapes and
        dtypes. ``retract(x, zero_tangent(x))`` is x, and it must be differentiable there.
      local: the inverse: from x and y near it to the tangent v with ``retract(x, v) = y``. Needed
        where an object is the result of a differentiated function.
      cotangent: what a gradient with respect to x is shown as: from x, the cotangent as a tangent
        and `of`, to anything. `of` is the object of such a class that is differentiated, or None if
        it is an array. It is also asked for plain arrays x if `of` is of this class.
      pairing: the product of a result y and the cotangent given for it (`vjp`): an object of such a
        class, of which the gradient then is: the `of` above. With it, a given cotangent need not
        have the structure of a tangent, only its shapes.

    Returns:
      The class.

    Raises:
      TypeError: `cls` is not a registered pytree.

    Example:
      >>> from dataclasses import dataclass
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback import custom_types
      >>> @pullback.tree_util.register_dataclass
      ... @dataclass
      ... class Angle:  # kept between -pi and pi
      ...     radians: pullback.Array
      >>> _ = custom_types.register(
      ...     Angle,
      ...     zero_tangent=lambda x: jnp.zeros_like(x.radians),
      ...     retract=lambda x, v: Angle((x.radians + v + jnp.pi) % (2 * jnp.pi) - jnp.pi),
      ... )
      >>> x = Angle(jnp.float32(3.0))
      >>> g = pullback.grad(lambda x: jnp.cos(x.radians))(x)
      >>> print(g, custom_types.apply_updates(x, jnp.float32(1.0)).radians)
      -0.14112 -2.2831852
    """
    if not _is_pytree(cls):
        raise error(
            TypeError,
            "a type of your own must be a pytree before it is given tangents.",
            got=f"{getattr(cls, '__name__', cls)!r}, which is not registered",
            fix="register it first, e.g. with tree_util.register_dataclass.",
        )
    edges.enter(cls, Kind(cls.__name__, zero_tangent, retract, local, cotangent, pairing))
    return cls


def differentiable(cls: C) -> C:
    """The decorator form of `register`: the functions are methods of the class.

    These are ``zero_tangent(self)`` and ``retract(self, v)``, and if there are any ``local(self,
    other)``, ``pairing(self, ct)`` and the static method ``cotangent(x, ct, of)``.

    Raises:
      TypeError: a method is missing, or the class is not a registered pytree.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback import custom_types
      >>> @custom_types.differentiable
      ... @pullback.tree_util.register_pytree_node_class
      ... class Positive:  # moved by factors, so that it stays positive
      ...     def __init__(self, value):
      ...         self.value = value
      ...     def tree_flatten(self):
      ...         return (self.value,), None
      ...     @classmethod
      ...     def tree_unflatten(cls, _, leaves):
      ...         return cls(*leaves)
      ...     def zero_tangent(self):
      ...         return jnp.zeros_like(self.value)
      ...     def retract(self, v):
      ...         return Positive(self.value * jnp.exp(v))
      >>> print(pullback.grad(lambda x: x.value**2)(Positive(jnp.float32(3.0))))
      18.0
    """
    missing = [name for name in ("zero_tangent", "retract") if not hasattr(cls, name)]
    if missing:
        raise error(
            TypeError,
            f"a type of your own needs the methods {' and '.join(missing)}.",
            got=f"class {cls.__name__}",
            fix="define zero_tangent(self) and retract(self, v).",
        )
    names = ("local", "cotangent", "pairing")
    return register(
        cls,
        zero_tangent=cls.zero_tangent,  # type: ignore[attr-defined]
        retract=cls.retract,  # type: ignore[attr-defined]
        **{name: getattr(cls, name, None) for name in names},
    )


def _is_pytree(cls: Any) -> bool:
    found = isinstance(cls, type) and optree.register_pytree_node.get(cls, namespace=NAMESPACE)  # type: ignore[attr-defined]
    return bool(found)


# ---- moving whole trees


def zero_tangents(tree: Any) -> Any:
    """The zero tangent of each object in a tree, and zeros for its arrays.

    This is the structure of gradients and updates: what an optimiser keeps (moments) starts here.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback import custom_types
      >>> print(custom_types.zero_tangents({'w': jnp.ones(2)})['w'])
      [0. 0.]
    """
    parts, outer = edges.parts_of(tree)
    kinds = [edges.KINDS.get(type(x)) for x in parts]
    return outer.unflatten(
        [_zeros(x) if k is None else k.zero_tangent(x) for x, k in zip(parts, kinds, strict=True)]
    )


def _zeros(x: Any) -> Any:
    return edges.checks.zero_filled(None, type_of(x))


def apply_updates(params: Any, updates: Any) -> Any:
    """The tree `params` moved by tangents: arrays by addition, objects by their `retract`.

    Args:
      params: a tree of arrays and of objects of types with tangents of their own.
      updates: a tree of tangents, one for each array and each object, such as
        ``tree.map(lambda g: -rate * g, gradient)``; None leaves a part as it is.

    Returns:
      The moved tree; each array keeps its dtype.

    Raises:
      TypeError: `updates` has another structure, or a tangent is of another type than it must be.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback import custom_types
      >>> print(custom_types.apply_updates({'w': jnp.ones(2)}, {'w': -0.5 * jnp.ones(2)})['w'])
      [0.5 0.5]
    """
    parts, outer = edges.parts_of(params)
    given = edges.matching(outer, updates, "the updates", "the parameters")
    return outer.unflatten([_moved(x, u) for x, u in zip(parts, given, strict=True)])


def _moved(x: Any, update: Any) -> Any:
    kind = edges.KINDS.get(type(x))
    if update is None:
        return x
    if kind is not None:
        like = edges.zero_leaves(kind, x)[1]
        edges.of_kind(kind, update, like, "update")
        return flatten(x)[1].unflatten(edges.moved_leaves(kind, x, update))
    x = edges.checks.input_array(x, "apply_updates")
    step = edges.checks.input_array(update, "apply_updates")
    step = convert_element_type(step, new_dtype=x.dtype, weak_type=False)
    if step.shape != x.shape and step.shape:
        raise error(
            ValueError,
            "an update must have the shape of its parameter.",
            got=f"{type_of(step).str_short()} for {type_of(x).str_short()}",
            fix="give one number for each element.",
        )
    return add(x, step)


def difference(x: Any, y: Any) -> Any:
    """The tangents that move the tree `x` to `y`: ``y - x`` for arrays, `local` for objects.

    Raises:
      TypeError: the structures differ, or a class has no `local`.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback import custom_types
      >>> print(custom_types.difference(jnp.ones(2), jnp.zeros(2)))
      [-1. -1.]
    """
    parts, outer = edges.parts_of(x)
    given = edges.matching(outer, y, "the second tree", "the first")
    found = []
    for a, b in zip(parts, given, strict=True):
        kind = edges.KINDS.get(type(a))
        found.append(_less(b, a) if kind is None else edges.local_of(kind)(a, b))
    return outer.unflatten(found)


def _less(y: Any, x: Any) -> Array:
    arrays = [edges.checks.input_array(a, "difference") for a in (y, x)]
    return sub(*arrays)  # type: ignore[no-any-return]


def chart(fun: Callable[[Any], Any], point: Any) -> Callable[[Any], Any]:
    """The function of tangents ``v -> fun(retract(point, v))``.

    Its Hessian at `zero_tangents(point)` is symmetric; it is the Riemannian one where retract
    is of second order, as exponential maps are. `hessian(fun)(point)` is another thing: the
    derivative of the gradient as the point moves, in coordinates that move with it.

    Args:
      fun: a function of one argument, a tree.
      point: the tree to move from.

    Returns:
      A function of a tree of tangents.

    Example:
      >>> import pullback
      >>> from pullback import custom_types
      >>> print(pullback.hessian(custom_types.chart(lambda x: x**3, 2.0))(0.0))
      12.0
    """
    return lambda tangents: fun(apply_updates(point, tangents))
