"""The bytes of an exported program: a checksummed header, types and trees as JSON, StableHLO.

The layout: `MAGIC`, the SHA-256 of all that follows, the length of the JSON in 8 bytes, the JSON,
and the StableHLO of the program and of its derivatives, one after the other. The checksum finds
what was cut or changed on the way. It is no signature: who makes a file can make a fitting one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import optree

from .core import dtypes
from .core.errors import error
from .core.pytree import NAMESPACE, PyTreeDef, flatten
from .core.types import ArrayType, array_type

MAGIC = b"pullback export 1\n"
_SUM = hashlib.sha256().digest_size
_LENGTH = 8
_DEEPEST = 100
"""Containers inside one another; Python's own stack ends at about 1000 calls."""


class Part(NamedTuple):
    """A program, or one of its derivatives."""

    fun_name: str
    in_tree: PyTreeDef
    out_tree: PyTreeDef
    in_avals: tuple[ArrayType, ...]
    out_avals: tuple[ArrayType, ...]
    platforms: tuple[str, ...]
    artifact: bytes


def packed(parts: Sequence[Part]) -> bytearray:
    """The bytes for a program and its derivatives of first, second, ... order.

    Raises:
      ValueError: a container among arguments or results has no name for files.
    """
    head = json.dumps([_described(p) for p in parts]).encode()
    rest = b"".join([len(head).to_bytes(_LENGTH, "big"), head, *[p.artifact for p in parts]])
    return bytearray(MAGIC + hashlib.sha256(rest).digest() + rest)


def unpacked(blob: Any) -> list[Part]:
    """What `packed` was given.

    Raises:
      ValueError: the bytes are not of this kind, were cut or changed, or have containers that this
        process does not know.
    """
    try:
        data = bytes(memoryview(blob))
    except TypeError:
        raise refused(f"{blob!r:.80} of type {type(blob).__name__}, not bytes") from None
    if not data.startswith(MAGIC):
        raise refused(f"{len(data)} bytes that begin with {data[:20]!r}")
    start = len(MAGIC) + _SUM
    rest = data[start:]
    if hashlib.sha256(rest).digest() != data[len(MAGIC) : start]:
        raise refused(f"{len(data)} bytes, whose checksum is wrong: they were cut or changed")
    try:
        return _parts(rest)
    except (
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
        ValueError,
    ) as cause:
        if str(cause).startswith("export"):
            raise
        raise refused(f"a header that cannot be understood: {cause!r:.200}") from None


def refused(why: str) -> ValueError:
    """The error for bytes that are no exported program."""
    return error(
        ValueError,
        "export.deserialize: these bytes are not a program that Pullback exported.",
        got=why,
        fix="give what Exported.serialize() gave, whole; files of jax.export have another form.",
    )


def _parts(rest: bytes) -> list[Part]:
    end = _LENGTH + int.from_bytes(rest[:_LENGTH], "big")
    described = json.loads(rest[_LENGTH:end])
    parts = []
    for d in described:
        stop = end + _count(d["size"])
        trees = _tree(d["in_tree"]), _tree(d["out_tree"])
        types = tuple(map(_type, d["in_avals"])), tuple(map(_type, d["out_avals"]))
        if any(t.num_leaves != len(ts) for t, ts in zip(trees, types, strict=True)):
            raise ValueError("numbers of arrays")
        platforms = tuple(map(str, d["platforms"]))
        parts.append(Part(str(d["fun_name"]), *trees, *types, platforms, rest[end:stop]))
        end = stop
    if not parts or end != len(rest):
        raise ValueError("lengths of programs")
    return parts


def _count(n: Any) -> int:
    if type(n) is not int or n < 0:
        raise ValueError(f"{n!r:.40} is not a length")
    return n


def _described(p: Part) -> dict[str, Any]:
    return {
        "fun_name": p.fun_name,
        "in_tree": _of_tree(p.in_tree),
        "out_tree": _of_tree(p.out_tree),
        "in_avals": [_of_type(t) for t in p.in_avals],
        "out_avals": [_of_type(t) for t in p.out_avals],
        "platforms": list(p.platforms),
        "size": len(p.artifact),
    }


# ---- types


def _of_type(t: ArrayType) -> list[Any]:
    return [list(t.shape), dtypes.long_name(t.dtype), t.weak_type]


