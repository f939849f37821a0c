import { setTimeout as sleep } from "node:timers/promises"
import { storeClosedEarly } from "../store-errors.ts"
import type { InstanceCount } from "../token-store.ts"
import type { Ledger, Raised, Status } from "./ledger.ts"

const statusDelayMsMin = 1
const statusDelayMsMax = 50
const statusDelayPart = 0.25

export type SettleOptions = {
  readonly ledger: Pick<Ledger, "status" | "forget">
  readonly raised: Raised
  /** The longest that another instance takes a lease for, by this instance's clock. */
  readonly leaseMs: number
  readonly nowMs: () => number
  /** Whether the registry has everybody who may hold a lease. */
  readonly believes: (status: NonNullable<Status>) => boolean
  /** Told of every count. */
  readonly report: (count: InstanceCount) => void
  /** Aborted when the store is closed. */
  readonly signal: AbortSignal
}

/** A registry as it was, and when it had been read. */
type Look = { readonly status: NonNullable<Status>; readonly atMs: number }

/**
 * Waits until every instance has confirmed, or a lease after the raise was durable, which is when this is called. Why that
 * suffices stands in redis-token-store.ts. Rejects when the store is closed before.
 */
export async function settle(options: SettleOptions): Promise<InstanceCount> {
  const { ledger, raised, nowMs, report, signal } = options
  const overAtMs = nowMs() + options.leaseMs
  let first: Look | undefined
  let count: InstanceCount = { known: 1, confirmed: 0, leaseExpired: 0 }
  const startMs = nowMs()
  while (nowMs() < overAtMs) {
    const status = await within(ledger.status(), overAtMs - nowMs(), signal)
    if (status?.registry === raised.registry) {
      first ??= { status, atMs: nowMs() }
      count = countOf(status, raised)
      report(count)
      if (count.confirmed === count.known && options.believes(status)) return count
    }
    await pause(Math.min(delayOf(nowMs() - startMs), overAtMs - nowMs()), signal)
  }
  if (first !== undefined) forgetSilent(options, first).catch(() => undefined)
  count = { ...count, leaseExpired: count.known - count.confirmed }
  report(count)
  return count
}

/** So that the caller waits a quarter longer than it takes, at most. */
function delayOf(waitedMs: number): number {
  return Math.min(statusDelayMsMax, Math.max(statusDelayMsMin, waitedMs * statusDelayPart))
}

/**
 * Takes instances out of the registry that have not beaten for a whole lease since they were first looked at, so that the next
 * raise need not wait for them. Not before: one that beat just before that look has a lease that much longer.
 */
async function forgetSilent(options: SettleOptions, first: Look): Promise<void> {
  const { ledger, raised, leaseMs, nowMs, signal } = options
  await pause(first.atMs + leaseMs - nowMs(), signal)
  const silent = first.status.instances.filter(({ seq }) => seq < raised.seq)
  // Those that have beaten since are written otherwise now, and stay.
  if (silent.length > 0) await ledger.forget(raised.registry, silent)
}

function countOf(status: NonNullable<Status>, raised: Raised): InstanceCount {
  const confirmed = status.instances.filter(({ seq }) => seq >= raised.seq).length
  return { known: status.instances.length, confirmed, leaseExpired: 0 }
}

/** Rejects when the store is closed. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(Math.max(0, ms), undefined, { signal })
  } catch {
    throw storeClosedEarly()
  }
}

/** What Redis says within the time; undefined when it says nothing. */
async function within(status: Promise<Status>, ms: number, signal: AbortSignal): Promise<Status> {
  const over = new AbortController()
  try {
    const ends = AbortSignal.any([signal, over.signal])
    return await Promise.race([
      status.catch(() => undefined),
      pause(ms, ends).then(() => undefined),
    ])
  } finally {
    over.abort()
  }
}
