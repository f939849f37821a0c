import { deepEqual, equal, match, notEqual, throws } from "node:assert/strict"
import { describe, it } from "node:test"
import { GatewayError } from "../../../src/core/errors.ts"
import { coarseLine } from "../../../src/pipeline/coarse-plan.ts"
import { checkEstimate } from "../../../src/pipeline/cost-guard.ts"
import {
  EstimateMemo,
  estimateId,
  estimateOf,
  explained,
  ofExplained,
} from "../../../src/pipeline/estimate.ts"
import { Policy } from "../../../src/policy/policy.ts"

/** Shortened from PostgreSQL 18. */
const postgres = JSON.stringify([
  {
    Plan: {
      "Node Type": "Aggregate",
      "Total Cost": 393.01,
      "Plan Rows": 1,
      Plans: [{ "Node Type": "Seq Scan", "Total Cost": 343, "Plan Rows": 20_000 }],
    },
  },
])

/** Shortened from DuckDB 1.5. */
const duckdb = JSON.stringify([
  {
    name: "UNGROUPED_AGGREGATE",
    children: [
      {
        name: "SEQ_SCAN ",
        children: [],
        extra_info: { Table: "events", "Estimated Cardinality": "20000" },
      },
    ],
    extra_info: { "Estimated Cardinality": "1" },
  },
])

const of = (value: string, type = 23): string =>
  estimateId(["a"], { types: [type], formats: [], values: [Buffer.from(value)] })

describe("an estimate", () => {
  for (const [name, text, estimate] of [
    ["PostgreSQL", postgres, { cost: 393.01, rows: 20_000 }],
    ["DuckDB", duckdb, { cost: 20_001, rows: 20_000 }],
    ["no plan", "[]", undefined],
    ["no JSON", "Seq Scan on t", undefined],
    ["a plan without numbers", '[{"Plan":{"Node Type":"Result"}}]', undefined],
  ] as const)
    it(`of ${name}`, () => deepEqual(estimateOf(text), estimate))

  it("is remembered by values and types, for a minute", () => {
    let nowMs = 0
    const memo = new EstimateMemo(() => nowMs)
    memo.set(of("1"), { cost: 1, rows: 1 })
    equal(memo.get(of("1"))?.cost, 1)
    equal(memo.get(of("2")), undefined)
    equal(memo.get(of("1", 25)), undefined)
    nowMs = 60_000
    equal(memo.get(of("1")), undefined)
    const none = { types: [], formats: [] }
    notEqual(
      estimateId(["a"], { ...none, values: [null, Buffer.from("")] }),
      estimateId(["a"], { ...none, values: [Buffer.from(""), null] }),
    )
  })

  it("moves the place of an error back to the statement", () => {
    const text = "SELECT nix"
    const asked = explained({ text, ast: {}, keepsPositions: true })
    const error = new GatewayError({
      sqlState: "42703",
      reason: "warehouse_error",
      message: 'column "nix" does not exist',
      position: asked.text.indexOf("nix") + 1,
    })
    const moved = ofExplained(error)
    equal(moved instanceof GatewayError ? moved.position : 0, text.indexOf("nix") + 1)
  })

  const policy = new Policy([
    {
      name: "r",
      relations: { allow: ["*"], deny: [] },
      rowLimit: undefined,
      onExceed: "cut",
      statementTimeoutMs: 0,
      mayCache: true,
      mayWrite: true,
      guards: {
        workloadClass: undefined,
        resultBytesMax: undefined,
        queueTimeoutMs: undefined,
        costMax: 100,
        rowsEstimatedMax: 10,
        forbid: [],
        explain: "none",
      },
    },
  ]).effective(["r"])

  it("up to the limit is no reason to refuse", () => {
    checkEstimate({ cost: 100, rows: 10 }, policy, false)
  })

  for (const [cost, rows, isGoverned, message] of [
    [123_456, 1, false, /cost of 120000 is above the limit of 100$/],
    [1, 1_234, false, /number of rows of 1200 is above the limit of 10$/],
    [123_456, 1_234, true, /^the estimated cost is above the limit$/],
    [1, 1_234, true, /^the estimated number of rows is above the limit$/],
  ] as const)
    it(`cost ${cost}, rows ${rows}, ${isGoverned ? "with" : "without"} a row policy: ${message}`, () => {
      throws(
        () => checkEstimate({ cost, rows }, policy, isGoverned),
        (error) => {
          match(error instanceof GatewayError ? error.message : "", message)
          return error instanceof GatewayError && error.sqlState === "54000"
        },
      )
    })

  it("a role with a limit on costs does not write", () => equal(policy.mayWrite, false))

  for (const [cost, line] of [
    [0, "Query  (cost=0.00..1.00)"],
    [1, "Query  (cost=0.00..1.00)"],
    [1.01, "Query  (cost=0.00..10.00)"],
    [10, "Query  (cost=0.00..10.00)"],
    [123_456.78, "Query  (cost=0.00..1000000.00)"],
  ] as const)
    it(`a cost of ${cost} is told as ${line}`, () => equal(coarseLine({ cost, rows: 1 }), line))
})
