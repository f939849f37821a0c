import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"

/** Input and output of one session up to this are not counted: every session may have them, however full the memory is. */
const ioBytesFree = 64 * 1024

export type MemoryLimits = {
  /** Statement texts and parameters that one session keeps. */
  readonly sessionBytesMax: number
  /** What all sessions together keep: texts, parameters, spooled rows, unread input, unsent output. */
  readonly sessionsBytesMax: number
}

/** Bytes that the sessions of this process hold for their clients. */
export class SessionMemory {
  readonly limits: MemoryLimits
  /** Now. */
  bytes = 0

  constructor(limits: MemoryLimits) {
    this.limits = limits
  }

  get isFull(): boolean {
    return this.bytes >= this.limits.sessionsBytesMax
  }
}

/** One session's part of it. What is kept is taken before it is kept, and given back when it is dropped. */
export class MemoryShare {
  readonly #memory: SessionMemory
  #keptBytes = 0
  #spooledBytes = 0
  #inputBytes = 0
  #outputBytes = 0

  constructor(memory: SessionMemory) {
    this.#memory = memory
  }

  /** Throws 53200 when the session, or all of them together, would keep more than the limits say. */
  keep(bytes: number): void {
    const { sessionBytesMax, sessionsBytesMax } = this.#memory.limits
    if (this.#keptBytes + bytes > sessionBytesMax)
      throw memoryFull(
        `Statements and parameters of one session may take ${sessionBytesMax} bytes.`,
      )
    if (this.#memory.bytes + bytes > sessionsBytesMax) throw memoryFull(allTogether)
    this.#keptBytes += bytes
    this.#memory.bytes += bytes
  }

  drop(bytes: number): void {
    this.#keptBytes -= bytes
    this.#memory.bytes -= bytes
  }

  /** Rows set aside; false, and nothing taken, when they would be more than `bytesMax` in this session or too many in all. */
  spool(bytes: number, bytesMax: number): boolean {
    const { sessionsBytesMax } = this.#memory.limits
    if (this.#spooledBytes + bytes > bytesMax) return false
    if (this.#memory.bytes + bytes > sessionsBytesMax) return false
    this.#spooledBytes += bytes
    this.#memory.bytes += bytes
    return true
  }

  unspool(bytes: number): void {
    this.#spooledBytes -= bytes
    this.#memory.bytes -= bytes
  }

  /** Bytes received and not handled. Throws 53200 when they are many and the memory is full. */
  input(bytes: number): void {
    const counted = bytes > ioBytesFree ? bytes : 0
    if (counted === this.#inputBytes) return
    this.#memory.bytes += counted - this.#inputBytes
    this.#inputBytes = counted
    if (counted > 0 && this.#memory.isFull) throw memoryFull(allTogether)
  }

  /** Bytes written and not taken by the client; true when they are more than may be now. */
  isOutputOver(bytes: number): boolean {
    const counted = bytes > ioBytesFree ? bytes : 0
    if (counted !== this.#outputBytes) {
      this.#memory.bytes += counted - this.#outputBytes
      this.#outputBytes = counted
    }
    return counted > 0 && this.#memory.isFull
  }

  /** The session has ended. */
  release(): void {
    this.#memory.bytes -=
      this.#keptBytes + this.#spooledBytes + this.#inputBytes + this.#outputBytes
    this.#keptBytes = 0
    this.#spooledBytes = 0
    this.#inputBytes = 0
    this.#outputBytes = 0
  }
}

const allTogether = "The memory for what sessions keep is used up; another one may be the cause."

function memoryFull(detail: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.OutOfMemory,
    reason: "session_memory_full",
    message: "out of memory",
    detail,
    hint: "Close prepared statements, portals and cursors that are done.",
  })
}
