import { deepEqual, equal, notEqual } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import type { CatalogInterest, CatalogSnapshot } from "../../../src/core/catalog.ts"
import { CatalogMemo } from "../../../src/warehouse/postgres/catalog-memo.ts"
import { PostgresConnection } from "../../../src/warehouse/postgres/connection.ts"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"
import { adapterOf, never } from "./support.ts"

const seed = `
CREATE SCHEMA mart;
CREATE TABLE mart.orders (id int PRIMARY KEY, total numeric);
CREATE TABLE mart.other (id int PRIMARY KEY);
CREATE TABLE mart.parts (day date) PARTITION BY RANGE (day);
CREATE TABLE mart.part (day date);
CREATE VIEW mart.v AS SELECT id, total FROM mart.orders;
CREATE MATERIALIZED VIEW mart.m AS SELECT count(*) FROM mart.orders;
CREATE FUNCTION mart.f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE COLLATION mart.c (provider = icu, locale = 'en');
CREATE VIEW mart.sorted AS SELECT lower('a') COLLATE mart.c AS name, total FROM mart.orders;
`

const interest: CatalogInterest = [{ schema: "mart", relation: "orders" }]

/** One after the other, on the same database: whatever changes what a full reading gives. */
const changes: readonly (readonly [title: string, sql: string])[] = [
  ["a new table", "CREATE TABLE mart.fresh (id int)"],
  ["a table made anew", "DROP TABLE mart.fresh; CREATE TABLE mart.fresh (id int)"],
  [
    "a table swapped by renaming",
    "BEGIN; ALTER TABLE mart.fresh RENAME TO old; ALTER TABLE mart.other RENAME TO fresh; COMMIT",
  ],
  [
    "a view over another table",
    "CREATE OR REPLACE VIEW mart.v AS SELECT id, 1::numeric AS total FROM mart.old",
  ],
  [
    "a view turned volatile",
    "CREATE OR REPLACE VIEW mart.v AS SELECT id, random()::numeric AS total FROM mart.orders",
  ],
  ["a column's name", "ALTER TABLE mart.orders RENAME COLUMN total TO amount"],
  [
    "a column's type",
    "ALTER TABLE mart.old ALTER COLUMN id TYPE bigint; ALTER TABLE mart.orders ADD COLUMN note text",
  ],
  ["a dropped column", "ALTER TABLE mart.orders DROP COLUMN note"],
  ["a dropped key", "ALTER TABLE mart.orders DROP CONSTRAINT orders_pkey"],
  [
    "an attached partition",
    "ALTER TABLE mart.parts ATTACH PARTITION mart.part FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
  ],
  ["a detached partition", "ALTER TABLE mart.parts DETACH PARTITION mart.part"],
  ["a function's volatility", "ALTER FUNCTION mart.f(int) VOLATILE"],
  [
    "a new overload",
    "CREATE FUNCTION mart.f(text) RETURNS int LANGUAGE sql STABLE AS 'SELECT 2'; ALTER FUNCTION mart.f(int) IMMUTABLE",
  ],
  ["a new schema", "CREATE SCHEMA empty"],
  ["a schema's name", "ALTER SCHEMA empty RENAME TO emptied"],
  ["a collation's name", "ALTER COLLATION mart.c RENAME TO d"],
  [
    "a trigger",
    "CREATE FUNCTION mart.t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER t AFTER INSERT ON mart.orders EXECUTE FUNCTION mart.t()",
  ],
  ["a domain with a check", "CREATE DOMAIN mart.positive AS int CHECK (value > 0)"],
  [
    "a cast of a user's",
    "CREATE TYPE mart.pair AS (a int); CREATE FUNCTION mart.to_pair(int) RETURNS mart.pair LANGUAGE sql AS 'SELECT ROW($1)::mart.pair'; CREATE CAST (int AS mart.pair) WITH FUNCTION mart.to_pair(int)",
  ],
  [
    "an operator of a user's",
    "CREATE OPERATOR mart.=~= (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int); CREATE FUNCTION mart.e(int, int) RETURNS bool LANGUAGE sql AS 'SELECT true'; CREATE OPERATOR mart.=~~= (FUNCTION = mart.e, LEFTARG = int, RIGHTARG = int)",
  ],
  ["a dropped view", "DROP VIEW mart.v"],
  ["a rule", "CREATE RULE r AS ON INSERT TO mart.old DO ALSO NOTIFY changed"],
]

const noChanges: readonly (readonly [title: string, sql: string])[] = [
  ["nothing", "SELECT 1"],
  ["rows", "INSERT INTO mart.old SELECT generate_series(10, 5000); DELETE FROM mart.old"],
  ["a change that is rolled back", "BEGIN; CREATE TABLE mart.never (id int); ROLLBACK"],
  ["VACUUM of a table", "VACUUM mart.old"],
  ["ANALYZE of a table", "ANALYZE mart.old"],
]

describe("a catalogue that is looked at before it is read again", () => {
  let server: TestPostgres
  let connection: PostgresConnection
  const memo = new CatalogMemo()

  before(async () => {
    server = await startPostgres()
    await server.run(seed)
    const opened = await adapterOf(server.uri).connect(never)
    if (!(opened instanceof PostgresConnection)) throw new Error("another engine's connection")
    connection = opened
  })
  after(async () => {
    connection.close()
    await server.stop()
  })

  const read = (): Promise<CatalogSnapshot> => memo.read(connection, never, interest)
  const readAnew = (): Promise<CatalogSnapshot> =>
    new CatalogMemo().read(connection, never, interest)

  for (const [title, sql] of changes) {
    it(`is read again after ${title}`, async () => {
      const known = await read()
      await server.run(sql)
      const now = await read()
      notEqual(now.version, known.version)
      deepEqual(now, await readAnew())
    })
  }

  for (const [title, sql] of noChanges) {
    it(`stays the same object after ${title}`, async () => {
      const known = await read()
      // VACUUM takes no company.
      for (const one of sql.startsWith("BEGIN") ? [sql] : sql.split("; ")) await server.run(one)
      equal(await read(), known)
    })
  }

  it("is read again for other columns", async () => {
    const known = await read()
    const other = await memo.read(connection, never, [{ schema: "mart", relation: "parts" }])
    notEqual(other.version, known.version)
    deepEqual(await read(), known)
  })
})
