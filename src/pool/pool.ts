import type { InvariantViolation } from "../core/errors.ts"
import type { Warehouse, WarehouseConnection } from "../warehouse/warehouse.ts"
import { backoffMs } from "./backoff.ts"
import { Lease } from "./lease.ts"
import { connectTimeout, endpointDown, poolClosed, queueFull, queueTimeout } from "./pool-errors.ts"
import { Waiters } from "./waiters.ts"

export type PoolLimits = {
  readonly connectionsMax: number
  readonly waitersMax: number
  readonly waitMsMax: number
  /** An idle connection older than this is closed; 0 = never. */
  readonly idleCloseMs: number
  /** A connection older than this is closed when nobody uses it; 0 = never. */
  readonly lifetimeMsMax: number
  readonly connectTimeoutMs: number
  readonly settleTimeoutMs: number
}

/** What metrics and logs hear. Implementations must not throw. */
export type PoolEvents = {
  /** One lease was granted after this wait; 0 for a connection that was free. */
  waited(waitMs: number): void
  connected(connectMs: number): void
  connectFailed(error: unknown): void
  closed(reason: "idle" | "lifetime" | "dirty" | "dead" | "drain"): void
  misused(error: InvariantViolation): void
}

const noEvents: PoolEvents = {
  waited: () => {},
  connected: () => {},
  connectFailed: () => {},
  closed: () => {},
  misused: () => {},
}

