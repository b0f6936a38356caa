"""A trace is one run of one transformation. The current one, of this thread, meets every operation.

There is no stack to search: a trace hands what does not concern it to its parent, and the last
parent evaluates with NumPy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy._core import umath as _umath

from . import dtypes
from .array import Array, HostArray, Tracer
from .errors import UnexpectedTracerError, error, user_line
from .lazy import lazy
from .settings import values
from .types import ArrayType, array_type

spread = lazy("pullback.engines.xla.spread")


class Trace:
    """One run of one transformation inside its `parent`."""

    __slots__ = ("alive", "of", "parent")
    parent: Any
    verb = "a transformation"

    def __init__(self, parent: Any, of: Any = None) -> None:
        self.parent, self.of, self.alive = parent, of, True

    def process(self, primitive: Any, args: Any, params: Any) -> Any:
        """Do `primitive` on `args`, which may or may not be tracers of this trace."""
        raise NotImplementedError

    def stage(self, x: Any) -> Any:
        """A value made now, such as `jnp.array(1)`, as this trace has it: traced if it records."""
        return self.parent.stage(x)

    # ---- by the names that interpreters written for JAX use

    def stage_value(self, x: Any) -> Any:
        """The same as `stage`."""
        return self.stage(x)

    def process_primitive(self, primitive: Any, args: Any, params: Any) -> Any:
        """The same as `process`."""
        return self.process(primitive, args, params)

    def is_valid(self) -> bool:
        """Whether the run goes on."""
        return self.alive

    @property
    def parent_trace(self) -> Any:
        """The surrounding trace."""
        return self.parent

    @property
    def main(self) -> Any:
        """What two traces of one run of a transformation have in common."""
        return self

    def describe(self) -> str:
        """`grad of f (file.py:12)`, for messages."""
        if self.of is None:
            return self.verb
        code = getattr(self.of, "__code__", None)
        name = getattr(self.of, "__name__", type(self.of).__name__)
        place = f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
        return f"{self.verb} of {name}{place}"


class EvalTrace(Trace):
    """The outermost trace: operations are done at once, in NumPy."""

    __slots__ = ()

    def process(self, primitive: Any, args: Any, params: Any) -> Any:
        """Evaluate: unwrap, `primitive.eval`, wrap. A result is weak if its sources are."""
        if primitive.multiple_results:
            return primitive.evaluate(args, params)
        # Written out for one and two arguments: a loop costs 0.1 us more, a tenth of a small call.
        values: Any
        try:
            if len(args) == 1:
                (x,) = args
                if type(x) is not HostArray:
                    x = _near(x)
                values, weak = (x._value,), x._weak
            elif len(args) == 2:
                x, y = args
                if type(x) is not HostArray:
                    x = _near(x)
                if type(y) is not HostArray:
                    y = _near(y)
                values, weak = (x._value, y._value), x._weak and y._weak
            else:
                arrays = [a if type(a) is HostArray else _near(a) for a in args]
                values, weak = [a._value for a in arrays], all([a._weak for a in arrays])
        except _Elsewhere:
            return spread.operation(primitive, [host_array(a) for a in args], params)[0]
        # NumPy must not warn of overflow or division by zero: infinities and NaNs are results.
        # np.errstate costs 0.7 us here, its context variable set directly 0.1 us.
        token = _set_errors(_QUIET)
        try:
            out = (primitive.at_once or primitive.eval)(*values, **params)
        except Exception:
            _say_in_user_words(primitive, args, params)
            raise
        finally:
            _reset_errors(token)
        sources = primitive.weak_from
        if sources == "weak_type":
            weak = params["weak_type"]
        elif sources == "typing":
            weak = primitive.typing(*[type_of(a) for a in args], **params).weak_type
        elif sources is not None:
            picked = args[sources] if type(sources) is slice else [args[i] for i in sources]
            weak = bool(picked) and all(
                [a._weak if type(a) is HostArray else type_of(a).weak_type for a in picked]
            )
        return HostArray(out, weak)

    def stage(self, x: Any) -> Any:
        return x

    def describe(self) -> str:
        return "no transformation"


class _Elsewhere(Exception):
    """An array is on another device: the operation is done there."""


def _near(x: Any) -> HostArray:
    """`x` as an array in the memory of the process."""
    array = host_array(x)
    if array.elsewhere:
        raise _Elsewhere
    return array


def _say_in_user_words(primitive: Any, args: Any, params: Any) -> None:
    """Raise the error of `typing` where NumPy stumbled over the user's mistake."""
    try:
        primitive.typing(*[type_of(a) for a in args], **params)
    except Exception as mistake:
        raise mistake from None


