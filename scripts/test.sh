#!/usr/bin/env bash
# The whole test: installs what it needs once, then vet, all tests with the race detector, fuzzing.
#   FAULTS_SCALE  share of the fault tests' full counts; 0.1, a tenth, is the default
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$scripts/.."

# Kept in variables of their own: a command substitution in an assignment fails the script, one in
# export or in an argument does not.
postgres=$(scripts/postgres.sh install)
scripts/kafka.sh install >/dev/null
python=$(scripts/python.sh install)
export RECSTREAM_PG_BIN=$postgres
say "Postgres in $postgres, Python in $python"

# The race detector needs cgo, and that a C compiler.
race=-race
export CGO_ENABLED=1
have gcc || have clang || apt_install gcc libc6-dev || {
  say "no C compiler, so this run is without the race detector; install gcc to have it"
  race='' CGO_ENABLED=0
}

go vet ./...
go test ${race:+"$race"} -run '^$' ./... >/dev/null </dev/null # compiles on all cores
# Packages one after the other: each may start servers of its own, and timing tests share the cores. The fault tests
# watch processes, which are built without the detector whatever they are built with: it would only slow them.
packages=$(go list ./... | grep -v '/internal/chaos$')
# shellcheck disable=SC2086 # one word a package
go test ${race:+"$race"} -p 1 -timeout "${TEST_TIMEOUT:-20m}" $packages </dev/null
go test -timeout "${TEST_TIMEOUT:-40m}" ./internal/chaos -faults.scale="${FAULTS_SCALE:-0.1}" </dev/null
# The race detector makes sync.Pool forget at random, so what counts pooled allocations counts here.
go test -run Allocates ./schemas ./scoring/... </dev/null
scripts/fuzz.sh
