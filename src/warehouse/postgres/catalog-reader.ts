import { createHash } from "node:crypto"
import type {
  CatalogInterest,
  CatalogRelation,
  CatalogSnapshot,
  RelationKind,
  Volatility,
} from "../../core/catalog.ts"
import { noParameters } from "../../core/parameters.ts"
import { type RelationName, relationName } from "../../core/relation.ts"
import type { SettingsView } from "../../core/settings.ts"
import {
  addFingerprint,
  type CatalogFingerprint,
  canFingerprint,
  fingerprintSql,
  isSameCatalog,
} from "./catalog-fingerprint.ts"
import {
  columnsSql,
  definitionsSql,
  functionsSql,
  implicitCastsSql,
  inheritanceSql,
  relationsSql,
  schemasSql,
  userOperatorCodeSql,
  userOperatorsSql,
  userTypeCodeSql,
  viewRulesSql,
} from "./catalog-queries.ts"
import type { PostgresConnection } from "./connection.ts"
import { stableSafeFunctions } from "./stable-functions.ts"
import type { TextRow } from "./text-rows.ts"
import { readViewRule } from "./view-rules.ts"

const kinds: Readonly<Record<string, RelationKind>> = {
  r: "table",
  p: "partitioned_table",
  v: "view",
  m: "materialized_view",
  f: "foreign_table",
  S: "sequence",
}

const volatilities: Readonly<Record<string, Volatility>> = {
  i: "immutable",
  s: "stable",
  v: "volatile",
}

const rank: Readonly<Record<Volatility, number>> = { immutable: 0, stable: 1, volatile: 2 }

/** So that no object of a user's schema can stand for a name or an operator of ours. */
const readerSettings: SettingsView = {
  values: new Map([["search_path", "pg_catalog"]]),
  searchPath: ["pg_catalog"],
  bytesDigest: "",
}

/** Reading the catalogue of 10,000 relations takes a second; a server that needs this long is not well. */
const readTimeoutMs = 60_000

type Row = {
  readonly name: RelationName
  readonly schema: string
  readonly relation: string
  readonly kind: RelationKind
  readonly dependsOn: Set<RelationName>
  readonly madeOf: Set<RelationName>
  readonly opaque: Set<string>
  columns: string[] | undefined
  readonly columnTypes: number[]
  readonly primaryKey: string[]
  definition: string | undefined
  volatileDefinition: boolean
  readonly hasSideEffects: boolean
}

/** Thousands of rows that hardly ever change: kept from one reading to the next. */
type Functions = {
  readonly byName: Map<string, Volatility>
  /** By oid: of which a view may not make use if it is to be cacheable. */
  readonly unsafeOids: Set<string>
  /** Names of functions outside of pg_catalog and information_schema by oid. */
  readonly usersByOid: Map<string, string>
}

type Read = {
  readonly byOid: Map<string, Row>
  readonly functions: Functions
  readonly schemas: Set<string>
  readonly userOperators: Set<string>
  readonly userCode: Set<string>
  readonly userCodeTypes: Set<number>
}

/** The fingerprint was taken in the snapshot in which the rest was read, or is undefined. */
export type CatalogReading = {
  readonly snapshot: CatalogSnapshot
  readonly fingerprint: CatalogFingerprint | undefined
  readonly functions: Functions
}

/** Asks in names and operators of pg_catalog alone. */
export function catalogAsker(connection: PostgresConnection, signal: AbortSignal): Ask {
  return (text, visit) =>
    connection.query(
      {
        text,
        parameters: noParameters,
        signal,
        settings: readerSettings,
        timeoutMs: readTimeoutMs,
      },
      visit,
    )
}

/** undefined when the server is too old to tell. */
export async function readFingerprint(
  connection: PostgresConnection,
  ask: Ask,
): Promise<CatalogFingerprint | undefined> {
  if (!canFingerprint(connection.parameters.get("server_version") ?? "")) return undefined
  const fingerprint = new Map<string, string>()
  await ask(fingerprintSql, (row) => addFingerprint(fingerprint, row))
  return fingerprint
}

/**
 * Reads relations, what views and parents are made of, and functions, within one snapshot of the server. A view is
 * `volatileDefinition` when its own rule (not those of views below it: the reader of the snapshot follows these) calls a
 * volatile function, a stable one outside the list of stable-functions.ts, a stable one of a user's, or CURRENT_DATE,
 * CURRENT_USER and their kin; views that came with the server always are. `before` saves what has not changed since.
 */
