import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { GatewayError } from "../../../src/core/errors.ts"
import { limitRows } from "../../../src/sql/emit.ts"
import { loadParser, parseText } from "../../../src/sql/parser.ts"
import { StatementMemo } from "../../../src/sql/statement-memo.ts"

const limits = {
  entriesMax: 3,
  bytesMax: 50_000_000,
  statementBytesMax: 1_000_000,
  offLoopBytes: 2_000,
  workerWaitMsMax: 30_000,
}

function inList(terms: number): string {
  return `SELECT a FROM t WHERE x IN (${Array.from({ length: terms }, (_, index) => index).join(",")})`
}

/** Remembers a small text; only large ones give promises. */
function read(memo: StatementMemo, text: string): void {
  ok(Array.isArray(memo.get(text)))
}

function code(thrown: unknown): string {
  return thrown instanceof GatewayError ? thrown.sqlState : String(thrown)
}

before(loadParser)

describe("small texts", () => {
  it("are parsed once", () => {
    const memo = new StatementMemo(limits)
    equal(memo.get("SELECT 1"), memo.get(["SELECT", "1"].join(" ")))
    equal(memo.size.entries, 1)
  })

  it("give way in the order of last use", () => {
    const memo = new StatementMemo(limits)
    const first = memo.get("SELECT 1")
    const second = memo.get("SELECT 2")
    read(memo, "SELECT 3")
    read(memo, "SELECT 1")
    read(memo, "SELECT 4")
    equal(memo.get("SELECT 1"), first)
    ok(memo.get("SELECT 2") !== second)
    equal(memo.size.entries, 3)
  })

  it("give way when their bytes are too many, and one too big alone is not kept", () => {
    const memo = new StatementMemo({ ...limits, entriesMax: 100, bytesMax: 10_000 })
    for (let index = 0; index < 50; index += 1) {
      read(memo, `SELECT ${index}`)
      ok(memo.size.bytes <= 10_000)
    }
    ok(memo.size.entries > 1)
    const held = memo.size
    read(memo, inList(100))
    deepEqual(memo.size, held)
  })

  it("are not remembered when they fail", () => {
    const memo = new StatementMemo(limits)
    throws(() => memo.get("SELECT FROM FROM"), GatewayError)
    throws(() => memo.get("SELECT FROM FROM"), GatewayError)
    deepEqual(memo.size, { entries: 0, bytes: 0 })
  })

  it("above the greatest size are refused", () => {
    const memo = new StatementMemo(limits)
    throws(
      () => memo.get(`SELECT '${"ä".repeat(500_000)}'`),
      (thrown) => code(thrown) === "54000",
    )
  })
})

describe("large texts", () => {
  const memo = new StatementMemo(limits)
  after(() => memo.close())

  it("come from the thread exactly as the parser would give them", async () => {
    const text = `SELECT 'ä😀'; ${inList(2_000)}; EXPLAIN SELECT 1; DECLARE c CURSOR FOR SELECT 2; BEGIN`
    const found = memo.get(text)
    ok(found instanceof Promise)
    const statements = await found
    deepEqual(JSON.parse(JSON.stringify(statements)), JSON.parse(JSON.stringify(parseText(text))))
    const [, , explain] = statements
    ok(explain?.class.kind === "explain")
    equal(JSON.stringify(explain.class.inner).includes("SelectStmt"), true)
  })

  it("are parsed once for all who ask meanwhile, and known afterwards", async () => {
    const text = inList(3_000)
    const first = memo.get(text)
    const second = memo.get(text)
    ok(first === second)
    const statements = await first
    ok(memo.get(text) === statements)
  })

  it("take a row limit without being parsed again", async () => {
    const [plain] = await memo.get(inList(4_000))
    const [limited] = await memo.get(`${inList(4_000)} LIMIT 10`)
    const [greater] = await memo.get(`${inList(4_000)} LIMIT 1000`)
    ok(plain !== undefined && limited !== undefined && greater !== undefined)
    const { emitted, enforced } = limitRows(plain, 100)
    deepEqual(
      [enforced, emitted.text.endsWith(")\nLIMIT 101"), emitted.keepsPositions],
      ["in_sql", true, true],
    )
    deepEqual(
      JSON.stringify(emitted.ast).includes('"limitCount":{"A_Const":{"ival":{"ival":101}}}'),
      true,
    )
    equal(limitRows(limited, 100).enforced, "not_needed")
    equal(limitRows(greater, 100).enforced, "stream_only")
  })

  it("bring the parser's errors with code and position", async () => {
    const text = `${inList(3_000)} FRO M x`
    await rejects(Promise.resolve(memo.get(text)), (thrown) => {
      ok(thrown instanceof GatewayError)
      equal(thrown.sqlState, "42601")
      equal(thrown.position, text.lastIndexOf("FRO") + 1)
      return true
    })
    await rejects(
      Promise.resolve(memo.get(`SELECT 1${"+1".repeat(50_000)}`)),
      (thrown) => code(thrown) === "54001",
    )
    equal((await memo.get(inList(3_001))).length, 1)
  })

  it("that wait in too great a number are refused, and the others still come", async () => {
    const asked = Array.from({ length: 40 }, (_, index) =>
      Promise.resolve(memo.get(inList(1_000 + index))),
    )
    const settled = await Promise.allSettled(asked)
    const refused = settled.filter((one) => one.status === "rejected")
    equal(refused.length, 7)
    for (const one of refused) equal(code(one.reason), "53300")
  })
})

it("a parse that takes too long ends with 54001, and the next one is answered", async () => {
  const memo = new StatementMemo({ ...limits, workerWaitMsMax: 1 })
  for (let round = 0; round < 2; round += 1) {
    await rejects(Promise.resolve(memo.get(inList(50_000))), (thrown) => code(thrown) === "54001")
  }
  equal(Array.isArray(memo.get("SELECT 1")), true)
  await memo.close()
})

it("closing fails what waits, and later large texts", async () => {
  const memo = new StatementMemo(limits)
  const waiting = [memo.get(inList(5_000)), memo.get(inList(5_001))].map((one) =>
    rejects(Promise.resolve(one), GatewayError),
  )
  await memo.close()
  await Promise.all(waiting)
  await rejects(Promise.resolve(memo.get(inList(5_002))), GatewayError)
})
