import { deepEqual, equal, ok, throws } from "node:assert/strict"
import { describe, it } from "node:test"
import { stableSafeFunctions as namesOfCatalog } from "../../../src/catalog/stable-functions.ts"
import { GatewayError } from "../../../src/core/errors.ts"
import { noParameters } from "../../../src/core/parameters.ts"
import type { SettingsView } from "../../../src/core/settings.ts"
import { parseConnectionUri } from "../../../src/warehouse/postgres/connection-uri.ts"
import { parseFields, serverError } from "../../../src/warehouse/postgres/error-map.ts"
import { type RunText, runMessages } from "../../../src/warehouse/postgres/run.ts"
import { SettingsState } from "../../../src/warehouse/postgres/settings-replay.ts"
import { stableSafeFunctions } from "../../../src/warehouse/postgres/stable-functions.ts"
import { decodeRows, type TextRow } from "../../../src/warehouse/postgres/text-rows.ts"
import { readViewRule } from "../../../src/warehouse/postgres/view-rules.ts"
import { dataRow } from "../../../src/wire/backend-messages.ts"
import { queryMessage } from "../../../src/wire/frontend-encoder.ts"

function view(values: Record<string, string>): SettingsView {
  return { values: new Map(Object.entries(values)), searchPath: [], bytesDigest: "" }
}

function sent(state: SettingsState, values: Record<string, string>, timeoutMs = 0): unknown {
  const replay = state.replay(view(values), timeoutMs)
  if (replay === undefined) return undefined
  state.applied(replay.after)
  return replay.parameters.values.map((value) => value?.toString() ?? null)
}

describe("replaying settings", () => {
  it("sends only what differs, and NULL for what is no longer asked for", () => {
    const state = new SettingsState()
    equal(sent(state, {}), undefined)
    deepEqual(sent(state, { timezone: "UTC" }), ["timezone", "UTC"])
    equal(sent(state, { timezone: "UTC" }), undefined)
    deepEqual(sent(state, { timezone: "UTC", search_path: "a" }, 500), [
      "search_path",
      "a",
      "statement_timeout",
      "500",
    ])
    deepEqual(sent(state, { search_path: "a" }, 500), ["timezone", null])
    deepEqual(sent(state, {}), ["search_path", null, "statement_timeout", null])
  })

  it("never splices a value into the text", () => {
    const replay = new SettingsState().replay(view({ timezone: "'; DROP TABLE t; --" }), 0)
    equal(replay?.text, "SELECT pg_catalog.set_config($1, $2, false)")
  })

  it("forgets what a rolled-back transaction set", () => {
    const state = new SettingsState()
    sent(state, { timezone: "UTC" })
    state.began()
    sent(state, { timezone: "Asia/Tokyo" })
    state.rolledBack()
    equal(sent(state, { timezone: "UTC" }), undefined)
    deepEqual(sent(state, { timezone: "Asia/Tokyo" }), ["timezone", "Asia/Tokyo"])
  })

  it("leaves alone what decides who reads and what may be written", () => {
    const state = new SettingsState()
    equal(
      sent(state, { role: "x", session_authorization: "x", transaction_read_only: "off" }),
      undefined,
    )
    equal(sent(state, { default_transaction_read_only: "off", statement_timeout: "9" }), undefined)
  })
})

describe("what a statement is sent as", () => {
  const statement = { text: "SELECT 1" }

  it("is a simple query without parameters, formats and settings", () => {
    const bytes = runMessages(
      { statement, parameters: noParameters, resultFormats: [0], protocol: "simple" },
      undefined,
    )
    deepEqual(bytes, queryMessage("SELECT 1"))
  })

  it("is Parse, Bind, Describe, Execute, Sync otherwise, and whenever the client spoke so", () => {
    const requests: readonly RunText[] = [
      { statement, parameters: noParameters, resultFormats: [1], protocol: "simple" },
      { statement, parameters: noParameters, resultFormats: [], protocol: "extended" },
    ]
    for (const request of requests) {
      const bytes = runMessages(request, undefined)
      let types = ""
      for (let at = 0; at < bytes.length; at += 1 + bytes.readInt32BE(at + 1)) {
        types += String.fromCharCode(bytes[at] ?? 0)
      }
      equal(types, "PBDES")
    }
  })

  it("is nothing when the text holds a NUL, which would end it early", () => {
    throws(() => queryMessage("SELECT 1\0 FROM secret"), GatewayError)
  })
})

