"""Small programs that use JAX's inner modules, as libraries do.

tests/test_interop.py runs this file on Pullback and, where it is installed, on JAX: each case
checks values, and what it shows must be the same on both.
"""

import json
import sys
import traceback
import warnings

import jax
import jax.extend.source_info_util
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import ShapedArray, Tracer
from jax.extend import core as jex
from jax.extend import linear_util as lu
from jax.extend.core import Primitive, primitives
from jax.interpreters import ad, batching, mlir
from jax.interpreters import partial_eval as pe

ON_PULLBACK = "pullback" in sys.modules
CASES = {}
SHOWN = []


def case(function):
    CASES[function.__name__] = function
    return function


def show(*values):
    SHOWN.append(" ".join(str(jax.tree.map(rounded, v)) for v in values))


def rounded(x):
    if isinstance(x, (jax.Array, np.ndarray)) and x.dtype != jax.dtypes.float0:
        return np.asarray(x).astype(float).round(4).tolist()
    return x


def close(x, y):
    np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=2e-5, atol=2e-5)


def refused(kind, function, *args):
    try:
        function(*args)
    except kind as error:
        show(type(error).__name__)
        return str(error)
    raise AssertionError(f"{function} did not raise {kind}")


def batching_axis(size):
    from types import SimpleNamespace

    none = dict(spmd_name=None, explicit_mesh_axis=None)
    return SimpleNamespace(name=None, size=size, **none)


def cube_primitive():
    """x**3 with every rule."""
    cube = Primitive("cube")
    cube.def_impl(lambda x: jnp.asarray(x) ** 3)
    cube.def_abstract_eval(lambda x: ShapedArray(x.shape, x.dtype))
    mlir.register_lowering(cube, mlir.lower_fun(lambda x: x**3, multiple_results=False))

    def jvp(primals, tangents):
        (x,), (t,) = primals, tangents
        return cube.bind(x), 3 * x**2 * t

    ad.primitive_jvps[cube] = jvp
    batching.primitive_batchers[cube] = lambda args, dims: (cube.bind(*args), dims[0])
    return cube


X = np.array([0.5, -1.0, 2.0], np.float32)


@case
def a_primitive_with_every_rule():
    cube = cube_primitive()

    def total(x):
        return jnp.sum(cube.bind(x))

    close(cube.bind(X), X**3)
    close(jax.jit(cube.bind)(X), X**3)
    close(jax.grad(total)(X), 3 * X**2)
    close(jax.jit(jax.grad(total))(X), 3 * X**2)
    close(jax.vmap(cube.bind)(X), X**3)
    close(jax.vmap(jax.grad(cube.bind))(X), 3 * X**2)
    close(jax.jit(jax.hessian(total))(X), np.diag(6 * X))
    close(jax.jvp(jax.grad(total), (X,), (np.ones_like(X),))[1], 6 * X)
    close(lax.scan(lambda c, x: (c + cube.bind(x), c), 0.0, X)[0], np.sum(X**3))
    close(jax.grad(lambda x: lax.fori_loop(0, 3, lambda i, c: cube.bind(c), x))(0.9), 27 * 0.9**26)
    show(jax.make_jaxpr(cube.bind)(X))
    show(jax.eval_shape(cube.bind, X))
    show(cube, cube.name, cube.multiple_results, isinstance(cube, Primitive))


