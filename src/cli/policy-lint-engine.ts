import { findRelation, folded } from "../catalog/relation-key.ts"
import type { CatalogRelation, CatalogSnapshot } from "../core/catalog.ts"
import { toGatewayError } from "../core/errors.ts"
import { noParameters } from "../core/parameters.ts"
import { relationName } from "../core/relation.ts"
import type { SettingsView } from "../core/settings.ts"
import type { Rooms } from "../pipeline/rooms.ts"
import { adapt } from "../pipeline/run.ts"
import { nullLiteral } from "../policy/claim-types.ts"
import { bindExpression } from "../policy/expression.ts"
import { expressionsOf } from "../policy/lint/catalogue.ts"
import {
  type Finding,
  type LintSubject,
  type Located,
  locatedPolicies,
} from "../policy/lint/finding.ts"
import { ownColumns } from "../policy/lint/gaps.ts"
import type { Leased } from "../route/router.ts"
import { emitUnchanged } from "../sql/emit.ts"
import { parseText } from "../sql/parser.ts"
import { quoteIdentifier } from "../sql/quote.ts"
import { readRowDescription } from "../wire/rows.ts"
import { readRows } from "./read-answer.ts"

/** Tables below this many rows are read whole in less time than an index would save. */
const indexRowsMin = 10_000

const statementTimeoutMs = 30_000

type Asking = {
  readonly snapshot: CatalogSnapshot
  readonly leased: Leased
  readonly settings: SettingsView
  readonly signal: AbortSignal
}

export type EngineLint = {
  readonly subject: LintSubject
  readonly snapshot: CatalogSnapshot
  readonly rooms: Rooms
  readonly settings: SettingsView
  /** Called after each relation with a policy. */
  readonly onDone: (count: number) => void
}

/**
 * What only the engine can say: whether it takes each filter and mask, of which type a mask is, and whether an index serves a
 * filter. Describes statements and reads catalogues; runs nothing over anybody's rows.
 */
export async function lintEngine(lint: EngineLint): Promise<readonly Finding[]> {
  const { subject, snapshot, rooms, settings, onDone } = lint
  const { signal } = new AbortController()
  const leased = await rooms.router.lease({ signal })
  using held = leased.lease
  const asking = { leased: { ...leased, lease: held }, snapshot, settings, signal }
  const indexes = rooms.engine === "postgres" ? await readIndexes(subject, asking) : undefined
  const findings: Finding[] = []
  for (const [index, located] of locatedPolicies(subject).entries()) {
    const { schema, relation } = located.policy
    const name = findRelation(snapshot, schema, relation)
    const found = name === undefined ? undefined : snapshot.relations.get(name)
    if (found === undefined) continue
    findings.push(...(await checkExpressions(subject, located, found, asking)))
    findings.push(...checkIndexes(located, found, indexes))
    onDone(index + 1)
  }
  const hasFilter = subject.policies.relations.some(({ rowFilters }) => rowFilters.length > 0)
  if (indexes === undefined && hasFilter)
    findings.push({
      level: "info",
      code: "index_unknown",
      path: ["relations"],
      message:
        "DuckDB filters by what it keeps of each row group: tables sorted by the filters' columns are read in part, others whole",
    })
  return findings
}

async function checkExpressions(
  subject: LintSubject,
  located: Located,
  relation: CatalogRelation,
  asking: Asking,
): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  const from = `${quoteIdentifier(relation.schema)}.${quoteIdentifier(relation.relation)}`
  const fold = (name: string): string => folded(asking.snapshot, name)
  const known = new Set(relation.columns?.map(fold))
  for (const { path, expression, column } of expressionsOf(located)) {
    const bound = bindExpression(expression, {
      literal: (claim) => {
        const type = subject.policies.claims.get(claim)
        return type === undefined ? undefined : nullLiteral(type)
      },
      pinsCalls: !asking.snapshot.foldsCase,
    })
    // Neither can be: compiled policies use declared claims only, and a missing column is told elsewhere.
    if ("missing" in bound || (column !== undefined && !known.has(fold(column)))) continue
    const sql =
      column === undefined
        ? `SELECT 1 FROM ${from} WHERE ${bound.text}`
        : `SELECT ${quoteIdentifier(column)}, ${bound.text} FROM ${from}`
    const types = await describedTypes(sql, asking)
    if (typeof types === "string")
      findings.push({
        level: "error",
        code: "expression_rejected",
        path,
        message: `the warehouse does not take it: ${types}`,
      })
    else if (column !== undefined && !sameKind(types[0], types[1]))
      findings.push({
        level: "warning",
        code: "mask_type",
        path,
        message: `is of another type than the column "${column}": clients see the type change; cast it`,
      })
  }
  return findings
}

