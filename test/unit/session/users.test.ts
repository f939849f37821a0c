import { deepEqual, equal, notDeepEqual, ok, throws } from "node:assert/strict"
import { before, describe, it } from "node:test"
import type { Identity } from "../../../src/core/identity.ts"
import { applyStartupSettings, identityTokenOf } from "../../../src/session/startup-settings.ts"
import {
  type ConnectionFacts,
  type PasswordLogin,
  type UserRecord,
  Users,
} from "../../../src/session/users.ts"
import { makeVerifier } from "../../../src/wire/scram.ts"

const near: ConnectionFacts = {
  isEncrypted: true,
  address: "10.1.2.3",
  certificateSubject: undefined,
}

describe("the account of a startup packet's user", () => {
  let users: Users
  let record: (name: string, changed?: Partial<UserRecord>) => UserRecord
  before(async () => {
    const verifier = await makeVerifier("x", 1)
    record = (name, changed = {}) => ({
      name,
      verifier,
      roles: ["r"],
      claims: {},
      databases: undefined,
      ...changed,
    })
    users = new Users([
      record("alice"),
      record("gate", {
        trustUserFrom: "startup_user",
        trustedAddresses: ["10.0.0.0/8", "fd00::/8"],
        databases: ["mart"],
        userRoles: { carol: ["finance"] },
      }),
      record("badge", {
        trustUserFrom: "startup_user",
        trustedCertificate: "CN=superset",
        trustedAddresses: ["192.168.0.0/16"],
      }),
      record("nothing", { trustUserFrom: "startup_user" }),
    ])
  })

  const cases: readonly (readonly [
    title: string,
    user: string,
    changed: Partial<ConnectionFacts> & { readonly database?: string },
    found: string,
  ])[] = [
    ["a configured user is itself", "alice", {}, "alice"],
    ["the trusting account is itself", "gate", {}, "gate"],
    ["an unknown user is named by the account", "dave", {}, "gate names dave"],
    ["also over IPv6", "dave", { address: "fd00::1" }, "gate names dave"],
    ["also where IPv4 shows as IPv6", "dave", { address: "::ffff:10.9.9.9" }, "gate names dave"],
    ["not from elsewhere", "dave", { address: "11.0.0.1" }, "nobody"],
    ["not from elsewhere by IPv6", "dave", { address: "fe80::1" }, "nobody"],
    ["not from an address that is not known", "dave", { address: undefined }, "nobody"],
    ["not without TLS", "dave", { isEncrypted: false }, "nobody"],
    ["not on another database", "dave", { database: "hr" }, "nobody"],
    ["not with control characters", "da\u0007ve", {}, "nobody"],
    ["not with a name of 256 characters", "d".repeat(256), {}, "nobody"],
    [
      "by address and certificate where both are asked for",
      "dave",
      { address: "192.168.1.1", certificateSubject: "CN=superset" },
      "badge names dave",
    ],
    ["not by the address alone", "dave", { address: "192.168.1.1" }, "nobody"],
    [
      "not by another certificate",
      "dave",
      { address: "192.168.1.1", certificateSubject: "CN=superset2" },
      "nobody",
    ],
    [
      "not by the certificate alone",
      "dave",
      { address: "11.0.0.1", certificateSubject: "CN=superset" },
      "nobody",
    ],
  ]
  for (const [title, user, changed, found] of cases)
    it(title, () => {
      const { database = "mart", ...facts } = changed
      const account = users.accountOf(user, database, { ...near, ...facts })
      const shown =
        account.kind !== "password"
          ? account.kind
          : account.identity.source === "startup_user"
            ? `${account.entry.identity.user} names ${account.identity.user}`
            : account.identity.user
      equal(shown, found)
    })

  it("has the user's own roles in place of the account's", () => {
    deepEqual(
      ["carol", "dave", "__proto__"].map((user) => {
        const account = users.accountOf(user, "mart", near)
        return account.kind === "password" ? account.identity.roles : undefined
      }),
      [["finance"], ["r"], ["r"]],
    )
  })

  it("is a token where the database takes tokens as passwords, and never a configured user's", () => {
    const all = [record("alice")]
    const check = (rule: PasswordLogin, kinds: readonly string[]): void =>
      deepEqual(
        ["alice", "dave", "erin"].map(
          (user) => new Users(all, rule).accountOf(user, "mart", near).kind,
        ),
        kinds,
      )
    check({ databases: ["mart"] }, ["password", "token", "token"])
    check({ databases: ["mart"], users: ["dave", "alice"] }, ["password", "token", "nobody"])
    check({ databases: ["hr"] }, ["password", "nobody", "nobody"])
  })
})

