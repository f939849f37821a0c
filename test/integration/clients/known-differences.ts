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

const noCatalogue =
  "DuckDB's own pg_catalog is not PostgreSQL's; introspection over it waits for the shadow catalogue."
const noPosition =
  "DuckDB runs a rewritten statement, and a place in that is none in the client's text; DuckDB also names functions without their argument types."
const ownTypes =
  "DuckDB has one text type (reported as text, not varchar) and sums integers to HUGEINT, which is numeric on the wire, not bigint."
const noTermination =
  "pg_terminate_backend is refused until write sessions and session administration are there."

export const knownDifferences: readonly KnownDifference[] = [
  { engine: "duckdb", client: "psql", check: "variables and gdesc", reason: noCatalogue },
  {
    engine: "duckdb",
    client: "psql",
    check: "settings go with their transaction",
    reason: "Over DuckDB only DateStyle ISO is served; others are refused by name.",
  },
  { engine: "duckdb", client: "psql", check: "errors show state and place", reason: noPosition },
  { engine: "duckdb", client: "psql", check: "describe", reason: noCatalogue },
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
  { engine: "duckdb", check: "sqlalchemy reflection", reason: noCatalogue },
  { engine: "duckdb", check: "stop by sql from another connection", reason: noTermination },
  { engine: "postgres", check: "stop by sql from another connection", reason: noTermination },
  {
    engine: "postgres",
    client: "node",
    check: "errors have state and position",
    reason:
      "A parameter number that the statement skips is refused at Bind (08P01); PostgreSQL refuses it at Parse (42P18), which needs its type analysis.",
  },
]
