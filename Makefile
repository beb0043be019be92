# make setup   the environment .venv alone          make test   the environment, then the tests
# make lint    ruff and mypy                        make demo   phantoms -> import -> train -> evaluate -> report
# make test-fast  tests that train nothing, a minute or two      make coverage  all tests, and which lines they reach
# make rows    all six rows of the CT paper's Table 4 on one set of phantoms, and other readings of nine slices, two to
#              three hours, without the other readings (BETTER=) one; SEED=2 for another set
# make demo-us ultrasound phantoms -> flow net, both models of the ultrasound paper -> comparison; SEED=2 for others
# make weights  trained nets of the zoo from their seeds, in weights/ (minutes each); ZOO=rows-r50: others
# make evidence  the runs of experiments/ that are missing, hours; JOBS=2 at a time; then docs/evidence.md
# make evidence-check  whether docs/evidence.md is what the archived runs say
# make legacy  Python 2.7 with MXNet 1.0.0 in .venv-legacy, then the tests of symbols/ in both; see docs/legacy.md
# make bench   this project beside its peers, about 20 minutes on two idle cores: docs/benchmarks.md; PAIRS="frame step"
# make fuzz    changed files of every format for FUZZ_MINUTES=10; FUZZ_TARGETS="dicom-ct config"; ATHERIS=1 (docs/testing.md)
# make docs    the site of docs/, in build/site; installs the extra docs where it is missing
# make dist    source distribution and wheel in dist/, checked by twine and check-wheel-contents; uploads nothing
# make clean   what the demo and the tests made     make clean-venv   the environments
#
# SYSTEM_PACKAGES=no     do not install shared libraries that the system lacks (Debian's packages, by apt-get)
# PYTHON=python3.10      the Python to make the environment with (default: the first that works, 3.11 before others)
# EXTRAS=cu112,test      the extras of setup.py to install (default: what is there, or cpu,test)
# LEGACY_PYTHON27=/path/to/python2.7     the Python of make legacy (default: the first 2.7 on the PATH)
# TORCH=/path/to/python     a Python that has torch and torchvision, for make bench (default: one is made; none: without)
# VENV=..., VENV27=..., VENV_BENCH=..., DEMO=..., ROWS=...     other folders than .venv, .venv-legacy, .venv-bench, demo
#     and rows/seed-SEED

VENV ?= .venv
DEMO ?= demo
COMMA := ,
INSTALLED := $(patsubst $(VENV)/setup-%.stamp,%,$(firstword $(wildcard $(VENV)/setup-*.stamp)))
EXTRAS ?= $(if $(INSTALLED),$(INSTALLED),cpu$(COMMA)test)
PY := $(VENV)/bin/python
STAMP := $(VENV)/setup-$(EXTRAS).stamp
VENV27 ?= .venv-legacy
STAMP27 := $(VENV27)/setup.stamp
export PYTHON LEGACY_PYTHON27 SYSTEM_PACKAGES

.PHONY: setup test test-fast coverage lint legacy find-python27 demo demo-us rows weights evidence evidence-check bench fuzz \
	docs dist clean clean-venv
.DELETE_ON_ERROR:

setup: $(STAMP)

$(STAMP): setup.py pyproject.toml scripts/setup-venv.sh
	@sh scripts/setup-venv.sh "$(VENV)" "$(EXTRAS)" "$(STAMP)"

# A process of tests for each core, each with one thread: most of a test is Python, which threads do not help. Who runs
# out of tests takes some of another's; until then those of a folder, which share what was trained, stay together.
PYTEST := OMP_NUM_THREADS=1 $(PY) -m pytest -q --numprocesses auto --dist worksteal

test: $(STAMP)
	$(PYTEST)

test-fast: $(STAMP)
	$(PYTEST) -m "not slow"

coverage: $(STAMP)
	$(PY) -m coverage erase
	$(PY) -m coverage run -m pytest -q
	$(PY) -m coverage combine -q
	$(PY) -m coverage report
	$(PY) -m coverage html -q

lint: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	@if $(PY) -c "import mypy" 2>/dev/null; then echo "$(PY) -m mypy"; $(PY) -m mypy; \
	else echo "mypy: left out, it is installed from Python 3.10 on"; fi

# Whether there is a Python 2.7 is asked first: the rest takes minutes.
legacy: find-python27 $(STAMP) $(STAMP27)
	LEGACY_PYTHON="$(abspath $(VENV27))/bin/python" $(PY) -m pytest -q tests/symbols

find-python27:
	@[ -e "$(STAMP27)" ] || sh scripts/setup-legacy.sh find

$(STAMP27): symbols/requirements.txt scripts/setup-legacy.sh | $(STAMP)
	@sh scripts/setup-legacy.sh make "$(VENV27)" "$(PY)" "$(STAMP27)"

