/** Someone in the queue. Exactly one of `resolve` and `reject` is called, once, after it has left the queue. */
type Waiter<Item> = {
  readonly resolve: (item: Item) => void
  readonly reject: (error: unknown) => void
}

export type WaitOptions = {
  readonly signal: AbortSignal
  readonly waitMsMax: number
  /** Makes the error for a wait that took too long. */
  readonly onTimeout: () => unknown
}

/**
 * First come, first served. Whoever leaves early (abort, time-out) leaves no trace: no timer, no listener, no place in the
 * queue. A Set keeps the order and removes from the middle in constant time.
 */
export class Waiters<Item> {
  readonly #queue = new Set<Waiter<Item>>()

  get size(): number {
    return this.#queue.size
  }

  wait({ signal, waitMsMax, onTimeout }: WaitOptions): Promise<Item> {
    return new Promise<Item>((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer)
        signal.removeEventListener("abort", onAbort)
        this.#queue.delete(waiter)
      }
      const waiter: Waiter<Item> = {
        resolve: (item) => {
          leave()
          resolve(item)
        },
        reject: (error) => {
          leave()
          reject(error)
        },
      }
      const onAbort = (): void => waiter.reject(signal.reason)
      const timer = setTimeout(() => waiter.reject(onTimeout()), waitMsMax)
      signal.addEventListener("abort", onAbort)
      this.#queue.add(waiter)
    })
  }

  /** Hands the item to whoever waits longest; false when nobody waits. */
  offer(item: Item): boolean {
    for (const waiter of this.#queue) {
      waiter.resolve(item)
      return true
    }
    return false
  }

  rejectAll(error: unknown): void {
    for (const waiter of this.#queue) waiter.reject(error)
  }
}
