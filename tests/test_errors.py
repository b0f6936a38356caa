"""Each mistake of the list gets its documented class and a message: what, got, where, fix.

The first line (what) is held word for word; the other three parts by a piece of their text. Where
the API's documents fix the whole text of a message, the other parts are notes of the exception.
"""

import re
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import errors, lax, random

X = jnp.ones(3)


@dataclass
class Mistake:
    """What a user did, the error class, and the parts of the message."""

    name: str
    do: object
    kind: type
    what: str
    got: str
    fix: str


def leak():
    """A traced value stored outside the function."""
    stored = []
    pb.jit(lambda x: stored.append(x * 2) or x)(1.0)
    return stored[0] + 1


def leak_from_grad():
    """A traced value of grad stored outside the function."""
    stored = []
    pb.grad(lambda x: stored.append(x * 2) or x)(1.0)
    return stored[0] + 1


@pb.custom_jvp
def no_rule(x):
    """A custom_jvp function without a rule."""
    return x


@pb.custom_vjp
def no_rules(x):
    """A custom_vjp function without rules."""
    return x


def custom_jvp_with(rule):
    """A custom_jvp identity with this rule."""
    f = pb.custom_jvp(lambda x: x * 1.0)
    f.defjvp(rule)
    return f


def custom_vjp_with(fwd, bwd):
    """A custom_vjp identity with these rules."""
    f = pb.custom_vjp(lambda x: x * 1.0)
    f.defvjp(fwd, bwd)
    return f


class Unknown:
    """Not an array, not a container."""


def if_on_tracer(x):
    """Python control flow on a traced value."""
    return x if x > 0 else -x


