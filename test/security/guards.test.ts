import { deepEqual, doesNotMatch, equal, match, ok } from "node:assert/strict"
import { execFile } from "node:child_process"
import { after, before, describe, it } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { promisify } from "node:util"
import {
  bind,
  describe as describeMessage,
  execute,
  parse,
  query,
  sync,
} from "../support/frontend-encoder.ts"
import { errors, textRows, type WireClient } from "../support/wire-client.ts"
import { type Guarded, startGuarded } from "./guarded.ts"

const ask = async (client: WireClient, sql: string): Promise<(string | null)[][]> => {
  const messages = await client.query(query(sql))
  const [error] = errors(messages)
  if (error !== undefined) throw new Error(`${error["C"]} ${error["M"]} ${error["H"] ?? ""}`)
  return textRows(messages)
}

const refusal = async (client: WireClient, sql: string): Promise<string> => {
  const [error] = errors(await client.query(query(sql)))
  return `${error?.["C"]} ${error?.["M"]} ${error?.["H"] ?? ""}`
}

const outcome = async (client: WireClient): Promise<string | undefined> =>
  (await ask(client, "SHOW sluice.last"))[0]?.join(" ").match(/hit_l1|miss|bypass|coalesced/)?.[0]

/** What `sluice explain` prints. A refusal's exit code is 1. */
async function explainedFor(config: string, user: string, sql: string): Promise<string> {
  const parts = ["bin/sluice.cjs", "explain", "--config", config, "--user", user, sql]
  const run = promisify(execFile)(process.execPath, parts)
  const { stdout } = await run.catch((thrown: { readonly stdout: string }) => thrown)
  return stdout
}

const january = "day >= '2026-01-01' AND day < '2026-02-01'"

