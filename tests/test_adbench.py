"""ADBench's objectives: the references against their definitions, the systems against those."""

from __future__ import annotations

import importlib
import math
from dataclasses import replace

import numpy as np
import peer
import pytest
import scipy.sparse
import scipy.special
import scipy.stats
from scipy.spatial.transform import Rotation

import pullback as pb
import pullback.numpy as pnp
from benchmarks.adbench import __main__ as command
from benchmarks.adbench import ba, gmm, hand, hand_model, lstm
from benchmarks.adbench.processes import Failed, Process
from benchmarks.adbench.report import Case, Cell, text
from benchmarks.adbench.work import Expected, build, slope

RNG = np.random.default_rng(0)


def unturned(data):
    """Bundle adjustment with two cameras that are not rotated: their branch of its own."""
    cameras = data.cameras.copy()
    cameras[:2, :3] = 0
    return replace(data, cameras=cameras)


def held(data):
    """A hand that is not rotated: below ADBench's threshold, where the rotation is constant."""
    return replace(data, theta=np.concatenate([np.zeros(3), data.theta[3:]]))


SMALL = {
    "gmm": (gmm, gmm.make(4, 3, 20)),
    "gmm with a prior": (gmm, replace(gmm.make(3, 2, 5), gamma=1.3, m=2)),
    "gmm of one dimension": (gmm, gmm.make(1, 3, 5)),
    "ba": (ba, ba.make(3, 5, 17)),
    "ba, not rotated": (ba, unturned(ba.make(3, 5, 7))),
    "hand, simple": (hand, hand.make(10, False, vertices=40, triangles=50)),
    "hand, complicated": (hand, hand.make(10, True, vertices=40, triangles=50)),
    "hand, not rotated": (hand, held(hand.make(4, True, vertices=40, triangles=50))),
    "lstm": (lstm, lstm.make(2, 9, bits=5)),
    "lstm of one layer": (lstm, lstm.make(1, 4, bits=3)),
}
problems = pytest.mark.parametrize("name", SMALL)


def dense(problem, data, jacobian):
    """The whole Jacobian, a column at a time, from the problem's layout."""
    columns = np.eye(len(problem.start(data)))
    return np.stack([problem.product(data, jacobian, each) for each in columns], 1)


def same(found, wanted, tolerance=1e-11):
    """Equal to within a tolerance relative to the largest value."""
    np.testing.assert_allclose(found, wanted, 0, tolerance * np.abs(wanted).max())


# --- the references against their definitions ---


def test_gmm_is_the_log_posterior_that_scipy_gives():
    data = replace(gmm.make(3, 2, 5), gamma=1.3, m=2)
    d, shares = 3, scipy.special.log_softmax(data.alphas)
    factors = [gmm._factor(row, d) for row in data.icf]
    wanted = sum(
        scipy.special.logsumexp(
            [
                share + scipy.stats.multivariate_normal.logpdf(x, mean, np.linalg.inv(q.T @ q))
                for share, mean, q in zip(shares, data.means, factors)
            ]
        )
        for x in data.x
    )
    prior = scipy.stats.wishart(d + data.m + 1, np.eye(d) / data.gamma**2)
    wanted += sum(prior.logpdf(q.T @ q) for q in factors)
    same(gmm.reference(data, gmm.start(data)), [wanted])


def test_gmm_places_the_lower_triangle_column_by_column():
    row = RNG.standard_normal(10)
    lower = np.concatenate([[0], row[4:]])[gmm.places(4)]
    np.testing.assert_array_equal(lower + np.diag(np.exp(row[:4])), gmm._factor(row, 4))


