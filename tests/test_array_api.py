"""The Python array API standard, version 2024.12: names, parameters, the namespace's own words."""

from __future__ import annotations

import inspect

import ml_dtypes
import numpy as np
import peer
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import dlpack
from pullback.sharding import SingleDeviceSharding

CONSTANTS = "e inf nan pi newaxis"
DTYPES = (
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128"
)

# Parameters, as the standard has them, and the functions that have these.
FUNCTIONS = {
    "obj, /, *, dtype, device, copy": "asarray",
    "start, /, stop, step, *, dtype, device": "arange",
    "shape, *, dtype, device": "empty ones zeros",
    "x, /, *, dtype, device": "empty_like ones_like zeros_like",
    "n_rows, n_cols, /, *, k, dtype, device": "eye",
    "x, /, *, device, copy": "from_dlpack",
    "shape, fill_value, *, dtype, device": "full",
    "x, /, fill_value, *, dtype, device": "full_like",
    "start, stop, /, num, *, dtype, device, endpoint": "linspace",
    "*arrays, indexing": "meshgrid",
    "x, /, *, k": "tril triu",
    "x, dtype, /, *, copy, device": "astype",
    "*arrays": "broadcast_arrays",
    "*shapes": "broadcast_shapes",
    "x, /, shape": "broadcast_to",
    "from_, to, /": "can_cast",
    "type, /": "finfo iinfo",
    "dtype, kind": "isdtype",
    "*arrays_and_dtypes": "result_type",
    "x, /": "abs acos acosh asin asinh atan atanh bitwise_invert ceil conj cos cosh exp expm1 "
    "floor imag isfinite isinf isnan log log1p log2 log10 logical_not negative positive real "
    "reciprocal round sign signbit sin sinh square sqrt tan tanh trunc matrix_transpose nonzero "
    "unique_all unique_counts unique_inverse unique_values linalg.det linalg.eigh "
    "linalg.eigvalsh linalg.inv linalg.matrix_transpose linalg.slogdet linalg.svdvals",
    "x1, x2, /": "add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift "
    "bitwise_xor copysign divide equal floor_divide greater greater_equal hypot less less_equal "
    "logaddexp logical_and logical_or logical_xor maximum minimum multiply nextafter not_equal "
    "pow remainder subtract matmul linalg.matmul linalg.outer linalg.solve",
    "x, /, min, max": "clip",
    "x, indices, /, *, axis": "take take_along_axis",
    "x1, x2, /, *, axes": "tensordot linalg.tensordot",
    "x1, x2, /, *, axis": "vecdot linalg.cross linalg.vecdot",
    "arrays, /, *, axis": "concat stack",
    "x, /, axis": "expand_dims squeeze",
    "x, /, *, axis": "flip unstack",
    "x, source, destination, /": "moveaxis",
    "x, /, axes": "permute_dims",
    "x, repeats, /, *, axis": "repeat",
    "x, /, shape, *, copy": "reshape",
    "x, /, shift, *, axis": "roll",
    "x, repetitions, /": "tile",
    "x, /, *, axis, keepdims": "argmax argmin count_nonzero max mean min all any",
    "x1, x2, /, *, side, sorter": "searchsorted",
    "condition, x1, x2, /": "where",
    "x1, x2, /, *, invert": "isin",
    "x, /, *, axis, descending, stable": "argsort sort",
    "x, /, *, axis, dtype, include_initial": "cumulative_sum cumulative_prod",
    "x, /, *, axis, dtype, keepdims": "prod sum",
    "x, /, *, axis, correction, keepdims": "std var",
    "x, /, *, axis, n, prepend, append": "diff",
    "x, /, *, upper": "linalg.cholesky",
    "x, /, *, offset": "linalg.diagonal",
    "x, /, *, keepdims, ord": "linalg.matrix_norm",
    "x, n, /": "linalg.matrix_power",
    "x, /, *, rtol": "linalg.matrix_rank linalg.pinv",
    "x, /, *, mode": "linalg.qr",
    "x, /, *, full_matrices": "linalg.svd",
    "x, /, *, offset, dtype": "linalg.trace",
    "x, /, *, axis, keepdims, ord": "linalg.vector_norm",
    "x, /, *, n, axis, norm": "fft.ifft fft.rfft fft.irfft fft.hfft fft.ihfft fft.fft",
    "x, /, *, s, axes, norm": "fft.fftn fft.ifftn fft.rfftn fft.irfftn",
    "n, /, *, d, dtype, device": "fft.fftfreq fft.rfftfreq",
    "x, /, *, axes": "fft.fftshift fft.ifftshift",
}
METHODS = """__abs__ __add__ __and__ __array_namespace__ __bool__ __complex__ __dlpack__
__dlpack_device__ __eq__ __float__ __floordiv__ __ge__ __getitem__ __gt__ __index__ __int__
__invert__ __le__ __lshift__ __lt__ __matmul__ __mod__ __mul__ __ne__ __neg__ __or__ __pos__ __pow__
__rshift__ __sub__ __truediv__ __xor__ __radd__ __rand__ __rfloordiv__ __rlshift__ __rmatmul__
__rmod__ __rmul__ __ror__ __rpow__ __rrshift__ __rsub__ __rtruediv__ __rxor__ to_device dtype device
mT ndim shape size T"""

