import type { CacheKey } from "./key.ts"
import type { StoredEntry } from "./stored-entry.ts"

export type SingleFlightLimits = {
  /** Keys that are being filled at one time; above it a leader runs unshared. */
  readonly flightsMax: number
  /** Waiters of one key; one more runs by itself. */
  readonly followersMax: number
}

/** Why a follower has to run its statement itself, outside of any flight. */
export type AloneReason = "failed" | "uncacheable" | "timeout" | "crowded"

/** How a wait ends. A leader's error is not among them: it is never handed on. */
export type FollowerOutcome =
  | { readonly kind: "stored"; readonly entry: StoredEntry }
  /** The leader gave up without an error; the caller holds the flight now and must settle it. */
  | { readonly kind: "leader"; readonly seat: LeaderSeat }
  | { readonly kind: "alone"; readonly reason: AloneReason }

export type Seat = LeaderSeat | FollowerSeat

/**
 * At most one run at a time for all concurrent callers of one key. The key contains the tokens, so a caller that came after
 * an invalidation never waits for a run that began before it.
 *
 *   join ──first──▶ leader ──complete──▶ followers get the entry
 *     │               ├──release(failed | uncacheable)──▶ followers run by themselves, outside of flights
 *     │               └──abandon──▶ the follower that waits longest becomes the leader, the others keep waiting
 *     └──later──▶ follower: waits at most `waitMsMax`, and leaves without a trace when its signal aborts
 */
export class SingleFlight {
  readonly #limits: SingleFlightLimits
  readonly #flights = new Map<string, Flight>()

  constructor(limits: SingleFlightLimits) {
    this.#limits = limits
  }

  /** Flights under way, for metrics. */
  get flightCount(): number {
    return this.#flights.size
  }

  /** Synchronous: of several callers in one turn of the event loop exactly one leads. */
  join(key: CacheKey): Seat {
    const current = this.#flights.get(key.lookup)
    if (current?.key.equals(key)) return new FollowerSeat(current, this.#limits.followersMax)
    // The table is full, or two keys share a digest: this one runs unshared.
    const isShared = current === undefined && this.#flights.size < this.#limits.flightsMax
    const flight = new Flight(key, () => {
      if (isShared) this.#flights.delete(key.lookup)
    })
    if (isShared) this.#flights.set(key.lookup, flight)
    return new LeaderSeat(flight)
  }
}

type Waiter = (outcome: FollowerOutcome) => void

/** One key being filled. It ends once; `outcome` is for a follower that joined before the end and waits after it. */
class Flight {
  readonly waiters = new Set<Waiter>()
  outcome: FollowerOutcome | undefined
  onDeserted: (() => void) | undefined
  readonly key: CacheKey
  readonly #remove: () => void

  constructor(key: CacheKey, remove: () => void) {
    this.key = key
    this.#remove = remove
  }

  /** Removes first: a caller that joins from here on starts anew and must not find an ended flight. */
  end(outcome: FollowerOutcome): void {
    this.#remove()
    this.outcome = outcome
    this.onDeserted = undefined
    const waiters = [...this.waiters]
    this.waiters.clear()
    for (const waiter of waiters) waiter(outcome)
  }

  handOver(): void {
    this.onDeserted = undefined
    const [longest] = this.waiters
    if (longest === undefined) {
      this.end({ kind: "alone", reason: "failed" })
      return
    }
    this.waiters.delete(longest)
    longest({ kind: "leader", seat: new LeaderSeat(this) })
  }

  leave(waiter: Waiter): void {
    if (this.waiters.delete(waiter) && this.waiters.size === 0) this.onDeserted?.()
  }
}

/**
 * The duty to end a flight, exactly once, by one of three verbs; later calls do nothing. Disposing is `abandon`, so that a
 * path that forgets cannot leave followers waiting.
 */
export class LeaderSeat {
  readonly role = "leader"
  readonly #flight: Flight
  #isSettled = false

  constructor(flight: Flight) {
    this.#flight = flight
  }

  get followerCount(): number {
    return this.#isSettled ? 0 : this.#flight.waiters.size
  }

  /** Called when the last follower has left before the end. The latest handler counts. */
  onDeserted(handler: () => void): void {
    if (!this.#isSettled) this.#flight.onDeserted = handler
  }

  /** The entry must be where `join`'s next caller looks first, before this is called. */
  complete(entry: StoredEntry): void {
    if (this.#settle()) this.#flight.end({ kind: "stored", entry })
  }

  release(reason: "failed" | "uncacheable"): void {
    if (this.#settle()) this.#flight.end({ kind: "alone", reason })
  }

  abandon(): void {
    if (this.#settle()) this.#flight.handOver()
  }

  [Symbol.dispose](): void {
    this.abandon()
  }

  #settle(): boolean {
    if (this.#isSettled) return false
    this.#isSettled = true
    return true
  }
}

export class FollowerSeat {
  readonly role = "follower"
  readonly #flight: Flight
  readonly #followersMax: number

  constructor(flight: Flight, followersMax: number) {
    this.#flight = flight
    this.#followersMax = followersMax
  }

  /** Call it in the same turn as `join`. Rejects with the signal's reason when that aborts. */
  wait(signal: AbortSignal, waitMsMax: number): Promise<FollowerOutcome> {
    const flight = this.#flight
    if (flight.outcome !== undefined) return Promise.resolve(flight.outcome)
    if (flight.waiters.size >= this.#followersMax)
      return Promise.resolve({ kind: "alone", reason: "crowded" })
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason)
        return
      }
      const stop = (): void => {
        clearTimeout(timer)
        signal.removeEventListener("abort", onAbort)
      }
      const waiter: Waiter = (outcome) => {
        stop()
        resolve(outcome)
      }
      const onAbort = (): void => {
        stop()
        reject(signal.reason)
        flight.leave(waiter)
      }
      const timer = setTimeout(() => {
        stop()
        resolve({ kind: "alone", reason: "timeout" })
        flight.leave(waiter)
      }, waitMsMax)
      signal.addEventListener("abort", onAbort)
      flight.waiters.add(waiter)
    })
  }
}
