export type ConnectionLimits = {
  /** One CancelRequest: connecting, sending, and seeing the server close. */
  readonly cancelTimeoutMs: number
  /** Cleaning up behind an abandoned statement: cancel and drain together. */
  readonly recoverTimeoutMs: number
  /** Bytes of an abandoned result that are read and thrown away before the connection is given up instead. */
  readonly drainBytesMax: number
  /** Statements of our own (ROLLBACK, position). */
  readonly internalTimeoutMs: number
}
