"""An exported program: its types, its StableHLO, and what is run of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from . import checks
from . import exported_files as files
from .control.callbacks import call_exported_p
from .core import dtypes
from .core.errors import error, noted_error
from .core.lazy import lazy
from .core.pytree import PyTreeDef, flatten_call, leaf_paths
from .core.trace import type_of
from .core.types import ArrayType, array_type
from .custom import custom_vjp
from .engines.choice import jaxlib_is_installed

xla = lazy("pullback.engines.xla.exported")

VERSIONS = 9, 10
"""The oldest and the newest calling convention, as JAX counts."""


class DisabledSafetyCheck:
    """A check that an exported program is excused from: see `platform` and `custom_call`."""

    def __init__(self, _impl: str) -> None:
        self._impl = _impl

    @classmethod
    def platform(cls) -> DisabledSafetyCheck:
        """The program may run on another platform than it was exported for."""
        return cls("platform")

    @classmethod
    def custom_call(cls, target_name: str) -> DisabledSafetyCheck:
        """The program may call this function of XLA, whose meaning may change with its version.

        Pullback calls none that would need it.
        """
        return cls(f"custom_call:{target_name}")

    def is_custom_call(self) -> str | None:
        """The function that may be called, if this is about one."""
        kind, _, name = self._impl.partition(":")
        return name if kind == "custom_call" else None

    def __str__(self) -> str:
        return self._impl

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DisabledSafetyCheck) and self._impl == other._impl

    def __hash__(self) -> int:
        return hash(self._impl)


@dataclass(frozen=True, eq=False)
class Exported:
    """A function for arguments of given types, as portable StableHLO.

    Attributes:
      fun_name: the name of the function.
      in_tree, out_tree: the structures of ``(args, kwargs)`` and of the result.
      in_avals, out_avals: the types of the arrays among them. Lengths of axes may be expressions.
      platforms: what it was exported for: some of "cpu", "cuda", or others in files of JAX.
      mlir_module_serialized: the StableHLO as portable bytes. Its function `main` takes the number
        of the platform if there are several, then the arrays of the arguments, and gives those of
        the result; a random key is its words.
      calling_convention_version: that of `main`, as JAX counts: 10, or 9 in files of JAX.
      module_kept_var_idx: the arrays of the arguments that `main` takes: all that are used.
      nr_devices: 1, or more in files of JAX, which are not run.
      disabled_safety_checks: what it is excused from.
      ordered_effects, unordered_effects: empty.
      uses_global_constants: whether it is for several platforms, or lengths are expressions.
    """

    fun_name: str
    in_tree: PyTreeDef
    in_avals: tuple[ArrayType, ...]
    out_tree: PyTreeDef
    out_avals: tuple[ArrayType, ...]
    platforms: tuple[str, ...]
    mlir_module_serialized: bytes
    module_kept_var_idx: tuple[int, ...]
    _get_vjp: Callable[[Exported], Exported] | None = None
    nr_devices: int = 1
    ordered_effects: tuple[Any, ...] = ()
    unordered_effects: tuple[Any, ...] = ()
    disabled_safety_checks: tuple[DisabledSafetyCheck, ...] = ()
    calling_convention_version: int = VERSIONS[1]
    uses_global_constants: bool = False
    _raw: str | None = None

    def __str__(self) -> str:
        return f"Exported(fun_name={self.fun_name}, ...)"

    @cached_property
    def convention(self) -> Any:
        """How `main` is called: a `Convention` of the XLA engine."""
        return xla.Convention(
            self.in_avals, self.out_avals, self.module_kept_var_idx, self.platforms
        )

    @cached_property
    def text(self) -> str:
        """The StableHLO, of which it is known that it has the types that it should have.

        Raises:
          ValueError: it has not.
        """
        check_jaxlib()
        try:
            raw = self._raw or xla.text_of(self.mlir_module_serialized)
            return str(xla.checked_text(raw, self.convention))
        except ValueError as mistake:
            raise files.refused(str(mistake)) from None

    @cached_property
    def _programs(self) -> dict[tuple[ArrayType, ...], _Program]:
        return {}

    def program(self, types: tuple[ArrayType, ...]) -> _Program:
        """What is run for arguments of these types, which fit.

        Raises:
          ValueError: they do not fit one another.
          NotImplementedError: it is for several devices.
        """
        found = self._programs.get(types)
        if found is None:
            found = self._programs.setdefault(types, _Program(self, types))
        return found

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
        if self.nr_devices != 1:
            raise _several_devices(self)
        parts, one = [self._part()], self
        for _ in range(vjp_order):
            one = one.vjp()
            parts.append(one._part())
        return files.packed(parts)

    def _part(self) -> files.Part:
        trees, types = (self.in_tree, self.out_tree), (self.in_avals, self.out_avals)
        return files.Part(
            self.fun_name,
            *trees,
            *types,
            self.platforms,
            self.mlir_module_serialized,
            self.module_kept_var_idx,
            self.calling_convention_version,
            self.nr_devices,
            self.uses_global_constants,
            tuple(map(str, self.disabled_safety_checks)),
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
        def flat(*leaves: Any) -> list[Any]:
            program = self.program(tuple([type_of(x).strong() for x in leaves]))
            return call_exported_p(*leaves, callback=program, result_avals=program.outs)  # type: ignore[no-any-return]

        def forward(*leaves: Any) -> Any:
            self.vjp()
            return function(*leaves), leaves

        def backward(leaves: Any, cts: Any) -> Any:
            return tuple(self.vjp()._flat(*leaves, *cts))

        flat.__name__ = self.fun_name
        function = custom_vjp(flat)
        function.defvjp(forward, backward)
        return function


class _Program:
    """An exported function for arguments of certain types: all lengths are numbers.

    Attributes:
      outs: the types of the results.
    """

    def __init__(self, exported: Exported, ins: tuple[ArrayType, ...]) -> None:
        if exported.nr_devices != 1:
            raise _several_devices(exported)
        self.exported, self.ins = exported, ins
        self._texts: dict[int, str] = {}
        shapes = self._text(0)
        types = zip(shapes, exported.out_avals, strict=True)
        self.outs = tuple([array_type(shape, t.dtype) for shape, t in types])

    def _text(self, number: int) -> Any:
        exported = self.exported
        try:
            text, shapes = xla.for_types(exported.text, exported.convention, self.ins, number)
        except ValueError as mistake:
            names = leaf_paths(exported.in_tree.unflatten(exported.in_avals)[0], "args")
            raise noted_error(
                ValueError,
                str(mistake),
                got=f"{', '.join(t.str_short() for t in self.ins)} for the function "
                f"{exported.fun_name!r}, which takes "
                f"{', '.join(f'{n}: {t}' for n, t in zip(names, exported.in_avals))}",
                fix="give arguments whose axes have the lengths that it was exported for.",
            ) from None
        self._texts[number] = text
        return shapes

    def _number(self, platform: str) -> int | None:
        exported = self.exported
        if platform in exported.platforms:
            return exported.platforms.index(platform)
        return 0 if DisabledSafetyCheck.platform() in exported.disabled_safety_checks else None

    def runs_on(self, platform: str) -> bool:
        """Whether it is for this platform."""
        return self._number(platform) is not None

    def text(self, platform: str) -> str:
        """The StableHLO for a platform that it is for, as the XLA engine calls its own programs.

        Raises:
          ValueError: it is for another one.
        """
        number = self._number(platform)
        if number is None:
            raise noted_error(
                ValueError,
                f"Function '{self.exported.fun_name}' was exported for platforms "
                f"'{self.exported.platforms}' but it is used on '{(platform,)}'.",
                fix=f'export it with platforms=("{platform}",), or with '
                "disabled_checks=[DisabledSafetyCheck.platform()].",
            )
        if number not in self._texts:
            self._text(number)
        return self._texts[number]

    @cached_property
    def run(self) -> Callable[..., tuple[Any, ...]]:
        """The program compiled for this process, from NumPy arrays to NumPy arrays.

        Raises:
          ValueError: it is for another platform, or XLA has no code for it.
        """
        text = self.text("cpu")
        try:
            return xla.compiled(text, self.ins, self.outs)  # type: ignore[no-any-return]
        except ValueError as mistake:
            raise error(
                ValueError,
                "Exported.call: XLA has no code for the program on this machine.",
                got=f"the function {self.exported.fun_name!r}: {mistake}",
                fix="export it for the CPU, with a jaxlib that is not newer than this one.",
            ) from None


def _several_devices(exported: Exported) -> NotImplementedError:
    return error(
        NotImplementedError,
        "export: a program for several devices is not run, nor written again.",
        got=f"{exported.fun_name!r} for {exported.nr_devices} devices",
        fix="export it for one device.",
    )


def _check_type(found: ArrayType, t: ArrayType, name: str) -> None:
    fix = f"it was exported for {t.str_short()}."
    if found.ndim != t.ndim:
        what = f"Rank mismatch for {name}: expected {t.shape} and called with {found.shape}"
    elif found.dtype != t.dtype:
        types = [dtypes.long_name(d) for d in (t.dtype, found.dtype)]
        what = f"Dtype mismatch for {name}: expected {types[0]} and called with {types[1]}"
    elif differ := [i for i, n in enumerate(t.shape) if type(n) is int and n != found.shape[i]]:
        axis = differ[0]
        what = (
            f"Shape mismatch for {name}.shape[{axis}] (expected same constant): "
            f"expected {t.shape} and called with {found.shape}"
        )
    else:
        return
    raise noted_error(ValueError, what, got=found.str_short(), fix=fix)


def check_jaxlib() -> None:
    """Raise ValueError if jaxlib is not installed."""
    if not jaxlib_is_installed():
        raise error(
            ValueError,
            "pullback.export needs the package jaxlib, which is not installed.",
            fix="install it: pip install 'pullback[xla]'.",
        )


__all__ = ["VERSIONS", "DisabledSafetyCheck", "Exported", "check_jaxlib"]
