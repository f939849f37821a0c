import { deepEqual, equal } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import {
  bind,
  close,
  describe as describeMessage,
  execute,
  parse,
  query,
  sync,
} from "../../support/frontend-encoder.ts"
import { errors } from "../../support/wire-client.ts"
import { activity, ask, type Exchange, line, Pair, until } from "./support.ts"

const cases: readonly (readonly [title: string, exchanges: readonly Exchange[]])[] = [
  [
    "a parameter that the text leaves out",
    [
      [parse("SELECT $2::int"), sync],
      [parse("SELECT $1::int + $3::int", { types: [23, 0, 23] }), sync],
      [parse("SELECT $2::int", { types: [25] }), bind({ values: ["x", "2"] }), execute(), sync],
      [parse("SELECT $1::int, $1::int"), bind({ values: ["2"] }), execute(), sync],
    ],
  ],
  [
    "ROLLBACK TO closes portals that were bound after the savepoint",
    [
      "BEGIN",
      [parse("SELECT id FROM lab.items ORDER BY id", { name: "s" }), sync],
      [bind({ portal: "before", statement: "s" }), execute("before", 1), sync],
      "SAVEPOINT a",
      [bind({ portal: "after", statement: "s" }), execute("after", 1), sync],
      "ROLLBACK TO a",
      [execute("before", 2), sync],
      [execute("after", 1), sync],
      "ROLLBACK TO a",
      [bind({ portal: "again", statement: "s" }), execute("again", 1), sync],
      "RELEASE a",
      [execute("again", 1), sync],
      "ROLLBACK",
      [close("statement", "s"), sync],
    ],
  ],
  [
    "SHOW by the extended protocol",
    [
      "ALL",
      "TIME ZONE",
      "TRANSACTION ISOLATION LEVEL",
      "SESSION AUTHORIZATION",
      "server_version",
    ].map((name) => [parse(`SHOW ${name}`), describeMessage("statement"), sync]),
  ],
]

describe("the extended protocol at its edges", () => {
  let pair: Pair
  before(async () => {
    pair = await Pair.start({
      config: "listen: { host: 127.0.0.1, port: 0, portalSpoolBytesMax: 65536 }",
    })
  })
  after(() => pair.stop())

  for (const [title, exchanges] of cases)
    it(`${title}: as PostgreSQL`, async () => {
      await pair.same(exchanges)
    })

  // PostgreSQL raises it at Bind, the gateway at the run: BindComplete stands before the same error.
  for (const portal of ["", "p"])
    it(`names the portal "${portal}" in the error of a value that does not fit`, async () => {
      const batch = [
        parse("SELECT $1::int"),
        bind({ portal, values: ["x"] }),
        execute(portal),
        sync,
      ]
      const lines: (string | undefined)[] = []
      for (const client of [await pair.direct(), await pair.through()]) {
        client.send(...batch)
        const messages = await client.readUntilReady()
        lines.push(messages.filter(({ type }) => type === "E").map(line)[0])
        client.destroy()
      }
      equal(lines[1], lines[0])
    })

  it("a COMMIT that cannot keep its cursors WITH HOLD ends the transaction", async () => {
    const client = await pair.through()
    await ask(client, "BEGIN")
    await ask(client, "DECLARE small CURSOR WITH HOLD FOR SELECT 1")
    await ask(
      client,
      "DECLARE big CURSOR WITH HOLD FOR SELECT repeat('x', 1000), id FROM lab.items",
    )
    const messages = await client.query(query("COMMIT"))
    equal(errors(messages)[0]?.["C"], "54000")
    deepEqual(messages.slice(-1).map(line), ['Z "I"'])
    equal(errors(await client.query(query("FETCH small")))[0]?.["C"], "34000")
    await until(
      "nothing runs",
      async () => (await activity(pair.postgres, "active|transaction")) === 0,
    )
    deepEqual(await ask(client, "SELECT 1"), [["1"]])
    client.destroy()
  })
})
