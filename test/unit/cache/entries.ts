import { CacheKey, KeyHead } from "../../../src/cache/key.ts"
import { entryBytes, type StoredEntry } from "../../../src/cache/stored-entry.ts"
import { GatewayError, toGatewayError } from "../../../src/core/errors.ts"
import type { RelationName } from "../../../src/core/relation.ts"
import type { Completion, RowBatch, RowStream, StoredResult } from "../../../src/core/result.ts"
import { SqlState } from "../../../src/core/sql-state.ts"
import { dataRow, rowDescription } from "../../../src/wire/backend-messages.ts"

/** Results, entries and row streams that the tests of this room are made of. */

export const orders = "s.orders" as RelationName
export const items = "s.items" as RelationName
export const users = "s.users" as RelationName

export const description: Buffer = rowDescription([
  {
    name: "n",
    tableOid: 0,
    columnNumber: 0,
    typeOid: 25,
    typeSize: -1,
    typeModifier: -1,
    format: 0,
  },
])

/** A batch of `rowCount` rows of one text column, `valueBytes` long each. */
export function batch(rowCount: number, valueBytes = 1): RowBatch {
  const row = dataRow([Buffer.alloc(valueBytes, "x")])
  return { bytes: Buffer.concat(Array.from({ length: rowCount }, () => row)), rowCount }
}

export function result(batches: readonly RowBatch[]): StoredResult {
  const rowCount = batches.reduce((sum, one) => sum + one.rowCount, 0)
  const byteCount = batches.reduce((sum, one) => sum + one.bytes.length, 0)
  return { description, batches, rowCount, byteCount, tag: `SELECT ${rowCount}` }
}

/** A key of its own for each text. */
export function keyOf(material: string): CacheKey {
  return new CacheKey(new KeyHead(material), "")
}

/** Two keys that differ and yet share their digest, as SHA-256 never will make them. */
export function collidingKeys(): readonly [CacheKey, CacheKey] {
  const head = new KeyHead("one")
  const twin = Object.assign(Object.create(KeyHead.prototype) as KeyHead, {
    text: "other",
    digest: head.digest,
  })
  return [new CacheKey(head, ""), new CacheKey(twin, "")]
}

export type EntryTraits = {
  readonly material: string
  readonly bytes?: number
  readonly warehouseMs?: number
  readonly expiresAtMs?: number
  readonly keepUntilMs?: number
  readonly relations?: readonly RelationName[]
}

export function entry(traits: EntryTraits): StoredEntry {
  const stored = result([batch(1)])
  const relations = traits.relations ?? [orders]
  return {
    key: keyOf(traits.material),
    result: stored,
    createdAtMs: 0,
    expiresAtMs: traits.expiresAtMs ?? 1_000,
    keepUntilMs: traits.keepUntilMs ?? traits.expiresAtMs ?? 1_000,
    warehouseMs: traits.warehouseMs ?? 10,
    relations,
    bytes: traits.bytes ?? entryBytes(stored, traits.material.length, relations.length),
  }
}

export function cancelled(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.QueryCanceled,
    reason: "cancelled",
    message: "canceling statement due to user request",
  })
}

export function divisionByZero(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.DivisionByZero,
    reason: "warehouse_error",
    message: "division by zero",
  })
}

type Step = RowBatch | "end" | GatewayError

/**
 * Rows whose arrival a test decides: each `give` is one answer of the warehouse. Disposing it, or the run's signal, makes a
 * waiting `next` reject as an adapter's does.
 */
export class ScriptedRows implements RowStream {
  readonly description = description
  readonly #steps: Step[] = []
  #waiting: (() => void) | undefined
  #stopped: GatewayError | undefined
  asked = 0
  disposed = 0
  #hasEnded = false

  constructor(signal?: AbortSignal) {
    signal?.addEventListener("abort", () => this.#stop(toGatewayError(signal.reason)))
  }

  give(...steps: Step[]): this {
    this.#steps.push(...steps)
    this.#waiting?.()
    return this
  }

  get completion(): Completion {
    if (!this.#hasEnded) throw new Error("completion was read before the end")
    return { tag: "SELECT 1", notices: [] }
  }

  async next(): Promise<RowBatch | undefined> {
    this.asked += 1
    while (this.#steps.length === 0 && this.#stopped === undefined)
      await new Promise<void>((resolve) => {
        this.#waiting = resolve
      })
    if (this.#stopped !== undefined) throw this.#stopped
    const step = this.#steps.shift()
    if (step instanceof GatewayError) throw step
    if (step !== "end") return step
    this.#hasEnded = true
    return undefined
  }

  [Symbol.dispose](): void {
    this.disposed += 1
    if (!this.#hasEnded) this.#stop(cancelled())
  }

  #stop(reason: GatewayError): void {
    this.#stopped = reason
    this.#waiting?.()
  }
}

/** Lets everything that is due run: promises and one turn of the event loop. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

/** Reads a stream to its end. */
export async function readAll(rows: RowStream): Promise<number> {
  let rowCount = 0
  for (let one = await rows.next(); one !== undefined; one = await rows.next())
    rowCount += one.rowCount
  return rowCount
}
