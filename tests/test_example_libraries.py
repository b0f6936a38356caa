"""Optimizers against their formulas and JAX; stax against NumPy and JAX."""

from __future__ import annotations

import numpy as np
import peer
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback.core.settings import enable_x64
from pullback.example_libraries import optimizers, stax

if peer.INSTALLED:
    import jax
    from jax.example_libraries import optimizers as their_optimizers
    from jax.example_libraries import stax as their_stax

RNG = np.random.default_rng(0)

MAKERS = {
    "sgd": (0.1,),
    "momentum": (0.1, 0.9),
    "nesterov": (0.1, 0.9),
    "adagrad": (0.1,),
    "rmsprop": (0.1,),
    "rmsprop_momentum": (0.1,),
    "adam": (0.1,),
    "adamax": (0.1,),
    "sm3": (0.1,),
}
makers = pytest.mark.parametrize("name", MAKERS)
START = {"w": RNG.normal(size=(3, 2)), "b": (RNG.normal(size=4), np.float64(0.5))}
GRADIENTS = [
    {"w": RNG.normal(size=(3, 2)), "b": (RNG.normal(size=4), np.float64(-0.3))} for _ in range(4)
]


pytestmark = pytest.mark.usefixtures("x64")


def run(module, name, array, module_numpy):
    """The parameters after four steps with a schedule."""
    maker = getattr(module, name)
    _, *rest = MAKERS[name]
    schedule = module.exponential_decay(0.1, 10, 0.5)
    init, update, get_params = maker(schedule, *rest)
    tree = module_numpy.tree.map
    state = init(tree(array, START))
    for i, g in enumerate(GRADIENTS):
        state = update(i, tree(array, g), state)
    return get_params(state), state


def same(found, wanted, tolerance=1e-12):
    for a, b in zip(pb.tree.leaves(found), pb.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), tolerance, tolerance)


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
@makers
def test_optimizers_as_jax(name):
    found, _ = run(optimizers, name, jnp.asarray, pb)
    with jax.enable_x64(True):
        wanted, _ = run(their_optimizers, name, jax.numpy.asarray, jax)
        wanted = jax.tree.map(np.asarray, wanted)
    same(found, wanted)


def test_adam_by_hand():
    x, m, v = START["w"], 0.0, 0.0
    init, update, get_params = optimizers.adam(0.1, b1=0.8, b2=0.9, eps=1e-3)
    state = init(x)
    for i in range(3):
        g = GRADIENTS[i]["w"]
        state = update(i, g, state)
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g * g
        x = x - 0.1 * (m / (1 - 0.8 ** (i + 1))) / (np.sqrt(v / (1 - 0.9 ** (i + 1))) + 1e-3)
    same(get_params(state), x)


@makers
def test_optimizers_find_a_minimum_under_jit(name):
    step_size = {"adagrad": 0.5, "sm3": 0.5, "momentum": 0.05, "nesterov": 0.05}.get(name, 0.1)
    init, update, get_params = getattr(optimizers, name)(step_size, *MAKERS[name][1:])

    @pb.jit
    def step(i, state):
        return update(i, pb.grad(lambda p: jnp.sum((p["x"] - 2.0) ** 2))(get_params(state)), state)

    state = init({"x": jnp.zeros((2, 2))})
    for i in range(300):
        state = step(i, state)
    np.testing.assert_allclose(get_params(state)["x"], 2.0, atol=0.1)


def test_states_are_trees_and_can_be_packed():
    init, update, get_params = optimizers.adam(0.1)
    state = init(START)
    assert isinstance(state, optimizers.OptimizerState)
    doubled = pb.tree.map(lambda x: 2 * x, state)
    same(get_params(doubled), pb.tree.map(lambda x: 2 * x, START))
    marked = optimizers.unpack_optimizer_state(state)
    assert isinstance(marked["w"], optimizers.JoinPoint)
    again = optimizers.pack_optimizer_state(marked)
    same(update(0, GRADIENTS[0], again), update(0, GRADIENTS[0], state))
    with pytest.raises(TypeError, match="leaves are JoinPoints"):
        optimizers.pack_optimizer_state({"w": 1.0})


