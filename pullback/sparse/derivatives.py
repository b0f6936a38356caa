"""Jacobians and Hessians with few nonzeros, from a few products.

The pattern of the matrix is found from the program of the function, its columns (or rows) are
coloured, and one product with each colour gives all numbers. What the types of the arguments decide
is done once and kept: a plan.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import checks
from .. import numpy as jnp
from ..control.custom import no_forward_mode
from ..control.identity import Fingerprint, fingerprint, same
from ..core import dtypes
from ..core.array import HostArray, Tracer
from ..core.errors import error
from ..core.program import trace_program
from ..core.settings import program_settings
from ..core.trace import type_of
from ..core.types import ArrayType
from ..experimental.sparse import BCOO
from .colouring import Colouring, check_order, coloured, scipy_sparse
from .products import Substitution, hessian_numbers, jacobian_numbers
from .structure import FlatFunction, check_kind, hessian_pattern, jacobian_pattern
from .symmetric import (
    Recovery,
    coloured_symmetric,
    recovered_by_columns,
    recovered_by_star,
    recovered_by_substitution,
)

FORMATS = ("csr", "csc", "coo", "bcoo")

DENSE = 0.5
"""From this share of nonzeros on nothing is coloured: the matrix is computed as a dense one."""


@dataclass
class Plan:
    """What is known of a sparse derivative before any number.

    `str` of it says it in a line; `sparse.spy` draws it.
    """

    name: str
    pattern: Any
    """A CSR array of bools, its indices sorted."""
    colouring: Colouring
    dtype: Any
    stored: Callable[..., Any] | None
    """The compiled function that computes the stored elements; None if there are none."""
    arrays: tuple[Any, ...] = ()
    coordinates: Any = None
    substitute: Callable[[Any], Any] | None = None
    """What makes elements of the numbers that were read, for an acyclic colouring."""

    @property
    def products(self) -> int:
        """How many products with a vector give all numbers."""
        return self.colouring.products

    def __str__(self) -> str:
        n, m = self.pattern.shape
        nnz = self.pattern.nnz
        share = 100 * nnz / max(1, n * m)
        how = f"{self.products} products ({self.colouring.kind})"
        return f"{self.name} {n} x {m}, {nnz} nonzeros ({share:.3g} %): {how}"

    __repr__ = __str__


def jacobian(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    *,
    mode: str = "auto",
    order: str = "best",
    pattern: Any = None,
    format: str = "csr",
    has_aux: bool = False,
    holomorphic: bool = False,
) -> SparseDerivative:
    """The Jacobian of `fun` as a sparse matrix.

    Args:
      fun: a function whose result is a pytree of arrays. It is traced, as by `jit`: other arguments
        that are arrays or numbers are traced too, the rest is static.
      argnums: the positional argument, or the several, to differentiate with respect to.
      mode: "fwd" multiplies by groups of columns, "rev" by groups of rows, "both" by groups of
        both; "auto" takes what needs the fewest products.
      order: in which order columns take the first free colour; see `colour_columns`.
      pattern: where the matrix may have nonzeros, if it is known: a SciPy sparse matrix, a BCOO, or
        a dense array. It is trusted. Without it, it is found from the program.
      format: "csr", "csc" or "coo" give an array of scipy.sparse, "bcoo" one of
        `pullback.experimental.sparse`, which can be traced, mapped and differentiated.
      has_aux: whether `fun` returns ``(value, auxiliary data)``.
      holomorphic: promise that `fun` is holomorphic; inputs must then be complex.

    Returns:
      A function of the same arguments. It gives a matrix of shape (elements of the result, elements
      of the arguments), with auxiliary data a pair. Trees are taken leaf by leaf, in the order of
      `jax.tree.leaves`, each in C order. The stored elements are those of the pattern, also where
      they happen to be zero. The dtype is that of the inputs and results together; SciPy's have at
      least 32 bits. The function has a method `plan`, which says what it does.

    Raises:
      TypeError: inputs or results are not real (complex with `holomorphic`); a scipy.sparse format
        is asked for while tracing.
      ValueError: a pattern of another shape; a mode, order or format that there is not; a pattern
        with too many nonzeros to write down.

    A Jacobian with more than half of its elements nonzero is computed as `jacfwd` or `jacrev` do.
    The pattern holds at every point. Indices that depend on inputs make it larger: such a gather
    may read anything along the axis. Indices that `fun` closes over are known.

    The method is that of Curtis, Powell & Reid (1974); see `colour_columns` for the colouring, and
    Griewank & Walther (2008), chapters 7 and 8, for all of it.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback import sparse
      >>> def f(x):
      ...     return x[1:] * x[:-1]
      >>> print(sparse.jacobian(f)(jnp.arange(4.0)).toarray())
      [[1. 0. 0. 0.]
       [0. 2. 1. 0.]
       [0. 0. 3. 2.]]
      >>> print(sparse.jacobian(f).plan(jnp.arange(4.0)))
      Jacobian 3 x 4, 6 nonzeros (50 %): 2 products (columns)
    """
    checks.callable_(fun, "sparse.jacobian")
    check_order(order)
    _check_choice("mode", mode, ("auto", "fwd", "rev", "both"))
    return SparseDerivative(
        fun,
        "sparse.jacobian",
        _jacobian_plan,
        (argnums, has_aux, holomorphic),
        pattern,
        format,
        (mode, order),
    )


def hessian(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    *,
    colouring: str = "star",
    order: str = "best",
    pattern: Any = None,
    format: str = "csr",
    has_aux: bool = False,
    holomorphic: bool = False,
) -> SparseDerivative:
    """The second derivatives of a scalar function as a sparse symmetric matrix.

    Args:
      fun, argnums, order, pattern, format, has_aux, holomorphic: as for `sparse.jacobian`; `fun`
        gives one number.
      colouring: "star" reads each element from a product; "acyclic" needs fewer products, and finds
        the elements by substitution, in which rounding errors add up; "columns" makes no use of
        symmetry. See `coloured_symmetric`.

    Returns:
      A function of the same arguments that gives a square matrix, a row and a column for each
      element of the arguments that `argnums` names. Products are forward over reverse mode.

    Raises:
      TypeError: as for `sparse.jacobian`, and where the result of `fun` is not one number.
      ValueError: as for `sparse.jacobian`, and for a pattern that is not symmetric.

    Coleman & Moré (1984); Gebremedhin, Manne & Pothen (2005).

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback import sparse
      >>> def rosenbrock(x):
      ...     return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
      >>> print(sparse.hessian(rosenbrock)(jnp.ones(3)).toarray())
      [[ 802. -400.    0.]
       [-400. 1002. -400.]
       [   0. -400.  200.]]
    """
    checks.callable_(fun, "sparse.hessian")
    check_order(order)
    _check_choice("colouring", colouring, ("star", "acyclic", "columns"))
    return SparseDerivative(
        fun,
        "sparse.hessian",
        _hessian_plan,
        (argnums, has_aux, holomorphic),
        pattern,
        format,
        (colouring, order),
    )


def pattern(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, *, of: str = "jacobian"
) -> Callable[..., Any]:
    """Where a derivative of `fun` may have nonzeros, found from its program.

    Args:
      fun, argnums: as for `sparse.jacobian`.
      of: "jacobian" or "hessian".

    Returns:
      A function of the same arguments, or of anything with their shapes and dtypes, that gives a
      ``scipy.sparse.csr_array`` of bools. No value of the arguments is looked at: no nonzero is
      missing at any point.

    Raises:
      TypeError, ValueError: as for `sparse.jacobian`.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback import sparse
      >>> print(sparse.pattern(lambda x: jnp.cumsum(x) * x[0])(jnp.ones(3)).toarray().astype(int))
      [[1 0 0]
       [1 1 0]
       [1 1 1]]
    """
    checks.callable_(fun, "sparse.pattern")
    _check_choice("of", of, ("jacobian", "hessian"))

    def pattern_of(*args: Any, **kwargs: Any) -> Any:
        call = FlatFunction(fun, _typed(args), kwargs, argnums, False, "sparse.pattern")
        _check_inputs(call, any(dtypes.kind(x.dtype) == "c" for x in call.chosen))
        found = jacobian_pattern(call) if of == "jacobian" else hessian_pattern(call)
        return found[0]

    return checks.named_like(pattern_of, fun, "pattern")


def _typed(args: Sequence[Any]) -> tuple[Any, ...]:
    """Arguments, of which those that are only types become zeros."""
    return tuple(_zeros(x) if type(x).__name__ == "ShapeDtypeStruct" else x for x in args)


def _zeros(x: Any) -> Any:
    return jnp.zeros(x.shape, x.dtype)


def _check_choice(what: str, given: Any, known: Sequence[str]) -> None:
    if given not in known:
        raise error(
            ValueError,
            f"there is no {what} {given!r} of sparse derivatives.",
            got=f"{what}={given!r}",
            fix="use one of " + ", ".join(f'"{name}"' for name in known) + ".",
        )


# ---- the function that is returned


class SparseDerivative:
    """What `sparse.jacobian` and `sparse.hessian` return: a function of the arguments of `fun`."""

    def __init__(
        self,
        fun: Callable[..., Any],
        verb: str,
        make: Callable[..., Plan],
        options: tuple[Any, bool, bool],
        given: Any,
        format: str,
        choices: tuple[str, str],
    ) -> None:
        _check_choice("format", format, FORMATS)
        self.__wrapped__ = fun
        self.__name__ = f"{verb}({getattr(fun, '__name__', type(fun).__name__)})"
        self._verb, self._make, self._format = verb, make, format
        self._argnums, self._has_aux, self._holomorphic = options
        self._choices = choices
        self._given = None if given is None else as_pattern(given)
        self._plans: dict[Any, Plan] = {}

    def plan(self, *args: Any, **kwargs: Any) -> Plan:
        """The pattern, the colours and the number of products for these arguments."""
        return self._plan(self._call(_typed(args), kwargs))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        call = self._call(args, kwargs)
        if self._format != "bcoo" and any(isinstance(x, Tracer) for x in call.chosen + call.others):
            raise _traced(self._verb, self._format, call)
        plan = self._plan(call)
        if plan.stored is None:
            data = jnp.zeros((0,), plan.dtype)
            aux = call.results(call.chosen, call.others)[1] if self._has_aux else None
        else:
            data, aux = plan.stored(call.chosen, call.others, *plan.arrays)
            data = data if plan.substitute is None else plan.substitute(data)
        found = _matrix(plan, data, self._format, self._verb, call)
        return (found, aux) if self._has_aux else found

    def _call(self, args: Any, kwargs: Any) -> FlatFunction:
        call = FlatFunction(
            self.__wrapped__, args, kwargs, self._argnums, self._has_aux, self._verb
        )
        _check_inputs(call, self._holomorphic)
        return call

    def _plan(self, call: FlatFunction) -> Plan:
        key = (call.key, program_settings())
        plan = self._plans.get(key)
        if plan is None:
            options = (self._make, self._choices, self._argnums, self._has_aux, self._holomorphic)
            plan = self._plans[key] = self._shared(call, (options, key))
        return plan

    def _shared(self, call: FlatFunction, key: Any) -> Plan:
        """The plan of a function that does the same, made before; or a new one."""
        depends_on = fingerprint(call.fun) if self._given is None else None
        if depends_on is None or depends_on.traced:
            return self._make(call, self._given, self._holomorphic, *self._choices)
        whole = (depends_on.codes(), _hashable(key))
        kept = _kept.get(whole)
        if kept is not None and same(kept[0], depends_on):
            _kept.move_to_end(whole)
            return kept[1]
        plan = self._make(call, None, self._holomorphic, *self._choices)
        after = fingerprint(call.fun)
        if after is not None and same(after, depends_on):
            _kept[whole] = (depends_on, plan)
            if len(_kept) > _MOST_KEPT:
                _kept.popitem(last=False)
        return plan


_kept: OrderedDict[Any, tuple[Fingerprint, Plan]] = OrderedDict()
_MOST_KEPT = 64


def _hashable(x: Any) -> Any:
    return tuple(map(_hashable, x)) if isinstance(x, (list, tuple)) else x


def _check_inputs(call: FlatFunction, holomorphic: bool) -> None:
    for x in call.chosen:
        check_kind(x, holomorphic, call.verb, "input")


def _traced(verb: str, format: str, call: FlatFunction) -> TypeError:
    x = next(x for x in call.chosen + call.others if isinstance(x, Tracer))
    return error(
        TypeError,
        f"{verb}: a matrix of scipy.sparse cannot hold traced values.",
        got=f'format="{format}" with {x.describe()}',
        fix='ask for format="bcoo" inside jit, vmap, grad and the like.',
    )


# ---- plans


def as_pattern(given: Any) -> Any:
    """A pattern of the user's as a CSR array of bools with sorted indices."""
    if isinstance(given, BCOO):
        i, j = np.asarray(given.indices).reshape(-1, 2).T
        inside = (i < given.shape[0]) & (j < given.shape[1])
        places = (i[inside], j[inside])
        given = scipy_sparse.coo_array((np.ones(int(inside.sum()), bool), places), given.shape)
    try:
        if not scipy_sparse.issparse(given):
            given = np.asarray(given) != 0
        found = scipy_sparse.csr_array(given)
    except (TypeError, ValueError) as cause:
        raise _not_a_pattern(given) from cause
    if len(found.shape) != 2:
        raise _not_a_pattern(given)
    ones = np.ones(found.nnz, bool)
    found = scipy_sparse.csr_array((ones, found.indices, found.indptr), shape=found.shape)
    found.sum_duplicates()
    return found


