"""Learn to read handwritten digits in several processes, and go on where a killed one had stopped.

A plain JAX program. In two processes of this machine, each with one device:

    python -m pullback launch -n 2 examples/digits_parallel.py

On several machines, start it on each with JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and
JAX_PROCESS_ID set. With `python -m pullback run` it runs in one process.

Each device has all parameters and its share of the images. The program is written twice:
`--way jit` says where the arrays are and leaves the rest to the compiler; `--way shard_map` says
what each device does. Both give what one process gives, but for rounding. With `--checkpoint FILE`,
what was learned is saved every 10 steps, and the program begins where the file ends.
"""

import argparse
import os

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from sklearn.datasets import load_digits

SIZES = [64, 32, 10]
BATCH, RATE, MOMENTUM = 96, 0.1, 0.9


def load():
    """Images with pixels from 0 to 1, and the digits they show, in a random order."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    return (digits.data[order] / 16).astype(np.float32), digits.target[order].astype(np.int32)


def init(key):
    """The parameters: a matrix and a bias for each layer."""
    keys = random.split(key, len(SIZES) - 1)
    return [
        {"W": random.normal(k, (m, n)) / jnp.sqrt(m), "b": jnp.zeros(n)}
        for k, m, n in zip(keys, SIZES[:-1], SIZES[1:])
    ]


def loss(params, images, labels):
    *hidden, last = params
    for layer in hidden:
        images = jnp.tanh(images @ layer["W"] + layer["b"])
    scores = jax.nn.log_softmax(images @ last["W"] + last["b"])
    return -jnp.mean(jnp.take_along_axis(scores, labels[:, None], axis=1))


def moved(params, speed, gradient):
    """One step of gradient descent with momentum."""
    speed = jax.tree.map(lambda v, g: MOMENTUM * v + g, speed, gradient)
    return jax.tree.map(lambda p, v: p - RATE * v, params, speed), speed


def step_by_jit(mesh):
    """The compiler sees that a mean over all devices is wanted, and adds the exchange."""

    def step(params, speed, images, labels):
        value, gradient = jax.value_and_grad(loss)(params, images, labels)
        return *moved(params, speed, gradient), value

    whole = NamedSharding(mesh, P())
    return jax.jit(step, out_shardings=(whole, whole, whole))


def step_by_shard_map(mesh):
    """Each device has the gradient of its own images; `pmean` is the mean over the devices."""

    def step(params, speed, images, labels):
        value, gradient = jax.value_and_grad(loss)(params, images, labels)
        value, gradient = lax.pmean((value, gradient), "data")
        return *moved(params, speed, gradient), value

    spread = (P(), P(), P("data"), P("data"))
    return jax.jit(jax.shard_map(step, mesh=mesh, in_specs=spread, out_specs=P(), check_vma=False))


def batch(mesh, images, labels, number):
    """The images and labels of a step. Each process makes only the parts that its devices need."""
    rows = np.random.default_rng(number).permutation(len(labels))[:BATCH]
    split = NamedSharding(mesh, P("data"))
    return [
        jax.make_array_from_callback(
            (BATCH, *x.shape[1:]), split, lambda part, x=x: x[rows[part[0]]]
        )
        for x in (images, labels)
    ]


def save(file, number, params, speed):
    """Process 0 writes. The file is there whole or not at all, whenever the process is killed."""
    leaves = [np.asarray(x) for x in jax.tree.leaves((params, speed))]
    if jax.process_index() == 0:
        np.savez(f"{file}.new.npz", *leaves, number=number)
        os.replace(f"{file}.new.npz", file)


def restore(file, params, speed):
    """The number of steps done, the parameters and the speed: of the file, if there is one."""
    if not file or not os.path.exists(file):
        return 0, params, speed
    with np.load(file) as found:
        leaves = [found[f"arr_{i}"] for i in range(len(found.files) - 1)]
        tree = jax.tree.structure((params, speed))
        return int(found["number"]), *jax.tree.unflatten(tree, leaves)


def train(steps, way, file=None):
    """The parameters after so many steps."""
    mesh = jax.make_mesh((jax.device_count(),), ("data",))
    step = {"jit": step_by_jit, "shard_map": step_by_shard_map}[way](mesh)
    images, labels = load()
    params = init(random.key(0))
    first, params, speed = restore(file, params, jax.tree.map(jnp.zeros_like, params))
    params, speed = jax.device_put((params, speed), NamedSharding(mesh, P()))
    for number in range(first, steps):
        params, speed, value = step(params, speed, *batch(mesh, images, labels, number))
        if (number + 1) % 10 == 0:
            if file:
                save(file, number + 1, params, speed)
            if jax.process_index() == 0:
                print(f"step {number + 1}: loss {float(value):.4f}", flush=True)
    return params


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--steps", type=int, default=200)
    options.add_argument("--way", choices=["jit", "shard_map"], default="jit")
    options.add_argument("--checkpoint")
    options.add_argument("--heartbeat", type=int, default=100)
    chosen = options.parse_args()
    if "JAX_NUM_PROCESSES" in os.environ:
        jax.distributed.initialize(heartbeat_timeout_seconds=chosen.heartbeat)
    params = train(chosen.steps, chosen.way, chosen.checkpoint)
    images, labels = load()
    params = jax.tree.map(np.asarray, params)
    hidden = images
    for layer in params[:-1]:
        hidden = np.tanh(hidden @ layer["W"] + layer["b"])
    guesses = (hidden @ params[-1]["W"] + params[-1]["b"]).argmax(axis=1)
    total = sum(float(np.abs(x).sum()) for x in jax.tree.leaves(params))
    print(
        f"process {jax.process_index()} of {jax.process_count()}, {jax.device_count()} devices: "
        f"{np.mean(guesses == labels):.1%} of the digits read, parameters sum to {total:.4f}"
    )


if __name__ == "__main__":
    main()
