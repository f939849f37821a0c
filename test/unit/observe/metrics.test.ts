import { deepEqual, equal, ok, rejects } from "node:assert/strict"
import { describe, it } from "node:test"
import type { StatementEnd, StatementReport } from "../../../src/core/observation.ts"
import { Metrics } from "../../../src/observe/metrics.ts"
import { sourceTable } from "../../../src/observe/sources.ts"
import { readExposition } from "./exposition.ts"

const report: StatementReport = {
  warehouse: "mart",
  statement: "read",
  cache: "hit_l1",
  reason: undefined,
  ageMs: undefined,
  key: "abc",
  tokens: undefined,
  relations: [],
  endpoint: undefined,
  stages: { parseMs: 0, policyMs: 0, cacheMs: 0.002, queueMs: 0, warehouseMs: 0, encodeMs: 0 },
}
const end: StatementEnd = {
  durationMs: 0.1,
  rowCount: 1,
  byteCount: 100,
  outcome: "ok",
  errorReason: undefined,
  sqlState: undefined,
}

function newMetrics(): Metrics {
  return new Metrics({ version: "0.1.0", warehouses: ["mart", "lake"], collectsProcess: false })
}

const scrape = async (metrics: Metrics) => readExposition(await metrics.render())

describe("metrics of statements", () => {
  it("count by warehouse, class, outcome and cache, and keep every combination apart", async () => {
    const metrics = newMetrics()
    const caches = ["hit_l1", "hit_l2", "miss", "coalesced", "stale", "bypass"] as const
    const outcomes = ["ok", "error", "cancelled"] as const
    let times = 0
    for (const warehouse of ["mart", "lake"])
      for (const statement of ["read", "explain", "session"])
        for (const cache of caches)
          for (const outcome of outcomes) {
            times += 1
            for (let repeat = 0; repeat < times; repeat += 1)
              metrics.statementFinished(
                { ...report, warehouse, statement, cache },
                { ...end, outcome },
              )
          }
    const { valueOf, samples } = await scrape(metrics)
    equal(samples.filter(({ name }) => name === "sluice_queries_total").length, times)
    let expected = 0
    for (const warehouse of ["mart", "lake"])
      for (const statement of ["read", "explain", "session"])
        for (const cache of caches)
          for (const outcome of outcomes) {
            expected += 1
            equal(
              valueOf("sluice_queries_total", { warehouse, statement, cache, outcome }),
              expected,
            )
          }
  })

  it("put durations into cumulative buckets, with bounds included", async () => {
    const metrics = newMetrics()
    for (const durationMs of [0, 0.1, 0.11, 299_999, 300_001])
      metrics.statementFinished(report, { ...end, durationMs })
    const { valueOf } = await scrape(metrics)
    const labels = { warehouse: "mart", cache: "hit_l1", outcome: "ok" }
    const bucket = (le: string) =>
      valueOf("sluice_query_duration_seconds_bucket", { ...labels, le })
    deepEqual(
      [bucket("0.0001"), bucket("0.00025"), bucket("120"), bucket("300"), bucket("+Inf")],
      [2, 3, 3, 4, 5],
    )
    equal(valueOf("sluice_query_duration_seconds_count", labels), 5)
    const sum = valueOf("sluice_query_duration_seconds_sum", labels) ?? 0
    ok(Math.abs(sum - 600.000_21) < 1e-9)
  })

  it("observe only the stages that were reached", async () => {
    const metrics = newMetrics()
    metrics.statementFinished(report, end)
    metrics.statementFinished({ ...report, stages: { ...report.stages, warehouseMs: 30 } }, end)
    const { valueOf } = await scrape(metrics)
    const count = (stage: string) => valueOf("sluice_query_stage_duration_seconds_count", { stage })
    deepEqual([count("cache"), count("warehouse"), count("queue")], [2, 1, undefined])
  })

  it("derive requests of the memory tier from the outcomes", async () => {
    const metrics = newMetrics()
    for (const cache of ["hit_l1", "hit_l1", "miss", "coalesced", "bypass"] as const)
      metrics.statementFinished({ ...report, cache }, end)
    const { valueOf } = await scrape(metrics)
    equal(valueOf("sluice_cache_requests_total", { tier: "l1", result: "hit" }), 2)
    equal(valueOf("sluice_cache_requests_total", { tier: "l1", result: "miss" }), 2)
    equal(valueOf("sluice_cache_coalesced_total"), 1)
  })

  it("count rows, bytes, ages and reasons", async () => {
    const metrics = newMetrics()
    metrics.statementFinished({ ...report, ageMs: 900_000 }, end)
    metrics.statementFinished(
      { ...report, cache: "bypass", reason: "volatile_function" },
      { ...end, rowCount: 0, byteCount: 23 },
    )
    const { valueOf } = await scrape(metrics)
    equal(valueOf("sluice_query_bytes_sent_total"), 123)
    equal(valueOf("sluice_query_rows_returned_bucket", { le: "0" }), 1)
    equal(valueOf("sluice_query_rows_returned_count"), 2)
    equal(valueOf("sluice_cache_entry_age_seconds_bucket", { le: "900" }), 1)
    equal(valueOf("sluice_cache_entry_age_seconds_bucket", { le: "300" }), 0)
    equal(valueOf("sluice_uncacheable_total", { reason: "volatile_function" }), 1)
    equal(valueOf("sluice_uncacheable_total", { reason: "time_function" }), 0)
  })

  const failures: readonly [Partial<StatementEnd>, string, Record<string, string>][] = [
    [
      { errorReason: "warehouse_error", sqlState: "22012" },
      "warehouse_errors_total",
      { sqlstate_class: "22" },
    ],
    [
      { errorReason: "warehouse_unreachable", sqlState: "08006" },
      "warehouse_errors_total",
      { sqlstate_class: "08" },
    ],
    [
      { errorReason: "warehouse_error", sqlState: "ZZ123" },
      "warehouse_errors_total",
      { sqlstate_class: "other" },
    ],
    [
      { errorReason: "syntax_error", sqlState: "42601" },
      "query_rejections_total",
      { reason: "syntax_error" },
    ],
    [{ errorReason: "queue_full" }, "query_rejections_total", { reason: "queue_full" }],
    [{ errorReason: "cancelled" }, "query_cancellations_total", { by: "client" }],
    [{ errorReason: "statement_timeout" }, "query_cancellations_total", { by: "timeout" }],
    [{ errorReason: "draining" }, "query_cancellations_total", { by: "drain" }],
  ]
  for (const [failure, name, labels] of failures)
    it(`count ${failure.errorReason} ${failure.sqlState ?? ""} once, as ${name}`, async () => {
      const metrics = newMetrics()
      metrics.statementFinished(report, { ...end, outcome: "error", ...failure })
      const { valueOf, samples } = await scrape(metrics)
      equal(valueOf(`sluice_${name}`, labels), 1)
      const names = /rejections|cancellations|warehouse_errors/
      equal(samples.filter((sample) => names.test(sample.name) && sample.value > 0).length, 1)
    })

  it("put what nobody listed under other, so that labels stay bounded", async () => {
    const metrics = newMetrics()
    for (let index = 0; index < 100; index += 1)
      metrics.statementFinished({ ...report, warehouse: `w${index}`, statement: `s${index}` }, end)
    const { valueOf } = await scrape(metrics)
    const labels = { warehouse: "other", statement: "other", cache: "hit_l1", outcome: "ok" }
    equal(valueOf("sluice_queries_total", labels), 100)
  })
})