def _not_a_pattern(given: Any) -> ValueError:
    return error(
        ValueError,
        "a pattern is a matrix: of scipy.sparse, a BCOO, or a dense array.",
        got=f"{type(given).__name__} of shape {getattr(given, 'shape', 'unknown')}",
        fix="give one row for each element of the result, one column for each of the arguments.",
    )


def _checked(given: Any, rows: int, columns: int, call: FlatFunction) -> Any:
    if given.shape != (rows, columns):
        raise error(
            ValueError,
            f"{call.verb}: the pattern does not have the shape of the matrix.",
            got=f"a pattern of shape {given.shape} for a matrix of shape {(rows, columns)}",
            fix="give one row for each element of the result, one column for each of the "
            "arguments.",
        )
    return given


def _jacobian_plan(
    call: FlatFunction, given: Any, holomorphic: bool, mode: str, order: str
) -> Plan:
    if given is None:
        found, types, forward = jacobian_pattern(call)
    else:
        types, forward = _result_types(call), True
        found = _checked(given, sum(t.size for t in types), _size(call), call)
    for t in types:
        check_kind(t, holomorphic, call.verb, "output")
    mode = _possible(mode, forward, types, holomorphic)
    colouring = _dense(found, mode) or coloured(found, mode, order)
    dtype = _dtype(call, types)
    if not found.nnz:
        return Plan("Jacobian", found, colouring, dtype, None)
    places = _jacobian_places(found, colouring)
    numbers = jacobian_numbers(call, colouring, types, dtype)
    arrays = [_indices(a) for a in (colouring.columns, colouring.rows, places)]
    return Plan("Jacobian", found, colouring, dtype, numbers, tuple(arrays), _coordinates(found))


