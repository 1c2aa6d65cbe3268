# make install | lint | test | test-fast | test-slow | coverage | demo | bench | figures | golden | lock | build
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed
# As many tests at a time as there are processors, four at most: each takes two gigabytes.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n < 4 ? n : 4)))
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal --durations=25

.PHONY: install lint format test test-fast test-slow coverage demo bench figures golden lock build clean

install: $(STAMP)

# The lock pins every package by version and sha256, so pip need not resolve: it failed once a newer release of a package
# with an extra came out. The stamp makes a repeated `make install` free.
$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "The lock is for Python 3.11, and $(PYTHON) is another; give make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# All tests; most of the time goes into compilers, so that a second run is faster.
test: install
	$(PYTEST)

test-fast: install
	$(PYTEST) -m "not slow"

test-slow: install
	$(PYTEST) -m slow

# The fast tests say which lines of deepmm_jax none of them runs, and fail below the share in pyproject.toml. Tracing
# makes them half as slow again.
coverage: install
	$(PYTEST) -m "not slow" --cov --cov-report=term-missing

# Map to all atoms of the example that ships with the program.
demo: install
	$(BIN)/deepmm-jax demo

# Seconds by stage on the example; `deepmm-jax benchmark` says how accurate models are.
bench: install
	$(BIN)/python benchmarks/speed.py

# The figures of docs/benchmarks.md and docs/confidence.md, from the committed results alone.
figures: install
	$(BIN)/python docs/figures.py docs/images
	$(BIN)/python docs/confidence.py docs/images/confidence.svg

# The figures of other programs in tests/golden, made anew; needs TMscore and mkdssp: apt-get install tm-align dssp
ORACLES := build/oracles
golden: install $(ORACLES)/.installed
	$(BIN)/python tests/golden/make/golden.py $(ORACLES)/bin/python

$(ORACLES)/.installed:
	$(PYTHON) -m venv $(ORACLES)
	$(ORACLES)/bin/python -m pip install --quiet --disable-pip-version-check cctbx-base==2025.11
	touch $@

# Run with Python 3.11 on Linux after changing a dependency; takes some minutes.
lock: install
	$(BIN)/pip-compile --quiet --generate-hashes --extra dev --strip-extras --allow-unsafe --no-header \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options \
		--output-file requirements.lock pyproject.toml
	sed -i '1i # CPU and development packages for Python 3.11 on Linux, by version and sha256; made by `make lock`.' requirements.lock

build: install
	$(BIN)/python -m build --no-isolation

clean:
	rm -rf .venv build dist
