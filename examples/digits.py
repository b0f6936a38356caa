"""Learn to read handwritten digits, and look closely at what was learned.

A plain JAX program. To run it on Pullback, unchanged:

    python -m pullback run examples/digits.py

It trains a small network on 1,437 of scikit-learn's 1,797 images and tests it on the others, checks
its gradient against finite differences, finds the sharpest curvature of the loss without forming
the Hessian, and writes digits.png.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import grad, jit, jvp, random, value_and_grad, vmap
from jax.flatten_util import ravel_pytree
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from tqdm import trange

SIZES = [64, 64, 10]  # 8 x 8 pixels, a hidden layer, 10 digits
EPOCHS, BATCH, RATE = 30, 32, 2e-3


def load(test=360):
    """Images with pixels from 0 to 1 and the digits they show: for training, and for the test."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    images = jnp.array(digits.data[order] / 16, dtype=jnp.float32)
    labels = jnp.array(digits.target[order], dtype=jnp.int32)
    return (images[test:], labels[test:]), (images[:test], labels[:test])


def init(key):
    """The parameters: a matrix and a bias for each layer."""
    keys = random.split(key, len(SIZES) - 1)
    return [
        {"W": random.normal(k, (m, n)) / jnp.sqrt(m), "b": jnp.zeros(n)}
        for k, m, n in zip(keys, SIZES[:-1], SIZES[1:])
    ]


def log_probabilities(params, image):
    """How likely each digit is. Written for one image; `vmap` makes it work on many."""
    *hidden, last = params
    for layer in hidden:
        image = jnp.tanh(image @ layer["W"] + layer["b"])
    return jax.nn.log_softmax(image @ last["W"] + last["b"])


def image_loss(params, image, label):
    return -log_probabilities(params, image)[label]


def loss(params, images, labels):
    return jnp.mean(vmap(image_loss, in_axes=(None, 0, 0))(params, images, labels))


@jit
def adam_step(params, mean, square, t, images, labels):
    """One step of Adam. The parameters are a tree, and so are its two running averages."""
    value, g = value_and_grad(loss)(params, images, labels)
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, g)
    square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g**2, square, g)
    rate = RATE * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    params = jax.tree.map(lambda p, m, s: p - rate * m / (jnp.sqrt(s) + 1e-8), params, mean, square)
    return params, mean, square, value


def train(key, images, labels):
    """The trained parameters, and the loss at each step."""
    params = init(key)
    mean = square = jax.tree.map(jnp.zeros_like, params)
    losses = []
    for epoch in (bar := trange(EPOCHS, desc="training", unit="epoch")):
        order = random.permutation(random.fold_in(key, epoch), len(images))
        for batch in order[: -(len(order) % BATCH)].reshape(-1, BATCH):
            params, mean, square, value = adam_step(
                params, mean, square, len(losses) + 1.0, images[batch], labels[batch]
            )
            losses.append(float(value))
        bar.set_postfix(loss=f"{losses[-1]:.4f}")
    return params, losses


def check_gradient(key, params, images, labels, h=1e-5):
    """The loss's slope in a random direction, by autodiff and by a central difference.

    In 64 bits the difference is good to 1e-10: what rounding the loss does, 1e-16 / h, and what the
    third derivative does, h**2 / 6, are both below it. In 32 bits no h makes both of them small.
    """
    with jax.enable_x64(True):
        params, images = jax.tree.map(lambda x: x.astype(jnp.float64), (params, images))
        x, to_params = ravel_pytree(params)
        v = random.normal(key, x.shape)
        v /= jnp.linalg.norm(v)
        slope = v @ grad(lambda x: loss(to_params(x), images, labels))(x)
        ahead, behind = (loss(to_params(x + s * v), images, labels) for s in (h, -h))
        return float(slope), float((ahead - behind) / (2 * h))


def largest_curvature(key, params, images, labels, steps=100):
    """The Hessian's largest eigenvalue, by power iteration, and how well its vector fits."""
    x, to_params = ravel_pytree(params)
    gradient = grad(lambda x: loss(to_params(x), images, labels))
    hessian_times = jit(lambda v: jvp(gradient, (x,), (v,))[1])
    v = random.normal(key, x.shape)
    for _ in range(steps):
        v = hessian_times(v / jnp.linalg.norm(v))
    v /= jnp.linalg.norm(v)
    eigenvalue = v @ hessian_times(v)
    return float(eigenvalue), float(jnp.linalg.norm(hessian_times(v) - eigenvalue * v))


def draw(file, losses, params, images, labels, guesses):
    """The loss, and five misread digits, each above its saliency: d loss / d pixel."""
    saliency = vmap(grad(image_loss, argnums=1), in_axes=(None, 0, 0))(params, images, labels)
    figure = Figure(figsize=(13, 4), layout="constrained")
    grid = figure.add_gridspec(2, 7)
    curve = figure.add_subplot(grid[:, :2], title="training loss", xlabel="step", yscale="log")
    curve.plot(losses, linewidth=0.6)
    for column, i in enumerate(np.flatnonzero(guesses != labels)[:5], start=2):
        digit = figure.add_subplot(grid[0, column], title=f"{labels[i]} read as {guesses[i]}")
        digit.imshow(images[i].reshape(8, 8), cmap="gray_r")
        pixels = figure.add_subplot(grid[1, column], xlabel="saliency")
        limit = abs(saliency[i]).max()
        pixels.imshow(saliency[i].reshape(8, 8), cmap="coolwarm", vmin=-limit, vmax=limit)
        for axes in (digit, pixels):
            axes.set(xticks=[], yticks=[])
    figure.savefig(file, dpi=120)


def main():
    training, (images, labels) = load()
    train_key, check_key, power_key = random.split(random.key(0), 3)

    params, losses = train(train_key, *training)
    guesses = vmap(log_probabilities, in_axes=(None, 0))(params, images).argmax(axis=1)
    wrong = int(jnp.sum(guesses != labels))
    accuracy = 1 - wrong / len(labels)
    print(f"test accuracy       {accuracy:.1%}: {wrong} of {len(labels)} digits misread")

    slope, difference = check_gradient(check_key, params, images, labels)
    print(f"gradient            {slope:.10f} by autodiff, {difference:.10f} by finite differences")

    eigenvalue, residual = largest_curvature(power_key, params, *training)
    print(f"largest curvature   {eigenvalue:.5f}, residual {residual:.0e}")

    draw("digits.png", losses, params, images, labels, guesses)
    print("picture             digits.png")

    assert accuracy >= 0.95, "the network should read 95 % of the digits"
    assert abs(slope - difference) < 1e-9, "the gradient should agree with finite differences"


if __name__ == "__main__":
    main()
