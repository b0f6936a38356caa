"""Arrays of a program that functions of NumPy and SciPy take, which write what they do.

So a formula that stands once, as the `eval` of an operation, is that of this engine too. Functions
of SciPy are called as machine code on the CPU; some of them XLA has itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import loops
from ..lowering import Lowering
from ..text import Word
from ..types import Unsupported, ints
from .elementwise import compare, convert, extremum, like, log1p, power
from .host import call_code
from .reductions import op as combination
from .reductions import reduced
from .structural import broadcast, reshaped

_AT_ONCE = 4
"""Rounds of a loop that are written as one: its arrays go through memory in each."""


class Symbolic(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of a program. What is done in place changes it, as with NumPy's arrays."""

    def __init__(self, low: Lowering, word: Word) -> None:
        self.low, self.word = low, word

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return self.word.shape

    @property
    def dtype(self) -> np.dtype:
        """That of the elements."""
        return self.word.dtype

    @property
    def real(self) -> Symbolic:
        """The real parts."""
        return self._part("real")

    @property
    def imag(self) -> Symbolic:
        """The imaginary parts."""
        return self._part("imag")

    def _part(self, name: str) -> Symbolic:
        part = np.dtype(f"f{self.dtype.itemsize // 2}")
        return Symbolic(self.low, self.low.code.op(name, [self.word], self.shape, part))

    def astype(self, dtype: Any) -> Symbolic:
        """With elements of another dtype."""
        return Symbolic(self.low, convert(self.low.code, self.word, dtype))

    def copy(self) -> Symbolic:
        """The same elements, which changes in place of this one do not reach."""
        return Symbolic(self.low, self.word)

    def counted(
        self,
        step: Callable[..., list[Any]],
        count: Any,
        *carry: Any,
        tables: Sequence[np.ndarray] = (),
    ) -> list[Any]:
        """`carry = step(k, *carry, *[t[k] for t in tables])` for k = 0 ... count - 1."""
        low, code = self.low, self.low.code
        at_once = _AT_ONCE if isinstance(count, int) and count % _AT_ONCE == 0 else 1
        start = [code.constant(np.int32(0)), *[_as(low, x, x.dtype) for x in carry]]
        types = [(w.shape, w.dtype) for w in start]

        def goes_on(k: Word, *words: Word) -> Sequence[Word]:
            x, y = _spread(low, [Symbolic(low, k), count])
            return [compare(code, "LT", x, y)]

        def body(k: Word, *words: Word) -> Sequence[Word]:
            xs = [Symbolic(low, w) for w in words]
            for _ in range(at_once):
                xs = step(Symbolic(low, k), *xs, *[_entry(low, t, k) for t in tables])
                k = code.op("add", [k, like(code, k, 1)], (), np.int32)
            return [k, *[x.word for x in xs]]

        regions = f"{low.region(types, goes_on).text}, {low.region(types, body).text}"
        return [Symbolic(low, w) for w in code.ops("while", start, types, "", regions)[1:]]

    def max(self, initial: float) -> Symbolic:
        """The largest of all elements, or this number."""
        axes = range(self.word.rank)
        begin = np.asarray(initial, self.dtype)
        return Symbolic(self.low, reduced(self.low, self.word, axes, begin, combination("maximum")))

    def __getitem__(self, index: Any) -> Symbolic:
        """New axes: `x[:, None]`, `x[None]`; everything else is refused."""
        index = index if isinstance(index, tuple) else (index,)
        kept = [i for i in index if i is not None]
        if any(i != slice(None) for i in kept):
            raise Unsupported("an index of a symbolic array")
        lengths = iter(self.shape)
        shape = [1 if i is None else next(lengths) for i in index] + list(lengths)
        return Symbolic(self.low, reshaped(self.low.code, self.word, shape))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        out = [x for x in options.pop("out", ()) if x is not None]
        if method != "__call__" or options or not all(isinstance(x, Symbolic) for x in out):
            return NotImplemented
        found = _by_ufunc(self.low, ufunc, inputs)
        if not out:
            return found
        out[0].word = found.word
        return out[0]

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        done = _FUNCTIONS.get(function)
        return NotImplemented if done is None else done(self.low, *args, **options)


