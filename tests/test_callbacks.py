"""pure_callback and io_callback: values, types, transformations, errors."""

import numpy as np
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import errors, lax
from pullback.experimental import io_callback
from pullback.test_util import check_grads

SCALAR = pb.ShapeDtypeStruct((), jnp.float32)


def wrapped(x, y, method="sequential", seen=None):
    """x + y by NumPy; what the function got goes to `seen`."""

    def plus(x, y):
        if seen is not None:
            seen.append((x.shape, y.shape))
        return np.asarray(x) + np.asarray(y)

    return pb.pure_callback(plus, SCALAR, x, y, vmap_method=method)


@pytest.mark.parametrize("transform", [lambda f: f, pb.jit, lambda f: pb.jit(pb.jit(f))])
def test_pure_callback_on_trees(transform):
    def host(tree, *, scale):
        assert isinstance(tree["a"], pb.Array)
        return {"out": np.cumsum(tree["a"]) * scale, "n": [np.int32(tree["b"])]}

    @transform
    def f(x, n):
        spec = {"out": x, "n": [pb.ShapeDtypeStruct((), np.int32)]}
        return pb.pure_callback(host, spec, {"a": x, "b": n}, scale=n)

    out = f(jnp.arange(4.0), 3)
    np.testing.assert_array_equal(out["out"], np.cumsum(np.arange(4)) * 3)
    assert out["out"].dtype == np.float32
    assert out["n"][0].dtype == np.int32
    assert int(out["n"][0]) == 3


def test_results_are_copies():
    buffer = np.zeros(2, np.float32)
    out = pb.pure_callback(lambda: buffer, jnp.zeros(2))
    buffer[:] = 7
    assert out.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("method", "shapes"),
    [
        ("sequential", [((), ())] * 3),
        ("sequential_unrolled", [((), ())] * 3),
        ("expand_dims", [((3,), (1,))]),
        ("broadcast_all", [((3,), (3,))]),
        ("legacy_vectorized", [((3,), ())]),
    ],
)
@pytest.mark.parametrize("jitted", [False, True])
def test_vmap_methods(method, shapes, jitted):
    seen = []
    f = pb.vmap(lambda x, y: wrapped(x, y, method, seen), in_axes=(0, None))
    out = (pb.jit(f) if jitted else f)(jnp.arange(3.0), 2.0)
    np.testing.assert_array_equal(out, [2, 3, 4])
    assert seen == shapes


@pytest.mark.parametrize("method", ["sequential", "expand_dims", "broadcast_all"])
def test_nested_vmap_against_numpy(method):
    f = pb.vmap(pb.vmap(lambda x, y: wrapped(x, y, method), (0, None)), (None, 0))
    x, y = np.arange(3.0), np.array([4.0, 5.0])
    np.testing.assert_array_equal(f(x, y), x + y[:, None])


def test_vmap_of_no_elements_calls_nothing():
    seen = []
    out = pb.vmap(lambda x: wrapped(x, x, seen=seen))(jnp.zeros(0))
    assert out.shape == (0,)
    assert not seen


def test_only_the_branch_taken_calls():
    seen = []

    def loud(x):
        seen.append(float(x))
        return x

    @pb.jit
    def f(x):
        return lax.cond(x > 0, lambda x: pb.pure_callback(loud, SCALAR, x), lambda x: -x, x)

    assert [float(f(v)) for v in (-1.0, 2.0, -3.0)] == [1, 2, 3]
    assert seen == [2.0]


def test_unused_pure_calls_are_left_out_and_io_calls_are_not():
    seen = []

    @pb.jit
    def f(x):
        pb.pure_callback(lambda x: seen.append("pure") or x, SCALAR, x)
        io_callback(lambda x: seen.append("io"), None, x)
        return x

    f(1.0)
    f(1.0)
    assert seen == ["io", "io"]


def test_io_callbacks_keep_their_order_in_loops():
    seen = []

    def f(x):
        def body(i, c):
            io_callback(lambda i: seen.append(int(i)), None, i, ordered=True)
            return c + io_callback(lambda c: np.float32(c * 2), SCALAR, c, ordered=True)

        return lax.fori_loop(0, 3, body, x)

    assert float(pb.jit(f)(1.0)) == 27
    assert seen == [0, 1, 2]


