"""equinox: models that are pytrees, filtered transformations, rules, loops with checkpoints."""

import equinox as eqx
import equinox.internal as eqxi
import jax
import jax.numpy as jnp
import numpy as np
import optax


def show(name, tree, digits=3):
    print(f"{name}:", jax.tree.map(lambda x: np.asarray(x).astype(float).round(digits) + 0.0, tree))


class Model(eqx.Module):
    body: eqx.nn.MLP
    norm: eqx.nn.LayerNorm
    scale: jax.Array
    power: int = eqx.field(static=True)

    def __init__(self, key):
        self.body = eqx.nn.MLP(2, 4, 16, 2, activation=jnp.tanh, key=key)
        self.norm = eqx.nn.LayerNorm(4)
        self.scale = jnp.array(1.0)
        self.power = 2

    def __call__(self, x):
        return self.scale * jnp.sum(self.norm(self.body(x)) ** self.power * jnp.arange(4.0))


key = jax.random.PRNGKey(0)
model = Model(key)
x = jax.random.normal(jax.random.PRNGKey(1), (32, 2))
y = jnp.sin(x[:, 0]) + x[:, 1]


@eqx.filter_value_and_grad
def loss(model, x, y):
    return jnp.mean((jax.vmap(model)(x) - y) ** 2)


optimizer = optax.adam(3e-3)
state = optimizer.init(eqx.filter(model, eqx.is_inexact_array))


@eqx.filter_jit
def step(model, state, x, y):
    value, gradient = loss(model, x, y)
    updates, state = optimizer.update(gradient, state, model)
    return eqx.apply_updates(model, updates), state, value


for i in range(41):
    model, state, value = step(model, state, x, y)
    if i % 20 == 0:
        show(f"loss {i}", value, 2)

# ---- many models at once, and models taken apart
ensemble = eqx.filter_vmap(lambda k: eqx.nn.Linear(2, 3, key=k))(jax.random.split(key, 4))
mapped = eqx.filter_vmap(lambda m, v: m(v), in_axes=(eqx.if_array(0), None))
show("ensemble", mapped(ensemble, x[0]))
frozen = eqx.tree_at(lambda m: m.scale, model, jnp.array(0.5))
show("frozen", frozen(x[0]) / model(x[0]))
show(
    "jacobian", eqx.filter_jacrev(lambda m, v: m(v))(ensemble.__class__(2, 3, key=key), x[0]).weight
)
cell = eqx.nn.GRUCell(2, 3, key=key)
show("gru", jax.lax.scan(lambda h, v: (cell(v, h), None), jnp.zeros(3), x)[0])
conv = eqx.nn.Conv1d(2, 3, 3, key=key)
show("conv", conv(x.T[:, :5]))
attention = eqx.nn.MultiheadAttention(2, 4, key=key)
show("attention", attention(*[x[:6].reshape(3, 4)] * 3))

# ---- rules


@eqx.filter_custom_vjp
def scaled(pair, factor):
    return jnp.sum(pair[0] * pair[1]) * factor


@scaled.def_fwd
def scaled_fwd(perturbed, pair, factor):
    print("perturbed:", perturbed)
    return scaled(pair, factor), None


@scaled.def_bwd
def scaled_bwd(residuals, ct, perturbed, pair, factor):
    return ct * pair[1] * factor, None


show("custom_vjp", eqx.filter_grad(scaled)((x[:2, 0], x[:2, 1]), 2.0))


@eqx.filter_custom_jvp
def applied(x, y, *, fn):
    return fn(x, y)


@applied.def_jvp
def applied_jvp(primals, tangents, *, fn):
    x, y = primals
    tx, ty = tangents
    assert ty is None
    return applied(x, y, fn=fn), 3 * tx


show("custom_jvp", eqx.filter_grad(applied)(jnp.array(2.0), jnp.array(2.0), fn=jnp.multiply))


def closes_over(v):
    twice = v * 2
    inner = eqx.filter_closure_convert(lambda a: twice * a + jnp.sin(a), jnp.array(1.0))
    print("closed over:", len(inner.consts))
    return inner(v)


show("closure", jax.grad(closes_over)(jnp.array(3.0)))

# ---- loops


def loop(v, n, kind):
    def body(carry):
        i, v, seen = carry
        return i + 1, jnp.sin(v) * 1.1 + 0.1 * i, seen.at[i].set(v)

    carry = jnp.array(0), v, jnp.zeros(16)
    options = dict(max_steps=16, kind=kind, buffers=lambda c: c[2])
    _, v, seen = eqxi.while_loop(lambda c: c[0] < n, body, carry, **options)
    return v + jnp.sum(seen**2)


many, rounds = jnp.array([0.3, 0.5]), jnp.array([3, 7])
for kind in ("lax", "checkpointed", "bounded"):
    show(kind, jax.jit(loop, static_argnums=2)(0.3, 5, kind))
    if kind != "lax":
        gradient = jax.vmap(jax.grad(loop), in_axes=(0, 0, None))
        show(f"{kind}, gradients", jax.jit(gradient, static_argnums=2)(many, rounds, kind))


def positive(v):
    return jnp.log(eqx.error_if(v, v < 0, "negative"))


show("error_if", eqx.filter_jit(positive)(jnp.array(2.0)))
try:
    eqx.filter_jit(positive)(jnp.array(-2.0))
except Exception as error:
    print("raised:", "negative" in str(error))
