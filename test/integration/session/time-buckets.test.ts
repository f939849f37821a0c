import { deepEqual, equal, match, notEqual, ok, rejects } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { describe as describeTarget, parse, query, sync } from "../../support/frontend-encoder.ts"
import { readFields, type WireClient } from "../../support/wire-client.ts"
import { ask, lastOutcome, line, Pair } from "./support.ts"

const config = `
cache:
  timeBucketMs: 6h
  ttlClasses:
    - { relations: lab.counter, ttlMs: 1h, timeBucketMs: 0 }
    - { relations: lab.secret, ttlMs: 0 }
roles:
  everything: { relations: { allow: ["*"] } }
  own: { relations: { allow: ["*"] }, timeBucketMs: 0 }
  free: { relations: { allow: ["*"] }, timeBucketMs: 0, cacheHints: any }
  filtered: { relations: { allow: ["*"] } }
policies:
  relations:
    lab.items:
      rowFilters: [{ name: past, filter: "at < now()", roles: [filtered] }]
      unfilteredRoles: [everything, own, free]
`
const users = { mary: "own", nick: "free", fred: "filtered" }

/** The value of `time_bucket` in SHOW sluice.last. */
async function bucket(client: WireClient): Promise<string | null> {
  const [[, , , , , shown] = []] = await ask(client, "SHOW sluice.last")
  return shown ?? null
}

/** Row description and rows of a text; notices left out. */
async function answer(client: WireClient, sql: string): Promise<string[]> {
  const messages = await client.query(query(sql))
  return messages.filter(({ type }) => type !== "N" && type !== "S").map(line)
}

