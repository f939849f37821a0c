"""psycopg2 alone: the simple protocol, text results, an implicit transaction around everything."""

import threading
import time

import psycopg2
import psycopg2.extensions as extensions

from report import CANCEL_AFTER_SECONDS, KINDS, NUMBERS, SLOW

STATUS = {
    extensions.TRANSACTION_STATUS_IDLE: "idle",
    extensions.TRANSACTION_STATUS_INTRANS: "in transaction",
    extensions.TRANSACTION_STATUS_INERROR: "failed",
}


def status(connection):
    return STATUS.get(connection.info.transaction_status, "other")


def connect(uri, autocommit=False):
    connection = psycopg2.connect(uri, connect_timeout=10)
    connection.autocommit = autocommit
    return connection


def rows(connection, sql, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def failure(connection, sql, parameters=None):
    """SQLSTATE, message and position of the error that the statement must end with."""
    try:
        rows(connection, sql, parameters)
    except psycopg2.Error as error:
        diag = error.diag
        return [error.pgcode, diag.severity, diag.message_primary, diag.statement_position]
    return ["no error"]


def connects(uri):
    with_options = connect(uri)
    names = ["server_encoding", "client_encoding", "DateStyle", "TimeZone", "integer_datetimes",
             "standard_conforming_strings", "IntervalStyle"]
    got = {name: with_options.get_parameter_status(name) for name in names}
    return with_options.encoding == "UTF8", got


def server_version_is_known(uri):
    connection = connect(uri)
    return connection.server_version > 90000, rows(connection, "SHOW server_version")[0][0].split(".")[0].isdigit()


def wrong_password_is_told(uri):
    head, tail = uri.split("@")
    wrong = head.rsplit(":", 1)[0] + ":wrong@" + tail
    try:
        connect(wrong)
    except psycopg2.OperationalError as error:
        told = str(error).strip().split("FATAL:")[-1].strip()
        return told.startswith("password authentication failed for user"), told
    return False, "logged in"


def options_of_the_startup_packet_are_taken(uri):
    connection = psycopg2.connect(uri, options="-c search_path=clients -c TimeZone=Europe/Berlin")
    return True, [rows(connection, "SHOW search_path"), rows(connection, "SHOW timezone"),
                  rows(connection, "SELECT count(*) FROM numbers")]


def query_without_parameters(uri):
    got = rows(connect(uri), NUMBERS)
    return len(got) == 100, got[:3]


def query_with_parameters(uri):
    got = rows(connect(uri), "SELECT n, label FROM clients.numbers WHERE n = %s OR label = %s ORDER BY n", (7, "label 9"))
    return [row[0] for row in got] == [7, 9], got


def no_rows(uri):
    with connect(uri).cursor() as cursor:
        cursor.execute("SELECT n, label FROM clients.numbers WHERE n < 0")
        return cursor.fetchall() == [], [column.name for column in cursor.description]


def every_type(uri):
    return True, rows(connect(uri), KINDS)


def column_types_are_described(uri):
    with connect(uri).cursor() as cursor:
        cursor.execute(KINDS)
        return True, [[column.name, column.type_code, column.precision, column.scale] for column in cursor.description]


def blobs(uri):
    return True, rows(connect(uri), "SELECT id, blob FROM clients.kinds ORDER BY id")


def time_zone_changes_the_answer(uri):
    connection = connect(uri)
    sql = "SELECT moment_tz::text FROM clients.kinds WHERE id = 1"
    first = rows(connection, sql)
    rows_after = []
    for zone in ("America/New_York", "UTC", "Asia/Kolkata"):
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE %s", (zone,))
        rows_after.append(rows(connection, sql))
    return True, [first, rows_after]


def view(uri):
    return True, rows(connect(uri), "SELECT count(*), max(label) FROM clients.small_numbers")


def empty_query(uri):
    connection = connect(uri)
    with connection.cursor() as cursor:
        try:
            cursor.execute("")
        except psycopg2.ProgrammingError as error:
            return True, str(error)
    return False, "no error"


def commit_and_rollback(uri):
    connection = connect(uri)
    seen = [status(connection)]
    for end in (connection.commit, connection.rollback):
        rows(connection, "SELECT 1")
        seen.append(status(connection))
        end()
        seen.append(status(connection))
    return seen == ["idle", "in transaction", "idle", "in transaction", "idle"], seen


def explicit_transaction(uri):
    connection = connect(uri, autocommit=True)
    seen = []
    with connection.cursor() as cursor:
        for sql in ("BEGIN", "SELECT 1", "COMMIT", "START TRANSACTION READ ONLY", "SELECT 2", "ROLLBACK", "COMMIT"):
            cursor.execute(sql)
            seen.append([cursor.statusmessage, status(connection)])
    return True, seen


def failed_transaction_recovers(uri):
    connection = connect(uri)
    seen = [failure(connection, "SELECT nothing_of_the_kind FROM clients.numbers"), status(connection)]
    seen += [failure(connection, "SELECT 1"), status(connection)]
    connection.rollback()
    seen += [status(connection), rows(connection, "SELECT 1")]
    return seen[1] == "failed" and seen[2][0] == "25P02" and seen[4] == "idle", seen


def commit_of_a_failed_transaction_rolls_back(uri):
    connection = connect(uri, autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        failure(connection, "SELECT nothing_of_the_kind")
        cursor.execute("COMMIT")
        return cursor.statusmessage == "ROLLBACK", [cursor.statusmessage, status(connection)]


def settings_go_with_their_transaction(uri):
    connection = connect(uri)
    show = "SHOW timezone"
    seen = [rows(connection, show)]
    for sql, end in (
        ("SET timezone = 'Asia/Tokyo'", connection.rollback),
        ("SET timezone = 'Asia/Tokyo'", connection.commit),
        ("SET LOCAL timezone = 'America/Lima'", connection.commit),
        ("RESET timezone", connection.commit),
    ):
        with connection.cursor() as cursor:
            cursor.execute(sql)
        inside = rows(connection, show)
        end()
        seen.append([sql, inside, rows(connection, show)])
    return seen[1][2] == seen[0] and seen[2][2] == [("Asia/Tokyo",)] and seen[3][2] == [("Asia/Tokyo",)], seen


def search_path_is_honoured(uri):
    connection = connect(uri)
    before = failure(connection, "SELECT count(*) FROM numbers")
    connection.rollback()
    with connection.cursor() as cursor:
        cursor.execute('SET search_path = "clients"')
    return before[0] == "42P01", [before, rows(connection, "SELECT count(*) FROM numbers"), rows(connection, "SELECT current_schema()")]


def cursor_by_sql(uri):
    connection = connect(uri)
    seen = []
    with connection.cursor() as cursor:
        cursor.execute('DECLARE "c_1" CURSOR WITHOUT HOLD FOR ' + NUMBERS + ";")
        for sql in ('FETCH FORWARD 1 FROM "c_1"', 'FETCH FORWARD 3 FROM "c_1"', 'FETCH NEXT FROM "c_1"', 'FETCH FORWARD 0 FROM "c_1"'):
            cursor.execute(sql)
            seen.append([cursor.statusmessage, cursor.fetchall()])
        cursor.execute('FETCH ALL FROM "c_1"')
        seen.append([cursor.statusmessage, len(cursor.fetchall())])
        cursor.execute('FETCH FORWARD 5 FROM "c_1"')
        seen.append([cursor.statusmessage, cursor.fetchall()])
        cursor.execute('CLOSE "c_1"')
        seen.append(cursor.statusmessage)
    seen.append(failure(connection, 'FETCH 1 FROM "c_1"'))
    return seen[-1][0] == "34000", seen


def cursor_outside_a_transaction_is_refused(uri):
    got = failure(connect(uri, autocommit=True), "DECLARE c CURSOR FOR SELECT 1")
    return got[0] == "25P01", got


def named_cursor(uri):
    connection = connect(uri)
    with connection.cursor(name="named") as cursor:
        cursor.itersize = 7
        cursor.execute(NUMBERS)
        got = [row[0] for row in cursor]
    return got == list(range(1, 101)), len(got)


def cancel(uri):
    connection = connect(uri)
    timer = threading.Timer(CANCEL_AFTER_SECONDS, connection.cancel)
    timer.start()
    started = time.monotonic()
    got = failure(connection, SLOW)
    took = time.monotonic() - started
    timer.join()
    connection.rollback()
    return got[0] == "57014" and took < 10, [got, rows(connection, "SELECT 1")]


def cancel_of_an_idle_session_does_nothing(uri):
    connection = connect(uri)
    connection.cancel()
    return True, rows(connection, "SELECT count(*) FROM clients.numbers")


def backend_pid_is_the_one_of_the_login(uri):
    connection = connect(uri)
    return rows(connection, "SELECT pg_backend_pid()") == [(connection.info.backend_pid,)], "compared"


def stop_by_sql_from_another_connection(uri):
    """SQL Lab's stop button: pg_terminate_backend over pg_stat_activity."""
    victim, other = connect(uri), connect(uri)
    pid = victim.info.backend_pid
    outcome = []
    worker = threading.Thread(target=lambda: outcome.append(failure(victim, SLOW)))
    worker.start()
    time.sleep(CANCEL_AFTER_SECONDS)
    answer = rows(other, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid='{pid}'")
    worker.join(10)
    return not worker.is_alive() and answer == [(True,)], [answer, [item[0] for item in outcome]]


def errors_have_state_and_position(uri):
    connection = connect(uri, autocommit=True)
    return True, [
        failure(connection, "SELEC 1"),
        failure(connection, "SELECT 'ü', nope FROM clients.numbers"),
        failure(connection, "SELECT *\nFROM clients.nothing"),
        failure(connection, "SELECT nothing(1)"),
        failure(connection, "SELECT 'unfinished"),
    ]


def division_by_zero(uri):
    got = failure(connect(uri, autocommit=True), "SELECT n / (n - n) FROM clients.numbers")
    return True, got


def bad_cast(uri):
    got = failure(connect(uri, autocommit=True), "SELECT label::integer FROM clients.numbers")
    return got[0] == "22P02", got[0]


def writes_are_refused(uri):
    connection = connect(uri, autocommit=True)
    got = [failure(connection, sql)[0] for sql in (
        "INSERT INTO clients.numbers VALUES (101, 'x')",
        "DELETE FROM clients.numbers",
        "CREATE TABLE clients.t (a int)",
        "WITH gone AS (DELETE FROM clients.numbers RETURNING n) SELECT * FROM gone",
    )]
    return all(state in ("25006", "42501") for state in got) and rows(connection, "SELECT count(*) FROM clients.numbers") == [(100,)], "refused"


def several_statements_in_one_query(uri):
    connection = connect(uri, autocommit=True)
    got = rows(connection, "SELECT 1 AS a; SELECT 2 AS b, 3 AS c;")
    wrong = failure(connection, "SELECT 1; SELECT nope; SELECT 3")
    return got == [(2, 3)] and wrong[0] == "42703", [got, wrong, rows(connection, "SELECT 4")]


def a_large_answer_is_whole(uri):
    got = rows(connect(uri), "SELECT a.n * 1000 + b.n AS x, a.label || b.label FROM clients.numbers a, clients.numbers b ORDER BY 1")
    return len(got) == 10000, [got[0], got[-1]]


def the_same_question_twice(uri):
    connection = connect(uri)
    sql = "SELECT count(*), sum(n), min(label) FROM clients.numbers"
    first, second = rows(connection, sql), rows(connect(uri), sql)
    return first == second == rows(connection, sql), first


CHECKS = [
    connects, server_version_is_known, wrong_password_is_told, options_of_the_startup_packet_are_taken,
    query_without_parameters, query_with_parameters, no_rows, every_type, column_types_are_described, blobs,
    time_zone_changes_the_answer, view, empty_query, commit_and_rollback, explicit_transaction,
    failed_transaction_recovers, commit_of_a_failed_transaction_rolls_back, settings_go_with_their_transaction,
    search_path_is_honoured, cursor_by_sql, cursor_outside_a_transaction_is_refused, named_cursor, cancel,
    cancel_of_an_idle_session_does_nothing, backend_pid_is_the_one_of_the_login, stop_by_sql_from_another_connection,
    errors_have_state_and_position, division_by_zero, bad_cast, writes_are_refused, several_statements_in_one_query,
    a_large_answer_is_whole, the_same_question_twice,
]
