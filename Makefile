# make setup   the environment .venv alone          make test   the environment, then the tests
# make lint    ruff                                 make demo   phantoms -> import -> train -> evaluate -> report
# make clean   what the demo and the tests made     make clean-venv   the environment
#
# PYTHON=python3.10      the Python to make the environment with (default: the first that works, 3.11 before others)
# EXTRAS=cu112,test      the extras of setup.py to install (default: what is there, or cpu,test)
# VENV=..., DEMO=...     other folders than .venv and demo

VENV ?= .venv
DEMO ?= demo
COMMA := ,
INSTALLED := $(patsubst $(VENV)/setup-%.stamp,%,$(firstword $(wildcard $(VENV)/setup-*.stamp)))
EXTRAS ?= $(if $(INSTALLED),$(INSTALLED),cpu$(COMMA)test)
PY := $(VENV)/bin/python
STAMP := $(VENV)/setup-$(EXTRAS).stamp
export PYTHON

.PHONY: setup test lint demo clean clean-venv
.DELETE_ON_ERROR:

setup: $(STAMP)

$(STAMP): setup.py pyproject.toml scripts/setup-venv.sh
	@sh scripts/setup-venv.sh "$(VENV)" "$(EXTRAS)" "$(STAMP)"

test: $(STAMP)
	$(PY) -m pytest -q

lint: $(STAMP)
	$(PY) -m ruff check .

# Every step writes its last file when it is done, and only a missing file makes a step run.
demo: $(DEMO)/run/report.html
	@echo "The report: $(abspath $(DEMO))/run/report.html"

$(DEMO)/phantoms/labels.json: | $(STAMP)
	$(PY) -m gluon_liver phantom ct --out $(DEMO)/phantoms

$(DEMO)/data/dataset.json: | $(DEMO)/phantoms/labels.json
	$(PY) -m gluon_liver import ct $(DEMO)/phantoms --labels $(DEMO)/phantoms/labels.json --out $(DEMO)/data

$(DEMO)/run/environment.json: | $(DEMO)/data/dataset.json
	$(PY) train.py --config demo-ct --data $(DEMO)/data --out $(DEMO)/run

$(DEMO)/run/report.html: | $(DEMO)/run/environment.json
	$(PY) evaluate.py --run $(DEMO)/run

clean:
	rm -rf $(DEMO) build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

clean-venv:
	rm -rf $(VENV)
