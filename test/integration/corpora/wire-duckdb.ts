import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DuckDBInstance } from "@duckdb/node-api"
import { fieldsOf, type Message, messagesOf } from "../../differential/compare.ts"
import { plainValue } from "../../differential/duckdb.ts"
import { query } from "../../support/frontend-encoder.ts"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"
import { RawSession, type SessionOptions, splitUri } from "../../support/query-generator-session.ts"
import { rows, textRows } from "../../support/wire-client.ts"
import { type Asked, askedBy, type ObjectIds } from "./conversation.ts"
import { type WireStatement, wireCorpus } from "./wire-corpus.ts"
import { wireCleanUp, wireSeedOnDuckdb, wireSeedOnPostgres, writerPassword } from "./wire-seed.ts"
import { objectIds, steadyPlans } from "./wire-servers.ts"
import { type WireSession, wireSessions } from "./wire-sessions.ts"

/** What the gateway over DuckDB makes of a statement, beside PostgreSQL's answer over the same rows. */
export type DuckdbAnswer =
  /** The same columns, types and rows; for commands the same tag; for errors the same SQLSTATE. */
  | { readonly kind: "same" }
  /** The same column names and rows; `types` says which columns have another type. */
  | { readonly kind: "other types"; readonly types: readonly string[] }
  /** Other rows, or columns of other names. `why` is written by hand: nothing here is right by itself. */
  | { readonly kind: "other rows"; readonly types: readonly string[]; readonly why: string }
  | { readonly kind: "other columns"; readonly columns: string; readonly why: string }
  /** The value moves by itself (a clock, a process id): the same columns. */
  | { readonly kind: "moving" }
  | {
      readonly kind: "refused"
      readonly sqlState: string
      /** Reason of docs/ERRORS.md, where the gateway itself refused. */
      readonly reason: string
      readonly message: string
    }
  /** Neither an answer nor a refusal that a client could understand; fails the test. */
  | { readonly kind: "senseless"; readonly what: string }

type Column = { readonly name: string; readonly type: number }

function columnsOf(messages: readonly Message[]): readonly Column[] {
  const body = messages.find(({ type }) => type === "T")?.body
  if (body === undefined) return []
  const columns: Column[] = []
  let at = 2
  for (let index = 0; index < body.readInt16BE(0); index += 1) {
    const end = body.indexOf(0, at)
    columns.push({ name: body.toString("utf8", at, end), type: body.readInt32BE(end + 7) })
    at = end + 19
  }
  return columns
}

/** Type ids of pg_type.dat that meet here; an enum gets its id when it is made. */
const typeNames: ReadonlyMap<number, string> = new Map([
  [16, "bool"],
  [18, '"char"'],
  [19, "name"],
  [20, "int8"],
  [21, "int2"],
  [22, "int2vector"],
  [23, "int4"],
  [25, "text"],
  [26, "oid"],
  [30, "oidvector"],
  [114, "json"],
  [194, "pg_node_tree"],
  [701, "float8"],
  [1002, '"char"[]'],
  [1005, "int2[]"],
  [1007, "int4[]"],
  [1009, "text[]"],
  [1016, "int8[]"],
  [1043, "varchar"],
  [1700, "numeric"],
  [3802, "jsonb"],
])
const firstUserId = 16_384

function typeName(id: number): string {
  return typeNames.get(id) ?? (id < firstUserId ? `type ${id}` : "an enum")
}

/** Rows as a multiset: where a statement leaves the order open, the engines choose differently. Object ids by what they name. */
function plainRows(messages: readonly Message[], ids: ObjectIds): readonly string[] {
  const named = new Map([
    [String(ids.orders), "the id of orders"],
    [String(ids.customers), "the id of customers"],
  ])
  return textRows(messages)
    .map((row) => row.map((value) => named.get(value ?? "") ?? plainValue(value)).join(" | "))
    .toSorted()
}

function tagsOf(messages: readonly Message[]): string {
  return messages
    .filter(({ type }) => type === "C")
    .map(({ body }) => body.toString("latin1"))
    .join(" ")
}

function errorOf(messages: readonly Message[]): ReadonlyMap<string, string> | undefined {
  const error = messages.find(({ type }) => type === "E")
  return error === undefined ? undefined : fieldsOf(error.body)
}

function isSameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index])
}

type Compared = {
  readonly isMoving: boolean
  readonly expectedIds: ObjectIds
  readonly gotIds: ObjectIds
}

