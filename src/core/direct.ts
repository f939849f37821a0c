/** What a connection of a session's own is opened with. */
export type DirectOptions = {
  /** Values that RESET goes back to, by canonical setting name: the client's startup packet. */
  readonly startupSettings: ReadonlyMap<string, string>
  readonly signal: AbortSignal
}

/**
 * A warehouse connection that belongs to one session until it is closed and is never handed on: what a session that may
 * write runs on. Frames pass both ways as they are; what a frame means is the session's business.
 */
export interface DirectConnection {
  /** Of the warehouse's own process, as it stands in notifications. */
  readonly processId: number
  /** Sends whole frontend messages. A promise while the warehouse does not read: nothing more may be sent until it resolves. */
  send(bytes: Buffer): undefined | Promise<void>
  /**
   * The next whole backend message, or several DataRows or CopyData messages at once; undefined when the warehouse ended the
   * connection. Rejects with 08006 when it was lost. One caller at a time.
   */
  next(): Buffer | Promise<Buffer | undefined> | undefined
  /** Asks the warehouse to cancel what runs there now. Resolves when no signal of ours is under way any more. */
  cancel(): Promise<void>
  /** Cancels what runs and closes. */
  close(): void
}
