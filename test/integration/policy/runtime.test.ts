import { deepEqual, equal, match, ok } from "node:assert/strict"
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { after, before, describe, it } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { DuckDBInstance } from "@duckdb/node-api"
import { makeVerifier } from "../../../src/wire/scram.ts"
import { query } from "../../support/frontend-encoder.ts"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import { errors, textRows, WireClient } from "../../support/wire-client.ts"
import { type Engine, type Mart, policies, startMart } from "./mart.ts"

const password = "correct horse"
const waitMsMax = 15_000

async function until<Value>(what: string, probe: () => Promise<Value | undefined>): Promise<Value> {
  const deadlineMs = performance.now() + waitMsMax
  while (performance.now() < deadlineMs) {
    const found = await probe()
    if (found !== undefined) return found
    await sleep(25)
  }
  throw new Error(`${what} did not come about`)
}

/** Rows, or `SQLSTATE message`. */
async function ask(client: WireClient, sql: string): Promise<(string | null)[][] | string> {
  const messages = await client.query(query(sql))
  const [error] = errors(messages)
  return error === undefined ? textRows(messages) : `${error["C"]} ${error["M"]} ${error["H"]}`
}

/** A change that another process makes: the gateway lets go of a DuckDB file when it is idle. */
async function change(mart: Mart, sql: string): Promise<void> {
  if (mart.postgres !== undefined) {
    await mart.postgres.run(sql)
    return
  }
  await until("the lock", async () => {
    const instance = await DuckDBInstance.create(join(mart.folder, "mart.duckdb")).catch(
      () => undefined,
    )
    if (instance === undefined) return undefined
    const connection = await instance.connect()
    await connection.run(sql)
    connection.closeSync()
    instance.closeSync()
    return true
  })
}

const withLater = `${policies}  sales.later:
    rowFilters: [{ name: own_org, filter: "org_id = :org_id" }]
    unfilteredRoles: [boss]
`

async function start(mart: Mart, engine: Engine, section: string): Promise<RunningGateway> {
  const path = JSON.stringify(join(mart.folder, "mart.duckdb"))
  const warehouse =
    engine === "postgres"
      ? `{ engine: postgres, uri: "${mart.postgres?.uri}", catalogRefreshMs: 1s }`
      : `{ engine: duckdb, path: ${path}, idleCloseMs: 50ms, burstMsMax: 100ms, catalogRefreshMs: 1s }`
  const verifier = JSON.stringify(await makeVerifier(password))
  return startGateway({
    login: { user: "ann", password },
    config: `warehouses: { mart: ${warehouse} }
${section}
roles:
  tenant: { relations: { allow: ["*"] } }
  boss: { relations: { allow: ["*"] } }
users:
  ann: { verifier: ${verifier}, roles: [tenant], claims: { org_id: 1, login: ann } }
  boss: { verifier: ${verifier}, roles: [boss] }
`,
  })
}

async function connect({ port }: RunningGateway, user: string): Promise<WireClient> {
  return WireClient.connect({ port, user, password, database: "mart" })
}

async function metric(gateway: RunningGateway, name: string): Promise<string | undefined> {
  const response = await fetch(`${gateway.controlUrl}/metrics`, {
    headers: { authorization: `Bearer ${gateway.token}` },
  })
  const text = await response.text()
  return new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]
}

