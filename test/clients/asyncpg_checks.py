"""asyncpg: named statements, binary results always, types looked up in the catalogue, a pool that resets its sessions."""

import asyncio
import datetime
import decimal
import functools
import io
import time

import asyncpg
from report import CANCEL_AFTER_SECONDS, KINDS, NUMBERS, SLOW, run


def asynchronous(check):
    @functools.wraps(check)
    def checked(uri):
        return asyncio.run(check(uri))

    return checked


async def connect(uri, **options):
    return await asyncpg.connect(uri, timeout=10, **options)


async def failure(connection, sql, *parameters):
    try:
        await connection.fetch(sql, *parameters)
    except asyncpg.PostgresError as error:
        return [error.sqlstate, error.severity, error.message, error.position]
    return ["no error"]


def tuples(records):
    return [tuple(record) for record in records]


@asynchronous
async def connects(uri):
    connection = await connect(uri)
    settings = connection.get_settings()
    return connection.get_server_version() >= (9, 6), [settings.server_encoding, settings.DateStyle, settings.TimeZone]


@asynchronous
async def query_without_parameters(uri):
    connection = await connect(uri)
    got = tuples(await connection.fetch(NUMBERS))
    return len(got) == 100, got[:3]


@asynchronous
async def every_type_in_binary(uri):
    got = tuples(await (await connect(uri)).fetch(KINDS))
    return isinstance(got[0][6], decimal.Decimal), got


@asynchronous
async def parameters_of_many_types(uri):
    moment = datetime.datetime(2026, 2, 28, 1, 2, 3, 456789, tzinfo=datetime.timezone.utc)
    values = [True, 7, 1 << 40, 1.5, decimal.Decimal("12.340"), "Zażółć 🦥", None, moment.date(), moment, [1, None, 3], ["a", None, '"']]
    sql = ("SELECT $1::boolean, $2::integer, $3::bigint, $4::float8, $5::numeric, $6::text, $7::text, $8::date, "
           "$9::timestamptz, $10::integer[], $11::text[]")
    got = await (await connect(uri)).fetchrow(sql, *values)
    return list(got) == values, tuple(got)


@asynchronous
async def numeric_extremes(uri):
    sql = ("SELECT 'NaN'::numeric, 1e-40::numeric, 123456789012345678901234567890.5::numeric, 'infinity'::float8, "
           "'-infinity'::float8, (-2147483648)::integer, 9223372036854775807::bigint, 0.000::numeric")
    got = await (await connect(uri)).fetchrow(sql)
    return got[0].is_nan(), tuple(got)


@asynchronous
async def prepared_statement_tells_its_types(uri):
    connection = await connect(uri)
    statement = await connection.prepare("SELECT n, label FROM clients.numbers WHERE n = $1 OR label = $2")
    parameters = [one.name for one in statement.get_parameters()]
    columns = [[one.name, one.type.name] for one in statement.get_attributes()]
    got = [tuples(await statement.fetch(n, "label 9")) for n in (1, 2)]
    return parameters == ["int4", "text"], [parameters, columns, got, statement.get_statusmsg()]


@asynchronous
async def prepared_statement_runs_many_times(uri):
    connection = await connect(uri)
    got = [await connection.fetchval("SELECT label FROM clients.numbers WHERE n = $1", n) for n in range(1, 21)]
    return got == [f"label {n}" for n in range(1, 21)], got[-1]


@asynchronous
async def statement_cache_may_be_off(uri):
    connection = await connect(uri, statement_cache_size=0)
    got = [await connection.fetchval("SELECT label FROM clients.numbers WHERE n = $1", n) for n in (1, 2, 1)]
    return got == ["label 1", "label 2", "label 1"], got


@asynchronous
async def many_rows_in_one_call(uri):
    connection = await connect(uri)
    got = await connection.fetchmany("SELECT label FROM clients.numbers WHERE n = $1", [(n,) for n in (1, 2, 3)])
    return len(got) == 3, tuples(got)


@asynchronous
async def cursor(uri):
    connection = await connect(uri)
    async with connection.transaction():
        got = [record[0] async for record in connection.cursor(NUMBERS, prefetch=7)]
        portal = await connection.cursor("SELECT n FROM clients.numbers WHERE n > $1 ORDER BY n", 90)
        skipped = await portal.forward(2)
        rest = [tuples(await portal.fetch(3)), tuple(await portal.fetchrow()), tuples(await portal.fetch(100))]
    return got == list(range(1, 101)), [skipped, rest]


@asynchronous
async def cursor_outside_a_transaction_is_refused(uri):
    connection = await connect(uri)
    try:
        await connection.cursor(NUMBERS)
    except asyncpg.NoActiveSQLTransactionError as error:
        return True, str(error)
    return False, "no error"


@asynchronous
async def transactions_and_savepoints(uri):
    connection = await connect(uri)
    seen = []
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        seen.append(await connection.fetchval("SHOW transaction_isolation"))
        try:
            async with connection.transaction():
                await connection.fetchval("SELECT nope FROM clients.numbers")
        except asyncpg.UndefinedColumnError as error:
            seen.append(error.sqlstate)
        seen.append(await connection.fetchval("SELECT 1"))
    seen.append(connection.is_in_transaction())
    return seen == ["repeatable read", "42703", 1, False], seen


