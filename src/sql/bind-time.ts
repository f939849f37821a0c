import type { Statement } from "../core/statement.ts"
import {
  type Fields,
  fieldsOf,
  isFields,
  isTag,
  listOf,
  nameParts,
  nodeFields,
  numberOf,
  textOf,
} from "./ast.ts"
import { type Edit, editText } from "./edits.ts"
import { parseText, parseTrees } from "./parser.ts"
import { scanTokens, type Token } from "./parser-instance.ts"
import { quoteIdentifier } from "./quote.ts"
import { sameTree } from "./tree.ts"

/**
 * The statement with one instant in place of every reading of the transaction's clock: now(), CURRENT_TIMESTAMP and their kin
 * become a typed literal, or what PostgreSQL makes of that literal for CURRENT_DATE, LOCALTIMESTAMP and the times of day. The
 * client's text is edited in these places only, parsed again, and must give the tree that was meant. Types and column names stay
 * as they were. Undefined where it cannot be done with proof; clock_timestamp() and timeofday() are not the transaction's.
 */
export function bindTime(statement: Statement, instantMs: number): Statement | undefined {
  if (statement.class.kind !== "read" || statement.text.length > textCharsMax) return undefined
  const [tree, ...others] = parseTrees(statement.text)
  if (tree === undefined || others.length > 0) return undefined
  const binder = new TimeBinder(instantMs)
  const intended = binder.value(tree)
  const sites = binder.sites
  if (!binder.isBindable || sites.length === 0) return undefined
  const edits = editsOf(sites, statement.text)
  if (edits === undefined) return undefined
  const edited = editText(statement.text, edits)
  const [bound, ...more] = parseText(edited.text)
  if (bound === undefined || more.length > 0 || bound.class.kind !== "read") return undefined
  if (!sameTree(bound.ast, intended)) return undefined
  const { offset, hints } = statement
  return {
    ...bound,
    offset,
    sourcePosition: edited.position,
    ...(hints === undefined ? {} : { hints }),
  }
}

/** Longer texts are generated ones, which read the clock rarely; parsing them twice more would hold up the event loop. */
const textCharsMax = 16 * 1024

/** `2026-11-21 10:40:00+00`: read the same under every DateStyle and time zone (PostgreSQL manual, 8.5.1). */
export function instantText(instantMs: number): string {
  return new Date(instantMs)
    .toISOString()
    .replace("T", " ")
    .replace(/(?:\.000)?Z$/, "+00")
}

/** Functions of pg_catalog that give the start of the transaction, or of the statement, which here is no other. */
export const boundFunctions: ReadonlySet<string> = new Set([
  "now",
  "statement_timestamp",
  "transaction_timestamp",
])

/** The grammar's clock: column name, and the type that the instant is cast to, with the place of a precision. */
const grammarClocks: ReadonlyMap<string, { readonly label: string; readonly type: string }> =
  new Map([
    ["SVFOP_CURRENT_DATE", { label: "current_date", type: "date" }],
    ["SVFOP_CURRENT_TIME", { label: "current_time", type: "time% with time zone" }],
    ["SVFOP_CURRENT_TIMESTAMP", { label: "current_timestamp", type: "" }],
    ["SVFOP_LOCALTIME", { label: "localtime", type: "time%" }],
    ["SVFOP_LOCALTIMESTAMP", { label: "localtimestamp", type: "timestamp%" }],
  ])

/** One reading of the clock: where it begins, in bytes, and what stands there instead. */
type Site = { readonly start: number; readonly isCall: boolean; readonly text: string }

type Clock = { readonly label: string; readonly sql: string; readonly site: Omit<Site, "text"> }

class TimeBinder {
  readonly sites: Site[] = []
  /** False once a place was met that takes no literal. */
  isBindable = true
  readonly #literal: string
  #hasChainLabel = false
  #hasDistinct = false

  constructor(instantMs: number) {
    this.#literal = instantText(instantMs)
  }

  /** Copies only what leads to a change. */
  value(value: unknown): unknown {
    if (Array.isArray(value)) return this.#list(value)
    if (!isFields(value)) return value
    let copy: Record<string, unknown> | undefined
    for (const key in value) {
      const old = value[key]
      if (isTag(key) && isFields(old)) {
        const replaced = this.#node(key, old)
        if (replaced !== undefined) return replaced
      }
      const made = key === "targetList" ? this.#targets(old) : this.value(old)
      if (made === old) continue
      copy ??= { ...value }
      copy[key] = made
    }
    return copy ?? value
  }

