"""optax: train a small classifier with AdamW, a warm-up schedule, clipping and averaged weights."""

import jax
import jax.numpy as jnp
import optax

KEY = jax.random.PRNGKey(0)


def spirals(key, n):
    """Points on two spirals, and which spiral each is on."""
    label = jnp.arange(n) % 2
    turn = jnp.linspace(0.5, 3.0, n) * jnp.pi
    angle = turn + jnp.pi * label
    points = jnp.stack([turn * jnp.cos(angle), turn * jnp.sin(angle)], axis=1) / 10
    return points + 0.02 * jax.random.normal(key, points.shape), label


def start(key, widths):
    keys = jax.random.split(key, len(widths) - 1)
    return [
        {"w": jax.random.normal(k, (m, n)) * jnp.sqrt(2 / m), "b": jnp.zeros(n)}
        for k, m, n in zip(keys, widths[:-1], widths[1:])
    ]


def network(params, x):
    for layer in params[:-1]:
        x = jax.nn.gelu(x @ layer["w"] + layer["b"])
    return x @ params[-1]["w"] + params[-1]["b"]


def loss(params, x, label):
    logits = network(params, x)
    return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean()


x, label = spirals(KEY, 200)
params = start(jax.random.PRNGKey(1), [2, 32, 32, 2])
schedule = optax.warmup_cosine_decay_schedule(0.0, 2e-2, 20, 200)
optimizer = optax.chain(
    optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=1e-4), optax.ema(0.5)
)
state = optimizer.init(params)


@jax.jit
def step(params, state):
    value, gradient = jax.value_and_grad(loss)(params, x, label)
    updates, state = optimizer.update(gradient, state, params)
    return optax.apply_updates(params, updates), state, value


for i in range(200):
    params, state, value = step(params, state)
    if i in (0, 10, 50):  # later numbers depend on the last bits of these
        print(f"step {i}: loss {value:.4f}")
right = jnp.mean(jnp.argmax(network(params, x), axis=1) == label)
print("accuracy above 0.95:", bool(right > 0.95))


def rosenbrock(point):
    return (1 - point["x"]) ** 2 + 10 * (point["y"] - point["x"] ** 2) ** 2


OPTIMIZERS = {
    "sgd": optax.sgd(0.01, momentum=0.9, nesterov=True),
    "rmsprop": optax.rmsprop(0.05),
    "adagrad": optax.adagrad(0.5),
    "lion": optax.lion(0.02),
    "lamb": optax.lamb(0.05),
    "adafactor": optax.adafactor(0.1),
    "lbfgs": optax.lbfgs(),
}
for name, optimizer in OPTIMIZERS.items():
    point = {"x": jnp.array(-1.0), "y": jnp.array(1.5)}
    state = optimizer.init(point)
    for _ in range(20):
        value, gradient = jax.value_and_grad(rosenbrock)(point)
        line_search = {"value": value, "grad": gradient, "value_fn": rosenbrock}
        extra = line_search if name == "lbfgs" else {}
        updates, state = optimizer.update(gradient, state, point, **extra)
        point = optax.apply_updates(point, updates)
    print(f"{name}: {point['x']:.3f} {point['y']:.3f}")
