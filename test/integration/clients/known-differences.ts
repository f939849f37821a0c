/**
 * Checks whose answer may differ from direct PostgreSQL's, each with its reason. An entry that has come to agree fails the
 * test too, so that the list never says more than is true.
 */
export type KnownDifference = {
  readonly engine: "postgres" | "duckdb"
  /** Part of the client program's name; undefined = every client that has the check. */
  readonly client?: string
  readonly check: string
  readonly reason: string
}

const ownCatalogue =
  "The shadow catalogue is PostgreSQL's, of another version, with an owner, oids and DuckDB's types (text in place of varchar) of its own."
const noPosition =
  "DuckDB runs a rewritten statement, and a place in that is none in the client's text; DuckDB also names functions without their argument types."
const ownTypes =
  "DuckDB has one text type (reported as text, not varchar) and sums integers to HUGEINT, which is numeric on the wire, not bigint."

/** Checks of one client that differ over DuckDB for one reason. */
function overDuckdb(client: string, reason: string, checks: readonly string[]): KnownDifference[] {
  return checks.map((check) => ({ engine: "duckdb", client, check, reason }))
}

export const knownDifferences: readonly KnownDifference[] = [
  {
    engine: "duckdb",
    client: "psql",
    check: "settings go with their transaction",
    reason: "Over DuckDB only DateStyle ISO is served; others are refused by name.",
  },
  { engine: "duckdb", client: "psql", check: "errors show state and place", reason: noPosition },
  { engine: "duckdb", client: "psql", check: "describe", reason: ownCatalogue },
  { engine: "duckdb", check: "column types are described", reason: ownTypes },
  { engine: "duckdb", check: "every type", client: "node", reason: ownTypes },
  { engine: "duckdb", client: "psycopg2", check: "search path is honoured", reason: noPosition },
  { engine: "duckdb", check: "errors have state and position", reason: noPosition },
  {
    engine: "duckdb",
    client: "psycopg 3",
    check: "failed transaction recovers",
    reason: noPosition,
  },
  { engine: "duckdb", client: "node", check: "failed transaction recovers", reason: noPosition },
  { engine: "duckdb", client: "psycopg2", check: "the same question twice", reason: ownTypes },
  {
    engine: "duckdb",
    check: "sqlalchemy connects",
    reason: "DuckDB's default schema is called main, not public.",
  },
  { engine: "duckdb", check: "sqlalchemy a chart as superset asks for it", reason: ownTypes },
  { engine: "duckdb", check: "sqlalchemy reflection", reason: ownCatalogue },
  ...overDuckdb("asyncpg", "A decimal without a declared scale comes back with DuckDB's.", [
    "parameters of many types",
  ]),
  ...overDuckdb("asyncpg", "DuckDB has no range types.", ["types are looked up in the catalogue"]),
  ...overDuckdb("asyncpg", "DuckDB's decimals have no NaN.", ["numeric extremes"]),
  ...overDuckdb("pg-cursor", "DuckDB computes rows in batches: the error comes before the first.", [
    "cursor tells its error",
  ]),
  ...overDuckdb("postgres.js", ownTypes, [
    "query without parameters",
    "every type",
    "statement is described without being run",
  ]),
  ...overDuckdb("Npgsql", ownCatalogue, ["types are loaded by four statements in one query"]),
  ...overDuckdb("pgjdbc", ownCatalogue, ["database metadata"]),
  ...overDuckdb("pgjdbc", ownTypes, ["parameters of many types", "statement is described"]),
  ...overDuckdb(
    "asyncpg",
    "asyncpg quotes parameters by quote_literal(), which DuckDB does not have.",
    ["copy from query"],
  ),
]