def _possible(mode: str, forward: bool, types: Sequence[ArrayType], holomorphic: bool) -> str:
    """The mode, where not all modes can be: no forward rules, or no reverse mode of what is
    complex."""
    if not forward:
        if mode in ("fwd", "both"):
            raise no_forward_mode()
        return "rev"
    if not holomorphic and any(dtypes.kind(t.dtype) == "c" for t in types):
        return "fwd"
    return mode


def _dense(found: Any, mode: str) -> Colouring | None:
    """One product for each column, or row: where the pattern is too full to gain by colours."""
    n, m = found.shape
    if found.nnz <= DENSE * n * m or min(n, m) <= 2:
        return None
    if mode == "rev" or (mode in ("auto", "both") and n < m):
        return Colouring("dense", rows=np.arange(n))
    return Colouring("dense", columns=np.arange(m))


def _jacobian_places(found: Any, colouring: Colouring) -> Any:
    """Where each stored element stands among the products, flattened."""
    n, m = found.shape
    i = np.repeat(np.arange(n), np.diff(found.indptr))
    j = found.indices.astype(np.int64)
    from_columns = from_rows = None
    if colouring.columns is not None:
        from_columns = colouring.columns[j] * n + i
    if colouring.rows is not None:
        from_rows = colouring.column_colours * n + colouring.rows[i] * m + j
    if from_columns is None or from_rows is None:
        return from_rows if from_columns is None else from_columns
    return np.where(colouring.by_row, from_rows, from_columns)


