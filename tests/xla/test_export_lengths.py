"""pullback.export: lengths of axes that are expressions."""

from __future__ import annotations

import numpy as np
import pytest
from comparing import same

import pullback
import pullback.numpy as jnp
from pullback import export
from pullback.exported_shapes import Length, parsed

pytest.importorskip("jaxlib", reason="exporting needs jaxlib")
pytest.importorskip("flatbuffers", reason="exporting needs flatbuffers")

X = np.ones((3, 3), np.float32)


@pytest.mark.parametrize(
    ("text", "shown", "value"),
    [
        ("b", "b", 7),
        ("2*b+1", "2*b + 1", 15),
        ("b^2 - a*b", "-a*b + b^2", 35),
        ("floordiv(b, 2) + mod(b, 4)", "floordiv(b, 2) + mod(b, 4)", 6),
        ("max(b, 9) - min(a, b)", "max(b, 9) - min(a, b)", 7),
        ("non_negative(a - b)", "non_negative(a - b)", 0),
        ("(a + b)*(a - b)", "a^2 - b^2", -45),
        ("4*b // 2", "2*b", 14),
        ("a*b // b", "a", 2),
        ("-b + 3", "-b + 3", -4),
    ],
)
def test_expressions(text, shown, value):
    length = parsed(text, None)
    assert isinstance(length, Length) and str(length) == shown
    assert length.at({"a": 2, "b": 7}) == value
    assert parsed(shown, None) == length and hash(parsed(shown, None)) == hash(length)


def test_lengths_compute_and_compare():
    a, b, four = export.symbolic_shape("a, b, 4")
    assert four == 4 and export.is_symbolic_dim(a) and not export.is_symbolic_dim(four)
    assert str((a + 1) * b - 2) == "a*b + b - 2" and a - a == 0 and 2 - b == -b + 2
    assert (6 * a) % 3 == 0 and str(a % 3) == "mod(a, 3)"
    assert a // 2 >= 0 and a % 3 < 3 and (a + 4) % 3 + a // 7 >= 0 and parsed("max(a, 5)", None) > 4
    assert parsed("min(a, 5)", None) <= 5 and parsed("2 - non_negative(a - 3)", None) <= 2
    assert parsed("-floordiv(a - 9, 2)*2", None) <= 8
    assert a >= 1 and a + b > 1 and not a < 1 and -a <= -1 and a != b and a == a
    for unknown in (lambda: a > 1, lambda: a >= b, lambda: int(a), lambda: range(a)):
        with pytest.raises(pullback.errors.InconclusiveDimensionOperation, match="inconclusive"):
            unknown()


def test_shapes_from_text():
    shape = export.symbolic_shape
    assert str(shape("(b, 2*b, _)", like=(1, 2, 3))) == "(b, 2*b, 3)"
    assert str(shape("b, ...", like=(1, 2, 3))) == "(b, 2, 3)"
    assert shape("") == shape("()") == () and shape(None, like=(1, 2)) == (1, 2)
    assert str(shape("(a + 1)*2, b")) == "(2*a + 2, b)" and str(shape("(b)")) == "(b,)"
    specs = export.symbolic_args_specs((X, {"a": X, "b": X}), ("b, ...", {"a": None, "b": "_, c"}))
    assert str([s.shape for s in pullback.tree.leaves(specs)]) == "[(b, 3), (3, 3), (3, c)]"
    scope = export.SymbolicScope(["a >= b", "a <= 8"])
    assert scope.allows({"a": 8, "b": 8}) and not scope.allows({"a": 9, "b": 1})
    wrong = [
        lambda: shape("b, ..."),
        lambda: shape("b, c", like=(1,)),
        lambda: shape("b c"),
        lambda: shape("(b, c"),
        lambda: shape("exec('1')"),
        lambda: shape("b.c"),
        lambda: export.SymbolicScope(["a > b"]),
        lambda: export.SymbolicScope("a >= b"),
    ]
    for mistake in wrong:
        with pytest.raises(ValueError, match=r"export: a symbolic \w+ cannot be read"):
            mistake()
    with pytest.raises(ValueError, match="constraints belong to a new scope"):
        shape("a", scope=scope, constraints=["a >= 2"])


def of_rows(n):
    return np.random.default_rng(n).standard_normal((n, 4), np.float32)


