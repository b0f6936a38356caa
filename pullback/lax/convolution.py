"""Convolutions: one general function, its common forms, and its shapes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..core.array import Array
from ..core.errors import error
from ..core.trace import type_of
from ..numpy.taking import taken
from ..ops import convolution, slicing, structural
from ..ops.convolution import ConvDimensionNumbers as ConvDimensionNumbers
from ..ops.convolution import dilated
from ..ops.precision import canonical_precision
from .arguments import apply, as_array, integers, requested
from .contraction import PrecisionLike, dot_general
from .conversion import convert_element_type
from .padtypes import padtype_to_pads, pairs

ConvGeneralDilatedDimensionNumbers = tuple[str, str, str] | ConvDimensionNumbers | None
"""What `dimension_numbers` may be: ("NHWC", "HWIO", "NHWC"), say."""


def conv_general_dilated(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: ConvGeneralDilatedDimensionNumbers = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Array:
    """The convolution of neural networks (a correlation: the kernel is not reversed).

    Args:
      lhs: an array of batches, features and any number of spatial axes.
      rhs: the kernel, of out features, in features and as many spatial axes.
      window_strides: the steps between places of the kernel.
      padding: (low, high) of each spatial axis, negative to cut off; or "SAME", "SAME_LOWER",
        "VALID", see `padtype_to_pads`.
      lhs_dilation: d puts d - 1 zeros between the elements of `lhs` (a transposed convolution).
      rhs_dilation: the same for the kernel.
      dimension_numbers: strings that name the axes of lhs, rhs and result: N batch, C feature,
        O and I out and in features, other letters spatial axes. Strides, padding and dilations are
        in the order in which these stand in the second string. None: ("NCHW", "OIHW", "NCHW").
      feature_group_count: features in so many groups, each with its own part of the kernel.
      batch_group_count: the same for batches.
      precision: accepted for compatibility: this engine always uses all digits.
      preferred_element_type: the dtype to give.
      out_sharding: accepted for compatibility: there is one device.

    Raises:
      TypeError, ValueError: shapes, dtypes or parameters do not fit together.

    Example:
      >>> from pullback import lax
      >>> import pullback.numpy as jnp
      >>> x, w = jnp.arange(4.0).reshape(1, 1, 4), jnp.array([[[1.0, -1.0]]])
      >>> print(lax.conv_general_dilated(x, w, (1,), "SAME"))
      [[[-1. -1. -1.  3.]]]
    """
    x, w = as_array(lhs, "conv_general_dilated"), as_array(rhs, "conv_general_dilated")
    given = (
        tuple(x.shape),
        tuple(w.shape),
        window_strides,
        padding,
        lhs_dilation,
        rhs_dilation,
        dimension_numbers,
    )
    # Reading names and padding takes 20 us, three times what the rest of a small call takes.
    settle = _kept_settled if _is_hashable(given) else _settled
    strides, pads, between, apart, numbers = settle(*given)
    wanted = preferred_element_type
    return apply(
        convolution.conv_general_dilated,
        x,
        w,
        window_strides=strides,
        padding=pads,
        lhs_dilation=between,
        rhs_dilation=apart,
        dimension_numbers=numbers,
        feature_group_count=operator.index(feature_group_count),
        batch_group_count=operator.index(batch_group_count),
        precision=canonical_precision(precision),
        preferred_element_type=(
            None if wanted is None else requested(wanted, "conv_general_dilated")
        ),
    )


def _is_hashable(given: Any) -> bool:
    try:
        hash(given)
    except TypeError:
        return False
    return True


def _settled(
    x_shape: Any,
    w_shape: Any,
    window_strides: Any,
    padding: Any,
    lhs_dilation: Any,
    rhs_dilation: Any,
    dimension_numbers: Any,
) -> tuple[Any, ...]:
    """Strides, padding, dilations and dimension numbers as the operation takes them."""
    numbers = conv_dimension_numbers(x_shape, w_shape, dimension_numbers)
    spatial = len(x_shape) - 2
    strides = integers(window_strides, "conv_general_dilated")
    between = _dilation(lhs_dilation, spatial)
    apart = _dilation(rhs_dilation, spatial)
    if not isinstance(padding, str):
        return strides, pairs(padding, "conv_general_dilated"), between, apart, numbers
    if any(d != 1 for d in between):
        raise error(
            ValueError,
            "padding cannot be given by name where lhs is dilated.",
            got=f"padding={padding!r}, lhs_dilation={between}",
            fix="give (low, high) for each spatial axis, or use lax.conv_transpose.",
        )
    pads = _named_pads(x_shape, w_shape, numbers, strides, apart, padding)
    return strides, pads, between, apart, numbers


_kept_settled = lru_cache(maxsize=1024)(_settled)


def _dilation(given: Any, spatial: int) -> tuple[int, ...]:
    return (1,) * spatial if given is None else integers(given, "conv_general_dilated")


def _named_pads(
    x: Any, w: Any, numbers: Any, strides: Any, dilation: Any, padding: str
) -> tuple[tuple[int, int], ...]:
    spatial = [x[i] for i in numbers.lhs_spec[2:]]
    if not len(spatial) == len(strides) == len(dilation):
        return ((0, 0),) * len(spatial)  # the operation says what is wrong
    window = [dilated(w[i], d) for i, d in zip(numbers.rhs_spec[2:], dilation)]
    if any(s < 1 for s in strides):
        return ((0, 0),) * len(spatial)
    return tuple(padtype_to_pads(spatial, window, strides, padding))


def conv(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
) -> Array:
    """A convolution of (N, C, *spatial) with (O, I, *spatial), of strides and padding only."""
    return conv_general_dilated(
        lhs,
        rhs,
        window_strides,
        padding,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


def conv_with_general_padding(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None,
    rhs_dilation: Sequence[int] | None,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
) -> Array:
    """A convolution of (N, C, *spatial) with (O, I, *spatial) in one group."""
    return conv_general_dilated(
        lhs,
        rhs,
        window_strides,
        padding,
        lhs_dilation,
        rhs_dilation,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


_TRANSPOSE_DEFAULTS = {
    2: ("NC", "IO", "NC"),
    3: ("NHC", "HIO", "NHC"),
    4: ("NHWC", "HWIO", "NHWC"),
    5: ("NHWDC", "HWDIO", "NHWDC"),
}


def conv_transpose(
    lhs: Any,
    rhs: Any,
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: ConvGeneralDilatedDimensionNumbers = None,
    transpose_kernel: bool = False,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    use_consistent_padding: bool = False,
) -> Array:
    """A "transposed" convolution: the input is dilated by `strides`.

    Args:
      lhs, rhs: as for `conv_general_dilated`.
      strides: those of the convolution that this one undoes in shape.
      padding: "SAME" or "VALID", of that convolution; or (low, high) for each spatial axis, of this
        one, or of that one with `use_consistent_padding`.
      rhs_dilation: the dilation of the kernel.
      dimension_numbers: as for `conv_general_dilated`; None: features last, e.g. ("NHWC", "HWIO",
        "NHWC").
      transpose_kernel: reverse the kernel and exchange its features: the result is then exactly the
        derivative of that convolution with respect to its input.
      precision, preferred_element_type: as for `conv_general_dilated`.

    Example:
      >>> from pullback import lax
      >>> import pullback.numpy as jnp
      >>> x, w = jnp.ones((1, 2, 1)), jnp.ones((2, 1, 1))
      >>> print(lax.conv_transpose(x, w, (2,), "SAME").ravel())
      [1. 1. 1. 1.]
    """
    x, w = as_array(lhs, "conv_transpose"), as_array(rhs, "conv_transpose")
    rank = len(x.shape)
    if len(w.shape) != rank or rank < 2 or (dimension_numbers is None and rank > 5):
        raise error(
            ValueError,
            "conv_transpose takes arrays of one rank of at least 2; from rank 6 on, "
            "dimension_numbers must be given.",
            got=f"{type_of(x).str_short()} and {type_of(w).str_short()}",
            fix="give dimension_numbers as three strings.",
        )
    names = _TRANSPOSE_DEFAULTS[rank] if dimension_numbers is None else dimension_numbers
    numbers = conv_dimension_numbers(x.shape, w.shape, names)
    steps = integers(strides, "conv_transpose")
    if len(steps) != rank - 2:
        raise error(
            ValueError,
            f"conv_transpose needs one stride for each of the {rank - 2} spatial axes.",
            got=f"strides={steps}",
            fix="give a tuple of as many integers.",
        )
    apart = (1,) * (rank - 2) if rhs_dilation is None else integers(rhs_dilation, "conv_transpose")
    pads: Any = padding
    if use_consistent_padding or (isinstance(padding, str) and padding in ("SAME", "VALID")):
        each = [padding] * len(steps) if isinstance(padding, str) else padding
        lengths = [dilated(w.shape[i], d) for i, d in zip(numbers.rhs_spec[2:], apart)]
        pads = tuple(_transposed_pads(k, s, p) for k, s, p in zip(lengths, steps, each))
    if transpose_kernel:
        out, into, *spatial = numbers.rhs_spec
        w = structural.rev(w, dimensions=tuple(spatial))
        order = list(range(rank))
        order[out], order[into] = into, out
        w = structural.transpose(w, permutation=tuple(order))
    return conv_general_dilated(
        x,
        w,
        (1,) * (rank - 2),
        pads,
        steps,
        apart,
        numbers,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


def _transposed_pads(k: int, s: int, padding: Any) -> tuple[int, int]:
    """The padding of the transposed convolution for a kernel of length k and stride s."""
    if padding == "SAME":
        total = k + s - 2
        low = k - 1 if s > k - 1 else -(-total // 2)
    elif padding == "VALID":
        total = k + s - 2 + max(k - s, 0)
        low = k - 1
    elif isinstance(padding, (tuple, list)) and len(padding) == 2:
        low = k - 1 - padding[0]
        total = low + k - 1 - padding[1]
    else:
        raise error(
            ValueError,
            "conv_transpose knows two names of paddings.",
            got=f"padding {padding!r}",
            fix="use 'SAME', 'VALID' or (low, high) for each spatial axis.",
        )
    return low, total - low


# ---- windows


def conv_general_dilated_patches(
    lhs: Any,
    filter_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: ConvGeneralDilatedDimensionNumbers = None,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Array:
    """The windows that a convolution multiplies with its kernel, as features.

    Args:
      lhs: as for `conv_general_dilated`.
      filter_shape: the lengths of the window.
      window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers: as there.
      precision: accepted for compatibility: nothing is multiplied.
      preferred_element_type: the dtype to give.

    Returns:
      An array whose features are those of `lhs` times the places in the window, the latter in the
      order of the spatial letters of `dimension_numbers[1]`, the last fastest.

    Example:
      >>> from pullback import lax
      >>> import pullback.numpy as jnp
      >>> x = jnp.arange(4.0).reshape(1, 1, 4)
      >>> print(lax.conv_general_dilated_patches(x, (2,), (1,), "VALID"))
      [[[0. 1. 2.]
        [1. 2. 3.]]]
    """
    name = "conv_general_dilated_patches"
    x, window = as_array(lhs, name), integers(filter_shape, name)
    if len(window) != x.ndim - 2:
        raise error(
            ValueError,
            f"{name} needs a window with one length for each of the {x.ndim - 2} spatial axes.",
            got=f"filter_shape={window} for {type_of(x).str_short()}",
            fix="give a tuple of as many integers.",
        )
    numbers = conv_dimension_numbers(x.shape, (1, 1, *window), dimension_numbers)
    features = x.shape[numbers.lhs_spec[1]]
    kernel = [0] * len(x.shape)
    for i, n in zip(numbers.rhs_spec, (features, 1, *window)):
        kernel[i] = n
    strides, spatial = integers(window_strides, name), len(window)
    between, apart = _dilation(lhs_dilation, spatial), _dilation(rhs_dilation, spatial)
    if isinstance(padding, str) and all(d == 1 for d in between):
        pads: Any = _named_pads(x.shape, kernel, numbers, strides, apart, padding)
    else:
        pads = pairs(padding, name)
    plan = convolution.make_plan(
        tuple(x.shape), tuple(kernel), strides, pads, between, apart, numbers, features or 1, 1
    )
    if preferred_element_type is not None:
        x = convert_element_type(x, preferred_element_type)
    x = structural.transpose(x, permutation=tuple(numbers.lhs_spec))
    config = ((0, 0, 0), (0, 0, 0), *((a.low, a.high, a.x_dilation - 1) for a in plan.axes))
    x = slicing.pad(x, structural.zero_like(x), padding_config=config)
    for i, a in enumerate(plan.axes):
        # Axis 2 + 2i becomes two: place in the window, and window.
        places = np.arange(a.k)[:, None] * a.w_dilation + np.arange(a.out) * a.stride
        x = taken(x, as_array(places.astype(np.int32), name), 2 + 2 * i)
    order = (0, 1, *range(2, 2 + 2 * spatial, 2), *range(3, 3 + 2 * spatial, 2))
    x = structural.transpose(x, permutation=order)
    count = features * int(np.prod(window, dtype=np.int64))
    x = structural.reshape(x, new_sizes=(x.shape[0], count, *(a.out for a in plan.axes)))
    back = structural.inverse_permutation(numbers.out_spec)
    return structural.transpose(x, permutation=tuple(back))  # type: ignore[no-any-return]


def conv_general_dilated_local(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    filter_shape: Sequence[int],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: ConvGeneralDilatedDimensionNumbers = None,
    precision: PrecisionLike = None,
) -> Array:
    """A convolution with a kernel of its own at each place: a locally connected layer.

    Args:
      lhs: as for `conv_general_dilated`.
      rhs: the kernels: out features, in features times places in the window (as the features of
        `conv_general_dilated_patches`), and the places of the result.
      filter_shape: the lengths of the window.
      window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers, precision: as there.

    Example:
      >>> from pullback import lax
      >>> import pullback.numpy as jnp
      >>> x, w = jnp.arange(4.0).reshape(1, 1, 4), jnp.arange(6.0).reshape(1, 2, 3)
      >>> print(lax.conv_general_dilated_local(x, w, (1,), "VALID", (2,)))
      [[[ 3.  9. 19.]]]
    """
    name = "conv_general_dilated_local"
    x, w = as_array(lhs, name), as_array(rhs, name)
    patches = conv_general_dilated_patches(
        x, filter_shape, window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers
    )
    window = integers(filter_shape, name)
    numbers = conv_dimension_numbers(x.shape, (1, 1, *window), dimension_numbers)
    _, kernel, out = numbers
    axes = sorted(zip(out[2:], kernel[2:], strict=True))
    spatial, kernel_spatial = tuple(i for i, _ in axes), tuple(i for _, i in axes)
    features = patches.shape[out[1]]
    places = tuple(patches.shape[i] for i in spatial)
    if (
        w.ndim != x.ndim
        or w.shape[kernel[1]] != features
        or any(w.shape[i] != n for i, n in zip(kernel_spatial, places, strict=True))
    ):
        raise error(
            TypeError,
            f"{name}: rhs has a kernel for each place of the result, as one vector.",
            got=f"{type_of(w).str_short()}, for {features} features in a window and {places} "
            "places",
            fix="let rhs have the features of conv_general_dilated_patches as its in features, and "
            "the places as its spatial axes.",
        )
    product = dot_general(
        patches, w, (((out[1],), (kernel[1],)), (spatial, kernel_spatial)), precision
    )
    # Its axes are: places, batch, out features.
    made = (*spatial, out[0], out[1])
    back = structural.inverse_permutation(made)
    return structural.transpose(product, permutation=tuple(back))  # type: ignore[no-any-return]


# ---- dimension numbers and shapes


def conv_dimension_numbers(
    lhs_shape: Sequence[int],
    rhs_shape: Sequence[int],
    dimension_numbers: ConvGeneralDilatedDimensionNumbers,
) -> ConvDimensionNumbers:
    """The axes that three strings name; None: batch and feature first, out and in features first.

    Example:
      >>> from pullback import lax
      >>> lax.conv_dimension_numbers((1, 4, 4, 2), (3, 3, 2, 8), ("NHWC", "HWIO", "NHWC")).rhs_spec
      (3, 2, 0, 1)
    """
    if isinstance(dimension_numbers, ConvDimensionNumbers):
        return dimension_numbers
    rank = len(lhs_shape)
    if rank != len(rhs_shape):
        raise error(
            TypeError,
            "a convolution needs two arrays of one rank.",
            got=f"shapes {tuple(lhs_shape)} and {tuple(rhs_shape)}",
            fix="add axes with jnp.expand_dims, or use vmap.",
        )
    if dimension_numbers is None:
        return ConvDimensionNumbers(*(tuple(range(rank)),) * 3)
    names = dimension_numbers
    if not (
        isinstance(names, (tuple, list))
        and len(names) == 3
        and all(isinstance(s, str) and len(s) == rank for s in names)
    ):
        raise error(
            TypeError,
            "dimension_numbers are three strings with one letter for each axis.",
            got=f"{names!r} for shapes {tuple(lhs_shape)} and {tuple(rhs_shape)}",
            fix='use e.g. ("NHWC", "HWIO", "NHWC").',
        )
    return ConvDimensionNumbers(*conv_general_permutations(names))


def conv_general_permutations(dimension_numbers: Any) -> tuple[tuple[int, ...], ...]:
    """The axes (N, C, *spatial), (O, I, *spatial), (N, C, *spatial) that three strings name."""
    lhs, rhs, out = dimension_numbers
    special = ("NC", "OI", "NC")
    for names, ends in zip((lhs, rhs, out), special, strict=True):
        if any(names.count(c) != 1 for c in ends) or len(set(names)) != len(names):
            raise error(
                TypeError,
                f"each of dimension_numbers must have {ends[0]} and {ends[1]}, no letter twice.",
                got=f"{names!r} in {tuple(dimension_numbers)}",
                fix='use e.g. ("NHWC", "HWIO", "NHWC").',
            )
    spatial = [c for c in rhs if c not in "OI"]
    for names in (lhs, out):
        if set(names) - set("NC") != set(spatial):
            raise error(
                TypeError,
                "all three of dimension_numbers must name the same spatial axes.",
                got=f"{tuple(dimension_numbers)}",
                fix='use e.g. ("NHWC", "HWIO", "NHWC").',
            )
    return tuple(
        tuple(names.index(c) for c in (*ends, *spatial))
        for names, ends in zip((lhs, rhs, out), special, strict=True)
    )


def conv_shape_tuple(
    lhs_shape: Sequence[int],
    rhs_shape: Sequence[int],
    strides: Sequence[int],
    pads: Any,
    batch_group_count: int = 1,
) -> tuple[int, ...]:
    """The shape of a convolution of (N, C, *spatial) with (O, I, *spatial)."""
    if isinstance(pads, str):
        pads = padtype_to_pads(lhs_shape[2:], rhs_shape[2:], strides, pads)
    if len(pads) != len(lhs_shape) - 2:
        raise error(
            TypeError,
            "padding needs (low, high) for each spatial axis.",
            got=f"{len(pads)} pairs for shape {tuple(lhs_shape)}",
            fix=f"give {len(lhs_shape) - 2} pairs.",
        )
    lengths = [int(n) + sum(pad) for n, pad in zip(lhs_shape[2:], pads)]
    if any(n < 0 for n in lengths):
        raise error(
            ValueError,
            "negative padding cuts off more than there is.",
            got=f"padding {tuple(pads)} of shape {tuple(lhs_shape)}",
            fix="cut off at most the whole length of each axis.",
        )
    places = (max(0, (n - k) // s + 1) for n, k, s in zip(lengths, rhs_shape[2:], strides))
    return (lhs_shape[0] // batch_group_count, rhs_shape[0], *map(int, places))


def conv_general_shape_tuple(
    lhs_shape: Sequence[int],
    rhs_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
    dimension_numbers: Any,
) -> tuple[int, ...]:
    """The shape of a convolution of arrays with these dimension numbers."""
    lhs, rhs, out = conv_general_permutations(dimension_numbers)
    made = conv_shape_tuple(
        [lhs_shape[i] for i in lhs], [rhs_shape[i] for i in rhs], window_strides, padding
    )
    return tuple(made[i] for i in structural.inverse_permutation(out))


def conv_transpose_shape_tuple(
    lhs_shape: Sequence[int],
    rhs_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
    dimension_numbers: Any,
) -> tuple[int, ...]:
    """The shape of a `conv_transpose` of arrays with these dimension numbers."""
    lhs, rhs, out = conv_general_permutations(dimension_numbers)
    x, w = [lhs_shape[i] for i in lhs], [rhs_shape[i] for i in rhs]
    if isinstance(padding, str):
        padding = [_transposed_pads(k, s, padding) for k, s in zip(w[2:], window_strides)]
    spatial = (
        (n - 1) * s - k + 2 + sum(pad)
        for n, k, s, pad in zip(x[2:], w[2:], window_strides, padding, strict=True)
    )
    made = (x[0], w[0], *spatial)
    return tuple(made[i] for i in structural.inverse_permutation(out))
