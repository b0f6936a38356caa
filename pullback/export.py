"""Programs as bytes that outlive the process: `jax.export`. They are portable StableHLO.

It needs jaxlib (`pip install 'pullback[xla]'`), which is not imported before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn, TypeVar

from . import checks
from . import exported_files as files
from .api import vjp
from .control.call import jit_p
from .control.callbacks import call_exported_p
from .core import dtypes
from .core.errors import error, noted_error
from .core.lazy import lazy
from .core.pytree import PyTreeDef, flatten, flatten_call, leaf_paths
from .core.types import ArrayType
from .custom import custom_vjp
from .engines.choice import jaxlib_is_installed
from .jit import jit
from .sharded_calls import on_devices
from .stages import Traced, Wrapped, struct

xla = lazy("pullback.engines.xla.exported")

T = TypeVar("T")

minimum_supported_calling_convention_version = 9
maximum_supported_calling_convention_version = 10

_PLATFORMS = ("cpu", "cuda")


@dataclass(frozen=True, eq=False)
class Exported:
    """A function for arguments of given types, as portable StableHLO.

    Attributes:
      fun_name: the name of the function.
      in_tree, out_tree: the structures of ``(args, kwargs)`` and of the result.
      in_avals, out_avals: the types of the arrays among them.
      platforms: what it was exported for: one of "cpu", "cuda".
      mlir_module_serialized: the StableHLO as portable bytes. Its function `main` takes the arrays
        of the arguments and gives those of the result; a random key is a number of 64 bits.
      calling_convention_version: that of `main`, as JAX counts: 10.
      module_kept_var_idx: the arrays of the arguments that `main` takes: all of them.
      nr_devices: 1.
      disabled_safety_checks, ordered_effects, unordered_effects: empty.
      uses_global_constants: False: no axis has an unknown length.
    """

    fun_name: str
    in_tree: PyTreeDef
    in_avals: tuple[ArrayType, ...]
    out_tree: PyTreeDef
    out_avals: tuple[ArrayType, ...]
    platforms: tuple[str, ...]
    mlir_module_serialized: bytes
    _get_vjp: Callable[[Exported], Exported] | None = None
    nr_devices: int = 1
    ordered_effects: tuple[Any, ...] = ()
    unordered_effects: tuple[Any, ...] = ()
    disabled_safety_checks: tuple[Any, ...] = ()
    calling_convention_version: int = maximum_supported_calling_convention_version
    uses_global_constants: bool = False

    def __str__(self) -> str:
        return f"Exported(fun_name={self.fun_name}, ...)"

    @property
    def module_kept_var_idx(self) -> tuple[int, ...]:
        """See the class."""
        return tuple(range(len(self.in_avals)))

    @cached_property
    def text(self) -> str:
        """The StableHLO, of which it is known that it has the types that it should have.

        Raises:
          ValueError: it has not.
        """
        _check_jaxlib()
        try:
            return str(xla.checked_text(self.mlir_module_serialized, self.in_avals, self.out_avals))
        except ValueError as mistake:
            raise files.refused(str(mistake)) from None

    @cached_property
    def run(self) -> Callable[..., tuple[Any, ...]]:
        """The program compiled for this process, from NumPy arrays to NumPy arrays.

        Raises:
          ValueError: it is for another platform.
        """
        if "cpu" not in self.platforms:
            raise noted_error(
                ValueError,
                f"Function '{self.fun_name}' was exported for platforms '{self.platforms}' but it "
                "is used on '('cpu',)'.",
                fix='export it with platforms=("cpu",).',
            )
        return xla.compiled(self.text, self.in_avals, self.out_avals)  # type: ignore[no-any-return]

    def mlir_module(self) -> str:
        """The StableHLO as text."""
        return self.text

    def has_vjp(self) -> bool:
        """Whether `vjp` gives something."""
        return self._get_vjp is not None

    def vjp(self) -> Exported:
        """The function from the arrays of the arguments, and cotangents of those of the result, to
        cotangents of those of the arguments. Where these are integers, they are of dtype float0.

        Raises:
          ValueError: the bytes that this comes from have no derivative of this order.
        """
        if self._get_vjp is None:
            raise noted_error(
                ValueError,
                "No VJP is available",
                got=f"the exported function {self.fun_name!r}",
                fix="serialize it with serialize(vjp_order=n), n the order of derivatives.",
            )
        return self._vjp

    @cached_property
    def _vjp(self) -> Exported:
        return self._get_vjp(self)  # type: ignore[misc]

    def serialize(self, vjp_order: int = 0) -> bytearray:
        """The bytes for `deserialize`, with derivatives up to this order.

        Raises:
          ValueError: an argument or a result is in a container that is not registered, or there is
            no derivative of this order.
        """
        if type(vjp_order) is not int or vjp_order < 0:
            raise error(
                ValueError,
                "Exported.serialize: vjp_order is not the order of a derivative.",
                got=f"vjp_order={vjp_order!r}",
                fix="give 0, 1, 2, ...",
            )
        parts, one = [self._part()], self
        for _ in range(vjp_order):
            one = one.vjp()
            parts.append(one._part())
        return files.packed(parts)

    def _part(self) -> files.Part:
        trees, types = (self.in_tree, self.out_tree), (self.in_avals, self.out_avals)
        return files.Part(
            self.fun_name, *trees, *types, self.platforms, self.mlir_module_serialized
        )

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Run it: at once, in `jit`, `vmap` (one element after the other), or in `grad` if it has a
        derivative.

        Raises:
          ValueError: the arguments have another structure, other shapes or dtypes than those it was
            exported for; it is differentiated, and has no derivative; it is for another platform.
        """
        leaves, tree = flatten_call(args, kwargs)
        if tree != self.in_tree:
            raise noted_error(
                ValueError,
                "The invocation args and kwargs must have the same pytree structure as when the "
                f"function '{self.fun_name}' was exported, but they have another one.",
                got=f"{tree} instead of {self.in_tree}",
                fix="give the arguments in the containers, and by the keywords, that it was "
                "exported with; leave static arguments out.",
            )
        leaves = [checks.input_array(x, "Exported.call") for x in leaves]
        names = leaf_paths(args, "args") + leaf_paths(kwargs, "kwargs")
        for x, t, name in zip(leaves, self.in_avals, names, strict=True):
            _check_type(x.aval, t, name)
        return self.out_tree.unflatten(self._flat(*leaves))

    @cached_property
    def _flat(self) -> Callable[..., Any]:
        types = tuple([t.strong() for t in self.out_avals])

        def flat(*leaves: Any) -> list[Any]:
            return call_exported_p(*leaves, callback=self, result_avals=types)  # type: ignore[no-any-return]

        def forward(*leaves: Any) -> Any:
            self.vjp()
            return function(*leaves), leaves

        def backward(leaves: Any, cts: Any) -> Any:
            return tuple(self.vjp()._flat(*leaves, *cts))

        flat.__name__ = self.fun_name
        function = custom_vjp(flat)
        function.defvjp(forward, backward)
        return function