CASES = [(name, text) for text, names in FUNCTIONS.items() for name in names.split()]


def function_named(name):
    value = jnp
    for part in name.split("."):
        value = getattr(value, part)
    return value


@pytest.mark.parametrize(("name", "text"), CASES, ids=[name for name, _ in CASES])
def test_parameters_of_the_standard(name, text):
    """A call that the standard allows fits the function: as many by position, the rest by name."""
    before, _, by_name = text.partition("*, ") if text[0] != "*" else (text, "", "")
    by_place = [p for p in before.split(", ") if p and p != "/"]
    function = function_named(name)
    if text.startswith("*"):
        given, named = [None, None], [p for p in by_place if p[0] != "*"]
    else:
        slash = before.partition("/")[0].count(",") if "/" in before else 0
        given, named = by_place[:slash] or by_place[:1], by_place[slash or 1 :]
    inspect.signature(function).bind(
        *given, **dict.fromkeys([*named, *(p for p in by_name.split(", ") if p)])
    )
    if not text.startswith("*"):
        inspect.signature(function).bind(*by_place)


@pytest.mark.parametrize("name", METHODS.split())
def test_methods_of_the_standard(name):
    assert hasattr(jnp.ones((2, 2)), name)


def test_constants_and_dtypes():
    for name in CONSTANTS.split():
        want = getattr(np, name)
        assert getattr(jnp, name) is want or getattr(jnp, name) == want or want != want
    for name in DTYPES.split():
        assert np.dtype(getattr(jnp, name)) == np.dtype(name)


# ---- the namespace


def test_namespace():
    x = jnp.ones(2)
    assert x.__array_namespace__() is jnp and jnp.__array_api_version__ == "2024.12"
    assert x.__array_namespace__(api_version="2024.12") is jnp
    sines = pb.jit(lambda x: x.__array_namespace__().sin(x))(x)
    np.testing.assert_allclose(sines, jnp.sin(x), rtol=2e-7)
    with pytest.raises(ValueError, match=r"version '1\.0' of the array API"):
        x.__array_namespace__(api_version="1.0")


@pytest.mark.skipif(not peer.INSTALLED, reason="the real JAX is not installed")
@pytest.mark.parametrize("x64", [False, True])
def test_info_is_that_of_jax(x64):
    import jax.numpy

    with pb.enable_x64(x64), jax.enable_x64(x64):
        ours, theirs = jnp.__array_namespace_info__(), jax.numpy.__array_namespace_info__()
        assert ours.capabilities() == theirs.capabilities()
        assert ours.default_device() == theirs.default_device()
        assert ours.default_dtypes() == theirs.default_dtypes()
        kinds = [None, "bool", "signed integer", "unsigned integer", "integral", "real floating",
                 "complex floating", "numeric", ("bool", "integral")]  # fmt: skip
        for kind in kinds:
            assert ours.dtypes(kind=kind) == theirs.dtypes(kind=kind)
    assert ours.devices() == [None, pb.devices()[0]]
    with pytest.raises(KeyError, match="knows no kind 'x'"):
        ours.dtypes(kind="x")


