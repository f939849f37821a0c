import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict"
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, describe, it } from "node:test"
import { GatewayError } from "../../../src/core/errors.ts"
import type { VerifiedToken } from "../../../src/core/identity.ts"
import { KeyRing } from "../../../src/identity/key-ring.ts"
import type { KeySource } from "../../../src/identity/keys.ts"
import { type TokenRules, TokenVerifier } from "../../../src/identity/token-verifier.ts"
import { edKey, makeToken, rsaKey, type SigningKey, secretKey } from "../../support/tokens.ts"

const nowMs = Date.UTC(2026, 10, 21, 12)
const now = nowMs / 1000

const ed = edKey("ed-1")
const otherEd = edKey("ed-2")
const rsa = rsaKey("rsa-1")
const shared = secretKey("0123456789abcdef0123456789abcdef", "hs-1")

function sourceOf(key: SigningKey): KeySource {
  const text = typeof key.key === "string" ? key.key : key.publicPem
  return {
    kid: key.kid,
    algorithm: key.algorithm as KeySource["algorithm"],
    from: { kind: "text", text },
  }
}

const rules: TokenRules = {
  audiences: ["sluice"],
  issuer: "superset",
  userClaim: "sub",
  rolesClaim: "roles",
  rolesDefault: [],
  roleMap: undefined,
  rolesKnown: new Set(["analyst", "finance"]),
  clockSkewMs: 30_000,
  tokenBytesMax: 8_192,
  claimBytesMax: 1_024,
  afterExpiry: "refuse",
}

const silent = { renewed: () => {}, kept: () => {} }

function verifier(
  keys: readonly SigningKey[] = [ed, rsa, shared],
  changed: Partial<TokenRules> = {},
  clock: () => number = () => nowMs,
): TokenVerifier {
  const ring = new KeyRing(keys.map(sourceOf), () => 0, silent)
  return new TokenVerifier(ring, { ...rules, ...changed }, clock)
}

const payload = {
  sub: "alice",
  roles: ["finance", "nobody-knows", "analyst"],
  aud: "sluice",
  iss: "superset",
  exp: now + 300,
  email: "alice@example.org",
}

/** What the operator reads and what the client reads. */
async function refusal(
  verify: () => VerifiedToken | Promise<VerifiedToken>,
): Promise<readonly [cause: string, message: string]> {
  try {
    await verify()
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    deepEqual(
      [error.sqlState, error.reason, error.severity],
      ["28000", "identity_refused", "FATAL"],
    )
    return [(error.cause as Error).message, error.message]
  }
  throw new Error("the token was accepted")
}

const unsigned = (header: unknown): string =>
  `${Buffer.from(JSON.stringify(header)).toString("base64url")}.${Buffer.from(JSON.stringify(payload)).toString("base64url")}.`

/** The public key's text used as if it were a shared secret: the classic confusion of algorithms. */
const confused: SigningKey = { ...rsa, algorithm: "HS256", key: rsa.publicPem }

const [head = "", body = "", signature = ""] = makeToken(payload, ed).split(".")
const forgedBody = Buffer.from(JSON.stringify({ ...payload, sub: "root" })).toString("base64url")

