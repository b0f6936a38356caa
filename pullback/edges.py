"""Where derivatives of a user's own types leave and enter: ambient inside, tangents outside.

Inside a transformation an object of a type of the user's own is its leaves, and its tangent one
array for each of them: the ambient space. At the edge a tangent is what the type says. Let
r_x(v) = retract(x, v), with r_x(0) = x, and l_y = local(y, .), its inverse near y. Then

- a tangent v comes in as D r_x(0) v, and an ambient one leaves as D l_y(y) dy;
- a cotangent leaves by the transpose of D r_x(0), and comes in by that of D l_y(y).

So grad(f)(x) is the gradient of v -> f(retract(x, v)) at 0. Absil, Mahony and Sepulchre,
Optimization Algorithms on Matrix Manifolds (2008), chapters 3 and 4.

While no type is registered, KINDS is empty, and asking that is all that others pay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from . import checks
from .core import dtypes
from .core.array import Array
from .core.errors import error
from .core.pytree import PyTreeDef, flatten, register
from .core.trace import type_of
from .linear import JVP, VJP
from .ops.elementwise import add
from .transforms import forward, reverse


@dataclass(frozen=True)
class Kind:
    """What is known of a type of the user's own: see custom_types.register."""

    name: str
    zero_tangent: Callable[[Any], Any]
    retract: Callable[[Any, Any], Any]
    local: Callable[[Any, Any], Any] | None
    cotangent: Callable[[Any, Any, Any], Any] | None
    pairing: Callable[[Any, Any], Any] | None


KINDS: dict[type, Kind] = {}


def enter(cls: type, kind: Kind) -> None:
    """Know a type from now on."""
    KINDS[cls] = kind
    _within.cache_clear()


def within(treedef: PyTreeDef | None) -> bool:
    """Whether there are objects of such types in trees of this structure."""
    if not KINDS or treedef is None:
        return False
    try:
        return _within(treedef)
    except TypeError:  # a container's own data cannot be hashed
        return _search(treedef)


def _search(treedef: PyTreeDef) -> bool:
    return treedef.type in KINDS or any(_search(c) for c in treedef.children())


_within = lru_cache(maxsize=1024)(_search)


def parts_of(tree: Any) -> tuple[list[Any], PyTreeDef]:
    """Arrays and objects of such types, whole, and the structure around them."""
    return flatten(tree, lambda x: type(x) in KINDS)


def matching(outer: PyTreeDef, tree: Any, what: str, of: str) -> list[Any]:
    """The part of `tree` at each leaf of the structure `outer`."""
    try:
        return outer.flatten_up_to(tree)
    except ValueError as cause:
        raise error(
            TypeError,
            f"{what} must have the structure of {of}.",
            got=f"{flatten(tree)[1]} instead of {outer}",
            fix="give one for each array and each object, in the same containers.",
        ) from cause


# ---- one object


def moved_leaves(kind: Kind, x: Any, tangent: Any) -> list[Any]:
    """The leaves of retract(x, tangent), which must be those of x."""
    leaves, tree = flatten(x)
    new, new_tree = flatten(kind.retract(x, tangent))
    checks.structure(f"what retract of {kind.name} gives", new_tree, tree, "its first argument")
    for old, y in zip(leaves, new, strict=True):
        have, want = type_of(checks.input_array(y, "retract")), type_of(old)
        if (have.shape, have.dtype) != (want.shape, want.dtype):
            raise error(
                TypeError,
                f"retract of {kind.name} must keep the shapes and dtypes of what it moves.",
                got=f"{have.str_short()} for {want.str_short()}",
                fix="compute in the dtype of the object's own arrays.",
            )
    return new


def zero_leaves(kind: Kind, x: Any) -> tuple[list[Any], PyTreeDef]:
    """The zero tangent at x."""
    zeros, tree = flatten(kind.zero_tangent(x))
    return [checks.input_array(z, "zero_tangent") for z in zeros], tree


def of_kind(kind: Kind, given: Any, like: PyTreeDef, what: str) -> list[Any]:
    """The leaves of a tangent that a user gave, which must have the structure `like`."""
    leaves, tree = flatten(given)
    if tree != like:
        raise error(
            TypeError,
            f"the {what} of a {kind.name} has another type than its zero tangent.",
            got=f"{tree} instead of {like}",
            fix=f"make it as {kind.name}'s zero_tangent does.",
        )
    return leaves


def lift(kind: Kind, x: Any, tangent: Any) -> list[Any]:
    """D retract(x, .)(0) tangent: one ambient tangent for each leaf of x (None: zero)."""
    zeros, like = zero_leaves(kind, x)
    given = of_kind(kind, tangent, like, "tangent")
    ts = [checks.tangent_array(type_of(z), t) for z, t in zip(zeros, given, strict=True)]
    return forward.jvp(lambda *v: moved_leaves(kind, x, like.unflatten(v)), zeros, ts)[1]


