"""What every Python client program shares: one JSON line per check on standard output.

A line is {"name", "ok", "got"}: `ok` is what must hold on every server, `got` is what the runner compares between servers.
"""

import json
import os
import sys
import threading

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
CHECK_SECONDS_MAX = 15


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


def outcome(check, uri):
    """What the check returns, or why it did not: a driver's surprise is a failed check, never the end of the program."""
    result = []

    def work():
        try:
            result.append(check(uri))
        except Exception as error:
            result.append((False, f"{type(error).__name__}: {error}"))

    # A thread, because no signal interrupts a driver that waits inside libpq; one that hangs is left behind.
    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(CHECK_SECONDS_MAX)
    return result[0] if result else (False, f"no end within {CHECK_SECONDS_MAX} s")


def run(checks):
    """Runs each check, or those named on the command line, with its URI; a check returns (ok, got)."""
    uri = sys.argv[1]
    only = sys.argv[2:]
    for check in checks:
        name = check.__name__.replace("_", " ").strip()
        if only and name not in only:
            continue
        ok, got = outcome(check, uri)
        print(json.dumps({"name": name, "ok": bool(ok), "got": plain(got)}, ensure_ascii=False), flush=True)
    os._exit(0)
