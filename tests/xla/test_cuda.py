"""NVIDIA's devices: what is missing is said; programs for them, which can be compiled without one
where the plugin is installed; and, marked `gpu`, what a device computes.
"""

from __future__ import annotations

import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

pytest.importorskip("jaxlib", reason="the XLA engine needs jaxlib")

import pullback as pb
import pullback.numpy as pnp
from pullback import distributed
from pullback.core import platforms, processes
from pullback.core.array import HostArray
from pullback.core.program import trace_program
from pullback.engines.xla import adapter, adapter_cuda, adapter_plugin, adapter_tpu, program
from pullback.engines.xla.rules import linalg_cuda
from pullback.ops.hermitian import hermitian_part
from pullback.ops.linalg import triangular_solve

with_plugin = pytest.mark.skipif(
    platforms.plugin() is None, reason="the package jax-cuda13-plugin is not installed"
)
on_gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(platforms.lack() is not None, reason=f"{(platforms.lack() or [''])[0]}"),
]


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine as a test says: versions of packages, and what the driver shows."""
    library = tmp_path / "xla_cuda_plugin.so"
    library.touch()

    def made(versions, devices=1):
        def count():
            if isinstance(devices, Exception):
                raise devices
            return devices

        folders = {f"jax_plugins.xla_cuda{n}": [tmp_path] for n in platforms.CUDA_VERSIONS}
        monkeypatch.setattr(platforms, "folders", lambda name: folders.get(name, []))
        monkeypatch.setattr(platforms, "_version", lambda name: versions.get(name, ""))
        monkeypatch.setattr(platforms, "_device_count", count)
        platforms.lack.cache_clear()
        platforms.plugin.cache_clear()

    yield made
    monkeypatch.undo()
    platforms.lack.cache_clear()
    platforms.plugin.cache_clear()


GOOD = {"jaxlib": "0.11.2", "jax-cuda13-plugin": "0.11.2"}
LACKS = {
    "no plugin": (
        ({"jaxlib": "0.11.2"},),
        "CUDA needs the package jax-cuda13-plugin, which is not installed.",
    ),
    "another version": (
        ({"jaxlib": "0.11.2", "jax-cuda13-plugin": "0.11.1"},),
        "the packages jax-cuda13-plugin and jaxlib must have the same version.",
    ),
    "no driver": (
        (GOOD, OSError("libcuda.so.1: cannot open shared object file")),
        "CUDA needs NVIDIA's driver, which is not on this machine.",
    ),
    "a driver that fails": (
        (GOOD, RuntimeError("cuInit gave the error 999")),
        "NVIDIA's driver does not start.",
    ),
    "no device": ((GOOD, 0), "NVIDIA's driver shows no device."),
}


@pytest.mark.parametrize("case", LACKS)
def test_what_is_missing_is_said(machine, case):
    given, text = LACKS[case]
    machine(*given)
    assert platforms.first() == "cpu"
    for ask in (lambda: pb.devices("gpu"), lambda: pb.devices("cuda"), adapter_cuda.client):
        with pytest.raises(RuntimeError) as raised:
            ask()
        assert str(raised.value).startswith(text)
        assert "Fix: " in str(raised.value)


def test_versions_are_told(machine):
    machine({"jaxlib": "0.11.2", "jax-cuda12-plugin": "0.10.2"})
    with pytest.raises(RuntimeError, match=r"jax-cuda12-plugin 0\.10\.2 and jaxlib 0\.11\.2"):
        pb.devices("gpu")


def test_the_devices_that_are_hidden_are_told(machine, monkeypatch):
    machine(GOOD, 0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(RuntimeError, match="CUDA_VISIBLE_DEVICES=''"):
        pb.devices("gpu")


def test_a_gpu_comes_first_where_there_is_one(machine):
    machine(GOOD)
    assert platforms.first() == "cuda"
    machine({**GOOD, "jax-cuda13-plugin": "0.11.2.post1"})  # jaxlib compares the numbers too
    assert platforms.first() == "cuda"


@pytest.mark.parametrize(
    "said, first", [("cpu", "cpu"), ("cuda", "cuda"), ("gpu,cpu", "cuda"), ("cpu,gpu", "cpu")]
)
def test_the_setting_chooses(machine, monkeypatch, said, first):
    machine(GOOD)
    monkeypatch.setattr(type(platforms.values), "jax_platforms", said)
    assert platforms.first() == first


def test_a_setting_that_cannot_be(machine, monkeypatch):
    machine(*LACKS["no driver"][0])
    monkeypatch.setattr(type(platforms.values), "jax_platforms", "cuda")
    with pytest.raises(RuntimeError, match="NVIDIA's driver"):
        pb.devices()
    monkeypatch.setattr(type(platforms.values), "jax_platforms", "abacus")
    with pytest.raises(RuntimeError, match="Unknown backend 'abacus'"):
        pb.devices()


def test_numbers_of_devices():
    assert adapter_cuda._visible({}) == {}
    assert adapter_cuda._visible({"JAX_CUDA_VISIBLE_DEVICES": "0,2"}) == {"visible_devices": [0, 2]}
    with pytest.raises(ValueError, match="must be a list of numbers"):
        adapter_cuda._visible({"JAX_CUDA_VISIBLE_DEVICES": "first"})


class Called:
    """Stands for jaxlib where a plugin is loaded: it notes what it is given."""

    def __init__(self, monkeypatch):
        self.client = self.group = None
        self.loaded = []
        for module in (adapter_cuda, adapter_tpu):
            module.client.cache_clear()
            module.load.cache_clear()
            monkeypatch.setattr(module, "checked", lambda name, got: name)
        monkeypatch.setattr(adapter_plugin.xc, "make_c_api_client", self.make)
        monkeypatch.setattr(adapter_cuda, "load", lambda: None)
        monkeypatch.setattr(
            adapter_plugin.xc, "load_pjrt_plugin_dynamically", lambda *a: self.loaded.append(a)
        )
        monkeypatch.setattr(adapter_plugin.xc, "initialize_pjrt_plugin", self.loaded.append)

    def make(self, name, options, distributed):
        self.client = name, dict(options), distributed
        return adapter.cpu().client


@pytest.fixture
def called(monkeypatch):
    monkeypatch.delenv("JAX_CUDA_VISIBLE_DEVICES", raising=False)
    yield Called(monkeypatch)
    monkeypatch.undo()
    for module in (adapter_cuda, adapter_tpu):
        module.client.cache_clear()
        module.load.cache_clear()


def of_two(monkeypatch, **said):
    group = processes.Group(1, 2)
    group.runtime = "the connection"
    for name, value in said.items():
        setattr(group, name, value)
    monkeypatch.setattr(processes, "group", [group])


def test_what_a_gpu_of_one_process_is_given(called):
    adapter_cuda.client()
    name, options, distributed = called.client
    assert name == "pullback_cuda" and distributed is None
    assert options["platform_name"] == "cuda" and options["allocator"] == "default"
    assert not {"node_id", "num_nodes", "visible_devices"} & set(options)


def test_what_gpus_of_several_processes_are_given(called, monkeypatch):
    monkeypatch.setenv("JAX_CUDA_VISIBLE_DEVICES", "0,1")
    of_two(monkeypatch, local_devices=(3,))
    adapter_cuda.client()
    _, options, distributed = called.client
    assert distributed == "the connection"
    assert (options["node_id"], options["num_nodes"]) == (1, 2)
    assert options["visible_devices"] == [3]  # initialize's argument counts before the variable
    adapter_cuda.client.cache_clear()
    of_two(monkeypatch)
    adapter_cuda.client()
    assert called.client[1]["visible_devices"] == [0, 1]


def test_initialize_says_which_gpus(monkeypatch):
    monkeypatch.setattr(processes, "group", [processes.Group()])
    distributed.initialize(num_processes=1, process_id=0, local_device_ids=[2, 3])
    try:
        assert processes.current().local_devices == (2, 3)
    finally:
        distributed.shutdown()


def test_gpus_of_all_processes_are_listed(called, monkeypatch):
    monkeypatch.setattr(platforms, "lack", lambda: None)
    found = pb.devices("gpu")
    assert [(d.platform, d.id, d.process_index, d.local_hardware_id) for d in found] == [
        ("cuda", d.id, d.process_index, i) for i, d in enumerate(adapter.cpu().client.devices())
    ]


# ---- TPUs: by the same path


def test_what_is_missing_for_a_tpu_is_said(monkeypatch, tmp_path):
    for variable in ("TPU_LIBRARY_PATH", "JAX_FORCE_TPU_INIT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(platforms, "folders", lambda name: [])
    monkeypatch.setattr(platforms, "_tpu_nodes", list)
    with pytest.raises(RuntimeError, match=r"^a TPU needs the package libtpu, which is not inst"):
        pb.devices("tpu")
    monkeypatch.setattr(type(platforms.values), "jax_platforms", "tpu,cpu")
    with pytest.raises(RuntimeError, match="a TPU needs the package libtpu"):
        platforms.first()
    library = tmp_path / "libtpu.so"
    library.touch()
    monkeypatch.setattr(platforms, "folders", lambda name: [tmp_path])
    with pytest.raises(RuntimeError, match=r"^no TPU is on this machine"):
        pb.devices("tpu")
    monkeypatch.setenv("TPU_LIBRARY_PATH", "nowhere.so")
    with pytest.raises(RuntimeError, match=r"Got: TPU_LIBRARY_PATH='nowhere.so', where no file is"):
        pb.devices("tpu")
    monkeypatch.setenv("TPU_LIBRARY_PATH", str(library))
    monkeypatch.setenv("JAX_FORCE_TPU_INIT", "1")
    assert platforms.first() == "tpu" and platforms.tpu_library() == library


def test_what_a_tpu_is_given(called, monkeypatch, tmp_path):
    monkeypatch.setattr(adapter_tpu, "tpu_library", lambda: tmp_path / "libtpu.so")
    adapter_tpu.client()
    assert called.loaded == [("pullback_tpu", str(tmp_path / "libtpu.so")), "pullback_tpu"]
    assert called.client == ("pullback_tpu", {}, None)
    adapter_tpu.client.cache_clear()
    of_two(monkeypatch)
    adapter_tpu.client()
    assert called.client == ("pullback_tpu", {"node_id": 1, "num_nodes": 2}, "the connection")


def test_programs_for_a_tpu_call_no_python():
    assert "stablehlo.dot_general" in text_of(lambda x: x @ x, MATRIX, platform="tpu")
    with pytest.raises(program.Unsupported, match="calls of Python on a TPU, which pure_callback"):
        text_of(
            lambda x: pb.pure_callback(np.sin, pb.ShapeDtypeStruct(x.shape, x.dtype), x),
            MATRIX,
            platform="tpu",
        )


@pytest.mark.parametrize("dtype", [np.float32, np.bool_, np.complex64, ml_dtypes.bfloat16])
def test_elements_are_taken_without_addresses(dtype):
    client = adapter_plugin.PluginClient(
        adapter.cpu().client
    )  # the call is the same for all devices
    x = np.arange(6).reshape(2, 3).astype(dtype)
    found = client.get(client.put(x))
    assert found.dtype == x.dtype and found.tobytes() == x.tobytes()


def test_elements_are_taken_without_jax():
    code = (
        "import sys, numpy as np\nfrom pullback.engines.xla import adapter, adapter_plugin\n"
        "c = adapter_plugin.PluginClient(adapter.cpu().client)\n"
        "print(c.get(c.put(np.ones(3))).sum(), 'jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3.0", "False"]


# ---- programs


def linalg(name):
    """Functions of a square matrix."""
    return {
        "cholesky": lambda x: pnp.linalg.cholesky(x @ x.T + 9 * pnp.eye(4)),
        "triangular": lambda x: pb.scipy.linalg.solve_triangular(x, x, lower=True),
        "lu": lambda x: pb.lax.linalg.lu(x),
        "eigh": lambda x: pnp.linalg.eigh(x + x.T),
        "svd": lambda x: pnp.linalg.svd(x),
        "svd, wide": lambda x: pnp.linalg.svd(pnp.tile(x, (300, 500)), full_matrices=False),
        "svd, values": lambda x: pnp.linalg.svd(x, compute_uv=False),
        "qr": lambda x: pnp.linalg.qr(x),
        "qr, all": lambda x: pnp.linalg.qr(x[:, :2], mode="complete"),
        "solve": lambda x: pnp.linalg.solve(x + 9 * pnp.eye(4), x),
        "solve, turned": lambda x: pb.vjp(lambda b: pnp.linalg.solve(x + 9 * pnp.eye(4), b), x)[1](
            x
        ),
        "solve, many": lambda x: pnp.linalg.solve(pnp.stack([x + 9 * pnp.eye(4)] * 3), x[None]),
    }[name]


TARGETS = {
    "cholesky": ["cusolver_potrf_ffi"],
    "triangular": ["stablehlo.triangular_solve"],
    "lu": ["cusolver_getrf_ffi", "cu_lu_pivots_to_permutation"],
    "eigh": ["cusolver_syevd_ffi"],
    "svd": ["cusolver_gesvdj_ffi"],
    "svd, wide": ["cusolver_gesvd_ffi"],
    "svd, values": ["cusolver_gesvdj_ffi"],
    "qr": ["cusolver_geqrf_ffi", "cusolver_orgqr_ffi"],
    "qr, all": ["cusolver_geqrf_ffi", "cusolver_orgqr_ffi"],
    "solve": ["cusolver_getrf_ffi"],
    "solve, turned": ["cusolver_getrf_ffi"],
    "solve, many": ["cusolver_getrf_ffi"],
}
MATRIX = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)


def text_of(function, *arrays, platform="cuda"):
    def flat(*xs):
        return pb.tree.leaves(function(*xs))

    return program.write(trace_program(flat, [HostArray(x).aval for x in arrays]), platform).text


@pytest.mark.parametrize("name", TARGETS)
def test_linear_algebra_stays_on_the_device(name):
    text = text_of(linalg(name), MATRIX)
    assert all(target in text for target in TARGETS[name])
    assert "lapack" not in text and "python" not in text


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
@pytest.mark.parametrize("shape", [(4, 4), (2, 3, 4, 4)])
@pytest.mark.parametrize("name", ["triangular", "solve", "solve, turned", "hermitian"])
def test_rules_of_operations_that_every_platform_has(monkeypatch, name, shape, dtype):
    changed = {triangular_solve: linalg_cuda._OWN[triangular_solve]}
    monkeypatch.setattr(program, "RULES", {**program.RULES, **changed})
    random = np.random.default_rng(0)
    parts = random.normal(size=(2, *shape))
    x = (parts[0] if np.dtype(dtype).kind == "f" else parts[0] + 1j * parts[1]).astype(dtype)
    function = {
        "triangular": lambda x: pb.lax.linalg.triangular_solve(
            x + 9 * pnp.eye(4, dtype=dtype), x, left_side=True, conjugate_a=True
        ),
        "solve": lambda x: pnp.linalg.solve(x, x @ x),
        "solve, turned": lambda x: pb.vjp(lambda b: pnp.linalg.solve(x, b), x)[1](x)[0],
        "hermitian": lambda x: hermitian_part(x),
    }[name]
    closed = trace_program(lambda x: [function(x)], [HostArray(x).aval])
    (found,) = program.compile_program(closed)(x)
    with np.errstate(all="ignore"):
        wanted = np.asarray(function(pnp.asarray(x)))
    np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=2e-3)


def test_python_is_called_by_the_name_for_gpus():
    def function(x):
        return pb.pure_callback(np.sin, pb.ShapeDtypeStruct(x.shape, x.dtype), x)

    assert "xla_ffi_python_gpu_callback" in text_of(function, MATRIX)


@with_plugin
@pytest.mark.slow
@pytest.mark.parametrize("name", [*TARGETS, "matmul", "convolution", "sort", "fft"])
def test_programs_compile_for_a_device_that_is_absent(name):
    others = {
        "matmul": lambda x: x @ x,
        "convolution": lambda x: pb.lax.conv(x[None, None], x[None, None, :2, :2], (1, 1), "SAME"),
        "sort": lambda x: pnp.sort(x, axis=0),
        "fft": lambda x: pnp.fft.fft(x),
    }
    made = adapter_cuda.compile_for_absent(text_of(others.get(name) or linalg(name), MATRIX))
    assert made.serialize()


@with_plugin
def test_the_functions_are_registered():
    text = text_of(linalg("eigh"), MATRIX).replace("cusolver_syevd_ffi", "cusolver_nothing_ffi")
    with pytest.raises(Exception, match="cusolver_nothing_ffi"):
        adapter_cuda.compile_for_absent(text)


# ---- on a device


@pytest.fixture
def gpu():
    return pb.devices("gpu")[0]


TWO = """
import os
os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
import numpy as np, pullback as jax
from pullback import lax
from pullback.sharding import Mesh, NamedSharding, PartitionSpec as P
number = int(os.environ["JAX_PROCESS_ID"])
jax.distributed.initialize(local_device_ids=number % COUNT)
mesh = Mesh(jax.devices() if COUNT == 2 else jax.local_devices(), "x")
mine = np.full(1, number + 1, np.float32)
x = jax.make_array_from_process_local_data(NamedSharding(mesh, P("x")), mine)
add = jax.shard_map(lambda x: lax.psum(x.sum(), "x"), mesh=mesh, in_specs=P("x"), out_specs=P())
total = float(np.asarray(jax.jit(add)(x)))
print(f"{jax.device_count()} devices, of which {jax.local_device_count()} here, sum {total}")
"""


class TestOnDevice:
    pytestmark = on_gpu

    @pytest.mark.parametrize("dtype", [np.float32, np.bool_, np.int8, ml_dtypes.bfloat16])
    def test_arrays_go_there_and_back(self, gpu, dtype):
        x = np.arange(6).reshape(2, 3).astype(dtype)
        y = pb.device_put(x, gpu)
        assert y.devices() == {gpu}
        assert np.asarray(y).tobytes() == x.tobytes()

    def test_programs_run_where_their_arguments_are(self, gpu):
        y = pb.jit(lambda x: pnp.sin(x) @ x.T)(pb.device_put(MATRIX, gpu))
        assert y.devices() == {gpu}
        np.testing.assert_allclose(np.asarray(y), np.sin(MATRIX) @ MATRIX.T, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("name", TARGETS)
    def test_linear_algebra(self, gpu, name):
        function = linalg(name)
        wanted = pb.tree.leaves(function(pnp.asarray(MATRIX)))
        got = pb.tree.leaves(pb.jit(function)(pb.device_put(MATRIX, gpu)))
        for g, w in zip(got, wanted, strict=True):  # the signs of vectors are free
            g, w = np.abs(np.asarray(g)), np.abs(np.asarray(w))
            if name != "svd, wide" or g.ndim == 1:
                np.testing.assert_allclose(g, w, rtol=2e-3, atol=2e-3)

    def test_python_is_called_from_there(self, gpu):
        def function(x):
            return pb.pure_callback(np.sin, pb.ShapeDtypeStruct(x.shape, x.dtype), x)

        y = pb.jit(function)(pb.device_put(MATRIX, gpu))
        np.testing.assert_allclose(np.asarray(y), np.sin(MATRIX), rtol=1e-6)

    def test_new_arrays_are_there(self, gpu):
        code = (
            "import pullback as pb, pullback.numpy as jnp\n"
            "print(jnp.zeros(2).devices() == pb.jit(lambda: jnp.ones(2))().devices() =="
            " {pb.devices()[0]}, pb.default_backend(), pb.devices()[0].platform)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout.split() == ["True", "gpu", "cuda"], done.stderr

    @pytest.mark.parametrize("count", [1, 2])
    def test_two_processes(self, gpu, tmp_path, count):
        """Each with a GPU of its own, exchanging data by NCCL; or one, which both use for their own
        programs: NCCL takes no two processes on one GPU."""
        if count > len(pb.local_devices(backend="gpu")):
            pytest.skip("it needs two GPUs")
        file = tmp_path / "two.py"
        file.write_text(TWO.replace("COUNT", str(count)), encoding="utf-8")
        command = [sys.executable, "-m", "pullback", "launch", "-n", "2", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=550)
        assert done.returncode == 0, done.stdout + done.stderr
        sums = {1: ["1.0", "2.0"], 2: ["3.0", "3.0"]}[count]
        assert sorted(done.stdout.splitlines()) == [
            f"[{i}] 2 devices, of which 1 here, sum {sums[i]}" for i in range(2)
        ]

    def test_jax_is_not_imported(self, gpu):
        code = (
            "import sys, pullback as pb, numpy as np\n"
            "x = pb.device_put(np.ones(3), pb.devices('gpu')[0])\n"
            "print(float(x.sum()), 'jax' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout.split() == ["3.0", "False"], done.stderr
