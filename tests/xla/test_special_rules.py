"""Special functions, windows and random bits on the XLA engine: the values of the NumPy engine, at
the ends of the domain too, and no call of Python.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from properties import function_of

import pullback
import pullback.numpy as jnp
from examples import EXAMPLES
from pullback import lax
from pullback.core.array import HostArray
from pullback.core.program import trace_program
from pullback.core.settings import enable_x64
from pullback.engines.native import objects
from pullback.ops import harmonics, hypergeometric, incomplete, special
from pullback.ops import special_integrals as integrals

pytest.importorskip("jaxlib", reason="the XLA engine needs jaxlib")
program = pytest.importorskip("pullback.engines.xla.program")
handlers = pytest.importorskip("pullback.engines.xla.handlers")
kernels = pytest.importorskip("pullback.engines.xla.kernels")

INF, NAN = np.inf, np.nan


@pytest.fixture(autouse=True)
def x64():
    with enable_x64():
        yield


def both(function, *arrays):
    """The results of XLA, where no Python is called, and of NumPy's engine."""
    closed = trace_program(function, [HostArray(x).aval for x in arrays])
    assert program.write(closed).called == []
    compiled = program.compile_program(closed)(*arrays)
    with np.errstate(all="ignore"):
        wanted = function(*map(HostArray, arrays))
    return list(zip(map(np.asarray, compiled), [np.asarray(y) for y in wanted], strict=True))


# ---- what is left to Python

LEFT = {
    "coo_solve",  # a solver of SciPy's for sparse matrices
    "hyp1f1_derivative",  # series of as many terms as it takes, in any order
    "hyp2f1_derivative",
    "mulhi",  # of 64 bits
    "random_gamma",  # of 16-bit floats: each step is rounded
    "scatter",  # with indices of no axis
    "scatter-add",
    "scatter-max",
    "scatter-min",
    "scatter-mul",
    "strong_conv_general_dilated",
    "strong_dot_general",
    "todense",
}
"""What Python does in programs for a CPU."""
OF_SEVERAL = {"mesh_exchange", "mesh_permute", "mesh_scatter"}
"""Of several devices, whose examples have none."""


def test_what_python_does():
    found = set()
    for e in EXAMPLES:
        for dtype in e.dtypes:
            types = [HostArray(x).aval for x in e.args(dtype)]
            try:
                found.update(program.write(trace_program(function_of(e, dtype), types)).called)
            except program.Unsupported:
                continue
    assert found - OF_SEVERAL == LEFT


# ---- special functions

NUMBERS = [0.0, -0.0, 1e-30, 1e-5, 0.1, 0.5, 0.99, 1, 1.5, 2, 3, 7.5, 20, 21, 150, 1e3, 1e6, 1e12]
NUMBERS += [-1e-5, -0.3, -1, -1.5, -2, -5, -20.25, -1e3, INF, -INF, NAN]
FEW = [0.0, 1e-5, 0.3, 1, 2, 2.5, 12, 400, 1e5, -0.5, -2, INF, NAN]
SHARES = [0.0, 1e-8, 0.2, 0.5, 0.9, 1 - 1e-9, 1, -0.1, 1.1, NAN]
ONE, TWO, DENSITY = [NUMBERS], [FEW, NUMBERS], [FEW, FEW, SHARES]

EXACT = {
    special.bessel_i0e: ONE, special.gamma_function: ONE, special.beta_function: TWO,
    integrals.cosine_integral: ONE, integrals.dawsn: ONE, integrals.erfcx: ONE,
    integrals.expi: ONE, integrals.fresnel_c: ONE, integrals.fresnel_s: ONE,
    integrals.owens_t: TWO, integrals.binomial: TWO,
    integrals.poch: [FEW, [0.0, 0.5, 1, 2.5, 30, -0.5, -3, NAN]],
    integrals.sine_integral: ONE, integrals.spence: ONE,
    incomplete.igamma: TWO, incomplete.igammac: TWO,
    incomplete.regularized_incomplete_beta: DENSITY,
    incomplete.regularized_incomplete_beta_complement: DENSITY,
    incomplete.zero_over: TWO, incomplete.zero_times: TWO,
    integrals.digamma_difference: TWO,
    hypergeometric.hyp1f1: [[0.5, 1, 2.5, -2], [0.5, 1, 3], [0.0, 1e-5, 1, 12, -0.5, -2, -30, NAN]],
    hypergeometric.hyp2f1: [[0.5, 1, -2], [0.5, 2], [1.5, 3], SHARES],
}  # fmt: skip
"""Machine code of SciPy's: the same bits."""
ROUNDED = {
    incomplete.gamma_density: TWO, incomplete.gamma_density_slope: TWO,
    incomplete.gamma_log_density: TWO, incomplete.beta_density: DENSITY,
    incomplete.beta_density_slope: DENSITY, incomplete.beta_log_density: DENSITY,
    incomplete.igamma_grad_a: TWO, incomplete.random_gamma_grad: TWO,
    incomplete.gamma_curvature: TWO, incomplete.log_igamma: TWO, incomplete.log_igammac: TWO,
    integrals.expn: [[0.0, 1, 2, 5, 0.5, 2.25, -1, -3, 40], [0.0, 1e-5, 0.1, 1, 5, 50, 800, INF]],
}  # fmt: skip
"""Formulas, whose functions of NumPy are XLA's."""


