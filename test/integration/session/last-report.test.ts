import { deepEqual, equal, match, ok } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { bind, execute, parse, query, sync } from "../../support/frontend-encoder.ts"
import { columnNames, tags, textRows, type WireClient } from "../../support/wire-client.ts"
import { ask, lastOutcome, Pair } from "./support.ts"

/** What the second asking of a text comes to. */
const outcomes: readonly (readonly [sql: string, outcome: string])[] = [
  ["SELECT count(*) FROM lab.items", "hit_l1"],
  ["select  COUNT(*)  from lab.items /* spelt otherwise */", "hit_l1"],
  ["SELECT count(*) FROM lab.items WHERE day = current_date", "hit_l1"],
  ["SELECT count(*) FROM lab.items WHERE day > 'today'", "bypass time_literal"],
  ["SELECT count(*) FROM lab.items WHERE at < 'now'::timestamptz", "bypass time_literal"],
  ["SELECT 'tomorrow'::date, n FROM lab.counter", "bypass time_literal"],
  ["SELECT count(*) FROM lab.items WHERE at < now()", "bypass time_function"],
  ["SELECT CURRENT_TIMESTAMP, n FROM lab.counter", "bypass time_function"],
  ["SELECT random(), n FROM lab.counter", "bypass volatile_function"],
  ["SELECT gen_random_uuid(), n FROM lab.counter", "bypass volatile_function"],
  ["SELECT clock_timestamp() > now(), n FROM lab.counter", "bypass time_function"],
  ["SELECT current_user, n FROM lab.counter", "bypass session_function"],
  ["SELECT ctid, n FROM lab.counter", "bypass system_column"],
  ["SELECT count(*) FROM lab.items TABLESAMPLE SYSTEM (100)", "bypass table_sample"],
  ["SELECT * FROM lab.nap WHERE false", "bypass volatile_view"],
  ["EXPLAIN SELECT 1", "bypass explain"],
  ["SELECT count(*) FROM pg_catalog.pg_class WHERE relname = 'items'", "hit_l1"],
]

