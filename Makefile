# Ottavino. `make` alone lists the targets.

GO      ?= go
PKG     ?= ./...
# Packages tested at once. Most of a test's time is waiting, for servers and databases to start.
JOBS    ?= $(shell nproc)
TIMEOUT ?= 20m
LDFLAGS := -s -w
# Namespaces, bridges and haproxy's change of user take root, in the demo and in tests.
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo -E env PATH="$(PATH)")
EXEC := $(if $(SUDO),-exec '$(SUDO)')
# With the race detector a program waits when it ends, in case a goroutine it left behind does something still. By default that is
# a second, of each of the many processes that tests start.
export GORACE ?= atexit_sleep_ms=20

.DEFAULT_GOAL := help
.PHONY: help deps build demo test interop race lint fmt generate check bench bench-api bench-hitless bench-dataplane image image-test clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: ## Install what build, tests and demo need from Debian, unless it is there
	@hack/install-deps

build: ## Build ottavino and the amphora agent into bin/
	CGO_ENABLED=1 $(GO) build -ldflags '$(LDFLAGS)' -o bin/ottavino ./cmd/ottavino
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/amphora-agent ./cmd/amphora-agent

demo: deps build ## A load balancer that balances real traffic, in a minute
	$(SUDO) bin/ottavino demo

test: deps race ## Install what is needed, then run all tests

interop: deps ## Test with upstream's agent and controller, which it installs
	@hack/install-deps interop
	CGO_ENABLED=1 $(GO) test -race -tags interop $(EXEC) -timeout $(TIMEOUT) -run '^TestUpstream' ./e2e

race: ## Run the tests of PKG (all of them) with the race detector
	CGO_ENABLED=1 $(GO) test -race $(EXEC) -p $(JOBS) -timeout $(TIMEOUT) $(PKG)

lint: ## Run golangci-lint
	$(GO) tool golangci-lint run $(PKG)

fmt: ## Format the code
	$(GO) fmt $(PKG)

generate: ## Renew what is generated: etc/octavia.conf
	$(GO) generate $(PKG)

check: ## What must hold before a change goes in: format, vet, lint, tests
	@test -z "$$(gofmt -l .)" || { echo 'not formatted:'; gofmt -l .; exit 1; }
	$(GO) vet -tags interop ./...
	$(MAKE) lint test interop

bench: build ## Measure ottavino in the sandbox, then run the benchmarks
	$(GO) run ./bench/life -bin bin
	$(GO) test -run '^$$' -bench . -benchmem $(PKG)

bench-api: build ## Compare the API with Debian's octavia-api, which it installs, on one MariaDB
	@hack/install-deps octavia-api
	$(GO) run ./bench/api -bin bin

bench-hitless: build ## Change a load balancer under load, our way and upstream's, and count what clients notice
	$(GO) build -o bin/bench-hitless ./bench/hitless
	$(SUDO) bin/bench-hitless -bin bin

bench-dataplane: build ## Compare an amphora's haproxy with one that is configured by hand
	$(GO) build -o bin/bench-dataplane ./bench/dataplane
	$(SUDO) bin/bench-dataplane -bin bin

image: build ## Build the amphora image bin/amphora.qcow2
	@hack/install-deps image
	$(SUDO) amphora/image/build bin/amphora-agent bin/amphora.qcow2

image-test: image ## Boot the image under qemu and use it as a controller does
	$(GO) run ./amphora/image/boot bin/amphora.qcow2

clean: ## Remove what was built
	rm -rf bin
