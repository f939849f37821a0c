import { deepEqual, equal, match, ok } from "node:assert/strict"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, it } from "node:test"
import { Client } from "pg"
import { makeVerifier } from "../../../src/wire/scram.ts"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import { runInDuckdb } from "./twins.ts"

/** One more than shadows may live. */
const roleCount = 5

function rssMb(pid: number): number {
  const kb = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
  return Number(kb) / 1024
}

describe("the limits of a shadow catalogue", () => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-catalogue-"))
  const file = join(folder, "mart.duckdb")
  let gateway: RunningGateway
  const clients: Client[] = []

  async function connect(user: string): Promise<Client> {
    const { host, port } = gateway
    const client = new Client({ host, port, user, password: "pw", database: "mart" })
    await client.connect()
    clients.push(client)
    return client
  }

  async function invalidate(): Promise<void> {
    const response = await fetch(`${gateway.controlUrl}/v1/invalidations`, {
      method: "POST",
      headers: { authorization: `Bearer ${gateway.token}`, "content-type": "application/json" },
      body: JSON.stringify({ items: [{ relation: "main.own_0" }] }),
    })
    equal(response.status, 200)
  }

  const tablesSql = "SELECT relname FROM pg_class WHERE relname ~ '^own_' ORDER BY relname"

  before(async () => {
    const numbers = Array.from({ length: roleCount }, (_, index) => index)
    runInDuckdb(
      file,
      `${numbers.map((index) => `CREATE TABLE main.own_${index} (secret_${index} integer);`).join("")}
       CREATE VIEW main.window AS SELECT secret_0 AS shown FROM main.own_0;`,
    )
    const verifier = await makeVerifier("pw")
    const roles = numbers.map(
      (index) => `role_${index}: { relations: { allow: ["main.own_${index}", "main.window"] } }`,
    )
    const users = numbers.map(
      (index) => `user_${index}: { verifier: "${verifier}", roles: [role_${index}] }`,
    )
    gateway = await startGateway({
      config: `
warehouses: { mart: { engine: duckdb, path: "${file}", mode: burst, idleCloseMs: 20, databases: [mart] } }
roles: { all: { relations: { allow: ["*"] } }, ${roles.join(", ")} }
users: { admin: { verifier: "${verifier}", roles: [all] }, ${users.join(", ")} }`,
      login: { user: "admin", password: "pw" },
    })
  })

  after(async () => {
    for (const client of clients) await client.end().catch(() => undefined)
    await gateway?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  it("shows a view over a hidden table without its text", async () => {
    const sql = "SELECT pg_get_viewdef('main.window'::regclass) AS text"
    const seeing = await connect("user_0")
    const hidden = await connect("user_1")
    match((await seeing.query(sql)).rows[0].text, /secret_0/)
    equal((await hidden.query(sql)).rows[0].text, null)
    const columns = "SELECT attname FROM pg_attribute WHERE attrelid = 'main.window'::regclass"
    deepEqual((await hidden.query(columns)).rows, [{ attname: "shown" }])
    const text = await hidden.query("SELECT view_definition AS t FROM information_schema.views")
    ok(!JSON.stringify(text.rows).includes("secret_0"))
  })

  it("gives each of more visibilities than may live at a time its own tables", async () => {
    const users = await Promise.all(
      Array.from({ length: roleCount }, (_, index) => connect(`user_${index}`)),
    )
    for (let round = 0; round < 2; round += 1)
      for (const [index, client] of users.entries())
        deepEqual((await client.query(tablesSql)).rows, [{ relname: `own_${index}` }])
  })

  it("tells the version of the PostgreSQL that answers", async () => {
    const client = await connect("admin")
    const { rows } = await client.query(
      `SELECT current_setting('server_version_num') AS num, current_setting('server_version') AS told,
         version() AS text FROM pg_class LIMIT 1`,
    )
    const major = Number(String(rows[0].told).split(".")[0])
    const minor = Number.parseInt(String(rows[0].told).split(".")[1] ?? "", 10)
    equal(Number(rows[0].num), major * 10_000 + minor)
    ok(String(rows[0].text).startsWith(`PostgreSQL ${major}.${minor} (DuckDB`))
  })

  it("ends a statement that wants too much memory, and nothing else", async () => {
    const client = await connect("admin")
    await client.query(tablesSql)
    const beforeMb = rssMb(gateway.pid)
    const greedy: readonly (readonly [sql: string, code: string])[] = [
      ["SELECT cardinality(array_agg(repeat('x', 100000000))) FROM pg_class", "53200"],
      ["SELECT repeat('x', 1000000) FROM pg_class", "54000"],
      [
        "SELECT count(*) FROM (SELECT FROM pg_proc a, pg_proc b ORDER BY md5(a.prosrc || b.prosrc) OFFSET 1) t",
        "53400",
      ],
    ]
    for (const [sql, code] of greedy) {
      const failed = await client.query(sql).then(
        () => "no error",
        (error: { code?: string }) => error.code,
      )
      equal(failed, code, sql)
      equal((await client.query(tablesSql)).rows.length, roleCount)
    }
    const grownMb = rssMb(gateway.pid) - beforeMb
    ok(grownMb < 900, `${grownMb} MB more`)
  })

  it("answers whole before or whole after a refresh that races with statements", async () => {
    const client = await connect("admin")
    const other = await connect("admin")
    const sql = `SELECT count(*)::int AS n, count(a.attname)::int AS columns FROM pg_class c
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 WHERE c.relname ~ '^racing_'`
    await client.query(sql)
    runInDuckdbAfterBurst(file, "CREATE TABLE main.racing_1 (a integer, b integer, c integer)")
    const seen = new Set<number>()
    const asking = Promise.all(
      [client, other].map(async (asker) => {
        for (let turn = 0; turn < 40; turn += 1) seen.add((await asker.query(sql)).rows[0].n)
      }),
    )
    await invalidate()
    await asking
    deepEqual(
      [...seen].filter((n) => n !== 0 && n !== 3),
      [],
    )
    equal((await client.query(sql)).rows[0].n, 3)
  })

  it("keeps its memory over twenty refreshes", async () => {
    const client = await connect("admin")
    const change = async (turn: number): Promise<void> => {
      runInDuckdbAfterBurst(file, `CREATE OR REPLACE TABLE main.changing (column_${turn} integer)`)
      await invalidate()
      const sql =
        "SELECT attname FROM pg_attribute WHERE attrelid = 'main.changing'::regclass AND attnum > 0"
      deepEqual((await client.query(sql)).rows, [{ attname: `column_${turn}` }])
    }
    await change(0)
    const beforeMb = rssMb(gateway.pid)
    for (let turn = 1; turn <= 20; turn += 1) await change(turn)
    const grownMb = rssMb(gateway.pid) - beforeMb
    ok(grownMb < 150, `${grownMb} MB more`)
  })
})

/** The gateway holds the file for a second after its last statement; the other process waits for it. */
function runInDuckdbAfterBurst(file: string, sql: string): void {
  const waitMsMax = 15_000
  const deadline = performance.now() + waitMsMax
  for (;;) {
    try {
      return runInDuckdb(file, sql)
    } catch (thrown) {
      if (performance.now() > deadline) throw thrown
    }
  }
}
