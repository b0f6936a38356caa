"""Settings: a value for the whole process, and overrides for a thread while a `with` lasts."""

from __future__ import annotations

import os
import threading
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from . import processors
from .errors import error
from .unheeded import UNHEEDED

_COUNTS = {"pullback_threads"}
"""Settings that are positive integers."""
_WHOLE = {"jax_num_cpu_devices"}
"""Settings that are integers; negative ones mean that nothing is said."""
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def _from_environment(name: str, default: Any) -> Any:
    text = os.environ.get(name.upper())
    if text is None:
        return default
    if name in _COUNTS:
        if not (text.isdecimal() and int(text)):
            raise error(
                ValueError,
                f"environment variable {name.upper()} must be a positive integer.",
                got=repr(text),
                where="",
                fix="set it to 1, 2, ...",
            )
        return int(text)
    if name in _WHOLE and text.lstrip("-").isdecimal():
        return int(text)
    if not isinstance(default, bool):
        return text
    if text.lower() not in _TRUE | _FALSE:
        raise error(
            ValueError,
            f"environment variable {name.upper()} must be a boolean.",
            got=repr(text),
            where="",
            fix="set it to 1 or 0.",
        )
    return text.lower() in _TRUE


_DEFAULTS: dict[str, Any] = {
    "jax_enable_x64": False,
    "jax_threefry_partitionable": True,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_default_prng_impl": "threefry2x32",
    "jax_default_matmul_precision": None,
    "jax_debug_nans": False,
    "jax_debug_infs": False,
    "jax_disable_jit": False,
    "jax_enable_checks": False,
    "jax_enable_custom_prng": False,
    "jax_legacy_prng_key": "allow",
    "jax_log_compiles": False,
    "jax_platforms": None,
    "jax_platform_name": None,
    "jax_default_device": None,
    "jax_enable_compilation_cache": True,
    "jax_compilation_cache_dir": None,
    "jax_num_cpu_devices": -1,
    "jax_traceback_filtering": "auto",
    "jax_check_tracer_leaks": False,
    "jax_explain_cache_misses": False,
    "jax_no_tracing": False,
    "jax_debug_key_reuse": False,
    "jax_thread_guard": False,
    "jax_softmax_custom_jvp": False,
    "jax2tf_associative_scan_reductions": False,
    "jax_allow_f16_reductions": False,
    "jax_array_garbage_collection_guard": None,
    "jax_auto_pcast": True,
    "jax_remove_size_one_mesh_axis_from_type": False,
    "jax_transfer_guard": None,
    "jax_transfer_guard_host_to_device": None,
    "jax_transfer_guard_device_to_device": None,
    "jax_transfer_guard_device_to_host": None,
    "pullback_engine": "auto",
    "pullback_threads": processors.available(),
    "pullback_strong_zero": False,
    "pullback_source_lines": False,
}

_GUARDS = (None, "allow", "log", "disallow", "log_explicit", "disallow_explicit")

_CHOICES: dict[str, tuple[str | None, ...]] = {
    "jax_numpy_dtype_promotion": ("standard", "strict"),
    "jax_numpy_rank_promotion": ("allow", "warn", "raise"),
    "jax_legacy_prng_key": ("allow", "warn", "error"),
    "jax_array_garbage_collection_guard": (None, "allow", "log", "fatal"),
    "pullback_engine": ("auto", "native", "xla", "numpy", "checked"),
    **{name: _GUARDS for name in _DEFAULTS if name.startswith("jax_transfer_guard")},
}


class _Values(threading.local):
    """Thread-local overrides; what is not overridden is read from the class, shared by all."""

    combination: Combination | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        super().__setattr__("combination", None)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        super().__setattr__("combination", None)


for _name, _default in _DEFAULTS.items():
    setattr(_Values, _name, _from_environment(_name, _default))

_Values.mesh = None  # type: ignore[attr-defined]

values: Any = _Values()
"""Read a setting as `values.jax_enable_x64`. `values.mesh` is the mesh in use, or None."""