const refusals: readonly (readonly [title: string, token: string, cause: RegExp])[] = [
  ["of another key under this kid", makeToken(payload, { ...otherEd, kid: "ed-1" }), /signature/],
  ["with an unknown kid", makeToken(payload, otherEd), /^unknown kid "ed-2"$/],
  ["without a kid, where there are several keys", makeToken(payload, edKey()), /no kid/],
  ["with alg none", unsigned({ alg: "none", kid: "ed-1" }), /none of EdDSA, RS256, HS256/],
  ["with alg None", unsigned({ alg: "None", kid: "ed-1" }), /none of EdDSA, RS256, HS256/],
  [
    "signed with RS256's public key as an HS256 secret",
    makeToken(payload, confused),
    /is for RS256/,
  ],
  ["signed with RS384", makeToken(payload, rsa, { alg: "RS384" }), /none of/],
  [
    "that says RS256 for the HS256 key",
    makeToken(payload, shared, { alg: "RS256" }),
    /is for HS256/,
  ],
  ["with a changed payload", `${head}.${forgedBody}.${signature}`, /signature/],
  ["without a signature", `${head}.${body}.`, /signature/],
  ["in two parts", `${head}.${body}`, /malformed/],
  ["in five parts", `${head}.${body}.${signature}.a.b`, /malformed/],
  ["that is empty", "", /malformed/],
  ["that is no base64", "a.b.c", /malformed/],
  ["with an unknown critical header", makeToken(payload, ed, { crit: ["x"], x: 1 }), /malformed/],
  ["with a key of its own", makeToken(payload, otherEd, { kid: "ed-1", jwk: {} }), /signature/],
  ["whose payload is a list", makeToken([1], ed), /malformed/],
  ["that has expired", makeToken({ ...payload, exp: now - 42 }, ed), /^expired 42 s ago$/],
  [
    "that expired just beyond the skew",
    makeToken({ ...payload, exp: now - 30 }, ed),
    /^expired 30 s/,
  ],
  ["without exp", makeToken({ ...payload, exp: undefined }, ed), /no claim "exp"/],
  ["with exp as text", makeToken({ ...payload, exp: "2030" }, ed), /"exp" has another/],
  ["that is not valid yet", makeToken({ ...payload, nbf: now + 40 }, ed), /^not valid before 40 s/],
  ["for another audience", makeToken({ ...payload, aud: "grafana" }, ed), /"aud" has another/],
  ["without an audience", makeToken({ ...payload, aud: undefined }, ed), /no claim "aud"/],
  ["of another issuer", makeToken({ ...payload, iss: "x" }, ed), /"iss" has another/],
  ["without an issuer", makeToken({ ...payload, iss: undefined }, ed), /no claim "iss"/],
  ["without a user", makeToken({ ...payload, sub: undefined }, ed), /"sub" is no name/],
  ["with an empty user", makeToken({ ...payload, sub: "" }, ed), /"sub"/],
  ["with a user that is no text", makeToken({ ...payload, sub: 7 }, ed), /"sub"/],
  ["with a NUL in the user", makeToken({ ...payload, sub: "a\0b" }, ed), /"sub" is no name/],
  ["with a line break in the user", makeToken({ ...payload, sub: "a\nb" }, ed), /"sub" is no name/],
  ["with a user of 256 characters", makeToken({ ...payload, sub: "a".repeat(256) }, ed), /"sub"/],
  ["without roles", makeToken({ ...payload, roles: undefined }, ed), /no claim "roles"/],
  ["with roles that nobody configured", makeToken({ ...payload, roles: ["x"] }, ed), /no role of/],
  ["with an empty list of roles", makeToken({ ...payload, roles: [] }, ed), /no role of/],
  [
    "with roles that are no names",
    makeToken({ ...payload, roles: [["analyst"]] }, ed),
    /no list of names/,
  ],
  ["with roles null", makeToken({ ...payload, roles: null }, ed), /no list of names/],
  [
    "with more roles than anybody has",
    makeToken({ ...payload, roles: Array.from({ length: 65 }, (_, i) => `r${i}`) }, ed),
    /more than 64 roles/,
  ],
  [
    "with a large claim",
    makeToken({ ...payload, x: "y".repeat(1_100) }, ed),
    /"x" is larger than 1024/,
  ],
  ["that is too long", "x".repeat(8_193), /longer than 8192 bytes/],
]

