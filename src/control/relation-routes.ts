import type { FastifyInstance } from "fastify"
import type { RelationFreshness } from "../core/invalidation.ts"
import type { ControlOptions } from "./options.ts"
import { readRelationsQuery } from "./query.ts"

/** How fresh relations are: when each was last invalidated, by whom, and how many cached results depend on it. */
export function relationRoutes(app: FastifyInstance, options: ControlOptions): void {
  app.get("/v1/relations", { config: { scope: "read" } }, (request, reply) => {
    const { name, limit } = readRelationsQuery(request.query as Record<string, string>)
    const found = options.invalidator.relations(name, limit)
    return reply.send({ relations: found.map(freshnessJson) })
  })
}

function freshnessJson(freshness: RelationFreshness) {
  const { relation, invalidatedAt, id, source, entriesThen, entriesNow } = freshness
  return {
    relation,
    invalidated_at: invalidatedAt,
    invalidation: id,
    source: {
      kind: source.kind,
      ...(source.job === undefined ? {} : { job: source.job }),
      ...(source.runId === undefined ? {} : { run_id: source.runId }),
    },
    entries_then: entriesThen,
    entries_now: entriesNow,
  }
}