@case
def a_primitive_with_several_results():
    """The product with a matrix, and its sum: linear in the vector."""
    apply = Primitive("apply")
    apply.multiple_results = True
    seen = []

    def impl(m, v, *, scale):
        out = scale * (m @ v)
        return [out, jnp.sum(out)]

    def abstract_eval(m, v, *, scale):
        return [ShapedArray(m.shape[:1], m.dtype), ShapedArray((), m.dtype)]

    def jvp(primals, tangents, *, scale):
        (m, v), (dm, dv) = primals, tangents
        seen.append((type(dm) is ad.Zero, type(dv) is ad.Zero))
        outs = apply.bind(m, v, scale=scale)
        if type(dv) is ad.Zero:
            return outs, [ad.Zero(ShapedArray(o.shape, o.dtype)) for o in outs]
        return outs, apply.bind(m, ad.instantiate_zeros(dv), scale=scale)

    def transpose(cts, m, v, *, scale):
        assert ad.is_undefined_primal(v) and not ad.is_undefined_primal(m)
        assert v.aval.shape == (3,), v.aval
        seen.append([type(ct) is ad.Zero for ct in cts])
        rows, total = map(ad.instantiate_zeros, cts)
        return [None, scale * (m.T @ (rows + total))]

    apply.def_impl(impl)
    apply.def_abstract_eval(abstract_eval)
    ad.primitive_jvps[apply] = jvp
    ad.primitive_transposes[apply] = transpose
    mlir.register_lowering(apply, mlir.lower_fun(impl, multiple_results=True))

    m = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    close(apply.bind(m, X, scale=2)[0], 2 * m @ X)
    close(jax.jit(lambda v: apply.bind(m, v, scale=2))(X)[1], np.sum(2 * m @ X))
    first = jax.grad(lambda v: jnp.sum(apply.bind(m, v, scale=2)[0] ** 2))
    close(first(X), 8 * m.T @ (m @ X))
    close(jax.jit(first)(X), first(X))
    close(jax.grad(lambda v: apply.bind(m, v, scale=3)[1])(X), 3 * m.sum(0))
    close(
        jax.linear_transpose(lambda v: apply.bind(m, v, scale=1)[0], X)(np.ones(2, "f"))[0],
        m.sum(0),
    )
    show(seen)
    show(jax.make_jaxpr(lambda v: apply.bind(m, v, scale=2))(X).eqns[0].params)


@case
def families_of_rules():
    double = Primitive("double")
    double.def_impl(lambda x: 2 * jnp.asarray(x))
    double.def_abstract_eval(lambda x: ShapedArray(x.shape, x.dtype))
    ad.deflinear(double, lambda ct: [double.bind(ct)])
    batching.defvectorized(double)
    close(jax.vmap(jax.grad(lambda x: double.bind(x) ** 2))(X), 8 * X)
    close(jax.linear_transpose(double.bind, X)(X)[0], 2 * X)

    times = Primitive("times")
    times.def_impl(lambda x, y: jnp.asarray(x) * y)
    times.def_abstract_eval(lambda x, y: ShapedArray(x.shape, x.dtype))
    ad.defbilinear(times, lambda ct, x, y: times.bind(ct, y), lambda ct, x, y: times.bind(x, ct))
    batching.defbroadcasting(times)
    close(jax.grad(lambda x, y: times.bind(x, y), (0, 1))(3.0, 4.0), (4.0, 3.0))
    close(jax.vmap(times.bind, (0, None))(X, 2.0), 2 * X)
    close(jax.vmap(times.bind, (0, 1))(np.outer(X, X), np.outer(X, X)), np.outer(X, X) ** 2)

    power = Primitive("power")
    power.def_impl(lambda x, *, n: jnp.asarray(x) ** n)
    power.def_abstract_eval(lambda x, *, n: ShapedArray(x.shape, x.dtype))
    ad.defjvp(power, lambda t, x, *, n: n * t * power.bind(x, n=n - 1))
    close(jax.grad(jax.grad(lambda x: power.bind(x, n=4)))(2.0), 48.0)

    exponential = Primitive("exponential")
    exponential.def_impl(jnp.exp)
    exponential.def_abstract_eval(lambda x: ShapedArray(x.shape, x.dtype))
    ad.primitive_jvps[exponential] = lambda p, t: (
        exponential.bind(p[0]),
        t[0] * exponential.bind(p[0]),
    )
    close(jax.grad(exponential.bind)(1.0), np.e)

    total = Primitive("total")
    total.def_impl(lambda x, *, axes: jnp.sum(x, axes))
    total.def_abstract_eval(
        lambda x, *, axes: ShapedArray(np.delete(x.shape, axes).astype(int), x.dtype)
    )
    batching.defreducer(total)
    block = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    for axis in range(3):
        mapped = jax.vmap(lambda x: total.bind(x, axes=(0,)), in_axes=axis)(block)
        close(mapped, np.moveaxis(block, axis, 0).sum(1))


