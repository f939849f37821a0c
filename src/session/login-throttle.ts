import { hash } from "node:crypto"

/**
 * Slows down whoever guesses passwords, and nobody else.
 *
 * Failed logins are counted for a user at an address, for an address, and for a user. Above a number that people reach by
 * mistake, the next login of that kind has to wait before it is challenged, right password or not, since an answer that
 * comes at once only when it is right would tell the same. Nobody is ever locked out:
 *
 * - Failures elsewhere never refuse a login. Those for one user from many addresses only delay, and not from an address
 *   where that user has logged in within the hour; so a stranger cannot keep the warehouse's service user out.
 * - At the same address, logins that wait are few (`waitingMax`), which bounds the guesses there to `waitingMax` for each
 *   `delayMsMax`; what comes above is refused with 53300. Someone at the same address who names the same user competes.
 *
 * A login that was never slowed costs three map look-ups. Memory is bounded: `entriesMax` of each kind, the oldest go first.
 */
export type LoginThrottleOptions = {
  /** Failures of one user at one address before the next login waits; ten times as many for an address or a user. 0 = never waits. */
  readonly failuresMax: number
  readonly delayMsMax: number
  /** A monotonic clock. */
  readonly nowMs: () => number
}

export type Admission =
  | { readonly kind: "at_once" }
  /** `leave` must be called once, when the login is over. */
  | { readonly kind: "after"; readonly delayMs: number; readonly leave: () => void }
  | { readonly kind: "refused" }

type Count = { failures: number; sinceMs: number; waiting: number }

/** Above some 100 bytes each, so a megabyte a kind. */
const entriesMax = 10_000
const evictedAtOnce = 1_000
/** Delay of the first login above the limit; it doubles with each further failure. */
const delayMsMin = 100
const waitingMax = 4
/** A failure is forgotten after so long: at one address for one user, and everywhere else. */
const pairForgetMs = 6_000
const wideForgetMs = 600
const wideFactor = 10
const knownMs = 3_600_000
/** Longer names cannot be users of the configuration; they are kept as a digest. */
const nameCharsMax = 63

const atOnce: Admission = { kind: "at_once" }

export class LoginThrottle {
  readonly #options: LoginThrottleOptions
  readonly #pairs = new Map<string, Count>()
  readonly #addresses = new Map<string, Count>()
  readonly #users = new Map<string, Count>()
  /** Last login of a user at an address. A map of its own, so that made-up names cannot push anybody out. */
  readonly #knownMs = new Map<string, number>()
  delayed = 0
  refused = 0

  constructor(options: LoginThrottleOptions) {
    this.#options = options
  }

  admit(address: string, user: string): Admission {
    const { failuresMax, nowMs } = this.#options
    if (failuresMax === 0) return atOnce
    const now = nowMs()
    const name = nameOf(user)
    const key = pairKey(address, name)
    const pair = this.#pairs.get(key)
    const pairDelay = this.#delayOf(pair, failuresMax, pairForgetMs)
    if (now - (this.#knownMs.get(key) ?? Number.NEGATIVE_INFINITY) < knownMs)
      return pairDelay === 0 ? atOnce : this.#wait(pair, pairDelay)
    const host = this.#addresses.get(address)
    const hostDelay = this.#delayOf(host, failuresMax * wideFactor, wideForgetMs)
    const userDelay = this.#delayOf(this.#users.get(name), failuresMax * wideFactor, wideForgetMs)
    const delayMs = Math.max(pairDelay, hostDelay, userDelay)
    if (delayMs === 0) return atOnce
    // Guesses from everywhere at one user have no entry that could be full: nobody is refused for what strangers do.
    if (hostDelay > 0) return this.#wait(host, delayMs)
    return this.#wait(pairDelay > 0 ? pair : undefined, delayMs)
  }

  /** The password was wrong, or there is no such user: both alike. */
  failed(address: string, user: string): void {
    const name = nameOf(user)
    this.#count(this.#pairs, pairKey(address, name), pairForgetMs)
    this.#count(this.#addresses, address, wideForgetMs)
    this.#count(this.#users, name, wideForgetMs)
  }

  succeeded(address: string, user: string): void {
    putLast(this.#knownMs, pairKey(address, nameOf(user)), this.#options.nowMs())
  }

  #delayOf(count: Count | undefined, failuresMax: number, forgetMs: number): number {
    if (count === undefined) return 0
    this.#forget(count, forgetMs)
    const above = Math.ceil(count.failures) - failuresMax
    if (above <= 0) return 0
    // The exponent is capped where any delay has long reached its maximum.
    return Math.min(delayMsMin * 2 ** Math.min(above - 1, 20), this.#options.delayMsMax)
  }

  #wait(holder: Count | undefined, delayMs: number): Admission {
    if (holder !== undefined && holder.waiting >= waitingMax) {
      this.refused += 1
      return { kind: "refused" }
    }
    if (holder !== undefined) holder.waiting += 1
    this.delayed += 1
    return {
      kind: "after",
      delayMs,
      leave: () => {
        if (holder !== undefined) holder.waiting -= 1
      },
    }
  }

  #count(counts: Map<string, Count>, key: string, forgetMs: number): void {
    const entry = this.#entry(counts, key)
    this.#forget(entry, forgetMs)
    entry.failures += 1
  }

  #forget(count: Count, forgetMs: number): void {
    const now = this.#options.nowMs()
    count.failures = Math.max(0, count.failures - (now - count.sinceMs) / forgetMs)
    count.sinceMs = now
  }

  #entry(counts: Map<string, Count>, key: string): Count {
    const entry = counts.get(key) ?? { failures: 0, sinceMs: this.#options.nowMs(), waiting: 0 }
    putLast(counts, key, entry)
    return entry
  }
}

/**
 * The keys that were not touched for longest then come first. They go by the thousand: to find the first key of a map that
 * others were just deleted from takes 70 us at this size, which a flood of failed logins would pay each time.
 */
function putLast<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= entriesMax) return
  let left = evictedAtOnce
  for (const oldest of map.keys()) {
    if (left === 0) return
    left -= 1
    map.delete(oldest)
  }
}

/** A digest and not a part of the name: a part keeps the whole text alive in V8, up to 10,000 characters each. */
function nameOf(user: string): string {
  return user.length <= nameCharsMax ? user : `#${hash("sha256", user, "base64")}`
}

function pairKey(address: string, user: string): string {
  return `${address}\0${user}`
}
