"""How many processors a process may use: affinity, control groups, OMP_NUM_THREADS."""

import os
import subprocess
import sys

import pytest

from pullback.core import processors


def test_no_more_than_there_are():
    assert 1 <= processors.available() <= os.cpu_count()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
@pytest.mark.parametrize("variable", [None, "1", "1,4", "0", "many", "1000"])
def test_the_default_of_the_setting(variable):
    one = min(os.sched_getaffinity(0))
    show = "import pullback; print(pullback.config.pullback_threads)"
    code = f"import os; os.sched_setaffinity(0, [{one}]); {show}"
    environment = {
        k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "PULLBACK_THREADS")
    }
    if variable is not None:
        environment["OMP_NUM_THREADS"] = variable
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1"


@pytest.mark.parametrize(
    ("variable", "wanted"), [("3", 3), ("2,1", 2), (" 2", 2), ("0", None), ("x", None), ("", None)]
)
def test_what_is_asked(variable, wanted, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert processors._asked() == wanted


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


CASES = [
    ({"cpu.max": "max 100000\n"}, "0::/\n", None),
    ({"cpu.max": "250000 100000\n"}, "0::/\n", 2),
    ({"cpu.max": "50000 100000\n"}, "0::/\n", 0),
    # The path is that outside of the container; or an inner group has more than an outer one.
    ({"cpu.max": "300000 100000\n"}, "0::/docker/abc\n", 3),
    ({"a/cpu.max": "300000 100000", "a/b/cpu.max": "400000 100000"}, "0::/a/b\n", 3),
    ({"a/cpu.max": "max 100000", "a/b/cpu.max": "400000 100000"}, "0::/a/b\n", 4),
    ({"other/cpu.max": "100000 100000"}, "0::/a\n", None),
    ({"cpu/a/cpu.cfs_quota_us": "200000", "cpu/a/cpu.cfs_period_us": "100000"}, "3:cpu:/a\n", 2),
    ({"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
     "3:cpu,cpuacct:/a\n", None),
    ({"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "100000"},
     "9:memory:/x\n3:cpu,cpuacct:/a\n0::/\n", 1),
    ({"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "0"}, "3:cpu:/\n", None),
    ({"cpu.max": "nonsense"}, "0::/\nnonsense", None),
    ({}, "", None),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(CASES)))
def test_time_that_control_groups_grant(case, tmp_path):
    files, mine, wanted = CASES[case]
    for name, text in files.items():
        write(tmp_path / "groups" / name, text)
    write(tmp_path / "mine", mine)
    assert processors._granted(tmp_path / "mine", tmp_path / "groups") == wanted


def test_without_control_groups(tmp_path):
    assert processors._granted(tmp_path / "mine", tmp_path) is None


def test_less_than_one_is_one(monkeypatch):
    monkeypatch.setattr(processors, "_granted", lambda *_: 0)
    assert processors.available() == 1
