"""The cache of machine code: found again by another process, never trusted when damaged."""

import ctypes
import os
import subprocess
import sys

import pytest

from pullback.engines.native import machine, objects

TEXT = "define i64 @answer(i64 %x) {\n  %y = mul i64 %x, 6\n  ret i64 %y\n}\n"
OTHER = "define i64 @answer(i64 %x) {\n  %y = mul i64 %x, 5\n  ret i64 %y\n}\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache on disk, and none in memory."""
    monkeypatch.setenv("PULLBACK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(objects, "_loaded", type(objects._loaded)())
    return tmp_path / "cache"


def forget():
    objects._loaded.clear()


def answer(text):
    code = objects.loaded(text, {}, ["answer"])
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(code.addresses["answer"])(7)


def assembled(monkeypatch):
    """A list that grows by one for each text that is compiled."""
    texts, assemble = [], machine.assemble

    def counting(text):
        texts.append(text)
        return assemble(text)

    monkeypatch.setattr(machine, "assemble", counting)
    return texts


def test_a_text_is_compiled_once_in_memory_and_on_disk(folder, monkeypatch):
    texts = assembled(monkeypatch)
    assert answer(TEXT) == 42 and answer(TEXT) == 42 and len(texts) == 1
    forget()
    assert answer(TEXT) == 42 and len(texts) == 1
    assert answer(OTHER) == 35 and len(texts) == 2
    assert len(list(folder.glob("*.o"))) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-20],
        lambda data: data[:200] + b"\0\0\0\0" + data[204:],
        lambda data: b"something else\n" + data,
    ],
    ids=["empty", "cut short", "changed", "foreign"],
)
def test_a_damaged_entry_is_made_anew(folder, monkeypatch, damage):
    texts = assembled(monkeypatch)
    answer(TEXT)
    (path,) = folder.glob("*.o")
    good = path.read_bytes()
    path.write_bytes(damage(good))
    forget()
    assert answer(TEXT) == 42 and len(texts) == 2
    assert path.read_bytes() == good


def test_an_entry_of_another_text_under_this_name_is_not_used(folder, monkeypatch):
    answer(OTHER)
    (other,) = folder.glob("*.o")
    path = folder / f"{objects.name_of(TEXT)}.o"
    path.write_bytes(other.read_bytes()[:-1])
    os.chmod(path, 0o600)
    forget()
    assert answer(TEXT) == 42


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have owners on POSIX only")
def test_an_entry_that_others_may_write_is_not_used(folder, monkeypatch):
    texts = assembled(monkeypatch)
    answer(TEXT)
    (path,) = folder.glob("*.o")
    os.chmod(path, 0o666)
    forget()
    assert answer(TEXT) == 42 and len(texts) == 2


def test_the_name_depends_on_the_processor(monkeypatch):
    before, here = objects.name_of(TEXT), objects.circumstances()
    assert before != objects.name_of(OTHER)
    monkeypatch.setattr(objects, "circumstances", lambda: here + b"+")
    assert objects.name_of(TEXT) != before


@pytest.mark.skipif(not objects.processor(), reason="Linux says what the processor is")
def test_the_processor_is_known_by_its_instructions(tmp_path, monkeypatch):
    said = objects._PROCESSOR.read_text().partition("\n\n")[0]
    found = []
    for text in (said, said.replace("MHz", "MHz\t\t: 1"), said.replace(" fma", ""), "", None):
        file = tmp_path / f"{len(found)}"
        if text is not None:
            file.write_text(text)
        monkeypatch.setattr(objects, "_PROCESSOR", file)
        found.append(objects.processor.__wrapped__())
    # The frequency does not matter; instructions do; and where nothing is said, LLVM is asked.
    assert found[0] == found[1] != found[2] and found[3] == found[4] == ""
    monkeypatch.setattr(objects, "processor", lambda: "")
    assert machine.FEATURES.encode() in objects.circumstances.__wrapped__()


def test_an_empty_setting_keeps_nothing(monkeypatch):
    monkeypatch.setenv("PULLBACK_CACHE_DIR", "")
    assert objects.cache_folder() is None


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PULLBACK_CACHE_DIR", str(tmp_path / "file" / "cache"))
    forget()
    assert answer(TEXT) == 42


def test_pruning_deletes_what_was_not_used_for_longest(tmp_path):
    for k in range(5):
        path = tmp_path / f"{k}.o"
        path.write_bytes(bytes(100))
        os.utime(path, (k, k))
    objects.prune(tmp_path, most=250)
    assert sorted(p.name for p in tmp_path.glob("*.o")) == ["3.o", "4.o"]


def test_code_that_is_gone_is_found_again_on_disk(folder, monkeypatch):
    assert answer(TEXT) == 42
    name = objects.name_of(TEXT)
    forget()
    monkeypatch.setattr(objects, "_by_name", {})  # as in another process
    found = objects.again(name, {}, ["answer"])
    assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(found.addresses["answer"])(7) == 42
    assert objects.origin(found.addresses["answer"]).name == name
    assert objects.again(name, {}, ["answer"]) is found
    assert objects.again("0" * 64, {}, ["answer"]) is None


def test_memory_is_bounded(folder, monkeypatch):
    monkeypatch.setattr(objects, "MOST_IN_MEMORY", 1)
    answer(TEXT)
    answer(OTHER)
    assert len(objects._loaded) == 1


PROGRAM = """
import pullback, pullback.numpy as jnp
from pullback.engines.native import machine, program
count, assemble = [], machine.assemble
machine.assemble = lambda text: count.append(text) or assemble(text)
program.compile_program(pullback.make_jaxpr(lambda x: jnp.sqrt(x * x).sum())(jnp.ones(100)))
print(len(count))
"""


def test_a_second_process_compiles_nothing(tmp_path):
    found = []
    for _ in range(2):
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PULLBACK_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(int(run.stdout))
    assert found[0] > 0 and found[1] == 0
