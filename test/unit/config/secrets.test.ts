import { deepEqual, doesNotMatch, equal, match } from "node:assert/strict"
import { describe, it } from "node:test"
import { redactConfiguration, redactUri } from "../../../src/config/redact.ts"
import { minimal, parse, problemsIn, verifier } from "./fixture.ts"

const files = {
  "/etc/sluice/secrets/uri": "postgres://u:p@h/d\n",
  "/run/secrets/verifier": `${verifier}\r\n`,
  "/etc/sluice/secrets/password": "p@ss:/ w%rd\n",
  "/etc/sluice/secrets/two-newlines": "p\n\n",
  "/etc/sluice/secrets/token": `${"AB".repeat(32)}\n`,
  "/etc/sluice/secrets/empty": "\n",
  "/etc/sluice/tls.crt": "certificate",
  "/etc/sluice/tls.key": "key",
}

const warehouse = (keys: string) => minimal.replace(/uri: "[^"]*"/, keys)
const uriOf = (text: string, environment = {}) => {
  const mart = parse(text, { files, environment }).warehouses["mart"]
  return mart?.engine === "postgres" ? mart.uri : undefined
}

describe("secrets", () => {
  it("are read from files, relative to the configuration, without the last newline", () => {
    equal(uriOf(warehouse("uriFile: secrets/uri")), "postgres://u:p@h/d")
    const text = minimal.replace(/verifier: .*/, "verifierFile: /run/secrets/verifier")
    equal(parse(text, { files }).users["superset"]?.verifier, verifier)
  })

  it("keep every newline but the last", () => {
    const text = warehouse("uri: postgres://u@h/d, passwordFile: secrets/two-newlines")
    equal(new URL(uriOf(text) ?? "").password, "p%0A")
  })

  it("go into the URI percent-encoded", () => {
    const text = warehouse(
      "uri: postgres://u@h:5433/d?sslmode=require, passwordFile: secrets/password",
    )
    const uri = uriOf(text) ?? ""
    equal(uri, "postgres://u:p%40ss%3A%2F%20w%25rd@h:5433/d?sslmode=require")
    equal(decodeURIComponent(new URL(uri).password), "p@ss:/ w%rd")
  })

  it("come from the file that NAME_FILE names when NAME is not set", () => {
    const text = warehouse('uri: postgres://u@h/d, password: "${PGPASS}"')
    const environment = { PGPASS_FILE: "secrets/password" }
    equal(decodeURIComponent(new URL(uriOf(text, environment) ?? "").password), "p@ss:/ w%rd")
    match(problemsIn(text, { environment: { PGPASS_FILE: "nowhere" } }).join(), /PGPASS_FILE names/)
  })

  it("may be a token's digest in upper case", () => {
    const text = `${minimal}control: { tokens: [{ name: a, sha256File: secrets/token, scopes: [admin] }] }`
    equal(parse(text, { files }).control.tokens[0]?.sha256, "ab".repeat(32))
  })

  const faults: readonly [title: string, keys: string, problem: RegExp][] = [
    ["missing", "pool: {}", /mart\.uri: is required \(or uriFile\)/],
    ["given twice", "uri: postgres://u@h/d, uriFile: secrets/uri", /uriFile: stands beside uri/],
    [
      "in a file that is not there",
      "uriFile: nowhere",
      /cannot read \/etc\/sluice\/nowhere: ENOENT/,
    ],
    ["in an empty file", "uriFile: secrets/empty", /names an empty file/],
    ["no URI", "uri: localhost", /must be a URI such as/],
    ["a URI of something else", "uri: mysql://u@h/d", /must be a URI such as/],
    ["a URI without user", "uri: postgres://h/d", /names no user/],
    ["a URI without database", "uri: postgres://u@h", /names no database/],
    ["two passwords", "uri: postgres://u:x@h/d, password: y", /has a password of its own/],
  ]
  for (const [title, keys, problem] of faults)
    it(`are refused when ${title}`, () => {
      match(problemsIn(warehouse(keys), { files }).join("\n"), problem)
    })

  const bad = [
    "md5abcdef",
    "SCRAM-SHA-256$4096:c2FsdA==$a:b",
    verifier.slice(0, -2),
    verifier.replace("4096", "0"),
    verifier.replace("4096", "10000001"),
  ]
  for (const text of bad)
    it(`are refused as verifier: ${text.slice(0, 24)}`, () => {
      const environment = { SUPERSET_VERIFIER: text }
      match(problemsIn(minimal, { environment }).join(), /is no SCRAM-SHA-256 verifier/)
    })

  it("include TLS files that must be readable", () => {
    const section = "listen: { tls: { certFile: tls.crt, keyFile: nowhere.key } }"
    deepEqual(problemsIn(`${minimal}${section}`, { files }), [
      "10:37: listen.tls.keyFile: cannot read /etc/sluice/nowhere.key: ENOENT",
    ])
    const good = parse(`${minimal}${section.replace("nowhere", "tls")}`, { files })
    deepEqual(good.listen.tls, {
      certFile: "/etc/sluice/tls.crt",
      keyFile: "/etc/sluice/tls.key",
      required: false,
      minVersion: "TLSv1.2",
      clientCertificate: "off",
      clientCaFile: undefined,
      clientCrlFile: undefined,
      reloadPollMs: 10_000,
    })
  })
})

