# What can be done here; works with GNU make 3.81 and newer, needs Python 3.11 or newer and nothing else.
# Python: the newest of these that will do; choose another one with  make PYTHON=/path/to/python3
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := services/dlms services/cim services/mapping services/registry services/packs services/trace services/conformance services/process services/console cis hes meter-sim ami testkit
EDITABLE := $(foreach p,$(PACKAGES),-e $(p))
# On a terminal pip shows its progress; elsewhere there is one line for each step.
QUIETLY = $(shell test -t 2 || echo --quiet)
PIP = $(BIN)/python -m pip install $(QUIETLY) --disable-pip-version-check
# $(call installing,requirements/run.txt,.venv)
installing = echo "installing $$(grep -c '^[a-z0-9].*==' $(1)) packages that $(1) locks into $(2), once" >&2
UV ?= uv
CONFIG ?= config/demo.toml
DIST ?= dist
# Two more than cores: tests of whole systems mostly wait, but each worker imports and collects all tests (12 s of CPU).
WORKERS ?= $(shell $(BIN)/python -c 'import os; print((os.cpu_count() or 1) + 2)' 2>/dev/null || echo auto)

# $(call option,CYCLES,--cycles): --cycles with what was written behind make, nothing otherwise; the environment does not count
given = $(if $(filter command,$(firstword $(origin $(1)))),$(strip $($(1))))
option = $(if $(call given,$(1)),$(2) $(call given,$(1)))
flag = $(if $(filter-out 0 no false,$(call given,$(1))),$(2))

DEMO_OPTIONS = $(call option,CYCLES,--cycles) $(call option,PERIOD,--period) $(call option,METERS,--meters) \
	$(call option,SECURITY,--security) $(call option,MODE,--mode) $(call flag,ASYNCHRONOUS,--asynchronous) $(call flag,TLS,--tls) \
	$(call flag,JSON,--json) $(call flag,PLAIN,--plain) $(call option,CIS_PORT,--cis-port) \
	$(call option,HES_PORT,--hes-port) $(call option,DLMS_PORT,--dlms-port) $(call option,METER_PORT,--meter-port) $(call option,METER_SIM_PORT,--meter-sim-port) \
	$(call option,STATE,--state)

COMPOSE = docker compose$(call flag,SECURE, -f docker-compose.yml -f docker-compose.secure.yml)

# A misspelt variable would be ignored, and the target do something else than was wanted: make demo CYCELS=1
KNOWN = ARGS AGAINST AGAINST_METERS ASYNCHRONOUS BIN CIS_PORT CONFIG CYCLES DIST DLMS_PORT ENGINE GASPS HES_PORT JSON KILLS METERS METER_PORT METER_SIM_PORT MODE N ONLY \
	PERIOD PLAIN POPULATIONS PYTHON READ RELEASE RUNS SECONDS SECURE SECURITY SEED SHELL STATE STORE TLS UPGRADE UV VENV WORKERS WRITE
UNKNOWN := $(filter-out $(KNOWN) MAKEFLAGS MAKEOVERRIDES -*-command-variables-*-,$(foreach v,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(v)))),$(v))))
ifneq ($(UNKNOWN),)
$(error there is no variable $(firstword $(UNKNOWN)); known are $(KNOWN))
endif

.PHONY: help setup demo up down test test-compose test-wheels check vendor bench bench-scale store-plans interop conformance-defects fuzz chaos attacks flaky acceptance dist sbom audit-dependencies images lock-images clean lock parquet telemetry manifests

help:                   ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 16

setup: $(VENV)/.dev     ## everything for developers, in .venv

demo: $(VENV)/.run      ## CIS, HES and meters on this machine: CYCLES=2 PERIOD=10 METERS=2 SECURITY=none MODE=dial-in ASYNCHRONOUS=1 TLS=1 JSON=1 PLAIN=1 CONFIG=... HES_PORT=... CIS_PORT=... DLMS_PORT=... METER_PORT=... METER_SIM_PORT=... STATE=...
	@$(BIN)/ami demo --config '$(CONFIG)' $(DEMO_OPTIONS)

up:                     ## the same in containers: docker compose up; with mutual TLS: SECURE=1
	$(COMPOSE) up --build --detach --wait || { $(COMPOSE) logs --no-color --tail 3; exit 1; }
	@echo "docker compose logs -f cis   shows what is asked and answered; make down   ends it"

down:                   ## stop the containers; their state stays
	docker compose -f docker-compose.yml -f docker-compose.secure.yml --profile capture down

test: $(VENV)/.dev      ## all tests that need no Docker: make test ARGS='tests/ami -k model'
	$(BIN)/python -m pytest -n $(WORKERS) -m 'not compose' $(ARGS)

test-compose: $(VENV)/.dev  ## the tests that need a Docker engine
	$(BIN)/python -m pytest -m compose --timeout 600 tests/compose $(ARGS)

test-wheels: $(VENV)/.dev  ## the wheels, installed outside the repository as the README says, and the demo run from them (needs a package index)
	$(BIN)/python tests/wheels.py

