"""Trees: nested tuples, lists, dicts and registered classes, to flat lists and back. On optree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

import optree

from .array import Array
from .errors import error

NAMESPACE = "pullback"

PyTreeDef = optree.PyTreeSpec

# optree types trees as containers of one kind of leaf; ours hold anything.
_flatten: Callable[..., tuple[list[Any], PyTreeDef]] = optree.tree_flatten
_structure: Callable[..., PyTreeDef] = optree.tree_structure


def flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], PyTreeDef]:
    """The leaves of `tree`, and its structure. None is an empty tree."""
    if is_leaf is None:
        if isinstance(tree, Array):
            return [tree], _LEAF
        if type(tree) is tuple and all([isinstance(x, Array) for x in tree]):
            return list(tree), _tuple_of(len(tree))
    leaves, treedef = _flatten(tree, is_leaf, namespace=NAMESPACE)
    return leaves, sorted_dicts(treedef)


def flatten_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], PyTreeDef]:
    """`flatten((args, kwargs))`, 1 us quicker where there are only arrays."""
    if not kwargs and all([isinstance(x, Array) for x in args]):
        return list(args), _call_of(len(args))
    leaves, treedef = _flatten((args, kwargs), namespace=NAMESPACE)
    return leaves, sorted_dicts(treedef)


@cache
def _tuple_of(n: int) -> PyTreeDef:
    return _structure((0,) * n, namespace=NAMESPACE)


@cache
def _call_of(n: int) -> PyTreeDef:
    return _structure(((0,) * n, {}), namespace=NAMESPACE)


_LEAF = _structure(0, namespace=NAMESPACE)


def sorted_dicts(treedef: PyTreeDef) -> PyTreeDef:
    """`treedef`, which rebuilds dicts with their keys in the order of the leaves: sorted.

    Structures are equal whatever the order of keys, but programs see the order in which dicts are
    rebuilt: they print them, and zip them with leaves.
    """
    try:
        return _with_sorted_dicts(treedef)
    except TypeError:  # a container's own data cannot be hashed
        return optree.treespec_transform(treedef, _sorted_node)


# 0.3 us for a structure seen before. Bounded, for the data of containers stay alive with it.
@lru_cache(maxsize=1024)
def _with_sorted_dicts(treedef: PyTreeDef) -> PyTreeDef:
    return optree.treespec_transform(treedef, _sorted_node)


def _sorted_node(node: PyTreeDef) -> PyTreeDef:
    if node.type is dict:
        return optree.treespec_dict(dict.fromkeys(node.entries(), _LEAF), namespace=NAMESPACE)
    if node.type is defaultdict:
        whole: Any = node.unflatten([0] * node.num_leaves)
        entries = dict.fromkeys(node.entries(), _LEAF)
        return optree.treespec_defaultdict(whole.default_factory, entries, namespace=NAMESPACE)
    return node


def unflatten(treedef: PyTreeDef, leaves: Sequence[Any]) -> Any:
    """The tree of this structure with these leaves."""
    return treedef.unflatten(leaves)


def prefix_leaves(what: str, prefix: Any, tree: Any) -> list[Any]:
    """One entry of `prefix` for each leaf of `tree`; None is an entry, and stands for a whole part.

    `prefix` has the structure of the upper part of `tree`: an entry holds for all leaves below it.
    """
    if prefix is None or type(prefix) is int:
        return [prefix] * len(flatten(tree)[0])
    entries, treedef = _flatten(prefix, lambda x: x is None, namespace=NAMESPACE)
    if treedef.is_leaf():
        return [prefix] * len(flatten(tree)[0])
    try:
        parts = treedef.flatten_up_to(tree)
    except ValueError as cause:
        raise error(
            ValueError,
            f"{what} does not fit the structure of what it describes.",
            got=f"{what}={prefix!r} for {flatten(tree)[1]}",
            fix=f"give {what} the same containers as the value, or a single entry for all of it.",
        ) from cause
    return [entry for entry, part in zip(entries, parts, strict=True) for _ in flatten(part)[0]]


def register(
    cls: type, children: Callable[[Any], tuple[Any, Any]], rebuild: Callable[[Any, Any], Any]
) -> None:
    """Make `cls` a container: `children(x)` is its parts and the rest, `rebuild(rest, parts)` x."""
    optree.register_pytree_node(cls, children, rebuild, namespace=NAMESPACE)


def leaf_paths(tree: Any, name: str) -> list[str]:
    """For each leaf of `tree` how a user writes it: `args[0]['w']`."""
    paths = optree.tree_paths(tree, namespace=NAMESPACE)
    return [name + "".join(f"[{key!r}]" for key in path) for path in paths]
