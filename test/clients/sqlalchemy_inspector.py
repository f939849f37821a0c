"""Every call of SQLAlchemy's inspector (1.4 or 2.0, by the environment it runs in) over the tables of test/integration/catalogue."""

import sqlalchemy
from report import run
from sqlalchemy.pool import NullPool

SCHEMAS = [None, "main", "sales"]


def inspected(uri, look):
    """look(inspector) over a connection of its own; names of types instead of types."""
    engine = sqlalchemy.create_engine(uri, poolclass=NullPool, future=True)
    with engine.connect() as connection:
        return True, named(look(sqlalchemy.inspect(connection)))


def named(value):
    if isinstance(value, dict):
        return {str(key): named(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [named(item) for item in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return repr(value)


def tables(inspector):
    return [(name, schema) for schema in SCHEMAS for name in inspector.get_table_names(schema=schema)]


def ordered(items):
    return sorted(items, key=lambda item: str(item.get("name")))


def of_every_table(call, order=lambda found: found):
    def check(uri):
        return inspected(
            uri,
            lambda inspector: [
                [schema, name, order(getattr(inspector, call)(name, schema=schema))] for name, schema in tables(inspector)
            ],
        )

    return check


def names(uri):
    return inspected(
        uri,
        lambda inspector: [
            inspector.default_schema_name,
            inspector.get_schema_names(),
            [[schema, sorted(inspector.get_table_names(schema=schema))] for schema in SCHEMAS],
            [[schema, sorted(inspector.get_view_names(schema=schema))] for schema in SCHEMAS],
            [[schema, inspector.get_sequence_names(schema=schema)] for schema in SCHEMAS],
            inspector.get_enums("*"),
            inspector.get_foreign_table_names(),
        ],
    )


def existence(uri):
    def look(inspector):
        with_views = [inspector.has_table(name) for name in ("orders", "Odd Name", "odd name", "nothing")]
        return [with_views, inspector.has_table("regions", schema="sales"), inspector.has_table("regions")]

    return inspected(uri, look)


def view_columns(uri):
    return inspected(uri, lambda inspector: inspector.get_columns("paid"))


def missing_table(uri):
    def look(inspector):
        try:
            return inspector.get_columns("nothing")
        except sqlalchemy.exc.NoSuchTableError as error:
            return ["NoSuchTableError", str(error)]

    return inspected(uri, look)


def reflection(uri):
    engine = sqlalchemy.create_engine(uri, poolclass=NullPool, future=True)
    metadata = sqlalchemy.MetaData()
    with engine.connect() as connection:
        metadata.reflect(connection, views=True)
    ddl = [str(sqlalchemy.schema.CreateTable(table).compile(engine)) for table in metadata.sorted_tables]
    indexes = sorted(str(sqlalchemy.schema.CreateIndex(index).compile(engine)) for table in metadata.sorted_tables for index in table.indexes)
    return len(ddl) > 3, [sorted(ddl), indexes]


def bulk(uri):
    """The calls for many tables at once, which SQLAlchemy 2.0 has."""
    if not hasattr(getattr(sqlalchemy, "Inspector", None), "get_multi_columns"):
        return True, "1.4"
    calls = ("columns", "pk_constraint", "foreign_keys", "indexes", "unique_constraints", "check_constraints", "table_comment")

    def look(inspector):
        found = {call: getattr(inspector, f"get_multi_{call}")(schema="main") for call in calls}
        return {call: sorted([str(key), str(named(item))] for key, item in answer.items()) for call, answer in found.items()}

    return inspected(uri, look)


def table_check(name, call, order=lambda found: found):
    check = of_every_table(call, order)
    check.__name__ = name
    return check


run(
    [
        names,
        existence,
        table_check("columns", "get_columns"),
        view_columns,
        missing_table,
        table_check("primary_keys", "get_pk_constraint"),
        table_check("foreign_keys", "get_foreign_keys", ordered),
        table_check("indexes", "get_indexes", ordered),
        table_check("unique_constraints", "get_unique_constraints", ordered),
        table_check("check_constraints", "get_check_constraints", ordered),
        table_check("comments", "get_table_comment"),
        reflection,
        bulk,
    ]
)