check: $(VENV)/.dev     ## style, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.run     ## benchmarks of the whole system, of the DLMS core alone, of populations of meters, of readings, of traces, of TLS and signatures, and of an outage: METERS=2,100,1000 POPULATIONS=1000,1000000 READ=10000 GASPS=10000 RUNS=5 WRITE=docs JSON=1 AGAINST='../other/.venv/bin/python -m ami_hes serve' AGAINST_METERS='../other/.venv/bin/python -m ami_meter_sim serve'
	@$(BIN)/ami bench $(call option,METERS,--meters) $(call option,RUNS,--runs) $(if $(call given,AGAINST),--against '$(AGAINST)') $(if $(call given,WRITE),--write '$(WRITE)/bench.md') $(call flag,JSON,--json)
	@$(BIN)/ami bench-dlms $(call option,RUNS,--runs) $(if $(call given,WRITE),--write '$(WRITE)/bench-dlms.md') $(call flag,JSON,--json)
	@$(BIN)/ami bench-fleet $(call option,POPULATIONS,--meters) $(if $(call given,WRITE),--write '$(WRITE)/bench-fleet.md') $(call flag,JSON,--json)
	@$(BIN)/ami bench-readings $(call option,READ,--meters) $(call option,RUNS,--runs) $(if $(call given,AGAINST_METERS),--against '$(AGAINST)' --against-meters '$(AGAINST_METERS)') $(if $(call given,WRITE),--write '$(WRITE)/bench-readings.md') $(call flag,JSON,--json)
	@$(BIN)/ami bench-traces $(call option,RUNS,--runs) $(call flag,JSON,--json)
	@$(BIN)/ami bench-security $(call option,RUNS,--runs) $(call flag,JSON,--json)
	@$(BIN)/ami bench-outage $(call option,GASPS,--meters) $(if $(call given,WRITE),--write '$(WRITE)/bench-outage.md') $(call flag,JSON,--json)

bench-scale: $(VENV)/.dev ## what goes beyond one machine, on PostgreSQL and NATS started here for it: ONLY='readings' RUNS=5 METERS=1000000 WRITE=docs JSON=1
	@$(BIN)/python tests/bench_servers.py bench-scale $(foreach section,$(call given,ONLY),--only $(section)) $(call option,RUNS,--runs) $(call option,METERS,--meters) $(if $(call given,WRITE),--write '$(WRITE)/bench-scale.md') $(call flag,JSON,--json)

store-plans: $(VENV)/.dev ## how PostgreSQL finds what the head-end asks it for, with as many meters as are wanted: METERS=100000 WRITE=docs
	@$(BIN)/python tests/bench_servers.py store-plans $(call option,METERS,--meters) $(if $(call given,WRITE),--write '$(WRITE)/postgresql.md')

parquet: $(VENV)/.dev   ## pyarrow into .venv as well, for the tests of Parquet
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/parquet.txt

telemetry: $(VENV)/.dev ## the exporter of OpenTelemetry into .venv as well, for the tests of telemetry
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/otel.txt

manifests: $(VENV)/.dev ## the schemas of Kubernetes into .venv as well, for the tests of deploy/kubernetes
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/kubernetes.txt

interop: $(VENV)/.dev   ## sessions with foreign DLMS stacks, each in an environment of its own: WRITE=docs/interop.md ONLY='HDLC'
	$(BIN)/python tests/interop/prepare.py
	$(if $(call given,WRITE)$(call given,ONLY),PYTHONPATH=tests $(BIN)/python tests/interop/run.py $(call option,WRITE,--write) $(if $(call given,ONLY),--only '$(call given,ONLY)'),\
		AMI_REQUIRE=dlms-cosem,gurux-dlms $(BIN)/python -m pytest -n auto --size ci tests/interop $(ARGS))

fuzz: $(VENV)/fuzz/.done  ## fuzz every decoder that reads untrusted input; the same inputs each time, or others: SEED=2 or SECONDS=600
	$(VENV)/fuzz/bin/python tests/fuzz/run.py $(call option,SEED,--seed) $(call option,SECONDS,--seconds)

conformance-defects: $(VENV)/.dev ## which planted defects of simulated meters `ami conformance` finds, and what else fails on them: ONLY='keeps-ports takes-used-counter' WRITE=docs
	@$(BIN)/python tests/conformance/defect_score.py $(call option,ONLY,--only) $(if $(call given,WRITE),--write '$(WRITE)/conformance-run.md')

chaos: $(VENV)/.dev     ## CIS, HES and meters under load, killed and starved at random; what must hold is checked: KILLS=1000 SEED=7 METERS=8 STORE=postgresql ENGINE=nats WRITE=docs/chaos.json
	@PYTHONPATH='$(CURDIR)/tests' $(BIN)/python -m chaos $(call option,KILLS,--kills) $(call option,SEED,--seed) $(call option,METERS,--meters) $(call option,STORE,--store) $(call option,ENGINE,--engine) $(call option,WRITE,--write)

attacks: $(VENV)/.dev   ## hostile clients and meters against a whole system: what came back, memory, latency of legitimate work beside them: ONLY='dlms' WRITE=docs/security.md
	$(BIN)/python tests/attacks/run.py $(if $(call given,ONLY),--only '$(call given,ONLY)') $(call option,WRITE,--write)

