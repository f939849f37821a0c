import { deepEqual, equal, match, ok, rejects } from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, it } from "node:test"
import { Client } from "pg"
import { postgresCatalogue } from "../../../src/core/postgres-catalogue.ts"
import { makeVerifier } from "../../../src/wire/scram.ts"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"

/** Means the same to both engines. */
const sharedSchema = `
  CREATE SCHEMA main;
  CREATE TABLE main.customers (id integer PRIMARY KEY, email text NOT NULL UNIQUE, note text DEFAULT 'it''s');
  CREATE TABLE main.orders (id bigint PRIMARY KEY, customer integer REFERENCES main.customers (id),
    amount numeric(10,2), placed timestamp with time zone, day date, ratio double precision, paid boolean);
  CREATE INDEX orders_day ON main.orders (day);
  CREATE VIEW main.paid AS SELECT id, amount FROM main.orders WHERE paid;
  COMMENT ON TABLE main.orders IS 'what was bought';
  COMMENT ON COLUMN main.orders.amount IS 'in euro';`

/** What a user with grants on `main` alone must find nowhere. */
const secretSchema = `
  CREATE SCHEMA vault;
  CREATE TABLE vault.topsecret (keyhole integer PRIMARY KEY, pass_phrase text CHECK (length(pass_phrase) > 3));
  CREATE SEQUENCE vault.secretcounter;
  COMMENT ON TABLE vault.topsecret IS 'topsecret remark';
  CREATE VIEW main.peep AS SELECT keyhole FROM vault.topsecret;
  CREATE TABLE main.denied_topsecret (keyhole integer);`
const secrets = /topsecret|keyhole|pass_phrase|secretcounter|vault|peep/

function runInDuckdb(file: string, sql: string): void {
  const script = `
    import { DuckDBInstance } from "@duckdb/node-api"
    const instance = await DuckDBInstance.create(${JSON.stringify(file)})
    const connection = await instance.connect()
    await connection.run(${JSON.stringify(sql)})
    connection.disconnectSync()
    instance.closeSync()`
  execFileSync(process.execPath, ["--input-type=module", "-e", script])
}

/** Questions that PostgreSQL with the same tables answers alike, oids apart. */
const sameAnswers: readonly (readonly [title: string, sql: string])[] = [
  [
    "columns with their types",
    `SELECT c.relname, a.attname, a.atttypid::int, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull,
       pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS "default"
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE n.nspname = 'main' AND c.relkind IN ('r', 'v') AND a.attnum > 0
       AND c.relname IN ('customers', 'orders', 'paid') ORDER BY c.relname, a.attnum`,
  ],
  [
    "keys and their columns",
    `SELECT contype::text, conrelid::regclass::text AS t, confrelid::regclass::text AS f, conkey::text, confkey::text,
       pg_get_constraintdef(oid) AS text
     FROM pg_constraint WHERE conrelid IN ('customers'::regclass, 'orders'::regclass) AND contype IN ('p', 'u', 'f')
     ORDER BY 1, 2`,
  ],
  [
    "comments",
    `SELECT obj_description('orders'::regclass, 'pg_class') AS t, col_description('orders'::regclass, 3) AS c`,
  ],
  [
    "information_schema.columns",
    `SELECT column_name, data_type, is_nullable, numeric_precision, numeric_scale, udt_name
     FROM information_schema.columns WHERE table_schema = 'main' AND table_name = 'orders' ORDER BY ordinal_position`,
  ],
  ["a cast to regclass", "SELECT 'orders'::regclass::text AS a, to_regclass('nowhere') AS b"],
  ["a parameter", "SELECT typname, typlen FROM pg_type WHERE oid = 1700"],
]

