import { deepEqual, equal } from "node:assert/strict"
import { describe, it } from "node:test"
import { redactConfiguration } from "../../../src/config/redact.ts"
import { minimal, type ParseOptions, parse, problemsIn } from "./fixture.ts"

const files = {
  "/etc/sluice/redis-password": "from-file\n",
  "/etc/sluice/uri": "redis://10.0.0.1/2\n",
  "/etc/sluice/ca.crt": "pem",
  "/etc/sluice/redis.crt": "pem",
  "/etc/sluice/redis.key": "pem",
}

const redisOf = (section: string, options: ParseOptions = {}) =>
  parse(`${minimal}redis: ${section}\n`, { files, ...options }).redis

describe("section redis", () => {
  it("is left out by an instance that is alone", () => equal(parse(minimal).redis, undefined))

  it("takes a URI and fills in the rest", () => {
    deepEqual(redisOf('{ uri: "redis://redis.internal" }'), {
      target: { kind: "single", node: { host: "redis.internal", port: 6379 } },
      username: undefined,
      password: { kind: "none" },
      tls: undefined,
      database: 0,
      keyPrefix: "sluice",
      commandTimeoutMs: 250,
      connectTimeoutMs: 2_000,
      leaseMs: 2_000,
      replicasMin: 0,
    })
  })

  const goodCases = [
    {
      title: "reads user, password and database from the URI, decoded",
      section: '{ uri: "rediss://us%40r:p%2Fw@[::1]:7000/3" }',
      expected: {
        target: { kind: "single", node: { host: "::1", port: 7000 } },
        username: "us@r",
        password: { kind: "text", text: "p/w" },
        tls: {},
        database: 3,
      },
    },
    {
      title: "keeps the path of a password's file, for the next connection",
      section: "{ uriFile: uri, username: sluice, passwordFile: redis-password }",
      expected: {
        target: { kind: "single", node: { host: "10.0.0.1", port: 6379 } },
        username: "sluice",
        password: { kind: "file", path: "/etc/sluice/redis-password" },
        database: 2,
      },
    },
    {
      title: "takes sentinels with a password of their own",
      section:
        '{ sentinel: { name: m, nodes: ["s1:26379", "[::1]:26380"], password: pw, tls: true }, tls: {} }',
      expected: {
        target: {
          kind: "sentinel",
          name: "m",
          nodes: [
            { host: "s1", port: 26_379 },
            { host: "::1", port: 26_380 },
          ],
          username: undefined,
          password: { kind: "text", text: "pw" },
          isTls: true,
        },
      },
    },
    {
      title: "takes a cluster",
      section: '{ cluster: { nodes: ["r1:6379"] }, replicasMin: 1 }',
      expected: {
        target: { kind: "cluster", nodes: [{ host: "r1", port: 6379 }] },
        replicasMin: 1,
      },
    },
    {
      title: "makes the paths of TLS files absolute",
      section:
        '{ uri: "rediss://r", tls: { caFile: ca.crt, certFile: redis.crt, keyFile: redis.key, serverName: r } }',
      expected: {
        tls: {
          caFile: "/etc/sluice/ca.crt",
          certFile: "/etc/sluice/redis.crt",
          keyFile: "/etc/sluice/redis.key",
          serverName: "r",
        },
      },
    },
  ]
  for (const { title, section, expected } of goodCases)
    it(title, () => {
      const redis = redisOf(section)
      for (const [key, value] of Object.entries(expected))
        deepEqual(redis?.[key as keyof typeof redis], value, key)
    })

  const badCases = [
    ["{}", "redis.uri: is required (or uriFile, sentinel, cluster)"],
    [
      '{ uri: "redis://r", cluster: { nodes: ["r:1"] } }',
      "redis.cluster: stands beside another place of Redis; keep one of uri, sentinel, cluster",
    ],
    ['{ uri: "http://r" }', "redis.uri: must be a URI such as redis://user@host:6379/0"],
    ['{ uri: "redis://r?db=1" }', "redis.uri: has parameters; they are keys of their own here"],
    ['{ uri: "redis://r/mart" }', "redis.uri: names no database by its number"],
    [
      '{ uri: "redis://u:p@r", password: q }',
      "redis.password: stands beside a password in the URI; keep one of them",
    ],
    [
      '{ uri: "redis://u@r", username: v }',
      "redis.username: stands beside a user in the URI; keep one of them",
    ],
    ['{ uri: "redis://r/1", database: 2 }', "redis.database: is another one than in the URI"],
    [
      '{ cluster: { nodes: ["r:1"] }, database: 1 }',
      "redis.database: must be 0 with a cluster, which has only one",
    ],
    ['{ cluster: { nodes: ["r"] } }', "redis.cluster.nodes[0]: must be host:port"],
    ['{ cluster: { nodes: ["r:0"] } }', "redis.cluster.nodes[0]: has no port from 1 to 65535"],
    ["{ cluster: { nodes: [] } }", "redis.cluster.nodes: must name at least one node"],
    [
      '{ uri: "redis://r", tls: { certFile: redis.crt } }',
      "redis.tls.keyFile: is required: a certificate and its key go together",
    ],
    [
      '{ uri: "redis://r", tls: { caFile: none.crt } }',
      "redis.tls.caFile: cannot read /etc/sluice/none.crt: ENOENT",
    ],
    [
      '{ uri: "redis://r", passwordFile: none }',
      "redis.passwordFile: cannot read /etc/sluice/none: ENOENT",
    ],
    [
      '{ uri: "redis://r", commandTimeoutMs: 2s, leaseMs: 3s }',
      "redis.commandTimeoutMs: is longer than half of redis.leaseMs",
    ],
    [
      '{ uri: "redis://r", keyPrefix: "a{b}" }',
      "redis.keyPrefix: must be 1 to 64 letters, digits, _ . : -",
    ],
    ['{ uri: "redis://r", leaseMS: 1 }', 'redis.leaseMS: unknown key; did you mean "leaseMs"?'],
  ] as const
  for (const [section, expected] of badCases)
    it(`refuses ${section}`, () => {
      const lines = problemsIn(`${minimal}redis: ${section}\n`, { files })
      deepEqual(
        lines.map((line) => line.replace(/^\d+:\d+: /, "")),
        [expected],
      )
    })

  it("is printed without its passwords", () => {
    const configuration = parse(
      `${minimal}redis: { sentinel: { name: m, nodes: ["s:1"], password: hush }, password: hush }\n`,
    )
    const printed = JSON.stringify(redactConfiguration(configuration))
    equal(printed.includes("hush"), false)
    equal(printed.includes('"keyPrefix":"sluice"'), true)
  })
})
