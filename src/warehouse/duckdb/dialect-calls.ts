import {
  call,
  cast,
  concatenation,
  type Fields,
  integer,
  integerConstant,
  lastName,
  listOf,
  type Node,
  nameParts,
  nodeFields,
  operator,
  string,
  stringConstant,
  text,
} from "./ast-nodes.ts"
import { functionNotAllowed, unsupported } from "./dialect-errors.ts"
import { adaptFromText, adaptToChar } from "./dialect-formats.ts"
import { assertCallable } from "./dialect-guard.ts"
import { guardDivision, regexOptions } from "./dialect-operators.ts"
import { isDateExpression } from "./dialect-types.ts"

type Args = readonly unknown[]

/** The same call under DuckDB's name. */
const renamed: Readonly<Record<string, string>> = {
  btrim: "trim",
  cardinality: "len",
  character_length: "length",
  clock_timestamp: "get_current_timestamp",
  every: "bool_and",
  json_agg: "json_group_array",
  jsonb_agg: "json_group_array",
  jsonb_array_length: "json_array_length",
  json_build_array: "json_array",
  jsonb_build_array: "json_array",
  json_build_object: "json_object",
  jsonb_build_object: "json_object",
  json_object_agg: "json_group_object",
  jsonb_object_agg: "json_group_object",
  statement_timestamp: "now",
  to_jsonb: "to_json",
}

/** Functions that exist in DuckDB with another meaning. */
const refused: Readonly<Record<string, string>> = {
  convert: "convert()",
  decode: "decode()",
  encode: "encode()",
  format: "format()",
  format_type: "format_type()",
  json_array_elements: "json_array_elements()",
  json_typeof: "json_typeof()",
  regexp_match: "regexp_match()",
  regexp_matches: "regexp_matches()",
  regexp_split_to_table: "regexp_split_to_table()",
  current_schema: "current_schema() within a larger query",
  current_schemas: "current_schemas()",
  current_setting: "current_setting() within a larger query",
  set_config: "set_config()",
}

/** Calls that need more than another name. Arguments are already in DuckDB's dialect. */
const rewrites: Readonly<
  Record<string, (args: Args, guardsDivision: boolean) => Node | undefined>
> = {
  age: ([first, second]) =>
    second === undefined ? call("age", [cast(currentDate, "timestamp"), first]) : undefined,
  date_bin: ([stride, source, origin]) => call("time_bucket", [stride, source, origin]),
  date_part: ([field, source]) => {
    const name = stringConstant(field)
    if (name === undefined) throw unsupported("date_part with a computed field")
    return cast(datePart(name, source), "float8")
  },
  date_trunc: adaptDateTrunc,
  extract: ([field, source]) => {
    const name = stringConstant(field) ?? ""
    return cast(datePart(name, source), "numeric", [18, fractionDigits(name)])
  },
  make_interval: (args) => adaptMakeInterval(args),
  lpad: (args) => (args.length === 2 ? call("lpad", [...args, text(" ")]) : undefined),
  mod: ([left, right], guardsDivision) =>
    guardsDivision ? guardDivision("%", left, right) : undefined,
  overlay: adaptOverlay,
  regexp_like: ([value, pattern, flags]) =>
    call("regexp_matches", [value, pattern, text(regexFlags(flags, ""))]),
  regexp_replace: ([value, pattern, replacement, flags, ...more]) => {
    if (more.length > 0) throw unsupported("regexp_replace with a start or a count")
    return call("regexp_replace", [value, pattern, replacement, text(regexFlags(flags, "g"))])
  },
  rpad: (args) => (args.length === 2 ? call("rpad", [...args, text(" ")]) : undefined),
  substr: adaptSubstring,
  substring: adaptSubstring,
  to_char: ([value, template]) => adaptToChar(value, template),
  to_date: ([value, template]) => adaptFromText("to_date", value, template),
  to_timestamp: ([value, template]) =>
    template === undefined ? undefined : adaptFromText("to_timestamp", value, template),
  version: () => {
    throw unsupported("version() within a larger query")
  },
}

/** Parameters of make_interval in their order, and what makes each of them in DuckDB. */
const intervalParts: readonly (readonly [parameter: string, maker: string, type: string])[] = [
  ["years", "to_years", "int4"],
  ["months", "to_months", "int4"],
  ["weeks", "to_weeks", "int4"],
  ["days", "to_days", "int4"],
  ["hours", "to_hours", "int8"],
  ["mins", "to_minutes", "int8"],
  ["secs", "to_seconds", "float8"],
]

function adaptMakeInterval(args: Args): Node {
  const terms = args.map((arg, index): Node => {
    const named = nodeFields(arg, "NamedArgExpr")
    const part =
      named === undefined
        ? intervalParts[index]
        : intervalParts.find(([parameter]) => parameter === named["name"])
    if (part === undefined) throw unsupported("make_interval with these arguments")
    const [, maker, type] = part
    return call(maker, [cast(named === undefined ? arg : named["arg"], type)])
  })
  return terms.length === 0
    ? cast(text("0 seconds"), "interval")
    : terms.reduce((sum, term) => operator("+", sum, term))
}

