"""Executables on disk: found again by other processes, and never trusted too far."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp

pytest.importorskip("jaxlib", reason="the XLA engine needs jaxlib")
adapter = pytest.importorskip("pullback.engines.xla.adapter")
kept = pytest.importorskip("pullback.engines.xla.kept")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PULLBACK_CACHE_DIR", str(tmp_path))
    return tmp_path


def files(folder):
    return sorted(folder.glob(f"*{kept.SUFFIX}"))


def run(value=3.0):
    """A function of its own each time, so that nothing in memory is used."""
    return float(pullback.jit(lambda x: (x * value).sum(), engine="xla")(jnp.arange(4.0)))


def compiles(monkeypatch):
    """What is compiled from now on."""
    made = []
    client = adapter.cpu().client

    class Watched:
        def __getattr__(self, name):
            return getattr(client, name)

        def compile_and_load(self, *args):
            made.append(args[0])
            return client.compile_and_load(*args)

    monkeypatch.setattr(adapter.cpu(), "client", Watched())
    return made


def test_the_second_time_nothing_is_compiled(folder, monkeypatch):
    made = compiles(monkeypatch)
    assert run() == 18
    assert len(files(folder)) == len(made) == 1
    assert run() == 18
    assert len(made) == 1
    assert run(2.0) == 12
    assert len(files(folder)) == len(made) == 2


@pytest.mark.parametrize("harm", ["cut", "bit", "empty", "writable", "foreign"])
def test_a_file_that_is_not_right_is_made_anew(folder, monkeypatch, harm):
    assert run() == 18
    (path,) = files(folder)
    data = path.read_bytes()
    if harm == "writable":
        path.chmod(0o666)
    elif harm == "foreign":  # whole, but no executable
        from pullback.engines.native import objects

        objects.write(path, b"nonsense")
    else:
        changed = {"cut": data[:-5], "empty": b"", "bit": data[:90] + b"\0" + data[91:]}[harm]
        path.write_bytes(changed if changed != data else data[:90] + b"\1" + data[91:])
    made = compiles(monkeypatch)
    assert run() == 18
    assert len(made) == 1
    assert path.read_bytes() != b"nonsense"


def test_programs_that_call_python_are_not_kept(folder):
    def host(x):
        return np.sin(x)

    f = pullback.jit(lambda x: pullback.pure_callback(host, x, x), engine="xla")
    np.testing.assert_allclose(f(jnp.arange(3.0)), np.sin(np.arange(3.0)), rtol=1e-6)
    assert files(folder) == []


def test_an_empty_setting_keeps_nothing(monkeypatch):
    monkeypatch.setenv("PULLBACK_CACHE_DIR", "")
    assert run() == 18


def test_another_process_finds_it(folder):
    code = (
        "import pullback, pullback.numpy as jnp;"
        "print(float(pullback.jit(lambda x: (x * 3.0).sum(), engine='xla')(jnp.arange(4.0))))"
    )

    def other():
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ},
            capture_output=True,
            text=True,
            timeout=550,
            check=True,
        )
        return float(done.stdout)

    assert other() == 18
    (path,) = files(folder)
    before = path.stat().st_ino
    assert other() == 18
    assert [p.stat().st_ino for p in files(folder)] == [before]


def test_names_depend_on_all_that_decides():
    names = {kept.name_of("a"), kept.name_of("a", b"1"), kept.name_of("a", b"", b"1")}
    assert len({*names, kept.name_of("b")}) == 4
