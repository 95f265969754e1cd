# The only entry point: people and CI run these targets, nothing else.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CARGO := cargo

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- what a fresh machine lacks ---------------------------------------------

.PHONY: tools
tools: ## get redis-server, redis-sentinel and the test agents in Python and Go (below target/tools)
	@tools/redis.sh
	@tools/agents.sh
	@tools/agent-go.sh
	@tools/get-kubectl.sh

.PHONY: clean-tools
clean-tools: ## remove target/tools
	rm -rf target/tools

# --- see it work ------------------------------------------------------------

.PHONY: demo
demo: ## the whole line here: burst, failover, outage, and a table of what ran; KEEP=1 leaves it running
	@tools/redis.sh
	@tools/agents.sh
	$(CARGO) build --locked --profile demo -p stream-dispatcher -p stream-scaler -p line-tests --bin stream-dispatcher --bin stream-scaler --bin demo
	@target/demo/demo $(if $(KEEP),--keep)

# Passed on to the drill, e.g. DRILL="--seed 7 --faults 20"; DRILL=--help lists it.
DRILL :=

.PHONY: drill
drill: ## break the line in every way it must survive, and count what was lost or done twice; DRILL="..." is passed on
	@tools/redis.sh
	@tools/agents.sh
	@tools/faketime.sh
	$(CARGO) build --locked --profile demo -p stream-dispatcher -p line-tests --features stream-dispatcher/controls --bin stream-dispatcher --bin drill
	@target/demo/drill $(DRILL)

.PHONY: scaler-drill
scaler-drill: ## break what the scaler reads from, ask two replicas 20 times a second, and judge every answer; DRILL="..." too
	@tools/redis.sh
	$(CARGO) build --locked --profile demo -p stream-scaler -p line-tests --bin stream-scaler --bin scaler-drill
	@target/demo/scaler-drill $(DRILL)

.PHONY: keda
keda: ## KEDA's own client code against the scaler, and beside KEDA's built-in trigger; needs Go 1.26
	@tools/redis.sh
	@tools/keda.sh
	$(CARGO) build --locked --profile demo -p stream-scaler -p line-tests --bin stream-scaler --bin keda-stage
	@target/demo/keda-stage

# --- build and check --------------------------------------------------------

.PHONY: build
build: ## build the programs (development profile)
	$(CARGO) build --locked --workspace --bins

.PHONY: test
test: tools build ## run every test, against real Redis, Sentinel and A2A servers
	$(CARGO) test --locked --workspace --no-fail-fast

# Tests that depend on the server; the others are the same on all.
SERVER_TESTS := --test scaler --test records --test line --test worker --test failover --test outage --test dispatch

.PHONY: test-servers
test-servers: tools build ## run the tests that depend on it on Redis 8.0 and Valkey 8.1 too
	@for servers in $$(tools/other-servers.sh); do \
		echo "== $$servers"; \
		LINE_TEST_SERVERS=$$servers $(CARGO) test --locked -p line-tests $(SERVER_TESTS); \
	done

# Seconds for each target.
FUZZ_SECONDS := 60

.PHONY: fuzz
fuzz: ## feed the readers of agents' answers broken ones, on stable Rust; FUZZ_SECONDS=60 for each target
	@fuzz/run.sh $(FUZZ_SECONDS)

.PHONY: footprint
footprint: tools ## print idle memory and start time of the release programs
	$(CARGO) build --locked --release --workspace --bins
	@target/release/footprint

.PHONY: bench
bench: footprint ## print what 10,000 runs cost one worker, what an agent that is down costs the others, the outbox, the scaler (16 min)
	@target/release/outbox
	@target/release/scaler
	@target/release/crowd
	@target/release/agent-down

.PHONY: manifests
manifests: build ## render deploy/kustomize/base to target/manifests.yaml and check it against the programs
	@tools/get-kubectl.sh
	target/tools/bin/kubectl kustomize deploy/kustomize/base >target/manifests.yaml
	$(CARGO) test --locked -p line-tests --test manifests

.PHONY: lint
lint: ## formatting, clippy, docs, dependencies (cargo-deny); a warning is an error
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps
	@tools/deny.sh
