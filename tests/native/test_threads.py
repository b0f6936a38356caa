"""Large loops in several threads: equal bits for any number of them, and nothing waits for ever."""

import ctypes
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings

import numpy as np
import pytest
import scipy.special
from fuzz import check_seed
from kernels import kernel_of, results

import pullback
import pullback.numpy as jnp
from pullback.core import settings
from pullback.engines.native import fusion, parts, threads, transposing

NUMBERS = (1, 2, 3, 8)
RAGGED = 300_007  # the last vector of a loop overlaps the one before it
needs_threads = pytest.mark.skipif(not threads.available(), reason="no threads on this system")


@pytest.fixture(autouse=True)
def one_thread_after():
    before = settings.values.pullback_threads
    yield
    pullback.config.update("pullback_threads", before)


def vector(seed=0, size=RAGGED):
    return np.random.default_rng(seed).standard_normal(size).astype(np.float32)


def matrix(rows=403, columns=811):
    return vector(1, rows * columns).reshape(rows, columns)


CASES = {
    "elementwise": (lambda x, y: [jnp.tanh(x * 2.5 + y) * jnp.exp(-x)], (vector(), vector(2))),
    "bools": (lambda x: [jnp.sin(x) * jnp.cos(x) > 0.25], (vector(),)),
    "with a scalar": (lambda x, s: [jnp.sin(x) * jnp.exp(s) + s], (vector(), np.float32(0.5))),
    "with a product of scalars": (
        lambda x, s: [jnp.sin(x) * jnp.cos(x) + jnp.exp(s) * s],
        (vector(), np.float32(0.3)),
    ),
    "with an element of a small array": (
        lambda x, s: [jnp.sin(x) * jnp.cos(x) * jnp.exp(s)[1]],
        (vector(), np.arange(4, dtype=np.float32)),
    ),
    "rows": (lambda x: [jnp.sum(jnp.exp(x), 1), jnp.max(jnp.sin(x), 1)], (matrix(),)),
    "columns": (lambda x: [jnp.sum(jnp.exp(x), 0)], (matrix(),)),
    "few long rows": (lambda x: [jnp.sum(jnp.exp(x), 1)], (matrix(3, 100_001),)),
    "sum": (lambda x: [jnp.sum(jnp.exp(x))], (vector(),)),
    "sum that keeps its axes": (
        lambda x: [jnp.sum(jnp.exp(x), axis=1, keepdims=True)],
        (vector()[None],),
    ),
    "sum of a transposed matrix": (
        lambda x, y: [jnp.sum(jnp.exp(x.T) * y)],
        (matrix(), np.arange(403, dtype=np.float32)),
    ),
    "complex sum": (lambda x: [jnp.sum(jnp.exp(1j * x))], (vector(),)),
    "all": (lambda x: [jnp.all(jnp.sin(x) * jnp.cos(x) > -2)], (vector(),)),
    "16 bits": (lambda x: [jnp.sum(jnp.exp(x.astype(jnp.bfloat16)))], (vector(),)),
    "value and largest": (lambda x: [jnp.exp(x), jnp.max(jnp.exp(x))], (vector(),)),
    "softmax": (lambda x: [pullback.nn.softmax(x, axis=-1)], (matrix(),)),
    "softmax of columns": (lambda x: [pullback.nn.softmax(x, axis=0)], (matrix(),)),
    "gradient": (pullback.grad(lambda x: jnp.sum(jnp.tanh(x) ** 2)), (vector(),)),
    "in a loop": (
        lambda x: [pullback.lax.fori_loop(0, 3, lambda i, y: jnp.sin(y) * jnp.cos(y) + i, x)],
        (vector(),),
    ),
}


def listed(function):
    def call(*arrays):
        found = function(*arrays)
        return found if isinstance(found, list) else [found]

    return call


@pytest.mark.parametrize("name", CASES)
def test_equal_bits_for_any_number_of_threads(name):
    function, arrays = CASES[name]
    arrays = [np.asarray(a) for a in arrays]
    kernel = kernel_of(listed(function), arrays)
    assert threads.SHARE in kernel.text
    assert kernel.releases_gil
    wanted = None
    for number in NUMBERS:
        pullback.config.update("pullback_threads", number)
        for _ in range(3):
            found = [y.tobytes() for y in results(kernel, arrays)]
            wanted = wanted or found
            assert found == wanted, number


@pytest.mark.parametrize("name", CASES)
def test_as_the_numpy_engine(name):
    function, arrays = CASES[name]
    kernel = kernel_of(listed(function), [np.asarray(a) for a in arrays])
    pullback.config.update("pullback_threads", 2)
    found = results(kernel, [np.asarray(a) for a in arrays])
    with settings.override("pullback_engine", "numpy"):
        wanted = pullback.jit(listed(function))(*arrays)
    for mine, theirs in zip(found, wanted, strict=True):
        mine, theirs = (np.asarray(a).astype(np.complex128) for a in (mine, theirs))
        # 16 bits: one step of bfloat16 is 2**-8.
        tolerance = 2**-7 if name == "16 bits" else 2e-5
        np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=2e-5 * np.abs(theirs).max())


