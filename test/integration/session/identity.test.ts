import { deepEqual, equal, ok, rejects } from "node:assert/strict"
import { once } from "node:events"
import { after, before, describe, it } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { connect } from "node:tls"
import { fileURLToPath } from "node:url"
import { makeVerifier } from "../../../src/wire/scram.ts"
import { query, sslRequest } from "../../support/frontend-encoder.ts"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"
import { edKey, makeToken, type SigningKey, secretKey } from "../../support/tokens.ts"
import {
  type ConnectOptions,
  errors,
  LoginRefused,
  tags,
  WireClient,
} from "../../support/wire-client.ts"
import { ask, lastOutcome, until } from "./support.ts"

const seedFile = fileURLToPath(new URL("seed.sql", import.meta.url))
const [keyFile, certFile] = ["server.key", "server.crt"].map((name) =>
  fileURLToPath(new URL(`../postgres/tls/${name}`, import.meta.url)),
)
const password = "service password"
const ed = edKey("ed-1")
const next = edKey("ed-2")
const secretText = "a shared secret of at least 32 bytes"
const shared = secretKey(secretText, "hs-1")

const now = (): number => Math.floor(Date.now() / 1000)
const payload = (changed: object = {}): object => ({
  sub: "alice",
  roles: ["analyst"],
  aud: "sluice",
  exp: now() + 300,
  ...changed,
})

const indented = (pem: string, by: number): string =>
  pem.trimEnd().replaceAll("\n", `\n${" ".repeat(by)}`)

function keyEntry(one: SigningKey): string {
  const pem = indented(one.publicPem, 8)
  return `    - kid: ${one.kid}\n      algorithm: EdDSA\n      publicKey: |\n        ${pem}`
}

async function configuration(uri: string): Promise<string> {
  const verifier = await makeVerifier(password)
  const own = `verifier: "${verifier}", roles: [everything]`
  return `listen: { host: 127.0.0.1, port: 0, tls: { certFile: "${certFile}", keyFile: "${keyFile}" } }
warehouses:
  warehouse: { engine: postgres, uri: "${uri}" }
  people: { engine: postgres, uri: "${uri}", requireIdentity: true }
  tokens: { engine: postgres, uri: "${uri}" }
identity:
  audience: sluice
  clockSkewMs: 0
  keys:
${keyEntry(ed)}
${keyEntry(next)}
    - { kid: hs-1, algorithm: HS256, secret: "${secretText}" }
  passwordLogin: { databases: [tokens] }
users:
  reader: { ${own} }
  etl: { ${own}, identity: own }
  superset: { ${own}, identity: optional }
  strict: { ${own}, identity: required }
  impersonator:
    verifier: "${verifier}"
    roles: [analyst]
    databases: [warehouse, people]
    trustUserFrom: startup_user
    trustedAddresses: [127.0.0.0/8]
    userRoles: { carol: [finance] }
roles:
  everything: { relations: { allow: ["*"] } }
  writer: { relations: { allow: ["*"] }, write: true }
  analyst: { relations: { allow: ["lab.*"], deny: ["lab.secret"] } }
  finance: { relations: { allow: ["lab.secret"] } }
log: { level: info }
`
}

async function refusal(connecting: Promise<WireClient>): Promise<readonly unknown[]> {
  try {
    await connecting
  } catch (error) {
    if (!(error instanceof LoginRefused)) throw error
    const { S, C, M } = error.fields
    return [S, C, M]
  }
  throw new Error("the login was accepted")
}

const wrongPassword = (user: string): unknown[] => [
  "FATAL",
  "28P01",
  `password authentication failed for user "${user}"`,
]

