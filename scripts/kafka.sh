#!/usr/bin/env bash
# A real Apache Kafka, one KRaft broker on 127.0.0.1, for development, tests and benchmarks.
#
#   kafka.sh find      print the directory of the broker's jars; status 3 if they are not installed
#   kafka.sh install   the same, after fetching them once (and Java and Maven, as root with apt-get)
#   kafka.sh up        start in the background, wait until the broker answers, print its address
#   kafka.sh run       the same in the foreground: the process becomes the broker; prints nothing
#   kafka.sh status    print the address of the running broker; status 3 if none runs
#   kafka.sh down      stop gracefully        kafka.sh kill    stop with kill -9
#
# Options of all but the first two:
#   --dir DIR        data, settings and logs (default .run/kafka); the data outlives a stop
#   --port N         default: the port that DIR had before, else a free one
#   --profile NAME   test (default): starts fastest; bench: compiles and collects as a server does
#   --set NAME=VALUE a setting of the broker, over those of kafka/server.properties; may be repeated
set -euo pipefail
. "$(dirname "$0")/env.sh"

pom=$scripts/kafka/pom.xml
version=$(sed -n 's|.*<kafka.version>\(.*\)</kafka.version>.*|\1|p' "$pom")
wait_seconds=60
cluster=recstream-broker-0001w # any 22 characters of base64
hint="Apache Kafka $version is not installed; run scripts/kafka.sh install"

# --- installing

jars() { echo "$(cache)/kafka-$version-$(cksum <"$pom" | cut -d' ' -f1)"; }

java_bin() {
  if [ -n "${JAVA_HOME:-}" ]; then echo "$JAVA_HOME/bin/java"; else type -P java; fi
}

# java_works tells whether there is a Java that the broker runs on: 17 or newer.
java_works() {
  local java major
  java=$(java_bin) || return 1
  major=$("$java" -version 2>&1 </dev/null | sed -n '1s/.*version "\([0-9]*\).*/\1/p')
  [ "${major:-0}" -ge 17 ]
}

find_jars() {
  java_works && [ -d "$(jars)" ] || return "$NOT_INSTALLED"
  jars
}

install() {
  local dir
  java_works || apt_install default-jre-headless || true
  java_works ||
    die "Java 17 or newer is needed: install a headless JRE (Debian: default-jre-headless), or set JAVA_HOME"
  if [ ! -d "$(jars)" ]; then
    have mvn || apt_install maven ||
      die "Maven is needed to fetch Apache Kafka: install it (Debian: maven)"
    say "fetching Apache Kafka $version with Maven into $(cache)"
    dir=$(workdir)
    trap 'rm -rf "$dir"' EXIT
    mvn -q -B -Dstyle.color=never -f "$pom" dependency:copy-dependencies -DoutputDirectory="$dir/jars" </dev/null >&2
    settle "$dir/jars" "$(jars)"
    rm -rf "$dir"
  fi
  [ -e "$(classes)" ] || archive_classes || say "no class archive was made; brokers start slower without it"
  jars
}

# classes prints the path of the archive of loaded classes, with which a broker starts in half the
# time. It is good for the very Java that made it; any other would ignore it.
classes() {
  local java
  java=$(java_bin)
  echo "$(jars)-$({ echo "$java"; stat -Lc '%s %Y' "$java"; } | cksum | cut -d' ' -f1).jsa"
}

# archive_classes runs a broker once, whose Java writes the archive as it ends.
archive_classes() {
  local dir
  say "recording the classes that a broker loads"
  dir=$(workdir)
  if ARCHIVE_CLASSES=$dir/classes.jsa bash "$0" up --dir "$dir/broker" >/dev/null &&
    bash "$0" down --dir "$dir/broker" && chmod a+r "$dir/classes.jsa"; then
    mv -T "$dir/classes.jsa" "$(classes)"
  fi
  rm -rf "$dir"
  [ -e "$(classes)" ]
}

# --- running

# low_port prints a free port below those that the kernel gives to outgoing connections: a client
# that tries to reconnect while the broker is away can then not take the broker's port.
low_port() {
  local low port
  read -r low _ </proc/sys/net/ipv4/ip_local_port_range 2>/dev/null || low=32768
  while :; do
    port=$((10240 + RANDOM % (low > 11264 ? low - 10240 : 20000)))
    open_port "$port" || break
  done
  echo "$port"
}

open_port() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# java_options prints one option a line.
java_options() {
  printf '%s\n' -Xmx512m -XX:-UsePerfData "-XX:ErrorFile=$dir/crash.log" -Dlog4j2.disableJmx=true \
    "-Dlog4j2.configurationFile=$scripts/kafka/log4j2.properties" "-Drecstream.kafka.dir=$dir"
  case $profile in
    test) printf '%s\n' -XX:+UseSerialGC -XX:TieredStopAtLevel=1 ;;
    bench) printf '%s\n' -XX:+UseG1GC -XX:MaxGCPauseMillis=20 ;;
  esac
  if [ -n "${ARCHIVE_CLASSES:-}" ]; then
    echo "-XX:ArchiveClassesAtExit=$ARCHIVE_CLASSES"
  elif [ -e "$(classes)" ]; then
    echo "-XX:SharedArchiveFile=$(classes)"
  fi
}