def _type(described: Any) -> ArrayType:
    shape, name, weak = described
    return array_type(tuple([_count(n) for n in shape]), _dtype(name), bool(weak))


def _dtype(name: str) -> Any:
    if name == "float0":
        return dtypes.float0
    for key in dtypes.KEY_TYPES.values():
        if dtypes.long_name(key) == name:
            return key
    dtype = dtypes.as_dtype(name)
    if not dtypes.is_storable(dtype):
        raise ValueError(f"dtype {name}")
    return dtype


# ---- trees


class Registered(NamedTuple):
    """How instances of a class are written to files."""

    kind: type
    name: str
    write: Callable[[Any], bytes]
    """From what the class has beside its parts to bytes."""
    build: Callable[[bytes, Sequence[Any]], Any]
    """From these bytes and the parts to an instance."""


_by_kind: dict[type, Registered] = {}
_by_name: dict[str, Registered] = {}


def register(entry: Registered) -> None:
    """Let instances of a class be among arguments and results of exported programs.

    Raises:
      ValueError: the class, or the name, is registered already.
    """
    for known in (_by_kind.get(entry.kind), _by_name.get(entry.name)):
        if known is not None:
            raise error(
                ValueError,
                "export: a class and a name for files can be registered once.",
                got=f"{entry.name!r} for {entry.kind}; {known.name!r} is {known.kind}",
                fix="use another name, one for each class.",
            )
    _by_kind[entry.kind] = _by_name[entry.name] = entry


def _of_tree(tree: PyTreeDef) -> Any:
    """As JSON: "*" for a leaf, null for None, else the name of the kind, its keys, its parts."""
    if tree.is_leaf():
        return "*"
    kind: Any = tree.type
    if kind is type(None):
        return None
    parts = [_of_tree(c) for c in tree.children()]
    if kind in (tuple, list):
        return [kind.__name__, None, parts]
    if kind is dict and all(type(k) in (str, int, bool) for k in tree.entries()):
        return ["dict", list(tree.entries()), parts]
    entry = _by_kind.get(kind)
    if entry is None:
        raise error(
            ValueError,
            "export: an argument or a result has a container that cannot be written to a file.",
            got=f"a dict with keys {tree.entries()}" if kind is dict else f"{kind}",
            fix="use tuples, lists and dicts with strings or integers as keys, or "
            "export.register_pytree_node_serialization, register_namedtuple_serialization.",
        )
    return ["class " + entry.name, entry.write(_rest(tree)).hex(), parts]


def rebuilt(kind: type, rest: Any, parts: Sequence[Any]) -> Any:
    """An instance of a class that is registered as a container."""
    known: Any = optree.register_pytree_node.get(kind, namespace=NAMESPACE)  # type: ignore[attr-defined]
    return known.unflatten_func(rest, tuple(parts))


def _rest(tree: PyTreeDef) -> Any:
    """What the topmost container has beside its parts."""
    flat: Any = optree.tree_flatten_one_level(
        tree.unflatten(range(tree.num_leaves)), namespace=NAMESPACE
    )
    return flat[1]


def _tree(described: Any) -> PyTreeDef:
    return flatten(_example(described))[1]


def _example(described: Any, depth: int = 0) -> Any:
    """An instance, with 0 for each array."""
    if described == "*":
        return 0
    if described is None:
        return None
    kind, keys, parts = described
    if depth > _DEEPEST:
        raise ValueError("depth")
    inner = [_example(p, depth + 1) for p in parts]
    if kind in ("tuple", "list"):
        return tuple(inner) if kind == "tuple" else inner
    if kind == "dict":
        return dict(zip(keys, inner, strict=True))
    mark, _, name = kind.partition(" ")
    if mark != "class":
        raise ValueError(f"{kind!r:.40} is not a container")
    entry = _by_name.get(name)
    if entry is None:
        raise error(
            ValueError,
            "export.deserialize: the program has a container that is not registered here.",
            got=f"the name {name!r}",
            fix="call export.register_pytree_node_serialization or "
            "register_namedtuple_serialization with this name first, as where it was exported.",
        )
    return entry.build(bytes.fromhex(keys), inner)


__all__ = ["MAGIC", "Part", "Registered", "packed", "rebuilt", "refused", "register", "unpacked"]
