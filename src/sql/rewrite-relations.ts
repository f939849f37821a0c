import type { RelationRef } from "../core/relation.ts"
import type { Ast, Emitted, Statement } from "../core/statement.ts"
import { type Fields, fieldsOf, isFields, listOf, nameParts, nodeFields } from "./ast.ts"
import { type Edit, editText } from "./edits.ts"
import { emitTree } from "./emit.ts"
import { dependentColumns, type KeyedRelation } from "./group-by-key.ts"
import { parseTrees } from "./parser.ts"
import { scanTokens, type Token } from "./parser-instance.ts"
import { quoteIdentifier } from "./quote.ts"
import { type CteScope, openWith, relationOf } from "./relations.ts"
import { type ScanCondition, scanConditions } from "./scan-conditions.ts"
import { verified } from "./verified.ts"

/** One place in a query where a relation is read. */
export type RelationUse = {
  readonly ref: RelationRef
  /** False for `ONLY t`. */
  readonly includesChildren: boolean
  /** TABLESAMPLE reads the relation's pages: a query in its place cannot be sampled so. */
  readonly isSampled: boolean
  /** What the SELECT around it wants of its rows, as far as it is plain: rows that do not meet them cannot count. */
  readonly conditions: readonly ScanCondition[]
}

/** The query that stands in a relation's place. */
export type StandIn = {
  readonly query: Emitted
  /** Schema that the relation was found in: columns may be qualified with it. */
  readonly schema: string
  /** Set when grouping by the relation's primary key makes its other columns known. */
  readonly keyed?: KeyedRelation | undefined
}

/**
 * A query with other queries in the places of relations, proven to parse to what was meant. The relation's name (or its
 * alias) stays the name of what stands there, so that columns, `t.*`, whole rows and column lists go on meaning it. CTE
 * names are left alone. Where the text can carry the change it stays the client's own around it, and positions are the
 * client's; otherwise the whole is deparsed. Throws 0A000 (`emit_not_verified`) when neither can be proven. `undefined`: no
 * relation was replaced. `finish` may change the tree once more, but for the stand-ins in it; what it changes is deparsed.
 */
export function rewriteRelations(
  statement: Statement,
  standIn: (use: RelationUse) => StandIn | undefined,
  finish?: (tree: Ast, standIns: WeakSet<object>) => Ast,
): Emitted | undefined {
  // Locations of the statement's own tree count from the start of the client's whole text.
  const [ast] = parseTrees(statement.text)
  if (ast === undefined) return undefined
  const rewrite = new Rewrite(statement.text, standIn)
  const replaced = rewrite.tree(ast)
  const tree = finish?.(replaced, rewrite.foreign) ?? replaced
  if (tree === ast) return undefined
  const edits = tree === replaced ? rewrite.edits : undefined
  return spliced(statement.text, edits, tree) ?? emitTree(tree)
}

function spliced(text: string, edits: readonly Edit[] | undefined, tree: Ast): Emitted | undefined {
  if (edits === undefined) return undefined
  const edited = editText(text, edits)
  try {
    const proven = verified(edited.text, tree)
    if (proven === undefined) return undefined
    return {
      text: edited.text,
      ast: proven,
      keepsPositions: false,
      clientPosition: edited.position,
    }
  } catch {
    return undefined
  }
}

class Rewrite {
  /** Undefined once a place was met that the text cannot carry. */
  edits: Edit[] | undefined = []
  readonly #standIn: (use: RelationUse) => StandIn | undefined
  readonly #tokens: readonly Token[]
  /** Index of the token that begins at a byte. */
  readonly #tokenAt: ReadonlyMap<number, number>
  /** `schema.table` of replaced relations without an alias: how their columns may be qualified. */
  readonly #qualifiers = new Set<string>()
  /** Trees of stand-ins: their columns are their own. */
  readonly foreign = new WeakSet<object>()
  /** By the fields of RangeVars, filled when the SELECT around them is entered. */
  readonly #conditions = new Map<Fields, readonly ScanCondition[]>()
  /** By the fields of the RangeVars that stood there. */
  readonly #keyed = new Map<Fields, KeyedRelation>()

  constructor(text: string, standIn: (use: RelationUse) => StandIn | undefined) {
    this.#standIn = standIn
    this.#tokens = scanTokens(text)
    this.#tokenAt = new Map(this.#tokens.map(({ start }, index) => [start, index]))
  }

  tree(ast: Ast): Ast {
    const replaced = fieldsOf(this.#relations(ast, undefined, false))
    return this.#qualifiers.size === 0 ? replaced : fieldsOf(this.#columns(replaced))
  }

  /** The same value with relations replaced; the very same object where nothing was. */
  #relations(value: unknown, scope: CteScope | undefined, isSampled: boolean): unknown {
    if (Array.isArray(value)) {
      const items = value.map((item) => this.#relations(item, scope, isSampled))
      return items.some((item, index) => item !== value[index]) ? items : value
    }
    if (!isFields(value)) return value
    const rangeVar = nodeFields(value, "RangeVar")
    if (rangeVar !== undefined) return this.#relation(value, rangeVar, scope, isSampled)
    if ("whereClause" in value && "fromClause" in value)
      for (const [relation, conditions] of scanConditions(value))
        this.#conditions.set(relation, conditions)
    const opened = "withClause" in value ? openWith(value["withClause"], scope) : undefined
    let changed: Record<string, unknown> | undefined
    for (const key in value) {
      const child = value[key]
      const isSample = key === "RangeTableSample"
      const rewritten =
        opened !== undefined && key === "withClause"
          ? this.#ctes(fieldsOf(child), opened.ctes)
          : this.#relations(
              child,
              opened?.scope ?? scope,
              isSample || (isSampled && key === "relation"),
            )
      if (rewritten === child) continue
      changed ??= { ...value }
      changed[key] = rewritten
    }
    if (changed !== undefined && "groupClause" in value) this.#groupByKey(value, changed)
    return changed ?? value
  }