export async function readCatalog(
  connection: PostgresConnection,
  signal: AbortSignal,
  { interest, before }: { interest: CatalogInterest; before: CatalogReading | undefined },
): Promise<CatalogReading> {
  const ask = catalogAsker(connection, signal)
  await connection.beginTransaction("repeatable read", signal)
  try {
    const fingerprint = await readFingerprint(connection, ask)
    const hasSameFunctions =
      before !== undefined &&
      isSameCatalog(before.fingerprint, fingerprint, ["pg_proc", "pg_namespace"])
    const read: Read = {
      byOid: new Map(),
      functions: hasSameFunctions
        ? before.functions
        : { byName: new Map(), unsafeOids: new Set(), usersByOid: new Map() },
      schemas: new Set(),
      userOperators: new Set(),
      userCode: new Set(),
      userCodeTypes: new Set(),
    }
    await ask(schemasSql, ([name]) => read.schemas.add(name ?? ""))
    await ask(relationsSql, (row) => addRelation(read, row))
    await ask(inheritanceSql, (row) => addChild(read, row))
    if (!hasSameFunctions) await ask(functionsSql, (row) => addFunction(read.functions, row))
    await ask(viewRulesSql, (row) => addViewRule(read, row))
    await ask(implicitCastsSql, ([oid, caller]) =>
      read.byOid.get(oid ?? "")?.opaque.add(read.functions.usersByOid.get(caller ?? "") ?? "?"),
    )
    await ask(userOperatorsSql, ([name]) => read.userOperators.add(name ?? ""))
    await ask(userOperatorCodeSql, ([name]) => read.userCode.add(name ?? ""))
    await ask(userTypeCodeSql, ([name, oid]) => {
      read.userCode.add(name ?? "")
      read.userCodeTypes.add(Number(oid))
    })
    await readDetails(read, interest, ask)
    return { snapshot: snapshotOf(read), fingerprint, functions: read.functions }
  } finally {
    await connection.endTransaction()
  }
}

type Ask = (text: string, visit: (row: TextRow) => void) => Promise<void>

/** Columns of what is named and of its children; columns and definitions of views that show it, directly or through other views. */
async function readDetails(read: Read, interest: CatalogInterest, ask: Ask): Promise<void> {
  if (interest.length === 0) return
  const wanted = new Set(interest.map(({ schema, relation }) => relationName(schema, relation)))
  const children = new Set(wanted)
  const rowsByName = new Map([...read.byOid.values()].map((row) => [row.name, row]))
  for (const name of children) {
    const row = rowsByName.get(name)
    if (row === undefined || row.kind === "view") continue
    for (const child of row.dependsOn) children.add(child)
  }
  const above = new Set(children)
  let size = 0
  while (size < above.size) {
    size = above.size
    for (const row of read.byOid.values())
      if ([...row.dependsOn].some((name) => above.has(name))) above.add(row.name)
  }
  const rows = [...read.byOid].filter(([, { name }]) => above.has(name))
  const views = rows.filter(([, { kind }]) => kind === "view")
  if (rows.length > 0)
    await ask(columnsSql(rows.map(([oid]) => oid)), ([oid, column, type, isKey]) => {
      const row = read.byOid.get(oid ?? "")
      if (row === undefined || column == null) return
      row.columns ??= []
      row.columns.push(column)
      row.columnTypes.push(Number(type))
      if (isKey === "t") row.primaryKey.push(column)
    })
  if (views.length > 0)
    await ask(definitionsSql(views.map(([oid]) => oid)), ([oid, definition]) => {
      const row = read.byOid.get(oid ?? "")
      if (row !== undefined) row.definition = definition ?? undefined
    })
}

function addRelation(read: Read, [oid, schema, relation, kindCode, sideEffects]: TextRow): void {
  const kind = kinds[kindCode ?? ""]
  if (oid == null || schema == null || relation == null || kind === undefined) return
  read.byOid.set(oid, {
    name: relationName(schema, relation),
    schema,
    relation,
    kind,
    dependsOn: new Set(),
    madeOf: new Set(),
    opaque: new Set(),
    columns: undefined,
    columnTypes: [],
    primaryKey: [],
    definition: undefined,
    volatileDefinition: kind === "view",
    hasSideEffects: sideEffects === "t",
  })
}