describe("the token of a startup packet", () => {
  const found: readonly (readonly [
    parameters: Record<string, string>,
    token: string | undefined,
  ])[] = [
    [{}, undefined],
    [{ options: "-c search_path=a" }, undefined],
    [{ options: "-c sluice.identity=a.b-c_d.e" }, "a.b-c_d.e"],
    [{ options: "-csluice.identity=x -c search_path=a" }, "x"],
    [{ options: "--sluice.identity=x" }, "x"],
    [{ "sluice.identity": "x" }, "x"],
    [{ options: "-c sluice.identity=" }, ""],
  ]
  for (const [parameters, token] of found)
    it(`is ${token ?? "none"} in ${JSON.stringify(parameters)}`, () => {
      equal(identityTokenOf(new Map(Object.entries(parameters))), token)
    })

  const twice = [
    { options: "-c sluice.identity=x -c sluice.identity=x" },
    { options: "-c sluice.identity=x", "sluice.identity": "y" },
  ]
  for (const parameters of twice)
    it(`is refused when given twice: ${JSON.stringify(parameters)}`, () => {
      throws(() => identityTokenOf(new Map(Object.entries(parameters))), /given more than once/)
    })

  it("is no setting: what applies settings passes it over", async () => {
    const untouchable = { keepAsStartup: () => {} } as unknown as Parameters<
      typeof applyStartupSettings
    >[1]
    const origin = {} as Parameters<typeof applyStartupSettings>[2]
    const parameters = new Map([
      ["sluice.identity", "x"],
      ["options", "-c sluice.identity=y"],
    ])
    await applyStartupSettings(parameters, untouchable, origin)
  })
})

const names = Array.from({ length: 200 }, (_, index) => `nobody${index}`)

async function recordOf(name: string, iterations: number): Promise<UserRecord> {
  return {
    name,
    verifier: await makeVerifier(name, iterations),
    roles: [],
    claims: {},
    databases: undefined,
  }
}

const secret = "a secret of sixteen and more"

function mockOf(users: Users, name = "nobody") {
  const account = users.accountOf(name, "mart", near)
  ok(account.kind === "nobody" || account.kind === "certificate")
  return account.verifier
}

const saltOf = (users: Users): string => mockOf(users).salt.toString("hex")

describe("an unknown user", () => {
  it("shows the iterations that real users have, the same name always the same", async () => {
    const users = new Users(
      [await recordOf("ana", 4096), await recordOf("bob", 10_000)],
      undefined,
      secret,
    )
    const iterations = new Set(names.map((name) => mockOf(users, name).iterations))
    deepEqual(iterations, new Set([4096, 10_000]))
    for (const name of names) deepEqual(mockOf(users, name), mockOf(users, name))
  })

  it("shows the same over a restart with a secret, and not without one", async () => {
    const records = [await recordOf("ana", 4096)]
    equal(
      saltOf(new Users(records, undefined, secret)),
      saltOf(new Users(records, undefined, secret)),
    )
    notDeepEqual(saltOf(new Users(records)), saltOf(new Users(records)))
  })

  it("looks like a user who logs in by certificate alone", async () => {
    const byCertificate: UserRecord = {
      ...(await recordOf("etl", 4096)),
      verifier: "",
      auth: "certificate",
      certificate: { cn: "etl" },
    }
    const users = new Users([await recordOf("ana", 4096), byCertificate], undefined, secret)
    equal(users.accountOf("etl", "mart", near).kind, "certificate")
    const [certificate, nobody] = [mockOf(users, "etl"), mockOf(users)]
    equal(certificate.iterations, nobody.iterations)
    equal(certificate.salt.length, nobody.salt.length)
  })

  it("exists in no list", () => {
    const users = new Users([])
    ok(mockOf(users).salt.length === 16)
    equal(users.accountOf("nobody", "mart", near).kind, "nobody")
  })
})

