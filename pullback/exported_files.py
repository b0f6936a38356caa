"""The bytes of an exported program, in the form of JAX's own files.

They are a FlatBuffer of `_PROGRAM`: its types, its trees, the StableHLO, and in it that of the
derivative, and so on. Pullback appends a checksum, which other readers do not look at: it finds
what was cut or changed on the way. It is no signature: who makes a file can make a fitting one.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from importlib import util
from typing import Any, NamedTuple

import optree

from .core import dtypes
from .core.errors import error
from .core.pytree import NAMESPACE, PyTreeDef, flatten
from .core.types import ArrayType, array_type
from .exported_shapes import dimension
from .exported_tables import Malformed, Table, from_bytes, to_bytes

MARK = b"pullback sha256 "
"""What stands before the checksum."""
_SUM = len(MARK) + hashlib.sha256().digest_size
_DEEPEST = 100
"""Containers inside one another; Python's own stack ends at about 1000 calls."""
_FORM = 3
"""The number that JAX writes for all its forms: readers of 2025 know no other."""

# ---- the schema: the order of the fields is their number, None what is not read or written here

_TREE = Table(kind="int8")
_TREE.of(children=(_TREE,), names=("text",), custom_name="text", custom_data="bytes")
_TYPE = Table(kind="int8", shape=("text",), dtype="int8", memory="int8")
_SHARDING = Table()
_EFFECT = Table(name="text")
_CHECK = Table(kind="int8", target="text")
_PROGRAM = Table(
    form="uint16",
    fun_name="text",
    in_tree=_TREE,
    in_types=(_TYPE,),
    out_tree=_TREE,
    out_types=(_TYPE,),
    few_devices="uint16",
    in_shardings=(_SHARDING,),
    out_shardings=(_SHARDING,),
    platforms=("text",),
    ordered_effects=(_EFFECT,),
    unordered_effects=(_EFFECT,),
    disabled_checks=(_CHECK,),
    artifact="bytes",
    convention="uint16",
    kept="uint16s",
    uses_global_constants="bool",
)
_PROGRAM.of(
    vjp=_PROGRAM,
    devices="uint32",
    types=(_TYPE,),
    meshes=None,
    named_shardings=None,
    in_numbers="uint32s",
    out_numbers="uint32s",
    in_sharding_numbers="uint32s",
    out_sharding_numbers="uint32s",
)
_LEAF, _NONE, _TUPLE, _LIST, _DICT, _CUSTOM = range(6)
_DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
    "float32", "float64", "complex64", "complex128", "bfloat16", "int4", "uint4",
    "float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz",
    "float0", "float8_e4m3", "float8_e3m4", "float8_e8m0fnu", "float4_e2m1fn", "key<fry>",
    "key<rbg>", "key<urbg>",
]  # fmt: skip
_PLATFORM_CHECK, _CALL_CHECK = range(2)
_ON_DEVICE = 1


class Part(NamedTuple):
    """A program, or one of its derivatives."""

    fun_name: str
    in_tree: PyTreeDef
    out_tree: PyTreeDef
    in_avals: tuple[ArrayType, ...]
    out_avals: tuple[ArrayType, ...]
    platforms: tuple[str, ...]
    artifact: bytes
    kept: tuple[int, ...]
    """The arguments that `main` takes."""
    convention: int
    """The version of how `main` is called."""
    devices: int
    uses_global_constants: bool
    disabled_checks: tuple[str, ...]


class _Unregistered(Exception):
    """The name of a container that this process does not know."""


def packed(parts: Sequence[Part]) -> bytearray:
    """The bytes for a program and its derivatives of first, second, ... order.

    Raises:
      ValueError: a container among arguments or results has no name for files, or flatbuffers is
        not installed.
      TypeError: a dict has a key that is not a string.
      NotImplementedError: the form has no word for a dtype.
    """
    _check_installed()
    values: dict[str, Any] | None = None
    for part in reversed(parts):
        values = {**_described(part), "vjp": values}
    assert values is not None
    data = to_bytes(_PROGRAM, values)
    return bytearray(data + MARK + hashlib.sha256(data).digest())


