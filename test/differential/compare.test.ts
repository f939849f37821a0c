import assert from "node:assert/strict"
import { describe, it } from "node:test"
import {
  bindComplete,
  commandComplete,
  dataRow,
  errorResponse,
  type FieldList,
  parameterStatus,
  parseComplete,
  readyForQuery,
  rowDescription,
} from "../../src/wire/backend-messages.ts"
import { answersDiffer, firstRow, isDeferredError, summaryOf } from "./compare.ts"

const description = rowDescription([
  {
    name: "ünï",
    tableOid: 16_384,
    columnNumber: 1,
    typeOid: 25,
    typeSize: -1,
    typeModifier: -1,
    format: 0,
  },
])
const answer = Buffer.concat([
  description,
  dataRow([Buffer.from("one")]),
  dataRow([null]),
  commandComplete("SELECT 2"),
  readyForQuery("T"),
])

const fields: FieldList = [
  ["S", "ERROR"],
  ["V", "ERROR"],
  ["C", "42601"],
  ["M", "syntax error"],
  ["P", "8"],
  ["F", "scan.l"],
  ["L", "1242"],
  ["R", "scanner_yyerror"],
]

function failed(list: FieldList): Buffer {
  return Buffer.concat([errorResponse(list), readyForQuery("I")])
}

function without(...codes: readonly string[]): FieldList {
  return fields.filter(([code]) => !codes.includes(code))
}

describe("the comparison of answers", () => {
  it("finds an answer equal to a copy of itself", () => {
    assert.equal(answersDiffer(answer, Buffer.from(answer)), undefined)
  })

  it("notices every single changed byte outside the length fields", () => {
    const lengths = new Set<number>()
    for (let at = 0; at < answer.length; at += 1 + answer.readInt32BE(at + 1))
      for (let byte = 1; byte <= 4; byte += 1) lengths.add(at + byte)
    for (let at = 0; at < answer.length; at += 1) {
      if (lengths.has(at)) continue
      const changed = Buffer.from(answer)
      changed[at] = (changed[at] ?? 0) ^ 1
      assert.notEqual(answersDiffer(answer, changed), undefined, `byte ${at}`)
    }
  })

  it("notices a row that is missing, repeated or in another place", () => {
    const [one, two] = [dataRow([Buffer.from("1")]), dataRow([Buffer.from("2")])]
    const both = Buffer.concat([one, two])
    assert.notEqual(answersDiffer(both, one), undefined)
    assert.notEqual(answersDiffer(both, Buffer.concat([one, two, two])), undefined)
    assert.notEqual(answersDiffer(both, Buffer.concat([two, one])), undefined)
  })

  it("accepts ParameterStatus at another place of the same answer, and no other value of it", () => {
    const zone = parameterStatus("TimeZone", "Asia/Tokyo")
    const tag = commandComplete("SET")
    const expected = Buffer.concat([tag, zone, readyForQuery("I")])
    assert.equal(answersDiffer(expected, Buffer.concat([zone, tag, readyForQuery("I")])), undefined)
    const other = Buffer.concat([parameterStatus("TimeZone", "UTC"), tag, readyForQuery("I")])
    assert.notEqual(answersDiffer(expected, other), undefined)
    assert.notEqual(answersDiffer(expected, Buffer.concat([tag, readyForQuery("I")])), undefined)
  })

  it("accepts an error without PostgreSQL's source place, and one that carries the same", () => {
    assert.equal(answersDiffer(failed(fields), failed(without("F", "L", "R"))), undefined)
    assert.equal(answersDiffer(failed(fields), failed(fields)), undefined)
  })

  for (const code of ["S", "V", "C", "M", "P", "F", "L", "R"])
    it(`notices an error field ${code} that is missing or other than expected`, () => {
      assert.notEqual(answersDiffer(failed(fields), failed(without(code))), undefined)
      const changed = fields.map(
        ([one, value]) => [one, one === code ? `${value}x` : value] as const,
      )
      assert.notEqual(answersDiffer(failed(fields), failed(changed)), undefined)
    })

  it("notices an error field that the origin did not send", () => {
    assert.notEqual(answersDiffer(failed(fields), failed([...fields, ["H", "a hint"]])), undefined)
  })

  it("calls an error deferred only when nothing but acknowledgements precedes it in addition", () => {
    const early = failed(fields)
    assert.ok(isDeferredError(early, Buffer.concat([parseComplete, bindComplete, early])))
    assert.ok(!isDeferredError(early, early))
    assert.ok(isDeferredError(early, Buffer.concat([bindComplete, description, early])))
    assert.ok(!isDeferredError(early, Buffer.concat([description, dataRow([null]), early])))
    assert.ok(!isDeferredError(early, Buffer.concat([parseComplete, failed([["C", "XX000"]])])))
    assert.ok(!isDeferredError(early, Buffer.concat([parseComplete, bindComplete, answer])))
    assert.ok(!isDeferredError(Buffer.concat([parseComplete, early]), early))
  })

  it("reads the first row by its column names", () => {
    assert.deepEqual(firstRow(answer), new Map([["ünï", "one"]]))
    assert.equal(firstRow(failed(fields)), undefined)
  })

  const summaries = [
    { answer, summary: "rows" },
    { answer: Buffer.concat([description, commandComplete("SELECT 0")]), summary: "empty result" },
    { answer: commandComplete("FETCH 0"), summary: "empty result" },
    { answer: commandComplete("SET"), summary: "command" },
    { answer: failed(fields), summary: "42601" },
  ]
  for (const item of summaries)
    it(`names an answer ${item.summary}`, () => {
      assert.equal(summaryOf(item.answer), item.summary)
    })
})
