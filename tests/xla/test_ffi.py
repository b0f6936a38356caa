"""`jax.ffi`: functions of compiled libraries in programs, with LAPACK's, C's and C++'s."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("jaxlib", reason="the foreign interface is XLA's")

import pullback as pb
import pullback.numpy as jnp
from pullback import ffi
from pullback.engines.xla import foreign

ENGINES = ["native", "numpy", "xla"]
UP, LOW = np.uint8(ord("U")), np.uint8(ord("L"))
COLUMNS = (1, 0)


def positive(n, dtype=np.float32):
    a = np.random.default_rng(n).normal(size=(n, n)).astype(dtype)
    return a @ a.T + n * np.eye(n, dtype=dtype)


def potrf(n, dtype="float32", **options):
    results = [
        pb.ShapeDtypeStruct((n, n), dtype),
        pb.ShapeDtypeStruct((), "int32"),
    ]
    layouts = {"input_layouts": [COLUMNS], "output_layouts": [COLUMNS, ()]}
    letter = {"float32": "s", "float64": "d"}[dtype]
    return ffi.ffi_call(f"lapack_{letter}potrf_ffi", results, **layouts, **options)


@pytest.mark.parametrize("x64", [False, True])
def test_a_function_of_lapack(x64):
    dtype = "float64" if x64 else "float32"
    with pb.enable_x64(x64):
        a = positive(5, dtype)
        want = np.linalg.cholesky(a)
        close = {"rtol": 1e-12 if x64 else 1e-5, "atol": 1e-6}
        for aliases in (None, {0: 0}):
            found, info = potrf(5, dtype, input_output_aliases=aliases)(a, uplo=LOW)
            np.testing.assert_allclose(np.tril(found), want, **close)
            assert int(info) == 0 and found.dtype == dtype
        # The layout counts: the same bytes by rows are the transpose.
        upper, _ = potrf(5, dtype)(a, uplo=UP)
        np.testing.assert_allclose(np.triu(upper), want.T, **close)


def test_as_the_first_that_asks_for_jaxlib_it_writes_nothing():
    code = (
        "import numpy as np, pullback as pb, pullback.numpy as jnp\n"
        "f = pb.ffi.ffi_call('lapack_spotrf_ffi', [pb.ShapeDtypeStruct((1, 1), 'float32'),"
        " pb.ShapeDtypeStruct((), 'int32')])\n"
        "f(jnp.ones((1, 1)), uplo=np.uint8(76))\n"
    )
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TF_CPP")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=clean)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("engine", ["numpy", "xla", None])
def test_in_programs(engine):
    a = positive(4)

    def f(a):
        found, _ = potrf(4)(2 * a, uplo=LOW)
        return jnp.tril(found) / np.float32(np.sqrt(2))

    np.testing.assert_allclose(pb.jit(f, engine=engine)(a), np.linalg.cholesky(a), rtol=1e-5)
    loop = pb.jit(lambda a: pb.lax.fori_loop(0, 3, lambda i, b: f(b) @ f(b).T, a), engine=engine)
    np.testing.assert_allclose(loop(a), a, rtol=1e-5)


@pytest.mark.parametrize("method", ["sequential", "sequential_unrolled", "broadcast_all",
                                    "expand_dims", "legacy_vectorized"])  # fmt: skip
@pytest.mark.parametrize("engine", [None, "xla"])
def test_vmap(method, engine):
    many = np.stack([positive(3) + i for i in range(4)])
    call = potrf(3, vmap_method=method)
    found = pb.jit(pb.vmap(lambda a: call(a, uplo=LOW)[0]), engine=engine)(many)
    np.testing.assert_allclose(np.tril(found), np.linalg.cholesky(many), rtol=1e-5)


def test_vmap_needs_a_method():
    with pytest.raises(NotImplementedError, match="ffi_call primitive when vmap_method is one of"):
        pb.vmap(lambda a: potrf(3)(a, uplo=LOW))(jnp.ones((2, 3, 3)))


def test_derivatives():
    call = potrf(3)
    with pytest.raises(ValueError, match="call to `lapack_spotrf_ffi` cannot be differentiated"):
        pb.grad(lambda a: call(a, uplo=LOW)[0].sum())(positive(3))

    @pb.custom_jvp
    def cholesky(a):
        return jnp.tril(call(a, uplo=LOW)[0])

    @cholesky.defjvp
    def rule(primals, tangents):
        (a,), (t,) = primals, tangents
        low = cholesky(a)
        inner = jnp.linalg.solve(low, jnp.linalg.solve(low, t).T).T
        return low, low @ (jnp.tril(inner, -1) + jnp.diag(jnp.diag(inner)) / 2)

    a, t = positive(3), np.eye(3, dtype=np.float32)
    want = pb.jvp(jnp.linalg.cholesky, (a,), (t,))[1]
    np.testing.assert_allclose(pb.jvp(cholesky, (a,), (t,))[1], want, rtol=1e-4, atol=1e-5)


# ---- the older interface, which needs no compiler

SEEN: list[int] = []


@ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p))
def twice(out, ins):
    kind = ctypes.POINTER(ctypes.c_float)
    x, y = (np.ctypeslib.as_array(ctypes.cast(p, kind), (3,)) for p in (ins[0], out))
    y[:] = 2 * x
    SEEN.append(1)


@pytest.fixture(scope="module")
def doubled():
    ffi.register_ffi_target("test_twice", ffi.pycapsule(twice), api_version=0)
    return pb.ShapeDtypeStruct((3,), "float32")


@pytest.mark.parametrize("engine", ["numpy", "xla"])
def test_effects(doubled, engine):
    x = jnp.arange(3.0)
    for effect, count in ((True, 1), (False, 0)):
        call = ffi.ffi_call(
            "test_twice", doubled, has_side_effect=effect, custom_call_api_version=2
        )
        assert call(x).tolist() == [0, 2, 4]
        run = pb.jit(lambda x, call=call: [call(x), x][1], engine=engine)
        SEEN.clear()
        assert run(x).tolist() == [0, 1, 2]
        assert len(SEEN) == count
        assert bool(pb.make_jaxpr(call)(x).effects) is effect


# ---- the typed interface of XLA's headers

SOURCE = r"""
#include "xla/ffi/api/ffi.h"
namespace ffi = xla::ffi;
static ffi::Error Weighted(ffi::Buffer<ffi::F32> x, ffi::Result<ffi::Buffer<ffi::F32>> y,
                           float factor, int64_t shift, ffi::Span<const double> weights,
                           std::string_view mode, bool negate, ffi::Dictionary more) {
  if (mode == "refuse") return ffi::Error::InvalidArgument("it was told to refuse");
  auto deep = more.get<int32_t>("deep");
  if (!deep.has_value()) return ffi::Error::InvalidArgument("no deep");
  size_t n = x.element_count(), k = weights.size();
  for (size_t i = 0; i < n; ++i) {
    float v = factor * x.typed_data()[i] * static_cast<float>(weights[i % k]) + shift + *deep;
    y->typed_data()[i] = negate ? -v : v;
  }
  return ffi::Error::Success();
}
XLA_FFI_DEFINE_HANDLER_SYMBOL(weighted, Weighted,
    ffi::Ffi::Bind().Arg<ffi::Buffer<ffi::F32>>().Ret<ffi::Buffer<ffi::F32>>()
        .Attr<float>("factor").Attr<int64_t>("shift").Attr<ffi::Span<const double>>("weights")
        .Attr<std::string_view>("mode").Attr<bool>("negate").Attr<ffi::Dictionary>("more"));
