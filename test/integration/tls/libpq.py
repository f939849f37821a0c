"""Connects with the libpq that psycopg brings along, once for each line of standard input.

A line is a connection string; the answer is one line of JSON: whether it succeeded, whether inside TLS, the minor version
of the protocol, or libpq's own error text.
"""

import json
import sys

from psycopg import pq

print(json.dumps({"libpq": pq.version()}), flush=True)
for line in sys.stdin:
    connection = pq.PGconn.connect(line.strip().encode())
    if connection.status == pq.ConnStatus.OK:
        result = connection.exec_(b"SELECT 41 + 1")
        answer = {
            "ok": result.get_value(0, 0) == b"42",
            "tls": bool(connection.ssl_in_use),
            "protocol": connection.full_protocol_version,
            "error": "",
        }
    else:
        error = connection.error_message.decode("utf8", "replace")
        answer = {"ok": False, "tls": False, "protocol": 0, "error": error}
    connection.finish()
    print(json.dumps(answer), flush=True)