@case
def batching_rules_that_know_the_axis():
    seen = []
    for table in ("axis", "fancy"):
        size = Primitive(f"{table}_size")
        size.def_impl(lambda x: x)
        size.def_abstract_eval(lambda x: x)

        def rule(n, name, args, dims, size=size):
            seen.append((n, name, dims))
            return args[0] * n, dims[0]

        if table == "axis":
            batching.axis_primitive_batchers[size] = lambda n, name, _, a, d, r=rule: r(
                n, None, a, d
            )
        else:
            batching.fancy_primitive_batchers[size] = lambda axis, a, d, r=rule: r(
                axis.size, axis.name, a, d
            )
        close(jax.vmap(size.bind, axis_name="i")(X), 3 * X)
        close(jax.vmap(jax.vmap(size.bind))(np.ones((2, 3), "f")), np.full((2, 3), 3))
    show([s for s in seen if s[1] in ("i", None)][:1])


@case
def changing_a_rule_of_a_primitive_that_is_there():
    from jax._src.ad_util import stop_gradient_p

    def f(x):
        return 2.0 * lax.stop_gradient(x)

    close(jax.grad(f)(3.0), 0.0)
    ad.primitive_transposes[stop_gradient_p] = lambda ct, _: [ct]
    assert stop_gradient_p in ad.primitive_transposes
    close(jax.grad(f)(3.0), 0.0)

    before = ad.primitive_jvps[lax.sin_p]

    def wrong(primals, tangents, **params):
        return lax.sin_p.bind(*primals, **params), 7.0 * tangents[0]

    ad.primitive_jvps[lax.sin_p] = wrong
    assert ad.primitive_jvps[lax.sin_p] is wrong
    close(jax.jvp(lax.sin, (1.0,), (2.0,))[1], 14.0)
    if ON_PULLBACK:  # JAX keeps what it has derived from the former rule
        close(jax.grad(lax.sin)(1.0), 7.0)
        close(jax.jit(jax.vmap(jax.grad(lax.sin)))(X), np.full(3, 7.0))

    def twice(primals, tangents, **params):
        out, dot = before(primals, tangents, **params)
        return out, 2.0 * dot

    ad.primitive_jvps[lax.sin_p] = twice
    close(jax.jvp(lax.sin, (1.0,), (2.0,))[1], 4 * np.cos(1.0))
    ad.primitive_jvps[lax.sin_p] = before
    close(jax.jvp(lax.sin, (1.0,), (2.0,))[1], 2 * np.cos(1.0))
    close(jax.vmap(jax.grad(lambda x: lax.sin(x)))(X), np.cos(X))


@case
def reading_the_rules_that_are_there():
    out, dot = ad.primitive_jvps[lax.neg_p]((2.0,), (1.5,))
    close((out, dot), (-2.0, -1.5))
    zero = ad.Zero(ShapedArray((), np.float32))
    out, dot = ad.primitive_jvps[lax.mul_p]((2.0, 3.0), (jnp.float32(1.0), zero))
    close((out, dot), (6.0, 3.0))
    undefined = ad.UndefinedPrimal(ShapedArray((3,), np.float32))
    (ct,) = ad.primitive_transposes[lax.neg_p](jnp.asarray(X), undefined)
    close(ct, -X)
    axis = batching.fancy_primitive_batchers[lax.neg_p]
    data = batching_axis(2)
    out, dim = axis(data, (jnp.ones((3, 2)),), (1,))
    close(out, -np.ones((3, 2)))
    show(dim)
    assert lax.sin_p in ad.primitive_jvps and cube_primitive() in ad.primitive_jvps
    assert Primitive("nothing") not in ad.primitive_jvps
    show(ad.Zero(ShapedArray((2,), np.float32)).instantiate(), undefined, zero)


@case
def missing_rules():
    empty = Primitive("empty")
    show("'empty'" in refused(NotImplementedError, empty.bind, 1.0))
    empty.def_impl(lambda x: x)
    close(empty.bind(1.0), 1.0)
    show("'empty'" in refused(NotImplementedError, jax.make_jaxpr(empty.bind), 1.0))
    empty.def_abstract_eval(lambda x: x)
    show("'empty'" in refused(NotImplementedError, jax.grad(empty.bind), 1.0))
    show("'empty'" in refused(NotImplementedError, jax.vmap(empty.bind), X))
    refused(TypeError, empty.bind, "text")


