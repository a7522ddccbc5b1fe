# `make` lists the targets. Everything runs in an environment that tools/environment.py sets up first.
PYTHON ?= python3
ARGS ?=

RUN := $(PYTHON) tools/environment.py

.PHONY: help demo test test-compiled test-peers benchmark clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22

demo:  ## set up, train a tiny detector and show what it finds
	@$(RUN) -- tools/demo.py $(ARGS)

test:  ## set up, check style and types, run the tests (ARGS='-k partition' goes to pytest)
	@$(RUN) --test -- -m ruff check .
	@$(RUN) --test -- -m ruff format --check .
	@$(RUN) --test -- -m mypy
	@$(RUN) --test -- -m pytest $(ARGS)

test-compiled:  ## the same tests and more beside a compiled mmcv (needs a C++ compiler, builds for ten minutes)
	@$(RUN) --compiled --test -- -m pytest -o norecursedirs=peers $(ARGS)

test-peers:  ## converted weights against timm, torchvision and TensorFlow themselves (downloads them)
	@$(RUN) --peers --test -- -m pytest -o norecursedirs=none tests/peers tests/test_golden.py $(ARGS)

benchmark:  ## time ours beside timm, torchvision, vit-pytorch and Swin-T (ARGS='--size 1x896x896 --dtype bf16')
	@$(RUN) --peers -- tools/benchmark.py $(ARGS)

clean:  ## remove the environments and caches, not data or work_dirs
	rm -rf .venv .venv-compiled .venv-peers build dist *.egg-info maxvit_mm/.mim .mypy_cache .ruff_cache .pytest_cache
	find configs maxvit_mm tests tools -name __pycache__ -prune -exec rm -rf {} +
