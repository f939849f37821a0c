const quarterHourMs = 900_000
const bucketsMax = 50_000

const formatters = new Map<string, Intl.DateTimeFormat>()
const formattersMax = 64

function formatter(timeZone: string): Intl.DateTimeFormat {
  const known = formatters.get(timeZone)
  if (known !== undefined) return known
  if (formatters.size >= formattersMax) formatters.clear()
  const made = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    era: "short",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  })
  formatters.set(timeZone, made)
  return made
}

/**
 * A zone's name as DuckDB's ICU takes it: offsets of whole hours become `Etc/GMT±n`, whose sign is the other way round
 * (POSIX). Undefined for other offsets, which ICU has no names for.
 */
export function duckdbZoneName(name: string): string | undefined {
  const offset = /^([+-])(\d{2}):?(\d{2})?$/.exec(name)
  if (offset === null) return name
  const [, sign, hours, minutes = "00"] = offset
  if (minutes !== "00" || Number(hours) > 14) return undefined
  return Number(hours) === 0 ? "UTC" : `Etc/GMT${sign === "+" ? "-" : "+"}${Number(hours)}`
}

/** Offsets of one time zone in seconds east of UTC; thousands of rows of one day cost one look-up in ICU. */
export class ZoneOffsets {
  readonly #isUtc: boolean
  readonly #timeZone: string
  readonly #buckets = new Map<number, number>()
  #lastBucket = Number.NaN
  #lastOffset = 0

  constructor(timeZone: string) {
    this.#timeZone = timeZone
    this.#isUtc = /^(?:etc\/)?(?:utc|gmt|uct|zulu|universal)$/i.test(timeZone)
  }

  /** Zones change their offset on a quarter of an hour only, in local or UTC time; before 1900 on odd seconds. */
  offsetSeconds(epochMs: number): number {
    if (this.#isUtc) return 0
    const bucket = Math.floor(epochMs / quarterHourMs)
    if (bucket === this.#lastBucket) return this.#lastOffset
    let offset = this.#buckets.get(bucket)
    if (offset === undefined) {
      offset = this.#lookUp(epochMs)
      if (bucket * quarterHourMs < firstRegularMs) return offset
      if (this.#buckets.size >= bucketsMax) this.#buckets.clear()
      this.#buckets.set(bucket, offset)
    }
    this.#lastBucket = bucket
    this.#lastOffset = offset
    return offset
  }

  #lookUp(epochMs: number): number {
    // Intl knows years up to 275760; DuckDB's reach is further. Such rows take the offset of the last year it knows.
    const known = Math.max(-8.64e15, Math.min(8.64e15, epochMs))
    const wholeSeconds = Math.floor(known / 1_000) * 1_000
    const field: Record<string, number> = {}
    let isBeforeChrist = false
    for (const part of formatter(this.#timeZone).formatToParts(wholeSeconds)) {
      if (part.type === "era") isBeforeChrist = part.value.startsWith("B")
      else field[part.type] = Number(part.value)
    }
    const year = field["year"] ?? 0
    const local = new Date(0)
    local.setUTCFullYear(isBeforeChrist ? 1 - year : year, (field["month"] ?? 1) - 1, field["day"])
    local.setUTCHours(field["hour"] ?? 0, field["minute"] ?? 0, field["second"] ?? 0)
    return Math.round((local.getTime() - wholeSeconds) / 1_000)
  }
}

const firstRegularMs = Date.UTC(1980, 0, 1)
