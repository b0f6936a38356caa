"""`python -m pullback run` starts a program as `python` does; `import jax` in it is Pullback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "digits.py"

USAGE = """
usage: python -m pullback run script.py [arguments ...]
       python -m pullback run -m module [arguments ...]
       python -m pullback launch -n COUNT [-d DEVICES] script.py [arguments ...]
       python -m pullback --version

run         runs a program written for JAX, unchanged: inside it `import jax` gives Pullback
launch      runs it in COUNT processes of this machine, each with DEVICES CPU devices; inside it
            `jax.distributed.initialize()` connects them. Lines get the number of their process
--version   prints Pullback's version, and the version of JAX whose API it follows
"""


def python(*arguments: str, at: Path, also: Path | None = None) -> subprocess.CompletedProcess:
    """`python arguments...` in folder `at`; modules are found in the folder `also`, too."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONWARNINGS", "MPLBACKEND")}
    paths = [str(path) for path in (also, ROOT) if path]
    environment |= {"PYTHONPATH": os.pathsep.join(paths), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=at, env=environment, capture_output=True, encoding="utf-8", check=False
    )


def pullback(*arguments: str, at: Path, also: Path | None = None) -> subprocess.CompletedProcess:
    return python("-m", "pullback", *arguments, at=at, also=also)


def write(path: Path, program: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(program), encoding="utf-8")
    return path


def gives(program: str, at: Path, also: Path | None = None) -> str:
    """What a program prints when Pullback runs it; it must not fail."""
    write(at / "program.py", program)
    run = pullback("run", "program.py", at=at, also=also)
    assert run.returncode == 0, run.stderr
    return run.stdout


# --- the program is started as `python` starts it ---

PROGRAMS = {
    "its surroundings": """
        import sys, os
        print(sys.argv, __name__, __file__, __spec__, __package__, sys.path[0])
        print(sys.modules["__main__"].__dict__ is globals(), __builtins__, type(__loader__))
        print(sorted(set(globals()) - {"__annotations__"}))
        """,
    "exit code": "import sys; print('out'); sys.exit(3)",
    "exit message": "import sys; sys.exit('what went wrong')",
    "exit at the end": "import atexit; atexit.register(lambda: print('bye', __name__))",
    "a thread goes on": """
        import sys, threading, time
        def late():
            time.sleep(0.2)
            print(sys.modules["__main__"].late is late)
        threading.Thread(target=late).start()
        """,
    "an exception": """
        def f(x):
            return g(x)
        def g(x):
            return 1 / x
        f(0)
        """,
    "an exception from another": """
        def f():
            try:
                {}["a"]
            except KeyError as e:
                raise ValueError("no a") from e
        f()
        """,
    "a syntax error": "def f(:\n    pass\n",
    "its own excepthook": """
        import sys, traceback
        sys.excepthook = lambda kind, value, tb: print(kind, value, traceback.format_tb(tb))
        1 / 0
        """,
    "a module beside it": "import beside; print(beside.__file__)",
    "pickles of its own classes": """
        import pickle
        class A:
            pass
        print(type(pickle.loads(pickle.dumps(A()))) is A)
        """,
}


def same(run: subprocess.CompletedProcess, plain: subprocess.CompletedProcess) -> None:
    assert (run.stdout, run.stderr, run.returncode) == (
        plain.stdout,
        plain.stderr,
        plain.returncode,
    )


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("arguments", [[], ["--help", "-m", "x y"]], ids=["bare", "arguments"])
def test_a_script_runs_as_with_python(tmp_path, program, arguments):
    write(tmp_path / "folder" / "script.py", program)
    write(tmp_path / "folder" / "beside.py", "")
    command = [os.path.join("folder", "script.py"), *arguments]
    same(pullback("run", *command, at=tmp_path), python(*command, at=tmp_path))


