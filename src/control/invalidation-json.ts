import type { InvalidationOutcome } from "../core/invalidation.ts"

/** The published form of an outcome: snake_case, as docs of the HTTP API show it. */
export function outcomeJson(outcome: InvalidationOutcome) {
  const { known, confirmed, leaseExpired } = outcome.instances
  return {
    id: outcome.id,
    status: outcome.status,
    applied_at: outcome.appliedAt,
    items: outcome.items.map(({ item, kind, resolved, dependents, entries }) => ({
      [kind ?? "relation"]: item,
      resolved,
      dependents,
      entries,
    })),
    unmatched: outcome.unmatched,
    instances: { known, confirmed, lease_expired: leaseExpired },
  }
}
