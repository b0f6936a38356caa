"""Neural networks as pairs of functions: init(key, shape) and apply(params, inputs)."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from .. import lax, random
from .. import numpy as jnp
from ..core.errors import error
from ..nn import elu as elu
from ..nn import gelu as gelu
from ..nn import leaky_relu as leaky_relu
from ..nn import log_softmax as log_softmax
from ..nn import relu as relu
from ..nn import selu as selu
from ..nn import sigmoid as sigmoid
from ..nn import softmax as softmax
from ..nn import softplus as softplus
from ..nn import standardize as standardize
from ..nn.initializers import glorot_normal as glorot_normal
from ..nn.initializers import normal as normal
from ..nn.initializers import ones as ones
from ..nn.initializers import zeros as zeros

glorot = glorot_normal
randn = normal
logsoftmax = log_softmax

_GLOROT, _NORMAL, _SMALL = glorot_normal(), normal(), normal(1e-6)

Layer = tuple[Callable[..., Any], Callable[..., Any]]
"""``init(rng, input_shape) -> (output_shape, params)`` and ``apply(params, inputs, **kwargs)``."""


def Dense(out_dim: int, W_init: Any = _GLOROT, b_init: Any = _NORMAL) -> Layer:
    """A layer ``inputs @ W + b`` with `out_dim` outputs.

    Example:
      >>> import pullback
      >>> from pullback.example_libraries import stax
      >>> init, apply = stax.serial(stax.Dense(8), stax.Relu, stax.Dense(2), stax.Softmax)
      >>> shape, params = init(pullback.random.key(0), (-1, 3))
      >>> print(shape, apply(params, pullback.numpy.ones((5, 3))).sum(-1))
      (-1, 2) [1. 1. 1. 1. 1.]
    """

    def init(rng: Any, input_shape: Any) -> Any:
        for_w, for_b = random.split(rng)
        params = (W_init(for_w, (input_shape[-1], out_dim)), b_init(for_b, (out_dim,)))
        return (*input_shape[:-1], out_dim), params

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        w, b = params
        return jnp.dot(inputs, w) + b

    return init, apply


def _convolution(
    shape_of: Any,
    convolve: Any,
    dimension_numbers: Any,
    out_chan: int,
    filter_shape: Sequence[int],
    strides: Any,
    padding: Any,
    W_init: Any,
    b_init: Any,
) -> Layer:
    lhs, rhs, out = dimension_numbers
    steps = strides or (1,) * len(filter_shape)
    weights = W_init or glorot_normal(rhs.index("I"), rhs.index("O"))

    def init(rng: Any, input_shape: Any) -> Any:
        spatial = iter(filter_shape)
        known = {"O": out_chan, "I": input_shape[lhs.index("C")]}
        kernel = [known[c] if c in known else next(spatial) for c in rhs]
        bias = [out_chan if c == "C" else 1 for c in out]
        for_w, for_b = random.split(rng)
        params = (weights(for_w, tuple(kernel)), b_init(for_b, tuple(bias)))
        return shape_of(input_shape, kernel, steps, padding, dimension_numbers), params

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        w, b = params
        return convolve(inputs, w, steps, padding, dimension_numbers=dimension_numbers) + b

    return init, apply


def GeneralConv(
    dimension_numbers: Any,
    out_chan: int,
    filter_shape: Sequence[int],
    strides: Any = None,
    padding: Any = "VALID",
    W_init: Any = None,
    b_init: Any = _SMALL,
) -> Layer:
    """A convolution with a bias.

    Args:
      dimension_numbers: the axes of inputs, filters and outputs: ``("NHWC", "HWIO", "NHWC")``.
      out_chan: the number of filters.
      filter_shape: the lengths of a filter's spatial axes.
      strides: the steps along these axes, 1 by default.
      padding: "VALID", "SAME" or pairs of numbers.
      W_init, b_init: initializers of the filters and of the bias.
    """
    return _convolution(
        lax.conv_general_shape_tuple,
        lax.conv_general_dilated,
        dimension_numbers,
        out_chan,
        filter_shape,
        strides,
        padding,
        W_init,
        b_init,
    )


Conv = functools.partial(GeneralConv, ("NHWC", "HWIO", "NHWC"))


def GeneralConvTranspose(
    dimension_numbers: Any,
    out_chan: int,
    filter_shape: Sequence[int],
    strides: Any = None,
    padding: Any = "VALID",
    W_init: Any = None,
    b_init: Any = _SMALL,
) -> Layer:
    """A transposed convolution with a bias: arguments as for `GeneralConv`."""
    return _convolution(
        lax.conv_transpose_shape_tuple,
        lax.conv_transpose,
        dimension_numbers,
        out_chan,
        filter_shape,
        strides,
        padding,
        W_init,
        b_init,
    )


Conv1DTranspose = functools.partial(GeneralConvTranspose, ("NHC", "HIO", "NHC"))
ConvTranspose = functools.partial(GeneralConvTranspose, ("NHWC", "HWIO", "NHWC"))


def BatchNorm(
    axis: Any = (0, 1, 2),
    epsilon: float = 1e-5,
    center: bool = True,
    scale: bool = True,
    beta_init: Any = zeros,
    gamma_init: Any = ones,
) -> Layer:
    """Mean 0 and variance 1 over `axis`, then times gamma (if `scale`) plus beta (if `center`)."""
    axes = (axis,) if jnp.isscalar(axis) else tuple(axis)

    def init(rng: Any, input_shape: Any) -> Any:
        shape = tuple(d for i, d in enumerate(input_shape) if i not in axes)
        for_beta, for_gamma = random.split(rng)
        beta = beta_init(for_beta, shape) if center else ()
        gamma = gamma_init(for_gamma, shape) if scale else ()
        return input_shape, (beta, gamma)

    def apply(params: Any, x: Any, **kwargs: Any) -> Any:
        beta, gamma = params
        spread = tuple(None if i in axes else slice(None) for i in range(jnp.ndim(x)))
        out = standardize(x, axes, epsilon=epsilon)
        out = gamma[spread] * out if scale else out
        return out + beta[spread] if center else out

    return init, apply


def _no_params(rng: Any, input_shape: Any) -> Any:
    return input_shape, ()


def elementwise(fun: Callable[..., Any], **fun_kwargs: Any) -> Layer:
    """A layer that applies a function of its inputs."""
    return _no_params, lambda params, inputs, **kwargs: fun(inputs, **fun_kwargs)


Tanh = elementwise(jnp.tanh)
Relu = elementwise(relu)
Exp = elementwise(jnp.exp)
LogSoftmax = elementwise(log_softmax, axis=-1)
Softmax = elementwise(softmax, axis=-1)
Softplus = elementwise(softplus)
Sigmoid = elementwise(sigmoid)
Elu = elementwise(elu)
LeakyRelu = elementwise(leaky_relu)
Selu = elementwise(selu)
Gelu = elementwise(gelu)
Identity: Layer = (_no_params, lambda params, inputs, **kwargs: inputs)


def _pooling(
    reducer: Any, start: Any, mean: bool, window: Any, strides: Any, padding: Any, spec: Any
) -> Layer:
    inner, steps = tuple(window), tuple(strides or (1,) * len(window))
    apart = (0, len(inner) + 1) if spec is None else (spec.index("N"), spec.index("C"))
    whole, all_steps = list(inner), list(steps)
    for i in sorted(apart):
        whole.insert(i, 1)
        all_steps.insert(i, 1)

    def init(rng: Any, input_shape: Any) -> Any:
        pads = lax.padtype_to_pads(input_shape, whole, all_steps, padding)
        one = (1,) * len(whole)
        shape = lax.reduce_window_shape_tuple(input_shape, whole, all_steps, pads, one, one)
        return shape, ()

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        out = lax.reduce_window(inputs, start, reducer, tuple(whole), tuple(all_steps), padding)
        if not mean:
            return out
        # Windows at the edge hold fewer numbers.
        inside = [d for i, d in enumerate(inputs.shape) if i not in apart]
        sizes = jnp.ones(inside, inputs.dtype)
        sizes = lax.reduce_window(sizes, 0.0, lax.add, inner, steps, padding)
        return out / jnp.expand_dims(sizes, apart)

    return init, apply


def MaxPool(
    window_shape: Sequence[int], strides: Any = None, padding: Any = "VALID", spec: Any = None
) -> Layer:
    """The largest number in each window of the spatial axes.

    Args:
      window_shape: the lengths of a window.
      strides: the steps from one window to the next, 1 by default.
      padding: "VALID", "SAME" or pairs of numbers.
      spec: the letters of the axes, in which N and C are not spatial: "NHWC" by default.
    """
    return _pooling(lax.max, -jnp.inf, False, window_shape, strides, padding, spec)


def SumPool(
    window_shape: Sequence[int], strides: Any = None, padding: Any = "VALID", spec: Any = None
) -> Layer:
    """The sum of each window: arguments as for `MaxPool`."""
    return _pooling(lax.add, 0.0, False, window_shape, strides, padding, spec)


def AvgPool(
    window_shape: Sequence[int], strides: Any = None, padding: Any = "VALID", spec: Any = None
) -> Layer:
    """The mean of each window, of what lies inside: arguments as for `MaxPool`."""
    return _pooling(lax.add, 0.0, True, window_shape, strides, padding, spec)


def _flat_init(rng: Any, input_shape: Any) -> Any:
    return (input_shape[0], math.prod(input_shape[1:])), ()


def _flat_apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
    return jnp.reshape(inputs, (inputs.shape[0], math.prod(inputs.shape[1:])))


Flatten: Layer = (_flat_init, _flat_apply)


def FanOut(num: int) -> Layer:
    """The inputs `num` times, for `parallel`."""

    def init(rng: Any, input_shape: Any) -> Any:
        return [input_shape] * num, ()

    return init, lambda params, inputs, **kwargs: [inputs] * num


def _first_shape(rng: Any, input_shape: Any) -> Any:
    return input_shape[0], ()


FanInSum: Layer = (
    _first_shape,
    lambda params, inputs, **kwargs: functools.reduce(operator.add, inputs),
)


def FanInConcat(axis: int = -1) -> Layer:
    """Several inputs joined along `axis`."""

    def init(rng: Any, input_shape: Any) -> Any:
        shape = list(input_shape[0])
        at = axis % len(shape)
        shape[at] = sum(s[at] for s in input_shape)
        return tuple(shape), ()

    return init, lambda params, inputs, **kwargs: jnp.concatenate(inputs, axis)


def Dropout(rate: float, mode: str = "train") -> Layer:
    """Keeps each input with the probability `rate`, scaled by ``1 / rate``, else makes it zero.

    In another `mode` than "train" it keeps all. Raises ValueError if `apply` gets no ``rng=``.
    """

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        rng = kwargs.get("rng")
        if rng is None:
            raise error(
                ValueError,
                "Dropout layer requires apply_fun to be called with a PRNG key argument.",
                got="apply_fun(params, inputs) without rng",
                fix="call apply_fun(params, inputs, rng=key) with a key, as from random.key(0).",
            )
        if mode != "train":
            return inputs
        keep = random.bernoulli(rng, rate, inputs.shape)
        return jnp.where(keep, inputs / rate, 0)

    return _no_params, apply


# ---- layers of layers


def _keys(kwargs: dict[str, Any], n: int) -> Any:
    rng = kwargs.pop("rng", None)
    return (None,) * n if rng is None else random.split(rng, n)


def serial(*layers: Layer) -> Layer:
    """Layers one after another: the parameters are a list of theirs.

    Example:
      >>> from pullback import random
      >>> from pullback.example_libraries import stax
      >>> init, apply = stax.serial(stax.Dense(8), stax.Relu, stax.Dense(2))
      >>> shape, params = init(random.key(0), (-1, 4))
      >>> print(shape)
      (-1, 2)
    """

    def init(rng: Any, input_shape: Any) -> Any:
        params = []
        for init_layer, _ in layers:
            rng, of_layer = random.split(rng)
            input_shape, found = init_layer(of_layer, input_shape)
            params.append(found)
        return input_shape, params

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        keys = _keys(kwargs, len(layers))
        for (_, apply_layer), p, key in zip(layers, params, keys, strict=True):
            inputs = apply_layer(p, inputs, rng=key, **kwargs)
        return inputs

    return init, apply


def parallel(*layers: Layer) -> Layer:
    """Layers side by side, each with an input of its own: often between `FanOut` and `FanInSum`."""

    def init(rng: Any, input_shape: Any) -> Any:
        keys = random.split(rng, len(layers))
        found = [f(key, s) for (f, _), key, s in zip(layers, keys, input_shape, strict=True)]
        return tuple(shape for shape, _ in found), tuple(params for _, params in found)

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        keys = _keys(kwargs, len(layers))
        return [
            f(p, x, rng=key, **kwargs)
            for (_, f), p, x, key in zip(layers, params, inputs, keys, strict=True)
        ]

    return init, apply


def shape_dependent(make_layer: Callable[[Any], Layer]) -> Layer:
    """The layer `make_layer(input_shape)`, made when the shape of the input is known."""

    def init(rng: Any, input_shape: Any) -> Any:
        return make_layer(input_shape)[0](rng, input_shape)

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        return make_layer(inputs.shape)[1](params, inputs, **kwargs)

    return init, apply
