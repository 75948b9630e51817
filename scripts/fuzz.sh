#!/usr/bin/env bash
# Runs every fuzz target, one after the other: FUZZTIME inputs each (default 20000x).
# A crasher that is found is written to the package's testdata/fuzz: commit it with the fix.
#
# The default counts inputs rather than seconds: go test ends a target whose seconds run out while
# an input is in hand with "context deadline exceeded", now and then, as if it had failed.
set -euo pipefail
cd "$(dirname "$0")/.."

# go test fuzzes one target of one package at a time, so they are listed first.
grep -rlE '^func Fuzz[A-Z]' --include='*_test.go' . | xargs -r -n1 dirname | sort -u |
  while read -r package; do
    grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$package"/*_test.go | cut -d' ' -f2 |
      while read -r target; do
        echo "fuzz $package $target"
        go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-20000x}" -fuzzminimizetime 100x "$package" </dev/null
      done
  done
