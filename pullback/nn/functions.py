"""Activations, and what stands at a network's end: softmax, logsumexp, one_hot."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import lax
from .. import numpy as jnp
from ..core import dtypes
from ..core.array import Array
from ..core.errors import error, warn
from ..engines import eager
from ..numpy.arguments import integer
from ..numpy.promotion import as_array, axis_number, inexact, promote_inexact
from ..ops.comparison import eq
from ..ops.elementwise import convert_element_type
from ..ops.structural import broadcast_in_dim, iota

# ---- from one number to one number


def identity(x: Any) -> Array:
    """x

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import identity
      >>> print(identity(jnp.array([-1.0, 0.0, 2.0])))
      [-1.  0.  2.]
    """
    return as_array(x, "identity")


def relu(x: Any) -> Array:
    """max(x, 0). Its derivative at 0 is 0.

    Example:
      >>> from pullback import grad, nn
      >>> float(nn.relu(-2.0)), float(grad(nn.relu)(0.0))
      (0.0, 0.0)
    """
    # Not jnp.maximum: its derivative at a tie is 1/2.
    return jnp.where(as_array(x, "relu") <= 0, 0, x)


def relu6(x: Any) -> Array:
    """min(max(x, 0), 6). Its derivative at 0 and at 6 is 0.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import relu6
      >>> print(relu6(jnp.array([-1.0, 0.0, 2.0])))
      [0. 0. 2.]
    """
    return jnp.where(as_array(x, "relu6") >= 6.0, 6.0, relu(x))


def leaky_relu(x: Any, negative_slope: Any = 0.01) -> Array:
    """x where x >= 0, else negative_slope * x.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import leaky_relu
      >>> print(leaky_relu(jnp.array([-1.0, 0.0, 2.0])))
      [-0.01  0.    2.  ]
    """
    x = as_array(x, "leaky_relu")
    return jnp.where(x >= 0, x, negative_slope * x)


def elu(x: Any, alpha: Any = 1.0) -> Array:
    """x where x > 0, else alpha * (exp(x) - 1).

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import elu
      >>> print(elu(jnp.array([-1.0, 0.0, 2.0])))
      [-0.63212055  0.          2.        ]
    """
    x = as_array(x, "elu")
    # exp is not asked for what is chosen away: it might be inf there, and its derivative inf * 0.
    return jnp.where(x > 0, x, alpha * jnp.expm1(jnp.where(x > 0, 0.0, x)))


def selu(x: Any) -> Array:
    """scale * elu(x, alpha), with the constants that keep mean 0 and variance 1 through layers.

    Klambauer, Unterthiner, Mayr and Hochreiter, "Self-normalizing neural networks" (2017).

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import selu
      >>> print(selu(jnp.array([-1.0, 0.0, 2.0])))
      [-1.1113307  0.         2.101402 ]
    """
    return 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717)


def celu(x: Any, alpha: Any = 1.0) -> Array:
    """x where x > 0, else alpha * (exp(x / alpha) - 1).

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import celu
      >>> print(celu(jnp.array([-1.0, 0.0, 2.0])))
      [-0.63212055  0.          2.        ]
    """
    return jnp.maximum(x, 0.0) + alpha * jnp.expm1(jnp.minimum(x, 0.0) / alpha)


def sigmoid(x: Any) -> Array:
    """1 / (1 + exp(-x))

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import sigmoid
      >>> print(sigmoid(jnp.array([-1.0, 0.0, 2.0])))
      [0.2689414 0.5       0.880797 ]
    """
    return lax.logistic(inexact("sigmoid", x))


def log_sigmoid(x: Any) -> Array:
    """log(sigmoid(x)), right also where sigmoid(x) is 0.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import log_sigmoid
      >>> print(log_sigmoid(jnp.array([-1.0, 0.0, 2.0])))
      [-1.3132617 -0.6931472 -0.126928 ]
    """
    return -softplus(-as_array(x, "log_sigmoid"))


def softplus(x: Any) -> Array:
    """log(1 + exp(x)), right also where exp(x) is inf.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import softplus
      >>> print(softplus(jnp.array([-1.0, 0.0, 2.0])))
      [0.3132617 0.6931472 2.126928 ]
    """
    return jnp.logaddexp(x, 0)


def silu(x: Any) -> Array:
    """x * sigmoid(x)

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import silu
      >>> print(silu(jnp.array([-1.0, 0.0, 2.0])))
      [-0.2689414  0.         1.761594 ]
    """
    x = as_array(x, "silu")
    return x * sigmoid(x)


swish = silu


def mish(x: Any) -> Array:
    """x * tanh(softplus(x))

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import mish
      >>> print(mish(jnp.array([-1.0, 0.0, 2.0])))
      [-0.30340147  0.          1.943959  ]
    """
    x = as_array(x, "mish")
    return x * jnp.tanh(softplus(x))


def gelu(x: Any, approximate: bool = True) -> Array:
    """x * Phi(x), with the cumulative normal distribution Phi.

    Args:
      x: an array.
      approximate: whether Phi is the approximation by tanh, as in the first networks that used it.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import gelu
      >>> print(gelu(jnp.array([-1.0, 0.0, 2.0])))
      [-0.158808   0.         1.9545978]
    """
    x = inexact("gelu", x)
    if approximate:
        # (1 + tanh(u)) / 2 is sigmoid(2 u), which has all its digits also where tanh(u) is near -1.
        # Beyond 30 it is 0 or 1 in every dtype; the cube would overflow float16 at 41.
        near = jnp.clip(x, -30, 30)
        return x * sigmoid(math.sqrt(8 / math.pi) * (near + 0.044715 * (near * near * near)))
    return 0.5 * x * lax.erfc(-x * math.sqrt(0.5))


def soft_sign(x: Any) -> Array:
    """x / (abs(x) + 1)

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import soft_sign
      >>> print(soft_sign(jnp.array([-1.0, 0.0, 2.0])))
      [-0.5        0.         0.6666667]
    """
    x = as_array(x, "soft_sign")
    return x / (jnp.abs(x) + 1)


def squareplus(x: Any, b: Any = 4) -> Array:
    """(x + sqrt(x**2 + b)) / 2

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import squareplus
      >>> print(squareplus(jnp.array([-1.0, 0.0, 2.0])))
      [0.618034  1.        2.4142137]
    """
    # Below 0 the sum cancels; it is b / (sqrt(x**2 + b) - x), which does not.
    x, b = promote_inexact("squareplus", x, b)
    root = jnp.hypot(x, jnp.sqrt(b))
    return jnp.where(x < 0, b / jnp.where(x < 0, root - x, 1), x + root) / 2


def sparse_plus(x: Any) -> Array:
    """0 to -1, (x + 1)**2 / 4 to 1, then x.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import sparse_plus
      >>> print(sparse_plus(jnp.array([-1.0, 0.0, 2.0])))
      [0.   0.25 2.  ]
    """
    x = as_array(x, "sparse_plus")
    return jnp.where(x <= -1.0, 0.0, jnp.where(x >= 1.0, x, jnp.square(x + 1.0) / 4))


def sparse_sigmoid(x: Any) -> Array:
    """0 to -1, (x + 1) / 2 to 1, then 1.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import sparse_sigmoid
      >>> print(sparse_sigmoid(jnp.array([-1.0, 0.0, 2.0])))
      [0.  0.5 1. ]
    """
    return 0.5 * jnp.clip(as_array(x, "sparse_sigmoid") + 1.0, 0.0, 2.0)


def hard_tanh(x: Any) -> Array:
    """x, cut off at -1 and 1.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import hard_tanh
      >>> print(hard_tanh(jnp.array([-1.0, 0.0, 2.0])))
      [-1.  0.  1.]
    """
    x = as_array(x, "hard_tanh")
    return jnp.where(x > 1, 1, jnp.where(x < -1, -1, x))


def hard_sigmoid(x: Any) -> Array:
    """relu6(x + 3) / 6

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import hard_sigmoid
      >>> print(hard_sigmoid(jnp.array([-1.0, 0.0, 2.0])))
      [0.33333334 0.5        0.8333333 ]
    """
    return relu6(as_array(x, "hard_sigmoid") + 3.0) / 6.0


def hard_silu(x: Any) -> Array:
    """x * hard_sigmoid(x)

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import hard_silu
      >>> print(hard_silu(jnp.array([-1.0, 0.0, 2.0])))
      [-0.33333334  0.          1.6666666 ]
    """
    x = as_array(x, "hard_silu")
    return x * hard_sigmoid(x)


hard_swish = hard_silu


def log1mexp(x: Any) -> Array:
    """log(1 - exp(-x)) for x > 0, with all its digits.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import log1mexp
      >>> print(log1mexp(jnp.array([1.0, 2.0])))
      [-0.4586751  -0.14541346]
    """
    # Mächler, "Accurately computing log(1 - exp(-|a|))" (2012). Each formula is asked only for its
    # own numbers, so that the other's derivative, which may be inf, is not multiplied by 0.
    x = inexact("log1mexp", x)
    near = x < math.log(2.0)
    small, large = jnp.where(near, x, 0.5), jnp.where(near, 1.0, x)
    return jnp.where(near, jnp.log(-jnp.expm1(-small)), jnp.log1p(-jnp.exp(-large)))


# ---- along axes


def glu(x: Any, axis: int = -1) -> Array:
    """The first half along `axis` times the sigmoid of the second half.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import glu
      >>> print(glu(jnp.array([1.0, 2.0, 0.0, 0.0])))
      [0.5 1. ]
    """
    x = as_array(x, "glu")
    axis = axis_number(axis, len(x.shape))
    if x.shape[axis] % 2:
        raise error(
            ValueError,
            "nn.glu needs an axis of even length.",
            got=f"axis {axis} of {x.aval.str_short()}",
            fix="give twice as many features as should come out.",
        )
    first, second = jnp.split(x, 2, axis)
    return first * sigmoid(second)


def logsumexp(
    a: Any,
    axis: Any = None,
    b: Any = None,
    keepdims: bool = False,
    return_sign: bool = False,
    where: Any = None,
) -> Any:
    """log(sum(b * exp(a))), also where the exponentials do not fit.

    Args:
      a: the exponents.
      axis: the axis or axes to sum over; all if None.
      b: factors, 1 by default. A negative sum gives nan, unless `return_sign`.
      keepdims: whether the axes stay, with length 1.
      return_sign: whether to return the logarithm of the absolute value, and the sign.
      where: a mask of the elements to count in.

    Example:
      >>> from pullback import nn, numpy as jnp
      >>> nn.logsumexp(jnp.array([1000.0, 1000.0]))
      Array(1000.6932, dtype=float32)
    """
    if where is None and b is None and not return_sign:
        done = eager.logsumexp(a, axis, keepdims)
        if done is not None:
            return done
    if where is not None:
        a = jnp.where(where, a, 0)
    if b is None:
        (a,) = promote_inexact("logsumexp", a)
    else:
        a, b = promote_inexact("logsumexp", a, b)
        a = jnp.where(b != 0, a, -np.inf)
    largest = jnp.max(jnp.real(a), axis=axis, keepdims=True, where=where, initial=-np.inf)
    largest = lax.stop_gradient(jnp.where(jnp.isfinite(largest), largest, 0))
    terms = jnp.exp(a - largest.astype(a.dtype))
    if b is not None:
        terms = terms * b
    total = jnp.sum(terms, axis=axis, keepdims=keepdims, where=where)
    if not keepdims:
        largest = jnp.reshape(largest, total.shape)
    return _log_of_sum(total, largest, b is not None, return_sign)


def _log_of_sum(total: Any, largest: Any, signed: bool, return_sign: bool) -> Any:
    is_complex = total.dtype.kind == "c"
    size = jnp.abs(total) if return_sign or not is_complex else total
    out = jnp.log(size) + largest.astype(size.dtype)
    if return_sign:
        return out, jnp.sign(total)
    return jnp.where(total < 0, np.nan, out) if signed and not is_complex else out


def logmeanexp(x: Any, axis: Any = None, where: Any = None, keepdims: bool = False) -> Array:
    """log(mean(exp(x))), also where the exponentials do not fit.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import logmeanexp
      >>> print(logmeanexp(jnp.array([-1.0, 0.0, 2.0])))
      1.0712337
    """
    total = logsumexp(x, axis=axis, where=where, keepdims=keepdims)
    ones = jnp.ones(jnp.shape(x), total.dtype)
    count = jnp.sum(ones, axis=axis, where=where, keepdims=keepdims)
    return total - jnp.log(count)


def softmax(x: Any, axis: Any = -1, where: Any = None) -> Array:
    """exp(x) / sum(exp(x)) along `axis`, also where the exponentials do not fit.

    Args:
      x: an array.
      axis: the axis or axes to sum over.
      where: a mask of the elements to count in; others give 0.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import softmax
      >>> print(softmax(jnp.array([-1.0, 0.0, 2.0])))
      [0.04201007 0.1141952  0.8437947 ]
    """
    done = eager.along_rows("softmax", x, axis) if where is None else None
    if done is not None:
        return done
    shifted = _shifted("softmax", x, axis, where)
    unnormalized = jnp.exp(shifted)
    out = unnormalized / jnp.sum(unnormalized, axis, where=where, keepdims=True)
    return out if where is None else jnp.where(where, out, 0)


def log_softmax(x: Any, axis: Any = -1, where: Any = None) -> Array:
    """log(softmax(x)), right also where softmax(x) is 0; -inf where the mask `where` is False.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import log_softmax
      >>> print(log_softmax(jnp.array([-1.0, 0.0, 2.0])))
      [-3.169846   -2.169846   -0.16984603]
    """
    done = eager.along_rows("log_softmax", x, axis) if where is None else None
    if done is not None:
        return done
    shifted = _shifted("log_softmax", x, axis, where)
    total = jnp.sum(jnp.exp(shifted), axis, where=where, keepdims=True)
    out = shifted - jnp.log(total)
    return out if where is None else jnp.where(where, out, -np.inf)


def _shifted(name: str, x: Any, axis: Any, where: Any) -> Any:
    """x less its maximum, so that its exponentials are at most 1."""
    x = inexact(name, x)
    largest = jnp.max(x, axis, where=where, initial=-np.inf, keepdims=True)
    if where is not None:
        x = jnp.where(where, x, -np.inf)
    return x - lax.stop_gradient(largest)


def standardize(
    x: Any,
    axis: Any = -1,
    mean: Any = None,
    variance: Any = None,
    epsilon: Any = 1e-5,
    where: Any = None,
    *,
    algorithm: str = "fast",
) -> Array:
    """(x - mean) / sqrt(variance + epsilon)

    Args:
      x: an array.
      axis: the axis or axes over which mean and variance are taken.
      mean: the mean, if it is known.
      variance: the variance, if it is known.
      epsilon: keeps the divisor away from 0.
      where: a mask of the elements to count in.
      algorithm: how the variance is taken: "fast", as mean(x**2) - mean**2, or "stable".

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.nn import standardize
      >>> print(standardize(jnp.array([-1.0, 0.0, 2.0])))
      [-1.0690416 -0.2672604  1.3363019]
    """
    x = as_array(x, "standardize")
    if mean is None:
        mean = jnp.mean(x, axis, keepdims=True, where=where)
    if variance is None:
        if algorithm == "stable":
            variance = jnp.mean(jnp.square(x - mean), axis, keepdims=True, where=where)
        elif algorithm == "fast":
            squares = jnp.mean(jnp.square(x), axis, keepdims=True, where=where)
            variance = jnp.clip(squares - jnp.square(mean), 0)
        else:
            raise error(
                ValueError,
                f"Unknown algorithm '{algorithm}'. Expected 'fast' or 'stable'.",
                got=f"algorithm={algorithm!r}",
                fix="use one of these.",
            )
    return (x - mean) * lax.rsqrt(inexact("standardize", variance + epsilon))


def one_hot(x: Any, num_classes: int, *, dtype: Any = None, axis: int = -1) -> Array:
    """For each integer a vector of zeros with a one in its place.

    An integer that is not in 0 ... num_classes - 1 gives zeros.

    Args:
      x: an array of integers.
      num_classes: the length of the vectors.
      dtype: the dtype of the result; float32 by default (float64 with x64).
      axis: where the new axis comes.

    Example:
      >>> from pullback import nn, numpy as jnp
      >>> nn.one_hot(jnp.array([2, 0]), 3)
      Array([[0., 0., 1.],
             [1., 0., 0.]], dtype=float32)
    """
    n = integer(num_classes, "`num_classes` of nn.one_hot")
    if n < 0:
        raise error(
            TypeError,
            "nn.one_hot needs a number of classes of 0 or more.",
            got=f"num_classes={n}",
            fix="give the length of the vectors, such as int(x.max()) + 1.",
        )
    x = jnp.asarray(x)
    if dtypes.kind(x.dtype) not in "iu":
        warn(f"jax.nn.one_hot input should be integer-typed; got dtype={x.dtype}")
    kept = dtypes.default_float() if dtype is None else dtypes.canonical(dtype)
    rank = len(x.shape) + 1
    axis = axis_number(axis, rank)
    shape = (*x.shape[:axis], n, *x.shape[axis:])
    wide = broadcast_in_dim(
        x, shape=shape, broadcast_dimensions=tuple(i for i in range(rank) if i != axis)
    )
    hot = eq(wide, iota(dtype=x.dtype, shape=shape, dimension=axis))
    return convert_element_type(hot, new_dtype=kept, weak_type=False)