describe("metrics of rooms", () => {
  it("are read at each scrape, and series of several readers are added up", async () => {
    const metrics = newMetrics()
    let waiters = 1
    metrics.source("pool_waiters", () => [{ labels: ["mart"], value: waiters }])
    metrics.source("pool_waiters", () => [
      { labels: ["mart"], value: 10 },
      { labels: ["lake"], value: 5 },
    ])
    equal((await scrape(metrics)).valueOf("sluice_pool_waiters", { warehouse: "mart" }), 11)
    waiters = 2
    const { valueOf } = await scrape(metrics)
    equal(valueOf("sluice_pool_waiters", { warehouse: "mart" }), 12)
    equal(valueOf("sluice_pool_waiters", { warehouse: "lake" }), 5)
  })

  it("are left out and counted when they cannot be read", async () => {
    const metrics = newMetrics()
    metrics.source("cache_bytes", () => {
      throw new Error("closed")
    })
    metrics.source("cache_entries", () => [{ labels: ["l1"], value: Number.NaN }])
    await metrics.render()
    const { valueOf } = await scrape(metrics)
    ok((valueOf("sluice_scrape_source_errors_total") ?? 0) >= 1)
    equal(valueOf("sluice_cache_bytes", { tier: "l1" }), undefined)
    equal(valueOf("sluice_cache_entries", { tier: "l1" }), undefined)
  })

  it("have a type each, and counters end in _total", async () => {
    const { types } = await scrape(newMetrics())
    for (const [name, { type }] of Object.entries(sourceTable))
      equal(types.get(`sluice_${name}`), type)
    for (const [name, type] of types) equal(name.endsWith("_total"), type === "counter", name)
  })
})

