# Two commands do everything on a fresh machine: make quickstart, make test. `make help` lists the rest.

CACHE := $(CURDIR)/.cache
STEP  := .ci/step

# What sandboxes need of Debian: the default image's bootstrap, disks, the firewall.
RUN_PACKAGES  := mmdebstrap e2fsprogs nftables ca-certificates
# What the tests need beside that.
TEST_PACKAGES := $(RUN_PACKAGES) iproute2 docker-registry

# Where the root filesystems are kept: once for all servers of this folder.
export PITLANE_IMAGE_CACHE ?= $(CACHE)/images
export CARGO_TERM_PROGRESS_WHEN := never

# What is built for the tests is built by the lints' driver: see `programs`.
LINTED := programs rust-tests python-tests typescript-tests mcp-tests langswarm-tests openapi-tests deploy-tests
$(LINTED): export RUSTC_WORKSPACE_WRAPPER = clippy-driver
# As cargo clippy hands over what stands behind its --.
$(LINTED): export CLIPPY_ARGS = -Dwarnings__CLIPPY_HACKERY__

# Lints that depend on the target are those of this machine's, not of the daemon's.
XTASK = env -u RUSTC_WORKSPACE_WRAPPER target/debug/xtask
# The daemon's place depends on the targets that this machine has.
WITH_DAEMON = PITLANE_DAEMON="$${PITLANE_DAEMON:-$$($(XTASK) daemon 2>/dev/null)}"

.DEFAULT_GOAL := help
.PHONY: help quickstart build test test-cgroup2 fmt lint bench soak clean machine packages nextest
.PHONY: debug programs daemon images environments python-environment typescript-environment mcp-environment
.PHONY: langswarm-environment openapi-environment deploy-environment rust-tests python-tests typescript-tests
.PHONY: mcp-tests langswarm-tests openapi-tests deploy-tests

help: ## List the commands
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1 \2/p' $(firstword $(MAKEFILE_LIST)) | awk '{ printf "  %s %-12s", $$1, $$2; $$1 = $$2 = ""; print }'

quickstart: machine ## Build it, start it, run a Daytona script against it, stop it
	@.ci/packages $(RUN_PACKAGES)
	@$(STEP) 'build (optimized, the daemon inside)' cargo xtask dist
	@$(STEP) 'the official Daytona package for Python' .ci/environment $(CACHE)/quickstart e2e/quickstart-requirements.txt
	@e2e/quickstart.sh target/release/pitlane $(CACHE)/quickstart/bin/python

build: ## Build the optimized binary, the daemon inside: target/release/pitlane
	cargo xtask dist

test: machine ## Install what the tests need and run them all
	@$(STEP) 'packages of Debian' .ci/packages $(TEST_PACKAGES)
	@$(MAKE) --no-print-directory nextest
	@$(STEP) 'format' cargo fmt --all --check
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=target debug environments
	@$(MAKE) --no-print-directory rust-tests
	@$(MAKE) --no-print-directory python-tests
	@$(MAKE) --no-print-directory typescript-tests
	@$(MAKE) --no-print-directory mcp-tests
	@$(MAKE) --no-print-directory langswarm-tests
	@$(MAKE) --no-print-directory openapi-tests
	@$(MAKE) --no-print-directory deploy-tests

# The binary under test: PITLANE_BIN, else the debug build, which needs the daemon beside it.
debug: programs daemon images

# All at once, tests included: whatever is built apart is built with other features of its dependencies, once more. With
# the lints, which find fault with what they compile, instead of compiling it for them alone.
programs:
	@$(STEP) 'build (debug), with lints' cargo build --workspace --all-targets --quiet

daemon: programs
	@$(STEP) 'build the daemon (debug)' $(XTASK) daemon

images: programs
	@$(STEP) 'the images, once' target/debug/examples/prepare $(PITLANE_IMAGE_CACHE) default minimal

# What the clients of the tests are made of.
environments: python-environment typescript-environment mcp-environment langswarm-environment openapi-environment deploy-environment

python-environment:
	@$(STEP) 'environments of the Python tests' e2e/python/setup.sh

typescript-environment:
	@$(STEP) 'packages of the TypeScript tests' sh -c 'cd e2e/typescript && { cmp -s package-lock.json node_modules/.installed || { npm ci --silent && cp package-lock.json node_modules/.installed; }; }'