@pytest.mark.parametrize(
    "module",
    ["single", "package", "package.inner", "package.broken", "package.exits", "json.tool"],
)
def test_a_module_runs_as_with_python(tmp_path, module):
    shows = "import sys; print(sys.argv, __name__, __file__, __spec__.name, sys.path[0])"
    write(tmp_path / "single.py", shows)
    write(tmp_path / "package" / "__init__.py", "print('the package')")
    write(tmp_path / "package" / "__main__.py", shows)
    write(tmp_path / "package" / "inner.py", "from . import __name__ as name; print(name)")
    write(tmp_path / "package" / "broken.py", "1 / 0")
    write(tmp_path / "package" / "exits.py", "raise SystemExit(4)")
    command = ["-m", module, "-h"]
    run, plain = pullback("run", *command, at=tmp_path), python(*command, at=tmp_path)
    # python's own traceback begins in runpy
    launcher = re.compile(r'  File "<frozen runpy>".*\n')
    plain.stderr = launcher.sub("", plain.stderr)
    same(run, plain)


def test_a_folder_with_a_main_runs(tmp_path):
    write(tmp_path / "app" / "__main__.py", "import part; print(part.x)")
    write(tmp_path / "app" / "part.py", "x = 3")
    same(pullback("run", "app", at=tmp_path), python("app", at=tmp_path))


def test_ctrl_c_ends_a_script(tmp_path):
    write(tmp_path / "script.py", "raise KeyboardInterrupt")
    run = pullback("run", "script.py", at=tmp_path)
    assert run.returncode == 130
    assert run.stderr.endswith("KeyboardInterrupt\n")
    assert "runpy" not in run.stderr


# --- what the command says ---

MISTAKES = {
    "nothing": ([], "pullback: say what to do"),
    "no script": (["run"], "pullback: run needs a script, or -m and the name of a module"),
    "no module": (["run", "-m"], "pullback: run -m needs the name of a module"),
    "an option": (["run", "--fast", "x.py"], "pullback: run has no option --fast"),
    "a command": (["rnu", "x.py"], "pullback: there is no command rnu"),
    "no command": (
        ["x.py"],
        "pullback: to run a script, write: python -m pullback run x.py",
    ),
}


@pytest.mark.parametrize("arguments, message", MISTAKES.values(), ids=MISTAKES)
def test_a_wrong_command_line_is_explained(tmp_path, arguments, message):
    run = pullback(*arguments, at=tmp_path)
    assert (run.stderr, run.stdout, run.returncode) == (f"{message}\n{USAGE}", "", 2)


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["run", "--help"]])
def test_help(tmp_path, arguments):
    run = pullback(*arguments, at=tmp_path)
    assert (run.stdout, run.stderr, run.returncode) == (USAGE.lstrip("\n"), "", 0)


def test_version(tmp_path):
    run = pullback("--version", at=tmp_path)
    assert re.fullmatch(r"pullback \d+\.\d+\S* \(the API of jax 0\.10\.2\)\n", run.stdout)
    assert run.returncode == 0


def test_what_cannot_be_run(tmp_path):
    (tmp_path / "empty").mkdir()
    missing = tmp_path / "missing.py"
    for arguments, message, code in [
        (["missing.py"], f"can't open file '{missing}': [Errno 2] No such file or directory", 2),
        (["empty"], "can't find '__main__' module in 'empty'", 1),
        (["-m", "no_such_module"], "No module named no_such_module", 1),
        (["-m", "json.no_such_module"], "No module named json.no_such_module", 1),
    ]:
        run = pullback("run", *arguments, at=tmp_path)
        assert (run.stderr, run.returncode) == (f"pullback run: {message}\n", code)


# --- `jax` in the program is Pullback ---


def test_jax_is_pullback(tmp_path):
    assert (
        gives(
            """
            import importlib, inspect, pickle, sys, warnings
            warnings.simplefilter("error")
            import jax
            import jax.numpy as jnp
            import jax.scipy.linalg
            import pullback
            from jax import grad, lax, numpy
            from jax.experimental import enable_x64

            assert jnp is numpy is jax.numpy is pullback.numpy is sys.modules["jax.numpy"]
            assert importlib.import_module("jax.numpy") is jnp
            assert jnp.__spec__.name == "pullback.numpy"  # and it is none the worse for it
            assert jax.scipy.linalg is pullback.scipy.linalg
            assert (jax.grad, lax) == (pullback.grad, pullback.lax) and grad is jax.grad
            assert jax.__name__ == "jax" and jax.__spec__.name == "jax"
            assert inspect.getsource(jax) and inspect.getmodule(grad).__name__ != "jax"
            assert pickle.loads(pickle.dumps(jax.grad)) is grad
            assert {"grad", "numpy", "__version__"} <= set(dir(jax))
            assert importlib.reload(jax).grad is grad
            everything = {}
            exec("from jax import *", everything)
            assert everything["vmap"] is jax.vmap
            print(float(grad(jnp.sin)(0.0)))
            """,
            tmp_path,
        )
        == "1.0\n"
    )