flaky: $(VENV)/.dev $(VENV)/fuzz/.done  ## each step that uses randomness, alone, N times with different seeds: N=20 ONLY='fuzz properties'
	$(BIN)/python tests/interop/prepare.py
	WORKERS=$(WORKERS) $(BIN)/python tests/flaky.py $(call option,N,--times) $(call option,SEED,--first) $(if $(call given,ONLY),$(ONLY:%=--only %))

acceptance: $(VENV)/.dev $(VENV)/fuzz/.done  ## everything at its full size, for hours; ends with a table of what was found: ONLY='bench fuzz' AGAINST='../other/.venv/bin/python -m ami_hes serve'
	WORKERS=$(WORKERS) .ci/with-prefix $(BIN)/python tests/acceptance.py $(if $(call given,ONLY),$(ONLY:%=--only %)) $(if $(call given,AGAINST),--against '$(AGAINST)')

dist: $(VENV)/.run      ## wheels of all packages and their locked requirements, to install elsewhere: DIST=dist
	rm -rf '$(DIST)'
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir '$(DIST)' $(PACKAGES:%=./%)
	cp requirements/run.txt '$(DIST)/requirements.txt'
	cp requirements/postgresql.txt '$(DIST)/requirements-postgresql.txt'
	cp requirements/scale.txt '$(DIST)/requirements-scale.txt'

sbom: $(VENV)/supply/.done  ## what each wheel and image is made of, as CycloneDX, in dist/sbom: DIST=dist
	@$(VENV)/supply/bin/python requirements/sbom.py '$(DIST)/sbom'

audit-dependencies: $(VENV)/supply/.done  ## which locked packages have known weaknesses, as far as a source of advisories answers; RELEASE=1 fails by those that nobody has accepted
	@$(VENV)/supply/bin/python requirements/audit.py $(call flag,RELEASE,--release)

lock-images:            ## digests of the base images for release builds (needs a registry)
	$(PYTHON) docker/lock_images.py --write

images:                 ## images of CIS, HES and meters; RELEASE=1 builds from the locked digest of the base image
	$(if $(call flag,RELEASE,1),base=$$($(PYTHON) docker/lock_images.py) && BASE_IMAGE=$$base )docker compose build

clean:                  ## remove what was made here: .venv, caches, and var with the demo's state (that of containers: docker compose down --volumes)
	rm -rf .venv .stamps var dist build .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name .git -prune -o -type d \( -name __pycache__ -o -name '*.egg-info' \) -prune -exec rm -rf {} +

vendor: $(VENV)/.run    ## fetch the files of other projects that the consoles serve again, and check them (needs npm)
	$(BIN)/python services/console/vendor.py

lock:                   ## resolve requirements/*.in again (needs uv)
	for name in build cis hes kubernetes meter-sim otel parquet postgresql scale run dev fuzz supply interop-dlms-cosem interop-gurux; do \
		$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
			$(call flag,UPGRADE,--upgrade) --output-file requirements/$$name.txt requirements/$$name.in || exit 1; done

$(BIN)/python:
	@test -n '$(PYTHON)' || { echo "Python 3.11 or newer is needed and none was found; name one with: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $(PYTHON) is older; name one with: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	@echo "making $(VENV)" >&2
	@$(PYTHON) -m venv --clear $(VENV)

$(VENV)/.run: requirements/run.txt VERSION $(PACKAGES:=/pyproject.toml) | $(BIN)/python
	@$(call installing,requirements/run.txt,$(VENV))
	@$(PIP) --require-hashes -r requirements/run.txt
	@echo "installing the $(words $(PACKAGES)) packages of this repository" >&2
	@$(PIP) --quiet --no-deps --no-build-isolation $(EDITABLE)
	@$(BIN)/python -m compileall -q $(PACKAGES:=/src) >&2
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@$(call installing,requirements/dev.txt,$(VENV))
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/supply/.done: requirements/supply.txt | $(BIN)/python
	@$(call installing,requirements/supply.txt,$(VENV)/supply)
	@$(BIN)/python -m venv --clear $(VENV)/supply
	@$(VENV)/supply/bin/python -m pip install $(QUIETLY) --disable-pip-version-check --require-hashes -r requirements/supply.txt
	@touch $@

$(VENV)/fuzz/.done: requirements/fuzz.txt requirements/run.txt | $(BIN)/python
	@$(BIN)/python -c 'import platform, sys; sys.exit(sys.platform != "linux" or platform.machine() != "x86_64" or not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "the fuzzer atheris has wheels for Linux on x86-64 and CPython 3.11 to 3.13 only" >&2; exit 1; }
	@$(call installing,requirements/fuzz.txt,$(VENV)/fuzz)
	@$(BIN)/python -m venv --clear $(VENV)/fuzz
	@$(VENV)/fuzz/bin/python -m pip install $(QUIETLY) --disable-pip-version-check --only-binary :all: --require-hashes -r requirements/fuzz.txt -r requirements/run.txt
	@touch $@
