import { deepEqual, equal, match, ok } from "node:assert/strict"
import { describe, it } from "node:test"
import { GatewayError } from "../../../src/core/errors.ts"
import { SqlState } from "../../../src/core/sql-state.ts"
import { Harness, tokens } from "./harness.ts"

const get = (harness: Harness, url: string) => harness.call("GET", url, { token: tokens.read })

const oneItem = { items: [{ relation: "marts.daily" }] }

describe("POST /v1/invalidations", () => {
  it("answers 200 with the outcome in snake case", async () => {
    const { status, json, headers } = await new Harness().invalidate(oneItem)
    equal(status, 200)
    match(String(headers["content-type"]), /^application\/json/)
    deepEqual(json, {
      id: "inv_1",
      status: "applied",
      applied_at: "2026-08-20T10:00:00.000Z",
      items: [
        {
          relation: "marts.daily",
          resolved: ["marts.daily"],
          dependents: ["marts.v_daily"],
          entries: 7,
        },
      ],
      unmatched: ["marts.unknown"],
      instances: { known: 1, confirmed: 1, lease_expired: 0 },
    })
  })

  it("hands on every field, and defaults for those left out", async () => {
    const harness = new Harness()
    await harness.invalidate({
      items: [{ relation: '"wh"."marts"."daily"' }, { schema: "marts" }, { glob: "marts.daily_*" }],
      mode: "hard",
      warm: false,
      dry_run: true,
      wait: "none",
      timeout_seconds: 0.25,
      warehouse: "mart",
      source: { kind: "airflow", job: "dag.task", run_id: "run 1" },
    })
    await harness.invalidate(oneItem)
    deepEqual(harness.invalidator.requests, [
      {
        items: [
          { kind: "relation", relation: '"wh"."marts"."daily"' },
          { kind: "schema", schema: "marts" },
          { kind: "glob", glob: "marts.daily_*" },
        ],
        warehouse: "mart",
        isDryRun: true,
        wait: "none",
        timeoutMs: 250,
        maxStaleMs: undefined,
        source: { kind: "airflow", job: "dag.task", runId: "run 1" },
      },
      {
        items: [{ kind: "relation", relation: "marts.daily" }],
        warehouse: undefined,
        isDryRun: false,
        wait: "cluster",
        timeoutMs: 5_000,
        maxStaleMs: undefined,
        source: { kind: "manual", job: undefined, runId: undefined },
      },
    ])
  })

  it("answers 202 with a Location when the confirmation is still pending", async () => {
    const harness = new Harness()
    harness.invalidator.status = "pending"
    const { status, headers } = await harness.invalidate(oneItem)
    equal(status, 202)
    equal(headers["location"], "/v1/invalidations/inv_1")
  })

  const faults: readonly [title: string, body: unknown, path: string, detail: RegExp][] = [
    ["no items", {}, "items", /required/],
    ["empty items", { items: [] }, "items", /at least one/],
    ["items that are no list", { items: "marts.daily" }, "items", /list/],
    ["an item that is text", { items: ["marts.daily"] }, "items[0]", /object/],
    ["an item without a name", { items: [{}] }, "items[0]", /one of relation, schema, glob/],
    ["an item with two names", { items: [{ relation: "a.b", schema: "a" }] }, "items[0]", /one of/],
    ["an item with a number", { items: [{ relation: 5 }] }, "items[0].relation", /string/],
    ["an item with a blank name", { items: [{ relation: " " }] }, "items[0].relation", /empty/],
    ["a name with NUL", { items: [{ glob: "a\0b" }] }, "items[0].glob", /control characters/],
    [
      "a name that is too long",
      { items: [{ schema: "x".repeat(1_025) }] },
      "items[0].schema",
      /longer/,
    ],
    ["a misspelt field", { ...oneItem, dryrun: true }, "dryrun", /unknown/],
    ["a misspelt item field", { items: [{ relation: "a.b", x: 1 }] }, "items[0].x", /unknown/],
    [
      "partitions",
      { items: [{ relation: "a.b", partitions: [] }] },
      "items[0].partitions",
      /not supported yet/,
    ],
    ["another mode", { ...oneItem, mode: "gentle" }, "mode", /hard or soft/],
    ["warming", { ...oneItem, warm: true }, "warm", /not supported yet/],
    [
      "a staleness bound of a hard one",
      { ...oneItem, max_stale_seconds: 5 },
      "max_stale_seconds",
      /mode soft/,
    ],
    [
      "a staleness bound of 0",
      { ...oneItem, mode: "soft", max_stale_seconds: 0 },
      "max_stale_seconds",
      /above 0/,
    ],
    [
      "one of more than a day",
      { ...oneItem, mode: "soft", max_stale_seconds: 86_401 },
      "max_stale_seconds",
      /up to 86400/,
    ],
    [
      "one as text",
      { ...oneItem, mode: "soft", max_stale_seconds: "5" },
      "max_stale_seconds",
      /number/,
    ],
    ["dry_run as text", { ...oneItem, dry_run: "yes" }, "dry_run", /true or false/],
    ["another wait", { ...oneItem, wait: "all" }, "wait", /cluster or none/],
    ["no time", { ...oneItem, timeout_seconds: 0 }, "timeout_seconds", /above 0/],
    ["too much time", { ...oneItem, timeout_seconds: 61 }, "timeout_seconds", /up to 60/],
    ["a time as text", { ...oneItem, timeout_seconds: "5" }, "timeout_seconds", /number/],
    ["an unknown warehouse", { ...oneItem, warehouse: "other" }, "warehouse", /no configured/],
    ["a source without kind", { ...oneItem, source: {} }, "source.kind", /string/],
    ["a source field", { ...oneItem, source: { kind: "x", user: "y" } }, "source.user", /unknown/],
    ["a list as body", [], "body", /object/],
    ["null as body", null, "body", /object/],
  ]
  for (const [title, body, path, detail] of faults)
    it(`refuses ${title} and names the place`, async () => {
      const harness = new Harness()
      const { status, json, headers } = await harness.invalidate(body)
      equal(status, 400)
      equal(headers["content-type"], "application/problem+json; charset=utf-8")
      equal(json.type, "malformed_body")
      equal(json.status, 400)
      ok(
        json.errors.some(
          (fault: { path: string; detail: string }) =>
            fault.path === path && detail.test(fault.detail),
        ),
        JSON.stringify(json.errors),
      )
      equal(harness.invalidator.requests.length, 0)
    })

  const soft: readonly (readonly [Record<string, unknown>, number | undefined])[] = [
    [{}, undefined],
    [{ mode: "hard" }, undefined],
    [{ mode: "soft" }, 300_000],
    [{ mode: "soft", max_stale_seconds: 0.25 }, 250],
    [{ mode: "soft", max_stale_seconds: 86_400 }, 86_400_000],
  ]
  for (const [fields, maxStaleMs] of soft)
    it(`takes ${JSON.stringify(fields)} as ${maxStaleMs} ms of old data`, async () => {
      const harness = new Harness()
      const { status } = await harness.invalidate({ ...oneItem, ...fields })
      equal(status, 200)
      equal(harness.invalidator.requests[0]?.maxStaleMs, maxStaleMs)
    })

  it("lists all faults of one body", async () => {
    const { json } = await new Harness().invalidate({
      items: [{}, { x: 1 }],
      wait: 1,
      mode: "gentle",
    })
    equal(json.errors.length, 5)
  })

  it("takes 1000 items and refuses 1001 with 413", async () => {
    const harness = new Harness({ bodyBytesMax: 1024 * 1024 })
    const items = Array.from({ length: 1_000 }, (_, index) => ({ relation: `a.t${index}` }))
    equal((await harness.invalidate({ items })).status, 200)
    const { status, json } = await harness.invalidate({ items: [...items, { relation: "a.b" }] })
    deepEqual([status, json.type], [413, "too_many_items"])
  })

  const bodies: readonly [title: string, body: string | Buffer, status: number][] = [
    ["truncated JSON", '{"items":', 400],
    ["an empty body", "", 400],
    ["bytes that are not UTF-8", Buffer.from([0x22, 0xff, 0x22]), 400],
    ["a __proto__ key", '{"items":[{"relation":"a.b","__proto__":{"x":1}}]}', 400],
    ["a constructor.prototype key", '{"items":[],"constructor":{"prototype":{"x":1}}}', 400],
    ["a body above the cap", JSON.stringify({ items: [{ relation: "x".repeat(5_000) }] }), 413],
    ["a very deep body", "[".repeat(2_000) + "]".repeat(2_000), 400],
  ]
  for (const [title, body, expected] of bodies)
    it(`answers ${expected} to ${title}`, async () => {
      const harness = new Harness()
      const { status, json } = await harness.invalidate(body)
      equal(status, expected)
      equal(json.type, expected === 413 ? "body_too_large" : "malformed_body")
      equal(harness.invalidator.requests.length, 0)
      equal(Object.hasOwn(Object.prototype, "x"), false)
    })

  const mediaTypes: readonly [headers: Record<string, string>, status: number][] = [
    [{ "content-type": "application/json; charset=utf-8" }, 200],
    [{ "content-type": "text/plain" }, 415],
    [{ "content-type": "application/x-www-form-urlencoded" }, 415],
    [{ "content-type": "multipart/form-data; boundary=x" }, 415],
    [{ "content-type": "" }, 415],
    [{ "content-encoding": "gzip" }, 415],
  ]
  for (const [headers, expected] of mediaTypes)
    it(`answers ${expected} to ${JSON.stringify(headers)}`, async () => {
      equal((await new Harness().invalidate(oneItem, headers)).status, expected)
    })

  it("answers 503 with Retry-After when the tokens could not be stored, and says so to the metrics", async () => {
    const harness = new Harness()
    harness.invalidator.failure = new GatewayError({
      sqlState: SqlState.ConnectionFailure,
      reason: "warehouse_unreachable",
      message: "the catalogue of mart could not be read",
    })
    const { status, headers, json } = await harness.invalidate(oneItem)
    deepEqual([status, headers["retry-after"], json.type], [503, "1", "warehouse_unreachable"])
    deepEqual(
      harness.events.map((event) => event.status),
      ["failed"],
    )
  })

  it("answers 500 to a bug without telling its text, and logs it with the same instance", async () => {
    const harness = new Harness()
    harness.invalidator.failure = new TypeError("secret host db-7 is undefined")
    const { status, text, json } = await harness.invalidate(oneItem)
    equal(status, 500)
    equal(json.type, "invariant_violation")
    ok(!text.includes("db-7"))
    const line = harness.logLines.find((entry) => entry.includes("db-7")) ?? ""
    equal(JSON.parse(line).request, json.instance)
  })

  it("reports every call to the metrics and the log, and never logs a body", async () => {
    const harness = new Harness()
    await harness.invalidate({
      items: [{ relation: "marts.secret_name" }],
      source: { kind: "dbt" },
    })
    deepEqual(
      harness.events.map(({ durationMs: _durationMs, ...event }) => event),
      [{ source: "dbt", mode: "hard", status: "applied", matchedItems: 1, unmatchedItems: 1 }],
    )
    const log = harness.logLines.join("")
    match(log, /"caller":"the-invalidate-token"/)
    ok(!log.includes("secret_name"))
    ok(!log.includes(tokens.invalidate))
  })

  it("refuses calls above its bound with 503 and takes them again afterwards", async () => {
    const harness = new Harness()
    const held = Promise.withResolvers<void>()
    harness.invalidator.gate = held.promise
    const waiting = Array.from({ length: 256 }, () => harness.invalidate(oneItem))
    while (harness.invalidator.requests.length < 256)
      await new Promise((resolve) => setImmediate(resolve))
    const { status, headers, json } = await harness.invalidate(oneItem)
    deepEqual([status, headers["retry-after"], json.type], [503, "1", "queue_full"])
    held.resolve()
    ok((await Promise.all(waiting)).every((answer) => answer.status === 200))
    equal((await harness.invalidate(oneItem)).status, 200)
  })
})

