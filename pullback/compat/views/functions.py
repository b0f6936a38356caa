"""Functions with transformations to come, and what is said of them: `jax.extend.linear_util`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from ...core.errors import warn


class DebugInfo(NamedTuple):
    """What is known of a traced function: for messages, not for its meaning."""

    traced_for: str
    func_src_info: str
    arg_names: tuple[str, ...] | None = None
    result_paths: Any = None

    @property
    def func_name(self) -> str:
        """The function's name."""
        return self.func_src_info.split(" ")[0]

    @property
    def func_filename(self) -> str | None:
        """The file that the function stands in."""
        place = self.func_src_info.partition(" at ")[2]
        return place.rpartition(":")[0] or None

    @property
    def func_lineno(self) -> int | None:
        """The line where it begins."""
        line = self.func_src_info.partition(" at ")[2].rpartition(":")[2]
        return int(line) if line.isdigit() else None

    def resolve_result_paths(self) -> DebugInfo:
        """The same with the paths of the results worked out."""
        found = self.result_paths
        return self._replace(result_paths=tuple(found())) if callable(found) else self

    def replace_func_name(self, name: str) -> DebugInfo:
        """The same under another name."""
        return self._replace(func_src_info=" ".join([name, *self.func_src_info.split(" ")[1:]]))

    def with_unknown_names(self) -> DebugInfo:
        """The same without the names of arguments and results."""
        return self._replace(arg_names=None, result_paths=None)

    def safe_arg_names(self, expected_count: int) -> tuple[str, ...]:
        """A name, or "", for each of so many arguments."""
        return self.arg_names if self.arg_names is not None else ("",) * expected_count

    def safe_result_paths(self, expected_count: int) -> tuple[str, ...]:
        """A path, or "", for each of so many results."""
        return self.result_paths if self.result_paths is not None else ("",) * expected_count


def function_name(function: Any, otherwise: str = "<unnamed function>") -> str:
    """The name of a function, through functools.partial."""
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__name__", otherwise)


def debug_info(
    traced_for: str,
    fun: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    *,
    static_argnums: Sequence[int] = (),
    static_argnames: Sequence[str] = (),
    result_paths_thunk: Any = None,
    sourceinfo: str | None = None,
    signature: Any = None,
) -> DebugInfo:
    """The name and place of `fun`; names of its arguments are not looked for."""
    code = getattr(fun, "__code__", None)
    place = f" at {code.co_filename}:{code.co_firstlineno}" if code is not None else ""
    return DebugInfo(traced_for, sourceinfo or f"{function_name(fun)}{place}")


class StoreException(Exception):
    """A store was read before, or written after, it got its value."""


class Store:
    """A place for one value that a transformation finds on its way."""

    __slots__ = ("_filled", "_val")

    def __init__(self) -> None:
        self._filled, self._val = False, None

    def store(self, val: Any) -> None:
        """Keep the value."""
        if self._filled:
            raise StoreException("Store occupied")
        self._filled, self._val = True, val

    def reset(self) -> None:
        """Forget it."""
        self._filled, self._val = False, None

    @property
    def val(self) -> Any:
        """The value."""
        if not self._filled:
            raise StoreException("Store empty")
        return self._val

    def __bool__(self) -> bool:
        return self._filled


class EqualStore(Store):
    """A store that may get an equal value again."""

    __slots__ = ()

    def store(self, val: Any) -> None:
        if self._filled and self._val != val:
            raise StoreException("Store occupied with not-equal value")
        self._filled, self._val = True, val


