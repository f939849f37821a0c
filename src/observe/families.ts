/**
 * Metric families whose series live in flat typed arrays. Adding to one is an index and an addition: no label object, no
 * hash, no allocation. Labels are put on when Prometheus scrapes.
 */

export type LabelValues = readonly string[]
export type FamilyType = "counter" | "gauge" | "histogram"

/** One line of the exposition; `suffix` is `_bucket`, `_sum`, `_count` or empty. */
export type SeriesValue = {
  readonly suffix: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Family {
  /** With the prefix. */
  readonly name: string
  readonly help: string
  readonly type: FamilyType
  series(): readonly SeriesValue[]
}

export type FamilyHead = { readonly name: string; readonly help: string }

/** A label and all the values it can ever have. */
export type Dimension = { readonly label: string; readonly values: readonly string[] }

/** All values of a union as data; the compiler asks for every one. */
export function valuesOf<Value extends string>(all: Readonly<Record<Value, true>>): Value[] {
  return Object.keys(all) as Value[]
}

/** The product of some dimensions: label values to one index, and back. */
export class Space {
  readonly size: number
  readonly #dimensions: readonly Dimension[]

  constructor(dimensions: readonly Dimension[]) {
    this.#dimensions = dimensions
    this.size = dimensions.reduce((size, { values }) => size * values.length, 1)
  }

  labelsAt(index: number): Record<string, string> {
    const labels: Record<string, string> = {}
    let rest = index
    for (const { label, values } of this.#dimensions.toReversed()) {
      labels[label] = values[rest % values.length] ?? ""
      rest = Math.floor(rest / values.length)
    }
    return labels
  }
}

/** Position of a value in its dimension; what is not in the list counts as the last one, which is `other` by convention. */
export class ValueIndex {
  readonly #indexes: ReadonlyMap<string, number>
  readonly #other: number

  constructor(values: readonly string[]) {
    this.#indexes = new Map(values.map((value, index) => [value, index]))
    this.#other = values.length - 1
  }

  of(value: string): number {
    return this.#indexes.get(value) ?? this.#other
  }
}

export class CounterFamily implements Family {
  readonly name: string
  readonly help: string
  readonly type = "counter"
  /** Counts by index into the space; the owner adds to them directly. */
  readonly counts: Float64Array
  readonly #space: Space
  readonly #showsZeros: boolean

  /** `showsZeros` announces every series from the start, so that the first increment is seen by rate(); for small spaces. */
  constructor(head: FamilyHead, dimensions: readonly Dimension[], showsZeros: boolean) {
    this.name = head.name
    this.help = head.help
    this.#space = new Space(dimensions)
    this.#showsZeros = showsZeros
    this.counts = new Float64Array(this.#space.size)
  }

  add(index: number, amount: number): void {
    this.counts[index] = (this.counts[index] ?? 0) + amount
  }

  series(): readonly SeriesValue[] {
    const out: SeriesValue[] = []
    for (const [index, value] of this.counts.entries())
      if (value > 0 || this.#showsZeros)
        out.push({ suffix: "", labels: this.#space.labelsAt(index), value })
    return out
  }
}

export type Buckets = {
  /** Upper bounds in the unit of the metric (seconds, rows), ascending, without +Inf. */
  readonly bounds: readonly number[]
  /** Observed values are divided by this for exposition: 1000 when they come in milliseconds. */
  readonly scale: number
}

export class HistogramFamily implements Family {
  readonly name: string
  readonly help: string
  readonly type = "histogram"
  readonly #bounds: readonly number[]
  readonly #scale: number
  readonly #scaledBounds: Float64Array
  readonly #width: number
  readonly #counts: Float64Array
  readonly #sums: Float64Array
  readonly #space: Space

  constructor(head: FamilyHead, dimensions: readonly Dimension[], buckets: Buckets) {
    this.name = head.name
    this.help = head.help
    this.#bounds = buckets.bounds
    this.#scale = buckets.scale
    this.#scaledBounds = Float64Array.from(buckets.bounds, (bound) => bound * buckets.scale)
    this.#width = buckets.bounds.length + 1
    this.#space = new Space(dimensions)
    this.#counts = new Float64Array(this.#space.size * this.#width)
    this.#sums = new Float64Array(this.#space.size)
  }

  /** The search is linear because most observations are hits, which end in the first buckets. */
  observe(index: number, value: number): void {
    const bounds = this.#scaledBounds
    let bucket = 0
    while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket += 1
    const at = index * this.#width + bucket
    this.#counts[at] = (this.#counts[at] ?? 0) + 1
    this.#sums[index] = (this.#sums[index] ?? 0) + value
  }

  series(): readonly SeriesValue[] {
    const out: SeriesValue[] = []
    for (let index = 0; index < this.#space.size; index += 1) this.#seriesAt(index, out)
    return out
  }

  #seriesAt(index: number, out: SeriesValue[]): void {
    const base = index * this.#width
    const counts = this.#counts.subarray(base, base + this.#width)
    if (this.#space.size > 1 && counts.every((count) => count === 0)) return
    const labels = this.#space.labelsAt(index)
    let cumulative = 0
    for (const [bucket, count] of counts.entries()) {
      cumulative += count
      const le = String(this.#bounds[bucket] ?? "+Inf")
      out.push({ suffix: "_bucket", labels: { ...labels, le }, value: cumulative })
    }
    out.push({ suffix: "_sum", labels, value: (this.#sums[index] ?? 0) / this.#scale })
    out.push({ suffix: "_count", labels, value: cumulative })
  }
}
