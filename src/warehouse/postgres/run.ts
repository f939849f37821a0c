import { type GatewayError, InvariantViolation } from "../../core/errors.ts"
import type { Completion, EarlyNotice, RowBatch, RowStream } from "../../core/result.ts"
import {
  bindMessage,
  describePortalMessage,
  describeStatementMessage,
  executeMessage,
  parseMessage,
  queryMessage,
  syncMessage,
} from "../../wire/frontend-encoder.ts"
import type { RunRequest } from "../warehouse.ts"
import { statementTimeout } from "./error-map.ts"
import type { Relay } from "./relay.ts"
import type { Reply, ReplyKind, Step } from "./reply.ts"
import type { Replay } from "./settings-replay.ts"

const queryType = 0x51

/** What of a request decides its bytes. */
export type RunText = Pick<RunRequest, "parameters" | "resultFormats" | "protocol"> & {
  readonly statement: { readonly text: string }
}

/** The messages that set the settings, run unnamed, without Sync. */
function settingsMessages(replay: Replay): Buffer[] {
  return [
    parseMessage(replay.text, replay.parameters.types),
    bindMessage(replay.parameters, []),
    executeMessage,
  ]
}

/**
 * What one statement is sent as, in one write. The simple protocol costs the server least, but what goes in front of the
 * statement must stop it when it fails, and only the extended protocol's Sync does that. Only that protocol tells at which
 * stage a statement failed, too.
 */
export function runMessages(request: RunText, replay: Replay | undefined): Buffer {
  const { statement, parameters, resultFormats } = request
  const isAllText = resultFormats.every((format) => format === 0)
  const isPlain = parameters.values.length === 0 && parameters.types.length === 0 && isAllText
  if (isPlain && replay === undefined && request.protocol === "simple")
    return queryMessage(statement.text)
  return Buffer.concat([
    ...(replay === undefined ? [] : settingsMessages(replay)),
    parseMessage(statement.text, parameters.types),
    bindMessage(parameters, resultFormats),
    describePortalMessage,
    executeMessage,
    syncMessage,
  ])
}

/** Which answer is to be expected to what `runMessages` made. */
export function replyKind(messages: Buffer): ReplyKind {
  return messages[0] === queryType ? "simple" : "extended"
}

/** What Describe of a statement is sent as. */
export function describeMessages(request: RunRequest, replay: Replay | undefined): Buffer {
  return Buffer.concat([
    ...(replay === undefined ? [] : settingsMessages(replay)),
    parseMessage(request.statement.text, request.parameters.types),
    describeStatementMessage,
    syncMessage,
  ])
}

export type RunInit = {
  readonly reply: Reply
  readonly relay: Relay
  readonly signal: AbortSignal
  /** Local backstop behind the server's own statement_timeout; 0 = none. */
  readonly deadlineMs: number
  /** The run was given up before its ReadyForQuery: the connection cleans up behind it. */
  readonly onAbandoned: (reply: Reply) => void
  /** The server broke the protocol, or ended the connection. */
  readonly onBroken: (error: unknown) => void
}

/** Why a stream that was disposed of reads no further. */
const disposed = new InvariantViolation("a result was read after its disposal")

/**
 * One statement that runs on a connection. It leaves the connection in one of three ways: its ReadyForQuery was read, it
 * was abandoned (abort, deadline, disposal) and the connection cleans up behind it, or the connection is broken.
 */
export class Run implements RowStream {
  readonly reply: Reply
  readonly #init: RunInit
  readonly #timer: NodeJS.Timeout | undefined
  readonly #onAbort = (): void => this.abandon(this.#init.signal.reason as GatewayError)
  #abandonedBy: GatewayError | undefined
  #isOver = false

  constructor(init: RunInit) {
    this.reply = init.reply
    this.#init = init
    init.signal.addEventListener("abort", this.#onAbort)
    if (init.deadlineMs > 0) {
      this.#timer = setTimeout(() => this.abandon(statementTimeout()), init.deadlineMs)
    }
  }

  get description(): Buffer | undefined {
    return this.reply.description
  }

  get notices(): readonly EarlyNotice[] {
    return this.reply.earlyNotices
  }

  get completion(): Completion {
    return this.reply.completion
  }

  /** Resolves when the description is known; rejects with the first error. */
  async start(): Promise<void> {
    for (;;) {
      const step = this.#advance()
      if (step === "described") return
      if (step === "ready") throw this.reply.error ?? new InvariantViolation("a result was empty")
      const more = this.#more()
      if (more !== undefined) await more
    }
  }

  async next(): Promise<RowBatch | undefined> {
    for (;;) {
      if (this.#abandonedBy !== undefined) throw this.#abandonedBy
      if (this.reply.isReady) {
        if (this.reply.error !== undefined) throw this.reply.error
        return undefined
      }
      const step = this.#advance()
      if (step === "rows") return this.reply.batch
      if (step !== "more") continue
      const more = this.#more()
      if (more !== undefined) await more
    }
  }

  #advance(): Step {
    if (this.#abandonedBy !== undefined) throw this.#abandonedBy
    try {
      const step = this.reply.advance()
      if (step === "ready") this.release()
      return step
    } catch (error) {
      this.#init.onBroken(error)
      throw error
    }
  }

  #more(): Promise<void> | undefined {
    return this.#init.relay.more()
  }

  /** Stops listening to signal and clock: nothing of this statement is left, or somebody else reads it. */
  release(): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#init.signal.removeEventListener("abort", this.#onAbort)
  }

  /** Gives up what is unread; whoever waits for it gets `reason`. Harmless when nothing is left. */
  abandon(reason: GatewayError): void {
    if (this.#isOver) return
    this.release()
    this.#abandonedBy = reason
    this.#init.relay.interrupt(reason)
    this.#init.onAbandoned(this.reply)
  }

  [Symbol.dispose](): void {
    if (this.#isOver) return
    // What is at hand often holds the end already, and then nothing has to be cancelled.
    try {
      for (let step: Step = "described"; step !== "more" && step !== "ready"; )
        step = this.#advance()
    } catch {
      // The connection has heard of it.
    }
    this.abandon(disposed)
    this.#abandonedBy = disposed
  }
}
