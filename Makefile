# make install | lint | test | test-fast | demo | bench | lock | build
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed
PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadfile

.PHONY: install lint format test test-fast demo bench lock build clean

install: $(STAMP)

# The lock pins every package by version and sha256; the stamp makes a repeated `make install` free.
$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "The lock is for Python 3.11, and $(PYTHON) is another; give make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
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

test: install
	$(PYTEST)

# At most 90 seconds on two cores.
test-fast: install
	$(PYTEST) -m "not slow"

# Map to Cα model of the example that ships with the program.
demo: install
	$(BIN)/deepmm-jax demo

# Seconds by stage on the example; benchmarks/accuracy.py needs the data folder.
bench: install
	$(BIN)/python benchmarks/speed.py

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