def test_schedules():
    i = np.arange(12)

    def values(schedule):
        return np.array([float(schedule(k)) for k in i])

    same(values(optimizers.constant(0.5)), np.full(12, 0.5))
    same(values(optimizers.exponential_decay(2.0, 4, 0.5)), 2 * 0.5 ** (i / 4))
    same(values(optimizers.inverse_time_decay(2.0, 4, 3.0)), 2 / (1 + 3 * i / 4))
    staircase = optimizers.inverse_time_decay(2.0, 4, 3.0, staircase=True)
    same(values(staircase), 2 / (1 + 3 * (i // 4)))
    decay = optimizers.polynomial_decay(1.0, 8, 0.2, power=2.0)
    same(values(decay), 0.2 + 0.8 * (1 - np.minimum(i, 8) / 8) ** 2)
    piecewise = optimizers.piecewise_constant([3, 7], [1.0, 0.5, 0.1])
    same(values(piecewise), np.where(i <= 3, 1.0, np.where(i <= 7, 0.5, 0.1)))
    assert optimizers.make_schedule(0.3)(5) == 0.3
    with pytest.raises(TypeError, match="a step size must be a number"):
        optimizers.make_schedule(np.ones(2))
    with pytest.raises(ValueError, match="one shorter than values"):
        optimizers.piecewise_constant([1], [1.0])
    with pytest.raises(ValueError, match="must be sequences"):
        optimizers.piecewise_constant(1, [1.0])


def test_norms():
    tree = {"a": np.array([3.0]), "b": np.array([4.0])}
    same(optimizers.l2_norm(tree), 5.0)
    same(optimizers.clip_grads(tree, 1.0), {"a": [0.6], "b": [0.8]})
    same(optimizers.clip_grads(tree, 10.0), tree)


def test_optimizer_errors():
    init, update, _ = optimizers.sgd(0.1)
    with pytest.raises(TypeError, match="did not match the parameter tree structure"):
        update(0, [1.0], init({"a": 1.0}))

    @optimizers.optimizer
    def growing():
        return lambda x: (x,), lambda i, g, s: (*s, g), lambda s: s[0]

    init, update, _ = growing()
    with pytest.raises(TypeError, match="did not match its input structure"):
        update(0, 1.0, init(1.0))


# ---- stax


LAYERS = {
    "dense": (lambda s: s.serial(s.Dense(5), s.Relu, s.Dense(3), s.LogSoftmax), (4, 6)),
    "functions": (
        lambda s: s.serial(
            s.Tanh, s.Exp, s.Softplus, s.Sigmoid, s.Elu, s.LeakyRelu, s.Selu, s.Gelu
        ),
        (2, 3),
    ),
    "fans": (
        lambda s: s.serial(
            s.FanOut(2), s.parallel(s.Dense(3), s.Identity), s.FanInConcat(), s.Softmax
        ),
        (4, 2),
    ),
    "sum": (
        lambda s: s.serial(s.FanOut(2), s.parallel(s.Dense(3), s.Dense(3)), s.FanInSum),
        (4, 2),
    ),
    "norm": (lambda s: s.serial(s.BatchNorm(axis=0), s.Dense(2)), (4, 3)),
    "flatten": (lambda s: s.serial(s.Flatten, s.Dense(2)), (2, 3, 2)),
    "dependent": (lambda s: s.shape_dependent(lambda shape: s.Dense(shape[-1])), (2, 3)),
    "conv": (lambda s: s.Conv(4, (2, 3), (2, 1), "SAME"), (2, 5, 6, 3)),
    "transposed": (lambda s: s.ConvTranspose(2, (2, 2), (2, 2)), (1, 3, 4, 2)),
    "transposed1d": (lambda s: s.Conv1DTranspose(2, (3,), padding="SAME"), (1, 5, 2)),
    "pool": (
        lambda s: s.serial(s.MaxPool((2, 2)), s.AvgPool((2, 3), (1, 2), "SAME")),
        (1, 5, 6, 2),
    ),
    "sumpool": (lambda s: s.SumPool((2,), spec="NCH"), (2, 3, 4)),
    "batchnorm2d": (lambda s: s.BatchNorm(), (2, 3, 3, 2)),
}


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
@pytest.mark.parametrize("name", LAYERS)
def test_layers_as_jax(name):
    make, shape = LAYERS[name]
    x = np.random.default_rng(1).normal(size=shape)
    with enable_x64(False):
        x = x.astype(np.float32)
        init, apply = make(stax)
        out_shape, params = init(pb.random.PRNGKey(0), shape)
        out = apply(params, jnp.asarray(x))
        assert tuple(out_shape) == out.shape
        their_init, their_apply = make(their_stax)
        their_shape, their_params = their_init(jax.random.PRNGKey(0), shape)
        assert tuple(out_shape) == tuple(their_shape)
        theirs = jax.tree.map(np.asarray, their_params)
        same(params, theirs, 1e-6)
        same(out, their_apply(their_params, x), 1e-4)
        g = pb.grad(lambda p: jnp.sum(apply(p, x) ** 2))(params)
        assert pb.tree.structure(g) == pb.tree.structure(params)


def test_dropout():
    init, apply = stax.Dropout(0.25)
    x = jnp.ones((100, 100))
    assert init(pb.random.key(0), (3,)) == ((3,), ())
    out = np.asarray(apply((), x, rng=pb.random.key(0)))
    assert set(np.unique(out)) == {0.0, 4.0} and abs(out.mean() - 1) < 0.1
    assert stax.Dropout(0.25, mode="test")[1]((), x, rng=pb.random.key(0)) is x
    with pytest.raises(ValueError, match="Dropout layer requires apply_fun to be called with"):
        apply((), x)
    _, both = stax.serial(stax.Dropout(0.5), stax.Dropout(0.5))
    out = np.asarray(both([(), ()], x, rng=pb.random.key(1)))
    assert abs((out == 0).mean() - 0.75) < 0.05  # each has a key of its own


def test_a_network_learns():
    x = RNG.normal(size=(64, 2))
    y = jnp.asarray(x[:, 0] * x[:, 1] > 0, np.int32)
    init, apply = stax.serial(stax.Dense(32), stax.Tanh, stax.Dense(2), stax.LogSoftmax)
    _, params = init(pb.random.key(0), (-1, 2))

    def loss(p):
        return -jnp.mean(jnp.take_along_axis(apply(p, x), y[:, None], 1))

    start, step, get_params = optimizers.adam(0.05)
    state = start(params)
    before = loss(params)
    update = pb.jit(lambda i, s: step(i, pb.grad(loss)(get_params(s)), s))
    for i in range(100):
        state = update(i, state)
    assert loss(get_params(state)) < 0.2 * before