  /** Columns that depended on a primary key in GROUP BY are put in front of what is there. */
  #groupByKey(select: Fields, changed: Record<string, unknown>): void {
    const added = dependentColumns(select, this.#keyed)
    if (added.length === 0) return
    const before = listOf(changed["groupClause"])
    const names = added.map(({ table, column }) => [table, column])
    changed["groupClause"] = [
      ...names.map((parts) => ({
        ColumnRef: { fields: parts.map((sval) => ({ String: { sval } })) },
      })),
      ...before,
    ]
    const [first] = listOf(select["groupClause"])
    const item = nodeFields(first, "ColumnRef") ?? nodeFields(first, "A_Const")
    const index = this.#tokenAt.get(Number(item?.["location"] ?? -1)) ?? -1
    const start = this.#tokens[index]?.start
    if (start === undefined || !/^(?:by|distinct|all)$/i.test(this.#text(index - 1))) {
      this.edits = undefined
      return
    }
    const text = names.map((parts) => `${parts.map(quoteIdentifier).join(".")}, `).join("")
    this.edits?.push({ start, end: start, text })
  }

  #ctes(
    clause: Fields,
    ctes: readonly { readonly cte: Fields; readonly scope: CteScope | undefined }[],
  ): Fields {
    const items = ctes.map(({ cte, scope }) => {
      const rewritten = this.#relations(cte, scope, false)
      return rewritten === cte ? undefined : { CommonTableExpr: rewritten }
    })
    if (items.every((item) => item === undefined)) return clause
    const before = listOf(clause["ctes"])
    return { ...clause, ctes: items.map((item, index) => item ?? before[index]) }
  }

  #relation(
    node: Fields,
    fields: Fields,
    scope: CteScope | undefined,
    isSampled: boolean,
  ): unknown {
    const ref = relationOf(fields, scope)
    if (ref === undefined) return node
    const includesChildren = fields["inh"] === true
    const conditions = this.#conditions.get(fields) ?? []
    const standIn = this.#standIn({ ref, includesChildren, isSampled, conditions })
    if (standIn === undefined) return node
    if (standIn.keyed !== undefined) this.#keyed.set(fields, standIn.keyed)
    const alias = isFields(fields["alias"]) ? fields["alias"] : { aliasname: ref.name }
    const hasAlias = isFields(fields["alias"])
    if (!hasAlias) {
      this.#qualifiers.add(qualifier(standIn.schema, ref.name))
      if (ref.schema !== undefined) this.#qualifiers.add(qualifier(ref.schema, ref.name))
    }
    const behind = hasAlias ? "" : ` AS ${quoteIdentifier(ref.name)}`
    this.foreign.add(standIn.query.ast)
    this.#replaceName(fields, `(${standIn.query.text})${behind}`)
    return { RangeSubselect: { subquery: standIn.query.ast, alias } }
  }

  /** `[ONLY] [(] a.b.c [)] [*]` in the text. */
  #replaceName(fields: Fields, text: string): void {
    const location = typeof fields["location"] === "number" ? fields["location"] : 0
    const first = this.#tokenAt.get(location)
    if (first === undefined) {
      this.edits = undefined
      return
    }
    const parts = ["catalogname", "schemaname", "relname"].filter((key) => key in fields).length
    let from = first
    let to = first + 2 * (parts - 1)
    if (fields["inh"] !== true) {
      const isBraced = this.#text(from - 1) === "("
      if (isBraced && this.#text(to + 1) === ")") {
        from -= 1
        to += 1
      }
      if (this.#text(from - 1).toLowerCase() === "only") from -= 1
    } else if (this.#text(to + 1) === "*") to += 1
    this.#edit(from, to, text)
  }

  #text(index: number): string {
    return this.#tokens[index]?.text ?? ""
  }

  #edit(from: number, to: number, text: string): void {
    const [start, end] = [this.#tokens[from]?.start, this.#tokens[to]?.end]
    if (start === undefined || end === undefined) this.edits = undefined
    else this.edits?.push({ start, end, text })
  }

  /** `schema.table.column` of a replaced relation: a query has no schema. */
  #columns(value: unknown): unknown {
    if (Array.isArray(value)) {
      const items = value.map((item) => this.#columns(item))
      return items.some((item, index) => item !== value[index]) ? items : value
    }
    if (!isFields(value) || this.foreign.has(value)) return value
    const column = nodeFields(value, "ColumnRef")
    if (column !== undefined) return this.#column(value, column)
    let changed: Record<string, unknown> | undefined
    for (const key in value) {
      const child = value[key]
      const rewritten = this.#columns(child)
      if (rewritten === child) continue
      changed ??= { ...value }
      changed[key] = rewritten
    }
    return changed ?? value
  }

  #column(node: Fields, column: Fields): Fields {
    const items = listOf(column["fields"])
    const parts = nameParts(items)
    const table = parts.length - 2
    if (table < 1 || !this.#qualifiers.has(qualifier(parts[table - 1] ?? "", parts[table] ?? "")))
      return node
    const first = this.#tokenAt.get(Number(column["location"] ?? 0))
    if (first === undefined) this.edits = undefined
    else this.#edit(first, first + 2 * table - 1, "")
    return { ColumnRef: { ...column, fields: items.slice(table) } }
  }
}

function qualifier(schema: string, table: string): string {
  return JSON.stringify([schema, table])
}