def test_sums_are_exact_where_every_order_is():
    # Whole numbers below 2**24: each partial sum is exact, so a lost or doubled piece shows.
    x = np.random.default_rng(3).integers(0, 8, 2_000_011).astype(np.float32)
    kernel = kernel_of(lambda x: [jnp.sum(x), jnp.sum(jnp.where(x > 3, x, 0))], [x])
    assert threads.SHARE in kernel.text
    for number in NUMBERS:
        pullback.config.update("pullback_threads", number)
        first, second = results(kernel, [x])
        assert first == int(x.astype(int).sum())
        assert second == int(x[x > 3].astype(int).sum())


def share(function, pieces):
    """`function(piece)` for each piece, by the threads that kernels have."""
    types = ctypes.c_void_p, ctypes.c_int64
    callback = ctypes.CFUNCTYPE(None, *types)(lambda _, piece: function(piece))
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *types)(threads.address(threads.SHARE))
    call(ctypes.cast(callback, ctypes.c_void_p), None, pieces)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("pieces", [1, 2, 5, 24])
def test_each_piece_is_computed_once_by_so_many_threads(number, pieces):
    pullback.config.update("pullback_threads", number)
    done = []

    def piece(k):
        time.sleep(0.01)  # so long that all threads wake
        done.append((k, threading.get_ident()))

    share(piece, pieces)
    assert sorted(k for k, _ in done) == list(range(pieces))
    used = {thread for _, thread in done}
    if threads.available():
        # Of threads that are slow to wake some may find nothing left.
        assert min(number, pieces, 2) <= len(used) <= min(number, pieces)
    else:
        assert used == {threading.get_ident()}


def test_a_loop_in_a_piece_of_another_is_computed_by_the_thread_that_meets_it():
    pullback.config.update("pullback_threads", 2)
    done = []

    def outer(k):
        me = threading.get_ident()
        share(lambda j: done.append((k, j, threading.get_ident() == me)), 3)

    share(outer, 4)
    assert sorted(done) == [(k, j, True) for k in range(4) for j in range(3)]


def test_random_programs_in_the_smallest_pieces(monkeypatch):
    monkeypatch.setattr(fusion, "LARGE", 0)
    monkeypatch.setattr(fusion, "MANY", 0)
    monkeypatch.setattr(parts, "LARGE", 0)
    monkeypatch.setattr(parts, "PIECE", 1)
    monkeypatch.setattr(transposing, "LARGE", 0)
    pullback.config.update("pullback_threads", 3)
    found = [check_seed(seed) for seed in range(50_000, 50_150)]
    assert set(found) == {("ok", "")}, found