# ---- DLPack and devices


@pytest.mark.parametrize("dtype", [*DTYPES.split(), "float16"])
def test_dlpack_there_and_back(dtype):
    with pb.enable_x64():
        x = jnp.asarray([[0, 1, 1], [1, 0, 1]], np.dtype(dtype))
        seen = np.from_dlpack(x)
        assert seen.dtype == x.dtype and not seen.flags.writeable
        np.testing.assert_array_equal(seen, np.asarray(x))
        for back in (jnp.from_dlpack(seen), dlpack.from_dlpack(seen.T).T):
            assert back.dtype == x.dtype
            np.testing.assert_array_equal(back, np.asarray(x))
    assert x.__dlpack_device__() == (1, 0)


def test_what_is_imported_is_a_copy():
    source = np.ones(3, np.float32)
    x = jnp.from_dlpack(source)
    source[0] = 5
    assert x.tolist() == [1, 1, 1]
    copied = np.from_dlpack(x, copy=True)
    copied[0] = 7
    assert x.tolist() == [1, 1, 1]
    assert jnp.from_dlpack(x) is x


def test_dlpack_messages():
    with pytest.raises(TypeError, match="must have __dlpack__"):
        jnp.from_dlpack([1, 2])
    with pytest.raises(ValueError, match="cannot be used without a copy"):
        jnp.from_dlpack(np.ones(2), copy=False)
    with pytest.raises(BufferError, match="only a copy"):
        jnp.ones(2).__dlpack__(copy=False)
    with pytest.raises(TypeError, match="random keys have no NumPy form"):
        pb.random.key(0).__dlpack__()


@pytest.mark.parametrize("dtype", [*DTYPES.split(), "float16", "int4", "float8_e4m3fn"])
def test_supported_dtypes(dtype):
    dtype = np.dtype(getattr(ml_dtypes, dtype, dtype))
    supported = dlpack.is_supported_dtype(dtype)
    if peer.INSTALLED:
        import jax.dlpack

        assert supported == jax.dlpack.is_supported_dtype(dtype)
    if supported:
        with pb.enable_x64():
            assert np.from_dlpack(jnp.zeros(1, dtype)).dtype == dtype


def test_devices_of_new_arrays():
    cpu = pb.devices()[0]
    made = [
        jnp.asarray([1.0], device=cpu),
        jnp.array([1.0], device=SingleDeviceSharding(cpu)),
        jnp.ones(1).to_device(cpu),
        jnp.from_dlpack(np.ones(1, "f"), device=cpu),
    ]
    for x in made:
        assert x.device is cpu and x.committed
    with pytest.raises(ValueError, match="no place for an array"):
        jnp.ones(1).to_device("gpu")


# ---- what the standard adds to NumPy


def test_unique_functions():
    x = np.array([[3, 1], [2, 3]])
    for name in ("unique_all", "unique_counts", "unique_inverse"):
        got, want = getattr(jnp, name)(x), getattr(np, name)(x)
        assert type(got)._fields == type(want)._fields
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a, b)
    # The standard leaves the order open.
    np.testing.assert_array_equal(jnp.unique_values(x), sorted(np.unique_values(x)))


def test_isdtype_and_astype():
    assert jnp.isdtype(jnp.ones(1).dtype, ("real floating", "bool"))
    x = jnp.ones(2)
    assert x.astype(jnp.int32).dtype == jnp.int32 and jnp.astype(x, jnp.float32, copy=True) is not x
    assert jnp.asarray(x, copy=True) is not x and jnp.asarray(x, copy=False) is x
