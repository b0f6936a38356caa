"""jax.scipy.spatial.transform, .cluster.vq and .integrate: against SciPy; derivatives."""

import inspect
import itertools

import numpy as np
import peer
import pytest
import scipy.cluster.vq
import scipy.integrate
from scipy.spatial import transform as theirs

from pullback import grad, jacfwd, jit, random, vmap
from pullback import numpy as jnp
from pullback.core.settings import enable_x64
from pullback.scipy.cluster.vq import vq
from pullback.scipy.integrate import trapezoid
from pullback.scipy.spatial.transform import Rotation, Slerp
from pullback.test_util import check_grads

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(0)
QUATS = RNG.normal(size=(9, 4))
QUATS[0], QUATS[1], QUATS[2] = [0, 0, 0, 1], [1, 0, 0, 0], [1e-9, 0, 0, -1]
with enable_x64():
    OURS = Rotation.from_quat(QUATS)
THEIRS = theirs.Rotation.from_quat(QUATS)
VECTORS = RNG.normal(size=(9, 3))


def same_rotations(got, want):
    np.testing.assert_allclose(got.as_matrix(), want.as_matrix(), atol=1e-14)


# ---- forms


@pytest.mark.parametrize("name", ["as_matrix", "as_rotvec", "as_mrp", "as_quat", "magnitude"])
def test_forms(name):
    np.testing.assert_allclose(getattr(OURS, name)(), getattr(THEIRS, name)(), atol=1e-14)
    one, other = OURS[4], THEIRS[4]
    np.testing.assert_allclose(getattr(one, name)(), getattr(other, name)(), atol=1e-14)
    stack = vmap(lambda r: getattr(r, name)())(OURS)
    np.testing.assert_allclose(stack, getattr(OURS, name)(), atol=1e-15)
    np.testing.assert_allclose(jit(lambda r: getattr(r, name)())(OURS), stack, atol=1e-15)


def test_options_of_forms():
    for options in ({"canonical": True}, {"scalar_first": True}):
        np.testing.assert_allclose(OURS.as_quat(**options), THEIRS.as_quat(**options), atol=1e-15)
    got = OURS.as_rotvec(degrees=True)
    np.testing.assert_allclose(got, THEIRS.as_rotvec(degrees=True), atol=1e-12)
    canonical = Rotation(jnp.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [-1, 0, 0, 0]])).as_quat(True)
    np.testing.assert_array_equal(canonical, [[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0]])


def test_constructors():
    same_rotations(Rotation.from_matrix(THEIRS.as_matrix()), THEIRS)
    same_rotations(Rotation.from_rotvec(THEIRS.as_rotvec()), THEIRS)
    same_rotations(Rotation.from_rotvec(THEIRS.as_rotvec(degrees=True), degrees=True), THEIRS)
    same_rotations(Rotation.from_mrp(THEIRS.as_mrp()), THEIRS)
    assert Rotation.from_matrix(THEIRS.as_matrix().reshape(3, 3, 3, 3)).quat.shape == (3, 3, 4)
    for axis in np.eye(3):  # of each of the four formulas
        turn = theirs.Rotation.from_rotvec(3 * axis)
        same_rotations(Rotation.from_matrix(turn.as_matrix()), turn)
    np.testing.assert_array_equal(Rotation.identity().quat, [0, 0, 0, 1])
    assert Rotation.identity(3, np.float32).quat.shape == (3, 4)
    assert Rotation.identity(dtype=np.float32).quat.dtype == np.float32
    several = Rotation.random(random.key(0), 5)
    np.testing.assert_allclose(jnp.sum(several.quat**2, -1), np.ones(5))
    assert Rotation.random(random.key(0)).single
    assert Rotation.concatenate([OURS, several]).quat.shape == (14, 4)


SEQUENCES = ["".join(s) for s in itertools.product("xyz", repeat=3) if s[0] != s[1] != s[2]]
SEQUENCES += [s.upper() for s in SEQUENCES]