def unpacked(blob: Any) -> tuple[list[Part], bool]:
    """What `packed`, or JAX, was given; and whether a checksum says that nothing was changed.

    Raises:
      ValueError: the bytes are not of this kind, were cut or changed, or have containers that this
        process does not know; flatbuffers is not installed.
      NotImplementedError: the program has effects.
    """
    _check_installed()
    try:
        data = bytes(memoryview(blob))
    except TypeError:
        raise refused(f"{blob!r:.80} of type {type(blob).__name__}, not bytes") from None
    summed = data[-_SUM:].startswith(MARK)
    if summed:
        whole, data = data, data[:-_SUM]
        if hashlib.sha256(data).digest() != whole[len(data) + len(MARK) :]:
            raise refused(f"{len(whole)} bytes, whose checksum is wrong: they were changed")
    try:
        return [_part(v) for v in _chain(from_bytes(_PROGRAM, data))], summed
    except Malformed as cause:
        raise refused(f"{len(data)} bytes that begin with {data[:12]!r}: {cause}") from None
    except _Unregistered as cause:
        raise error(
            ValueError,
            "export.deserialize: the program has a container that is not registered here.",
            got=f"the name {str(cause)!r}",
            fix="call export.register_pytree_node_serialization or "
            "register_namedtuple_serialization with this name first, as where it was exported.",
        ) from None
    except (KeyError, TypeError, IndexError, AttributeError, OverflowError, ValueError) as cause:
        raise refused(f"a description that cannot be understood: {cause!r:.200}") from None


def refused(why: str) -> ValueError:
    """The error for bytes that are no exported program."""
    return error(
        ValueError,
        "export.deserialize: these bytes are not an exported program.",
        got=why,
        fix="give what Exported.serialize() of Pullback or of JAX gave, whole.",
    )


def _check_installed() -> None:
    if util.find_spec("flatbuffers") is None:
        raise error(
            ValueError,
            "pullback.export needs the package flatbuffers, which is not installed.",
            fix="install it: pip install 'pullback[xla]'.",
        )


def _described(p: Part) -> dict[str, Any]:
    types = list(dict.fromkeys(_of_type(t) for t in (*p.in_avals, *p.out_avals)))
    numbers = {t: i for i, t in enumerate(types)}
    ins, outs = ([_of_type(t) for t in ts] for ts in (p.in_avals, p.out_avals))
    checks = [c.partition(":") for c in p.disabled_checks]
    return {
        "form": _FORM,
        "fun_name": p.fun_name,
        "in_tree": _of_tree(p.in_tree),
        "in_types": [_fields(t) for t in ins],
        "out_tree": _of_tree(p.out_tree),
        "out_types": [_fields(t) for t in outs],
        "few_devices": p.devices,
        "in_shardings": [{} for _ in ins],
        "out_shardings": [{} for _ in outs],
        "platforms": p.platforms,
        "ordered_effects": [],
        "unordered_effects": [],
        "disabled_checks": [
            {"kind": _CALL_CHECK if name else _PLATFORM_CHECK, "target": name or None}
            for _, _, name in checks
        ],
        "artifact": p.artifact,
        "convention": p.convention,
        "kept": p.kept,
        "uses_global_constants": p.uses_global_constants,
        "devices": p.devices,
        "types": [_fields(t) for t in types],
        "in_numbers": [numbers[t] for t in ins],
        "out_numbers": [numbers[t] for t in outs],
        "in_sharding_numbers": [0 for _ in ins],
        "out_sharding_numbers": [0 for _ in outs],
    }


