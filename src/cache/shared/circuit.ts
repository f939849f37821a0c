export type CircuitLimits = {
  /** Failures in a row after which nobody asks for a while. */
  readonly failuresMax: number
  /** The first such while; each failed probe doubles it. */
  readonly openMs: number
  readonly openMsMax: number
}

/**
 *   closed ──`failuresMax` failures in a row──▶ open ──after `openMs`──▶ half-open: one probe
 *      ▲                                         ▲                         │      │
 *      ╰──────────────success────────────────────┼─────────────────────────╯      │
 *                                                ╰────failure: twice as long──────╯
 *
 * Keeps a store that is away or slow from costing every miss a time-out.
 */
export class Circuit {
  readonly #limits: CircuitLimits
  readonly #nowMs: () => number
  #failures = 0
  #openMs: number
  /** Set while open or half-open: when the next probe may go. */
  #probeAtMs: number | undefined
  #isProbing = false
  #openCount = 0

  constructor(limits: CircuitLimits, nowMs: () => number) {
    this.#limits = limits
    this.#nowMs = nowMs
    this.#openMs = limits.openMs
  }

  /** Times that it opened, failed probes not counted. */
  get openCount(): number {
    return this.#openCount
  }

  get isOpen(): boolean {
    return this.#probeAtMs !== undefined
  }

  /** True when the caller may ask the store, and must then tell `succeeded` or `failed`. */
  enter(): boolean {
    if (this.#probeAtMs === undefined) return true
    if (this.#isProbing || this.#nowMs() < this.#probeAtMs) return false
    this.#isProbing = true
    return true
  }

  succeeded(): void {
    this.#failures = 0
    this.#openMs = this.#limits.openMs
    this.#probeAtMs = undefined
    this.#isProbing = false
  }

  failed(): void {
    if (this.#probeAtMs !== undefined) {
      // A straggler from before the circuit opened says nothing new.
      if (!this.#isProbing) return
      this.#isProbing = false
      this.#openMs = Math.min(this.#openMs * 2, this.#limits.openMsMax)
      this.#probeAtMs = this.#nowMs() + this.#openMs
      return
    }
    this.#failures += 1
    if (this.#failures < this.#limits.failuresMax) return
    this.#openCount += 1
    this.#probeAtMs = this.#nowMs() + this.#openMs
  }
}
