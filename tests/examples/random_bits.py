"""Examples of pullback/ops/random_bits.py and random_values.py."""

from __future__ import annotations

import numpy as np

from pullback.core.dtypes import KEY_TYPES
from pullback.ops import random_bits as r
from pullback.ops import random_values as v

from .base import FLOATS, INTS, Example, F, I, between, positive


def words(*shape):
    """Random words, the same in each run."""
    rng = np.random.default_rng(len(shape))
    return rng.integers(0, 2**32, shape, dtype=np.uint32)


def keys(*shape):
    """An array of random keys."""
    return words(*shape, 2).view(KEY_TYPES["fry"]).reshape(shape)


def random(primitive, args, params=None, dtypes=("uint32",), **options):
    """No derivatives, and JAX's primitives take keys of JAX's own: test_random.py compares them."""
    skip = {"jax": "keys are another type in JAX", **options.pop("skip", {})}
    return Example(primitive, args, params, dtypes=dtypes, order=0, skip=skip, **options)


LAYOUTS = [{"partitionable": True}, {"partitionable": False}]
BLOCKS = {"skip": {"vmap": "slow", "jit": "slow", "recording": "slow"}}

EXAMPLES = [
    random(r.threefry2x32, [words(4, 3) for _ in range(4)]),
    random(r.threefry2x32, [words(), words(), words(20), words(20)], id="one-key"),
    random(r.threefry2x32, [words() for _ in range(4)], id="scalars"),
    random(r.threefry2x32, [words(), words(), words(0), words(0)], id="empty"),
    *(
        random(r.random_bits, [key], {"bit_width": width, "shape": shape, **layout}, id=name)
        for layout in LAYOUTS
        for width in (8, 16, 32, 64)
        for name, key, shape in (
            ("one-key", keys(), (3, 5)),
            ("scalar", keys(), ()),
            ("empty", keys(), (2, 0)),
            ("keys", keys(2, 3), (5,)),
            ("no-keys", keys(0), (5,)),
            ("many-keys", keys(40), (1,)),
        )
    ),
    *(
        random(r.random_bits, [key], {"bit_width": 32, "shape": shape, **layout}, id=name, **BLOCKS)
        for layout in LAYOUTS
        for name, key, shape in (
            ("blocks", keys(), (40001,)),
            ("blocks-of-keys", keys(2), (20000,)),
            ("blocks-by-keys", keys(20000), (2,)),
        )
    ),
    *(
        random(r.random_split, [key], {"shape": shape, **layout}, id=name)
        for layout in LAYOUTS
        for name, key, shape in (
            ("pair", keys(), (2,)),
            ("shape", keys(), (3, 4)),
            ("one", keys(), ()),
            ("none", keys(), (0,)),
            ("keys", keys(2, 3), (5,)),
        )
    ),
    random(r.random_fold_in, [keys(2, 3), words(2, 3)]),
    random(r.random_fold_in, [keys(), words(3)]),
    random(r.random_fold_in, [keys(3), words()]),
    random(r.random_fold_in, [keys(), words()]),
    random(r.random_seed, [F(2, 3)], {"impl": "fry"}, dtypes=INTS),
    random(r.random_seed, [np.array(-7)], {"impl": "fry"}, id="negative"),
    random(r.random_wrap, [words(3, 2)], {"impl": "fry"}),
    random(r.random_wrap, [words(3, 4, 2)], {"impl": "fry"}, id="two-axes"),
    random(r.random_unwrap, [keys(2, 3)]),
    random(r.random_clone, [keys(2, 3)]),
    *(
        Example(
            v.uniform_from_bits,
            [words(*shape).astype(f"u{v.bit_width_for(np.dtype(dtype)) // 8}"), *bounds],
            dtypes=(dtype,),
            id=name,
        )
        for dtype in FLOATS
        if dtype != "bfloat16"
        for name, shape, bounds in (
            ("scalars", (2, 3), [between(-2, -1), positive()]),
            ("arrays", (2, 3), [between(-2, -1, 2, 3), positive(2, 3)]),
            ("unit", (2, 3), [np.float64(0), np.float64(1)]),
            ("one", (), [between(-2, -1), positive()]),
        )
    ),
    Example(
        v.uniform_from_bits,
        [I(2, 3, below=256, dtype="uint8"), between(-2, -1), positive()],
        dtypes=("bfloat16",),
        order=0,
    ),
    *(
        Example(
            v.random_gamma,
            [key, spec],
            {"log_space": log_space, **layout},
            order=1,
            smooth=False,
            id=name + ("-log" if log_space else ""),
            skip={"jax": "keys are another type in JAX"},
        )
        for layout in LAYOUTS
        for log_space in (False, True)
        for name, key, spec in (
            ("one-key", keys(), positive(2, 3)),
            ("keys", keys(2), between(0.01, 0.9, 2, 3)),
            ("scalar", keys(), positive()),
        )
    ),
    random(
        v.random_gamma,
        [keys(), np.array([0, np.nan, np.inf, -1, 1e-8, 1e8, 1])],
        {"log_space": False, "partitionable": True},
        dtypes=("float32", "float64"),
        id="edges",
    ),
]
