import { unreachable } from "../../src/core/errors.ts"
import {
  bind,
  close,
  describe,
  execute,
  flush,
  parse,
  query,
  sync,
  type Target,
} from "./frontend-encoder.ts"

/** Frontend messages as data (PostgreSQL manual, 54.7), so that a conversation can be generated, printed, cut down and sent. */
export type Step =
  | { readonly kind: "query"; readonly sql: string }
  | {
      readonly kind: "parse"
      readonly name: string
      readonly sql: string
      readonly types: readonly number[]
    }
  | {
      readonly kind: "bind"
      readonly portal: string
      readonly statement: string
      readonly formats: readonly number[]
      readonly values: readonly (Buffer | null)[]
      readonly resultFormats: readonly number[]
    }
  | { readonly kind: "describe"; readonly target: Target; readonly name: string }
  | { readonly kind: "execute"; readonly portal: string; readonly rowsMax: number }
  | { readonly kind: "close"; readonly target: Target; readonly name: string }
  | { readonly kind: "flush" }
  | { readonly kind: "sync" }

/** Messages that the server answers with exactly one ReadyForQuery: one Query, or a batch that ends in Sync. */
export type Exchange = readonly Step[]

/** Exchanges of one session, in order. A flow leaves the session as it found it. */
export type Flow = {
  readonly name: string
  readonly exchanges: readonly Exchange[]
}

function encodeStep(step: Step): Buffer {
  switch (step.kind) {
    case "query":
      return query(step.sql)
    case "parse":
      return parse(step.sql, step)
    case "bind":
      return bind(step)
    case "describe":
      return describe(step.target, step.name)
    case "execute":
      return execute(step.portal, step.rowsMax)
    case "close":
      return close(step.target, step.name)
    case "flush":
      return flush
    case "sync":
      return sync
    default:
      return unreachable(step)
  }
}

export function encodeExchange(exchange: Exchange): Buffer {
  return Buffer.concat(exchange.map(encodeStep))
}

function showValue(value: Buffer | null, format: number): string {
  if (value === null) return "NULL"
  return format === 1 ? `\\x${value.toString("hex")}` : JSON.stringify(value.toString())
}

function showStep(step: Step): string {
  switch (step.kind) {
    case "query":
      return `Query ${step.sql}`
    case "parse":
      return `Parse "${step.name}" types=[${step.types.join(",")}] ${step.sql}`
    case "bind": {
      const values = step.values.map((value, index) =>
        showValue(value, step.formats[step.formats.length === 1 ? 0 : index] ?? 0),
      )
      return `Bind portal="${step.portal}" statement="${step.statement}" formats=[${step.formats.join(",")}] values=[${values.join(", ")}] results=[${step.resultFormats.join(",")}]`
    }
    case "describe":
    case "close":
      return `${step.kind === "close" ? "Close" : "Describe"} ${step.target} "${step.name}"`
    case "execute":
      return `Execute "${step.portal}" rowsMax=${step.rowsMax}`
    case "flush":
      return "Flush"
    case "sync":
      return "Sync"
    default:
      return unreachable(step)
  }
}

/** One line a message, for reports. */
export function showExchange(exchange: Exchange): string {
  return exchange.map(showStep).join("\n")
}

/** The SQL texts of an exchange, for rules about known differences. */
export function textsOf(exchange: Exchange): readonly string[] {
  return exchange.flatMap((step) =>
    step.kind === "query" || step.kind === "parse" ? [step.sql] : [],
  )
}
