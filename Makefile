# `make help` lists the targets. The first call of any of them sets up .venv; later calls reuse it.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --disable-pip-version-check
# A stamp is named after what was installed, so the installation is redone when that changes and only then.
STAMP  := $(VENV)/.installed-$(firstword $(shell cat pyproject.toml constraints.txt | cksum))
ALL    := $(STAMP)-all
DEMO   := $(if $(TARGET),--target "$(TARGET)") $(if $(STEPS),--steps $(STEPS))

.PHONY: help demo test test-all lab book readme figures lint hooks size
.DEFAULT_GOAL := help

help:  ## print this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "make %-10s %s\n", $$1, $$2}'

demo: $(STAMP)$(if $(TARGET),-faces)  ## the main job, studio to wild; TARGET=folder/of/photographs adds those faces
	@$(BIN)/aulib demo $(DEMO)

test: $(ALL)  ## the quick tests, some minutes
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist worksteal -m "not slow and not browser and not gpu"

test-all: $(ALL)  ## every test, the slow and the browser ones too (gpu ones skip without a device)
	@$(BIN)/python -m pytest -q

lab: $(ALL)  ## open this folder in JupyterLab; running a notebook leaves `git status` clean
	@$(BIN)/python -m aubench.lab

book: $(ALL)  ## a static site in results/book/html: course, notebooks, method, datasets, API
	@$(BIN)/python docs/book/build.py

readme: $(STAMP)  ## write the results in README.md and docs/ from those committed in results/
	@$(BIN)/python -m aubench.report.readme

figures: $(STAMP)  ## README's pictures of faces, of RUN=results/demo/full, with the numbers behind them
	@$(BIN)/python benchmarks/pictures.py $(RUN)

lint: $(ALL)  ## ruff and codespell, as the commit hooks run them
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/codespell

hooks: $(ALL)  ## install the commit hooks
	@$(BIN)/pre-commit install

size:  ## lines of Python by package, printed and written into CONTRIBUTING.md
	@$(PYTHON) benchmarks/size.py

# torch comes first and alone: whichever build is there (CPU or CUDA) satisfies all that follows.
$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "aulib needs Python 3.10 or newer; call make with PYTHON=python3.x")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) (some minutes, once)"
	$(PIP) -q -c constraints.txt torch
	$(PIP) -q -c constraints.txt -e .
	@rm -f $(VENV)/.installed-* && touch $@

$(STAMP)-faces: EXTRAS := faces
$(ALL): EXTRAS := landmarks,app,datasets,onnx,book,dev
$(STAMP)-faces $(ALL): $(STAMP)
	$(PIP) -q -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@