mcp-environment:
	@$(STEP) 'clients and suites of the MCP tests' e2e/mcp/setup.sh

langswarm-environment:
	@$(STEP) 'LangSwarm, two versions' e2e/langswarm/setup.sh

openapi-environment:
	@$(STEP) 'environment of the OpenAPI tests' e2e/schemathesis/setup.sh

deploy-environment:
	@$(STEP) 'tools and environment of the deployment tests' e2e/deploy/setup.sh

rust-tests:
	@$(WITH_DAEMON) $(STEP) 'tests in Rust' cargo nextest run --workspace --profile ci

python-tests: python-environment
	@$(WITH_DAEMON) $(STEP) 'the Python SDK' sh -c 'cd e2e/python && ../../.cache/e2e-python/bin/python -m pytest --quiet'
	@$(WITH_DAEMON) $(STEP) 'the Python SDK, an old version' sh -c 'cd e2e/python/old && ../../../.cache/e2e-python-old/bin/python -m pytest --quiet'

typescript-tests: typescript-environment
	@$(WITH_DAEMON) $(STEP) 'the TypeScript SDK' sh -c 'cd e2e/typescript && npm test --silent'

langswarm-tests: langswarm-environment
	@$(WITH_DAEMON) $(STEP) 'LangSwarm over HTTP' sh -c 'cd e2e/langswarm && ../../.cache/e2e-langswarm/bin/python -m pytest --quiet'
	@$(WITH_DAEMON) $(STEP) 'LangSwarm, an old version: HTTP and the command line' sh -c 'cd e2e/langswarm && ../../.cache/e2e-langswarm-old/bin/python -m pytest --quiet'

mcp-tests: mcp-environment
	@$(WITH_DAEMON) $(STEP) 'MCP: conformance, clients, cancellation' sh -c 'cd e2e/mcp && ../../.cache/e2e-mcp/bin/python -m pytest --quiet'
	@$(WITH_DAEMON) $(STEP) 'MCP: a client of the earlier era' sh -c 'cd e2e/mcp/old && ../../../.cache/e2e-mcp-old/bin/python -m pytest --quiet'

openapi-tests: openapi-environment
	@$(WITH_DAEMON) $(STEP) 'the server beside its own description' sh -c 'cd e2e/schemathesis && ../../.cache/e2e-schemathesis/bin/python -m pytest --quiet'

deploy-tests: deploy-environment
	@$(WITH_DAEMON) $(STEP) 'units, containers, alerts and dashboard' sh -c 'cd e2e/deploy && ../../.cache/e2e-deploy/bin/python -m pytest --quiet'

test-cgroup2: machine ## Run the tests of real sandboxes in emulated guests with cgroups v2 alone: minutes
	@$(STEP) 'packages of Debian' .ci/packages $(TEST_PACKAGES)
	@$(STEP) "cgroups v2, Debian 12's kernel" e2e/cgroup2/run bookworm
	@$(STEP) "cgroups v2, Debian 13's kernel" e2e/cgroup2/run trixie
	@$(STEP) 'cgroups v2, a new kernel' e2e/cgroup2/run trixie-backports

nextest:
	@cargo nextest --version >/dev/null 2>&1 || $(STEP) 'cargo-nextest, the test runner' cargo install --quiet --locked cargo-nextest

bench: machine ## Measure Pitlane beside other ways to make sandboxes: bench/RESULTS.md
	@.ci/packages $(RUN_PACKAGES)
	@cargo xtask dist
	@bench/run

SOAK_CYCLES  ?= 10000
SOAK_SECONDS ?= 1800

soak: machine ## Ten thousand lives of sandboxes, then half an hour of random kills: prints what was lost and what leaked
	@.ci/packages $(TEST_PACKAGES)
	@cargo xtask dist
	@PITLANE_BIN="$(CURDIR)/target/release/pitlane" PITLANE_DAEMON="$$(cargo xtask daemon --release)" \
		cargo test --quiet --package pitlane --test crash -- soak $(SOAK_CYCLES) $(SOAK_SECONDS)

fmt: ## Format the source
	cargo fmt --all

lint: ## Check format, lints and the design's promises
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo xtask tidy
	cargo xtask openapi --check

machine:
	@.ci/machine

packages:
	@.ci/packages $(TEST_PACKAGES)

clean: ## Remove what was built and cached
	cargo clean
	rm -rf $(CACHE)
