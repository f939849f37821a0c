import { randomBytes } from "node:crypto"
import type { RedisSettings } from "../../core/redis.ts"
import type { RelationName } from "../../core/relation.ts"
import { pastOfLinks } from "../soft-window.ts"
import { redisUnavailable, storeClosed } from "../store-errors.ts"
import { TokenMap } from "../token-map.ts"
import { TokenSource } from "../token-source.ts"
import {
  type InstanceCount,
  type RaiseOptions,
  type RaiseReceipt,
  type TokenStore,
  type TokenVector,
  unprovableFence,
} from "../token-store.ts"
import {
  type Heartbeat,
  Ledger,
  type LedgerEvents,
  type LedgerParts,
  type Position,
  type Status,
} from "./ledger.ts"
import { settle } from "./settle.ts"

/**
 * Tokens of several instances, kept in one Redis.
 *
 * **Promise.** Once a receipt has settled, no instance hands out a vector with a token older than the raise, whatever has
 * happened to Redis, to its connections or to the instances in between.
 *
 * **Protocol.** Redis holds the registry's name, the epoch, a sequence number, all tokens, a log of changes and the instances.
 * An instance beats: one script tells Redis which change it has applied and gives it the later ones. It may use its map
 * for `leaseMs` from the moment *before* a beat that has succeeded was sent; this is looked at when a read is served. A raise
 * is one script, too. It settles when every instance in the registry has told a position at or after it, or a lease after it
 * was durable, whichever is first.
 *
 * **Why it holds.** Let a raise have the number S and be durable at time D.
 * 1. *A lease after D* every instance has applied S or has stopped. A beat that Redis ran after S gave S to its sender,
 *    which applies it before it takes the new lease. A beat that ran before S was sent before D, so that its lease is over. No
 *    clocks are compared: both sides measure the same length, and the raiser adds `driftPart`.
 * 2. *All have confirmed* is as good, because a confirmation is sent by who has applied S, if the registry has everybody who
 *    holds a lease. A beat enters its sender into the registry in the same step, and only two things take an instance out: it
 *    says that it has closed, or it has not beaten for a whole lease since somebody looked. A registry that was begun
 *    less than a lease ago may lack instances that beat before that; it is not believed until some instance has known it for a lease.
 * 3. *Redis loses data* (flush, restart, failover, eviction of a key). Scripts take what they find only when it is whole and
 *    was written to this server in this life (`run_id`, `master_replid`); else they begin a new registry and a new random epoch, so that no
 *    entry made under a lost token is ever found again, and 2 waits. An instance that still holds the old map is bounded by 1.
 * 4. *Two masters* (a partition during a failover). A beat on the old master must not count. With `replicasMin` at the number
 *    of replicas it does not: the one that was promoted no longer answers the old master's WAIT. With less, it may, as long as
 *    the old master takes writes.
 * 5. *An instance is paused* beyond its lease (SIGSTOP): the clock goes on (CLOCK_MONOTONIC counts while a process is stopped;
 *    the wall clock is looked at as well, which goes on while a machine sleeps), and the lease is looked at by the read that it serves.
 * 6. *Hints by pub/sub* only make a beat come sooner. Losing all of them costs time.
 * 7. *A late answer* of a beat is thrown away, a late beat of an instance only makes it look older than it is, and a late raise
 *    invalidates once more.
 */

/** More than any two clocks of machines in order drift apart over a lease. */
const driftPart = 0.02
const driftMsMin = 10
/** Beats in one lease: so many may be lost one after the other before it ends. */
const beatsPerLease = 6
/** Least time between two attempts to learn the primary's position. */
const positionIntervalMs = 5_000

export type TokenNews = {
  /** undefined: all of them. */
  readonly relations: readonly RelationName[] | undefined
  /** Those of them whose last change was soft: what stands under the tokens before may still be served. */
  readonly softened: readonly RelationName[]
  /** Nothing stored before can be found any more. */
  readonly isNewEpoch: boolean
  /** Raised by this instance alone. */
  readonly isOwn: boolean
}

export type RedisTokenStoreOptions = {
  readonly settings: RedisSettings
  /**
   * Called before the lease that comes with the news: what an instance derives from the warehouse must be made anew by the
   * time it says that it has applied them.
   */
  readonly onNews?: (news: TokenNews) => void
  /**
   * The primary's position now, for the first fence of a registry; `unprovable` when it cannot be learned, undefined when the
   * engines have none. Left out: relations without a token stay with the primary after Redis has lost something.
   */
  readonly position?: () => Promise<string | undefined>
  readonly events?: Omit<LedgerEvents, "hint"> & {
    readonly connectionChanged?: (isConnected: boolean) => void
  }
  readonly ledger?: LedgerParts
  /** Monotonic. */
  readonly nowMs?: () => number
  readonly wallMs?: () => number
}

