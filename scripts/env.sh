# Sourced by the scripts beside it: where downloads are kept, how to speak, how to install.
# What a script installs goes to stderr; stdout carries only what the caller asked for.
# shellcheck shell=bash disable=SC2034

umask 022 # what root unpacks, an ordinary user must be able to read

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Status of `find` when nothing is installed; Go code tells it apart from a failure.
readonly NOT_INSTALLED=3

say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
is_root() { [ "$(id -u)" = 0 ]; }

# cache prints the directory for downloads. Root's home is often closed to others, and Postgres
# refuses to run as root, so root's downloads are kept outside of it.
cache() {
  if [ -n "${XDG_CACHE_HOME:-}" ]; then
    echo "$XDG_CACHE_HOME/recstream"
  elif is_root; then
    echo /var/cache/recstream
  else
    echo "${HOME:?set HOME or XDG_CACHE_HOME, which is where downloads are kept}/.cache/recstream"
  fi
}

# workdir prints a fresh directory in the cache; whoever made it moves or removes it.
workdir() {
  mkdir -p "$(cache)" && mktemp -d "$(cache)/.unpack-XXXXXX"
}

# settle moves a finished directory to its place in one step, so that nobody ever sees half of it.
# Where another install was first, its copy stays and ours goes.
settle() {
  chmod -R a+rX "$1"
  mv -T "$1" "$2" 2>/dev/null || rm -rf "$1"
  [ -d "$2" ]
}

# apt_install installs Debian packages, as root on a machine that has apt-get; else it fails.
apt_install() {
  is_root && have apt-get || return 1
  say "installing with apt-get: $*"
  {
    apt-get update -q &&
      DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
  } </dev/null >&2
}
