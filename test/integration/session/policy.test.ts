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
import { errors, rows, tags, types, type WireClient } from "../../support/wire-client.ts"
import { activity, ask, lastOutcome, Pair } from "./support.ts"

const roles = `roles:
  everything: { relations: { allow: ["*"] } }
  cut: { relations: { allow: ["lab.*"] }, rowLimit: 100 }
  strict: { relations: { allow: ["lab.*"] }, rowLimit: 100, onExceed: error }
  denied: { relations: { allow: ["lab.*"], deny: ["lab.secret"] } }
  narrow: { relations: { allow: ["lab.items"] } }
  timed: { relations: { allow: ["*"] }, statementTimeoutMs: 400 }
  uncached: { relations: { allow: ["*"] }, cache: off }
`
const all = "SELECT id FROM lab.items ORDER BY id"

describe("what a role may do", () => {
  let pair: Pair
  const as = (user: string): Promise<WireClient> => pair.through({ user })
  before(async () => {
    const names = ["cut", "strict", "denied", "narrow", "timed", "uncached"]
    pair = await Pair.start({
      config: roles,
      users: Object.fromEntries(names.map((name) => [name, name])),
    })
  })
  after(() => pair.stop())

  it("a row limit cuts with a NOTICE, by both protocols, and the cut result is never cached", async () => {
    const client = await as("cut")
    for (let round = 0; round < 2; round += 1) {
      const simple = await client.query(query(all))
      deepEqual([rows(simple).length, tags(simple)], [100, ["SELECT 100"]])
      equal(await lastOutcome(client), "miss")
      const extended = await client.query(
        parse(all),
        bind(),
        describeMessage("portal"),
        execute(),
        sync,
      )
      deepEqual([rows(extended).length, tags(extended)], [100, ["SELECT 100"]])
      equal(await lastOutcome(client), "miss")
    }
    equal(client.notices.length, 4)
    ok(
      client.notices.every(
        ({ S, M }) => S === "NOTICE" && M === "result was cut at the row limit of 100",
      ),
    )
  })

  it("a result at the limit is whole, and cached", async () => {
    const client = await as("cut")
    const sql = "SELECT id FROM lab.items WHERE id <= 100 ORDER BY id"
    for (const outcome of ["miss", "hit_l1"]) {
      equal((await ask(client, sql)).length, 100)
      equal(await lastOutcome(client), outcome)
    }
    equal(client.notices.length, 0)
  })

  it("a row limit holds for portals read in pieces, cursors and LIMITs of the client's own", async () => {
    const client = await as("cut")
    const pieces = await client.query(
      parse(all),
      bind(),
      execute("", 60),
      execute("", 60),
      execute("", 60),
      sync,
    )
    equal(rows(pieces).length, 100)
    await ask(client, "BEGIN")
    await ask(client, `DECLARE c CURSOR FOR ${all}`)
    equal((await ask(client, "FETCH 70 FROM c")).length, 70)
    equal((await ask(client, "FETCH 70 FROM c")).length, 30)
    equal((await ask(client, "FETCH 70 FROM c")).length, 0)
    await ask(client, "COMMIT")
    equal((await ask(client, `${all} LIMIT 5000`)).length, 100)
    equal((await ask(client, `${all} LIMIT 50`)).length, 50)
    equal((await ask(client, `${all} OFFSET 950`)).length, 50)
  })

  it("a row limit of mode error fails with 54000 and never caches", async () => {
    const client = await as("strict")
    for (let round = 0; round < 2; round += 1) {
      const [error] = errors(await client.query(query(all)))
      deepEqual([error?.["C"], error?.["M"]], ["54000", "result exceeds the row limit of 100"])
    }
    equal((await ask(client, "SELECT id FROM lab.items WHERE id <= 100")).length, 100)
    deepEqual(await ask(client, "SELECT count(*) FROM lab.items"), [["1000"]])
  })

  it("a limited role and an unlimited one never share a result", async () => {
    const sql = "SELECT name FROM lab.items ORDER BY id"
    const [limited, reader] = [await as("cut"), await as("reader")]
    equal((await ask(reader, sql)).length, 1000)
    equal((await ask(limited, sql)).length, 100)
    equal((await ask(reader, sql)).length, 1000)
    equal(await lastOutcome(reader), "hit_l1")
  })

  const closed: readonly (readonly [user: string, sql: string])[] = [
    ["denied", "SELECT * FROM lab.secret"],
    ["denied", "SELECT id FROM lab.over_secret"],
    ["denied", "SELECT 1 FROM lab.items WHERE id IN (SELECT id FROM lab.secret)"],
    ["denied", "WITH x AS (SELECT * FROM lab.secret) SELECT count(*) FROM x"],
    ["denied", "EXPLAIN SELECT * FROM lab.secret"],
    ["denied", "TABLE lab.secret"],
    ["narrow", "SELECT * FROM lab.counter"],
    ["narrow", "SELECT * FROM lab.items, lab.over_secret"],
    ["narrow", "SELECT * FROM pg_catalog.pg_stats"],
  ]
  for (const [user, sql] of closed)
    it(`${user} may not ask ${sql}, by no protocol, cached or not`, async () => {
      await ask(
        await as("reader"),
        sql.replace("EXPLAIN ", "").replace("pg_catalog.pg_stats", "lab.counter"),
      )
      const client = await as(user)
      const simple = errors(await client.query(query(sql)))
      deepEqual(
        simple.map(({ C }) => C),
        ["42501"],
      )
      ok(simple[0]?.["M"]?.startsWith("permission denied for table "))
      const described = errors(await client.query(parse(sql), describeMessage("statement"), sync))
      deepEqual(
        described.map(({ C }) => C),
        ["42501"],
      )
      const run = errors(await client.query(parse(sql), bind(), execute(), sync))
      deepEqual(
        run.map(({ C }) => C),
        ["42501"],
      )
      if (sql.startsWith("EXPLAIN")) return
      await ask(client, "BEGIN")
      const declared = errors(await client.query(query(`DECLARE c CURSOR FOR ${sql}`)))
      deepEqual(
        declared.map(({ C }) => C),
        ["42501"],
      )
      await ask(client, "ROLLBACK")
    })

  it("a relation that does not exist looks the same as one that may not be named", async () => {
    const client = await as("narrow")
    const [error] = errors(await client.query(query("SELECT * FROM lab.nowhere")))
    deepEqual([error?.["C"], error?.["M"]], ["42P01", 'relation "lab.nowhere" does not exist'])
  })

  const writes: readonly (readonly [sql: string, tag: string])[] = [
    ["INSERT INTO lab.counter VALUES (2)", "INSERT"],
    ["UPDATE lab.counter SET n = 2", "UPDATE"],
    ["DELETE FROM lab.counter", "DELETE"],
    ["CREATE TABLE lab.x (a int)", "CREATE TABLE"],
    ["DROP TABLE lab.items", "DROP TABLE"],
    ["TRUNCATE lab.counter", "TRUNCATE TABLE"],
    ["SELECT * FROM lab.counter FOR UPDATE", "SELECT FOR UPDATE"],
    ["WITH x AS (DELETE FROM lab.counter RETURNING n) SELECT * FROM x", "SELECT"],
  ]
  for (const [sql, tag] of writes)
    it(`nobody may ${sql}`, async () => {
      const client = await as("reader")
      const answer = await client.query(query(sql))
      deepEqual(
        errors(answer).map(({ C, M }) => [C, M]),
        [["25006", `cannot execute ${tag} in a read-only transaction`]],
      )
      const prepared = await client.query(parse(sql), bind(), execute(), sync)
      deepEqual(
        errors(prepared).map(({ C }) => C),
        ["25006"],
      )
      deepEqual(await ask(client, "SELECT n FROM lab.counter"), [["1"]])
    })

  for (const sql of [
    "SELECT query FROM pg_stat_get_activity(NULL)",
    "SELECT pg_stat_get_backend_activity(1)",
  ])
    it(`does not show other people's statements by ${sql}`, async () => {
      const client = await as("narrow")
      const answer = await client.query(query(sql))
      deepEqual(
        errors(answer).map(({ C }) => C),
        ["42501"],
      )
    })

  it("shows a user its own statements in pg_stat_activity, and nobody else's", async () => {
    const other = await as("reader")
    await ask(other, "SELECT 'private to reader', n FROM lab.counter")
    const narrow = await as("narrow")
    deepEqual(await ask(narrow, "SELECT DISTINCT usename FROM pg_stat_activity"), [["narrow"]])
  })

  it("asks the warehouse for a setting of its own, but lets nothing ride along", async () => {
    const client = await as("reader")
    deepEqual(await ask(client, "SELECT current_setting('work_mem')"), [["4MB"]])
    for (const other of ["set_config('search_path', 'x', false)", "current_user", "version()"]) {
      const answer = await client.query(query(`SELECT current_setting('work_mem'), ${other}`))
      deepEqual(
        errors(answer).map(({ C }) => C),
        ["0A000"],
      )
    }
    deepEqual(await ask(client, "SHOW search_path"), [['"$user", public']])
  })

  it("statement_timeout set by the session ends a statement in PostgreSQL's words", async () => {
    const script = [
      "SET statement_timeout = 200",
      "SELECT * FROM lab.slow",
      "SELECT 1",
      "BEGIN",
      "SELECT * FROM lab.slow",
      "COMMIT",
      "RESET statement_timeout",
    ]
    await pair.same(script)
  })

  it("statement_timeout by role holds whatever the session sets", async () => {
    const client = await as("timed")
    for (const setting of [
      "SELECT 1",
      "SET statement_timeout = 0",
      "SET statement_timeout = '1h'",
    ]) {
      await ask(client, setting)
      const answer = await client.query(query("SELECT * FROM lab.slow"))
      const [error] = errors(answer)
      deepEqual(
        [types(answer).at(-1), error?.["C"], error?.["M"]],
        ["Z", "57014", "canceling statement due to statement timeout"],
      )
    }
    equal(await activity(pair.postgres, "active"), 0)
  })

  it("a role without the cache neither reads nor fills it", async () => {
    const [client, reader] = [await as("uncached"), await as("reader")]
    const sql = "SELECT count(*) FROM lab.items WHERE id < 777"
    await ask(client, sql)
    equal(await lastOutcome(client), "bypass cache_disabled")
    await ask(reader, sql)
    equal(await lastOutcome(reader), "miss")
    await ask(client, sql)
    equal(await lastOutcome(client), "bypass cache_disabled")
  })

  it("a refusal comes at Bind, whatever brings it out, as PostgreSQL's own does", async () => {
    const secret = "SELECT id FROM lab.secret"
    const portal = describeMessage("portal")
    const batches: readonly (readonly [messages: readonly Buffer[], answers: string])[] = [
      [[parse(secret), sync], "1Z"],
      [[parse(secret), bind(), sync], "1EZ"],
      [[parse(secret), bind(), execute(), sync], "1EZ"],
      [[parse(secret), bind(), portal, execute(), sync], "1EZ"],
      [[parse(secret), describeMessage("statement"), sync], "1EZ"],
    ]
    const client = await as("denied")
    for (const [messages, answers] of batches)
      equal(types(await client.query(...messages)), answers)
  })
})