const tls = (more: string): string =>
  `listen: { tls: { certFile: tls.crt, keyFile: tls.key, ${more} } }`
const user = (more: string): string =>
  minimal.replace("roles: [analyst]\n", `roles: [analyst]\n    ${more}\n`)

describe("client certificates", () => {
  const wrong: readonly (readonly [text: string, problem: RegExp])[] = [
    [minimal + tls("clientCertificate: require"), /clientCaFile: is required with/],
    [minimal + tls("clientCaFile: tls.crt"), /clientCertificate: is off, so that no/],
    [minimal + tls("clientCrlFile: tls.crt"), /clientCertificate: is off, so that no/],
    [minimal + tls("clientCertificate: always"), /clientCertificate/],
    [minimal + tls("minVersion: TLSv1.1"), /minVersion/],
    [
      user("requireClientCertificate: { cn: a }"),
      /superset.requireClientCertificate: needs listen/,
    ],
    [user("requireClientCertificate: { subject: a }"), /subject/],
    [user("auth: certificate"), /superset.auth: (needs listen|certificate has no use)/],
  ]
  for (const [text, problem] of wrong)
    it(`are refused with ${problem.source}`, () =>
      match(problemsIn(text, { files }).join(), problem))

  it("are asked for, and take the place of a verifier", () => {
    const text = minimal.replace("verifier: ${SUPERSET_VERIFIER}", "auth: certificate")
    const section = tls("clientCertificate: optional, clientCaFile: tls.crt")
    const { users, listen } = parse(text + section, { files })
    deepEqual([users["superset"]?.auth, users["superset"]?.verifier], ["certificate", ""])
    deepEqual(listen.tls?.clientCaFile, "/etc/sluice/tls.crt")
  })
})

describe("the secret of logins", () => {
  it("has at least 16 characters and is not printed", () => {
    const section = 'listen: { loginSecret: "0123456789abcdef" }'
    match(problemsIn(`${minimal}${section.replace("0123", "")}`).join(), /at least 16/)
    const good = parse(`${minimal}${section}`)
    doesNotMatch(JSON.stringify(redactConfiguration(good)), /0123456789abcdef/)
    match(JSON.stringify(good), /0123456789abcdef/)
  })
})

describe("a printed configuration", () => {
  it("shows no password, verifier or digest, and everything else", () => {
    const text = `${minimal}control: { tokens: [{ name: a, sha256: "\${TOKEN_SHA256}", scopes: [read] }] }`
    const configuration = parse(text)
    const printed = JSON.stringify(redactConfiguration(configuration))
    doesNotMatch(printed, /uri-secret|SCRAM|abab/)
    match(printed, /postgres:\/\/sluice:\*\*\*@db\.internal:5432\/mart/)
    match(JSON.stringify(configuration), /uri-secret/)
  })

  it("shows no password of a writer's or a replica's URI", () => {
    const configuration = parse(`warehouses:
  mart:
    engine: postgres
    uri: postgres://a:secret-1@h/d
    writeUri: postgres://a:secret-2@h/d
    replicas: [{ name: r, uri: "postgres://a:secret-3@r/d" }]
${minimal.slice(minimal.indexOf("users:"))}`)
    const printed = JSON.stringify(redactConfiguration(configuration))
    doesNotMatch(printed, /secret-/)
    match(printed, /postgres:\/\/a:\*\*\*@r\/d/)
  })

  for (const [uri, redacted] of [
    ["postgres://u:p@h/d", "postgres://u:***@h/d"],
    ["postgres://u@h/d", "postgres://u@h/d"],
    [
      "postgres://u@h/d?password=p&sslmode=require",
      "postgres://u@h/d?password=***&sslmode=require",
    ],
    ["not a uri with p", "***"],
  ] as const)
    it(`writes ${uri} as ${redacted}`, () => equal(redactUri(uri), redacted))
})