const currentDate: Node = call("today", [])

/** A function call for DuckDB; undefined when it may stay as it is. */
export function adaptCall(fields: Fields, guardsDivision: boolean): Node | undefined {
  const name = lastName(fields["funcname"])
  const schema = nameParts(fields["funcname"]).at(-2)
  assertCallable(name)
  const construct = refused[name]
  if (construct !== undefined) throw unsupported(construct)
  const isSystem = schema === undefined || schema === "pg_catalog"
  if (schema !== undefined && /^(?:system|temp)$/i.test(schema)) throw functionNotAllowed(name)
  if (!isSystem) return undefined
  if (fields["over"] === undefined && fields["agg_filter"] === undefined) {
    const rewritten = rewrites[name]?.(listOf(fields["args"]), guardsDivision)
    if (rewritten !== undefined) return rewritten
  }
  if (name === "percentile_cont") return adaptPercentile(fields)
  const other = renamed[name]
  const isGrammar = fields["funcformat"] === "COERCE_SQL_SYNTAX"
  if (other !== undefined && !isGrammar) {
    return { FuncCall: { ...fields, funcname: [string(other)] } }
  }
  // DuckDB's own functions are not in a schema of that name.
  if (schema !== undefined && !isGrammar) {
    return { FuncCall: { ...fields, funcname: [string(name)] } }
  }
  return undefined
}

/** Digits behind the point that PostgreSQL gives a field; DuckDB cuts them off or gives a double. */
function fractionDigits(field: string): number {
  if (/^(?:epoch|seconds?)$/i.test(field)) return 6
  return /^milliseconds?$/i.test(field) ? 3 : 0
}

const sameFields =
  /^(?:century|centuries|day|days|decade|decades|dow|doy|hour|hours|isodow|isoyear|microseconds?|millennium|minute|minutes|month|months|quarter|week|year|years|epoch|timezone|timezone_hour|timezone_minute)$/i

function datePart(field: string, source: unknown): Node {
  const name = field.toLowerCase()
  if (/^seconds?$/.test(name)) return perMillion(source, 1_000_000)
  if (/^milliseconds?$/.test(name)) return perMillion(source, 1_000)
  if (!sameFields.test(name)) throw unsupported(`extract(${field})`)
  return call("date_part", [text(name), source])
}

/** PostgreSQL interpolates in float8; DuckDB would in the column's own type, and round there. */
function adaptPercentile(fields: Fields): Node {
  const order = listOf(fields["agg_order"]).map((item) => {
    const sort = nodeFields(item, "SortBy")
    return sort === undefined ? item : { SortBy: { ...sort, node: cast(sort["node"], "float8") } }
  })
  const funcname = [string("percentile_cont")]
  return { FuncCall: { ...fields, funcname, agg_order: order } }
}

/** DuckDB's seconds are whole; its microseconds hold the seconds of the minute, as PostgreSQL's do. */
function perMillion(source: unknown, divisor: number): Node {
  const micros = cast(call("date_part", [text("microseconds"), source]), "numeric", [18, 6])
  return operator("/", micros, integer(divisor))
}

/** DuckDB keeps dates as timestamps without zone here; PostgreSQL makes them timestamptz first. */
function adaptDateTrunc([field, source, zone]: Args): Node | undefined {
  if (zone !== undefined) {
    const local = call("timezone", [zone, source])
    return call("timezone", [zone, call("date_trunc", [field, local])])
  }
  if (!isDateExpression(source)) return undefined
  return call("date_trunc", [field, cast(source, "timestamptz")])
}

function adaptOverlay([value, replacement, from, count]: Args): Node {
  const length = count ?? call("length", [replacement])
  const before = call("left", [value, operator("-", from, integer(1))])
  const after = call("substr", [value, operator("+", from, length)])
  return concatenation([before, replacement as Node, after])
}

/** A start before the first character counts from there in PostgreSQL, from the end in DuckDB. */
function adaptSubstring([value, start, length]: Args): Node | undefined {
  if (stringConstant(start) !== undefined) throw unsupported("substring by a regular expression")
  const first = integerConstant(start)
  if (first === undefined || first >= 1) return undefined
  if (length === undefined) return call("substr", [value, integer(1)])
  const last = operator("+", length, integer(first - 1))
  const kept: Node = { MinMaxExpr: { op: "IS_GREATEST", args: [last, integer(0)] } }
  return call("substr", [value, integer(1), kept])
}

function regexFlags(flags: unknown, allowed: string): string {
  if (flags === undefined) return regexOptions
  const given = stringConstant(flags)
  if (given === undefined) throw unsupported("computed regular expression flags")
  for (const flag of given) {
    if (flag !== "i" && flag !== "c" && !allowed.includes(flag)) {
      throw unsupported(`the regular expression flag "${flag}"`)
    }
  }
  const kept = given.replaceAll("c", "")
  return `${kept}${regexOptions}`
}