class Config:
    """`config`: read settings as attributes, change them for the process with `update`."""

    def __getattr__(self, name: str) -> Any:
        if name not in _DEFAULTS and f"jax_{name}" in _DEFAULTS:
            name = f"jax_{name}"
        if name in UNHEEDED:
            return UNHEEDED[name]
        if name not in _DEFAULTS:
            raise AttributeError(f"config has no setting {name!r}.")
        return getattr(values, name)

    def update(self, name: str, value: Any) -> None:
        """Set `name` for the whole process, e.g. `config.update("jax_enable_x64", True)`.

        Settings of JAX that have no meaning here (`core/unheeded.py`) are only remembered.
        """
        if name in UNHEEDED:
            UNHEEDED[name] = value
            return
        _check(name, value)
        setattr(_Values, name, value)
        updated()
        _tell(name, value)

    def read(self, name: str) -> Any:
        """The value of setting `name`."""
        return getattr(self, name)

    @property
    def values(self) -> dict[str, Any]:
        """All settings and their values."""
        return {name: getattr(values, name) for name in _DEFAULTS}

    @property
    def x64_enabled(self) -> bool:
        """Whether 64-bit types are kept."""
        return bool(values.jax_enable_x64)

    def __repr__(self) -> str:
        return "config(" + ", ".join(f"{k}={v!r}" for k, v in self.values.items()) + ")"


config = Config()


checkers: dict[str, Callable[[Any], None]] = {}
"""For a setting what raises an error unless a value is one of it."""

watchers: list[Callable[[str, Any], None]] = []
"""Called with name and value after a setting has been changed."""


def _tell(name: str, value: Any) -> None:
    for watcher in watchers:
        watcher(name, value)


fixed: set[str] = set()
"""Settings that have been used, and cannot change any more."""


def _check(name: str, value: Any) -> None:
    if name not in _DEFAULTS:
        raise error(
            AttributeError,
            f"config has no setting {name!r}.",
            got=f"update({name!r}, {value!r})",
            fix="use one of " + ", ".join(sorted(_DEFAULTS)) + ".",
        )
    if name in _COUNTS and not (type(value) is int and value >= 1):
        raise error(
            ValueError,
            f"setting {name} has no value {value!r}.",
            got=repr(value),
            fix="use a positive integer.",
        )
    if name in _WHOLE and type(value) is not int:
        raise error(
            ValueError,
            f"setting {name} has no value {value!r}.",
            got=repr(value),
            fix="use an integer.",
        )
    if name in fixed and value != getattr(values, name):
        raise error(
            RuntimeError,
            f"setting {name} must be updated before the devices are first asked for.",
            got=f"{value!r}, and the process has begun with {getattr(values, name)!r}",
            fix="move the update to the start of the program.",
        )
    if name in checkers:
        checkers[name](value)
    if name in _CHOICES and value not in _CHOICES[name]:
        raise error(
            ValueError,
            f"setting {name} has no value {value!r}.",
            got=repr(value),
            fix="use one of " + ", ".join(map(repr, _CHOICES[name])) + ".",
        )


@contextmanager
def override(name: str, value: Any) -> Iterator[None]:
    """Setting `name` is `value` in this thread while the `with` lasts."""
    _check(name, value)
    own = vars(values)
    missing = object()
    before = own.get(name, missing)
    setattr(values, name, value)
    _tell(name, value)
    try:
        yield
    finally:
        if before is missing:
            delattr(values, name)
        else:
            setattr(values, name, before)


def enable_x64(new_val: bool = True) -> Any:
    """Keep 64-bit types while the `with` lasts: `with enable_x64(): ...`.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> with pullback.enable_x64(True):
      ...     print(jnp.arange(2).dtype)
      int64
    """
    return override("jax_enable_x64", bool(new_val))


def threefry_partitionable(new_val: bool = True) -> Any:
    """Choose the layout of random bits while the `with` lasts."""
    return override("jax_threefry_partitionable", bool(new_val))


def numpy_dtype_promotion(new_val: str) -> Any:
    """`"standard"` or `"strict"` promotion while the `with` lasts.

    Example:
      >>> import pullback
      >>> with pullback.numpy_dtype_promotion("strict"):
      ...     print(pullback.config.jax_numpy_dtype_promotion)
      strict
    """
    return override("jax_numpy_dtype_promotion", new_val)


def numpy_rank_promotion(new_val: str) -> Any:
    """`"allow"`, `"warn"` or `"raise"` on rank promotion while the `with` lasts.

    Example:
      >>> import pullback
      >>> with pullback.numpy_rank_promotion("raise"):
      ...     print(pullback.config.jax_numpy_rank_promotion)
      raise
    """
    return override("jax_numpy_rank_promotion", new_val)


def debug_nans(new_val: bool = True) -> Any:
    """Raise at the first NaN while the `with` lasts."""
    return override("jax_debug_nans", bool(new_val))


def debug_infs(new_val: bool = True) -> Any:
    """Raise at the first infinity while the `with` lasts.

    Example:
      >>> import pullback
      >>> with pullback.debug_infs(True):
      ...     print(pullback.config.jax_debug_infs)
      True
    """
    return override("jax_debug_infs", bool(new_val))