describe("the catalogue of a DuckDB warehouse", () => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-catalogue-"))
  const file = join(folder, "mart.duckdb")
  let gateway: RunningGateway
  let postgres: TestPostgres
  const clients: Client[] = []

  async function connect(user: string): Promise<Client> {
    const { host, port } = gateway
    const client = new Client({ host, port, user, password: "pw", database: "mart" })
    await client.connect()
    clients.push(client)
    return client
  }

  async function invalidate(relation: string): Promise<void> {
    const response = await fetch(`${gateway.controlUrl}/v1/invalidations`, {
      method: "POST",
      headers: { authorization: `Bearer ${gateway.token}`, "content-type": "application/json" },
      body: JSON.stringify({ items: [{ relation }] }),
    })
    equal(response.status, 200)
  }

  before(async () => {
    runInDuckdb(file, `${sharedSchema.replace("CREATE SCHEMA main;", "")}${secretSchema}`)
    const verifier = await makeVerifier("pw")
    gateway = await startGateway({
      config: `
warehouses: { mart: { engine: duckdb, path: "${file}", mode: burst, databases: [mart] } }
roles:
  everything: { relations: { allow: ["*"] } }
  main_only: { relations: { allow: ["main.*"], deny: ["main.denied_topsecret", "vault.topsecret"] } }
users:
  admin: { verifier: "${verifier}", roles: [everything] }
  alice: { verifier: "${verifier}", roles: [main_only] }
  bob: { verifier: "${verifier}", roles: [main_only] }`,
      login: { user: "admin", password: "pw" },
    })
    postgres = await startPostgres()
  })

  after(async () => {
    for (const client of clients) await client.end().catch(() => undefined)
    await gateway?.stop()
    await postgres?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  it("answers as PostgreSQL with the same tables does", async () => {
    const direct = new Client({ connectionString: postgres.superuserUri })
    await direct.connect()
    clients.push(direct)
    await postgres.run(sharedSchema)
    await direct.query("SET search_path = main")
    const client = await connect("admin")
    for (const [title, sql] of sameAnswers) {
      const expected = await direct.query(sql)
      const found = await client.query(sql)
      ok(expected.rows.length > 0, title)
      deepEqual(found.rows, expected.rows, title)
      deepEqual(
        found.fields.map(({ name, dataTypeID }) => [name, dataTypeID]),
        expected.fields.map(({ name, dataTypeID }) => [name, dataTypeID]),
        title,
      )
    }
  })

  it("reports the types that rows of the tables have", async () => {
    const client = await connect("admin")
    const data = await client.query("SELECT * FROM main.orders")
    const { rows } = await client.query(
      `SELECT attname AS name, atttypid::int AS oid FROM pg_attribute
       WHERE attrelid = $1::regclass AND attnum > 0 ORDER BY attnum`,
      ["main.orders"],
    )
    deepEqual(
      rows.map(({ name, oid }) => [name, oid]),
      data.fields.map(({ name, dataTypeID }) => [name, dataTypeID]),
    )
  })

  it("knows the client by its own name and no other client", async () => {
    await connect("bob")
    const client = await connect("alice")
    const { rows } = await client.query(
      "SELECT current_user AS u, session_user AS s, current_database() AS d, current_schemas(false)::text AS p, version() AS v",
    )
    match(rows[0].v, /^PostgreSQL 18\.6 \(DuckDB/)
    deepEqual([rows[0].u, rows[0].s, rows[0].d, rows[0].p], ["alice", "alice", "mart", "{main}"])
    const roles = await client.query("SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_'")
    deepEqual(roles.rows, [{ rolname: "alice" }])
  })

  it("hides what policy denies in every catalogue, function and error", async () => {
    const admin = await connect("admin")
    const alice = await connect("alice")
    let found = 0
    for (const { name } of postgresCatalogue()) {
      // Some are closed to everybody but the server's owner: their error is searched, too.
      const sql = `SELECT * FROM ${name}`
      const seen = await alice.query(sql).then(
        ({ rows }) => JSON.stringify(rows),
        (error: Error) => error.message + JSON.stringify(Object.entries(error)),
      )
      ok(!secrets.test(seen), `${name}: ${seen.match(secrets)?.[0]}`)
      const all = await admin.query(sql).then(
        ({ rows }) => JSON.stringify(rows),
        () => "",
      )
      if (secrets.test(all)) found += 1
    }
    ok(found >= 10, `the owner of all grants sees them in ${found} catalogues`)

    const probes = [
      "SELECT to_regclass('vault.topsecret')::text AS x",
      "SELECT to_regclass('main.peep')::text AS x",
      "SELECT to_regnamespace('vault')::text AS x",
    ]
    for (const sql of probes) {
      deepEqual((await alice.query(sql)).rows, [{ x: null }])
      ok((await admin.query(sql)).rows[0].x !== null)
    }
    const { rows } = await admin.query("SELECT 'vault.topsecret'::regclass::oid::int AS oid")
    const described = await alice.query(
      `SELECT pg_describe_object(1259, o, 0) AS a, pg_get_viewdef(o) AS b, obj_description(o, 'pg_class') AS c,
         o::regclass::text AS d
       FROM generate_series(16384, $1::int + 200) o`,
      [rows[0].oid],
    )
    ok(!secrets.test(JSON.stringify(described.rows)))
    const hidden = alice.query("SELECT 'vault.topsecret'::regclass")
    const missing = alice.query("SELECT 'vault.nosuchtable'::regclass")
    const [first, second] = await Promise.allSettled([hidden, missing])
    equal(
      String(first.status === "rejected" && first.reason).replace("topsecret", "nosuchtable"),
      String(second.status === "rejected" && second.reason),
    )
  })

  it("refuses tables and catalogue in one statement by name", async () => {
    const client = await connect("admin")
    for (const sql of [
      "SELECT * FROM orders, pg_class",
      "SELECT format_type(id::oid, -1) FROM orders",
      "SELECT 1 FROM pg_class WHERE EXISTS (SELECT FROM orders)",
    ])
      await rejects(client.query(sql), /tables and the system catalogue/, sql)
    // A catalogue's name in another schema, or as a CTE, is no catalogue.
    equal(
      (await client.query("WITH pg_class AS (SELECT 1 AS n) SELECT n FROM pg_class")).rows[0].n,
      1,
    )
  })

  it("shows a change after an invalidation, and keeps the oid of what did not change", async () => {
    const client = await connect("admin")
    const oid = async (): Promise<number> =>
      (await client.query("SELECT 'main.customers'::regclass::oid::int AS oid")).rows[0].oid
    const columns = async (): Promise<readonly string[]> =>
      (
        await client.query(
          "SELECT column_name FROM information_schema.columns WHERE table_name = 'denied_topsecret' ORDER BY 1",
        )
      ).rows.map((row) => row.column_name)
    const oidBefore = await oid()
    deepEqual(await columns(), ["keyhole"])
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    runInDuckdb(file, "ALTER TABLE main.denied_topsecret ADD COLUMN added integer")
    await invalidate("main.denied_topsecret")
    deepEqual(await columns(), ["added", "keyhole"])
    equal(await oid(), oidBefore)
  })

  it("ends a statement at its time and answers the next one", async () => {
    const client = await connect("alice")
    await client.query("SET statement_timeout = 300")
    await rejects(
      client.query("SELECT count(*) FROM pg_class a, pg_class b, pg_attribute c, pg_attribute d"),
      /statement timeout/,
    )
    await client.query("SET statement_timeout = 0")
    equal(
      (await client.query("SELECT relname FROM pg_class WHERE oid = 1259")).rows[0].relname,
      "pg_class",
    )
  })
})
