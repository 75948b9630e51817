#!/usr/bin/env bash
# Runs every fuzz target for a while, one after the other: FUZZTIME each (default 5s).
# A crasher that is found is written to the package's testdata/fuzz: commit it with the fix.
set -euo pipefail
cd "$(dirname "$0")/.."

# go test fuzzes one target of one package at a time, so they are listed first.
grep -rlE '^func Fuzz[A-Z]' --include='*_test.go' . | xargs -r -n1 dirname | sort -u |
  while read -r package; do
    grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$package"/*_test.go | cut -d' ' -f2 |
      while read -r target; do
        echo "fuzz $package $target"
        go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-5s}" "$package" </dev/null
      done
  done
