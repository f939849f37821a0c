import type { Completion, RowBatch, RowStream, StoredResult } from "../core/result.ts"

/** A stored result as a stream, for consumers that do not send `wire` in one go. It holds no lease; disposing is free. */
export function streamOf(result: StoredResult): RowStream {
  return new StoredStream(result)
}

class StoredStream implements RowStream {
  readonly description: Buffer | undefined
  readonly completion: Completion
  readonly #batches: readonly RowBatch[]
  #nextBatch = 0

  constructor(result: StoredResult) {
    this.description = result.description
    this.completion = { tag: result.tag, notices: [] }
    this.#batches = result.batches
  }

  next(): Promise<RowBatch | undefined> {
    const batch = this.#batches[this.#nextBatch]
    this.#nextBatch += 1
    return Promise.resolve(batch)
  }

  [Symbol.dispose](): void {
    this.#nextBatch = this.#batches.length
  }
}
