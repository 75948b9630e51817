#!/usr/bin/env bash
# Compares scoring/forest with the trainers themselves: trains models of every kind afresh, lets their trainers
# predict, and runs the Go tests on that. Arguments, if any, are a directory for the models, which stays.
#
#   oracle.sh [DIRECTORY]
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$scripts/.."

generators=scoring/forest/testdata/oracle
python=$("$scripts/python.sh" install "$generators/requirements.txt")
if [ $# -gt 0 ]; then
  mkdir -p "$1"
  out=$(cd "$1" && pwd)
else
  out=$(workdir)
  trap 'rm -rf "$out"' EXIT
fi

export PYTHONDONTWRITEBYTECODE=1
for generator in "$generators"/*_vectors.py; do
  say "training: $(basename "$generator")"
  "$python" -W ignore "$generator" "$out"
done
RECSTREAM_ORACLE_DIR=$out go test ./scoring/forest -run Oracle -count=1 -v | grep -v '^=== RUN'
