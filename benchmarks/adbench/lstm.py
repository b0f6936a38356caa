"""LSTM: the mean log loss of a character model with diagonal weights, and its gradient.

As ADBench defines it, with its two peculiarities: all weights act element by element, and the
normaliser of a prediction y is log(2 + sum(exp(y))). A layer with weights and biases (4b each,
for the forget, in, out and change gates), hidden state h, cell state c and input x computes

    c <- c sigmoid(w_f x + b_f) + sigmoid(w_i h + b_i) tanh(w_c h + b_c)
    h <- sigmoid(w_o x + b_o) tanh(c)

The first layer's input is the character times extra[0], the prediction is the last layer's h
times extra[1] plus extra[2]. The gradient's layout is main_params, extra_params.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .work import Work, jitted

BITS = 14
"""ADBench's text has the apostrophe U+2019, so a character has 14 bits."""

SIZES = {f"l{layers}_c{count}": (layers, count) for layers in (2, 4) for count in (1024, 4096)}
DEFAULT = ("l2_c1024", "l4_c1024")


@dataclass(frozen=True)
class Data:
    """main (2l, 4b): weights and biases of each layer; extra (3, b); state (2l, b): hidden and
    cell of each layer; text (c, b): the bits of the characters."""

    main: np.ndarray
    extra: np.ndarray
    state: np.ndarray
    text: np.ndarray

    @property
    def parameters(self) -> tuple[np.ndarray, ...]:
        """What is differentiated."""
        return self.main, self.extra


def make(layers: int, count: int, bits: int = BITS, seed: int = 0) -> Data:
    """Parameters and states uniform in [0, 1), as ADBench draws them, and random characters."""
    rng = np.random.default_rng(seed)
    codes = rng.choice([*range(97, 123), 32, 8217], size=count) % 2**bits
    return Data(
        main=rng.uniform(size=(2 * layers, 4 * bits)),
        extra=rng.uniform(size=(3, bits)),
        state=rng.uniform(size=(2 * layers, bits)),
        text=(codes[:, None] >> np.arange(bits)[::-1] & 1).astype(np.float64),
    )


def start(data: Data) -> np.ndarray:
    """main and extra in one vector."""
    return np.concatenate([each.ravel() for each in data.parameters])


def product(data: Data, jacobian: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The gradient's product with a direction, as a vector of one."""
    return np.atleast_1d(jacobian @ direction)


# --- the reference: a loop over characters and layers ---


def reference(data: Data, vector: np.ndarray) -> np.ndarray:
    """The loss by its definition, as a vector of one."""
    count, b = data.text.shape
    main = vector[: data.main.size].reshape(-1, 2, 4, b)
    wants, gives, bias = vector[data.main.size :].reshape(3, b)
    hidden, cell = list(data.state[0::2]), list(data.state[1::2])
    total = 0.0
    for t in range(count - 1):
        x = data.text[t] * wants
        for i, (w, bias_of) in enumerate(main):
            forget = _sigmoid(x * w[0] + bias_of[0])
            ingate = _sigmoid(hidden[i] * w[1] + bias_of[1])
            outgate = _sigmoid(x * w[2] + bias_of[2])
            change = np.tanh(hidden[i] * w[3] + bias_of[3])
            cell[i] = cell[i] * forget + ingate * change
            hidden[i] = x = outgate * np.tanh(cell[i])
        y = x * gives + bias
        total = total + (data.text[t + 1] * (y - np.log(2 + np.exp(y).sum()))).sum()
    return np.atleast_1d(-total / ((count - 1) * b))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


# --- the systems ---


def in_jax(data: Data, jax: Any, jnp: Any) -> Work:
    """For a system with JAX's API: a scan over the characters."""
    state, text = jnp.asarray(data.state), jnp.asarray(data.text)
    layers, sigmoid = len(data.main) // 2, jax.nn.sigmoid

    def objective(main: Any, extra: Any) -> Any:
        def step(states: Any, pair: Any) -> Any:
            given, wanted = pair
            x, after = given * extra[0], []
            for i in range(layers):
                hidden, cell = states[2 * i], states[2 * i + 1]
                gates = jnp.concatenate([x, hidden, x, hidden]) * main[2 * i] + main[2 * i + 1]
                forget, ingate, outgate, change = jnp.split(gates, 4)
                cell = cell * sigmoid(forget) + sigmoid(ingate) * jnp.tanh(change)
                x = sigmoid(outgate) * jnp.tanh(cell)
                after += [x, cell]
            y = x * extra[1] + extra[2]
            score = jnp.sum(wanted * (y - jnp.log(2 + jnp.sum(jnp.exp(y)))))
            return jnp.stack(after), score

        scores = jax.lax.scan(step, state, (text[:-1], text[1:]))[1]
        return -jnp.sum(scores) / text[1:].size

    parameters = tuple(map(jnp.asarray, data.parameters))
    return jitted(jax, objective, jax.grad(objective, argnums=(0, 1)), parameters)


def in_torch(data: Data, torch: Any) -> Work:
    """PyTorch, eager, with its reverse mode."""
    text, state = torch.tensor(data.text), torch.tensor(data.state)
    bits = text.shape[1]

    def objective(parameters: Any) -> Any:
        split = lambda gates: torch.split(gates, bits)  # noqa: E731
        return _loss(*parameters, text, state, torch, torch.sigmoid, split)

    parameters = tuple(map(torch.tensor, data.parameters))
    leaves = tuple(each.clone().requires_grad_() for each in parameters)
    return Work(
        lambda: objective(parameters), lambda: torch.autograd.grad(objective(leaves), leaves)
    )


def in_autograd(data: Data, autograd: Any, anp: Any) -> Work:
    """HIPS autograd."""
    from autograd.scipy.special import expit

    def objective(parameters: Any) -> Any:
        split = lambda gates: anp.split(gates, 4)  # noqa: E731
        return _loss(*parameters, data.text, data.state, anp, expit, split)

    gradient = autograd.grad(objective)
    return Work(lambda: objective(data.parameters), lambda: gradient(data.parameters))


def _loss(main: Any, extra: Any, text: Any, state: Any, xp: Any, sigmoid: Any, split: Any) -> Any:
    """The objective in a Python loop, for the systems without a scan."""
    states, total = list(state), 0.0
    for t in range(len(text) - 1):
        x = text[t] * extra[0]
        for i in range(0, len(states), 2):
            hidden, cell = states[i : i + 2]
            gates = xp.concatenate([x, hidden, x, hidden]) * main[i] + main[i + 1]
            forget, ingate, outgate, change = split(gates)
            cell = cell * sigmoid(forget) + sigmoid(ingate) * xp.tanh(change)
            x = sigmoid(outgate) * xp.tanh(cell)
            states[i : i + 2] = x, cell
        y = x * extra[1] + extra[2]
        total = total + xp.sum(text[t + 1] * (y - xp.log(2 + xp.sum(xp.exp(y)))))
    return -total / ((len(text) - 1) * text.shape[1])