def _check_type(found: ArrayType, t: ArrayType, name: str) -> None:
    fix = f"it was exported for {t.str_short()}."
    if found.ndim != t.ndim:
        what = f"Rank mismatch for {name}: expected {t.shape} and called with {found.shape}"
    elif found.dtype != t.dtype:
        types = [dtypes.long_name(d) for d in (t.dtype, found.dtype)]
        what = f"Dtype mismatch for {name}: expected {types[0]} and called with {types[1]}"
    elif found.shape != t.shape:
        axis = next(i for i, (a, b) in enumerate(zip(found.shape, t.shape)) if a != b)
        what = (
            f"Shape mismatch for {name}.shape[{axis}] (expected same constant): "
            f"expected {t.shape} and called with {found.shape}"
        )
    else:
        return
    raise noted_error(ValueError, what, got=found.str_short(), fix=fix)


# ---- from functions


def export(
    fun_jit: Wrapped, *, platforms: Sequence[str] | None = None, disabled_checks: Sequence[Any] = ()
) -> Callable[..., Exported]:
    """The function of arrays, or ShapeDtypeStructs, that exports `fun_jit` for their types.

    Args:
      fun_jit: what `jit` returned.
      platforms: one of ("cpu",), which is meant by None, and ("cuda",).
      disabled_checks: accepted for compatibility.

    Raises:
      ValueError: it is not what `jit` returned; jaxlib is not installed; the platform is unknown.
      NotImplementedError: several platforms; and, when it is called with types: the function calls
        Python, also for an operation that XLA has not; it is for several devices; an axis has a
        symbolic length.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback import export
      >>> f = pullback.jit(lambda x: jnp.sin(x).sum())
      >>> blob = export.export(f)(pullback.ShapeDtypeStruct((3,), "float32")).serialize(vjp_order=1)
      >>> g = export.deserialize(blob)  # in another process, say
      >>> print(g.in_avals, pullback.grad(g.call)(jnp.zeros(3)))
      (ShapedArray(float32[3]),) [1. 1. 1.]
    """
    if not (isinstance(fun_jit, Wrapped) and hasattr(fun_jit, "_calls")):
        raise noted_error(
            ValueError,
            f"Function to be exported must be the result of `jit` but is: {fun_jit}",
            fix="export.export(jit(f))(...)",
        )
    platform = _platform(platforms)
    _check_jaxlib()

    def exporter(*args: Any, **kwargs: Any) -> Exported:
        places = fun_jit._calls.places  # type: ignore[attr-defined]
        for x in flatten((args, kwargs))[0]:
            if any(type(n) is str for n in getattr(x, "shape", ())):
                raise _symbolic("export", x)
        traced = fun_jit.trace(*args, **kwargs)
        elsewhere = places.ins is not None or places.outs is not None
        if elsewhere or on_devices(traced.jaxpr) is not None:
            raise error(
                NotImplementedError,
                "export: the function is for several devices, or for one of them.",
                got=traced.fun_name,
                fix="leave in_shardings, out_shardings and sharding constraints out.",
            )
        return _exported(traced, platform)

    return exporter


