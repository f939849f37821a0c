"""psycopg 3: the extended protocol with typed parameters, prepared statements, pipelines and binary results."""

import threading
import time

import psycopg
from psycopg.pq import TransactionStatus

from report import CANCEL_AFTER_SECONDS, KINDS, NUMBERS, SLOW, run

STATUS = {
    TransactionStatus.IDLE: "idle",
    TransactionStatus.INTRANS: "in transaction",
    TransactionStatus.INERROR: "failed",
}


def status(connection):
    return STATUS.get(connection.info.transaction_status, "other")


def connect(uri, **options):
    return psycopg.connect(uri, connect_timeout=10, **options)


def rows(connection, sql, parameters=None, **options):
    return connection.execute(sql, parameters, **options).fetchall()


def failure(connection, sql, parameters=None):
    try:
        connection.execute(sql, parameters)
    except psycopg.Error as error:
        diag = error.diag
        return [error.sqlstate, diag.severity, diag.message_primary, diag.statement_position]
    return ["no error"]


def connects(uri):
    with connect(uri) as connection:
        info = connection.info
        return info.encoding == "utf-8", {name: info.parameter_status(name) for name in ("server_encoding", "DateStyle", "TimeZone")}


def query_without_parameters(uri):
    with connect(uri) as connection:
        got = rows(connection, NUMBERS)
        return len(got) == 100, got[:3]


def query_with_parameters(uri):
    """psycopg sends small integers as int2 and text as unknown."""
    with connect(uri) as connection:
        got = rows(connection, "SELECT n, label FROM clients.numbers WHERE n = %s OR label = %s ORDER BY n", (7, "label 9"))
        return [row[0] for row in got] == [7, 9], got


def parameters_of_many_types(uri):
    import datetime
    import decimal
    import uuid

    values = (
        True, 7, 1 << 40, 1.5, decimal.Decimal("12.340"), "Zażółć 🦥 '\"\\", None, datetime.date(2026, 2, 28),
        datetime.datetime(2026, 2, 28, 1, 2, 3, 456789, tzinfo=datetime.timezone.utc),
        uuid.UUID("0b9a3f62-6a3e-4a52-9d0f-6a2d4a5b6c7d"),
    )
    sql = ("SELECT %s::boolean, %s::integer, %s::bigint, %s::double precision, %s::numeric(10, 3), %s::text, %s::text, "
           "%s::date, %s::timestamptz, %s::uuid")
    with connect(uri) as connection:
        got = rows(connection, sql, values)[0]
        return list(got) == list(values), got


def array_parameter(uri):
    with connect(uri) as connection:
        got = rows(connection, "SELECT n FROM clients.numbers WHERE n = ANY(%s) ORDER BY n", ([3, 1, 2],))
        return got == [(1,), (2,), (3,)], got


def every_type_as_text(uri):
    with connect(uri) as connection:
        return True, rows(connection, KINDS)


def every_type_in_binary(uri):
    with connect(uri) as connection:
        text, binary = rows(connection, KINDS), rows(connection, KINDS, binary=True)
        return text == binary, binary


def column_types_are_described(uri):
    with connect(uri) as connection:
        cursor = connection.execute(KINDS)
        return True, [[column.name, column.type_code] for column in cursor.description]


def prepared_statement_runs_many_times(uri):
    with connect(uri) as connection:
        got = [rows(connection, "SELECT label FROM clients.numbers WHERE n = %s", (n,), prepare=True)[0][0] for n in range(1, 21)]
        return got == [f"label {n}" for n in range(1, 21)], got[-1]


def pipeline(uri):
    with connect(uri) as connection, connection.pipeline():
        cursors = [connection.execute("SELECT n FROM clients.numbers WHERE n = %s", (n,)) for n in range(1, 6)]
        got = [cursor.fetchone() for cursor in cursors]
    return got == [(n,) for n in range(1, 6)], got


def error_inside_a_pipeline_skips_to_sync(uri):
    with connect(uri, autocommit=True) as connection:
        seen = []
        try:
            with connection.pipeline():
                connection.execute("SELECT 1")
                connection.execute("SELECT nope FROM clients.numbers")
                connection.execute("SELECT 3")
        except psycopg.Error as error:
            seen.append(error.sqlstate)
        seen.append(rows(connection, "SELECT 4"))
        return "42703" in seen, seen


