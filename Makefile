# Every target says what it does and how long it takes; `make help` prints that.
# Times: 2 cores, nothing built yet / everything built; estimates until a fresh machine has run them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# Where cargo builds: target/ unless CARGO_TARGET_DIR or a cargo config says otherwise. Asked only when used.
CARGO_TARGET = $(shell cargo metadata --no-deps --offline --format-version 1 2>/dev/null \
	| sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
BUILT = $(or $(CARGO_TARGET),target)/release

# One profile, and always the whole workspace: a package built alone gets other features and is built twice.
CARGO_FLAGS := --release --workspace --locked
QUORATE := target/release/quorate
# embedded, anvil, or the URL of a node that follows chain 31337.
BASE_LAYER ?= embedded
# The final proof takes minutes and 5 GiB; CI stops the demo when the batch is committed (its golden proof is
# settled by a test). SETTLE=no does so anywhere.
SETTLE ?= $(if $(CI),no,yes)
DEMO := $(QUORATE) devnet --demo --validators 4 --builders 2 --base-layer $(BASE_LAYER) $(if $(filter yes,$(SETTLE)),--aggregate)
BENCH := quorate-benches

# Puts what cargo built into the checkout's target/release, atomically, and only when it changed.
define place
mkdir -p target/release target/report
[ "$(BUILT)/$(1)" -ef target/release/$(1) ] || cmp -s "$(BUILT)/$(1)" target/release/$(1) \
	|| { cp "$(BUILT)/$(1)" target/release/.$(1).new && mv -f target/release/.$(1).new target/release/$(1); }
endef

.PHONY: help
help: ## lists the targets
	@printf 'make TARGET, where TARGET is one of\n\n'
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | while IFS=$$'\t' read -r name text; do \
		printf '  %-8s %s\n' "$$name" "$$text"; done

.PHONY: setup
setup: ## checks the prerequisites and installs what is missing (1 min / at once)
	@scripts/setup

.PHONY: build
build: setup ## builds the binary target/release/quorate (20 to 30 min, most of it RocksDB / at once)
	cargo build $(CARGO_FLAGS) --bin quorate
	@$(call place,quorate)

.PHONY: demo
demo: build ## deposits, pays, withdraws, proves, settles and claims: BASE_LAYER=anvil, SETTLE=no (build + 10 min; 5 with SETTLE=no)
	$(DEMO)

.PHONY: test
test: build ## runs every test; the counts close it (build + 45 min / 40 min)
	@scripts/test-report target/report/test.log cargo test $(CARGO_FLAGS) --no-fail-fast

.PHONY: bench
bench: build ## measures us beside the peers, or ONLY=name of them; also target/report/bench.json (build + 45 min / 31 min)
	cargo build $(CARGO_FLAGS) --bin $(BENCH)
	@$(call place,$(BENCH))
	target/release/$(BENCH)

.PHONY: contracts
contracts: setup ## builds the Solidity contracts and writes contracts/artifacts (1 min / seconds)
	@scripts/contracts

.PHONY: contracts-test
contracts-test: setup ## tests the contracts with forge, without Rust (2 min / 1 min)
	@scripts/contracts --test

.PHONY: verifier
verifier: setup ## compiles the final verifier from its source again and compares code and hash (seconds)
	@scripts/solidity-verifier --check

.PHONY: soak
soak: build ## runs the tests at full length: more kills, mutations and random cases (hours)
	@QUORATE_SOAK=1 scripts/test-report target/report/soak.log cargo test $(CARGO_FLAGS) --no-fail-fast

.PHONY: sim
sim: ## plays one seed of the simulation and prints its trace: make sim SEED=n (build / seconds)
	QUORATE_SIM_SEED=$(or $(SEED),0) cargo test $(CARGO_FLAGS) --test simulation one_seed -- --nocapture

.PHONY: golden
golden: build ## rewrites the golden files on purpose and shows what changed (build + 40 min)
	UPDATE_GOLDEN=1 cargo test $(CARGO_FLAGS) golden
	@: keys of the first pass are compiled into what the second one makes
	UPDATE_GOLDEN=1 cargo test $(CARGO_FLAGS) golden
	@scripts/solidity-verifier
	@git --no-pager diff --stat

.PHONY: check
check: ## everything CI runs, in its order (75 min at most / 30 min)
	.ci/run