const names = (columns: readonly Column[]): string[] => columns.map(({ name }) => name)

function compared(
  expected: readonly Message[],
  got: readonly Message[],
  { isMoving, expectedIds, gotIds }: Compared,
): DuckdbAnswer {
  const [wanted, had] = [columnsOf(expected), columnsOf(got)]
  if (!isSameList(names(wanted), names(had)))
    return had.length === 0 || wanted.length === 0
      ? { kind: "senseless", what: "a result on one side only" }
      : { kind: "other columns", columns: names(had).join(", "), why: "" }
  const types = had.flatMap(({ name, type }, index) => {
    const other = wanted[index]?.type ?? 0
    return type === other ? [] : [`${name} ${typeName(type)} for ${typeName(other)}`]
  })
  if (isMoving) return types.length === 0 ? { kind: "moving" } : { kind: "other types", types }
  const isSameRows = isSameList(plainRows(expected, expectedIds), plainRows(got, gotIds))
  if (!isSameRows && rows(expected).length + rows(got).length > 0)
    return { kind: "other rows", types, why: "" }
  if (tagsOf(expected) !== tagsOf(got))
    return { kind: "senseless", what: `tag ${tagsOf(got)} for ${tagsOf(expected)}` }
  return types.length === 0 ? { kind: "same" } : { kind: "other types", types }
}

type Asking = {
  readonly expected: Buffer
  readonly expectedAgain: Buffer
  readonly got: Buffer
  /** Of the gateway's count of refusals, when this statement made one grow. */
  readonly reason: string | undefined
  /** Object ids of PostgreSQL and of the gateway's catalogue. */
  readonly expectedIds: ObjectIds
  readonly gotIds: ObjectIds
}

/** Errors of the gateway's own that say that something is broken rather than refused. */
const isBroken = (sqlState: string): boolean => /^(XX|08|57P|53)/.test(sqlState)

function classified(asking: Asking): DuckdbAnswer {
  const { expected, expectedAgain, got, reason } = asking
  const [wanted, had] = [messagesOf(expected), messagesOf(got)]
  const [wantedError, error] = [errorOf(wanted), errorOf(had)]
  const sqlState = error?.get("C") ?? ""
  if (error === undefined)
    return wantedError === undefined
      ? compared(wanted, had, { ...asking, isMoving: !expected.equals(expectedAgain) })
      : { kind: "senseless", what: `an answer where PostgreSQL has ${wantedError.get("C") ?? ""}` }
  if (wantedError?.get("C") === sqlState) return { kind: "same" }
  const message = error.get("M") ?? ""
  if (isBroken(sqlState)) return { kind: "senseless", what: `${sqlState} ${message}` }
  return { kind: "refused", sqlState, reason: reason ?? "", message }
}

/** Counts of refusals by reason, from the gateway's metrics. */
async function refusals(gateway: RunningGateway): Promise<ReadonlyMap<string, number>> {
  const response = await fetch(new URL("/metrics", gateway.controlUrl), {
    headers: { authorization: `Bearer ${gateway.token}` },
  })
  const counts = new Map<string, number>()
  for (const match of (await response.text()).matchAll(
    /^sluice_query_rejections_total\{[^}]*reason="(\w+)"[^}]*\} (\d+)/gm,
  ))
    counts.set(match[1] ?? "", (counts.get(match[1] ?? "") ?? 0) + Number(match[2]))
  return counts
}

const nothing = Buffer.alloc(0)
const isFailed = (answer: Buffer): boolean => answer.at(-1) === 0x45

/** Asks one after the other, so that what DuckDB's side refuses does not fail the statements behind it. */
class DuckdbSide {
  readonly #gateway: RunningGateway
  readonly #target: SessionOptions
  #counts: ReadonlyMap<string, number> = new Map()

  constructor(gateway: RunningGateway) {
    this.#gateway = gateway
    this.#target = splitUri(gateway.uri)
  }