W = np.random.default_rng(9).standard_normal((4, 3), np.float32)
OPEN = {
    "elementwise": lambda x, w: (jnp.sin(x) + 1, jnp.where(x > 0, x, 0), pullback.nn.gelu(x)),
    "products": lambda x, w: (x @ w + jnp.ones(3), (x @ w) @ (x @ w).T, jnp.einsum("bi,ij", x, w)),
    "sums": lambda x, w: (x.sum(), x.mean(0), x.max(0), x.std(), jnp.argmax(x, 1)),
    "shapes": lambda x, w: (x.reshape(-1), x.reshape(x.shape[0], 2, 2), x.T, jnp.split(x, 2, 1)),
    "makers": lambda x, w: (jnp.ones((x.shape[0] + 2, 3)), jnp.zeros_like(x), jnp.full(x.shape, 2)),
    "parts": lambda x, w: (x[1:], x[:-1], x[:, 1:3], x[-1], jnp.pad(x, ((0, 1), (2, 0)))),
    "together": lambda x, w: (jnp.concatenate([x, x]), jnp.stack([x, x])),
    "indices": lambda x, w: (w[jnp.argmax(x, 1)], pullback.nn.one_hot(jnp.argmax(x, 1), 4)),
    "order": lambda x, w: (jnp.sort(x, 0), pullback.nn.softmax(x, 0)),
    "vmap": lambda x, w: pullback.vmap(lambda row: row @ w)(x),
    "loss": lambda x, w: pullback.value_and_grad(lambda w: jnp.mean(jnp.tanh(x @ w) ** 2))(w),
    "slope": lambda x, w: pullback.grad(lambda x: (x[:, 1:] ** 2).sum() + x.mean())(x),
    "convolution": lambda x, w: pullback.lax.conv(
        x.reshape(-1, 1, 2, 2), jnp.ones((3, 1, 2, 2)), (1, 1), "SAME"
    ),
}


@pytest.mark.parametrize("name", OPEN)
def test_a_program_of_an_open_length(name):
    f = OPEN[name]
    x = pullback.ShapeDtypeStruct(export.symbolic_shape("b, 4"), "float32")
    e = export.deserialize(export.export(pullback.jit(f))(x, W).serialize())
    assert e.uses_global_constants and str(e.in_avals[0]) == "f32[b,4]"
    for n in (1, 5):
        same(e.call(of_rows(n), W), f(jnp.asarray(of_rows(n)), W))


def test_open_lengths_are_compared():
    scope = export.SymbolicScope(["a >= b", "b <= 7"])
    shapes = [export.symbolic_shape(s, scope=scope) for s in ("a, 4", "2*b + 1, 4")]
    x, y = (pullback.ShapeDtypeStruct(s, "float32") for s in shapes)

    def f(x, y):
        return x @ y.T, jnp.concatenate([x, y]), jnp.ones(x.shape[0] // 2 + y.shape[0] % 3)

    e = export.export(pullback.jit(f))(x, y)
    shown = "[a,2*b + 1]", "[a + 2*b + 1,4]", "[floordiv(a, 2) + mod(2*b + 1, 3)]"
    assert tuple(t.str_short() for t in e.out_avals) == tuple(f"f32{s}" for s in shown)
    e = export.deserialize(e.serialize(vjp_order=1))
    args = of_rows(6), of_rows(5)
    same(list(e.call(*args)), [*f(*map(jnp.asarray, args))[:2], jnp.ones(5)])
    found = pullback.grad(lambda x: e.call(x, args[1])[0].sum())(args[0])
    same(found, pullback.grad(lambda x: f(x, args[1])[0].sum())(args[0]))
    wrong = [
        ((2, 7), "the condition a >= b is not met: 2 and 3"),
        ((9, 17), "the condition b <= 7 is not met: 8 and 7"),
        ((9, 6), r"an axis is of length 6, and has to be of length 2\*b \+ 1 = 5"),
        ((9, 1), "b is 0, and has to be 1 or more"),
    ]
    for rows, text in wrong:
        with pytest.raises(ValueError, match=f"^Input shapes do not match: {text}"):
            e.call(*map(of_rows, rows))


def test_what_needs_the_value_of_an_open_length():
    x = pullback.ShapeDtypeStruct(export.symbolic_shape("b, 4"), "float32")
    cases = [
        lambda x: pullback.lax.scan(lambda c, row: (c + row, c), x[0], x),
        lambda x: jnp.cumsum(x, 0),
        lambda x: x[::-1],
        lambda x: x[:2],
        lambda x: x + jnp.ones((3, 4)) if x.shape[0] > 2 else x,
    ]
    for f in cases:
        with pytest.raises(pullback.errors.InconclusiveDimensionOperation, match="inconclusive"):
            export.export(pullback.jit(f))(x)
    other = pullback.ShapeDtypeStruct(export.symbolic_shape("c, 4"), "float32")
    with pytest.raises(ValueError, match="of the arguments are of several scopes"):
        export.export(pullback.jit(lambda x, y: x))(x, other)
    square = pullback.ShapeDtypeStruct(export.symbolic_shape("b*b"), "float32")
    with pytest.raises(NotImplementedError, match="which is not that of an axis of an argument"):
        export.export(pullback.jit(jnp.sin))(square)


def test_a_shape_that_is_no_text():
    text = r'shape cannot be read[^$]*Got: 3[^$]*give a string such as "b, 4"'
    with pytest.raises(ValueError, match=text):
        export.symbolic_shape(3)
