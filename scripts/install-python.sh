#!/usr/bin/env bash
# Makes the virtual environment for one requirements file and prints its Python's path on standard output.
#
#   scripts/install-python.sh test/clients/requirements-psycopg3.txt
#
# It lies in .cache/venv-<digest of the file and the Python version>, so a changed pin makes a new one and an old one is
# used again as it is. A half-made environment is never taken for a whole one: it is renamed into place at the end.
set -euo pipefail

if [ $# -ne 1 ] || [ ! -f "$1" ]; then
  echo "usage: $0 REQUIREMENTS-FILE" >&2
  exit 2
fi
root="$(cd "$(dirname "$0")/.." && pwd)"
requirements="$(realpath "$1")"

# SQLAlchemy 1.4's and psycopg's wheels exist for these; the first that works is taken.
python=""
for candidate in python3 python3.12 python3.11 python3.10 python3.13; do
  if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not ((3, 10) <= sys.version_info < (3, 14)))' 2>/dev/null; then
    python="$(command -v "$candidate")"
    break
  fi
done
if [ -z "$python" ]; then
  echo "a Python from 3.10 to 3.13 with venv is needed; on Debian: apt-get install -y python3 python3-venv" >&2
  exit 1
fi

digest="$( (cat "$requirements"; "$python" --version) | sha256sum | cut -c 1-12)"
environment="$root/.cache/venv-$digest"
if [ ! -x "$environment/bin/python" ]; then
  echo "installing $(basename "$requirements") into .cache/venv-$digest" >&2
  mkdir -p "$root/.cache"
  building="$(mktemp -d "$root/.cache/venv-building-XXXXXX")"
  trap 'rm -rf "$building"' EXIT
  "$python" -m venv "$building"
  "$building/bin/python" -m pip install --disable-pip-version-check --no-input --only-binary=:all: -r "$requirements" >&2
  # Python finds its environment by its own place, so moving is safe for bin/python (not for the scripts beside it).
  mv -T "$building" "$environment" 2>/dev/null || [ -x "$environment/bin/python" ]
  echo "installed: $(basename "$requirements")" >&2
fi
echo "$environment/bin/python"