"""


@pytest.fixture(scope="module")
def weighted(tmp_path_factory):
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no g++ to compile a function with")
    folder = tmp_path_factory.mktemp("ffi")
    (folder / "weighted.cc").write_text(SOURCE)
    command = [compiler, "-std=c++17", "-O0", "-fPIC", "-shared", "-I", ffi.include_dir()]
    command += ["-o", str(folder / "weighted.so"), str(folder / "weighted.cc")]
    subprocess.run(command, check=True, capture_output=True, timeout=550)
    library = ctypes.CDLL(str(folder / "weighted.so"))
    ffi.register_ffi_target("test_weighted", ffi.pycapsule(library.weighted))
    return ffi.ffi_call("test_weighted", pb.ShapeDtypeStruct((4,), "float32"))


def told(**changed):
    told = {
        "factor": np.float32(1.5),
        "shift": 7,
        "weights": np.array([1.0, -2.0]),
        "mode": 'odd "name"\\\n\u00e9',
        "negate": True,
        "more": {"deep": np.int32(-3)},
    }
    return told | changed


@pytest.mark.parametrize("engine", ["numpy", "xla"])
def test_a_function_of_ones_own(weighted, engine):
    x = np.arange(4, dtype=np.float32)
    want = -(1.5 * x * np.array([1, -2, 1, -2]) + 7 - 3)
    run = pb.jit(lambda x: weighted(x, **told()), engine=engine)
    np.testing.assert_array_equal(run(x), want.astype(np.float32))
    np.testing.assert_array_equal(weighted(x, **told(negate=False)), -want.astype(np.float32))
    np.testing.assert_array_equal(weighted(x, **told(factor=np.float32(np.inf)))[1:2], [np.inf])


@pytest.mark.parametrize("engine", ["numpy", "xla"])
def test_a_function_that_fails(weighted, engine):
    run = pb.jit(lambda x: weighted(x, **told(mode="refuse")), engine=engine)
    with pytest.raises(pb.errors.JaxRuntimeError, match="it was told to refuse"):
        run(jnp.ones(4)).block_until_ready()
    run = pb.jit(lambda x: weighted(x, factor=1.0), engine=engine)
    with pytest.raises(pb.errors.JaxRuntimeError, match="attribute"):
        run(jnp.ones(4)).block_until_ready()


def test_clear_caches():
    call = potrf(6)
    call(positive(6), uplo=LOW)
    assert foreign._compiled.cache_info().currsize
    pb.clear_caches()
    assert not foreign._compiled.cache_info().currsize
    np.testing.assert_allclose(
        np.tril(call(positive(6), uplo=LOW)[0]), np.linalg.cholesky(positive(6)), rtol=1e-5
    )


# ---- mistakes


def call_of(**options):
    return lambda: ffi.ffi_call("name", jnp.ones(3), **options)(jnp.ones(3), jnp.ones((2, 2)))


MISTAKES = [
    (call_of(vmap_method="all"), ValueError, "allowed methods .* but got: all"),
    (call_of(legacy_backend_config="x"), ValueError, "requires custom_call_api_version < 4"),
    (call_of(input_layouts=[None]), ValueError, "one layout for each array.\n  Got: 1 layouts for"),
    (call_of(input_layouts=[None, (0, 0)]), ValueError, r"input_layouts\[1\] is no order of"),
    (call_of(output_layouts=(0, 1)), ValueError, r"output_layouts\[0\] is no order of the axes"),
    (call_of(input_output_aliases={2: 0}), ValueError, r"input index 2 outside the range \[0, 2\)"),
    (call_of(input_output_aliases={0: 1}), ValueError, r"output index 1 outside the range \[0, 1"),
    (call_of(input_output_aliases={1: 0}), ValueError, r"an input f32\[2,2\] and an output f32\[3"),
    (lambda: ffi.ffi_call("name", 3.0), ValueError, "must have 'shape' and 'dtype' attributes"),
    (lambda: ffi.ffi_call("name", jnp.ones(3))(k=1j), TypeError, "the attribute k is nothing that"),
    (lambda: ffi.ffi_call("name", jnp.ones(3))(k=2**70), TypeError, "Got: 1180591620717411303424"),
    (
        lambda: ffi.ffi_call("name", jnp.ones(3), custom_call_api_version=2)(k=1),
        ValueError,
        "requires a custom call API version of at least 4",
    ),
    (lambda: ffi.register_ffi_target("name", len), TypeError, "the function must be a capsule"),
    (lambda: ffi.register_ffi_type_id("name", None), ValueError, "use register_ffi_type"),
    (lambda: ffi.pycapsule("f"), TypeError, "this is no function of a compiled library"),
    (lambda: ffi.ffi_lowering("name"), NotImplementedError, "a rule of JAX's compiler"),
    (lambda: ffi.build_ffi_lowering_function("n"), NotImplementedError, "a rule of JAX's compiler"),
]


@pytest.mark.parametrize(("call", "kind", "text"), MISTAKES)
def test_mistakes(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


@pytest.mark.parametrize("engine", [None, "xla"])
def test_a_name_that_nobody_registered(engine):
    call = ffi.ffi_call("test_nobody", jnp.ones(3))
    with pytest.raises(pb.errors.JaxRuntimeError) as found:
        (pb.jit(call, engine=engine) if engine else call)(jnp.ones(3))
    assert "Got: NOT_FOUND: No FFI handler registered for test_nobody" in str(found.value)
    assert "Fix: register the function first: ffi.register_ffi_target(" in str(found.value)