class WrappedFun:
    """A function `f`, and the transformations that `call_wrapped` applies around it."""

    __slots__ = (
        "__weakref__",
        "debug_info",
        "f",
        "f_transformed",
        "in_type",
        "params",
        "stores",
        "transforms",
    )

    def __init__(
        self,
        f: Callable[..., Any],
        f_transformed: Callable[..., Any],
        transforms: tuple[Any, ...],
        stores: tuple[Any, ...],
        params: tuple[Any, ...],
        in_type: Any,
        debug_info: Any,
    ) -> None:
        self.f, self.f_transformed, self.transforms = f, f_transformed, transforms
        self.stores, self.params, self.in_type = stores, params, in_type
        self.debug_info = debug_info

    @property
    def __name__(self) -> str:
        return function_name(self.f, "<unnamed wrapped function>")

    def wrap(self, gen: Callable[..., Any], static: tuple[Any, ...], store: Any) -> WrappedFun:
        """The same with one more transformation around it, and the store of its second result."""
        first = (self.f_transformed,) if store is None else (self.f_transformed, store)
        return WrappedFun(
            self.f,
            partial(gen, *first, *static),
            ((gen, static), *self.transforms),
            (store, *self.stores),
            self.params,
            None,
            self.debug_info,
        )

    def call_wrapped(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function inside its transformations."""
        return self.f_transformed(*args, **kwargs)

    def replace_debug_info(self, info: Any) -> WrappedFun:
        """The same with other words for messages."""
        return WrappedFun(
            self.f,
            self.f_transformed,
            self.transforms,
            self.stores,
            self.params,
            self.in_type,
            info,
        )

    def with_unknown_names(self) -> WrappedFun:
        """The same without the names of arguments and results."""
        return self.replace_debug_info(self.debug_info.with_unknown_names())

    def populate_stores(self, stores: Any) -> None:
        """Copy the values of other stores into those of this function."""
        for own, other in zip(self.stores, stores, strict=True):
            if own is not None:
                own.store(other.val)

    def _key(self) -> Any:
        return self.f, self.transforms, self.params, self.in_type, self.debug_info

    def __hash__(self) -> int:
        return hash(self._key())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WrappedFun) and self._key() == other._key()

    def __repr__(self) -> str:
        around = "".join(f"{i}: {function_name(g)}\n" for i, (g, _) in enumerate(self.transforms))
        return f"Wrapped function:\n{around}Core: {self.__name__}\n"


def wrap_init(
    f: Callable[..., Any], params: dict[str, Any] | None = None, *, debug_info: Any
) -> WrappedFun:
    """`f`, with `params` as keyword arguments, as a WrappedFun without transformations."""
    params = params or {}
    return WrappedFun(
        f, partial(f, **params), (), (), tuple(sorted(params.items())), None, debug_info
    )


def missing_debug_info(for_what: str) -> DebugInfo:
    """What stands for debug info that a library does not give; JAX warns of it, so do we."""
    warn(
        f"{for_what} is missing a DebugInfo object. This behavior is deprecated, use "
        "api_util.debug_info() to construct a proper DebugInfo object and propagate it to this "
        "function.",
        DeprecationWarning,
    )
    return DebugInfo("missing_debug_info", "<missing_debug_info>")


# ---- transformations of functions


def transformation2(gen: Callable[..., Any], *first: Any) -> Any:
    """Make `gen(f, *static, *args, **kwargs)` a transformation: `t(fun, *static)` wraps `fun`."""

    def apply(fun: WrappedFun, *static: Any) -> WrappedFun:
        return fun.wrap(gen, static, None)

    return apply(*first) if first else apply


def transformation(gen: Callable[..., Any], *first: Any) -> Any:
    """The same for a generator that yields arguments, then gets and yields the result."""

    def around(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        steps = gen(*args, **kwargs)
        new_args, new_kwargs = next(steps)
        return steps.send(f(*new_args, **new_kwargs))

    return transformation2(around, *first)


def transformation_with_aux2(gen: Callable[..., Any], *first: Any) -> Any:
    """Make `gen(f, store, *static, *args)` a transformation that has a second result.

    `t(fun, *static)` is the wrapped function, and a function that gives the second result after
    the call.
    """

    def apply(
        fun: WrappedFun, *static: Any, use_eq_store: bool = False, unk_names: bool = False
    ) -> Any:
        store = EqualStore() if use_eq_store else Store()
        wrapped = fun.wrap(gen, static, store)
        wrapped = wrapped.with_unknown_names() if unk_names else wrapped
        return wrapped, lambda: store.val

    return apply(*first) if first else apply


def transformation_with_aux(gen: Callable[..., Any], *first: Any) -> Any:
    """The same for a generator that yields arguments, then the result and the second one."""

    def around(f: Callable[..., Any], store: Any, *args: Any, **kwargs: Any) -> Any:
        steps = gen(*args, **kwargs)
        new_args, new_kwargs = next(steps)
        out, aux = steps.send(f(*new_args, **new_kwargs))
        store.store(aux)
        return out

    return transformation_with_aux2(around, *first)


def merge_linear_aux(aux1: Callable[[], Any], aux2: Callable[[], Any]) -> tuple[bool, Any]:
    """Which of two second results is there, and its value."""
    try:
        found = aux1()
    except StoreException:
        return False, aux2()
    try:
        aux2()
    except StoreException:
        return True, found
    raise StoreException("neither store occupied")


def cache(call: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Keep the results of `call(fun, *args)` for as long as the function of `fun` lives."""
    kept: WeakKeyDictionary[Any, dict[Any, Any]] = WeakKeyDictionary()

    @wraps(call)
    def cached(fun: WrappedFun, *args: Any) -> Any:
        results = kept.setdefault(fun.f, {})
        key = (fun.transforms, fun.params, fun.in_type, args)
        if key in results:
            found, stores = results[key]
            fun.populate_stores(stores)
            return found
        found = call(fun, *args)
        results[key] = found, fun.stores
        return found

    cached.cache_clear = kept.clear  # type: ignore[attr-defined]
    return cached