  #list(list: readonly unknown[]): readonly unknown[] {
    let copy: unknown[] | undefined
    for (const [index, old] of list.entries()) {
      const made = this.value(old)
      if (made === old) continue
      copy ??= [...list]
      copy[index] = made
    }
    return copy ?? list
  }

  #node(tag: string, fields: Fields): unknown {
    if (tag === "SelectStmt" && "distinctClause" in fields) this.#note("distinct")
    if (tag === "RangeFunction") this.#checkRange(fields)
    const clock = this.#clock({ [tag]: fields })
    return clock === undefined ? undefined : this.#bound(clock, clock.sql)
  }

  /** `FROM now()`: the column would get another name. */
  #checkRange(fields: Fields): void {
    for (const item of listOf(fields["functions"])) {
      const [called] = listOf(nodeFields(item, "List")?.["items"])
      if (this.#clock(called) !== undefined) this.isBindable = false
    }
  }

  #bound(clock: Clock, sql: string): unknown {
    this.sites.push({ ...clock.site, text: sql })
    return expression(sql)
  }

  #targets(targets: unknown): unknown {
    let copy: unknown[] | undefined
    for (const [index, old] of listOf(targets).entries()) {
      const made = this.#target(old) ?? this.value(old)
      if (made === old) continue
      copy ??= [...listOf(targets)]
      copy[index] = made
    }
    return copy ?? targets
  }

  /** An output column without a name of its own keeps the one that it has from the call (FigureColname, parse_target.c). */
  #target(target: unknown): unknown {
    const fields = nodeFields(target, "ResTarget")
    if (fields === undefined || "name" in fields) return undefined
    const clock = this.#clock(fields["val"])
    if (clock === undefined) {
      const val = this.#chain(fields["val"])
      return val === undefined ? undefined : { ResTarget: { ...fields, val } }
    }
    const { label, sql, site } = clock
    this.sites.push({ ...site, text: `${sql} AS ${quoteIdentifier(label)}` })
    return { ResTarget: { ...fields, name: label, val: expression(sql) } }
  }

  /** `now()::date` is named "now": a sub-select hands its column's name on where a cast does not. */
  #chain(value: unknown): unknown {
    for (const [tag, key] of chainLinks) {
      const fields = nodeFields(value, tag)
      if (fields === undefined) continue
      const inner = fields[key]
      const clock = this.#clock(inner)
      let made: unknown
      if (clock === undefined) made = this.#chain(inner)
      else {
        this.#note("chain")
        made = this.#bound(clock, `(SELECT ${clock.sql} AS ${quoteIdentifier(clock.label)})`)
      }
      if (made === undefined) return undefined
      const others = fieldsOf(this.value({ ...fields, [key]: null }))
      return { [tag]: { ...others, [key]: made } }
    }
    return undefined
  }

  /** A sub-select is not the expression that DISTINCT's ORDER BY repeats. */
  #note(what: "chain" | "distinct"): void {
    if (what === "chain") this.#hasChainLabel = true
    else this.#hasDistinct = true
    if (this.#hasChainLabel && this.#hasDistinct) this.isBindable = false
  }

  #clock(value: unknown): Clock | undefined {
    const grammar = nodeFields(value, "SQLValueFunction")
    if (grammar !== undefined) return this.#grammarClock(grammar)
    const call = nodeFields(value, "FuncCall")
    if (call === undefined || "args" in call || "over" in call) return undefined
    const parts = nameParts(call["funcname"])
    const name = parts.at(-1) ?? ""
    const isSystem = parts.length === 1 || (parts.length === 2 && parts[0] === "pg_catalog")
    if (!isSystem || !boundFunctions.has(name)) return undefined
    const site = { start: numberOf(call["location"]), isCall: true }
    return { label: name, sql: this.#timestamp(""), site }
  }

  #grammarClock(fields: Fields): Clock | undefined {
    const op = textOf(fields["op"])
    const hasPrecision = op.endsWith("_N")
    const found = grammarClocks.get(hasPrecision ? op.slice(0, -2) : op)
    if (found === undefined) return undefined
    const precision = hasPrecision ? `(${numberOf(fields["typmod"])})` : ""
    const sql =
      found.type === ""
        ? this.#timestamp(precision)
        : `CAST(${this.#timestamp("")} AS ${found.type.replace("%", precision)})`
    const site = { start: numberOf(fields["location"]), isCall: hasPrecision }
    return { label: found.label, sql, site }
  }

  #timestamp(precision: string): string {
    return `CAST('${this.#literal}' AS timestamp${precision} with time zone)`
  }
}

/** Nodes that take the name of what they hold. */
const chainLinks = [
  ["TypeCast", "arg"],
  ["CollateClause", "arg"],
  ["CaseExpr", "defresult"],
] as const

/** Undefined when a place does not look as its node says. */
function editsOf(sites: readonly Site[], text: string): readonly Edit[] | undefined {
  const tokens = scanTokens(text).filter(({ text: token }) => !/^(?:--|\/\*)/.test(token))
  const edits: Edit[] = []
  for (const { start, isCall, text: instead } of sites) {
    const first = tokens.findIndex((token) => token.start === start)
    const last = isCall ? closing(tokens, first) : tokens[first]
    if (first < 0 || last === undefined) return undefined
    edits.push({ start, end: last.end, text: instead })
  }
  return edits
}

/** The parenthesis that ends a call without arguments, or with a precision. */
function closing(tokens: readonly Token[], first: number): Token | undefined {
  const tokensMax = 8
  return tokens.slice(first, first + tokensMax).find(({ text }) => text === ")")
}

const expressions = new Map<string, unknown>()
const expressionsMax = 100

function expression(sql: string): unknown {
  const known = expressions.get(sql)
  if (known !== undefined) return known
  const [ast] = parseTrees(`SELECT ${sql}`)
  const [target] = listOf(nodeFields(ast, "SelectStmt")?.["targetList"])
  const made = nodeFields(target, "ResTarget")?.["val"]
  if (expressions.size >= expressionsMax) expressions.clear()
  expressions.set(sql, made)
  return made
}
