import type { GatewayError } from "../core/errors.ts"

/**
 * Where the end of one statement is announced: by the client's cancel, the closed socket, the deadline. The AbortController is
 * made only when somebody listens, because a hit never does and making one costs more than the hit.
 */
export class AbortScope {
  #controller: AbortController | undefined
  #reason: GatewayError | undefined

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#reason !== undefined) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  /** True when a listener may still hold the signal: the scope then belongs to the past and is not used again. */
  get isUsed(): boolean {
    return this.#controller !== undefined
  }

  get isAborted(): boolean {
    return this.#reason !== undefined
  }

  /** The first reason stays. */
  abort(reason: GatewayError): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    this.#controller?.abort(reason)
  }

  throwIfAborted(): void {
    if (this.#reason !== undefined) throw this.#reason
  }
}
