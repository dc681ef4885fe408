#!/usr/bin/env bash
# Run a command with the brokers that its tests need.
# usage: BROKERS="redis rabbitmq" tests/brokers.sh COMMAND [ARG...]
#
# For each broker: one that listens is used and left alone; else an installed one is started and stopped again; else it is
# installed from system packages, if this is root or sudo asks no password. What is still missing is named in one loud
# last line, since its tests skip; with REQUIRE_BROKERS=1 it is an error before anything runs.
# PostgreSQL and MariaDB are started on ports of their own where those on the usual ports do not let the tests in
# (PostgreSQL: this user, MariaDB: root, both without a password, into the database `test`). Where they are, tests read in
# TEST_POSTGRESQL_URL and TEST_MARIADB_URL, which may be set from outside.
set -u

scratch=
started=()
missing=()

redis_port=6379
rabbitmq_port=5672
memcached_port=11211
mongodb_port=27017
postgresql_port=15432
mariadb_port=13306

listens() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

wait_until_listening() { # port, pid, seconds
  local deadline=$((SECONDS + $3))
  until listens "$1"; do
    if ((SECONDS >= deadline)) || ! kill -0 "$2" 2>/dev/null; then return 1; fi
    sleep 0.1
  done
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

install_package() {
  command -v apt-get >/dev/null || return 1
  as_root true 2>/dev/null || return 1
  echo "[brokers] installing $1"
  # A package must not start a service of its own: this script decides what runs.
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    sh -c "apt-get update -qq && apt-get install -y -qq --no-install-recommends $1" >"$scratch/install-$1.log" 2>&1
}

find_program() {
  # Debian's rabbitmq-server in /usr/sbin is a wrapper that only root may use; the real one is in the library.
  PATH="/usr/lib/rabbitmq/bin:$(printf '%s:' /usr/lib/postgresql/*/bin)$PATH:/usr/sbin:/usr/local/sbin:$PWD/.venv/bin" command -v "$1"
}

start_redis() {
  setsid "$1" --port "$redis_port" --bind 127.0.0.1 --save '' --dir "$scratch" >"$scratch/redis.log" 2>&1 &
}

start_rabbitmq() {
  # A port of its own for Erlang's name server, so that it can be stopped as well.
  export ERL_EPMD_PORT=14369
  # Tests make virtual hosts on it (tests/rabbitmq_vhosts.py): its name, and where the cookie is that rabbitmqctl shows.
  export TEST_RABBITMQ_NODE="celery-rs-tests-$$@localhost" TEST_RABBITMQ_HOME="$scratch"
  RABBITMQ_NODENAME="$TEST_RABBITMQ_NODE" RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT="$rabbitmq_port" \
    RABBITMQ_MNESIA_BASE="$scratch/rabbitmq" RABBITMQ_LOG_BASE="$scratch" RABBITMQ_PID_FILE="$scratch/rabbitmq.pid" \
    RABBITMQ_ENABLED_PLUGINS_FILE="$scratch/plugins" HOME="$scratch" \
    RABBITMQ_CONF_ENV_FILE=/dev/null RABBITMQ_CONFIG_FILE="$scratch/none" RABBITMQ_ADVANCED_CONFIG_FILE="$scratch/none" \
    setsid "$1" >"$scratch/rabbitmq.log" 2>&1 &
}

start_memcached() {
  setsid "$1" -l 127.0.0.1 -p "$memcached_port" -U 0 -u nobody >"$scratch/memcached.log" 2>&1 &
}

start_mongodb() {
  setsid "$1" --host 127.0.0.1 --port "$mongodb_port" --storage-path "$scratch/mongodb" --standalone \
    --log-level WARNING >"$scratch/mongodb.log" 2>&1 &
}

start_postgresql() {
  local directory="$scratch/postgresql" programs
  programs=$(dirname "$1")
  mkdir "$directory"
  if [ "$(id -u)" = 0 ]; then
    # It refuses to be root's.
    chmod 711 "$scratch"
    chown postgres: "$directory"
    set -- setpriv --reuid=postgres --regid=postgres --clear-groups --
  else
    set --
  fi
  (cd / && "$@" "$programs/initdb" -U tester -A trust -E UTF8 --locale=C -N -D "$directory/data") \
    >"$scratch/initdb.log" 2>&1
  setsid "$@" "$programs/postgres" -D "$directory/data" -h 127.0.0.1 -p "$postgresql_port" -k "$directory" \
    -c fsync=off -c max_connections=200 >"$scratch/postgresql.log" 2>&1 &
  export TEST_POSTGRESQL_URL="postgresql+psycopg://tester@127.0.0.1:$postgresql_port/postgres?connect_timeout=2"
}

start_mariadb() {
  local user=()
  [ "$(id -u)" != 0 ] || user=(--user=root)
  mariadb-install-db --no-defaults "${user[@]+"${user[@]}"}" --datadir="$scratch/mariadb" \
    --auth-root-authentication-method=normal --skip-test-db >"$scratch/mariadb-install.log" 2>&1
  setsid "$1" --no-defaults "${user[@]+"${user[@]}"}" --datadir="$scratch/mariadb" --socket="$scratch/mariadb.socket" \
    --bind-address=127.0.0.1 --port="$mariadb_port" --skip-log-bin >"$scratch/mariadb.log" 2>&1 &
  export TEST_MARIADB_URL="mysql+pymysql://root@127.0.0.1:$mariadb_port/mysql?connect_timeout=2"
}

lets_us_in() {
  case $1 in
    postgresql)
      [ -n "${TEST_POSTGRESQL_URL:-}" ] ||
        { listens 5432 && psql --no-password -h 127.0.0.1 -d test -c "" >/dev/null 2>&1; }
      ;;
    mariadb)
      [ -n "${TEST_MARIADB_URL:-}" ] ||
        { listens 3306 && mariadb --no-defaults -h 127.0.0.1 -u root test -e "" >/dev/null 2>&1; }
      ;;
    *) false ;;
  esac
}

