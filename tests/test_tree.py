"""Trees: tree_util against that of the real JAX, and classes registered in each way."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import pprint
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import peer
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import tree, tree_util

needs_jax = pytest.mark.skipif(not peer.INSTALLED, reason="the real JAX is not installed")


class Point(NamedTuple):
    x: Any
    y: Any


TREES = {
    "a leaf": 1,
    "none": None,
    "an array": np.ones(2),
    "a string": "text",
    "an empty tuple": (),
    "an empty list": [],
    "an empty dict": {},
    "a tuple": (1, 2),
    "a list of nones": [None, 1, None],
    "a dict out of order": {"b": 1, "a": 2, "c": (3, None)},
    "a dict of numbers": {2: "two", 1: "one"},
    "nested": {"a": [1, (2, {"b": 3})], "c": None},
    "a namedtuple": Point(1, [2, 3]),
    "an ordered dict": collections.OrderedDict([("b", 1), ("a", 2)]),
    "a default dict": collections.defaultdict(list, {"a": [2], "b": 1}),
    "namedtuples in dicts": {"p": Point({"q": 1}, None), "o": Point((), 2)},
}


def theirs():
    import jax

    return jax.tree_util


def text(t):
    """repr with dicts sorted: JAX sorts the dicts that it builds, optree keeps their order."""
    return pprint.pformat(t)


@needs_jax
@pytest.mark.parametrize("name", TREES)
def test_leaves_structure_and_paths_are_those_of_jax(name):
    t, ju = TREES[name], theirs()
    leaves, treedef = tree_util.tree_flatten(t)
    their_leaves, their_treedef = ju.tree_flatten(t)
    assert leaves == their_leaves
    assert treedef.num_leaves == their_treedef.num_leaves
    rebuilt = tree_util.tree_unflatten(treedef, leaves)
    assert type(rebuilt) is type(t)
    assert text(rebuilt) == text(ju.tree_unflatten(their_treedef, their_leaves))
    paths = [tree_util.keystr(p) for p, _ in tree_util.tree_leaves_with_path(t)]
    assert paths == [ju.keystr(p) for p, _ in ju.tree_leaves_with_path(t)]
    simple = [
        tree_util.keystr(p, simple=True, separator="/")
        for p, _ in tree_util.tree_leaves_with_path(t)
    ]
    assert simple == [
        ju.keystr(p, simple=True, separator="/") for p, _ in ju.tree_leaves_with_path(t)
    ]


@needs_jax
@pytest.mark.parametrize("name", TREES)
def test_keys_have_the_classes_and_attributes_of_jax(name):
    ours = tree_util.tree_leaves_with_path(TREES[name])
    for (path, _), (their_path, _) in zip(
        ours, theirs().tree_leaves_with_path(TREES[name]), strict=True
    ):
        assert [type(k).__name__ for k in path] == [type(k).__name__ for k in their_path]
        assert [vars(k) for k in path] == [
            {n: getattr(k, n) for n in ("idx", "key", "name") if hasattr(k, n)} for k in their_path
        ]


@needs_jax
def test_structures_are_equal_where_those_of_jax_are():
    ju = theirs()
    for (a, x), (b, y) in itertools.product(TREES.items(), repeat=2):
        ours = tree.structure(x) == tree.structure(y)
        assert ours == (ju.tree_structure(x) == ju.tree_structure(y)), (a, b)


@needs_jax
@pytest.mark.parametrize("name", TREES)
def test_map_reduce_and_all(name):
    t, ju = TREES[name], theirs()
    assert text(tree.map(lambda x: (x, x), t)) == text(ju.tree_map(lambda x: (x, x), t))
    assert text(tree.map(lambda x, y: [x, y], t, t)) == text(ju.tree_map(lambda x, y: [x, y], t, t))
    joined = tree.reduce(lambda acc, x: f"{acc} {x}", t, "")
    assert joined == ju.tree_reduce(lambda acc, x: f"{acc} {x}", t, "")

    ours = tree.map_with_path(lambda p, x: tree_util.keystr(p) + str(x), t)
    assert text(ours) == text(ju.tree_map_with_path(lambda p, x: ju.keystr(p) + str(x), t))
    if name != "an array":
        assert tree.all(t) == ju.tree_all(t)


@needs_jax
def test_is_leaf():
    t, ju = {"a": [1, None], "b": (2, [3])}, theirs()
    for is_leaf in (
        lambda x: x is None,
        lambda x: isinstance(x, list),
        lambda x: isinstance(x, (dict, tuple)),
    ):
        assert tree.leaves(t, is_leaf) == ju.tree_leaves(t, is_leaf)
        ours = tree.map(str, t, is_leaf=is_leaf)
        assert ours == ju.tree_map(str, t, is_leaf=is_leaf)
    ours = tree.leaves_with_path(t, lambda path, x: len(path) == 1, is_leaf_takes_path=True)
    assert [x for _, x in ours] == [[1, None], (2, [3])]


@needs_jax
def test_transpose_and_broadcast():
    ju = theirs()
    t = [{"a": 1, "b": (2, 3)}, {"a": 4, "b": (5, 6)}]
    outer, inner = tree.structure([0, 0]), tree.structure({"a": 0, "b": (0, 0)})
    want = ju.tree_transpose(ju.tree_structure([0, 0]), ju.tree_structure(t[0]), t)
    assert tree.transpose(outer, inner, t) == want == {"a": [1, 4], "b": ([2, 5], [3, 6])}
    assert tree.transpose(outer, None, t) == want
    assert tree.broadcast({"a": 1, "b": 2}, t[0]) == {"a": 1, "b": (2, 2)}


def test_reduce_associative_pairs_first():
    assert tree.reduce_associative(lambda a, b: f"({a}{b})", list("abcde")) == "(((ab)(cd))e)"
    assert tree.reduce_associative(max, [], identity=0) == 0
    with pytest.raises(TypeError, match="needs an identity"):
        tree.reduce_associative(max, [])


def test_structures_have_parts():
    treedef = tree.structure({"a": (1, 2), "b": None})
    assert tree_util.treedef_children(treedef) == [tree.structure((1, 2)), tree.structure(None)]
    assert tree_util.treedef_is_leaf(tree.structure(1))
    assert not tree_util.treedef_is_leaf(treedef)
    assert tree_util.treedef_tuple([treedef, tree.structure(0)]) == tree.structure(
        ({"a": (1, 2), "b": None}, 0)
    )
    assert tree_util.all_leaves([1, "a", np.ones(2)]) and not tree_util.all_leaves([1, (2,)])
    assert len({treedef, tree.structure({"a": (3, 4), "b": None})}) == 1


# ---- registered classes


class Node:
    """Registered with functions."""

    def __init__(self, left, right, label):
        self.left, self.right, self.label = left, right, label


tree_util.register_pytree_node(
    Node, lambda n: ((n.left, n.right), n.label), lambda label, c: Node(*c, label)
)


class Keyed:
    """Registered with keys."""

    def __init__(self, weight, bias):
        self.weight, self.bias = weight, bias


tree_util.register_pytree_with_keys(
    Keyed,
    lambda k: (
        ((tree_util.GetAttrKey("weight"), k.weight), (tree_util.DictKey("b"), k.bias)),
        None,
    ),
    lambda _, c: Keyed(*c),
)


@tree_util.register_pytree_node_class
class Decorated:
    """Registered by its methods."""

    def __init__(self, x):
        self.x = x

    def tree_flatten(self):
        return (self.x,), None

    @classmethod
    def tree_unflatten(cls, aux, children):
        return cls(*children)


@tree_util.register_pytree_with_keys_class
class DecoratedWithKeys:
    """Registered by its methods, with keys."""

    def __init__(self, x):
        self.x = x

    def tree_flatten_with_keys(self):
        return ((tree_util.GetAttrKey("x"), self.x),), None

    @classmethod
    def tree_unflatten(cls, aux, children):
        return cls(*children)


@tree_util.register_dataclass
@dataclass
class Model:
    """Fields are data unless they are static."""

    w: Any
    b: Any
    power: int = field(metadata={"static": True}, default=2)


@partial(tree_util.register_dataclass, data_fields=["w"], meta_fields=["name"])
@dataclass(frozen=True)
class Named:
    """Fields by name."""

    w: Any
    name: str


@tree_util.register_static
class Mode(str):
    """A string that is part of the structure."""


def registered():
    """An instance of each class, and the paths to its leaves."""
    return [
        (
            Node(1.0, [2.0, 3.0], "n"),
            ["[<flat index 0>]", "[<flat index 1>][0]", "[<flat index 1>][1]"],
        ),
        (Keyed(1.0, 2.0), [".weight", "['b']"]),
        (Decorated({"a": 1.0}), ["[<flat index 0>]['a']"]),
        (DecoratedWithKeys((1.0, 2.0)), [".x[0]", ".x[1]"]),
        (Model(1.0, (2.0, 3.0), 5), [".w", ".b[0]", ".b[1]"]),
        (Named(1.0, "layer"), [".w"]),
        (tree_util.Partial(max, 1.0, key=2.0), None),
        (Mode("train"), []),
    ]


@pytest.mark.parametrize("case", registered(), ids=lambda c: type(c[0]).__name__)
def test_registered_class(case):
    x, paths = case
    if paths is not None:
        assert [tree_util.keystr(p) for p, _ in tree.leaves_with_path(x)] == paths
    leaves, treedef = tree.flatten(x)
    again = tree.unflatten(treedef, leaves)
    assert type(again) is type(x)
    assert tree.structure(again) == treedef
    assert tree.leaves(tree.map(lambda v: v + 1, x)) == [v + 1 for v in leaves]


@pytest.mark.parametrize("case", registered(), ids=lambda c: type(c[0]).__name__)
def test_registered_class_through_transformations(case):
    x, _ = case
    doubled = pb.jit(lambda t: tree.map(lambda v: 2 * v, t))(x)
    assert type(doubled) is type(x)
    assert tree.leaves(doubled) == [2 * v for v in tree.leaves(x)]

    def loss(t):
        return sum((v**2 for v in tree.leaves(t)), 0.0 * jnp.ones(()))

    gradient = pb.grad(loss)(x)
    assert tree.structure(gradient) == tree.structure(x)
    assert tree.leaves(gradient) == [2 * v for v in tree.leaves(x)]
    if tree.leaves(x):
        stacked = tree.map(lambda v: jnp.array([v, 3 * v]), x)
        mapped = pb.vmap(pb.grad(loss))(stacked)
        for g, v in zip(tree.leaves(mapped), tree.leaves(x), strict=True):
            np.testing.assert_allclose(g, [2 * v, 6 * v])
        _, dots = pb.jvp(loss, (x,), (x,))
        np.testing.assert_allclose(dots, 2 * sum(v**2 for v in tree.leaves(x)))


def test_a_static_field_makes_a_program_of_its_own():
    traced = []

    @pb.jit
    def f(m):
        traced.append(m.power)
        return m.w**m.power

    assert float(f(Model(3.0, 0.0, 2))) == 9.0
    assert float(f(Model(2.0, 0.0, 2))) == 4.0
    assert float(f(Model(2.0, 0.0, 3))) == 8.0
    assert traced == [2, 3]
    assert pb.vmap(lambda m: m.w * m.power, in_axes=(Model(0, None, 2),))(
        Model(jnp.ones(3), jnp.ones(2), 2)
    ).shape == (3,)


def test_partial_is_a_container():
    p = tree_util.Partial(lambda x, y, z: x * y + z, 2.0, z=1.0)
    assert tree.leaves(p) == [2.0, 1.0]
    assert float(pb.jit(lambda f, y: f(y))(p, 3.0)) == 7.0
    gradient = pb.grad(lambda f: f(3.0))(p)
    assert (float(gradient.args[0]), float(gradient.keywords["z"])) == (3.0, 1.0)


def test_a_method_of_a_registered_class_can_be_jitted():
    @tree_util.register_dataclass
    @dataclass
    class Line:
        a: Any
        b: Any

        @pb.jit
        def at(self, x):
            return self.a * x + self.b

    line = Line(2.0, 1.0)
    assert float(line.at(3.0)) == 7.0
    g = pb.grad(lambda m: m.at(3.0))(line)
    assert (float(g.a), float(g.b)) == (3.0, 1.0)


def test_dropped_fields_get_their_defaults():
    @dataclass
    class Cached:
        x: Any
        memory: dict = field(default_factory=dict, init=False)

    tree_util.register_dataclass(Cached, ["x"], [], drop_fields=["memory"])
    c = Cached(1.0)
    c.memory["key"] = 1
    assert tree.map(lambda v: v, c).memory == {}


# ---- mistakes

LISTS = ([1, 2], [1, 2, 3])


@pytest.mark.parametrize(
    ("do", "kind", "text"),
    [
        (lambda: tree.map(lambda x, y: x, *LISTS), ValueError, "do not have the same structure"),
        (lambda: tree.map(lambda x, y: x, {"a": 1}, {"b": 1}), ValueError, "'b'"),
        (lambda: tree.map(lambda x, y: x, (1,), [1]), ValueError, "same containers"),
        (
            lambda: tree.unflatten(tree.structure((1, 2)), [1]),
            ValueError,
            "Too few leaves for PyTreeDef",
        ),
        (lambda: tree.unflatten(tree.structure((1, 2)), [1, 2, 3]), ValueError, "Too many leaves"),
        (
            lambda: tree_util.register_pytree_node(Node, lambda n: n, lambda a, c: c),
            ValueError,
            "register each class once",
        ),
        (
            lambda: tree_util.register_pytree_node(list, lambda n: n, lambda a, c: c),
            ValueError,
            "cannot be registered as a pytree",
        ),
        (
            lambda: tree_util.register_dataclass(Decorated, ["x"]),
            (TypeError, ValueError),
            "meta_fields",
        ),
        (
            lambda: tree_util.register_dataclass(
                dataclasses.make_dataclass("Two", ["x", "y"]), ["x"], []
            ),
            ValueError,
            "must name the init fields",
        ),
        (
            lambda: tree.transpose(tree.structure([0, 0]), tree.structure({"a": 0}), [{"a": 1}]),
            TypeError,
            "the tree does not have the inner structure",
        ),
    ],
    ids=lambda v: v if isinstance(v, str) else None,
)
def test_mistake(do, kind, text):
    with pytest.raises(kind) as caught:
        do()
    message = str(caught.value)
    assert text in message
    assert "\n  Got: " in message and "\n  Fix: " in message


@needs_jax
def test_dicts_whose_keys_cannot_be_ordered():
    # optree keeps such a dict in its own order; JAX refuses it.
    assert tree.leaves({1: "a", "b": 2}) == ["a", 2]
    with pytest.raises(ValueError):
        theirs().tree_leaves({1: "a", "b": 2})


@pytest.mark.parametrize("rebuilt", ["map", "jit", "grad", "vmap", "scan"])
def test_dicts_are_rebuilt_in_the_order_of_their_leaves(rebuilt):
    tree = {"b": jnp.ones(2), "a": {"d": jnp.ones(2), "c": jnp.ones(2)}}

    def total(t):
        return jnp.sum(t["b"] * t["a"]["d"] * t["a"]["c"])

    out = {
        "map": lambda: pb.tree.map(lambda x: x, tree),
        "jit": lambda: pb.jit(lambda t: t)(tree),
        "grad": lambda: pb.grad(total)(tree),
        "vmap": lambda: pb.vmap(lambda t: t)(tree),
        "scan": lambda: pb.lax.scan(lambda c, x: (c, x), 0, tree)[1],
    }[rebuilt]()
    assert list(out) == ["a", "b"] and list(out["a"]) == ["c", "d"]


@pytest.mark.parametrize("transform", [pb.jit, pb.vmap, pb.jacfwd, pb.jacrev])
def test_a_function_sees_dicts_in_the_order_of_their_leaves(transform):
    seen = []
    transform(lambda t: (seen.append(list(t)), t["a"] * t["b"])[1])(
        {"b": jnp.ones(2), "a": jnp.ones(2)}
    )
    assert seen == [["a", "b"]]


@needs_jax
@pytest.mark.parametrize("vector", [np.arange(3), np.ones(3, np.float16), np.ones(3, np.complex64)])
def test_unravel_keeps_the_dtype_of_the_vector_where_all_leaves_have_one(vector):
    import jax.flatten_util
    from jax.tree_util import tree_leaves

    from pullback.flatten_util import ravel_pytree

    tree = {"a": np.ones(2, np.float32), "b": 3.0}
    ours = tree_util.tree_leaves(ravel_pytree(tree)[1](vector))
    theirs = tree_leaves(jax.flatten_util.ravel_pytree(tree)[1](vector))
    for x, y in zip(ours, theirs, strict=True):
        assert (x.dtype, x.weak_type) == (y.dtype, y.weak_type)
        np.testing.assert_array_equal(x, y)
    with pytest.raises(TypeError, match="does not fit the tree"):
        ravel_pytree({"a": np.ones(2, np.float32), "b": 3})[1](np.ones(3, np.complex64))
