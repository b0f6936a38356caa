"""What the XLA engine relies upon of jaxlib for several devices; see tests/xla/test_adapter.py."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from pullback.engines.xla import adapter, adapter_mesh
from pullback.engines.xla.adapter_mesh import Team

SUM = """
module @m attributes {mhlo.num_partitions = 8 : i32, mhlo.num_replicas = 1 : i32} {
sdy.mesh @mesh = <["x"=8]>
func.func public @main(
  %a: tensor<16x4xf32> {sdy.sharding = #sdy.sharding<@mesh, [{"x"}, {}]>}%DONOR%
) -> (tensor<f32>, tensor<16x4xf32>) {
  %c = "stablehlo.constant"() <{value = dense<0.0> : tensor<f32>}> : () -> tensor<f32>
  %0 = stablehlo.reduce(%a init: %c) applies stablehlo.add across dimensions = [0, 1]
    : (tensor<16x4xf32>, tensor<f32>) -> tensor<f32>
  %1 = "stablehlo.add"(%a, %a) : (tensor<16x4xf32>, tensor<16x4xf32>) -> tensor<16x4xf32>
  "func.return"(%0, %1) : (tensor<f32>, tensor<16x4xf32>) -> ()
}
}
""".replace("%DONOR%", "")
X = np.arange(64, dtype=np.float32).reshape(16, 4)
ROWS = "{devices=[8,1]<=[8]}"


@pytest.fixture
def team():
    return Team(adapter.cpu(), range(8))


def spread(team, x=X):
    parts = [team.put(np.ascontiguousarray(p), k) for k, p in enumerate(np.split(x, 8))]
    return team.whole(x.shape, x.dtype, ROWS, parts)


def compiled(team):
    made = team.compile(SUM, free=[True, True])
    made.give([((), np.dtype(np.float32)), ((16, 4), np.dtype(np.float32))], ["{replicated}", ROWS])
    return made


def test_parts_come_back(team):
    parts = team.parts(spread(team), (2, 4))
    np.testing.assert_array_equal(np.concatenate([adapter.get(p) for p in parts]), X)
    assert parts[3].aval.shape == (2, 4)


def test_a_program_on_eight_devices(team):
    made = compiled(team)
    (_, (counts, place)) = made.tiles
    assert counts == (8, 1) and place[:, 0].tolist() == list(range(8))
    assert made.tiles[0][0] == ()
    total, double = made([spread(team)])
    assert [float(adapter.get(p)) for p in team.parts(total, ())] == [X.sum()] * 8
    np.testing.assert_array_equal(adapter.get(team.parts(double, (2, 4))[5]), 2 * X[10:12])
    assert "all-reduce" in made.hlo() == made.text() and made.costs()["flops"] > 0
    assert made.memory().argument_size_in_bytes == X.nbytes // 8


def test_options_and_memory_that_is_given_away(team):
    with pytest.raises(RuntimeError, match="No such compile option: 'xla_nope'"):
        team.compile(SUM, free=[True, True], chosen={"xla_nope": 1})
    text = SUM.replace("{}]>}", "{}]>, jax.buffer_donor = true}", 1)
    made = team.compile(text, free=[True, True], chosen={"xla_cpu_enable_fast_math": True})
    made.give([((), np.dtype(np.float32)), ((16, 4), np.dtype(np.float32))], ["{replicated}", ROWS])
    x = spread(team)
    _, double = made([x])
    places = [p.unsafe_buffer_pointer() for p in team.parts(double, (2, 4))]
    _, again = made([double])
    assert x.is_deleted() and double.is_deleted()
    assert places == [p.unsafe_buffer_pointer() for p in team.parts(again, (2, 4))]
    np.testing.assert_array_equal(adapter.get(team.parts(again, (2, 4))[5]), 4 * X[10:12])


def test_many_programs_one_after_the_other(team):
    made, x = compiled(team), spread(team)
    for _ in range(200):
        total, x = made([x])
        x = spread(team)
    assert float(adapter.get(team.parts(total, ())[0])) == X.sum()


def test_copies_between_devices(team):
    moved = team.move(team.put(X, 2), 5)
    np.testing.assert_array_equal(adapter.get(moved), X)
    assert moved.aval.shape == X.shape


BESIDE = """
    import sys
    sys.path.insert(0, {here!r})
    if {first}:
        import jax
    import numpy as np
    import check_adapter_mesh as ours
    from pullback.engines.xla import adapter, adapter_mesh
    team = ours.Team(adapter.cpu(), range(8))

    def check():
        parts = team.parts(ours.spread(team), (2, 4))
        assert adapter.get(parts[1]).tolist() == ours.X[2:4].tolist()

    check()
    assert {first} or "jax" not in sys.modules
    import jax
    mesh = jax.make_mesh((8,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    s = jax.sharding.NamedSharding(mesh, jax.P("x"))
    for _ in range(2):
        y = jax.device_put(ours.X, s)
        part = jax.jit(lambda v: v + 1)(y).addressable_shards[2].data
        assert type(part.aval).__name__ == "ShapedArray", type(part.aval)
        assert (part * 2).tolist() == (2 * ours.X[4:6] + 2).tolist()
        g = jax.grad(lambda v: (v**2).sum())(y)
        assert np.array_equal(np.asarray(g), 2 * ours.X)
        f = jax.shard_map(lambda v: jax.lax.psum(v, "x"), mesh=mesh, in_specs=jax.P("x"),
                          out_specs=jax.P())
        assert np.allclose(f(y), ours.X.reshape(8, 2, 4).sum(0))
        check()
    print("right")
"""


@pytest.mark.parametrize("first", [False, True], ids=["before jax", "after jax"])
def test_beside_jax(first):
    pytest.importorskip("jax")
    here = __file__.rpartition("/")[0]
    code = textwrap.dedent(BESIDE.format(here=here, first=first))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "right\n", done.stderr[-3000:]


def test_program_after_an_interrupted_one(team, monkeypatch):
    """Who waits for a program can be interrupted; the next one begins when that one has ended."""
    program = team.compile(SUM, free=[True, True])
    program.give([((), np.float32), ((16, 4), np.float32)], ["{replicated}", ROWS])
    real, waits = adapter_mesh.xc._xla.batched_block_until_ready, []

    def interrupted(arrays):
        waits.append(arrays)
        if len(waits) == 1:
            raise KeyboardInterrupt
        return real(arrays)

    monkeypatch.setattr(adapter_mesh.xc._xla, "batched_block_until_ready", interrupted)
    with pytest.raises(KeyboardInterrupt):
        program([spread(team)])
    program([spread(team)])
    assert waits[1] is waits[0] and waits[2] is not waits[0] and len(waits) == 3
    program([spread(team)])
    assert len(waits) == 4
