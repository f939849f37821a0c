import type { Statement } from "../core/statement.ts"
import { treeBytes, unpackStatement } from "./packed-statement.ts"
import { statementTooLarge } from "./parse-errors.ts"
import { ParseThread } from "./parse-thread.ts"
import { parseSized } from "./parser.ts"

export type StatementMemoLimits = {
  /** Texts remembered. */
  readonly entriesMax: number
  /** Estimated memory of what is remembered. */
  readonly bytesMax: number
  /** Greatest text that is parsed at all; above it 54000 `statement_too_large`. */
  readonly statementBytesMax: number
  /** Texts above this size are parsed in a thread of their own. */
  readonly offLoopBytes: number
  /** Greatest time for one parse in that thread; above it 54001. */
  readonly workerWaitMsMax: number
}

type Entry = { readonly statements: readonly Statement[]; readonly bytes: number }

/** A tree's objects were measured at 2.2 to 2.8 bytes of heap for each character of its JSON. */
const heapBytesPerJsonCharacter = 3

/** Map entry, promise and text header, however small the text. */
const entryOverheadBytes = 512

/**
 * One parse per distinct text. A known text costs one map look-up and the touch that keeps it from being evicted; the
 * same text asked for twice while the thread works is parsed once. Errors are not remembered.
 */
export class StatementMemo {
  readonly #limits: StatementMemoLimits
  readonly #thread: ParseThread
  /** Least recently used first: Map keeps the order of insertion. */
  readonly #entries = new Map<string, Entry>()
  readonly #parsing = new Map<string, Promise<readonly Statement[]>>()
  #bytes = 0

  constructor(limits: StatementMemoLimits) {
    this.#limits = limits
    this.#thread = new ParseThread(limits.workerWaitMsMax)
  }

  /**
   * The classified statements of this exact text; a promise only for large texts not seen lately. Throws (or rejects) as
   * parseText does, with 54000 above `statementBytesMax`, and with 53300 when too many large texts wait.
   */
  get(text: string): readonly Statement[] | Promise<readonly Statement[]> {
    const entry = this.#entries.get(text)
    if (entry === undefined) return this.#parse(text)
    this.#entries.delete(text)
    this.#entries.set(text, entry)
    return entry.statements
  }

  /** Texts and estimated bytes remembered. */
  get size(): { readonly entries: number; readonly bytes: number } {
    return { entries: this.#entries.size, bytes: this.#bytes }
  }

  /** Ends the parse thread; texts waiting for it fail. */
  async close(): Promise<void> {
    await this.#thread.close()
  }

  #parse(text: string): readonly Statement[] | Promise<readonly Statement[]> {
    const { statementBytesMax, offLoopBytes } = this.#limits
    const bytes = Buffer.byteLength(text)
    if (bytes > statementBytesMax) throw statementTooLarge(bytes, statementBytesMax)
    if (bytes > offLoopBytes) return this.#parseOffLoop(text)
    const { statements, jsonLength } = parseSized(text)
    this.#remember(text, statements, jsonLength * heapBytesPerJsonCharacter)
    return statements
  }

  #parseOffLoop(text: string): Promise<readonly Statement[]> {
    const underWay = this.#parsing.get(text)
    if (underWay !== undefined) return underWay
    const parsing = this.#parseInThread(text).finally(() => this.#parsing.delete(text))
    this.#parsing.set(text, parsing)
    return parsing
  }

  async #parseInThread(text: string): Promise<readonly Statement[]> {
    const packed = await this.#thread.parse(text)
    const statements = packed.map(unpackStatement)
    this.#remember(
      text,
      statements,
      packed.reduce((sum, one) => sum + treeBytes(one), 0),
    )
    return statements
  }

  #remember(text: string, statements: readonly Statement[], treesBytes: number): void {
    // The text stands twice: as the key and as slices of it; a character takes up to two bytes.
    const bytes = entryOverheadBytes + 4 * text.length + treesBytes
    if (bytes > this.#limits.bytesMax) return
    this.#entries.set(text, { statements, bytes })
    this.#bytes += bytes
    for (const [oldest, entry] of this.#entries) {
      const fits =
        this.#entries.size <= this.#limits.entriesMax && this.#bytes <= this.#limits.bytesMax
      if (fits) return
      this.#entries.delete(oldest)
      this.#bytes -= entry.bytes
    }
  }
}