def pull(kind: Kind, x: Any, cts: Sequence[Any]) -> Any:
    """The transpose of `lift`: ambient cotangents to one of the tangent type."""
    zeros, like = zero_leaves(kind, x)
    _, tape, places = reverse.linearize(
        lambda *v: moved_leaves(kind, x, like.unflatten(v)), zeros, [True] * len(zeros)
    )
    found = tape.pull(places, cts)
    return like.unflatten(
        [checks.zero_filled(c, type_of(z)) for c, z in zip(found, zeros, strict=True)]
    )


def drop(kind: Kind, y: Any, dys: Sequence[Any]) -> Any:
    """D local(y, .)(y) dy: an ambient tangent to one of the tangent type."""
    leaves, trees, function = _localised(kind, y)
    outs, found = forward.jvp(function, leaves, dys)
    return trees[0].unflatten(
        [checks.zero_filled(t, type_of(z)) for t, z in zip(found, outs, strict=True)]
    )


def push_cotangent(kind: Kind, y: Any, cotangent: Any) -> list[Any]:
    """The transpose of `drop`: a cotangent of the tangent type to ambient ones (None: zero)."""
    leaves, trees, function = _localised(kind, y)
    wrt = [dtypes.is_inexact(leaf.dtype) for leaf in leaves]
    outs, tape, places = reverse.linearize(function, leaves, wrt)
    if kind.pairing is None:
        given = of_kind(kind, cotangent, trees[0], "cotangent")
    else:
        given = flatten(cotangent)[0]
    cts = [checks.cotangent_array(type_of(z), c) for z, c in zip(outs, given, strict=True)]
    found = iter(tape.pull(places, cts))
    return [next(found) if w else None for w in wrt]


def local_of(kind: Kind) -> Callable[[Any, Any], Any]:
    """The inverse of retract, which a type may lack."""
    if kind.local is None:
        raise error(
            TypeError,
            f"a derivative of a result of type {kind.name} needs its `local`, the inverse of "
            "retract.",
            got=f"{kind.name} without it",
            fix=f"define local(x, y), the tangent v with retract(x, v) = y, for {kind.name}.",
        )
    return kind.local


def _localised(kind: Kind, y: Any) -> tuple[list[Any], list[PyTreeDef], Any]:
    local = local_of(kind)
    leaves, tree = flatten(y)
    trees: list[PyTreeDef] = []

    def function(*new: Any) -> list[Any]:
        outs, out_tree = flatten(local(y, tree.unflatten(new)))
        trees.append(out_tree)
        return [checks.output_array(z, "local") for z in outs]

    return [checks.input_array(leaf, "local") for leaf in leaves], trees, function


# ---- trees of arrays and such objects


def lifted(points: Any, tangents: Any, of: str = "the primals") -> list[Any]:
    """Ambient tangents (None: zero), one for each leaf of `points`."""
    parts, outer = parts_of(points)
    found: list[Any] = []
    for x, t in zip(parts, matching(outer, tangents, "the tangents", of), strict=True):
        kind = KINDS.get(type(x))
        if kind is None:
            checks.structure("the tangents", flatten(t)[1], flatten(0)[1], of)
            found.append(checks.tangent_array(type_of(checks.input_array(x, "jvp")), t))
        else:
            found += lift(kind, x, t)
    return found


def dropped(points: Any, tangents: Sequence[Any]) -> Any:
    """Ambient tangents of the leaves of `points` (None: zero), as users see them."""
    parts, outer = parts_of(points)
    rest, found = iter(tangents), []
    for y in parts:
        kind = KINDS.get(type(y))
        if kind is None:
            found.append(checks.zero_filled(next(rest), type_of(y)))
        else:
            found.append(drop(kind, y, [next(rest) for _ in flatten(y)[0]]))
    return outer.unflatten(found)


def pulled(points: Any, cotangents: Sequence[Any], of: Any = None) -> Any:
    """Ambient cotangents of the leaves of `points` (None: zero), as users see them.

    `of` is what is differentiated, if it is an object of such a type: its cotangents may say so.
    """
    parts, outer = parts_of(points)
    rest, found = iter(cotangents), []
    for x in parts:
        kind = KINDS.get(type(x))
        if kind is None:
            ct = checks.zero_filled(next(rest), type_of(checks.input_array(x, "grad")))
            kind = KINDS.get(type(of))
        else:
            ct = pull(kind, x, [next(rest) for _ in flatten(x)[0]])
        shown = kind is not None and kind.cotangent is not None
        found.append(kind.cotangent(x, ct, of) if shown else ct)  # type: ignore[union-attr, misc]
    return outer.unflatten(found)