  async ask(asked: readonly Asked[]): Promise<{ answer: Buffer; reason: string | undefined }[]> {
    const session = await RawSession.open(this.#target)
    const answers: { answer: Buffer; reason: string | undefined }[] = []
    let searchPath: Buffer | undefined
    try {
      for (const { bytes, sql } of asked) {
        if (sql.startsWith("set search_path")) searchPath = bytes
        const [answer = nothing] = await session.run([bytes])
        answers.push({ answer, reason: await this.#newReason() })
        if (!isFailed(answer)) continue
        const again = [query("ROLLBACK"), query("BEGIN")]
        await session.run(searchPath === undefined ? again : [...again, searchPath])
      }
    } finally {
      session.close()
    }
    return answers
  }

  async #newReason(): Promise<string | undefined> {
    const counts = await refusals(this.#gateway)
    const grown = [...counts].find(([reason, count]) => count > (this.#counts.get(reason) ?? 0))
    this.#counts = counts
    return grown?.[0]
  }
}

/** Object ids as this gateway gives them to a client that asks; PostgreSQL's where it refuses the question. */
async function duckdbIds(gateway: RunningGateway, otherwise: ObjectIds): Promise<ObjectIds> {
  const session = await RawSession.open(splitUri(gateway.uri))
  const idOf = async (name: string): Promise<number | undefined> => {
    const sql = `SELECT c.oid FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'sales' AND c.relname = '${name}'`
    const [answer = nothing] = await session.run([query(sql)])
    const value = textRows(messagesOf(answer))[0]?.[0]
    return value === undefined || value === null ? undefined : Number(value)
  }
  try {
    return {
      orders: (await idOf("orders")) ?? otherwise.orders,
      customers: (await idOf("customers")) ?? otherwise.customers,
      orderStatus: otherwise.orderStatus,
    }
  } finally {
    session.close()
  }
}

async function askPostgres(
  postgres: TestPostgres,
  session: WireSession,
  asked: readonly Asked[],
): Promise<readonly Buffer[]> {
  const origin = splitUri(postgres.uri)
  const target =
    session.as === "writer" ? { ...origin, user: "writer", password: writerPassword } : origin
  const raw = await RawSession.open(target)
  try {
    return await raw.run(asked.map(({ bytes }) => bytes))
  } finally {
    raw.close()
    if (session.as === "writer") await postgres.run(wireCleanUp)
  }
}

function rank(answer: DuckdbAnswer): number {
  return [
    "same",
    "moving",
    "other types",
    "other rows",
    "other columns",
    "refused",
    "senseless",
  ].indexOf(answer.kind)
}

/** Each statement's answer; the worst one where a statement is asked several times. */
async function allAnswers(
  postgres: TestPostgres,
  gateway: RunningGateway,
  corpus: ReadonlyMap<string, WireStatement>,
): Promise<ReadonlyMap<string, DuckdbAnswer>> {
  const ids = await objectIds(postgres)
  const ownIds = await duckdbIds(gateway, ids)
  const side = new DuckdbSide(gateway)
  const answers = new Map<string, DuckdbAnswer>()
  for (const session of wireSessions) {
    const asked = askedBy(session, corpus, ids)
    const expected = await askPostgres(postgres, session, asked)
    const expectedAgain = await askPostgres(postgres, session, asked)
    const got = await side.ask(askedBy(session, corpus, ownIds))
    for (const [at, exchange] of asked.entries()) {
      const answer = classified({
        expected: expected[at] ?? nothing,
        expectedAgain: expectedAgain[at] ?? nothing,
        got: got[at]?.answer ?? nothing,
        reason: got[at]?.reason,
        expectedIds: ids,
        gotIds: ownIds,
      })
      for (const id of exchange.ids) {
        const known = answers.get(id)
        if (known === undefined || rank(answer) > rank(known)) answers.set(id, answer)
      }
    }
  }
  return answers
}

async function writeDatabase(path: string): Promise<void> {
  const instance = await DuckDBInstance.create(path)
  const connection = await instance.connect()
  await connection.run(wireSeedOnDuckdb)
  connection.closeSync()
  instance.closeSync()
}

/** Puts the corpus to a gateway over DuckDB and to a PostgreSQL with the same rows. */
export async function askDuckdb(): Promise<ReadonlyMap<string, DuckdbAnswer>> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-wire-"))
  const path = join(folder, "shop.duckdb")
  await writeDatabase(path)
  const postgres = await startPostgres({ settings: steadyPlans })
  try {
    await postgres.run(wireSeedOnPostgres)
    const gateway = await startGateway({
      config: `warehouses:\n  shop: { engine: duckdb, path: "${path}" }\nlog: { level: warn }\n`,
    })
    try {
      return await allAnswers(postgres, gateway, wireCorpus())
    } finally {
      await gateway.stop()
    }
  } finally {
    await postgres.stop()
    await rm(folder, { recursive: true, force: true })
  }
}