# prepare writes the settings and formats the storage of a new directory.
prepare() {
  local controller
  controller=$(low_port)
  {
    cat "$scripts/kafka/server.properties"
    echo "listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller"
    echo "controller.quorum.voters=1@127.0.0.1:$controller"
    echo "log.dirs=$dir/data"
    [ ${#settings[@]} = 0 ] || printf '%s\n' "${settings[@]}" # the last of a name counts
  } >"$dir/server.properties"
  [ -e "$dir/data/meta.properties" ] ||
    "${jvm[@]}" kafka.tools.StorageTool format --cluster-id "$cluster" --config "$dir/server.properties" </dev/null >"$dir/format.log" 2>&1 ||
    die "format $dir/data: $(tail -n 3 "$dir/format.log")"
}

run() {
  find_jars >/dev/null || { say "$hint"; exit "$NOT_INSTALLED"; }
  mkdir -p "$dir"
  running && die "already running in $dir"
  choose_port
  mapfile -t jvm < <(java_bin; java_options; printf '%s\n' -cp "$(jars)/*")
  prepare
  echo "$port" >"$dir/port"
  echo $$ >"$dir/pid" # stays right: the shell becomes the broker
  exec "${jvm[@]}" kafka.Kafka "$dir/server.properties" </dev/null
}

choose_port() {
  [ "$port" != 0 ] || port=$(cat "$dir/port" 2>/dev/null) || port=$(low_port)
  ! open_port "$port" || die "port $port is in use; choose another with --port"
}

# running tells whether the process in the pid file is this directory's broker, and not one that
# got its number later.
running() {
  pid=$(cat "$dir/pid" 2>/dev/null) && [ -r "/proc/$pid/cmdline" ] &&
    tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qxF "$dir/server.properties"
}

# answers asks for the cluster's metadata (version 0, no topic) and reads how many brokers it has:
# an open port is not enough, as the broker may not be in service yet.
answers() {
  local bytes
  exec 3<>"/dev/tcp/127.0.0.1/$(cat "$dir/port")" || return 1
  printf '\0\0\0\x0e\0\x03\0\0\0\0\0\x01\xff\xff\0\0\0\0' >&3
  bytes=$(timeout 2 head -c 12 <&3 | od -An -v -tu1)
  exec 3>&-
  [ "$(awk '{ print $12 }' <<<"$bytes")" = 1 ]
} 2>/dev/null

up() {
  local deadline child setting set=()
  find_jars >/dev/null || die "$hint"
  mkdir -p "$dir"
  if running; then
    [ "$port" = 0 ] || [ "$(address)" = "127.0.0.1:$port" ] ||
      die "a broker with that directory runs at $(address) already; stop it, or give another --dir"
  else
    choose_port
    for setting in "${settings[@]}"; do set+=(--set "$setting"); done
    setsid nohup bash "$0" run --dir "$dir" --port "$port" --profile "$profile" "${set[@]}" </dev/null >"$dir/out.log" 2>&1 &
    child=$!
    deadline=$((SECONDS + wait_seconds))
    until running && answers; do
      kill -0 "$child" 2>/dev/null || die "the broker ended; the end of $dir/out.log: $(tail -n 5 "$dir/out.log")"
      [ $SECONDS -lt $deadline ] || { kill -KILL "$child"; die "no answer within $wait_seconds s; see $dir/server.log"; }
      sleep 0.05
    done
  fi
  address
}

address() { echo "127.0.0.1:$(cat "$dir/port")"; }

status() {
  running && answers || return "$NOT_INSTALLED"
  address
}

# stop ends the broker with the signal and waits for it.
stop() {
  local deadline=$((SECONDS + wait_seconds))
  running || return 0
  kill "-$1" "$pid"
  while running; do
    [ $SECONDS -lt $deadline ] || die "still running after $wait_seconds s; try: kafka.sh kill --dir $dir"
    sleep 0.05
  done
  rm -f "$dir/pid"
}

command=${1:-}
[ $# = 0 ] || shift
dir=$scripts/../.run/kafka port=0 profile=test pid= settings=()
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || die "$1 needs a value"
  case $1 in
    --dir) dir=$2 ;;
    --port) port=$2 ;;
    --profile) profile=$2 ;;
    --set) settings+=("$2") ;;
    *) die "unknown option $1; see the head of $0" ;;
  esac
  shift 2
done
dir=$(realpath -m "$dir")
[[ $port =~ ^[0-9]+$ ]] || die "--port takes a number, not $port"
[[ $profile = test || $profile = bench ]] || die "--profile is test or bench, not $profile"

case $command in
  find) find_jars ;;
  install) install ;;
  up) up ;;
  run) run ;;
  status) status ;;
  down) stop TERM ;;
  kill) stop KILL ;;
  *) die "usage: kafka.sh find|install|up|run|status|down|kill; see the head of $0" ;;
esac
