# What can be checked, and how. PYTHON=... chooses another Python.
PYTHON ?= python

.PHONY: check test audit fuzz soak

check: ## style, formats, and who imports whom
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	lint-imports

test: check ## everything; takes a quarter of an hour
	$(PYTHON) -m pytest -q

audit: ## known weaknesses of all installed packages; asks the package index for them
	$(PYTHON) -m pip_audit --strict --progress-spinner off

SECONDS ?= 600
DOORS ?= images jpeg-structure checkpoints containers descriptions galleries packed-codes gallery-json maps manifests arguments settings

fuzz: ## every door for ten minutes each (SECONDS=60 DOORS=images for less)
	for door in $(DOORS); do $(PYTHON) tests/fuzz/fuzz.py $$door --seconds $(SECONDS) || exit 1; done

soak: ## twenty visitors at once, five times, then two hundred one after another; the report is committed
	$(PYTHON) -m benchmarks.soak --out docs/results/soak
