import type { DirectConnection, DirectOptions } from "../core/direct.ts"
import { InvariantViolation } from "../core/errors.ts"
import type { Lease } from "../pool/lease.ts"
import type { LeaseOptions, Pool } from "../pool/pool.ts"
import type { WriteSlots } from "../pool/write-slots.ts"

/** One server of a warehouse. */
export type Endpoint = {
  readonly name: string
  readonly role: "primary" | "replica"
  readonly pool: Pool
}

/** Which endpoint answers, and why: a metric label and an audit field. */
export type Route = {
  readonly endpoint: string
  readonly role: Endpoint["role"]
  readonly reason: "only_endpoint"
}

export type Leased = { readonly lease: Lease; readonly route: Route }

/**
 * Decides which endpoint of one warehouse answers. With a single primary there is nothing to choose; endpoints are data, so
 * that replicas join as further elements and `lease` learns to choose among them by role, lag and fence.
 */
export class Router {
  readonly endpoints: readonly Endpoint[]
  readonly #primary: Endpoint
  readonly #route: Route
  readonly #writeSlots: WriteSlots

  constructor(endpoints: readonly Endpoint[], writeSlots: WriteSlots) {
    const [primary, ...others] = endpoints
    if (primary?.role !== "primary" || others.length > 0) {
      throw new InvariantViolation("a warehouse has exactly one endpoint, its primary")
    }
    this.endpoints = endpoints
    this.#primary = primary
    this.#writeSlots = writeSlots
    this.#route = { endpoint: primary.name, role: primary.role, reason: "only_endpoint" }
  }

  /** A connection to the primary that belongs to one session. Rejects as WriteSlots.open does. */
  openDirect(options: DirectOptions): Promise<DirectConnection> {
    return this.#writeSlots.open(options)
  }

  /** Rejects as Pool.lease does. */
  async lease(options: LeaseOptions): Promise<Leased> {
    const lease = await this.#primary.pool.lease(options)
    return { lease, route: this.#route }
  }
}
