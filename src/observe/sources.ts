import type { Family, FamilyType, SeriesValue } from "./families.ts"

/**
 * Metrics that are read at scrape time from the rooms that own the figures. The composition root registers one callback a
 * room, so that no room has to know of metrics.
 */
export const sourceTable = {
  client_connections: {
    type: "gauge",
    help: "Open client connections by state (login, idle, active, closing).",
    labels: ["state"],
  },
  session_bytes: {
    type: "gauge",
    help: "Bytes that sessions keep for their clients: statements, parameters, spooled rows, unread input, unsent output.",
    labels: [],
  },
  connections_refused_total: {
    type: "counter",
    help: "Connections turned away for lack of room, by which limit.",
    labels: ["limit"],
  },
  logins_delayed_total: {
    type: "counter",
    help: "Logins that had to wait because logins before them had failed.",
    labels: [],
  },
  tls_handshake_failures_total: {
    type: "counter",
    help: "TLS handshakes that failed, by reason (handshake, no_alpn, timeout).",
    labels: ["reason"],
  },
  tls_reloads_total: {
    type: "counter",
    help: "Times that certificate files were read again, by result (ok, failed).",
    labels: ["result"],
  },
  policy_reloads_total: {
    type: "counter",
    help: "Times that the policies file was read again, by result (ok, failed).",
    labels: ["result"],
  },
  policy_unmatched_relations: {
    type: "gauge",
    help: "Relations with a policy that no warehouse has: the policy protects nothing.",
    labels: [],
  },
  tls_certificate_not_after_timestamp_seconds: {
    type: "gauge",
    help: "Unix time at which the certificate in force expires.",
    labels: [],
  },
  queries_in_flight: { type: "gauge", help: "Statements that run now.", labels: [] },
  warehouse_connections: {
    type: "gauge",
    help: "Warehouse connections by state (idle, leased, opening, settling).",
    labels: ["warehouse", "state"],
  },
  routing_decisions_total: {
    type: "counter",
    help: "Connections leased, by the server's role (primary, replica) and why it (only_endpoint, needs_primary, replica, fenced, replicas_down).",
    labels: ["warehouse", "route", "reason"],
  },
  fence_rejections_total: {
    type: "counter",
    help: "Times that a replica had not replayed what a reader must see after an invalidation.",
    labels: ["warehouse"],
  },
  pool_waiters: {
    type: "gauge",
    help: "Statements that wait for a warehouse connection.",
    labels: ["warehouse"],
  },
  warehouse_up: {
    type: "gauge",
    help: "1 when the last contact with the warehouse succeeded.",
    labels: ["warehouse"],
  },
  cache_entries: { type: "gauge", help: "Results kept.", labels: ["tier"] },
  cache_bytes: { type: "gauge", help: "Bytes of the results kept.", labels: ["tier"] },
  cache_evictions_total: {
    type: "counter",
    help: "Results dropped before they expired, and expired ones, by reason.",
    labels: ["tier", "reason"],
  },
  cache_requests_total: {
    type: "counter",
    help: "Look-ups of cacheable statements, by tier and result.",
    labels: ["tier", "result"],
  },
  cache_seal_failures_total: {
    type: "counter",
    help: "Values of the shared tier whose seal did not hold, by reason.",
    labels: ["reason"],
  },
  cache_shared_stores_total: {
    type: "counter",
    help: "Fresh results by what became of them in the shared tier.",
    labels: ["result"],
  },
  cache_shared_waits_total: {
    type: "counter",
    help: "Waits for another instance's run, by how they ended.",
    labels: ["result"],
  },
  cache_shared_bytes_total: {
    type: "counter",
    help: "Bytes of values from and to the shared tier, as stored.",
    labels: ["direction"],
  },
  cache_shared_circuit_open: {
    type: "gauge",
    help: "1 while the shared tier is not asked, because it failed several times in a row.",
    labels: [],
  },
  cache_shared_circuit_opens_total: {
    type: "counter",
    help: "Times that the shared tier was given up for a while.",
    labels: [],
  },
  cache_stale_served_total: {
    type: "counter",
    help: "Answers from results past their time, by why that was allowed (soft, expired, error).",
    labels: ["kind"],
  },
  cache_refreshes_total: {
    type: "counter",
    help: "Runs in the background that make results anew, by how they ended or why there was none (ended, failed, limit, pool_busy).",
    labels: ["result"],
  },
  cache_refreshes_running: {
    type: "gauge",
    help: "Runs in the background that make results anew now.",
    labels: [],
  },
  cache_refreshes_identical_total: {
    type: "counter",
    help: "Such runs that gave the bytes that were there already.",
    labels: [],
  },
  cache_fill_skipped_total: {
    type: "counter",
    help: "Cacheable results that were not kept, by reason.",
    labels: ["reason"],
  },
  cache_verify_total: {
    type: "counter",
    help: "Hits run again and compared, by result (match, mismatch, skipped, failed).",
    labels: ["warehouse", "result"],
  },
  warehouse_seconds_saved_total: {
    type: "counter",
    help: "Warehouse time that served hits would have cost.",
    labels: [],
  },
  redis_up: {
    type: "gauge",
    help: "1 when the last heartbeat to Redis succeeded; absent without Redis.",
    labels: [],
  },
  lease_expired_total: {
    type: "counter",
    help: "Times that Redis was not heard for a lease, so that the cache was not used until it was.",
    labels: [],
  },
  epoch_changes_total: {
    type: "counter",
    help: "Times that everything became cold at once.",
    labels: [],
  },
} as const satisfies Record<string, SourceHead>

type SourceHead = {
  readonly type: FamilyType
  readonly help: string
  readonly labels: readonly string[]
}

export type SourceName = keyof typeof sourceTable

/** One figure with values for the labels of its metric, in their order. */
export type Sample = { readonly labels: readonly string[]; readonly value: number }

export class SourceFamily implements Family {
  readonly name: string
  readonly help: string
  readonly type: FamilyType
  readonly #labels: readonly string[]
  readonly #onError: () => void
  readonly #readers: (() => readonly Sample[])[] = []

  constructor(name: string, head: SourceHead, onError: () => void) {
    this.name = name
    this.help = head.help
    this.type = head.type
    this.#labels = head.labels
    this.#onError = onError
  }

  register(read: () => readonly Sample[]): void {
    this.#readers.push(read)
  }

  /** Series that several readers share are added up: Prometheus refuses a scrape with duplicates. */
  series(): readonly SeriesValue[] {
    const merged = new Map<string, SeriesValue>()
    for (const sample of this.#readers.flatMap((read) => this.#readSafely(read))) {
      const key = JSON.stringify(sample.labels)
      const labels = Object.fromEntries(
        this.#labels.map((label, index) => [label, sample.labels[index] ?? ""]),
      )
      const value = (merged.get(key)?.value ?? 0) + sample.value
      merged.set(key, { suffix: "", labels, value })
    }
    return [...merged.values()]
  }

  /** A figure that cannot be read costs its own series, never the scrape. */
  #readSafely(read: () => readonly Sample[]): readonly Sample[] {
    try {
      return read().filter(({ value }) => Number.isFinite(value))
    } catch {
      this.#onError()
      return []
    }
  }
}
