import type { FastifyInstance, FastifyRequest } from "fastify"
import type { InvalidationOutcome, InvalidationRequest } from "../core/invalidation.ts"
import { IdempotencyKeys } from "./idempotency.ts"
import { readInvalidationRequest } from "./invalidation-body.ts"
import { outcomeJson } from "./invalidation-json.ts"
import type { ControlOptions } from "./options.ts"
import { controlError } from "./problem.ts"
import { readSinceQuery } from "./query.ts"

/** Calls that wait for confirmations at once; above it 503, which every orchestrator's client repeats. */
const inFlightMax = 256

const idForm = /^[A-Za-z0-9_-]{1,64}$/

/** Performs an invalidation and records how it went, also when it failed. */
async function perform(
  options: ControlOptions,
  request: InvalidationRequest,
  caller: string,
): Promise<InvalidationOutcome> {
  const startMs = performance.now()
  const record = (
    status: "failed" | InvalidationOutcome["status"],
    matchedItems: number,
    unmatchedItems: number,
  ) => {
    const durationMs = performance.now() - startMs
    const { kind: source, job, runId } = request.source
    const result = { source, status, matchedItems, unmatchedItems, durationMs }
    const mode = request.maxStaleMs === undefined ? "hard" : "soft"
    options.metrics.invalidationFinished({ ...result, mode })
    options.log.info("invalidation", { ...result, mode, caller, job, runId })
  }
  try {
    const outcome = await options.invalidator.invalidate(request)
    record(outcome.status, outcome.items.length, outcome.unmatched.length)
    return outcome
  } catch (error) {
    record("failed", 0, 0)
    throw error
  }
}

export function invalidationRoutes(app: FastifyInstance, options: ControlOptions): void {
  const keys = new IdempotencyKeys(options.nowMs ?? Date.now)
  let inFlight = 0

  app.post("/v1/invalidations", { config: { scope: "invalidate" } }, async (request, reply) => {
    const parsed = readInvalidationRequest(request.body, options.warehouses)
    const key = idempotencyKeyOf(request)
    if (key !== undefined) keys.check(request.callerName, key, request.body)
    if (inFlight >= inFlightMax)
      throw controlError("queue_full", `${inFlightMax} invalidations are being applied already`)
    inFlight += 1
    try {
      const outcome = await perform(options, parsed, request.callerName)
      if (key !== undefined && !parsed.isDryRun)
        keys.remember(request.callerName, key, request.body)
      if (outcome.status === "pending")
        void reply.code(202).header("location", `/v1/invalidations/${outcome.id}`)
      return outcomeJson(outcome)
    } finally {
      inFlight -= 1
    }
  })

  app.get("/v1/invalidations", { config: { scope: "read" } }, (request, reply) => {
    const { sinceMs, limit } = readSinceQuery(request.query as Record<string, string>)
    const outcomes = options.invalidator.since(sinceMs, limit)
    return reply.send({ invalidations: outcomes.map(outcomeJson) })
  })

  app.get("/v1/invalidations/:id", { config: { scope: "read" } }, (request, reply) => {
    const { id } = request.params as { id: string }
    const outcome = idForm.test(id) ? options.invalidator.find(id) : undefined
    if (outcome === undefined)
      throw controlError("not_found", "no such invalidation; old ones are forgotten")
    return reply.send(outcomeJson(outcome))
  })
}

/** A header sent twice arrives joined by a comma, which no single key has to contain but may. */
function idempotencyKeyOf(request: FastifyRequest): string | undefined {
  const value = request.headers["idempotency-key"]
  return Array.isArray(value) ? value.join(", ") : value
}