/** Type OIDs of the columns, or what the warehouse says against the statement. */
async function describedTypes(
  sql: string,
  { leased, settings, signal }: Asking,
): Promise<readonly number[] | string> {
  const [statement] = parseText(sql)
  if (statement === undefined) return "it is no statement"
  try {
    const sent = adapt(emitUnchanged(statement), undefined, leased).statement
    const { rowDescription } = await leased.lease.connection.describe({
      statement: sent,
      parameters: noParameters,
      resultFormats: [],
      protocol: "extended",
      settings,
      statementTimeoutMs,
      signal,
    })
    if (rowDescription === undefined) return []
    return readRowDescription(rowDescription).map(({ typeOid }) => typeOid)
  } catch (thrown) {
    const error = toGatewayError(thrown)
    if (error.reason !== "warehouse_error" && error.reason !== "construct_unsupported") throw error
    return error.message
  }
}

/** text, bpchar, varchar and name: clients do not tell them apart. */
const textOids: ReadonlySet<number> = new Set([25, 1042, 1043, 19])

function sameKind(left: number | undefined, right: number | undefined): boolean {
  if (left === undefined || right === undefined || left === right) return true
  return textOids.has(left) && textOids.has(right)
}

/** By `schema.name`: rows as the planner estimates them, and the first column of each index. */
type Indexes = ReadonlyMap<string, { readonly rows: number; readonly firstColumns: Set<string> }>

async function readIndexes(subject: LintSubject, asking: Asking): Promise<Indexes> {
  const schemas = [...new Set(subject.policies.relations.map(({ schema }) => schema))]
  const found = new Map<string, { rows: number; firstColumns: Set<string> }>()
  if (schemas.length === 0) return found
  const list = schemas.map((schema) => `'${schema.replaceAll("'", "''")}'`).join(", ")
  const text = `
SELECT n.nspname, c.relname, pg_catalog.int8(c.reltuples), a.attname
FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisvalid
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname IN (${list})`
  const { leased, settings, signal } = asking
  const rows = await leased.lease.connection.run({
    statement: { text, ast: {}, keepsPositions: false },
    parameters: noParameters,
    resultFormats: [],
    protocol: "simple",
    settings,
    statementTimeoutMs,
    signal,
  })
  for (const [schema, name, count, column] of (await readRows(rows)).rows) {
    const key = relationName(schema ?? "", name ?? "")
    const entry = found.get(key) ?? { rows: Number(count), firstColumns: new Set() }
    found.set(key, entry)
    if (column !== null && column !== undefined) entry.firstColumns.add(column)
  }
  return found
}

function checkIndexes(
  { policy, path }: Located,
  { name }: CatalogRelation,
  indexes: Indexes | undefined,
): readonly Finding[] {
  const found = indexes?.get(name)
  if (found === undefined || found.rows < indexRowsMin) return []
  return policy.rowFilters.flatMap(({ filter }, index): readonly Finding[] => {
    const columns = [...new Set(ownColumns(filter))]
    if (columns.length === 0 || columns.some((column) => found.firstColumns.has(column))) return []
    return [
      {
        level: "warning",
        code: "index_missing",
        path: [...path, "rowFilters", index, "filter"],
        message: `no index begins with ${columns.join(" or ")}: each statement reads about ${found.rows} rows`,
      },
    ]
  })
}
