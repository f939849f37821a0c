import { deepEqual, equal, notEqual, ok } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import type { CatalogSnapshot } from "../../../src/core/catalog.ts"
import { relationName } from "../../../src/core/relation.ts"
import type { PostgresAdapter } from "../../../src/warehouse/postgres/adapter.ts"
import type { WarehouseConnection } from "../../../src/warehouse/warehouse.ts"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"
import { adapterOf, never, rowsOf } from "./support.ts"

let server: TestPostgres
let adapter: PostgresAdapter
let connection: WarehouseConnection
let snapshot: CatalogSnapshot

const schemaSql = `
CREATE SCHEMA mart;
CREATE SCHEMA "Mixed.Case";
CREATE TABLE mart.orders (id int, at timestamptz, amount numeric, note text);
CREATE TABLE "Mixed.Case"."T x" (id int);
CREATE TABLE mart.events (day date, n int) PARTITION BY RANGE (day);
CREATE TABLE mart.events_1 PARTITION OF mart.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE mart.parent (id int);
CREATE TABLE mart.child (extra int) INHERITS (mart.parent);
CREATE INDEX ON mart.events (day);
CREATE SEQUENCE mart.ids;
CREATE VIEW mart.v_plain AS SELECT id, upper(note) || 'x' AS note, date_trunc('day', at) AS day, to_char(at, 'YYYY') AS y
  FROM mart.orders WHERE amount > 1;
CREATE VIEW mart.v_over AS SELECT count(*) AS n, sum(v.id) OVER () AS s FROM mart.v_plain v
  WHERE EXISTS (SELECT 1 FROM "Mixed.Case"."T x" t WHERE t.id = v.id) GROUP BY v.id;
CREATE VIEW mart.v_random AS SELECT random() AS r FROM mart.orders;
CREATE VIEW mart.v_now AS SELECT now() - at AS age FROM mart.orders;
CREATE VIEW mart.v_date AS SELECT * FROM mart.orders WHERE at > CURRENT_DATE;
CREATE VIEW mart.v_user AS SELECT current_user AS who;
CREATE VIEW mart.v_age AS SELECT age(at) FROM mart.orders;
CREATE VIEW mart.v_age_two AS SELECT age(at::timestamp, timestamp '2026-01-01') FROM mart.orders;
CREATE VIEW mart.v_sample AS SELECT * FROM mart.orders TABLESAMPLE SYSTEM (10);
CREATE VIEW mart.v_system AS SELECT relname FROM pg_class;
CREATE MATERIALIZED VIEW mart.m AS SELECT * FROM mart.orders;
CREATE FUNCTION mart.f_stable(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT $1';
CREATE FUNCTION mart.f_fixed(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION mart.f_two(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION mart.f_two(text) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
CREATE VIEW mart.v_user_stable AS SELECT mart.f_stable(id) FROM mart.orders;
CREATE VIEW mart.v_user_fixed AS SELECT mart.f_fixed(id) FROM mart.orders;
CREATE FUNCTION mart.shaky(int, int) RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT random() > 0.5';
CREATE FUNCTION mart.firm(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 = $2';
CREATE OPERATOR mart.=~= (FUNCTION = mart.shaky, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR mart.=== (FUNCTION = mart.firm, LEFTARG = int, RIGHTARG = int);
CREATE TEMP TABLE gone (id int);
`

before(async () => {
  server = await startPostgres()
  await server.run(schemaSql)
  adapter = adapterOf(server.uri)
  connection = await adapter.connect(never)
  snapshot = await adapter.readCatalog(connection, never)
})

after(async () => {
  await adapter.close()
  await server.stop()
})

function relation(name: string, schema = "mart") {
  return snapshot.relations.get(relationName(schema, name))
}

describe("the catalogue", () => {
  it("holds every kind of relation, system schemas included, and no temporary ones", () => {
    deepEqual(
      ["orders", "events", "v_plain", "m", "ids"].map((name) => relation(name)?.kind),
      ["table", "partitioned_table", "view", "materialized_view", "sequence"],
    )
    equal(relation("pg_class", "pg_catalog")?.kind, "table")
    equal(relation("tables", "information_schema")?.kind, "view")
    equal(relation("T x", "Mixed.Case")?.name, '"Mixed.Case"."T x"')
    equal(
      [...snapshot.relations.keys()].some((name) => name.includes("gone")),
      false,
    )
    deepEqual(snapshot.implicitSchemas, ["pg_catalog"])
  })

  it("knows what views, partitions and heirs are made of", () => {
    deepEqual(relation("v_plain")?.dependsOn, ["mart.orders"])
    deepEqual(relation("v_over")?.dependsOn, ['"Mixed.Case"."T x"', "mart.v_plain"])
    deepEqual(relation("v_system")?.dependsOn, ["pg_catalog.pg_class"])
    deepEqual(relation("events")?.dependsOn, ["mart.events_1"])
    deepEqual(relation("parent")?.dependsOn, ["mart.child"])
    deepEqual(relation("m")?.dependsOn, [])
  })

  for (const [name, expected] of [
    ["v_plain", false],
    ["v_over", false],
    ["v_age_two", false],
    ["v_user_fixed", false],
    ["v_random", true],
    ["v_now", true],
    ["v_date", true],
    ["v_user", true],
    ["v_age", true],
    ["v_sample", true],
    ["v_user_stable", true],
  ] as const) {
    it(`calls the definition of ${name} ${expected ? "volatile" : "fixed"}`, () => {
      equal(relation(name)?.volatileDefinition, expected)
    })
  }

  it("knows the worst volatility of every function's name", () => {
    deepEqual(
      ["pg_catalog.upper", "pg_catalog.now", "pg_catalog.random", "mart.f_two", "mart.f_fixed"].map(
        (name) => snapshot.functions.get(name),
      ),
      ["immutable", "stable", "volatile", "volatile", "immutable"],
    )
  })

  it("names user operators whose answer is not fixed by their arguments", () => {
    deepEqual([...snapshot.userOperators], ["=~="])
  })

  it("keeps its version while nothing changes, and changes it when a table is made anew", async () => {
    const again = await adapter.readCatalog(connection, never)
    equal(again.version, snapshot.version)
    await server.run(
      "DROP TABLE mart.child; CREATE TABLE mart.child (extra int) INHERITS (mart.parent)",
    )
    notEqual((await adapter.readCatalog(connection, never)).version, snapshot.version)
  })

  it("is read without a trace on the connection", async () => {
    equal(connection.state, "clean")
    deepEqual(await rowsOf(connection, "SHOW search_path"), [['"$user", public']])
    ok(snapshot.version.length > 0)
  })
})