describe("a token is refused", () => {
  const one = verifier()
  for (const [title, token, cause] of refusals)
    it(title, async () => {
      const [told, message] = await refusal(() => one.verify(token))
      ok(cause.test(told), told)
      const isExpired = told.startsWith("expired")
      equal(
        message,
        isExpired ? "the identity token has expired" : "the identity token was not accepted",
      )
    })

  it("and none of the causes shows the token", async () => {
    for (const [, token] of refusals) {
      const [told] = await refusal(() => one.verify(token))
      const longest = token.split(".").filter((part) => part.length > 10)
      for (const part of longest) equal(told.includes(part.slice(0, 20)), false, told)
    }
  })
})

describe("a token is accepted", () => {
  const accepted: readonly (readonly [title: string, token: string, roles?: readonly string[]])[] =
    [
      ["signed with EdDSA", makeToken(payload, ed)],
      ["signed with RS256", makeToken(payload, rsa)],
      ["signed with HS256", makeToken(payload, shared)],
      ["with several audiences", makeToken({ ...payload, aud: ["x", "sluice"] }, ed)],
      ["within the clock's skew after exp", makeToken({ ...payload, exp: now - 29 }, ed)],
      ["within the clock's skew before nbf", makeToken({ ...payload, nbf: now + 29 }, ed)],
      ["with one role as text", makeToken({ ...payload, roles: "analyst" }, ed), ["analyst"]],
      [
        "with a role twice",
        makeToken({ ...payload, roles: ["analyst", "analyst"] }, ed),
        ["analyst"],
      ],
    ]
  for (const [title, token, roles = ["finance", "analyst"]] of accepted)
    it(title, async () => {
      const verified = await verifier().verify(token)
      deepEqual([verified.user, verified.roles], ["alice", roles])
      equal(verified.claims["email"], "alice@example.org")
    })

  it("with roles behind a path, and a user claim of another name", async () => {
    const token = makeToken(
      { ...payload, roles: undefined, realm_access: { roles: ["analyst"] }, preferred: "al" },
      ed,
    )
    const changed = { userClaim: "preferred", rolesClaim: "realm_access.roles" }
    const { user, roles } = await verifier([ed], changed).verify(token)
    deepEqual([user, roles], ["al", ["analyst"]])
  })

  it("without roles where the configuration has some for that", async () => {
    const token = makeToken({ ...payload, roles: undefined }, ed)
    const { roles } = await verifier([ed], { rolesDefault: ["analyst"] }).verify(token)
    deepEqual(roles, ["analyst"])
  })

  it("without a kid by the only key, when that has none", async () => {
    const only = edKey()
    const { user } = await verifier([only]).verify(makeToken(payload, only))
    equal(user, "alice")
  })

  it("and its claims cannot be changed, however deep", async () => {
    const token = makeToken({ ...payload, guest: { rls: [{ clause: "a = 1" }] } }, ed)
    const { claims } = await verifier().verify(token)
    const guest = claims["guest"] as { rls: { clause: string }[] }
    ok(Object.isFrozen(claims) && Object.isFrozen(guest) && Object.isFrozen(guest.rls[0]))
  })

  it("and a claim named __proto__ stays a claim", async () => {
    const text = JSON.stringify(payload).replace("{", '{"__proto__":{"isAdmin":true},')
    const token = makeToken(JSON.parse(text), ed)
    const { claims } = await verifier().verify(token)
    equal((claims as { isAdmin?: boolean }).isAdmin, undefined)
  })
})

describe("a token seen before", () => {
  it("is answered at once, with the very same lists", async () => {
    const one = verifier()
    const token = makeToken(payload, ed)
    const first = await one.verify(token)
    equal(one.verify(token), first)
    const other = await one.verify(makeToken({ ...payload, sub: "bob" }, ed))
    equal(other.roles, first.roles)
  })

  it("is refused once it has expired", async () => {
    let clockMs = nowMs
    const one = verifier([ed], {}, () => clockMs)
    const token = makeToken(payload, ed)
    const { validUntilMs } = await one.verify(token)
    equal(validUntilMs, nowMs + 300_000 + 30_000)
    clockMs = nowMs + 300_000 + 29_999
    equal((await one.verify(token)).user, "alice")
    clockMs = nowMs + 300_000 + 30_000
    const [told] = await refusal(() => one.verify(token))
    equal(told, "expired 30 s ago")
  })

  it("has no end where sessions may outlive it", async () => {
    const one = verifier([ed], { afterExpiry: "continue" })
    equal((await one.verify(makeToken(payload, ed))).validUntilMs, undefined)
  })
})