def grid(*axes):
    return [np.array(column) for column in zip(*itertools.product(*axes), strict=True)]


@pytest.mark.parametrize("primitive", EXACT, ids=lambda p: p.name)
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_functions_of_scipy(primitive, dtype):
    with np.errstate(all="ignore"):
        args = [x.astype(jnp.dtype(dtype)) for x in grid(*EXACT[primitive])]
    for got, want in both(lambda *xs: [primitive(*xs)], *args):
        assert got.dtype == want.dtype
        # XLA takes numbers for 0 that are subnormal when it rounds them to this dtype.
        flushed = np.abs(want.astype(np.float64)) < float(jnp.finfo(dtype).tiny)
        numbers = [y.astype(np.float64) for y in (got, want)]
        # It rounds to 16 bits by way of float32, which may be twice in the same direction.
        units = float(jnp.finfo(dtype).eps) if got.dtype.itemsize == 2 else 0
        np.testing.assert_allclose(*[np.where(flushed, 0, y) for y in numbers], rtol=units)


@pytest.mark.parametrize("primitive", ROUNDED, ids=lambda p: p.name)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_formulas(primitive, dtype):
    args = [x.astype(dtype) for x in grid(*ROUNDED[primitive])]
    for got, want in both(lambda *xs: [primitive(*xs)], *args):
        # What is subnormal on the way is 0.
        tiny = np.finfo(dtype).tiny * 100
        np.testing.assert_allclose(got, want, rtol=1e-7 if dtype == "float32" else 2e-11, atol=tiny)


@pytest.mark.parametrize("orders", [(1, 0), (0, 1), (2, 0), (1, 1), (0, 2)], ids=str)
def test_derivatives_of_betainc(orders):
    a, b, x = grid([0.1, 0.5, 1, 2.5, 30, 1e4, 0, -1, INF], [0.2, 1, 3, 200], SHARES)

    def function(a, b, x):
        return [incomplete.betainc_derivative(a, b, x, orders=orders)]

    for got, want in both(function, a, b, x):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-15)


def test_complex_functions():
    x = np.array([0, 1 + 1j, -2.5 + 0.1j, 30 - 40j, -3, 1e3j, -20 + 1e-9j, 0.5])
    for dtype, units in (("complex128", 20), ("complex64", 4)):

        def function(x):
            found = [integrals.wofz(x), harmonics.complex_loggamma(x)]
            return [*found, *[harmonics.complex_polygamma(x, order=k) for k in range(3)]]

        for got, want in both(function, x.astype(dtype)):
            known = np.isfinite(want)
            assert (np.isnan(got) == np.isnan(want)).all()
            error = np.abs(got[known] - want[known]) / np.abs(want[known])
            assert error.max() < 1e3 * units * np.finfo(dtype).eps


def test_harmonics():
    n, m, theta = grid([0.0, 1, 2, 7, -1], [0.0, 1, -1, 3, -7], [0.0, 0.3, 1.5, 3.1, -0.4])

    def function(n, m, theta):
        found = [harmonics.spherical_legendre(n, m, theta)]
        return [*found, harmonics.bessel_j(theta * 20, order=2)]

    for got, want in both(function, n, m, theta):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-15)


def test_derivatives_of_zeta():
    s, q = grid([1.0, 1.01, 2, 5.5, 40, 0.5, INF], [0.1, 1, 2.5, 30, -1])

    def function(s, q):
        return [special.zeta_derivative(s, q, order=n) for n in (1, 2)]

    for got, want in both(function, s, q):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-300)