describe("metrics of logins and invalidations", () => {
  it("count connections, failures and waits", async () => {
    const metrics = newMetrics()
    metrics.connectionEnded("login_failed")
    metrics.loginFailed("invalid_password")
    metrics.poolWaited("lake", 3)
    const { valueOf } = await scrape(metrics)
    equal(valueOf("sluice_client_connections_total", { outcome: "login_failed" }), 1)
    equal(valueOf("sluice_client_connections_total", { outcome: "accepted" }), 0)
    equal(valueOf("sluice_auth_failures_total", { reason: "invalid_password" }), 1)
    equal(valueOf("sluice_pool_wait_seconds_sum", { warehouse: "lake" }), 0.003)
  })

  it("bound the source, and remember the last success of each", async () => {
    const metrics = newMetrics()
    const event = { mode: "hard", matchedItems: 2, unmatchedItems: 1, durationMs: 5 } as const
    metrics.invalidationFinished({ ...event, source: "airflow", status: "applied" })
    metrics.invalidationFinished({ ...event, source: "airflow", status: "failed" })
    metrics.invalidationFinished({ ...event, source: 'x"\n{', status: "pending" })
    const { valueOf } = await scrape(metrics)
    const total = (source: string, status: string) =>
      valueOf("sluice_invalidations_total", { source, mode: "hard", status })
    deepEqual(
      [total("airflow", "applied"), total("airflow", "failed"), total("other", "pending")],
      [1, 1, 1],
    )
    equal(valueOf("sluice_invalidation_items_total", { result: "matched" }), 6)
    const last = "sluice_invalidation_last_success_timestamp_seconds"
    ok((valueOf(last, { source: "airflow" }) ?? 0) > 1.7e9)
    equal(valueOf(last, { source: "other" }), undefined)
  })
})

it("the process's own metrics come with the rest and are well formed", async () => {
  const metrics = new Metrics({ version: '1"\\\n', warehouses: ["mart"], collectsProcess: true })
  const { types, valueOf } = await scrape(metrics)
  ok(types.has("process_cpu_seconds_total"))
  ok(types.has("nodejs_eventloop_lag_seconds"))
  const labels = { version: String.raw`1\"\\\n`, node: process.versions.node }
  equal(valueOf("sluice_build_info", labels), 1)
})

it("the reader of these tests refuses what Prometheus would", async () => {
  for (const text of [
    "sluice_x 1",
    "# TYPE a counter\na 1\na 2",
    "# TYPE a counter\na{b=c} 1",
    "# TYPE a gauge\n# TYPE a gauge",
    '# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_count 1',
    '# TYPE a histogram\na_bucket{le="+Inf"} 1\na_count 2',
  ])
    await rejects(async () => readExposition(text), text)
})
