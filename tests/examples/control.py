"""Examples of pullback/control: programs called, chosen, repeated."""

from __future__ import annotations

import numpy as np

from pullback.control.branches import cond_p
from pullback.control.call import jit_p
from pullback.control.checkpoint import checkpoint_p, name_p
from pullback.control.counted import counted_scan_p
from pullback.control.custom import custom_jvp_call
from pullback.control.scan import scan_p
from pullback.control.while_loop import while_p
from pullback.core.array import HostArray
from pullback.core.program import trace_program
from pullback.core.types import array_type
from pullback.ops.comparison import lt
from pullback.ops.elementwise import add, add_any, like, mul, sub
from pullback.ops.functions import cos, sin, tanh
from pullback.ops.structural import broadcast_in_dim, reduce_sum

from .base import ALL, B, Example, F, I, unit

DOUBLE = ("float32", "float64", "complex128")
OTHER_PROGRAMS = {"jax": "its programs are of another class", "weak": "programs have fixed types"}


def program(function, *shapes):
    """A function from the dtype under test to the program of `function` for these shapes.

    A shape of "int" or "bool" is a scalar of that dtype.
    """

    def at(dtype):
        named = {"int": np.dtype("int32"), "bool": np.dtype("bool")}
        types = [
            array_type((), named[s]) if isinstance(s, str) else array_type(s, dtype) for s in shapes
        ]
        return trace_program(lambda *xs: list(function(*xs)), types)

    return at


def wide(x, n):
    return broadcast_in_dim(x, shape=(n,), broadcast_dimensions=())


# ---- jit


def two_results(x, y):
    return mul(sin(x), y), reduce_sum(x, axes=(0,))


def unused_and_constant(x, y):
    return x, like(x, 2.0)


def _jit(function, *shapes, id, **options):
    made = program(function, *shapes)
    return Example(
        jit_p,
        [F(*s) for s in shapes],
        lambda d: {"jaxpr": made(d), "name": "f"},
        dtypes=DOUBLE,
        id=id,
        skip=OTHER_PROGRAMS,
        **options,
    )


def _double(x):
    return (add(x, x),)


# ---- checkpoint


def keep_sines(primitive, *types, **params):
    """A policy: sines are kept, the rest is computed again."""
    return primitive.name == "sin"


def _checkpoint(function, *shapes, policy=None, id):
    made = program(function, *shapes)
    return Example(
        checkpoint_p,
        [F(*s) for s in shapes],
        lambda d: {"jaxpr": made(d), "policy": policy, "prevent_cse": True},
        dtypes=DOUBLE,
        id=id,
        skip=OTHER_PROGRAMS,
    )


def nested_sines(x, y):
    return mul(sin(sin(x)), y), y, cos(y)


# ---- cond


def _cond(index, *functions, shapes, id, **options):
    made = [program(f, *shapes) for f in functions]
    return Example(
        cond_p,
        [index, *(F(*s) for s in shapes)],
        lambda d: {"branches": tuple(m(d) for m in made)},
        dtypes=DOUBLE,
        id=id,
        skip=OTHER_PROGRAMS,
        **options,
    )


def first_sin(x, y):
    return sin(x), y


def second_product(x, y):
    return mul(x, y), tanh(y)


def third_constant(x, y):
    return mul(x, like(x, 0.0)), x


# ---- scan


def _scan(function, consts, carry, xs, length, *, reverse=False, id, **options):
    shapes = [*consts, *carry, *(s[1:] for s in xs)]
    made = program(function, *shapes)

    def params(dtype):
        return {
            "jaxpr": made(dtype),
            "length": length,
            "num_consts": len(consts),
            "num_carry": len(carry),
            "reverse": reverse,
            "unroll": 1,
        }

    args = [unit(*s) for s in [*consts, *carry, *xs]]
    return Example(scan_p, args, params, dtypes=DOUBLE, id=id, skip=OTHER_PROGRAMS, **options)


def recurrence(w, c, x):
    new = sin(add(mul(w, c), x))
    return new, mul(new, c)


def carry_made_active(c, d, x):
    """The second carry gets its tangent from the first, one step later."""
    return mul(c, x), add(c, like(d, 1.0))


def running_sum(c, x):
    new = add(c, x)
    return new, new


def only_outputs(x):
    return (sin(x),)


def _counted_scan(function, consts, carry, xs, length, *, most, reverse=False, id, **options):
    of_scan = _scan(function, consts, carry, xs, length, reverse=reverse, id=id)

    def params(dtype):
        new = {k: v for k, v in of_scan.params(dtype).items() if k != "unroll"}
        return {**new, "tape": False}

    args = [np.int32(most), *(unit(*s) for s in [*consts, *carry, *xs])]
    return Example(
        counted_scan_p, args, params, dtypes=DOUBLE, id=id, skip=OTHER_PROGRAMS, **options
    )


# ---- while


