import { hash } from "node:crypto"
import type { FastifyInstance, InjectOptions } from "fastify"
import type { Check, ControlOptions, Reload } from "../../../src/control/options.ts"
import { createControl } from "../../../src/control/server.ts"
import type {
  InvalidationOutcome,
  InvalidationRequest,
  Invalidator,
  RelationFreshness,
} from "../../../src/core/invalidation.ts"
import { relationName } from "../../../src/core/relation.ts"
import { createLog } from "../../../src/observe/log.ts"
import type { InvalidationEvent } from "../../../src/observe/metrics.ts"

export const tokens = {
  invalidate: "token-that-may-invalidate",
  read: "token-that-may-read",
  metrics: "token-that-may-scrape",
  admin: "token-that-may-everything",
} as const

/** Keeps what it was asked and answers as it was told. */
export class RecordingInvalidator implements Invalidator {
  readonly requests: InvalidationRequest[] = []
  readonly outcomes: InvalidationOutcome[] = []
  readonly freshness: RelationFreshness[] = []
  readonly relationCalls: { name: string | undefined; limit: number }[] = []
  readonly sinceCalls: { timeMs: number; limit: number }[] = []
  status: InvalidationOutcome["status"] = "applied"
  failure: Error | undefined
  /** Awaited before every answer. */
  gate: Promise<void> = Promise.resolve()

  async invalidate(request: InvalidationRequest): Promise<InvalidationOutcome> {
    this.requests.push(request)
    await this.gate
    if (this.failure !== undefined) throw this.failure
    const outcome: InvalidationOutcome = {
      id: `inv_${this.requests.length}`,
      status: this.status,
      appliedAt: "2026-08-20T10:00:00.000Z",
      items: [
        {
          item: "marts.daily",
          kind: "relation",
          resolved: [relationName("marts", "daily")],
          dependents: [relationName("marts", "v_daily")],
          entries: 7,
        },
      ],
      unmatched: ["marts.unknown"],
      instances: { known: 1, confirmed: 1, leaseExpired: 0 },
    }
    this.outcomes.push(outcome)
    return outcome
  }

  find(id: string): InvalidationOutcome | undefined {
    return this.outcomes.find((outcome) => outcome.id === id)
  }

  relations(name: string | undefined, limit: number): readonly RelationFreshness[] {
    this.relationCalls.push({ name, limit })
    return this.freshness.slice(0, limit)
  }

  since(timeMs: number, limit: number): readonly InvalidationOutcome[] {
    this.sinceCalls.push({ timeMs, limit })
    return this.outcomes.slice(0, limit)
  }
}

export class Harness {
  readonly invalidator = new RecordingInvalidator()
  readonly events: InvalidationEvent[] = []
  readonly logLines: string[] = []
  readonly app: FastifyInstance
  checks: readonly Check[] = [{ name: "listener", isOk: true }]
  isStarted = true
  steadyMs = 0
  reload: Reload = { kind: "none" }
  nowMs = Date.parse("2026-08-20T10:00:00Z")

  constructor(changes: Partial<ControlOptions> = {}) {
    this.app = createControl({
      tokens: Object.entries(tokens).map(([scope, token]) => ({
        name: `the-${scope}-token`,
        sha256: hash("sha256", token, "hex"),
        scopes: [scope as keyof typeof tokens],
        callsPerMinuteMax: 600,
      })),
      metricsPublic: false,
      bodyBytesMax: 4_096,
      warehouses: ["mart"],
      invalidator: this.invalidator,
      log: createLog({ level: "trace", format: "json", write: (line) => this.logLines.push(line) }),
      isStarted: () => this.isStarted,
      readiness: () => this.checks,
      metrics: {
        contentType: "text/plain; version=0.0.4; charset=utf-8",
        render: () => Promise.resolve("sluice_build_info 1\n"),
        invalidationFinished: (event) => this.events.push(event),
      },
      status: () => ({
        version: "0.1.0",
        startedAtMs: this.nowMs - 90_000,
        warehouses: [{ name: "mart", engine: "postgres", isUp: true }],
        cache: { entries: 1, bytes: 2, bytesMax: 3, hits: 4, misses: 5 },
      }),
      reload: () => this.reload,
      nowMs: () => this.nowMs,
      steadyMs: () => this.steadyMs,
      ...changes,
    })
  }

  /** One call; `body` goes as JSON unless it is text or bytes already. */
  async call(
    method: "GET" | "POST" | "PUT" | "DELETE" | "HEAD" | "OPTIONS",
    url: string,
    options: CallOptions = {},
  ) {
    const { token, body, headers } = options
    const isText = typeof body === "string" || Buffer.isBuffer(body)
    const payload = body === undefined || isText ? body : JSON.stringify(body)
    const request: InjectOptions = {
      method,
      url,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(payload === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(payload === undefined ? {} : { payload }),
    }
    const { statusCode, headers: answered, payload: text } = await this.app.inject(request)
    const isJson = text !== "" && String(answered["content-type"]).includes("json")
    return {
      status: statusCode,
      headers: answered,
      text,
      json: isJson ? JSON.parse(text) : undefined,
    }
  }

  invalidate(body: unknown, headers: Record<string, string> = {}) {
    return this.call("POST", "/v1/invalidations", { token: tokens.invalidate, body, headers })
  }
}

type CallOptions = {
  readonly token?: string
  readonly body?: unknown
  readonly headers?: Record<string, string>
}
