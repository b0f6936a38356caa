"""Programs as bytes that outlive the process: `jax.export`. They are portable StableHLO.

It needs jaxlib (`pip install 'pullback[xla]'`), which is not imported before it is used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from . import exported_files as files
from .api import vjp
from .control.call import jit_p
from .core.errors import error, noted_error
from .core.lazy import lazy
from .core.pytree import flatten, prefix_leaves
from .core.sharding import Sharding
from .core.trace import type_of
from .exported_programs import VERSIONS, DisabledSafetyCheck, Exported, check_jaxlib
from .exported_shapes import Length, SymbolicScope, shape_of
from .jit import jit
from .sharded_calls import on_devices
from .stages import ShapeDtypeStruct, Traced, Wrapped, struct

xla = lazy("pullback.engines.xla.exported")

T = TypeVar("T")

minimum_supported_calling_convention_version = VERSIONS[0]
maximum_supported_calling_convention_version = VERSIONS[1]

_PLATFORMS = ("cpu", "cuda")


# ---- from functions


def export(
    fun_jit: Wrapped,
    *,
    platforms: Sequence[str] | None = None,
    disabled_checks: Sequence[DisabledSafetyCheck] = (),
) -> Callable[..., Exported]:
    """The function of arrays, or ShapeDtypeStructs, that exports `fun_jit` for their types.

    Args:
      fun_jit: what `jit` returned.
      platforms: some of "cpu" and "cuda"; the CPU, if it is None.
      disabled_checks: what the program is excused from where it is run.

    Raises:
      ValueError: it is not what `jit` returned; jaxlib is not installed; a platform is unknown.
      NotImplementedError: when it is called with types: the function calls Python, also for an
        operation that XLA has not; it is for several devices.
      InconclusiveDimensionOperation: it needs the value of a length that is an expression.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback import export
      >>> f = pullback.jit(lambda x: jnp.sin(x).sum())
      >>> blob = export.export(f)(pullback.ShapeDtypeStruct((3,), "float32")).serialize(vjp_order=1)
      >>> g = export.deserialize(blob)  # in another process, or with jax.export, say
      >>> print(g.in_avals, pullback.grad(g.call)(jnp.zeros(3)))
      (ShapedArray(float32[3]),) [1. 1. 1.]
    """
    if not (isinstance(fun_jit, Wrapped) and hasattr(fun_jit, "_calls")):
        raise noted_error(
            ValueError,
            f"Function to be exported must be the result of `jit` but is: {fun_jit}",
            fix="export.export(jit(f))(...)",
        )
    chosen = _platforms(platforms)
    excused = _excused(disabled_checks)
    check_jaxlib()

    def exporter(*args: Any, **kwargs: Any) -> Exported:
        places = fun_jit._calls.places  # type: ignore[attr-defined]
        conditions = _conditions(flatten((args, kwargs))[0])
        traced = fun_jit.trace(*args, **kwargs)
        elsewhere = places.ins is not None or places.outs is not None
        elsewhere |= any(map(_is_spread, flatten((args, kwargs))[0]))
        if elsewhere or on_devices(traced.jaxpr) is not None:
            raise error(
                NotImplementedError,
                "export: the function is for several devices, or for one of them.",
                got=traced.fun_name,
                fix="leave in_shardings, out_shardings and sharding constraints out, and describe "
                "arguments that are spread by ShapeDtypeStruct(x.shape, x.dtype).",
            )
        return _exported(traced, chosen, excused, conditions)

    return exporter


def _is_spread(x: Any) -> bool:
    """Whether an argument, or what describes it, is on several devices."""
    sharding = getattr(x, "sharding", None)
    return isinstance(sharding, Sharding) and sharding.num_devices > 1


def _conditions(leaves: Sequence[Any]) -> tuple[Any, ...]:
    """What the scope of all lengths that are expressions knows of them."""
    lengths = [n for x in leaves for n in getattr(x, "shape", ()) if isinstance(n, Length)]
    scopes = {id(n.scope): n.scope for n in lengths if n.scope is not None}
    if len(scopes) > 1:
        raise error(
            ValueError,
            "export: the lengths of the arguments are of several scopes.",
            got=", ".join(sorted({str(n) for n in lengths})),
            fix="make them in one call of symbolic_shape, or give each call the same scope.",
        )
    return next((s.constraints for s in scopes.values() if s is not None), ())


def _platforms(platforms: Any) -> tuple[str, ...]:
    if platforms is None:
        return (default_export_platform(),)
    known = not isinstance(platforms, str) and all(p in _PLATFORMS for p in platforms)
    if not known or not platforms or len(set(platforms)) < len(platforms):
        raise error(
            ValueError,
            "export: unknown platforms.",
            got=f"platforms={platforms!r}",
            fix='use ("cpu",), ("cuda",) or ("cpu", "cuda"), or leave it out.',
        )
    return tuple(platforms)


def _excused(checks: Any) -> tuple[DisabledSafetyCheck, ...]:
    found = tuple(checks)
    if not all(isinstance(c, DisabledSafetyCheck) for c in found):
        raise error(
            TypeError,
            "export: disabled_checks has something else than checks.",
            got=f"{found!r:.80}",
            fix="give DisabledSafetyCheck.platform() or DisabledSafetyCheck.custom_call(name).",
        )
    return found


def _exported(
    traced: Traced,
    platforms: tuple[str, ...],
    excused: tuple[DisabledSafetyCheck, ...],
    conditions: tuple[Any, ...],
) -> Exported:
    closed, in_tree = traced.jaxpr, traced.in_tree
    if len(closed.in_avals) != in_tree.num_leaves:
        raise error(
            NotImplementedError,
            "export: the function uses traced values of a function around it.",
            got=traced.fun_name,
            fix="give them as arguments.",
        )

    def cotangents(exported: Exported) -> Exported:
        ins, outs = exported.in_avals, exported.out_avals

        def flat(*leaves: Any) -> Any:
            return jit_p(*leaves, jaxpr=closed, name=traced.fun_name)

        def fun_vjp(*leaves_and_cts: Any) -> Any:
            back = vjp(flat, *leaves_and_cts[: len(ins)])[1]
            return back([*leaves_and_cts[len(ins) :]])

        fun_vjp.__name__ = f"{exported.fun_name}_vjp"
        types = [*ins, *[t.tangent() for t in outs]]
        traced_vjp = jit(fun_vjp).trace(*map(struct, types))  # type: ignore[attr-defined]
        return _exported(traced_vjp, platforms, excused, conditions)

    return Exported(
        fun_name=traced.fun_name,
        in_tree=in_tree,
        in_avals=tuple(closed.in_avals),
        out_tree=traced.out_tree,
        out_avals=tuple(closed.out_avals),
        platforms=platforms,
        mlir_module_serialized=xla.exported(closed, platforms, conditions),
        module_kept_var_idx=tuple(range(len(closed.in_avals))),
        _get_vjp=cotangents,
        disabled_safety_checks=excused,
        uses_global_constants=len(platforms) > 1 or _is_symbolic(closed.in_avals),
    )


def _is_symbolic(types: Sequence[Any]) -> bool:
    return any(isinstance(n, Length) for t in types for n in t.shape)


# ---- from bytes


def deserialize(blob: bytes | bytearray) -> Exported:
    """The exported function in the bytes that `Exported.serialize` gave, here or in JAX.

    Bytes of Pullback that were cut or changed are found by their checksum. Those of JAX have none:
    another process reads them first, as a damaged module could bring this one down, and a changed
    constant stays unseen. Either way a program computes what its author wanted, so take none from
    people you do not trust.

    Raises:
      ValueError: the bytes are something else, or a container among arguments or results is not
        registered; jaxlib or flatbuffers is not installed.
      NotImplementedError: the program has effects.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback import export
      >>> made = export.export(pullback.jit(jnp.cumsum))(pullback.ShapeDtypeStruct((3,), "int32"))
      >>> print(export.deserialize(made.serialize()).call(jnp.arange(3)))
      [0 1 3]
    """
    check_jaxlib()
    found: Exported | None = None
    parts, whole = files.unpacked(blob)
    texts = [None] * len(parts) if whole else _read_elsewhere(parts)
    for part, text in reversed([*zip(parts, texts, strict=True)]):
        found = Exported(
            fun_name=part.fun_name,
            in_tree=part.in_tree,
            in_avals=part.in_avals,
            out_tree=part.out_tree,
            out_avals=part.out_avals,
            platforms=part.platforms,
            mlir_module_serialized=part.artifact,
            module_kept_var_idx=part.kept,
            _get_vjp=None if found is None else _always(found),
            nr_devices=part.devices,
            disabled_safety_checks=tuple(map(DisabledSafetyCheck, part.disabled_checks)),
            calling_convention_version=_known(part.convention),
            uses_global_constants=part.uses_global_constants,
            _raw=text,
        )
        _ = found.text  # or raise
    assert found is not None
    return found


def _read_elsewhere(parts: Sequence[files.Part]) -> list[str]:
    try:
        return xla.texts_of([p.artifact for p in parts])  # type: ignore[no-any-return]
    except ValueError as mistake:
        raise files.refused(str(mistake)) from None


def _known(version: int) -> int:
    first = minimum_supported_calling_convention_version
    last = maximum_supported_calling_convention_version
    if not first <= version <= last:
        raise files.refused(f"calling convention {version}, where {first} to {last} are known")
    return version


def _always(exported: Exported) -> Callable[[Exported], Exported]:
    return lambda _: exported


# ---- containers


def register_pytree_node_serialization(
    nodetype: type[T],
    *,
    serialized_name: str,
    serialize_auxdata: Callable[[Any], bytes],
    deserialize_auxdata: Callable[[bytes], Any],
    from_children: Callable[[Any, Sequence[Any]], Any] | None = None,
) -> type[T]:
    """Let instances of a registered class be among arguments and results of exported functions.

    Args:
      nodetype: the class, which `register_pytree_node` or a relative of it knows.
      serialized_name: what it is called in the bytes.
      serialize_auxdata, deserialize_auxdata: from its auxiliary data to bytes and back.
      from_children: from auxiliary data and children to an instance; by default as registered.

    Raises:
      ValueError: the class or the name is registered already; the class is no registered container,
        and `from_children` is not given.

    Returns:
      `nodetype`.
    """

    def build(written: bytes, children: Sequence[Any]) -> Any:
        rest = deserialize_auxdata(written)
        if from_children is not None:
            return from_children(rest, tuple(children))
        return files.rebuilt(nodetype, rest, children)

    if from_children is None and files.known_container(nodetype) is None:
        raise error(
            ValueError,
            "export.register_pytree_node_serialization: the class is not a registered container.",
            got=f"{nodetype}",
            fix="call tree_util.register_pytree_node before, or give from_children.",
        )
    files.register(files.Registered(nodetype, serialized_name, serialize_auxdata, build))
    return nodetype


def register_namedtuple_serialization(nodetype: type[T], *, serialized_name: str) -> type[T]:
    """The same for a named tuple: `serialized_name` is what it is called in the bytes.

    Raises:
      ValueError: the class or the name is registered already, or the class is no named tuple.

    Example:
      >>> from typing import NamedTuple
      >>> from pullback import export
      >>> class Point(NamedTuple):
      ...     x: float
      ...     y: float
      >>> export.register_namedtuple_serialization(Point, serialized_name="docs.Point") is Point
      True
    """

    fields = getattr(nodetype, "_fields", None)
    if not (isinstance(fields, tuple) and issubclass(nodetype, tuple)):
        raise error(
            ValueError,
            "export.register_namedtuple_serialization: the class is not a named tuple.",
            got=f"{nodetype}",
            fix="use register_pytree_node_serialization for other classes.",
        )

    def write(rest: Any) -> bytes:
        return files.names_to_bytes(fields)

    def build(written: bytes, children: Sequence[Any]) -> Any:
        return nodetype(**dict(zip(json.loads(written), children, strict=True)))

    files.register(files.Registered(nodetype, serialized_name, write, build))
    return nodetype


# ---- lengths of axes that are expressions


def symbolic_shape(
    shape_spec: str | None,
    *,
    constraints: Sequence[str] = (),
    scope: SymbolicScope | None = None,
    like: Sequence[Any] | None = None,
) -> tuple[Any, ...]:
    """The lengths in a text: numbers, and expressions of names, which stand for 1 or more.

    Args:
      shape_spec: such as "b, 2*b, 4"; `_` and `...` are the lengths of `like`, as is None.
      constraints: what is known, such as "a >= b", for a new scope.
      scope: where the names belong, if they are to be used with those of other shapes.
      like: a shape.

    Raises:
      ValueError: it cannot be read, does not fit `like`, or there are constraints and a scope.

    Example:
      >>> from pullback import export
      >>> export.symbolic_shape("b, 2*b + 1, 4")
      (b, 2*b + 1, 4)
    """
    return shape_of("..." if shape_spec is None else shape_spec, _scope(constraints, scope), like)


def symbolic_args_specs(
    args: Any,
    shapes_specs: Any,
    constraints: Sequence[str] = (),
    scope: SymbolicScope | None = None,
) -> Any:
    """ShapeDtypeStructs for arguments, with the lengths that `symbolic_shape` reads.

    Args:
      args: arrays, or what has shape and dtype, in containers.
      shapes_specs: texts in the same containers, or one for all arrays in a container.
      constraints, scope: see `symbolic_shape`.

    Raises:
      ValueError: as `symbolic_shape`, and if the containers do not fit.

    Example:
      >>> import numpy as np
      >>> from pullback import export
      >>> x, w = export.symbolic_args_specs((np.ones((2, 3)), np.ones(3)), ("b, _", "_"))
      >>> x.shape, w.shape, x.dtype
      ((b, 3), (3,), dtype('float32'))
    """
    shared = _scope(constraints, scope)
    texts = prefix_leaves("shapes_specs", shapes_specs, args)
    leaves, tree = flatten(args)

    def one(x: Any, text: str | None) -> ShapeDtypeStruct:
        t = type_of(x) if not isinstance(x, ShapeDtypeStruct) else x
        return ShapeDtypeStruct(symbolic_shape(text, scope=shared, like=t.shape), t.dtype)

    return tree.unflatten([one(x, text) for x, text in zip(leaves, texts, strict=True)])


def _scope(constraints: Sequence[str], scope: SymbolicScope | None) -> SymbolicScope:
    if scope is not None and constraints:
        raise error(
            ValueError,
            "export: constraints belong to a new scope, and a scope was given as well.",
            got=f"constraints={list(constraints)!r}",
            fix="give the constraints to SymbolicScope(...).",
        )
    return SymbolicScope(constraints) if scope is None else scope


def is_symbolic_dim(p: Any) -> bool:
    """Whether the length of an axis is an expression."""
    return isinstance(p, Length)


def default_export_platform() -> str:
    """The platform that programs are exported for: "cpu"."""
    return "cpu"


__all__ = [
    "DisabledSafetyCheck",
    "Exported",
    "SymbolicScope",
    "default_export_platform",
    "deserialize",
    "export",
    "is_symbolic_dim",
    "maximum_supported_calling_convention_version",
    "minimum_supported_calling_convention_version",
    "register_namedtuple_serialization",
    "register_pytree_node_serialization",
    "symbolic_args_specs",
    "symbolic_shape",
]
