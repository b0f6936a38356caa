"""Lengths of axes that are expressions, such as `2*b + 1`: polynomials of names and operations.

A name stands for a length that a call fills in, which is 1 or more.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .core.errors import InconclusiveDimensionOperation, error

_LONGEST = 10_000
"""Characters of a text that is read: Python's parser ends at some depth."""
_MOST_TERMS = 10_000
"""Of a length: a product of many sums has no end."""

Atom = Any
"""A name, or an `_Operation`."""
Product = tuple[tuple[Atom, int], ...]
"""Atoms and their powers; empty for the number 1."""


class _Operation(NamedTuple):
    name: str
    operands: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.operands))})"


_OPERATIONS: dict[str, Callable[..., int]] = {
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "max": max,
    "min": min,
    "non_negative": lambda n: max(n, 0),
}


class Length:
    """A length that is not a number yet: a sum of products with whole numbers before them."""

    __slots__ = ("_terms", "scope")

    def __init__(self, terms: Mapping[Product, int], scope: SymbolicScope | None) -> None:
        self._terms, self.scope = dict(terms), scope

    # ---- what it is

    def __str__(self) -> str:
        text = ""
        for product, n in sorted(self._terms.items(), key=_rank):
            factors = [f"{a}^{p}" if p > 1 else str(a) for a, p in product]
            if abs(n) != 1 or not factors:
                factors.insert(0, str(abs(n)))
            sign = ("-" if n < 0 else "") if not text else (" - " if n < 0 else " + ")
            text += sign + "*".join(factors)
        return text

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Length) and self._terms == other._terms

    def __hash__(self) -> int:
        return hash(frozenset(self._terms.items()))

    def names(self) -> set[str]:
        """The names in it."""
        return {n for product in self._terms for a, _ in product for n in _names(a)}

    def terms(self) -> list[tuple[Product, int]]:
        """The products that are added, and the number before each."""
        return list(self._terms.items())

    def at(self, sizes: Mapping[str, int]) -> int:
        """The number for these lengths."""
        total = 0
        for product, n in self._terms.items():
            for atom, power in product:
                n *= _value(atom, sizes) ** power
            total += n
        return total

    # ---- arithmetic

    def _with(self, other: Any, terms: Mapping[Product, int]) -> Any:
        return made(terms, self.scope or getattr(other, "scope", None))

    def __add__(self, other: Any) -> Any:
        return self._sum(other, 1)

    def __sub__(self, other: Any) -> Any:
        return self._sum(other, -1)

    def _sum(self, other: Any, sign: int) -> Any:
        others = _terms(other)
        if others is None:
            return NotImplemented
        total = dict(self._terms)
        for product, n in others.items():
            total[product] = total.get(product, 0) + sign * n
        return self._with(other, total)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __neg__(self) -> Any:
        return self * -1

    def __mul__(self, other: Any) -> Any:
        others = _terms(other)
        if others is None:
            return NotImplemented
        if len(self._terms) * len(others) > _MOST_TERMS:
            raise OverflowError("a length of too many terms")
        total: dict[Product, int] = {}
        for left, m in self._terms.items():
            for right, n in others.items():
                product = _times(left, right)
                total[product] = total.get(product, 0) + m * n
        return self._with(other, total)

    __radd__, __rmul__ = __add__, __mul__

    def __pow__(self, power: int) -> Any:
        result: Any = 1
        for _ in range(power):
            result = self * result
        return result

    def __floordiv__(self, other: Any) -> Any:
        others = _terms(other)
        if others is None:
            return NotImplemented
        exact = _quotient(self._terms, others)
        return self._operation("floordiv", other) if exact is None else self._with(other, exact)

    def __mod__(self, other: Any) -> Any:
        others = _terms(other)
        if others is None:
            return NotImplemented
        if _quotient(self._terms, others) is not None:
            return 0
        return self._operation("mod", other)

    def _operation(self, name: str, *others: Any) -> Any:
        return _applied(name, [self, *others], self.scope)

    # ---- what is not known

    def _inconclusive(self, what: str) -> InconclusiveDimensionOperation:
        return error(
            InconclusiveDimensionOperation,
            "Symbolic dimension comparison is inconclusive: the length of an axis is not known.",
            got=what,
            fix="do without its value, or export the function once for each length.",
        )

    def __lt__(self, other: Any) -> bool:
        return not self >= other

    def __gt__(self, other: Any) -> bool:
        return not self <= other

    def __ge__(self, other: Any) -> bool:
        difference = self - other
        low, high = _bounds(difference)
        if low is not None and low >= 0:
            return True
        if high is not None and high < 0:
            return False
        raise self._inconclusive(f"'{self}' >= '{other}'")

    def __le__(self, other: Any) -> bool:
        return bool(-self >= -other)

    def __index__(self) -> int:
        raise self._inconclusive(f"'{self}' as a number")

    __int__ = __index__


