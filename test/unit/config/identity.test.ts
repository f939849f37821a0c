import { deepEqual, equal, ok } from "node:assert/strict"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PassThrough, Readable } from "node:stream"
import { after, describe, it } from "node:test"
import { checkConfigCommand } from "../../../src/cli/check-config.ts"
import { identityCheckCommand } from "../../../src/cli/identity-check.ts"
import { redactConfiguration } from "../../../src/config/redact.ts"
import { edKey, makeToken } from "../../support/tokens.ts"
import { environment, minimal, parse, problemsIn, verifier } from "./fixture.ts"

const files = {
  "/etc/sluice/server.crt": "crt",
  "/etc/sluice/server.key": "key",
  "/etc/sluice/superset.pem": "pem",
}
const tls = "listen: { tls: { certFile: server.crt, keyFile: server.key } }\n"
const keys = "keys: [{ kid: a, algorithm: EdDSA, publicKeyFile: superset.pem }]"
const withIdentity = (more: string): string =>
  `${minimal}${tls}identity:\n  audience: sluice\n  ${more}\n`
const withUser = (more: string, isEncrypted = true): string =>
  `${minimal.replace("roles: [analyst]", `roles: [analyst]\n    ${more}`)}${isEncrypted ? tls : ""}`
const trusting = "trustUserFrom: startup_user"
const near = "trustedAddresses: [10.0.0.0/8]"

const cases: readonly (readonly [title: string, text: string, problems: readonly string[]])[] = [
  ["keys with TLS", withIdentity(keys), []],
  ["neither keys nor a set", withIdentity("issuer: x"), ["needs keys or jwksFile"]],
  [
    "an EdDSA key without a public key",
    withIdentity("keys: [{ algorithm: EdDSA }]"),
    ["publicKey: is required (or publicKeyFile)"],
  ],
  [
    "a secret for EdDSA",
    withIdentity("keys: [{ algorithm: EdDSA, publicKeyFile: superset.pem, secret: x }]"),
    ["secret: is not for EdDSA, which takes publicKey"],
  ],
  [
    "an algorithm that is not taken",
    withIdentity("keys: [{ algorithm: none, secret: x }]"),
    ["must be one of EdDSA, RS256, HS256"],
  ],
  [
    "a key file that is not there",
    withIdentity("jwksFile: nowhere.json"),
    ["jwksFile: cannot read"],
  ],
  [
    "default roles that do not exist",
    withIdentity(`${keys}\n  rolesDefault: [boss]`),
    ["rolesDefault[0]: names no role"],
  ],
  [
    "tokens as passwords on an unknown database",
    withIdentity(`${keys}\n  passwordLogin: { databases: [hr] }`),
    ["databases[0]: names no database"],
  ],
  [
    "tokens as passwords of a configured user",
    withIdentity(`${keys}\n  passwordLogin: { databases: [mart], users: [superset] }`),
    ["users[0]: is under users as well"],
  ],
  ["tokens without TLS", withIdentity(keys).replace(tls, ""), ["requireTls: needs listen.tls"]],
  ["tokens in clear on purpose", withIdentity(`${keys}\n  requireTls: false`).replace(tls, ""), []],
  [
    "tokens as passwords in clear, on purpose or not",
    withIdentity(`${keys}\n  requireTls: false\n  passwordLogin: { databases: [mart] }`).replace(
      tls,
      "",
    ),
    ["passwordLogin: needs TLS"],
  ],
  [
    "an account that brings tokens nobody checks",
    withUser("identity: required"),
    ["identity: needs the section identity"],
  ],
  ["a trusting account from one network", withUser(`${trusting}\n    ${near}`), []],
  [
    "a trusting account with a certificate",
    withUser(`${trusting}\n    trustedCertificate: CN=superset`).replace(
      "keyFile: server.key",
      "keyFile: server.key, clientCertificate: optional, clientCaFile: server.crt",
    ),
    [],
  ],
  [
    "a trusting account with a certificate that nobody asks for",
    withUser(`${trusting}\n    trustedCertificate: CN=superset`),
    ["trustedCertificate: needs listen.tls.clientCertificate"],
  ],
  [
    "a trusting account from anywhere",
    withUser(trusting),
    ["trustUserFrom: needs trustedAddresses or trustedCertificate"],
  ],
  [
    "a trusting account without TLS",
    withUser(`${trusting}\n    ${near}`, false),
    ["trustUserFrom: needs TLS"],
  ],
  [
    "a trusting account from a network that is everything",
    withUser(`${trusting}\n    trustedAddresses: [0.0.0.0/0]`),
    ["trustedAddresses[0]: is no network"],
  ],
  [
    "a trusting account from a network that is none",
    withUser(`${trusting}\n    trustedAddresses: [10.0.0.0/33, "fd00::/64", 10.0.0.999/8]`),
    ["trustedAddresses[0]: is no network", "trustedAddresses[2]: is no network"],
  ],
  [
    "a trusting account that is an end user",
    withUser(`${trusting}\n    ${near}\n    identity: own`),
    ["identity: is own"],
  ],
  [
    "roles of single users that do not exist",
    withUser(`${trusting}\n    ${near}\n    userRoles: { carol: [boss] }`),
    ["userRoles.carol[0]: names no role"],
  ],
  [
    "networks without trust",
    withUser(near),
    ["trustedAddresses: has no meaning without trustUserFrom"],
  ],
]

