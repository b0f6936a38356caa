"""Examples of pullback/ops/structural.py and pullback/ops/slicing.py."""

from __future__ import annotations

from pullback.ops import slicing as cut
from pullback.ops import structural as s

from .base import ALL, NUMBERS, Example, F


def _broadcast(spec, shape, dims, id=None):
    params = {"shape": shape, "broadcast_dimensions": dims}
    return Example(s.broadcast_in_dim, [spec], params, dtypes=ALL, linear_in=(0,), id=id)


def _reshape(spec, *sizes):
    params = {"new_sizes": sizes}
    return Example(s.reshape, [spec], params, dtypes=ALL, linear_in=(0,), id=f"to{sizes}")


def _transpose(spec, *order):
    return Example(
        s.transpose, [spec], {"permutation": order}, dtypes=ALL, linear_in=(0,), id=str(order)
    )


def _squeeze(spec, *axes):
    return Example(
        s.squeeze, [spec], {"dimensions": axes}, dtypes=ALL, linear_in=(0,), id=str(axes)
    )


def _rev(spec, *axes):
    return Example(s.rev, [spec], {"dimensions": axes}, dtypes=ALL, linear_in=(0,), id=str(axes))


def _sum(spec, *axes):
    return Example(
        s.reduce_sum, [spec], {"axes": axes}, dtypes=NUMBERS, linear_in=(0,), id=str(axes)
    )


def _iota(dtype, shape, dimension):
    example = Example(s.iota, [], dtypes=(dtype,), id=str(shape))
    example.given_params = {"dtype": example.dtypes[0], "shape": shape, "dimension": dimension}
    return example


def _slice(spec, starts, limits, strides=None, id=None):
    params = {"start_indices": starts, "limit_indices": limits, "strides": strides}
    return Example(cut.slice_, [spec], params, dtypes=ALL, linear_in=(0,), id=id)


def _pad(spec, *config, id):
    params = {"padding_config": config}
    return Example(cut.pad, [spec, F()], params, dtypes=ALL, linear_in=(0, 1), id=id)


def _concatenate(*specs, dimension=0, id=None):
    together = tuple(range(len(specs)))
    params = {"dimension": dimension}
    return Example(cut.concatenate, specs, params, dtypes=ALL, linear_in=together, id=id)


def _split(spec, sizes, axis=0, id=None):
    params = {"sizes": sizes, "axis": axis}
    return Example(cut.split, [spec], params, dtypes=ALL, linear_in=(0,), id=id)


EXAMPLES = [
    _broadcast(F(), (3,), ()),
    _broadcast(F(), (), (), id="scalar-to-scalar"),
    _broadcast(F(3), (2, 3), (1,)),
    _broadcast(F(3), (3, 2), (0,), id="new-axis-behind"),
    _broadcast(F(1, 3), (2, 3), (0, 1), id="stretched"),
    _broadcast(F(2, 1), (2, 4, 3), (0, 2), id="stretched-and-new"),
    _broadcast(F(1), (1, 2), (0,), id="length-one-kept"),
    _broadcast(F(2, 3), (2, 3), (0, 1), id="same"),
    _broadcast(F(), (0, 2), (), id="to-empty"),
    _broadcast(F(0), (2, 0), (1,), id="of-empty"),
    _broadcast(F(1), (0,), (0,), id="one-to-none"),
    _broadcast(F(3), (64, 33, 3), (2,), id="large"),
    _reshape(F(2, 3), 3, 2),
    _reshape(F(2, 3), 6),
    _reshape(F(), 1, 1),
    _reshape(F(1), *()),
    _reshape(F(0, 3), 5, 0),
    _transpose(F(2, 3), 1, 0),
    _transpose(F(2, 3, 4), 2, 0, 1),
    _transpose(F(2, 3, 4), 0, 2, 1),
    _transpose(F()),
    _transpose(F(0, 2), 1, 0),
    _squeeze(F(1, 3), 0),
    _squeeze(F(1, 3, 1), 0, 2),
    _squeeze(F(1), 0),
    _squeeze(F(3)),
    _rev(F(3), 0),
    _rev(F(2, 3, 2), 0, 2),
    _rev(F()),
    _rev(F(0, 2), 0, 1),
    _sum(F(3), 0),
    _sum(F(2, 3, 4), 0, 2),
    _sum(F(2, 3, 4), 1),
    _sum(F(2, 3), 0, 1),
    _sum(F(2, 3)),
    _sum(F()),
    _sum(F(0, 3), 0),
    _sum(F(3, 0), 0),
    _iota("int32", (4,), 0),
    _iota("float32", (2, 3), 0),
    _iota("float64", (2, 3), 1),
    _iota("complex64", (2, 3, 2), 1),
    _iota("uint8", (0,), 0),
    _iota("bfloat16", (2,), 0),
    Example(s.copy, [F(2, 3)], dtypes=ALL, linear_in=(0,)),
    Example(s.copy, [F()], dtypes=ALL, linear_in=(0,)),
    _slice(F(5), (1,), (4,)),
    _slice(F(5), (0,), (5,), (2,), id="stride-to-the-end"),
    _slice(F(5), (1,), (5,), (3,), id="stride-past-the-end"),
    _slice(F(4, 5), (1, 0), (3, 5), (1, 2), id="two-axes"),
    _slice(F(4, 3), (2, 0), (2, 3), (2, 1), id="to-nothing"),
    _slice(F(), (), (), id="scalar"),
    _slice(F(0), (0,), (0,), id="of-empty"),
    _pad(F(3), (1, 2, 0), id="around"),
    _pad(F(3), (0, 0, 2), id="inside"),
    _pad(F(3), (2, 1, 1), id="all"),
    _pad(F(5), (-1, -2, 0), id="cut"),
    _pad(F(4), (-1, 2, 1), id="cut-low-inside"),
    _pad(F(4), (-2, -2, 1), id="cut-both-inside"),
    _pad(F(3), (-3, 0, 1), id="cut-within-a-gap"),
    _pad(F(2, 3), (1, 0, 0), (-1, 1, 2), id="two-axes"),
    _pad(F(3), (-1, -2, 0), id="cut-all"),
    _pad(F(3), (-5, 6, 0), id="cut-all-and-add"),
    _pad(F(3), (4, -6, 1), id="cut-into-the-low-padding"),
    _pad(F(0), (1, 2, 1), id="of-empty"),
    _pad(F(1), (0, 0, 3), id="one-inside"),
    _pad(F(), id="scalar"),
    _concatenate(F(2), F(3)),
    _concatenate(F(2, 3), F(2, 1), F(2, 2), dimension=1),
    _concatenate(F(2, 3), id="one"),
    _concatenate(F(0), F(2), id="with-empty"),
    _split(F(5), (2, 3)),
    _split(F(2, 4), (1, 0, 3), axis=1),
    _split(F(3), (3,), id="one"),
    _split(F(0, 2), (0, 0), id="of-empty"),
]