def strong_zero(new_val: bool = True) -> Any:
    """A derivative that is exactly zero stays zero while the `with` lasts: 0 * inf = 0 * nan = 0.

    A cotangent, or in forward mode a tangent, is multiplied by local derivatives on its way. One of
    them may be infinite or NaN where the value it belongs to is not used at all: the logarithm in
    the branch of a `where` that is not taken. In IEEE arithmetic 0 * inf is NaN, and spreads. In
    this mode what multiplies a zero does not count, element by element, also in the sums of matrix
    products and convolutions. Values are computed as always; only derivatives change, and those
    only where they would be NaN. It is the rule of Tapenade, Enzyme (`strong_zero`, 2023) and of
    the fixes by hand that users write as a second `where` around the input.

    What counts is the mode in which a function is differentiated: a pullback function that `vjp`
    gave keeps it. Programs of `jit` are traced once for each mode. The user's own rules
    (`custom_vjp`), and `triangular_solve`, compute what they say.

    Args:
      new_val: whether the mode is on. The setting for the whole process is `pullback_strong_zero`.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> g = pullback.grad(lambda x: jnp.where(x > 0, jnp.log(x), 0.0))
      >>> print(g(0.0))
      nan
      >>> with pullback.strong_zero():
      ...     print(g(0.0))
      0.0
    """
    return override("pullback_strong_zero", bool(new_val))


def disable_jit(disable: bool = True) -> Any:
    """Run jitted functions operation by operation while the `with` lasts.

    Example:
      >>> import pullback
      >>> with pullback.disable_jit(True):
      ...     print(pullback.config.jax_disable_jit)
      True
    """
    return override("jax_disable_jit", bool(disable))


def default_matmul_precision(new_val: str | None) -> Any:
    """Accepted for compatibility: this engine always multiplies in full precision.

    Example:
      >>> import pullback
      >>> with pullback.default_matmul_precision("float32"):
      ...     print(pullback.config.jax_default_matmul_precision)
      float32
    """
    return override("jax_default_matmul_precision", new_val)


class Switch:
    """A setting as a name of the API: `with switch(value):` overrides it, `switch.value` reads it.

    As a bool it is True where no value is given.
    """

    def __init__(self, name: str, doc: str) -> None:
        self.name, self.__doc__ = name, doc

    def __call__(self, new_val: Any = True) -> Any:
        return override(self.name, new_val)

    @property
    def value(self) -> Any:
        """The value in this thread."""
        return getattr(values, self.name)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __repr__(self) -> str:
        return f"{self.name}={self.value!r}"


def program_settings() -> tuple[Any, ...]:
    """The settings that change what a traced program is: part of every cache key."""
    return combination().program


class Combination:
    """The values of those settings that a call of a compiled function depends on.

    Equal ones are one object until a setting of the process is next updated: compiled calls
    compare addresses.
    """

    __slots__ = ("checked", "device", "disabled", "engine", "program", "update")

    def __init__(self, update: int, program: tuple[Any, ...], rest: tuple[Any, ...]) -> None:
        self.update, self.program = update, program
        self.disabled, self.checked, self.engine, self.device = rest


updates = array("q", [0])
"""How often a setting of the process was updated: compiled calls read it at its address."""


def updated() -> None:
    """Compiled calls look everything up again, in all threads."""
    updates[0] += 1


_known: dict[tuple[Any, ...], Combination] = {}
_KNOWN_AT_MOST = 256


def combination() -> Combination:
    """The settings of this thread."""
    found: Combination | None = values.combination
    if found is None or found.update != updates[0]:
        found = _combine()
        threading.local.__setattr__(values, "combination", found)
    return found


def _combine() -> Combination:
    v = values
    # The number is read first: if an update comes between, what is found is already out of date.
    update = updates[0]
    checked = bool(v.jax_debug_nans or v.jax_debug_infs)
    program = (
        v.jax_enable_x64,
        v.jax_threefry_partitionable,
        v.jax_numpy_dtype_promotion,
        v.jax_numpy_rank_promotion,
        v.mesh,
        v.pullback_strong_zero,
        checked or v.pullback_source_lines,
    )
    rest = (bool(v.jax_disable_jit), checked, v.pullback_engine, v.jax_default_device)
    if len(_known) >= _KNOWN_AT_MOST:
        _known.clear()
    return _known.setdefault((update, program, rest), Combination(update, program, rest))
