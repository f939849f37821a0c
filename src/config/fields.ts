import { z } from "zod"

/**
 * Schema fields for values with units. All of them take the text that `${ENV}` leaves behind as well as YAML's own
 * numbers and booleans, and all give plain numbers in the unit that ends the key's name.
 */

/** What setTimeout can hold; above it Node fires at once. About 24.8 days. */
export const durationMsMax = 2_147_483_647

/** Kept below what a Buffer can hold on every platform. */
export const bytesMax = 1024 ** 4

const millisecondsOf: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["min", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
])

const bytesOf: ReadonlyMap<string, number> = new Map([
  ["B", 1],
  ["KiB", 1024],
  ["MiB", 1024 ** 2],
  ["GiB", 1024 ** 3],
  ["TiB", 1024 ** 4],
])

const quantity = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/

function readQuantity(
  value: unknown,
  units: ReadonlyMap<string, number>,
  base: string,
): number | undefined {
  if (typeof value === "number") return value
  if (typeof value !== "string") return undefined
  const match = quantity.exec(value.trim())
  if (match === null) return undefined
  const [, digits = "", unit = ""] = match
  const factor = units.get(unit === "" ? base : unit)
  return factor === undefined ? undefined : Number(digits) * factor
}

/** `30s`, `5m`, `250ms` or a number of milliseconds; undefined when it is none of these. */
export function readDurationMs(value: unknown): number | undefined {
  return readQuantity(value, millisecondsOf, "ms")
}

/** `256MiB`, `16KiB` or a number of bytes. `MB` is refused, because people disagree on what it means. */
export function readBytes(value: unknown): number | undefined {
  return readQuantity(value, bytesOf, "B")
}

export type Bounds = { readonly min?: number; readonly max?: number }

type QuantityField = {
  readonly read: (value: unknown) => number | undefined
  readonly expected: string
  readonly pattern: string
  readonly boundsMax: number
}

const duration: QuantityField = {
  read: readDurationMs,
  expected: "a duration: milliseconds, or a number with ms, s, m, h or d such as 30s",
  pattern: String.raw`^\d+(\.\d+)?\s*(ms|s|m|min|h|d)?$`,
  boundsMax: durationMsMax,
}

const bytes: QuantityField = {
  read: readBytes,
  expected: "a size: bytes, or a number with B, KiB, MiB, GiB or TiB such as 256MiB",
  pattern: String.raw`^\d+(\.\d+)?\s*(B|KiB|MiB|GiB|TiB)?$`,
  boundsMax: bytesMax,
}

const count: QuantityField = {
  read: (value) => readQuantity(value, new Map([["", 1]]), ""),
  expected: "a whole number",
  pattern: String.raw`^\d+$`,
  boundsMax: Number.MAX_SAFE_INTEGER,
}

function quantityField(field: QuantityField, initial: number, bounds: Bounds, text: string) {
  return quantityWithout(field, bounds, { description: text, default: initial }).default(initial)
}

function quantityWithout(
  field: QuantityField,
  bounds: Bounds,
  meta: { readonly description: string; readonly default?: number },
) {
  const min = bounds.min ?? 0
  const max = bounds.max ?? field.boundsMax
  return z
    .unknown()
    .meta({
      ...meta,
      anyOf: [
        { type: "integer", minimum: min, maximum: max },
        { type: "string", pattern: field.pattern },
      ],
    })
    .transform((value, context): number => {
      const read = field.read(value)
      if (read === undefined) {
        context.addIssue({ code: "custom", message: `must be ${field.expected}` })
        return z.NEVER
      }
      if (!Number.isInteger(read) || read < min || read > max) {
        context.addIssue({
          code: "custom",
          message: `must be a whole number from ${min} to ${max}`,
        })
        return z.NEVER
      }
      return read
    })
}

/** A duration that may be left out. */
export function optionalDurationMs(text: string, bounds: Bounds = {}) {
  return quantityWithout(duration, bounds, { description: text }).optional()
}

/** A duration with a default; 0 ms is allowed unless `bounds.min` says otherwise. */
export function durationMs(initial: number, text: string, bounds: Bounds = {}) {
  return quantityField(duration, initial, bounds, text)
}

/** A size in bytes with a default. */
export function byteCount(initial: number, text: string, bounds: Bounds = {}) {
  return quantityField(bytes, initial, bounds, text)
}

/** A whole number with a default. */
export function integer(initial: number, text: string, bounds: Bounds = {}) {
  return quantityField(count, initial, bounds, text)
}

/** `true` or `false`, as YAML has them or as text from the environment. */
export function flag(initial: boolean, text: string) {
  return z
    .unknown()
    .meta({
      description: text,
      default: initial,
      anyOf: [{ type: "boolean" }, { type: "string", enum: ["true", "false"] }],
    })
    .transform((value, context): boolean => {
      if (value === true || value === "true") return true
      if (value === false || value === "false") return false
      context.addIssue({ code: "custom", message: "must be true or false" })
      return z.NEVER
    })
    .default(initial)
}

/** YAML 1.2 reads `on` and `off` as text, YAML 1.1 editors write them as booleans: both are taken. */
export function onOff(initial: "on" | "off", text: string) {
  return z
    .unknown()
    .meta({
      description: text,
      default: initial,
      anyOf: [{ enum: ["on", "off"] }, { type: "boolean" }],
    })
    .transform((value, context): "on" | "off" => {
      if (value === "on" || value === true || value === "true") return "on"
      if (value === "off" || value === false || value === "false") return "off"
      context.addIssue({ code: "custom", message: "must be on or off" })
      return z.NEVER
    })
    .default(initial)
}

/** A part of a whole: a number from 0 to 1 with a default, as YAML has it or as text from the environment. */
export function share(initial: number, text: string) {
  return z
    .unknown()
    .meta({
      description: text,
      default: initial,
      anyOf: [
        { type: "number", minimum: 0, maximum: 1 },
        { type: "string", pattern: String.raw`^(0(\.\d+)?|1(\.0+)?)$` },
      ],
    })
    .transform((value, context): number => {
      const read = typeof value === "string" && value.trim() !== "" ? Number(value) : value
      if (typeof read === "number" && read >= 0 && read <= 1) return read
      context.addIssue({ code: "custom", message: "must be a number from 0 to 1, such as 0.001" })
      return z.NEVER
    })
    .default(initial)
}
