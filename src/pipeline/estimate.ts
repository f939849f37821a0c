import { hash } from "node:crypto"
import { GatewayError } from "../core/errors.ts"
import type { Parameters } from "../core/parameters.ts"
import type { RowStream } from "../core/result.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Emitted } from "../core/statement.ts"
import { rowValues } from "./row-values.ts"

/** What the engine expects of a statement before it runs it. */
export type Estimate = {
  /** PostgreSQL: the plan's total cost, in its own unit. DuckDB, which has no costs: the rows of all steps together. */
  readonly cost: number
  /** The most rows that one step of the plan is expected to give. */
  readonly rows: number
}

/** What an estimate is good for: an engine's statistics change with its data. */
const estimateTtlMs = 60_000
const estimatesMax = 10_000

/** Estimates by what was asked, so that the same question is not planned twice within a minute. */
export class EstimateMemo {
  readonly #known = new Map<string, { readonly estimate: Estimate; readonly untilMs: number }>()
  readonly #nowMs: () => number

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  get(id: string): Estimate | undefined {
    const known = this.#known.get(id)
    return known !== undefined && this.#nowMs() < known.untilMs ? known.estimate : undefined
  }

  set(id: string, estimate: Estimate): void {
    if (this.#known.size >= estimatesMax) this.#known.clear()
    this.#known.set(id, { estimate, untilMs: this.#nowMs() + estimateTtlMs })
  }
}

/** Values are part of it: a plan for one day's rows says nothing of one for a year's. */
export function estimateId(parts: readonly string[], { types, values }: Parameters): string {
  const digest = hash("sha256", values.map((value) => value?.toString("base64") ?? "-").join(","))
  return JSON.stringify([parts, types, digest])
}

const prefix = "EXPLAIN (FORMAT JSON) "

/** The question whose answer {@link readEstimate} takes. */
export function explained({ text, ast }: Emitted): Emitted {
  const format = { DefElem: { defname: "format", arg: { String: { sval: "json" } } } }
  return {
    text: prefix + text,
    ast: { ExplainStmt: { query: ast, options: [format] } },
    keepsPositions: false,
  }
}

/** An error of the question above, as one of the statement in it. */
export function ofExplained(thrown: unknown): unknown {
  if (!(thrown instanceof GatewayError) || thrown.position === undefined) return thrown
  const { sqlState, reason, message, severity, safeToRetry, stage, detail, hint, fields } = thrown
  return new GatewayError({
    sqlState,
    reason,
    message,
    severity,
    safeToRetry,
    stage,
    position: thrown.position - prefix.length,
    cause: thrown.cause,
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
    ...(fields === undefined ? {} : { fields }),
  })
}

/** Throws 54000 (`cost_limit_exceeded`) for an answer that shows no plan: what cannot be estimated is not run. */
export async function readEstimate(rows: RowStream): Promise<Estimate> {
  using held = rows
  const lines: string[] = []
  for (let batch = await held.next(); batch !== undefined; batch = await held.next())
    for (const bytes of rowsOf(batch.bytes)) lines.push(rowValues(bytes).at(-1)?.toString() ?? "")
  const estimate = estimateOf(lines.join("\n"))
  if (estimate !== undefined) return estimate
  throw new GatewayError({
    sqlState: SqlState.ProgramLimitExceeded,
    reason: "cost_limit_exceeded",
    message: "the warehouse gave no estimate for this statement",
    hint: "Your role may only run statements whose cost is known before.",
  })
}

/** DataRow messages one by one. */
function* rowsOf(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length; ) {
    const end = start + 1 + bytes.readInt32BE(start + 1)
    yield bytes.subarray(start, end)
    start = end
  }
}

type Step = { readonly [key: string]: unknown }

/** PostgreSQL's plan is one with `Plans` in it; DuckDB's a list with `children`. */
export function estimateOf(text: string): Estimate | undefined {
  let plan: unknown
  try {
    plan = JSON.parse(text)
  } catch {
    return undefined
  }
  const top: unknown = Array.isArray(plan) ? plan[0] : undefined
  if (!isStep(top)) return undefined
  const postgres = top["Plan"]
  if (isStep(postgres)) {
    const cost = Number(postgres["Total Cost"])
    const rows = stepsOf(postgres, "Plans").map((step) => Number(step["Plan Rows"]))
    return finite({ cost, rows: Math.max(...rows) })
  }
  const rows = stepsOf(top, "children").map(cardinality)
  return finite({ cost: rows.reduce((sum, count) => sum + count, 0), rows: Math.max(...rows) })
}

/** DuckDB gives none for a few steps, such as the one that takes the rows. */
function cardinality(step: Step): number {
  const extra = step["extra_info"]
  const count = isStep(extra) ? extra["Estimated Cardinality"] : undefined
  return typeof count === "string" ? Number(count.replace(/^~/, "")) : 0
}

function finite(estimate: Estimate): Estimate | undefined {
  return Number.isFinite(estimate.cost) && Number.isFinite(estimate.rows) ? estimate : undefined
}

function stepsOf(top: Step, children: string): readonly Step[] {
  const steps = [top]
  for (const step of steps) {
    const below = step[children]
    if (Array.isArray(below)) steps.push(...below.filter(isStep))
  }
  return steps
}

function isStep(value: unknown): value is Step {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
