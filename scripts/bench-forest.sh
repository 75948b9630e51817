#!/usr/bin/env bash
# Measures scoring/forest beside other ways to score trees; docs/benchmarks.md says how.
#
#   bench-forest.sh [FLAGS of internal/benchforest, such as -out f.json]
#
# At the first run it trains the models and compiles them with the peers, which takes some minutes; all of that is
# kept in the cache. LightGBM is needed, since it trains; a peer that cannot be had is named and left out.
# QUICK=1 is a short run that only shows that everything works.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$scripts/.."

peers=internal/benchforest/peers
export PYTHONDONTWRITEBYTECODE=1

# made NAME REQUIREMENTS SCRIPT [ARGUMENT]: prints the directory with what the Python script writes, after running it
# once. Another script or other requirements make another directory.
made() {
  local dir work python
  dir=$(cache)/bench-forest-$1-$(cat "$peers/$2" "$peers/$3" "$peers/train.py" | cksum | cut -d' ' -f1)
  if [ ! -d "$dir" ]; then
    python=$(scripts/python.sh install "$peers/$2") || return
    work=$(workdir)
    say "making $1"
    if ! "$python" -W ignore "$peers/$3" "${@:4}" "$work" </dev/null >&2; then
      rm -rf "$work"
      return 1
    fi
    settle "$work" "$dir" || return
  fi
  echo "$dir"
}

# optional does the same for what the benchmark can do without.
optional() { made "$@" || say "$1 cannot be had; the benchmark runs without"; }

have gcc || apt_install gcc libc6-dev || die "gcc is needed, for the peers: install it (Debian: gcc)"

models=$(made models lightgbm.txt train.py)
python=$(scripts/python.sh install "$peers/lightgbm.txt")
lightgbm=$(find "$(dirname "$(dirname "$python")")" -name lib_lightgbm.so -print -quit)
lleaves=$(optional lleaves lleaves.txt compile_lleaves.py "$models")
tl2cgen=$(optional tl2cgen tl2cgen.txt compile_tl2cgen.py "$models")

quick=()
[ -z "${QUICK:-}" ] || quick=(-rounds 1 -turn 10ms)

# Built first, so that the compiler does not run beside the measurement.
program=$(mktemp -d)
trap 'rm -rf "$program"' EXIT
CGO_ENABLED=1 go build -tags peers -o "$program/benchforest" ./internal/benchforest
"$program/benchforest" -models "$models" -lightgbm "$lightgbm" -lleaves "$lleaves" -tl2cgen "$tl2cgen" \
  "${quick[@]}" "$@"
