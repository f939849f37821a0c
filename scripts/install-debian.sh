#!/usr/bin/env bash
# Installs Debian packages that tests and benches run, and says so; what is there already costs nothing.
#
#   scripts/install-debian.sh pgbouncer pgpool2 pgbench psql
#
# A name is a Debian package or one of the tools below. No service is left running: the packages' own start-up is
# switched off while they are installed, and the script fails when a new listening socket is found afterwards.
set -euo pipefail

# Tools whose package has another name. pgbench is part of the server package since PostgreSQL 10.
package_of() {
  case "$1" in
    psql) echo postgresql-client ;;
    mvn) echo maven ;;
    javac) echo default-jdk-headless ;;
    go) echo golang-go ;;
    pgbench) echo "postgresql-$(server_version)" ;;
    *) echo "$1" ;;
  esac
}

server_version() {
  apt-cache depends postgresql 2>/dev/null | sed -n 's/^ *Depends: postgresql-\([0-9][0-9]*\)$/\1/p' | head -n 1
}

# Where a tool may stand without being on PATH, so that an installed one is never fetched again.
is_present() {
  case "$1" in
    psql | pgbench) compgen -G "/usr/lib/postgresql/*/bin/$1" >/dev/null || command -v "$1" >/dev/null ;;
    pgpool2) [ -x /usr/sbin/pgpool ] ;;
    gcc | go | javac | mvn) command -v "$1" >/dev/null ;;
    *) [ "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null)" = "install ok installed" ] ;;
  esac
}

listening() {
  # Local addresses in state 0A (LISTEN) of this network name space.
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4 == "0A" { print $2 }' | sort -u
}

if [ $# -eq 0 ]; then
  echo "usage: $0 PACKAGE..." >&2
  exit 2
fi

missing=()
for name in "$@"; do
  is_present "$name" || missing+=("$name")
done
if [ ${#missing[@]} -eq 0 ]; then
  exit 0
fi

if ! command -v apt-get >/dev/null; then
  echo "missing: ${missing[*]}; this machine has no apt-get, so install them with its own package manager" >&2
  exit 1
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
  else
    echo "missing: ${missing[*]}" >&2
    echo "run as root: apt-get update && apt-get install -y --no-install-recommends$(for n in "${missing[@]}"; do printf ' %s' "$(package_of "$n")"; done)" >&2
    exit 1
  fi
fi

echo "installing from Debian: ${missing[*]}" >&2
before="$(listening)"

# invoke-rc.d asks this file before it starts anything; 101 forbids (policy-rc.d of Debian's policy, 9.3.3).
policy=/usr/sbin/policy-rc.d
made_policy=no
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
  made_policy=yes
fi
remove_policy() {
  if [ "$made_policy" = yes ]; then "${as_root[@]}" rm -f "$policy"; fi
}
trap remove_policy EXIT

"${as_root[@]}" apt-get -q update >&2
packages=()
for name in "${missing[@]}"; do
  packages+=("$(package_of "$name")")
done
# The lock is waited for, in seconds: several jobs may install on one machine.
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
  -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold \
  install --no-install-recommends "${packages[@]}" >&2

for name in "${missing[@]}"; do
  if ! is_present "$name"; then
    echo "$name is still missing after the installation of ${packages[*]}" >&2
    exit 1
  fi
done
echo "installed: ${packages[*]}" >&2

# Not at the next boot either: benches start these programs themselves.
if [ -d /run/systemd/system ]; then
  for name in "${missing[@]}"; do
    "${as_root[@]}" systemctl disable --now --quiet "$name" 2>/dev/null || true
  done
fi

started="$(comm -13 <(echo "$before") <(listening))"
if [ -n "$started" ] && pgrep -x 'pgbouncer|pgpool|redis-server' >/dev/null; then
  echo "a service was started by the installation and listens on (hex) $started; stop it before you go on" >&2
  exit 1
fi
