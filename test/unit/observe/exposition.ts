/** One sample of the Prometheus text format. */
export type ExposedSample = {
  readonly name: string
  readonly labels: ReadonlyMap<string, string>
  readonly value: number
}

export type Exposition = {
  readonly types: ReadonlyMap<string, string>
  readonly samples: readonly ExposedSample[]
  /** Value of the series with exactly these labels; undefined when there is none. */
  readonly valueOf: (name: string, labels?: Readonly<Record<string, string>>) => number | undefined
}

/** `Nan` is how the metrics package spells it; Prometheus reads it in any case. */
const sampleForm =
  /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|\+Inf|NaN|Nan)$/
const labelForm = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/gy

function readLabels(text: string): Map<string, string> {
  const labels = new Map<string, string>()
  let end = 0
  for (const match of text.matchAll(labelForm)) {
    const [whole, name = "", value = ""] = match
    if (labels.has(name)) throw new Error(`label ${name} twice in ${text}`)
    labels.set(name, value)
    end = match.index + whole.length
  }
  if (end !== text.length) throw new Error(`malformed labels ${text}`)
  return labels
}

function keyOf(name: string, labels: Iterable<readonly [string, string]>): string {
  return JSON.stringify([name, [...labels].toSorted(([a], [b]) => (a < b ? -1 : 1))])
}

/**
 * Reads format 0.0.4 strictly: throws on a malformed line, a sample before its TYPE, a family in two pieces, a series
 * twice, a histogram that falls or whose +Inf bucket is not its count.
 */
export function readExposition(text: string): Exposition {
  const types = new Map<string, string>()
  const samples: ExposedSample[] = []
  const values = new Map<string, number>()
  let family = ""
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("# HELP ")) continue
    const [, declared, type] = /^# TYPE (\S+) (counter|gauge|histogram|summary)$/.exec(line) ?? []
    if (declared !== undefined && type !== undefined) {
      if (types.has(declared)) throw new Error(`family ${declared} twice`)
      types.set(declared, type)
      family = declared
      continue
    }
    const [, name, labelText = "", value] = sampleForm.exec(line) ?? []
    if (name === undefined || value === undefined) throw new Error(`malformed line ${line}`)
    const stem = types.get(family) === "histogram" ? name.replace(/_(bucket|sum|count)$/, "") : name
    if (stem !== family) throw new Error(`${name} stands in family ${family}`)
    const labels = readLabels(labelText)
    const key = keyOf(name, labels)
    if (values.has(key)) throw new Error(`series twice: ${line}`)
    const number = Number(value.replace("Inf", "Infinity"))
    values.set(key, number)
    samples.push({ name, labels, value: number })
  }
  checkHistograms(samples, values)
  return {
    types,
    samples,
    valueOf: (name, labels = {}) => values.get(keyOf(name, Object.entries(labels))),
  }
}

function checkHistograms(
  samples: readonly ExposedSample[],
  values: ReadonlyMap<string, number>,
): void {
  const last = new Map<string, number>()
  for (const { name, labels, value } of samples) {
    if (!name.endsWith("_bucket")) continue
    const rest = [...labels].filter(([label]) => label !== "le")
    const key = keyOf(name, rest)
    if (value < (last.get(key) ?? 0)) throw new Error(`${name} falls at le=${labels.get("le")}`)
    last.set(key, value)
    const count = values.get(keyOf(name.replace(/_bucket$/, "_count"), rest))
    if (labels.get("le") === "+Inf" && count !== value) throw new Error(`${name}: +Inf is no count`)
  }
}
