# The two commands of the README, `make reproduce` and `make test`, and nothing clever.

# Of `make reproduce`: runs of each arm of each scenario (RUNS=100 is the full study), and how many
# labs run side by side: a number, or as many as the machine carries.
RUNS ?= 3
JOBS ?= auto
# Of `make bench`: rounds of flaplab, Mininet and munet in turn, and the size of the clique.
ROUNDS ?= 5
ROUTERS ?= 16

CARGO_TARGET_DIR ?= target
FLAPLAB := $(CARGO_TARGET_DIR)/release/flaplab
TCPR := $(CARGO_TARGET_DIR)/release/tcpr

.PHONY: help setup build reproduce test bench verify audit schema clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' Makefile | awk -F'|' '{ printf "make %-10s %s\n", $$1, $$2 }'

setup: ## install what is missing on this machine (scripts/setup --list says what and why)
	scripts/setup

build: setup ## build the release binaries: flaplab and tcpr
	cargo build --release --locked -p flaplab -p tcpr-cli

# What is there already is not made again: after a stop, the same command goes on. A doubtful run (exit
# code 3) is told and left out of the figures.
reproduce: build ## run the study of Surton (2014) on this machine: RUNS=3 JOBS=auto
	$(FLAPLAB) reproduce surton2014 --runs $(RUNS) --jobs $(JOBS) --out results/runs/surton2014 || [ $$? -eq 3 ]

test: ## format, lints and every test, as the gate runs them
	scripts/setup --test
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --workspace --locked
	@echo "make test: passed: format, lints, every test"

bench: build ## tcpr beside plain TCP; the injector; a campaign's cost; bring-up beside Mininet and munet: ROUNDS=5 ROUTERS=16
	scripts/setup --bench
	$(TCPR) bench throughput --rounds 3
	$(TCPR) bench latency
	$(TCPR) bench recovery
	$(FLAPLAB) bench injector
	$(FLAPLAB) bench campaign
	bench/run --rounds $(ROUNDS) --routers $(ROUTERS) --flaplab "$(FLAPLAB) bench bring-up --routers {routers} --json"

verify: ## check TCPR's core at larger bounds (20 minutes): specification, model, simulation, mutations
	scripts/setup
	cargo run --release --locked -p tcpr-verify

audit: ## licences, duplicates, sources and known vulnerabilities of all dependencies
	scripts/setup
	scripts/audit

schema: ## renew topologies/scenario.schema.json after a change of the scenario's types
	scripts/setup --test
	UPDATE_SCHEMA=1 cargo test --locked -p topologies --test shipped

clean: ## remove what was built; campaigns in results/runs stay
	cargo clean
