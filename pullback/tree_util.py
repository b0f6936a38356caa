"""Functions on pytrees: nested tuples, lists, dicts, None and registered classes.

None is an empty tree; dicts are taken in the order of their sorted keys, OrderedDicts in their own.
"""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import optree

from .core.errors import error
from .core.pytree import NAMESPACE, PyTreeDef, flatten, sorted_dicts

T = TypeVar("T")
_register: Any = optree.register_pytree_node  # typed for collections of one kind of leaf
IsLeaf = Callable[[Any], bool] | None

# ---- key paths


@dataclass(frozen=True)
class SequenceKey:
    """The place of a child in a tuple or list."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"


@dataclass(frozen=True)
class DictKey:
    """The key of a child in a dict."""

    key: Hashable

    def __str__(self) -> str:
        return f"[{self.key!r}]"


@dataclass(frozen=True)
class GetAttrKey:
    """The name of the attribute that holds a child."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"


@dataclass(frozen=True)
class FlattenedIndexKey:
    """The number of a child of a class registered without keys."""

    key: int

    def __str__(self) -> str:
        return f"[<flat index {self.key}>]"


KeyEntry = SequenceKey | DictKey | GetAttrKey | FlattenedIndexKey | Any
KeyPath = tuple[KeyEntry, ...]


def keystr(keys: KeyPath, *, simple: bool = False, separator: str = "") -> str:
    """A key path as text: ``['a'][0].x``, or with `simple` its parts joined by `separator`.

    Example:
      >>> from pullback.tree_util import tree_leaves_with_path, keystr
      >>> [keystr(path) for path, _ in tree_leaves_with_path({"a": [1, 2]})]
      ["['a'][0]", "['a'][1]"]
    """
    return separator.join(_simple(k) if simple else str(k) for k in keys)


def _simple(key: Any) -> str:
    for name in ("idx", "key", "name"):
        if hasattr(key, name):
            return str(getattr(key, name))
    return str(key)


def _key(entry: Any) -> Any:
    kind = optree.PyTreeKind
    if entry.kind in (kind.TUPLE, kind.LIST, kind.DEQUE):
        return SequenceKey(entry.entry)
    if entry.kind in (kind.NAMEDTUPLE, kind.STRUCTSEQUENCE):
        return GetAttrKey(entry.type._fields[entry.entry])
    if entry.kind in (kind.DICT, kind.ORDEREDDICT, kind.DEFAULTDICT):
        return DictKey(entry.entry)
    return FlattenedIndexKey(entry.entry) if isinstance(entry.entry, int) else entry.entry


# ---- flat and back


def tree_flatten(tree: Any, is_leaf: IsLeaf = None) -> tuple[list[Any], PyTreeDef]:
    """The leaves of a tree, and its structure.

    Example:
      >>> from pullback.tree_util import tree_flatten
      >>> tree_flatten({"b": 2, "a": (1, None)})[0]
      [1, 2]
    """
    return flatten(tree, is_leaf)


def tree_unflatten(treedef: PyTreeDef, leaves: Iterable[Any]) -> Any:
    """The tree of this structure with these leaves."""
    leaves = list(leaves)
    if len(leaves) != treedef.num_leaves:
        raise error(
            ValueError,
            f"Too {'many' if len(leaves) > treedef.num_leaves else 'few'} leaves for PyTreeDef.",
            got=f"{len(leaves)} leaves for {treedef}",
            fix=f"give {treedef.num_leaves} leaves.",
        )
    return treedef.unflatten(leaves)


def tree_leaves(tree: Any, is_leaf: IsLeaf = None) -> list[Any]:
    """The leaves of a tree."""
    return flatten(tree, is_leaf)[0]


def tree_structure(tree: Any, is_leaf: IsLeaf = None) -> PyTreeDef:
    """The structure of a tree."""
    return flatten(tree, is_leaf)[1]


def tree_flatten_with_path(
    tree: Any, is_leaf: IsLeaf = None, is_leaf_takes_path: bool = False
) -> tuple[list[tuple[KeyPath, Any]], PyTreeDef]:
    """The leaves of a tree, each with its key path, and its structure."""
    if is_leaf_takes_path and is_leaf is not None:
        return _flatten_with_path_rule(tree, is_leaf)
    accessors, leaves, treedef = optree.tree_flatten_with_accessor(
        tree, is_leaf, namespace=NAMESPACE
    )
    paths = [tuple(_key(e) for e in accessor) for accessor in accessors]
    return list(zip(paths, leaves, strict=True)), sorted_dicts(treedef)


