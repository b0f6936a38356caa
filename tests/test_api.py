"""What a user calls, in all forms of its arguments: against the real JAX, and against closed forms.

Each case of CASES is one function that is run twice: with Pullback's names, and with JAX's.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any, NamedTuple

import numpy as np
import peer
import pytest

import pullback as pb
import pullback.numpy as jnp


class Pair(NamedTuple):
    a: Any
    b: Any


X = np.array([0.5, -1.0, 2.0], np.float32)
M = np.arange(6, dtype=np.float32).reshape(2, 3) / 4
Z = np.array(0.5 + 0.25j, np.complex64)

CASES: dict[str, Any] = {}


def case(function):
    """A program of `j` (the module jax) and `np` (jax.numpy), whose results are compared."""
    CASES[function.__name__] = function
    return function


# ---- grad


def poly(x, y, z=2.0):
    return (x * x * y + z * y).sum()


@case
def grad_argnums(j, n):
    numbers = (0, 1, -1, (0,), (0, 1), (1, 0), (-1, 0), [0, 2])
    return [j.grad(poly, argnums=i)(X, 2.0 * X, 3.0) for i in numbers]


@case
def grad_with_keywords_and_defaults(j, n):
    return j.grad(poly)(X, y=X), j.grad(poly)(X, y=X, z=4.0), j.grad(poly)(X, X)


@case
def grad_of_trees(j, n):
    def f(params, x):
        return n.sum(n.tanh(x @ params["w"] + params["b"][0])) + params["b"][1] ** 2

    params = {"w": M.T, "b": (np.ones(2, np.float32), 3.0), "none": None}
    return (
        j.grad(f)(params, X),
        j.grad(f, argnums=(1, 0))(params, X),
        j.value_and_grad(f)(params, X),
    )


@case
def grad_of_namedtuples(j, n):
    return j.grad(lambda p: p.a * n.sum(p.b**2))(Pair(2.0, X))


@case
def grad_has_aux(j, n):
    def f(x):
        y = n.sin(x)
        return n.sum(y), {"y": y, "n": 3, "none": None}

    return j.grad(f, has_aux=True)(X), j.value_and_grad(f, has_aux=True)(X)


@case
def grad_holomorphic(j, n):
    def f(z):
        return z**3 + n.exp(z)

    return (
        j.grad(f, holomorphic=True)(Z),
        j.jacfwd(f, holomorphic=True)(Z),
        j.jacrev(f, holomorphic=True)(Z),
    )


@case
def grad_of_complex_to_real(j, n):
    return j.grad(lambda z: n.abs(z) ** 2)(Z), j.grad(lambda z: n.real(z * z))(Z)


@case
def grad_allow_int(j, n):
    g = j.grad(lambda i, x: x * i, argnums=(0, 1), allow_int=True)(3, 2.0)
    h = j.grad(lambda p: p["x"] * p["i"], allow_int=True)({"i": np.arange(3)[1], "x": 2.0})
    return [str(g[0].dtype), g[0].shape, g[1], str(h["i"].dtype), h["x"]]


@case
def grad_where_nothing_depends(j, n):
    return j.grad(lambda x: 2.0)(X), j.grad(lambda x, y: y, argnums=(0, 1))(X, 1.0)


@case
def grad_dtypes_and_weak_types(j, n):
    half = X.astype(np.float16)
    return [j.grad(lambda x: n.sum(x * x))(x) for x in (half, X, 1.0, n.float32(2.0))]


@case
def gradients_of_gradients(j, n):
    f = n.tanh
    g = j.grad(f)
    return [g(0.5), j.grad(g)(0.5), j.grad(j.grad(g))(0.5), j.vmap(j.grad(j.grad(g)))(X)]


@case
def perturbations_are_not_confused(j, n):
    f = j.grad(lambda x: x * j.grad(lambda y: x + y)(1.0))(3.0)
    g = j.grad(lambda x: j.grad(lambda y: y * x * y)(x) * x)(3.0)
    return f, g, j.jvp(lambda x: x * j.jvp(lambda y: x + y, (1.0,), (1.0,))[1], (1.0,), (1.0,))


# ---- jvp, vjp, linearize, linear_transpose


@case
def jvp_forms(j, n):
    def f(x, p):
        return {"s": n.sin(x) * p[0], "c": (p[1],)}

    a = j.jvp(f, (X, (2.0, 3.0)), (X, (1.0, 0.0)))
    b = j.jvp(lambda x: (n.sin(x), n.cos(x)), [X], [2 * X], has_aux=True)
    return a, b, j.jvp(lambda x: 3.0, (1.0,), (1.0,))


@case
def jvp_of_integers(j, n):
    zero = np.zeros((), j.dtypes.float0)
    out, dot = j.jvp(lambda i, x: (i + 1, x * i), (2, 3.0), (zero, 1.0))
    return out, str(dot[0].dtype), dot[1]


@case
def vjp_forms(j, n):
    def f(x, y):
        return {"s": n.sum(x) * y, "t": (x * y, x)}

    out, back = j.vjp(f, X, 2.0)
    cts = back({"s": 1.0, "t": (X, 2 * X)})
    out2, back2, aux = j.vjp(lambda x: (x * x, n.sum(x)), X, has_aux=True)
    return out, cts, out2, back2(X), aux


@case
def vjp_of_integers_and_of_nothing(j, n):
    out, back = j.vjp(lambda x, i: (x * i, i), 2.0, 3)
    ct = back((1.0, np.zeros((), j.dtypes.float0)))
    return out, ct[0], str(ct[1].dtype), j.vjp(lambda x: 1.0, X)[1](1.0)


@case
def vjp_twice(j, n):
    _, back = j.vjp(n.sin, X)
    return back(X), back(2 * X), j.vjp(back, X)[1]((X,)), j.jvp(back, (X,), (X,))


@case
def linearize_forms(j, n):
    y, push = j.linearize(lambda x, p: {"y": n.sin(x) * p["k"]}, X, {"k": 2.0})
    z, push2, aux = j.linearize(lambda x: (x * x, {"n": 1}), X, has_aux=True)
    return (
        y,
        push(X, {"k": 0.0}),
        push(X, {"k": 1.0}),
        j.vmap(push2)(np.eye(3, dtype=np.float32)),
        z,
        aux,
    )


@case
def linear_transpose_forms(j, n):
    f = j.linear_transpose(lambda x: M @ x, X)
    g = j.linear_transpose(
        lambda p: 2.0 * p["x"] - p["y"], {"x": X, "y": j.ShapeDtypeStruct((3,), n.float32)}
    )
    h = j.linear_transpose(lambda x: (x[0], x[1:]), X)
    return f(M[:, 0]), g(X), h((1.0, X[1:]))


# ---- Jacobians


@case
def jacobians(j, n):
    def f(x, y):
        return {"a": n.outer(x, y), "b": n.sum(x) * y[0]}

    numbers = (0, 1, (0, 1), -1)
    return [g(f, argnums=i)(X, M[0]) for g in (j.jacfwd, j.jacrev, j.jacobian) for i in numbers]


@case
def jacobians_of_trees_with_aux(j, n):
    def f(p):
        return (p["x"] * p["y"], p["y"] ** 2), {"aux": n.sum(p["x"])}

    p = {"x": X, "y": 2.0}
    return j.jacfwd(f, has_aux=True)(p), j.jacrev(f, has_aux=True)(p)


@case
def hessians(j, n):
    def f(p, q):
        return n.sum(p["x"] ** 3) * q + n.prod(p["y"])

    p = {"x": X, "y": M[0]}
    g = j.hessian(lambda x: (n.sum(x**3), {"aux": x}), has_aux=True)(X)
    return j.hessian(f)(p, 2.0), j.hessian(f, argnums=(0, 1))(p, 2.0), g


# ---- vmap


@case
def vmap_axes(j, n):
    a = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    f = n.sin
    pairs = [(i, o) for i in (0, 1, 2, -1) for o in (0, 1, -1)]
    return [j.vmap(f, in_axes=i, out_axes=o)(a) for i, o in pairs]


@case
def vmap_of_several_arguments(j, n):
    def f(x, y, *, k=1.0):
        return x @ y * k

    k = np.arange(2, dtype=np.float32)
    return [
        j.vmap(f)(M, M),
        j.vmap(f, in_axes=(0, None))(M, X),
        j.vmap(f, in_axes=[None, 0])(X, M),
        j.vmap(f, (0, 1))(M, M.T),
        j.vmap(f)(M, M, k=k),
    ]


@case
def vmap_over_trees(j, n):
    t = {"a": M, "b": (M[:, 0], X)}

    def f(t, s):
        return {"sum": n.sum(t["a"]) + t["b"][0] * s, "c": t["b"][1], "none": None}

    in_axes = ({"a": 0, "b": (0, None)}, None)
    out_axes = {"sum": 0, "c": None, "none": None}
    return j.vmap(f, in_axes)(t, 2.0), j.vmap(f, in_axes, out_axes)(t, 2.0)


@case
def vmap_axes_in_a_class_of_the_user(j, n):
    @j.tree_util.register_pytree_node_class
    class Normal:
        def __init__(self, mean, scale):
            self.parts = (mean, scale)

        def tree_flatten(self):
            return self.parts, None

        @classmethod
        def tree_unflatten(cls, data, parts):
            return cls(*parts)

    made = j.vmap(Normal, (0, None), Normal(1, None))(M, 2.0)
    drawn = j.vmap(lambda d: d.parts[0] * d.parts[1], (Normal(1, None),))(made)
    return made.parts, drawn


@case
def vmap_nested_and_composed(j, n):
    f = j.vmap(j.vmap(lambda x, y: x * y, (None, 0)), (0, None))
    return (
        f(X, X),
        j.jacfwd(f)(X, X),
        j.vmap(j.grad(lambda x: n.sum(x**2)))(M),
        j.grad(lambda m: n.sum(j.vmap(n.sin)(m)))(M),
    )


@case
def vmap_axis_size(j, n):
    return j.vmap(lambda: 1.0, axis_size=3)(), j.vmap(lambda x: x, in_axes=None, axis_size=2)(X)


@case
def collectives(j, n):
    def f(x):
        i = j.lax.axis_index("i")
        return (
            j.lax.psum(x, "i"),
            j.lax.pmean(x, "i"),
            j.lax.pmax(x, "i"),
            x * i,
            j.lax.psum(1, "i"),
        )

    g = j.grad(lambda x: n.sum(j.vmap(lambda y: y * j.lax.psum(y, "i"), axis_name="i")(x)))
    return j.vmap(f, axis_name="i")(X), g(X), j.jit(j.vmap(f, axis_name="i"))(X)


@case
def attributes_of_functions(j, n):
    def f(x):
        """square"""
        return x * x

    f.tag, f.__wrapped__, f._cache = "mine", None, {}
    made = [j.jit(f), j.grad(f), j.vmap(f), j.jit(j.grad(f)), j.checkpoint(f)]
    found = [(g.tag, g.__name__, g.__wrapped__ is f) for g in made]
    return [repr(found), [g(2.0) for g in (made[0], made[1], made[3], made[4])]]


# ---- jit


@case
def jit_forms(j, n):
    def f(x, k, *rest, flag=False, **more):
        out = x * k + sum(rest)
        return {"out": -out if flag else out, **more}

    g = j.jit(f, static_argnames=("flag",))
    h = j.jit(f, static_argnums=1, static_argnames="flag")
    return [
        g(X, 2.0),
        g(X, k=2.0, flag=True),
        h(X, 2, 3.0, 4.0, flag=True, more=X),
        j.jit(lambda: 1.0)(),
        j.jit(lambda x: (x, None, ()))(X),
        functools.partial(j.jit, static_argnums=0)(lambda m, x: x**m)(3, X),
        j.jit(j.jit(n.sin))(X),
        j.jit(lambda x: j.jit(lambda y: x + y)(x))(X),
    ]


@case
def jit_in_everything(j, n):
    f = j.jit(lambda x: n.sum(n.sin(x) * x))
    both = (
        j.vmap(f)(M),
        j.hessian(f)(X),
        j.jit(j.hessian(f))(X),
        j.jvp(f, (X,), (X,)),
        j.vjp(f, X)[1](2.0),
    )
    return *both, j.linearize(f, X)[1](X), j.grad(lambda x: j.grad(f)(x)[0])(X)


@case
def jit_closes_over_traced_values(j, n):
    return j.grad(lambda x: j.jit(lambda y: x * y)(x))(3.0), j.vmap(
        lambda x: j.jit(lambda: x + 1)()
    )(X)


@case
def jit_of_weak_types(j, n):
    f = j.jit(lambda x: x * 2)
    return f(1), f(1.0), f(n.float16(1.0)), f(True), f(1j)


@case
def linear_functions_through_jit_and_vmap(j, n):
    make = j.jit(lambda x: j.vjp(n.sin, x))
    y, back = make(X)
    use = j.jit(lambda b, ct: b(ct))
    stacked = j.vmap(lambda x: j.vjp(n.sin, x)[1])(M)
    push = j.jit(lambda x: j.linearize(n.sin, x)[1])(X)
    return y, back(X), use(back, X), j.vmap(lambda b, ct: b(ct))(stacked, M), push(X)


@case
def shapes(j, n):
    s = j.eval_shape(
        lambda x, *, k: {"y": (x @ M.T, k)}, j.ShapeDtypeStruct((5, 3), n.float32), k=1
    )
    t = j.jit(n.dot).eval_shape(M, X)
    leaves = [s["y"][0], s["y"][1], t]
    return [(x.shape, str(x.dtype)) for x in leaves]


# ---- custom rules


@case
def custom_jvp_forms(j, n):
    @functools.partial(j.custom_jvp, nondiff_argnums=(0, 2))
    def f(g, x, k=2):
        return {"y": g(x) * k}

    @f.defjvp
    def f_jvp(g, k, primals, tangents):
        (x,), (t,) = primals, tangents
        return f(g, x, k), {"y": 10.0 * k * t}

    def loss(x):
        return n.sum(f(n.sin, x)["y"]) + n.sum(f(n.sin, x, k=3)["y"]) + n.sum(f(g=n.sin, x=x)["y"])

    everything = loss(X), j.grad(loss)(X), j.jit(j.grad(loss))(X), j.jacfwd(loss)(X)
    return *everything, j.vmap(j.grad(loss))(M), j.hessian(loss)(X)


@case
def custom_jvp_one_rule_for_each_argument(j, n):
    @j.custom_jvp
    def f(x, y):
        return x * y

    f.defjvps(lambda t, out, x, y: 5.0 * t * y, None)
    return (
        j.grad(f, argnums=(0, 1))(2.0, 3.0),
        j.vmap(j.grad(f))(X, X),
        j.jvp(f, (2.0, 3.0), (1.0, 1.0)),
    )


@case
def custom_jvp_of_trees_and_integers(j, n):
    @j.custom_jvp
    def f(p, i):
        return p["x"] * i, p["y"]

    @f.defjvp
    def f_jvp(primals, tangents):
        (p, i), (dp, di) = primals, tangents
        assert di.dtype == j.dtypes.float0
        return f(p, i), (7.0 * dp["x"], dp["y"])

    def loss(p, i):
        a, b = f(p, i)
        return n.sum(a) + b

    return j.grad(loss)({"x": X, "y": 1.0}, 3), j.jit(j.grad(loss))({"x": X, "y": 1.0}, 3)


@case
def custom_jvp_symbolic_zeros(j, n):
    kinds = []

    @j.custom_jvp
    def f(x, y):
        return x * y

    def rule(primals, tangents):
        (x, y), (dx, dy) = primals, tangents
        kinds.append((type(dx).__name__ == "SymbolicZero", type(dy).__name__ == "SymbolicZero"))
        out = 0.0 if type(dx).__name__ == "SymbolicZero" else dx * y
        return x * y, out + (0.0 if type(dy).__name__ == "SymbolicZero" else x * dy)

    f.defjvp(rule, symbolic_zeros=True)
    values = j.grad(f)(2.0, 3.0), j.grad(f, 1)(2.0, 3.0), j.grad(f, (0, 1))(2.0, 3.0)
    return values, kinds


@case
def custom_vjp_forms(j, n):
    @functools.partial(j.custom_vjp, nondiff_argnums=(1,))
    def f(x, g, p=(1.0, 2.0)):
        return g(x) * p[0], p[1]

    def fwd(x, g, p):
        return f(x, g, p), (x, p[0])

    def bwd(g, residuals, cts):
        _, a = residuals
        return 10.0 * a * cts[0], (None, 5.0 * cts[1])

    f.defvjp(fwd, bwd)

    def loss(x, p):
        a, b = f(x, n.sin, p)
        return n.sum(a) + b

    p = (2.0, 3.0)
    return [
        loss(X, p),
        j.grad(loss, argnums=(0, 1))(X, p),
        j.jit(j.grad(loss, argnums=(0, 1)))(X, p),
        j.vmap(j.grad(loss), in_axes=(0, None))(M, p),
        j.grad(lambda x: n.sum(f(x, g=n.cos)[0]))(X),
    ]


@case
def custom_vjp_that_clips(j, n):
    @functools.partial(j.custom_vjp, nondiff_argnums=(0, 1))
    def clip(lo, hi, x):
        return x

    clip.defvjp(lambda lo, hi, x: (x, None), lambda lo, hi, _, ct: (n.clip(ct, lo, hi),))

    def f(x):
        return n.sum(clip(-0.5, 0.5, n.sin(x) * 3))

    twice = j.grad(lambda x: n.sum(j.grad(f)(x) ** 2))(X)
    return j.grad(f)(X), j.vmap(j.grad(f))(M), j.jit(j.vmap(j.grad(f)))(M), twice


@case
def custom_vjp_of_integers(j, n):
    @j.custom_vjp
    def f(x, i):
        return x * i

    f.defvjp(lambda x, i: (x * i, i), lambda i, ct: (ct * i * 2, None))
    return j.grad(f)(2.0, 3), j.vmap(j.grad(f))(X, np.arange(3))


@case
def custom_vjp_symbolic_zeros(j, n):
    seen = []

    @j.custom_vjp
    def f(x, y):
        return x * y, x + y

    def fwd(x, y):
        seen.append((x.perturbed, y.perturbed))
        return (x.value * y.value, x.value + y.value), (x.value, y.value)

    def bwd(residuals, cts):
        seen.append([type(ct).__name__ == "SymbolicZero" for ct in cts])
        x, y = residuals
        return cts[0] * y, cts[0] * x

    f.defvjp(fwd, bwd, symbolic_zeros=True)
    return j.grad(lambda x: f(x, 3.0)[0])(2.0), seen


@case
def closure_convert_moves_traced_values(j, n):
    def outer(a):
        f, consts = j.closure_convert(lambda x: x * a * 2.0, 1.0)
        return f(3.0, *consts), len(consts)

    value, back, count = j.vjp(outer, 5.0, has_aux=True)
    return value, back(1.0), count


@case
def stop_gradient(j, n):
    return j.grad(lambda x: x * j.lax.stop_gradient(x))(3.0), j.jacfwd(
        lambda x: j.lax.stop_gradient(x) * x
    )(3.0)


def result(function, j, n):
    """What a case gives, with arrays as (NumPy array, dtype)."""
    with warnings.catch_warnings(action="ignore"):
        return function(j, n)


def leaves(x, at=""):
    """Each leaf with its path: containers of JAX and of Pullback alike."""
    if isinstance(x, dict):
        return [leaf for k in sorted(x) for leaf in leaves(x[k], f"{at}[{k!r}]")]
    if isinstance(x, (tuple, list)):
        found = [leaf for i, v in enumerate(x) for leaf in leaves(v, f"{at}[{i}]")]
        return [(f"{at} {type(x).__name__} {len(x)}", ""), *found]
    return [(at, x)]


@pytest.mark.skipif(not peer.INSTALLED, reason="the real JAX is not installed")
@pytest.mark.parametrize("name", CASES)
def test_as_jax_does(name):
    import jax

    ours, theirs = (leaves(result(CASES[name], j, j.numpy)) for j in (pb, jax))
    assert [path for path, _ in ours] == [path for path, _ in theirs]
    for (path, a), (_, b) in zip(ours, theirs, strict=True):
        if a is None or isinstance(a, (str, bool)):
            assert a == b, path
            continue
        if isinstance(a, pb.Array) and hasattr(b, "weak_type"):
            # A gradient with respect to a Python number may be strong here, and weak in JAX.
            assert b.weak_type or not a.weak_type, path
        if isinstance(b, (int, float)):  # JAX gives back a Python number as it came
            b = np.asarray(b).astype(np.asarray(a).dtype)
        a, b = np.asarray(a), np.asarray(b)
        assert (a.dtype, a.shape) == (b.dtype, b.shape), path
        if a.dtype == pb.dtypes.float0:
            continue
        tolerance = 2e-3 if a.dtype == np.float16 else 2e-5
        np.testing.assert_allclose(a, b, tolerance, 1e-5, err_msg=path)


# ---- closed forms


def test_gradients_in_closed_form():
    with pb.enable_x64():
        x = jnp.linspace(-1.0, 1.0, 5)
        a = jnp.arange(25.0).reshape(5, 5)
        np.testing.assert_allclose(pb.grad(lambda x: x @ a @ x)(x), (a + a.T) @ x, 1e-12)
        np.testing.assert_allclose(pb.hessian(lambda x: x @ a @ x)(x), a + a.T, 1e-12)
        np.testing.assert_allclose(pb.jacrev(jnp.sin)(x), np.diag(np.cos(x)), 1e-12)
        np.testing.assert_allclose(pb.jacfwd(jnp.sin)(x), np.diag(np.cos(x)), 1e-12)
        f = jnp.exp
        for _ in range(6):
            f = pb.grad(f)
            np.testing.assert_allclose(f(0.5), np.exp(0.5), 1e-12)
