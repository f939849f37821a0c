import { unreachable } from "../core/errors.ts"
import type { InvalidationItem, InvalidationRequest } from "../core/invalidation.ts"
import { controlError, type Fault, FaultyRequest } from "./problem.ts"

const itemsMax = 1_000
const nameLengthMax = 1_024
const sourceLengthMax = 256
const timeoutSecondsDefault = 5
/** Longer waits belong to 202 and a look at the status. */
const timeoutSecondsMax = 60
const maxStaleSecondsDefault = 300
/** A day: what may be older than that wants no soft invalidation. */
const maxStaleSecondsMax = 86_400
/** More faults than this are not listed: the body is something else altogether. */
const faultsMax = 20

type Fields = Readonly<Record<string, unknown>>

/** Checks one JSON value after the other and keeps every fault with its path. */
class BodyReader {
  readonly faults: Fault[] = []

  fault(path: string, detail: string): undefined {
    if (this.faults.length < faultsMax) this.faults.push({ path, detail })
    return undefined
  }

  fields(path: string, value: unknown, known: readonly string[]): Fields | undefined {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      return this.fault(path === "" ? "body" : path, "must be an object")
    const prefix = path === "" ? "" : `${path}.`
    for (const key of Object.keys(value)) {
      if (unsupported.has(key)) this.fault(prefix + key, "is not supported yet")
      else if (!known.includes(key)) this.fault(prefix + key, "is unknown")
    }
    return value as Fields
  }

  text(path: string, value: unknown, lengthMax: number): string | undefined {
    if (typeof value !== "string") return this.fault(path, "must be a string")
    if (value.trim() === "") return this.fault(path, "must not be empty")
    if (value.length > lengthMax) return this.fault(path, `is longer than ${lengthMax}`)
    if (/\p{Cc}/u.test(value)) return this.fault(path, "has control characters")
    return value
  }

  optionalText(path: string, value: unknown, lengthMax: number): string | undefined {
    return value === undefined ? undefined : this.text(path, value, lengthMax)
  }

  oneOf<Value extends string>(path: string, value: unknown, values: readonly Value[]) {
    const found = values.find((candidate) => candidate === value)
    return found ?? this.fault(path, `must be ${values.join(" or ")}`)
  }

  flag(path: string, value: unknown): boolean | undefined {
    return typeof value === "boolean" ? value : this.fault(path, "must be true or false")
  }
}

/** Parts of the published interface that this version does not serve. Ignoring one would promise what does not happen. */
const unsupported = new Set(["partitions"])

const bodyFields = [
  "items",
  "mode",
  "max_stale_seconds",
  "warm",
  "dry_run",
  "wait",
  "timeout_seconds",
  "source",
  "warehouse",
]
const itemKinds = ["relation", "schema", "glob", "tag"] as const

function readItem(reader: BodyReader, path: string, value: unknown): InvalidationItem | undefined {
  const fields = reader.fields(path, value, itemKinds)
  if (fields === undefined) return undefined
  const [kind, ...others] = itemKinds.filter((candidate) => fields[candidate] !== undefined)
  if (kind === undefined || others.length > 0) {
    const isServed = !Object.keys(fields).some((key) => unsupported.has(key))
    return isServed ? reader.fault(path, "must have one of relation, schema, glob, tag") : undefined
  }
  const name = reader.text(`${path}.${kind}`, fields[kind], nameLengthMax)
  if (name === undefined) return undefined
  switch (kind) {
    case "relation":
      return { kind, relation: name }
    case "schema":
      return { kind, schema: name }
    case "glob":
      return { kind, glob: name }
    case "tag":
      return { kind, tag: name }
    default:
      return unreachable(kind)
  }
}

function readItems(reader: BodyReader, value: unknown): InvalidationItem[] {
  if (!Array.isArray(value)) {
    reader.fault("items", value === undefined ? "is required" : "must be a list")
    return []
  }
  if (value.length === 0) reader.fault("items", "must name at least one item")
  if (value.length > itemsMax)
    throw controlError("too_many_items", `items has ${value.length} items; ${itemsMax} are allowed`)
  return value.flatMap((item: unknown, index) => readItem(reader, `items[${index}]`, item) ?? [])
}

function readSource(reader: BodyReader, value: unknown): InvalidationRequest["source"] {
  const none = { kind: "manual", job: undefined, runId: undefined }
  if (value === undefined) return none
  const fields = reader.fields("source", value, ["kind", "job", "run_id"])
  if (fields === undefined) return none
  return {
    kind: reader.text("source.kind", fields["kind"], sourceLengthMax) ?? "manual",
    job: reader.optionalText("source.job", fields["job"], sourceLengthMax),
    runId: reader.optionalText("source.run_id", fields["run_id"], sourceLengthMax),
  }
}

function readTimeoutMs(reader: BodyReader, value: unknown): number {
  const seconds = value ?? timeoutSecondsDefault
  const isInRange = typeof seconds === "number" && seconds > 0 && seconds <= timeoutSecondsMax
  if (isInRange) return Math.ceil(seconds * 1_000)
  reader.fault("timeout_seconds", `must be a number above 0 and up to ${timeoutSecondsMax}`)
  return timeoutSecondsDefault * 1_000
}

/** undefined: a hard invalidation. */
function readMaxStaleMs(reader: BodyReader, mode: unknown, value: unknown): number | undefined {
  const known = mode === undefined ? "hard" : reader.oneOf("mode", mode, modes)
  if (known === "hard" && value !== undefined)
    reader.fault("max_stale_seconds", "belongs to mode soft")
  if (known !== "soft") return undefined
  const seconds = value ?? maxStaleSecondsDefault
  const isInRange = typeof seconds === "number" && seconds > 0 && seconds <= maxStaleSecondsMax
  if (isInRange) return Math.floor(seconds * 1_000)
  return reader.fault(
    "max_stale_seconds",
    `must be a number above 0 and up to ${maxStaleSecondsMax}`,
  )
}

/**
 * The body of POST /v1/invalidations. Throws a {@link FaultyRequest} (400) with every fault, or 413 `too_many_items`.
 * Unknown fields are faults: a misspelt one must not silently do less than its author meant.
 */
export function readInvalidationRequest(
  body: unknown,
  warehouses: readonly string[],
): InvalidationRequest {
  const reader = new BodyReader()
  const fields = reader.fields("", body, bodyFields) ?? {}
  const {
    items,
    mode,
    max_stale_seconds,
    warm,
    dry_run,
    wait,
    timeout_seconds,
    source,
    warehouse,
  } = fields as Record<string, unknown>
  if (warm !== undefined && warm !== false) reader.fault("warm", "is not supported yet")
  if (warehouse !== undefined && !warehouses.some((name) => name === warehouse))
    reader.fault("warehouse", "names no configured warehouse")
  const request: InvalidationRequest = {
    items: readItems(reader, items),
    warehouse: typeof warehouse === "string" ? warehouse : undefined,
    isDryRun: dry_run === undefined ? false : (reader.flag("dry_run", dry_run) ?? false),
    wait: wait === undefined ? "cluster" : (reader.oneOf("wait", wait, waits) ?? "cluster"),
    timeoutMs: readTimeoutMs(reader, timeout_seconds),
    maxStaleMs: readMaxStaleMs(reader, mode, max_stale_seconds),
    source: readSource(reader, source),
  }
  if (reader.faults.length > 0) throw new FaultyRequest(reader.faults)
  return request
}

const waits = ["cluster", "none"] as const
const modes = ["hard", "soft"] as const
