import { deepEqual } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { query } from "../../support/frontend-encoder.ts"
import { ask, line, Pair } from "./support.ts"

const long =
  "SELECT count(*) FROM range(100000000) a(i), range(100) b(j) WHERE (a.i * 31 + b.j) % 7 = 8"

describe("sessions over DuckDB", () => {
  let pair: Pair
  before(async () => {
    pair = await Pair.start({ engine: "duckdb" })
  })
  after(() => pair.stop())

  it("are terminated as over PostgreSQL, with what they run", async () => {
    const victim = await pair.through()
    const other = await pair.through()
    const [[pid] = []] = await ask(victim, "SELECT pg_backend_pid()")
    victim.send(query(long))
    const seen = "SELECT state FROM pg_stat_activity WHERE pid = "
    while ((await ask(other, `${seen}${pid}`))[0]?.[0] !== "active");
    deepEqual(
      await ask(other, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid='${pid}'`),
      [["t"]],
    )
    deepEqual((await victim.readUntilClosed()).map(line), [
      "E S=FATAL | V=FATAL | C=57P01 | M=terminating connection due to administrator command",
    ])
    deepEqual(await ask(other, `${seen}${pid}`), [])
    other.destroy()
  })

  it("have facts and a list of their own", async () => {
    const client = await pair.through({ parameters: { application_name: "it's" } })
    const { user } = pair.gateway
    deepEqual(
      await ask(
        client,
        "SELECT pid = pg_backend_pid(), usename || '/' || current_user, datname = current_database(), application_name, client_addr = inet_client_addr(), state, backend_start <= now() FROM pg_stat_activity WHERE application_name <> ''",
      ),
      [["t", `${user}/${user}`, "t", "it's", "t", "active", "t"]],
    )
    client.destroy()
  })
})
