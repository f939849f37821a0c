/**
 * Results are kept as the bytes a client receives (PostgreSQL manual, 54.7): whole backend messages with their type byte
 * and length, so that a cached answer costs one write and rows are never decoded on their way through.
 */

/** DataRow messages, whole ones only, in the order of the result. The consumer may keep `bytes`: nobody writes to it again. */
export type RowBatch = {
  readonly bytes: Buffer
  readonly rowCount: number
}

/** What a finished result adds to its rows. */
export type Completion = {
  /** Command tag without the terminating NUL, such as `SELECT 3`. */
  readonly tag: string
  /** NoticeResponse messages that belong to this result, whole; they are not cached. */
  readonly notices: readonly Buffer[]
}

/**
 * Rows that flow. Pull-based: the next batch is read from the warehouse when the consumer asks for it, and at most one
 * batch is held here. Whoever holds the rows holds the lease: it goes back when the stream has ended, failed or was
 * disposed of, whichever comes first, and disposing twice is harmless.
 */
export interface RowStream {
  /** RowDescription as one whole message; undefined for a command that returns no rows (NoData). */
  readonly description: Buffer | undefined
  /** The next batch, or undefined after the last. Rejects with a GatewayError; a result that ended early is never taken for a whole one. */
  next(): Promise<RowBatch | undefined>
  /** Set once `next` has returned undefined; reading it earlier is an invariant violation. */
  readonly completion: Completion
  /** Gives up what is unread: cancels the statement on the warehouse if it still runs. */
  [Symbol.dispose](): void
}

/** A small result as the bytes of one write. Both buffers share their memory; nobody writes to it. */
export type WireImage = {
  /** RowDescription, DataRows, CommandComplete: the answer to a simple query up to ReadyForQuery. */
  readonly whole: Buffer
  /** DataRows and CommandComplete: the answer to an Execute without a row limit. */
  readonly afterDescription: Buffer
}

/** A whole result, ready to be sent: what the cache keeps. */
export type StoredResult = {
  readonly description: Buffer | undefined
  readonly batches: readonly RowBatch[]
  readonly rowCount: number
  /** Bytes of the DataRow messages. */
  readonly byteCount: number
  readonly tag: string
  /** Present when the cache found the result small enough to keep it in one piece. */
  readonly wire?: WireImage | undefined
}

/** What Describe of a statement tells (ParameterDescription's type OIDs and RowDescription with all formats text). */
export type StatementDescription = {
  readonly parameterTypes: readonly number[]
  /** RowDescription message with format codes 0; undefined when the statement returns no rows. */
  readonly rowDescription: Buffer | undefined
}
