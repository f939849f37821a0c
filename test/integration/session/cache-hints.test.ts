import { deepEqual, equal, match, ok } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { query } from "../../support/frontend-encoder.ts"
import { readFields, type WireClient } from "../../support/wire-client.ts"
import { ask, lastOutcome, Pair, until } from "./support.ts"

const config = `
roles:
  everything: { relations: { allow: ["*"] } }
  free: { relations: { allow: ["*"] }, cacheHints: any }
  young: { relations: { allow: ["*"] }, cacheAgeMsMax: 300ms }
`

/** The value of `hint` in SHOW sluice.last. */
async function hint(client: WireClient): Promise<string | null> {
  const [[, , , , , , shown] = []] = await ask(client, "SHOW sluice.last")
  return shown ?? null
}

/** SQLSTATE and message of the error that a text raises; undefined when it raises none. */
async function failure(client: WireClient, sql: string): Promise<string | undefined> {
  const messages = await client.query(query(sql))
  const error = messages.find(({ type }) => type === "E")
  if (error === undefined) return undefined
  const { C, M } = readFields(error.body)
  return `${C} ${M}`
}

describe("cache hints", () => {
  let pair: Pair
  let client: WireClient
  before(async () => {
    pair = await Pair.start({ config, users: { mary: "free", tom: "young" } })
    client = await pair.through()
  })
  after(() => pair.stop())

  const spelt: readonly (readonly [sql: string, outcome: string, inForce: string | null])[] = [
    ["SELECT max(id) FROM lab.items", "hit_l1", null],
    ["/* sluice: cache=off */ SELECT max(id) FROM lab.items", "bypass requested_off", "cache=off"],
    ["SELECT max(id) FROM lab.items -- sluice: cache=off", "bypass requested_off", "cache=off"],
    ["SELECT max(id) FROM lab.items; /* Sluice: CACHE=Off */", "bypass requested_off", "cache=off"],
    [
      "/* a plain one */ /*sluice:cache=refresh*/ SELECT max(id) FROM lab.items",
      "miss",
      "cache=refresh",
    ],
    [
      "/* sluice: cache=only, ttl=1h */ SELECT max(id) FROM lab.items",
      "hit_l1",
      "cache=only ttl=3600s",
    ],
    ["/* sluice: cache=on */ SELECT max(id) FROM lab.items", "hit_l1", null],
    [
      "SELECT max(id) FROM lab.items /* sluice: cache=refresh */ /* sluice: cache=off */",
      "bypass requested_off",
      "cache=off",
    ],
    ["/* sluice: ttl=0 */ SELECT max(id) FROM lab.items", "miss", "ttl=0s"],
    ["SELECT max(id) /* sluice: cache=off */ FROM lab.items", "hit_l1", null],
    ["SELECT max(id), '/* sluice: cache=off */' FROM lab.items", "hit_l1", null],
    ["/* see sluice: cache=off */ SELECT max(id) FROM lab.items", "hit_l1", null],
    [
      "DECLARE c CURSOR WITH HOLD FOR SELECT max(id) FROM lab.items -- sluice: cache=off",
      "bypass requested_off",
      "cache=off",
    ],
  ]
  for (const [sql, outcome, inForce] of spelt)
    it(`${outcome}: ${sql}`, async () => {
      await ask(client, "SELECT max(id), '/* sluice: cache=off */' FROM lab.items")
      await ask(client, "SELECT max(id) FROM lab.items")
      await ask(client, sql)
      await ask(client, "CLOSE ALL")
      equal(await lastOutcome(client), outcome)
      equal(await hint(client), inForce)
    })

  it("belongs to the statement that it stands at", async () => {
    await ask(client, "SELECT 1 FROM lab.items; SELECT 2 FROM lab.items")
    await ask(client, "SELECT 1 FROM lab.items; /* sluice: cache=off */ SELECT 2 FROM lab.items")
    equal(await lastOutcome(client), "bypass requested_off")
    await ask(client, "/* sluice: cache=off */ SELECT 1 FROM lab.items; SELECT 2 FROM lab.items")
    equal(await lastOutcome(client), "hit_l1")
  })

  it("never gives a reader an answer older than its ttl, and others the same entry as before", async () => {
    const sql = "SELECT n, 'aged' FROM lab.counter"
    deepEqual(await ask(client, sql), [["1", "aged"]])
    await pair.postgres.run("UPDATE lab.counter SET n = 5")
    await new Promise((resolve) => setTimeout(resolve, 120))
    deepEqual(await ask(client, `/* sluice: ttl=1m */ ${sql}`), [["1", "aged"]])
    deepEqual(await ask(client, sql), [["1", "aged"]])
    deepEqual(await ask(client, `/* sluice: ttl=100ms */ ${sql}`), [["5", "aged"]])
    equal(await lastOutcome(client), "miss")
    deepEqual(await ask(client, sql), [["5", "aged"]], "the younger answer stands for everybody")
    await pair.postgres.run("UPDATE lab.counter SET n = 1")
    await pair.invalidate("lab.counter")
  })

  it("a role's cacheAgeMsMax holds without any hint", async () => {
    const tom = await pair.through({ user: "tom" })
    const sql = "SELECT n, 'young' FROM lab.counter"
    await ask(client, sql)
    await pair.postgres.run("UPDATE lab.counter SET n = 6")
    await new Promise((resolve) => setTimeout(resolve, 320))
    deepEqual(await ask(client, sql), [["1", "young"]])
    deepEqual(await ask(tom, sql), [["6", "young"]])
    equal(await hint(tom), "ttl=300ms")
    await pair.postgres.run("UPDATE lab.counter SET n = 1")
    await pair.invalidate("lab.counter")
    tom.destroy()
  })

  it("a word that is no hint gives a NOTICE, on a hit too, and does nothing else", async () => {
    const sql = "/* sluice: cache=sometimes ttl=soon colour=red */ SELECT min(id) FROM lab.items"
    for (const outcome of ["miss", "hit_l1"]) {
      const messages = await client.query(query(sql))
      const told = messages.filter(({ type }) => type === "N").map(({ body }) => readFields(body))
      deepEqual(
        told.map(({ S, C, M }) => `${S} ${C} ${M}`),
        ["cache=sometimes", "ttl=soon", "colour=red"].map(
          (word) => `NOTICE 00000 unrecognized cache hint "${word}"`,
        ),
      )
      equal(await lastOutcome(client), outcome)
    }
  })

  it("may reduce what the session asks, and do more only where the role says so", async () => {
    const sql = "SELECT count(id) FROM lab.items"
    const mary = await pair.through({ user: "mary" })
    await ask(mary, sql)
    for (const [who, outcome] of [
      [client, "bypass requested_off"],
      [mary, "hit_l1"],
    ] as const) {
      await ask(who, sql)
      await ask(who, "SET sluice.cache = off")
      who.notices.length = 0
      await ask(who, `/* sluice: cache=on */ ${sql}`)
      equal(await lastOutcome(who), outcome)
      const notices = who.notices.map(({ M }) => M)
      deepEqual(notices, who === mary ? [] : ['cache hint "cache=on" has no effect'])
      await ask(who, "RESET sluice.cache")
    }
    mary.destroy()
  })

  it("sluice.cache = only refuses whatever the warehouse would be asked", async () => {
    const only = await pair.through({ parameters: { options: "-c sluice.cache=only" } })
    deepEqual(await ask(only, "SHOW sluice.cache"), [["only"]])
    const stored = "SELECT sum(id) FROM lab.items"
    const refusal = "55000 the answer is not in the cache"
    equal(await failure(only, stored), refusal)
    await ask(client, stored)
    deepEqual(await ask(only, stored), await ask(client, stored))
    equal(await failure(only, "SELECT random() FROM lab.items"), refusal)
    equal(await failure(only, "EXPLAIN SELECT 1"), refusal)
    equal(await failure(only, `/* sluice: ttl=0 */ ${stored}`), refusal)
    deepEqual(await ask(only, "SELECT current_database()"), [["warehouse"]])
    await ask(only, "BEGIN")
    equal(await failure(only, "SELECT sum(id) + 1 FROM lab.items"), refusal)
    match((await failure(only, stored)) ?? "", /^25P02 /, "an error like any other")
    await ask(only, "ROLLBACK")
    equal(
      await failure(only, "/* sluice: cache=refresh */ SELECT sum(id) + 1 FROM lab.items"),
      undefined,
    )
    await until(
      "the entry is there",
      async () => (await failure(only, "SELECT sum(id) + 1 FROM lab.items")) === undefined,
    )
    ok(!/has no effect/.test(only.notices.map(({ M }) => M).join()))
    only.destroy()
  })
})