MISTAKES = [
    # ---- grad
    Mistake(
        "grad of a vector",
        lambda: pb.grad(jnp.tanh)(X),
        TypeError,
        "Gradient only defined for scalar-output functions. Output had shape: (3,).",
        "f32[3]",
        "jacrev",
    ),
    Mistake(
        "grad of a tuple",
        lambda: pb.grad(lambda x: (x, x))(1.0),
        TypeError,
        "Gradient only defined for scalar-output functions. Output was: "
        "(Traced<f32[]>with<LinearizeTrace>, Traced<f32[]>with<LinearizeTrace>).",
        "tuple",
        "has_aux=True",
    ),
    Mistake(
        "grad at an integer",
        lambda: pb.grad(lambda x: x * 2.0)(3),
        TypeError,
        "grad requires real- or complex-valued inputs (input dtype that is a sub-dtype of "
        "np.inexact), but got int32.",
        "i32[]",
        "allow_int=True",
    ),
    Mistake(
        "grad of an integer result",
        lambda: pb.grad(lambda x: jnp.int32(1))(3.0),
        TypeError,
        "grad requires real-valued outputs (output dtype that is a sub-dtype of np.floating), "
        "but got int32.",
        "i32[]",
        "float",
    ),
    Mistake(
        "grad of a complex result",
        lambda: pb.grad(lambda x: x * 1j)(3.0),
        TypeError,
        "grad requires real-valued outputs (output dtype that is a sub-dtype of np.floating), "
        "but got complex64.",
        "c64[]",
        "holomorphic=True",
    ),
    Mistake(
        "holomorphic grad at a real input",
        lambda: pb.grad(jnp.sin, holomorphic=True)(3.0),
        TypeError,
        "grad with holomorphic=True requires inputs with complex dtype, but got float32.",
        "f32[]",
        "complex64",
    ),
    Mistake(
        "holomorphic grad of a real result",
        lambda: pb.grad(jnp.real, holomorphic=True)(3.0 + 1j),
        TypeError,
        "grad with holomorphic=True requires outputs with complex dtype, but got float32.",
        "f32[]",
        "holomorphic",
    ),
    Mistake(
        "argnums out of range",
        lambda: pb.grad(jnp.sin, argnums=1)(1.0),
        TypeError,
        "grad: argnums names an argument that was not passed.",
        "argnums=1 with 1 positional arguments",
        "count positional arguments from 0",
    ),
    Mistake(
        "argnums of another type",
        lambda: pb.grad(jnp.sin, argnums="x"),
        TypeError,
        "argnums must be an integer or a sequence of integers.",
        "'x'",
        "by their number",
    ),
    Mistake(
        "grad of a value",
        lambda: pb.grad(3.0),
        TypeError,
        "grad takes a function as its first argument.",
        "float",
        "grad(f)(x)",
    ),
    Mistake(
        "grad at a string",
        lambda: pb.grad(lambda x: x)("a"),
        TypeError,
        "grad: an argument is not a valid array.",
        "'a' of type str",
        "closure",
    ),
    Mistake(
        "has_aux without a pair",
        lambda: pb.grad(lambda x: x, has_aux=True)(1.0),
        TypeError,
        "grad with has_aux=True needs a function that returns a pair (value, auxiliary data).",
        "DualTracer",
        "return (value, aux)",
    ),
    # ---- jvp, vjp, linearize
    Mistake(
        "jvp with a bare primal",
        lambda: pb.jvp(jnp.sin, 1.0, (1.0,)),
        TypeError,
        "jvp takes its primals as a tuple or list.",
        "float",
        "jvp(f, (x,), (t,))",
    ),
    Mistake(
        "jvp with another structure",
        lambda: pb.jvp(jnp.sin, (1.0,), (1.0, 1.0)),
        TypeError,
        "the tangents of jvp must have the structure of the primals.",
        "(*, *)",
        "one for each",
    ),
    Mistake(
        "jvp with another shape",
        lambda: pb.jvp(jnp.sin, (X,), (jnp.ones(2),)),
        ValueError,
        "tangent and primal must have one shape.",
        "primal f32[3], tangent f32[2]",
        "(3,)",
    ),
    Mistake(
        "jvp with another dtype",
        lambda: pb.jvp(jnp.sin, (X,), (jnp.ones(3, jnp.float16),)),
        TypeError,
        "tangent and primal must have one dtype.",
        "primal f32[3], tangent f16[3]",
        "float32",
    ),
    Mistake(
        "jvp with a tangent for an integer",
        lambda: pb.jvp(lambda x: x, (1,), (1,)),
        TypeError,
        "the tangent of a int32 primal must have dtype float0.",
        "i32[]",
        "float0",
    ),
    Mistake(
        "a cotangent of another structure",
        lambda: pb.vjp(lambda x: (x, x), 1.0)[1](1.0),
        ValueError,
        "the cotangent must have the structure of the function's output.",
        "(*, *)",
        "containers",
    ),
    Mistake(
        "a cotangent of another shape",
        lambda: pb.vjp(jnp.sin, X)[1](jnp.ones(2)),
        ValueError,
        "cotangent and output must have one shape.",
        "output f32[3], cotangent f32[2]",
        "(3,)",
    ),
    Mistake(
        "two cotangents",
        lambda: pb.vjp(jnp.sin, 1.0)[1](1.0, 1.0),
        TypeError,
        "the function that vjp returns takes one argument: a cotangent of the output.",
        "2 arguments",
        "give a tuple",
    ),
    Mistake(
        "forward mode on custom_vjp",
        lambda: pb.jvp(custom_vjp_with(lambda x: (x, ()), lambda r, g: (g,)), (1.0,), (1.0,)),
        TypeError,
        "can't apply forward-mode autodiff (jvp) to a custom_vjp function.",
        "only a vjp rule",
        "custom_jvp",
    ),
    Mistake(
        "transposing what is not linear",
        lambda: pb.linear_transpose(jnp.sin, 1.0)(1.0),
        errors.MissingRule,
        "the transpose rule of sin does not exist: it is not linear, so it cannot stand in the "
        "transposed part of a program.",
        "f32[]",
        "custom_jvp",
    ),
    # ---- custom rules
    Mistake(
        "custom_jvp without a rule",
        lambda: no_rule(1.0),
        AttributeError,
        "No JVP defined for custom_jvp function no_rule using defjvp.",
        "",
        "@f.defjvp",
    ),
    Mistake(
        "custom_vjp without rules",
        lambda: no_rules(1.0),
        AttributeError,
        "No VJP defined for custom_vjp function no_rules using defvjp.",
        "",
        "defvjp(fwd, bwd)",
    ),
    Mistake(
        "a jvp rule that returns one value",
        lambda: pb.grad(custom_jvp_with(lambda p, t: t[0]))(1.0),
        TypeError,
        "Custom JVP rule <lambda> for function <lambda> must produce a pair (list or tuple of "
        "length two) representing primal and tangent outputs.",
        "Traced",
        "return primal_out",
    ),
    Mistake(
        "a jvp rule with another shape",
        lambda: pb.grad(custom_jvp_with(lambda p, t: (p[0], jnp.ones(3) * t[0])))(1.0),
        TypeError,
        "Custom JVP rule <lambda> for function <lambda> must produce primal and tangent outputs "
        "with equal shapes and dtypes.",
        "primal f32[] and tangent f32[3]",
        "output's shape",
    ),
    Mistake(
        "a jvp rule with another structure",
        lambda: pb.grad(custom_jvp_with(lambda p, t: (p[0], (t[0], t[0]))))(1.0),
        TypeError,
        "Custom JVP rule <lambda> for function <lambda> must produce primal and tangent outputs "
        "with equal container (pytree) structures.",
        "(*, *)",
        "same containers",
    ),
    Mistake(
        "a fwd rule without residuals",
        lambda: pb.grad(custom_vjp_with(lambda x: x, lambda r, g: (g,)))(1.0),
        TypeError,
        "Custom VJP fwd rule <lambda> for function <lambda> must produce a pair (list or tuple of "
        "length two) where the first element represents the primal output and the second element "
        "represents residuals.",
        "",
        "return out, residuals",
    ),
    Mistake(
        "a bwd rule with too many cotangents",
        lambda: pb.grad(custom_vjp_with(lambda x: (x, ()), lambda r, g: (g, g)))(1.0),
        TypeError,
        "Custom VJP bwd rule <lambda> for function <lambda> must produce a tuple of length equal "
        "to the primal args tuple.",
        "for 1 arguments",
        "return (ct,)",
    ),
    Mistake(
        "defjvps with nondiff_argnums",
        lambda: pb.custom_jvp(lambda f, x: x, nondiff_argnums=(0,)).defjvps(None),
        TypeError,
        "Can't use ``defjvps`` with ``nondiff_argnums``.",
        "(0,)",
        "defjvp",
    ),
    # ---- tracing
    Mistake(
        "if on a traced value",
        lambda: pb.jit(if_on_tracer)(1.0),
        errors.TracerBoolConversionError,
        "a traced value was used as a bool; its value is not known while tracing.",
        "bool[] traced by jit of if_on_tracer",
        "lax.cond",
    ),
    Mistake(
        "float of a traced value",
        lambda: pb.jit(lambda x: float(x))(1.0),
        errors.ConcretizationTypeError,
        "a traced value was converted to a float; its value is not known while tracing.",
        "the value of argument x",
        "astype(float)",
    ),
    Mistake(
        "a traced size",
        lambda: pb.jit(lambda n: list(range(n)))(3),
        errors.TracerIntegerConversionError,
        "a traced value was used as a Python integer: an index, a size or an axis.",
        "the value of argument n",
        "static_argnums",
    ),
    Mistake(
        "NumPy on a traced value",
        lambda: pb.jit(lambda x: np.sin(x))(1.0),
        errors.TracerArrayConversionError,
        "a traced value has no NumPy array: a NumPy function, or np.asarray, was called on it.",
        "f32[] traced by jit",
        "pullback.numpy",
    ),
    Mistake(
        "a traced value leaked from jit",
        leak,
        errors.UnexpectedTracerError,
        "a traced value escaped from the transformation that made it.",
        "made by jit of",
        "return",
    ),
    Mistake(
        "a traced value leaked from grad",
        leak_from_grad,
        errors.UnexpectedTracerError,
        "a traced value escaped from the transformation that made it.",
        "made by grad",
        "return",
    ),
    Mistake(
        "a traced boolean mask",
        lambda: pb.jit(lambda x: x[x > 0])(X),
        errors.NonConcreteBooleanIndexError,
        "Array boolean indices must be concrete: the shape of the result would depend on the "
        "values of a traced mask.",
        "bool[3]",
        "where",
    ),
    # ---- jit
    Mistake(
        "jit of a value",
        lambda: pb.jit(3.0),
        TypeError,
        "jit takes a function as its first argument.",
        "float",
        "jit(f)(x)",
    ),
    Mistake(
        "a non-hashable static argument",
        lambda: pb.jit(lambda x, n: x, static_argnums=1)(1.0, [1]),
        ValueError,
        "jit: non-hashable static arguments are not allowed; argument 1 is one.",
        "[1]",
        "tuple",
    ),
    Mistake(
        "an unknown static name",
        lambda: pb.jit(lambda x: x, static_argnames="y"),
        ValueError,
        "jit: static_argnames names 'y', which the function does not have.",
        "x",
        "a parameter",
    ),
    Mistake(
        "a static number out of range",
        lambda: pb.jit(lambda x: x, static_argnums=3),
        ValueError,
        "jit: static_argnums names an argument that the function does not have.",
        "3",
        "from 0",
    ),
    Mistake(
        "a string as an argument of jit",
        lambda: pb.jit(lambda x: x)("a"),
        TypeError,
        "jit: argument x of type str is not a valid array.",
        "'a'",
        "static_argnums",
    ),
    Mistake(
        "an unknown class as an argument",
        lambda: pb.jit(lambda x: x)(Unknown()),
        TypeError,
        "jit: argument x of type Unknown is not a valid array.",
        "Unknown",
        "pytree",
    ),
    Mistake(
        "an unknown class as a result",
        lambda: pb.jit(lambda x: Unknown())(1.0),
        TypeError,
        "jit: a result of the function is not a valid array.",
        "Unknown",
        "containers",
    ),
    # ---- vmap
    Mistake(
        "vmap over axes of different lengths",
        lambda: pb.vmap(jnp.add)(X, jnp.ones(4)),
        ValueError,
        "vmap got inconsistent sizes for array axes to be mapped.",
        "args[0] (f32[3]) has 3 on axis 0; args[1] (f32[4]) has 4 on axis 0",
        "None in in_axes",
    ),
    Mistake(
        "vmap with too few in_axes",
        lambda: pb.vmap(jnp.add, in_axes=(0,))(X, X),
        ValueError,
        "vmap in_axes must have one entry for each positional argument.",
        "(0,)",
        "entry",
    ),
    Mistake(
        "vmap of a scalar",
        lambda: pb.vmap(jnp.sin)(1.0),
        ValueError,
        "vmap was requested to map its argument along axis 0, which implies that its rank should "
        "be at least 1, but is only 0.",
        "args[0] of type f32[]",
        "None in in_axes",
    ),
    Mistake(
        "vmap of nothing",
        lambda: pb.vmap(jnp.sin, in_axes=None)(X),
        ValueError,
        "vmap must have at least one non-None value in in_axes.",
        "none of them mapped",
        "axis_size",
    ),
    Mistake(
        "vmap with out_axes None",
        lambda: pb.vmap(jnp.sin, out_axes=None)(X),
        ValueError,
        "vmap has mapped output but out_axes is None.",
        "f32[3]",
        "integer in out_axes",
    ),
    Mistake(
        "vmap with in_axes of another structure",
        lambda: pb.vmap(lambda d: d["a"], in_axes=({"b": 0},))({"a": X}),
        ValueError,
        "vmap in_axes does not fit the structure of what it describes.",
        "{'b': 0}",
        "containers",
    ),
    # ---- arrays
    Mistake(
        "adding arrays of different shapes",
        lambda: X + jnp.ones(4),
        TypeError,
        "add got incompatible shapes for broadcasting: (3,), (4,).",
        "(3,) and (4,)",
        "reshape",
    ),
    Mistake(
        "lax.add of different dtypes",
        lambda: lax.add(X, jnp.ones(3, jnp.int32)),
        TypeError,
        "add got arrays of different dtypes.",
        "f32[3], i32[3]",
        "convert",
    ),
    Mistake(
        "a list as an array",
        lambda: jnp.sum([1.0, 2.0]),
        TypeError,
        "sum requires ndarray or scalar arguments, got <class 'list'>.",
        "[1.0, 2.0]",
        "jnp.array",
    ),
    Mistake(
        "matmul of shapes that do not fit",
        lambda: jnp.ones((2, 3)) @ jnp.ones((2, 3)),
        TypeError,
        "a product needs contracted axes of the same length: axis 1 of the first array has length "
        "3, axis 0 of the second has 2.",
        "f32[2,3] and f32[2,3]",
        "transpose or reshape",
    ),
    Mistake(
        "reshape to another size",
        lambda: X.reshape(2, 2),
        TypeError,
        "an array of shape (3,) cannot be reshaped into shape (2, 2).",
        "3",
        "",
    ),
    Mistake(
        "an axis out of bounds",
        lambda: jnp.sum(X, axis=1),
        ValueError,
        "axis 1 is out of bounds for array of dimension 1.",
        "axis=1",
        "-1 to 0",
    ),
    Mistake(
        "assignment to an element",
        lambda: X.__setitem__(0, 1.0),
        TypeError,
        "JAX arrays are immutable and do not support in-place item assignment.",
        "",
        ".at[",
    ),
    Mistake(
        "the truth of an array",
        lambda: bool(X),
        ValueError,
        "the truth value of an array with more than one element is ambiguous.",
        "f32[3]",
        ".any()",
    ),
    Mistake(
        "an unknown dtype",
        lambda: jnp.ones(3, "float99"),
        TypeError,
        "'float99' does not name a dtype.",
        "str",
        "jnp.float32",
    ),
    Mistake(
        "bits of a float",
        lambda: jnp.bitwise_and(X, X),
        TypeError,
        "and does not take float32 arrays.",
        "f32[3]",
        "",
    ),
    # ---- control flow
    Mistake(
        "a scan whose carry changes its type",
        lambda: lax.scan(lambda c, x: (jnp.ones(2), x), 0.0, X),
        TypeError,
        "scan body function carry input and carry output must have equal types, but they differ.",
        "corresponding output carry component has type float32[2]",
        "astype",
    ),
    Mistake(
        "a while_loop whose condition is no bool",
        lambda: lax.while_loop(lambda x: x, lambda x: x, 1.0),
        TypeError,
        "cond_fun must return a boolean scalar, but got output type(s) "
        "[ShapedArray(float32[], weak_type=True)].",
        "f32[]",
        "",
    ),
    Mistake(
        "cond with branches of different types",
        lambda: lax.cond(True, lambda x: x, lambda x: jnp.ones(2), 1.0),
        TypeError,
        "cond branches must have equal output types but they differ.",
        "",
        "",
    ),
    Mistake(
        "cond with a vector as predicate",
        lambda: lax.cond(X, lambda x: x, lambda x: x, 1.0),
        TypeError,
        "Pred must be a scalar, got f32[3].",
        "an array",
        "jnp.all or jnp.any",
    ),
    Mistake(
        "an unbound axis name",
        lambda: lax.psum(X, "i"),
        NameError,
        "unbound axis name: i",
        "i",
        "vmap",
    ),
    # ---- random, settings, trees
    Mistake(
        "a float as a key",
        lambda: random.normal(1.0, (3,)),
        TypeError,
        "random.normal needs a random key.",
        "",
        "random.key",
    ),
    Mistake(
        "a key as a number",
        lambda: random.key(0) + 1,
        TypeError,
        "add does not take arrays of dtype key<fry>.",
        "key<fry>",
        "",
    ),
    Mistake(
        "an unknown setting",
        lambda: pb.config.update("jax_enable_x65", True),
        AttributeError,
        "config has no setting 'jax_enable_x65'.",
        "x65",
        "jax_enable_x64",
    ),
    Mistake(
        "tree_map over different trees",
        lambda: pb.tree.map(lambda x, y: x, {"a": 1}, {"b": 2}),
        ValueError,
        "tree_map: the trees do not have the same structure: Dict key mismatch; expected "
        "key(s): ['a'], got key(s): ['b'], missing key(s): ['a'], extra key(s): ['b']; dict: "
        "{'b': 2}.",
        "'b'",
        "same containers",
    ),
]


