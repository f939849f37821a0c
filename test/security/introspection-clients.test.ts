import { deepEqual, ok } from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, it } from "node:test"
import { fileURLToPath } from "node:url"
import { Client } from "pg"
import { makeVerifier } from "../../src/wire/scram.ts"
import { twinSchema } from "../integration/catalogue/twins.ts"
import { runProgram } from "../integration/clients/client-programs.ts"
import { type RunningGateway, startGateway } from "../support/gateway.ts"
import { startPostgres, type TestPostgres } from "../support/postgres-server.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))

/** What readers of `main` and `sales` must not notice: a schema, a denied table, a denied column with an index and a check. */
const hiddenObjects = `
CREATE SCHEMA vault;
CREATE TABLE vault.topsecret (id integer PRIMARY KEY);
CREATE TABLE main.denied (id integer PRIMARY KEY REFERENCES main.customers (id));
CREATE VIEW main.over_denied AS SELECT id FROM main.denied;
ALTER TABLE main.orders ADD COLUMN zssn text CHECK (length(zssn) > 0);
CREATE INDEX orders_zssn ON main.orders (zssn);
`

const open = `CREATE SCHEMA main; SET search_path = main; ${twinSchema};
  ALTER ROLE reader SET search_path = main; ANALYZE;`

/** The inspector lists tables as the catalogue gives them; nobody promised it an order. */
function inAnyOrder(got: unknown): unknown {
  return Array.isArray(got) ? got.map((item) => JSON.stringify(item)).toSorted() : got
}

/** How large a table with a policy is, and its indexes, reads as never counted. */
function uncounted(got: unknown): unknown {
  return JSON.parse(
    JSON.stringify(got).replaceAll(/(main \| orders \|[^"]*\| A \|) 0 \| 1 \|/g, "$1 -1 | 0 |"),
  )
}

async function startFiltered(
  postgres: TestPostgres,
  folder: string,
  allow: readonly string[],
): Promise<RunningGateway> {
  const policiesFile = join(folder, "policies.yaml")
  await writeFile(
    policiesFile,
    "relations: { main.orders: { deniedColumns: [{ columns: [zssn], exceptRoles: [everything] }] } }\n",
  )
  const verifier = JSON.stringify(await makeVerifier("pw"))
  const grants = JSON.stringify(allow)
  return startGateway({
    config: `warehouses: { warehouse: { engine: postgres, uri: "${postgres.uri}" } }
policiesFile: ${JSON.stringify(policiesFile)}
roles:
  everything: { relations: { allow: ["*"] } }
  some: { relations: { allow: ${grants}, deny: ["main.denied"] } }
users:
  all: { verifier: ${verifier}, roles: [everything] }
  some: { verifier: ${verifier}, roles: [some] }
`,
    login: { user: "some", password: "pw" },
  })
}

describe("clients that describe a schema to a reader who may not see everything", () => {
  let folder = ""
  let plain: TestPostgres
  let postgres: TestPostgres
  let gateway: RunningGateway

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-introspection-"))
    ;[plain, postgres] = await Promise.all([startPostgres(), startPostgres()])
    await plain.run(open)
    await postgres.run(`${open} ${hiddenObjects}`)
    gateway = await startFiltered(postgres, folder, ["main.*", "sales.*", "public.*"])
  })
  after(async () => {
    await gateway?.stop()
    await plain?.stop()
    await postgres?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  for (const version of ["1.4", "2.0"])
    it(`SQLAlchemy ${version} finds what it finds where nothing else exists`, async (t) => {
      const python = execFileSync(
        "scripts/install-python.sh",
        [`test/clients/requirements-sqlalchemy-${version}.txt`],
        { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] },
      ).trim()
      const program = [python, "test/clients/sqlalchemy_inspector.py"] as const
      const expected = await runProgram([...program], plain.uri)
      const found = await runProgram([...program], `${gateway.uri}?options=-csearch_path%3Dmain`)
      ok(expected.size >= 13)
      for (const [name, line] of expected)
        await t.test(name, () => {
          ok(line.ok, JSON.stringify(line.got))
          const { got, ...rest } = found.get(name) ?? { got: undefined }
          deepEqual([rest, inAnyOrder(got)], [{ name, ok: true }, inAnyOrder(line.got)])
        })
    })

  it("pgjdbc says what it says where nothing else exists", async (t) => {
    const jar = execFileSync("scripts/install-maven.sh", ["test/clients/pgjdbc.txt"], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    }).trim()
    const program = ["java", "-cp", jar, "test/clients/PgjdbcMetadata.java"] as const
    const expected = await runProgram([...program], plain.uri)
    const found = await runProgram([...program], `${gateway.uri}?options=-csearch_path%3Dmain`)
    ok(expected.size >= 20)
    for (const [name, line] of expected)
      await t.test(name, () => {
        ok(line.ok, JSON.stringify(line.got))
        deepEqual(found.get(name), { name, ok: true, got: uncounted(line.got) })
      })
  })
})

type Captured = { readonly sql: string }

/** Reads of the catalogue that a real Superset was seen to send. */
function capturedIntrospection(): readonly string[] {
  const file = new URL("../corpora/superset_real_captured.json", import.meta.url)
  const captured = JSON.parse(readFileSync(file, "utf8")) as readonly Captured[]
  const asks = /\bpg_(?!terminate|cancel|backend_pid)|information_schema/
  const reads = captured.filter(({ sql }) => /^\s*SELECT/i.test(sql) && asks.test(sql))
  return [...new Set(reads.map(({ sql }) => sql))]
}

describe("what a real Superset asks of the catalogue, for a reader of some schemas", () => {
  let folder = ""
  let postgres: TestPostgres
  let gateway: RunningGateway
  const clients: Client[] = []

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-introspection-"))
    const seedFile = fileURLToPath(new URL("../corpora/superset_real_seed.sql", import.meta.url))
    postgres = await startPostgres({ seedFiles: [seedFile] })
    const schemas = ["sales.*", "mart.*", "scratch.*", '"Mixed Case".*', "public.*"]
    gateway = await startFiltered(postgres, folder, schemas)
    for (const user of ["all", "some"]) {
      const { host, port } = gateway
      const client = new Client({ host, port, user, password: "pw", database: "warehouse" })
      await client.connect()
      clients.push(client)
    }
  })
  after(async () => {
    for (const client of clients) await client.end()
    await gateway?.stop()
    await postgres?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  it("is answered as for everybody, but for the schema without a grant", async () => {
    const asked = capturedIntrospection()
    ok(asked.length > 100)
    const different: string[] = []
    for (const sql of asked) {
      const [all, some] = await Promise.all(
        clients.map(async (client) => {
          const { rows } = await client.query({ text: sql, rowMode: "array" })
          return JSON.stringify(rows)
        }),
      )
      ok(!/secret|salaries/.test(some ?? ""), sql)
      if (all !== some) different.push(`${sql.trim().slice(0, 60)}: ${all}`)
    }
    for (const line of different) ok(/secret|salaries/.test(line), line)
    ok(different.length >= 2)
  })
})
