# Every target makes its own .venv from requirements.lock; python3 (3.11 or newer) and make are enough.
PYTHON ?= python3
BIN := .venv/bin
JOBS ?= 2

.PHONY: help venv demo test slow lint format bench lock clean
help:            ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## */\t/' | expand -t 12

venv: .venv/complete  ## the environment, exactly as locked

.venv/complete: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "sleepfm-jax needs Python 3.11 or newer; run make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# An untrained model stands in for the released one, which is not ours to ship.
NIGHTS := $(if $(EDF),$(EDF),demo/nights/edf)
demo: venv       ## two simulated nights (or EDF=night.edf) to embeddings and a picture in demo/
	$(if $(EDF),,$(BIN)/sleepfm-jax simulate --nights 2 --hours 1 --seed 7 --output demo/nights)
	$(BIN)/python -m conversion create --seed 0 --output demo/pytorch
	$(BIN)/python -m conversion import --checkpoint demo/pytorch/best.pt \
	  --config demo/pytorch/config.json --output demo/model
	$(BIN)/sleepfm-jax preprocess --output demo/recordings "$(NIGHTS)"
	$(BIN)/sleepfm-jax embed --model demo/model --output demo/embeddings demo/recordings
	$(BIN)/sleepfm-jax plot --embeddings demo/embeddings --stages demo/nights/stages --output demo

test: venv       ## all tests
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

slow: venv       ## the tests that take minutes: what the ICML 2024 system learns
	$(BIN)/python -m pytest -m slow

lint: venv       ## ruff and mypy, as CI runs them
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: venv     ## rewrite the sources in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: venv      ## every benchmark, ours beside the reference (quiet machine, please)
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

lock: venv       ## renew requirements.lock from the ranges in pyproject.toml
	$(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install --quiet pip-tools
	.venv-lock/bin/pip-compile --quiet --upgrade --extra torch --extra cluster --extra test --strip-extras \
	  --allow-unsafe --no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-options \
	  --no-emit-trusted-host --output-file requirements.lock pyproject.toml
	sed -i 's/+cpu$$//' requirements.lock
	rm -r .venv-lock

clean:           ## remove what the demo and the tools left
	rm -rf demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