export class RedisTokenStore implements TokenStore {
  readonly #instance = randomBytes(8).toString("hex")
  readonly #map = new TokenMap("")
  readonly #source: TokenSource
  readonly #ledger: Ledger
  readonly #leaseMs: number
  /** The longest that any instance was heard to take, should they not be configured alike. */
  #leaseMsMax: number
  readonly #onNews: (news: TokenNews) => void
  readonly #nowMs: () => number
  readonly #wallMs: () => number
  readonly #closing = new AbortController()
  readonly #loop: Promise<void>
  #wake = Promise.withResolvers<void>()
  #isHinted = false
  #known: Position | undefined
  /** When the beat was sent that told of `#known`: whatever is new after it happened later. */
  #knownSentAtMs = Number.NEGATIVE_INFINITY
  /** When this instance first saw the registry that it knows. */
  #registrySinceMs = 0
  #beat = 0
  #leaseUntilMs = Number.NEGATIVE_INFINITY
  #leaseUntilWallMs = Number.NEGATIVE_INFINITY
  #isLeased = false
  #leaseExpiredCount = 0
  #epochCount = 0
  #overflowCount = 0
  #failures = 0
  readonly #position: RedisTokenStoreOptions["position"]
  #positionDueMs = Number.NEGATIVE_INFINITY
  readonly #connectionChanged: (isConnected: boolean) => void

