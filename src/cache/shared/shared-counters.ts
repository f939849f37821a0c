import { type ValueRefusal, valueRefusals } from "./shared-value.ts"

/** How a look-up in the shared tier ended. Closed: the label `result` of `cache_requests_total{tier="l2"}`. */
export type RequestResult =
  | "hit"
  | "miss"
  /** Older than this instance's TTL allows. */
  | "expired"
  /** Made at a time that is still to come, by more than clocks may differ. */
  | "from_future"
  | ValueRefusal
  | "timeout"
  | "error"
  | "circuit_open"

/** What became of a fresh result that could have been shared. Closed: a metric label. */
export type StoreResult =
  | "stored"
  | "too_large"
  | "not_worth_it"
  | "expired"
  /** Too many bytes were on their way already. */
  | "busy"
  | "timeout"
  | "error"
  | "circuit_open"

/** How a wait for another instance's run ended. Closed: a metric label. */
export type WaitResult = "served" | "led" | "alone" | "timeout" | "crowded" | "left"

/** Counters since start, for metrics. Read them; only the tier writes. */
export type SharedCounters = {
  readonly requests: Record<RequestResult, number>
  readonly stores: Record<StoreResult, number>
  readonly waits: Record<WaitResult, number>
  /** Warehouse time that the hits would have cost. */
  savedMs: number
  readBytes: number
  writtenBytes: number
}

export function newCounters(): SharedCounters {
  const refusals = Object.fromEntries(valueRefusals.map((reason) => [reason, 0])) as Record<
    ValueRefusal,
    number
  >
  const failures = { timeout: 0, error: 0, circuit_open: 0 }
  return {
    requests: { hit: 0, miss: 0, expired: 0, from_future: 0, ...refusals, ...failures },
    stores: { stored: 0, too_large: 0, not_worth_it: 0, expired: 0, busy: 0, ...failures },
    waits: { served: 0, led: 0, alone: 0, timeout: 0, crowded: 0, left: 0 },
    savedMs: 0,
    readBytes: 0,
    writtenBytes: 0,
  }
}
