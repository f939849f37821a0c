import { deepEqual, equal, match, ok } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import {
  bind,
  copyData,
  copyDone,
  copyFail,
  describe as describeMessage,
  execute,
  flush,
  parse,
  query,
  sync,
  terminate,
} from "../../support/frontend-encoder.ts"
import {
  type BackendMessage,
  errors,
  rows,
  tags,
  type WireClient,
} from "../../support/wire-client.ts"
import { ask, converse, type Exchange, lastOutcome, line, Pair, until } from "./support.ts"

const roles = `roles:
  everything: { relations: { allow: ["*"] } }
  writer: { relations: { allow: ["*"] }, write: true, statementTimeoutMs: 20s }
  loader: { relations: { allow: ["lab.*"], deny: ["lab.secret"] }, write: true }
  hasty: { relations: { allow: ["*"] }, write: true, statementTimeoutMs: 300 }
`

/** The same conversation on a table of its own, directly and through the gateway. */
const conversations: readonly {
  readonly title: string
  readonly exchanges: readonly Exchange[]
}[] = [
  {
    title: "rows are inserted, changed, returned and deleted by simple queries",
    exchanges: [
      "CREATE TABLE lab.w (id int PRIMARY KEY, name text)",
      "INSERT INTO lab.w VALUES (1, 'a'), (2, 'b') RETURNING id, name",
      "UPDATE lab.w SET name = upper(name) WHERE id = 2",
      "DELETE FROM lab.w WHERE id = 1 RETURNING *",
      "SELECT * FROM lab.w",
      "INSERT INTO lab.w VALUES (2, 'again')",
      "MERGE INTO lab.w USING (VALUES (2), (3)) v (id) ON w.id = v.id WHEN MATCHED THEN UPDATE SET name = 'm' WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'n')",
      "SELECT * FROM lab.w ORDER BY id",
      "TRUNCATE lab.w",
    ],
  },
  {
    title: "a transaction that fails is undone as a whole, and says so at each step",
    exchanges: [
      "CREATE TABLE lab.w (id int PRIMARY KEY)",
      "BEGIN",
      "INSERT INTO lab.w VALUES (1)",
      "SAVEPOINT a",
      "INSERT INTO lab.w VALUES (1)",
      "SELECT 1",
      "ROLLBACK TO a",
      "SELECT count(*) FROM lab.w",
      "COMMIT",
      "BEGIN; INSERT INTO lab.w VALUES (2); SELECT 1/0; INSERT INTO lab.w VALUES (3)",
      "ROLLBACK",
      "INSERT INTO lab.w VALUES (4); SELECT 1/0",
      "SELECT * FROM lab.w",
    ],
  },
  {
    title:
      "a pipeline of prepared inserts stops at its error and takes back its implicit transaction",
    exchanges: [
      "CREATE TABLE lab.w (id int PRIMARY KEY, at timestamptz)",
      [
        parse("INSERT INTO lab.w (id) VALUES ($1)", { name: "ins" }),
        describeMessage("statement", "ins"),
        sync,
      ],
      [
        bind({ statement: "ins", values: ["1"] }),
        execute(),
        bind({ statement: "ins", values: ["2"] }),
        execute(),
        sync,
      ],
      [
        bind({ statement: "ins", values: ["3"] }),
        execute(),
        bind({ statement: "ins", values: ["1"] }),
        execute(),
        bind({ statement: "ins", values: ["4"] }),
        execute(),
        sync,
        bind({ statement: "ins", values: ["5"] }),
        execute(),
        sync,
      ],
      "SELECT id FROM lab.w ORDER BY id",
    ],
  },
  {
    title: "what was prepared, set and begun before the first write goes with the session",
    exchanges: [
      "CREATE TABLE lab.w (id int PRIMARY KEY, name text)",
      "SET search_path = lab",
      "SET timezone = 'Asia/Tokyo'",
      [parse("SELECT $1::int + 1 AS n", { name: "plus" }), sync],
      "BEGIN ISOLATION LEVEL REPEATABLE READ",
      "SET LOCAL datestyle = 'German'",
      "SAVEPOINT s1",
      "SET LOCAL extra_float_digits = 0",
      "INSERT INTO w VALUES (1, 'x')",
      "SHOW transaction_isolation",
      "SELECT timestamptz '2024-01-02 00:00:00+00', 1/3.0::float8",
      "ROLLBACK TO s1",
      "SELECT timestamptz '2024-01-02 00:00:00+00', 1/3.0::float8",
      [bind({ statement: "plus", values: ["41"] }), execute(), sync],
      "COMMIT",
      "SELECT timestamptz '2024-01-02 00:00:00+00'",
      "SELECT * FROM w",
      "RESET timezone",
      "SHOW timezone",
    ],
  },
  {
    title:
      "COPY FROM STDIN takes rows by both protocols, and ends in the client's or the server's error",
    exchanges: [
      "CREATE TABLE lab.w (id int PRIMARY KEY, name text)",
      [query("COPY lab.w FROM STDIN"), copyData(Buffer.from("1\tone\n2\ttwo\n")), copyDone],
      [
        query("COPY lab.w FROM STDIN (FORMAT csv)"),
        copyData(Buffer.from("3,three\n")),
        copyFail("enough"),
      ],
      [query("COPY lab.w FROM STDIN"), copyData(Buffer.from("x\ty\n")), copyDone],
      [
        parse("COPY lab.w FROM STDIN"),
        bind(),
        execute(),
        copyData(Buffer.from("4\tfour\n")),
        copyDone,
        sync,
      ],
      "SELECT * FROM lab.w ORDER BY id",
      "COPY (SELECT id FROM lab.w ORDER BY id) TO STDOUT",
    ],
  },
  {
    title: "temporary tables, advisory locks, cursors and listeners live as long as the session",
    exchanges: [
      "CREATE TEMP TABLE scratch (n int)",
      "INSERT INTO scratch SELECT generate_series(1, 5)",
      "SELECT sum(n) FROM scratch",
      "SELECT pg_advisory_lock(42)",
      "SELECT pg_advisory_unlock(42), pg_advisory_unlock(42)",
      "BEGIN",
      "DECLARE c SCROLL CURSOR FOR SELECT n FROM scratch ORDER BY n",
      "FETCH 2 FROM c",
      "UPDATE scratch SET n = n + 100",
      "FETCH BACKWARD 1 FROM c",
      "FETCH ALL FROM c",
      "COMMIT",
      "DISCARD ALL",
      "SELECT * FROM scratch",
    ],
  },
  {
    title: "a portal of a reader's goes on while the transaction writes",
    exchanges: [
      "CREATE TABLE lab.w (id int)",
      "BEGIN",
      [
        parse("SELECT id FROM lab.items ORDER BY id", { name: "r" }),
        bind({ statement: "r", portal: "p" }),
        execute("p", 2),
        sync,
      ],
      [parse("INSERT INTO lab.w VALUES (7)"), bind(), execute(), sync],
      [execute("p", 2), sync],
      "COMMIT",
      [execute("p", 2), sync],
    ],
  },
  {
    title: "PREPARE and EXECUTE of a write",
    exchanges: [
      "CREATE TABLE lab.w (id int)",
      "PREPARE i(int) AS INSERT INTO lab.w VALUES ($1) RETURNING id",
      "EXECUTE i(5)",
      "EXECUTE i('x')",
      "DEALLOCATE i",
      "EXECUTE i(5)",
    ],
  },
  {
    title: "messages without a Sync are answered at a Flush",
    exchanges: [
      "CREATE TABLE lab.w (id int)",
      [parse("INSERT INTO lab.w VALUES (1)"), bind(), execute(), flush, sync],
    ],
  },
]

