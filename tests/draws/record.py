"""Writes numbers.json: what the installed JAX gives for CASES. `python tests/draws/record.py`"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from cases import CASES, Case

SEED = 7
FILE = Path(__file__).with_name("numbers.json")


def record(case: Case, partitionable: bool, x64: bool) -> dict[str, Any]:
    """The dtype, shape and elements of the result, as JSON can hold them."""
    with jax.enable_x64(x64), jax.threefry_partitionable(partitionable):
        key = jax.random.key(SEED)
        out = np.asarray(getattr(jax.random, case.name)(key, *case.args, **case.params))
    kind = "complex128" if out.dtype.kind == "c" else "float64"
    if out.dtype.name == "bfloat16" or out.dtype.kind in "fc":
        flat = out.reshape(-1).astype(kind).view("float64")
    else:
        flat = out.reshape(-1)
    return {"dtype": out.dtype.name, "shape": out.shape, "elements": flat.tolist()}


if __name__ == "__main__":
    jax.config.update("jax_platforms", "cpu")
    found = {f"{case}": [record(case, *layout) for layout in case.layouts] for case in CASES}
    text = json.dumps({"jax": jax.__version__, "seed": SEED, "cases": found}, indent=0)
    FILE.write_text(text.replace(",\n", ", ").replace("[\n", "[").replace("\n]", "]") + "\n")
