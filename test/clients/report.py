"""What every Python client program shares: one JSON line per check on standard output.

A line is {"name", "ok", "got"}: `ok` is what must hold on every server, `got` is what the runner compares between servers.
"""

import json
import sys

NUMBERS = "SELECT n, label FROM clients.numbers ORDER BY n"
KINDS = (
    "SELECT id, flag, small, big, real4, real8, exact, name, code, day, moment, moment_tz, span, uid, ints, words "
    "FROM clients.kinds ORDER BY id"
)
# Hours on any machine, without pg_sleep, which a read-only gateway may refuse; no entry of a cache can answer it.
SLOW = (
    "SELECT count(*) FROM generate_series(1, 100000) AS a(i), generate_series(1, 100000) AS b(j), "
    "generate_series(1, 1000) AS c(k) WHERE i + j + k < 0"
)
CANCEL_AFTER_SECONDS = 0.7


def plain(value):
    """A value as JSON can hold it, so that the type is seen too: Decimal('1.0') is not 1.0."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, memoryview):
        return "bytes " + value.tobytes().hex()
    if isinstance(value, bytes):
        return "bytes " + value.hex()
    return repr(value)


def run(checks):
    """Runs each check with the URI of the command line; a check returns (ok, got) and raises only when it fails."""
    uri = sys.argv[1]
    only = sys.argv[2:]
    for check in checks:
        name = check.__name__.replace("_", " ")
        if only and name not in only:
            continue
        try:
            ok, got = check(uri)
        except Exception as error:  # A driver's surprise is a failed check, never the end of the program.
            ok, got = False, f"{type(error).__name__}: {error}"
        print(json.dumps({"name": name, "ok": bool(ok), "got": plain(got)}, ensure_ascii=False), flush=True)
