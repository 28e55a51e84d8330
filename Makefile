# make run     install what is needed and play a recorded battery on D-Bus
# make test    install what is needed and run the tests
# make check   lint, types and tests
# make bench   figures: decode, fold, replay, append, trends
# make soak    three weeks of four batteries through the log; CAP=MB for a smaller database
# make reconnects   10,000 reconnects of four batteries, and what grows by them; COUNT=N for another number
# make test-bluez   the daemon against a real bluetoothd in a qemu guest, see tests/bluez_vm; SECONDS=600 for longer
# make venv    only prepare the Python environment

PYTHON ?= python3
VENV ?= .venv
SESSION ?=
SECONDS ?= 100
BIN := $(VENV)/bin

.PHONY: venv run test check bench soak reconnects test-bluez clean
venv: $(VENV)/.run

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 8))' || { echo "Python 3.8 or newer is needed: make PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "the venv module of Python is needed (Debian: apt install python3-venv)"; exit 1; }

$(VENV)/.run: pyproject.toml | $(VENV)/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check .
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[test]'
	@touch $@ $(VENV)/.run

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[test,dev]'
	@touch $@ $(VENV)/.test $(VENV)/.run

run: $(VENV)/.run
	@exec $(BIN)/python dbus-btbattery.py run --instance 1 $(if $(SESSION),session:$(SESSION),--demo)

test: $(VENV)/.test
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/python -m pytest $(ARGS)

bench: $(VENV)/.test
	$(BIN)/python -m tests.bench

soak: $(VENV)/.test
	$(BIN)/python -m tests.soak $(CAP)

reconnects: $(VENV)/.test
	$(BIN)/python -m tests.reconnects $(COUNT)

test-bluez: $(VENV)/bin/python
	@PYTHON=$(abspath $(BIN)/python) tests/bluez_vm/run $(SECONDS)

clean:
	rm -rf .venv .venv-* build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
