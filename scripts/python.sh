#!/usr/bin/env bash
# A Python with the packages of a list, in a virtual environment of its own. The list is that of the client
# libraries that the tests use, unless another is given.
#
#   python.sh find [LIST]      print the path of its python; status 3 if there is none
#   python.sh install [LIST]   the same, after making it once (and python3-venv, as root with apt-get)
set -euo pipefail
. "$(dirname "$0")/env.sh"

requirements=${2:-$scripts/python/requirements.txt}
# An environment per list and per Python: neither can go stale.
venv() {
  echo "$(cache)/python-$({ python3 --version; cat "$requirements"; } 2>&1 | cksum | cut -d' ' -f1)"
}

find_python() {
  have python3 && [ -e "$(venv)/ready" ] || return "$NOT_INSTALLED"
  echo "$(venv)/bin/python"
}

# ensurepip is the part of venv that Debian packages apart.
venv_works() { python3 -c 'import venv, ensurepip' 2>/dev/null; }

install() {
  if ! find_python; then
    venv_works || apt_install python3 python3-venv || true
    venv_works || die "Python 3 with venv is needed: install it (Debian: python3-venv)"
    local dir
    dir=$(venv)
    say "making a Python environment in $dir"
    rm -rf "$dir" # whatever a broken install left; environments cannot be moved into place
    python3 -m venv "$dir" </dev/null >&2
    "$dir/bin/python" -m pip install -q --only-binary :all: -r "$requirements" </dev/null >&2
    touch "$dir/ready"
    find_python
  fi
}

case ${1:-} in
  find) find_python ;;
  install) install ;;
  *) die "usage: python.sh find|install [LIST]" ;;
esac
