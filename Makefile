# Targets of the project; 'make' alone lists them. ARGS reaches the program behind a target:
#   make train ARGS="--epochs 3"
PYTHON ?= python3
ARGS ?=
# Test processes; JOBS=0 for a debugger.
JOBS ?= 2
# Device of 'synth' and 'pnr': ecp5-85k, ecp5-25k, ice40-up5k or xc7.
TARGET ?= ecp5-85k
# Board of 'bitstream': ulx3s or icepi-zero.
BOARD ?= ulx3s
BIN := .venv/bin
# What the environment was made from: a change of these, or a move of the folder, makes 'setup' run again.
STAMP := .venv/.setup-$(shell { cat pyproject.toml constraints.txt; pwd; } | cksum | cut -d ' ' -f 1)

.DEFAULT_GOAL := help
.PHONY: help setup train test sim verilog lint mutate formal synth pnr bitstream clean

help: ## list the targets
	@echo "make <target> [ARGS=...]"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F '|' '{ printf "%-10s %s\n", $$1, $$2 }'

setup: $(STAMP) ## make .venv with everything that is needed (minutes; a second call does nothing)

$(STAMP):
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("Python 3.11 or newer is needed, $(PYTHON) is %d.%d: make setup PYTHON=python3.11" % v[:2])'
	@for tool in g++ make perl; do command -v $$tool > /dev/null || \
	  { echo "$$tool is missing: apt install g++ make perl" >&2; exit 1; }; done
	@$(PYTHON) -m venv .venv || { echo "Python's venv module is missing: apt install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev,plots]'
	@rm -f .venv/.setup-*
	@touch $@

train: setup ## train a network on the simulated accelerator
	$(BIN)/coldspike train $(ARGS)

test: setup ## all tests that take seconds
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

sim: setup ## port-level regression with cocotb
	$(BIN)/python -m pytest tests/cocotb/run_*.py $(ARGS)

verilog: setup ## write build/coldspike.v and build/coldspike.json
	$(BIN)/coldspike generate $(ARGS)

lint: setup ## ruff on the Python, Verilator's warnings on the generated Verilog
	$(BIN)/ruff check
	$(BIN)/python -m coldspike.sim.lint $(ARGS)

mutate: setup ## put faults into the hardware, one at a time; each must be caught by a test
	$(BIN)/python -m tests.mutate.run $(ARGS)

formal: setup ## prove streams, ports, queues, memory and transport; broken variants must fail (minutes)
	$(BIN)/python -m tests.formal.run $(ARGS)

synth: setup ## synthesise with yosys for TARGET (ecp5-85k, ecp5-25k, ice40-up5k, xc7): area by component
	$(BIN)/python -m coldspike.fpga synth --target $(TARGET) $(ARGS)

pnr: $(STAMP)-pnr ## place and route with nextpnr for TARGET=ecp5-85k: clock rate and critical path (tens of minutes)
	$(BIN)/python -m coldspike.fpga pnr --target $(TARGET) $(ARGS)

bitstream: $(STAMP)-pnr ## write the bitstream of BOARD (ulx3s, icepi-zero) into build/boards/ (tens of minutes)
	$(BIN)/python -m coldspike.fpga bitstream --board $(BOARD) $(ARGS)

$(STAMP)-pnr: $(STAMP)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[synth]'
	@touch $@

clean: ## remove what builds and tests leave here (.venv and ~/.cache/coldspike stay)
	rm -rf build sim_build .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