def _common(xs: Sequence[Any]) -> np.dtype:
    """The dtype that NumPy would compute in."""
    return np.result_type(*[x.dtype if isinstance(x, Symbolic) else x for x in xs])


def _as(low: Lowering, x: Any, dtype: np.dtype) -> Word:
    if isinstance(x, Symbolic):
        return convert(low.code, x.word, dtype)
    return low.code.constant(x, dtype)


def _spread(low: Lowering, xs: Sequence[Any], dtype: np.dtype | None = None) -> list[Word]:
    """Operands in one shape and of one dtype."""
    wanted = _common(xs) if dtype is None else dtype
    words = [_as(low, x, wanted) for x in xs]
    shape = np.broadcast_shapes(*[w.shape for w in words])
    return [_wide(low, w, shape) for w in words]


def _wide(low: Lowering, x: Word, shape: Sequence[int]) -> Word:
    """x in a shape that NumPy would broadcast it to."""
    before = len(shape) - x.rank
    own = [before + i for i in range(x.rank) if x.shape[i] == shape[before + i]]
    narrow = reshaped(low.code, x, [shape[i] for i in own])
    return broadcast(low.code, narrow, tuple(shape), own)


# ---- functions of single elements

Maker = Callable[[Lowering, list[Word]], Word]


def _by_ufunc(low: Lowering, ufunc: Any, inputs: Sequence[Any]) -> Any:
    made = _UFUNCS.get(ufunc)
    if made is not None:
        return Symbolic(low, made(low, _spread(low, inputs)))
    if ufunc.__name__ in _OF_SCIPY:
        own = _OF_SCIPY[ufunc.__name__](low, *inputs)
        if own is not None:
            return own
    return _scipy(low, ufunc, inputs)


def _op(name: str, dialect: str = "stablehlo") -> Maker:
    def make(low: Lowering, xs: list[Word]) -> Word:
        return low.code.op(name, xs, xs[0].shape, xs[0].dtype, dialect=dialect)

    return make


def _comparison(direction: str) -> Maker:
    return lambda low, xs: compare(low.code, direction, xs[0], xs[1])


def _absolute(low: Lowering, xs: list[Word]) -> Word:
    (x,) = xs
    part = np.dtype(f"f{x.dtype.itemsize // 2}") if x.dtype.kind == "c" else x.dtype
    return low.code.op("abs", [x], x.shape, part)


def _is_finite(low: Lowering, xs: list[Word]) -> Word:
    return low.code.op("is_finite", xs, xs[0].shape, bool)


def _is_infinite(low: Lowering, xs: list[Word]) -> Word:
    size = _absolute(low, xs)
    return compare(low.code, "EQ", size, like(low.code, size, np.inf))


def _remainder(low: Lowering, xs: list[Word]) -> Word:
    """x - floor(x / y) y, of which NumPy's sign is that of y."""
    x, y = xs
    quotient = low.code.op("divide", [x, y], x.shape, x.dtype)
    whole = low.code.op("floor", [quotient], x.shape, x.dtype)
    product = low.code.op("multiply", [whole, y], x.shape, x.dtype)
    return low.code.op("subtract", [x, product], x.shape, x.dtype)


_UFUNCS: dict[Any, Maker] = {
    np.add: _op("add"),
    np.subtract: _op("subtract"),
    np.multiply: _op("multiply"),
    np.divide: _op("divide"),
    np.negative: _op("negate"),
    np.absolute: _absolute,
    np.exp: _op("exponential"),
    np.expm1: _op("exponential_minus_one"),
    np.log: _op("log"),
    np.log1p: lambda low, xs: log1p(low.code, xs[0]),
    np.sqrt: _op("sqrt"),
    np.sin: _op("sine"),
    np.cos: _op("cosine"),
    np.floor: _op("floor"),
    np.ceil: _op("ceil"),
    np.power: lambda low, xs: power(low.code, *xs),
    np.remainder: _remainder,
    np.minimum: lambda low, xs: extremum(low.code, "minimum", *xs),
    np.maximum: lambda low, xs: extremum(low.code, "maximum", *xs),
    np.equal: _comparison("EQ"),
    np.not_equal: _comparison("NE"),
    np.less: _comparison("LT"),
    np.less_equal: _comparison("LE"),
    np.greater: _comparison("GT"),
    np.greater_equal: _comparison("GE"),
    np.bitwise_and: _op("and"),
    np.bitwise_or: _op("or"),
    np.invert: _op("not"),
    np.isfinite: _is_finite,
    np.isinf: _is_infinite,
}


