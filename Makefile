# Everything is built from here; `make help` lists what there is.
GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
STATIC   := CGO_ENABLED=0
FLAGS    := -trimpath -ldflags '-s -w'
KEEPER   := internal/oci/keeper/embed/bin/dhow-keeper
KUBECTL  := internal/kubectl/bin/kubectl.zst

.PHONY: help build demo demo-clean test check conformance bench fuzz vm clean FORCE

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: bin/dhow ## build bin/dhow, one static binary

bin/dhow: $(KEEPER) $(KUBECTL) FORCE
	$(STATIC) $(GO) build -trimpath -ldflags '-s -w -X github.com/dhow-project/dhow/internal/daemon.Version=$(VERSION)' -o $@ ./cmd/dhow

# The keeper and kubectl are programs of their own inside dhow.
$(KEEPER): FORCE
	@$(STATIC) $(GO) build $(FLAGS) -o $@ ./cmd/dhow-keeper

# kubectl says its version, and compares it with the server's: v1.x.y is the module v0.x.y.
KUBECTL_VERSION = $(shell awk '$$1 == "k8s.io/kubectl" { sub(/^v0/, "v1", $$2); print $$2; exit }' go.mod)

$(KUBECTL): cmd/kubectl/main.go go.mod Makefile
	$(STATIC) $(GO) build -trimpath -ldflags '-s -w -X k8s.io/component-base/version.gitVersion=$(KUBECTL_VERSION)' -o bin/kubectl ./cmd/kubectl
	$(GO) run ./internal/kubectl/pack bin/kubectl $@

examples/web/bin/web: examples/web/app/main.go
	$(STATIC) $(GO) build $(FLAGS) -o $@ ./examples/web/app

demo: build examples/web/bin/web ## start a cluster, build and deploy an app, break it, watch it heal
	./examples/web/demo.sh

demo-clean: ## stop the demo's cluster and leave the host as it was
	bin/dhow down --purge

test: build examples/web/bin/web ## all tests (root; ten minutes on two cores)
	./test/run

check: $(KEEPER) ## gofmt, vet, staticcheck, govulncheck, architecture
	./test/check

conformance: build ## the upstream conformance suite; writes test/conformance/passed.txt
	./test/conformance/run

bench: build examples/web/bin/web ## the table of promises: goal and measured
	$(GO) run ./test/bench

fuzz: ## every fuzz target for a while
	./test/fuzz

vm: build examples/web/bin/web ## the demo in a virtual machine with cgroup v2
	./test/vm/run

clean: ## remove what was built
	rm -rf bin examples/web/bin $(KEEPER) $(KUBECTL)