describe("Idempotency-Key", () => {
  const key = { "idempotency-key": "dagster:run-1" }

  it("performs a repeated call again, so that no later load is ever skipped", async () => {
    const harness = new Harness()
    equal((await harness.invalidate(oneItem, key)).json.id, "inv_1")
    equal((await harness.invalidate(oneItem, key)).json.id, "inv_2")
    equal(harness.invalidator.requests.length, 2)
  })

  it("takes the same fields in another order for the same body", async () => {
    const harness = new Harness()
    await harness.invalidate({ ...oneItem, wait: "none" }, key)
    equal((await harness.invalidate({ wait: "none", ...oneItem }, key)).status, 200)
  })

  it("answers 409 to another body and does nothing", async () => {
    const harness = new Harness()
    await harness.invalidate(oneItem, key)
    const { status, json } = await harness.invalidate({ items: [{ relation: "a.b" }] }, key)
    deepEqual([status, json.type], [409, "idempotency_conflict"])
    equal(harness.invalidator.requests.length, 1)
  })

  it("forgets a key after ten minutes", async () => {
    const harness = new Harness()
    await harness.invalidate(oneItem, key)
    harness.nowMs += 600_000
    equal((await harness.invalidate({ items: [{ relation: "a.b" }] }, key)).status, 200)
  })

  it("does not remember a call that failed, or a dry run", async () => {
    const harness = new Harness()
    harness.invalidator.failure = new Error("down")
    await harness.invalidate(oneItem, key)
    harness.invalidator.failure = undefined
    await harness.invalidate({ ...oneItem, dry_run: true }, key)
    equal((await harness.invalidate({ items: [{ relation: "a.b" }] }, key)).status, 200)
  })

  it("keeps the keys of two tokens apart", async () => {
    const harness = new Harness()
    await harness.invalidate(oneItem, key)
    const { status } = await harness.call("POST", "/v1/invalidations", {
      token: tokens.admin,
      body: { items: [{ relation: "a.b" }] },
      headers: key,
    })
    equal(status, 200)
  })

  for (const [title, bad] of [
    ["too long", "k".repeat(256)],
    ["with a blank", "a b"],
    ["empty", ""],
  ] as const)
    it(`refuses a key that is ${title}`, async () => {
      const { status } = await new Harness().invalidate(oneItem, { "idempotency-key": bad })
      equal(status, 400)
    })
})

