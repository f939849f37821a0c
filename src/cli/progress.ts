import type { Terminal } from "./terminal.ts"

/** A line for logs no oftener than this. */
const lineEveryMs = 5_000
const redrawEveryMs = 100

/** `17 of 200 cases`, on one line of a terminal, or a line now and then where nobody watches. Nothing for work that is soon done. */
export class Progress {
  readonly #terminal: Terminal
  readonly #what: string
  readonly #total: number
  readonly #isTerminal: boolean
  #shownMs = performance.now()
  #hasDrawn = false

  constructor(terminal: Terminal, what: string, total: number) {
    this.#terminal = terminal
    this.#what = what
    this.#total = total
    this.#isTerminal = "isTTY" in terminal.messages && terminal.messages.isTTY === true
  }

  done(count: number): void {
    const nowMs = performance.now()
    if (nowMs - this.#shownMs < (this.#isTerminal ? redrawEveryMs : lineEveryMs)) return
    this.#shownMs = nowMs
    const text = `${count} of ${this.#total} ${this.#what}`
    this.#terminal.messages.write(this.#isTerminal ? `\r\u001b[K${text}` : `${text}\n`)
    this.#hasDrawn = true
  }

  end(): void {
    if (this.#hasDrawn && this.#isTerminal) this.#terminal.messages.write("\r\u001b[K")
  }
}