function jwk(key: SigningKey): unknown {
  if (typeof key.key === "string") throw new Error("no secret in this set")
  const { d: _private, ...shown } = key.key.export({ format: "jwk" })
  return { ...shown, kid: key.kid, use: "sig", alg: key.algorithm }
}

describe("keys in files", () => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-keys-"))
  after(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, "keys.json")
  const replace = (text: string): void => {
    writeFileSync(`${file}.new`, text)
    renameSync(`${file}.new`, file)
  }
  const source: KeySource = {
    kid: undefined,
    algorithm: "JWKS",
    from: { kind: "file", path: file },
  }

  it("are read again when they change: two in force during a rotation, then the new one only", async () => {
    let clockMs = 0
    const events: string[] = []
    replace(JSON.stringify({ keys: [jwk(ed), { kty: "EC", crv: "P-256", kid: "ec" }] }))
    const ring = new KeyRing([source], () => clockMs, {
      renewed: (kids) => events.push(`renewed ${kids.join()}`),
      kept: (problem) => events.push(problem),
    })
    const one = new TokenVerifier(ring, rules, () => nowMs)
    const [old, young] = [makeToken(payload, ed), makeToken(payload, otherEd)]
    equal((await one.verify(old)).user, "alice")
    await rejects(async () => one.verify(young))
    replace(JSON.stringify({ keys: [jwk(ed), jwk(otherEd)] }))
    clockMs += 1_000
    equal((await one.verify(young)).user, "alice")
    equal((await one.verify(old)).user, "alice")
    replace(JSON.stringify({ keys: [jwk(otherEd)] }))
    clockMs += 1_000
    equal((await one.verify(young)).user, "alice")
    const [told] = await refusal(() => one.verify(old))
    equal(told, 'unknown kid "ed-1"')
    replace("{ broken")
    clockMs += 1_000
    equal((await one.verify(young)).user, "alice")
    deepEqual(events, ["renewed ed-1,ed-2", "renewed ed-2", `${file} is no JSON`])
  })

  const unusable: readonly (readonly [
    title: string,
    source: Partial<KeySource>,
    text: string,
    cause: RegExp,
  ])[] = [
    ["no key at all", { algorithm: "EdDSA" }, "hello", /no public key/],
    ["an RSA key for EdDSA", { algorithm: "EdDSA" }, rsa.publicPem, /no ed25519 key/],
    ["a short RSA key", { algorithm: "RS256" }, rsaKey("x", 1024).publicPem, /has 1024 bits/],
    ["a short secret", { algorithm: "HS256" }, "short", /shorter than the 32 bytes/],
    ["a set without keys for us", {}, '{"keys":[{"kty":"EC"}]}', /no key for/],
    ["a set without a list", {}, '{"keys":{}}', /no list/],
    [
      "two keys of one kid",
      {},
      JSON.stringify({ keys: [jwk(ed), jwk(ed)] }),
      /two keys have the kid/,
    ],
    [
      "a private key",
      { algorithm: "EdDSA" },
      typeof ed.key === "string" ? "" : ed.key.export({ type: "pkcs8", format: "pem" }).toString(),
      /holds a private key/,
    ],
  ]
  for (const [title, changed, text, cause] of unusable)
    it(`are refused at start: ${title}`, () => {
      replace(text)
      throws(
        () => new KeyRing([{ ...source, ...changed }], () => 0, silent),
        (error) => {
          ok(error instanceof GatewayError && error.reason === "invalid_configuration")
          ok(cause.test(error.message), error.message)
          return true
        },
      )
    })
})