# A size that learns on two cores in minutes: lesions of 18 to 60 mm, most patients with one kind of lesion as in
# Table 1 of the paper. Each step's last file says that it is done, so an interrupted step is done again; a training
# goes on from its checkpoint. It ends with code 75 when a signal stopped it, so that no unfinished net is evaluated.
PHANTOMS := --studies 80 --seed 1 --lesions 1 3 --diameter-mm 18 60 --min-box-pixels 40 --one-class-fraction 0.8

demo: $(DEMO)/run/report.html
	@echo "The report: $(abspath $(DEMO))/run/report.html"

$(DEMO)/phantoms/labels.json: | $(STAMP)
	@mkdir -p $(DEMO)
	$(PY) -m gluon_liver phantom ct --out $(DEMO)/phantoms $(PHANTOMS)

$(DEMO)/data/dataset.json: | $(DEMO)/phantoms/labels.json
	$(PY) -m gluon_liver import ct $(DEMO)/phantoms/dicom --labels $(DEMO)/phantoms/labels.json \
		--out $(DEMO)/data --salt phantom --split-fractions 0.65 0.1 0.25

$(DEMO)/trained: | $(DEMO)/data/dataset.json
	$(PY) train.py --config demo-ct --data $(DEMO)/data --out $(DEMO)/run --resume auto
	@touch $@

$(DEMO)/run/report.html: | $(DEMO)/trained
	$(PY) evaluate.py --run $(DEMO)/run

# Phantoms that carry what the rows are about: half of the hemangiomas and HCCs differ in the delayed phase alone, vessels
# with the sections of lesions run through the slices, nine of which are about as thick as a lesion, and cysts and
# hemangiomas are smaller than HCCs. Beside the six rows, which stay as printed, those of nine slices by other readings.
SEED ?= 1
ROWS ?= rows/seed-$(SEED)
BETTER ?= centre channels
ROW_CONFIGS := demo-ct demo-r101 demo-r50-2.5d demo-r101-fusion demo-r50-multimodal demo-r101-multimodal
NINE := demo-r50-2.5d demo-r101-fusion demo-r50-multimodal demo-r101-multimodal
ALL_ROWS := $(ROW_CONFIGS) $(foreach reading,$(BETTER),$(NINE:%=%-$(reading)))
ROW_PHANTOMS := --studies 80 --matrix 192 --slices 20 20 --spacing-mm 3 --lesions 1 3 \
	--diameter-mm-by-class 16 32 16 32 22 40 --min-box-pixels 24 --one-class-fraction 0.8 --ambiguous-fraction 0.5 \
	--breathing-mm 3 --steep-vessels 4 7 --steep-vessel-mm 16 40
ROW_SETTINGS := --set data.size=192 --set train.images_per_epoch=600 --set train.epochs=6 --set train.schedule=cosine
.SECONDARY:

rows: $(ALL_ROWS:%=$(ROWS)/%/report.html)
	$(PY) -m gluon_liver table $(ALL_ROWS:%=$(ROWS)/%)

$(ROWS)/phantoms/labels.json: | $(STAMP)
	@mkdir -p $(ROWS)
	$(PY) -m gluon_liver phantom ct --out $(ROWS)/phantoms --seed $(SEED) $(ROW_PHANTOMS)

$(ROWS)/data/dataset.json: | $(ROWS)/phantoms/labels.json
	$(PY) -m gluon_liver import ct $(ROWS)/phantoms/dicom --labels $(ROWS)/phantoms/labels.json \
		--out $(ROWS)/data --salt phantom --split-fractions 0.75 0 0.25 --seed $(SEED)

$(ROWS)/%.trained: | $(ROWS)/data/dataset.json
	$(PY) train.py --config $* --data $(ROWS)/data --out $(ROWS)/$* --resume auto --seed $(SEED) $(ROW_SETTINGS)
	@touch $@

$(ROWS)/%/report.html: | $(ROWS)/%.trained
	$(PY) evaluate.py --run $(ROWS)/$*

# Both models of the ultrasound paper on phantoms, with a flow net that is learned on other phantoms, for all seeds.
DEMO_US ?= demo-us/seed-$(SEED)
DEMO_FLOW ?= demo-us/flow
US_MODELS := us-faster-rcnn us-flow

demo-us: $(US_MODELS:%=$(DEMO_US)/%/report.html)
	$(PY) evaluate.py --compare $(DEMO_US)/us-flow $(DEMO_US)/us-faster-rcnn

$(DEMO_US)/phantoms/labels.json: | $(STAMP)
	@mkdir -p $(DEMO_US)
	$(PY) -m gluon_liver phantom us --out $(DEMO_US)/phantoms --scenes 120 --frames 4 --size 192 --seed $(SEED)

