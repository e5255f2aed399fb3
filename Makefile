# Needs Python 3.11, 3.12 or 3.13 and, the first time, a network. `make` says what there is to make.

PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/installed
# Run a command as if the venv were activated.
IN := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
UV := uv==0.13.9

.PHONY: help run test lint bench docs lock clean

help:  ## say what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-6s %s\n", $$1, $$2}' Makefile

run: $(INSTALLED)  ## run the default study (config/config.yaml) on all cores
	$(IN) snakemake --cores all

test: lint  ## lint, then all tests
	$(IN) python -m pytest -q -n 2 --dist loadfile

lint: $(INSTALLED)  ## check the code, the workflow and the manual
	$(IN) ruff check
	$(IN) ruff format --check
	$(IN) snakefmt --check Snakefile rules
	$(IN) snakemake --lint
	@$(IN) PYTHONPATH=scripts python -m prism.config | diff config/README.md - \
		|| { echo "config/README.md is not the manual of config/schema.yaml: run make docs" >&2; exit 1; }

bench: $(INSTALLED)  ## measure the engine
	$(IN) PYTHONPATH=scripts python bench/bench.py

docs: $(INSTALLED)  ## bring the manual in config/README.md up to config/schema.yaml
	$(IN) PYTHONPATH=scripts python -m prism.config > $(VENV)/README.md
	mv $(VENV)/README.md config/README.md

# Keeps the versions that still fit; delete requirements.lock first to have the newest of everything.
lock:  ## write requirements.lock for the dependencies in pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)/uv
	$(VENV)/uv/bin/python -m pip install --quiet --disable-pip-version-check $(UV)
	$(VENV)/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
		--generate-hashes --group dev --custom-compile-command "make lock" \
		pyproject.toml -o requirements.lock

clean:  ## remove what tools leave behind; results, downloads and the venv stay
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -prune -exec rm -rf {} +

# The venv is made anew whenever the lock changes. The stamp comes last: an installation that was
# cut off has none, and starts over. `base`: the venv may be activated, and can't make itself anew.
$(INSTALLED): requirements.lock
	@version=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null); \
	case $$version in 3.11|3.12|3.13) ;; *) \
		echo "Prism needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $${version:-not there}:" \
			"name another, make PYTHON=/path/to/python3.12" >&2; exit 1;; esac
	@echo "installing into $(VENV), which takes a minute or two"
	@base=$$($(PYTHON) -c 'import sys; print(sys._base_executable)') && "$$base" -m venv --clear $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $(INSTALLED)