def _hessian_plan(call: FlatFunction, given: Any, holomorphic: bool, kind: str, order: str) -> Plan:
    n = _size(call)
    types = _result_types(call)
    for t in types:
        check_kind(t, holomorphic, call.verb, "output")
    found = hessian_pattern(call)[0] if given is None else _checked(given, n, n, call)
    if given is not None and (found != found.T).nnz:
        raise error(
            ValueError,
            f"{call.verb}: the pattern is not symmetric.",
            got=f"{(found != found.T).nnz // 2} pairs of which only one is there",
            fix="give pattern + pattern.T.",
        )
    colouring = _dense(found, "fwd") or coloured_symmetric(found, kind, order)
    dtype = _dtype(call, types)
    if not found.nnz:
        return Plan("Hessian", found, colouring, dtype, None)
    recovery = _recovery(found, colouring)
    numbers = hessian_numbers(call, colouring, dtype, holomorphic)
    arrays = (_indices(colouring.columns), _indices(recovery.places))
    plan = Plan("Hessian", found, colouring, dtype, numbers, arrays, _coordinates(found))
    if recovery.system is not None:
        plan.substitute = Substitution(recovery)
    return plan


def _recovery(found: Any, colouring: Colouring) -> Recovery:
    if colouring.kind == "star":
        return recovered_by_star(found, colouring.columns)
    if colouring.kind == "acyclic":
        return recovered_by_substitution(found, colouring.columns)
    return recovered_by_columns(found, colouring.columns)


