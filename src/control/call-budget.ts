import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"

const minuteMs = 60_000

type Bucket = { calls: number; atMs: number }

/**
 * Calls a minute for each token: a bucket that is full at first and fills evenly, so that a burst of a minute's calls passes
 * and a loop that went wrong does not take the gateway with it. Callers are those of the configuration, so there are few.
 */
export class CallBudget {
  readonly #buckets = new Map<string, Bucket>()
  readonly #nowMs: () => number

  /** `nowMs` must never go back. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** Takes one call. Seconds to wait, at least 1, when none is left. */
  take(caller: string, callsPerMinuteMax: number): number | undefined {
    const nowMs = this.#nowMs()
    const bucket = this.#buckets.get(caller) ?? { calls: callsPerMinuteMax, atMs: nowMs }
    const filled = ((nowMs - bucket.atMs) / minuteMs) * callsPerMinuteMax
    const calls = Math.min(callsPerMinuteMax, bucket.calls + filled)
    const isLeft = calls >= 1
    this.#buckets.set(caller, { calls: isLeft ? calls - 1 : calls, atMs: nowMs })
    if (isLeft) return undefined
    return Math.max(1, Math.ceil((1 - calls) / (callsPerMinuteMax / (minuteMs / 1_000))))
  }
}

export function tooManyCalls(callsPerMinuteMax: number): GatewayError {
  return new GatewayError({
    sqlState: SqlState.TooManyConnections,
    reason: "call_rate_limited",
    message: `more than ${callsPerMinuteMax} calls a minute with this token`,
    hint: "Repeat after the time of Retry-After. control.tokens[].callsPerMinuteMax is the limit.",
    safeToRetry: true,
  })
}