$(DEMO_US)/data/dataset.json: | $(DEMO_US)/phantoms/labels.json
	$(PY) -m gluon_liver import us $(DEMO_US)/phantoms/dicom --labels $(DEMO_US)/phantoms/labels.json \
		--out $(DEMO_US)/data --salt phantom --split-fractions 0.7 0.1 0.2 --seed $(SEED)

$(DEMO_FLOW)/phantoms/labels.json: | $(STAMP)
	@mkdir -p $(DEMO_FLOW)
	$(PY) -m gluon_liver phantom us --out $(DEMO_FLOW)/phantoms --scenes 30 --frames 8 --size 192 --seed 1000

$(DEMO_FLOW)/net/flow.params: | $(DEMO_FLOW)/phantoms/labels.json
	$(PY) -m gluon_liver train-flow --out $(DEMO_FLOW)/net --phantoms $(DEMO_FLOW)/phantoms --steps 8400

$(DEMO_US)/us-flow.trained: | $(DEMO_FLOW)/net/flow.params
$(DEMO_US)/us-flow.trained: FLOW := --flow $(DEMO_FLOW)/net/flow.params
$(DEMO_US)/%.trained: | $(DEMO_US)/data/dataset.json
	$(PY) train.py --config demo-$* --data $(DEMO_US)/data --out $(DEMO_US)/$* --resume auto --seed $(SEED) $(FLOW)
	@touch $@

$(DEMO_US)/%/report.html: | $(DEMO_US)/%.trained
	$(PY) evaluate.py --run $(DEMO_US)/$*

# Trained nets of docs/model-zoo.md, with their SHA-256 compared to those listed there. `weights` alone lists them all.
ZOO ?= demo-ct demo-us-faster-rcnn

weights: $(STAMP)
	$(PY) -m gluon_liver weights $(ZOO) --out weights

# What each mechanism of the papers does with it on and off. Stopped, it ends with code 75 and goes on when asked again;
# what is finished by then is archived and on the page all the same.
JOBS ?= 1

evidence: $(STAMP)
	@ended=0; $(PY) -m experiments.run --jobs $(JOBS) || ended=$$?; \
	$(PY) -m experiments.archive && $(PY) -m experiments.page && exit $$ended

evidence-check: $(STAMP)
	$(PY) -m experiments.page --check

# PyTorch, the peer of most pairs, is in an environment of its own: the extra "bench" of setup.py, made with the same
# Python. Where it cannot be installed, its pairs are left out and the page says so.
VENV_BENCH ?= .venv-bench
TORCH ?= $(VENV_BENCH)/bin/python
PAIRS ?=

bench: $(STAMP)
	@[ "$(TORCH)" != "$(VENV_BENCH)/bin/python" ] || sh scripts/setup-bench.sh "$(VENV_BENCH)" "$(PY)"
	$(PY) -m scripts.bench.run $(if $(filter none,$(TORCH)),,--torch "$(TORCH)") $(if $(PAIRS),--pairs $(PAIRS))

# Crashes are findings too: each format is read in a process of its own.
FUZZ_MINUTES ?= 10
FUZZ_TARGETS ?=
ATHERIS ?=

fuzz: $(STAMP)
	@[ -z "$(ATHERIS)" ] || $(PY) -c "import atheris" 2>/dev/null || $(PY) -m pip install -q "atheris>=2.3,<4"
	$(PY) -m tests.fuzz --minutes $(FUZZ_MINUTES) $(if $(FUZZ_TARGETS),--targets $(FUZZ_TARGETS)) $(if $(ATHERIS),--atheris)

# Anything that Sphinx warns of is an error: a link that leads nowhere, a page that is in no list.
docs: $(STAMP)
	@$(PY) -c "import furo, myst_parser, sphinx_copybutton" 2>/dev/null || $(PY) -m pip install -q -e ".[docs]"
	$(PY) -m sphinx -E -W --keep-going -q -d build/doctrees docs build/site
	@echo "The site: $(abspath build/site)/index.html"

dist: $(STAMP)
	@$(PY) -c "import build, twine, check_wheel_contents" 2>/dev/null || $(PY) -m pip install -q --only-binary=:all: -e ".[dist]"
	$(PY) -m scripts.make_dist

clean:
	rm -rf $(DEMO) rows demo-us build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache \
		coverage .coverage .coverage.*
	find . -name __pycache__ -not -path './$(VENV)/*' -not -path './$(VENV27)/*' -not -path './$(VENV_BENCH)/*' \
		-prune -exec rm -rf {} +

clean-venv:
	rm -rf $(VENV) $(VENV27) $(VENV_BENCH)
