import { dependentsOf, downward } from "../catalog/expand.ts"
import { findRelation, partsOf } from "../catalog/relation-key.ts"
import type { CatalogRelation, CatalogSnapshot } from "../core/catalog.ts"
import { type RelationName, relationName } from "../core/relation.ts"
import type { EffectivePolicy } from "./policy.ts"
import { type ReaderRule, ruleFor } from "./relation-policy.ts"
import { rulesByRelation } from "./rules-by-relation.ts"

type NamePair = { readonly schema: string; readonly name: string }

/** Oids that every PostgreSQL has: pg_class, pg_rewrite, the schema pg_toast (pg_class.dat, pg_namespace.dat). */
const classOid = 1259
const rewriteOid = 2618
export const toastSchemaOid = 99

/** Relations that are hidden one by one; above it what a reader sees cannot be said in one statement. */
export const hiddenNamesMax = 10_000

/** True for readers to whom the catalogue does not show everything. Who may write runs code of its own, and is none. */
export function isRestricted(policy: EffectivePolicy): boolean {
  if (policy.rules !== undefined) return true
  if (policy.mayWrite) return false
  return !policy.allow.matchesEverything || !policy.deny.isEmpty
}

/**
 * What one reader may see of PostgreSQL's catalogue, as SQL conditions over names and oids. They hold patterns and not lists
 * of what is visible, so that ten thousand granted relations cost no more text than one. `undefined` stands for TRUE.
 */
export class CatalogueSight {
  readonly hiddenCount: number
  /** Relations with a rule for this reader: how large they are, nobody tells him. */
  readonly #governed: readonly NamePair[]
  /** A rule of the reader's token holds for whatever it reads. */
  readonly #governsAll: boolean
  readonly #policy: EffectivePolicy
  readonly #hidden: readonly NamePair[]
  readonly #denied: readonly (NamePair & { readonly columns: readonly string[] })[]

