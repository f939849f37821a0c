#!/usr/bin/env bash
# psql as a person uses it. One JSON line per check, as report.py has it; `got` is all that psql printed.
#
#   test/clients/psql.sh postgresql://user:password@host:port/database
set -uo pipefail

uri="$1"
psql_program="$(compgen -G '/usr/lib/postgresql/*/bin/psql' | sort | tail -n 1)"
[ -n "$psql_program" ] || psql_program="$(command -v psql)"
export LC_ALL=C.UTF-8 PSQLRC=/dev/null PGCONNECT_TIMEOUT=10

run_psql() {
  "$psql_program" -X -q -v VERBOSITY=default "$uri" "$@" 2>&1
}

json_string() {
  # Backslash, quote, tab, then line ends: all that psql's output has to have escaped.
  sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/\t/\\t/g' | awk 'NR > 1 { printf "\\n" } { printf "%s", $0 }'
}

# check NAME PATTERN: standard input is psql's; the extended regular expression must match the output.
check() {
  local output ok=false
  output="$(run_psql)"
  if grep -qE -- "$2" <<<"$output"; then ok=true; fi
  printf '{"name": "%s", "ok": %s, "got": "%s"}\n' "$1" "$ok" "$(json_string <<<"$output")"
}

check "query" '\(100 rows\)' <<'SQL'
SELECT n, label FROM clients.numbers ORDER BY n;
SQL

check "every type" 'deadbeef' <<'SQL'
\pset null '<null>'
\x on
SELECT * FROM clients.kinds ORDER BY id;
SQL

check "variables and gdesc" 'integer' <<'SQL'
\set number 7
SELECT n, label FROM clients.numbers WHERE n = :number;
SELECT n, label, n::numeric(10, 2) AS exact FROM clients.numbers \gdesc
SQL

check "transaction" 'idle' <<'SQL'
\set PROMPT1 '%x'
BEGIN;
SELECT 1;
COMMIT;
\echo idle
ROLLBACK;
SQL

check "failed transaction recovers" '25P02' <<'SQL'
BEGIN;
SELECT nope FROM clients.numbers;
\echo :LAST_ERROR_SQLSTATE
SELECT 1;
\echo :LAST_ERROR_SQLSTATE
COMMIT;
SELECT 'after' AS word;
SQL

check "settings go with their transaction" 'Asia/Tokyo' <<'SQL'
SHOW timezone;
BEGIN;
SET timezone = 'Asia/Tokyo';
SHOW timezone;
ROLLBACK;
SHOW timezone;
SET datestyle = 'German';
SELECT moment FROM clients.kinds WHERE id = 1;
SQL

check "cursor" '\(95 rows\)' <<'SQL'
BEGIN;
DECLARE c CURSOR FOR SELECT n FROM clients.numbers ORDER BY n;
FETCH 5 FROM c;
FETCH ALL FROM c;
CLOSE c;
COMMIT;
SQL

check "FETCH_COUNT reads by a cursor" 'label 100' <<'SQL'
\set FETCH_COUNT 7
SELECT n, label FROM clients.numbers ORDER BY n;
SQL

check "errors show state and place" '42P01' <<'SQL'
SELEC 1;
\echo :LAST_ERROR_SQLSTATE
SELECT 'ü', nope
  FROM clients.numbers;
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM clients.nothing;
\echo :LAST_ERROR_SQLSTATE
SQL

check "several statements in one query" 'nope' <<'SQL'
SELECT 1 AS a\; SELECT 2 AS b;
SELECT 1\; SELECT nope\; SELECT 3;
SQL

check "describe" 'numeric\(12,3\)' <<'SQL'
\dt clients.*
\d clients.kinds
\d+ clients.small_numbers
SQL

# SIGINT is Control-C: psql sends CancelRequest and goes on. --foreground: without it the signal comes twice.
slow="SELECT count(*) FROM generate_series(1, 100000) AS a(i), generate_series(1, 100000) AS b(j), generate_series(1, 1000) AS c(k) WHERE i + j + k < 0"
output="$(timeout --foreground --preserve-status -k 15 -s INT 1 "$psql_program" -X -q "$uri" -c "$slow" 2>&1)"
ok=false
if grep -q 'canceling statement due to user request' <<<"$output"; then ok=true; fi
printf '{"name": "cancel", "ok": %s, "got": "%s"}\n' "$ok" "$(json_string <<<"$output")"
