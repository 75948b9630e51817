#!/usr/bin/env bash
# Postgres server binaries for the demo and the tests. Nothing is started here.
#
#   postgres.sh find      print the directory that holds initdb and postgres; status 3 if there is none
#   postgres.sh install   the same, after fetching them once where there are none
#
# Looked at in this order: $RECSTREAM_PG_BIN, the system's (unless RECSTREAM_PG_SKIP_SYSTEM=1), the cache.
# Fetched in this order: npm, Maven, apt-get (as root). The first two only add to the cache.
set -euo pipefail
. "$(dirname "$0")/env.sh"

# Builds of the server for any Linux with glibc, from two publishers.
npm_version=17.10.0-beta.17 # @embedded-postgres/linux-*: the part before the dash is Postgres's own
maven_version=17.10.0       # io.zonky.test.postgres:embedded-postgres-binaries-linux-*
maven_copy=org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy

# usable tells whether the directory holds a server that runs here. Root asks as nobody would,
# since that is who runs it.
usable() {
  [ -x "$1/initdb" ] && [ -x "$1/postgres" ] || return 1
  if is_root && have runuser; then
    runuser -u nobody -- "$1/postgres" --version >/dev/null 2>&1
  else
    "$1/postgres" --version >/dev/null 2>&1
  fi
}

system_dirs() {
  have pg_config && pg_config --bindir
  have initdb && dirname "$(readlink -f "$(command -v initdb)")"
  printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV
}

find_bin() {
  local dir
  if [ -n "${RECSTREAM_PG_BIN:-}" ]; then
    usable "$RECSTREAM_PG_BIN" || die "RECSTREAM_PG_BIN=$RECSTREAM_PG_BIN holds no initdb and postgres that run here"
    echo "$RECSTREAM_PG_BIN"
    return
  fi
  while read -r dir; do
    usable "$dir" && echo "$dir" && return
  done < <([ "${RECSTREAM_PG_SKIP_SYSTEM:-}" = 1 ] || system_dirs; printf '%s\n' "$(cache)"/postgres-*/bin | sort -rV)
  return "$NOT_INSTALLED"
}

# The routes are tried inside conditions, where bash ignores set -e: hence every && below.

# from_npm unpacks the npm package.
from_npm() {
  local arch dir
  have npm && have node || return 1
  case $(uname -m) in x86_64) arch=x64 ;; aarch64) arch=arm64 ;; *) return 1 ;; esac
  say "fetching Postgres $npm_version with npm into $(cache)"
  dir=$(workdir) &&
    (cd "$dir" && npm pack --silent "@embedded-postgres/linux-$arch@$npm_version" </dev/null >&2) &&
    tar -xzf "$dir"/*.tgz -C "$dir" &&
    link_libraries "$dir/package" &&
    chmod 755 "$dir"/package/native/bin/* &&
    settle "$dir/package/native" "$(cache)/postgres-$npm_version"
  tidy "$dir" $?
}

# link_libraries makes the symbolic links that npm cannot pack; the package lists them in a file.
link_libraries() (
  cd "$1" &&
    node -e 'for (const l of require("./native/pg-symlinks.json")) console.log(l.source + "\t" + l.target)' |
    while IFS=$'\t' read -r source link; do
      mkdir -p "$(dirname "$link")" && ln -sfr "$source" "$link" || exit 1
    done
)

# from_maven unpacks the Maven artifact: a jar that holds one .txz.
from_maven() {
  local arch dir
  have mvn && have xz || return 1
  case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64v8 ;; *) return 1 ;; esac
  say "fetching Postgres $maven_version with Maven into $(cache)"
  dir=$(workdir) && mkdir "$dir/server" &&
    mvn -q -B "$maven_copy" -DoutputDirectory="$dir" \
      -Dartifact="io.zonky.test.postgres:embedded-postgres-binaries-linux-$arch:$maven_version" </dev/null >&2 &&
    unjar "$dir" &&
    tar -xJf "$dir"/*.txz -C "$dir/server" &&
    settle "$dir/server" "$(cache)/postgres-$maven_version"
  tidy "$dir" $?
}

unjar() (
  cd "$1" || exit
  if have unzip; then unzip -q ./*.jar
  elif have python3; then python3 -m zipfile -e ./*.jar .
  else jar xf ./*.jar; fi
)

tidy() { rm -rf "$1"; return "$2"; }

# from_apt installs Debian's server without the cluster that the package would create and start.
# A machine that has postgresql-common already keeps its own setting.
from_apt() {
  is_root && have apt-get && [ "${RECSTREAM_PG_SKIP_SYSTEM:-}" != 1 ] || return 1
  if ! dpkg -s postgresql-common >/dev/null 2>&1; then
    apt_install postgresql-common &&
      sed -ri 's/^#?(create_main_cluster) .*/\1 = false/' /etc/postgresql-common/createcluster.conf || return 1
  fi
  apt_install postgresql
}

install() {
  local route bin status=0
  bin=$(find_bin) || status=$?
  [ "$status" = "$NOT_INSTALLED" ] || { [ "$status" = 0 ] && echo "$bin"; return "$status"; }
  for route in from_npm from_maven from_apt; do
    if $route && bin=$(find_bin); then
      say "using $bin"
      echo "$bin"
      return
    fi
  done
  die "no Postgres server here, and none could be fetched. Install one of: postgresql (your distribution's server package), npm, Maven with xz; or set RECSTREAM_PG_BIN to a directory with initdb and postgres"
}

case ${1:-} in
  find) find_bin ;;
  install) install ;;
  *) die "usage: postgres.sh find|install" ;;
esac