const clock = /now\(\)|current_timestamp(?!\()|statement_timestamp\(\)|transaction_timestamp\(\)/gi

/** `sql` over PostgreSQL with the instant written by hand where it reads the clock. */
function byHand(sql: string, instant: string): string {
  const literal = `'${instant}'::timestamptz`
  return sql
    .replaceAll(clock, literal)
    .replaceAll(/localtimestamp\(0\)/gi, `${literal}::timestamp(0)`)
    .replaceAll(/localtimestamp/gi, `${literal}::timestamp`)
    .replaceAll(/current_timestamp\(2\)/gi, `${literal}::timestamptz(2)`)
    .replaceAll(/current_date/gi, `${literal}::date`)
    .replaceAll(/current_time\b/gi, `${literal}::timetz`)
    .replaceAll(/localtime\b/gi, `${literal}::time`)
}

const statements: readonly string[] = [
  "SELECT now() AS a, count(*) FROM lab.items",
  "SELECT count(*) FROM lab.items WHERE at < now() - interval '1 day' AND day < current_date",
  "SELECT CURRENT_TIMESTAMP AS a, current_timestamp(2) AS b, localtimestamp AS c, LocalTimestamp(0) AS d FROM lab.items LIMIT 1",
  "SELECT date_trunc('week', now()) AS w, max(id) FROM lab.items WHERE at <= now() GROUP BY date_trunc('week', now())",
  "SELECT id FROM lab.items WHERE at BETWEEN now() - interval '20 years' AND statement_timestamp() ORDER BY id LIMIT 5",
  "SELECT extract(hour FROM pg_catalog.now()) AS h, current_time AS t, localtime AS l FROM lab.items WHERE id = 1".replace(
    "pg_catalog.now()",
    "now()",
  ),
  "WITH recent AS (SELECT now() - max(at) AS age FROM lab.items) SELECT age > interval '1 day' AS old FROM recent",
  "SELECT count(*) FROM lab.items i WHERE EXISTS (SELECT 1 WHERE i.at < transaction_timestamp())",
  "SELECT count(*) FROM generate_series(now() - interval '3 hours', now(), interval '1 hour') g",
  "SELECT DISTINCT now() AS n FROM lab.items ORDER BY now()",
]

/** Column names and types come from the call, though a literal stands there. */
const labelled: readonly string[] = [
  "SELECT now(), current_timestamp(3), localtimestamp, current_date, localtime(1), current_time FROM lab.empty",
  "SELECT now()::date, CAST(current_timestamp AS text), now() AT TIME ZONE 'Asia/Tokyo', 'ü', now() FROM lab.empty",
  "SELECT CASE WHEN id > 1 THEN at_day ELSE current_date END, (SELECT now()) FROM (SELECT 1 AS id, date '2024-01-01' AS at_day) x WHERE false",
]

describe("time buckets over PostgreSQL", () => {
  let pair: Pair
  let client: WireClient
  let direct: WireClient
  before(async () => {
    pair = await Pair.start({ config, users })
    client = await pair.through()
    direct = await pair.direct()
  })
  after(() => pair.stop())

  for (const sql of statements)
    for (const zone of ["UTC", "America/St_Johns"])
      it(`is what PostgreSQL answers for the bucket's start, in ${zone}: ${sql}`, async () => {
        for (const one of [client, direct]) await ask(one, `SET TimeZone = '${zone}'`)
        const [first, second] = [await answer(client, sql), await answer(client, sql)]
        equal(await lastOutcome(client), "hit_l1")
        const instant = (await bucket(client)) ?? ""
        match(instant, /^\d{4}-\d\d-\d\d (?:00|06|12|18):00:00\+00$/)
        const agoMs = Date.now() - Date.parse(instant)
        ok(agoMs >= 0 && agoMs < 6 * 3_600_000 + 60_000, `${instant} is ${agoMs} ms ago`)
        const expected = await answer(direct, byHand(sql, instant))
        deepEqual([first, second], [expected, expected])
      })

  for (const sql of labelled)
    it(`keeps names and types: ${sql}`, async () => {
      deepEqual(await answer(client, sql), await answer(direct, sql))
      notEqual(await bucket(client), null)
      const described = await client.query(parse(sql), describeTarget("statement"), sync)
      const expected = await direct.query(parse(sql), describeTarget("statement"), sync)
      deepEqual(described.map(line), expected.map(line))
    })

  const own: readonly (readonly [sql: string, reason: string])[] = [
    ["SELECT now(), n FROM lab.counter", "bypass time_function"],
    ["SELECT count(*) FROM lab.items, lab.counter WHERE at < now()", "bypass time_function"],
    ["SELECT now(), id FROM lab.secret", "bypass time_function"],
    ["SELECT clock_timestamp() < now() FROM lab.items WHERE id = 1", "bypass time_function"],
    ["SELECT now(), random() FROM lab.items WHERE id = 1", "bypass volatile_function"],
    ["SELECT * FROM now()", "bypass time_function"],
    ["SELECT DISTINCT now()::date FROM lab.items ORDER BY now()::date", "bypass time_function"],
    ["SELECT now(), current_user FROM lab.items WHERE id = 1", "bypass time_function"],
    ["/* sluice: bucket=0 */ SELECT now() FROM lab.items WHERE id = 1", "bypass time_function"],
    ["/* sluice: cache=off */ SELECT now() FROM lab.items WHERE id = 1", "bypass time_function"],
  ]
  for (const [sql, outcome] of own)
    it(`${outcome}: ${sql}`, async () => {
      await ask(client, sql)
      await ask(client, sql)
      equal(await lastOutcome(client), outcome)
      equal(await bucket(client), null)
    })

  it("reads the clock itself for a role whose bucket is 0, and lets a hint choose where the role may", async () => {
    const sql = "SELECT count(*), 'chosen' FROM lab.items WHERE at < now()"
    const mary = await pair.through({ user: "mary" })
    const nick = await pair.through({ user: "nick" })
    for (const one of [mary, nick]) {
      await ask(one, sql)
      equal(await lastOutcome(one), "bypass time_function")
    }
    for (const one of [mary, nick]) await ask(one, `/* sluice: bucket=1d */ ${sql}`)
    equal(await bucket(mary), null)
    match((await bucket(nick)) ?? "", / 00:00:00\+00$/)
    await ask(client, `/* sluice: bucket=1h */ ${sql}`)
    match((await bucket(client)) ?? "", /:00:00\+00$/)
    const agoMs = Date.now() - Date.parse((await bucket(client)) ?? "")
    ok(agoMs < 3_660_000, "a shorter bucket may be asked for")
    mary.destroy()
    nick.destroy()
  })

  it("never binds the clock of a row filter", async () => {
    const fred = await pair.through({ user: "fred" })
    for (const sql of [
      "SELECT count(*) FROM lab.items",
      "SELECT count(*), min(now()) FROM lab.items",
    ]) {
      await ask(fred, sql)
      equal(await lastOutcome(fred), "bypass time_function")
      equal(await bucket(fred), null)
    }
    fred.destroy()
  })

  it("says so in a NOTICE, with a miss and with a hit, unless the client wants none", async () => {
    const sql = "SELECT 'told', now() FROM lab.items WHERE id = 2"
    for (const outcome of ["miss", "hit_l1"]) {
      const messages = await client.query(query(sql))
      const told = messages.filter(({ type }) => type === "N").map(({ body }) => readFields(body))
      equal(await lastOutcome(client), outcome)
      deepEqual(
        told.map(({ S, M }) => [S, M]),
        [["NOTICE", `now() was taken to be ${await bucket(client)}, the start of a time bucket`]],
      )
    }
    await ask(client, "SET client_min_messages = warning")
    const quiet = await client.query(query(sql))
    ok(!quiet.some(({ type }) => type === "N"))
    await ask(client, "RESET client_min_messages")
  })

  it("is one instant in a transaction, whichever statement comes first", async () => {
    const inItems = "SELECT now() FROM lab.items WHERE id = 3"
    const inCounter = "SELECT now() FROM lab.counter"
    await ask(client, "BEGIN")
    const [[bound]] = (await ask(client, inItems)) as [[string]]
    deepEqual(await ask(client, inCounter), [[bound]], "not shared, yet the same instant")
    equal(await lastOutcome(client), "bypass time_function")
    notEqual(await bucket(client), null)
    await ask(client, "SET LOCAL sluice.cache = 'only'")
    deepEqual(await ask(client, inItems), [[bound]])
    await rejects(ask(client, inCounter), /55000/, "which the cache does not have")
    await ask(client, "ROLLBACK")
    await ask(client, "BEGIN")
    const [[real]] = (await ask(client, inCounter)) as [[string]]
    notEqual(real, bound)
    deepEqual(await ask(client, inItems), [[real]], "the warehouse's clock was read first")
    equal(await lastOutcome(client), "bypass time_function")
    await ask(client, "COMMIT")
    deepEqual(await ask(client, inItems), [[bound]])
    await ask(client, "BEGIN ISOLATION LEVEL REPEATABLE READ")
    notEqual((await ask(client, inItems))[0]?.[0], bound)
    await ask(client, "COMMIT")
  })

  it("gives error positions in the client's own text", async () => {
    const sql = "SELECT now(), /* ä */ now() - interval '1 day', id + nowhere FROM lab.items"
    const messages = await client.query(query(sql))
    const expected = await direct.query(query(sql))
    deepEqual(
      messages.filter(({ type }) => type === "E").map(line),
      expected.filter(({ type }) => type === "E").map(line),
    )
  })

  it("an invalidation makes it cold as any other answer", async () => {
    const sql = "SELECT count(*), 'cold' FROM lab.items WHERE at < now() AND id > 1000"
    deepEqual(await ask(client, sql), [["0", "cold"]])
    await pair.postgres.run("INSERT INTO lab.items (id, at) VALUES (1001, '2024-01-01')")
    deepEqual(await ask(client, sql), [["0", "cold"]])
    await pair.invalidate("lab.items")
    deepEqual(await ask(client, sql), [["1", "cold"]])
  })
})

describe("a function of somebody's own named now", () => {
  let pair: Pair
  before(async () => {
    pair = await Pair.start({ config: "cache: { timeBucketMs: 6h }" })
  })
  after(() => pair.stop())

  it("is never taken for the clock, whatever search_path says", async () => {
    const client = await pair.through()
    const sql = "SELECT now() FROM lab.items WHERE id = 1"
    await ask(client, sql)
    notEqual(await bucket(client), null)
    await pair.postgres.run("CREATE SCHEMA mine")
    await pair.postgres.run(
      "CREATE FUNCTION mine.now() RETURNS timestamptz IMMUTABLE LANGUAGE sql AS $$SELECT '2001-02-03 04:05:06+00'::timestamptz$$",
    )
    await pair.postgres.run("GRANT USAGE ON SCHEMA mine TO PUBLIC")
    await pair.invalidate("lab.items")
    await ask(client, "SET search_path = mine, pg_catalog")
    deepEqual(await ask(client, sql), [["2001-02-03 04:05:06+00"]])
    equal(await bucket(client), null)
  })
})

describe("time buckets over DuckDB", () => {
  let pair: Pair
  let client: WireClient
  before(async () => {
    pair = await Pair.start({ engine: "duckdb", config: "cache: { timeBucketMs: 6h }" })
    client = await pair.through()
  })
  after(() => pair.stop())

  const overDuckdb = [
    "SELECT now() AS a, current_timestamp AS b, localtimestamp AS c, current_date AS d, now()::date AS e",
    "SELECT count(*) FROM generate_series(1, 10) g WHERE now() - g * interval '1 hour' < '2200-01-01'::timestamptz",
    "SELECT date_trunc('month', now()) AS m, extract(hour FROM localtimestamp) AS h",
    "WITH x AS (SELECT now() AS n) SELECT n - interval '1 day' AS a FROM x",
  ]
  for (const sql of overDuckdb)
    for (const zone of ["UTC", "Asia/Kolkata"])
      it(`is what DuckDB answers for the bucket's start, in ${zone}: ${sql}`, async () => {
        await ask(client, `SET TimeZone = '${zone}'`)
        const [first, second] = [await answer(client, sql), await answer(client, sql)]
        equal(await lastOutcome(client), "hit_l1")
        const instant = (await bucket(client)) ?? ""
        match(instant, /:00:00\+00$/)
        const expected = await answer(client, byHand(sql, instant))
        deepEqual([first, second], [expected, expected])
      })

  it("keeps the names of columns", async () => {
    const sql = "SELECT now(), current_timestamp, localtimestamp, current_date, now()::date"
    const [described] = await answer(client, sql)
    await ask(client, "SET sluice.cache = off")
    const [unbound] = await answer(client, sql)
    equal(await bucket(client), null)
    equal(described, unbound)
    await ask(client, "RESET sluice.cache")
  })
})
