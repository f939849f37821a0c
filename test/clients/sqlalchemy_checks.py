"""SQLAlchemy 1.4 or 2.0 over whichever driver the program names with `use_driver`."""

import datetime
import decimal

import sqlalchemy
from report import KINDS
from sqlalchemy.pool import NullPool

_driver = ["psycopg2"]


def use_driver(name):
    _driver[0] = name


def engine(uri, **options):
    if "pool_size" not in options:
        options["poolclass"] = NullPool
    return sqlalchemy.create_engine(uri.replace("postgresql:", f"postgresql+{_driver[0]}:", 1), future=True, **options)


def sqlstate(error):
    return getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlstate", None)


def scalar(connection, sql, **parameters):
    return connection.execute(sqlalchemy.text(sql), parameters).scalar()


def sqlalchemy_connects(uri):
    with engine(uri).connect() as connection:
        dialect = connection.dialect
        return dialect.server_version_info >= (9, 6), [dialect.default_schema_name, connection.get_isolation_level()]


def sqlalchemy_text_with_parameters(uri):
    with engine(uri).connect() as connection:
        result = connection.execute(
            sqlalchemy.text("SELECT n, label FROM clients.numbers WHERE n BETWEEN :low AND :high ORDER BY n"),
            {"low": 3, "high": 5},
        )
        return True, [list(result.keys()), [tuple(row) for row in result]]


def sqlalchemy_expression(uri):
    numbers = sqlalchemy.table("numbers", sqlalchemy.column("n"), sqlalchemy.column("label"), schema="clients")
    query = (
        sqlalchemy.select(sqlalchemy.func.count().label("rows"), sqlalchemy.func.max(numbers.c.label).label("last"))
        .where(numbers.c.n.in_([1, 2, 3]))
        .where(numbers.c.label.like("label %"))
    )
    with engine(uri).connect() as connection:
        return True, [tuple(row) for row in connection.execute(query)]


def sqlalchemy_types(uri):
    with engine(uri).connect() as connection:
        got = [tuple(row) for row in connection.execute(sqlalchemy.text(KINDS))]
    first = got[0]
    return isinstance(first[6], decimal.Decimal) and isinstance(first[11], datetime.datetime), got


def sqlalchemy_rolls_back_after_an_error(uri):
    with engine(uri).connect() as connection:
        try:
            scalar(connection, "SELECT nope FROM clients.numbers")
        except sqlalchemy.exc.DBAPIError as error:
            state = sqlstate(error)
        connection.rollback()
        return state == "42703", [state, scalar(connection, "SELECT 1")]


def sqlalchemy_pool_gives_back_a_clean_session(uri):
    pooled = engine(uri, pool_size=1, max_overflow=0)
    with pooled.connect() as connection:
        before = scalar(connection, "SHOW timezone")
        connection.execute(sqlalchemy.text("SET timezone = 'Asia/Tokyo'"))
    with pooled.connect() as connection:
        after = scalar(connection, "SHOW timezone")
    pooled.dispose()
    return before == after, before


def sqlalchemy_streams_by_a_server_side_cursor(uri):
    with engine(uri).connect().execution_options(stream_results=True, max_row_buffer=10) as connection:
        result = connection.execute(sqlalchemy.text("SELECT n FROM clients.numbers ORDER BY n"))
        parts = [len(part) for part in result.partitions(16)]
    return sum(parts) == 100, parts


def sqlalchemy_a_chart_as_superset_asks_for_it(uri):
    """A new engine without a pool for every use, search_path first, then the one SELECT; twice, so that the second may hit."""
    got = []
    for _ in range(2):
        with engine(uri).connect() as connection:
            connection.execute(sqlalchemy.text('SET search_path = "clients"'))
            result = connection.execute(sqlalchemy.text(
                "SELECT label AS label, sum(n) AS \"SUM(n)\" FROM numbers GROUP BY label ORDER BY \"SUM(n)\" DESC LIMIT 3"))
            got.append([tuple(row) for row in result])
    return got[0] == got[1], got


def sqlalchemy_reflection(uri):
    inspector = sqlalchemy.inspect(engine(uri))
    columns = [[column["name"], str(column["type"]), column["nullable"]] for column in inspector.get_columns("kinds", schema="clients")]
    return True, {
        "schemas": [name for name in inspector.get_schema_names() if name == "clients"],
        "tables": sorted(inspector.get_table_names(schema="clients")),
        "views": sorted(inspector.get_view_names(schema="clients")),
        "columns": columns,
        "key": inspector.get_pk_constraint("numbers", schema="clients")["constrained_columns"],
    }


CHECKS = [
    sqlalchemy_connects, sqlalchemy_text_with_parameters, sqlalchemy_expression, sqlalchemy_types,
    sqlalchemy_rolls_back_after_an_error, sqlalchemy_pool_gives_back_a_clean_session,
    sqlalchemy_streams_by_a_server_side_cursor, sqlalchemy_a_chart_as_superset_asks_for_it, sqlalchemy_reflection,
]
