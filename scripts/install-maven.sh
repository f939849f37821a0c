#!/usr/bin/env bash
# Fetches one jar from Maven Central into .cache/jars, checks its digest and prints its path on standard output.
#
#   scripts/install-maven.sh test/clients/pgjdbc.txt        # a line: GROUP:ARTIFACT:VERSION SHA256
set -euo pipefail

if [ $# -ne 1 ] || [ ! -f "$1" ]; then
  echo "usage: $0 FILE" >&2
  exit 2
fi
root="$(cd "$(dirname "$0")/.." && pwd)"
read -r artifact sha256 <"$1"
IFS=: read -r _ name version <<<"$artifact"
jars="$root/.cache/jars"
jar="$jars/$name-$version.jar"

"$root/scripts/install-debian.sh" javac mvn
is_right() {
  [ -f "$jar" ] && echo "$sha256  $jar" | sha256sum --check --status
}
if ! is_right; then
  echo "fetching $artifact into .cache/jars" >&2
  mkdir -p "$jars"
  mvn -q -B dependency:copy "-Dartifact=$artifact" "-DoutputDirectory=$jars" >&2
  if ! is_right; then
    rm -f "$jar"
    echo "$artifact has not the digest $sha256" >&2
    exit 1
  fi
fi
echo "$jar"