describe("who a session is", () => {
  let postgres: TestPostgres
  let gateway: RunningGateway
  const clients = new Set<WireClient>()
  before(async () => {
    postgres = await startPostgres({ seedFiles: [seedFile] })
    gateway = await startGateway({
      config: await configuration(postgres.uri),
      login: { user: "reader", password },
    })
  })
  after(async () => {
    for (const client of clients) client.destroy()
    await gateway.stop()
    await postgres.stop()
  })

  const options = (changed: Partial<ConnectOptions>): ConnectOptions => ({
    port: gateway.port,
    user: "superset",
    password,
    database: "warehouse",
    ...changed,
  })

  async function secure(changed: Partial<ConnectOptions> = {}): Promise<WireClient> {
    const plain = await WireClient.open({ port: gateway.port })
    plain.send(sslRequest)
    await until("the answer is there", async () => plain.unparsed.length > 0)
    plain.socket.removeAllListeners("data")
    const socket = connect({
      socket: plain.socket,
      rejectUnauthorized: false,
      ALPNProtocols: ["postgresql"],
    })
    await once(socket, "secureConnect")
    const client = WireClient.over(socket)
    clients.add(client)
    await client.login(options(changed))
    return client
  }

  const withToken = (token: string, changed: Partial<ConnectOptions> = {}): Promise<WireClient> =>
    secure({ parameters: { options: `-c sluice.identity=${token}` }, ...changed })

  const notAccepted = ["FATAL", "28000", "the identity token was not accepted"]
  const needed = ["FATAL", "28000", "this connection needs an identity token"]
  const whoami = "SELECT current_user"
  const secret = "SELECT word FROM lab.secret"

  it("is the user of its token, in the options or as a startup parameter, by every key in force", async () => {
    for (const key of [ed, next, shared]) {
      const client = await withToken(makeToken(payload(), key))
      deepEqual(await ask(client, whoami), [["alice"]])
      equal(client.parameters.get("session_authorization"), "alice")
    }
    const other = await secure({ parameters: { "sluice.identity": makeToken(payload(), ed) } })
    deepEqual(await ask(other, whoami), [["alice"]])
  })

  it("has the roles of its token and no others: what one may read from the cache, the other may not", async () => {
    const finance = await withToken(makeToken(payload({ sub: "bob", roles: ["finance"] }), ed))
    deepEqual(await ask(finance, secret), [["hidden"]])
    deepEqual(await ask(finance, secret), [["hidden"]])
    equal(await lastOutcome(finance), "hit_l1")
    const analyst = await withToken(makeToken(payload(), ed))
    const [fields] = errors(await analyst.query(query(secret)))
    equal(fields?.["C"], "42501")
    // The account alone may read everything; with a token it may not.
    const account = await secure()
    deepEqual(await ask(account, secret), [["hidden"]])
  })

  const refused: readonly (readonly [
    title: string,
    token: () => string,
    changed: Partial<ConnectOptions>,
    cause: string,
  ])[] = [
    ["of an unknown key", () => makeToken(payload(), edKey("ed-9")), {}, 'unknown kid \\"ed-9\\"'],
    [
      "of a user whose account brings none",
      () => makeToken(payload(), ed),
      { user: "reader" },
      'account \\"reader\\" may not bring tokens',
    ],
    [
      "of an account that is an end user",
      () => makeToken(payload(), ed),
      { user: "etl" },
      'account \\"etl\\" may not bring tokens',
    ],
    [
      "of a trusting account that is not said to bring any",
      () => makeToken(payload(), ed),
      { user: "dave" },
      'account \\"impersonator\\" may not bring tokens',
    ],
    [
      "for another audience",
      () => makeToken(payload({ aud: "x" }), ed),
      {},
      'claim \\"aud\\" has another value',
    ],
  ]
  for (const [title, token, changed, cause] of refused)
    it(`refuses a token ${title}, and tells the operator why`, async () => {
      deepEqual(await refusal(withToken(token(), changed)), notAccepted)
      await until("the log says why", async () => gateway.output().includes(cause))
    })

  it("refuses an expired token with that word, and the log counts the seconds", async () => {
    const connecting = withToken(makeToken(payload({ exp: now() - 12 }), ed))
    deepEqual(await refusal(connecting), ["FATAL", "28000", "the identity token has expired"])
    await until("the log says why", async () => /expired 1[23] s ago/.test(gateway.output()))
  })

  it("refuses a token in clear, two tokens, and a token beside a wrong password", async () => {
    const token = makeToken(payload(), ed)
    const clear = WireClient.connect(
      options({ parameters: { options: `-c sluice.identity=${token}` } }),
    )
    deepEqual(await refusal(clear), notAccepted)
    const twice = secure({
      parameters: { options: `-c sluice.identity=${token} --sluice.identity=${token}` },
    })
    equal((await refusal(twice))[2], '"sluice.identity" is given more than once')
    deepEqual(await refusal(withToken(token, { password: "wrong" })), wrongPassword("superset"))
  })

  it("does not repeat a token that a blank separated from its name", async () => {
    const token = makeToken(payload(), ed)
    const [, code, message] = await refusal(
      secure({ parameters: { options: `-c sluice.identity= ${token}` } }),
    )
    equal(code, "0A000")
    equal(String(message).includes(token), false)
  })

  it("needs a token where account or database want one", async () => {
    deepEqual(await refusal(secure({ user: "strict" })), needed)
    for (const user of ["reader", "superset"])
      deepEqual(await refusal(secure({ user, database: "people" })), needed)
    for (const changed of [
      { user: "etl", database: "people" },
      { user: "dave", database: "people" },
    ])
      deepEqual(await ask(await secure(changed), whoami), [[changed.user]])
    const token = makeToken(payload(), ed)
    for (const changed of [{ user: "strict" }, { database: "people" }])
      deepEqual(await ask(await withToken(token, changed), whoami), [["alice"]])
  })

  it("cannot change, show or see its token by SQL", async () => {
    const token = makeToken(payload(), ed)
    const client = await withToken(token)
    const statements = [
      "SET sluice.identity = 'x'",
      "SET LOCAL sluice.identity = 'x'",
      "RESET sluice.identity",
      "SELECT set_config('sluice.identity', 'x', false)",
      "SHOW sluice.identity",
      "SELECT current_setting('sluice.identity')",
      "SELECT current_setting('sluice.identity', false) FROM lab.items",
    ]
    for (const sql of statements) {
      const answer = await client.query(query(sql))
      const [fields] = errors(answer)
      ok(fields !== undefined, sql)
      equal(JSON.stringify(fields).includes(token), false)
    }
    deepEqual(await ask(client, "SELECT current_setting('sluice.identity', true)"), [[null]])
    await client.query(query("DISCARD ALL"))
    deepEqual(await ask(client, whoami), [["alice"]])
    deepEqual(await ask(client, "SELECT name FROM pg_settings WHERE name LIKE 'sluice%'"), [])
    equal(gateway.output().includes(token.slice(-40)), false)
    equal(postgres.log().includes(token), false)
  })

  it("ends at its first question after the token has expired; what was open is read to its end", async () => {
    const client = await withToken(makeToken(payload({ exp: now() + 2 }), ed))
    await client.query(query("BEGIN"))
    await client.query(query("DECLARE c CURSOR FOR SELECT id FROM lab.items ORDER BY id"))
    deepEqual(await ask(client, "FETCH 1 FROM c"), [["1"]])
    await sleep(3_100)
    deepEqual(await ask(client, "FETCH 1 FROM c"), [["2"]])
    deepEqual(tags(await client.query(query("COMMIT"))), ["COMMIT"])
    client.send(query("SELECT 1"))
    const [fields] = errors(await client.readUntilClosed())
    deepEqual(
      [fields?.["S"], fields?.["C"], fields?.["M"]],
      ["FATAL", "28000", "terminating connection because its identity token has expired"],
    )
  })

  const login = (token: string, changed: Partial<ConnectOptions> = {}): Promise<WireClient> =>
    secure({ user: "alice", password: token, database: "tokens", ...changed })

  it("ends at its next question after the token has expired when it writes, and writes nothing more", async () => {
    const token = makeToken(payload({ sub: "wanda", roles: ["writer"], exp: now() + 2 }), ed)
    const client = await withToken(token)
    await client.query(query("BEGIN"))
    await client.query(query("CREATE TEMP TABLE mine AS SELECT 1 AS n"))
    deepEqual(await ask(client, "SELECT n FROM mine"), [["1"]])
    await sleep(3_100)
    client.send(query("INSERT INTO mine VALUES (2)"))
    const [fields] = errors(await client.readUntilClosed())
    deepEqual([fields?.["S"], fields?.["C"]], ["FATAL", "28000"])
  })

  describe("with a trusted startup user", () => {
    it("is the user that the account names, with default roles or the user's own", async () => {
      const dave = await secure({ user: "dave" })
      deepEqual(await ask(dave, whoami), [["dave"]])
      equal(errors(await dave.query(query(secret)))[0]?.["C"], "42501")
      const carol = await secure({ user: "carol" })
      deepEqual(await ask(carol, secret), [["hidden"]])
    })

    it("is not believed without TLS, with a wrong password, on another database, or with an odd name", async () => {
      const clear = WireClient.connect(options({ user: "dave" }))
      deepEqual(await refusal(clear), wrongPassword("dave"))
      const wrong = secure({ user: "dave", password: "wrong" })
      deepEqual(await refusal(wrong), wrongPassword("dave"))
      const odd = "da\nve"
      deepEqual(await refusal(secure({ user: odd })), wrongPassword(odd))
    })
  })

  describe("with a token as password", () => {
    it("is the token's user, under that very name", async () => {
      const client = await login(makeToken(payload(), ed))
      deepEqual(await ask(client, whoami), [["alice"]])
      equal(errors(await client.query(query(secret)))[0]?.["C"], "42501")
      deepEqual(await refusal(login(makeToken(payload({ sub: "bob" }), ed))), notAccepted)
    })

    it("takes no token in clear, in place of a configured user's password, or beside a second one", async () => {
      const token = makeToken(payload(), ed)
      await rejects(
        WireClient.connect(options({ user: "alice", password: token, database: "tokens" })),
        /28000 this gateway accepts encrypted connections only/,
      )
      const reader = makeToken(payload({ sub: "reader" }), ed)
      deepEqual(await refusal(login(reader, { user: "reader" })), wrongPassword("reader"))
      const both = login(token, { parameters: { "sluice.identity": token } })
      deepEqual(await refusal(both), notAccepted)
      deepEqual(await refusal(login("not a token")), notAccepted)
    })
  })
})