  constructor(options: RedisTokenStoreOptions) {
    const { settings } = options
    this.#leaseMs = settings.leaseMs
    this.#leaseMsMax = settings.leaseMs
    this.#onNews = options.onNews ?? (() => {})
    this.#nowMs = options.nowMs ?? (() => performance.now())
    this.#wallMs = options.wallMs ?? Date.now
    this.#source = new TokenSource(this.#wallMs, this.#instance)
    this.#position = options.position
    this.#connectionChanged = options.events?.connectionChanged ?? (() => {})
    const events = { ...options.events, hint: () => this.#hint() }
    this.#ledger = new Ledger(settings, events, options.ledger)
    this.#loop = this.#beatForEver()
  }

  get revision(): number {
    return this.#map.revision
  }

  get epochCount(): number {
    return this.#epochCount
  }

  get leaseExpiredCount(): number {
    return this.#leaseExpiredCount
  }

  /** How often this instance's raises exceeded the number of tokens, each time at the price of a cold cache. */
  get overflowCount(): number {
    return this.#overflowCount
  }

  /** True while the last beat has succeeded. */
  get isConnected(): boolean {
    return this.#known !== undefined && this.#failures === 0
  }

  isUsable(): boolean {
    if (!this.#isLeased) return false
    if (this.#nowMs() < this.#leaseUntilMs && this.#wallMs() < this.#leaseUntilWallMs) return true
    this.#isLeased = false
    this.#leaseExpiredCount += 1
    return false
  }

  vector(relations: readonly RelationName[]): TokenVector {
    return this.#map.vector(relations)
  }

  pastVectors(relations: readonly RelationName[]): readonly TokenVector[] {
    return this.#map.pastVectors(relations, this.#nowMs())
  }

  async raise(
    relations: readonly RelationName[],
    options: RaiseOptions = {},
  ): Promise<RaiseReceipt> {
    return this.#raise(relations, options, false)
  }

  async renewEpoch(options: RaiseOptions = {}): Promise<RaiseReceipt> {
    return this.#raise([], options, true)
  }

  knows(relation: RelationName): boolean {
    return this.#map.get(relation) !== undefined
  }

  relations(): Iterable<RelationName> {
    return this.#map.relations()
  }

  /** Leaves the registry when it has stopped, so that no invalidation waits for an instance that is gone. */
  async close(): Promise<void> {
    const registry = this.#known?.registry
    this.#isLeased = false
    this.#closing.abort()
    this.#wake.resolve()
    this.#map.touch()
    await this.#loop
    if (registry !== undefined)
      await this.#ledger.forget(registry, [{ instance: this.#instance, text: "" }]).catch(() => {})
    this.#ledger.close()
  }

  async #raise(
    relations: readonly RelationName[],
    options: RaiseOptions,
    isNewEpoch: boolean,
  ): Promise<RaiseReceipt> {
    if (this.#closing.signal.aborted) throw storeClosed()
    const unique = this.#source.next()
    const raised = await this.#ledger
      .raise({
        instance: this.#instance,
        fresh: newName(),
        unique,
        fence: options.fence,
        maxStaleMs: options.maxStaleMs,
        isNewEpoch,
        relations: [...new Set(relations)],
      })
      .catch((cause: unknown) => {
        throw redisUnavailable(cause)
      })
    if (raised.isOverflow) this.#overflowCount += 1
    this.#leaseMsMax = Math.max(this.#leaseMsMax, raised.leaseMs)
    let progress: InstanceCount = { known: 1, confirmed: 0, leaseExpired: 0 }
    const settled = settle({
      ledger: this.#ledger,
      raised,
      leaseMs: this.#leaseOfOthersMs,
      nowMs: this.#nowMs,
      believes: (status) => this.#believes(status),
      report: (count) => {
        progress = count
      },
      signal: this.#closing.signal,
    })
    this.#hint()
    // Who does not wait for it need not handle its end.
    settled.catch(() => {})
    return { id: `inv_${unique}`, appliedAtMs: this.#wallMs(), progress: () => progress, settled }
  }

  /** The registry exists already, so that the position is not before any fence that was lost with the one before. */
  async #learnFence(registry: string): Promise<void> {
    if (this.#position === undefined || this.#nowMs() < this.#positionDueMs) return
    this.#positionDueMs = this.#nowMs() + positionIntervalMs
    const position = await this.#position()
    if (position !== unprovableFence) await this.#ledger.settleFence(registry, position)
  }

  /** Whether the registry has everybody who may hold a lease. */
  #believes(status: NonNullable<Status>): boolean {
    return status.isSettled || (this.#known?.registry === status.registry && this.#knowsForALease())
  }

  #knowsForALease(): boolean {
    return this.#nowMs() >= this.#registrySinceMs + this.#leaseOfOthersMs
  }

  /** The longest that another instance takes a lease for, by this instance's clock. */
  get #leaseOfOthersMs(): number {
    return this.#leaseMsMax * (1 + driftPart) + driftMsMin
  }

  #hint(): void {
    this.#isHinted = true
    this.#wake.resolve()
  }

  async #beatForEver(): Promise<void> {
    const beatMs = this.#leaseMs / beatsPerLease
    await this.#ledger.started()
    while (!this.#closing.signal.aborted) {
      this.#wake = Promise.withResolvers<void>()
      this.#isHinted = false
      const hasNews = await this.#beatOnce()
      // What has just been applied is confirmed at once.
      if (hasNews || this.#isHinted) continue
      const timer = setTimeout(() => this.#wake.resolve(), beatMs)
      await this.#wake.promise
      clearTimeout(timer)
      // Counted here, too, for an instance that nobody asks.
      this.isUsable()
    }
  }

  /** True when there was something new. Never throws. */
  async #beatOnce(): Promise<boolean> {
    const sentAtMs = this.#nowMs()
    const sentAtWallMs = this.#wallMs()
    this.#beat += 1
    try {
      const heartbeat = await this.#ledger.heartbeat({
        instance: this.#instance,
        fresh: newName(),
        known: this.#known,
        beat: this.#beat,
        knowsForALease: this.#known !== undefined && this.#knowsForALease(),
      })
      if (this.#closing.signal.aborted) return false
      if (this.#failures > 0 || this.#known === undefined) this.#connectionChanged(true)
      this.#failures = 0
      this.#apply(heartbeat, sentAtMs)
      this.#leaseUntilMs = sentAtMs + this.#leaseMs
      this.#leaseUntilWallMs = sentAtWallMs + this.#leaseMs
      this.#isLeased = true
      return heartbeat.news.kind !== "same"
    } catch {
      this.#failures += 1
      if (this.#failures === 1 && !this.#closing.signal.aborted) this.#connectionChanged(false)
      if (isLate(this.#nowMs() - sentAtMs, this.#leaseMs)) this.#ledger.redial()
      return false
    }
  }

  /** Everything at once, so that no read sees a part of it. */
  #apply(heartbeat: Heartbeat, sentAtMs: number): void {
    const { registry, seq, epoch, epochFence, leaseMs, news } = heartbeat
    this.#leaseMsMax = Math.max(this.#leaseMsMax, leaseMs)
    if (this.#known?.registry !== registry) this.#registrySinceMs = this.#nowMs()
    if (news.kind !== "same") {
      const isNewEpoch = epoch !== this.#map.epoch
      if (news.kind === "all" || isNewEpoch) {
        if (this.#map.epoch !== "" && isNewEpoch) this.#epochCount += 1
        this.#map.startEpoch(epoch, epochFence)
      }
      // Who has missed the change itself does not know its time, and runs anew.
      const keepsPast = news.kind === "news" && !isNewEpoch
      const softened: RelationName[] = []
      for (const [relation, token] of news.tokens) {
        const { links, ...plain } = token
        const past =
          keepsPast && links !== undefined
            ? pastOfLinks(links, this.#map.get(relation), this.#knownSentAtMs)
            : undefined
        if (past !== undefined) softened.push(relation)
        this.#map.set(relation, past === undefined ? plain : { ...plain, past })
      }
      this.#onNews({
        relations: news.kind === "all" ? undefined : news.tokens.map(([relation]) => relation),
        softened,
        isNewEpoch,
        isOwn: news.origins.length > 0 && news.origins.every((one) => one === this.#instance),
      })
    }
    this.#map.setEpochFence(epochFence)
    this.#known = { registry, seq }
    this.#knownSentAtMs = sentAtMs
    // A failure is made good by the next attempt.
    if (epochFence === unprovableFence) this.#learnFence(registry).catch(() => undefined)
  }
}

/** The server has had its time: the connection may lead to one that is gone. */
function isLate(durationMs: number, leaseMs: number): boolean {
  return durationMs >= leaseMs * 0.9
}

function newName(): string {
  return randomBytes(16).toString("hex")
}