  constructor(policy: EffectivePolicy, snapshot: CatalogSnapshot) {
    this.#policy = policy
    const ruled = ruledBy(policy, snapshot)
    const guest = policy.rules?.guest
    this.#governsAll =
      guest !== undefined &&
      (guest.problem !== undefined ||
        guest.clauses.some(({ relations }) => relations === undefined))
    this.#governed = [...ruled.values()].map(({ policy: { schema, relation } }) => ({
      schema,
      name: relation,
    }))
    this.#denied = [...ruled.values()].flatMap(({ deniedColumns, policy: { schema, relation } }) =>
      deniedColumns.size === 0 ? [] : [{ schema, name: relation, columns: [...deniedColumns] }],
    )
    this.#hidden = hiddenOneByOne(policy, ruled, snapshot).map(({ schema, relation }) => ({
      schema,
      name: relation,
    }))
    this.hiddenCount = this.#hidden.length
  }

  get hasGoverned(): boolean {
    return this.#governsAll || this.#governed.length > 0
  }

  get hasDenied(): boolean {
    return this.#denied.length > 0
  }

  /** False where every relation and index is visible. */
  get hidesRelations(): boolean {
    return this.hasDenied || this.names("s", "t") !== undefined
  }

  /** A grant that names a relation of the catalogue opens all of it. */
  isGranted(name: RelationName): boolean {
    return this.#policy.allow.names(name)
  }

  /** True for a relation whose row type may be named: visible, with all of its columns. */
  showsRow({ name, schema, relation }: CatalogRelation): boolean {
    if (systemSchemas.includes(schema)) return true
    const { allow, deny } = this.#policy
    const isIt = (pair: NamePair): boolean => pair.schema === schema && pair.name === relation
    if (!allow.matches(name) || deny.matches(name)) return false
    return !this.#hidden.some(isIt) && !this.#denied.some(isIt)
  }

  /** Relations by name: granted, not denied, and not refused for what they would show. The system's own are there. */
  names(schema: string, name: string): string | undefined {
    const { allow, deny } = this.#policy
    const conditions: string[] = []
    if (!allow.matchesEverything) {
      const { schemas, names } = partsOfPatterns(allow.patterns)
      conditions.push(anyOf([inList(schema, schemas), pairs(schema, name, names)]))
    }
    const denied = partsOfPatterns(deny.patterns)
    if (deny.matchesEverything) conditions.push("FALSE")
    if (denied.schemas.length > 0) conditions.push(`NOT ${inList(schema, denied.schemas)}`)
    const hidden = [...denied.names, ...this.#hidden]
    if (hidden.length > 0) conditions.push(`NOT ${pairs(schema, name, hidden)}`)
    if (conditions.length === 0) return undefined
    const isOwn = `(${conditions.join(" AND ")} AND ${schema} NOT LIKE 'pg\\_t%')`
    return `(${inList(schema, systemSchemas)} OR ${isOwn})`
  }

  /** Schemas in which something may be visible. */
  namespace(schema: string): string | undefined {
    const { allow, deny } = this.#policy
    const conditions: string[] = []
    if (!allow.matchesEverything) {
      const { schemas, names } = partsOfPatterns(allow.patterns)
      const all = new Set([...schemas, ...names.map((pair) => pair.schema)])
      conditions.push(inList(schema, [...all]))
    }
    const denied = partsOfPatterns(deny.patterns)
    if (deny.matchesEverything) conditions.push("FALSE")
    if (denied.schemas.length > 0) conditions.push(`NOT ${inList(schema, denied.schemas)}`)
    if (conditions.length === 0) return undefined
    return `(${inList(schema, systemSchemas)} OR (${conditions.join(" AND ")}))`
  }

  /** FALSE for denied columns by name. */
  column(schema: string, name: string, column: string): string | undefined {
    if (!this.hasDenied) return undefined
    const each = this.#denied.map(
      (denied) =>
        `(${schema} = ${literal(denied.schema)} AND ${name} = ${literal(denied.name)} AND ${inList(column, denied.columns)})`,
    )
    return `NOT (${each.join(" OR ")})`
  }

  /** FALSE for relations of which a column is denied. */
  whole(schema: string, name: string): string | undefined {
    return this.hasDenied ? `NOT ${pairs(schema, name, this.#denied)}` : undefined
  }

  /** `SELECT oid` of relations and indexes that are visible. Two branches: one join over both is twice as slow. */
  relationOids(): string {
    const named = this.names("n.nspname", "k.relname")
    const ofIndexes = [named, this.#noHiddenIndex("x.indexrelid")].flatMap((each) => each ?? [])
    return `SELECT k.oid ${tables} AND ${named ?? "TRUE"} UNION ALL SELECT x.indexrelid ${indexes}${whereText(ofIndexes)}`
  }

  /** The row that an oid in `given` means, if it is visible: to be put in the place of the oid. */
  relationBy(given: string, conditions: readonly (string | undefined)[]): string {
    const all = [this.names("n.nspname", "k.relname"), this.#noHiddenIndex("r.oid"), ...conditions]
    return `FROM ${given} JOIN pg_catalog.pg_class r ON r.oid = g.oid ${tableOfIndex}${whereText(all.flatMap((each) => each ?? []))}`
  }

  visible(oid: string): string | undefined {
    return !this.hidesRelations ? undefined : `${oid} IN (${this.relationOids()})`
  }

  /** FALSE for denied columns by number. */
  attribute(relation: string, number: string): string | undefined {
    if (!this.hasDenied) return undefined
    return `(${relation}, ${number}) NOT IN (${this.#deniedAttributes()})`
  }

  /** FALSE for relations, by oid, of which a column is denied. */
  wholeOid(relation: string): string | undefined {
    if (!this.hasDenied) return undefined
    return `${relation} NOT IN (SELECT d.relid FROM (${this.#deniedAttributes()}) AS d)`
  }

  /** FALSE when one of the numbered columns of `relation` is denied; `numbers` is an array, or NULL. */
  noneDenied(relation: string, numbers: string): string | undefined {
    if (!this.hasDenied) return undefined
    return `NOT EXISTS (SELECT FROM (${this.#deniedAttributes()}) AS d WHERE d.relid = ${relation} AND d.attnum = ANY (${numbers}))`
  }

  /** Views and rules whose definition names nothing hidden: `SELECT oid` of those that do. */
  untoldDefinitions(): string | undefined {
    const isVisible = this.visible("d.refobjid")
    const attribute = this.attribute("d.refobjid", "d.refobjsubid")
    const shown = [isVisible, attribute].flatMap((each) => each ?? [])
    if (shown.length === 0) return undefined
    return `SELECT w.ev_class FROM pg_catalog.pg_rewrite w JOIN pg_catalog.pg_depend d ON d.classid = ${rewriteOid} AND d.objid = w.oid AND d.refclassid = ${classOid} WHERE NOT (${shown.join(" AND ")})`
  }

  /** `SELECT oid` of relations with a rule, and of their indexes. */
  governedOids(): string | undefined {
    if (!this.hasGoverned) return undefined
    const isGoverned = this.isGoverned("n.nspname", "k.relname")
    return `SELECT k.oid ${tables} AND ${isGoverned} UNION ALL SELECT x.indexrelid ${indexes} WHERE ${isGoverned}`
  }

  isGoverned(schema: string, name: string): string {
    return this.#governsAll
      ? `NOT ${inList(schema, systemSchemas)}`
      : pairs(schema, name, this.#governed)
  }

  #deniedAttributes(): string {
    const isShown = this.column("n.nspname", "c.relname", "a.attname") ?? "TRUE"
    return `SELECT a.attrelid AS relid, a.attnum FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE NOT (${isShown})`
  }

  /** Indexes over a denied column have its name, and that of the index may tell it. */
  #noHiddenIndex(oid: string): string | undefined {
    if (!this.hasDenied) return undefined
    const denied = this.#deniedAttributes()
    return `${oid} NOT IN (SELECT i.indexrelid FROM pg_catalog.pg_index i JOIN (${denied}) AS d ON d.relid = i.indrelid WHERE d.attnum = ANY (i.indkey) UNION ALL SELECT p.objid FROM pg_catalog.pg_depend p JOIN (${denied}) AS d ON d.relid = p.refobjid AND d.attnum = p.refobjsubid WHERE p.classid = ${classOid} AND p.refclassid = ${classOid} AND p.objsubid = 0)`
  }
}