def _while(condition, body, cond_consts, body_consts, carry, *, id, **options):
    made_condition = program(condition, *cond_consts, *carry)
    made_body = program(body, *body_consts, *carry)

    def params(dtype):
        return {
            "cond_jaxpr": made_condition(dtype),
            "body_jaxpr": made_body(dtype),
            "cond_nconsts": len(cond_consts),
            "body_nconsts": len(body_consts),
        }

    shapes = [*cond_consts, *body_consts, *carry]
    args = options.pop("args", None) or [F(*s) for s in shapes]
    dtypes = options.pop("dtypes", ("float32", "float64"))
    return Example(while_p, args, params, dtypes=dtypes, id=id, **options)


def below(limit, i, x):
    return (lt(i, limit),)


def counted(w, i, x):
    return add(i, HostArray(np.int32(1))), sin(mul(w, x))


def small(x):
    return (lt(reduce_sum(mul(x, x), axes=(0,)), like(x, 100.0)),)


def doubled(x):
    return (add(add(x, x), wide(like(x, 1.0), 2)),)


# ---- custom_jvp


def product(x, y):
    return (mul(sin(x), y),)


def product_jvp(x, y, dx, dy):
    """The derivative of sin(x) y."""
    terms = []
    if dx is not None:
        terms.append(mul(mul(cos(x), y), dx))
    if dy is not None:
        terms.append(mul(sin(x), dy))
    total = terms[0] if len(terms) == 1 else add_any(*terms)
    return [mul(sin(x), y), total]


def _custom_jvp(*shapes, id):
    made = program(product, *shapes)
    return Example(
        custom_jvp_call,
        [F(*s) for s in shapes],
        lambda d: {"call": made(d), "jvp": product_jvp, "name": "product"},
        dtypes=DOUBLE,
        id=id,
        skip=OTHER_PROGRAMS,
    )


THREE = (first_sin, second_product, third_constant)
EXAMPLES = [
    _jit(two_results, (3,), (3,), id="two-results"),
    _jit(unused_and_constant, (2,), (2,), id="unused-and-constant"),
    _jit(_double, (2, 3), id="linear", linear_in=(0,)),
    _checkpoint(nested_sines, (3,), (3,), id="nothing-kept"),
    _checkpoint(nested_sines, (), (), policy=keep_sines, id="sines-kept"),
    _checkpoint(unused_and_constant, (2,), (2,), id="unused-and-constant"),
    Example(name_p, [F(2, 3)], {"name": "kept"}, dtypes=ALL, linear_in=(0,)),
    _cond(I(below=3), *THREE, shapes=[(3,), (3,)], id="three"),
    _cond(np.int32(0), *THREE, shapes=[(3,), (3,)], id="first"),
    _cond(np.int32(7), *THREE, shapes=[(2,), (2,)], id="index-too-large"),
    _cond(np.int32(-1), *THREE, shapes=[(2,), (2,)], id="index-too-small"),
    _cond(np.int32(0), first_sin, shapes=[(), ()], id="one-branch"),
    _cond(I(below=2), _double, lambda x: (x,), shapes=[(2,)], id="linear", linear_in=(1,)),
    _scan(recurrence, [(2,)], [(2,)], [(4, 2)], 4, id="recurrence", scale=100),
    _scan(recurrence, [()], [()], [(3,)], 3, reverse=True, id="scalar-reverse"),
    _scan(carry_made_active, [], [(), ()], [(3,)], 3, id="carry-made-active"),
    _scan(running_sum, [], [(2,)], [(3, 2)], 3, id="linear", linear_in=(0, 1)),
    _scan(running_sum, [], [()], [(3,)], 3, reverse=True, id="linear-reverse", linear_in=(0, 1)),
    _scan(running_sum, [], [(2,)], [(0, 2)], 0, id="no-steps"),
    _scan(only_outputs, [], [], [(3, 2)], 3, id="no-carry"),
    _scan(lambda c: (sin(c),), [], [(2,)], [], 3, id="no-inputs"),
    _counted_scan(recurrence, [(2,)], [(2,)], [(4, 2)], 4, most=3, id="some-steps", scale=100),
    _counted_scan(recurrence, [()], [()], [(3,)], 3, most=2, reverse=True, id="scalar-reverse"),
    _counted_scan(running_sum, [], [(2,)], [(3, 2)], 3, most=2, id="linear", linear_in=(1, 2)),
    _counted_scan(running_sum, [], [(2,)], [(3, 2)], 3, most=0, id="no-steps"),
    _counted_scan(lambda c: (sin(c),), [], [(2,)], [], 3, most=2, id="no-inputs"),
    _while(
        below,
        counted,
        ["int"],
        [(2,)],
        ["int", (2,)],
        args=[I(below=4), F(2), np.int32(0), F(2)],
        id="counted",
        skip=OTHER_PROGRAMS,
    ),
    _while(small, doubled, [], [], [(2,)], id="until-large", skip=OTHER_PROGRAMS),
    _while(
        lambda b, x: (b,),
        lambda b, x: (lt(reduce_sum(x, axes=(0,)), like(x, -9e9)), sub(x, like(x, 0.5))),
        [],
        [],
        ["bool", (2,)],
        args=[B(), F(2)],
        id="once-or-never",
        skip=OTHER_PROGRAMS,
    ),
    _custom_jvp((3,), (3,), id="two-arguments"),
    _custom_jvp((), (), id="scalar"),
]
