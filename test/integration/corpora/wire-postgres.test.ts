import { deepEqual, equal } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import {
  bind,
  describe as describeMessage,
  execute,
  parse,
  sync,
} from "../../support/frontend-encoder.ts"
import { errors, types, WireClient } from "../../support/wire-client.ts"
import { until } from "../session/support.ts"
import { askedBy } from "./conversation.ts"
import { judged, type Verdict } from "./judge.ts"
import { keepSection } from "./markers.ts"
import { wireCorpus } from "./wire-corpus.ts"
import { cancelledDifference, wireDifferences } from "./wire-differences.ts"
import { wireCleanUp } from "./wire-seed.ts"
import { startWireServers, type WireServers } from "./wire-servers.ts"
import { cancelledStatement, wireSessions } from "./wire-sessions.ts"

const corpus = wireCorpus()

const document = new URL("../../../docs/compatibility.md", import.meta.url)

/** Every statement was compared when this is written, so that what is not in the list is equal. */
function summaryText(verdicts: readonly Verdict[]): string {
  const hits = new Set(
    verdicts.filter(({ outcome }) => outcome.startsWith("hit")).flatMap(({ ids }) => ids),
  )
  const different = [...wireDifferences, cancelledDifference]
  return [
    `${corpus.size - different.length} of ${corpus.size} get the same bytes through the gateway as directly; ${hits.size} came from the cache the second time. The others:`,
    "",
    ...different.map(({ id, reason }) => `- ${id}: ${reason}`),
  ].join("\n")
}

function knownDifference({ ids, difference }: Verdict): boolean {
  if (difference === undefined) return false
  return wireDifferences.some((one) => ids.includes(one.id) && one.difference.test(difference))
}

describe("statements of BI clients, on PostgreSQL", () => {
  let servers: WireServers
  const verdicts: Verdict[] = []
  before(async () => {
    servers = await startWireServers()
  })
  after(() => servers.stop())

  it("the sessions below use every statement of the corpus", () => {
    const used = new Set(wireSessions.flatMap(({ steps }) => steps.flat()))
    deepEqual(
      [...corpus.keys()].filter((id) => !used.has(id)),
      [cancelledStatement],
    )
    equal(corpus.size, 207)
  })

  for (const session of wireSessions)
    it(`${session.title}: the same bytes as directly, first and second time`, async () => {
      const got = await judged(askedBy(session, corpus, servers.ids), {
        direct: servers.direct[session.as],
        through: servers.through[session.as],
        // A session that writes is forwarded as it is: PostgreSQL does not know SHOW sluice.last.
        isReported: session.as === "reader",
        ...(session.as === "writer"
          ? { cleanUp: async () => void (await servers.postgres.run(wireCleanUp)) }
          : {}),
      })
      // After a known difference the two sessions may be in different states.
      const known = got.findIndex(knownDifference)
      const compared = known === -1 ? got : got.slice(0, known + 1)
      verdicts.push(...compared)
      const unexpected = compared.filter(
        (verdict) => verdict.difference !== undefined && !knownDifference(verdict),
      )
      deepEqual(
        unexpected.map(({ ids, sql, difference }) => `${ids.join(" ")}\n${sql}\n${difference}`),
        [],
      )
    })

  it("a statement that a driver's time-out cancels ends as directly", async () => {
    const sql = corpus.get(cancelledStatement)?.sql ?? ""
    const answers = []
    for (const target of [servers.direct.reader, servers.through.reader]) {
      const client = await WireClient.connect({
        ...target,
        ...(target.startup === undefined ? {} : { parameters: target.startup }),
      })
      client.send(parse(sql), bind(), describeMessage("portal"), execute(), sync)
      await until("the statement runs", async () => {
        const [row] = await servers.postgres.run(
          "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query ~ '^select pg_sleep' AND state = 'active'",
        )
        return row?.["n"] === 1
      })
      await client.cancel()
      const messages = await client.readUntilReady()
      answers.push([types(messages), errors(messages).map(({ C, M }) => [C, M])])
      client.destroy()
    }
    const error = [["57014", "canceling statement due to user request"]]
    // The gateway ends the wait at once; PostgreSQL's RowDescription would have come with its error.
    deepEqual(answers, [
      ["12TEZ", error],
      ["12EZ", error],
    ])
  })

  it("every difference that is allowed is there", () => {
    const unneeded = wireDifferences.filter(
      (known) =>
        !verdicts.some(
          ({ ids, difference }) =>
            ids.includes(known.id) && difference !== undefined && known.difference.test(difference),
        ),
    )
    deepEqual(
      unneeded.map(({ id }) => id),
      [],
    )
    keepSection(document, "wire-corpus", summaryText(verdicts))
  })
})