def _flatten_with_path_rule(tree: Any, is_leaf: Any) -> Any:
    """`is_leaf` sees paths: find out which parts are leaves first, then flatten."""
    stops: set[int] = set()

    def visit(path: KeyPath, part: Any) -> None:
        if is_leaf(path, part):
            stops.add(id(part))
            return
        children, _ = tree_flatten_with_path(part, lambda x: x is not part)
        if not (len(children) == 1 and children[0][0] == ()):
            for key, child in children:
                visit((*path, *key), child)

    visit((), tree)
    return tree_flatten_with_path(tree, lambda x: id(x) in stops)


def tree_leaves_with_path(
    tree: Any, is_leaf: IsLeaf = None, is_leaf_takes_path: bool = False
) -> list[tuple[KeyPath, Any]]:
    """The leaves of a tree, each with its key path."""
    return tree_flatten_with_path(tree, is_leaf, is_leaf_takes_path)[0]


# ---- maps and sums


def tree_map(f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: IsLeaf = None) -> Any:
    """`f` on each leaf of `tree` and on what stands in the same place of the other trees.

    Example:
      >>> from pullback.tree_util import tree_map
      >>> tree_map(lambda x, y: x + y, {"a": 1, "b": (2, None)}, {"a": 10, "b": (20, None)})
      {'a': 11, 'b': (22, None)}
    """
    leaves, treedef = flatten(tree, is_leaf)
    columns = [leaves, *(_up_to(treedef, other) for other in rest)]
    return treedef.unflatten([f(*xs) for xs in zip(*columns, strict=True)])


def tree_map_with_path(
    f: Callable[..., Any],
    tree: Any,
    *rest: Any,
    is_leaf: IsLeaf = None,
    is_leaf_takes_path: bool = False,
) -> Any:
    """As `tree_map`; `f` gets the key path first."""
    found, treedef = tree_flatten_with_path(tree, is_leaf, is_leaf_takes_path)
    paths, leaves = [p for p, _ in found], [x for _, x in found]
    columns = [paths, leaves, *(_up_to(treedef, other) for other in rest)]
    return treedef.unflatten([f(*xs) for xs in zip(*columns, strict=True)])


def _up_to(treedef: PyTreeDef, other: Any) -> list[Any]:
    try:
        return treedef.flatten_up_to(other)
    except (ValueError, TypeError) as cause:
        # The words of JAX, by which programs know this error; the rest of the text is optree's.
        reason = str(cause).rstrip(".").replace("dictionary key mismatch", "Dict key mismatch")
        raise error(
            ValueError,
            f"tree_map: the trees do not have the same structure: {reason}.",
            got=f"{treedef} and {flatten(other)[1]}",
            fix="give trees with the same containers, keys and lengths; None is a container "
            "without leaves.",
        ) from cause


_MISSING = object()


def tree_reduce(
    function: Callable[[Any, Any], Any],
    tree: Any,
    initializer: Any = _MISSING,
    is_leaf: IsLeaf = None,
) -> Any:
    """`functools.reduce` over the leaves."""
    leaves = tree_leaves(tree, is_leaf)
    if initializer is _MISSING:
        if not leaves:
            raise error(
                TypeError,
                "reduce() of empty iterable with no initial value",
                got=f"{tree!r:.80}, which has no leaves",
                fix="give initializer=, the result for a tree without leaves.",
            )
        return functools.reduce(function, leaves)
    return functools.reduce(function, leaves, initializer)


def tree_reduce_associative(
    operation: Callable[[Any, Any], Any],
    tree: Any,
    *,
    identity: Any = _MISSING,
    is_leaf: IsLeaf = None,
) -> Any:
    """As `tree_reduce` for an associative operation: pairs first, as a balanced tree."""
    xs = tree_leaves(tree, is_leaf)
    if not xs:
        if identity is _MISSING:
            raise error(
                TypeError,
                "tree_reduce_associative of a tree without leaves needs an identity.",
                got=str(tree_structure(tree)),
                fix="give identity=.",
            )
        return identity
    while len(xs) > 1:
        pairs = [operation(a, b) for a, b in zip(xs[::2], xs[1::2], strict=False)]
        xs = pairs + ([xs[-1]] if len(xs) % 2 else [])
    return xs[0]


