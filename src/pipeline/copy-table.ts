import { resolveRelations } from "../catalog/resolve.ts"
import type { CatalogRelation, RelationKind } from "../core/catalog.ts"
import { GatewayError } from "../core/errors.ts"
import { noParameters } from "../core/parameters.ts"
import type { RelationRef } from "../core/relation.ts"
import { SqlState } from "../core/sql-state.ts"
import type { CopySource, Statement } from "../core/statement.ts"
import { quoteIdentifier } from "../sql/quote.ts"
import { answer, statementsOf } from "./answer.ts"
import { onlyOne } from "./explain.ts"
import { needsNewCatalog, planFor } from "./plan.ts"
import type { Question } from "./question.ts"
import { refusal } from "./refusal.ts"
import type { Rooms } from "./rooms.ts"
import { rowValues } from "./row-values.ts"
import { withClaims } from "./with-claims.ts"

type TableSource = Extract<CopySource, { readonly kind: "table" }>

/**
 * The read that `COPY table [(columns)] TO` is: the columns listed, or all but generated ones, of the table without its children
 * (PostgreSQL manual, COPY). Whether the reader may have them is judged first and again when it is asked.
 */
export async function copyTableStatement(
  source: TableSource,
  question: Question,
  rooms: Rooms,
): Promise<Statement> {
  const target = targetOf(source.relation)
  const isPostgres = rooms.engine === "postgres"
  const from = isPostgres ? `ONLY ${target}` : target
  const any = onlyOne(await statementsOf(`SELECT * FROM ${from}`, rooms))
  const relation = await judged(any, source.relation, question, rooms)
  if (relation !== undefined) checkKind(relation)
  const { columns } = source
  if (!isPostgres || relation === undefined)
    return columns === undefined ? any : columnsFrom(columns, from, rooms)
  const known = await columnsOf(relation, question, rooms)
  if (columns === undefined) {
    const stored = known.filter((column) => !column.isGenerated)
    return columnsFrom(
      stored.map((column) => column.name),
      from,
      rooms,
    )
  }
  checkColumns(columns, known, relation)
  return columnsFrom(columns, from, rooms)
}

function targetOf({ catalog, schema, name }: RelationRef): string {
  return [catalog, schema, name]
    .flatMap((part) => (part === undefined ? [] : quoteIdentifier(part)))
    .join(".")
}

async function columnsFrom(
  columns: readonly string[],
  from: string,
  rooms: Rooms,
): Promise<Statement> {
  const list = columns.map(quoteIdentifier).join(", ")
  return onlyOne(await statementsOf(`SELECT ${list} FROM ${from}`, rooms))
}

/** What the name means, for whoever may read it; throws for whoever may not, and for a name that means nothing. */
async function judged(
  statement: Statement,
  ref: RelationRef,
  question: Question,
  rooms: Rooms,
): Promise<CatalogRelation | undefined> {
  let snapshot = rooms.catalog.current() ?? (await rooms.catalog.refreshNow())
  let plan = planFor(statement, question, snapshot, rooms)
  if (needsNewCatalog(plan, rooms)) {
    snapshot = await rooms.catalog.refreshNow()
    plan = planFor(statement, question, snapshot, rooms)
  }
  const known = await withClaims(question, plan, rooms)
  if (known !== undefined) return judged(statement, ref, known, rooms)
  if (plan.verdict.kind === "refused") throw refusal(plan.verdict)
  const scope = { snapshot, searchPath: question.settings.searchPath, database: rooms.warehouse }
  const [name] = resolveRelations([ref], scope).resolved
  if (name === undefined) {
    const spelled = ref.schema === undefined ? ref.name : `${ref.schema}.${ref.name}`
    throw failure(SqlState.UndefinedTable, `relation "${spelled}" does not exist`)
  }
  return snapshot.relations.get(name)
}

const kindNames: Readonly<Partial<Record<RelationKind, string>>> = {
  view: "view",
  partitioned_table: "partitioned table",
  foreign_table: "foreign table",
  sequence: "sequence",
}

/** BeginCopyTo, copyto.c. */
function checkKind({ kind, relation }: CatalogRelation): void {
  const name = kindNames[kind]
  if (name === undefined) return
  throw new GatewayError({
    sqlState: SqlState.WrongObjectType,
    reason: "construct_unsupported",
    message: `cannot copy from ${name} "${relation}"`,
    ...(kind === "sequence" ? {} : { hint: "Try the COPY (SELECT ...) TO variant." }),
  })
}

type Column = { readonly name: string; readonly isGenerated: boolean }

/** In one row, so that no row limit can leave a column out. */
async function columnsOf(
  { schema, relation }: CatalogRelation,
  question: Question,
  rooms: Rooms,
): Promise<readonly Column[]> {
  const text = `SELECT pg_catalog.json_agg(pg_catalog.json_build_array(a.attname, a.attgenerated <> '') ORDER BY a.attnum)
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ${quoteLiteral(schema)} AND c.relname = ${quoteLiteral(relation)} AND a.attnum > 0 AND NOT a.attisdropped`
  const statement = onlyOne(await statementsOf(text, rooms))
  const asked = await answer(
    {
      ...question,
      // Which columns there are is the gateway's own question, also for a reader who wants stored rows only.
      caching: question.caching === "only" ? "on" : question.caching,
      statement,
      parameters: noParameters,
      resultFormats: [],
    },
    rooms,
  )
  if (asked.kind === "stored") return columnsIn(asked.result.batches[0]?.bytes)
  using rows = asked.rows
  const batch = await rows.next()
  await rows.next()
  return columnsIn(batch?.bytes)
}

function columnsIn(bytes: Buffer | undefined): readonly Column[] {
  const value = bytes === undefined ? undefined : rowValues(bytes)[0]
  if (value === undefined || value === null) return []
  const pairs = JSON.parse(value.toString()) as [string, boolean][]
  return pairs.map(([name, isGenerated]) => ({ name, isGenerated }))
}

function quoteLiteral(text: string): string {
  const escaped = text.replaceAll("'", "''")
  return escaped.includes("\\") ? `E'${escaped.replaceAll("\\", "\\\\")}'` : `'${escaped}'`
}

/** CopyGetAttnums, copy.c. */
function checkColumns(
  columns: readonly string[],
  known: readonly Column[],
  { relation }: CatalogRelation,
): void {
  const seen = new Set<string>()
  for (const name of columns) {
    const column = known.find((one) => one.name === name)
    if (column === undefined)
      throw failure(
        SqlState.UndefinedColumn,
        `column "${name}" of relation "${relation}" does not exist`,
      )
    if (column.isGenerated)
      throw failure(
        SqlState.InvalidColumnReference,
        `column "${name}" is a generated column`,
        "Generated columns cannot be used in COPY.",
      )
    if (seen.has(name))
      throw failure(SqlState.DuplicateColumn, `column "${name}" specified more than once`)
    seen.add(name)
  }
}

function failure(sqlState: string, message: string, detail?: string): GatewayError {
  return new GatewayError({
    sqlState,
    reason: "invalid_parameter",
    message,
    ...(detail === undefined ? {} : { detail }),
  })
}
