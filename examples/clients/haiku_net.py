"""dm-haiku: a convolutional network with batch normalisation, an LSTM, attention."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np


def network(images, is_training):
    out = hk.Conv2D(4, kernel_shape=3, stride=2)(images)
    out = hk.BatchNorm(create_scale=True, create_offset=True, decay_rate=0.9)(out, is_training)
    out = jax.nn.relu(out)
    out = hk.MaxPool(window_shape=2, strides=2, padding="SAME")(out)
    out = hk.Conv2DTranspose(3, kernel_shape=2, stride=2)(out)
    out = hk.dropout(hk.next_rng_key(), 0.1, out) if is_training else out
    return hk.nets.MLP([16, 10], activation=jnp.tanh)(hk.Flatten()(out))


model = hk.transform_with_state(network)
key = jax.random.PRNGKey(0)
images = jax.random.normal(jax.random.PRNGKey(1), (4, 8, 8, 1))
labels = jnp.array([1, 3, 5, 7])
params, state = model.init(key, images, is_training=True)
print({f"{m}/{n}": v.shape for m, n, v in hk.data_structures.traverse(params)})


def loss(params, state, key):
    logits, state = model.apply(params, state, key, images, is_training=True)
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
    return -chosen.mean(), state


@jax.jit
def step(params, state, key):
    (value, state), gradient = jax.value_and_grad(loss, has_aux=True)(params, state, key)
    return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient), state, value


for i, k in enumerate(jax.random.split(key, 5)):
    params, state, value = step(params, state, k)
    print(f"step {i}: {value:.4f}")
print(np.round(model.apply(params, state, None, images, is_training=False)[0][0], 4))

recurrent = hk.without_apply_rng(
    hk.transform(
        lambda x: hk.dynamic_unroll(hk.LSTM(3), x, hk.LSTM(3).initial_state(x.shape[1]))[0]
    )
)
sequence = jax.random.normal(key, (5, 2, 4))
weights = recurrent.init(key, sequence)
print("lstm:", np.round(recurrent.apply(weights, sequence)[-1], 4))

attention = hk.without_apply_rng(
    hk.transform(
        lambda x: hk.MultiHeadAttention(2, 4, w_init=hk.initializers.VarianceScaling())(x, x, x)
    )
)
weights = attention.init(key, sequence)
print("attention:", np.round(attention.apply(weights, sequence)[0, 0], 4))

normed = hk.without_apply_rng(hk.transform(lambda x: hk.LayerNorm(-1, True, True)(hk.Linear(3)(x))))
weights = normed.init(key, sequence)
gradient = jax.grad(lambda w: jnp.sum(normed.apply(w, sequence) ** 3))(weights)
print("layer norm:", np.round(gradient["linear"]["w"], 4))
mapped = hk.without_apply_rng(hk.transform(lambda x: hk.vmap(hk.Linear(2), split_rng=False)(x)))
print("vmap:", mapped.apply(mapped.init(key, sequence), sequence).shape)
print(hk.experimental.tabulate(normed)(sequence).splitlines()[1])