def tree_all(tree: Any, *, is_leaf: IsLeaf = None) -> bool:
    """Whether all leaves are true."""
    return all(tree_leaves(tree, is_leaf))


def all_leaves(iterable: Iterable[Any], is_leaf: IsLeaf = None) -> bool:
    """Whether all items are leaves."""
    return all(flatten(x, is_leaf)[1].is_leaf() for x in iterable)


def tree_transpose(
    outer_treedef: PyTreeDef, inner_treedef: PyTreeDef | None, pytree_to_transpose: Any
) -> Any:
    """A tree of trees with the two levels exchanged.

    Example:
      >>> from pullback.tree_util import tree_structure, tree_transpose
      >>> tree_transpose(tree_structure([0, 0]), tree_structure({"a": 0}), [{"a": 1}, {"a": 2}])
      {'a': [1, 2]}
    """
    if inner_treedef is None:
        inner_treedef = flatten(_up_to(outer_treedef, pytree_to_transpose)[0])[1]
    leaves, tree = flatten(pytree_to_transpose)
    inner, outer = inner_treedef.num_leaves, outer_treedef.num_leaves
    if len(leaves) != inner * outer:
        raise error(
            TypeError,
            "tree_transpose: the tree does not have the inner structure at each leaf of the outer.",
            got=f"{tree}, for {outer_treedef} of {inner_treedef}",
            fix="give all parts the same containers, or call tree_map on them first.",
        )
    columns = [leaves[i::inner] for i in range(inner)]
    return inner_treedef.unflatten([outer_treedef.unflatten(c) for c in columns])


def tree_broadcast(prefix_tree: Any, full_tree: Any, is_leaf: IsLeaf = None) -> Any:
    """`prefix_tree` with each leaf repeated for all leaves of `full_tree` below it."""
    leaves, treedef = flatten(prefix_tree, is_leaf)
    parts = _up_to(treedef, full_tree)
    return treedef.unflatten(
        [
            tree_map(lambda _, x=x: x, part, is_leaf=is_leaf)
            for x, part in zip(leaves, parts, strict=True)
        ]
    )


def treedef_tuple(treedefs: Iterable[PyTreeDef]) -> PyTreeDef:
    """The structure of a tuple of trees of these structures."""
    return optree.treespec_tuple(treedefs, namespace=NAMESPACE)


def treedef_children(treedef: PyTreeDef) -> list[PyTreeDef]:
    """The structures of the parts."""
    return treedef.children()


def treedef_is_leaf(treedef: PyTreeDef) -> bool:
    """Whether it is the structure of a leaf."""
    return treedef.is_leaf()


# ---- classes as containers


def register_pytree_node(
    nodetype: type[T],
    flatten_func: Callable[[T], tuple[Iterable[Any], Any]],
    unflatten_func: Callable[[Any, Any], T],
    flatten_with_keys_func: Callable[[T], tuple[Iterable[tuple[Any, Any]], Any]] | None = None,
) -> None:
    """Make `nodetype` a container.

    Args:
      nodetype: the class.
      flatten_func: from an instance to ``(children, auxiliary data)``; the data must be hashable
        and comparable.
      unflatten_func: from ``(auxiliary data, children)`` to an instance.
      flatten_with_keys_func: as `flatten_func` with ``(key, child)`` for each child.
    """

    def parts(x: Any) -> Any:
        if flatten_with_keys_func is None:
            children, rest = flatten_func(x)
            return tuple(children), rest
        pairs, rest = flatten_with_keys_func(x)
        pairs = tuple(pairs)
        return tuple(c for _, c in pairs), rest, tuple(k for k, _ in pairs)

    try:
        with warnings.catch_warnings():
            # A namedtuple may have rules of its own: the user has just said so.
            warnings.filterwarnings("ignore", "PyTree type .* is a subclass of", UserWarning)
            _register(
                nodetype,
                parts,
                unflatten_func,
                path_entry_type=optree.FlattenedEntry,
                namespace=NAMESPACE,
            )
    except (ValueError, TypeError) as cause:
        raise error(
            ValueError if isinstance(cause, ValueError) else TypeError,
            f"{nodetype!r} cannot be registered as a pytree"
            + (f": {cause}" if isinstance(cause, ValueError) else "."),
            got=f"flatten_func={flatten_func!r:.60}, unflatten_func={unflatten_func!r:.60}",
            fix="give a class and two functions; register each class once; tuples, lists, dicts "
            "and namedtuples are registered already.",
        ) from cause