def gradient(points: Any, cotangents: Sequence[Any], y: Any, wholes: list[Any]) -> tuple[Any, Any]:
    """The value of a function under grad and its gradient; `wholes` as `scalar` filled it."""
    if not wholes:
        return y, pulled(points, cotangents)
    value = flatten(wholes[-1])[1].unflatten([y])
    return value, pulled(points, cotangents, value)


def pushed(points: Any, cotangents: Any) -> tuple[list[Any], Any]:
    """Ambient cotangents of the leaves of `points`, a function's result; and what they are of."""
    parts, outer = parts_of(points)
    found: list[Any] = []
    of: Any = None
    given = matching(outer, cotangents, "the cotangent", "the function's output")
    for y, ct in zip(parts, given, strict=True):
        kind = KINDS.get(type(y))
        if kind is None:
            found.append(checks.cotangent_array(type_of(y), ct))
            continue
        found += push_cotangent(kind, y, ct)
        if kind.pairing is not None:
            new = kind.pairing(y, ct)
            of = new if of is None else _same(of, new)
    return found, of


def _same(of: Any, new: Any) -> Any:
    trees = flatten(of)[1], flatten(new)[1]
    if trees[0] != trees[1]:
        raise error(
            TypeError,
            "the cotangents of the outputs are not those of one number.",
            got=f"{trees[0]} and {trees[1]}",
            fix="give cotangents whose product with their outputs has one type.",
        )
    return of


def scalar(out: Any, wholes: list[Any]) -> Any:
    """What a function under grad returned, as an array; an object of such a type goes to `wholes`.

    Such an object must hold one array.
    """
    if isinstance(out, Array):
        return out
    if type(out) in KINDS:
        leaves = flatten(out)[0]
        if len(leaves) == 1:
            wholes.append(out)
            return checks.output_array(leaves[0], "grad")
    return checks.scalar_output(out)


# ---- whole Jacobians


def coordinates(points: Any) -> tuple[list[Any], PyTreeDef, Callable[[Sequence[Any]], Any]]:
    """Leaves near `points`: arrays as they are and zero tangents; their tree; and the way back.

    The way back is x + D retract(x, .)(0) v: exact at v = 0, with retract's first derivative.
    """
    parts, outer = parts_of(points)
    kinds = [KINDS.get(type(x)) for x in parts]
    near = [x if k is None else k.zero_tangent(x) for x, k in zip(parts, kinds, strict=True)]
    leaves, tree = flatten(outer.unflatten(near))

    def back(new: Sequence[Any]) -> Any:
        given = outer.flatten_up_to(tree.unflatten(new))
        each = zip(parts, kinds, given, strict=True)
        return outer.unflatten([v if k is None else _shifted(k, x, v) for x, k, v in each])

    return leaves, tree, back


def _shifted(kind: Kind, x: Any, tangent: Any) -> Any:
    leaves, tree = flatten(x)
    steps = lift(kind, x, tangent)
    return tree.unflatten(
        [y if d is None else add(y, d) for y, d in zip(leaves, steps, strict=True)]
    )


# ---- derivatives as values


class Converted:
    """A derivative kept on a tape, whose tangents or cotangents are of types of the user's own."""

    def __init__(self, inner: Any, primals: Any, value: Any) -> None:
        self.inner, self.primals, self.value = inner, primals, value


class Pullback(Converted):
    """What `vjp` returns for such types."""

    inner: VJP

    def __call__(self, *cotangents: Any) -> Any:
        """One cotangent for each input, as a tuple."""
        cts, of = pushed(self.value, self.inner._the_one(cotangents))
        return pulled(self.primals, self._pulled(cts), of)

    def plain(self, *cotangents: Any) -> Any:
        """The same in coordinates, without what cotangents say of themselves."""
        cts, _ = pushed(self.value, self.inner._the_one(cotangents))
        return pulled(self.primals, self._pulled(cts))

    def _pulled(self, cts: Sequence[Any]) -> list[Any]:
        found = iter(self.inner.tape.pull(self.inner.places, cts))
        return [next(found) if dtypes.is_inexact(t.dtype) else None for t in self.inner.in_types]


class Pushforward(Converted):
    """What `linearize` returns for such types."""

    inner: JVP

    def __call__(self, *tangents: Any) -> Any:
        """The tangents of the outputs, in their structure."""
        dxs = lifted(self.primals, tangents, "the arguments")
        types = self.inner.in_types
        active = [
            checks.zero_filled(x, t)
            for x, t in zip(dxs, types, strict=True)
            if dtypes.is_inexact(t.dtype)
        ]
        return dropped(self.value, self.inner.tape.push(self.inner.places, active))


for _cls in (Pullback, Pushforward):
    register(
        _cls,
        lambda f: ((f.inner, f.primals, f.value), type(f)),
        lambda cls, parts: cls(*parts),
    )
