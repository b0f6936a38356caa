"""draw: programs, gradients and residuals as SVG."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, minimize

import pullback as pb
import pullback.numpy as jnp
from pullback import lax
from pullback.core.program import Literal
from pullback.debug.drawing.graph import Names, graph_of
from pullback.debug.drawing.layout import GAP, _apart, laid_out

SVG = "{http://www.w3.org/2000/svg}"


def parsed(drawing):
    """The drawing as a tree, which checks that it is well-formed XML."""
    return ET.fromstring(drawing.svg)


def boxes(drawing, kind=None):
    """(kind, label, tooltip) of the boxes."""
    found = []
    for g in parsed(drawing).iter(f"{SVG}g"):
        rect = g.find(f"{SVG}rect")
        title = g.find(f"{SVG}title")
        if rect is not None and title is not None:
            found.append((rect.get("class"), g.find(f"{SVG}text").text, title.text or ""))
    return [b for b in found if kind in (None, b[0])]


def edges(drawing, kind):
    return [p for p in parsed(drawing).iter(f"{SVG}path") if p.get("class") == kind]


def loss(params, x):
    h = jnp.tanh(x @ params["w"] + params["b"])  # hidden layer
    return jnp.mean(h**2)


PARAMS = {"w": jnp.ones((4, 8)), "b": jnp.ones(8)}
X = jnp.ones((5, 4))


def test_every_operation_is_a_box_and_every_use_an_edge():
    drawing = pb.draw(loss)(PARAMS, X)
    program = pb.make_jaxpr(loss)(PARAMS, X)
    labels = [label.split()[0] for _, label, _ in boxes(drawing, "op")]
    assert sorted(labels) == sorted(eq.primitive.name for eq in program.eqns)
    assert drawing.operations == len(program.eqns) and drawing.hidden == 0
    assert [label for _, label, _ in boxes(drawing, "input")] == ["params['b']", "params['w']", "x"]
    assert [label for _, label, _ in boxes(drawing, "output")] == ["out"]
    maker = {v: i for i, eq in enumerate(program.eqns) for v in eq.outvars}
    uses = {
        (maker.get(a, a), i)
        for i, eq in enumerate(program.eqns)
        for a in eq.invars
        if not isinstance(a, Literal)
    }
    assert len(edges(drawing, "data")) == len(uses) + len(program.outvars)
    assert pb.draw is pb.debug.draw


def test_tooltips_tell_the_equation_and_the_users_line():
    with open(__file__, encoding="utf-8") as file:
        number = next(i for i, line in enumerate(file, 1) if line.endswith("# hidden layer\n"))
    place = f"{__file__}:{number} (loss)"
    titles = {label: title for _, label, title in boxes(pb.draw(loss)(PARAMS, X))}
    assert titles["tanh"].endswith(f"\nat {place}")
    assert re.match(r"b:f32\[5,8\] = tanh a\n", titles["tanh"])
    for f in (loss, pb.jit(loss)):
        drawing = pb.draw(f, grad=True, collapse=False)(PARAMS, X)
        backward = [t for kind, _, t in boxes(drawing) if kind == "backward"]
        assert backward and all("\nin the backward pass of " in t for t in backward)
        assert sum(t.endswith(place) for t in backward) >= 3  # two products and tanh


def test_the_gradient_shows_residuals():
    drawing = pb.draw(lambda x, y: jnp.sum(jnp.sin(x) * y), grad=True)(jnp.ones(3), jnp.ones(3))
    # sin(x) for y, y for sin(x), and cos(x)
    assert drawing.residuals == 3 and drawing.residual_bytes == 36
    found = edges(drawing, "residual")
    assert len(found) == 3
    titles = [e.find(f"{SVG}title").text for e in found]
    assert sorted(t.split(" of ")[1].split("\n")[0] for t in titles) == ["cos", "sin", "y"]
    assert "3 residuals, 36 bytes" in drawing.svg
    labels = {label for _, label, _ in boxes(drawing)}
    assert {"ct out", "d x", "d y"} <= labels
    assert pb.draw(lambda x: 2.0 * x, grad=True)(1.0).residuals == 0


def test_what_a_gradient_keeps_is_what_its_pullback_holds():
    def f(x):
        return jnp.sum(jnp.exp(jnp.sin(x) * x) + jnp.log(x))

    x = jnp.arange(1.0, 6.0)
    _, pulled = pb.vjp(f, x)
    arrays = {id(a) for a in pb.tree.leaves(pulled) if a.size == 5}
    drawing = pb.draw(f, grad=True)(x)
    assert drawing.residuals == len(arrays)
    assert drawing.residual_bytes == 20 * len(arrays)


def test_names_of_outputs_and_of_integer_arguments():
    def f(x, n, *, scale):
        return {"a": x[n] * scale, "b": (n, x)}

    drawing = pb.draw(f, grad=True)(jnp.ones(3), 1, scale=2.0)
    labels = [label for _, label, _ in boxes(drawing)]
    assert {"out['a']", "out['b'][0]", "out['b'][1]"} <= set(labels)
    assert {"ct out['a']", "ct out['b'][1]", "d x", "d ['scale']"} <= set(labels)
    assert "ct out['b'][0]" not in labels and "d n" not in labels


# ---- programs inside


def nested(x):
    step = pb.jit(lambda c, a: (jnp.sin(c * a), c))
    y = lax.scan(lambda c, a: step(c, a), x, jnp.ones(7))[0]
    return pb.jit(jnp.cos)(y) + lax.cond(x > 0, jnp.tanh, lambda x: -x, x)


def test_calls_are_one_box_or_opened():
    closed = pb.draw(nested)(2.0)
    calls = {label for _, label, _ in boxes(closed, "call")}
    assert calls == {"scan ×7", "cond of 2", "jit cos"}
    assert not [b for b in boxes(closed) if b[1] in ("cos", "sin", "neg", "tanh")]
    opened = pb.draw(nested, collapse=False)(2.0)
    labels = {label for _, label, _ in boxes(opened)}
    assert {"cos", "sin", "mul", "neg", "tanh", "scan ×7", "cond of 2"} <= labels
    assert "jit cos" not in labels
    heads = [t.text for t in parsed(opened).iter(f"{SVG}text") if t.get("class") == "head"]
    assert [h.split(",")[0] for h in heads[1:]] == [
        "body of scan",
        "branch 0 of cond",
        "branch 1 of cond",
    ]
    assert opened.operations > closed.operations
    gradient = pb.draw(nested, grad=True, collapse=False)(2.0)
    assert {"cos", "sin", "neg"} <= {label for _, label, _ in boxes(gradient)}


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: x,
        lambda x: jnp.zeros(3),
        lambda x: (),
        pb.vmap(lambda x: lax.while_loop(lambda c: c < 9, lambda c: c * 2, x)),
        pb.jit(pb.grad(lambda x: jnp.sum(jnp.sort(x) ** 3))),
        lambda x: jnp.linalg.solve(jnp.outer(x, x) + jnp.eye(3), x),
        pb.checkpoint(lambda x: jnp.sin(x)),
        lambda x: x + np.arange(1.0, 4.0, dtype=np.float32),
    ],
)
def test_any_program(f, grad):
    for collapse in (True, False):
        if grad and "while" in str(pb.make_jaxpr(f)(jnp.ones(3))):
            continue  # under a recording its derivative is another question
        parsed(pb.draw(f, grad=grad, collapse=collapse)(jnp.ones(3)))


def test_types_are_enough():
    t = pb.ShapeDtypeStruct((3, 3), jnp.float32)
    assert pb.draw(lambda x: x @ x, grad=True)(t).residual_bytes == 36


# ---- large programs


def long(x):
    for i in range(500):
        x = jnp.sin(x) + float(i)
    return x


def test_of_large_programs_the_middle_is_left_out():
    drawing = pb.draw(long, max_nodes=20)(2.0)
    assert drawing.operations == 1000 and drawing.hidden == 980
    assert len(boxes(drawing, "op")) == 20
    ((_, label, _),) = boxes(drawing, "hidden")
    assert label == "980 operations"
    assert "980 of 1,000 operations are not drawn (max_nodes=20)" in drawing.svg
    assert len(edges(drawing, "data")) == 22  # a chain through all boxes
    shown = {label for _, label, _ in boxes(drawing, "op")}
    assert "add · 0.0" in shown and "add · 499.0" in shown
    assert len(pb.draw(long)(2.0).svg) < 100_000
    gradient = pb.draw(long, grad=True, max_nodes=20)(2.0)
    assert gradient.residuals >= 1 and gradient.hidden == gradient.operations - 20
    assert len(boxes(gradient, "hidden")) == 2


# ---- layout


def graphs():
    rng = np.random.default_rng(0)

    def random(x):
        values = [x]
        for _ in range(60):
            a, b = rng.integers(0, len(values), 2)
            values.append(values[a] * values[b] + 1.0)
        return values[-1] + values[-2]

    for f, args in ((loss, (PARAMS, X)), (random, (2.0,)), (long, (1.0,))):
        closed = pb.make_jaxpr(f)(*args)
        inputs = [f"x{i}" for i in range(len(closed.program.invars))]
        yield graph_of(closed, Names(inputs, ["y"] * len(closed.program.outvars)), 100)


@pytest.mark.parametrize("reverse", [False, True])
def test_edges_go_one_way_and_boxes_stand_apart(reverse):
    for graph in graphs():
        routes, width, height = laid_out(graph, reverse)
        assert set(routes) == set(graph.edges)
        for path in routes.values():
            ys = [n.y for n in path]
            assert ys == sorted(set(ys), reverse=reverse)
        rows = {}
        for node in graph.nodes:
            assert node.width / 2 - 0.1 <= node.x <= width - node.width / 2 + 0.1
            assert node.height / 2 <= node.y <= height - node.height / 2
            rows.setdefault(node.y, []).append(node)
        for row in rows.values():
            row.sort(key=lambda n: n.x)
            for a, b in pairwise(row):
                assert b.x - a.x >= (a.width + b.width) / 2 + GAP - 1e-6


def test_places_in_a_layer_are_the_best():
    rng = np.random.default_rng(3)
    for n in (1, 2, 5, 9):
        wishes, least = rng.normal(size=n) * 20, rng.uniform(1, 10, n - 1)
        got = np.array(_apart(list(wishes), list(least)))
        assert np.all(np.diff(got) >= least - 1e-9)
        constraint = LinearConstraint(np.diff(np.eye(n), axis=0), least) if n > 1 else ()
        best = minimize(
            lambda x, w=wishes: np.sum((x - w) ** 2),
            np.cumsum([0, *least]),
            jac=lambda x, w=wishes: 2 * (x - w),
            constraints=constraint,
            method="SLSQP",
        )
        np.testing.assert_allclose(got, best.x, atol=1e-3)


# ---- text and files


def test_text_is_escaped():
    def f(x):
        return x * 2

    f.__name__ = 'a < b & "c" ]]> \x00 \ud800 \''
    drawing = pb.draw(f)(1.0)
    assert next(iter(parsed(drawing))).text.startswith('a < b & "c" ]]>')
    ET.fromstring(drawing._repr_html_())
    parsed(pb.draw(lambda d: d["<&>"])({"<&>": 1.0}))


def test_files(tmp_path):
    drawing = pb.draw(loss, grad=True)(PARAMS, X)
    assert repr(drawing) == (
        f"<drawing of loss, forward and backward: {drawing.operations} operations, "
        f"{drawing.residuals} residuals>"
    )
    drawing.save(tmp_path / "a.svg")
    root = ET.parse(tmp_path / "a.svg").getroot()
    assert root.tag == f"{SVG}svg"
    assert float(root.get("width")) > 300 and float(root.get("height")) > 300
    drawing.save(str(tmp_path / "a.html"))
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>") and drawing.svg in text
    assert drawing._repr_svg_() == drawing.svg and drawing.svg in drawing._repr_html_()
    with pytest.raises(ValueError, match=r"a drawing is saved as \.svg or \.html\."):
        drawing.save(tmp_path / "a.png")


def test_mistakes():
    with pytest.raises(TypeError, match=r"draw takes a function as its first argument\."):
        pb.draw(3)
    with pytest.raises(
        ValueError, match=r"draw: max_nodes must be at least 2\.\n  Got: max_nodes=1"
    ):
        pb.draw(loss, max_nodes=1)
    with pytest.raises(TypeError, match="draw: an argument is not a valid array"):
        pb.draw(loss)("text", X)
    with pytest.raises(TypeError, match="draw: a result of the function is not a valid array"):
        pb.draw(lambda x: "text")(1.0)


def test_nothing_is_left_behind():
    pb.draw(loss, grad=True)(PARAMS, X)
    assert all(eq.source_info.line is None for eq in pb.make_jaxpr(loss)(PARAMS, X).eqns)