@pytest.mark.parametrize("rows", [1, 2, 3, 65, 129, 200])
@pytest.mark.parametrize("columns", [33, 64, 65, 1000])
def test_pieces_of_any_size(monkeypatch, rows, columns):
    monkeypatch.setattr(fusion, "LARGE", 0)
    monkeypatch.setattr(parts, "PIECE", 1)
    x = np.random.default_rng(rows).integers(-8, 8, (rows, columns)).astype(np.int32)
    kernel = kernel_of(lambda x: [x * 3, jnp.sum(x, 0), jnp.sum(x, 1), jnp.sum(x.T)], [x])
    pullback.config.update("pullback_threads", 3)
    wanted = [x * 3, x.sum(0), x.sum(1), x.sum()]
    for mine, theirs in zip(results(kernel, [x]), wanted, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_small_loops_stay_where_they_are():
    x = vector(size=1000)
    assert threads.SHARE not in kernel_of(lambda x: [jnp.exp(x)], [x]).text


@pytest.mark.parametrize("count", [1, 3])
def test_functions_of_scipy(count):
    """Threads may want the interpreter, to warn, while another thread of Python computes."""
    pullback.config.update("pullback_threads", count)
    x = np.linspace(0.5, 3.0, 300_001)
    x[::1000] = -1.0
    wanted = scipy.special.gammainc(x, x)
    with pullback.enable_x64(True):
        function = pullback.jit(lambda x: pullback.scipy.special.gammainc(x, x), engine="native")
        told = function.explain(x)
        assert "@scipy_" in told.ir and threads.SHARE in told.ir and told.kernel.releases_gil
        for action in ("ignore", "warn"):
            with scipy.special.errstate(all=action), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for _ in range(3):
                    assert np.array_equal(function(x), wanted, equal_nan=True)


def test_several_threads_of_python_at_once():
    pullback.config.update("pullback_threads", 2)
    function = pullback.jit(lambda x: jnp.sum(jnp.exp(x)) + jnp.sin(x) * jnp.cos(x))
    inputs = [vector(seed) for seed in range(4)]
    wanted = [np.asarray(function(x)) for x in inputs]
    wrong = []

    def work(k):
        found = [np.asarray(function(inputs[k])) for _ in range(40)]
        wrong.extend(k for y in found if not np.array_equal(y, wanted[k]))

    running = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(500)
        assert not thread.is_alive()
    assert not wrong


def test_many_calls(monkeypatch):
    monkeypatch.setattr(fusion, "LARGE", 500_000)
    pullback.config.update("pullback_threads", 3)
    x = vector(size=100_003)
    kernel = kernel_of(lambda x: [jnp.sum(jnp.exp(x))], [x])
    assert threads.SHARE in kernel.text
    (wanted,) = results(kernel, [x])
    assert all(results(kernel, [x])[0] == wanted for _ in range(10_000))


def in_new_process(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    return done.returncode, done.stdout.strip(), done.stderr


BEGIN = """
    import os, threading, numpy as np, pullback, pullback.numpy as jnp
    x = np.linspace(0, 1, 300007, dtype=np.float32)
    f = pullback.jit(lambda x: jnp.sum(jnp.tanh(jnp.exp(x))), engine="native")
    def number():  # of this process's threads
        return len(os.listdir("/proc/self/task"))
"""


@needs_threads
def test_threads_are_started_once_and_the_process_ends():
    code = (
        BEGIN
        + """
    before = number()
    f(x)
    first = number()
    for _ in range(50): f(x)
    print(pullback.config.pullback_threads, first - before, number() - before)
    """
    )
    assert in_new_process(code, PULLBACK_THREADS="3") == (0, "3 2 2", "")
    assert in_new_process(code, PULLBACK_THREADS="1") == (0, "1 0 0", "")


@needs_threads
def test_the_process_ends_while_a_thread_computes():
    code = (
        BEGIN
        + """
    f(x)
    def work():
        while True: f(x)
    for _ in range(2): threading.Thread(target=work, daemon=True).start()
    import time; time.sleep(0.3)
    print("end")
    """
    )
    assert in_new_process(code, PULLBACK_THREADS="2")[1] == "end"


@needs_threads
def test_a_child_of_fork_starts_its_own():
    code = (
        BEGIN
        + """
    import warnings; warnings.simplefilter("ignore")
    wanted = float(f(x))
    child = os.fork()
    if child == 0:
        alone = number()
        for _ in range(20): right = float(f(x)) == wanted
        os._exit(0 if right and alone == 1 and number() == 3 else 1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    # OpenBLAS ends its threads before a fork, and starts them when it needs them.
    print(status, float(f(x)) == wanted, number())
    """
    )
    assert in_new_process(code, PULLBACK_THREADS="3") == (0, "0 True 3", "")


@needs_threads
def test_threads_end_before_a_fork():
    code = (
        BEGIN
        + """
    import warnings; warnings.simplefilter("error")  # Python 3.12 warns of threads at a fork
    f(x)
    before = number()
    children = []
    for _ in range(20):
        child = os.fork()
        if child == 0: os._exit(number())
        between = number()
        f(x)
        children.append((os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), between, number()))
    print(before >= 3, set(children))
    """
    )
    assert in_new_process(code, PULLBACK_THREADS="3") == (0, "True {(1, 1, 3)}", "")


@needs_threads
def test_forks_while_other_threads_compute():
    code = (
        BEGIN
        + """
    import warnings; warnings.simplefilter("ignore")
    wanted = float(f(x))
    over, wrong = [], []
    def work():
        while not over:
            if float(f(x)) != wanted: wrong.append(1)
    working = [threading.Thread(target=work) for _ in range(2)]
    for t in working: t.start()
    found = []
    for _ in range(30):
        child = os.fork()
        if child == 0: os._exit(int(float(f(x)) != wanted))
        found.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    over.append(1)
    for t in working: t.join(400)
    print(set(found), wrong, any(t.is_alive() for t in working))
    """
    )
    assert in_new_process(code, PULLBACK_THREADS="3") == (0, "{0} [] False", "")


@needs_threads
def test_signals_go_to_python():
    seen = []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(threading.current_thread()))
    try:
        pullback.config.update("pullback_threads", 2)
        x = vector()
        kernel = kernel_of(lambda x: [jnp.sum(jnp.tanh(jnp.exp(x)))], [x])
        (wanted,) = results(kernel, [x])
        signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
        while len(seen) < 20:
            assert results(kernel, [x])[0] == wanted
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True, None])
def test_what_is_no_number_of_threads(value):
    with pytest.raises(ValueError, match="setting pullback_threads has no value"):
        pullback.config.update("pullback_threads", value)


def test_what_is_no_number_of_threads_in_the_environment():
    status, _, errors = in_new_process("import pullback", PULLBACK_THREADS="many")
    assert status == 1
    assert "PULLBACK_THREADS must be a positive integer" in errors