def test_gradients():
    def loss(a, b, x):
        found = lax.igamma(a, 3 * x).sum() + jnp.log(lax.igammac(b, 2 * x)).sum()
        return found + (lax.betainc(a, b, x) ** 2).sum() + lax.bessel_i0e(a * b).sum()

    def function(*xs):
        slope = pullback.grad(loss, (0, 1, 2))
        bend = pullback.jvp(lambda *ys: slope(*ys)[0], xs, tuple(x * 0 + 0.5 for x in xs))[1]
        return [*slope(*xs), bend]

    rng = np.random.default_rng(0)
    args = rng.uniform(0.3, 6, 40), rng.uniform(0.3, 6, 40), rng.uniform(0.01, 0.99, 40)
    for got, want in both(function, *args):
        np.testing.assert_allclose(got, want, rtol=1e-10)


def test_many_elements_and_none():
    """Pieces of several threads; scalars beside arrays; arrays without elements."""
    rng = np.random.default_rng(1)
    x = rng.gamma(2.0, size=(3, 1234)).astype(np.float32)
    for got, want in both(lambda x: [lax.igamma(x, x + 1), integrals.poch(x, x)], x):
        np.testing.assert_array_equal(got, want)
    for got, want in both(lambda x: [lax.igamma(x, x)], np.zeros((0, 3))):
        assert got.shape == want.shape
    for got, want in both(lambda x: [harmonics.bessel_j(x, order=3)], np.float64(2.5)):
        assert got == want


def test_subnormal_numbers_are_kept():
    """SciPy's code computes as Python's threads do; XLA's own operations take them for 0."""
    x = np.array([1e-310, -3e-320, 5e-324])
    for got, want in both(lambda x: [integrals.dawsn(x)], x):
        np.testing.assert_array_equal(want, x)
        np.testing.assert_array_equal(got, want)


IN_ANOTHER_PROCESS = """
    import numpy as np, pullback as pb
    from pullback import lax, random
    from pullback.engines.xla import kept

    f = pb.jit(lambda x: lax.igamma(x, x) + random.gamma(random.key(1), x), engine="xla")
    made = []
    keep = kept.keep
    kept.keep = lambda name, bytes_of: (made.append(name), keep(name, bytes_of))
    print(np.asarray(f(np.arange(1, 4, dtype=np.float32))).tobytes().hex(), len(made))
"""


def test_kept_executables_find_the_code_of_their_process(tmp_path):
    said = [
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(IN_ANOTHER_PROCESS)],
            env={**os.environ, "PULLBACK_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for _ in range(2)
    ]
    assert said[0][0] == said[1][0]
    assert (said[0][1] != "0", said[1][1]) == (True, "0")


# ---- windows and extrema

SELECTED = [
    {"window_dimensions": (3, 2), "window_strides": (2, 1), "padding": ((1, 1), (0, 1)),
     "base_dilation": (1, 1), "window_dilation": (1, 1)},
    {"window_dimensions": (2, 2), "window_strides": (1, 2), "padding": ((0, 0), (0, 0)),
     "base_dilation": (2, 1), "window_dilation": (1, 3)},
    {"window_dimensions": (1, 2), "window_strides": (3, 1), "padding": ((2, 2), (3, 2)),
     "base_dilation": (1, 2), "window_dilation": (2, 1)},
]  # fmt: skip


@pytest.mark.parametrize("windows", SELECTED, ids=["padded", "dilated", "outside"])
@pytest.mark.parametrize("select", ["ge", "le"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_elements_that_windows_choose(windows, select, dtype):
    """With ties, infinities and NaN; the first of those that tie is chosen, never the padding."""
    from pullback.ops import pooling

    rng = np.random.default_rng(2)
    x = rng.integers(-2, 3, (7, 8)).astype(np.float32)
    x[0, :4], x[3, 5], x[5, 2:4] = -INF, INF, NAN
    x = x.astype(jnp.dtype(dtype))
    t = rng.normal(size=x.shape).astype(jnp.dtype(dtype))
    shape = pooling.select_and_gather_add.typing(
        *[HostArray(v).aval for v in (t, x)], select_prim=select, **windows
    ).shape
    source = np.arange(np.prod(shape)).reshape(shape).astype(jnp.dtype(dtype))

    def function(t, x, source):
        chosen = {"select_prim": select, **windows}
        return [
            pooling.select_and_gather_add(t, x, **chosen),
            pooling.select_and_scatter_add(source, x, **chosen),
        ]

    for got, want in both(function, t, x, source):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_windows(dtype):
    rng = np.random.default_rng(3)
    x = (rng.integers(-2, 3, (5, 6)) + 1j * rng.integers(-2, 3, (5, 6))).astype(dtype)

    def function(x):
        window = ((2, 3), (1, 2), "SAME")
        low, high = complex(-INF, -INF), complex(INF, INF)
        return [
            lax.reduce_window(x, np.zeros((), dtype), lax.add, *window),
            lax.reduce_window(x, np.asarray(low, dtype), lax.max, *window),
            lax.reduce_window(x, np.asarray(high, dtype), lax.min, *window),
        ]

    for got, want in both(function, x):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint64"])
def test_convolutions_of_integers(dtype):
    rng = np.random.default_rng(4)
    x, w = (rng.integers(0, 9, s).astype(dtype) for s in ((2, 4, 7, 6), (6, 2, 3, 2)))

    def function(x, w):
        return [
            lax.conv_general_dilated(x, w, (2, 1), [(1, 2), (0, 1)], lhs_dilation=(1, 2),
                                     rhs_dilation=(2, 1), feature_group_count=2),
        ]  # fmt: skip

    for got, want in both(function, x, w):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (4, 3, 2, 1, 0), (1, 2, 3, 4)])
