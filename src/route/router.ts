import type { DirectConnection, DirectOptions } from "../core/direct.ts"
import { GatewayError, InvariantViolation } from "../core/errors.ts"
import { latestPosition, type Position } from "../core/position.ts"
import type { ClassGate } from "../pool/class-gate.ts"
import type { Lease } from "../pool/lease.ts"
import type { LeaseOptions, Pool } from "../pool/pool.ts"
import type { WriteSlots } from "../pool/write-slots.ts"
import { ReplicaPositions } from "./replica-positions.ts"

/** One server of a warehouse. */
export type Endpoint = {
  readonly name: string
  readonly role: "primary" | "replica"
  readonly pool: Pool
}

/**
 * Why an endpoint answers: there is no other; the statement or the transaction needs the primary; a replica's turn; no
 * replica had replayed far enough, or could be reached.
 */
export type RouteReason = "only_endpoint" | "needs_primary" | "replica" | "fenced" | "replicas_down"

/** Which endpoint answers, and why: a metric label and an audit field. */
export type Route = {
  readonly endpoint: string
  readonly role: Endpoint["role"]
  readonly reason: RouteReason
}

export type RouteOptions = {
  readonly signal: AbortSignal
  /** May shorten what the pool says, never lengthen it; holds for the class's turn and the connection together. */
  readonly queueTimeoutMs?: number | undefined
  /** The class whose statements are counted; one without a gate is not. */
  readonly workloadClass?: string | undefined
}

export type Leased = { readonly lease: Lease; readonly route: Route }

/** For metrics: leases given so far, by role and reason, and how often a replica had not replayed what a reader must see. */
export type RouterCounters = {
  readonly routed: ReadonlyMap<`${Endpoint["role"]} ${RouteReason}`, number>
  readonly fenceRejections: number
}

/**
 * Decides which endpoint of one warehouse answers. Replicas take turns at reads; one may answer only when it has replayed every
 * position that the reader's tokens ask for, which is looked up on the very connection that will be used. Everything else,
 * and whatever no replica may answer, goes to the primary: never a row that is older than an acknowledged invalidation.
 */
export class Router {
  readonly endpoints: readonly Endpoint[]
  readonly #primary: Endpoint
  readonly #replicas: readonly Endpoint[]
  readonly #writeSlots: WriteSlots
  readonly #routedCounts = new Map<`${Endpoint["role"]} ${RouteReason}`, number>()
  #fenceRejections = 0
  readonly #positions = new ReplicaPositions()
  readonly #gates: ReadonlyMap<string, ClassGate>
  #turn = 0

  constructor(
    endpoints: readonly Endpoint[],
    writeSlots: WriteSlots,
    gates: ReadonlyMap<string, ClassGate> = new Map(),
  ) {
    const [primary, ...replicas] = endpoints
    if (primary?.role !== "primary" || replicas.some(({ role }) => role === "primary"))
      throw new InvariantViolation("a warehouse has exactly one primary, its first endpoint")
    this.endpoints = endpoints
    this.#primary = primary
    this.#replicas = replicas
    this.#writeSlots = writeSlots
    this.#gates = gates
  }

  get counters(): RouterCounters {
    return { routed: this.#routedCounts, fenceRejections: this.#fenceRejections }
  }

  get hasReplicas(): boolean {
    return this.#replicas.length > 0
  }

  /** A connection to the primary that belongs to one session. Rejects as WriteSlots.open does. */
  openDirect(options: DirectOptions): Promise<DirectConnection> {
    return this.#writeSlots.open(options)
  }

  /** A connection to the primary. Rejects as Pool.lease and ClassGate.enter do. */
  lease(options: RouteOptions): Promise<Leased> {
    const reason = this.hasReplicas ? "needs_primary" : "only_endpoint"
    return this.#inTurn(options, (leaseOptions) => this.#leasePrimary(leaseOptions, reason))
  }

  /**
   * A connection for a read that may be answered by any server that has replayed all of `fences` (TokenVector.fences).
   * Rejects as {@link lease} does.
   */
  leaseForRead(options: RouteOptions, fences: readonly Position[]): Promise<Leased> {
    return this.#inTurn(options, (leaseOptions) => this.#leaseAnywhere(leaseOptions, fences))
  }

  /** When it is the class's turn; its place is given back with the lease. */
  async #inTurn(
    { signal, queueTimeoutMs, workloadClass }: RouteOptions,
    leased: (options: LeaseOptions) => Promise<Leased>,
  ): Promise<Leased> {
    const gate = workloadClass === undefined ? undefined : this.#gates.get(workloadClass)
    if (gate === undefined) return leased({ signal, waitMsMax: queueTimeoutMs })
    const startedMs = performance.now()
    const leave = await gate.enter({ signal, waitMsMax: queueTimeoutMs })
    try {
      const waitMsMax =
        queueTimeoutMs === undefined
          ? undefined
          : Math.max(0, queueTimeoutMs - (performance.now() - startedMs))
      const found = await leased({ signal, waitMsMax })
      found.lease.whenReturned(leave)
      return found
    } catch (thrown) {
      leave()
      throw thrown
    }
  }

  async #leaseAnywhere(options: LeaseOptions, fences: readonly Position[]): Promise<Leased> {
    if (!this.hasReplicas) return this.#leasePrimary(options, "only_endpoint")
    const needed = latestPosition(fences)
    if (needed === undefined && fences.length > 0) {
      this.#fenceRejections += 1
      return this.#leasePrimary(options, "fenced")
    }
    const first = this.#turn
    this.#turn = (first + 1) % this.#replicas.length
    let reason: RouteReason = "replicas_down"
    for (let step = 0; step < this.#replicas.length; step += 1) {
      const replica = this.#replicas[(first + step) % this.#replicas.length]
      if (replica === undefined) continue
      // oxlint-disable-next-line no-await-in-loop -- the next one is asked only when this one cannot
      const tried = await this.#tryReplica(replica, needed, options)
      if (tried === "behind") reason = "fenced"
      else if (tried !== "down") return tried
    }
    return this.#leasePrimary(options, reason)
  }

  async #tryReplica(
    replica: Endpoint,
    needed: Position | undefined,
    options: LeaseOptions,
  ): Promise<Leased | "down" | "behind"> {
    if (needed !== undefined && this.#positions.isKnownBehind(replica.name, needed)) {
      this.#fenceRejections += 1
      return "behind"
    }
    let lease: Lease
    try {
      lease = await replica.pool.lease(options)
    } catch (thrown) {
      options.signal.throwIfAborted()
      if (thrown instanceof GatewayError) return "down"
      throw thrown
    }
    const standing =
      needed === undefined
        ? "reached"
        : await this.#positions.standing(replica.name, lease.connection, needed, options.signal)
    if (standing === "reached")
      return this.#routed(lease, { endpoint: replica.name, role: "replica", reason: "replica" })
    lease[Symbol.dispose]()
    options.signal.throwIfAborted()
    this.#fenceRejections += 1
    return "behind"
  }

  async #leasePrimary(options: LeaseOptions, reason: RouteReason): Promise<Leased> {
    const lease = await this.#primary.pool.lease(options)
    return this.#routed(lease, { endpoint: this.#primary.name, role: "primary", reason })
  }

  #routed(lease: Lease, route: Route): Leased {
    const label = `${route.role} ${route.reason}` as const
    this.#routedCounts.set(label, (this.#routedCounts.get(label) ?? 0) + 1)
    return { lease, route }
  }
}
