import { deepEqual, doesNotMatch, equal, match, ok, throws } from "node:assert/strict"
import { readFileSync } from "node:fs"
import { describe, it } from "node:test"
import { loadConfiguration } from "../../../src/config/load.ts"
import { GatewayError } from "../../../src/core/errors.ts"
import { minimal, parse, problemsIn, verifier } from "./fixture.ts"

/** The minimal file with one more section. */
const withSection = (section: string) => `${minimal}${section}\n`

describe("a configuration", () => {
  it("needs ten lines for PostgreSQL and fills in the rest", () => {
    const { warehouses, users, roles, listen, control, cache, sql, log } = parse(minimal)
    equal(warehouses["mart"]?.engine, "postgres")
    deepEqual(warehouses["mart"]?.databases, ["mart"])
    equal(users["superset"]?.verifier, verifier)
    equal(users["superset"]?.databases, undefined)
    deepEqual(roles["analyst"], {
      relations: { allow: ["*"], deny: [] },
      write: false,
      explain: "none",
      class: undefined,
      rowLimit: 0,
      onExceed: "cut",
      resultBytesMax: 0,
      statementTimeoutMs: 300_000,
      queueTimeoutMs: 0,
      costMax: 0,
      rowsEstimatedMax: 0,
      cache: "on",
      forbid: [],
      cacheHints: "reduce",
      cacheAgeMsMax: 0,
      timeBucketMs: undefined,
    })
    deepEqual([listen.host, listen.port], ["127.0.0.1", 6432])
    deepEqual([control.host, control.port, control.tokens.length], ["127.0.0.1", 6480, 0])
    deepEqual([cache.memoryBytesMax, cache.entryBytesMax], [256 * 1024 ** 2, 8 * 1024 ** 2])
    deepEqual([sql.offLoopBytes, log.level], [16_384, "info"])
  })

  it("gives a role the limits of its class where it says nothing itself", () => {
    const { roles } = parse(
      minimal
        .replace("analyst: {", "analyst: { class: slow, rowLimit: 0, costMax: 7, ")
        .concat(
          "classes:\n  slow: { rowLimit: 5, resultBytesMax: 1KiB, queueTimeoutMs: 2s, forbid: [recursive], cache: off }\n",
        ),
    )
    const analyst = roles["analyst"]
    deepEqual([analyst?.rowLimit, analyst?.costMax, analyst?.resultBytesMax], [0, 7, 1024])
    deepEqual([analyst?.queueTimeoutMs, analyst?.cache], [2_000, "off"])
    deepEqual([analyst?.forbid, analyst?.statementTimeoutMs], [["recursive"], 300_000])
  })

  it("has names that cannot reach Object.prototype", () => {
    const { users, warehouses, roles } = parse(minimal)
    for (const map of [users, warehouses, roles]) equal(map["constructor"], undefined)
  })

  it("takes an empty section for its defaults", () => {
    equal(parse(withSection("listen:\ncache:")).listen.port, 6432)
  })

  const values: readonly [
    line: string,
    read: (c: ReturnType<typeof parse>) => unknown,
    value: unknown,
  ][] = [
    ["listen: { loginTimeoutMs: 1500 }", (c) => c.listen.loginTimeoutMs, 1_500],
    ["listen: { loginTimeoutMs: 1.5s }", (c) => c.listen.loginTimeoutMs, 1_500],
    ["listen: { idleSessionTimeoutMs: 2h }", (c) => c.listen.idleSessionTimeoutMs, 7_200_000],
    ["listen: { port: 0 }", (c) => c.listen.port, 0],
    ["cache: { defaultTtlMs: 1d }", (c) => c.cache.defaultTtlMs, 86_400_000],
    ["cache: { memoryBytesMax: 1GiB }", (c) => c.cache.memoryBytesMax, 1024 ** 3],
    ["cache: { memoryBytesMax: 10485760 }", (c) => c.cache.memoryBytesMax, 10_485_760],
    ["cache: { enabled: false }", (c) => c.cache.enabled, false],
    ["cache: {}", (c) => [c.cache.timeBucketMs, c.cache.verify.share], [0, 0]],
    ["cache: { timeBucketMs: 5m }", (c) => c.cache.timeBucketMs, 300_000],
    ["cache: { verify: { share: 0.001 } }", (c) => c.cache.verify.share, 0.001],
    ['cache: { verify: { share: "${UNSET:-0.25}" } }', (c) => c.cache.verify.share, 0.25],
    [
      "cache: { ttlClasses: [{ relations: a, timeBucketMs: 0 }, { relations: b }] }",
      (c) => c.cache.ttlClasses.map(({ timeBucketMs }) => timeBucketMs),
      [0, undefined],
    ],
    ['cache: { enabled: "${NO}" }', (c) => c.cache.enabled, false],
    ['listen: { port: "${PORT}" }', (c) => c.listen.port, 7_000],
    ["listen:\n  port: ${PORT}", (c) => c.listen.port, 7_000],
    ["listen:\n  host: ${UNSET:-::1}", (c) => c.listen.host, "::1"],
    ["listen:\n  host: ${EMPTY:-::1}", (c) => c.listen.host, "::1"],
    ["listen:\n  host: a$${b}", (c) => c.listen.host, "a${b}"],
    ["listen:\n  host: ${NESTED}", (c) => c.listen.host, "${PORT}"],
  ]
  for (const [line, read, value] of values)
    it(`reads ${JSON.stringify(line)} as ${JSON.stringify(value)}`, () => {
      const environment = { PORT: "7000", NO: "false", NESTED: "${PORT}" }
      deepEqual(read(parse(withSection(line), { environment })), value)
    })

  const faults: readonly [title: string, text: string, expected: string | readonly string[]][] = [
    ["an empty file", "", ["1:1: warehouses: is required", "1:1: users: is required"]],
    ["a list", "[]", "1:1: must be a map of keys"],
    ["broken YAML", 'a: "unclosed', '1:13: not valid YAML: Missing closing "quote'],
    ["a tab", "listen:\n\tport: 1", "2:1: not valid YAML: Tabs are not allowed as indentation"],
    ["a key twice", "log: {}\nlog: {}", "2:1: not valid YAML: Map keys must be unique"],
    [
      "a misspelt key, with its line and the nearest name",
      withSection("cache:\n  entryBytesMx: 5"),
      '11:3: cache.entryBytesMx: unknown key; did you mean "entryBytesMax"?',
    ],
    [
      "a key without its unit",
      withSection("cache: { defaultTtl: 5 }"),
      '10:10: cache.defaultTtl: unknown key; did you mean "defaultTtlMs"?',
    ],
    [
      "words in another order",
      withSection("listen: { maxSessions: 5 }"),
      '10:11: listen.maxSessions: unknown key; did you mean "sessionsMax"?',
    ],
    [
      "an unknown section",
      withSection("grafana: {}"),
      "10:1: grafana: unknown key; known keys: listen, control, warehouses, users, classes, roles, identity, policiesFile, policies, cache, redis, sql, log, shutdown",
    ],
    [
      "a port above the last",
      withSection("listen: { port: 65536 }"),
      "10:11: listen.port: must be a whole number from 0 to 65535",
    ],
    [
      "a size in MB",
      withSection("cache: { memoryBytesMax: 5MB }"),
      "10:10: cache.memoryBytesMax: must be a size: bytes, or a number with B, KiB, MiB, GiB or TiB such as 256MiB",
    ],
    [
      "a duration that timers cannot hold",
      withSection("listen: { idleSessionTimeoutMs: 25d }"),
      "10:11: listen.idleSessionTimeoutMs: must be a whole number from 0 to 2147483647",
    ],
    [
      "a time bucket shorter than a second",
      withSection("cache: { ttlClasses: [{ relations: a, timeBucketMs: 500ms }] }"),
      "10:39: cache.ttlClasses[0].timeBucketMs: must be 0, or one second or more",
    ],
    [
      "a share above the whole",
      withSection("cache: { verify: { share: 2 } }"),
      "10:20: cache.verify.share: must be a number from 0 to 1, such as 0.001",
    ],
    [
      "a share that is a word",
      withSection("cache: { verify: { share: all } }"),
      "10:20: cache.verify.share: must be a number from 0 to 1, such as 0.001",
    ],
    [
      "an entry above the memory",
      withSection("cache: { entryBytesMax: 2GiB }"),
      "10:10: cache.entryBytesMax: is larger than cache.memoryBytesMax",
    ],
    [
      "a level that does not exist",
      withSection("log: { level: warning }"),
      '10:8: log.level: must be one of fatal, error, warn, info, debug, trace; did you mean "warn"?',
    ],
    [
      "a class that does not exist",
      `${minimal.replace("analyst: {", "analyst: { class: slo, ")}classes: { slow: {} }\n`,
      '9:14: roles.analyst.class: names no class of this file; did you mean "slow"?',
    ],
    [
      "a writer whose class limits reads",
      `${minimal.replace("analyst: {", "analyst: { class: slow, write: true, ")}classes: { slow: { costMax: 5 } }\n`,
      "9:27: roles.analyst.write: does not go together with costMax",
    ],
    [
      "a construct that does not exist",
      minimal.replace("analyst: {", "analyst: { forbid: [star], "),
      "9:23: roles.analyst.forbid[0]: must be one of cross_join, select_star, recursive, no_limit",
    ],
    [
      "two listeners on one port",
      withSection("control: { port: 6432 }"),
      "10:12: control.port: is the same as listen.port",
    ],
    [
      "two listeners on one port of all addresses",
      withSection("listen: { host: 0.0.0.0 }\ncontrol: { port: 6432 }"),
      "11:12: control.port: is the same as listen.port",
    ],
    [
      "a token in the open",
      withSection("control: { tokens: [{ name: a, token: abc, scopes: [read] }] }"),
      "10:32: control.tokens[0].token: unknown key; tokens are not kept here; keep the SHA-256 that `sluice token` prints",
    ],
    [
      "a digest that is none",
      withSection("control: { tokens: [{ name: a, sha256: abc, scopes: [read] }] }"),
      "10:32: control.tokens[0].sha256: must be 64 hexadecimal digits: the SHA-256 of the token",
    ],
    [
      "a scope that does not exist",
      withSection('control: { tokens: [{ name: a, sha256: "${TOKEN_SHA256}", scopes: [write] }] }'),
      "10:68: control.tokens[0].scopes[0]: must be one of invalidate, read, metrics, admin",
    ],
    [
      "an unset variable",
      withSection("listen:\n  host: ${NOPE}"),
      "11:3: listen.host: environment variable NOPE is not set",
    ],
    [
      "a malformed reference",
      withSection("listen:\n  host: ${no pe}"),
      "11:3: listen.host: has a malformed reference; write ${NAME}, ${NAME:-default}, or $${ for a literal ${",
    ],
    [
      "a reference without end",
      withSection("listen:\n  host: ${PORT"),
      "11:3: listen.host: has a malformed reference; write ${NAME}, ${NAME:-default}, or $${ for a literal ${",
    ],
    [
      "a __proto__ key",
      withSection("log:\n  __proto__: { level: trace }"),
      "11:3: log: has the key __proto__, which no name may have",
    ],
    [
      "a key that is a number",
      withSection("5: x"),
      "10:1: has a key that is not text; put it in quotes",
    ],
  ]
  for (const [title, text, expected] of faults)
    it(`refuses ${title}`, () => {
      const found = problemsIn(text)
      for (const line of [expected].flat()) ok(found.includes(line), JSON.stringify(found, null, 1))
    })

  it("refuses aliases that multiply", () => {
    const lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for (const [name, before] of ["ba", "cb", "dc", "ed", "fe", "gf"])
      lines.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(", ")}]`)
    match(problemsIn(lines.join("\n")).join(), /aliases/)
  })

  it("lists everything that is wrong at once, in the file's order", () => {
    const found = problemsIn(`
listen: { prt: 1 }
warehouses:
  a: { engine: postgres, uri: "\${NOPE}", databases: [x] }
  b: { engine: duckdb, path: b.duckdb, databases: [x, y] }
users:
  u: { verifier: SCRAM-SHA-256$x, roles: [anlyst] }
  v: { password: p, roles: [analyst], databases: [z] }
roles:
  analyst: {}
control: { port: 6432 }
`)
    deepEqual(found, [
      '2:11: listen.prt: unknown key; did you mean "port"?',
      "4:26: warehouses.a.uri: environment variable NOPE is not set",
      '5:40: warehouses.b.databases: database "x" already belongs to warehouse a',
      "7:8: users.u.verifier: is no SCRAM-SHA-256 verifier; `sluice verifier` makes one from a password",
      '7:43: users.u.roles[0]: names no role of this file; did you mean "analyst"?',
      "8:3: users.v.verifier: is required (or verifierFile)",
      "8:8: users.v.password: unknown key; passwords are not kept here; make a verifier with `sluice verifier`",
      "8:51: users.v.databases[0]: names no database of this file",
      "11:12: control.port: is the same as listen.port",
    ])
  })

  it("never quotes a value that could be a secret", () => {
    const secret = "hunter2-hunter2"
    const texts = [
      `warehouses: { a: { engine: postgres, uri: ${secret} } }\nusers: { u: { verifier: ${secret}, roles: [r] } }\nroles: { r: {} }`,
      withSection(`control: { tokens: [{ name: a, sha256: ${secret}, scopes: [${secret}] }] }`),
      `uri: "${secret}\nx: ${secret}`,
      `a: ${secret}\n  b: ${secret}: ${secret}`,
    ]
    for (const text of texts) {
      const found = problemsIn(text)
      ok(found.length > 0)
      doesNotMatch(found.join("\n"), /hunter2/)
    }
  })

  it("names the file that cannot be read", () => {
    throws(
      () => loadConfiguration("/nonexistent/sluice.yaml", {}),
      (error) =>
        error instanceof GatewayError &&
        error.message === "cannot read /nonexistent/sluice.yaml: ENOENT",
    )
  })
})