@pytest.mark.parametrize("name", ["ba", "ba, not rotated"])
def test_ba_projects_as_its_definition_says(name):
    _, data = SMALL[name]
    wanted = []
    for (c, x), weight, feature in zip(data.seen, data.weights, data.features):
        camera = data.cameras[c]
        p = Rotation.from_rotvec(camera[:3]).apply(data.points[x] - camera[3:6])
        v = p[:2] / p[2]
        stretch = 1 + camera[9] * (v @ v) + camera[10] * (v @ v) ** 2
        wanted.append(weight * (camera[6] * stretch * v + camera[7:9] - feature))
    wanted = np.concatenate([*wanted, 1 - data.weights**2])
    same(ba.reference(data, ba.start(data)), wanted)


def test_ba_has_its_values_in_the_order_of_adbench():
    data = ba.make(3, 5, 4)
    starts, columns = [0], []
    for i, (camera, point) in enumerate(data.seen):
        for _ in range(2):
            columns += [11 * camera + j for j in range(11)]
            columns += [11 * 3 + 3 * point + j for j in range(3)]
            columns += [11 * 3 + 3 * 5 + i]
            starts.append(len(columns))
    for i in range(4):
        columns.append(11 * 3 + 3 * 5 + i)
        starts.append(len(columns))
    found = ba.places(data)
    np.testing.assert_array_equal(found[0], starts)
    np.testing.assert_array_equal(found[1], columns)
    values, direction = RNG.standard_normal(len(columns)), RNG.standard_normal(11 * 3 + 3 * 5 + 4)
    matrix = scipy.sparse.csr_matrix((values, columns, starts))
    same(ba.product(data, values, direction), matrix @ direction)


def test_a_hand_at_rest_is_only_moved():
    data = hand.make(10, False)
    theta = np.concatenate([[0.3, -0.5, 0.7], [1.0, 2.0, 3.0], np.zeros(20)])
    turn = Rotation.from_rotvec(theta[:3])
    wanted = data.points - turn.apply(data.base[data.correspondences, :3]) - theta[3:6]
    same(hand.reference(data, theta), wanted.ravel())


@pytest.mark.parametrize(
    ("parameter", "bones", "axis"),
    [(6, [2, 3, 4], 0), (7, [2, 3, 4], 2), (8, [3, 4], 0), (9, [4], 0), (25, [20], 0)],
)
def test_a_joint_turns_the_bones_beyond_it(parameter, bones, axis):
    data = hand.make(544, False)
    data = replace(data, correspondences=np.arange(544), points=np.zeros((544, 3)))
    theta = np.zeros(26)
    theta[parameter] = 0.4
    found = -hand.reference(data, theta).reshape(-1, 3)
    joint = np.linalg.inv(data.inverses[bones[0]])
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec(0.4 * np.eye(3)[axis]).as_matrix()
    moved = (data.base @ (joint @ turn @ data.inverses[bones[0]]).T)[:, :3]
    share = data.weights[:, bones].sum(1, keepdims=True)
    same(found, share * moved + (1 - share) * data.base[:, :3])


def test_a_point_in_a_triangle_is_at_its_place():
    data = hand.make(6, True)
    data = replace(data, theta=np.zeros(26), us=np.array([[1, 0], [0, 1], [0, 0]] * 2) * 1.0)
    vertices = data.triangles[data.correspondences][np.arange(6), [0, 1, 2] * 2]
    wanted = data.points - data.base[vertices, :3]
    same(hand.reference(data, hand.start(data)), wanted.ravel())


def test_lstm_of_one_cell_is_what_a_pocket_calculator_gives():
    data = lstm.make(1, 3, bits=1)
    data = replace(data, text=np.array([[1.0], [0.0], [1.0]]))
    (w, b), (wants, gives, bias) = data.main, data.extra[:, 0]
    hidden, cell = data.state[:, 0]
    sigmoid, total = lambda x: 1 / (1 + math.exp(-x)), 0.0
    for given, wanted in ((1.0, 0.0), (0.0, 1.0)):
        x = given * wants
        cell = cell * sigmoid(x * w[0] + b[0]) + sigmoid(hidden * w[1] + b[1]) * math.tanh(
            hidden * w[3] + b[3]
        )
        hidden = sigmoid(x * w[2] + b[2]) * math.tanh(cell)
        y = hidden * gives + bias
        total += wanted * (y - math.log(2 + math.exp(y)))
    same(lstm.reference(data, lstm.start(data)), [-total / 2])


