import { findFunction, findRelation } from "../catalog/relation-key.ts"
import { type NameScope, resolveRelations } from "../catalog/resolve.ts"
import { InvariantViolation } from "../core/errors.ts"
import type { RelationName } from "../core/relation.ts"
import type { Ast } from "../core/statement.ts"
import { type Fields, fieldsOf, isFields, listOf, nameParts, nodeFields } from "../sql/ast.ts"
import { parseTrees } from "../sql/parser.ts"
import type { Guard, GuardedKind } from "./catalogue-calls.ts"
import { firstUserOid } from "./catalogue-conditions.ts"
import { catalogueConditions } from "./catalogue-relations.ts"
import { type CatalogueSight, toastSchemaOid } from "./catalogue-sight.ts"

/** An expression with the client's own in its places. */
export type Template = (given: unknown, extra: unknown) => Ast

const catalogues: Readonly<Record<Exclude<GuardedKind, "relation">, RelationName>> = {
  constraint: "pg_catalog.pg_constraint" as RelationName,
  trigger: "pg_catalog.pg_trigger" as RelationName,
  rule: "pg_catalog.pg_rewrite" as RelationName,
  statistics: "pg_catalog.pg_statistic_ext" as RelationName,
  type: "pg_catalog.pg_type" as RelationName,
  namespace: "pg_catalog.pg_namespace" as RelationName,
  function: "pg_catalog.pg_proc" as RelationName,
}

/** What finds an object by a text that is no number. */
const finders: Readonly<Record<GuardedKind, string | undefined>> = {
  relation: "to_regclass",
  type: "to_regtype",
  namespace: "to_regnamespace",
  function: "to_regprocedure",
  constraint: undefined,
  trigger: undefined,
  rule: undefined,
  statistics: undefined,
}

const givenName = "sluice given"
const extraName = "sluice extra"

/** The queries that stand in the places of oids and names for one reader; each is parsed once. */
export class GuardTemplates {
  readonly #sight: CatalogueSight
  readonly #scope: NameScope
  readonly #templates: Map<string, Template | undefined>

  constructor(sight: CatalogueSight, scope: NameScope) {
    this.#sight = sight
    this.#scope = scope
    let templates = templatesBySight.get(sight)
    if (templates === undefined) {
      templates = new Map()
      templatesBySight.set(sight, templates)
    }
    this.#templates = templates
  }

  hides(kind: GuardedKind): boolean {
    if (kind === "relation") return this.#sight.hidesRelations
    return catalogueConditions(catalogues[kind], this.#sight).length > 0
  }

  /** The oid, or the name as text, of what a text, a number or another oid means; NULL for what is hidden. */
  lookup(kind: GuardedKind, type: string, form: "oid" | "text"): Template | undefined {
    if (!this.hides(kind)) return undefined
    const result = form === "oid" ? "o.oid" : `o.oid::pg_catalog.${type}::pg_catalog.text`
    const finder = type === "regproc" ? "to_regproc" : finders[kind]
    return this.#made(`lookup ${type} ${form}`, () =>
      this.#query(kind, result, finder, false, this.#shown(kind)),
    )
  }

