import type { ErrorStage } from "./errors.ts"

/**
 * Results are kept as the bytes a client receives (PostgreSQL manual, 54.7): whole backend messages with their type byte
 * and length, so that a cached answer costs one write and rows are never decoded on their way through.
 */

/**
 * A NoticeResponse, whole, that came before a result's description, and the message of the extended protocol that it answers
 * to; undefined when the protocol does not tell, or between BindComplete and the description.
 */
export type EarlyNotice = { readonly frame: Buffer; readonly stage: ErrorStage | undefined }

/** DataRow messages, whole ones only, in the order of the result. The consumer may keep `bytes`: nobody writes to it again. */
export type RowBatch = {
  readonly bytes: Buffer
  readonly rowCount: number
  /** NoticeResponse messages that came right before these rows. */
  readonly notices?: readonly Buffer[]
}

/** What a finished result adds to its rows. */
export type Completion = {
  /** Command tag without the terminating NUL, such as `SELECT 3`. */
  readonly tag: string
  /** NoticeResponse messages that came behind its last row, whole. */
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
  /** What the warehouse said before it. */
  readonly notices?: readonly EarlyNotice[] | undefined
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
  /** As a stream has them; those among the rows are with the batches. */
  readonly notices?: readonly EarlyNotice[] | undefined
  readonly endNotices?: readonly Buffer[] | undefined
  /** Present when the cache found the result small enough to keep it in one piece, and it has no notices. */
  readonly wire?: WireImage | undefined
}

/** What Describe of a statement tells (ParameterDescription's type OIDs and RowDescription with all formats text). */
export type StatementDescription = {
  readonly parameterTypes: readonly number[]
  /** RowDescription message with format codes 0; undefined when the statement returns no rows. */
  readonly rowDescription: Buffer | undefined
  readonly notices?: readonly EarlyNotice[] | undefined
}