def test_fourier_transforms_of_many_axes(axes):
    x = np.random.default_rng(5).normal(size=(2, 3, 4, 2, 5))

    def function(x):
        half = jnp.fft.rfftn(x, axes=axes)
        back = jnp.fft.irfftn(half, [x.shape[a] for a in axes], axes=axes)
        return [half, back, jnp.fft.fftn(x, axes=axes), jnp.fft.ifftn(x * 1j, axes=axes)]

    for got, want in both(function, x):
        np.testing.assert_allclose(got, want, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_the_largest_of_each_row(dtype):
    x = np.random.default_rng(6).integers(-3, 4, (4, 9)).astype(np.float32)
    x[1, 3], x[2, 5], x[2, 7] = NAN, INF, -INF
    x = x.astype(jnp.dtype(dtype))

    def function(x):
        return [*lax.approx_max_k(x, 4), *lax.approx_min_k(x, 4), *lax.approx_min_k(x, 2, 0)]

    for got, want in both(function, x):
        np.testing.assert_array_equal(got.astype(np.float64), want.astype(np.float64))


# ---- random numbers


@pytest.mark.parametrize("algorithm", ["RNG_THREE_FRY", "RNG_PHILOX", "RNG_DEFAULT"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64"])
def test_random_bits(algorithm, dtype):
    states = [[1, 2, 3, 4], [5, 6, 2**32 - 1, 2**32 - 1], [2**32 - 1, 0, 2**32 - 3, 7]]
    shapes = [(), (1,), (3,), (4,), (3, 5), (2, 3), (3, 4, 5), (7, 9, 11), (0, 3)]

    def function(state):
        how = {"dtype": jnp.dtype(dtype), "algorithm": lax.RandomAlgorithm[algorithm]}
        return [y for s in shapes for y in lax.rng_bit_generator(state, s, **how)]

    for state in states:
        for got, want in both(function, np.array(state, np.uint32)):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("how", ["machine code", "StableHLO"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gamma_variates(how, dtype, monkeypatch):
    if how == "StableHLO":  # as in exported programs, and on a GPU
        monkeypatch.setattr(program.Lowering, "portable", True)
    a = np.array([[0.01, 0.3, 1, 1.5], [20, 1e4, 0, 2], [INF, NAN, 0.5, 3]]).astype(dtype)
    key = pullback.random.key(8)

    def function(a):
        return [pullback.random.gamma(key, a), pullback.random.loggamma(key, a)]

    for got, want in both(function, a):
        tight = np.finfo(dtype).eps * 300
        np.testing.assert_allclose(got, want, rtol=tight, atol=tight)


def test_a_kernel_that_xla_has_the_address_of_stays(monkeypatch):
    closed = trace_program(lambda x: [x * 7.25 + 1.5], [HostArray(np.ones(9)).aval])
    told = kernels.target(closed)
    first = handlers._registered[told[0]]
    monkeypatch.setattr(objects, "_loaded", type(objects._loaded)())  # as if it were long ago
    assert kernels.target(closed) == told and handlers._registered[told[0]] is first


def test_the_slope_of_a_gamma_variate():
    def function(a):
        return [pullback.grad(lambda a: pullback.random.gamma(pullback.random.key(3), a).sum())(a)]

    for got, want in both(function, np.array([0.2, 0.9, 3.5, 40.0])):
        np.testing.assert_allclose(got, want, rtol=1e-11)
