"""The one convolution, conv_general_dilated, in any number of dimensions, with all its options."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..core import dtypes
from ..core.errors import error
from ..core.primitive import CORE, NOT_LINEAR, Linear, Primitive
from ..core.types import ArrayType, array_type
from .contraction import fits_in_double
from .convolving import Plan, Spatial, convolve
from .elementwise import add_any, convert_element_type
from .structural import move_axis, reshape, rev, zeros


class ConvDimensionNumbers(NamedTuple):
    """Which axis is what.

    `lhs_spec` and `out_spec` give the axes (batch, feature, *spatial), `rhs_spec` those
    (out feature, in feature, *spatial).
    """

    lhs_spec: tuple[int, ...]
    rhs_spec: tuple[int, ...]
    out_spec: tuple[int, ...]


class ConvGeneralDilated(Primitive):
    """out[b, o, y] = sum over i, t of lhs[b, i, y stride + t rhs_dilation - low] rhs[o, i, t].

    Between the elements of lhs stand `lhs_dilation - 1` zeros, around it zeros by `padding`.
    Features, or batches, are in groups, each with its own part of rhs's out features.
    """

    def typing(
        self,
        lhs: Any,
        rhs: Any,
        *,
        window_strides: Any,
        padding: Any,
        lhs_dilation: Any,
        rhs_dilation: Any,
        dimension_numbers: Any,
        feature_group_count: int,
        batch_group_count: int,
        precision: Any = None,
        preferred_element_type: Any = None,
    ) -> ArrayType:
        dtype = _result_dtype(lhs, rhs, preferred_element_type)
        plan = make_plan(
            lhs.shape,
            rhs.shape,
            window_strides,
            padding,
            lhs_dilation,
            rhs_dilation,
            dimension_numbers,
            feature_group_count,
            batch_group_count,
        )
        return array_type(plan.out_shape, dtype, lhs.weak_type and rhs.weak_type)

    def eval(
        self,
        lhs: Any,
        rhs: Any,
        *,
        window_strides: Any,
        padding: Any,
        lhs_dilation: Any,
        rhs_dilation: Any,
        dimension_numbers: Any,
        feature_group_count: int,
        batch_group_count: int,
        precision: Any = None,
        preferred_element_type: Any = None,
    ) -> Any:
        plan = make_plan(
            lhs.shape,
            rhs.shape,
            window_strides,
            padding,
            lhs_dilation,
            rhs_dilation,
            dimension_numbers,
            feature_group_count,
            batch_group_count,
        )
        dtype = lhs.dtype if preferred_element_type is None else preferred_element_type
        inner = _inner_dtype(lhs, rhs, dtype)
        out = convolve(lhs.astype(inner, copy=False), rhs.astype(inner, copy=False), plan)
        if out.dtype == dtype:
            return out
        if dtypes.kind(dtype) == "b":
            return out != 0
        if dtypes.kind(dtype) in "iu" and inner.kind == "f":
            out = out.astype(np.int64)
        return out.astype(dtype)

    def jvp(self, primals: Any, tangents: Any, out: Any, **params: Any) -> Any:
        (x, w), (dx, dw) = primals, tangents
        if dw is None:
            return conv_general_dilated(dx, w, **params)
        if dx is None:
            return conv_general_dilated(x, dw, **params)
        return add_any(conv_general_dilated(dx, w, **params), conv_general_dilated(x, dw, **params))

    def transpose(self, ct: Any, x: Any, w: Any, **params: Any) -> list[Any]:
        if type(x) is Linear:
            if type(w) is Linear:
                return NOT_LINEAR(ct, x, w)  # type: ignore[no-any-return]
            return [_of_type(_transposed_lhs(ct, x, w, **params), x), None]
        return [None, _of_type(_transposed_rhs(ct, x, w, **params), w)]

    def vmap(
        self,
        size: int,
        args: Any,
        axes: Any,
        *,
        dimension_numbers: Any,
        feature_group_count: int,
        batch_group_count: int,
        **params: Any,
    ) -> Any:
        (x, w), (x_at, w_at) = args, axes
        (batch, feature, *_), (wide, *_), (out_batch, out_feature, *_) = dimension_numbers
        fg, bg = feature_group_count, batch_group_count
        if size == 0:
            shown = [
                a.aval if i is None else a.aval.without_axis(i) for a, i in ((x, x_at), (w, w_at))
            ]
            groups: dict[str, Any] = {"feature_group_count": fg, "batch_group_count": bg}
            groups |= {"dimension_numbers": dimension_numbers, **params}
            one = self.typing(shown[0], shown[1], **groups)
            return zeros(one.with_axis(0, 0)), 0
        # An axis mapped in one operand only is more batches or more out features of each group;
        # one that is mapped in both is more groups.
        inner, target = 1, out_feature
        if w_at is None:
            x, target = _fold(x, x_at, batch, bg), out_batch
        elif x_at is None:
            inner = fg * bg
            w = _fold(w, w_at, wide, inner)
        else:
            w = _fold(w, w_at, wide, 1)
            if bg > 1:
                x, bg = _fold(x, x_at, batch, 1), bg * size
            else:
                x, fg = _fold(x, x_at, feature, 1), fg * size
        out = conv_general_dilated(
            x,
            w,
            dimension_numbers=dimension_numbers,
            feature_group_count=fg,
            batch_group_count=bg,
            **params,
        )
        return _unfold(out, target, size, inner), 0

    lower = CORE

    def shown(self, params: dict[str, Any]) -> dict[str, Any]:
        """The parameters as programs print them: nothing that is not set."""
        return {name: value for name, value in params.items() if value is not None}


conv_general_dilated = ConvGeneralDilated()


# ---- shapes and dtypes


def _given(spatial: int, *lengths: Any) -> str:
    """The parameters of windows that are not ones, each with a comma behind it."""
    names = ("window_strides", "lhs_dilation", "rhs_dilation")
    pairs = zip(names, lengths, strict=True)
    return "".join(f"{k}={v}, " for k, v in pairs if tuple(v) != (1,) * spatial)


@lru_cache(maxsize=4096)
def make_plan(
    x_shape: Any,
    w_shape: Any,
    strides: Any,
    padding: Any,
    x_dilation: Any,
    w_dilation: Any,
    numbers: Any,
    feature_groups: int,
    batch_groups: int,
) -> Plan:
    """Check shapes and parameters; the shape of the result and how to compute it."""
    flaw = _flaw(x_shape, w_shape, strides, padding, x_dilation, w_dilation) or _group_flaw(
        x_shape, w_shape, numbers, feature_groups, batch_groups
    )
    if flaw is not None:
        kind, what, fix = flaw
        raise error(
            kind,
            f"conv_general_dilated: {what}.",
            got=f"shapes {tuple(x_shape)} and {tuple(w_shape)}, "
            + _given(len(x_shape) - 2, strides, x_dilation, w_dilation)
            + f"padding={padding}, feature_group_count={feature_groups}, "
            f"batch_group_count={batch_groups}",
            fix=fix,
        )
    axes = []
    for i, (s, (low, high), dx, dw) in enumerate(zip(strides, padding, x_dilation, w_dilation)):
        n, k = x_shape[numbers.lhs_spec[i + 2]], w_shape[numbers.rhs_spec[i + 2]]
        length = dilated(n, dx) + low + high
        if length < 0:
            raise error(
                ValueError,
                "conv_general_dilated: negative padding cuts off more than there is.",
                got=f"spatial axis {i} of length {n}, padding {(low, high)}, lhs_dilation {dx}",
                fix="cut off at most the whole length of each axis.",
            )
        out = max(0, (length - dilated(k, dw)) // s + 1)
        axes.append(Spatial(n, k, out, s, low, high, dx, dw))
    inside = (
        x_shape[numbers.lhs_spec[0]] // batch_groups,
        w_shape[numbers.rhs_spec[0]],
        *(a.out for a in axes),
    )
    shape = [0] * len(inside)
    for n, at in zip(inside, numbers.out_spec):
        shape[at] = n
    return Plan(
        tuple(numbers.lhs_spec),
        tuple(numbers.rhs_spec),
        tuple(numbers.out_spec),
        tuple(shape),
        feature_groups,
        batch_groups,
        tuple(axes),
    )


def dilated(n: int, dilation: int) -> int:
    """The length of an axis with `dilation - 1` places between its elements."""
    return 0 if n == 0 else (n - 1) * dilation + 1


def _flaw(
    x: Any, w: Any, strides: Any, padding: Any, x_dilation: Any, w_dilation: Any
) -> tuple[type[Exception], str, str] | None:
    rank = len(x) - 2
    if len(x) != len(w) or rank < 0:
        return (
            ValueError,
            f"the arrays need one rank, of at least 2, not {len(x)} and {len(w)}",
            "add axes with jnp.expand_dims, or use vmap.",
        )
    for name, given, kind in (
        ("window_strides", strides, ValueError),
        ("padding", padding, TypeError),
        ("lhs_dilation", x_dilation, TypeError),
        ("rhs_dilation", w_dilation, TypeError),
    ):
        if len(given) != rank:
            return (
                kind,
                f"{name} has {len(given)} entries for {rank} spatial axes",
                "give one for each axis but batch and feature.",
            )
    if not all(s > 0 for s in strides):
        return ValueError, "strides must be positive", "use 1 or more."
    if not all(d > 0 for d in (*x_dilation, *w_dilation)):
        return TypeError, "all dilations must be positive", "1 is no dilation."
    return None


def _group_flaw(
    x: Any, w: Any, numbers: Any, fg: int, bg: int
) -> tuple[type[Exception], str, str] | None:
    batch, feature = (x[i] for i in numbers.lhs_spec[:2])
    wide, narrow = (w[i] for i in numbers.rhs_spec[:2])
    if fg < 1 or bg < 1:
        return ValueError, "group counts must be positive integers", "1 is one group."
    if fg > 1 and bg > 1:
        return ValueError, "features and batches cannot both be in groups", "use one of the two."
    if feature % fg or feature // fg != narrow:
        return (
            ValueError,
            f"lhs has {feature} features in {fg} groups, rhs takes {narrow} of each group",
            "the features of lhs divided by feature_group_count must be the in features of rhs; "
            "check dimension_numbers.",
        )
    if batch % bg:
        return (
            ValueError,
            f"batch_group_count {bg} does not divide the {batch} batches",
            "use a divisor of the number of batches.",
        )
    if wide % (fg * bg):
        return (
            ValueError,
            f"the {wide} out features of rhs are not a multiple of the {fg * bg} groups",
            "each group needs as many out features as the others.",
        )
    return None


def _result_dtype(x: Any, w: Any, preferred: Any) -> np.dtype:
    if x.dtype != w.dtype or dtypes.kind(x.dtype) not in "biufc":
        raise error(
            TypeError,
            "conv_general_dilated needs two arrays of one dtype of numbers or bools.",
            got=f"{x.str_short()} and {w.str_short()}",
            fix="convert one of them with .astype(...).",
        )
    if preferred is None or preferred == x.dtype:
        return x.dtype  # type: ignore[no-any-return]
    old, new = dtypes.kind(x.dtype), dtypes.kind(preferred)
    if old not in {"i": "i", "u": "u", "f": "iuf", "c": "c"}.get(new, "") or (
        preferred.itemsize < x.dtype.itemsize
    ):
        raise error(
            TypeError,
            "preferred_element_type must be of the same kind and not narrower than the dtype of "
            "the arrays.",
            got=f"{dtypes.long_name(x.dtype)}, preferred {dtypes.long_name(preferred)}",
            fix="give a wider type, or convert the result with .astype(...).",
        )
    return preferred  # type: ignore[no-any-return]


def _inner_dtype(x: Any, w: Any, out: np.dtype) -> np.dtype:
    """The dtype to multiply and add in: float32 for shorter floats, as XLA does."""
    kind = dtypes.kind(out)
    if kind == "b":
        return dtypes.float32
    if kind in "iu":
        # Integers wrap around. Where all sums are exact in float64, BLAS does it.
        if fits_in_double(x, w, w.size):
            return dtypes.float64
        return out if out.kind in "iu" else dtypes.int32
    if kind == "c":
        return out
    return dtypes.float64 if out.itemsize == 8 else dtypes.float32


def _of_type(x: Any, like: Any) -> Any:
    if x.dtype == like.dtype:
        return x
    return convert_element_type(x, new_dtype=like.dtype, weak_type=like.aval.weak_type)


# ---- transposes


def _transposed_lhs(
    ct: Any,
    x: Any,
    w: Any,
    *,
    window_strides: Any,
    padding: Any,
    lhs_dilation: Any,
    rhs_dilation: Any,
    dimension_numbers: Any,
    feature_group_count: int,
    batch_group_count: int,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    if not ct.size or not x.aval.size or not w.size:
        return zeros(x.aval)
    x_spec, w_spec, out_spec = dimension_numbers
    back = []
    for n, k, m, s, (low, _), dx, dw in _sizes(
        x, w, ct, dimension_numbers, window_strides, padding, lhs_dilation, rhs_dilation
    ):
        k, n, m = dilated(k, dw), dilated(n, dx), dilated(m, s)
        back.append((k - 1 - low, n - m + low))
    groups = feature_group_count * batch_group_count
    kernel = rev(_of_type(w, ct), dimensions=w_spec[2:])
    if groups > 1:
        kernel = _regroup(kernel, w_spec[0], w_spec[1], groups)
    out = conv_general_dilated(
        ct,
        kernel,
        window_strides=lhs_dilation,
        padding=tuple(back),
        lhs_dilation=window_strides,
        rhs_dilation=rhs_dilation,
        dimension_numbers=ConvDimensionNumbers(
            out_spec, (w_spec[1], w_spec[0], *w_spec[2:]), x_spec
        ),
        feature_group_count=groups,
        batch_group_count=1,
        precision=precision,
        preferred_element_type=None,
    )
    if batch_group_count > 1:
        out = _regroup(out, x_spec[1], x_spec[0], batch_group_count)
    return out


def _transposed_rhs(
    ct: Any,
    x: Any,
    w: Any,
    *,
    window_strides: Any,
    padding: Any,
    lhs_dilation: Any,
    rhs_dilation: Any,
    dimension_numbers: Any,
    feature_group_count: int,
    batch_group_count: int,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    # Over batches instead of features: lhs and ct with these exchanged, ct as the kernel. Groups of
    # features are then groups of batches, and the other way round.
    if not ct.size or not x.size or not w.aval.size:
        return zeros(w.aval)
    x_spec, w_spec, out_spec = dimension_numbers
    back = []
    for n, k, m, s, (low, _), dx, dw in _sizes(
        x, w, ct, dimension_numbers, window_strides, padding, lhs_dilation, rhs_dilation
    ):
        back.append((low, (k - 1) * dw + dilated(m, s) - dilated(n, dx) - low))
    return conv_general_dilated(
        _of_type(x, ct),
        ct,
        window_strides=rhs_dilation,
        padding=tuple(back),
        lhs_dilation=lhs_dilation,
        rhs_dilation=window_strides,
        dimension_numbers=ConvDimensionNumbers(
            (x_spec[1], x_spec[0], *x_spec[2:]),
            (out_spec[1], out_spec[0], *out_spec[2:]),
            (w_spec[1], w_spec[0], *w_spec[2:]),
        ),
        feature_group_count=batch_group_count,
        batch_group_count=feature_group_count,
        precision=precision,
        preferred_element_type=None,
    )


def _sizes(x: Any, w: Any, ct: Any, numbers: Any, *params: Any) -> Any:
    specs = zip((x, w, ct), numbers, strict=True)
    lengths = [[a.shape[i] for i in spec[2:]] for a, spec in specs]
    return zip(*lengths, *params, strict=True)


# ---- moving groups from one axis to another


def _regroup(x: Any, source: int, target: int, groups: int) -> Any:
    """The leading factor `groups` of axis `source` becomes that of axis `target`."""
    return _fold(_unfold(x, source, groups, 1), 0, target, 1)


def _fold(x: Any, at: int, target: int, outer: int) -> Any:
    """Axis `at` becomes a part of axis `target` (of the others), inside its factor `outer`."""
    x = move_axis(x, at, 0)
    n, *shape = x.shape
    inner = shape[target] // outer
    split = reshape(x, new_sizes=(n, *shape[:target], outer, inner, *shape[target + 1 :]))
    moved = move_axis(split, 0, target + 1)
    return reshape(moved, new_sizes=(*shape[:target], n * shape[target], *shape[target + 1 :]))


def _unfold(x: Any, source: int, n: int, outer: int) -> Any:
    """The part `n` of axis `source`, inside its factor `outer`, as an axis of its own in front."""
    shape = tuple(x.shape)
    inner = shape[source] // (n * outer)
    split = reshape(x, new_sizes=(*shape[:source], outer, n, inner, *shape[source + 1 :]))
    moved = move_axis(split, source + 1, 0)
    return reshape(moved, new_sizes=(n, *shape[:source], outer * inner, *shape[source + 1 :]))
