# Callboard: the targets of the house. `make help` lists them.

LISTEN ?= 127.0.0.1:8080
DATA   ?= .callboard
ONLY   ?=

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

GO      ?= go
GOBUILD := $(GO) build -buildvcs=false

# What the host is built from. Stamps, not phony targets: a second `make run`
# finds nothing to do.
find_in     = $(shell find $(1) -type f $(2) 2>/dev/null)
ASSETS     := host/web/assets/dist/.built
ASSET_SRC  := $(call find_in,host/web,-not -path '*/dist/*' \( -name '*.css' -o -name '*.js' -o -name '*.mjs' -o -name '*.svg' -o -name '*.json' \) -not -path '*/e2e/*')
HOST_SRC   := go.mod go.sum go.work $(call find_in,cmd/callboard host schemas sdk registry examples/upstreams examples/catalog,-not -name '*_test.go' -not -path '*/testdata/*' -not -path '*/dist/*' -not -path '*/node_modules/*')
PLUGINS    := $(patsubst plugins/%/plugin.yaml,%,$(wildcard plugins/*/plugin.yaml))
PACKAGES   := $(PLUGINS:%=bin/plugins/.%.built)

.PHONY: run
run: build ## build what is missing and start the portal with the demo tenant (LISTEN, DATA)
	@exec bin/callboard serve --data "$(DATA)" --listen "$(LISTEN)" --demo

.PHONY: build
build: bin/callboard $(PACKAGES) ## build bin/callboard and the bundled plugins

.PHONY: test
test: ## everything a change must pass: tests, checks, browser
	@.ci/test

.PHONY: check
check: ## format, vet, lint, dependency rule, sizes, fresh files, coverage floor
	@.ci/check

.PHONY: e2e
e2e: build ## walk the portal in a browser
	@.ci/e2e

.PHONY: bench
bench: build ## measure and write bin/bench.json (ONLY=prefix measures a part)
	@$(GOBUILD) -o bin/callbench ./cmd/callbench
	@bin/callbench -callboard bin/callboard -plugins bin/plugins -out bin/bench.json -only "$(ONLY)"

.PHONY: bench-peer
bench-peer: build ## side by side with Backstage (BACKSTAGE_PEER, see docs/bench.md)
	@.ci/bench-peer

.PHONY: security
security: ## scanners, fuzzers and attack suites
	@.ci/security

.PHONY: clean
clean: ## remove what was built; data and caches stay
	@rm -rf bin node_modules $(ASSETS)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "make %-12s %s\n", $$1, $$2}'

node_modules/.installed: package.json $(wildcard package-lock.json)
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(ASSETS): node_modules/.installed $(ASSET_SRC)
	npm run --silent build
	@touch $@

bin/callboard: $(ASSETS) $(HOST_SRC)
	@mkdir -p bin
	$(GOBUILD) -o $@ ./cmd/callboard
	@touch $@

# One package per plugin, bin/plugins/<name>-<version>.callboard.tar. A change
# of the host alone does not rebuild them; one of the SDK or the words does.
SDK_SRC    := $(call find_in,sdk schemas,-not -name '*_test.go' -not -path '*/testdata/*')
version_of  = $(shell sed -n 's/^version: *"\{0,1\}\([^" ]*\).*/\1/p' plugins/$(1)/plugin.yaml)
define package
bin/plugins/.$(1).built: $(SDK_SRC) $(call find_in,plugins/$(1),-not -name '*_test.go' -not -name '*.wasm' -not -path '*/testdata/*') | bin/callboard
	@mkdir -p bin/plugins && rm -f bin/plugins/$(1)-*.callboard.tar
	bin/callboard plugin package $(CURDIR)/plugins/$(1) --out $(CURDIR)/bin/plugins/$(1)-$(call version_of,$(1)).callboard.tar
	@touch $$@
endef
$(foreach p,$(PLUGINS),$(eval $(call package,$(p))))