for (const engine of ["postgres", "duckdb"] as const)
  describe(`guards on ${engine}`, () => {
    let guarded: Guarded
    before(async () => {
      guarded = await startGuarded(engine)
    })
    after(() => guarded.stop())

    const metric = async (reason: string): Promise<number> => {
      const response = await fetch(new URL("/metrics", guarded.gateway.controlUrl), {
        headers: { authorization: `Bearer ${guarded.gateway.token}` },
      })
      const line = (await response.text())
        .split("\n")
        .find((one) => one.startsWith(`sluice_query_rejections_total{reason="${reason}"`))
      return Number(line?.split(" ").at(-1) ?? 0)
    }

    describe("required filters", () => {
      for (const role of ["analyst", "tenant"])
        it(`hold for ${role}, with a row filter or without`, async () => {
          const client = await guarded.as(role)
          const message = await refusal(client, "SELECT count(*) FROM m.events")
          match(message, /^42501 m\.events must be restricted on column "day" .*day >= '\.\.\.'/)
          match(await refusal(client, `SELECT * FROM m.events WHERE ${january} OR true`), /^42501/)
          match(await refusal(client, "EXPLAIN SELECT * FROM m.events"), /^42501/)
          match(await refusal(client, "COPY m.events TO STDOUT"), /^42501 m\.events must be/)
          match(await refusal(client, "DECLARE c CURSOR WITH HOLD FOR TABLE m.events"), /^42501/)
          const count = role === "tenant" ? "1500" : "3100"
          deepEqual(await ask(client, `SELECT count(*) FROM m.events WHERE ${january}`), [[count]])
          equal((await ask(client, "SELECT count(*) FROM m.small")).length, 1)
        })

      it("take a bound parameter, and refuse at Describe what they refuse to run", async () => {
        const client = await guarded.as("analyst")
        const bound = await client.query(
          parse("SELECT count(*) FROM m.events WHERE day = $1", { types: [1082] }),
          bind({ values: ["2026-01-02"] }),
          execute(),
          sync,
        )
        deepEqual(errors(bound), [])
        deepEqual(textRows(bound), [["100"]])
        const described = await client.query(
          parse("SELECT id FROM m.events"),
          describeMessage("statement"),
          sync,
        )
        match(errors(described)[0]?.["M"] ?? "", /must be restricted/)
      })

      it("are followed through a view", async () => {
        const client = await guarded.as("analyst")
        match(await refusal(client, "SELECT count(*) FROM m.v_events"), /^42501/)
        const restricted = "SELECT count(*) FROM m.v_events WHERE d = DATE '2026-01-02'"
        deepEqual(await ask(client, restricted), [["100"]])
      })

      it("free roles that are excepted, which alone may write", async () => {
        const etl = await guarded.as("etl")
        deepEqual(await ask(etl, "SELECT count(*) FROM m.events"), [["20000"]])
        const held = await guarded.as("held")
        match(await refusal(held, "CREATE TABLE m.copy AS TABLE m.events"), /^25006/)
        match(await refusal(held, "TABLE m.events"), /^42501/)
      })

      it("are counted, and no refused statement reaches the cache", async () => {
        const client = await guarded.as("analyst")
        const before_ = await metric("filter_required")
        await refusal(client, "SELECT max(id) FROM m.events")
        equal(await metric("filter_required"), before_ + 1)
        match(await refusal(client, "SELECT max(id) FROM m.events"), /^42501/)
      })
    })

    describe("costs", () => {
      it("refuse a statement before it runs, with rounded numbers", async () => {
        const client = await guarded.as("costly")
        const message = await refusal(client, "SELECT * FROM m.events ORDER BY word")
        match(message, /^54000 the estimated cost of \d+ is above the limit of 300 /)
        match(message, /cost of [1-9]\d?0* is/)
        ok((await metric("cost_limit_exceeded")) >= 1)
        equal((await ask(client, "SELECT count(*) FROM m.small")).length, 1)
      })

      it("count values that are bound, and the query of an EXPLAIN ANALYZE", async () => {
        const client = await guarded.as("costly")
        const run = async (limit: string): Promise<string | undefined> =>
          errors(
            await client.query(
              parse("SELECT g FROM generate_series(1, $1) AS s(g)", { types: [23] }),
              bind({ values: [limit] }),
              execute(),
              sync,
            ),
          )[0]?.["C"]
        equal(await run("10"), undefined)
        equal(await run("4000000"), "54000")
        equal(await run("10"), undefined)
        const analyze = "EXPLAIN ANALYZE SELECT * FROM m.events ORDER BY word"
        match(await refusal(client, analyze), /^54000/)
      })

      it("leave an error of the statement itself its place", async () => {
        const [error] = errors(
          await (await guarded.as("costly")).query(query("SELECT 1, nix FROM m.small")),
        )
        equal(error?.["C"], "42703")
        if (engine === "postgres") equal(error?.["P"], "11")
      })

      it("tell no number to whom a policy hides rows", async () => {
        const message = await refusal(await guarded.as("dear"), "SELECT * FROM m.events")
        match(message, /^54000 the estimated cost is above the limit /)
        doesNotMatch(message.slice("54000".length), /\d/)
      })

      it("do not hold back an answer that the cache has", async () => {
        const analyst = await guarded.as("analyst")
        const costly = await guarded.as("costly")
        for (const client of [analyst, costly]) await ask(client, "SET search_path = m")
        const sql = `SELECT word FROM m.events WHERE ${january} ORDER BY word, id`
        match(await refusal(costly, sql), /^54000/)
        equal((await ask(analyst, sql)).length, 3100)
        equal((await ask(costly, sql)).length, 3100)
        equal(await outcome(costly), "hit_l1")
      })
    })

    describe("results", () => {
      const words = "SELECT id, word FROM m.small ORDER BY id"

      it("are cut at whole rows, with a NOTICE, and never kept", async () => {
        const client = await guarded.as("byted")
        for (const _ of [1, 2]) {
          const cut = await ask(client, words)
          equal(cut.length, 8)
          match(client.notices.at(-1)?.["M"] ?? "", /^result was cut at the limit of 1000 bytes$/)
          equal(await outcome(client), "miss")
        }
        equal((await ask(client, `${words} LIMIT 3`)).length, 3)
      })

      it("a role with a smaller limit never gets another's whole answer", async () => {
        const analyst = await guarded.as("analyst")
        const byted = await guarded.as("byted")
        for (const client of [analyst, byted]) await ask(client, "SET search_path = m")
        const sql = `${words} LIMIT 50`
        equal((await ask(analyst, sql)).length, 50)
        equal((await ask(byted, sql)).length, 8)
        equal((await ask(analyst, sql)).length, 50)
        equal(await outcome(analyst), "hit_l1")
      })

      it("or are refused", async () => {
        const client = await guarded.as("byted_strict")
        match(await refusal(client, words), /^54000 result exceeds the limit of 1000 bytes/)
        equal((await ask(client, `${words} LIMIT 3`)).length, 3)
      })
    })

    it("forbidden constructs are refused, and the catalogue stays readable", async () => {
      const client = await guarded.as("neat")
      for (const [sql, said] of [
        ["SELECT * FROM m.small LIMIT 1", /SELECT \*/],
        ["SELECT id FROM m.small", /without LIMIT/],
        ["SELECT a.id FROM m.small a, m.small b LIMIT 1", /without a condition/],
        ["WITH RECURSIVE x AS (SELECT id FROM m.small) SELECT id FROM x LIMIT 1", /WITH RECURSIVE/],
      ] as const) {
        const message = await refusal(client, sql)
        match(message, /^42501 /)
        match(message, said)
      }
      equal((await ask(client, "SELECT id FROM m.small LIMIT 1")).length, 1)
      ok((await ask(client, "SELECT * FROM pg_catalog.pg_class")).length > 0)
    })

    it("a class waits for its turn, no longer than it may, and no more of it than may", async () => {
      const [first, second, third] = await Promise.all(
        ["slow", "slow", "slow"].map((role) => guarded.as(role)),
      )
      if (first === undefined || second === undefined || third === undefined)
        throw new Error("somebody is missing")
      first.send(
        query(
          "SELECT sum(a.g * b.g) FROM generate_series(1, 1000000) a(g), generate_series(1, 1000000) b(g)",
        ),
      )
      await sleep(300)
      const waiting = refusal(second, "SELECT count(*) AS a FROM m.small")
      await sleep(100)
      match(
        await refusal(third, "SELECT count(*) AS b FROM m.small"),
        /^53300 too many statements of class "slow"/,
      )
      match(await waiting, /^53300 no statement of class "slow" ended within 400 ms/)
      equal((await ask(await guarded.as("analyst"), "SELECT count(*) AS c FROM m.small")).length, 1)
      await first.cancel()
      match(errors(await first.readUntilReady())[0]?.["C"] ?? "", /57014/)
      equal((await ask(second, "SELECT count(*) AS d FROM m.small")).length, 1)
      // The class's own limit, which the role does not repeat.
      equal((await ask(third, "SELECT * FROM m.small ORDER BY id")).length, 41)
      ok((await metric("class_queue_full")) >= 1)
      ok((await metric("class_queue_timeout")) >= 1)
    })

    it("are shown by sluice explain", async () => {
      const refused = await explainedFor(guarded.configFile, "analyst", "SELECT id FROM m.events")
      match(refused, /refusal +42501 filter_required: m\.events must be restricted/)
      match(
        await explainedFor(guarded.configFile, "slow", "SELECT id FROM m.small"),
        /class +slow\n[^]*byte limit +5000/,
      )
      match(
        await explainedFor(guarded.configFile, "costly", "SELECT id FROM m.small"),
        /guards +cost up to 300; estimated rows up to 5000/,
      )
      match(
        await explainedFor(
          guarded.configFile,
          "analyst",
          `SELECT id FROM m.events WHERE ${january}`,
        ),
        /guards +m\.events: range of day/,
      )
    })

    describe("EXPLAIN of what a policy changes", () => {
      it("is refused by default, and with ANALYZE always", async () => {
        const message = await refusal(
          await guarded.as("unexplained"),
          "EXPLAIN SELECT * FROM m.events",
        )
        match(message, /^42501 EXPLAIN is not allowed .*explain: coarse/)
        for (const role of ["explains", "explains_all"])
          match(
            await refusal(await guarded.as(role), "EXPLAIN ANALYZE SELECT * FROM m.events"),
            /^42501 EXPLAIN ANALYZE is not allowed/,
          )
      })

      it("coarse: one line with a power of ten", async () => {
        const client = await guarded.as("explains")
        for (const sql of [
          "EXPLAIN SELECT * FROM m.events",
          "EXPLAIN (COSTS OFF, VERBOSE) TABLE m.events",
        ]) {
          const plan = await ask(client, sql)
          equal(plan.length, 1)
          match(plan[0]?.[0] ?? "", /^Query {2}\(cost=0\.00\.\.10+\.00\)$/)
        }
        match(
          await refusal(client, "EXPLAIN (FORMAT JSON) SELECT * FROM m.events"),
          /^42501 EXPLAIN in this format/,
        )
        const extended = await client.query(
          parse("EXPLAIN SELECT * FROM m.events"),
          describeMessage("statement"),
          bind(),
          execute(),
          sync,
        )
        deepEqual(errors(extended), [])
        match(textRows(extended)[0]?.[0] ?? "", /^Query/)
        ok((await ask(client, "EXPLAIN SELECT * FROM m.small")).length > 0)
      })

      it("full: the plan of what runs", async () => {
        const plan = await ask(await guarded.as("explains_all"), "EXPLAIN SELECT id FROM m.events")
        match(plan.flat().join("\n"), /org_id/)
      })
    })
  })