# ---- other functions of NumPy


def _where(low: Lowering, which: Any, x: Any, y: Any) -> Symbolic:
    dtype = _common([x, y])
    words = [_as(low, which, np.dtype(bool)), _as(low, x, dtype), _as(low, y, dtype)]
    shape = np.broadcast_shapes(*[w.shape for w in words])
    cases = [_wide(low, w, shape) for w in words]
    return Symbolic(low, low.code.op("select", cases, shape, dtype))


def _select(low: Lowering, conditions: Any, choices: Any, default: Any = 0) -> Any:
    found = default
    for condition, choice in reversed(list(zip(conditions, choices, strict=True))):
        found = _where(low, condition, choice, found)
    return found


def _filled_like(value: float) -> Callable[..., Symbolic]:
    return lambda low, x: Symbolic(low, like(low.code, x.word, value))


def _broadcast_arrays(low: Lowering, *xs: Any) -> list[Symbolic]:
    shape = np.broadcast_shapes(*[np.shape(x) for x in xs])
    return [Symbolic(low, _wide(low, _as(low, x, x.dtype), shape)) for x in xs]


def _entry(low: Lowering, table: np.ndarray, k: Word) -> Symbolic:
    code = low.code
    words = [code.constant(table), k]
    found = code.op("dynamic_slice", words, (1,), table.dtype, f"slice_sizes = {ints([1])}")
    return Symbolic(low, reshaped(code, found, ()))


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.where: _where,
    np.select: _select,
    np.zeros_like: _filled_like(0),
    np.ones_like: _filled_like(1),
    np.full_like: lambda low, x, value: Symbolic(low, like(low.code, x.word, value)),
    np.broadcast_arrays: _broadcast_arrays,
    np.shape: lambda low, x: x.shape,
    np.any: lambda low, x: True,  # what these would spare is written
    np.all: lambda low, x: False,
}


# ---- functions of SciPy


def _scipy(low: Lowering, ufunc: Any, inputs: Sequence[Any]) -> Any:
    """A call of the inner loop of SciPy's ufunc.

    Raises:
      Unsupported: it is not to be had where the program will run.
    """
    dtype = _common(inputs)
    signature = f"{dtype.char * ufunc.nin}->{dtype.char * ufunc.nout}"
    name = ufunc.__name__.removeprefix("_")
    here = low.platform == "cpu" and not low.portable
    target = loops.target(name, signature) if here else None
    if target is None:
        raise Unsupported(f"scipy.special.{name}")
    words = [_as(low, x, dtype) for x in inputs]
    shape = np.broadcast_shapes(*[w.shape for w in words])
    # Scalars may stay, but that XLA does not know what each of several devices has of them.
    words = [w if not w.rank and low.meshes is None else _wide(low, w, shape) for w in words]
    results = [(shape, dtype)] * ufunc.nout
    found = [Symbolic(low, w) for w in call_code(low, target, words, results)]
    return found[0] if ufunc.nout == 1 else tuple(found)


def _on_other_platforms(name: str) -> Callable[..., Any]:
    """A function that XLA has too, less exact than SciPy's: for where SciPy's cannot be called."""

    def make(low: Lowering, *inputs: Any) -> Symbolic | None:
        if low.platform == "cpu":
            return None
        return Symbolic(low, _op(name, "chlo")(low, _spread(low, inputs)))

    return make


def _x_log(logarithm: Any) -> Callable[..., Any]:
    def make(low: Lowering, x: Any, y: Any) -> Any:
        # 0 where x is 0, whatever y is but NaN
        product = x * logarithm(y)
        return np.where((x == 0) & (y == y), 0.0, product)

    return make


_OF_SCIPY: dict[str, Callable[..., Any]] = {
    "xlogy": _x_log(np.log),
    "xlog1py": _x_log(np.log1p),
    "psi": _on_other_platforms("digamma"),
    "gammaln": _on_other_platforms("lgamma"),
    "_zeta": _on_other_platforms("zeta"),
}

__all__ = ["Symbolic"]