def _result_types(call: FlatFunction) -> list[ArrayType]:
    """The types of the results, without running the function."""
    from_leaves = len(call.chosen)

    def flat(*xs: Any) -> list[Any]:
        return call.results(xs[:from_leaves], xs[from_leaves:])[0]

    types = [type_of(x) for x in (*call.chosen, *call.others)]
    return trace_program(flat, types, call.fun).out_avals


def _size(call: FlatFunction) -> int:
    return sum(type_of(x).size for x in call.chosen)


def _dtype(call: FlatFunction, types: Sequence[ArrayType]) -> Any:
    kinds = [type_of(x).dtype for x in call.chosen] + [t.dtype for t in types]
    return jnp.result_type(*kinds) if kinds else dtypes.canonical(np.dtype(float))


def _indices(a: Any) -> Any:
    """Integers of 32 bits where these are enough, as an Array; None stays."""
    if a is None:
        return None
    narrow = np.int32 if a.size == 0 or a.max() < 2**31 else np.int64
    return HostArray(np.asarray(a, narrow))


def _coordinates(found: Any) -> Any:
    i = np.repeat(np.arange(found.shape[0]), np.diff(found.indptr))
    return _indices(np.stack([i, found.indices], axis=1))


def _matrix(plan: Plan, data: Any, format: str, verb: str, call: FlatFunction) -> Any:
    shape = plan.pattern.shape
    if format == "bcoo":
        places = plan.coordinates
        places = jnp.zeros((0, 2), jnp.int32) if places is None else places
        return BCOO((data, places), shape=shape, indices_sorted=True, unique_indices=True)
    if isinstance(data, Tracer):
        raise error(
            TypeError,
            f"{verb}: a matrix of scipy.sparse cannot hold traced values.",
            got=f'format="{format}" of a function that closes over a traced value',
            fix='ask for format="bcoo" inside jit, vmap, grad and the like.',
        )
    numbers = np.asarray(data)
    if numbers.dtype.kind not in "fc" or numbers.dtype.itemsize < 4:
        numbers = numbers.astype(np.float32)
    # SciPy's matrices can be changed in place: each has arrays of its own.
    parts = (np.array(numbers), plan.pattern.indices.copy(), plan.pattern.indptr.copy())
    found = scipy_sparse.csr_array(parts, shape=shape)
    found.has_sorted_indices = True
    return found if format == "csr" else found.asformat(format)


__all__ = ["Plan", "SparseDerivative", "as_pattern", "hessian", "jacobian", "pattern"]
