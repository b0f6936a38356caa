"""Functions of trees as functions of flat lists: `jax.api_util`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from ...core.pytree import PyTreeDef, flatten, prefix_leaves
from .functions import Store, WrappedFun, transformation2, transformation_with_aux2


@transformation_with_aux2
def flatten_fun(f: Callable[..., Any], store: Store, in_tree: PyTreeDef, *leaves: Any) -> Any:
    """From flat arguments to flat results, for a tree `(args, kwargs)` of arguments.

    The second result is a function that gives the tree of the results after the call.
    """
    args, kwargs = in_tree.unflatten(leaves)
    outs, tree = flatten(f(*args, **kwargs))
    store.store(tree)
    return outs


@transformation_with_aux2
def flatten_fun_nokwargs(
    f: Callable[..., Any], store: Store, in_tree: PyTreeDef, *leaves: Any
) -> Any:
    """The same for a tree of positional arguments."""
    outs, tree = flatten(f(*in_tree.unflatten(leaves)))
    store.store(tree)
    return outs


@transformation2
def _with_fixed(
    f: Callable[..., Any], numbers: tuple[int, ...], fixed: Any, *args: Any, **kwargs: Any
) -> Any:
    rest, given = iter(fixed.values), iter(args)
    n = len(fixed.values) + len(args)
    return f(*[next(given) if i in numbers else next(rest) for i in range(n)], **kwargs)


class _Fixed:
    """Values of arguments, compared by identity."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = values


def argnums_partial(
    f: WrappedFun,
    dyn_argnums: int | Sequence[int],
    args: Sequence[Any],
    require_static_args_hashable: bool = True,
) -> tuple[WrappedFun, tuple[Any, ...]]:
    """`f` as a function of the arguments named by `dyn_argnums`, and these arguments."""
    given = (dyn_argnums,) if isinstance(dyn_argnums, int) else tuple(dyn_argnums)
    numbers = tuple(i % len(args) for i in given)
    fixed = [x for i, x in enumerate(args) if i not in numbers]
    if require_static_args_hashable:
        for x in fixed:
            hash(x)
    return _with_fixed(f, numbers, _Fixed(fixed)), tuple(args[i] for i in numbers)


def flatten_axes(
    name: str, treedef: PyTreeDef, axis_tree: Any, *, kws: bool = False, tupled_args: bool = False
) -> list[Any]:
    """One entry of `axis_tree`, a prefix of the tree, for each leaf."""
    return prefix_leaves(name, axis_tree, treedef.unflatten([0] * treedef.num_leaves))


def donation_vector(
    donate_argnums: Sequence[int],
    donate_argnames: Sequence[str],
    in_tree: PyTreeDef,
    kws: bool = True,
) -> tuple[bool, ...]:
    """For each leaf of the arguments whether it is given away."""
    parts = in_tree.children()
    args, kwargs = (parts[0], parts[1]) if kws else (in_tree, None)
    found: list[bool] = []
    for i, part in enumerate(args.children()):
        found += [i in donate_argnums] * part.num_leaves
    if kwargs is not None:
        for key, part in zip(kwargs.entries(), kwargs.children(), strict=True):
            found += [key in donate_argnames] * part.num_leaves
    return tuple(found)


def rebase_donate_argnums(
    donate_argnums: Sequence[int], static_argnums: Sequence[int]
) -> tuple[int, ...]:
    """The numbers of the donated arguments when the static ones are gone."""
    static = set(static_argnums)
    if both := static & set(donate_argnums):
        raise ValueError(f"`static_argnums` and `donate_argnums` overlap: {sorted(both)}.")
    return tuple(i - sum(s < i for s in static) for i in sorted(set(donate_argnums)))


def safe_map(f: Callable[..., Any], *sequences: Sequence[Any]) -> list[Any]:
    """`list(map(f, ...))` for sequences of one length."""
    first, *others = [list(s) for s in sequences]
    for other in others:
        assert len(other) == len(first), f"length mismatch: {[len(s) for s in (first, *others)]}"
    return list(map(f, first, *others))


def safe_zip(*sequences: Sequence[Any]) -> list[Any]:
    """`list(zip(...))` for sequences of one length."""
    first, *others = [list(s) for s in sequences]
    for other in others:
        assert len(other) == len(first), f"length mismatch: {[len(s) for s in (first, *others)]}"
    return list(zip(first, *others))


def infer_argnums_and_argnames(
    sig: inspect.Signature,
    argnums: int | Sequence[int] | None,
    argnames: str | Sequence[str] | None,
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The numbers of named arguments, and the names of numbered ones, as far as one is missing."""
    numbers = (argnums,) if isinstance(argnums, int) else argnums
    names = (argnames,) if isinstance(argnames, str) else argnames
    by_position = [
        p.name
        for p in sig.parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if numbers is None:
        numbers = [by_position.index(n) for n in names or () if n in by_position]
    elif names is None:
        inside = [i for i in numbers if -len(by_position) <= i < len(by_position)]
        names = [by_position[i] for i in inside]
    return tuple(numbers), tuple(names or ())