def _chain(values: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    while values is not None:
        yield values
        values = values["vjp"]


def _part(v: dict[str, Any]) -> Part:
    effects = [str(e["name"]) for e in (*v["ordered_effects"], *v["unordered_effects"])]
    if effects:
        raise error(
            NotImplementedError,
            "export.deserialize: the program has effects, such as printing.",
            got=f"{v['fun_name']!r} with {', '.join(effects)}",
            fix="leave them out where it is exported.",
        )
    trees = _tree(v["in_tree"]), _tree(v["out_tree"])
    ins = _types(v["in_numbers"], v["types"], v["in_types"])
    outs = _types(v["out_numbers"], v["types"], v["out_types"])
    if [t.num_leaves for t in trees] != [len(ins), len(outs)]:
        raise ValueError("numbers of arrays")
    kept = tuple(v["kept"])
    if list(kept) != sorted(set(kept)) or any(i >= len(ins) for i in kept):
        raise ValueError(f"arguments {kept} of {len(ins)}")
    if not v["platforms"] or v["fun_name"] is None:
        raise ValueError("no platform or no name")
    return Part(
        v["fun_name"],
        *trees,
        ins,
        outs,
        tuple(v["platforms"]),
        v["artifact"],
        kept,
        v["convention"],
        v["devices"] or v["few_devices"],
        v["uses_global_constants"],
        tuple(map(_check, v["disabled_checks"])),
    )


def _check(v: dict[str, Any]) -> str:
    return f"custom_call:{v['target']}" if v["kind"] == _CALL_CHECK else "platform"


# ---- types

_Described = tuple[tuple[str, ...], int]
"""The lengths of the axes, and the number of the dtype."""


def _of_type(t: ArrayType) -> _Described:
    name = dtypes.long_name(t.dtype)
    if t.dtype == dtypes.float0:
        name = "float0"
    if name not in _DTYPES:
        raise error(
            NotImplementedError,
            "Exported.serialize: the form of exported files has no such dtype.",
            got=name,
            fix="convert arguments and results to another one.",
        )
    return tuple(map(str, t.shape)), _DTYPES.index(name)


def _fields(t: _Described) -> dict[str, Any]:
    return {"kind": 0, "shape": t[0], "dtype": t[1], "memory": _ON_DEVICE}


def _types(numbers: Sequence[int], unique: Sequence[Any], listed: Any) -> tuple[ArrayType, ...]:
    return tuple([_type(v) for v in ([unique[n] for n in numbers] or listed)])


def _type(v: dict[str, Any]) -> ArrayType:
    if v["kind"]:
        raise ValueError("an argument that is not an array")
    try:
        shape = tuple(map(dimension, v["shape"]))
    except ValueError:
        raise Malformed(f"an axis of length {v['shape']!r:.80}") from None
    return array_type(shape, _dtype(_DTYPES[v["dtype"]]))


def _dtype(name: str) -> Any:
    if name == "float0":
        return dtypes.float0
    if name.startswith("key<"):
        return dtypes.KEY_TYPES[name[4:-1]]
    return dtypes.as_dtype(name)


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


def _of_tree(tree: PyTreeDef) -> dict[str, Any]:
    if tree.is_leaf():
        return {"kind": _LEAF}
    kind: Any = tree.type
    if kind is type(None):
        return {"kind": _NONE}
    parts = [_of_tree(c) for c in tree.children()] or None
    if kind in (tuple, list):
        return {"kind": _TUPLE if kind is tuple else _LIST, "children": parts}
    if kind is dict:
        return {"kind": _DICT, "children": parts, "names": _names(tree) or None}
    entry = _by_kind.get(kind)
    if entry is None:
        raise error(
            ValueError,
            "export: an argument or a result has a container that cannot be written to a file.",
            got=f"{kind}",
            fix="use tuples, lists and dicts, or export.register_pytree_node_serialization, "
            "register_namedtuple_serialization.",
        )
    data = entry.write(_rest(tree))
    if not isinstance(data, bytes | bytearray):
        raise error(
            ValueError,
            "export: serialize_auxdata of a container did not give bytes.",
            got=f"{data!r:.80} for {kind}",
            fix="return bytes, such as json.dumps(aux).encode().",
        )
    return {"kind": _CUSTOM, "children": parts, "custom_name": entry.name, "custom_data": data}


def _names(tree: PyTreeDef) -> list[str]:
    names = list(tree.entries())
    if not all(isinstance(k, str) for k in names):
        raise error(
            TypeError,
            "export: dictionaries among arguments and results need strings as keys.",
            got=f"a dict with keys {names!r:.80}",
            fix="use strings, or another container.",
        )
    return names


def rebuilt(kind: type, rest: Any, parts: Sequence[Any]) -> Any:
    """An instance of a class that is registered as a container."""
    return known_container(kind).unflatten_func(rest, tuple(parts))


def known_container(kind: type) -> Any:
    """How containers of this class are taken apart and put together; None if it is not one."""
    return optree.register_pytree_node.get(kind, namespace=NAMESPACE)  # type: ignore[attr-defined]


def _rest(tree: PyTreeDef) -> Any:
    """What the topmost container has beside its parts."""
    flat: Any = optree.tree_flatten_one_level(
        tree.unflatten(range(tree.num_leaves)), namespace=NAMESPACE
    )
    return flat[1]


def _tree(described: dict[str, Any] | None) -> PyTreeDef:
    if described is None:
        raise ValueError("no tree")
    return flatten(_example(described))[1]


def _example(v: dict[str, Any], depth: int = 0) -> Any:
    """An instance, with 0 for each array."""
    kind = v["kind"]
    if depth > _DEEPEST:
        raise ValueError("depth")
    if kind in (_LEAF, _NONE):
        return 0 if kind == _LEAF else None
    inner = [_example(p, depth + 1) for p in v["children"]]
    if kind in (_TUPLE, _LIST):
        return tuple(inner) if kind == _TUPLE else inner
    if kind == _DICT:
        return dict(zip(v["names"], inner, strict=True))
    if kind != _CUSTOM:
        raise ValueError(f"a container of kind {kind}")
    entry = _by_name.get(v["custom_name"])
    if entry is None:
        raise _Unregistered(v["custom_name"])
    return entry.build(v["custom_data"], inner)


def names_to_bytes(names: Sequence[str]) -> bytes:
    """The keys or fields of a container, as JAX's files have them."""
    return json.dumps(list(names)).encode()


def _ordered(data: bytes, parts: Sequence[Any]) -> Any:
    return OrderedDict(zip(json.loads(data), parts, strict=True))


register(Registered(OrderedDict, "collections.OrderedDict", names_to_bytes, _ordered))

__all__ = [
    "MARK",
    "Part",
    "Registered",
    "known_container",
    "names_to_bytes",
    "packed",
    "rebuilt",
    "refused",
    "register",
    "unpacked",
]