@case
def effects_keep_an_equation():
    calls = []
    note = Primitive("note")
    note.multiple_results = True
    note.def_impl(lambda x: calls.append(1) or [])

    class Noted(jex.Effect):
        pass

    effect = Noted()
    note.def_effectful_abstract_eval(lambda x: ([], {effect}))
    jaxpr = jax.make_jaxpr(lambda x: note.bind(x) and x)(1.0)
    show(len(jaxpr.eqns), len(jaxpr.eqns[0].effects) == 1, len(jaxpr.effects) == 1)
    new, _ = pe.dce_jaxpr(jaxpr.jaxpr, [False] * len(jaxpr.jaxpr.outvars))
    show(len(new.eqns))


def program():
    weights = jnp.arange(3.0)

    def f(x, y):
        return jnp.dot(jnp.sin(x) * y, weights) + 2.0, jax.jit(jnp.cos)(y)

    return f, jax.make_jaxpr(f)(X, X)


@case
def a_program_is_data():
    _f, closed = program()
    assert isinstance(closed, jex.ClosedJaxpr) and isinstance(closed.jaxpr, jex.Jaxpr)
    assert all(isinstance(e, jex.JaxprEqn) for e in closed.eqns)
    assert all(type(v) is jex.Var for v in closed.jaxpr.invars)
    names = [e.primitive.name for e in closed.eqns]
    show(names[0], names[1], "dot_general" in names, "jit" in names)
    show([v.aval.shape for v in closed.jaxpr.invars], len(closed.consts))
    show([v.aval.shape for v in closed.jaxpr.constvars], [a.shape for a in closed.out_avals])
    literals = [a for e in closed.eqns for a in e.invars if isinstance(a, jex.Literal)]
    show([float(a.val) for a in literals], [a.aval.shape for a in literals])
    (call,) = [e for e in closed.eqns if e.primitive is primitives.jit_p]
    show(sorted({"jaxpr", "name"} & set(call.params)), call.params["jaxpr"].eqns[0].primitive.name)
    show([len(list(jex.jaxprs_in_params(e.params))) for e in closed.eqns])
    show([sub.eqns[0].primitive.name for sub in jex.subjaxprs(closed.jaxpr)])
    assert closed.jaxpr == closed.jaxpr and len({closed.jaxpr, closed.jaxpr}) == 1
    assert closed.jaxpr != program()[1].jaxpr
    leaves, tree = jax.tree.flatten({"program": closed.jaxpr, "closed": closed})
    assert leaves[0] is closed and leaves[1] is closed.jaxpr
    assert jax.tree.unflatten(tree, leaves)["program"] is closed.jaxpr
    jex.check_jaxpr(closed.jaxpr)


@case
def running_a_program():
    f, closed = program()
    want = f(X, X)
    for got in (
        jax.core.eval_jaxpr(closed.jaxpr, closed.consts, X, X),
        jex.jaxpr_as_fun(closed)(X, X),
        jax.jit(jex.jaxpr_as_fun(closed))(X, X),
        jax.vmap(jex.jaxpr_as_fun(closed), (0, None))(X[None], X),
    ):
        close(np.ravel(got[0]), np.ravel(want[0]))
    gradient = jax.grad(lambda x: jax.core.eval_jaxpr(closed.jaxpr, closed.consts, x, X)[0])(X)
    close(gradient, np.cos(X) * X * np.arange(3))


@case
def rewriting_a_program():
    _, closed = program()
    cosine = [
        e.replace(primitive=lax.cos_p) if e.primitive is lax.sin_p else e for e in closed.eqns
    ]
    changed = closed.replace(jaxpr=closed.jaxpr.replace(eqns=cosine))
    close(jex.jaxpr_as_fun(changed)(X, X)[0], np.dot(np.cos(X) * X, np.arange(3)) + 2)
    jaxpr = closed.jaxpr
    rebuilt = jex.Jaxpr(
        jaxpr.constvars,
        jaxpr.invars,
        jaxpr.outvars[:1],
        jaxpr.eqns,
        jaxpr.effects,
        jaxpr.debug_info,
    )
    assert len(jex.jaxpr_as_fun(jex.ClosedJaxpr(rebuilt, closed.consts))(X, X)) == 1
    less, used = pe.dce_jaxpr(jaxpr, [False, True])
    show(used, [e.primitive.name for e in less.eqns])
    v = jex.Var(ShapedArray((), np.float32))
    w = jex.Var(ShapedArray((), np.float32))
    e = jex.new_jaxpr_eqn([v], [w], lax.exp_p, {"accuracy": None}, jex.no_effects)
    show(e.primitive, len(e.invars), e.invars[0] is v, e.outvars[0] is w)


