import { deepEqual, equal, match } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { bind, execute, parse, query, sync } from "../../support/frontend-encoder.ts"
import { errors, rows, textRows, type WireClient } from "../../support/wire-client.ts"
import { ask, converse, line, Pair } from "./support.ts"

const roles = `roles:
  everything: { relations: { allow: ["*"] } }
  writer: { relations: { allow: ["*"] }, write: true }
  loader: { relations: { allow: ["lab.*"], deny: ["lab.secret"] }, write: true }
`
const terminated =
  "E S=FATAL | V=FATAL | C=57P01 | M=terminating connection due to administrator command"

/** What of a session that has written is not the warehouse's to answer. */
describe("the gateway's own answers in a session that has written", () => {
  let pair: Pair
  before(async () => {
    pair = await Pair.start({ config: roles, users: { writer: "writer", loader: "loader" } })
    await pair.postgres.run("GRANT ALL ON ALL TABLES IN SCHEMA lab TO public")
  })
  after(() => pair.stop())

  const written = async (user = "writer"): Promise<WireClient> => {
    const client = await pair.through({ user })
    await ask(client, "UPDATE lab.counter SET n = n")
    return client
  }

  it("does not run what was prepared before without judging it", async () => {
    const client = await pair.through({ user: "loader" })
    const [, , last = []] = await converse(client, [
      [parse("SELECT word FROM lab.secret", { name: "s" }), sync],
      "UPDATE lab.counter SET n = n",
      [bind({ statement: "s" }), execute(), sync],
    ])
    deepEqual(textRows(last), [])
    equal(errors(last)[0]?.["C"], "26000")
    client.destroy()
  })

  it("keeps what was prepared before the session's own", async () => {
    const client = await pair.through({ user: "writer" })
    const [, , last = []] = await converse(client, [
      [parse("SELECT current_user", { name: "s" }), sync],
      "UPDATE lab.counter SET n = n",
      [bind({ statement: "s" }), execute(), sync],
    ])
    deepEqual(textRows(last), [["writer"]])
    client.destroy()
  })

  it("shows sluice.last and its own settings, in a transaction, too", async () => {
    const client = await written()
    deepEqual(
      (await ask(client, "SHOW sluice.last")).map((row) => row.slice(0, 2)),
      [["bypass", "write_session"]],
    )
    const [, , shown = [], counted = []] = await converse(client, [
      "BEGIN",
      "UPDATE lab.counter SET n = n",
      "SHOW sluice.last",
      "SELECT count(*) FROM lab.counter",
    ])
    deepEqual(textRows(shown).length, 1)
    deepEqual(textRows(counted), [["1"]])
    deepEqual(await ask(client, "SHOW sluice.cache"), [["on"]])
    await ask(client, "SET sluice.cache = 'off'")
    deepEqual(await ask(client, "SHOW sluice.cache"), [["off"]])
    client.destroy()
  })

  it("terminates another session of its own, by any protocol", async () => {
    for (const isExtended of [false, true]) {
      const client = await written()
      const victim = await pair.through({ user: "writer" })
      const answer = isExtended
        ? [
            parse("SELECT pg_terminate_backend($1)"),
            bind({ values: [String(victim.processId)] }),
            execute(),
            sync,
          ]
        : [query(`SELECT pg_terminate_backend(${victim.processId})`)]
      const [messages = []] = await converse(client, [answer])
      deepEqual(textRows(messages), [["t"]])
      deepEqual((await victim.readUntilClosed()).map(line), [terminated])
      client.destroy()
    }
  })

  it("terminates itself", async () => {
    for (const sent of [
      [query("SELECT pg_terminate_backend(pg_backend_pid())")],
      [parse("SELECT pg_terminate_backend(pg_backend_pid())"), bind(), execute(), sync],
    ]) {
      const client = await written()
      client.send(...sent)
      const answer = (await client.readUntilClosed()).map(line)
      equal(answer.at(-1), terminated)
    }
  })

  it("warns of an unknown process id, and refuses others' sessions", async () => {
    const client = await written()
    const [unknown = []] = await converse(client, ["SELECT pg_cancel_backend(1)"])
    deepEqual(textRows(unknown), [["f"]])
    match(unknown.map(line).join(), /PID 1 is not a PostgreSQL backend process/)
    const other = await pair.through({ user: "loader" })
    const [denied = [], again = []] = await converse(client, [
      `SELECT pg_terminate_backend(${other.processId})`,
      [
        parse("SELECT pg_terminate_backend($1)"),
        bind({ values: [String(other.processId)] }),
        execute(),
        sync,
      ],
    ])
    deepEqual([errors(denied)[0]?.["C"], errors(again)[0]?.["C"]], ["42501", "42501"])
    deepEqual(await ask(other, "SELECT 1"), [["1"]])
    equal(rows(again).length, 0)
    client.destroy()
    other.destroy()
  })

  it("sends no signal of a statement that was prepared before to the warehouse", async () => {
    const client = await pair.through({ user: "writer" })
    const [backend] = await pair.postgres.run(
      "SELECT pid FROM pg_stat_activity WHERE usename = 'reader' LIMIT 1",
    )
    const [, , last = []] = await converse(client, [
      [parse(`SELECT pg_terminate_backend(${Number(backend?.["pid"])})`, { name: "s" }), sync],
      "UPDATE lab.counter SET n = n",
      [bind({ statement: "s" }), execute(), sync],
    ])
    equal(errors(last).length, 1)
    deepEqual(
      await pair.postgres.run(
        `SELECT count(*)::int AS n FROM pg_stat_activity WHERE pid = ${Number(backend?.["pid"])}`,
      ),
      [{ n: 1 }],
    )
    client.destroy()
  })
})