describe("a configuration of identities", () => {
  for (const [title, text, problems] of cases)
    it(`is ${problems.length === 0 ? "taken" : "refused"}: ${title}`, () => {
      const found = problemsIn(text, { files })
      equal(found.length, problems.length, found.join("\n"))
      for (const [index, problem] of problems.entries())
        ok(found[index]?.includes(problem), found[index])
    })

  it("shows no secret when it is printed", () => {
    const secret = "a secret that nobody may read, 32 bytes"
    const text = withIdentity(`keys: [{ kid: a, algorithm: HS256, secret: "${secret}" }]`)
    const configuration = parse(text, { files })
    equal(JSON.stringify(configuration).includes(secret), true)
    equal(JSON.stringify(redactConfiguration(configuration)).includes(secret), false)
  })
})

function terminal(input: string) {
  const [output, messages] = [new PassThrough(), new PassThrough()]
  return {
    terminal: { input: Readable.from([Buffer.from(input)]), output, messages },
    output: () => String(output.read() ?? ""),
    messages: () => String(messages.read() ?? ""),
  }
}

describe("keys and tokens at the command line", () => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-identity-"))
  after(() => rmSync(folder, { recursive: true, force: true }))
  const key = edKey("2026-11")
  const path = join(folder, "sluice.yaml")
  writeFileSync(join(folder, "key.pem"), key.publicPem)
  writeFileSync(
    path,
    `${minimal}identity: { audience: sluice, requireTls: false, keys: [{ kid: "2026-11", algorithm: EdDSA, publicKeyFile: key.pem }] }\n`,
  )
  const variables = { ...environment, SUPERSET_VERIFIER: verifier }

  it("check-config names the keys, and refuses one that is none", async () => {
    const good = terminal("")
    const options = { path, environment: variables, printsEffectiveConfig: false }
    equal(await checkConfigCommand(good.terminal, options), 0)
    equal(good.messages(), `identity key 2026-11: EdDSA\n${path}: ok\n`)
    writeFileSync(join(folder, "key.pem"), "nothing")
    const bad = terminal("")
    equal(await checkConfigCommand(bad.terminal, options), 1)
    ok(bad.messages().includes("key.pem is no public key"))
    writeFileSync(join(folder, "key.pem"), key.publicPem)
  })

  it("identity-check prints what a token says, or why it is refused", async () => {
    const exp = Math.floor(Date.now() / 1000) + 60
    const payload = { sub: "alice", aud: "sluice", roles: ["analyst"], exp }
    const good = terminal(`${makeToken(payload, key)}\n`)
    const options = { config: path, environment: variables }
    equal(await identityCheckCommand(options, good.terminal), 0)
    const printed = JSON.parse(good.output())
    deepEqual([printed.user, printed.roles, printed.claims.exp], ["alice", ["analyst"], exp])
    const bad = terminal(makeToken({ ...payload, aud: "x" }, key))
    equal(await identityCheckCommand(options, bad.terminal), 1)
    equal(
      bad.messages(),
      'refused: claim "aud" has another value than the configuration asks for\n',
    )
  })
})
