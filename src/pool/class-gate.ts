import { classQueueFull, classQueueTimeout } from "./pool-errors.ts"
import { Waiters } from "./waiters.ts"

export type ClassGateLimits = {
  /** Leases that statements of the class may hold at once. */
  readonly concurrencyMax: number
  readonly waitersMax: number
  /** Longest wait, when whoever asks names no shorter one. */
  readonly waitMsMax: number
}

/** Gives the place back; calling it again does nothing. */
export type Leave = () => void

/** How many statements of one workload class may use one warehouse at once: the others wait, first come, first served. */
export class ClassGate {
  readonly #name: string
  readonly #limits: ClassGateLimits
  readonly #waiters = new Waiters<undefined>()
  #inside = 0

  constructor(name: string, limits: ClassGateLimits) {
    this.#name = name
    this.#limits = limits
  }

  get stats(): { readonly inside: number; readonly waiters: number } {
    return { inside: this.#inside, waiters: this.#waiters.size }
  }

  /** Rejects with 53300 (`class_queue_full`, `class_queue_timeout`) or the signal's reason. */
  async enter(options: {
    readonly signal: AbortSignal
    readonly waitMsMax?: number | undefined
  }): Promise<Leave> {
    const { concurrencyMax, waitersMax } = this.#limits
    options.signal.throwIfAborted()
    if (this.#inside < concurrencyMax) this.#inside += 1
    else {
      if (this.#waiters.size >= waitersMax) throw classQueueFull(this.#name, waitersMax)
      const waitMsMax = Math.min(options.waitMsMax ?? Infinity, this.#limits.waitMsMax)
      // Whoever leaves hands its place on, so that nobody who comes later can take it.
      await this.#waiters.wait({
        signal: options.signal,
        waitMsMax,
        onTimeout: () => classQueueTimeout(this.#name, waitMsMax),
      })
    }
    let isInside = true
    return () => {
      if (!isInside) return
      isInside = false
      if (!this.#waiters.offer(undefined)) this.#inside -= 1
    }
  }
}
