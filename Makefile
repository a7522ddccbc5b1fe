# `make` lists the targets. Each sets up its environment first: pip fills it, tools/doctor.py looks it over, and only
# then is a stamp written there. A set-up that was killed leaves no stamp, so the next run goes on from there.
PYTHON ?= python3
ARGS ?=

# The environment that is active, of venv or conda (whose base counts as none), else .venv. Three more are always ours.
CONDA := $(if $(filter base,$(CONDA_DEFAULT_ENV)),,$(CONDA_PREFIX))
ACTIVE := $(firstword $(wildcard $(addsuffix /bin/python,$(VIRTUAL_ENV) $(CONDA))))
ENV := $(patsubst $(CURDIR)/%,%,$(patsubst %/bin/python,%,$(or $(ACTIVE),.venv/bin/python)))
STAMP := .maxvit_mm-$(firstword $(shell pwd -P | cksum))# another clone's stamp says nothing about this one
MAIN := $(ENV)/$(STAMP)
COMPILED := .venv-compiled/$(STAMP)
PEERS := .venv-peers/$(STAMP)
ONEDL := .venv-onedl/$(STAMP)

# For a target whose first prerequisite is a stamp: the Python beside it, before all others on the PATH.
RUN = @PATH="$$(cd $(<D)/bin && pwd):$$PATH" $(<D)/bin/python

# On all cores, up to eight; but some tests, which ARGS chooses, in one process, which starts sooner.
PYTEST = $(RUN) -m pytest $(if $(ARGS),,-n logical --maxprocesses 8 --dist worksteal)
# What the versions of torch, Python and mmcv could break; the rest, once, is enough in `make test`.
VERSIONED = tests/network tests/fast tests/weights tests/openmmlab tests/commands/test_train.py \
	$(addprefix --ignore tests/,network/test_any_size.py $(addprefix openmmlab/test_,configs.py \
	segmentation_configs.py classification_configs.py killed.py coco_by_name.py))
# What an OpenMMLab could break: checks of a folder, building, training, testing, resuming, loading.
ON_ONEDL = tests/data tests/openmmlab --ignore tests/openmmlab/test_killed.py tests/weights/test_checkpoint.py \
	$(addprefix tests/commands/test_,train.py test.py starting_weights.py untrusted.py)

.PHONY: help demo test test-compiled test-onedl test-peers test-gpu test-browser benchmark environments clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22

demo: $(MAIN)  ## set up, train a tiny detector and show what it finds
	$(RUN) tools/demo.py $(ARGS)

test: $(MAIN)  ## set up, check style and types, run the tests (ARGS='-k partition' goes to pytest)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(PYTEST) $(ARGS)

test-compiled: $(COMPILED)  ## what depends on versions, on the oldest torch, beside a compiled mmcv (needs a C++ compiler, builds for ten minutes)
	$(PYTEST) tests/compiled $(VERSIONED) tests/commands/test_test.py $(ARGS)

test-onedl: $(ONEDL)  ## building, training, testing, resuming, data checks and safe loading on onedl, the living fork of OpenMMLab
	$(PYTEST) $(ON_ONEDL) $(ARGS)

test-peers: $(PEERS)  ## what depends on versions, on the newest torch, and converted weights against timm, torchvision and TensorFlow (downloads them)
	$(PYTEST) tests/peers $(VERSIONED) $(ARGS)

test-gpu: $(MAIN)  ## the network, its ops, kernels and mixed precision on a GPU against the CPU
	$(RUN) -m pytest -o norecursedirs=none tests/gpu $(wildcard tests/fast/test_*_kernel*.py) $(ARGS)

test-browser: $(MAIN)  ## the page of tools/serve.py in Chromium (needs it, and Playwright)
	$(RUN) -m pytest -o norecursedirs=none tests/browser $(ARGS)

benchmark: $(PEERS)  ## time ours beside timm, torchvision, vit-pytorch and Swin-T (ARGS='--size 1x896x896 --dtype bf16')
	$(RUN) tools/benchmark.py $(ARGS)

environments: $(MAIN) $(ONEDL) $(COMPILED) $(PEERS)  ## set up all four, side by side with -j4

clean:  ## remove the environments and caches, not data or work_dirs
	rm -rf .venv .venv-compiled .venv-onedl .venv-peers build dist *.egg-info maxvit_mm/.mim .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -f $(ENV)/.maxvit_mm-*
	find configs maxvit_mm tests tools -name __pycache__ -prune -exec rm -rf {} +

# --- the set-up ---

PY = $(@D)/bin/python
PIP = $(PY) -m pip
LOCK = $(if $(shell command -v flock 2>/dev/null),flock $(@D))
PINS = $(@D)/.maxvit_mm-constraints.txt
# One pip at a time, even one that outlived a killed `make`; the compiler finds ninja beside our Python.
INSTALL = PATH="$$(cd $(@D)/bin && pwd):$$PATH" $(LOCK) $(PIP) install -c $(PINS)
WHEELS = $(INSTALL) --only-binary :all:
# The OpenMMLab that is there is never written over: the doctor has seen that it is of one family.
FAMILY = $$($(PIP) list --format=freeze 2>/dev/null | \
	sed -n 's/^onedl-mm.*/onedl/p; s/^mmcv==.*/compiled/p' | sort -u | grep . || echo lite)
