import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, it } from "node:test"
import { DuckDBInstance } from "@duckdb/node-api"
import type { CatalogSnapshot } from "../../../src/core/catalog.ts"
import { type RelationName, relationName } from "../../../src/core/relation.ts"
import { DuckdbAdapter } from "../../../src/warehouse/duckdb/adapter.ts"
import { memoryOptions, never } from "./harness.ts"

const schema = `
  CREATE SCHEMA s;
  CREATE TABLE t (x INT);
  CREATE TABLE s.t (x INT);
  CREATE TABLE s."we.ird "" name" (x INT);
  CREATE VIEW plain AS SELECT x + 1 AS y FROM t;
  CREATE VIEW s.inner_name AS SELECT * FROM t;
  CREATE VIEW s.of_views AS SELECT * FROM s.inner_name JOIN main.plain ON true;
  CREATE VIEW s."x AS y" (a) AS SELECT count(*) FROM s.t WHERE x IN (SELECT x FROM main.t);
  CREATE VIEW s.weird AS SELECT * FROM s."we.ird "" name";
  CREATE VIEW cte AS WITH t AS (SELECT * FROM t), u AS (SELECT 1 AS one) SELECT * FROM t, u;
  CREATE VIEW clock AS SELECT now() AS at;
  CREATE VIEW dice AS SELECT random() AS r FROM t;
  CREATE MACRO double_it(a) AS a * 2;
  CREATE VIEW by_macro AS SELECT double_it(x) AS d FROM t;
  CREATE VIEW hidden AS SELECT * FROM query('SELECT * FROM s.t');`

let folder: string
let snapshot: CatalogSnapshot

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "duckdb-catalog-"))
  const path = join(folder, "one.duckdb")
  const instance = await DuckDBInstance.create(path)
  const duck = await instance.connect()
  await duck.run(schema)
  duck.closeSync()
  instance.closeSync()
  const adapter = new DuckdbAdapter({ ...memoryOptions, path })
  const connection = await adapter.connect(never)
  snapshot = await adapter.readCatalog(connection, never)
  const again = await adapter.readCatalog(connection, never)
  assert.equal(again.version, snapshot.version)
  connection.close()
  await adapter.close()
})
after(() => rmSync(folder, { recursive: true, force: true }))

/** View, what it reads, and whether something in it is not known to be immutable. */
const views: readonly (readonly [RelationName, readonly RelationName[], boolean])[] = [
  [relationName("main", "plain"), [relationName("main", "t")], false],
  [relationName("s", "inner_name"), [relationName("s", "t")], false],
  [
    relationName("s", "of_views"),
    [relationName("s", "inner_name"), relationName("main", "plain")],
    false,
  ],
  [relationName("s", "x AS y"), [relationName("s", "t"), relationName("main", "t")], false],
  [relationName("s", "weird"), [relationName("s", 'we.ird " name')], false],
  [relationName("main", "cte"), [relationName("main", "t")], false],
  [relationName("main", "clock"), [], true],
  [relationName("main", "dice"), [relationName("main", "t")], true],
  [relationName("main", "by_macro"), [relationName("main", "t")], true],
  [relationName("main", "hidden"), [], true],
]

describe("the catalogue of a DuckDB file", () => {
  for (const [name, dependsOn, isVolatile] of views) {
    it(`follows ${name}`, () => {
      const relation = snapshot.relations.get(name)
      assert.equal(relation?.kind, "view")
      assert.deepEqual(new Set(relation?.dependsOn), new Set(dependsOn))
      assert.equal(relation?.volatileDefinition, isVolatile)
    })
  }

  it("lists tables and the system's own views, and nothing of the engine's main schema", () => {
    assert.equal(snapshot.relations.get(relationName("s", "t"))?.kind, "table")
    const system = snapshot.relations.get(relationName("pg_catalog", "pg_class"))
    assert.equal(system?.volatileDefinition, true)
    const names = [...snapshot.relations.keys()]
    assert.ok(!names.some((name) => name.includes("duckdb_") || name.includes("sqlite_")))
  })

  it("knows functions by their worst volatility, PostgreSQL's names included", () => {
    const volatility = (name: string) => snapshot.functions.get(relationName("pg_catalog", name))
    assert.equal(volatility("lower"), "immutable")
    assert.equal(volatility("now"), "stable")
    assert.equal(volatility("random"), "volatile")
    assert.equal(volatility("read_csv"), "volatile")
    assert.equal(volatility("btrim"), "immutable")
    assert.equal(volatility("to_char"), "stable")
    assert.equal(snapshot.functions.get(relationName("main", "double_it")), "volatile")
  })

  it("compares names without regard to case", () => assert.equal(snapshot.foldsCase, true))
})