_QUIET = _umath._make_extobj(all="ignore")
_set_errors = _umath._extobj_contextvar.set
_reset_errors = _umath._extobj_contextvar.reset

EVAL = EvalTrace(None)


def values_are_checked() -> bool:
    """Whether this thread looks for NaNs or infinities."""
    return bool(values.jax_debug_nans or values.jax_debug_infs)


class KnownTrace(Trace):
    """Operations on known values are done at once; those on traced values go to the parent."""

    __slots__ = ()
    verb = "ensure_compile_time_eval"

    def process(self, primitive: Any, args: Any, params: Any) -> Any:
        """Evaluate, unless one of `args` is traced."""
        traced = any(isinstance(a, Tracer) for a in args)
        return (self.parent if traced else EVAL).process(primitive, args, params)

    def stage(self, x: Any) -> Any:
        return x


class DeviceTrace(Trace):
    """Operations on values that are nowhere in particular are done on one device.

    `find` gives the device when it is first asked for; None: the memory of the process.
    """

    __slots__ = ("_device", "_find")
    verb = "default_device"

    def __init__(self, parent: Trace, find: Callable[[], Any]) -> None:
        super().__init__(parent)
        self._find: Callable[[], Any] | None = find
        self._device: Any = None

    @property
    def device(self) -> Any:
        """The device, or None."""
        find = self._find  # another thread may find it at the same time
        if find is not None:
            self._device, self._find = find(), None
        return self._device

    def process(self, primitive: Any, args: Any, params: Any) -> Any:
        """Evaluate there, unless one of `args` is traced or was put somewhere else."""
        if any(isinstance(a, Tracer) for a in args):
            return self.parent.process(primitive, args, params)
        device = self.device
        with inside(EVAL):
            if device is None:
                return EVAL.process(primitive, args, params)
            outs = spread.operation(primitive, [host_array(a) for a in args], params, device)
        return outs if primitive.multiple_results else outs[0]

    def stage(self, x: Any) -> Any:
        device = self.device if type(x) is HostArray and not hasattr(x, "_sharding") else None
        return x if device is None else spread.put_on(x, device)


class State(threading.local):
    """What a thread is doing: its current trace, and the sizes of the named axes in scope."""

    trace: Trace = EVAL
    axes: dict[Any, Any] = {}  # noqa: RUF012 (replaced, never mutated)
    scopes: tuple[str, ...] = ()
    """The names of the open scopes, for the equations of programs."""
    looks: int = 0
    """How often Python asked for the value of a traced value, and got it: what is traced meanwhile
    is good for that value only."""
    origin: Any = None
    """Where the operation that goes on stands, if that is not the line that runs: see checking."""
    searching: bool = False
    """Whether a program is being run again to find a NaN: it is not stopped at the first."""
    rounds: tuple[str, ...] = ()
    """Inside which rounds of loops, and which branches, a program is being run again."""


state = State()


def begin_with(trace: Trace) -> None:
    """From now on `trace` is the outermost one: EVAL, or a DeviceTrace.

    Of this thread and of those to come; one that has computed already goes on as it was.
    """
    before, State.trace = State.trace, trace
    if state.trace is before or state.trace is EVAL:
        state.trace = trace


class quiet:
    """NumPy's floating point warnings are off while the `with` lasts."""

    __slots__ = ("token",)

    def __enter__(self) -> None:
        self.token = _set_errors(_QUIET)

    def __exit__(self, *_: object) -> None:
        _reset_errors(self.token)


class running:
    """`trace` is the current trace while the `with` lasts; it is alive until then."""

    __slots__ = ("before", "trace")

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def __enter__(self) -> Any:
        self.before = state.trace
        state.trace = self.trace
        return self.trace

    def __exit__(self, *_: object) -> None:
        state.trace = self.before
        if self.trace is not EVAL:
            self.trace.alive = False


