"""Train a small transformer with the batch and the matrices divided over eight devices.

A plain JAX program. On a machine without eight accelerators the CPU plays their part:

    JAX_NUM_CPU_DEVICES=8 python -m pullback run examples/transformer_parallel.py

The devices stand in a grid of 2 x 4. Along "data" the batch is divided; along "model" the heads of
attention and the hidden units of the feed-forward layers (Shoeybi et al., Megatron-LM, 2019): each
device has a quarter of every large matrix. The step is written once, for whole arrays. Where they
are is said of its arguments, and the compiler does the rest. It is compared with one device.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

LAYERS, WIDTH, HEADS, HIDDEN, WORDS, LENGTH, BATCH = 2, 64, 8, 256, 50, 32, 8
RATE = 0.2

SPECS = {
    "in": P(None, None, "model"),  # to queries, keys and values: width, which, heads * depth
    "out": P("model", None),
    "up": P(None, "model"),
    "down": P("model", None),
}


def init(key):
    """The parameters: an embedding, and four matrices for each layer."""
    shapes = {
        "in": (WIDTH, 3, WIDTH),
        "out": (WIDTH, WIDTH),
        "up": (WIDTH, HIDDEN),
        "down": (HIDDEN, WIDTH),
    }
    start, *keys = random.split(key, 1 + LAYERS)
    layers = []
    for layer_key in keys:
        named = zip(shapes.items(), random.split(layer_key, len(shapes)))
        layers.append({name: random.normal(k, s) / jnp.sqrt(s[0]) for (name, s), k in named})
    return {"words": random.normal(start, (WORDS, WIDTH)) * 0.3, "layers": layers}


def normalised(x):
    x = x - x.mean(-1, keepdims=True)
    return x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)


def attention(layer, x):
    """Each word looks at those before it."""
    q, k, v = (
        y.reshape(*y.shape[:2], HEADS, WIDTH // HEADS)
        for y in jnp.moveaxis(jnp.einsum("blw,wcd->blcd", x, layer["in"]), 2, 0)
    )
    scores = jnp.einsum("bihd,bjhd->bhij", q, k) / jnp.sqrt(WIDTH // HEADS)
    scores = jnp.where(jnp.tril(jnp.ones((LENGTH, LENGTH), bool)), scores, -1e9)
    mixed = jnp.einsum("bhij,bjhd->bihd", jax.nn.softmax(scores), v)
    return mixed.reshape(x.shape) @ layer["out"]


def loss(params, text):
    """The mean surprise at the next word."""
    x = params["words"][text[:, :-1]]
    for layer in params["layers"]:
        x = x + attention(layer, normalised(x))
        x = x + jax.nn.gelu(normalised(x) @ layer["up"]) @ layer["down"]
    guess = jax.nn.log_softmax(normalised(x) @ params["words"].T)
    return -jnp.take_along_axis(guess, text[:, 1:, None], -1).mean()


@jax.jit
def step(params, text):
    value, gradient = jax.value_and_grad(loss)(params, text)
    return value, jax.tree.map(lambda p, g: p - RATE * g, params, gradient)


def texts(count):
    """Sequences in which each word follows from the one before."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, WORDS, (count, BATCH, 1))
    return ((first + 7 * np.arange(LENGTH + 1)) % WORDS).astype(np.int32)


def spread(params, mesh):
    """The parameters where they belong on the mesh."""
    specs = {"words": P(), "layers": [SPECS] * LAYERS}
    places = jax.tree.map(
        lambda spec: NamedSharding(mesh, spec), specs, is_leaf=lambda s: isinstance(s, P)
    )
    return jax.device_put(params, places)


def main():
    devices = jax.devices()
    if len(devices) < 8:
        raise SystemExit(f"eight devices are needed, here are {len(devices)}: see the first lines")
    auto = (jax.sharding.AxisType.Auto,) * 2
    mesh = jax.make_mesh((2, 4), ("data", "model"), axis_types=auto)
    alone = init(random.key(0))
    params = spread(alone, mesh)
    for i, text in enumerate(texts(5)):
        want, alone = step(alone, text)
        value, params = step(params, jax.device_put(text, NamedSharding(mesh, P("data"))))
        print(f"step {i}: loss {float(value):.6f} on 8 devices, {float(want):.6f} on one")
    pairs = zip(jax.tree.leaves(params), jax.tree.leaves(alone))
    worst = max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs)
    up = params["layers"][0]["up"]
    print(f"each device has {up.addressable_shards[0].data.shape} of a matrix of {up.shape}")
    print(f"largest difference of a parameter: {worst:.1e}")
    if worst > 1e-4:
        raise SystemExit("the two differ by more than rounding")


if __name__ == "__main__":
    main()