async function reload(
  gateway: RunningGateway,
  token = gateway.token,
): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const response = await fetch(`${gateway.controlUrl}/-/reload`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

for (const engine of ["postgres", "duckdb"] as const)
  describe(`policies over ${engine} while the gateway runs`, () => {
    let mart: Mart
    let gateway: RunningGateway
    let ann: WireClient
    let boss: WireClient
    let file = ""
    before(async () => {
      mart = await startMart(engine)
      file = await mart.write("running.yaml", withLater)
      gateway = await start(mart, engine, `policiesFile: ${JSON.stringify(file)}`)
      ann = await connect(gateway, "ann")
      boss = await connect(gateway, "boss")
    })
    after(async () => {
      ann.destroy()
      boss.destroy()
      await gateway.stop()
      await mart.stop()
    })

    it("a relation that is not there is told at the start, counted, and nobody reads it", async () => {
      match(
        gateway.output(),
        /"relations":\["sales\.later"\],"message":"policies name relations that no warehouse has/,
      )
      equal(await metric(gateway, "sluice_policy_unmatched_relations"), "1")
      match(String(await ask(ann, "SELECT id FROM sales.later")), /^42P01 /)
    })

    it("its policy holds from the moment that the catalogue knows it", async () => {
      await change(
        mart,
        "CREATE TABLE sales.later AS SELECT 1 AS id, 1 AS org_id UNION ALL SELECT 2, 2",
      )
      // The very first answer that is no refusal.
      const first = await until("sales.later", async () => {
        const found = await ask(ann, "SELECT id FROM sales.later")
        return typeof found === "string" ? undefined : found
      })
      deepEqual(first, [["1"]])
      deepEqual(await ask(boss, "SELECT count(*) FROM sales.later"), [["2"]])
      await until("0 unmatched", async () => {
        const value = await metric(gateway, "sluice_policy_unmatched_relations")
        return value === "0" ? true : undefined
      })
      match(gateway.output(), /all relations and columns that the policies name are there/)
    })

    const misspelt: readonly [what: string, from: string, to: string][] = [
      ["a mask", "column: email", "column: emial"],
      ["a denial", "columns: [ssn]", "columns: [snn]"],
      ["a filter", '"org_id = :org_id"', '"orgid = :org_id"'],
      ["a mask's expression", "left(email, 1)", "left(emial, 1)"],
    ]
    for (const [what, from, to] of misspelt)
      it(`a misspelt column in ${what} refuses its readers, and only them`, async () => {
        ok(withLater.includes(from))
        const seen = gateway.output().length
        await writeFile(file, withLater.replace(from, to))
        equal((await reload(gateway)).status, 200)
        match(String(await ask(ann, "SELECT id FROM sales.orders")), /^42501 .*does not fit/)
        deepEqual(await ask(ann, "SELECT id FROM sales.later"), [["1"]])
        deepEqual(await ask(boss, "SELECT count(*) FROM sales.orders"), [["8"]])
        if (/column/.test(from))
          await until("the warning", async () =>
            /policies name columns that are not there/.test(gateway.output().slice(seen))
              ? true
              : undefined,
          )
      })

    it("POST /-/reload takes good policies, and tells what is wrong with bad ones, which change nothing", async () => {
      await writeFile(file, withLater)
      const { body } = await reload(gateway)
      const { status, relations } = body["policies"] as { status: string; relations: number }
      deepEqual([status, relations], ["changed", 3])
      equal(((await reload(gateway)).body["policies"] as { status: string }).status, "unchanged")
      deepEqual(await ask(ann, "SELECT count(*) FROM sales.orders"), [["3"]])
      await writeFile(file, withLater.replace("org_id = :org_id", "org_id = :nowhere"))
      const refused = await reload(gateway)
      equal(refused.status, 422)
      match(JSON.stringify(refused.body["errors"]), /running\.yaml:6:\d+".*uses :nowhere/)
      deepEqual(await ask(ann, "SELECT count(*) FROM sales.orders"), [["3"]])
      equal((await reload(gateway, "wrong")).status, 401)
    })
  })

describe("policies in the configuration itself", () => {
  let mart: Mart
  let gateway: RunningGateway
  before(async () => {
    mart = await startMart("duckdb")
    gateway = await start(mart, "duckdb", `policies:\n${policies.replaceAll(/^(?=.)/gm, "  ")}`)
  })
  after(async () => {
    await gateway.stop()
    await mart.stop()
  })

  it("are read again on SIGHUP and when asked; losing them is no way to be rid of them", async () => {
    const ann = await connect(gateway, "ann")
    const count = "SELECT count(*) FROM sales.orders"
    deepEqual(await ask(ann, count), [["3"]])
    const text = await readFile(gateway.configFile, "utf8")
    await writeFile(
      gateway.configFile,
      text.replace('"org_id = :org_id"', '"org_id = 1 AND id < 2"'),
    )
    gateway.signal("SIGHUP")
    await until("one row", async () => {
      const found = await ask(ann, count)
      return JSON.stringify(found) === '[["1"]]' ? true : undefined
    })
    await writeFile(gateway.configFile, text.replace(/^policies:$/m, "policy:"))
    const gone = await reload(gateway)
    equal(gone.status, 422)
    match(String(gone.body["detail"]), /the section policies is gone/)
    deepEqual(await ask(ann, count), [["1"]])
    await writeFile(gateway.configFile, text.replace("rowFilters", "rowFilter"))
    match(
      JSON.stringify((await reload(gateway)).body["errors"]),
      /sluice\.yaml:\d+:\d+",.*policies\.relations.*rowFilter: unknown key; did you mean .{0,2}rowFilters/,
    )
    await writeFile(gateway.configFile, text)
    equal((await reload(gateway)).status, 200)
    deepEqual(await ask(ann, count), [["3"]])
    ann.destroy()
  })
})
