"""What the XLA engine relies upon of jaxlib, which promises nothing: each call that the adapter
makes, with what it must do.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

import ml_dtypes
import numpy as np
import pytest

pytest.importorskip("jaxlib", reason="the XLA engine needs jaxlib")
adapter = pytest.importorskip("pullback.engines.xla.adapter")

NUMBERS = [np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32]
NUMBERS += [np.uint64, np.float16, np.float32, np.float64, np.complex64, np.complex128]
NUMBERS += [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]

DOUBLE = """
module @m {
func.func public @main(%a: tensor<3x4xf32>) -> (tensor<3x4xf32>) {
  %0 = "stablehlo.add"(%a, %a) : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
  "func.return"(%0) : (tensor<3x4xf32>) -> ()
}
}
"""
TYPE = ((3, 4), np.dtype(np.float32))


def aligned(shape, dtype, offset=0):
    """An array whose memory begins `offset` bytes after a multiple of 64."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    return memory[start : start + size].view(dtype).reshape(shape)


@pytest.mark.parametrize("dtype", NUMBERS, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3, 4)], ids=str)
def test_arrays_go_in_and_out_as_they_are(dtype, shape):
    numbers = np.arange(int(np.prod(shape))).reshape(shape).astype(np.float32).astype(dtype)
    found = adapter.get(adapter.cpu().put(numbers))
    assert (found.dtype, found.shape) == (numbers.dtype, numbers.shape)
    assert found.tobytes() == numbers.tobytes()


def test_aligned_memory_is_shared_and_other_memory_is_not():
    for offset, shared in ((0, True), (4, False), (16, False)):
        x = aligned((5,), np.float32, offset)
        buffer = adapter.cpu().put(x)
        assert np.shares_memory(adapter.get(buffer), x) == shared


@pytest.mark.parametrize("how", ["strided", "transposed", "reversed", "broadcast"])
def test_arrays_that_are_not_contiguous(how):
    x = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    y = {
        "strided": x[:, ::2],
        "transposed": x.T,
        "reversed": x[::-1],
        "broadcast": np.broadcast_to(x[0], (3, 4)),
    }[how]
    np.testing.assert_array_equal(adapter.get(adapter.cpu().put(y)), y)


def test_a_program_runs():
    executable = adapter.cpu().compile(DOUBLE, [TYPE])
    x = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    (found,) = executable([adapter.cpu().put(x)])
    np.testing.assert_array_equal(adapter.get(found), 2 * x)


def test_results_can_be_arguments_and_outlive_their_buffer():
    executable = adapter.cpu().compile(DOUBLE, [TYPE])
    x = np.ones((3, 4), np.float32)
    (once,) = executable([adapter.cpu().put(x)])
    (twice,) = executable([once])
    seen = adapter.get(twice)
    del once, twice
    np.testing.assert_array_equal(seen, 4 * x)
    assert not seen.flags.writeable


GIVES = """
module @m {
func.func public @main(%a: tensor<3x4xf32> {MARK}) -> (tensor<3x4xf32>) {
  %0 = "stablehlo.add"(%a, %a) : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
  "func.return"(%0) : (tensor<3x4xf32>) -> ()
}
}
"""


@pytest.mark.parametrize("mark", ["tf.aliasing_output = 0 : i32", "jax.buffer_donor = true"])
def test_memory_that_is_given_away(mark):
    client, x = adapter.cpu(), aligned((3, 4), np.float32)
    x[:] = 2
    keeps = client.compile(DOUBLE, [TYPE])
    gives = client.compile(GIVES.replace("MARK", mark), [TYPE])
    assert keeps.memory().alias_size_in_bytes == 0
    assert gives.memory().alias_size_in_bytes == 48
    first = client.put(x)
    assert first.unsafe_buffer_pointer() == x.ctypes.data
    (second,) = gives([first])  # NumPy's memory is not taken
    assert first.is_deleted() and x[0, 0] == 2
    place = second.unsafe_buffer_pointer()
    (third,) = gives([second])
    assert second.is_deleted() and third.unsafe_buffer_pointer() == place
    view = adapter.get(third)
    (fourth,) = gives([third])  # nor what NumPy has a view of: it is not even deleted
    assert not third.is_deleted() and fourth.unsafe_buffer_pointer() != place
    third.delete()
    third.delete()
    assert third.is_deleted() and view[0, 0] == 8 and adapter.get(fourth)[0, 0] == 16


