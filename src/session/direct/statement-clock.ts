import type { SessionOrigin } from "../session-state.ts"

/** The role's limit on one statement, kept here because the client of a connection of its own may change the server's as it likes. */
export class StatementClock {
  readonly #origin: SessionOrigin
  readonly #onTimeUp: () => void
  #timer: NodeJS.Timeout | undefined
  #isOver = false

  constructor(origin: SessionOrigin, onTimeUp: () => void) {
    this.#origin = origin
    this.#onTimeUp = onTimeUp
  }

  /** Something is sent; the time of what runs already goes on. */
  start(): void {
    if (this.#timer !== undefined) return
    const { rooms, identity } = this.#origin
    const { statementTimeoutMs } = rooms.policy().effective(identity.roles)
    if (statementTimeoutMs === 0) return
    this.#timer = setTimeout(() => {
      this.#isOver = true
      this.#onTimeUp()
    }, statementTimeoutMs)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** True once, for the error that the end of the time has brought about. */
  takeOver(): boolean {
    const isOver = this.#isOver
    this.#isOver = false
    return isOver
  }
}
