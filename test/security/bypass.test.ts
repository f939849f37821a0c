import { deepEqual, equal, ok } from "node:assert/strict"
import { readFileSync } from "node:fs"
import { after, before, describe, it } from "node:test"
import {
  bind,
  describe as describeMessage,
  execute,
  parse,
  query,
  sync,
} from "../support/frontend-encoder.ts"
import { type BackendMessage, errors, textRows, type WireClient } from "../support/wire-client.ts"
import { type BypassCase, bypassCases } from "./bypass-cases.ts"
import { marker, startTenants, type Tenants } from "./tenants.ts"

/** In no message, of whatever kind, may a hidden value stand. */
function assertHidden(messages: readonly BackendMessage[], where: string): void {
  for (const { type, body } of messages) {
    const text = body.toString("latin1")
    for (const value of [marker, "7777"])
      ok(!text.includes(value), `${where}: ${type} shows a hidden value: ${text}`)
  }
}

/** Rows with whole numbers and booleans as such, whatever type the engine has for them. */
function plainRows(messages: readonly BackendMessage[]): string {
  const rows = textRows(messages).map((row) => row.map(plain))
  return JSON.stringify(rows)
}

function plain(value: string | null): string | number | boolean | null {
  if (value === "t" || value === "f") return value === "t"
  return value !== null && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value
}

/** Every way to the same rows; each must be as closed as the plain one. */
const wraps: readonly ((sql: string) => readonly string[])[] = [
  (sql) => [`COPY (${sql}\n) TO STDOUT`],
  (sql) => ["BEGIN", `DECLARE c CURSOR FOR ${sql}`, "FETCH ALL FROM c", "ROLLBACK"],
  (sql) => [`PREPARE p AS ${sql}`, "EXECUTE p", "EXECUTE p", "DEALLOCATE ALL"],
  (sql) => [`EXPLAIN ${sql}`],
  (sql) => [`SELECT * FROM (${sql}\n) AS outside`],
  (sql) => [`WITH w AS (${sql}\n) SELECT * FROM w`],
]

async function tried(
  client: WireClient,
  engine: string,
  [title, sql, expected]: BypassCase,
): Promise<void> {
  const answers = [await client.query(query(sql)), await client.query(query(sql))]
  if (!sql.includes(";"))
    answers.push(await client.query(parse(sql), bind(), describeMessage("portal"), execute(), sync))
  for (const messages of answers) {
    assertHidden(messages, title)
    const [error] = errors(messages)
    const onDuckdb = typeof expected === "object" ? expected.onDuckdb : undefined
    if (engine === "duckdb" && onDuckdb !== undefined)
      deepEqual([error?.["M"], plainRows(messages)], [undefined, onDuckdb])
    else if (typeof expected === "object" && "rows" in expected) {
      if (engine === "duckdb" && error !== undefined) continue
      deepEqual([error?.["M"], plainRows(messages)], [undefined, expected.rows])
    } else if (typeof expected === "object") {
      ok(error !== undefined, "it is not refused")
      if (engine === "postgres") equal(error["C"], expected.refused)
    } else if (expected === "error") ok(error !== undefined, `an answer: ${plainRows(messages)}`)
  }
  if (/^SELECT|^WITH|^TABLE/.test(sql) && !sql.includes(";"))
    for (const wrap of wraps)
      for (const wrapped of wrap(sql)) assertHidden(await client.query(query(wrapped)), wrapped)
  await client.query(query("ROLLBACK; RESET ALL; DEALLOCATE ALL"))
}

type Adversarial = { readonly name: string; readonly sql: string }

/** The corpus names its protected tables `secret` and `salaries`. */
function adversarial(): readonly BypassCase[] {
  const file = new URL("../corpora/adversarial_sql.json", import.meta.url)
  const items = JSON.parse(readFileSync(file, "utf8")) as readonly Adversarial[]
  return items.map(({ name, sql }) => [
    `corpus: ${name}`,
    sql
      .replaceAll(/\b(?:public\.)?(?:secret|salaries)\b/g, "sales.orders")
      .replaceAll(/\bs\b/g, "customer")
      .replaceAll(/\b(FROM|JOIN|,) ?(a|b|guess)\b/g, "$1 sales.open $2"),
    "safe",
  ])
}

for (const engine of ["postgres", "duckdb"] as const)
  describe(`what ann tries on ${engine}`, () => {
    let tenants: Tenants
    let client: WireClient
    before(async () => {
      tenants = await startTenants(engine)
      client = await tenants.as("ann")
    })
    after(() => tenants.stop())

    for (const item of [...bypassCases, ...adversarial()])
      it(item[0], async () => {
        // A case may end the session; the next one begins with another.
        if (client.socket.destroyed) client = await tenants.as("ann")
        await tried(client, engine, item)
        for (const notice of client.notices)
          ok(!JSON.stringify(notice).includes(marker), "a notice shows a hidden value")
      })
  })
