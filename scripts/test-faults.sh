#!/usr/bin/env bash
# The fault tests at their full counts: hours on two cores. The suite of `make test` runs a small share of them.
#
#   FAULTS_SCALE   share of the full counts, 1 by default
#   FAULTS_SEED    what faults and workloads are drawn from; 0, the default, draws a seed and prints it
#   FAULTS_RUN     which tests, as a pattern of go test -run; all by default
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$scripts/.."

postgres=$(scripts/postgres.sh install)
scripts/kafka.sh install >/dev/null
scripts/python.sh install >/dev/null
export RECSTREAM_PG_BIN=$postgres
exec go test ./internal/chaos -count=1 -timeout 24h -v -run "${FAULTS_RUN:-.}" \
  -faults.scale="${FAULTS_SCALE:-1}" -faults.seed="${FAULTS_SEED:-0}" </dev/null
