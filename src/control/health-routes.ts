import type { FastifyInstance } from "fastify"
import { type Authenticator, mayUse } from "./authenticate.ts"
import type { ControlOptions } from "./options.ts"

export function healthRoutes(
  app: FastifyInstance,
  options: ControlOptions,
  authenticator: Authenticator,
): void {
  const open = { config: { scope: "public" } } as const

  // Answers as long as the event loop turns; anything else here would make an orchestrator kill a healthy process.
  app.get("/livez", open, (_request, reply) => reply.send({ status: "ok" }))

  app.get("/startupz", open, (_request, reply) => {
    const isStarted = options.isStarted()
    return reply.code(isStarted ? 200 : 503).send({ status: isStarted ? "ok" : "starting" })
  })

  app.get("/readyz", open, (request, reply) => {
    const checks = options.readiness()
    const isReady = checks.every(({ isOk }) => isOk)
    const status = isReady ? "ok" : "not_ready"
    void reply.code(isReady ? 200 : 503)
    const { verbose } = request.query as { verbose?: string }
    if (verbose === undefined || verbose === "false") return reply.send({ status })
    const caller = authenticator.callerOf(request.headers.authorization)
    const showsDetail = caller !== undefined && mayUse(caller, "read")
    return reply.send({
      status,
      checks: checks.map(({ name, isOk, detail }) => ({
        name,
        ok: isOk,
        ...(showsDetail && detail !== undefined ? { detail } : {}),
      })),
    })
  })

  const metricsScope = options.metricsPublic ? "public" : "metrics"
  app.get("/metrics", { config: { scope: metricsScope } }, async (_request, reply) => {
    const text = await options.metrics.render()
    return reply.type(options.metrics.contentType).send(text)
  })

  app.get("/v1/status", { config: { scope: "read" } }, (_request, reply) => {
    const { version, startedAtMs, warehouses, cache } = options.status()
    const nowMs = (options.nowMs ?? Date.now)()
    return reply.send({
      version,
      started_at: new Date(startedAtMs).toISOString(),
      uptime_seconds: Math.max(0, Math.round((nowMs - startedAtMs) / 1_000)),
      warehouses: warehouses.map(({ name, engine, isUp }) => ({ name, engine, up: isUp })),
      cache: {
        entries: cache.entries,
        bytes: cache.bytes,
        bytes_max: cache.bytesMax,
        hits: cache.hits,
        misses: cache.misses,
      },
    })
  })
}