def interpret(closed, *args):
    """Run a program equation by equation, counting the operations by name."""
    counts = {}

    def run(jaxpr, consts, args):
        env = dict(zip(jaxpr.constvars, consts))
        env.update(zip(jaxpr.invars, args))

        def read(a):
            return a.val if isinstance(a, jex.Literal) else env[a]

        for e in jaxpr.eqns:
            values = [read(a) for a in e.invars]
            counts[e.primitive.name] = counts.get(e.primitive.name, 0) + 1
            if e.primitive is primitives.jit_p:
                inner = e.params["jaxpr"]
                outs = run(inner.jaxpr, inner.consts, values)
            else:
                outs = e.primitive.bind(*values, **e.primitive.get_bind_params(e.params))
                outs = outs if e.primitive.multiple_results else [outs]
            env.update(zip(e.outvars, outs))
        return [read(a) for a in jaxpr.outvars]

    return run(closed.jaxpr, closed.consts, args), counts


@case
def an_interpreter():
    f, closed = program()
    outs, counts = interpret(closed, X, X)
    close(outs[0], f(X, X)[0])
    show(counts["sin"], counts["mul"], counts["jit"], counts["cos"])
    scanned = jax.make_jaxpr(lambda x: lax.scan(lambda c, v: (c * v, c), 1.0, x))(X)
    outs, counts = interpret(scanned, X)
    close(outs[0], np.prod(X))
    show(counts["scan"])


@case
def an_interpreter_that_drops_rules():
    @jax.custom_jvp
    def f(x):
        return jnp.sin(x)

    f.defjvp(lambda p, t: (f(*p), 7.0 * t[0]))
    closed = jax.make_jaxpr(lambda x: 2 * f(x))(1.0)
    (call,) = [e for e in closed.eqns if e.primitive is primitives.custom_jvp_call_p]
    bound = call.primitive.get_bind_params(call.params)
    close(bound["subfuns"][0].call_wrapped(1.0)[0], np.sin(1.0))
    outs, _ = interpret(closed, 1.0)
    close(outs[0], 2 * np.sin(1.0))
    close(jax.grad(lambda x: interpret(closed, x)[0][0])(1.0), 14.0)


@case
def writing_programs():
    info = jax.api_util.debug_info("test", jnp.sin, (1.0,), {})
    fun = lu.wrap_init(lambda x, y: [x * y, x + 1], debug_info=info)
    avals = [ShapedArray((3,), np.float32), ShapedArray((), np.float32)]
    jaxpr, out_avals, consts = pe.trace_to_jaxpr_dynamic(fun, avals)
    show(len(jaxpr.invars), [a.shape for a in out_avals], len(consts))
    close(jax.core.eval_jaxpr(jaxpr, consts, X, 2.0)[0], 2 * X)

    fun = lu.wrap_init(lambda x, y: [jnp.sin(y), x * y], debug_info=info)
    pvals = [pe.PartialVal.unknown(avals[1]), pe.PartialVal.known(jnp.float32(2.0))]
    jaxpr, out_pvals, consts = pe.trace_to_jaxpr_nounits(fun, pvals)
    show([p.is_known() for p in out_pvals], len(jaxpr.outvars))
    close(out_pvals[0].get_known(), np.sin(2.0))
    close(jax.core.eval_jaxpr(jaxpr, consts, 3.0)[0], 6.0)


@case
def functions_with_transformations_to_come():
    @lu.transformation
    def doubled(factor, *args):
        outs = yield tuple(factor * a for a in args), {}
        yield [o + 1 for o in outs]

    @lu.transformation_with_aux
    def counted(*args):
        outs = yield args, {}
        yield outs, len(outs)

    info = jax.api_util.debug_info("test", max, (1.0,), {})
    fun = lu.wrap_init(lambda x, y: [x, y, x + y], debug_info=info)
    fun, count = counted(fun)
    fun = doubled(fun, 2)
    show(fun.call_wrapped(1, 2), count())

    leaves, tree = jax.tree.flatten(((1.0, {"a": 2.0}), {"b": 3.0}))
    fun = lu.wrap_init(lambda x, d, b: {"sum": x + d["a"] + b, "b": b}, debug_info=info)
    flat, out_tree = jax.api_util.flatten_fun(fun, tree)
    outs = flat.call_wrapped(*leaves)
    show(jax.tree.unflatten(out_tree(), outs))
    leaves, tree = jax.tree.flatten((1.0, [2.0, 3.0]))
    fun = lu.wrap_init(lambda x, y: (x, sum(y)), debug_info=info)
    flat, out_tree = jax.api_util.flatten_fun_nokwargs(fun, tree)
    outs = flat.call_wrapped(*leaves)
    show(jax.tree.unflatten(out_tree(), outs))
    fun = lu.wrap_init(lambda x, y, z: (x, y, z), debug_info=info)
    part, rest = jax.api_util.argnums_partial(fun, (0, 2), (1, 2, 3))
    show(part.call_wrapped(10, 30), rest)
    show(jax.api_util.safe_map(lambda a, b: a + b, [1, 2], [3, 4]))
    show(jax.api_util.rebase_donate_argnums((3, 4), (0, 1)))