describe("SHOW sluice.last and what the cache keeps", () => {
  let pair: Pair
  let client: WireClient
  before(async () => {
    pair = await Pair.start()
    client = await pair.through()
  })
  after(() => pair.stop())

  it("has one row with these columns", async () => {
    const fresh = await pair.through()
    const none = await fresh.query(query("SHOW sluice.last"))
    deepEqual([textRows(none), tags(none)], [[], ["SHOW"]])
    await ask(fresh, "SELECT max(id) FROM lab.items, lab.counter")
    const shown = await fresh.query(query("SHOW sluice.last"))
    deepEqual(columnNames(shown), [
      "cache",
      "reason",
      "age_ms",
      "key",
      "relations",
      "time_bucket",
      "hint",
      "endpoint",
      "parse_ms",
      "policy_ms",
      "cache_ms",
      "queue_ms",
      "warehouse_ms",
      "encode_ms",
      "tier",
      "tokens",
    ])
    const [[cache, reason, age, key, relations, bucket, hint, endpoint, ...rest] = []] =
      textRows(shown)
    const [tier, tokens] = rest.slice(-2)
    const stages = rest.slice(0, -2)
    deepEqual(
      [cache, reason, age, relations, bucket, hint, endpoint],
      ["miss", null, null, "lab.counter, lab.items", null, null, "warehouse/primary"],
    )
    match(key ?? "", /^[0-9a-f]{8,}$/)
    equal(tier, null)
    match(tokens ?? "", /^epoch [0-9a-f]{32}; lab\.counter -; lab\.items -$/)
    ok(stages.every((stage) => Number(stage) >= 0))
    await ask(fresh, "SELECT max(id) FROM lab.items, lab.counter")
    const [[again, , hitAge, sameKey, , , , hitEndpoint, ...more] = []] = await ask(
      fresh,
      "SHOW sluice.last",
    )
    deepEqual([again, sameKey, hitEndpoint], ["hit_l1", key, null])
    deepEqual(more.slice(-2), ["memory", tokens])
    ok(Number(hitAge) >= 0)
    deepEqual(tags(await fresh.query(parse("SHOW sluice.last"), bind(), execute(), sync)), ["SHOW"])
    fresh.destroy()
  })

  for (const [sql, outcome] of outcomes)
    it(`second asking, ${outcome}: ${sql}`, async () => {
      await ask(client, sql)
      await ask(client, sql)
      equal(await lastOutcome(client), outcome)
    })

  it("a parameter that means another day tomorrow bypasses", async () => {
    const run = (value: string): Promise<unknown> =>
      client.query(
        parse("SELECT count(*) FROM lab.items WHERE day < $1::date"),
        bind({ values: [value] }),
        execute(),
        sync,
      )
    for (const value of ["today", " Tomorrow ", "now", "NOW", "yesterday"]) {
      await run(value)
      await run(value)
      equal(await lastOutcome(client), "bypass time_literal", value)
    }
    await run("2024-02-02")
    await run("2024-02-02")
    equal(await lastOutcome(client), "hit_l1")
  })

  it("parameters keep results apart, NULL and empty text, too", async () => {
    const direct = await pair.direct()
    for (const value of ["1", "2", "10", null, "1"]) {
      const batch = [
        parse("SELECT count(*), $1::text FROM lab.items WHERE id < $1::int"),
        bind({ values: [value] }),
        execute(),
        sync,
      ]
      deepEqual(textRows(await client.query(...batch)), textRows(await direct.query(...batch)))
    }
    direct.destroy()
  })

  it("sluice.cache = off goes past the cache, refresh renews the entry", async () => {
    const other = await pair.through()
    const sql = "SELECT n FROM lab.counter"
    await ask(client, sql)
    await pair.postgres.run("UPDATE lab.counter SET n = 7")
    deepEqual(await ask(client, sql), [["1"]])
    await ask(client, "SET sluice.cache = off")
    deepEqual(await ask(client, sql), [["7"]])
    equal(await lastOutcome(client), "bypass requested_off")
    deepEqual(await ask(other, sql), [["1"]])
    await ask(client, "SET sluice.cache = refresh")
    deepEqual(await ask(client, sql), [["7"]])
    equal(await lastOutcome(client), "miss")
    deepEqual(await ask(other, sql), [["7"]])
    equal(await lastOutcome(other), "hit_l1")
    await ask(client, "RESET sluice.cache")
    await pair.postgres.run("UPDATE lab.counter SET n = 1")
    await pair.invalidate("lab.counter")
    deepEqual(await ask(client, sql), [["1"]])
    equal(await lastOutcome(client), "miss")
    other.destroy()
  })

  it("a catalogue answer is kept briefly and fresh after any invalidation", async () => {
    const sql = "SELECT count(*) FROM pg_catalog.pg_class WHERE relname = 'new_mart'"
    deepEqual(await ask(client, sql), [["0"]])
    await pair.postgres.run("CREATE TABLE lab.new_mart AS SELECT 1 AS a")
    deepEqual(await ask(client, sql), [["0"]])
    equal(await lastOutcome(client), "hit_l1")
    await pair.invalidate("lab.new_mart")
    deepEqual(await ask(client, sql), [["1"]])
    deepEqual(await ask(client, "SELECT a FROM lab.new_mart"), [["1"]])
  })

  it("a view is cold after the invalidation of what it reads", async () => {
    const sql = "SELECT count(*) FROM lab.over_secret"
    deepEqual(await ask(client, sql), [["1"]])
    await pair.postgres.run("INSERT INTO lab.secret VALUES (2, 'more')")
    deepEqual(await ask(client, sql), [["1"]])
    await pair.invalidate("lab.secret")
    deepEqual(await ask(client, sql), [["2"]])
  })

  it("a failed statement is never kept", async () => {
    const sql = "SELECT 1 / (n - 1) FROM lab.counter"
    for (let round = 0; round < 2; round += 1)
      await ask(client, sql).then(
        () => ok(false),
        (error: unknown) => match(String(error), /division by zero/),
      )
    await pair.postgres.run("UPDATE lab.counter SET n = 2")
    deepEqual(await ask(client, sql), [["1"]])
    await pair.postgres.run("UPDATE lab.counter SET n = 1")
    await pair.invalidate("lab.counter")
  })
})