@pytest.mark.parametrize("seq", SEQUENCES)
def test_euler_angles(seq):
    angles = RNG.uniform(-1.4, 1.4, (6, 3))
    angles[:, 1] += 1.5 if seq[0] == seq[2] else 0
    want = theirs.Rotation.from_euler(seq, angles)
    got = Rotation.from_euler(seq, angles)
    same_rotations(got, want)
    np.testing.assert_allclose(got.as_euler(seq), want.as_euler(seq), atol=1e-13)
    degrees = got.as_euler(seq, degrees=True)
    same_rotations(Rotation.from_euler(seq, degrees, degrees=True), want)
    # Where two axes are one
    for middle in (0.0, np.pi) if seq[0] == seq[2] else (-np.pi / 2, np.pi / 2):
        locked = Rotation.from_euler(seq, np.array([0.4, middle, -0.9]))
        same_rotations(Rotation.from_euler(seq, locked.as_euler(seq)), locked)
        assert locked.as_euler(seq)[2] == 0
    check_grads(lambda a: Rotation.from_euler(seq, a).as_euler(seq), (jnp.array(angles[0]),), 2)


def test_euler_angles_of_fewer_axes():
    same_rotations(Rotation.from_euler("z", 0.3), theirs.Rotation.from_euler("z", [0.3]))
    two = np.array([[0.3, 0.4], [1.0, 2.0]])
    same_rotations(Rotation.from_euler("XZ", two), theirs.Rotation.from_euler("XZ", two))
    for seq, text in (
        ("", "upto 3"),
        ("xyzx", "upto 3"),
        ("xY", "to be from"),
        ("xx", "consecutive"),
    ):
        with pytest.raises(ValueError, match=text):
            Rotation.from_euler(seq, np.ones(max(1, len(seq))))
    with pytest.raises(ValueError, match="Expected 3 angles"):
        Rotation.from_euler("xyz", np.ones(2))
    with pytest.raises(ValueError, match="Expected 3 axes"):
        OURS.as_euler("xy")


# ---- what they do


def test_apply_multiply_and_invert():
    for inverse in (False, True):
        want = THEIRS.apply(VECTORS, inverse)
        np.testing.assert_allclose(OURS.apply(VECTORS, inverse), want, atol=1e-14)
        want = THEIRS[4].apply(VECTORS, inverse)
        np.testing.assert_allclose(OURS[4].apply(VECTORS, inverse), want, atol=1e-14)
        want = THEIRS.apply(VECTORS[0], inverse)
        np.testing.assert_allclose(OURS.apply(VECTORS[0], inverse), want, atol=1e-14)
    same_rotations(OURS * OURS[5], THEIRS * THEIRS[5])
    same_rotations(OURS.inv(), THEIRS.inv())
    assert len(OURS) == 9 and len(OURS[2:4]) == 2 and OURS[0].single


def test_mean():
    same_rotations(OURS[3:].mean(), THEIRS[3:].mean())
    w = np.arange(1.0, 7)
    same_rotations(OURS[3:].mean(w), THEIRS[3:].mean(w))
    with pytest.raises(ValueError, match="1 dimensional"):
        OURS.mean(np.ones((9, 1)))
    with pytest.raises(ValueError, match="as many `weights`"):
        OURS.mean(np.ones(3))


def test_single_rotations_are_no_stack():
    with pytest.raises(TypeError, match="not subscriptable"):
        OURS[0][0]
    with pytest.raises(TypeError, match="no len"):
        len(OURS[0])


def test_slerp():
    times = np.arange(6.0)
    ours = Slerp.init(times, OURS[3:])
    between = theirs.Slerp(times, THEIRS[3:])
    at = np.array([0.0, 0.3, 2.0, 4.9, 5.0])
    same_rotations(ours(at), between(at))
    same_rotations(jit(lambda s, t: s(t))(ours, at), between(at))
    same_rotations(ours(1.25), between(1.25))
    check_grads(lambda t: ours(t).as_rotvec(), (jnp.array([0.3, 2.5]),), 2)
    for args, cls, text in (
        ((times, QUATS), TypeError, "`Rotation` instance"),
        ((times[:1], OURS[3:4]), ValueError, "at least 2"),
        ((times[:, None], OURS[3:]), ValueError, "1 dimensional"),
        ((times[:3], OURS[3:]), ValueError, "number of timestamps"),
    ):
        with pytest.raises(cls, match=text):
            Slerp.init(*args)
    with pytest.raises(ValueError, match="at most 1-dimensional"):
        ours(at[None])