def test_options_are_part_of_what_a_file_is_found_by():
    options = [adapter.xc.CompileOptions() for _ in range(3)]
    for made, value in zip(options, (None, True, False), strict=True):
        if value is not None:
            made.env_option_overrides = [("xla_cpu_enable_fast_math", value)]
    assert len({made.SerializeAsString() for made in options}) == 3
    with pytest.raises(RuntimeError, match="No such compile option: 'xla_nope'"):
        adapter.cpu().compile(DOUBLE, [TYPE], chosen={"xla_nope": 1})


def test_text_that_is_wrong_says_where():
    with pytest.raises(Exception, match="nonsense"):
        adapter.cpu().compile("module @m { nonsense }", [])


def test_python_is_called_from_inside():
    text = DOUBLE.replace(
        '"stablehlo.add"(%a, %a) : (tensor<3x4xf32>, tensor<3x4xf32>)',
        '"stablehlo.custom_call"(%a) <{call_target_name = "xla_ffi_python_cpu_callback", '
        "has_side_effect = false, api_version = 4 : i32, backend_config = {index = 0 : ui64}}> "
        ": (tensor<3x4xf32>)",
    )
    seen = []

    def called(x):
        seen.append(x.shape)
        return (np.sin(x),)

    executable = adapter.cpu().compile(text, [TYPE], [called])
    x = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    (found,) = executable([adapter.cpu().put(x)])
    np.testing.assert_allclose(adapter.get(found), np.sin(x))
    assert seen == [(3, 4)]


def test_an_exception_in_python_comes_out():
    text = DOUBLE.replace(
        '"stablehlo.add"(%a, %a) : (tensor<3x4xf32>, tensor<3x4xf32>)',
        '"stablehlo.custom_call"(%a) <{call_target_name = "xla_ffi_python_cpu_callback", '
        "has_side_effect = false, api_version = 4 : i32, backend_config = {index = 0 : ui64}}> "
        ": (tensor<3x4xf32>)",
    )

    def fails(x):
        raise ValueError("boom")

    executable = adapter.cpu().compile(text, [TYPE], [fails])
    with pytest.raises(Exception, match="boom"):
        adapter.get(executable([adapter.cpu().put(np.ones((3, 4), np.float32))])[0])