def parts(exception):
    """The message with its notes, as a traceback shows it."""
    return "\n".join([str(exception), *getattr(exception, "__notes__", ())])


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.name.replace(" ", "_"))
def test_message_in_four_parts(mistake):
    with pytest.raises(mistake.kind) as caught:
        mistake.do()
    assert type(caught.value) is mistake.kind
    text = parts(caught.value)
    assert text.split("\n")[0] == mistake.what
    found = dict(re.findall(r"^  (Got|Where|Fix): (.*)$", text, re.MULTILINE))
    assert mistake.got in found.get("Got", ""), text
    assert __file__ in found["Where"], text
    assert mistake.fix in found["Fix"] and found["Fix"], text


def test_the_list_is_long_enough():
    assert len(MISTAKES) >= 40


def test_where_is_the_users_own_line():
    def user_function():
        return pb.grad(jnp.tanh)(X)

    with pytest.raises(TypeError) as caught:
        user_function()
    line = user_function.__code__.co_firstlineno + 1
    assert f"{__file__}:{line} (" in parts(caught.value)


def test_an_exception_inside_leaves_no_trace_behind():
    for transform in (pb.grad, pb.jit, pb.vmap, partial(pb.linearize)):
        with pytest.raises(ZeroDivisionError):
            argument = X if transform is pb.vmap else 1.0
            if transform.__class__ is partial:
                transform(lambda x: 1 / 0, argument)
            else:
                transform(lambda x: 1 / 0)(argument)
        assert float(jnp.sin(0.0)) == 0.0
        assert pb.grad(jnp.sin)(0.0) == 1.0


@pytest.mark.parametrize("transform", [lambda f: f, pb.jit, lambda f: pb.jit(pb.jit(f))])
def test_debug_nans_names_the_operation_and_the_line(transform):
    f = transform(lambda x: jnp.log(x) + 1.0)
    with pb.debug_nans(True), pytest.raises(FloatingPointError) as caught:
        f(-1.0)
    text = parts(caught.value)
    assert text.startswith("invalid value (nan) encountered in ")
    assert "f32[] -1.0" in text or "f32[] Array(-1., dtype=float32" in text
    assert __file__ in text
    assert np.isnan(f(-1.0))  # and afterwards it is a number as before


def test_debug_nans_in_the_backward_pass():
    with pb.debug_nans(True), pytest.raises(FloatingPointError, match="encountered in mul"):
        pb.grad(lambda x: jnp.sqrt(x * 0.0))(1.0)


def test_debug_infs():
    with (
        pb.debug_infs(True),
        pytest.raises(FloatingPointError, match=r"\(inf\) encountered in div"),
    ):
        jnp.float32(1.0) / 0.0
    assert np.isinf(jnp.float32(1.0) / 0.0)
