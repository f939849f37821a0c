import { randomBytes } from "node:crypto"

/** Wide enough for 2^48 ms (the year 10889) and for 2^32 tokens in one millisecond; fixed so that text order is time order. */
const timeDigits = 12
const sequenceDigits = 8

/**
 * Makes tokens that are unique in the fleet and grow in the order they are made: time, sequence, instance, each with a fixed
 * width. When the wall clock stands still or steps back the last time is kept and the sequence counts on.
 */
export class TokenSource {
  readonly #nowMs: () => number
  readonly #instance: string
  #lastMs = 0
  #sequence = 0

  constructor(nowMs: () => number, instance: string = randomBytes(8).toString("hex")) {
    this.#nowMs = nowMs
    this.#instance = instance
  }

  next(): string {
    const nowMs = Math.floor(this.#nowMs())
    if (nowMs > this.#lastMs) {
      this.#lastMs = nowMs
      this.#sequence = 0
    } else {
      this.#sequence += 1
    }
    const time = this.#lastMs.toString(16).padStart(timeDigits, "0")
    const sequence = this.#sequence.toString(16).padStart(sequenceDigits, "0")
    return `${time}-${sequence}-${this.#instance}`
  }
}
