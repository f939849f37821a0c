import type { FastifyReply } from "fastify"
import { type ErrorReason, GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"

/** One fault of a request body or query, at the place where it is. */
export type Fault = { readonly path: string; readonly detail: string }

/** Problem details (RFC 9457). `type` is the reason, as docs/ERRORS.md lists it. */
export type Problem = {
  readonly type: ErrorReason
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly hint?: string
  readonly instance?: string
  readonly errors?: readonly Fault[]
}

type Answer = { readonly status: number; readonly title: string }

/** Reasons that a caller of the control listener can meet. Every other one is a fault of ours: 500. */
const answerByReason: ReadonlyMap<ErrorReason, Answer> = new Map([
  ["malformed_body", { status: 400, title: "Malformed request" }],
  ["invalid_parameter", { status: 400, title: "Invalid parameter" }],
  ["unauthorized", { status: 401, title: "No valid bearer token" }],
  ["forbidden", { status: 403, title: "Scope missing" }],
  ["not_found", { status: 404, title: "Not found" }],
  ["method_not_allowed", { status: 405, title: "Method not allowed" }],
  ["idempotency_conflict", { status: 409, title: "Idempotency-Key used with another body" }],
  ["body_too_large", { status: 413, title: "Request body too large" }],
  ["too_many_items", { status: 413, title: "Too many items" }],
  ["unsupported_media_type", { status: 415, title: "Unsupported media type" }],
  ["call_rate_limited", { status: 429, title: "Too many calls" }],
  ["queue_full", { status: 503, title: "Too many calls at once" }],
  ["queue_timeout", { status: 503, title: "Waited too long" }],
  ["warehouse_unreachable", { status: 503, title: "Warehouse unreachable" }],
  ["warehouse_busy", { status: 503, title: "Warehouse busy" }],
  ["redis_unavailable", { status: 503, title: "Redis unavailable" }],
  ["draining", { status: 503, title: "Shutting down" }],
])

const internal: Answer = { status: 500, title: "Internal error" }

/** Never above 2: orchestrators' clients hold their pipeline for as long as this says. */
const retryAfterSeconds = 1

export function problemOf(error: GatewayError, instance: string | undefined): Problem {
  const answer = answerByReason.get(error.reason) ?? internal
  // What went wrong inside is for the log: its text may name hosts, files or values.
  const detail = answer === internal ? "The gateway failed; its log has the cause." : error.message
  return {
    type: answer === internal ? "invariant_violation" : error.reason,
    title: answer.title,
    status: answer.status,
    detail,
    ...(error.hint === undefined || answer === internal ? {} : { hint: error.hint }),
    ...(instance === undefined ? {} : { instance }),
    ...(error instanceof FaultyRequest ? { errors: error.faults } : {}),
  }
}

/** Sends the error; headers such as WWW-Authenticate and Allow are set by who knows them. */
export function sendProblem(reply: FastifyReply, error: GatewayError, instance: string) {
  const problem = problemOf(error, instance)
  if (problem.status === 503) void reply.header("retry-after", String(retryAfterSeconds))
  return reply.code(problem.status).type("application/problem+json").send(problem)
}

/** An error of the control surface itself. The SQLSTATE is never seen over HTTP. */
export function controlError(reason: ErrorReason, message: string): GatewayError {
  return new GatewayError({ sqlState: SqlState.InvalidParameterValue, reason, message })
}

/** A request with faults at known places; 400 with all of them. */
export class FaultyRequest extends GatewayError {
  readonly faults: readonly Fault[]

  constructor(faults: readonly Fault[]) {
    const [first] = faults
    const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : ""
    super({
      sqlState: SqlState.InvalidParameterValue,
      reason: "malformed_body",
      message: `${first?.path ?? "body"} ${first?.detail ?? "is malformed"}${more}`,
    })
    this.faults = faults
  }
}
