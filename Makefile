# What can be checked, and how. PYTHON=... chooses another Python.
PYTHON ?= python

.PHONY: check quick test held-down stress audit fuzz soak

check: ## style, formats, and who imports whom
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	lint-imports

quick: check ## all but what is marked slow: minutes
	$(PYTHON) -m pytest -q -m "not slow"

test: check ## everything, in random order, in two processes: a quarter of an hour
	$(PYTHON) -m pytest -q

held-down: ## the numerical tests with every library held to an older instruction set
	$(PYTHON) tests/project/held_down.py -q -m "not slow"

TIMES ?= 3
LOOPS ?= 2

stress: ## everything in random order, three times, beside two busy loops (TIMES=1 LOOPS=4)
	$(PYTHON) tests/project/stress.py --times $(TIMES) --loops $(LOOPS)

audit: ## known weaknesses of all installed packages; asks the package index for them
	$(PYTHON) -m pip_audit --strict --progress-spinner off

SECONDS ?= 600
DOORS ?= images heic avif jpeg-structure checkpoints containers descriptions galleries packed-codes gallery-json maps manifests arguments settings requests texts

fuzz: ## every door for ten minutes each (SECONDS=60 DOORS=images for less)
	for door in $(DOORS); do $(PYTHON) tests/fuzz/fuzz.py $$door --seconds $(SECONDS) || exit 1; done

soak: ## twenty visitors at once, five times, then two hundred one after another; the report is committed
	$(PYTHON) -m benchmarks.soak --out docs/results/soak