def test_versions(tmp_path):
    assert gives(
        """
        from importlib.metadata import metadata, version
        import jax, jax.version, jaxlib, pullback
        print(jax.__version__, jax.__version_info__, jax.version.__version__)
        print(version("jax"), metadata("JAX")["Name"], pullback.__version__ != jax.__version__)
        """,
        tmp_path,
    ).splitlines() == ["0.10.2 (0, 10, 2) 0.10.2", "0.10.2 jax True"]


def test_modules_can_be_asked_for(tmp_path):
    assert gives(
        """
        from importlib.util import find_spec
        print([find_spec(f"jax{rest}") is not None for rest in ("", ".numpy", ".lax", ".no_such")])
        """,
        tmp_path,
    ).splitlines() == ["[True, True, True, False]"]


@pytest.mark.parametrize(
    "statement, message",
    [
        (
            "import jax.no_such",
            "ModuleNotFoundError: No module named 'jax.no_such': Pullback has no such module yet.",
        ),
        (
            "import jax.no_such.deeper",
            "ModuleNotFoundError: No module named 'jax.no_such': Pullback has no such module yet.",
        ),
        (
            "from jax.numpy.no_such import x",
            "ModuleNotFoundError: No module named 'jax.numpy.no_such': "
            "Pullback has no such module yet.",
        ),
        (
            # a folder of Pullback, and not JAX's module of that name
            "import jax.transforms",
            "ModuleNotFoundError: No module named 'jax.transforms': "
            "Pullback has no such module yet.",
        ),
        (
            "import jax; jax.no_such",
            "AttributeError: module 'jax' has no attribute 'no_such': "
            "Pullback has no such name yet.",
        ),
        (
            "import jax; jax.api",
            "AttributeError: module 'jax' has no attribute 'api': Pullback has no such name yet.",
        ),
    ],
)
def test_what_is_missing_is_named(tmp_path, statement, message):
    write(tmp_path / "script.py", statement)
    run = pullback("run", "script.py", at=tmp_path)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith(message)


def test_a_missing_name_is_an_import_error(tmp_path):
    write(tmp_path / "script.py", "from jax import no_such")
    run = pullback("run", "script.py", at=tmp_path)
    assert "ImportError: cannot import name 'no_such' from 'jax'" in run.stderr


# --- with and without the real jax ---

OTHER_JAX = "__version__ = '0.4.99'\n"

# Stands where jax and jaxlib are not installed, even if they are.
HIDE = """
    import sys
    from importlib.machinery import PathFinder

    class Without(PathFinder):
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            return None if name in ("jax", "jaxlib") else PathFinder.find_spec(name, path, target)

        @classmethod
        def find_distributions(cls, *context):
            found = PathFinder.find_distributions(*context)
            return (d for d in found if d.metadata["Name"] not in ("jax", "jaxlib"))

    sys.meta_path[sys.meta_path.index(PathFinder)] = Without
    """


def test_an_installed_jax_is_not_seen(tmp_path):
    write(tmp_path / "installed" / "jax" / "__init__.py", OTHER_JAX)
    write(tmp_path / "installed" / "jax" / "numpy.py", "raise Exception")
    program = "import jax, jax.numpy; print(jax.__version__)"
    also = tmp_path / "installed"
    assert gives(program, tmp_path, also) == "0.10.2\n"
    assert python("-c", "import jax; print(jax.__version__)", at=tmp_path, also=also).stdout == (
        "0.4.99\n"
    )


