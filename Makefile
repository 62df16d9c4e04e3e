# make demo        restore sample photographs with the weights that ship
# make test        lint and test, on both cores
# make test-all    the same with the tests that take minutes
# make benchmarks  speed and memory, as ratios (benchmarks/recipes.py needs photographs, and an hour)
# make weights     train the weights that ship, as below
# make lock        renew requirements.lock from requirements-dev.txt
# make clean       remove .venv and what the other targets wrote
#
# The first call of any of them makes .venv from requirements.lock (names, versions, hashes).
# Weights from photographs of yours and GoPro's pairs (deblur-keras data prepare gopro), for hours;
# the same once more goes on where it was stopped:
#   make weights PHOTOGRAPHS="holiday/ street/" PAIRS=gopro RUN=runs/default
# and with frames of a video of 240 frames a second, as the weights that ship: FRAMES=frames/
#
# Another interpreter: make PYTHON=/path/to/python3.12 test

CANDIDATES := python3.11 python3.12 python3.13 python3
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in $(CANDIDATES); do $$p -c "$(SUPPORTED)" 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready

.PHONY: install demo test test-all benchmarks weights lock clean

install: $(READY)

$(READY): requirements.lock setup.cfg pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; none found. On Debian: apt install python3 python3-venv" >&2; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version); this takes a minute or two."
	@$(PYTHON) -m venv --clear .venv || { echo "Could not make .venv. On Debian: apt install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: $(READY)
	@$(BIN)/deblur-keras demo

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n 2

test-all: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n 2 -m "slow or not slow"

benchmarks: $(READY)
	@for script in $(filter-out benchmarks/recipes.py, $(wildcard benchmarks/*.py)); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

RUN ?= runs/default

weights: $(READY)
	@test -n "$(PHOTOGRAPHS)" || { echo 'Say what to train on: make weights PHOTOGRAPHS="holiday/ street/" [PAIRS=gopro] [FRAMES=frames/] [RUN=$(RUN)]' >&2; exit 1; }
	$(BIN)/python scripts/train_default.py $(foreach folder,$(PHOTOGRAPHS),--photographs "$(folder)") \
		$(if $(PAIRS),--pairs "$(PAIRS)") $(if $(FRAMES),--frames "$(FRAMES)") -o "$(RUN)"
	@echo 'To ship them: $(BIN)/python scripts/ship_weights.py default $(RUN)/generator.keras --sees 512'

lock: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header --quiet --upgrade --output-file requirements.lock requirements-dev.txt

clean:
	rm -rf .venv build demo *.egg-info .pytest_cache .ruff_cache .hypothesis