package_of() {
  case $1 in postgresql) echo postgresql ;; mariadb) echo mariadb-server ;; *) program_of "$1" ;; esac
}

program_of() {
  # Mostly the program and its package have the same name. MongoDB's is no system package: the tests' Python has a stand-in.
  case $1 in
    memcached) echo memcached ;;
    mongodb) echo secantusd-py ;;
    postgresql) echo postgres ;;
    mariadb) echo mariadbd ;;
    *) echo "$1-server" ;;
  esac
}

provide() {
  local broker=$1 port="${1}_port" program path
  port=${!port}
  if lets_us_in "$broker" || listens "$port"; then return 0; fi
  program=$(program_of "$broker")
  path=$(find_program "$program") || {
    install_package "$(package_of "$broker")" && path=$(find_program "$program")
  } || return 1
  echo "[brokers] starting $broker on port $port"
  "start_$broker" "$path"
  started+=("$!")
  wait_until_listening "$port" "$!" 60
}

finish() {
  local pid
  for pid in "${started[@]+"${started[@]}"}"; do
    kill -TERM -- "-$pid" 2>/dev/null && wait "$pid" 2>/dev/null
  done
  [ -z "${ERL_EPMD_PORT:-}" ] || epmd -kill >/dev/null 2>&1
  [ -z "$scratch" ] || rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

scratch=$(mktemp -d)
for broker in ${BROKERS:-}; do
  case $broker in
    redis | rabbitmq | memcached | mongodb | postgresql | mariadb) provide "$broker" || missing+=("$broker") ;;
    *) echo "BROKERS must name redis, rabbitmq, memcached, mongodb, postgresql or mariadb, got '$broker'" >&2 && exit 2 ;;
  esac
done

if [ ${#missing[@]} -gt 0 ] && [ "${REQUIRE_BROKERS:-0}" = 1 ]; then
  echo "REQUIRE_BROKERS=1, but there is no ${missing[*]}: start it on its usual port, or install the system package" >&2
  exit 1
fi

"$@"
status=$?
if [ ${#missing[@]} -gt 0 ]; then
  printf '\n!!! NOT TESTED: everything that needs %s (not listening, not installed, no root to install it)\n' "${missing[*]}" >&2
fi
exit "$status"
