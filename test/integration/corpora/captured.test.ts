import { deepEqual, equal } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { query } from "../../support/frontend-encoder.ts"
import { type CapturedServers, startCapturedServers } from "./captured-servers.ts"
import {
  capturedSessions,
  capturedStatements,
  isStopped,
  isTerminate,
} from "./captured-sessions.ts"
import { sharesText } from "./captured-shares.ts"
import { judged, type Verdict } from "./judge.ts"
import { keepSection } from "./markers.ts"

const recording = capturedStatements()
const sessions = capturedSessions(recording)
const document = new URL("../../../docs/compatibility.md", import.meta.url)
const dropWritten =
  "DROP TABLE IF EXISTS scratch.e2e_table_run; DROP VIEW IF EXISTS scratch.e2e_view_run"

describe("statements of a real Superset, on PostgreSQL", () => {
  let servers: CapturedServers
  const verdicts: Verdict[] = []
  before(async () => {
    servers = await startCapturedServers()
  })
  after(() => servers.stop())

  it("are all asked by some connection", () => {
    const asked = new Set(sessions.flatMap(({ statements }) => statements))
    const left = recording.filter((statement) => !asked.has(statement))
    deepEqual(
      left.filter(({ sql }) => !(isStopped.test(sql) || isTerminate.test(sql))),
      [],
    )
    equal(recording.length, 344)
    equal(left.length, 3)
  })

  for (const { title, as, statements } of sessions)
    it(`${title}: the same bytes as directly, first and second time`, async () => {
      const asked = statements.map(({ index, sql }) => ({
        ids: [String(index)],
        sql: servers.here(sql),
        bytes: query(servers.here(sql)),
      }))
      const got = await judged(asked, {
        direct: servers.direct[as],
        through: servers.through[as],
        isReported: as === "reader",
        ...(as === "writer"
          ? { cleanUp: async () => void (await servers.postgres.run(dropWritten)) }
          : {}),
      })
      verdicts.push(...got)
      deepEqual(
        got
          .filter(({ difference }) => difference !== undefined)
          .map(({ ids, sql, difference }) => `${ids.join(" ")}\n${sql}\n${difference}`),
        [],
      )
    })

  it("the second time come from the cache, but for what the documentation lists", () => {
    keepSection(document, "superset", sharesText(recording, verdicts))
  })
})