const tables =
  "FROM pg_catalog.pg_class k JOIN pg_catalog.pg_namespace n ON n.oid = k.relnamespace WHERE k.relkind NOT IN ('i', 'I')"

const indexes =
  "FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class k ON k.oid = x.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = k.relnamespace"

/** Indexes go by the name of their table. */
const tableOfIndex =
  "LEFT JOIN pg_catalog.pg_index x ON x.indexrelid = r.oid JOIN pg_catalog.pg_class k ON k.oid = COALESCE(x.indrelid, r.oid) JOIN pg_catalog.pg_namespace n ON n.oid = k.relnamespace"

const systemSchemas = ["pg_catalog", "information_schema"]

const sights = new WeakMap<
  EffectivePolicy,
  { readonly snapshot: CatalogSnapshot; readonly sight: CatalogueSight }
>()

export function sightOf(policy: EffectivePolicy, snapshot: CatalogSnapshot): CatalogueSight {
  const known = sights.get(policy)
  if (known?.snapshot === snapshot) return known.sight
  const sight = new CatalogueSight(policy, snapshot)
  sights.set(policy, { snapshot, sight })
  return sight
}

/** Rules of the reader's roles and of its own token; what the token's say is nothing to the catalogue. */
function ruledBy(
  { rules }: EffectivePolicy,
  snapshot: CatalogSnapshot,
): ReadonlyMap<RelationName, ReaderRule> {
  if (rules === undefined) return new Map()
  const ofRoles = rulesByRelation(rules, snapshot)
  if (rules.guest === undefined) return ofRoles
  const ruled = new Map(ofRoles)
  for (const { schema, relation } of rules.guest.clauses.flatMap(
    ({ relations }) => relations ?? [],
  )) {
    const name = findRelation(snapshot, schema, relation)
    const known = name === undefined ? undefined : snapshot.relations.get(name)
    if (known !== undefined) ruled.set(known.name, ruleFor(known, ruled.get(known.name)))
  }
  return ruled
}

/** What a pattern would show and a read would be refused for: what shows something denied, or cannot be governed. */
function hiddenOneByOne(
  { allow, deny }: EffectivePolicy,
  ruled: ReadonlyMap<RelationName, ReaderRule>,
  snapshot: CatalogSnapshot,
): readonly CatalogRelation[] {
  const denied = [...snapshot.relations.keys()].filter((name) => deny.matches(name))
  const hidden = new Set(dependentsOf(denied, snapshot))
  for (const [name, rule] of ruled) if (rule.rows.kind === "closed") hidden.add(name)
  const ruledNames = [...ruled.keys()]
  const kindOf = (name: RelationName) => snapshot.relations.get(name)?.kind
  for (const above of dependentsOf(ruledNames, snapshot))
    if (kindOf(above) !== "view") hidden.add(above)
  const parents = ruledNames.filter((name) => kindOf(name) !== "view")
  for (const below of downward(parents, snapshot)) if (!ruled.has(below)) hidden.add(below)
  for (const copy of snapshot.relations.values()) {
    if (copy.kind !== "materialized_view" || ruled.has(copy.name)) continue
    const sources = downward(copy.madeOf ?? [], snapshot)
    if ([...sources].some((name) => ruled.has(name))) hidden.add(copy.name)
  }
  return [...hidden].flatMap((name) => {
    const relation = snapshot.relations.get(name)
    return relation !== undefined && allow.matches(name) && !deny.matches(name) ? [relation] : []
  })
}

/** `schema.*` and full names apart; `*` is neither, nor is a spelling that matches no name of the catalogue. */
function partsOfPatterns(patterns: readonly string[]): {
  readonly schemas: readonly string[]
  readonly names: readonly NamePair[]
} {
  const schemas: string[] = []
  const names: NamePair[] = []
  for (const pattern of patterns) {
    if (pattern === "*") continue
    const { schema, name } = partsOf(pattern)
    if (pattern === `${relationName(schema, "x").slice(0, -1)}*`) schemas.push(schema)
    else if (pattern === relationName(schema, name)) names.push({ schema, name })
  }
  return { schemas, names }
}

export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

function inList(expression: string, values: readonly string[]): string {
  if (values.length === 0) return "FALSE"
  return `${expression} IN (${values.map(literal).join(", ")})`
}

function anyOf(conditions: readonly string[]): string {
  return `(${conditions.join(" OR ")})`
}

function pairs(schema: string, name: string, all: readonly NamePair[]): string {
  const bySchema = new Map<string, string[]>()
  for (const pair of all) {
    const names = bySchema.get(pair.schema)
    if (names === undefined) bySchema.set(pair.schema, [pair.name])
    else names.push(pair.name)
  }
  if (bySchema.size === 0) return "FALSE"
  const each = [...bySchema].map(
    ([of, names]) => `(${schema} = ${literal(of)} AND ${inList(name, names)})`,
  )
  return anyOf(each)
}

function whereText(conditions: readonly string[]): string {
  return conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`
}