  /** The argument's oid, or NULL for what is hidden. Undefined where nothing can be. */
  argument(guard: Guard): Template | undefined {
    const { kind, depth, byName } = guard
    const result = byName === true ? "o.oid::pg_catalog.regclass::pg_catalog.text" : "o.oid"
    return this.#made(`argument ${kind} ${depth} ${result}`, () => {
      const deeper = this.#deeper(guard)
      if (!this.hides(kind) && deeper === undefined) return undefined
      const conditions = [...this.#shown(kind), ...(deeper === undefined ? [] : [deeper])]
      return this.#query(kind, result, finders[kind], guard.extra !== undefined, conditions)
    })
  }

  /** A call whose value is a type, as text or oid. */
  named(call: Fields, form: "oid" | "text"): Fields {
    if (!this.hides("type")) return call
    const names = [{ String: { sval: "pg_catalog" } }, { String: { sval: form } }]
    return { TypeCast: { arg: call, typeName: { names, typemod: -1 } } }
  }

  /** Partitioned parents of a relation, as far as they are visible. */
  ancestors(argument: unknown): Ast {
    const guarded = this.argument({ kind: "relation", depth: "shown", at: 0 })
    const template = this.#made("ancestors", () => {
      const isVisible = this.#sight.visible("a.relid::pg_catalog.oid")
      const where = isVisible === undefined ? "" : ` WHERE ${isVisible}`
      return `pg_catalog.unnest(ARRAY(SELECT a.relid::pg_catalog.oid FROM pg_catalog.pg_partition_ancestors("${givenName}") AS a(relid)${where}))`
    })
    if (template === undefined) throw new InvariantViolation("a template is missing")
    return template(guarded === undefined ? argument : guarded(argument, undefined), undefined)
  }

  /** The name of a type that is the row of something hidden, or of a relation with denied columns. */
  hiddenRow(parts: readonly string[]): string | undefined {
    const written = parts.at(-1) ?? ""
    const schema = parts.at(-2)
    const { snapshot } = this.#scope
    for (const name of new Set([written, written.replace(/^_/, "")])) {
      const found =
        schema === undefined ? this.#unqualifiedRow(name) : findRelation(snapshot, schema, name)
      const relation = found === undefined ? undefined : snapshot.relations.get(found)
      if (relation !== undefined && !this.#sight.showsRow(relation)) return parts.join(".")
    }
    return undefined
  }

  #unqualifiedRow(name: string): RelationName | undefined {
    const { snapshot } = this.#scope
    const isOwnType = [`${name}in`, `${name}_in`].some(
      (input) => findFunction(snapshot, "pg_catalog", input) !== undefined,
    )
    if (isOwnType) return undefined
    const ref = { catalog: undefined, schema: undefined, name }
    return resolveRelations([ref], this.#scope).resolved[0]
  }

  #shown(kind: GuardedKind): readonly string[] {
    return kind === "relation" ? [] : catalogueConditions(catalogues[kind], this.#sight)
  }

  #deeper({ kind, depth }: Guard): string | undefined {
    const sight = this.#sight
    const whole = sight.whole("n.nspname", "k.relname")
    switch (depth) {
      case "ungoverned":
        if (!sight.hasGoverned) return undefined
        return `n.oid <> ${toastSchemaOid} AND NOT ${sight.isGoverned("n.nspname", "k.relname")}`
      case "whole":
        return whole
      case "definition": {
        const untold = sight.untoldDefinitions()
        const relation = kind === "rule" ? "ev_class" : "r.oid"
        return untold === undefined ? undefined : `${relation} NOT IN (${untold})`
      }
      case "column": {
        const attribute = sight.attribute("q.attrelid", "q.attnum")
        if (attribute === undefined) return undefined
        return `EXISTS (SELECT FROM pg_catalog.pg_attribute q WHERE q.attrelid = r.oid AND (q.attname = g.extra OR q.attnum::pg_catalog.text = g.extra) AND ${attribute})`
      }
      case "expression":
        return whole === undefined ? undefined : `(${whole} OR g.extra NOT LIKE '%{VAR %')`
      case "system":
        return `oid < ${firstUserOid}`
      default:
        return undefined
    }
  }

  #query(
    kind: GuardedKind,
    result: string,
    finder: string | undefined,
    hasExtra: boolean,
    conditions: readonly string[],
  ): string {
    const extra = hasExtra ? `, ("${extraName}")::pg_catalog.text AS extra` : ""
    // In a query of its own: the client's columns must not meet ours.
    const texts = `SELECT ("${givenName}")::pg_catalog.text AS given${extra} OFFSET 0`
    const found =
      finder === undefined
        ? "t.given::pg_catalog.oid"
        : `CASE WHEN t.given ~ '^[0-9]+$' THEN t.given::pg_catalog.oid ELSE pg_catalog.${finder}(t.given)::pg_catalog.oid END`
    const given = `(SELECT ${found} AS oid${hasExtra ? ", t.extra" : ""} FROM (${texts}) AS t OFFSET 0) AS g`
    if (kind === "relation")
      return `(SELECT ${result} FROM (SELECT r.oid ${this.#sight.relationBy(given, conditions)}) AS o)`
    const where = conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`
    const catalogue = catalogues[kind]
    return `(SELECT ${result} FROM ${given} JOIN (SELECT oid FROM ${catalogue}${where}) AS o ON o.oid = g.oid)`
  }

  #made(id: string, text: () => string | undefined): Template | undefined {
    if (this.#templates.has(id)) return this.#templates.get(id)
    const made = text()
    const template = made === undefined ? undefined : templateOf(made)
    this.#templates.set(id, template)
    return template
  }
}

const templatesBySight = new WeakMap<CatalogueSight, Map<string, Template | undefined>>()

function templateOf(text: string): Template {
  const [tree] = parseTrees(`SELECT ${text}`)
  const [target] = listOf(nodeFields(tree, "SelectStmt")?.["targetList"])
  const expression = fieldsOf(nodeFields(target, "ResTarget")?.["val"])
  return (given, extra) => fieldsOf(filled(expression, given, extra))
}

function filled(value: unknown, given: unknown, extra: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => filled(item, given, extra))
  if (!isFields(value)) return value
  const column = nodeFields(value, "ColumnRef")
  if (column !== undefined) {
    const [name] = nameParts(column["fields"])
    if (name === givenName) return given
    if (name === extraName) return extra
    return value
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [key, filled(child, given, extra)]),
  )
}