def _platform(platforms: Any) -> str:
    if isinstance(platforms, str) or not all(p in _PLATFORMS for p in platforms or ()):
        raise error(
            ValueError,
            "export: unknown platforms.",
            got=f"platforms={platforms!r}",
            fix='use ("cpu",) or ("cuda",), or leave it out.',
        )
    if len(platforms or "1") != 1:
        raise error(
            NotImplementedError,
            "export: a program is for one platform.",
            got=f"platforms={platforms!r}",
            fix="export it once for each.",
        )
    return str(platforms[0]) if platforms else default_export_platform()


def _exported(traced: Traced, platform: str) -> Exported:
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
        return _exported(jit(fun_vjp).trace(*map(struct, types)), platform)  # type: ignore[attr-defined]

    return Exported(
        fun_name=traced.fun_name,
        in_tree=in_tree,
        in_avals=tuple(closed.in_avals),
        out_tree=traced.out_tree,
        out_avals=tuple(closed.out_avals),
        platforms=(platform,),
        mlir_module_serialized=xla.exported(closed, platform),
        _get_vjp=cotangents,
    )


# ---- from bytes


def deserialize(blob: bytes | bytearray) -> Exported:
    """The exported function in the bytes that `Exported.serialize` gave.

    Bytes that were cut or changed are found by their checksum. This protects from mishaps: a
    program from bytes computes what its author wanted, so take none from people you do not trust.

    Raises:
      ValueError: the bytes are something else, or a container among arguments or results is not
        registered; jaxlib is not installed.
    """
    _check_jaxlib()
    found: Exported | None = None
    for part in reversed(files.unpacked(blob)):
        after = found
        found = Exported(
            fun_name=part.fun_name,
            in_tree=part.in_tree,
            in_avals=part.in_avals,
            out_tree=part.out_tree,
            out_avals=part.out_avals,
            platforms=part.platforms,
            mlir_module_serialized=part.artifact,
            _get_vjp=None if after is None else _always(after),
        )
        _ = found.text  # or raise
    assert found is not None
    return found


def _always(exported: Exported) -> Callable[[Exported], Exported]:
    return lambda _: exported


def _check_jaxlib() -> None:
    if not jaxlib_is_installed():
        raise error(
            ValueError,
            "pullback.export needs the package jaxlib, which is not installed.",
            fix="install it: pip install 'pullback[xla]'.",
        )


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
      ValueError: the class or the name is registered already.
    """

    def build(written: bytes, children: Sequence[Any]) -> Any:
        rest = deserialize_auxdata(written)
        if from_children is not None:
            return from_children(rest, tuple(children))
        return files.rebuilt(nodetype, rest, children)

    files.register(files.Registered(nodetype, serialized_name, serialize_auxdata, build))
    return nodetype


def register_namedtuple_serialization(nodetype: type[T], *, serialized_name: str) -> type[T]:
    """The same for a named tuple: `serialized_name` is what it is called in the bytes.

    Raises:
      ValueError: the class or the name is registered already.
    """

    def build(written: bytes, children: Sequence[Any]) -> Any:
        return nodetype(*children)

    files.register(files.Registered(nodetype, serialized_name, lambda rest: b"", build))
    return nodetype


# ---- symbolic lengths, which there are none of


def symbolic_shape(
    shape_spec: str | None, *, constraints: Sequence[str] = (), scope: Any = None, like: Any = None
) -> NoReturn:
    """Absent: raises NotImplementedError."""
    raise _symbolic("symbolic_shape", shape_spec)


def symbolic_args_specs(
    args: Any, shapes_specs: Any, constraints: Sequence[str] = (), scope: Any = None
) -> NoReturn:
    """Absent: raises NotImplementedError."""
    raise _symbolic("symbolic_args_specs", shapes_specs)


def is_symbolic_dim(p: Any) -> bool:
    """Whether the length of an axis is an expression: all are numbers here."""
    return False


def default_export_platform() -> str:
    """The platform that programs are exported for: "cpu"."""
    return "cpu"


def _symbolic(name: str, what: Any) -> NotImplementedError:
    return error(
        NotImplementedError,
        f"export.{name}: axes of symbolic length are not there: every length is a number.",
        got=f"{what!r:.80}",
        fix="export the function once for each shape.",
    )


__all__ = [
    "Exported",
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