@asynchronous
async def pool_resets_its_sessions(uri):
    async with asyncpg.create_pool(uri, min_size=1, max_size=1) as pool:
        async with pool.acquire() as connection:
            await connection.execute("SET timezone = 'Asia/Tokyo'")
            inside = await connection.fetchval("SHOW timezone")
        async with pool.acquire() as connection:
            after = await connection.fetchval("SHOW timezone")
        many = await asyncio.gather(*(pool.fetchval("SELECT label FROM clients.numbers WHERE n = $1", n) for n in range(1, 9)))
    return inside != after, [inside, after, many]


@asynchronous
async def pool_under_load(uri):
    async with asyncpg.create_pool(uri, min_size=4, max_size=4) as pool:
        got = await asyncio.gather(*(pool.fetchval("SELECT n FROM clients.numbers WHERE n = $1", n % 100 + 1) for n in range(200)))
    return got == [n % 100 + 1 for n in range(200)], len(got)


@asynchronous
async def copy_from_query(uri):
    connection = await connect(uri)
    got = []
    for options in ({"format": "csv", "header": True}, {"format": "text", "delimiter": "|"}, {"format": "binary"}):
        sink = io.BytesIO()
        status = await connection.copy_from_query(
            "SELECT n, label FROM clients.numbers WHERE n <= $1 ORDER BY n", 3, output=sink, **options)
        got.append([status, sink.getvalue()])
    return got[0][0] == "COPY 3", got


@asynchronous
async def copy_from_table(uri):
    connection = await connect(uri)
    sink = io.BytesIO()
    status = await connection.copy_from_table("numbers", schema_name="clients", columns=["label"], output=sink, format="csv")
    return status == "COPY 100", sink.getvalue()[:40]


@asynchronous
async def several_statements_in_one_query(uri):
    connection = await connect(uri)
    return True, [await connection.execute("SELECT 1; SELECT 2"), await failure(connection, "SELECT 1; SELECT 2")]


@asynchronous
async def errors_have_state_and_position(uri):
    connection = await connect(uri)
    return True, [
        await failure(connection, "SELECT 'ü', nope FROM clients.numbers WHERE n = $1", 1),
        await failure(connection, "SELECT * FROM clients.nothing"),
        await failure(connection, "SELEC 1"),
        await failure(connection, "SELECT 1 / (n - 1) FROM clients.numbers WHERE n = $1", 1),
    ]


@asynchronous
async def timeout_cancels(uri):
    connection = await connect(uri)
    started = time.monotonic()
    try:
        await connection.fetch(SLOW, timeout=CANCEL_AFTER_SECONDS)
        got = "no error"
    except TimeoutError:
        got = "timeout"
    return got == "timeout" and time.monotonic() - started < 10, [got, await connection.fetchval("SELECT 1")]


@asynchronous
async def statement_timeout(uri):
    connection = await connect(uri, server_settings={"statement_timeout": "700"})
    return True, [await failure(connection, SLOW), await connection.fetchval("SELECT 1")]


@asynchronous
async def session_settings_at_login(uri):
    connection = await connect(uri, server_settings={"search_path": "clients", "timezone": "Asia/Tokyo", "application_name": "checks"})
    return True, [await connection.fetchval("SELECT count(*) FROM numbers"),
                  await connection.fetchval("SHOW timezone"), await connection.fetchval("SHOW application_name")]


@asynchronous
async def reset_of_a_session(uri):
    connection = await connect(uri)
    await connection.execute("SET timezone = 'Asia/Tokyo'")
    await connection.reset()
    await connection.reload_schema_state()
    return True, [await connection.fetchval("SHOW timezone"), tuples(await connection.fetch("SELECT n FROM clients.numbers WHERE n = $1", 5))]


@asynchronous
async def types_are_looked_up_in_the_catalogue(uri):
    """A composite and an enum-like array: asyncpg sends its recursive question about pg_type."""
    connection = await connect(uri)
    got = await connection.fetch("SELECT (k.id, k.name) AS pair, ARRAY[k.day] AS days, int4range(1, k.id + 5) AS part FROM clients.kinds AS k WHERE id < 3 ORDER BY id")
    table = await connection.fetchval("SELECT t FROM clients.numbers AS t WHERE n = 4")
    return True, [[[tuple(one[0]), one[1], repr(one[2])] for one in got], tuple(table)]


CHECKS = [
    connects, query_without_parameters, every_type_in_binary, parameters_of_many_types, numeric_extremes,
    prepared_statement_tells_its_types, prepared_statement_runs_many_times, statement_cache_may_be_off, many_rows_in_one_call,
    cursor, cursor_outside_a_transaction_is_refused, transactions_and_savepoints, pool_resets_its_sessions, pool_under_load,
    copy_from_query, copy_from_table, several_statements_in_one_query, errors_have_state_and_position, timeout_cancels,
    statement_timeout, session_settings_at_login, reset_of_a_session, types_are_looked_up_in_the_catalogue,
]

if __name__ == "__main__":
    run(CHECKS)
