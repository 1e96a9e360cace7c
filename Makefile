# "make help" lists the targets. "make demo" shows the main job on a machine with Go, bash and this make; it fetches
# Go modules and builds what it needs. "make test" needs more: root on Debian, for the name servers and
# Postfix that it judges by, their mount namespaces and port 53. Elsewhere hack/deps.sh says what is
# missing, and the tests that need it fail.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Everything is compiled as the image is, without C: once for the tests and for the programs that they start.
export CGO_ENABLED := 0

cache  := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/dane-operator
tool   := go tool -modfile=hack/tools/go.mod
gen    := $(tool) controller-gen
lint   := $(cache)/bin/golangci-lint-$(shell sed -n 's|.*golangci-lint/v2 v\([0-9.]*\).*|\1|p' hack/tools/go.mod | head -1)
FUZZTIME ?= 1h

# What "--version" says. Empty is what git knows: the tag, or the commit.
VERSION ?=
stamp   = -X github.com/dane-operator/dane-operator/internal/version.release=$(VERSION)

##@ Start here

help: ## List every target.
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Run the main job on this machine and watch it; DEMO_KEEP=1 leaves it running.
	@echo "compiling the demo (some minutes the first time, in which nothing is shown)"
	@go -C test build -o ../bin/demo ./demo
	@bin/demo

run: ## Run the operator against the current kubeconfig; ARGS="--probe-allow-cidr 10.0.0.0/8" adds flags.
	go run ./cmd/dane-operator --log-format console $(ARGS)

install: ## Install the CRDs, the rights and the policy into the current cluster.
	kubectl apply -k config/default

uninstall: ## Take the operator out of the current cluster; the CRDs, objects and DNS records stay.
	for part in manager rbac policy; do kubectl delete --ignore-not-found -k config/$$part; done

##@ Build

build: ## Build the operator and the kubectl plugin into bin/; VERSION=v1.2.3 names them.
	go build -trimpath -ldflags "$(stamp)" -o bin/ ./cmd/dane-operator ./cmd/kubectl-dane

plugin: ## Make the archives of the kubectl plugin that .krew.yaml names, in bin/plugin; VERSION=v1.2.3.
	@VERSION=$(VERSION) hack/plugin-archives.sh

IMAGE_TAG ?= latest

image: ## Make the image in dist/image (an OCI layout, amd64 and arm64) with SBOMs; no docker, no registry.
	for arch in amd64 arm64; do GOOS=linux GOARCH=$$arch go build -trimpath -ldflags "-s $(stamp)" -o bin/linux-$$arch/ ./cmd/dane-operator; done
	go -C hack/image run . -tag $(IMAGE_TAG) -out ../../dist/image -sbom ../../dist/sbom ../../bin/linux-amd64/dane-operator ../../bin/linux-arm64/dane-operator

clean: ## Remove what was built here.
	rm -rf bin dist/image dist/sbom

##@ Test

test: deps check-generated vet lint test-unit fuzz-smoke test-cluster bench-smoke ## Run every test (Debian, as root).

corpora := $(or $(DANE_TEST_CORPORA),../shared/corpora)

test-unit: ## Test the product's packages alone.
	@[ -d "$(corpora)" ] || echo "there is no folder $(corpora): nothing is compared with the cases of other implementations (docs/conformance.md)"
	go test ./...

# In CI a test against the cluster that failed is run once more by itself, at most three of them, and the output
# says so: both runs and "DONE 2 runs". At a person's desk it fails at once. Why, and what to think of a test that
# needed it: CONTRIBUTING.md. The end-to-end tests take as long as all the others: they begin first, beside those.
cluster-test = $(if $(filter true,$(CI)),gotestsum=$$($(tool) -n gotestsum) && cd test && \
	"$$gotestsum" --format pkgname --hide-summary skipped --rerun-fails=1 --rerun-fails-max-failures=3 --packages "./e2e ./..." --,go -C test test)

test-cluster: deps ## Test against real Kubernetes, cert-manager, name servers and Postfix (Debian, as root).
	@echo "making sure that kube-apiserver, etcd, cert-manager, Pebble, kubectl and kustomize are there"
	@hack/envtest.sh cert-manager >/dev/null
	@hack/envtest.sh pebble >/dev/null
	@hack/envtest.sh kubectl >/dev/null
	@hack/envtest.sh kustomize >/dev/null
	assets=$$(hack/envtest.sh) && export KUBEBUILDER_ASSETS=$$assets && \
		go -C test/chart test -count=1 ./... && \
		go -C hack/image test -count=1 ./... && \
		$(cluster-test) -count=1 -p 3 -parallel 6 -timeout 45m $(if $(filter true,$(CI)),,./e2e ./...)

deps: ## Install the daemons that the tests start (Debian, as root); elsewhere say what is missing.
	@hack/deps.sh

##@ Test one thing, for longer

test-matrix: deps ## Run every end-to-end case on every make of name server (an hour; CI runs each on some).
	@hack/envtest.sh cert-manager >/dev/null
	assets=$$(hack/envtest.sh) && export KUBEBUILDER_ASSETS=$$assets && \
		DANE_TEST_MATRIX=full go -C test test -count=1 -parallel 4 -timeout 120m -v ./e2e

faults: deps ## Try every fault between operator and name server, and an API server away (half an hour).
	@hack/envtest.sh cert-manager >/dev/null
	assets=$$(hack/envtest.sh) && export KUBEBUILDER_ASSETS=$$assets && \
		DANE_TEST_FAULTS=full go -C test test -count=1 -parallel 4 -timeout 120m -v ./e2e \
		-run '^(TestFaultsOnTheWire|TestFrozenZone|TestFullDisk|TestAPIServerAway)$$'

