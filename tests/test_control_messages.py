"""What is said of mistakes in control flow: class and whole text, but for the user's line."""

from __future__ import annotations

import re

import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import lax

X = jnp.zeros(2)
LEAF, PAIR = "PyTreeSpec(*)", "PyTreeSpec((*, *))"
CALLABLE_FIX = "give a function first; the values that it works on come later."
CARRY_FIX = (
    "revise the function so that all output types match the corresponding input types, e.g. with "
    ".astype(x.dtype), or begin with a carry of the type that comes out."
)
STRUCTURE_FIX = (
    "revise the function so that the carry output has the same pytree structure as the carry input."
)
COND_FUN_FIX = "compare, e.g. x > 0, and reduce arrays with jnp.any or jnp.all."
PRED_FIX = "reduce it with jnp.all or jnp.any, or use jnp.where for a choice per element."

MISTAKES = {
    "scan of no function": (
        lambda: lax.scan(3, X, X),
        TypeError,
        "lax.scan: f argument should be a callable.",
        "a value of type int",
        CALLABLE_FIX,
    ),
    "scan without a length": (
        lambda: lax.scan(lambda c, x: (c, x), 0, None),
        ValueError,
        "scan got no values to scan over and `length` not provided.",
        "(init, xs) of structure PyTreeSpec((*, None))",
        "give length=, the number of steps.",
    ),
    "scan of different lengths": (
        lambda: lax.scan(lambda c, x: (c, x), 0, (jnp.zeros(3), jnp.zeros((4, 1)))),
        ValueError,
        "scan got values with different leading axis sizes: 3, 4.",
        "f32[3], f32[4,1]",
        "give arrays of one length along axis 0.",
    ),
    "scan of another length": (
        lambda: lax.scan(lambda c, x: (c, x), 0, jnp.zeros(3), length=4),
        ValueError,
        "scan got `length` argument of 4 which disagrees with leading axis sizes [3].",
        "length=4",
        "leave `length` out where there are xs, or give their length.",
    ),
    "scan of a scalar": (
        lambda: lax.scan(lambda c, x: (c, x), 0, 3.0),
        ValueError,
        "scan got value with no leading axis to scan over.",
        "an array of type f32[] in xs",
        "close over values that are the same in all steps, instead of scanning them.",
    ),
    "scan of another shape": (
        lambda: lax.scan(lambda c, x: (jnp.zeros(3), x), X, X),
        TypeError,
        "scan body function carry input and carry output must have equal types, but they differ.",
        "the input carry c has type float32[2] but the corresponding output carry component has "
        "type float32[3], so the shapes do not match",
        CARRY_FIX,
    ),
    "scan of another dtype": (
        lambda: lax.scan(
            lambda c, x: ({"a": c["a"], "b": c["b"].astype(int)}, x), {"a": X, "b": X}, X
        ),
        TypeError,
        "scan body function carry input and carry output must have equal types, but they differ.",
        "the input carry component c['b'] has type float32[2] but the corresponding output carry "
        "component has type int32[2], so the dtypes do not match",
        CARRY_FIX,
    ),
    "scan of another structure": (
        lambda: lax.scan(lambda c, x: ((c, c), x), X, X),
        TypeError,
        "scan body function carry input and carry output must have the same pytree structure, but "
        "they differ.",
        f"input carry {LEAF}; output carry {PAIR}",
        STRUCTURE_FIX,
    ),
    "scan that gives no pair": (
        lambda: lax.scan(lambda c, x: c, X, X),
        TypeError,
        "scan body output must be a pair, got float32[2].",
        f"a result of structure {LEAF}",
        "end the function with `return new_carry, y`; y may be None.",
    ),
    "scan that gives no array": (
        lambda: lax.scan(body_giving_text, 1.0, X),
        TypeError,
        "function body_giving_text at FILE traced for scan returned a value of type str at output "
        "component [1], which is not a valid JAX type.",
        "'a'",
        "return arrays, numbers, or containers of them.",
    ),
    "scan of no array": (
        lambda: lax.scan(lambda c, x: (c, x), "a", X),
        TypeError,
        "scan: an argument is not a valid array.",
        "'a' of type str",
        "arguments must be arrays, numbers or containers of them; pass others by closure or "
        "functools.partial.",
    ),
    "while_loop of no function": (
        lambda: lax.while_loop(3, lambda x: x, 1.0),
        TypeError,
        "lax.while_loop: body_fun and cond_fun arguments should be callable.",
        "a value of type int",
        CALLABLE_FIX,
    ),
    "while_loop on a float": (
        lambda: lax.while_loop(lambda x: x, lambda x: x, 1.0),
        TypeError,
        "cond_fun must return a boolean scalar, but got output type(s) "
        "[ShapedArray(float32[], weak_type=True)].",
        "f32[]",
        COND_FUN_FIX,
    ),
    "while_loop on a pair": (
        lambda: lax.while_loop(lambda x: (True, True), lambda x: x, 1.0),
        TypeError,
        f"cond_fun must return a boolean scalar, but got pytree {PAIR}.",
        "bool[], bool[]",
        COND_FUN_FIX,
    ),
    "while_loop of another dtype": (
        lambda: lax.while_loop(lambda x: True, lambda x: x.astype(int), X),
        TypeError,
        "while_loop body function carry input and carry output must have equal types, but they "
        "differ.",
        "the input carry x has type float32[2] but the corresponding output carry component has "
        "type int32[2], so the dtypes do not match",
        CARRY_FIX,
    ),
    "while_loop of another structure": (
        lambda: lax.while_loop(lambda x: True, lambda x: (x, x), X),
        TypeError,
        "while_loop body function carry input and carry output must have the same pytree "
        "structure, but they differ.",
        f"input carry {LEAF}; output carry {PAIR}",
        STRUCTURE_FIX,
    ),
    "checkpoints below 1": (
        lambda: lax.while_loop(lambda x: x < 3, lambda x: x + 1, 0, checkpoints=0),
        ValueError,
        "while_loop needs a positive integer as `checkpoints`, how many states may be kept.",
        "checkpoints=0",
        "give 1 or more: the first state always counts; or leave it out.",
    ),
    "checkpoints that are no integer": (
        lambda: lax.scan(lambda c, x: (c, x), 0, X, checkpoints=2.5),
        ValueError,
        "scan needs a positive integer as `checkpoints`, how many states may be kept.",
        "checkpoints=2.5",
        "give 1 or more: the first state always counts; or leave it out.",
    ),
    "fori_loop of no function": (
        lambda: lax.fori_loop(0, 3, 3, X),
        TypeError,
        "lax.fori_loop: body_fun argument should be callable.",
        "a value of type int",
        CALLABLE_FIX,
    ),
    "fori_loop of arrays": (
        lambda: lax.fori_loop(jnp.zeros(2), 3, lambda i, x: x, X),
        TypeError,
        "lower and upper arguments to fori_loop must be integer scalars.",
        "f32[2] and i32[]",
        "give integers: Python's, or integer arrays of shape ().",
    ),
    "fori_loop of a float and an integer": (
        lambda: lax.fori_loop(0.0, 3, lambda i, x: x, X),
        TypeError,
        "lower and upper arguments to fori_loop must have equal types, got float32 and int32.",
        "f32[] and i32[]",
        "convert one of them with .astype(...).",
    ),
    "fori_loop of two dtypes": (
        lambda: pb.jit(lambda a, b: lax.fori_loop(a, b, lambda i, x: x, 0))(
            jnp.int8(1), jnp.uint8(3)
        ),
        TypeError,
        "lower and upper arguments to fori_loop must have equal types, got int8 and uint8.",
        "i8[] and u8[]",
        "convert one of them with .astype(...).",
    ),
    "fori_loop unrolled": (
        lambda: pb.jit(lambda n: lax.fori_loop(0, n, lambda i, x: x, 0, unroll=2))(3),
        ValueError,
        "Can only use `unroll` in `fori_loop` if the loop bounds are statically known.",
        "unroll=2",
        "leave it out, or give Python integers as bounds.",
    ),
    "cond on an array": (
        lambda: lax.cond(X, lambda x: x, lambda x: x, 1.0),
        TypeError,
        "Pred must be a scalar, got f32[2].",
        "an array",
        PRED_FIX,
    ),
    "cond on a text": (
        lambda: lax.cond("a", lambda x: x, lambda x: x, 1.0),
        TypeError,
        "Pred must be a scalar, got 'a'.",
        "a value of type str",
        PRED_FIX,
    ),
    "cond on a complex number": (
        lambda: lax.cond(1j, lambda x: x, lambda x: x, 1.0),
        TypeError,
        "Pred type must be either boolean or number, got 1j.",
        "a value of type complex",
        PRED_FIX,
    ),
    "cond of no function": (
        lambda: lax.cond(True, lambda x: x, 3, 1.0),
        TypeError,
        "lax.cond: true_fun and false_fun arguments should be callable.",
        "function and int",
        "give two functions, e.g. lambda x: x, and their operands behind them.",
    ),
    "cond of two structures": (
        lambda: lax.cond(True, one, two, 1.0),
        TypeError,
        "cond branch outputs must have the same pytree structure, but they differ.",
        f"{LEAF} and {PAIR} from true_fun (one at FILE) and false_fun (two at FILE)",
        "revise true_fun and/or false_fun so that they return the same containers.",
    ),
    "cond of two dtypes": (
        lambda: lax.cond(True, in_dict, in_dict_as_integer, X),
        TypeError,
        "cond branches must have equal output types but they differ.",
        "the output of true_fun at path ['a'] has type float32[2] but the corresponding output of "
        "false_fun has type int32[2], from true_fun (in_dict at FILE) and false_fun "
        "(in_dict_as_integer at FILE)",
        "revise true_fun and/or false_fun so that all output types match, e.g. with .astype(...).",
    ),
    "switch on a float": (
        lambda: lax.switch(0.5, [one], 1.0),
        TypeError,
        "Index type must be an integer, got float32.",
        "0.5",
        "use cond for a bool, or convert with .astype(int).",
    ),
    "switch of nothing": (
        lambda: lax.switch(0, [], 1.0),
        ValueError,
        "Empty branch sequence.",
        "[]",
        "give at least one function.",
    ),
    "switch of no functions": (
        lambda: lax.switch(0, 3, 1.0),
        TypeError,
        "lax.switch: branches argument should be a sequence of callables.",
        "3",
        "give a list of functions; their operands come behind it.",
    ),
    "switch of two structures": (
        lambda: lax.switch(0, [one, two], 1.0),
        TypeError,
        "switch branch outputs must have the same pytree structure, but they differ.",
        f"{LEAF} and {PAIR} from branch 0 (one at FILE) and branch 1 (two at FILE)",
        "revise branch 0 and/or branch 1 so that they return the same containers.",
    ),
    "map in batches of none": (
        lambda: lax.map(one, X, batch_size=0),
        ValueError,
        "lax.map: batch_size must be a positive integer.",
        "batch_size=0",
        "leave it out to take one element at a time.",
    ),
    "associative_scan of no function": (
        lambda: lax.associative_scan(3, X),
        TypeError,
        "lax.associative_scan: fn argument should be callable.",
        "a value of type int",
        "give a function of two arguments first, then the elements.",
    ),
    "associative_scan of two lengths": (
        lambda: lax.associative_scan(lambda a, b: a, (jnp.zeros(3), jnp.zeros(4))),
        ValueError,
        "Array inputs to associative_scan must have the same first dimension. (saw: [(3,), (4,)])",
        "f32[3], f32[4]",
        "give arrays of one length along the axis.",
    ),
    "a linear system of another dtype": (
        lambda: lax.custom_linear_solve(lambda x: x.astype(int), X, lambda m, b: b),
        TypeError,
        "matvec() output must have the structure, shapes and dtypes of b.",
        f"i32[2] in {LEAF}, for f32[2] in {LEAF}",
        "let matvec give what b is.",
    ),
    "a linear system that cannot be transposed": (
        lambda: pb.grad(
            lambda a: lax.custom_linear_solve(lambda x: a * x, 1.0, lambda m, b: b / m(1.0))
        )(2.0),
        TypeError,
        "transpose_solve required for backwards mode automatic differentiation of "
        "custom_linear_solve.",
        "a solver for matvec(x) = b only",
        "give transpose_solve=, or symmetric=True for a symmetric system.",
    ),
    "a root of another structure": (
        lambda: lax.custom_root(one, 1.0, lambda f, x: (x, x), lambda g, y: y),
        TypeError,
        "solve() output must have the structure, shapes and dtypes of initial_guess.",
        f"f32[] in {PAIR}, for f32[] in {LEAF}",
        "let solve give what initial_guess is.",
    ),
    "a name that no axis has": (
        lambda: pb.vmap(lambda x: lax.psum(x, "j"), axis_name="i")(X),
        NameError,
        "unbound axis name: j",
        "the names in scope are 'i'",
        "call the function under vmap(..., axis_name='j').",
    ),
    "a permutation with two sources": (
        lambda: pb.vmap(lambda x: lax.ppermute(x, "i", [(0, 1), (1, 1)]), axis_name="i")(X),
        ValueError,
        "ppermute sources and destinations must be unique, and places on the axis.",
        "perm=[(0, 1), (1, 1)] on an axis of length 2",
        "name each place at most once as a source and once as a target.",
    ),
}


def one(x):
    return x


def two(x):
    return x, x


def in_dict(x):
    return {"a": x}


def in_dict_as_integer(x):
    return {"a": x.astype(int)}


def body_giving_text(c, x):
    return c, "a"


@pytest.mark.parametrize("name", MISTAKES)
def test_the_whole_message(name):
    mistake, kind, what, got, fix = MISTAKES[name]
    with pytest.raises(kind) as caught:
        mistake()
    text = re.sub(r" at \S+:\d+", " at FILE", str(caught.value))
    first, where, last = re.fullmatch(
        r"(.*)\n  Where: (.*?)\n  (Fix: .*)", text, re.DOTALL
    ).groups()
    assert first == f"{what}\n  Got: {got}"
    assert last == f"Fix: {fix}"
    assert where.startswith(__file__)


def test_a_value_in_a_loop_is_named():
    with pytest.raises(TypeError, match=re.escape("the value of argument carry['w']")):
        lax.scan(carry_as_bool, {"w": 1.0}, X)
    with pytest.raises(TypeError, match=r"fori_loop of named.*the value of argument i"):
        lax.fori_loop(0, 3, named, 1.0)


def carry_as_bool(carry, x):
    return (carry if carry["w"] else x), None


def named(i, x):
    return x + float(i)