/** Each of the two conversations makes tables of its own, whose oids differ. */
function masked(message: BackendMessage): BackendMessage {
  if (message.type !== "T") return message
  const body = Buffer.from(message.body)
  for (let at = 2; at < body.length; ) {
    const tableOid = body.indexOf(0, at) + 1
    if (body.readUInt32BE(tableOid) !== 0) body.writeUInt32BE(1, tableOid)
    at = tableOid + 18
  }
  return { ...message, body }
}

describe("sessions that may write", () => {
  let pair: Pair
  const as = (user: string): Promise<WireClient> => pair.through({ user })
  before(async () => {
    pair = await Pair.start({
      config: roles,
      users: { writer: "writer", loader: "loader", hasty: "hasty" },
      warehouse: "pool: { connectionsMax: 4, writeSessionsMax: 3 }",
    })
    await pair.postgres.run(
      "GRANT CREATE ON SCHEMA lab TO public; GRANT ALL ON ALL TABLES IN SCHEMA lab TO public; CREATE TABLE lab.wiped (n int); INSERT INTO lab.wiped VALUES (1); GRANT ALL ON lab.wiped TO public; CREATE FUNCTION lab.wipe() RETURNS void LANGUAGE sql AS 'DELETE FROM lab.wiped'",
    )
  })
  after(() => pair.stop())

  for (const { title, exchanges } of conversations)
    it(title, async () => {
      const answers: string[][][] = []
      for (const open of [() => pair.direct(), () => as("writer")]) {
        const client = await open()
        const got = await converse(client, exchanges)
        // Where the server raised it is the same place in both.
        answers.push(got.map((messages) => messages.map(masked).map(line)))
        await client.query(query("ROLLBACK; DROP TABLE IF EXISTS lab.w"))
        client.destroy()
      }
      deepEqual(answers[1], answers[0])
    })

  it("reads before the first write are served from the cache, also inside a transaction", async () => {
    const client = await as("writer")
    await ask(client, "SELECT n FROM lab.counter")
    await ask(client, "BEGIN")
    await ask(client, "SELECT n FROM lab.counter")
    equal(await lastOutcome(client), "hit_l1")
    await ask(client, "UPDATE lab.counter SET n = n")
    await ask(client, "ROLLBACK")
    client.destroy()
  })

  it("a reader sees what was committed as soon as the writer knows of the commit", async () => {
    const [writer, reader] = [await as("writer"), await pair.through()]
    const value = async (): Promise<number> =>
      Number((await ask(reader, "SELECT n FROM lab.counter"))[0]?.[0])
    for (const write of [
      ["UPDATE lab.counter SET n = n + 1"],
      ["BEGIN", "UPDATE lab.counter SET n = n + 1", "COMMIT"],
      [
        "BEGIN",
        "UPDATE lab.counter SET n = n + 1",
        "SAVEPOINT s",
        "SELECT 1",
        "ROLLBACK TO s",
        "COMMIT",
      ],
      ["BEGIN; UPDATE lab.counter SET n = n + 1; COMMIT"],
      ["PREPARE up AS UPDATE lab.counter SET n = n + 1", "EXECUTE up"],
      ["DO $$ BEGIN UPDATE lab.counter SET n = n + 1; END $$"],
    ]) {
      const counted = await value()
      await value()
      equal(await lastOutcome(reader), "hit_l1")
      for (const sql of write) await ask(writer, sql)
      equal(await value(), counted + 1, write.join("; "))
    }
    const counted = await value()
    const update = parse("UPDATE lab.counter SET n = n + 1", { name: "u" })
    const run = [bind({ statement: "u" }), execute(), sync]
    writer.send(update, ...run, ...run, ...run)
    for (let index = 0; index < 3; index += 1) await writer.readUntilReady()
    equal(await value(), counted + 3, "a pipeline of commits")
    writer.destroy()
    reader.destroy()
  })

  it("what was not committed, or concerned other relations, leaves the cache warm", async () => {
    const [writer, reader] = [await as("writer"), await pair.through()]
    await ask(reader, "SELECT n FROM lab.counter")
    await ask(writer, "INSERT INTO lab.empty VALUES (1, 'x')")
    await ask(writer, "CREATE TEMP TABLE aside AS SELECT 1 AS one")
    await ask(reader, "SELECT n FROM lab.counter")
    equal(await lastOutcome(reader), "hit_l1")
    await ask(writer, "BEGIN")
    await ask(writer, "UPDATE lab.counter SET n = -1")
    await ask(reader, "SELECT n FROM lab.counter")
    equal(await lastOutcome(reader), "hit_l1")
    await ask(writer, "ROLLBACK")
    writer.destroy()
    reader.destroy()
  })

  it("what a trigger or a cascade writes besides is fresh, too", async () => {
    const [writer, reader] = [await as("writer"), await pair.through()]
    await ask(writer, "CREATE TABLE lab.parent (id int PRIMARY KEY)")
    await ask(writer, "CREATE TABLE lab.child (id int REFERENCES lab.parent ON DELETE CASCADE)")
    await ask(writer, "INSERT INTO lab.parent VALUES (1), (2)")
    await ask(writer, "INSERT INTO lab.child VALUES (1), (2)")
    deepEqual(await ask(reader, "SELECT count(*) FROM lab.child"), [["2"]])
    await ask(writer, "DELETE FROM lab.parent WHERE id = 1")
    deepEqual(await ask(reader, "SELECT count(*) FROM lab.child"), [["1"]])
    await ask(writer, "DROP TABLE lab.child, lab.parent")
    writer.destroy()
    reader.destroy()
  })

  it("notifications come unasked, and name processes as their clients know them", async () => {
    const client = await as("writer")
    const [[pid] = []] = await ask(client, "SELECT pg_backend_pid()")
    await ask(client, "LISTEN news")
    deepEqual(await ask(client, "SELECT pg_backend_pid(), current_user"), [[pid ?? null, "writer"]])
    const messages = await client.query(query("NOTIFY news, 'hello'"))
    const notification = messages.find((message) => message.type === "A")
    equal(notification?.body.readInt32BE(0), Number(pid))
    match(notification?.body.toString() ?? "", /news\0hello\0$/)
    const other = await pair.direct()
    await ask(other, "NOTIFY news, 'from elsewhere'")
    const unasked = await client.read()
    equal(unasked.type, "A")
    client.destroy()
    other.destroy()
  })

  it("a cancel ends the statement that runs, and the role's time-out does so by itself", async () => {
    const client = await as("hasty")
    await ask(client, "CREATE TEMP TABLE t (n int)")
    const timedOut = errors(await client.query(query("INSERT INTO t SELECT 1 FROM pg_sleep(20)")))
    deepEqual(
      timedOut.map(({ C, M }) => [C, M]),
      [["57014", "canceling statement due to statement timeout"]],
    )
    deepEqual(await ask(client, "SELECT count(*) FROM t"), [["0"]])
    client.destroy()
    const writer = await as("writer")
    await ask(writer, "CREATE TEMP TABLE t (n int)")
    writer.send(query("INSERT INTO t SELECT 1 FROM pg_sleep(20)"))
    await until("the statement runs", async () => {
      const [row] = await pair.postgres.run(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query ~ '^INSERT INTO t' AND state = 'active'",
      )
      return row?.["n"] === 1
    })
    await writer.cancel()
    deepEqual(
      errors(await writer.readUntilReady()).map(({ M }) => M),
      ["canceling statement due to user request"],
    )
    writer.destroy()
  })

  it("a cancel never hits what its client sends after it", async () => {
    const client = await as("writer")
    await ask(client, "CREATE TEMP TABLE t (n int)")
    for (let round = 0; round < 40; round += 1) {
      client.send(query("COPY t FROM STDIN"))
      await client.readUntil("G")
      const cancelled = client.cancel()
      client.send(copyFail("given up"))
      equal(errors(await client.readUntilReady()).length, 1)
      await cancelled
      deepEqual(
        await ask(client, "SELECT count(*) FROM t, pg_sleep(0.02)"),
        [["0"]],
        `round ${round}`,
      )
    }
    client.destroy()
  })

  it("a refused statement fails its batch and its transaction like any other error, and nothing of it is run", async () => {
    const client = await as("loader")
    await ask(client, "CREATE TEMP TABLE t (n int)")
    await ask(client, "BEGIN")
    const cases: readonly [string, string, RegExp][] = [
      ["INSERT INTO lab.empty SELECT id, word FROM lab.secret", "42501", /table secret/],
      ["INSERT INTO lab.empty SELECT id, 'x' FROM lab.over_secret", "42501", /table secret/],
      ["DELETE FROM lab.secret", "42501", /table secret/],
      ["CREATE TABLE public.elsewhere (n int)", "42501", /table elsewhere/],
      ["DO $$ BEGIN DELETE FROM lab.secret; END $$", "42501", /DO needs a role/],
      [
        "CREATE FUNCTION lab.f() RETURNS int LANGUAGE sql AS 'SELECT id FROM lab.secret'",
        "42501",
        /CREATE FUNCTION needs/,
      ],
      ["COPY lab.items TO '/tmp/x'", "42501", /does not pass/],
      ["SET ROLE reader", "42501", /does not pass/],
      ["SELECT set_config('role', 'reader', false)", "42501", /does not pass/],
      ["ALTER SYSTEM SET work_mem = '1GB'", "42501", /does not pass/],
      ["SELECT pg_read_file('/etc/passwd')", "42501", /function pg_read_file/],
      ["SELECT lab.wipe()", "42501", /SELECT needs a role/],
      ["SELECT rolpassword FROM pg_authid", "42501", /table pg_authid/],
    ]
    for (const [sql, state, message] of cases) {
      await ask(client, "SAVEPOINT s")
      for (const sent of [[query(sql)], [parse(sql), bind(), execute(), sync]]) {
        const [error, ...more] = errors(await client.query(...sent))
        equal(more.length, 0, sql)
        equal(error?.["C"], state, sql)
        match(error?.["M"] ?? "", message, sql)
        const [failed] = errors(await client.query(query("SELECT 1")))
        equal(failed?.["C"], "25P02", sql)
        await ask(client, "ROLLBACK TO s")
      }
    }
    await ask(client, "INSERT INTO lab.empty VALUES (9, 'kept')")
    await ask(client, "COMMIT")
    await ask(client, "SET search_path = lab")
    deepEqual(
      errors(await client.query(query("SELECT * FROM secret"))).map(({ C }) => C),
      ["42501"],
    )
    await ask(client, "RESET search_path")
    deepEqual(
      errors(await client.query(query("SELECT * FROM secret"))).map(({ C }) => C),
      ["42501"],
    )
    deepEqual(await ask(client, "SELECT name FROM lab.empty WHERE id = 9"), [["kept"]])
    client.destroy()
  })

  it("sequences and functions that write are run where they may, and what they write is fresh", async () => {
    const [writer, reader] = [await as("writer"), await pair.through()]
    await ask(writer, "CREATE SEQUENCE lab.numbers")
    writer.destroy()
    const another = await as("writer")
    deepEqual(await ask(another, "SELECT nextval('lab.numbers')"), [["1"]])
    deepEqual(await ask(another, "SELECT nextval('lab.numbers'), currval('lab.numbers')"), [
      ["2", "2"],
    ])
    another.destroy()
    const third = await as("writer")
    await ask(reader, "SELECT count(*) FROM lab.wiped")
    await ask(third, "SELECT lab.wipe()")
    deepEqual(await ask(reader, "SELECT count(*) FROM lab.wiped"), [["0"]])
    third.destroy()
    reader.destroy()
  })

  it("nobody reads passwords or what other sessions hold by a grant on everything", async () => {
    for (const user of ["reader", "writer"]) {
      const client = await as(user)
      if (user === "writer") await ask(client, "CREATE TEMP TABLE t (n int)")
      for (const name of ["pg_authid", "pg_catalog.pg_shadow", "pg_locks", "pg_stats"])
        deepEqual(
          errors(await client.query(query(`SELECT * FROM ${name}`))).map(({ C }) => C),
          ["42501"],
          `${user} ${name}`,
        )
      client.destroy()
    }
  })

  it("readers stay readers", async () => {
    const client = await pair.through()
    const [error] = errors(await client.query(query("INSERT INTO lab.empty VALUES (1, 'x')")))
    deepEqual(
      [error?.["C"], error?.["M"]],
      ["25006", "cannot execute INSERT in a read-only transaction"],
    )
    client.destroy()
  })

  it("writers beyond the limit are told so, and a place is free again when one leaves", async () => {
    const clients = [await as("writer"), await as("writer"), await as("writer"), await as("writer")]
    for (const client of clients.slice(0, 3)) await ask(client, "CREATE TEMP TABLE t (n int)")
    const last = clients[3]
    ok(last)
    deepEqual(
      errors(await last.query(query("CREATE TEMP TABLE t (n int)"))).map(({ C }) => C),
      ["53300"],
    )
    deepEqual(await ask(last, "SELECT 1"), [["1"]])
    clients[0]?.send(terminate)
    await until(
      "a place is free",
      async () => errors(await last.query(query("CREATE TEMP TABLE t (n int)"))).length === 0,
    )
    for (const client of clients) client.destroy()
    await until("all connections of writers are closed", async () => {
      const [row] = await pair.postgres.run(
        "SELECT count(*)::int AS n FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relname = 't'",
      )
      return row?.["n"] === 0
    })
  })

  it("a client that goes away in the middle of a transaction leaves nothing behind", async () => {
    const client = await as("writer")
    await ask(client, "BEGIN")
    await ask(client, "INSERT INTO lab.empty VALUES (77, 'gone')")
    client.send(query("SELECT pg_sleep(30)"))
    client.destroy()
    await until("its backend is gone", async () => {
      const [row] = await pair.postgres.run(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query ~ 'pg_sleep.30' AND state = 'active' AND pid <> pg_backend_pid()",
      )
      return row?.["n"] === 0
    })
    const reader = await pair.through()
    deepEqual(await ask(reader, "SELECT count(*) FROM lab.empty WHERE id = 77"), [["0"]])
    reader.destroy()
  })

  it("a large COPY and a large result flow through while the client reads at its own pace", async () => {
    const client = await as("writer")
    await ask(client, "CREATE TEMP TABLE big (n int, pad text)")
    const chunk = Buffer.from(
      Array.from({ length: 1_000 }, (_, index) => `${index}\t${"x".repeat(100)}\n`).join(""),
    )
    client.send(query("COPY big FROM STDIN"))
    for (let index = 0; index < 200; index += 1) client.send(copyData(chunk))
    client.send(copyDone)
    deepEqual(tags(await client.readUntilReady()), ["COPY 200000"])
    equal(rows(await client.query(query("SELECT * FROM big"))).length, 200_000)
    client.destroy()
  })
})