# ---- derivatives


def test_derivatives():
    v, quat = jnp.array(VECTORS[:3]), jnp.array(QUATS[3:6])
    check_grads(lambda r: Rotation.from_rotvec(r).as_matrix(), (v,), 2)
    check_grads(lambda r: Rotation.from_mrp(r).as_mrp(), (0.3 * v,), 2)
    for form in ("as_rotvec", "as_matrix", "as_mrp", "magnitude"):
        check_grads(lambda q, f=form: getattr(Rotation.from_quat(q), f)(), (quat,), 2, rtol=1e-6)
    check_grads(lambda r: Rotation.from_matrix(Rotation.from_rotvec(r).as_matrix()).quat, (v,), 2)
    check_grads(lambda q, v: Rotation.from_quat(q).apply(v), (quat, v), 2)


def test_derivatives_at_the_rotation_by_0():
    zero = jnp.zeros(3)
    check_grads(lambda r: Rotation.from_rotvec(r).as_matrix(), (zero,), 2)
    check_grads(lambda r: Rotation.from_rotvec(r).as_rotvec(), (zero,), 2)
    there = jacfwd(lambda r: Rotation.from_rotvec(r).as_rotvec())(zero)
    np.testing.assert_array_equal(there, np.eye(3))
    assert np.all(grad(lambda r: Rotation.from_rotvec(r).magnitude())(zero) == 0)


def test_series_join_the_formulas():
    for size in (0.34, 0.36, 0.99, 1.01, 3.1):
        v = size * np.array([0.6, 0.0, 0.8])
        np.testing.assert_allclose(Rotation.from_rotvec(v).as_rotvec(), v, atol=4e-16)
        want = theirs.Rotation.from_rotvec(v).as_quat()
        np.testing.assert_allclose(Rotation.from_rotvec(v).quat, want, atol=2e-16)


@pytest.mark.skipif(not peer.INSTALLED, reason="JAX is not installed")
def test_methods_have_the_parameters_of_jax():
    from jax.scipy.spatial import transform

    for ours, other in ((Rotation, transform.Rotation), (Slerp, transform.Slerp)):
        assert ours._fields == other._fields
        for name in [n for n in dir(other) if not n.startswith("_")]:
            if callable(getattr(other, name)):
                want, got = (
                    inspect.signature(getattr(other, name)),
                    inspect.signature(getattr(ours, name)),
                )
                assert [(p.name, p.default) for p in got.parameters.values()] == [
                    (p.name, p.default) for p in want.parameters.values()
                ], name


# ---- clusters and integrals


def test_vq():
    points, book = RNG.normal(size=(7, 3)), RNG.normal(size=(4, 3))
    want = scipy.cluster.vq.vq(points, book)
    code, distance = vq(points, book)
    np.testing.assert_array_equal(code, want[0])
    np.testing.assert_allclose(distance, want[1])
    np.testing.assert_allclose(
        vq(points[:, 0], book[:, 0])[1], scipy.cluster.vq.vq(points[:, 0], book[:, 0])[1]
    )
    check_grads(lambda p, b: vq(p, b)[1], (jnp.array(points), jnp.array(book)), 2)
    there = grad(lambda p: vq(p, book)[1].sum())(jnp.array(book[:2]))
    np.testing.assert_array_equal(there, np.zeros((2, 3)))
    np.testing.assert_array_equal(jit(vq)(points, book)[0], code)
    with enable_x64(False):
        assert vq(points, book)[0].dtype == np.int32
    for bad, text in (
        ((points, book[0]), "same rank"),
        ((points[None], book[None]), "ndim different"),
        ((points, book[:, :2]), "different lengths"),
    ):
        with pytest.raises(ValueError, match=text):
            vq(*bad)


def test_trapezoid():
    y, x = RNG.normal(size=(4, 5)), np.sort(RNG.normal(size=5))
    np.testing.assert_allclose(trapezoid(y, x), scipy.integrate.trapezoid(y, x))
    got = trapezoid(y, dx=0.3, axis=0)
    np.testing.assert_allclose(got, scipy.integrate.trapezoid(y, dx=0.3, axis=0))
    check_grads(trapezoid, (jnp.array(y), jnp.array(x)), 2)