def test_jax_need_not_be_installed(tmp_path):
    also = write(tmp_path / "hidden" / "sitecustomize.py", HIDE).parent
    assert (
        gives(
            """
            from importlib.metadata import version
            import jax, jaxlib, jaxlib.version
            print(jax.__version__, jaxlib.__version__, jaxlib.version.__version__)
            print(version("jax"), version("jaxlib"))
            """,
            tmp_path,
            also,
        )
        == "0.10.2 0.10.2 0.10.2\n0.10.2 0.10.2\n"
    )
    plain = python("-c", "import jaxlib", at=tmp_path, also=also)
    assert "No module named 'jaxlib'" in plain.stderr


def test_an_installed_jaxlib_stays(tmp_path):
    write(tmp_path / "installed" / "jaxlib" / "__init__.py", "__version__ = '0.9.0'\n")
    program = "import jaxlib; print(jaxlib.__version__)"
    assert gives(program, tmp_path, tmp_path / "installed") == "0.9.0\n"


# --- the alias on its own ---


def prints(program: str, at: Path, also: Path | None = None) -> str:
    """What a program prints when `python` runs it."""
    run = python("-c", textwrap.dedent(program), at=at, also=also)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_install_and_uninstall(tmp_path):
    write(tmp_path / "installed" / "jax.py", OTHER_JAX)
    assert (
        prints(
            """
            import sys
            from importlib.metadata import PackageNotFoundError, version
            from pullback import compat

            before = list(sys.meta_path)
            compat.install()
            compat.install()
            import jax.numpy
            print(jax.__version__, len(sys.meta_path) - len(before))
            compat.uninstall()
            compat.uninstall()
            assert sys.meta_path == before
            assert not [name for name in sys.modules if name.split(".")[0] == "jax"]
            import jax
            print(jax.__version__)
            compat.uninstall()
            assert sys.modules["jax"] is jax  # the real one is left alone
            """,
            tmp_path,
            tmp_path / "installed",
        )
        == "0.10.2 1\n0.4.99\n"
    )


def test_aliased(tmp_path):
    write(tmp_path / "installed" / "jax.py", OTHER_JAX)
    assert (
        prints(
            """
            from pullback import compat

            try:
                with compat.aliased():
                    import jax
                    print(jax.__version__)
                    raise KeyError
            except KeyError:
                pass
            import jax
            print(jax.__version__)

            del jax, __import__("sys").modules["jax"]
            compat.install()
            with compat.aliased():
                pass
            import jax
            print(jax.__version__)
            """,
            tmp_path,
            tmp_path / "installed",
        )
        == "0.10.2\n0.4.99\n0.10.2\n"
    )


def test_install_after_the_real_jax_is_refused(tmp_path):
    file = write(tmp_path / "installed" / "jax.py", OTHER_JAX)
    out = prints(
        """
        import jax
        from pullback import compat
        try:
            compat.install()
        except RuntimeError as error:
            print(error)
        """,
        tmp_path,
        tmp_path / "installed",
    )
    assert out == (
        "jax is already imported, and it is not Pullback.\n"
        f"  Got: jax 0.4.99 from {file}\n"
        "  Where: <string>:5 (<module>)\n"
        "  Fix: call pullback.compat.install() before the first `import jax`, "
        "or start the program with `python -m pullback run`.\n"
    )


# --- the example ---


@pytest.mark.slow
def test_the_digits_example(tmp_path):
    run = pullback("run", str(EXAMPLE), at=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "training: 100%" in run.stderr  # the progress bar

    accuracy = re.search(r"^test accuracy +([\d.]+)%", run.stdout, re.MULTILINE)
    assert accuracy and float(accuracy[1]) >= 95
    gradient = re.search(r"^gradient +(\S+) by autodiff, (\S+) by", run.stdout, re.MULTILINE)
    assert gradient and float(gradient[1]) == pytest.approx(float(gradient[2]), abs=1e-9)
    curvature = re.search(r"^largest curvature +(\S+), residual (\S+)", run.stdout, re.MULTILINE)
    assert curvature and float(curvature[2]) < 1e-4 * float(curvature[1])

    picture = (tmp_path / "digits.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 10_000