crash: deps ## Kill the operator before and after every effect, with each strategy (an hour).
	@hack/envtest.sh cert-manager >/dev/null
	assets=$$(hack/envtest.sh) && export KUBEBUILDER_ASSETS=$$assets && \
		DANE_TEST_FAULTS=full go -C test test -count=1 -parallel 5 -timeout 180m -v ./e2e -run '^TestKilledAtEffects$$'

SOAK ?= 60m

soak: deps ## Run 200 hosts with certificates of minutes and a fault every 15 s, for SOAK (60m).
	@hack/envtest.sh cert-manager >/dev/null
	assets=$$(hack/envtest.sh) && export KUBEBUILDER_ASSETS=$$assets && \
		DANE_TEST_SOAK=$(SOAK) go -C test test -count=1 -timeout 0 -v ./soak

SIM ?= 1000

sim: ## Run SIM simulated histories of the whole system (1000); SIM=1 SIM_FLAGS="-seed 17 -v" replays one.
	go -C test run ./sim -histories $(SIM) $(SIM_FLAGS)

mutants: ## Break the product in many ways, and see that the simulator or a test notices each (an hour).
	go -C test run ./sim/mutants

fuzz: ## Run every fuzz target for FUZZTIME (1h).
	@hack/fuzz.sh $(FUZZTIME)

fuzz-smoke: ## Run every fuzz target for 300 inputs, or for a minute where CI is set.
	@hack/fuzz.sh $(if $(CI),1m,300x)

test-image: image ## Run the operator's image out of its layout (minutes: it compiles the operator twice).
	DANE_TEST_IMAGE=$(CURDIR)/dist/image go -C hack/image test -tags image -count=1 -v -run '^TestOperatorsImage$$' .

##@ Change the code

generate: ## Generate code, CRDs, rights, the dashboard, docs/api.md, dist/install.yaml, the chart's copies.
	@mkdir -p bin
	$(gen) object paths=./api/...
	$(gen) crd paths=./api/... output:crd:dir=config/crd/bases
	$(gen) rbac:roleName=dane-operator paths=./controllers/... output:rbac:dir=config/rbac
	go run ./hack/dashboard >bin/dashboard.json && mv bin/dashboard.json config/grafana/dane-operator.json
	@hack/sync-chart.sh
	@hack/api-docs.sh docs/api.md
	go -C test/chart run ./generate

check-generated: ## Fail when generated files are not up to date.
	@hack/check-generated.sh

conformance: ## Compare with the corpora of other implementations, and write the tables of docs/conformance.md.
	go test ./internal/tlsa -count=1 -run 'Postfix|GnuTLS' -v -update
	go test ./internal/dnssec -count=1 -run 'Chains|Unbound' -v -update
	go test ./internal/dnssec/health -count=1 -run Zonemaster -v -update
	go test ./internal/dnssec/senderview -count=1 -run Exim -v -update
	go test ./internal/tlsrpt -count=1 -run Public -v -update

screenshots: deps ## Take the pictures of docs/dashboard.md and docs/metrics.md anew, in Chromium.
	go -C test test -count=1 ./page -screenshots $(CURDIR)/docs
	assets=$$(hack/envtest.sh) && export KUBEBUILDER_ASSETS=$$assets && \
		go -C test test -count=1 ./grafana -run '^TestDashboardWithData$$' -screenshots $(CURDIR)/docs

site: ## Make the pages of docs/ into a web site in bin/site, with mkdocs (Debian has it).
	mkdocs build --strict

fmt: ## Format the code.
	gofmt -w api cmd controllers docs internal test

vet: ## Run go vet on every module.
	go vet ./...
	go -C test vet ./...
	go -C test/certmanager vet ./...
	go -C test/chart vet ./...
	go -C hack/image vet -tags image ./...
	go -C hack/bench vet ./...

lint: $(lint) ## Run golangci-lint, import layers included.
	$(lint) run ./...
	cd test && $(lint) run --config ../.golangci.yml ./...
	cd test/certmanager && $(lint) run --config ../../.golangci.yml ./...
	cd test/chart && $(lint) run --config ../../.golangci.yml ./...
	cd hack/image && $(lint) run --config ../../.golangci.yml ./...
	cd hack/bench && $(lint) run --config ../../.golangci.yml ./...

$(lint):
	@echo "building golangci-lint (a few minutes, once)"
	@mkdir -p $(@D)
	@cd hack/tools && go build -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

##@ Measure

bench: ## Run the Go benchmarks; the programs under hack/bench stand in docs/performance.md.
	go test -run '^$$' -bench . -benchmem ./internal/...

bench-smoke: deps ## Run each program under hack/bench once, small: that it works, not how fast.
	for server in BIND Knot PowerDNS; do \
		go -C hack/bench run ./publish -server $$server -owners 100 -rounds 1 && go -C hack/bench run ./single -server $$server -changes 5; done
	assets=$$(hack/envtest.sh) && export KUBEBUILDER_ASSETS=$$assets && \
		go -C hack/bench run ./scale -domains 20 -zones 2 -quick -rest 5s -outage 5s -interval 1s -ttl 2s -publish-safety 3s -retire-safety 3s

herd: deps ## Take the primary of 1,000 MailDomains away for ten minutes (half an hour).
	assets=$$(hack/envtest.sh) && export KUBEBUILDER_ASSETS=$$assets && \
		go -C hack/bench run ./scale -domains 1000 -zones 10 -quick -rest 10s -outage 10m -until outage

# Each target that help lists is one, and no file.
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' $(MAKEFILE_LIST))