def test_io_callback_under_vmap():
    seen = []

    def host(x):
        seen.append(float(x))
        return x * 10

    out = pb.vmap(lambda x: io_callback(host, SCALAR, x))(jnp.arange(3.0))
    assert out.tolist() == [0, 10, 20]
    assert seen == [0, 1, 2]
    with pytest.raises(ValueError, match="Cannot `vmap` ordered IO callback"):
        pb.vmap(lambda x: io_callback(host, SCALAR, x, ordered=True))(jnp.arange(3.0))


def test_a_custom_derivative_makes_it_differentiable():
    @pb.custom_jvp
    def sine(x):
        return pb.pure_callback(lambda x: np.sin(x), x, x, vmap_method="expand_dims")

    @sine.defjvp
    def sine_jvp(primals, tangents):
        (x,), (t,) = primals, tangents
        return sine(x), jnp.cos(x) * t

    with pb.enable_x64():
        check_grads(lambda x: sine(x) * x, (np.linspace(0, 2, 3),), order=2)
        np.testing.assert_allclose(pb.vmap(pb.grad(sine))(np.ones(2)), np.cos(np.ones(2)))


def test_derivatives_are_refused_before_the_call():
    seen = []

    def host(x):
        seen.append(x)
        return x

    with pytest.raises(ValueError, match=r"^Pure callbacks do not support JVP\. Please use"):
        pb.grad(lambda x: pb.pure_callback(host, SCALAR, x))(1.0)
    with pytest.raises(ValueError, match=r"^IO callbacks do not support JVP\."):
        pb.jvp(lambda x: io_callback(host, SCALAR, x), (1.0,), (1.0,))
    with pytest.raises(ValueError, match=r"^IO callbacks do not support transpose\."):
        pb.linear_transpose(lambda x: io_callback(host, SCALAR, x), 1.0)(1.0)
    assert not seen
    assert float(pb.grad(lambda x: x * wrapped(2.0, 1.0))(1.0)) == 3


class HostFailure(Exception):
    pass


def fail(x):
    raise HostFailure(f"value {float(x)}")


@pytest.mark.parametrize(
    "call",
    [
        lambda x: pb.pure_callback(fail, SCALAR, x),
        lambda x: io_callback(fail, SCALAR, x),
        pb.jit(lambda x: pb.pure_callback(fail, SCALAR, x)),
        pb.jit(lambda x: lax.cond(x > 0, lambda x: pb.pure_callback(fail, SCALAR, x), abs, x)),
        pb.jit(lambda x: lax.scan(lambda c, _: (io_callback(fail, SCALAR, c), c), x, None, 2)),
    ],
)
def test_an_exception_comes_out_with_its_class_and_text(call):
    with pytest.raises(errors.JaxRuntimeError) as caught:
        call(2.0)
    assert "HostFailure: value 2.0" in str(caught.value)
    assert type(caught.value.__cause__) is HostFailure
    assert "test_callbacks.py" in str(caught.value)
    assert float(pb.grad(jnp.sin)(0.0)) == 1.0


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda: np.zeros(3, np.float32), "Got: f32[3] instead of f32[]"),
        (lambda: np.int32(3), "Got: i32[] instead of f32[]"),
        (lambda: (1.0, 2.0), "must have the structure of result_shape_dtypes"),
        (lambda: "text", "not a valid array"),
    ],
)
def test_a_result_that_is_not_as_promised(result, message):
    with pytest.raises(errors.JaxRuntimeError) as caught:
        pb.jit(lambda: pb.pure_callback(result, SCALAR))()
    assert message in str(caught.value)


def test_results_that_fit():
    assert float(pb.pure_callback(lambda: 3, SCALAR)) == 3
    assert float(pb.pure_callback(lambda: np.float64(3), SCALAR)) == 3
    with pb.enable_x64():
        spec = pb.ShapeDtypeStruct((2,), np.float64)
        assert pb.pure_callback(lambda: np.ones(2), spec).dtype == np.float64
        with pytest.raises(errors.JaxRuntimeError, match=r"f32\[2\] instead of f64\[2\]"):
            pb.pure_callback(lambda: np.ones(2, np.float32), spec)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: wrapped(1.0, 1.0, "rows"), ValueError, "but got: rows"),
        (
            lambda: pb.vmap(lambda x: wrapped(x, x, None))(jnp.ones(2)),
            NotImplementedError,
            "Got vmap_method=None.",
        ),
        (lambda: pb.pure_callback(fail, 3, 1.0), TypeError, "has no shape and dtype"),
        (lambda: pb.pure_callback(3, SCALAR, 1.0), TypeError, "takes a function"),
        (lambda: io_callback(fail, SCALAR, "a"), TypeError, "not a valid array"),
    ],
)
def test_mistakes(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)
