import { deepEqual, equal, match, rejects } from "node:assert/strict"
import { afterEach, describe, it } from "node:test"
import { query } from "../../support/frontend-encoder.ts"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import { errors, textRows, types, WireClient } from "../../support/wire-client.ts"
import { ask, line, until } from "./support.ts"

const duckdb = 'warehouses: { mart: { engine: duckdb, path: ":memory:", mode: owned } }'
/** Seconds of work that DuckDB cannot shorten, on a loaded machine some ten times as many. */
const long =
  "SELECT count(*) FROM generate_series(1, 20000) a(i), generate_series(1, 20000) b(j) WHERE (a.i * b.j) % 7 = 3"
const longMsMax = 120_000
/** So long that the statement always finishes. */
const patient = `shutdown: { drainTimeoutMs: ${longMsMax} }`
const ended =
  "E S=FATAL | V=FATAL | C=57P01 | M=terminating connection due to administrator command"

/** Waits for the process's own end: `stop` alone would send a signal of its own. */
async function exitCode(gateway: RunningGateway): Promise<number | null> {
  await until("the process has ended", async () => {
    try {
      process.kill(gateway.pid, 0)
      return false
    } catch {
      return true
    }
  })
  return gateway.stop()
}

const connect = ({ port, user, password }: RunningGateway): Promise<WireClient> =>
  WireClient.connect({ port, user, password, database: "mart", waitMsMax: longMsMax })

/** Sends a statement and waits until it runs. */
async function run(client: WireClient, sql: string, watcher: WireClient): Promise<void> {
  client.send(query(sql))
  await until("the statement runs", async () => {
    const active = `SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid = ${client.processId}`
    const [[count] = []] = await ask(watcher, active)
    return count === "1"
  })
}

describe("shutdown", () => {
  let gateway: RunningGateway | undefined
  afterEach(async () => {
    await gateway?.stop()
    gateway = undefined
  })

  async function started(more = ""): Promise<RunningGateway> {
    gateway = await startGateway({ config: `${duckdb}\n${more}` })
    return gateway
  }

  it("at SIGTERM tells idle sessions, lets the running statement finish, and ends with 0", async () => {
    const running = await started(patient)
    const [idle, busy] = [await connect(running), await connect(running)]
    await run(busy, long, idle)
    running.signal("SIGTERM")
    deepEqual((await idle.readUntilClosed()).map(line), [ended])
    const messages = await busy.readUntilClosed()
    equal(types(messages), "TDCZE")
    equal(textRows(messages).length, 1)
    equal(messages.map(line).at(-1), ended)
    equal(await exitCode(running), 0)
  })

  it("accepts nobody while it drains", async () => {
    const running = await started(patient)
    const [idle, busy] = [await connect(running), await connect(running)]
    await run(busy, long, idle)
    running.signal("SIGINT")
    await until("the port is closed", async () => {
      const client = await WireClient.open(running).catch(() => undefined)
      client?.destroy()
      return client === undefined
    })
    await busy.readUntilClosed()
    equal(await exitCode(running), 0)
  })

  it("waits for an open transaction only as long as it is allowed to", async () => {
    const running = await started("shutdown: { drainTimeoutMs: 500 }")
    const client = await connect(running)
    await ask(client, "BEGIN")
    await ask(client, "SELECT 1")
    running.signal("SIGTERM")
    deepEqual((await client.readUntilClosed()).map(line), [ended])
    equal(await exitCode(running), 0)
  })

  it("lets an open transaction come to its end", async () => {
    const running = await started("shutdown: { drainTimeoutMs: 10000 }")
    const client = await connect(running)
    await ask(client, "BEGIN")
    running.signal("SIGTERM")
    await new Promise((resolve) => setTimeout(resolve, 200))
    deepEqual(await ask(client, "SELECT 5"), [["5"]])
    client.send(query("COMMIT"))
    deepEqual((await client.readUntilClosed()).map(line).slice(-2), ['Z "I"', ended])
    equal(await exitCode(running), 0)
  })

  it("cancels a statement that runs beyond drainTimeoutMs", async () => {
    const running = await started("shutdown: { drainTimeoutMs: 300 }")
    const [idle, client] = [await connect(running), await connect(running)]
    await run(client, long.replace("20000)", "6000000)"), idle)
    running.signal("SIGTERM")
    equal(errors(await client.readUntilClosed())[0]?.["C"], "57P01")
    equal(await exitCode(running), 0)
  })

  it("ends at once at the second signal", async () => {
    const running = await started()
    const client = await connect(running)
    await ask(client, "BEGIN")
    running.signal("SIGTERM")
    await new Promise((resolve) => setTimeout(resolve, 200))
    running.signal("SIGTERM")
    await client.readUntilClosed()
    equal(await exitCode(running), 1)
  })

  for (const [section, option] of [
    ["listen", "listen.port"],
    ["control", "control.port"],
  ] as const)
    it(`cannot be avoided when ${option} is taken, and the error names it`, async () => {
      const first = await started()
      const port = section === "listen" ? first.port : Number(new URL(first.controlUrl).port)
      const second = startGateway({
        config: `${duckdb}\n${section}: { host: 127.0.0.1, port: ${port} }`,
        readyMsMax: longMsMax,
      })
      await rejects(second, (error: unknown) => {
        match(String(error), /ended with 1 /)
        match(String(error), new RegExp(`127\\.0\\.0\\.1:${port}: the port is taken`))
        match(String(error), new RegExp(option.replace(".", "\\.")))
        return true
      })
    })
})