describe("roles", () => {
  const patterns: readonly [pattern: string, isGood: boolean][] = [
    ["*", true],
    ["marts.*", true],
    ["marts.daily", true],
    ['"Mixed Case"."a.b"', true],
    ["daily", false],
    ["marts.daily_*", false],
    ["*.daily", false],
    ["a.b.c", false],
    ["marts.", false],
    ["", false],
  ]
  for (const [pattern, isGood] of patterns)
    it(`${isGood ? "take" : "refuse"} the relation pattern ${JSON.stringify(pattern)}`, () => {
      const text = minimal.replace('"*"', JSON.stringify(pattern).replaceAll("\\\\", "\\"))
      equal(problemsIn(text).length, isGood ? 0 : 1)
    })
})

describe("the example file", () => {
  const example = new URL("../../../config/sluice.example.yaml", import.meta.url)
  const environment = {
    AIRFLOW_TOKEN_SHA256: "a".repeat(64),
    PROMETHEUS_TOKEN_SHA256: "b".repeat(64),
    MART_PASSWORD: "p@ss",
    SUPERSET_VERIFIER: verifier,
    ETL_CHECK_VERIFIER: verifier,
  }

  it("loads", () => {
    const { warehouses } = loadConfiguration(example.pathname, environment)
    deepEqual(Object.keys(warehouses), ["mart", "local"])
  })

  it("shows the defaults that it says it shows", () => {
    const shown = loadConfiguration(example.pathname, environment)
    const plain = parse(minimal)
    deepEqual(shown.listen, plain.listen)
    deepEqual({ ...shown.control, tokens: [], tags: {} }, plain.control)
    deepEqual({ ...shown.cache, ttlClasses: [] }, plain.cache)
    deepEqual([shown.sql, shown.log, shown.shutdown], [plain.sql, plain.log, plain.shutdown])
    deepEqual(shown.warehouses["mart"]?.pool, plain.warehouses["mart"]?.pool)
  })

  it("has a minimal set-up in its head that loads", () => {
    const lines = readFileSync(example, "utf8").split("\n")
    const from = lines.indexOf("#   warehouses:")
    const text = lines
      .slice(from, lines.indexOf("#", from))
      .map((line) => line.slice(4))
      .join("\n")
    const variables = { WAREHOUSE_URI: "postgres://a@b/c", ...environment }
    equal(parse(text, { environment: variables }).control.tokens.length, 1)
    ok(text.split("\n").length <= 10)
  })
})