@problems
def test_the_complex_step_is_what_finite_differences_give(name):
    problem, data = SMALL[name]
    at = problem.start(data)
    if name == "hand, not rotated":
        at = at[:-26]  # the rotation of a hand jumps at the threshold: leave theta
    direction = np.zeros(len(problem.start(data)))
    direction[: len(at)] = RNG.standard_normal(len(at))
    start, h = problem.start(data), 1e-6
    ahead, behind = (problem.reference(data, start + s * h * direction) for s in (1, -1))
    same(slope(problem, data, direction), (ahead - behind) / (2 * h), 1e-7)


# --- the systems against the references ---


def check(problem, data, work):
    """The objective, and every entry of the Jacobian."""
    objective, jacobian = work.results()
    same(objective, problem.reference(data, problem.start(data)))
    columns = np.eye(len(problem.start(data)))
    wanted = np.stack([slope(problem, data, each) for each in columns], 1)
    same(dense(problem, data, jacobian), wanted)


@problems
def test_pullback_gives_the_reference(name):
    problem, data = SMALL[name]
    with pb.enable_x64():
        check(problem, data, problem.in_jax(data, pb, pnp))


@problems
def test_pullback_gives_the_reference_without_jit(name):
    problem, data = SMALL[name]
    with pb.enable_x64(), pb.disable_jit():
        check(problem, data, problem.in_jax(data, pb, pnp))


@problems
def test_pullback_agrees_with_finite_differences(name):
    problem, data = SMALL[name]
    if name == "hand, not rotated":
        data = replace(data, theta=data.theta + 0.3)  # away from the threshold's jump
    start, h = problem.start(data), 1e-6
    direction = RNG.standard_normal(len(start))
    ahead, behind = (problem.reference(data, start + s * h * direction) for s in (1, -1))
    with pb.enable_x64():
        _, jacobian = problem.in_jax(data, pb, pnp).results()
    same(problem.product(data, jacobian, direction), (ahead - behind) / (2 * h), 1e-6)


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
@pytest.mark.parametrize("name", ["gmm", "ba", "hand, complicated", "lstm"])
def test_pullback_gives_what_jax_gives(name):
    jax, jnp = importlib.import_module("jax"), importlib.import_module("jax.numpy")
    problem, data = SMALL[name]
    with pb.enable_x64(), jax.enable_x64(True):
        ours = problem.in_jax(data, pb, pnp).results()
        theirs = problem.in_jax(data, jax, jnp).results()
    for found, wanted in zip(ours, theirs):
        assert found.shape == wanted.shape
        same(found, wanted, 1e-12)


OTHERS = {
    "hessian": lambda jax, f: jax.hessian(lambda *x: total(jax, f(*x)), argnums=(0, 1)),
    "forward": lambda jax, f: jax.jacfwd(f, argnums=(0, 1)),
    "reverse": lambda jax, f: jax.jacrev(f, argnums=(0, 1)),
    "recomputed": lambda jax, f: jax.grad(jax.checkpoint(lambda *x: total(jax, f(*x)))),
}
"""Derivatives that ADBench does not ask for."""


def total(jax, outputs):
    """One number that depends on all outputs in a curved way."""
    return sum((each**2).sum() for each in jax.tree.leaves(outputs))


@pytest.mark.slow
@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("name", ["gmm", "ba", "hand, complicated", "lstm"])
def test_other_derivatives_are_what_jax_gives(name, kind):
    jax, jnp = importlib.import_module("jax"), importlib.import_module("jax.numpy")
    problem, data = SMALL[name]
    found = []
    with pb.enable_x64(), jax.enable_x64(True):
        for module, numpy in ((pb, pnp), (jax, jnp)):
            work = problem.in_jax(data, module, numpy)
            outputs = module.jit(OTHERS[kind](module, work.function))(*work.arguments)
            found.append([np.asarray(each) for each in module.tree.leaves(outputs)])
    for ours, theirs in zip(*found, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, 0, 1e-10 * max(1, np.abs(theirs).max()))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # in torch's own jacfwd