# The family's packages for segmentation and classification.
TASKS = $$([ "$(FAMILY)" = onedl ] && own=onedl-; echo $${own}segmentation,$${own}classification)
EXTRAS = $(FAMILY),$(TASKS),test
$(MAIN): EXTRAS = $(FAMILY),$(TASKS),test,all
$(ONEDL): FAMILY = onedl
$(COMPILED): FAMILY = compiled
$(PEERS): EXTRAS = $(FAMILY),$(TASKS),test,peers
$(COMPILED): VERSIONS = tools/pins-oldest.txt
$(PEERS): VERSIONS = tools/pins-newest.txt
$(PEERS): LOOK = --peers
$(COMPILED): LOOK = --compiled
$(COMPILED): TOOLS = torch wheel ninja psutil
SOURCES = onedl-mmdetection onedl-mmsegmentation onedl-mmpretrain
# The fork has no wheels. Its mmcv, which sees no torch here, leaves its ops out. That wheel is not for pip's cache,
# which would give it to those who mean to compile.
BUILD = [ "$(FAMILY)" != onedl ] || { $(INSTALL) --no-deps --no-binary onedl-mmcv --no-cache-dir onedl-mmcv && \
	$(WHEELS) $(addprefix --no-binary ,$(SOURCES)) $(SOURCES); }
# The build must see our torch, and a wheel in pip's cache may be for another one. Python's own flags, -g -O3, take
# the compiler 36 s for roi_align.cpp, -g0 -O1 16 s, with PyTorch's headers compiled before 4 s.
$(COMPILED): BUILD = $(PY) -c 'import torch, mmcv._ext' 2>/dev/null || { $(PIP) uninstall -y mmcv && \
	CFLAGS="$$($(PY) tools/quick_flags.py $(@D)/headers)" MMCV_WITH_OPS=1 \
	$(INSTALL) --no-build-isolation --no-binary mmcv --no-cache-dir mmcv && rm -rf $(@D)/headers; }

# A torch for CUDA from PyTorch's own index gets its torchvision from there too: PyPI's may be for another CUDA.
TORCHVISION = of_torch=$$($(PY) tools/doctor.py --torchvision) && { [ -z "$$of_torch" ] || \
	$(WHEELS) --no-deps $$of_torch || echo "note: $$of_torch was not to be had: one without ops for GPUs may come"; }

# A stamp is old when our files are newer, or site-packages, where pip's last change shows.
# As a path (compat): an import hook would be asked too late beside a folder named as the package, the clone.
# Where a desktop's libraries are missing, the OpenCV that needs none goes over the one that cannot start.
.SECONDEXPANSION:
$(MAIN) $(COMPILED) $(ONEDL) $(PEERS): setup.py $$(wildcard tools/pins*.txt) $$(wildcard $$(@D)/lib/python3*/site-packages) | $$(@D)/bin/python
	@echo 'Setting up $(@D): a minute, or several.'
	@$(PIP) show -q pip 2>/dev/null || $(PY) -m ensurepip --default-pip || $(PYTHON) -m pip --python $(PY) install pip
	@$(PY) tools/doctor.py --before $(LOOK)
	@$(PY) tools/constraints.py $(if $(filter .venv%,$(@D)),ours $(VERSIONS)) > $(PINS)
	@$(WHEELS) 'setuptools>=64' $(TOOLS)
	@$(BUILD)
	@$(TORCHVISION)
	@$(WHEELS) --no-build-isolation --config-settings editable_mode=compat -e ".[$(EXTRAS)]"
	@$(PY) -c 'import cv2' 2>/dev/null || $(PIP) freeze | \
		sed -n 's/^opencv-python==/opencv-python-headless==/p' | xargs -r $(PIP) install --force-reinstall --no-deps --only-binary :all:
	@$(PY) tools/doctor.py $(LOOK)
	@touch $@

# A torch that the base Python has shows through where it is new enough, unless the versions are given.
SHARE = import importlib.metadata as m, sys; \
	assert sys.prefix == sys.base_prefix and [2, 6] <= [*map(int, m.version("torch").split(".")[:2])]
NEW = import sys; sys.version_info < (3, 10) and sys.exit("Python 3.10 or newer is needed: name one by PYTHON=")
# Beside the oldest torch the oldest Python, beside the fork the newest, of the PATH or of pyenv; where one is not
# here, or PYTHON is named, $(PYTHON).
.venv-compiled/bin/python: VERSION = 3.10
.venv-onedl/bin/python: VERSION = 3.13
OTHER = import sys; "{}.{}".format(*sys.version_info) == "$(VERSION)" or print("Python $(VERSION) is not here; \
	$(PYTHON) takes its place: for the version that CI has, put python$(VERSION) on the PATH, or run `pyenv install $(VERSION)`")
FIND = python='$(PYTHON)'
ifeq ($(origin PYTHON),file)
.venv-compiled/bin/python .venv-onedl/bin/python: FIND = for python in python$(VERSION) \
	"$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$(VERSION).*/bin/python ''; do $$python -c '' 2>/dev/null && break; done; \
	[ "$$python" ] || { python='$(PYTHON)'; $$python -c '$(OTHER)'; }
endif
# Not where OpenMMLab's own would show through with it, beneath the fork.
.venv-onedl/bin/python: SHARE += ; import importlib.util as u; assert not u.find_spec("mmengine")
.venv/bin/python .venv-onedl/bin/python: SHARED = $$($$python -c '$(SHARE)' 2>/dev/null && echo --system-site-packages)
.venv/bin/python .venv-compiled/bin/python .venv-onedl/bin/python .venv-peers/bin/python:
	@$(FIND); $$python -c '$(NEW)' && $$python -m venv --clear --without-pip $(SHARED) $(@:/bin/python=)