def register_pytree_with_keys(
    nodetype: type[T],
    flatten_with_keys: Callable[[T], tuple[Iterable[tuple[Any, Any]], Any]],
    unflatten_func: Callable[[Any, Any], T],
    flatten_func: Callable[[T], tuple[Iterable[Any], Any]] | None = None,
) -> None:
    """As `register_pytree_node`, with keys for paths."""

    def without_keys(x: Any) -> Any:
        pairs, rest = flatten_with_keys(x)
        return [c for _, c in pairs], rest

    register_pytree_node(nodetype, flatten_func or without_keys, unflatten_func, flatten_with_keys)


def register_pytree_node_class(cls: type[T]) -> type[T]:
    """A decorator for a class with methods `tree_flatten` and (class method) `tree_unflatten`."""
    register_pytree_node(cls, lambda x: x.tree_flatten(), cls.tree_unflatten)  # type: ignore[attr-defined]
    return cls


def register_pytree_with_keys_class(cls: type[T]) -> type[T]:
    """A decorator for a class with methods `tree_flatten_with_keys` and `tree_unflatten`."""
    flatten_func = (lambda x: x.tree_flatten()) if hasattr(cls, "tree_flatten") else None
    register_pytree_with_keys(
        cls,
        lambda x: x.tree_flatten_with_keys(),  # type: ignore[attr-defined]
        cls.tree_unflatten,  # type: ignore[attr-defined]
        flatten_func,
    )
    return cls


def register_dataclass(
    nodetype: type[T] | None = None,
    data_fields: Sequence[str] | None = None,
    meta_fields: Sequence[str] | None = None,
    drop_fields: Sequence[str] = (),
) -> Any:
    """Make a dataclass a container: `data_fields` are children, `meta_fields` static data.

    Without field names, fields are data unless declared with ``field(metadata=dict(static=True))``.

    Example:
      >>> from dataclasses import dataclass, field
      >>> from pullback.tree_util import register_dataclass, tree_leaves
      >>> @register_dataclass
      ... @dataclass
      ... class Model:
      ...     weight: float
      ...     name: str = field(metadata=dict(static=True))
      >>> tree_leaves(Model(1.0, "linear"))
      [1.0]
    """
    if nodetype is None:
        return functools.partial(
            register_dataclass,
            data_fields=data_fields,
            meta_fields=meta_fields,
            drop_fields=drop_fields,
        )
    data, meta = _fields(nodetype, data_fields, meta_fields, drop_fields)

    def with_keys(x: Any) -> Any:
        pairs = tuple((GetAttrKey(n), getattr(x, n)) for n in data)
        return pairs, tuple(getattr(x, n) for n in meta)

    def without_keys(x: Any) -> Any:
        return tuple(getattr(x, n) for n in data), tuple(getattr(x, n) for n in meta)

    def rebuild(rest: Any, children: Any) -> T:
        return nodetype(
            **dict(zip(data, children, strict=True)), **dict(zip(meta, rest, strict=True))
        )

    register_pytree_node(nodetype, without_keys, rebuild, with_keys)
    return nodetype


