import { deepEqual, equal, match, ok } from "node:assert/strict"
import { describe, it } from "node:test"
import { allowedMethods } from "../../../src/control/allowed-methods.ts"
import { Harness, tokens } from "./harness.ts"

type Method = "GET" | "POST" | "PUT" | "DELETE" | "HEAD" | "OPTIONS"
type Scope = keyof typeof tokens

describe("who may call what", () => {
  const routes: readonly [Method, string, Scope | "nobody needs a token"][] = [
    ["GET", "/livez", "nobody needs a token"],
    ["GET", "/readyz", "nobody needs a token"],
    ["GET", "/startupz", "nobody needs a token"],
    ["GET", "/metrics", "metrics"],
    ["GET", "/v1/openapi.json", "nobody needs a token"],
    ["GET", "/v1/relations", "read"],
    ["GET", "/v1/status", "read"],
    ["GET", "/v1/invalidations", "read"],
    ["GET", "/v1/invalidations/inv_1", "read"],
    ["POST", "/v1/invalidations", "invalidate"],
    ["POST", "/-/reload", "admin"],
  ]
  for (const [method, url, scope] of routes) {
    const isPublic = scope === "nobody needs a token"
    it(`${method} ${url} without a token gives ${isPublic ? 200 : 401}`, async () => {
      const { status, headers, json } = await new Harness().call(method, url)
      equal(status, isPublic ? 200 : 401)
      equal(headers["www-authenticate"], isPublic ? undefined : 'Bearer realm="sluice"')
      if (!isPublic) equal(json.type, "unauthorized")
    })
    for (const held of Object.keys(tokens) as Scope[]) {
      const isAllowed = isPublic || held === scope || held === "admin"
      it(`${method} ${url} is ${isAllowed ? "open" : "closed"} to scope ${held}`, async () => {
        const { status, headers } = await new Harness().call(method, url, { token: tokens[held] })
        equal(status === 401 || status === 403, !isAllowed)
        if (!isAllowed) match(String(headers["www-authenticate"]), /insufficient_scope/)
      })
    }
  }

  const authorizations = [
    "Bearer wrong",
    "Bearer ",
    "Bearer",
    `Basic ${tokens.read}`,
    tokens.read,
    `Bearer ${tokens.read} x`,
    `Bearer ${tokens.read}x`,
    `Bearer ${tokens.read.slice(0, -1)}`,
    `Bearer ${"x".repeat(5_000)}`,
    "Bearer ünïcode",
  ]
  for (const authorization of authorizations)
    it(`takes "${authorization.slice(0, 40)}" for no token`, async () => {
      const { status, headers, text } = await new Harness().call("GET", "/v1/status", {
        headers: { authorization },
      })
      equal(status, 401)
      match(String(headers["www-authenticate"]), /invalid_token/)
      ok(!text.includes(tokens.read))
    })

  it("takes the scheme in any case", async () => {
    const { status } = await new Harness().call("GET", "/v1/status", {
      headers: { authorization: `bEARER ${tokens.read}` },
    })
    equal(status, 200)
  })

  it("lets nobody in when no token is configured", async () => {
    const { status } = await new Harness({ tokens: [] }).call("GET", "/v1/status", {
      token: "anything",
    })
    equal(status, 401)
  })

  it("refuses without a token before it looks at the body", async () => {
    const { status } = await new Harness().call("POST", "/v1/invalidations", {
      body: "x".repeat(100_000),
    })
    equal(status, 401)
  })

  it("serves metrics without a token when they are public", async () => {
    const { status, headers, text } = await new Harness({ metricsPublic: true }).call(
      "GET",
      "/metrics",
    )
    deepEqual([status, text], [200, "sluice_build_info 1\n"])
    equal(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
  })
})

describe("paths and methods", () => {
  for (const [url, method, allow] of [
    ["/livez", "POST", "GET, HEAD"],
    ["/metrics", "DELETE", "GET, HEAD"],
    ["/v1/status?x=1", "PUT", "GET, HEAD"],
    ["/v1/invalidations", "DELETE", "GET, HEAD, POST"],
    ["/v1/invalidations/inv_1", "POST", "GET, HEAD"],
  ] as const)
    it(`${method} ${url} gives 405 and Allow: ${allow}`, async () => {
      const { status, headers, json } = await new Harness().call(method, url)
      deepEqual([status, headers["allow"], json.type], [405, allow, "method_not_allowed"])
    })

  for (const url of ["/", "/v2/invalidations", "/v1/invalidations/a/b", "/LIVEZ", "/livez/", "/.."])
    it(`GET ${url} gives 404`, async () => {
      const { status, json, headers } = await new Harness().call("GET", url)
      deepEqual([status, json.type], [404, "not_found"])
      equal(headers["content-type"], "application/problem+json; charset=utf-8")
    })

  it("answers 400 to a URL that is malformed or too long", async () => {
    for (const url of ["/v1/%zz", `/livez?${"x".repeat(3_000)}`]) {
      const { status, json } = await new Harness().call("GET", url)
      deepEqual([status, json.status], [400, 400], url)
    }
  })

  it("answers HEAD like GET without a body", async () => {
    const { status, text } = await new Harness().call("HEAD", "/livez")
    deepEqual([status, text], [200, ""])
  })

  it("answers OPTIONS with Allow and no permission for other origins", async () => {
    const { status, headers } = await new Harness().call("OPTIONS", "/v1/invalidations", {
      headers: { origin: "https://evil.example", "access-control-request-method": "POST" },
    })
    deepEqual([status, headers["allow"]], [204, "GET, HEAD, POST"])
    ok(!Object.keys(headers).some((name) => name.startsWith("access-control-")))
  })

  it("names in the table of methods exactly what is registered", async () => {
    const { app } = new Harness()
    await app.ready()
    const urls = ["/livez", "/readyz", "/startupz", "/metrics", "/v1/status", "/v1/invalidations"]
    for (const url of [...urls, "/v1/invalidations/:id"])
      for (const method of ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"] as const)
        equal(
          app.hasRoute({ url, method }),
          allowedMethods(url).includes(method),
          `${method} ${url}`,
        )
  })

  it("forbids keeping, framing and sniffing of every answer", async () => {
    for (const url of ["/livez", "/v1/status", "/nowhere"]) {
      const { headers } = await new Harness().call("GET", url)
      equal(headers["cache-control"], "no-store")
      equal(headers["x-content-type-options"], "nosniff")
      match(String(headers["content-security-policy"]), /default-src 'none'/)
    }
  })
})

describe("health", () => {
  it("is alive even when nothing else is well", async () => {
    const harness = new Harness()
    harness.checks = [{ name: "mart", isOk: false }]
    harness.isStarted = false
    equal((await harness.call("GET", "/livez")).status, 200)
    equal((await harness.call("GET", "/startupz")).status, 503)
    equal((await harness.call("GET", "/readyz")).status, 503)
  })

  it("tells the checks when asked, and their detail only to a reader", async () => {
    const harness = new Harness()
    harness.checks = [
      { name: "listener", isOk: true },
      { name: "mart", isOk: false, detail: "connection refused" },
    ]
    const { json } = await harness.call("GET", "/readyz?verbose")
    deepEqual(json, {
      status: "not_ready",
      checks: [
        { name: "listener", ok: true },
        { name: "mart", ok: false },
      ],
    })
    const told = await harness.call("GET", "/readyz?verbose", { token: tokens.read })
    equal(told.json.checks[1].detail, "connection refused")
    deepEqual((await harness.call("GET", "/readyz")).json, { status: "not_ready" })
  })

  it("tells the status to a reader", async () => {
    const { json } = await new Harness().call("GET", "/v1/status", { token: tokens.read })
    deepEqual(json, {
      version: "0.1.0",
      started_at: "2026-08-20T09:58:30.000Z",
      uptime_seconds: 90,
      warehouses: [{ name: "mart", engine: "postgres", up: true }],
      cache: { entries: 1, bytes: 2, bytes_max: 3, hits: 4, misses: 5 },
    })
  })
})

const askStatus = (harness: Harness, token: string = tokens.read) =>
  harness.call("GET", "/v1/status", { token })

describe("calls a minute", () => {
  it("above the token's number are 429 with the seconds to wait, and later calls pass", async () => {
    const harness = new Harness()
    for (let call = 0; call < 600; call += 1) equal((await askStatus(harness)).status, 200)
    const refused = await askStatus(harness)
    equal(refused.status, 429)
    equal(refused.headers["retry-after"], "1")
    equal(refused.json.type, "call_rate_limited")
    harness.steadyMs += 100
    equal((await askStatus(harness)).status, 200)
    equal((await askStatus(harness)).status, 429)
  })

  it("of one token leave others alone, and so do calls without a token", async () => {
    const harness = new Harness()
    for (let call = 0; call < 601; call += 1) await askStatus(harness)
    equal((await askStatus(harness)).status, 429)
    equal((await askStatus(harness, tokens.admin)).status, 200)
    equal((await harness.call("GET", "/livez")).status, 200)
    for (let call = 0; call < 100; call += 1) equal((await askStatus(harness, "wrong")).status, 401)
  })

  it("do not pile up while nobody calls", async () => {
    const harness = new Harness()
    await askStatus(harness)
    harness.steadyMs += 3_600_000
    for (let call = 0; call < 600; call += 1) equal((await askStatus(harness)).status, 200)
    equal((await askStatus(harness)).status, 429)
  })
})

describe("GET /v1/relations", () => {
  it("passes name and limit on, and refuses what is neither", async () => {
    const harness = new Harness()
    const ask = (query: string) =>
      harness.call("GET", `/v1/relations${query}`, { token: tokens.read })
    equal((await ask("?name=marts.daily&limit=5")).status, 200)
    equal((await ask("")).status, 200)
    deepEqual(harness.invalidator.relationCalls, [
      { name: "marts.daily", limit: 5 },
      { name: undefined, limit: 100 },
    ])
    for (const query of ["?name=", "?limit=0", "?limit=1001", "?nam=x", "?name=a&name=b"])
      equal((await ask(query)).status, 400, query)
  })
})
