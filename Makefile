# Two commands do everything on a machine with Python and a C++ compiler:
#   make repro   install into .venv, then run the pipeline
#   make test    install into .venv, then run the tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

NATIVE := $(shell find ffi -type f -not -path '*/__pycache__/*') CMakeLists.txt pyproject.toml

.PHONY: repro check-lock test hardening hardening-short aarch64 wheel-test wheels docs lint format clean

# A downloaded archive of the sources has no .git, which DVC looks for unless it is told not to.
repro: $(VENV)/.pipeline
	[ -e .git ] || dvc config --local core.no_scm true
	dvc repro
	dvc metrics show

# After repro: did this machine make what is committed?
check-lock: $(VENV)/.pipeline
	python -m pipeline.check_lock

test: $(VENV)/.test
	pytest -n auto --dist loadgroup

# XLA's compiler for GPUs, of this jaxlib's version, out of the way of every other program.
build/gpu-compiler: $(VENV)/.test
	version=$$(python -c 'import jaxlib; print(jaxlib.__version__)') && $(BIN)/pip install --quiet --no-deps \
	  --target $@ jax-cuda13-pjrt==$$version jax-cuda13-plugin==$$version

# What takes long: whole pipelines again and again, the study, all sanitizers, kills, fuzzers.
hardening: $(VENV)/.lint build/gpu-compiler
	pytest -n auto --dist loadgroup -m hardening
	.ci/clang-cuda
	.ci/sanitize
	.ci/aarch64
	python -m benchmarks.kills --kills 200
	python -m benchmarks.shared_kills --kills 20
	python -m tests.fuzz --inputs 10000

# The same in short, for every change.
hardening-short: $(VENV)/.test
	.ci/sanitize memory
	python -m tests.fuzz --inputs 500

# The kernel of 64-bit ARM, in emulation.
aarch64:
	.ci/aarch64

# Against what users install, without the sources.
wheel-test: $(VENV)/.package
	.ci/wheel

# For this system, into build/wheels: on Linux in containers, for which Docker or Podman must run; on macOS as it is.
wheels: $(VENV)/.wheels
	python -m cibuildwheel --output-dir build/wheels

docs: $(VENV)/.docs
	python -m sphinx -W --keep-going -q -b html docs build/docs

lint: $(VENV)/.lint
	ruff check .
	ruff format --check .
	mypy
	codespell
	clang-format --dry-run --Werror $$(find ffi tests/native benchmarks -name '*.h' -o -name '*.cc' -o -name '*.cu' -o -name '*.cuh')

format: $(VENV)/.lint
	ruff check --fix .
	ruff format .
	clang-format -i $$(find ffi tests/native benchmarks -name '*.h' -o -name '*.cc' -o -name '*.cu' -o -name '*.cuh')

clean:
	rm -rf $(VENV) build

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip

# Not editable: stages must run the Python code of the folder they are started in, and DVC starts some in copies.
$(VENV)/.pipeline: $(BIN)/pip $(NATIVE) constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt '.[pipeline]'
	touch $@

$(VENV)/.test: $(BIN)/pip $(NATIVE) constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt '.[test]'
	touch $@ $(VENV)/.pipeline

$(VENV)/.lint: $(VENV)/.test
	$(BIN)/pip install --quiet --constraint constraints.txt --group lint
	touch $@

$(VENV)/.docs: $(VENV)/.test
	$(BIN)/pip install --quiet --constraint constraints.txt --group docs
	touch $@

$(VENV)/.package: $(VENV)/.test
	$(BIN)/pip install --quiet --constraint constraints.txt --group package
	touch $@

$(VENV)/.wheels: $(BIN)/pip
	$(BIN)/pip install --quiet --constraint constraints.txt --group wheels
	touch $@