def made(terms: Mapping[Product, int], scope: SymbolicScope | None) -> Any:
    """A length, or the number that it is."""
    left = {product: n for product, n in terms.items() if n}
    if set(left) <= {()}:
        return left.get((), 0)
    return Length(left, scope)


def _rank(term: tuple[Product, int]) -> Any:
    degree = sum(p for _, p in term[0])
    return -degree, str(term[0]), term[1]


def _terms(x: Any) -> dict[Product, int] | None:
    if isinstance(x, Length):
        return x._terms
    try:
        return {(): operator.index(x)}
    except TypeError:
        return None


def _times(left: Product, right: Product) -> Product:
    powers = dict(left)
    for atom, p in right:
        powers[atom] = powers.get(atom, 0) + p
    return tuple(sorted(powers.items(), key=str))


def _quotient(terms: Mapping[Product, int], by: Mapping[Product, int]) -> Any:
    """The terms of a quotient without rest by one product; None if there is none."""
    if len(by) != 1:
        return None
    ((divisor, m),) = by.items()
    found = {}
    for product, n in terms.items():
        powers = dict(product)
        for atom, p in divisor:
            powers[atom] = powers.get(atom, 0) - p
        if n % m or any(p < 0 for p in powers.values()):
            return None
        found[tuple((a, p) for a, p in powers.items() if p)] = n // m
    return found


def _applied(name: str, operands: Sequence[Any], scope: SymbolicScope | None) -> Any:
    if not any(isinstance(x, Length) for x in operands):
        return _OPERATIONS[name](*operands)
    return Length({((_Operation(name, tuple(operands)), 1),): 1}, scope)


def _names(atom: Atom) -> set[str]:
    if isinstance(atom, str):
        return {atom}
    return {n for x in atom.operands if isinstance(x, Length) for n in x.names()}


def _value(atom: Atom, sizes: Mapping[str, int]) -> int:
    if isinstance(atom, str):
        return sizes[atom]
    return _OPERATIONS[atom.name](*[evaluated(x, sizes) for x in atom.operands])


def evaluated(x: Any, sizes: Mapping[str, int]) -> int:
    """A length, or a number, as a number."""
    return x.at(sizes) if isinstance(x, Length) else x


_Bounds = tuple[int | None, int | None]
"""Between which numbers something is; None where there is no bound."""


def _bounds(x: Any) -> _Bounds:
    """Those of a length, or of a number, where every name is 1 or more."""
    if not isinstance(x, Length):
        return x, x
    low: int | None = 0
    high: int | None = 0
    for product, n in x._terms.items():
        bounds = _bounds_of_product(product)
        least, most = bounds if n > 0 else bounds[::-1]
        low = None if low is None or least is None else low + n * least
        high = None if high is None or most is None else high + n * most
    return low, high


def _bounds_of_product(product: Product) -> _Bounds:
    low, high = 1, 1  # type: int, int | None
    for atom, power in product:
        least, most = (1, None) if isinstance(atom, str) else _bounds_of_operation(atom)
        if least is None or (least < 0 and len(product) == 1 == power):
            return (least, most) if len(product) == 1 == power else (None, None)
        if least < 0:
            return None, None
        low *= least**power
        high = None if high is None or most is None else high * most**power
    return low, high


def _bounds_of_operation(operation: _Operation) -> _Bounds:
    bounds = [_bounds(x) for x in operation.operands]
    lows, highs = ([n for n in ns if n is not None] for ns in zip(*bounds, strict=True))
    name, by = operation.name, operation.operands[-1]
    if name in ("floordiv", "mod"):
        if not isinstance(by, int) or by <= 0:
            return None, None
        if name == "mod":
            return 0, by - 1
        low, high = bounds[0]
        return None if low is None else low // by, None if high is None else high // by
    every_low, every_high = len(lows) == len(bounds), len(highs) == len(bounds)
    if name == "min":
        return min(lows) if every_low else None, min(highs, default=None)
    if name == "non_negative":
        lows, every_low = [0, *lows], True
    return max(lows, default=None), max(0, *highs) if every_high else None


# ---- from text