const withPassword = (user: string): Identity => ({
  user,
  roles: [],
  claims: {},
  source: "token",
  account: user,
})

describe("logins after a reload", () => {
  const standing: readonly (readonly [
    title: string,
    identity: Identity,
    changed: Readonly<Record<string, Partial<UserRecord> | undefined>>,
    stands: boolean,
  ])[] = (() => {
    const alice: Identity = { user: "alice", roles: ["r"], claims: { a: [1] } }
    const dave: Identity = {
      user: "dave",
      roles: ["r"],
      claims: {},
      source: "startup_user",
      account: "gate",
    }
    const guest: Identity = {
      user: "guest",
      roles: ["x"],
      claims: { b: 1 },
      source: "token",
      account: "tool",
    }
    const person: Identity = { ...guest, user: "dana", account: "dana" }
    return [
      ["an unchanged user", alice, {}, true],
      ["a user with another password", alice, { alice: { verifier: "other" } }, true],
      ["a user with other roles", alice, { alice: { roles: ["r", "s"] } }, false],
      ["a user with other claims", alice, { alice: { claims: { a: [2] } } }, false],
      ["a user without this database", alice, { alice: { databases: ["other"] } }, false],
      ["a user who is gone", alice, { alice: undefined }, false],
      ["a named user", dave, {}, true],
      ["a named user with other roles", dave, { gate: { userRoles: { dave: ["s"] } } }, false],
      ["a named user whose account is gone", dave, { gate: undefined }, false],
      [
        "a named user whose account names nobody any more",
        dave,
        { gate: { trustUserFrom: undefined } },
        false,
      ],
      ["a named user who is configured now", dave, { dave: {} }, false],
      ["a token's user", guest, {}, true],
      ["a token's user whose account has other roles", guest, { tool: { roles: ["s"] } }, true],
      ["a token's user whose account is gone", guest, { tool: undefined }, false],
      ["a token's user whose account brings none", guest, { tool: { identity: "own" } }, false],
      ["who came with a token as password", person, {}, true],
    ]
  })()
  for (const [title, identity, changed, stands] of standing)
    it(`${title} ${stands ? "stands" : "does not stand"}`, async () => {
      const verifier = await makeVerifier("x", 1)
      const plain = { verifier, roles: ["r"], claims: {}, databases: undefined }
      const trust = { trustUserFrom: "startup_user", trustedAddresses: ["10.0.0.0/8"] } as const
      const records: Readonly<Record<string, UserRecord>> = {
        alice: { ...plain, name: "alice", claims: { a: [1] } },
        gate: { ...plain, name: "gate", ...trust },
        tool: { ...plain, name: "tool", identity: "optional" },
      }
      const users = new Users(Object.values(records), { databases: ["mart"] })
      equal(users.stillGives(identity, "mart"), true)
      const other = await makeVerifier("y", 1)
      users.replace(
        [...new Set([...Object.keys(records), ...Object.keys(changed)])].flatMap((name) => {
          const change = name in changed ? changed[name] : {}
          if (change === undefined) return []
          const record = { ...plain, name, ...records[name], ...change }
          return [record.verifier === "other" ? { ...record, verifier: other } : record]
        }),
      )
      equal(users.stillGives(identity, "mart"), stands)
      equal(users.stillGives(identity, "mart"), stands)
    })

  it("a token as password stands only where one is taken", () => {
    const users = new Users([], { databases: ["mart"], users: ["dana"] })
    users.replace([])
    equal(users.stillGives(withPassword("dana"), "mart"), true)
    equal(users.stillGives(withPassword("dana"), "other"), false)
    equal(users.stillGives(withPassword("eve"), "mart"), false)
  })
})
