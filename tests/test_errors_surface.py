"""Mistakes in calls of the whole surface: class and whole text of each message, but for its Where.

They stand in mistakes.txt: a mistake behind `>>>`, then the class and the text that a user sees.
FILE:LINE stands for a place in the code. `Where` must be the line of the mistake in that file.
"""

# ruff: noqa: F401 (the mistakes use what is imported)

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from test_errors import parts

import pullback as pb
import pullback.image as im
import pullback.numpy as jnp
import pullback.scipy.cluster.vq as vq
import pullback.scipy.fft as sf
import pullback.scipy.integrate as sint
import pullback.scipy.interpolate as si
import pullback.scipy.linalg as sl
import pullback.scipy.ndimage as nd
import pullback.scipy.optimize as so
import pullback.scipy.signal as ss
import pullback.scipy.sparse.linalg as ssl
import pullback.scipy.spatial.transform as rot
import pullback.scipy.special as sp
import pullback.scipy.stats as st
from pullback import debug, dlpack, dtypes, flatten_util, lax, nn, random, tree_util
from pullback.compat.jax import ops
from pullback.custom_batching import custom_vmap, sequential_vmap
from pullback.example_libraries import optimizers, stax
from pullback.experimental import checkify, io_callback, jet, ode, sparse
from pullback.experimental.sparse import linalg as spl
from pullback.sharding import Mesh, NamedSharding
from pullback.sharding import PartitionSpec as P

PATH = Path(__file__).with_name("mistakes.txt")


@dataclass
class Mistake:
    """A mistake, the line that it stands on, and what it gives."""

    family: str
    code: str
    line: int
    text: str


def read(path):
    found, family = [], ""
    for match in re.finditer(r"^## (.*)$|^>>> (.*)\n((?:.+\n)+)", path.read_text(), re.MULTILINE):
        family = match[1] or family
        if match[2]:
            line = path.read_text().count("\n", 0, match.start()) + 1
            found.append(Mistake(family, match[2], line, match[3].rstrip()))
    return found


MISTAKES = read(PATH)


def with_rule(rule):
    """A function with this rule for vmap."""
    f = custom_vmap(lambda x: x)
    f.def_vmap(rule)
    return f


def names():
    """What the mistakes use: modules, and arrays of one letter, as the file says."""
    X, A, I = jnp.ones(3), jnp.ones((3, 3)), jnp.arange(3)  # noqa: E741
    arrays = {"X": X, "A": A, "I": I, "R": jnp.ones((2, 3)), "Z": jnp.ones(3, jnp.complex64)}
    arrays |= {"B": jnp.ones((3, 3), bool), "S": sparse.BCOO.fromdense(A)}
    arrays |= {"L4": jnp.ones((1, 3, 8, 8)), "K4": jnp.ones((4, 3, 3, 3)), "k": random.key(0)}
    functions = {
        "uf": jnp.frompyfunc(lambda x, y: x + y, 2, 1),
        "ty": lambda y, t: -y,
        "cv": lax.conv_general_dilated,
        "cvm": with_rule,
        "sds": pb.ShapeDtypeStruct,
        "jit": pb.jit,
        "mesh": pb.make_mesh((1,), ("x",)),
    }
    return {**globals(), **arrays, **functions}


def without_places(text):
    text = re.sub(r"\n  Where: [^\n]*", "", text)
    return re.sub(r"\([^()\s]+:\d+\)", "(FILE:LINE)", text)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: f"{m.family}-{m.line}")
def test_message(mistake):
    code = compile("\n" * (mistake.line - 1) + mistake.code, str(PATH), "eval")
    with pytest.raises(Exception) as caught:
        eval(code, names())
    text = parts(caught.value)
    assert f"{type(caught.value).__name__}: {without_places(text)}" == mistake.text
    assert f"  Where: {PATH}:{mistake.line} " in text


def test_the_families_are_there():
    families = {m.family for m in MISTAKES}
    wanted = "linalg fft conv reduce_window signal image interp stats special sparse solvers ode "
    wanted += "callbacks checkify custom_vmap sharding dtypes segment ufunc arrays"
    assert set(wanted.split()) <= families
    assert all(sum(m.family == f for m in MISTAKES) >= 5 for f in families)
