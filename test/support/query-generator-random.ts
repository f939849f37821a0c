/** A seeded source of choices: the same seed gives the same statements on every machine. Mulberry32; not for secrets. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** Uniform in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  /** Uniform in 0 .. below - 1. */
  int(below: number): number {
    return Math.floor(this.next() * below)
  }

  /** Uniform in low .. high, both included. */
  between(low: number, high: number): number {
    return low + this.int(high - low + 1)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(list: readonly T[]): T {
    const chosen = list[this.int(list.length)]
    if (chosen === undefined) throw new Error("nothing to pick from")
    return chosen
  }

  /** Picks by weight; `list` pairs a weight with a value. */
  weighted<T>(list: readonly (readonly [weight: number, value: T])[]): T {
    let total = 0
    for (const [weight] of list) total += weight
    let at = this.next() * total
    for (const [weight, value] of list) {
      at -= weight
      if (at < 0) return value
    }
    return this.pick(list)[1]
  }

  /** `count` values, repetition allowed. */
  many<T>(count: number, make: (index: number) => T): T[] {
    return Array.from({ length: count }, (_, index) => make(index))
  }
}