class SymbolicScope:
    """Names of lengths that belong together, and what is known of them.

    Args:
      constraints_str: conditions such as "a >= b", "a <= 8" or "a == 2*b".

    Raises:
      ValueError: one cannot be read.
    """

    def __init__(self, constraints_str: Sequence[str] = ()) -> None:
        if isinstance(constraints_str, str):
            raise _unreadable("constraints", constraints_str, "give a list of texts.")
        self.constraints = tuple([self._condition(c) for c in constraints_str])

    def _condition(self, text: str) -> tuple[str, Any, str, Any]:
        for sign in (">=", "<=", "=="):
            left, found, right = text.partition(sign)
            if found:
                return text, parsed(left, self), sign, parsed(right, self)
        raise _unreadable("constraint", text, 'write it like "a >= b", "a <= 8", "a == 2*b".')

    def allows(self, sizes: Mapping[str, int]) -> bool:
        """Whether lengths meet all conditions on them."""
        tests = {">=": operator.ge, "<=": operator.le, "==": operator.eq}
        return all(
            tests[sign](evaluated(left, sizes), evaluated(right, sizes))
            for _, left, sign, right in self.constraints
        )

    def names(self) -> set[str]:
        """The names in the conditions."""
        sides = [x for _, left, _, right in self.constraints for x in (left, right)]
        return {n for x in sides if isinstance(x, Length) for n in x.names()}

    def __str__(self) -> str:
        return f"SymbolicScope({', '.join(text for text, *_ in self.constraints)})"


def dimension(text: str) -> Any:
    """A length in a file: a number or an expression.

    Raises:
      ValueError: it is neither.
    """
    return parsed(text, None)


def parsed(text: str, scope: SymbolicScope | None) -> Any:
    """The number or the Length that a text says.

    Raises:
      ValueError: it says none.
    """
    node = _tree(text)
    try:
        return _of_node(node, scope, text)
    except (ArithmeticError, TypeError, RecursionError) as cause:
        raise _unreadable("length", text, f"write it like 2*b + 1: {cause}.") from None


def _tree(text: str) -> Any:
    try:
        if len(text) > _LONGEST:
            raise SyntaxError("it is too long")
        return ast.parse(text.strip().replace("^", "**"), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as cause:
        raise _unreadable("length", text, f"write it like 2*b + 1: {cause}.") from None


_ARITHMETIC: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def _of_node(node: Any, scope: SymbolicScope | None, text: str) -> Any:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.Name) and node.id != "_":
        return Length({((node.id, 1),): 1}, scope)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_of_node(node.operand, scope, text)
    if isinstance(node, ast.Call) and getattr(node.func, "id", None) in _OPERATIONS:
        operands = [_of_node(a, scope, text) for a in node.args]
        return _applied(node.func.id, operands, scope)  # type: ignore[attr-defined]
    if isinstance(node, ast.BinOp):
        left, right = (_of_node(n, scope, text) for n in (node.left, node.right))
        if type(node.op) in _ARITHMETIC:
            return _ARITHMETIC[type(node.op)](left, right)
        single = isinstance(left, Length) and len(left._terms) == 1
        if isinstance(node.op, ast.Pow) and single and type(right) is int and 0 <= right <= 64:
            return left**right
    raise _unreadable(
        "length", text, "use names, whole numbers, + - * ^, floordiv, mod, max and min."
    )


def shape_of(text: str, scope: SymbolicScope, like: Sequence[Any] | None) -> tuple[Any, ...]:
    """The lengths in a text such as "b, 4" or "(b, ...)"; `_` and `...` are those of `like`.

    Raises:
      ValueError: it cannot be read, or `like` does not fit.
    """
    if not isinstance(text, str):
        raise _unreadable("shape", text, 'give a string such as "b, 4".')
    node = _tree(text.strip() or "()")
    parts = list(node.elts) if isinstance(node, ast.Tuple) else [node]
    dots = [i for i, n in enumerate(parts) if isinstance(n, ast.Constant) and n.value is ...]
    if dots:
        if like is None or len(dots) > 1 or len(like) < len(parts) - 1:
            raise _unreadable("shape", text, "'...' needs `like`, an array with enough axes.")
        more = len(like) - len(parts) + 1
        parts[dots[0] : dots[0] + 1] = [ast.Name("_")] * more
    if like is not None and len(like) != len(parts):
        raise _unreadable("shape", text, f"give one length for each axis of {tuple(like)}.")
    found = []
    for i, part in enumerate(parts):
        if isinstance(part, ast.Name) and part.id == "_":
            if like is None:
                raise _unreadable("shape", text, "'_' needs `like`.")
            found.append(like[i])
        else:
            found.append(_of_node(part, scope, text))
    return tuple(found)


def _unreadable(what: str, text: Any, fix: str) -> ValueError:
    return error(ValueError, f"export: a symbolic {what} cannot be read.", got=repr(text), fix=fix)


__all__ = ["Length", "SymbolicScope", "dimension", "evaluated", "made", "parsed", "shape_of"]