def _fields(
    nodetype: Any, data: Any, meta: Any, drop: Any
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    is_dataclass = dataclasses.is_dataclass(nodetype)
    if data is None or meta is None:
        if not is_dataclass or (data is None) != (meta is None):
            raise error(
                TypeError,
                "register_dataclass needs data_fields and meta_fields, both or (for a dataclass) "
                "none.",
                got=f"{nodetype!r}, data_fields={data}, meta_fields={meta}",
                fix="decorate a dataclass, or name all fields.",
            )
        init = [f for f in dataclasses.fields(nodetype) if f.init and f.name not in drop]
        meta = [f.name for f in init if f.metadata.get("static", False)]
        data = [f.name for f in init if f.name not in meta]
    elif is_dataclass:
        have = {f.name for f in dataclasses.fields(nodetype) if f.init} - set(drop)
        if have != set(data) | set(meta):
            raise error(
                ValueError,
                "data_fields and meta_fields must name the init fields of the dataclass.",
                got=f"{sorted({*data, *meta})} for {sorted(have)} of {nodetype.__name__}",
                fix="name each field once, or leave it out with drop_fields.",
            )
    return tuple(data), tuple(meta)


def register_static(cls: type[T]) -> type[T]:
    """Make a class a leafless container: its instances (hashable) are part of the structure."""
    register_pytree_node(cls, lambda x: ((), x), lambda x, _: x)
    return cls


class Partial(functools.partial):  # type: ignore[type-arg]
    """`functools.partial` as a container: its arguments are children, its function is static.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback.tree_util import Partial
      >>> pullback.jit(lambda f, x: f(x))(Partial(jnp.add, 1.0), 2.0)
      Array(3., dtype=float32, weak_type=True)
    """


register_pytree_with_keys(
    Partial,
    lambda p: (((GetAttrKey("args"), p.args), (GetAttrKey("keywords"), p.keywords)), p.func),
    lambda func, parts: Partial(func, *parts[0], **parts[1]),
)


# ---- one level


def is_tree_node(typ: type) -> bool:
    """Whether objects of this class are containers.

    Example:
      >>> from pullback.tree_util import is_tree_node
      >>> is_tree_node(dict), is_tree_node(int)
      (True, False)
    """
    if typ is type(None):
        return True
    return optree.register_pytree_node.get(typ, namespace=NAMESPACE) is not None  # type: ignore[attr-defined]


def flatten_one_level(tree: Any) -> tuple[Iterable[Any], Hashable]:
    """The parts of a container, as they are, and what is needed to put them together again.

    Raises:
      ValueError: `tree` is no container.

    Example:
      >>> from pullback.tree_util import flatten_one_level
      >>> flatten_one_level({"b": 1, "a": (2, 3)})
      (((2, 3), 1), ('a', 'b'))
    """
    parts, _, data = _one_level(tree)
    return parts, data


def flatten_one_level_with_keys(tree: Any) -> tuple[Iterable[tuple[Any, Any]], Hashable]:
    """As `flatten_one_level`, each part in a pair with the key that leads to it."""
    parts, keys, data = _one_level(tree)
    return tuple(zip(keys, parts, strict=True)), data


def _one_level(tree: Any) -> tuple[Any, list[Any], Any]:
    if tree is None:
        return (), [], None
    if not is_tree_node(type(tree)):
        raise error(
            ValueError,
            f"can't tree-flatten type: {type(tree)}",
            got=f"{tree!r:.80}",
            fix="give a container; is_tree_node tells which classes are.",
        )
    leaves, _ = tree_flatten_with_path(tree, is_leaf=lambda x: x is not tree)
    keys: list[Any] = [path[0] for path, _ in leaves]
    parts = tuple(part for _, part in leaves)
    if isinstance(tree, dict):
        return parts, keys, tuple(k.key for k in keys)
    if isinstance(tree, (list, tuple)) and type(tree) in (list, tuple):
        return parts, keys, None
    found = optree.tree_flatten_one_level(tree, namespace=NAMESPACE)
    return parts, keys, type(tree) if hasattr(tree, "_fields") else found[1]


class _Registry:
    """The classes that are containers, and how they are taken apart."""

    flatten = staticmethod(tree_flatten)
    flatten_with_path = staticmethod(tree_flatten_with_path)
    flatten_one_level = staticmethod(flatten_one_level)
    flatten_one_level_with_keys = staticmethod(flatten_one_level_with_keys)
    register_node = staticmethod(register_pytree_node)

    def is_node(self, typ: type) -> bool:
        """Whether objects of this class are containers."""
        return is_tree_node(typ)


default_registry = _Registry()
"""The one registry there is."""


def static(**kwargs: Any) -> Any:
    """`dataclasses.field(**kwargs)` for a field that is no part of the tree but of its structure.

    Example:
      >>> from dataclasses import dataclass
      >>> import pullback
      >>> @pullback.tree_util.register_dataclass
      ... @dataclass
      ... class Layer:
      ...     weight: float
      ...     name: str = pullback.tree.static(default="first")
      >>> pullback.tree.leaves(Layer(2.0))
      [2.0]
    """
    metadata = {**(kwargs.pop("metadata", None) or {}), "static": True}
    return dataclasses.field(metadata=metadata, **kwargs)