@case
def a_trace_of_ones_own():
    counts = {}

    class CountTracer(Tracer):
        def __init__(self, trace, value):
            super().__init__(trace, jax.typeof(value))
            self.value = value

    class CountTrace(jax.core.Trace):
        def __init__(self, parent, tag):
            super().__init__()
            self.parent_trace, self.tag = parent, tag

        def stage_value(self, value):
            return CountTracer(self, self.parent_trace.stage_value(value))

        def process_primitive(self, primitive, tracers, params):
            values = [t.value if isinstance(t, CountTracer) else t for t in tracers]
            counts[primitive.name] = counts.get(primitive.name, 0) + 1
            with jex.set_current_trace(self.parent_trace):
                out = primitive.bind(*values, **params)
            if primitive.multiple_results:
                return [CountTracer(self, y) for y in out]
            return CountTracer(self, out)

    values = jnp.asarray(X)
    with jex.take_current_trace() as parent:
        trace = CountTrace(parent, jex.TraceTag())
        with jex.set_current_trace(trace):
            assert jex.find_top_trace(()) is trace
            out = lax.mul(lax.sin(CountTracer(trace, values)), 2.0)
    close(out.value, 2 * np.sin(X))
    assert isinstance(out, Tracer) and out._trace is trace and trace.is_valid()
    show(counts["sin"], counts["mul"], jex.TraceTag() == jex.TraceTag())


@case
def what_is_traced():
    from jax._src.core import trace_state_clean

    def look(x):
        made = [jnp.array(1), jnp.asarray([1, 2]), jnp.array(1) + 1, jnp.zeros(2), jnp.float32(3)]
        show([isinstance(v, Tracer) for v in made], trace_state_clean())
        with jax.ensure_compile_time_eval():
            show(isinstance(jnp.array(1) + 1, Tracer), int(jnp.sum(jnp.arange(3))))
        return x

    look(1.0)
    jax.jit(look)(1.0)
    jax.grad(look)(1.0)
    jax.vmap(look)(X)
    lax.scan(lambda c, x: (look(c), x), 1.0, X)
    state = jex.get_opaque_trace_state(convention="test")
    show(state == jex.get_opaque_trace_state())
    jax.jit(lambda x: show(state == jex.get_opaque_trace_state()) or x)(1.0)
    jax.grad(lambda x: show(state == jex.get_opaque_trace_state()) or x)(1.0)
    show(jex.unsafe_am_i_under_a_jit_DO_NOT_USE(), jex.unsafe_get_axis_names_DO_NOT_USE())
    jax.vmap(
        lambda x: (
            show(
                jex.unsafe_am_i_under_a_vmap_DO_NOT_USE(),
                len(jex.unsafe_get_axis_names_DO_NOT_USE()),
            )
            or x
        ),
        axis_name="i",
    )(X)


@case
def types_of_values():
    t = ShapedArray((2, 3), np.float32)
    show(t.shape, t.dtype, t.weak_type, t.ndim, t.size)
    assert t == ShapedArray((2, 3), jnp.float32) and t != ShapedArray((2, 3), np.int32)
    assert hash(t) == hash(ShapedArray((2, 3), np.float32))
    assert isinstance(t, ShapedArray) and isinstance(t, jax.core.AbstractValue)
    assert isinstance(jax.typeof(X), ShapedArray) and not isinstance(1, ShapedArray)
    show(jex.mapped_aval(2, 0, t).shape, jex.unmapped_aval(5, 1, t).shape)
    show(jex.mapped_aval(2, None, t).shape, t.update(shape=(4,)).shape)
    show(t.to_tangent_aval().dtype == np.float32)
    show(ShapedArray((), np.int32).to_tangent_aval().dtype == jax.dtypes.float0)
    show(jax.typeof(1.0).weak_type, jax.typeof(1.0).strip_weak_type().weak_type)
    show([jex.valid_jaxtype(v) for v in (1, 1.0, X, "text", None, [1])])
    show(jax.core.max_dim(2, 3), jax.core.min_dim(2, 3))
    show(jax.eval_shape(lambda: {"a": jax.ShapeDtypeStruct((2,), jnp.float32)}))


