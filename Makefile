# Targets are listed by "make help".
SHELL := /usr/bin/env bash

help: ## List every target.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/:.*## /\t/' | expand -t 20

test: ## Run every test.
	go vet ./...
	go test ./...
	go -C test vet ./...
	go -C test test -p 1 ./...

demo: ## Run the main job on this machine and watch it; DEMO_KEEP=1 leaves it running.
	go -C test run ./demo

run: ## Run the operator against the current kubeconfig.
	go run ./cmd/dane-operator --log-format console

.PHONY: help test demo run