function addChild(read: Read, [parent, child]: TextRow): void {
  const childName = read.byOid.get(child ?? "")?.name
  // Indexes inherit too; they are no relations of ours.
  if (childName !== undefined) read.byOid.get(parent ?? "")?.dependsOn.add(childName)
}

function addFunction(functions: Functions, [oid, schema, name, code]: TextRow): void {
  const volatility = volatilities[code ?? ""]
  if (oid == null || schema == null || name == null || volatility === undefined) return
  const key = relationName(schema, name)
  const known = functions.byName.get(key)
  if (known === undefined || rank[known] < rank[volatility]) functions.byName.set(key, volatility)
  const isSafe =
    volatility === "immutable" ||
    (volatility === "stable" && schema === "pg_catalog" && stableSafeFunctions.has(name))
  if (!isSafe) functions.unsafeOids.add(oid)
  if (schema !== "pg_catalog" && schema !== "information_schema") functions.usersByOid.set(oid, key)
}

function addViewRule(read: Read, [oid, tree]: TextRow): void {
  const view = read.byOid.get(oid ?? "")
  if (view === undefined || tree == null) return
  const rule = readViewRule(tree)
  // What a materialised view shows does not change with what it was made of.
  const isStored = view.kind === "materialized_view"
  const sources = isStored ? view.madeOf : view.dependsOn
  let isVolatile = rule.hasSpecial
  for (const functionOid of rule.functionOids) {
    if (read.functions.unsafeOids.has(functionOid)) isVolatile = true
    const userFunction = read.functions.usersByOid.get(functionOid)
    if (userFunction !== undefined) view.opaque.add(userFunction)
  }
  for (const relationOid of rule.relationOids) {
    // Up to PostgreSQL 15 a view's rule names the view itself, as OLD and NEW.
    if (relationOid === oid) continue
    const source = read.byOid.get(relationOid)
    if (source === undefined) {
      isVolatile = true
      view.opaque.add("?")
    } else sources.add(source.name)
  }
  view.volatileDefinition = isVolatile && !isStored
}

const functionTexts = new WeakMap<Functions, string>()

function functionsText(functions: Functions): string {
  const known = functionTexts.get(functions)
  if (known !== undefined) return known
  const lines = [...functions.byName].map(([name, volatility]) => `${name} ${volatility}\n`)
  const text = lines.toSorted().join("")
  functionTexts.set(functions, text)
  return text
}

function snapshotOf(read: Read): CatalogSnapshot {
  const relations = new Map<RelationName, CatalogRelation>()
  const digest = createHash("sha256")
  const rows = [...read.byOid.entries()].map(([oid, row]) => ({ ...row, oid }))
  rows.sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const { oid, name, schema, relation, kind, dependsOn, ...flags } of rows) {
    const { volatileDefinition, hasSideEffects, columns, columnTypes, definition } = flags
    const primaryKey = flags.primaryKey.length === 0 ? undefined : flags.primaryKey
    const madeOf = [...flags.madeOf].toSorted()
    const opaque = [...flags.opaque].toSorted()
    const sources = [...dependsOn].toSorted()
    relations.set(name, {
      name,
      schema,
      relation,
      kind,
      identity: oid,
      dependsOn: sources,
      volatileDefinition,
      hasSideEffects,
      madeOf,
      opaque,
      columns,
      columnTypes: columns === undefined ? undefined : columnTypes,
      primaryKey,
      definition,
    })
    // The oid counts: a relation that was dropped and made anew is another one.
    digest.update(JSON.stringify([oid, name, kind, volatileDefinition, hasSideEffects, ...sources]))
    digest.update(JSON.stringify([madeOf, opaque, columns, columnTypes, primaryKey, definition]))
  }
  digest.update(functionsText(read.functions))
  digest.update(JSON.stringify([...read.schemas].toSorted()))
  for (const name of [...read.userOperators].toSorted()) digest.update(`${name}\n`)
  for (const name of [...read.userCode].toSorted()) digest.update(`code ${name}\n`)
  digest.update(JSON.stringify([...read.userCodeTypes].toSorted((a, b) => a - b)))
  return {
    relations,
    functions: read.functions.byName,
    schemas: read.schemas,
    implicitSchemas: ["pg_catalog"],
    foldsCase: false,
    userOperators: read.userOperators,
    userCode: read.userCode,
    userCodeTypes: read.userCodeTypes,
    version: digest.digest("hex"),
  }
}
