# `make` alone lists the targets. What they need is installed once, by scripts/, and said.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GOLANGCI_LINT ?= v2.15.0
KAFKA_PORT    ?= 9092
KAFKA_DIR     ?= .run/kafka
FUZZTIME      ?= 20000x
# More words for `recstream demo`, such as ARGS=--stay.
ARGS          ?=
# Share of the full counts, which tests, and what they are drawn from: see scripts/test-faults.sh.
FAULTS_SCALE  ?= 1
FAULTS_RUN    ?= .
FAULTS_SEED   ?= 0
# File for the benchmark's figures as JSON; none where empty.
OUT           ?=
# Any value makes bench-forest a short run that only shows that everything works.
QUICK         ?=

# A source archive has no git.
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## Build bin/recstream, static, with its version
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/recstream ./cmd/recstream

# The installs are assignments of their own: bash would not notice a failure inside a longer command.
.PHONY: demo
demo: ## See it work: broker, database, films, requests and results on this machine (ARGS=--stay)
	@postgres=$$(scripts/postgres.sh install); $(MAKE) build; RECSTREAM_PG_BIN="$$postgres" bin/recstream demo $(ARGS)

.PHONY: test
test: ## Test everything, on a real Apache Kafka and a real Postgres, with the race detector
	FUZZTIME='$(FUZZTIME)' scripts/test.sh

.PHONY: test-short
test-short: ## Test what needs no Apache Kafka, in about a minute
	go test -short ./...

.PHONY: test-faults
test-faults: ## Kill, cut and starve everything at full counts, hours (FAULTS_SCALE=0.1, FAULTS_RUN, FAULTS_SEED)
	@FAULTS_SCALE='$(FAULTS_SCALE)' FAULTS_RUN='$(FAULTS_RUN)' FAULTS_SEED='$(FAULTS_SEED)' scripts/test-faults.sh

.PHONY: fuzz
fuzz: ## Run each fuzz target on FUZZTIME inputs (20000x)
	FUZZTIME='$(FUZZTIME)' scripts/fuzz.sh

.PHONY: oracle
oracle: ## Train models of every kind afresh and compare scoring/forest with their trainers (minutes)
	scripts/oracle.sh

.PHONY: bench
bench: ## Measure requests/s end to end on Apache Kafka; OUT=f.json writes the figures
	@scripts/kafka.sh install >/dev/null
	@postgres=$$(scripts/postgres.sh install); RECSTREAM_PG_BIN="$$postgres" go run ./internal/bench -out '$(OUT)'

.PHONY: bench-http
bench-http: ## Measure the wait for a result over HTTP, beside that over Kafka alone; OUT=f.json
	@scripts/kafka.sh install >/dev/null
	@postgres=$$(scripts/postgres.sh install); RECSTREAM_PG_BIN="$$postgres" go run ./internal/bench/latency -out '$(OUT)'

.PHONY: bench-scale
bench-scale: ## Measure 1, 2 and 4 instances on 1, 6 and 24 partitions; OUT=f.json
	@scripts/kafka.sh install >/dev/null
	@postgres=$$(scripts/postgres.sh install); RECSTREAM_PG_BIN="$$postgres" go run ./internal/bench -scale -out '$(OUT)'

.PHONY: bench-forest
bench-forest: ## Measure scoring beside leaves, LightGBM and compiled trees; OUT=f.json, QUICK=1
	@QUICK='$(QUICK)' scripts/bench-forest.sh -out '$(OUT)'

.PHONY: bench-rank
bench-rank: ## Measure ranking 10,000 candidates with everything on, beside a full sort; OUT=f.json
	@go run ./internal/benchrank -out '$(OUT)'

.PHONY: bench-cache
bench-cache: ## Measure decisions with each cache and without, on the demo's films; OUT=f.json
	@go run ./internal/benchcache -out '$(OUT)'

.PHONY: lint
lint: ## Check the style and who imports whom; builds the linter at the first call
	go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT) run ./...
	go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT) run --build-tags faults ./internal/chaos/plant/...

.PHONY: kafka-up
kafka-up: ## Start an Apache Kafka in the background (KAFKA_PORT, KAFKA_DIR)
	@scripts/kafka.sh install >/dev/null
	@scripts/kafka.sh up --dir '$(KAFKA_DIR)' --port '$(KAFKA_PORT)'

.PHONY: kafka-down
kafka-down: ## Stop it; its data stays
	@scripts/kafka.sh down --dir '$(KAFKA_DIR)'

.PHONY: clean
clean: kafka-down ## Remove what was built, and the data of kafka-up; downloads stay in the cache
	rm -rf bin .run
