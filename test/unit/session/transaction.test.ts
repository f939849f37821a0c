import { equal, throws } from "node:assert/strict"
import { describe, it } from "node:test"
import { settingRule } from "../../../src/session/setting-table.ts"
import { SessionSettings, settingDefaults } from "../../../src/session/settings.ts"
import { SessionTransaction } from "../../../src/session/transaction.ts"

const defaults = settingDefaults(new Map([["TimeZone", "Europe/Berlin"]]))

function makeSession() {
  const settings = new SessionSettings(defaults, "alice")
  const transaction = new SessionTransaction(settings)
  const set = (name: string, value: string | undefined, isLocal = false): void => {
    const entry = settingRule(name)
    if (entry === undefined) throw new Error(`no setting ${name}`)
    settings.set(entry, value, isLocal)
  }
  return { settings, transaction, set }
}

describe("settings in transactions", () => {
  it("starts with the warehouse's defaults", () => {
    equal(makeSession().settings.get("TimeZone"), "Europe/Berlin")
  })

  it("undoes a SET by ROLLBACK", () => {
    const { settings, transaction, set } = makeSession()
    transaction.begin(undefined)
    set("search_path", "sales")
    transaction.rollback()
    equal(settings.get("search_path"), '"$user", public')
  })

  it("keeps a SET after COMMIT", () => {
    const { settings, transaction, set } = makeSession()
    transaction.begin(undefined)
    set("search_path", "sales")
    transaction.commit()
    equal(settings.get("search_path"), "sales")
  })

  it("ends SET LOCAL with COMMIT", () => {
    const { settings, transaction, set } = makeSession()
    set("search_path", "outer_schema")
    transaction.begin(undefined)
    set("search_path", "inner_schema", true)
    equal(settings.get("search_path"), "inner_schema")
    transaction.commit()
    equal(settings.get("search_path"), "outer_schema")
  })

  it("lets SET win over an earlier SET LOCAL of the same transaction", () => {
    const { settings, transaction, set } = makeSession()
    transaction.begin(undefined)
    set("TimeZone", "UTC", true)
    set("TimeZone", "Asia/Tokyo")
    equal(settings.get("TimeZone"), "Asia/Tokyo")
    transaction.commit()
    equal(settings.get("TimeZone"), "Asia/Tokyo")
  })

  it("goes back to a savepoint", () => {
    const { settings, transaction, set } = makeSession()
    transaction.begin(undefined)
    set("search_path", "before")
    transaction.savepoint("s")
    set("search_path", "after")
    transaction.fail()
    equal(transaction.status, "E")
    transaction.rollbackTo("s")
    equal(transaction.status, "T")
    equal(settings.get("search_path"), "before")
  })

  it("finds the newest of two savepoints with one name", () => {
    const { transaction } = makeSession()
    transaction.begin(undefined)
    transaction.savepoint("s")
    transaction.savepoint("s")
    transaction.release("s")
    transaction.release("s")
    throws(() => transaction.release("s"), /savepoint "s" does not exist/)
  })

  it("undoes the SETs of an implicit transaction that fails", () => {
    const { settings, transaction, set } = makeSession()
    transaction.beginImplicit()
    set("search_path", "half")
    transaction.fail()
    equal(settings.get("search_path"), '"$user", public')
    equal(transaction.status, "I")
  })

  it("ends SET LOCAL of an implicit transaction with it", () => {
    const { settings, transaction, set } = makeSession()
    transaction.beginImplicit()
    set("search_path", "half", true)
    transaction.endImplicit()
    equal(settings.get("search_path"), '"$user", public')
  })

  it("counts what was SET before BEGIN in one string to the transaction", () => {
    const { settings, transaction, set } = makeSession()
    transaction.beginImplicit()
    set("search_path", "early")
    transaction.begin(undefined)
    transaction.rollback()
    equal(settings.get("search_path"), '"$user", public')
  })

  it("resets to what the startup packet asked for", () => {
    const { settings, set } = makeSession()
    set("search_path", "from_startup")
    settings.keepAsStartup()
    set("search_path", "later")
    set("search_path", undefined)
    equal(settings.get("search_path"), "from_startup")
    set("search_path", "later")
    settings.resetAll()
    equal(settings.get("search_path"), "from_startup")
  })
})

describe("settings views", () => {
  it("are one object for equal settings of two sessions", () => {
    const left = makeSession()
    const right = makeSession()
    left.set("search_path", "sales")
    right.set("search_path", "sales")
    equal(left.settings.view, right.settings.view)
  })

  it("differ in their digest when a setting changes result bytes", () => {
    const left = makeSession()
    const right = makeSession()
    right.set("DateStyle", "SQL, DMY")
    equal(left.settings.view.bytesDigest === right.settings.view.bytesDigest, false)
  })

  it("keep their digest when only the gateway's own settings change", () => {
    const left = makeSession()
    const right = makeSession()
    right.set("application_name", "Superset")
    equal(left.settings.view.bytesDigest, right.settings.view.bytesDigest)
  })

  it('resolve "$user" in search_path, so that two users do not share what it means', () => {
    const alice = new SessionSettings(defaults, "alice")
    const bob = new SessionSettings(defaults, "bob")
    equal(alice.view.searchPath.join(), "alice,public")
    equal(alice.view.bytesDigest === bob.view.bytesDigest, false)
  })
})