@pytest.mark.parametrize("system", ["torch", "autograd"])
@problems
def test_the_other_peers_give_the_reference(name, system):
    pytest.importorskip(system)
    problem, data = SMALL[name]
    check(problem, data, build(problem, data, system))


# --- the command ---


def test_a_wrong_jacobian_is_seen():
    data = gmm.make(2, 3, 10)
    expected = Expected.of(gmm, data)
    with pb.enable_x64():
        objective, jacobian = gmm.in_jax(data, pb, pnp).results()
    assert expected.error(gmm, data, (objective, jacobian)) < 1e-12
    for i in range(len(jacobian)):
        wrong = jacobian.copy()
        wrong[i] += 1e-4
        assert expected.error(gmm, data, (objective, wrong)) > 1e-9
    assert expected.error(gmm, data, (objective + 1e-4, jacobian)) > 1e-9
    assert expected.error(gmm, data, (objective, np.full_like(jacobian, np.nan))) == math.inf


@pytest.mark.slow
def test_a_case_is_measured_in_a_process_that_can_die():
    process = Process("pullback", cores=1, limit=60)
    try:
        case = command._case("gmm", "d2_K5", {"pullback": process}, rounds=1)
        cell = case.cells["pullback"]
        assert cell.right and cell.seconds.keys() == cell.first.keys() == {"objective", "jacobian"}
        assert (case.inputs, case.outputs) == (5 + 10 + 15, 1)
        with pytest.raises(Failed, match="KeyError: 'nothing'"):
            process.ask("once", "nothing")
        process._process.kill()
        with pytest.raises(Failed, match=r"died \(exit code -9\)"):
            process.ask("once", "objective")
        assert process.ask("version") == f"pullback {pb.__version__}"  # a new one
    finally:
        process.stop()


def test_the_page_says_what_failed_and_what_is_wrong():
    times = {"objective": 1e-3, "jacobian": 2e-3}
    slow = {"objective": 3e-3, "jacobian": 8e-3}
    cells = {
        "pullback": Cell(times, times, 1e-15),
        "jax": Cell(slow, slow, 1e-15),
        "torch": Cell(times, times, 1e-3),
        "autograd": Cell(failure="died (exit code -11)"),
    }
    page = text([Case("gmm d2_K5", 30, 1, cells)], list(cells), ["pullback 0"], 1, 7)
    assert "| gmm d2_K5 | 30 | 1 | 2 ms | 8 ms, **4x** | **wrong** (1.0e-03) | failed |" in page
    assert "| gmm d2_K5 | 30 | 1 | 1 ms | 3 ms, **3x** | **wrong** (1.0e-03) | failed |" in page
    assert "| gmm d2_K5 | 30 | 1 | 2.0 | 2.7 |" in page
    assert "- gmm d2_K5, autograd: died (exit code -11)" in page


def test_the_sizes_are_those_of_adbench():
    assert ba.SIZES["ba1"] == (49, 7776, 31843)
    assert gmm.SIZES["d10_K25"] == (10, 25, 1000)
    assert command._sizes("lstm", "all") == ["l2_c1024", "l2_c4096", "l4_c1024", "l4_c4096"]
    assert command._sizes("gmm", "d2_K5,l2_c1024") == ["d2_K5"]
    data = hand.make(*hand.SIZES["complicated_c100"])
    assert data.weights.shape == (544, 22) and data.us.shape == (100, 2)
    assert hand_model.bends().max() == 26
    for problem in (gmm, ba, hand, lstm):
        assert set(problem.DEFAULT) <= set(problem.SIZES)
