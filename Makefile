# make demo     serve a recorded trace with the real vLLM, talk to it, stop it
# make serve    the same server, left running in the foreground
# make test     the whole test suite
# make check    what CI runs: make lint (ruff, mypy), then make test
# make test-upstream VLLM=0.33.0    the tests that need no CPU kernels, on another vLLM from PyPI
# make clean    remove what the tools made; make distclean removes .venv too
#
# Each of them first brings .venv up to date (.ci/install): minutes once, nothing after that.

# The Python to build .venv with, 3.11 to 3.13. Empty: the first such one on PATH.
PYTHON ?=
# Where torch's CPU wheel comes from when pip's own indexes and find-links lack it. A mirror will
# do; pip's configuration (PIP_INDEX_URL, PIP_FIND_LINKS, pip.conf) holds for everything else.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# For `make demo` and `make serve`: further options of `vllm serve`. The port is that of `make serve`.
ARGS ?=
# For `make test-upstream`: the release to try.
VLLM ?= 0.33.0
PORT ?= 8000

BIN := .venv/bin
export PYTHON TORCH_INDEX

.PHONY: install demo serve test lint check test-upstream clean distclean

install:
	@.ci/install

demo: install
	@$(BIN)/python traces/demo.py $(ARGS)

serve: install
	@echo 'When it is ready, try:'
	@echo
	@echo "  curl -N http://127.0.0.1:$(PORT)/v1/completions -H 'Content-Type: application/json' \\"
	@echo "    -d '{\"model\": \"demo-model\", \"prompt\": \"Hello\", \"stream\": true}'"
	@echo
	@$(BIN)/vllm serve traces/demo-model --served-model-name demo-model --host 127.0.0.1 \
	    --port $(PORT) --use-simulator --sim-trace traces/demo.jsonl $(ARGS)

test: install
	@$(BIN)/python -m pytest

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/mypy

check: lint test

test-upstream:
	@.ci/test-upstream $(VLLM)

clean:
	rm -rf build dist .ci/standins .ci/install.log .pytest_cache .hypothesis .mypy_cache .ruff_cache *.egg-info
	find vllm tests traces -name __pycache__ -prune -exec rm -rf {} +

distclean: clean
	rm -rf .venv .venv-upstream-*