@case
def rules_see_what_is_differentiated():
    """In scan and under vmap too; Python numbers among residuals stay numbers."""
    seen = []

    @jax.custom_vjp
    def f(x, y):
        return x * y

    def forward(x, y):
        seen.append((x.perturbed, y.perturbed))
        return x.value * y.value, (x.value, y.value, x.perturbed)

    def backward(residuals, ct):
        x, y, flag = residuals
        assert type(flag) is bool
        return 2 * ct * y, 2 * ct * x if flag else None

    f.defvjp(forward, backward, symbolic_zeros=True)
    close(jax.grad(f)(2.0, 3.0), 6.0)
    close(jax.grad(f, (0, 1))(2.0, 3.0), (6.0, 4.0))

    def looped(x, y):
        return lax.scan(lambda c, v: (f(c, v), None), x, y)[0]

    close(jax.jit(jax.grad(looped))(1.0, X), 8 * np.prod(X))
    close(jax.vmap(jax.grad(f), (0, None))(X, 3.0), [6.0] * 3)
    show(sorted(set(seen)))


@case
def scopes_of_equations():
    def f(x):
        with jax.named_scope("outer"):
            y = jnp.sin(x)
            with jax.named_scope("inner"):
                y = jax.jit(jnp.cos)(y)
        return jnp.tanh(y)

    closed = jax.make_jaxpr(f)(1.0)
    show([str(e.source_info.name_stack) for e in closed.eqns])
    (call,) = [e for e in closed.eqns if e.primitive is primitives.jit_p]
    show([str(e.source_info.name_stack) for e in call.params["jaxpr"].eqns])
    with jax.extend.source_info_util.extend_name_stack("a"):
        show(str(jax.extend.source_info_util.current_name_stack()))


@case
def random_generators_and_backends():
    from jax.extend import backend
    from jax.extend import random as generators

    for n in (4, 5, 6):
        numbers = jnp.arange(n, dtype=jnp.uint32)
        show(generators.threefry_2x32(jnp.array([1, 2], jnp.uint32), numbers))
    show(generators.threefry_prng_impl, generators.rbg_prng_impl)
    key = generators.seed_with_impl(generators.threefry_prng_impl, 7)
    assert key == jax.random.key(7) == generators.random_seed(7, generators.threefry_prng_impl)
    assert key == jax.random.key(7, impl=generators.threefry_prng_impl)
    show(backend.get_backend().platform, list(backend.backends()))
    show(backend.get_default_device() in jax.devices())
    refused(RuntimeError, backend.get_backend, "no_such_platform")
    backend.get_backend.cache_clear()


@case
def names_that_have_moved():
    gone = {
        jax.core: [
            "get_aval",
            "mapped_aval",
            "TraceTag",
            "take_current_trace",
            "subjaxprs",
            "Jaxpr",
            "Var",
        ],
        jax.interpreters.ad: ["reducing_transposes", "no_such_name"],
        jax.extend.core: ["no_such_name", "ShapedArray"],
        jax.extend.core.primitives: ["no_such_p", "xla_pmap_p"],
        jax._src.core: ["no_such_name"],
        jax.lib: ["xla_bridge", "xla_extension"],
    }
    for module, names in gone.items():
        for name in names:
            assert not hasattr(module, name), (module, name)
    refused(ModuleNotFoundError, __import__, "jax._src.no_such_module")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert jax.core.Effect is jex.Effect
    show([w.category.__name__ for w in caught])


def main():
    found = {}
    for name, function in CASES.items():
        SHOWN.clear()
        try:
            function()
            found[name] = "\n".join(SHOWN)
        except Exception:
            found[name] = "failed: " + traceback.format_exc()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