class inside:
    """`trace`, already open, is the current trace while the `with` lasts."""

    __slots__ = ("before", "trace")

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def __enter__(self) -> None:
        self.before = state.trace
        state.trace = self.trace

    def __exit__(self, *_: object) -> None:
        state.trace = self.before


# ---- values from outside


def type_of(x: Any) -> ArrayType:
    """The type of anything an operation takes: an Array, a NumPy array or a Python number.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> print(pullback.typeof(jnp.ones(3)))
      f32[3]
    """
    if isinstance(x, Array):
        return x.aval
    if type(x) in _SCALARS:
        return array_type((), dtypes.scalar_dtype(x), type(x) is not bool)
    if isinstance(x, (np.ndarray, np.generic)):
        _check_numeric(x)
        return array_type(x.shape, dtypes.canonical(x.dtype), False)
    if hasattr(x, "__jax_array__"):
        return type_of(x.__jax_array__())
    return host_array(x).aval


def host_array(x: Any) -> HostArray:
    """`x` as a HostArray. NumPy arrays are copied: what their owner does later is not seen."""
    if isinstance(x, HostArray):
        return x
    if isinstance(x, Tracer):
        raise escaped(x)
    if type(x) in _SCALARS:
        return HostArray(_typed_scalar(x), type(x) is not bool)
    if isinstance(x, (np.ndarray, np.generic)):
        _check_numeric(x)
        return HostArray(np.array(x, dtype=dtypes.canonical(x.dtype)))
    if isinstance(x, (bool, int, float, complex)):  # a subclass, such as an IntEnum
        base: Any = next(t for t in _SCALARS if isinstance(x, t))
        return host_array(base(x))
    if hasattr(x, "__jax_array__"):
        return host_array(x.__jax_array__())
    raise not_an_array(x)


_SCALARS = (bool, int, float, complex)


def _typed_scalar(x: Any) -> Any:
    dtype = dtypes.scalar_dtype(x)
    try:
        with quiet():
            return dtype.type(x)
    except OverflowError as cause:
        raise error(
            OverflowError,
            f"the Python integer {x} does not fit {dtype.name}.",
            got=str(x),
            fix="use a float, or enable x64: config.update('jax_enable_x64', True).",
        ) from cause


def _check_numeric(x: Any) -> None:
    if x.dtype.kind not in "biufcV" or not x.dtype.isnative:
        raise not_an_array(x)


def not_an_array(x: Any) -> TypeError:
    """The error for a value that is no array."""
    what = f"a value of type {type(x).__name__} is not a valid array."
    if isinstance(x, np.ndarray):
        what = f"a NumPy array of dtype {x.dtype} is not a valid array."
    fix = "give a number, a NumPy array or an Array; convert lists with jnp.array(...)."
    if not getattr(getattr(x, "dtype", None), "isnative", True):
        fix = "have its bytes in this machine's order: x.astype(x.dtype.newbyteorder('='))."
    if hasattr(x, "todense"):
        fix = "convert it with .todense(), or use sparse.sparsify(f)(x) of the function."
    return error(TypeError, what, got=_brief(x), fix=fix)


def _brief(x: Any) -> str:
    text = repr(x)
    return text if len(text) <= 80 else text[:77] + "..."


def escaped(x: Tracer) -> UnexpectedTracerError:
    """The error for a traced value used after its transformation ended, or outside it."""
    if x.owner.alive:
        return error(
            UnexpectedTracerError,
            "a traced value was used where its transformation does not reach: in a function with "
            "rules of its own that closes over it, or in another thread.",
            got=x.describe(),
            where=f"used at {user_line()}",
            fix="pass the value to the custom_jvp or custom_vjp function as an argument.",
        )
    return error(
        UnexpectedTracerError,
        "a traced value escaped from the transformation that made it.",
        got=f"{x.aval.str_short()} made by {x.owner.describe()}",
        where=f"used at {user_line()}",
        fix="return the value from the function instead of storing it in a global, an attribute "
        "or an outer list.",
    )
