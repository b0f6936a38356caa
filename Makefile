# `make demo` shows the library at work; `make check` runs all that CI runs.
# Everything is installed in .venv; nothing outside this folder is used but Python, pip and git.

PYTHON ?= python3
VENV := .venv
GPU := .venv-gpu
PY := $(VENV)/bin/python
PIP := $(PY) -I -m pip --disable-pip-version-check --quiet install
# The tests use two processes; `make test JOBS=0` uses one.
JOBS ?= 2

unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP
export PYTHONNOUSERSITE := 1

.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test test-xla test-gpu test-jaxlib clients suites lint types docs bench check clean .venv

help:
	@echo "make demo    train a small network on handwritten digits"
	@echo "make test    run the tests"
	@echo "make test-xla    run the tests with every program on the XLA engine"
	@echo "make test-gpu    run the tests on a GPU of NVIDIA (large downloads)"
	@echo "make test-jaxlib run the tests of the XLA engine's adapter with each version of jaxlib"
	@echo "make clients run 15 libraries written for JAX, and compare with JAX"
	@echo "make suites  run libraries' own tests on JAX and on Pullback (a quarter of an hour)"
	@echo "make lint    ruff"
	@echo "make types   mypy"
	@echo "make docs    run the examples in the documents"
	@echo "make bench   measure against other libraries (large downloads)"
	@echo "make check   all that CI runs: lint, types, tests, documents' examples, clients"
	@echo "make clean   remove .venv and what the tools leave behind"

demo: $(VENV)/demo.stamp
	$(PY) -m pullback run examples/digits.py

test: $(VENV)/test.stamp
	$(PY) -I -m pytest -n $(JOBS) tests

# Each program runs once or twice: XLA compiles three times as quickly without optimising.
test-xla: export PULLBACK_ENGINE := xla
test-xla: export XLA_FLAGS := --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true
test-xla: $(VENV)/test.stamp
	$(PY) -I -m pytest -n $(JOBS) tests

# Without a driver nothing is downloaded: the first line says what is missing.
test-gpu: $(VENV)/made.stamp
	@$(PY) -I tests/xla/on_gpu.py --driver
	@test -e $(GPU)/made.stamp || { $(PYTHON) -I -m venv --clear $(GPU) && \
	  $(GPU)/bin/python -I -m pip --disable-pip-version-check --quiet install '.[cuda13,test]' && \
	  touch $(GPU)/made.stamp; }
	PYTHONPATH=. $(GPU)/bin/python tests/xla/on_gpu.py

test-jaxlib: $(VENV)/made.stamp
	$(PY) -I tests/xla/versions.py

clients: $(VENV)/clients.stamp
	$(PY) -I -m pytest -n $(JOBS) tests/test_clients.py

suites: $(VENV)/clients.stamp
	$(PY) tests/surface/suites.py --jobs $(JOBS)

lint: $(VENV)/lint.stamp
	$(PY) -I -m ruff check .

types: $(VENV)/lint.stamp
	$(PY) -I -m mypy

docs: $(VENV)/test.stamp
	$(PY) -I -m pytest tests/test_docs.py

bench: $(VENV)/bench.stamp
	$(PY) -m benchmarks
	$(PY) -m benchmarks.numpy_calls
	$(PY) -m benchmarks.native
	$(PY) -m benchmarks.adbench

check: lint types test clients

# --- the environment: a stamp says what is installed; a changed requirement installs again ---

.venv: $(VENV)/test.stamp $(VENV)/lint.stamp

$(VENV)/made.stamp:
	@command -v $(PYTHON) > /dev/null || \
	  { echo "Pullback needs Python 3.11 or newer, and '$(PYTHON)' is not here. Give one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Pullback needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Give another: make PYTHON=python3.12" >&2; exit 1; }
	@# Some systems ship venv without ensurepip; there the system's pip puts pip into .venv.
	@$(PYTHON) -I -m venv --clear $(VENV) > /dev/null 2>&1 || \
	  { $(PYTHON) -I -m venv --clear --without-pip $(VENV) && \
	    $(PYTHON) -I -m pip --python $(PY) --disable-pip-version-check --quiet install pip; }
	@touch $@

$(VENV)/run.stamp: $(VENV)/made.stamp pyproject.toml requirements/build.txt requirements/run.txt requirements/constraints.txt
	$(PIP) -r requirements/build.txt -r requirements/run.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/%.stamp: $(VENV)/run.stamp requirements/%.txt
	$(PIP) -r requirements/$*.txt
	@touch $@

# test.txt reads demo.txt, and clients.txt reads both.
$(VENV)/test.stamp: requirements/demo.txt
$(VENV)/clients.stamp: requirements/demo.txt requirements/test.txt

clean:
	rm -rf $(VENV) $(GPU) .venv-jaxlib build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find pullback tests examples benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} + 2> /dev/null || true