export type PoolInit = {
  /** Name of the endpoint, as configured: for messages, metrics, `SHOW sluice.last`. */
  readonly name: string
  readonly warehouse: Warehouse
  readonly limits: PoolLimits
  readonly events?: PoolEvents
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

export type LeaseOptions = {
  /** Aborting gives up the place in the queue; the lease rejects with the signal's reason. */
  readonly signal: AbortSignal
  /** May shorten the pool's own limit, never lengthen it. */
  readonly waitMsMax?: number | undefined
}

export type PoolStats = {
  readonly total: number
  readonly idle: number
  /** In use, or being cleaned after use. */
  readonly leased: number
  readonly connecting: number
  readonly waiters: number
  /** Idle ones, and those that may still be opened. */
  readonly free: number
  /** False while nothing is connected and the last attempt failed. */
  readonly up: boolean
}

/** A connection of ours with its dates. */
type Slot = {
  readonly connection: WarehouseConnection
  readonly retireAtMs: number
  idleSinceMs: number
}

/** Share of the lifetime that is random, so that connections opened together do not all end together. */
const lifetimeJitterShare = 0.1
/** Idle connections are looked over at most this often. */
const sweepMsMin = 1_000

/**
 * Connections to one endpoint. Whoever asks gets the most recently used free connection (the warm one), else a new one
 * within `connectionsMax`, else a place in a bounded first-come queue. The endpoint is down when nothing is connected and
 * the last attempt failed: leases then fail at once with 08006, and one attempt at a time, with growing pauses, looks for
 * its return. Does not own the warehouse: whoever made that closes it.
 */
export class Pool {
  readonly name: string
  readonly warehouse: Warehouse
  readonly #limits: PoolLimits
  readonly #events: PoolEvents
  readonly #now: () => number
  /** Free connections, most recently used last. */
  readonly #idle: Slot[] = []
  readonly #leased = new Set<Slot>()
  readonly #waiters = new Waiters<Slot>()
  readonly #closing = new AbortController()
  #connecting = 0
  #failureCount = 0
  #lastFailure: unknown
  #probeTimer: NodeJS.Timeout | undefined
  #sweepTimer: NodeJS.Timeout | undefined
  #onDrained: (() => void) | undefined

  constructor(init: PoolInit) {
    this.name = init.name
    this.warehouse = init.warehouse
    this.#limits = init.limits
    this.#events = init.events ?? noEvents
    this.#now = init.now ?? (() => performance.now())
  }

  /**
   * Rejects with 53300 (`queue_full`, `queue_timeout`), 08006 (`warehouse_unreachable`), 57P03 (`draining`), or the
   * signal's reason. Costs no macrotask when a connection is free.
   */
  async lease(options: LeaseOptions): Promise<Lease> {
    options.signal.throwIfAborted()
    if (this.#closing.signal.aborted) throw poolClosed(this.name)
    const free = this.#takeIdle()
    if (free !== undefined) {
      this.#events.waited(0)
      return this.#grant(free)
    }
    if (this.#isDown) throw endpointDown(this.name, this.#lastFailure)
    const { waitersMax } = this.#limits
    // A waiter for whom a connection may still be opened is no burden on the queue.
    if (this.#waiters.size >= waitersMax + this.#openable) throw queueFull(this.name, waitersMax)
    const startedMs = this.#now()
    const waitMsMax = Math.min(options.waitMsMax ?? Infinity, this.#limits.waitMsMax)
    const wait = this.#waiters.wait({
      signal: options.signal,
      waitMsMax,
      onTimeout: () => queueTimeout(this.name, waitMsMax),
    })
    this.#openForWaiters()
    const slot = await wait
    this.#events.waited(this.#now() - startedMs)
    return this.#grant(slot)
  }

  /** True when a lease asked for now would take no connection that somebody waits for. */
  get hasRoom(): boolean {
    return this.#waiters.size === 0 && (this.#idle.length > 0 || this.#openable > 0)
  }

  stats(): PoolStats {
    const leased = this.#leased.size
    const idle = this.#idle.length
    return {
      total: leased + idle + this.#connecting,
      idle,
      leased,
      connecting: this.#connecting,
      waiters: this.#waiters.size,
      free: idle + this.#openable,
      up: !this.#isDown,
    }
  }

  /** Takes no more leases, rejects those who wait, and resolves when all connections are closed: after `drainMsMax` by force. */
  async close(drainMsMax: number): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort(poolClosed(this.name))
    clearTimeout(this.#probeTimer)
    clearTimeout(this.#sweepTimer)
    this.#waiters.rejectAll(poolClosed(this.name))
    for (const slot of this.#idle.splice(0)) this.#drop(slot, "drain")
    if (this.#leased.size + this.#connecting === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, drainMsMax)
      this.#onDrained = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    for (const slot of this.#leased) this.#drop(slot, "drain")
    this.#leased.clear()
  }

  get #isDown(): boolean {
    return this.#failureCount > 0 && this.#leased.size + this.#idle.length === 0
  }

  /** Down, and no attempt is under way from which those who wait may still get a connection. */
  get #isHopeless(): boolean {
    return this.#isDown && this.#connecting === 0
  }

  /** Connections that may be opened or are being opened for those who wait. */
  get #openable(): number {
    const { connectionsMax } = this.#limits
    return Math.max(0, connectionsMax - this.#leased.size - this.#idle.length)
  }

  #takeIdle(): Slot | undefined {
    for (;;) {
      const slot = this.#idle.pop()
      // One that died while it lay here (server restart) is replaced in silence.
      if (slot === undefined || slot.connection.state === "clean") return slot
      this.#drop(slot, "dead")
    }
  }

  #grant(slot: Slot): Lease {
    this.#leased.add(slot)
    return new Lease({
      connection: slot.connection,
      warehouse: this.warehouse,
      endpoint: this.name,
      onDispose: () => this.#takeBack(slot),
      onMisuse: (error) => this.#events.misused(error),
    })
  }

  #takeBack(slot: Slot): void {
    // Closed by force meanwhile.
    if (!this.#leased.has(slot)) return
    if (slot.connection.state === "clean") return this.#settled(slot, "clean")
    slot.connection.settle(this.#limits.settleTimeoutMs).then(
      (state) => this.#settled(slot, state),
      () => this.#settled(slot, "dirty"),
    )
  }

  #settled(slot: Slot, state: "clean" | "dirty"): void {
    if (!this.#leased.delete(slot)) return
    if (this.#closing.signal.aborted) {
      this.#drop(slot, "drain")
      this.#checkDrained()
    } else if (state === "dirty") {
      this.#drop(slot, "dirty")
      this.#sweepDead()
      this.#afterLoss()
    } else if (this.#now() >= slot.retireAtMs) {
      this.#drop(slot, "lifetime")
      this.#openForWaiters()
    } else {
      this.#free(slot)
    }
  }

  #free(slot: Slot): void {
    // Handed over through the set of leased ones, so that no moment exists in which it counts as neither.
    this.#leased.add(slot)
    if (this.#waiters.offer(slot)) return
    this.#leased.delete(slot)
    slot.idleSinceMs = this.#now()
    this.#idle.push(slot)
    this.#armSweep()
  }

  #drop(slot: Slot, reason: Parameters<PoolEvents["closed"]>[0]): void {
    slot.connection.close()
    this.#events.closed(reason)
  }

  /** One connection ended badly: when the server died, the idle ones did too. */
  #sweepDead(): void {
    for (let index = this.#idle.length - 1; index >= 0; index -= 1) {
      const slot = this.#idle[index]
      if (slot === undefined || slot.connection.state === "clean") continue
      this.#idle.splice(index, 1)
      this.#drop(slot, "dead")
    }
  }

  #afterLoss(): void {
    if (this.#isHopeless) this.#waiters.rejectAll(endpointDown(this.name, this.#lastFailure))
    else this.#openForWaiters()
  }

  #openForWaiters(): void {
    // After a failure the probe alone opens connections.
    if (this.#failureCount > 0) return
    while (this.#connecting < Math.min(this.#waiters.size, this.#openable)) this.#open()
  }

  #open(): void {
    this.#connecting += 1
    const { connectTimeoutMs } = this.#limits
    const startedMs = this.#now()
    const deadline = new AbortController()
    const timer = setTimeout(() => {
      deadline.abort(connectTimeout(this.name, connectTimeoutMs))
    }, connectTimeoutMs)
    const signal = AbortSignal.any([deadline.signal, this.#closing.signal])
    this.warehouse
      .connect(signal)
      .finally(() => {
        clearTimeout(timer)
        this.#connecting -= 1
      })
      .then(
        (connection) => this.#opened(connection, startedMs),
        (error: unknown) => this.#openFailed(error),
      )
  }

  #opened(connection: WarehouseConnection, startedMs: number): void {
    const nowMs = this.#now()
    this.#events.connected(nowMs - startedMs)
    this.#failureCount = 0
    this.#lastFailure = undefined
    clearTimeout(this.#probeTimer)
    this.#probeTimer = undefined
    const lifetimeMs = this.#limits.lifetimeMsMax || Infinity
    const retireAtMs = nowMs + lifetimeMs * (1 - lifetimeJitterShare * Math.random())
    const slot: Slot = { connection, retireAtMs, idleSinceMs: nowMs }
    if (this.#closing.signal.aborted) {
      this.#drop(slot, "drain")
      this.#checkDrained()
      return
    }
    this.#free(slot)
    this.#openForWaiters()
  }

  #openFailed(error: unknown): void {
    if (this.#closing.signal.aborted) return this.#checkDrained()
    this.#events.connectFailed(error)
    this.#lastFailure = error
    // Attempts that failed together count once: the pause grows with attempts in a row.
    if (this.#probeTimer === undefined) {
      this.#failureCount += 1
      this.#armProbe()
    }
    this.#sweepDead()
    if (this.#isHopeless) this.#waiters.rejectAll(error)
  }

  #armProbe(): void {
    this.#probeTimer = setTimeout(
      () => {
        this.#probeTimer = undefined
        if (this.#failureCount > 0 && this.#connecting === 0) this.#open()
      },
      backoffMs(this.#failureCount, Math.random()),
    )
    this.#probeTimer.unref()
  }

  #armSweep(): void {
    const { idleCloseMs, lifetimeMsMax } = this.#limits
    if (this.#sweepTimer !== undefined) return
    const shortestMs = Math.min(idleCloseMs || Infinity, lifetimeMsMax || Infinity)
    if (shortestMs === Infinity) return
    this.#sweepTimer = setTimeout(
      () => {
        this.#sweepTimer = undefined
        this.#sweep()
        if (this.#idle.length > 0) this.#armSweep()
      },
      Math.max(sweepMsMin, shortestMs / 2),
    )
    this.#sweepTimer.unref()
  }

  #sweep(): void {
    this.#sweepDead()
    const nowMs = this.#now()
    const idleSinceMsMin = nowMs - (this.#limits.idleCloseMs || Infinity)
    const kept: Slot[] = []
    for (const slot of this.#idle.splice(0)) {
      if (nowMs >= slot.retireAtMs) this.#drop(slot, "lifetime")
      else if (slot.idleSinceMs <= idleSinceMsMin) this.#drop(slot, "idle")
      else kept.push(slot)
    }
    this.#idle.push(...kept)
  }

  #checkDrained(): void {
    if (this.#leased.size + this.#connecting === 0) this.#onDrained?.()
  }
}
