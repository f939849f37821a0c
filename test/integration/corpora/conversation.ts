import {
  bind,
  copyData,
  copyDone,
  describe as describeMessage,
  execute,
  parse,
  query,
  sync,
} from "../../support/frontend-encoder.ts"
import { RawSession, type SessionOptions } from "../../support/query-generator-session.ts"
import type { WireStatement } from "./wire-corpus.ts"
import type { Step, WireSession } from "./wire-sessions.ts"

/** Bytes that are answered by one ReadyForQuery, and the statements that they are about. */
export type Asked = {
  readonly ids: readonly string[]
  readonly sql: string
  readonly bytes: Buffer
}

/** What the recording does not hold: the values of a statement's parameters. */
type Values = {
  readonly values: readonly (Buffer | string | null)[]
  readonly formats: readonly number[]
}

/** Object ids of this run's database, for statements that name them. */
export type ObjectIds = {
  readonly orders: number
  readonly customers: number
  readonly orderStatus: number
}

/** The ids that the recording's own database had. */
const recordedIds = { orders: /\b16403\b/g, customers: /\b16395\b/g }

/** As a driver sends what it read from the catalogue a moment before. */
export function inThisDatabase(sql: string, ids: ObjectIds): string {
  return sql
    .replaceAll(recordedIds.orders, String(ids.orders))
    .replaceAll(recordedIds.customers, String(ids.customers))
}

function int2(value: number): Buffer {
  const out = Buffer.alloc(2)
  out.writeInt16BE(value)
  return out
}

function int4(...values: readonly number[]): Buffer {
  const out = Buffer.alloc(4 * values.length)
  for (const [index, value] of values.entries()) out.writeInt32BE(value, 4 * index)
  return out
}

/** An oid[] in binary: one dimension from 1, no NULLs, element type 26 (oid). */
function oidArray(value: number): Buffer {
  return int4(1, 0, 26, 1, 1, 4, value)
}

function valuesOf(id: string, ids: ObjectIds): Values {
  const all: Readonly<Record<string, Values>> = {
    W164: { values: [int2(1), "open"], formats: [1, 0] },
    W165: { values: [int2(1)], formats: [1] },
    W172: { values: [int4(3)], formats: [1] },
    W173: { values: [oidArray(ids.orderStatus)], formats: [1] },
    W180: { values: ["paid"], formats: [0] },
    W185: { values: [String(ids.orderStatus)], formats: [0] },
    W186: { values: [String(ids.orderStatus)], formats: [0] },
  }
  return all[id] ?? { values: [], formats: [] }
}

/** Rows of one Execute, for statements that their driver read in steps through a portal. */
const fetchSizes: Readonly<Record<string, { readonly portal: string; readonly rowsMax: number }>> =
  {
    W175: { portal: "__asyncpg_portal_1__", rowsMax: 3 },
    W180: { portal: "C_1", rowsMax: 2 },
  }

const copied = Buffer.from("5,copied\n6,\n")

/** psycopg 3 and pgjdbc: everything in one batch. */
function oneBatch(statement: WireStatement, sql: string, given: Values): Buffer[] {
  const { protocol, id } = statement
  if (protocol.kind === "simple") return [query(sql)]
  const { portal, rowsMax } = fetchSizes[id] ?? { portal: "", rowsMax: 0 }
  return [
    parse(sql, protocol),
    bind({ portal, statement: protocol.name, resultFormats: [0], ...given }),
    describeMessage("portal", portal),
    execute(portal, rowsMax),
  ]
}

/** asyncpg: prepares and describes first, then binds with binary results. */
function inTwo(statement: WireStatement, sql: string, given: Values): Buffer[][] {
  const name = statement.protocol.kind === "extended" ? statement.protocol.name : ""
  const { portal, rowsMax } = fetchSizes[statement.id] ?? { portal: "", rowsMax: 0 }
  return [
    [parse(sql, { name }), describeMessage("statement", name)],
    [bind({ portal, statement: name, resultFormats: [1], ...given }), execute(portal, rowsMax)],
  ]
}

function isAsyncpg({ protocol }: WireStatement): boolean {
  return protocol.kind === "extended" && protocol.name.startsWith("__asyncpg")
}

function stepOf(
  step: Step,
  corpus: ReadonlyMap<string, WireStatement>,
  ids: ObjectIds,
): readonly Asked[] {
  const statements = (typeof step === "string" ? [step] : step).map((id) => {
    const statement = corpus.get(id)
    if (statement === undefined) throw new Error(`${id} is not in the corpus`)
    return statement
  })
  const [first] = statements
  if (first === undefined) return []
  const sqlOf = (statement: WireStatement): string => inThisDatabase(statement.sql, ids)
  const about = { ids: statements.map(({ id }) => id), sql: statements.map(sqlOf).join("\n") }
  const asked = (parts: readonly Buffer[]): Asked => ({ ...about, bytes: Buffer.concat(parts) })

  if (first.id === "W060") return [asked([query(first.sql), copyData(copied), copyDone])]
  if (first.protocol.kind === "simple") return [asked([query(sqlOf(first))])]
  const batches = isAsyncpg(first)
    ? inTwo(first, sqlOf(first), valuesOf(first.id, ids))
    : [statements.flatMap((one) => oneBatch(one, sqlOf(one), valuesOf(one.id, ids)))]
  const size = fetchSizes[statements.at(-1)?.id ?? ""]
  if (size !== undefined) batches.push([execute(size.portal, size.rowsMax)])
  return batches.map((parts) => asked([...parts, sync]))
}

/** What a session sends, in order. */
export function askedBy(
  session: WireSession,
  corpus: ReadonlyMap<string, WireStatement>,
  ids: ObjectIds,
): readonly Asked[] {
  return session.steps.flatMap((step) => stepOf(step, corpus, ids))
}

/** One connection of its own; the answers in order. */
export async function converse(
  target: SessionOptions,
  asked: readonly Buffer[],
): Promise<readonly Buffer[]> {
  const session = await RawSession.open(target)
  try {
    return await session.run(asked)
  } finally {
    session.close()
  }
}
