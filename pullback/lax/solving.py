"""Solutions of equations whose derivatives do not go through the solver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import checks
from ..control.custom import custom_jvp_call
from ..control.linear_solve import Counts, Solvers
from ..control.linear_solve import custom_linear_solve as linear_solve_p
from ..control.traced import Body, trace_function
from ..core.errors import error
from ..core.program import run_closed
from ..core.pytree import PyTreeDef, flatten
from ..core.trace import type_of
from ..core.types import ArrayType
from ..ops.elementwise import neg
from ..ops.structural import zeros_of
from ..transforms import forward, reverse
from ..transforms.stage import transpose_program
from .loops import check_callable


def custom_linear_solve(
    matvec: Callable[[Any], Any],
    b: Any,
    solve: Callable[[Callable[[Any], Any], Any], Any],
    transpose_solve: Callable[[Callable[[Any], Any], Any], Any] | None = None,
    symmetric: bool = False,
    has_aux: bool = False,
) -> Any:
    """The x with ``matvec(x) = b``, found by `solve`, with derivatives of the solution itself.

    Args:
      matvec: a linear function of a pytree like `b`. It may close over traced values, with respect
        to which the solution is differentiated.
      b: the right side: a pytree of arrays.
      solve: ``solve(matvec, b)`` gives the solution; it need not be differentiable.
      transpose_solve: ``transpose_solve(vecmat, b)`` solves the transposed system, whose function
        is `vecmat`: needed for reverse mode.
      symmetric: whether the system is symmetric, so that `solve` solves the transposed one too.
      has_aux: whether the solvers return ``(x, auxiliary data)``.

    Returns:
      The solution, of the structure of `b`; with `has_aux` a pair of it and the auxiliary data.

    Example:
      >>> from pullback import lax
      >>> import pullback
      >>> root = lambda a: lax.custom_linear_solve(
      ...     lambda x: a * x, 6.0, lambda matvec, b: b / matvec(1.0), symmetric=True)
      >>> print(root(2.0), pullback.grad(root)(2.0))
      3.0 -1.5
    """
    message = "lax.custom_linear_solve: matvec and solve arguments should be callable."
    check_callable(message, matvec, solve)
    if transpose_solve is None and symmetric:
        transpose_solve = solve
    leaves, tree = flatten(b)
    leaves = [checks.input_array(x, "custom_linear_solve") for x in leaves]
    types = [type_of(x) for x in leaves]
    one = flatten((tree.unflatten(leaves),))[1]
    of_matvec = trace_function(matvec, one, types, "custom_linear_solve")
    _check_like("matvec", of_matvec.out_tree, of_matvec.closed.out_avals, tree, types, "b")
    of_solve = _trace_solver(solve, matvec, one, types, tree, has_aux, "solve")
    bodies: list[Any] = [of_matvec, None, of_solve, None]
    if transpose_solve is not None:
        turned = (matvec, of_matvec) if symmetric else _transposed(of_matvec, tree)
        bodies[1] = turned[1]
        bodies[3] = _trace_solver(
            transpose_solve, turned[0], one, types, tree, has_aux, "transpose_solve"
        )
    counts = Counts(*(0 if body is None else len(body.consts) for body in bodies))
    programs: list[Any] = [None if body is None else body.closed for body in bodies]
    consts = [c for body in bodies if body is not None for c in body.consts]
    outs = linear_solve_p(*consts, *leaves, const_lengths=counts, jaxprs=Solvers(*programs))
    return of_solve.out_tree.unflatten(outs)


def _trace_solver(
    solver: Any, matvec: Any, one: Any, types: Any, tree: Any, has_aux: bool, name: str
) -> Body:
    def solved(b: Any) -> Any:
        out = solver(matvec, b)
        return checks.pair(out, name) if has_aux else out

    body = trace_function(solved, one, types, "custom_linear_solve", (solver, one))
    out_tree = body.out_tree.children()[0] if has_aux else body.out_tree
    _check_like(name, out_tree, body.closed.out_avals[: len(types)], tree, types, "b")
    return body


def _transposed(matvec: Body, tree: PyTreeDef) -> tuple[Callable[[Any], Any], Body]:
    """The transposed function, for a user and as a program."""
    n = len(matvec.consts)
    count = len(matvec.closed.out_avals)
    mask = (*(False,) * n, *(True,) * count)
    closed, _ = transpose_program(matvec.closed, mask, (True,) * count, (True,) * count)

    def vecmat(x: Any) -> Any:
        leaves, x_tree = flatten(x)
        checks.structure("the argument of vecmat", x_tree, tree, "b")
        return tree.unflatten(run_closed(closed, [*matvec.consts, *leaves]))

    return vecmat, Body(closed, matvec.consts, tree)


def _check_like(
    name: str, tree: PyTreeDef, types: Sequence[ArrayType], want_tree: Any, want: Any, like: str
) -> None:
    """The result of a function must be of the structure and types of what it is named after."""
    same = tree == want_tree and all(
        t.shape == w.shape and t.dtype == w.dtype for t, w in zip(types, want, strict=True)
    )
    if not same:
        shapes = [t.shape for t in types] != [t.shape for t in want]
        raise error(
            ValueError if tree == want_tree and shapes else TypeError,
            f"{name}() output must have the structure, shapes and dtypes of {like}.",
            got=f"{', '.join(t.str_short() for t in types)} in {tree}, for "
            f"{', '.join(t.str_short() for t in want)} in {want_tree}",
            fix=f"let {name} give what {like} is.",
        )


# ---- custom_root


def custom_root(
    f: Callable[[Any], Any],
    initial_guess: Any,
    solve: Callable[[Callable[[Any], Any], Any], Any],
    tangent_solve: Callable[[Callable[[Any], Any], Any], Any],
    has_aux: bool = False,
) -> Any:
    """The x with ``f(x) = 0``, found by `solve`, with derivatives by the implicit function theorem.

    Args:
      f: a function whose result has the structure of its argument. It may close over traced values,
        with respect to which the root is differentiated.
      initial_guess: a pytree of arrays, where `solve` begins.
      solve: ``solve(f, initial_guess)`` gives the root; it need not be differentiable.
      tangent_solve: ``tangent_solve(g, y)`` gives the x with ``g(x) = y`` for a linear function g,
        the derivative of `f` at the root: ``lambda g, y: y / g(1.0)`` for scalars.
      has_aux: whether `solve` returns ``(root, auxiliary data)``.

    Returns:
      The root; with `has_aux` a pair of it and the auxiliary data.

    Example:
      >>> from pullback import lax
      >>> import pullback
      >>> def sqrt(a):
      ...     newton = lambda f, x: lax.fori_loop(0, 20, lambda _, x: x - f(x) / (2 * x), x)
      ...     return lax.custom_root(lambda x: x * x - a, 1.0, newton, lambda g, y: y / g(1.0))
      >>> print(sqrt(4.0), pullback.grad(sqrt)(4.0))
      2.0 0.25
    """
    message = "lax.custom_root: f, solve and tangent_solve arguments should be callable."
    check_callable(message, f, solve, tangent_solve)
    guess, tree = flatten(initial_guess)
    guess = [checks.input_array(x, "custom_root") for x in guess]
    types = [type_of(x) for x in guess]
    one = flatten((tree.unflatten(guess),))[1]
    of_f = trace_function(f, one, types, "custom_root")
    _check_like("f", of_f.out_tree, of_f.closed.out_avals, tree, types, "initial_guess")
    of_solve = _trace_root_solver(solve, f, one, types, tree, has_aux)
    of_tangent = _trace_tangent_solve(tangent_solve, f, types, tree)
    root = _Root(of_f, of_solve, of_tangent, len(guess))
    outs = custom_jvp_call(
        *of_f.consts,
        *of_solve.consts,
        *of_tangent.consts,
        *guess,
        call=root.call,
        jvp=root.rule,
        name="custom_root",
    )
    return of_solve.out_tree.unflatten(outs)


def _trace_root_solver(
    solve: Any, f: Any, one: Any, types: Any, tree: PyTreeDef, has_aux: bool
) -> Body:
    def solved(guess: Any) -> Any:
        out = solve(f, guess)
        return checks.pair(out, "solve") if has_aux else out

    body = trace_function(solved, one, types, "custom_root", (solve, one))
    out_tree = body.out_tree.children()[0] if has_aux else body.out_tree
    found = body.closed.out_avals[: len(types)]
    _check_like("solve", out_tree, found, tree, types, "initial_guess")
    return body


def _trace_tangent_solve(tangent_solve: Any, f: Any, types: Any, tree: PyTreeDef) -> Body:
    """The program of `tangent_solve(derivative of f at x, y)`, a function of x and y."""

    def solved(x: Any, y: Any) -> Any:
        return tangent_solve(_derivative(f, x, tree), y)

    both = flatten((tree.unflatten(types), tree.unflatten(types)))[1]
    body = trace_function(solved, both, [*types, *types], "custom_root", (tangent_solve, both))
    _check_like("tangent_solve", body.out_tree, body.closed.out_avals, tree, types, "initial_guess")
    return body


def _derivative(f: Any, at: Any, tree: PyTreeDef) -> Callable[[Any], Any]:
    """The derivative of `f` as a linear function of trees."""

    def flat(*leaves: Any) -> list[Any]:
        outs = flatten(f(tree.unflatten(leaves)))[0]
        return [checks.output_array(y, "custom_root") for y in outs]

    leaves = flatten(at)[0]
    outs, tape, places = reverse.linearize(flat, leaves, (True,) * len(leaves))

    def linear(x: Any) -> Any:
        given, x_tree = flatten(x)
        checks.structure("the argument of the linear function", x_tree, tree, "the root")
        arrays = [checks.input_array(v, "custom_root") for v in given]
        found = tape.push(places, arrays)
        return tree.unflatten(
            [zeros_of(y) if t is None else t for t, y in zip(found, outs, strict=True)]
        )

    return linear


class _Root:
    """The flat functions of a custom_root, of constants of f and of the solvers, then the guess."""

    def __init__(self, f: Body, solve: Body, tangent: Body, n: int) -> None:
        self.f, self.solve, self.tangent, self.n = f, solve, tangent, n

    def _split(self, xs: Sequence[Any]) -> tuple[Any, Any, Any, Any]:
        a = len(self.f.consts)
        b = a + len(self.solve.consts)
        c = b + len(self.tangent.consts)
        return xs[:a], xs[a:b], xs[b:c], xs[c:]

    def call(self, *args: Any) -> list[Any]:
        """The root."""
        _, consts, _, guess = self._split(args)
        return run_closed(self.solve.closed, [*consts, *guess])

    def rule(self, *args: Any) -> list[Any]:
        """f(x, a) = 0 for all a, so df/dx dx + df/da da = 0. Guess and solver do not matter."""
        half = len(args) // 2
        primals, tangents = args[:half], args[half:]
        outs = custom_jvp_call(*primals, call=self.call, jvp=self.rule, name="custom_root")
        root, rest = outs[: self.n], [None] * (len(outs) - self.n)
        consts, _, tangent_consts, _ = self._split(primals)
        dots = self._split(tangents)[0]

        def at_root(*xs: Any) -> list[Any]:
            return run_closed(self.f.closed, [*xs, *root])

        _, right = forward.jvp(at_root, consts, dots)
        if all(t is None for t in right):
            return [*outs, *[None] * len(outs)]
        right = [zeros_of(x) if t is None else t for x, t in zip(root, right, strict=True)]
        dx = run_closed(self.tangent.closed, [*tangent_consts, *root, *right])
        return [*outs, *map(neg, dx), *rest]
