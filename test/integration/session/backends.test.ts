import { deepEqual, equal, ok } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import {
  bind,
  describe as describeMessage,
  execute,
  parse,
  query,
  sync,
} from "../../support/frontend-encoder.ts"
import { errors, textRows, type WireClient } from "../../support/wire-client.ts"
import { activity, ask, line, Pair, until } from "./support.ts"

const unknownPid = 2_000_000_111
const terminated =
  "E S=FATAL | V=FATAL | C=57P01 | M=terminating connection due to administrator command"

describe("signals to other sessions", () => {
  let pair: Pair
  before(async () => {
    pair = await Pair.start({
      users: { other: "everything" },
      warehouse: "pool: { connectionsMax: 10 }",
    })
  })
  after(() => pair.stop())

  const isRunning = async (): Promise<void> =>
    until("the statement runs", async () => (await activity(pair.postgres, "^active$")) === 1)
  const isIdle = async (): Promise<void> =>
    until("nothing runs", async () => (await activity(pair.postgres, "active|transaction")) === 0)

  /** Every form ends the victim, however it names it. */
  const forms: readonly ((pid: number) => readonly Buffer[])[] = [
    (pid) => [query(`SELECT pg_terminate_backend(${pid})`)],
    (pid) => [query(`SELECT pg_catalog.pg_terminate_backend('${pid}'::int, 1000)`)],
    (pid) => [query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid='${pid}'`)],
    (pid) => [
      query(
        `SELECT pg_terminate_backend(pg_stat_activity.pid) FROM pg_catalog.pg_stat_activity WHERE pg_stat_activity.pid = ${pid} AND usename = current_user AND pid <> pg_backend_pid()`,
      ),
    ],
    (pid) => [
      query(
        `SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a WHERE a.pid IN (1, ${pid}) AND datname = current_database() AND state = 'active'`,
      ),
    ],
    (pid) => [
      parse("SELECT pg_terminate_backend($1)"),
      bind({ values: [Buffer.from(String(pid))] }),
      execute(),
      sync,
    ],
  ]
  for (const [index, form] of forms.entries())
    it(`form ${index + 1} ends a running session, its query and nothing else`, async () => {
      const victim = await pair.through()
      const bystander = await pair.through()
      const killer = await pair.through()
      const [[pid] = []] = await ask(victim, "SELECT pg_backend_pid()")
      equal(pid, String(victim.processId))
      victim.send(query("SELECT * FROM lab.slow"))
      await isRunning()
      const startMs = performance.now()
      deepEqual(textRows(await killer.query(...form(Number(pid)))), [["t"]])
      const last = (await victim.readUntilClosed()).map(line)
      ok(performance.now() - startMs < 5000)
      deepEqual(last, [terminated])
      await isIdle()
      deepEqual(await ask(bystander, "SELECT n FROM lab.counter"), [["1"]])
      for (const client of [killer, bystander]) client.destroy()
    })

  it("cancel ends the running statement only", async () => {
    const victim = await pair.through()
    const other = await pair.through()
    victim.send(query("SELECT * FROM lab.slow"))
    await isRunning()
    deepEqual(await ask(other, `SELECT pg_cancel_backend(${victim.processId})`), [["t"]])
    deepEqual((await victim.readUntilReady()).map(line), [
      "E S=ERROR | V=ERROR | C=57014 | M=canceling statement due to user request",
      'Z "I"',
    ])
    for (let round = 0; round < 50; round += 1) {
      deepEqual(await ask(other, `SELECT pg_cancel_backend(${victim.processId})`), [["t"]])
      deepEqual(await ask(victim, `SELECT n + ${round} FROM lab.counter`), [[String(round + 1)]])
    }
    await isIdle()
    victim.destroy()
    other.destroy()
  })

  it("ends an idle session, and gives back what its transaction held", async () => {
    const killer = await pair.through()
    const victim = await pair.through()
    await ask(victim, "BEGIN ISOLATION LEVEL REPEATABLE READ")
    await ask(victim, "DECLARE c CURSOR FOR SELECT random() FROM lab.items")
    equal(await activity(pair.postgres, "transaction"), 1)
    const sql =
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'"
    deepEqual(await ask(killer, sql), [["t"]])
    deepEqual((await victim.readUntilClosed()).map(line), [terminated])
    await isIdle()
    deepEqual(await ask(killer, sql), [])
    killer.destroy()
  })

  it("gives back a transaction whose statement still ran when its session ended", async () => {
    const killer = await pair.through()
    for (const end of [
      async (victim: WireClient) => victim.destroy(),
      async (victim: WireClient) => ask(killer, `SELECT pg_terminate_backend(${victim.processId})`),
    ]) {
      const victim = await pair.through()
      await ask(victim, "BEGIN ISOLATION LEVEL REPEATABLE READ")
      victim.send(query("SELECT * FROM lab.slow"))
      await isRunning()
      await end(victim)
      await isIdle()
      victim.destroy()
    }
    killer.destroy()
  })

  it("a session that signals itself gets the signal", async () => {
    const client = await pair.through()
    deepEqual((await client.query(query("SELECT pg_cancel_backend(pg_backend_pid())"))).map(line), [
      "E S=ERROR | V=ERROR | C=57014 | M=canceling statement due to user request",
      'Z "I"',
    ])
    client.send(query("SELECT pg_terminate_backend(pg_backend_pid())"))
    deepEqual((await client.readUntilClosed()).map(line), [terminated])
  })

  it("another user's session can be neither signalled nor seen", async () => {
    const victim = await pair.through()
    const other = await pair.through({ user: "other" })
    for (const [name, message, detail] of [
      [
        "pg_terminate_backend",
        "permission denied to terminate process",
        'Only roles with privileges of the role whose process is being terminated or with privileges of the "pg_signal_backend" role may terminate this process.',
      ],
      [
        "pg_cancel_backend",
        "permission denied to cancel query",
        'Only roles with privileges of the role whose query is being canceled or with privileges of the "pg_signal_backend" role may cancel this query.',
      ],
    ] as const) {
      const [error] = errors(await other.query(query(`SELECT ${name}(${victim.processId})`)))
      deepEqual([error?.["C"], error?.["M"], error?.["D"]], ["42501", message, detail])
      deepEqual(
        await ask(
          other,
          `SELECT ${name}(pid) FROM pg_stat_activity WHERE pid = ${victim.processId}`,
        ),
        [],
      )
    }
    deepEqual(await ask(victim, "SELECT n FROM lab.counter"), [["1"]])
    victim.destroy()
    other.destroy()
  })

  it("words the refusal as PostgreSQL does", async () => {
    await pair.postgres.run("CREATE ROLE weak LOGIN PASSWORD 'weak'")
    const own = await pair.direct()
    const weak = await pair.direct({ user: "weak", password: "weak" })
    const victim = await pair.through()
    const other = await pair.through({ user: "other" })
    for (const name of ["pg_cancel_backend", "pg_terminate_backend"]) {
      const [theirs] = errors(await weak.query(query(`SELECT ${name}(${own.processId})`)))
      const [ours] = errors(await other.query(query(`SELECT ${name}(${victim.processId})`)))
      if (theirs?.["D"]?.includes("SUPERUSER") !== true)
        deepEqual(
          [ours?.["C"], ours?.["M"], ours?.["D"]],
          [theirs?.["C"], theirs?.["M"], theirs?.["D"]],
        )
    }
    for (const client of [own, weak, victim, other]) client.destroy()
  })

  const alike: readonly (readonly [title: string, exchange: string | readonly Buffer[]])[] = [
    ["an unknown process id", `SELECT pg_terminate_backend(${unknownPid})`],
    ["an unknown one to cancel", `SELECT pg_cancel_backend(${unknownPid}) AS done`],
    ["a negative one", "SELECT pg_cancel_backend(-1)"],
    ["NULL", "SELECT pg_terminate_backend(NULL)"],
    ["a NULL timeout", `SELECT pg_terminate_backend(${unknownPid}, NULL)`],
    [
      "nobody in the view",
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid='999999'",
    ],
    ["no process id", "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid = NULL"],
    [
      "a parameter, described",
      [
        parse("SELECT pg_terminate_backend($1)", { name: "p" }),
        describeMessage("statement", "p"),
        bind({
          statement: "p",
          values: [Buffer.from([0x77, 0x35, 0x94, 0x6f])],
          formats: [1],
          resultFormats: [1],
        }),
        describeMessage("portal"),
        execute(),
        sync,
      ],
    ],
    [
      "parameters of both kinds",
      [
        parse(
          "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid = $2 AND usename = $1",
          { name: "q" },
        ),
        describeMessage("statement", "q"),
        bind({ statement: "q", values: ["nobody", "17"] }),
        execute(),
        sync,
      ],
    ],
  ]
  for (const [title, exchange] of alike)
    it(`answers ${title} as PostgreSQL does`, async () => {
      await pair.same([exchange])
    })

  // PostgreSQL raises the first one behind the RowDescription and the second at Bind; here both come at the start of the run.
  const wrong: readonly (readonly [sql: string, code: string, message: string])[] = [
    ["SELECT pg_terminate_backend(1, -1)", "22003", '"timeout" must not be negative'],
    ["SELECT pg_cancel_backend('x')", "22P02", 'invalid input syntax for type integer: "x"'],
    [
      "SELECT pg_cancel_backend('2147483648')",
      "22003",
      'value "2147483648" is out of range for type integer',
    ],
  ]
  for (const [sql, code, message] of wrong)
    it(`raises PostgreSQL's error for ${sql}`, async () => {
      const [direct, client] = [await pair.direct(), await pair.through()]
      for (const one of [direct, client]) {
        const [error] = errors(await one.query(query(sql)))
        deepEqual([error?.["C"], error?.["M"]], [code, message])
        one.destroy()
      }
    })

  for (const sql of [
    "SELECT pg_terminate_backend(1) OR true",
    "SELECT n, pg_cancel_backend(n) FROM lab.counter",
    "SELECT pg_cancel_backend(n) FROM lab.counter",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%x%'",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity a JOIN lab.counter ON true",
    "WITH x AS (SELECT pg_terminate_backend(1)) SELECT * FROM x",
    "SELECT * FROM pg_terminate_backend(1)",
    "SELECT 1 WHERE pg_cancel_backend(1)",
    "EXPLAIN ANALYZE SELECT pg_cancel_backend(1)",
  ])
    it(`refuses ${sql}`, async () => {
      const client = await pair.through()
      const [error] = errors(await client.query(query(sql)))
      equal(error?.["C"], "42501")
      ok(error["M"]?.startsWith("permission denied for function pg_"))
      client.destroy()
    })
})
