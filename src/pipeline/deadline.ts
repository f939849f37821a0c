import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"

/** The server's own statement_timeout speaks first, because its error has all fields; ours follows when it does not. */
const timeoutGraceMs = 250

/** The statement's own signal: aborted by the client's, or when its time is up. */
export class Deadline {
  readonly signal: AbortSignal
  readonly #parent: AbortSignal
  readonly #onParentAbort: (() => void) | undefined
  readonly #timer: NodeJS.Timeout | undefined

  constructor(timeoutMs: number, parent: AbortSignal) {
    this.#parent = parent
    if (timeoutMs === 0) {
      this.signal = parent
      return
    }
    // One listener by hand: AbortSignal.any() costs several microseconds, because it keeps weak references to its sources.
    const controller = new AbortController()
    this.signal = controller.signal
    this.#onParentAbort = () => controller.abort(parent.reason)
    if (parent.aborted) this.#onParentAbort()
    else parent.addEventListener("abort", this.#onParentAbort)
    this.#timer = setTimeout(() => controller.abort(timedOut()), timeoutMs + timeoutGraceMs)
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    if (this.#onParentAbort !== undefined)
      this.#parent.removeEventListener("abort", this.#onParentAbort)
  }
}

export function timedOut(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.QueryCanceled,
    reason: "statement_timeout",
    message: "canceling statement due to statement timeout",
  })
}