describe("errors", () => {
  it("keep severity ERROR, whatever the server says of its own connection", () => {
    const fields = parseFields(Buffer.from("SFATAL\0VFATAL\0C57P01\0Mbye\0\0"))
    const error = serverError(fields)
    deepEqual([error.severity, error.sqlState, error.message], ["ERROR", "57P01", "bye"])
  })

  it("without an end are a protocol violation", () => {
    throws(() => parseFields(Buffer.from("Mbye")), GatewayError)
  })
})

describe("rows of our own questions", () => {
  it("are decoded with NULLs and empty texts apart", () => {
    const rows: TextRow[] = []
    const bytes = Buffer.concat([dataRow([null, Buffer.from("é")]), dataRow([Buffer.alloc(0)])])
    decodeRows({ bytes, rowCount: 2 }, (row) => rows.push(row))
    deepEqual(rows, [[null, "é"], [""]])
  })

  it("with a value longer than the row are a protocol violation", () => {
    const bytes = dataRow([Buffer.from("abc")])
    bytes.writeInt32BE(99, 7)
    throws(() => decodeRows({ bytes, rowCount: 1 }, () => {}), GatewayError)
  })
})

describe("connection URIs", () => {
  it("are read as libpq reads them", () => {
    deepEqual(parseConnectionUri("postgres://an%40na:p%2Fw@db.example:6543/mart?sslmode=disable"), {
      host: "db.example",
      port: 6543,
      database: "mart",
      user: "an@na",
      password: "p/w",
      tls: undefined,
      isTlsOptional: false,
    })
    const defaults = parseConnectionUri("postgresql://anna@[::1]")
    deepEqual([defaults.host, defaults.port, defaults.database], ["::1", 5432, "anna"])
    equal(
      parseConnectionUri("postgresql://a@/d?host=/var/run/postgresql").host,
      "/var/run/postgresql",
    )
  })

  it("encrypt by default, check by verify-full only", () => {
    deepEqual(parseConnectionUri("postgres://a@b/c").isTlsOptional, true)
    equal(parseConnectionUri("postgres://a@b/c?sslmode=require").tls?.rejectUnauthorized, false)
    const full = parseConnectionUri("postgres://a@b/c?sslmode=verify-full").tls
    deepEqual([full?.rejectUnauthorized, full?.checkServerIdentity], [true, undefined])
  })

  for (const uri of [
    "mysql://a@b/c",
    "postgres://b/c",
    "not a uri",
    "postgres://a:secret@b/c?sslmode=maybe",
    "postgres://a:secret@b/c?options=x",
    "postgres://a:secret@b/c?sslmode=require&sslrootcert=/nowhere/x.pem",
  ]) {
    it(`such as ${uri} are refused without their password`, () => {
      throws(
        () => parseConnectionUri(uri),
        (error: unknown) => error instanceof GatewayError && !error.message.includes("secret"),
      )
    })
  }
})

describe("view rules", () => {
  it("name relations and functions, and what is no function call", () => {
    const tree =
      "({QUERY :rtable ({RANGETBLENTRY :relid 16390 :x 1}) {FUNCEXPR :funcid 1299 } " +
      "{OPEXPR :opno 96 :opfuncid 65 } {AGGREF :aggfnoid 2803 } :relid 0 :alias a\\ :relid\\ 7})"
    const rule = readViewRule(tree)
    deepEqual([...rule.relationOids], ["16390"])
    deepEqual([...rule.functionOids], ["1299", "65", "2803"])
    equal(rule.hasSpecial, false)
    ok(readViewRule("{SQLVALUEFUNCTION :op 0 }").hasSpecial)
  })

  it("trust no stable function that the catalogue's own list does not trust", () => {
    const others = [...stableSafeFunctions].filter((name) => !namesOfCatalog.has(name))
    deepEqual(others, [])
  })
})
