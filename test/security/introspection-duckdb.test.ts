import { deepEqual, ok } from "node:assert/strict"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, it } from "node:test"
import { DuckDBInstance } from "@duckdb/node-api"
import { makeVerifier } from "../../src/wire/scram.ts"
import { query } from "../support/frontend-encoder.ts"
import { type RunningGateway, startGateway } from "../support/gateway.ts"
import { type BackendMessage, errors, textRows, WireClient } from "../support/wire-client.ts"

const seed = `
CREATE SCHEMA vault;
CREATE TABLE vault.topsecret (keyhole integer PRIMARY KEY);
CREATE SCHEMA sales;
CREATE TABLE sales.customers (id integer PRIMARY KEY, email text UNIQUE, zssn text CHECK (length(zssn) > 0), note text);
CREATE INDEX customers_zssn_idx ON sales.customers (zssn);
CREATE INDEX customers_note_idx ON sales.customers (note);
COMMENT ON COLUMN sales.customers.zssn IS 'zssn remark';
CREATE VIEW sales.v_customers AS SELECT id FROM sales.customers WHERE zssn IS NOT NULL;
CREATE TABLE sales.codes (zssn text PRIMARY KEY, word text);
CREATE TABLE sales.uses (code text REFERENCES sales.codes (zssn), id integer);
INSERT INTO sales.customers VALUES (1, 'a', 's', 'n');
`

const policies = `
relations:
  sales.customers:
    deniedColumns: [{ columns: [ZSSN], exceptRoles: [everything, narrow] }]
  sales.codes:
    deniedColumns: [{ columns: [zssn], exceptRoles: [everything, narrow] }]
`

/** Every way to the catalogue that a client has; some are refused, none may show what is hidden. */
const ways: readonly string[] = [
  "SELECT * FROM pg_class",
  "SELECT * FROM pg_attribute",
  "SELECT * FROM pg_constraint",
  "SELECT pg_get_constraintdef(oid) FROM pg_constraint",
  "SELECT * FROM pg_index",
  "SELECT * FROM pg_indexes",
  "SELECT * FROM pg_description",
  "SELECT * FROM pg_views",
  "SELECT * FROM pg_seclabel",
  "SELECT pg_get_viewdef(oid) FROM pg_class WHERE relkind = 'v'",
  "SELECT * FROM information_schema.columns",
  "SELECT * FROM information_schema.tables",
  "SELECT * FROM information_schema.key_column_usage",
  "SELECT * FROM information_schema.views",
  "SELECT n::regclass FROM generate_series(16384, 17000) AS g(n)",
  "SELECT (NULL::sales.customers).*",
  "SELECT * FROM duckdb_columns()",
  "SELECT * FROM duckdb_tables()",
  "SELECT * FROM duckdb_views()",
  "SELECT * FROM duckdb_schemas()",
  "SELECT * FROM duckdb_constraints()",
  "SELECT * FROM duckdb_indexes()",
  "SELECT * FROM duckdb_columns",
  "SELECT * FROM main.duckdb_tables",
  "SELECT * FROM system.information_schema.columns",
  "SELECT * FROM sqlite_master",
  "SELECT * FROM pragma_table_info('sales.customers')",
  "PRAGMA table_info('sales.customers')",
  "DESCRIBE sales.customers",
  "SHOW TABLES",
  "SHOW ALL TABLES",
  "SUMMARIZE sales.customers",
]

const text = (messages: readonly BackendMessage[], sql: string): string =>
  messages.map(({ body }) => body.toString("latin1").replaceAll(sql, "")).join("\n")

describe("introspection of DuckDB by readers who may not see everything", () => {
  let folder = ""
  let gateway: RunningGateway
  const clients = new Map<string, WireClient>()
  const as = (user: string): WireClient => {
    const client = clients.get(user)
    if (client === undefined) throw new Error(`${user} is not connected`)
    return client
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-introspection-"))
    const path = join(folder, "mart.duckdb")
    const instance = await DuckDBInstance.create(path)
    const connection = await instance.connect()
    await connection.run(seed)
    connection.closeSync()
    instance.closeSync()
    const policiesFile = join(folder, "policies.yaml")
    await writeFile(policiesFile, policies)
    const password = "correct horse"
    const verifier = JSON.stringify(await makeVerifier(password))
    gateway = await startGateway({
      config: `warehouses: { warehouse: { engine: duckdb, path: ${JSON.stringify(path)} } }
policiesFile: ${JSON.stringify(policiesFile)}
roles:
  everything: { relations: { allow: ["*"] } }
  narrow: { relations: { allow: ["sales.*"] } }
  tenant: { relations: { allow: ["sales.*"] } }
users:
  all: { verifier: ${verifier}, roles: [everything] }
  narrow: { verifier: ${verifier}, roles: [narrow] }
  tenant: { verifier: ${verifier}, roles: [tenant] }
`,
      login: { user: "all", password },
    })
    const { port } = gateway
    for (const user of ["all", "narrow", "tenant"])
      clients.set(
        user,
        await WireClient.connect({
          port,
          user,
          password,
          database: "warehouse",
          waitMsMax: 60_000,
        }),
      )
  })
  after(async () => {
    for (const client of clients.values()) client.destroy()
    await gateway.stop()
    await rm(folder, { recursive: true, force: true })
  })

  for (const [user, words] of [
    ["narrow", /topsecret|keyhole|vault/],
    ["tenant", /topsecret|keyhole|vault|zssn/],
  ] as const)
    for (const sql of ways)
      it(`shows ${user} nothing hidden: ${sql}`, async () => {
        const shown = text(await as(user).query(query(sql)), sql)
        ok(!words.test(shown), `it shows ${words.exec(shown)?.[0]}: ${shown.slice(0, 500)}`)
      })

  it("the columns of a table differ by reader, at every repetition", async () => {
    const sql =
      "SELECT attname FROM pg_attribute WHERE attrelid = 'sales.customers'::regclass AND attnum > 0 ORDER BY attnum"
    for (let round = 0; round < 2; round += 1)
      for (const [user, columns] of [
        ["all", ["id", "email", "zssn", "note"]],
        ["narrow", ["id", "email", "zssn", "note"]],
        ["tenant", ["id", "email", "note"]],
      ] as const) {
        const messages = await as(user).query(query(sql))
        deepEqual([errors(messages)[0]?.["M"], textRows(messages).flat()], [undefined, columns])
      }
  })

  it("keys and indexes over visible columns stay", async () => {
    const sql =
      "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = 'sales.customers'::regclass"
    const names = textRows(await as("tenant").query(query(sql))).flat()
    ok(names.includes("customers_note_idx") && names.length === 3, names.join(" "))
  })

  it("functions that psql asks the catalogue by are open to readers with policies", async () => {
    const sql =
      "SELECT array_upper(i.indkey::int2[], 1) IS NULL, pg_catalog.array_to_string(c.reloptions, ', ') FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid WHERE c.relname = 'customers' LIMIT 1"
    const messages = await as("tenant").query(query(sql))
    deepEqual([errors(messages)[0]?.["M"], textRows(messages).length], [undefined, 1])
  })

  it("who may read everything finds all of it", async () => {
    for (const sql of ["SELECT * FROM pg_attribute", "SELECT * FROM information_schema.columns"]) {
      const shown = text(await as("all").query(query(sql)), sql)
      ok(/keyhole/.test(shown) && /zssn/.test(shown))
    }
  })
})
