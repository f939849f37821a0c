import type { Ast } from "../core/statement.ts"

/** Types that a claim can have in a predicate. Lists are of one of them. */
export const claimTypes = [
  "text",
  "int8",
  "numeric",
  "bool",
  "uuid",
  "date",
  "timestamptz",
] as const

export type ClaimType = {
  readonly base: (typeof claimTypes)[number]
  readonly isList: boolean
}

/** Longest text of one claim value, in characters, and most items of a list: a token brings them with every login. */
const claimCharsMax = 4_096
const claimItemsMax = 1_000

/** `text`, `int8[]`; undefined when it is none. */
export function readClaimType(text: string): ClaimType | undefined {
  const isList = text.endsWith("[]")
  const name = isList ? text.slice(0, -2) : text
  const base = claimTypes.find((type) => type === name)
  return base === undefined ? undefined : { base, isList }
}

const int8Min = -(2n ** 63n)
const int8Max = 2n ** 63n - 1n

/** PostgreSQL's text of one value, or undefined when a claim of this type cannot have it. */
function scalarText(value: unknown, base: ClaimType["base"]): string | undefined {
  if (typeof value === "string" && (value.length > claimCharsMax || value.includes("\0")))
    return undefined
  switch (base) {
    case "text":
      return typeof value === "string" && value.isWellFormed() ? value : undefined
    case "bool":
      return typeof value === "boolean" ? String(value) : undefined
    case "int8": {
      if (typeof value === "number" && Number.isSafeInteger(value)) return String(value)
      if (typeof value !== "string" || !/^-?\d{1,19}$/.test(value)) return undefined
      const number = BigInt(value)
      return number >= int8Min && number <= int8Max ? value : undefined
    }
    case "numeric":
      if (typeof value === "number" && Number.isFinite(value)) return String(value)
      return typeof value === "string" && /^-?\d{1,130}(\.\d{1,130})?$/.test(value)
        ? value
        : undefined
    case "uuid":
      return matching(value, /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i)
    case "date": {
      const text = matching(value, /^\d{4}-\d{2}-\d{2}$/)
      return text !== undefined && isDay(text) ? text : undefined
    }
    case "timestamptz": {
      const text = matching(value, momentForm)
      return text !== undefined && isDay(text.slice(0, 10)) ? text : undefined
    }
    default:
      return undefined
  }
}

/** RFC 3339 without its leap seconds, and with offsets as far as there are any. */
const momentForm =
  /^\d{4}-\d{2}-\d{2}T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[+-](?:0\d|1[0-4]):[0-5]\d)$/

/** A day of the calendar: the engines would refuse others at every statement, with the value in their words. */
function isDay(text: string): boolean {
  const day = new Date(`${text}T00:00:00Z`)
  return (
    !text.startsWith("0000") && !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text)
  )
}

function matching(value: unknown, form: RegExp): string | undefined {
  return typeof value === "string" && form.test(value) ? value : undefined
}

/**
 * As every engine spells them. The words of the grammar itself mean pg_catalog's types; for the other names whoever uses
 * these literals makes sure that pg_catalog is searched first.
 */
const spelled: Readonly<Record<ClaimType["base"], string>> = {
  text: "text",
  int8: "bigint",
  numeric: "numeric",
  bool: "boolean",
  uuid: "uuid",
  date: "date",
  timestamptz: "timestamp with time zone",
}

const grammarTypes: ReadonlySet<string> = new Set(["int8", "numeric", "bool", "timestamptz"])

function typeName(base: ClaimType["base"], isList: boolean): Ast {
  const name = { String: { sval: base } }
  return {
    names: grammarTypes.has(base) ? [{ String: { sval: "pg_catalog" } }, name] : [name],
    typemod: -1,
    ...(isList ? { arrayBounds: [{ Integer: { ival: -1 } }] } : {}),
  }
}

/** A value as it stands in a tree and in a text; whoever joins texts proves that the whole parses to the tree. */
export type ClaimLiteral = { readonly ast: Ast; readonly text: string }

function constant(text: string): Ast {
  return { A_Const: { sval: { sval: text } } }
}

/** A plain literal: standard_conforming_strings is always on, so that a backslash is a character like any other. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** A null of a claim's type: what stands for claims that are not known, where only types matter. */
export function nullLiteral({ base, isList }: ClaimType): ClaimLiteral {
  const arg = { A_Const: { isnull: true } }
  return {
    ast: { TypeCast: { arg, typeName: typeName(base, isList) } },
    text: `NULL::${spelled[base]}${isList ? "[]" : ""}`,
  }
}

/**
 * A claim's value as a typed literal, or undefined when it is missing, null or of another type: then nothing that needs it
 * may be answered.
 */
export function claimLiteral(value: unknown, type: ClaimType): ClaimLiteral | undefined {
  if (!type.isList) {
    const text = scalarText(value, type.base)
    if (text === undefined) return undefined
    return {
      ast: { TypeCast: { arg: constant(text), typeName: typeName(type.base, false) } },
      text: `${quoted(text)}::${spelled[type.base]}`,
    }
  }
  if (!Array.isArray(value) || value.length > claimItemsMax) return undefined
  const items = value.map((item: unknown) => scalarText(item, type.base))
  const elements = items.filter((item): item is string => item !== undefined)
  if (elements.length !== items.length) return undefined
  const array = { A_ArrayExpr: elements.length === 0 ? {} : { elements: elements.map(constant) } }
  return {
    ast: { TypeCast: { arg: array, typeName: typeName(type.base, true) } },
    text: `ARRAY[${elements.map(quoted).join(", ")}]::${spelled[type.base]}[]`,
  }
}