def commit_and_rollback(uri):
    connection = connect(uri)
    seen = [status(connection)]
    for end in (connection.commit, connection.rollback):
        rows(connection, "SELECT %s", (1,))
        seen.append(status(connection))
        end()
        seen.append(status(connection))
    return seen == ["idle", "in transaction", "idle", "in transaction", "idle"], seen


def failed_transaction_recovers(uri):
    connection = connect(uri)
    seen = [failure(connection, "SELECT nope FROM clients.numbers WHERE n = %s", (1,)), status(connection)]
    seen += [failure(connection, "SELECT %s", (1,)), status(connection)]
    connection.rollback()
    seen += [status(connection), rows(connection, "SELECT 1")]
    return seen[1] == "failed" and seen[2][0] == "25P02" and seen[4] == "idle", seen


def settings_go_with_their_transaction(uri):
    connection = connect(uri)
    before = rows(connection, "SHOW timezone")
    connection.execute("SET timezone = 'Asia/Tokyo'")
    inside = rows(connection, "SELECT moment_tz::text FROM clients.kinds WHERE id = 1")
    connection.rollback()
    after = rows(connection, "SHOW timezone")
    return before == after, [inside, after, rows(connection, "SELECT moment_tz::text FROM clients.kinds WHERE id = 1")]


def server_cursor(uri):
    with connect(uri) as connection, connection.cursor(name="named") as cursor:
        cursor.itersize = 9
        cursor.execute(NUMBERS)
        first = cursor.fetchone()
        got = [first] + cursor.fetchmany(5) + [row for row in cursor]
        return [row[0] for row in got] == list(range(1, 101)), len(got)


def server_cursor_in_binary_with_a_parameter(uri):
    with connect(uri) as connection, connection.cursor(name="named", binary=True) as cursor:
        cursor.execute("SELECT n, label FROM clients.numbers WHERE n > %s ORDER BY n", (95,))
        got = cursor.fetchall()
        return len(got) == 5, got


def rows_stream_one_by_one(uri):
    with connect(uri) as connection, connection.cursor() as cursor:
        got = [row[0] for row in cursor.stream("SELECT n FROM clients.numbers WHERE n > %s ORDER BY n", (90,))]
        return got == list(range(91, 101)), got


def cancel(uri):
    connection = connect(uri)
    timer = threading.Timer(CANCEL_AFTER_SECONDS, connection.cancel_safe)
    timer.start()
    started = time.monotonic()
    got = failure(connection, SLOW + " AND %s = 1", (1,))
    took = time.monotonic() - started
    timer.join()
    connection.rollback()
    return got[0] == "57014" and took < 10, [got, rows(connection, "SELECT 1")]


def errors_have_state_and_position(uri):
    connection = connect(uri, autocommit=True)
    return True, [
        failure(connection, "SELECT 'ü', nope FROM clients.numbers WHERE n = %s", (1,)),
        failure(connection, "SELECT * FROM clients.nothing WHERE n = %s", (1,)),
        failure(connection, "SELEC %s", (1,)),
        failure(connection, "SELECT n FROM clients.numbers WHERE n = %s::integer", ("x",)),
    ]


def several_statements_in_one_query(uri):
    with connect(uri, autocommit=True) as connection:
        cursor = connection.execute("SELECT 1 AS a; SELECT 2 AS b, 3 AS c")
        got = [cursor.fetchall()]
        while cursor.nextset():
            got.append(cursor.fetchall())
        with_parameter = failure(connection, "SELECT %s; SELECT 2", (1,))
        return got == [[(1,)], [(2, 3)]], [got, with_parameter]


CHECKS = [
    connects, query_without_parameters, query_with_parameters, parameters_of_many_types, array_parameter,
    every_type_as_text, every_type_in_binary, column_types_are_described, prepared_statement_runs_many_times, pipeline,
    error_inside_a_pipeline_skips_to_sync, commit_and_rollback, failed_transaction_recovers,
    settings_go_with_their_transaction, server_cursor, server_cursor_in_binary_with_a_parameter, rows_stream_one_by_one,
    cancel, errors_have_state_and_position, several_statements_in_one_query,
]

if __name__ == "__main__":
    run(CHECKS)
