"""Examples of pullback/ops/integers.py, bit_generator.py, tokens.py and control/composite.py."""

from __future__ import annotations

import numpy as np

from pullback.control.composite import composite_p
from pullback.ops.approximate import approx_top_k
from pullback.ops.bit_generator import rng_bit_generator
from pullback.ops.elementwise import add, mul
from pullback.ops.functions import sin
from pullback.ops.identities import device_put, stage
from pullback.ops.integers import mulhi
from pullback.ops.spreading import mesh_exchange, mesh_permute, mesh_scatter, sharding_constraint
from pullback.sharding import NamedSharding, PartitionSpec, make_mesh

from .base import FLOATS, INTS, Example, F, I, distinct
from .control import DOUBLE, OTHER_PROGRAMS, program

MESH = make_mesh((1,), ("x",))


def _bits(algorithm, dtype, *shape):
    return Example(
        rng_bit_generator,
        [I(4, below=2**31, dtype="uint32")],
        {"shape": shape, "dtype": np.dtype(dtype), "algorithm": algorithm},
        dtypes=("float32",),
        order=0,
        skip={"jax": "its algorithm is an enumeration: compared in test_lax_rest.py"},
        id=f"{algorithm}-{dtype}",
    )


def _two_results(x, y):
    return mul(sin(x), y), add(x, y)


_composite = program(_two_results, (3,), (3,))

EXAMPLES = [
    Example(mulhi, [F(3), F(3)], dtypes=INTS, order=0),
    *(
        _bits(algorithm, dtype, *shape)
        for algorithm in ("philox", "threefry")
        for dtype, shape in (("uint32", (3, 2)), ("uint64", (3,)), ("uint8", ()))
    ),
    Example(
        composite_p,
        [F(3), F(3)],
        lambda d: {
            "jaxpr": _composite(d),
            "name": "two",
            "version": 0,
            "attributes": (("by", 2.0),),
        },
        dtypes=DOUBLE,
        skip=OTHER_PROGRAMS,
    ),
]


def _approximate(x, k, axis, largest, **options):
    return Example(
        approx_top_k,
        [x],
        {
            "k": k,
            "reduction_dimension": axis,
            "recall_target": 0.95,
            "is_max_k": largest,
            "reduction_input_size_override": -1,
            "aggregate_to_topk": True,
        },
        dtypes=FLOATS,
        id=f"{k} of {axis}, {'max' if largest else 'min'}",
        skip={"jax": "of several right answers it may give another: compared with top_k"},
        **options,
    )


EXAMPLES += [
    _approximate(distinct(5), 2, -1, True),
    _approximate(distinct(4, 3), 3, 0, False),
    _approximate(distinct(2, 3), 0, 1, True, order=0),
    Example(stage, [F(3)], linear_in=(0,), skip={"jax": "it is only done at once there"}),
    Example(
        sharding_constraint,
        [F(2, 3)],
        {"sharding": NamedSharding(MESH, PartitionSpec("x"))},
        linear_in=(0,),
        skip={"jax": "it needs a mesh"},
    ),
    Example(
        mesh_permute,
        [F(3, 2)],
        {"mesh": MESH, "name": "x", "at": 0, "perm": ((0, 1), (2, 0))},
        linear_in=(0,),
        skip={"jax": "it has no such primitive"},
    ),
    Example(
        mesh_exchange,
        [F(4, 2, 3)],
        {"mesh": MESH, "name": "x", "at": 0, "axis": 1, "groups": ((0, 2), (3, 1))},
        linear_in=(0,),
        skip={"jax": "it has no such primitive"},
    ),
    Example(
        mesh_scatter,
        [F(2, 3, 4)],
        {"mesh": MESH, "name": "x", "at": 0, "axis": 2},
        linear_in=(0,),
        skip={"jax": "it has no such primitive"},
    ),
    Example(
        device_put,
        [F(3), F(2, 2)],
        {"devices": (None, None)},
        linear_in=(0, 1),
        skip={"jax": "it needs devices"},
    ),
]