describe("GET /v1/invalidations", () => {
  it("finds an outcome by its id", async () => {
    const harness = new Harness()
    await harness.invalidate(oneItem)
    const { status, json } = await get(harness, "/v1/invalidations/inv_1")
    deepEqual([status, json.id], [200, "inv_1"])
  })

  for (const id of ["inv_9", "..%2f..%2fetc", "a".repeat(65), "%00", "a".repeat(200)])
    it(`answers 404 to the id ${id.slice(0, 20)}`, async () => {
      const { status, json } = await get(new Harness(), `/v1/invalidations/${id}`)
      deepEqual([status, json.type], [404, "not_found"])
    })

  it("lists outcomes since a time", async () => {
    const harness = new Harness()
    await harness.invalidate(oneItem)
    const { json } = await get(
      harness,
      "/v1/invalidations?since=2026-08-20T12:00:00%2B02:00&limit=5",
    )
    equal(json.invalidations.length, 1)
    deepEqual(harness.invalidator.sinceCalls, [
      { timeMs: Date.parse("2026-08-20T10:00:00Z"), limit: 5 },
    ])
  })

  const times: readonly [query: string, timeMs: number][] = [
    ["", 0],
    ["?since=1787220000000", 1_787_220_000_000],
    ["?since=2026-08-20T10:00:00.5Z", Date.parse("2026-08-20T10:00:00.500Z")],
    ["?since=2026-08-20t10:00:00z", Date.parse("2026-08-20T10:00:00Z")],
    ["?since=2026-08-20T10:00:00+02:00", Date.parse("2026-08-20T08:00:00Z")],
  ]
  for (const [query, timeMs] of times)
    it(`reads ${query === "" ? "no time" : query}`, async () => {
      const harness = new Harness()
      await get(harness, `/v1/invalidations${query}`)
      deepEqual(harness.invalidator.sinceCalls, [{ timeMs, limit: 100 }])
    })

  for (const query of [
    "since=yesterday",
    "since=2026-08-20",
    "since=2026-13-40T10:00:00Z",
    "since=9999999999999999",
    "since=1&since=2",
    "limit=0",
    "limit=1001",
    "limit=ten",
    "from=1",
    "__proto__=1",
  ])
    it(`refuses ?${query}`, async () => {
      const { status, json } = await get(new Harness(), `/v1/invalidations?${query}`)
      deepEqual([status, json.type], [400, "malformed_body"])
    })
})
