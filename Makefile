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

# A size that learns on two cores in minutes: lesions of 18 to 60 mm, most patients with one kind of lesion as in
# Table 1 of the paper. Each step's last file says that it is done, so an interrupted step is done again.
PHANTOMS := --studies 80 --seed 1 --lesions 1 3 --diameter-mm 18 60 --min-box-pixels 40 --one-class-fraction 0.8

demo: $(DEMO)/run/report.html
	@echo "The report: $(abspath $(DEMO))/run/report.html"

$(DEMO)/phantoms/labels.json: | $(STAMP)
	@mkdir -p $(DEMO)
	$(PY) -m gluon_liver phantom ct --out $(DEMO)/phantoms $(PHANTOMS)

$(DEMO)/data/dataset.json: | $(DEMO)/phantoms/labels.json
	$(PY) -m gluon_liver import ct $(DEMO)/phantoms/dicom --labels $(DEMO)/phantoms/labels.json \
		--out $(DEMO)/data --salt phantom --split-fractions 0.75 0 0.25

$(DEMO)/trained: | $(DEMO)/data/dataset.json
	rm -rf $(DEMO)/run
	$(PY) train.py --config demo-ct --data $(DEMO)/data --out $(DEMO)/run
	@touch $@

$(DEMO)/run/report.html: | $(DEMO)/trained
	$(PY) evaluate.py --run $(DEMO)/run

clean:
	rm -rf $(DEMO) build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

clean-venv:
	rm -rf $(VENV)