def run(code):
    """The output of a new process."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=550, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


OURS = """
import pullback as pb, pullback.numpy as pnp
f = pb.jit(lambda x: (pnp.linalg.cholesky(x @ x.T + pnp.eye(3)) + x.sum()).sum(), engine="xla")
print(float(pb.grad(f)(pnp.ones((3, 3)))[0, 0]))
"""
THEIRS = """
import jax, jax.numpy as jnp
g = jax.jit(lambda x: (jnp.linalg.cholesky(x @ x.T + jnp.eye(3)) + x.sum()).sum())
print(float(jax.grad(g)(jnp.ones((3, 3)))[0, 0]))
"""


def test_jax_is_never_imported():
    *_, there = run(OURS + "import sys; print('jax' in sys.modules)")
    assert there == "False"


@pytest.mark.parametrize("order", ["ours first", "theirs first", "ours between"])
def test_it_lives_beside_an_imported_jax(order):
    pytest.importorskip("jax", reason="the peer")
    parts = {
        "ours first": [OURS, THEIRS],
        "theirs first": [THEIRS, OURS],
        "ours between": [THEIRS, OURS, THEIRS],
    }[order]
    found = [float(x) for x in run("".join(parts))]
    np.testing.assert_allclose(found, found[0], rtol=1e-5)


def test_nothing_is_written_to_the_standard_error():
    done = subprocess.run(
        [sys.executable, "-c", OURS], capture_output=True, text=True, timeout=550, check=False
    )
    assert done.stderr == ""


# ---- several processes: each on its own here, as a group of one


def test_a_group_of_one_has_a_service_a_connection_and_gloo():
    code = """
    from pullback.engines.xla import adapter_distributed as d
    service = d.Service(1, 30)
    connection = d.Connection(service.port, 0, 1, 30)
    client = connection.cpu("127.0.0.1", 2)
    print([x.id for x in client.devices()], len(connection.gloo.ports), connection.gloo.cut())
    connection.shutdown()
    print(d.free_port() != service.port)
    """
    *ids, ports, cut, free = run(textwrap.dedent(code))
    assert (ids, ports, cut, free) == (["[0,", "1]"], "1", "0", "True")


# ---- portable StableHLO

adapter_export = pytest.importorskip("pullback.engines.xla.adapter_export")


def test_a_module_becomes_portable_bytes_and_comes_back():
    data = adapter_export.artifact(DOUBLE)
    assert data.startswith(b"ML\xefR")
    text = adapter_export.text_of(data)
    tensor = ["tensor<3x4xf32>"]
    assert adapter_export.main_of(text) == (tensor, tensor)
    x = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    (found,) = adapter.cpu().compile(text, [TYPE])([adapter.cpu().put(x)])
    np.testing.assert_array_equal(adapter.get(found), 2 * x)


def test_wrong_bytes_are_no_module(capfd):
    data = adapter_export.artifact(DOUBLE)
    # In this process, jaxlib's reader crashes on some of them from version 0.11 on.
    for wrong in (b"hello", data[:50], data[:-3]):
        with pytest.raises(RuntimeError, match="StableHLO"):
            adapter_export.texts_of([wrong])
    assert adapter_export.main_of("module {}") is None
    assert capfd.readouterr().err == ""


def test_functions_of_a_module_are_called_by_another():
    private = adapter_export.functions(DOUBLE, "inner_")
    assert "func.func private @inner_main(" in private and "@main" not in private
    call = '"func.call"(%a) <{callee = @inner_main}> : (tensor<3x4xf32>)'
    add = '"stablehlo.add"(%a, %a) : (tensor<3x4xf32>, tensor<3x4xf32>)'
    text = DOUBLE.replace(add, call).rstrip().removesuffix("}") + private + "\n}\n"
    x = np.ones((3, 4), np.float32)
    (found,) = adapter.cpu().compile(text, [TYPE])([adapter.cpu().put(x)])
    np.testing.assert_array_equal(adapter.get(found), 2 * x)


def test_another_process_reads_what_may_be_damaged():
    modules = [adapter_export.artifact(DOUBLE)] * 2
    assert adapter_export.texts_of(modules) == [adapter_export.text_of(m) for m in modules]
    with pytest.raises(RuntimeError, match="StableHLO"):
        adapter_export.texts_of([*modules, b"hello"])


OPEN = """
func.func public @main(%a: tensor<3x4xf32>) -> tensor<?xf32> {
  %b = stablehlo.convert %a : (tensor<3x4xf32>) -> tensor<?x4xf32>
  %n = stablehlo.get_dimension_size %b, dim = 0 : (tensor<?x4xf32>) -> tensor<i32>
  %limit = stablehlo.constant dense<LIMIT> : tensor<i32>
  %fits = stablehlo.compare LE, %n, %limit, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
  stablehlo.custom_call @shape_assertion(%fits, %n) {api_version = 2 : i32,
    error_message = "it is {0}", has_side_effect = true} : (tensor<i1>, tensor<i32>) -> ()
  %four = stablehlo.constant dense<4> : tensor<i32>
  %m = stablehlo.multiply %n, %four : tensor<i32>
  %s = stablehlo.reshape %m : (tensor<i32>) -> tensor<1xi32>
  %r = stablehlo.dynamic_reshape %b, %s : (tensor<?x4xf32>, tensor<1xi32>) -> tensor<?xf32>
  return %r : tensor<?xf32>
}
"""


def test_lengths_are_filled_in_and_asserted():
    text = adapter_export.refined(OPEN.replace("LIMIT", "3"))
    assert adapter_export.main_of(text) == (["tensor<3x4xf32>"], ["tensor<12xf32>"])
    assert "dynamic" not in text and "custom_call" not in text
    with pytest.raises(RuntimeError, match="it is 3"):
        adapter_export.refined(OPEN.replace("LIMIT", "2"))


def test_machine_code_of_this_process_is_called_by_its_name():
    loops = pytest.importorskip("pullback.engines.xla.loops")
    name = loops.target("gammainc", "dd->d")
    if name is None:
        pytest.skip("it needs llvmlite")
    text = f"""
    module @m {{
    func.func public @main(%a: tensor<2x700xf64>, %b: tensor<f64>) -> (tensor<2x700xf64>) {{
      %0 = "stablehlo.custom_call"(%a, %b) {{call_target_name = "{name}", api_version = 4 : i32}}
        : (tensor<2x700xf64>, tensor<f64>) -> tensor<2x700xf64>
      "func.return"(%0) : (tensor<2x700xf64>) -> ()
    }}
    }}
    """
    client = adapter.cpu()
    executable = client.compile(text, [((2, 700), np.dtype(np.float64))])
    a = np.linspace(0.1, 20, 1400).reshape(2, 700)
    (found,) = executable([client.put(a), client.put(np.asarray(3.5))])
    from scipy.special import gammainc

    np.testing.assert_array_equal(adapter.get(found), gammainc(a, 3.5))
    assert name.encode() in executable.loaded.serialize()
