"""Steps of `jit` for programs on a mesh: tests/xla/meshes/check_stages.py, which test_meshes.py has
run on eight devices; here what several processes do.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("jaxlib", reason="several processes need jaxlib")

sys.path.insert(0, str(Path(__file__).parent))
from test_processes import printed


def test_a_nan_in_the_part_of_one_process(tmp_path):
    body = """
    mine = np.full(2, 1.0 - 2 * me, np.float32)
    x = jax.make_array_from_process_local_data(split, mine)
    f = jax.jit(lambda v: jnp.log(v) + 1)
    print(f.lower(x).compile().input_shardings[0][0].spec)
    print([float(np.asarray(s.data)[0]) for s in f(x).addressable_shards])
    for run in (f, f.lower(x).compile(), jnp.log):
        with jax.debug_nans(True):
            try:
                run(x)
                print("fine")
            except FloatingPointError as found:
                print(str(found).replace(chr(10), " ")[:40])
    multihost_utils.sync_global_devices("end")
    """
    first, second = printed(tmp_path, body)
    assert first == ["P('x',)", "[1.0]", "fine", "fine", "fine"]
    assert second[1] == "[nan]"
    assert second[2:4] == ["invalid value (nan) encountered in the r"] * 2
    assert second[4].startswith("invalid value (nan) encountered in log.")
